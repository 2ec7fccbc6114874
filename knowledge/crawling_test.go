package knowledge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/knowledge"
)

func TestAWebsiteIsCrawledAndReadyWhenAllItsPagesHaveVectors(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	s.pages["/old"] = "-> /dogs"
	s.pages["/"] = page("Help", "Welcome to the help centre of the harbour ferry company.", "/refunds", "/bicycles", "/old", "/missing", "/secret", "/empty", "https://elsewhere.example/x")
	s.pages["/secret"] = strings.Replace(page("Secret", "Not for the public."), "<head>", `<head><meta name="robots" content="noindex">`, 1)
	s.pages["/empty"] = "<html><body></body></html>"
	src := b.website(s.URL)
	if src.Status != knowledge.Pending {
		t.Errorf("when created it is %s", src.Status)
	}
	b.drain("crawl_slice")
	got := b.source(src.ID)
	if got.Status != knowledge.Crawling || got.Pages.Indexed != 5 || !b.finds("how much is a bicycle?", "four euros") {
		t.Errorf("before the vectors: %s, %+v, found %q", got.Status, got.Pages, b.found("how much is a bicycle?"))
	}
	if len(b.events(src.ID)) != 0 {
		t.Errorf("ready too early: %v", b.events(src.ID))
	}
	b.drain()
	got = b.source(src.ID)
	if got.Status != knowledge.Ready || got.Error != "" || got.Title != "Help" || got.CrawledAt == nil {
		t.Errorf("afterwards %+v", got)
	}
	if want := (knowledge.Counts{Found: 9, Fetched: 9, Indexed: 5, Skipped: 3, Failed: 1}); got.Pages != want {
		t.Errorf("pages %+v, want %+v", got.Pages, want)
	}
	same(t, "pages", b.outcomes(got), map[string]string{
		"/": "indexed", "/refunds": "indexed", "/bicycles": "indexed", "/dogs": "indexed", "/luggage": "indexed",
		"/old": "skipped duplicate", "/missing": "failed not_found", "/secret": "skipped noindex", "/empty": "skipped empty",
	})
	if types := b.events(src.ID); !slices.Equal(types, []string{"source.ready"}) {
		t.Errorf("events %v", types)
	}
	if n := b.number("select count(*) from passage_vectors where workspace_id = $1", b.w.ID); n != 5 {
		t.Errorf("%d vectors", n)
	}
	if jobs := b.jobs("calibrate"); len(jobs) != 1 {
		t.Errorf("%d jobs to calibrate", len(jobs))
	}
	b.checkIndex()
}

func TestACrawlAgainKeepsWhatIsUnchangedReplacesWhatChangedAndRemovesWhatVanished(t *testing.T) {
	t.Parallel()
	for name, etags := range map[string]bool{"by the server's word": true, "by the text": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := setup(t), newSite(t, help())
			s.etags = etags
			src := b.website(s.URL)
			b.drain()
			first := b.number("select max(id) from passages where workspace_id = $1", b.w.ID)
			embedded := b.model.calls.Load()
			s.change(func() {
				s.pages["/bicycles"] = page("Bicycles", "A bicycle travels for nine euros on the upper deck.", "/", "/boats")
				s.pages["/boats"] = page("Boats", "Rubber boats count as suitcases.", "/")
				delete(s.pages, "/dogs")
			})
			b.again(src.ID)
			b.drain()
			got := b.source(src.ID)
			if want := (knowledge.Counts{Found: 6, Fetched: 6, Indexed: 5, Unchanged: 3, Failed: 1}); got.Pages != want || got.Status != knowledge.Ready {
				t.Errorf("%s, pages %+v, want %+v", got.Status, got.Pages, want)
			}
			same(t, "pages", b.outcomes(got), map[string]string{
				"/": "indexed", "/refunds": "indexed", "/bicycles": "indexed", "/luggage": "indexed", "/boats": "indexed", "/dogs": "failed not_found",
			})
			if n := b.number("select count(*) from passages where workspace_id = $1 and id > $2", b.w.ID, first); n != 2 {
				t.Errorf("%d passages are new", n)
			}
			if b.model.calls.Load() == embedded {
				t.Error("nothing was embedded")
			}
			if b.finds("bicycle euros", "four euros") || !b.finds("bicycle euros", "nine euros") || b.finds("dogs leash", "leash") {
				t.Errorf("found %q and %q", b.found("bicycle euros"), b.found("dogs leash"))
			}
			b.checkIndex()
		})
	}
}

