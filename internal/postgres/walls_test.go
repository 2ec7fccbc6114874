package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

// What holds no tenant's data, and so needs no wall.
var withoutTenant = []string{"migrations", "event_lanes"}

// Which roles may reach tenant tables, and by which column their policies wall
// them off. A policy of relaydesk_lookup is open by design: nobody can become
// that role, it only owns the functions that answer for one exact key.
var walls = map[string]string{
	"relaydesk_workspace": "workspace_id",
	"relaydesk_agency":    "agency_id",
}

// holes reads the catalogue and names everything through which a tenant's rows
// could be reached without a wall.
func holes(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `
		select c.relname, c.relrowsecurity, c.relforcerowsecurity,
			exists (select from pg_attribute a where a.attrelid = c.oid and a.attname in ('agency_id', 'workspace_id') and not a.attisdropped)
		from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1`)
	if err != nil {
		return nil, err
	}
	var found, tables []string
	var table string
	var enabled, forced, tenant bool
	_, err = pgx.ForEachRow(rows, []any{&table, &enabled, &forced, &tenant}, func() error {
		switch {
		case slices.Contains(withoutTenant, table):
			return nil
		case !tenant:
			found = append(found, table+" has no tenant's column and is not listed as one that needs none")
		case !enabled || !forced:
			found = append(found, table+" has row level security not enabled and forced")
		}
		tables = append(tables, table)
		return nil
	})
	if err != nil {
		return nil, err
	}
	plumbing, err := readableBySystem(ctx, tx)
	if err != nil {
		return nil, err
	}
	found = append(found, plumbing...)
	for _, table := range tables {
		for role, column := range walls {
			h, err := holesOf(ctx, tx, table, role, column)
			if err != nil {
				return nil, err
			}
			found = append(found, h...)
		}
	}
	return found, nil
}

// holesOf looks at one table as one role: whoever was granted something needs
// exactly policies that compare the tenant's column with the scope's setting.
func holesOf(ctx context.Context, tx pgx.Tx, table, role, column string) ([]string, error) {
	var granted bool
	err := tx.QueryRow(ctx, `select has_table_privilege($1, 'public.'||$2, 'select, insert, update, delete, truncate')`, role, table).Scan(&granted)
	if err != nil || !granted {
		return nil, err
	}
	rows, err := tx.Query(ctx, `select policyname, coalesce(qual, ''), coalesce(with_check, ''), 'public' = any (roles)
		from pg_policies where schemaname = 'public' and tablename = $1 and ($2 = any (roles) or 'public' = any (roles))`, table, role)
	if err != nil {
		return nil, err
	}
	var found []string
	var name, using, check string
	var everybody bool
	policies := 0
	_, err = pgx.ForEachRow(rows, []any{&name, &using, &check, &everybody}, func() error {
		policies++
		compares := func(column, with string) bool {
			return strings.Contains(with, fmt.Sprintf("%s = (current_setting('relaydesk.%s'::text))::bigint", column, column))
		}
		walled := using != "" || check != ""
		for _, with := range []string{using, check} {
			// What belongs to the agency as a whole has no workspace to compare with.
			if with != "" && (!compares(column, with) && !compares("agency_id", with) || strings.Contains(strings.ReplaceAll(strings.ToLower(with), "(workspace_ids is null) or", ""), " or ")) {
				walled = false
			}
		}
		if everybody || !walled {
			found = append(found, fmt.Sprintf("policy %s of %s does not wall off %s", name, table, role))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if policies == 0 {
		found = append(found, fmt.Sprintf("%s was granted %s, which has no policy for it", role, table))
	}
	return found, nil
}

// readableBySystem names the columns by which relaydesk_system, which no wall
// holds, could read more than ids, numbers and times.
func readableBySystem(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `
		select c.relname || '.' || a.attname || ' is not an id, a number or a time, and relaydesk_system can read it'
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname <> 'migrations'
			and has_column_privilege('relaydesk_system', c.oid, a.attnum, 'select')
			and a.atttypid not in ('bigint'::regtype, 'smallint'::regtype, 'integer'::regtype, 'uuid'::regtype, 'timestamptz'::regtype, 'boolean'::regtype)`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func TestEveryTenantTableIsWalledOff(t *testing.T) {
	t.Parallel()
	inOwner(t, func(tx pgx.Tx) {
		found, err := holes(t.Context(), tx)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range found {
			t.Error(h)
		}
	})
}

// The check above must be able to fail: each wall is taken down once.
func TestAMissingWallIsNoticed(t *testing.T) { //nolint:tparallel // each locks tables that the others need
	t.Parallel()
	var breaks []string
	inOwner(t, func(tx pgx.Tx) {
		rows, err := tx.Query(t.Context(), `
			select format('drop policy %I on %I', policyname, tablename) from pg_policies
				where schemaname = 'public' and roles && '{relaydesk_workspace,relaydesk_agency}'::name[]
			union all select format('alter table %I disable row level security', tablename) from pg_tables where schemaname = 'public' and tablename not in ('migrations', 'event_lanes')
			union all select format('alter table %I no force row level security', tablename) from pg_tables where schemaname = 'public' and tablename not in ('migrations', 'event_lanes')`)
		if err != nil {
			t.Fatal(err)
		}
		if breaks, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	})
	if len(breaks) < 15 {
		t.Fatalf("only %d walls were found", len(breaks))
	}
	breaks = append(breaks,
		"create table left_open (workspace_id bigint, words text)",
		"create table no_tenant (words text)",
		"create policy everybody on members using (true)",
		"create policy open on members for select to relaydesk_agency using (agency_id > 0)",
		"grant select on members to relaydesk_system",
		"create policy or_not on members for select to relaydesk_agency using (agency_id = current_setting('relaydesk.agency_id')::bigint or status = 'active')",
		"create view all_members as select * from members",
	)
	for _, statement := range breaks {
		t.Run(statement, func(t *testing.T) {
			inOwner(t, func(tx pgx.Tx) {
				if _, err := tx.Exec(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
				if found, err := holes(t.Context(), tx); err != nil || len(found) == 0 {
					t.Errorf("after %q: %v, %v", statement, found, err)
				}
			})
		})
	}
}

// inOwner runs a function in a superuser's transaction that is rolled back.
func inOwner(t *testing.T, do func(pgx.Tx)) {
	t.Helper()
	tx, err := postgrestest.Owner(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	do(tx)
}
