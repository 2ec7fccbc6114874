package provider

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/openai/openai-go/v3"
)

// Whatever a model writes, what is let through keeps what Reply promises.
func FuzzNoAnswerIsLetThroughThatRestsOnNothing(f *testing.F) {
	for _, seed := range []string{
		`{"action":"answer","text":"In 30 days.","citations":[{"id":"p1","quote":"within 30 days"}],"answered":true,"confidence":0.9}`,
		`{"action":"answer","text":"x","citations":[{"id":"p9","quote":"y"},{"id":" p2 "}],"confidence":1e9}`,
		"```json\n{\"action\":\"escalate\"}\n```", `{"action":"answer","text":"\u0000"}`, `{"ACTION":"answer"}`, `null`, `{`, "HANDOFF", "",
		`{"action":"answer","text":"\ud800","citations":[{"id":"p1","quote":"İß\u00ad"}]}`,
	} {
		f.Add(seed, "You may return it within 30 days.")
	}
	f.Fuzz(func(t *testing.T, message, passage string) {
		shown := map[string]string{"p1": passage, "p2": "Straße İstanbul"}
		var choice openai.ChatCompletionChoice
		choice.Message.Content = message
		reply, err := check(choice, shown)
		if err != nil {
			if !errors.Is(err, ErrNonsense) && !errors.Is(err, ErrUngrounded) {
				t.Fatalf("error without a kind: %v", err)
			}
			return
		}
		if reply.Action != ActionAnswer && reply.Action != ActionEscalate {
			t.Fatalf("action %q", reply.Action)
		}
		if reply.Action == ActionAnswer && (reply.Text == "" || len(reply.Citations) == 0) {
			t.Fatalf("an answer without text or citation: %+v", reply)
		}
		if !utf8.ValidString(reply.Text) || strings.ContainsRune(reply.Text, 0) || utf8.RuneCountInString(reply.Text) > maxText {
			t.Fatalf("text %q", reply.Text)
		}
		if reply.Confidence < 0 || reply.Confidence > 1 {
			t.Fatalf("confidence %v", reply.Confidence)
		}
		for _, c := range reply.Citations {
			text, ok := shown[c.ID]
			if !ok || !strings.Contains(text, c.Quote) {
				t.Fatalf("citation %+v of %q", c, text)
			}
		}
	})
}
