package knowledge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// A piece is a passage before it has a number.
type piece struct {
	page        ids.ID
	ordinal     int    // on its page
	title       string // of its page
	headingPath []string
	anchor      string
	text        string
	language    string
}

// whole is the piece as it is indexed: title and headings before the text.
func (p *piece) whole() string {
	return rank.Candidate{Title: p.title, HeadingPath: p.headingPath, Text: p.text}.Whole()
}

// A change gathers what a transaction does to the statistics of a workspace, to
// write it as the last thing before commit: the rows of common words are shared
// by all who index in the workspace, and are locked for as short as possible,
// in the order of the words.
type change struct {
	words    map[string]int // by how many passages more or fewer a word occurs in
	passages int
	length   int
}

func (c *change) add(word string, n int) {
	if c.words == nil {
		c.words = map[string]int{}
	}
	if c.words[word] += n; c.words[word] == 0 {
		delete(c.words, word)
	}
}

const (
	maxPositions = 8 // of a word in a passage: enough to tell often from once
	maxPosition  = 16383
)

// vectorOf writes a passage's words as a tsvector, each with the workspace in
// front, and counts them in c.
func (c *change) vectorOf(w postgres.Workspace, words []string) string {
	at := make(map[string][]int, len(words))
	for i, word := range words {
		if p := at[word]; len(p) < maxPositions {
			at[word] = append(p, min(i+1, maxPosition))
		}
	}
	prefix := "'" + strconv.FormatInt(w.ID, 10) + ":"
	var b strings.Builder
	b.Grow(len(words) * 16)
	for word, positions := range at {
		c.add(word, 1)
		b.WriteString(prefix)
		b.WriteString(quoted.Replace(word))
		b.WriteString("'")
		for i, p := range positions {
			if i == 0 {
				b.WriteByte(':')
			} else {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(p))
		}
		b.WriteByte(' ')
	}
	c.passages++
	c.length += len(words)
	return b.String()
}

// quoted is how a word stands in a tsvector. Those of rank.Words need none of
// it; should that ever change, nothing breaks out.
var quoted = strings.NewReplacer(`\`, `\\`, `'`, `''`)

const (
	addPiecesSQL = `
with made as (
  insert into passages (agency_id, workspace_id, page_id, source_id, ordinal, heading_path, anchor, text, language, length)
  select @agency_id, @workspace_id, u.page_id, @source_id, u.ordinal,
    coalesce((select array_agg(h order by n) from jsonb_array_elements_text(u.path::jsonb) with ordinality as e (h, n)), '{}'),
    u.anchor, u.text, u.language, u.length
  from unnest(@pages::uuid[], @ordinals::int[], @paths::text[], @anchors::text[], @texts::text[], @languages::text[], @lengths::int[])
    as u (page_id, ordinal, path, anchor, text, language, length)
  returning id, page_id, ordinal
), listed as (
  insert into passage_lexemes (agency_id, workspace_id, id, tsv)
  select @agency_id, @workspace_id, m.id, u.tsv::tsvector
  from made m join unnest(@pages::uuid[], @ordinals::int[], @tsvs::text[]) as u (page_id, ordinal, tsv) on u.page_id = m.page_id and u.ordinal = m.ordinal
)
insert into passages_unembedded (agency_id, workspace_id, id, source_id)
select @agency_id, @workspace_id, id, @source_id from made`
	// Whoever gives these passages a vector holds them for key share.
	lockPassagesSQL = `select id from passages where workspace_id = @workspace_id and page_id = any (@pages) order by id for update`
	// The words are read out of the index itself, so that what is counted down
	// is what was counted up, also by an older version of rank.Words.
	dropPiecesSQL = `
with u as (delete from passages_unembedded where workspace_id = @workspace_id and id = any (@ids)),
v as (delete from passage_vectors where workspace_id = @workspace_id and id = any (@ids)),
l as (delete from passage_lexemes where workspace_id = @workspace_id and id = any (@ids) returning tsv),
gone as (delete from passages where workspace_id = @workspace_id and id = any (@ids) returning length),
counted as (select substr(word, @prefix::int) as word, count(*)::int as n from l, unnest(tsvector_to_array(tsv)) as word group by 1)
select word, n from counted
union all select null, count(*)::int from gone
union all select '', coalesce(sum(length), 0)::int from gone`
	countWordsSQL = `
insert into passage_words as w (agency_id, workspace_id, word, passages)
select @agency_id, @workspace_id, word, n from unnest(@words::text[], @counts::int[]) as u (word, n) order by word collate "C"
on conflict (workspace_id, word) do update set passages = w.passages + excluded.passages`
	dropWordsSQL       = `delete from passage_words where workspace_id = @workspace_id and word = any (@words) and passages <= 0`
	countStatisticsSQL = `
insert into search_statistics as s (agency_id, workspace_id, passages, words, changes, updated_at)
values (@agency_id, @workspace_id, @passages, @length, 1, @now)
on conflict (workspace_id) do update
set passages = s.passages + excluded.passages, words = s.words + excluded.words, changes = s.changes + 1, updated_at = excluded.updated_at`
)

// addPassages stores passages of a source's pages, findable by their words when tx
// commits, and queues them for the embedder.
func addPassages(ctx context.Context, tx pgx.Tx, w postgres.Workspace, source ids.ID, pieces []piece, c *change) error {
	n := len(pieces)
	if n == 0 {
		return nil
	}
	var (
		pages                              = make([]ids.ID, n)
		ordinals, lengths                  = make([]int, n), make([]int, n)
		paths                              = make([]string, n)
		anchors, texts, languages, vectors = make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	)
	for i := range pieces {
		p := &pieces[i]
		words := rank.Words(p.whole())
		path, err := json.Marshal(append([]string{}, p.headingPath...))
		if err != nil {
			return fmt.Errorf("store passages: %w", err)
		}
		pages[i], ordinals[i], paths[i], anchors[i], texts[i], languages[i] = p.page, p.ordinal, string(path), p.anchor, p.text, p.language
		lengths[i], vectors[i] = len(words), c.vectorOf(w, words)
	}
	_, err := tx.Exec(ctx, addPiecesSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "source_id": source, "pages": pages, "ordinals": ordinals, "paths": paths,
		"anchors": anchors, "texts": texts, "languages": languages, "lengths": lengths, "tsvs": vectors,
	})
	if err != nil {
		return fmt.Errorf("store passages: %w", err)
	}
	return nil
}

