package handoff

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/tenants"
)

func within(scope tenants.Scope) (string, pgx.StrictNamedArgs) {
	if scope.Workspace.ID == 0 {
		return "e.agency_id = @agency_id", pgx.StrictNamedArgs{"agency_id": scope.AgencyID}
	}
	return "e.workspace_id = @workspace_id", pgx.StrictNamedArgs{"workspace_id": scope.Workspace.ID}
}

// Get reads an escalation.
func (h *Handoff) Get(ctx context.Context, scope tenants.Scope, id ids.ID) (out Escalation, err error) {
	condition, with := within(scope)
	with["id"] = id
	err = scope.In(ctx, h.db, func(tx pgx.Tx) (err error) {
		out, err = readOne(ctx, tx, "select "+fields+" from escalations e where "+condition+" and e.id = @id", with)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return out, noEscalation()
	}
	return out, err
}

// A ListFilter says which escalations to list. Zero fields mean any.
type ListFilter struct {
	Status         string
	ConversationID ids.ID
	After          ids.ID // the last one of the page before
	Limit          int
}

// List gives a page of escalations, newest first, and whether there are more.
func (h *Handoff) List(ctx context.Context, scope tenants.Scope, f ListFilter) (out []Escalation, more bool, err error) {
	condition, with := within(scope)
	all := []string{condition}
	if f.Status != "" {
		all, with["status"] = append(all, "e.status = @status"), f.Status
	}
	if !f.ConversationID.IsZero() {
		all, with["conversation_id"] = append(all, "e.conversation_id = @conversation_id"), f.ConversationID
	}
	if !f.After.IsZero() {
		all, with["after"] = append(all, "e.id < @after"), f.After
	}
	with["limit"] = f.Limit + 1
	err = scope.In(ctx, h.db, func(tx pgx.Tx) (err error) {
		out, err = readMany(ctx, tx, "select "+fields+" from escalations e where "+strings.Join(all, " and ")+" order by e.id desc limit @limit", with)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list escalations: %w", err)
	}
	if len(out) > f.Limit {
		return out[:f.Limit], true, nil
	}
	return out, false, nil
}

const referred = " from unnest(@workspaces::bigint[], @ids::uuid[]) as p (workspace_id, id) join "

func of(all []conversations.Ref) pgx.StrictNamedArgs {
	workspaces, each := conversations.Refs(all)
	return pgx.StrictNamedArgs{"workspaces": workspaces, "ids": each}
}

// ByID reads escalations within a transaction. Those that are not there, or
// that its scope does not see, are missing.
func ByID(ctx context.Context, tx pgx.Tx, wanted []conversations.Ref) ([]Escalation, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	out, err := readMany(ctx, tx, "select "+fields+referred+"escalations e on e.workspace_id = p.workspace_id and e.id = p.id", of(wanted))
	if err != nil {
		return nil, fmt.Errorf("read escalations: %w", err)
	}
	return out, nil
}

// Packet gives the packet of an escalation as it was frozen when that was
// opened. One whose contact was erased is not found.
func (h *Handoff) Packet(ctx context.Context, scope tenants.Scope, escalation ids.ID) (out packet.Packet, err error) {
	err = scope.In(ctx, h.db, func(tx pgx.Tx) error {
		condition, with := within(scope)
		with["id"] = escalation
		e, err := readOne(ctx, tx, "select "+fields+" from escalations e where "+condition+" and e.id = @id", with)
		if errors.Is(err, pgx.ErrNoRows) {
			return noEscalation()
		}
		if err != nil {
			return err
		}
		all, err := Packets(ctx, tx, []conversations.Ref{{WorkspaceID: e.WorkspaceID, ID: e.ID}})
		if err != nil {
			return err
		}
		p, ok := all[escalation]
		if !ok {
			return noEscalation()
		}
		out = p
		return nil
	})
	return out, err
}

// Packets reads packets of these escalations, within a transaction.
func Packets(ctx context.Context, tx pgx.Tx, wanted []conversations.Ref) (map[ids.ID]packet.Packet, error) {
	out := map[ids.ID]packet.Packet{}
	if len(wanted) == 0 {
		return out, nil
	}
	rows, err := tx.Query(ctx, "select e.id, e.packet"+referred+"packets e on e.workspace_id = p.workspace_id and e.id = p.id", of(wanted))
	if err != nil {
		return nil, fmt.Errorf("read packets: %w", err)
	}
	var id ids.ID
	var p packet.Packet
	_, err = pgx.ForEachRow(rows, []any{&id, &p}, func() error {
		out[id], p = p, packet.Packet{}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read packets: %w", err)
	}
	return out, nil
}

const (
	erasePacketsSQL = `delete from packets where workspace_id = @workspace_id and contact_id = @contact_id`
	// Of a trigger what it was and when stays; the words go.
	eraseEscalationsSQL = `
update escalations e set summary = '', updated_at = updated_at,
  promise = case when promise is null then null else jsonb_set(promise, '{text}', '""') end,
  triggers = (select coalesce(jsonb_agg(jsonb_set(x, '{Evidence}', '""') order by n), '[]') from jsonb_array_elements(e.triggers) with ordinality as u (x, n)),
  status = case when status in ('open', 'accepted', 'answered') then 'withdrawn' else status end, version = version + 1
where workspace_id = @workspace_id and contact_id = @contact_id`
	eraseTimersSQL = `
delete from timers where workspace_id = @workspace_id and kind = 2
  and object_id in (select id from escalations where workspace_id = @workspace_id and contact_id = @contact_id)`
)

// erase removes what is kept here of a person.
func erase(ctx context.Context, tx pgx.Tx, w postgres.Workspace, contact ids.ID, _ []ids.ID) error {
	batch, with := &pgx.Batch{}, pgx.StrictNamedArgs{"workspace_id": w.ID, "contact_id": contact}
	batch.Queue(erasePacketsSQL, with)
	batch.Queue(eraseEscalationsSQL, with)
	batch.Queue(eraseTimersSQL, with)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("erase escalations: %w", err)
	}
	return nil
}
