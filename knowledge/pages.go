package knowledge

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/tenants"
)

// PageFilter narrows a list of pages; empty fields don't.
type PageFilter struct {
	SourceID ids.ID
	Status   string
}

// Pages lists a workspace's pages, those that are not indexed too, with their
// reasons, newest first, and tells whether there are more.
func (k *Knowledge) Pages(ctx context.Context, w postgres.Workspace, f PageFilter, p tenants.Page) (all []Page, more bool, err error) {
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, listPagesSQL, pgx.StrictNamedArgs{
			"workspace_id": w.ID, "source_id": f.SourceID.OrNil(), "status": f.Status, "after": p.After.OrNil(), "limit": p.Limit + 1,
		})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanPage)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list pages: %w", err)
	}
	if len(all) > p.Limit {
		return all[:p.Limit], true, nil
	}
	return all, false, nil
}

// Page gives one page.
func (k *Knowledge) Page(ctx context.Context, w postgres.Workspace, id ids.ID) (p Page, err error) {
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, readPageSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id})
		if err != nil {
			return err
		}
		p, err = pgx.CollectExactlyOneRow(rows, scanPage)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Page{}, noPage()
	}
	if err != nil {
		return Page{}, fmt.Errorf("read a page: %w", err)
	}
	return p, nil
}

func scanPage(row pgx.CollectableRow) (p Page, err error) {
	err = row.Scan(&p.ID, &p.SourceID, &p.URL, &p.Title, &p.Language, &p.Status, &p.Reason, &p.Passages, &p.FetchedAt, &p.CreatedAt, &p.UpdatedAt)
	return p, err
}
