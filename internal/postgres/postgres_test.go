package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

// tenant is an agency with one workspace, one member and one key.
type tenant struct {
	postgres.Workspace
	name string
	hash [32]byte
}

func newTenant(t *testing.T, db *postgres.DB, name string) tenant {
	t.Helper()
	now := time.Now()
	x := tenant{name: name}
	_, _ = rand.Read(x.hash[:])
	agency, workspace, key := ids.New(now), ids.New(now), ids.New(now)
	err := db.InSystem(t.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), "select create_agency($1, $2, $3)", agency, name, now).Scan(&x.AgencyID)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.InAgency(t.Context(), x.AgencyID, func(tx pgx.Tx) error {
		err := tx.QueryRow(t.Context(), `insert into workspaces (agency_id, id, name, slug, created_at, updated_at)
			values ($1, $2, $3, 'main', $4, $4) returning workspace_id`, x.AgencyID, workspace, name, now).Scan(&x.ID)
		if err != nil {
			return err
		}
		if _, err = tx.Exec(t.Context(), `insert into workspace_settings (agency_id, workspace_id, updated_at) values ($1, $2, $3)`, x.AgencyID, x.ID, now); err != nil {
			return err
		}
		if _, err = tx.Exec(t.Context(), `insert into members (agency_id, id, name, email, role, created_at, updated_at)
			values ($1, $2, $3, 'a@example.test', 'owner', $4, $4)`, x.AgencyID, ids.New(now), name, now); err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `insert into api_keys (agency_id, id, workspace_id, name, hash, last4, scopes, created_at, updated_at)
			values ($1, $2, $3, $4, $5, 'abcd', '{all}', $6, $6)`, x.AgencyID, key, x.ID, name, x.hash[:], now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

const (
	denied        = "42501" // insufficient_privilege, also what a policy's check gives
	unknownOption = "42704" // a setting that the scope did not set
)

func TestAScopeSeesItsOwnTenantOnly(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.New(t), t.Context()
	a, b := newTenant(t, db, "ours"), newTenant(t, db, "theirs")
	names := func(tx pgx.Tx, table string) []string {
		rows, err := tx.Query(ctx, "select name from "+table)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	look := func(tables ...string) func(pgx.Tx) error {
		return func(tx pgx.Tx) error {
			for _, table := range tables {
				if got := names(tx, table); len(got) != 1 || got[0] != a.name {
					t.Errorf("%s: %q", table, got)
				}
			}
			return nil
		}
	}
	if err := db.InWorkspace(ctx, a.Workspace, look("agencies", "workspaces", "members")); err != nil {
		t.Error(err)
	}
	if err := db.InAgency(ctx, a.AgencyID, look("agencies", "workspaces", "members", "api_keys")); err != nil {
		t.Error(err)
	}
	for what, statement := range map[string]string{
		"insert": "insert into members (agency_id, id, name, email, role, created_at, updated_at) values ($1, gen_random_uuid(), 'x', 'x@example.test', 'agent', now(), now())",
		"move":   "update members set agency_id = $1",
	} {
		err := db.InAgency(ctx, a.AgencyID, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, statement, b.AgencyID)
			return err
		})
		if code(err) != denied {
			t.Errorf("%s into another agency: %v", what, err)
		}
	}
	// A foreign key is checked as the owner, so it must carry the tenant.
	err := db.InAgency(ctx, a.AgencyID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "update api_keys set workspace_id = $1", b.ID)
		return err
	})
	if !postgres.Violates(err, "api_keys_agency_id_workspace_id_fkey") {
		t.Errorf("a key for another agency's workspace: %v", err)
	}
}

func TestAMemberOfOtherWorkspacesIsUnseen(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.New(t), t.Context()
	a := newTenant(t, db, "ours")
	count := func(allowed []int64) (n int) {
		err := db.InAgency(ctx, a.AgencyID, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "update members set workspace_ids = $1", allowed)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.InWorkspace(ctx, a.Workspace, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, "select count(*) from members").Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if nobody, some, all := count([]int64{a.ID + 1_000_000}), count([]int64{7, a.ID}), count(nil); nobody != 0 || some != 1 || all != 1 {
		t.Errorf("of other workspaces %d, of this among others %d, of all %d", nobody, some, all)
	}
}

func TestTheSystemSeesNoTenantsTable(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.New(t), t.Context()
	for _, table := range []string{"agencies", "workspaces", "workspace_settings", "members", "api_keys"} {
		err := db.InSystem(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "select * from "+table)
			return err
		})
		if code(err) != denied {
			t.Errorf("%s: %v", table, err)
		}
	}
}

