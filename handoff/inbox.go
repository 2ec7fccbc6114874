package handoff

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// An Entry of the inbox is a conversation with its open escalation.
type Entry struct {
	conversations.Entry
	Escalation *Escalation // nil: none is open
}

// Inbox gives a page of a view with the escalations, and whether there is more.
func (h *Handoff) Inbox(ctx context.Context, scope tenants.Scope, f conversations.InboxFilter) (page []Entry, more bool, err error) {
	err = scope.In(ctx, h.db, func(tx pgx.Tx) error {
		entries, m, err := conversations.InboxPage(ctx, tx, scope, f)
		if err != nil {
			return err
		}
		more = m
		var wanted []conversations.Ref
		for _, e := range entries {
			if id := e.Conversation.EscalationID; !id.IsZero() {
				wanted = append(wanted, conversations.Ref{WorkspaceID: e.Conversation.WorkspaceID, ID: id})
			}
		}
		escalations, err := ByID(ctx, tx, wanted)
		if err != nil {
			return err
		}
		byID := map[ids.ID]*Escalation{}
		for i := range escalations {
			byID[escalations[i].ID] = &escalations[i]
		}
		page = make([]Entry, len(entries))
		for i, e := range entries {
			page[i] = Entry{e, byID[e.Conversation.EscalationID]}
		}
		return nil
	})
	return page, more, err
}
