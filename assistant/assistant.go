// Package assistant answers one turn: what a visitor wrote and nobody has
// answered yet.
//
// The order of the steps is a promise. The visitor's words are read first, all
// of them, before anything that can fail: a wish for a person needs no search
// and no model. Then content is searched, an answer is made from what was
// found, by a model provider or by quoting, and judged: what content does not
// answer goes to a person, what it half answers is given with the offer of one.
// Nothing of this happens in a transaction; what was decided is handed to
// package handoff, which stores it only if it still fits.
//
// While it works, a job renews its lease on the turn. Losing it ends the work:
// somebody else has the turn.
package assistant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/assistant/provider"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/tenants"
)

const (
	// pause lets messages that come in a burst become one turn.
	pause  = 300 * time.Millisecond
	glance = 20 * time.Millisecond
	// renewal is well within conversations.Silence.
	renewal = 3 * time.Second
	// rounds bounds how often a visitor who writes on and on is waited for.
	rounds = 5
	// reserve is what is left of a turn's time to say that an answer failed.
	reserve = 5 * time.Second
)

// Model makes an answer from passages. provider.Model is one.
type Model interface {
	Answer(ctx context.Context, q provider.Question) (provider.Reply, error)
}

// Deps are what an Assistant works with.
type Deps struct {
	Conversations *conversations.Conversations
	Handoff       *handoff.Handoff
	Knowledge     *knowledge.Knowledge
	Tenants       *tenants.Tenants
	Embedder      knowledge.Embedder
	Triggers      *triggers.Reader
	Model         Model // nil: answers are quoted
	Clock         clock.Clock
	Log           *slog.Logger
}

// Assistant answers turns. It is safe for concurrent use.
type Assistant struct {
	Deps
	calibrations *calibrations
	offTopic     *offTopic
}

// New makes an Assistant.
func New(d Deps) *Assistant {
	return &Assistant{Deps: d, calibrations: newCalibrations(d.Knowledge, d.Clock), offTopic: &offTopic{embedder: d.Embedder}}
}

// errLost ends the work on a turn that is somebody else's now.
var errLost = errors.New("the turn's lease was lost")

// Answer works a turn's job: it decides and has the decision stored. complete
// runs in the transaction that stores it.
func (a *Assistant) Answer(ctx context.Context, job conversations.AnswerTurn, complete func(context.Context, pgx.Tx) error) error {
	h := &holding{conv: a.Conversations, job: job}
	work, ok, err := h.claim(ctx)
	if err != nil || !ok {
		return err
	}
	ctx, stop := h.renewing(ctx)
	defer stop()
	work, ok, err = a.gather(ctx, h, work)
	for run := 0; ok && err == nil; run++ {
		var decided decision
		if decided, err = a.decideTurn(ctx, job.Workspace(), work); err != nil {
			break
		}
		var settled handoff.Settled
		h.still(func() {
			settled, err = a.Handoff.Settle(ctx, job.Workspace(), decided.settlement(work, run > 0), complete)
		})
		if err != nil || settled.Outcome != handoff.Again {
			break
		}
		// More was written, or the conversation changed hands: once more.
		work, ok, err = h.claim(ctx)
	}
	if err == nil || errors.Is(context.Cause(ctx), errLost) {
		return nil
	}
	return errors.Join(fmt.Errorf("answer a turn: %w", err), h.abandon(ctx))
}

// gather waits until the visitor has paused, unless somebody waits for the
// answer, and reads the turn again, until there was nothing more.
func (a *Assistant) gather(ctx context.Context, h *holding, work conversations.Work) (_ conversations.Work, ok bool, err error) {
	for range rounds {
		if work.Silent {
			return work, true, nil
		}
		waited, err := a.waitForMore(ctx, work)
		if err != nil || !waited {
			return work, true, err
		}
		last := work.Last()
		if work, ok, err = h.claim(ctx); err != nil || !ok || work.Last() == last {
			return work, ok, err
		}
	}
	return work, true, nil
}

// waitForMore waits out the rest of the pause after the newest message. It is
// false if there was nothing to wait for.
func (a *Assistant) waitForMore(ctx context.Context, work conversations.Work) (waited bool, err error) {
	written := work.Messages[len(work.Messages)-1].CreatedAt
	// The message may be stamped by a node whose clock is ahead.
	rest := min(pause-a.Clock.Now().Sub(written), pause)
	if rest <= 0 {
		return false, nil
	}
	end, tick := time.NewTimer(rest), time.NewTicker(glance)
	defer end.Stop()
	defer tick.Stop()
	for !a.Conversations.Awaited(work.Turn.ID) {
		waited = true
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-end.C:
			return true, nil
		case <-tick.C:
		}
	}
	return waited, nil
}
