package tenants_test

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
	"github.com/relaydesk/relaydesk/tenants"
)

// bench is an agency of the test's own, with its first workspace.
type bench struct {
	*tenants.Tenants
	clock *clocktest.Fake
	root  tenants.Principal
	w     tenants.Workspace
}

func setup(t *testing.T) bench {
	t.Helper()
	fake := clocktest.At(time.Now())
	b := bench{Tenants: node(t, fake), clock: fake}
	a, err := b.CreateAgency(t.Context(), t.Name())
	if err != nil {
		t.Fatal(err)
	}
	b.root = tenants.Principal{AgencyID: a.AgencyID, Agency: a.ID, Scopes: tenants.Scopes{"*"}}
	b.w = b.workspace(t, "Main")
	return b
}

// node is a server of its own on the shared database.
func node(t *testing.T, c clock.Clock) *tenants.Tenants {
	t.Helper()
	return tenants.New(postgrestest.New(t), c, slog.New(slog.NewTextHandler(t.Output(), nil)), tenants.Options{TestKeys: true, Box: testBox})
}

var testBox = func() *secrets.Box {
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	if err != nil {
		panic(err)
	}
	return box
}()

func (b bench) workspace(t *testing.T, name string) tenants.Workspace {
	t.Helper()
	w, err := b.CreateWorkspace(t.Context(), b.root.AgencyID, tenants.NewWorkspace{Name: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (b bench) key(t *testing.T, made tenants.NewKey) tenants.MadeKey {
	t.Helper()
	if made.Name == "" {
		made.Name, made.Scopes = "a key", tenants.Scopes{"events:read"}
	}
	k, err := b.CreateKey(t.Context(), b.root, made, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (b bench) refused(t *testing.T, what, key string) {
	t.Helper()
	if p, err := b.Authenticate(t.Context(), key); fault.Of(err).Code != "unauthorized" || p.AgencyID != 0 {
		t.Errorf("%s: %+v, %v", what, p, err)
	}
}

func wants(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := fault.Of(err).Code; err == nil || got != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func pass(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAKeyTellsWhoseItIsAndNoOtherIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole, one := b.key(t, tenants.NewKey{}), b.key(t, tenants.NewKey{Workspace: b.w.UUID})
	for name, c := range map[string]struct {
		key  tenants.MadeKey
		want postgres.Workspace
	}{"of the agency": {whole, postgres.Workspace{}}, "of a workspace": {one, b.w.Workspace}} {
		if !strings.HasPrefix(c.key.Secret, "rd_sk_test_") || !strings.HasSuffix(c.key.Secret, c.key.Last4) {
			t.Errorf("%s: made as %s…", name, c.key.Secret[:11])
		}
		p, err := b.Authenticate(t.Context(), c.key.Secret)
		if err != nil || p.AgencyID != b.root.AgencyID || p.Agency != b.root.Agency || p.Workspace != c.want || p.KeyID != c.key.ID || !p.Scopes.Allow("events:read") || p.Scopes.Allow("events:write") {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	b.refused(t, "another key", secrets.NewKey(secrets.SecretTest))
	b.refused(t, "the same, asked again", secrets.NewKey(secrets.SecretTest))
	b.refused(t, "mistyped", whole.Secret[:len(whole.Secret)-1]+"!")
	b.refused(t, "empty", "")
	b.refused(t, "a hash", string(whole.ID[:]))
}

func TestARevokedKeyIsRefusedAtOnceHereAndInTwoSecondsElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k, elsewhere := b.key(t, tenants.NewKey{}), node(t, b.clock)
	for _, n := range []*tenants.Tenants{b.Tenants, elsewhere} {
		if _, err := n.Authenticate(t.Context(), k.Secret); err != nil {
			t.Fatal(err)
		}
	}
	pass(t, b.DeleteKey(t.Context(), b.root.AgencyID, k.ID, 0))
	b.refused(t, "revoked here", k.Secret)
	b.clock.Advance(2 * time.Second)
	_, err := elsewhere.Authenticate(t.Context(), k.Secret)
	wants(t, "revoked elsewhere", err, "unauthorized")
}

func TestAKeyEndsAtItsExpiryAlsoWhenItIsRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.key(t, tenants.NewKey{Name: "short", Scopes: tenants.Scopes{"*"}, ExpiresAt: b.clock.Now().Add(time.Second)})
	_, err := b.Authenticate(t.Context(), k.Secret)
	pass(t, err)
	b.clock.Advance(time.Second)
	b.refused(t, "expired", k.Secret)
	_, err = b.CreateKey(t.Context(), b.root, tenants.NewKey{Name: "past", ExpiresAt: b.clock.Now()}, nil)
	wants(t, "made to be expired", err, "validation_failed")
	_, err = b.RollKey(t.Context(), b.root, k.ID, 0, nil)
	wants(t, "rolled when it was expired", err, "key_expired")
}

func TestARolledKeyLivesOnForTheOverlapOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.key(t, tenants.NewKey{Name: "rolled", Scopes: tenants.Scopes{"members:read"}, Workspace: b.w.UUID})
	_, err := b.Authenticate(t.Context(), old.Secret)
	pass(t, err)
	next, err := b.RollKey(t.Context(), b.root, old.ID, time.Minute, nil)
	pass(t, err)
	if next.Secret == old.Secret || next.ID == old.ID || next.Name != old.Name || next.Workspace != old.Workspace || len(next.Scopes) != 1 || next.ExpiresAt != nil {
		t.Errorf("rolled to %+v", next.Key)
	}
	for _, k := range []tenants.MadeKey{old, next} {
		_, err := b.Authenticate(t.Context(), k.Secret)
		pass(t, err)
	}
	b.clock.Advance(time.Minute)
	b.refused(t, "after the overlap", old.Secret)
	_, err = b.Authenticate(t.Context(), next.Secret)
	pass(t, err)
	_, err = b.RollKey(t.Context(), b.root, next.ID, tenants.MaxOverlap+1, nil)
	wants(t, "too long an overlap", err, "validation_failed")
}

func TestTheLastUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.key(t, tenants.NewKey{})
	var seen []time.Time
	for range 5 { // at 0, 25, 50, 75 and 100 seconds
		_, err := b.Authenticate(t.Context(), k.Secret)
		pass(t, err)
		b.Close()
		now, err := b.Key(t.Context(), b.root.AgencyID, k.ID)
		pass(t, err)
		if now.LastUsedAt == nil {
			t.Fatal("not written")
		}
		if now.Version != k.Version {
			t.Error("the use of a key changed its version")
		}
		if len(seen) == 0 || !seen[len(seen)-1].Equal(*now.LastUsedAt) {
			seen = append(seen, *now.LastUsedAt)
		}
		b.clock.Advance(25 * time.Second)
	}
	if len(seen) != 2 || seen[1].Sub(seen[0]) < 74*time.Second {
		t.Errorf("written at %v", seen)
	}
}

func TestManyRequestsWithManyKeysAreServedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var keys []tenants.MadeKey
	for range 5 {
		keys = append(keys, b.key(t, tenants.NewKey{}))
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			k := keys[i%len(keys)]
			if p, err := b.Authenticate(t.Context(), k.Secret); err != nil || p.KeyID != k.ID {
				t.Errorf("%+v, %v", p, err)
			}
			b.refused(t, "a stranger's", secrets.NewKey(secrets.SecretTest))
		})
	}
	wg.Wait()
	b.Close()
}

func TestAKeyGivesNothingThatItHasNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	strong := b.key(t, tenants.NewKey{Name: "strong", Scopes: tenants.Scopes{"*"}})
	weak := b.root
	weak.Scopes = tenants.Scopes{"api_keys:write", "events:read"}
	for _, given := range []tenants.Scopes{{"*"}, {"events:read", "members:write"}} {
		_, err := b.CreateKey(t.Context(), weak, tenants.NewKey{Name: "k", Scopes: given}, nil)
		wants(t, "create "+strings.Join(given, " "), err, "scope_missing")
	}
	longer := b.clock.Now().Add(time.Hour)
	_, err := b.UpdateKey(t.Context(), weak, strong.ID, tenants.KeyChange{ExpiresAt: &longer}, nil)
	wants(t, "prolong a stronger key", err, "scope_missing")
	_, err = b.RollKey(t.Context(), weak, strong.ID, 0, nil)
	wants(t, "roll a stronger key", err, "scope_missing")
	_, err = b.CreateKey(t.Context(), b.root, tenants.NewKey{Name: "k", Scopes: tenants.Scopes{"everything"}}, nil)
	wants(t, "a scope that there is not", err, "validation_failed")
	k, err := b.CreateKey(t.Context(), weak, tenants.NewKey{Name: "k", Scopes: tenants.Scopes{"events:read", "events:read"}}, nil)
	if err != nil || len(k.Scopes) != 1 {
		t.Errorf("%v, %v", k.Scopes, err)
	}
}

