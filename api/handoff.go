package api

import (
	"context"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

// EscalateBody says who calls a person, and why.
type EscalateBody struct {
	By       string `json:"by,omitempty" enum:"visitor,member" doc:"visitor: they pressed a button. member (as it is without): a member or your software." example:"member"`
	MemberID string `json:"member_id,omitempty" doc:"Which member." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Reason   string `json:"reason,omitempty" maxLength:"2000" doc:"Why, in their words." example:"The answer about islands looks wrong."`
}

type escalate struct {
	ConversationID
	Body *EscalateBody
}

func (s *Server) escalate(ctx context.Context, c *Call, in *escalate) (objects.Escalation, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Escalation{}, err
	}
	var by handoff.Call
	if b := in.Body; b != nil {
		by.ByVisitor, by.Reason = b.By == conversations.Visitor, b.Reason
		if by.MemberID, err = c.actor(b.MemberID, "/member_id"); err == nil && by.ByVisitor {
			err = c.noMember("/by")
		}
		if err != nil {
			return objects.Escalation{}, err
		}
		if by.ByVisitor && b.MemberID != "" {
			return objects.Escalation{}, invalid("/member_id", "A visitor is no member.")
		}
	} else {
		by.MemberID = c.Principal.Member
	}
	out, err := s.handoff.Escalate(ctx, c.Workspace, id, by, c.Receipt)
	if err != nil || out.Escalation == nil {
		return objects.Escalation{}, err
	}
	if !out.Opened {
		c.Status = http.StatusOK
	}
	c.Version = out.Escalation.Version
	return objects.FromEscalation(*out.Escalation, c.WorkspaceUUID), nil
}

// AcceptBody says who takes a conversation.
type AcceptBody struct {
	MemberID string `json:"member_id,omitempty" doc:"The member who takes it; a member's token needs not say so." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

type accept struct {
	ConversationID
	Body AcceptBody
}

func (s *Server) accept(ctx context.Context, c *Call, in *accept) (objects.Conversation, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Conversation{}, err
	}
	member, err := c.someone(in.Body.MemberID, "/member_id")
	if err != nil {
		return objects.Conversation{}, err
	}
	out, err := s.handoff.Accept(ctx, c.Workspace, id, member, c.Receipt)
	return s.conversation(ctx, c, out.Conversation, err)
}

// ReleaseBody says to whom a conversation goes.
type ReleaseBody struct {
	To       string `json:"to" enum:"assistant,team" doc:"The assistant, or the team." example:"assistant"`
	MemberID string `json:"member_id,omitempty" doc:"The member who releases it; absent: whoever has it." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

type release struct {
	ConversationID
	Body ReleaseBody
}

func (s *Server) release(ctx context.Context, c *Call, in *release) (objects.Conversation, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Conversation{}, err
	}
	member, err := c.actor(in.Body.MemberID, "/member_id")
	if err == nil && !member.IsZero() {
		// Who has it is compared with the member; that there is none is another answer.
		_, err = s.tenants.Member(ctx, tenants.Of(c.Workspace), member)
	}
	if err != nil {
		return objects.Conversation{}, err
	}
	out, err := s.handoff.Release(ctx, c.Workspace, id, in.Body.To, member, c.Receipt)
	return s.conversation(ctx, c, out.Conversation, err)
}

func (s *Server) resolve(ctx context.Context, c *Call, in *bodiless) (objects.Conversation, error) {
	id, err := in.parse()
	if err != nil {
		return objects.Conversation{}, err
	}
	out, err := s.handoff.Resolve(ctx, c.Workspace, id, c.Receipt)
	return s.conversation(ctx, c, out.Conversation, err)
}

type listEscalations struct {
	Paged
	Status         string `query:"status" enum:"open,accepted,answered,resolved,withdrawn" doc:"Only with this status."`
	ConversationID string `query:"conversation_id" doc:"Only of this conversation."`
}

func (s *Server) listEscalations(ctx context.Context, c *Call, in *listEscalations) (out List[objects.Escalation], err error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return out, err
	}
	f := handoff.ListFilter{Status: in.Status, After: page.After, Limit: page.Limit}
	if f.ConversationID, err = optional(ids.Conversation, in.ConversationID, "conversation"); err != nil {
		return out, err
	}
	all, more, err := s.handoff.List(ctx, c.Scope(), f)
	if err != nil {
		return out, err
	}
	uuids, err := s.uuids(ctx, c, workspacesOf(all, func(e handoff.Escalation) int64 { return e.WorkspaceID })...)
	return list(c, all, more, func(e handoff.Escalation) ids.ID { return e.ID }, func(e handoff.Escalation) objects.Escalation {
		return objects.FromEscalation(e, uuids[e.WorkspaceID])
	}), err
}

// EscalationID is the escalation of a path.
type EscalationID struct {
	ID string `path:"id" doc:"The escalation's id." example:"esc_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) getEscalation(ctx context.Context, c *Call, in *EscalationID) (out objects.Escalation, err error) {
	id, err := parse(ids.Escalation, in.ID, "escalation")
	if err != nil {
		return out, err
	}
	e, err := s.handoff.Get(ctx, c.Scope(), id)
	if err != nil {
		return out, err
	}
	c.Version = e.Version
	uuids, err := s.uuids(ctx, c, e.WorkspaceID)
	return objects.FromEscalation(e, uuids[e.WorkspaceID]), err
}

type getPacket struct {
	EscalationID
	Accept string `header:"Accept" doc:"text/markdown gives it as a text."`
}

// getPacket answers in JSON, or in Markdown for whoever prefers that.
func (s *Server) getPacket(ctx context.Context, c *Call, in *getPacket) (func(huma.Context), error) {
	id, err := parse(ids.Escalation, in.ID, "escalation")
	if err != nil {
		return nil, err
	}
	p, err := s.handoff.Packet(ctx, c.Scope(), id)
	if err != nil {
		return nil, err
	}
	if prefersMarkdown(in.Accept) {
		return func(hc huma.Context) {
			hc.SetHeader("Content-Type", "text/markdown; charset=utf-8")
			_, _ = hc.BodyWriter().Write([]byte(p.Markdown()))
		}, nil
	}
	return func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		if err := huma.DefaultJSONFormat.Marshal(hc.BodyWriter(), objects.FromPacket(p)); err != nil {
			s.log.ErrorContext(ctx, "write a packet", "request_id", c.RequestID, "error", err)
		}
	}, nil
}

