package conversations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/timers"
)

// A Thread is a conversation under its lock, from Lock to the end of the
// transaction. Its methods change it in memory; Save writes what came of it,
// with its events and jobs, in few round trips.
type Thread struct {
	Conversation
	Suspended bool  // the workspace's assistant is silent
	Turn      *Turn // the pending one; nil: none
	Now       time.Time

	c      *Conversations
	tx     pgx.Tx
	w      postgres.Workspace
	before Conversation
	batch  pgx.Batch
	log    []events.Event
	jobs   []AnswerTurn
}

// Lock locks a conversation until tx ends, and with it takes care that neither
// its workspace nor its contact is removed meanwhile. Where one of them is gone
// there is no such conversation.
func (c *Conversations) Lock(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID) (*Thread, error) {
	t := &Thread{c: c, tx: tx, w: w, Now: c.Now()}
	type locked struct {
		WorkspaceStatus *string
		Conversation
	}
	var found locked
	batch := &pgx.Batch{}
	batch.Queue(lockSQL, args{"workspace_id": w.ID, "id": id}).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[locked])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	batch.Queue(pendingTurnSQL, args{"workspace_id": w.ID, "id": id}).Query(func(rows pgx.Rows) (err error) {
		t.Turn, err = pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Turn])
		if errors.Is(err, pgx.ErrNoRows) {
			t.Turn, err = nil, nil
		}
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("lock conversation %x: %w", id, err)
	}
	if found.ID.IsZero() || found.WorkspaceStatus == nil || *found.WorkspaceStatus == "deleting" {
		return nil, noConversation()
	}
	t.Suspended = *found.WorkspaceStatus == "suspended"
	t.Conversation, t.before = found.Conversation, found.Conversation
	t.before.Tags = slices.Clone(found.Tags)
	return t, nil
}

// Tx is the transaction that holds the lock.
func (t *Thread) Tx() pgx.Tx { return t.tx }

// Workspace is where the conversation belongs.
func (t *Thread) Workspace() postgres.Workspace { return t.w }

// Give makes somebody the owner. If that is a change, whatever was computed
// before it can't be sent any more.
func (t *Thread) Give(owner string, member ids.ID) {
	if owner != Member {
		member = ids.ID{}
	}
	if t.Owner != owner || t.MemberID != member {
		t.Owner, t.MemberID = owner, member
		t.Epoch++
	}
}

// Reopen makes it open, whatever it was.
func (t *Thread) Reopen() {
	if t.Status == Snoozed {
		t.clear(timers.Wake, t.ID)
	}
	t.Status, t.SnoozedUntil = Open, nil
}

// Say adds a message with the next seq and logs it. Status and visibility may be
// left out: complete and public.
func (t *Thread) Say(m Message) Message {
	t.LastSeq++
	m.ID, m.ConversationID, m.Seq = ids.New(t.Now), t.ID, t.LastSeq
	m.CreatedAt, m.UpdatedAt = t.Now, t.Now
	if m.Visibility == "" {
		m.Visibility = Public
	}
	if m.Status == "" {
		m.Status = "complete"
	}
	if m.Visibility == Public {
		t.LastPublicSeq = m.Seq
	}
	t.batch.Queue(insertMessageSQL, args{
		"agency_id": t.w.AgencyID, "workspace_id": t.w.ID, "id": m.ID, "conversation_id": t.ID, "seq": m.Seq, "author": m.Author,
		"member_id": m.MemberID.OrNil(), "visibility": m.Visibility, "status": m.Status, "text": m.Text, "citations": citationsOrNull(m.Citations),
		"confidence": m.Confidence, "offers": m.Offers, "client_id": textOrNull(m.ClientID), "turn_id": m.TurnID.OrNil(), "metadata": metadataOrNull(m.Metadata), "now": t.Now,
	})
	t.Log(events.MessageCreated, m.ID, nil)
	return m
}

