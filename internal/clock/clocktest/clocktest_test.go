package clocktest_test

import (
	"sync"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/internal/clock"
	"github.com/relaydesk/relaydesk/internal/clock/clocktest"
)

func TestManyMovesOfAFakeClockAddUp(t *testing.T) {
	t.Parallel()
	var fake clocktest.Fake
	var reader clock.Clock = &fake
	if !reader.Now().Equal(clocktest.Start) {
		t.Fatalf("the zero clock shows %s", reader.Now())
	}
	var moves sync.WaitGroup
	for range 50 {
		moves.Go(func() { fake.Advance(time.Second) })
	}
	moves.Wait()
	if got, want := reader.Now(), clocktest.Start.Add(50*time.Second); !got.Equal(want) {
		t.Fatalf("after 50 moves of a second it shows %s, want %s", got, want)
	}
}

func TestClocksSpeakUTC(t *testing.T) {
	t.Parallel()
	fake := clocktest.At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)))
	fake.Set(fake.Now().In(time.FixedZone("", -7200)))
	for name, c := range map[string]clock.Clock{"system": clock.System(), "fake": fake} {
		if c.Now().Location() != time.UTC {
			t.Errorf("%s: %s", name, c.Now())
		}
	}
}
