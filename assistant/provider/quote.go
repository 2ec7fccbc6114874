package provider

import (
	"strings"
	"unicode"
)

// findQuote looks for what a model says it copied and returns that stretch as it
// stands in the passage. White space, case and the shape of quotation marks and
// dashes don't count, because models rewrite those while they copy.
func findQuote(passage, quote string) (string, bool) {
	wanted, _ := fold(strings.Trim(quote, " \t\r\n\"“”„«»…"))
	wanted = strings.Trim(wanted, " ")
	if !strings.ContainsFunc(wanted, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		return "", false
	}
	folded, origin := fold(passage)
	at := strings.Index(folded, wanted)
	if at < 0 {
		return "", false
	}
	found := passage[origin[at]:origin[at+len(wanted)]]
	return strings.TrimSpace(found), true
}

// fold makes texts comparable. origin[i] is where the i-th byte of the folded
// text comes from; one more entry marks the end.
func fold(text string) (folded string, origin []int) {
	var b strings.Builder
	b.Grow(len(text))
	origin = make([]int, 0, len(text)+1)
	space := false
	for i, r := range text {
		switch {
		case unicode.IsSpace(r):
			if space {
				continue
			}
			r = ' '
		case invisible(r):
			continue
		}
		space = r == ' '
		before := b.Len()
		b.WriteRune(foldRune(r))
		for range b.Len() - before {
			origin = append(origin, i)
		}
	}
	return b.String(), append(origin, len(text))
}

// invisible characters are left out in copying: soft hyphen, zero-width ones,
// the byte order mark, and what the prompt leaves out itself.
func invisible(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsControl(r) || r == '\u00ad' || (r >= '\u200b' && r <= '\u200f') || r == '\u2060' || r == '\ufeff'
}

func foldRune(r rune) rune {
	switch r {
	case '‘', '’', '‚', '‛', '`', '´':
		return '\''
	case '“', '”', '„', '«', '»':
		return '"'
	case '‐', '‑', '‒', '–', '—', '−':
		return '-'
	}
	// The smallest of the characters that differ in case only stands for all.
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}
