package objects

import (
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/ids"
)

// Contact is the record of a visitor.
type Contact struct {
	Object      string            `json:"object" enum:"contact" doc:"Always contact."`
	ID          string            `json:"id" doc:"Their id." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
	WorkspaceID string            `json:"workspace_id,omitempty" doc:"The workspace that they write to." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ExternalID  string            `json:"external_id,omitempty" doc:"Your own id of them, unique in the workspace." example:"customer-1042"`
	Name        string            `json:"name,omitempty" doc:"Their name." example:"Ada Moreau"`
	Email       string            `json:"email,omitempty" doc:"Their address." example:"ada@example.com"`
	Phone       string            `json:"phone,omitempty" doc:"Their phone number." example:"+49 30 1234567"`
	Language    string            `json:"language,omitempty" doc:"The language that they prefer." example:"de"`
	Verified    bool              `json:"verified" doc:"Whether somebody vouched for who they are."`
	Attributes  map[string]string `json:"attributes" doc:"What else is known of them; the team sees it."`
	Metadata    map[string]string `json:"metadata" doc:"Your own keys and values."`
	CreatedAt   string            `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt   string            `json:"updated_at" format:"date-time" doc:"When it was last changed."`
}

// FromContact renders a contact. The workspace may be left out.
func FromContact(k conversations.Contact, workspace ids.ID) Contact {
	return Contact{
		"contact", id(ids.Contact, k.ID), id(ids.Workspace, workspace), k.ExternalID, k.Name, k.Email, k.Phone, k.Language, k.Verified,
		metadata(k.Attributes), metadata(k.Metadata), at(k.CreatedAt), at(k.UpdatedAt),
	}
}

// Conversation is one thread.
type Conversation struct {
	Object        string            `json:"object" enum:"conversation" doc:"Always conversation."`
	ID            string            `json:"id" doc:"Its id." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	WorkspaceID   string            `json:"workspace_id,omitempty" doc:"The workspace that it belongs to." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ContactID     string            `json:"contact_id" doc:"Whose it is." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Channel       string            `json:"channel" doc:"Where it comes from." example:"api"`
	Language      string            `json:"language" doc:"Its language; empty: not known yet." example:"en"`
	Subject       string            `json:"subject,omitempty" doc:"What it is about." example:"My order"`
	Status        string            `json:"status" enum:"open,snoozed,resolved" doc:"Whether it goes on." example:"open"`
	Owner         Owner             `json:"owner" doc:"Who answers."`
	State         string            `json:"state" enum:"assistant,waiting,member,snoozed,resolved" doc:"Owner and status in a word: an open one's owner (waiting: the team's, nobody has taken it), else the status." example:"waiting"`
	AssigneeID    string            `json:"assignee_id,omitempty" doc:"The member who should take care." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	LastSeq       int64             `json:"last_seq" doc:"The seq of its newest message." example:"4"`
	LastPublicSeq int64             `json:"last_public_seq" doc:"The seq of its newest public message, for expected_seq." example:"4"`
	Tags          []string          `json:"tags" doc:"Its tags, sorted." example:"[\"billing\"]"`
	Unread        bool              `json:"unread" doc:"Whether the visitor wrote something that nobody of the team has seen."`
	WaitingSince  string            `json:"waiting_since,omitempty" format:"date-time" doc:"Since when the visitor waits for a person."`
	SnoozedUntil  string            `json:"snoozed_until,omitempty" format:"date-time" doc:"When it comes back."`
	EscalationID  string            `json:"escalation_id,omitempty" doc:"Its open escalation." example:"esc_01kb2m3n4p5q6r7s8t9v0wxyza"`
	TurnID        string            `json:"turn_id,omitempty" doc:"Its pending turn." example:"turn_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Metadata      map[string]string `json:"metadata" doc:"Your own keys and values."`
	CreatedAt     string            `json:"created_at" format:"date-time" doc:"When it began."`
	UpdatedAt     string            `json:"updated_at" format:"date-time" doc:"When it last changed."`
}

