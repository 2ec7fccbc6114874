package knowledge

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

const (
	defaultHits = 10
	maxHits     = 100
	// Candidates of each search. Of the vectors more, because the background of
	// rank.Signals is ranks 11 to 60.
	wordCandidates   = 50
	vectorCandidates = 60
	// Words that are searched for, and how many passages they may be in
	// together: ranking what was found is what takes time.
	searchedWords    = 10
	searchedPassages = 3000
)

// Query is a question to a workspace's index.
type Query struct {
	Text     string
	Vector   []float32 // of the text, by Embedder.Query; nil: it is embedded here
	Language string    // BCP 47, of the question; empty: unknown
	Limit    int       // hits; 0: 10, at most 100
	// OnePerPage keeps only the best hit of each page.
	OnePerPage bool
	// Answering leaves out pages of links only: they lead to what answers a
	// question, and would be cited in its place.
	Answering bool
}

// Hit is a passage that was found.
type Hit struct {
	PassageID        int64
	PageID, SourceID ids.ID
	URL, Title       string
	Anchor           string
	HeadingPath      []string
	Text, Language   string
	Score            float64 // 6·Cosine + BM25, by which hits are ordered
	Cosine           float64 // of the vectors; 0 while the passage has none
	BM25             float64 // as a share of what the question's words could reach, 0–1
}

// Found is what a search found, best first, with what tells how well it answers.
type Found struct {
	Hits    []Hit
	Signals rank.Signals
	// Question is the question as it was read against the workspace's words: it
	// tells how much of the question a sentence covers. Never nil.
	Question *rank.Question
	// CrossLanguage says that the content found is of another language than the
	// question, so that only vectors were compared.
	CrossLanguage bool
	// nearest are the passages to compare sentence by sentence, in a small workspace.
	nearest []rank.Candidate
}

const (
	corpusSQL = `select coalesce(max(passages), 0), coalesce(max(words), 0) from search_statistics where workspace_id = @workspace_id`
	dfSQL     = `select word, passages from passage_words where workspace_id = @workspace_id and word = any (@words::text[])`
	// The number of the workspace stands in the text itself, so that plans made
	// for one tenant are not used for another. What is known of a candidate is
	// looked up row by row (offset 0 keeps it so): the planner takes a tenant's
	// passages for few and would read them all.
	candidatesSQL = `
with by_words as (
  select id from search_words({workspace}, @words::text[], @most_words)
), by_vector as (
  select id from passage_vectors where workspace_id = {workspace} and @vector::halfvec(384) is not null
  order by embedding <#> @vector::halfvec(384) limit @most_vectors
), candidates as materialized (
  select id from by_words union select id from by_vector
)
select c.id, p.page_id, p.source_id, g.url, g.title, p.anchor, p.heading_path, p.text, p.language, coalesce(v.cosine, 'NaN')::real
from candidates c
cross join lateral (select * from passages p where p.workspace_id = {workspace} and p.id = c.id offset 0) p
cross join lateral (select url, title, links_only from pages g where g.workspace_id = {workspace} and g.id = p.page_id offset 0) g
left join lateral (select -(embedding <#> @vector::halfvec(384)) as cosine from passage_vectors v where v.workspace_id = {workspace} and v.id = c.id offset 0) v on true
where exists (select from sources s where s.workspace_id = {workspace} and s.id = p.source_id and s.status <> 'deleting')
  and not (@answering::boolean and g.links_only)`
)

// Search finds passages by their words and by their meaning. With a question in
// another language than the content only the meaning counts.
func (k *Knowledge) Search(ctx context.Context, w postgres.Workspace, q Query) (Found, error) {
	found, vector, err := k.search(ctx, w, q)
	if err != nil || !q.Answering || len(found.nearest) == 0 {
		return found, err
	}
	if found.Signals.NearestSentence, err = k.nearestSentence(ctx, vector, found.nearest); err != nil {
		if ctx.Err() != nil {
			return Found{}, fmt.Errorf("search: %w", ctx.Err())
		}
		k.log.WarnContext(ctx, "a small workspace is judged without its sentences", "workspace", w.ID, "error", err)
	}
	return found, nil
}

// search gives the question's vector, too.
func (k *Knowledge) search(ctx context.Context, w postgres.Workspace, q Query) (Found, []float32, error) {
	if q.Vector == nil && strings.TrimSpace(q.Text) != "" {
		vectors, err := k.embed.Query(ctx, q.Text)
		if err == nil {
			err = checkVectors(vectors, 1)
		}
		if err != nil {
			return Found{}, nil, fmt.Errorf("embed a question: %w", err)
		}
		q.Vector = vectors[0]
	}
	var found Found
	err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) (err error) {
		found, err = searchIn(ctx, tx, w, q)
		return err
	})
	if err != nil {
		return Found{}, nil, fmt.Errorf("search: %w", err)
	}
	return found, q.Vector, nil
}

