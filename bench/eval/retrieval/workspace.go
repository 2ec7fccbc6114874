package retrieval

import (
	"cmp"
	"math"
	"slices"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// How the server searches: the nearest by vector and the best by full text.
const (
	nearest   = 60
	fullText  = 50
	rareWords = 12
)

// A workspace is an index in memory that finds as Postgres does.
type workspace struct {
	passages []passage
	words    int
	df       map[string]int
}

type passage struct {
	rank.Candidate
	doc    string
	lang   string
	vector []float32
	counts map[string]int
	words  int
}

func (w *workspace) add(doc, lang string, c rank.Candidate) {
	if w.df == nil {
		w.df = map[string]int{}
	}
	c.ID = int64(len(w.passages))
	p := passage{Candidate: c, doc: doc, lang: lang, counts: map[string]int{}}
	for _, word := range rank.Words(c.Whole()) {
		p.counts[word]++
		p.words++
	}
	for word := range p.counts {
		w.df[word]++
	}
	w.words += p.words
	w.passages = append(w.passages, p)
}

func (w *workspace) embed(c cache) error {
	texts := make([]string, len(w.passages))
	for i := range w.passages {
		texts[i] = w.passages[i].Whole()
	}
	vectors, err := c.vectors("passage", texts, c.embed.Passage)
	if err != nil {
		return err
	}
	for i := range w.passages {
		w.passages[i].vector = vectors[i]
	}
	return nil
}

// found is what a question found.
type found struct {
	question *rank.Question
	hits     []rank.Hit
	ws       *workspace
}

func (f *found) passage(i int) *passage { return &f.ws.passages[f.hits[i].ID] }

// crossLanguage tells that the content is of another language than the question,
// as the server does: none of the nearest 20 passages is of the question's.
func (f *found) crossLanguage(lang string) bool {
	near := make([]int, len(f.hits))
	for i := range near {
		near[i] = i
	}
	slices.SortFunc(near, func(a, b int) int { return cmp.Compare(f.hits[b].Cosine, f.hits[a].Cosine) })
	return !slices.ContainsFunc(near[:min(20, len(near))], func(i int) bool { return f.passage(i).lang == lang })
}

// corpus is what is known of the words, but for the passages that without tells.
func (w *workspace) corpus(question string, without func(*passage) bool) rank.Corpus {
	c := rank.Corpus{Passages: len(w.passages), DF: map[string]int{}}
	words, distinct := w.words, rank.Distinct(question)
	for _, word := range distinct {
		c.DF[word] = w.df[word]
	}
	if without != nil {
		for i := range w.passages {
			if p := &w.passages[i]; without(p) {
				c.Passages--
				words -= p.words
				for _, word := range distinct {
					if p.counts[word] > 0 {
						c.DF[word]--
					}
				}
			}
		}
	}
	c.AverageWords = float64(words) / float64(max(c.Passages, 1))
	return c
}

// ask searches as knowledge does, then ranks. Passages that without tells are
// not there.
func (w *workspace) ask(question string, vector []float32, without func(*passage) bool) *found {
	q := rank.Ask(question, w.corpus(question, without))
	type scored struct {
		at           int
		cosine, text float64
	}
	all := make([]scored, 0, len(w.passages))
	rare := q.Rarest(rareWords)
	for i := range w.passages {
		p := &w.passages[i]
		if without != nil && without(p) {
			continue
		}
		all = append(all, scored{i, dot(vector, p.vector), p.tsRank(rare)})
	}
	chosen := map[int]float64{}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Or(cmp.Compare(b.cosine, a.cosine), cmp.Compare(a.at, b.at)) })
	for _, s := range all[:min(nearest, len(all))] {
		chosen[s.at] = s.cosine
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Or(cmp.Compare(b.text, a.text), cmp.Compare(a.at, b.at)) })
	for _, s := range all[:min(fullText, len(all))] {
		if s.text > 0 {
			chosen[s.at] = s.cosine
		}
	}
	candidates := make([]rank.Candidate, 0, len(chosen))
	for at, cosine := range chosen {
		c := w.passages[at].Candidate
		c.Cosine = float32(cosine)
		candidates = append(candidates, c)
	}
	slices.SortFunc(candidates, func(a, b rank.Candidate) int { return cmp.Compare(a.ID, b.ID) })
	return &found{q, q.Rank(candidates), w}
}

// tsRank is Postgres' ts_rank(tsv, words joined by |, 1) for words of weight D.
func (p *passage) tsRank(words []string) float64 {
	sum := 0.0
	for _, word := range words {
		for i := range p.counts[word] {
			sum += .1 / float64((i+1)*(i+1))
		}
	}
	return sum / 1.64493406685 / float64(max(len(words), 1)) / math.Log2(float64(p.words)+1)
}

func dot(a, b []float32) float64 {
	sum := float32(0)
	for i := range min(len(a), len(b)) {
		sum += a[i] * b[i]
	}
	return float64(sum)
}
