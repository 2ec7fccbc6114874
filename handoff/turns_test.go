package handoff_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// jobs counts the enqueued jobs of a turn.
func (b *bench) jobs(turn ids.ID) (n int) {
	b.Helper()
	text, err := json.Marshal(turn)
	b.must(err)
	b.must(b.db.InSystem(b.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(b.Context(), "select count(*) from river.river_job where kind = 'answer_turn' and args->'TurnID' = $1::jsonb", string(text)).Scan(&n)
	}))
	return n
}

func TestATurnIsOpenedWithItsJobAndItsDeadlineAndLaterMessagesJoin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("First")
	if c.Turn == nil || c.Turn.FirstSeq != 1 || c.Turn.LastSeq != 1 || !c.Turn.DueAt.Equal(b.clock.Now().Add(45*time.Second)) || b.jobs(c.Turn.ID) != 1 {
		t.Fatalf("%+v with %d jobs", c.Turn, b.jobs(c.Turn.ID))
	}
	second := b.post(c.Conversation.ID, "Second")
	if second.Turn.ID != c.Turn.ID || second.Turn.LastSeq != 2 || !second.Turn.DueAt.Equal(c.Turn.DueAt) || b.jobs(c.Turn.ID) != 1 {
		t.Errorf("%+v with %d jobs", second.Turn, b.jobs(c.Turn.ID))
	}
	work := b.claim(*c.Turn)
	if len(work.Messages) != 2 || work.Messages[1].Text != "Second" || work.Last() != 2 || len(work.History) != 0 {
		t.Errorf("%+v", work)
	}
	b.settle(answered(work, "Both."))
	third := b.post(c.Conversation.ID, "Third")
	if third.Turn.ID == c.Turn.ID {
		t.Error("the third message joined a turn that had ended")
	}
	work = b.claim(*third.Turn)
	if len(work.Messages) != 1 || len(work.History) != 3 || work.History[2].Text != "Both." || len(work.History[2].Citations) != 1 {
		t.Errorf("%+v", work)
	}
	b.invariants(c.Conversation.ID)
}

func TestTheDeadlineIsTheWorkspaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	deadline := 20 * time.Second
	_, err := tenantsOf(b).UpdateSettings(t.Context(), b.w, tenants.SettingsChange{TurnDeadline: &deadline}, nil)
	b.must(err)
	c := b.start("First")
	if !c.Turn.DueAt.Equal(b.clock.Now().Add(deadline)) {
		t.Errorf("due at %s, now is %s", c.Turn.DueAt, b.clock.Now())
	}
}

func TestWhatJoinedWhileTheAnswerWasMadeIsReadOnceMoreAndThenMovesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("First")
	work := b.claim(*c.Turn)
	b.post(c.Conversation.ID, "Second")
	if out := b.settle(answered(work, "To the first.")); out.Outcome != handoff.Again {
		t.Fatalf("%+v", out)
	}
	work = b.claim(b.turn(c.Turn.ID))
	if len(work.Messages) != 2 {
		t.Fatalf("%d messages", len(work.Messages))
	}
	third := b.post(c.Conversation.ID, "Third")
	out := b.settle(answered(work, "To both."))
	if out.Outcome != handoff.Answered {
		t.Fatalf("%+v", out)
	}
	turn := b.turn(c.Turn.ID)
	if turn.Status != conversations.Answered || turn.LastSeq != 2 || turn.MessageID != out.Message.ID || turn.NextTurnID.IsZero() {
		t.Errorf("%+v", turn)
	}
	next := b.turn(turn.NextTurnID)
	if next.Status != conversations.Pending || next.FirstSeq != 3 || next.LastSeq != 3 || b.jobs(next.ID) != 1 || b.get(c.Conversation.ID).TurnID != next.ID {
		t.Errorf("%+v with %d jobs", next, b.jobs(next.ID))
	}
	b.invariants(c.Conversation.ID)
	// Who waits for the third message is answered by the next turn.
	var waiting sync.WaitGroup
	waiting.Go(func() {
		got, err := b.conv.WaitTurn(t.Context(), b.w, third.Message.ID, time.Minute)
		if err != nil || got == nil || got.ID != next.ID || got.Status != conversations.Answered {
			t.Errorf("%+v, %v", got, err)
		}
	})
	b.answer(next, "To the third.")
	waiting.Wait()
	b.invariants(c.Conversation.ID)
}

