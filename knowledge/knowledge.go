// Package knowledge is what an assistant learns from: websites and texts, cut
// into passages that are found by their words and by their meaning.
//
// A source is a website or a text. A website is crawled in slices: a slice takes
// some addresses of the frontier under a lease, fetches and reads them with no
// transaction open, and stores what it learnt in one transaction that first
// looks whether the source, the crawl and the lease are still the same. A slice
// that dies leaves a lease that ends, and nothing else. What a page says is
// searchable by words in the transaction that stores it; vectors follow, in
// slices of their own. A source is ready when all its pages have both.
//
// Each workspace has two lanes of slices, one that crawls and one that embeds.
// At most one job of a lane is alive, so that a workspace of many big sites
// takes one worker's time, like every other (lanes.go).
//
// The index of a page is replaced only by a newer reading of it. A site that is
// down ends its crawl as failed, and everything that was found before stays.
//
//	sources.go    making, changing and deleting sources, starting a crawl
//	pages.go      what was found, page by page
//	lanes.go      which slice is next
//	crawling.go   a slice of a crawl: lease, fetch, store
//	reading.go    what a fetched page amounts to
//	frontier.go   which addresses a crawl has
//	storing.go    a slice's outcome, and how a crawl ends
//	index.go      passages, and the statistics of a workspace's words
//	settle.go     texts, when a source is ready, and how it goes
//	embedding.go  a slice of vectors
//	search.go     finding passages
//	calibration.go  what the assistant needs to know of a workspace's index
//	store.go      the SQL of sources and pages; the rest has its own beside it
//
// The pure parts are packages of their own: crawl reads a site, rank cuts text
// into words and orders what was found.
package knowledge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/knowledge/crawl"
	"github.com/relaydesk/relaydesk/tenants"
)

// An Embedder turns texts into vectors of unit length and Dimensions numbers,
// one for each text. It is called with few texts at a time.
type Embedder interface {
	Query(ctx context.Context, texts ...string) ([][]float32, error)
	Passages(ctx context.Context, texts ...string) ([][]float32, error)
}

// Dimensions is the length of a vector.
const Dimensions = 384

// Deps are what Knowledge works with.
type Deps struct {
	DB       *postgres.DB
	Clock    clock.Clock
	Queue    *queue.Queue
	Log      *slog.Logger
	Embedder Embedder
	// HTTP goes out to the sites. It follows no redirect and dials only what
	// the operator allows (internal/outbound).
	HTTP *http.Client
}

// Knowledge is safe for concurrent use.
type Knowledge struct {
	db        *postgres.DB
	clock     clock.Clock
	queue     *queue.Queue
	log       *slog.Logger
	embed     Embedder
	sentences sentences
	// fetcher goes out to the sites.
	fetcher *crawl.Fetcher
}

// New makes a Knowledge.
func New(d Deps) *Knowledge {
	return &Knowledge{db: d.DB, clock: d.Clock, queue: d.Queue, log: d.Log, embed: d.Embedder, fetcher: crawl.NewFetcher(d.HTTP, crawl.Options{Timeout: pageTimeout, MapTime: mapTimeout})}
}

// The types of a source.
const (
	Website = "website"
	Text    = "text"
)

// The statuses of a source.
const (
	Pending  = "pending"  // nothing is read yet
	Crawling = "crawling" // pages or vectors are still to come
	Ready    = "ready"    // every page is searchable, by words and by meaning
	Failed   = "failed"   // the last crawl failed; what was indexed before still is
	deleting = "deleting" // gone, except for rows that are being removed
)

// How often a website is read again.
const (
	RefreshNone   = "none"
	RefreshDaily  = "daily"
	RefreshWeekly = "weekly"
)

// Source is a website or a text to learn from.
type Source struct {
	ID               ids.ID
	Type             string
	URL              string // of a website: where the crawl starts
	Title            string
	Text             string // of a text; empty in lists
	Include, Exclude []string
	MaxPages         int
	Refresh          string
	Metadata         map[string]string
	Status           string
	Error            string // a reason's code (crawl.Reason); empty: none
	Pages            Counts
	CrawledAt        *time.Time // when the last crawl ended
	Version          int64
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Counts are numbers of pages. Indexed counts all that are searchable now, the
// others what the last crawl met.
type Counts struct{ Found, Fetched, Indexed, Unchanged, Skipped, Failed int }

// The statuses of a page.
const (
	Indexed = "indexed"
	Skipped = "skipped" // on purpose
	Missed  = "failed"  // something is wrong with it
)

// Page is one document of a source.
type Page struct {
	ID, SourceID ids.ID
	URL          string // empty: of a text source
	Title        string
	Language     string // BCP 47; empty: unknown
	Status       string
	// Reason is why a page is not indexed (a crawl.Reason), or why the last
	// crawl could not read again a page that is.
	Reason    string
	Passages  int
	FetchedAt *time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

func noSource() error { return fault.New(fault.NotFound, "not_found", "No such source.") }

func noPage() error { return fault.New(fault.NotFound, "not_found", "No such page.") }

func invalid(pointer, format string, args ...any) error {
	return &tenants.FieldError{Fault: fault.New(fault.Invalid, "validation_failed", format, args...), Pointer: pointer}
}

// errGone says that what a slice worked for does not exist any more, or not as
// it was: there is nothing to store and nothing to complain about.
var errGone = errors.New("gone meanwhile")

// liveWorkspaceSQL keeps the workspace from being deleted until commit.
const liveWorkspaceSQL = `select status from workspaces where workspace_id = @workspace_id for key share`

// liveWorkspace fails with errGone when the workspace is being deleted.
func liveWorkspace(ctx context.Context, tx pgx.Tx, w postgres.Workspace) error {
	var status string
	err := tx.QueryRow(ctx, liveWorkspaceSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}).Scan(&status)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && status == "deleting" {
		return errGone
	}
	return err
}
