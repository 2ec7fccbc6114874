package words

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPieces bounds the work on one message: whatever comes after is the last piece.
const maxPieces = 64

// Sentences cuts a message into what Read reads one by one: its sentences, so
// that a request in the middle of a long story counts. A short message of
// several sentences comes whole too, as the last piece, because its sentences
// may mean something together only.
func Sentences(text string) []string {
	text = strings.ToValidUTF8(text, " ")
	var out []string
	start := 0
	add := func(end int) {
		if s := strings.TrimSpace(text[start:end]); strings.IndexFunc(s, isWordRune) >= 0 {
			out = append(out, s)
		}
		start = end
	}
	for i, r := range text {
		if len(out) == maxPieces-1 {
			break
		}
		next := i + utf8.RuneLen(r)
		switch r {
		case '\n', '\r', '\u2028', '\u2029', '。', '！', '？':
			add(next)
		case '.', '!', '?', ';', '…':
			// A dot inside of 3.50 or example.com ends nothing.
			after, _ := utf8.DecodeRuneInString(text[next:])
			if next == len(text) || unicode.IsSpace(after) || r != '.' && isWordRune(after) {
				add(next)
			}
		}
	}
	add(len(text))
	if whole := strings.TrimSpace(text); len(out) > 1 && len(whole) <= 300 {
		out = append(out, whole)
	}
	return out
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
