package packet

import (
	"net/url"
	"strings"
	"unicode"
)

// inline escapes a text for one line of Markdown.
func inline(s string) string {
	s = strings.Join(strings.Fields(clean(s)), " ")
	return escape(s)
}

// quote escapes a text of any lines into a block quote. Line ends and the
// indentation of what was pasted stay.
func quote(s string) string {
	s = strings.Trim(clean(s), "\n")
	if strings.TrimSpace(s) == "" {
		return "> *empty*"
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if line == "" {
			lines[i] = ">"
			continue
		}
		text := strings.TrimLeft(line, " \t")
		// Spaces at the beginning would make code of it: no-break ones don't.
		indent := strings.ReplaceAll(line[:len(line)-len(text)], "\t", "    ")
		lines[i] = "> " + strings.ReplaceAll(indent, " ", "\u00a0") + escape(text)
		if i+1 < len(lines) && strings.TrimSpace(lines[i+1]) != "" {
			lines[i] += "  " // keeps the line's end
		}
	}
	return strings.Join(lines, "\n")
}

// clean makes a text fit for reading: valid UTF-8, line ends of one kind, no
// control characters, and nothing that turns the reading direction around.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == 0:
			return '\uFFFD'
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0xFEFF:
			return -1
		}
		return r
	}, s)
}

// escape puts a backslash before whatever Markdown might take for markup, and
// before nothing else, so that the source reads well too.
func escape(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i, r := range s {
		switch r {
		case '\\', '`', '*', '_', '[', ']', '<', '>', '|', '~', '$':
			b.WriteByte('\\')
		case '&': // only an entity
			if next := s[i+1:]; next != "" && (next[0] == '#' || next[0] < 0x80 && unicode.IsLetter(rune(next[0]))) {
				b.WriteByte('\\')
			}
		case '#', '+', '-', '=', ':':
			if i == 0 {
				b.WriteByte('\\')
			}
		case '.', ')':
			if i > 0 && i <= 9 && strings.Trim(s[:i], "0123456789") == "" { // "1." begins a list
				b.WriteByte('\\')
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// link writes a link to a page of the web, whatever else as text.
func link(title, address string) string {
	title = inline(title)
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		if title == "" {
			return inline(address)
		}
		return title
	}
	target := encode(u.String())
	if title == "" {
		return "<" + target + ">"
	}
	return "[" + title + "](<" + target + ">)"
}

// encode makes an address safe between angle brackets.
func encode(address string) string {
	var b strings.Builder
	for i := range len(address) {
		c := address[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("<>\\`\"[]|", c) >= 0 {
			const hex = "0123456789ABCDEF"
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
