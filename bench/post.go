package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/relaydesk/relaydesk/bench/internal/cost"
	"github.com/relaydesk/relaydesk/bench/internal/load"
	"github.com/relaydesk/relaydesk/bench/internal/wire"
	"github.com/relaydesk/relaydesk/bench/internal/words"
	"github.com/relaydesk/relaydesk/docs"
	"github.com/relaydesk/relaydesk/internal/ids"
)

const (
	postAgencies   = 20
	postWorkspaces = 1000
	postThreads    = 60 // of a workspace
	postPeople     = 10
)

// posting is the bench of a visitor's message. Each message goes to a
// conversation that has no pending turn, so each opens a turn and enqueues its
// job: the full price. Nobody works the jobs (`serve --no-workers`).
type posting struct {
	*world
	db       *database
	tenants  []tenant
	threads  []ids.ID
	owners   []int // of each thread, as an index of tenants
	bodies   []string
	next     atomic.Int64
	contests []*contestant
}

// contestant is one server that posts are sent to.
type contestant struct {
	name   string
	server *server
	rounds []round
}

// round is what one contestant did in one round; what is per message, in
// microseconds and bytes.
type round struct {
	perSecond                float64
	p50, p95, p99            time.Duration
	server, postgres, client float64
	wal                      float64
}

func benchPost(ctx context.Context, w *world) error {
	d, err := w.database(ctx)
	if err != nil {
		return err
	}
	defer d.drop(w)
	p := &posting{world: w, db: d}
	if err := p.fill(ctx); err != nil {
		return err
	}
	if err := p.open(ctx); err != nil {
		return err
	}
	defer func() {
		for _, c := range p.contests {
			c.server.stop()
		}
	}()
	// A first round fills caches, prepares statements and is forgotten.
	for n := range w.settings.rounds + 1 {
		order := slices.Clone(p.contests)
		if n%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			if err := p.renew(ctx); err != nil {
				return err
			}
			r, err := p.measure(ctx, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			w.say("  round %d, %s: %.0f/s, p50 %.1f ms, p99 %.1f ms", n, c.name, r.perSecond, ms(r.p50), ms(r.p99))
			if n > 0 {
				c.rounds = append(c.rounds, r)
			}
		}
	}
	p.figures()
	for _, c := range p.contests[1:] {
		c.server.stop()
		if err := p.trips(ctx, c); err != nil {
			return fmt.Errorf("count the round trips of %s: %w", c.name, err)
		}
	}
	return nil
}

// fill makes tenants and conversations, and the floor's tables.
func (p *posting) fill(ctx context.Context) (err error) {
	if p.tenants, err = p.db.addTenants(ctx, postAgencies, p.scaled(postWorkspaces)); err != nil {
		return err
	}
	if p.threads, p.owners, err = p.db.addConversations(ctx, p.tenants, postPeople, postThreads); err != nil {
		return err
	}
	if err := p.db.execute(ctx, floorTables, "vacuum analyze", "checkpoint"); err != nil {
		return err
	}
	writer := words.New(1, guideText())
	for range 256 {
		p.bodies = append(p.bodies, `{"author":{"type":"visitor"},"text":"`+writer.Text(38)+`"}`) // about 230 bytes
	}
	return nil
}

func guideText() string {
	var b strings.Builder
	for _, page := range docs.Pages() {
		b.WriteString(page.Markdown)
	}
	return b.String()
}

// open starts the contestants: the floor first, the product last.
func (p *posting) open(ctx context.Context) error {
	for _, name := range strings.Split(p.settings.contests, ",") {
		c := &contestant{name: name}
		server, err := p.launch(ctx, c, p.db.server)
		if err != nil {
			return err
		}
		c.server = server
		p.contests = append(p.contests, c)
	}
	return nil
}

