package retrieval

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

// Leaks puts the three help centres into one database, each a workspace of the
// same agency, asks every question in the workspaces of the others and counts
// what is found there of a site that is not theirs. server is the URL of an
// empty Postgres, as its superuser.
func Leaks(ctx context.Context, dataDir string, embed Embedder, server string, out io.Writer) error {
	l, err := prepare(ctx, embed, dataDir)
	if err != nil {
		return err
	}
	d, err := openIndex(ctx, server)
	if err != nil {
		return err
	}
	defer d.close()
	pages, err := sites(dataDir)
	if err != nil {
		return err
	}
	for i, site := range siteNames {
		w := siteIndex(pages[site])
		if err := w.embed(l.cache); err != nil {
			return err
		}
		if err := d.fill(ctx, int64(i+1), site, w); err != nil {
			return fmt.Errorf("index %s: %w", site, err)
		}
	}
	cross, err := rows[question](filepath.Join(dataDir, "dev", "crosstenant_unanswerable.jsonl"))
	if err != nil {
		return err
	}
	help, err := rows[question](filepath.Join(dataDir, "dev", "helpcentre_questions.jsonl"))
	if err != nil {
		return err
	}
	for _, q := range help {
		for _, site := range siteNames {
			if site != q.Site {
				q.AskedOfSite, q.MustNotCite = site, q.Site
				cross = append(cross, q)
			}
		}
	}
	if err := l.questions(cross); err != nil {
		return err
	}
	fmt.Fprintf(out, "### Leaks\n\n| asked of | questions | passages found | of the site that must not be cited | of any other site |\n|---|---|---|---|---|\n")
	for i, site := range siteNames {
		n, hits, forbidden, foreign, err := d.ask(ctx, int64(i+1), site, cross)
		if err != nil {
			return err
		}
		if hits == 0 {
			return fmt.Errorf("nothing is found in %s: this measures nothing", site)
		}
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d |\n", site, n, hits, forbidden, foreign)
	}
	return nil
}

// index is a database with the help centres.
type index struct {
	owner *pgx.Conn
	db    *postgres.DB
	found *knowledge.Knowledge
	site  map[ids.ID]string // of a source
}

const (
	login    = "relaydesk_eval"
	password = "only-for-this-run" // the server is local and ends with the run
)

func openIndex(ctx context.Context, server string) (*index, error) {
	if err := postgres.Migrate(ctx, server, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	owner, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	d := &index{owner: owner, site: map[ids.ID]string{}}
	if err := postgres.EnsureLogin(ctx, owner, login, password); err != nil {
		d.close()
		return nil, err
	}
	u, err := url.Parse(server)
	if err != nil {
		d.close()
		return nil, fmt.Errorf("read the server's address: %w", err)
	}
	u.User = url.UserPassword(login, password)
	if d.db, err = postgres.Open(ctx, u.String(), 4); err != nil {
		d.close()
		return nil, err
	}
	d.found = knowledge.New(knowledge.Deps{DB: d.db, Clock: clock.System(), Log: slog.New(slog.DiscardHandler)})
	return d, nil
}

func (d *index) close() {
	if d.db != nil {
		d.db.Close()
	}
	_ = d.owner.Close(context.Background())
}

const (
	agencyID = 1
	pieceSQL = `with p as (
  insert into passages (agency_id, workspace_id, page_id, source_id, ordinal, heading_path, text, language, length)
  values ($1, $2, $3, $4, 0, $5, $6, $7, $8) returning id), l as (
  insert into passage_lexemes (agency_id, workspace_id, id, tsv) select $1, $2, id, $9::text::tsvector from p)
insert into passage_vectors (agency_id, workspace_id, id, embedding) select $1, $2, id, $10::text::halfvec(384) from p`
)

// fill stores a site as a crawl would have.
func (d *index) fill(ctx context.Context, workspace int64, site string, w *workspace) error {
	now := time.Now()
	source := ids.New(now)
	d.site[source] = site
	batch := &pgx.Batch{}
	if workspace == 1 {
		batch.Queue(`insert into agencies (agency_id, id, name, created_at, updated_at) overriding system value values ($1, $2, 'Evaluation', $3, $3)`, agencyID, ids.New(now), now)
	}
	batch.Queue(`insert into workspaces (agency_id, workspace_id, id, name, slug, created_at, updated_at) overriding system value values ($1, $2, $3, $4, $4, $5, $5)`, agencyID, workspace, ids.New(now), site, now)
	batch.Queue(`insert into sources (agency_id, workspace_id, id, type, status, next_at, created_at, updated_at) values ($1, $2, $3, 'website', 'ready', $4, $4, $4)`, agencyID, workspace, source, now)
	pages := map[string]ids.ID{}
	for i := range w.passages {
		p := &w.passages[i]
		if _, ok := pages[p.doc]; !ok {
			pages[p.doc] = ids.New(now)
			batch.Queue(`insert into pages (agency_id, workspace_id, id, source_id, url, variant, generation, seen, state, status, title, created_at, updated_at)
				values ($1, $2, $3, $4, $5, '', 0, 0, 'done', 'indexed', $6, $7, $7)`, agencyID, workspace, pages[p.doc], source, "http://"+site+".test"+p.doc, p.Title, now)
		}
		vector, err := json.Marshal(p.vector)
		if err != nil {
			return fmt.Errorf("write a vector: %w", err)
		}
		batch.Queue(pieceSQL, agencyID, workspace, pages[p.doc], source, append([]string{}, p.HeadingPath...), p.Text, p.lang, p.words, lexemes(workspace, rank.Words(p.Whole())), string(vector))
	}
	batch.Queue(`insert into passage_words (agency_id, workspace_id, word, passages)
		select $1, $2, substr(word, length($2::bigint::text) + 2), count(*) from passage_lexemes, unnest(tsvector_to_array(tsv)) as word where workspace_id = $2 group by 3`, agencyID, workspace)
	batch.Queue(`insert into search_statistics (agency_id, workspace_id, passages, words, changes, updated_at) values ($1, $2, $3, $4, 1, $5)`, agencyID, workspace, len(w.passages), w.words, now)
	return d.owner.SendBatch(ctx, batch).Close()
}

// lexemes writes words as the index keeps them, the workspace in front.
func lexemes(workspace int64, words []string) string {
	var b strings.Builder
	for i, word := range words {
		b.WriteString("'" + strconv.FormatInt(workspace, 10) + ":" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(word) + "':" + strconv.Itoa(min(i+1, 16383)) + " ")
	}
	return b.String()
}

// ask asks a workspace the questions that are another's, as an answer does, and
// counts whose passages it finds.
func (d *index) ask(ctx context.Context, workspace int64, site string, questions []question) (asked, hits, forbidden, foreign int, err error) {
	w := postgres.Workspace{AgencyID: agencyID, ID: workspace}
	for _, q := range questions {
		if q.AskedOfSite != site {
			continue
		}
		asked++
		found, err := d.found.Search(ctx, w, knowledge.Query{Text: q.Question, Vector: q.vector, Language: q.Lang, Limit: 20, Answering: true})
		if err != nil {
			return 0, 0, 0, 0, err
		}
		for _, h := range found.Hits {
			hits++
			switch d.site[h.SourceID] {
			case site:
			case q.MustNotCite:
				forbidden++
			default:
				foreign++
			}
		}
	}
	return asked, hits, forbidden, foreign, nil
}
