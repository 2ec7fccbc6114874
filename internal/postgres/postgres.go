// Package postgres is the only way to the database. A transaction is always
// opened in a scope, and the scope is part of BEGIN, in the same round trip:
// the role that row level security is written for, and the tenant that its
// policies compare with. There is no transaction without a scope, and a
// statement that reads a setting which its scope did not set is an error, not
// all rows.
//
//	InWorkspace  one workspace's rows
//	InAgency     the rows of all workspaces of one agency
//	InSystem     no tenant's rows: queue, relay, timers, looking up a key
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Workspace names a workspace inside the database, with the agency it belongs to.
type Workspace struct {
	AgencyID int64
	ID       int64
}

// DB is a pool of connections. It is safe for concurrent use.
type DB struct {
	pool     *pgxpool.Pool
	listener *pgx.ConnConfig // how Listen connects
	announce atomic.Pointer[func()]
}

// OnAnnounce sets what runs after the commit of each transaction that Announce
// marked. It must not block.
func (db *DB) OnAnnounce(do func()) { db.announce.Store(&do) }

// announced is a transaction that has something to tell when it is committed.
type announced struct {
	pgx.Tx
	marked bool
}

// Announce makes the commit of a transaction known in this process, to whom
// OnAnnounce named. Without a commit nothing is told.
func Announce(tx pgx.Tx) {
	if a, ok := tx.(*announced); ok {
		a.marked = true
	}
}

// rollbackTimeout bounds how long a failed transaction may hold its connection.
const rollbackTimeout = 5 * time.Second

// Option changes how Open connects.
type Option func(*opening)

// opening is what Open is about to do.
type opening struct {
	pool   *pgxpool.Config
	direct string
}

// Traced tells a tracer of each statement. A nil tracer is told nothing.
func Traced(t pgx.QueryTracer) Option {
	return func(o *opening) { o.pool.ConnConfig.Tracer = t }
}

// Direct is for a pooler that gives each transaction another connection, such
// as PgBouncer in transaction mode, at the URL of Open: Listen goes around it
// by the direct URL, and no statement keeps a name on the server, where the
// next transaction would not find it. An empty URL changes nothing.
func Direct(url string) Option {
	return func(o *opening) { o.direct = url }
}

// Open connects to the database of the URL. Its login needs to be a member of
// the roles that Migrate makes; it should own nothing (EnsureLogin makes one).
func Open(ctx context.Context, url string, connections int32, options ...Option) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx' message may hold parts of the URL, and the URL holds a password.
		return nil, errors.New("open the database: the connection URL can't be read")
	}
	config.MaxConns = connections
	o := opening{pool: config}
	for _, option := range options {
		option(&o)
	}
	listener := config.ConnConfig.Copy()
	if o.direct != "" {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		config.ConnConfig.StatementCacheCapacity = 0
		if listener, err = pgx.ParseConfig(o.direct); err != nil {
			return nil, errors.New("open the database: the direct connection URL can't be read")
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return &DB{pool: pool, listener: listener}, nil
}

// OpenQueue connects a pool for River alone, whose workers must not compete with
// requests for connections. All that it does, it does in the system's scope.
func OpenQueue(ctx context.Context, url string, connections int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("open the queue: the connection URL can't be read")
	}
	config.MaxConns = connections
	config.ConnConfig.RuntimeParams["role"] = "relaydesk_system"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	return pool, nil
}

// Stat counts the connections.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// Close waits for the transactions under way and closes all connections.
func (db *DB) Close() { db.pool.Close() }

// InWorkspace runs do in a transaction that sees one workspace, and commits if
// do returns nil. do must make no network call and run no model.
func (db *DB) InWorkspace(ctx context.Context, w Workspace, do func(tx pgx.Tx) error) error {
	if w.ID <= 0 || w.AgencyID <= 0 {
		return errors.New("open a transaction: no workspace")
	}
	return db.in(ctx, "begin; set local role relaydesk_workspace; set local relaydesk.workspace_id = '"+
		strconv.FormatInt(w.ID, 10)+"'; set local relaydesk.agency_id = '"+strconv.FormatInt(w.AgencyID, 10)+"'", do)
}

// InAgency runs do in a transaction that sees all workspaces of one agency.
func (db *DB) InAgency(ctx context.Context, agencyID int64, do func(tx pgx.Tx) error) error {
	if agencyID <= 0 {
		return errors.New("open a transaction: no agency")
	}
	return db.in(ctx, "begin; set local role relaydesk_agency; set local relaydesk.agency_id = '"+
		strconv.FormatInt(agencyID, 10)+"'", do)
}

// InSystem runs do in a transaction that sees no tenant's rows.
func (db *DB) InSystem(ctx context.Context, do func(tx pgx.Tx) error) error {
	return db.in(ctx, "begin; set local role relaydesk_system", do)
}

// in opens the transaction with one statement list, which pgx sends by the
// simple protocol because it has no parameters: one round trip. Only integers
// are ever written into it.
func (db *DB) in(ctx context.Context, begin string, do func(tx pgx.Tx) error) (err error) {
	opened, err := db.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return fmt.Errorf("open a transaction: %w", err)
	}
	tx := &announced{Tx: opened}
	// Also after a panic, and when the caller has gone: a transaction that
	// stays open keeps its locks.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		if e := tx.Rollback(ctx); e != nil && !errors.Is(e, pgx.ErrTxClosed) {
			err = errors.Join(err, fmt.Errorf("roll back: %w", e))
		}
	}()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if tell := db.announce.Load(); tx.marked && tell != nil {
		(*tell)()
	}
	return nil
}

// Notify sends a notification to all nodes that listen. It is never part of a
// business transaction: that would put all commits in a queue.
func (db *DB) Notify(ctx context.Context, channel, payload string) error {
	if _, err := db.pool.Exec(ctx, "select pg_notify($1, $2)", channel, payload); err != nil {
		return fmt.Errorf("notify %s: %w", channel, err)
	}
	return nil
}

// Listen calls heard with each notification's payload, on a connection of its
// own, until ctx ends. While the connection is lost, notifications are too.
func (db *DB) Listen(ctx context.Context, log *slog.Logger, channel string, heard func(payload string)) {
	for ctx.Err() == nil {
		if err := db.listen(ctx, channel, heard); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "listen for notifications", "channel", channel, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (db *DB) listen(ctx context.Context, channel string, heard func(payload string)) error {
	// Not one of the pool's: it would be missing there.
	conn, err := pgx.ConnectConfig(ctx, db.listener.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		_ = conn.Close(ctx) // nothing depends on it
	}()
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		heard(n.Payload)
	}
}

// Violates tells whether an error is the violation of the named constraint.
func Violates(err error, constraint string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.ConstraintName == constraint
}
