package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/tenants"
)

const (
	deliveriesSQL = `
select id, endpoint_id, event_id, state, attempts, next_attempt_at, created_at, finished_at from webhook_deliveries
where agency_id = @agency_id and endpoint_id = @endpoint_id and (@after::uuid is null or id < @after) order by id desc limit @limit`
	attemptsSQL = `
select a.delivery_id, a.endpoint_id, d.event_id, a.nth, a.status, coalesce(a.error, ''), coalesce(a.response, ''), a.milliseconds, a.created_at
from webhook_attempts a join webhook_deliveries d on d.agency_id = a.agency_id and d.id = a.delivery_id
where a.agency_id = @agency_id and a.endpoint_id = @endpoint_id
order by a.created_at desc, a.delivery_id desc, a.nth desc limit @limit`
	// A delivery that is sent again gets one more attempt, at once, and after
	// it the rest of the schedule if there is any.
	resendSQL = `
update webhook_deliveries d set state = 0, next_attempt_at = @now, leased_until = null, lease = lease + 1, finished_at = null
where agency_id = @agency_id and id = @id and (@workspace_id::bigint = 0 or workspace_id = @workspace_id)
returning id, endpoint_id, event_id, state, attempts, next_attempt_at, created_at, finished_at`
	lateSQL = `
select agency_id, id, endpoint_id from webhook_deliveries
where state = 0 and next_attempt_at < @before and (leased_until is null or leased_until < @before) order by next_attempt_at limit @limit`
)

func scanDelivery(row pgx.CollectableRow) (d Delivery, err error) {
	err = row.Scan(&d.ID, &d.EndpointID, &d.EventID, &d.State, &d.Attempts, &d.NextAttemptAt, &d.CreatedAt, &d.FinishedAt)
	return d, err
}

// Deliveries lists what was, or is to be, delivered to an endpoint, newest
// first, and tells whether there are more.
func (h *Webhooks) Deliveries(ctx context.Context, s tenants.Scope, endpoint ids.ID, p tenants.Page) (all []Delivery, more bool, err error) {
	err = s.In(ctx, h.db, func(tx pgx.Tx) error {
		if _, err := readEndpoint(ctx, tx, s, endpoint); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, deliveriesSQL, pgx.StrictNamedArgs{
			"agency_id": s.AgencyID, "endpoint_id": endpoint, "after": p.After.OrNil(), "limit": p.Limit + 1,
		})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanDelivery)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list webhook deliveries: %w", err)
	}
	if len(all) > p.Limit {
		return all[:p.Limit], true, nil
	}
	return all, false, nil
}

// Attempts gives the newest POSTs to an endpoint, newest first.
func (h *Webhooks) Attempts(ctx context.Context, s tenants.Scope, endpoint ids.ID, limit int) (all []Attempt, err error) {
	err = s.In(ctx, h.db, func(tx pgx.Tx) error {
		if _, err := readEndpoint(ctx, tx, s, endpoint); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, attemptsSQL, pgx.StrictNamedArgs{"agency_id": s.AgencyID, "endpoint_id": endpoint, "limit": limit})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Attempt, err error) {
			err = row.Scan(&a.DeliveryID, &a.EndpointID, &a.EventID, &a.Nth, &a.Status, &a.Error, &a.Response, &a.Milliseconds, &a.CreatedAt)
			return a, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list webhook attempts: %w", err)
	}
	return all, nil
}

// Resend delivers an event once more, at once, with the same webhook-id.
func (h *Webhooks) Resend(ctx context.Context, s tenants.Scope, delivery ids.ID, r *receipts.Receipt) (d Delivery, err error) {
	now := h.clock.Now()
	// The agency's scope: a workspace's may only read deliveries.
	err = h.db.InAgency(ctx, s.AgencyID, func(tx pgx.Tx) error {
		d, err = receipts.Once(ctx, tx, r, func() (Delivery, error) {
			rows, err := tx.Query(ctx, resendSQL, pgx.StrictNamedArgs{
				"agency_id": s.AgencyID, "id": delivery, "workspace_id": s.Workspace.ID, "now": now,
			})
			if err != nil {
				return Delivery{}, err
			}
			d, err := pgx.CollectExactlyOneRow(rows, scanDelivery)
			if errors.Is(err, pgx.ErrNoRows) {
				return d, fault.New(fault.NotFound, "not_found", "No such webhook delivery.")
			}
			if err != nil {
				return d, err
			}
			return d, h.queue.Insert(ctx, tx, Deliver{s.AgencyID, delivery, d.EndpointID}, time.Time{})
		})
		return err
	})
	if err != nil {
		return Delivery{}, fmt.Errorf("resend a webhook delivery: %w", err)
	}
	return d, nil
}

// lost is how late a delivery is when its job must have got lost.
const lost = 90 * time.Second

// Recover enqueues deliveries whose job got lost: each has a row that says when
// it is due, so that none is forgotten with its job.
func (h *Webhooks) Recover(ctx context.Context) (n int, err error) {
	now := h.clock.Now()
	err = h.db.InSystem(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lateSQL, pgx.StrictNamedArgs{"before": now.Add(-lost), "limit": 500})
		if err != nil {
			return err
		}
		late, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j Deliver, err error) {
			err = row.Scan(&j.AgencyID, &j.DeliveryID, &j.EndpointID)
			return j, err
		})
		if err != nil {
			return err
		}
		n = len(late)
		for _, j := range late {
			if err := h.queue.Insert(ctx, tx, j, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("recover webhook deliveries: %w", err)
	}
	return n, nil
}
