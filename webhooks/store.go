package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/ids"
)

// match is an event that an endpoint wants.
type match struct {
	event    events.Numbered
	endpoint ids.ID
	id       ids.ID // of the delivery
}

const matchSQL = `
select b.n, s.endpoint_id
from (select * from unnest(@agencies::bigint[], @workspaces::bigint[], @kinds::smallint[]) with ordinality as u (agency_id, workspace_id, kind, n)) b
join webhook_subscriptions s on s.agency_id = b.agency_id
  and (s.workspace_id is null or s.workspace_id = b.workspace_id) and (s.kind = 0 or s.kind = b.kind)
order by b.n`

func matches(ctx context.Context, tx pgx.Tx, batch []events.Numbered) ([]match, error) {
	agencies, workspaces, kinds := make([]int64, len(batch)), make([]int64, len(batch)), make([]int16, len(batch))
	for i, n := range batch {
		agencies[i], workspaces[i], kinds[i] = n.AgencyID, n.WorkspaceID, n.Type.Number()
	}
	rows, err := tx.Query(ctx, matchSQL, pgx.StrictNamedArgs{"agencies": agencies, "workspaces": workspaces, "kinds": kinds})
	if err != nil {
		return nil, fmt.Errorf("find the endpoints of events: %w", err)
	}
	wanted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m match, err error) {
		var n int64
		if err := row.Scan(&n, &m.endpoint); err != nil {
			return m, err
		}
		m.event = batch[n-1]
		return m, nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the endpoints of events: %w", err)
	}
	return wanted, nil
}

const storeDeliveriesSQL = `
insert into webhook_deliveries (agency_id, id, workspace_id, endpoint_id, event_id, position, next_attempt_at, created_at)
select agency_id, id, nullif(workspace_id, 0), endpoint_id, event_id, position, @now, @now
from unnest(@agencies::bigint[], @ids::uuid[], @workspaces::bigint[], @endpoints::uuid[], @events::uuid[], @positions::bigint[])
  as u (agency_id, id, workspace_id, endpoint_id, event_id, position)`

func storeDeliveries(ctx context.Context, tx pgx.Tx, all []match, now time.Time) error {
	n := len(all)
	agencies, workspaces, positions := make([]int64, n), make([]int64, n), make([]int64, n)
	deliveries, endpoints, eventIDs := make([]ids.ID, n), make([]ids.ID, n), make([]ids.ID, n)
	for i, m := range all {
		agencies[i], workspaces[i], positions[i] = m.event.AgencyID, m.event.WorkspaceID, m.event.Position
		deliveries[i], endpoints[i], eventIDs[i] = m.id, m.endpoint, m.event.ID
	}
	_, err := tx.Exec(ctx, storeDeliveriesSQL, pgx.StrictNamedArgs{
		"agencies": agencies, "ids": deliveries, "workspaces": workspaces, "endpoints": endpoints, "events": eventIDs, "positions": positions, "now": now,
	})
	if err != nil {
		return fmt.Errorf("store webhook deliveries: %w", err)
	}
	return nil
}

// claimSQL takes the lease of a delivery that is due and that nobody holds.
const claimSQL = `
update webhook_deliveries d set lease = d.lease + 1, leased_until = @until
from webhook_endpoints e
where d.agency_id = @agency_id and d.id = @id and d.state = 0 and d.next_attempt_at <= @now
  and (d.leased_until is null or d.leased_until <= @now)
  and e.agency_id = d.agency_id and e.id = d.endpoint_id and e.status = 'enabled'
returning coalesce(d.workspace_id, 0), d.endpoint_id, d.event_id, d.position, d.attempts + 1, d.lease, e.url, e.payload, e.secret`

const cancelSQL = `
update webhook_deliveries d set state = 3, finished_at = @now
where d.agency_id = @agency_id and d.id = @id and d.state = 0
  and not exists (select from webhook_endpoints e where e.agency_id = d.agency_id and e.id = d.endpoint_id and e.status = 'enabled')`

// nextSQL tells when a delivery that could not be claimed comes up.
const nextSQL = `
select greatest(next_attempt_at, leased_until) from webhook_deliveries
where agency_id = @agency_id and id = @id and state = 0`

