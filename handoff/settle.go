package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// A Settlement is what the assistant has decided about a turn.
type Settlement struct {
	TurnID   ids.ID
	Lease    int64     // of the claim
	Epoch    int64     // of the conversation when it was claimed
	Seq      int64     // of the newest message that was read
	Language string    // that the turn's own words show; "": none
	Triggers []Trigger // all that the words and the answer set off; one with the effect escalate calls a person
	Answer   *Answer   // to be said unless a person is called; nil: there is none
	Hits     []packet.Hit
	Final    bool // answer what was read even if more was written meanwhile
}

// An Answer is what the assistant wants to say.
type Answer struct {
	Text       string // without the offer
	Citations  []conversations.Citation
	Confidence *float64
	Offers     bool // it is to end with the offer of a person
	Unsure     bool // because content answers it perhaps only
}

// maxRuns is how often a turn that follows an offer of a person is read again
// because more was written. A "yes" to that offer must be read while it stands,
// not in a turn of its own after another answer.
const maxRuns = 5

// What became of a Settlement.
const (
	Answered  = "answered"
	Escalated = "escalated"
	Suggested = "suggested" // too late to be said; kept for the team
	Handled   = "handled"   // nobody needs to answer any more
	Again     = "again"     // more was written, or the conversation changed hands: claim anew and decide about all of it
	Fenced    = "fenced"    // the turn is another job's
)

// Settled is what Settle made of a turn.
type Settled struct {
	Outcome        string
	ConversationID ids.ID
	Message        *conversations.Message    // the answer
	Suggestion     *conversations.Suggestion // what it became instead
	Escalation     *Escalation
}

// Settle stores what was decided about a turn, if it still fits, and completes
// the job in the same transaction; complete may be nil. It is not called when
// the outcome is Again: then the job goes on, with the same lease.
//
// An answer is said once, and only while the turn is pending and the
// conversation in the hands that it was computed for; else it is kept as a
// suggestion. A person who was called by the visitor's words is called in every
// case.
func (h *Handoff) Settle(ctx context.Context, w postgres.Workspace, s Settlement, complete func(ctx context.Context, tx pgx.Tx) error) (out Settled, err error) {
	err = h.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		var was string
		var lease int64
		err := tx.QueryRow(ctx, turnSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": s.TurnID}).Scan(&out.ConversationID, &was, &lease)
		if err != nil {
			return fmt.Errorf("settle turn %x: %w", s.TurnID, err)
		}
		t, err := h.lock(ctx, tx, w, out.ConversationID)
		switch {
		case fault.Of(err).Kind == fault.NotFound: // erased or removed meanwhile
			out.Outcome = Handled
		case err != nil:
			return err
		default:
			if err := t.settle(ctx, s, &out); err != nil {
				return fmt.Errorf("settle turn %x: %w", s.TurnID, err)
			}
		}
		if complete == nil || out.Outcome == Again {
			return nil
		}
		return complete(ctx, tx)
	})
	if err == nil && out.Outcome != Again && out.Outcome != Fenced {
		h.conv.Ended(s.TurnID)
	}
	return out, err
}

func (t *thread) settle(ctx context.Context, s Settlement, out *Settled) error {
	if s.Language != "" {
		t.Language = s.Language
	}
	pending := t.Turn != nil && t.Turn.ID == s.TurnID
	switch {
	case pending && t.Turn.Lease != s.Lease:
		out.Outcome = Fenced
		return nil
	case !pending:
		return t.late(ctx, s, out)
	case s.calls(): // of a suspended workspace, too: handoff goes on
		return t.call(ctx, s, out)
	case t.Suspended:
		t.EndTurn(conversations.Handled, ids.ID{}, ids.ID{})
		out.Outcome = Handled
		return t.save(ctx)
	case t.Epoch != s.Epoch, t.Turn.LastSeq > s.Seq && (t.Turn.Runs == 0 && !s.Final || t.PendingOffer > 0 && t.Turn.Runs < maxRuns):
		t.Queue(runSQL, pgx.StrictNamedArgs{"workspace_id": t.w.ID, "id": s.TurnID, "now": t.Now})
		out.Outcome = Again
		return t.save(ctx)
	}
	return t.answer(ctx, s, out)
}

// answer says the assistant's answer and ends the turn. Messages that it does
// not know move on to a turn of their own.
func (t *thread) answer(ctx context.Context, s Settlement, out *Settled) error {
	if err := t.load(ctx); err != nil {
		return err
	}
	t.tag(s.Triggers)
	t.PendingOffer = 0
	if s.Answer == nil {
		out.Outcome = Handled
		t.EndTurnAt(s.Seq, conversations.Handled, ids.ID{}, ids.ID{}, t.settings.TurnDeadline)
		return t.save(ctx)
	}
	said := t.Say(conversations.Message{
		Author: conversations.Assistant, Text: t.spoken(*s.Answer), Citations: s.Answer.Citations, Confidence: s.Answer.Confidence,
		Offers: s.Answer.Offers, TurnID: s.TurnID,
	})
	if s.Answer.Offers {
		t.PendingOffer = said.Seq
	}
	t.UnsureTurns++
	if !s.Answer.Unsure {
		t.UnsureTurns = 0
	}
	t.EndTurnAt(s.Seq, conversations.Answered, said.ID, ids.ID{}, t.settings.TurnDeadline)
	out.Outcome, out.Message = Answered, &said
	return t.save(ctx)
}