func TestAYesIsReadWhileTheOfferThatItAnswersStands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("Do you ship to islands?")
	offering := answered(b.claim(*c.Turn), "Perhaps.")
	offering.Answer.Offers = true
	b.settle(offering)
	turn := *b.post(c.Conversation.ID, "What does it cost?").Turn
	work := b.claim(turn)
	for _, text := range []string{"Hm.", "Yes please."} {
		b.post(c.Conversation.ID, text)
		late := answered(work, "Five.")
		late.Final = len(work.Messages) > 1
		if out := b.settle(late); out.Outcome != handoff.Again {
			t.Fatalf("before %q was read: %+v", text, out)
		}
		work = b.claim(b.turn(turn.ID))
	}
	if len(work.Messages) != 3 || work.Offer == nil {
		t.Errorf("%d messages read, offer %v", len(work.Messages), work.Offer)
	}
	if all := b.messages(c.Conversation.ID); !strings.HasSuffix(all[1].Text, notices.Offer("en")) {
		t.Errorf("the offer was not said: %q", all[1].Text)
	}
	b.settle(called(work, triggers.VisitorAsked))
	b.invariants(c.Conversation.ID)
}

// P4: no later act hides a wish for a person.
func TestAWishIsReadAlsoIfTheConversationIsSnoozedOrResolvedBeforeItCouldBe(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"snoozed", "resolved"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.start("I want to talk to a person")
			id := c.Conversation.ID
			if name == "snoozed" {
				_, err := b.conv.Snooze(t.Context(), b.w, id, b.clock.Now().Add(time.Hour), nil)
				b.must(err)
			} else {
				_, err := b.h.Resolve(t.Context(), b.w, id, nil)
				b.must(err)
			}
			work, ok, err := b.conv.Claim(t.Context(), b.job(c.Turn.ID))
			if !ok || err != nil || !work.Silent || len(work.Messages) != 1 {
				t.Fatalf("%v %v: %+v", ok, err, work)
			}
			// Meanwhile the visitor asks something else, which is a turn of its own.
			next := b.post(id, "And do you ship to islands?")
			if out := b.settle(called(work, triggers.VisitorAsked)); out.Outcome != handoff.Escalated {
				t.Fatalf("%+v", out)
			}
			if got := b.get(id); got.State() != "waiting" {
				t.Errorf("the conversation is %s", got.State())
			}
			if got := b.turn(next.Turn.ID); got.Status != conversations.Pending || got.FirstSeq > got.LastSeq {
				t.Errorf("the turn that came after: %+v", got)
			}
			b.invariants(id)
		})
	}
}

func TestWaitingEndsWithItsTimeOrItsTurn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("First")
	got, err := b.conv.WaitTurn(t.Context(), b.w, c.Message.ID, 30*time.Millisecond)
	if err != nil || got == nil || got.Status != conversations.Pending {
		t.Errorf("%+v, %v", got, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err := b.conv.WaitTurn(t.Context(), b.w, c.Message.ID, time.Minute)
		if err != nil || got == nil || got.Status != conversations.Superseded {
			t.Errorf("%+v, %v", got, err)
		}
	}()
	_, err = b.h.Accept(t.Context(), b.w, c.Conversation.ID, b.member("Me"), nil)
	b.must(err)
	<-done
	note := b.post(c.Conversation.ID, "To the member")
	if got, err := b.conv.WaitTurn(t.Context(), b.w, note.Message.ID, time.Minute); err != nil || got != nil {
		t.Errorf("without a turn: %+v, %v", got, err)
	}
}

