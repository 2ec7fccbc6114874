package events

import (
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// ErrPosition says that a string is no position in this agency's log.
var ErrPosition = errors.New("no position in this log")

// Positions writes positions as the API shows them. One is a single block that
// holds the agency beside the number, encrypted: nobody can count an agency's
// events by it, and what was given to one agency, or made up, means nothing to
// another.
type Positions struct{ block cipher.Block }

// NewPositions takes a block cipher with blocks of 16 bytes whose key serves
// nothing else.
func NewPositions(block cipher.Block) Positions { return Positions{block} }

// Format writes a position of an agency's log.
func (p Positions) Format(agencyID, position int64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(agencyID)) //nolint:gosec // never negative
	binary.BigEndian.PutUint64(b[8:], uint64(position)) //nolint:gosec // never negative
	p.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Parse reads what Format wrote for the same agency. "0" is the position before
// the oldest event.
func (p Positions) Parse(agencyID int64, s string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 16 {
		return 0, ErrPosition
	}
	p.block.Decrypt(b, b)
	position := int64(binary.BigEndian.Uint64(b[8:]))                      //nolint:gosec // checked below
	if int64(binary.BigEndian.Uint64(b[:8])) != agencyID || position < 0 { //nolint:gosec // compared whole
		return 0, ErrPosition
	}
	return position, nil
}
