package knowledge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/outbound"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
	"github.com/relaydesk/relaydesk/tenants"
)

// wordEmbedder gives texts with the same words the same direction.
type wordEmbedder struct {
	calls atomic.Int32
	fail  atomic.Bool
	while func() // called while passages are embedded; nil: nothing
}

func (e *wordEmbedder) Query(_ context.Context, texts ...string) ([][]float32, error) {
	return e.embed(texts)
}

func (e *wordEmbedder) Passages(_ context.Context, texts ...string) ([][]float32, error) {
	if e.while != nil {
		e.while()
	}
	return e.embed(texts)
}

func (e *wordEmbedder) embed(texts []string) ([][]float32, error) {
	e.calls.Add(1)
	if e.fail.Load() {
		return nil, errors.New("the model is out")
	}
	out := make([][]float32, len(texts))
	for i, text := range texts {
		v := make([]float32, knowledge.Dimensions)
		v[0] = .1 // no text is without a direction
		for _, word := range rank.Words(text) {
			h := fnv.New32a()
			_, _ = h.Write([]byte(word))
			v[h.Sum32()%knowledge.Dimensions]++
		}
		out[i] = unit(v)
	}
	return out, nil
}

func unit(v []float32) []float32 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / math.Sqrt(sum))
	}
	return v
}

// bench is one workspace with a Knowledge, whose jobs a test works by hand.
type bench struct {
	*knowledge.Knowledge
	t     *testing.T
	db    *postgres.DB
	w     postgres.Workspace
	clock *clocktest.Fake
	model *wordEmbedder
	owner *pgx.Conn
}

func setup(t *testing.T) *bench {
	t.Helper()
	return setupIn(t, postgrestest.Tenant(t))
}

func setupIn(t *testing.T, w postgres.Workspace) *bench {
	t.Helper()
	b := &bench{t: t, db: postgrestest.New(t), w: w, clock: clocktest.At(time.Now()), model: &wordEmbedder{}, owner: postgrestest.Owner(t)}
	b.Knowledge = b.with(b.model)
	return b
}

// with makes another node on the same database.
func (b *bench) with(e knowledge.Embedder) *knowledge.Knowledge {
	b.t.Helper()
	log := slog.New(slog.DiscardHandler)
	q, err := queue.New(log)
	if err != nil {
		b.t.Fatal(err)
	}
	return knowledge.New(knowledge.Deps{
		DB: b.db, Clock: b.clock, Queue: q, Log: log, Embedder: e, HTTP: outbound.NewClient(outbound.Policy{AllowLoopback: true}, 5*time.Second),
	})
}

type job struct {
	id   int64
	kind string
	args []byte
	at   time.Time
}

