package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/tenants"
)

// NewEndpoint is what an endpoint is made of.
type NewEndpoint struct {
	URL         string
	Description string
	EventTypes  []string // "*" for all
	Payload     string   // empty: Full
}

// EndpointChange says what to change; nil leaves a field as it is.
type EndpointChange struct {
	URL, Description, Payload, Status *string
	EventTypes                        *[]string
	IfVersion                         int64 // 0: whatever it is now
}

const endpointColumns = `e.id, coalesce(e.workspace_id, 0), coalesce(w.id, '00000000-0000-0000-0000-000000000000'), e.url, e.description,
e.event_types, e.payload, e.status, coalesce(e.disabled_reason, ''), e.version, e.created_at, e.updated_at`

const (
	endpointFrom = ` from webhook_endpoints e left join workspaces w on w.agency_id = e.agency_id and w.workspace_id = e.workspace_id
where e.agency_id = @agency_id and (@workspace_id::bigint = 0 or e.workspace_id = @workspace_id)`
	readEndpointSQL  = `select ` + endpointColumns + endpointFrom + ` and e.id = @id`
	listEndpointsSQL = `select ` + endpointColumns + endpointFrom + `
and (@after::uuid is null or e.id < @after) order by e.id desc limit @limit`
	insertEndpointSQL = `
insert into webhook_endpoints (agency_id, id, workspace_id, url, description, event_types, payload, secret, created_at, updated_at)
values (@agency_id, @id, nullif(@workspace_id::bigint, 0), @url, @description, @event_types, @payload, @secret, @now, @now)`
	updateEndpointSQL = `
update webhook_endpoints set url = @url, description = @description, event_types = @event_types, payload = @payload, status = @status,
  disabled_reason = @reason, failing_since = case when @status = 'enabled' and status = 'disabled' then null else failing_since end,
  version = version + 1, updated_at = @now
where agency_id = @agency_id and id = @id`
	lockEndpointSQL   = `select from webhook_endpoints where agency_id = @agency_id and id = @id for update`
	deleteEndpointSQL = `delete from webhook_endpoints where agency_id = @agency_id and id = @id`
	unsubscribeSQL    = `delete from webhook_subscriptions where agency_id = @agency_id and endpoint_id = @id`
	subscribeSQL      = `
insert into webhook_subscriptions (agency_id, endpoint_id, workspace_id, kind)
select @agency_id, @id, nullif(@workspace_id::bigint, 0), kind from unnest(@kinds::smallint[]) as u (kind)`
	disableSQL = `
update webhook_endpoints set status = 'disabled', disabled_reason = @reason, version = version + 1, updated_at = @now
where agency_id = @agency_id and id = @id and status = 'enabled' returning coalesce(workspace_id, 0)`
)

func scanEndpoint(row pgx.CollectableRow) (e Endpoint, err error) {
	err = row.Scan(&e.ID, &e.WorkspaceID, &e.Workspace, &e.URL, &e.Description, &e.EventTypes, &e.Payload, &e.Status, &e.DisabledReason,
		&e.Version, &e.CreatedAt, &e.UpdatedAt)
	return e, err
}

// Create makes an endpoint, for the workspace or the agency in scope. Its secret
// is told this once.
func (h *Webhooks) Create(ctx context.Context, s tenants.Scope, made NewEndpoint, r *receipts.Receipt) (e Endpoint, err error) {
	if made.Payload == "" {
		made.Payload = Full
	}
	if err := check(made.URL, made.EventTypes); err != nil {
		return Endpoint{}, err
	}
	now, secret := h.clock.Now(), newSecret()
	id := ids.New(now)
	err = s.In(ctx, h.db, func(tx pgx.Tx) error {
		e, err = receipts.Once(ctx, tx, r, func() (Endpoint, error) {
			if _, err := tx.Exec(ctx, insertEndpointSQL, pgx.StrictNamedArgs{
				"agency_id": s.AgencyID, "id": id, "workspace_id": s.Workspace.ID, "url": made.URL, "description": made.Description,
				"event_types": made.EventTypes, "payload": made.Payload, "secret": h.box.Seal(place(id), []byte(secret)), "now": now,
			}); err != nil {
				return Endpoint{}, err
			}
			e, err := readEndpoint(ctx, tx, s, id)
			if err != nil {
				return e, err
			}
			e.Secret = secret
			return e, subscribe(ctx, tx, s.AgencyID, e)
		})
		return err
	})
	if err != nil {
		return Endpoint{}, fmt.Errorf("create a webhook endpoint: %w", err)
	}
	return e, nil
}

