package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/relaydesk/relaydesk/migrations"
)

// QueueSchema is the schema of River's tables.
const QueueSchema = "river"

// migrating is the advisory lock that lets one node migrate at a time.
const migrating = 7_263_412_905

// makeRoles makes the roles that row level security is written for. Roles
// belong to the whole cluster, so another database's migration may have made
// them, or be making them now.
const makeRoles = `
do $$
declare wanted text;
begin
  foreach wanted in array array['relaydesk_workspace', 'relaydesk_agency', 'relaydesk_system', 'relaydesk_lookup'] loop
    begin
      if not exists (select from pg_roles where rolname = wanted) then
        execute format('create role %I nologin noinherit', wanted);
      end if;
    exception when duplicate_object or unique_violation then null;
    end;
  end loop;
  if not (select rolsuper from pg_roles where rolname = current_user)
     and not pg_has_role(current_user, 'relaydesk_lookup', 'member') then
    execute format('grant relaydesk_lookup to %I', current_user);
  end if;
end $$`

const grantQueue = `
grant usage on schema river to relaydesk_workspace, relaydesk_agency, relaydesk_system;
grant select, insert, update, delete on all tables in schema river to relaydesk_system;
grant select, insert, update on river.river_job to relaydesk_workspace, relaydesk_agency;
grant usage on all sequences in schema river to relaydesk_workspace, relaydesk_agency, relaydesk_system;
grant execute on all functions in schema river to relaydesk_workspace, relaydesk_agency, relaydesk_system`

// Migrate brings the database of the URL to this program's schema. The login
// becomes the owner of all tables, and needs to be allowed to create roles.
// Nodes that start together wait for one of them. A database that has a
// migration which this program does not know, or knows with other contents, is
// left alone with an error: an older program must not run on a newer schema.
func Migrate(ctx context.Context, url string, log *slog.Logger) (err error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return errors.New("migrate: the connection URL can't be read")
	}
	defer pool.Close()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate: connect: %w", err)
	}
	// The advisory lock belongs to the session: closing it, instead of handing
	// it back to the pool, releases the lock in every case.
	session := conn.Hijack()
	defer func() { err = errors.Join(err, session.Close(context.WithoutCancel(ctx))) }()
	if _, err := session.Exec(ctx, "select pg_advisory_lock($1)", migrating); err != nil {
		return fmt.Errorf("migrate: wait for another node: %w", err)
	}
	if _, err := session.Exec(ctx, makeRoles); err != nil {
		return fmt.Errorf("migrate: make roles: %w", err)
	}
	if err := migrateQueue(ctx, session, pool, log); err != nil {
		return fmt.Errorf("migrate the queue: %w", err)
	}
	return applyAll(ctx, session, log)
}

func migrateQueue(ctx context.Context, session *pgx.Conn, pool *pgxpool.Pool, log *slog.Logger) error {
	if _, err := session.Exec(ctx, "create schema if not exists "+QueueSchema); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler) // River reports each of its steps
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: QueueSchema, Logger: quiet})
	if err != nil {
		return err
	}
	result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return err
	}
	if len(result.Versions) > 0 {
		log.InfoContext(ctx, "migrated the queue", "versions", len(result.Versions))
	}
	_, err = session.Exec(ctx, grantQueue)
	return err
}

func applyAll(ctx context.Context, session *pgx.Conn, log *slog.Logger) error {
	const book = `create table if not exists migrations (
		version int primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now());
		comment on table migrations is 'erasure: not a person''s';
		grant select on migrations to relaydesk_system`
	if _, err := session.Exec(ctx, book); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	known, err := readMigrations()
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, session)
	if err != nil {
		return err
	}
	for version, sum := range applied {
		if version > len(known) {
			return fmt.Errorf("migrate: the database has migration %d, which this version of Relaydesk does not know: run a newer one", version)
		}
		if known[version-1].sum != sum {
			return fmt.Errorf("migrate: %s was changed after it had been applied to this database", known[version-1].name)
		}
	}
	for i, m := range known {
		if _, done := applied[i+1]; done {
			continue
		}
		err := pgx.BeginFunc(ctx, session, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, m.sql); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "insert into migrations (version, name, sha256) values ($1, $2, $3)", i+1, m.name, m.sum)
			return err
		})
		if err != nil {
			return fmt.Errorf("migrate: apply %s: %w", m.name, err)
		}
		log.InfoContext(ctx, "migrated", "name", m.name)
	}
	return nil
}

