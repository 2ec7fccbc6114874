package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
)

// TokenPrefix begins a token's id, its jti.
const TokenPrefix ids.Prefix = "tok"

// How long tokens live.
const (
	MinTokenLife     = time.Minute
	MaxTokenLife     = 12 * time.Hour // of a member's
	DefaultTokenLife = time.Hour
	VisitorTokenLife = 24 * time.Hour
	// VisitorRenewal is how long after its end an anonymous visitor's token
	// still says whose thread it was, to get another one; it is good for nothing
	// else then.
	VisitorRenewal = 30 * 24 * time.Hour
)

const (
	audienceMember  = "relaydesk:member"
	audienceVisitor = "relaydesk:visitor"
	leeway          = 5 * time.Second // between the clocks of two nodes
	maxToken        = 4096            // bytes; ours have some 400
)

// Token is a token for a browser, shown once and stored nowhere.
type Token struct {
	ID        ids.ID
	Text      string
	ExpiresAt time.Time
}

// claims are what a token says. Its issuer is the agency.
type claims struct {
	jwt.RegisteredClaims
	Workspace string `json:"ws,omitempty"`       // a visitor's
	Verified  bool   `json:"verified,omitempty"` // the client's site vouched for the visitor
}

// RoleScopes are what a member may do by a token. What would outlive the token,
// keys and other tokens, no token makes.
func RoleScopes(role string) Scopes {
	reads := Scopes{"agency:read", "members:read", "workspaces:read", "knowledge:read", "contacts:read", "conversations:read", "events:read"}
	agent := append(slices.Clone(reads), "contacts:write", "conversations:write")
	admin := append(slices.Clone(agent), "knowledge:write", "workspaces:write", "webhooks:read", "webhooks:write")
	switch role {
	case "owner":
		return append(slices.Clone(admin), "agency:write", "members:write", "api_keys:read")
	case "admin":
		return admin
	case "agent":
		return agent
	case "viewer":
		return reads
	}
	return nil
}

// MemberToken makes a token by which a browser acts as a member. It may do at
// most what its maker may, and only a key makes one: a token that was stolen
// must not prolong itself.
func (t *Tenants) MemberToken(ctx context.Context, maker Principal, member ids.ID, life time.Duration) (Token, error) {
	if life == 0 {
		life = DefaultTokenLife
	}
	if life < MinTokenLife || life > MaxTokenLife {
		return Token{}, invalid("/expires_in", "From %d to %d seconds.", MinTokenLife/time.Second, MaxTokenLife/time.Second)
	}
	if !maker.Member.IsZero() {
		return Token{}, fault.New(fault.Denied, "scope_missing", "A token can't make another one; a key can.")
	}
	m, err := t.Member(ctx, Scope{AgencyID: maker.AgencyID}, member)
	switch {
	case err != nil && fault.Of(err).Kind == fault.NotFound:
		return Token{}, unknown("/member_id", "member")
	case err != nil:
		return Token{}, err
	case m.Status == "disabled":
		return Token{}, invalid("/member_id", "This member is disabled.")
	}
	for _, scope := range RoleScopes(m.Role) {
		if !maker.Scopes.Allow(scope) {
			return Token{}, fault.New(fault.Denied, "scope_missing", "The member's role has the scope %s, which the key has not itself.", scope)
		}
	}
	return t.sign(ctx, maker.AgencyID, audienceMember, ids.Format(ids.Member, member), life, claims{})
}

// VisitorToken makes a token by which a browser acts as a visitor, in the
// workspace of the principal, and nowhere else.
func (t *Tenants) VisitorToken(ctx context.Context, p Principal, contact ids.ID, verified bool) (Token, error) {
	return t.sign(ctx, p.AgencyID, audienceVisitor, ids.Format(ids.Contact, contact), VisitorTokenLife, claims{
		Workspace: ids.Format(ids.Workspace, p.WorkspaceUUID), Verified: verified,
	})
}

