package assistant

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/tenants"
)

const (
	mostHits = 8
	// stuck is the unsure turn in a row at which a visitor is stuck.
	stuck = 3
	// aside bounds the search for a packet's next step, which a handoff does
	// not wait for longer.
	aside = 2 * time.Second
)

// ask is what the assistant is to decide about.
type ask struct {
	w        postgres.Workspace
	settings tenants.Settings
	messages []triggers.Message // that nobody has answered, oldest first
	history  []conversations.Message
	offer    *triggers.Offer
	language string   // the conversation's; "": not known yet
	likely   []string // other languages that are expected, the most expected first
	unsure   int      // turns in a row before this one
	waiting  bool     // for a person who was called already
	now      time.Time
	due      time.Time
}

// decision is what the assistant decided.
type decision struct {
	language   string // that is spoken to the visitor
	shown      bool   // the visitor's words show it
	triggers   []handoff.Trigger
	answer     *handoff.Answer
	confidence float64 // that content answers, where it was asked
	hits       []packet.Hit
}

func (d *decision) trigger(kind, effect, evidence string, score float64, at time.Time) {
	d.triggers = append(d.triggers, handoff.Trigger{Kind: kind, Effect: effect, Evidence: evidence, Score: score, At: at})
}

func (d *decision) strongest() string {
	for _, effect := range []string{triggers.EffectEscalate, triggers.EffectOffer} {
		if slices.ContainsFunc(d.triggers, func(t handoff.Trigger) bool { return t.Effect == effect }) {
			return effect
		}
	}
	return ""
}

func (d *decision) settlement(work conversations.Work, final bool) handoff.Settlement {
	s := handoff.Settlement{
		TurnID: work.Turn.ID, Lease: work.Lease, Epoch: work.Conversation.Epoch, Seq: work.Last(), Final: final,
		Triggers: d.triggers, Answer: d.answer, Hits: d.hits,
	}
	if d.shown {
		s.Language = d.language
	}
	return s
}

// decideTurn decides about a claimed turn.
func (a *Assistant) decideTurn(ctx context.Context, w postgres.Workspace, work conversations.Work) (decision, error) {
	settings, err := a.Tenants.Settings(ctx, w)
	if err != nil {
		return decision{}, err
	}
	q := ask{
		w: w, settings: settings, history: work.History, language: work.Conversation.Language, unsure: work.Conversation.UnsureTurns,
		waiting: work.Conversation.Owner != conversations.Assistant, now: a.Clock.Now(), due: work.Turn.DueAt,
	}
	if work.Contact.Language != "" {
		q.likely = append(q.likely, work.Contact.Language)
	}
	q.likely = append(q.likely, settings.Languages...)
	for _, m := range work.Messages {
		q.messages = append(q.messages, triggers.Message{Seq: m.Seq, Text: m.Text, WrittenAt: m.CreatedAt})
	}
	if work.Offer != nil {
		q.offer = &triggers.Offer{Seq: work.Offer.Seq, StoredAt: work.Offer.StoredAt}
	}
	if work.Silent {
		d := decision{triggers: handoff.Read(a.Triggers.Read(ctx, q.messages, q.offer), q.now)}
		d.language, d.shown = q.tongue()
		return d, ctx.Err()
	}
	return a.decide(ctx, q)
}

// decide reads the words, then content, and gives what to do. It fails only
// when its context ends; whatever else fails calls a person.
func (a *Assistant) decide(ctx context.Context, q ask) (d decision, err error) {
	d.triggers = handoff.Read(a.Triggers.Read(ctx, q.messages, q.offer), q.now)
	d.language, d.shown = q.tongue()
	if d.strongest() == triggers.EffectEscalate {
		d.hits = a.nextSteps(ctx, q, d.language)
		return d, ctx.Err()
	}
	if len(d.triggers) == 0 {
		if kind, lang := smallTalk(q.messages, q.offer != nil, d.language); kind != none {
			d.chat(q, kind, lang)
			return d, nil
		}
	}
	// Time is kept to say that it failed.
	working, cancel := context.WithTimeout(ctx, q.due.Add(-reserve).Sub(q.now))
	defer cancel()
	made, err := a.attempt(working, q, d.language)
	d.confidence, d.hits = made.confidence, packetHits(made.found)
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case err != nil:
		a.Log.WarnContext(ctx, "no answer could be made", "workspace", q.w.ID, "error", err)
		d.trigger(triggers.AssistantFailed, triggers.EffectEscalate, failure(err), 0, q.now)
		return d, nil
	}
	d.judge(q, made)
	return d, nil
}

