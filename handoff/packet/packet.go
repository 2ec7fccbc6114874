// Package packet makes what a person needs to take a conversation over: the
// thread, the answers given and the passages they rest on, what set the
// handoff off with the words that did, what was tried, who the visitor is and
// what they were promised.
//
// A Packet is composed once, at handoff, from what is handed in, and stored as
// it is: later changes to pages or to the contact don't change what the team
// was shown. Nothing here needs a model; what the visitor wants is one of
// their own sentences. Texts in it are untrusted: Markdown escapes them.
package packet

import (
	"math"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/internal/ids"
)

// A Packet is what is known about a conversation when it is handed over. It
// keeps its JSON form: packets are stored in it.
type Packet struct {
	Escalation Escalation `json:"escalation"`
	Contact    Contact    `json:"contact"`
	Channel    string     `json:"channel,omitempty"`
	Language   string     `json:"language,omitempty"`
	Subject    string     `json:"subject,omitempty"`
	PageURL    string     `json:"page_url,omitempty"` // where the visitor was
	Summary    string     `json:"summary"`
	Wants      string     `json:"wants"` // one sentence of the visitor's
	Tried      []Attempt  `json:"tried"`
	NextStep   *NextStep  `json:"next_step,omitempty"`
	Promise    *Promise   `json:"promise,omitempty"`
	Thread     []Entry    `json:"thread"`
	Omitted    int        `json:"omitted,omitempty"` // entries that Cut left out at the beginning
	Citations  []Citation `json:"citations"`
	Earlier    []Earlier  `json:"earlier"` // of a verified contact only
}

// Escalation is the handoff that the packet belongs to.
type Escalation struct {
	ID             ids.ID    `json:"id"`
	ConversationID ids.ID    `json:"conversation_id"`
	Status         string    `json:"status,omitempty"`
	Priority       string    `json:"priority,omitempty"`
	OpenedAt       time.Time `json:"opened_at"`
	Triggers       []Trigger `json:"triggers"` // the one that decided comes first
}

