// Package clock is where the time comes from. An operation reads it once and
// uses that one moment throughout, so that what it stores agrees with itself;
// and a test can say what time it is.
package clock

import "time"

// Clock tells the time.
type Clock interface {
	// Now is the present moment in UTC.
	Now() time.Time
}

// System is the machine's clock.
func System() Clock { return system{} }

type system struct{}

func (system) Now() time.Time { return time.Now().UTC() } //nolint:forbidigo // the one place that reads it
