package api_test

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/outbound"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/webhooks"
)

// words embeds texts by their words.
type words struct{}

func (w words) Query(ctx context.Context, texts ...string) ([][]float32, error) {
	return w.Passages(ctx, texts...)
}

func (words) Passages(_ context.Context, texts ...string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		v, sum := make([]float32, knowledge.Dimensions), 0.0
		v[0] = .1
		for _, word := range rank.Words(text) {
			h := fnv.New32a()
			_, _ = h.Write([]byte(word))
			v[h.Sum32()%knowledge.Dimensions]++
		}
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		for j := range v {
			v[j] = float32(float64(v[j]) / math.Sqrt(sum))
		}
		out[i] = v
	}
	return out, nil
}

// reads is shared: its weights take a moment to read.
var reads = sync.OnceValues(func() (*triggers.Reader, error) { return triggers.New(words{}, slog.New(slog.DiscardHandler)) })

// whole is a bench with every service behind the API, and a member.
type whole struct {
	*bench
	member string
	relay  *events.Relay
}

func setupWhole(t *testing.T) *whole {
	t.Helper()
	b := setup(t)
	db, log, now := postgrestest.New(t), b.Deps.Log, clock.System()
	q, err := queue.New(log)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := reads()
	if err != nil {
		t.Fatal(err)
	}
	d := b.Deps
	d.Clock, d.Positions, d.Hub = now, events.NewPositions(d.Box.Block("positions")), events.NewHub(db, log)
	d.Conversations = conversations.New(db, now, q)
	d.Handoff = handoff.New(db, d.Conversations)
	client := outbound.NewClient(outbound.Policy{AllowLoopback: true}, time.Second)
	d.Knowledge = knowledge.New(knowledge.Deps{DB: db, Clock: now, Queue: q, Log: log, Embedder: words{}, HTTP: client})
	d.Assistant = assistant.New(assistant.Deps{
		Conversations: d.Conversations, Handoff: d.Handoff, Knowledge: d.Knowledge, Tenants: d.Tenants, Embedder: words{}, Triggers: reader, Clock: now, Log: log,
	})
	d.Renderer = objects.NewRenderer(db, d.Positions)
	d.Renderer.Knowledge = d.Knowledge
	d.Webhooks = webhooks.New(webhooks.Deps{DB: db, Queue: q, Clock: now, Box: d.Box, Client: client, Renderer: d.Renderer, Log: log})
	b.Deps = d
	b.serve(d)
	w := &whole{bench: b, relay: events.NewRelay(db, log, d.Webhooks.FanOut, d.Hub.Numbered)}
	w.member = w.want(201, "", "POST", "/v1/members", `{"name":"Ada Moreau","email":"ada@example.com","role":"agent","status":"active"}`).text("id")
	w.work()
	return w
}

