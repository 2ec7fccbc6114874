package rank

import (
	"math"
	"math/bits"
	"slices"
)

// Signals are what tells a question that the content answers from one that it
// does not. All but the first group need question and content to be of one
// language. Without any vector the first group is zero and NoVectors set.
type Signals struct {
	Cosine     float64 `json:"cosine"`     // the best
	CosineZ    float64 `json:"cosine_z"`   // in standard deviations above the background: ranks 11–60
	CosineGap  float64 `json:"cosine_gap"` // above the background's mean
	NextGap    float64 `json:"next_gap"`   // above the second
	Background float64 `json:"background"` // the background's standard deviation

	BM25      float64 `json:"bm25"`      // of the best hit, 0–1
	BM25Z     float64 `json:"bm25_z"`    // in standard deviations above all candidates
	Passage   float64 `json:"passage"`   // share of the question's idf that the best of the first hits has
	Sentence  float64 `json:"sentence"`  // share that its best sentence has
	Missing   float64 `json:"missing"`   // the rarest word that the hit lacks, as a share of an unknown word's idf
	Unknown   float64 `json:"unknown"`   // share of words that occur nowhere in the workspace
	Pairs     float64 `json:"pairs"`     // share of the question's neighbouring words that are neighbours there
	Agreement float64 `json:"agreement"` // BM25 of the nearest vector's passage, as a share of the best one

	// Of a small workspace (Small), where neither background nor statistics of
	// words say anything. Signals leaves both zero: the caller knows them.
	Passages        int     `json:"passages,omitempty"`         // in the workspace; 0: many
	NearestSentence float64 `json:"nearest_sentence,omitempty"` // the best cosine of SentencesInContext; 0: not compared

	CrossLanguage bool `json:"cross_language,omitempty"`
	NoVectors     bool `json:"no_vectors,omitempty"`
}

// Small is how many passages make a workspace of its own background: ranks 11 to
// 60. One of fewer is judged by Signals.NearestSentence, too.
const Small = 60

// firstHits is how many hits an answer may rest on.
const firstHits = 3

// Signals computes the signals of a question from the hits that Rank gave for
// it; the 60 nearest vectors should be among its candidates. crossLanguage says
// that the content is known to be of another language than the question.
func (q *Question) Signals(hits []Hit, crossLanguage bool) Signals {
	s := Signals{CrossLanguage: crossLanguage}
	cosines := make([]float64, 0, len(hits))
	nearest := -1
	for i := range hits {
		if c := float64(hits[i].Cosine); !math.IsNaN(c) {
			if nearest < 0 || hits[i].Cosine > hits[nearest].Cosine {
				nearest = i
			}
			cosines = append(cosines, c)
		}
	}
	s.vectors(cosines)
	if len(hits) == 0 || q.total == 0 {
		return s
	}
	q.textSignals(&s, hits, nearest)
	return s
}

func (s *Signals) vectors(cosines []float64) {
	if len(cosines) == 0 {
		s.NoVectors = true
		return
	}
	slices.SortFunc(cosines, func(a, b float64) int {
		if a > b {
			return -1
		}
		return 1
	})
	s.Cosine = cosines[0]
	if len(cosines) > 1 {
		s.NextGap = cosines[0] - cosines[1]
	}
	// A site of few pages has no ranks 11–60: its farther half is the background.
	from := min(10, len(cosines)/2)
	background := cosines[from:min(60, len(cosines))]
	mean, deviation := moments(background)
	s.CosineGap = cosines[0] - mean
	s.Background = deviation
	// Few passages may lie so close together that their deviation says nothing.
	s.CosineZ = s.CosineGap / math.Max(deviation, .002)
}

func (q *Question) textSignals(s *Signals, hits []Hit, nearest int) {
	all := make([]float64, len(hits))
	best := 0.0
	for i := range hits {
		all[i] = hits[i].BM25
		best = math.Max(best, hits[i].BM25)
	}
	mean, deviation := moments(all)
	s.BM25 = hits[0].BM25
	s.BM25Z = (s.BM25 - mean) / math.Max(deviation, .01)
	if best > 0 && nearest >= 0 {
		s.Agreement = hits[nearest].BM25 / best
	}
	for i, v := range q.idf {
		if q.corpus.DF[q.terms[i]] == 0 {
			s.Unknown += v / q.total
		}
	}
	at := 0
	for i := range hits[:min(firstHits, len(hits))] {
		if c := q.coverage(hits[i].found); c > s.Passage {
			s.Passage, at = c, i
		}
		s.Pairs = math.Max(s.Pairs, hits[i].pairs)
		for sentence := range Sentences(hits[i].Text) {
			s.Sentence = math.Max(s.Sentence, q.Coverage(sentence))
		}
	}
	for i, v := range q.idf {
		if hits[at].found&(1<<i) == 0 {
			s.Missing = math.Max(s.Missing, v/q.max)
		}
	}
}

// Coverage is the share of the question's words, weighed by idf, that a text has.
func (q *Question) Coverage(text string) float64 {
	var found uint64
	n := 0
	each(text, func(w []byte) bool {
		if i, ok := q.index[string(w)]; ok {
			found |= 1 << i
		}
		n++
		return n < MaxWords
	})
	return q.coverage(found)
}

func (q *Question) coverage(found uint64) float64 {
	if q.total == 0 {
		return 0
	}
	sum := 0.0
	for ; found != 0; found &= found - 1 {
		sum += q.idf[bits.TrailingZeros64(found)]
	}
	return sum / q.total
}

func moments(x []float64) (mean, deviation float64) {
	if len(x) == 0 {
		return 0, 0
	}
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		deviation += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(x)))
}
