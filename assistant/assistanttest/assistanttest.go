// Package assistanttest is a workspace with content and an assistant in it, for
// tests: all services on a real database, and an embedder that knows words only,
// so that what is found follows from the texts and how sure the assistant is
// from what a test says.
package assistanttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
	"github.com/relaydesk/relaydesk/tenants"
)

// Options say what a World is made of; the zero value is a workspace in the
// shared database whose assistant quotes.
type Options struct {
	DB       *postgres.DB
	Embedder knowledge.Embedder // nil: Words
	Model    assistant.Model
	Clock    clock.Clock // nil: a clocktest.Fake
	Log      slog.Handler
}

// World is one workspace with its services.
type World struct {
	*testing.T
	DB        *postgres.DB
	W         postgres.Workspace
	Clock     clock.Clock
	Fake      *clocktest.Fake // nil: the clock is another
	Log       *slog.Logger
	Queue     *queue.Queue
	Conv      *conversations.Conversations
	Handoff   *handoff.Handoff
	Knowledge *knowledge.Knowledge
	Tenants   *tenants.Tenants
	Assistant *assistant.Assistant
}

// New makes a World.
func New(t *testing.T, o Options) *World {
	t.Helper()
	w := &World{T: t, DB: o.DB, Clock: o.Clock}
	if w.DB == nil {
		w.DB = postgrestest.New(t)
	}
	if w.Clock == nil {
		w.Fake = clocktest.At(time.Now().Truncate(time.Second))
		w.Clock = w.Fake
	}
	if o.Log == nil {
		o.Log = slog.DiscardHandler
	}
	w.Log = slog.New(o.Log)
	w.W = postgrestest.TenantIn(t, w.DB)
	w.Build(o)
	return w
}

// Another is another node on the same database and workspace.
func (w *World) Another(o Options) *World {
	w.Helper()
	other := *w
	other.Build(o)
	return &other
}

// Build makes the services.
func (w *World) Build(o Options) {
	w.Helper()
	var err error
	w.Queue, err = queue.New(w.Log)
	w.Must(err)
	// The weights of the triggers are of another embedder than Words: with that
	// one, triggers are read by their words.
	var sees triggers.Embedder = blind{}
	if o.Embedder == nil {
		o.Embedder = Words{}
	} else if _, ok := o.Embedder.(interface{ Blind() }); !ok {
		sees = o.Embedder
	}
	reader, err := triggers.New(sees, slog.New(slog.DiscardHandler))
	w.Must(err)
	w.Conv = conversations.New(w.DB, w.Clock, w.Queue)
	w.Handoff = handoff.New(w.DB, w.Conv)
	w.Tenants = tenants.New(w.DB, w.Clock, w.Log, tenants.Options{})
	w.Cleanup(w.Tenants.Close)
	w.Knowledge = knowledge.New(knowledge.Deps{DB: w.DB, Clock: w.Clock, Queue: w.Queue, Log: w.Log, Embedder: o.Embedder, HTTP: &http.Client{Timeout: time.Second}})
	w.Assistant = assistant.New(assistant.Deps{
		Conversations: w.Conv, Handoff: w.Handoff, Knowledge: w.Knowledge, Tenants: w.Tenants, Embedder: o.Embedder, Triggers: reader, Model: o.Model,
		Clock: w.Clock, Log: w.Log,
	})
}

// Must fails the test if there is an error.
func (w *World) Must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// Learn makes text sources and waits for nothing: their vectors are made here.
func (w *World) Learn(texts ...string) {
	w.Helper()
	for _, text := range texts {
		_, err := w.Knowledge.CreateSource(w.Context(), w.W, knowledge.NewSource{Type: knowledge.Text, Title: title(text), Text: text}, nil)
		w.Must(err)
	}
	for number := int64(1); number < 50; number++ {
		w.Must(w.Knowledge.EmbedSlice(w.Context(), knowledge.EmbedSlice{AgencyID: w.W.AgencyID, WorkspaceID: w.W.ID, Number: number}))
	}
	all, _, err := w.Knowledge.Sources(w.Context(), w.W, tenants.Page{Limit: 100})
	w.Must(err)
	for _, s := range all {
		if s.Status != knowledge.Ready {
			w.Fatalf("source %q is %s", s.Title, s.Status)
		}
	}
}

func title(text string) string {
	for i, r := range text {
		if r == '\n' || i > 60 {
			return text[:i]
		}
	}
	return text
}

// Sure makes the assistant as sure of every answer as p says.
func (w *World) Sure(p float64) {
	w.Helper()
	// So flat that no score matters.
	const slope = 1e-9
	even := -math.Log(p/(1-p)) / slope
	data, err := json.Marshal(confidence.Calibration{ScoreOnly: true, Same: even, Cross: even, Slope: slope})
	w.Must(err)
	known, err := w.Knowledge.Calibration(w.Context(), w.W)
	w.Must(err)
	w.Must(w.Knowledge.StoreCalibration(w.Context(), w.W, known.Changes, data))
	if w.Fake != nil {
		w.Fake.Advance(11 * time.Second) // past what the assistant remembers
	}
}

// Start opens a conversation.
func (w *World) Start(text string) conversations.Started {
	w.Helper()
	out, err := w.Conv.Start(w.Context(), w.W, conversations.Start{Message: conversations.Post{Text: text}}, nil)
	w.Must(err)
	w.tick()
	return out
}

