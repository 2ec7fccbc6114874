package knowledge_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/knowledge"
)

// BenchmarkSearch searches a workspace of 10,000 passages among 1,000 others,
// the question's vector given. Words are as frequent as in a language.
func BenchmarkSearch(b *testing.B) {
	w := postgrestest.Tenant(b)
	dice := rand.New(rand.NewPCG(1, 2)) // the same words each time
	zipf := rand.NewZipf(dice, 1.1, 8, 30_000)
	sentence := func(n int) string {
		var s strings.Builder
		for range n {
			fmt.Fprintf(&s, "w%dq ", zipf.Uint64())
		}
		return s.String()
	}
	fill(b, w, 10_000, func() string { return sentence(120) }, dice)
	for i := range 1000 {
		fill(b, postgrestest.MoreWorkspace(b, w.AgencyID, fmt.Sprintf("other-%d", i)), 10, func() string { return sentence(120) }, dice)
	}
	owner := postgrestest.Owner(b)
	for _, table := range []string{"passages", "passage_lexemes", "passage_vectors", "passage_words", "pages", "sources"} {
		if _, err := owner.Exec(b.Context(), "vacuum analyze "+table); err != nil {
			b.Fatal(err)
		}
	}
	k := knowledge.New(knowledge.Deps{DB: postgrestest.New(b), Clock: clocktest.At(time.Now())})
	var times []time.Duration
	for b.Loop() {
		q := knowledge.Query{Text: sentence(10), Vector: direction(dice)}
		start := time.Now()
		found, err := k.Search(b.Context(), w, q)
		if err != nil || len(found.Hits) == 0 {
			b.Fatal(len(found.Hits), err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
}

func direction(dice *rand.Rand) []float32 {
	v := make([]float32, knowledge.Dimensions)
	for i := range v {
		v[i] = float32(dice.NormFloat64())
	}
	return unit(v)
}

// fill gives a workspace a source of one page with so many passages, past the crawler.
func fill(b *testing.B, w postgres.Workspace, n int, text func() string, dice *rand.Rand) {
	b.Helper()
	ctx, owner, now := b.Context(), postgrestest.Owner(b), time.Now()
	source, page := ids.New(now), ids.New(now)
	fail := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	_, err := owner.Exec(ctx, `insert into sources (agency_id, workspace_id, id, type, status, next_at, created_at, updated_at) values ($1, $2, $3, 'text', 'ready', $4, $4, $4)`,
		w.AgencyID, w.ID, source, now)
	fail(err)
	_, err = owner.Exec(ctx, `insert into pages (agency_id, workspace_id, id, source_id, url, variant, generation, seen, state, status, created_at, updated_at)
		values ($1, $2, $3, $4, '', '', 0, 0, 'done', 'indexed', $5, $5)`, w.AgencyID, w.ID, page, source, now)
	fail(err)
	for done := 0; done < n; done += 500 {
		batch := &pgx.Batch{}
		for range min(500, n-done) {
			words := text()
			v := direction(dice)
			batch.Queue(`with p as (
				insert into passages (agency_id, workspace_id, page_id, source_id, ordinal, heading_path, text, length)
				values ($1, $2, $3, $4, 0, '{}', $5, 120) returning id), l as (
				insert into passage_lexemes (agency_id, workspace_id, id, tsv)
				select $1, $2, (select id from p), string_agg('''' || $2::bigint || ':' || word || ''':' || at, ' ')::tsvector
				from (select word, string_agg(n::text, ',') as at from unnest(string_to_array(trim($5::text), ' ')) with ordinality as u (word, n) group by 1) words)
			insert into passage_vectors (agency_id, workspace_id, id, embedding) select $1, $2, id, $6::text::halfvec(384) from p`,
				w.AgencyID, w.ID, page, source, words, strings.ReplaceAll(fmt.Sprint(v), " ", ","))
		}
		fail(owner.SendBatch(ctx, batch).Close())
	}
	_, err = owner.Exec(ctx, `insert into passage_words (agency_id, workspace_id, word, passages)
		select $1, $2, substr(word, length($2::bigint::text) + 2), count(*) from passage_lexemes, unnest(tsvector_to_array(tsv)) as word where workspace_id = $2 group by 3`, w.AgencyID, w.ID)
	fail(err)
	_, err = owner.Exec(ctx, `insert into search_statistics (agency_id, workspace_id, passages, words, changes, updated_at) values ($1, $2, $3, $4, 1, $5)`, w.AgencyID, w.ID, n, n*120, now)
	fail(err)
	fail(owner.Close(ctx))
}
