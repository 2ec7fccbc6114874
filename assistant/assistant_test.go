package assistant_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/assistant"
	"github.com/relaydesk/relaydesk/assistant/assistanttest"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

const (
	shipping = "Shipping\n\n# Shipping\n\nParcels to Austria arrive within three working days. Parcels to Norway arrive within nine working days."
	returns  = "Returns\n\n# Returns\n\nUnused lamps can be returned within thirty days. The label for returns lies in the box."
)

// lamps is a workspace that knows of shipping and returns.
func lamps(t *testing.T, o assistanttest.Options) *assistanttest.World {
	t.Helper()
	w := assistanttest.New(t, o)
	w.Learn(shipping, returns)
	w.Sure(.95)
	return w
}

func settings(w *assistanttest.World, c tenants.SettingsChange) {
	w.Helper()
	_, err := w.Tenants.UpdateSettings(w.Context(), w.W, c, nil)
	w.Must(err)
}

// answered fails unless the last message is an answer of the assistant.
func answered(w *assistanttest.World, id ids.ID) conversations.Message {
	w.Helper()
	m := w.Last(id)
	if c := w.Get(id); m.Author != conversations.Assistant || c.State() != conversations.Assistant || !c.TurnID.IsZero() {
		w.Fatalf("%s (%s) has the last word: %q", m.Author, c.State(), m.Text)
	}
	return m
}

// escalated fails unless a person was called, for that reason, and the visitor
// was told so.
func escalated(w *assistanttest.World, id ids.ID, trigger string) handoff.Escalation {
	w.Helper()
	e, m := w.Escalation(id), w.Last(id)
	if e.Trigger != trigger || e.Status != handoff.StatusOpen {
		w.Errorf("%s escalation by %s (%+v)", e.Status, e.Trigger, e.Triggers)
	}
	if m.Author != conversations.System || m.Visibility != conversations.Public || m.Text == "" {
		w.Errorf("%s has the last word: %q", m.Author, m.Text)
	}
	if c := w.Get(id); c.State() != "waiting" || !c.TurnID.IsZero() {
		w.Errorf("%s, turn %x", c.State(), c.TurnID)
	}
	return e
}

func TestAnAnswerQuotesThePassagesThatItCites(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	id := w.Ask("How many working days until parcels to Norway arrive?")
	m := answered(w, id)
	if !strings.Contains(m.Text, "Parcels to Norway arrive within nine working days.") || len(m.Citations) == 0 || m.Confidence == nil || *m.Confidence < .9 || m.Offers {
		t.Fatalf("%+v", m)
	}
	for _, c := range m.Citations {
		if c.Quote == "" || !strings.Contains(c.Passage, c.Quote) || !strings.Contains(m.Text, c.Quote) || c.PageID.IsZero() || c.Title == "" {
			t.Errorf("%+v", c)
		}
	}
	if c := w.Get(id); c.UnsureTurns != 0 || c.PendingOffer != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAWishForAPersonIsReadThoughMoreWasWrittenAfterIt(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	c := w.Start("I want to talk to a person")
	w.Post(c.Conversation.ID, "hello?")
	w.Run(c.Conversation.ID)
	e := escalated(w, c.Conversation.ID, triggers.VisitorAsked)
	if e.Triggers[0].Evidence != "I want to talk to a person" || e.Triggers[0].Seq != 1 {
		t.Errorf("%+v", e.Triggers)
	}
}

func TestYesToTheOfferOfAPersonEscalates(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w.Sure(.65)
	id := w.Ask("Do parcels to Norway arrive?")
	m := answered(w, id)
	if !m.Offers || !strings.HasSuffix(m.Text, notices.Offer("en")) || w.Get(id).PendingOffer != m.Seq || len(m.Citations) == 0 {
		t.Fatalf("%+v", m)
	}
	w.Say(id, "yes please")
	escalated(w, id, triggers.VisitorAsked)
}

// A yes that was written while the offer was still being made is none to it.
func TestYesBeforeTheOfferWasStoredIsNoYesToIt(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w.Sure(.65)
	c := w.Start("Do parcels to Norway arrive?")
	id := c.Conversation.ID
	w.Post(id, "yes please")
	w.Run(id)
	if m := answered(w, id); !m.Offers {
		t.Fatalf("%+v", m)
	}
	w.Say(id, "yes please")
	escalated(w, id, triggers.VisitorAsked)
}

func TestNoToTheOfferOfAPersonLeavesTheConversationWithTheAssistant(t *testing.T) {
	t.Parallel()
	for _, no := range []string{"no thanks", "Nein danke", "Ok thanks, that helped!", "not now"} {
		w := lamps(t, assistanttest.Options{})
		w.Sure(.65)
		id := w.Ask("Do parcels to Norway arrive?")
		w.Sure(.05)
		w.Say(id, no)
		if m := answered(w, id); m.Offers || len(m.Citations) != 0 || w.Get(id).PendingOffer != 0 {
			t.Errorf("%s: %+v", no, m)
		}
	}
}

func TestWhatContentDoesNotAnswerGoesToAPerson(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w.Sure(.1)
	id := w.Ask("Which colours do parcels have in Norway?")
	e := escalated(w, id, triggers.AssistantUnsure)
	p, err := w.Handoff.Packet(t.Context(), tenants.Of(w.W), e.ID)
	w.Must(err)
	if p.NextStep == nil || len(p.Tried) != 1 || !strings.Contains(w.Last(id).Text, "couldn't find") {
		t.Errorf("%+v\n%s", p, w.Last(id).Text)
	}
	w = assistanttest.New(t, assistanttest.Options{}) // knows nothing at all
	escalated(w, w.Ask("Which colours do parcels have in Norway?"), triggers.AssistantUnsure)
}

func TestAWorkspaceMayOfferAPersonWhereContentDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	effect := tenants.UnsureOffers
	settings(w, tenants.SettingsChange{UnsureEffect: &effect})
	w.Sure(.1)
	id := w.Ask("Which colours do parcels have in Norway?")
	m := answered(w, id)
	if !m.Offers || len(m.Citations) != 0 || !strings.HasPrefix(m.Text, notices.NotAnswered("en")) || w.Get(id).UnsureTurns != 1 {
		t.Fatalf("%+v", m)
	}
	w.Say(id, "yes")
	escalated(w, id, triggers.VisitorAsked)
}

