package handoff_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/queue"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/tenants"
)

// bench is a workspace with its services and a clock of its own.
type bench struct {
	*testing.T
	db    *postgres.DB
	w     postgres.Workspace
	clock *clocktest.Fake
	conv  *conversations.Conversations
	h     *handoff.Handoff
	box   *secrets.Box
	key   ids.ID
	queue *queue.Queue
}

func setup(t *testing.T) *bench {
	t.Helper()
	q, err := queue.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	clock := clocktest.At(time.Now().Truncate(time.Second))
	b := &bench{T: t, db: postgrestest.New(t), w: postgrestest.Tenant(t), clock: clock, box: box, key: ids.New(time.Now()), queue: q}
	b.again()
	return b
}

// again makes the services anew, of what the bench holds now.
func (b *bench) again() {
	b.conv = conversations.New(b.db, b.clock, b.queue)
	b.h = handoff.New(b.db, b.conv)
}

func tenantsScope(b *bench) tenants.Scope { return tenants.Of(b.w) }

// member makes a member of the agency.
func (b *bench) member(name string) ids.ID {
	b.Helper()
	id := ids.New(time.Now())
	err := b.db.InAgency(b.Context(), b.w.AgencyID, func(tx pgx.Tx) error {
		_, err := tx.Exec(b.Context(), `insert into members (agency_id, id, name, email, role, status, created_at, updated_at)
			values ($1, $2, $3, $4, 'agent', 'active', now(), now())`, b.w.AgencyID, id, name, ids.Format(ids.Member, id)+"@example.test")
		return err
	})
	b.must(err)
	return id
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// receipt is that of a request with an Idempotency-Key.
func (b *bench) receipt(key, body string) *receipts.Receipt {
	return &receipts.Receipt{Workspace: b.w, Principal: b.key, Key: key, Fingerprint: sha256.Sum256([]byte(body)), Now: b.clock.Now(), Box: b.box}
}

func (b *bench) start(text string) conversations.Started {
	b.Helper()
	out, err := b.conv.Start(b.Context(), b.w, conversations.Start{Message: conversations.Post{Text: text}}, nil)
	b.must(err)
	return out
}

func (b *bench) post(id ids.ID, text string) conversations.Posted {
	b.Helper()
	b.clock.Advance(time.Second)
	out, err := b.conv.Post(b.Context(), b.w, id, conversations.Post{Text: text}, nil)
	b.must(err)
	return out
}

func (b *bench) get(id ids.ID) conversations.Conversation {
	b.Helper()
	out, err := b.conv.Get(b.Context(), tenants.Of(b.w), id)
	b.must(err)
	return out
}

func (b *bench) turn(id ids.ID) conversations.Turn {
	b.Helper()
	out, err := b.conv.GetTurn(b.Context(), b.w, id)
	b.must(err)
	return out
}

func (b *bench) messages(id ids.ID) []conversations.Message {
	b.Helper()
	out, more, err := b.conv.Messages(b.Context(), tenants.Of(b.w), id, conversations.MessageFilter{Limit: 1000})
	b.must(err)
	if more {
		b.Fatal("more than a thousand messages")
	}
	return out
}

// claim takes a pending turn as its job would.
func (b *bench) claim(turn conversations.Turn) conversations.Work {
	b.Helper()
	work, ok, err := b.conv.Claim(b.Context(), b.job(turn.ID))
	b.must(err)
	if !ok {
		b.Fatal("the turn could not be claimed")
	}
	return work
}

// job are the arguments of a turn's job, as it would be enqueued now.
func (b *bench) job(turn ids.ID) conversations.AnswerTurn {
	b.Helper()
	return conversations.AnswerTurn{AgencyID: b.w.AgencyID, WorkspaceID: b.w.ID, TurnID: turn, Lease: b.turn(turn).Lease}
}

func decided(work conversations.Work) handoff.Settlement {
	return handoff.Settlement{TurnID: work.Turn.ID, Lease: work.Lease, Epoch: work.Conversation.Epoch, Seq: work.Last()}
}

func answered(work conversations.Work, text string) handoff.Settlement {
	s := decided(work)
	s.Answer = &handoff.Answer{Text: text, Citations: []conversations.Citation{{URL: "https://example.test/a", Title: "A", Quote: "quote", Passage: "passage"}}}
	return s
}

func called(work conversations.Work, kind string) handoff.Settlement {
	s := decided(work)
	s.Triggers = []handoff.Trigger{{Kind: kind, Evidence: work.Messages[0].Text, Effect: triggers.EffectEscalate, Seq: work.Messages[0].Seq}}
	return s
}

func (b *bench) settle(s handoff.Settlement) handoff.Settled {
	b.Helper()
	out, err := b.h.Settle(b.Context(), b.w, s, nil)
	b.must(err)
	return out
}

// answer claims a turn and answers it.
func (b *bench) answer(turn conversations.Turn, text string) handoff.Settled {
	b.Helper()
	return b.settle(answered(b.claim(turn), text))
}

func (b *bench) reply(id, member ids.ID, text string) handoff.Replied {
	b.Helper()
	out, err := b.h.Reply(b.Context(), b.w, id, handoff.Reply{MemberID: member, Text: text}, nil)
	b.must(err)
	return out
}

// code is the API's code of a failure; empty: none.
func code(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return f.Code
	}
	return err.Error()
}

