package rank

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of Words.
const (
	MaxWords     = 4096 // of a text; what follows is not indexed
	MaxWordBytes = 40   // of a word; a longer one is cut between letters
)

// Words gives the words of a text in their order, repetitions included, as they
// are indexed and asked for. The language need not be known:
//
//   - case, accents, vowel signs of Arabic and Hebrew and compatibility forms
//     (full width, ligatures) don't count; digits of any script are 0–9, and
//     their separators are dropped: 1,000 is 1.000 is 1000;
//   - endings are cut lightly (stem.go), articles after which an apostrophe
//     stands are dropped;
//   - scripts that write no spaces, and Korean, give pairs of letters;
//   - letters and digits that touch part ways if there are at least two of each:
//     "mkr1010" is "mkr", "1010".
//
// A word holds letters, digits and marks only, so that it can stand in a
// tsvector and in a query as it is.
func Words(text string) []string {
	out := make([]string, 0, min(len(text)/6+1, MaxWords))
	each(text, func(word []byte) bool {
		out = append(out, string(word))
		return len(out) < MaxWords
	})
	return out
}

// Distinct gives the words of a text without repetitions.
func Distinct(text string) []string {
	words := Words(text)
	seen := make(map[string]bool, len(words))
	out := words[:0]
	for _, w := range words {
		if !seen[w] {
			seen[w] = true
			out = append(out, w)
		}
	}
	return out
}

// each calls fn with every word of the text until it returns false. The word is
// only valid during the call.
func each(text string, fn func(word []byte) bool) {
	s := splitter{fn: fn, word: make([]byte, 0, 128)}
	s.split(text)
}

// A splitter finds words. Its scratch word is used again and again: at most 100
// candidates are read for each question.
type splitter struct {
	fn     func([]byte) bool
	word   []byte
	pair   [2 * utf8.UTFMax]byte
	last   rune // the letter before, in a script without spaces
	single bool // last is not part of a pair yet
	elided bool // an apostrophe stands before the word
	done   bool
}

func (s *splitter) split(text string) {
	// Accents are dropped either way; letters that are taken apart matter in
	// Korean and Japanese only.
	if strings.Contains(text, "\xe1\x84") || strings.Contains(text, "\xe1\x85") || strings.Contains(text, "\u3099") || strings.Contains(text, "\u309a") {
		text = norm.NFC.String(text)
	}
	table := folds()
	for i := 0; i < len(text) && !s.done; {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			if k := ascii[c]; k != 0 && s.last == 0 {
				s.word = append(s.word, k)
				continue
			}
			s.separator(c, i < len(text) && text[i]-'0' <= 9)
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		if int(r) < len(table) && s.last == 0 && table[r] != "" {
			s.word = append(s.word, table[r]...)
			continue
		}
		s.rune(r, text[i:])
	}
	s.flush(false)
}

// separator ends a word at an ASCII character that is no letter, or begins one
// at a letter that follows a script without spaces.
func (s *splitter) separator(c byte, digitFollows bool) {
	if k := ascii[c]; k != 0 {
		s.flush(false)
		s.word = append(s.word, k)
		return
	}
	if (c == '.' || c == ',') && digitFollows && len(s.word) > 0 && digit(s.word[len(s.word)-1]) {
		return
	}
	s.flush(c == '\'')
}

func (s *splitter) rune(r rune, rest string) {
	switch {
	case r == '\u2019':
		s.flush(true)
	case r == '\u00ad' || r == '\u200c' || r == '\u200d' || r == '\u0640':
		// Soft hyphens, joiners and the Arabic stretcher are inside words.
	case r >= 0xff01 && r <= 0xff5e:
		if k := ascii[r-0xfee0]; k != 0 && s.last == 0 {
			s.word = append(s.word, k)
		} else {
			next, _ := utf8.DecodeRuneInString(rest)
			s.separator(byte(r-0xfee0), next >= 0xff10 && next <= 0xff19)
		}
	case spaceless(r):
		s.pairs(r)
	default:
		f := fold(r)
		if f == "" {
			if !unicode.Is(unicode.Mn, r) {
				s.flush(false)
			}
			return
		}
		if s.last != 0 {
			s.flush(false)
		}
		s.word = append(s.word, f...)
	}
}

// pairs takes a letter of a script that writes no spaces.
func (s *splitter) pairs(r rune) {
	if len(s.word) > 0 {
		s.flush(false)
	}
	if s.last != 0 {
		n := utf8.EncodeRune(s.pair[:], s.last)
		n += utf8.EncodeRune(s.pair[n:], r)
		s.emit(s.pair[:n])
	}
	s.single = s.last == 0
	s.last = r
}

