package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/timers"
)

const (
	// scrapeTimeout bounds what a scrape may cost the database.
	scrapeTimeout = 3 * time.Second
	// fresh is how old an answer may be, so that many scrapers cost what one does.
	fresh = 5 * time.Second
)

// Backlog is what the whole installation has still to do. It is read in the
// system's scope, which sees ids and times only.
type Backlog struct {
	Jobs          []QueueDepth
	OldestJob     time.Duration // how long the longest waiting job has been due; 0: none is
	TurnsPending  int64
	TurnsOverdue  int64         // past their deadline: a sweep should have ended them
	RelayWaiting  int64         // events that have no number yet
	RelayLag      time.Duration // how old the oldest of them is
	Undelivered   int64         // webhook deliveries that have not succeeded yet
	DeliveriesDue int64         // those of them whose time has come
	MostTimersLag time.Duration // how long the oldest timer has been due
}

// QueueDepth counts the jobs of a queue in a state.
type QueueDepth struct {
	Queue, State string
	Jobs         int64
}

const depthSQL = `
select queue, state::text as state, count(*) as jobs from river.river_job
where state in ('available', 'pending', 'retryable', 'running', 'scheduled', 'discarded') group by 1, 2 order by 1, 2`

const backlogSQL = `
select
  coalesce((select extract(epoch from @now::timestamptz - min(scheduled_at)) from river.river_job where state = 'available'), 0)::float8,
  (select count(*) from timers where kind = @turn_due),
  (select count(*) from timers where kind = @turn_due and due_at <= @now),
  (select count(*) from event_inbox),
  coalesce((select extract(epoch from @now::timestamptz - min(created_at)) from event_inbox), 0)::float8,
  (select count(*) from webhook_deliveries where state = 0),
  (select count(*) from webhook_deliveries where state = 0 and next_attempt_at <= @now),
  coalesce((select extract(epoch from @now::timestamptz - min(due_at)) from timers where due_at <= @now), 0)::float8`

// ReadBacklog reads it.
func ReadBacklog(ctx context.Context, db *postgres.DB, now time.Time) (b Backlog, err error) {
	err = db.InSystem(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, depthSQL)
		if err != nil {
			return err
		}
		if b.Jobs, err = pgx.CollectRows(rows, pgx.RowToStructByName[QueueDepth]); err != nil {
			return err
		}
		var oldest, lag, timer float64
		err = tx.QueryRow(ctx, backlogSQL, pgx.StrictNamedArgs{"now": now, "turn_due": timers.TurnDue}).
			Scan(&oldest, &b.TurnsPending, &b.TurnsOverdue, &b.RelayWaiting, &lag, &b.Undelivered, &b.DeliveriesDue, &timer)
		b.OldestJob, b.RelayLag, b.MostTimersLag = seconds(oldest), seconds(lag), seconds(timer)
		return err
	})
	if err != nil {
		return b, fmt.Errorf("read what is to do: %w", err)
	}
	return b, nil
}

// seconds is never negative: clocks differ a little.
func seconds(s float64) time.Duration { return max(0, time.Duration(s*float64(time.Second))) }

// Backlog adds the numbers of what the installation has still to do, read when
// somebody asks for them. Every node tells the same ones.
func (m *Metrics) Backlog(db *postgres.DB, log *slog.Logger) {
	m.registry.MustRegister(&backlog{db: db, log: log, clock: m.clock})
}

type backlog struct {
	db    *postgres.DB
	log   *slog.Logger
	clock clock.Clock

	mu   sync.Mutex
	read time.Time
	last Backlog
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	queueJobs     = describe("relaydesk_queue_jobs", "Jobs in the queue, by queue and state; completed ones aside.", "queue", "state")
	queueOldest   = describe("relaydesk_queue_oldest_seconds", "How long the longest waiting job has been due.")
	turnsPending  = describe("relaydesk_turns_pending", "Turns of visitors that have no answer yet.")
	turnsOverdue  = describe("relaydesk_turns_overdue", "Turns past their deadline; more than a few for more than seconds is a fault.")
	relayWaiting  = describe("relaydesk_relay_events_waiting", "Events that have no place in the log yet.")
	relayLag      = describe("relaydesk_relay_lag_seconds", "How old the oldest of them is.")
	undelivered   = describe("relaydesk_webhook_deliveries_pending", "Webhook deliveries that have not succeeded yet.")
	deliveriesDue = describe("relaydesk_webhook_deliveries_due", "Those of them whose time has come.")
	timersLag     = describe("relaydesk_timers_lag_seconds", "How long the oldest timer has been due.")
)

func (*backlog) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueJobs, queueOldest, turnsPending, turnsOverdue, relayWaiting, relayLag, undelivered, deliveriesDue, timersLag} {
		to <- d
	}
}

func (c *backlog) Collect(to chan<- prometheus.Metric) {
	b, err := c.get()
	if err != nil {
		c.log.Warn("measure what is to do", "error", err)
		to <- prometheus.NewInvalidMetric(queueJobs, err)
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, q := range b.Jobs {
		gauge(queueJobs, float64(q.Jobs), q.Queue, q.State)
	}
	gauge(queueOldest, b.OldestJob.Seconds())
	gauge(turnsPending, float64(b.TurnsPending))
	gauge(turnsOverdue, float64(b.TurnsOverdue))
	gauge(relayWaiting, float64(b.RelayWaiting))
	gauge(relayLag, b.RelayLag.Seconds())
	gauge(undelivered, float64(b.Undelivered))
	gauge(deliveriesDue, float64(b.DeliveriesDue))
	gauge(timersLag, b.MostTimersLag.Seconds())
}

func (c *backlog) get() (Backlog, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if !c.read.IsZero() && now.Sub(c.read) < fresh {
		return c.last, nil
	}
	// Prometheus' collectors are given no context.
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout) //nolint:forbidigo // there is no caller's
	defer cancel()
	b, err := ReadBacklog(ctx, c.db, now)
	if err == nil {
		c.read, c.last = now, b
	}
	return b, err
}
