package evidence

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// recordKey is what opens one record, sealed under the tenant's data key.
var recordKey = keys.Field{Table: "evidence", Column: "record_key"}

const recordKeyBytes = 32

// seal encrypts a record under a key of its own: AES-256-GCM. The key is used once, so
// that the nonce may be zero, which is left out.
func seal(ring *keys.Ring, id uuid.UUID, record []byte) (sealedKey, body []byte, err error) {
	key := make([]byte, recordKeyBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	aead, err := newAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	if sealedKey, err = ring.Seal(recordKey, id[:], key); err != nil {
		return nil, nil, fmt.Errorf("seal record key: %w", err)
	}
	return sealedKey, aead.Seal(nil, make([]byte, aead.NonceSize()), record, associated(ring, id)), nil //nolint:gosec // the key is used once
}

// open decrypts what seal made for the same tenant and id; keys.ErrSealed.
func open(ring *keys.Ring, id uuid.UUID, sealedKey, body []byte) ([]byte, error) {
	key, err := ring.Open(recordKey, id[:], sealedKey)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	record, err := aead.Open(nil, make([]byte, aead.NonceSize()), body, associated(ring, id))
	if err != nil {
		return nil, fmt.Errorf("evidence %s: %w", id, keys.ErrSealed)
	}
	return record, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("record key: %w", err)
	}
	return cipher.NewGCM(block)
}

// associated is tenant ‖ table ‖ column ‖ id, each but the last of fixed length or ended
// by a byte that cannot occur in it.
func associated(ring *keys.Ring, id uuid.UUID) []byte {
	tenant := ring.Tenant()
	return append(append(tenant[:], "evidence\x00body\x00"...), id[:]...)
}
