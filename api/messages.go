package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

// OrNull is a field of an answer that is always there and may be null.
type OrNull[T any] struct{ Value *T }

// MarshalJSON writes the value, or null.
func (o OrNull[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.Value) }

// Schema is that of the value, or null.
func (o OrNull[T]) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{{Ref: r.Schema(reflect.TypeFor[T](), true, "").Ref}, {Type: "null"}}}
}

type listMessages struct {
	ConversationID
	Paged
	AfterSeq  int64  `query:"after_seq" minimum:"0" doc:"Only messages after this seq."`
	BeforeSeq int64  `query:"before_seq" minimum:"1" doc:"Only messages before this seq."`
	Order     string `query:"order" enum:"asc,desc" doc:"asc (as it is without): oldest first. desc: newest first."`
}

func (s *Server) listMessages(ctx context.Context, c *Call, in *listMessages) (out List[objects.Message], err error) {
	id, err := in.parse()
	if err != nil {
		return out, err
	}
	f := conversations.MessageFilter{AfterSeq: in.AfterSeq, BeforeSeq: in.BeforeSeq, Newest: in.Order == "desc", Limit: in.Limit}
	key, err := c.after(in.Cursor)
	if err != nil {
		return out, err
	}
	if key != "" {
		seq, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return out, badCursor()
		}
		if f.Newest {
			f.BeforeSeq = seq
		} else {
			f.AfterSeq = seq
		}
	}
	all, more, err := s.conversations.Messages(ctx, c.Scope(), id, f)
	if err != nil {
		return out, err
	}
	out = List[objects.Message]{Object: "list", Data: objects.FromMessages(all), HasMore: more}
	if more && len(all) > 0 {
		out.NextCursor = c.next(strconv.FormatInt(all[len(all)-1].Seq, 10))
	}
	return out, nil
}

