package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/tenants"
)

// site is a client's website with a publishable key and an identity secret.
type site struct {
	*whole
	key, secret string
}

const origin = "https://shop.example"

func setupSite(t *testing.T) site {
	t.Helper()
	w := setupWhole(t)
	w.want(200, "", "PATCH", "/v1/workspace/settings", `{"allowed_origins":["`+origin+`","http://localhost:3000"]}`, w.here())
	key := w.want(201, "", "POST", "/v1/api_keys", `{"name":"site","kind":"publishable","workspace_id":"`+w.ws+`"}`)
	secret := w.want(201, "", "POST", "/v1/workspace/identity_secret/rotate", `{}`, w.here())
	if !strings.HasPrefix(key.text("secret"), "rd_pk_test_") || key.text("kind") != "publishable" || !strings.HasPrefix(secret.text("secret"), "rd_is_") {
		t.Fatalf("%s %s", key.Raw, secret.Raw)
	}
	return site{w, key.text("secret"), secret.text("secret")}
}

func bearer(token string) headers {
	return headers{"Authorization": "Bearer " + token, "Origin": origin}
}

// session opens one and gives the visitor's headers.
func (s site) session(identity, earlier string) (answer, headers) {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"identity": identity, "visitor": earlier})
	if err != nil {
		s.t.Fatal(err)
	}
	a := s.want(201, "", "POST", "/v1/visitor/session", string(body), bearer(s.key))
	return a, bearer(a.text("token"))
}

// identity is what the client's site signs.
func (s site) identity(change jwt.MapClaims) string {
	s.t.Helper()
	claims := jwt.MapClaims{"aud": s.ws, "sub": "customer-1", "exp": s.clock.Now().Add(time.Hour).Unix(), "name": "Ada", "email": "ada@example.com", "attributes": map[string]string{"plan": "pro"}}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(s.secret))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func TestAVisitorWritesWaitsReadsAndGetsAPerson(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	s.teach("Delivery and returns", delivery)
	opened, as := s.session("", "")
	if opened.JSON["verified"] != false || opened.Header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(strings.Join(opened.Header.Values("Vary"), ","), "Origin") {
		t.Errorf("%v %s", opened.Header, opened.Raw)
	}
	wait := maps.Clone(as)
	wait["Prefer"] = "wait=20"
	started := s.want(201, "", "POST", "/v1/visitor/conversations", `{"message":{"text":"How long does delivery to an island take?","client_id":"m-1"}}`, wait)
	if at(started.JSON, "turn.message.text") == nil && at(started.JSON, "turn.escalation.id") == nil {
		t.Errorf("started: %s", started.Raw)
	}
	conv := "/v1/visitor/conversations/" + started.text("id")
	s.want(201, "", "POST", "/v1/conversations/"+started.text("id")+"/messages", `{"author":{"type":"member","member_id":"`+s.member+`"},"text":"a note `+canary+`","visibility":"team","client_id":"theirs"}`, s.here())
	s.want(200, "", "PATCH", "/v1/conversations/"+started.text("id"), `{"tags":["`+canary+`"],"metadata":{"k":"`+canary+`"}}`, s.here())
	posted := s.want(201, "", "POST", conv+"/messages", `{"text":"Can I talk to a person?","client_id":"m-2"}`, wait)
	if at(posted.JSON, "turn.escalation.id") == nil {
		t.Errorf("posted: %s", posted.Raw)
	}
	if again := s.want(200, "", "POST", conv+"/messages", `{"text":"Can I talk to a person?","client_id":"m-2"}`, as); again.text("id") != posted.text("id") {
		t.Errorf("again: %s", again.Raw)
	}
	if a := s.want(422, "", "POST", conv+"/messages", `{"text":"x","client_id":"theirs"}`, as); contains(a, canary) {
		t.Errorf("a note was given away: %s", a.Raw)
	}
	if a := s.want(200, "", "POST", conv+"/escalate", `{"reason":"please"}`, as); a.text("object") != "escalation" || a.JSON["summary"] != nil {
		t.Errorf("escalated: %s", a.Raw)
	}
	s.want(201, "", "POST", "/v1/conversations/"+started.text("id")+"/messages", `{"author":{"type":"member","member_id":"`+s.member+`"},"text":"Hello, I am Ada."}`, s.here())
	s.number()
	for _, path := range []string{"/v1/visitor/conversations", conv, conv + "/messages", conv + "/messages?limit=1"} {
		if a := s.want(200, "", "GET", path, "", as); contains(a, canary) || contains(a, s.member) {
			t.Errorf("%s: %s", path, a.Raw)
		}
	}
	all := s.want(200, "", "GET", conv+"/messages", "", as)
	if !contains(all, "Hello, I am Ada.") || !contains(all, "Ada Moreau") {
		t.Errorf("messages: %s", all.Raw)
	}
	seen, _ := s.frames(t, 2, conv+"/stream?after=0", as)
	if strings.Contains(strings.Join(seen, ""), canary) || !strings.Contains(seen[1], "island") {
		t.Errorf("stream: %v", seen)
	}
	seen, _ = s.frames(t, 5, conv+"/stream?after=0", as)
	if told := strings.Join(seen, "\n"); strings.Contains(told, canary) || strings.Contains(told, s.member) || !strings.Contains(told, `"state":"member"`) {
		t.Errorf("stream: %s", told)
	}
}