func TestARepeatedRequestForAKeyGivesTheSameSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	box, err := secrets.NewBox(secrets.NewEncryptionKey())
	pass(t, err)
	receipt := func() *receipts.Receipt {
		return &receipts.Receipt{
			Workspace: postgres.Workspace{AgencyID: b.root.AgencyID}, Principal: ids.New(b.clock.Now()), Key: "k",
			Fingerprint: sha256.Sum256(nil), Now: b.clock.Now(), Box: box,
		}
	}
	r := receipt()
	first, err := b.CreateKey(t.Context(), b.root, tenants.NewKey{Name: "k", Workspace: b.w.UUID, Scopes: tenants.Scopes{"*"}}, r)
	pass(t, err)
	again, err := b.CreateKey(t.Context(), b.root, tenants.NewKey{Name: "k", Workspace: b.w.UUID, Scopes: tenants.Scopes{"*"}}, r)
	if err != nil || !r.Replayed || again.Secret != first.Secret || again.ID != first.ID || again.Workspace != b.w.UUID {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestSlugsAreMadeFromNamesAndNeverTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, want := range map[string]string{
		"Ärzte & Söhne GmbH": "arzte-sohne-gmbh", "  --x--  ": "x", "日本": "workspace", "MAIN": "main-2", "a\u0301b": "ab",
	} {
		if w := b.workspace(t, name); w.Slug != want {
			t.Errorf("%q: %s, want %s", name, w.Slug, want)
		}
	}
	if w := b.workspace(t, strings.Repeat("long ", 40)); len(w.Slug) > 80 {
		t.Errorf("a slug of %d characters", len(w.Slug))
	}
	var slugs sync.Map
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			w, err := b.CreateWorkspace(t.Context(), b.root.AgencyID, tenants.NewWorkspace{Name: "Same"}, nil)
			if _, twice := slugs.LoadOrStore(w.Slug, true); twice || err != nil {
				t.Errorf("%s: %v", w.Slug, err)
			}
		})
	}
	wg.Wait()
	slug := "same"
	w, err := b.UpdateWorkspace(t.Context(), tenants.Of(b.w.Workspace), b.w.UUID, tenants.WorkspaceChange{Slug: &slug}, nil)
	if err != nil || w.Slug != "same-11" {
		t.Errorf("changed to %s, %v", w.Slug, err)
	}
}

