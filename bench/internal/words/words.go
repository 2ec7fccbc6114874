// Package words writes texts whose words are as frequent as in a language: a
// few stand everywhere, most stand in a few places (Zipf). What a search costs
// depends on that. The most frequent words are given, so that questions in
// their language meet them; the rest is made of syllables.
package words

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
)

// Writer writes texts, the same ones for the same seed.
type Writer struct {
	dice  *rand.Rand
	ranks *rand.Zipf
	vocab []string
}

const vocabulary = 30_000

// New makes a writer. The words of like stand at the head of its vocabulary, in
// the order of their frequency there.
func New(seed uint64, like string) *Writer {
	dice := rand.New(rand.NewPCG(seed, 7))
	w := &Writer{dice: dice, ranks: rand.NewZipf(dice, 1.1, 8, vocabulary-1), vocab: frequent(like)}
	known := map[string]bool{}
	for _, word := range w.vocab {
		known[word] = true
	}
	for len(w.vocab) < vocabulary {
		if word := w.invent(); !known[word] {
			known[word] = true
			w.vocab = append(w.vocab, word)
		}
	}
	return w
}

func frequent(text string) []string {
	counts := map[string]int{}
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
		counts[word]++
	}
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

func (w *Writer) invent() string {
	var b strings.Builder
	for range 2 + w.dice.IntN(3) {
		b.WriteByte("bcdfghklmnprstvz"[w.dice.IntN(16)])
		b.WriteByte("aeiou"[w.dice.IntN(5)])
	}
	return b.String()
}

// Text writes so many words, in sentences.
func (w *Writer) Text(n int) string {
	var b strings.Builder
	for i := range n {
		word := w.vocab[w.ranks.Uint64()]
		if i%13 == 0 {
			if i > 0 {
				b.WriteString(". ")
			}
			word = strings.ToUpper(word[:1]) + word[1:]
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	b.WriteByte('.')
	return b.String()
}

// Between draws a number from low to high.
func (w *Writer) Between(low, high int) int { return low + w.dice.IntN(high-low+1) }

// Normal draws a number from the normal distribution.
func (w *Writer) Normal() float64 { return w.dice.NormFloat64() }
