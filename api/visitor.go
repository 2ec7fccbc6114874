package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

type openSession struct{ Body *VisitorSessionCreate }

// VisitorSessionCreate says who the visitor is, as far as that is known.
type VisitorSessionCreate struct {
	Identity string `json:"identity,omitempty" maxLength:"4096" doc:"A JWT that your site's server signed with the workspace's identity secret." example:"eyJhbGciOiJIUzI1NiIs…"`
	Visitor  string `json:"visitor,omitempty" maxLength:"4096" doc:"The token of an earlier session without an identity, whose thread goes on. One that is no longer good is passed over." example:"eyJhbGciOiJIUzI1NiIs…"`
}

func (s *Server) openSession(ctx context.Context, c *Call, in *openSession) (out objects.VisitorSession, err error) {
	var body VisitorSessionCreate
	if in.Body != nil {
		body = *in.Body
	}
	earlier, known, err := s.tenants.Earlier(ctx, c.Principal, body.Visitor)
	if err == nil && known {
		// A contact that was erased, or is a customer by now, is nobody's thread.
		var k conversations.Contact
		if k, err = s.conversations.Contact(ctx, c.Workspace, earlier); fault.Of(err).Kind == fault.NotFound && err != nil {
			known, err = false, nil
		}
		known = known && !k.Verified
	}
	if err != nil {
		return out, err
	}
	contact := earlier
	switch {
	case body.Identity != "":
		contact, err = s.identified(ctx, c, body.Identity)
		if err == nil && known {
			err = s.adopt(ctx, c, earlier, contact)
		}
	case !known:
		var put conversations.Put
		put, err = s.conversations.PutContact(ctx, c.Workspace, conversations.ContactInput{}, true, nil)
		contact = put.Contact.ID
	}
	if err != nil {
		return out, err
	}
	verified := body.Identity != ""
	token, err := s.tenants.VisitorToken(ctx, c.Principal, contact, verified)
	return objects.FromVisitorToken(token, contact, verified), err
}

// identified finds or makes the contact that the site vouches for.
func (s *Server) identified(ctx context.Context, c *Call, identity string) (ids.ID, error) {
	who, err := s.tenants.Identify(ctx, c.Principal, identity)
	if err != nil {
		return ids.ID{}, err
	}
	input := conversations.ContactInput{ExternalID: who.ExternalID, Name: who.Name, Email: who.Email, Phone: who.Phone, Language: who.Language}
	if who.Attributes != nil {
		input.Attributes = map[string]*string{}
		for name, value := range who.Attributes {
			input.Attributes[name] = &value
		}
	}
	put, err := s.conversations.PutContact(ctx, c.Workspace, input, false, nil)
	return put.Contact.ID, err
}

// adopt has the thread of the anonymous visitor follow them; their old token is
// spent.
func (s *Server) adopt(ctx context.Context, c *Call, from, to ids.ID) error {
	if _, err := s.conversations.Adopt(ctx, c.Workspace, from, to); err != nil {
		return err
	}
	return s.tenants.RevokeTokens(ctx, c.Principal.AgencyID, from)
}

type rotateIdentity struct{ Body *IdentityRotation }

// IdentityRotation says how the secret is replaced.
type IdentityRotation struct {
	OverlapSeconds *int `json:"overlap_seconds,omitempty" minimum:"0" maximum:"604800" doc:"How long the old secret is believed; a day when absent." example:"86400"`
}

func (s *Server) rotateIdentity(ctx context.Context, c *Call, in *rotateIdentity) (objects.IdentitySecret, error) {
	if !c.Principal.Member.IsZero() {
		return objects.IdentitySecret{}, fault.New(fault.Denied, "scope_missing", "A token can't make a secret that outlives it; a key can.")
	}
	overlap := defaultOverlap
	if in.Body != nil && in.Body.OverlapSeconds != nil {
		overlap = seconds(*in.Body.OverlapSeconds)
	}
	made, err := s.tenants.RotateIdentitySecret(ctx, c.Workspace, overlap, c.Receipt)
	return objects.FromIdentitySecret(made), err
}

