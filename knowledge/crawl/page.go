package crawl

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxLinks = 5000
	maxTitle = 300 // runes
)

// Page is what one address says.
type Page struct {
	URL       string
	Title     string // never empty
	Language  string // BCP 47, as the page declares it; may be empty
	Canonical string // what the page names as its original, canonical; may be empty, and off the site
	NoIndex   bool
	NoFollow  bool
	Links     []string // canonical, each once; those marked nofollow left out
	Blocks    []Block  // of the main content, in order
	LinksOnly bool     // the blocks are hardly more than texts of links
}

// Read takes a page apart. It never fails: what cannot be read is not there.
func Read(f Fetched) Page {
	p := Page{URL: f.URL, Language: f.Language, NoIndex: f.NoIndex, NoFollow: f.NoFollow}
	if f.MediaType == PlainText || f.MediaType == Markdown {
		p.Blocks = textBlocks(f.Body)
		for _, b := range p.Blocks {
			if b.Kind == Heading {
				p.Title = b.Text
				break
			}
		}
	} else if doc, err := parseHTML(f.Body); err == nil {
		p.read(doc)
	}
	if p.Title = shorten(p.Title, maxTitle); p.Title == "" {
		p.Title = nameOf(p.URL)
	}
	return p
}

// Reason tells why the page is not indexed, if so: it asks for it, it names
// another page of its site as its original, or it has no text.
func (p Page) Reason() Reason {
	switch {
	case p.NoIndex:
		return NoIndex
	case p.isCopy():
		return Duplicate
	case len(p.Passages()) == 0:
		return Empty
	}
	return ""
}

// isCopy does not believe each canonical link. Where it names the site's start
// for a page within, every page of a badly made site does; where it differs by
// no more than a slash or index.html, the one often redirects to the other, and
// neither would be left.
func (p Page) isCopy() bool {
	if p.Canonical == "" || origin(p.Canonical) != origin(p.URL) || pathOf(p.Canonical) == "/" {
		return false
	}
	return bareAddress(p.Canonical) != bareAddress(p.URL)
}

func bareAddress(canonical string) string {
	address, query, _ := strings.Cut(canonical, "?")
	for _, end := range []string{"index.html", "index.htm", "index.php", ".html", "/"} {
		address = strings.TrimSuffix(address, end)
	}
	return strings.ToLower(address) + "?" + query
}

// Passages are the page's blocks as they are indexed.
func (p Page) Passages() []Passage { return Split(p.Title, p.Blocks) }

