package handoff_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/tenants"
)

// view reads a whole view, in pages of two.
func (b *bench) view(scope tenants.Scope, f conversations.InboxFilter) (all []handoff.Entry) {
	b.Helper()
	f.Limit = 2
	for {
		page, more, err := b.h.Inbox(b.Context(), scope, f)
		b.must(err)
		all = append(all, page...)
		if !more {
			return all
		}
		f.After = page[len(page)-1].Place
	}
}

func named(all []handoff.Entry, names map[ids.ID]string) []string {
	out := []string{}
	for _, e := range all {
		out = append(out, names[e.Conversation.ID])
	}
	return out
}

func TestEachViewOfTheInboxShowsItsConversationsInItsOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me, other := b.member("Me"), b.member("Other")
	names := map[ids.ID]string{}
	add := func(name, state string, who ids.ID) ids.ID {
		b.Helper()
		b.clock.Advance(time.Minute)
		id := b.in(state, who).Conversation.ID
		names[id] = name
		return id
	}
	add("a1", "assistant", me)
	w1, w2 := add("w1", "waiting", me), add("w2", "waiting", me)
	m1 := add("m1", "member", me)
	add("m2", "member", other)
	add("s1", "snoozed waiting", me)
	add("r1", "resolved", me)
	w3 := add("w3", "waiting", me)
	_, err := b.conv.Assign(t.Context(), b.w, w2, me, nil)
	b.must(err)
	b.clock.Advance(time.Minute)
	b.post(m1, "Still there?") // moves it to the top
	elsewhere := postgrestest.MoreWorkspace(t, b.w.AgencyID, "elsewhere")
	in := b.w
	b.w = elsewhere
	add("e1", "waiting", me)
	b.w = in
	stranger := setup(t)
	stranger.in("waiting", ids.ID{})

	one, agency := tenants.Of(in), tenants.Scope{AgencyID: in.AgencyID}
	for _, c := range []struct {
		scope tenants.Scope
		f     conversations.InboxFilter
		want  []string
	}{
		{one, conversations.InboxFilter{View: conversations.Waiting}, []string{"w1", "w2", "w3"}},
		{one, conversations.InboxFilter{View: conversations.Unassigned}, []string{"w1", "w3"}},
		{one, conversations.InboxFilter{View: conversations.Mine, MemberID: me}, []string{"m1", "w2"}},
		{one, conversations.InboxFilter{View: conversations.Mine, MemberID: other}, []string{"m2"}},
		{one, conversations.InboxFilter{View: conversations.All}, []string{"m1", "w3", "m2", "w2", "w1", "a1"}},
		{one, conversations.InboxFilter{View: conversations.SnoozedV}, []string{"s1"}},
		{one, conversations.InboxFilter{View: conversations.ResolvedV}, []string{"r1"}},
		{agency, conversations.InboxFilter{View: conversations.Waiting}, []string{"w1", "w2", "w3", "e1"}},
		{agency, conversations.InboxFilter{View: conversations.All}, []string{"e1", "m1", "w3", "m2", "w2", "w1", "a1"}},
		{agency, conversations.InboxFilter{View: conversations.Waiting, Workspaces: []int64{elsewhere.ID}}, []string{"e1"}},
		{agency, conversations.InboxFilter{View: conversations.Waiting, Workspaces: []int64{in.ID, elsewhere.ID}}, []string{"w1", "w2", "w3", "e1"}},
		{agency, conversations.InboxFilter{View: conversations.Mine, MemberID: me}, []string{"m1", "w2"}},
	} {
		if got := named(b.view(c.scope, c.f), names); !slices.Equal(got, c.want) {
			t.Errorf("%s of %+v: %q, want %q", c.f.View, c.scope, got, c.want)
		}
		counts, err := b.conv.Counts(t.Context(), c.scope, c.f.MemberID, c.f.Workspaces)
		if err != nil || counts[c.f.View] != len(c.want) {
			t.Errorf("%s of %+v: counted %d, %v", c.f.View, c.scope, counts[c.f.View], err)
		}
	}
	first := b.view(one, conversations.InboxFilter{View: conversations.Waiting})[0]
	if first.Conversation.ID != w1 || first.Contact.ID != first.Conversation.ContactID || first.LastMessage == nil ||
		first.LastMessage.Author != conversations.System || first.Escalation == nil || first.Escalation.Promise == nil || !first.Conversation.Unread {
		t.Errorf("%+v", first)
	}
	_ = w3
	if _, _, err := b.h.Inbox(t.Context(), one, conversations.InboxFilter{View: "nonsense", Limit: 1}); code(err) != "validation_failed" {
		t.Error(err)
	}
}

func TestListsAreNewestFirstAndFiltered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made []ids.ID
	for range 5 {
		b.clock.Advance(time.Second)
		made = append(made, b.start("x").Conversation.ID)
	}
	_, err := b.h.Resolve(t.Context(), b.w, made[1], nil)
	b.must(err)
	list := func(scope tenants.Scope, f conversations.ListFilter) (out []ids.ID) {
		b.Helper()
		f.Limit = 2
		for {
			page, more, err := b.conv.List(t.Context(), scope, f)
			b.must(err)
			for _, c := range page {
				out = append(out, c.ID)
			}
			if !more {
				return out
			}
			f.After = page[len(page)-1].ID
		}
	}
	back := slices.Clone(made)
	slices.Reverse(back)
	for _, scope := range []tenants.Scope{tenants.Of(b.w), {AgencyID: b.w.AgencyID}} {
		if got := list(scope, conversations.ListFilter{}); !slices.Equal(got, back) {
			t.Errorf("%v", got)
		}
		if got := list(scope, conversations.ListFilter{Status: "resolved"}); !slices.Equal(got, made[1:2]) {
			t.Errorf("%v", got)
		}
	}
	id := made[0]
	for i := range 4 {
		b.post(id, strconv.Itoa(i))
	}
	seqs := func(f conversations.MessageFilter) (out []int64) {
		b.Helper()
		f.Limit = 3
		page, _, err := b.conv.Messages(t.Context(), tenants.Scope{AgencyID: b.w.AgencyID}, id, f)
		b.must(err)
		for _, m := range page {
			out = append(out, m.Seq)
		}
		return out
	}
	for want, f := range map[string]conversations.MessageFilter{
		"[1 2 3]": {}, "[3 4 5]": {AfterSeq: 2}, "[5 4 3]": {Newest: true}, "[3 2 1]": {Newest: true, BeforeSeq: 4}, "[2 3]": {AfterSeq: 1, BeforeSeq: 4},
	} {
		if got := fmt.Sprint(seqs(f)); got != want {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
}