func TestAnotherVisitorsConversationIsNotFound(t *testing.T) {
	t.Parallel()
	s, other := setupSite(t), setupSite(t)
	s.clock.Set(other.clock.Now()) // else the other's tokens may be of the future here
	_, a := s.session("", "")
	_, b := s.session("", "")
	_, foreign := other.session("", "")
	id := s.want(201, "", "POST", "/v1/visitor/conversations", `{"message":{"text":"`+canary+`"}}`, a).text("id")
	for _, as := range []headers{b, foreign} {
		for _, op := range [][3]string{{"GET", "", ""}, {"GET", "/messages", ""}, {"POST", "/messages", `{"text":"x"}`}, {"GET", "/stream", ""}, {"POST", "/escalate", ``}} {
			if got := s.want(404, "not_found", op[0], "/v1/visitor/conversations/"+id+op[1], op[2], as); contains(got, canary) {
				t.Errorf("%s", got.Raw)
			}
		}
		if got := s.want(200, "", "GET", "/v1/visitor/conversations", "", as); contains(got, id) {
			t.Errorf("%s", got.Raw)
		}
	}
	as := maps.Clone(a)
	as["Relaydesk-Workspace"] = other.ws
	s.want(404, "not_found", "GET", "/v1/visitor/conversations", "", as)
}

