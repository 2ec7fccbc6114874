package webhooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/outbound"
)

// schedule is the wait before each attempt after the first, as Standard
// Webhooks proposes: ten attempts in 75 hours.
var schedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const (
	// lease is longer than an attempt can take (Timeout).
	lease = 45 * time.Second
	// Timeout is for one attempt, the answer's body included.
	Timeout = 15 * time.Second
	// givenUp is how long an endpoint may fail, without one success, before it
	// is disabled.
	givenUp    = 5 * 24 * time.Hour
	maxKept    = 4 << 10  // of a response
	maxRead    = 64 << 10 // of a response
	userAgent  = "Relaydesk-Webhooks/1"
	maxRetryIn = 24 * time.Hour
)

// claimed is a delivery that this process holds the lease of.
type claimed struct {
	agencyID, workspaceID int64
	id, endpoint, eventID ids.ID
	position              int64
	nth                   int // of this attempt, from 1
	lease                 int64
	url, payload          string
	secret                []byte
}

// outcome is what an attempt came to.
type outcome struct {
	status       *int
	problem      string
	response     string
	retryAfter   time.Duration
	milliseconds int
}

func (o outcome) taken() bool { return o.status != nil && *o.status >= 200 && *o.status < 300 }
func (o outcome) gone() bool  { return o.status != nil && *o.status == http.StatusGone }

// Deliver makes one attempt, if one is due, and stores what came of it; complete
// runs in the same transaction. A nil complete is allowed. ErrBusy says that the
// endpoint has its share of this node's workers: the job should come again.
func (h *Webhooks) Deliver(ctx context.Context, job Deliver, complete func(context.Context, pgx.Tx) error) error {
	if !h.shares.enter(job.EndpointID) {
		select {
		case <-ctx.Done():
		case <-time.After(breath):
		}
		return ErrBusy
	}
	well := true
	defer func() { h.shares.leave(job.EndpointID, well) }()
	c, found, err := h.claim(ctx, job)
	if err != nil || !found {
		return err
	}
	event, body, err := h.body(ctx, c)
	if err != nil {
		return err
	}
	var out outcome
	if event {
		out = h.post(ctx, c, body)
		if ctx.Err() != nil {
			return ctx.Err() // we were stopped: the endpoint is not to blame
		}
		well = out.taken()
	}
	return h.store(ctx, c, event, out, complete)
}

// body gives the event's body; found is false when the log keeps it no longer.
func (h *Webhooks) body(ctx context.Context, c claimed) (found bool, body []byte, err error) {
	var all []events.Event
	err = h.db.InAgency(ctx, c.agencyID, func(tx pgx.Tx) error {
		all, err = events.Read(ctx, tx, events.Filter{AgencyID: c.agencyID}, c.position-1, 1)
		return err
	})
	if err != nil {
		return false, nil, err
	}
	if len(all) == 0 || all[0].ID != c.eventID {
		return false, nil, nil
	}
	body, err = h.render.WebhookBody(ctx, all[0], c.payload == Thin)
	if err != nil {
		return false, nil, fmt.Errorf("render %s for a webhook: %w", all[0].Type, err)
	}
	return true, body, nil
}

func (h *Webhooks) post(ctx context.Context, c claimed, body []byte) outcome {
	started := time.Now() //nolint:forbidigo // how long it took in truth, whatever the clock says
	took := func() int { return int(time.Since(started).Milliseconds()) }
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return outcome{problem: "bad_url"}
	}
	secret, err := h.box.Open(place(c.endpoint), c.secret)
	if err == nil {
		err = sign(request.Header, string(secret), ids.Format(ids.Event, c.eventID), h.clock.Now(), body)
	}
	if err != nil {
		h.log.ErrorContext(ctx, "sign a webhook", "endpoint", ids.Format(ids.WebhookEndpoint, c.endpoint), "error", err)
		return outcome{problem: "secret_unreadable"}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", userAgent)
	response, err := h.client.Do(request)
	if err != nil {
		return outcome{problem: problemOf(err), milliseconds: took()}
	}
	defer response.Body.Close()
	kept, _ := io.ReadAll(io.LimitReader(response.Body, maxKept))
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxRead)) // so that the connection can be used again
	out := outcome{status: &response.StatusCode, response: clean(kept), milliseconds: took(), retryAfter: retryAfter(response.Header, h.clock.Now())}
	if !out.taken() {
		out.problem = "status"
		if response.StatusCode/100 == 3 {
			out.problem = "redirect"
		}
	}
	return out
}

// problemOf is a word for the log of attempts. The error's own text may name
// addresses behind a name, which are not the agency's to see.
func problemOf(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns"
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, outbound.ErrBlocked):
		return "address_not_allowed"
	case ok && timeout.Timeout():
		return "timeout"
	case strings.Contains(err.Error(), "tls:") || strings.Contains(err.Error(), "x509:"):
		return "tls"
	}
	return "connection"
}

// clean makes a response fit for a text column.
func clean(b []byte) string {
	s := strings.ReplaceAll(strings.ToValidUTF8(string(b), "\uFFFD"), "\x00", "\uFFFD")
	for len(s) > maxKept || !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return min(time.Duration(min(seconds, 1<<20))*time.Second, maxRetryIn)
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryIn)
	}
	return 0
}

// wait is how long to wait after the nth attempt failed: the schedule, up to a
// tenth longer or shorter so that what failed together does not come together,
// and never shorter than the receiver asked for.
func wait(nth int, asked time.Duration) (time.Duration, bool) {
	if nth > len(schedule) {
		return 0, false
	}
	base := schedule[nth-1]
	jittered := base*9/10 + rand.N(base/5+1)
	return max(jittered, asked), true
}
