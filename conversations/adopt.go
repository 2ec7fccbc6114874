package conversations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// An Adopter moves what a package keeps under a contact to another one, in the
// transaction that moves the conversations.
type Adopter func(ctx context.Context, tx pgx.Tx, w postgres.Workspace, from, to ids.ID, conversations []ids.ID) error

// OnAdopt has a package take part in it. Call it before anything is served.
func (c *Conversations) OnAdopt(do Adopter) { c.adopt = append(c.adopt, do) }

var adoptContactsSQL = "select " + columns("k.", contactFields...) + ` from contacts k
where k.workspace_id = @workspace_id and k.id = any (@ids) and k.status = 'active' order by k.id for no key update`

const (
	adoptConversationsSQL = `
update conversations set contact_id = @to, version = version + 1, updated_at = @now
where workspace_id = @workspace_id and contact_id = @from and not erased returning id`
	adoptReceiptsSQL = `update receipts set contact_id = @to where workspace_id = @workspace_id and contact_id = @from`
)

var errNone = errors.New("there is nothing to adopt")

// Adopt gives an anonymous contact's conversations to the one that the visitor
// has turned out to be. Only who holds the anonymous visitor's token may have it
// called. What the anonymous contact said of itself joins nothing. A contact
// that somebody vouched for, or that is gone, keeps what it has: that is 0.
func (c *Conversations) Adopt(ctx context.Context, w postgres.Workspace, from, to ids.ID) (moved int, err error) {
	if from == to {
		return 0, nil
	}
	now := c.Now()
	err = c.in(ctx, w, func(tx pgx.Tx) error {
		if err := alive(ctx, tx, w); err != nil {
			return err
		}
		both, err := many[Contact](ctx, tx, adoptContactsSQL, args{"workspace_id": w.ID, "ids": []ids.ID{from, to}})
		if err != nil {
			return err
		}
		if len(both) < 2 {
			return errNone
		}
		for _, k := range both {
			if k.ID == from && k.Verified {
				return errNone
			}
		}
		rows, err := tx.Query(ctx, adoptConversationsSQL, args{"workspace_id": w.ID, "from": from, "to": to, "now": now})
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[ids.ID])
		if err != nil {
			return err
		}
		moved = len(all)
		if moved == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, adoptReceiptsSQL, args{"workspace_id": w.ID, "from": from, "to": to}); err != nil {
			return err
		}
		for _, do := range c.adopt {
			if err := do(ctx, tx, w, from, to, all); err != nil {
				return err
			}
		}
		log := make([]events.Event, len(all))
		for i, id := range all {
			log[i] = events.Event{
				ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: events.ConversationUpdated, Object: id, Conversation: id, At: now,
				Changes: []byte(`{"contact_id": "` + ids.Format(ids.Contact, to) + `"}`),
			}
		}
		return events.Append(ctx, tx, log...)
	})
	if errors.Is(err, errNone) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("adopt contact %x: %w", from, err)
	}
	return moved, nil
}
