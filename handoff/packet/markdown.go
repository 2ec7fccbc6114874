package packet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Markdown writes the packet for a member of the team to read, in English with
// everybody's own words as they are. What others wrote is escaped: it shows
// up as they typed it and makes no heading, link, image or HTML.
func (p Packet) Markdown() string {
	b := &page{}
	p.head(b)
	p.tried(b)
	p.thread(b)
	p.sources(b)
	p.earlier(b)
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// page collects blocks with an empty line between them.
type page struct{ strings.Builder }

func (b *page) block(format string, args ...any) {
	fmt.Fprintf(b, format+"\n\n", args...)
}

// list writes a list, and nothing where it is empty.
func (b *page) list(items []string) {
	for _, item := range items {
		fmt.Fprintf(b, "- %s\n", item)
	}
	if len(items) > 0 {
		b.WriteString("\n")
	}
}

func (p Packet) head(b *page) {
	title := p.Wants
	if title == "" {
		title = "A visitor needs a person"
	}
	b.block("# %s", inline(title))
	var facts []string
	if len(p.Escalation.Triggers) > 0 {
		facts = append(facts, "**"+inline(Reason(p.Escalation.Triggers[0]))+"**")
	}
	if !p.Escalation.OpenedAt.IsZero() {
		facts = append(facts, "opened "+moment(p.Escalation.OpenedAt))
	}
	if p.Escalation.Priority != "" {
		facts = append(facts, "priority "+inline(p.Escalation.Priority))
	}
	if len(facts) > 0 {
		b.block("%s", strings.Join(facts, " · "))
	}
	if p.Promise != nil && p.Promise.Text != "" {
		line := "**Promised:** “" + inline(p.Promise.Text) + "”"
		if p.Promise.ReplyBy != nil {
			line += " (reply by " + moment(*p.Promise.ReplyBy) + ")"
		}
		b.block("%s", line)
	}
	b.block("## Visitor")
	b.list(p.visitor())
	if len(p.Escalation.Triggers) > 0 {
		b.block("## What set it off")
		items := make([]string, 0, len(p.Escalation.Triggers))
		for _, t := range p.Escalation.Triggers {
			item := inline(Reason(t))
			if t.Evidence != "" {
				item += ": “" + inline(t.Evidence) + "”"
			}
			if t.Seq > 0 {
				item += fmt.Sprintf(" (message %d)", t.Seq)
			}
			items = append(items, item)
		}
		b.list(items)
	}
}

func (p Packet) visitor() []string {
	var items []string
	add := func(name, value string) {
		if value != "" {
			items = append(items, name+": "+value)
		}
	}
	add("Name", inline(p.Contact.Name))
	add("E-mail", inline(p.Contact.Email))
	add("Phone", inline(p.Contact.Phone))
	add("Id", inline(p.Contact.ExternalID))
	if p.Contact.Verified {
		add("Identity", "verified")
	} else {
		add("Identity", "not verified: don't rely on name or e-mail")
	}
	language := p.Language
	if language == "" {
		language = p.Contact.Language
	}
	add("Language", inline(languageName(language)))
	add("Channel", inline(p.Channel))
	add("Subject", inline(p.Subject))
	add("Page", link("", p.PageURL))
	for _, name := range slices.Sorted(maps.Keys(p.Contact.Attributes)) {
		add(inline(name), inline(p.Contact.Attributes[name]))
	}
	return items
}

func (p Packet) tried(b *page) {
	if len(p.Tried) > 0 {
		b.block("## What was tried")
		items := make([]string, 0, len(p.Tried))
		for _, a := range p.Tried {
			items = append(items, a.line())
		}
		b.list(items)
	}
	if p.NextStep != nil {
		b.block("## A possible next step")
		line := inline(p.NextStep.Text)
		if from := link(p.NextStep.Title, p.NextStep.URL); from != "" {
			line += " (" + from + ")"
		}
		b.block("%s", line)
	}
}

func (a Attempt) line() string {
	var line string
	if a.Question != "" {
		line = "To “" + inline(a.Question) + "” "
	}
	switch {
	case a.Sent && line == "":
		line = "The assistant said"
	case a.Sent:
		line += "the assistant said"
	case line == "":
		line = "An answer that was not sent said"
	default:
		line += "an answer that was not sent said"
	}
	line += " “" + inline(a.Answer) + "”"
	if len(a.Pages) > 0 {
		var from []string
		for _, g := range a.Pages {
			if l := link(g.Title, g.URL); l != "" {
				from = append(from, l)
			}
		}
		line += ", from " + strings.Join(from, ", ")
	} else {
		line += ", from no page"
	}
	var doubts []string
	if a.Unsure {
		doubts = append(doubts, "unsure")
	}
	if a.Confidence != nil {
		doubts = append(doubts, fmt.Sprintf("confidence %.0f %%", *a.Confidence*100))
	}
	if len(doubts) > 0 {
		line += " (" + strings.Join(doubts, ", ") + ")"
	}
	return line
}

func (p Packet) thread(b *page) {
	b.block("## Conversation")
	if p.Omitted > 0 {
		b.block("*%d earlier messages are left out here.*", p.Omitted)
	}
	if len(p.Thread) == 0 {
		b.block("*No messages.*")
	}
	for _, e := range p.Thread {
		who := map[string]string{"visitor": "Visitor", "assistant": "Assistant", "system": "Notice", "member": "Team"}[e.Author]
		if e.Author == "visitor" && p.Contact.Name != "" {
			who = p.Contact.Name
		}
		if e.MemberName != "" {
			who = e.MemberName
		}
		if who == "" {
			who = e.Author
		}
		line := fmt.Sprintf("**%s** · %d · %s", inline(who), e.Seq, moment(e.At))
		if e.Visibility == "team" {
			line += " · note for the team"
		}
		for _, n := range e.Citations {
			line += fmt.Sprintf(" · source %d", n)
		}
		b.block("%s", line)
		b.block("%s", quote(e.Text))
	}
}

func (p Packet) sources(b *page) {
	if len(p.Citations) == 0 {
		return
	}
	b.block("## Sources, as they were")
	for _, c := range p.Citations {
		line := fmt.Sprintf("**%d** · %s", c.Number, link(c.Title, c.URL))
		for _, h := range c.HeadingPath {
			line += " › " + inline(h)
		}
		b.block("%s", line)
		text := c.Passage
		if text == "" {
			text = c.Quote
		}
		b.block("%s", quote(text))
	}
}

func (p Packet) earlier(b *page) {
	if len(p.Earlier) == 0 {
		return
	}
	b.block("## Earlier conversations")
	items := make([]string, 0, len(p.Earlier))
	for _, e := range p.Earlier {
		item := moment(e.At)
		for _, part := range []string{e.Status, e.Summary} {
			if part != "" {
				item += " · " + inline(part)
			}
		}
		items = append(items, item)
	}
	b.list(items)
}

// moment is in UTC, because a packet has many readers.
func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

var languageNames = map[string]string{
	"en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch", "pl": "Polish",
}

func languageName(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if name, ok := languageNames[base]; ok {
		return name
	}
	return tag
}