// claim takes a delivery's lease. found is false when there is nothing to do
// now; if there is later, a job is there for it.
func (h *Webhooks) claim(ctx context.Context, job Deliver) (c claimed, found bool, err error) {
	now := h.clock.Now()
	err = h.db.InAgency(ctx, job.AgencyID, func(tx pgx.Tx) error {
		c = claimed{agencyID: job.AgencyID, id: job.DeliveryID}
		err := tx.QueryRow(ctx, claimSQL, pgx.StrictNamedArgs{
			"agency_id": job.AgencyID, "id": job.DeliveryID, "now": now, "until": now.Add(lease),
		}).Scan(&c.workspaceID, &c.endpoint, &c.eventID, &c.position, &c.nth, &c.lease, &c.url, &c.payload, &c.secret)
		if err == nil {
			found = true
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if _, err := tx.Exec(ctx, cancelSQL, pgx.StrictNamedArgs{"agency_id": job.AgencyID, "id": job.DeliveryID, "now": now}); err != nil {
			return err
		}
		// Somebody else holds it, or it is early: come again then.
		var next time.Time
		err = tx.QueryRow(ctx, nextSQL, pgx.StrictNamedArgs{"agency_id": job.AgencyID, "id": job.DeliveryID}).Scan(&next)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if next.Before(now) {
			next = now
		}
		return h.queue.Insert(ctx, tx, job, next.Add(time.Second))
	})
	if err != nil {
		return c, false, fmt.Errorf("claim a webhook delivery: %w", err)
	}
	return c, found, nil
}

const (
	lockDeliverySQL = `select lease = @lease and state = 0 from webhook_deliveries where agency_id = @agency_id and id = @id for update`
	storeAttemptSQL = `
insert into webhook_attempts (agency_id, workspace_id, delivery_id, endpoint_id, nth, status, error, response, milliseconds, created_at)
values (@agency_id, nullif(@workspace_id::bigint, 0), @id, @endpoint_id, @nth, @status, nullif(@error, ''), nullif(@response, ''), @milliseconds, @now)
on conflict (agency_id, delivery_id, nth) do nothing`
	finishSQL = `
update webhook_deliveries set state = @state, attempts = @nth, leased_until = null, next_attempt_at = @next, finished_at = @finished
where agency_id = @agency_id and id = @id`
	// A success is written down only where a failure was: deliveries of a
	// healthy endpoint must not queue up for its row.
	healthySQL = `update webhook_endpoints set failing_since = null where agency_id = @agency_id and id = @id and failing_since is not null`
	failingSQL = `
update webhook_endpoints set failing_since = coalesce(failing_since, @now) where agency_id = @agency_id and id = @id
returning failing_since`
)

// store keeps what came of an attempt, unless the lease went to somebody else.
func (h *Webhooks) store(ctx context.Context, c claimed, sent bool, out outcome, complete func(context.Context, pgx.Tx) error) error {
	now := h.clock.Now()
	err := h.db.InAgency(ctx, c.agencyID, func(tx pgx.Tx) error {
		var mine bool
		err := tx.QueryRow(ctx, lockDeliverySQL, pgx.StrictNamedArgs{"agency_id": c.agencyID, "id": c.id, "lease": c.lease}).Scan(&mine)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !mine {
			return nil
		}
		if err != nil {
			return err
		}
		if err := h.settle(ctx, tx, c, sent, out, now); err != nil {
			return err
		}
		if complete != nil {
			return complete(ctx, tx)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store a webhook attempt: %w", err)
	}
	return nil
}

func (h *Webhooks) settle(ctx context.Context, tx pgx.Tx, c claimed, sent bool, out outcome, now time.Time) error {
	if !sent {
		return finish(ctx, tx, c, Cancelled, nil, now)
	}
	if _, err := tx.Exec(ctx, storeAttemptSQL, pgx.StrictNamedArgs{
		"agency_id": c.agencyID, "workspace_id": c.workspaceID, "id": c.id, "endpoint_id": c.endpoint, "nth": c.nth,
		"status": out.status, "error": out.problem, "response": out.response, "milliseconds": out.milliseconds, "now": now,
	}); err != nil {
		return err
	}
	if out.taken() {
		if err := finish(ctx, tx, c, Succeeded, nil, now); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, healthySQL, pgx.StrictNamedArgs{"agency_id": c.agencyID, "id": c.endpoint})
		return err
	}
	var since time.Time
	if err := tx.QueryRow(ctx, failingSQL, pgx.StrictNamedArgs{"agency_id": c.agencyID, "id": c.endpoint, "now": now}).Scan(&since); err != nil {
		return err
	}
	switch {
	case out.gone():
		return h.giveUp(ctx, tx, c, "The receiver answered 410 Gone.", now)
	case now.Sub(since) >= givenUp:
		return h.giveUp(ctx, tx, c, "Every delivery failed for five days.", now)
	}
	after, more := wait(c.nth, out.retryAfter)
	if !more {
		return finish(ctx, tx, c, Failed, nil, now)
	}
	next := now.Add(after)
	if err := finish(ctx, tx, c, Pending, &next, now); err != nil {
		return err
	}
	return h.queue.Insert(ctx, tx, Deliver{c.agencyID, c.id, c.endpoint}, next)
}

func (h *Webhooks) giveUp(ctx context.Context, tx pgx.Tx, c claimed, reason string, now time.Time) error {
	if err := finish(ctx, tx, c, Failed, nil, now); err != nil {
		return err
	}
	return h.disable(ctx, tx, c.agencyID, c.endpoint, reason, now)
}

func finish(ctx context.Context, tx pgx.Tx, c claimed, state State, next *time.Time, now time.Time) error {
	var finished *time.Time
	if state != Pending {
		finished = &now
	}
	_, err := tx.Exec(ctx, finishSQL, pgx.StrictNamedArgs{
		"agency_id": c.agencyID, "id": c.id, "state": state, "nth": c.nth, "next": next, "finished": finished,
	})
	return err
}