// Repeat finds the message that was stored under a client's id before.
func (t *Thread) Repeat(ctx context.Context, clientID string) (*Message, error) {
	if clientID == "" {
		return nil, nil
	}
	rows, err := t.tx.Query(ctx, messageByClientSQL, args{"workspace_id": t.w.ID, "conversation_id": t.ID, "client_id": clientID})
	if err != nil {
		return nil, fmt.Errorf("look for a repeated message: %w", err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Message])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for a repeated message: %w", err)
	}
	return m, nil
}

var messageByClientSQL = selectMessages + "where m.workspace_id = @workspace_id and m.conversation_id = @conversation_id and m.client_id = @client_id"

// EndTurn ends the pending turn, if there is one: nobody needs to answer it any
// more. message or escalation is what came of it.
func (t *Thread) EndTurn(status string, message, escalation ids.ID) {
	if t.Turn == nil {
		return
	}
	t.Turn.Status, t.Turn.MessageID, t.Turn.EscalationID, t.Turn.UpdatedAt = status, message, escalation, t.Now
	t.batch.Queue(endTurnSQL, args{
		"workspace_id": t.w.ID, "id": t.Turn.ID, "status": status, "last_seq": t.Turn.LastSeq, "message_id": message.OrNil(),
		"escalation_id": escalation.OrNil(), "next_turn_id": t.Turn.NextTurnID.OrNil(), "runs": t.Turn.Runs, "now": t.Now,
	})
	t.clear(timers.TurnDue, t.Turn.ID)
	t.Turn, t.TurnID = nil, ids.ID{}
}

// EndTurnAt ends the pending turn with its messages up to a seq. Those that
// joined later become a turn of their own, which the ended one names. A turn
// that begins after the seq stays.
func (t *Thread) EndTurnAt(seq int64, status string, message, escalation ids.ID, deadline time.Duration) {
	if t.Turn == nil || t.Turn.FirstSeq > seq {
		return
	}
	last := t.Turn.LastSeq
	if last <= seq {
		t.EndTurn(status, message, escalation)
		return
	}
	next := ids.New(t.Now)
	t.Turn.LastSeq, t.Turn.NextTurnID = seq, next
	t.EndTurn(status, message, escalation)
	t.openTurn(next, seq+1, last, t.Now.Add(deadline))
}

// OpenTurn makes a turn of the visitor's messages between two seqs and enqueues
// its job. None may be pending.
func (t *Thread) OpenTurn(first, last int64, due time.Time) {
	t.openTurn(ids.New(t.Now), first, last, due)
}

func (t *Thread) openTurn(id ids.ID, first, last int64, due time.Time) {
	turn := &Turn{ID: id, ConversationID: t.ID, Status: Pending, FirstSeq: first, LastSeq: last, DueAt: due, Lease: 1, CreatedAt: t.Now, UpdatedAt: t.Now}
	t.batch.Queue(insertTurnSQL, args{
		"agency_id": t.w.AgencyID, "workspace_id": t.w.ID, "id": id, "conversation_id": t.ID, "first_seq": first, "last_seq": last, "due_at": due, "now": t.Now,
	})
	t.batch.Queue(moveMessagesSQL, args{"workspace_id": t.w.ID, "conversation_id": t.ID, "turn_id": id, "first_seq": first, "last_seq": last})
	t.Turn, t.TurnID = turn, id
	t.Timer(timers.TurnDue, id, due)
	t.jobs = append(t.jobs, AnswerTurn{AgencyID: t.w.AgencyID, WorkspaceID: t.w.ID, TurnID: id, Lease: 1})
}

// Suggest keeps an answer that came too late for the team.
func (t *Thread) Suggest(s Suggestion) Suggestion {
	s.ID, s.ConversationID, s.CreatedAt, s.UpdatedAt = ids.New(t.Now), t.ID, t.Now, t.Now
	t.batch.Queue(insertSuggestionSQL, args{
		"agency_id": t.w.AgencyID, "workspace_id": t.w.ID, "id": s.ID, "conversation_id": t.ID, "turn_id": s.TurnID.OrNil(), "text": s.Text,
		"citations": citationsOrNull(s.Citations), "confidence": s.Confidence, "now": t.Now,
	})
	t.Log(events.SuggestionCreated, s.ID, nil)
	return s
}