func TestPublishableKeysAndVisitorsTokensAreGoodForNothingElse(t *testing.T) {
	t.Parallel()
	p := populate(t, canary)
	p.want(200, "", "PATCH", "/v1/workspace/settings", `{"allowed_origins":["`+origin+`"]}`, p.here())
	key := p.newKey(tenants.NewKey{Publishable: true, Workspace: p.w.UUID})
	session := p.want(201, "", "POST", "/v1/visitor/session", "", bearer(key))
	for _, as := range []headers{bearer(key), bearer(session.text("token"))} {
		as["Origin"] = ""
		for _, step := range append(walk(t), step{"streamEvents", "GET", "/v1/events/stream", ""}) {
			if a := p.want(403, "scope_missing", step.method, p.in(step.path), p.in(step.body), as); contains(a, canary) {
				t.Errorf("%s: %s", step.id, a.Raw)
			}
		}
	}
	mine := "/v1/visitor/conversations"
	p.want(403, "scope_missing", "GET", mine, "", bearer(key))
	p.want(403, "scope_missing", "GET", mine, "", p.here())
	p.want(403, "scope_missing", "POST", "/v1/visitor/session", "", p.here())
	p.want(403, "scope_missing", "POST", "/v1/visitor/session", "", bearer(session.text("token")))
	p.want(401, "unauthorized", "POST", "/v1/visitor/session", "", headers{"Authorization": ""})
	p.want(404, "not_found", "GET", mine+"/"+p.ids["conv"], "", bearer(session.text("token")))
	for body, problem := range map[string]string{
		`{"name":"x","kind":"publishable"}`:                                              "validation_failed #/workspace_id=invalid",
		`{"name":"x","kind":"publishable","scopes":["*"],"workspace_id":"` + p.ws + `"}`: "validation_failed #/scopes=invalid",
		`{"name":"x"}`:                      "validation_failed #/scopes=invalid",
		`{"name":"x","scopes":["visitor"]}`: "validation_failed #/scopes/0=invalid",
		`{"name":"x","scopes":["visitor:session"],"workspace_id":"` + p.ws + `"}`: "validation_failed #/scopes/0=invalid",
	} {
		p.want(422, problem, "POST", "/v1/api_keys", body)
	}
	made := p.want(201, "", "POST", "/v1/api_keys", `{"name":"x","kind":"publishable","workspace_id":"`+p.ws+`"}`)
	p.want(422, "validation_failed #/scopes=invalid", "PATCH", "/v1/api_keys/"+made.text("id"), `{"scopes":["*"]}`)
	if rolled := p.want(201, "", "POST", "/v1/api_keys/"+made.text("id")+"/roll", ``); !strings.HasPrefix(rolled.text("secret"), "rd_pk_") {
		t.Errorf("rolled: %s", rolled.Raw)
	}
}

func TestOnlyPagesOfAllowedOriginsAreLetIn(t *testing.T) {
	t.Parallel()
	s, other := setupSite(t), setupSite(t)
	theirs := "https://" + strings.ToLower(other.w.Slug) + ".other.example"
	other.want(200, "", "PATCH", "/v1/workspace/settings", `{"allowed_origins":["`+theirs+`"]}`, other.here())
	_, as := s.session("", "")
	for _, foreign := range []string{theirs, "https://evil.example", origin + ".evil.example", "http://shop.example", origin + ":8443", "null", origin + "/"} {
		as["Origin"] = foreign
		a := s.want(403, "origin_not_allowed", "GET", "/v1/visitor/conversations", "", as)
		if a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Vary") == "" {
			t.Errorf("%s: %v", foreign, a.Header)
		}
		as["Origin"] = origin
		with := bearer(s.key)
		with["Origin"] = foreign
		s.want(403, "origin_not_allowed", "POST", "/v1/visitor/session", "", with)
	}
	for _, asked := range []string{origin, "https://never.example"} {
		a := s.send("OPTIONS", "/v1/visitor/session", "", headers{"Authorization": "", "Origin": asked, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"})
		if a.Status != 204 || (a.Header.Get("Access-Control-Allow-Origin") == asked) != (asked == origin) || !strings.Contains(a.Header.Get("Vary"), "Origin") || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", asked, a.Status, a.Header)
		}
	}
	if a := s.want(401, "unauthorized", "GET", "/v1/visitor/conversations", "", bearer("x.y.z")); a.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Error("a page can't learn that its token has ended")
	}
	if a := s.send("GET", "/v1/inbox", "", headers{"Origin": origin}); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the team's API is open to pages")
	}
	for _, bad := range []string{"https://shop.example/", "shop.example", "https://*.example", "https://Shop.example", "https://shop.example:443", "ftp://x", "null", "https://u@shop.example"} {
		s.want(422, "validation_failed #/allowed_origins/0=invalid", "PATCH", "/v1/workspace/settings", `{"allowed_origins":["`+bad+`"]}`, s.here())
	}
	s.want(200, "", "PATCH", "/v1/workspace/settings", `{"allowed_origins":[]}`, s.here())
	s.want(403, "origin_not_allowed", "GET", "/v1/visitor/conversations", "", as)
}

