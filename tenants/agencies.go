package tenants

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

// Agency is a customer of the installation.
type Agency struct {
	AgencyID  int64
	ID        ids.ID
	Name      string
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// AgencyChange says what to change; nil leaves a field as it is.
type AgencyChange struct {
	Name      *string
	IfVersion int64 // 0: whatever it is now
}

// Agency gives an agency as it is now.
func (t *Tenants) Agency(ctx context.Context, s Scope) (a Agency, err error) {
	err = s.In(ctx, t.db, func(tx pgx.Tx) error {
		a, err = readAgency(ctx, tx, s.AgencyID)
		return err
	})
	return a, err
}

// CreateAgency makes an agency that has nothing yet. It is the installation's
// operator who may: no key reaches it.
func (t *Tenants) CreateAgency(ctx context.Context, name string) (Agency, error) {
	now := t.clock.Now()
	a := Agency{ID: ids.New(now), Name: name, Version: 1, CreatedAt: now, UpdatedAt: now}
	err := t.db.InSystem(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select create_agency(@id, @name, @now)", pgx.StrictNamedArgs{"id": a.ID, "name": a.Name, "now": now}).Scan(&a.AgencyID)
	})
	if err != nil {
		return Agency{}, fmt.Errorf("create an agency: %w", err)
	}
	return a, nil
}

// UpdateAgency changes an agency.
func (t *Tenants) UpdateAgency(ctx context.Context, agencyID int64, c AgencyChange, r *receipts.Receipt) (a Agency, err error) {
	err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		a, err = receipts.Once(ctx, tx, r, func() (Agency, error) { return updateAgency(ctx, tx, agencyID, c, t.clock.Now()) })
		return err
	})
	if err != nil {
		return Agency{}, fmt.Errorf("update an agency: %w", err)
	}
	return a, nil
}
