package objects_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

type bench struct {
	*testing.T
	db     *postgres.DB
	w      postgres.Workspace
	conv   *conversations.Conversations
	hand   *handoff.Handoff
	render *objects.Renderer
}

func setup(t *testing.T) bench {
	t.Helper()
	db, log, now := postgrestest.New(t), slog.New(slog.DiscardHandler), clocktest.At(time.Now())
	q, err := queue.New(log)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	conv := conversations.New(db, now, q)
	return bench{t, db, postgrestest.Tenant(t), conv, handoff.New(db, conv), objects.NewRenderer(db, events.NewPositions(box.Block("positions")))}
}

// log numbers what happened in the workspace and reads it.
func (b bench) log() (all []events.Event) {
	b.Helper()
	if err := events.NewRelay(b.db, slog.New(slog.DiscardHandler), nil, nil).Drain(b.Context()); err != nil {
		b.Fatal(err)
	}
	err := b.db.InWorkspace(b.Context(), b.w, func(tx pgx.Tx) (err error) {
		all, err = events.Read(b.Context(), tx, events.Filter{AgencyID: b.w.AgencyID}, 0, 1000)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return all
}

func TestTheEventOfAnEscalationHasItsPacketAndStaysSmall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	started, err := b.conv.Start(t.Context(), b.w, conversations.Start{Message: conversations.Post{Text: "first words"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if _, err := b.conv.Post(t.Context(), b.w, started.Conversation.ID, conversations.Post{Text: strings.Repeat("äöü<>& ", 2500)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.hand.Escalate(t.Context(), b.w, started.Conversation.ID, handoff.Call{ByVisitor: true, Reason: strings.Repeat("why ", 400)}, nil); err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, e := range b.log() {
		full, err := b.render.WebhookBody(t.Context(), e, false)
		if err != nil {
			t.Fatal(err)
		}
		thin, err := b.render.WebhookBody(t.Context(), e, true)
		if err != nil || strings.Contains(string(thin), "words") || strings.Contains(string(thin), "why") || len(thin) > 1000 {
			t.Errorf("thin: %.300s, %v", thin, err)
		}
		var got struct {
			ID   string
			Data struct {
				Object struct {
					ID     string
					Packet struct{ Thread []any }
				}
			}
		}
		if err := json.Unmarshal(full, &got); err != nil || !strings.HasPrefix(got.ID, "evt_") || got.Data.Object.ID == "" {
			t.Errorf("%s: %.300s, %v", e.Type, full, err)
		}
		if e.Type != events.EscalationOpened {
			continue
		}
		opened++
		if n := len(got.Data.Object.Packet.Thread); len(full) >= 64<<10 || n == 0 || n > 20 {
			t.Errorf("%d bytes with %d entries", len(full), n)
		}
	}
	if opened != 1 {
		t.Errorf("%d escalations were opened", opened)
	}
}

func TestAReaderSeesObjectsOfItsOwnScopeOnly(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	if _, err := other.conv.Start(t.Context(), other.w, conversations.Start{Message: conversations.Post{Text: "canary"}}, nil); err != nil {
		t.Fatal(err)
	}
	foreign := other.log()
	if len(foreign) < 2 {
		t.Fatalf("%d events", len(foreign))
	}
	// Events that got into the wrong hands, as by a mistake above.
	seen, err := b.render.Events(t.Context(), tenants.Of(b.w), foreign)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(seen)
	if err != nil || strings.Contains(string(raw), "canary") || strings.Count(string(raw), `"erased":true`) != len(foreign) || strings.Contains(string(raw), ids.Format(ids.Workspace, ids.ID{})) {
		t.Errorf("%s, %v", raw, err)
	}
}
