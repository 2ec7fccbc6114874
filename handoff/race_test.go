package handoff_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// work answers what is pending as a node's jobs would, until done is closed and
// nothing is left. Each answer names the messages that it answers.
func (b *bench) work(id ids.ID, done <-chan struct{}) error {
	for last := false; ; {
		c, err := b.conv.Get(b.Context(), tenants.Of(b.w), id)
		if err != nil {
			return err
		}
		if c.TurnID.IsZero() {
			if last {
				return nil
			}
			select {
			case <-done:
				last = true
			default:
			}
			continue
		}
		turn, err := b.conv.GetTurn(b.Context(), b.w, c.TurnID)
		if err != nil {
			return err
		}
		if err := b.one(conversations.AnswerTurn{AgencyID: b.w.AgencyID, WorkspaceID: b.w.ID, TurnID: turn.ID, Lease: turn.Lease}); err != nil {
			return err
		}
	}
}

// one works one job to its end.
func (b *bench) one(job conversations.AnswerTurn) error {
	for {
		work, ok, err := b.conv.Claim(b.Context(), job)
		if err != nil || !ok {
			return err
		}
		var read []string
		for _, m := range work.Messages {
			read = append(read, m.Text)
		}
		out, err := b.h.Settle(b.Context(), b.w, answered(work, strings.Join(read, ",")), nil)
		if err != nil || out.Outcome != handoff.Again {
			return err
		}
		job.Lease = work.Lease
	}
}

