package handoff_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/timers"
	"github.com/relaydesk/relaydesk/tenants"
)

func TestAPromiseThatIsAboutToBreakIsToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me := b.member("Me")
	id := b.in("waiting", me).Conversation.ID
	e := b.get(id).EscalationID
	due := b.timer(timers.Overdue, e)
	if due.IsZero() || !due.After(b.clock.Now()) {
		t.Fatalf("due at %s", due)
	}
	overdue := func() bool {
		b.Helper()
		b.must(b.h.Overdue(t.Context(), b.w, e))
		got, err := b.h.Get(t.Context(), tenants.Of(b.w), e)
		b.must(err)
		return got.OverdueAt != nil
	}
	if overdue() {
		t.Error("told too early")
	}
	_, err := b.h.Accept(t.Context(), b.w, id, me, nil)
	b.must(err)
	b.clock.Set(due)
	for range 2 { // two nodes, one after the other
		if !overdue() {
			t.Error("not told, although the member who accepted said nothing")
		}
	}
	if n := b.events(id, "escalation.overdue"); n != 1 {
		t.Errorf("told %d times", n)
	}
	b.reply(id, me, "Sorry.")
	if overdue() || !b.timer(timers.Overdue, e).IsZero() {
		t.Error("overdue although a member has replied")
	}
	// The next message of the visitor waits under the same promise.
	b.post(id, "Thanks, and?")
	first := b.timer(timers.Overdue, e)
	if first.IsZero() {
		t.Fatal("nobody watches")
	}
	b.clock.Set(first)
	if overdue() {
		t.Error("told too early")
	}
	b.clock.Set(b.timer(timers.Overdue, e))
	if !overdue() || b.events(id, "escalation.overdue") != 2 {
		t.Error("not told")
	}
	b.invariants(id)
}

func (b *bench) timer(kind timers.Kind, object ids.ID) (due time.Time) {
	b.Helper()
	b.must(b.db.InWorkspace(b.Context(), b.w, func(tx pgx.Tx) error {
		return tx.QueryRow(b.Context(), "select coalesce(max(due_at), '0001-01-01') from timers where workspace_id = $1 and kind = $2 and object_id = $3",
			b.w.ID, kind, object).Scan(&due)
	}))
	if due.Year() == 1 {
		return time.Time{}
	}
	return due
}

func (b *bench) events(conversation ids.ID, kind string) (n int) {
	b.Helper()
	b.must(b.db.InWorkspace(b.Context(), b.w, func(tx pgx.Tx) error {
		return tx.QueryRow(b.Context(), "select count(*) from events where workspace_id = $1 and conversation_id = $2 and type = $3",
			b.w.ID, conversation, kind).Scan(&n)
	}))
	return n
}

func TestThePacketIsFrozenWithAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name, email := "Ada", "ada@example.test"
	in := conversations.Start{
		Contact:  conversations.ContactInput{ExternalID: "u-1", Name: &name, Email: &email},
		Metadata: map[string]string{"page_url": "https://example.test/pricing"},
		Message:  conversations.Post{Text: "How do I reset the device?"},
	}
	earlier, err := b.conv.Start(t.Context(), b.w, in, nil)
	b.must(err)
	b.clock.Advance(time.Minute)
	c, err := b.conv.Start(t.Context(), b.w, in, nil)
	b.must(err)
	if c.Contact.ID != earlier.Contact.ID {
		t.Fatal("an external id that a key vouches for did not join")
	}
	b.answer(*c.Turn, "Hold the button.")
	post := b.post(c.Conversation.ID, "That does not work, give me a person")
	out := b.settle(called(b.claim(*post.Turn), triggers.VisitorAsked))
	p, err := b.h.Packet(t.Context(), tenants.Of(b.w), out.Escalation.ID)
	b.must(err)
	if len(p.Thread) != 3 || len(p.Citations) != 1 || p.Citations[0].Passage != "passage" || p.Contact.Name != "Ada" || len(p.Earlier) != 1 ||
		p.PageURL != "https://example.test/pricing" || p.Promise == nil || len(p.Escalation.Triggers) != 1 ||
		p.Escalation.Triggers[0].Evidence != "That does not work, give me a person" || len(p.Tried) != 1 || p.Summary == "" || p.Escalation.ID != out.Escalation.ID {
		t.Errorf("%+v", p)
	}
	if out.Escalation.Summary != p.Summary || out.Escalation.Promise.Text != p.Promise.Text {
		t.Errorf("%+v", out.Escalation)
	}
	all := b.messages(c.Conversation.ID)
	if notice := all[len(all)-1]; notice.Author != conversations.System || !strings.Contains(notice.Text, p.Promise.Text) {
		t.Errorf("%+v", notice)
	}
	other := "Eve"
	_, err = b.conv.PutContact(t.Context(), b.w, conversations.ContactInput{ExternalID: "u-1", Name: &other}, false, nil)
	b.must(err)
	if p, err := b.h.Packet(t.Context(), tenants.Of(b.w), out.Escalation.ID); err != nil || p.Contact.Name != "Ada" {
		t.Errorf("the packet changed: %+v, %v", p.Contact, err)
	}
}

// Without hours no time is named; with hours those; with measured reply times a
// moment that nine in ten of them would have kept.
func TestAPromiseNamesNoMoreThanIsKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me := b.member("Me")
	b.clock.Set(time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)) // a Wednesday
	promise := func() *handoff.Promise {
		b.Helper()
		id := b.start("Hello").Conversation.ID
		out, err := b.h.Escalate(t.Context(), b.w, id, handoff.Call{}, nil)
		b.must(err)
		return out.Escalation.Promise
	}
	if p := promise(); p.Basis != notices.BasisNone || p.ReplyBy != nil {
		t.Errorf("without hours: %+v", p)
	}
	week := []tenants.Span{}
	for day := time.Monday; day <= time.Friday; day++ {
		week = append(week, tenants.Span{Day: day, From: 8 * 60, To: 17 * 60})
	}
	_, err := tenantsOf(b).UpdateSettings(t.Context(), b.w, tenants.SettingsChange{SupportHours: &week}, nil)
	b.must(err)
	if p := promise(); p.Basis != notices.BasisSupportHours || p.ReplyBy != nil {
		t.Errorf("with hours: %+v", p)
	}
	b.clock.Set(time.Date(2026, 11, 27, 16, 50, 0, 0, time.UTC)) // a Friday, ten minutes before the end
	for range 10 {
		b.clock.Advance(time.Second)
		id := b.start("Hello").Conversation.ID
		_, err := b.h.Escalate(t.Context(), b.w, id, handoff.Call{}, nil)
		b.must(err)
		now := b.clock.Now()
		b.clock.Set(time.Date(2026, 11, 30, 8, 10, 0, 0, time.UTC)) // on Monday: twenty minutes of work later
		b.reply(id, me, "Good morning.")
		b.clock.Set(now)
	}
	b.clock.Set(time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC))
	p := promise()
	if p.ReplyBy == nil || !p.ReplyBy.Equal(time.Date(2026, 12, 1, 10, 20, 0, 0, time.UTC)) {
		t.Errorf("with reply times: %+v", p)
	}
}