// CheckSchema refuses a database whose schema is not this program's, and says
// what to do about it.
func CheckSchema(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return errors.New("check the schema: the connection URL can't be read")
	}
	config.RuntimeParams["role"] = "relaydesk_system"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		if strings.Contains(err.Error(), "unsupported startup parameter") {
			return errors.New("check the schema: this is PgBouncer, not Postgres: set RELAYDESK_DATABASE_DIRECT_URL to Postgres itself")
		}
		return fmt.Errorf("check the schema: connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	known, err := readMigrations()
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, conn)
	switch {
	case err != nil:
		return fmt.Errorf("check the schema: has `relaydesk migrate` been run? %w", err)
	case len(applied) < len(known):
		return fmt.Errorf("the database lacks %d migrations: run `relaydesk migrate` first", len(known)-len(applied))
	case len(applied) > len(known):
		return errors.New("the database was migrated by a newer version of Relaydesk: run that one")
	}
	for i, m := range known {
		if applied[i+1] != m.sum {
			return fmt.Errorf("check the schema: %s is not the migration that was applied to this database", m.name)
		}
	}
	return nil
}

func appliedMigrations(ctx context.Context, session *pgx.Conn) (map[int]string, error) {
	rows, err := session.Query(ctx, "select version, sha256 from migrations")
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	applied := map[int]string{}
	var version int
	var sum string
	if _, err = pgx.ForEachRow(rows, []any{&version, &sum}, func() error { applied[version] = sum; return nil }); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

type migration struct{ name, sql, sum string }

// readMigrations reads the embedded files and insists on 1, 2, 3, …
func readMigrations() ([]migration, error) {
	entries, err := fs.ReadDir(migrations.Files, ".")
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, e := range entries { // sorted by name
		if n, err := strconv.Atoi(e.Name()[:min(4, len(e.Name()))]); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s should begin with %04d", e.Name(), i+1)
		}
		text, err := fs.ReadFile(migrations.Files, e.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{e.Name(), string(text), hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// MakePartitions makes those that the months from now on need. It runs as the
// tables' owner, by a function that can do nothing else.
func MakePartitions(ctx context.Context, db *DB, now time.Time) error {
	err := db.InSystem(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "select make_event_partitions($1)", now)
		return err
	})
	if err != nil {
		return fmt.Errorf("make partitions: %w", err)
	}
	return nil
}

// SchemaKey changes whenever a migration does; test databases are kept by it.
func SchemaKey() (string, error) {
	all, err := readMigrations()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, m := range all {
		h.Write([]byte(m.sum))
	}
	h.Write([]byte(makeRoles + grantQueue))
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// EnsureLogin makes a login that can do what the server does and nothing else:
// it owns nothing, inherits nothing, and may only become one of the three
// roles. An existing login of that name gets the password. Logins belong to the
// whole cluster: one that somebody else makes at the same moment is tried again.
func EnsureLogin(ctx context.Context, conn *pgx.Conn, name, password string) error {
	var err error
	for try := range 20 {
		if err = ensureLogin(ctx, conn, name, password); err == nil {
			return nil
		}
		e, ok := errors.AsType[*pgconn.PgError](err)
		// unique_violation, duplicate_object, and a tuple updated concurrently.
		if !ok || e.Code != "23505" && e.Code != "42710" && e.Code != "XX000" {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 5 * time.Millisecond):
		}
	}
	return fmt.Errorf("make login %s: %w", name, err)
}

func ensureLogin(ctx context.Context, conn *pgx.Conn, name, password string) error {
	var statement string
	err := conn.QueryRow(ctx, `select format(
		case when exists (select from pg_roles where rolname = $1) then 'alter role %1$I' else 'create role %1$I' end
		|| ' login noinherit nosuperuser nocreatedb nocreaterole nobypassrls password %2$L;'
		|| ' grant relaydesk_workspace, relaydesk_agency, relaydesk_system to %1$I', $1::text, $2::text)`, name, password).Scan(&statement)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return err
}

// Migration is a step of the schema, as this program knows it and as the
// database has it.
type Migration struct {
	Version   int       `json:"version"`
	Name      string    `json:"name"`
	State     string    `json:"state"` // applied, pending, changed, or unknown to this program
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

// The states of a Migration.
const (
	Applied = "applied"
	Pending = "pending"
	Changed = "changed"
	Unknown = "unknown"
)

// Status lists all migrations. The first is River's schema, all its steps as one. It
// changes nothing, and works for the owner and for the server's login alike.
func Status(ctx context.Context, url string) ([]Migration, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, errors.New("look at the schema: the connection URL can't be read")
	}
	defer pool.Close()
	conn, err := pool.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("look at the schema: connect: %w", err)
	}
	defer conn.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
	// The server's login may read the book only as one of its roles.
	const become = `select set_config('role', 'relaydesk_system', true) from pg_roles
		where rolname = 'relaydesk_system' and pg_has_role(current_user, oid, 'member') and not pg_has_role(current_user, oid, 'usage')`
	if _, err := conn.Exec(ctx, become); err != nil {
		return nil, fmt.Errorf("look at the schema: %w", err)
	}
	queue, err := queueStatus(ctx, conn, pool)
	if err != nil {
		return nil, err
	}
	all := []Migration{queue}
	known, err := readMigrations()
	if err != nil {
		return nil, err
	}
	for i, m := range known {
		all = append(all, Migration{Version: i + 1, Name: m.name, State: Pending})
	}
	var exists bool
	if err := conn.QueryRow(ctx, "select to_regclass('public.migrations') is not null").Scan(&exists); err != nil || !exists {
		return all, err
	}
	rows, err := conn.Query(ctx, "select version, name, sha256, applied_at from public.migrations order by version")
	if err != nil {
		return nil, fmt.Errorf("look at the schema: %w", err)
	}
	var m Migration
	var sum string
	_, err = pgx.ForEachRow(rows, []any{&m.Version, &m.Name, &sum, &m.AppliedAt}, func() error {
		switch {
		case m.Version > len(known):
			m.State = Unknown
			all = append(all, m)
			return nil
		case known[m.Version-1].sum != sum:
			m.State = Changed
		default:
			m.State = Applied
		}
		all[m.Version] = m // the queue's line stands first
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the schema: %w", err)
	}
	return all, nil
}

func queueStatus(ctx context.Context, conn pgx.Tx, pool *pgxpool.Pool) (Migration, error) {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: QueueSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return Migration{}, fmt.Errorf("look at the queue's schema: %w", err)
	}
	newest := 0
	for _, m := range migrator.AllVersions() {
		newest = max(newest, m.Version)
	}
	out := Migration{Version: newest, Name: "river", State: Pending}
	var exists bool
	if err := conn.QueryRow(ctx, "select to_regclass('river.river_migration') is not null").Scan(&exists); err != nil || !exists {
		return out, err
	}
	var has int
	var when *time.Time
	err = conn.QueryRow(ctx, "select coalesce(max(version), 0), max(created_at) from river.river_migration where line = 'main'").Scan(&has, &when)
	if err != nil {
		return out, fmt.Errorf("look at the queue's schema: %w", err)
	}
	if when != nil {
		out.AppliedAt = *when
	}
	switch {
	case has == newest:
		out.State = Applied
	case has > newest:
		out.State, out.Version = Unknown, has
	}
	return out, nil
}
