package api

import (
	"context"
	"strconv"
	"time"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

// nothing is the input of an operation that needs none.
type nothing struct{}

func (s *Server) getAgency(ctx context.Context, c *Call, _ *nothing) (objects.Agency, error) {
	a, err := s.tenants.Agency(ctx, c.Scope())
	c.Version = a.Version
	return objects.FromAgency(a), err
}

type updateAgency struct {
	Body AgencyUpdate
}

// AgencyUpdate changes an agency.
type AgencyUpdate struct {
	Name *string `json:"name,omitempty" minLength:"1" maxLength:"200" doc:"Its name." example:"Harbour Street Digital"`
}

func (s *Server) updateAgency(ctx context.Context, c *Call, in *updateAgency) (objects.Agency, error) {
	a, err := s.tenants.UpdateAgency(ctx, c.Principal.AgencyID, tenants.AgencyChange{Name: in.Body.Name, IfVersion: c.IfVersion}, c.Receipt)
	c.Version = a.Version
	return objects.FromAgency(a), err
}

type listMembers struct {
	Paged
	Email  string `query:"email" maxLength:"320" doc:"Only the member with this address."`
	Role   string `query:"role" enum:"owner,admin,agent,viewer" doc:"Only members with this role."`
	Status string `query:"status" enum:"invited,active,disabled" doc:"Only members with this status."`
}

func (s *Server) listMembers(ctx context.Context, c *Call, in *listMembers) (List[objects.Member], error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return List[objects.Member]{}, err
	}
	all, more, err := s.tenants.Members(ctx, c.Scope(), tenants.MemberFilter{Email: in.Email, Role: in.Role, Status: in.Status}, page)
	return list(c, all, more, func(m tenants.Member) ids.ID { return m.ID }, objects.FromMember), err
}