// flush ends the word that was begun.
func (s *splitter) flush(apostrophe bool) {
	if s.last != 0 {
		if s.single {
			s.emit(s.pair[:utf8.EncodeRune(s.pair[:], s.last)])
		}
		s.last, s.single = 0, false
	}
	w := s.word
	s.word = s.word[:0]
	if len(w) > 0 {
		// l'eau, dell'acqua, don't, Anna's: what is short beside an
		// apostrophe is grammar.
		if !(apostrophe && len(w) <= 2 || s.elided && len(w) <= 2) || digit(w[0]) {
			s.parts(w)
		}
	}
	s.elided = apostrophe
}

// parts cuts a word where letters and digits touch.
func (s *splitter) parts(w []byte) {
	from := 0
	for i := 2; i+2 <= len(w); i++ {
		if i-from >= 2 && digit(w[i-1]) != digit(w[i]) && digit(w[i-1]) == digit(w[i-2]) && digit(w[i]) == digit(w[i+1]) {
			s.emit(stem(w[from:i]))
			from = i
		}
	}
	s.emit(stem(w[from:]))
}

func (s *splitter) emit(w []byte) {
	if len(w) > MaxWordBytes {
		n := MaxWordBytes
		for n > 0 && !utf8.RuneStart(w[n]) {
			n--
		}
		w = w[:n]
	}
	if !s.done && len(w) > 0 && !s.fn(w) {
		s.done = true
	}
}

func digit(c byte) bool { return c-'0' <= 9 }

// ascii maps letters to lower case and digits to themselves; 0 is a separator.
var ascii = func() (t [utf8.RuneSelf]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-32] = c, c
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	return t
}()

// spaceless tells the letters of scripts whose words don't stand apart, or
// (Korean) carry their particles.
func spaceless(r rune) bool {
	switch {
	case r < 0x0e01:
		return false
	case r <= 0x0ede: // Thai, Lao; their digits aside
		return r <= 0x0e4e && r != 0x0e3f || r >= 0x0e81 && r <= 0x0ecd || r >= 0x0edc
	case r >= 0x1000 && r <= 0x103f, r >= 0x1780 && r <= 0x17d3: // Burmese, Khmer
		return true
	case r < 0x3005:
		return false
	case r <= 0x30ff:
		return r == 0x3005 || r == 0x3007 || r >= 0x3041 && r <= 0x3096 || r >= 0x30a1 && r != 0x30fb
	}
	return r >= 0x3400 && r <= 0x4dbf || r >= 0x4e00 && r <= 0x9fff || r >= 0xac00 && r <= 0xd7a3 || r >= 0x20000 && r <= 0x3ffff
}

// folds caches fold for the alphabets of Europe and the Near East.
var folds = sync.OnceValue(func() *[0x700]string {
	t := new([0x700]string)
	for r := rune(utf8.RuneSelf); r < rune(len(t)); r++ {
		t[r] = folded(r)
	}
	return t
})

// fold gives what a character counts as; nothing for a mark that is dropped and
// for what is no part of words.
func fold(r rune) string {
	if t := folds(); int(r) < len(t) {
		return t[r]
	}
	return folded(r)
}

// alike are letters that Unicode doesn't decompose and people exchange.
var alike = map[rune]string{
	'ß': "ss", 'ẞ': "ss", 'æ': "ae", 'Æ': "ae", 'œ': "oe", 'Œ': "oe", 'ø': "o", 'Ø': "o", 'ł': "l", 'Ł': "l",
	'đ': "d", 'Đ': "d", 'ð': "d", 'Ð': "d", 'þ': "th", 'Þ': "th", 'ı': "i", 'ħ': "h", 'Ħ': "h", 'ς': "σ",
	'ى': "ي", 'ی': "ي", 'ک': "ك", 'ة': "ه",
}

func folded(r rune) string {
	if s, ok := alike[r]; ok {
		return s
	}
	if unicode.IsDigit(r) {
		return string('0' + digitValue(r))
	}
	if !unicode.In(r, unicode.L, unicode.M, unicode.N) {
		return ""
	}
	var b strings.Builder
	for _, d := range norm.NFKD.String(string(r)) {
		switch {
		case d >= 0x300 && d <= 0x36f, d >= 0x591 && d <= 0x5c7, d >= 0x610 && d <= 0x61a, d >= 0x64b && d <= 0x65f, d == 0x670, d == 0x3099, d == 0x309a, d == 0x640:
		case unicode.In(d, unicode.L, unicode.M, unicode.N):
			d = unicode.ToLower(d)
			if s, ok := alike[d]; ok {
				b.WriteString(s)
			} else {
				b.WriteRune(d)
			}
		}
	}
	return b.String()
}

// digitValue counts from the zero of the digit's script: the ten digits of each
// stand in a row.
func digitValue(r rune) rune {
	n := rune(0)
	for n < 9 && unicode.IsDigit(r-n-1) {
		n++
	}
	return n
}
