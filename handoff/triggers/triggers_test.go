package triggers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/e5"
)

// embedder is e5, or what a test makes of it.
type embedder func(ctx context.Context, texts ...string) ([][]float32, error)

func (e embedder) Query(ctx context.Context, texts ...string) ([][]float32, error) {
	return e(ctx, texts...)
}

var shared struct {
	once  sync.Once
	model *e5.Model
	err   error
}

func real5(t testing.TB) embedder {
	t.Helper()
	path := artifactstest.Weights(t)
	shared.once.Do(func() { shared.model, shared.err = e5.Load(path) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return func(_ context.Context, texts ...string) ([][]float32, error) {
		return shared.model.Query(texts...), nil
	}
}

func reader(t testing.TB, e embedder) *triggers.Reader {
	t.Helper()
	r, err := triggers.New(e, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// turn makes messages, a second apart, from seq 11 on.
func turn(texts ...string) []triggers.Message {
	out := make([]triggers.Message, len(texts))
	for i, text := range texts {
		out[i] = triggers.Message{Seq: int64(11 + i), Text: text, WrittenAt: noon.Add(time.Duration(i) * time.Second)}
	}
	return out
}

func asked(found []triggers.Trigger) triggers.Trigger {
	for _, t := range found {
		if t.Kind == triggers.VisitorAsked {
			return t
		}
	}
	return triggers.Trigger{}
}

func TestNoLaterMessageHidesTheWishForAPerson(t *testing.T) {
	t.Parallel()
	r := reader(t, real5(t))
	for _, texts := range [][]string{
		{"I want to talk to a person", "hello?"},
		{"I want to talk to a person", "no, never mind the colour, just tell me where my order is"},
		{"hi", "Mitarbeiter bitte", "Was kostet der Versand?", "danke"},
		append(strings.Split(strings.Repeat("where is my order?\n", 49), "\n"), "quiero hablar con una persona"),
		append([]string{"quiero hablar con una persona"}, strings.Split(strings.Repeat("where is my order?\n", 49), "\n")...),
	} {
		found := r.Read(t.Context(), turn(texts...), nil)
		got := asked(found)
		if got.Effect != triggers.EffectEscalate {
			t.Errorf("%.80q: %+v", texts, found)
			continue
		}
		if written := texts[got.Seq-11]; !strings.Contains(written, got.Evidence) {
			t.Errorf("the evidence %q is not of message %d, %q", got.Evidence, got.Seq, written)
		}
	}
}

func TestAWishThatIsSentInTwoPartsCounts(t *testing.T) {
	t.Parallel()
	r := reader(t, real5(t))
	for _, texts := range [][]string{{"can I please talk", "to somebody real?"}, {"ich will mit jemandem", "sprechen"}, {"I need", "a real person here"}} {
		if got := asked(r.Read(t.Context(), turn(texts...), nil)); got.Effect != triggers.EffectEscalate {
			t.Errorf("%q: %+v", texts, got)
		}
	}
	for _, texts := range [][]string{{"where is my order?", "it is number 1234"}, {"how do I add", "more people to my team?"}} {
		if got := asked(r.Read(t.Context(), turn(texts...), nil)); got.Effect == triggers.EffectEscalate {
			t.Errorf("%q: %+v", texts, got)
		}
	}
}

func TestNoEmbedderHidesTheWishForAPerson(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]embedder{
		"fails":                 func(context.Context, ...string) ([][]float32, error) { return nil, errors.New("down") },
		"panics":                func(context.Context, ...string) ([][]float32, error) { panic("closed") },
		"gives nothing":         func(context.Context, ...string) ([][]float32, error) { return nil, nil },
		"gives too many":        func(context.Context, ...string) ([][]float32, error) { return make([][]float32, 99), nil },
		"gives empty vectors":   func(_ context.Context, t ...string) ([][]float32, error) { return make([][]float32, len(t)), nil },
		"gives shorter vectors": func(_ context.Context, t ...string) ([][]float32, error) { return slicesOf(len(t), 3), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := reader(t, e).Read(t.Context(), turn("My order is late. I want to talk to a person!", "hello?"), nil)
			if got := asked(found); got.Effect != triggers.EffectEscalate || got.Seq != 11 {
				t.Errorf("%+v", found)
			}
		})
	}
	t.Run("whatever the context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e := func(ctx context.Context, _ ...string) ([][]float32, error) { return nil, ctx.Err() }
		if got := asked(reader(t, e).Read(ctx, turn("agent!"), nil)); got.Effect != triggers.EffectEscalate {
			t.Errorf("%+v", got)
		}
	})
}

func slicesOf(n, length int) [][]float32 {
	out := make([][]float32, n)
	for i := range out {
		out[i] = make([]float32, length)
		out[i][0] = 1
	}
	return out
}

func TestAnEmbedderThatHangsIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := reader(t, func(context.Context, ...string) ([][]float32, error) { // watches no context
			<-release
			return nil, nil
		})
		start := time.Now()
		found := r.Read(t.Context(), turn("get me a human"), nil)
		if waited := time.Since(start); waited > 3*time.Second || asked(found).Effect != triggers.EffectEscalate {
			t.Errorf("after %v: %+v", waited, found)
		}
		close(release)
	})
}

