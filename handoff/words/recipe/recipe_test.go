package recipe

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaydesk/relaydesk/handoff/words/internal/linear"
)

// hashes embeds a text by its words, well enough to learn from.
type hashes struct{}

func (hashes) Query(texts ...string) [][]float32 {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = make([]float32, linear.Dim)
		for _, w := range strings.Fields(strings.ToLower(text)) {
			h := fnv.New32a()
			_, _ = io.WriteString(h, w)
			out[i][h.Sum32()%linear.Dim]++
		}
	}
	return out
}

func TestOurSentencesAreOursAndLabelledRight(t *testing.T) {
	t.Parallel()
	rows, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	labels := []string{"asks_human", "sensitive", "plain", "oos"}
	seen := map[string]string{}
	languages := map[string]int{}
	for _, r := range rows {
		languages[r.Lang]++
		switch {
		case !r.Trainable(), !strings.HasPrefix(r.Source, "own-"), r.Family() != "own", strings.TrimSpace(r.Text) == "":
			t.Errorf("%+v", r)
		case !slices.Contains(labels, r.Label):
			t.Errorf("%q is labelled %q", r.Text, r.Label)
		case r.Label == "sensitive" != slices.Contains(Topics, r.Topic):
			t.Errorf("%q has the topic %q", r.Text, r.Topic)
		}
		key := r.Lang + " " + linear.Fold(r.Text)
		if other, twice := seen[key]; twice && other != r.Label+r.Topic {
			t.Errorf("%q is labelled in two ways", r.Text)
		}
		seen[key] = r.Label + r.Topic
	}
	for _, lang := range []string{"en", "de", "fr", "es", "it", "pt", "nl", "pl"} {
		if languages[lang] < 200 {
			t.Errorf("%d sentences in %s", languages[lang], lang)
		}
	}
}

func TestOnlyFreeLicencesAreLearntFrom(t *testing.T) {
	t.Parallel()
	for licence, want := range map[string]bool{
		"own": true, "CC-BY-4.0": true, "CC-BY-3.0": true, "CDLA-Sharing-1.0": true, "MIT": true, "Apache-2.0": true,
		"CC-BY-SA-4.0": false, "CC-BY-NC-4.0": false, "CC-BY-ND-4.0": false, "GPL-3.0": false, "": false, "none": false,
	} {
		if got := (&Row{Licence: licence}).Trainable(); got != want {
			t.Errorf("%q: %v", licence, got)
		}
	}
}

func TestPartsOfACollectionAreOneFamily(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{"multidogo-media": "multidogo", "nlupp-hotels": "nlupp", "own-de": "own", "banking77": "banking77"} {
		if got := (&Row{Source: source}).Family(); got != want {
			t.Errorf("%s: %s", source, got)
		}
	}
}

func TestARowThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Read(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	path := filepath.Join(dir, "dev", "handoff_utterances.jsonl")
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{\"text\":\"a\",\"label\":\"plain\"}\n\n{broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v", err)
	}
}

func TestTheFitSeparatesWhatCanBeSeparated(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	const dim = 8
	var dense []example
	for range 200 {
		x := make([]float32, dim)
		for i := range x {
			x[i] = r.Float32()*2 - 1
		}
		y := -1.0
		if x[0]+x[1] > .2 {
			y = 1
		}
		dense = append(dense, example{dense: x, y: y, weight: 1})
	}
	w, b := logistic(dense, dim, 1000)
	wrong := 0
	for _, e := range dense {
		sum := b
		for i, v := range e.dense {
			sum += w[i] * v
		}
		if (sum > 0) != (e.y > 0) {
			wrong++
		}
	}
	if wrong > 4 || w[0] < 5*w[5] || w[1] < 5*w[5] {
		t.Errorf("%d of %d wrong with %v", wrong, len(dense), w)
	}
	again, c := logistic(dense, dim, 1000)
	if !slices.Equal(w, again) || b != c {
		t.Error("the same examples give other weights")
	}
}