func (t *Tenants) sign(ctx context.Context, agencyID int64, audience, subject string, life time.Duration, c claims) (Token, error) {
	k, err := t.signer(ctx, agencyID)
	if err != nil {
		return Token{}, err
	}
	now := t.clock.Now()
	made := Token{ID: ids.New(now), ExpiresAt: now.Add(life).Truncate(time.Second)}
	c.RegisteredClaims = jwt.RegisteredClaims{
		Issuer: ids.Format(ids.Agency, k.agency), Audience: jwt.ClaimStrings{audience}, Subject: subject, ID: ids.Format(TokenPrefix, made.ID),
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(made.ExpiresAt),
	}
	token := jwt.NewWithClaims(method, c)
	token.Header["kid"] = ids.Format(SigningKeyPrefix, k.id)
	if made.Text, err = token.SignedString(k.secret); err != nil {
		return Token{}, fmt.Errorf("sign a token: %w", err)
	}
	return made, nil
}

// isToken tells a token from a key, before either is believed.
func isToken(text string) bool { return strings.Count(text, ".") == 2 }

// verified are the claims of a token whose signature is right, read.
type verified struct {
	claims
	agencyID    int64
	agency      ids.ID
	id, subject ids.ID
}

// verify believes a token that one of our keys signed, for its agency, now. The
// extra time is for renewing only.
func (t *Tenants) verify(ctx context.Context, text string, extra time.Duration) (v verified, err error) {
	if len(text) > maxToken {
		return v, unauthorized()
	}
	now := t.clock.Now()
	var away error // the database could not be asked: no fault of the token
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{method.Alg()}), jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway+extra),
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }),
	)
	_, err = parser.ParseWithClaims(text, &v.claims, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		id, err := ids.Parse(SigningKeyPrefix, kid)
		if err != nil {
			return nil, err
		}
		k, ok, err := t.verifier(ctx, id)
		away = err
		if err != nil || !ok || k.expires != nil && !now.Before(*k.expires) {
			return nil, errors.Join(err, jwt.ErrTokenUnverifiable)
		}
		v.agencyID, v.agency = k.agencyID, k.agency
		return k.secret, nil
	})
	if away != nil {
		return v, fmt.Errorf("look up a signing key: %w", away)
	}
	if err != nil || v.Issuer != ids.Format(ids.Agency, v.agency) || len(v.Audience) != 1 || v.IssuedAt == nil {
		return v, unauthorized()
	}
	prefix := map[string]ids.Prefix{audienceMember: ids.Member, audienceVisitor: ids.Contact}[v.Audience[0]]
	if v.id, err = ids.Parse(TokenPrefix, v.ID); err != nil || prefix == "" {
		return v, unauthorized()
	}
	if v.subject, err = ids.Parse(prefix, v.Subject); err != nil {
		return v, unauthorized()
	}
	return v, nil
}

// subject is what must be looked up about a token, besides its key.
type subject struct {
	revoked bool
	member  Member
}

type subjectKey struct {
	agencyID    int64
	token, owns ids.ID
}

const revokedSQL = `
select exists (select from revoked_tokens where agency_id = @agency_id and id = any (@ids) and revoked_at >= @issued_at)`

// authenticateToken tells who acts by a token.
func (t *Tenants) authenticateToken(ctx context.Context, text string) (Principal, error) {
	v, err := t.verify(ctx, text, 0)
	if err != nil {
		return Principal{}, err
	}
	if v.Audience[0] == audienceVisitor {
		return t.visitor(ctx, v)
	}
	s, ok, err := t.subject(ctx, v)
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("look up a member: %w", err)
	case !ok || s.revoked || s.member.Status == "disabled":
		return Principal{}, unauthorized()
	}
	return Principal{
		AgencyID: v.agencyID, Agency: v.agency, KeyID: v.subject, Member: v.subject, Scopes: RoleScopes(s.member.Role),
		Confined: !s.member.Everywhere, Places: s.member.WorkspaceIDs,
	}, nil
}

