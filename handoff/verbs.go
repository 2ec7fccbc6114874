package handoff

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/timers"
)

// A Call is somebody calling a person.
type Call struct {
	ByVisitor bool   // the visitor pressed the button; else a member or a key
	MemberID  ids.ID // who, if it was a member
	Reason    string // in their words; may be empty
}

// Escalate hands the conversation to the team. Where an escalation is open that
// one is given, with a trigger more and a higher priority.
func (h *Handoff) Escalate(ctx context.Context, w postgres.Workspace, id ids.ID, in Call, r *receipts.Receipt) (Outcome, error) {
	kind := triggers.MemberAsked
	if in.ByVisitor {
		kind = triggers.VisitorAsked
	}
	return h.verb(ctx, w, id, r, func(t *thread) (*Escalation, bool, error) {
		if !in.MemberID.IsZero() {
			if err := conversations.CheckMember(ctx, t.tx, w, in.MemberID); err != nil {
				return nil, false, err
			}
		}
		opened, err := t.escalate(ctx, call{
			triggers: []Trigger{{Kind: kind, Evidence: in.Reason, Effect: triggers.EffectEscalate}}, notice: true,
		})
		return t.open, opened, err
	})
}

// Accept makes a member the owner. By the owner it changes nothing; where
// another member owns the conversation it is the fault already_accepted.
func (h *Handoff) Accept(ctx context.Context, w postgres.Workspace, id, member ids.ID, r *receipts.Receipt) (Outcome, error) {
	return h.verb(ctx, w, id, r, func(t *thread) (*Escalation, bool, error) {
		if err := conversations.CheckMember(ctx, t.tx, w, member); err != nil {
			return nil, false, err
		}
		switch {
		case t.Status == conversations.Resolved:
			return nil, false, conversations.ErrResolved()
		case t.Owner == conversations.Member && t.MemberID != member:
			return nil, false, fault.New(fault.Conflict, "already_accepted", "Another member has this conversation.")
		}
		t.Unread = false
		if t.Owner == conversations.Member {
			t.Reopen()
			return t.open, false, nil
		}
		opened := false
		if t.open == nil {
			var err error
			opened, err = t.escalate(ctx, call{triggers: []Trigger{{Kind: triggers.MemberTookOver}}, member: member})
			if err != nil {
				return nil, false, err
			}
		} else {
			t.take(member)
			t.Log(events.EscalationAccepted, t.open.ID, map[string]any{"status": StatusAccepted, "accepted_by": ids.Format(ids.Member, member)})
			t.Reopen()
			t.Give(conversations.Member, member)
			t.ActiveAt = t.Now
		}
		t.EndTurn(conversations.Superseded, ids.ID{}, t.open.ID)
		return t.open, opened, nil
	})
}

// take makes a member the one who has accepted the open escalation.
func (t *thread) take(member ids.ID) {
	now := t.Now
	if t.open.Status == StatusOpen {
		t.open.Status = StatusAccepted
	}
	t.open.AcceptedBy, t.changed = member, true
	if t.open.AcceptedAt == nil {
		t.open.AcceptedAt = &now
	}
}

// A Reply is a member's public message.
type Reply struct {
	MemberID    ids.ID
	Text        string
	ClientID    string
	ExpectedSeq *int64 // the last public seq that the member saw; nil: not told
	TakeOver    bool   // also from another member
	Metadata    map[string]string
}

// Replied is what came of it.
type Replied struct {
	Conversation conversations.Conversation
	Message      conversations.Message
	Escalation   *Escalation
	Repeated     bool // the client id was known; nothing was stored
}

// ReceiptContact names the person, for erasing.
func (r Replied) ReceiptContact() ids.ID { return r.Conversation.ContactID }

