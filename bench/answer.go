package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/bench/internal/cost"
	"github.com/relaydesk/relaydesk/bench/internal/load"
	"github.com/relaydesk/relaydesk/bench/internal/words"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/e5"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/knowledge"
)

const (
	answerPassages = 10_000
	otherWorkspace = 1000
	otherPassages  = 25 // of each of the others
	realVectors    = 200
	searches       = 300
	askedTimes     = 4
)

// questions are what visitors could ask of the guide, in words of their own.
var questions = []string{
	"How can I change an API key without downtime?",
	"I can't find my key any more, where do I see it?",
	"Our key was posted in a public repository, what now?",
	"How do I let a colleague only look at conversations?",
	"How do I set up a new client?",
	"Which languages are supported?",
	"How long until changes on my website are known?",
	"What if the model provider has an outage?",
	"Does it invent answers?",
	"How do I fix an answer that is wrong?",
	"Are internal notes visible to the visitor?",
	"What happens at night when nobody is in the office?",
	"Can two people reply to the same customer at once?",
	"Where do you keep our data?",
	"How do I remove all data of one visitor?",
	"My server was down, are the webhooks lost?",
	"How do I verify the signature of a webhook?",
	"How do I add our website as a source?",
	"Why is one of my pages not indexed?",
	"Which pages does the crawler visit?",
	"What does the crawler do when the site is not reachable?",
	"How does the assistant know that it doesn't know something?",
	"Can another client see our content?",
	"How do I configure support hours?",
	"When is a conversation passed on to a human?",
	"What is in the packet that a member gets?",
	"How do I put a conversation to sleep until tomorrow?",
	"How do I give a conversation back to the assistant?",
	"What is a turn?",
	"What is the difference between an agency and a workspace?",
	"How do I follow all changes with the event stream?",
	"How do I page through lists?",
	"How do I send the same request twice safely?",
	"What are the rate limits of the API?",
	"How do I make a backup?",
	"How much memory does the server need?",
	"How do I update to a new version?",
	"What is written to the logs?",
	"How do I run it in production?",
	"Which Postgres version is needed?",
}

// asking is the bench of a question that is answered.
type asking struct {
	*world
	db     *database
	tenant tenant // the workspace with the content
	model  *e5.Model
}

func benchAnswer(ctx context.Context, w *world) (err error) {
	weights, err := w.weights(ctx)
	if err != nil {
		return err
	}
	a := &asking{world: w}
	if a.model, err = e5.Load(weights); err != nil {
		return err
	}
	defer a.model.Close()
	if a.db, err = w.database(ctx); err != nil {
		return err
	}
	defer a.db.drop(w)
	threads, err := a.fill(ctx, func(passage string) []float32 { return a.model.Passage(passage)[0] })
	if err != nil {
		return err
	}
	w.say("  the content is in place")
	if err := a.search(ctx); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	s, err := w.serve(ctx, a.db.server)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := a.calibrated(ctx); err != nil {
		return err
	}
	w.say("  the workspace is calibrated")
	return a.ask(ctx, s, threads)
}

// fill makes a workspace with much content among others with some.
func (a *asking) fill(ctx context.Context, embed func(passage string) []float32) ([]ids.ID, error) {
	others := a.scaled(otherWorkspace)
	all, err := a.db.addTenants(ctx, 20, 1+others)
	if err != nil {
		return nil, err
	}
	a.tenant = all[0]
	c := newContent(embed)
	c.add(a.tenant, a.scaled(answerPassages), true, realVectors)
	for _, t := range all[1:] {
		c.add(t, otherPassages, false, 0)
	}
	threads, _, err := a.db.addConversations(ctx, all[:1], 20, (askedTimes+1)*len(questions))
	if err != nil {
		return nil, err
	}
	return threads, c.store(ctx, a.db)
}

