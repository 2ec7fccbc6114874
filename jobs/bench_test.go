package jobs_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/assistant/assistanttest"
	"github.com/relaydesk/relaydesk/assistant/provider"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/jobs"
	"github.com/relaydesk/relaydesk/webhooks"
)

// model answers a question with its own words. Who holds it lets it think for
// as long as they like.
type model struct {
	asked chan provider.Question // each question, when it comes; nil: nobody looks
	hold  chan struct{}          // closed when it may answer; nil: at once
	deaf  bool                   // it does not hear that it should stop
}

func (m *model) Answer(ctx context.Context, q provider.Question) (provider.Reply, error) {
	if m.asked != nil {
		m.asked <- q
	}
	stop := ctx.Done()
	if m.deaf {
		stop = nil
	}
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-stop:
			return provider.Reply{}, ctx.Err()
		}
	}
	return provider.Reply{Action: provider.ActionAnswer, Text: q.Text, Citations: []provider.Citation{{ID: "p1"}}, Answered: true, Confidence: 1}, nil
}

// bench is an installation of its own with one workspace.
type bench struct {
	*assistanttest.World
	server string
	owner  *pgx.Conn
	log    *logged
}

// setup makes an installation whose assistant knows something.
func setup(t *testing.T, m *model, clock clock.Clock) *bench {
	t.Helper()
	db, server, owner := postgrestest.Alone(t)
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	log := &logged{}
	b := &bench{World: assistanttest.New(t, assistanttest.Options{DB: db, Model: m, Clock: clock, Log: log}), server: server, owner: conn, log: log}
	b.Learn("Shipping\n\n# Shipping\n\nParcels to Norway arrive within nine working days.")
	b.Sure(.95)
	return b
}

type renderer struct{}

func (renderer) WebhookBody(_ context.Context, e events.Event, _ bool) ([]byte, error) {
	return json.Marshal(string(e.Type))
}

// node runs jobs until stop is called, which gives what Run gave.
func (b *bench) node(w *assistanttest.World, workers int, grace time.Duration) (stop func() error) {
	b.Helper()
	pool, err := postgres.OpenQueue(b.Context(), b.server, 4)
	b.Must(err)
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	b.Must(err)
	hooks := webhooks.New(webhooks.Deps{DB: w.DB, Queue: w.Queue, Clock: w.Clock, Box: box, Client: &http.Client{Timeout: time.Second}, Renderer: renderer{}, Log: w.Log})
	runner, err := jobs.New(jobs.Deps{
		Pool: pool, DB: w.DB, Clock: w.Clock, Log: w.Log, Conversations: w.Conv, Handoff: w.Handoff, Assistant: w.Assistant, Knowledge: w.Knowledge,
		Webhooks: hooks, Workers: workers,
	})
	b.Must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx, grace) }()
	stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		pool.Close()
		return err
	})
	b.Cleanup(func() { _ = stop() })
	return stop
}

// until waits until something is so.
func (b *bench) until(what string, is func() bool) {
	b.Helper()
	end := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(end) {
			b.Fatalf("waited in vain until %s\n%s", what, b.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// number asks the database as its owner.
func (b *bench) number(sql string, args ...any) (n int) {
	b.Helper()
	b.Must(b.owner.QueryRow(b.Context(), sql, args...).Scan(&n))
	return n
}

func (b *bench) exec(sql string, args ...any) {
	b.Helper()
	_, err := b.owner.Exec(b.Context(), sql, args...)
	b.Must(err)
}

// logged keeps what is logged as a warning or worse.
type logged struct {
	mu   sync.Mutex
	text []byte
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func (l *logged) handler() slog.Handler {
	return slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn})
}

func (l *logged) Enabled(ctx context.Context, level slog.Level) bool {
	return l.handler().Enabled(ctx, level)
}

func (l *logged) Handle(ctx context.Context, r slog.Record) error { return l.handler().Handle(ctx, r) }

func (l *logged) WithAttrs(a []slog.Attr) slog.Handler { return l.handler().WithAttrs(a) }

func (l *logged) WithGroup(name string) slog.Handler { return l.handler().WithGroup(name) }
