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
	code  bool // or what is as little to be quoted
	// Of a row of a table, what stands above it; empty if the row says enough.
	header string
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
	gain := headGain
	if head > isQuestion {
		gain = askedGain
	}
	asked := 0.0 // what a question in the text had of the question
	i := -1      // counts what is language
	for _, u := range cut(h.Text) {
		if !u.code {
			i++
		}
		u.hit = hit
		covered := q.Coverage(u.text)
		if !u.code && question(u.text) {
			asked = covered
			continue
		}
		u.score += covered + follow*asked
		asked /= 2
		if i < 3 {
			u.score += gain * head * float64(3-max(i, 0)) / 3
		}
		// The distance of passages counts for their sentences.
		u.score -= bestHit * (hits[0].Score - h.Score)
		out = append(out, u)
	}
	return out
}

// cut gives the units of a passage's text in their order.
func cut(text string) []unit {
	c := cutter{text: text, code: rank.CodeLines(text), list: -1}
	for start := 0; start < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
			end = start + i
		}
		line := strings.TrimSpace(text[start:end])
		if at := start + strings.Index(text[start:end], line); line != "" {
			c.line(line, at, text[min(end+1, len(text)):])
		}
		start = end + 1
		c.number++
	}
	return c.out
}

type cutter struct {
	text   string
	code   []bool // of each line
	number int    // of the line
	out    []unit
	list   int    // the unit that items are added to, or -1
	header string // of the table that the line before belongs to
}

func (c *cutter) line(line string, at int, rest string) {
	if !row(line) || c.code[c.number] {
		c.header = ""
	}
	switch {
	case c.code[c.number]:
		c.leave()
		c.program(line, at)
	case item(line) && c.list >= 0:
		if l := &c.out[c.list]; at+len(line)-l.start <= maxList {
			l.text = c.text[l.start : at+len(line)]
		} else {
			c.list = len(c.out) // a long list goes on by itself
			c.out = append(c.out, unit{start: at, text: line})
		}
	case row(line):
		c.leave()
		c.row(line, at, rest)
	default:
		c.sentences(line, at)
		c.list = len(c.out) - 1 // items that follow belong to the line's last sentence
		if !item(line) && !leadsIn(line) {
			c.list = -1
		}
		if c.list < 0 && item(nextLine(rest)) {
			c.list = len(c.out) - 1
		}
	}
}

// row adds a row of a table. What seems to name the columns stands with the row
// below, or above any other.
func (c *cutter) row(line string, at int, rest string) {
	u := unit{start: at, text: line}
	if c.header != "" && strings.Count(c.header, cell) == strings.Count(line, cell) {
		if above := &c.out[len(c.out)-1]; above.text == c.header {
			above.text = c.text[above.start : at+len(line)]
			return
		}
		u.header = c.header
	} else if next := nextLine(rest); row(next) && names(line) {
		c.header = line
	}
	c.out = append(c.out, u)
}

// program adds a line of code to those before it.
func (c *cutter) program(line string, at int) {
	if n := len(c.out) - 1; n >= 0 && c.out[n].code && at+len(line)-c.out[n].start <= maxList {
		if between := c.text[c.out[n].start+len(c.out[n].text) : at]; strings.Trim(between, ": \n\t\r") == "" {
			c.out[n].text = c.text[c.out[n].start : at+len(line)]
			return
		}
	}
	c.out = append(c.out, unit{start: at, text: line, code: true})
}

// leave ends a line that leads over to code or to a table: it may be quoted
// without, so it is made to stand for itself. One of a word or two only names
// what follows.
func (c *cutter) leave() {
	c.list = -1
	if len(c.out) == 0 {
		return
	}
	u := &c.out[len(c.out)-1]
	if u.code || !leadsIn(u.text) {
		return
	}
	u.text = strings.TrimRight(u.text, ":： ")
	u.code = len(strings.Fields(u.text)) < 3 && len(u.text) < 24
}

// sentences adds those of a line. A short one, such as "Yes.", says too little
// without the next.
func (c *cutter) sentences(line string, at int) {
	short := false
	for s := range rank.Sentences(line) {
		at += strings.Index(c.text[at:], s)
		if asks := question(s); short && !asks {
			u := &c.out[len(c.out)-1]
			u.text = c.text[u.start : at+len(s)]
			short = false
		} else {
			c.out = append(c.out, unit{start: at, text: s})
			short = !asks && len(s) <= 32 && len(strings.Fields(s)) <= 3 && !item(line)
		}
		at += len(s)
	}
}

// cell stands between the cells of a row.
const cell = " | "

func row(line string) bool { return strings.Contains(line, cell) }

// names tells whether a table's first row is likely to say what the columns are.
func names(line string) bool {
	for c := range strings.SplitSeq(line, cell) {
		if len(c) > 40 || strings.ContainsAny(c, "0123456789.") {
			return false
		}
	}
	return true
}

func nextLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(text, "\n \t"), "\n")
	return strings.TrimSpace(line)
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