// Endpoint gives an endpoint as it is now.
func (h *Webhooks) Endpoint(ctx context.Context, s tenants.Scope, id ids.ID) (e Endpoint, err error) {
	err = s.In(ctx, h.db, func(tx pgx.Tx) error {
		e, err = readEndpoint(ctx, tx, s, id)
		return err
	})
	return e, err
}

// EndpointsByID gives those of the endpoints that exist and are in tx's scope.
func EndpointsByID(ctx context.Context, tx pgx.Tx, s tenants.Scope, wanted []ids.ID) (map[ids.ID]Endpoint, error) {
	found := map[ids.ID]Endpoint{}
	for _, id := range wanted {
		e, err := readEndpoint(ctx, tx, s, id)
		if err != nil && fault.Of(err).Kind == fault.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[id] = e
	}
	return found, nil
}

// Endpoints lists the endpoints in scope, newest first, and tells whether there are more.
func (h *Webhooks) Endpoints(ctx context.Context, s tenants.Scope, p tenants.Page) (all []Endpoint, more bool, err error) {
	err = s.In(ctx, h.db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, listEndpointsSQL, pgx.StrictNamedArgs{
			"agency_id": s.AgencyID, "workspace_id": s.Workspace.ID, "after": p.After.OrNil(), "limit": p.Limit + 1,
		})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanEndpoint)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list webhook endpoints: %w", err)
	}
	if len(all) > p.Limit {
		return all[:p.Limit], true, nil
	}
	return all, false, nil
}

// Update changes an endpoint. Enabling one again starts its record afresh.
func (h *Webhooks) Update(ctx context.Context, s tenants.Scope, id ids.ID, c EndpointChange, r *receipts.Receipt) (e Endpoint, err error) {
	err = s.In(ctx, h.db, func(tx pgx.Tx) error {
		e, err = receipts.Once(ctx, tx, r, func() (Endpoint, error) {
			if _, err := tx.Exec(ctx, lockEndpointSQL, pgx.StrictNamedArgs{"agency_id": s.AgencyID, "id": id}); err != nil {
				return Endpoint{}, err
			}
			e, err := readEndpoint(ctx, tx, s, id)
			if err != nil {
				return e, err
			}
			if c.IfVersion != 0 && c.IfVersion != e.Version {
				return e, fault.New(fault.Conflict, "precondition_failed", "This webhook endpoint was changed meanwhile. Read it again.")
			}
			apply(&e, c)
			if err := check(e.URL, e.EventTypes); err != nil {
				return e, err
			}
			return e, h.save(ctx, tx, s, &e)
		})
		return err
	})
	if err != nil {
		return Endpoint{}, fmt.Errorf("update a webhook endpoint: %w", err)
	}
	return e, nil
}

func apply(e *Endpoint, c EndpointChange) {
	set := func(to, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&e.URL, c.URL)
	set(&e.Description, c.Description)
	set(&e.Payload, c.Payload)
	if c.EventTypes != nil {
		e.EventTypes = *c.EventTypes
	}
	if c.Status != nil && *c.Status != e.Status {
		e.Status, e.DisabledReason = *c.Status, ""
		if e.Status == Disabled {
			e.DisabledReason = "Disabled by the agency."
		}
	}
}

