package objects

import (
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// What a visitor sees has types of its own, so that a new field of the team's
// objects can't reach a browser by itself.

// VisitorSession is a visitor's way in.
type VisitorSession struct {
	Object    string `json:"object" enum:"visitor_session" doc:"Always visitor_session."`
	Token     string `json:"token" doc:"By which the browser acts: Authorization: Bearer …" example:"eyJhbGciOiJIUzI1NiIs…"`
	ContactID string `json:"contact_id" doc:"Whom it acts for." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Verified  bool   `json:"verified" doc:"Whether the site vouched for who it is."`
	ExpiresAt string `json:"expires_at" format:"date-time" doc:"When the token ends."`
}

// FromVisitorToken renders a token that was just made.
func FromVisitorToken(t tenants.Token, contact ids.ID, verified bool) VisitorSession {
	return VisitorSession{"visitor_session", t.Text, id(ids.Contact, contact), verified, at(t.ExpiresAt)}
}

// IdentitySecret is a workspace's identity secret.
type IdentitySecret struct {
	Object    string `json:"object" enum:"identity_secret" doc:"Always identity_secret."`
	ID        string `json:"id" doc:"Its id, which is no secret." example:"ids_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Secret    string `json:"secret" doc:"The secret itself. It is shown this once." example:"rd_is_…"`
	CreatedAt string `json:"created_at" format:"date-time" doc:"When it was made."`
}

// FromIdentitySecret renders a secret that was just made.
func FromIdentitySecret(s tenants.IdentitySecret) IdentitySecret {
	return IdentitySecret{"identity_secret", id(tenants.IdentitySecretPrefix, s.ID), s.Secret, at(s.CreatedAt)}
}

// VisitorConversation is a thread as its visitor sees it.
type VisitorConversation struct {
	Object        string `json:"object" enum:"conversation" doc:"Always conversation."`
	ID            string `json:"id" doc:"Its id." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Subject       string `json:"subject,omitempty" doc:"What it is about." example:"My order"`
	Language      string `json:"language" doc:"Its language; empty: not known yet." example:"en"`
	State         string `json:"state" enum:"assistant,waiting,member,resolved" doc:"Who answers: the assistant, a person who has not come yet, a person; or nobody, because it is resolved." example:"waiting"`
	LastPublicSeq int64  `json:"last_public_seq" doc:"The seq of its newest message." example:"4"`
	CreatedAt     string `json:"created_at" format:"date-time" doc:"When it began."`
}

// ForVisitor renders a conversation for its visitor.
func ForVisitor(c conversations.Conversation) VisitorConversation {
	if c.Status == conversations.Snoozed { // when the team wants to see it again is the team's
		c.Status = conversations.Open
	}
	return VisitorConversation{"conversation", id(ids.Conversation, c.ID), c.Subject, c.Language, c.State(), c.LastPublicSeq, at(c.CreatedAt)}
}

// VisitorMessage is a public message as the visitor sees it.
type VisitorMessage struct {
	Object         string        `json:"object" enum:"message" doc:"Always message."`
	ID             string        `json:"id" doc:"Its id." example:"msg_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ConversationID string        `json:"conversation_id" doc:"The conversation that it belongs to." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Seq            int64         `json:"seq" doc:"Its place in the conversation. There are gaps; that is normal." example:"1"`
	Author         VisitorAuthor `json:"author" doc:"Who wrote it."`
	Status         string        `json:"status" enum:"complete,streaming,interrupted" doc:"Whether its text is complete." example:"complete"`
	Text           string        `json:"text" doc:"What it says." example:"How long does delivery take?"`
	Citations      []Citation    `json:"citations" doc:"What an answer of the assistant rests on."`
	ClientID       string        `json:"client_id,omitempty" doc:"Your own id of it." example:"m-17"`
	CreatedAt      string        `json:"created_at" format:"date-time" doc:"When it was written."`
	UpdatedAt      string        `json:"updated_at" format:"date-time" doc:"When it last changed."`
}

// VisitorAuthor is who wrote a message.
type VisitorAuthor struct {
	Type string `json:"type" enum:"visitor,assistant,member,system" doc:"What kind of author." example:"visitor"`
	Name string `json:"name,omitempty" doc:"The member's name." example:"Ada Moreau"`
}

// ToVisitor renders a public message for the visitor.
func ToVisitor(m conversations.Message) VisitorMessage {
	return VisitorMessage{
		Object: "message", ID: id(ids.Message, m.ID), ConversationID: id(ids.Conversation, m.ConversationID), Seq: m.Seq,
		Author: VisitorAuthor{m.Author, m.MemberName}, Status: m.Status, Text: m.Text, Citations: FromCitations(m.Citations), ClientID: m.ClientID,
		CreatedAt: at(m.CreatedAt), UpdatedAt: at(m.UpdatedAt),
	}
}

// VisitorEscalation is a handoff as the visitor sees it.
type VisitorEscalation struct {
	Object   string   `json:"object" enum:"escalation" doc:"Always escalation."`
	ID       string   `json:"id" doc:"Its id." example:"esc_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Status   string   `json:"status" enum:"open,accepted,answered,resolved,withdrawn" doc:"How far it is." example:"open"`
	Promise  *Promise `json:"promise,omitempty" doc:"What the visitor was told about time."`
	OpenedAt string   `json:"opened_at" format:"date-time" doc:"When a person was called."`
}

// EscalationForVisitor renders a handoff for the visitor.
func EscalationForVisitor(e handoff.Escalation) VisitorEscalation {
	return VisitorEscalation{"escalation", id(ids.Escalation, e.ID), e.Status, FromPromise(e.Promise), at(e.OpenedAt)}
}

// VisitorTurn tells what becomes of what the visitor wrote.
type VisitorTurn struct {
	ID         string             `json:"id" doc:"Its id." example:"turn_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Status     string             `json:"status" enum:"pending,answered,escalated,superseded,handled" doc:"What became of it." example:"answered"`
	DueAt      string             `json:"due_at" format:"date-time" doc:"By when it has an answer or an honest notice."`
	Message    *VisitorMessage    `json:"message,omitempty" doc:"The answer, where it was waited for."`
	Escalation *VisitorEscalation `json:"escalation,omitempty" doc:"The handoff, where it was waited for."`
}

// TurnForVisitor renders a turn for the visitor.
func TurnForVisitor(t conversations.Turn) VisitorTurn {
	return VisitorTurn{ID: id(ids.Turn, t.ID), Status: t.Status, DueAt: at(t.DueAt)}
}

// VisitorEvent is something that the visitor should see at once. It has either
// a message or the conversation.
type VisitorEvent struct {
	Type         string               `json:"type" enum:"message.created,message.updated,conversation.updated" doc:"What happened." example:"message.created"`
	Position     string               `json:"position" doc:"Where to go on after it." example:"AbCdEf0123456789AbCdEf"`
	Message      *VisitorMessage      `json:"message,omitempty" doc:"The message."`
	Conversation *VisitorConversation `json:"conversation,omitempty" doc:"The conversation."`
}