func TestFiftyPostsAtOnceWithTwoNodesAreEachAnsweredOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.start("m0")
	id := first.Conversation.ID
	var posts, nodes sync.WaitGroup
	done := make(chan struct{})
	for n := range 2 {
		nodes.Go(func() {
			if err := b.work(id, done); err != nil {
				t.Errorf("node %d: %v", n, err)
			}
		})
	}
	for i := 1; i <= 50; i++ {
		posts.Go(func() {
			if _, err := b.conv.Post(t.Context(), b.w, id, conversations.Post{Text: fmt.Sprint("m", i)}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	posts.Wait()
	close(done)
	nodes.Wait()
	var asked, answered []string
	turns := 0
	for _, m := range b.messages(id) {
		switch m.Author {
		case conversations.Visitor:
			asked = append(asked, m.Text)
			if turn := b.turn(m.TurnID); turn.Status != conversations.Answered || m.Seq < turn.FirstSeq || m.Seq > turn.LastSeq {
				t.Errorf("message %d: turn %+v", m.Seq, turn)
			}
		case conversations.Assistant:
			turns++
			answered = append(answered, strings.Split(m.Text, ",")...)
		}
	}
	if len(asked) != 51 || !slices.Equal(asked, answered) {
		t.Errorf("asked %q\nanswered %q", asked, answered)
	}
	t.Logf("%d turns", turns)
	b.invariants(id)
}

func TestAnAnswerThatWasComputedWhileAPersonAcceptedBecomesASuggestion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me := b.member("Me")
	c := b.start("Where is my order?")
	work := b.claim(*c.Turn)
	if _, err := b.h.Accept(t.Context(), b.w, c.Conversation.ID, me, nil); err != nil {
		t.Fatal(err)
	}
	out := b.settle(answered(work, "In the post."))
	if out.Outcome != handoff.Suggested || out.Suggestion == nil || out.Suggestion.Text != "In the post." {
		t.Fatalf("%+v", out)
	}
	kept, err := b.conv.Suggestions(t.Context(), b.w, c.Conversation.ID)
	if err != nil || len(kept) != 1 || kept[0].Text != "In the post." || len(kept[0].Citations) != 1 || kept[0].TurnID != c.Turn.ID {
		t.Errorf("%+v, %v", kept, err)
	}
	if all := b.messages(c.Conversation.ID); len(all) != 1 {
		t.Errorf("%d messages", len(all))
	}
	if turn := b.turn(c.Turn.ID); turn.Status != conversations.Superseded {
		t.Errorf("turn %s", turn.Status)
	}
	b.invariants(c.Conversation.ID)
}

func TestOfTwoMembersWhoAcceptAtOnceOneWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, state := range []string{"waiting", "assistant"} {
		id := b.in(state, ids.ID{}).Conversation.ID
		members := []ids.ID{b.member("A"), b.member("B"), b.member("C"), b.member("D")}
		var won atomic.Int64
		var all sync.WaitGroup
		for _, m := range members {
			all.Go(func() {
				switch _, err := b.h.Accept(t.Context(), b.w, id, m, nil); code(err) {
				case "":
					won.Add(1)
				case "already_accepted":
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%s: %d won", state, won.Load())
		}
		b.invariants(id)
	}
}

// Whichever comes first, the visitor hears one voice: the member, or the
// assistant, about what was last written.
func TestAReleaseWhileAReplyIsInFlightLeavesOneVoice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 20 {
		me, other := b.member("Me"), b.member("Other")
		id := b.in("member", me).Conversation.ID
		b.post(id, "Are you there?")
		seen := b.get(id).LastPublicSeq
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := b.h.Release(t.Context(), b.w, id, handoff.ToAssistant, me, nil); err != nil && code(err) != "not_owner" {
				t.Error(err)
			}
			if c := b.get(id); !c.TurnID.IsZero() {
				if err := b.one(b.job(c.TurnID)); err != nil {
					t.Error(err)
				}
			}
		})
		both.Go(func() {
			_, err := b.h.Reply(t.Context(), b.w, id, handoff.Reply{MemberID: other, Text: "Yes.", ExpectedSeq: &seen, TakeOver: true}, nil)
			if err != nil && code(err) != "stale_reply" {
				t.Error(err)
			}
		})
		both.Wait()
		voices := 0
		for _, m := range b.messages(id) {
			if m.Seq > seen && (m.Author == conversations.Member || m.Author == conversations.Assistant) {
				voices++
			}
		}
		if voices != 1 {
			t.Fatalf("%d answered", voices)
		}
		b.invariants(id)
	}
}

func TestEscalatedTwiceAtOnceIsOneEscalation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("I want to talk to a person")
	id := c.Conversation.ID
	work := b.claim(*c.Turn)
	var all sync.WaitGroup
	var opened atomic.Int64
	for range 6 {
		all.Go(func() {
			out, err := b.h.Escalate(t.Context(), b.w, id, handoff.Call{Reason: "please"}, nil)
			if err != nil {
				t.Error(err)
			}
			if out.Opened {
				opened.Add(1)
			}
		})
	}
	all.Go(func() {
		out, err := b.h.Settle(t.Context(), b.w, called(work, triggers.VisitorAsked), nil)
		if err != nil || out.Outcome != handoff.Escalated {
			t.Errorf("%+v, %v", out, err)
		}
	})
	all.Wait()
	list, _, err := b.h.List(t.Context(), tenants.Of(b.w), handoff.ListFilter{ConversationID: id, Limit: 10})
	if err != nil || len(list) != 1 || opened.Load() > 1 {
		t.Fatalf("%d escalations, %d opened, %v", len(list), opened.Load(), err)
	}
	if e := list[0]; len(e.Triggers) != 7 || e.Priority != handoff.Urgent {
		t.Errorf("%d triggers, %s", len(e.Triggers), e.Priority)
	}
	notices := 0
	for _, m := range b.messages(id) {
		if m.Author == conversations.System {
			notices++
		}
	}
	if notices > 2 || notices < 1 { // the handoff's, and one that repeats the promise
		t.Errorf("%d notices", notices)
	}
	b.invariants(id)
}

func TestTheSameKeyTwentyTimesAtOnceIsOneMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.start("Hello").Conversation.ID
	var stored ids.ID
	var all sync.WaitGroup
	var mu sync.Mutex
	for range 20 {
		all.Go(func() {
			for {
				r := b.receipt("key", "body")
				out, err := b.conv.Post(t.Context(), b.w, id, conversations.Post{Text: "Once"}, r)
				if code(err) == "idempotency_in_flight" {
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if stored.IsZero() {
					stored = out.Message.ID
				}
				if out.Message.ID != stored || out.Message.Text != "Once" || out.Turn == nil {
					t.Errorf("%+v", out)
				}
				return
			}
		})
	}
	all.Wait()
	if n := len(b.messages(id)); n != 2 {
		t.Errorf("%d messages", n)
	}
	if _, err := b.conv.Post(t.Context(), b.w, id, conversations.Post{Text: "Other"}, b.receipt("key", "other")); code(err) != "idempotency_mismatch" {
		t.Error(err)
	}
	b.invariants(id)
}

