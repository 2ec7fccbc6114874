package events_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// node is one of several processes that share a database.
type node struct {
	db    *postgres.DB
	hub   *events.Hub
	relay *events.Relay
}

func startNode(t *testing.T, url string) node {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db, err := postgres.Open(t.Context(), url, 10)
	if err != nil {
		t.Fatal(err)
	}
	n := node{db: db, hub: events.NewHub(db, log)}
	n.relay = events.NewRelay(db, log, nil, n.hub.Numbered)
	db.OnAnnounce(n.relay.Wake)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { n.relay.Run(ctx) })
	work.Go(func() { n.hub.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait(); db.Close() })
	return n
}

var errDropped = errors.New("the connection was dropped")

func TestAFollowerThatIsDroppedAgainAndAgainBetweenTwoNodesSeesEveryEventOnceInOrder(t *testing.T) {
	t.Parallel()
	const count = 300
	_, url, _ := postgrestest.Alone(t)
	nodes := []node{startNode(t, url), startNode(t, url)}
	w := postgrestest.TenantIn(t, nodes[0].db)
	var writers sync.WaitGroup
	for range 3 {
		object := ids.New(time.Now())
		writers.Go(func() {
			for nth := range count / 3 {
				if err := change(t.Context(), nodes[nth%2].db, w, object, nth, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	last, drops := int64(0), 0
	for last < count && ctx.Err() == nil {
		err := nodes[drops%2].hub.Follow(ctx, events.Filter{AgencyID: w.AgencyID, WorkspaceID: w.ID}, last, time.Second, func(p events.Page) error {
			for _, e := range p.Events {
				if e.Position != last+1 {
					t.Errorf("after %d came %d", last, e.Position)
				}
				last = e.Position
				if last == count || rand.IntN(5) == 0 {
					return errDropped
				}
			}
			return nil
		})
		if !errors.Is(err, errDropped) {
			t.Fatal(err)
		}
		drops++
	}
	writers.Wait()
	if last != count {
		t.Errorf("followed to %d of %d", last, count)
	}
}

func TestAHeartbeatCarriesThePositionThatAQuietFollowerMayResumeFrom(t *testing.T) {
	t.Parallel()
	_, url, _ := postgrestest.Alone(t)
	n := startNode(t, url)
	w := postgrestest.TenantIn(t, n.db)
	noisy := postgrestest.MoreWorkspaceIn(t, n.db, w.AgencyID, "noisy")
	if err := change(t.Context(), n.db, noisy, ids.New(time.Now()), 0, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := n.hub.Follow(ctx, events.Filter{AgencyID: w.AgencyID, WorkspaceID: w.ID}, 0, 10*time.Millisecond, func(p events.Page) error {
		if len(p.Events) != 0 {
			t.Errorf("saw another workspace's events: %+v", p.Events)
		}
		if p.To == 1 {
			return errDropped
		}
		return nil
	})
	if !errors.Is(err, errDropped) {
		t.Fatal(err)
	}
}

func TestANodeThatStopsEndsThoseWhoFollow(t *testing.T) {
	t.Parallel()
	_, url, _ := postgrestest.Alone(t)
	n := startNode(t, url)
	w := postgrestest.TenantIn(t, n.db)
	ended := make(chan error)
	go func() {
		ended <- n.hub.Follow(t.Context(), events.Filter{AgencyID: w.AgencyID}, 0, time.Hour, func(events.Page) error { return nil })
	}()
	n.hub.Stop()
	n.hub.Stop()
	if err := <-ended; !errors.Is(err, events.ErrStopping) {
		t.Error(err)
	}
}

func TestAPositionThatIsNoLongerKeptIsGone(t *testing.T) {
	t.Parallel()
	_, url, owner := postgrestest.Alone(t)
	n := startNode(t, url)
	w := postgrestest.TenantIn(t, n.db)
	for nth := range 4 {
		if err := change(t.Context(), n.db, w, ids.New(time.Now()), nth, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.relay.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := events.Filter{AgencyID: w.AgencyID}
	for {
		if now, err := n.hub.Now(t.Context(), w.AgencyID); err != nil {
			t.Fatal(err)
		} else if now == 4 {
			break
		}
	}
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "delete from event_log where position <= 2"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.hub.Next(t.Context(), f, 1, 10); !errors.Is(err, events.ErrGone) {
		t.Errorf("from 1: %v", err)
	}
	for after, want := range map[int64]int{0: 2, 2: 2, 3: 1, 4: 0} {
		if p, err := n.hub.Next(t.Context(), f, after, 10); err != nil || len(p.Events) != want || p.To != 4 {
			t.Errorf("from %d: %d events to %d, %v", after, len(p.Events), p.To, err)
		}
	}
	if _, err := n.hub.Next(t.Context(), f, 5, 10); !errors.Is(err, events.ErrGone) {
		t.Errorf("from beyond the end: %v", err)
	}
}

func TestAPositionMeansNothingToAnotherAgency(t *testing.T) {
	t.Parallel()
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	p := events.NewPositions(box.Block("positions"))
	for _, position := range []int64{0, 1, 77, 1 << 60} {
		s := p.Format(5, position)
		if got, err := p.Parse(5, s); err != nil || got != position {
			t.Errorf("%d: %d, %v", position, got, err)
		}
		if _, err := p.Parse(6, s); !errors.Is(err, events.ErrPosition) {
			t.Errorf("another agency: %v", err)
		}
	}
	if got, err := p.Parse(5, "0"); err != nil || got != 0 {
		t.Errorf("0: %d, %v", got, err)
	}
	for _, s := range []string{"", "1", "x", "AAAAAAAAAAAAAAAAAAAAAA", p.Format(5, 1) + "A"} {
		if _, err := p.Parse(5, s); !errors.Is(err, events.ErrPosition) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzPositions(f *testing.F) {
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		f.Fatal(err)
	}
	p := events.NewPositions(box.Block("positions"))
	f.Add("0")
	f.Add(p.Format(5, 1))
	f.Fuzz(func(t *testing.T, s string) {
		if position, err := p.Parse(5, s); err == nil && s != "0" && p.Format(5, position) != s {
			t.Errorf("%q is a second form of %d", s, position)
		}
	})
}
