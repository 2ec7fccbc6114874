package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a server without zone files knows them too
	"unicode"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

// Workspace is one client of an agency: a tenant.
type Workspace struct {
	postgres.Workspace        // the numbers inside the database
	UUID               ids.ID // what the API shows
	Name, Slug         string
	TimeZone           string   // IANA name
	Languages          []string // BCP 47, the first is the main one; empty: any
	Status             string   // active, suspended, deleting
	Metadata           map[string]string
	Version            int64
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

// NewWorkspace is what a workspace is made of.
type NewWorkspace struct {
	Name      string
	Slug      string // empty: from the name. One that is taken gets a suffix
	TimeZone  string // empty: UTC
	Languages []string
	Metadata  map[string]string
}

// WorkspaceChange says what to change; nil leaves a field as it is.
type WorkspaceChange struct {
	Name, Slug, TimeZone, Status *string
	Languages                    *[]string
	Metadata                     *map[string]string
	IfVersion                    int64 // 0: whatever it is now
}

// WorkspaceFilter narrows a list; empty fields don't.
type WorkspaceFilter struct{ Slug, Status string }

type workspaceName struct {
	agencyID int64
	id       ids.ID
}

// Workspace finds a workspace of an agency by the id that the API shows. The
// answer may be two seconds old. One that is being deleted is not found.
func (t *Tenants) Workspace(ctx context.Context, agencyID int64, id ids.ID) (Workspace, error) {
	w, ok, err := t.workspaces.get(ctx, workspaceName{agencyID, id}, func(ctx context.Context) (w Workspace, ok bool, err error) {
		err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
			w, err = readWorkspace(ctx, tx, agencyID, id)
			return err
		})
		if fault.Of(err).Kind == fault.NotFound {
			return Workspace{}, false, nil
		}
		return w, err == nil, err
	})
	switch {
	case err != nil:
		return Workspace{}, fmt.Errorf("find a workspace: %w", err)
	case !ok:
		return Workspace{}, noWorkspace()
	}
	return w, nil
}

// ReadWorkspace gives a workspace as it is now.
func (t *Tenants) ReadWorkspace(ctx context.Context, s Scope, id ids.ID) (w Workspace, err error) {
	err = s.In(ctx, t.db, func(tx pgx.Tx) error {
		w, err = readWorkspace(ctx, tx, s.AgencyID, id)
		return err
	})
	return w, err
}

// Workspaces lists the workspaces in scope, newest first, and tells whether
// there are more.
func (t *Tenants) Workspaces(ctx context.Context, s Scope, f WorkspaceFilter, p Page) (all []Workspace, more bool, err error) {
	err = s.In(ctx, t.db, func(tx pgx.Tx) error {
		all, err = listWorkspaces(ctx, tx, s.AgencyID, f, p)
		return err
	})
	all, more = split(all, p.Limit)
	return all, more, err
}

// CreateWorkspace makes a workspace with a slug that no other one of the agency has.
func (t *Tenants) CreateWorkspace(ctx context.Context, agencyID int64, made NewWorkspace, r *receipts.Receipt) (Workspace, error) {
	if made.TimeZone == "" {
		made.TimeZone = "UTC"
	}
	languages, err := checkWorkspace(&made.TimeZone, &made.Languages)
	if err != nil {
		return Workspace{}, err
	}
	now := t.clock.Now()
	w := Workspace{
		Workspace: postgres.Workspace{AgencyID: agencyID}, UUID: ids.New(now), Name: made.Name, TimeZone: made.TimeZone,
		Languages: languages, Status: "active", Metadata: made.Metadata, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		w, err = receipts.Once(ctx, tx, r, func() (Workspace, error) {
			wanted := made.Slug
			if wanted == "" {
				wanted = made.Name
			}
			if w.Slug, err = freeSlug(ctx, tx, agencyID, ids.ID{}, wanted); err != nil {
				return w, err
			}
			if err := insertWorkspace(ctx, tx, &w); err != nil {
				return w, err
			}
			return w, t.tell(ctx, tx, events.WorkspaceCreated, w, nil)
		})
		return err
	})
	if err != nil {
		return Workspace{}, fmt.Errorf("create a workspace: %w", err)
	}
	t.forgetWorkspace(w.UUID)
	return w, nil
}

// UpdateWorkspace changes a workspace in scope.
func (t *Tenants) UpdateWorkspace(ctx context.Context, s Scope, id ids.ID, c WorkspaceChange, r *receipts.Receipt) (w Workspace, err error) {
	languages, err := checkWorkspace(c.TimeZone, c.Languages)
	if err != nil {
		return Workspace{}, err
	}
	if c.Languages != nil {
		c.Languages = &languages
	}
	// In the agency's scope also for a workspace's own key: only there can it be
	// seen which slugs are taken.
	err = t.db.InAgency(ctx, s.AgencyID, func(tx pgx.Tx) error {
		w, err = receipts.Once(ctx, tx, r, func() (Workspace, error) {
			if c.Slug != nil {
				slug, err := freeSlug(ctx, tx, s.AgencyID, id, *c.Slug)
				if err != nil {
					return Workspace{}, err
				}
				c.Slug = &slug
			}
			w, err := updateWorkspace(ctx, tx, s, id, c, t.clock.Now())
			if err != nil {
				return w, err
			}
			return w, t.tell(ctx, tx, events.WorkspaceUpdated, w, map[string]any{"status": w.Status})
		})
		return err
	})
	if err != nil {
		return Workspace{}, fmt.Errorf("update a workspace: %w", err)
	}
	t.forgetWorkspace(id)
	return w, nil
}

