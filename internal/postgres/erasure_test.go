package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

// A table that nobody thought about when erasing was written keeps what a
// person said. So each says how a person's data leaves it, and one that does
// not say so fails here.
func TestEveryTableDeclaresHowAPersonsDataLeavesIt(t *testing.T) {
	t.Parallel()
	rows, err := postgrestest.Owner(t).Query(t.Context(), `
		select c.relname from pg_class c
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
			and coalesce(obj_description(c.oid, 'pg_class'), '') not like 'erasure: %' order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	silent, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range silent {
		t.Errorf("%s has no comment that begins with \"erasure: \"", table)
	}
}
