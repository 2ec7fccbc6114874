// Package triggers reads what a visitor has written since the last answer, and
// says what in it sets a handoff off.
//
// Every unanswered message is read, not only the newest, so that "hello?"
// hides no "I want to talk to a person". The lexicon reads all of each; the
// embedder a bounded number of sentences, and whatever goes wrong with it, or
// takes too long, costs the finer readings only: a plain wish for a person is
// found without it. A "yes" is read as one to the offer of a person if that
// offer stood there when it was written.
package triggers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/relaydesk/relaydesk/handoff/words"
)

// Kinds of triggers. Words give the first two, the others come from elsewhere.
const (
	VisitorAsked    = words.VisitorAsked
	SensitiveTopic  = words.SensitiveTopic
	Rule            = "rule"
	AssistantUnsure = "assistant_unsure"
	VisitorStuck    = "visitor_stuck"
	AssistantFailed = "assistant_failed"
	MemberAsked     = "member_asked"
	MemberTookOver  = "member_took_over"
)

// Effects of triggers, from the strongest.
const (
	EffectEscalate = words.Escalate
	EffectOffer    = words.Offer
	EffectTag      = words.Tag
)

// A Message is one that nobody has answered yet.
type Message struct {
	Seq       int64
	Text      string
	WrittenAt time.Time
}

// An Offer is the offer of a person that the last answer ended with.
type Offer struct {
	Seq      int64 // of the message that holds it
	StoredAt time.Time
}

// A Trigger is what sets a handoff off.
type Trigger struct {
	Kind     string
	Topic    string  // of a SensitiveTopic, else empty
	Evidence string  // the words that did it, as they were written
	Score    float64 // standard deviations above ordinary messages; 0 where plain words decided
	Effect   string
	Seq      int64 // of the message that the evidence stands in
}

// An Embedder gives a vector for each text, as a query. It may fail.
type Embedder interface {
	Query(ctx context.Context, texts ...string) ([][]float32, error)
}

// Bounds of the work on one turn.
const (
	// perMessage and perTurn are how many sentences are embedded, perTurnBytes
	// how much of them: about half a second on one core.
	perMessage, perTurn, perTurnBytes = 12, 36, 12_000
	// patience is how long the embedder is waited for.
	patience = 3 * time.Second
	// maxEmbedded is how much of a sentence without an end is embedded, in bytes.
	maxEmbedded = 600
	// maxEvidence is how much of a sentence is kept, in characters.
	maxEvidence = 300
)

// A Reader finds triggers. It is safe for concurrent use.
type Reader struct {
	detector *words.Detector
	embedder Embedder
	log      *slog.Logger
	patience time.Duration
}

// New makes a Reader with the shipped weights.
func New(embedder Embedder, log *slog.Logger) (*Reader, error) {
	detector, err := words.New()
	if err != nil {
		return nil, fmt.Errorf("make the reader of triggers: %w", err)
	}
	return &Reader{detector: detector, embedder: embedder, log: log, patience: patience}, nil
}

