package crawl

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPassagesKeepToTheirHeadings(t *testing.T) {
	t.Parallel()
	got := Split("Guide", []Block{
		{Kind: Heading, Level: 1, Text: "Guide", Anchor: "top"},
		{Text: "Intro."},
		{Kind: Heading, Level: 2, Text: "Install", Anchor: "install"},
		{Kind: Heading, Level: 3, Text: "Linux"},
		{Text: "Use apt:", Lead: true},
		{Kind: Code, Text: "apt install x"},
		{Kind: Heading, Level: 7, Text: "Why?", Anchor: "why"},
		{Text: "Because."},
		{Kind: Close, Level: 7},
		{Text: "More."},
		{Kind: Heading, Level: 2, Text: "There is nothing under this heading"},
	})
	want := []Passage{
		{nil, "top", "Intro."},
		{[]string{"Install", "Linux"}, "install", "Use apt:\napt install x"},
		{[]string{"Install", "Linux", "Why?"}, "why", "Because."},
		{[]string{"Install", "Linux"}, "install", "More."},
		{nil, "top", "There is nothing under this heading"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestPassagesAreShortAndLoseNothing(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"sentences":  strings.Repeat("This sentence has eight words in it. ", 200),
		"no end":     strings.Repeat("words without an end ", 300),
		"no spaces":  strings.Repeat("x", 5000),
		"Chinese":    strings.Repeat("这是一个没有空格的句子。", 200),
		"no end zh":  strings.Repeat("没有空格", 500),
		"Thai":       strings.Repeat("ภาษาไทยไม่มีช่องว่าง", 100),
		"Russian":    strings.Repeat("Это предложение. ", 200),
		"emoji":      strings.Repeat("a👩‍💻", 900),
		"many marks": strings.Repeat("e\u0301", 2000),
		"lines":      strings.Repeat("| a | row |\n", 300),
	} {
		for _, kind := range []Kind{Paragraph, Item, Row, Code} {
			passages := Split("", []Block{{Kind: kind, Text: text}})
			var joined strings.Builder
			for _, p := range passages {
				if !utf8.ValidString(p.Text) || cost(p.Text) > maxCost || p.Text == "" {
					t.Fatalf("%s: a passage of %d: %q", name, cost(p.Text), p.Text)
				}
				joined.WriteString(p.Text)
			}
			bare := strings.NewReplacer(" ", "", "\n", "")
			if got, want := bare.Replace(joined.String()), bare.Replace(text); got != want {
				t.Errorf("%s: %d bytes became %d", name, len(want), len(got))
			}
			if len(passages) < 3 {
				t.Errorf("%s: only %d passages", name, len(passages))
			}
		}
	}
}

func TestLongTextBreaksBetweenSentencesAndLines(t *testing.T) {
	t.Parallel()
	for _, p := range Split("", []Block{{Text: strings.Repeat("One costs 3.50 euros, says v. Braun. And more! ", 60)}}) {
		if last := p.Text[len(p.Text)-1]; last != '.' && last != '!' || strings.HasSuffix(p.Text, "3.") {
			t.Errorf("ends with %q", p.Text[len(p.Text)-20:])
		}
	}
	for _, p := range Split("", []Block{{Text: strings.Repeat("今天下雨了。明天呢？", 100)}}) {
		if r, _ := utf8.DecodeLastRuneInString(p.Text); r != '。' && r != '？' || strings.Contains(p.Text, " ") {
			t.Errorf("ends with %q", r)
		}
	}
	for _, p := range Split("", []Block{{Kind: Code, Text: strings.Repeat("  indented(line)\n", 200)}}) {
		if !strings.HasPrefix(p.Text, "  indented") || !strings.HasSuffix(p.Text, "line)") {
			t.Errorf("code broken: %q", p.Text)
		}
	}
}

func TestWhatLeadsOverIsNotPartedFromWhatFollows(t *testing.T) {
	t.Parallel()
	filler := strings.TrimSpace(strings.Repeat("filler ", 120))
	got := Split("", []Block{{Text: filler}, {Text: "Do this:", Lead: true}, {Kind: Item, Text: strings.Repeat("step ", 40)}})
	if len(got) != 2 || got[0].Text != filler || !strings.HasPrefix(got[1].Text, "Do this:\nstep") {
		t.Errorf("got %+v", got)
	}
}

func TestAWrittenTextIsSplitByItsHeadings(t *testing.T) {
	t.Parallel()
	got := SplitText("Hours", "We are closed on Sundays.\r\nCall us.\r\n\r\nSummer\n======\n\nOpen **late**. See [map](https://example.com/m \"Map\").\n\n## August ##\n* ice cream\n1. first\n\nNot a # heading, 2 ** 3 ** 4\x00")
	want := []Passage{
		{nil, "", "We are closed on Sundays.\nCall us."},
		{[]string{"Summer"}, "", "Open late. See map."},
		{[]string{"Summer", "August"}, "", "ice cream\nfirst\nNot a # heading, 2 ** 3 ** 4"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	for _, empty := range []string{"", " \n\t\n", "---\n\n***", "\x00"} {
		if got := SplitText("x", empty); len(got) != 0 {
			t.Errorf("%q: %+v", empty, got)
		}
	}
}
