package knowledge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge/crawl"
)

const (
	slicePages  = 24 // addresses that a slice takes
	sliceBudget = 12 * time.Second
	// A lease outlives the slice by far: what a slice holds is taken by another
	// one only when its worker must be dead.
	leaseTime   = time.Minute
	maxAttempts = 3
	atOnce      = 2 // fetches from one site
	releaseTime = 5 * time.Second
)

// How long a fetch may take. A slice ends within the budget and one of these,
// which a job's 30 seconds must have room for; so must looking at a site, which
// fetches three files, and reading its sitemaps.
const (
	pageTimeout = 8 * time.Second
	mapTimeout  = 15 * time.Second
)

// A visit is a source that a slice works for, as it was when the slice began.
type visit struct {
	Source
	generation int64
	site       *siteState // nil: not looked at yet
	misses     int
}

// siteState is what a crawl learnt about a site before it fetched its pages.
type siteState struct {
	Site   crawl.Site `json:"site"`
	Start  string     `json:"start"`  // where the crawl begins, as the site writes it
	Robots string     `json:"robots"` // the text of robots.txt
	Mapped bool       `json:"mapped"` // the sitemaps were read
}

func (v *visit) robots() *crawl.Robots { return crawl.ParseRobots(v.site.Robots) }

func (v *visit) scope() crawl.Scope {
	return crawl.Scope{Site: v.site.Site, Include: v.Include, Exclude: v.Exclude, MaxPages: frontierLimit(v.MaxPages)}
}

// frontierLimit is how many addresses a crawl takes in. Not each becomes a
// page, so it is more than the limit of pages, which counts what is indexed.
func frontierLimit(pages int) int { return 3*pages + 100 }

// task is an address under a lease.
type task struct {
	id                      ids.ID
	url                     string
	depth, attempts         int
	status, title, language string
	passages                int
	validators              crawl.Validators
	hash                    []byte
}

// CrawlSlice works for the crawling lane: one slice of the source that is next,
// and the next slice's job in the transaction that stores this one's outcome.
func (k *Knowledge) CrawlSlice(ctx context.Context, args CrawlSlice) error {
	w := postgres.Workspace{AgencyID: args.AgencyID, ID: args.WorkspaceID}
	var v *visit
	var lease ids.ID
	var tasks []task
	now := k.clock.Now()
	err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) (err error) {
		v, lease, tasks, err = k.beginSlice(ctx, tx, w, args.Number, now)
		return err
	})
	switch {
	case errors.Is(err, errGone):
		return k.rest(ctx, w, laneCrawl)
	case err != nil:
		return fmt.Errorf("begin a slice: %w", err)
	case v == nil: // nothing to fetch, or not this job's part
		return nil
	case v.site == nil:
		err = k.lookAtSite(ctx, w, args.Number, v)
	case !v.site.Mapped:
		err = k.readSitemaps(ctx, w, args.Number, v)
	default:
		err = k.fetchSlice(ctx, w, args.Number, v, lease, tasks)
	}
	if errors.Is(err, errGone) {
		// The source was deleted or its crawl started anew: nothing of this
		// slice is kept, and the lane goes on.
		now := k.clock.Now()
		err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error { return k.moveLane(ctx, tx, w, laneCrawl, args.Number, now) })
	}
	if err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	return nil
}

