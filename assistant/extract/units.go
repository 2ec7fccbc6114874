package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// A unit can be quoted by itself.
type unit struct {
	hit   int
	start int // in the hit's text
	text  string
	score float64
}

// maxList bounds a list that is quoted whole, in bytes. Of a longer one the
// beginning is quoted.
const maxList = 600

// read cuts a hit into units and scores them by their words.
func read(q *rank.Question, hits []rank.Hit, hit int) []unit {
	h := &hits[hit]
	// What the headings have of the question, every unit below has.
	head := q.Coverage(strings.Join(append([]string{h.Title}, h.HeadingPath...), "\n"))
	var out []unit
	asked := 0.0 // what a question in the text had of the question
	for i, u := range cut(h.Text) {
		u.hit = hit
		covered := q.Coverage(u.text)
		if question(u.text) {
			asked = covered
			continue
		}
		u.score = covered + follow*asked
		asked /= 2
		if i < 3 {
			u.score += headGain * head * float64(3-i) / 3
		}
		// The distance of passages counts for their sentences.
		u.score -= bestHit * (hits[0].Score - h.Score)
		out = append(out, u)
	}
	return out
}

// cut gives the units of a passage's text in their order.
func cut(text string) []unit {
	var out []unit
	list := -1 // the unit that items are added to
	for start := 0; start < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
			end = start + i
		}
		line := strings.TrimSpace(text[start:end])
		at := start + strings.Index(text[start:end], line)
		start = end + 1
		switch {
		case line == "":
		case item(line) && list >= 0:
			if l := &out[list]; at+len(line)-l.start <= maxList {
				l.text = text[l.start : at+len(line)]
			} else {
				list = len(out) // a long list goes on by itself
				out = append(out, unit{start: at, text: line})
			}
		default:
			from := at
			for s := range rank.Sentences(line) {
				from += strings.Index(text[from:], s)
				out = append(out, unit{start: from, text: s})
				from += len(s)
			}
			list = len(out) - 1 // items that follow belong to the line's last sentence
			if !item(line) && !leadsIn(line) {
				list = -1
			}
			if list < 0 && itemFollows(text[min(start, len(text)):]) {
				list = len(out) - 1
			}
		}
	}
	return out
}

// item tells a line of a list.
func item(line string) bool {
	r, size := utf8.DecodeRuneInString(line)
	rest := line[size:]
	switch {
	case strings.ContainsRune("-*•–·‣◦▪", r):
		return strings.HasPrefix(rest, " ")
	case unicode.IsDigit(r):
		rest = strings.TrimLeft(rest, "0123456789")
		return len(line)-len(rest) <= 2 && (strings.HasPrefix(rest, ". ") || strings.HasPrefix(rest, ") "))
	}
	return false
}

func itemFollows(text string) bool {
	line, _, _ := strings.Cut(strings.TrimLeft(text, "\n \t"), "\n")
	return item(strings.TrimSpace(line))
}

func leadsIn(line string) bool {
	return strings.HasSuffix(line, ":") || strings.HasSuffix(line, "：")
}

// question tells a unit that asks: what follows is the answer.
func question(s string) bool {
	s = strings.TrimRight(s, "\"”»)）」* ")
	return strings.HasSuffix(s, "?") || strings.HasSuffix(s, "？") || strings.HasSuffix(s, "؟")
}

// clip cuts a text between words, or between letters where none stand apart.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	if i := strings.LastIndexByte(s[:n], ' '); i > n/2 {
		n = i
	}
	return s[:n]
}
