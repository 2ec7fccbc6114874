package wire_test

import (
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/bench/internal/wire"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

func TestRoundTripsAreCountedByTransactionAndRole(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	through, err := url.Parse(postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	counter, err := wire.Listen(ctx, through.Host)
	if err != nil {
		t.Fatal(err)
	}
	through.Host = counter.Address()
	db, err := postgres.Open(ctx, through.String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := postgrestest.Tenant(t)
	one := func(row pgx.Row) error { return row.Scan(new(int)) }
	for _, c := range []struct {
		what, role string
		trips      int
		do         func() error
	}{
		{"one trip", "workspace", 1, func() error { return db.OneTrip(ctx, w, false, "select 1", nil, one) }},
		{"begin, statement, commit", "workspace", 3, func() error {
			return db.InWorkspace(ctx, w, func(tx pgx.Tx) error { return one(tx.QueryRow(ctx, "select 2")) })
		}},
		{"begin, batch, commit", "system", 3, func() error {
			return db.InSystem(ctx, func(tx pgx.Tx) error {
				batch := &pgx.Batch{}
				batch.Queue("select 3").QueryRow(one)
				batch.Queue("select 4").QueryRow(one)
				return tx.SendBatch(ctx, batch).Close()
			})
		}},
		{"begin, two statements, commit", "agency", 4, func() error {
			return db.InAgency(ctx, w.AgencyID, func(tx pgx.Tx) error {
				if err := one(tx.QueryRow(ctx, "select 5")); err != nil {
					return err
				}
				return one(tx.QueryRow(ctx, "select 6"))
			})
		}},
	} {
		for range 2 { // the first prepares statements
			counter.Take()
			if err := c.do(); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
		}
		all := counter.Take()
		if len(all) != 1 || all[0].Role != c.role || len(all[0].Trips) != c.trips {
			t.Errorf("%s: %+v", c.what, all)
		}
	}
}
