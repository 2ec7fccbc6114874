package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/relaydesk/relaydesk/bench/internal/words"
	"github.com/relaydesk/relaydesk/docs"
	"github.com/relaydesk/relaydesk/internal/e5"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// content fills workspaces with passages past the crawler, as it would have
// stored them. One source a workspace, a page for every ten passages.
type content struct {
	writer  *words.Writer
	embed   func(passage string) []float32
	vectors []string // random directions, used again and again: a scan costs the same

	sources, pages, passages, lexemes, embeddings strings.Builder
	pageID, passageID                             int64
	at                                            time.Time
}

const passagesPerPage = 10

func newContent(embed func(string) []float32) *content {
	c := &content{writer: words.New(5, guideText()), embed: embed, at: time.Now().UTC().Add(-time.Hour)}
	for range 500 {
		v := make([]float32, e5.Dim)
		var sum float64
		for i := range v {
			v[i] = float32(c.writer.Normal())
			sum += float64(v[i]) * float64(v[i])
		}
		c.vectors = append(c.vectors, vectorText(v, sum))
	}
	return c
}

// add gives a workspace n passages: the guide if it is wanted, and texts that
// say nothing. Of those, so many as real says get their true vectors.
func (c *content) add(t tenant, n int, guide bool, real int) {
	source := ids.New(c.at)
	stamp := c.at.Format(time.RFC3339Nano)
	row(&c.sources, t.agency, t.workspace, uuid(source), "website", "https://example.test/"+strconv.FormatInt(t.workspace, 10), "ready", stamp, stamp, stamp)
	var page string
	on := 0
	put := func(title string, p rank.Candidate, vector string) {
		if on%passagesPerPage == 0 {
			c.pageID++
			page = uuid(ids.New(c.at))
			row(&c.pages, t.agency, t.workspace, page, uuid(source), fmt.Sprintf("https://example.test/%d/%d", t.workspace, c.pageID), "", 1, 1, "done", "indexed", "indexed", title, "en", passagesPerPage, stamp, stamp, stamp)
		}
		c.passageID++
		p.Title = title
		inAll := rank.Words(p.Whole())
		row(&c.passages, t.agency, t.workspace, c.passageID, page, uuid(source), on, arrayText(p.HeadingPath), p.Text, "en", len(inAll))
		row(&c.lexemes, t.agency, t.workspace, c.passageID, tsvectorText(t.workspace, inAll))
		row(&c.embeddings, t.agency, t.workspace, c.passageID, vector)
		on++
	}
	if guide {
		for _, g := range guidePassages() {
			if on < n {
				put(g.Title, g, c.vector(g))
			}
		}
	}
	for title := ""; on < n; {
		if on%passagesPerPage == 0 || title == "" {
			title = strings.Trim(c.writer.Text(4), ".")
		}
		p := rank.Candidate{HeadingPath: []string{strings.Trim(c.writer.Text(5), ".")}, Text: c.writer.Text(c.writer.Between(60, 130))}
		vector := c.vectors[c.writer.Between(0, len(c.vectors)-1)]
		if real > 0 {
			real--
			p.Title = title
			vector = c.vector(p)
		}
		put(title, p, vector)
	}
}

func (c *content) vector(p rank.Candidate) string { return vectorText(c.embed(p.Whole()), 1) }

// guidePassages are pieces of the guide, which questions can be answered from.
func guidePassages() []rank.Candidate {
	var all []rank.Candidate
	for _, page := range docs.Pages() {
		var path []string
		var text strings.Builder
		flush := func() {
			if s := strings.TrimSpace(text.String()); s != "" && len(path) > 0 {
				all = append(all, rank.Candidate{Title: page.Title, HeadingPath: append([]string{}, path...), Text: s})
			}
			text.Reset()
		}
		code := false
		for line := range strings.Lines(page.Markdown) {
			if strings.HasPrefix(line, "```") {
				code = !code
			}
			level := len(line) - len(strings.TrimLeft(line, "#"))
			switch {
			case !code && level >= 2 && level <= 3:
				flush()
				path = append(path[:min(len(path), level-2)], strings.TrimSpace(line[level:]))
			case !code && level == 1:
			default:
				if strings.TrimSpace(line) == "" && text.Len() > 700 {
					flush()
				}
				text.WriteString(line)
			}
		}
		flush()
	}
	return all
}

