// Package retrieval measures finding and answering without a model provider: on
// SQuAD 2.0 in English and Portuguese, on XQuAD in eight languages and from
// seven of them to English documents, and on three real help centres.
//
// The data is read into memory. Words, ranking, extraction and confidence are
// the server's own functions; the two searches before them are done by hand
// (the 60 nearest vectors, and the 50 best by the formula of Postgres' ts_rank).
package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/assistant/extract"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// Run measures on the data in dataDir and writes tables in Markdown. Vectors are
// kept in the user's cache folder: the first run takes minutes.
func Run(ctx context.Context, dataDir string, embed Embedder, out io.Writer) error {
	l, err := open(ctx, dataDir, embed)
	if err != nil {
		return err
	}
	b := &strings.Builder{}
	if err := l.retrievalTable(b); err != nil {
		return err
	}
	if err := l.answerTable(b); err != nil {
		return err
	}
	if err := l.confidenceTable(b); err != nil {
		return err
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

// A Sample is a question asked of a set, for training.
type Sample struct {
	Set, Kind string
	Answered  bool
	Signals   rank.Signals
}

// XQuAD gives the samples that confidence's weights are made from: all sets of
// XQuAD with their questions, those whose article is missing, and
// confidence.OffTopic.
func XQuAD(ctx context.Context, dataDir string, embed Embedder) ([]Sample, error) {
	l, err := open(ctx, dataDir, embed)
	if err != nil {
		return nil, err
	}
	var out []Sample
	for _, s := range l.sets {
		if !strings.HasPrefix(s.name, "xquad") {
			continue
		}
		wanted := s.of(answered, missing, offTopic)
		signals, err := each(ctx, wanted, s.signals)
		if err != nil {
			return nil, err
		}
		for i, c := range wanted {
			out = append(out, Sample{s.name, c.kind, c.kind == answered, signals[i]})
		}
	}
	return out, nil
}

func open(ctx context.Context, dataDir string, embed Embedder) (*loader, error) {
	l, err := prepare(ctx, embed, dataDir)
	if err != nil {
		return nil, err
	}
	return l, l.load(ctx)
}

// prepare gives a loader that has read nothing yet.
func prepare(ctx context.Context, embed Embedder, dataDir string) (*loader, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find a folder for vectors: %w", err)
	}
	return &loader{ctx: ctx, cache: cache{filepath.Join(dir, "relaydesk-eval"), embed}, dir: dataDir}, nil
}

// of gives the calls of some kinds.
func (s *set) of(kinds ...string) []*call {
	var out []*call
	for i := range s.calls {
		if slices.Contains(kinds, s.calls[i].kind) {
			out = append(out, &s.calls[i])
		}
	}
	return out
}

// each runs fn for all on two cores and keeps their order.
func each[A, B any](ctx context.Context, all []A, fn func(A) B) ([]B, error) {
	out := make([]B, len(all))
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for i := worker; i < len(all) && ctx.Err() == nil; i += 2 {
				out[i] = fn(all[i])
			}
		})
	}
	wg.Wait()
	return out, ctx.Err()
}

// position is where the first right document stands among the documents found; 0
// if it is not there.
func (s *set) position(c *call) int {
	f := s.ask(c)
	var seen []string
	for i := range f.hits {
		p := f.passage(i)
		if slices.Contains(seen, p.doc) {
			continue
		}
		seen = append(seen, p.doc)
		if c.right(p) {
			return len(seen)
		}
	}
	return 0
}

func (l *loader) retrievalTable(b *strings.Builder) error {
	fmt.Fprintf(b, "### Finding the document\n\n| set | passages | questions | R@1 | R@5 | MRR |\n|---|---|---|---|---|---|\n")
	type row struct{ one, five, mrr float64 }
	var same, cross []row
	for _, s := range l.sets {
		asked := s.of(answered)
		places, err := each(l.ctx, asked, s.position)
		if err != nil {
			return err
		}
		var r row
		for _, p := range places {
			if p == 1 {
				r.one++
			}
			if p >= 1 && p <= 5 {
				r.five++
			}
			if p > 0 {
				r.mrr += 1 / float64(p)
			}
		}
		n := float64(len(asked))
		r = row{r.one / n, r.five / n, r.mrr / n}
		fmt.Fprintf(b, "| %s | %d | %d | %.3f | %.3f | %.3f |\n", s.name, len(s.passages), len(asked), r.one, r.five, r.mrr)
		if strings.HasPrefix(s.name, "xquad") {
			if strings.Contains(s.name, "→") {
				cross = append(cross, r)
			} else {
				same = append(same, r)
			}
		}
	}
	mean := func(name string, rows []row) {
		var m row
		for _, r := range rows {
			n := float64(len(rows))
			m = row{m.one + r.one/n, m.five + r.five/n, m.mrr + r.mrr/n}
		}
		fmt.Fprintf(b, "| **%s** | | | %.3f | %.3f | %.3f |\n", name, m.one, m.five, m.mrr)
	}
	mean("xquad, mean of 8 languages", same)
	mean("xquad, mean of 7 languages → en", cross)
	return nil
}

