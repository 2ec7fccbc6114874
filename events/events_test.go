package events_test

import (
	"context"
	"encoding/json"
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
)

var errOnPurpose = errors.New("rolled back on purpose")

// setup gives a database of the test's own: a relay takes the events of all tenants.
func setup(t *testing.T) (*postgres.DB, postgres.Workspace) {
	t.Helper()
	db, _, _ := postgrestest.Alone(t)
	return db, postgrestest.TenantIn(t, db)
}

// change appends one event about an object in a transaction of its own.
func change(ctx context.Context, db *postgres.DB, w postgres.Workspace, object ids.ID, nth int, end error) error {
	return db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		now := time.Now()
		nth, err := json.Marshal(nth)
		if err != nil {
			return err
		}
		if err := events.Append(ctx, tx, events.Event{
			ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ConversationUpdated, Object: object, Changes: nth, At: now,
		}); err != nil {
			return err
		}
		// Commits in another order than it drew its ref.
		time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
		return end
	})
}

func read(t *testing.T, db *postgres.DB, f events.Filter, after int64) (all []events.Event) {
	t.Helper()
	err := db.InAgency(t.Context(), f.AgencyID, func(tx pgx.Tx) (err error) {
		all, err = events.Read(t.Context(), tx, f, after, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func relay(t *testing.T, db *postgres.DB, fanOut func(context.Context, pgx.Tx, []events.Numbered) error) *events.Relay {
	t.Helper()
	return events.NewRelay(db, slog.New(slog.NewTextHandler(t.Output(), nil)), fanOut, nil)
}

// A follower polls while writers of many objects commit out of order, some of
// them roll back, and two nodes number.
func TestAFollowerMissesNothingAndSeesEachObjectInOrder(t *testing.T) {
	t.Parallel()
	const objects, each = 8, 40
	db, w := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	var fanned sync.Map
	var nodes, writers sync.WaitGroup
	for range 2 {
		node := relay(t, db, func(_ context.Context, _ pgx.Tx, batch []events.Numbered) error {
			for _, n := range batch {
				if _, twice := fanned.LoadOrStore(n.ID, n.Position); twice {
					t.Errorf("event at %d was fanned out twice", n.Position)
				}
			}
			return nil
		})
		nodes.Go(func() { node.Run(ctx) })
		nodes.Go(func() {
			for ctx.Err() == nil {
				node.Wake()
				time.Sleep(time.Millisecond)
			}
		})
	}
	for range objects {
		object := ids.New(time.Now())
		writers.Go(func() {
			for nth := range each {
				if nth%5 == 4 {
					if err := change(ctx, db, w, object, -1, errOnPurpose); !errors.Is(err, errOnPurpose) {
						t.Error(err)
					}
				}
				if err := change(ctx, db, w, object, nth, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := map[ids.ID]int{}
	last, deadline := int64(0), time.Now().Add(time.Minute)
	for last < objects*each && time.Now().Before(deadline) {
		for _, e := range read(t, db, events.Filter{AgencyID: w.AgencyID}, last) {
			var nth int
			if err := json.Unmarshal(e.Changes, &nth); err != nil {
				t.Fatal(err)
			}
			if e.Position != last+1 || nth != next[e.Object] {
				t.Fatalf("after position %d came %d; of its object %d, want %d", last, e.Position, nth, next[e.Object])
			}
			if e.WorkspaceID != w.ID || e.Type != events.ConversationUpdated || !e.Conversation.IsZero() {
				t.Fatalf("read back as %+v", e)
			}
			last, next[e.Object] = e.Position, nth+1
		}
	}
	writers.Wait()
	cancel()
	nodes.Wait()
	if more := read(t, db, events.Filter{AgencyID: w.AgencyID}, last); last != objects*each || len(more) != 0 {
		t.Errorf("followed to %d of %d, then %d more", last, objects*each, len(more))
	}
	count := 0
	fanned.Range(func(_, _ any) bool { count++; return true })
	if count != objects*each {
		t.Errorf("%d of %d events were fanned out", count, objects*each)
	}
}

func TestATransactionThatStaysOpenHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	db, w := setup(t)
	node := relay(t, db, nil)
	ctx := t.Context()
	slow, quick := ids.New(time.Now()), ids.New(time.Now())
	err := db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		now := time.Now()
		err := events.Append(ctx, tx, events.Event{ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ConversationUpdated, Object: slow, At: now})
		if err != nil {
			return err
		}
		if err := change(ctx, db, w, quick, 0, nil); err != nil {
			return err
		}
		if err := node.Drain(ctx); err != nil {
			return err
		}
		if all := read(t, db, events.Filter{AgencyID: w.AgencyID}, 0); len(all) != 1 || all[0].Object != quick {
			t.Errorf("while it is open: %+v", all)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if all := read(t, db, events.Filter{AgencyID: w.AgencyID}, 1); len(all) != 1 || all[0].Object != slow || all[0].Position != 2 {
		t.Errorf("once it is committed: %+v", all)
	}
}

func TestAFailedFanOutLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	db, w := setup(t)
	ctx := t.Context()
	failing := relay(t, db, func(_ context.Context, _ pgx.Tx, batch []events.Numbered) error {
		for _, n := range batch {
			if n.AgencyID == w.AgencyID {
				return errOnPurpose
			}
		}
		return nil
	})
	object := ids.New(time.Now())
	if err := change(ctx, db, w, object, 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := failing.Drain(ctx); !errors.Is(err, errOnPurpose) {
		t.Fatal(err)
	}
	if err := relay(t, db, nil).Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if all := read(t, db, events.Filter{AgencyID: w.AgencyID}, 0); len(all) != 1 || all[0].Position != 1 {
		t.Errorf("%+v", all)
	}
}

func TestALogIsReadByItsFilters(t *testing.T) {
	t.Parallel()
	db, w := setup(t)
	ctx := t.Context()
	other, stranger := postgrestest.MoreWorkspaceIn(t, db, w.AgencyID, "other"), postgrestest.TenantIn(t, db)
	conversation, now := ids.New(time.Now()), time.Now()
	appendAll := func(w postgres.Workspace, all ...events.Event) {
		for i := range all {
			all[i].ID, all[i].Object, all[i].At, all[i].AgencyID, all[i].WorkspaceID = ids.New(now), ids.New(now), now, w.AgencyID, w.ID
		}
		if err := db.InWorkspace(ctx, w, func(tx pgx.Tx) error { return events.Append(ctx, tx, all...) }); err != nil {
			t.Fatal(err)
		}
	}
	appendAll(w, events.Event{Type: events.ConversationCreated}, events.Event{Type: events.MessageCreated, Conversation: conversation}, events.Event{Type: events.ConversationResolved, Conversation: conversation})
	appendAll(other, events.Event{Type: events.ConversationCreated})
	appendAll(stranger, events.Event{Type: events.ConversationCreated})
	if err := relay(t, db, nil).Drain(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		filter events.Filter
		after  int64
		want   []events.Type
	}{
		{"all of the agency", events.Filter{}, 0, []events.Type{events.ConversationCreated, events.MessageCreated, events.ConversationResolved, events.ConversationCreated}},
		{"after a position", events.Filter{}, 2, []events.Type{events.ConversationResolved, events.ConversationCreated}},
		{"of a workspace", events.Filter{WorkspaceID: w.ID}, 0, []events.Type{events.ConversationCreated, events.MessageCreated, events.ConversationResolved}},
		{"of a conversation", events.Filter{Conversation: conversation}, 0, []events.Type{events.MessageCreated, events.ConversationResolved}},
		{"of some types", events.Filter{Types: []events.Type{events.ConversationCreated}}, 1, []events.Type{events.ConversationCreated}},
		{"of another agency's workspace", events.Filter{WorkspaceID: stranger.ID}, 0, nil},
	} {
		c.filter.AgencyID = w.AgencyID
		got := read(t, db, c.filter, c.after)
		if len(got) != len(c.want) {
			t.Errorf("%s: %d events, want %d", c.name, len(got), len(c.want))
			continue
		}
		for i := range got {
			if got[i].Type != c.want[i] {
				t.Errorf("%s: %s is number %d, want %s", c.name, got[i].Type, i, c.want[i])
			}
		}
	}
	err := db.InAgency(ctx, w.AgencyID, func(tx pgx.Tx) error {
		oldest, newest, err := events.Bounds(ctx, tx, w.AgencyID)
		if oldest != 1 || newest != 4 {
			t.Errorf("kept from %d to %d", oldest, newest)
		}
		if foreign, err := events.Read(ctx, tx, events.Filter{AgencyID: stranger.AgencyID}, 0, 10); err != nil || len(foreign) != 0 {
			t.Errorf("another agency's log: %+v, %v", foreign, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		got, err := events.Read(ctx, tx, events.Filter{AgencyID: w.AgencyID}, 0, 10)
		if len(got) != 3 {
			t.Errorf("a workspace reads %d events of its agency's 4", len(got))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEventsOfDifferentTenantsAreNotMixed(t *testing.T) {
	t.Parallel()
	db, a, b, ctx := postgrestest.New(t), postgrestest.Tenant(t), postgrestest.Tenant(t), t.Context()
	now := time.Now()
	of := func(w postgres.Workspace) events.Event {
		return events.Event{ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ConversationCreated, Object: ids.New(now), At: now}
	}
	for name, all := range map[string][]events.Event{"both": {of(a), of(b)}, "the other's": {of(b)}} {
		if err := db.InWorkspace(ctx, a, func(tx pgx.Tx) error { return events.Append(ctx, tx, all...) }); err == nil {
			t.Errorf("%s: appended", name)
		}
	}
}

func TestAnEventOfAnyMonthIsKept(t *testing.T) {
	t.Parallel()
	db, w := setup(t)
	ctx := t.Context()
	for _, at := range []time.Time{time.Now().AddDate(-3, 0, 0), time.Now(), time.Now().AddDate(0, 1, 0), time.Now().AddDate(5, 0, 0)} {
		err := db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
			return events.Append(ctx, tx, events.Event{ID: ids.New(at), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ConversationCreated, Object: ids.New(at), At: at})
		})
		if err != nil {
			t.Error(err)
		}
	}
	if err := relay(t, db, nil).Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if got := read(t, db, events.Filter{AgencyID: w.AgencyID}, 0); len(got) != 4 {
		t.Errorf("%d of 4 events", len(got))
	}
}
