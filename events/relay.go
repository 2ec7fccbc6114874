package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

const (
	batch = 2000
	// net catches what no wake-up told of: another node's commit, or one of a
	// node that died before it could wake anybody.
	net = time.Second
	// gather lets events of the same moment share a batch.
	gather = 2 * time.Millisecond
)

// Numbered is an event that has just got its position.
type Numbered struct {
	ID           ids.ID
	AgencyID     int64
	WorkspaceID  int64 // 0: the agency's own
	Type         Type
	Conversation ids.ID // zero: none
	Position     int64
}

// Relay numbers events. Every node runs one; which of them takes a lane does
// not matter, because a lane is locked while its events are numbered.
type Relay struct {
	db     *postgres.DB
	log    *slog.Logger
	fanOut func(ctx context.Context, tx pgx.Tx, batch []Numbered) error
	after  func(batch []Numbered)
	wake   chan struct{}
}

// NewRelay makes a relay. fanOut runs in the transaction that numbers a batch:
// what it writes exists exactly once for each event. after runs when a batch
// was committed and must not block. Both may be nil.
func NewRelay(db *postgres.DB, log *slog.Logger, fanOut func(context.Context, pgx.Tx, []Numbered) error, after func([]Numbered)) *Relay {
	return &Relay{db: db, log: log, fanOut: fanOut, after: after, wake: make(chan struct{}, 1)}
}

// Wake tells the relay that something was committed. It never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // it is told already
	}
}

// Run numbers events until ctx ends. A database that is away is waited for.
func (r *Relay) Run(ctx context.Context) {
	tick := time.NewTicker(net)
	defer tick.Stop()
	for {
		if err := r.Drain(ctx); err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "number events", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.wake:
			select {
			case <-ctx.Done():
				return
			case <-time.After(gather):
			}
		}
	}
}

// Drain numbers all that is committed now, except what another relay has in hand.
func (r *Relay) Drain(ctx context.Context) error {
	for {
		done, err := r.once(ctx)
		if err != nil || done {
			return err
		}
	}
}

// laneSQL locks a lane that has work. The numbering has to be a statement of
// its own: only a snapshot that is taken under the lock sees everything that
// the lane's last holder left.
const laneSQL = `
select l.lane from event_lanes l
where exists (select from event_inbox i where i.lane = l.lane)
order by random() limit 1 for update of l skip locked`

const numberSQL = `
with taken as (
  delete from event_inbox where lane = @lane
    and ref in (select ref from event_inbox where lane = @lane order by ref limit @batch)
  returning agency_id, ref, workspace_id, id, kind, conversation_id, created_at
), counted as (
  select agency_id, count(*) as n from taken group by agency_id
), bumped as (
  insert into event_positions as p (agency_id, last) select agency_id, n from counted
  on conflict (agency_id) do update set last = p.last + excluded.last
  returning agency_id, last
), numbered as (
  insert into event_log (agency_id, position, ref, workspace_id, id, kind, conversation_id, created_at)
  select agency_id, b.last - c.n + row_number() over (partition by agency_id order by t.ref),
    t.ref, t.workspace_id, t.id, t.kind, t.conversation_id, t.created_at
  from taken t join counted c using (agency_id) join bumped b using (agency_id)
  returning id, agency_id, workspace_id, kind, conversation_id, position
)
select id, agency_id, coalesce(workspace_id, 0), kind, coalesce(conversation_id, '00000000-0000-0000-0000-000000000000'), position
from numbered order by agency_id, position`

func (r *Relay) once(ctx context.Context) (done bool, err error) {
	var numbered []Numbered
	err = r.db.InSystem(ctx, func(tx pgx.Tx) error {
		var lane int16
		if err := tx.QueryRow(ctx, laneSQL).Scan(&lane); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, numberSQL, pgx.StrictNamedArgs{"lane": lane, "batch": batch})
		if err != nil {
			return err
		}
		numbered, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Numbered, err error) {
			var number int16
			err = row.Scan(&n.ID, &n.AgencyID, &n.WorkspaceID, &number, &n.Conversation, &n.Position)
			n.Type = typeOf(number)
			return n, err
		})
		if err != nil || r.fanOut == nil || len(numbered) == 0 {
			return err
		}
		return r.fanOut(ctx, tx, numbered)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return true, nil
	case err != nil:
		return true, fmt.Errorf("number a batch: %w", err)
	}
	if r.after != nil && len(numbered) > 0 {
		r.after(numbered)
	}
	return false, nil
}
