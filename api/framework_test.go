package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/tenants"
)

func TestBadInputIsRefusedWithAPlaceAndWithoutAnEcho(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("x", 201)
	for _, c := range []struct {
		name, body string
		status     int
		problem    string
	}{
		{"no body", ``, 400, "malformed_request"},
		{"unreadable", `{"name": "secret`, 400, "malformed_request"},
		{"not an object", `"secret"`, 422, "validation_failed #=type"},
		{"an array", `["secret"]`, 422, "validation_failed #=type"},
		{"null", `null`, 422, "validation_failed #=type"},
		{"two values", `{"name":"x"} {"name":"secret"}`, 400, "malformed_request"},
		{"empty object", `{}`, 422, "validation_failed #/name=required"},
		{"unknown field", `{"name":"x","secret":1}`, 422, "validation_failed #/secret=unknown_field"},
		{"field in other letters", `{"Name":"secret"}`, 422, "validation_failed #/name=required #/Name=unknown_field"},
		{"wrong type", `{"name":{"secret":1}}`, 422, "validation_failed #/name=type"},
		{"wrong type in a list", `{"name":"x","languages":["en",5]}`, 422, "validation_failed #/languages/1=type"},
		{"empty", `{"name":""}`, 422, "validation_failed #/name=too_short"},
		{"over-long", `{"name":"` + long + `"}`, 422, "validation_failed #/name=too_long"},
		{"NUL", `{"name":"a\u0000secret"}`, 422, "validation_failed #/name=nul"},
		{"NUL below", `{"name":"a","metadata":{"a/b":"\u0000"}}`, 422, "validation_failed #/metadata/a~1b=nul"},
		{"a raw NUL", "{\"name\":\"a\x00secret\"}", 400, "malformed_request"},
		{"broken UTF-8", "{\"name\":\"a\xffsecret\"}", 400, "malformed_request"},
		{"no time zone", `{"name":"x","time_zone":"secret"}`, 422, "validation_failed #/time_zone=invalid"},
		{"a key of metadata", `{"name":"x","metadata":{"` + long + `":"secret"}}`, 422, "validation_failed #/metadata=invalid"},
		{"too large", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "body_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := b.want(c.status, c.problem, "POST", "/v1/workspaces", c.body)
			if strings.Contains(string(a.Raw), "secret") && c.name != "unknown field" {
				t.Errorf("what was sent came back: %s", a.Raw)
			}
			if a.Header.Get("Content-Type") != "application/problem+json" || a.text("request_id") == "" || a.text("request_id") != a.Header.Get("Request-Id") || int(a.JSON["status"].(float64)) != c.status {
				t.Errorf("%v %s", a.Header, a.Raw)
			}
		})
	}
	b.want(415, "unsupported_media_type", "POST", "/v1/workspaces", `<name/>`, headers{"Content-Type": "text/xml"})
	b.want(201, "", "POST", "/v1/workspaces", `{"name":"x"}`, headers{"Content-Type": "Application/JSON; charset=utf-8"})
	b.want(201, "", "POST", "/v1/workspaces", `{"name":"`+strings.Repeat("ä", 200)+`"}`)
	b.want(201, "", "POST", "/v1/workspaces", `{"name":"a\\u0000b"}`)
}

func TestQueriesAreReadStrictly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for query, want := range map[string]string{
		"limit=0": "422 validation_failed query/limit=invalid", "limit=101": "422 validation_failed query/limit=invalid",
		"limit=x": "422 validation_failed query/limit=invalid", "limit=1&limit=2": "400 malformed_request query/limit=repeated",
		"unknown=1": "422 validation_failed query/unknown=unknown_field", "slug=%00": "422 validation_failed query/slug=nul",
		"slug=%ff": "400 malformed_request", "slug=%zz": "400 malformed_request", "status=gone": "422 validation_failed query/status=not_one_of",
		"cursor=x": "400 cursor_invalid", "cursor=!!": "400 cursor_invalid", "cursor=AAAAAAAAAAAAAAAAAAAAAAAA": "400 cursor_invalid",
		"limit=100": "200 ", "": "200 ",
	} {
		a := b.send("GET", "/v1/workspaces?"+query, "")
		if got := fmt.Sprint(a.Status, " ", a.problem()); got != want {
			t.Errorf("%s: %s, want %s\n%s", query, got, want, a.Raw)
		}
	}
}

func TestWhatThereIsNotIsAProblemToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want(404, "not_found", "GET", "/v1/nowhere", "")
	b.want(302, "", "GET", "/", "")
	a := b.want(405, "method_not_allowed", "PUT", "/v1/agency", "{}")
	if allow := a.Header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "PATCH") {
		t.Errorf("Allow: %s", allow)
	}
	for _, id := range []string{"x", "mem_", "ws_01kb2m3n4p5q6r7s8t9v0wxyza", "mem_01kb2m3n4p5q6r7s8t9v0wxyza", "mem_01KB2M3N4P5Q6R7S8T9V0WXYZA", "mem_%00", "mem_%ff", "..%2fagency"} {
		b.want(404, "not_found", "GET", "/v1/members/"+id, "")
	}
}

func TestKeysAreRefusedWithoutAHint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	expired := b.newKey(tenants.NewKey{Scopes: tenants.Scopes{"*"}, ExpiresAt: b.clock.Now().Add(time.Second)})
	b.clock.Advance(2 * time.Second)
	var first string
	for name, value := range map[string]string{
		"none": "", "another": "Bearer " + secrets.NewKey(secrets.SecretTest), "mistyped": "Bearer " + b.key + "x", "expired": "Bearer " + expired,
		"no scheme": b.key, "another scheme": "Basic " + b.key, "nothing": "Bearer ", "words": "Bearer hello",
	} {
		a := b.send("GET", "/v1/agency", "", headers{"Authorization": value})
		a.JSON["request_id"] = ""
		if a.Status != 401 || a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Raw)
		}
		if got := fmt.Sprint(a.JSON); first == "" {
			first = got
		} else if got != first {
			t.Errorf("%s is told apart: %s", name, got)
		}
	}
	b.want(200, "", "GET", "/v1/agency", "", headers{"Authorization": "bearer " + b.key})
	for range 100 {
		b.send("GET", "/v1/agency", "", headers{"Authorization": "Bearer x"})
	}
	a := b.want(429, "rate_limited", "GET", "/v1/agency", "", headers{"Authorization": "Bearer x"})
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	b.want(200, "", "GET", "/v1/agency", "")
}

func TestWhoseDataItIsFollowsKeyAndHeader(t *testing.T) {
	t.Parallel()
	b, foreign := setup(t), setup(t)
	second := b.send("POST", "/v1/workspaces", `{"name":"Second"}`).text("id")
	mine := headers{"Authorization": "Bearer " + b.narrow}
	in := func(ws string) headers { return headers{"Relaydesk-Workspace": ws} }
	b.want(400, "workspace_required", "GET", "/v1/workspace/settings", "")
	b.want(200, "", "GET", "/v1/workspace/settings", "", in(b.ws))
	b.want(404, "not_found", "GET", "/v1/workspace/settings", "", in(foreign.ws))
	b.want(404, "not_found", "GET", "/v1/workspace/settings", "", in("ws_x"))
	b.want(200, "", "GET", "/v1/workspace/settings", "", mine)
	b.want(200, "", "GET", "/v1/workspace/settings", "", mine, in(b.ws))
	b.want(404, "not_found", "GET", "/v1/workspace/settings", "", mine, in(second))
	b.want(404, "not_found", "GET", "/v1/workspaces/"+second, "", mine)
	b.want(404, "not_found", "PATCH", "/v1/workspaces/"+second, `{"name":"x"}`, mine)
	b.want(200, "", "PATCH", "/v1/workspaces/"+b.ws, `{"name":"x"}`, mine)
	b.want(200, "", "GET", "/v1/workspaces/"+second, "", in(b.ws))
	if a := b.want(200, "", "GET", "/v1/workspaces", "", mine); len(a.JSON["data"].([]any)) != 1 {
		t.Errorf("a workspace's key lists %s", a.Raw)
	}
	for _, r := range []struct{ method, path, body string }{
		{"PATCH", "/v1/agency", `{"name":"x"}`},
		{"POST", "/v1/workspaces", `{"name":"x"}`},
		{"DELETE", "/v1/workspaces/" + b.ws, ""},
		{"POST", "/v1/members", `{"name":"x","email":"x@example.com","role":"owner"}`},
		{"GET", "/v1/api_keys", ""},
		{"POST", "/v1/api_keys", `{"name":"x","scopes":["*"]}`},
	} {
		b.want(403, "scope_missing", r.method, r.path, r.body, mine)
	}
}

