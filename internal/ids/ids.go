// Package ids makes and reads the identifiers that Relaydesk shows to the
// outside. Inside, an object is known by a UUIDv7; at the edge it is written as
// a type prefix and those 128 bits in 26 characters of lower-case Crockford
// base32 ("conv_01kb…"). One value has exactly one written form, so two
// different strings never name the same object.
package ids

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// ID is a UUID as Postgres stores it.
type ID [16]byte

// Prefix names the type of the object that an identifier belongs to.
type Prefix string

// The prefixes of the published API.
const (
	Agency          Prefix = "ag"
	Workspace       Prefix = "ws"
	Member          Prefix = "mem"
	Key             Prefix = "key"
	Source          Prefix = "src"
	Page            Prefix = "page"
	Contact         Prefix = "cont"
	Conversation    Prefix = "conv"
	Message         Prefix = "msg"
	Turn            Prefix = "turn"
	Escalation      Prefix = "esc"
	Event           Prefix = "evt"
	WebhookEndpoint Prefix = "whe"
	WebhookDelivery Prefix = "whd"
	Suggestion      Prefix = "sug"
)

// ErrMalformed says that a string is no identifier of the wanted type. At the
// edge it is a 404, like an unknown identifier: a caller learns nothing.
var ErrMalformed = errors.New("malformed identifier")

const (
	alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	encoded  = 26
)

// New makes a UUIDv7 (RFC 9562) for the given moment: milliseconds since 1970,
// then 74 random bits.
func New(now time.Time) ID {
	var id ID
	_, _ = rand.Read(id[6:]) // never fails: crypto/rand ends the program instead
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Time is the moment, to the millisecond, that a UUIDv7 was made for.
func (id ID) Time() time.Time {
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC() //nolint:gosec // 48 bits fit
}

// IsZero tells whether the identifier was never set.
func (id ID) IsZero() bool { return id == ID{} }

// OrNil leaves a zero identifier out where a column or a parameter may be null.
func (id ID) OrNil() *ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

// Format writes the identifier as the API shows it.
func Format(p Prefix, id ID) string {
	var b strings.Builder
	b.Grow(len(p) + 1 + encoded)
	b.WriteString(string(p))
	b.WriteByte('_')
	hi, lo := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	for i := encoded - 1; i >= 0; i-- {
		b.WriteByte(alphabet[shift(hi, lo, uint(i)*5)&31])
	}
	return b.String()
}

// shift gives the low 64 bits of the 128-bit number hi:lo moved right by n.
func shift(hi, lo uint64, n uint) uint64 {
	if n >= 64 {
		return hi >> (n - 64)
	}
	return lo>>n | hi<<(64-n)
}

// Parse reads an identifier of the given type. It takes only the form that
// Format writes: lower case, no look-alike letters, no overflow.
func Parse(p Prefix, s string) (ID, error) {
	rest, found := strings.CutPrefix(s, string(p)+"_")
	if !found || len(rest) != encoded || rest[0] > '7' {
		return ID{}, ErrMalformed
	}
	var hi, lo uint64
	for i := range encoded {
		v := strings.IndexByte(alphabet, rest[i])
		if v < 0 {
			return ID{}, ErrMalformed
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	var id ID
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, nil
}
