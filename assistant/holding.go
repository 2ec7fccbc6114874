package assistant

import (
	"context"
	"sync"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
)

// holding is a job's hold on a turn: its lease, renewed while the work goes on.
type holding struct {
	conv *conversations.Conversations
	job  conversations.AnswerTurn // with the lease that is held

	mu     sync.Mutex // a claim changes the lease, so none is renewed meanwhile
	silent bool       // the words are read without a lease
}

// claim takes the turn, or takes it once more to read what was added. It is
// false when there is nothing to do, or the turn is another job's.
func (h *holding) claim(ctx context.Context) (conversations.Work, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	work, ok, err := h.conv.Claim(ctx, h.job)
	if ok && err == nil {
		h.job.Lease, h.silent = work.Lease, work.Silent
	}
	return work, ok, err
}

// renewing renews the lease until stop is called. Its context ends, with
// errLost as the cause, when the lease is lost.
func (h *holding) renewing(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(renewal)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// An error may pass before the lease runs out.
			if mine, err := h.renew(ctx); err == nil && !mine {
				cancel(errLost)
				return
			}
		}
	})
	return ctx, func() { cancel(context.Canceled); work.Wait() }
}

func (h *holding) renew(ctx context.Context) (mine bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.silent {
		return true, nil
	}
	return h.conv.Renew(ctx, h.job.Workspace(), h.job.TurnID, h.job.Lease)
}

// still runs do with no sign of life under way: one that comes while the end of
// the turn is stored would take that end for the loss of the turn.
func (h *holding) still(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}

// abandon gives the turn back after an error, so that the next attempt, here or
// elsewhere, need not wait for the lease to run out.
func (h *holding) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conv.Abandon(ctx, h.job.Workspace(), h.job.TurnID, h.job.Lease)
}