// chat answers small talk. Who waits for a person is not asked once more what
// it is about, but told what was promised.
func (d *decision) chat(q ask, kind courtesy, lang string) {
	if q.waiting && kind != thanks {
		d.trigger(triggers.AssistantUnsure, triggers.EffectEscalate, "small talk", 0, q.now)
		return
	}
	d.answer = &handoff.Answer{Text: kind.reply(lang)}
}

// text is all of the turn.
func (q ask) text() string {
	texts := make([]string, len(q.messages))
	for i, m := range q.messages {
		texts[i] = m.Text
	}
	return strings.Join(texts, "\n")
}

const (
	// searched is how much of a turn content is searched for, in bytes: the end,
	// because what was said last is most likely what is wanted.
	searched = 2000
	// few is how many words a turn has at most that may need what was said
	// before it to be understood: "and for returns?"
	few = 6
)

// question is what content is searched for: the turn without its small talk.
func (q ask) question() string {
	var texts []string
	for _, m := range q.messages {
		if kind, _ := courtesyOf(m.Text, ""); kind == none {
			texts = append(texts, m.Text)
		}
	}
	text := strings.Join(texts, "\n")
	if len(texts) == 0 {
		text = q.text()
	}
	if len(text) > searched {
		text = strings.ToValidUTF8(text[len(text)-searched:], "")
	}
	return text
}

// inContext is the question with the one before it, where it is only a few
// words; empty where it is not, or there is none.
func (q ask) inContext() string {
	question := q.question()
	if len(strings.Fields(question)) > few {
		return ""
	}
	for _, m := range slices.Backward(q.history) {
		if m.Author != conversations.Visitor {
			continue
		}
		if kind, _ := courtesyOf(m.Text, ""); kind == none && len(m.Text) <= searched {
			return m.Text + "\n" + question
		}
	}
	return ""
}

// judge turns an answer and how sure it is into what to do.
func (d *decision) judge(q ask, made answer) {
	p := made.confidence
	if made.text != "" {
		d.answer = &handoff.Answer{Text: made.text, Citations: made.citations, Confidence: &p}
	}
	offers := d.strongest() == triggers.EffectOffer
	unanswered := made.text == "" || p < confidence.Lower
	sure := !unanswered && p >= confidence.Upper && !made.repeated
	evidence := fmt.Sprintf("confidence %.2f", p)
	switch {
	case q.waiting:
		// No offer of what is on its way already, and nothing said twice.
		offers = false
		if unanswered || made.repeated {
			d.trigger(triggers.AssistantUnsure, triggers.EffectEscalate, evidence, p, q.now)
			return
		}
	case sure:
	case q.unsure >= stuck-1:
		d.trigger(triggers.VisitorStuck, triggers.EffectEscalate, evidence, p, q.now)
		return
	case unanswered:
		effect := q.settings.UnsureEffect
		d.trigger(triggers.AssistantUnsure, effect, evidence, p, q.now)
		if effect == triggers.EffectEscalate {
			return
		}
		d.answer = &handoff.Answer{Text: notices.NotAnswered(d.language), Confidence: &p, Unsure: true}
		offers = true
	default:
		d.trigger(triggers.AssistantUnsure, triggers.EffectOffer, evidence, p, q.now)
		d.answer.Unsure, offers = true, true
	}
	if offers {
		d.answer.Offers = true
	}
}

// nextSteps are passages that may help whoever takes a conversation over. A
// handoff does not fail for want of them.
func (a *Assistant) nextSteps(ctx context.Context, q ask, lang string) (hits []packet.Hit) {
	defer func() {
		if p := recover(); p != nil {
			a.Log.ErrorContext(ctx, "search for a packet", "workspace", q.w.ID, "panic", p, "trace", string(debug.Stack()))
			hits = nil
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, aside)
	defer cancel()
	found, err := a.Knowledge.Search(ctx, q.w, knowledge.Query{Text: q.question(), Language: lang, Limit: 3, OnePerPage: true, Answering: true})
	if err != nil {
		a.Log.WarnContext(ctx, "search for a packet", "workspace", q.w.ID, "error", err)
		return nil
	}
	probability := a.calibrations.of(ctx, q.w).Probability(found.Signals)
	if probability < confidence.Lower {
		return nil
	}
	return packetHits(found)
}

func packetHits(found knowledge.Found) []packet.Hit {
	out := make([]packet.Hit, 0, len(found.Hits))
	for _, h := range found.Hits {
		out = append(out, packet.Hit{URL: link(h), Title: h.Title, Text: h.Text})
	}
	return out
}

// link leads to the passage on its page, where the page has a place for it.
func link(h knowledge.Hit) string {
	if h.Anchor == "" || h.URL == "" {
		return h.URL
	}
	return h.URL + "#" + h.Anchor
}

// failure is a word for what went wrong, fit for those who read the packet.
func failure(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return "no answer could be made"
}

// chance makes a probability of whatever was computed for one.
func chance(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, 0), 1)
}
