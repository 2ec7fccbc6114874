package objects

import (
	"time"

	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/internal/ids"
)

// Escalation is one handoff.
type Escalation struct {
	Object         string    `json:"object" enum:"escalation" doc:"Always escalation."`
	ID             string    `json:"id" doc:"Its id." example:"esc_01kb2m3n4p5q6r7s8t9v0wxyza"`
	WorkspaceID    string    `json:"workspace_id,omitempty" doc:"The workspace that it belongs to." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ConversationID string    `json:"conversation_id" doc:"The conversation that it belongs to." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ContactID      string    `json:"contact_id" doc:"Whom it is about." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Status         string    `json:"status" enum:"open,accepted,answered,resolved,withdrawn" doc:"How far it is; the first three are open." example:"open"`
	Trigger        string    `json:"trigger" doc:"The kind of what set it off first. New kinds may be added." example:"visitor_asked"`
	Triggers       []Trigger `json:"triggers" doc:"All that set it off, or came to it."`
	Priority       string    `json:"priority" enum:"normal,high,urgent" doc:"How urgent it is." example:"normal"`
	Summary        string    `json:"summary" doc:"What it is about." example:"Asks how long delivery to an island takes."`
	Promise        *Promise  `json:"promise,omitempty" doc:"What the visitor was told about time; absent when a member took over."`
	AcceptedBy     string    `json:"accepted_by,omitempty" doc:"The member who accepted it." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	OpenedAt       string    `json:"opened_at" format:"date-time" doc:"When it was opened."`
	AcceptedAt     string    `json:"accepted_at,omitempty" format:"date-time" doc:"When it was accepted."`
	FirstReplyAt   string    `json:"first_reply_at,omitempty" format:"date-time" doc:"When a member first answered."`
	ResolvedAt     string    `json:"resolved_at,omitempty" format:"date-time" doc:"When it ended."`
	CreatedAt      string    `json:"created_at" format:"date-time" doc:"When it was opened."`
	UpdatedAt      string    `json:"updated_at" format:"date-time" doc:"When it last changed."`
}

// Trigger is what sets a handoff off.
type Trigger struct {
	Kind     string   `json:"kind" doc:"What kind: visitor_asked, sensitive_topic, rule, assistant_unsure, visitor_stuck, assistant_failed, member_asked, member_took_over. New ones may be added." example:"visitor_asked"`
	Topic    string   `json:"topic,omitempty" doc:"Of a sensitive topic: which." example:"refund"`
	Evidence string   `json:"evidence" doc:"The words that did it." example:"Can I talk to a person?"`
	RuleID   string   `json:"rule_id,omitempty" doc:"Of a rule: which."`
	Score    *float64 `json:"score,omitempty" doc:"How clear it was; absent where plain words decided." example:"4.2"`
	Effect   string   `json:"effect,omitempty" enum:"escalate,offer,tag" doc:"What it does." example:"escalate"`
	Seq      int64    `json:"seq,omitempty" doc:"The seq of the message with the words." example:"3"`
	At       string   `json:"at,omitempty" format:"date-time" doc:"When."`
}

// Promise is what a visitor was told about time.
type Promise struct {
	Text    string `json:"text" doc:"In their language." example:"Somebody of the team will answer by 15:30."`
	ReplyBy string `json:"reply_by,omitempty" format:"date-time" doc:"By when, if a time was named."`
	Basis   string `json:"basis" doc:"What it rests on." example:"support_hours"`
}

// FromEscalation renders an escalation. The workspace may be left out.
func FromEscalation(e handoff.Escalation, workspace ids.ID) Escalation {
	return Escalation{
		Object: "escalation", ID: id(ids.Escalation, e.ID), WorkspaceID: id(ids.Workspace, workspace),
		ConversationID: id(ids.Conversation, e.ConversationID), ContactID: id(ids.Contact, e.ContactID), Status: e.Status,
		Trigger: e.Trigger, Triggers: FromTriggers(e.Triggers), Priority: e.Priority, Summary: e.Summary, Promise: FromPromise(e.Promise),
		AcceptedBy: id(ids.Member, e.AcceptedBy), OpenedAt: at(e.OpenedAt), AcceptedAt: maybe(e.AcceptedAt), FirstReplyAt: maybe(e.FirstReplyAt),
		ResolvedAt: maybe(e.ResolvedAt), CreatedAt: at(e.CreatedAt), UpdatedAt: at(e.UpdatedAt),
	}
}

// FromTriggers renders triggers in their order.
func FromTriggers(all []handoff.Trigger) []Trigger {
	return each(all, func(t handoff.Trigger) Trigger {
		return trigger(t.Kind, t.Topic, t.Evidence, t.Effect, t.Score, t.Seq, t.At, t.RuleID)
	})
}

