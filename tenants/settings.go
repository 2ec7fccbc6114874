package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/receipts"
)

// The bounds of a turn's deadline, and what it is where nothing was chosen.
const (
	MinTurnDeadline     = 15 * time.Second
	MaxTurnDeadline     = 120 * time.Second
	DefaultTurnDeadline = 45 * time.Second
)

// What an assistant does that content leaves without an answer.
const (
	UnsureEscalates = "escalate"
	UnsureOffers    = "offer"
)

// maxSpans bounds a week's opening hours.
const maxSpans = 70

// Settings are how a workspace wants to work. No setting keeps a visitor from
// a person.
type Settings struct {
	TurnDeadline  time.Duration // within which each turn has an answer or a notice
	UnsureEffect  string        // UnsureEscalates or UnsureOffers
	SupportHours  []Span        // when the team works, in TimeZone; empty: not known
	AssistantName string        // empty: none
	// AllowedOrigins are the sites whose pages may act for visitors. Empty: none.
	AllowedOrigins []string
	TimeZone       string   // the workspace's, which is changed there
	Languages      []string // likewise
	Version        int64
	UpdatedAt      time.Time
}

// Span is a part of a day, in minutes since its midnight. To 1440 is its end.
type Span struct {
	Day      time.Weekday
	From, To int
}

// SettingsChange says what to change; nil leaves a field as it is, a zero value
// goes back to what is usual.
type SettingsChange struct {
	TurnDeadline  *time.Duration
	UnsureEffect  *string
	SupportHours  *[]Span
	AssistantName *string
	// AllowedOrigins are written as browsers do: https://shop.example
	AllowedOrigins *[]string
	IfVersion      int64 // 0: whatever it is now
}

// storedSettings is how they lie in the database: only what was chosen, so
// that what is usual can be changed for all who chose nothing.
type storedSettings struct {
	TurnDeadlineSeconds int          `json:"turn_deadline_seconds,omitempty"`
	UnsureEffect        string       `json:"unsure_effect,omitempty"`
	SupportHours        []storedSpan `json:"support_hours,omitempty"`
	AssistantName       string       `json:"assistant_name,omitempty"`
	AllowedOrigins      []string     `json:"allowed_origins,omitempty"`
}

type storedSpan struct {
	Day  int `json:"day"` // Sunday is 0
	From int `json:"from"`
	To   int `json:"to"`
}

// Settings gives a workspace's settings as they are now.
func (t *Tenants) Settings(ctx context.Context, w postgres.Workspace) (s Settings, err error) {
	err = t.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		s, err = LoadSettings(ctx, tx, w)
		return err
	})
	return s, err
}

const loadSettingsSQL = `
select coalesce(s.settings, '{}'), coalesce(s.version, 1), coalesce(s.updated_at, w.created_at), w.time_zone, w.languages
from workspaces w left join workspace_settings s on s.workspace_id = w.workspace_id
where w.workspace_id = @workspace_id`

// LoadSettings reads the settings within a transaction.
func LoadSettings(ctx context.Context, tx pgx.Tx, w postgres.Workspace) (Settings, error) {
	var stored storedSettings
	var s Settings
	err := tx.QueryRow(ctx, loadSettingsSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}).Scan(&stored, &s.Version, &s.UpdatedAt, &s.TimeZone, &s.Languages)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Settings{}, noWorkspace()
	case err != nil:
		return Settings{}, fmt.Errorf("load settings: %w", err)
	}
	s.fill(stored)
	return s, nil
}

func (s *Settings) fill(stored storedSettings) {
	s.TurnDeadline, s.UnsureEffect, s.AssistantName = DefaultTurnDeadline, UnsureEscalates, stored.AssistantName
	if stored.TurnDeadlineSeconds != 0 {
		s.TurnDeadline = time.Duration(stored.TurnDeadlineSeconds) * time.Second
	}
	if stored.UnsureEffect != "" {
		s.UnsureEffect = stored.UnsureEffect
	}
	s.AllowedOrigins = stored.AllowedOrigins
	s.SupportHours = make([]Span, len(stored.SupportHours))
	for i, span := range stored.SupportHours {
		s.SupportHours[i] = Span{time.Weekday(span.Day), span.From, span.To}
	}
}

