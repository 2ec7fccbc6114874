package objects

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/packet"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/tenants"
	"github.com/relaydesk/relaydesk/webhooks"
)

// Event is a change, as the log, the stream and webhooks tell of it.
type Event struct {
	Object      string    `json:"object" enum:"event" doc:"Always event."`
	ID          string    `json:"id" doc:"Its id, the same wherever it is told." example:"evt_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Type        string    `json:"type" doc:"What happened. New types may be added." example:"message.created"`
	Position    string    `json:"position" doc:"Its place in the agency's log: opaque, sent back as after." example:"AbCdEf0123456789AbCdEf"`
	WorkspaceID string    `json:"workspace_id,omitempty" doc:"The workspace; absent: the agency's own." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	CreatedAt   string    `json:"created_at" format:"date-time" doc:"When it happened."`
	Data        EventData `json:"data" doc:"What it is about."`
}

// EventData is what an event is about.
type EventData struct {
	Object  any `json:"object" doc:"The object as it is when this is read; of one that is gone its object, its id and erased: true."`
	Changes any `json:"changes,omitempty" doc:"What changed, without personal data."`
}

// Tombstone stands for an object that is gone.
type Tombstone struct {
	Object string `json:"object"`
	ID     string `json:"id"`
	Erased bool   `json:"erased,omitempty"`
}

// Bounds of the packet in an escalation's event: with the escalation itself and
// the event around it, a body stays below 64 KiB.
const (
	packetThread = 20
	packetBytes  = 48 << 10
)

// openedEscalation is an escalation with its packet.
type openedEscalation struct {
	Escalation
	Packet *Packet `json:"packet,omitempty"`
}

// Renderer makes events of what the log holds: it reads the objects that they
// are about, all of a batch at once.
type Renderer struct {
	db        *postgres.DB
	positions events.Positions

	// Knowledge reads the sources that events are about; nil: they are named only.
	Knowledge *knowledge.Knowledge
}

// NewRenderer makes a Renderer.
func NewRenderer(db *postgres.DB, positions events.Positions) *Renderer {
	return &Renderer{db: db, positions: positions}
}

// Events renders events of one agency, for a reader with the given scope, who
// sees nothing outside of it.
func (r *Renderer) Events(ctx context.Context, s tenants.Scope, all []events.Event) ([]Event, error) {
	if len(all) == 0 {
		return []Event{}, nil
	}
	wanted := newWanted(all)
	err := s.In(ctx, r.db, func(tx pgx.Tx) error { return wanted.read(ctx, tx, s) })
	if err != nil {
		return nil, fmt.Errorf("render events: %w", err)
	}
	if err := r.readSources(ctx, wanted, all); err != nil {
		return nil, fmt.Errorf("render events: %w", err)
	}
	out := make([]Event, len(all))
	for i, e := range all {
		out[i] = r.event(e, wanted.uuids[e.WorkspaceID])
		out[i].Data.Object = wanted.object(e)
	}
	return out, nil
}

