// Package objects is what the API's objects look like in JSON, and how they are
// made of what the domain knows. The functions are pure; what a handler or a
// webhook needs besides, it has read in batches before.
//
// An optional field is absent when there is nothing to say. A list is never
// absent and never null.
package objects

import (
	"time"

	"github.com/relaydesk/relaydesk/internal/ids"
)

const timeFormat = "2006-01-02T15:04:05.000Z"

// at writes a moment as the API does: RFC 3339 in UTC with milliseconds.
func at(t time.Time) string { return t.UTC().Format(timeFormat) }

// maybe leaves out what has no time, by omitempty.
func maybe(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return at(*t)
}

// id writes an id; one that is zero is left out by omitempty.
func id(p ids.Prefix, id ids.ID) string {
	if id.IsZero() {
		return ""
	}
	return ids.Format(p, id)
}

// list is never null.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// each renders all of a list; the result is never null.
func each[D, T any](all []D, render func(D) T) []T {
	out := make([]T, len(all))
	for i, d := range all {
		out[i] = render(d)
	}
	return out
}
