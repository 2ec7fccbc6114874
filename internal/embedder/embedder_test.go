package embedder

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/e5"
)

func setup(t *testing.T) *Embedder {
	t.Helper()
	model, err := e5.Load(artifactstest.Weights(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(model)
}

func TestQuestionsAndPassagesMeetAndNobodyStarves(t *testing.T) {
	t.Parallel()
	e := setup(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if v, err := e.Query(t.Context(), "how do I reset my password?", "opening hours"); err != nil || len(v) != 2 || len(v[0]) != e5.Dim {
					t.Errorf("%d vectors, %v", len(v), err)
				}
			}
		})
		wg.Go(func() {
			if v, err := e.Passages(t.Context(), "Choose a new password in the settings.", "We are open on weekdays."); err != nil || len(v) != 2 {
				t.Errorf("%d vectors, %v", len(v), err)
			}
		})
	}
	wg.Wait()
}

func TestIndexingStepsAsideForAQuestion(t *testing.T) {
	t.Parallel()
	e := setup(t)
	e.enter() // a question is under way
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Passages(ctx, "a passage"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("indexed beside a question: %v", err)
	}
	e.leave()
	if _, err := e.Passages(t.Context(), "a passage"); err != nil {
		t.Error(err)
	}
}

func TestAQuestionWhoseAskerHasGoneIsNotComputed(t *testing.T) {
	t.Parallel()
	e := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Query(ctx, "hello?"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-e.quiet():
	default:
		t.Error("it still counts as under way")
	}
}