func TestAFailingEmbedderIsLoggedWithoutAnybodysWords(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r, err := triggers.New(embedder(func(context.Context, ...string) ([][]float32, error) { return nil, errors.New("down") }), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Read(t.Context(), turn("my secret is swordfish"), nil)
	if !strings.Contains(log.String(), "down") || strings.Contains(log.String(), "swordfish") {
		t.Error(log.String())
	}
}

func TestTheWorkOnATurnIsBounded(t *testing.T) {
	t.Parallel()
	calls, texts, longest, bytes := 0, 0, 0, 0
	r := reader(t, func(_ context.Context, all ...string) ([][]float32, error) {
		calls, texts = calls+1, texts+len(all)
		for _, s := range all {
			longest, bytes = max(longest, len(s)), bytes+len(s)
		}
		return slicesOf(len(all), 384), nil
	})
	var long strings.Builder
	for i := range 400 {
		fmt.Fprintf(&long, "Then I looked at lamp number %d and it was fine too. ", i)
	}
	many := make([]string, 50)
	for i := range many {
		many[i] = long.String()
	}
	many[7] = strings.Repeat("без конца и края ", 5000)
	r.Read(t.Context(), turn(many...), nil)
	if calls != 1 || texts > 36 || longest > 610 || bytes > 12_000 {
		t.Errorf("%d calls with %d texts of %d bytes, the longest of %d", calls, texts, bytes, longest)
	}
	bytes = 0
	r.Read(t.Context(), turn(strings.Repeat(strings.Repeat("a bc ", 300)+". ", 30), strings.Repeat(strings.Repeat("a bc ", 300)+". ", 30), strings.Repeat(strings.Repeat("a bc ", 300)+". ", 30)), nil)
	if bytes < 6000 || bytes > 12_000 {
		t.Errorf("%d bytes of long sentences", bytes)
	}
	texts = 0
	r.Read(t.Context(), turn(long.String()), nil)
	if texts != 12 {
		t.Errorf("%d sentences of one message", texts)
	}
}

func TestARequestAnywhereInALongStoryIsFound(t *testing.T) {
	t.Parallel()
	r := reader(t, real5(t))
	var story []string
	for i := range 60 {
		story = append(story, fmt.Sprintf("On day %d I looked at another lamp and it was nice.", i))
	}
	for _, place := range []int{0, 30, 59} {
		for want, ask := range map[string]string{"": "Could you please put me through to somebody?", "billing_dispute": "I was charged twice for my order!"} {
			told := append(append(append([]string{}, story[:place]...), ask), story[place:]...)
			found := r.Read(t.Context(), turn(strings.Join(told, " ")), nil)
			hit := false
			for _, f := range found {
				hit = hit || f.Topic == want && f.Effect == triggers.EffectEscalate && f.Evidence == ask
			}
			if !hit {
				t.Errorf("%q at %d: %+v", ask, place, found)
			}
		}
	}
}

func TestYesToAPendingOfferIsAskingForAPerson(t *testing.T) {
	t.Parallel()
	r := reader(t, real5(t))
	offer := &triggers.Offer{Seq: 10, StoredAt: noon.Add(-time.Minute)}
	yes := func(texts ...string) bool {
		return asked(r.Read(t.Context(), turn(texts...), offer)).Effect == triggers.EffectEscalate
	}
	for _, text := range []string{
		"yes please", "Yes!", "ok", "sure, go ahead", "ja bitte", "Ja, gerne", "oui, s'il vous plaît", "sí, por favor", "sì grazie", "sim, por favor", "ja graag", "tak, poproszę",
		"yes, but how long does it take?", "no, I want a human now",
	} {
		if !yes(text) {
			t.Errorf("%q does not accept", text)
		}
	}
	for _, text := range []string{"no thanks", "nein danke", "non merci", "no, gracias", "no grazie", "não, obrigado", "nee dank je", "nie, dziękuję", "ok thanks, that helped", "how much is shipping?", "wie lange dauert das?"} {
		if yes(text) {
			t.Errorf("%q accepts", text)
		}
	}
	if !yes("hm", "yes please") || !yes("no", "yes, please connect me") || !yes("yes", "how long does it take?") {
		t.Error("an answer among others is missed")
	}
	if yes("no thanks", "ok") || yes("no thanks", "ok bye") {
		t.Error("a goodbye after a refusal accepts")
	}
}

func TestAYesCountsOnlyIfTheOfferStoodThere(t *testing.T) {
	t.Parallel()
	r := reader(t, real5(t))
	for name, offer := range map[string]*triggers.Offer{
		"no offer":         nil,
		"stored later":     {Seq: 10, StoredAt: noon.Add(time.Second)},
		"a later message":  {Seq: 12, StoredAt: noon.Add(-time.Second)},
		"the same message": {Seq: 11, StoredAt: noon},
	} {
		if found := r.Read(t.Context(), turn("yes please"), offer); len(found) != 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
	got := asked(r.Read(t.Context(), turn("yes please"), &triggers.Offer{Seq: 10, StoredAt: noon}))
	if got.Evidence != "yes please" || got.Seq != 11 {
		t.Errorf("%+v", got)
	}
}

func TestTheStrongestTriggerDecides(t *testing.T) {
	t.Parallel()
	if _, ok := triggers.Strongest(nil); ok {
		t.Error("something of nothing")
	}
	offer := triggers.Trigger{Kind: triggers.VisitorAsked, Effect: triggers.EffectOffer, Score: 9}
	topic := triggers.Trigger{Kind: triggers.SensitiveTopic, Topic: "danger", Effect: triggers.EffectEscalate, Score: 5}
	asks := triggers.Trigger{Kind: triggers.VisitorAsked, Effect: triggers.EffectEscalate}
	tag := triggers.Trigger{Kind: triggers.SensitiveTopic, Topic: "refund", Effect: triggers.EffectTag, Score: 99}
	for _, c := range []struct {
		all  []triggers.Trigger
		want triggers.Trigger
	}{{[]triggers.Trigger{tag, offer, topic}, topic}, {[]triggers.Trigger{topic, asks, offer}, asks}, {[]triggers.Trigger{tag, offer}, offer}, {[]triggers.Trigger{tag}, tag}} {
		if got, ok := triggers.Strongest(c.all); !ok || got != c.want {
			t.Errorf("%+v", got)
		}
	}
}

func TestEachKindAndTopicIsNamedOnceByItsStrongestWords(t *testing.T) {
	t.Parallel()
	found := reader(t, real5(t)).Read(t.Context(), turn("how do I get a refund?", "I want a refund", "agent", "I WANT AN AGENT"), nil)
	seen := map[string]triggers.Trigger{}
	for _, f := range found {
		if _, twice := seen[f.Kind+f.Topic]; twice {
			t.Errorf("%s %s twice", f.Kind, f.Topic)
		}
		seen[f.Kind+f.Topic] = f
	}
	if got := seen[triggers.SensitiveTopic+"refund"]; got.Seq != 12 || got.Effect != triggers.EffectOffer {
		t.Errorf("%+v", got)
	}
	if got := seen[triggers.VisitorAsked]; got.Seq != 13 {
		t.Errorf("%+v", got)
	}
}

func FuzzNothingThatIsWrittenBreaksTheReader(f *testing.F) {
	for _, s := range []string{"agent", "", "\x00\xff", "yes please", strings.Repeat("a.", 300), strings.Repeat("é", 3000), "…!?\n\n"} {
		f.Add(s, s)
	}
	r := reader(f, func(_ context.Context, t ...string) ([][]float32, error) { return slicesOf(len(t), 384), nil })
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, found := range r.Read(t.Context(), turn(a, b), &triggers.Offer{Seq: 10, StoredAt: noon}) {
			if found.Seq < 11 || found.Seq > 12 || found.Effect == "" || found.Kind == "" || len([]rune(found.Evidence)) > 301 {
				t.Fatalf("%+v", found)
			}
		}
	})
}