func TestAKeyIsFoundByItsWholeHash(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.New(t), t.Context()
	a := newTenant(t, db, "ours")
	find := func(hash []byte) (found tenant, err error) {
		err = db.InSystem(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, "select agency_id, workspace_id from find_api_key($1)", hash).Scan(&found.AgencyID, &found.ID)
		})
		return found, err
	}
	if got, err := find(a.hash[:]); err != nil || got.Workspace != a.Workspace {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := find(a.hash[:31]); !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("by a part of the hash: %v, %v", got, err)
	}
	// Another scope has no business with keys of others.
	err := db.InWorkspace(ctx, a.Workspace, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "select find_api_key($1)", a.hash[:])
		return err
	})
	if code(err) != denied {
		t.Errorf("from a workspace: %v", err)
	}
}

func TestAScopeEndsWithItsTransaction(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	owner := postgrestest.Owner(t)
	a := newTenant(t, postgrestest.New(t), "ours")
	// One connection, so that the second transaction gets what the first left.
	one, err := postgres.Open(ctx, postgrestest.URL(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	for _, end := range []error{nil, errors.New("rolled back")} {
		if err := one.InWorkspace(ctx, a.Workspace, func(pgx.Tx) error { return end }); !errors.Is(err, end) {
			t.Fatal(err)
		}
		var who, setting string
		err = one.InSystem(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, "select current_user, coalesce(current_setting('relaydesk.workspace_id', true), '')").Scan(&who, &setting)
		})
		if err != nil || who != "relaydesk_system" || setting != "" {
			t.Errorf("%v: %s sees workspace %q", err, who, setting)
		}
	}
	// A policy that meets no setting is an error. An emptied one is, too.
	if _, err := owner.Exec(ctx, "set role relaydesk_workspace"); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, "select * from workspaces"); code(err) != unknownOption {
		t.Errorf("without a scope: %v", err)
	}
	if err := one.InWorkspace(ctx, postgres.Workspace{}, func(pgx.Tx) error { return nil }); err == nil {
		t.Error("a transaction for no workspace was opened")
	}
	if err := one.InAgency(ctx, 0, func(pgx.Tx) error { return nil }); err == nil {
		t.Error("a transaction for no agency was opened")
	}
}

func TestWhatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	a := newTenant(t, db, "ours")
	rename := func(ctx context.Context, tx pgx.Tx) {
		if _, err := tx.Exec(ctx, "update agencies set name = 'half done'"); err != nil {
			t.Error(err)
		}
	}
	func() {
		defer func() { _ = recover() }()
		_ = db.InAgency(t.Context(), a.AgencyID, func(tx pgx.Tx) error { rename(t.Context(), tx); panic("on purpose") })
	}()
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InAgency(ctx, a.AgencyID, func(tx pgx.Tx) error { rename(ctx, tx); cancel(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	var name string
	err = db.InAgency(t.Context(), a.AgencyID, func(tx pgx.Tx) error {
		// Waits for ever if one of the transactions above still holds its lock.
		return tx.QueryRow(t.Context(), "select name from agencies for update").Scan(&name)
	})
	if err != nil || name != a.name {
		t.Errorf("%q, %v", name, err)
	}
}

func TestTheLoginOwnsAndInheritsNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, statement := range []string{
		"select * from agencies", "select * from river.river_job", "create table mine ()",
		"set role relaydesk_lookup", "alter role relaydesk_server superuser",
	} {
		if _, err := conn.Exec(ctx, statement); err == nil {
			t.Errorf("%s: allowed", statement)
		}
	}
	var owned, strong int
	err = postgrestest.Owner(t).QueryRow(ctx, `select
		(select count(*) from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname like 'relaydesk%'),
		(select count(*) from pg_roles where rolname like 'relaydesk%' and (rolsuper or rolbypassrls or rolinherit or rolcreaterole))`).Scan(&owned, &strong)
	if err != nil || owned != 0 || strong != 0 {
		t.Errorf("%d tables owned, %d roles too strong, %v", owned, strong, err)
	}
}

func TestNodesThatStartTogetherMigrateOnce(t *testing.T) {
	t.Parallel()
	ctx, target := t.Context(), emptyDatabase(t, "migrate_together")
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			if err := postgres.Migrate(ctx, target, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
}

func TestAnUnknownOrChangedMigrationIsRefused(t *testing.T) {
	t.Parallel()
	ctx, target := t.Context(), emptyDatabase(t, "migrate_unknown")
	conn, err := pgx.Connect(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	quiet := slog.New(slog.DiscardHandler)
	if err := postgres.Migrate(ctx, target, quiet); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ statement, complaint string }{ // the second can't be taken back
		{"insert into migrations (version, name, sha256) values (9999, 'later', 'x')", "run a newer one"},
		{"update migrations set sha256 = 'x' where version = 1", "was changed"},
	} {
		tx, err := conn.Exec(ctx, c.statement)
		if err != nil || tx.RowsAffected() != 1 {
			t.Fatal(err)
		}
		if err := postgres.Migrate(ctx, target, quiet); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("after %s: %v", c.statement, err)
		}
		if _, err := conn.Exec(ctx, "delete from migrations where version = 9999"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPasswordIsNotInTheError(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"postgres://u:hunter2@[bad", "postgres://u:hunter2@127.0.0.1:1/x?connect_timeout=1"} {
		_, err := postgres.Open(t.Context(), bad, 1)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
		err = postgres.Migrate(t.Context(), bad, slog.New(slog.DiscardHandler))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

// emptyDatabase makes a database beside the tests' one and gives its owner's URL.
func emptyDatabase(t *testing.T, name string) string {
	t.Helper()
	owner := postgrestest.Owner(t)
	for _, statement := range []string{"drop database if exists " + name + " with (force)", "create database " + name} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(owner.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func TestTheServersLoginTellsWhetherTheSchemaIsItsOwn(t *testing.T) {
	t.Parallel()
	_, server, owner := postgrestest.Alone(t)
	if err := postgres.CheckSchema(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, c := range []struct{ change, says string }{
		{"delete from migrations where version > 1", "relaydesk migrate"},
		{"insert into migrations (version, name, sha256) select g, 'x', 'x' from generate_series(2, 99) g", "newer version"},
		{"delete from migrations", "relaydesk migrate"},
		{"drop table migrations", "relaydesk migrate"},
	} {
		if _, err := conn.Exec(t.Context(), c.change); err != nil {
			t.Fatal(err)
		}
		if err := postgres.CheckSchema(t.Context(), server); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("after %s: %v", c.change, err)
		}
	}
}

func TestEventsOfAMonthWithoutAPartitionMoveIntoItOnceItIsMade(t *testing.T) {
	t.Parallel()
	db, _, owner := postgrestest.Alone(t)
	w := postgrestest.TenantIn(t, db)
	later := time.Date(2031, time.May, 3, 12, 0, 0, 0, time.UTC)
	err := db.InWorkspace(t.Context(), w, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `insert into events (agency_id, workspace_id, ref, id, type, object_id, created_at)
			values ($1, $2, nextval('event_refs'), $3, 'message.created', $3, $4)`, w.AgencyID, w.ID, ids.New(later), later)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := postgres.MakePartitions(t.Context(), db, later); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var placed, unplaced int
	if err := conn.QueryRow(t.Context(), "select (select count(*) from events_203105), (select count(*) from events_unplaced)").Scan(&placed, &unplaced); err != nil || placed != 1 || unplaced != 0 {
		t.Errorf("%d placed, %d not, %v", placed, unplaced, err)
	}
}

func TestALoginIsMadeByManyAtOnce(t *testing.T) {
	t.Parallel()
	_, _, owner := postgrestest.Alone(t)
	var nodes sync.WaitGroup
	for range 8 {
		nodes.Go(func() {
			conn, err := pgx.Connect(t.Context(), owner)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			if err := postgres.EnsureLogin(t.Context(), conn, "made_at_once", "only-for-tests"); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
}
