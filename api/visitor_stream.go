package api

import (
	"context"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
)

type visitorStream struct {
	ConversationID
	After       string `query:"after" maxLength:"100" doc:"Only what comes after this position."`
	LastEventID string `header:"Last-Event-ID" maxLength:"100" doc:"The position of the last frame that was received. It goes before after."`
}

// visitorStream follows what the visitor sees of one conversation: public
// messages, and who answers.
func (s *Server) visitorStream(ctx context.Context, c *Call, in *visitorStream) (func(huma.Context), error) {
	conv, err := s.own(ctx, c, in.ConversationID)
	if err != nil {
		return nil, err
	}
	f := events.Filter{AgencyID: c.Principal.AgencyID, WorkspaceID: c.Workspace.ID, Conversation: conv.ID}
	after, resumed, err := s.begin(ctx, c, f, in.LastEventID, in.After)
	if err != nil {
		return nil, err
	}
	return s.follow(c, f, after, func(out *stream) func(context.Context, events.Page) error {
		v := visitorView{s: s, c: c, conv: in.ConversationID, out: out}
		if !resumed { // who resumes is told again who answers: it may have changed meanwhile
			v.state = objects.ForVisitor(conv).State
		}
		return v.emit
	}), nil
}

// visitorView is one stream and what it has shown.
type visitorView struct {
	s     *Server
	c     *Call
	conv  ConversationID
	out   *stream
	state string
}

func (v *visitorView) emit(ctx context.Context, p events.Page) error {
	who, err := v.s.tenants.Authenticate(ctx, v.c.key)
	if err != nil || who.Visitor != v.c.Principal.Visitor {
		return errStream
	}
	conv, err := v.s.own(ctx, v.c, v.conv)
	if err != nil {
		return errStream // it was erased, or is another's by now
	}
	var frames []byte
	frame := func(position string, e objects.VisitorEvent) error {
		e.Position = position
		data, err := json.Marshal(e)
		frames = append(frames, "id: "+position+"\nevent: "+e.Type+"\ndata: "+string(data)+"\n\n"...)
		return err
	}
	for _, e := range p.Events {
		position := v.s.positions.Format(v.c.Principal.AgencyID, e.Position)
		shown, err := v.visible(ctx, e)
		if err != nil {
			return err
		}
		if shown != nil {
			if err := frame(position, objects.VisitorEvent{Type: string(e.Type), Message: shown}); err != nil {
				return err
			}
		}
		// What the team notes about it is not told, nor that it does.
		if now := objects.ForVisitor(conv); now.State != v.state {
			v.state = now.State
			if err := frame(position, objects.VisitorEvent{Type: string(events.ConversationUpdated), Conversation: &now}); err != nil {
				return err
			}
		}
	}
	if len(frames) == 0 {
		frames = []byte("id: " + v.s.positions.Format(v.c.Principal.AgencyID, p.To) + "\n\n")
	}
	return v.out.send(frames)
}

// visible is the message of an event, if the visitor may see it.
func (v *visitorView) visible(ctx context.Context, e events.Event) (*objects.VisitorMessage, error) {
	if e.Type != events.MessageCreated && e.Type != events.MessageUpdated {
		return nil, nil //nolint:nilnil // it is about no message
	}
	found, err := v.s.conversations.Message(ctx, v.c.Workspace, e.Object)
	switch {
	case err != nil && fault.Of(err).Kind == fault.NotFound:
		return nil, nil //nolint:nilnil // it is gone
	case err != nil:
		return nil, err
	case found.Visibility != conversations.Public || ids.Format(ids.Conversation, found.ConversationID) != v.conv.ID:
		return nil, nil //nolint:nilnil // it is not the visitor's
	}
	m := objects.ToVisitor(found)
	return &m, nil
}
