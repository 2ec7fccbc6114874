package openapi_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/relaydesk/relaydesk/openapi"
)

var handler = sync.OnceValue(func() http.Handler {
	return openapi.Handler([]byte(`{"openapi":"3.1.0"}`), []byte(`{"openapi":"3.0.3"}`))
})

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestTheDocumentsAreServedAsTheyAre(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/openapi.json": `{"openapi":"3.1.0"}`, "/openapi-3.0.json": `{"openapi":"3.0.3"}`} {
		w := get(t, path)
		if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %v", path, w.Code, w.Body, w.Header())
		}
	}
}

func TestTheReferencePageLoadsOnlyWhatThisServerHas(t *testing.T) {
	t.Parallel()
	parts := 0
	for _, page := range []string{"/docs", "/docs/"} {
		w := get(t, page)
		if w.Code != 200 {
			t.Fatalf("%s: %d", page, w.Code)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "http") || strings.Contains(policy, "eval") {
			t.Errorf("the policy is open: %s", policy)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
			switch target := m[1]; {
			case target == "data:," || target == "/guide":
			case !strings.HasPrefix(target, "/"):
				t.Errorf("%s loads %s", page, target)
			default:
				parts++
				if got := get(t, target); got.Code != 200 || got.Body.Len() == 0 {
					t.Errorf("%s: %d", target, got.Code)
				}
			}
		}
		if regexp.MustCompile(`<script(?:>| [^>]*>[^<])|<style| style=| on[a-z]+=`).MatchString(w.Body.String()) {
			t.Errorf("%s has a script or style inline, which its policy forbids", page)
		}
	}
	if parts < 6 {
		t.Errorf("only %d parts were seen", parts)
	}
	if got := get(t, "/docs/else"); got.Code != 404 {
		t.Errorf("/docs/else: %d", got.Code)
	}
}

func TestTheScriptIsTheOneThatTheFetchScriptPins(t *testing.T) {
	t.Parallel()
	fetch, err := os.ReadFile("reference/fetch.sh")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile("reference/scalar.js.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	script, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(script)
	if !strings.Contains(string(fetch), "script="+hex.EncodeToString(sum[:])) {
		t.Errorf("scalar.js.gz holds %x, which fetch.sh doesn't name", sum)
	}
	if got := get(t, "/docs/scalar.js"); !bytes.Equal(got.Body.Bytes(), script) {
		t.Error("another script is served")
	}
}
