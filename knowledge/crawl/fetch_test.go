package crawl

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/outbound"
)

func newFetcher(t *testing.T, policy outbound.Policy, options Options) *Fetcher {
	t.Helper()
	// Long enough for a slow machine: what ends by its time here names a time.
	if options.Timeout == 0 {
		options.Timeout = time.Minute
	}
	client := outbound.NewClient(policy, time.Minute)
	t.Cleanup(client.CloseIdleConnections)
	return NewFetcher(client, options)
}

var loopback = outbound.Policy{AllowLoopback: true}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func fetch(t *testing.T, url string) Fetched {
	t.Helper()
	got, err := newFetcher(t, loopback, Options{}).Fetch(t.Context(), Request{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAPageIsFetchedWithItsValidatorsAndThenIsUnchanged(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != UserAgent {
			t.Errorf("asked as %q", r.Header.Get("User-Agent"))
		}
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Language", "de-at, en")
		w.Header().Set("X-Robots-Tag", "noindex")
		_, _ = io.WriteString(w, "<p>Grüße")
	}) + "/"
	got := fetch(t, url)
	if got.Reason != "" || got.Body != "<p>Grüße" || got.MediaType != HTML || got.Language != "de-AT" || !got.NoIndex || got.NoFollow {
		t.Fatalf("got %+v", got)
	}
	again, err := newFetcher(t, loopback, Options{}).Fetch(t.Context(), Request{URL: url, Validators: got.Validators})
	if err != nil || !again.NotModified || again.Reason != "" || again.Validators != got.Validators {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestEveryFailureIsAReason(t *testing.T) {
	t.Parallel()
	statuses := map[int]Reason{
		401: LoginRequired, 403: LoginRequired, 404: NotFound, 410: Gone, 429: RateLimited, 500: "http_500", 503: "http_503",
		418: "http_418", 204: Empty, 304: "http_304", 206: "http_206", 300: "http_300",
	}
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(status)
	})
	for status, want := range statuses {
		got := fetch(t, fmt.Sprintf("%s/%d", base, status))
		if got.Reason != want || got.Status != status {
			t.Errorf("%d: got %q with status %d, want %q", status, got.Reason, got.Status, want)
		}
		if status == 503 && got.RetryAfter != 2*time.Minute {
			t.Errorf("503 asks to wait %v", got.RetryAfter)
		}
		if want := status == 429 || status >= 500; got.Reason.Temporary() != want {
			t.Errorf("%s is temporary: %v", got.Reason, !want)
		}
		if got.Reason.Text() == string(got.Reason) {
			t.Errorf("%s has no sentence", got.Reason)
		}
	}
}

func TestRetryAfterMayBeADateOfTheServersOwnClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after, date string
		want        time.Duration
	}{
		{"30", "", 30 * time.Second},
		{"-5", "", 0},
		{"99999999", "", maxWait},
		{"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:00 GMT", time.Minute},
		{"Wed, 21 Oct 2015 07:28:00 GMT", "", 0},
		{"soon", "", 0},
	} {
		if got := retryAfter(http.Header{"Retry-After": {c.after}, "Date": {c.date}}); got != c.want {
			t.Errorf("%q at %q: %v, want %v", c.after, c.date, got, c.want)
		}
	}
}

func TestAServerThatIsDownIsUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String() + "/"
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, url); got.Reason != Unreachable {
		t.Errorf("got %q", got.Reason)
	}
	if got := fetch(t, "http://no-such-host.invalid/"); got.Reason != Unreachable {
		t.Errorf("a name that does not exist: %q", got.Reason)
	}
}

func TestAServerThatSpeaksNoHTTPIsABadResponse(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
			_ = conn.Close()
		}
	}()
	if got := fetch(t, "http://"+listener.Addr().String()+"/"); got.Reason != BadResponse {
		t.Errorf("got %q", got.Reason)
	}
}

func TestAnUntrustedCertificateIsATLSFailure(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	if got := fetch(t, secure.URL+"/"); got.Reason != TLSFailed {
		t.Errorf("got %q", got.Reason)
	}
	plain := serve(t, http.NotFound)
	if got := fetch(t, strings.Replace(plain, "http:", "https:", 1)+"/"); got.Reason != TLSFailed && got.Reason != BadResponse {
		t.Errorf("https to a server of http: %q", got.Reason)
	}
}

func TestPrivateAddressesAreBlockedAndRedirectsIntoThemToo(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	got, err := newFetcher(t, outbound.Policy{}, Options{}).Fetch(t.Context(), Request{URL: url + "/"})
	if err != nil || got.Reason != BlockedAddress {
		t.Errorf("got %q, %v", got.Reason, err)
	}
	out := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	if got := fetch(t, out+"/"); got.Reason != OffSite {
		t.Errorf("a redirect to a metadata service: %q", got.Reason)
	}
	// robots.txt may redirect anywhere: there the dialled address decides.
	robots, err := newFetcher(t, loopback, Options{}).Robots(t.Context(), mustSite(t, out))
	if err != nil || robots.Reason != BlockedAddress {
		t.Errorf("robots.txt that redirects there: %+v, %v", robots, err)
	}
}

