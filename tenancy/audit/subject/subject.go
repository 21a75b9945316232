// Package subject seals what audit entries tell of persons, each person's under a key of their own, so that
// one is erased, wherever copies are, by forgetting what the key is derived from: a salt in the
// database beside the tenant's keys, of which neither does without the other.
package subject

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// SaltBytes is the length of a salt.
const SaltBytes = 32

// NewSalt returns that of a person who has none yet.
func NewSalt() []byte {
	salt := make([]byte, SaltBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return salt
}

// purpose derives a person's key from the tenant's, which stays when the data key changes: so what is
// sealed is never sealed anew, and may lie where nobody can change it.
const purpose keys.Purpose = "audit subject"

// Keys are the keys of some persons of one tenant. They are not safe for concurrent use.
type Keys struct {
	ring  *keys.Ring
	salts map[uuid.UUID][]byte
	made  map[uuid.UUID]cipher.AEAD
}

// NewKeys returns the keys of the persons whose salts these are; whoever is not in it is erased.
func NewKeys(ring *keys.Ring, salts map[uuid.UUID][]byte) *Keys {
	return &Keys{ring: ring, salts: salts, made: map[uuid.UUID]cipher.AEAD{}}
}

// Seal seals part i of an entry, which is of subject: AES-256-GCM under a random nonce, bound to tenant, person, entry
// and place. It returns nil for somebody erased. The result is 28 bytes longer.
func (k *Keys) Seal(subject, entry uuid.UUID, i int, part []byte) ([]byte, error) {
	aead, err := k.of(subject)
	if aead == nil || err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, part, place(entry, i)), nil //nolint:gosec // G407: the AEAD brings a nonce of its own, by chance
}

// Open returns what was sealed, or nil for somebody erased and for nothing. keys.ErrSealed for what was
// changed, or sealed for another place.
func (k *Keys) Open(subject, entry uuid.UUID, i int, sealed []byte) ([]byte, error) {
	aead, err := k.of(subject)
	if aead == nil || err != nil || len(sealed) == 0 {
		return nil, err
	}
	part, err := aead.Open(nil, nil, sealed, place(entry, i))
	if err != nil {
		return nil, keys.ErrSealed
	}
	return part, nil
}

func (k *Keys) of(subject uuid.UUID) (cipher.AEAD, error) {
	if aead := k.made[subject]; aead != nil {
		return aead, nil
	}
	salt := k.salts[subject]
	if len(salt) != SaltBytes {
		return nil, nil //nolint:nilnil // erased
	}
	key := k.ring.MAC(purpose, append(subject[:len(subject):len(subject)], salt...))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("key of a person: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("key of a person: %w", err)
	}
	k.made[subject] = aead
	return aead, nil
}

func place(entry uuid.UUID, i int) []byte { return append(entry[:len(entry):len(entry)], byte(i)) } //nolint:gosec // a few