// MessageCreate is what somebody writes.
type MessageCreate struct {
	Author      MessageAuthor     `json:"author" doc:"Who writes."`
	Text        string            `json:"text" minLength:"1" maxLength:"20000" doc:"What they write." example:"Thanks. Can I talk to a person?"`
	Visibility  string            `json:"visibility,omitempty" enum:"public,team" doc:"team: a member's note that the visitor doesn't see; public when absent." example:"public"`
	ClientID    string            `json:"client_id,omitempty" maxLength:"255" doc:"Your own id of it, unique in the conversation for ever: a repeat gives the first message." example:"m-18"`
	ExpectedSeq *int64            `json:"expected_seq,omitempty" minimum:"0" doc:"Of a member's public message: the last public seq that they saw. If somebody else's is newer: 409 stale_reply." example:"4"`
	TakeOver    bool              `json:"take_over,omitempty" doc:"Of a member's public message: also take the conversation from another member."`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"Your own keys and values: at most 50, of 40 and 500 characters."`
}

// MessageAuthor is who writes.
type MessageAuthor struct {
	Type     string `json:"type" enum:"visitor,member" doc:"The visitor, or a member on whose behalf you act." example:"visitor"`
	MemberID string `json:"member_id,omitempty" doc:"Which member." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

type createMessage struct {
	ConversationID
	Body MessageCreate
}

// PostedMessage is a message with its turn.
type PostedMessage struct {
	objects.Message
	Turn OrNull[objects.TurnOutcome] `json:"turn" doc:"The turn of a visitor's message; null for a member's, and while a member has the conversation."`
}

func (s *Server) createMessage(ctx context.Context, c *Call, in *createMessage) (out PostedMessage, err error) {
	id, err := in.parse()
	if err == nil {
		err = checkMetadata(in.Body.Metadata)
	}
	if err == nil {
		err = checkText(in.Body.Text, "/text")
	}
	if err != nil {
		return out, err
	}
	if in.Body.Author.Type == conversations.Member {
		return s.memberWrites(ctx, c, id, in.Body)
	}
	if err := c.noMember("/author/type"); err != nil {
		return out, err
	}
	switch b := in.Body; {
	case b.Author.MemberID != "":
		return out, invalid("/author/member_id", "A visitor is no member.")
	case b.Visibility == conversations.TeamOnly:
		return out, invalid("/visibility", "What a visitor writes is public.")
	case b.ExpectedSeq != nil:
		return out, invalid("/expected_seq", "Only a member's message can be stale.")
	case b.TakeOver:
		return out, invalid("/take_over", "Only a member can take a conversation over.")
	}
	posted, err := s.conversations.Post(ctx, c.Workspace, id, conversations.Post{
		Text: in.Body.Text, ClientID: in.Body.ClientID, Metadata: in.Body.Metadata,
	}, c.Receipt)
	if err != nil {
		return out, err
	}
	c.repeated(posted.Repeated)
	out.Message = objects.FromMessage(posted.Message)
	out.Turn.Value, err = s.outcome(ctx, c, posted.Message.ID, posted.Turn, posted.Repeated)
	if out.Turn.Value != nil {
		out.TurnID = out.Turn.Value.ID
	}
	return out, err
}

func (s *Server) memberWrites(ctx context.Context, c *Call, id ids.ID, b MessageCreate) (out PostedMessage, err error) {
	member, err := c.someone(b.Author.MemberID, "/author/member_id")
	if err != nil {
		return out, err
	}
	if b.Visibility == conversations.TeamOnly {
		note, err := s.conversations.Note(ctx, c.Workspace, id, conversations.Note{
			MemberID: member, Text: b.Text, ClientID: b.ClientID, Metadata: b.Metadata,
		}, c.Receipt)
		return s.written(ctx, c, note.Message, note.Repeated, err)
	}
	if b.ExpectedSeq == nil && !c.Principal.Member.IsZero() {
		return out, invalid("/expected_seq", "A member's token says which public message was the last that the member saw.")
	}
	replied, err := s.handoff.Reply(ctx, c.Workspace, id, handoff.Reply{
		MemberID: member, Text: b.Text, ClientID: b.ClientID, ExpectedSeq: b.ExpectedSeq, TakeOver: b.TakeOver, Metadata: b.Metadata,
	}, c.Receipt)
	return s.written(ctx, c, replied.Message, replied.Repeated, err)
}

// written renders what a member wrote, with their name, which what was just
// stored does not hold.
func (s *Server) written(ctx context.Context, c *Call, m conversations.Message, repeated bool, err error) (PostedMessage, error) {
	if err != nil {
		return PostedMessage{}, err
	}
	c.repeated(repeated)
	if m.MemberName == "" {
		member, err := s.tenants.Member(ctx, tenants.Of(c.Workspace), m.MemberID)
		if err != nil && fault.Of(err).Kind != fault.NotFound {
			return PostedMessage{}, err
		}
		m.MemberName = member.Name
	}
	return PostedMessage{Message: objects.FromMessage(m)}, nil
}

// repeated answers 200 where nothing was made.
func (c *Call) repeated(is bool) {
	if is {
		c.Status = http.StatusOK
	}
}

// outcome gives a message's turn: as it was stored, or, where somebody waits or
// the request is a repeated one, as it is by then, with what became of it.
func (s *Server) outcome(ctx context.Context, c *Call, message ids.ID, turn *conversations.Turn, repeated bool) (*objects.TurnOutcome, error) {
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
	out := &objects.TurnOutcome{Turn: objects.FromTurn(*turn)}
	if c.Wait == 0 {
		return out, nil
	}
	if !turn.MessageID.IsZero() {
		m, err := s.conversations.Message(ctx, c.Workspace, turn.MessageID)
		if err != nil {
			return nil, err
		}
		answer := objects.FromMessage(m)
		out.Message = &answer
	}
	if !turn.EscalationID.IsZero() {
		e, err := s.handoff.Get(ctx, tenants.Of(c.Workspace), turn.EscalationID)
		if err != nil {
			return nil, err
		}
		escalation := objects.FromEscalation(e, c.WorkspaceUUID)
		out.Escalation = &escalation
	}
	return out, nil
}

type getTurn struct {
	ID string `path:"id" doc:"The turn's id." example:"turn_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) getTurn(ctx context.Context, c *Call, in *getTurn) (objects.Turn, error) {
	id, err := parse(ids.Turn, in.ID, "turn")
	if err != nil {
		return objects.Turn{}, err
	}
	t, err := s.conversations.GetTurn(ctx, c.Workspace, id)
	return objects.FromTurn(t), err
}

func invalid(pointer, detail string) error {
	return &tenants.FieldError{Fault: fault.New(fault.Invalid, "validation_failed", "%s", detail), Pointer: pointer}
}
