package knowledge

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge/crawl"
)

const (
	// A site of which so many fetches in a row failed is down.
	downAfter = 30
	// What has vanished is removed in parts.
	vanishedPages = 200
	notModified   = "not_modified"
)

const (
	heldSQL = `select id from pages where workspace_id = @workspace_id and lease = @lease and state = 'leased' for update`
	// Texts that this crawl has already indexed at another address.
	sameTextSQL = `
select hash from pages
where workspace_id = @workspace_id and source_id = @id and status = 'indexed' and generation = @generation
  and outcome in ('indexed', 'unchanged') and hash = any (@hashes)`
	storePagesSQL = `
update pages p set state = u.state, lease = null, not_before = u.not_before, attempts = u.attempts, outcome = u.outcome, outcome_reason = u.outcome_reason,
  passing = u.passing, status = u.status, reason = u.reason, title = u.title, language = u.language, passages = u.passages,
  etag = u.etag, last_modified = u.last_modified, hash = u.hash,
  links_only = case when u.outcome = 'indexed' then u.links_only else p.links_only end,
  fetched_at = case when u.state = 'done' then @now else p.fetched_at end, updated_at = @now
from unnest(@ids::uuid[], @states::text[], @not_befores::timestamptz[], @attempts::int[], @outcomes::text[], @outcome_reasons::text[], @passings::boolean[],
  @statuses::text[], @reasons::text[], @titles::text[], @languages::text[], @passages::int[], @etags::text[], @last_modifieds::text[], @hashes::bytea[],
  @links_onlys::boolean[])
  as u (id, state, not_before, attempts, outcome, outcome_reason, passing, status, reason, title, language, passages, etag, last_modified, hash, links_only)
where p.workspace_id = @workspace_id and p.id = u.id`
	storedSliceSQL = `
update sources set misses = @misses, next_at = @next_at, title = case when title = '' then @title else title end, updated_at = @now
where workspace_id = @workspace_id and id = @id`
	waitingSQL = `
select count(*), coalesce(min(not_before), @now), count(*) filter (where state = 'leased' and not_before > @now)
from pages where workspace_id = @workspace_id and source_id = @id and generation = @generation and state <> 'done'`
	overLimitSQL = `
update pages set state = 'done', lease = null, outcome = 'skipped', outcome_reason = 'page_limit', updated_at = @now,
  status = case when status = '' then 'skipped' else status end, reason = case when status = '' then 'page_limit' else reason end
where workspace_id = @workspace_id and source_id = @id and generation = @generation and state <> 'done'`
	metSQL = `
select count(*) filter (where outcome in ('indexed', 'unchanged')) as kept,
  count(*) filter (where attempts > 0) as asked,
  count(*) filter (where passing) as passing,
  count(*) filter (where outcome_reason in ('page_limit', 'not_modified')) as unseen,
  coalesce(max(outcome_reason) filter (where url = @start), '') as start_reason,
  coalesce(bool_or(passing) filter (where url = @start), false) as start_passing,
  coalesce(mode() within group (order by outcome_reason) filter (where attempts > 0 and outcome_reason <> ''), '') as usual_reason
from pages where workspace_id = @workspace_id and source_id = @id and generation = @generation`
	// What this crawl found gone, and, if it saw all links, what nothing names
	// any more.
	vanishedSQL = `
select id, outcome, outcome_reason, seen = @generation or not @saw_all from pages
where workspace_id = @workspace_id and source_id = @id and status = 'indexed'
  and (outcome in ('skipped', 'failed') and not passing or seen < @generation and @saw_all)
order by id limit @limit for update`
	vanishSQL = `
update pages p set status = u.outcome, reason = u.reason, passages = 0, hash = null, etag = '', last_modified = '', updated_at = @now
from unnest(@ids::uuid[], @outcomes::text[], @reasons::text[]) as u (id, outcome, reason)
where p.workspace_id = @workspace_id and p.id = u.id`
	forgetPagesSQL = `delete from pages where workspace_id = @workspace_id and id = any (@ids)`
	forgetOldSQL   = `delete from pages where workspace_id = @workspace_id and source_id = @id and generation < @generation and status <> 'indexed'`
	endedSQL       = `
update sources set status = 'crawling', walking = false, error = '', misses = 0, crawled_at = @now, version = version + 1, updated_at = @now
where workspace_id = @workspace_id and id = @id`
	giveUpSQL = `
update pages set state = 'done', lease = null, outcome = 'failed', outcome_reason = @reason, passing = true, updated_at = @now,
  status = case when status = '' then 'failed' else status end, reason = case when status = '' then @reason else reason end
where workspace_id = @workspace_id and source_id = @id and generation = @generation and state <> 'done'`
	failedSQL = `
update sources set status = 'failed', walking = false, error = @reason, crawled_at = @now, version = version + 1, updated_at = @now
where workspace_id = @workspace_id and id = @id`
	restLaneSQL = `update knowledge_lanes set live = false, updated_at = @now where workspace_id = @workspace_id and kind = @kind`
)