func TestAClientIDIsUniqueInItsConversationForEver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me := b.member("Me")
	id, other := b.start("Hello").Conversation.ID, b.start("Hello").Conversation.ID
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[ids.ID]bool{}
	for range 10 {
		all.Go(func() {
			out, err := b.conv.Post(t.Context(), b.w, id, conversations.Post{Text: "Once", ClientID: "c1"}, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || out.Turn == nil {
				t.Errorf("%+v, %v", out, err)
			}
			seen[out.Message.ID] = true
		})
	}
	all.Wait()
	b.clock.Advance(1000 * time.Hour)
	again, err := b.conv.Post(t.Context(), b.w, id, conversations.Post{Text: "Once", ClientID: "c1"}, nil)
	if err != nil || len(seen) != 1 || !seen[again.Message.ID] || !again.Repeated {
		t.Errorf("%d messages, %+v, %v", len(seen), again, err)
	}
	if out, err := b.conv.Post(t.Context(), b.w, other, conversations.Post{Text: "Once", ClientID: "c1"}, nil); err != nil || out.Repeated {
		t.Errorf("in another conversation: %+v, %v", out, err)
	}
	first, err := b.h.Reply(t.Context(), b.w, id, handoff.Reply{MemberID: me, Text: "Hi", ClientID: "c2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	repeat, err := b.h.Reply(t.Context(), b.w, id, handoff.Reply{MemberID: me, Text: "Hi", ClientID: "c2"}, nil)
	if err != nil || !repeat.Repeated || repeat.Message.ID != first.Message.ID {
		t.Errorf("%+v, %v", repeat, err)
	}
	b.invariants(id)
}

func TestAStaleReplyIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me, other := b.member("Me"), b.member("Other")
	id := b.in("member", me).Conversation.ID
	seen := b.get(id).LastPublicSeq
	reply := func(who ids.ID, seq int64) error {
		_, err := b.h.Reply(t.Context(), b.w, id, handoff.Reply{MemberID: who, Text: "Well", ExpectedSeq: &seq, TakeOver: true}, nil)
		return err
	}
	if _, err := b.conv.Note(t.Context(), b.w, id, conversations.Note{MemberID: other, Text: "a note"}, nil); err != nil {
		t.Fatal(err)
	}
	b.must(reply(me, seen)) // a note makes no reply stale
	b.must(reply(me, seen)) // nor does the member's own message
	b.post(id, "Wait!")
	var stale *handoff.StaleReply
	if err := reply(me, seen); !errors.As(err, &stale) || fault.Of(err).Code != "stale_reply" {
		t.Fatal(err)
	}
	if len(stale.Missed) != 1 || stale.Missed[0].Text != "Wait!" {
		t.Errorf("%+v", stale.Missed)
	}
	if err := reply(other, seen); !errors.As(err, &stale) || len(stale.Missed) != 3 || stale.Missed[0].MemberName != "Me" {
		t.Errorf("%v: %+v", err, stale.Missed)
	}
	b.must(reply(me, stale.Missed[2].Seq))
	b.invariants(id)
}

func TestTheJobCompletesInTheTransactionThatStoresTheAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("Question?")
	work := b.claim(*c.Turn)
	broken := errors.New("broken")
	_, err := b.h.Settle(t.Context(), b.w, answered(work, "Answer."), func(_ context.Context, _ pgx.Tx) error { return broken })
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if n := len(b.messages(c.Conversation.ID)); n != 1 {
		t.Fatalf("%d messages although the job did not complete", n)
	}
	completed := 0
	complete := func(context.Context, pgx.Tx) error { completed++; return nil }
	if out, err := b.h.Settle(t.Context(), b.w, answered(work, "Answer."), complete); err != nil || out.Outcome != handoff.Answered {
		t.Fatalf("%+v, %v", out, err)
	}
	if out, err := b.h.Settle(t.Context(), b.w, answered(work, "Answer."), complete); err != nil || out.Outcome != handoff.Handled || completed != 2 {
		t.Errorf("%+v, %v, completed %d times", out, err, completed)
	}
	b.invariants(c.Conversation.ID)
}
