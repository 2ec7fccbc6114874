package assistant

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// What a dry run decided.
const (
	DecidedAnswer   = "answer"
	DecidedEscalate = "escalate"
)

// Tried is what the assistant would do with a question.
type Tried struct {
	Decision   string
	Answer     string // empty: there is none
	Confidence float64
	Citations  []conversations.Citation
	Triggers   []handoff.Trigger // all that the words or the answer set off
	Language   string
}

// Line is something said before the question.
type Line struct{ Author, Text string }

// patience bounds a dry run.
const patience = 30 * time.Second

// DryRun decides about a question as about a visitor's turn, and stores nothing.
func (a *Assistant) DryRun(ctx context.Context, w postgres.Workspace, question string, before []Line, lang string) (Tried, error) {
	settings, err := a.Tenants.Settings(ctx, w)
	if err != nil {
		return Tried{}, err
	}
	now := a.Clock.Now()
	q := ask{
		w: w, settings: settings, language: lang, likely: settings.Languages, now: now, due: now.Add(patience),
		messages: []triggers.Message{{Seq: int64(len(before)) + 1, Text: question, WrittenAt: now}},
	}
	for i, line := range before {
		q.history = append(q.history, conversations.Message{Seq: int64(i) + 1, Author: line.Author, Text: line.Text, CreatedAt: now})
	}
	if n := len(before); n > 0 && before[n-1].Author == conversations.Assistant && offers(before[n-1].Text) {
		q.offer = &triggers.Offer{Seq: int64(n), StoredAt: now}
	}
	d, err := a.decide(ctx, q)
	if err != nil {
		return Tried{}, err
	}
	out := Tried{Decision: DecidedAnswer, Confidence: d.confidence, Triggers: d.triggers, Language: d.language}
	if d.strongest() == triggers.EffectEscalate {
		out.Decision = DecidedEscalate
	}
	if d.answer != nil {
		out.Answer, out.Citations = d.answer.Text, d.answer.Citations
		if d.answer.Offers {
			out.Answer += "\n\n" + notices.Offer(d.language)
		}
	}
	return out, nil
}

// offers tells whether a text ends with the offer of a person.
func offers(text string) bool {
	text = strings.TrimSpace(text)
	return slices.ContainsFunc(spoken, func(lang string) bool { return strings.HasSuffix(text, notices.Offer(lang)) })
}
