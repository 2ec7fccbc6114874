package handoff

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/relaydesk/relaydesk/handoff/hours"
	"github.com/relaydesk/relaydesk/handoff/notices"
	"github.com/relaydesk/relaydesk/internal/timers"
)

// language is what the visitor is spoken to in.
func (t *thread) language() string {
	first := ""
	if len(t.settings.Languages) > 0 {
		first = t.settings.Languages[0]
	}
	return cmp.Or(t.Language, t.contact.Language, first, "en")
}

// zone is the visitor's, empty where it is not known.
func (t *thread) zone() string { return t.contact.Attributes["time_zone"] }

// week are the support hours. Hours that can't be read are hours that nobody
// knows: then no time is promised.
func (t *thread) week() hours.Week {
	spans := make([]hours.Span, len(t.settings.SupportHours))
	for i, s := range t.settings.SupportHours {
		spans[i] = hours.Span{Day: s.Day, From: s.From, To: s.To}
	}
	week, err := hours.New(spans, cmp.Or(t.settings.TimeZone, "UTC"))
	if err != nil {
		return hours.Week{}
	}
	return week
}

// promise composes what is promised now.
func (t *thread) promise(ctx context.Context) (notices.Promise, *Promise, error) {
	week := t.week()
	working, err := t.measured(ctx, week)
	if err != nil {
		return notices.Promise{}, nil, err
	}
	p := notices.Compose(t.language(), week, t.zone(), t.Now, working)
	return p, &Promise{Text: p.Text, ReplyBy: p.ReplyBy, Basis: p.Basis}, nil
}

// What is measured: how much working time passed until a person first replied.
// A moment is promised only where enough is known, and so that nine in ten of
// those that are known would have kept it.
const (
	measuredAtLeast = 10
	measuredAtMost  = 50
	measuredFor     = 60 * 24 * time.Hour
	kept            = 0.9
)

// measured is the working time within which the team replies; 0: too little is
// known, or there are no hours to measure by.
func (t *thread) measured(ctx context.Context, week hours.Week) (time.Duration, error) {
	if !week.Known() {
		return 0, nil
	}
	rows, err := t.tx.Query(ctx, repliesSQL, pgx.StrictNamedArgs{"workspace_id": t.w.ID, "since": t.Now.Add(-measuredFor), "limit": measuredAtMost})
	if err != nil {
		return 0, fmt.Errorf("read reply times: %w", err)
	}
	var opened, replied time.Time
	var all []time.Duration
	_, err = pgx.ForEachRow(rows, []any{&opened, &replied}, func() error {
		all = append(all, worked(week, opened, replied))
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read reply times: %w", err)
	}
	if len(all) < measuredAtLeast {
		return 0, nil
	}
	slices.Sort(all)
	return max(all[int(float64(len(all)-1)*kept+.999)], time.Minute), nil
}

// worked is how long it was open between two moments.
func worked(week hours.Week, from, to time.Time) (open time.Duration) {
	for from.Before(to) {
		until, ok := week.Next(from)
		if week.Open(from) {
			if until, ok = week.Closes(from); !ok || until.After(to) {
				until = to
			}
			open += until.Sub(from)
		} else if !ok {
			return open
		}
		from = until
	}
	return open
}

// The time within which a person replies where no moment was promised: it is
// never told, only watched.
const (
	watchedWork  = 2 * time.Hour  // of support hours
	watchedClock = 24 * time.Hour // where those are unknown
)

// breaks is the moment at which the standing promise breaks, for a visitor who
// waits since a moment.
func (t *thread) breaks(e *Escalation, since time.Time) time.Time {
	if e.FirstReplyAt == nil && e.Promise != nil && e.Promise.ReplyBy != nil {
		return *e.Promise.ReplyBy
	}
	if by, ok := t.week().ReplyBy(since, watchedWork); ok {
		return by
	}
	return since.Add(watchedClock)
}

// watch sets the timer that tells before the promise breaks.
func (t *thread) watch(e *Escalation) {
	if t.WaitingSince == nil {
		return
	}
	t.Timer(timers.Overdue, e.ID, warn(*t.WaitingSince, t.breaks(e, *t.WaitingSince)))
}

// warn is when to tell of a promise that breaks: a fifth of the time before it,
// half an hour at most.
func warn(since, breaks time.Time) time.Time {
	return breaks.Add(-min(breaks.Sub(since)/5, 30*time.Minute))
}
