package conversations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/tenants"
)

// one reads exactly one row; pgx.ErrNoRows if there is none.
func one[T any](ctx context.Context, tx pgx.Tx, sql string, with args) (T, error) {
	rows, err := tx.Query(ctx, sql, with)
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
}

func many[T any](ctx context.Context, tx pgx.Tx, sql string, with args) ([]T, error) {
	rows, err := tx.Query(ctx, sql, with)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// within is the condition by which a table, under its alias, is one workspace's
// or one agency's, and the value of its parameters.
func within(scope tenants.Scope, alias string) (string, args) {
	if scope.Workspace.ID == 0 {
		return alias + ".agency_id = @agency_id", args{"agency_id": scope.AgencyID}
	}
	return alias + ".workspace_id = @workspace_id", args{"workspace_id": scope.Workspace.ID}
}

func get(ctx context.Context, tx pgx.Tx, condition string, workspace int64, id ids.ID) (Conversation, error) {
	out, err := one[Conversation](ctx, tx, fmt.Sprintf(getConversationSQL, condition), args{"workspace_id": workspace, "id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return out, noConversation()
	}
	return out, err
}

func getMessage(ctx context.Context, tx pgx.Tx, condition string, workspace int64, id ids.ID) (Message, error) {
	out, err := one[Message](ctx, tx, selectMessages+"where "+condition+" and m.id = @id", args{"workspace_id": workspace, "id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return out, fault.New(fault.NotFound, "not_found", "No such message.")
	}
	return out, err
}

// Get reads a conversation.
func (c *Conversations) Get(ctx context.Context, scope tenants.Scope, id ids.ID) (out Conversation, err error) {
	condition, with := within(scope, "c")
	with["id"] = id
	err = scope.In(ctx, c.db, func(tx pgx.Tx) (err error) {
		out, err = one[Conversation](ctx, tx, fmt.Sprintf(getConversationSQL, condition), with)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return out, noConversation()
	}
	return out, err
}

// Message reads one message.
func (c *Conversations) Message(ctx context.Context, w postgres.Workspace, id ids.ID) (out Message, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = getMessage(ctx, tx, "m.workspace_id = @workspace_id", w.ID, id)
		return err
	})
	return out, err
}

// A ListFilter says which conversations to list, newest first. Zero fields mean
// any.
type ListFilter struct {
	ContactID ids.ID
	Status    string
	Owner     string
	MemberID  ids.ID // the owner
	Tag       string
	After     ids.ID // the last one of the page before
	Limit     int
}

// List gives a page of conversations, newest first, and whether there are more.
func (c *Conversations) List(ctx context.Context, scope tenants.Scope, f ListFilter) (out []Conversation, more bool, err error) {
	condition, with := within(scope, "c")
	all := []string{condition}
	add := func(use bool, name string, value any, condition string) {
		if use {
			all, with[name] = append(all, condition), value
		}
	}
	add(!f.ContactID.IsZero(), "contact_id", f.ContactID, "c.contact_id = @contact_id")
	add(f.Status != "", "status", f.Status, "c.status = @status")
	add(f.Owner != "", "owner", f.Owner, "c.owner = @owner")
	add(!f.MemberID.IsZero(), "member_id", f.MemberID, "c.member_id = @member_id")
	add(f.Tag != "", "tag", f.Tag, "@tag = any (c.tags)")
	add(!f.After.IsZero(), "after", f.After, "c.id < @after")
	with["limit"] = f.Limit + 1
	sql := "select " + columns("c.", conversationFields...) + " from conversations c where " + strings.Join(all, " and ") + " order by c.id desc limit @limit"
	err = scope.In(ctx, c.db, func(tx pgx.Tx) (err error) {
		out, err = many[Conversation](ctx, tx, sql, with)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list conversations: %w", err)
	}
	out, more = cut(out, f.Limit)
	return out, more, nil
}

// cut takes the row away that only tells that there are more.
func cut[T any](all []T, limit int) ([]T, bool) {
	if len(all) > limit {
		return all[:limit], true
	}
	return all, false
}

// A MessageFilter says which messages to list.
type MessageFilter struct {
	AfterSeq, BeforeSeq int64 // exclusive; 0: no bound
	Newest              bool  // newest first, else oldest first
	PublicOnly          bool
	Limit               int
}

// Messages gives a page of a conversation's messages, and whether there are more.
func (c *Conversations) Messages(ctx context.Context, scope tenants.Scope, id ids.ID, f MessageFilter) (out []Message, more bool, err error) {
	condition, with := within(scope, "c")
	with["id"] = id
	sql := selectMessages + "where m.workspace_id = @in and m.conversation_id = @id"
	if f.AfterSeq > 0 {
		sql += " and m.seq > @after"
	}
	if f.BeforeSeq > 0 {
		sql += " and m.seq < @before"
	}
	if f.PublicOnly {
		sql += " and m.visibility = 'public'"
	}
	if f.Newest {
		sql += " order by m.seq desc limit @limit"
	} else {
		sql += " order by m.seq limit @limit"
	}
	err = scope.In(ctx, c.db, func(tx pgx.Tx) error {
		of, err := one[Conversation](ctx, tx, fmt.Sprintf(getConversationSQL, condition), with)
		if err != nil {
			return err
		}
		page := args{"in": of.WorkspaceID, "id": id, "limit": f.Limit + 1}
		if f.AfterSeq > 0 {
			page["after"] = f.AfterSeq
		}
		if f.BeforeSeq > 0 {
			page["before"] = f.BeforeSeq
		}
		out, err = many[Message](ctx, tx, sql, page)
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, false, noConversation()
	case err != nil:
		return nil, false, fmt.Errorf("list messages: %w", err)
	}
	out, more = cut(out, f.Limit)
	return out, more, nil
}

var suggestionsSQL = "select " + columns("s.", suggestionFields...) + ` from suggestions s
where s.workspace_id = @workspace_id and s.conversation_id = @id order by s.id desc limit 100`

// Suggestions gives what was computed too late to be said, newest first.
func (c *Conversations) Suggestions(ctx context.Context, w postgres.Workspace, id ids.ID) (out []Suggestion, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		if _, err = get(ctx, tx, "c.workspace_id = @workspace_id", w.ID, id); err != nil {
			return err
		}
		out, err = many[Suggestion](ctx, tx, suggestionsSQL, args{"workspace_id": w.ID, "id": id})
		return err
	})
	return out, err
}

// A Ref names an object for a reader who sees several workspaces.
type Ref struct {
	WorkspaceID int64
	ID          ids.ID
}

// Refs splits references into the columns of a table.
func Refs(all []Ref) (workspaces []int64, each []ids.ID) {
	workspaces, each = make([]int64, len(all)), make([]ids.ID, len(all))
	for i, r := range all {
		workspaces[i], each[i] = r.WorkspaceID, r.ID
	}
	return workspaces, each
}

// ByID reads objects for whoever renders events, in one round trip. Those that
// are not there, that were erased, or that the transaction's scope does not see,
// are missing.
func ByID(ctx context.Context, tx pgx.Tx, conversations, messages, contacts, suggestions []Ref) (found Found, err error) {
	batch := &pgx.Batch{}
	const wanted = " from unnest(@workspaces::bigint[], @ids::uuid[]) as p (workspace_id, id) join "
	const by = ".workspace_id = p.workspace_id and "
	with := func(all []Ref) args {
		workspaces, each := Refs(all)
		return args{"workspaces": workspaces, "ids": each}
	}
	if len(conversations) > 0 {
		collect(batch, &found.Conversations, "select "+columns("c.", conversationFields...)+wanted+"conversations c on c"+by+"c.id = p.id and not c.erased", with(conversations))
	}
	if len(messages) > 0 {
		collect(batch, &found.Messages, strings.Replace(selectMessages, "\nfrom messages m", wanted+"messages m on m"+by+
			"m.id = p.id join conversations c on c.workspace_id = m.workspace_id and c.id = m.conversation_id and not c.erased", 1), with(messages))
	}
	if len(contacts) > 0 {
		collect(batch, &found.Contacts, "select "+columns("k.", contactFields...)+wanted+"contacts k on k"+by+"k.id = p.id and k.status <> 'erased'", with(contacts))
	}
	if len(suggestions) > 0 {
		collect(batch, &found.Suggestions, "select "+columns("s.", suggestionFields...)+wanted+"suggestions s on s"+by+"s.id = p.id", with(suggestions))
	}
	if batch.Len() == 0 {
		return found, nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return found, fmt.Errorf("read what events are about: %w", err)
	}
	return found, nil
}

// Found is what ByID read.
type Found struct {
	Conversations []Conversation
	Messages      []Message
	Contacts      []Contact
	Suggestions   []Suggestion
}