// Read gives the triggers of a turn: for each kind and topic the strongest,
// the earliest of equals, in the order of their messages. It never fails:
// without an embedder that answers, or with a context that has ended, it reads
// by the words alone. offer is nil where none is pending.
func (r *Reader) Read(ctx context.Context, messages []Message, offer *Offer) []Trigger {
	pieces := make([][]string, len(messages))
	for i, m := range messages {
		pieces[i] = words.Sentences(m.Text)
	}
	vectors := r.embed(ctx, pieces)
	var out []Trigger
	add := func(t Trigger) {
		t.Evidence = shorten(t.Evidence)
		for i := range out {
			if out[i].Kind == t.Kind && out[i].Topic == t.Topic {
				if strength(t.Effect) > strength(out[i].Effect) {
					out[i] = t
				}
				return
			}
		}
		out = append(out, t)
	}
	for i, m := range messages {
		for _, f := range r.detector.Read(pieces[i], vectors[i]) {
			add(found(f, m.Seq))
		}
	}
	for i := 1; i < len(messages); i++ {
		if t, ok := r.across(messages[i-1], messages[i]); ok {
			add(t)
		}
	}
	if t, ok := accepted(messages, offer); ok {
		add(t)
	}
	slices.SortStableFunc(out, func(a, b Trigger) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

func found(f words.Finding, seq int64) Trigger {
	return Trigger{Kind: f.Kind, Topic: f.Topic, Evidence: f.Evidence, Score: f.Score, Effect: f.Effect, Seq: seq}
}

// across reads two short messages as one: people send "can I talk" and "to a
// human please" apart. Only plain words count, and a refusal in either wins.
func (r *Reader) across(a, b Message) (Trigger, bool) {
	const short = 120
	first, second := strings.TrimSpace(a.Text), strings.TrimSpace(b.Text)
	if first == "" || second == "" || len(first) > short || len(second) > short {
		return Trigger{}, false
	}
	both := first + " " + second
	for _, f := range r.detector.Read([]string{first, second, both}, nil) {
		if f.Kind == VisitorAsked && f.Effect == EffectEscalate && f.Words != "" && f.Evidence == both {
			return found(f, b.Seq), true
		}
	}
	return Trigger{}, false
}

// accepted tells whether the offer of a person was accepted by a message that
// was written when the offer stood there. After a refusal a mere "ok" is a
// goodbye, a "yes" is a change of mind.
func accepted(messages []Message, offer *Offer) (Trigger, bool) {
	if offer == nil {
		return Trigger{}, false
	}
	refused := false
	for _, m := range messages {
		if m.Seq <= offer.Seq || m.WrittenAt.Before(offer.StoredAt) {
			continue
		}
		switch {
		case words.Declines(m.Text):
			refused = true
		case words.Affirms(m.Text) && !(refused && words.Lukewarm(m.Text)):
			return Trigger{Kind: VisitorAsked, Evidence: strings.TrimSpace(m.Text), Effect: EffectEscalate, Seq: m.Seq}, true
		}
	}
	return Trigger{}, false
}

// Strongest gives the trigger that decides: the strongest effect, a wish for a
// person before a topic, then the higher score. It is false where there is none.
func Strongest(triggers []Trigger) (Trigger, bool) {
	if len(triggers) == 0 {
		return Trigger{}, false
	}
	return slices.MinFunc(triggers, func(a, b Trigger) int {
		asked := func(t Trigger) int {
			if t.Kind == VisitorAsked {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(strength(b.Effect), strength(a.Effect)), cmp.Compare(asked(a), asked(b)), cmp.Compare(b.Score, a.Score))
	}), true
}

func strength(effect string) int {
	switch effect {
	case EffectEscalate:
		return 3
	case EffectOffer:
		return 2
	case EffectTag:
		return 1
	}
	return 0
}

// embed gives the vectors of the pieces of each message, nil for those that
// are left to the words: too many, or the embedder did not answer.
func (r *Reader) embed(ctx context.Context, pieces [][]string) [][][]float32 {
	out := make([][][]float32, len(pieces))
	type place struct{ message, piece int }
	var places []place
	var texts []string
	bytes := 0
	// The newest messages first: with fifty of them the budget runs out.
	for i := len(pieces) - 1; i >= 0 && len(texts) < perTurn && bytes < perTurnBytes; i-- {
		out[i] = make([][]float32, len(pieces[i]))
		for _, j := range r.detector.Promising(pieces[i], min(perMessage, perTurn-len(texts))) {
			// As it is embedded: one letter may stand for eighteen.
			if text := cut(pieces[i][j]); bytes+len(norm.NFKC.String(text)) <= perTurnBytes {
				bytes += len(norm.NFKC.String(text))
				places, texts = append(places, place{i, j}), append(texts, text)
			}
		}
	}
	if len(texts) == 0 {
		return out
	}
	vectors, err := r.query(ctx, texts)
	if err != nil {
		r.log.WarnContext(ctx, "triggers are read without embeddings", "error", err)
		return out
	}
	for k, p := range places {
		out[p.message][p.piece] = vectors[k]
	}
	return out
}

var errEmbedder = errors.New("the embedder failed")

// query asks the embedder, and waits no longer than patience even for one that
// does not watch its context.
func (r *Reader) query(ctx context.Context, texts []string) ([][]float32, error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	type answer struct {
		vectors [][]float32
		err     error
	}
	done := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if p := recover(); p != nil { // here it would end the program, and the wish with it
				a = answer{err: fmt.Errorf("%w: %v", errEmbedder, p)}
			}
			done <- a
		}()
		a.vectors, a.err = r.embedder.Query(ctx, texts...)
	}()
	select {
	case a := <-done:
		if a.err == nil && len(a.vectors) != len(texts) {
			a.err = fmt.Errorf("%w: %d vectors for %d texts", errEmbedder, len(a.vectors), len(texts))
		}
		return a.vectors, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("embed %d sentences: %w", len(texts), ctx.Err())
	}
}

// cut keeps the head and the tail of a sentence without an end.
func cut(s string) string {
	if len(s) <= maxEmbedded {
		return s
	}
	head, tail := maxEmbedded/2, len(s)-maxEmbedded/2
	for !utf8.RuneStart(s[head]) {
		head--
	}
	for !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + " … " + s[tail:]
}

// shorten bounds the evidence, on a character's edge.
func shorten(s string) string {
	n := 0
	for i := range s {
		if n++; n > maxEvidence {
			return strings.TrimSpace(s[:i]) + "…"
		}
	}
	return s
}
