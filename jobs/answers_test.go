package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/assistant/assistanttest"
	"github.com/relaydesk/relaydesk/assistant/provider"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

func TestAJobCompletesInTheTransactionOfItsAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, &model{}, clock.System())
	b.node(b.World, 2, time.Second)
	c := b.Start("When do parcels to Norway arrive?")
	turn, err := b.Conv.WaitTurn(t.Context(), b.W, c.Message.ID, 20*time.Second)
	b.Must(err)
	if turn.Status != conversations.Answered {
		t.Fatalf("%+v", turn)
	}
	same := func() int {
		return b.number(`select count(*) from river.river_job j, messages m where j.kind = 'answer_turn' and j.state = 'completed'
			and m.id = $1 and m.xmin = j.xmin`, turn.MessageID)
	}
	if same() != 1 {
		t.Errorf("the job completed in another transaction; %d jobs are completed", b.number("select count(*) from river.river_job where kind = 'answer_turn' and state = 'completed'"))
	}
}

// The role of a workspace has what it needs to complete a job, and no answer is
// stored without that: with the grant taken away nothing is, given back all is.
func TestAnAnswerWhoseJobCannotCompleteIsNotStoredAndComesOnceLater(t *testing.T) {
	t.Parallel()
	b := setup(t, &model{}, clock.System())
	c := b.Start("When do parcels to Norway arrive?")
	b.exec("revoke update on river.river_job from relaydesk_workspace")
	b.node(b.World, 2, time.Second)
	b.until("the job has failed", func() bool {
		return b.number("select count(*) from river.river_job where kind = 'answer_turn' and cardinality(errors) > 0") == 1
	})
	if n := len(b.Messages(c.Conversation.ID)); n != 1 {
		t.Fatalf("%d messages", n)
	}
	b.exec("grant update on river.river_job to relaydesk_workspace")
	b.until("it is answered", func() bool { return b.Turn(c.Turn.ID).Status == conversations.Answered })
	if n := len(b.Messages(c.Conversation.ID)); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestAnAnswerIsStoredAlsoIfSomebodyEmptiedTheQueue(t *testing.T) {
	t.Parallel()
	m := &model{asked: make(chan provider.Question, 1), hold: make(chan struct{})}
	b := setup(t, m, clock.System())
	b.node(b.World, 2, time.Second)
	c := b.Start("When do parcels to Norway arrive?")
	<-m.asked
	b.exec("delete from river.river_job")
	close(m.hold)
	b.until("it is answered", func() bool { return b.Turn(c.Turn.ID).Status == conversations.Answered })
}

func TestOfFiftyPostsAtOnceTwoNodesAnswerEachOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, &model{}, clock.System())
	other := b.Another(assistanttest.Options{Model: &model{}})
	b.node(b.World, 4, time.Second)
	b.node(other, 4, time.Second)
	first := b.Start("message 00.")
	id := first.Conversation.ID
	var posts sync.WaitGroup
	for i := 1; i <= 50; i++ {
		posts.Go(func() {
			if _, err := b.Conv.Post(t.Context(), b.W, id, conversations.Post{Text: fmt.Sprintf("message %02d.", i)}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	posts.Wait()
	b.until("no turn is left", func() bool { return b.Get(id).TurnID.IsZero() })
	var asked, answered []string
	turns := map[ids.ID]bool{}
	for _, m := range b.Messages(id) {
		switch m.Author {
		case conversations.Visitor:
			asked = append(asked, m.Text)
		case conversations.Assistant:
			if turns[m.TurnID] {
				t.Errorf("turn %x is answered twice", m.TurnID)
			}
			turns[m.TurnID] = true
			answered = append(answered, strings.Split(m.Text, "\n")...)
		default:
			t.Errorf("%s says %q", m.Author, m.Text)
		}
	}
	if len(asked) != 51 || !slices.Equal(asked, answered) {
		t.Errorf("asked %q\nanswered %q", asked, answered)
	}
	t.Logf("%d turns", len(turns))
	if n := b.number("select count(*) from timers where kind = 1"); n != 0 {
		t.Errorf("%d deadlines are left", n)
	}
}

func TestADeadNodesTurnIsAnsweredByAnotherAndNotEscalated(t *testing.T) {
	t.Parallel()
	hung := &model{asked: make(chan provider.Question, 9), hold: make(chan struct{}), deaf: true}
	b := setup(t, hung, nil)
	// The first node loses its database in the middle of an answer: it gives no
	// more signs of life, as if it had been killed.
	db, err := postgres.Open(t.Context(), b.server, 5)
	b.Must(err)
	dying := *b.World
	dying.DB = db
	dead := dying.Another(assistanttest.Options{Model: hung})
	// Its one worker hangs, so that it takes no other job.
	b.node(dead, 1, 0)
	c := b.Start("When do parcels to Norway arrive?")
	<-hung.asked
	db.Close()
	t.Cleanup(func() { close(hung.hold) })
	alive := b.Another(assistanttest.Options{Model: &model{}})
	b.node(alive, 2, time.Second)
	b.Fake.Advance(conversations.Silence + time.Second)
	b.until("the other node has answered", func() bool { return b.Turn(c.Turn.ID).Status != conversations.Pending })
	all := b.Messages(c.Conversation.ID)
	if turn := b.Turn(c.Turn.ID); turn.Status != conversations.Answered || len(all) != 2 || b.Get(c.Conversation.ID).State() != conversations.Assistant {
		t.Errorf("%+v; %+v", turn, all)
	}
}

func TestWhenNoWorkerAnswersTheDeadlineCallsAPerson(t *testing.T) {
	t.Parallel()
	hung := &model{asked: make(chan provider.Question, 9), hold: make(chan struct{}), deaf: true}
	b := setup(t, hung, nil)
	b.node(b.World, 1, 0)
	c := b.Start("When do parcels to Norway arrive?")
	<-hung.asked
	// The only worker hangs; of a second visitor's turn no job is even begun.
	second := b.Start("When do parcels to Sweden arrive?")
	b.Fake.Set(c.Turn.DueAt.Add(5 * time.Second))
	for _, c := range []conversations.Started{c, second} {
		id := c.Conversation.ID
		b.until("a person is called", func() bool { return b.Turn(c.Turn.ID).Status == conversations.Escalated })
		e := b.Escalation(id)
		if e.Trigger != triggers.AssistantFailed || e.Triggers[0].Evidence != "deadline" {
			t.Errorf("%+v", e.Triggers)
		}
		if m := b.Last(id); m.Author != conversations.System || !strings.Contains(m.Text, "passed this to the team") {
			t.Errorf("%s: %q", m.Author, m.Text)
		}
	}
	// What the worker computed in the end is kept for the team, not said.
	close(hung.hold)
	b.until("the late answer is a suggestion", func() bool {
		kept, err := b.Conv.Suggestions(t.Context(), b.W, c.Conversation.ID)
		b.Must(err)
		return len(kept) == 1
	})
	if n := len(b.Messages(c.Conversation.ID)); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestANodeThatStopsFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	m := &model{asked: make(chan provider.Question, 1), hold: make(chan struct{})}
	b := setup(t, m, clock.System())
	stop := b.node(b.World, 2, 10*time.Second)
	c := b.Start("When do parcels to Norway arrive?")
	<-m.asked
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("stopped in the middle of an answer: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	close(m.hold)
	b.Must(<-stopped)
	if turn := b.Turn(c.Turn.ID); turn.Status != conversations.Answered {
		t.Errorf("%+v", turn)
	}
}

func TestWhatIsNotFinishedWithinTheGraceIsAnsweredByAnotherNodeAtOnce(t *testing.T) {
	t.Parallel()
	m := &model{asked: make(chan provider.Question, 1), hold: make(chan struct{})}
	b := setup(t, m, clock.System())
	stop := b.node(b.World, 2, 200*time.Millisecond)
	c := b.Start("When do parcels to Norway arrive?")
	<-m.asked
	started := time.Now()
	b.Must(stop())
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if turn := b.Turn(c.Turn.ID); turn.Status != conversations.Pending || len(b.Messages(c.Conversation.ID)) != 1 {
		t.Fatalf("%+v", turn)
	}
	started = time.Now()
	b.node(b.Another(assistanttest.Options{Model: &model{}}), 2, time.Second)
	b.until("another node has answered", func() bool { return b.Turn(c.Turn.ID).Status == conversations.Answered })
	if took := time.Since(started); took > conversations.Silence-2*time.Second {
		t.Errorf("it took %s: the turn was not given back", took)
	}
}

func TestATurnThatTakesItsTimeStaysWithItsJobWhileThatLives(t *testing.T) {
	t.Parallel()
	m := &model{asked: make(chan provider.Question, 9), hold: make(chan struct{})}
	b := setup(t, m, clock.System())
	other := &model{asked: make(chan provider.Question, 9)}
	b.node(b.World, 2, time.Second)
	c := b.Start("When do parcels to Norway arrive?")
	<-m.asked
	b.node(b.Another(assistanttest.Options{Model: other}), 2, time.Second)
	select {
	case <-other.asked:
		t.Error("the turn was given to another job")
	case <-time.After(conversations.Silence + 2*time.Second): // the sweep would have taken it by then
	}
	close(m.hold)
	b.until("it is answered", func() bool { return b.Turn(c.Turn.ID).Status == conversations.Answered })
	if n := len(b.Messages(c.Conversation.ID)); n != 2 {
		t.Errorf("%d messages", n)
	}
}
