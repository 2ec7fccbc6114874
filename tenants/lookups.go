package tenants

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/relaydesk/relaydesk/internal/clock"
)

const (
	// staleness is how long an answer is trusted.
	staleness = 2 * time.Second
	// generation bounds the memory: at most twice as many answers are kept.
	generation = 8192
	// patience is how long a look-up may take that several requests wait for.
	patience = 5 * time.Second
)

// lookups remembers for a moment what the database said about a key, and asks
// only once when many want to know at the same time.
//
// "There is none" is remembered apart from the others, so that somebody who
// tries many keys can't push out those that exist.
type lookups[K comparable, V any] struct {
	clock        clock.Clock
	found, wrong memory[K, V]
	flights      singleflight.Group
}

func newLookups[K comparable, V any](c clock.Clock) *lookups[K, V] { return &lookups[K, V]{clock: c} }

// get answers from memory, else by find, which may outlive the caller.
func (l *lookups[K, V]) get(ctx context.Context, key K, find func(context.Context) (V, bool, error)) (V, bool, error) {
	now := l.clock.Now()
	if value, ok := l.found.get(key, now); ok {
		return value, true, nil
	}
	var none V
	if _, ok := l.wrong.get(key, now); ok {
		return none, false, nil
	}
	type answer struct {
		value V
		ok    bool
	}
	flight := l.flights.DoChan(fmt.Sprint(key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		at := l.clock.Now() // before the question: the answer is at least this old
		value, ok, err := find(ctx)
		if err != nil {
			return nil, err
		}
		if ok {
			l.found.put(key, value, at)
		} else {
			l.wrong.put(key, value, at)
		}
		return answer{value, ok}, nil
	})
	select {
	case <-ctx.Done():
		return none, false, ctx.Err()
	case r := <-flight:
		if r.Err != nil {
			return none, false, r.Err
		}
		a := r.Val.(answer) // the function above made it
		return a.value, a.ok, nil
	}
}

// forget makes this process ask again.
func (l *lookups[K, V]) forget(gone func(K, V) bool) {
	l.found.forget(gone)
	l.wrong.forget(func(K, V) bool { return true })
}

// memory keeps the answers of two generations. When the younger one is full it
// becomes the older, and the older is dropped: bounded, without a list to keep
// in order.
type memory[K comparable, V any] struct {
	mu         sync.RWMutex
	young, old map[K]remembered[V]
}

type remembered[V any] struct {
	value V
	at    time.Time
}

func (m *memory[K, V]) get(key K, now time.Time) (V, bool) {
	m.mu.RLock()
	r, ok := m.young[key]
	if !ok {
		r, ok = m.old[key]
	}
	m.mu.RUnlock()
	return r.value, ok && now.Sub(r.at) < staleness
}

func (m *memory[K, V]) put(key K, value V, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= generation || m.young == nil {
		m.old, m.young = m.young, make(map[K]remembered[V])
	}
	m.young[key] = remembered[V]{value, at}
}

func (m *memory[K, V]) forget(gone func(K, V) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range []map[K]remembered[V]{m.young, m.old} {
		for key, r := range g {
			if gone(key, r.value) {
				delete(g, key)
			}
		}
	}
}
