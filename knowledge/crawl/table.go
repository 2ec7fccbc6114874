package crawl

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// table writes each row of data as one line, and a table that only arranges the
// page as if it were not there.
func (e *extractor) table(n *html.Node) {
	e.flush()
	if isLayout(n, e) {
		e.block(n, Paragraph)
		return
	}
	for d := range n.Descendants() {
		switch d.DataAtom {
		case atom.Caption:
			e.block(d, Paragraph)
		case atom.Tr:
			e.row(d)
		}
	}
}

func (e *extractor) row(tr *html.Node) {
	var cells []string
	start := len(e.blocks)
	for c := tr.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom != atom.Td && c.DataAtom != atom.Th {
			continue
		}
		e.block(c, Row)
		parts := make([]string, 0, 1)
		for _, b := range e.blocks[start:] {
			parts = append(parts, strings.ReplaceAll(b.Text, "\n", " "))
		}
		e.blocks = e.blocks[:start]
		if text := strings.Join(parts, " "); text != "" {
			cells = append(cells, text)
		}
	}
	if len(cells) > 0 {
		e.blocks = append(e.blocks, Block{Kind: Row, Text: strings.Join(cells, " | ")})
	}
}

func isLayout(table *html.Node, e *extractor) bool {
	if role := attr(table, "role"); role == "presentation" || role == "none" {
		return true
	}
	if e.weights[table].headings > 0 {
		return true
	}
	widest := 0
	for d := range table.Descendants() {
		switch d.DataAtom {
		case atom.Table, atom.Pre, atom.Details:
			return true
		case atom.Tr:
			cells := 0
			for c := d.FirstChild; c != nil; c = c.NextSibling {
				if c.DataAtom != atom.Td && c.DataAtom != atom.Th {
					continue
				}
				cells++
				// A cell of pages of text is a column of the layout.
				if e.weights[c].runes > 1500 {
					return true
				}
			}
			widest = max(widest, cells)
		}
	}
	return widest < 2
}