func trigger(kind, topic, evidence, effect string, score float64, seq int64, when time.Time, rule ids.ID) Trigger {
	out := Trigger{Kind: kind, Topic: topic, Evidence: evidence, RuleID: id("rule", rule), Effect: effect, Seq: seq}
	if score != 0 {
		out.Score = &score
	}
	if !when.IsZero() {
		out.At = at(when)
	}
	return out
}

// FromPromise renders a promise; nil stays nil.
func FromPromise(p *packet.Promise) *Promise {
	if p == nil {
		return nil
	}
	return &Promise{p.Text, maybe(p.ReplyBy), p.Basis}
}

// Packet is all that a person needs to take a conversation over, as it was
// when it was handed over.
type Packet struct {
	Object     string           `json:"object" enum:"packet" doc:"Always packet."`
	Escalation PacketEscalation `json:"escalation" doc:"The handoff that it belongs to."`
	Contact    PacketContact    `json:"contact" doc:"Who the visitor is."`
	Channel    string           `json:"channel,omitempty" doc:"Where the conversation comes from." example:"api"`
	Language   string           `json:"language,omitempty" doc:"Its language." example:"en"`
	Subject    string           `json:"subject,omitempty" doc:"What it is about." example:"My order"`
	PageURL    string           `json:"page_url,omitempty" doc:"Where the visitor was." example:"https://example.com/checkout"`
	Summary    string           `json:"summary" doc:"The matter in a sentence." example:"Asks how long delivery to an island takes."`
	Wants      string           `json:"wants" doc:"What the visitor wants, in a sentence of their own." example:"How long does delivery to an island take?"`
	Tried      []PacketAttempt  `json:"tried" doc:"What the assistant answered, or had and did not send."`
	NextStep   *PacketNextStep  `json:"next_step,omitempty" doc:"A sentence of the content that may settle the matter."`
	Promise    *Promise         `json:"promise,omitempty" doc:"What the visitor was told about time."`
	Thread     []PacketEntry    `json:"thread" doc:"What was said, oldest first."`
	Omitted    int              `json:"omitted,omitempty" doc:"How many entries at the beginning were left out." example:"12"`
	Citations  []PacketCitation `json:"citations" doc:"The passages that the answers rest on, as they were."`
	Earlier    []PacketEarlier  `json:"earlier" doc:"Conversations that a verified contact had before."`
}

// PacketEscalation is the handoff of a packet.
type PacketEscalation struct {
	ID             string    `json:"id" doc:"Its id." example:"esc_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ConversationID string    `json:"conversation_id" doc:"The conversation." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Status         string    `json:"status,omitempty" doc:"How far it was." example:"open"`
	Priority       string    `json:"priority,omitempty" doc:"How urgent it was." example:"normal"`
	OpenedAt       string    `json:"opened_at" format:"date-time" doc:"When it was opened."`
	Triggers       []Trigger `json:"triggers" doc:"What set it off; the one that decided comes first."`
}

// PacketContact is the visitor of a packet.
type PacketContact struct {
	ID         string            `json:"id" doc:"Their id." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ExternalID string            `json:"external_id,omitempty" doc:"Your own id of them." example:"customer-1042"`
	Name       string            `json:"name,omitempty" doc:"Their name." example:"Ada Moreau"`
	Email      string            `json:"email,omitempty" doc:"Their address." example:"ada@example.com"`
	Phone      string            `json:"phone,omitempty" doc:"Their phone number." example:"+49 30 1234567"`
	Language   string            `json:"language,omitempty" doc:"The language that they prefer." example:"de"`
	Verified   bool              `json:"verified" doc:"Whether somebody vouched for who they are."`
	Attributes map[string]string `json:"attributes" doc:"What else is known of them."`
}

// PacketEntry is a message of a packet's thread.
type PacketEntry struct {
	MessageID  string   `json:"message_id" doc:"The message." example:"msg_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Seq        int64    `json:"seq" doc:"Its place in the conversation." example:"1"`
	Author     string   `json:"author" enum:"visitor,assistant,member,system" doc:"Who wrote it." example:"visitor"`
	MemberName string   `json:"member_name,omitempty" doc:"Which member." example:"Ada Moreau"`
	Visibility string   `json:"visibility" enum:"public,team" doc:"Who may read it." example:"public"`
	Text       string   `json:"text" doc:"What it says." example:"How long does delivery take?"`
	Citations  []int    `json:"citations" doc:"The numbers of the citations that it rests on." example:"[1]"`
	Confidence *float64 `json:"confidence,omitempty" doc:"How probable it was that content answers." example:"0.93"`
	At         string   `json:"at" format:"date-time" doc:"When."`
}

// PacketCitation is a passage that answers of a packet rest on.
type PacketCitation struct {
	Number int `json:"number" doc:"By which entries name it." example:"1"`
	Citation
	Passage string `json:"passage" doc:"The whole passage as it was." example:"We deliver within three working days. Delivery to an island takes five working days."`
}

