package jobs_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/timers"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/tenants"
)

func TestTheSweepDoesEachKindOfTimerAndForgetsWhatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t, &model{}, nil)
	var hits atomic.Int32
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		hits.Add(1)
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><title>Lamps</title><body><main><h1>Lamps</h1><p>We make lamps of oak and of glass, by hand, in Graz.</p></main></body></html>"))
	}))
	t.Cleanup(site.Close)
	source, err := b.Knowledge.CreateSource(t.Context(), b.W, knowledge.NewSource{Type: knowledge.Website, URL: site.URL + "/", Refresh: knowledge.RefreshDaily}, nil)
	b.Must(err)
	asleep := b.Ask("When do parcels to Norway arrive?")
	_, err = b.Conv.Snooze(t.Context(), b.W, asleep, b.Clock.Now().Add(time.Hour), nil)
	b.Must(err)
	waiting := b.Start("I want to talk to a person").Conversation.ID
	called, err := b.Handoff.Escalate(t.Context(), b.W, waiting, handoff.Call{}, nil)
	b.Must(err)
	b.Must(b.DB.InWorkspace(t.Context(), b.W, func(tx pgx.Tx) error {
		for _, kind := range []timers.Kind{timers.TurnDue, timers.Overdue, timers.Wake, timers.Refresh} {
			if err := timers.Set(t.Context(), tx, b.W, kind, ids.New(time.Now()), b.Clock.Now()); err != nil {
				return err
			}
		}
		return nil
	}))
	b.node(b.World, 2, time.Second)
	b.until("the site is read", func() bool {
		s, err := b.Knowledge.Source(t.Context(), b.W, source.ID)
		b.Must(err)
		return s.Status == knowledge.Ready
	})
	b.until("timers of what is not there are gone", func() bool {
		return b.number("select count(*) from timers where due_at < $1", b.Clock.Now().Add(time.Minute)) == 0
	})
	if b.Get(asleep).Status != conversations.Snoozed {
		t.Error("woken early")
	}
	read := hits.Load()
	b.Fake.Advance(25 * time.Hour)
	b.until("the snoozed one is awake", func() bool { return b.Get(asleep).Status == conversations.Open })
	b.until("the promise is known to break", func() bool {
		e, err := b.Handoff.Get(t.Context(), tenants.Of(b.W), called.Escalation.ID)
		b.Must(err)
		return e.OverdueAt != nil
	})
	b.until("the site is read again", func() bool { return hits.Load() > read })
	if log := b.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "ERROR") {
		t.Error(log)
	}
}

func TestUpkeepExpiresReceiptsMakesPartitionsAndRevivesLanes(t *testing.T) {
	t.Parallel()
	b := setup(t, &model{}, nil)
	source, err := b.Knowledge.CreateSource(t.Context(), b.W, knowledge.NewSource{Type: knowledge.Text, Title: "Lost", Text: "# Lost\n\nThe job of this text is lost."}, nil)
	b.Must(err)
	b.exec("delete from river.river_job")
	b.exec(`insert into receipts (agency_id, workspace_id, principal, key, fingerprint, sealed, created_at)
		values ($1, $2, $3, 'old', decode(repeat('00', 32), 'hex'), '\x00', $4), ($1, $2, $3, 'new', decode(repeat('00', 32), 'hex'), '\x00', $5)`,
		b.W.AgencyID, b.W.ID, ids.New(time.Now()), b.Clock.Now().Add(-25*time.Hour), b.Clock.Now().Add(92*24*time.Hour))
	later := b.Fake.Advance(92 * 24 * time.Hour)
	b.node(b.World, 2, time.Second)
	b.until("the old receipt is gone", func() bool { return b.number("select count(*) from receipts where key = 'old'") == 0 })
	b.until("the month's events have a place", func() bool {
		return b.number("select count(*) from pg_class where relname = $1", "events_"+later.Format("200601")) == 1
	})
	b.until("the lost text is searchable", func() bool {
		s, err := b.Knowledge.Source(t.Context(), b.W, source.ID)
		b.Must(err)
		return s.Status == knowledge.Ready
	})
	if b.number("select count(*) from receipts where key = 'new'") != 1 {
		t.Error("a new receipt is gone")
	}
	b.until("each task has run", func() bool {
		return b.number("select count(distinct args->>'task') from river.river_job where kind = 'upkeep' and state = 'completed'") == 3
	})
	if log := b.log.String(); log != "" {
		t.Error(log)
	}
}

func TestATimerThatPanicsEndsNeitherTheNodeNorTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, &model{}, nil)
	asleep := b.Ask("When do parcels to Norway arrive?")
	_, err := b.Conv.Snooze(t.Context(), b.W, asleep, b.Clock.Now().Add(time.Hour), nil)
	b.Must(err)
	b.Must(b.DB.InWorkspace(t.Context(), b.W, func(tx pgx.Tx) error {
		return timers.Set(t.Context(), tx, b.W, timers.Refresh, ids.New(time.Now()), b.Clock.Now())
	}))
	lacking := *b.World
	lacking.Knowledge = nil // which a timer of a source calls
	stop := b.node(&lacking, 2, time.Second)
	b.until("the timer has panicked", func() bool { return strings.Contains(b.log.String(), "doing what is due panicked") })
	b.Fake.Advance(2 * time.Hour)
	b.until("the snoozed one is awake", func() bool { return b.Get(asleep).Status == conversations.Open })
	b.Must(stop())
}
