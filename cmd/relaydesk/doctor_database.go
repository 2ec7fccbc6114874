package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/internal/telemetry"
	"github.com/relaydesk/relaydesk/webhooks"
)

const oldestPostgres = 150_000

// ask runs one query as the server's login, in no role.
func (d *doctor) ask(ctx context.Context, sql string, to ...any) error {
	conn, err := pgx.Connect(ctx, d.cfg.Direct().Reveal())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.QueryRow(ctx, sql).Scan(to...)
}

func (d *doctor) connect(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	began := time.Now()
	var number int
	var version string
	const sql = "select current_setting('server_version_num')::int, current_setting('server_version')"
	err := d.ask(ctx, sql, &number, &version)
	took := time.Since(began)
	if err == nil {
		d.db, err = postgres.Open(context.WithoutCancel(ctx), d.cfg.DatabaseURL.Reveal(), 2, postgres.Direct(d.cfg.DatabaseDirectURL.Reveal()))
	}
	switch {
	case err != nil:
		d.say("database", fail, "Is Postgres running, and do host, port, name, user and password of RELAYDESK_DATABASE_URL fit?", "not reachable: %v", err)
		return false
	case number < oldestPostgres:
		d.say("database", fail, "Use Postgres 15 or later.", "Postgres %s is too old", version)
	case took > time.Second:
		d.say("database", warn, "Keep the database near the servers: each message waits for it.", "Postgres %s; connecting took %d ms", version, took.Milliseconds())
	default:
		d.say("database", good, "", "Postgres %s, connected in %d ms", version, took.Milliseconds())
	}
	return true
}

const remake = "Run: relaydesk migrate --login NAME as the database's owner, and use that login."

// login looks whether the server's login can do what it must and nothing else.
func (d *doctor) login(ctx context.Context) {
	const sql = `
select r.rolsuper, r.rolbypassrls, r.rolinherit,
  (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relowner = r.oid and c.relkind in ('r', 'p') and n.nspname in ('public', 'river')),
  (select coalesce(string_agg(wanted, ', '), '') from unnest(array['relaydesk_workspace', 'relaydesk_agency', 'relaydesk_system']) wanted
    where not exists (select from pg_roles p where p.rolname = wanted) or not coalesce(pg_has_role(r.oid, (select oid from pg_roles p where p.rolname = wanted), 'member'), false))
from pg_roles r where r.rolname = current_user`
	var super, bypass, inherit bool
	var owned int
	var missing string
	err := d.ask(ctx, sql, &super, &bypass, &inherit, &owned, &missing)
	switch {
	case err != nil:
		d.say("login", fail, remake, "can't be looked at: %v", err)
	case missing != "":
		d.say("login", fail, remake, "it may not become %s", missing)
	case super || bypass:
		d.say("login", fail, remake, "it can step around the walls between tenants (superuser or bypassrls)")
	case owned > 0:
		d.say("login", fail, remake, "it owns %d tables, so it could change the walls between tenants", owned)
	case inherit:
		d.say("login", warn, remake, "it inherits the rights of its roles; it should have to take one on")
	default:
		d.say("login", good, "", "owns nothing, may become the three roles and nothing else")
	}
}

// walls looks whether every table of tenants has its policies in force.
func (d *doctor) walls(ctx context.Context) {
	const sql = `
select count(*), coalesce(string_agg(c.relname, ', ') filter (where not (c.relrowsecurity and c.relforcerowsecurity)), '')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p')
  and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname in ('agency_id', 'workspace_id') and not a.attisdropped)`
	var tables int
	var open string
	switch err := d.ask(ctx, sql, &tables, &open); {
	case err != nil:
		d.say("walls", fail, "", "can't be looked at: %v", err)
	case open != "":
		d.say("walls", fail, "Somebody changed the schema by hand: alter table … enable row level security, force row level security.", "row level security is not in force on %s", open)
	default:
		d.say("walls", good, "", "row level security is in force on all %d tables of tenants", tables)
	}
}

func (d *doctor) vector(ctx context.Context) {
	const sql = "select coalesce((select extversion from pg_extension where extname = 'vector'), ''), to_regtype('halfvec') is not null"
	var version string
	var half bool
	const advice = "Install pgvector 0.7 or later on the database's machine, then run relaydesk migrate."
	switch err := d.ask(ctx, sql, &version, &half); {
	case err != nil:
		d.say("pgvector", fail, advice, "can't be looked at: %v", err)
	case version == "":
		d.say("pgvector", fail, advice, "the extension vector is not in this database")
	case !half:
		d.say("pgvector", fail, advice, "version %s has no halfvec", version)
	default:
		d.say("pgvector", good, "", "version %s", version)
	}
}

