package tenants_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/tenants"
)

func (b bench) member(t *testing.T, role string, places ...ids.ID) tenants.Member {
	t.Helper()
	made := tenants.NewMember{Name: "Ada", Email: "ada-" + role + "@example.com", Role: role}
	if places != nil {
		made.WorkspaceIDs = &places
	}
	m, err := b.CreateMember(t.Context(), b.root.AgencyID, made, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b bench) token(t *testing.T, member ids.ID) tenants.Token {
	t.Helper()
	made, err := b.MemberToken(t.Context(), b.root, member, 0)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// secret is what the agency's tokens are signed with, as only the server knows.
func (b bench) secret(t *testing.T) []byte {
	t.Helper()
	var id ids.ID
	var sealed []byte
	err := postgrestest.Owner(t).QueryRow(t.Context(), `select id, sealed from signing_keys where agency_id = $1 and expires_at is null`, b.root.AgencyID).Scan(&id, &sealed)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := testBox.Open("signing key:"+ids.Format(tenants.SigningKeyPrefix, id), sealed)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestATokenActsAsItsMemberWithTheRolesScopesAndPlaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := map[string]tenants.Member{}
	for role, may := range map[string]map[string]bool{
		"viewer": {"conversations:read": true, "conversations:write": false, "members:write": false},
		"agent":  {"conversations:write": true, "contacts:write": true, "knowledge:write": false, "members:write": false},
		"admin":  {"knowledge:write": true, "webhooks:write": true, "agency:write": false, "members:write": false},
		"owner":  {"agency:write": true, "members:write": true, "api_keys:write": false},
	} {
		m := b.member(t, role, b.w.UUID)
		made[role] = m
		p, err := b.Authenticate(t.Context(), b.token(t, m.ID).Text)
		if err != nil || p.Member != m.ID || p.AgencyID != b.root.AgencyID || !p.Reaches(b.w.UUID) || p.Reaches(ids.New(time.Now())) {
			t.Fatalf("%s: %+v, %v", role, p, err)
		}
		for scope, want := range may {
			if p.Scopes.Allow(scope) != want {
				t.Errorf("%s and %s: %v", role, scope, !want)
			}
		}
		if _, err := b.MemberToken(t.Context(), p, m.ID, 0); fault.Of(err).Code != "scope_missing" {
			t.Errorf("a token made a token: %v", err)
		}
	}
	narrow := b.root
	narrow.Scopes = tenants.Scopes{"members:write", "conversations:read"}
	if _, err := b.MemberToken(t.Context(), narrow, made["agent"].ID, 0); fault.Of(err).Code != "scope_missing" {
		t.Errorf("a key gave what it has not: %v", err)
	}
}

func TestAForgedTokenIsNoToken(t *testing.T) {
	t.Parallel()
	b, other := setup(t), setup(t)
	m := b.member(t, "owner")
	good := b.token(t, m.ID).Text
	foreign := other.token(t, other.member(t, "owner").ID).Text
	parsed, _, err := jwt.NewParser().ParseUnverified(good, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	theirs, _, err := jwt.NewParser().ParseUnverified(foreign, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	secret := b.secret(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// forge signs the good claims anew, with a change.
	forge := func(method jwt.SigningMethod, key any, kid any, change jwt.MapClaims) string {
		claims := maps.Clone(parsed.Claims.(jwt.MapClaims))
		for name, value := range change {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	kid, theirKid := parsed.Header["kid"], theirs.Header["kid"]
	hs := jwt.SigningMethodHS256
	if p, err := b.Authenticate(t.Context(), forge(hs, secret, kid, nil)); err != nil || p.Member != m.ID {
		t.Fatalf("the unchanged token is refused: %v", err)
	}
	now := b.clock.Now()
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT","kid":"` + kid.(string) + `"}`))
	for what, text := range map[string]string{
		"none":                  forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, nil),
		"none, old signature":   none + "." + parts[1] + "." + parts[2],
		"HS512":                 forge(jwt.SigningMethodHS512, secret, kid, nil),
		"EdDSA":                 forge(jwt.SigningMethodEdDSA, private, kid, nil),
		"an empty secret":       forge(hs, []byte{}, kid, nil),
		"the kid as secret":     forge(hs, []byte(kid.(string)), kid, nil),
		"another agency's kid":  forge(hs, secret, theirKid, nil),
		"another's key":         forge(hs, other.secret(t), kid, nil),
		"another's issuer":      forge(hs, secret, kid, jwt.MapClaims{"iss": theirs.Claims.(jwt.MapClaims)["iss"]}),
		"their key, our claims": forge(hs, other.secret(t), theirKid, nil),
		"an unknown kid":        forge(hs, secret, ids.Format(tenants.SigningKeyPrefix, ids.New(now)), nil),
		"a kid that is a path":  forge(hs, secret, "../../dev/null", nil),
		"a number as kid":       forge(hs, secret, 7, nil),
		"foreign audience":      forge(hs, secret, kid, jwt.MapClaims{"aud": "somebody"}),
		"a visitor's audience":  forge(hs, secret, kid, jwt.MapClaims{"aud": "relaydesk:visitor"}),
		"two audiences":         forge(hs, secret, kid, jwt.MapClaims{"aud": []string{"relaydesk:member", "somebody"}}),
		"no audience":           forge(hs, secret, kid, jwt.MapClaims{"aud": nil}),
		"expired":               forge(hs, secret, kid, jwt.MapClaims{"exp": now.Add(-10 * time.Second).Unix()}),
		"without an end":        forge(hs, secret, kid, jwt.MapClaims{"exp": nil}),
		"not yet":               forge(hs, secret, kid, jwt.MapClaims{"nbf": now.Add(time.Minute).Unix()}),
		"from the future":       forge(hs, secret, kid, jwt.MapClaims{"iat": now.Add(time.Minute).Unix()}),
		"without iat":           forge(hs, secret, kid, jwt.MapClaims{"iat": nil}),
		"without nbf":           forge(hs, secret, kid, jwt.MapClaims{"nbf": nil}),
		"without jti":           forge(hs, secret, kid, jwt.MapClaims{"jti": nil}),
		"a contact's id":        forge(hs, secret, kid, jwt.MapClaims{"sub": ids.Format(ids.Contact, m.ID)}),
		"another's member":      forge(hs, secret, kid, jwt.MapClaims{"sub": theirs.Claims.(jwt.MapClaims)["sub"]}),
		"changed claims":        parts[0] + "." + strings.Split(foreign, ".")[1] + "." + parts[2],
		"a changed signature":   parts[0] + "." + parts[1] + "." + "A" + parts[2][1:],
		"too long":              good + strings.Repeat("A", 5000),
		"dots":                  "..", "dots and spaces": " . . ",
	} {
		if what == "a changed signature" && parts[2][0] == 'A' {
			continue // then it is the signature
		}
		b.refused(t, what, text)
	}
}

func TestATokenEndsWithItsTimeItsMemberAndItsRevocationWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	second := node(t, b.clock) // another server of the installation
	expect := func(what string, text string, want bool) {
		t.Helper()
		for name, n := range map[string]*tenants.Tenants{"here": b.Tenants, "there": second} {
			if _, err := n.Authenticate(t.Context(), text); (err == nil) != want {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
	}
	m, left, other := b.member(t, "agent"), b.member(t, "viewer"), b.member(t, "admin")
	one, two, theirs, gone := b.token(t, m.ID), b.token(t, m.ID), b.token(t, other.ID), b.token(t, left.ID)
	for _, each := range []tenants.Token{one, two, theirs, gone} {
		expect("new", each.Text, true)
	}
	if err := b.RevokeTokens(t.Context(), b.root.AgencyID, one.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteMember(t.Context(), b.root.AgencyID, left.ID, 0); err != nil {
		t.Fatal(err)
	}
	b.refused(t, "revoked, on the node that did it", one.Text)
	b.refused(t, "deleted, on the node that did it", gone.Text)
	b.clock.Advance(2 * time.Second)
	expect("revoked by its id", one.Text, false)
	expect("of a deleted member", gone.Text, false)
	expect("another of the member", two.Text, true)
	if err := b.RevokeTokens(t.Context(), b.root.AgencyID, m.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(2 * time.Second)
	expect("revoked by its member", two.Text, false)
	expect("of another member", theirs.Text, true)
	expect("made afterwards", b.token(t, m.ID).Text, true)

	disabled := "disabled"
	if _, err := b.UpdateMember(t.Context(), b.root.AgencyID, other.ID, tenants.MemberChange{Status: &disabled}, nil); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(2 * time.Second)
	expect("of a disabled member", theirs.Text, false)
	short, err := b.MemberToken(t.Context(), b.root, m.ID, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(66 * time.Second)
	expect("expired", short.Text, false)
}

func TestARotatedKeySignsAndTheOldOneVerifiesUntilItsTokensHaveExpired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.member(t, "agent")
	kid := func(text string) any {
		parsed, _, err := jwt.NewParser().ParseUnverified(text, jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Header["kid"]
	}
	before := b.token(t, m.ID).Text
	secret := b.secret(t)
	k, err := b.RotateSigningKey(t.Context(), b.root.AgencyID, nil)
	if err != nil {
		t.Fatal(err)
	}
	after := b.token(t, m.ID).Text
	if kid(after) != ids.Format(tenants.SigningKeyPrefix, k.ID) || kid(before) == kid(after) || string(secret) == string(b.secret(t)) {
		t.Error("the old key signs")
	}
	for _, text := range []string{before, after} {
		if _, err := b.Authenticate(t.Context(), text); err != nil {
			t.Errorf("after the rotation: %v", err)
		}
	}
	b.clock.Advance(tenants.VisitorTokenLife + tenants.VisitorRenewal + 2*time.Hour)
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(before, claims)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iat", "nbf"} {
		claims[name] = b.clock.Now().Unix()
	}
	claims["exp"] = b.clock.Now().Add(time.Hour).Unix()
	if before, err = parsed.SignedString(secret); err != nil { // by whoever stole the old key
		t.Fatal(err)
	}
	b.refused(t, "signed by a key that has ended", before)
}

func BenchmarkATokenIsCheckedFromMemory(b *testing.B) {
	fake := clocktest.At(time.Now())
	n := tenants.New(postgrestest.New(b), fake, slog.New(slog.DiscardHandler), tenants.Options{Box: testBox})
	a, err := n.CreateAgency(b.Context(), b.Name())
	if err != nil {
		b.Fatal(err)
	}
	m, err := n.CreateMember(b.Context(), a.AgencyID, tenants.NewMember{Name: "Ada", Email: "ada@example.com", Role: "agent"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	token, err := n.MemberToken(b.Context(), tenants.Principal{AgencyID: a.AgencyID, Scopes: tenants.Scopes{"*"}}, m.ID, 0)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := n.Authenticate(b.Context(), token.Text); err != nil {
			b.Fatal(err)
		}
	}
}