func mustSite(t *testing.T, url string) Site {
	t.Helper()
	site, err := SiteOf(url)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func TestRedirectsAreFollowedWithinTheSiteOnly(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("another site was asked") })
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		step := 0
		switch _, err := fmt.Sscanf(r.URL.Path, "/step%d", &step); {
		case err == nil && step > 0:
			http.Redirect(w, r, fmt.Sprintf("/step%d", step-1), http.StatusMovedPermanently)
		case r.URL.Path == "/circle":
			http.Redirect(w, r, "/elcric", http.StatusFound)
		case r.URL.Path == "/elcric":
			http.Redirect(w, r, "/circle", http.StatusFound)
		case r.URL.Path == "/self":
			http.Redirect(w, r, "/self#part", http.StatusSeeOther)
		case r.URL.Path == "/out":
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		case r.URL.Path == "/mail":
			w.Header().Set("Location", "mailto:a@example.com")
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/nowhere":
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/to-secret":
			http.Redirect(w, r, "/secret", http.StatusPermanentRedirect)
		case r.URL.Path == "/session" && r.URL.RawQuery == "":
			http.Redirect(w, r, "/session?utm_source=x", http.StatusFound)
		case r.URL.Path == "/secret":
			t.Error("what robots.txt forbids was asked for")
		default:
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>here")
		}
	})
	for path, want := range map[string]Reason{
		"/step5": "", "/step6": TooManyRedirects, "/circle": RedirectLoop, "/self": RedirectLoop, "/out": OffSite,
		"/mail": BadRedirect, "/nowhere": BadRedirect, "/to-secret": RobotsDisallowed, "/session": "",
	} {
		got, err := newFetcher(t, loopback, Options{}).Fetch(t.Context(), Request{URL: base + path, Robots: ParseRobots("User-agent: *\nDisallow: /secret")})
		if err != nil || got.Reason != want {
			t.Errorf("%s: got %q, %v, want %q", path, got.Reason, err, want)
		}
		if path == "/step5" && got.URL != base+"/step0" {
			t.Errorf("%s leads to %s", path, got.URL)
		}
	}
}

func TestASiteMayMoveToHTTPSOrWWWButNotElsewhere(t *testing.T) {
	t.Parallel()
	site := mustSite(t, "http://example.com/help")
	for target, want := range map[string]bool{
		"https://example.com/": true, "https://www.example.com/help": true, "http://www.example.com/": true,
		"https://help.example.com/": false, "https://example.org/": false, "http://example.com:8080/": false, "https://wwwexample.com/": false,
	} {
		if _, ok := site.Rebase(target); ok != want {
			t.Errorf("%s: %v, want %v", target, ok, want)
		}
	}
}

func TestLargeBodiesAreRefusedHoweverTheyComeAbout(t *testing.T) {
	t.Parallel()
	chunk := bytes.Repeat([]byte("a lot of text "), 1<<12)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		var out io.Writer = w
		switch r.URL.Path {
		case "/announced":
			w.Header().Set("Content-Length", "10485760")
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			packed := gzip.NewWriter(w)
			defer func() { _ = packed.Close() }()
			out = packed
		}
		for written := 0; written < 10<<20; written += len(chunk) {
			if _, err := out.Write(chunk); err != nil {
				return
			}
		}
	})
	for _, path := range []string{"/announced", "/chunked", "/bomb"} {
		if got := fetch(t, base+path); got.Reason != TooLarge || got.Body != "" {
			t.Errorf("%s: got %q and %d bytes", path, got.Reason, len(got.Body))
		}
	}
}

func TestABodyThatDripsEndsWithItsTime(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for {
			_, _ = io.WriteString(w, "<p>drip")
			if w.(http.Flusher).Flush(); true {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
	})
	t.Cleanup(func() { close(stop) })
	f := newFetcher(t, loopback, Options{Timeout: 100 * time.Millisecond})
	got, err := f.Fetch(t.Context(), Request{URL: base + "/"})
	if err != nil || got.Reason != Timeout {
		t.Errorf("got %q, %v", got.Reason, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Fetch(ctx, Request{URL: base + "/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a ctx that ended: %v", err)
	}
}

func TestABodyThatBreaksOffIsABadResponse(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/br" {
			w.Header().Set("Content-Encoding", "br")
		} else {
			w.Header().Set("Content-Length", "1000")
		}
		_, _ = io.WriteString(w, "<p>half")
	})
	for _, path := range []string{"/half", "/br"} {
		if got := fetch(t, base+path); got.Reason != BadResponse || got.Body != "" {
			t.Errorf("%s: got %q, %q", path, got.Reason, got.Body)
		}
	}
}

