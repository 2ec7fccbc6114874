package crawl

import (
	"path"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Kind says what a block is.
type Kind int

// The kinds. A Close ends the headings of its level and below, where the part
// of the page that they stand over ends before the next heading.
const (
	Paragraph Kind = iota
	Heading
	Item
	Row
	Code
	Close
)

// Block is a piece of a page's main content, in the order of the page.
type Block struct {
	Kind   Kind
	Level  int    // of a Heading: 1 to 6 as in HTML, more for the question of an accordion; of a Close
	Anchor string // of a Heading: the fragment that leads to it, may be empty
	Text   string // white space collapsed, lines kept in Code and at line breaks
	Lead   bool   // it introduces what follows and must not be parted from it
}

const accordionLevel = 7

// Extraction is our own: of the libraries, readability lost more than a fifth of
// the text on every eleventh page of a real help centre (short articles, lists,
// link pages), and trafilatura, which loses less, drops the headings' anchors.

// content finds the main content and cuts it into blocks.
func content(doc *html.Node, url string) (blocks []Block, linksOnly bool) {
	e := extractor{file: path.Base(PathKey(url)), weights: map[*html.Node]weight{}}
	e.weigh(doc)
	roots := e.roots(doc)
	e.run(roots)
	if e.pruned && proseOf(e.blocks) < 200 {
		// Little is left without the lists of links: they are the content.
		e.keepLists = true
		e.run(roots)
	}
	if proseOf(e.blocks) == 0 {
		e.blocks = append(e.blocks, linkTexts(doc)...)
		return e.blocks, true
	}
	return e.blocks, e.linked*5 > e.runes*4
}

// proseOf counts the runes of what is not a heading.
func proseOf(blocks []Block) int {
	n := 0
	for _, b := range blocks {
		if b.Kind != Heading && b.Kind != Close {
			n += len([]rune(b.Text))
		}
	}
	return n
}

// linkTexts is all that a page says which consists of navigation alone.
func linkTexts(doc *html.Node) []Block {
	var blocks []Block
	seen := map[string]bool{}
	for n := range doc.Descendants() {
		if n.DataAtom != atom.A || attr(n, "href") == "" {
			continue
		}
		if text := collapse(textOf(n)); hasLetter(text) && !seen[text] && len(blocks) < maxLinks {
			seen[text] = true
			blocks = append(blocks, Block{Kind: Item, Text: text})
		}
	}
	return blocks
}

// weight is how much text a node holds, how much of it in links, and how many
// links of either kind.
type weight struct {
	runes, linked        int
	links, fragmentLinks int
	headings             int
}

func (w weight) density() float64 {
	if w.runes == 0 {
		return 0
	}
	return float64(w.linked) / float64(w.runes)
}

type extractor struct {
	file      string // the last segment of the page's address
	weights   map[*html.Node]weight
	total     int  // runes of the roots
	inMain    bool // the roots are what the page itself calls its main content
	keepLists bool
	pruned    bool // a list of links was left out

	blocks        []Block
	text          strings.Builder
	kind          Kind
	anchor        string // of an element that opened and has had no text yet
	runes, linked int    // of all blocks
	bold, plain   int    // runes since the last flush
	inLink        int
	inBold        int
	inHeading     bool
	accordions    int
}

func (e *extractor) weigh(n *html.Node) weight {
	var w weight
	switch {
	case n.Type == html.TextNode:
		w.runes = len(strings.Join(strings.Fields(n.Data), " "))
		return w
	case n.Type == html.ElementNode && isMute(n):
		return w
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		cw := e.weigh(c)
		w.runes += cw.runes
		w.linked += cw.linked
		w.links += cw.links
		w.fragmentLinks += cw.fragmentLinks
		w.headings += cw.headings
	}
	switch {
	case n.DataAtom == atom.A && attr(n, "href") != "":
		w.linked = w.runes
		w.links++
		if e.samePage(attr(n, "href")) {
			w.fragmentLinks++
		}
	case headingLevel(n) > 0:
		w.headings++
	}
	if n.Type == html.ElementNode {
		e.weights[n] = w
	}
	return w
}

// samePage is true of links to a part of the page itself.
func (e *extractor) samePage(href string) bool {
	file, fragment, _ := strings.Cut(href, "#")
	return fragment != "" && (file == "" || path.Base(file) == e.file)
}

// roots are the elements that hold the main content.
func (e *extractor) roots(doc *html.Node) []*html.Node {
	var mains, articles []*html.Node
	body := doc
	for n := range doc.Descendants() {
		switch {
		case n.Type != html.ElementNode:
		case n.DataAtom == atom.Body:
			body = n
		case (n.DataAtom == atom.Main || attr(n, "role") == "main") && !within(n, mains):
			mains = append(mains, n)
		case n.DataAtom == atom.Article && !within(n, articles):
			articles = append(articles, n)
		}
	}
	all := e.weights[body].runes
	for _, candidates := range [][]*html.Node{mains, articles} {
		held := 0
		for _, n := range candidates {
			held += e.weights[n].runes
		}
		// An empty shell that a script would fill is not the content, nor are
		// teasers beside it.
		if held > 0 && (held >= 100 || held*10 >= all*3) && (held*10 >= all || len(candidates) == 1) {
			e.inMain, e.total = true, held
			return candidates
		}
	}
	e.total = all
	return []*html.Node{body}
}

func within(n *html.Node, list []*html.Node) bool {
	for a := range n.Ancestors() {
		for _, item := range list {
			if a == item {
				return true
			}
		}
	}
	return false
}

func (e *extractor) run(roots []*html.Node) {
	e.blocks, e.runes, e.linked = nil, 0, 0
	for _, root := range roots {
		e.children(root)
		e.flush()
	}
}

// flush ends the block that is being written.
func (e *extractor) flush() {
	text := lines(e.text.String())
	if e.kind == Code {
		text = strings.Trim(invisible.Replace(e.text.String()), "\n")
	}
	e.text.Reset()
	bold := e.bold > 0 && e.plain == 0
	e.bold, e.plain = 0, 0
	if !hasLetter(text) {
		return
	}
	lead := e.kind != Code && (strings.HasSuffix(text, ":") || strings.HasSuffix(text, "：") || bold && e.kind == Paragraph && len(text) < 200)
	e.blocks = append(e.blocks, Block{Kind: e.kind, Text: text, Lead: lead})
	e.anchor = ""
}

// lines collapses white space within lines and drops empty ones.
func lines(s string) string {
	kept := make([]string, 0, 1)
	for line := range strings.SplitSeq(s, "\n") {
		line = collapse(line)
		if rest, ok := strings.CutPrefix(line, "[!"); ok { // "[!NOTE]", a box in some dialects of Markdown
			if kind, text, ok := strings.Cut(rest, "]"); ok && strings.ToUpper(kind) == kind && len(kind) < 12 {
				line = strings.TrimSpace(text)
			}
		}
		if line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func hasLetter(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) >= 0
}

func (e *extractor) children(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch c.Type {
		case html.TextNode:
			e.write(c.Data)
		case html.ElementNode:
			e.element(c)
		default:
		}
	}
}

// unbroken takes the lines out of a source text, which mean nothing in HTML.
var unbroken = strings.NewReplacer("\n", " ", "\r", " ")

func (e *extractor) write(s string) {
	if e.kind != Code {
		s = unbroken.Replace(s)
	}
	e.text.WriteString(s)
	n := len(strings.Join(strings.Fields(s), " "))
	e.runes += n
	if e.inLink > 0 {
		e.linked += n
	}
	if e.inBold > 0 {
		e.bold += n
	} else {
		e.plain += n
	}
}

func (e *extractor) element(n *html.Node) {
	if e.skip(n) {
		return
	}
	if id := anchorOf(n); id != "" && strings.TrimSpace(e.text.String()) == "" {
		e.anchor = id
	}
	if e.inHeading {
		// Buttons and boxes within a heading are no blocks of their own.
		if !isInline(n.DataAtom) || n.DataAtom == atom.Br {
			e.text.WriteString(" ")
		}
		e.children(n)
		return
	}
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		e.heading(n, headingLevel(n))
	case atom.Br:
		e.text.WriteString("\n")
	case atom.Hr:
		e.flush()
	case atom.Pre:
		e.block(n, Code)
	case atom.Li, atom.Dd:
		e.block(n, Item)
	case atom.Dt:
		e.term(n)
	case atom.Dl:
		e.block(n, Paragraph)
		e.close(accordionLevel + e.accordions)
	case atom.Details:
		e.details(n)
	case atom.Table:
		e.table(n)
	case atom.A:
		e.inLink++
		e.children(n)
		e.inLink--
	case atom.Strong, atom.B:
		e.inBold++
		e.children(n)
		e.inBold--
	case atom.Button:
		// What is left of buttons opens an accordion.
		e.block(n, Paragraph)
		if last := len(e.blocks) - 1; last >= 0 {
			e.blocks[last].Lead = true
		}
	default:
		switch {
		case attr(n, "role") == "heading":
			level, err := strconv.Atoi(attr(n, "aria-level"))
			if err != nil || level < 1 || level > 6 {
				level = 2
			}
			e.heading(n, level)
		case isInline(n.DataAtom):
			e.children(n)
		default:
			// A container inside a list item or a quotation goes on with its kind.
			kind := e.kind
			if kind == Code {
				kind = Paragraph
			}
			e.block(n, kind)
		}
	}
}

