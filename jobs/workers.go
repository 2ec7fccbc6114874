package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/webhooks"
)

// worker hands the jobs of one kind to the domain.
type worker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	do   func(context.Context, *river.Job[T]) error
	most time.Duration // 0: as long as any job
	now  func() time.Time
}

// Timeout is how long a job may take.
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.most }

func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error { return w.do(ctx, job) }

// NextRetry waits a second, two, four, at most half a minute: what jobs do has
// a deadline of its own.
func (w *worker[T]) NextRetry(job *river.Job[T]) time.Time {
	return w.now().Add(min(time.Second<<min(max(job.Attempt-1, 0), 5), 30*time.Second))
}

func add[T river.JobArgs](r *Runner, to *river.Workers, do func(context.Context, *river.Job[T]) error) error {
	return river.AddWorkerSafely(to, &worker[T]{do: do, now: r.Clock.Now})
}

// addPatient adds a worker whose jobs may take their time, and which nobody
// waits for: a node that stops gives them up, and they go on elsewhere.
func addPatient[T river.JobArgs](r *Runner, to *river.Workers, most time.Duration, do func(context.Context, *river.Job[T]) error) error {
	return river.AddWorkerSafely(to, &worker[T]{most: most, now: r.Clock.Now, do: func(ctx context.Context, job *river.Job[T]) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			select {
			case <-r.stopping:
				cancel(errStopping)
			case <-ctx.Done():
			}
		}()
		err := do(ctx, job)
		if err != nil && errors.Is(context.Cause(ctx), errStopping) {
			return river.JobSnooze(0) // which spends no attempt
		}
		return err
	}})
}

// errStopping ends patient work on a node that stops.
var errStopping = errors.New("this node stops")

// completing completes a job in the transaction that stores what it did.
func completing[T river.JobArgs](job *river.Job[T]) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		if errors.Is(err, river.ErrNotFound) {
			return nil // somebody emptied the queue: what the job was for is done all the same
		}
		return err
	}
}

func (r *Runner) workers() (*river.Workers, error) {
	to := river.NewWorkers()
	for _, err := range []error{
		add(r, to, func(ctx context.Context, job *river.Job[conversations.AnswerTurn]) error {
			return r.Assistant.Answer(ctx, job.Args, completing(job))
		}),
		add(r, to, func(ctx context.Context, job *river.Job[knowledge.CrawlSlice]) error {
			return r.Knowledge.CrawlSlice(ctx, job.Args)
		}),
		addPatient(r, to, timeout, func(ctx context.Context, job *river.Job[knowledge.EmbedSlice]) error {
			return r.Knowledge.EmbedSlice(ctx, job.Args)
		}),
		addPatient(r, to, timeoutLong, func(ctx context.Context, job *river.Job[knowledge.Calibrate]) error {
			return r.Assistant.Calibrate(ctx, job.Args)
		}),
		add(r, to, func(ctx context.Context, job *river.Job[webhooks.Deliver]) error {
			err := r.Webhooks.Deliver(ctx, job.Args, completing(job))
			if errors.Is(err, webhooks.ErrBusy) {
				return river.JobSnooze(0)
			}
			return err
		}),
		add(r, to, func(ctx context.Context, job *river.Job[Upkeep]) error { return r.upkeep(ctx, job.Args) }),
	} {
		if err != nil {
			return nil, err
		}
	}
	return to, nil
}

// failures logs what jobs failed of: kind and id, never arguments or texts.
type failures struct{ log *slog.Logger }

func (f *failures) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if ctx.Err() != nil {
		return nil // stopped, not failed
	}
	level := slog.LevelError
	if fault.Of(err).Kind == fault.NotFound {
		level = slog.LevelInfo // what it was for is gone
	}
	f.log.Log(ctx, level, "a job failed", "kind", job.Kind, "job", job.ID, "attempt", job.Attempt, "error", err)
	return nil
}

func (f *failures) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	f.log.ErrorContext(ctx, "a job panicked", "kind", job.Kind, "job", job.ID, "attempt", job.Attempt, "panic", panicked, "trace", trace)
	return nil
}
