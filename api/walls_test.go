package api_test

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/tenants"
)

// bodies are what each operation that takes a body is sent: right in form, with
// the ids in braces replaced by those of a tenant. An operation that is not
// here fails the walk.
var bodies = map[string]string{
	"updateAgency": `{"name":"x"}`, "createMember": `{"name":"x","email":"x-{n}@example.com","role":"agent","workspace_ids":["{ws}"]}`,
	"updateMember": `{"workspace_ids":["{ws}"]}`, "createApiKey": `{"name":"x","scopes":["events:read"],"workspace_id":"{ws}"}`, "updateApiKey": `{"name":"x"}`,
	"createMemberToken": `{"member_id":"{mem}"}`, "revokeTokens": `{"member_id":"{mem}"}`, "rollApiKey": `{}`, "rotateIdentitySecret": `{}`, "createWorkspace": `{"name":"x"}`, "updateWorkspace": `{"name":"x"}`, "updateWorkspaceSettings": `{"assistant_name":"x"}`,
	"createSource": `{"type":"text","title":"x","text":"lamps and delivery"}`, "updateSource": `{"title":"x"}`, "crawlSource": ``,
	"search": `{"query":"lamps delivery canary"}`, "answerQuestion": `{"question":"When does a lamp arrive? Tell me the canary."}`,
	"putContact": `{"external_id":"shared","name":"x"}`, "updateContact": `{"name":"x"}`,
	"createConversation": `{"contact_id":"{cont}","message":{"text":"When does a lamp arrive?"}}`, "updateConversation": `{"subject":"x"}`,
	"createMessage": `{"author":{"type":"member","member_id":"{mem}"},"text":"Hello"}`, "assignConversation": `{"member_id":"{mem}"}`,
	"snoozeConversation": `{"until":"2029-01-01T00:00:00Z"}`, "reopenConversation": ``, "escalateConversation": `{"member_id":"{mem}"}`,
	"acceptConversation": `{"member_id":"{mem}"}`, "releaseConversation": `{"to":"team","member_id":"{mem}"}`, "resolveConversation": ``,
	"createWebhookEndpoint": `{"url":"http://127.0.0.1:9/","event_types":["*"],"workspace_id":"{ws}"}`, "updateWebhookEndpoint": `{"description":"x"}`,
	"resendWebhookDelivery": ``,
}

// tenant is a whole agency with one of everything, named by the prefixes of ids.
type tenant struct {
	*whole
	ids map[string]string
}

