// Package language guesses the language of what somebody wrote, knowing which
// ones are likely. Support messages are short, and a guess from two words is a
// coin toss; so the likely languages come first, and a guess counts only where
// the text is long enough to show it.
package language

import (
	"slices"
	"strings"
	"unicode"

	"github.com/abadojack/whatlanggo"
)

// spoken are the languages that the product speaks itself, by their BCP 47 tags.
var spoken = map[whatlanggo.Lang]string{
	whatlanggo.Eng: "en", whatlanggo.Deu: "de", whatlanggo.Fra: "fr", whatlanggo.Spa: "es",
	whatlanggo.Ita: "it", whatlanggo.Por: "pt", whatlanggo.Nld: "nl", whatlanggo.Pol: "pl",
}

// Others that have a script of their own, or much text on the web, are told
// from those, so that they are not taken for one of them.
var others = map[whatlanggo.Lang]string{
	whatlanggo.Rus: "ru", whatlanggo.Ukr: "uk", whatlanggo.Cmn: "zh", whatlanggo.Jpn: "ja", whatlanggo.Kor: "ko", whatlanggo.Arb: "ar",
	whatlanggo.Tur: "tr", whatlanggo.Ron: "ro", whatlanggo.Ces: "cs", whatlanggo.Swe: "sv", whatlanggo.Dan: "da", whatlanggo.Fin: "fi",
	whatlanggo.Ell: "el", whatlanggo.Heb: "he", whatlanggo.Hin: "hi", whatlanggo.Tha: "th", whatlanggo.Vie: "vi", whatlanggo.Hun: "hu",
}

const (
	enough = 12  // letters, before a guess counts at all
	plenty = 60  // letters, from which on a guess beats the likely languages
	clear  = .75 // of whatlanggo's confidence, below plenty
)

// Detect gives the BCP 47 tag of a text's language; likely are those that are
// expected, the most expected first. Where the text does not show its language
// it is the first of them, empty if there are none.
func Detect(text string, likely ...string) string {
	first := ""
	if len(likely) > 0 {
		first = likely[0]
	}
	text = withoutAddresses(text)
	letters := count(text)
	if letters < enough {
		return first
	}
	// What has a script of its own, or is long, statistics know best.
	if tag, clear := byWords(text); clear && letters < 4*plenty {
		return tag
	}
	allowed := map[whatlanggo.Lang]bool{}
	for l := range spoken {
		allowed[l] = true
	}
	for l := range others {
		allowed[l] = true
	}
	info := whatlanggo.DetectWithOptions(text, whatlanggo.Options{Whitelist: allowed})
	tag, known := spoken[info.Lang]
	if !known {
		tag, known = others[info.Lang]
	}
	switch {
	case !known:
		return first
	case letters >= plenty, info.Confidence >= clear, expected(tag, likely), marked(text):
		return tag
	case len(likely) == 0:
		return "en" // a short text without one function word: more often English than not
	}
	// Not sure enough to leave the likely ones: the best of them, if it is there.
	for l := range allowed {
		if t := spoken[l] + others[l]; !expected(t, likely) {
			delete(allowed, l)
		}
	}
	if len(allowed) == 0 {
		return first
	}
	info = whatlanggo.DetectWithOptions(text, whatlanggo.Options{Whitelist: allowed})
	if t := spoken[info.Lang] + others[info.Lang]; t != "" {
		return t
	}
	return first
}

// marked tells whether a text has letters that English has not.
func marked(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) })
}

// Same tells whether two tags name one language, whatever the region.
func Same(a, b string) bool { return primary(a) == primary(b) }

func expected(tag string, likely []string) bool {
	for _, l := range likely {
		if Same(l, tag) {
			return true
		}
	}
	return false
}

func primary(tag string) string {
	tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
	return tag
}

// withoutAddresses drops what is of no language.
func withoutAddresses(text string) string {
	if !strings.ContainsAny(text, "@/") {
		return text
	}
	return strings.Join(slices.DeleteFunc(strings.Fields(text), func(word string) bool {
		return strings.Contains(word, "@") || strings.Contains(word, "://")
	}), " ")
}

func count(text string) (letters int) {
	for _, r := range text {
		if unicode.IsLetter(r) {
			letters++
			if r >= 0x2E80 { // scripts that say a word with one or two signs
				letters += 5
			}
		}
	}
	return letters
}