// own reads a conversation of the visitor; another's is not found.
func (s *Server) own(ctx context.Context, c *Call, in ConversationID) (conversations.Conversation, error) {
	id, err := in.parse()
	if err != nil {
		return conversations.Conversation{}, err
	}
	conv, err := s.conversations.Get(ctx, tenants.Of(c.Workspace), id)
	if err == nil && conv.ContactID != c.Principal.Visitor {
		return conversations.Conversation{}, noSuch("conversation")
	}
	return conv, err
}

func (s *Server) visitorList(ctx context.Context, c *Call, in *struct{ Paged }) (out List[objects.VisitorConversation], err error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return out, err
	}
	all, more, err := s.conversations.List(ctx, tenants.Of(c.Workspace), conversations.ListFilter{ContactID: c.Principal.Visitor, After: page.After, Limit: page.Limit})
	return list(c, all, more, func(v conversations.Conversation) ids.ID { return v.ID }, objects.ForVisitor), err
}

func (s *Server) visitorGet(ctx context.Context, c *Call, in *ConversationID) (objects.VisitorConversation, error) {
	conv, err := s.own(ctx, c, *in)
	return objects.ForVisitor(conv), err
}

// VisitorConversationCreate begins a conversation.
type VisitorConversationCreate struct {
	Message  VisitorMessageCreate `json:"message" doc:"The first message."`
	Language string               `json:"language,omitempty" maxLength:"35" doc:"Its language, if it is known." example:"en"`
}

// VisitorMessageCreate is what the visitor writes.
type VisitorMessageCreate struct {
	Text     string `json:"text" minLength:"1" maxLength:"20000" doc:"What the visitor writes." example:"How long does delivery to an island take?"`
	ClientID string `json:"client_id,omitempty" maxLength:"255" doc:"Your own id of it, unique in the conversation for ever: a repeat gives the first message." example:"m-17"`
}

type visitorStart struct{ Body VisitorConversationCreate }

// VisitorStarted is a conversation with its first message.
type VisitorStarted struct {
	objects.VisitorConversation
	Message objects.VisitorMessage      `json:"message" doc:"The message."`
	Turn    OrNull[objects.VisitorTurn] `json:"turn" doc:"What becomes of it; null where the assistant is silent."`
}

func (s *Server) visitorStart(ctx context.Context, c *Call, in *visitorStart) (out VisitorStarted, err error) {
	if err = checkText(in.Body.Message.Text, "/message/text"); err == nil {
		err = spoken(&in.Body.Language, "/language")
	}
	if err != nil {
		return out, err
	}
	started, err := s.conversations.Start(ctx, c.Workspace, conversations.Start{
		ContactID: c.Principal.Visitor, Channel: "web", Language: in.Body.Language,
		Message: conversations.Post{Text: in.Body.Message.Text, ClientID: in.Body.Message.ClientID},
	}, c.Receipt)
	if err != nil {
		return out, err
	}
	out.Message = objects.ToVisitor(started.Message)
	if out.Turn.Value, err = s.visitorTurn(ctx, c, started.Message.ID, started.Turn, false); err != nil {
		return out, err
	}
	if c.Wait > 0 || c.replayed() {
		if started.Conversation, err = s.conversations.Get(ctx, tenants.Of(c.Workspace), started.Conversation.ID); err != nil {
			return out, err
		}
	}
	out.VisitorConversation = objects.ForVisitor(started.Conversation)
	return out, nil
}

type visitorMessages struct {
	ConversationID
	Paged
	AfterSeq int64 `query:"after_seq" minimum:"0" doc:"Only messages after this seq."`
}

func (s *Server) visitorMessages(ctx context.Context, c *Call, in *visitorMessages) (out List[objects.VisitorMessage], err error) {
	conv, err := s.own(ctx, c, in.ConversationID)
	if err != nil {
		return out, err
	}
	f := conversations.MessageFilter{AfterSeq: in.AfterSeq, PublicOnly: true, Limit: in.Limit}
	key, err := c.after(in.Cursor)
	if err != nil {
		return out, err
	}
	if key != "" {
		if f.AfterSeq, err = strconv.ParseInt(key, 10, 64); err != nil {
			return out, badCursor()
		}
	}
	all, more, err := s.conversations.Messages(ctx, tenants.Of(c.Workspace), conv.ID, f)
	if err != nil {
		return out, err
	}
	out = List[objects.VisitorMessage]{Object: "list", Data: make([]objects.VisitorMessage, len(all)), HasMore: more}
	for i, m := range all {
		out.Data[i] = objects.ToVisitor(m)
	}
	if more && len(all) > 0 {
		out.NextCursor = c.next(strconv.FormatInt(all[len(all)-1].Seq, 10))
	}
	return out, nil
}

