package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/telemetry"
)

func request(t testing.TB, method, path, pattern string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Pattern = pattern
	return r
}

func TestRequestsAreCountedByWhatTheRouterNamesAndByNothingThatAClientMakesUp(t *testing.T) {
	t.Parallel()
	m := telemetry.New(clock.System())
	m.Served(request(t, "GET", "/v1/contacts/cont_secret", "GET /v1/contacts/{id}"), 200, 3*time.Millisecond)
	m.Served(request(t, "GET", "/v1/contacts/cont_other", "GET /v1/contacts/{id}"), 404, time.Millisecond)
	m.Served(request(t, "GET", "/secret", ""), 404, time.Millisecond)
	m.Served(request(t, "SECRET", "/secret", ""), 405, time.Millisecond)
	m.Served(request(t, "POST", "/v1/search", "POST /v1/search"), 0, time.Millisecond)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, request(t, "GET", "/metrics", ""))
	for _, line := range []string{
		`relaydesk_http_requests_total{method="GET",route="/v1/contacts/{id}",status="2xx"} 1`,
		`relaydesk_http_requests_total{method="GET",route="/v1/contacts/{id}",status="4xx"} 1`,
		`relaydesk_http_requests_total{method="GET",route="none",status="4xx"} 1`,
		`relaydesk_http_requests_total{method="other",route="none",status="4xx"} 1`,
		`relaydesk_http_requests_total{method="POST",route="/v1/search",status="none"} 1`,
		`relaydesk_http_request_seconds_bucket{method="GET",route="/v1/contacts/{id}",le="0.0025"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("%s is missing", line)
		}
	}
	if strings.Contains(strings.ToLower(w.Body.String()), "secret") {
		t.Error("what a client made up became a series")
	}
}

func TestWithoutACollectorNothingIsTraced(t *testing.T) {
	t.Parallel()
	var none *telemetry.Traces
	h := http.NotFoundHandler()
	if got := none.Around(h); got == nil || none.Statements() != nil || none.Close(t.Context()) != nil {
		t.Error("something is traced")
	}
	none.Served(request(t, "GET", "/", ""), 200, time.Millisecond)
}

func BenchmarkARequestIsCounted(b *testing.B) {
	m := telemetry.New(clock.System())
	r := request(b, "POST", "/v1/conversations/conv_1/messages", "POST /v1/conversations/{id}/messages")
	h := m.Around(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { m.Served(r, 201, time.Millisecond) }))
	w := httptest.NewRecorder()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