// storeSlice stores what a slice learnt of those addresses that its lease still
// holds; the source's row is locked and the crawl is the same.
func (k *Knowledge) storeSlice(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, robots *crawl.Robots, lease ids.ID, results []*result, now time.Time) error {
	results, err := stillHeld(ctx, tx, w, lease, results)
	if err != nil || len(results) == 0 {
		return err
	}
	if err := markDuplicates(ctx, tx, w, v, results); err != nil {
		return err
	}
	var c change
	var replaced []ids.ID
	var pieces []piece
	var links []linked
	for _, r := range results {
		links = append(links, linked{r.depth + 1, r.links})
		if r.postponed || r.outcome != outIndexed {
			continue
		}
		if r.status == Indexed {
			replaced = append(replaced, r.id)
		}
		for i := range r.pieces {
			r.pieces[i].page, r.pieces[i].ordinal = r.id, i
		}
		pieces = append(pieces, r.pieces...)
	}
	if err := dropPassages(ctx, tx, w, replaced, &c); err != nil {
		return err
	}
	if err := addPassages(ctx, tx, w, v.ID, pieces, &c); err != nil {
		return err
	}
	if err := storePages(ctx, tx, w, results, now); err != nil {
		return err
	}
	if err := discover(ctx, tx, w, v, robots, links, now); err != nil {
		return err
	}
	if err := k.afterSlice(ctx, tx, w, v, robots, results, now); err != nil {
		return err
	}
	if err := recount(ctx, tx, w, v.ID, v.generation, now); err != nil {
		return err
	}
	if err := c.write(ctx, tx, w, now); err != nil || len(pieces) == 0 {
		return err
	}
	return k.wakeLane(ctx, tx, w, laneEmbed, now)
}

func stillHeld(ctx context.Context, tx pgx.Tx, w postgres.Workspace, lease ids.ID, results []*result) ([]*result, error) {
	rows, err := tx.Query(ctx, heldSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "lease": lease})
	if err != nil {
		return nil, fmt.Errorf("check the lease: %w", err)
	}
	held := map[ids.ID]bool{}
	var id ids.ID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { held[id] = true; return nil }); err != nil {
		return nil, fmt.Errorf("check the lease: %w", err)
	}
	var still []*result
	for _, r := range results {
		if held[r.id] {
			still = append(still, r)
		}
	}
	return still, nil
}

// markDuplicates leaves out pages with the text of another that this crawl has
// met. One that only an older crawl has met may have moved here.
func markDuplicates(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, results []*result) error {
	var hashes [][]byte
	for _, r := range results {
		if r.outcome == outIndexed {
			hashes = append(hashes, r.hash)
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, sameTextSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation, "hashes": hashes})
	if err != nil {
		return fmt.Errorf("look for the same text: %w", err)
	}
	met := map[string]bool{}
	var hash []byte
	if _, err := pgx.ForEachRow(rows, []any{&hash}, func() error { met[string(hash)] = true; return nil }); err != nil {
		return fmt.Errorf("look for the same text: %w", err)
	}
	for _, r := range results {
		if r.outcome != outIndexed && r.outcome != outUnchanged {
			continue
		}
		if r.outcome == outIndexed && met[string(r.hash)] {
			r.outcome, r.reason, r.pieces = outSkipped, crawl.Duplicate, nil
			continue
		}
		met[string(r.hash)] = true
	}
	return nil
}

