// Package confidence says how probable it is that a workspace's content answers
// a question, so that the assistant knows what it does not know.
//
// Three steps lead from signals to a probability. A logistic regression over the
// signals of package rank, shipped as weights.json, gives a raw score: one over
// all signals, and one over the vectors' signals alone for a question in another
// language than the content. The score ranks questions right on any site, but
// what is a high score differs from site to site: where much is written about
// one subject, foreign questions find more of their words. So each workspace is
// calibrated, without labels: with questions that no site of its kind answers
// (OffTopic, shipped), asked of its index, and with its own headings, which it
// does answer. Between the two lies the score of an even chance.
//
// A workspace of few passages is judged by its nearest sentence instead (small.go),
// the same before and after calibration.
//
// It can't see a trap: a question whose words are all there and whose answer is
// not. That takes a reader; without one quote the sentence and offer a person.
//
// docs/confidence.md has the recipe and the figures.
package confidence

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

//go:embed weights.json
var shipped []byte

//go:embed offtopic.jsonl
var offTopic []byte

// Thresholds of Calibration.Probability.
const (
	// Lower: below, content does not answer, and a person is to take over.
	Lower = .5
	// Upper: from here on the answer stands by itself; between the two it is
	// given with the offer of a person.
	Upper = .8
)

// A Question of OffTopic.
type Question struct {
	Lang string `json:"lang"`
	Text string `json:"question"`
}

// OffTopic are questions about many subjects in 13 languages. They are asked of
// a workspace's index to learn how high questions score that it can't answer;
// that a site answers a few of them does no harm.
var OffTopic = sync.OnceValue(func() []Question {
	var out []Question
	d := json.NewDecoder(bytes.NewReader(offTopic))
	for d.More() {
		var q Question
		if err := d.Decode(&q); err != nil {
			panic(fmt.Sprintf("confidence: offtopic.jsonl: %v", err)) // a test reads it
		}
		out = append(out, q)
	}
	return out
})

// Weights are two logistic regressions.
type Weights struct {
	All     Linear `json:"all"`     // over Features
	Vectors Linear `json:"vectors"` // over the first VectorFeatures of them
}

// Linear is a logistic regression over standardised features.
type Linear struct {
	Mean      []float64 `json:"mean"`
	Deviation []float64 `json:"deviation"`
	Weight    []float64 `json:"weight"`
	Bias      float64   `json:"bias"`
}

// VectorFeatures is how many features come from vectors alone.
const VectorFeatures = 5

// Features are the signals as the weights take them.
func Features(s rank.Signals) []float64 {
	return []float64{
		s.Cosine, s.CosineZ, s.CosineGap, s.NextGap, s.Background,
		s.BM25, s.BM25Z, s.Passage, s.Sentence, s.Missing, s.Unknown, s.Pairs, s.Agreement,
	}
}

var weights = sync.OnceValue(func() Weights {
	var w Weights
	if err := json.Unmarshal(shipped, &w); err != nil {
		panic(fmt.Sprintf("confidence: weights.json: %v", err)) // a test reads it
	}
	return w
})

// nothing is the score of a question for which nothing was found.
const nothing = -20

// Score is the raw score: log odds on the sets that the weights were made from.
func Score(s rank.Signals) float64 { return weights().Score(s) }

// Score is the raw score under these weights.
func (w Weights) Score(s rank.Signals) float64 {
	switch {
	case s.NoVectors && (s.CrossLanguage || s.BM25 == 0):
		return nothing
	case s.CrossLanguage:
		return w.Vectors.score(Features(s)[:VectorFeatures], 0)
	case s.NoVectors: // words alone decide
		return w.All.score(Features(s), VectorFeatures)
	default:
		return w.All.score(Features(s), 0)
	}
}

// score leaves the first features out, as if they were average.
func (l Linear) score(features []float64, from int) float64 {
	sum := l.Bias
	for i := from; i < len(features); i++ {
		sum += l.Weight[i] * (features[i] - l.Mean[i]) / l.Deviation[i]
	}
	return sum
}

// A Calibration turns scores into probabilities for one workspace. The zero
// value is of no use: a workspace that has none yet takes Default.
type Calibration struct {
	Same  float64 `json:"same"`  // the score of an even chance, question and content of one language
	Cross float64 `json:"cross"` // of different languages
	Slope float64 `json:"slope"` // log odds for one unit of the score
	// ScoreOnly judges a small workspace by its score, too. Tests that need an
	// answer of a certain confidence set it.
	ScoreOnly bool `json:"score_only,omitempty"`
}

// Default is the calibration of a workspace that has none: the average of the
// sets that the weights were made from.
func Default() Calibration { return Calibration{Same: defaultSame, Cross: defaultCross, Slope: slope} }

const (
	defaultNegative = -4.0 // what OffTopic scores on average
	defaultPositive = 9.0  // what headings score
	defaultSame     = defaultNegative + share*(defaultPositive-defaultNegative)
	defaultCross    = .9

	share    = .40 // of the way from off-topic questions to headings, where chances are even
	mostly   = .5  // of that way at most, wherever single off-topic questions land
	quantile = .97 // of the off-topic questions that lie below the even chance
	slope    = .85
	prior    = 10 // questions that the defaults are worth
	// Where nothing is said in other languages, off-topic questions land far
	// away, which says little of those that aren't.
	crossFloor = .8
)

// Calibrate makes a workspace's calibration from the signals of OffTopic and of
// some of the workspace's own headings (a hundred spread over its pages do),
// all asked of its index. CrossLanguage must be set where a question's language
// is none of the content's. Few questions, or none, leave the defaults.
func Calibrate(offTopic, headings []rank.Signals) Calibration {
	var same, cross, positive []float64
	for _, s := range offTopic {
		if s.CrossLanguage {
			cross = append(cross, Score(s))
		} else {
			same = append(same, Score(s))
		}
	}
	for _, s := range headings {
		if !s.CrossLanguage {
			positive = append(positive, Score(s))
		}
	}
	c := Default()
	from := shrink(at(same, .5), defaultNegative, len(same))
	way := math.Max(1, shrink(at(positive, .5), defaultPositive, len(positive))-from)
	c.Same = from + share*way
	if len(same) >= prior {
		c.Same = math.Max(c.Same, math.Min(at(same, quantile), from+mostly*way))
	}
	c.Cross = math.Max(crossFloor, shrink(at(cross, quantile), defaultCross, len(cross)))
	return c
}

// Probability is how probable it is that the content answers the question, 0–1.
// Compare it with Lower and Upper.
func (c Calibration) Probability(s rank.Signals) float64 {
	even := c.Same
	if s.CrossLanguage {
		even = c.Cross
	}
	odds := c.Slope * (Score(s) - even)
	if w := smallness(s); w > 0 && !c.ScoreOnly {
		odds = w*small(s) + (1-w)*odds
	}
	return logistic(odds)
}

// shrink moves what was found in n questions towards the default.
func shrink(found, usual float64, n int) float64 {
	if n == 0 {
		return usual
	}
	return (float64(n)*found + prior*usual) / float64(n+prior)
}

// at is a quantile of x.
func at(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return x[int(q*float64(len(x)-1))]
}
