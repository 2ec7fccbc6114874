package conversations

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

const (
	// Silence is how long a job may give no sign of life before its turn is
	// given to another.
	Silence = 10 * time.Second
	// requeues bounds how often that happens; then the deadline decides.
	requeues = 4
	// remembered is how much of what was said before the assistant reads.
	remembered = 40
)

// Work is a claimed turn with all that is needed to answer it.
type Work struct {
	Conversation Conversation
	Contact      Contact
	Turn         Turn
	Lease        int64     // to be shown when something is stored
	Messages     []Message // the turn's, oldest first
	History      []Message // what else was said publicly, oldest first, the newest 40
	Silent       bool      // nothing may be said, but a wish for a person counts
	Offer        *Offer    // that of a person, which the answer before ended with; nil: none
}

// An Offer of a person counts for the turn after it, for what was written when
// it stood there.
type Offer struct {
	Seq      int64
	StoredAt time.Time
}

// Last is the seq of the newest message that the work knows.
func (w Work) Last() int64 {
	if len(w.Messages) == 0 {
		return w.Turn.LastSeq
	}
	return w.Messages[len(w.Messages)-1].Seq
}

var claimSQL = `
update turns t set lease = t.lease + 1, leased_at = @now
from conversations c
where t.workspace_id = @workspace_id and t.id = @id and t.status = 'pending' and (t.lease = @lease or t.leased_at < @silent)
  and c.workspace_id = @workspace_id and c.id = t.conversation_id
returning ` + columns("t.", turnFields...) + lastOfTurn

// handledTurnSQL finds a turn that ended although nobody had answered it.
var handledTurnSQL = getTurnSQL + " and t.status = 'handled'"

const workspaceStatusSQL = `select w.status from workspaces w where w.workspace_id = @workspace_id`

var (
	turnConversationSQL = "select " + columns("c.", conversationFields...) + `
from turns t join conversations c on c.workspace_id = t.workspace_id and c.id = t.conversation_id
where t.workspace_id = @workspace_id and t.id = @id`
	turnContactSQL = "select " + columns("k.", contactFields...) + `
from turns t join conversations c on c.workspace_id = t.workspace_id and c.id = t.conversation_id
join contacts k on k.workspace_id = c.workspace_id and k.id = c.contact_id
where t.workspace_id = @workspace_id and t.id = @id`
	turnMessagesSQL = selectMessages + `join turns t on t.workspace_id = m.workspace_id and t.conversation_id = m.conversation_id
where t.workspace_id = @workspace_id and t.id = @id and m.turn_id = t.id and m.author = 'visitor' order by m.seq`
	turnHistorySQL = `select * from (` + selectMessages + `join turns t on t.workspace_id = m.workspace_id and t.conversation_id = m.conversation_id
where t.workspace_id = @workspace_id and t.id = @id and m.turn_id is distinct from t.id and m.visibility = 'public'
order by m.seq desc limit @limit) h order by seq`
)

