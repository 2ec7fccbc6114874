// Package secrets makes and checks API keys and encrypts what must not lie
// readable on disk: kept answers and webhook secrets.
//
// A key is "rd_sk_live_" (or rd_sk_test_, rd_pk_live_, rd_pk_test_), 30 random
// base62 characters and six more that hold the CRC-32 of everything before
// them. The checksum lets a mistyped key be refused, and a leaked one be
// recognised by a scanner, without asking a database. Only its SHA-256 is
// stored.
package secrets

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"strings"
)

// KeyKind is the part of a key that tells what it may be used for.
type KeyKind string

// The kinds of keys. A publishable key may stand in a web page.
const (
	SecretLive      KeyKind = "rd_sk_live_"
	SecretTest      KeyKind = "rd_sk_test_"
	PublishableLive KeyKind = "rd_pk_live_"
	PublishableTest KeyKind = "rd_pk_test_"
)

const (
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomChars = 30
	sumChars    = 6
)

// NewKey makes a key. It is shown once and never stored.
func NewKey(kind KeyKind) string {
	var b strings.Builder
	b.WriteString(string(kind))
	for b.Len() < len(kind)+randomChars {
		var raw [randomChars]byte
		_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the program instead
		for _, c := range raw {
			// 248 is the largest multiple of 62 in a byte: beyond it some
			// characters would come more often than others.
			if c < 248 && b.Len() < len(kind)+randomChars {
				b.WriteByte(base62[c%62])
			}
		}
	}
	return b.String() + checksum(b.String())
}

// WellFormed tells whether a string can be a key at all: known kind, right
// length and characters, matching checksum.
func WellFormed(key string) bool {
	for _, kind := range []KeyKind{SecretLive, SecretTest, PublishableLive, PublishableTest} {
		rest, found := strings.CutPrefix(key, string(kind))
		if !found {
			continue
		}
		if len(rest) != randomChars+sumChars || strings.Trim(rest, base62) != "" {
			return false
		}
		cut := len(key) - sumChars
		return key[cut:] == checksum(key[:cut])
	}
	return false
}

// Hash is what is stored of a key. A fast hash is enough: 178 random bits can't
// be guessed, and each request has to compute it.
func Hash(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// Last4 are the characters by which a person recognises a key in a list.
func Last4(key string) string { return key[max(0, len(key)-4):] }

func checksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	var out [sumChars]byte
	for i := sumChars - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return string(out[:])
}
