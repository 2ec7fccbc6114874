package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// api calls a node as any program does.
type api struct {
	base, key, workspace string
	http                 *http.Client
}

type reply struct {
	status int
	header http.Header
	raw    []byte
	json   map[string]any
}

// at is a value of the reply by its path, such as "data.0.id".
func (r reply) at(path string) any { return at(r.json, path) }

func (r reply) text(path string) string {
	s, _ := r.at(path).(string)
	return s
}

func at(v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

type object = map[string]any

func (a *api) send(ctx context.Context, method, path string, body any, header ...string) (reply, error) {
	var r reply
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return r, err
		}
		in = bytes.NewReader(text)
	}
	q, err := http.NewRequestWithContext(ctx, method, a.base+path, in)
	if err != nil {
		return r, err
	}
	q.Header.Set("Authorization", "Bearer "+a.key)
	if a.workspace != "" {
		q.Header.Set("Relaydesk-Workspace", a.workspace)
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	response, err := a.http.Do(q)
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	r.status, r.header = response.StatusCode, response.Header
	if r.raw, err = io.ReadAll(response.Body); err != nil {
		return r, err
	}
	_ = json.Unmarshal(r.raw, &r.json) // not everything is JSON
	return r, nil
}

// want is send where the status is known.
func (a *api) want(t *testing.T, status int, method, path string, body any, header ...string) reply {
	t.Helper()
	r, err := a.send(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status != status {
		t.Fatalf("%s %s: %d instead of %d: %s", method, path, r.status, status, r.raw)
	}
	return r
}

// all reads every page of a list.
func (a *api) all(t *testing.T, path string) (data []map[string]any) {
	t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for cursor := ""; ; {
		r := a.want(t, http.StatusOK, "GET", path+separator+"limit=100"+cursor, nil)
		for _, v := range r.at("data").([]any) {
			data = append(data, v.(map[string]any))
		}
		next := r.text("next_cursor")
		if next == "" {
			return data
		}
		cursor = "&cursor=" + next
	}
}

// event is what a reader of the log keeps of one.
type event struct{ position, id, kind string }

// follower reads the stream, and goes on at another node when one is gone.
type follower struct {
	mu     sync.Mutex
	events []event
	nodes  map[string]int // events by node
	broken int            // how often a connection ended
}

// follow reads the agency's events from the oldest on, until ctx ends.
func follow(ctx context.Context, nodes ...*api) (f *follower, stopped chan struct{}) {
	f, stopped = &follower{nodes: map[string]int{}}, make(chan struct{})
	go func() {
		defer close(stopped)
		last := "0"
		for i := 0; ctx.Err() == nil; i++ {
			node := nodes[i%len(nodes)]
			err := f.read(ctx, node, &last)
			if ctx.Err() != nil {
				return
			}
			if err == nil || i > 0 {
				f.mu.Lock()
				f.broken++
				f.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // as a browser pauses before it connects again
			}
		}
	}()
	return f, stopped
}

func (f *follower) read(ctx context.Context, node *api, last *string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, node.base+"/v1/events/stream", nil)
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+node.key)
	q.Header.Set("Last-Event-ID", *last)
	response, err := (&http.Client{Transport: node.http.Transport}).Do(q)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("stream: %d", response.StatusCode)
	}
	lines := bufio.NewReader(response.Body)
	var id, kind, data string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil // it ended after it had begun
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data = value
		case "":
			if id != "" {
				*last = id
			}
			if data != "" {
				var e struct{ ID, Position, Type string }
				if err := json.Unmarshal([]byte(data), &e); err != nil || e.Position != id || e.Type != kind {
					return fmt.Errorf("an unreadable frame: %w", err)
				}
				f.mu.Lock()
				f.events = append(f.events, event{id, e.ID, kind})
				f.nodes[node.base]++
				f.mu.Unlock()
			}
			id, kind, data = "", "", ""
		}
	}
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events)
}