// Claim takes a turn for a job, reading all that it needs. It is false where
// there is nothing to do: a person or the assistant has answered, or another job
// has the turn. Where nothing is to be answered, because the conversation was
// snoozed or resolved meanwhile or the workspace is suspended, the work is
// Silent. A turn that is not there is an error: its transaction may not be
// visible yet.
func (c *Conversations) Claim(ctx context.Context, job AnswerTurn) (work Work, ok bool, err error) {
	w, now := job.Workspace(), c.Now()
	var (
		turns    []Turn
		statuses []string
		found    []Conversation
		contacts []Contact
		ended    []Turn
	)
	err = c.in(ctx, w, func(tx pgx.Tx) error {
		batch, with := &pgx.Batch{}, args{"workspace_id": w.ID, "id": job.TurnID}
		collect(batch, &turns, claimSQL, args{"workspace_id": w.ID, "id": job.TurnID, "lease": job.Lease, "now": now, "silent": now.Add(-Silence)})
		batch.Queue(workspaceStatusSQL, args{"workspace_id": w.ID}).Query(func(rows pgx.Rows) (err error) {
			statuses, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		collect(batch, &ended, handledTurnSQL, with)
		collect(batch, &found, turnConversationSQL, with)
		collect(batch, &contacts, turnContactSQL, with)
		collect(batch, &work.Messages, turnMessagesSQL, with)
		collect(batch, &work.History, turnHistorySQL, args{"workspace_id": w.ID, "id": job.TurnID, "limit": remembered})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("claim turn %x: %w", job.TurnID, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return Work{}, false, err
	case len(found) == 0 || len(contacts) == 0 || len(statuses) == 0:
		return Work{}, false, noTurn()
	case len(turns)+len(ended) == 0 || len(work.Messages) == 0 || statuses[0] == "deleting":
		return Work{}, false, nil
	case len(turns) == 0:
		turns, work.Silent = ended, true
	case statuses[0] == "suspended":
		work.Silent = true
	}
	work.Turn, work.Lease, work.Conversation, work.Contact = turns[0], turns[0].Lease, found[0], contacts[0]
	for _, m := range work.History {
		if m.Seq == work.Conversation.PendingOffer {
			work.Offer = &Offer{m.Seq, m.CreatedAt}
		}
	}
	return work, true, nil
}

// collect adds a query whose rows are collected by their columns' names.
func collect[T any](batch *pgx.Batch, into *[]T, sql string, with args) {
	batch.Queue(sql, with).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByName[T])
		return err
	})
}

const renewSQL = `update turns set leased_at = @now where workspace_id = @workspace_id and id = @id and lease = @lease and status = 'pending'`

// Renew is a job's sign of life. It is false when the turn is not the job's any
// more: whatever it computes can't be stored.
func (c *Conversations) Renew(ctx context.Context, w postgres.Workspace, turn ids.ID, lease int64) (mine bool, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, renewSQL, args{"workspace_id": w.ID, "id": turn, "lease": lease, "now": c.Now()})
		mine = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("renew the lease of turn %x: %w", turn, err)
	}
	return mine, nil
}

const abandonSQL = `update turns set leased_at = '-infinity' where workspace_id = @workspace_id and id = @id and lease = @lease and status = 'pending'`

// Abandon gives a claimed turn back, so that the job's next attempt, or another
// job, can claim it at once.
func (c *Conversations) Abandon(ctx context.Context, w postgres.Workspace, turn ids.ID, lease int64) error {
	err := c.in(ctx, w, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, abandonSQL, args{"workspace_id": w.ID, "id": turn, "lease": lease})
		return err
	})
	if err != nil {
		return fmt.Errorf("abandon turn %x: %w", turn, err)
	}
	return nil
}

const (
	silentSQL = `
select t.agency_id, t.workspace_id, t.id from timers d join turns t on t.workspace_id = d.workspace_id and t.id = d.object_id
where d.kind = 1 and d.due_at > @now and t.leased_at < @silent and t.requeued < @requeues order by t.leased_at limit 200`
	requeueSQL = `
update turns set leased_at = @now, requeued = requeued + 1
where workspace_id = @workspace_id and id = @id and status = 'pending' and leased_at < @silent and requeued < @requeues
returning lease`
)

// Requeue enqueues the turns once more whose jobs gave no sign of life, and
// tells how many. Every node may call it each second.
func (c *Conversations) Requeue(ctx context.Context) (n int, err error) {
	now := c.Now()
	type place struct {
		AgencyID, WorkspaceID int64
		ID                    ids.ID
	}
	var silent []place
	err = c.db.InSystem(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, silentSQL, args{"silent": now.Add(-Silence), "requeues": requeues, "now": now})
		if err != nil {
			return err
		}
		silent, err = pgx.CollectRows(rows, pgx.RowToStructByName[place])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("look for silent jobs: %w", err)
	}
	for _, p := range silent {
		w := postgres.Workspace{AgencyID: p.AgencyID, ID: p.WorkspaceID}
		err := c.in(ctx, w, func(tx pgx.Tx) error {
			var lease int64
			err := tx.QueryRow(ctx, requeueSQL, args{
				"workspace_id": w.ID, "id": p.ID, "silent": now.Add(-Silence), "requeues": requeues, "now": now,
			}).Scan(&lease)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil // another node was faster
			}
			if err != nil {
				return err
			}
			n++
			return c.queue.Insert(ctx, tx, AnswerTurn{AgencyID: w.AgencyID, WorkspaceID: w.ID, TurnID: p.ID, Lease: lease}, time.Time{})
		})
		if err != nil {
			return n, fmt.Errorf("enqueue turn %x once more: %w", p.ID, err)
		}
	}
	return n, nil
}

