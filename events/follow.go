package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres"
)

// ErrGone says that a position is no longer kept: what came after it was partly
// dropped, so a reader who went on from there would miss it.
var ErrGone = errors.New("position is no longer kept")

// ErrStopping ends those who follow on a node that stops: they go on elsewhere,
// from where they are.
var ErrStopping = errors.New("this node stops")

const (
	channel = "relaydesk_events"
	// debounce gathers the news for other nodes: a NOTIFY for each event would
	// put all commits in a queue.
	debounce = 20 * time.Millisecond
	page     = 200
)

// Hub wakes those who follow the log, on all nodes.
type Hub struct {
	db  *postgres.DB
	log *slog.Logger

	mu        sync.Mutex
	followers map[int64]map[chan struct{}]struct{} // by agency
	news      map[int64]struct{}                   // agencies to tell other nodes of
	tell      chan struct{}
	stop      sync.Once
	stopping  chan struct{}
}

// NewHub makes a Hub. Run makes it work.
func NewHub(db *postgres.DB, log *slog.Logger) *Hub {
	return &Hub{
		db: db, log: log, followers: map[int64]map[chan struct{}]struct{}{}, news: map[int64]struct{}{},
		tell: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
}

// Stop ends all who follow, with ErrStopping.
func (h *Hub) Stop() { h.stop.Do(func() { close(h.stopping) }) }

// Numbered is what a Relay is given to call after each batch.
func (h *Hub) Numbered(batch []Numbered) {
	h.mu.Lock()
	for _, n := range batch {
		h.news[n.AgencyID] = struct{}{}
		h.wake(n.AgencyID)
	}
	h.mu.Unlock()
	select {
	case h.tell <- struct{}{}:
	default: // it is told already
	}
}

// wake is called with the lock held.
func (h *Hub) wake(agencyID int64) {
	for follower := range h.followers[agencyID] {
		select {
		case follower <- struct{}{}:
		default: // it is awake already
		}
	}
}

func (h *Hub) wakeThose(agencies []int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range agencies {
		h.wake(id)
	}
}

// Run carries news between nodes until ctx ends. What a lost connection keeps
// from it, it finds by looking at the logs' ends once a second.
func (h *Hub) Run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { h.db.Listen(ctx, h.log, channel, h.heard) })
	work.Go(func() { h.announce(ctx) })
	ends := map[int64]int64{}
	tick := time.NewTicker(net)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := h.look(ctx, ends); err != nil && ctx.Err() == nil {
				h.log.ErrorContext(ctx, "look for new events", "error", err)
			}
		}
	}
}

func (h *Hub) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.tell:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(debounce):
		}
		h.mu.Lock()
		var agencies []string
		for id := range h.news {
			agencies = append(agencies, strconv.FormatInt(id, 10))
		}
		clear(h.news)
		h.mu.Unlock()
		// A payload may have 8,000 bytes.
		for part := range slices.Chunk(agencies, 300) {
			if err := h.db.Notify(ctx, channel, strings.Join(part, ",")); err != nil && ctx.Err() == nil {
				h.log.WarnContext(ctx, "tell other nodes of events", "error", err)
			}
		}
	}
}

func (h *Hub) heard(payload string) {
	var agencies []int64
	for text := range strings.SplitSeq(payload, ",") {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			agencies = append(agencies, id)
		}
	}
	h.wakeThose(agencies)
}

const endsSQL = `select agency_id, last from event_positions where agency_id = any (@agencies)`

func (h *Hub) look(ctx context.Context, ends map[int64]int64) error {
	h.mu.Lock()
	var followed []int64
	for id := range h.followers {
		followed = append(followed, id)
	}
	h.mu.Unlock()
	if len(followed) == 0 {
		return nil
	}
	var grown []int64
	err := h.db.InSystem(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, endsSQL, pgx.StrictNamedArgs{"agencies": followed})
		if err != nil {
			return err
		}
		var id, last int64
		_, err = pgx.ForEachRow(rows, []any{&id, &last}, func() error {
			if ends[id] != last {
				ends[id], grown = last, append(grown, id)
			}
			return nil
		})
		return err
	})
	h.wakeThose(grown)
	return err
}

func (h *Hub) join(agencyID int64) (woken chan struct{}, leave func()) {
	woken = make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.followers[agencyID] == nil {
		h.followers[agencyID] = map[chan struct{}]struct{}{}
	}
	h.followers[agencyID][woken] = struct{}{}
	return woken, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.followers[agencyID], woken)
		if len(h.followers[agencyID]) == 0 {
			delete(h.followers, agencyID)
		}
	}
}

// Now is the newest position of an agency's log.
func (h *Hub) Now(ctx context.Context, agencyID int64) (newest int64, err error) {
	err = h.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		_, newest, err = Bounds(ctx, tx, agencyID)
		return err
	})
	return newest, err
}

// Page is what Next found: events, and how far the log was looked through,
// which is further than the last of them where the filter passed over others.
type Page struct {
	Events []Event
	To     int64
}

// Next reads what follows a position, at most limit events, oldest first. A
// position that is no longer kept is ErrGone.
func (h *Hub) Next(ctx context.Context, f Filter, after int64, limit int) (Page, error) {
	var found Page
	read := func(tx pgx.Tx) error {
		oldest, newest, err := Bounds(ctx, tx, f.AgencyID)
		if err != nil {
			return err
		}
		if after > 0 && after < oldest-1 || after > newest {
			return ErrGone
		}
		found.Events, err = Read(ctx, tx, f, after, limit)
		if err != nil {
			return err
		}
		// Numbers are dense and given under a lock, so all up to newest were
		// visible to Read; some that came after it may have been, too.
		n := len(found.Events)
		switch {
		case n == limit:
			found.To = found.Events[n-1].Position
		case n > 0:
			found.To = max(newest, found.Events[n-1].Position)
		default:
			found.To = newest
		}
		return nil
	}
	if f.WorkspaceID != 0 {
		return found, h.db.InWorkspace(ctx, postgres.Workspace{AgencyID: f.AgencyID, ID: f.WorkspaceID}, read)
	}
	return found, h.db.InAgency(ctx, f.AgencyID, read)
}

// Follow hands on all events after a position, as they come, until ctx ends or
// emit fails. emit gets them in order, with the position that was reached; each
// heartbeat of silence it gets none, with the position to resume from.
func (h *Hub) Follow(ctx context.Context, f Filter, after int64, heartbeat time.Duration, emit func(Page) error) error {
	woken, leave := h.join(f.AgencyID)
	defer leave()
	quiet := time.NewTimer(heartbeat)
	defer quiet.Stop()
	for {
		found, err := h.Next(ctx, f, after, page)
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		after = found.To
		if len(found.Events) > 0 {
			if err := emit(found); err != nil {
				return err
			}
			quiet.Reset(heartbeat)
		}
		if len(found.Events) == page {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.stopping:
			return ErrStopping
		case <-woken:
		case <-quiet.C:
			if err := emit(Page{To: after}); err != nil {
				return err
			}
			quiet.Reset(heartbeat)
		}
	}
}
