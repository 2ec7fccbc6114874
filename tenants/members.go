package tenants

import (
	"context"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

// Member is a person of an agency's team.
type Member struct {
	AgencyID     int64
	ID           ids.ID
	Name, Email  string
	Role         string // owner, admin, agent, viewer
	Status       string // invited, active, disabled
	Everywhere   bool   // works in every workspace of the agency
	WorkspaceIDs []ids.ID
	Version      int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// NewMember is what a member is made of.
type NewMember struct {
	Name, Email, Role string
	Status            string    // empty: invited
	WorkspaceIDs      *[]ids.ID // nil: every workspace
}

// MemberChange says what to change; nil leaves a field as it is.
type MemberChange struct {
	Name, Email, Role, Status *string
	Everywhere                bool      // from now on in every workspace
	WorkspaceIDs              *[]ids.ID // from now on in these
	IfVersion                 int64     // 0: whatever it is now
}

// MemberFilter narrows a list; empty fields don't.
type MemberFilter struct{ Email, Role, Status string }

// Member gives a member as it is now. In a workspace's scope only those are
// found who work there.
func (t *Tenants) Member(ctx context.Context, s Scope, id ids.ID) (m Member, err error) {
	err = s.In(ctx, t.db, func(tx pgx.Tx) error {
		m, err = readMember(ctx, tx, s.AgencyID, id)
		return err
	})
	return m, err
}

// Members lists the members in scope, newest first, and tells whether there are more.
func (t *Tenants) Members(ctx context.Context, s Scope, f MemberFilter, p Page) (all []Member, more bool, err error) {
	err = s.In(ctx, t.db, func(tx pgx.Tx) error {
		all, err = listMembers(ctx, tx, s.AgencyID, f, p)
		return err
	})
	all, more = split(all, p.Limit)
	return all, more, err
}

// MembersByID gives those of the members that exist and are in tx's scope.
func MembersByID(ctx context.Context, tx pgx.Tx, wanted []ids.ID) (map[ids.ID]Member, error) {
	if len(wanted) == 0 {
		return map[ids.ID]Member{}, nil
	}
	return readMembers(ctx, tx, wanted)
}

// CreateMember adds a person to an agency's team. Nobody else of the agency
// has the same address.
func (t *Tenants) CreateMember(ctx context.Context, agencyID int64, made NewMember, r *receipts.Receipt) (Member, error) {
	if err := checkEmail(&made.Email); err != nil {
		return Member{}, err
	}
	if made.Status == "" {
		made.Status = "invited"
	}
	now := t.clock.Now()
	m := Member{
		AgencyID: agencyID, ID: ids.New(now), Name: made.Name, Email: made.Email, Role: made.Role, Status: made.Status,
		Everywhere: made.WorkspaceIDs == nil, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if made.WorkspaceIDs != nil {
		m.WorkspaceIDs = *made.WorkspaceIDs
	}
	err := t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) (err error) {
		m, err = receipts.Once(ctx, tx, r, func() (Member, error) {
			places, err := workspaceNumbers(ctx, tx, agencyID, made.WorkspaceIDs)
			if err != nil {
				return m, err
			}
			return m, insertMember(ctx, tx, m, places)
		})
		return err
	})
	if err != nil {
		return Member{}, fmt.Errorf("create a member: %w", sameAddress(err))
	}
	return m, nil
}

// UpdateMember changes a member.
func (t *Tenants) UpdateMember(ctx context.Context, agencyID int64, id ids.ID, c MemberChange, r *receipts.Receipt) (m Member, err error) {
	if err := checkEmail(c.Email); err != nil {
		return Member{}, err
	}
	err = t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error {
		m, err = receipts.Once(ctx, tx, r, func() (Member, error) {
			places, err := workspaceNumbers(ctx, tx, agencyID, c.WorkspaceIDs)
			if err != nil {
				return m, err
			}
			return updateMember(ctx, tx, agencyID, id, c, places, t.clock.Now())
		})
		return err
	})
	if err != nil {
		return Member{}, fmt.Errorf("update a member: %w", sameAddress(err))
	}
	t.forgetTokens(id)
	return m, nil
}

// DeleteMember removes a person from the team. What they wrote keeps their name.
func (t *Tenants) DeleteMember(ctx context.Context, agencyID int64, id ids.ID, ifVersion int64) error {
	err := t.db.InAgency(ctx, agencyID, func(tx pgx.Tx) error { return deleteMember(ctx, tx, agencyID, id, ifVersion) })
	if err != nil {
		return fmt.Errorf("delete a member: %w", err)
	}
	t.forgetTokens(id)
	return nil
}

// checkEmail takes a bare address, as a person's mailbox has.
func checkEmail(email *string) error {
	if email == nil {
		return nil
	}
	a, err := mail.ParseAddress(*email)
	if err != nil || a.Address != *email || strings.ContainsAny(*email, " \t\r\n") {
		return invalid("/email", "This is no e-mail address.")
	}
	return nil
}

func sameAddress(err error) error {
	if postgres.Violates(err, "members_email") {
		return fault.New(fault.Conflict, "email_taken", "Another member of the agency has this e-mail address.").Because(err)
	}
	return err
}

// workspaceNumbers translates what the API shows; nil stays nil.
func workspaceNumbers(ctx context.Context, tx pgx.Tx, agencyID int64, wanted *[]ids.ID) ([]int64, error) {
	if wanted == nil {
		return nil, nil
	}
	known, err := readNumbers(ctx, tx, agencyID, *wanted)
	if err != nil {
		return nil, err
	}
	numbers := make([]int64, len(*wanted))
	for i, id := range *wanted {
		n, ok := known[id]
		if !ok {
			return nil, unknown("/workspace_ids/"+strconv.Itoa(i), "workspace")
		}
		numbers[i] = n
	}
	return numbers, nil
}