// GetTurn reads a turn.
func (c *Conversations) GetTurn(ctx context.Context, w postgres.Workspace, id ids.ID) (turn Turn, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) (err error) {
		turn, err = one[Turn](ctx, tx, getTurnSQL, args{"workspace_id": w.ID, "id": id})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return turn, noTurn()
	}
	return turn, err
}

func noTurn() error { return fault.New(fault.NotFound, "not_found", "No such turn.") }

func turnOfMessage(ctx context.Context, tx pgx.Tx, w postgres.Workspace, message ids.ID) (Turn, error) {
	return one[Turn](ctx, tx, turnOfMessageSQL, args{"workspace_id": w.ID, "id": message})
}

// WaitTurn waits until the turn that a visitor's message belongs to has ended,
// at most for the given time, and gives it as it is then. It follows the
// message, which may move on to a next turn. Without a turn it is nil.
func (c *Conversations) WaitTurn(ctx context.Context, w postgres.Workspace, message ids.ID, atMost time.Duration) (*Turn, error) {
	end := time.NewTimer(atMost)
	defer end.Stop()
	pause := 50 * time.Millisecond // a net for what another node did; this one's tells at once
	var heard *wait
	defer func() { c.waits.leave(heard) }()
	for over := false; ; {
		turn, err := c.turnOf(ctx, w, message)
		if err != nil || turn == nil || turn.Status != Pending || over {
			return turn, err
		}
		if heard == nil || heard.turn != turn.ID || heard.told() {
			// What ends between the look and the listening is found by a second look.
			c.waits.leave(heard)
			heard = c.waits.join(turn.ID)
			continue
		}
		again := time.NewTimer(pause)
		select {
		case <-heard.ended:
		case <-again.C:
			pause = min(2*pause, time.Second)
		case <-end.C:
			over = true
		case <-ctx.Done():
			again.Stop()
			return turn, ctx.Err()
		}
		again.Stop()
	}
}

// turnOf gives the turn of a visitor's message; nil: it has none.
func (c *Conversations) turnOf(ctx context.Context, w postgres.Workspace, message ids.ID) (turn *Turn, err error) {
	err = c.in(ctx, w, func(tx pgx.Tx) error {
		t, err := turnOfMessage(ctx, tx, w, message)
		if err == nil {
			turn = &t
		} else if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return err
	})
	return turn, err
}

// Ended tells who waits in this process that something became of a turn. Call
// it after the commit.
func (c *Conversations) Ended(turn ids.ID) { c.waits.tell(turn) }

// waits are the requests that wait for a turn, by turn.
type waits struct {
	mu    sync.Mutex
	turns map[ids.ID]*wait
}

type wait struct {
	turn  ids.ID
	ended chan struct{}
	n     int // how many listen
}

func (w *wait) told() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

func (w *waits) join(turn ids.ID) *wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turns == nil {
		w.turns = map[ids.ID]*wait{}
	}
	if w.turns[turn] == nil {
		w.turns[turn] = &wait{turn: turn, ended: make(chan struct{})}
	}
	w.turns[turn].n++
	return w.turns[turn]
}

func (w *waits) leave(left *wait) {
	if left == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if left.n--; left.n == 0 && w.turns[left.turn] == left {
		delete(w.turns, left.turn)
	}
}

func (w *waits) tell(turn ids.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if heard := w.turns[turn]; heard != nil {
		close(heard.ended)
		delete(w.turns, turn)
	}
}
