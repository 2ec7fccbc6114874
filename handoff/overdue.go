package handoff

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/events"
	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres"
	"github.com/relaydesk/relaydesk/internal/timers"
)

func clearDeadline(ctx context.Context, tx pgx.Tx, w postgres.Workspace, turn ids.ID) error {
	return timers.Clear(ctx, tx, w, timers.TurnDue, turn)
}

// Overdue tells, once for each wait, that the promise of an escalation is about
// to break, and raises its priority. A timer that fires early is set anew.
func (h *Handoff) Overdue(ctx context.Context, w postgres.Workspace, escalation ids.ID) error {
	err := h.db.InWorkspace(ctx, w, func(tx pgx.Tx) error {
		e, err := readOne(ctx, tx, getSQL, pgx.StrictNamedArgs{"workspace_id": w.ID, "id": escalation})
		if errors.Is(err, pgx.ErrNoRows) {
			return timers.Clear(ctx, tx, w, timers.Overdue, escalation)
		}
		if err != nil {
			return err
		}
		t, err := h.lock(ctx, tx, w, e.ConversationID)
		if fault.Of(err).Kind == fault.NotFound {
			return timers.Clear(ctx, tx, w, timers.Overdue, escalation)
		}
		if err != nil {
			return err
		}
		if t.open == nil || t.open.ID != escalation || t.WaitingSince == nil || t.open.OverdueAt != nil {
			return timers.Clear(ctx, tx, w, timers.Overdue, escalation)
		}
		if err := t.load(ctx); err != nil {
			return err
		}
		breaks := t.breaks(t.open, *t.WaitingSince)
		if due := warn(*t.WaitingSince, breaks); due.After(t.Now) {
			return timers.Set(ctx, tx, w, timers.Overdue, escalation, due)
		}
		now := t.Now
		t.open.OverdueAt, t.open.Priority, t.changed = &now, raised(t.open.Priority, Normal), true
		t.ClearTimer(timers.Overdue, escalation)
		t.Log(events.EscalationOverdue, escalation, map[string]any{"breaks_at": breaks, "priority": t.open.Priority})
		return t.save(ctx)
	})
	if err != nil {
		return fmt.Errorf("look whether escalation %x is overdue: %w", escalation, err)
	}
	return nil
}
