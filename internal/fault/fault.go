// Package fault holds the closed set of ways in which an operation fails. A
// domain package says what kind of failure it met and, with a code of the
// published list, which one; one place at the edge turns the kind into a status.
// An error that is no Fault is internal: its text is logged and never shown.
package fault

import (
	"errors"
	"fmt"
)

// Kind is the nature of a failure.
type Kind int

// The kinds. Internal is the zero value, so that what nobody classified is
// never mistaken for the caller's doing.
const (
	Internal Kind = iota
	NotFound
	Conflict
	Invalid
	Denied
	Limited
	Unavailable
)

// Fault is a failure that may be told to the caller: Code is one of the API's
// problem codes, Detail a sentence that helps and holds no secret.
type Fault struct { //nolint:errname // the word of the house
	Kind   Kind
	Code   string
	Detail string
	cause  error
}

// New makes a failure of the given kind.
func New(kind Kind, code, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Because keeps the cause for the log; the caller is not told of it.
func (f *Fault) Because(cause error) *Fault {
	c := *f
	c.cause = cause
	return &c
}

func (f *Fault) Error() string {
	if f.cause == nil {
		return f.Code + ": " + f.Detail
	}
	return f.Code + ": " + f.Detail + ": " + f.cause.Error()
}

func (f *Fault) Unwrap() error { return f.cause }

// Of finds the failure in a chain of errors. What holds none is internal.
func Of(err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return &Fault{Kind: Internal, Code: "internal_error", Detail: "Something went wrong on our side.", cause: err}
}
