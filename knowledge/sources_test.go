package knowledge_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/internal/timers"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/tenants"
)

func (b *bench) text(title, text string) knowledge.Source {
	b.t.Helper()
	s, err := b.CreateSource(b.t.Context(), b.w, knowledge.NewSource{Type: knowledge.Text, Title: title, Text: text}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func TestATextIsSearchableAtOnceAndReadyWithItsVectors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.model.fail.Store(true)
	s := b.text("House rules", "# Parking\n\nThe garage closes at eleven at night.\n\n# Pool\n\nThe pool opens at seven.")
	b.model.fail.Store(false)
	if s.Status != knowledge.Pending || s.Pages.Indexed != 1 || !b.finds("when does the garage close?", "eleven") {
		t.Errorf("at once: %s, %+v, %q", s.Status, s.Pages, b.found("when does the garage close?"))
	}
	f, err := b.Search(t.Context(), b.w, knowledge.Query{Text: "garage"})
	if err != nil || !slices.Equal(f.Hits[0].HeadingPath, []string{"Parking"}) || f.Hits[0].Title != "House rules" || f.Hits[0].SourceID != s.ID {
		t.Errorf("%+v, %v", f.Hits, err)
	}
	b.drain()
	if got := b.source(s.ID); got.Status != knowledge.Ready || got.Text == "" {
		t.Errorf("afterwards %s", got.Status)
	}
	f, err = b.Search(t.Context(), b.w, knowledge.Query{Text: "garage"})
	if err != nil || f.Hits[0].Cosine <= 0 || f.Signals.NoVectors || f.Signals.Passage != 1 {
		t.Errorf("with vectors: %+v, %+v, %v", f.Hits, f.Signals, err)
	}
	text := "The garage closes at midnight now."
	changed, err := b.UpdateSource(t.Context(), b.w, s.ID, knowledge.SourceChange{Text: &text, IfVersion: b.source(s.ID).Version}, nil)
	if err != nil || changed.Status != knowledge.Crawling {
		t.Errorf("changed: %s, %v", changed.Status, err)
	}
	if b.finds("garage", "eleven") || !b.finds("garage", "midnight") {
		t.Errorf("found %q", b.found("garage"))
	}
	b.drain()
	if got := b.source(s.ID); got.Status != knowledge.Ready {
		t.Errorf("in the end %s", got.Status)
	}
	if types := b.events(s.ID); !slices.Equal(types, []string{"source.ready", "source.ready"}) {
		t.Errorf("events %v", types)
	}
	b.checkIndex()
	if _, err := b.UpdateSource(t.Context(), b.w, s.ID, knowledge.SourceChange{Text: &text, IfVersion: 1}, nil); fault.Of(err).Code != "precondition_failed" {
		t.Errorf("of an old version: %v", err)
	}
}

func TestWordsAreCountedRightWhenManyWriteAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				s, err := b.CreateSource(t.Context(), b.w, knowledge.NewSource{
					Type: knowledge.Text, Title: fmt.Sprintf("Text %d of %d", j, i),
					Text: fmt.Sprintf("Common words stand in all texts. Text number%d has its own, and writer%d too. %s", j, i, strings.Repeat("It's o'clock. ", i)),
				}, nil)
				if err == nil && j%2 == 1 {
					err = b.DeleteSource(t.Context(), b.w, s.ID, s.Version)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			for _, j := range b.embedJobs() {
				if err := b.EmbedSlice(t.Context(), j); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
	b.drain()
	b.checkIndex()
	all, more, err := b.Sources(t.Context(), b.w, tenants.Page{Limit: 10})
	if err != nil || len(all) != 10 || !more {
		t.Fatalf("%d sources, more %v, %v", len(all), more, err)
	}
	rest, more, err := b.Sources(t.Context(), b.w, tenants.Page{Limit: 10, After: all[9].ID})
	if err != nil || len(rest) != 6 || more {
		t.Errorf("%d sources, more %v, %v", len(rest), more, err)
	}
	for _, s := range append(all, rest...) {
		if s.Status != knowledge.Ready {
			t.Errorf("%s is %s", s.Title, s.Status)
		}
		if err := b.DeleteSource(t.Context(), b.w, s.ID, 0); err != nil {
			t.Error(err)
		}
	}
	for _, table := range []string{"sources", "pages", "passages", "passage_vectors", "passages_unembedded", "passage_words"} {
		if n := b.number("select count(*) from "+table+" where workspace_id = $1", b.w.ID); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	b.checkIndex()
}

// embedJobs reads on a connection of its own, to be used beside others.
func (b *bench) embedJobs() (all []knowledge.EmbedSlice) {
	err := b.db.InSystem(b.t.Context(), func(tx pgx.Tx) error {
		rows, err := tx.Query(b.t.Context(), "select args from river.river_job where kind = 'embed_slice' and (args->>'workspace_id')::bigint = $1", b.w.ID)
		if err != nil {
			return err
		}
		var args []byte
		_, err = pgx.ForEachRow(rows, []any{&args}, func() error {
			var a knowledge.EmbedSlice
			if err := json.Unmarshal(args, &a); err != nil {
				return err
			}
			all = append(all, a)
			return nil
		})
		return err
	})
	if err != nil {
		b.t.Error(err)
	}
	return all
}

func TestABigSourceIsGoneAtOnceAndRemovedInSlices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var text strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&text, "# Chapter %d\n\nThe word of chapter %d is xyzzy%d.\n\n", i, i, i)
	}
	s := b.text("A long text", text.String())
	if n := b.number("select count(*) from passages where workspace_id = $1", b.w.ID); n != 1200 {
		t.Fatalf("%d passages", n)
	}
	if err := b.DeleteSource(t.Context(), b.w, s.ID, 0); err != nil {
		t.Fatal(err)
	}
	if n := b.number("select count(*) from passages where workspace_id = $1", b.w.ID); n == 0 {
		t.Error("it was not removed in slices")
	}
	if got := b.found("xyzzy700"); len(got) != 0 {
		t.Errorf("found %q", got)
	}
	if all, _, err := b.Pages(t.Context(), b.w, knowledge.PageFilter{}, tenants.Page{Limit: 10}); err != nil || len(all) != 0 {
		t.Errorf("%d pages, %v", len(all), err)
	}
	b.drain()
	for _, table := range []string{"sources", "pages", "passages", "passages_unembedded", "passage_words"} {
		if n := b.number("select count(*) from "+table+" where workspace_id = $1", b.w.ID); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	b.checkIndex()
}

func TestAFailingEmbedderLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.text("Rules", "The garage closes at eleven.")
	b.model.fail.Store(true)
	j := b.jobs("embed_slice")[0]
	if err := b.work(t.Context(), b.Knowledge, j); err == nil {
		t.Error("it did not fail")
	}
	b.model.fail.Store(false)
	b.drain()
	if got := b.source(s.ID); got.Status != knowledge.Ready {
		t.Errorf("it is %s", got.Status)
	}
}

