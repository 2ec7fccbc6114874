package retrieval

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relaydesk/relaydesk/assistant/confidence"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// Kinds of questions.
const (
	answered    = "answered"     // the content answers it
	offTopic    = "off topic"    // confidence.OffTopic
	otherTenant = "other tenant" // a question that another site answers
	missing     = "missing"      // its article was never there (XQuAD)
	leftOut     = "left out"     // its page was taken away (help centres)
	adversarial = "adversarial"  // all words are there, the answer is not (SQuAD 2.0)
	heading     = "heading"      // of the content itself
)

// A set is a workspace with the questions that are asked of it.
type set struct {
	name string
	*workspace
	calls []call
}

// A call is one question asked of a set.
type call struct {
	question
	kind    string
	without func(*passage) bool // what is taken away
}

func (s *set) ask(c *call) *found { return s.workspace.ask(c.Question, c.vector, c.without) }

func (s *set) signals(c *call) rank.Signals {
	f := s.ask(c)
	return f.question.Signals(f.hits, f.crossLanguage(c.Lang))
}

// right tells whether a passage belongs to the document, or page, that is asked for.
func (c *call) right(p *passage) bool {
	if c.DocID != "" {
		return p.doc == c.DocID
	}
	return slices.ContainsFunc(c.GoldPages, func(g string) bool {
		g, _, _ = strings.Cut(g, "#")
		return g == p.doc
	})
}

// A loader reads and embeds the data.
type loader struct {
	ctx context.Context
	cache
	dir  string
	help []question
	off  []question
	sets []*set
}

func (l *loader) load(ctx context.Context) error {
	l.ctx = ctx
	for _, q := range confidence.OffTopic() {
		l.off = append(l.off, question{Question: q.Text, Lang: q.Lang})
	}
	var err error
	if l.help, err = rows[question](filepath.Join(l.dir, "dev", "helpcentre_questions.jsonl")); err != nil {
		return err
	}
	if err := l.questions(l.off); err != nil {
		return err
	}
	if err := l.questions(l.help); err != nil {
		return err
	}
	for _, name := range []string{"squad2-en", "squad2-pt", "xquad"} {
		if err := l.documents(name); err != nil {
			return err
		}
	}
	return l.sites()
}

// documents reads a set of documents, one workspace for each of its languages,
// and XQuAD's English one once more for each other language.
func (l *loader) documents(name string) error {
	docs, err := rows[document](filepath.Join(l.dir, "dev", "qa_"+name+"_docs.jsonl"))
	if err != nil {
		return err
	}
	qs, err := rows[question](filepath.Join(l.dir, "dev", "qa_"+name+"_questions.jsonl"))
	if err != nil {
		return err
	}
	if err := l.questions(qs); err != nil {
		return err
	}
	by := map[string]*set{}
	var order []string
	for _, d := range docs {
		if by[d.Lang] == nil {
			label := name
			if name == "xquad" {
				label += " " + d.Lang
			}
			by[d.Lang] = &set{name: label, workspace: &workspace{}}
			order = append(order, d.Lang)
		}
		by[d.Lang].add(d.DocID, d.Lang, rank.Candidate{Title: d.Title, Text: d.Text})
	}
	for _, lang := range order {
		s := by[lang]
		for _, q := range qs {
			if q.Lang == lang {
				s.calls = append(s.calls, call{question: q, kind: l.kind(name, &q)})
				if q.Answerable {
					s.calls = append(s.calls, call{question: q, kind: leftOut, without: func(p *passage) bool { return p.doc == q.DocID }})
				}
			}
		}
		if err := l.finish(s); err != nil {
			return err
		}
	}
	if name != "xquad" {
		return nil
	}
	for _, lang := range order {
		if lang == "en" {
			continue
		}
		s := &set{name: "xquad " + lang + " → en", workspace: by["en"].workspace}
		for _, q := range qs {
			if q.Lang == lang {
				kind := l.kind(name, &q)
				q.DocID = q.ParallelDoc + ":en"
				s.calls = append(s.calls, call{question: q, kind: kind})
			}
		}
		l.sets = append(l.sets, s)
	}
	return nil
}

func (l *loader) kind(set string, q *question) string {
	switch {
	case q.Answerable:
		return answered
	case set == "xquad":
		return missing
	}
	return adversarial
}

// siteNames are in the order of the report.
var siteNames = []string{"plausible", "arduino", "debian-faq"}

func (l *loader) sites() error {
	pages, err := sites(l.dir)
	if err != nil {
		return err
	}
	cross, err := rows[question](filepath.Join(l.dir, "dev", "crosstenant_unanswerable.jsonl"))
	if err != nil {
		return err
	}
	if err := l.questions(cross); err != nil {
		return err
	}
	for _, site := range siteNames {
		s := &set{name: site, workspace: siteIndex(pages[site])}
		for _, q := range l.help {
			if q.Site != site {
				continue
			}
			s.calls = append(s.calls, call{question: q, kind: answered}, call{question: q, kind: leftOut, without: func(p *passage) bool {
				return slices.ContainsFunc(q.GoldPages, func(gold string) bool { return sameArticle(site, gold, p.doc) })
			}})
		}
		for _, q := range cross {
			if q.AskedOfSite == site {
				s.calls = append(s.calls, call{question: q, kind: otherTenant})
			}
		}
		if err := l.finish(s); err != nil {
			return err
		}
	}
	return nil
}

// finish embeds a set's passages and adds what every set is asked.
func (l *loader) finish(s *set) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if err := s.embed(l.cache); err != nil {
		return err
	}
	for _, q := range l.off {
		s.calls = append(s.calls, call{question: q, kind: offTopic})
	}
	own := s.headings(120)
	if err := l.questions(own); err != nil {
		return err
	}
	for _, q := range own {
		s.calls = append(s.calls, call{question: q, kind: heading})
	}
	if !slices.Contains(siteNames, s.name) {
		for _, q := range l.help {
			s.calls = append(s.calls, call{question: q, kind: otherTenant})
		}
	}
	l.sets = append(l.sets, s)
	return nil
}

// headings are at most n headings of passages, spread over the workspace.
func (w *workspace) headings(n int) []question {
	var all []question
	seen := map[string]bool{}
	for i := range w.passages {
		p := &w.passages[i]
		h := p.Title
		if k := len(p.HeadingPath); k > 0 {
			h = p.HeadingPath[k-1]
		}
		if !seen[h] && len(rank.Words(h)) > 1 {
			seen[h] = true
			all = append(all, question{Question: h, Lang: p.lang})
		}
	}
	n = min(n, len(all))
	var out []question
	for i := range n {
		out = append(out, all[i*len(all)/n])
	}
	return out
}

// sameArticle tells whether doc is the page gold, or its translation.
func sameArticle(site, gold, doc string) bool {
	gold, _, _ = strings.Cut(gold, "#")
	if site != "debian-faq" {
		return gold == doc
	}
	name := func(path string) string {
		path, _, _ = strings.Cut(path[strings.LastIndexByte(path, '/')+1:], ".")
		return path
	}
	return name(gold) == name(doc)
}
