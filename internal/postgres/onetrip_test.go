package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

func TestOneTripHasItsScopeAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, err := postgres.Open(ctx, postgrestest.URL(t), 1) // the next one has the same connection
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := postgrestest.Tenant(t)
	const whoSQL = "select current_user, current_setting('relaydesk.workspace_id', true)"
	who := func(trip func(scan func(pgx.Row) error) error) (role, workspace string) {
		t.Helper()
		var set *string
		if err := trip(func(row pgx.Row) error { return row.Scan(&role, &set) }); err != nil {
			t.Fatal(err)
		}
		if set != nil {
			workspace = *set
		}
		return role, workspace
	}
	system := func(scan func(pgx.Row) error) error { return db.OneTripInSystem(ctx, whoSQL, nil, scan) }
	inWorkspace := func(scan func(pgx.Row) error) error { return db.OneTrip(ctx, w, false, whoSQL, nil, scan) }

	if role, workspace := who(inWorkspace); role != "relaydesk_workspace" || workspace == "" {
		t.Errorf("in a workspace: role %s, workspace %q", role, workspace)
	}
	if role, workspace := who(system); role != "relaydesk_system" || workspace != "" {
		t.Errorf("in the system's scope: role %s, workspace %q", role, workspace)
	}
	for name, sql := range map[string]string{"fails": "select 1/0", "gives no row": "select 1 where false"} {
		var n int
		err := db.OneTripInSystem(ctx, sql, nil, func(row pgx.Row) error { return row.Scan(&n) })
		if err == nil || name == "gives no row" && !errors.Is(err, pgx.ErrNoRows) {
			t.Errorf("a statement that %s: %v", name, err)
		}
		if role, workspace := who(system); role != "relaydesk_system" || workspace != "" {
			t.Errorf("after a statement that %s: role %s, workspace %q", name, role, workspace)
		}
	}
	if err := db.OneTripInSystem(ctx, "select count(*) from messages", nil, func(row pgx.Row) error { return row.Scan(new(int)) }); code(err) != denied {
		t.Errorf("the system's scope reads messages: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := db.OneTripInSystem(gone, whoSQL, nil, func(pgx.Row) error { return nil }); err == nil {
		t.Error("it ran for a caller who had gone")
	}
	if role, _ := who(system); role != "relaydesk_system" {
		t.Errorf("after a caller who had gone: role %s", role)
	}
}