// Timer sets a timer when the thread is saved.
func (t *Thread) Timer(kind timers.Kind, object ids.ID, due time.Time) {
	t.batch.Queue(setTimerSQL, args{"agency_id": t.w.AgencyID, "workspace_id": t.w.ID, "kind": kind, "object_id": object, "due_at": due})
}

// ClearTimer removes one.
func (t *Thread) ClearTimer(kind timers.Kind, object ids.ID) { t.clear(kind, object) }

// As timers.Set and timers.Clear do it, but in the thread's batch.
const (
	setTimerSQL = `
insert into timers as t (agency_id, workspace_id, kind, object_id, due_at) values (@agency_id, @workspace_id, @kind, @object_id, @due_at)
on conflict (workspace_id, kind, object_id) do update set due_at = excluded.due_at, claimed_until = '-infinity'`
	clearTimerSQL = `delete from timers where workspace_id = @workspace_id and kind = @kind and object_id = @object_id`
)

func (t *Thread) clear(kind timers.Kind, object ids.ID) {
	t.batch.Queue(clearTimerSQL, args{"workspace_id": t.w.ID, "kind": kind, "object_id": object})
}

// Queue adds a statement to those that Save sends.
func (t *Thread) Queue(sql string, with pgx.StrictNamedArgs) { t.batch.Queue(sql, with) }

// Log adds an event about an object of this conversation. changes hold no
// personal data; nil: nothing to tell.
func (t *Thread) Log(kind events.Type, object ids.ID, changes map[string]any) {
	e := events.Event{ID: ids.New(t.Now), AgencyID: t.w.AgencyID, WorkspaceID: t.w.ID, Type: kind, Object: object, Conversation: t.ID, At: t.Now}
	if len(changes) > 0 {
		e.Changes, _ = json.Marshal(changes) // of strings and numbers: never fails
	}
	t.log = append(t.log, e)
}

// Save writes the conversation with all that was done to it, if anything was.
func (t *Thread) Save(ctx context.Context) error {
	if t.batch.Len() == 0 && len(t.log) == 0 && reflect.DeepEqual(t.before, t.Conversation) {
		return nil
	}
	t.Version++
	t.UpdatedAt = t.Now
	t.logChanges()
	if t.Tags == nil {
		t.Tags = []string{}
	}
	if t.Metadata == nil {
		t.Metadata = map[string]string{}
	}
	t.batch.Queue(updateConversationSQL, args{
		"workspace_id": t.w.ID, "id": t.ID, "channel": t.Channel, "language": t.Language, "subject": t.Subject, "status": t.Status, "owner": t.Owner,
		"member_id": t.MemberID.OrNil(), "assignee_id": t.AssigneeID.OrNil(), "epoch": t.Epoch, "last_seq": t.LastSeq, "last_public_seq": t.LastPublicSeq, "last_visitor_seq": t.LastVisitorSeq,
		"pending_offer": t.PendingOffer, "unsure_turns": t.UnsureTurns, "turn_id": t.TurnID.OrNil(), "escalation_id": t.EscalationID.OrNil(),
		"waiting_since": t.WaitingSince, "snoozed_until": t.SnoozedUntil, "active_at": t.ActiveAt, "tags": t.Tags, "metadata": t.Metadata,
		"unread": t.Unread, "version": t.Version, "now": t.Now,
	})
	if err := t.tx.SendBatch(ctx, &t.batch).Close(); err != nil {
		return fmt.Errorf("save conversation %x: %w", t.ID, err)
	}
	if err := events.Append(ctx, t.tx, t.log...); err != nil {
		return err
	}
	for _, job := range t.jobs {
		if err := t.c.queue.Insert(ctx, t.tx, job, time.Time{}); err != nil {
			return err
		}
	}
	t.batch, t.log, t.jobs, t.before = pgx.Batch{}, nil, nil, t.Conversation
	return nil
}

