package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/assistant/provider/providertest"
	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/pgserver"
)

func TestANodeKilledUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	in := install(t)
	first := in.serve(t, nil)
	second := in.serve(t, nil)
	teach(t, second.api)
	hooks := receive(t, nil)
	hooks.subscribe(t, second.api, "*")
	reading, stop := context.WithCancel(t.Context())
	defer stop()
	everywhere := in.api("") // the agency's events, of all workspaces
	readers := []*api{{base: first.base, key: in.key, http: everywhere.http}, {base: second.base, key: in.key, http: everywhere.http}}
	stream, stopped := follow(reading, readers...)

	l := press(t.Context(), in, first.api, second.api)
	l.reached(t, 20)
	eventually(t, 30*time.Second, "the stream has told something", func() bool { return stream.count() > 10 })
	first.kill()
	l.finish(t)
	l.complete(t, second.api)
	l.answeredOnce(t)
	l.told(t, second.api, hooks, 100*time.Second)

	// The stream that was cut off is compared with the log.
	var log []event
	for _, e := range readers[1].all(t, "/v1/events") {
		log = append(log, event{e["position"].(string), e["id"].(string), e["type"].(string)})
	}
	eventually(t, 30*time.Second, "the stream has told everything", func() bool { return stream.count() >= len(log) })
	stop()
	<-stopped
	// A position is written anew each time, so events are compared by id and type.
	if !slices.EqualFunc(stream.events, log, func(a, b event) bool { return a.id == b.id && a.kind == b.kind }) {
		t.Errorf("the stream told of %d events, the log has %d, or their order differs", len(stream.events), len(log))
	}
	if stream.broken == 0 || stream.nodes[first.base] == 0 || stream.nodes[second.base] == 0 {
		t.Errorf("the stream was not cut off in its middle: %v", stream.nodes)
	}
}

func TestANodeStoppedUnderLoadLeavesNothingToRepair(t *testing.T) {
	t.Parallel()
	in := install(t)
	first := in.serve(t, nil)
	second := in.serve(t, nil)
	teach(t, second.api)
	hooks := receive(t, nil)
	hooks.subscribe(t, second.api, "*")
	reading, stop := context.WithCancel(t.Context())
	defer stop()
	stream, stopped := follow(reading, first.api) // an open stream must not hold it up

	l := press(t.Context(), in, first.api, second.api)
	l.reached(t, 20)
	eventually(t, 30*time.Second, "the stream has told something", func() bool { return stream.count() > 10 })
	began := time.Now()
	first.interrupt()
	if code := first.ended(40 * time.Second); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	t.Logf("it stopped within %.1f s", time.Since(began).Seconds())
	stop()
	<-stopped
	l.finish(t)
	l.complete(t, second.api)
	l.answeredOnce(t)
	if repeated := l.told(t, second.api, hooks, 30*time.Second); repeated != 0 {
		t.Errorf("%d events were delivered more than once", repeated)
	}
}

func TestPostgresRestartedUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	options := pgserver.Options{DataDir: folder(t, false), BinDir: artifactstest.Postgres(t), Settings: settings}
	server, err := pgserver.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	halt := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { halt() })
	run(t, server.URL(), "create database relaydesk")
	owner := located(server.URL(), "relaydesk", nil)
	migrate(t, binary(t), owner)
	in := newInstallation(t, binary(t), owner)
	n := in.serve(t, nil)
	teach(t, n.api)
	hooks := receive(t, nil)
	hooks.subscribe(t, n.api, "*")

	l := press(t.Context(), in, n.api)
	for _, count := range []int{15, 40} {
		l.reached(t, count)
		halt()
		options.Port = server.Port()
		began := time.Now()
		l.refused(t, 2*clients)
		if server, err = pgserver.Start(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		t.Logf("Postgres was back %.1f s later", time.Since(began).Seconds())
	}
	l.finish(t)
	l.complete(t, n.api)
	l.answeredOnce(t)
	l.told(t, n.api, hooks, 100*time.Second)
	select {
	case <-n.done:
		t.Error("the node ended")
	default:
	}
}

