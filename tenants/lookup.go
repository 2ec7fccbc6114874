package tenants

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
)

const (
	uuidsSQL          = `select workspace_id, id from workspaces where agency_id = @agency_id and workspace_id = any (@workspaces)`
	workspacesByIDSQL = `select ` + workspaceColumns + ` from workspaces where agency_id = @agency_id and id = any (@ids)`
)

// WorkspaceUUIDs gives what the API shows for workspaces' numbers, of those
// that are in tx's scope. Those being deleted are among them.
func WorkspaceUUIDs(ctx context.Context, tx pgx.Tx, agencyID int64, workspaces []int64) (map[int64]ids.ID, error) {
	found := map[int64]ids.ID{}
	if len(workspaces) == 0 {
		return found, nil
	}
	rows, err := tx.Query(ctx, uuidsSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "workspaces": workspaces})
	if err != nil {
		return nil, fmt.Errorf("read workspaces' ids: %w", err)
	}
	var number int64
	var id ids.ID
	if _, err := pgx.ForEachRow(rows, []any{&number, &id}, func() error { found[number] = id; return nil }); err != nil {
		return nil, fmt.Errorf("read workspaces' ids: %w", err)
	}
	return found, nil
}

// WorkspacesByID gives those of the workspaces that are in tx's scope, also
// those being deleted.
func WorkspacesByID(ctx context.Context, tx pgx.Tx, agencyID int64, wanted []ids.ID) (map[ids.ID]Workspace, error) {
	found := map[ids.ID]Workspace{}
	if len(wanted) == 0 {
		return found, nil
	}
	all, err := many[Workspace](ctx, tx, "read workspaces", workspacesByIDSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "ids": wanted})
	for _, w := range all {
		found[w.UUID] = w
	}
	return found, err
}

// UUIDs gives what the API shows for workspaces' numbers. They never change, so
// they are remembered.
func (t *Tenants) UUIDs(ctx context.Context, s Scope, workspaces []int64) (map[int64]ids.ID, error) {
	known, missing := map[int64]ids.ID{}, []int64(nil)
	for _, number := range workspaces {
		id, ok := t.uuids.Load(uuidKey{s.AgencyID, number})
		if !ok {
			missing = append(missing, number)
			continue
		}
		known[number] = id.(ids.ID) // only ids are stored
	}
	if len(missing) == 0 {
		return known, nil
	}
	var read map[int64]ids.ID
	err := s.In(ctx, t.db, func(tx pgx.Tx) (err error) {
		read, err = WorkspaceUUIDs(ctx, tx, s.AgencyID, missing)
		return err
	})
	if err != nil {
		return nil, err
	}
	for number, id := range read {
		known[number] = id
		t.uuids.Store(uuidKey{s.AgencyID, number}, id)
	}
	return known, nil
}

type uuidKey struct{ agencyID, number int64 }