// PacketAttempt is an answer of a packet.
type PacketAttempt struct {
	Seq        int64        `json:"seq,omitempty" doc:"Of the answer; absent: it was not sent." example:"2"`
	Question   string       `json:"question,omitempty" doc:"What was asked." example:"How long does delivery take?"`
	Answer     string       `json:"answer,omitempty" doc:"What was answered." example:"Within three working days."`
	Pages      []PacketPage `json:"pages" doc:"Where it came from."`
	Confidence *float64     `json:"confidence,omitempty" doc:"How probable it was that content answers." example:"0.41"`
	Unsure     bool         `json:"unsure" doc:"Whether the assistant was unsure."`
	Sent       bool         `json:"sent" doc:"Whether the visitor saw it."`
}

// PacketPage is a page of a packet.
type PacketPage struct {
	URL   string `json:"url,omitempty" doc:"Its address." example:"https://example.com/help/delivery"`
	Title string `json:"title,omitempty" doc:"Its title." example:"Delivery"`
}

// PacketNextStep is what may settle the matter.
type PacketNextStep struct {
	Text  string `json:"text" doc:"The sentence." example:"A lost parcel is replaced after ten days."`
	URL   string `json:"url,omitempty" doc:"Where it stands." example:"https://example.com/help/delivery"`
	Title string `json:"title,omitempty" doc:"The page's title." example:"Delivery"`
}

// PacketEarlier is an earlier conversation of a packet.
type PacketEarlier struct {
	ConversationID string `json:"conversation_id" doc:"Which." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	At             string `json:"at" format:"date-time" doc:"When it began."`
	Status         string `json:"status,omitempty" doc:"How it stood." example:"resolved"`
	Summary        string `json:"summary,omitempty" doc:"What it was about." example:"Asked for an invoice."`
}

// FromPacket renders a packet.
func FromPacket(p packet.Packet) Packet {
	out := Packet{
		Object: "packet",
		Escalation: PacketEscalation{
			id(ids.Escalation, p.Escalation.ID), id(ids.Conversation, p.Escalation.ConversationID), p.Escalation.Status, p.Escalation.Priority,
			at(p.Escalation.OpenedAt), each(p.Escalation.Triggers, func(t packet.Trigger) Trigger {
				return trigger(t.Kind, t.Topic, t.Evidence, t.Effect, t.Score, t.Seq, t.At, ids.ID{})
			}),
		},
		Contact: PacketContact{
			id(ids.Contact, p.Contact.ID), p.Contact.ExternalID, p.Contact.Name, p.Contact.Email, p.Contact.Phone, p.Contact.Language,
			p.Contact.Verified, metadata(p.Contact.Attributes),
		},
		Channel: p.Channel, Language: p.Language, Subject: p.Subject, PageURL: p.PageURL, Summary: p.Summary, Wants: p.Wants,
		Promise: FromPromise(p.Promise), Omitted: p.Omitted,
		Tried: each(p.Tried, func(t packet.Attempt) PacketAttempt {
			return PacketAttempt{t.Seq, t.Question, t.Answer, each(t.Pages, func(g packet.Page) PacketPage { return PacketPage(g) }), t.Confidence, t.Unsure, t.Sent}
		}),
		Thread: each(p.Thread, func(e packet.Entry) PacketEntry {
			return PacketEntry{id(ids.Message, e.MessageID), e.Seq, e.Author, e.MemberName, e.Visibility, e.Text, list(e.Citations), e.Confidence, at(e.At)}
		}),
		Citations: each(p.Citations, func(c packet.Citation) PacketCitation {
			return PacketCitation{c.Number, Citation{id(ids.Page, c.PageID), c.URL, c.Title, list(c.HeadingPath), c.Quote}, c.Passage}
		}),
		Earlier: each(p.Earlier, func(e packet.Earlier) PacketEarlier {
			return PacketEarlier{id(ids.Conversation, e.ConversationID), at(e.At), e.Status, e.Summary}
		}),
	}
	if p.NextStep != nil {
		step := PacketNextStep(*p.NextStep)
		out.NextStep = &step
	}
	return out
}

// InboxEntry is a conversation as an inbox shows it.
type InboxEntry struct {
	Conversation
	Contact     Contact     `json:"contact" doc:"Whose it is."`
	LastMessage *Message    `json:"last_message,omitempty" doc:"The newest public message."`
	Escalation  *Escalation `json:"escalation,omitempty" doc:"The open escalation."`
	Promise     *Promise    `json:"promise,omitempty" doc:"What the visitor was told about time."`
}

// FromEntry renders an entry of the inbox.
func FromEntry(e handoff.Entry, workspace ids.ID) InboxEntry {
	out := InboxEntry{Conversation: FromConversation(e.Conversation, workspace), Contact: FromContact(e.Contact, workspace)}
	if e.LastMessage != nil {
		m := FromMessage(*e.LastMessage)
		out.LastMessage = &m
	}
	if e.Escalation != nil {
		escalation := FromEscalation(*e.Escalation, workspace)
		out.Escalation, out.Promise = &escalation, escalation.Promise
	}
	return out
}
