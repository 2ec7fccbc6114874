package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/tenants"
)

// List is a part of a list.
type List[T any] struct {
	Object     string  `json:"object" enum:"list" doc:"Always list."`
	Data       []T     `json:"data" doc:"The part of the list that was asked for."`
	HasMore    bool    `json:"has_more" doc:"Whether there is more."`
	NextCursor *string `json:"next_cursor" nullable:"true" doc:"Gives the next part when it is sent as cursor; null at the end." example:"AbCdEf012345"`
}

// Paged are the parameters that every list has.
type Paged struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"How many to give."`
	Cursor string `query:"cursor" maxLength:"1000" doc:"The next_cursor of the part before, with the same filters."`
}

const bindLength = 8

// bindOf is what a cursor is bound to: the same list, filters and reader.
// Which part is asked for makes no difference.
func bindOf(path string, query url.Values, who string) (bind [bindLength]byte) {
	filters := url.Values{}
	for name, values := range query {
		if name != "cursor" && name != "limit" {
			filters[name] = values
		}
	}
	sum := sha256.Sum256([]byte(path + "?" + filters.Encode() + " " + who)) // Encode sorts
	copy(bind[:], sum[:])
	return bind
}

// after reads a cursor that next has written.
func (c *Call) after(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) <= bindLength || subtle.ConstantTimeCompare(raw[:bindLength], c.bind[:]) != 1 {
		return "", badCursor()
	}
	return string(raw[bindLength:]), nil
}

func badCursor() error {
	return fault.New(fault.Invalid, "cursor_invalid", "This cursor belongs to another list or to other filters. Start without one.")
}

// next writes a cursor; key is where the part ended.
func (c *Call) next(key string) *string {
	cursor := base64.RawURLEncoding.EncodeToString(append(c.bind[:], key...))
	return &cursor
}

// page reads the parameters of a list that is ordered by ids.
func (c *Call) page(p Paged) (tenants.Page, error) {
	key, err := c.after(p.Cursor)
	if err != nil {
		return tenants.Page{}, err
	}
	page := tenants.Page{Limit: p.Limit}
	if key != "" {
		if len(key) != len(page.After) {
			return tenants.Page{}, badCursor()
		}
		copy(page.After[:], key)
	}
	return page, nil
}

// list makes the answer of a list that is ordered by ids.
func list[D, T any](c *Call, all []D, more bool, id func(D) ids.ID, object func(D) T) List[T] {
	out := List[T]{Object: "list", Data: make([]T, len(all)), HasMore: more}
	for i, d := range all {
		out.Data[i] = object(d)
	}
	if more && len(all) > 0 {
		last := id(all[len(all)-1])
		out.NextCursor = c.next(string(last[:]))
	}
	return out
}
