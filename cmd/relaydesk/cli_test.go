package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const cliKeySecret = "rd_sk_test_0123456789abcdefghijABCDEFGHIJabc123"

// place gives commands a home and a data folder of the test's own.
func cliHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	t.Setenv("RELAYDESK_DATA_DIR", filepath.Join(home, "data"))
	t.Setenv("RELAYDESK_API_KEY", "")
	t.Setenv("RELAYDESK_PUBLIC_URL", "")
	return home
}

// command runs a command line as a shell would.
func command(t *testing.T, input string, args ...string) (out, errors string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := root()
	c.SetArgs(args)
	c.SetIn(strings.NewReader(input))
	c.SetOut(&stdout)
	c.SetErr(&stderr)
	err = c.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// recorded is a server that answers what the real one was seen to answer.
type recorded struct {
	*httptest.Server
	answers map[string]string // by method and path with its query

	mu   sync.Mutex
	seen []*http.Request
	body []string
}

func record(t *testing.T, answers map[string]string) *recorded {
	t.Helper()
	r := &recorded{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.seen, r.body = append(r.seen, q), append(r.body, string(body))
		r.mu.Unlock()
		answer, ok := r.answers[q.Method+" "+q.URL.RequestURI()]
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			answer = `{"type":"https://relaydesk.dev/guide/api#not_found","title":"Not found","status":404,"detail":"There is nothing at this path.","code":"not_found","request_id":"req_01m89mb79xec7shpdk0v6fv0dg"}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorded) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) == 0 {
		t.Fatal("nothing was asked")
	}
	return r.seen[len(r.seen)-1], r.body[len(r.body)-1]
}

const (
	cliAgency = `{"object":"agency","id":"ag_01m89mb5xresab7a3db9q1ypb0","name":"Harbour Street","created_at":"2026-11-25T15:14:17.000Z","updated_at":"2026-11-25T15:14:17.000Z"}`
	cliSpace  = `{"object":"workspace","id":"ws_01m89mb6pjexmrd1wgv1cf28p0","name":"Blue Bakery","slug":"blue-bakery","time_zone":"Europe/Berlin","languages":["de","en"],"status":"active","metadata":{},"created_at":"2026-11-25T15:14:17.000Z","updated_at":"2026-11-25T15:14:17.000Z"}`
	cliSpaces = `{"object":"list","data":[` + cliSpace + `],"has_more":true,"next_cursor":"abc"}`
	cliInbox  = `{"object":"list","data":[{"object":"conversation","id":"conv_01m89mcvh8epyspn9tn2dzw9n6","state":"waiting","owner":{"type":"team"},"last_seq":2,"tags":[],"waiting_since":"2026-11-25T15:14:17.000Z",` +
		`"contact":{"object":"contact","id":"cont_1","name":"Ada\u001b]0;owned\u0007"},"last_message":{"seq":2,"author":{"type":"visitor"},"text":"\u001b[31mmy\r\norder\u202e is late"},"escalation":{"id":"esc_1","trigger":"visitor_asked"}}],"has_more":false}` + "\n"
)

func TestAKeyIsKeptInAFileOfItsOwnersAndSentToItsServerOnly(t *testing.T) {
	home := cliHome(t)
	server := record(t, map[string]string{"GET /v1/agency": cliAgency, "GET /v1/workspaces?limit=50": cliSpaces})
	other := record(t, nil)

	if _, _, err := command(t, "", "login", "--server", server.URL, "--key", cliKeySecret); err == nil {
		t.Error("a key in the command line was taken")
	}
	out, _, err := command(t, cliKeySecret+"\n", "login", "--name", "acme", "--server", server.URL+"/")
	if err != nil || !strings.Contains(out, "Harbour Street") || strings.Contains(out, cliKeySecret) {
		t.Fatalf("%q %v", out, err)
	}
	info, err := os.Stat(filepath.Join(home, "config", "relaydesk", "profiles.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	out, more, err := command(t, "", "workspaces", "list")
	if err != nil || !strings.Contains(out, "ws_01m89mb6pjexmrd1wgv1cf28p0  blue-bakery  Blue Bakery  active  Europe/Berlin") || !strings.Contains(more, "--cursor abc") {
		t.Errorf("%q %q %v", out, more, err)
	}
	if asked, _ := server.last(t); asked.Header.Get("Authorization") != "Bearer "+cliKeySecret {
		t.Error("without the key")
	}
	if _, _, err := command(t, "", "workspaces", "list", "--server", other.URL); err == nil || strings.Contains(err.Error(), cliKeySecret) {
		t.Errorf("the key of one server was for another: %v", err)
	}
	if len(other.seen) != 0 {
		t.Error("the other server was asked")
	}
	out, _, err = command(t, "", "profiles")
	if err != nil || !strings.Contains(out, "acme") || !strings.Contains(out, "…c123  *") || strings.Contains(out, cliKeySecret) {
		t.Errorf("%q %v", out, err)
	}
	if _, _, err := command(t, "", "logout", "acme"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(home, "config", "relaydesk", "profiles.json")); err != nil || bytes.Contains(text, []byte(cliKeySecret)) {
		t.Errorf("after logging out: %s %v", text, err)
	}
	if _, _, err := command(t, "", "workspaces", "list"); err == nil || !strings.Contains(err.Error(), "relaydesk login") {
		t.Errorf("nobody says what to do: %v", err)
	}
}

func TestAKeyThatIsRefusedIsNotKept(t *testing.T) {
	cliHome(t)
	server := record(t, nil)
	if _, _, err := command(t, cliKeySecret, "login", "--server", server.URL); err == nil {
		t.Error("it was kept")
	}
	if names := profileNames(); len(names) != 0 {
		t.Error(names)
	}
}

func TestATableShowsWordsAndNoTerminalObeysThem(t *testing.T) {
	cliHome(t)
	server := record(t, map[string]string{"GET /v1/inbox?limit=50&view=waiting": cliInbox})
	t.Setenv("RELAYDESK_API_KEY", cliKeySecret)
	out, _, err := command(t, "", "inbox", "--server", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out, "\x1b\x07\r\u202e") {
		t.Errorf("a terminal would obey %q", out)
	}
	for _, word := range []string{"WAITS", "conv_01m89mcvh8epyspn9tn2dzw9n6", "visitor_asked", "visitor: [31mmy order is late"} {
		if !strings.Contains(out, word) {
			t.Errorf("%q is missing in\n%s", word, out)
		}
	}
	raw, _, err := command(t, "", "inbox", "--server", server.URL, "--json")
	if err != nil || raw != cliInbox {
		t.Errorf("not the server's own JSON: %q %v", raw, err)
	}
}

func TestARefusalIsToldWithItsRequestID(t *testing.T) {
	cliHome(t)
	server := record(t, nil)
	t.Setenv("RELAYDESK_API_KEY", cliKeySecret)
	_, _, err := command(t, "", "conversations", "get", "conv_nothing", "--server", server.URL)
	if err == nil || !strings.Contains(err.Error(), "not_found (404): There is nothing at this path. (request req_01m89mb79xec7shpdk0v6fv0dg)") {
		t.Error(err)
	}
}

func TestASlugStandsForItsWorkspaceAndAPostCanBeRepeated(t *testing.T) {
	cliHome(t)
	server := record(t, map[string]string{
		"GET /v1/workspaces?slug=blue-bakery": cliSpaces,
		"POST /v1/conversations":              `{"object":"conversation","id":"conv_1","turn":{"id":"turn_1","status":"answered","message":{"seq":2,"author":{"type":"assistant"},"text":"Within three days.","confidence":0.93,"citations":[{"title":"Delivery","url":"https://example.com/d"}]}}}`,
		"POST /v1/answers":                    `{"object":"answer","answer":"Within three days.","confidence":0.93,"citations":[],"decision":"answer","triggers":[{"kind":"sensitive_topic","topic":"refund","evidence":"my money back","score":0.8,"effect":"tag"}]}`,
		"POST /v1/api_keys":                   `{"object":"api_key","id":"key_1","name":"Site","scopes":["conversations:write"],"workspace_id":"ws_01m89mb6pjexmrd1wgv1cf28p0","secret":"rd_sk_live_x"}`,
	})
	t.Setenv("RELAYDESK_API_KEY", cliKeySecret)
	with := func(args ...string) string {
		t.Helper()
		out, _, err := command(t, "", append(args, "--server", server.URL, "--workspace", "blue-bakery")...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	out := with("conversations", "start", "How long?", "--name", "Ada", "--wait", "5")
	asked, body := server.last(t)
	if asked.Header.Get("Relaydesk-Workspace") != "ws_01m89mb6pjexmrd1wgv1cf28p0" || asked.Header.Get("Idempotency-Key") == "" || asked.Header.Get("Prefer") != "wait=5" {
		t.Error(asked.Header)
	}
	var sent struct {
		Contact, Message map[string]string
	}
	if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.Contact["name"] != "Ada" || sent.Message["text"] != "How long?" || !strings.Contains(out, "Within three days.") {
		t.Errorf("%s %v %s", body, err, out)
	}
	out = with("ask", "How", "long?")
	if _, body = server.last(t); body != `{"question":"How long?"}` || !strings.Contains(out, "sensitive_topic refund  tag") {
		t.Errorf("%s\n%s", body, out)
	}
	with("keys", "create", "Site", "--scope", "conversations:write")
	if _, body = server.last(t); !strings.Contains(body, `"workspace_id":"ws_01m89mb6pjexmrd1wgv1cf28p0"`) {
		t.Error(body)
	}
}

func TestAThreadIsShownToItsEnd(t *testing.T) {
	cliHome(t)
	server := record(t, map[string]string{
		"GET /v1/conversations/conv_1":                                `{"object":"conversation","id":"conv_1","state":"assistant","owner":{"type":"assistant"},"last_seq":3}`,
		"GET /v1/conversations/conv_1/messages?limit=100&after_seq=0": `{"object":"list","data":[{"seq":1,"author":{"type":"visitor"},"visibility":"public","text":"first"},{"seq":2,"author":{"type":"member","name":"Bo"},"visibility":"team","text":"second"}],"has_more":true,"next_cursor":"x"}`,
		"GET /v1/conversations/conv_1/messages?limit=100&after_seq=2": `{"object":"list","data":[{"seq":3,"author":{"type":"assistant"},"visibility":"public","text":"third"}],"has_more":false}`,
	})
	t.Setenv("RELAYDESK_API_KEY", cliKeySecret)
	out, _, err := command(t, "", "conversations", "get", "conv_1", "--server", server.URL)
	if err != nil || !strings.Contains(out, "  first\n") || !strings.Contains(out, "#2 member Bo (note for the team)") || !strings.Contains(out, "  third\n") {
		t.Errorf("%s %v", out, err)
	}
	raw, _, err := command(t, "", "conversations", "get", "conv_1", "--server", server.URL, "--json")
	var both struct {
		Conversation struct{ ID string }
		Messages     []struct{ Seq int }
	}
	if e := json.Unmarshal([]byte(raw), &both); err != nil || e != nil || both.Conversation.ID != "conv_1" || len(both.Messages) != 3 {
		t.Errorf("%s %v %v", raw, err, e)
	}
}

func TestAServerThatSendsElsewhereGetsNoKeyForwarded(t *testing.T) {
	cliHome(t)
	other := record(t, map[string]string{"GET /v1/inbox?limit=50&view=waiting": cliInbox})
	server := httptest.NewServer(http.RedirectHandler(other.URL+"/v1/inbox?limit=50&view=waiting", http.StatusFound))
	t.Cleanup(server.Close)
	t.Setenv("RELAYDESK_API_KEY", cliKeySecret)
	if _, _, err := command(t, "", "inbox", "--server", server.URL); err == nil || len(other.seen) != 0 {
		t.Errorf("%v, %d requests", err, len(other.seen))
	}
}

func TestTheShellCompletesViewsAndProfiles(t *testing.T) {
	cliHome(t)
	out, _, err := command(t, "", "__complete", "inbox", "--view", "")
	if err != nil || !strings.Contains(out, "unassigned\n") {
		t.Errorf("%q %v", out, err)
	}
	out, _, err = command(t, "", "__complete", "inbox", "--profile", "")
	if err != nil || !strings.Contains(out, "dev\n") {
		t.Errorf("%q %v", out, err)
	}
}

// Not parallel, as all that change the environment.
func TestTheCommandsWorkOnARealServer(t *testing.T) {
	n, _ := live(t, nil)
	server := httptest.NewServer(n.api)
	t.Cleanup(server.Close)
	cliHome(t)
	with := func(args ...string) string {
		t.Helper()
		out, _, err := command(t, "", args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	if _, _, err := command(t, n.key+"\n", "login", "--server", server.URL); err != nil {
		t.Fatal(err)
	}
	with("workspaces", "create", "Blue Bakery", "--time-zone", "Europe/Berlin", "--language", "de")
	if out := with("workspaces", "get", "blue-bakery"); !strings.Contains(out, "Europe/Berlin") {
		t.Error(out)
	}
	out := with("conversations", "start", "I want to talk to a human", "--name", "Ada", "--workspace", "blue-bakery")
	id, _, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(id, "conv_") || !strings.Contains(out, "(visitor_asked)") {
		t.Error(out)
	}
	if out := with("inbox"); !strings.Contains(out, id) || !strings.Contains(out, "Ada") || !strings.Contains(out, "visitor_asked") {
		t.Error(out)
	}
	if out := with("inbox", "--counts"); !strings.Contains(out, "waiting     1") {
		t.Error(out)
	}
	if out := with("conversations", "list", "--status", "open", "--workspace", "blue-bakery"); !strings.Contains(out, id) {
		t.Error(out)
	}
	if out := with("conversations", "get", id); !strings.Contains(out, "  I want to talk to a human\n") {
		t.Error(out)
	}
	if out := with("ask", "Who are you?", "--workspace", "blue-bakery"); !strings.Contains(out, "decision ") {
		t.Error(out)
	}
	var made, rolled cliKey
	if err := json.Unmarshal([]byte(with("keys", "create", "Site", "--scope", "conversations:read", "--json", "--expires-in", "1h")), &made); err != nil || made.Secret == "" {
		t.Fatalf("%+v %v", made, err)
	}
	if err := json.Unmarshal([]byte(with("keys", "roll", made.ID, "--overlap", "1h", "--json")), &rolled); err != nil || rolled.Secret == "" || rolled.ID == made.ID {
		t.Fatalf("%+v %v", rolled, err)
	}
	with("keys", "revoke", made.ID)
	if out := with("keys", "list"); strings.Contains(out, made.ID) || !strings.Contains(out, rolled.ID) {
		t.Error(out)
	}
	if _, _, err := command(t, "", "keys", "revoke", made.ID); err == nil || !strings.Contains(err.Error(), "not_found") || !strings.Contains(err.Error(), "(request req_") {
		t.Error(err)
	}
}
