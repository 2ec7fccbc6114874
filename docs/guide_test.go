package docs_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/relaydesk/relaydesk/docs"
)

var handler = sync.OnceValue(docs.Handler)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestEveryFileIsInTheNavigation(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, page := range docs.Pages() {
		shown[page.Name+".md"] = true
	}
	names, err := fs.Glob(os.DirFS("guide"), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !shown[name] {
			t.Errorf("nobody finds %s", name)
		}
	}
	if len(names) != len(shown) {
		t.Errorf("%d files, %d pages", len(names), len(shown))
	}
}

var (
	linked = regexp.MustCompile(`href="([^"]*)"`)
	named  = regexp.MustCompile(` id="([^"]*)"`)
)

// Links that other parts of the server answer.
var elsewhere = map[string]bool{"/docs": true, "/openapi.json": true, "/openapi-3.0.json": true}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	anchors := map[string]map[string]bool{}
	for _, page := range docs.Pages() {
		anchors[page.Path()] = map[string]bool{}
		for _, m := range named.FindAllStringSubmatch(page.HTML, -1) {
			anchors[page.Path()][m[1]] = true
		}
	}
	seen := 0
	for _, page := range docs.Pages() {
		for _, m := range linked.FindAllStringSubmatch(get(t, page.Path()).Body.String(), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			seen++
			switch {
			case path == "data:,", path == "/guide/style.css", elsewhere[path], strings.HasPrefix(path, "https://"):
				continue
			case path == "":
				path = page.Path()
			}
			if anchors[path] == nil || anchor != "" && !anchors[path][anchor] {
				t.Errorf("%s links to %s", page.Name, m[1])
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d links were seen", seen)
	}
}

func TestPagesAreTextWithOneStyleSheetAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, page := range docs.Pages() {
		w := get(t, page.Path())
		html := w.Body.String()
		if w.Code != 200 || !strings.Contains(html, page.HTML) {
			t.Errorf("%s: %d", page.Name, w.Code)
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'self';") {
			t.Errorf("%s: policy %q", page.Name, policy)
		}
		if found := regexp.MustCompile(`<script|<style| style=| on[a-z]+=|raw HTML omitted|ZgotmplZ`).FindString(html); found != "" {
			t.Errorf("%s has %q", page.Name, found)
		}
		if strings.Count(html, "<h1") != 1 || page.Title == "" || page.Summary == "" {
			t.Errorf("%s: title %q, summary %q, %d first headings", page.Name, page.Title, page.Summary, strings.Count(html, "<h1"))
		}
		ids := map[string]bool{}
		for _, m := range named.FindAllStringSubmatch(html, -1) {
			if ids[m[1]] {
				t.Errorf("%s: two places are called %s", page.Name, m[1])
			}
			ids[m[1]] = true
		}
	}
}

// A problem's type is the address of its section.
func TestEveryProblemCodeHasItsSection(t *testing.T) {
	t.Parallel()
	html := get(t, "/guide/api").Body.String()
	for _, code := range []string{
		"malformed_request", "workspace_required", "cursor_invalid", "unauthorized", "scope_missing", "not_found", "method_not_allowed",
		"already_accepted", "stale_reply", "not_owner", "conversation_resolved", "idempotency_in_flight", "idempotency_mismatch",
		"precondition_failed", "position_expired", "request_timeout", "email_taken", "external_id_taken", "member_in_use", "key_expired", "body_too_large", "unsupported_media_type", "validation_failed", "rate_limited",
		"internal_error", "unavailable",
	} {
		if !strings.Contains(html, `<h3 id="`+code+`">`) {
			t.Errorf("nobody explains %s", code)
		}
	}
}

func TestWhatTheGuideDoesNotKnowIsNotFound(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/guide/nothing", "/guide/quickstart/", "/guide/quickstart.md", "/guide/../go.mod", "/"} {
		if w := get(t, path); w.Code == 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if a, b := get(t, "/guide"), get(t, "/guide/"); a.Body.String() != b.Body.String() || a.Code != 200 {
		t.Error("/guide and /guide/ differ")
	}
}
