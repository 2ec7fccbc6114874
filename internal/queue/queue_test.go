package queue_test

import (
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
)

type work struct {
	WorkspaceID int64 `json:"workspace_id" river:"unique"`
	Nth         int   `json:"nth"`
}

func (work) Kind() string { return "test_work" }

func (work) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queue.Crawl, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

func TestAJobExistsOnlyIfItsTransactionCommittedAndOnceIfItIsUnique(t *testing.T) {
	t.Parallel()
	db, w, ctx := postgrestest.New(t), postgrestest.Tenant(t), t.Context()
	q, err := queue.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		err := postgrestest.Owner(t).QueryRow(ctx, "select count(*) from river.river_job where kind = 'test_work' and args->>'workspace_id' = $1 and queue = 'crawl'", strconv.FormatInt(w.ID, 10)).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	broken := errors.New("broken")
	if err := db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		if err := q.Insert(ctx, tx, work{w.ID, 1}, time.Time{}); err != nil {
			return err
		}
		return broken
	}); !errors.Is(err, broken) || count() != 0 {
		t.Errorf("rolled back: %v, %d jobs", err, count())
	}
	for nth := range 2 {
		if err := db.InWorkspace(ctx, w, func(tx pgx.Tx) error { return q.Insert(ctx, tx, work{w.ID, nth}, time.Time{}) }); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(); n != 1 {
		t.Errorf("inserted twice: %d jobs", n)
	}
	if err := db.InAgency(ctx, w.AgencyID, func(tx pgx.Tx) error {
		return q.InsertMany(ctx, tx, []river.JobArgs{work{w.ID, 3}, work{-w.ID, 4}}, time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("inserted many more: %d jobs", n)
	}
}
