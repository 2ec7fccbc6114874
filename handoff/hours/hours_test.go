package hours_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/relaydesk/relaydesk/handoff/hours"
)

func weekdays(from, to int) []hours.Span {
	var out []hours.Span
	for d := time.Monday; d <= time.Friday; d++ {
		out = append(out, hours.Span{Day: d, From: from, To: to})
	}
	return out
}

func week(t testing.TB, zone string, spans ...hours.Span) hours.Week {
	t.Helper()
	w, err := hours.New(spans, zone)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// at reads a moment with its offset.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestUnknownHoursAreNeverOpenAndPromiseNothing(t *testing.T) {
	t.Parallel()
	for _, w := range []hours.Week{{}, week(t, "Europe/Berlin")} {
		now := at(t, "2026-11-25T12:00:00Z")
		if w.Known() || w.Open(now) || w.Describe("en") != "" {
			t.Errorf("%+v claims hours", w)
		}
		if _, ok := w.Next(now); ok {
			t.Error("opens")
		}
		if _, ok := w.Closes(now); ok {
			t.Error("closes")
		}
		if _, ok := w.ReplyBy(now, time.Hour); ok {
			t.Error("promises")
		}
	}
}

func TestWorkingTimeIsCountedWhileItIsOpen(t *testing.T) {
	t.Parallel()
	office := weekdays(9*60, 17*60)
	lunch := append(weekdays(9*60, 12*60), weekdays(13*60, 17*60)...)
	night := []hours.Span{{Day: time.Friday, From: 22 * 60, To: 24 * 60}, {Day: time.Saturday, From: 0, To: 6 * 60}}
	for _, c := range []struct {
		name, zone  string
		spans       []hours.Span
		now         string
		working     time.Duration
		want        string
		open        bool
		next, close string
	}{
		{"within a day", "Europe/Berlin", office, "2026-11-25T10:00:00+01:00", 2 * time.Hour, "2026-11-25T12:00:00+01:00", true, "2026-11-25T10:00:00+01:00", "2026-11-25T17:00:00+01:00"},
		{"up to closing, not the next morning", "Europe/Berlin", office, "2026-11-25T16:00:00+01:00", time.Hour, "2026-11-25T17:00:00+01:00", true, "2026-11-25T16:00:00+01:00", "2026-11-25T17:00:00+01:00"},
		{"over a night", "Europe/Berlin", office, "2026-11-25T16:30:00+01:00", time.Hour, "2026-11-26T09:30:00+01:00", true, "2026-11-25T16:30:00+01:00", "2026-11-25T17:00:00+01:00"},
		{"over a weekend", "Europe/Berlin", office, "2026-11-27T17:00:00+01:00", 4 * time.Hour, "2026-11-30T13:00:00+01:00", false, "2026-11-30T09:00:00+01:00", "2026-11-27T17:00:00+01:00"},
		{"before opening", "Europe/Berlin", office, "2026-11-25T08:59:59+01:00", time.Hour, "2026-11-25T10:00:00+01:00", false, "2026-11-25T09:00:00+01:00", "2026-11-25T08:59:59+01:00"},
		{"over lunch", "Europe/Berlin", lunch, "2026-11-25T11:30:00+01:00", time.Hour, "2026-11-25T13:30:00+01:00", true, "2026-11-25T11:30:00+01:00", "2026-11-25T12:00:00+01:00"},
		{"over midnight, where spans touch", "Europe/Berlin", night, "2026-11-27T23:00:00+01:00", 3 * time.Hour, "2026-11-28T02:00:00+01:00", true, "2026-11-27T23:00:00+01:00", "2026-11-28T06:00:00+01:00"},
		{"several weeks", "UTC", []hours.Span{{Day: time.Monday, From: 0, To: 60}}, "2026-11-25T00:00:00Z", 150 * time.Minute, "2026-12-14T00:30:00Z", false, "2026-11-30T00:00:00Z", "2026-11-25T00:00:00Z"},
		{"no working time", "UTC", office, "2026-11-25T18:00:00Z", 0, "2026-11-26T09:00:00Z", false, "2026-11-26T09:00:00Z", "2026-11-25T18:00:00Z"},
		// The night of 29 March 2026 has no 02:00 to 03:00 in Berlin, that of 25 October has it twice.
		{"an hour that the clock jumps over", "Europe/Berlin", []hours.Span{{Day: time.Sunday, From: 60, To: 4 * 60}}, "2026-03-29T00:00:00+01:00", 90 * time.Minute, "2026-03-29T03:30:00+02:00", false, "2026-03-29T01:00:00+01:00", "2026-03-29T00:00:00+01:00"},
		{"an hour that comes twice", "Europe/Berlin", []hours.Span{{Day: time.Sunday, From: 60, To: 4 * 60}}, "2026-10-25T00:00:00+02:00", 3*time.Hour + 30*time.Minute, "2026-10-25T03:30:00+01:00", false, "2026-10-25T01:00:00+02:00", "2026-10-25T00:00:00+02:00"},
		{"a span inside of the gap", "Europe/Berlin", []hours.Span{{Day: time.Sunday, From: 130, To: 170}}, "2026-03-28T12:00:00+01:00", 10 * time.Minute, "2026-04-05T02:20:00+02:00", false, "2026-04-05T02:10:00+02:00", "2026-03-28T12:00:00+01:00"},
		{"across a change, by the wall's clock", "America/New_York", office, "2026-03-06T16:00:00-05:00", 2 * time.Hour, "2026-03-09T10:00:00-04:00", true, "2026-03-06T16:00:00-05:00", "2026-03-06T17:00:00-05:00"},
		{"half an hour's change", "Australia/Lord_Howe", []hours.Span{{Day: time.Sunday, From: 0, To: 6 * 60}}, "2026-10-04T00:00:00+10:30", 3 * time.Hour, "2026-10-04T03:30:00+11:00", true, "2026-10-04T00:00:00+10:30", "2026-10-04T06:00:00+11:00"},
		{"a day that did not happen", "Pacific/Apia", []hours.Span{{Day: time.Friday, From: 0, To: 24 * 60}}, "2011-12-29T12:00:00-10:00", time.Hour, "2012-01-06T01:00:00+14:00", false, "2012-01-06T00:00:00+14:00", "2011-12-29T12:00:00-10:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, now := week(t, c.zone, c.spans...), at(t, c.now)
			if w.Open(now) != c.open {
				t.Errorf("open: %v", w.Open(now))
			}
			check := func(what string, got time.Time, ok bool, want string) {
				if !ok || !got.Equal(at(t, want)) {
					t.Errorf("%s %v, want %v", what, got, want)
				}
			}
			by, ok := w.ReplyBy(now, c.working)
			check("replies by", by, ok, c.want)
			next, ok := w.Next(now)
			check("opens", next, ok, c.next)
			closes, ok := w.Closes(now)
			check("closes", closes, ok, c.close)
		})
	}
}