// DeleteWorkspace begins a workspace's deletion: from now on it is not found,
// its keys are refused, and its jobs and timers stop when they look. Its rows
// are still there: the purge that takes them away is not part of this verb.
func (t *Tenants) DeleteWorkspace(ctx context.Context, agencyID int64, id ids.ID, ifVersion int64) error {
	err := t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		status := "deleting"
		w, err := updateWorkspace(ctx, tx, Scope{AgencyID: agencyID}, id, WorkspaceChange{Status: &status, IfVersion: ifVersion}, t.clock.Now())
		if err != nil {
			return err
		}
		return t.tell(ctx, tx, events.WorkspaceDeleted, w, nil)
	})
	if err != nil {
		return fmt.Errorf("delete a workspace: %w", err)
	}
	t.forgetWorkspace(id)
	t.keys.forget(func(_ keyHash, k foundKey) bool { return k.WorkspaceUUID == id })
	return nil
}

func (t *Tenants) forgetWorkspace(id ids.ID) {
	t.workspaces.forget(func(n workspaceName, _ Workspace) bool { return n.id == id })
}

// tell appends an event about a workspace, which belongs to its own log.
func (t *Tenants) tell(ctx context.Context, tx pgx.Tx, kind events.Type, w Workspace, changes map[string]any) error {
	e := events.Event{
		ID: ids.New(w.UpdatedAt), AgencyID: w.AgencyID, WorkspaceID: w.ID, Type: kind, Object: w.UUID, At: w.UpdatedAt,
	}
	if changes != nil {
		text, err := json.Marshal(changes)
		if err != nil {
			return err
		}
		e.Changes = text
	}
	return events.Append(ctx, tx, e)
}

func noWorkspace() error { return fault.New(fault.NotFound, "not_found", "No such workspace.") }

// checkWorkspace checks what only we can check, and writes languages in their
// usual form.
func checkWorkspace(zone *string, languages *[]string) ([]string, error) {
	if zone != nil {
		if err := checkZone(*zone); err != nil {
			return nil, err
		}
	}
	canonical := []string{}
	if languages == nil {
		return canonical, nil
	}
	for i, l := range *languages {
		name, ok := Language(l)
		if !ok {
			return nil, invalid("/languages/"+strconv.Itoa(i), "This is no language that BCP 47 knows, such as en or pt-BR.")
		}
		canonical = append(canonical, name)
	}
	return canonical, nil
}

func checkZone(name string) error {
	// Go takes "Local" for whatever zone the server is in.
	if _, err := time.LoadLocation(name); err != nil || name == "Local" || name == "" {
		return invalid("/time_zone", "There is no such time zone. It is written as in Europe/Berlin.")
	}
	return nil
}

const (
	slugLength = 60
	slugsSQL   = `
select slug from workspaces
where agency_id = @agency_id and id <> @id and (slug = @slug or starts_with(slug, @slug || '-'))`
	// lockAgencySQL lets slugs of an agency be chosen one after the other, and
	// leaves foreign keys alone.
	lockAgencySQL = `select 1 from agencies where agency_id = @agency_id for no key update`
)

// freeSlug makes a slug out of what is wanted that no other workspace has. The
// agency stays locked until the transaction ends.
func freeSlug(ctx context.Context, tx pgx.Tx, agencyID int64, id ids.ID, wanted string) (string, error) {
	if _, err := tx.Exec(ctx, lockAgencySQL, pgx.StrictNamedArgs{"agency_id": agencyID}); err != nil {
		return "", fmt.Errorf("lock the agency: %w", err)
	}
	slug := slugOf(wanted)
	rows, err := tx.Query(ctx, slugsSQL, pgx.StrictNamedArgs{"agency_id": agencyID, "id": id, "slug": slug})
	if err != nil {
		return "", fmt.Errorf("read slugs: %w", err)
	}
	taken := map[string]bool{}
	var one string
	if _, err := pgx.ForEachRow(rows, []any{&one}, func() error { taken[one] = true; return nil }); err != nil {
		return "", fmt.Errorf("read slugs: %w", err)
	}
	free := slug
	for n := 2; taken[free]; n++ {
		free = slug + "-" + strconv.Itoa(n)
	}
	return free, nil
}

// slugOf writes a name in lower-case ASCII letters, digits and single hyphens.
func slugOf(name string) string {
	var b strings.Builder
	hyphen := false
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			if hyphen && b.Len() > 0 {
				b.WriteByte('-')
			}
			hyphen = false
			b.WriteRune(r)
		case !unicode.Is(unicode.Mn, r): // an accent that was split off its letter leaves no gap
			hyphen = true
		}
		if b.Len() >= slugLength {
			break
		}
	}
	if b.Len() == 0 {
		return "workspace"
	}
	return b.String()
}
