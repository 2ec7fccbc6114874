package handoff_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/internal/ids"
)

// How a conversation moves: what each verb makes of each state. The result is
// a state, or the code of a failure that leaves the state as it was.
func TestEachVerbMovesEachStateAsTheTableSays(t *testing.T) {
	t.Parallel()
	states := []string{"assistant", "waiting", "member", "snoozed assistant", "snoozed waiting", "snoozed member", "resolved", "resolved member"}
	type act func(b *bench, id, me, other ids.ID) error
	for _, row := range []struct {
		verb string
		do   act
		want []string
	}{
		{"the visitor writes", func(b *bench, id, _, _ ids.ID) error {
			_, err := b.conv.Post(b.Context(), b.w, id, conversations.Post{Text: "And now?"}, nil)
			return err
		}, []string{"assistant", "waiting", "member", "assistant", "waiting", "member", "assistant", "assistant"}},
		{"escalate", func(b *bench, id, _, _ ids.ID) error {
			_, err := b.h.Escalate(b.Context(), b.w, id, handoff.Call{ByVisitor: true}, nil)
			return err
		}, []string{"waiting", "waiting", "member", "waiting", "waiting", "member", "waiting", "waiting"}},
		{"accept by the owner", func(b *bench, id, me, _ ids.ID) error {
			_, err := b.h.Accept(b.Context(), b.w, id, me, nil)
			return err
		}, []string{"member", "member", "member", "member", "member", "member", "conversation_resolved", "conversation_resolved"}},
		{"accept by another", func(b *bench, id, _, other ids.ID) error {
			_, err := b.h.Accept(b.Context(), b.w, id, other, nil)
			return err
		}, []string{"member", "member", "already_accepted", "member", "member", "already_accepted", "conversation_resolved", "conversation_resolved"}},
		{"the owner replies", func(b *bench, id, me, _ ids.ID) error {
			_, err := b.h.Reply(b.Context(), b.w, id, handoff.Reply{MemberID: me, Text: "I am here."}, nil)
			return err
		}, []string{"member", "member", "member", "member", "member", "member", "member", "member"}},
		{"another replies", func(b *bench, id, _, other ids.ID) error {
			_, err := b.h.Reply(b.Context(), b.w, id, handoff.Reply{MemberID: other, Text: "I am here."}, nil)
			return err
		}, []string{"member", "member", "not_owner", "member", "member", "not_owner", "member", "member"}},
		{"another takes over", func(b *bench, id, _, other ids.ID) error {
			_, err := b.h.Reply(b.Context(), b.w, id, handoff.Reply{MemberID: other, Text: "I am here.", TakeOver: true}, nil)
			return err
		}, []string{"member", "member", "member", "member", "member", "member", "member", "member"}},
		{"a note", func(b *bench, id, _, other ids.ID) error {
			_, err := b.conv.Note(b.Context(), b.w, id, conversations.Note{MemberID: other, Text: "Look at the order."}, nil)
			return err
		}, []string{"assistant", "waiting", "member", "snoozed", "snoozed", "snoozed", "resolved", "resolved"}},
		{"release to the team", func(b *bench, id, me, _ ids.ID) error {
			_, err := b.h.Release(b.Context(), b.w, id, handoff.ToTeam, me, nil)
			return err
		}, []string{"not_owner", "not_owner", "waiting", "not_owner", "not_owner", "not_owner", "conversation_resolved", "conversation_resolved"}},
		{"release to the assistant", func(b *bench, id, me, _ ids.ID) error {
			_, err := b.h.Release(b.Context(), b.w, id, handoff.ToAssistant, me, nil)
			return err
		}, []string{"not_owner", "assistant", "assistant", "not_owner", "not_owner", "not_owner", "conversation_resolved", "conversation_resolved"}},
		{"another releases", func(b *bench, id, _, other ids.ID) error {
			_, err := b.h.Release(b.Context(), b.w, id, handoff.ToAssistant, other, nil)
			return err
		}, []string{"not_owner", "assistant", "not_owner", "not_owner", "not_owner", "not_owner", "conversation_resolved", "conversation_resolved"}},
		{"assign", func(b *bench, id, _, other ids.ID) error {
			_, err := b.conv.Assign(b.Context(), b.w, id, other, nil)
			return err
		}, []string{"assistant", "waiting", "member", "snoozed", "snoozed", "snoozed", "conversation_resolved", "conversation_resolved"}},
		{"snooze", func(b *bench, id, _, _ ids.ID) error {
			_, err := b.conv.Snooze(b.Context(), b.w, id, b.clock.Now().Add(time.Hour), nil)
			return err
		}, []string{"snoozed", "snoozed", "snoozed", "snoozed", "snoozed", "snoozed", "conversation_resolved", "conversation_resolved"}},
		{"wake in time", func(b *bench, id, _, _ ids.ID) error {
			b.clock.Advance(time.Hour)
			return b.conv.Wake(b.Context(), b.w, id)
		}, []string{"assistant", "waiting", "member", "assistant", "waiting", "member", "resolved", "resolved"}},
		{"wake too early", func(b *bench, id, _, _ ids.ID) error {
			return b.conv.Wake(b.Context(), b.w, id)
		}, []string{"assistant", "waiting", "member", "snoozed", "snoozed", "snoozed", "resolved", "resolved"}},
		{"resolve", func(b *bench, id, _, _ ids.ID) error {
			_, err := b.h.Resolve(b.Context(), b.w, id, nil)
			return err
		}, []string{"resolved", "resolved", "resolved", "resolved", "resolved", "resolved", "resolved", "resolved"}},
		{"reopen", func(b *bench, id, _, _ ids.ID) error {
			_, err := b.conv.Reopen(b.Context(), b.w, id, nil)
			return err
		}, []string{"assistant", "waiting", "member", "assistant", "waiting", "member", "assistant", "assistant"}},
	} {
		t.Run(row.verb, func(t *testing.T) {
			t.Parallel()
			for i, state := range states {
				b := setup(t)
				me, other := b.member("Me"), b.member("Other")
				id := b.in(state, me).Conversation.ID
				before := b.get(id)
				b.clock.Advance(time.Minute)
				err := row.do(b, id, me, other)
				after := b.get(id)
				got := code(err)
				if err == nil {
					got = after.State()
				} else if after.State() != before.State() || after.Version != before.Version {
					t.Errorf("%s of %s failed and changed it all the same", row.verb, state)
				}
				if got != row.want[i] {
					t.Errorf("%s of %s: %s, want %s", row.verb, state, got, row.want[i])
				}
				if changed := before.Owner != after.Owner || before.MemberID != after.MemberID; changed != (before.Epoch != after.Epoch) {
					t.Errorf("%s of %s: owner changed %t, epoch from %d to %d", row.verb, state, changed, before.Epoch, after.Epoch)
				}
				b.invariants(id)
			}
		})
	}
}

