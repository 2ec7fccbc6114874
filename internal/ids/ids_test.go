package ids

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAnIdentifierReadsBackAsWritten(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_790_000_000_123)
	seen := map[string]bool{}
	for range 2000 {
		id := New(now)
		s := Format(Conversation, id)
		back, err := Parse(Conversation, s)
		if err != nil || back != id {
			t.Fatalf("Parse(%q) = %x, %v; want %x", s, back, err, id)
		}
		if seen[s] {
			t.Fatalf("%s was made twice", s)
		}
		seen[s] = true
		if got := id.Time(); !got.Equal(now) {
			t.Fatalf("Time() = %s, want %s", got, now)
		}
		if id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%x is no UUIDv7", id)
		}
	}
}

func TestTheWrittenFormIsKnown(t *testing.T) {
	t.Parallel()
	var most ID
	for i := range most {
		most[i] = 0xff
	}
	var one ID
	binary.BigEndian.PutUint64(one[8:], 1)
	for want, id := range map[string]ID{
		"ws_00000000000000000000000000": {},
		"ws_00000000000000000000000001": one,
		"ws_7zzzzzzzzzzzzzzzzzzzzzzzzz": most,
	} {
		if got := Format(Workspace, id); got != want {
			t.Errorf("Format = %s, want %s", got, want)
		}
	}
}

func TestLaterIdentifiersSortAfterEarlierOnes(t *testing.T) {
	t.Parallel()
	early, late := New(time.UnixMilli(1_790_000_000_000)), New(time.UnixMilli(1_790_000_000_001))
	if bytes.Compare(early[:], late[:]) >= 0 {
		t.Errorf("%x does not sort before %x", early, late)
	}
	if Format(Message, early) >= Format(Message, late) {
		t.Error("the written forms sort otherwise than the bytes")
	}
}

func TestWhatIsNoIdentifierIsRefused(t *testing.T) {
	t.Parallel()
	good := Format(Message, New(time.UnixMilli(1_790_000_000_000)))
	body := strings.TrimPrefix(good, "msg_")
	for name, s := range map[string]string{
		"empty":            "",
		"prefix only":      "msg_",
		"another type":     "conv_" + body,
		"upper case":       strings.ToUpper(good),
		"too short":        good[:len(good)-1],
		"too long":         good + "0",
		"overflow":         "msg_8" + body[1:],
		"look-alike":       "msg_" + body[:25] + "l",
		"NUL":              "msg_" + body[:25] + "\x00",
		"more than a byte": "msg_" + body[:24] + "é",
	} {
		if _, err := Parse(Message, s); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: Parse(%q) gave %v, want ErrMalformed", name, s, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("msg_00000000000000000000000001")
	f.Add("msg_8zzzzzzzzzzzzzzzzzzzzzzzzz")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := Parse(Message, s)
		if err == nil && Format(Message, id) != s {
			t.Errorf("%q names %x, whose written form is %q", s, id, Format(Message, id))
		}
	})
}
