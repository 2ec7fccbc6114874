package api_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/tenants"
)

// memberToken makes a token for a new member with a role.
func (w *whole) memberToken(name, role, places string) (member string, as headers) {
	w.t.Helper()
	member = w.want(201, "", "POST", "/v1/members", `{"name":"`+name+`","email":"`+name+`@example.com","role":"`+role+`"`+places+`}`).text("id")
	made := w.want(201, "", "POST", "/v1/member_tokens", `{"member_id":"`+member+`","expires_in":600}`)
	return member, headers{"Authorization": "Bearer " + made.text("token"), "Relaydesk-Workspace": w.ws}
}

func TestAMembersTokenActsAsThatMemberOnly(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	start := func() string {
		return "/v1/conversations/" + w.want(201, "", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"I want to talk to a person"}}`, w.here(), headers{"Prefer": "wait=20"}).text("id")
	}
	conv := start()
	bea, as := w.memberToken("bea", "agent", "")
	_, viewer := w.memberToken("vera", "viewer", "")
	w.want(403, "another_member #/member_id=another_member", "POST", conv+"/accept", `{"member_id":"`+w.member+`"}`, as)
	w.want(403, "scope_missing", "POST", conv+"/accept", `{}`, viewer)
	w.want(422, "validation_failed #/member_id=invalid", "POST", conv+"/accept", `{}`, w.here())
	if a := w.want(200, "", "POST", conv+"/accept", `{}`, as); at(a.JSON, "owner.member_id") != bea {
		t.Errorf("accepted: %s", a.Raw)
	}
	w.want(422, "validation_failed #/expected_seq=invalid", "POST", conv+"/messages", `{"author":{"type":"member"},"text":"Hello"}`, as)
	w.want(409, "stale_reply", "POST", conv+"/messages", `{"author":{"type":"member"},"text":"Hello","expected_seq":0}`, as)
	w.want(403, "another_member #/author/member_id=another_member", "POST", conv+"/messages", `{"author":{"type":"member","member_id":"`+w.member+`"},"text":"x","expected_seq":9}`, as)
	w.want(403, "another_member #/author/type=another_member", "POST", conv+"/messages", `{"author":{"type":"visitor"},"text":"x"}`, as)
	w.want(403, "another_member #/message=another_member", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"x"}}`, as)
	w.want(403, "another_member #/by=another_member", "POST", conv+"/escalate", `{"by":"visitor"}`, as)
	seq := w.want(200, "", "GET", conv, "", as).JSON["last_public_seq"]
	reply := w.want(201, "", "POST", conv+"/messages", `{"author":{"type":"member"},"text":"Hello","expected_seq":`+text(seq)+`}`, as, headers{"Idempotency-Key": "k"})
	if at(reply.JSON, "author.member_id") != bea || at(reply.JSON, "author.name") != "bea" {
		t.Errorf("reply: %s", reply.Raw)
	}
	note := w.want(201, "", "POST", conv+"/messages", `{"author":{"type":"member","member_id":"`+bea+`"},"text":"a note","visibility":"team"}`, as)
	if at(note.JSON, "author.member_id") != bea {
		t.Errorf("note: %s", note.Raw)
	}
	if mine := w.want(200, "", "GET", "/v1/inbox?view=mine", "", as); at(mine.JSON, "data.0.id") == nil {
		t.Errorf("mine: %s", mine.Raw)
	}
	w.want(200, "", "GET", conv+"/messages", "", viewer)
	w.want(200, "", "POST", conv+"/release", `{"to":"team"}`, as)
	for _, other := range []string{"/v1/api_keys", "/v1/webhook_endpoints"} {
		w.want(403, "scope_missing", "GET", other, "", as)
	}
	w.want(403, "scope_missing", "POST", "/v1/member_tokens", `{"member_id":"`+bea+`"}`, as)
	_, owner := w.memberToken("olga", "owner", "")
	w.want(403, "scope_missing", "POST", "/v1/member_tokens", `{"member_id":"`+bea+`"}`, owner)
	w.want(403, "scope_missing", "POST", "/v1/api_keys", `{"name":"x","scopes":["*"]}`, owner)
	few := w.newKey(tenants.NewKey{Scopes: tenants.Scopes{"members:write"}})
	w.want(403, "scope_missing", "POST", "/v1/member_tokens", `{"member_id":"`+bea+`"}`, headers{"Authorization": "Bearer " + few})

	w.want(204, "", "POST", "/v1/member_tokens/revoke", `{"member_id":"`+bea+`"}`)
	w.want(401, "unauthorized", "GET", conv, "", as)
	w.want(422, "", "POST", "/v1/member_tokens/revoke", `{}`)
	w.want(201, "", "POST", "/v1/signing_keys/rotate", "")
	w.want(200, "", "GET", conv, "", viewer)
}

func TestAMemberOfSomeWorkspacesSeesNoOther(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	other := w.want(201, "", "POST", "/v1/workspaces", `{"name":"Other"}`).text("id")
	third := w.want(201, "", "POST", "/v1/workspaces", `{"name":"`+canary+`"}`).text("id")
	there := headers{"Relaydesk-Workspace": third}
	secret := "/v1/conversations/" + w.want(201, "", "POST", "/v1/conversations", `{"contact":{},"subject":"`+canary+`","message":{"text":"Hello"}}`, there).text("id")
	_, as := w.memberToken("bea", "admin", `,"workspace_ids":["`+w.ws+`","`+other+`"]`)
	nowhere := headers{"Authorization": as["Authorization"]}
	for _, path := range []string{"/v1/inbox", "/v1/conversations", "/v1/events", "/v1/workspaces", "/v1/members", "/v1/escalations", secret} {
		w.want(400, "workspace_required", "GET", path, "", nowhere)
		w.want(404, "not_found", "GET", path, "", nowhere, there)
		if a := w.send("GET", path, "", as); a.Status == 200 == (path == secret) || contains(a, canary) || contains(a, third) {
			t.Errorf("%s: %d %s", path, a.Status, a.Raw)
		}
	}
	w.want(404, "not_found", "GET", "/v1/workspaces/"+third, "", as)
	w.want(404, "not_found", "PATCH", "/v1/workspaces/"+third, `{"name":"x"}`, as)
	w.want(403, "scope_missing", "POST", "/v1/workspaces", `{"name":"x"}`, as)
	w.want(403, "scope_missing", "DELETE", "/v1/workspaces/"+w.ws, "", as)
	w.want(200, "", "PATCH", "/v1/workspaces/"+w.ws, `{"name":"x"}`, as)
	// With one workspace it needs not be named.
	_, one := w.memberToken("una", "agent", `,"workspace_ids":["`+other+`"]`)
	one["Relaydesk-Workspace"] = ""
	if a := w.want(200, "", "GET", "/v1/workspaces", "", one); at(a.JSON, "data.0.id") != other || at(a.JSON, "data.1") != nil {
		t.Errorf("%s", a.Raw)
	}
	// Whoever loses a workspace loses it within two seconds.
	w.clock.Advance(2 * time.Second)
	w.want(200, "", "GET", "/v1/inbox", "", as)
}

func contains(a answer, what string) bool { return strings.Contains(string(a.Raw), what) }

// text writes a number of an answer.
func text(v any) string { return strconv.FormatInt(int64(v.(float64)), 10) }