func TestWhatIsDeletedWhileItIsEmbeddedGetsNoVector(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gone, stays := b.text("Gone", "The garage closes at eleven."), b.text("Stays", "The pool opens at seven.")
	once := sync.OnceFunc(func() {
		if err := b.DeleteSource(t.Context(), b.w, gone.ID, 0); err != nil {
			t.Error(err)
		}
	})
	b.model.while = once
	b.drain()
	if got := b.source(stays.ID); got.Status != knowledge.Ready || len(b.events(gone.ID)) != 0 {
		t.Errorf("the other is %s, events of the deleted one %v", got.Status, b.events(gone.ID))
	}
	if n := b.number("select count(*) from passage_vectors where workspace_id = $1", b.w.ID); n != 1 {
		t.Errorf("%d vectors", n)
	}
	b.checkIndex()
}

func TestTwoNodesThatEmbedAtOnceMakeASourceReadyOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "# Chapter %d\n\nThe word of chapter %d is xyzzy%d.\n\n", i, i, i)
	}
	s := b.text("A text", text.String())
	nodes := []*knowledge.Knowledge{b.Knowledge, b.with(&wordEmbedder{}), b.with(&wordEmbedder{})}
	for range 20 {
		var wg sync.WaitGroup
		for _, args := range b.embedJobs() {
			for _, node := range nodes {
				wg.Go(func() {
					if err := node.EmbedSlice(t.Context(), args); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
	}
	if got := b.source(s.ID); got.Status != knowledge.Ready {
		t.Errorf("it is %s", got.Status)
	}
	if types := b.events(s.ID); !slices.Equal(types, []string{"source.ready"}) {
		t.Errorf("events %v", types)
	}
	if n := b.number("select count(*) from passage_vectors where workspace_id = $1", b.w.ID); n != 60 {
		t.Errorf("%d vectors", n)
	}
	b.checkIndex()
}

func TestALaneWhoseJobWasLostIsRevived(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.text("Rules", "The garage closes at eleven.")
	b.exec("delete from river.river_job where (args->>'workspace_id')::bigint = $1", b.w.ID)
	if _, err := b.Revive(t.Context()); err != nil || len(b.jobs("embed_slice")) != 0 {
		t.Errorf("too early: %v", err)
	}
	b.clock.Advance(time.Hour)
	if _, err := b.Revive(t.Context()); err != nil || len(b.jobs("embed_slice")) != 1 {
		t.Errorf("%d jobs, %v", len(b.jobs("embed_slice")), err)
	}
	b.drain()
	if got := b.source(s.ID); got.Status != knowledge.Ready {
		t.Errorf("it is %s", got.Status)
	}
}

func TestACrawlUnderWayIsNotStartedTwice(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL)
	b.again(src.ID)
	b.again(src.ID)
	if n := len(b.jobs("crawl_slice")); n != 1 {
		t.Errorf("%d jobs", n)
	}
	b.drain()
	if s.asked("/dogs") != 1 || len(b.events(src.ID)) != 1 {
		t.Errorf("fetched %d times, events %v", s.asked("/dogs"), b.events(src.ID))
	}
}

func TestARefreshCrawlsAgainAndPlansTheNext(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	src := b.website(s.URL, func(n *knowledge.NewSource) { n.Refresh = knowledge.RefreshDaily })
	b.drain()
	due := func() (at time.Time) {
		t.Helper()
		err := b.owner.QueryRow(t.Context(), "select due_at from timers where workspace_id = $1 and kind = $2 and object_id = $3", b.w.ID, timers.Refresh, src.ID).Scan(&at)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if wait := due().Sub(b.clock.Now()); wait < 23*time.Hour || wait > 24*time.Hour {
		t.Errorf("the next is in %s", wait)
	}
	b.clock.Set(due())
	if err := b.Refresh(t.Context(), b.w, src.ID); err != nil {
		t.Fatal(err)
	}
	b.drain()
	if got := b.source(src.ID); got.Pages.Unchanged != 5 || !due().After(b.clock.Now()) {
		t.Errorf("%+v, due %s", got.Pages, due())
	}
	none := knowledge.RefreshNone
	if _, err := b.UpdateSource(t.Context(), b.w, src.ID, knowledge.SourceChange{Refresh: &none}, nil); err != nil {
		t.Fatal(err)
	}
	if n := b.number("select count(*) from timers where workspace_id = $1", b.w.ID); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

func TestARepeatedRequestMakesOneSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	who := ids.New(time.Now())
	var made []ids.ID
	for range 2 {
		r := &receipts.Receipt{Workspace: b.w, Principal: who, Key: "k", Fingerprint: sha256.Sum256([]byte("body")), Now: b.clock.Now(), Box: box}
		s, err := b.CreateSource(t.Context(), b.w, knowledge.NewSource{Type: knowledge.Text, Title: "T", Text: "Some text.", Metadata: map[string]string{"a": "b"}}, r)
		if err != nil || s.Metadata["a"] != "b" {
			t.Fatal(s, err)
		}
		made = append(made, s.ID)
	}
	if made[0] != made[1] || b.number("select count(*) from sources where workspace_id = $1", b.w.ID) != 1 {
		t.Errorf("made %v", made)
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, made := range map[string]knowledge.NewSource{
		"no type":            {URL: "https://example.com"},
		"no address":         {Type: knowledge.Website},
		"another scheme":     {Type: knowledge.Website, URL: "ftp://example.com/"},
		"a file":             {Type: knowledge.Website, URL: "file:///etc/passwd"},
		"a website's text":   {Type: knowledge.Website, URL: "https://example.com", Text: "x"},
		"no text":            {Type: knowledge.Text, Title: "T", Text: " \x00 "},
		"no title":           {Type: knowledge.Text, Text: "x"},
		"a long text":        {Type: knowledge.Text, Title: "T", Text: strings.Repeat("x", 1<<20+1)},
		"a text's address":   {Type: knowledge.Text, Title: "T", Text: "x", URL: "https://example.com"},
		"an unknown refresh": {Type: knowledge.Website, URL: "https://example.com", Refresh: "hourly"},
		"many pages":         {Type: knowledge.Website, URL: "https://example.com", MaxPages: 1_000_000},
		"an empty pattern":   {Type: knowledge.Website, URL: "https://example.com", Include: []string{""}},
	} {
		if _, err := b.CreateSource(t.Context(), b.w, made, nil); fault.Of(err).Kind != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := b.text("Broken \xff and \x00", "Broken \xff and \x00 words.")
	if got := b.source(s.ID); got.Title != "Broken \ufffd and" || got.Text != "Broken \ufffd and  words." {
		t.Error("it was stored as it came")
	}
	if n := b.number("select count(*) from sources where workspace_id = $1", b.w.ID); n != 1 {
		t.Errorf("%d sources", n)
	}
}

func TestNothingIsReadOrWrittenInAWorkspaceThatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	b, s := setup(t), newSite(t, help())
	b.website(s.URL)
	b.text("Rules", "The garage closes at eleven.")
	b.exec("update workspaces set status = 'deleting' where workspace_id = $1", b.w.ID)
	b.drain()
	if s.asked("/robots.txt") != 0 || b.number("select count(*) from passage_vectors where workspace_id = $1", b.w.ID) != 0 {
		t.Error("jobs went on")
	}
	if _, err := b.CreateSource(t.Context(), b.w, knowledge.NewSource{Type: knowledge.Text, Title: "T", Text: "x"}, nil); fault.Of(err).Kind != fault.NotFound {
		t.Errorf("a new source: %v", err)
	}
	if n := b.number("select count(*) from knowledge_lanes where workspace_id = $1 and live", b.w.ID); n != 0 {
		t.Errorf("%d lanes are alive", n)
	}
}

func TestASearchNeverLeavesItsWorkspace(t *testing.T) {
	t.Parallel()
	ours := setup(t)
	theirs := setupIn(t, postgrestest.MoreWorkspace(t, ours.w.AgencyID, "other"))
	secret := theirs.text("Canary", "The canary sings at nineteen past midnight. Common words.")
	ours.text("Ours", "Common words of ours. The garage closes at midnight.")
	ours.drain()
	theirs.drain()
	for _, question := range []string{"canary sings nineteen midnight", "common words", "' | '" + strconv.FormatInt(theirs.w.ID, 10) + ":canari", "midnight"} {
		f, err := ours.Search(t.Context(), ours.w, knowledge.Query{Text: question, Limit: 100})
		text, _ := json.Marshal(f.Hits)
		if err != nil || strings.Contains(string(text), "nineteen") || len(f.Hits) > 1 {
			t.Errorf("%q: %s, %v", question, text, err)
		}
	}
	// The function past row security takes no other workspace either.
	err := ours.db.InWorkspace(t.Context(), ours.w, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "select * from search_words($1, '{canari}', 10)", theirs.w.ID)
		return err
	})
	if err == nil {
		t.Error("search_words looked into another workspace")
	}
	for _, scope := range []func(context.Context, func(pgx.Tx) error) error{
		func(ctx context.Context, do func(pgx.Tx) error) error {
			return ours.db.InAgency(ctx, ours.w.AgencyID, do)
		},
		ours.db.InSystem,
	} {
		if err := scope(t.Context(), func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "select * from search_words($1, '{canari}', 10)", theirs.w.ID)
			return err
		}); err == nil {
			t.Error("search_words answered outside of a workspace")
		}
	}
	for name, err := range map[string]error{
		"Source":       second(ours.Source(t.Context(), ours.w, secret.ID)),
		"UpdateSource": second(ours.UpdateSource(t.Context(), ours.w, secret.ID, knowledge.SourceChange{}, nil)),
		"DeleteSource": ours.DeleteSource(t.Context(), ours.w, secret.ID, 0),
		"Crawl":        second(ours.Crawl(t.Context(), ours.w, secret.ID, nil)),
	} {
		if fault.Of(err).Kind != fault.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	pages, _, err := theirs.Pages(t.Context(), theirs.w, knowledge.PageFilter{}, tenants.Page{Limit: 10})
	if err != nil || len(pages) != 1 {
		t.Fatal(pages, err)
	}
	if _, err := ours.Page(t.Context(), ours.w, pages[0].ID); fault.Of(err).Kind != fault.NotFound {
		t.Errorf("Page: %v", err)
	}
	if p, err := theirs.Page(t.Context(), theirs.w, pages[0].ID); err != nil || p.Title != "Canary" {
		t.Errorf("their own: %+v, %v", p, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestCalibrationsAreKeptForTheIndexThatTheyWereMadeFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if c, err := b.Calibration(t.Context(), b.w); err != nil || c.Data != nil || c.Changes != 0 {
		t.Errorf("at first %+v, %v", c, err)
	}
	b.text("Rules", "# When does the garage close?\n\nThe garage closes at eleven.")
	b.drain()
	c, err := b.Calibration(t.Context(), b.w)
	if err != nil || c.Changes != 1 || c.Passages != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := b.StoreCalibration(t.Context(), b.w, c.Changes, json.RawMessage(`{"threshold": 0.5}`)); err != nil {
		t.Fatal(err)
	}
	if err := b.StoreCalibration(t.Context(), b.w, c.Changes-1, json.RawMessage(`{"late": true}`)); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Calibration(t.Context(), b.w); err != nil || c.MadeFor != c.Changes || string(c.Data) != `{"threshold": 0.5}` {
		t.Errorf("%s for %d, %v", c.Data, c.MadeFor, err)
	}
	headings, err := b.Headings(t.Context(), b.w, 10)
	if err != nil || len(headings) != 1 || headings[0].Text != "When does the garage close?" {
		t.Errorf("%v, %v", headings, err)
	}
	signals, err := b.Signals(t.Context(), b.w, []knowledge.Query{{Text: "When does the garage close?"}, {Text: "Who won the election?"}})
	if err != nil || len(signals) != 2 || signals[0].Cosine <= signals[1].Cosine || signals[0].Unknown >= signals[1].Unknown {
		t.Errorf("%+v, %v", signals, err)
	}
}

func TestATextKnowsItsLanguageAndIsNotEndless(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.text("Lieferung", "Wir liefern innerhalb von drei Werktagen. Auf eine Insel dauert es fünf Tage länger.")
	pages, _, err := b.Pages(t.Context(), b.w, knowledge.PageFilter{}, tenants.Page{Limit: 10})
	if err != nil || len(pages) != 1 || pages[0].Language != "de" {
		t.Errorf("%+v, %v", pages, err)
	}
	endless := knowledge.NewSource{Type: knowledge.Text, Title: "Headings", Text: strings.Repeat("# A\n\nb\n\n", 5000)}
	if _, err := b.CreateSource(t.Context(), b.w, endless, nil); fault.Of(err).Kind != fault.Invalid {
		t.Errorf("a text of five thousand passages: %v", err)
	}
	if n := b.number("select count(*) from sources where workspace_id = $1", b.w.ID); n != 1 {
		t.Errorf("%d sources", n)
	}
}