func TestASilentJobsTurnIsGivenToAnotherAndTheFirstCanStoreNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("First")
	job := b.job(c.Turn.ID)
	zombie := b.claim(*c.Turn)
	if _, ok, err := b.conv.Claim(t.Context(), job); ok || err != nil {
		t.Fatalf("claimed twice: %v", err)
	}
	b.clock.Advance(9 * time.Second)
	if mine, err := b.conv.Renew(t.Context(), b.w, c.Turn.ID, zombie.Lease); !mine || err != nil {
		t.Fatal("the lease could not be renewed", err)
	}
	b.clock.Advance(9 * time.Second)
	_, err := b.conv.Requeue(t.Context())
	b.must(err)
	if n := b.jobs(c.Turn.ID); n != 1 {
		t.Fatalf("%d jobs although the first renewed its lease", n)
	}
	b.clock.Advance(2 * time.Second)
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			if _, err := b.conv.Requeue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	if n := b.jobs(c.Turn.ID); n != 2 {
		t.Fatalf("%d jobs", n)
	}
	work := b.claim(b.turn(c.Turn.ID))
	if mine, err := b.conv.Renew(t.Context(), b.w, c.Turn.ID, zombie.Lease); mine || err != nil {
		t.Error("the zombie renewed its lease", err)
	}
	if out := b.settle(answered(zombie, "From the dead.")); out.Outcome != handoff.Fenced {
		t.Errorf("%+v", out)
	}
	if out := b.settle(answered(work, "From the living.")); out.Outcome != handoff.Answered {
		t.Errorf("%+v", out)
	}
	if out := b.settle(answered(zombie, "From the dead.")); out.Outcome != handoff.Fenced {
		t.Errorf("%+v", out)
	}
	if all := b.messages(c.Conversation.ID); len(all) != 2 || all[1].Text != "From the living." {
		t.Errorf("%+v", all)
	}
	b.invariants(c.Conversation.ID)
}

func TestAnAbandonedTurnIsClaimedByTheNextAttemptAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("First")
	job := b.job(c.Turn.ID)
	work := b.claim(*c.Turn)
	b.must(b.conv.Abandon(t.Context(), b.w, c.Turn.ID, work.Lease))
	if _, ok, err := b.conv.Claim(t.Context(), job); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if _, _, err := b.conv.Claim(t.Context(), conversations.AnswerTurn{AgencyID: b.w.AgencyID, WorkspaceID: b.w.ID, TurnID: ids.New(b.clock.Now())}); code(err) != "not_found" {
		t.Errorf("a turn that is not there: %v", err)
	}
}

func TestAtItsDeadlineATurnEscalatesAndOneWhereAPersonIsCalledRepeatsThePromiseOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("First")
	id := c.Conversation.ID
	b.must(b.h.Deadline(t.Context(), b.w, c.Turn.ID))
	if got := b.turn(c.Turn.ID); got.Status != conversations.Pending {
		t.Fatal("it ended before its deadline")
	}
	b.clock.Advance(45 * time.Second)
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			if err := b.h.Deadline(t.Context(), b.w, c.Turn.ID); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	got := b.get(id)
	if got.State() != "waiting" || got.EscalationID.IsZero() {
		t.Fatalf("%+v", got)
	}
	e, err := b.h.Get(t.Context(), tenants.Of(b.w), got.EscalationID)
	b.must(err)
	if e.Trigger != triggers.AssistantFailed || e.Promise == nil || len(e.Triggers) != 1 {
		t.Errorf("%+v", e)
	}
	if turn := b.turn(c.Turn.ID); turn.Status != conversations.Escalated || turn.EscalationID != e.ID {
		t.Errorf("%+v", turn)
	}
	for _, want := range []int{4, 5} { // visitor, notice, visitor, notice; then visitor only
		next := b.post(id, "Hello?")
		b.clock.Advance(45 * time.Second)
		b.must(b.h.Deadline(t.Context(), b.w, next.Turn.ID))
		if turn := b.turn(next.Turn.ID); turn.Status != conversations.Escalated || turn.EscalationID != e.ID {
			t.Errorf("%+v", turn)
		}
		if n := len(b.messages(id)); n != want {
			t.Errorf("%d messages, want %d", n, want)
		}
	}
	e, err = b.h.Get(t.Context(), tenants.Of(b.w), e.ID)
	b.must(err)
	if len(e.Triggers) != 1 || e.Priority != handoff.Normal {
		t.Errorf("a deadline while waiting is no new trigger: %+v", e)
	}
	b.invariants(id)
}

