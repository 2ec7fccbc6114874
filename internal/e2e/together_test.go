package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
)

// The tests that break nothing share an installation with two nodes; each has a
// workspace of its own.
func TestTwoNodesOnOneDatabase(t *testing.T) {
	t.Parallel()
	in := install(t)
	nodes := []*node{in.serve(t, nil), in.serve(t, nil)}
	for name, test := range map[string]func(*testing.T, *installation, []*api){
		"twenty requests with the same key make one message": sameKey,
		"what is written at once is answered once, in order": atOnce,
		"a failing receiver loses nothing":                   failingReceiver,
		"the demo tells its story of the guide":              demoOfGuide,
		"the demo tells its story of another site":           demoOfSite,
		"an erased visitor's words are in no dump":           erasure,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			workspace := in.newWorkspace(t, nodes[0])
			test(t, in, []*api{nodes[0].in(workspace), nodes[1].in(workspace)})
		})
	}
}

func sameKey(t *testing.T, _ *installation, nodes []*api) {
	conversation := nodes[0].want(t, 201, "POST", "/v1/conversations", object{
		"contact": object{"name": "Bo"}, "message": object{"text": "thanks"}, "language": "en",
	}, "Prefer", "wait=30").text("id")
	path, body := "/v1/conversations/"+conversation+"/messages", object{"author": object{"type": "visitor"}, "text": "thank you"}

	first := nodes[0].want(t, 201, "POST", path, body, "Idempotency-Key", "once")
	again := nodes[1].want(t, 201, "POST", path, body, "Idempotency-Key", "once")
	if again.text("id") != first.text("id") || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("repeated: %s and %s", first.raw, again.raw)
	}
	nodes[1].want(t, 422, "POST", path, object{"author": object{"type": "visitor"}, "text": "another"}, "Idempotency-Key", "once")

	var mu sync.Mutex
	made, replays, busy := map[string]int{}, 0, 0
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			poll(t.Context(), 30*time.Second, func() bool {
				r, err := nodes[i%2].send(t.Context(), "POST", path, body, "Idempotency-Key", "many")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Errorf("post: %v", err)
				case r.status == http.StatusConflict && r.text("code") == "idempotency_in_flight" && r.header.Get("Retry-After") != "":
					busy++
					return false
				case r.status != http.StatusCreated:
					t.Errorf("post: %d %s", r.status, r.raw)
				default:
					made[r.text("id")]++
					if r.header.Get("Idempotent-Replayed") == "true" {
						replays++
					}
				}
				return true
			})
		})
	}
	work.Wait()
	if len(made) != 1 || replays != 19 {
		t.Errorf("messages %v, %d of them replays, %d asked to wait", made, replays, busy)
	}
	visitor := 0
	for _, m := range nodes[0].all(t, "/v1/conversations/"+conversation+"/messages") {
		if at(m, "author.type") == "visitor" {
			visitor++
		}
	}
	if visitor != 3 {
		t.Errorf("the visitor's messages are %d", visitor)
	}
}

// atOnce writes many messages into one conversation over both nodes, a wish for
// a person among them.
func atOnce(t *testing.T, in *installation, nodes []*api) {
	started := nodes[0].want(t, 201, "POST", "/v1/conversations", object{
		"contact": object{"name": "Bo"}, "message": object{"text": "hello"}, "language": "en",
	})
	conversation := started.text("id")
	const n = 30
	var work sync.WaitGroup
	for i := range n {
		text := fmt.Sprintf("this is number %d of what I have to say", i)
		if i == n/2 {
			text = "please let me talk to a person"
		}
		work.Go(func() {
			r, err := nodes[i%2].send(t.Context(), "POST", "/v1/conversations/"+conversation+"/messages", object{"author": object{"type": "visitor"}, "text": text})
			if err != nil || r.status != http.StatusCreated {
				t.Errorf("post: %v %d %s", err, r.status, r.raw)
			}
		})
	}
	work.Wait()
	eventually(t, time.Minute, "no turn is pending", func() bool {
		return nodes[0].want(t, 200, "GET", "/v1/conversations/"+conversation, nil).text("turn_id") == ""
	})
	count, notices, turns := map[string]int{}, map[string]int{}, map[string]bool{}
	for i, m := range nodes[1].all(t, "/v1/conversations/"+conversation+"/messages") {
		author, _ := at(m, "author.type").(string)
		count[author]++
		if m["seq"] != float64(i+1) {
			t.Errorf("the %d. message has the seq %v", i+1, m["seq"])
		}
		if author == "system" {
			notices[m["text"].(string)]++
		}
		if id, ok := m["turn_id"].(string); ok && author == "visitor" {
			turns[id] = true
		}
	}
	if count["visitor"] != n+1 {
		t.Errorf("%v messages", count)
	}
	answered, escalated := 0, 0
	for id := range turns {
		switch turn := nodes[0].want(t, 200, "GET", "/v1/turns/"+id, nil); turn.text("status") {
		case "answered":
			answered++
		case "escalated":
			escalated++
		default:
			t.Errorf("turn: %s", turn.raw)
		}
	}
	if count["assistant"] != answered || escalated == 0 {
		t.Errorf("%d turns answered by %d messages, %d escalated", answered, count["assistant"], escalated)
	}
	for text, n := range notices {
		if n != 1 {
			t.Errorf("%d times: %s", n, text)
		}
	}
	all := nodes[0].all(t, "/v1/escalations")
	if len(all) != 1 || !strings.Contains(fmt.Sprint(all[0]["triggers"]), "visitor_asked") {
		t.Errorf("escalations: %v", all)
	}
	t.Logf("%d messages in %d turns: %d answered, %d escalated", n+1, len(turns), answered, escalated)
	_ = in
}

