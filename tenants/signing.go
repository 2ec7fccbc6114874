package tenants

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// SigningKeyPrefix begins a token's kid.
const SigningKeyPrefix ids.Prefix = "sgk"

// method is the one way in which tokens are signed. Whoever verifies them is
// Relaydesk itself, so a public key would be of use to nobody, and a MAC is
// computed on each request in two microseconds where a signature takes fifty.
// What a token's own header says of its method is compared with this.
var method = jwt.SigningMethodHS256

// keptKeys is how long a key verifies after another one signs: as long as a
// token that it signed may be shown.
const keptKeys = VisitorTokenLife + VisitorRenewal + time.Hour

// SigningKey is a key that signs or verifies tokens, without its secret.
type SigningKey struct {
	ID        ids.ID
	CreatedAt time.Time
}

// signer is a key as it is used.
type signer struct {
	agencyID int64
	agency   ids.ID
	id       ids.ID
	secret   []byte
	expires  *time.Time
}

// RotateSigningKey has an agency's tokens signed by a new key. Tokens that the
// old one signed live on until they expire.
func (t *Tenants) RotateSigningKey(ctx context.Context, agencyID int64, r *receipts.Receipt) (k SigningKey, err error) {
	now := t.clock.Now()
	err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		k, err = receipts.Once(ctx, tx, r, func() (SigningKey, error) {
			// The agency's row is the lock: two that rotate at once do it in turn.
			if _, err := tx.Exec(ctx, lockSignersSQL, pgx.StrictNamedArgs{"agency_id": agencyID}); err != nil {
				return SigningKey{}, err
			}
			if _, err := tx.Exec(ctx, retireSignersSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "now": now, "expires_at": now.Add(keptKeys)}); err != nil {
				return SigningKey{}, err
			}
			id, err := t.insertSigner(ctx, tx, agencyID, now)
			return SigningKey{ID: id, CreatedAt: now}, err
		})
		return err
	})
	if err != nil {
		return SigningKey{}, fmt.Errorf("rotate a signing key: %w", err)
	}
	t.signers.forget(func(agency int64, _ signer) bool { return agency == agencyID })
	t.verifiers.forget(func(_ ids.ID, k signer) bool { return k.agencyID == agencyID })
	return k, nil
}

const (
	lockSignersSQL   = `select 1 from agencies where agency_id = @agency_id for no key update`
	retireSignersSQL = `
with gone as (delete from signing_keys where agency_id = @agency_id and expires_at < @now)
update signing_keys set expires_at = @expires_at where agency_id = @agency_id and expires_at is null`
	insertSignerSQL = `
insert into signing_keys (agency_id, id, sealed, created_at) values (@agency_id, @id, @sealed, @now)
on conflict (agency_id) where expires_at is null do nothing`
	readSignerSQL = `
select k.agency_id, a.id, k.id, k.sealed from signing_keys k join agencies a on a.agency_id = k.agency_id
where k.agency_id = @agency_id and k.expires_at is null`
	findSigningKeySQL = `select agency_id, agency, sealed, expires_at from find_signing_key(@id)`
)

func (t *Tenants) insertSigner(ctx context.Context, tx pgx.Tx, agencyID int64, now time.Time) (ids.ID, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	id := ids.New(now)
	_, err := tx.Exec(ctx, insertSignerSQL, pgx.StrictNamedArgs{
		"agency_id": agencyID, "id": id, "sealed": t.options.Box.Seal(sealedSigner(id), secret), "now": now,
	})
	return id, err
}

func sealedSigner(id ids.ID) string { return "signing key:" + ids.Format(SigningKeyPrefix, id) }

// signer gives the key that signs an agency's tokens, and makes the first one.
func (t *Tenants) signer(ctx context.Context, agencyID int64) (signer, error) {
	if t.options.Box == nil {
		return signer{}, fault.New(fault.Unavailable, "unavailable", "This server makes no tokens.")
	}
	k, _, err := t.signers.get(ctx, agencyID, func(ctx context.Context) (k signer, ok bool, err error) {
		err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
			k, err = t.readSigner(ctx, tx, agencyID)
			if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			if _, err = t.insertSigner(ctx, tx, agencyID, t.clock.Now()); err != nil {
				return err
			}
			k, err = t.readSigner(ctx, tx, agencyID) // perhaps another node's
			return err
		})
		return k, err == nil, err
	})
	if err != nil {
		return signer{}, fmt.Errorf("read the signing key: %w", err)
	}
	return k, nil
}

func (t *Tenants) readSigner(ctx context.Context, tx pgx.Tx, agencyID int64) (k signer, err error) {
	var sealed []byte
	err = tx.QueryRow(ctx, readSignerSQL, pgx.StrictNamedArgs{"agency_id": agencyID}).Scan(&k.agencyID, &k.agency, &k.id, &sealed)
	if err == nil {
		k.secret, err = t.options.Box.Open(sealedSigner(k.id), sealed)
	}
	return k, err
}

// verifier gives the key that a token names, whosever it is: the signature
// proves that the token is the key's agency's.
func (t *Tenants) verifier(ctx context.Context, id ids.ID) (signer, bool, error) {
	if t.options.Box == nil {
		return signer{}, false, nil
	}
	return t.verifiers.get(ctx, id, func(ctx context.Context) (k signer, ok bool, err error) {
		k.id = id
		var sealed []byte
		err = t.db.InSystem(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, findSigningKeySQL, pgx.StrictNamedArgs{"id": id}).Scan(&k.agencyID, &k.agency, &sealed, &k.expires)
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return signer{}, false, nil
		}
		if err == nil {
			k.secret, err = t.options.Box.Open(sealedSigner(id), sealed)
		}
		if errors.Is(err, secrets.ErrSealed) { // the installation's encryption key is another one by now
			t.log.WarnContext(ctx, "a signing key can't be opened", "id", ids.Format(SigningKeyPrefix, id))
			return signer{}, false, nil
		}
		return k, err == nil, err
	})
}