func TestAPageThatNothingLinksToAnyMoreIsRemovedThoughItIsStillThere(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL)
	b.drain()
	s.change(func() { s.pages["/"] = page("Help", "Welcome.", "/refunds", "/bicycles") })
	b.again(src.ID)
	b.drain()
	if got := b.outcomes(b.source(src.ID)); got["/dogs"] != "" || len(got) != 4 {
		t.Errorf("pages %v", got)
	}
	b.checkIndex()
}

func TestAPageThatMovedIsIndexedAtItsNewAddress(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL)
	b.drain()
	s.change(func() {
		s.pages["/pets"] = s.pages["/dogs"]
		s.pages["/dogs"] = "-> /pets"
	})
	b.again(src.ID)
	b.drain()
	got := b.outcomes(b.source(src.ID))
	if got["/pets"] != "indexed" || got["/dogs"] != "skipped duplicate" || !b.finds("dogs leash", "leash") {
		t.Errorf("pages %v", got)
	}
	b.checkIndex()
}

func TestASiteThatIsDownKeepsItsIndex(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL)
	b.drain()
	before := b.number("select max(id) from passages where workspace_id = $1", b.w.ID)
	s.change(func() { s.down = true })
	b.again(src.ID)
	b.drain()
	got := b.source(src.ID)
	if got.Status != knowledge.Failed || got.Error != "robots_unavailable" || got.Pages.Indexed != 5 {
		t.Errorf("%s %s, %+v", got.Status, got.Error, got.Pages)
	}
	if after := b.number("select max(id) from passages where workspace_id = $1", b.w.ID); after != before || !b.finds("dogs leash", "leash") {
		t.Errorf("passages up to %d, were %d", after, before)
	}
	if types := b.events(src.ID); !slices.Equal(types, []string{"source.ready", "source.failed"}) {
		t.Errorf("events %v", types)
	}
	b.checkIndex()
	s.change(func() { s.down = false })
	b.again(src.ID)
	b.drain()
	if got := b.source(src.ID); got.Status != knowledge.Ready || got.Error != "" || got.Pages.Unchanged != 5 {
		t.Errorf("when it is back: %s %s, %+v", got.Status, got.Error, got.Pages)
	}
}

func TestASiteThatGoesDownInTheMiddleOfACrawlKeepsItsIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pages := map[string]string{}
	var links []string
	for i := range 60 {
		path := fmt.Sprintf("/topic-%d", i)
		links = append(links, path)
		pages[path] = page(fmt.Sprintf("Topic %d", i), fmt.Sprintf("The answer number %d is here.", i), "/")
	}
	pages["/"] = page("Help", "Welcome.", links...)
	s := newSite(t, pages)
	src := b.website(s.URL)
	b.drain()
	if got := b.source(src.ID); got.Pages.Indexed != 61 {
		t.Fatalf("%+v", got.Pages)
	}
	asked := 0
	s.change(func() {
		s.before = func(string) {
			s.change(func() {
				if asked++; asked > 20 {
					s.down = true
				}
			})
		}
	})
	b.again(src.ID)
	b.drain()
	got := b.source(src.ID)
	if got.Status != knowledge.Failed || got.Error != "http_503" || got.Pages.Indexed != 61 {
		t.Errorf("%s %s, %+v", got.Status, got.Error, got.Pages)
	}
	if asked > 120 {
		t.Errorf("a site that is down was asked %d times", asked)
	}
	b.checkIndex()
}

func TestAPageThatFailsOnceIsTriedAgainAndOneThatKeepsFailingKeepsItsIndex(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL)
	b.drain()
	tried := 0
	s.change(func() {
		s.status["/dogs"], s.status["/bicycles"] = 500, 500
		s.before = func(path string) {
			if path == "/bicycles" {
				s.change(func() {
					if tried++; tried == 2 {
						delete(s.status, "/bicycles")
					}
				})
			}
		}
	})
	b.again(src.ID)
	b.drain()
	got := b.source(src.ID)
	if got.Status != knowledge.Ready || got.Pages.Indexed != 5 || got.Pages.Failed != 1 || got.Pages.Unchanged != 4 {
		t.Errorf("%s, %+v", got.Status, got.Pages)
	}
	if out := b.outcomes(got); out["/dogs"] != "indexed http_500" || out["/bicycles"] != "indexed" {
		t.Errorf("pages %v", out)
	}
	b.checkIndex()
}