// jobs gives the workspace's jobs of the given kinds, in the order they come up.
func (b *bench) jobs(kinds ...string) []job {
	b.t.Helper()
	rows, err := b.owner.Query(b.t.Context(), `select id, kind, args, scheduled_at from river.river_job
		where (args->>'workspace_id')::bigint = $1 and kind = any ($2) order by scheduled_at, id`, b.w.ID, kinds)
	if err != nil {
		b.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j job, err error) {
		err = row.Scan(&j.id, &j.kind, &j.args, &j.at)
		return j, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// work does one job, and takes it from the queue if it succeeds.
func (b *bench) work(ctx context.Context, k *knowledge.Knowledge, j job) error {
	b.t.Helper()
	if late := j.at.Sub(b.clock.Now()); late > 0 {
		b.clock.Advance(late)
	}
	var err error
	switch j.kind {
	case "crawl_slice":
		var args knowledge.CrawlSlice
		if err = json.Unmarshal(j.args, &args); err == nil {
			err = k.CrawlSlice(ctx, args)
		}
	case "embed_slice":
		var args knowledge.EmbedSlice
		if err = json.Unmarshal(j.args, &args); err == nil {
			err = k.EmbedSlice(ctx, args)
		}
	}
	if err == nil {
		b.exec("delete from river.river_job where id = $1", j.id)
	}
	return err
}

// drain works jobs until none is left.
func (b *bench) drain(kinds ...string) {
	b.t.Helper()
	if len(kinds) == 0 {
		kinds = []string{"crawl_slice", "embed_slice"}
	}
	for range 500 {
		all := b.jobs(kinds...)
		if len(all) == 0 {
			return
		}
		if err := b.work(b.t.Context(), b.Knowledge, all[0]); err != nil {
			b.t.Fatalf("%s: %v", all[0].kind, err)
		}
	}
	b.t.Fatal("jobs without end")
}

func (b *bench) exec(sql string, args ...any) {
	b.t.Helper()
	if _, err := b.owner.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) number(sql string, args ...any) (n int) {
	b.t.Helper()
	if err := b.owner.QueryRow(b.t.Context(), sql, args...).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bench) website(url string, change ...func(*knowledge.NewSource)) knowledge.Source {
	b.t.Helper()
	made := knowledge.NewSource{Type: knowledge.Website, URL: url}
	for _, c := range change {
		c(&made)
	}
	s, err := b.CreateSource(b.t.Context(), b.w, made, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) source(id ids.ID) knowledge.Source {
	b.t.Helper()
	s, err := b.Source(b.t.Context(), b.w, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) again(id ids.ID) {
	b.t.Helper()
	if _, err := b.Crawl(b.t.Context(), b.w, id, nil); err != nil {
		b.t.Fatal(err)
	}
}

// outcomes gives each listed page of a source as path → status or reason.
func (b *bench) outcomes(s knowledge.Source) map[string]string {
	b.t.Helper()
	out := map[string]string{}
	all, _, err := b.Pages(b.t.Context(), b.w, knowledge.PageFilter{SourceID: s.ID}, tenants.Page{Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	base := strings.TrimSuffix(s.URL, "/")
	for _, p := range all {
		what := p.Status
		if p.Reason != "" {
			what += " " + p.Reason
		}
		out[strings.TrimPrefix(p.URL, base)] = what
	}
	return out
}

// found gives the paths or titles of what a search finds, best first.
func (b *bench) found(question string) (texts []string) {
	b.t.Helper()
	f, err := b.Search(b.t.Context(), b.w, knowledge.Query{Text: question})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range f.Hits {
		texts = append(texts, h.Text)
	}
	return texts
}

func (b *bench) finds(question, words string) bool {
	b.t.Helper()
	return slices.ContainsFunc(b.found(question), func(text string) bool { return strings.Contains(text, words) })
}

// checkIndex compares what is kept beside the passages with the passages.
func (b *bench) checkIndex() {
	b.t.Helper()
	wrong := b.number(`with counted as (
			select substr(word, length($1::bigint::text) + 2) as word, count(*) as n from passage_lexemes, unnest(tsvector_to_array(tsv)) as word where workspace_id = $1 group by 1)
		select count(*) from counted c full join (select * from passage_words where workspace_id = $1) k on k.word = c.word
		where c.n is distinct from k.passages`, b.w.ID)
	if wrong != 0 {
		b.t.Errorf("%d words are counted wrongly", wrong)
	}
	for name, sql := range map[string]string{
		"passages in the statistics": `select (select count(*) from passages where workspace_id = $1) - coalesce((select passages from search_statistics where workspace_id = $1), 0)`,
		"lengths in the statistics":  `select (select coalesce(sum(length), 0) from passages where workspace_id = $1) - coalesce((select words from search_statistics where workspace_id = $1), 0)`,
		"passages without a vector or a place in the queue": `select count(*) from passages p where workspace_id = $1
			and not exists (select from passage_vectors v where v.workspace_id = $1 and v.id = p.id)
			and not exists (select from passages_unembedded v where v.workspace_id = $1 and v.id = p.id)`,
		"passages without words": `select count(*) from passages p where workspace_id = $1 and not exists (select from passage_lexemes l where l.workspace_id = $1 and l.id = p.id)`,
		"passages per page": `select count(*) from pages g where workspace_id = $1
			and passages <> (select count(*) from passages p where p.workspace_id = $1 and p.page_id = g.id)`,
		"pages that are indexed without passages": `select count(*) from pages where workspace_id = $1 and (status = 'indexed') <> (passages > 0)`,
	} {
		if off := b.number(sql, b.w.ID); off != 0 {
			b.t.Errorf("%s are off by %d", name, off)
		}
	}
}

func (b *bench) events(source ids.ID) (types []string) {
	b.t.Helper()
	rows, err := b.owner.Query(b.t.Context(), "select type from events where workspace_id = $1 and object_id = $2 order by ref", b.w.ID, source)
	if err != nil {
		b.t.Fatal(err)
	}
	types, err = pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.t.Fatal(err)
	}
	return types
}

// site is a website that a test changes.
type site struct {
	*httptest.Server
	mu     sync.Mutex
	pages  map[string]string // path → body
	robots string
	status map[string]int
	down   bool
	etags  bool
	hits   map[string]int
	before func(path string) // called while a page is asked for
}

func newSite(t *testing.T, pages map[string]string) *site {
	t.Helper()
	s := &site{pages: pages, status: map[string]int{}, hits: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		before(r.URL.Path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hits[r.URL.Path]++
	if s.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path == "/robots.txt" {
		if s.robots == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(s.robots))
		return
	}
	if status := s.status[r.URL.Path]; status != 0 {
		w.WriteHeader(status)
		return
	}
	body, ok := s.pages[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if target, ok := strings.CutPrefix(body, "-> "); ok {
		http.Redirect(w, r, target, http.StatusMovedPermanently)
		return
	}
	if s.etags {
		h := fnv.New64a()
		_, _ = h.Write([]byte(body))
		tag := fmt.Sprintf(`"%x"`, h.Sum64())
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(body))
}

func (s *site) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *site) asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[path]
}

// page is a page of help with a text and links.
func page(title, text string, links ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html><html lang=en><head><title>%s</title></head><body><nav>", title)
	for _, l := range links {
		fmt.Fprintf(&b, `<a href="%s">more</a> `, l)
	}
	fmt.Fprintf(&b, `</nav><main><h1>%s</h1><p>%s</p></main></body></html>`, title, text)
	return b.String()
}

func help() map[string]string {
	return map[string]string{
		"/":         page("Help", "Welcome to the help centre of the harbour ferry company.", "/refunds", "/bicycles", "/dogs"),
		"/refunds":  page("Refunds", "Tickets are refunded within fourteen days when the ferry was cancelled by us.", "/", "/luggage"),
		"/bicycles": page("Bicycles", "A bicycle travels for four euros and is parked on the lower deck.", "/"),
		"/dogs":     page("Dogs", "Dogs travel free of charge when they are kept on a leash.", "/"),
		"/luggage":  page("Luggage", "Each passenger may bring two suitcases of at most thirty kilograms.", "/"),
	}
}

func same[K comparable](t *testing.T, what string, got, want map[K]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}
