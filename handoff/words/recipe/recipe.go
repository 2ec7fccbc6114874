package recipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/relaydesk/relaydesk/handoff/words/internal/linear"
)

// Embedder is what the sentences are embedded by: internal/e5, in practice.
type Embedder interface {
	Query(texts ...string) [][]float32
}

// Person is the name of the class that asks for a person; the others are named
// after their topic.
const Person = "visitor_asked"

// Any is the class of everything that touches some sensitive topic.
const Any = "sensitive_topic"

// Topics are the sensitive topics, in the order of the weights file.
var Topics = []string{
	"danger", "fraud_lost_stolen", "billing_dispute", "account_access",
	"refund", "account_closure", "complaint", "legal_privacy",
}

// The strength of fitting. The weights of the examples sum to a few hundred,
// so these are not comparable with those of unweighted examples.
const (
	vectorC = 100
	charsC  = 200
)

// The shares of ordinary messages of unseen sources that may reach Sure and
// Maybe: for asking for a person, and for touching any sensitive topic.
const (
	personSure, personMaybe = .005, .02
	topicSure, topicMaybe   = .015, .05
)

// A Set is rows with what the classifiers see of them.
type Set struct {
	Rows    []Row
	Vectors [][]float32
	grams   [][]uint16
}

// Embed makes a Set of the rows. It says on progress how far it is, and stops
// when ctx ends.
func Embed(ctx context.Context, rows []Row, embedder Embedder, progress io.Writer) (*Set, error) {
	s := &Set{Rows: rows}
	const batch = 64
	for start := 0; start < len(rows); start += batch {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("embed the sentences: %w", err)
		}
		part := rows[start:min(start+batch, len(rows))]
		texts := make([]string, len(part))
		for i := range part {
			texts[i] = part[i].Text
			s.grams = append(s.grams, linear.Grams(nil, linear.Fold(part[i].Text)))
		}
		s.Vectors = append(s.Vectors, embedder.Query(texts...)...)
		if start/batch%20 == 0 {
			fmt.Fprintf(progress, "embedded %d of %d\n", start, len(rows))
		}
	}
	return s, nil
}

// mean is the mean embedding of the ordinary rows that are learnt from.
func (s *Set) mean(leave string) []float32 {
	mean := make([]float32, linear.Dim)
	n := float32(0)
	for i := range s.Rows {
		if r := &s.Rows[i]; r.Trainable() && r.Ordinary() && r.Family() != leave {
			n++
			for j, v := range s.Vectors[i] {
				mean[j] += v
			}
		}
	}
	for j := range mean {
		mean[j] /= max(n, 1)
	}
	return mean
}

// Trained is what Train found: the weights to ship, and for each family of
// sources those that were trained without it.
type Trained struct {
	Full    []byte
	Without map[string][]byte
}

// Train fits all classes on all trainable rows, and once more without each
// family. The scores of the left-out families give the scale and the
// thresholds: of the weights to ship from all families, of those without a
// family from the others.
func (s *Set) Train(progress io.Writer) (*Trained, error) {
	return s.train(append([]string{Person, Any}, Topics...), progress)
}

func (s *Set) train(names []string, progress io.Writer) (*Trained, error) {
	var families []string
	for i := range s.Rows {
		if f := s.Rows[i].Family(); s.Rows[i].Trainable() && !slices.Contains(families, f) {
			families = append(families, f)
		}
	}
	slices.Sort(families)
	if !slices.ContainsFunc(s.Rows, func(r Row) bool { return r.Trainable() && r.Ordinary() }) {
		return nil, errNothingOrdinary
	}

	// fits[0] is on everything, fits[i] without families[i-1].
	fits := make([]linear.Weights, len(families)+1)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for f := range fits {
		fits[f].Classes = make([]linear.Class, len(names))
		for c, name := range names {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				leave := ""
				if f > 0 {
					leave = families[f-1]
				}
				fits[f].Classes[c] = s.fit(name, leave)
			})
		}
	}
	wg.Wait()
	fmt.Fprintf(progress, "fitted %d times %d classes\n", len(fits), len(names))

	t := &Trained{Without: map[string][]byte{}}
	for f := range fits {
		skip := ""
		if f > 0 {
			skip = families[f-1]
		}
		w := linear.Weights{Classes: slices.Clone(fits[f].Classes)}
		for c := range w.Classes {
			if err := s.scale(&w.Classes[c], c, fits, families, skip); err != nil {
				return nil, err
			}
		}
		if err := s.thresholds(&w, fits, families, skip); err != nil {
			return nil, err
		}
		if f == 0 {
			t.Full = w.Encode()
		} else {
			t.Without[skip] = w.Encode()
		}
	}
	return t, nil
}

// positive tells whether the row is an example of the class; use whether it
// says anything about it at all.
func positive(r *Row, class string) (is, use bool) {
	if class == Person {
		// Asking for opening hours or a telephone number is neither clearly
		// the one nor the other.
		return r.Asks(), r.Label != "contact_info"
	}
	if class == Any {
		return r.Label == "sensitive", true
	}
	return r.Topic == class, true
}