// block writes an element as one or, if it holds others, several blocks.
func (e *extractor) block(n *html.Node, kind Kind) {
	e.flush()
	outer := e.kind
	e.kind = kind
	e.children(n)
	e.flush()
	e.kind = outer
}

func (e *extractor) heading(n *html.Node, level int) {
	e.flush()
	anchor := attr(n, "id")
	if anchor == "" {
		for d := range n.Descendants() {
			if d.Type == html.ElementNode {
				// The sign beside a heading links to it.
				if anchor = anchorOf(d); anchor == "" && d.DataAtom == atom.A {
					anchor, _ = strings.CutPrefix(attr(d, "href"), "#")
					if anchor == attr(d, "href") {
						anchor = ""
					}
				}
				if anchor != "" {
					break
				}
			}
		}
	}
	if anchor == "" {
		anchor = e.anchor
	}
	kind := e.kind
	e.kind, e.inHeading = Paragraph, true
	e.children(n)
	e.kind, e.inHeading = kind, false
	text := strings.ReplaceAll(lines(e.text.String()), "\n", " ")
	e.text.Reset()
	e.bold, e.plain, e.anchor = 0, 0, ""
	text = strings.TrimSpace(strings.TrimRight(text, "#¶§🔗 "))
	if hasLetter(text) {
		e.blocks = append(e.blocks, Block{Kind: Heading, Level: level, Anchor: anchor, Text: text})
	}
}

