package crawl

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxCost is the size of a passage, about 150 tokens of the embedder: up to 900
// Latin letters, 600 of other alphabets, 225 Chinese characters.
const maxCost = 1800

// Passage is a piece of a page that is found and cited as one.
type Passage struct {
	HeadingPath []string // the headings that it stands under, below the title
	Anchor      string   // the fragment of the nearest of them that has one, may be empty
	Text        string   // without its headings
}

// Split cuts blocks into passages, which never reach across a heading. Longer
// stretches part between blocks, long blocks between lines or sentences. The
// title is left out of the heading paths.
func Split(title string, blocks []Block) []Passage {
	s := splitter{title: collapse(title)}
	for _, b := range blocks {
		switch b.Kind {
		case Heading:
			s.section()
			s.leave(b.Level)
			s.open = append(s.open, openHeading{level: b.Level, text: b.Text, anchor: b.Anchor})
		case Close:
			s.section()
			s.leave(b.Level)
		default:
			s.pending = append(s.pending, b)
		}
	}
	s.section()
	s.leave(0)
	return s.out
}

type openHeading struct {
	level  int
	text   string
	anchor string
	used   bool // something stands under it
}

type splitter struct {
	title   string
	open    []openHeading
	pending []Block
	out     []Passage
}

// leave ends the headings of a level and below. One under which nothing stands
// is a text itself: some pages write their answers in headings.
func (s *splitter) leave(level int) {
	for len(s.open) > 0 && s.open[len(s.open)-1].level >= level {
		last := s.open[len(s.open)-1]
		if !last.used && !strings.EqualFold(last.text, s.title) {
			anchor := s.anchor()
			s.open = s.open[:len(s.open)-1]
			s.add(anchor, last.text)
			continue
		}
		s.open = s.open[:len(s.open)-1]
	}
}

func (s *splitter) anchor() string {
	for _, heading := range slices.Backward(s.open) {
		if heading.anchor != "" {
			return heading.anchor
		}
	}
	return ""
}

func (s *splitter) add(anchor, text string) {
	if !hasLetter(text) {
		return // a stretch of a long rule or border
	}
	var path []string
	for i := range s.open {
		s.open[i].used = true
		if t := s.open[i].text; (i > 0 || !strings.EqualFold(t, s.title)) && (len(path) == 0 || path[len(path)-1] != t) {
			path = append(path, shorten(t, maxTitle))
		}
	}
	s.out = append(s.out, Passage{HeadingPath: path, Anchor: anchor, Text: text})
}

// section makes passages of the blocks under the present headings.
func (s *splitter) section() {
	var pieces []piece
	for _, b := range s.pending {
		pieces = append(pieces, piecesOf(b)...)
	}
	s.pending = s.pending[:0]
	for len(pieces) > 0 {
		n := fitting(pieces)
		var text strings.Builder
		for i, p := range pieces[:n] {
			if i > 0 {
				text.WriteString(p.before)
			}
			text.WriteString(p.text)
		}
		s.add(s.anchor(), text.String())
		pieces = pieces[n:]
	}
}

// fitting is how many pieces make up the next passage: as many as have room, but
// no piece that leads over to the next is left at the end.
func fitting(pieces []piece) int {
	total, n := 0, 0
	for n < len(pieces) && (n == 0 || total+cost(pieces[n].before)+pieces[n].cost <= maxCost) {
		total += cost(pieces[n].before) + pieces[n].cost
		n++
	}
	if n == len(pieces) {
		return n
	}
	for end := n; end > 0; end-- {
		if !pieces[end-1].lead {
			return end
		}
	}
	return n
}

// piece is what is not parted any further.
type piece struct {
	text   string
	before string // what stands between it and the piece before
	cost   int
	lead   bool
}

func piecesOf(b Block) []piece {
	text := strings.TrimSpace(b.Text)
	if b.Kind == Code {
		text = strings.Trim(b.Text, "\n")
	}
	if text == "" {
		return nil
	}
	if c := cost(text); c <= maxCost {
		return []piece{{text: text, before: "\n", cost: c, lead: b.Lead}}
	}
	var pieces []piece
	for line := range strings.SplitSeq(text, "\n") {
		if b.Kind == Code {
			line = strings.TrimRightFunc(line, unicode.IsSpace)
		} else if line = strings.TrimSpace(line); line == "" {
			continue
		}
		before := "\n"
		for _, sentence := range sentences(line) {
			for _, part := range parts(sentence) {
				pieces = append(pieces, piece{text: part, before: before, cost: cost(part)})
				before = between(part)
			}
		}
	}
	pieces[len(pieces)-1].lead = b.Lead
	return pieces
}

// between is a space, but not after a character of a script without.
func between(part string) string {
	if r, _ := utf8.DecodeLastRuneInString(part); runeCost(r) >= denseCost || r == '。' || r == '！' || r == '？' || r == '；' {
		return ""
	}
	return " "
}

// sentences parts a line after the signs that end sentences.
func sentences(line string) []string {
	if cost(line) <= maxCost/2 {
		return []string{line}
	}
	var out []string
	start, ended := 0, false
	for i, r := range line {
		switch {
		case ended && (unicode.IsSpace(r) || dense(r)):
			if s := strings.TrimSpace(line[start:i]); s != "" {
				out = append(out, s)
			}
			start, ended = i, false
		case r == '。' || r == '！' || r == '？' || r == '；':
			ended = true
		case strings.ContainsRune(".!?…;؟۔।", r):
			ended = true
		case ended && strings.ContainsRune(`"')]»”’」』）`, r):
		default:
			ended = false
		}
	}
	if s := strings.TrimSpace(line[start:]); s != "" {
		out = append(out, s)
	}
	return out
}

// parts cuts a sentence that is too long for a passage, between words if it has
// any, never within a character.
func parts(sentence string) []string {
	var out []string
	for cost(sentence) > maxCost {
		total, space, end := 0, 0, 0
		for i, r := range sentence {
			if total += runeCost(r); total > maxCost {
				end = i
				break
			}
			if unicode.IsSpace(r) && i > 0 {
				space = i
			}
		}
		if space*2 > end {
			end = space
		} else {
			// A mark belongs to the letter before it.
			for end > 0 {
				if r, _ := utf8.DecodeRuneInString(sentence[end:]); !unicode.IsMark(r) {
					break
				}
				_, n := utf8.DecodeLastRuneInString(sentence[:end])
				end -= n
			}
			if end == 0 {
				_, end = utf8.DecodeRuneInString(sentence)
			}
		}
		if part := strings.TrimSpace(sentence[:end]); part != "" {
			out = append(out, part)
		}
		sentence = strings.TrimLeftFunc(sentence[end:], unicode.IsSpace)
	}
	if sentence != "" {
		out = append(out, sentence)
	}
	return out
}

const denseCost = 8

func cost(s string) int {
	total := 0
	for _, r := range s {
		total += runeCost(r)
	}
	return total
}

// runeCost weighs a character by how many it takes to make a token.
func runeCost(r rune) int {
	switch {
	case r < 0x250:
		return 2
	case dense(r):
		return denseCost
	default:
		return 3
	}
}

// dense is true of scripts that write words in one or two characters or without
// spaces.
func dense(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