func TestWhoNeverWorkedHereCanNotAct(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stranger := setup(t).member("of another agency")
	id := b.in("waiting", ids.ID{}).Conversation.ID
	for name, err := range map[string]error{
		"accept": second(b.h.Accept(b.Context(), b.w, id, stranger, nil)),
		"reply":  second(b.h.Reply(b.Context(), b.w, id, handoff.Reply{MemberID: stranger, Text: "x"}, nil)),
		"assign": second(b.conv.Assign(b.Context(), b.w, id, stranger, nil)),
		"note":   second(b.conv.Note(b.Context(), b.w, id, conversations.Note{MemberID: stranger, Text: "x"}, nil)),
	} {
		if code(err) != "not_found" {
			t.Errorf("%s: %v", name, err)
		}
	}
	foreign := setup(t)
	for name, err := range map[string]error{
		"post":     second(foreign.conv.Post(t.Context(), foreign.w, id, conversations.Post{Text: "x"}, nil)),
		"escalate": second(foreign.h.Escalate(t.Context(), foreign.w, id, handoff.Call{}, nil)),
		"resolve":  second(foreign.h.Resolve(t.Context(), foreign.w, id, nil)),
		"snooze":   second(foreign.conv.Snooze(t.Context(), foreign.w, id, b.clock.Now().Add(time.Hour), nil)),
	} {
		if code(err) != "not_found" {
			t.Errorf("%s from another workspace: %v", name, err)
		}
	}
	if got := fmt.Sprint(b.get(id).State(), len(b.messages(id))); got != "waiting3" {
		t.Errorf("it became %s", got)
	}
}

func second[T any](_ T, err error) error { return err }