// Post writes on.
func (w *World) Post(id ids.ID, text string) conversations.Posted {
	w.Helper()
	out, err := w.Conv.Post(w.Context(), w.W, id, conversations.Post{Text: text}, nil)
	w.Must(err)
	w.tick()
	return out
}

// tick lets the pause pass that the assistant gives visitors.
func (w *World) tick() {
	if w.Fake != nil {
		w.Fake.Advance(time.Second)
	}
}

// Run works the job of the conversation's turn, and those that follow from it.
func (w *World) Run(id ids.ID) {
	w.Helper()
	for range 10 {
		c := w.Get(id)
		if c.TurnID.IsZero() {
			return
		}
		w.Must(w.Assistant.Answer(w.Context(), w.Job(c.TurnID), nil))
		w.tick()
	}
	w.Fatal("turns without end")
}

// Ask opens a conversation and has it answered.
func (w *World) Ask(text string) ids.ID {
	w.Helper()
	c := w.Start(text)
	w.Run(c.Conversation.ID)
	return c.Conversation.ID
}

// Say writes on and has it answered.
func (w *World) Say(id ids.ID, text string) {
	w.Helper()
	w.Post(id, text)
	w.Run(id)
}

// Job are the arguments of a turn's job, as it would be enqueued now.
func (w *World) Job(turn ids.ID) conversations.AnswerTurn {
	w.Helper()
	t := w.Turn(turn)
	return conversations.AnswerTurn{AgencyID: w.W.AgencyID, WorkspaceID: w.W.ID, TurnID: turn, Lease: t.Lease}
}

// Turn reads a turn.
func (w *World) Turn(id ids.ID) conversations.Turn {
	w.Helper()
	t, err := w.Conv.GetTurn(w.Context(), w.W, id)
	w.Must(err)
	return t
}

// Get reads a conversation.
func (w *World) Get(id ids.ID) conversations.Conversation {
	w.Helper()
	c, err := w.Conv.Get(w.Context(), tenants.Of(w.W), id)
	w.Must(err)
	return c
}

// Messages reads a thread.
func (w *World) Messages(id ids.ID) []conversations.Message {
	w.Helper()
	all, _, err := w.Conv.Messages(w.Context(), tenants.Of(w.W), id, conversations.MessageFilter{Limit: 1000})
	w.Must(err)
	return all
}

// Last is the newest message.
func (w *World) Last(id ids.ID) conversations.Message {
	w.Helper()
	all := w.Messages(id)
	return all[len(all)-1]
}

// Escalation is the open one; the test fails if there is none.
func (w *World) Escalation(id ids.ID) handoff.Escalation {
	w.Helper()
	c := w.Get(id)
	if c.EscalationID.IsZero() {
		w.Fatalf("no escalation: %s %s, %q", c.Status, c.Owner, w.Last(id).Text)
	}
	e, err := w.Handoff.Get(w.Context(), tenants.Of(w.W), c.EscalationID)
	w.Must(err)
	return e
}

// Member makes a member of the agency.
func (w *World) Member(name string) ids.ID {
	w.Helper()
	id := ids.New(time.Now())
	w.Must(w.DB.InAgency(w.Context(), w.W.AgencyID, func(tx pgx.Tx) error {
		_, err := tx.Exec(w.Context(), `insert into members (agency_id, id, name, email, role, status, created_at, updated_at)
			values ($1, $2, $3, $4, 'agent', 'active', now(), now())`, w.W.AgencyID, id, name, ids.Format(ids.Member, id)+"@example.test")
		return err
	}))
	return id
}

// Rows counts all rows that the workspace has in the tables of conversations.
func (w *World) Rows() (n int) {
	w.Helper()
	w.Must(w.DB.InWorkspace(w.Context(), w.W, func(tx pgx.Tx) error {
		for _, table := range []string{"contacts", "conversations", "messages", "turns", "suggestions", "escalations", "packets", "events", "timers", "receipts"} {
			var k int
			if err := tx.QueryRow(w.Context(), fmt.Sprintf("select count(*) from %s where workspace_id = $1", table), w.W.ID).Scan(&k); err != nil {
				return err
			}
			n += k
		}
		return nil
	}))
	return n
}

// Words gives texts with the same words the same direction.
type Words struct{}

// Blind says that triggers can't be read from its vectors.
func (Words) Blind() {}

// Query embeds questions.
func (Words) Query(ctx context.Context, texts ...string) ([][]float32, error) {
	return Words{}.Passages(ctx, texts...)
}

// Passages embeds passages.
func (Words) Passages(_ context.Context, texts ...string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		v := make([]float32, knowledge.Dimensions)
		v[0] = .1 // no text is without a direction
		for _, word := range rank.Words(text) {
			h := fnv.New32a()
			_, _ = h.Write([]byte(word))
			v[h.Sum32()%knowledge.Dimensions]++
		}
		sum := 0.0
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		for j := range v {
			v[j] = float32(float64(v[j]) / math.Sqrt(sum))
		}
		out[i] = v
	}
	return out, nil
}

type blind struct{}

func (blind) Query(context.Context, ...string) ([][]float32, error) {
	return nil, errors.New("no embedder")
}
