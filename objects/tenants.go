package objects

import (
	"fmt"
	"time"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// Agency is a customer of the installation.
type Agency struct {
	Object    string `json:"object" enum:"agency" doc:"Always agency."`
	ID        string `json:"id" doc:"Its id." example:"ag_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Name      string `json:"name" doc:"Its name." example:"Harbour Street Digital"`
	CreatedAt string `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt string `json:"updated_at" format:"date-time" doc:"When it was last changed."`
}

// FromAgency renders an agency.
func FromAgency(a tenants.Agency) Agency {
	return Agency{"agency", id(ids.Agency, a.ID), a.Name, at(a.CreatedAt), at(a.UpdatedAt)}
}

// Workspace is one client of an agency.
type Workspace struct {
	Object    string            `json:"object" enum:"workspace" doc:"Always workspace."`
	ID        string            `json:"id" doc:"Its id; named in the Relaydesk-Workspace header." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Name      string            `json:"name" doc:"Its name." example:"Blue Bakery"`
	Slug      string            `json:"slug" doc:"A short name for addresses, unique in the agency." example:"blue-bakery"`
	TimeZone  string            `json:"time_zone" doc:"The zone in which its team works." example:"Europe/Berlin"`
	Languages []string          `json:"languages" doc:"The languages that it serves, the main one first; empty: any." example:"[\"de\",\"en\"]"`
	Status    string            `json:"status" enum:"active,suspended,deleting" doc:"active: as usual. suspended: its assistant is silent; messages and handoff go on. deleting: it is on its way out." example:"active"`
	Metadata  map[string]string `json:"metadata" doc:"Your own keys and values."`
	CreatedAt string            `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt string            `json:"updated_at" format:"date-time" doc:"When it was last changed."`
}

// FromWorkspace renders a workspace.
func FromWorkspace(w tenants.Workspace) Workspace {
	return Workspace{
		"workspace", id(ids.Workspace, w.UUID), w.Name, w.Slug, w.TimeZone, list(w.Languages), w.Status, metadata(w.Metadata),
		at(w.CreatedAt), at(w.UpdatedAt),
	}
}

// WorkspaceSettings are how a workspace wants to work.
type WorkspaceSettings struct {
	Object              string        `json:"object" enum:"workspace_settings" doc:"Always workspace_settings."`
	TurnDeadlineSeconds int           `json:"turn_deadline_seconds" minimum:"15" maximum:"120" doc:"Within how many seconds each turn of a visitor has an answer or an honest notice." example:"45"`
	UnsureEffect        string        `json:"unsure_effect" enum:"escalate,offer" doc:"What happens when content has no answer: a person is called, or offered." example:"escalate"`
	SupportHours        []SupportSpan `json:"support_hours" doc:"When the team works, in the workspace's time zone. Empty: not known, so no time is ever promised."`
	AllowedOrigins      []string      `json:"allowed_origins" doc:"The sites whose pages may act for visitors, as browsers write them." example:"[\"https://shop.example\"]"`
	AssistantName       string        `json:"assistant_name,omitempty" doc:"What the assistant calls itself." example:"Ada"`
	UpdatedAt           string        `json:"updated_at" format:"date-time" doc:"When they were last changed."`
}

// SupportSpan is a part of a day in which the team works.
type SupportSpan struct {
	Day  string `json:"day" enum:"monday,tuesday,wednesday,thursday,friday,saturday,sunday" doc:"The day of the week." example:"monday"`
	From string `json:"from" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" doc:"When it begins." example:"09:00"`
	To   string `json:"to" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$" doc:"When it ends; 24:00 is the end of the day." example:"17:00"`
}

var days = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// FromSettings renders a workspace's settings.
func FromSettings(s tenants.Settings) WorkspaceSettings {
	out := WorkspaceSettings{
		Object: "workspace_settings", TurnDeadlineSeconds: int(s.TurnDeadline / time.Second), UnsureEffect: s.UnsureEffect,
		SupportHours: make([]SupportSpan, len(s.SupportHours)), AssistantName: s.AssistantName, AllowedOrigins: list(s.AllowedOrigins), UpdatedAt: at(s.UpdatedAt),
	}
	for i, span := range s.SupportHours {
		out.SupportHours[i] = SupportSpan{days[span.Day], clockTime(span.From), clockTime(span.To)}
	}
	return out
}

func clockTime(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// Span reads a span back. Its fields were checked against their patterns.
func (s SupportSpan) Span() tenants.Span {
	span := tenants.Span{Day: -1, From: minutesOf(s.From), To: minutesOf(s.To)}
	for i, day := range days {
		if day == s.Day {
			span.Day = time.Weekday(i)
		}
	}
	return span
}

func minutesOf(clock string) int {
	var h, m int
	if _, err := fmt.Sscanf(clock, "%d:%d", &h, &m); err != nil {
		return -1
	}
	return h*60 + m
}

// Member is a person of the agency's team.
type Member struct {
	Object       string   `json:"object" enum:"member" doc:"Always member."`
	ID           string   `json:"id" doc:"Their id." example:"mem_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Name         string   `json:"name" doc:"Their name, as visitors see it." example:"Ada Moreau"`
	Email        string   `json:"email" doc:"Their address, unique in the agency." example:"ada@agency.example"`
	Role         string   `json:"role" enum:"owner,admin,agent,viewer" doc:"What they may do." example:"agent"`
	WorkspaceIDs []string `json:"workspace_ids,omitempty" doc:"The workspaces where they work; absent: in all." example:"[\"ws_01kb2m3n4p5q6r7s8t9v0wxyza\"]"`
	Status       string   `json:"status" enum:"invited,active,disabled" doc:"invited: not yet signed in; they can act through a key." example:"active"`
	CreatedAt    string   `json:"created_at" format:"date-time" doc:"When they were added."`
	UpdatedAt    string   `json:"updated_at" format:"date-time" doc:"When they were last changed."`
}

// FromMember renders a member.
func FromMember(m tenants.Member) Member {
	out := Member{
		Object: "member", ID: id(ids.Member, m.ID), Name: m.Name, Email: m.Email, Role: m.Role, Status: m.Status,
		CreatedAt: at(m.CreatedAt), UpdatedAt: at(m.UpdatedAt),
	}
	if !m.Everywhere {
		out.WorkspaceIDs = make([]string, len(m.WorkspaceIDs))
		for i, w := range m.WorkspaceIDs {
			out.WorkspaceIDs[i] = id(ids.Workspace, w)
		}
	}
	return out
}

// APIKey is a key by which a program acts.
type APIKey struct {
	Object      string   `json:"object" enum:"api_key" doc:"Always api_key."`
	ID          string   `json:"id" doc:"Its id, which is no secret." example:"key_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Name        string   `json:"name" doc:"What it is for." example:"Our website"`
	Kind        string   `json:"kind" enum:"secret,publishable" doc:"publishable: it may stand in a web page, and only gets visitors' tokens." example:"secret"`
	Scopes      []string `json:"scopes" doc:"What it may do; * is everything." example:"[\"conversations:write\"]"`
	WorkspaceID string   `json:"workspace_id,omitempty" doc:"The only workspace that it reaches; absent: all of the agency's." example:"ws_01kb2m3n4p5q6r7s8t9v0wxyza"`
	Last4       string   `json:"last4" doc:"Its last four characters, to recognise it by." example:"9f3A"`
	ExpiresAt   string   `json:"expires_at,omitempty" format:"date-time" doc:"When it ends; absent: never."`
	LastUsedAt  string   `json:"last_used_at,omitempty" format:"date-time" doc:"When it was last used, to the minute; absent: never."`
	CreatedAt   string   `json:"created_at" format:"date-time" doc:"When it was made."`
	UpdatedAt   string   `json:"updated_at" format:"date-time" doc:"When it was last changed."`
}

// FromKey renders a key.
func FromKey(k tenants.Key) APIKey {
	kind := "secret"
	if k.Publishable() {
		kind = "publishable"
	}
	return APIKey{
		Kind: kind, Object: "api_key", ID: id(ids.Key, k.ID), Name: k.Name, Scopes: list([]string(k.Scopes)), WorkspaceID: id(ids.Workspace, k.Workspace),
		Last4: k.Last4, ExpiresAt: maybe(k.ExpiresAt), LastUsedAt: maybe(k.LastUsedAt), CreatedAt: at(k.CreatedAt), UpdatedAt: at(k.UpdatedAt),
	}
}

// APIKeyWithSecret is a key that was just made.
type APIKeyWithSecret struct {
	APIKey
	Secret string `json:"secret" doc:"The key itself. It is shown this once." example:"rd_sk_live_…"`
}

// FromMadeKey renders a key with its secret.
func FromMadeKey(k tenants.MadeKey) APIKeyWithSecret {
	return APIKeyWithSecret{FromKey(k.Key), k.Secret}
}