func TestAnAddressIsOneMembersOnly(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	made := tenants.NewMember{Name: "Ada", Email: "Ada@example.com", Role: "agent"}
	ada, err := b.CreateMember(t.Context(), b.root.AgencyID, made, nil)
	pass(t, err)
	if _, err := other.CreateMember(t.Context(), other.root.AgencyID, made, nil); err != nil {
		t.Errorf("in another agency: %v", err)
	}
	made.Email = "ada@EXAMPLE.com"
	_, err = b.CreateMember(t.Context(), b.root.AgencyID, made, nil)
	wants(t, "in other letters", err, "email_taken")
	made.Email = "bob@example.com"
	bob, err := b.CreateMember(t.Context(), b.root.AgencyID, made, nil)
	pass(t, err)
	_, err = b.UpdateMember(t.Context(), b.root.AgencyID, bob.ID, tenants.MemberChange{Email: &ada.Email}, nil)
	wants(t, "changed to another's", err, "email_taken")
	for _, email := range []string{"", "ada", "ada@", "Ada <ada@example.com>", "a@b@c", " ada@example.com", "ada@exa mple.com"} {
		made.Email = email
		_, err := b.CreateMember(t.Context(), b.root.AgencyID, made, nil)
		wants(t, email, err, "validation_failed")
	}
	found, _, err := b.Members(t.Context(), b.root.Scope(), tenants.MemberFilter{Email: "ADA@example.com"}, tenants.Page{Limit: 10})
	if err != nil || len(found) != 1 || found[0].ID != ada.ID || !found[0].Everywhere {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestAWorkspaceSeesItselfAndItsMembersOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	second := b.workspace(t, "Second")
	make := func(name string, places ...ids.ID) tenants.Member {
		made := tenants.NewMember{Name: name, Email: name + "@example.com", Role: "agent"}
		if places != nil {
			made.WorkspaceIDs = &places
		}
		m, err := b.CreateMember(t.Context(), b.root.AgencyID, made, nil)
		pass(t, err)
		b.clock.Advance(time.Millisecond)
		return m
	}
	everywhere, here, there := make("everywhere"), make("here", b.w.UUID, second.UUID), make("there", second.UUID)
	mine := tenants.Of(b.w.Workspace)
	seen, _, err := b.Members(t.Context(), mine, tenants.MemberFilter{}, tenants.Page{Limit: 10})
	pass(t, err)
	if len(seen) != 2 || seen[0].ID != here.ID || seen[1].ID != everywhere.ID || len(seen[0].WorkspaceIDs) != 1 || len(here.WorkspaceIDs) != 2 {
		t.Errorf("seen: %+v", seen)
	}
	_, err = b.Member(t.Context(), mine, there.ID)
	wants(t, "a member of another workspace", err, "not_found")
	_, err = b.ReadWorkspace(t.Context(), mine, second.UUID)
	wants(t, "another workspace", err, "not_found")
	name := "taken over"
	_, err = b.UpdateWorkspace(t.Context(), mine, second.UUID, tenants.WorkspaceChange{Name: &name}, nil)
	wants(t, "changing another workspace", err, "not_found")
	all, _, err := b.Workspaces(t.Context(), mine, tenants.WorkspaceFilter{}, tenants.Page{Limit: 10})
	if err != nil || len(all) != 1 || all[0].UUID != b.w.UUID {
		t.Errorf("workspaces: %+v, %v", all, err)
	}
	_, err = b.CreateMember(t.Context(), b.root.AgencyID, tenants.NewMember{Name: "x", Email: "x@example.com", Role: "agent", WorkspaceIDs: &[]ids.ID{ids.New(b.clock.Now())}}, nil)
	wants(t, "in a workspace that there is not", err, "not_found")
}

func TestAnotherAgencysIdsAreNotFound(t *testing.T) {
	t.Parallel()
	b, foreign := setup(t), setup(t)
	m, err := foreign.CreateMember(t.Context(), foreign.root.AgencyID, tenants.NewMember{Name: "x", Email: "x@example.com", Role: "owner"}, nil)
	pass(t, err)
	k, mine, ctx := foreign.key(t, tenants.NewKey{}), b.root.AgencyID, t.Context()
	for name, try := range map[string]func() error{
		"workspace":      func() error { _, err := b.Workspace(ctx, mine, foreign.w.UUID); return err },
		"read workspace": func() error { _, err := b.ReadWorkspace(ctx, b.root.Scope(), foreign.w.UUID); return err },
		"update workspace": func() error {
			_, err := b.UpdateWorkspace(ctx, b.root.Scope(), foreign.w.UUID, tenants.WorkspaceChange{}, nil)
			return err
		},
		"delete workspace": func() error { return b.DeleteWorkspace(ctx, mine, foreign.w.UUID, 0) },
		"member":           func() error { _, err := b.Member(ctx, b.root.Scope(), m.ID); return err },
		"update member":    func() error { _, err := b.UpdateMember(ctx, mine, m.ID, tenants.MemberChange{}, nil); return err },
		"delete member":    func() error { return b.DeleteMember(ctx, mine, m.ID, 0) },
		"key":              func() error { _, err := b.Key(ctx, mine, k.ID); return err },
		"update key":       func() error { _, err := b.UpdateKey(ctx, b.root, k.ID, tenants.KeyChange{}, nil); return err },
		"roll key":         func() error { _, err := b.RollKey(ctx, b.root, k.ID, 0, nil); return err },
		"delete key":       func() error { return b.DeleteKey(ctx, mine, k.ID, 0) },
		"settings": func() error {
			_, err := b.Settings(ctx, postgres.Workspace{AgencyID: mine, ID: foreign.w.ID + 1_000_000})
			return err
		},
	} {
		wants(t, name, try(), "not_found")
	}
	_, err = b.CreateKey(ctx, b.root, tenants.NewKey{Name: "k", Scopes: tenants.Scopes{"*"}, Workspace: foreign.w.UUID}, nil)
	wants(t, "a key for a foreign workspace", err, "not_found")
}

func TestAChangeOfAnOlderVersionIsRefused(t *testing.T) {
	t.Parallel()
	b, ctx, name := setup(t), t.Context(), "new name"
	agency := b.root.AgencyID
	m, err := b.CreateMember(ctx, agency, tenants.NewMember{Name: "x", Email: "x@example.com", Role: "owner"}, nil)
	pass(t, err)
	k := b.key(t, tenants.NewKey{})
	for what, change := range map[string]func(version int64) error{
		"agency": func(v int64) error {
			_, err := b.UpdateAgency(ctx, agency, tenants.AgencyChange{Name: &name, IfVersion: v}, nil)
			return err
		},
		"workspace": func(v int64) error {
			_, err := b.UpdateWorkspace(ctx, b.root.Scope(), b.w.UUID, tenants.WorkspaceChange{Name: &name, IfVersion: v}, nil)
			return err
		},
		"member": func(v int64) error {
			_, err := b.UpdateMember(ctx, agency, m.ID, tenants.MemberChange{Name: &name, IfVersion: v}, nil)
			return err
		},
		"key": func(v int64) error {
			_, err := b.UpdateKey(ctx, b.root, k.ID, tenants.KeyChange{Name: &name, IfVersion: v}, nil)
			return err
		},
		"settings": func(v int64) error {
			_, err := b.UpdateSettings(ctx, b.w.Workspace, tenants.SettingsChange{AssistantName: &name, IfVersion: v}, nil)
			return err
		},
	} {
		pass(t, change(1))
		wants(t, what, change(1), "precondition_failed")
		pass(t, change(2))
		pass(t, change(0))
	}
	wants(t, "delete a member", b.DeleteMember(ctx, agency, m.ID, 1), "precondition_failed")
	wants(t, "delete a key", b.DeleteKey(ctx, agency, k.ID, 1), "precondition_failed")
	pass(t, b.DeleteMember(ctx, agency, m.ID, 4))
	wants(t, "delete a member twice", b.DeleteMember(ctx, agency, m.ID, 0), "not_found")
}

func TestADeletedWorkspaceIsGoneWithItsKeys(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	k := b.key(t, tenants.NewKey{Name: "k", Scopes: tenants.Scopes{"*"}, Workspace: b.w.UUID})
	_, err := b.Authenticate(ctx, k.Secret)
	pass(t, err)
	_, err = b.Workspace(ctx, b.root.AgencyID, b.w.UUID)
	pass(t, err)
	pass(t, b.DeleteWorkspace(ctx, b.root.AgencyID, b.w.UUID, 0))
	b.refused(t, "its key", k.Secret)
	_, err = b.Workspace(ctx, b.root.AgencyID, b.w.UUID)
	wants(t, "read", err, "not_found")
	wants(t, "deleted again", b.DeleteWorkspace(ctx, b.root.AgencyID, b.w.UUID, 0), "not_found")
	all, _, err := b.Workspaces(ctx, b.root.Scope(), tenants.WorkspaceFilter{}, tenants.Page{Limit: 10})
	if err != nil || len(all) != 0 {
		t.Errorf("listed: %+v, %v", all, err)
	}
}

func TestListsArePagedWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	b, seen := setup(t), map[ids.ID]bool{}
	for range 6 {
		b.workspace(t, "w")
		b.clock.Advance(time.Millisecond)
	}
	page := tenants.Page{Limit: 3}
	for pages := 1; ; pages++ {
		all, more, err := b.Workspaces(t.Context(), b.root.Scope(), tenants.WorkspaceFilter{}, page)
		pass(t, err)
		for _, w := range all {
			if seen[w.UUID] {
				t.Error("seen twice")
			}
			seen[w.UUID] = true
			page.After = w.UUID
		}
		if !more {
			if pages != 3 || len(seen) != 7 {
				t.Errorf("%d in %d pages", len(seen), pages)
			}
			return
		}
	}
}

