package knowledge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/knowledge/rank"
)

const (
	embedBatch  = 8               // passages at a time
	embedBudget = 8 * time.Second // after which a slice lets other tenants go first
)

const (
	unembeddedSQL = `
select p.id, p.source_id, g.title, p.heading_path, p.text
from passages_unembedded u
join passages p on p.workspace_id = u.workspace_id and p.id = u.id
join pages g on g.workspace_id = p.workspace_id and g.id = p.page_id
where u.workspace_id = @workspace_id
order by u.id limit @limit`
	// Who removes passages locks them first; those that are gone get no vector.
	stillThereSQL   = `select id from passages where workspace_id = @workspace_id and id = any (@ids) order by id for key share`
	storeVectorsSQL = `
with done as (delete from passages_unembedded where workspace_id = @workspace_id and id = any (@ids))
insert into passage_vectors (agency_id, workspace_id, id, embedding)
select @agency_id, @workspace_id, id, vector::halfvec(384) from unnest(@ids::bigint[], @vectors::text[]) as u (id, vector)
on conflict (workspace_id, id) do update set embedding = excluded.embedding`
)

type unembedded struct {
	id     int64
	source ids.ID
	rank.Candidate
}

// EmbedSlice works for the embedding lane: it gives passages their vectors, a
// few at a time, and enqueues the next slice or, when there is nothing left,
// lets the lane rest and declares sources ready.
func (k *Knowledge) EmbedSlice(ctx context.Context, args EmbedSlice) error {
	w := postgres.Workspace{AgencyID: args.AgencyID, ID: args.WorkspaceID}
	until := k.clock.Now().Add(embedBudget)
	for {
		var batch []unembedded
		mine := false
		err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) (err error) {
			if mine, err = inLane(ctx, tx, w, laneEmbed, args.Number); err != nil || !mine {
				return err
			}
			if err := liveWorkspace(ctx, tx, w); err != nil {
				return err
			}
			batch, err = readUnembedded(ctx, tx, w)
			return err
		})
		if errors.Is(err, errGone) {
			return k.rest(ctx, w, laneEmbed)
		}
		if err != nil {
			return fmt.Errorf("read passages to embed: %w", err)
		}
		if !mine {
			return nil
		}
		if len(batch) > 0 {
			if err := k.embedBatch(ctx, w, batch); err != nil {
				return err
			}
		}
		if now := k.clock.Now(); len(batch) < embedBatch || !now.Before(until) {
			return k.endEmbedSlice(ctx, w, args.Number, now)
		}
	}
}

func readUnembedded(ctx context.Context, tx pgx.Tx, w postgres.Workspace) ([]unembedded, error) {
	rows, err := tx.Query(ctx, unembeddedSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "limit": embedBatch})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (u unembedded, err error) {
		err = row.Scan(&u.id, &u.source, &u.Title, &u.HeadingPath, &u.Text)
		return u, err
	})
}

// embedBatch runs the model, with no transaction open, and stores the vectors
// of those passages that are still there.
func (k *Knowledge) embedBatch(ctx context.Context, w postgres.Workspace, batch []unembedded) error {
	texts := make([]string, len(batch))
	numbers := make([]int64, len(batch))
	for i := range batch {
		texts[i], numbers[i] = batch[i].Whole(), batch[i].id
	}
	vectors, err := k.embed.Passages(ctx, texts...)
	if err == nil {
		err = checkVectors(vectors, len(texts))
	}
	if err != nil {
		return fmt.Errorf("embed passages: %w", err)
	}
	written := make(map[int64]string, len(batch))
	for i, id := range numbers {
		written[id] = vectorText(vectors[i])
	}
	now := k.clock.Now()
	err = k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		if err := liveWorkspace(ctx, tx, w); err != nil {
			return ignoreGone(err)
		}
		rows, err := tx.Query(ctx, stillThereSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "ids": numbers})
		if err != nil {
			return err
		}
		there, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(there) == 0 {
			return err
		}
		kept := make([]string, len(there))
		for i, id := range there {
			kept[i] = written[id]
		}
		_, err = tx.Exec(ctx, storeVectorsSQL, pgx.StrictNamedArgs{"agency_id": w.AgencyID, "workspace_id": w.ID, "ids": there, "vectors": kept})
		return err
	})
	if err != nil {
		return fmt.Errorf("store vectors: %w", err)
	}
	return k.settleAll(ctx, w, batch, now)
}

// settleAll declares those of the batch's sources ready that have all vectors.
// Each in a transaction of its own: the source's lock is taken first there.
func (k *Knowledge) settleAll(ctx context.Context, w postgres.Workspace, batch []unembedded, now time.Time) error {
	var sources []ids.ID
	for i := range batch {
		if !slices.Contains(sources, batch[i].source) {
			sources = append(sources, batch[i].source)
		}
	}
	for _, id := range sources {
		err := k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
			var waits bool
			err := tx.QueryRow(ctx, awaitsVectorsSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": id}).Scan(&waits)
			if err != nil || waits {
				return err
			}
			s, err := readSource(ctx, tx, w, id, lockSourceSQL)
			if fault.Of(err).Kind == fault.NotFound {
				return nil
			}
			if err != nil {
				return err
			}
			return k.settle(ctx, tx, w, s, now)
		})
		if err != nil {
			return fmt.Errorf("declare a source ready: %w", err)
		}
	}
	return nil
}

func (k *Knowledge) endEmbedSlice(ctx context.Context, w postgres.Workspace, number int64, now time.Time) error {
	return k.db.InWorkspace(ctx, w, func(tx pgx.Tx) error { return k.moveLane(ctx, tx, w, laneEmbed, number, now) })
}

func checkVectors(vectors [][]float32, want int) error {
	if len(vectors) != want {
		return fmt.Errorf("%d vectors for %d texts", len(vectors), want)
	}
	for _, v := range vectors {
		if len(v) != Dimensions {
			return fmt.Errorf("a vector of %d numbers instead of %d", len(v), Dimensions)
		}
	}
	return nil
}

// vectorText is how pgvector reads a vector.
func vectorText(v []float32) string {
	b := make([]byte, 0, len(v)*12)
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', 6, 32)
	}
	return string(append(b, ']'))
}
