package receipts

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"time"

	"github.com/relaydesk/relaydesk/internal/fault"
	"github.com/relaydesk/relaydesk/internal/ids"
)

// Inline is what a statement needs that takes and keeps a receipt by itself, in
// the round trip in which it stores what the receipt is for. It does, in this
// order, what Once does: it tries the lock of Place until the transaction ends,
// and gives up where somebody else has it; looks for a receipt younger than
// KeptSince, and gives that; and puts the row of the new one in or over an older.
type Inline struct {
	Place       string
	Principal   ids.ID
	Key         string
	Fingerprint []byte
	Sealed      []byte
	KeptSince   time.Time
}

// Inline makes it for a result that is known before it is stored, because it
// holds nothing but ids. A nil receipt gives the zero value: no key.
func (r *Receipt) Inline(out any) (Inline, error) {
	if r == nil {
		return Inline{}, nil
	}
	plain, err := json.Marshal(out)
	if err != nil {
		return Inline{}, fmt.Errorf("keep a receipt: %w", err)
	}
	return Inline{
		Place: r.place(), Principal: r.Principal, Key: r.Key, Fingerprint: r.Fingerprint[:], Sealed: r.Box.Seal(r.place(), plain), KeptSince: r.Now.Add(-Kept),
	}, nil
}

// InFlight is the fault of a request whose key another has in hand.
func InFlight() error {
	return fault.New(fault.Conflict, "idempotency_in_flight", "A request with this Idempotency-Key is being worked on; send it again in a moment.")
}

// Found opens the receipt that a statement found: the request is a repeated
// one, or its key was used for another.
func Found[T any](r *Receipt, fingerprint, sealed []byte) (earlier T, err error) {
	if subtle.ConstantTimeCompare(fingerprint, r.Fingerprint[:]) != 1 {
		return earlier, mismatch()
	}
	plain, err := r.Box.Open(r.place(), sealed)
	if err == nil {
		err = json.Unmarshal(plain, &earlier)
	}
	if err != nil {
		return earlier, fmt.Errorf("open a receipt: %w", err)
	}
	r.Replayed = true
	return earlier, nil
}

func mismatch() error {
	return fault.New(fault.Invalid, "idempotency_mismatch", "This Idempotency-Key was used for another request; use a new key for each.")
}