func (s *Set) fit(class, leave string) linear.Class {
	type group struct{ source, label, topic string }
	sizes := map[group]int{}
	var use []int
	for i := range s.Rows {
		r := &s.Rows[i]
		if !r.Trainable() || r.Family() == leave {
			continue
		}
		if _, ok := positive(r, class); !ok {
			continue
		}
		use = append(use, i)
		sizes[group{r.Source, r.Label, r.Topic}]++
	}
	mean := s.mean(leave)
	dense, sparse := make([]example, len(use)), make([]example, len(use))
	for k, i := range use {
		r := &s.Rows[i]
		y := -1.0
		if is, _ := positive(r, class); is {
			y = 1
		}
		weight := 1 / math.Sqrt(float64(sizes[group{r.Source, r.Label, r.Topic}]))
		centred := make([]float32, linear.Dim)
		for j, v := range s.Vectors[i] {
			centred[j] = v - mean[j]
		}
		dense[k] = example{dense: centred, y: y, weight: weight}
		sparse[k] = example{sparse: s.grams[i], y: y, weight: weight}
	}
	w, b := logistic(dense, linear.Dim, vectorC)
	for j, v := range w { // the mean goes into the bias, so that it need not be shipped
		b -= v * mean[j]
	}
	c := linear.Class{Name: class, Vector: linear.Quantize(w, b)}
	w, b = logistic(sparse, linear.Buckets, charsC)
	c.Chars = linear.Quantize(w, b)
	return c
}

// unseen is an ordinary row with the classes that were fitted without its family.
type unseen struct {
	row     int
	classes []linear.Class
	weight  float64
}

func (s *Set) unseen(fits []linear.Weights, families []string, skip string) []unseen {
	sizes := map[string]int{}
	var all []unseen
	for i := range s.Rows {
		if r := &s.Rows[i]; r.Trainable() && r.Ordinary() && r.Family() != skip {
			sizes[r.Source]++
			all = append(all, unseen{row: i, classes: fits[1+slices.Index(families, r.Family())].Classes})
		}
	}
	for k := range all {
		all[k].weight = 1 / math.Sqrt(float64(sizes[s.Rows[all[k].row].Source]))
	}
	return all
}

var errNothingOrdinary = errors.New("no ordinary rows to calibrate with")

// scale sets what a class' judgements are measured by: the scores that
// ordinary rows get from weights that have not seen their family. Our own
// sentences are left out where nobody else has examples of the class, because
// nothing was fitted without them.
func (s *Set) scale(c *linear.Class, index int, fits []linear.Weights, families []string, skip string) error {
	var vector, chars moments
	for _, u := range s.unseen(fits, families, skip) {
		class := &u.classes[index]
		if class.Vector.Scale == 0 {
			continue
		}
		vector.add(u.weight, float64(class.Vector.Dense(s.Vectors[u.row])))
		chars.add(u.weight, float64(class.Chars.Sparse(s.grams[u.row])))
	}
	if vector.n == 0 {
		return fmt.Errorf("%s: %w", c.Name, errNothingOrdinary)
	}
	c.Vector.Mean, c.Vector.Dev = vector.meanAndDev()
	c.Chars.Mean, c.Chars.Dev = chars.meanAndDev()
	return nil
}

// thresholds sets Sure, Maybe and BlindSure of Person and of Any.
func (s *Set) thresholds(w *linear.Weights, fits []linear.Weights, families []string, skip string) error {
	all := s.unseen(fits, families, skip)
	if len(all) == 0 {
		return errNothingOrdinary
	}
	var person, blind, topic []weighted
	classes := slices.Clone(w.Classes)
	for _, u := range all {
		for c := range classes { // its fit, on the common scale
			classes[c].Vector, classes[c].Chars = u.classes[c].Vector, u.classes[c].Chars
			classes[c].Vector.Mean, classes[c].Vector.Dev = w.Classes[c].Vector.Mean, w.Classes[c].Vector.Dev
			classes[c].Chars.Mean, classes[c].Chars.Dev = w.Classes[c].Chars.Mean, w.Classes[c].Chars.Dev
		}
		judged := linear.Weights{Classes: classes}
		p, t, _ := judged.Judge(s.Vectors[u.row], s.grams[u.row])
		person = append(person, weighted{p, u.weight})
		topic = append(topic, weighted{t, u.weight})
		blind = append(blind, weighted{classes[0].Chars.Sparse(s.grams[u.row]), u.weight})
	}
	w.Classes[0].Sure, w.Classes[0].Maybe = exceededBy(person, personSure), exceededBy(person, personMaybe)
	w.Classes[0].BlindSure = exceededBy(blind, personSure)
	w.Classes[1].Sure, w.Classes[1].Maybe = exceededBy(topic, topicSure), exceededBy(topic, topicMaybe)
	return nil
}

type moments struct{ sum, square, n float64 }

func (m *moments) add(weight, x float64) {
	m.sum, m.square, m.n = m.sum+weight*x, m.square+weight*x*x, m.n+weight
}

func (m *moments) meanAndDev() (mean, dev float32) {
	x := m.sum / m.n
	return float32(x), float32(math.Sqrt(max(m.square/m.n-x*x, 1e-12)))
}

type weighted struct {
	value  float32
	weight float64
}

// exceededBy is the value that the given share of the weight lies above.
func exceededBy(all []weighted, share float64) float32 {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b weighted) int { return cmp.Compare(b.value, a.value) })
	total, sum := 0.0, 0.0
	for _, x := range sorted {
		total += x.weight
	}
	for _, x := range sorted {
		if sum += x.weight; sum > share*total {
			return x.value
		}
	}
	return sorted[len(sorted)-1].value
}

// Scores gives, for a row, how much it asks for a person and how much it
// touches a sensitive topic, under encoded weights.
func (s *Set) Scores(weights []byte) (func(row int) (person, topic float64), error) {
	w, err := linear.Decode(weights)
	if err != nil {
		return nil, fmt.Errorf("decode weights: %w", err)
	}
	return func(row int) (float64, float64) {
		p, t, _ := w.Judge(s.Vectors[row], s.grams[row])
		return float64(p), float64(t)
	}, nil
}
