package api_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestAKeyHasSoManyStreamsOpenAndNoMore(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	_, visitor := s.session("", "")
	conversation := s.want(201, "", "POST", "/v1/visitor/conversations", `{"message":{"text":"Hello"}}`, visitor).text("id")
	for _, c := range []struct {
		path      string
		as, other headers
	}{
		{"/v1/events/stream", bearer(s.bench.key), bearer(s.narrow)},
		{"/v1/visitor/conversations/" + conversation + "/stream", visitor, nil},
	} {
		ctx, closeAll := context.WithCancel(t.Context())
		open := func(as headers) *http.Response {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range as {
				r.Header.Set(name, value)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = response.Body.Close() })
			return response
		}
		for i := range 100 {
			if got := open(c.as); got.StatusCode != http.StatusOK {
				t.Fatalf("%s: stream %d: %d", c.path, i+1, got.StatusCode)
			}
		}
		if a := s.want(429, "rate_limited", "GET", c.path, "", c.as); a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %v", c.path, a.Header)
		}
		if c.other != nil {
			if got := open(c.other); got.StatusCode != http.StatusOK {
				t.Errorf("another key: %d", got.StatusCode)
			}
		}
		closeAll()
		ctx, closeAll = context.WithCancel(t.Context())
		defer closeAll()
		for open(c.as).StatusCode != http.StatusOK { // until the server has noticed
			if t.Context().Err() != nil {
				t.Fatal("closed streams are counted for ever")
			}
		}
	}
}

func TestAPostHasNothingThatIfMatchCouldMean(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(201, "", "POST", "/v1/workspaces", `{"name":"x"}`, headers{"If-Match": "nonsense"})
}

func TestAnEmptyHeaderIsNoIdempotencyKeyAndNoAbsentOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, empty := range []string{" ", `""`} { // the client sends the first as an empty header
		b.want(400, "malformed_request", "POST", "/v1/workspaces", `{"name":"x"}`, headers{"Idempotency-Key": empty})
	}
}

