package rank

import (
	"bytes"
	"unicode/utf8"
)

// How many letters of a word count. Cutting words short does for endings in any
// language what a stemmer does in one: on XQuAD it lifts BM25's R@1 from .79 to
// .91 in Russian, from .80 to .88 in Turkish, from .90 to .95 in Romanian, and
// costs nothing in English and German. Six letters are better than seven
// outside of the Latin alphabet.
const (
	latinLetters = 7
	otherLetters = 6
)

// stem cuts the ending of a folded word, in place.
func stem(w []byte) []byte {
	switch {
	case digit(w[0]):
		return w
	case w[0] < utf8.RuneSelf: // Latin: folding has left no accents
		return letters(singular(w), latinLetters)
	default:
		return letters(article(w), otherLetters)
	}
}

// singular drops the s that English, French, Spanish and Portuguese plurals share.
func singular(w []byte) []byte {
	n := len(w)
	switch {
	case n > 4 && string(w[n-3:]) == "ies":
		return append(w[:n-3], 'y')
	case n > 3 && w[n-1] == 's' && w[n-2] != 's':
		return w[:n-1]
	}
	return w
}

// article drops the Arabic article, alone and after one-letter words that are
// written with it.
func article(w []byte) []byte {
	for _, prefix := range []string{"وال", "بال", "كال", "فال", "ال", "لل"} {
		if rest, ok := bytes.CutPrefix(w, []byte(prefix)); ok && utf8.RuneCount(rest) >= 3 {
			return rest
		}
	}
	return w
}

func letters(w []byte, n int) []byte {
	if len(w) <= n {
		return w
	}
	i := 0
	for ; n > 0 && i < len(w); n-- {
		_, size := utf8.DecodeRune(w[i:])
		i += size
	}
	return w[:i]
}