func packetContent(api huma.API) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{
		"application/json": {Schema: schemaOf[objects.Packet](api)}, "text/markdown": {Schema: &huma.Schema{Type: "string"}},
	}
}

// prefersMarkdown tells whether text/markdown is named, and before JSON.
func prefersMarkdown(accept string) bool {
	accept = strings.ToLower(accept)
	markdown, json := strings.Index(accept, "text/markdown"), strings.Index(accept, "application/json")
	return markdown >= 0 && (json < 0 || markdown < json)
}

type inbox struct {
	Paged
	View     string `query:"view" enum:"waiting,mine,unassigned,all,snoozed,resolved" default:"waiting" doc:"Which part of the inbox."`
	MemberID string `query:"member_id" doc:"Whose inbox it is; needed for mine."`
}

func (s *Server) inbox(ctx context.Context, c *Call, in *inbox) (out List[objects.InboxEntry], err error) {
	f := conversations.InboxFilter{View: conversations.View(in.View), Limit: in.Limit}
	if f.MemberID, err = optional(ids.Member, in.MemberID, "member"); err != nil {
		return out, err
	}
	if f.MemberID.IsZero() {
		f.MemberID = c.Principal.Member
	}
	if f.View == conversations.Mine && f.MemberID.IsZero() {
		p := problem(c.RequestID, "validation_failed", "The view mine needs a member_id.")
		p.Errors = []ProblemField{{Pointer: "query/member_id", Code: "required", Detail: p.Detail}}
		return out, p
	}
	key, err := c.after(in.Cursor)
	if err != nil {
		return out, err
	}
	if key != "" {
		if f.After, err = readPlace(key); err != nil {
			return out, err
		}
	}
	all, more, err := s.handoff.Inbox(ctx, c.Scope(), f)
	if err != nil {
		return out, err
	}
	uuids, err := s.uuids(ctx, c, workspacesOf(all, func(e handoff.Entry) int64 { return e.Conversation.WorkspaceID })...)
	out = List[objects.InboxEntry]{Object: "list", Data: make([]objects.InboxEntry, len(all)), HasMore: more}
	for i, e := range all {
		out.Data[i] = objects.FromEntry(e, uuids[e.Conversation.WorkspaceID])
	}
	if more && len(all) > 0 {
		out.NextCursor = c.next(writePlace(all[len(all)-1].Place))
	}
	return out, err
}

// writePlace writes a place in a view: microseconds, as the database keeps
// them, and the id.
func writePlace(p conversations.Place) string {
	var b [24]byte
	binary.BigEndian.PutUint64(b[:8], uint64(p.At.UnixMicro()))
	copy(b[8:], p.ID[:])
	return string(b[:])
}

func readPlace(key string) (p conversations.Place, err error) {
	if len(key) != 24 {
		return p, badCursor()
	}
	p.At = time.UnixMicro(int64(binary.BigEndian.Uint64([]byte(key[:8])))).UTC() //nolint:gosec // written the same way
	copy(p.ID[:], key[8:])
	return p, nil
}

type inboxCounts struct {
	MemberID string `query:"member_id" doc:"Whose mine is counted; without it, mine is absent."`
}

// InboxCounts are the numbers of each view.
type InboxCounts struct {
	Object     string `json:"object" enum:"inbox_counts" doc:"Always inbox_counts."`
	Waiting    int    `json:"waiting" doc:"Waiting for the team." example:"3"`
	Mine       *int   `json:"mine,omitempty" doc:"Owned by the member, or assigned to them." example:"2"`
	Unassigned int    `json:"unassigned" doc:"Waiting, and nobody is named for it." example:"1"`
	All        int    `json:"all" doc:"All that are open." example:"12"`
	Snoozed    int    `json:"snoozed" doc:"Snoozed." example:"0"`
	Resolved   int    `json:"resolved" doc:"Resolved." example:"40"`
	Most       int    `json:"most" doc:"Where counting stops: this number means so many or more." example:"1000"`
}

func (s *Server) inboxCounts(ctx context.Context, c *Call, in *inboxCounts) (out InboxCounts, err error) {
	member, err := optional(ids.Member, in.MemberID, "member")
	if err != nil {
		return out, err
	}
	if member.IsZero() {
		member = c.Principal.Member
	}
	n, err := s.conversations.Counts(ctx, c.Scope(), member, nil)
	if err != nil {
		return out, err
	}
	out = InboxCounts{
		"inbox_counts", n[conversations.Waiting], nil, n[conversations.Unassigned], n[conversations.All],
		n[conversations.SnoozedV], n[conversations.ResolvedV], conversations.MostCounted,
	}
	if mine, ok := n[conversations.Mine]; ok {
		out.Mine = &mine
	}
	return out, nil
}
