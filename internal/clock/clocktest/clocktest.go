// Package clocktest is a clock that a test sets.
package clocktest

import (
	"sync"
	"time"
)

// Fake is a clock that stands still until it is moved. It is safe for
// concurrent use; the zero value shows Start.
type Fake struct {
	mu     sync.Mutex
	moment time.Time
}

// Start is what a Fake shows that was given no time: a Wednesday at nine, UTC.
var Start = time.Date(2026, time.November, 25, 9, 0, 0, 0, time.UTC)

// At makes a clock that shows the given moment.
func At(moment time.Time) *Fake { return &Fake{moment: moment.UTC()} }

// Now is the moment that the clock was last moved to.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now()
}

// Set moves the clock to a moment, forwards or backwards.
func (f *Fake) Set(moment time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moment = moment.UTC()
}

// Advance moves the clock by a duration and gives what it shows then.
func (f *Fake) Advance(by time.Duration) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moment = f.now().Add(by)
	return f.moment
}

func (f *Fake) now() time.Time {
	if f.moment.IsZero() {
		return Start
	}
	return f.moment
}
