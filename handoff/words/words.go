// Package words reads a visitor's words for what a person should take care of:
// that somebody is asked for, and that a sensitive topic is touched. It needs
// no provider and no network; apart from the embedding, which is handed in, it
// takes well under a millisecond a sentence.
//
// Three things judge a sentence. Two small linear classifiers, one on the
// embedding and one on character sequences, see what is meant, in any language
// (their weights come from the command train; docs/triggers.md has the recipe).
// A lexicon of eight languages sees what must never be missed ("agent",
// "Mitarbeiter bitte"), holds without an embedding, and vetoes what looks alike
// but is not: "I don't need a person", "are you a human?", "how do I add an
// agent?". Detecting is not escalating: each finding carries the effect that is
// proposed for it.
package words

import (
	"cmp"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/relaydesk/relaydesk/handoff/words/internal/linear"
)

// Kinds of findings.
const (
	VisitorAsked   = "visitor_asked"
	SensitiveTopic = "sensitive_topic"
)

// Effects of findings, from the strongest.
const (
	Escalate = "escalate" // hand over to a person
	Offer    = "offer"    // offer a person
	Tag      = "tag"      // only note it
)

// A Finding is something in a message that may set a handoff off.
type Finding struct {
	Kind     string
	Topic    string  // of a SensitiveTopic, else empty
	Evidence string  // the sentence that did it, as it was written
	Words    string  // what in it the lexicon knew, folded; empty where the classifiers decided
	Score    float64 // standard deviations above ordinary messages; 0 where the lexicon alone decided
	Effect   string
}

//go:embed weights.bin
var shipped []byte

// A Detector reads messages. It is safe for concurrent use.
type Detector struct{ weights *linear.Weights }

// New makes a Detector with the weights that are part of the program.
func New() (*Detector, error) { return Open(shipped) }

// Open makes a Detector with other weights, in the format of the command train.
func Open(weights []byte) (*Detector, error) {
	w, err := linear.Decode(weights)
	if err != nil {
		return nil, fmt.Errorf("open trigger weights: %w", err)
	}
	return &Detector{w}, nil
}

// Read reads the pieces of one message that Sentences gives, each with its
// embedding as a query. A vector that is missing or of the wrong length leaves
// its piece to the lexicon and the characters: asking for a person is found
// then too. There is at most one finding for a person and one for each topic,
// the strongest of all pieces.
func (d *Detector) Read(sentences []string, embeddings [][]float32) []Finding {
	var out []Finding
	var buffer [1024]uint16
	// The whole of a message comes last; a refusal or a question in one of
	// its sentences must not be outvoted by what they say together.
	vetoed := false
	for i, s := range sentences {
		folded := linear.Fold(s)
		grams := linear.Grams(buffer[:0], folded)
		var vector []float32
		if i < len(embeddings) && usable(embeddings[i]) {
			vector = embeddings[i]
		}
		v := consult(folded)
		score, topic, class := d.judge(vector, grams)
		whole := i > 1 && i == len(sentences)-1 && strings.HasPrefix(s, sentences[0])
		if f, ok := d.person(v, score, vector != nil, whole && vetoed); ok {
			f.Evidence = s
			out = keep(out, f)
		}
		vetoed = vetoed || v.veto
		if f, ok := d.topic(folded, topic, class); ok {
			f.Evidence = s
			out = keep(out, f)
		}
	}
	return out
}

// Promising chooses the pieces, at most n of them, that are worth embedding:
// the first and the last, then those whose characters look most like a wish
// for a person or a sensitive topic. The others are read by words alone. The
// indexes come in ascending order.
func (d *Detector) Promising(sentences []string, n int) []int {
	out := make([]int, len(sentences))
	for i := range out {
		out[i] = i
	}
	if len(sentences) <= n {
		return out
	}
	looks := make([]float32, len(sentences))
	var buffer [1024]uint16
	for i, s := range sentences {
		grams := linear.Grams(buffer[:0], linear.Fold(s))
		looks[i] = float32(math.Inf(-1))
		for c := range d.weights.Classes {
			looks[i] = max(looks[i], d.weights.Classes[c].Chars.Sparse(grams))
		}
	}
	looks[len(looks)-1] = float32(math.Inf(1))
	looks[0] = float32(math.Inf(1))
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(looks[b], looks[a]) })
	out = out[:max(n, 0)]
	slices.Sort(out)
	return out
}

func usable(v []float32) bool {
	if len(v) != linear.Dim {
		return false
	}
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return sum > 0 && !math.IsInf(sum, 0) && !math.IsNaN(sum)
}

func (d *Detector) judge(vector []float32, grams []uint16) (person, topic float32, class int) {
	if vector == nil {
		return d.weights.Classes[0].Chars.Sparse(grams), float32(math.Inf(-1)), 2
	}
	return d.weights.Judge(vector, grams)
}

func (d *Detector) person(v verdict, score float32, seen, vetoed bool) (Finding, bool) {
	f := Finding{Kind: VisitorAsked, Words: v.words, Score: float64(score)}
	class := &d.weights.Classes[0]
	sure, maybe := class.Sure, class.Maybe
	if !seen {
		sure, maybe = class.BlindSure, class.BlindSure
	}
	switch {
	case v.veto || vetoed && !v.asks:
		return f, false
	case v.toward && (v.asks || score > maybe):
		f.Effect = Offer
	case v.asks, score > sure:
		f.Effect = Escalate
	case score > maybe:
		f.Effect = Offer
	default:
		return f, false
	}
	return f, true
}

// topic decides whether a sensitive topic is touched and what to propose.
func (d *Detector) topic(folded string, score float32, class int) (Finding, bool) {
	any := &d.weights.Classes[1]
	f := Finding{Kind: SensitiveTopic, Topic: d.weights.Classes[class].Name, Score: float64(score)}
	known, phrase := topicWords(folded)
	sure := score > any.Sure
	if known != "" {
		f.Topic, f.Words, sure = known, phrase, true
		if math.IsInf(f.Score, -1) {
			f.Score = 0
		}
	} else if !(score > any.Maybe) {
		return f, false
	}
	f.Effect = proposed(f.Topic, sure, asksInformation(folded), failed(folded))
	return f, true
}

// proposed is the effect of a topic: what endangers somebody, or money, or
// keeps them out, goes to a person; a wish that the team decides about gets
// the offer of one; a question is answered, and noted.
func proposed(topic string, sure, question, failed bool) string {
	switch topic {
	case "danger":
		if sure {
			return Escalate
		}
		return Offer
	case "fraud_lost_stolen", "billing_dispute":
		if sure && !question {
			return Escalate
		}
		return Offer
	case "account_access":
		switch {
		case failed && sure:
			return Escalate
		case question:
			return Tag
		}
		return Offer
	case "complaint", "legal_privacy":
		return Offer
	}
	if question {
		return Tag
	}
	return Offer
}

var strength = map[string]int{Escalate: 3, Offer: 2, Tag: 1}

// keep adds a finding, or replaces a weaker one about the same.
func keep(all []Finding, f Finding) []Finding {
	for i := range all {
		if all[i].Kind == f.Kind && all[i].Topic == f.Topic {
			if strength[f.Effect] > strength[all[i].Effect] || f.Effect == all[i].Effect && f.Score > all[i].Score && all[i].Words == "" {
				all[i] = f
			}
			return all
		}
	}
	return append(all, f)
}