func TestWhileWaitingTheAssistantAnswersFromContent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.in("waiting", ids.ID{}).Conversation.ID
	post := b.post(id, "What are your prices?")
	if post.Turn == nil {
		t.Fatal("no turn while waiting")
	}
	out := b.answer(*post.Turn, "Nine a month.")
	if out.Outcome != handoff.Answered || b.get(id).State() != "waiting" {
		t.Errorf("%+v, %s", out, b.get(id).State())
	}
	b.invariants(id)
}

func TestAWishForAPersonIsNeverDropped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me := b.member("Me")
	for _, meanwhile := range []struct {
		name, state string
		do          func(id ids.ID) error
	}{
		{"nothing", "waiting", func(ids.ID) error { return nil }},
		{"more was written", "waiting", func(id ids.ID) error { b.post(id, "hello?"); return nil }},
		{"resolved", "waiting", func(id ids.ID) error { _, err := b.h.Resolve(t.Context(), b.w, id, nil); return err }},
		{"snoozed", "waiting", func(id ids.ID) error {
			_, err := b.conv.Snooze(t.Context(), b.w, id, b.clock.Now().Add(time.Hour), nil)
			return err
		}},
		{"accepted", "member", func(id ids.ID) error { _, err := b.h.Accept(t.Context(), b.w, id, me, nil); return err }},
		{"escalated", "waiting", func(id ids.ID) error { _, err := b.h.Escalate(t.Context(), b.w, id, handoff.Call{}, nil); return err }},
	} {
		c := b.start("I want to talk to a person")
		work := b.claim(*c.Turn)
		b.must(meanwhile.do(c.Conversation.ID))
		out := b.settle(called(work, triggers.VisitorAsked))
		got := b.get(c.Conversation.ID)
		if out.Outcome != handoff.Escalated || out.Escalation == nil || got.State() != meanwhile.state || got.EscalationID != out.Escalation.ID {
			t.Errorf("%s: %s, %s", meanwhile.name, out.Outcome, got.State())
			continue
		}
		asked := false
		for _, x := range out.Escalation.Triggers {
			asked = asked || x.Kind == triggers.VisitorAsked && x.Evidence == "I want to talk to a person"
		}
		if !asked {
			t.Errorf("%s: %+v", meanwhile.name, out.Escalation.Triggers)
		}
		b.invariants(c.Conversation.ID)
	}
}

func TestAnOfferCountsForTheNextTurnOnlyAndForWhatWasWrittenAfterIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.start("Do you deliver to Mars?")
	id := c.Conversation.ID
	work := b.claim(*c.Turn)
	b.post(id, "yes") // before the offer stood there
	s := answered(work, "Perhaps. Shall I get a person?")
	s.Answer.Offers, s.Answer.Unsure, s.Final = true, true, true
	out := b.settle(s)
	if got := b.get(id); got.PendingOffer != out.Message.Seq || got.UnsureTurns != 1 {
		t.Fatalf("%+v", got)
	}
	next := b.turn(b.turn(c.Turn.ID).NextTurnID)
	work = b.claim(next)
	if work.Offer == nil || work.Offer.Seq < work.Messages[0].Seq || work.Offer.StoredAt.Before(work.Messages[0].CreatedAt) {
		t.Errorf("%+v", work.Offer)
	}
	b.settle(answered(work, "It is red."))
	if got := b.get(id); got.PendingOffer != 0 || got.UnsureTurns != 0 {
		t.Errorf("%+v", got)
	}
	last := b.post(id, "yes")
	if work = b.claim(*last.Turn); work.Offer != nil {
		t.Errorf("%+v", work.Offer)
	}
	b.invariants(id)
}

