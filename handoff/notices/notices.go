// Package notices writes what the system tells a visitor on its own: that a
// person takes over and by when, that an answer failed, that a person can be
// had. It speaks eight languages; a visitor of any other reads English.
//
// Promises are kept honest here: a time is named only where support hours and
// a working time say that somebody will be there, otherwise the notice names
// the hours, or no time at all. What is promised comes back as a moment beside
// the text, rounded up to what the text shows, so that the two can't disagree.
package notices

import (
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/handoff/hours"
)

// What a promise rests on.
const (
	BasisSupportHours = "support_hours" // hours are known: they are named, or a time that follows from them
	BasisNone         = "none"          // no time is named
)

// A Promise is what a visitor was told about time.
type Promise struct {
	Text    string
	ReplyBy *time.Time // nil: no moment was named
	Basis   string
}

// rounding is what a promised moment is rounded up to.
const rounding = 5 * time.Minute

// Compose makes the promise of a handoff at now, in the language of a BCP 47
// tag. Times are told by the clock of the visitor's zone (an IANA name); where
// that is unknown they are told by the team's and say so. working is how much
// working time the team takes to reply; without it no moment is promised, but
// the text says when the team is there.
func Compose(lang string, week hours.Week, zone string, now time.Time, working time.Duration) Promise {
	t := textsOf(lang)
	if !week.Known() {
		return Promise{Text: t.soon, Basis: BasisNone}
	}
	w := writer{lang: lang, week: week, now: now, zone: zone, hours: !week.Open(now)}
	p := Promise{Basis: BasisSupportHours}
	var by string
	if working > 0 {
		if at, ok := week.ReplyBy(now, working); ok {
			at = roundUp(at.UTC())
			p.ReplyBy = &at
			by = w.by(at)
		}
	}
	if week.Open(now) {
		p.Text = t.soon
		if p.ReplyBy != nil {
			p.Text = fill(t.by, by, "")
		} else if closing, ok := week.Closes(now); ok {
			p.Text = fill(t.here, w.until(closing), "") + " " + t.soon
		}
		return p
	}
	opening, ok := week.Next(now)
	if !ok { // open at no time that anybody should wait for
		return Promise{Text: t.soon, Basis: BasisNone}
	}
	p.Text = fill(t.away, w.at(opening), w.weekly())
	if p.ReplyBy != nil {
		p.Text += " " + fill(t.by, by, "")
	} else {
		p.Text += " " + t.afterwards
	}
	return p
}

// Reasons for a handoff that Handoff has words for; the kinds of triggers are
// among them. Any other gets the plain ones.
const (
	VisitorAsked    = "visitor_asked"
	SensitiveTopic  = "sensitive_topic"
	AssistantUnsure = "assistant_unsure"
	VisitorStuck    = "visitor_stuck"
	AssistantFailed = "assistant_failed"
	Deadline        = "deadline"
)

// Handoff is the notice that a person takes over: why, and what is promised.
func Handoff(lang, reason string, p Promise) string {
	t := textsOf(lang)
	lead, ok := t.handoff[reason]
	if !ok {
		lead = t.passedOn
	}
	return lead + " " + p.Text
}

// StillWaiting repeats the standing promise to a visitor who writes on while
// nobody of the team has answered. A moment that has passed is owned up to.
func StillWaiting(lang string, p Promise, week hours.Week, zone string, now time.Time) string {
	t := textsOf(lang)
	switch {
	case p.ReplyBy == nil && p.Basis == BasisSupportHours:
		return t.seen + " " + Compose(lang, week, zone, now, 0).Text
	case p.ReplyBy == nil:
		return t.seen + " " + t.soon
	case p.ReplyBy.Before(now):
		return t.late + " " + t.soon
	}
	w := writer{lang: lang, week: week, now: now, zone: zone}
	return t.seen + " " + fill(t.stillBy, w.by(*p.ReplyBy), "")
}

// ReleasedToTeam tells that the person who had the conversation gave it back
// to the team, and the new promise.
func ReleasedToTeam(lang string, p Promise) string { return textsOf(lang).toTeam + " " + p.Text }

// ReleasedToAssistant tells that the assistant answers again.
func ReleasedToAssistant(lang string) string { return textsOf(lang).toAssistant }

// Offer asks whether a person is wanted. It is appended to an unsure answer.
func Offer(lang string) string { return textsOf(lang).offer }

// FromPages leads into an answer that is made of sentences of the pages.
func FromPages(lang string) string { return textsOf(lang).fromPages }

// NotAnswered tells that the pages don't answer the question.
func NotAnswered(lang string) string { return textsOf(lang).notAnswered }

func roundUp(at time.Time) time.Time {
	if down := at.Truncate(rounding); !down.Equal(at) {
		return down.Add(rounding)
	}
	return at
}

// fill puts a moment and the hours into a text.
func fill(text, when, weekly string) string {
	return strings.NewReplacer("{when}", when, "{hours}", weekly).Replace(text)
}
