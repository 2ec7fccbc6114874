package handoff

import (
	"context"
	"maps"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres"
)

const (
	zero = "'00000000-0000-0000-0000-000000000000'::uuid"

	fields = `e.id, e.conversation_id, e.contact_id, e.workspace_id, e.status, e.trigger, e.triggers, e.priority, e.summary, e.promise, e.repeated,
  coalesce(e.accepted_by, ` + zero + `) as accepted_by, e.opened_at, e.accepted_at, e.first_reply_at, e.resolved_at, e.overdue_at, e.version,
  e.created_at, e.updated_at`

	getSQL = "select " + fields + " from escalations e where e.workspace_id = @workspace_id and e.id = @id"

	insertSQL = `
insert into escalations (agency_id, workspace_id, id, conversation_id, contact_id, status, trigger, triggers, priority, summary, promise, repeated,
  accepted_by, opened_at, accepted_at, first_reply_at, resolved_at, overdue_at, version, created_at, updated_at)
values (@agency_id, @workspace_id, @id, @conversation_id, @contact_id, @status, @trigger, @triggers, @priority, @summary, @promise, @repeated,
  @accepted_by, @opened_at, @accepted_at, @first_reply_at, @resolved_at, @overdue_at, @version, @created_at, @updated_at)`

	updateSQL = `
update escalations set status = @status, triggers = @triggers, priority = @priority, summary = @summary, promise = @promise, repeated = @repeated,
  accepted_by = @accepted_by, accepted_at = @accepted_at, first_reply_at = @first_reply_at, resolved_at = @resolved_at, overdue_at = @overdue_at,
  version = @version, updated_at = @updated_at
where workspace_id = @workspace_id and id = @id`

	insertPacketSQL = `
insert into packets (agency_id, workspace_id, id, conversation_id, contact_id, packet, created_at)
values (@agency_id, @workspace_id, @id, @conversation_id, @contact_id, @packet, @now)`

	earlierSQL = `
select c.id, c.created_at, c.status, coalesce(
  (select e.summary from escalations e where e.workspace_id = c.workspace_id and e.conversation_id = c.id order by e.id desc limit 1), c.subject)
from conversations c
where c.workspace_id = @workspace_id and c.contact_id = @contact_id and c.id < @id
order by c.id desc limit 5`

	unansweredSQL = `
select coalesce(min(m.seq), 0), coalesce(max(m.seq), 0) from messages m
where m.workspace_id = @workspace_id and m.conversation_id = @id and m.author = 'visitor' and m.visibility = 'public' and m.seq > coalesce(
  (select max(a.seq) from messages a where a.workspace_id = @workspace_id and a.conversation_id = @id and a.visibility = 'public'
    and a.author in ('assistant', 'member')), 0)`

	// Only what a visitor waited for: who took over unasked was not waited for.
	repliesSQL = `
select e.opened_at, e.first_reply_at from escalations e
where e.workspace_id = @workspace_id and e.first_reply_at is not null and e.promise is not null and e.opened_at > @since
order by e.id desc limit @limit`

	turnSQL = `select t.conversation_id, t.status, t.lease from turns t where t.workspace_id = @workspace_id and t.id = @id`

	runSQL = `update turns set runs = runs + 1, leased_at = @now where workspace_id = @workspace_id and id = @id`
)

// args are the arguments of updateSQL.
func (e *Escalation) args(w postgres.Workspace) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"workspace_id": w.ID, "id": e.ID, "status": e.Status, "triggers": e.Triggers, "priority": e.Priority, "summary": e.Summary, "promise": e.Promise,
		"repeated": e.Repeated, "accepted_by": e.AcceptedBy.OrNil(), "accepted_at": e.AcceptedAt, "first_reply_at": e.FirstReplyAt,
		"resolved_at": e.ResolvedAt, "overdue_at": e.OverdueAt, "version": e.Version, "updated_at": e.UpdatedAt,
	}
}

// first are the arguments of insertSQL.
func (e *Escalation) first(w postgres.Workspace) pgx.StrictNamedArgs {
	all := e.args(w)
	maps.Copy(all, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "conversation_id": e.ConversationID, "contact_id": e.ContactID, "trigger": e.Trigger, "opened_at": e.OpenedAt,
		"created_at": e.CreatedAt,
	})
	return all
}

func readOne(ctx context.Context, tx pgx.Tx, sql string, with pgx.StrictNamedArgs) (Escalation, error) {
	rows, err := tx.Query(ctx, sql, with)
	if err != nil {
		return Escalation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Escalation])
}

func readMany(ctx context.Context, tx pgx.Tx, sql string, with pgx.StrictNamedArgs) ([]Escalation, error) {
	rows, err := tx.Query(ctx, sql, with)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Escalation])
}
