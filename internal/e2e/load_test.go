package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// load is what several clients write at the same time. A request that has no
// answer, or a failure for one, is sent again with its key, to the next node,
// until it is acknowledged.
type load struct {
	in      *installation
	nodes   []*api
	mu      sync.Mutex
	acked   []acked
	retried int
	failed  []string
	done    chan struct{}
}

// acked is a message that was acknowledged.
type acked struct{ conversation, message, text string }

// Each client begins so many conversations, with so many messages in each.
const (
	clients       = 5
	conversations = 5
	messages      = 3
)

var said = []string{
	"How many working days does delivery to an island take?",
	"Can I return a lamp within 30 days of delivery?",
	"thanks",
	"How do I breed alpacas in the mountains?",
	"I want to talk to a person please",
}

// press starts the clients.
func press(ctx context.Context, in *installation, nodes ...*api) *load {
	l := &load{in: in, nodes: nodes, done: make(chan struct{})}
	var work sync.WaitGroup
	for i := range clients {
		work.Go(func() { l.client(ctx, i) })
	}
	go func() {
		work.Wait()
		close(l.done)
	}()
	return l
}

func (l *load) client(ctx context.Context, number int) {
	at := number
	for c := range conversations {
		key := fmt.Sprintf("%d-%d", number, c)
		text := func(m int) string { return said[(number+c+m)%len(said)] }
		r, ok := l.write(ctx, &at, "/v1/conversations", key, object{
			"contact": object{"name": "Visitor " + key}, "message": object{"text": text(0)}, "language": "en",
		})
		if !ok {
			return
		}
		conversation := r.text("id")
		l.acknowledge(acked{conversation, r.text("message.id"), text(0)})
		for m := 1; m < messages; m++ {
			r, ok := l.write(ctx, &at, "/v1/conversations/"+conversation+"/messages", fmt.Sprintf("%s-%d", key, m), object{
				"author": object{"type": "visitor"}, "text": text(m),
			})
			if !ok {
				return
			}
			l.acknowledge(acked{conversation, r.text("id"), text(m)})
		}
	}
}

// write sends until it is acknowledged, at most for a minute.
func (l *load) write(ctx context.Context, node *int, path, key string, body any) (reply, bool) {
	var r reply
	var err error
	ok := poll(ctx, time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		r, err = l.nodes[*node%len(l.nodes)].send(ctx, "POST", path, body, "Idempotency-Key", key)
		if err == nil && (r.status == http.StatusCreated || r.status == http.StatusOK) {
			return true
		}
		*node++
		l.mu.Lock()
		l.retried++
		if err == nil && r.status < 500 && r.status != http.StatusTooManyRequests && r.at("code") != "idempotency_in_flight" {
			l.failed = append(l.failed, fmt.Sprintf("%s: %d %s", path, r.status, r.raw))
		}
		l.mu.Unlock()
		return false
	})
	if !ok {
		l.mu.Lock()
		l.failed = append(l.failed, fmt.Sprintf("%s was never acknowledged: %v %d %s", path, err, r.status, r.raw))
		l.mu.Unlock()
	}
	return r, ok
}

func (l *load) acknowledge(a acked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = append(l.acked, a)
}

// reached waits until so many messages were acknowledged.
func (l *load) reached(t *testing.T, n int) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%d messages are acknowledged", n), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acked) >= n
	})
}

// refused waits until so many more requests had to be sent again.
func (l *load) refused(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	n += l.retried
	l.mu.Unlock()
	eventually(t, time.Minute, "the clients are refused", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.retried >= n
	})
}

// finish waits until all is written and every turn has come to an end.
func (l *load) finish(t *testing.T) {
	t.Helper()
	select {
	case <-l.done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the clients are not done within two minutes")
	}
	for _, text := range l.failed {
		t.Error(text)
	}
	if want := clients * conversations * messages; len(l.acked) != want {
		t.Fatalf("%d messages were acknowledged, not %d", len(l.acked), want)
	}
	eventually(t, 90*time.Second, "no turn is pending", func() bool {
		return l.in.query(t, "select count(*) from turns where status = 'pending'") == 0
	})
	t.Logf("%d messages acknowledged, %d requests sent again", len(l.acked), l.retried)
}

