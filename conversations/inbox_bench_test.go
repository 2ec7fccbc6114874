package conversations_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/tenants"
)

// manySQL makes an agency's conversations: $3 in each of its workspaces, of
// which half are resolved, and of the open ones a tenth waits, a tenth is a
// member's.
const manySQL = `
with w as (select agency_id, workspace_id from workspaces where agency_id = $1), k as (
  insert into contacts (agency_id, workspace_id, id, created_at, updated_at) select agency_id, workspace_id, gen_random_uuid(), now(), now() from w
  returning agency_id, workspace_id, id
), c as (
  insert into conversations (agency_id, workspace_id, id, contact_id, channel, status, owner, member_id, waiting_since, active_at, last_seq,
    last_public_seq, last_visitor_seq, created_at, updated_at)
  select agency_id, workspace_id, gen_random_uuid(), id, 'api', case when n % 2 = 0 then 'open' else 'resolved' end,
    case n % 20 when 0 then 'team' when 2 then 'member' else 'assistant' end, case n % 20 when 2 then $2::uuid end,
    now() - random() * interval '9 days', now() - random() * interval '30 days', 1, 1, 1, now(), now()
  from k, generate_series(1, $3) n
  returning agency_id, workspace_id, id
)
insert into messages (agency_id, workspace_id, id, conversation_id, seq, author, text, created_at, updated_at)
select agency_id, workspace_id, gen_random_uuid(), id, 1, 'visitor', 'Hello, where is my order?', now(), now() from c`

// A page of the inbox of an agency with 100,000 open conversations in 100
// workspaces, and as many that are resolved.
func BenchmarkInbox(b *testing.B) {
	c, _ := setup(b, 0, 0)
	w := postgrestest.Tenant(b)
	numbers := []int64{w.ID}
	for i := range 99 {
		numbers = append(numbers, postgrestest.MoreWorkspace(b, w.AgencyID, "w"+strconv.Itoa(i)).ID)
	}
	member := ids.New(time.Now())
	owner := postgrestest.Owner(b)
	if _, err := owner.Exec(b.Context(), manySQL, w.AgencyID, member, 2000); err != nil {
		b.Fatal(err)
	}
	if _, err := owner.Exec(b.Context(), "vacuum analyze conversations, messages, contacts"); err != nil {
		b.Fatal(err)
	}
	agency := tenants.Scope{AgencyID: w.AgencyID}
	for _, v := range []struct {
		name  string
		scope tenants.Scope
		f     conversations.InboxFilter
	}{
		{"all", agency, conversations.InboxFilter{View: conversations.All}},
		{"waiting", agency, conversations.InboxFilter{View: conversations.Waiting}},
		{"unassigned", agency, conversations.InboxFilter{View: conversations.Unassigned}},
		{"mine", agency, conversations.InboxFilter{View: conversations.Mine, MemberID: member}},
		{"resolved", agency, conversations.InboxFilter{View: conversations.ResolvedV}},
		{"37-workspaces", agency, conversations.InboxFilter{View: conversations.All, Workspaces: numbers[:37]}},
		{"one-workspace", tenants.Of(w), conversations.InboxFilter{View: conversations.All}},
	} {
		b.Run(v.name, func(b *testing.B) {
			v.f.Limit = 50
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				page, more, err := c.Inbox(b.Context(), v.scope, v.f)
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
				v.f.After = conversations.Place{}
				if more { // walk through it
					v.f.After = page[len(page)-1].Place
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Counts(b.Context(), agency, member, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
