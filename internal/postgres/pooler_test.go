package postgres_test

import (
	"context"
	"log/slog"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

// What a pooler in transaction mode can't carry is a name of a statement, which
// the next transaction would look for on another connection, and listening.
func TestThroughAPoolerNoStatementKeepsANameAndListeningGoesAroundIt(t *testing.T) {
	t.Parallel()
	_, server, owner := postgrestest.Alone(t)
	w := postgres.Workspace{AgencyID: 1, ID: 1}
	open := func(options ...postgres.Option) *postgres.DB {
		t.Helper()
		db, err := postgres.Open(t.Context(), named(t, server, "pooled"), 1, options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	// names counts what is left on the only connection after work of all kinds.
	names := func(db *postgres.DB) (n int) {
		t.Helper()
		for range 3 {
			var got int
			if err := db.InWorkspace(t.Context(), w, func(tx pgx.Tx) error {
				batch := &pgx.Batch{}
				batch.Queue("select $1::int + 1", 1)
				batch.Queue("select $1::jsonb", map[string]string{"a": "b"})
				if err := tx.SendBatch(t.Context(), batch).Close(); err != nil {
					return err
				}
				return tx.QueryRow(t.Context(), "select cardinality(@all::text[])", pgx.StrictNamedArgs{"all": []string{"a", "b"}}).Scan(&got)
			}); err != nil || got != 2 {
				t.Fatalf("%d %v", got, err)
			}
			if err := db.OneTrip(t.Context(), w, false, "select $1::int", []any{7}, func(row pgx.Row) error { return row.Scan(&got) }); err != nil || got != 7 {
				t.Fatalf("%d %v", got, err)
			}
		}
		if err := db.InSystem(t.Context(), func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), "select count(*) from pg_prepared_statements").Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := names(open()); n == 0 {
		t.Error("without a pooler statements are prepared once; this test sees none, so it would see none below either")
	}
	pooled := open(postgres.Direct(named(t, server, "direct")))
	if n := names(pooled); n != 0 {
		t.Errorf("%d statements keep a name", n)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	heard := make(chan string, 100)
	go pooled.Listen(ctx, slog.New(slog.DiscardHandler), "pooler_test", func(payload string) { heard <- payload })
	for said := false; !said; {
		if err := pooled.Notify(ctx, "pooler_test", "hello"); err != nil { // again, until it listens
			t.Fatal(err)
		}
		select {
		case <-heard:
			said = true
		default:
		}
	}
	admin, err := pgx.Connect(ctx, owner)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	var by string
	const who = "select string_agg(distinct application_name, ' ') from pg_stat_activity where datname = current_database() and query like 'listen%'"
	if err := admin.QueryRow(ctx, who).Scan(&by); err != nil || by != "direct" {
		t.Errorf("listening goes by %q: %v", by, err)
	}
}

// named tells Postgres who connects.
func named(t *testing.T, database, application string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("application_name", application)
	u.RawQuery = q.Encode()
	return u.String()
}
