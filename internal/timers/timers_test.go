package timers_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/postgres/postgrestest"
	"github.com/relaydesk/relaydesk/internal/timers"
)

func TestATimerIsClaimedWhenItIsDueByOneNodeAndAgainIfThatOneDies(t *testing.T) {
	t.Parallel()
	db, w, ctx := postgrestest.New(t), postgrestest.Tenant(t), t.Context()
	object, due := ids.New(time.Now()), time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	in := func(do func(tx pgx.Tx) error) {
		t.Helper()
		if err := db.InWorkspace(ctx, w, do); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(now time.Time) (mine []timers.Timer) {
		t.Helper()
		err := db.InSystem(ctx, func(tx pgx.Tx) error {
			due, err := timers.Claim(ctx, tx, now, 1000)
			for _, d := range due {
				if d.Workspace == w {
					mine = append(mine, d)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return mine
	}
	in(func(tx pgx.Tx) error { return timers.Set(ctx, tx, w, timers.Wake, object, due) })
	if early := claim(due.Add(-time.Second)); len(early) != 0 {
		t.Errorf("before it is due: %v", early)
	}
	want := timers.Timer{Workspace: w, Kind: timers.Wake, Object: object, DueAt: due}
	if first := claim(due); len(first) != 1 || !first[0].DueAt.Equal(due) || first[0].Object != want.Object || first[0].Kind != want.Kind {
		t.Fatalf("when it is due: %+v, want %+v", first, want)
	}
	if second := claim(due.Add(time.Second)); len(second) != 0 {
		t.Errorf("a second node: %v", second)
	}
	if again := claim(due.Add(6 * time.Second)); len(again) != 1 {
		t.Errorf("after the first node died: %v", again)
	}
	in(func(tx pgx.Tx) error { return timers.Set(ctx, tx, w, timers.Wake, object, due.Add(10*time.Second)) })
	if moved := claim(due.Add(9 * time.Second)); len(moved) != 0 {
		t.Errorf("moved, before it is due: %v", moved)
	}
	in(func(tx pgx.Tx) error { return timers.Clear(ctx, tx, w, timers.Wake, object) })
	if cleared := claim(due.Add(time.Hour)); len(cleared) != 0 {
		t.Errorf("cleared: %v", cleared)
	}
}