func (e *extractor) close(level int) {
	for i := len(e.blocks) - 1; i >= 0; i-- {
		// Needed only where such a heading is open.
		switch b := e.blocks[i]; {
		case b.Kind == Close && b.Level <= level, b.Kind == Heading && b.Level < level:
			return
		case b.Kind == Heading:
			e.blocks = append(e.blocks, Block{Kind: Close, Level: level})
			return
		}
	}
}

// term writes the name in a list of descriptions: a heading when it asks, as in
// many lists of questions and answers, or when so much stands under it that it
// will make several passages, each of which should say what it is about.
func (e *extractor) term(n *html.Node) {
	text := collapse(textOf(n))
	if strings.HasSuffix(text, "?") || strings.HasSuffix(text, "？") || strings.HasSuffix(text, "؟") || e.standsOverMuch(n) {
		e.heading(n, accordionLevel+e.accordions)
		return
	}
	e.close(accordionLevel + e.accordions)
	e.block(n, Paragraph)
	if last := len(e.blocks) - 1; last >= 0 {
		e.blocks[last].Lead = true
	}
}

func (e *extractor) standsOverMuch(term *html.Node) bool {
	before, after := term.PrevSibling, term.NextSibling
	for before != nil && before.Type != html.ElementNode {
		before = before.PrevSibling
	}
	for after != nil && after.Type != html.ElementNode {
		after = after.NextSibling
	}
	return after != nil && after.DataAtom == atom.Dd && e.weights[after].runes > 600 && (before == nil || before.DataAtom == atom.Dd)
}

// details writes an accordion: its summary is the heading of what it hides.
func (e *extractor) details(n *html.Node) {
	e.flush()
	level := accordionLevel + e.accordions
	e.accordions++
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch {
		case c.DataAtom == atom.Summary:
			e.heading(c, level)
		case c.Type == html.TextNode:
			e.write(c.Data)
		case c.Type == html.ElementNode:
			e.element(c)
		}
	}
	e.flush()
	e.accordions--
	e.close(level)
}
