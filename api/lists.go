package api

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
	"github.com/relaydesk/relaydesk/internal/secrets"
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

// macLength is enough that nobody guesses one within the limits.
const macLength = 8

// cursorKey is derived from the installation's, for nothing but cursors.
func cursorKey(box *secrets.Box) []byte {
	block := box.Block("cursors")
	key := make([]byte, 2*aes.BlockSize)
	key[0] = 1
	block.Encrypt(key[:aes.BlockSize], key[:aes.BlockSize])
	block.Encrypt(key[aes.BlockSize:], key[aes.BlockSize:])
	return key
}

// bindOf is what a cursor is bound to: the same list, filters and reader.
// Which part is asked for makes no difference. It is secret, so that a cursor
// can't be made up, nor one be changed.
func bindOf(key []byte, path string, query url.Values, who string) [sha256.Size]byte {
	filters := url.Values{}
	for name, values := range query {
		if name != "cursor" && name != "limit" {
			filters[name] = values
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(path + "?" + filters.Encode() + " " + who)) // Encode sorts
	return [sha256.Size]byte(mac.Sum(nil))
}

// sign is the MAC of where a part of this list ended.
func (c *Call) sign(key []byte) []byte {
	mac := hmac.New(sha256.New, c.bind[:])
	mac.Write(key)
	return mac.Sum(nil)[:macLength]
}

// after reads a cursor that next has written.
func (c *Call) after(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) <= macLength || !hmac.Equal(raw[:macLength], c.sign(raw[macLength:])) {
		return "", badCursor()
	}
	return string(raw[macLength:]), nil
}

func badCursor() error {
	return fault.New(fault.Invalid, "cursor_invalid", "This cursor belongs to another list or to other filters. Start without one.")
}

// next writes a cursor; key is where the part ended.
func (c *Call) next(key string) *string {
	cursor := base64.RawURLEncoding.EncodeToString(append(c.sign([]byte(key)), key...))
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
