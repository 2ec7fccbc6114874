package postgrestest

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// Tenant makes an agency with one workspace, for the calling test alone.
func Tenant(tb testing.TB) postgres.Workspace {
	tb.Helper()
	return TenantIn(tb, New(tb))
}

// TenantIn does the same in another database than the shared one.
func TenantIn(tb testing.TB, db *postgres.DB) postgres.Workspace {
	tb.Helper()
	ctx, now := tb.Context(), time.Now()
	var w postgres.Workspace
	err := db.InSystem(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select create_agency($1, $2, $3)", ids.New(now), tb.Name(), now).Scan(&w.AgencyID)
	})
	if err != nil {
		tb.Fatal(err)
	}
	w.ID = MoreWorkspaceIn(tb, db, w.AgencyID, "main").ID
	return w
}

// MoreWorkspace makes one more workspace of an agency.
func MoreWorkspace(tb testing.TB, agencyID int64, slug string) postgres.Workspace {
	tb.Helper()
	return MoreWorkspaceIn(tb, New(tb), agencyID, slug)
}

// MoreWorkspaceIn does the same in another database than the shared one.
func MoreWorkspaceIn(tb testing.TB, db *postgres.DB, agencyID int64, slug string) postgres.Workspace {
	tb.Helper()
	ctx, now, w := tb.Context(), time.Now(), postgres.Workspace{AgencyID: agencyID}
	err := db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `insert into workspaces (agency_id, id, name, slug, created_at, updated_at)
			values ($1, $2, $3, $3, $4, $4) returning workspace_id`, agencyID, ids.New(now), slug, now).Scan(&w.ID)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}
