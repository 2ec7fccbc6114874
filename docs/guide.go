// Package docs holds the guide: Markdown under guide/, rendered when the
// program starts and served as plain pages. It is the documentation of this
// version of the program, and the content that `relaydesk dev` learns from
// first.
package docs

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/relaydesk/relaydesk/internal/static"
)

//go:embed guide/*.md page/page.html page/style.css
var files embed.FS

// navigation is the order of the pages, by the part of the guide. The first
// page is the one at /guide.
var navigation = []struct {
	Part  string
	Pages []string
}{
	{"Start", []string{"index", "quickstart", "concepts"}},
	{"Build", []string{"api", "browsers", "knowledge", "handoff", "events"}},
	{"Run", []string{"operating", "cli", "promises", "faq"}},
}

// policy: text, one style sheet, no script.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Page is one page of the guide.
type Page struct {
	Name     string // as in its path: "quickstart"; "index" stands at /guide
	Title    string // the text of its first heading
	Summary  string // its first paragraph
	Markdown string
	HTML     string // the body only, without the frame around it
	Sections []Section
}

// Section is a heading of the second level.
type Section struct{ ID, Title string }

// Path is where the page is served.
func (p Page) Path() string {
	if p.Name == "index" {
		return "/guide"
	}
	return "/guide/" + p.Name
}

// Pages are all pages in the order of the navigation. The caller may keep them.
func Pages() []Page { return slices.Clone(rendered()) }

// Handler serves the guide at /guide and below. What it doesn't know is
// answered by http.NotFound.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/guide/style.css", static.New("text/css; charset=utf-8", read("page/style.css")).Cached(time.Hour))
	frame := template.Must(template.New("page").Parse(string(read("page/page.html"))))
	pages := rendered()
	for i, page := range pages {
		view := struct {
			Page
			Body           template.HTML
			Navigation     []part
			Previous, Next *Page
		}{Page: page, Body: template.HTML(page.HTML), Navigation: contents(pages)} //nolint:gosec // goldmark has escaped it
		if i > 0 {
			view.Previous = &pages[i-1]
		}
		if i+1 < len(pages) {
			view.Next = &pages[i+1]
		}
		var out bytes.Buffer
		if err := frame.Execute(&out, view); err != nil {
			panic(fmt.Errorf("render the guide's page %s: %w", page.Name, err)) // part of the program, and tested
		}
		file := static.New("text/html; charset=utf-8", out.Bytes()).With("Content-Security-Policy", policy)
		mux.Handle(page.Path(), file)
		if page.Name == "index" {
			mux.Handle("/guide/{$}", file)
		}
	}
	return mux
}

type part struct {
	Name  string
	Pages []Page
}

func contents(pages []Page) []part {
	var parts []part
	for _, p := range navigation {
		parts = append(parts, part{p.Part, pages[:len(p.Pages)]})
		pages = pages[len(p.Pages):]
	}
	return parts
}

var rendered = sync.OnceValue(func() []Page {
	// Raw HTML in the Markdown is dropped: the renderer is not told to let it pass.
	markdown := goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(links{}, 100))),
	)
	var pages []Page
	for _, p := range navigation {
		for _, name := range p.Pages {
			page, err := render(markdown, name)
			if err != nil {
				panic(fmt.Errorf("render the guide's page %s: %w", name, err)) // part of the program, and tested
			}
			pages = append(pages, page)
		}
	}
	return pages
})

func render(markdown goldmark.Markdown, name string) (Page, error) {
	source := read("guide/" + name + ".md")
	page := Page{Name: name, Markdown: string(source)}
	document := markdown.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(anchors{}))))
	for node := document.FirstChild(); node != nil; node = node.NextSibling() {
		switch node := node.(type) {
		case *ast.Heading:
			id, _ := node.AttributeString("id")
			switch title := words(node, source); {
			case node.Level == 1 && page.Title == "":
				page.Title = title
			case node.Level == 2:
				page.Sections = append(page.Sections, Section{fmt.Sprintf("%s", id), title})
			}
		case *ast.Paragraph:
			if page.Summary == "" {
				page.Summary = words(node, source)
			}
		}
	}
	var out bytes.Buffer
	if err := markdown.Renderer().Render(&out, source, document); err != nil {
		return Page{}, err
	}
	page.HTML = out.String()
	return page, nil
}

// words is the text of a node without its marks.
func words(node ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(node, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			out.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				out.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	}) // the walker never fails
	return out.String()
}

// anchors names headings as GitHub does, so that a link with an anchor works in
// a checkout too, and "validation_failed" keeps its name.
type anchors map[string]bool

func (a anchors) Generate(heading []byte, _ ast.NodeKind) []byte {
	id := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(string(heading)))
	unique := id
	for n := 1; a[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", id, n)
	}
	a[unique] = true
	return []byte(unique)
}

func (a anchors) Put(id []byte) { a[string(id)] = true }

// links lets pages refer to each other by file, as it works in a checkout, and
// gives each heading a link to itself. That link has no text: a reader of the
// page's text, such as our crawler, sees the heading as it was written.
type links struct{}

func (links) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			n.Destination = []byte(target(string(n.Destination)))
		case *ast.Heading:
			if id, ok := n.AttributeString("id"); ok && n.Level > 1 {
				self := ast.NewLink()
				self.Destination = fmt.Appendf(nil, "#%s", id)
				self.SetAttributeString("class", []byte("anchor"))
				self.SetAttributeString("aria-label", []byte("Link to this section"))
				n.AppendChild(n, self)
			}
		}
		return ast.WalkContinue, nil
	}) // the walker never fails
}

// target turns "handoff.md#promise" into "/guide/handoff#promise".
func target(link string) string {
	file, anchor, found := strings.Cut(link, "#")
	name, ok := strings.CutSuffix(file, ".md")
	if !ok || strings.Contains(name, "/") {
		return link
	}
	link = Page{Name: name}.Path()
	if found {
		link += "#" + anchor
	}
	return link
}

func read(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the compiler has embedded it, or a page of the navigation is missing: tested
	}
	return b
}
