package conversations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/timers"
)

// An Eraser removes what a package keeps of a person, in the transaction that
// erases the contact. conversations are all that the contact has.
type Eraser func(ctx context.Context, tx pgx.Tx, w postgres.Workspace, contact ids.ID, conversations []ids.ID) error

// OnErase has a package take part in erasing. Call it before anything is served.
func (c *Conversations) OnErase(do Eraser) { c.erase = append(c.erase, do) }

var eraseContactSQL = "select " + columns("k.", contactFields...) + ` from contacts k
where k.workspace_id = @workspace_id and k.id = @id for update`

const (
	eraseConversationsSQL = `
select id, status <> 'resolved' as going_on from conversations
where workspace_id = @workspace_id and contact_id = @id order by id for update`

	eraseFieldsSQL = `
update contacts set external_id = null, name = '', email = '', phone = '', language = '', verified = false, attributes = '{}', metadata = '{}',
  status = 'erased', version = version + 1, updated_at = @now
where workspace_id = @workspace_id and id = @id`

	eraseMessagesSQL = `
update messages set text = '', citations = null, client_id = null, metadata = null, updated_at = @now
where workspace_id = @workspace_id and conversation_id = any (@conversations)`

	eraseSuggestionsSQL = `delete from suggestions where workspace_id = @workspace_id and conversation_id = any (@conversations)`
	eraseReceiptsSQL    = `delete from receipts where workspace_id = @workspace_id and contact_id = @id`

	eraseTimersSQL = `
delete from timers where workspace_id = @workspace_id and (
  kind = @wake and object_id = any (@conversations)
  or kind = @turn_due and object_id in (select id from turns where workspace_id = @workspace_id and conversation_id = any (@conversations) and status = 'pending'))`

	eraseTurnsSQL = `
update turns t set status = 'handled', last_seq = c.last_visitor_seq, leased_at = null, updated_at = @now
from conversations c
where t.workspace_id = @workspace_id and t.conversation_id = any (@conversations) and t.status = 'pending'
  and c.workspace_id = t.workspace_id and c.id = t.conversation_id`

	eraseThreadsSQL = `
update conversations set erased = true, status = 'resolved', subject = '', language = '', tags = '{}', metadata = '{}', turn_id = null, escalation_id = null,
  pending_offer = 0, waiting_since = null, snoozed_until = null, unread = false, epoch = epoch + 1, version = version + 1, updated_at = @now
where workspace_id = @workspace_id and id = any (@conversations)`
)

// Erase removes all that is known of a contact: its own fields, the texts of
// its conversations, what rests on them here and in the packages above, and the
// receipts of requests about it. Ids, times and states stay, so that counts and
// the log stay true. Writes that are under way end first; those that come later
// find no such contact. Erasing again changes nothing.
func (c *Conversations) Erase(ctx context.Context, w postgres.Workspace, id ids.ID) error {
	now := c.Now()
	return c.in(ctx, w, func(tx pgx.Tx) error {
		if err := alive(ctx, tx, w); err != nil {
			return err
		}
		k, err := one[Contact](ctx, tx, eraseContactSQL, args{"workspace_id": w.ID, "id": id})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return noContact()
		case err != nil:
			return fmt.Errorf("erase contact %x: %w", id, err)
		case k.Status == "erased":
			return nil
		}
		type thread struct {
			ID      ids.ID
			GoingOn bool
		}
		threads, err := many[thread](ctx, tx, eraseConversationsSQL, args{"workspace_id": w.ID, "id": id})
		if err != nil {
			return fmt.Errorf("erase contact %x: %w", id, err)
		}
		all := make([]ids.ID, len(threads))
		log := []events.Event{{ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ContactErased, Object: id, At: now}}
		for i, t := range threads {
			all[i] = t.ID
			if t.GoingOn {
				log = append(log, events.Event{
					ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ConversationResolved, Object: t.ID, Conversation: t.ID, At: now,
					Changes: []byte(`{"state": "resolved", "status": "resolved"}`),
				})
			}
		}
		for _, do := range c.erase {
			if err := do(ctx, tx, w, id, all); err != nil {
				return fmt.Errorf("erase contact %x: %w", id, err)
			}
		}
		batch := &pgx.Batch{}
		of := args{"workspace_id": w.ID, "conversations": all}
		at := args{"workspace_id": w.ID, "conversations": all, "now": now}
		batch.Queue(eraseTimersSQL, args{"workspace_id": w.ID, "conversations": all, "wake": timers.Wake, "turn_due": timers.TurnDue})
		batch.Queue(eraseTurnsSQL, at)
		batch.Queue(eraseMessagesSQL, at)
		batch.Queue(eraseSuggestionsSQL, of)
		batch.Queue(eraseThreadsSQL, at)
		batch.Queue(eraseReceiptsSQL, args{"workspace_id": w.ID, "id": id})
		batch.Queue(eraseFieldsSQL, args{"workspace_id": w.ID, "id": id, "now": now})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("erase contact %x: %w", id, err)
		}
		return events.Append(ctx, tx, log...)
	})
}
