package objects

import (
	"time"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/webhooks"
)

// WebhookEndpoint is where an agency wants to be told.
type WebhookEndpoint struct {
	Object         string   `json:"object" enum:"webhook_endpoint" doc:"Always webhook_endpoint."`
	ID             string   `json:"id" doc:"Its id." example:"whe_01kb2m3n4p5q6r7s8t9v0wxyza"`
	URL            string   `json:"url" doc:"Where events are sent." example:"https://example.com/relaydesk"`
	Description    string   `json:"description,omitempty" doc:"What it is for." example:"Our CRM"`
	EventTypes     []string `json:"event_types" doc:"Which events; * is all." example:"[\"escalation.opened\"]"`
	WorkspaceID    string   `json:"workspace_id,omitempty" doc:"Only this workspace's events; absent: the whole agency's." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Payload        string   `json:"payload" enum:"full,thin" doc:"full: the event with its object. thin: type and ids." example:"full"`
	Status         string   `json:"status" enum:"enabled,disabled" doc:"Whether events are sent." example:"enabled"`
	DisabledReason string   `json:"disabled_reason,omitempty" doc:"Why they are not." example:"The receiver answered 410."`
	CreatedAt      string   `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt      string   `json:"updated_at" format:"date-time" doc:"When it was last changed."`
}

// FromEndpoint renders a webhook endpoint, without its secret.
func FromEndpoint(e webhooks.Endpoint) WebhookEndpoint {
	return WebhookEndpoint{
		"webhook_endpoint", id(ids.WebhookEndpoint, e.ID), e.URL, e.Description, list(e.EventTypes), id(ids.Workspace, e.Workspace), e.Payload,
		e.Status, e.DisabledReason, at(e.CreatedAt), at(e.UpdatedAt),
	}
}

// WebhookEndpointWithSecret is an endpoint that was just made.
type WebhookEndpointWithSecret struct {
	WebhookEndpoint
	Secret string `json:"secret" doc:"By which deliveries are signed. It is shown this once." example:"whsec_…"`
}

// FromMadeEndpoint renders an endpoint with its secret.
func FromMadeEndpoint(e webhooks.Endpoint) WebhookEndpointWithSecret {
	return WebhookEndpointWithSecret{FromEndpoint(e), e.Secret}
}

// WebhookDelivery is one event for one endpoint.
type WebhookDelivery struct {
	Object        string `json:"object" enum:"webhook_delivery" doc:"Always webhook_delivery."`
	ID            string `json:"id" doc:"Its id." example:"whd_01kb2m3n4p5q6r7s8t9v0wxyza"`
	EndpointID    string `json:"endpoint_id" doc:"The endpoint." example:"whe_01kb2m3n4p5q6r7s8t9v0wxyza"`
	EventID       string `json:"event_id" doc:"The event; also the webhook-id of each attempt." example:"evt_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Status        string `json:"status" enum:"pending,succeeded,failed,cancelled" doc:"What became of it." example:"pending"`
	Attempts      int    `json:"attempts" doc:"How often it was tried." example:"1"`
	NextAttemptAt string `json:"next_attempt_at,omitempty" format:"date-time" doc:"When it is tried again."`
	FinishedAt    string `json:"finished_at,omitempty" format:"date-time" doc:"When it came to an end."`
	CreatedAt     string `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt     string `json:"updated_at" format:"date-time" doc:"When it came to an end, else when it was made."`
}

// FromDelivery renders a delivery.
func FromDelivery(d webhooks.Delivery) WebhookDelivery {
	updated := d.CreatedAt
	if d.FinishedAt != nil {
		updated = *d.FinishedAt
	}
	return WebhookDelivery{
		"webhook_delivery", id(ids.WebhookDelivery, d.ID), id(ids.WebhookEndpoint, d.EndpointID), id(ids.Event, d.EventID), d.State.String(),
		d.Attempts, maybe(d.NextAttemptAt), maybe(d.FinishedAt), at(d.CreatedAt), at(updated),
	}
}

// WebhookAttempt is one POST to an endpoint.
type WebhookAttempt struct {
	Object     string `json:"object" enum:"webhook_attempt" doc:"Always webhook_attempt."`
	DeliveryID string `json:"delivery_id" doc:"The delivery that it is of." example:"whd_01kb2m3n4p5q6r7s8t9v0wxyza"`
	EndpointID string `json:"endpoint_id" doc:"The endpoint." example:"whe_01kb2m3n4p5q6r7s8t9v0wxyza"`
	EventID    string `json:"event_id" doc:"The event." example:"evt_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Number     int    `json:"number" doc:"Which attempt of the delivery, from 1." example:"1"`
	Status     *int   `json:"status,omitempty" doc:"What was answered; absent: nothing." example:"500"`
	Error      string `json:"error,omitempty" doc:"What went wrong, in a word." example:"timeout"`
	Response   string `json:"response,omitempty" doc:"The first 4 KiB of the answer." example:"Internal Server Error"`
	DurationMS int    `json:"duration_ms" doc:"How long it took, in milliseconds." example:"120"`
	CreatedAt  string `json:"created_at" format:"date-time" doc:"When it was made."`
}

// FromAttempt renders an attempt.
func FromAttempt(a webhooks.Attempt) WebhookAttempt {
	return WebhookAttempt{
		"webhook_attempt", id(ids.WebhookDelivery, a.DeliveryID), id(ids.WebhookEndpoint, a.EndpointID), id(ids.Event, a.EventID), a.Nth,
		a.Status, a.Error, a.Response, a.Milliseconds, at(a.CreatedAt),
	}
}

// Moment writes a moment as all objects do.
func Moment(t time.Time) string { return at(t) }
