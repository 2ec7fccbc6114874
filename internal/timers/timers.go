// Package timers does something at its time although the node that planned it
// died. A timer is a row that the business transaction sets and clears; every
// node claims what is due, each second, and calls the domain, which looks again
// under the object's lock: a timer that fires late or twice does no harm.
package timers

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// Kind is what a timer is for. The numbers are stored.
type Kind int16

// The kinds, with the object that each is about.
const (
	TurnDue Kind = 1 // a turn that must have an answer by now
	Overdue Kind = 2 // an escalation whose promise is about to break
	Wake    Kind = 3 // a snoozed conversation
	Refresh Kind = 4 // a source to be read again
)

// A Timer is one that is due.
type Timer struct {
	Workspace postgres.Workspace
	Kind      Kind
	Object    ids.ID
	DueAt     time.Time
}

const setSQL = `
insert into timers as t (agency_id, workspace_id, kind, object_id, due_at) values (@agency_id, @workspace_id, @kind, @object_id, @due_at)
on conflict (workspace_id, kind, object_id) do update set due_at = excluded.due_at, claimed_until = '-infinity'`

// Set sets or moves a timer when tx commits.
func Set(ctx context.Context, tx pgx.Tx, w postgres.Workspace, kind Kind, object ids.ID, due time.Time) error {
	_, err := tx.Exec(ctx, setSQL, pgx.StrictNamedArgs{"agency_id": w.AgencyID, "workspace_id": w.ID, "kind": kind, "object_id": object, "due_at": due})
	if err != nil {
		return fmt.Errorf("set a timer: %w", err)
	}
	return nil
}

const clearSQL = `delete from timers where workspace_id = @workspace_id and kind = @kind and object_id = @object_id`

// Clear removes a timer, if it is set, when tx commits.
func Clear(ctx context.Context, tx pgx.Tx, w postgres.Workspace, kind Kind, object ids.ID) error {
	_, err := tx.Exec(ctx, clearSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "kind": kind, "object_id": object})
	if err != nil {
		return fmt.Errorf("clear a timer: %w", err)
	}
	return nil
}

// claim is how long a timer is left to the node that took it. One that is still
// there afterwards, because that node died or failed, is taken again.
const claim = 5 * time.Second

const claimSQL = `
update timers t set claimed_until = @until
from (
  select workspace_id, kind, object_id from timers where due_at <= @now and claimed_until <= @now
  order by due_at limit @limit for update skip locked
) d
where t.workspace_id = d.workspace_id and t.kind = d.kind and t.object_id = d.object_id
returning t.agency_id, t.workspace_id, t.kind, t.object_id, t.due_at`

// Claim takes timers that are due, the oldest first, for a few seconds. tx is
// in the system's scope. Whoever acts on a timer clears it.
func Claim(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]Timer, error) {
	rows, err := tx.Query(ctx, claimSQL, pgx.StrictNamedArgs{"now": now, "until": now.Add(claim), "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("claim timers: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Timer, err error) {
		err = row.Scan(&t.Workspace.AgencyID, &t.Workspace.ID, &t.Kind, &t.Object, &t.DueAt)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim timers: %w", err)
	}
	return due, nil
}
