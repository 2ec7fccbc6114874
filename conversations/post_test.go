package conversations_test

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
)

// The statement that stores a message inserts its job without River's help; the
// day River makes its rows otherwise, this fails.
func TestTheJobOfAPostIsWhatRiverWouldInsertAndWakesItsWorkers(t *testing.T) {
	t.Parallel()
	db, _, owner := postgrestest.Alone(t)
	w, ctx := postgrestest.TenantIn(t, db), t.Context()
	q, err := queue.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `listen "river.river_insert"`); err != nil {
		t.Fatal(err)
	}
	heard := func() string {
		t.Helper()
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return n.Payload
	}
	job := conversations.AnswerTurn{AgencyID: w.AgencyID, WorkspaceID: w.ID, TurnID: ids.New(time.Now()), Lease: 1}
	err = db.InWorkspace(ctx, w, func(tx pgx.Tx) error { return q.Insert(ctx, tx, job, time.Time{}) })
	if err != nil {
		t.Fatal(err)
	}
	rivers := heard()
	time.Sleep(2 * queue.Notifying) // nothing can be waited for: the pause itself is what is needed
	c := conversations.New(db, clock.System(), q)
	started, err := c.Start(ctx, w, conversations.Start{Message: conversations.Post{Text: "Hello"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ours := heard(); ours != rivers {
		t.Errorf("River's workers are woken by %q, not by %q", rivers, ours)
	}
	rows, err := conn.Query(ctx, "select to_jsonb(j) from river.river_job j order by id")
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowTo[map[string]any])
	if err != nil || len(jobs) != 2 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	var args conversations.AnswerTurn
	text, _ := json.Marshal(jobs[1]["args"])
	if err := json.Unmarshal(text, &args); err != nil || args.TurnID != started.Turn.ID || args.WorkspaceID != w.ID || args.AgencyID != w.AgencyID || args.Lease != 1 {
		t.Errorf("%s: %v", text, err)
	}
	for _, j := range jobs {
		for _, own := range []string{"id", "args", "created_at", "scheduled_at"} {
			if j[own] == nil {
				t.Errorf("no %s", own)
			}
			delete(j, own)
		}
	}
	if !reflect.DeepEqual(jobs[0], jobs[1]) {
		t.Errorf("River inserts %v\nwe insert %v", jobs[0], jobs[1])
	}
}