func TestTheThirdUnsureTurnInARowIsThatOfAVisitorWhoIsStuck(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w.Sure(.65)
	id := w.Ask("Do parcels to Norway arrive?")
	answered(w, id)
	w.Say(id, "What about unused lamps that were returned to you?")
	answered(w, id)
	w.Say(id, "And where is the label for returns supposed to be?")
	e := escalated(w, id, triggers.VisitorStuck)
	if e.Priority != handoff.High {
		t.Errorf("%+v", e)
	}
	// A sure answer between them begins anew.
	id = w.Ask("Do parcels to Norway arrive?")
	w.Say(id, "What about unused lamps that were returned to you?")
	w.Sure(.95)
	w.Say(id, "And where is the label for returns supposed to be?")
	if answered(w, id).Offers || w.Get(id).UnsureTurns != 0 {
		t.Errorf("%+v", w.Get(id))
	}
}

func TestWhoAsksAgainAndIsToldTheSameIsOfferedAPerson(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	id := w.Ask("When do parcels to Norway arrive?")
	if answered(w, id).Offers {
		t.Fatal("offered at once")
	}
	w.Say(id, "When do parcels to Norway arrive?")
	if m := answered(w, id); !m.Offers {
		t.Errorf("%+v", m)
	}
}

func TestSmallTalkIsReturnedInItsLanguage(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w.Sure(.05)
	id := w.Ask("Bonjour !")
	m := answered(w, id)
	if !strings.HasPrefix(m.Text, "Bonjour !") || m.Confidence != nil || w.Get(id).Language != "" {
		t.Fatalf("%+v, language %q", m, w.Get(id).Language)
	}
	for _, text := range []string{"hello?", "Thank you very much!", "ok", "👍", "bye"} {
		w.Say(id, text)
		answered(w, id)
	}
	c := w.Start("Hi there")
	w.Post(c.Conversation.ID, "Which colours do parcels have in Norway?")
	w.Run(c.Conversation.ID)
	escalated(w, c.Conversation.ID, triggers.AssistantUnsure)
}

func TestAGermanVisitorIsSpokenToInGermanAlsoAfterAnEnglishGreeting(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w.Sure(.05)
	id := w.Ask("Hi")
	if c := w.Get(id); c.Language != "" {
		t.Fatalf("%q after two letters", c.Language)
	}
	w.Say(id, "Welche Farben haben die Pakete, die nach Norwegen geschickt werden?")
	escalated(w, id, triggers.AssistantUnsure)
	if m := w.Last(id); w.Get(id).Language != "de" || !strings.HasPrefix(m.Text, "Dazu habe ich keine verlässliche Antwort") {
		t.Errorf("%q: %q", w.Get(id).Language, m.Text)
	}
}

func TestWhileWaitingNothingIsOfferedAndNothingIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	id := w.Ask("I want to talk to a person")
	escalated(w, id, triggers.VisitorAsked)
	first := w.Escalation(id).ID
	say := func(text string, author string) conversations.Message {
		t.Helper()
		w.Say(id, text)
		m := w.Last(id)
		if c := w.Get(id); m.Author != author || m.Offers || c.PendingOffer != 0 || c.State() != "waiting" || c.EscalationID != first || !c.TurnID.IsZero() {
			t.Errorf("after %q %s says %q; %+v", text, m.Author, m.Text, c)
		}
		return m
	}
	if m := say("When do parcels to Norway arrive?", conversations.Assistant); !strings.Contains(m.Text, "nine") {
		t.Errorf("%+v", m)
	}
	say("thanks", conversations.Assistant)
	w.Sure(.65)
	say("What about unused lamps?", conversations.Assistant)
	w.Sure(.05)
	if m := say("hello", conversations.System); !strings.Contains(m.Text, "The team will see this message too") {
		t.Errorf("%+v", m)
	}
	n := len(w.Messages(id))
	for range 4 { // the promise is repeated once
		w.Say(id, "Which colours do parcels have?")
	}
	if more := len(w.Messages(id)) - n; more != 4 || len(w.Escalation(id).Triggers) != 1 {
		t.Errorf("%d messages more, %+v", more, w.Escalation(id).Triggers)
	}
}