func TestAnIdentityThatTheSiteDidNotSignProvesNothing(t *testing.T) {
	t.Parallel()
	s, other := setupSite(t), setupSite(t)
	sign := func(method jwt.SigningMethod, key any) string {
		text, err := jwt.NewWithClaims(method, jwt.MapClaims{"aud": s.ws, "sub": "customer-1", "exp": s.clock.Now().Add(time.Hour).Unix()}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	now := s.clock.Now()
	for what, identity := range map[string]string{
		"none":             sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"HS384":            sign(jwt.SigningMethodHS384, []byte(s.secret)),
		"the key":          sign(jwt.SigningMethodHS256, []byte(s.key)),
		"nothing":          sign(jwt.SigningMethodHS256, []byte{}),
		"another's secret": sign(jwt.SigningMethodHS256, []byte(other.secret)),
		"foreign audience": s.identity(jwt.MapClaims{"aud": other.ws}),
		"two audiences":    s.identity(jwt.MapClaims{"aud": []string{s.ws, other.ws}}),
		"no audience":      s.identity(jwt.MapClaims{"aud": nil}),
		"expired":          s.identity(jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}),
		"no end":           s.identity(jwt.MapClaims{"exp": nil}),
		"not yet":          s.identity(jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()}),
		"no subject":       s.identity(jwt.MapClaims{"sub": nil}),
		"a number":         s.identity(jwt.MapClaims{"sub": 7}),
		"long":             s.identity(jwt.MapClaims{"sub": strings.Repeat("x", 256)}),
		"attributes":       s.identity(jwt.MapClaims{"attributes": map[string]any{"a": map[string]int{"b": 1}}}),
		"no JWT":           "x",
	} {
		body, _ := json.Marshal(map[string]string{"identity": identity})
		if a := s.send("POST", "/v1/visitor/session", string(body), bearer(s.key)); a.problem() != "identity_invalid #/identity=identity_invalid" || a.Status != 422 {
			t.Errorf("%s: %d %s", what, a.Status, a.Raw)
		}
	}
	if list := s.want(200, "", "GET", "/v1/contacts", "", s.here()); at(list.JSON, "data.0") != nil {
		t.Errorf("somebody was made: %s", list.Raw)
	}
	// The old secret is believed for the overlap, and then no more.
	old := s.identity(nil)
	s.secret = s.want(201, "", "POST", "/v1/workspace/identity_secret/rotate", `{"overlap_seconds":60}`, s.here()).text("secret")
	one, _ := s.session(old, "")
	two, _ := s.session(s.identity(nil), "")
	if one.text("contact_id") != two.text("contact_id") || two.JSON["verified"] != true {
		t.Errorf("%s %s", one.Raw, two.Raw)
	}
	s.clock.Advance(61 * time.Second)
	if a := s.send("POST", "/v1/visitor/session", `{"identity":"`+old+`"}`, bearer(s.key)); a.Status != 422 {
		t.Errorf("the old secret is still believed: %s", a.Raw)
	}
}

