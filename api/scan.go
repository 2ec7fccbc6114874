package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/relaydesk/relaydesk/tenants"
)

// checkBody refuses what encoding/json lets pass in silence: of two equal keys
// it takes the last, and for half a character it writes U+FFFD. A NUL can't be
// stored. What is no JSON is refused by who reads it.
func checkBody(body []byte, requestID string) error {
	if !json.Valid(body) {
		return nil
	}
	l := look{body: body}
	l.value()
	if l.twice != "" {
		p := problem(requestID, "malformed_request", "An object has a key twice; see errors.")
		p.Errors = []ProblemField{{Pointer: l.twice, Code: "repeated", Detail: "This key is given twice."}}
		return p
	}
	return withUnwritable(requestID, l.wrong)
}

// withUnwritable is a problem if anything is wrong.
func withUnwritable(requestID string, wrong []ProblemField) error {
	if len(wrong) == 0 {
		return nil
	}
	p := problem(requestID, "validation_failed", "A text holds what is no character; see errors.")
	p.Errors = wrong
	return p
}

func nulAt(pointer string) ProblemField {
	return ProblemField{Pointer: pointer, Code: "nul", Detail: "A text can't contain a NUL character."}
}

// most is how many texts are named at most.
const most = 20

// look is one pass over JSON that is known to be valid, so that it never leaves
// it, and not too deep.
type look struct {
	body  []byte
	at    int
	path  []step
	twice string
	wrong []ProblemField
}

// step is a key, or a place in a list.
type step struct {
	key   string
	index int // -1: a key
}

func (l *look) pointer() string {
	var b strings.Builder
	b.WriteByte('#')
	for _, s := range l.path {
		b.WriteByte('/')
		if s.index >= 0 {
			b.WriteString(strconv.Itoa(s.index))
		} else {
			b.WriteString(escapePointer(s.key))
		}
	}
	return b.String()
}

// next is the next byte that means something.
func (l *look) next() byte {
	for strings.IndexByte(" \t\r\n,:", l.body[l.at]) >= 0 {
		l.at++
	}
	return l.body[l.at]
}

func (l *look) value() {
	switch l.next() {
	case '{':
		l.object()
	case '[':
		l.at++
		l.path = append(l.path, step{})
		for l.next() != ']' {
			l.value()
			l.path[len(l.path)-1].index++
		}
		l.at++
		l.path = l.path[:len(l.path)-1]
	case '"':
		l.text()
	default:
		for l.at < len(l.body) && strings.IndexByte(" \t\r\n,]}", l.body[l.at]) < 0 {
			l.at++
		}
	}
}

func (l *look) object() {
	l.at++
	seen := map[string]struct{}{}
	for l.next() != '}' {
		raw := l.text() // what is wrong with a key is told of its object: it can't be named
		key := string(raw[1 : len(raw)-1])
		if bytes.IndexByte(raw, '\\') >= 0 {
			_ = json.Unmarshal(raw, &key) // it is valid
		}
		l.path = append(l.path, step{key, -1})
		if _, known := seen[key]; known && l.twice == "" {
			l.twice = l.pointer()
		}
		seen[key] = struct{}{}
		l.value()
		l.path = l.path[:len(l.path)-1]
	}
	l.at++
}

// text passes a string, looks at its escapes and gives it as it is written.
func (l *look) text() []byte {
	from := l.at
	var nul, half bool
	for l.at++; l.body[l.at] != '"'; {
		if l.body[l.at] != '\\' {
			l.at++
			continue
		}
		r, long := l.escape(l.at)
		if long == 6 && utf16.IsSurrogate(r) {
			if second, _ := l.escape(l.at + long); utf16.DecodeRune(r, second) != unicode.ReplacementChar {
				long *= 2
			} else {
				half = true
			}
		}
		nul = nul || long == 6 && r == 0
		l.at += long
	}
	l.at++
	if (nul || half) && len(l.wrong) < most {
		f := nulAt(l.pointer())
		if half {
			f.Code, f.Detail = "surrogate", `An escape from \uD800 to \uDFFF is half a character: they come in pairs.`
		}
		l.wrong = append(l.wrong, f)
	}
	return l.body[from:l.at]
}

// escape reads \uXXXX, and tells how long an escape is. What is none is 0.
func (l *look) escape(at int) (r rune, long int) {
	if l.body[at] != '\\' || l.body[at+1] != 'u' {
		return 0, 2
	}
	n, err := strconv.ParseUint(string(l.body[at+2:at+6]), 16, 16)
	if err != nil {
		return 0, 2 // it is valid
	}
	return rune(n), 6
}

// checkText refuses a text of which nothing can be seen.
func checkText(text, pointer string) error {
	if strings.ContainsFunc(text, visible) {
		return nil
	}
	return invalid(pointer, "There is nothing to read in this text.")
}

func visible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsPrint(r) && r != ' ' && r != brailleBlank && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// spoken writes the name of a language in its canonical form, or refuses it.
// One that is absent or empty stays so.
func spoken(name *string, pointer string) error {
	if name == nil || *name == "" {
		return nil
	}
	canonical, ok := tenants.Language(*name)
	if !ok {
		return invalid(pointer, "This is no language that BCP 47 knows, such as en or pt-BR.")
	}
	*name = canonical
	return nil
}
