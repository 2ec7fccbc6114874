package webhooks

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

const (
	someEndpointSQL = `select agency_id, endpoint_id from webhook_subscriptions order by agency_id, endpoint_id limit 1`
	someSecretSQL   = `select secret from webhook_endpoints where agency_id = @agency_id and id = @id`
)

// OpensSealed tells whether the box opens what the installation has sealed, by
// the secret of some endpoint. found is false where there is none yet. The
// secret stays here.
func OpensSealed(ctx context.Context, db *postgres.DB, box *secrets.Box) (found bool, err error) {
	var agencyID int64
	var endpoint ids.ID
	err = db.InSystem(ctx, func(tx pgx.Tx) error { return tx.QueryRow(ctx, someEndpointSQL).Scan(&agencyID, &endpoint) })
	var sealed []byte
	if err == nil {
		err = db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, someSecretSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": endpoint}).Scan(&sealed)
		})
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for something sealed: %w", err)
	}
	_, err = box.Open(place(endpoint), sealed)
	return true, err
}
