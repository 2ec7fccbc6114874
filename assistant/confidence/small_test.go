package confidence_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/internal/artifacts/artifactstest"
	"github.com/relaydesk/relaydesk/internal/e5"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// A smallSite is a workspace of a few passages, with questions that they answer in
// other words, and questions of the same trade that they don't answer.
type smallSite struct {
	Name       string   `json:"name"`
	Lang       string   `json:"lang"`
	Asked      string   `json:"asked"` // the questions' language; empty: Lang
	Passages   []string `json:"passages"`
	Answered   []string `json:"answered"`
	Unanswered []string `json:"unanswered"`

	index     []rank.Candidate
	vectors   [][]float32
	sentences [][][]float32
	corpus    rank.Corpus
}

func smallSites(t *testing.T, model *e5.Model, file string) []*smallSite {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var sites []*smallSite
	if err := json.Unmarshal(raw, &sites); err != nil {
		t.Fatal(err)
	}
	for _, s := range sites {
		s.corpus = rank.Corpus{Passages: len(s.Passages), DF: map[string]int{}}
		for i, p := range s.Passages {
			heading, text, _ := strings.Cut(strings.TrimPrefix(p, "# "), "\n\n")
			c := rank.Candidate{ID: int64(i), Title: s.Name, HeadingPath: []string{heading}, Text: text}
			for _, w := range rank.Distinct(c.Whole()) {
				s.corpus.DF[w]++
			}
			s.index = append(s.index, c)
			s.vectors = append(s.vectors, model.Passage(c.Whole())...)
			s.sentences = append(s.sentences, model.Passage(c.SentencesInContext()...))
		}
	}
	return sites
}

// signals does what knowledge.Search does, in memory.
func (s *smallSite) signals(question string, vector []float32) rank.Signals {
	candidates := slices.Clone(s.index)
	for i := range candidates {
		candidates[i].Cosine = rank.Dot(vector, s.vectors[i])
	}
	q := rank.Ask(question, s.corpus)
	signals := q.Signals(q.Rank(candidates), s.Asked != "" && s.Asked != s.Lang)
	signals.Passages = len(s.index)
	slices.SortFunc(candidates, func(a, b rank.Candidate) int {
		if a.Cosine > b.Cosine {
			return -1
		}
		return 1
	})
	for _, c := range candidates[:min(3, len(candidates))] {
		for _, v := range s.sentences[c.ID] {
			signals.NearestSentence = math.Max(signals.NearestSentence, float64(rank.Dot(vector, v)))
		}
	}
	return signals
}

func loadModel(t *testing.T) *e5.Model {
	t.Helper()
	model, err := e5.Load(artifactstest.Weights(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = model.Close() })
	return model
}

// judged counts how many of a kind of question got how sure an answer.
type judged struct{ asked, answered, sure int }

func (j *judged) add(p float64) {
	j.asked++
	if p >= confidence.Lower {
		j.answered++
	}
	if p >= confidence.Upper {
		j.sure++
	}
}

func (j *judged) share() float64 { return float64(j.answered) / float64(j.asked) }

func TestAFewPassagesAnswerWhatTheySayAndLittleElse(t *testing.T) {
	t.Parallel()
	model := loadModel(t)
	var yes, no, crossYes, crossNo, before, foreign judged
	c := confidence.Default()
	for i, s := range smallSites(t, model, "small.json") {
		ask := func(question string, count *judged, answered bool) {
			signals := s.signals(question, model.Query(question)[0])
			p := c.Probability(signals)
			count.add(p)
			if (p >= confidence.Lower) != answered {
				t.Logf("%s: %.2f: %s", s.Name, p, question)
			}
			if answered && !signals.CrossLanguage {
				signals.Passages = 0
				before.add(c.Probability(signals))
			}
		}
		in, out := &yes, &no
		if s.Asked != "" {
			in, out = &crossYes, &crossNo
		}
		for _, q := range s.Answered {
			ask(q, in, true)
		}
		for _, q := range s.Unanswered {
			ask(q, out, false)
		}
		for k, q := range confidence.OffTopic() { // every site some of them
			if q.Lang == s.Lang && s.Asked == "" && k%4 == i%4 {
				ask(q.Text, &foreign, false)
			}
		}
	}
	t.Logf("answered, not answered, off topic; in another language: answered, not answered; answered if judged like a large site:\n%+v", []judged{yes, no, foreign, crossYes, crossNo, before})
	if yes.asked != 60 || no.asked != 60 || yes.share() < .85 || no.share() > .10 {
		t.Errorf("answered %+v, not answered %+v", yes, no)
	}
	if crossYes.share() < .85 || crossNo.share() > .20 {
		t.Errorf("in another language: answered %+v, not answered %+v", crossYes, crossNo)
	}
	if foreign.asked < 80 || foreign.share() > .05 {
		t.Errorf("off topic %+v", foreign)
	}
}

func TestTheEvenChanceOfSmallWorkspacesIsTheRecipes(t *testing.T) {
	t.Parallel()
	model := loadModel(t)
	type example struct {
		signals  rank.Signals
		answered float64
	}
	sets := map[bool][]example{}
	for _, s := range smallSites(t, model, "small-fit.json") {
		for answered, questions := range [][]string{s.Unanswered, s.Answered} {
			for _, q := range questions {
				x := s.signals(q, model.Query(q)[0])
				sets[x.CrossLanguage] = append(sets[x.CrossLanguage], example{x, float64(answered)})
			}
		}
	}
	for cross, set := range sets {
		// Logistic regression of one number, by Newton's method.
		var a, b float64
		for range 100 {
			var ga, gb, aa, ab, bb float64
			for _, e := range set {
				x := (e.signals.NearestSentence - .83) * 30
				p := 1 / (1 + math.Exp(-a*x-b))
				ga, gb = ga+(e.answered-p)*x, gb+e.answered-p
				v := p * (1 - p)
				aa, ab, bb = aa+v*x*x, ab+v*x, bb+v
			}
			det := aa*bb - ab*ab
			a, b = a+(bb*ga-ab*gb)/det, b+(aa*gb-ab*ga)/det
		}
		var right judged
		for _, e := range set {
			want := 1 / (1 + math.Exp(-a*(e.signals.NearestSentence-.83)*30-b))
			got := confidence.Default().Probability(e.signals)
			if math.Abs(got-want) > .01 {
				t.Errorf("cross %v: %.3f, not %.3f: even %.4f, slope %.1f", cross, got, want, .83-b/a/30, a*30)
				break
			}
			right.add(1 - math.Abs(got-e.answered))
		}
		t.Logf("cross %v: even %.4f, slope %.1f; %d of %d right", cross, .83-b/a/30, a*30, right.answered, right.asked)
	}
}

func TestANearSentenceMattersLessTheMorePassagesThereAre(t *testing.T) {
	t.Parallel()
	c := confidence.Default()
	near, far := bad, good
	near.NearestSentence, far.NearestSentence = .9, .75
	for _, x := range []struct {
		signals rank.Signals
		sign    float64
	}{{near, 1}, {far, -1}} {
		s := x.signals
		last := math.Inf(1)
		for n := 1; n <= rank.Small; n++ {
			s.Passages = n
			p := x.sign * c.Probability(s)
			if p > last+1e-12 {
				t.Errorf("%d passages: %.3f after %.3f", n, p, last)
			}
			last = p
		}
		if want := c.Probability(x.signals); x.sign*last != want {
			t.Errorf("a full workspace has %.3f, not %.3f", x.sign*last, want)
		}
	}
}
