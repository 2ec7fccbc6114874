package knowledge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge/crawl"
)

const (
	nextVisitSQL = `
select id, type, url, title, include, exclude, max_pages, refresh, status, generation, site, misses
from sources where workspace_id = @workspace_id and (walking or status = 'deleting') and next_at <= @now
order by next_at, id limit 1 for update`
	markCrawlingSQL = `update sources set status = 'crawling', updated_at = @now where workspace_id = @workspace_id and id = @id and status = 'pending'`
	sameCrawlSQL    = `
select walking and generation = @generation and status <> 'deleting' from sources
where workspace_id = @workspace_id and id = @id for no key update`
	writeSiteSQL = `
update sources set site = @site, misses = 0, next_at = @now, updated_at = @now where workspace_id = @workspace_id and id = @id`
	postponeSQL = `
update sources set misses = @misses, next_at = @next_at, updated_at = @now where workspace_id = @workspace_id and id = @id`
	// Materialised: joined in, the limited and locked rows could be chosen anew
	// for each page.
	leaseSQL = `
with next as materialized (
  select id from pages
  where workspace_id = @workspace_id and source_id = @id and state <> 'done' and generation = @generation and (not_before is null or not_before <= @now)
  order by depth, id limit @limit for update skip locked
)
update pages p set state = 'leased', lease = @lease, not_before = @until, attempts = attempts + 1
from next where p.workspace_id = @workspace_id and p.id = next.id
returning p.id, p.url, p.depth, p.attempts, p.status, p.title, p.language, p.passages, p.etag, p.last_modified, p.hash`
	keptSQL = `
select count(*) filter (where outcome in ('indexed', 'unchanged')),
  count(*) filter (where state = 'leased' and not_before > @now)
from pages where workspace_id = @workspace_id and source_id = @id and generation = @generation`
	releaseSQL = `
update pages set state = 'queued', lease = null, not_before = null, attempts = attempts - 1
where workspace_id = @workspace_id and lease = @lease and state = 'leased'`
	// The start page, and what is indexed: a page that nothing links to any more
	// is asked whether it is still there.
	seedSQL = `
insert into pages as p (agency_id, workspace_id, id, source_id, url, variant, depth, generation, seen, state, created_at, updated_at)
values (@agency_id, @workspace_id, @page_id, @id, @url, @variant, 0, @generation, @generation, 'queued', @now, @now)
on conflict (workspace_id, source_id, url) do update
set depth = 0, generation = excluded.generation, seen = excluded.seen, state = 'queued', lease = null, not_before = null, attempts = 0,
  outcome = '', outcome_reason = '', passing = false, updated_at = excluded.updated_at`
	seedKnownSQL = `
update pages set depth = greatest(depth, 1), generation = @generation, state = 'queued', lease = null, not_before = null, attempts = 0,
  outcome = '', outcome_reason = '', passing = false
where workspace_id = @workspace_id and source_id = @id and status = 'indexed' and generation < @generation`
	seenSQL = `
update pages set seen = @generation
where workspace_id = @workspace_id and source_id = @id and url = any (@urls) and generation = @generation and seen < @generation`
	knownSQL    = `select url from pages where workspace_id = @workspace_id and source_id = @id and url = any (@urls) and generation = @generation`
	inCrawlSQL  = `select count(*) from pages where workspace_id = @workspace_id and source_id = @id and generation = @generation`
	variantsSQL = `
select variant, count(*)::int from pages
where workspace_id = @workspace_id and source_id = @id and variant = any (@variants) and generation = @generation group by 1`
	insertFoundSQL = `
insert into pages as p (agency_id, workspace_id, id, source_id, url, variant, depth, generation, seen, state, outcome, outcome_reason, status, reason, created_at, updated_at)
select @agency_id, @workspace_id, u.page_id, @id, u.url, u.variant, u.depth, @generation, @generation, u.state,
  case when u.state = 'done' then 'skipped' else '' end, u.reason, case when u.state = 'done' then 'skipped' else '' end, u.reason, @now, @now
from unnest(@page_ids::uuid[], @urls::text[], @variants::text[], @depths::int[], @states::text[], @reasons::text[])
  as u (page_id, url, variant, depth, state, reason)
on conflict (workspace_id, source_id, url) do update
set depth = excluded.depth, generation = excluded.generation, seen = excluded.seen, state = excluded.state, lease = null, not_before = null, attempts = 0,
  outcome = excluded.outcome, outcome_reason = excluded.outcome_reason, passing = false,
  status = excluded.status, reason = excluded.reason, updated_at = excluded.updated_at
where p.generation < excluded.generation and p.status <> 'indexed'`
)