// Owner is who answers a conversation.
type Owner struct {
	Type     string `json:"type" enum:"assistant,team,member" doc:"The assistant, the team as a whole, or one member." example:"member"`
	MemberID string `json:"member_id,omitempty" doc:"Which member." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

// FromConversation renders a conversation. The workspace may be left out.
func FromConversation(c conversations.Conversation, workspace ids.ID) Conversation {
	return Conversation{
		Object: "conversation", ID: id(ids.Conversation, c.ID), WorkspaceID: id(ids.Workspace, workspace), ContactID: id(ids.Contact, c.ContactID),
		Channel: c.Channel, Language: c.Language, Subject: c.Subject, Status: c.Status,
		Owner: Owner{c.Owner, id(ids.Member, c.MemberID)}, State: c.State(), AssigneeID: id(ids.Member, c.AssigneeID),
		LastSeq: c.LastSeq, LastPublicSeq: c.LastPublicSeq, Tags: list(c.Tags), Unread: c.Unread,
		WaitingSince: maybe(c.WaitingSince), SnoozedUntil: maybe(c.SnoozedUntil),
		EscalationID: id(ids.Escalation, c.EscalationID), TurnID: id(ids.Turn, c.TurnID), Metadata: metadata(c.Metadata),
		CreatedAt: at(c.CreatedAt), UpdatedAt: at(c.UpdatedAt),
	}
}

// Message is an entry of a conversation.
type Message struct {
	Object         string            `json:"object" enum:"message" doc:"Always message."`
	ID             string            `json:"id" doc:"Its id." example:"msg_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ConversationID string            `json:"conversation_id" doc:"The conversation that it belongs to." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Seq            int64             `json:"seq" doc:"Its place in the conversation, counted from 1 without gaps." example:"1"`
	Author         Author            `json:"author" doc:"Who wrote it."`
	Visibility     string            `json:"visibility" enum:"public,team" doc:"public: the visitor sees it. team: a note." example:"public"`
	Status         string            `json:"status" enum:"complete,streaming,interrupted" doc:"Whether its text is complete." example:"complete"`
	Text           string            `json:"text" doc:"What it says." example:"How long does delivery take?"`
	Citations      []Citation        `json:"citations" doc:"What an answer of the assistant rests on."`
	Confidence     *float64          `json:"confidence,omitempty" minimum:"0" maximum:"1" doc:"How probable it is that content answers the question." example:"0.93"`
	ClientID       string            `json:"client_id,omitempty" doc:"Your own id of it, unique in the conversation." example:"m-17"`
	TurnID         string            `json:"turn_id,omitempty" doc:"The turn that a visitor's message belongs to." example:"turn_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Metadata       map[string]string `json:"metadata" doc:"Your own keys and values."`
	CreatedAt      string            `json:"created_at" format:"date-time" doc:"When it was written."`
	UpdatedAt      string            `json:"updated_at" format:"date-time" doc:"When it last changed."`
}

// Author is who wrote a message.
type Author struct {
	Type     string `json:"type" enum:"visitor,assistant,member,system" doc:"What kind of author." example:"visitor"`
	MemberID string `json:"member_id,omitempty" doc:"Which member." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Name     string `json:"name,omitempty" doc:"The member's name." example:"Ada Moreau"`
}

// Citation is the passage that an answer rests on.
type Citation struct {
	PageID      string   `json:"page_id" doc:"The page." example:"page_01kb2m3n4p5q6r7s8t9v0wxyza"`
	URL         string   `json:"url,omitempty" doc:"Its address." example:"https://example.com/help/delivery"`
	Title       string   `json:"title" doc:"Its title." example:"Delivery"`
	HeadingPath []string `json:"heading_path" doc:"The headings above the passage, from the outermost." example:"[\"Delivery\",\"Islands\"]"`
	Quote       string   `json:"quote" doc:"The words that the answer rests on." example:"Delivery to an island takes five working days."`
}

// FromMessage renders a message.
func FromMessage(m conversations.Message) Message {
	return Message{
		Object: "message", ID: id(ids.Message, m.ID), ConversationID: id(ids.Conversation, m.ConversationID), Seq: m.Seq,
		Author: Author{m.Author, id(ids.Member, m.MemberID), m.MemberName}, Visibility: m.Visibility, Status: m.Status, Text: m.Text,
		Citations: FromCitations(m.Citations), Confidence: m.Confidence, ClientID: m.ClientID, TurnID: id(ids.Turn, m.TurnID),
		Metadata: metadata(m.Metadata), CreatedAt: at(m.CreatedAt), UpdatedAt: at(m.UpdatedAt),
	}
}

