package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver takes webhooks.
type receiver struct {
	*httptest.Server
	secret string
	since  string                       // position of the log when it was subscribed
	status func(id string, nth int) int // nil: 200

	mu  sync.Mutex
	got map[string][]delivered // by webhook-id
}

type delivered struct {
	header http.Header
	body   []byte
}

func receive(t *testing.T, status func(id string, nth int) int) *receiver {
	r := &receiver{status: status, got: map[string][]delivered{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return // its sender was killed
		}
		id := q.Header.Get("Webhook-Id")
		r.mu.Lock()
		r.got[id] = append(r.got[id], delivered{q.Header.Clone(), body})
		nth := len(r.got[id])
		r.mu.Unlock()
		if r.status != nil {
			w.WriteHeader(r.status(id, nth))
		}
	}))
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

// subscribe makes an endpoint for events of the API's workspace, or agency.
func (r *receiver) subscribe(t *testing.T, a *api, types ...string) (endpoint string) {
	t.Helper()
	made := a.want(t, 201, "POST", "/v1/webhook_endpoints", object{"url": r.URL, "event_types": types})
	r.secret = made.text("secret")
	for {
		page := a.want(t, 200, "GET", "/v1/events?limit=100&after="+cmp.Or(r.since, "0"), nil)
		r.since = page.text("position")
		if page.at("has_more") != true {
			break
		}
	}
	return made.text("id")
}

func (r *receiver) missing(ids []string) (missing []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if len(r.got[id]) == 0 {
			missing = append(missing, id)
		}
	}
	return missing
}

// check verifies every signature, and that a webhook-id is that of one event
// however often it comes. It tells how many came more than once.
func (r *receiver) check(t *testing.T) (repeated int) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(r.secret)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, all := range r.got {
		if len(all) > 1 {
			repeated++
		}
		for _, d := range all {
			if err := verifier.Verify(d.body, d.header); err != nil {
				t.Errorf("%s: %v", id, err)
			}
			var e struct{ ID, Type, Position string }
			if err := json.Unmarshal(d.body, &e); err != nil || e.ID != id {
				t.Errorf("webhook-id %s brought event %s: %v", id, e.ID, err)
			}
		}
	}
	return repeated
}

// site is a website whose pages come slowly.
type site struct {
	*httptest.Server
	pages int
	mu    sync.Mutex
	hits  map[string]int
}

func publish(t *testing.T, pages int, pause time.Duration) *site {
	s := &site{pages: pages, hits: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.mu.Lock()
		s.hits[q.URL.Path]++
		s.mu.Unlock()
		if q.URL.Path == "/robots.txt" || q.URL.Path == "/sitemap.xml" {
			http.NotFound(w, q)
			return
		}
		select {
		case <-q.Context().Done():
			return
		case <-time.After(pause):
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if q.URL.Path == "/" {
			fmt.Fprint(w, "<html lang=en><title>Lamps and shades</title><body><main><h1>Lamps and shades</h1><p>We sell lamps of all kinds, from all over the world.</p><ul>")
			for i := range s.pages {
				fmt.Fprintf(w, "<li><a href=/lamp/%d>%s</a>", i, lamp(i))
			}
			fmt.Fprint(w, "</ul></main>")
			return
		}
		var i int
		if n, err := fmt.Sscanf(q.URL.Path, "/lamp/%d", &i); n != 1 || err != nil || i >= s.pages {
			http.NotFound(w, q)
			return
		}
		fmt.Fprintf(w, "<html lang=en><title>%s</title><body><main><h1>%s</h1><p>%s costs %d euros. Its bulb has %d watts, and it weighs %d grams. "+
			"It comes in a box with a manual of %d pages.</p></main>", lamp(i), lamp(i), lamp(i), 20+7*i, 3+i, 400+11*i, 2+i)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func lamp(i int) string {
	names := []string{"Aurora", "Beacon", "Candle", "Dawn", "Ember", "Firefly", "Glow", "Halo"}
	kinds := []string{"desk lamp", "floor lamp", "ceiling lamp", "wall lamp", "garden lamp", "bicycle lamp"}
	return "The " + names[i%len(names)] + " " + kinds[i/len(names)%len(kinds)]
}

// served counts the pages that were asked for, robots.txt and the like left out.
func (s *site) served() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path := range s.hits {
		if !slices.Contains([]string{"/robots.txt", "/sitemap.xml"}, path) {
			n++
		}
	}
	return n
}