// Reply says something publicly for a member, who owns the conversation from
// then on. If somebody else's public message is newer than what the member saw,
// the error is a *StaleReply and nothing was stored.
func (h *Handoff) Reply(ctx context.Context, w postgres.Workspace, id ids.ID, in Reply, r *receipts.Receipt) (out Replied, err error) {
	if err := conversations.CheckText(in.Text); err != nil {
		return out, err
	}
	var ended ids.ID
	err = h.db.InWorkspace(ctx, w, func(tx pgx.Tx) (err error) {
		out, err = receipts.Once(ctx, tx, r, func() (Replied, error) {
			t, err := h.lock(ctx, tx, w, id)
			if err != nil {
				return Replied{}, err
			}
			ended = t.TurnID
			return t.reply(ctx, in)
		})
		return err
	})
	if err == nil && !ended.IsZero() {
		h.conv.Ended(ended)
	}
	return out, err
}

func (t *thread) reply(ctx context.Context, in Reply) (out Replied, err error) {
	first, err := t.Repeat(ctx, in.ClientID)
	if err != nil {
		return out, err
	}
	if first != nil {
		return Replied{t.Conversation, *first, t.open, true}, nil
	}
	if err := conversations.CheckMember(ctx, t.tx, t.w, in.MemberID); err != nil {
		return out, err
	}
	resolved := t.Status == conversations.Resolved
	if !resolved && t.Owner == conversations.Member && t.MemberID != in.MemberID && !in.TakeOver {
		return out, fault.New(fault.Conflict, "not_owner", "Another member has this conversation; take_over takes it.")
	}
	if in.ExpectedSeq != nil {
		missed, err := t.Missed(ctx, *in.ExpectedSeq, in.MemberID)
		if err != nil {
			return out, err
		}
		if len(missed) > 0 {
			return out, &StaleReply{
				Fault:  fault.New(fault.Conflict, "stale_reply", "There is something newer in this conversation; read it first."),
				Missed: missed,
			}
		}
	}
	switch now := t.Now; {
	case resolved:
		// A word after the end is no handoff.
	case t.open == nil && t.Owner != conversations.Member:
		if _, err := t.escalate(ctx, call{triggers: []Trigger{{Kind: triggers.MemberTookOver}}, member: in.MemberID, replied: true}); err != nil {
			return out, err
		}
	case t.open != nil:
		t.take(in.MemberID)
		if t.open.FirstReplyAt == nil {
			t.open.FirstReplyAt = &now
		}
		t.open.OverdueAt = nil
		if t.open.Status != StatusAnswered {
			t.open.Status = StatusAnswered
			t.Log(events.EscalationAnswered, t.open.ID, map[string]any{"status": StatusAnswered, "accepted_by": ids.Format(ids.Member, in.MemberID)})
		}
		t.ClearTimer(timers.Overdue, t.open.ID)
	}
	t.Reopen()
	t.Give(conversations.Member, in.MemberID)
	t.WaitingSince, t.Unread, t.PendingOffer, t.UnsureTurns, t.ActiveAt = nil, false, 0, 0, t.Now
	out.Message = t.Say(conversations.Message{
		Author: conversations.Member, MemberID: in.MemberID, Text: in.Text, ClientID: in.ClientID, Metadata: in.Metadata,
	})
	t.EndTurn(conversations.Superseded, out.Message.ID, t.EscalationID)
	if err := t.save(ctx); err != nil {
		return out, err
	}
	out.Conversation, out.Escalation = t.Conversation, t.open
	return out, nil
}

// Whom a conversation is released to.
const (
	ToTeam      = conversations.Team
	ToAssistant = conversations.Assistant
)

