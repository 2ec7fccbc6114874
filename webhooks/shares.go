package webhooks

import (
	"errors"
	"sync"
	"time"

	"github.com/relaydesk/relaydesk/internal/ids"
)

// ErrBusy says that an endpoint has its share of this node's workers.
var ErrBusy = errors.New("the endpoint has its share of workers")

const (
	// share is how many of a node's workers may wait for one endpoint, and
	// failingShare for one that did not take what it was sent last. Who never
	// answers keeps nobody else waiting.
	share        = 16
	failingShare = 2
	// breath keeps jobs that have to come again from coming at once.
	breath = 100 * time.Millisecond
	// mostFailing bounds what is remembered.
	mostFailing = 10_000
)

// shares counts, on this node, who waits for which endpoint.
type shares struct {
	mu      sync.Mutex
	held    map[ids.ID]int
	failing map[ids.ID]bool
}

func (s *shares) enter(endpoint ids.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := share
	if s.failing[endpoint] {
		most = failingShare
	}
	if s.held[endpoint] >= most {
		return false
	}
	if s.held == nil {
		s.held, s.failing = map[ids.ID]int{}, map[ids.ID]bool{}
	}
	s.held[endpoint]++
	return true
}

func (s *shares) leave(endpoint ids.ID, well bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[endpoint]--; s.held[endpoint] <= 0 {
		delete(s.held, endpoint)
	}
	if well {
		delete(s.failing, endpoint)
		return
	}
	if len(s.failing) >= mostFailing {
		clear(s.failing)
	}
	s.failing[endpoint] = true
}
