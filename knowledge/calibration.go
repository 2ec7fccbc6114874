package knowledge

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// Calibrate is the job that learns again how sure answers from a workspace are,
// because its index has changed. The package above works it: with Signals for
// questions that content surely does not answer, Headings for some that it
// does, and StoreCalibration. One whose Changes have passed (Calibration tells)
// has nothing to do.
type Calibrate struct {
	AgencyID    int64 `json:"agency_id"`
	WorkspaceID int64 `json:"workspace_id"`
	Changes     int64 `json:"changes"`
}

// Kind is the job's name in the queue.
func (Calibrate) Kind() string { return "calibrate" }

// InsertOpts says how the job is queued.
func (Calibrate) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queue.Embed, Priority: 2, MaxAttempts: 10, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// Calibration is what was learnt about a workspace.
type Calibration struct {
	Data json.RawMessage // nil: nothing yet
	// MadeFor and Changes count the changes of the index, then and now: they
	// are equal if the calibration is current.
	MadeFor, Changes int64
	Passages         int // in the index now
}

const (
	changesSQL     = `select coalesce(max(changes), 0) from search_statistics where workspace_id = @workspace_id`
	calibrationSQL = `
select c.data, coalesce(c.changes, 0), coalesce(s.changes, 0), coalesce(s.passages, 0)
from (select) one
left join calibrations c on c.workspace_id = @workspace_id
left join search_statistics s on s.workspace_id = @workspace_id`
	storeCalibrationSQL = `
insert into calibrations as c (agency_id, workspace_id, changes, data, updated_at) values (@agency_id, @workspace_id, @changes, @data, @now)
on conflict (workspace_id) do update set changes = excluded.changes, data = excluded.data, updated_at = excluded.updated_at
where c.changes <= excluded.changes`
	// Spread over the pages by the arbitrary order of their ids' random part.
	headingsSQL = `
select heading, language from (
  select distinct on (h.heading) h.heading, p.language, p.page_id
  from passages p, lateral (select p.heading_path[cardinality(p.heading_path)] as heading) h
  where p.workspace_id = @workspace_id and length(h.heading) between 8 and 200
    and not exists (select from pages g where g.workspace_id = p.workspace_id and g.id = p.page_id and g.links_only)
  order by h.heading, p.id
) x order by right(page_id::text, 12), heading limit @limit`
)

func (k *Knowledge) enqueueCalibration(ctx context.Context, tx pgx.Tx, w postgres.Workspace) error {
	var changes int64
	if err := tx.QueryRow(ctx, changesSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}).Scan(&changes); err != nil {
		return fmt.Errorf("read the index's changes: %w", err)
	}
	return k.queue.Insert(ctx, tx, Calibrate{w.AgencyID, w.ID, changes}, time.Time{})
}

// Calibration gives what was stored for the workspace.
func (k *Knowledge) Calibration(ctx context.Context, w postgres.Workspace) (c Calibration, err error) {
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, calibrationSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}).Scan(&c.Data, &c.MadeFor, &c.Changes, &c.Passages)
	})
	if err != nil {
		return Calibration{}, fmt.Errorf("read the calibration: %w", err)
	}
	return c, nil
}

// StoreCalibration stores what was learnt from an index with that many changes,
// unless something newer is there.
func (k *Knowledge) StoreCalibration(ctx context.Context, w postgres.Workspace, madeFor int64, data json.RawMessage) error {
	now := k.clock.Now()
	err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		if err := liveWorkspace(ctx, tx, w); err != nil {
			return ignoreGone(err)
		}
		_, err := tx.Exec(ctx, storeCalibrationSQL, pgx.StrictNamedArgs{
			"agency_id": w.AgencyID, "workspace_id": w.ID, "changes": madeFor, "data": data, "now": now,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("store the calibration: %w", err)
	}
	return nil
}

// Signals asks several questions, to be answered, and gives the signals of each.
// Those that come with a vector are not embedded. Sentences are not compared.
func (k *Knowledge) Signals(ctx context.Context, w postgres.Workspace, questions []Query) ([]rank.Signals, error) {
	all := make([]rank.Signals, len(questions))
	for i, q := range questions {
		q.Limit, q.Answering = 1, true
		found, _, err := k.search(ctx, w, q)
		if err != nil {
			return nil, err
		}
		all[i] = found.Signals
	}
	return all, nil
}

// Heading is one of the workspace's own headings.
type Heading struct{ Text, Language string }

// Headings gives some of the headings in the workspace's index, each once: the
// nearest there is to questions that the content surely answers.
func (k *Knowledge) Headings(ctx context.Context, w postgres.Workspace, limit int) (all []Heading, err error) {
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, headingsSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "limit": limit})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Heading])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read headings: %w", err)
	}
	return all, nil
}
