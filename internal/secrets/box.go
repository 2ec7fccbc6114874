package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrSealed says that a sealed value can't be opened: it was changed, belongs
// to another row, or was sealed under another key.
var ErrSealed = errors.New("sealed value can't be opened")

const boxVersion = 1

// Box seals values with AES-256-GCM. Each value is bound to the place where it
// is kept, so that a row copied over another one doesn't open.
type Box struct {
	aead cipher.AEAD
	key  []byte
}

// NewBox takes the key as the configuration holds it: 32 bytes in standard base64.
func NewBox(encoded string) (*Box, error) {
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != 32 {
		return nil, errors.New("the encryption key must be 32 bytes in base64 (make one with: openssl rand -base64 32)")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("read the encryption key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("set up encryption: %w", err)
	}
	return &Box{aead: aead, key: key}, nil
}

// Block is AES under a key derived for one purpose, for what has to be written
// the same way each time.
func (b *Box) Block(purpose string) cipher.Block {
	key, err := hkdf.Key(sha256.New, b.key, nil, "relaydesk "+purpose, 32)
	if err != nil {
		panic(err) // 32 bytes are never too many
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has a right length
	}
	return block
}

// NewEncryptionKey makes a key that NewBox takes.
func NewEncryptionKey() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	return base64.StdEncoding.EncodeToString(key[:])
}

// Seal encrypts a value for one place, such as "receipt:" and its key's id.
func (b *Box) Seal(place string, plain []byte) []byte {
	return b.aead.Seal([]byte{boxVersion}, nil, plain, []byte(place)) //nolint:gosec // the AEAD draws the nonce
}

// Open decrypts what Seal made for the same place, else gives ErrSealed.
func (b *Box) Open(place string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != boxVersion {
		return nil, ErrSealed
	}
	plain, err := b.aead.Open(nil, nil, sealed[1:], []byte(place))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
