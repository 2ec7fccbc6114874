package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/config"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/internal/telemetry"
	"github.com/relaydesk/relaydesk/tenants"
)

// spans keeps what a collector would get.
type spans struct {
	mu  sync.Mutex
	all []trace.ReadOnlySpan
}

func (s *spans) ExportSpans(_ context.Context, some []trace.ReadOnlySpan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, some...)
	return nil
}

func (*spans) Shutdown(context.Context) error { return nil }

// nodeConfig is that of a node on a database of the test's own.
func nodeConfig(t *testing.T, database string) config.Config {
	t.Helper()
	values := map[string]string{
		"RELAYDESK_DATABASE_URL": database, "RELAYDESK_ENCRYPTION_KEY": secrets.NewEncryptionKey(), "RELAYDESK_DATA_DIR": artifactstest.Dir(t),
		"RELAYDESK_LISTEN": "127.0.0.1:0", "RELAYDESK_ALLOW_LOOPBACK": "true", "RELAYDESK_WORKERS": "2",
	}
	artifactstest.Weights(t)
	cfg, err := config.Load(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// living is a node at work, in this process, with the operators' handler.
type living struct {
	*node
	api, operators http.Handler
	key, workspace string
}

// live starts a node; its cleanup stops it. stop does so at once.
func live(t *testing.T, traces *telemetry.Traces) (n *living, stop func()) {
	t.Helper()
	_, server, _ := postgrestest.Alone(t)
	ctx, cancel := context.WithCancel(t.Context())
	made, err := newNode(ctx, nodeConfig(t, server), options{dev: true, traces: traces}, slog.New(slog.DiscardHandler), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	ended, ready := make(chan error, 1), make(chan struct{})
	listener, err := listen(ctx, made.cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		ended <- made.run(ctx, roles{serve: true, work: true}, listener, func(context.Context) error { close(ready); return nil })
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		made.close()
	})
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	agency, key, err := newAgency(ctx, made.tenants, "Agency", "Key")
	if err != nil {
		t.Fatal(err)
	}
	w, err := made.tenants.CreateWorkspace(ctx, agency.AgencyID, tenants.NewWorkspace{Name: "Workspace", Languages: []string{"en"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n = &living{node: made, key: key.Secret, workspace: ids.Format(ids.Workspace, w.UUID), api: made.traces.Around(made.metrics.Around(made.api))}
	if n.operators, err = made.operations(ctx); err != nil {
		t.Fatal(err)
	}
	return n, stop
}

func (n *living) ask(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+n.key)
	r.Header.Set("Relaydesk-Workspace", n.workspace)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	n.api.ServeHTTP(w, r)
	return w
}

const (
	secretWords = "my parcel to Zanzibar never arrived, I want to talk to a human"
	secretMail  = "ada.moreau@example.com"
)

// converse begins a conversation that goes to a person, and gives its id.
func (n *living) converse(t *testing.T, headers ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"contact": map[string]string{"email": secretMail, "name": "Ada Moreau"}, "message": map[string]string{"text": secretWords}})
	if err != nil {
		t.Fatal(err)
	}
	w := n.ask(t, "POST", "/v1/conversations", string(body), append(headers, "Prefer", "wait=30")...)
	if w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), "visitor_asked") {
		t.Fatalf("%d %s", w.Code, w.Body.String())
	}
	var made struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func TestARequestItsStatementsAndItsJobAreOneTraceThatHoldsNoWordsOfAnybodys(t *testing.T) {
	t.Parallel()
	var got spans
	traces, err := telemetry.NewTraces(t.Context(), &got, "test")
	if err != nil {
		t.Fatal(err)
	}
	n, stop := live(t, traces)
	theirs := "0af7651916cd43dd8448eb211c80319c"
	conversation := n.converse(t, "Traceparent", "00-"+theirs+"-b7ad6b7169203331-01")
	n.ask(t, "POST", "/v1/conversations/"+conversation+"/messages", `{"author":{"type":"visitor"},"text":"`+secretWords+`"}`, "Prefer", "wait=30")
	stop() // which sends the last spans

	// Beginning a conversation and writing in it take different ways to the
	// database; the first of both is the one that names a trace of its own.
	for route, links := range map[string]int{"POST /v1/conversations": 1, "POST /v1/conversations/{id}/messages": 0} {
		var request, job trace.ReadOnlySpan
		below := map[string]int{}
		for _, s := range got.all {
			if s.Name() == route {
				request = s
			}
			below[s.Parent().SpanID().String()]++
		}
		if request == nil {
			t.Fatalf("no span of %s among %d", route, len(got.all))
		}
		for _, s := range got.all {
			if s.Name() == "job answer_turn" && s.SpanContext().TraceID() == request.SpanContext().TraceID() {
				job = s
			}
		}
		if job == nil {
			t.Fatalf("the job of %s belongs to another trace", route)
		}
		if below[request.SpanContext().SpanID().String()] < 1 || below[job.SpanContext().SpanID().String()] < 2 {
			t.Errorf("statements of %s are missing: %v", route, below)
		}
		if request.SpanContext().TraceID().String() == theirs || len(request.Links()) != links || links == 1 && request.Links()[0].SpanContext.TraceID().String() != theirs {
			t.Error("a stranger's trace is joined, or not linked")
		}
	}
	for _, s := range got.all {
		if !s.Parent().IsValid() && s.SpanKind() != oteltrace.SpanKindServer {
			t.Errorf("%s belongs to no request", s.Name())
		}
	}
	for _, s := range got.all {
		text := fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status())
		for _, word := range []string{"Zanzibar", "parcel", "ada.moreau", "Moreau", n.key, n.workspace, "visitor_asked", "values"} {
			if strings.Contains(text, word) {
				t.Errorf("a span holds %q: %s", word, text)
			}
		}
	}
}