// searchIn takes two round trips: what is known of the question's words, and the
// candidates.
func searchIn(ctx context.Context, tx pgx.Tx, w postgres.Workspace, q Query) (Found, error) {
	corpus, err := readCorpus(ctx, tx, w, q.Text)
	if err != nil {
		return Found{}, err
	}
	question := rank.Ask(q.Text, corpus)
	candidates, places, err := readCandidates(ctx, tx, w, searched(question, corpus), q)
	if err != nil {
		return Found{}, err
	}
	cross := otherLanguage(q.Language, candidates, places)
	ranked := question.Rank(candidates)
	if cross {
		slices.SortStableFunc(ranked, func(a, b rank.Hit) int { return cmp.Compare(nanLast(b.Cosine), nanLast(a.Cosine)) })
	}
	found := Found{Signals: question.Signals(ranked, cross), Question: question, CrossLanguage: cross, Hits: []Hit{}}
	if corpus.Passages < rank.Small {
		found.Signals.Passages = corpus.Passages
		found.nearest = nearest(ranked)
	}
	limit := min(q.Limit, maxHits)
	if limit <= 0 {
		limit = defaultHits
	}
	seen := map[ids.ID]bool{}
	for i := range ranked {
		r := &ranked[i]
		hit := places[r.Index]
		if q.OnePerPage && seen[hit.PageID] {
			continue
		}
		seen[hit.PageID] = true
		hit.Score, hit.BM25 = r.Score, r.BM25
		if c := float64(r.Cosine); !math.IsNaN(c) {
			hit.Cosine = c
		}
		if cross {
			hit.Score = r.Score - r.BM25
		}
		if found.Hits = append(found.Hits, hit); len(found.Hits) == limit {
			break
		}
	}
	return found, nil
}

// nearest are the first passages by vector.
func nearest(ranked []rank.Hit) []rank.Candidate {
	var all []rank.Candidate
	for i := range ranked {
		if !math.IsNaN(float64(ranked[i].Cosine)) {
			all = append(all, ranked[i].Candidate)
		}
	}
	slices.SortStableFunc(all, func(a, b rank.Candidate) int { return cmp.Compare(b.Cosine, a.Cosine) })
	return all[:min(comparedPassages, len(all))]
}

func nanLast(c float32) float32 {
	if math.IsNaN(float64(c)) {
		return -2
	}
	return c
}

func readCorpus(ctx context.Context, tx pgx.Tx, w postgres.Workspace, text string) (rank.Corpus, error) {
	corpus := rank.Corpus{DF: map[string]int{}}
	words := rank.Distinct(text)
	var length int64
	batch := &pgx.Batch{}
	batch.Queue(corpusSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}).QueryRow(func(row pgx.Row) error { return row.Scan(&corpus.Passages, &length) })
	batch.Queue(dfSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "words": words}).Query(func(rows pgx.Rows) error {
		var word string
		var n int
		_, err := pgx.ForEachRow(rows, []any{&word, &n}, func() error { corpus.DF[word] = n; return nil })
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return rank.Corpus{}, fmt.Errorf("read the statistics of words: %w", err)
	}
	if corpus.Passages > 0 {
		corpus.AverageWords = float64(length) / float64(corpus.Passages)
	}
	return corpus, nil
}

// searched are the words to look for: the rarest, as long as not too many
// passages have them.
func searched(q *rank.Question, corpus rank.Corpus) []string {
	words, total := q.Rarest(searchedWords), 0
	for i, word := range words {
		if total += corpus.DF[word]; total > searchedPassages && i > 0 {
			return words[:i]
		}
	}
	return words
}

func readCandidates(ctx context.Context, tx pgx.Tx, w postgres.Workspace, words []string, q Query) ([]rank.Candidate, []Hit, error) {
	if words == nil {
		words = []string{}
	}
	var asked *string
	if q.Vector != nil {
		text := vectorText(q.Vector)
		asked = &text
	}
	rows, err := tx.Query(ctx, inText(candidatesSQL, w), pgx.StrictNamedArgs{
		"words": words, "vector": asked, "most_words": wordCandidates, "most_vectors": vectorCandidates, "answering": q.Answering,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find candidates: %w", err)
	}
	var candidates []rank.Candidate
	places, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Hit, err error) {
		var c rank.Candidate
		err = row.Scan(&h.PassageID, &h.PageID, &h.SourceID, &h.URL, &h.Title, &h.Anchor, &h.HeadingPath, &h.Text, &h.Language, &c.Cosine)
		c.ID, c.Title, c.HeadingPath, c.Text = h.PassageID, h.Title, h.HeadingPath, h.Text
		candidates = append(candidates, c)
		return h, err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find candidates: %w", err)
	}
	return candidates, places, nil
}

func inText(sql string, w postgres.Workspace) string {
	return strings.ReplaceAll(sql, "{workspace}", strconv.FormatInt(w.ID, 10))
}

// otherLanguage tells whether the passages nearest in meaning are known to be
// of other languages than the question.
func otherLanguage(asked string, candidates []rank.Candidate, places []Hit) bool {
	asked = primary(asked)
	if asked == "" || len(candidates) == 0 {
		return false
	}
	nearest := make([]int, len(candidates))
	for i := range nearest {
		nearest[i] = i
	}
	slices.SortFunc(nearest, func(a, b int) int { return cmp.Compare(nanLast(candidates[b].Cosine), nanLast(candidates[a].Cosine)) })
	for _, i := range nearest[:min(20, len(nearest))] {
		if l := primary(places[i].Language); l == "" || l == asked {
			return false
		}
	}
	return true
}

// primary is the language itself: pt of pt-BR.
func primary(tag string) string {
	tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
	return tag
}
