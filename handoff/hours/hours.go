// Package hours knows when a team is there: weekly support hours in a time
// zone. It is what an honest promise rests on, so it answers exactly: whether
// it is open, when it opens, and by when a given time has been worked.
//
// Hours are meant as people read them off a door: it is open while the clock
// on that wall shows a time within a span. A day on which the clock is set
// forward or back therefore has an hour less or more, and a span that the
// clock jumps over does not happen. Times that are handed in and out are
// instants; only Describe and the helpers for texts speak of a wall's clock.
package hours

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones must be known on machines without a zone database, too
)

// MaxSpans is how many spans a day may have.
const MaxSpans = 20

// A Span is a time of a day of every week, in minutes since its midnight. To
// is not part of it and may be 1440, which is written 24:00.
type Span struct {
	Day      time.Weekday
	From, To int
}

const (
	minutesPerDay = 24 * 60
	week          = 7 * 24 * time.Hour
	// horizon is how far Next, Closes and ReplyBy look: what lies beyond is
	// nothing that anybody should be told.
	horizon = 366 * 24 * time.Hour
)

// A Week is weekly hours in a time zone. The zero value, like a week without
// spans, means that nobody knows the hours. It is immutable.
type Week struct {
	spans  []Span // sorted from Monday, without overlaps
	pieces []piece
	zone   *time.Location
}

// piece is a span in time since Monday's midnight; touching ones are joined.
type piece struct{ from, to time.Duration }

// Invalid says what is wrong with hours, one problem for each span.
type Invalid struct{ Problems []Problem } //nolint:errname // the word of the house

// A Problem is what is wrong with the span of that index, or with the zone (-1).
type Problem struct {
	Index  int
	Detail string
}

func (e *Invalid) Error() string {
	all := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p.Detail
	}
	return "support hours: " + strings.Join(all, "; ")
}

// New makes a Week of spans in any order and the name of an IANA time zone.
// Without spans the hours are unknown. An error is an *Invalid and may be
// shown to whoever entered the hours.
func New(spans []Span, zone string) (Week, error) {
	var bad Invalid
	location, err := Zone(zone)
	if err != nil {
		bad.Problems = append(bad.Problems, Problem{-1, err.Error()})
	}
	type indexed struct {
		Span
		index int
	}
	sorted := make([]indexed, 0, len(spans))
	perDay := map[time.Weekday]int{}
	for i, s := range spans {
		detail := ""
		switch {
		case s.Day < time.Sunday || s.Day > time.Saturday:
			detail = fmt.Sprintf("day %d does not exist", s.Day)
		case s.From < 0 || s.From >= minutesPerDay:
			detail = fmt.Sprintf("%v must begin between 00:00 and 23:59", s.Day)
		case s.To > minutesPerDay:
			detail = fmt.Sprintf("%v must end at 24:00 or before", s.Day)
		case s.To == s.From:
			detail = fmt.Sprintf("%v %s ends when it begins", s.Day, s.written())
		case s.To < s.From:
			detail = fmt.Sprintf("%v %s ends before it begins; hours past midnight are two spans, one to 24:00 and one from 00:00 of the next day", s.Day, s.written())
		}
		if detail != "" {
			bad.Problems = append(bad.Problems, Problem{i, detail})
			continue
		}
		if perDay[s.Day]++; perDay[s.Day] == MaxSpans+1 {
			bad.Problems = append(bad.Problems, Problem{i, fmt.Sprintf("%v has more than %d spans", s.Day, MaxSpans)})
		}
		sorted = append(sorted, indexed{s, i})
	}
	slices.SortStableFunc(sorted, func(a, b indexed) int {
		return cmp.Or(cmp.Compare(fromMonday(a.Day), fromMonday(b.Day)), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1], sorted[i]
		if a.Day == b.Day && b.From < a.To {
			bad.Problems = append(bad.Problems, Problem{max(a.index, b.index), fmt.Sprintf("%v %s and %s overlap", a.Day, a.written(), b.written())})
		}
	}
	if len(bad.Problems) > 0 {
		return Week{}, &bad
	}
	w := Week{zone: location}
	for _, s := range sorted {
		w.spans = append(w.spans, s.Span)
		day := time.Duration(fromMonday(s.Day)) * 24 * time.Hour
		p := piece{day + time.Duration(s.From)*time.Minute, day + time.Duration(s.To)*time.Minute}
		if n := len(w.pieces); n > 0 && w.pieces[n-1].to == p.from {
			w.pieces[n-1].to = p.to
		} else {
			w.pieces = append(w.pieces, p)
		}
	}
	return w, nil
}

// Zone finds the time zone of an IANA name.
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is no time zone: name one like Europe/Berlin or UTC", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone that we know: name one like Europe/Berlin or UTC", name)
	}
	return zone, nil
}

