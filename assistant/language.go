package assistant

import (
	"slices"
	"unicode"

	"github.com/relaydesk/relaydesk/internal/language"
)

// spoken are the languages that visitors are spoken to in. Where nothing is
// known of a workspace's visitors they are expected before all others, because
// a few words look like many languages.
var spoken = []string{"en", "de", "fr", "es", "it", "pt", "nl", "pl"}

// settled is how many letters a text needs before it changes the language of a
// conversation that has one.
const settled = 40

// tongue gives the language to answer the turn in, and whether the turn's own
// words show it. Only then is it kept for the conversation: who begins with "Hi"
// may well go on in German.
func (q ask) tongue() (tag string, shown bool) {
	text := q.text()
	expected := slices.Clone(q.likely)
	if q.language != "" {
		if letters(text) < settled {
			return q.language, false
		}
		expected = append([]string{q.language}, expected...)
	}
	if len(expected) == 0 {
		expected = spoken
	}
	tag = language.Detect(text, expected...)
	return tag, tag != "" && language.Same(tag, language.Detect(text))
}

func letters(text string) (n int) {
	for _, r := range text {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}