func TestAVisitorWhoSignsInKeepsTheThreadAndUnverifiedDataJoinsNothing(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	known := s.want(201, "", "POST", "/v1/contacts", `{"external_id":"customer-1","name":"Ada","attributes":{"plan":"free"}}`, s.here()).text("id")
	first, anonymous := s.session("", "")
	id := s.want(201, "", "POST", "/v1/visitor/conversations", `{"message":{"text":"I want to talk to a person"}}`, anonymous, headers{"Prefer": "wait=20"}).text("id")
	renewed, still := s.session("", first.text("token"))
	if renewed.text("contact_id") != first.text("contact_id") || renewed.text("contact_id") == known {
		t.Errorf("%s %s", first.Raw, renewed.Raw)
	}
	s.want(200, "", "GET", "/v1/visitor/conversations/"+id, "", still)
	s.clock.Advance(time.Second)
	_, stranger := s.session("", "")
	signed, ada := s.session(s.identity(nil), renewed.text("token"))
	if signed.text("contact_id") != known || signed.JSON["verified"] != true {
		t.Errorf("signed in: %s", signed.Raw)
	}
	s.want(200, "", "GET", "/v1/visitor/conversations/"+id, "", ada)
	s.want(404, "not_found", "GET", "/v1/visitor/conversations/"+id, "", stranger)
	s.want(401, "unauthorized", "GET", "/v1/visitor/conversations", "", still) // spent
	if k := s.want(200, "", "GET", "/v1/contacts/"+known, "", s.here()); at(k.JSON, "attributes.plan") != "pro" || k.text("email") != "ada@example.com" {
		t.Errorf("contact: %s", k.Raw)
	}
	if e := s.want(200, "", "GET", "/v1/escalations", "", s.here()); at(e.JSON, "data.0.contact_id") != known {
		t.Errorf("escalation: %s", e.Raw)
	}
	// A verified visitor's token is nobody's earlier anonymous one.
	after, other := s.session(s.identity(jwt.MapClaims{"sub": "customer-2"}), signed.text("token"))
	s.want(404, "not_found", "GET", "/v1/visitor/conversations/"+id, "", other)
	if anew, _ := s.session("", signed.text("token")); anew.text("contact_id") == known || after.text("contact_id") == known {
		t.Errorf("%s %s", after.Raw, anew.Raw)
	}
	// Whoever is erased is gone with their thread, and their tokens.
	s.want(204, "", "DELETE", "/v1/contacts/"+known, "", s.here())
	s.clock.Advance(2 * time.Second)
	s.want(401, "unauthorized", "GET", "/v1/visitor/conversations", "", ada)
	if all := s.want(200, "", "GET", "/v1/conversations/"+id+"/messages", "", s.here()); contains(all, "talk to a person") {
		t.Errorf("the thread was not erased: %s", all.Raw)
	}
}

func TestAVisitorsTokenEnds(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	first, as := s.session("", "")
	s.clock.Advance(tenants.VisitorTokenLife + 10*time.Second)
	s.want(401, "unauthorized", "GET", "/v1/visitor/conversations", "", as)
	renewed, _ := s.session("", first.text("token"))
	if renewed.text("contact_id") != first.text("contact_id") {
		t.Error("the thread is lost with the token's end")
	}
	s.clock.Advance(tenants.VisitorRenewal)
	if late, _ := s.session("", first.text("token")); late.text("contact_id") == first.text("contact_id") {
		t.Error("an old token is good for ever")
	}
	again, as := s.session("", "")
	s.clock.Advance(time.Second)
	s.want(204, "", "POST", "/v1/member_tokens/revoke", `{"contact_id":"`+again.text("contact_id")+`"}`)
	s.want(401, "unauthorized", "GET", "/v1/visitor/conversations", "", as)
}

func TestWhatAVisitorSeesHasNoFieldOfTheTeams(t *testing.T) {
	t.Parallel()
	schemas := document().Components.Schemas
	hidden := strings.Fields("tags metadata assignee_id member_id accepted_by confidence unread visibility snoozed_until waiting_since summary triggers trigger evidence priority packet suggestion workspace_id epoch last_seq attributes email phone external_id scopes")
	var look func(where string, s *huma.Schema, depth int)
	look = func(where string, s *huma.Schema, depth int) {
		if s == nil || depth > 12 {
			return
		}
		if s.Ref != "" {
			s = schemas.SchemaFromRef(s.Ref)
		}
		for name, p := range s.Properties {
			if slices.Contains(hidden, name) {
				t.Errorf("%s shows %s", where, name)
			}
			look(where+"."+name, p, depth+1)
		}
		look(where, s.Items, depth+1)
		for _, one := range s.AnyOf {
			look(where, one, depth+1)
		}
	}
	n := 0
	for path, item := range document().Paths {
		for method, op := range operations(item) {
			if !strings.HasPrefix(path, "/v1/visitor/") {
				continue
			}
			n++
			for status, answer := range op.Responses {
				for media, content := range answer.Content {
					if !strings.Contains(media, "problem") {
						look(fmt.Sprint(method, " ", path, " ", status), content.Schema, 0)
					}
				}
			}
		}
	}
	if n != 8 {
		t.Errorf("%d operations", n)
	}
}