// UpdateSettings changes a workspace's settings.
func (t *Tenants) UpdateSettings(ctx context.Context, w postgres.Workspace, c SettingsChange, r *receipts.Receipt) (s Settings, err error) {
	if err := c.check(); err != nil {
		return Settings{}, err
	}
	err = t.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		s, err = receipts.Once(ctx, tx, r, func() (Settings, error) { return t.changeSettings(ctx, tx, w, c) })
		return err
	})
	if err != nil {
		return Settings{}, fmt.Errorf("update settings: %w", err)
	}
	t.forgetOrigins(w)
	return s, nil
}

const (
	lockSettingsSQL = `
select s.settings from workspace_settings s where s.workspace_id = @workspace_id for update`
	firstSettingsSQL = `
insert into workspace_settings (agency_id, workspace_id, settings, version, updated_at)
values (@agency_id, @workspace_id, '{}', 1, @now) on conflict (workspace_id) do nothing`
	saveSettingsSQL = `
update workspace_settings set settings = @settings, version = version + 1, updated_at = @now
where workspace_id = @workspace_id and (@if_version::bigint = 0 or version = @if_version)
returning version`
)

func (t *Tenants) changeSettings(ctx context.Context, tx pgx.Tx, w postgres.Workspace, c SettingsChange) (Settings, error) {
	now := t.clock.Now()
	// The row exists from the first change on; then it is there to be locked.
	if _, err := tx.Exec(ctx, firstSettingsSQL, pgx.StrictNamedArgs{"agency_id": w.AgencyID, "workspace_id": w.ID, "now": now}); err != nil {
		return Settings{}, err
	}
	var stored storedSettings
	if err := tx.QueryRow(ctx, lockSettingsSQL, pgx.StrictNamedArgs{"workspace_id": w.ID}).Scan(&stored); err != nil {
		return Settings{}, err
	}
	c.apply(&stored)
	var version int64
	err := tx.QueryRow(ctx, saveSettingsSQL, pgx.StrictNamedArgs{
		"workspace_id": w.ID, "settings": stored, "now": now, "if_version": c.IfVersion,
	}).Scan(&version)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Settings{}, stale("workspace's settings")
	case err != nil:
		return Settings{}, err
	}
	return LoadSettings(ctx, tx, w)
}

func (c SettingsChange) apply(stored *storedSettings) {
	if c.TurnDeadline != nil {
		stored.TurnDeadlineSeconds = int(*c.TurnDeadline / time.Second)
	}
	if c.UnsureEffect != nil {
		stored.UnsureEffect = *c.UnsureEffect
	}
	if c.AssistantName != nil {
		stored.AssistantName = *c.AssistantName
	}
	if c.AllowedOrigins != nil {
		stored.AllowedOrigins = *c.AllowedOrigins
	}
	if c.SupportHours != nil {
		stored.SupportHours = make([]storedSpan, len(*c.SupportHours))
		for i, span := range *c.SupportHours {
			stored.SupportHours[i] = storedSpan{int(span.Day), span.From, span.To}
		}
	}
}

func (c SettingsChange) check() error {
	if d := c.TurnDeadline; d != nil && *d != 0 && (*d < MinTurnDeadline || *d > MaxTurnDeadline || *d%time.Second != 0) {
		return invalid("/turn_deadline_seconds", "From 15 to 120 seconds.")
	}
	if e := c.UnsureEffect; e != nil && !slices.Contains([]string{"", UnsureEscalates, UnsureOffers}, *e) {
		return invalid("/unsure_effect", "Either escalate or offer.")
	}
	if c.AssistantName != nil && len([]rune(*c.AssistantName)) > 80 {
		return invalid("/assistant_name", "At most 80 characters.")
	}
	if err := checkOrigins(c.AllowedOrigins); err != nil {
		return err
	}
	if c.SupportHours == nil {
		return nil
	}
	return checkSpans(*c.SupportHours)
}

func checkSpans(spans []Span) error {
	if len(spans) > maxSpans {
		return invalid("/support_hours", "At most %d spans.", maxSpans)
	}
	for i, s := range spans {
		at := "/support_hours/" + strconv.Itoa(i)
		switch {
		case s.Day < time.Sunday || s.Day > time.Saturday:
			return invalid(at+"/day", "There is no such day.")
		case s.From < 0 || s.From >= s.To || s.To > 24*60:
			return invalid(at+"/to", "A span ends after it begins, at 24:00 at the latest.")
		}
		for _, earlier := range spans[:i] {
			if earlier.Day == s.Day && earlier.From < s.To && s.From < earlier.To {
				return invalid(at, "It overlaps with another span of the same day.")
			}
		}
	}
	return nil
}
