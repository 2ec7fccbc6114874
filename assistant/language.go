package assistant

import (
	"slices"
	"unicode"

	"github.com/relaydesk/relaydesk/internal/language"
)

// spoken are the languages that the house has words of its own in.
var spoken = []string{"en", "de", "fr", "es", "it", "pt", "nl", "pl"}

const (
	// telling is how many letters a text needs to show a conversation's language,
	// turning is how many to change it.
	telling = 20
	turning = 40
)

// tongue gives the language to answer the turn in, and whether the turn's own
// words show it. Only then is it kept for the conversation: who begins with "Hi"
// may well go on in German.
func (q ask) tongue() (tag string, shown bool) {
	text := q.text()
	n := letters(text)
	expected := slices.Clone(q.likely)
	if q.language != "" {
		if n < turning {
			return q.language, false
		}
		expected = append([]string{q.language}, expected...)
	}
	tag = language.Detect(text, expected...)
	return tag, n >= telling && tag != "" && language.Same(tag, language.Detect(text))
}

func letters(text string) (n int) {
	for _, r := range text {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}