// search measures knowledge.Search by itself, with the question's vector given.
func (a *asking) search(ctx context.Context) error {
	db, err := postgres.Open(ctx, a.db.server, 4)
	if err != nil {
		return err
	}
	defer db.Close()
	where := postgres.Workspace{AgencyID: a.tenant.agency, ID: a.tenant.workspace}
	// The worker learns from it, later, how sure its answers are.
	q, err := queue.New(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	err = db.InWorkspace(ctx, where, func(tx pgx.Tx) error {
		return q.Insert(ctx, tx, knowledge.Calibrate{AgencyID: where.AgencyID, WorkspaceID: where.ID, Changes: 1}, time.Time{})
	})
	if err != nil {
		return err
	}
	k := knowledge.New(knowledge.Deps{DB: db, Clock: clock.System(), Queue: q, Log: slog.New(slog.DiscardHandler)})
	writer := words.New(6, guideText())
	var times, asked, arbitrary load.Times
	var before time.Duration
	const warm = 20
	for n := range searches + warm {
		if n == warm && a.postmaster != 0 {
			if before, err = cost.CPU(a.postmaster); err != nil {
				return err
			}
		}
		text := questions[n%len(questions)]
		if n%2 == 0 {
			text = writer.Text(writer.Between(6, 14))
		}
		vector := a.model.Query(text)[0]
		began := time.Now()
		if _, err := k.Search(ctx, where, knowledge.Query{Text: text, Vector: vector, Language: "en"}); err != nil {
			return err
		}
		took := time.Since(began)
		switch {
		case n < warm:
			continue
		case n%2 == 0:
			arbitrary = append(arbitrary, took)
		default:
			asked = append(asked, took)
		}
		times = append(times, took)
	}
	a.atMost("search without embedding, p95", ms(times.Quantile(.95)), "ms", 40)
	a.note("search without embedding, p50", ms(times.Quantile(.5)), "ms")
	a.note("… for questions about the content, p95", ms(asked.Quantile(.95)), "ms")
	a.note("… for 6 to 14 arbitrary words, p95", ms(arbitrary.Quantile(.95)), "ms")
	if a.postmaster != 0 {
		after, err := cost.CPU(a.postmaster)
		if err != nil {
			return err
		}
		a.note("CPU of a search, Postgres", ms(after-before)/searches, "ms")
	}
	return nil
}

// calibrated waits for the job that learns how sure answers are.
func (a *asking) calibrated(ctx context.Context) error {
	for range 600 {
		var done bool
		if err := a.db.admin.QueryRow(ctx, "select exists (select from calibrations where workspace_id = $1)", a.tenant.workspace).Scan(&done); err != nil || done {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the workspace was not calibrated in a minute")
}

// ask sends one question after another, each in a conversation of its own, and
// waits for the answer in the same request.
func (a *asking) ask(ctx context.Context, s *server, threads []ids.ID) error {
	client, err := load.Dial(s.address)
	if err != nil {
		return err
	}
	defer client.Close()
	dice := rand.New(rand.NewPCG(9, 9))
	for n := range questions { // warming up
		if _, _, err := a.question(client, threads[n], questions[dice.IntN(len(questions))]); err != nil {
			return err
		}
	}
	before, err := a.usage(ctx, a.db, s)
	if err != nil {
		return err
	}
	var all, answered, dry load.Times
	outcomes := map[string]int{}
	for n, thread := range threads[len(questions):] {
		took, outcome, err := a.question(client, thread, questions[n%len(questions)])
		if err != nil {
			return err
		}
		outcomes[outcome]++
		all = append(all, took)
		if outcome == "answered" {
			answered = append(answered, took)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(20 * time.Millisecond)
	}
	a.atMost("question to answer (Prefer: wait), p95 of those answered", ms(answered.Quantile(.95)), "ms", 150)
	a.note("question to answer, p50", ms(answered.Quantile(.5)), "ms")
	a.note("question to answer or handoff, p95 of all", ms(all.Quantile(.95)), "ms")
	if err := a.noteUsage(ctx, a.db, s, before, "a question", len(all)); err != nil {
		return err
	}
	a.remark("%d questions: %v; of those answered took %.0f, %.0f, %.0f and %.0f ms: 75, 90, 98 of a hundred, and the longest", len(all), outcomes,
		ms(answered.Quantile(.75)), ms(answered.Quantile(.9)), ms(answered.Quantile(.98)), ms(answered.Quantile(1)))
	for range 2 {
		for _, question := range questions {
			body, _ := json.Marshal(map[string]string{"question": question})
			sent := time.Now()
			status, text, err := client.Do(load.Request(nil, http.MethodPost, "/v1/answers", string(body), "Authorization", "Bearer "+a.tenant.key))
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("try: the server answered %d: %.300s %w", status, text, err)
			}
			dry = append(dry, time.Since(sent))
		}
	}
	a.note("the same decided without a conversation (POST /answers), p50", ms(dry.Quantile(.5)), "ms")
	a.note("the same decided without a conversation (POST /answers), p95", ms(dry.Quantile(.95)), "ms")
	return nil
}

// question asks and tells how long it took and what became of the turn.
func (a *asking) question(client *load.Client, thread ids.ID, text string) (took time.Duration, outcome string, err error) {
	body, _ := json.Marshal(map[string]any{"author": map[string]string{"type": "visitor"}, "text": text})
	request := load.Request(nil, http.MethodPost, "/v1/conversations/"+ids.Format(ids.Conversation, thread)+"/messages", string(body),
		"Authorization", "Bearer "+a.tenant.key, "Prefer", "wait=20", "Idempotency-Key", "ask-"+ids.Format(ids.Conversation, thread))
	sent := time.Now()
	status, answer, err := client.Do(request)
	took = time.Since(sent)
	if err != nil || status != http.StatusCreated {
		return took, "", fmt.Errorf("ask: the server answered %d: %.300s %w", status, answer, err)
	}
	var said struct {
		Turn struct{ Status string }
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return took, "", fmt.Errorf("read an answer: %w", err)
	}
	return took, said.Turn.Status, nil
}

func sqrt(v float64) float64 { return math.Sqrt(v) }
