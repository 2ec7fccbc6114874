package handoff_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/handoff"
	"github.com/relaydesk/relaydesk/handoff/triggers"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
)

// dump is the text of all tables of the database, River's too.
func dump(t *testing.T, conn *pgx.Conn) []byte {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind = 'r' and n.nspname in ('public', 'river')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, table := range tables {
		if _, err := conn.PgConn().CopyTo(t.Context(), &out, "copy "+table+" to stdout"); err != nil {
			t.Fatalf("dump %s: %v", table, err)
		}
	}
	if len(tables) < 20 {
		t.Fatalf("only %d tables", len(tables))
	}
	return out.Bytes()
}

func TestAnErasedPersonsWordsAreNowhereInADumpOfTheDatabase(t *testing.T) {
	t.Parallel()
	db, _, owner := postgrestest.Alone(t)
	b := setup(t)
	b.db, b.w = db, postgrestest.TenantIn(t, db)
	b.clock = clocktest.At(time.Now())
	b.again()
	conn, err := pgx.Connect(t.Context(), owner)
	b.must(err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	me := b.member("Me")
	secret := func(what string) string { return "xyzzy" + what }
	ptr := func(s string) *string { return &s }
	in := conversations.Start{
		Contact: conversations.ContactInput{
			ExternalID: secret("external"), Name: ptr(secret("name")), Email: ptr(secret("mail")), Phone: ptr(secret("phone")), Language: ptr("de"),
			Attributes: map[string]*string{secret("attribute"): ptr(secret("value"))}, Metadata: &map[string]string{secret("m"): secret("n")},
		},
		Subject: secret("subject"), Metadata: map[string]string{"page_url": secret("page")},
		Message: conversations.Post{Text: secret("first"), ClientID: secret("client"), Metadata: map[string]string{"k": secret("metadata")}},
	}
	c, err := b.conv.Start(t.Context(), b.w, in, b.receipt("start", "1"))
	b.must(err)
	id := c.Conversation.ID
	_, err = b.conv.Update(t.Context(), b.w, id, conversations.Change{Tags: &[]string{secret("tag")}}, b.receipt("tag", "1"))
	b.must(err)
	work := b.claim(*c.Turn)
	s := answered(work, secret("answer"))
	s.Answer.Citations[0].Quote = secret("quote")
	b.settle(s)
	late := b.post(id, secret("second"))
	work = b.claim(*late.Turn)
	_, err = b.h.Escalate(t.Context(), b.w, id, handoff.Call{Reason: secret("reason")}, b.receipt("escalate", "1"))
	b.must(err)
	s = called(work, triggers.SensitiveTopic)
	s.Triggers[0].Evidence = secret("evidence")
	b.settle(s)
	_, err = b.h.Accept(t.Context(), b.w, id, me, b.receipt("accept", "1"))
	b.must(err)
	_, err = b.h.Reply(t.Context(), b.w, id, handoff.Reply{MemberID: me, Text: secret("reply")}, b.receipt("reply", "1"))
	b.must(err)
	_, err = b.conv.Note(t.Context(), b.w, id, conversations.Note{MemberID: me, Text: secret("note")}, b.receipt("note", "1"))
	b.must(err)
	_, err = b.h.Release(t.Context(), b.w, id, handoff.ToTeam, me, nil)
	b.must(err)
	another, err := b.conv.Start(t.Context(), b.w, conversations.Start{ContactID: c.Contact.ID, Message: conversations.Post{Text: secret("third")}}, nil)
	b.must(err)
	work = b.claim(*another.Turn)
	_, err = b.h.Accept(t.Context(), b.w, another.Conversation.ID, me, nil)
	b.must(err)
	b.settle(answered(work, secret("suggestion")))
	pending, err := b.conv.Start(t.Context(), b.w, conversations.Start{ContactID: c.Contact.ID, Message: conversations.Post{Text: secret("fourth")}}, nil)
	b.must(err)
	inFlight := b.claim(*pending.Turn)
	// Somebody else's words stay.
	kept, err := b.conv.Start(t.Context(), b.w, conversations.Start{Message: conversations.Post{Text: "plughkept"}}, nil)
	b.must(err)

	before := dump(t, conn)
	for _, word := range []string{
		"external", "name", "mail", "phone", "attribute", "value", "m", "n", "subject", "page", "first", "client", "metadata", "tag", "answer", "quote",
		"second", "reason", "evidence", "reply", "note", "third", "suggestion", "fourth",
	} {
		if !bytes.Contains(before, []byte(secret(word))) {
			t.Errorf("%s was never stored: the test proves nothing", secret(word))
		}
	}
	b.must(b.conv.Erase(t.Context(), b.w, c.Contact.ID))
	after := dump(t, conn)
	for _, line := range bytes.Split(after, []byte("\n")) {
		if bytes.Contains(line, []byte("xyzzy")) {
			t.Errorf("left behind: %s", line)
		}
	}
	if !bytes.Contains(after, []byte("plughkept")) {
		t.Error("another contact's words are gone")
	}
	var sealed int
	b.must(conn.QueryRow(t.Context(), "select count(*) from receipts where contact_id is not null").Scan(&sealed))
	if sealed != 0 {
		t.Errorf("%d receipts of the contact are left", sealed)
	}
	// Whatever comes late brings nothing back.
	if out := b.settle(answered(inFlight, secret("late"))); out.Outcome != handoff.Handled {
		t.Errorf("%+v", out)
	}
	for name, err := range map[string]error{
		"post":     second(b.conv.Post(t.Context(), b.w, id, conversations.Post{Text: secret("late")}, nil)),
		"reply":    second(b.h.Reply(t.Context(), b.w, id, handoff.Reply{MemberID: me, Text: secret("late")}, nil)),
		"escalate": second(b.h.Escalate(t.Context(), b.w, id, handoff.Call{Reason: secret("late")}, nil)),
		"start": second(b.conv.Start(t.Context(), b.w, conversations.Start{
			ContactID: c.Contact.ID, Message: conversations.Post{Text: secret("late")},
		}, nil)),
		"contact": second(b.conv.Contact(t.Context(), b.w, c.Contact.ID)),
		"packet":  second(b.h.Packet(t.Context(), tenantsScope(b), b.get(id).EscalationID)),
	} {
		if code(err) != "not_found" {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.must(b.h.Deadline(t.Context(), b.w, pending.Turn.ID))
	b.must(b.conv.Erase(t.Context(), b.w, c.Contact.ID))
	if bytes.Contains(dump(t, conn), []byte("xyzzy")) {
		t.Error("something late was stored")
	}
	var timers int
	b.must(conn.QueryRow(t.Context(), "select count(*) from timers").Scan(&timers))
	if timers != 1 { // the other contact's turn
		t.Errorf("%d timers", timers)
	}
	// Who renders events finds nothing of the person, and the others.
	of := func(c conversations.Started) (r [3]conversations.Ref) {
		for i, id := range []ids.ID{c.Conversation.ID, c.Message.ID, c.Contact.ID} {
			r[i] = conversations.Ref{WorkspaceID: b.w.ID, ID: id}
		}
		return r
	}
	gone, there := of(c), of(kept)
	b.must(db.InAgency(t.Context(), b.w.AgencyID, func(tx pgx.Tx) error {
		found, err := conversations.ByID(t.Context(), tx, []conversations.Ref{gone[0], there[0]}, []conversations.Ref{gone[1], there[1]}, []conversations.Ref{gone[2], there[2]}, nil)
		if len(found.Conversations) != 1 || len(found.Messages) != 1 || len(found.Contacts) != 1 || found.Messages[0].Text != "plughkept" {
			t.Errorf("%+v", found)
		}
		return err
	}))
	// The same external id is a new person.
	fresh, err := b.conv.PutContact(t.Context(), b.w, in.Contact, false, nil)
	if err != nil || !fresh.Created || fresh.Contact.ID == c.Contact.ID {
		t.Errorf("%+v, %v", fresh, err)
	}
}

func TestErasingWhilePostsComeInLeavesNoWords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for round := range 5 {
		c := b.start(fmt.Sprintf("frotz%d", round))
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-begin
				_, err := b.conv.Post(t.Context(), b.w, c.Conversation.ID, conversations.Post{Text: "frotz"}, nil)
				if err != nil && code(err) != "not_found" {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			<-begin
			if err := b.conv.Erase(t.Context(), b.w, c.Contact.ID); err != nil {
				t.Error(err)
			}
		})
		close(begin)
		all.Wait()
		for _, m := range b.messages(c.Conversation.ID) {
			if m.Text != "" {
				t.Errorf("left behind: %q", m.Text)
			}
		}
	}
}

func TestEveryTableHereSaysHowAPersonsDataLeavesIt(t *testing.T) {
	t.Parallel()
	rows, err := postgrestest.Owner(t).Query(t.Context(), `select c.relname || ': ' || coalesce(obj_description(c.oid), '') from pg_class c
		where c.relname in ('contacts', 'conversations', 'messages', 'turns', 'suggestions', 'escalations', 'packets')`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(all) != 7 || slices.ContainsFunc(all, func(s string) bool { return !strings.Contains(s, ": erasure: ") }) {
		t.Errorf("%q, %v", all, err)
	}
}

func TestUnverifiedDataNeverJoinsAContact(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mail, name := "ada@example.test", "Ada"
	put := func(in conversations.ContactInput, unverified bool) conversations.Put {
		b.Helper()
		out, err := b.conv.PutContact(t.Context(), b.w, in, unverified, nil)
		b.must(err)
		return out
	}
	first := put(conversations.ContactInput{ExternalID: "u-1", Email: &mail, Name: &name}, false)
	if !first.Created || !first.Contact.Verified {
		t.Errorf("%+v", first)
	}
	// An e-mail joins nobody, whoever gives it; nor does an external id that a
	// browser claims.
	if out := put(conversations.ContactInput{Email: &mail}, false); !out.Created || out.Contact.Verified {
		t.Errorf("%+v", out)
	}
	out := put(conversations.ContactInput{ExternalID: "u-1", Email: &mail}, true)
	if !out.Created || out.Contact.Verified || out.Contact.ExternalID != "" || out.Contact.Attributes["claimed_external_id"] != "u-1" {
		t.Errorf("%+v", out)
	}
	again := put(conversations.ContactInput{ExternalID: "u-1", Attributes: map[string]*string{"plan": &name}}, false)
	if again.Created || again.Contact.ID != first.Contact.ID || again.Contact.Name != "Ada" || again.Contact.Attributes["plan"] != "Ada" || again.Contact.Version != 2 {
		t.Errorf("%+v", again)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	made := map[ids.ID]int{}
	for range 10 {
		all.Go(func() {
			out, err := b.conv.PutContact(t.Context(), b.w, conversations.ContactInput{ExternalID: "u-2", Name: &name}, false, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			made[out.Contact.ID]++
		})
	}
	all.Wait()
	if len(made) != 1 {
		t.Errorf("one external id became %d contacts", len(made))
	}
	taken := conversations.ContactInput{ExternalID: "u-2"}
	if _, err := b.conv.UpdateContact(t.Context(), b.w, first.Contact.ID, 0, taken, nil); code(err) != "validation_failed" {
		t.Error(err)
	}
	if _, err := b.conv.UpdateContact(t.Context(), b.w, first.Contact.ID, 1, conversations.ContactInput{Name: &mail}, nil); code(err) != "precondition_failed" {
		t.Error(err)
	}
}
