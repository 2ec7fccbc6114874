package rank_test

import (
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

func TestCodeIsToldFromLanguage(t *testing.T) {
	t.Parallel()
	code := []string{
		`curl "$URL/v1/things" -H "Authorization: Bearer $KEY" \`,
		`-d '{"name": "lamp", "price": 5}'`,
		`WS=$(rd "$URL/v1/workspaces" -d '{"name": "Lamp shop"}' | field id)`,
		`rd "$URL/v1/messages" -d '{"text": "Thanks. Can I talk to a person?"}' | field turn.status`,
		`{"ready":true,"url":"http://localhost"}`, `{`, `});`, `"type": "message.created",`,
		`<script src="https://example.com/w.js"></script>`, `<div class="box">`, `</body>`,
		`want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))`, `mac.Write(body)`, `return any(f(x) for x in y)`, `return false`,
		`if not (a and b):`, `import base64, hashlib`, `const id = headers['webhook-id'];`, `export RELAYDESK_KEY=abc`, `kill $RECEIVER`, `$ make dev`,
	}
	for _, line := range code {
		if !rank.CodeLines(line)[0] {
			t.Errorf("language: %s", line)
		}
	}
	for _, line := range []string{
		"", "- Monday to Friday, 9 to 18", "Opening hours: 9–18 (Sat. 10–14).", "Standard | 3 days | 5 €", "POST /v1/contacts/{id} makes one.", "A lamp costs $5, two cost $9.",
		`{"to": "team"} puts it back into the inbox with a new promise.`, `"payload": "thin" sends type and ids without the object.`, `["*"] means all.`,
		"GET /v1/webhook_endpoints/{id}/attempts lists the attempts with status, time taken, and what was answered.", "Import your contacts (as a file) and go on.",
		`Click "Save", then "Close".`, "Call us: +49 (0)30 123456.", "return shipping is free", "for returns (within 30 days) we pay", "If you (or others) can't log in, reset the password.",
		"Write to help@example.com.", "curl is a program that fetches an address.", "Set RELAYDESK_OPENAI_BASE_URL, RELAYDESK_OPENAI_API_KEY and RELAYDESK_OPENAI_MODEL.",
		"営業時間は９時から１８時までです。", "rd is curl with your key. Ask who you are:", "Let the proxy pass streams through; others don't.", "Kosten: 5 % (mindestens 3 €)", "R&D; sales & more",
	} {
		if rank.CodeLines(line)[0] {
			t.Errorf("code: %s", line)
		}
	}
}

func TestWhatStandsBetweenLinesOfCodeIsCode(t *testing.T) {
	t.Parallel()
	const text = "Start it like this:\nA=$(start it)\nsleep 1\n\nwait there\nstop \"$A\"\nIt has ended."
	if got := rank.WithoutCode(text); got != "Start it like this:\nIt has ended." {
		t.Errorf("%q", got)
	}
	if only := "{\n\"a\": 1,\n\"b\": [\n]\n}"; rank.WithoutCode(only) != only {
		t.Errorf("%q", rank.WithoutCode(only))
	}
	if plain := "One.\n\nTwo | three"; rank.WithoutCode(plain) != plain {
		t.Error("a text without code changed")
	}
}

func TestAQuestionMayBeAboutCode(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]bool{
		"How do I make an endpoint with curl?": true, "Give me a JSON example": true, "Why does mac.Write(body) fail?\nmac.Write(body)": true,
		"What is my promo code?": false, "How do I make a webhook endpoint?": false, "Wo finde ich meine Rechnung?": false,
	} {
		if rank.AboutCode(q) != want {
			t.Errorf("%s: %t", q, !want)
		}
	}
}

// Whatever a text is, each of its lines is judged.
func FuzzCodeLines(f *testing.F) {
	f.Add("a\n{\n\nb | c\n$(x")
	f.Fuzz(func(t *testing.T, text string) {
		if n := len(rank.CodeLines(text)); n != strings.Count(text, "\n")+1 {
			t.Errorf("%d lines", n)
		}
	})
}
