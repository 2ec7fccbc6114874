package tenants

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// Scopes are what a key may do. "*" is everything.
type Scopes []string

// AllScopes are those that there are, besides "*".
var AllScopes = Scopes{
	"agency:read", "agency:write", "members:read", "members:write", "api_keys:read", "api_keys:write",
	"workspaces:read", "workspaces:write", "knowledge:read", "knowledge:write", "contacts:read", "contacts:write",
	"conversations:read", "conversations:write", "webhooks:read", "webhooks:write", "events:read",
}

// Allow tells whether they contain a scope.
func (s Scopes) Allow(scope string) bool {
	return slices.Contains(s, "*") || slices.Contains(s, scope)
}

// Principal is who makes a request.
type Principal struct {
	AgencyID      int64
	Agency        ids.ID
	Workspace     postgres.Workspace // ID 0: a key of the whole agency
	WorkspaceUUID ids.ID
	KeyID         ids.ID // of a token: its member or contact
	Scopes        Scopes

	Member   ids.ID   // who acts, by a member's token
	Confined bool     // the member works in Places only
	Places   []ids.ID // workspaces
	Visitor  ids.ID   // whose contact acts, by a visitor's token
	Verified bool     // the client's site vouched for the visitor
}

// The scopes of publishable keys and of visitors' tokens. Nobody is given them
// otherwise.
const (
	SessionScope = "visitor:session"
	VisitorScope = "visitor"
)

// Reaches tells whether a member works in a workspace; a key is asked no such
// question.
func (p Principal) Reaches(workspace ids.ID) bool {
	return !p.Confined || slices.Contains(p.Places, workspace)
}

// Scope is all that the principal can see.
func (p Principal) Scope() Scope { return Scope{AgencyID: p.AgencyID, Workspace: p.Workspace} }

// lastUse is how often a key's last use is written.
const lastUse = time.Minute

type keyHash [sha256.Size]byte

type foundKey struct {
	Principal
	expires *time.Time
}

// Authenticate tells whose key or token it is. One that is unknown, mistyped, expired
// or revoked is the same fault; revoking takes effect within two seconds on
// every node.
//
// What is compared is a hash, by an index: the time that it takes tells
// nothing about the keys that exist.
func (t *Tenants) Authenticate(ctx context.Context, key string) (Principal, error) {
	if isToken(key) {
		return t.authenticateToken(ctx, key)
	}
	if !secrets.WellFormed(key) {
		return Principal{}, unauthorized()
	}
	hash := keyHash(secrets.Hash(key))
	found, ok, err := t.keys.get(ctx, hash, func(ctx context.Context) (foundKey, bool, error) {
		return t.findKey(ctx, hash)
	})
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("look up a key: %w", err)
	case !ok || found.expires != nil && !t.clock.Now().Before(*found.expires):
		return Principal{}, unauthorized()
	}
	return found.Principal, nil
}

func unauthorized() error {
	return fault.New(fault.Denied, "unauthorized", "A valid API key or token is needed: Authorization: Bearer rd_sk_…")
}

const findKeySQL = `
select agency_id, agency, workspace_id, workspace, id, scopes, expires_at, last_used_at from find_api_key($1)`

func (t *Tenants) findKey(ctx context.Context, hash keyHash) (found foundKey, ok bool, err error) {
	var workspaceID *int64
	var workspace *ids.ID
	var lastUsed *time.Time
	err = t.db.OneTripInSystem(ctx, findKeySQL, []any{hash[:]}, func(row pgx.Row) error {
		return row.Scan(&found.AgencyID, &found.Agency, &workspaceID, &workspace, &found.KeyID, &found.Scopes, &found.expires, &lastUsed)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return foundKey{}, false, nil
	case err != nil:
		return foundKey{}, false, err
	}
	if workspaceID != nil && workspace != nil {
		found.Workspace = postgres.Workspace{AgencyID: found.AgencyID, ID: *workspaceID}
		found.WorkspaceUUID = *workspace
	}
	now := t.clock.Now()
	if (lastUsed == nil || now.Sub(*lastUsed) >= lastUse) && (found.expires == nil || now.Before(*found.expires)) {
		t.noteUse(ctx, found.Principal)
	}
	return found, true, nil
}

// usedKeys are the keys whose last use is to be written, by agency. One writer
// at a time takes them, so that however many keys come into use at once, they
// hold one connection.
type usedKeys struct {
	mu      sync.Mutex
	pending map[int64][]ids.ID
	writers sync.WaitGroup
}

// noteUse has a key's last use written beside the request. It is called when a
// key is looked up, which is at least as often as it is to be written.
func (t *Tenants) noteUse(ctx context.Context, p Principal) {
	t.used.mu.Lock()
	defer t.used.mu.Unlock()
	writing := t.used.pending != nil
	if !writing {
		t.used.pending = map[int64][]ids.ID{}
	}
	t.used.pending[p.AgencyID] = append(t.used.pending[p.AgencyID], p.KeyID)
	if !writing {
		t.used.writers.Go(func() { t.writeUses(context.WithoutCancel(ctx)) })
	}
}

const noteUseSQL = `
update api_keys set last_used_at = @now
where agency_id = @agency_id and id = any (@ids) and (last_used_at is null or last_used_at < @now)`

func (t *Tenants) writeUses(ctx context.Context) {
	for {
		now := t.clock.Now()
		t.used.mu.Lock()
		taken := t.used.pending
		if len(taken) == 0 {
			t.used.pending = nil // the next one starts a writer
			t.used.mu.Unlock()
			return
		}
		t.used.pending = map[int64][]ids.ID{}
		t.used.mu.Unlock()
		for agencyID, keys := range taken {
			ctx, cancel := context.WithTimeout(ctx, patience)
			err := t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, noteUseSQL, pgx.StrictNamedArgs{"now": now, "agency_id": agencyID, "ids": keys})
				return err
			})
			cancel()
			if err != nil { // the next look-up tries again
				t.log.WarnContext(ctx, "write the last use of keys", "keys", len(keys), "error", err)
			}
		}
	}
}
