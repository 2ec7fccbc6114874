// Package queue inserts jobs. A job is part of the business transaction that
// makes it necessary: it exists if, and only if, that transaction committed.
// Arguments are ids and numbers; what a job needs to know it reads when it runs.
// The workers are in package jobs.
package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/relaydesk/relaydesk/internal/postgres"
)

// The queues, each with workers of its own, so that a crawl never keeps a
// visitor waiting.
const (
	Answers  = "answers"
	Crawl    = "crawl"
	Embed    = "embed"
	Webhooks = "webhooks"
	Upkeep   = "upkeep"
)

// Queue inserts jobs. It is safe for concurrent use.
type Queue struct{ client *river.Client[pgx.Tx] }

// New makes a Queue. It holds no connection: it writes in the caller's transactions.
func New(log *slog.Logger) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{Schema: postgres.QueueSchema, Logger: log, FetchCooldown: Notifying})
	if err != nil {
		return nil, fmt.Errorf("set up the queue: %w", err)
	}
	return &Queue{client}, nil
}

// Insert puts a job into the queue when tx commits, to be worked at the given
// time; zero means at once. What the job is worth (queue, priority, uniqueness,
// attempts) its arguments say by InsertOpts.
func (q *Queue) Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs, at time.Time) error {
	if _, err := q.client.InsertTx(ctx, tx, args, &river.InsertOpts{ScheduledAt: at, Metadata: carry(ctx)}); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	return nil
}

// InsertMany does the same for many jobs, in one round trip. No two of them may
// be the same unique job.
func (q *Queue) InsertMany(ctx context.Context, tx pgx.Tx, args []river.JobArgs, at time.Time) error {
	if len(args) == 0 {
		return nil
	}
	params, metadata := make([]river.InsertManyParams, len(args)), carry(ctx)
	for i, a := range args {
		params[i] = river.InsertManyParams{Args: a, InsertOpts: &river.InsertOpts{ScheduledAt: at, Metadata: metadata}}
	}
	if _, err := q.client.InsertManyTx(ctx, tx, params); err != nil {
		return fmt.Errorf("enqueue %s: %w", args[0].Kind(), err)
	}
	return nil
}
