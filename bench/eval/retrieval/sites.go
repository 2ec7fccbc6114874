package retrieval

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// passageLetters is about how long a passage of a page gets.
const passageLetters = 900

// A page of one of the sites, cut into passages.
type page struct {
	path     string // from the site's root, as links show it
	lang     string
	title    string
	headings []string // below the title: what stands on the page as such
	passages []rank.Candidate
}

// sites reads the three help centres.
func sites(dataDir string) (map[string][]page, error) {
	f, err := os.Open(filepath.Join(dataDir, "sites", "sites.tar.gz"))
	if err != nil {
		return nil, fmt.Errorf("read the sites: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read the sites: %w", err)
	}
	out := map[string][]page{}
	archive := tar.NewReader(z)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the sites: %w", err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		site, path, ok := strings.Cut(name, "/")
		if !ok || !strings.HasSuffix(path, ".html") {
			continue
		}
		root, err := html.Parse(archive)
		if err != nil {
			return nil, fmt.Errorf("read the page %s: %w", name, err)
		}
		out[site] = append(out[site], read("/"+strings.TrimSuffix(path, "index.html"), root))
	}
	for _, pages := range out {
		slices.SortFunc(pages, func(a, b page) int { return strings.Compare(a.path, b.path) })
	}
	return out, nil
}

// read is a rough reading of a page, enough to measure with.
func read(path string, root *html.Node) page {
	r := pageReader{page: page{path: path, lang: "en"}}
	r.find(root)
	r.cut()
	return r.page
}

type pageReader struct {
	page
	path  []string // the headings above
	level []int    // of each of them
	lines []string
	size  int
	line  strings.Builder
}

func (r *pageReader) find(n *html.Node) {
	if n.Type == html.ElementNode {
		switch n.DataAtom {
		case atom.Html:
			for _, a := range n.Attr {
				if a.Key == "lang" && a.Val != "" {
					r.lang = a.Val[:2]
				}
			}
			if part := strings.Split(r.page.path, "/")[1]; len(part) == 2 {
				r.lang = part
			}
		case atom.Title:
			r.title, _, _ = strings.Cut(text(n), " | ")
			return
		case atom.Header, atom.Nav, atom.Footer, atom.Script, atom.Style, atom.Noscript:
			return
		case atom.Div, atom.P, atom.Li, atom.Tr, atom.Pre, atom.Dt, atom.Dd, atom.Ul, atom.Ol, atom.Table, atom.Section, atom.Main, atom.Br, atom.Blockquote:
			for _, a := range n.Attr {
				if a.Key == "class" && (a.Val == "navheader" || a.Val == "navfooter" || a.Val == "toc") {
					return
				}
			}
			r.block(n)
			return
		case atom.H1, atom.H2, atom.H3, atom.H4:
			r.heading(int(n.Data[1]-'0'), text(n))
			return
		case atom.Td, atom.Th:
			r.line.WriteString(" ")
		}
	}
	if n.Type == html.TextNode && n.Parent.DataAtom != atom.Html {
		r.line.WriteString(n.Data)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.find(c)
	}
}

func (r *pageReader) block(n *html.Node) {
	r.endLine()
	if n.DataAtom == atom.Li {
		r.line.WriteString("- ")
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.find(c)
	}
	r.endLine()
}

func (r *pageReader) endLine() {
	s := strings.Join(strings.Fields(r.line.String()), " ")
	if s == "-" { // the paragraph of an item follows
		return
	}
	r.line.Reset()
	if s == "" {
		return
	}
	if r.size+len(s) > passageLetters && r.size > 0 {
		r.cut()
	}
	r.lines = append(r.lines, s)
	r.size += len(s)
}

func (r *pageReader) heading(level int, s string) {
	r.endLine()
	r.cut()
	// Numbers of sections are layout.
	s = strings.TrimLeft(strings.TrimLeft(s, "0123456789."), " \u00a0")
	if s == "" {
		return
	}
	for len(r.level) > 0 && r.level[len(r.level)-1] >= level {
		r.level, r.path = r.level[:len(r.level)-1], r.path[:len(r.path)-1]
	}
	r.level = append(r.level, level)
	r.path = append(slices.Clone(r.path), s)
	r.headings = append(r.headings, s)
}

func (r *pageReader) cut() {
	if len(r.lines) > 0 {
		r.passages = append(r.passages, rank.Candidate{Title: r.title, HeadingPath: slices.Clone(r.path), Text: strings.Join(r.lines, "\n")})
	}
	r.lines, r.size = nil, 0
}

func text(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

// siteIndex makes a workspace of a site's pages.
func siteIndex(pages []page) *workspace {
	w := &workspace{}
	for _, p := range pages {
		for _, c := range p.passages {
			w.add(p.path, p.lang, c)
		}
	}
	return w
}