func TestAKilledWorkersCrawlAndAnswerAreFinishedByAnother(t *testing.T) {
	t.Parallel()
	in := install(t)
	model := providertest.New(t, providertest.Hang(), providertest.Forever(providertest.Answer("Five working days.")))
	env := []string{"RELAYDESK_OPENAI_BASE_URL=" + model.URL(), "RELAYDESK_OPENAI_MODEL=scripted"}
	front := in.serve(t, env, "--no-workers")
	first := in.worker(t, env...)
	teach(t, front.api)

	lamps := publish(t, 30, 400*time.Millisecond)
	src := front.want(t, 201, "POST", "/v1/sources", object{"type": "website", "url": lamps.URL, "max_pages": 100}).text("id")
	asked := front.want(t, 201, "POST", "/v1/conversations", object{
		"contact": object{"name": "Bo"}, "message": object{"text": said[0]}, "language": "en",
	})
	eventually(t, 30*time.Second, "the model is asked", func() bool { return len(model.Requests()) > 0 })
	eventually(t, 30*time.Second, "the site is in the middle of being read", func() bool { return lamps.served() >= 6 })
	first.kill()
	killed := time.Now()
	if n := lamps.served(); n > 25 {
		t.Fatalf("%d pages are read already", n)
	}
	in.worker(t, env...)

	turn := "/v1/turns/" + asked.text("turn.id")
	eventually(t, 50*time.Second, "the turn is ended", func() bool {
		return front.want(t, 200, "GET", turn, nil).text("status") != "pending"
	})
	t.Logf("the turn ended %.1f s after the kill", time.Since(killed).Seconds())
	if got := front.want(t, 200, "GET", turn, nil).text("status"); got != "answered" {
		t.Errorf("the turn is %s", got)
	}
	thread := front.all(t, "/v1/conversations/"+asked.text("id")+"/messages")
	if len(thread) != 2 || at(thread[1], "author.type") != "assistant" || !strings.Contains(thread[1]["text"].(string), "Five working days.") {
		t.Errorf("the thread: %v", thread)
	}

	var got reply
	eventually(t, 2*time.Minute-time.Since(killed), "the site is learnt", func() bool {
		got = front.want(t, 200, "GET", "/v1/sources/"+src, nil)
		return got.text("status") == "ready"
	})
	t.Logf("the site was learnt %.1f s after the kill", time.Since(killed).Seconds())
	if got.at("pages.indexed") != 31.0 || got.at("pages.failed") != 0.0 {
		t.Errorf("pages: %s", got.raw)
	}
	urls := map[string]int{}
	for _, page := range front.all(t, "/v1/pages?source_id="+src) {
		urls[page["url"].(string)]++
		if page["status"] != "indexed" {
			t.Errorf("%v", page)
		}
	}
	for u, n := range urls {
		if n != 1 {
			t.Errorf("%s is there %d times", u, n)
		}
	}
	if len(urls) != 31 {
		t.Errorf("%d pages", len(urls))
	}
}

func TestAHangingModelEndsInAPersonAndANoticeInTime(t *testing.T) {
	t.Parallel()
	in := install(t)
	model := providertest.New(t, providertest.Forever(providertest.Hang()))
	n := in.serve(t, []string{"RELAYDESK_OPENAI_BASE_URL=" + model.URL(), "RELAYDESK_OPENAI_MODEL=scripted"})
	n.want(t, 200, "PATCH", "/v1/workspace/settings", object{"turn_deadline_seconds": 15})
	teach(t, n.api)
	r := n.want(t, http.StatusCreated, "POST", "/v1/conversations", object{
		"contact": object{"name": "Bo"}, "message": object{"text": said[0]}, "language": "en",
	}, "Prefer", "wait=30")
	if len(model.Requests()) == 0 {
		t.Error("the model was not asked")
	}
	if r.text("turn.status") != "escalated" || r.text("turn.escalation.trigger") != "assistant_failed" || r.text("turn.escalation.promise.text") == "" {
		t.Fatalf("the turn: %s", r.raw)
	}
	inTime(t, n.api, r)
	if waiting := n.want(t, 200, "GET", "/v1/inbox?view=waiting", nil); waiting.text("data.0.id") != r.text("id") {
		t.Errorf("the inbox: %s", waiting.raw)
	}
}

func TestWithoutAnyWorkerTheVisitorIsToldInTime(t *testing.T) {
	t.Parallel()
	in := install(t)
	n := in.serve(t, nil, "--no-workers")
	n.want(t, 200, "PATCH", "/v1/workspace/settings", object{"turn_deadline_seconds": 15})
	r := n.want(t, http.StatusCreated, "POST", "/v1/conversations", object{
		"contact": object{"name": "Bo"}, "message": object{"text": said[0]}, "language": "en",
	}, "Prefer", "wait=30")
	if r.text("turn.status") != "escalated" || r.text("turn.escalation.trigger") != "assistant_failed" {
		t.Fatalf("the turn: %s", r.raw)
	}
	inTime(t, n.api, r)
}

// inTime checks that the conversation's visitor has one notice, at most ten
// seconds after the turn was due.
func inTime(t *testing.T, a *api, started reply) {
	t.Helper()
	thread := a.all(t, "/v1/conversations/"+started.text("id")+"/messages")
	if len(thread) != 2 || at(thread[1], "author.type") != "system" {
		t.Fatalf("the thread: %v", thread)
	}
	due, err1 := time.Parse(time.RFC3339, started.text("turn.due_at"))
	told, err2 := time.Parse(time.RFC3339, thread[1]["created_at"].(string))
	if err1 != nil || err2 != nil || told.After(due.Add(10*time.Second)) {
		t.Errorf("due at %v, told at %v", due, told)
	}
	t.Logf("the notice came %.1f s before it was due: %s", due.Sub(told).Seconds(), thread[1]["text"])
}
