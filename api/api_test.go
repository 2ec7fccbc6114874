package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/api"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/tenants"
)

// bench is a server and an agency of the test's own with one workspace.
type bench struct {
	api.Deps
	server  *httptest.Server
	clock   *clocktest.Fake
	root    tenants.Principal
	w       tenants.Workspace
	key     string // of the agency, with all scopes
	narrow  string // of the workspace, with all scopes
	ws      string // the workspace's id
	t       *testing.T
	handler http.Handler
	logged  shared
}

// shared is a buffer that many write to.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// installation is the box of all servers on the shared database, as in any
// installation.
var installation = sync.OnceValues(func() (*secrets.Box, error) { return secrets.NewBox(secrets.NewEncryptionKey()) })

func setup(t *testing.T) *bench {
	t.Helper()
	box, err := installation()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{clock: clocktest.At(time.Now()), t: t}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), &b.logged), &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.Deps = api.Deps{Clock: b.clock, Log: log, Box: box, LimitFactor: 10}
	b.Tenants = tenants.New(postgrestest.New(t), b.clock, log, tenants.Options{TestKeys: true, Box: box})
	b.serve(b.Deps)
	t.Cleanup(b.Tenants.Close)
	a, err := b.Tenants.CreateAgency(t.Context(), t.Name())
	if err != nil {
		t.Fatal(err)
	}
	b.root = tenants.Principal{AgencyID: a.AgencyID, Agency: a.ID, Scopes: tenants.Scopes{"*"}}
	if b.w, err = b.Tenants.CreateWorkspace(t.Context(), a.AgencyID, tenants.NewWorkspace{Name: "Main"}, nil); err != nil {
		t.Fatal(err)
	}
	b.ws = ids.Format(ids.Workspace, b.w.UUID)
	b.key, b.narrow = b.newKey(tenants.NewKey{Scopes: tenants.Scopes{"*"}}), b.newKey(tenants.NewKey{Scopes: tenants.Scopes{"*"}, Workspace: b.w.UUID})
	return b
}

func (b *bench) serve(d api.Deps) {
	b.t.Helper()
	s, err := api.New(d)
	if err != nil {
		b.t.Fatal(err)
	}
	b.handler = s
	b.server = httptest.NewServer(s)
	b.t.Cleanup(b.server.Close)
}

func (b *bench) newKey(made tenants.NewKey) string {
	b.t.Helper()
	made.Name = "a key"
	k, err := b.Tenants.CreateKey(b.t.Context(), b.root, made, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return k.Secret
}

// answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Raw    []byte
	JSON   map[string]any
}

func (a answer) text(field string) string { s, _ := a.JSON[field].(string); return s }

// problem is the code, and the pointers with their codes.
func (a answer) problem() string {
	out := a.text("code")
	all, _ := a.JSON["errors"].([]any)
	for _, e := range all {
		m, _ := e.(map[string]any)
		out += " " + m["pointer"].(string) + "=" + m["code"].(string)
	}
	return out
}

type headers map[string]string

// send makes a request with the agency's key; headers may say otherwise.
func (b *bench) send(method, path, body string, more ...headers) answer {
	b.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, reader)
	if err != nil {
		b.t.Fatal(err)
	}
	all := headers{"Authorization": "Bearer " + b.key}
	if body != "" {
		all["Content-Type"] = "application/json"
	}
	for _, h := range more {
		maps.Copy(all, h)
	}
	for name, value := range all {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	out := answer{Status: response.StatusCode, Header: response.Header}
	if out.Raw, err = io.ReadAll(response.Body); err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(response.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(out.Raw, &out.JSON); err != nil {
			b.t.Fatalf("%s %s: %v in %s", method, path, err, out.Raw)
		}
	}
	b.asDocumented(method, path, out)
	return out
}

// want sends and compares status and, for a failure, the problem.
func (b *bench) want(status int, problem, method, path, body string, more ...headers) answer {
	b.t.Helper()
	a := b.send(method, path, body, more...)
	if a.Status != status || problem != "" && a.problem() != problem {
		b.t.Errorf("%s %s %.100s: %d %s, want %d %s\n%.500s", method, path, body, a.Status, a.problem(), status, problem, a.Raw)
	}
	return a
}