func (t *Tenants) visitor(ctx context.Context, v verified) (Principal, error) {
	id, err := ids.Parse(ids.Workspace, v.Workspace)
	if err != nil {
		return Principal{}, unauthorized()
	}
	w, err := t.Workspace(ctx, v.agencyID, id)
	switch {
	case err != nil && fault.Of(err).Kind == fault.NotFound:
		return Principal{}, unauthorized()
	case err != nil:
		return Principal{}, err
	}
	s, ok, err := t.subject(ctx, v)
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("look up a visitor's token: %w", err)
	case !ok || s.revoked:
		return Principal{}, unauthorized()
	}
	return Principal{
		AgencyID: v.agencyID, Agency: v.agency, Workspace: w.Workspace, WorkspaceUUID: w.UUID, KeyID: v.subject, Visitor: v.subject, Verified: v.Verified,
		Scopes: Scopes{VisitorScope},
	}, nil
}

// subject reads whether a token still counts. Its owner's row says what a
// member may do by now.
func (t *Tenants) subject(ctx context.Context, v verified) (subject, bool, error) {
	return t.subjects.get(ctx, subjectKey{v.agencyID, v.id, v.subject}, func(ctx context.Context) (s subject, ok bool, err error) {
		err = t.db.InAgency(ctx, v.agencyID, func(tx pgx.Tx) error {
			if v.Audience[0] == audienceMember {
				if s.member, err = readMember(ctx, tx, v.agencyID, v.subject); err != nil {
					return err
				}
			}
			return tx.QueryRow(ctx, revokedSQL, pgx.StrictNamedArgs{
				"agency_id": v.agencyID, "ids": []ids.ID{v.id, v.subject}, "issued_at": v.id.Time(),
			}).Scan(&s.revoked)
		})
		if err != nil && fault.Of(err).Kind == fault.NotFound {
			return subject{}, false, nil
		}
		return s, err == nil, err
	})
}

const (
	revokeSQL = `
insert into revoked_tokens (agency_id, id, revoked_at, expires_at) values (@agency_id, @id, @now, @expires_at)
on conflict (agency_id, id) do update set revoked_at = excluded.revoked_at, expires_at = excluded.expires_at`
	forgetRevokedSQL = `delete from revoked_tokens where agency_id = @agency_id and expires_at < @now`
)

// RevokeTokens refuses a token, by its id, or all that a member or contact was
// given until now, by theirs: on this node at once, on others within two
// seconds. That a member exists is not asked: their tokens are refused anyway.
func (t *Tenants) RevokeTokens(ctx context.Context, agencyID int64, id ids.ID) error {
	now := t.clock.Now()
	err := t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, forgetRevokedSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "now": now}); err != nil {
			return err
		}
		return revoke(ctx, tx, agencyID, id, now)
	})
	if err != nil {
		return fmt.Errorf("revoke tokens: %w", err)
	}
	t.forgetTokens(id)
	return nil
}

func revoke(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID, now time.Time) error {
	_, err := tx.Exec(ctx, revokeSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id, "now": now, "expires_at": now.Add(keptKeys)})
	return err
}

func (t *Tenants) forgetTokens(id ids.ID) {
	t.subjects.forget(func(k subjectKey, _ subject) bool { return k.token == id || k.owns == id })
}

// EraseTokens refuses an erased contact's tokens; it takes part in erasing.
func (t *Tenants) EraseTokens(ctx context.Context, tx pgx.Tx, w postgres.Workspace, contact ids.ID, _ []ids.ID) error {
	if err := revoke(ctx, tx, w.AgencyID, contact, t.clock.Now()); err != nil {
		return fmt.Errorf("revoke an erased contact's tokens: %w", err)
	}
	return nil
}