// failingReceiver takes each event only the fourth time.
func failingReceiver(t *testing.T, _ *installation, nodes []*api) {
	hooks := receive(t, func(_ string, nth int) int {
		if nth <= 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	endpoint := hooks.subscribe(t, nodes[0], "contact.created")
	for i := range 3 {
		nodes[i%2].want(t, 201, "POST", "/v1/contacts", object{"name": fmt.Sprintf("Contact %d", i)})
	}
	deliveries := func() []map[string]any {
		return nodes[0].all(t, "/v1/webhook_endpoints/"+endpoint+"/deliveries")
	}
	reach := func(attempts float64, atMost time.Duration) []map[string]any {
		var all []map[string]any
		eventually(t, atMost, fmt.Sprintf("each delivery was tried %v times", attempts), func() bool {
			all = deliveries()
			for _, d := range all {
				if d["attempts"] != attempts {
					return false
				}
			}
			return len(all) == 3
		})
		return all
	}
	began := time.Now()
	all := reach(1, 20*time.Second)
	if all[0]["status"] != "pending" || all[0]["next_attempt_at"] == nil {
		t.Errorf("after the first: %v", all[0])
	}
	all = reach(2, 30*time.Second)
	t.Logf("the second attempts were made %.1f s after the first events", time.Since(began).Seconds())
	// The third would come after five minutes; the agency asks for it now.
	for nth := 3.0; nth <= 4; nth++ {
		for _, d := range all {
			nodes[1].want(t, 200, "POST", "/v1/webhook_deliveries/"+d["id"].(string)+"/resend", nil)
		}
		all = reach(nth, 20*time.Second)
	}
	for _, d := range all {
		if d["status"] != "succeeded" {
			t.Errorf("in the end: %v", d)
		}
	}
	attempts := nodes[0].want(t, 200, "GET", "/v1/webhook_endpoints/"+endpoint+"/attempts?limit=100", nil)
	statuses := map[any]int{}
	for _, a := range attempts.at("data").([]any) {
		statuses[at(a, "status")]++
	}
	if statuses[500.0] != 9 || statuses[200.0] != 3 || len(statuses) != 2 {
		t.Errorf("attempts: %v", statuses)
	}
	if n := hooks.check(t); n != 3 {
		t.Errorf("%d events came more than once", n)
	}
}

func demoOfGuide(t *testing.T, _ *installation, nodes []*api) {
	demo(t, nodes[0], nodes[0].base+"/guide")
}

func demoOfSite(t *testing.T, _ *installation, nodes []*api) {
	lamps := publish(t, 6, 0)
	said := demo(t, nodes[1], lamps.URL+"/", "--url", lamps.URL, "--ask", "How many watts has the bulb of the Candle desk lamp?")
	says(t, said, "7 pages found, 7 searchable", "5 watts")
}

func demo(t *testing.T, a *api, cites string, args ...string) string {
	t.Helper()
	began := time.Now()
	p := start(t, launch{
		args: append([]string{"demo", "--server", a.base}, args...),
		env:  []string{"RELAYDESK_API_KEY=" + a.key, "RELAYDESK_DATA_DIR=" + folder(t, false)},
	})
	code := p.ended(2 * time.Minute)
	said := p.out.String()
	if code != 0 {
		t.Fatalf("demo ended with %d: %s\n%s", code, p.log.String(), said)
	}
	says(t, said, "[1] ", cites, "confidence ", "handed over to the team (visitor_asked)", "promised: ", "/packet", "# ",
		"The inbox", "waiting since", "I have refunded", "signatures verified", "escalation.opened", "escalation.accepted", "escalation.answered")
	t.Logf("the demo took %.1f s", time.Since(began).Seconds())
	return said
}

// erasure has a visitor leave traces everywhere, erases them, and looks for
// their words in all that the database holds.
func erasure(t *testing.T, in *installation, nodes []*api) {
	words := []string{"Quillonbright", "zephyrine@example.com", "55501234567", "marzipanhorn", "turboelefant", "glockenspielweg", "attributwert", "metawort", "betreffwort", "nachgefragt", "notizwort"}
	hooks := receive(t, nil)
	hooks.subscribe(t, nodes[0], "*")
	teach(t, nodes[0])
	r := nodes[0].want(t, 201, "POST", "/v1/conversations", object{
		"contact": object{
			"external_id": "ext-Quillonbright", "name": "Zoe Quillonbright", "email": "zephyrine@example.com", "phone": "+55501234567",
			"attributes": object{"plan": "attributwert"},
		},
		"message": object{"text": "My marzipanhorn is broken, how long does delivery of another one take?", "metadata": object{"k": "metawort"}},
		"subject": "about betreffwort", "metadata": object{"k": "metawort"}, "language": "en",
	}, "Idempotency-Key", "erase-1", "Prefer", "wait=30")
	conversation, contact := "/v1/conversations/"+r.text("id"), r.text("contact_id")
	asked := nodes[1].want(t, 201, "POST", conversation+"/messages", object{
		"author": object{"type": "visitor"}, "text": "I live at glockenspielweg 7 and want to talk to a person about my turboelefant",
	}, "Idempotency-Key", "erase-2", "Prefer", "wait=30")
	if asked.text("turn.status") != "escalated" {
		t.Errorf("the turn: %s", asked.raw)
	}
	member := nodes[0].want(t, 200, "GET", "/v1/members", nil).text("data.0.id")
	nodes[0].want(t, 201, "POST", conversation+"/messages", object{"author": object{"type": "member", "member_id": member}, "text": "notizwort: call them", "visibility": "team"}, "Idempotency-Key", "erase-3")
	nodes[0].want(t, 200, "POST", conversation+"/accept", object{"member_id": member})
	nodes[0].want(t, 201, "POST", conversation+"/messages", object{"author": object{"type": "member", "member_id": member}, "text": "I have nachgefragt about your turboelefant."}, "Idempotency-Key", "erase-4")
	nodes[1].want(t, 201, "POST", conversation+"/messages", object{"author": object{"type": "visitor"}, "text": "Is my marzipanhorn delivered within three working days?"}, "Prefer", "wait=5")

	before := dump(t, in)
	for _, word := range words {
		if !strings.Contains(strings.ToLower(before), strings.ToLower(word)) {
			t.Errorf("%s left no trace to be erased", word)
		}
	}
	nodes[0].want(t, 204, "DELETE", "/v1/contacts/"+contact, nil)
	// What is written after, by work that was under way, would be found as well.
	eventually(t, 30*time.Second, "nothing is under way", func() bool {
		return in.query(t, "select count(*) from turns where status = 'pending'") == 0 &&
			in.query(t, "select count(*) from event_inbox") == 0
	})
	after := dump(t, in)
	for _, word := range words {
		for line := range strings.Lines(after) {
			if strings.Contains(strings.ToLower(line), strings.ToLower(word)) {
				t.Errorf("%s is still there: %.300s", word, line)
			}
		}
	}
	if !strings.Contains(after, "We deliver within three working days.") {
		t.Error("the dump does not hold what it should")
	}
	nodes[1].want(t, 404, "GET", "/v1/contacts/"+contact, nil)
	log := nodes[1].want(t, 200, "GET", "/v1/events?limit=100", nil)
	if !strings.Contains(string(log.raw), `"erased":true`) {
		t.Errorf("the log: %s", log.raw)
	}
}

// dump is all that the database holds, as text.
func dump(t *testing.T, in *installation) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(artifactstest.Postgres(t), "pg_dump"), "--data-only", "--inserts", "--rows-per-insert=1", "--dbname="+in.owner)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v %s", err, errors.String())
	}
	return string(out)
}