func TestAroundTheClockNeverCloses(t *testing.T) {
	t.Parallel()
	var all []hours.Span
	for d := range time.Weekday(7) {
		all = append(all, hours.Span{Day: d, From: 0, To: 24 * 60})
	}
	w, now := week(t, "Europe/Berlin", all...), at(t, "2026-03-28T23:00:00Z")
	if m, ok := w.Closes(now); ok {
		t.Errorf("closes at %v", m)
	}
	if m, ok := w.ReplyBy(now, 30*24*time.Hour); !ok || !m.Equal(now.Add(30*24*time.Hour)) {
		t.Errorf("%v", m)
	}
	if got := w.Describe("de"); got != "rund um die Uhr" {
		t.Error(got)
	}
}

func TestAPromiseFartherThanAYearIsNone(t *testing.T) {
	t.Parallel()
	w := week(t, "UTC", hours.Span{Day: time.Monday, From: 0, To: 1})
	if m, ok := w.ReplyBy(at(t, "2026-11-25T00:00:00Z"), 2*time.Hour); ok {
		t.Errorf("%v", m)
	}
}

// wallOpen says by the wall's clock alone whether it is open.
func wallOpen(spans []hours.Span, zone *time.Location, m time.Time) bool {
	local := m.In(zone)
	minute := local.Hour()*60 + local.Minute()
	for _, s := range spans {
		if s.Day == local.Weekday() && s.From <= minute && minute < s.To {
			return true
		}
	}
	return false
}

