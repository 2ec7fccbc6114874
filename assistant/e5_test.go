package assistant_test

import (
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/assistant/assistanttest"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/e5"
	"github.com/relaydesk/relaydesk/internal/embedder"
	"github.com/relaydesk/relaydesk/knowledge"
)

// shop is a small site of a shop for lamps, in English.
var shop = []string{
	shipping, returns,
	"Warranty\n\n# Warranty\n\nEvery lamp has a warranty of five years. The warranty covers the driver and the housing. It does not cover broken glass.",
	"Setting up the Aurora lamp\n\n# Setting up\n\nHold the button on the base for five seconds until the light blinks. Open the app and choose Add a lamp.\n\n# Resetting\n\nTo reset the lamp, switch it off and on three times. It forgets its rooms and scenes.",
	"Paying\n\n# Ways to pay\n\nWe take cards, PayPal and bank transfer. Invoices are sent by e-mail.\n\n# Student discount\n\nStudents get ten percent off with a student card.",
	"Opening hours of the shop\n\n# Opening hours\n\nThe shop in Graz is open from Monday to Friday, nine to six, and on Saturday until one.",
}

// seeing is a workspace whose assistant has the real embedder.
func seeing(t *testing.T) *assistanttest.World {
	t.Helper()
	model, err := e5.Load(artifactstest.Weights(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	})
	w := assistanttest.New(t, assistanttest.Options{Embedder: embedder.New(model)})
	w.Learn(shop...)
	return w
}

func TestWithTheRealEmbedderAShopsVisitorsAreAnsweredFromItsPagesOrHandedOver(t *testing.T) {
	t.Parallel()
	w := seeing(t)
	for _, c := range []struct{ question, answer string }{
		{"How long does delivery to Norway take?", "nine working days"},
		{"How do I reset my lamp?", "switch it off and on three times"},
		{"Is there a discount for students?", "ten percent"},
		{"What does the warranty cover?", "driver"},
		{"When is your shop in Graz open?", "nine to six"},
	} {
		id := w.Ask(c.question)
		if m := w.Last(id); m.Author != "assistant" || !strings.Contains(m.Text, c.answer) {
			t.Errorf("%s: %s says %q", c.question, m.Author, m.Text)
		} else {
			t.Logf("%.2f offers %t: %s", *m.Confidence, m.Offers, c.question)
		}
	}
	for _, question := range []string{"What is the capital of Mongolia?", "Can you write me a poem about the sea?", "Which football club won the cup in 1974?"} {
		e := escalated(w, w.Ask(question), triggers.AssistantUnsure)
		t.Logf("%s: %s", e.Triggers[0].Evidence, question)
	}
	for _, wish := range []string{"could somebody real look at this with me please", "Ich hätte gerne jemanden, der mir persönlich weiterhilft"} {
		if m := w.Last(w.Ask(wish)); m.Author != "system" && !m.Offers {
			t.Errorf("%q neither calls nor offers a person: %q", wish, m.Text)
		}
	}
}

func TestAFewWordsAreUnderstoodFromTheQuestionBeforeThem(t *testing.T) {
	t.Parallel()
	w := seeing(t)
	id := w.Ask("How long do parcels to Austria take?")
	w.Say(id, "and to Norway?")
	if m := w.Last(id); m.Author != "assistant" || !strings.Contains(m.Text, "Norway arrive within nine") {
		t.Errorf("%s: %q", m.Author, m.Text)
	}
}

// calibrate works the workspace's newest job of calibration.
func calibrate(w *assistanttest.World) {
	w.Helper()
	known, err := w.Knowledge.Calibration(w.Context(), w.W)
	w.Must(err)
	w.Must(w.Assistant.Calibrate(w.Context(), knowledge.Calibrate{AgencyID: w.W.AgencyID, WorkspaceID: w.W.ID, Changes: known.Changes}))
}

func TestCalibratingASmallWorkspaceAddsNoFalseAnswersAndKeepsTheTrueOnes(t *testing.T) {
	t.Parallel()
	w := seeing(t)
	foreign := []string{
		"How do I renew my passport?", "What is the best way to train a puppy?", "Which lamp post did the car hit in the film?", "How do I reset my bank card's PIN?",
		"Can I return library books by post?", "What does travel insurance cover?", "How do I set up a printer?", "Do you sell season tickets?", "Which vaccines do I need for Kenya?",
		// Traps: most of their words are there, and their answer is not.
		"Is there a discount on train tickets for students?", "What are the opening hours of the museum in Oslo?", "How long does a flight to Norway take?",
	}
	own := []string{"How long does delivery to Norway take?", "How do I reset my lamp?", "Which ways to pay are there?", "How long is the warranty?", "When is the shop open?", "Can I return a lamp?"}
	count := func(questions []string) (answers int, mean float64) {
		for _, q := range questions {
			tried, err := w.Assistant.DryRun(w.Context(), w.W, q, nil, "en")
			w.Must(err)
			mean += tried.Confidence / float64(len(questions))
			if tried.Decision == assistant.DecidedAnswer {
				answers++
			}
		}
		return answers, mean
	}
	falseBefore, meanBefore := count(foreign)
	trueBefore, _ := count(own)
	calibrate(w)
	w.Fake.Advance(11e9)
	falseAfter, meanAfter := count(foreign)
	trueAfter, _ := count(own)
	t.Logf("of %d foreign questions answered %d, then %d (mean confidence %.2f, then %.2f); of %d own %d, then %d",
		len(foreign), falseBefore, falseAfter, meanBefore, meanAfter, len(own), trueBefore, trueAfter)
	if falseAfter > falseBefore || falseAfter > 4 || meanAfter != meanBefore || trueAfter < len(own) || trueBefore < len(own) {
		t.Error("calibrating made it worse")
	}
	// A job of an index that has changed since does nothing.
	known, err := w.Knowledge.Calibration(w.Context(), w.W)
	w.Must(err)
	w.Must(w.Assistant.Calibrate(w.Context(), knowledge.Calibrate{AgencyID: w.W.AgencyID, WorkspaceID: w.W.ID, Changes: known.Changes - 1}))
	if after, err := w.Knowledge.Calibration(w.Context(), w.W); err != nil || after.MadeFor != known.Changes {
		t.Errorf("%+v, %v", after, err)
	}
}
