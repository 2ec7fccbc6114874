package knowledge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/language"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge/crawl"
)

// settle declares a locked source ready if nothing is missing any more: its
// crawl has ended and each passage has a vector.
func (k *Knowledge) settle(ctx context.Context, tx pgx.Tx, w postgres.Workspace, s Source, now time.Time) error {
	done, err := tx.Exec(ctx, settleSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": s.ID, "now": now})
	if err != nil {
		return fmt.Errorf("declare a source ready: %w", err)
	}
	if done.RowsAffected() == 0 {
		return nil
	}
	if err := tell(ctx, tx, w, events.SourceReady, s.ID, map[string]string{"status": Ready}, now); err != nil {
		return err
	}
	return k.enqueueCalibration(ctx, tx, w)
}

func tell(ctx context.Context, tx pgx.Tx, w postgres.Workspace, kind events.Type, source ids.ID, changes map[string]string, now time.Time) error {
	text, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	return events.Append(ctx, tx, events.Event{
		ID: ids.New(now), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: kind, Object: source, Changes: text, At: now,
	})
}

// maxTextPassages bounds what is indexed while somebody waits for the answer.
const maxTextPassages = 4000

// spokenIn guesses the language of a text that does not say it, from its
// beginning; empty where that is too short to show it.
func spokenIn(passages []crawl.Passage) string {
	var text strings.Builder
	for _, p := range passages {
		if text.Len() > 2000 {
			break
		}
		text.WriteString(p.Text + "\n")
	}
	return language.Detect(text.String())
}

// indexText makes a text searchable by its words when tx commits; its vectors
// follow. The source's row is locked, or new.
func (k *Knowledge) indexText(ctx context.Context, tx pgx.Tx, w postgres.Workspace, s Source, now time.Time) error {
	read := crawl.Read(crawl.Fetched{MediaType: crawl.Markdown, Body: s.Text})
	passages := crawl.Split(s.Title, read.Blocks)
	if len(passages) > maxTextPassages {
		return invalid("/text", "The text makes %d passages; %d are the most. Cut it into several.", len(passages), maxTextPassages)
	}
	spoken := spokenIn(passages)
	pieces := make([]piece, len(passages))
	for i, p := range passages {
		pieces[i] = piece{title: s.Title, headingPath: p.HeadingPath, anchor: p.Anchor, text: p.Text, language: spoken}
	}
	var page ids.ID
	err := tx.QueryRow(ctx, textPageSQL, pgx.StrictNamedArgs{
		"agency_id": w.AgencyID, "workspace_id": w.ID, "id": s.ID, "page_id": ids.New(now), "title": s.Title, "language": spoken, "passages": len(pieces), "now": now,
	}).Scan(&page)
	if err != nil {
		return fmt.Errorf("store a text's page: %w", err)
	}
	var c change
	if err := dropPassages(ctx, tx, w, []ids.ID{page}, &c); err != nil {
		return err
	}
	for i := range pieces {
		pieces[i].page, pieces[i].ordinal = page, i
	}
	if err := addPassages(ctx, tx, w, s.ID, pieces, &c); err != nil {
		return err
	}
	status := Pending
	if s.Status != Pending {
		status = Crawling
	}
	if _, err := tx.Exec(ctx, textStatusSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": s.ID, "status": status, "now": now}); err != nil {
		return fmt.Errorf("store a text: %w", err)
	}
	if err := recount(ctx, tx, w, s.ID, 0, now); err != nil {
		return err
	}
	if err := c.write(ctx, tx, w, now); err != nil {
		return err
	}
	if len(pieces) == 0 {
		return k.settle(ctx, tx, w, s, now)
	}
	return k.wakeLane(ctx, tx, w, laneEmbed, now)
}

const (
	purgedPassages = 500  // at a time
	purgedPages    = 5000 // at a time
)

// purge removes a part of a source that is being deleted, and tells whether it
// was the last.
func (k *Knowledge) purge(ctx context.Context, tx pgx.Tx, w postgres.Workspace, id ids.ID, now time.Time) (done bool, err error) {
	rows, err := tx.Query(ctx, purgedPassagesSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "limit": purgedPassages})
	if err != nil {
		return false, fmt.Errorf("purge a source: %w", err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return false, fmt.Errorf("purge a source: %w", err)
	}
	var c change
	if err := dropNumbered(ctx, tx, w, numbers, &c); err != nil {
		return false, err
	}
	if err := c.write(ctx, tx, w, now); err != nil || len(numbers) == purgedPassages {
		return false, err
	}
	gone, err := tx.Exec(ctx, purgePagesSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id, "limit": purgedPages})
	if err != nil {
		return false, fmt.Errorf("purge a source's pages: %w", err)
	}
	if gone.RowsAffected() == purgedPages {
		return false, nil
	}
	if _, err := tx.Exec(ctx, purgeSourceSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id}); err != nil {
		return false, fmt.Errorf("purge a source: %w", err)
	}
	return true, k.enqueueCalibration(ctx, tx, w)
}
