package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// balancer is a proxy of the usual kind: it looks at /readyz, sends requests to
// who answers it, in turn, and repeats none.
type balancer struct {
	mu    sync.Mutex
	nodes []*url.URL
	next  int
}

func (b *balancer) set(bases ...string) {
	var nodes []*url.URL
	for _, base := range bases {
		u, err := url.Parse(base)
		if err != nil {
			panic(err) // a node's own address
		}
		nodes = append(nodes, u)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = nodes
}

func (b *balancer) pick() *url.URL {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return b.nodes[b.next%len(b.nodes)]
}

// watch keeps to the nodes that are ready, of those that all gives.
func (b *balancer) watch(ctx context.Context, all func() []string) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for poll(ctx, 100*time.Millisecond, func() bool { return false }); ctx.Err() == nil; poll(ctx, 100*time.Millisecond, func() bool { return false }) {
		var ready []string
		for _, base := range all() {
			if r, err := client.Get(base + "/readyz"); err == nil {
				r.Body.Close()
				if r.StatusCode == http.StatusOK {
					ready = append(ready, base)
				}
			}
		}
		if len(ready) > 0 {
			b.set(ready...)
		}
	}
}

func TestARollingRestartBehindAProxyFailsNoRequest(t *testing.T) {
	t.Parallel()
	in := install(t)
	drain := []string{"RELAYDESK_DRAIN_TIME=2s"}
	nodes := []*node{in.serve(t, drain), in.serve(t, drain)}
	var known struct {
		sync.Mutex
		bases []string
	}
	know := func(bases ...string) {
		known.Lock()
		defer known.Unlock()
		known.bases = bases
	}
	know(nodes[0].base, nodes[1].base)
	b := &balancer{}
	b.set(nodes[0].base, nodes[1].base)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go b.watch(ctx, func() []string { known.Lock(); defer known.Unlock(); return known.bases })
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(b.pick()) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 20},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, fmt.Sprintf("%s to %s: %v", r.Method, r.URL.Host, err), http.StatusBadGateway)
		},
	})
	defer proxy.Close()

	// Writers repeat nothing either, and send no key by which a transport would.
	var done, failed atomic.Int64
	var work sync.WaitGroup
	for i := range 6 {
		a := in.api(proxy.URL)
		a.workspace = in.workspace
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				method, path, body, want := "GET", "/v1/inbox", any(nil), http.StatusOK
				if n%2 == 0 {
					method, path, want = "POST", "/v1/conversations", http.StatusCreated
					body = object{"contact": object{"name": fmt.Sprint("visitor ", i)}, "message": object{"text": fmt.Sprint("May I return the lamp? ", n)}}
				}
				r, err := a.send(t.Context(), method, path, body)
				if err != nil || r.status != want {
					if failed.Add(1) < 5 {
						t.Errorf("%s %s: %d %s %v", method, path, r.status, r.raw, err)
					}
				}
				done.Add(1)
			}
		})
	}
	moved := func(what string) {
		t.Helper()
		from := done.Load()
		eventually(t, time.Minute, what, func() bool { return done.Load() > from+30 })
	}
	moved("requests flow through both")
	for i := range nodes {
		if err := nodes[i].cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := nodes[i].ended(time.Minute); code != 0 {
			t.Errorf("a node that was asked to stop ended with %d", code)
		}
		know(nodes[1-i].base)
		moved("requests flow through one")
		nodes[i] = in.serve(t, drain)
		know(nodes[0].base, nodes[1].base)
		moved("requests flow through both again")
	}
	stop()
	work.Wait()
	if failed.Load() > 0 || done.Load() < 150 {
		t.Errorf("%d of %d requests failed", failed.Load(), done.Load())
	}
	t.Logf("%d requests, %d failed", done.Load(), failed.Load())
}
