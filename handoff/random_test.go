package handoff_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/ids"
)

// expected are the failures that a verb may give in some state.
var expected = map[string]bool{"": true, "conversation_resolved": true, "not_owner": true, "already_accepted": true, "stale_reply": true}

// Any order of verbs, from several callers at once, leaves conversations whole.
func TestAnyOrderOfVerbsAtOnceKeepsEveryConversationWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	members := []ids.ID{b.member("A"), b.member("B")}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range 4 {
		id := b.start("Hello").Conversation.ID
		var callers sync.WaitGroup
		for caller := range 5 {
			random := rand.New(rand.NewPCG(seed, uint64(round*10+caller)))
			callers.Go(func() {
				for step := range 25 {
					if err := b.random(id, members, random); !expected[code(err)] {
						t.Errorf("caller %d, step %d: %v", caller, step, err)
					}
				}
			})
		}
		callers.Wait()
		b.invariants(id)
		// In the end everything that is pending ends at its deadline.
		b.clock.Advance(time.Hour)
		for c := b.get(id); !c.TurnID.IsZero(); c = b.get(id) {
			b.must(b.h.Deadline(t.Context(), b.w, c.TurnID))
		}
		b.invariants(id)
	}
}

func (b *bench) random(id ids.ID, members []ids.ID, random *rand.Rand) error {
	ctx, w := b.Context(), b.w
	me := members[random.IntN(len(members))]
	switch random.IntN(16) {
	case 0, 1, 2, 3:
		_, err := b.conv.Post(ctx, w, id, conversations.Post{Text: fmt.Sprint("m", random.IntN(100))}, nil)
		return err
	case 4:
		_, err := b.h.Escalate(ctx, w, id, handoff.Call{ByVisitor: random.IntN(2) == 0}, nil)
		return err
	case 5:
		_, err := b.h.Accept(ctx, w, id, me, nil)
		return err
	case 6:
		_, err := b.h.Reply(ctx, w, id, handoff.Reply{MemberID: me, Text: "reply", TakeOver: random.IntN(3) == 0}, nil)
		return err
	case 7:
		to := handoff.ToTeam
		if random.IntN(2) == 0 {
			to = handoff.ToAssistant
		}
		_, err := b.h.Release(ctx, w, id, to, ids.ID{}, nil)
		return err
	case 8:
		if random.IntN(3) > 0 {
			return nil
		}
		_, err := b.h.Resolve(ctx, w, id, nil)
		return err
	case 9:
		_, err := b.conv.Snooze(ctx, w, id, b.clock.Now().Add(time.Hour), nil)
		return err
	case 10:
		_, err := b.conv.Reopen(ctx, w, id, nil)
		return err
	case 11:
		_, err := b.conv.Note(ctx, w, id, conversations.Note{MemberID: me, Text: "note"}, nil)
		return err
	case 12:
		_, err := b.conv.Assign(ctx, w, id, me, nil)
		return err
	}
	c, err := b.conv.Get(ctx, tenantsScope(b), id)
	if err != nil || c.TurnID.IsZero() {
		return err
	}
	turn, err := b.conv.GetTurn(ctx, w, c.TurnID)
	if err != nil {
		return err
	}
	work, ok, err := b.conv.Claim(ctx, conversations.AnswerTurn{AgencyID: w.AgencyID, WorkspaceID: w.ID, TurnID: turn.ID, Lease: turn.Lease})
	if err != nil || !ok {
		return err
	}
	s := answered(work, "answer")
	switch random.IntN(6) {
	case 0:
		s = called(work, triggers.VisitorAsked)
	case 1:
		s = called(work, triggers.AssistantUnsure)
	case 2:
		s.Final = true
	case 3:
		s.Answer.Offers = true
	}
	out, err := b.h.Settle(ctx, w, s, nil)
	if err == nil && out.Outcome == handoff.Again {
		return b.conv.Abandon(ctx, w, turn.ID, work.Lease)
	}
	return err
}
