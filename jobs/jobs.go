// Package jobs does the work in the background: River's client with its queues,
// thin workers that call the domain, and the sweep that looks each second for
// what is due.
//
// Nothing depends on a job alone. What a job is for stands in a row of the
// domain (a turn, a delivery, a lane of work) with a lease or a time, and the
// sweep enqueues what got lost. So a job may run twice, late, or not at all.
package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/webhooks"
)

const (
	// fetchCooldown bounds how long a visitor's turn waits to be fetched.
	fetchCooldown = 10 * time.Millisecond
	// fetchPoll finds what no notification told of, such as retries.
	fetchPoll = 500 * time.Millisecond
	// timeout is for any job, timeoutLong for one that asks an index hundreds of
	// questions; rescue is when a job whose node died runs again.
	timeout     = 30 * time.Second
	timeoutLong = 50 * time.Second
	rescue      = time.Minute
	// Completed jobs tell nothing that the domain's rows don't.
	keepCompleted = 5 * time.Minute
	keepDiscarded = 7 * 24 * time.Hour
)

// Deps is what the workers call.
type Deps struct {
	Pool          *pgxpool.Pool // River's own (postgres.OpenQueue)
	DB            *postgres.DB
	Clock         clock.Clock
	Log           *slog.Logger
	Conversations *conversations.Conversations
	Handoff       *handoff.Handoff
	Assistant     *assistant.Assistant
	Knowledge     *knowledge.Knowledge
	Webhooks      *webhooks.Webhooks
	Workers       int // turns that are answered at the same time

	Middleware []rivertype.Middleware // around each job
}

// Runner works jobs on one node.
type Runner struct {
	Deps
	client   *river.Client[pgx.Tx]
	stopping chan struct{} // closed when the node stops
}

// New makes a Runner. Run starts it.
func New(d Deps) (*Runner, error) {
	r := &Runner{Deps: d, stopping: make(chan struct{})}
	workers, err := r.workers()
	if err != nil {
		return nil, fmt.Errorf("set up the workers: %w", err)
	}
	few := max(d.Workers/4, 1)
	r.client, err = river.NewClient(riverpgxv5.New(d.Pool), &river.Config{
		Schema: postgres.QueueSchema, Logger: quiet(d.Log), Workers: workers, PeriodicJobs: periodic(), Middleware: d.Middleware,
		FetchCooldown: fetchCooldown, FetchPollInterval: fetchPoll,
		JobTimeout: timeout, RescueStuckJobsAfter: rescue,
		CompletedJobRetentionPeriod: keepCompleted, CancelledJobRetentionPeriod: keepCompleted, DiscardedJobRetentionPeriod: keepDiscarded,
		ErrorHandler: &failures{d.Log},
		// River would rebuild its indexes, which the server's login does not own.
		ReindexerIndexNames: []string{},
		Queues: map[string]river.QueueConfig{
			queue.Answers:  {MaxWorkers: d.Workers},
			queue.Webhooks: {MaxWorkers: max(2*d.Workers, 8)}, // they wait for others' servers
			queue.Crawl:    {MaxWorkers: max(few, 2), FetchCooldown: 50 * time.Millisecond},
			queue.Embed:    {MaxWorkers: 2, FetchCooldown: 50 * time.Millisecond}, // they compute
			queue.Upkeep:   {MaxWorkers: 1, FetchCooldown: time.Second, FetchPollInterval: time.Second},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("set up the queue's workers: %w", err)
	}
	return r, nil
}

// Run works until ctx ends, then waits for the jobs under way, at most for
// grace; those that take longer are cancelled.
func (r *Runner) Run(ctx context.Context, grace time.Duration) error {
	// Before anything happens in a month that has no place yet: what lies in the
	// default partition would keep that month from getting one.
	if err := postgres.MakePartitions(ctx, r.DB, r.Clock.Now()); err != nil {
		r.complain(ctx, "make partitions", err)
	}
	// River's own context outlives ctx, so that stopping is graceful.
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the workers: %w", err)
	}
	r.Sweep(ctx)
	close(r.stopping)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := r.client.Stop(stopping); err == nil {
		return nil
	}
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelLast()
	if err := r.client.StopAndCancel(last); err != nil {
		return fmt.Errorf("stop the workers: %w", err)
	}
	return nil
}

// quiet keeps River from telling its daily business.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(leveled{log.Handler()}) }

type leveled struct{ slog.Handler }

func (l leveled) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && l.Handler.Enabled(ctx, level)
}