func TestASensitiveWishIsAnsweredWithTheOfferOfAPersonAndTagged(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w.Learn("Refunds\n\n# Refunds\n\nRefunds are paid to the card that was used.")
	w.Sure(.95)
	id := w.Ask("My lawyer says refunds are paid to the card that was used")
	m := answered(w, id)
	c := w.Get(id)
	if !m.Offers || !strings.Contains(m.Text, "Refunds are paid") || !slices.Contains(c.Tags, "legal_privacy") || c.UnsureTurns != 0 {
		t.Errorf("%+v, tags %v", m, c.Tags)
	}
	w.Say(id, "yes please")
	escalated(w, id, triggers.VisitorAsked)
}

func TestASuspendedWorkspacesAssistantSaysNothing(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	c := w.Start("When do parcels to Norway arrive?")
	w.Must(w.DB.InAgency(t.Context(), w.W.AgencyID, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "update workspaces set status = 'suspended' where workspace_id = $1", w.W.ID)
		return err
	}))
	w.Run(c.Conversation.ID)
	if turn := w.Turn(c.Turn.ID); turn.Status != conversations.Handled || len(w.Messages(c.Conversation.ID)) != 1 {
		t.Errorf("%+v", turn)
	}
	w.Say(c.Conversation.ID, "I want to talk to a person")
	escalated(w, c.Conversation.ID, triggers.VisitorAsked)
}

func TestAWishForAPersonIsReadAlsoIfTheConversationIsResolvedAtOnce(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	c := w.Start("I want to talk to a person")
	job := w.Job(c.Turn.ID)
	_, err := w.Handoff.Resolve(t.Context(), w.W, c.Conversation.ID, nil)
	w.Must(err)
	w.Must(w.Assistant.Answer(t.Context(), job, nil))
	escalated(w, c.Conversation.ID, triggers.VisitorAsked)
}

func TestATurnWhoseTimeIsNearlyOverGoesToAPerson(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	c := w.Start("When do parcels to Norway arrive?")
	w.Fake.Set(c.Turn.DueAt.Add(-5 * time.Second))
	w.Run(c.Conversation.ID)
	e := escalated(w, c.Conversation.ID, triggers.AssistantFailed)
	if e.Triggers[0].Evidence != "no answer in time" {
		t.Errorf("%+v", e.Triggers)
	}
}

// broken is an embedder that panics, as a model with a bad file would.
type broken struct{ assistanttest.Words }

func (broken) Query(context.Context, ...string) ([][]float32, error) { panic("bad file") }

func TestAnEmbedderThatPanicsCostsTheAnswerAndNotThePerson(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	w = w.Another(assistanttest.Options{Embedder: broken{}})
	escalated(w, w.Ask("When do parcels to Norway arrive?"), triggers.AssistantFailed)
	escalated(w, w.Ask("I want to talk to a person"), triggers.VisitorAsked)
}

func TestADryRunDecidesAsForATurnAndStoresNothing(t *testing.T) {
	t.Parallel()
	w := lamps(t, assistanttest.Options{})
	before := w.Rows()
	try := func(question string, lines ...assistant.Line) assistant.Tried {
		t.Helper()
		tried, err := w.Assistant.DryRun(t.Context(), w.W, question, lines, "")
		w.Must(err)
		return tried
	}
	if got := try("When do parcels to Norway arrive?"); got.Decision != assistant.DecidedAnswer || !strings.Contains(got.Answer, "nine") || len(got.Citations) == 0 || got.Confidence < .9 {
		t.Errorf("%+v", got)
	}
	if got := try("I want to talk to a person"); got.Decision != assistant.DecidedEscalate || got.Triggers[0].Kind != triggers.VisitorAsked || got.Answer != "" {
		t.Errorf("%+v", got)
	}
	offer := assistant.Line{Author: conversations.Assistant, Text: "Perhaps.\n\n" + notices.Offer("en")}
	if got := try("yes please", assistant.Line{Author: conversations.Visitor, Text: "When do parcels arrive?"}, offer); got.Decision != assistant.DecidedEscalate {
		t.Errorf("%+v", got)
	}
	w.Sure(.1)
	if got := try("Which colours do parcels have?"); got.Decision != assistant.DecidedEscalate || got.Triggers[0].Kind != triggers.AssistantUnsure || got.Confidence > .2 {
		t.Errorf("%+v", got)
	}
	if after := w.Rows(); after != before {
		t.Errorf("%d rows before, %d after", before, after)
	}
}

func replyOf(member ids.ID, text string) handoff.Reply {
	return handoff.Reply{MemberID: member, Text: text}
}