func (p *posting) launch(ctx context.Context, c *contestant, database string) (*server, error) {
	if c.name == "relaydesk" {
		return p.serve(ctx, database, "--no-workers")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return p.start(ctx, self, []string{"-role=" + c.name}, database)
}

// request writes the next message.
func (p *posting) request(buffer []byte) []byte {
	n := p.next.Add(1) - 1
	i := int(n) % len(p.threads)
	return load.Request(buffer, http.MethodPost, "/v1/conversations/"+ids.Format(ids.Conversation, p.threads[i])+"/messages", p.bodies[n%int64(len(p.bodies))],
		"Authorization", "Bearer "+p.tenants[p.owners[i]].key, "Idempotency-Key", "bench-"+strconv.FormatInt(n, 10))
}

// renew ends all turns when the conversations without one may not last for
// another round.
func (p *posting) renew(ctx context.Context) error {
	if p.next.Load() < int64(len(p.threads))*6/10 {
		return nil
	}
	p.next.Store(0)
	return p.db.execute(ctx,
		"update turns set status = 'handled', leased_at = null where status = 'pending'",
		"update conversations set turn_id = null, active_at = now() where turn_id is not null",
		"truncate timers, receipts",
		"vacuum analyze conversations", "vacuum analyze turns", "checkpoint")
}

func (p *posting) measure(ctx context.Context, c *contestant) (round, error) {
	before, err := p.usage(ctx, p.db, c.server)
	if err != nil {
		return round{}, err
	}
	result, err := load.Run(ctx, c.server.address, p.settings.clients, p.settings.during, http.StatusCreated, p.request)
	if err != nil {
		return round{}, err
	}
	// What the relay still does belongs to these messages.
	for range 100 {
		var waiting int
		if err := p.db.admin.QueryRow(ctx, "select count(*) from event_inbox").Scan(&waiting); err != nil {
			return round{}, err
		}
		if waiting == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	after, err := p.usage(ctx, p.db, c.server)
	if err != nil {
		return round{}, err
	}
	n := float64(len(result.Times))
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / n }
	return round{
		result.PerSecond(), result.Times.Quantile(.5), result.Times.Quantile(.95), result.Times.Quantile(.99),
		each(after.server - before.server), each(after.postgres - before.postgres), each(after.client - before.client), (after.wal - before.wal) / n,
	}, nil
}

// usage is what was used until now.
type usage struct {
	server, postgres, client time.Duration
	wal                      float64
}

func (w *world) usage(ctx context.Context, d *database, s *server) (u usage, err error) {
	if err := d.admin.QueryRow(ctx, "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(&u.wal); err != nil {
		return u, fmt.Errorf("read the log's position: %w", err)
	}
	u.client = cost.Own()
	if w.postmaster != 0 { // there is a /proc
		if u.server, err = cost.CPU(s.process.Pid); err == nil {
			u.postgres, err = cost.CPU(w.postmaster)
		}
	}
	return u, err
}

// noteUsage adds what each of n requests used of processors, which a busy
// machine changes less than the time that they took.
func (w *world) noteUsage(ctx context.Context, d *database, s *server, before usage, each string, n int) error {
	after, err := w.usage(ctx, d, s)
	if err != nil || w.postmaster == 0 {
		return err
	}
	w.note("CPU of "+each+", server", ms(after.server-before.server)/float64(n), "ms")
	w.note("CPU of "+each+", Postgres", ms(after.postgres-before.postgres)/float64(n), "ms")
	return nil
}

func (p *posting) figures() {
	floor, product := p.contests[0], p.contests[len(p.contests)-1]
	p.atLeast("throughput, share of the floor's", ratio(product, floor, func(r round) float64 { return r.perSecond }), "×", .5)
	p.atMost("p99, times the floor's", ratio(product, floor, func(r round) float64 { return ms(r.p99) }), "×", 2)
	for _, c := range p.contests {
		p.note("messages, "+c.name, middle(c, func(r round) float64 { return r.perSecond }), "/s")
		p.note("p50, "+c.name, middle(c, func(r round) float64 { return ms(r.p50) }), "ms")
		p.note("p95, "+c.name, middle(c, func(r round) float64 { return ms(r.p95) }), "ms")
		p.note("p99, "+c.name, middle(c, func(r round) float64 { return ms(r.p99) }), "ms")
		p.note("WAL a message, "+c.name, middle(c, func(r round) float64 { return r.wal }), "bytes")
		if p.postmaster != 0 {
			p.note("CPU a message, "+c.name+", server", middle(c, func(r round) float64 { return r.server }), "µs")
			p.note("CPU a message, "+c.name+", Postgres", middle(c, func(r round) float64 { return r.postgres }), "µs")
			p.note("CPU a message, "+c.name+", clients", middle(c, func(r round) float64 { return r.client }), "µs")
		}
	}
	if p.postmaster != 0 {
		p.note("CPU of server and Postgres, times the floor's", ratio(product, floor, func(r round) float64 { return r.server + r.postgres }), "×")
	}
	p.note("WAL, times the floor's", ratio(product, floor, func(r round) float64 { return r.wal }), "×")
	for _, c := range p.contests {
		var each []string
		for _, r := range c.rounds {
			each = append(each, fmt.Sprintf("%.0f", r.perSecond))
		}
		p.remark("%s, messages a second in each round: %s", c.name, strings.Join(each, ", "))
	}
}

// ratio is the median over rounds of what one contestant did in terms of what
// the other did in the same round.
func ratio(of, to *contestant, get func(round) float64) float64 {
	var all []float64
	for i := range min(len(of.rounds), len(to.rounds)) {
		all = append(all, get(of.rounds[i])/get(to.rounds[i]))
	}
	return median(all)
}

func middle(c *contestant, get func(round) float64) float64 {
	all := make([]float64, len(c.rounds))
	for i, r := range c.rounds {
		all[i] = get(r)
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// trips starts the contestant once more, with a counter before Postgres, and
// sends messages one after another.
func (p *posting) trips(ctx context.Context, c *contestant) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	upstream, err := url.Parse(p.db.server)
	if err != nil {
		return err
	}
	counter, err := wire.Listen(ctx, net.JoinHostPort(upstream.Hostname(), upstream.Port()))
	if err != nil {
		return err
	}
	through := changed(p.db.server, "", counter.Address(), nil)
	s, err := p.launch(ctx, c, through)
	if err != nil {
		return err
	}
	defer s.stop()
	client, err := load.Dial(s.address)
	if err != nil {
		return err
	}
	defer client.Close()
	const warm, counted = 100, 200
	for n := range warm + counted {
		if n == warm {
			time.Sleep(100 * time.Millisecond) // the relay's
			counter.Take()
		}
		status, body, err := client.Do(p.request(nil))
		if err != nil || status != http.StatusCreated {
			return fmt.Errorf("the server answered %d: %.300s %w", status, body, err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	trips, others, shapes := 0, 0, map[string]int{}
	for _, t := range counter.Take() {
		if t.Role == "workspace" {
			trips += len(t.Trips)
			shapes[strings.Join(t.Trips, " | ")]++
		} else {
			others += len(t.Trips)
		}
	}
	p.note("round trips a message, "+c.name, float64(trips)/counted, "")
	p.note("round trips beside it (keys, relay), one client, "+c.name, float64(others)/counted, "")
	often := slices.SortedFunc(maps.Keys(shapes), func(a, b string) int { return shapes[b] - shapes[a] })
	for _, shape := range often[:min(len(often), 3)] {
		p.remark("%s, %.2f times a message in the workspace's scope: %s", c.name, float64(shapes[shape])/counted, shape)
	}
	return nil
}