func TestASuspendedWorkspacesAssistantIsSilentWhileMessagesAndHandoffGoOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me := b.member("Me")
	before := b.start("Before")
	work := b.claim(*before.Turn)
	third := b.start("Third")
	b.status("suspended")
	if out := b.settle(answered(work, "Too late.")); out.Outcome != handoff.Handled {
		t.Errorf("%+v", out)
	}
	silent := b.claim(*third.Turn)
	if !silent.Silent {
		t.Error("an answer is wanted in a suspended workspace")
	}
	if out := b.settle(decided(silent)); out.Outcome != handoff.Handled {
		t.Errorf("%+v", out)
	}
	for _, turn := range []ids.ID{before.Turn.ID, third.Turn.ID} {
		if got := b.turn(turn); got.Status != conversations.Handled {
			t.Errorf("%+v", got)
		}
	}
	id := before.Conversation.ID
	wish := b.post(id, "A person, please!")
	if out := b.settle(called(b.claim(*wish.Turn), triggers.VisitorAsked)); out.Outcome != handoff.Escalated {
		t.Errorf("a wish for a person in a suspended workspace: %+v", out)
	}
	b.reply(id, me, "I am.")
	b.invariants(id)
	b.status("active")
	if post := b.post(third.Conversation.ID, "Again?"); post.Turn == nil {
		t.Error("no turn in an active workspace")
	}
	b.status("deleting")
	if _, err := b.conv.Post(t.Context(), b.w, id, conversations.Post{Text: "x"}, nil); code(err) != "not_found" {
		t.Error(err)
	}
	if _, err := b.h.Resolve(t.Context(), b.w, id, nil); code(err) != "not_found" {
		t.Error(err)
	}
}

func (b *bench) status(status string) {
	b.Helper()
	b.must(b.db.InAgency(b.Context(), b.w.AgencyID, func(tx pgx.Tx) error {
		_, err := tx.Exec(b.Context(), "update workspaces set status = $1 where workspace_id = $2", status, b.w.ID)
		return err
	}))
}

func TestAReleaseTurnsWhatWasNotAnsweredIntoATurn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me := b.member("Me")
	for _, to := range []string{handoff.ToAssistant, handoff.ToTeam} {
		id := b.in("member", me).Conversation.ID
		b.reply(id, me, "Let me look.")
		b.post(id, "One more thing:")
		b.post(id, "what does it cost?")
		out, err := b.h.Release(t.Context(), b.w, id, to, me, nil)
		b.must(err)
		got := b.get(id)
		if got.TurnID.IsZero() {
			t.Fatalf("%s: no turn", to)
		}
		turn := b.turn(got.TurnID)
		work := b.claim(turn)
		if len(work.Messages) != 2 || !turn.DueAt.Equal(b.clock.Now().Add(45*time.Second)) || b.jobs(turn.ID) != 1 {
			t.Errorf("%s: %+v, due %s", to, work.Messages, turn.DueAt)
		}
		if to == handoff.ToTeam && (out.Escalation.Status != handoff.StatusOpen || !out.Escalation.AcceptedBy.IsZero() || out.Escalation.Promise == nil) {
			t.Errorf("%+v", out.Escalation)
		}
		if to == handoff.ToAssistant && (out.Escalation.Status != handoff.StatusResolved || out.Escalation.ResolvedAt == nil) {
			t.Errorf("%+v", out.Escalation)
		}
		b.invariants(id)
	}
	// From the waiting team to the assistant: the turn that was pending goes on,
	// and what was computed for it is not said.
	id := b.in("waiting", me).Conversation.ID
	post := b.post(id, "Hello?")
	work := b.claim(*post.Turn)
	out, err := b.h.Release(t.Context(), b.w, id, handoff.ToAssistant, ids.ID{}, nil)
	b.must(err)
	if out.Escalation.Status != handoff.StatusWithdrawn {
		t.Errorf("%+v", out.Escalation)
	}
	if late := b.settle(answered(work, "Old.")); late.Outcome != handoff.Suggested {
		t.Errorf("%+v", late)
	}
	next := b.get(id).TurnID
	if b.turn(post.Turn.ID).NextTurnID != next || next.IsZero() {
		t.Error("the old turn does not name the next")
	}
	b.answer(b.turn(next), "New.")
	b.invariants(id)
}