// Release gives a conversation back: to the team, where it waits with a new
// promise, or to the assistant. What the visitor wrote after the last answer
// becomes a turn. member is who releases; zero: a key, for whoever owns it.
func (h *Handoff) Release(ctx context.Context, w postgres.Workspace, id ids.ID, to string, member ids.ID, r *receipts.Receipt) (Outcome, error) {
	return h.verb(ctx, w, id, r, func(t *thread) (*Escalation, bool, error) {
		switch {
		case t.Status == conversations.Resolved:
			return nil, false, conversations.ErrResolved()
		case t.Status != conversations.Open, t.Owner == conversations.Assistant:
			return nil, false, notOwner()
		case t.Owner == conversations.Member && !member.IsZero() && t.MemberID != member:
			return nil, false, notOwner()
		}
		if err := t.load(ctx); err != nil {
			return nil, false, err
		}
		var (
			e   *Escalation
			err error
		)
		switch to {
		case ToTeam:
			if t.Owner != conversations.Member {
				return nil, false, notOwner()
			}
			e, err = t.toTeam(ctx)
		case ToAssistant:
			status := StatusResolved
			if t.Owner == conversations.Team {
				status = StatusWithdrawn
			}
			e = t.endEscalation(status)
			t.Give(conversations.Assistant, ids.ID{})
		default:
			err = fault.New(fault.Invalid, "validation_failed", "A conversation is released to the team or to the assistant.")
		}
		if err != nil {
			return nil, false, err
		}
		t.ActiveAt = t.Now
		return e, false, t.takeUp(ctx)
	})
}

// toTeam makes the conversation wait again.
func (t *thread) toTeam(ctx context.Context) (*Escalation, error) {
	if t.open == nil { // it was taken up after its end; now it is a handoff
		t.Give(conversations.Team, ids.ID{})
		_, err := t.escalate(ctx, call{triggers: []Trigger{{Kind: triggers.MemberAsked, Effect: triggers.EffectEscalate}}, notice: true})
		return t.open, err
	}
	spoken, promise, err := t.promise(ctx)
	if err != nil {
		return nil, err
	}
	e, now := t.open, t.Now
	e.Status, e.Promise, e.Repeated, e.OverdueAt = StatusOpen, promise, false, nil
	e.AcceptedBy, e.AcceptedAt, e.FirstReplyAt = ids.ID{}, nil, nil
	t.changed = true
	t.Give(conversations.Team, ids.ID{})
	if t.WaitingSince == nil {
		t.WaitingSince = &now
	}
	t.Log(events.EscalationReleased, e.ID, map[string]any{"status": StatusOpen})
	t.Say(conversations.Message{Author: conversations.System, Text: notices.ReleasedToTeam(t.language(), spoken)})
	t.watch(e)
	return e, nil
}

// takeUp makes a turn of what the visitor wrote after the last answer. A turn
// that was pending goes on in it: what was computed for the former owner is not
// sent.
func (t *thread) takeUp(ctx context.Context) error {
	var first, last int64
	err := t.tx.QueryRow(ctx, unansweredSQL, pgx.StrictNamedArgs{"workspace_id": t.w.ID, "id": t.ID}).Scan(&first, &last)
	if err != nil {
		return fmt.Errorf("look for unanswered messages: %w", err)
	}
	if first == 0 {
		t.EndTurn(conversations.Handled, ids.ID{}, ids.ID{})
		return nil
	}
	t.RestartTurn(first, last, t.Now.Add(t.settings.TurnDeadline))
	return nil
}

// Resolve ends a conversation, with its escalation.
func (h *Handoff) Resolve(ctx context.Context, w postgres.Workspace, id ids.ID, r *receipts.Receipt) (Outcome, error) {
	return h.verb(ctx, w, id, r, func(t *thread) (*Escalation, bool, error) {
		if t.Status == conversations.Resolved {
			return nil, false, nil
		}
		t.Reopen() // clears what was snoozed
		t.Status, t.ActiveAt, t.Unread, t.PendingOffer, t.UnsureTurns = conversations.Resolved, t.Now, false, 0, 0
		t.EndTurn(conversations.Handled, ids.ID{}, ids.ID{})
		return t.endEscalation(StatusResolved), false, nil
	})
}
