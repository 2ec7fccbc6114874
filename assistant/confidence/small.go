package confidence

import (
	"math"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// A small workspace is judged by one number, the cosine of the question and the
// nearest sentence read under its heading: where there are few passages, a
// question stands out from none, the words' statistics say nothing, and one
// passage is the nearest to everything. Two logistic regressions, fitted to
// testdata/small-fit.json (a test fits them again).
const (
	smallSame       = .8396 // the cosine of an even chance
	smallSameSlope  = 74.
	smallCross      = .8132 // where question and content are of different languages
	smallCrossSlope = 52.9

	// Settled is how many passages are judged by that number alone; up to
	// rank.Small the other signals gain weight.
	Settled = 20
)

// smallness is the weight of the nearest sentence, 0–1.
func smallness(s rank.Signals) float64 {
	switch {
	case s.Passages <= 0 || s.Passages >= rank.Small || s.NoVectors:
		return 0
	case s.Passages <= Settled:
		return 1
	default:
		return float64(rank.Small-s.Passages) / (rank.Small - Settled)
	}
}

// small is the log odds that a small workspace's content answers the question.
func small(s rank.Signals) float64 {
	// A passage's own cosine is about as high where sentences were not compared.
	cosine := s.Cosine
	if s.NearestSentence > 0 {
		cosine = s.NearestSentence
	}
	if s.CrossLanguage {
		return smallCrossSlope * (cosine - smallCross)
	}
	return smallSameSlope * (cosine - smallSame)
}

func logistic(odds float64) float64 { return 1 / (1 + math.Exp(-odds)) }
