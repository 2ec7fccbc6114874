package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

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
	from := in.LastEventID
	if from == "" {
		from = in.After
	}
	var after int64
	if from == "" {
		after, err = s.hub.Now(ctx, f.AgencyID)
	} else {
		after, err = s.position(c, from)
	}
	if err != nil {
		return nil, err
	}
	if _, err := s.hub.Next(ctx, f, after, 1); err != nil {
		return nil, s.gone(c, err)
	}
	return func(hc huma.Context) {
		r, w := unwrap(hc)
		if !s.beginStream(w, c) {
			return
		}
		defer s.streams.end(c.Principal.KeyID)
		if r.Method == http.MethodHead {
			return
		}
		v := visitorView{s: s, c: c, conv: in.ConversationID, out: &stream{w: w, control: http.NewResponseController(w)}}
		if from == "" { // who resumes is told again who answers: it may have changed meanwhile
			v.state = objects.ForVisitor(conv).State
		}
		if err := v.out.send([]byte("id: " + s.positions.Format(f.AgencyID, after) + "\n\n")); err != nil {
			return
		}
		ctx := hc.Context()
		err := s.hub.Follow(ctx, f, after, heartbeat, func(p events.Page) error { return v.emit(ctx, p) })
		if err != nil && ctx.Err() == nil && !errors.Is(err, errStream) && !errors.Is(err, events.ErrStopping) {
			s.log.WarnContext(ctx, "a visitor's stream ended", "request_id", c.RequestID, "error", err)
		}
	}, nil
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
