package knowledge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/tenants"
)

const (
	sourceColumns = `id, type, url, title, coalesce(body, '') as body, include, exclude, max_pages, refresh, metadata, status, error,
  found, fetched, indexed, unchanged, skipped, failed, crawled_at, version, created_at, updated_at`
	readSourceSQL = `select ` + sourceColumns + ` from sources where workspace_id = @workspace_id and id = @id and status <> 'deleting'`
	// Pages and passages are added under a lock for key share, which their
	// foreign keys take; these two let that happen, deleting doesn't.
	lockSourceSQL         = readSourceSQL + ` for no key update`
	lockSourceToDeleteSQL = readSourceSQL + ` for update`
	listSourcesSQL        = `
select id, type, url, title, '' as body, include, exclude, max_pages, refresh, metadata, status, error,
  found, fetched, indexed, unchanged, skipped, failed, crawled_at, version, created_at, updated_at
from sources
where workspace_id = @workspace_id and status <> 'deleting' and (@after::uuid is null or id < @after)
order by id desc limit @limit`
	insertSourceSQL = `
insert into sources (agency_id, workspace_id, id, type, url, title, body, include, exclude, max_pages, refresh, metadata, status, next_at, created_at, updated_at)
values (@agency_id, @workspace_id, @id, @type, @url, @title, @body, @include, @exclude, @max_pages, @refresh, @metadata, @status, @now, @now, @now)`
	writeSourceSQL = `
update sources set title = @title, body = @body, include = @include, exclude = @exclude, max_pages = @max_pages, refresh = @refresh,
  metadata = @metadata, version = @version, updated_at = @now
where workspace_id = @workspace_id and id = @id`
	isWalkingSQL  = `select walking from sources where workspace_id = @workspace_id and id = @id`
	startCrawlSQL = `
update sources set status = @status, walking = true, generation = generation + 1, site = null, misses = 0, error = '',
  found = 0, fetched = 0, unchanged = 0, skipped = 0, failed = 0, next_at = @now, version = version + 1, updated_at = @now
where workspace_id = @workspace_id and id = @id`
	markDeletingSQL = `
update sources set status = 'deleting', walking = false, next_at = @now, updated_at = @now where workspace_id = @workspace_id and id = @id`
	// Of what a crawl met, and of all that is searchable.
	recountSQL = `
update sources s set found = c.found, fetched = c.fetched, indexed = c.indexed, unchanged = c.unchanged, skipped = c.skipped, failed = c.failed, updated_at = @now
from (
  select count(*) filter (where generation = @generation) as found,
    count(*) filter (where generation = @generation and state = 'done' and attempts > 0) as fetched,
    count(*) filter (where status = 'indexed') as indexed,
    count(*) filter (where generation = @generation and outcome = 'unchanged') as unchanged,
    count(*) filter (where generation = @generation and outcome = 'skipped') as skipped,
    count(*) filter (where generation = @generation and outcome = 'failed') as failed
  from pages where workspace_id = @workspace_id and source_id = @id
) c
where s.workspace_id = @workspace_id and s.id = @id`
	awaitsVectorsSQL = `select exists (select from passages_unembedded where workspace_id = @workspace_id and source_id = @id)`
	settleSQL        = `
update sources set status = 'ready', version = version + 1, updated_at = @now
where workspace_id = @workspace_id and id = @id and not walking and status in ('pending', 'crawling')
  and not exists (select from passages_unembedded where workspace_id = @workspace_id and source_id = @id)`
	textStatusSQL = `update sources set status = @status, updated_at = @now where workspace_id = @workspace_id and id = @id`

	pageColumns  = `id, source_id, url, title, language, status, reason, passages, fetched_at, created_at, updated_at`
	listPagesSQL = `
select ` + pageColumns + ` from pages p
where workspace_id = @workspace_id and status <> '' and (@source_id::uuid is null or source_id = @source_id)
  and (@status = '' or status = @status) and (@after::uuid is null or id < @after)
  and exists (select from sources s where s.workspace_id = @workspace_id and s.id = p.source_id and s.status <> 'deleting')
order by id desc limit @limit`
	readPageSQL = `
select ` + pageColumns + ` from pages p
where workspace_id = @workspace_id and id = @id and status <> ''
  and exists (select from sources s where s.workspace_id = @workspace_id and s.id = p.source_id and s.status <> 'deleting')`
	// The one page of a text.
	textPageSQL = `
insert into pages as p (agency_id, workspace_id, id, source_id, url, variant, generation, seen, state, outcome, status, title, language, passages, fetched_at, created_at, updated_at)
values (@agency_id, @workspace_id, @page_id, @id, '', '', 0, 0, 'done', 'indexed', 'indexed', @title, @language, @passages, @now, @now, @now)
on conflict (workspace_id, source_id, url) do update
set title = excluded.title, language = excluded.language, passages = excluded.passages, fetched_at = excluded.fetched_at, updated_at = excluded.updated_at
returning id`

	purgedPassagesSQL = `select id from passages where workspace_id = @workspace_id and source_id = @id order by id limit @limit for update`
	purgePagesSQL     = `
delete from pages where workspace_id = @workspace_id and id in (select id from pages where workspace_id = @workspace_id and source_id = @id limit @limit)`
	purgeSourceSQL = `delete from sources where workspace_id = @workspace_id and id = @id`
)