// nextVisit gives the source that is next in the lane, locked; nil if none is
// due. A source that is being deleted needs the stronger lock.
func nextVisit(ctx context.Context, tx pgx.Tx, w postgres.Workspace, now time.Time) (*visit, error) {
	var v visit
	var site []byte
	err := tx.QueryRow(ctx, nextVisitSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "now": now}).Scan(
		&v.ID, &v.Type, &v.URL, &v.Title, &v.Include, &v.Exclude, &v.MaxPages, &v.Refresh, &v.Status, &v.generation, &site, &v.misses)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // none is due
	}
	if err == nil && site != nil {
		v.site = &siteState{}
		err = json.Unmarshal(site, v.site)
	}
	if err != nil {
		return nil, fmt.Errorf("find the next source: %w", err)
	}
	return &v, nil
}

func markCrawling(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, now time.Time) error {
	_, err := tx.Exec(ctx, markCrawlingSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "now": now})
	return err
}

// sameCrawl locks the source, and fails with errGone when it was deleted or its
// crawl has ended or been started anew.
func sameCrawl(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit) error {
	var same bool
	err := tx.QueryRow(ctx, sameCrawlSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation}).Scan(&same)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !same {
		return errGone
	}
	return err
}

func writeSite(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, s siteState, now time.Time) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, writeSiteSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "site": text, "now": now}); err != nil {
		return fmt.Errorf("store what is known of the site: %w", err)
	}
	return nil
}

func postpone(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, misses int, until, now time.Time) error {
	_, err := tx.Exec(ctx, postponeSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "misses": misses, "next_at": until, "now": now})
	return err
}

// leasePages takes addresses that are to be fetched, those near the start first,
// and no more than the source may still have pages.
func leasePages(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, lease ids.ID, now time.Time) ([]task, error) {
	args := pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation, "now": now}
	var kept, leased int
	if err := tx.QueryRow(ctx, keptSQL, args).Scan(&kept, &leased); err != nil {
		return nil, fmt.Errorf("count what was kept: %w", err)
	}
	limit := min(slicePages, v.MaxPages-kept-leased)
	if limit <= 0 {
		return nil, nil
	}
	args["lease"], args["until"], args["limit"] = lease, now.Add(leaseTime), limit
	rows, err := tx.Query(ctx, leaseSQL, args)
	if err != nil {
		return nil, fmt.Errorf("lease pages: %w", err)
	}
	tasks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t task, err error) {
		err = row.Scan(&t.id, &t.url, &t.depth, &t.attempts, &t.status, &t.title, &t.language, &t.passages,
			&t.validators.ETag, &t.validators.LastModified, &t.hash)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("lease pages: %w", err)
	}
	// Of pages with one text the one nearest to the start is indexed.
	slices.SortFunc(tasks, func(a, b task) int { return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.url, b.url)) })
	return tasks, nil
}

// seed puts the start page and the pages that are indexed into the frontier.
func seed(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, now time.Time) error {
	batch := &pgx.Batch{}
	batch.Queue(seedSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "page_id": ids.New(now), "id": v.ID, "url": v.site.Start,
		"variant": crawl.VariantKey(v.site.Start), "generation": v.generation, "now": now,
	})
	batch.Queue(seedKnownSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("begin the frontier: %w", err)
	}
	return nil
}

// linked are addresses that were found at the same depth.
type linked struct {
	depth int
	urls  []string
}