// storePages writes the outcomes into the pages' rows. A page that is indexed
// stays so until the crawl has ended well.
func storePages(ctx context.Context, tx pgx.Tx, w postgres.Workspace, results []*result, now time.Time) error {
	n := len(results)
	var (
		pageIDs                              = make([]ids.ID, n)
		notBefores                           = make([]*time.Time, n)
		attempts, passages                   = make([]int, n), make([]int, n)
		passings, linksOnly                  = make([]bool, n), make([]bool, n)
		hashes                               = make([][]byte, n)
		states, outcomes, outcomeReasons     = make([]string, n), make([]string, n), make([]string, n)
		statuses, reasons, titles, languages = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		etags, lastModifieds                 = make([]string, n), make([]string, n)
	)
	for i, r := range results {
		pageIDs[i], attempts[i] = r.id, r.attempts
		// As it was.
		statuses[i], titles[i], languages[i], passages[i], hashes[i] = r.status, r.task.title, r.task.language, r.passages, r.task.hash
		etags[i], lastModifieds[i] = r.task.validators.ETag, r.task.validators.LastModified
		if r.postponed {
			states[i] = "queued"
			if r.retryAfter > 0 {
				at := now.Add(r.retryAfter)
				notBefores[i] = &at
			} else {
				attempts[i]-- // it was not asked
			}
			continue
		}
		states[i], outcomes[i], outcomeReasons[i], passings[i] = "done", string(r.outcome), string(r.reason), r.passing
		switch r.outcome {
		case outIndexed, outUnchanged:
			statuses[i], hashes[i] = Indexed, r.hash
			titles[i], languages[i] = r.title, r.language
			etags[i], lastModifieds[i] = r.validators.ETag, r.validators.LastModified
			if r.outcome == outIndexed {
				passages[i], linksOnly[i] = len(r.pieces), r.linksOnly
			}
		case outSkipped, outFailed:
			reasons[i] = string(r.reason)
			if r.status != Indexed {
				statuses[i] = string(r.outcome)
				if r.title != "" {
					titles[i] = r.title
				}
			}
		}
	}
	_, err := tx.Exec(ctx, storePagesSQL, pgx.StrictNamedArgs{
		"workspace_id": w.ID, "now": now, "ids": pageIDs, "states": states, "not_befores": notBefores, "attempts": attempts, "outcomes": outcomes,
		"outcome_reasons": outcomeReasons, "passings": passings, "statuses": statuses, "reasons": reasons, "titles": titles, "languages": languages,
		"passages": passages, "etags": etags, "last_modifieds": lastModifieds, "hashes": hashes, "links_onlys": linksOnly,
	})
	if err != nil {
		return fmt.Errorf("store pages: %w", err)
	}
	return nil
}

// afterSlice notes on the source when it is next, and gives it up when it is down.
func (k *Knowledge) afterSlice(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, robots *crawl.Robots, results []*result, now time.Time) error {
	misses, title := v.misses, ""
	next := now.Add(robots.Pause(v.site.Site))
	var last crawl.Reason
	for _, r := range results {
		switch {
		case r.passing:
			misses++
			last = r.reason
		case !r.postponed:
			misses = 0
		}
		if r.reason == crawl.RateLimited && r.postponed && next.Before(now.Add(r.retryAfter)) {
			next = now.Add(r.retryAfter) // it is the site that asks for fewer requests
		}
		if r.outcome == outIndexed && r.url == v.site.Start {
			title = r.title
		}
	}
	if misses >= downAfter {
		return k.fail(ctx, tx, w, v, last, now)
	}
	_, err := tx.Exec(ctx, storedSliceSQL, pgx.StrictNamedArgs{
		"workspace_id": w.ID, "id": v.ID, "misses": misses, "next_at": next, "title": title, "now": now,
	})
	if err != nil {
		return fmt.Errorf("store a slice: %w", err)
	}
	return nil
}