type visitorPost struct {
	ConversationID
	Body VisitorMessageCreate
}

// VisitorPosted is a message with its turn.
type VisitorPosted struct {
	objects.VisitorMessage
	Turn OrNull[objects.VisitorTurn] `json:"turn" doc:"What becomes of it; null while a member has the conversation."`
}

func (s *Server) visitorPost(ctx context.Context, c *Call, in *visitorPost) (out VisitorPosted, err error) {
	conv, err := s.own(ctx, c, in.ConversationID)
	if err == nil {
		err = checkText(in.Body.Text, "/text")
	}
	if err != nil {
		return out, err
	}
	posted, err := s.conversations.Post(ctx, c.Workspace, conv.ID, conversations.Post{Text: in.Body.Text, ClientID: in.Body.ClientID}, c.Receipt)
	if err != nil {
		return out, err
	}
	if posted.Message.Visibility != conversations.Public || posted.Message.Author != conversations.Visitor {
		// A client_id that somebody of the team used: their message is not shown.
		return out, invalid("/client_id", "This client_id is taken.")
	}
	c.repeated(posted.Repeated)
	out.VisitorMessage = objects.ToVisitor(posted.Message)
	out.Turn.Value, err = s.visitorTurn(ctx, c, posted.Message.ID, posted.Turn, posted.Repeated)
	return out, err
}

// visitorTurn is outcome, for a visitor.
func (s *Server) visitorTurn(ctx context.Context, c *Call, message ids.ID, turn *conversations.Turn, repeated bool) (*objects.VisitorTurn, error) {
	if turn == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	if c.Wait > 0 || repeated || c.replayed() {
		waited, err := s.conversations.WaitTurn(ctx, c.Workspace, message, c.Wait)
		if err != nil {
			return nil, err
		}
		if waited != nil {
			turn = waited
		}
	}
	out := objects.TurnForVisitor(*turn)
	if c.Wait == 0 {
		return &out, nil
	}
	if !turn.MessageID.IsZero() {
		m, err := s.conversations.Message(ctx, c.Workspace, turn.MessageID)
		if err != nil {
			return nil, err
		}
		if m.Visibility == conversations.Public {
			answer := objects.ToVisitor(m)
			out.Message = &answer
		}
	}
	if !turn.EscalationID.IsZero() {
		e, err := s.handoff.Get(ctx, tenants.Of(c.Workspace), turn.EscalationID)
		if err != nil {
			return nil, err
		}
		escalation := objects.EscalationForVisitor(e)
		out.Escalation = &escalation
	}
	return &out, nil
}

type visitorEscalate struct {
	ConversationID
	Body *VisitorEscalateBody
}

// VisitorEscalateBody may say why.
type VisitorEscalateBody struct {
	Reason string `json:"reason,omitempty" maxLength:"2000" doc:"Why, in the visitor's words." example:"I'd rather talk to somebody."`
}

func (s *Server) visitorEscalate(ctx context.Context, c *Call, in *visitorEscalate) (out objects.VisitorEscalation, err error) {
	conv, err := s.own(ctx, c, in.ConversationID)
	if err != nil {
		return out, err
	}
	by := handoff.Call{ByVisitor: true}
	if in.Body != nil {
		by.Reason = in.Body.Reason
	}
	got, err := s.handoff.Escalate(ctx, c.Workspace, conv.ID, by, c.Receipt)
	if err != nil || got.Escalation == nil {
		return out, err
	}
	if !got.Opened {
		c.Status = http.StatusOK
	}
	return objects.EscalationForVisitor(*got.Escalation), nil
}
