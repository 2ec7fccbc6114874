package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
)

// Inline is a job as a statement inserts it that stores, in the same round
// trip, what makes the job necessary. It must be one that is worked at once and
// is not unique. SQL puts it into river.river_job and, where Notify says so,
// wakes the workers by pg_notify(Topic, Payload).
type Inline struct {
	Kind, Queue           string
	Args, Metadata        []byte
	Priority, MaxAttempts int
	Notify                bool
}

// Topic is where the workers listen.
const Topic = "river.river_insert"

// Notifying is at most how often this process wakes the workers of a queue: a
// NOTIFY makes commits wait for each other. The workers' own pause between two
// looks is as long.
const Notifying = 20 * time.Millisecond

var notified atomic.Int64 // of Answers, the only queue of inline jobs

// Inline makes it. now is the moment of the operation.
func (q *Queue) Inline(ctx context.Context, args interface {
	river.JobArgs
	river.JobArgsWithInsertOpts
}, now time.Time,
) (Inline, error) {
	encoded, err := json.Marshal(args)
	if err != nil {
		return Inline{}, fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	opts := args.InsertOpts()
	job := Inline{Kind: args.Kind(), Queue: opts.Queue, Args: encoded, Metadata: carry(ctx), Priority: opts.Priority, MaxAttempts: opts.MaxAttempts}
	last := notified.Load()
	job.Notify = now.UnixNano()-last >= int64(Notifying) && notified.CompareAndSwap(last, now.UnixNano())
	return job, nil
}