// endOrWait is for a crawl with nothing to lease: others hold the rest, it is
// not time yet, or the crawl has come to its end.
func (k *Knowledge) endOrWait(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, now time.Time) error {
	args := pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation, "now": now}
	var waiting, leased int
	var until time.Time
	if err := tx.QueryRow(ctx, waitingSQL, args).Scan(&waiting, &until, &leased); err != nil {
		return fmt.Errorf("look at the frontier: %w", err)
	}
	if waiting > 0 && (leased > 0 || until.After(now)) {
		return postpone(ctx, tx, w, v.ID, v.misses, until, now)
	}
	if waiting > 0 { // what could be leased was not: the source has all the pages it may have
		if _, err := tx.Exec(ctx, overLimitSQL, args); err != nil {
			return fmt.Errorf("end a crawl at its limit: %w", err)
		}
	}
	return k.end(ctx, tx, w, v, now)
}

// met is what a crawl met, all in all.
type met struct {
	Kept, Asked, Passing, Unseen int
	StartReason                  string
	StartPassing                 bool
	UsualReason                  string
}

// failure tells why a crawl failed; empty if it did not. Nothing that it could
// read, or a site that was down for the most part, is no reason to forget
// what was known.
func (m met) failure() crawl.Reason {
	reason := crawl.Reason(m.StartReason)
	if reason == "" {
		reason = crawl.Reason(m.UsualReason)
	}
	switch {
	case m.Kept == 0 && reason == "":
		return crawl.Empty
	case m.Kept == 0, m.StartPassing:
		return reason
	case m.Passing > 10 && 2*m.Passing > m.Asked:
		return crawl.Reason(m.UsualReason)
	}
	return ""
}

// end ends a crawl whose frontier is empty. If it went well, pages that have
// vanished are removed, in as many slices as that takes.
func (k *Knowledge) end(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, now time.Time) error {
	args := pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation, "start": v.site.Start}
	rows, err := tx.Query(ctx, metSQL, args)
	if err != nil {
		return fmt.Errorf("sum up a crawl: %w", err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[met])
	if err != nil {
		return fmt.Errorf("sum up a crawl: %w", err)
	}
	if reason := m.failure(); reason != "" {
		return k.fail(ctx, tx, w, v, reason, now)
	}
	more, err := k.removeVanished(ctx, tx, w, v, m.Passing == 0 && m.Unseen == 0, now)
	if err != nil || more {
		return err
	}
	batch := &pgx.Batch{}
	batch.Queue(forgetOldSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation})
	batch.Queue(endedSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "now": now})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("end a crawl: %w", err)
	}
	if err := recount(ctx, tx, w, v.ID, v.generation, now); err != nil {
		return err
	}
	if err := setRefresh(ctx, tx, w, v.Source, now); err != nil {
		return err
	}
	return k.settle(ctx, tx, w, v.Source, now)
}

// removeVanished removes some of the pages that this crawl did not find again,
// and tells whether there may be more.
func (k *Knowledge) removeVanished(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, sawAll bool, now time.Time) (more bool, err error) {
	rows, err := tx.Query(ctx, vanishedSQL, pgx.StrictNamedArgs{
		"workspace_id": w.ID, "id": v.ID, "generation": v.generation, "saw_all": sawAll, "limit": vanishedPages,
	})
	if err != nil {
		return false, fmt.Errorf("find vanished pages: %w", err)
	}
	var all, listed, unlinked []ids.ID
	var outcomes, reasons []string
	var id ids.ID
	var outcome, reason string
	var named bool
	_, err = pgx.ForEachRow(rows, []any{&id, &outcome, &reason, &named}, func() error {
		all = append(all, id)
		if !named {
			unlinked = append(unlinked, id)
			return nil
		}
		listed, outcomes, reasons = append(listed, id), append(outcomes, outcome), append(reasons, reason)
		return nil
	})
	if err != nil || len(all) == 0 {
		return false, err
	}
	var c change
	if err := dropPassages(ctx, tx, w, all, &c); err != nil {
		return false, err
	}
	batch := &pgx.Batch{}
	batch.Queue(vanishSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "ids": listed, "outcomes": outcomes, "reasons": reasons, "now": now})
	batch.Queue(forgetPagesSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "ids": unlinked})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return false, fmt.Errorf("remove vanished pages: %w", err)
	}
	return len(all) == vanishedPages, c.write(ctx, tx, w, now)
}