func scanSource(row pgx.CollectableRow) (s Source, err error) {
	err = row.Scan(&s.ID, &s.Type, &s.URL, &s.Title, &s.Text, &s.Include, &s.Exclude, &s.MaxPages, &s.Refresh, &s.Metadata, &s.Status, &s.Error,
		&s.Pages.Found, &s.Pages.Fetched, &s.Pages.Indexed, &s.Pages.Unchanged, &s.Pages.Skipped, &s.Pages.Failed,
		&s.CrawledAt, &s.Version, &s.CreatedAt, &s.UpdatedAt)
	return s, err
}

// readSource gives a source by one of the statements that read it.
func readSource(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, sql string) (Source, error) {
	rows, err := tx.Query(ctx, sql, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id})
	if err != nil {
		return Source{}, fmt.Errorf("read a source: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSource)
	if errors.Is(err, pgx.ErrNoRows) {
		return Source{}, noSource()
	}
	if err != nil {
		return Source{}, fmt.Errorf("read a source: %w", err)
	}
	return s, nil
}

func listSources(ctx context.Context, tx pgx.Tx, w postgres.Workspace, p tenants.Page) ([]Source, error) {
	rows, err := tx.Query(ctx, listSourcesSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "after": p.After.OrNil(), "limit": p.Limit + 1})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSource)
}

func insertSource(ctx context.Context, tx pgx.Tx, w postgres.Workspace, s Source) error {
	metadata, err := json.Marshal(s.Metadata)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertSourceSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "id": s.ID, "type": s.Type, "url": s.URL, "title": s.Title, "body": bodyOf(s),
		"include": s.Include, "exclude": s.Exclude, "max_pages": s.MaxPages, "refresh": s.Refresh, "metadata": metadata,
		"status": s.Status, "now": s.CreatedAt,
	})
	if err != nil {
		return fmt.Errorf("store a source: %w", err)
	}
	return nil
}

func writeSource(ctx context.Context, tx pgx.Tx, w postgres.Workspace, s Source) error {
	metadata, err := json.Marshal(s.Metadata)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, writeSourceSQL, pgx.StrictNamedArgs{
		"workspace_id": w.ID, "id": s.ID, "title": s.Title, "body": bodyOf(s), "include": s.Include, "exclude": s.Exclude,
		"max_pages": s.MaxPages, "refresh": s.Refresh, "metadata": metadata, "version": s.Version, "now": s.UpdatedAt,
	})
	if err != nil {
		return fmt.Errorf("store a source: %w", err)
	}
	return nil
}

func bodyOf(s Source) *string {
	if s.Type != Text {
		return nil
	}
	return &s.Text
}

func isWalking(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID) (walking bool, err error) {
	err = tx.QueryRow(ctx, isWalkingSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id}).Scan(&walking)
	return walking, err
}

func startCrawl(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, status string, now time.Time) error {
	_, err := tx.Exec(ctx, startCrawlSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "status": status, "now": now})
	if err != nil {
		return fmt.Errorf("start a crawl: %w", err)
	}
	return nil
}

func markDeleting(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, now time.Time) error {
	_, err := tx.Exec(ctx, markDeletingSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "now": now})
	return err
}

func recount(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, generation int64, now time.Time) error {
	_, err := tx.Exec(ctx, recountSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "generation": generation, "now": now})
	if err != nil {
		return fmt.Errorf("count pages: %w", err)
	}
	return nil
}