func (h *Webhooks) save(ctx context.Context, tx pgx.Tx, s tenants.Scope, e *Endpoint) error {
	now := h.clock.Now()
	var reason *string
	if e.DisabledReason != "" {
		reason = &e.DisabledReason
	}
	if _, err := tx.Exec(ctx, updateEndpointSQL, pgx.StrictNamedArgs{
		"agency_id": s.AgencyID, "id": e.ID, "url": e.URL, "description": e.Description, "event_types": e.EventTypes,
		"payload": e.Payload, "status": e.Status, "reason": reason, "now": now,
	}); err != nil {
		return err
	}
	e.Version, e.UpdatedAt = e.Version+1, now
	return subscribe(ctx, tx, s.AgencyID, *e)
}

// Delete removes an endpoint. What was still to be delivered to it is not.
func (h *Webhooks) Delete(ctx context.Context, s tenants.Scope, id ids.ID) error {
	err := s.In(ctx, h.db, func(tx pgx.Tx) error {
		if _, err := readEndpoint(ctx, tx, s, id); err != nil {
			return err
		}
		args := pgx.StrictNamedArgs{"agency_id": s.AgencyID, "id": id}
		if _, err := tx.Exec(ctx, unsubscribeSQL, args); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, deleteEndpointSQL, args)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete a webhook endpoint: %w", err)
	}
	return nil
}

// disable turns an endpoint off, and tells the others.
func (h *Webhooks) disable(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID, reason string, now time.Time) error {
	var workspaceID int64
	err := tx.QueryRow(ctx, disableSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id, "reason": reason, "now": now}).Scan(&workspaceID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // it is disabled already
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, unsubscribeSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id}); err != nil {
		return err
	}
	return events.Append(ctx, tx, events.Event{
		ID: ids.New(now), AgencyID: agencyID, WorkspaceID: workspaceID, Type: events.WebhookEndpointDisabled, Object: id, At: now,
	})
}

// subscribe makes what the relay reads say the same as the endpoint.
func subscribe(ctx context.Context, tx pgx.Tx, agencyID int64, e Endpoint) error {
	if _, err := tx.Exec(ctx, unsubscribeSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": e.ID}); err != nil {
		return err
	}
	if e.Status != Enabled {
		return nil
	}
	kinds := []int16{0}
	if !slices.Contains(e.EventTypes, "*") {
		kinds = kinds[:0]
		for _, t := range e.EventTypes {
			kinds = append(kinds, events.Type(t).Number())
		}
		slices.Sort(kinds)
		kinds = slices.Compact(kinds)
	}
	_, err := tx.Exec(ctx, subscribeSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": e.ID, "workspace_id": e.WorkspaceID, "kinds": kinds})
	return err
}

func readEndpoint(ctx context.Context, tx pgx.Tx, s tenants.Scope, id ids.ID) (Endpoint, error) {
	rows, err := tx.Query(ctx, readEndpointSQL, pgx.StrictNamedArgs{"agency_id": s.AgencyID, "workspace_id": s.Workspace.ID, "id": id})
	if err != nil {
		return Endpoint{}, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEndpoint)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, fault.New(fault.NotFound, "not_found", "No such webhook endpoint.")
	}
	return e, err
}

// check refuses what could never be delivered.
func check(address string, types []string) error {
	if why := tenants.WrongAddress(address); why != "" {
		return invalid("/url", "The url "+why)
	}
	if len(types) == 0 {
		return invalid("/event_types", `Name at least one event type, or "*" for all.`)
	}
	for i, t := range types {
		if t != "*" && !events.Type(t).Known() {
			return invalid("/event_types/"+strconv.Itoa(i), "There is no such type of event.")
		}
	}
	return nil
}

func invalid(pointer, sentence string) error {
	return &tenants.FieldError{Fault: fault.New(fault.Invalid, "validation_failed", "%s", sentence), Pointer: pointer}
}
