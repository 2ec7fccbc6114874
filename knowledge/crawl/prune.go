package crawl

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// isMute is true of elements whose text nobody reads.
func isMute(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Template, atom.Noscript, atom.Svg, atom.Canvas, atom.Iframe, atom.Object, atom.Embed,
		atom.Select, atom.Input, atom.Textarea, atom.Datalist, atom.Audio, atom.Video, atom.Map, atom.Head, atom.Title, atom.Math:
		return true
	}
	return false
}

// isInline is true of elements that do not end a block. Unknown elements are
// inline, as in browsers.
func isInline(a atom.Atom) bool {
	switch a {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Center, atom.Caption, atom.Col, atom.Colgroup,
		atom.Dir, atom.Div, atom.Dl, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.Frameset, atom.Header,
		atom.Hgroup, atom.Html, atom.Legend, atom.Main, atom.Menu, atom.Nav, atom.Ol, atom.P, atom.Search, atom.Section, atom.Summary,
		atom.Tbody, atom.Td, atom.Tfoot, atom.Th, atom.Thead, atom.Tr, atom.Ul:
		return false
	}
	return true
}

func headingLevel(n *html.Node) int {
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return int(n.Data[1] - '0')
	}
	return 0
}

// anchorOf is the fragment that leads to an element.
func anchorOf(n *html.Node) string {
	switch n.DataAtom {
	case atom.Html, atom.Body, atom.Main:
		return ""
	}
	id := attr(n, "id")
	if id == "" && n.DataAtom == atom.A {
		id = attr(n, "name")
	}
	if len(id) > 300 || strings.ContainsAny(id, " \t\n") {
		return ""
	}
	return id
}

// skip decides what is not content. What may be an accordion's hidden half is
// kept: pages hide answers in many ways, navigation in few.
func (e *extractor) skip(n *html.Node) bool {
	if isMute(n) {
		return true
	}
	w := e.weights[n]
	switch n.DataAtom {
	case atom.Nav, atom.Footer, atom.Dialog:
		return true
	case atom.Header, atom.Aside:
		// Within the main content a header holds its heading, an aside a note.
		if !e.inMain || n.DataAtom == atom.Aside && w.density() > .5 {
			return true
		}
	case atom.Button:
		return attr(n, "aria-expanded") == "" && attr(n, "aria-controls") == "" && !inHeading(n)
	}
	switch attr(n, "role") {
	case "navigation", "contentinfo", "search", "dialog", "alertdialog", "menu", "menubar", "toolbar":
		return true
	case "banner", "complementary":
		if !e.inMain {
			return true
		}
	}
	if attr(n, "aria-hidden") == "true" && isInline(n.DataAtom) {
		return true
	}
	if n.DataAtom == atom.A && isHeaderLink(n) {
		return true
	}
	// A name must not cost the page most of its text.
	if w.runes*2 <= e.total && e.skipByName(n, w) {
		return true
	}
	return e.skipLinks(n, w)
}

// skipLinks leaves out tables of contents, which the headings repeat, and
// outside of what a page calls its main content all lists of links.
func (e *extractor) skipLinks(n *html.Node, w weight) bool {
	if isInline(n.DataAtom) || w.headings > 0 && w.runes*2 > e.total || w.links < 2 {
		return false
	}
	contents := w.fragmentLinks*10 >= w.links*9 && w.density() > .8
	list := !e.inMain && w.links >= 4 && w.density() > .7
	if !contents && !list || e.keepLists {
		return false
	}
	e.pruned = true
	if contents {
		// "In this article:" goes with what it introduces.
		e.flush()
		if last := len(e.blocks) - 1; last >= 0 && e.blocks[last].Lead {
			e.blocks = e.blocks[:last]
		}
	}
	return true
}

func inHeading(n *html.Node) bool {
	for a := range n.Ancestors() {
		if headingLevel(a) > 0 || a.DataAtom == atom.Summary || a.DataAtom == atom.Dt || attr(a, "role") == "heading" {
			return true
		}
	}
	return false
}

// isHeaderLink recognises the sign beside a heading that links to it.
func isHeaderLink(n *html.Node) bool {
	return strings.HasPrefix(attr(n, "href"), "#") && !hasLetter(textOf(n)) && !hasElement(n)
}

func hasElement(n *html.Node) bool {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.ElementNode {
			return true
		}
	}
	return false
}

// furniture are names that sites give to what surrounds their content.
var furniture = map[string]bool{
	"nav": true, "navbar": true, "navigation": true, "navheader": true, "navfooter": true, "nav-header": true, "nav-footer": true,
	"breadcrumb": true, "breadcrumbs": true, "pagination": true, "pager": true, "pagination-nav": true, "prev-next": true,
	"skip-link": true, "skiplink": true, "skip-to-content": true, "site-header": true, "site-footer": true, "site-nav": true,
	"page-footer": true, "page-header": false, "global-nav": true, "main-nav": true, "mainnav": true, "topnav": true, "sidenav": true,
	"sphinxsidebar": true, "headerlink": true, "edit-this-page": true, "theme-edit-this-page": true, "noprint": true,
	"sr-only": true, "visually-hidden": true, "screen-reader-text": true, "mw-editsection": true, "share-buttons": true,
	"social-share": true, "back-to-top": true, "article-votes": true, "article-share": true, "footer": true,
}

// linkFurniture are names of the same when what they name is mostly links.
var linkFurniture = map[string]bool{
	"sidebar": true, "side-bar": true, "menu": true, "toc": true, "table-of-contents": true, "tableofcontents": true, "on-this-page": true,
	"related": true, "header": true, "topbar": true, "tags": true, "social": true, "share": true, "links": true, "language-switcher": true,
}

// consent are parts of names, found together with one of bannerWords.
var (
	consent     = []string{"cookie", "consent", "gdpr", "ccpa"}
	bannerWords = []string{"banner", "notice", "bar", "popup", "modal", "overlay", "dialog", "consent", "message", "law", "alert", "prompt"}
	consentApps = []string{"onetrust", "cookiebot", "cybotcookiebot", "didomi", "usercentrics", "cc-window", "cc-banner", "osano", "klaro"}
)

func (e *extractor) skipByName(n *html.Node, w weight) bool {
	names := strings.ToLower(attr(n, "class") + " " + attr(n, "id"))
	if names == " " {
		return false
	}
	for name := range strings.FieldsSeq(names) {
		switch {
		case furniture[name]:
			return true
		case linkFurniture[name] && w.density() > .5 && !e.keepLists && (!e.inMain || w.fragmentLinks*2 > w.links):
			e.pruned = true
			return true
		case w.runes < 3000 && w.headings < 4 && isConsent(name):
			return true
		}
	}
	return false
}

func isConsent(name string) bool {
	for _, app := range consentApps {
		if strings.HasPrefix(name, app) {
			return true
		}
	}
	for _, topic := range consent {
		rest, ok := strings.CutPrefix(name, topic)
		if !ok {
			continue
		}
		for _, word := range bannerWords {
			if strings.Contains(rest, word) {
				return true
			}
		}
	}
	return false
}