func TestRobotsThatForbidAllFailTheSource(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	s.robots = "User-agent: *\nDisallow: /\n"
	src := b.website(s.URL)
	b.drain()
	got := b.source(src.ID)
	if got.Status != knowledge.Failed || got.Error != "robots_disallowed" || s.asked("/") != 0 {
		t.Errorf("%s %s, the start page was asked for %d times", got.Status, got.Error, s.asked("/"))
	}
	same(t, "pages", b.outcomes(got), map[string]string{"/": "skipped robots_disallowed"})
}

func TestWhatRobotsAndPatternsLeaveOutIsListedWithItsReason(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	s.robots = "User-agent: *\nDisallow: /refunds\n"
	src := b.website(s.URL, func(n *knowledge.NewSource) { n.Exclude = []string{"/dogs"} })
	b.drain()
	same(t, "pages", b.outcomes(b.source(src.ID)), map[string]string{
		"/": "indexed", "/bicycles": "indexed", "/refunds": "skipped robots_disallowed", "/dogs": "skipped excluded",
	})
	if s.asked("/refunds")+s.asked("/dogs") != 0 {
		t.Error("they were fetched")
	}
}

func TestASourceHasNoMorePagesThanItsLimit(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL, func(n *knowledge.NewSource) { n.MaxPages = 3 })
	b.drain()
	got := b.source(src.ID)
	limited := 0
	for _, what := range b.outcomes(got) {
		if what == "skipped page_limit" {
			limited++
		}
	}
	if got.Status != knowledge.Ready || got.Pages.Indexed != 3 || limited == 0 {
		t.Errorf("%s, %+v, %v", got.Status, got.Pages, b.outcomes(got))
	}
	b.checkIndex()
}

func TestASiteOfEndlessPagesEnds(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, map[string]string{})
	s.before = func(path string) {
		if path == "/robots.txt" || path == "/sitemap.xml" {
			return
		}
		s.change(func() {
			s.pages[path] = page("Page "+path, "Words of "+path, path+"x", path+"y", path+"z")
		})
	}
	src := b.website(s.URL+"/a", func(n *knowledge.NewSource) { n.MaxPages = 40 })
	b.drain()
	if got := b.source(src.ID); got.Status != knowledge.Ready || got.Pages.Indexed != 40 {
		t.Errorf("%s, %+v", got.Status, got.Pages)
	}
}

