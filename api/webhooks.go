package api

import (
	"context"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
	"github.com/relaydesk/relaydesk/webhooks"
)

func (s *Server) listEndpoints(ctx context.Context, c *Call, in *struct{ Paged }) (List[objects.WebhookEndpoint], error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return List[objects.WebhookEndpoint]{}, err
	}
	all, more, err := s.webhooks.Endpoints(ctx, c.Scope(), page)
	return list(c, all, more, func(e webhooks.Endpoint) ids.ID { return e.ID }, objects.FromEndpoint), err
}

// EndpointID is the webhook endpoint of a path.
type EndpointID struct {
	ID string `path:"id" doc:"The webhook endpoint's id." example:"whe_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (in EndpointID) parse() (ids.ID, error) {
	return parse(ids.WebhookEndpoint, in.ID, "webhook endpoint")
}

func (s *Server) getEndpoint(ctx context.Context, c *Call, in *EndpointID) (objects.WebhookEndpoint, error) {
	id, err := in.parse()
	if err != nil {
		return objects.WebhookEndpoint{}, err
	}
	e, err := s.webhooks.Endpoint(ctx, c.Scope(), id)
	c.Version = e.Version
	return objects.FromEndpoint(e), err
}

// WebhookEndpointCreate is what a webhook endpoint is made of.
type WebhookEndpointCreate struct {
	URL         string   `json:"url" minLength:"1" maxLength:"2000" doc:"Where events are sent." example:"https://example.com/relaydesk"`
	Description string   `json:"description,omitempty" maxLength:"500" doc:"What it is for." example:"Our CRM"`
	EventTypes  []string `json:"event_types" minItems:"1" maxItems:"100" doc:"Which events; * is all." example:"[\"escalation.opened\"]"`
	WorkspaceID string   `json:"workspace_id,omitempty" doc:"Only this workspace's events. The Relaydesk-Workspace header says the same." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Payload     string   `json:"payload,omitempty" enum:"full,thin" doc:"full (as it is without): the event with its object. thin: type and ids." example:"full"`
}

type createEndpoint struct{ Body WebhookEndpointCreate }

func (s *Server) createEndpoint(ctx context.Context, c *Call, in *createEndpoint) (out objects.WebhookEndpointWithSecret, err error) {
	scope := c.Scope()
	if text := in.Body.WorkspaceID; text != "" {
		if scope, err = s.narrow(ctx, c, text); err != nil {
			return out, err
		}
	}
	e, err := s.webhooks.Create(ctx, scope, webhooks.NewEndpoint{
		URL: in.Body.URL, Description: in.Body.Description, EventTypes: in.Body.EventTypes, Payload: in.Body.Payload,
	}, c.Receipt)
	c.Version = e.Version
	return objects.FromMadeEndpoint(e), err
}

// narrow is the scope of a workspace that the body names, of those that the
// call can reach.
func (s *Server) narrow(ctx context.Context, c *Call, text string) (tenants.Scope, error) {
	id, err := parseField(ids.Workspace, text, "workspace", "/workspace_id")
	if err != nil {
		return tenants.Scope{}, err
	}
	if c.Workspace.ID != 0 && id != c.WorkspaceUUID {
		return tenants.Scope{}, noSuch("workspace")
	}
	w, err := s.tenants.Workspace(ctx, c.Principal.AgencyID, id)
	if err != nil {
		return tenants.Scope{}, err
	}
	if c.Receipt != nil {
		c.Receipt.Workspace = w.Workspace // it is kept where the endpoint is
	}
	return tenants.Of(w.Workspace), nil
}

