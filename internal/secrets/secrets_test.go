package secrets

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestAKeyIsWellFormedAndEveryTypingErrorIsNot(t *testing.T) {
	t.Parallel()
	for _, kind := range []KeyKind{SecretLive, SecretTest, PublishableLive, PublishableTest} {
		key := NewKey(kind)
		if !WellFormed(key) || len(key) != len(kind)+36 {
			t.Fatalf("%s… is not well-formed", kind)
		}
		for i := range key {
			for _, c := range []byte{'0', 'z', ' ', 0} {
				if wrong := key[:i] + string(c) + key[i+1:]; wrong != key && WellFormed(wrong) {
					t.Errorf("kind %s: character %d changed to %q is still well-formed", kind, i, c)
				}
			}
		}
		if WellFormed(key+"0") || WellFormed(key[:len(key)-1]) || WellFormed("") || WellFormed(string(kind)) {
			t.Errorf("kind %s: a wrong length is well-formed", kind)
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	t.Parallel()
	a, b := NewKey(SecretLive), NewKey(SecretLive)
	if a == b || Hash(a) == Hash(b) {
		t.Error("two keys are the same")
	}
	if !strings.HasSuffix(a, Last4(a)) || len(Last4(a)) != 4 {
		t.Errorf("Last4 = %q", Last4(a))
	}
}

func TestASealedValueOpensOnlyWhereItWasSealed(t *testing.T) {
	t.Parallel()
	box, err := NewBox(NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte("whsec_fixture")
	sealed := box.Seal("endpoint:1", plain)
	if bytes.Contains(sealed, plain) {
		t.Fatal("the value is readable")
	}
	if got, err := box.Open("endpoint:1", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open = %q, %v", got, err)
	}
	if bytes.Equal(sealed, box.Seal("endpoint:1", plain)) {
		t.Error("the same value was sealed to the same bytes: the nonce repeats")
	}
	if _, err := box.Open("endpoint:2", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("another place: %v, want ErrSealed", err)
	}
	other, err := NewBox(NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open("endpoint:1", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("another key: %v, want ErrSealed", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := box.Open("endpoint:1", changed); !errors.Is(err, ErrSealed) {
			t.Errorf("byte %d changed: %v, want ErrSealed", i, err)
		}
		if _, err := box.Open("endpoint:1", sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut at %d: %v, want ErrSealed", i, err)
		}
	}
}

func TestAWrongEncryptionKeyIsRefusedWithAWayOut(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "short", "c2hvcnQ=", strings.Repeat("!", 44)} {
		if _, err := NewBox(key); err == nil || !strings.Contains(err.Error(), "openssl rand") {
			t.Errorf("NewBox(%q) = %v", key, err)
		}
	}
}

func FuzzWellFormed(f *testing.F) {
	f.Add("rd_sk_live_000000000000000000000000000000000000")
	f.Add("rd_pk_test_")
	f.Fuzz(func(t *testing.T, s string) {
		if WellFormed(s) && (len(s) != 47 || checksum(s[:41]) != s[41:]) {
			t.Errorf("%q is well-formed", s)
		}
	})
}