func TestACrawlThatIsKilledGoesOnAndFinishesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pages := map[string]string{}
	var links []string
	for i := range 50 {
		path := fmt.Sprintf("/topic-%d", i)
		links = append(links, path)
		pages[path] = page(fmt.Sprintf("Topic %d", i), fmt.Sprintf("The answer number %d is here.", i), "/")
	}
	pages["/"] = page("Help", "Welcome.", links...)
	s := newSite(t, pages)
	src := b.website(s.URL)
	// Each third slice is killed while it fetches; half of those so hard that
	// they can't give their lease back.
	slice := 0
	for {
		all := b.jobs("crawl_slice")
		if len(all) == 0 {
			break
		}
		if slice++; slice > 300 {
			t.Fatal("jobs without end")
		}
		if slice%3 != 0 {
			if err := b.work(t.Context(), b.Knowledge, all[0]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		ctx, kill := context.WithCancel(t.Context())
		n := 0
		s.change(func() {
			s.before = func(string) {
				s.change(func() {
					if n++; n == 4 {
						kill()
					}
				})
			}
		})
		err := b.work(ctx, b.Knowledge, all[0])
		s.change(func() { s.before = nil })
		kill()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err != nil && slice%2 == 0 {
			b.exec(`update pages set state = 'leased', lease = $2, attempts = attempts + 1, not_before = $3
				where workspace_id = $1 and state = 'queued'`, b.w.ID, ids.New(time.Now()), b.clock.Now().Add(time.Minute))
		}
		if slice > 20 {
			b.clock.Advance(2 * time.Minute)
		}
	}
	b.drain()
	got := b.source(src.ID)
	if got.Status != knowledge.Ready || got.Pages.Indexed != 51 || got.Pages.Found != 51 {
		t.Errorf("%s %s, %+v, %v", got.Status, got.Error, got.Pages, b.outcomes(got))
	}
	if types := b.events(src.ID); !slices.Equal(types, []string{"source.ready"}) {
		t.Errorf("events %v", types)
	}
	b.checkIndex()
}

func TestAnExpiredLeaseIsTakenByAnotherWorkerAndTheFirstStoresNothing(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL)
	// Up to the slice that fetches the start page.
	for range 2 {
		if err := b.work(t.Context(), b.Knowledge, b.jobs("crawl_slice")[0]); err != nil {
			t.Fatal(err)
		}
	}
	slow := b.jobs("crawl_slice")[0]
	arrived, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.change(func() {
		s.before = func(string) {
			once.Do(func() {
				s.change(func() { s.before = nil })
				close(arrived)
				<-goOn
			})
		}
	})
	done := make(chan error)
	go func() { done <- runCrawl(t.Context(), b.Knowledge, slow) }()
	<-arrived
	b.clock.Advance(2 * time.Minute) // its lease ends
	other := b.with(b.model)
	if err := runCrawl(t.Context(), other, slow); err != nil { // the same job, rescued
		t.Fatal(err)
	}
	stored := b.number("select max(id) from passages where workspace_id = $1", b.w.ID)
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if after := b.number("select max(id) from passages where workspace_id = $1", b.w.ID); after != stored {
		t.Error("the first worker stored what it read, too")
	}
	b.drain()
	if got := b.source(src.ID); got.Status != knowledge.Ready || got.Pages.Indexed != 5 {
		t.Errorf("%s, %+v", got.Status, got.Pages)
	}
	if types := b.events(src.ID); !slices.Equal(types, []string{"source.ready"}) {
		t.Errorf("events %v", types)
	}
	b.checkIndex()
}

func runCrawl(ctx context.Context, k *knowledge.Knowledge, j job) error {
	var args knowledge.CrawlSlice
	if err := json.Unmarshal(j.args, &args); err != nil {
		return err
	}
	return k.CrawlSlice(ctx, args)
}

