package knowledge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
)

// A lane is a workspace's chain of slices of one kind. Its row says whether a
// job is alive and which number that job has. Whoever makes work wakes the lane
// in the same transaction; whoever ends a slice looks, under the row's lock,
// whether there is more to do, and then enqueues the next number or lets the
// lane rest. A job whose number has passed finds that out and does nothing, so
// a lane never has two chains, whatever is killed and rescued in between.
type lane int16

const (
	laneCrawl lane = 1
	laneEmbed lane = 2
)

// CrawlSlice is the job of the crawling lane: one slice of one of the
// workspace's sources, whichever is next.
type CrawlSlice struct {
	AgencyID    int64 `json:"agency_id"`
	WorkspaceID int64 `json:"workspace_id"`
	Number      int64 `json:"number"`
	backlog     int
}

// Kind is the job's name in the queue.
func (CrawlSlice) Kind() string { return "crawl_slice" }

// InsertOpts says how the job is queued.
func (a CrawlSlice) InsertOpts() river.InsertOpts { return sliceOpts(queue.Crawl, a.backlog) }

// EmbedSlice is the job of the embedding lane: vectors for some passages.
type EmbedSlice struct {
	AgencyID    int64 `json:"agency_id"`
	WorkspaceID int64 `json:"workspace_id"`
	Number      int64 `json:"number"`
	backlog     int
}

// Kind is the job's name in the queue.
func (EmbedSlice) Kind() string { return "embed_slice" }

// InsertOpts says how the job is queued.
func (a EmbedSlice) InsertOpts() river.InsertOpts { return sliceOpts(queue.Embed, a.backlog) }

// sliceOpts gives who has much to do the lower priority, so that a small site
// is ready while a big one is still read. Lower priorities are not starved:
// a tenant has one job in the queue at a time.
func sliceOpts(name string, backlog int) river.InsertOpts {
	priority := 4
	for i, below := range []int{20, 60, 200} {
		if backlog < below {
			priority = i + 1
			break
		}
	}
	return river.InsertOpts{Queue: name, Priority: priority, MaxAttempts: 20, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

const (
	// A lane that rests starts a new number; one that is alive will look again.
	wakeLaneSQL = `
insert into knowledge_lanes as l (agency_id, workspace_id, kind, number, live, updated_at)
values (@agency_id, @workspace_id, @kind, 1, true, @now)
on conflict (workspace_id, kind) do update set number = l.number + 1, live = true, updated_at = excluded.updated_at
where not l.live
returning l.number`
	lockLaneSQL  = `select number, live from knowledge_lanes where workspace_id = @workspace_id and kind = @kind for update`
	moveLaneSQL  = `update knowledge_lanes set number = @number, live = @live, updated_at = @now where workspace_id = @workspace_id and kind = @kind`
	checkLaneSQL = `select exists (select from knowledge_lanes where workspace_id = @workspace_id and kind = @kind and number = @number and live)`
	stalledSQL   = `select agency_id, workspace_id, kind, number from knowledge_lanes where live and updated_at < @before order by updated_at limit 100`
	// What is due first, and how much of it there is (at most 200).
	crawlWorkSQL = `
select (select min(next_at) from sources where workspace_id = @workspace_id and (walking or status = 'deleting')),
  (select count(*) from (select from pages where workspace_id = @workspace_id and state <> 'done' limit 200) p)`
	embedWorkSQL = `
select case when exists (select from passages_unembedded where workspace_id = @workspace_id) then @now::timestamptz end,
  (select count(*) from (select from passages_unembedded where workspace_id = @workspace_id limit 200) p)`
)

// wakeLane starts the lane's chain unless it is alive. The work was written by
// the same transaction before.
func (k *Knowledge) wakeLane(ctx context.Context, tx pgx.Tx, w postgres.Workspace, l lane, now time.Time) error {
	var number int64
	err := tx.QueryRow(ctx, wakeLaneSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "kind": l, "now": now,
	}).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wake a lane: %w", err)
	}
	return k.enqueueSlice(ctx, tx, w, l, number, 0, time.Time{})
}

// inLane tells whether a job is still the one that its lane waits for.
func inLane(ctx context.Context, tx pgx.Tx, w postgres.Workspace, l lane, number int64) (mine bool, err error) {
	err = tx.QueryRow(ctx, checkLaneSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "kind": l, "number": number}).Scan(&mine)
	return mine, err
}

// moveLane ends the slice with this number: it enqueues the next one if there is
// work, and lets the lane rest if not. Another number's slice is left alone.
func (k *Knowledge) moveLane(ctx context.Context, tx pgx.Tx, w postgres.Workspace, l lane, number int64, now time.Time) error {
	args := pgx.StrictNamedArgs{"workspace_id": w.ID, "kind": l}
	var current int64
	var live bool
	if err := tx.QueryRow(ctx, lockLaneSQL, args).Scan(&current, &live); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return fmt.Errorf("lock a lane: %w", err)
	}
	if current != number || !live {
		return nil
	}
	// A statement of its own, begun under the lock: it sees what was committed
	// by whoever found the lane alive.
	work, workArgs := crawlWorkSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}
	if l == laneEmbed {
		work, workArgs = embedWorkSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "now": now}
	}
	var due *time.Time
	var backlog int
	if err := tx.QueryRow(ctx, work, workArgs).Scan(&due, &backlog); err != nil {
		return fmt.Errorf("look for work in a lane: %w", err)
	}
	args["number"], args["live"], args["now"] = number, due != nil, now
	if due != nil {
		args["number"] = number + 1
	}
	if _, err := tx.Exec(ctx, moveLaneSQL, args); err != nil {
		return fmt.Errorf("move a lane: %w", err)
	}
	if due == nil {
		return nil
	}
	at := *due
	if !at.After(now) {
		at = time.Time{}
	}
	return k.enqueueSlice(ctx, tx, w, l, number+1, backlog, at)
}

func (k *Knowledge) enqueueSlice(ctx context.Context, tx pgx.Tx, w postgres.Workspace, l lane, number int64, backlog int, at time.Time) error {
	var args river.JobArgs = CrawlSlice{w.AgencyID, w.ID, number, backlog}
	if l == laneEmbed {
		args = EmbedSlice{w.AgencyID, w.ID, number, backlog}
	}
	return k.queue.Insert(ctx, tx, args, at)
}

// stall is how long a live lane may stand still before Revive starts it again:
// longer than a slice, its rescue and the longest wait between two slices take.
const stall = 10 * time.Minute

// Revive starts lanes again whose job was lost, by an operator who emptied the
// queue or after its last attempt, and tells how many. It is called every few
// minutes.
func (k *Knowledge) Revive(ctx context.Context) (revived int, err error) {
	now := k.clock.Now()
	type stalled struct {
		w      postgres.Workspace
		l      lane
		number int64
	}
	var all []stalled
	err = k.db.InSystem(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, stalledSQL, pgx.StrictNamedArgs{"before": now.Add(-stall)})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s stalled, err error) {
			err = row.Scan(&s.w.AgencyID, &s.w.ID, &s.l, &s.number)
			return s, err
		})
		return err
	})
	for _, s := range all {
		if err != nil {
			break
		}
		err = k.db.InWorkspace(ctx, s.w, func(tx pgx.Tx) error { return k.moveLane(ctx, tx, s.w, s.l, s.number, now) })
		revived++
	}
	if err != nil {
		return revived, fmt.Errorf("revive lanes: %w", err)
	}
	return revived, nil
}