func TestAnOperatorSeesNumbersAndTheQueueAndNoTenant(t *testing.T) {
	t.Parallel()
	n, _ := live(t, nil)
	n.converse(t)
	if w := n.ask(t, "BREW", "/coffee/"+n.workspace, ""); w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
	see := func(path string) string {
		t.Helper()
		w := httptest.NewRecorder()
		n.operators.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
		return w.Body.String()
	}
	metrics := see("/metrics")
	for _, line := range []string{
		`relaydesk_http_requests_total{method="POST",route="/v1/conversations",status="2xx"} 1`,
		`relaydesk_http_requests_total{method="other",route="none",status="4xx"} 1`,
		`relaydesk_http_request_seconds_count{method="POST",route="/v1/conversations"} 1`,
		`relaydesk_jobs_total{kind="answer_turn",result="done"} 1`,
		"relaydesk_turns_pending 0", "relaydesk_turns_overdue 0", "relaydesk_webhook_deliveries_pending 0", "relaydesk_relay_lag_seconds ",
		`relaydesk_pool_connections{pool="queue"}`, `relaydesk_embedder_texts_total{kind="query"}`, "go_goroutines ",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("%s is missing", line)
		}
	}
	jobs := see("/ops/river/api/jobs?state=completed&limit=50")
	if !strings.Contains(jobs, `"answer_turn"`) || !strings.Contains(see("/ops/river/"), "<html") {
		t.Errorf("the queue's pages don't work: %.200s", jobs)
	}
	for _, word := range []string{"Zanzibar", "ada.moreau", "Moreau", n.key, n.workspace, "coffee", "BREW"} {
		if strings.Contains(metrics+jobs, word) {
			t.Errorf("%q is shown", word)
		}
	}
	see("/healthz")
	see("/readyz")
	// Another site's page must not reach the queue through an operator's browser.
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "PUT", "/ops/river/api/queues/answers/pause", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	n.operators.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("another site paused a queue: %d", w.Code)
	}
}

