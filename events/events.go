// Package events is the log of every change, in an order that a reader can
// follow without missing anything.
//
// A number that is drawn inside a transaction is no position to read from:
// transactions commit in another order than they draw, so a reader that has
// seen 7 would never look for a 6 that commits later. A counter row would put
// the numbers in order, and all writers in a queue. So the numbers are given
// after commit. A business transaction appends its event without a number and
// leaves a pointer in the relay's inbox; the relay takes pointers that are
// committed, and numbers them per agency. Whatever commits late is numbered
// later; what rolled back never was.
//
// Append draws its ref from a sequence while the caller holds the lock on the
// object's row. Two events of one object are therefore drawn, committed and
// numbered in the same order.
//
// The log knows ids only. The objects are rendered by whoever reads.
package events

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// Event is a change to one object.
type Event struct {
	ID           ids.ID
	AgencyID     int64
	WorkspaceID  int64 // 0: the agency's own
	Type         Type
	Object       ids.ID
	Conversation ids.ID          // zero: none
	Changes      json.RawMessage // what changed, without personal data; nil: nothing to tell
	At           time.Time
	Position     int64 // in the agency's log, from 1 without gaps; 0 before it is numbered
}

// appendSQL gives each event its ref in the order of the arguments.
const appendSQL = `
with drawn as materialized (
  select nextval('event_refs') as ref, e.*
  from (select * from unnest(@ids::uuid[], @types::text[], @kinds::smallint[], @objects::uuid[], @conversations::uuid[], @changes::jsonb[], @ats::timestamptz[])
    with ordinality as u (id, type, kind, object_id, conversation_id, changes, created_at, n) order by n) e
), kept as (
  insert into events (agency_id, workspace_id, ref, id, type, object_id, conversation_id, changes, created_at)
  select @agency_id, @workspace_id, ref, id, type, object_id, conversation_id, changes, created_at from drawn
)
insert into event_inbox (lane, ref, agency_id, workspace_id, id, kind, conversation_id, created_at)
select @agency_id % 16, ref, @agency_id, @workspace_id, id, kind, conversation_id, created_at from drawn`

// Append adds events of one agency and workspace (those of the first) to the
// log when tx commits. The caller holds the locks of the objects' rows.
func Append(ctx context.Context, tx pgx.Tx, all ...Event) error {
	if len(all) == 0 {
		return nil
	}
	n := len(all)
	var (
		eventIDs, objects = make([]ids.ID, n), make([]ids.ID, n)
		types, numbers    = make([]string, n), make([]int16, n)
		conversations     = make([]*ids.ID, n)
		changes           = make([]*string, n)
		ats               = make([]time.Time, n)
	)
	for i, e := range all {
		if e.AgencyID != all[0].AgencyID || e.WorkspaceID != all[0].WorkspaceID {
			return fmt.Errorf("append events: %s and %s belong to different tenants", all[0].Type, e.Type)
		}
		number, known := e.Type.number()
		if !known {
			return fmt.Errorf("append events: there is no type %q", e.Type)
		}
		eventIDs[i], objects[i], types[i], numbers[i], ats[i] = e.ID, e.Object, string(e.Type), number, e.At
		if !e.Conversation.IsZero() {
			conversations[i] = &all[i].Conversation
		}
		if e.Changes != nil {
			text := string(e.Changes)
			changes[i] = &text
		}
	}
	_, err := tx.Exec(ctx, appendSQL, pgx.StrictNamedArgs{
		"agency_id": all[0].AgencyID, "workspace_id": orNull(all[0].WorkspaceID),
		"ids": eventIDs, "types": types, "kinds": numbers, "objects": objects, "conversations": conversations, "changes": changes, "ats": ats,
	})
	if err != nil {
		return fmt.Errorf("append %s: %w", all[0].Type, err)
	}
	postgres.Announce(tx)
	return nil
}

func orNull(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// Filter says which part of an agency's log to read.
type Filter struct {
	AgencyID     int64
	WorkspaceID  int64  // 0: all that the transaction may see
	Conversation ids.ID // zero: all
	Types        []Type // empty: all
}

const readSQL = `
select e.id, e.agency_id, coalesce(e.workspace_id, 0) as workspace_id, e.type, e.object_id,
  coalesce(e.conversation_id, '00000000-0000-0000-0000-000000000000') as conversation_id, e.changes, e.created_at, l.position
from event_log l
join events e on e.agency_id = l.agency_id and e.ref = l.ref and e.created_at = l.created_at
where l.agency_id = @agency_id and l.position > @after
  and (@workspace_id = 0 or l.workspace_id = @workspace_id)
  and (@conversation::uuid is null or l.conversation_id = @conversation)
  and (cardinality(@kinds::smallint[]) = 0 or l.kind = any (@kinds))
order by l.position limit @limit`

// Read gives the events after a position, oldest first.
func Read(ctx context.Context, tx pgx.Tx, f Filter, after int64, limit int) ([]Event, error) {
	var conversation *ids.ID
	if !f.Conversation.IsZero() {
		conversation = &f.Conversation
	}
	kinds := make([]int16, len(f.Types))
	for i, t := range f.Types {
		kinds[i], _ = t.number() // 0 is no event's
	}
	rows, err := tx.Query(ctx, readSQL, pgx.StrictNamedArgs{
		"agency_id": f.AgencyID, "workspace_id": f.WorkspaceID, "conversation": conversation, "kinds": kinds, "after": after, "limit": limit,
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Event, err error) {
		err = row.Scan(&e.ID, &e.AgencyID, &e.WorkspaceID, &e.Type, &e.Object, &e.Conversation, &e.Changes, &e.At, &e.Position)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return all, nil
}

// Bounds are the oldest position that is kept and the newest one. An empty log
// is 0, 0.
func Bounds(ctx context.Context, tx pgx.Tx, agencyID int64) (oldest, newest int64, err error) {
	err = tx.QueryRow(ctx, `select
		coalesce((select position from event_log where agency_id = $1 order by position limit 1), 0),
		coalesce((select last from event_positions where agency_id = $1), 0)`, agencyID).Scan(&oldest, &newest)
	if err != nil {
		return 0, 0, fmt.Errorf("read the bounds of the log: %w", err)
	}
	return oldest, newest, nil
}
