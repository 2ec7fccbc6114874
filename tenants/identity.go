package tenants

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

// IdentitySecretPrefix begins the id of a workspace's identity secret.
const IdentitySecretPrefix ids.Prefix = "ids"

// identityLeeway is for the clock of the client's site, which isn't ours.
const identityLeeway = 30 * time.Second

// IdentitySecret is a secret by which a client's site proves who its visitor
// is, as it was just made: it is shown once.
type IdentitySecret struct {
	ID        ids.ID
	Secret    string
	CreatedAt time.Time
}

// Identity is who a visitor is, by the word of the client's site.
type Identity struct {
	ExternalID                   string
	Name, Email, Phone, Language *string
	Attributes                   map[string]string
}

const (
	retireIdentitySQL = `
with gone as (delete from identity_secrets where workspace_id = @workspace_id and expires_at < @now)
update identity_secrets set expires_at = @expires_at where workspace_id = @workspace_id and expires_at is null`
	insertIdentitySQL = `
insert into identity_secrets (agency_id, workspace_id, id, sealed, created_at) values (@agency_id, @workspace_id, @id, @sealed, @now)`
	readIdentitySQL = `
select id, sealed from identity_secrets where workspace_id = @workspace_id and (expires_at is null or expires_at > @now) order by expires_at nulls first`
	lockWorkspaceSQL = `select 1 from workspaces where workspace_id = @workspace_id for no key update`
)

func sealedIdentity(id ids.ID) string {
	return "identity secret:" + ids.Format(IdentitySecretPrefix, id)
}

// RotateIdentitySecret makes the workspace's identity secret, or another one;
// the old one is believed for the overlap.
func (t *Tenants) RotateIdentitySecret(ctx context.Context, w postgres.Workspace, overlap time.Duration, r *receipts.Receipt) (made IdentitySecret, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return made, invalid("/overlap_seconds", "At most a week (%d seconds).", int64(MaxOverlap/time.Second))
	}
	if t.options.Box == nil {
		return made, fault.New(fault.Unavailable, "unavailable", "This server keeps no secrets.")
	}
	now := t.clock.Now()
	err = t.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		made, err = receipts.Once(ctx, tx, r, func() (IdentitySecret, error) {
			made := IdentitySecret{ID: ids.New(now), Secret: "rd_is_" + rand.Text() + rand.Text(), CreatedAt: now}
			if _, err := tx.Exec(ctx, lockWorkspaceSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}); err != nil {
				return made, err
			}
			if _, err := tx.Exec(ctx, retireIdentitySQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "now": now, "expires_at": now.Add(overlap)}); err != nil {
				return made, err
			}
			_, err := tx.Exec(ctx, insertIdentitySQL, pgx.StrictNamedArgs{
				"agency_id": w.AgencyID, "workspace_id": w.ID, "id": made.ID, "sealed": t.options.Box.Seal(sealedIdentity(made.ID), []byte(made.Secret)), "now": now,
			})
			return made, err
		})
		return err
	})
	if err != nil {
		return IdentitySecret{}, fmt.Errorf("rotate an identity secret: %w", err)
	}
	return made, nil
}

type identityClaims struct {
	jwt.RegisteredClaims
	Name       *string           `json:"name"`
	Email      *string           `json:"email"`
	Phone      *string           `json:"phone"`
	Language   *string           `json:"language"`
	Attributes map[string]string `json:"attributes"`
}

// Identify believes what a client's site says of its visitor: a JWT signed with
// the workspace's identity secret, for this workspace, that ends. Every reason
// not to is the same fault.
func (t *Tenants) Identify(ctx context.Context, p Principal, text string) (Identity, error) {
	secrets, err := t.identitySecrets(ctx, p.Workspace)
	if err != nil {
		return Identity{}, err
	}
	doubt := &FieldError{
		Fault:   fault.New(fault.Invalid, "identity_invalid", "The identity is no JWT that the workspace's secret signed with HS256 for this workspace, with sub and exp, and still good."),
		Pointer: "/identity",
	}
	if len(secrets.Keys) == 0 || len(text) > maxToken {
		return Identity{}, doubt
	}
	now := t.clock.Now()
	var c identityClaims
	_, err = jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithAudience(ids.Format(ids.Workspace, p.WorkspaceUUID)), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(identityLeeway), jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }),
	).ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return secrets, nil })
	if err != nil || c.Subject == "" || utf8.RuneCountInString(c.Subject) > 255 || len(c.Audience) != 1 || !short(c.Attributes) {
		return Identity{}, doubt
	}
	if c.Language != nil {
		spoken, _ := Language(*c.Language) // a site that misnames it still says who its visitor is
		c.Language = &spoken
	}
	return Identity{c.Subject, c.Name, c.Email, c.Phone, c.Language, c.Attributes}, nil
}

func short(attributes map[string]string) bool {
	for name, value := range attributes {
		if name == "" || utf8.RuneCountInString(name) > 40 || utf8.RuneCountInString(value) > 500 {
			return false
		}
	}
	return len(attributes) <= 50
}

func (t *Tenants) identitySecrets(ctx context.Context, w postgres.Workspace) (set jwt.VerificationKeySet, err error) {
	if t.options.Box == nil {
		return set, nil
	}
	err = t.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, readIdentitySQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "now": t.clock.Now()})
		if err != nil {
			return err
		}
		var id ids.ID
		var sealed []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &sealed}, func() error {
			secret, err := t.options.Box.Open(sealedIdentity(id), sealed)
			set.Keys = append(set.Keys, secret)
			return err
		})
		return err
	})
	if err != nil {
		return set, fmt.Errorf("read identity secrets: %w", err)
	}
	return set, nil
}

// Earlier tells whose thread an anonymous visitor's token belongs to, also for
// a while after its end. One of a visitor who was identified, of another
// workspace, or revoked, tells nothing.
func (t *Tenants) Earlier(ctx context.Context, p Principal, text string) (contact ids.ID, ok bool, err error) {
	if !isToken(text) {
		return ids.ID{}, false, nil
	}
	v, err := t.verify(ctx, text, VisitorRenewal)
	if err != nil {
		if fault.Of(err).Code == "unauthorized" {
			return ids.ID{}, false, nil
		}
		return ids.ID{}, false, err
	}
	if v.Audience[0] != audienceVisitor || v.Verified || v.agencyID != p.AgencyID || v.Workspace != ids.Format(ids.Workspace, p.WorkspaceUUID) {
		return ids.ID{}, false, nil
	}
	s, found, err := t.subject(ctx, v)
	if err != nil {
		return ids.ID{}, false, fmt.Errorf("look up an earlier token: %w", err)
	}
	return v.subject, found && !s.revoked, nil
}
