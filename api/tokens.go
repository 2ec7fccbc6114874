package api

import (
	"context"
	"time"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

type createMemberToken struct{ Body MemberTokenCreate }

// MemberTokenCreate says who is to act by a token, and for how long.
type MemberTokenCreate struct {
	MemberID  string `json:"member_id" doc:"The member who acts by it." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ExpiresIn int    `json:"expires_in,omitempty" minimum:"60" maximum:"43200" doc:"For how many seconds; an hour when absent." example:"3600"`
}

func (s *Server) createMemberToken(ctx context.Context, c *Call, in *createMemberToken) (objects.MemberToken, error) {
	member, err := parseField(ids.Member, in.Body.MemberID, "member", "/member_id")
	if err != nil {
		return objects.MemberToken{}, err
	}
	t, err := s.tenants.MemberToken(ctx, c.Principal, member, time.Duration(in.Body.ExpiresIn)*time.Second)
	return objects.FromMemberToken(t, member), err
}

type revokeTokens struct{ Body TokenRevocation }

// TokenRevocation says which tokens are refused from now on: exactly one of
// its fields.
type TokenRevocation struct {
	TokenID   string `json:"token_id,omitempty" doc:"One token." example:"tok_01kb2m3n4p5q6r7s8t9v0wxyza"`
	MemberID  string `json:"member_id,omitempty" doc:"All that this member was given until now." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ContactID string `json:"contact_id,omitempty" doc:"All that this visitor was given until now." example:"cont_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) revokeTokens(ctx context.Context, c *Call, in *revokeTokens) (none, error) {
	var all []ids.ID
	for _, f := range []struct {
		prefix              ids.Prefix
		text, what, pointer string
	}{
		{tenants.TokenPrefix, in.Body.TokenID, "token", "/token_id"},
		{ids.Member, in.Body.MemberID, "member", "/member_id"},
		{ids.Contact, in.Body.ContactID, "contact", "/contact_id"},
	} {
		id, err := optionalField(f.prefix, f.text, f.what, f.pointer)
		if err != nil {
			return none{}, err
		}
		if !id.IsZero() {
			all = append(all, id)
		}
	}
	if len(all) != 1 {
		return none{}, invalid("", "Exactly one of token_id, member_id and contact_id is needed.")
	}
	if in.Body.MemberID != "" {
		if _, err := s.tenants.Member(ctx, c.Scope(), all[0]); err != nil {
			return none{}, err
		}
	}
	return none{}, s.tenants.RevokeTokens(ctx, c.Principal.AgencyID, all[0])
}

func (s *Server) rotateSigningKey(ctx context.Context, c *Call, _ *nothing) (objects.SigningKey, error) {
	k, err := s.tenants.RotateSigningKey(ctx, c.Principal.AgencyID, c.Receipt)
	return objects.FromSigningKey(k), err
}

// actor is the member for whom a request acts: the one whose token it shows,
// whom the body may name, too, or the one whom a key names. Zero: nobody was
// named.
func (c *Call) actor(named, pointer string) (ids.ID, error) {
	member, err := optionalField(ids.Member, named, "member", pointer)
	me := c.Principal.Member
	switch {
	case me.IsZero() || err != nil && named == "":
		return member, err
	case named != "" && (err != nil || member != me):
		return ids.ID{}, &tenants.FieldError{Fault: fault.New(fault.Denied, "another_member", "A member's token acts for that member only."), Pointer: pointer}
	}
	return me, nil
}

// someone is an actor who has to be known.
func (c *Call) someone(named, pointer string) (ids.ID, error) {
	member, err := c.actor(named, pointer)
	if err == nil && member.IsZero() {
		return member, invalid(pointer, "A key says which member it acts for.")
	}
	return member, err
}

// noMember refuses that a member speaks as the visitor.
func (c *Call) noMember(pointer string) error {
	if c.Principal.Member.IsZero() {
		return nil
	}
	return &tenants.FieldError{Fault: fault.New(fault.Denied, "another_member", "A member's token can't speak for a visitor."), Pointer: pointer}
}
