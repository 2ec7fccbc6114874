package conversations_test

import (
	"crypto/sha256"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

type place struct {
	w  postgres.Workspace
	id ids.ID
}

func setup(tb testing.TB, workspaces, each int) (*conversations.Conversations, []place) {
	tb.Helper()
	q, err := queue.New(slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	c := conversations.New(postgrestest.New(tb), clock.System(), q)
	var all []place
	for i := range workspaces {
		w := postgrestest.Tenant(tb)
		_ = i
		for range each {
			out, err := c.Start(tb.Context(), w, conversations.Start{Message: conversations.Post{Text: "Hello"}}, nil)
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, place{w, out.Conversation.ID})
		}
	}
	return c, all
}

// cpu measures what work costs in processor time, of this process and of its
// Postgres: unlike the time that passes it hardly depends on what else the
// machine does.
type cpu struct {
	postmaster string
	own, other float64
}

func (c *cpu) read(b *testing.B) (own, server float64) {
	b.Helper()
	ticks := func(pid string) (parent string, seconds float64) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return "", 0
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		return fields[1], (user + system) / 100
	}
	if c.postmaster == "" {
		var pid int
		if err := postgrestest.Owner(b).QueryRow(b.Context(), "select pg_backend_pid()").Scan(&pid); err != nil {
			b.Fatal(err)
		}
		c.postmaster, _ = ticks(strconv.Itoa(pid))
	}
	_, own = ticks(strconv.Itoa(os.Getpid()))
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Skip("the processor time can't be read here")
	}
	for _, e := range entries {
		if parent, seconds := ticks(e.Name()); parent == c.postmaster {
			server += seconds
		}
	}
	return own, server
}

func (c *cpu) begin(b *testing.B) { c.own, c.other = c.read(b) }

func (c *cpu) report(b *testing.B) {
	own, other := c.read(b)
	b.ReportMetric((own-c.own)*1e6/float64(b.N), "cpu-go-us/op")
	b.ReportMetric((other-c.other)*1e6/float64(b.N), "cpu-pg-us/op")
}

const text = "Hello, I ordered a lamp two weeks ago and it has not arrived yet. Could you tell me where it is, and whether I can still change the address?"

func BenchmarkPost(b *testing.B) {
	c, places := setup(b, 100, 10)
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		b.Fatal(err)
	}
	key := ids.New(time.Now())
	var n atomic.Int64
	for _, with := range []bool{true, false} {
		b.Run("key="+strconv.FormatBool(with), func(b *testing.B) {
			var used cpu
			used.begin(b)
			b.SetParallelism(16)
			defer used.report(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p := places[rand.IntN(len(places))]
					var r *receipts.Receipt
					if with {
						r = &receipts.Receipt{
							Workspace: p.w, Principal: key, Key: "k" + strconv.FormatInt(n.Add(1), 10), Fingerprint: sha256.Sum256([]byte(text)), Now: time.Now(), Box: box,
						}
					}
					if _, err := c.Post(b.Context(), p.w, p.id, conversations.Post{Text: text}, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// Each message opens a turn and enqueues its job: the full price.
func BenchmarkPostOpens(b *testing.B) {
	c, places := setup(b, 100, 1)
	owner := postgrestest.Owner(b)
	var all []place
	for _, p := range places {
		rows, err := owner.Query(b.Context(), `insert into conversations (agency_id, workspace_id, id, contact_id, channel, active_at, created_at, updated_at)
			select agency_id, workspace_id, gen_random_uuid(), contact_id, 'api', now(), now(), now() from conversations, generate_series(1, 300) where workspace_id = $1
			returning id`, p.w.ID)
		if err != nil {
			b.Fatal(err)
		}
		made, err := pgx.CollectRows(rows, pgx.RowTo[ids.ID])
		if err != nil {
			b.Fatal(err)
		}
		for _, id := range made {
			all = append(all, place{p.w, id})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if _, err := owner.Exec(b.Context(), "vacuum analyze conversations"); err != nil {
		b.Fatal(err)
	}
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	var used cpu
	used.begin(b)
	defer used.report(b)
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			p := all[i%len(all)]
			r := &receipts.Receipt{
				Workspace: p.w, Principal: p.id, Key: "o" + strconv.Itoa(i), Fingerprint: sha256.Sum256([]byte(text)), Now: time.Now(), Box: box,
			}
			if _, err := c.Post(b.Context(), p.w, p.id, conversations.Post{Text: text}, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What a handler would do that only stores: row lock, message, event and job in
// one statement, without tenancy, turns, receipts or walls.
const bareSQL = `
with c as (
  update bare_conversation set last_seq = last_seq + 1, updated_at = now() where workspace_id = $1 and id = $2 returning last_seq
), m as (
  insert into bare_message (workspace_id, id, conversation_id, seq, body) select $1, $3, $2, last_seq, $4 from c returning seq
), e as (
  insert into bare_event (workspace_id, type, message_id) select $1, 'message.created', $3 from c
)
insert into river.river_job (args, kind, max_attempts, queue, state, priority, scheduled_at)
select jsonb_build_object('id', $3::uuid), 'bare', 5, 'bare', 'available', 1, now() from m`

func BenchmarkBare(b *testing.B) {
	owner := postgrestest.Owner(b)
	_, err := owner.Exec(b.Context(), `
		create table if not exists bare_conversation (workspace_id bigint, id uuid, last_seq bigint not null default 0, updated_at timestamptz not null default now(), primary key (workspace_id, id));
		create table if not exists bare_message (workspace_id bigint, id uuid, conversation_id uuid, seq bigint, body text, created_at timestamptz not null default now(), primary key (workspace_id, id), unique (workspace_id, conversation_id, seq));
		create table if not exists bare_event (id bigserial primary key, workspace_id bigint, type text, message_id uuid, created_at timestamptz not null default now());
		grant all on bare_conversation, bare_message, bare_event to relaydesk_system; grant all on all sequences in schema public to relaydesk_system`)
	if err != nil {
		b.Fatal(err)
	}
	var places []ids.ID
	for range 1000 {
		id := ids.New(time.Now())
		if _, err := owner.Exec(b.Context(), "insert into bare_conversation (workspace_id, id) values (1, $1)", id); err != nil {
			b.Fatal(err)
		}
		places = append(places, id)
	}
	config, err := pgxpool.ParseConfig(owner.Config().ConnString())
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = 20
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	var used cpu
	used.begin(b)
	defer used.report(b)
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := pool.Exec(b.Context(), bareSQL, 1, places[rand.IntN(len(places))], ids.New(time.Now()), text)
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
