package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
)

const (
	// heartbeat keeps a quiet stream's position fresh, and its connection open.
	heartbeat = 15 * time.Second
	// writing is how long a frame may take to be taken.
	writing = 10 * time.Second
)

// EventFilter are the parameters by which a reader narrows the log.
type EventFilter struct {
	After          string `query:"after" maxLength:"100" doc:"Only what comes after this position; 0 is the oldest that is kept."`
	Types          string `query:"types" maxLength:"1000" doc:"Only these types, with commas between them." example:"escalation.opened,message.created"`
	ConversationID string `query:"conversation_id" doc:"Only of this conversation."`
}

func (in EventFilter) filter(c *Call) (f events.Filter, err error) {
	f = events.Filter{AgencyID: c.Principal.AgencyID, WorkspaceID: c.Workspace.ID}
	for i, text := range commas(in.Types) {
		t := events.Type(text)
		f.Types = append(f.Types, t)
		if !t.Known() {
			p := problem(c.RequestID, "validation_failed", "There is no such type of event.")
			p.Errors = []ProblemField{{Pointer: "query/types", Code: "not_one_of", Detail: fmt.Sprintf("The type number %d is none.", i+1)}}
			return f, p
		}
	}
	f.Conversation, err = optional(ids.Conversation, in.ConversationID, "conversation")
	return f, err
}