func (d *doctor) schema(ctx context.Context) {
	all, err := postgres.Status(ctx, d.cfg.Direct().Reveal())
	if err != nil {
		d.say("schema", fail, "Run: relaydesk migrate", "%v", err)
		return
	}
	states := map[string][]string{}
	for _, m := range all {
		states[m.State] = append(states[m.State], m.Name)
	}
	switch {
	case len(states[postgres.Unknown]) > 0:
		d.say("schema", fail, "Run the newer version of Relaydesk that migrated it.", "this version does not know %s", strings.Join(states[postgres.Unknown], ", "))
	case len(states[postgres.Changed]) > 0:
		d.say("schema", fail, "Run a released version of Relaydesk.", "%s is not what was applied here", strings.Join(states[postgres.Changed], ", "))
	case len(states[postgres.Pending]) > 0:
		d.say("schema", fail, "Run: relaydesk migrate", "lacks %s", strings.Join(states[postgres.Pending], ", "))
	case postgres.CheckSchema(ctx, d.cfg.Direct().Reveal()) != nil:
		d.say("schema", fail, "The server does not start otherwise.", "%v", postgres.CheckSchema(ctx, d.cfg.Direct().Reveal()))
	default:
		d.say("schema", good, "", "all %d steps are applied", len(all))
	}
}

// skew compares clocks: deadlines, tokens and limits are reckoned by the
// nodes', and read by others.
func (d *doctor) skew(ctx context.Context) {
	var apart time.Duration
	err := d.db.InSystem(ctx, func(tx pgx.Tx) error {
		var there time.Time
		before := time.Now()
		if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&there); err != nil {
			return err
		}
		apart = there.Sub(before.Add(time.Since(before) / 2)).Abs().Round(time.Millisecond)
		return nil
	})
	const advice = "Let this machine and the database's keep their clocks by NTP."
	switch {
	case err != nil:
		d.say("clock", fail, advice, "can't be compared: %v", err)
	case apart > 30*time.Second:
		d.say("clock", fail, advice, "%v apart from the database's", apart)
	case apart > 2*time.Second:
		d.say("clock", warn, advice, "%v apart from the database's", apart)
	default:
		d.say("clock", good, "", "%v apart from the database's", apart)
	}
}

// key looks whether the encryption key opens what was sealed here before: a
// wrong one shows itself only when the first webhook is to be signed.
func (d *doctor) key(ctx context.Context) {
	const check = "encryption key"
	if !d.cfg.EncryptionKey.IsSet() {
		return // the configuration's check has said so
	}
	box, err := secrets.NewBox(d.cfg.EncryptionKey.Reveal())
	if err == nil {
		var plain []byte
		if plain, err = box.Open("doctor", box.Seal("doctor", []byte("canary"))); err == nil && string(plain) != "canary" {
			err = secrets.ErrSealed
		}
	}
	if err != nil {
		d.say(check, fail, "Make one with: openssl rand -base64 32", "it does not work: %v", err)
		return
	}
	found, err := webhooks.OpensSealed(ctx, d.db, box)
	switch {
	case err != nil && found:
		d.say(check, fail, "Use the key that this installation was begun with: RELAYDESK_ENCRYPTION_KEY must be the same on all servers.", "it does not open what was sealed here before")
	case err != nil:
		d.say(check, fail, "Run: relaydesk migrate", "%v", err)
	case !found:
		d.say(check, good, "", "it seals and opens; nothing has been sealed here yet that it could be tried on")
	default:
		d.say(check, good, "", "it opens what was sealed here before")
	}
}

// backlog looks whether what is to be done is being done.
func (d *doctor) backlog(ctx context.Context) {
	b, err := telemetry.ReadBacklog(ctx, d.db, time.Now())
	if err != nil {
		d.say("queue", fail, "Run: relaydesk migrate", "%v", err)
		return
	}
	const idle = "Does a node with workers run (relaydesk serve without --no-workers, or relaydesk worker)? Its log says what fails."
	late := func(check string, lag, warnAt, failAt time.Duration, rest string) {
		result := good
		switch {
		case lag >= failAt:
			result = fail
		case lag >= warnAt:
			result = warn
		}
		d.say(check, result, idle, "the oldest has waited for %v%s", lag.Round(time.Second), rest)
	}
	waiting := int64(0)
	for _, q := range b.Jobs {
		if q.State == "available" {
			waiting += q.Jobs
		}
	}
	late("queue", b.OldestJob, time.Minute, 10*time.Minute, fmt.Sprintf("; %d jobs wait", waiting))
	late("relay", b.RelayLag, 5*time.Second, 5*time.Minute, fmt.Sprintf("; %d events have no place in the log yet", b.RelayWaiting))
	late("timers", b.MostTimersLag, 10*time.Second, 5*time.Minute, fmt.Sprintf("; %d turns are past their deadline", b.TurnsOverdue))
	result := good
	if b.DeliveriesDue > 1000 {
		result = warn
	}
	d.say("webhooks", result, idle, "%d deliveries have not succeeded yet, %d of them are due now", b.Undelivered, b.DeliveriesDue)
}
