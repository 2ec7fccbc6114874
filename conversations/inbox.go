package conversations

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// A View is a part of the inbox.
type View string

// The views. Waiting and Unassigned begin with who waits longest, Snoozed with
// what wakes next, all others with what moved last.
const (
	Waiting    View = "waiting"    // the team has to take it up
	Mine       View = "mine"       // owned by a member, or assigned to them
	Unassigned View = "unassigned" // waiting, and nobody was named for it
	All        View = "all"        // all that are open
	SnoozedV   View = "snoozed"
	ResolvedV  View = "resolved"
)

// An InboxFilter says which page of the inbox.
type InboxFilter struct {
	View       View
	MemberID   ids.ID  // whose, for Mine
	Workspaces []int64 // of an agency, only these; empty: all that the scope sees
	After      Place   // of the last entry of the page before; zero: from the start
	Limit      int
}

// A Place is where an entry stands in its view.
type Place struct {
	At time.Time
	ID ids.ID
}

// An Entry is a conversation with what an inbox shows beside it.
type Entry struct {
	Conversation Conversation
	Contact      Contact
	LastMessage  *Message
	Place        Place
}

// shape is how a view reads one index from one end.
type shape struct {
	condition string
	by        string // the indexed moment
	newest    bool
}

var shapes = map[View]shape{
	Waiting:    {"c.status = 'open' and c.owner = 'team'", "waiting_since", false},
	Unassigned: {"c.status = 'open' and c.owner = 'team' and c.assignee_id is null", "waiting_since", false},
	All:        {"c.status = 'open'", "active_at", true},
	SnoozedV:   {"c.status = 'snoozed'", "snoozed_until", false},
	ResolvedV:  {"c.status = 'resolved'", "active_at", true},
}

// mine is the union of two ranges: what a member owns and what is assigned.
var mine = []shape{
	{"c.status = 'open' and c.owner = 'member' and c.member_id = @member_id", "active_at", true},
	{"c.status = 'open' and c.assignee_id = @member_id and (c.owner <> 'member' or c.member_id <> @member_id)", "active_at", true},
}

func (f InboxFilter) shapes() ([]shape, error) {
	if f.View == Mine {
		if f.MemberID.IsZero() {
			return nil, fault.New(fault.Invalid, "validation_failed", "The view mine needs a member_id.")
		}
		return mine, nil
	}
	s, ok := shapes[f.View]
	if !ok {
		return nil, fault.New(fault.Invalid, "validation_failed", "There is no view %q.", f.View)
	}
	return []shape{s}, nil
}

// rangeSQL reads the ids of one range of an index. Where only some of an
// agency's workspaces are wanted, each is read for itself and the heads are
// merged: that touches a page of each, not all that the agency has.
func (s shape) rangeSQL(f InboxFilter, scope tenants.Scope) string {
	order, compare := " order by c."+s.by+", c.id limit @limit", ">"
	if s.newest {
		order, compare = " order by c."+s.by+" desc, c.id desc limit @limit", "<"
	}
	condition := s.condition
	if !f.After.ID.IsZero() {
		condition += " and (c." + s.by + ", c.id) " + compare + " (@after_at, @after_id)"
	}
	columns := "select c.workspace_id, c.id, c." + s.by + " as at from conversations c where "
	switch {
	case scope.Workspace.ID != 0:
		return "(" + columns + "c.workspace_id = @workspace_id and " + condition + order + ")"
	case len(f.Workspaces) == 0:
		return "(" + columns + "c.agency_id = @agency_id and " + condition + order + ")"
	}
	return "(select r.workspace_id, r.id, r.at from unnest(@workspaces::bigint[]) as w (id), lateral (" +
		columns + "c.agency_id = @agency_id and c.workspace_id = w.id and " + condition + order + ") r)"
}

func (f InboxFilter) args(scope tenants.Scope) args {
	with := args{"limit": f.Limit + 1}
	switch {
	case scope.Workspace.ID != 0:
		with["workspace_id"] = scope.Workspace.ID
	case len(f.Workspaces) == 0:
		with["agency_id"] = scope.AgencyID
	default:
		with["agency_id"], with["workspaces"] = scope.AgencyID, f.Workspaces
	}
	if f.View == Mine {
		with["member_id"] = f.MemberID
	}
	if !f.After.ID.IsZero() {
		with["after_at"], with["after_id"] = f.After.At, f.After.ID
	}
	return with
}

// Inbox gives a page of a view, and whether there is more. Escalations are
// handoff's: their ids stand in the conversations.
func (c *Conversations) Inbox(ctx context.Context, scope tenants.Scope, f InboxFilter) (page []Entry, more bool, err error) {
	err = scope.In(ctx, c.db, func(tx pgx.Tx) error {
		page, more, err = InboxPage(ctx, tx, scope, f)
		return err
	})
	return page, more, err
}

