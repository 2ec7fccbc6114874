package static_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/static"
)

var body = []byte(strings.Repeat("the same sentence again. ", 200))

func get(f *static.File, method string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func packed(t *testing.T) *static.File {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := static.NewPacked("text/javascript", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFileIsTheSameCompressedOrNot(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*static.File{"plain": static.New("text/javascript", body), "packed": packed(t)} {
		w := get(f, http.MethodGet)
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), body) || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: without gzip: %d, %d bytes, %v", name, w.Code, w.Body.Len(), w.Header())
		}
		for _, refused := range []string{"gzip;q=0", "gzip; q=0.0", "br", "identity"} {
			if get(f, http.MethodGet, "Accept-Encoding", refused).Header().Get("Content-Encoding") != "" {
				t.Errorf("%s: compressed for a client that sends %q", name, refused)
			}
		}
		w = get(f, http.MethodGet, "Accept-Encoding", "br, GZIP;q=0.5")
		r, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: unpacked to %d bytes, %v", name, len(got), err)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: caches are not told that forms differ", name)
		}
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	t.Parallel()
	f := static.New("text/plain", body).Cached(time.Hour).With("Content-Security-Policy", "default-src 'none'")
	first := get(f, http.MethodGet)
	tag := first.Header().Get("ETag")
	if first.Header().Get("Cache-Control") != "public, max-age=3600" || first.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("headers are missing: %v", first.Header())
	}
	for _, header := range []string{tag, strings.TrimPrefix(tag, "W/"), `"other", ` + tag, "*"} {
		if w := get(f, http.MethodGet, "If-None-Match", header); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("If-None-Match %s: %d with %d bytes", header, w.Code, w.Body.Len())
		}
	}
	if w := get(f, http.MethodGet, "If-None-Match", `"other"`); w.Code != 200 {
		t.Errorf("another tag: %d", w.Code)
	}
	if tag == static.New("text/plain", body[1:]).Tag() {
		t.Error("two files share a tag")
	}
}

func TestAFileIsOnlyRead(t *testing.T) {
	t.Parallel()
	f := static.New("text/plain", body)
	if w := get(f, http.MethodPost); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", w.Code, w.Header())
	}
	if w := get(f, http.MethodHead); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d with %d bytes %v", w.Code, w.Body.Len(), w.Header())
	}
}

func TestADamagedFileIsNoticedAtTheStart(t *testing.T) {
	t.Parallel()
	if _, err := static.NewPacked("text/plain", []byte("no gzip")); err == nil {
		t.Error("it was taken")
	}
}