func TestAnyWeekAgreesWithCountingMinutesOnTheWallsClock(t *testing.T) {
	t.Parallel()
	// Around the changes of the clock, in zones that change differently.
	places := map[string][]string{
		"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"America/New_York":    {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"},
		"America/Santiago":    {"2026-04-05T03:00:00Z", "2026-09-06T04:00:00Z"}, // at midnight
		"Africa/Casablanca":   {"2026-02-15T02:00:00Z"},
		"Asia/Kathmandu":      {"2026-06-01T00:00:00Z"},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for name, changes := range places {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes {
			for range 25 {
				var spans []hours.Span
				for d := range time.Weekday(7) {
					minute := random.IntN(600)
					for minute < 1440 && random.IntN(3) > 0 {
						end := min(minute+1+random.IntN(500), 1440)
						spans = append(spans, hours.Span{Day: d, From: minute, To: end})
						minute = end + random.IntN(300)
					}
				}
				random.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
				w := week(t, name, spans...)
				now := at(t, change).Add(time.Duration(random.IntN(2*24*60)-24*60) * time.Minute)
				working := time.Duration(1+random.IntN(600)) * time.Minute
				var next, closes, reply time.Time
				worked := time.Duration(0)
				for m := now; m.Before(now.AddDate(0, 0, 16)); m = m.Add(time.Minute) {
					open := wallOpen(spans, zone, m)
					if open && next.IsZero() {
						next = m
					}
					if !open && closes.IsZero() {
						closes = m
					}
					if open {
						if worked += time.Minute; worked == working {
							reply = m.Add(time.Minute)
						}
					}
					if !next.IsZero() && !closes.IsZero() && !reply.IsZero() {
						break
					}
				}
				for what, c := range map[string]struct {
					want time.Time
					got  func() (time.Time, bool)
				}{
					"next":   {next, func() (time.Time, bool) { return w.Next(now) }},
					"closes": {closes, func() (time.Time, bool) { return w.Closes(now) }},
					"reply":  {reply, func() (time.Time, bool) { return w.ReplyBy(now, working) }},
				} {
					if c.want.IsZero() {
						continue // beyond what was counted
					}
					if got, ok := c.got(); !ok || !got.Equal(c.want) {
						t.Fatalf("%s from %v in %s (%v of %v): %v, want %v", what, now, name, working, spans, got, c.want)
					}
				}
			}
		}
	}
}

func TestWhatIsWrongWithHoursIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spans []hours.Span
		zone  string
		index int
		says  string
	}{
		{"overlap", []hours.Span{{time.Monday, 780, 900}, {time.Monday, 540, 800}}, "UTC", 1, "Monday 09:00–13:20 and 13:00–15:00 overlap"},
		{"backwards", []hours.Span{{time.Friday, 1320, 360}}, "UTC", 0, "past midnight are two spans"},
		{"nothing", []hours.Span{{time.Friday, 600, 600}}, "UTC", 0, "ends when it begins"},
		{"too late", []hours.Span{{time.Friday, 600, 1441}}, "UTC", 0, "24:00"},
		{"too early", []hours.Span{{time.Friday, -1, 600}}, "UTC", 0, "00:00"},
		{"no such day", []hours.Span{{7, 0, 600}}, "UTC", 0, "day 7"},
		{"no zone", nil, "", -1, "Europe/Berlin"},
		{"the machine's zone", nil, "Local", -1, "Europe/Berlin"},
		{"no such zone", nil, "Mars/Olympus", -1, "Mars/Olympus"},
		{"a path", nil, "../etc/passwd", -1, "no time zone"},
	} {
		_, err := hours.New(c.spans, c.zone)
		var bad *hours.Invalid
		if !errors.As(err, &bad) || len(bad.Problems) != 1 || bad.Problems[0].Index != c.index || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var many []hours.Span
	for i := range hours.MaxSpans + 1 {
		many = append(many, hours.Span{Day: time.Monday, From: i * 10, To: i*10 + 5})
	}
	if _, err := hours.New(many, "UTC"); err == nil || !strings.Contains(err.Error(), "more than 20") {
		t.Errorf("too many: %v", err)
	}
	if _, err := hours.New(many[:hours.MaxSpans], "UTC"); err != nil {
		t.Errorf("just enough: %v", err)
	}
}