func TestAPatchIsTriState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.want(201, "", "POST", "/v1/members", `{"name":"Ada","email":"ada@example.com","role":"agent","workspace_ids":["`+b.ws+`"]}`)
	path := "/v1/members/" + m.text("id")
	a := b.want(200, "", "PATCH", path, `{"role":"admin"}`)
	if a.text("role") != "admin" || a.text("name") != "Ada" || len(a.JSON["workspace_ids"].([]any)) != 1 {
		t.Errorf("absent fields changed: %s", a.Raw)
	}
	if a = b.want(200, "", "PATCH", path, `{"workspace_ids":null}`); a.JSON["workspace_ids"] != nil {
		t.Errorf("null left it: %s", a.Raw)
	}
	b.want(422, "validation_failed #/name=type", "PATCH", path, `{"name":null}`)
	b.want(404, "not_found #/workspace_ids/0=not_found", "PATCH", path, `{"workspace_ids":["ws_01kb2m3n4p5q6r7s8t9v0wxyza"]}`)
	b.want(409, "email_taken", "POST", "/v1/members", `{"name":"B","email":"ADA@example.com","role":"agent"}`)
	b.want(204, "", "DELETE", path, "")
	b.want(404, "not_found", "DELETE", path, "")
}

func TestIfMatchGuardsAgainstAnOlderVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/v1/workspaces/" + b.ws
	tag := b.send("GET", path, "").Header.Get("ETag")
	if tag != `"1"` {
		t.Fatalf("ETag %s", tag)
	}
	a := b.want(200, "", "PATCH", path, `{"name":"x"}`, headers{"If-Match": tag})
	if a.Header.Get("ETag") != `"2"` {
		t.Errorf("ETag %s", a.Header.Get("ETag"))
	}
	for _, old := range []string{tag, "x", `"x"`, `"0"`, "W/" + tag} {
		b.want(412, "precondition_failed", "PATCH", path, `{"name":"y"}`, headers{"If-Match": old})
	}
	b.want(412, "precondition_failed", "DELETE", path, "", headers{"If-Match": tag})
	b.want(200, "", "PATCH", path, `{"name":"z"}`, headers{"If-Match": "*"})
	b.want(204, "", "DELETE", path, "", headers{"If-Match": `"3"`})
}

func TestARepeatedRequestIsDoneOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := headers{"Idempotency-Key": `"k-1"`}
	first := b.want(201, "", "POST", "/v1/workspaces", `{"name":"Once"}`, key)
	again := b.want(201, "", "POST", "/v1/workspaces", `{"name":"Once"}`, headers{"Idempotency-Key": "k-1"})
	if string(first.Raw) != string(again.Raw) || again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Idempotent-Replayed") != "" || again.Header.Get("ETag") != first.Header.Get("ETag") {
		t.Errorf("%s, then %s %v", first.Raw, again.Raw, again.Header)
	}
	b.want(422, "idempotency_mismatch", "POST", "/v1/workspaces", `{"name":"Another"}`, key)
	b.want(422, "idempotency_mismatch", "POST", "/v1/members", `{"name":"x","email":"x@example.com","role":"owner"}`, key)
	b.want(400, "malformed_request", "POST", "/v1/workspaces", `{"name":"x"}`, headers{"Idempotency-Key": strings.Repeat("k", 256)})
	b.want(422, "validation_failed #/name=too_short", "POST", "/v1/workspaces", `{"name":""}`, headers{"Idempotency-Key": "k-2"})
	b.want(201, "", "POST", "/v1/workspaces", `{"name":"x"}`, headers{"Idempotency-Key": "k-2"})

	answers := make(chan answer, 20)
	for range 20 {
		go func() {
			answers <- b.send("POST", "/v1/workspaces", `{"name":"At once"}`, headers{"Idempotency-Key": "k-3"})
		}()
	}
	made := map[string]bool{}
	for range 20 {
		switch a := <-answers; {
		case a.Status == 201:
			made[a.text("id")] = true
		case a.Status != 409 || a.problem() != "idempotency_in_flight" || a.Header.Get("Retry-After") == "" || a.Header.Get("X-Should-Retry") == "false":
			t.Errorf("%d %s %v", a.Status, a.Raw, a.Header)
		}
	}
	if len(made) != 1 {
		t.Errorf("made %v", made)
	}
	a := b.send("GET", "/v1/workspaces", "")
	if n := strings.Count(string(a.Raw), `"At once"`); n != 1 {
		t.Errorf("there are %d of them", n)
	}
}

func TestListsArePagedByCursorsThatFitOneListOnly(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	for i := range 5 {
		b.clock.Advance(time.Millisecond)
		b.want(201, "", "POST", "/v1/members", fmt.Sprintf(`{"name":"m%d","email":"m%d@example.com","role":"agent"}`, i, i))
	}
	var names []string
	cursor := ""
	for pages := 0; ; pages++ {
		a := b.want(200, "", "GET", "/v1/members?limit=2&role=agent"+cursor, "")
		for _, m := range a.JSON["data"].([]any) {
			names = append(names, m.(map[string]any)["name"].(string))
		}
		next, more := a.JSON["next_cursor"].(string)
		if more != a.JSON["has_more"].(bool) {
			t.Fatalf("%s", a.Raw)
		}
		if !more {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
		b.want(400, "cursor_invalid", "GET", "/v1/members?limit=2&role=owner&cursor="+next, "")
		b.want(400, "cursor_invalid", "GET", "/v1/workspaces?limit=2&cursor="+next, "")
		other.want(400, "cursor_invalid", "GET", "/v1/members?limit=2&role=agent&cursor="+next, "")
		b.want(200, "", "GET", "/v1/members?role=agent&limit=1&cursor="+next, "")
		cursor = "&cursor=" + next
	}
	if strings.Join(names, " ") != "m4 m3 m2 m1 m0" {
		t.Errorf("listed %v", names)
	}
}

func TestEveryAnswerNamesItselfAndTheLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.want(200, "", "GET", "/v1/workspace/settings", "", headers{"Relaydesk-Workspace": b.ws})
	for name, want := range map[string]string{
		"Relaydesk-Version": "2026-11-01", "RateLimit-Policy": `"key";q=1000;w=1, "workspace";q=2000;w=1`, "RateLimit": `"key";r=999;t=1, "workspace";r=1999;t=1`,
	} {
		if a.Header.Get(name) != want {
			t.Errorf("%s: %s", name, a.Header.Get(name))
		}
	}
	for _, path := range []string{"/v1/nowhere", "/healthz", "/openapi.json", "/docs", "/guide"} {
		a := b.send("GET", path, "", headers{"Authorization": ""})
		if !strings.HasPrefix(a.Header.Get("Request-Id"), "req_") || a.Header.Get("Relaydesk-Version") == "" || a.Status != 200 && path != "/v1/nowhere" {
			t.Errorf("%s: %d %v", path, a.Status, a.Header)
		}
	}
}

