// Package webhooks tells other programs what happened, by POST, signed as
// Standard Webhooks describe, at least once.
//
// The relay that numbers an event writes a delivery for each endpoint that
// wants it, and a job for each delivery, in the same transaction: what has a
// position has its deliveries. A delivery is attempted until it is taken, ten
// times over 75 hours; the job only rings when it is time, and everything that
// must be known stands in the row. Who delivers holds a lease on the row, and
// what an older lease finds out is not stored, so that a job that was believed
// dead does no harm. The body is made when it is sent, from what is there then.
package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// Endpoint is where an agency wants to be told.
type Endpoint struct {
	ID             ids.ID
	WorkspaceID    int64 // 0: events of the whole agency
	Workspace      ids.ID
	URL            string
	Description    string
	EventTypes     []string // "*" for all
	Payload        string   // Full or Thin
	Status         string   // Enabled or Disabled
	DisabledReason string
	Secret         string // whsec_…, only right after it was made
	Version        int64
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// What an endpoint is sent, and whether.
const (
	Full     = "full" // the event with the object as it is now
	Thin     = "thin" // type and ids
	Enabled  = "enabled"
	Disabled = "disabled"
)

// Delivery is one event for one endpoint.
type Delivery struct {
	ID            ids.ID
	EndpointID    ids.ID
	EventID       ids.ID
	State         State
	Attempts      int
	NextAttemptAt *time.Time
	CreatedAt     time.Time
	FinishedAt    *time.Time
}

// State is what became of a delivery. The numbers are stored.
type State int16

// The states.
const (
	Pending State = iota
	Succeeded
	Failed
	Cancelled
)

var stateNames = [...]string{"pending", "succeeded", "failed", "cancelled"}

func (s State) String() string { return stateNames[s] }

// Attempt is one POST.
type Attempt struct {
	DeliveryID   ids.ID
	EndpointID   ids.ID
	EventID      ids.ID
	Nth          int
	Status       *int   // nil: no answer
	Error        string // a word for what went wrong
	Response     string // the first 4 KiB
	Milliseconds int
	CreatedAt    time.Time
}

// Renderer makes the body of an event, with the object as it is now.
type Renderer interface {
	WebhookBody(ctx context.Context, e events.Event, thin bool) ([]byte, error)
}

// Deliver is the job that rings when an attempt is due.
type Deliver struct {
	AgencyID   int64  `json:"agency_id"`
	DeliveryID ids.ID `json:"delivery_id"`
	EndpointID ids.ID `json:"endpoint_id"`
}

// Kind names the job.
func (Deliver) Kind() string { return "deliver_webhook" }

// InsertOpts puts it into its queue. The attempts that count are the row's.
func (Deliver) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queue.Webhooks, MaxAttempts: 25}
}

// Webhooks keeps endpoints and delivers to them. It is safe for concurrent use.
type Webhooks struct {
	db     *postgres.DB
	queue  *queue.Queue
	clock  clock.Clock
	box    *secrets.Box
	client *http.Client
	render Renderer
	log    *slog.Logger
	shares shares
}

// Deps is what New needs. Client is one of internal/outbound, with its timeout.
type Deps struct {
	DB       *postgres.DB
	Queue    *queue.Queue
	Clock    clock.Clock
	Box      *secrets.Box
	Client   *http.Client
	Renderer Renderer
	Log      *slog.Logger
}

// New makes a Webhooks.
func New(d Deps) *Webhooks {
	return &Webhooks{db: d.DB, queue: d.Queue, clock: d.Clock, box: d.Box, client: d.Client, render: d.Renderer, log: d.Log}
}

// newSecret makes a signing secret as Standard Webhooks writes it.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// place is what an endpoint's secret is sealed for.
func place(endpoint ids.ID) string { return "webhook:" + ids.Format(ids.WebhookEndpoint, endpoint) }

// FanOut is what the relay calls in the transaction that numbers a batch: a
// delivery and a job for each endpoint that an event is meant for.
func (h *Webhooks) FanOut(ctx context.Context, tx pgx.Tx, batch []events.Numbered) error {
	wanted, err := matches(ctx, tx, batch)
	if err != nil || len(wanted) == 0 {
		return err
	}
	now := h.clock.Now()
	jobs := make([]river.JobArgs, len(wanted))
	for i := range wanted {
		wanted[i].id = ids.New(now)
		jobs[i] = Deliver{wanted[i].event.AgencyID, wanted[i].id, wanted[i].endpoint}
	}
	if err := storeDeliveries(ctx, tx, wanted, now); err != nil {
		return err
	}
	return h.queue.InsertMany(ctx, tx, jobs, time.Time{})
}
