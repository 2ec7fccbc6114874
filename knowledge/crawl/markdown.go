package crawl

import (
	"regexp"
	"slices"
	"strings"
)

// SplitText cuts a text that somebody wrote into passages. Headings, lists and
// code of Markdown are understood; a text without them is one of paragraphs.
func SplitText(title, text string) []Passage { return Split(title, textBlocks(text)) }

var (
	mdHeading = regexp.MustCompile(`^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$`)
	mdAnchor  = regexp.MustCompile(`[ \t]*\{#([^}\s]+)\}$`)
	mdItem    = regexp.MustCompile(`^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+(.*)$`)
	mdRule    = regexp.MustCompile(`^ {0,3}(?:=+|-+|(?:[-*_][ \t]*){3,})[ \t]*$`)
	mdDivider = regexp.MustCompile(`^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*$`)
	mdImage   = regexp.MustCompile(`!\[([^\]]*)\]\([^()\s]*(?:[ \t]+"[^"]*")?\)`)
	mdLink    = regexp.MustCompile(`\[([^\]]+)\]\([^()\s]*(?:[ \t]+"[^"]*")?\)`)
	mdStrong  = regexp.MustCompile(`\*\*([^*\s](?:[^*]*[^*\s])?)\*\*`)
)

// textBlocks reads plain text and Markdown alike.
func textBlocks(text string) []Block {
	t := textReader{}
	text = clean([]byte(text))
	all := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
	if len(all) > 1 && all[0] == "---" { // front matter
		if end := slices.Index(all[1:], "---"); end >= 0 && end < 50 {
			all = all[end+2:]
		}
	}
	for _, line := range all {
		t.line(line)
	}
	t.flush()
	return t.blocks
}

type textReader struct {
	blocks []Block
	lines  []string
	kind   Kind
	fence  string
}

func (t *textReader) line(line string) {
	trimmed := strings.TrimSpace(line)
	if t.fence != "" {
		if strings.HasPrefix(trimmed, t.fence) && strings.Trim(trimmed, t.fence[:1]) == "" {
			t.flush()
			t.fence = ""
		} else {
			t.lines = append(t.lines, line)
		}
		return
	}
	switch {
	case strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~"):
		t.flush()
		t.kind, t.fence = Code, trimmed[:3]
	case trimmed == "":
		t.flush()
	case mdHeading.MatchString(line):
		t.flush()
		m := mdHeading.FindStringSubmatch(line)
		t.heading(len(m[1]), m[2])
	case mdRule.MatchString(line) && len(t.lines) == 1 && t.kind == Paragraph && (trimmed[0] == '=' || trimmed[0] == '-') && len(trimmed) > 2:
		level := 2
		if trimmed[0] == '=' {
			level = 1
		}
		text := t.lines[0]
		t.lines = nil
		t.heading(level, text)
	case mdRule.MatchString(line):
		t.flush()
	case strings.HasPrefix(trimmed, "|") && strings.Count(trimmed, "|") > 2:
		t.flush()
		if !mdDivider.MatchString(trimmed) {
			t.kind, t.lines = Row, []string{strings.Trim(trimmed, "| ")}
			t.flush()
		}
	case mdItem.MatchString(line):
		t.flush()
		t.kind, t.lines = Item, []string{mdItem.FindStringSubmatch(line)[1]}
	default:
		t.lines = append(t.lines, strings.TrimPrefix(trimmed, "> "))
	}
}

func (t *textReader) heading(level int, text string) {
	anchor := ""
	if m := mdAnchor.FindStringSubmatch(text); m != nil {
		anchor, text = m[1], strings.TrimSuffix(text, m[0])
	}
	if text = inlineText(text); hasLetter(text) {
		t.blocks = append(t.blocks, Block{Kind: Heading, Level: level, Anchor: anchor, Text: text})
	}
}

func (t *textReader) flush() {
	text := strings.Join(t.lines, "\n")
	if t.kind == Code {
		text = strings.Trim(text, "\n")
	} else {
		text = inlineText(text)
	}
	if hasLetter(text) {
		t.blocks = append(t.blocks, Block{Kind: t.kind, Text: text, Lead: t.kind != Code && (strings.HasSuffix(text, ":") || strings.HasSuffix(text, "："))})
	}
	t.lines, t.kind = nil, Paragraph
}

// inlineText takes the marks of links and strong words out. Lines stay: in plain
// text they may mean something.
func inlineText(s string) string {
	s = mdImage.ReplaceAllString(s, "$1")
	s = mdLink.ReplaceAllString(s, "$1")
	return lines(mdStrong.ReplaceAllString(s, "$1"))
}