func TestTwoWorkersAtOnceCrawlEachPageOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pages := map[string]string{}
	var links []string
	for i := range 80 {
		path := fmt.Sprintf("/topic-%d", i)
		links = append(links, path)
		pages[path] = page(fmt.Sprintf("Topic %d", i), fmt.Sprintf("The answer number %d is here.", i), "/")
	}
	pages["/"] = page("Help", "Welcome.", links...)
	s := newSite(t, pages)
	src := b.website(s.URL)
	nodes := []*knowledge.Knowledge{b.Knowledge, b.with(b.model)}
	for round := 0; ; round++ {
		all := b.jobs("crawl_slice")
		if len(all) == 0 || round > 100 {
			break
		}
		if late := all[0].at.Sub(b.clock.Now()); late > 0 {
			b.clock.Advance(late)
		}
		var wg sync.WaitGroup
		for _, node := range nodes {
			wg.Go(func() {
				if err := runCrawl(t.Context(), node, all[0]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b.exec("delete from river.river_job where id = $1", all[0].id)
	}
	b.drain()
	if got := b.source(src.ID); got.Status != knowledge.Ready || got.Pages.Indexed != 81 {
		t.Errorf("%s %s, %+v", got.Status, got.Error, got.Pages)
	}
	for path := range pages {
		if n := s.asked(path); n != 1 && path != "/" {
			t.Errorf("%s was fetched %d times", path, n)
		}
	}
	if types := b.events(src.ID); !slices.Equal(types, []string{"source.ready"}) {
		t.Errorf("events %v", types)
	}
	b.checkIndex()
}

func TestASourceThatIsDeletedDuringItsCrawlDoesNotComeBack(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	kept := b.text("Kept", "What the other source says stays.")
	src := b.website(s.URL)
	for range 3 {
		if err := b.work(t.Context(), b.Knowledge, b.jobs("crawl_slice")[0]); err != nil {
			t.Fatal(err)
		}
	}
	var once sync.Once
	s.change(func() {
		s.before = func(string) {
			once.Do(func() {
				if err := b.DeleteSource(context.WithoutCancel(t.Context()), b.w, src.ID, 0); err != nil {
					t.Error(err)
				}
			})
		}
	})
	b.drain()
	if _, err := b.Source(t.Context(), b.w, src.ID); fault.Of(err).Kind != fault.NotFound {
		t.Errorf("the source: %v", err)
	}
	for _, table := range []string{"sources", "pages", "passages", "passage_vectors"} {
		if n := b.number("select count(*) from "+table+" where workspace_id = $1", b.w.ID); n != 1 {
			t.Errorf("%d rows in %s, want the other source's", n, table)
		}
	}
	if b.finds("refunded fourteen days", "fourteen") || !b.finds("other source stays", "stays") {
		t.Error("what is found is wrong")
	}
	if b.source(kept.ID).Status != knowledge.Ready {
		t.Errorf("the other source is %s", b.source(kept.ID).Status)
	}
	b.checkIndex()
}

func TestSourcesOfAWorkspaceTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	big, small := newSite(t, map[string]string{}), newSite(t, help())
	big.before = func(path string) {
		big.change(func() {
			if !strings.HasSuffix(path, "txt") && !strings.HasSuffix(path, "xml") {
				big.pages[path] = page("Page "+path, "Words of "+path, path+"x", path+"y", path+"z")
			}
		})
	}
	first := b.website(big.URL+"/a", func(n *knowledge.NewSource) { n.MaxPages = 300 })
	second := b.website(small.URL)
	for b.source(second.ID).Pages.Indexed < 5 {
		all := b.jobs("crawl_slice")
		if len(all) != 1 {
			t.Fatalf("%d jobs in one lane", len(all))
		}
		b.clock.Advance(time.Millisecond)
		if err := b.work(t.Context(), b.Knowledge, all[0]); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.source(first.ID); got.Status != knowledge.Crawling || got.Pages.Indexed == 0 {
		t.Errorf("the big one: %s, %+v", got.Status, got.Pages)
	}
}

func TestAPageOfLinksIsFoundButIsNoAnswer(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	links := `<!doctype html><html lang=en><head><title>All about bicycles</title></head><body><main><h1>Topics</h1><ul>` +
		`<li><a href="/bicycles">How much is a bicycle?</a></li><li><a href="/dogs">Dogs on board</a></li><li><a href="/luggage">How much luggage may I bring?</a></li><li><a href="/refunds">Refunds after cancellations</a></li></ul></main></body></html>`
	s.pages["/links"] = links
	s.pages["/"] = page("Help", "Welcome to the help centre of the harbour ferry company.", "/links")
	s.etags = true
	src := b.website(s.URL)
	b.drain()
	check := func(when string) {
		t.Helper()
		if got := b.outcomes(b.source(src.ID)); got["/links"] != "indexed" || got["/bicycles"] != "indexed" {
			t.Errorf("%s: pages %v", when, got)
		}
		if !b.finds("how much is a bicycle?", "Dogs on board") {
			t.Errorf("%s the page of links is not found: %q", when, b.found("how much is a bicycle?"))
		}
		f, err := b.Search(t.Context(), b.w, knowledge.Query{Text: "how much is a bicycle?", Answering: true})
		if err != nil || len(f.Hits) == 0 || !strings.Contains(f.Hits[0].Text, "four euros") {
			t.Errorf("%s: %+v, %v", when, f.Hits, err)
		}
		for _, h := range f.Hits {
			if strings.HasSuffix(h.URL, "/links") {
				t.Errorf("%s: %s is cited for an answer", when, h.URL)
			}
		}
	}
	check("after the first crawl")
	b.again(src.ID)
	b.drain()
	check("unchanged")
	if headings, err := b.Headings(t.Context(), b.w, 10); err != nil || slices.ContainsFunc(headings, func(h knowledge.Heading) bool { return strings.Contains(h.Text, "bicycles") }) {
		t.Errorf("headings %v, %v", headings, err)
	}
	s.change(func() {
		s.pages["/links"] = page("All about bicycles", "A bicycle may be rented in the harbour, from the kiosk beside the bridge.")
	})
	b.again(src.ID)
	b.drain()
	f, err := b.Search(t.Context(), b.w, knowledge.Query{Text: "may a bicycle be rented?", Answering: true})
	if err != nil || len(f.Hits) == 0 || !strings.HasSuffix(f.Hits[0].URL, "/links") {
		t.Errorf("a page that says something by now: %+v, %v", f.Hits, err)
	}
}