// spoken is an answer's text with the offer of a person, where it has one.
func (t *thread) spoken(a Answer) string {
	if !a.Offers {
		return a.Text
	}
	return a.Text + "\n\n" + notices.Offer(t.language())
}

// call calls a person, or where one is called already, adds to that.
func (t *thread) call(ctx context.Context, s Settlement, out *Settled) error {
	t.tag(s.Triggers)
	calling := s.calling()
	if t.open == nil {
		_, err := t.escalate(ctx, call{triggers: calling, draft: s.draft(), hits: s.Hits, notice: true, upTo: s.Seq})
		if err != nil {
			return err
		}
	} else {
		if err := t.load(ctx); err != nil {
			return err
		}
		if asked := ofWords(calling); len(asked) > 0 {
			t.again(asked)
		}
		if err := t.stillWaiting(ctx); err != nil {
			return err
		}
		t.PendingOffer = 0
		t.EndTurnAt(s.Seq, conversations.Escalated, ids.ID{}, t.open.ID, t.settings.TurnDeadline)
	}
	out.Outcome, out.Escalation = Escalated, t.open
	return t.save(ctx)
}

// late is for a turn that is not pending any more: a person answered, or nobody
// needs to. What the visitor's words call for is done all the same.
func (t *thread) late(ctx context.Context, s Settlement, out *Settled) error {
	var id ids.ID
	var status string
	var lease int64
	err := t.tx.QueryRow(ctx, turnSQL, pgx.StrictNamedArgs{"workspace_id": t.w.ID, "id": s.TurnID}).Scan(&id, &status, &lease)
	if err != nil {
		return err
	}
	if lease != s.Lease {
		out.Outcome = Fenced
		return nil
	}
	out.Outcome = Handled
	if asked := ofWords(s.calling()); len(asked) > 0 {
		if err := t.load(ctx); err != nil {
			return err
		}
		_, err := t.escalate(ctx, call{triggers: asked, draft: s.draft(), hits: s.Hits, notice: true, upTo: s.Seq})
		if err != nil {
			return err
		}
		out.Outcome, out.Escalation = Escalated, t.open
		return t.save(ctx)
	}
	if s.Answer == nil || status == conversations.Answered { // it was said already
		return nil
	}
	kept := t.Suggest(conversations.Suggestion{TurnID: s.TurnID, Text: s.Answer.Text, Citations: s.Answer.Citations, Confidence: s.Answer.Confidence})
	out.Outcome, out.Suggestion = Suggested, &kept
	return t.save(ctx)
}

// tag notes topics that the team may want to find, also where no person is called.
func (t *thread) tag(all []Trigger) {
	for _, x := range all {
		if x.Topic != "" && !slices.Contains(t.Tags, x.Topic) && len(t.Tags) < conversations.MaxTags {
			t.Tags = append(t.Tags, x.Topic)
		}
	}
	slices.Sort(t.Tags)
}

func (s Settlement) calls() bool { return len(s.calling()) > 0 }

// calling are the triggers that call a person, what the words say first.
func (s Settlement) calling() []Trigger {
	var out []Trigger
	for _, t := range s.Triggers {
		if t.Effect == triggers.EffectEscalate {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b Trigger) int { return rank(a) - rank(b) })
	return out
}

func rank(t Trigger) int {
	switch t.Kind {
	case triggers.VisitorAsked:
		return 0
	case triggers.SensitiveTopic, triggers.Rule:
		return 1
	}
	return 2
}

// ofWords are those that the visitor's words set off: no change of hands makes
// them wrong, as it does with what the assistant could not do.
func ofWords(all []Trigger) []Trigger {
	var out []Trigger
	for _, t := range all {
		if rank(t) < 2 {
			out = append(out, t)
		}
	}
	return out
}

func (s Settlement) draft() *packet.Draft {
	if s.Answer == nil {
		return nil
	}
	return &packet.Draft{Text: s.Answer.Text, Cited: Cited(s.Answer.Citations), Confidence: s.Answer.Confidence}
}

// Deadline ends a turn that got no answer in time: it escalates, or where a
// person is called already repeats what was promised. A timer that fires late
// or twice changes nothing.
func (h *Handoff) Deadline(ctx context.Context, w postgres.Workspace, turn ids.ID) error {
	err := h.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		var id ids.ID
		var was string
		var lease int64
		err := tx.QueryRow(ctx, turnSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": turn}).Scan(&id, &was, &lease)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && was != conversations.Pending {
			return clearDeadline(ctx, tx, w, turn)
		}
		if err != nil {
			return err
		}
		t, err := h.lock(ctx, tx, w, id)
		if fault.Of(err).Kind == fault.NotFound {
			return clearDeadline(ctx, tx, w, turn)
		}
		if err != nil {
			return err
		}
		switch {
		case t.Turn == nil || t.Turn.ID != turn:
			return clearDeadline(ctx, tx, w, turn)
		case t.Turn.DueAt.After(t.Now):
			return nil
		}
		// Of a suspended workspace, too: nobody has read what was written.
		var out Settled
		return t.call(ctx, Settlement{
			TurnID: turn, Seq: t.Turn.LastSeq,
			Triggers: []Trigger{{Kind: triggers.AssistantFailed, Evidence: "deadline", Effect: triggers.EffectEscalate}},
		}, &out)
	})
	if err != nil {
		return fmt.Errorf("end turn %x at its deadline: %w", turn, err)
	}
	h.conv.Ended(turn)
	return nil
}