// beginSlice picks the source that is next and leases what is to be fetched. No
// visit means that there is nothing to fetch, and that the lane was moved on.
func (k *Knowledge) beginSlice(ctx context.Context, tx pgx.Tx, w postgres.Workspace, number int64, now time.Time) (*visit, ids.ID, []task, error) {
	stop := func(err error) (*visit, ids.ID, []task, error) { return nil, ids.ID{}, nil, err }
	mine, err := inLane(ctx, tx, w, laneCrawl, number)
	if err != nil || !mine {
		return stop(err)
	}
	if err := liveWorkspace(ctx, tx, w); err != nil {
		return stop(err)
	}
	v, err := nextVisit(ctx, tx, w, now)
	if err != nil {
		return stop(err)
	}
	if v == nil {
		return stop(k.moveLane(ctx, tx, w, laneCrawl, number, now))
	}
	if v.Status == deleting {
		if _, err := k.purge(ctx, tx, w, v.ID, now); err != nil {
			return stop(err)
		}
		return stop(k.moveLane(ctx, tx, w, laneCrawl, number, now))
	}
	if err := markCrawling(ctx, tx, w, v.ID, now); err != nil {
		return stop(err)
	}
	if v.site == nil || !v.site.Mapped {
		return v, ids.ID{}, nil, nil
	}
	lease := ids.New(now)
	tasks, err := leasePages(ctx, tx, w, v, lease, now)
	if err != nil {
		return stop(err)
	}
	if len(tasks) > 0 {
		return v, lease, tasks, nil
	}
	if err := k.endOrWait(ctx, tx, w, v, now); err != nil {
		return stop(err)
	}
	return stop(k.moveLane(ctx, tx, w, laneCrawl, number, now))
}

// rest stops a lane whose workspace is being deleted.
func (k *Knowledge) rest(ctx context.Context, w postgres.Workspace, l lane) error {
	now := k.clock.Now()
	err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, restLaneSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "kind": l, "now": now})
		return err
	})
	if err != nil {
		return fmt.Errorf("stop a lane: %w", err)
	}
	return nil
}

// lookAtSite reads robots.txt and asks where the start page really is.
func (k *Knowledge) lookAtSite(ctx context.Context, w postgres.Workspace, number int64, v *visit) error {
	site, err := crawl.SiteOf(v.URL)
	if err != nil {
		return k.inStore(ctx, w, number, v, func(tx pgx.Tx, now time.Time) error {
			return k.fail(ctx, tx, w, v, crawl.BadAddress, now)
		})
	}
	start := v.URL
	robots, err := k.fetcher.Robots(ctx, site)
	if err != nil {
		return err
	}
	if robots.Reason == "" && robots.Allowed(start) {
		first, err := k.fetcher.Fetch(ctx, crawl.Request{URL: start, Site: site, Robots: robots})
		if err != nil {
			return err
		}
		if moved, ok := site.Rebase(first.URL); ok {
			if adopted, ok := moved.Adopt(first.URL); ok && first.Reason == "" {
				start = adopted
			}
			if moved.Origin != site.Origin {
				if robots, err = k.fetcher.Robots(ctx, moved); err != nil {
					return err
				}
			}
			site = moved
		}
	}
	return k.inStore(ctx, w, number, v, func(tx pgx.Tx, now time.Time) error {
		if robots.Reason != "" {
			return k.unreadable(ctx, tx, w, v, robots, now)
		}
		return writeSite(ctx, tx, w, v.ID, siteState{Site: site, Start: start, Robots: robots.Text}, now)
	})
}

// unreadable ends a crawl whose robots.txt can't be read, after some attempts:
// what a site that is down allows is not known.
func (k *Knowledge) unreadable(ctx context.Context, tx pgx.Tx, w postgres.Workspace, v *visit, robots *crawl.Robots, now time.Time) error {
	reason := robots.Reason
	switch robots.Cause { // those say more than that it could not be read
	case crawl.Unreachable, crawl.Timeout, crawl.TLSFailed, crawl.BadResponse:
		reason = robots.Cause
	default:
	}
	if v.misses+1 < maxAttempts && reason != crawl.BlockedAddress && reason != crawl.BadAddress {
		return postpone(ctx, tx, w, v.ID, v.misses+1, now.Add(backoff(v.misses+1)), now)
	}
	return k.fail(ctx, tx, w, v, reason, now)
}

// backoff is how long to wait after a number of failures.
func backoff(failures int) time.Duration { return time.Duration(failures*failures) * time.Second }

