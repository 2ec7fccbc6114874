package api

import (
	"context"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

// ConversationID is the conversation of a path.
type ConversationID struct {
	ID string `path:"id" doc:"The conversation's id." example:"conv_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (in ConversationID) parse() (ids.ID, error) {
	return parse(ids.Conversation, in.ID, "conversation")
}

// conversation renders one conversation, of whichever workspace.
func (s *Server) conversation(ctx context.Context, c *Call, conv conversations.Conversation, err error) (objects.Conversation, error) {
	if err != nil {
		return objects.Conversation{}, err
	}
	c.Version = conv.Version
	uuids, err := s.uuids(ctx, c, conv.WorkspaceID)
	return objects.FromConversation(conv, uuids[conv.WorkspaceID]), err
}

// uuids names workspaces, without a look where it is the call's own.
func (s *Server) uuids(ctx context.Context, c *Call, workspaces ...int64) (map[int64]ids.ID, error) {
	if c.Workspace.ID != 0 {
		return map[int64]ids.ID{c.Workspace.ID: c.WorkspaceUUID}, nil
	}
	return s.tenants.UUIDs(ctx, c.Scope(), workspaces)
}

type listConversations struct {
	Paged
	ContactID string `query:"contact_id" doc:"Only this contact's."`
	Status    string `query:"status" enum:"open,snoozed,resolved" doc:"Only with this status."`
	Owner     string `query:"owner" enum:"assistant,team,member" doc:"Only those that belong to the assistant, the team, or a member."`
	MemberID  string `query:"member_id" doc:"Only those that this member owns."`
	Tag       string `query:"tag" maxLength:"60" doc:"Only with this tag."`
}

func (s *Server) listConversations(ctx context.Context, c *Call, in *listConversations) (out List[objects.Conversation], err error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return out, err
	}
	f := conversations.ListFilter{Status: in.Status, Owner: in.Owner, Tag: in.Tag, After: page.After, Limit: page.Limit}
	if f.ContactID, err = optional(ids.Contact, in.ContactID, "contact"); err != nil {
		return out, err
	}
	if f.MemberID, err = optional(ids.Member, in.MemberID, "member"); err != nil {
		return out, err
	}
	all, more, err := s.conversations.List(ctx, c.Scope(), f)
	if err != nil {
		return out, err
	}
	uuids, err := s.uuids(ctx, c, workspacesOf(all, func(v conversations.Conversation) int64 { return v.WorkspaceID })...)
	return list(c, all, more, func(v conversations.Conversation) ids.ID { return v.ID }, func(v conversations.Conversation) objects.Conversation {
		return objects.FromConversation(v, uuids[v.WorkspaceID])
	}), err
}

func workspacesOf[T any](all []T, of func(T) int64) []int64 {
	out := make([]int64, len(all))
	for i, v := range all {
		out[i] = of(v)
	}
	return out
}

// optional reads an id that may be absent.
func optional(p ids.Prefix, text, what string) (ids.ID, error) {
	if text == "" {
		return ids.ID{}, nil
	}
	return parse(p, text, what)
}

// optionalField reads an id of the body that may be absent.
func optionalField(p ids.Prefix, text, what, pointer string) (ids.ID, error) {
	if text == "" {
		return ids.ID{}, nil
	}
	return parseField(p, text, what, pointer)
}

func (s *Server) getConversation(ctx context.Context, c *Call, in *ConversationID) (objects.Conversation, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Conversation{}, err
	}
	conv, err := s.conversations.Get(ctx, c.Scope(), id)
	return s.conversation(ctx, c, conv, err)
}

// ConversationCreate begins a conversation.
type ConversationCreate struct {
	Contact   *ContactCreate      `json:"contact,omitempty" doc:"Who writes: the contact with the external_id, or a new one."`
	ContactID string              `json:"contact_id,omitempty" doc:"Who writes, if they are known. Instead of contact." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Message   ConversationMessage `json:"message" doc:"What the visitor writes."`
	Channel   string              `json:"channel,omitempty" maxLength:"40" doc:"Where it comes from; api when absent." example:"api"`
	Language  string              `json:"language,omitempty" maxLength:"35" doc:"Its language, if it is known." example:"en"`
	Subject   string              `json:"subject,omitempty" maxLength:"300" doc:"What it is about." example:"My order"`
	Metadata  map[string]string   `json:"metadata,omitempty" doc:"Your own keys and values: at most 50, of 40 and 500 characters."`
}

// ConversationMessage is a conversation's first message.
type ConversationMessage struct {
	Text     string            `json:"text" minLength:"1" maxLength:"20000" doc:"What the visitor writes." example:"How long does delivery to an island take?"`
	ClientID string            `json:"client_id,omitempty" maxLength:"255" doc:"Your own id of it, unique in the conversation for ever." example:"m-17"`
	Metadata map[string]string `json:"metadata,omitempty" doc:"Your own keys and values."`
}

type createConversation struct{ Body ConversationCreate }

// StartedConversation is a conversation with its first message.
type StartedConversation struct {
	objects.Conversation
	Message objects.Message             `json:"message" doc:"The message."`
	Turn    OrNull[objects.TurnOutcome] `json:"turn" doc:"The turn that the message opened; null where the assistant is silent."`
}

func (s *Server) createConversation(ctx context.Context, c *Call, in *createConversation) (out StartedConversation, err error) {
	if err := c.noMember("/message"); err != nil {
		return out, err
	}
	b := in.Body
	start := conversations.Start{
		Channel: b.Channel, Language: b.Language, Subject: b.Subject, Metadata: b.Metadata,
		Message: conversations.Post{Text: b.Message.Text, ClientID: b.Message.ClientID, Metadata: b.Message.Metadata},
	}
	switch {
	case b.Contact != nil && b.ContactID != "":
		return out, invalid("/contact_id", "Either contact or contact_id.")
	case b.Contact != nil:
		start.Contact, err = b.Contact.input("/contact")
	case b.ContactID != "":
		start.ContactID, err = parseField(ids.Contact, b.ContactID, "contact", "/contact_id")
	default:
		return out, invalid("/contact", "Either contact or contact_id is needed; contact may be an empty object.")
	}
	if err == nil {
		err = checkMetadata(b.Metadata)
	}
	if err == nil {
		err = checkMetadata(b.Message.Metadata)
	}
	if err == nil {
		err = spoken(&start.Language, "/language")
	}
	if err == nil {
		err = checkText(b.Message.Text, "/message/text")
	}
	if err != nil {
		return out, err
	}
	started, err := s.conversations.Start(ctx, c.Workspace, start, c.Receipt)
	if err != nil {
		return out, err
	}
	c.Version = started.Conversation.Version
	out.Message = objects.FromMessage(started.Message)
	outcome, err := s.outcome(ctx, c, started.Message.ID, started.Turn, false)
	if err != nil {
		return out, err
	}
	out.Turn.Value = outcome
	if c.Wait > 0 || c.replayed() { // what was waited for has changed the conversation, too
		now, err := s.conversations.Get(ctx, tenants.Of(c.Workspace), started.Conversation.ID)
		if err != nil {
			return out, err
		}
		started.Conversation, c.Version = now, now.Version
	}
	out.Conversation = objects.FromConversation(started.Conversation, c.WorkspaceUUID)
	return out, nil
}

func (c *Call) replayed() bool { return c.Receipt != nil && c.Receipt.Replayed }

// ConversationUpdate changes what people note about a conversation.
type ConversationUpdate struct {
	Subject  Nullable[string]            `json:"subject,omitzero" maxLength:"300" doc:"What it is about." example:"My order"`
	Language *string                     `json:"language,omitempty" maxLength:"35" doc:"Its language." example:"en"`
	Tags     *[]string                   `json:"tags,omitempty" maxItems:"50" doc:"Its tags, all of them anew." example:"[\"billing\"]"`
	Metadata Nullable[map[string]string] `json:"metadata,omitzero" doc:"Your own keys and values, all of them anew; null: none."`
}

type updateConversation struct {
	ConversationID
	Body ConversationUpdate
}

func (s *Server) updateConversation(ctx context.Context, c *Call, in *updateConversation) (objects.Conversation, error) {
	id, err := in.parse()
	if err == nil {
		err = checkMetadata(in.Body.Metadata.Value)
	}
	if err == nil {
		err = spoken(in.Body.Language, "/language")
	}
	if err != nil {
		return objects.Conversation{}, err
	}
	conv, err := s.conversations.Update(ctx, c.Workspace, id, conversations.Change{
		Version: c.IfVersion, Subject: in.Body.Subject.Pointer(), Language: in.Body.Language, Tags: in.Body.Tags, Metadata: emptied(in.Body.Metadata),
	}, c.Receipt)
	return s.conversation(ctx, c, conv, err)
}

// AssignBody names who should take care.
type AssignBody struct {
	MemberID *string `json:"member_id" nullable:"true" doc:"The member who should take care; null: nobody." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

type assign struct {
	ConversationID
	Body AssignBody
}

func (s *Server) assign(ctx context.Context, c *Call, in *assign) (objects.Conversation, error) {
	id, err := in.parse()
	var member ids.ID
	if err == nil && in.Body.MemberID != nil {
		member, err = parseField(ids.Member, *in.Body.MemberID, "member", "/member_id")
	}
	if err != nil {
		return objects.Conversation{}, err
	}
	conv, err := s.conversations.Assign(ctx, c.Workspace, id, member, c.Receipt)
	return s.conversation(ctx, c, conv, err)
}

// SnoozeBody says until when.
type SnoozeBody struct {
	Until time.Time `json:"until" doc:"When it comes back, unless the visitor writes before." example:"2026-12-01T08:00:00.000Z"`
}

type snooze struct {
	ConversationID
	Body SnoozeBody
}

func (s *Server) snooze(ctx context.Context, c *Call, in *snooze) (objects.Conversation, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Conversation{}, err
	}
	conv, err := s.conversations.Snooze(ctx, c.Workspace, id, in.Body.Until, c.Receipt)
	return s.conversation(ctx, c, conv, err)
}

// EmptyBody is the body of an operation that needs no words; it may be left out.
type EmptyBody struct{}

type bodiless struct {
	ConversationID
	Body *EmptyBody
}

func (s *Server) reopen(ctx context.Context, c *Call, in *bodiless) (objects.Conversation, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Conversation{}, err
	}
	conv, err := s.conversations.Reopen(ctx, c.Workspace, id, c.Receipt)
	return s.conversation(ctx, c, conv, err)
}

// commas splits a list as it is written in a query.
func commas(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
