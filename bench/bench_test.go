package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/bench/internal/words"
	"github.com/relaydesk/relaydesk/conversations"
	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/knowledge"
	"github.com/relaydesk/relaydesk/tenants"
)

// small is a world of a fiftieth of the data, and a database as benches get it.
func small(t *testing.T) (*world, *database, *postgres.DB) {
	t.Helper()
	db, server, owner := postgrestest.Alone(t)
	admin, err := pgx.Connect(t.Context(), owner)
	if err == nil {
		err = postgres.EnsureLogin(t.Context(), admin, login, password)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &world{settings: settings{scale: 2}, progress: io.Discard, began: time.Now()}, &database{owner: owner, server: server, admin: admin}, db
}

// The schema goes on; a bench that no longer fits it should not be found out
// when somebody wants figures.
func TestTheFloorAndTheProductTakeTheSameMessages(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w, d, db := small(t)
	p := &posting{world: w, db: d}
	if err := p.fill(ctx); err != nil {
		t.Fatal(err)
	}
	thread, owner, now := p.threads[0], p.tenants[p.owners[0]], time.Now()
	if got := workspaceOf(thread); got != owner.workspace {
		t.Errorf("the id says workspace %d, the key %d", got, owner.workspace)
	}
	principal, err := tenants.New(db, clock.System(), nil, tenants.Options{}).Authenticate(ctx, owner.key)
	if err != nil || principal.Workspace.ID != owner.workspace {
		t.Errorf("the key: %+v, %v", principal, err)
	}
	for seq := int64(1); seq <= 2; seq++ {
		var got int64
		err := d.admin.QueryRow(ctx, floorSQL, owner.workspace, thread, ids.New(now), "hello", ids.New(now), now).Scan(&got)
		if err != nil || got != seq {
			t.Errorf("the floor's message %d: %d, %v", seq, got, err)
		}
	}
	var rows int
	if err := d.admin.QueryRow(ctx, "select (select count(*) from floor.messages) + (select count(*) from floor.events) + (select count(*) from floor.jobs)").Scan(&rows); err != nil || rows != 6 {
		t.Errorf("two messages of the floor left %d rows, %v", rows, err)
	}
	p.next.Store(int64(len(p.threads)))
	if err := p.renew(ctx); err != nil {
		t.Error(err)
	}
	if request := string(p.request(nil)); !strings.Contains(request, ids.Format(ids.Conversation, thread)) || !strings.Contains(request, owner.key) {
		t.Errorf("the first request after a renewal: %s", request)
	}
}

func TestTheContentIsFoundByItsWords(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w, d, db := small(t)
	a := &asking{world: w, db: d}
	toy := func(text string) []float32 { // near where the same words stand
		v := make([]float32, knowledge.Dimensions)
		v[len(text)%len(v)] = 1
		return v
	}
	if _, err := a.fill(ctx, toy); err != nil {
		t.Fatal(err)
	}
	k := knowledge.New(knowledge.Deps{DB: db, Clock: clock.System()})
	found, err := k.Search(ctx, postgres.Workspace{AgencyID: a.tenant.agency, ID: a.tenant.workspace}, knowledge.Query{
		Text: "How do I check a webhook's signature?", Vector: toy(""), Language: "en",
	})
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, h := range found.Hits {
		headings = append(headings, h.HeadingPath...)
	}
	if !strings.Contains(strings.Join(headings, " | "), "signature") {
		t.Errorf("a question about signatures found %q", headings)
	}
}

func TestEveryViewOfTheInboxHasPages(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w, d, db := small(t)
	if err := fillInbox(ctx, d, w.scaled(inboxOpen)); err != nil {
		t.Fatal(err)
	}
	var member ids.ID
	if err := d.admin.QueryRow(ctx, "select id from members limit 1").Scan(&member); err != nil {
		t.Fatal(err)
	}
	conv := conversations.New(db, clock.System(), nil)
	for view, least := range map[conversations.View]int{
		conversations.Waiting: 50, conversations.Unassigned: 50, conversations.Mine: 5, conversations.All: 50, conversations.ResolvedV: 50,
	} {
		page, _, err := conv.Inbox(ctx, tenants.Scope{AgencyID: 1, Workspace: postgres.Workspace{AgencyID: 1, ID: 1}}, conversations.InboxFilter{View: view, MemberID: member, Limit: 50})
		if err != nil || len(page) < least || page[0].LastMessage == nil || page[0].Contact.Name == "" {
			t.Errorf("view %s: %d entries, %v", view, len(page), err)
		}
	}
}

func TestTheSameSeedWritesTheSameTextsWithFrequentWordsFirst(t *testing.T) {
	t.Parallel()
	a, b := words.New(1, "the the the cat sat").Text(20_000), words.New(1, "the the the cat sat").Text(20_000)
	if a != b {
		t.Error("another text")
	}
	if the, sat := strings.Count(strings.ToLower(a), "the "), strings.Count(strings.ToLower(a), "sat "); the <= sat || the < 400 {
		t.Errorf("the: %d times, sat: %d times", the, sat)
	}
}
