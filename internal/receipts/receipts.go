// Package receipts makes a repeated request the same request. A verb that
// stores something keeps its result as a receipt in the transaction that stored
// it, so that there is either both or neither; whoever sends the same request
// again, because the answer got lost, is given that result.
//
// Two requests with one key at the same time don't wait for each other: who
// comes second is told to come again. The result is kept encrypted, and names
// the contact it is about, so that erasing a person finds it.
package receipts

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// Kept is how long a key is known.
const Kept = 24 * time.Hour

// A Receipt is one request that carries an idempotency key.
type Receipt struct {
	Workspace   postgres.Workspace // ID 0: an operation on the agency's own objects
	Principal   ids.ID             // whose key it is: the API key or member
	Key         string             // 1 to 255 characters
	Fingerprint [sha256.Size]byte  // of all that makes the request what it is
	Now         time.Time
	Box         *secrets.Box

	Replayed bool // set by Once: the result is that of an earlier request
}

// WithContact is a result that is about a person.
type WithContact interface{ ReceiptContact() ids.ID }

const (
	lockSQL = `select pg_try_advisory_xact_lock(hashtextextended(@place, 0))`
	// The age is no condition of the query, which might then look by age.
	readSQL = `select fingerprint, sealed, created_at from receipts
where agency_id = @agency_id and workspace_id = @workspace_id and principal = @principal and key = @key`
	keepSQL = `
insert into receipts as r (agency_id, workspace_id, principal, key, fingerprint, sealed, contact_id, created_at)
values (@agency_id, @workspace_id, @principal, @key, @fingerprint, @sealed, @contact_id, @now)
on conflict (agency_id, workspace_id, principal, key) do update
set fingerprint = excluded.fingerprint, sealed = excluded.sealed, contact_id = excluded.contact_id, created_at = excluded.created_at`
)

// Once runs do and keeps its result, or gives the result that was kept for the
// same request before. A nil receipt just runs do. tx is the transaction in
// which do writes.
func Once[T any](ctx context.Context, tx pgx.Tx, r *Receipt, do func() (T, error)) (T, error) {
	if r == nil {
		return do()
	}
	var none T
	fingerprint, sealed, err := r.take(ctx, tx)
	if err != nil {
		return none, err
	}
	if sealed != nil {
		return Found[T](r, fingerprint, sealed)
	}
	out, err := do()
	if err != nil {
		return none, err
	}
	return out, r.keep(ctx, tx, out)
}

// take gives what was kept for this request, nil if nothing was. The lock and
// the look are statements of their own: only a snapshot that is taken under the
// lock sees what its last holder left.
func (r *Receipt) take(ctx context.Context, tx pgx.Tx) (fingerprint, sealed []byte, err error) {
	var (
		locked bool
		kept   time.Time
	)
	batch := &pgx.Batch{}
	batch.Queue(lockSQL, pgx.StrictNamedArgs{"place": r.place()}).QueryRow(func(row pgx.Row) error { return row.Scan(&locked) })
	batch.Queue(readSQL, pgx.StrictNamedArgs{
		"agency_id": r.Workspace.AgencyID, "workspace_id": r.Workspace.ID, "principal": r.Principal, "key": r.Key,
	}).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&fingerprint, &sealed, &kept); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, fmt.Errorf("take a receipt: %w", err)
	}
	if !locked {
		return nil, nil, InFlight()
	}
	if !kept.After(r.Now.Add(-Kept)) {
		return nil, nil, nil
	}
	return fingerprint, sealed, nil
}

func (r *Receipt) keep(ctx context.Context, tx pgx.Tx, out any) error {
	plain, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("keep a receipt: %w", err)
	}
	var contact *ids.ID
	if c, ok := out.(WithContact); ok {
		if id := c.ReceiptContact(); !id.IsZero() {
			contact = &id
		}
	}
	_, err = tx.Exec(ctx, keepSQL, pgx.StrictNamedArgs{
		"agency_id": r.Workspace.AgencyID, "workspace_id": r.Workspace.ID, "principal": r.Principal, "key": r.Key,
		"fingerprint": r.Fingerprint[:], "sealed": r.Box.Seal(r.place(), plain), "contact_id": contact, "now": r.Now,
	})
	if err != nil {
		return fmt.Errorf("keep a receipt: %w", err)
	}
	return nil
}

// place is where the receipt is kept: what it is sealed for, and locked by.
func (r *Receipt) place() string {
	return "receipt:" + strconv.FormatInt(r.Workspace.AgencyID, 10) + ":" + strconv.FormatInt(r.Workspace.ID, 10) + ":" + ids.Format(ids.Key, r.Principal) + ":" + r.Key
}

// Expire deletes receipts that are no longer known, a few thousand at most, and
// tells how many. tx is in the system's scope.
func Expire(ctx context.Context, tx pgx.Tx, now time.Time) (n int64, err error) {
	if err := tx.QueryRow(ctx, "select expire_receipts($1)", now.Add(-Kept)).Scan(&n); err != nil {
		return 0, fmt.Errorf("expire receipts: %w", err)
	}
	return n, nil
}