// A Trigger is what set the handoff off.
type Trigger struct {
	Kind     string    `json:"kind"`
	Topic    string    `json:"topic,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Score    float64   `json:"score,omitempty"`
	Effect   string    `json:"effect,omitempty"`
	Seq      int64     `json:"seq,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// Contact is who the visitor is, as far as is known.
type Contact struct {
	ID         ids.ID            `json:"id"`
	ExternalID string            `json:"external_id,omitempty"`
	Name       string            `json:"name,omitempty"`
	Email      string            `json:"email,omitempty"`
	Phone      string            `json:"phone,omitempty"`
	Language   string            `json:"language,omitempty"`
	Verified   bool              `json:"verified"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// An Entry is one message of the thread.
type Entry struct {
	MessageID  ids.ID    `json:"message_id"`
	Seq        int64     `json:"seq"`
	Author     string    `json:"author"` // visitor, assistant, member, system
	MemberName string    `json:"member_name,omitempty"`
	Visibility string    `json:"visibility"` // public, team
	Text       string    `json:"text"`
	Citations  []int     `json:"citations,omitempty"` // numbers of Citation
	Confidence *float64  `json:"confidence,omitempty"`
	At         time.Time `json:"at"`
}

// A Citation is a passage that an answer rested on, as it was then. The same
// passage, quoted by several answers, is one.
type Citation struct {
	Number      int      `json:"number"` // from 1
	PageID      ids.ID   `json:"page_id"`
	URL         string   `json:"url,omitempty"`
	Title       string   `json:"title,omitempty"`
	HeadingPath []string `json:"heading_path,omitempty"`
	Quote       string   `json:"quote,omitempty"`
	Passage     string   `json:"passage,omitempty"`
}

// An Attempt is an answer that the assistant gave, or had but did not send.
type Attempt struct {
	Seq        int64    `json:"seq,omitempty"` // of the answer; 0: it was not sent
	Question   string   `json:"question,omitempty"`
	Answer     string   `json:"answer,omitempty"`
	Pages      []Page   `json:"pages"`
	Confidence *float64 `json:"confidence,omitempty"`
	Unsure     bool     `json:"unsure,omitempty"`
	Sent       bool     `json:"sent"`
}

// A Page is where an answer came from.
type Page struct {
	URL   string `json:"url,omitempty"`
	Title string `json:"title,omitempty"`
}

// NextStep is a sentence of the content that may settle the matter.
type NextStep struct {
	Text  string `json:"text"`
	URL   string `json:"url,omitempty"`
	Title string `json:"title,omitempty"`
}

// A Promise is what the visitor was told about time.
type Promise struct {
	Text    string     `json:"text"`
	ReplyBy *time.Time `json:"reply_by,omitempty"`
	Basis   string     `json:"basis"`
}

// Earlier is a conversation that the contact had before.
type Earlier struct {
	ConversationID ids.ID    `json:"conversation_id"`
	At             time.Time `json:"at"`
	Status         string    `json:"status,omitempty"`
	Summary        string    `json:"summary,omitempty"`
}

// Input is what a packet is composed from.
type Input struct {
	Escalation Escalation
	Contact    Contact
	Channel    string
	Language   string
	Subject    string
	PageURL    string
	Messages   []Message // the whole thread, by seq
	Draft      *Draft    // an answer that was not sent, because the assistant was unsure
	Hits       []Hit     // what content has on the question, best first, as far as it may fit
	Promise    *Promise
	Earlier    []Earlier
}

// A Message is one of the thread with what it rests on.
type Message struct {
	Entry
	Cited  []Citation // without numbers
	Unsure bool       // the answer ended with the offer of a person
}

// A Draft is an answer that was not sent.
type Draft struct {
	Text       string
	Cited      []Citation
	Confidence *float64
}

// A Hit is a passage that search found.
type Hit struct{ URL, Title, Text string }

// maxAnswer is how much of an answer stands under what was tried, in
// characters; the whole of it is in the thread.
const maxAnswer = 400

// Compose makes the packet.
func Compose(in Input) Packet {
	p := Packet{
		Escalation: in.Escalation, Contact: in.Contact, Channel: in.Channel, Language: in.Language, Subject: in.Subject, PageURL: in.PageURL,
		Promise: in.Promise, Thread: []Entry{}, Citations: []Citation{}, Tried: []Attempt{}, Earlier: []Earlier{},
	}
	if p.Escalation.Triggers == nil {
		p.Escalation.Triggers = []Trigger{}
	}
	var asked []Message // the visitor's messages since the last answer
	for _, m := range in.Messages {
		e := m.Entry
		e.Citations, e.Confidence = nil, finite(e.Confidence)
		for _, c := range m.Cited {
			e.Citations = append(e.Citations, p.cite(c))
		}
		p.Thread = append(p.Thread, e)
		switch {
		case e.Visibility == "team":
		case e.Author == "visitor":
			asked = append(asked, m)
		case e.Author == "assistant":
			p.Tried = append(p.Tried, Attempt{
				Seq: e.Seq, Question: Wants(asked, nil), Answer: shorten(e.Text, maxAnswer), Pages: pages(m.Cited),
				Confidence: e.Confidence, Unsure: m.Unsure, Sent: true,
			})
			asked = nil
		case e.Author == "member":
			asked = nil
		}
	}
	if d := in.Draft; d != nil {
		for _, c := range d.Cited {
			p.cite(c)
		}
		p.Tried = append(p.Tried, Attempt{Question: Wants(asked, nil), Answer: shorten(d.Text, maxAnswer), Pages: pages(d.Cited), Confidence: finite(d.Confidence), Unsure: true})
	}
	p.Wants = Wants(in.Messages, p.Escalation.Triggers)
	p.NextStep = Next(p.Wants, in.Hits)
	if in.Contact.Verified && in.Earlier != nil {
		p.Earlier = in.Earlier
	}
	p.Summary = Summary(p.Escalation.Triggers, p.Wants)
	return p
}

// cite numbers a citation; the same passage keeps its number.
func (p *Packet) cite(c Citation) int {
	for _, known := range p.Citations {
		if known.PageID == c.PageID && known.URL == c.URL && known.Passage == c.Passage && known.Quote == c.Quote {
			return known.Number
		}
	}
	c.Number = len(p.Citations) + 1
	p.Citations = append(p.Citations, c)
	return c.Number
}

// finite keeps a number that JSON can hold.
func finite(f *float64) *float64 {
	if f == nil || math.IsNaN(*f) || math.IsInf(*f, 0) {
		return nil
	}
	return f
}

func pages(cited []Citation) []Page {
	out := []Page{}
	seen := map[string]bool{}
	for _, c := range cited {
		url, _, _ := strings.Cut(c.URL, "#")
		if key := url + "\x00" + c.Title; !seen[key] {
			seen[key] = true
			out = append(out, Page{URL: c.URL, Title: c.Title})
		}
	}
	return out
}