// store writes what was added and brings the statistics up to date.
func (c *content) store(ctx context.Context, d *database) error {
	var index string
	if err := d.admin.QueryRow(ctx, "select indexdef from pg_indexes where indexname = 'passage_lexemes_tsv'").Scan(&index); err != nil {
		return fmt.Errorf("find the index of words: %w", err)
	}
	// Rows that are known to fit need no checks, and an index is made faster at once.
	if err := d.execute(ctx, "set session_replication_role = replica", "drop index passage_lexemes_tsv"); err != nil {
		return err
	}
	for _, table := range []struct {
		into string
		rows *strings.Builder
	}{
		{"sources (agency_id, workspace_id, id, type, url, status, next_at, created_at, updated_at)", &c.sources},
		{"pages (agency_id, workspace_id, id, source_id, url, variant, generation, seen, state, outcome, status, title, language, passages, fetched_at, created_at, updated_at)", &c.pages},
		{"passages (agency_id, workspace_id, id, page_id, source_id, ordinal, heading_path, text, language, length)", &c.passages},
		{"passage_lexemes (agency_id, workspace_id, id, tsv)", &c.lexemes},
		{"passage_vectors (agency_id, workspace_id, id, embedding)", &c.embeddings},
	} {
		if err := d.stream(ctx, table.into, strings.NewReader(table.rows.String())); err != nil {
			return err
		}
		table.rows.Reset()
	}
	return d.execute(ctx, index, "set maintenance_work_mem = '64MB'",
		"select setval(pg_get_serial_sequence('passages', 'id'), (select max(id) from passages))",
		`insert into passage_words (agency_id, workspace_id, word, passages)
			select agency_id, workspace_id, substr(word, length(workspace_id::text) + 2), count(*) from passage_lexemes, unnest(tsvector_to_array(tsv)) as word group by 1, 2, 3`,
		`insert into search_statistics (agency_id, workspace_id, passages, words, changes, updated_at)
			select agency_id, workspace_id, count(*), sum(length), 1, now() from passages group by 1, 2`,
		"set session_replication_role = origin", "vacuum analyze", "checkpoint")
}

// stream copies rows in Postgres' text format.
func (d *database) stream(ctx context.Context, into string, rows io.Reader) error {
	if _, err := d.admin.PgConn().CopyFrom(ctx, rows, "copy "+into+" from stdin"); err != nil {
		return fmt.Errorf("fill %s: %w", into, err)
	}
	return nil
}

var copied = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

func row(b *strings.Builder, values ...any) {
	for i, v := range values {
		if i > 0 {
			b.WriteByte('\t')
		}
		if s, ok := v.(string); ok {
			_, _ = copied.WriteString(b, s)
		} else {
			fmt.Fprint(b, v)
		}
	}
	b.WriteByte('\n')
}

func uuid(id ids.ID) string { return hex.EncodeToString(id[:]) }

func arrayText(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// tsvectorText writes words as knowledge indexes them, the workspace in front.
func tsvectorText(workspace int64, all []string) string {
	at := map[string][]string{}
	for i, word := range all {
		if len(at[word]) < 64 {
			at[word] = append(at[word], strconv.Itoa(min(i+1, 16383)))
		}
	}
	var b strings.Builder
	for word, positions := range at {
		fmt.Fprintf(&b, "'%d:%s':%s ", workspace, word, strings.Join(positions, ","))
	}
	return b.String()
}

// vectorText writes a vector of the given squared length as one of unit length.
func vectorText(v []float32, squared float64) string {
	scale := 1 / sqrt(squared)
	b := make([]byte, 0, len(v)*9)
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x)*scale, 'g', 5, 32)
	}
	return string(append(b, ']'))
}
