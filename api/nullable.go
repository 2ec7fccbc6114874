package api

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Nullable is a field of a PATCH: absent, null, or a value. Written as
// `json:"…,omitzero"`.
type Nullable[T any] struct {
	Set, Null bool
	Value     T
}

// UnmarshalJSON notices that the field is there at all.
func (n *Nullable[T]) UnmarshalJSON(b []byte) error {
	n.Set = true
	if bytes.Equal(bytes.TrimSpace(b), []byte("null")) {
		n.Null = true
		return nil
	}
	return json.Unmarshal(b, &n.Value)
}

// IsZero tells whether the field was absent.
func (n Nullable[T]) IsZero() bool { return !n.Set }

// Schema is that of the value, or null.
func (n Nullable[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	if s.Ref != "" {
		return &huma.Schema{AnyOf: []*huma.Schema{{Ref: s.Ref}, {Type: "null"}}}
	}
	s.Nullable = true
	return &s
}

// Pointer is nil when the field was absent, else the value, which null leaves
// at its zero.
func (n Nullable[T]) Pointer() *T {
	if !n.Set {
		return nil
	}
	return &n.Value
}