type listEvents struct {
	EventFilter
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"How many to give."`
	Cursor string `query:"cursor" maxLength:"100" doc:"The next_cursor of the part before; the same as after."`
}

// EventList is a part of the log, oldest first.
type EventList struct {
	List[objects.Event]
	Position string `json:"position" doc:"How far the log was looked through: ask for what comes after it." example:"AbCdEf0123456789AbCdEf"`
}

func (s *Server) listEvents(ctx context.Context, c *Call, in *listEvents) (out EventList, err error) {
	f, err := in.filter(c)
	if err != nil {
		return out, err
	}
	from := in.After
	if in.Cursor != "" {
		from = in.Cursor
	}
	after := int64(0)
	if from != "" {
		if after, err = s.position(c, from); err != nil {
			return out, err
		}
	}
	found, err := s.hub.Next(ctx, f, after, in.Limit)
	if err != nil {
		return out, s.gone(c, err)
	}
	out = EventList{List: List[objects.Event]{Object: "list", HasMore: len(found.Events) == in.Limit}, Position: s.positions.Format(f.AgencyID, found.To)}
	if out.HasMore {
		out.NextCursor = &out.Position
	}
	out.Data, err = s.renderer.Events(ctx, c.Scope(), found.Events)
	return out, err
}

func (s *Server) position(c *Call, text string) (int64, error) {
	at, err := s.positions.Parse(c.Principal.AgencyID, text)
	if err != nil {
		return 0, fault.New(fault.Invalid, "cursor_invalid", "This is no position in your agency's log.")
	}
	return at, nil
}

// gone tells from where a reader can go on.
func (s *Server) gone(c *Call, err error) error {
	if !errors.Is(err, events.ErrGone) {
		return err
	}
	p := problem(c.RequestID, "position_expired", "This position is no longer kept. Begin at oldest, and read the present state of your objects once.")
	p.Oldest = "0"
	return p
}

type streamEvents struct {
	EventFilter
	LastEventID string `header:"Last-Event-ID" maxLength:"100" doc:"The position of the last frame that was received; browsers send it by themselves. It goes before after."`
}

// streamEvents follows the log for as long as the reader listens, its key is
// valid and the server runs.
func (s *Server) streamEvents(ctx context.Context, c *Call, in *streamEvents) (func(huma.Context), error) {
	f, err := in.filter(c)
	if err != nil {
		return nil, err
	}
	after, _, err := s.begin(ctx, c, f, in.LastEventID, in.After)
	if err != nil {
		return nil, err
	}
	return s.follow(c, f, after, func(out *stream) func(context.Context, events.Page) error {
		return func(ctx context.Context, p events.Page) error { return s.emit(ctx, c, out, p) }
	}), nil
}

// begin finds where a stream begins: after the last frame that its reader got,
// after the position that it names, or now.
func (s *Server) begin(ctx context.Context, c *Call, f events.Filter, lastEventID, after string) (at int64, resumed bool, err error) {
	from := cmp.Or(lastEventID, after)
	if from == "" {
		at, err = s.hub.Now(ctx, f.AgencyID)
	} else {
		at, err = s.position(c, from)
	}
	if err != nil {
		return 0, false, err
	}
	// A position that is gone is a problem, not a stream that ends at once.
	if _, err := s.hub.Next(ctx, f, at, 1); err != nil {
		return 0, false, s.gone(c, err)
	}
	return at, from != "", nil
}

// follow streams what comes after a position. open is given the stream once it
// is there, and gives what to do with each page of the log.
func (s *Server) follow(c *Call, f events.Filter, after int64, open func(*stream) func(context.Context, events.Page) error) func(huma.Context) {
	return func(hc huma.Context) {
		r, w := unwrap(hc)
		if !s.beginStream(w, c) {
			return
		}
		defer s.streams.end(c.Principal.KeyID)
		if r.Method == http.MethodHead {
			return
		}
		out := &stream{w: w, control: http.NewResponseController(w)}
		emit := open(out)
		if err := out.send([]byte("id: " + s.positions.Format(f.AgencyID, after) + "\n\n")); err != nil {
			return
		}
		ctx := hc.Context()
		err := s.hub.Follow(ctx, f, after, heartbeat, func(p events.Page) error { return emit(ctx, p) })
		if err != nil && ctx.Err() == nil && !errors.Is(err, errStream) && !errors.Is(err, events.ErrStopping) {
			s.log.WarnContext(ctx, "a stream ended", "request_id", c.RequestID, "error", err)
		}
	}
}

// errStream ends a stream without ado: the reader is gone, or its key.
var errStream = errors.New("the stream is over")

// emit writes the frames of what was found.
func (s *Server) emit(ctx context.Context, c *Call, out *stream, p events.Page) error {
	who, err := s.tenants.Authenticate(ctx, c.key)
	if err != nil || !who.Scopes.Allow(c.route.scope) || who.Confined && !who.Reaches(c.WorkspaceUUID) {
		return errStream // a revoked key reads no further, nor a member who lost the workspace
	}
	agency := c.Principal.AgencyID
	if len(p.Events) == 0 {
		return out.send([]byte("id: " + s.positions.Format(agency, p.To) + "\n\n"))
	}
	all, err := s.renderer.Events(ctx, c.Scope(), p.Events)
	if err != nil {
		return err
	}
	var frames []byte
	for _, e := range all {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		frames = append(frames, "id: "+e.Position+"\nevent: "+e.Type+"\ndata: "...)
		frames = append(append(frames, data...), "\n\n"...)
	}
	return out.send(frames)
}

// stream writes frames to a connection, each within its time.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (o *stream) send(frames []byte) error {
	late := time.AfterFunc(writing, func() { _ = o.control.SetWriteDeadline(time.Unix(1, 0)) })
	defer late.Stop()
	if _, err := o.w.Write(frames); err != nil {
		return errStream
	}
	if err := o.control.Flush(); err != nil {
		return errStream
	}
	return nil
}

// webhookTypes puts into the document what webhooks send.
func webhookTypes(api huma.API, event *huma.Schema) {
	header := func(name, doc, example string) *huma.Param {
		return &huma.Param{Name: name, In: "header", Description: doc, Required: true, Schema: &huma.Schema{Type: "string"}, Example: example}
	}
	all := map[string]*huma.PathItem{}
	for _, t := range events.Types() {
		all[string(t)] = &huma.PathItem{Post: &huma.Operation{ //nolint:forbidigo // a description of what we send, no operation
			OperationID: "on" + camel(string(t)), Summary: string(t), Tags: []string{"Events"},
			Description: "Sent to webhook endpoints that want `" + string(t) + "`, signed as Standard Webhooks describe.",
			Security:    []map[string][]string{},
			Parameters: []*huma.Param{
				header("webhook-id", "The event's id, the same on each attempt.", exampleID(ids.Event)),
				header("webhook-timestamp", "When this attempt was made, in seconds since 1970.", "1764061200"),
				header("webhook-signature", "The signatures, with spaces between them.", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
			},
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: event}}},
			Responses: map[string]*huma.Response{
				"2XX": {Description: "Taken."}, "410": {Description: "Gone: the endpoint is disabled."}, "4XX": {Description: "Failed: it is tried again."}, "5XX": {Description: "Failed: it is tried again."},
			},
		}}
	}
	api.OpenAPI().Webhooks = all
}

// camel writes "webhook_endpoint.disabled" as "WebhookEndpointDisabled".
func camel(s string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == '.' || r == '_' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
