// Package triggers measures the triggers on a visitor's words on public
// sentences. No source is ever judged by weights that were trained on it, or
// on another part of its collection: for those that the shipped weights know,
// the weights are trained again without them.
//
// It reports two things. What the classifiers can do: recall at given shares
// of false alarms, with the threshold that gives them. And what the detector
// does as it is shipped: its own thresholds (for a source that was left out,
// chosen from the other sources), the lexicon and the guards included.
package triggers

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/relaydesk/relaydesk/handoff/words"
	"github.com/relaydesk/relaydesk/handoff/words/recipe"
)

// Embedder is internal/e5, in practice.
type Embedder interface {
	Query(texts ...string) [][]float32
}

// judged is a row with all that is measured of it.
type judged struct {
	*recipe.Row
	person, topic float64 // the classifiers' scores
	found         []words.Finding
}

func (j *judged) asked(effects ...string) bool {
	return slices.ContainsFunc(j.found, func(f words.Finding) bool {
		return f.Kind == words.VisitorAsked && slices.Contains(effects, f.Effect)
	})
}

func (j *judged) touched(topic string, effects ...string) bool {
	return slices.ContainsFunc(j.found, func(f words.Finding) bool {
		return f.Kind == words.SensitiveTopic && (topic == "" || f.Topic == topic) && slices.Contains(effects, f.Effect)
	})
}

// Run measures on the rows of dataDir (dev/handoff_utterances.jsonl) and
// writes tables in Markdown. It takes minutes, and stops when ctx ends.
func Run(ctx context.Context, dataDir string, embed Embedder, out io.Writer) error {
	rows, err := judge(ctx, dataDir, embed)
	if err != nil {
		return err
	}
	b := &strings.Builder{}
	persons(b, rows)
	shippedPersons(b, rows)
	topics(b, rows)
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func judge(ctx context.Context, dataDir string, embed Embedder) ([]judged, error) {
	all, err := recipe.Own()
	if err != nil {
		return nil, err
	}
	own := len(all)
	others, err := recipe.Read(dataDir)
	if err != nil {
		return nil, err
	}
	set, err := recipe.Embed(ctx, append(all, others...), embed, io.Discard)
	if err != nil {
		return nil, err
	}
	trained, err := set.Train(io.Discard)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	type judge struct {
		scores   func(int) (float64, float64)
		detector *words.Detector
	}
	judges := map[string]judge{}
	without := maps.Clone(trained.Without)
	without[""] = trained.Full
	for family, weights := range without {
		scores, err := set.Scores(weights)
		if err != nil {
			return nil, err
		}
		detector, err := words.Open(weights)
		if err != nil {
			return nil, err
		}
		judges[family] = judge{scores, detector}
	}
	out := make([]judged, 0, len(others))
	for i := own; i < len(set.Rows); i++ {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("judge the rows: %w", err)
		}
		row := &set.Rows[i]
		by, ok := judges[row.Family()]
		if !ok {
			by = judges[""]
		}
		j := judged{Row: row}
		j.person, j.topic = by.scores(i)
		pieces := words.Sentences(row.Text)
		vectors := [][]float32{set.Vectors[i]}
		if len(pieces) != 1 || pieces[0] != row.Text {
			vectors = embed.Query(pieces...)
		}
		j.found = by.detector.Read(pieces, vectors)
		out = append(out, j)
	}
	return out, nil
}

// A count is a number beside its share.
type count struct{ n, of int }

func (c *count) add(hit bool) {
	c.of++
	if hit {
		c.n++
	}
}

func (c count) share() float64 { return float64(c.n) / float64(max(c.of, 1)) }

func (c count) String() string {
	if c.of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f (%d of %d)", c.share(), c.n, c.of)
}

func tally(rows []judged, which, hit func(*judged) bool) (c count) {
	for i := range rows {
		if which(&rows[i]) {
			c.add(hit(&rows[i]))
		}
	}
	return c
}

func asks(j *judged) bool     { return j.Asks() }
func ordinary(j *judged) bool { return j.Ordinary() }
func hard(j *judged) bool     { return j.Ordinary() && j.Hard }

func in(source string, which func(*judged) bool) func(*judged) bool {
	return func(j *judged) bool { return j.Source == source && which(j) }
}

func sources(rows []judged, which func(*judged) bool) []string {
	var out []string
	for i := range rows {
		if which(&rows[i]) && !slices.Contains(out, rows[i].Source) {
			out = append(out, rows[i].Source)
		}
	}
	slices.Sort(out)
	return out
}

// macro averages the shares over the sources, so that the large ones don't
// hide the rest.
func macro(rows []judged, which, hit func(*judged) bool) float64 {
	names, sum := sources(rows, which), 0.0
	for _, s := range names {
		sum += tally(rows, in(s, which), hit).share()
	}
	return sum / float64(max(len(names), 1))
}

// threshold is what the share of ordinary rows lies above.
func threshold(rows []judged, share float64, score func(*judged) float64) float64 {
	var all []float64
	for i := range rows {
		if rows[i].Ordinary() {
			all = append(all, score(&rows[i]))
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(b, a) })
	return all[min(int(share*float64(len(all))), len(all)-1)]
}

func persons(b *strings.Builder, rows []judged) {
	fmt.Fprintf(b, "### Asks for a person: the classifiers alone\n\n| false alarms | threshold | recall | macro over sources | not English | look-alikes taken |\n|---|---|---|---|---|---|\n")
	for _, share := range []float64{.005, .01, .03} {
		t := threshold(rows, share, func(j *judged) float64 { return j.person })
		hit := func(j *judged) bool { return j.person > t }
		fmt.Fprintf(b, "| %.1f %% | %.2f | %v | %.3f | %v | %v |\n", share*100, t, tally(rows, asks, hit), macro(rows, asks, hit),
			tally(rows, func(j *judged) bool { return j.Asks() && j.Lang != "en" }, hit), tally(rows, hard, hit))
	}
}