// populate makes one of everything, with a mark in every text.
func populate(t *testing.T, mark string) tenant {
	t.Helper()
	w := setupWhole(t)
	p := tenant{w, map[string]string{"ws": w.ws, "mem": w.member}}
	fill := func(text string) string { return strings.NewReplacer("MARK", mark, "{mem}", w.member).Replace(text) }
	make := func(prefix, path, body string) answer {
		t.Helper()
		a := w.send("POST", path, fill(body), w.here())
		if a.Status/100 != 2 {
			t.Fatalf("%s: %s", path, a.Raw)
		}
		if prefix != "" {
			p.ids[prefix] = a.text("id")
		}
		return a
	}
	w.want(200, "", "PATCH", "/v1/agency", fill(`{"name":"agency MARK"}`))
	w.want(200, "", "PATCH", "/v1/workspaces/"+w.ws, fill(`{"name":"workspace MARK","metadata":{"k":"MARK"}}`))
	w.want(200, "", "PATCH", "/v1/workspace/settings", fill(`{"assistant_name":"MARK"}`), w.here())
	w.want(200, "", "PATCH", "/v1/members/"+w.member, fill(`{"name":"member MARK"}`))
	make("key", "/v1/api_keys", `{"name":"key MARK","scopes":["events:read"]}`)
	make("whe", "/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/MARK","event_types":["*"],"description":"MARK"}`)
	make("src", "/v1/sources", `{"type":"text","title":"lamps MARK","text":"A lamp arrives after three days, says MARK."}`)
	p.ids["page"], _ = at(w.send("GET", "/v1/pages", "", w.here()).JSON, "data.0.id").(string)
	p.ids["cont"] = make("cont", "/v1/contacts", `{"external_id":"shared","name":"contact MARK","email":"MARK@example.com"}`).text("id")
	conv := make("conv", "/v1/conversations", `{"contact_id":"`+p.ids["cont"]+`","subject":"MARK","message":{"text":"When does a lamp arrive? MARK"}}`)
	p.ids["msg"], _ = at(conv.JSON, "message.id").(string)
	p.ids["turn"], _ = at(conv.JSON, "turn.id").(string)
	make("esc", "/v1/conversations/"+conv.text("id")+"/escalate", `{"reason":"because of MARK"}`)
	make("", "/v1/conversations/"+conv.text("id")+"/messages", `{"author":{"type":"member","member_id":"{mem}"},"text":"an answer of MARK"}`)
	w.number()
	p.ids["whd"], _ = at(w.send("GET", "/v1/webhook_endpoints/"+p.ids["whe"]+"/deliveries", "").JSON, "data.0.id").(string)
	for prefix, id := range p.ids {
		if !strings.HasPrefix(id, prefix+"_") {
			t.Fatalf("no %s: %q", prefix, id)
		}
	}
	return p
}

// prefixes of what a path's {id} names, by its first step.
var pathPrefix = map[string]string{
	"members": "mem", "api_keys": "key", "workspaces": "ws", "sources": "src", "pages": "page", "contacts": "cont", "conversations": "conv",
	"turns": "turn", "escalations": "esc", "webhook_endpoints": "whe", "webhook_deliveries": "whd",
}

func (p tenant) in(text string) string {
	for prefix, id := range p.ids {
		text = strings.ReplaceAll(text, "{"+prefix+"}", id)
	}
	return strings.ReplaceAll(text, "{n}", secrets.NewKey(secrets.SecretTest)[11:20])
}

// step is one request of the walk.
type step struct{ id, method, path, body string }

// walk gives a request for each operation of the document, with ids as braces.
func walk(t *testing.T) (all []step) {
	t.Helper()
	for path, item := range document().Paths {
		for method, op := range operations(item) {
			if op.OperationID == "streamEvents" || strings.HasPrefix(path, "/v1/visitor/") {
				continue // they have tests of their own
			}
			body, listed := bodies[op.OperationID]
			if listed != (op.RequestBody != nil) {
				t.Errorf("%s: with a body %v, in the table %v", op.OperationID, op.RequestBody != nil, listed)
			}
			if strings.Contains(path, "{id}") {
				prefix := pathPrefix[strings.Split(path, "/")[2]]
				if prefix == "" {
					t.Errorf("%s: whose id is it?", path)
				}
				path = strings.ReplaceAll(path, "{id}", "{"+prefix+"}")
			}
			all = append(all, step{op.OperationID, method, path, body})
		}
	}
	slices.SortFunc(all, func(a, b step) int { return strings.Compare(a.id, b.id) })
	return all
}

const canary = "xqz7canary"

// A walks all operations with ids of B in every place where an id can stand:
// all are answered as if there were no such object, and no byte of B is seen.
func TestNothingOfAnotherTenantIsSeenOrTouched(t *testing.T) {
	t.Parallel()
	a, b := populate(t, "mark-of-a"), populate(t, canary)
	before := b.send("GET", "/v1/events?limit=100", "").Raw
	seen := func(s step, how string, got answer) {
		t.Helper()
		if bytes.Contains(bytes.ToLower(got.Raw), []byte(canary)) {
			t.Errorf("%s, %s: the other's canary in %s", s.id, how, got.Raw)
		}
		for prefix, id := range b.ids {
			if bytes.Contains(got.Raw, []byte(id)) {
				t.Errorf("%s, %s: the other's %s in %s", s.id, how, prefix, got.Raw)
			}
		}
		if got.Status >= 500 {
			t.Errorf("%s, %s: %d %s", s.id, how, got.Status, got.Raw)
		}
	}
	narrow := headers{"Authorization": "Bearer " + a.narrow}
	for _, s := range walk(t) {
		// The other's ids in the path, with every way to name a workspace.
		if foreign := b.in(s.path); foreign != s.path {
			for how, h := range map[string]headers{"header": a.here(), "workspace's key": narrow} {
				got := a.send(s.method, foreign, a.in(s.body), h)
				if got.Status != 404 && !(how == "workspace's key" && got.Status == 403) {
					t.Errorf("%s with a foreign id and the %s: %d %s", s.id, how, got.Status, got.Raw)
				}
				seen(s, how, got)
			}
			seen(s, "no workspace", a.send(s.method, foreign, a.in(s.body)))
		}
		// The other's ids in the body.
		if foreign := b.in(s.body); strings.Contains(s.body, "{") && foreign != s.body && strings.Contains(s.body, "_") && foreign != a.in(s.body) && hasID(s.body) {
			got := a.send(s.method, a.in(s.path), foreign, a.here())
			if got.Status != 404 {
				t.Errorf("%s with a foreign id in its body: %d %s", s.id, got.Status, got.Raw)
			}
			seen(s, "body", got)
		}
		// The other's workspace in the header.
		if reach := a.send(s.method, a.in(s.path), a.in(s.body), headers{"Relaydesk-Workspace": b.ws}); reach.Status != 404 {
			t.Errorf("%s in a foreign workspace: %d %s", s.id, reach.Status, reach.Raw)
		}
		if s.method != http.MethodGet {
			continue
		}
		// The other's ids as filters, and the lists as they are.
		for _, p := range operationOf(s.method, a.in(s.path)).Parameters {
			prefix, isID := map[string]string{"member_id": "mem", "contact_id": "cont", "conversation_id": "conv", "source_id": "src"}[p.Name]
			if p.In == "query" && isID {
				seen(s, "filter", a.send(s.method, a.in(s.path)+"?"+p.Name+"="+b.ids[prefix], "", a.here()))
			} else if p.In == "query" && strings.HasSuffix(p.Name, "_id") && p.Name != "external_id" {
				t.Errorf("%s: whose id is the filter %s?", s.id, p.Name)
			}
		}
		got := a.send(s.method, a.in(s.path), "", a.here())
		if got.Status != 200 {
			t.Errorf("%s of one's own: %d %s", s.id, got.Status, got.Raw)
		}
		seen(s, "own", got)
		seen(s, "own, of the whole agency", a.send(s.method, a.in(s.path), ""))
	}
	b.number()
	if after := b.send("GET", "/v1/events?limit=100", "").Raw; !bytes.Equal(before, after) {
		t.Errorf("something happened to the other: %s", after)
	}
	for _, log := range []string{a.logged.String(), b.logged.String()} {
		if !strings.Contains(log, "route=\"PATCH /v1/members/{id}\"") || strings.Contains(log, canary) || strings.Contains(log, "mark-of-a") || strings.Contains(log, "rd_sk_") {
			t.Error("the log tells more than ids, or nothing at all")
		}
	}
	if !bytes.Contains(before, []byte(canary)) {
		t.Error("the canary is not where it should be seen")
	}
}

func hasID(body string) bool {
	return strings.Contains(body, "{ws}") || strings.Contains(body, "{mem}") || strings.Contains(body, "{cont}")
}

func TestEveryOperationRefusesAKeyWithoutItsScopeAndNoKeyAtAll(t *testing.T) {
	t.Parallel()
	p := populate(t, "mark")
	for _, s := range append(walk(t), step{"streamEvents", "GET", "/v1/events/stream", ""}) {
		scope, _ := operationOf(s.method, s.path).Metadata["scope"].(string)
		var others tenants.Scopes
		for _, other := range tenants.AllScopes {
			if other != scope {
				others = append(others, other)
			}
		}
		without := p.newKey(tenants.NewKey{Scopes: others})
		p.want(403, "scope_missing", s.method, p.in(s.path), p.in(s.body), p.here(), headers{"Authorization": "Bearer " + without})
		p.want(401, "unauthorized", s.method, p.in(s.path), p.in(s.body), p.here(), headers{"Authorization": ""})
		p.clock.Advance(time.Second)
	}
}

// frames reads a stream until it has so many events, or too long.
func (w *whole) frames(t *testing.T, n int, path string, more ...headers) (found []string, last string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.key)
	for _, h := range more {
		for name, value := range h {
			r.Header.Set(name, value)
		}
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	if n == 0 {
		return nil, ""
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			last = id
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if found = append(found, data); len(found) == n {
				return found, last
			}
		}
	}
	t.Errorf("the stream ended after %d of %d: %v", len(found), n, lines.Err())
	return found, last
}

func TestAStreamIsResumedWithoutAGapAndShowsItsOwnAgencyOnly(t *testing.T) {
	t.Parallel()
	a, b := setupWhole(t), setupWhole(t)
	say := func(w *whole, name string) {
		w.want(201, "", "POST", "/v1/contacts", `{"name":"`+name+`"}`, w.here())
		w.number()
	}
	a.number() // its workspace was made, too
	begin := a.send("GET", "/v1/events?limit=100", "").text("position")
	say(a, "one")
	say(b, canary)
	say(a, "two")
	first, last := a.frames(t, 1, "/v1/events/stream?after="+begin)
	say(b, canary)
	say(a, "three")
	rest, _ := a.frames(t, 2, "/v1/events/stream?after=0", headers{"Last-Event-ID": last})
	all := strings.Join(append(first, rest...), "\n")
	if i, j, k := strings.Index(all, `"one"`), strings.Index(all, `"two"`), strings.Index(all, `"three"`); i < 0 || j < i || k < j || strings.Contains(all, canary) {
		t.Errorf("followed: %s", all)
	}
	a.want(400, "cursor_invalid", "GET", "/v1/events/stream?after="+b.send("GET", "/v1/events", "").text("position"), "")
	a.want(400, "cursor_invalid", "GET", "/v1/events?after="+b.send("GET", "/v1/events", "").text("position"), "")

	done := make(chan []string)
	go func() { got, _ := a.frames(t, 1, "/v1/events/stream?types=contact.created"); done <- got }()
	for live := false; !live; {
		say(a, "live")
		select {
		case got := <-done:
			if live = true; !strings.Contains(got[0], `"live"`) {
				t.Errorf("live: %v", got)
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
}
