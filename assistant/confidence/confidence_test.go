package confidence_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// What a question that is answered, and one that is not, usually look like.
var (
	good = rank.Signals{
		Cosine: .89, CosineZ: 11, CosineGap: .12, NextGap: .05, Background: .011,
		BM25: .38, BM25Z: 6.5, Passage: .65, Sentence: .6, Missing: .8, Unknown: .1, Pairs: .35, Agreement: 1,
	}
	bad = rank.Signals{
		Cosine: .80, CosineZ: 4, CosineGap: .04, NextGap: .005, Background: .01,
		BM25: .06, BM25Z: 2, Passage: .15, Sentence: .12, Missing: 1, Unknown: .6, Agreement: .5,
	}
)

func TestWeightsAreThoseOfTheRecipe(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("weights.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("weights.json.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x\n", sha256.Sum256(b)); got != string(want) {
		t.Errorf("weights.json has %s", got)
	}
	doc, err := os.ReadFile("../../docs/confidence.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), strings.TrimSpace(string(want))) {
		t.Error("docs/confidence.md names another checksum")
	}
	var w confidence.Weights
	if err := json.Unmarshal(b, &w); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]confidence.Linear{"all": w.All, "vectors": w.Vectors} {
		n := confidence.VectorFeatures
		if name == "all" {
			n = len(confidence.Features(good))
		}
		if len(l.Mean) != n || len(l.Deviation) != n || len(l.Weight) != n {
			t.Errorf("%s: %d means, %d deviations, %d weights for %d features", name, len(l.Mean), len(l.Deviation), len(l.Weight), n)
		}
		for _, d := range l.Deviation {
			if d <= 0 {
				t.Errorf("%s: deviations %v", name, l.Deviation)
			}
		}
	}
}

func TestOffTopicQuestionsAreManyAndDifferent(t *testing.T) {
	t.Parallel()
	langs, seen := map[string]int{}, map[string]bool{}
	for _, q := range confidence.OffTopic() {
		langs[q.Lang]++
		if seen[q.Text] || len(rank.Words(q.Text)) < 3 {
			t.Errorf("%q", q.Text)
		}
		seen[q.Text] = true
	}
	for _, l := range []string{"en", "de", "fr", "es", "it", "pt", "nl", "pl"} {
		if langs[l] < 30 {
			t.Errorf("%d in %s", langs[l], l)
		}
	}
}

func TestAnAnswerIsTrustedAndAForeignQuestionIsNot(t *testing.T) {
	t.Parallel()
	c := confidence.Default()
	if p := c.Probability(good); p < confidence.Upper {
		t.Errorf("a good answer has %.2f", p)
	}
	if p := c.Probability(bad); p >= confidence.Lower {
		t.Errorf("a foreign question has %.2f", p)
	}
	for _, s := range []rank.Signals{good, bad} {
		s.CrossLanguage = true
		p := c.Probability(s)
		if (p >= confidence.Lower) != (s.Cosine == good.Cosine) {
			t.Errorf("across languages %.2f has %.2f", s.Cosine, p)
		}
	}
}

func TestWithoutVectorsWordsDecide(t *testing.T) {
	t.Parallel()
	words := func(s rank.Signals) rank.Signals {
		s.Cosine, s.CosineZ, s.CosineGap, s.NextGap, s.Background, s.NoVectors = 0, 0, 0, 0, 0, true
		return s
	}
	c := confidence.Default()
	if g, b := c.Probability(words(good)), c.Probability(words(bad)); g < confidence.Lower || b >= confidence.Lower {
		t.Errorf("good %.2f, bad %.2f", g, b)
	}
	if p := c.Probability(rank.Signals{NoVectors: true}); p > .01 {
		t.Errorf("nothing found has %.2f", p)
	}
	cross := words(good)
	cross.CrossLanguage = true
	if p := c.Probability(cross); p > .01 {
		t.Errorf("words of another language have %.2f", p)
	}
}

// A site where foreign questions find more words wants more of an answer.
func TestCalibrationMovesTheEvenChanceBetweenForeignQuestionsAndHeadings(t *testing.T) {
	t.Parallel()
	between := func(x float64) rank.Signals {
		a, b := confidence.Features(bad), confidence.Features(good)
		s := rank.Signals{}
		for i, p := range []*float64{&s.Cosine, &s.CosineZ, &s.CosineGap, &s.NextGap, &s.Background, &s.BM25, &s.BM25Z, &s.Passage, &s.Sentence, &s.Missing, &s.Unknown, &s.Pairs, &s.Agreement} {
			*p = a[i] + x*(b[i]-a[i])
		}
		return s
	}
	many := func(x float64) (out []rank.Signals) {
		for i := range 50 {
			out = append(out, between(x+float64(i%5)/50))
		}
		return out
	}
	low := confidence.Calibrate(many(0), many(1))
	high := confidence.Calibrate(many(.4), many(1.4))
	if low.Same >= high.Same {
		t.Errorf("even chances at %.2f and %.2f", low.Same, high.Same)
	}
	for name, c := range map[string]confidence.Calibration{"low": low, "high": high} {
		off := map[string]float64{"low": 0, "high": .4}[name]
		if p := c.Probability(between(off + .05)); p >= confidence.Lower {
			t.Errorf("%s: a foreign question has %.2f", name, p)
		}
		if p := c.Probability(between(off + 1.05)); p < confidence.Upper {
			t.Errorf("%s: a heading has %.2f", name, p)
		}
		last := 0.0
		for x := -2.0; x < 3; x += .1 {
			p := c.Probability(between(x))
			if p < last || math.IsNaN(p) || p > 1 {
				t.Fatalf("%s: %.3f after %.3f", name, p, last)
			}
			last = p
		}
	}
}

func TestNothingToCalibrateWithLeavesTheDefault(t *testing.T) {
	t.Parallel()
	got, want := confidence.Calibrate(nil, nil), confidence.Default()
	if math.Abs(got.Same-want.Same) > 1e-9 || got.Cross != want.Cross || got.Slope != want.Slope {
		t.Errorf("%+v, not %+v", got, want)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var back confidence.Calibration
	if err := json.Unmarshal(b, &back); err != nil || back != got {
		t.Errorf("%s comes back as %+v, %v", b, back, err)
	}
}