func TestThresholdsAreExceededByTheirShare(t *testing.T) {
	t.Parallel()
	var all []weighted
	for i := range 1000 {
		all = append(all, weighted{value: float32(i), weight: 1})
	}
	if got := exceededBy(all, .01); got != 989 {
		t.Errorf("%f", got)
	}
	all[999].weight = 1000 // half of all weight
	if got := exceededBy(all, .6); got > 999 || got < 700 {
		t.Errorf("%f", got)
	}
	if got := exceededBy(all[:1], 2); got != 0 {
		t.Errorf("%f", got)
	}
}

// rows are made of a few words: of one family that may be learnt from, of
// another, and of one that may not.
func rows() []Row {
	var out []Row
	for _, source := range []string{"banking77", "clinc150"} {
		for i, text := range []string{"human", "person please", "agent now", "weather today", "blue lamp", "price of lamp", "train times", "stolen card", "card stolen yesterday", "refund money"} {
			r := Row{Text: text, Label: "plain", Lang: "en", Source: source, Licence: "CC-BY-4.0"}
			switch {
			case i < 3:
				r.Label = "asks_human"
			case i >= 9:
				r.Label, r.Topic = "sensitive", "refund"
			case i >= 7:
				r.Label, r.Topic = "sensitive", "fraud_lost_stolen"
			}
			out = append(out, r)
		}
	}
	return append(out, Row{Text: "blue lamp", Label: "asks_human", Source: "closed", Licence: "GPL-3.0"})
}

func set(t *testing.T, rows []Row) *Set {
	t.Helper()
	s, err := Embed(t.Context(), rows, hashes{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsLeftOutOrClosedLeavesNoTrace(t *testing.T) {
	t.Parallel()
	all := rows()
	whole := set(t, all)
	for i := range all {
		if all[i].Source != "banking77" { // nonsense, and what it asks for
			all[i].Text = strings.Repeat("zebra ", i+1)
		}
	}
	changed := set(t, all)
	for _, class := range []string{Person, "refund"} {
		a, b := whole.fit(class, "clinc150"), changed.fit(class, "clinc150")
		if !slices.Equal(a.Chars.Q, b.Chars.Q) || a.Chars.Bias != b.Chars.Bias || !slices.Equal(a.Vector.Q, b.Vector.Q) || a.Vector.Bias != b.Vector.Bias {
			t.Errorf("%s: the fit depends on what was left out", class)
		}
		if c := changed.fit(class, ""); slices.Equal(a.Chars.Q, c.Chars.Q) {
			t.Errorf("%s: the fit does not depend on what it is trained on", class)
		}
		if again := whole.fit(class, "clinc150"); !slices.Equal(a.Chars.Q, again.Chars.Q) || !slices.Equal(a.Vector.Q, again.Vector.Q) {
			t.Errorf("%s: the same rows give other weights", class)
		}
	}
}

func TestTrainedWeightsTellWhatTheyWereTrainedOn(t *testing.T) {
	t.Parallel()
	s := set(t, rows())
	trained, err := s.train([]string{Person, Any, "refund"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(trained.Without) != 2 || trained.Without["clinc150"] == nil || trained.Without["banking77"] == nil {
		t.Fatalf("%d families", len(trained.Without))
	}
	score, err := s.Scores(trained.Full)
	if err != nil {
		t.Fatal(err)
	}
	low, high := math.Inf(1), math.Inf(-1) // of those who ask, of ordinary ones
	for i := range s.Rows {
		person, topic := score(i)
		if math.IsNaN(person) || math.IsNaN(topic) {
			t.Fatalf("%q scores %f and %f", s.Rows[i].Text, person, topic)
		}
		if !s.Rows[i].Trainable() {
			continue
		}
		if s.Rows[i].Asks() {
			low = min(low, person)
		} else if s.Rows[i].Ordinary() {
			high = max(high, person)
		}
	}
	if low <= high {
		t.Errorf("who asks scores from %f, others up to %f", low, high)
	}
}

func TestNothingOrdinaryMeansNoWeights(t *testing.T) {
	t.Parallel()
	set, err := Embed(t.Context(), rows()[:3], hashes{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Train(io.Discard); !errors.Is(err, errNothingOrdinary) {
		t.Errorf("%v", err)
	}
}

func TestEmbeddingStopsWhenItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Embed(ctx, rows(), hashes{}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
