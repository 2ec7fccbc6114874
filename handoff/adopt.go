package handoff

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

const (
	adoptEscalationsSQL = `
update escalations set contact_id = @to where workspace_id = @workspace_id and conversation_id = any (@conversations) and contact_id = @from`
	adoptPacketsSQL = `
update packets set contact_id = @to where workspace_id = @workspace_id and conversation_id = any (@conversations) and contact_id = @from`
)

// adopt has escalations and packets follow their conversations to another
// contact, with whom they are erased then.
func adopt(ctx context.Context, tx pgx.Tx, w postgres.Workspace, from, to ids.ID, conversations []ids.ID) error {
	batch := &pgx.Batch{}
	of := pgx.StrictNamedArgs{"workspace_id": w.ID, "from": from, "to": to, "conversations": conversations}
	batch.Queue(adoptEscalationsSQL, of)
	batch.Queue(adoptPacketsSQL, of)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("move escalations: %w", err)
	}
	return nil
}
