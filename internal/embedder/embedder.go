// Package embedder shares one model between those who wait for an answer and
// those who index. A visitor's question is embedded at once, on any core; what
// is indexed goes one text at a time, on one core, and steps aside while a
// question is being embedded, so that a crawl does not slow answers down.
package embedder

import (
	"context"
	"runtime"
	"sync"

	"github.com/relaydesk/relaydesk/internal/e5"
)

// Embedder turns texts into vectors. It is safe for concurrent use.
type Embedder struct {
	model    *e5.Model
	cores    chan struct{} // held by who computes for a visitor
	indexing chan struct{} // held by who indexes

	mu      sync.Mutex
	waiting int           // queries under way
	idle    chan struct{} // closed while no query is under way
}

// New shares a model.
func New(model *e5.Model) *Embedder {
	idle := make(chan struct{})
	close(idle)
	return &Embedder{model: model, cores: make(chan struct{}, runtime.GOMAXPROCS(0)), indexing: make(chan struct{}, 1), idle: idle}
}

// Query embeds questions, one vector for each.
func (e *Embedder) Query(ctx context.Context, texts ...string) ([][]float32, error) {
	e.enter()
	defer e.leave()
	select {
	case e.cores <- struct{}{}:
		defer func() { <-e.cores }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	vectors := make([][]float32, 0, len(texts))
	for _, text := range texts {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		vectors = append(vectors, e.model.Query(text)...)
	}
	return vectors, nil
}

// Passages embeds what is to be found, one vector for each text.
func (e *Embedder) Passages(ctx context.Context, texts ...string) ([][]float32, error) {
	select {
	case e.indexing <- struct{}{}:
		defer func() { <-e.indexing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	vectors := make([][]float32, 0, len(texts))
	for _, text := range texts {
		select {
		case <-e.quiet():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		vectors = append(vectors, e.model.Passage(text)...)
	}
	return vectors, nil
}

func (e *Embedder) enter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting++; e.waiting == 1 {
		e.idle = make(chan struct{})
	}
}

func (e *Embedder) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting--; e.waiting == 0 {
		close(e.idle)
	}
}

func (e *Embedder) quiet() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.idle
}