// complete checks that every acknowledged message is there, once, with no gap
// in the numbers.
func (l *load) complete(t *testing.T, a *api) {
	t.Helper()
	threads := map[string]map[string]string{}
	for _, m := range l.acked {
		if threads[m.conversation] == nil {
			thread := map[string]string{}
			for i, entry := range a.all(t, "/v1/conversations/"+m.conversation+"/messages") {
				thread[entry["id"].(string)] = entry["text"].(string)
				if entry["seq"] != float64(i+1) {
					t.Errorf("%s: the %d. message has the seq %v", m.conversation, i+1, entry["seq"])
				}
			}
			threads[m.conversation] = thread
		}
		if got := threads[m.conversation][m.message]; got != m.text {
			t.Errorf("%s: the message %s says %q, not %q", m.conversation, m.message, got, m.text)
		}
	}
	if n := l.in.query(t, "select count(*) from messages where author = 'visitor'"); n != int64(len(l.acked)) {
		t.Errorf("%d messages of visitors are stored, %d were acknowledged", n, len(l.acked))
	}
	if n := l.in.query(t, "select count(*) from conversations"); n != clients*conversations {
		t.Errorf("there are %d conversations", n)
	}
}

// answeredOnce checks that each turn has one answer, or a person with one
// notice, in time.
func (l *load) answeredOnce(t *testing.T) {
	t.Helper()
	for what, sql := range map[string]string{
		"messages without a turn":                  `select count(*) from messages m where author = 'visitor' and not exists (select from turns t where t.workspace_id = m.workspace_id and t.id = m.turn_id)`,
		"answered turns without their answer":      `select count(*) from turns t where status = 'answered' and not exists (select from messages m where m.workspace_id = t.workspace_id and m.id = t.message_id and m.author = 'assistant')`,
		"escalated turns without their escalation": `select count(*) from turns t where status = 'escalated' and not exists (select from escalations e where e.workspace_id = t.workspace_id and e.id = t.escalation_id)`,
		"answers of no turn, or of several":        `select count(*) from messages m where author = 'assistant' and 1 <> (select count(*) from turns t where t.workspace_id = m.workspace_id and t.message_id = m.id)`,
		"notices that came twice":                  `select count(*) from (select from messages where author = 'system' group by workspace_id, conversation_id, text having count(*) > 1) d`,
		"escalations whose notice is missing":      `select count(*) from escalations e where not exists (select from messages m where m.workspace_id = e.workspace_id and m.conversation_id = e.conversation_id and m.author = 'system')`,
		"conversations with two open escalations":  `select count(*) from (select from escalations where status in ('open', 'accepted', 'answered') group by workspace_id, conversation_id having count(*) > 1) d`,
		"turns past their time by ten seconds":     `select count(*) from turns where updated_at > due_at + interval '10 s'`,
		"turns of another end":                     `select count(*) from turns where status not in ('answered', 'escalated')`,
	} {
		if n := l.in.query(t, sql); n != 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
	t.Logf("%d turns: %d answered, %d escalated, %d of them as failed",
		l.in.query(t, "select count(*) from turns"),
		l.in.query(t, "select count(*) from turns where status = 'answered'"),
		l.in.query(t, "select count(*) from turns where status = 'escalated'"),
		l.in.query(t, "select count(*) from escalations where trigger = 'assistant_failed'"))
}

// told checks that the log holds what happened, and that each event of it came
// to the receiver. It tells how many came more than once.
func (l *load) told(t *testing.T, a *api, r *receiver, atMost time.Duration) (repeated int) {
	t.Helper()
	began := time.Now()
	eventually(t, 20*time.Second, "every event is numbered", func() bool {
		return l.in.query(t, "select count(*) from event_inbox") == 0
	})
	var ids []string
	messages := 0
	for _, e := range a.all(t, "/v1/events?after="+r.since) {
		if e["type"] == "message.created" {
			messages++
		}
		ids = append(ids, e["id"].(string))
	}
	if n := l.in.query(t, "select count(*) from messages"); n != int64(messages) {
		t.Errorf("there are %d messages, the log tells of %d", n, messages)
	}
	var missing []string
	if !poll(t.Context(), atMost, func() bool {
		missing = r.missing(ids)
		return len(missing) == 0
	}) {
		t.Errorf("%d of %d events were not delivered within %v: %v", len(missing), len(ids), atMost, missing)
	}
	repeated = r.check(t)
	t.Logf("%d events delivered after %.0f s, %d of them more than once", len(ids), time.Since(began).Seconds(), repeated)
	return repeated
}