func TestSettingsAreCheckedAndKept(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	s, err := b.Settings(ctx, b.w.Workspace)
	if err != nil || s.TurnDeadline != 45*time.Second || s.UnsureEffect != "escalate" || s.SupportHours == nil || len(s.SupportHours) != 0 || s.TimeZone != "UTC" {
		t.Fatalf("at first: %+v, %v", s, err)
	}
	day := func(spans ...tenants.Span) tenants.SettingsChange {
		return tenants.SettingsChange{SupportHours: &spans}
	}
	deadline := func(d time.Duration) tenants.SettingsChange { return tenants.SettingsChange{TurnDeadline: &d} }
	unsure := "guess"
	for name, bad := range map[string]tenants.SettingsChange{
		"/turn_deadline_seconds": deadline(14 * time.Second), "/turn_deadline_seconds ": deadline(121 * time.Second),
		"/turn_deadline_seconds  ": deadline(20*time.Second + 1), "/unsure_effect": {UnsureEffect: &unsure},
		"/support_hours/0/to": day(tenants.Span{Day: 1, From: 600, To: 600}), "/support_hours/0/to ": day(tenants.Span{Day: 1, From: 600, To: 1441}),
		"/support_hours/0/day": day(tenants.Span{Day: 7, From: 1, To: 2}),
		"/support_hours/1":     day(tenants.Span{Day: 1, From: 0, To: 600}, tenants.Span{Day: 1, From: 599, To: 700}),
	} {
		_, err := b.UpdateSettings(ctx, b.w.Workspace, bad, nil)
		if at, ok := errors.AsType[*tenants.FieldError](err); !ok || at.ProblemPointer() != strings.TrimSpace(name) || at.Code != "validation_failed" {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, offer, name := deadline(60*time.Second), "offer", "Ada"
	all.UnsureEffect, all.AssistantName = &offer, &name
	all.SupportHours = &[]tenants.Span{{Day: 1, From: 540, To: 720}, {Day: 1, From: 720, To: 1440}}
	_, err = b.UpdateSettings(ctx, b.w.Workspace, all, nil)
	pass(t, err)
	s, err = b.Settings(ctx, b.w.Workspace)
	if err != nil || s.TurnDeadline != 60*time.Second || s.UnsureEffect != "offer" || len(s.SupportHours) != 2 || s.SupportHours[1] != (tenants.Span{Day: 1, From: 720, To: 1440}) || s.AssistantName != "Ada" {
		t.Errorf("afterwards: %+v, %v", s, err)
	}
	back := time.Duration(0)
	s, err = b.UpdateSettings(ctx, b.w.Workspace, tenants.SettingsChange{TurnDeadline: &back}, nil)
	if err != nil || s.TurnDeadline != 45*time.Second || s.UnsureEffect != "offer" {
		t.Errorf("back to the usual: %+v, %v", s, err)
	}
}

func TestAWorkspacesZoneAndLanguagesAreChecked(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	for _, zone := range []string{"Local", "Berlin", "../../etc/passwd", "Europe/", "+01:00"} {
		_, err := b.CreateWorkspace(ctx, b.root.AgencyID, tenants.NewWorkspace{Name: "x", TimeZone: zone}, nil)
		wants(t, zone, err, "validation_failed")
	}
	for _, l := range []string{"", "english", "und", "e", "12"} {
		_, err := b.UpdateWorkspace(ctx, b.root.Scope(), b.w.UUID, tenants.WorkspaceChange{Languages: &[]string{"en", l}}, nil)
		wants(t, l, err, "validation_failed")
	}
	w, err := b.CreateWorkspace(ctx, b.root.AgencyID, tenants.NewWorkspace{Name: "x", TimeZone: "Europe/Berlin", Languages: []string{"de", "pt_br"}}, nil)
	if err != nil || w.TimeZone != "Europe/Berlin" || len(w.Languages) != 2 || w.Languages[1] != "pt-BR" {
		t.Errorf("%+v, %v", w, err)
	}
}
