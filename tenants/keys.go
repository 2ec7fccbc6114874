package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/receipts"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// Key is an API key, without the secret that it is used by.
type Key struct {
	AgencyID   int64
	ID         ids.ID
	Name       string
	Workspace  ids.ID // zero: a key of the whole agency
	Scopes     Scopes
	Last4      string
	ExpiresAt  *time.Time
	LastUsedAt *time.Time
	Version    int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// MadeKey is a key that was just made, with the secret that is shown once.
type MadeKey struct {
	Key
	Secret string
}

// NewKey is what a key is made of.
type NewKey struct {
	Name      string
	Scopes    Scopes
	Workspace ids.ID    // zero: for the whole agency
	ExpiresAt time.Time // zero: never
	// Publishable makes a key that may stand in a web page: with it a browser
	// gets a visitor's token in the workspace, and nothing else. It has no scopes.
	Publishable bool
}

// Publishable tells whether the key may stand in a web page.
func (k Key) Publishable() bool { return slices.Contains(k.Scopes, SessionScope) }

// KeyChange says what to change; nil leaves a field as it is.
type KeyChange struct {
	Name      *string
	Scopes    *Scopes
	ExpiresAt *time.Time // the zero time: never
	IfVersion int64      // 0: whatever it is now
}

// MaxOverlap is how long a key may live on after it was rolled.
const MaxOverlap = 7 * 24 * time.Hour

// Key gives a key as it is now.
func (t *Tenants) Key(ctx context.Context, agencyID int64, id ids.ID) (k Key, err error) {
	err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		k, err = readKey(ctx, tx, agencyID, id)
		return err
	})
	return k, err
}

// Keys lists an agency's keys, newest first, and tells whether there are more.
func (t *Tenants) Keys(ctx context.Context, agencyID int64, p Page) (all []Key, more bool, err error) {
	err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		all, err = listKeys(ctx, tx, agencyID, p)
		return err
	})
	all, more = split(all, p.Limit)
	return all, more, err
}

// CreateKey makes a key that may do at most what its maker may.
func (t *Tenants) CreateKey(ctx context.Context, maker Principal, made NewKey, r *receipts.Receipt) (MadeKey, error) {
	now := t.clock.Now()
	if err := made.check(maker); err != nil {
		return MadeKey{}, err
	}
	if made.Publishable {
		made.Scopes = Scopes{SessionScope}
	}
	if !made.ExpiresAt.IsZero() && !made.ExpiresAt.After(now) {
		return MadeKey{}, invalid("/expires_at", "This moment has passed.")
	}
	k := t.newKey(maker.AgencyID, made.Publishable, now)
	k.Name, k.Scopes, k.Workspace, k.ExpiresAt = made.Name, slices.Compact(slices.Sorted(slices.Values(made.Scopes))), made.Workspace, timeOrNull(made.ExpiresAt)
	err := t.db.InAgency(ctx, maker.AgencyID, func(tx pgx.Tx) (err error) {
		k, err = receipts.Once(ctx, tx, r, func() (MadeKey, error) { return k, insertKey(ctx, tx, k) })
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return MadeKey{}, unknown("/workspace_id", "workspace")
	case err != nil:
		return MadeKey{}, fmt.Errorf("create a key: %w", err)
	}
	return k, nil
}

// UpdateKey changes a key. What it may do can't exceed what the changer may.
func (t *Tenants) UpdateKey(ctx context.Context, changer Principal, id ids.ID, c KeyChange, r *receipts.Receipt) (k Key, err error) {
	if c.Scopes != nil {
		if err := checkScopes(changer, *c.Scopes); err != nil {
			return Key{}, err
		}
		sorted := Scopes(slices.Compact(slices.Sorted(slices.Values(*c.Scopes))))
		c.Scopes = &sorted
	}
	err = t.db.InAgency(ctx, changer.AgencyID, func(tx pgx.Tx) error {
		k, err = receipts.Once(ctx, tx, r, func() (Key, error) {
			// Otherwise a key could be given a longer life, or a new name, by one
			// that may do less.
			now, err := readKey(ctx, tx, changer.AgencyID, id)
			if err == nil {
				err = checkKey(changer, now)
			}
			if err == nil && c.Scopes != nil && now.Publishable() {
				err = invalid("/scopes", "A publishable key has no scopes.")
			}
			if err != nil {
				return Key{}, err
			}
			return updateKey(ctx, tx, changer.AgencyID, id, c, t.clock.Now())
		})
		return err
	})
	if err != nil {
		return Key{}, fmt.Errorf("update a key: %w", err)
	}
	t.forgetKey(id)
	return k, nil
}

// RollKey makes another key that may do the same, and lets the old one live on
// for a while, so that its users can change over.
func (t *Tenants) RollKey(ctx context.Context, roller Principal, id ids.ID, overlap time.Duration, r *receipts.Receipt) (MadeKey, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return MadeKey{}, invalid("/overlap_seconds", "At most a week (%d seconds).", int64(MaxOverlap/time.Second))
	}
	now := t.clock.Now()
	var k MadeKey
	err := t.db.InAgency(ctx, roller.AgencyID, func(tx pgx.Tx) (err error) {
		k, err = receipts.Once(ctx, tx, r, func() (MadeKey, error) {
			old, err := lockKey(ctx, tx, roller.AgencyID, id)
			if err == nil {
				err = checkKey(roller, old)
			}
			if err != nil {
				return k, err
			}
			k = t.newKey(roller.AgencyID, old.Publishable(), now)
			if old.ExpiresAt != nil && !now.Before(*old.ExpiresAt) {
				return k, fault.New(fault.Conflict, "key_expired", "This key has expired. Make a new one.")
			}
			k.Name, k.Scopes, k.Workspace, k.ExpiresAt = old.Name, old.Scopes, old.Workspace, old.ExpiresAt
			end := now.Add(overlap)
			if old.ExpiresAt != nil && old.ExpiresAt.Before(end) {
				end = *old.ExpiresAt
			}
			if _, err := updateKey(ctx, tx, roller.AgencyID, id, KeyChange{ExpiresAt: &end}, now); err != nil {
				return k, err
			}
			return k, insertKey(ctx, tx, k)
		})
		return err
	})
	if err != nil {
		return MadeKey{}, fmt.Errorf("roll a key: %w", err)
	}
	t.forgetKey(id)
	return k, nil
}

