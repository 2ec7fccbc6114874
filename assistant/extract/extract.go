// Package extract answers a question with sentences of the content, word for
// word: what the assistant says when no model provider is set up, and what it
// falls back to.
//
// A passage is read as units (units.go): a sentence, a row of a table, or a list
// with the line that leads it in, because "- Friday" says nothing by itself.
// Units are ranked like passages: by how much of the question's idf they have,
// and by the cosine of the best few, which the caller may have embedded. What a
// unit's heading says already counts for it, so that under a heading that is the
// question the passage's beginning is the answer; a question in the text hands
// its words on to what follows it.
//
// Quotes are parts of the passage's text, unchanged and in its order, so that
// they can be shown as citations and be found on the page again.
package extract

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// Options bound an answer. The zero value takes the defaults.
type Options struct {
	Passages int // how many of the best hits are read; 3
	Quotes   int // how many units are quoted at most; 3
	Embedded int // how many units are embedded at most; 6
	Letters  int // how long the answer gets, roughly; 700 bytes
}

func (o Options) withDefaults() Options {
	o.Passages = cmp.Or(o.Passages, 3)
	o.Quotes = cmp.Or(o.Quotes, 3)
	o.Embedded = cmp.Or(o.Embedded, 6)
	o.Letters = cmp.Or(o.Letters, 700)
	return o
}

// Embed gives the vectors of sentences as passages. It may give none.
type Embed func(sentences []string) ([][]float32, error)

// A Quote is a part of a hit's text, unchanged.
type Quote struct {
	Hit   int     // in the hits given to Answer
	Start int     // where in the hit's text it begins, in bytes
	Text  string  //
	Score float64 // comparable within one answer only
	// Header is the row that names the columns, if Text is a row of a table.
	// It stands above it in an answer's Text.
	Header string
}

// An Answered question.
type Answered struct {
	Text   string  // the quotes, joined to be read, rows under their table's header; empty if nothing fits
	Quotes []Quote // in the order of Text; the best hit's first
}

// Answer quotes what answers the question best. The vector is the question's;
// without it, or with an embed that is nil or fails, words decide alone. An
// error of embed is not the answer's: it is returned beside the answer.
func Answer(q *rank.Question, vector []float32, hits []rank.Hit, embed Embed, options Options) (Answered, error) {
	o := options.withDefaults()
	var units []unit
	for i := range hits[:min(o.Passages, len(hits))] {
		units = append(units, read(q, hits, i)...)
	}
	if !rank.AboutCode(q.Text()) {
		units = language(units)
	}
	if len(units) == 0 {
		return Answered{}, nil
	}
	byScore(units)
	err := likeness(units[:min(o.Embedded, len(units))], vector, embed)
	byScore(units)
	quotes := choose(units, o)
	return Answered{Text: join(quotes, hits), Quotes: quotes}, err
}

// language leaves out code, unless there is nothing else.
func language(units []unit) []unit {
	if spoken := slices.DeleteFunc(slices.Clone(units), func(u unit) bool { return u.code }); len(spoken) > 0 {
		return spoken
	}
	return units
}

func byScore(units []unit) {
	slices.SortStableFunc(units, func(a, b unit) int { return cmp.Compare(b.score, a.score) })
}

// How much counts beside the share of idf that a unit has.
const (
	cosineGain = 4  // a cosine: those of sentences differ by hundredths
	headGain   = .2 // what the headings have, for the first three units below
	isQuestion = .8 // of the question in the headings: they ask it
	askedGain  = .6 // then in place of headGain: what comes first is meant to answer it
	bestHit    = .6 // the passage's distance behind the best one
	follow     = .5 // what a question in the text has, for the unit after it
)

// likeness adds the cosines of the units. Those that were not embedded stay
// behind those that were.
func likeness(units []unit, vector []float32, embed Embed) error {
	if embed == nil || len(vector) == 0 || len(units) == 0 {
		return nil
	}
	var texts []string
	total := 0
	for i := range units {
		text := clip(units[i].text, maxEmbedded)
		if total += len(text); total > maxEmbeddedAll && i > 0 {
			break
		}
		texts = append(texts, text)
	}
	units = units[:len(texts)]
	vectors, err := embed(texts)
	if err != nil || len(vectors) != len(units) {
		return err
	}
	for i := range units {
		units[i].score += cosineGain * dot(vector, vectors[i])
	}
	return nil
}

// What is embedded of a unit, and of all, in bytes: at most about 60 and 225
// tokens, so that an answer takes 30 ms of a core with the built-in embedder.
const (
	maxEmbedded    = 240
	maxEmbeddedAll = 900
)

// choose takes the best unit and what comes near it, preferably of the same
// passage.
func choose(units []unit, o Options) []Quote {
	best := units[0]
	chosen := []unit{best}
	size := len(best.text)
	for _, u := range units[1:] {
		if len(chosen) == o.Quotes {
			break
		}
		margin := .25
		if u.hit == best.hit {
			margin = .45
		}
		if u.score < best.score-margin || size+len(u.text) > o.Letters || repeats(chosen, u) {
			continue
		}
		chosen = append(chosen, u)
		size += len(u.text)
	}
	slices.SortStableFunc(chosen, func(a, b unit) int {
		return cmp.Or(cmp.Compare(rankOf(a, best), rankOf(b, best)), cmp.Compare(a.start, b.start))
	})
	quotes := make([]Quote, len(chosen))
	for i, u := range chosen {
		quotes[i] = Quote{u.hit, u.start, u.text, u.score, u.header}
	}
	return quotes
}

// rankOf puts the best unit's passage first.
func rankOf(u, best unit) int {
	if u.hit == best.hit {
		return -1
	}
	return u.hit
}

// repeats tells a unit that says what was said: pages share sentences, or say
// the same in nearly the same words.
func repeats(chosen []unit, u unit) bool {
	said := flat(u.text)
	words := strings.Fields(said)
	return slices.ContainsFunc(chosen, func(c unit) bool {
		before := flat(c.text)
		if strings.Contains(before, said) || strings.Contains(said, before) {
			return true
		}
		known := 0
		for _, w := range words {
			if strings.Contains(before, " "+w+" ") {
				known++
			}
		}
		return c.hit != u.hit && len(words) > 3 && known*3 >= len(words)*2
	})
}

// flat is a text's letters and digits, words parted by single spaces.
func flat(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
	return " " + strings.Join(words, " ") + " "
}

// join puts neighbours together as they stand on the page, and others apart.
func join(quotes []Quote, hits []rank.Hit) string {
	var b strings.Builder
	header := ""
	for i, q := range quotes {
		if i > 0 {
			p := quotes[i-1]
			between := "\n\n"
			if p.Hit == q.Hit {
				between = "\n"
				if gap := hits[q.Hit].Text[p.Start+len(p.Text) : q.Start]; strings.Trim(gap, " \n\t\r:：") == "" {
					between = gap
				}
			} else {
				header = ""
			}
			b.WriteString(between)
		}
		if q.Header != "" && q.Header != header && (i == 0 || !strings.HasPrefix(quotes[i-1].Text, q.Header)) {
			b.WriteString(q.Header + "\n")
		}
		header = q.Header
		b.WriteString(q.Text)
	}
	return b.String()
}

func dot(a, b []float32) float64 {
	sum := float32(0)
	for i := range min(len(a), len(b)) {
		sum += a[i] * b[i]
	}
	if math.IsNaN(float64(sum)) {
		return 0
	}
	return float64(sum)
}