// WebhookEndpointUpdate changes a webhook endpoint.
type WebhookEndpointUpdate struct {
	URL         *string          `json:"url,omitempty" minLength:"1" maxLength:"2000" doc:"Where events are sent." example:"https://example.com/relaydesk"`
	Description Nullable[string] `json:"description,omitzero" maxLength:"500" doc:"What it is for." example:"Our CRM"`
	EventTypes  *[]string        `json:"event_types,omitempty" minItems:"1" maxItems:"100" doc:"Which events; * is all." example:"[\"escalation.opened\"]"`
	Payload     *string          `json:"payload,omitempty" enum:"full,thin" doc:"full: the event with its object. thin: type and ids." example:"thin"`
	Status      *string          `json:"status,omitempty" enum:"enabled,disabled" doc:"Whether events are sent." example:"enabled"`
}

type updateEndpoint struct {
	EndpointID
	Body WebhookEndpointUpdate
}

func (s *Server) updateEndpoint(ctx context.Context, c *Call, in *updateEndpoint) (objects.WebhookEndpoint, error) {
	id, err := in.parse()
	if err != nil {
		return objects.WebhookEndpoint{}, err
	}
	b := in.Body
	e, err := s.webhooks.Update(ctx, c.Scope(), id, webhooks.EndpointChange{
		URL: b.URL, Description: b.Description.Pointer(), EventTypes: b.EventTypes, Payload: b.Payload, Status: b.Status, IfVersion: c.IfVersion,
	}, c.Receipt)
	c.Version = e.Version
	return objects.FromEndpoint(e), err
}

func (s *Server) deleteEndpoint(ctx context.Context, c *Call, in *EndpointID) (none, error) {
	id, err := in.parse()
	if err != nil {
		return none{}, err
	}
	if c.IfVersion != 0 {
		e, err := s.webhooks.Endpoint(ctx, c.Scope(), id)
		if err != nil {
			return none{}, err
		}
		if e.Version != c.IfVersion {
			return none{}, problem(c.RequestID, "precondition_failed", "This webhook endpoint was changed meanwhile. Read it again.")
		}
	}
	return none{}, s.webhooks.Delete(ctx, c.Scope(), id)
}

type listAttempts struct {
	EndpointID
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"How many to give."`
}

// WebhookAttempts are the newest attempts of an endpoint.
type WebhookAttempts struct {
	Object  string                   `json:"object" enum:"list" doc:"Always list."`
	Data    []objects.WebhookAttempt `json:"data" doc:"The attempts, newest first."`
	HasMore bool                     `json:"has_more" doc:"Whether there were more: raise limit to see them."`
}

func (s *Server) listAttempts(ctx context.Context, c *Call, in *listAttempts) (out WebhookAttempts, err error) {
	id, err := in.parse()
	if err != nil {
		return out, err
	}
	all, err := s.webhooks.Attempts(ctx, c.Scope(), id, in.Limit+1)
	if err != nil {
		return out, err
	}
	out = WebhookAttempts{Object: "list", Data: []objects.WebhookAttempt{}, HasMore: len(all) > in.Limit}
	for _, a := range all[:min(len(all), in.Limit)] {
		out.Data = append(out.Data, objects.FromAttempt(a))
	}
	return out, nil
}

type listDeliveries struct {
	EndpointID
	Paged
}

func (s *Server) listDeliveries(ctx context.Context, c *Call, in *listDeliveries) (out List[objects.WebhookDelivery], err error) {
	id, err := in.parse()
	if err != nil {
		return out, err
	}
	page, err := c.page(in.Paged)
	if err != nil {
		return out, err
	}
	all, more, err := s.webhooks.Deliveries(ctx, c.Scope(), id, page)
	return list(c, all, more, func(d webhooks.Delivery) ids.ID { return d.ID }, objects.FromDelivery), err
}

type resendDelivery struct {
	ID   string `path:"id" doc:"The delivery's id." example:"whd_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Body *EmptyBody
}

func (s *Server) resendDelivery(ctx context.Context, c *Call, in *resendDelivery) (objects.WebhookDelivery, error) {
	id, err := parse(ids.WebhookDelivery, in.ID, "webhook delivery")
	if err != nil {
		return objects.WebhookDelivery{}, err
	}
	d, err := s.webhooks.Resend(ctx, c.Scope(), id, c.Receipt)
	return objects.FromDelivery(d), err
}