// DeleteKey revokes a key, on this node at once, on others within two seconds.
func (t *Tenants) DeleteKey(ctx context.Context, agencyID int64, id ids.ID, ifVersion int64) error {
	err := t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error { return deleteKey(ctx, tx, agencyID, id, ifVersion) })
	if err != nil {
		return fmt.Errorf("delete a key: %w", err)
	}
	t.forgetKey(id)
	return nil
}

func (t *Tenants) newKey(agencyID int64, publishable bool, now time.Time) MadeKey {
	kind, test := secrets.SecretLive, secrets.SecretTest
	if publishable {
		kind, test = secrets.PublishableLive, secrets.PublishableTest
	}
	if t.options.TestKeys {
		kind = test
	}
	secret := secrets.NewKey(kind)
	return MadeKey{
		Key:    Key{AgencyID: agencyID, ID: ids.New(now), Last4: secrets.Last4(secret), Version: 1, CreatedAt: now, UpdatedAt: now},
		Secret: secret,
	}
}

func (t *Tenants) forgetKey(id ids.ID) {
	t.keys.forget(func(_ keyHash, k foundKey) bool { return k.KeyID == id })
}

func (made NewKey) check(maker Principal) error {
	switch {
	case !made.Publishable && len(made.Scopes) == 0:
		return invalid("/scopes", "A key needs a scope.")
	case !made.Publishable:
		return checkScopes(maker, made.Scopes)
	case len(made.Scopes) > 0:
		return invalid("/scopes", "A publishable key has no scopes.")
	case made.Workspace.IsZero():
		return invalid("/workspace_id", "A publishable key is for one workspace.")
	}
	return checkScopes(maker, sessionNeeds)
}

// sessionNeeds are the scopes that whoever hands out a publishable key has:
// visitors make contacts and conversations.
var sessionNeeds = Scopes{"contacts:write", "conversations:write"}

// checkKey refuses to let a key be changed by one that may do less.
func checkKey(changer Principal, k Key) error {
	if k.Publishable() {
		return checkScopes(changer, sessionNeeds)
	}
	return checkScopes(changer, k.Scopes)
}

// checkScopes refuses what there is not, and what the giver has not itself.
func checkScopes(giver Principal, given Scopes) error {
	for i, s := range given {
		switch {
		case s != "*" && !slices.Contains(AllScopes, s):
			return invalid("/scopes/"+strconv.Itoa(i), "There is no such scope.")
		case !giver.Scopes.Allow(s):
			return fault.New(fault.Denied, "scope_missing", "A key can't give the scope %s, which it has not itself.", s)
		}
	}
	return nil
}
