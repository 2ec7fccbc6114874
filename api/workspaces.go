package api

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/objects"
	"github.com/relaydesk/relaydesk/tenants"
)

type listWorkspaces struct {
	Paged
	Slug   string `query:"slug" maxLength:"80" doc:"Only the workspace with this slug."`
	Status string `query:"status" enum:"active,suspended" doc:"Only workspaces with this status."`
}

func (s *Server) listWorkspaces(ctx context.Context, c *Call, in *listWorkspaces) (List[objects.Workspace], error) {
	page, err := c.page(in.Paged)
	if err != nil {
		return List[objects.Workspace]{}, err
	}
	all, more, err := s.tenants.Workspaces(ctx, c.Scope(), tenants.WorkspaceFilter{Slug: in.Slug, Status: in.Status}, page)
	return list(c, all, more, func(w tenants.Workspace) ids.ID { return w.UUID }, objects.FromWorkspace), err
}

// WorkspaceID is the workspace of a path.
type WorkspaceID struct {
	ID string `path:"id" doc:"The workspace's id." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
}

func (s *Server) getWorkspace(ctx context.Context, c *Call, in *WorkspaceID) (objects.Workspace, error) {
	id, err := parse(ids.Workspace, in.ID, "workspace")
	if err != nil {
		return objects.Workspace{}, err
	}
	w, err := s.tenants.ReadWorkspace(ctx, c.Scope(), id)
	c.Version = w.Version
	return objects.FromWorkspace(w), err
}

type createWorkspace struct {
	Body WorkspaceCreate
}

// WorkspaceCreate is what a workspace is made of.
type WorkspaceCreate struct {
	Name      string            `json:"name" minLength:"1" maxLength:"200" doc:"Its name." example:"Blue Bakery"`
	Slug      string            `json:"slug,omitempty" maxLength:"60" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"lower-case letters, digits and single hyphens" doc:"A short name for addresses; from the name when absent. One that is taken gets a suffix." example:"blue-bakery"`
	TimeZone  string            `json:"time_zone,omitempty" maxLength:"64" doc:"The zone in which its team works, by its IANA name; UTC when absent." example:"Europe/Berlin"`
	Languages []string          `json:"languages,omitempty" maxItems:"50" doc:"The languages that it serves, the main one first." example:"[\"de\",\"en\"]"`
	Metadata  map[string]string `json:"metadata,omitempty" doc:"Your own keys and values: at most 50, of 40 and 500 characters."`
}

func (s *Server) createWorkspace(ctx context.Context, c *Call, in *createWorkspace) (objects.Workspace, error) {
	if err := checkMetadata(in.Body.Metadata); err != nil {
		return objects.Workspace{}, err
	}
	w, err := s.tenants.CreateWorkspace(ctx, c.Principal.AgencyID, tenants.NewWorkspace{
		Name: in.Body.Name, Slug: in.Body.Slug, TimeZone: in.Body.TimeZone, Languages: in.Body.Languages, Metadata: in.Body.Metadata,
	}, c.Receipt)
	c.Version = w.Version
	return objects.FromWorkspace(w), err
}

type updateWorkspace struct {
	WorkspaceID
	Body WorkspaceUpdate
}

// WorkspaceUpdate changes a workspace.
type WorkspaceUpdate struct {
	Name      *string                     `json:"name,omitempty" minLength:"1" maxLength:"200" doc:"Its name." example:"Blue Bakery"`
	Slug      *string                     `json:"slug,omitempty" maxLength:"60" pattern:"^[a-z0-9]+(-[a-z0-9]+)*$" patternDescription:"lower-case letters, digits and single hyphens" doc:"A short name for addresses. One that is taken gets a suffix." example:"blue-bakery"`
	TimeZone  *string                     `json:"time_zone,omitempty" maxLength:"64" doc:"The zone in which its team works, by its IANA name." example:"Europe/Berlin"`
	Languages *[]string                   `json:"languages,omitempty" maxItems:"50" doc:"The languages that it serves, the main one first." example:"[\"de\",\"en\"]"`
	Status    *string                     `json:"status,omitempty" enum:"active,suspended" doc:"suspended: its assistant is silent; messages and handoff go on." example:"active"`
	Metadata  Nullable[map[string]string] `json:"metadata,omitzero" doc:"Your own keys and values, all of them anew; null: none."`
}

func (s *Server) updateWorkspace(ctx context.Context, c *Call, in *updateWorkspace) (objects.Workspace, error) {
	id, err := parse(ids.Workspace, in.ID, "workspace")
	if err == nil {
		err = checkMetadata(in.Body.Metadata.Value)
	}
	if err != nil {
		return objects.Workspace{}, err
	}
	change := tenants.WorkspaceChange{
		Name: in.Body.Name, Slug: in.Body.Slug, TimeZone: in.Body.TimeZone, Languages: in.Body.Languages, Status: in.Body.Status, IfVersion: c.IfVersion,
	}
	if in.Body.Metadata.Set {
		metadata := in.Body.Metadata.Value
		if metadata == nil {
			metadata = map[string]string{}
		}
		change.Metadata = &metadata
	}
	w, err := s.tenants.UpdateWorkspace(ctx, c.Scope(), id, change, c.Receipt)
	c.Version = w.Version
	return objects.FromWorkspace(w), err
}

func (s *Server) deleteWorkspace(ctx context.Context, c *Call, in *WorkspaceID) (none, error) {
	id, err := parse(ids.Workspace, in.ID, "workspace")
	if err != nil {
		return none{}, err
	}
	return none{}, s.tenants.DeleteWorkspace(ctx, c.Principal.AgencyID, id, c.IfVersion)
}

func (s *Server) getSettings(ctx context.Context, c *Call, _ *nothing) (objects.WorkspaceSettings, error) {
	settings, err := s.tenants.Settings(ctx, c.Workspace)
	c.Version = settings.Version
	return objects.FromSettings(settings), err
}

type updateSettings struct {
	Body WorkspaceSettingsUpdate
}

// WorkspaceSettingsUpdate changes a workspace's settings. null goes back to
// what is usual.
type WorkspaceSettingsUpdate struct {
	TurnDeadlineSeconds *int                   `json:"turn_deadline_seconds,omitempty" minimum:"15" maximum:"120" doc:"Within how many seconds each turn of a visitor has an answer or an honest notice." example:"45"`
	UnsureEffect        *string                `json:"unsure_effect,omitempty" enum:"escalate,offer" doc:"What happens when content has no answer: a person is called, or offered." example:"escalate"`
	SupportHours        *[]objects.SupportSpan `json:"support_hours,omitempty" maxItems:"70" doc:"When the team works, all of it anew."`
	AllowedOrigins      *[]string              `json:"allowed_origins,omitempty" maxItems:"50" doc:"The sites whose pages may act for visitors, all of them anew." example:"[\"https://shop.example\"]"`
	AssistantName       Nullable[string]       `json:"assistant_name,omitzero" maxLength:"80" doc:"What the assistant calls itself; null: nothing." example:"Ada"`
}

func (s *Server) updateSettings(ctx context.Context, c *Call, in *updateSettings) (objects.WorkspaceSettings, error) {
	change := tenants.SettingsChange{UnsureEffect: in.Body.UnsureEffect, AssistantName: in.Body.AssistantName.Pointer(), AllowedOrigins: in.Body.AllowedOrigins, IfVersion: c.IfVersion}
	if in.Body.TurnDeadlineSeconds != nil {
		deadline := time.Duration(*in.Body.TurnDeadlineSeconds) * time.Second
		change.TurnDeadline = &deadline
	}
	if in.Body.SupportHours != nil {
		spans := make([]tenants.Span, len(*in.Body.SupportHours))
		for i, span := range *in.Body.SupportHours {
			spans[i] = span.Span()
		}
		change.SupportHours = &spans
	}
	settings, err := s.tenants.UpdateSettings(ctx, c.Workspace, change, c.Receipt)
	c.Version = settings.Version
	return objects.FromSettings(settings), err
}

// checkMetadata checks what a schema can't say about keys.
func checkMetadata(m map[string]string) error {
	if len(m) > 50 {
		return invalid("/metadata", "At most 50 keys.")
	}
	for key, value := range m {
		switch {
		case key == "" || utf8.RuneCountInString(key) > 40:
			return invalid("/metadata", "A key has 1 to 40 characters.")
		case utf8.RuneCountInString(value) > 500:
			return invalid("/metadata/"+escapePointer(key), "At most 500 characters.")
		}
	}
	return nil
}