// dropPassages removes the passages of pages, with their vectors.
func dropPassages(ctx context.Context, tx pgx.Tx, w postgres.Workspace, pages []ids.ID, c *change) error {
	if len(pages) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, lockPassagesSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "pages": pages})
	if err != nil {
		return fmt.Errorf("lock passages: %w", err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("lock passages: %w", err)
	}
	return dropNumbered(ctx, tx, w, numbers, c)
}

// dropNumbered removes passages that are locked.
func dropNumbered(ctx context.Context, tx pgx.Tx, w postgres.Workspace, numbers []int64, c *change) error {
	if len(numbers) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, dropPiecesSQL, pgx.StrictNamedArgs{
		"workspace_id": w.ID, "ids": numbers, "prefix": len(strconv.FormatInt(w.ID, 10)) + 2,
	})
	if err != nil {
		return fmt.Errorf("remove passages: %w", err)
	}
	var word *string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&word, &n}, func() error {
		switch {
		case word == nil:
			c.passages -= n
		case *word == "":
			c.length -= n
		default:
			c.add(*word, -n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove passages: %w", err)
	}
	return nil
}

// write brings the workspace's statistics up to date. It is the last that a
// transaction does.
func (c *change) write(ctx context.Context, tx pgx.Tx, w postgres.Workspace, now time.Time) error {
	if c.passages == 0 && c.length == 0 && len(c.words) == 0 {
		return nil
	}
	words := slices.SortedFunc(maps.Keys(c.words), cmp.Compare[string])
	counts := make([]int, len(words))
	var fewer []string
	for i, word := range words {
		if counts[i] = c.words[word]; counts[i] < 0 {
			fewer = append(fewer, word)
		}
	}
	batch := &pgx.Batch{}
	// The statistics' row comes first: who holds it indexes alone in the
	// workspace, so that no two wait for each other's words.
	batch.Queue(countStatisticsSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "passages": c.passages, "length": c.length, "now": now,
	})
	if len(words) > 0 {
		batch.Queue(countWordsSQL, pgx.StrictNamedArgs{"agency_id": w.AgencyID, "workspace_id": w.ID, "words": words, "counts": counts})
	}
	if len(fewer) > 0 {
		batch.Queue(dropWordsSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "words": fewer})
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("count words: %w", err)
	}
	return nil
}