func TestADoctorFindsWhatIsWrongAndTellsNoSecret(t *testing.T) {
	t.Parallel()
	_, server, owner := postgrestest.Alone(t)
	cfg := nodeConfig(t, server)
	examine := func(change ...string) *doctor {
		values := map[string]string{
			"RELAYDESK_DATABASE_URL": server, "RELAYDESK_ENCRYPTION_KEY": cfg.EncryptionKey.Reveal(), "RELAYDESK_DATA_DIR": cfg.DataDir,
		}
		for i := 0; i+1 < len(change); i += 2 {
			values[change[i]] = change[i+1]
		}
		d := &doctor{}
		d.examine(t.Context(), func(name string) (string, bool) { v, ok := values[name]; return v, ok }, nil)
		for _, asJSON := range []bool{true, false} {
			var out strings.Builder
			if err := d.report(&out, asJSON); err != nil && !errors.Is(err, errUnwell) {
				t.Error(err)
			}
			if strings.Contains(out.String(), values["RELAYDESK_ENCRYPTION_KEY"]) && len(values["RELAYDESK_ENCRYPTION_KEY"]) > 0 || strings.Contains(out.String(), "only-for-tests") || strings.Contains(out.String(), "hunter2") {
				t.Errorf("a secret is told: %s", out.String())
			}
		}
		return d
	}
	// wrong gives the checks that failed, in their order.
	wrong := func(d *doctor) string {
		var names []string
		for _, f := range d.findings {
			if f.Result == fail {
				names = append(names, f.Check)
			}
		}
		return strings.Join(names, " ")
	}
	for _, f := range examine().findings {
		if f.Result != good {
			t.Errorf("of a sound installation: %+v", f)
		}
	}
	if got := wrong(examine("RELAYDESK_DATABASE_URL", owner)); got != "login" {
		t.Errorf("as the superuser: %q", got)
	}
	if got := wrong(examine("RELAYDESK_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")); got != "database" {
		t.Errorf("without a database: %q", got)
	}
	if got := wrong(examine("RELAYDESK_WORKERS", "many", "RELAYDESK_OPENAI_BASE_URL", "http://127.0.0.1:1/v1", "RELAYDESK_OPENAI_MODEL", "m")); got != "configuration model provider" {
		t.Errorf("with a wrong variable and no provider: %q", got)
	}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/models" {
			t.Errorf("the provider was asked %s %s", r.Method, r.URL.Path)
		}
		if r.Header.Get("Authorization") != "Bearer hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"small"}]}`))
	}))
	t.Cleanup(provider.Close)
	asked := []string{"RELAYDESK_OPENAI_BASE_URL", provider.URL + "/v1", "RELAYDESK_OPENAI_MODEL", "small", "RELAYDESK_OPENAI_API_KEY"}
	if got := wrong(examine(append(asked, "hunter2")...)); got != "" {
		t.Errorf("with a provider: %q", got)
	}
	if got := wrong(examine(append(asked, "wrong")...)); got != "model provider" {
		t.Errorf("with a refused key: %q", got)
	}

	admin := connect(t, owner)
	run := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := admin.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	run("alter table messages no force row level security",
		"insert into river.river_job (kind, queue, max_attempts, args, scheduled_at, state) values ('test', 'answers', 1, '{}', now() - interval '1 hour', 'available')",
		"update migrations set sha256 = 'other' where version = 1")
	if got := wrong(examine()); got != "walls schema queue" {
		t.Errorf("of a broken installation: %q", got)
	}
}

func TestAnotherEncryptionKeyIsNoticedBeforeAnythingIsSigned(t *testing.T) {
	t.Parallel()
	n, _ := live(t, nil)
	if w := n.ask(t, "POST", "/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/","event_types":["*"]}`); w.Code != http.StatusCreated {
		t.Fatalf("%d %s", w.Code, w.Body.String())
	}
	for key, want := range map[string]string{n.cfg.EncryptionKey.Reveal(): good, secrets.NewEncryptionKey(): fail} {
		d := &doctor{cfg: n.cfg, db: n.db}
		d.cfg.EncryptionKey = config.NewSecret(key)
		d.key(t.Context())
		if len(d.findings) != 1 || d.findings[0].Result != want || strings.Contains(d.findings[0].Detail, "nothing has been sealed") {
			t.Errorf("%+v, not %s", d.findings, want)
		}
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}