func TestAWeekIsDescribedAsOnADoor(t *testing.T) {
	t.Parallel()
	office := weekdays(9*60, 17*60)
	for _, c := range []struct {
		lang  string
		spans []hours.Span
		want  string
	}{
		{"en", office, "Mon–Fri 9:00–17:00"},
		{"en-US", office, "Mon–Fri 9:00 am – 5:00 pm"},
		{"de-AT", office, "Mo–Fr 9:00–17:00"},
		{"fr", office, "lun.–ven. 9h00–17h00"},
		{"pt-BR", office, "seg–sex 9:00–17:00"},
		{"zh", office, "Mon–Fri 9:00–17:00"},
		{"nl", append(office, hours.Span{time.Saturday, 600, 840}), "ma–vr 9:00–17:00; za 10:00–14:00"},
		{"es", append(weekdays(540, 720), weekdays(780, 1080)...), "lun–vie 9:00–12:00 y 13:00–18:00"},
		{"pl", []hours.Span{{time.Monday, 540, 720}, {time.Wednesday, 540, 720}}, "pon., śr. 9:00–12:00"},
		{"it", []hours.Span{{time.Sunday, 0, 1440}}, "dom 0:00–24:00"},
		{"en", []hours.Span{{time.Monday, 540, 720}, {time.Monday, 720, 900}}, "Mon 9:00–15:00"},
	} {
		if got := week(t, "UTC", c.spans...).Describe(c.lang); got != c.want {
			t.Errorf("%s: %q, want %q", c.lang, got, c.want)
		}
	}
}

func TestZonesAreNamedAsPeopleKnowThem(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Europe/Berlin": "CET", "UTC": "UTC", "America/Sao_Paulo": "UTC-3", "Asia/Kathmandu": "UTC+5:45", "America/New_York": "EST"} {
		zone, err := hours.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := hours.ZoneLabel(at(t, "2026-11-25T12:00:00Z"), zone); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTheWeekCannotBeChangedFromOutside(t *testing.T) {
	t.Parallel()
	spans := weekdays(9*60, 17*60)
	w := week(t, "UTC", spans...)
	spans[0].To = 600
	w.Spans()[0].To = 600
	if !w.Open(at(t, "2026-11-23T12:00:00Z")) {
		t.Error("changed")
	}
}

func FuzzAnyHoursAreRefusedOrConsistent(f *testing.F) {
	f.Add("09:00", "17:00", "monday", "Europe/Berlin", int64(1764072000))
	f.Add("0:00", "24:00", "sunday", "UTC", int64(0))
	f.Add("24:00", "9", "Monday", "Local", int64(-1))
	f.Fuzz(func(t *testing.T, from, to, day, zone string, unix int64) {
		a, errA := hours.ParseClock(from)
		b, errB := hours.ParseClock(to)
		d, errD := hours.ParseDay(day)
		if errA == nil {
			if again, err := hours.ParseClock(hours.FormatClock(a)); err != nil || again != a || a < 0 || a > 1440 {
				t.Fatalf("%q is %d, then %d", from, a, again)
			}
		}
		if errA != nil || errB != nil || errD != nil || unix < 0 || unix > 1<<33 {
			return
		}
		w, err := hours.New([]hours.Span{{d, a, b}}, zone)
		if err != nil {
			return
		}
		now := time.Unix(unix, 0)
		next, ok := w.Next(now)
		if !ok {
			return // only in a zone's gap
		}
		if next.Before(now) || !w.Open(next) || w.Describe("en") == "" {
			t.Fatalf("%s–%s %s: opens %v after %v", from, to, day, next, now)
		}
		if by, ok := w.ReplyBy(now, time.Minute); !ok || by.Sub(next) < time.Minute {
			t.Fatalf("a minute's work from %v: %v", next, by)
		}
	})
}
