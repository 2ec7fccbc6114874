package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

const enterWorkspaceSQL = `select set_config('role', 'relaydesk_workspace', true),
  set_config('relaydesk.workspace_id', $1, true), set_config('relaydesk.agency_id', $2, true)`

// OneTrip runs one statement as a transaction of its own in a workspace's
// scope, for what is done so often that round trips count: BEGIN with the
// scope, the statement and COMMIT are sent together. scan reads the row that
// the statement gives; it is committed by then, whatever scan makes of it.
// With announce its commit is made known like that of any transaction.
func (db *DB) OneTrip(ctx context.Context, w Workspace, announce bool, sql string, args []any, scan func(row pgx.Row) error) (err error) {
	if w.ID <= 0 || w.AgencyID <= 0 {
		return errors.New("open a transaction: no workspace")
	}
	err = db.oneTrip(ctx, enterWorkspaceSQL, []any{strconv.FormatInt(w.ID, 10), strconv.FormatInt(w.AgencyID, 10)}, sql, args, scan)
	if tell := db.announce.Load(); err == nil && announce && tell != nil {
		(*tell)()
	}
	return err
}

const enterSystemSQL = `select set_config('role', 'relaydesk_system', true)`

// OneTripInSystem does so in a scope that sees no tenant's rows.
func (db *DB) OneTripInSystem(ctx context.Context, sql string, args []any, scan func(row pgx.Row) error) error {
	return db.oneTrip(ctx, enterSystemSQL, nil, sql, args, scan)
}

func (db *DB) oneTrip(ctx context.Context, enter string, scope []any, sql string, args []any, scan func(row pgx.Row) error) (err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("open a transaction: %w", err)
	}
	defer conn.Release()
	batch := &pgx.Batch{}
	batch.Queue("begin")
	batch.Queue(enter, scope...)
	batch.Queue(sql, args...).QueryRow(scan)
	batch.Queue("commit")
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		// What failed left the transaction open, or the connection broken; one
		// that can't be rolled back is closed when it is handed back.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		if conn.Conn().PgConn().TxStatus() != 'I' && !conn.Conn().IsClosed() {
			if _, e := conn.Exec(ctx, "rollback"); e != nil {
				err = errors.Join(err, fmt.Errorf("roll back: %w", e))
			}
		}
		return err
	}
	return nil
}
