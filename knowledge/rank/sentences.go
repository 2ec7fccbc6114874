package rank

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentences gives the sentences of a text in their order, without the white
// space around them, nothing of them changed. Lines are sentences of their own:
// items of a list, rows of a table, headings. It knows the full stops of all
// scripts, and that a stop after a digit, a single letter or a common
// abbreviation ends nothing, nor one that a lower-case letter follows.
func Sentences(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(text, "\n") {
			if !lineSentences(line, yield) {
				return
			}
		}
	}
}

// SentencesInContext are a passage's sentences, each under the passage's heading
// (the page's title if it has none), as they are to be embedded: a sentence such
// as "It takes five days" means little without.
func (c Candidate) SentencesInContext() []string {
	heading := c.Title
	if n := len(c.HeadingPath); n > 0 {
		heading = c.HeadingPath[n-1]
	}
	var all []string
	for sentence := range Sentences(c.Text) {
		all = append(all, Candidate{Title: heading, Text: sentence}.Whole())
	}
	return all
}

// Dot is the scalar product of two vectors: the cosine if both are of unit length.
func Dot(a, b []float32) float32 {
	sum := float32(0)
	for i := range min(len(a), len(b)) {
		sum += a[i] * b[i]
	}
	return sum
}

func lineSentences(line string, yield func(string) bool) bool {
	from := 0
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		end := i + size
		switch {
		case strings.ContainsRune("。！？｡", r):
			end = closing(line, end)
		case strings.ContainsRune(".!?…؟۔।", r):
			end = closing(line, end)
			if !ends(line[from:i], r, line[end:]) {
				end = 0
			}
		default:
			end = 0
		}
		if end == 0 {
			i += size
			continue
		}
		if s := strings.TrimSpace(line[from:end]); s != "" && !yield(s) {
			return false
		}
		from, i = end, end
	}
	if s := strings.TrimSpace(line[from:]); s != "" {
		return yield(s)
	}
	return true
}

// closing moves past further stops, brackets and quotes that close.
func closing(line string, i int) int {
	for i < len(line) {
		r, size := utf8.DecodeRuneInString(line[i:])
		if !strings.ContainsRune(".!?…。！？)]）」』】”’\"'»", r) {
			break
		}
		i += size
	}
	return i
}

// ends tells whether a stop between before and after ends a sentence.
func ends(before string, stop rune, after string) bool {
	if after == "" {
		return true
	}
	next, size := utf8.DecodeRuneInString(after)
	if !unicode.IsSpace(next) {
		return false
	}
	follows, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(after[size:], unicode.IsSpace))
	if stop != '.' {
		return !unicode.IsLower(follows)
	}
	if unicode.IsLower(follows) {
		return false
	}
	word := before[strings.LastIndexFunc(before, unicode.IsSpace)+1:]
	word = strings.TrimLeft(word, "([\"'„“«‘")
	word = strings.ToLower(word)
	if abbreviations[word] || numbered[word] && unicode.IsDigit(follows) {
		return false
	}
	if utf8.RuneCountInString(word) == 1 { // an initial; "1." of a list; vitamin C. does happen
		return false
	}
	// 3. Mai, 10. Kapitel: an ordinal at most of two digits.
	if len(word) <= 2 && strings.Trim(word, "0123456789") == "" {
		return false
	}
	return true
}

// abbreviations after which a capital letter may follow inside a sentence.
var abbreviations = set(`mr mrs ms dr prof st sr jr vs abs bzw ca z.b d.h u.a u.u s.o s.u evtl ggf inkl exkl str tel co inc ltd corp
		e.g i.e etc approx dept est ed jan feb mar apr jun jul aug sep sept oct nov dec mme mlle env p.ex sig sigg dott ing
		sra srta d.c a.c ud uds dhr mevr bijv m.b.t o.a t.o.v ul al tzn tj np im. inż hr u.s u.k`)

// numbered are abbreviations before numbers, which otherwise are words.
var numbered = set("no nr nro núm num fig abb art vol pag pág p pp s str ok")

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
