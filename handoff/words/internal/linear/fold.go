package linear

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxGramBytes is how much of a text the character sequences are taken from.
const MaxGramBytes = 2000

// special letters that have no decomposition, and marks that people type for
// an apostrophe.
var special = map[rune]string{
	'ł': "l", 'ß': "ss", 'ø': "o", 'đ': "d", 'æ': "ae", 'œ': "oe", 'ı': "i",
	'’': "'", '‘': "'", '´': "'", 'ʼ': "'",
}

// Fold lowers the case and drops the accents, so that "Würde" and "wurde",
// "quelqu’un" and "QUELQU'UN" are the same word.
func Fold(text string) string {
	text = strings.ToValidUTF8(text, " ")
	var b strings.Builder
	b.Grow(len(text))
	ascii := true
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if !ascii {
		text = norm.NFKD.String(text)
	}
	for _, r := range text {
		r = unicode.ToLower(r)
		if r == '`' {
			r = '\''
		}
		if r >= utf8.RuneSelf {
			if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
				continue
			}
			if s, ok := special[r]; ok {
				b.WriteString(s)
				continue
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Grams appends to into the buckets of all sequences of two to four letters or
// digits in a folded text, word borders included, each bucket once, in order.
func Grams(into []uint16, folded string) []uint16 {
	if len(folded) > MaxGramBytes {
		folded = folded[:MaxGramBytes]
	}
	runes := make([]rune, 1, len(folded)+2)
	runes[0] = ' '
	for _, r := range folded {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			r = ' '
		}
		if unicode.IsDigit(r) {
			r = '0' // which number it is says nothing
		}
		if r != ' ' || runes[len(runes)-1] != ' ' {
			runes = append(runes, r)
		}
	}
	if runes[len(runes)-1] != ' ' {
		runes = append(runes, ' ')
	}
	into = into[:0]
	for start := range runes {
		h := uint32(2166136261)
		for n := 1; n <= 4 && start+n <= len(runes); n++ {
			h ^= uint32(runes[start+n-1]) //nolint:gosec // a code point
			h *= 16777619
			if n >= 2 {
				x := h ^ h>>15 // the low bits alone depend on the last letters too much
				into = append(into, uint16(x%Buckets))
			}
		}
	}
	slices.Sort(into)
	return slices.Compact(into)
}