// logChanges adds the event that tells what became of the conversation itself.
func (t *Thread) logChanges() {
	b, changes := t.before, map[string]any{}
	if b.Status != t.Status || b.Owner != t.Owner || b.MemberID != t.MemberID {
		changes["status"], changes["owner"], changes["state"] = t.Status, t.Owner, t.State()
		if !t.MemberID.IsZero() {
			changes["member_id"] = ids.Format(ids.Member, t.MemberID)
		}
	}
	if b.AssigneeID != t.AssigneeID {
		changes["assignee_id"] = nil
		if !t.AssigneeID.IsZero() {
			changes["assignee_id"] = ids.Format(ids.Member, t.AssigneeID)
		}
	}
	if t.SnoozedUntil != nil && (b.SnoozedUntil == nil || !b.SnoozedUntil.Equal(*t.SnoozedUntil)) {
		changes["snoozed_until"] = t.SnoozedUntil
	}
	// Of what people wrote only the names of the fields are told.
	var fields []string
	if !slices.Equal(b.Tags, t.Tags) {
		fields = append(fields, "tags")
	}
	if b.Subject != t.Subject {
		fields = append(fields, "subject")
	}
	if b.Language != t.Language {
		fields = append(fields, "language")
	}
	if b.EscalationID != t.EscalationID {
		fields = append(fields, "escalation_id")
	}
	if b.Unread != t.Unread {
		fields = append(fields, "unread")
	}
	if len(fields) > 0 {
		changes["fields"] = fields
	}
	if len(changes) == 0 {
		return
	}
	kind := events.ConversationUpdated
	switch {
	case b.Status != Resolved && t.Status == Resolved:
		kind = events.ConversationResolved
	case b.Status == Resolved && t.Status != Resolved:
		kind = events.ConversationReopened
	}
	t.Log(kind, t.ID, changes)
}

// member makes sure that a member exists, may see this workspace, and works here.
func (t *Thread) checkMember(ctx context.Context, id ids.ID) error {
	return CheckMember(ctx, t.tx, t.w, id)
}

// CheckMember gives a fault unless the member works in this workspace.
func CheckMember(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID) error {
	var ok bool
	err := tx.QueryRow(ctx, `select exists (select from members where agency_id = @agency_id and id = @id and status <> 'disabled'
		and (workspace_ids is null or @workspace_id = any (workspace_ids)))`,
		args{"agency_id": w.AgencyID, "workspace_id": w.ID, "id": id}).Scan(&ok)
	if err != nil {
		return fmt.Errorf("look for a member: %w", err)
	}
	if !ok {
		return fault.New(fault.NotFound, "not_found", "No such member in this workspace.")
	}
	return nil
}

var threadMessagesSQL = "select * from (" + selectMessages + `where m.workspace_id = @workspace_id and m.conversation_id = @id
order by m.seq desc limit @limit) newest order by seq`

// Messages reads what is stored of the conversation, the newest messages, oldest
// first. What Say added is not stored yet.
func (t *Thread) Messages(ctx context.Context, limit int) ([]Message, error) {
	all, err := many[Message](ctx, t.tx, threadMessagesSQL, args{"workspace_id": t.w.ID, "id": t.ID, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("read the thread of conversation %x: %w", t.ID, err)
	}
	return all, nil
}

var missedSQL = selectMessages + `where m.workspace_id = @workspace_id and m.conversation_id = @id and m.seq > @seq and m.visibility = 'public'
and m.member_id is distinct from @member_id order by m.seq limit 100`

// Missed gives the public messages after a seq that somebody else than the
// member wrote.
func (t *Thread) Missed(ctx context.Context, seq int64, member ids.ID) ([]Message, error) {
	if t.LastPublicSeq <= seq {
		return nil, nil
	}
	all, err := many[Message](ctx, t.tx, missedSQL, args{"workspace_id": t.w.ID, "id": t.ID, "seq": seq, "member_id": member})
	if err != nil {
		return nil, fmt.Errorf("read what a reply missed: %w", err)
	}
	return all, nil
}

// RestartTurn makes a turn of the visitor's messages between two seqs. One that
// was pending ends, and names it as the next.
func (t *Thread) RestartTurn(first, last int64, due time.Time) {
	next := ids.New(t.Now)
	if t.Turn != nil {
		t.Turn.NextTurnID = next
		t.EndTurn(Handled, ids.ID{}, ids.ID{})
	}
	t.openTurn(next, first, last, due)
}
