package packet

import (
	"encoding/json"
	"maps"
	"slices"
)

// Cut gives a copy that fits into an event: the last maxThread entries of the
// thread, and shorter texts, in the end fewer of everything, until its JSON
// has no more than maxBytes. What remains is always valid; Omitted counts the
// entries that are gone. The smallest packet has about 2 KiB.
func (p Packet) Cut(maxThread, maxBytes int) Packet {
	out := p.last(max(maxThread, 0))
	for _, limit := range []struct{ text, items int }{
		{8000, 100}, {4000, 60}, {2000, 40}, {1000, 20}, {500, 20}, {250, 12}, {120, 8}, {60, 4}, {30, 2}, {15, 1}, {8, 0},
	} {
		if out.size() <= maxBytes {
			break
		}
		out = out.shrunk(limit.text, limit.items)
	}
	return out
}

func (p Packet) size() int {
	b, err := json.Marshal(p)
	if err != nil { // a confidence that is no number, at most
		return 0
	}
	return len(b)
}

func (p Packet) last(n int) Packet {
	if len(p.Thread) > n {
		p.Omitted += len(p.Thread) - n
		p.Thread = p.Thread[len(p.Thread)-n:]
	}
	return p
}

// shrunk cuts each text to so many characters and each list to so many items.
func (p Packet) shrunk(text, items int) Packet {
	p = p.last(items)
	cut := func(s string) string { return shorten(s, text) }
	p.Channel, p.Language, p.Subject, p.PageURL, p.Summary, p.Wants = cut(p.Channel), cut(p.Language), cut(p.Subject), address(p.PageURL, text), cut(p.Summary), cut(p.Wants)
	p.Escalation.Triggers = each(p.Escalation.Triggers[:min(len(p.Escalation.Triggers), max(items, 1))], len(p.Escalation.Triggers), func(t *Trigger) {
		t.Evidence, t.Topic = cut(t.Evidence), cut(t.Topic)
	})
	c := &p.Contact
	c.ExternalID, c.Name, c.Email, c.Phone, c.Language = cut(c.ExternalID), cut(c.Name), cut(c.Email), cut(c.Phone), cut(c.Language)
	attributes := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		if i < items && len(name) <= 4*text {
			attributes[name] = cut(c.Attributes[name])
		}
	}
	c.Attributes = attributes
	p.Thread = each(p.Thread, items, func(e *Entry) { e.Text, e.MemberName = cut(e.Text), cut(e.MemberName) })
	p.Citations = each(p.Citations, items, func(c *Citation) {
		c.URL, c.Title, c.Quote, c.Passage = address(c.URL, text), cut(c.Title), cut(c.Quote), cut(c.Passage)
		c.HeadingPath = each(c.HeadingPath, items, func(h *string) { *h = cut(*h) })
	})
	known := map[int]bool{}
	for _, c := range p.Citations {
		known[c.Number] = true
	}
	for i := range p.Thread {
		p.Thread[i].Citations = slices.DeleteFunc(slices.Clone(p.Thread[i].Citations), func(n int) bool { return !known[n] })
	}
	p.Tried = each(p.Tried, items, func(a *Attempt) {
		a.Question, a.Answer = cut(a.Question), cut(a.Answer)
		a.Pages = each(a.Pages, items, func(g *Page) { g.URL, g.Title = address(g.URL, text), cut(g.Title) })
	})
	p.Earlier = each(p.Earlier, items, func(e *Earlier) { e.Summary = cut(e.Summary) })
	if p.NextStep != nil {
		p.NextStep = &NextStep{Text: cut(p.NextStep.Text), URL: address(p.NextStep.URL, text), Title: cut(p.NextStep.Title)}
	}
	if p.Promise != nil {
		promise := *p.Promise
		promise.Text = cut(promise.Text)
		p.Promise = &promise
	}
	return p
}

// each copies the last n items, the newest, and changes each copy.
func each[T any](all []T, n int, change func(*T)) []T {
	out := append([]T{}, all[max(len(all)-n, 0):]...)
	for i := range out {
		change(&out[i])
	}
	return out
}

// address leaves out an address that is too long: cut, it would lead elsewhere.
func address(url string, limit int) string {
	if len(url) > max(limit, 200) {
		return ""
	}
	return url
}
