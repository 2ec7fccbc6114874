package api_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"testing"
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
			if got := open(c.as); got.StatusCode != 200 {
				t.Fatalf("%s: stream %d: %d", c.path, i+1, got.StatusCode)
			}
		}
		if a := s.want(429, "rate_limited", "GET", c.path, "", c.as); a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %v", c.path, a.Header)
		}
		if c.other != nil {
			if got := open(c.other); got.StatusCode != 200 {
				t.Errorf("another key: %d", got.StatusCode)
			}
		}
		closeAll()
		ctx, closeAll = context.WithCancel(t.Context())
		defer closeAll()
		for open(c.as).StatusCode != 200 { // until the server has noticed
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
