package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver is a webhook endpoint of the demo's own.
type receiver struct {
	url    string
	server *http.Server

	mu       sync.Mutex
	verifier *standardwebhooks.Webhook
	got      []string
	types    map[string]int
	changed  chan struct{}
}

func newReceiver(ctx context.Context) (*receiver, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("receive webhooks: %w", err)
	}
	r := &receiver{url: "http://" + l.Addr().String() + "/hook", types: map[string]int{}, changed: make(chan struct{}, 1)}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go r.server.Serve(l) //nolint:errcheck // ends with close
	return r, nil
}

func (r *receiver) trust(secret string) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.verifier, err = standardwebhooks.NewWebhook(secret); err != nil {
		return fmt.Errorf("read the webhook's secret: %w", err)
	}
	return nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(io.LimitReader(q.Body, 1<<20))
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.verifier == nil || r.verifier.Verify(body, q.Header) != nil {
		http.Error(w, "the signature is not right", http.StatusBadRequest)
		return
	}
	var event struct{ Type, ID string }
	if err := json.Unmarshal(body, &event); err != nil {
		http.Error(w, "no event", http.StatusBadRequest)
		return
	}
	r.got = append(r.got, fmt.Sprintf("%-24s %s", event.Type, event.ID))
	r.types[event.Type]++
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *receiver) await(ctx context.Context, kind string, atMost time.Duration) bool {
	limit := time.After(atMost)
	for {
		r.mu.Lock()
		seen := r.types[kind] > 0
		r.mu.Unlock()
		if seen {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-limit:
			return false
		case <-r.changed:
		}
	}
}

func (r *receiver) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

func (r *receiver) close() { _ = r.server.Close() }