// WebhookBody is an event as it is delivered: with its object, or thin.
func (r *Renderer) WebhookBody(ctx context.Context, e events.Event, thin bool) ([]byte, error) {
	s := tenants.Scope{AgencyID: e.AgencyID}
	if e.WorkspaceID != 0 {
		s.Workspace = postgres.Workspace{AgencyID: e.AgencyID, ID: e.WorkspaceID}
	}
	if !thin {
		all, err := r.Events(ctx, s, []events.Event{e})
		if err != nil {
			return nil, err
		}
		return encode(all[0])
	}
	var uuids map[int64]ids.ID
	err := s.In(ctx, r.db, func(tx pgx.Tx) (err error) {
		uuids, err = tenants.WorkspaceUUIDs(ctx, tx, e.AgencyID, []int64{e.WorkspaceID})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("render an event: %w", err)
	}
	out := r.event(e, uuids[e.WorkspaceID])
	out.Data.Object = stub(e)
	return encode(out)
}

func encode(e Event) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("write an event: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

func (r *Renderer) event(e events.Event, workspace ids.ID) Event {
	out := Event{
		"event", id(ids.Event, e.ID), string(e.Type), r.positions.Format(e.AgencyID, e.Position), id(ids.Workspace, workspace), at(e.At), EventData{},
	}
	if len(e.Changes) > 0 {
		out.Data.Changes = e.Changes
	}
	return out
}

// kinds are the objects that events are about, by the first part of the type.
var kinds = map[string]ids.Prefix{
	"conversation": ids.Conversation, "message": ids.Message, "escalation": ids.Escalation, "suggestion": ids.Suggestion,
	"contact": ids.Contact, "source": ids.Source, "workspace": ids.Workspace, "webhook_endpoint": ids.WebhookEndpoint,
}

func kindOf(e events.Event) string {
	kind, _, _ := strings.Cut(string(e.Type), ".")
	return kind
}

// stub names the object of an event and tells nothing else of it.
func stub(e events.Event) Tombstone {
	return Tombstone{Object: kindOf(e), ID: id(kinds[kindOf(e)], e.Object)}
}

// wanted is what a batch of events is about, and what of it was found.
type wanted struct {
	refs       map[string][]conversations.Ref
	ids        map[string][]ids.ID
	workspaces []int64
	opened     []conversations.Ref // escalations whose packet is told

	uuids   map[int64]ids.ID
	found   map[ids.ID]any // by the object's id
	packets map[ids.ID]packet.Packet
}

func newWanted(all []events.Event) *wanted {
	w := &wanted{refs: map[string][]conversations.Ref{}, ids: map[string][]ids.ID{}, found: map[ids.ID]any{}}
	seen := map[ids.ID]bool{}
	for _, e := range all {
		if e.WorkspaceID != 0 {
			w.workspaces = append(w.workspaces, e.WorkspaceID)
		}
		ref := conversations.Ref{WorkspaceID: e.WorkspaceID, ID: e.Object}
		if e.Type == events.EscalationOpened {
			w.opened = append(w.opened, ref)
		}
		if !seen[e.Object] {
			seen[e.Object] = true
			w.refs[kindOf(e)] = append(w.refs[kindOf(e)], ref)
			w.ids[kindOf(e)] = append(w.ids[kindOf(e)], e.Object)
		}
	}
	return w
}

func (w *wanted) read(ctx context.Context, tx pgx.Tx, s tenants.Scope) (err error) {
	if w.uuids, err = tenants.WorkspaceUUIDs(ctx, tx, s.AgencyID, w.workspaces); err != nil {
		return err
	}
	talk, err := conversations.ByID(ctx, tx, w.refs["conversation"], w.refs["message"], w.refs["contact"], w.refs["suggestion"])
	if err != nil {
		return err
	}
	for _, c := range talk.Conversations {
		w.found[c.ID] = FromConversation(c, w.uuids[c.WorkspaceID])
	}
	for _, m := range talk.Messages {
		w.found[m.ID] = FromMessage(m)
	}
	for _, k := range talk.Contacts {
		if k.Status != "erased" {
			w.found[k.ID] = FromContact(k, w.uuids[k.WorkspaceID])
		}
	}
	for _, g := range talk.Suggestions {
		w.found[g.ID] = FromSuggestion(g)
	}
	escalations, err := handoff.ByID(ctx, tx, w.refs["escalation"])
	if err != nil {
		return err
	}
	for _, e := range escalations {
		w.found[e.ID] = FromEscalation(e, w.uuids[e.WorkspaceID])
	}
	if w.packets, err = handoff.Packets(ctx, tx, w.opened); err != nil {
		return err
	}
	return w.readTenants(ctx, tx, s)
}

func (w *wanted) readTenants(ctx context.Context, tx pgx.Tx, s tenants.Scope) error {
	workspaces, err := tenants.WorkspacesByID(ctx, tx, s.AgencyID, w.ids["workspace"])
	if err != nil {
		return err
	}
	for id, found := range workspaces {
		w.found[id] = FromWorkspace(found)
	}
	endpoints, err := webhooks.EndpointsByID(ctx, tx, s, w.ids["webhook_endpoint"])
	if err != nil {
		return err
	}
	for id, found := range endpoints {
		w.found[id] = FromEndpoint(found)
	}
	return nil
}

// readSources reads what only its own package can. Events of sources are few.
func (r *Renderer) readSources(ctx context.Context, w *wanted, all []events.Event) error {
	for _, e := range all {
		if kindOf(e) != "source" || w.found[e.Object] != nil {
			continue
		}
		if r.Knowledge == nil {
			w.found[e.Object] = stub(e)
			continue
		}
		s, err := r.Knowledge.Source(ctx, postgres.Workspace{AgencyID: e.AgencyID, ID: e.WorkspaceID}, e.Object)
		switch {
		case err == nil:
			s.Text = "" // as in lists
			w.found[e.Object] = FromSource(s)
		case fault.Of(err).Kind != fault.NotFound:
			return err
		}
	}
	return nil
}

// object is what an event shows of its object.
func (w *wanted) object(e events.Event) any {
	found, ok := w.found[e.Object]
	if !ok {
		gone := stub(e)
		gone.Erased = true
		return gone
	}
	if escalation, is := found.(Escalation); is && e.Type == events.EscalationOpened {
		opened := openedEscalation{Escalation: escalation}
		if p, ok := w.packets[e.Object]; ok {
			cut := FromPacket(p.Cut(packetThread, packetBytes))
			opened.Packet = &cut
		}
		return opened
	}
	return found
}
