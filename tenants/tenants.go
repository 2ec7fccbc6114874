// Package tenants knows who is served: agencies, their workspaces (the tenants
// proper, each walled off from all others), the members who work there, and
// the API keys by which programs act.
//
// Everything above asks it two questions on each request. Authenticate turns a
// key into a Principal: which agency, perhaps which one workspace, and what it
// may do. Workspace turns the id that an agency key names into the numbers
// that row level security compares with. Both are answered from memory that is
// at most two seconds old, so a revoked key is refused on every node within
// two seconds, and a busy one costs the database one look-up in that time.
//
// Browsers act by tokens (tokens.go), which keys make: short-lived, signed by
// the agency's own key, and revocable in the same time.
package tenants

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/secrets"
)

// Options are what an installation may choose.
type Options struct {
	TestKeys bool         // keys are made as rd_sk_test_…, for a server on a developer's machine
	Box      *secrets.Box // seals what tokens are signed with; nil: no tokens
}

// Tenants serves agencies, workspaces, members and keys. It is safe for
// concurrent use.
type Tenants struct {
	db      *postgres.DB
	clock   clock.Clock
	log     *slog.Logger
	options Options

	keys       *lookups[keyHash, foundKey]
	workspaces *lookups[workspaceName, Workspace]
	signers    *lookups[int64, signer]       // by agency
	verifiers  *lookups[ids.ID, signer]      // by kid
	subjects   *lookups[subjectKey, subject] // of tokens whose signature is right
	origins    *lookups[int64, []string]     // by workspace
	known      *lookups[string, bool]        // origins of any workspace
	used       usedKeys
	uuids      sync.Map // uuidKey to ids.ID: 40 bytes for each workspace that was ever shown
}

// New makes the service.
func New(db *postgres.DB, c clock.Clock, log *slog.Logger, options Options) *Tenants {
	return &Tenants{
		db: db, clock: c, log: log, options: options,
		keys: newLookups[keyHash, foundKey](c), workspaces: newLookups[workspaceName, Workspace](c),
		signers: newLookups[int64, signer](c), verifiers: newLookups[ids.ID, signer](c), subjects: newLookups[subjectKey, subject](c),
		origins: newLookups[int64, []string](c), known: newLookups[string, bool](c),
	}
}

// Close waits for what is still being written beside the requests. Call it
// when no request comes in any more, before the database is closed.
func (t *Tenants) Close() { t.used.writers.Wait() }

// Scope is how far a reader sees: one workspace, or all of an agency.
type Scope struct {
	AgencyID  int64
	Workspace postgres.Workspace // ID 0: all workspaces of the agency
}

// In runs do in a transaction that sees just this much.
func (s Scope) In(ctx context.Context, db *postgres.DB, do func(tx pgx.Tx) error) error {
	if s.Workspace.ID == 0 {
		return db.InAgency(ctx, s.AgencyID, do)
	}
	return db.InWorkspace(ctx, s.Workspace, do)
}

// Of is the scope of one workspace.
func Of(w postgres.Workspace) Scope { return Scope{AgencyID: w.AgencyID, Workspace: w} }

// Page asks for a part of a list, newest first.
type Page struct {
	After ids.ID // the last one that was seen; zero: from the start
	Limit int
}

// FieldError is a fault about one field of what the caller sent.
type FieldError struct {
	*fault.Fault
	Pointer string // where it stands: "/support_hours/0/from"
}

// Unwrap gives the fault.
func (e *FieldError) Unwrap() error { return e.Fault }

// ProblemPointer tells a transport where the field stands.
func (e *FieldError) ProblemPointer() string { return e.Pointer }

func invalid(pointer, format string, args ...any) error {
	return &FieldError{Fault: fault.New(fault.Invalid, "validation_failed", format, args...), Pointer: pointer}
}

// unknown is a field that names what there is not, or is another tenant's.
func unknown(pointer, what string) error {
	return &FieldError{Fault: fault.New(fault.NotFound, "not_found", "No such %s.", what), Pointer: pointer}
}

// stale is what a change gets that was made from an older version.
func stale(what string) error {
	return fault.New(fault.Conflict, "precondition_failed", "This %s was changed meanwhile. Read it again.", what)
}

// changed tells why an update with a version found no row, or hands on err.
func changed(ctx context.Context, tx pgx.Tx, err error, what string, existsSQL string, args pgx.StrictNamedArgs) error {
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var exists bool
	if err := tx.QueryRow(ctx, existsSQL, args).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return stale(what)
	}
	return fault.New(fault.NotFound, "not_found", "No such %s.", what)
}

// split cuts what was read with a limit of one more than the page holds.
func split[T any](all []T, limit int) (page []T, more bool) {
	if len(all) > limit {
		return all[:limit], true
	}
	return all, false
}

// timeOrNull does so for a moment.
func timeOrNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