func TestOnlyTextIsReadWhateverItCallsItself(t *testing.T) {
	t.Parallel()
	const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	for _, c := range []struct {
		declared, body, url string
		want                string
	}{
		{"text/html", "<p>x", "/", HTML},
		{"text/html; charset=utf-8", png, "/", ""},
		{"text/html", "%PDF-1.7 ...", "/", ""},
		{"text/html", "PK\x03\x04 zip", "/", ""},
		{"text/html", "a\x00b\x01c\x02", "/", ""},
		{"application/pdf", "<html>", "/", ""},
		{"image/png", png, "/", ""},
		{"application/json", `{"a": 1}`, "/", ""},
		{"application/xhtml+xml", `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">`, "/", HTML},
		{"text/xml", `<?xml version="1.0"?><html>`, "/", HTML},
		{"text/xml", `<?xml version="1.0"?><rss>`, "/", ""},
		{"text/plain", "Just text", "/a.txt", PlainText},
		{"text/plain", "# Title", "/a.md", Markdown},
		{"text/markdown", "# Title", "/a", Markdown},
		{"text/plain", "<!DOCTYPE html><p>", "/", HTML},
		{"", "<!doctype html><p>", "/", HTML},
		{"", "words", "/", PlainText},
		{"application/octet-stream", "\x00\x01\x02\x03", "/", ""},
		{"text/html; charset=utf-16", "\xff\xfe<\x00p\x00>\x00", "/", HTML},
		{"text/html", "", "/", HTML},
		{"rubbish;;;", "<p>", "/", ""},
	} {
		got := ""
		if mayBeText(c.declared) {
			got = mediaType(c.declared, "http://example.com"+c.url, []byte(c.body))
		}
		if got != c.want {
			t.Errorf("%q as %q: got %q, want %q", c.body, c.declared, got, c.want)
		}
	}
}

func TestTextIsDecodedByWhatItIsNotOnlyByWhatItSays(t *testing.T) {
	t.Parallel()
	far := "<!doctype html>" + strings.Repeat("<!-- far -->", 200)
	for name, c := range map[string]struct{ declared, body, want string }{
		"header":                    {"text/html; charset=iso-8859-1", "Gr\xfc\xdfe", "Grüße"},
		"meta":                      {"text/html", "<meta charset=windows-1251>\xcf\xf0\xe8\xe2\xe5\xf2", "<meta charset=windows-1251>Привет"},
		"meta behind the prescan":   {"text/html", far + "<meta charset=windows-1251>\xcf\xf0", far + "<meta charset=windows-1251>Пр"},
		"byte order mark":           {"text/html; charset=iso-8859-1", "\xef\xbb\xbfGrüße", "Grüße"},
		"UTF-16":                    {"text/html", "\xff\xfeG\x00r\x00\xfc\x00", "Grü"},
		"nothing said, UTF-8 late":  {"text/html", far + "Grüße", far + "Grüße"},
		"nothing said, Latin 1":     {"text/html", "Gr\xfc\xdfe", "Grüße"},
		"wrongly called Latin 1":    {"text/html; charset=iso-8859-1", "Grüße", "Grüße"},
		"wrongly called UTF-8":      {"text/html; charset=utf-8", "Gr\xfc\xdfe", "Grüße"},
		"header wrong, meta right":  {"text/html; charset=utf-8", "<meta charset=shift_jis>\x93\xfa\x96\x7b", "<meta charset=shift_jis>日本"},
		"UTF-8 with one broken one": {"text/html; charset=utf-8", "Grüße, Grüße \xff", "Grüße, Grüße \ufffd"},
		"a charset nobody knows":    {"text/html; charset=klingon", "Grüße", "Grüße"},
		"NUL":                       {"text/plain; charset=utf-8", "a\x00b", "ab"},
	} {
		if got := decodeText([]byte(c.body), c.declared); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got[max(0, len(got)-60):], c.want[max(0, len(c.want)-60):])
		}
	}
}

func TestAnXRobotsTagMayBeAddressedToOthers(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][2]bool{
		"noindex": {true, false}, "none": {true, true}, "noindex, nofollow": {true, true}, "googlebot: noindex": {false, false},
		"relaydesk: noindex": {true, false}, "unavailable_after: 25 Jun 2010 15:00:00 PST": {false, false}, "NOINDEX,noarchive": {true, false},
	} {
		if i, f := headerDirectives([]string{value}); i != want[0] || f != want[1] {
			t.Errorf("%q: %v %v", value, i, f)
		}
	}
}