// InboxPage does so within a transaction.
func InboxPage(ctx context.Context, tx pgx.Tx, scope tenants.Scope, f InboxFilter) (page []Entry, more bool, err error) {
	all, err := f.shapes()
	if err != nil {
		return nil, false, err
	}
	ranges := make([]string, len(all))
	for i, s := range all {
		ranges[i] = s.rangeSQL(f, scope)
	}
	order := "p.at, p.id"
	if all[0].newest {
		order = "p.at desc, p.id desc"
	}
	// The page's ids come first, from an index; then each row by its key.
	sql := "with p as materialized (select * from (" + strings.Join(ranges, " union all ") + ") p order by " + order + " limit @limit) select p.at, " +
		columns("c.", conversationFields...) + " from p join conversations c on c.workspace_id = p.workspace_id and c.id = p.id order by " + order
	type row struct {
		At time.Time
		Conversation
	}
	rows, err := many[row](ctx, tx, sql, f.args(scope))
	if err != nil {
		return nil, false, fmt.Errorf("read the inbox: %w", err)
	}
	rows, more = cut(rows, f.Limit)
	page = make([]Entry, len(rows))
	for i, r := range rows {
		page[i] = Entry{Conversation: r.Conversation, Place: Place{r.At, r.ID}}
	}
	return page, more, fill(ctx, tx, page)
}

var (
	pageContactsSQL = "select " + columns("k.", contactFields...) + ` from unnest(@workspaces::bigint[], @contacts::uuid[]) as p (workspace_id, id)
join contacts k on k.workspace_id = p.workspace_id and k.id = p.id`
	pageMessagesSQL = strings.Replace(selectMessages, "from messages m",
		`from unnest(@workspaces::bigint[], @conversations::uuid[], @seqs::bigint[]) as p (workspace_id, conversation_id, seq)
join messages m on m.workspace_id = p.workspace_id and m.conversation_id = p.conversation_id and m.seq = p.seq`, 1)
)

// fill adds contacts and last public messages, in one round trip.
func fill(ctx context.Context, tx pgx.Tx, page []Entry) error {
	if len(page) == 0 {
		return nil
	}
	n := len(page)
	workspaces, people, threads, seqs := make([]int64, n), make([]ids.ID, n), make([]ids.ID, n), make([]int64, n)
	for i, e := range page {
		workspaces[i], people[i], threads[i], seqs[i] = e.Conversation.WorkspaceID, e.Conversation.ContactID, e.Conversation.ID, e.Conversation.LastPublicSeq
	}
	var contacts []Contact
	var messages []Message
	batch := &pgx.Batch{}
	collect(batch, &contacts, pageContactsSQL, args{"workspaces": workspaces, "contacts": people})
	collect(batch, &messages, pageMessagesSQL, args{"workspaces": workspaces, "conversations": threads, "seqs": seqs})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read the inbox: %w", err)
	}
	person, last := map[ids.ID]Contact{}, map[ids.ID]*Message{}
	for _, k := range contacts {
		person[k.ID] = k
	}
	for i := range messages {
		last[messages[i].ConversationID] = &messages[i]
	}
	for i := range page {
		page[i].Contact, page[i].LastMessage = person[page[i].Conversation.ContactID], last[page[i].Conversation.ID]
	}
	return nil
}

// MostCounted is where counting stops: a larger number tells nobody more.
const MostCounted = 1000

// Counts tells how many conversations each view has, at most MostCounted. Mine
// is counted if there is a member.
func (c *Conversations) Counts(ctx context.Context, scope tenants.Scope, member ids.ID, workspaces []int64) (map[View]int, error) {
	counts := map[View]int{}
	err := scope.In(ctx, c.db, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for _, view := range []View{Waiting, Mine, Unassigned, All, SnoozedV, ResolvedV} {
			if view == Mine && member.IsZero() {
				continue
			}
			f := InboxFilter{View: view, MemberID: member, Workspaces: workspaces, Limit: MostCounted - 1}
			all, err := f.shapes()
			if err != nil {
				return err
			}
			ranges := make([]string, len(all))
			for i, s := range all {
				ranges[i] = s.rangeSQL(f, scope)
			}
			batch.Queue("select count(*) from (select from ("+strings.Join(ranges, " union all ")+") p limit @limit) n", f.args(scope)).
				QueryRow(func(row pgx.Row) error {
					var n int
					err := row.Scan(&n)
					counts[view] = n
					return err
				})
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return nil, fmt.Errorf("count the inbox: %w", err)
	}
	return counts, nil
}