// readSitemaps puts the start page, the pages that are known and those that the
// sitemaps list into the frontier.
func (k *Knowledge) readSitemaps(ctx context.Context, w postgres.Workspace, number int64, v *visit) error {
	robots := v.robots()
	maps, err := k.fetcher.Sitemaps(ctx, v.site.Site, robots)
	if err != nil {
		return err
	}
	return k.inStore(ctx, w, number, v, func(tx pgx.Tx, now time.Time) error {
		if err := seed(ctx, tx, w, v, now); err != nil {
			return err
		}
		if err := discover(ctx, tx, w, v, robots, []linked{{depth: 1, urls: maps.URLs}}, now); err != nil {
			return err
		}
		mapped := *v.site
		mapped.Mapped = true
		if err := writeSite(ctx, tx, w, v.ID, mapped, now); err != nil {
			return err
		}
		return recount(ctx, tx, w, v.ID, v.generation, now)
	})
}

// inStore opens the transaction that ends a slice: it holds the source, makes
// sure that it is still there and in the same crawl, and moves the lane on.
func (k *Knowledge) inStore(ctx context.Context, w postgres.Workspace, number int64, v *visit, do func(tx pgx.Tx, now time.Time) error) error {
	now := k.clock.Now()
	return k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		if err := liveWorkspace(ctx, tx, w); err != nil {
			return err
		}
		if err := sameCrawl(ctx, tx, w, v); err != nil {
			return err
		}
		if err := do(tx, now); err != nil {
			return err
		}
		return k.moveLane(ctx, tx, w, laneCrawl, number, now)
	})
}

// fetchSlice fetches and reads what was leased, and stores it. What the budget
// did not suffice for goes back into the frontier.
func (k *Knowledge) fetchSlice(ctx context.Context, w postgres.Workspace, number int64, v *visit, lease ids.ID, tasks []task) error {
	robots := v.robots()
	results, err := k.fetchAll(ctx, v, robots, tasks)
	if err == nil {
		err = k.inStore(ctx, w, number, v, func(tx pgx.Tx, now time.Time) error {
			return k.storeSlice(ctx, tx, w, v, robots, lease, results, now)
		})
	}
	if err != nil && !errors.Is(err, errGone) {
		k.release(ctx, w, lease)
	}
	return err
}

// release gives back what a slice held that came to nothing, so that nobody has
// to wait until the lease ends. It may fail: then it ends by itself.
func (k *Knowledge) release(ctx context.Context, w postgres.Workspace, lease ids.ID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, releaseSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "lease": lease})
		return err
	})
	if err != nil {
		k.log.WarnContext(ctx, "a slice's lease could not be given back", "workspace_id", w.ID, "error", err)
	}
}

// fetchAll fetches with a few workers, one start after the other with the site's
// pause between them. Tasks that were not begun in time have no result.
func (k *Knowledge) fetchAll(ctx context.Context, v *visit, robots *crawl.Robots, tasks []task) ([]*result, error) {
	until := k.clock.Now().Add(sliceBudget)
	pause := robots.Pause(v.site.Site)
	results := make([]*result, len(tasks))
	next := make(chan int)
	var failure error
	var once sync.Once
	var workers sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range atOnce {
		workers.Go(func() {
			for i := range next {
				r, err := k.fetchOne(ctx, v, robots, tasks[i])
				if err != nil {
					once.Do(func() { failure = err; cancel() })
					return
				}
				results[i] = r
			}
		})
	}
	for i := range tasks {
		if i > 0 && wait(ctx, pause) != nil || !k.clock.Now().Before(until) {
			break
		}
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	if failure == nil {
		failure = ctx.Err()
	}
	if failure != nil {
		return nil, fmt.Errorf("fetch pages: %w", failure)
	}
	for i := range tasks {
		if results[i] == nil {
			results[i] = &result{task: tasks[i], postponed: true}
		}
	}
	return results, nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