// MemberID is the member of a path.
type MemberID struct {
	ID string `path:"id" doc:"The member's id." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) getMember(ctx context.Context, c *Call, in *MemberID) (objects.Member, error) {
	id, err := parse(ids.Member, in.ID, "member")
	if err != nil {
		return objects.Member{}, err
	}
	m, err := s.tenants.Member(ctx, c.Scope(), id)
	c.Version = m.Version
	return objects.FromMember(m), err
}

type createMember struct {
	Body MemberCreate
}

// MemberCreate is what a member is made of.
type MemberCreate struct {
	Name         string    `json:"name" minLength:"1" maxLength:"200" doc:"Their name, as visitors see it." example:"Ada Moreau"`
	Email        string    `json:"email" minLength:"3" maxLength:"320" doc:"Their address, unique in the agency." example:"ada@agency.example"`
	Role         string    `json:"role" enum:"owner,admin,agent,viewer" doc:"What they may do." example:"agent"`
	Status       string    `json:"status,omitempty" enum:"invited,active,disabled" doc:"invited when absent." example:"active"`
	WorkspaceIDs *[]string `json:"workspace_ids,omitempty" maxItems:"1000" doc:"The workspaces where they work; absent: in all."`
}

func (s *Server) createMember(ctx context.Context, c *Call, in *createMember) (objects.Member, error) {
	places, err := workspaceIDs(in.Body.WorkspaceIDs)
	if err != nil {
		return objects.Member{}, err
	}
	m, err := s.tenants.CreateMember(ctx, c.Principal.AgencyID, tenants.NewMember{
		Name: in.Body.Name, Email: in.Body.Email, Role: in.Body.Role, Status: in.Body.Status, WorkspaceIDs: places,
	}, c.Receipt)
	c.Version = m.Version
	return objects.FromMember(m), err
}

type updateMember struct {
	MemberID
	Body MemberUpdate
}

// MemberUpdate changes a member.
type MemberUpdate struct {
	Name         *string            `json:"name,omitempty" minLength:"1" maxLength:"200" doc:"Their name, as visitors see it." example:"Ada Moreau"`
	Email        *string            `json:"email,omitempty" minLength:"3" maxLength:"320" doc:"Their address, unique in the agency." example:"ada@agency.example"`
	Role         *string            `json:"role,omitempty" enum:"owner,admin,agent,viewer" doc:"What they may do." example:"agent"`
	Status       *string            `json:"status,omitempty" enum:"invited,active,disabled" doc:"Whether they can act." example:"active"`
	WorkspaceIDs Nullable[[]string] `json:"workspace_ids,omitzero" maxItems:"1000" doc:"The workspaces where they work; null: in all."`
}

func (s *Server) updateMember(ctx context.Context, c *Call, in *updateMember) (objects.Member, error) {
	id, err := parse(ids.Member, in.ID, "member")
	if err != nil {
		return objects.Member{}, err
	}
	change := tenants.MemberChange{Name: in.Body.Name, Email: in.Body.Email, Role: in.Body.Role, Status: in.Body.Status, IfVersion: c.IfVersion}
	if in.Body.WorkspaceIDs.Null {
		change.Everywhere = true
	} else if change.WorkspaceIDs, err = workspaceIDs(in.Body.WorkspaceIDs.Pointer()); err != nil {
		return objects.Member{}, err
	}
	m, err := s.tenants.UpdateMember(ctx, c.Principal.AgencyID, id, change, c.Receipt)
	c.Version = m.Version
	return objects.FromMember(m), err
}

func (s *Server) deleteMember(ctx context.Context, c *Call, in *MemberID) (none, error) {
	id, err := parse(ids.Member, in.ID, "member")
	if err != nil {
		return none{}, err
	}
	return none{}, s.tenants.DeleteMember(ctx, c.Principal.AgencyID, id, c.IfVersion)
}

// workspaceIDs reads a list of the body; nil stays nil.
func workspaceIDs(texts *[]string) (*[]ids.ID, error) {
	if texts == nil {
		return nil, nil //nolint:nilnil // none were given
	}
	all := make([]ids.ID, len(*texts))
	for i, text := range *texts {
		var err error
		if all[i], err = parseField(ids.Workspace, text, "workspace", "/workspace_ids/"+strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	return &all, nil
}

// parseField reads an id of the body, which is answered like one of the path,
// and names the field besides.
func parseField(p ids.Prefix, text, what, pointer string) (ids.ID, error) {
	id, err := ids.Parse(p, text)
	if err != nil {
		return ids.ID{}, &tenants.FieldError{Fault: fault.New(fault.NotFound, "not_found", "No such %s.", what), Pointer: pointer}
	}
	return id, nil
}

func (s *Server) listKeys(ctx context.Context, c *Call, in *struct{ Paged }) (List[objects.APIKey], error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return List[objects.APIKey]{}, err
	}
	all, more, err := s.tenants.Keys(ctx, c.Principal.AgencyID, page)
	return list(c, all, more, func(k tenants.Key) ids.ID { return k.ID }, objects.FromKey), err
}

// KeyID is the key of a path.
type KeyID struct {
	ID string `path:"id" doc:"The key's id." example:"key_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) getKey(ctx context.Context, c *Call, in *KeyID) (objects.APIKey, error) {
	id, err := parse(ids.Key, in.ID, "key")
	if err != nil {
		return objects.APIKey{}, err
	}
	k, err := s.tenants.Key(ctx, c.Principal.AgencyID, id)
	c.Version = k.Version
	return objects.FromKey(k), err
}

type createKey struct {
	Body APIKeyCreate
}

