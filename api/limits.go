package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/relaydesk/relaydesk/internal/ids"
)

// The quotas of a second, before the installation's factor.
const (
	perKey       = 100
	perWorkspace = 200
	perAddress   = 10 // without a valid key
	// All visitors of a workspace have a part of their own, beside its keys'.
	perVisitors = 100
)

// bursts are the quotas of longer than a second: as many at once, and how many
// more each second. Behind a proxy many visitors share an address.
var bursts = map[string]struct{ size, rate int }{"visitor": {20, 1}, "session": {100, 5}, "person": {5, 1}}

// quota names whose requests are counted together.
type quota struct {
	policy string // key, workspace, address; visitor, session, visitors, person
	of     string
}

// limits count requests in buckets that refill by themselves. A bucket holds
// the quota of a second. Each node counts for itself.
type limits struct {
	factor int
	mu     sync.Mutex
	all    map[quota]*bucket
	swept  time.Time
}

type bucket struct {
	tokens float64
	at     time.Time
}

// idle is when a bucket is certainly full again and need not be kept.
const idle = time.Minute

func (l *limits) of(policy string) int {
	return l.factor * map[string]int{"key": perKey, "workspace": perWorkspace, "address": perAddress, "visitors": perVisitors}[policy]
}

// bucketOf is how much a bucket holds, and how much of it comes back in a second.
func (l *limits) bucketOf(policy string) (size, rate int) {
	if burst := bursts[policy]; burst.size > 0 {
		return l.factor * burst.size, l.factor * burst.rate
	}
	return l.of(policy), l.of(policy)
}

// take counts one request for each quota, writes what is left into the
// headers, and tells whether all of them had something left. The narrowest
// comes first: what it refuses uses up nothing of the wider ones.
func (l *limits) take(h http.Header, now time.Time, quotas ...quota) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	allowed := true
	var policies, left []string
	for _, q := range quotas {
		size, rate := l.bucketOf(q.policy)
		b := l.all[q]
		if b == nil {
			b = &bucket{tokens: float64(size), at: now}
			l.all[q] = b
		}
		b.tokens = min(float64(size), b.tokens+max(0, now.Sub(b.at).Seconds())*float64(rate))
		b.at = now
		if b.tokens < 1 {
			allowed = false
		} else if allowed {
			b.tokens--
		}
		policies = append(policies, fmt.Sprintf("%q;q=%d;w=%d", q.policy, size, size/rate))
		left = append(left, fmt.Sprintf("%q;r=%d;t=1", q.policy, int(b.tokens)))
	}
	h.Set("RateLimit-Policy", strings.Join(policies, ", "))
	h.Set("RateLimit", strings.Join(left, ", "))
	if !allowed {
		h.Set("Retry-After", strconv.Itoa(1))
	}
	return allowed
}

func (l *limits) sweep(now time.Time) {
	if l.all == nil {
		l.all = map[quota]*bucket{}
	}
	if now.Sub(l.swept) < idle {
		return
	}
	l.swept = now
	for q, b := range l.all {
		if now.Sub(b.at) > idle {
			delete(l.all, q)
		}
	}
}

// maxStreams is how many streams a key, or whoever a token is for, may have
// open on a node at once. Each holds a connection and a reader of the log.
const maxStreams = 100

// streams counts those that are open.
type streams struct {
	mu   sync.Mutex
	open map[ids.ID]int
}

// begin tells whether one more may be opened; end counts it down again.
func (s *streams) begin(who ids.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= maxStreams {
		return false
	}
	if s.open == nil {
		s.open = map[ids.ID]int{}
	}
	s.open[who]++
	return true
}

func (s *streams) end(who ids.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who]--; s.open[who] == 0 {
		delete(s.open, who)
	}
}

// beginStream writes the head of a stream, or a problem where there are too
// many. Whoever is told true ends it by streams.end.
func (s *Server) beginStream(w http.ResponseWriter, c *Call) bool {
	if !s.streams.begin(c.Principal.KeyID) {
		w.Header().Set("Retry-After", strconv.Itoa(int(heartbeat/time.Second)))
		send(w, problem(c.RequestID, "rate_limited", fmt.Sprintf("There are %d streams open already. Close one.", maxStreams)))
		return false
	}
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return true
}