// discover takes new addresses into the frontier, and lists those of the site
// that are left out, with their reasons.
func discover(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, robots *crawl.Robots, all []linked, now time.Time) error {
	depths := map[string]int{}
	var urls []string
	for _, l := range all {
		for _, url := range crawl.Candidates(v.site.Site, l.urls) {
			if depth, ok := depths[url]; !ok {
				urls = append(urls, url)
				depths[url] = l.depth
			} else if l.depth < depth {
				depths[url] = l.depth
			}
		}
	}
	if len(urls) == 0 {
		return nil
	}
	known, err := readKnown(ctx, tx, w, v, urls)
	if err != nil {
		return err
	}
	var fresh []crawl.Found
	listed := known.Pages
	for _, found := range crawl.Discover(v.scope(), robots, known, urls) {
		// Of endlessly many addresses that are left out, some are listed.
		if listed++; found.Reason == "" || listed <= 2*frontierLimit(v.MaxPages) {
			fresh = append(fresh, found)
		}
	}
	return insertFound(ctx, tx, w, v, fresh, depths, now)
}

func readKnown(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, urls []string) (crawl.Known, error) {
	known := crawl.Known{URLs: map[string]bool{}, Variants: map[string]int{}}
	variants := make([]string, 0, len(urls))
	for _, url := range urls {
		variants = append(variants, crawl.VariantKey(url))
	}
	args := func(more pgx.StrictNamedArgs) pgx.StrictNamedArgs {
		more["workspace_id"], more["id"], more["generation"] = w.ID, v.ID, v.generation
		return more
	}
	batch := &pgx.Batch{}
	batch.Queue(seenSQL, args(pgx.StrictNamedArgs{"urls": urls}))
	batch.Queue(inCrawlSQL, args(pgx.StrictNamedArgs{})).QueryRow(func(row pgx.Row) error { return row.Scan(&known.Pages) })
	batch.Queue(knownSQL, args(pgx.StrictNamedArgs{"urls": urls})).Query(func(rows pgx.Rows) error {
		var url string
		_, err := pgx.ForEachRow(rows, []any{&url}, func() error { known.URLs[url] = true; return nil })
		return err
	})
	batch.Queue(variantsSQL, args(pgx.StrictNamedArgs{"variants": variants})).Query(func(rows pgx.Rows) error {
		var variant string
		var n int
		_, err := pgx.ForEachRow(rows, []any{&variant, &n}, func() error { known.Variants[variant] = n; return nil })
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return crawl.Known{}, fmt.Errorf("look up addresses: %w", err)
	}
	return known, nil
}

func insertFound(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, fresh []crawl.Found, depths map[string]int, now time.Time) error {
	n := len(fresh)
	if n == 0 {
		return nil
	}
	pageIDs, levels := make([]ids.ID, n), make([]int, n)
	urls, variants, states, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, found := range fresh {
		pageIDs[i], urls[i], variants[i], levels[i], states[i], reasons[i] =
			ids.New(now), found.URL, crawl.VariantKey(found.URL), depths[found.URL], "queued", string(found.Reason)
		if found.Reason != "" {
			states[i] = "done"
		}
	}
	_, err := tx.Exec(ctx, insertFoundSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "id": v.ID, "generation": v.generation, "now": now, "page_ids": pageIDs,
		"urls": urls, "variants": variants, "depths": levels, "states": states, "reasons": reasons,
	})
	if err != nil {
		return fmt.Errorf("store addresses: %w", err)
	}
	return nil
}

// fail ends a crawl without touching what is indexed.
func (k *Knowledge) fail(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, reason crawl.Reason, now time.Time) error {
	batch := &pgx.Batch{}
	batch.Queue(giveUpSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "generation": v.generation, "reason": string(reason), "now": now})
	batch.Queue(failedSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": v.ID, "reason": string(reason), "now": now})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("end a crawl: %w", err)
	}
	if err := recount(ctx, tx, w, v.ID, v.generation, now); err != nil {
		return err
	}
	if err := setRefresh(ctx, tx, w, v.Source, now); err != nil {
		return err
	}
	return tell(ctx, tx, w, events.SourceFailed, v.ID, map[string]string{"status": Failed, "error": string(reason)}, now)
}