// FromMessages renders messages in their order.
func FromMessages(all []conversations.Message) []Message { return each(all, FromMessage) }

// FromCitations renders citations, without the passages.
func FromCitations(all []conversations.Citation) []Citation {
	return each(all, func(c conversations.Citation) Citation {
		return Citation{id(ids.Page, c.PageID), c.URL, c.Title, list(c.HeadingPath), c.Quote}
	})
}

// Turn is the visitor's messages that nobody had answered.
type Turn struct {
	Object         string `json:"object" enum:"turn" doc:"Always turn."`
	ID             string `json:"id" doc:"Its id." example:"turn_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ConversationID string `json:"conversation_id" doc:"The conversation that it belongs to." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Status         string `json:"status" enum:"pending,answered,escalated,superseded,handled" doc:"What became of it. superseded: a person answered. handled: nobody needs to answer any more." example:"answered"`
	FirstSeq       int64  `json:"first_seq" doc:"The seq of its first message." example:"1"`
	LastSeq        int64  `json:"last_seq" doc:"The seq of its last message." example:"2"`
	DueAt          string `json:"due_at" format:"date-time" doc:"By when it has an answer or an honest notice."`
	MessageID      string `json:"message_id,omitempty" doc:"The message that answered it." example:"msg_01kb2m3n4p5q6r7s8t9v0wxyza"`
	EscalationID   string `json:"escalation_id,omitempty" doc:"The escalation that it led to." example:"esc_01kb2m3n4p5q6r7s8t9v0wxyza"`
	NextTurnID     string `json:"next_turn_id,omitempty" doc:"Where a message that was left over went on." example:"turn_01kb2m3n4p5q6r7s8t9v0wxyza"`
	CreatedAt      string `json:"created_at" format:"date-time" doc:"When it began."`
	UpdatedAt      string `json:"updated_at" format:"date-time" doc:"When it last changed."`
}

// FromTurn renders a turn.
func FromTurn(t conversations.Turn) Turn {
	return Turn{
		"turn", id(ids.Turn, t.ID), id(ids.Conversation, t.ConversationID), t.Status, t.FirstSeq, t.LastSeq, at(t.DueAt),
		id(ids.Message, t.MessageID), id(ids.Escalation, t.EscalationID), id(ids.Turn, t.NextTurnID), at(t.CreatedAt), at(t.UpdatedAt),
	}
}

// TurnOutcome is a turn with what became of it, where that was waited for.
type TurnOutcome struct {
	Turn
	Message    *Message    `json:"message,omitempty" doc:"The answer, where it was waited for."`
	Escalation *Escalation `json:"escalation,omitempty" doc:"The escalation, where it was waited for."`
}

// Suggestion is an answer that came too late to be sent.
type Suggestion struct {
	Object         string     `json:"object" enum:"suggestion" doc:"Always suggestion."`
	ID             string     `json:"id" doc:"Its id." example:"sug_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ConversationID string     `json:"conversation_id" doc:"The conversation that it belongs to." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Text           string     `json:"text" doc:"What the assistant would have said." example:"Within three working days."`
	Citations      []Citation `json:"citations" doc:"What it rests on."`
	Confidence     *float64   `json:"confidence,omitempty" minimum:"0" maximum:"1" doc:"How probable it is that content answers the question." example:"0.93"`
	CreatedAt      string     `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt      string     `json:"updated_at" format:"date-time" doc:"When it last changed."`
}

// FromSuggestion renders a suggestion.
func FromSuggestion(s conversations.Suggestion) Suggestion {
	return Suggestion{
		"suggestion", id(ids.Suggestion, s.ID), id(ids.Conversation, s.ConversationID), s.Text, FromCitations(s.Citations), s.Confidence,
		at(s.CreatedAt), at(s.UpdatedAt),
	}
}