// in makes a conversation in a state; snoozed may name whose it was.
func (b *bench) in(state string, member ids.ID) conversations.Started {
	b.Helper()
	c := b.start("How do I reset the device?")
	id, ctx := c.Conversation.ID, b.Context()
	b.answer(*c.Turn, "Hold the button.")
	of, snoozed := strings.CutPrefix(state, "snoozed ")
	switch of {
	case "waiting":
		_, err := b.h.Escalate(ctx, b.w, id, handoff.Call{}, nil)
		b.must(err)
	case "member", "resolved member":
		_, err := b.h.Escalate(ctx, b.w, id, handoff.Call{}, nil)
		b.must(err)
		_, err = b.h.Accept(ctx, b.w, id, member, nil)
		b.must(err)
	}
	if snoozed {
		_, err := b.conv.Snooze(ctx, b.w, id, b.clock.Now().Add(time.Hour), nil)
		b.must(err)
	}
	if strings.HasPrefix(state, "resolved") {
		_, err := b.h.Resolve(ctx, b.w, id, nil)
		b.must(err)
	}
	b.invariants(id)
	return c
}

// invariants are true of every conversation at every moment.
func (b *bench) invariants(id ids.ID) {
	b.Helper()
	ctx := context.WithoutCancel(b.Context())
	var wrong []string
	err := b.db.InWorkspace(ctx, b.w, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, invariantsSQL, pgx.StrictNamedArgs{"w": b.w.ID, "id": id})
		if err != nil {
			return err
		}
		wrong, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	b.must(err)
	for _, w := range wrong {
		b.Errorf("%s", w)
	}
}

const invariantsSQL = `
with c as (select * from conversations where workspace_id = @w and id = @id)
select 'seq has gaps or last_seq is wrong' from c where (select coalesce(max(seq), 0) || '/' || count(*) from messages where workspace_id = @w and conversation_id = @id) <> last_seq || '/' || last_seq
union all select 'last_public_seq is wrong' from c where (select coalesce(max(seq), 0) from messages where workspace_id = @w and conversation_id = @id and visibility = 'public') <> last_public_seq
union all select 'the pending turn is another than the conversation names' from c where turn_id is distinct from (select id from turns where workspace_id = @w and conversation_id = @id and status = 'pending')
union all select 'the open escalation is another than the conversation names' from c where escalation_id is distinct from (select id from escalations where workspace_id = @w and conversation_id = @id and status in ('open', 'accepted', 'answered'))
union all select 'a turn is pending where nobody is to answer: ' || status || ' ' || owner from c where turn_id is not null and (status <> 'open' or owner = 'member')
union all select 'the team has it without an open escalation' from c where owner = 'team' and status <> 'resolved' and escalation_id is null
union all select 'it waits since no time' from c where owner = 'team' and status = 'open' and waiting_since is null
union all select 'a pending turn has no timer' from c where turn_id is not null and not exists (select from timers where workspace_id = @w and kind = 1 and object_id = c.turn_id)
union all select 'an ended turn has a timer' from turns t where workspace_id = @w and conversation_id = @id and status <> 'pending' and exists (select from timers where workspace_id = @w and kind = 1 and object_id = t.id)
union all select 'a snoozed one has no timer, or another has one' from c where (status = 'snoozed') <> exists (select from timers where workspace_id = @w and kind = 3 and object_id = @id)
union all select 'a visitor''s message ' || m.seq || ' points to no turn that holds it' from messages m left join turns t on t.workspace_id = @w and t.id = m.turn_id
  where m.workspace_id = @w and m.conversation_id = @id and m.author = 'visitor' and m.turn_id is not null and (t.id is null or m.seq not between t.first_seq and case t.status when 'pending' then (select last_visitor_seq from c) else t.last_seq end)
union all select 'the assistant said two things about one turn' from messages m where m.workspace_id = @w and m.conversation_id = @id and m.author = 'assistant' group by m.turn_id having count(*) > 1
union all select 'an answered turn has no answer of the assistant' from turns t where workspace_id = @w and conversation_id = @id and status = 'answered'
  and not exists (select from messages m where m.workspace_id = @w and m.id = t.message_id and m.author = 'assistant' and m.turn_id = t.id)
union all select 'a closed escalation has a timer' from escalations e where workspace_id = @w and conversation_id = @id and status in ('resolved', 'withdrawn') and exists (select from timers where workspace_id = @w and kind = 2 and object_id = e.id)
union all select 'an escalation has no packet' from escalations e where workspace_id = @w and conversation_id = @id and not exists (select from packets p where p.workspace_id = @w and p.id = e.id)
union all select 'messages without an event' from c where (select count(*) from events where workspace_id = @w and conversation_id = @id and type = 'message.created') <> last_seq
union all select 'escalations opened without an event' where (select count(*) from events where workspace_id = @w and conversation_id = @id and type = 'escalation.opened')
  <> (select count(*) from escalations where workspace_id = @w and conversation_id = @id)`

func tenantsOf(b *bench) *tenants.Tenants {
	return tenants.New(b.db, b.clock, slog.New(slog.DiscardHandler), tenants.Options{})
}