func (l *loader) answerTable(b *strings.Builder) error {
	fmt.Fprintf(b, "\n### The gold string in what is quoted\n\n| set | questions | in the best quote | in the answer | in the first passage | quotes | letters |\n|---|---|---|---|---|---|---|\n")
	for _, s := range l.sets {
		var asked []*call
		for i, c := range s.of(answered) {
			if len(c.Answers) > 0 && i%4 == 0 { // embedding sentences is what takes long
				asked = append(asked, c)
			}
		}
		if len(asked) == 0 || strings.Contains(s.name, "→") {
			continue
		}
		type row struct {
			best, all, passage, quotes, letters int
			err                                 error
		}
		rows, err := each(l.ctx, asked, func(c *call) (r row) {
			f := s.ask(c)
			a, err := extract.Answer(f.question, c.vector, f.hits, func(s []string) ([][]float32, error) { return l.cache.embed.Passage(s...), nil }, extract.Options{})
			if err != nil || len(a.Quotes) == 0 {
				return row{err: err}
			}
			best := slices.MaxFunc(a.Quotes, func(a, b extract.Quote) int { return cmp.Compare(a.Score, b.Score) })
			return row{c.gold(best.Text), c.gold(a.Text), c.gold(f.hits[0].Text), len(a.Quotes), len([]rune(a.Text)), nil}
		})
		if err != nil {
			return err
		}
		var t row
		for _, r := range rows {
			if r.err != nil {
				return r.err
			}
			t = row{t.best + r.best, t.all + r.all, t.passage + r.passage, t.quotes + r.quotes, t.letters + r.letters, nil}
		}
		n := float64(len(asked))
		fmt.Fprintf(b, "| %s | %d | %.3f | %.3f | %.3f | %.1f | %.0f |\n", s.name, len(asked), float64(t.best)/n, float64(t.all)/n, float64(t.passage)/n, float64(t.quotes)/n, float64(t.letters)/n)
	}
	return nil
}

// gold is 1 if the text has one of the answers.
func (c *call) gold(text string) int {
	text = strings.ToLower(text)
	if slices.ContainsFunc(c.Answers, func(a string) bool { return strings.Contains(text, strings.ToLower(a)) }) {
		return 1
	}
	return 0
}

// judged is what confidence says of a call.
type judged struct {
	kind        string
	cross       bool
	score       float64
	probability float64
}

func (l *loader) confidenceTable(b *strings.Builder) error {
	fmt.Fprintf(b, "\n### Knowing what is not known\n\nRefused: probability below %.2f. Offered: below %.2f, answered with the offer of a person.\n\n", confidence.Lower, confidence.Upper)
	fmt.Fprintf(b, "| set | question | asked | refused | offered | AUROC against answered |\n|---|---|---|---|---|---|\n")
	total := map[string][]judged{}
	var calibration confidence.Calibration
	for _, s := range l.sets {
		if !strings.Contains(s.name, "→") { // else the one of English content, which came first
			var err error
			if calibration, err = s.calibrate(l.ctx); err != nil {
				return err
			}
		} else if i := slices.IndexFunc(l.sets, func(o *set) bool { return o.workspace == s.workspace }); true {
			var err error
			if calibration, err = l.sets[i].calibrate(l.ctx); err != nil {
				return err
			}
		}
		rows, err := each(l.ctx, s.of(answered, otherTenant, missing, leftOut, adversarial, offTopic), func(c *call) judged {
			signals := s.signals(c)
			return judged{c.kind, signals.CrossLanguage, confidence.Score(signals), calibration.Probability(signals)}
		})
		if err != nil {
			return err
		}
		group := "sets of documents"
		switch {
		case slices.Contains(siteNames, s.name):
			group = "help centres"
		case strings.Contains(s.name, "→"):
			group = "xquad → en"
		}
		total[group] = append(total[group], rows...)
		table(b, s.name, rows)
	}
	for _, group := range []string{"help centres", "sets of documents", "xquad → en"} {
		table(b, "**"+group+"**", total[group])
	}
	return nil
}

// calibrate does what the server does for a workspace.
func (s *set) calibrate(ctx context.Context) (confidence.Calibration, error) {
	off, err := each(ctx, s.of(offTopic), s.signals)
	if err != nil {
		return confidence.Calibration{}, err
	}
	own, err := each(ctx, s.of(heading), s.signals)
	return confidence.Calibrate(off, own), err
}

func table(b *strings.Builder, name string, rows []judged) {
	var right []float64
	for _, r := range rows {
		if r.kind == answered {
			right = append(right, r.score)
		}
	}
	for _, kind := range []string{answered, otherTenant, offTopic, missing, leftOut, adversarial} {
		for _, cross := range []bool{false, true} {
			var n, refused, offered int
			var scores []float64
			for _, r := range rows {
				if r.kind != kind || r.cross != cross {
					continue
				}
				n++
				scores = append(scores, r.score)
				switch {
				case r.probability < confidence.Lower:
					refused++
				case r.probability < confidence.Upper:
					offered++
				}
			}
			if n == 0 {
				continue
			}
			label, area := kind, "–"
			if cross {
				label += ", another language"
			}
			if kind != answered && len(right) > 0 && !strings.HasPrefix(name, "**") && !(cross && !strings.Contains(name, "→")) {
				area = fmt.Sprintf("%.3f", auroc(right, scores))
			}
			fmt.Fprintf(b, "| %s | %s | %d | %.3f | %.3f | %s |\n", name, label, n, float64(refused)/float64(n), float64(offered)/float64(n), area)
		}
	}
}

// auroc is the chance that a right one scores higher than a wrong one.
func auroc(right, wrong []float64) float64 {
	slices.Sort(wrong)
	sum := 0.0
	for _, r := range right {
		i, _ := slices.BinarySearch(wrong, r)
		sum += float64(i)
	}
	return sum / float64(len(right)*len(wrong))
}