func TestASeqBeforeWhichThereIsNothingIsRefused(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	id := w.want(201, "", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"Hello"}}`, w.here()).text("id")
	w.want(422, "validation_failed query/before_seq=invalid", "GET", "/v1/conversations/"+id+"/messages?before_seq=0", "")
	if a := w.want(200, "", "GET", "/v1/conversations/"+id+"/messages?before_seq=1", ""); len(a.JSON["data"].([]any)) != 0 {
		t.Errorf("%s", a.Raw)
	}
}

func TestACursorThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(201, "", "POST", "/v1/workspaces", `{"name":"Second"}`)
	cursor, err := base64.RawURLEncoding.DecodeString(b.want(200, "", "GET", "/v1/workspaces?limit=1", "").text("next_cursor"))
	if err != nil || len(cursor) != 8+16 {
		t.Fatalf("%d bytes, %v", len(cursor), err)
	}
	path := "/v1/workspaces?limit=1&cursor="
	b.want(200, "", "GET", path+base64.RawURLEncoding.EncodeToString(cursor), "")
	for i := range cursor {
		cursor[i] ^= 1
		b.want(400, "cursor_invalid", "GET", path+base64.RawURLEncoding.EncodeToString(cursor), "")
		cursor[i] ^= 1
	}
	for _, cut := range [][]byte{cursor[:8], cursor[:23], append(cursor, 0)} {
		b.want(400, "cursor_invalid", "GET", path+base64.RawURLEncoding.EncodeToString(cut), "")
	}
}

func TestWhatJSONReadersTakeDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, want := range map[string]string{
		`{"name":"a\ud800"}`:                                                  "422 validation_failed #/name=surrogate",
		`{"name":"\udc00\ud800 secret"}`:                                      "422 validation_failed #/name=surrogate",
		`{"name":"\ud83d\ud83d\ude00"}`:                                       "422 validation_failed #/name=surrogate",
		`{"name":"\ud83d\\ude00"}`:                                            "422 validation_failed #/name=surrogate",
		`{"name":"a","languages":["en","\uDBFF"]}`:                            "422 validation_failed #/languages/1=surrogate",
		`{"name":"a","metadata":{"\ud800":"x","k":"\u0000"}}`:                 "422 validation_failed #/metadata=surrogate #/metadata/k=nul",
		`{"name":"a","name":"b"}`:                                             "400 malformed_request #/name=repeated",
		`{"name":"a","n\u0061me":"b"}`:                                        "400 malformed_request #/name=repeated",
		`{"name":"a","metadata":{"a/b" : "1", "a/b" :"2"}}`:                   "400 malformed_request #/metadata/a~1b=repeated",
		`{"name":"a","languages":[[],{"x":[{}, -1e3,{"y":null,"y":true}]}]}`:  "400 malformed_request #/languages/1/x/2/y=repeated",
		`{"name":"\ud83d\ude00","metadata":{"k":"\\ud800\\","l":"{\"k\":1"}}`: "201 ",
		`{"name":"\ufffd","metadata":{"name":"a"}}`:                           "201 ",
	} {
		a := b.send("POST", "/v1/workspaces", body)
		if got := fmt.Sprint(a.Status, " ", a.problem()); got != want || a.Status != 201 && strings.Contains(string(a.Raw), "secret") {
			t.Errorf("%s: %s, want %s\n%s", body, got, want, a.Raw)
		}
	}
	deep := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
	if a := b.send("POST", "/v1/workspaces", deep); a.Status != 422 {
		t.Errorf("deep: %d", a.Status)
	}
}

func TestANumberThatIsTooLargeTellsNothingOfTheServersInsides(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	id := w.want(201, "", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"Hello"}}`, w.here()).text("id")
	a := w.want(422, "validation_failed #/expected_seq=invalid", "POST", "/v1/conversations/"+id+"/messages", `{"author":{"type":"member","member_id":"`+w.member+`"},"text":"x","expected_seq":1e30}`, w.here())
	if strings.Contains(string(a.Raw), "json") || strings.Contains(string(a.Raw), "1e30") || strings.Contains(string(a.Raw), "struct") {
		t.Errorf("%s", a.Raw)
	}
	for _, query := range []string{"after_seq=99999999999999999999", "limit=1e30"} {
		if a := w.send("GET", "/v1/conversations/"+id+"/messages?"+query, ""); a.Status != 422 || strings.Contains(string(a.Raw), "strconv") {
			t.Errorf("%d %s", a.Status, a.Raw)
		}
	}
}

func TestALanguageIsOneThatBCP47Knows(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	_, as := s.session("", "")
	id := s.want(201, "", "POST", "/v1/conversations", `{"contact":{"language":"pt-br"},"message":{"text":"Hello"},"language":"DE"}`, s.here()).text("id")
	contact := s.want(200, "", "GET", "/v1/conversations/"+id, "", s.here())
	if contact.text("language") != "de" {
		t.Errorf("%s", contact.Raw)
	}
	for _, bad := range []string{`x\r\ny`, `<b>`, `german`, `und`, `en; q=1`} {
		language := `"language":"` + bad + `"}`
		const refused = "validation_failed #/language=invalid"
		s.want(422, refused, "POST", "/v1/conversations", `{"contact":{},"message":{"text":"Hello"},`+language, s.here())
		s.want(422, "validation_failed #/contact/language=invalid", "POST", "/v1/conversations", `{"message":{"text":"Hello"},"contact":{`+language+`}`, s.here())
		s.want(422, refused, "PATCH", "/v1/conversations/"+id, `{`+language, s.here())
		s.want(422, refused, "POST", "/v1/contacts", `{`+language, s.here())
		s.want(422, refused, "PATCH", "/v1/contacts/"+contact.text("contact_id"), `{`+language, s.here())
		s.want(422, refused, "POST", "/v1/search", `{"query":"x",`+language, s.here())
		s.want(422, refused, "POST", "/v1/answers", `{"question":"x",`+language, s.here())
		s.want(422, refused, "POST", "/v1/visitor/conversations", `{"message":{"text":"Hello"},`+language, as)
	}
	s.want(200, "", "PATCH", "/v1/contacts/"+contact.text("contact_id"), `{"language":null}`, s.here())
	signed, _ := s.session(s.identity(jwt.MapClaims{"language": "<b>"}), "")
	if k := s.want(200, "", "GET", "/v1/contacts/"+signed.text("contact_id"), "", s.here()); k.text("language") != "" {
		t.Errorf("%s", k.Raw)
	}
}