func TestHoweverManyWriteTheWayToAPersonStaysOpen(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	d := s.Deps
	d.Clock, d.LimitFactor = s.clock, 1
	s.serve(d)
	_, as := s.session("", "")
	id := s.want(201, "", "POST", "/v1/visitor/conversations", `{"message":{"text":"Hello"}}`, as).text("id")
	path := "/v1/visitor/conversations/" + id
	var last answer
	for range 20 {
		last = s.send("GET", path, "", as)
	}
	if last.Status != 429 || last.problem() != "rate_limited" || last.Header.Get("Retry-After") == "" {
		t.Fatalf("after a burst: %d %s", last.Status, last.Raw)
	}
	s.want(429, "rate_limited", "POST", path+"/messages", `{"text":"Anything else"}`, as)
	s.want(201, "", "POST", path+"/messages", `{"text":"I want to talk to a human"}`, as)
	if a := s.send("POST", path+"/escalate", "", as); a.Status/100 != 2 {
		t.Errorf("escalate: %d %s", a.Status, a.Raw)
	}
	// What one visitor was refused uses up nothing of another's.
	_, other := s.session("", "")
	s.want(200, "", "GET", "/v1/visitor/conversations", "", other)
	// From one address come few sessions, and the team works on.
	refused := 0
	for range 105 {
		if a := s.send("POST", "/v1/visitor/session", "", bearer(s.key)); a.Status == 429 {
			refused++
		}
	}
	if refused < 5 {
		t.Errorf("only %d sessions were refused", refused)
	}
	s.want(200, "", "GET", "/v1/inbox", "", s.here())
	s.clock.Advance(2 * time.Second)
	s.want(200, "", "GET", path, "", as)
}

func TestNoSecretOfABrowserIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	s := setupSite(t)
	opened, as := s.session(s.identity(nil), "")
	s.want(201, "", "POST", "/v1/visitor/conversations", `{"message":{"text":"Hello"}}`, as, headers{"Idempotency-Key": "k"})
	member := s.want(201, "", "POST", "/v1/member_tokens", `{"member_id":"`+s.member+`"}`)
	s.want(401, "unauthorized", "GET", "/v1/inbox", "", headers{"Authorization": "Bearer " + member.text("token") + "x"})
	s.number()
	log, told := s.logged.String(), string(s.want(200, "", "GET", "/v1/events?limit=100", "").Raw)
	for what, secret := range map[string]string{"key": s.key, "identity secret": s.secret, "visitor's token": opened.text("token"), "member's token": member.text("token")} {
		if secret == "" || strings.Contains(log, secret) || strings.Contains(told, secret) {
			t.Errorf("the %s is in the log or the events", what)
		}
	}
	var stored int
	owner := postgrestest.Owner(t)
	for _, secret := range []string{s.secret, s.key} {
		err := owner.QueryRow(t.Context(), `select (select count(*) from identity_secrets where position($1::bytea in sealed) > 0)
			+ (select count(*) from api_keys k where k::text like '%' || convert_from($1::bytea, 'UTF8') || '%')
			+ (select count(*) from receipts where position($1::bytea in sealed) > 0)`, []byte(secret)).Scan(&stored)
		if err != nil || stored != 0 {
			t.Errorf("stored readably %d times: %v", stored, err)
		}
	}
}