func shippedPersons(b *strings.Builder, rows []judged) {
	escalates := func(j *judged) bool { return j.asked(words.Escalate) }
	offers := func(j *judged) bool { return j.asked(words.Escalate, words.Offer) }
	lexicon := func(j *judged) bool { return words.MeansHuman(j.Text) }
	fmt.Fprintf(b, "\n### Asks for a person: the detector as shipped\n\n| | escalates | escalates or offers | lexicon alone |\n|---|---|---|---|\n")
	line := func(name string, which func(*judged) bool) {
		fmt.Fprintf(b, "| %s | %v | %v | %v |\n", name, tally(rows, which, escalates), tally(rows, which, offers), tally(rows, which, lexicon))
	}
	line("recall", asks)
	fmt.Fprintf(b, "| recall, macro over sources | %.3f | %.3f | %.3f |\n", macro(rows, asks, escalates), macro(rows, asks, offers), macro(rows, asks, lexicon))
	line("recall, not English", func(j *judged) bool { return j.Asks() && j.Lang != "en" })
	line("false alarms, ordinary", ordinary)
	fmt.Fprintf(b, "| false alarms, macro over sources | %.3f | %.3f | %.3f |\n", macro(rows, ordinary, escalates), macro(rows, ordinary, offers), macro(rows, ordinary, lexicon))
	line("… of these look-alikes", hard)
	line("… of these look-alikes that don't name sales", func(j *judged) bool { return hard(j) && !strings.Contains(strings.ToLower(j.Text), "sales") })
	line("… of these the others", func(j *judged) bool { return j.Ordinary() && !j.Hard })
	line("… of these not English", func(j *judged) bool { return j.Ordinary() && j.Lang != "en" })
	line("on sensitive topics", func(j *judged) bool { return j.Label == "sensitive" })
	line("wants contact details (policy, not scored)", func(j *judged) bool { return j.Label == "contact_info" })
	fmt.Fprintf(b, "\n| source | recall | false alarms (escalates) | look-alikes (escalates) |\n|---|---|---|---|\n")
	for _, s := range sources(rows, func(*judged) bool { return true }) {
		fmt.Fprintf(b, "| %s | %v | %v | %v |\n", s, tally(rows, in(s, asks), escalates), tally(rows, in(s, ordinary), escalates), tally(rows, in(s, hard), escalates))
	}
	fmt.Fprintf(b, "\n| language | recall | false alarms |\n|---|---|---|\n")
	var langs []string
	for i := range rows {
		if !slices.Contains(langs, rows[i].Lang) {
			langs = append(langs, rows[i].Lang)
		}
	}
	slices.Sort(langs)
	for _, l := range langs {
		fmt.Fprintf(b, "| %s | %v | %v |\n", l,
			tally(rows, func(j *judged) bool { return j.Asks() && j.Lang == l }, escalates),
			tally(rows, func(j *judged) bool { return j.Ordinary() && j.Lang == l }, escalates))
	}
}

func topics(b *strings.Builder, rows []judged) {
	at := threshold(rows, .05, func(j *judged) float64 { return j.topic })
	classified := func(j *judged) bool { return j.topic > at }
	anything := []string{words.Escalate, words.Offer, words.Tag}
	fmt.Fprintf(b, "\n### Sensitive topics\n\nThe classifiers at 5 %% false alarms on ordinary messages (threshold %.2f), and the detector as shipped.\n\n", at)
	fmt.Fprintf(b, "| topic | classifiers: any topic | shipped: any topic | … the right one | … escalates | … offers | … only tags |\n|---|---|---|---|---|---|---|\n")
	line := func(name string, which func(*judged) bool, topic func(*judged) string) {
		fmt.Fprintf(b, "| %s | %v | %v | %v | %v | %v | %v |\n", name, tally(rows, which, classified),
			tally(rows, which, func(j *judged) bool { return j.touched("", anything...) }),
			tally(rows, which, func(j *judged) bool { return j.touched(topic(j), anything...) }),
			tally(rows, which, func(j *judged) bool { return j.touched("", words.Escalate) }),
			tally(rows, which, func(j *judged) bool {
				return j.touched("", words.Offer) && !j.touched("", words.Escalate)
			}),
			tally(rows, which, func(j *judged) bool {
				return j.touched("", words.Tag) && !j.touched("", words.Escalate, words.Offer)
			}))
	}
	own := func(j *judged) string { return j.Topic }
	sensitive := func(j *judged) bool { return j.Label == "sensitive" }
	line("all", sensitive, own)
	for _, topic := range recipe.Topics {
		which := func(j *judged) bool { return j.Topic == topic }
		if tally(rows, which, which).of > 0 {
			line(topic, which, own)
		}
	}
	line("ordinary (false alarms)", ordinary, own)
	line("look-alikes (false alarms)", hard, own)
	fmt.Fprintf(b, "\nMacro over sources: %.3f (classifiers), %.3f (shipped).\n", macro(rows, sensitive, classified),
		macro(rows, sensitive, func(j *judged) bool { return j.touched("", anything...) }))
	fmt.Fprintf(b, "\n| source | classifiers: any topic | false alarms |\n|---|---|---|\n")
	for _, s := range sources(rows, func(j *judged) bool { return sensitive(j) || ordinary(j) }) {
		fmt.Fprintf(b, "| %s | %v | %v |\n", s, tally(rows, in(s, sensitive), classified), tally(rows, in(s, ordinary), classified))
	}
}