func TestAMessageHasSomethingToRead(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	_, as := s.session("", "")
	mine := "/v1/visitor/conversations/" + s.want(201, "", "POST", "/v1/visitor/conversations", `{"message":{"text":"."}}`, as).text("id") + "/messages"
	id := s.want(201, "", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"👋"}}`, s.here()).text("id")
	for _, empty := range []string{`\u200b`, ` \t\r\n`, `\u0007\u001b`, `\u2060\ufeff \u00a0`, `\u3164\u2800\ufe0f`} {
		s.want(422, "validation_failed #/message/text=invalid", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"`+empty+`"}}`, s.here())
		s.want(422, "validation_failed #/text=invalid", "POST", "/v1/conversations/"+id+"/messages", `{"author":{"type":"visitor"},"text":"`+empty+`"}`, s.here())
		s.want(422, "validation_failed #/text=invalid", "POST", "/v1/conversations/"+id+"/messages", `{"author":{"type":"member","member_id":"`+s.member+`"},"visibility":"team","text":"`+empty+`"}`, s.here())
		s.want(422, "validation_failed #/message/text=invalid", "POST", "/v1/visitor/conversations", `{"message":{"text":"`+empty+`"}}`, as)
		s.want(422, "validation_failed #/text=invalid", "POST", mine, `{"text":"`+empty+`"}`, as)
	}
}

func TestAnAddressCanBeReachedAndHoldsNoPassword(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	made := "/v1/webhook_endpoints/" + w.want(201, "", "POST", "/v1/webhook_endpoints", `{"url":"https://example.com:65535/x","event_types":["*"]}`).text("id")
	for _, bad := range []string{"http:///x", "https://example.com:0/", "https://example.com:65536/", "https://me:secret@example.com/", "ftp://example.com/", "example.com"} {
		const refused = "validation_failed #/url=invalid"
		for _, a := range []answer{
			w.want(422, refused, "POST", "/v1/sources", `{"type":"website","url":"`+bad+`"}`, w.here()),
			w.want(422, refused, "POST", "/v1/webhook_endpoints", `{"url":"`+bad+`","event_types":["*"]}`),
			w.want(422, refused, "PATCH", made, `{"url":"`+bad+`"}`),
		} {
			if strings.Contains(string(a.Raw), "secret") {
				t.Errorf("%s", a.Raw)
			}
		}
	}
	w.want(422, "validation_failed #/event_types/1=invalid", "PATCH", made, `{"event_types":["*","secret"]}`)
}

func TestWhatTheHTTPLayerRefusesIsPlainText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	address := strings.TrimPrefix(b.server.URL, "http://")
	for request, status := range map[string]string{
		"nonsense\r\n\r\n":                                                                    "400",
		"GET /v1/agency HTTP/1.1\r\n\r\n":                                                     "400",
		"GET /v1/agency HTTP/9.9\r\n\r\n":                                                     "505",
		"GET /v1/agency HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n":                             "417",
		"POST /v1/agency HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n":              "501",
		"GET /v1/agency HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n": "431",
	} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = c.Write([]byte(request)) }()
		got, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%.40q: %v", request, err)
			continue
		}
		if strings.Fields(got.Status)[0] != status || strings.Contains(got.Header.Get("Content-Type"), "json") {
			t.Errorf("%.60q: %s %s, want %s", request, got.Status, got.Header.Get("Content-Type"), status)
		}
		_ = got.Body.Close()
		_ = c.Close()
	}
	if a := b.want(404, "", "GET", "/guide/nowhere", ""); strings.Contains(a.Header.Get("Content-Type"), "json") {
		t.Errorf("%v", a.Header)
	}
}