// work answers turns as a worker would, until the test ends.
func (w *whole) work() {
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	owner := postgrestest.Owner(w.t)
	go func() {
		defer close(done)
		seen := map[string]bool{}
		for ctx.Err() == nil {
			rows, err := owner.Query(ctx, `select args from river.river_job where kind = 'answer_turn' and args->>'AgencyID' = $1 order by id`, strconv.FormatInt(w.root.AgencyID, 10))
			if err != nil {
				break
			}
			var all []conversations.AnswerTurn
			for rows.Next() {
				var raw []byte
				var job conversations.AnswerTurn
				if rows.Scan(&raw) == nil && json.Unmarshal(raw, &job) == nil && !seen[string(raw)] {
					seen[string(raw)] = true
					all = append(all, job)
				}
			}
			rows.Close()
			for _, job := range all {
				if err := w.Deps.Assistant.Answer(ctx, job, nil); err != nil && ctx.Err() == nil {
					w.t.Errorf("answer: %v", err)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	w.t.Cleanup(func() { stop(); <-done })
}

func (w *whole) here() headers { return headers{"Relaydesk-Workspace": w.ws} }

// number makes events readable.
func (w *whole) number() {
	w.t.Helper()
	if err := w.relay.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func at(a map[string]any, path string) any {
	var v any = a
	for _, step := range strings.Split(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

func (w *whole) teach(title, text string) answer {
	w.t.Helper()
	body, err := json.Marshal(map[string]string{"type": "text", "title": title, "text": text})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.want(201, "", "POST", "/v1/sources", string(body), w.here())
}

const delivery = "# Delivery\n\nWe deliver within three working days. Delivery to an island takes five working days.\n\n# Returns\n\nYou can return a lamp within 30 days of delivery. The return label is in the box."

func TestAConversationGoesFromTheAssistantToAMemberAndToItsEnd(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	w.teach("Delivery and returns", delivery)
	wait := headers{"Prefer": "wait=20", "Relaydesk-Workspace": w.ws}
	started := w.want(201, "", "POST", "/v1/conversations", `{"contact":{"name":"Bo","email":"bo@example.com"},"message":{"text":"How many working days does delivery to an island take?","client_id":"m-1"},"language":"en"}`, wait)
	conv := "/v1/conversations/" + started.text("id")
	if at(started.JSON, "turn.status") == "pending" || at(started.JSON, "turn.due_at") == nil || at(started.JSON, "message.seq") != 1.0 {
		t.Fatalf("started: %s", started.Raw)
	}
	if started.Header.Get("Preference-Applied") != "wait=20" {
		t.Error("no Preference-Applied")
	}
	repeat := w.want(200, "", "POST", conv+"/messages", `{"author":{"type":"visitor"},"text":"again","client_id":"m-1"}`, w.here())
	if at(repeat.JSON, "id") != at(started.JSON, "message.id") || at(repeat.JSON, "turn.status") == "pending" {
		t.Errorf("a repeated client_id: %s", repeat.Raw)
	}
	asked := w.want(201, "", "POST", conv+"/messages", `{"author":{"type":"visitor"},"text":"I want to talk to a person please"}`, wait)
	if at(asked.JSON, "turn.status") != "escalated" || at(asked.JSON, "turn.escalation.promise.text") == nil {
		t.Fatalf("asked for a person: %s", asked.Raw)
	}
	turn := w.want(200, "", "GET", "/v1/turns/"+at(asked.JSON, "turn.id").(string), "", w.here())
	if turn.text("status") != "escalated" || turn.text("escalation_id") == "" {
		t.Errorf("turn: %s", turn.Raw)
	}

	waiting := w.want(200, "", "GET", "/v1/inbox?view=waiting", "")
	if at(waiting.JSON, "data.0.id") != started.text("id") || at(waiting.JSON, "data.0.contact.name") != "Bo" || at(waiting.JSON, "data.0.escalation.trigger") == nil || at(waiting.JSON, "data.0.workspace_id") != w.ws || at(waiting.JSON, "data.0.state") != "waiting" {
		t.Errorf("inbox: %s", waiting.Raw)
	}
	if counts := w.want(200, "", "GET", "/v1/inbox/counts?member_id="+w.member, "", w.here()); counts.JSON["waiting"] != 1.0 || counts.JSON["mine"] != 0.0 {
		t.Errorf("counts: %s", counts.Raw)
	}
	esc := "/v1/escalations/" + turn.text("escalation_id")
	w.want(200, "", "GET", esc, "")
	if all := w.want(200, "", "GET", "/v1/escalations?status=open", ""); at(all.JSON, "data.0.id") != turn.text("escalation_id") {
		t.Errorf("escalations: %s", all.Raw)
	}
	packet := w.want(200, "", "GET", esc+"/packet", "")
	if packet.text("object") != "packet" || at(packet.JSON, "contact.name") != "Bo" || at(packet.JSON, "thread.0.text") == nil || at(packet.JSON, "promise.text") == nil {
		t.Errorf("packet: %s", packet.Raw)
	}
	text := w.want(200, "", "GET", esc+"/packet", "", headers{"Accept": "text/markdown"})
	if !strings.HasPrefix(text.Header.Get("Content-Type"), "text/markdown") || !strings.Contains(string(text.Raw), "Bo") {
		t.Errorf("markdown: %s", text.Raw)
	}

	accepted := w.want(200, "", "POST", conv+"/accept", `{"member_id":"`+w.member+`"}`, w.here())
	if accepted.text("state") != "member" || at(accepted.JSON, "owner.member_id") != w.member {
		t.Errorf("accepted: %s", accepted.Raw)
	}
	other := w.want(201, "", "POST", "/v1/members", `{"name":"Bea","email":"bea@example.com","role":"agent","status":"active"}`).text("id")
	a := w.want(409, "already_accepted", "POST", conv+"/accept", `{"member_id":"`+other+`"}`, w.here())
	if a.Header.Get("X-Should-Retry") != "false" {
		t.Error("a conflict that a retry can't mend says nothing about it")
	}
	w.want(409, "not_owner", "POST", conv+"/messages", `{"author":{"type":"member","member_id":"`+other+`"},"text":"Hello"}`, w.here())
	stale := w.want(409, "stale_reply", "POST", conv+"/messages", `{"author":{"type":"member","member_id":"`+w.member+`"},"text":"Hello","expected_seq":1}`, w.here())
	if at(stale.JSON, "missed.0.object") != "message" {
		t.Errorf("stale: %s", stale.Raw)
	}
	note := w.want(201, "", "POST", conv+"/messages", `{"author":{"type":"member","member_id":"`+w.member+`"},"text":"a note","visibility":"team"}`, w.here())
	if note.text("visibility") != "team" || note.JSON["turn"] != nil || !strings.Contains(string(note.Raw), `"turn":null`) {
		t.Errorf("note: %s", note.Raw)
	}
	reply := w.want(201, "", "POST", conv+"/messages", `{"author":{"type":"member","member_id":"`+w.member+`"},"text":"Hello, what is your order number?"}`, w.here())
	if at(reply.JSON, "author.name") != "Ada Moreau" {
		t.Errorf("reply: %s", reply.Raw)
	}
	heard := w.want(201, "", "POST", conv+"/messages", `{"author":{"type":"visitor"},"text":"It is 42."}`, wait)
	if heard.JSON["turn"] != nil {
		t.Errorf("a turn while a member has it: %s", heard.Raw)
	}
	w.want(200, "", "POST", conv+"/assign", `{"member_id":"`+other+`"}`, w.here())
	w.want(200, "", "PATCH", conv, `{"tags":["b","a"],"subject":"Island"}`, w.here())
	w.want(200, "", "POST", conv+"/release", `{"to":"team","member_id":"`+w.member+`"}`, w.here())
	w.want(200, "", "POST", conv+"/snooze", `{"until":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`"}`, w.here())
	w.want(200, "", "POST", conv+"/reopen", ``, w.here())
	if again := w.want(200, "", "POST", conv+"/escalate", `{"reason":"still open"}`, w.here()); again.text("id") != turn.text("escalation_id") {
		t.Errorf("escalated again: %s", again.Raw)
	}
	resolved := w.want(200, "", "POST", conv+"/resolve", `{}`, w.here())
	if resolved.text("state") != "resolved" || resolved.JSON["escalation_id"] != nil {
		t.Errorf("resolved: %s", resolved.Raw)
	}
	w.want(409, "conversation_resolved", "POST", conv+"/accept", `{"member_id":"`+w.member+`"}`, w.here())
	all := w.want(200, "", "GET", conv+"/messages?limit=3", "")
	seqs := []string{}
	for cursor := ""; ; {
		all = w.want(200, "", "GET", conv+"/messages?limit=3"+cursor, "")
		for _, m := range all.JSON["data"].([]any) {
			seqs = append(seqs, strconv.Itoa(int(m.(map[string]any)["seq"].(float64))))
		}
		next, more := all.JSON["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	for i, seq := range seqs {
		if seq != strconv.Itoa(i+1) {
			t.Errorf("messages come as %v", seqs)
			break
		}
	}
	w.story(started.text("id"))
}

// story reads what the log tells of the conversation.
func (w *whole) story(conversation string) {
	w.t.Helper()
	w.number()
	var types []string
	after := ""
	for {
		a := w.want(200, "", "GET", "/v1/events?limit=5&conversation_id="+conversation+after, "")
		for _, e := range a.JSON["data"].([]any) {
			e := e.(map[string]any)
			types = append(types, e["type"].(string))
			if e["workspace_id"] != w.ws || at(e, "data.object.id") == nil {
				w.t.Errorf("%v", e)
			}
			if e["type"] == "escalation.opened" && at(e, "data.object.packet.thread.0.text") == nil {
				w.t.Errorf("opened without its packet: %v", e)
			}
		}
		if a.JSON["has_more"] != true {
			break
		}
		after = "&after=" + a.text("position")
	}
	told := strings.Join(types, " ")
	for _, want := range []string{"conversation.created message.created", "escalation.opened", "escalation.accepted", "escalation.answered", "escalation.released", "conversation.resolved"} {
		if !strings.Contains(told, want) {
			w.t.Errorf("the log lacks %s: %s", want, told)
		}
	}
	w.want(400, "cursor_invalid", "GET", "/v1/events?after=x", "")
	w.want(422, "validation_failed query/types=not_one_of", "GET", "/v1/events?types=message.created,x", "")
}

func TestKnowledgeIsAddedFoundAndRemoved(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	src := w.teach("Delivery and returns", delivery)
	path := "/v1/sources/" + src.text("id")
	if src.text("status") == "" || at(src.JSON, "pages.indexed") == nil {
		t.Errorf("source: %s", src.Raw)
	}
	found := w.want(200, "", "POST", "/v1/search", `{"query":"delivery to an island","limit":2}`, w.here())
	if !strings.Contains(string(found.Raw), "five working days") || at(found.JSON, "data.0.heading_path") == nil {
		t.Errorf("search: %s", found.Raw)
	}
	tried := w.want(200, "", "POST", "/v1/answers", `{"question":"I want to talk to a person"}`, w.here(), headers{"Idempotency-Key": "k"})
	if tried.text("decision") != "escalate" || at(tried.JSON, "triggers.0.kind") != "visitor_asked" {
		t.Errorf("answers: %s", tried.Raw)
	}
	w.want(422, "validation_failed #/question=invalid", "POST", "/v1/answers", `{}`, w.here())
	w.want(422, "validation_failed #/messages/0/author=invalid", "POST", "/v1/answers", `{"messages":[{"author":"assistant","text":"x"}]}`, w.here())
	pages := w.want(200, "", "GET", "/v1/pages?source_id="+src.text("id"), "", w.here())
	w.want(200, "", "GET", "/v1/pages/"+at(pages.JSON, "data.0.id").(string), "", w.here())
	list := w.want(200, "", "GET", "/v1/sources", "", w.here())
	if strings.Contains(string(list.Raw), "five working days") {
		t.Error("a list of sources holds their texts")
	}
	w.want(200, "", "PATCH", path, `{"title":"Shipping"}`, w.here(), headers{"If-Match": src.Header.Get("ETag")})
	w.want(412, "precondition_failed", "PATCH", path, `{"title":"Shipping"}`, w.here(), headers{"If-Match": src.Header.Get("ETag")})
	w.want(422, "validation_failed #/url=invalid", "POST", "/v1/sources", `{"type":"website","url":"ftp://x"}`, w.here())
	w.want(422, "validation_failed #/title=invalid", "POST", "/v1/sources", `{"type":"text","text":"x"}`, w.here())
	w.want(200, "", "POST", path+"/crawl", "", w.here())
	w.want(204, "", "DELETE", path, "", w.here())
	w.want(404, "not_found", "GET", path, "", w.here())
}

func TestAKnownExternalIDChangesItsContact(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	made := w.want(201, "", "POST", "/v1/contacts", `{"external_id":"c-1","name":"Bo","attributes":{"plan":"free","old":"x"}}`, w.here())
	again := w.want(200, "", "POST", "/v1/contacts", `{"external_id":"c-1","email":"bo@example.com","attributes":{"plan":"pro","old":null}}`, w.here())
	if again.text("id") != made.text("id") || again.text("name") != "Bo" || at(again.JSON, "attributes.plan") != "pro" || at(again.JSON, "attributes.old") != nil {
		t.Errorf("%s", again.Raw)
	}
	if found := w.want(200, "", "GET", "/v1/contacts?external_id=c-1", "", w.here()); at(found.JSON, "data.0.id") != made.text("id") {
		t.Errorf("%s", found.Raw)
	}
	path := "/v1/contacts/" + made.text("id")
	if a := w.want(200, "", "PATCH", path, `{"email":null}`, w.here()); a.JSON["email"] != nil || a.text("name") != "Bo" {
		t.Errorf("%s", a.Raw)
	}
	w.want(204, "", "DELETE", path, "", w.here())
	w.want(404, "not_found", "GET", path, "", w.here())
	w.want(404, "not_found", "DELETE", path, "", w.here())
	w.number()
	log := w.want(200, "", "GET", "/v1/events", "")
	if !strings.Contains(string(log.Raw), `"erased":true`) || strings.Contains(string(log.Raw), "bo@example.com") {
		t.Errorf("%s", log.Raw)
	}
}

func TestWebhookEndpointsAreForAWorkspaceOrTheAgency(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	body := `{"url":"http://127.0.0.1:9/","event_types":["*"]}`
	whole := w.want(201, "", "POST", "/v1/webhook_endpoints", body)
	one := w.want(201, "", "POST", "/v1/webhook_endpoints", body, w.here())
	named := w.want(201, "", "POST", "/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/","event_types":["message.created"],"payload":"thin","workspace_id":"`+w.ws+`"}`, headers{"Idempotency-Key": "k"})
	if whole.JSON["workspace_id"] != nil || one.text("workspace_id") != w.ws || named.text("workspace_id") != w.ws || !strings.HasPrefix(one.text("secret"), "whsec_") {
		t.Errorf("%s %s %s", whole.Raw, one.Raw, named.Raw)
	}
	replay := w.want(201, "", "POST", "/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/","event_types":["message.created"],"payload":"thin","workspace_id":"`+w.ws+`"}`, headers{"Idempotency-Key": "k"})
	if replay.text("id") != named.text("id") || replay.text("secret") != named.text("secret") {
		t.Errorf("replayed as %s", replay.Raw)
	}
	mine := headers{"Authorization": "Bearer " + w.narrow}
	w.want(404, "not_found", "GET", "/v1/webhook_endpoints/"+whole.text("id"), "", mine)
	path := "/v1/webhook_endpoints/" + one.text("id")
	if a := w.want(200, "", "GET", path, "", mine); a.JSON["secret"] != nil {
		t.Error("the secret is shown again")
	}
	w.want(200, "", "PATCH", path, `{"status":"disabled"}`, mine)
	w.want(200, "", "GET", path+"/attempts", "", mine)
	w.want(422, "", "POST", "/v1/webhook_endpoints", `{"url":"x","event_types":["*"]}`)
	w.want(422, "", "POST", "/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/","event_types":["nothing"]}`)
	w.want(201, "", "POST", "/v1/contacts", `{"name":"Bo"}`, w.here())
	w.number()
	sent := w.want(200, "", "GET", "/v1/webhook_endpoints/"+whole.text("id")+"/deliveries", "")
	if at(sent.JSON, "data.0.status") != "pending" {
		t.Fatalf("deliveries: %s", sent.Raw)
	}
	w.want(200, "", "POST", "/v1/webhook_deliveries/"+at(sent.JSON, "data.0.id").(string)+"/resend", "")
	w.want(204, "", "DELETE", path, "", mine)
	w.want(404, "not_found", "GET", path, "")
}

func TestTheSameMessageTwentyTimesAtOnceIsOneMessage(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	conv := w.want(201, "", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"Hello"}}`, w.here()).text("id")
	path := "/v1/conversations/" + conv + "/messages"
	answers := make(chan answer, 20)
	for range 20 {
		go func() {
			answers <- w.send("POST", path, `{"author":{"type":"visitor"},"text":"When does my lamp arrive?"}`, w.here(), headers{"Idempotency-Key": "k"})
		}()
	}
	made := map[string]bool{}
	for range 20 {
		switch a := <-answers; {
		case a.Status == 201:
			made[a.text("id")] = true
		case a.problem() != "idempotency_in_flight":
			t.Errorf("%d %s", a.Status, a.Raw)
		}
	}
	all := w.want(200, "", "GET", path, "")
	if n := strings.Count(string(all.Raw), "When does my lamp arrive?"); n != 1 || len(made) != 1 {
		t.Errorf("%d messages, %d answers: %s", n, len(made), all.Raw)
	}
	if again := w.want(201, "", "POST", path, `{"author":{"type":"visitor"},"text":"When does my lamp arrive?"}`, w.here(), headers{"Idempotency-Key": "k"}); !made[again.text("id")] || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %s", again.Raw)
	}
	w.want(422, "idempotency_mismatch", "POST", path, `{"author":{"type":"visitor"},"text":"Something else"}`, w.here(), headers{"Idempotency-Key": "k"})
}

func TestAMessageThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	w := setupWhole(t)
	conv := w.want(201, "", "POST", "/v1/conversations", `{"contact":{},"message":{"text":"Hello"}}`, w.here()).text("id")
	path := "/v1/conversations/" + conv + "/messages"
	for body, problem := range map[string]string{
		`{"text":"x"}`:                                                                                 "validation_failed #/author=required",
		`{"author":{"type":"visitor"}}`:                                                                "validation_failed #/text=required",
		`{"author":{"type":"visitor"},"text":""}`:                                                      "validation_failed #/text=too_short",
		`{"author":{"type":"assistant"},"text":"x"}`:                                                   "validation_failed #/author/type=not_one_of",
		`{"author":{"type":"member"},"text":"x"}`:                                                      "validation_failed #/author/member_id=invalid",
		`{"author":{"type":"member","member_id":"x"},"text":"x"}`:                                      "not_found #/author/member_id=not_found",
		`{"author":{"type":"visitor","member_id":"` + w.member + `"},"text":"x"}`:                      "validation_failed #/author/member_id=invalid",
		`{"author":{"type":"visitor"},"text":"x","visibility":"team"}`:                                 "validation_failed #/visibility=invalid",
		`{"author":{"type":"visitor"},"text":"a\u0000b"}`:                                              "validation_failed #/text=nul",
		`{"author":{"type":"visitor"},"text":"` + strings.Repeat("ä", 20_001) + `"}`:                   "validation_failed #/text=too_long",
		`{"author":{"type":"visitor"},"text":"x","client_id":"` + strings.Repeat("x", 256) + `"}`:      "validation_failed #/client_id=too_long",
		`{"author":{"type":"visitor"},"text":"x","metadata":{"k":"` + strings.Repeat("x", 501) + `"}}`: "validation_failed #/metadata/k=invalid",
	} {
		status := 422
		if strings.HasPrefix(problem, "not_found") {
			status = 404
		}
		w.want(status, problem, "POST", path, body, w.here())
	}
	if a := w.send("POST", path, `{"author":{"type":"visitor"},"text":"   "}`, w.here()); a.Status != 422 {
		t.Errorf("blanks: %d %s", a.Status, a.Raw)
	}
	w.want(422, "validation_failed #/contact=invalid", "POST", "/v1/conversations", `{"message":{"text":"x"}}`, w.here())
	w.want(404, "not_found #/contact_id=not_found", "POST", "/v1/conversations", `{"contact_id":"x","message":{"text":"x"}}`, w.here())
	all := w.want(200, "", "GET", path+"?after_seq=1&order=asc", "")
	for _, m := range all.JSON["data"].([]any) {
		if at(m.(map[string]any), "author.type") == "visitor" {
			t.Errorf("something was stored: %v", m)
		}
	}
}
