package jobs

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/timers"
)

const (
	every = time.Second
	// A sweep takes this many timers, and works on so many of them at a time.
	most       = 200
	atOnce     = 8
	sweepLimit = 20 * time.Second
)

// Sweep looks for what is due, each second, until ctx ends. Every node does,
// also one that works no jobs: while one lives, promises are kept. What several
// find at once is done once: whoever does it looks under a lock.
func (r *Runner) Sweep(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.sweepOnce(ctx)
		}
	}
}

func (r *Runner) sweepOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	for {
		var due []timers.Timer
		err := r.DB.InSystem(ctx, func(tx pgx.Tx) (err error) {
			due, err = timers.Claim(ctx, tx, r.Clock.Now(), most)
			return err
		})
		if err != nil {
			r.complain(ctx, "look for what is due", err)
			return
		}
		r.ring(ctx, due)
		if len(due) < most {
			break
		}
	}
	if n, err := r.Conversations.Requeue(ctx); err != nil {
		r.complain(ctx, "look for turns whose job is silent", err)
	} else if n > 0 {
		r.Log.InfoContext(ctx, "gave turns of silent jobs to others", "turns", n)
	}
}

func (r *Runner) ring(ctx context.Context, due []timers.Timer) {
	var work sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, t := range due {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			// One timer that panics must not end the node, and then the next one.
			defer func() {
				if p := recover(); p != nil {
					r.Log.ErrorContext(ctx, "doing what is due panicked", "kind", t.Kind, "workspace", t.Workspace.ID, "panic", p, "trace", string(debug.Stack()))
				}
			}()
			if err := r.act(ctx, t); err != nil {
				r.complain(ctx, "do what is due", err)
			}
		})
	}
	work.Wait()
}

func (r *Runner) act(ctx context.Context, t timers.Timer) error {
	var err error
	switch t.Kind {
	case timers.TurnDue:
		err = r.Handoff.Deadline(ctx, t.Workspace, t.Object)
	case timers.Overdue:
		err = r.Handoff.Overdue(ctx, t.Workspace, t.Object)
	case timers.Wake:
		err = r.Conversations.Wake(ctx, t.Workspace, t.Object)
	case timers.Refresh:
		err = r.Knowledge.Refresh(ctx, t.Workspace, t.Object)
	}
	if err != nil && fault.Of(err).Kind == fault.NotFound {
		return r.forget(ctx, t) // what it was for is gone
	}
	return err
}

func (r *Runner) forget(ctx context.Context, t timers.Timer) error {
	return r.DB.InWorkspace(ctx, t.Workspace, func(tx pgx.Tx) error { return timers.Clear(ctx, tx, t.Workspace, t.Kind, t.Object) })
}

func (r *Runner) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		r.Log.ErrorContext(ctx, "the sweep could not do all", "failed", what, "error", err)
	}
}

// Upkeep is the job that tidies up. One node does it, whichever leads.
type Upkeep struct {
	Task string `json:"task"`
}

// Kind names the job.
func (Upkeep) Kind() string { return "upkeep" }

// InsertOpts puts it into its queue; one of each task at a time.
func (Upkeep) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queue.Upkeep, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: time.Minute}}
}

// The tasks of upkeep.
const (
	expireReceipts = "expire_receipts"
	recoverLost    = "recover_lost" // deliveries and lanes of work whose job got lost
	makePartitions = "make_partitions"
)

func periodic() []*river.PeriodicJob {
	each := func(task string, interval time.Duration) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(interval), func() (river.JobArgs, *river.InsertOpts) { return Upkeep{task}, nil },
			&river.PeriodicJobOpts{RunOnStart: true})
	}
	return []*river.PeriodicJob{each(expireReceipts, 10*time.Minute), each(recoverLost, time.Minute), each(makePartitions, 12*time.Hour)}
}

func (r *Runner) upkeep(ctx context.Context, job Upkeep) error {
	switch job.Task {
	case expireReceipts:
		for {
			var n int64
			err := r.DB.InSystem(ctx, func(tx pgx.Tx) (err error) {
				n, err = receipts.Expire(ctx, tx, r.Clock.Now())
				return err
			})
			if err != nil || n == 0 {
				return err
			}
		}
	case recoverLost:
		_, deliveries := r.Webhooks.Recover(ctx)
		_, lanes := r.Knowledge.Revive(ctx)
		return errors.Join(deliveries, lanes)
	case makePartitions:
		return postgres.MakePartitions(ctx, r.DB, r.Clock.Now())
	}
	return nil
}
