package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a value that shows in no log, error or dump: however it is printed
// or encoded, it says [redacted]. Reveal gives the value itself.
type Secret struct{ value string }

const redacted = "[redacted]"

// NewSecret wraps a value, such as one that dev has made.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal is the value, for the one place that uses it.
func (s Secret) Reveal() string { return s.value }

// IsSet tells whether there is a value.
func (s Secret) IsSet() bool { return s.value != "" }

func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return redacted
}

// Format covers every verb, also those that would look inside.
func (s Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, s.String()) }

// LogValue is what slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what encoders such as JSON's write.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