func TestARequestTooMuchIsToldToWaitAndNoOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Deps.LimitFactor = 1
	b.serve(b.Deps)
	for range 100 {
		b.want(200, "", "GET", "/v1/agency", "")
	}
	a := b.want(429, "rate_limited", "GET", "/v1/agency", "")
	if a.Header.Get("Retry-After") != "1" || !strings.Contains(a.Header.Get("RateLimit"), "r=0") {
		t.Errorf("%v", a.Header)
	}
	b.want(200, "", "GET", "/v1/workspaces", "", headers{"Authorization": "Bearer " + b.narrow})
	b.clock.Advance(time.Second)
	b.want(200, "", "GET", "/v1/agency", "")
}

func TestAScopeIsNeeded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reader := headers{"Authorization": "Bearer " + b.newKey(tenants.NewKey{Scopes: tenants.Scopes{"agency:read"}})}
	b.want(200, "", "GET", "/v1/agency", "", reader)
	b.want(403, "scope_missing", "PATCH", "/v1/agency", `{"name":"x"}`, reader)
	b.want(403, "scope_missing", "PATCH", "/v1/agency", `{"unknown":`, reader)
	b.want(403, "scope_missing", "GET", "/v1/workspace/settings", "", reader)
}

func TestAKeyIsMadeRolledAndRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.want(201, "", "POST", "/v1/api_keys", `{"name":"site","scopes":["workspaces:read"],"workspace_id":"`+b.ws+`"}`)
	if a.text("workspace_id") != b.ws || !strings.HasSuffix(a.text("secret"), a.text("last4")) || a.JSON["expires_at"] != nil {
		t.Errorf("%s", a.Raw)
	}
	one := b.want(200, "", "GET", "/v1/api_keys/"+a.text("id"), "")
	if one.JSON["secret"] != nil {
		t.Error("the secret is shown again")
	}
	rolled := b.want(201, "", "POST", "/v1/api_keys/"+a.text("id")+"/roll", `{"overlap_seconds":0}`)
	b.want(201, "", "POST", "/v1/api_keys/"+rolled.text("id")+"/roll", ``)
	use := func(k answer) headers { return headers{"Authorization": "Bearer " + k.text("secret")} }
	b.want(401, "unauthorized", "GET", "/v1/workspaces", "", use(a))
	b.want(200, "", "GET", "/v1/workspaces", "", use(rolled))
	b.want(204, "", "DELETE", "/v1/api_keys/"+rolled.text("id"), "")
	b.want(401, "unauthorized", "GET", "/v1/workspaces", "", use(rolled))
	b.want(404, "not_found #/workspace_id=not_found", "POST", "/v1/api_keys", `{"name":"x","scopes":["*"],"workspace_id":"ws_01kb2m3n4p5q6r7s8t9v0wxyza"}`)
	b.want(422, "validation_failed #/scopes/0=invalid", "POST", "/v1/api_keys", `{"name":"x","scopes":["all"]}`)
}

func TestSettingsAreChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine, path := headers{"Authorization": "Bearer " + b.narrow}, "/v1/workspace/settings"
	a := b.want(200, "", "PATCH", path, `{"turn_deadline_seconds":30,"support_hours":[{"day":"monday","from":"09:00","to":"24:00"}],"assistant_name":"Ada"}`, mine)
	if !strings.Contains(string(a.Raw), `"support_hours":[{"day":"monday","from":"09:00","to":"24:00"}]`) || a.JSON["turn_deadline_seconds"].(float64) != 30 {
		t.Errorf("%s", a.Raw)
	}
	b.want(422, "validation_failed #/turn_deadline_seconds=invalid", "PATCH", path, `{"turn_deadline_seconds":121}`, mine)
	b.want(422, "validation_failed #/support_hours/0/to=invalid", "PATCH", path, `{"support_hours":[{"day":"monday","from":"09:00","to":"08:00"}]}`, mine)
	b.want(422, "validation_failed #/support_hours/0/from=format", "PATCH", path, `{"support_hours":[{"day":"monday","from":"9:00","to":"18:00"}]}`, mine)
	a = b.want(200, "", "PATCH", path, `{"assistant_name":null}`, mine)
	if a.JSON["assistant_name"] != nil {
		t.Errorf("%s", a.Raw)
	}
}