// Digest is the same for pages that say the same: equal title, headings and text.
func (p Page) Digest() [sha256.Size]byte {
	h := sha256.New()
	write := func(kind Kind, text string) { _, _ = fmt.Fprintf(h, "%d %d %s\n", kind, len(text), text) } // a hash takes all
	write(Heading, p.Title)
	for _, b := range p.Blocks {
		write(b.Kind, b.Anchor)
		write(b.Kind, b.Text)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// parseHTML parses as browsers do. The parser gives up at 512 open elements;
// such a page is read once more without the elements that only nest.
func parseHTML(body string) (*html.Node, error) {
	doc, err := html.Parse(strings.NewReader(body))
	if err == nil {
		return doc, nil
	}
	doc, err = html.Parse(strings.NewReader(flatten(body)))
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return doc, nil
}

func flatten(body string) string {
	var out strings.Builder
	for tokens := html.NewTokenizer(strings.NewReader(body)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			if !errors.Is(tokens.Err(), io.EOF) {
				return ""
			}
			return out.String()
		case html.TextToken:
			out.Write(tokens.Raw())
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw := string(tokens.Raw())
			name, _ := tokens.TagName()
			switch a := atom.Lookup(name); a {
			case atom.A, atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Br, atom.Title, atom.Meta, atom.Base,
				atom.Link, atom.Html, atom.Head, atom.Body, atom.Script, atom.Style, atom.Textarea:
				out.WriteString(raw)
			case atom.Span, atom.B, atom.I, atom.Em, atom.Strong, atom.Font, atom.Code:
			default:
				out.WriteString("<p>")
			}
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

// read fills the page from its document.
func (p *Page) read(doc *html.Node) {
	base := p.URL
	var title, ogTitle, siteName string
	links := linkSet{seen: map[string]bool{}}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.DataAtom {
		case atom.Base:
			// Only the first counts, and it stands before what it changes.
			if href := attr(n, "href"); href != "" && base == p.URL {
				if resolved, err := Resolve(p.URL, href); err == nil {
					base = resolved
				}
			}
		case atom.Html:
			if tag := languageTag(attr(n, "lang")); tag != "" {
				p.Language = tag
			} else if tag := languageTag(attr(n, "xml:lang")); tag != "" {
				p.Language = tag
			}
		case atom.Title:
			if title == "" && n.Namespace == "" {
				title = collapse(textOf(n))
			}
		case atom.Meta:
			p.readMeta(n, &ogTitle, &siteName, func(ref string) { links.add(base, ref) })
		case atom.Link:
			if p.Canonical == "" && hasToken(attr(n, "rel"), "canonical") {
				p.Canonical, _ = Resolve(base, attr(n, "href")) // empty when it is none
			}
		case atom.A, atom.Area:
			if href := attr(n, "href"); href != "" && !hasToken(attr(n, "rel"), "nofollow") {
				links.add(base, href)
			}
		case atom.Frame, atom.Iframe:
			links.add(base, attr(n, "src"))
		}
	}
	if p.Canonical != "" {
		links.add(base, p.Canonical) // or the original of a copy may never be found
	}
	if !p.NoFollow {
		p.Links = links.list
	}
	p.Blocks, p.LinksOnly = content(doc, p.URL)
	p.Title = chooseTitle(title, ogTitle, siteName, p.Blocks)
}

func (p *Page) readMeta(n *html.Node, ogTitle, siteName *string, link func(ref string)) {
	value := attr(n, "content")
	switch strings.ToLower(attr(n, "name")) {
	case "robots", Agent:
		noIndex, noFollow := directives(value)
		p.NoIndex, p.NoFollow = p.NoIndex || noIndex, p.NoFollow || noFollow
	}
	switch strings.ToLower(attr(n, "property")) {
	case "og:title":
		*ogTitle = collapse(value)
	case "og:site_name":
		*siteName = collapse(value)
	}
	switch strings.ToLower(attr(n, "http-equiv")) {
	case "content-language":
		if p.Language == "" {
			p.Language = languageTag(value)
		}
	case "refresh":
		// "0; url=/en/": the way on from a page that has nothing else.
		if _, target, ok := strings.Cut(value, "="); ok {
			link(strings.Trim(target, ` '"`))
		}
	}
}

type linkSet struct {
	seen map[string]bool
	list []string
}

func (l *linkSet) add(base, ref string) {
	ref = strings.TrimSpace(ref)
	if ref == "" || ref[0] == '#' || len(l.list) >= maxLinks {
		return
	}
	url, err := Resolve(base, ref)
	if err != nil || l.seen[url] {
		return
	}
	l.seen[url] = true
	l.list = append(l.list, url)
}

// chooseTitle prefers the page's own heading to a title that adds the site's
// name to it.
func chooseTitle(title, ogTitle, siteName string, blocks []Block) string {
	heading := ""
	for _, b := range blocks {
		if b.Kind == Heading && (b.Level == 1 || heading == "") {
			if heading = b.Text; b.Level == 1 {
				break
			}
		}
	}
	switch {
	case title == "" && ogTitle != "":
		return ogTitle
	case title == "":
		return heading
	case heading != "" && strings.Contains(title, heading):
		return heading
	}
	if siteName != "" {
		if name, ok := strings.CutSuffix(title, siteName); ok {
			if name = strings.TrimRight(name, " |-–—·:»"); name != "" {
				return name
			}
		}
	}
	return title
}

// nameOf makes a title of an address whose page has none.
func nameOf(url string) string {
	name := path.Base(decode(PathKey(pathOf(url))))
	name = strings.TrimSuffix(name, path.Ext(name))
	if name = strings.ToValidUTF8(strings.NewReplacer("-", " ", "_", " ").Replace(name), ""); strings.Trim(name, "/. ") == "" {
		_, name, _ = strings.Cut(origin(url), "://")
	}
	return shorten(name, maxTitle)
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return strings.TrimSpace(a.Val)
		}
	}
	return ""
}

func hasToken(list, token string) bool {
	for field := range strings.FieldsSeq(list) {
		if strings.EqualFold(field, token) {
			return true
		}
	}
	return false
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// invisible are characters that only guide the eye.
var invisible = strings.NewReplacer("\u200b", "", "\u00ad", "", "\ufeff", "", "\u2060", "", "\u00a0", " ")

// collapse joins a text's words by single spaces.
func collapse(s string) string { return strings.Join(strings.Fields(invisible.Replace(s)), " ") }

// shorten cuts a text to a number of runes.
func shorten(s string, limit int) string {
	n := 0
	for i := range s {
		if n++; n > limit {
			return strings.TrimRightFunc(s[:i], unicode.IsSpace) + "…"
		}
	}
	return s
}