// Known tells whether there are any hours.
func (w Week) Known() bool { return len(w.pieces) > 0 }

// Zone is the zone that the hours are meant in; UTC for the zero Week.
func (w Week) Zone() *time.Location {
	if w.zone == nil {
		return time.UTC
	}
	return w.zone
}

// Spans are the spans, sorted from Monday.
func (w Week) Spans() []Span { return slices.Clone(w.spans) }

// Open tells whether it is open at that moment. Unknown hours are never open.
func (w Week) Open(at time.Time) bool {
	open, _ := w.state(at)
	return open
}

// Next is the first moment from at on when it is open: at itself if it is open
// then. It is false where hours are unknown.
func (w Week) Next(at time.Time) (time.Time, bool) {
	return w.until(at, true)
}

// Closes is the first moment from at on when it is closed. It is false where
// hours are unknown or it never closes.
func (w Week) Closes(at time.Time) (time.Time, bool) {
	return w.until(at, false)
}

// ReplyBy is the moment by which it has been open for working since at; with
// no working time, the next moment when it is open. It is false where hours
// are unknown, or where it would take longer than a year.
func (w Week) ReplyBy(at time.Time, working time.Duration) (time.Time, bool) {
	if working <= 0 {
		return w.Next(at)
	}
	if !w.Known() {
		return time.Time{}, false
	}
	for t, end := at, at.Add(horizon); t.Before(end); {
		open, until := w.state(t)
		if open {
			if done := t.Add(working); !done.After(until) {
				return done, true
			}
			working -= until.Sub(t)
		}
		t = until
	}
	return time.Time{}, false
}

func (w Week) until(at time.Time, open bool) (time.Time, bool) {
	if !w.Known() {
		return time.Time{}, false
	}
	for t, end := at, at.Add(horizon); t.Before(end); {
		is, until := w.state(t)
		if is == open {
			return t, true
		}
		t = until
	}
	return time.Time{}, false
}

// state tells whether it is open at a moment and until when this surely stays
// so. Between two changes of the zone's offset the wall's clock runs evenly,
// so that a span's end on it is an addition away; at a change we look again.
func (w Week) state(at time.Time) (open bool, until time.Time) {
	local := at.In(w.Zone())
	_, change := local.ZoneBounds()
	hour, minute, second := local.Clock()
	clock := time.Duration(fromMonday(local.Weekday()))*24*time.Hour + time.Duration(hour)*time.Hour +
		time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(local.Nanosecond())
	left := week
	for _, p := range w.pieces {
		if clock < p.from {
			left = p.from - clock
			break
		}
		if clock < p.to {
			open, left = true, p.to-clock
			break
		}
	}
	if !open && left == week && w.Known() {
		left = week - clock + w.pieces[0].from
	}
	until = at.Add(left)
	if !change.IsZero() && change.Before(until) {
		until = change.In(at.Location())
	}
	return open, until
}

// fromMonday counts the days since Monday.
func fromMonday(d time.Weekday) int { return (int(d) + 6) % 7 }

func (s Span) written() string { return FormatClock(s.From) + "–" + FormatClock(s.To) }