// APIKeyCreate is what a key is made of.
type APIKeyCreate struct {
	Name        string    `json:"name" minLength:"1" maxLength:"200" doc:"What it is for." example:"Our website"`
	Kind        string    `json:"kind,omitempty" enum:"secret,publishable" doc:"publishable: it may stand in a web page, is for one workspace, and only gets visitors' tokens; secret when absent." example:"secret"`
	Scopes      []string  `json:"scopes,omitempty" maxItems:"100" doc:"What it may do; * is everything. At most what the key that makes it may. A publishable key has none." example:"[\"conversations:write\"]"`
	WorkspaceID string    `json:"workspace_id,omitempty" doc:"The only workspace that it reaches; absent: all of the agency's." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	ExpiresAt   time.Time `json:"expires_at,omitzero" doc:"When it ends; absent: never." example:"2027-11-25T09:00:00Z"`
}

func (s *Server) createKey(ctx context.Context, c *Call, in *createKey) (out objects.APIKeyWithSecret, err error) {
	made := tenants.NewKey{Name: in.Body.Name, Scopes: in.Body.Scopes, ExpiresAt: in.Body.ExpiresAt, Publishable: in.Body.Kind == "publishable"}
	if in.Body.WorkspaceID != "" {
		if made.Workspace, err = parseField(ids.Workspace, in.Body.WorkspaceID, "workspace", "/workspace_id"); err != nil {
			return out, err
		}
	}
	k, err := s.tenants.CreateKey(ctx, c.Principal, made, c.Receipt)
	c.Version = k.Version
	return objects.FromMadeKey(k), err
}

type updateKey struct {
	KeyID
	Body APIKeyUpdate
}

// APIKeyUpdate changes a key.
type APIKeyUpdate struct {
	Name      *string             `json:"name,omitempty" minLength:"1" maxLength:"200" doc:"What it is for." example:"Our website"`
	Scopes    *[]string           `json:"scopes,omitempty" minItems:"1" maxItems:"100" doc:"What it may do. At most what the key that changes it may." example:"[\"conversations:write\"]"`
	ExpiresAt Nullable[time.Time] `json:"expires_at,omitzero" doc:"When it ends; null: never."`
}

func (s *Server) updateKey(ctx context.Context, c *Call, in *updateKey) (objects.APIKey, error) {
	id, err := parse(ids.Key, in.ID, "key")
	if err != nil {
		return objects.APIKey{}, err
	}
	change := tenants.KeyChange{Name: in.Body.Name, ExpiresAt: in.Body.ExpiresAt.Pointer(), IfVersion: c.IfVersion}
	if in.Body.Scopes != nil {
		scopes := tenants.Scopes(*in.Body.Scopes)
		change.Scopes = &scopes
	}
	k, err := s.tenants.UpdateKey(ctx, c.Principal, id, change, c.Receipt)
	c.Version = k.Version
	return objects.FromKey(k), err
}

type rollKey struct {
	KeyID
	Body *APIKeyRoll
}

// APIKeyRoll says how a key is replaced.
type APIKeyRoll struct {
	OverlapSeconds *int `json:"overlap_seconds,omitempty" minimum:"0" maximum:"604800" doc:"How long the old key lives on; a day when absent." example:"86400"`
}

const defaultOverlap = 24 * time.Hour

func (s *Server) rollKey(ctx context.Context, c *Call, in *rollKey) (objects.APIKeyWithSecret, error) {
	id, err := parse(ids.Key, in.ID, "key")
	if err != nil {
		return objects.APIKeyWithSecret{}, err
	}
	overlap := defaultOverlap
	if in.Body != nil && in.Body.OverlapSeconds != nil {
		overlap = time.Duration(*in.Body.OverlapSeconds) * time.Second
	}
	k, err := s.tenants.RollKey(ctx, c.Principal, id, overlap, c.Receipt)
	c.Version = k.Version
	return objects.FromMadeKey(k), err
}

func (s *Server) deleteKey(ctx context.Context, c *Call, in *KeyID) (none, error) {
	id, err := parse(ids.Key, in.ID, "key")
	if err != nil {
		return none{}, err
	}
	return none{}, s.tenants.DeleteKey(ctx, c.Principal.AgencyID, id, c.IfVersion)
}
