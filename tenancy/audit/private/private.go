// Package private is what audit entries keep apart from their text, because it tells of persons: the
// text, which the log hashes and nobody changes, holds a salted hash of it. It needs no
// database, so that whoever holds an export can check it.
package private

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Part is what an entry holds of one person, or of nobody in particular: JSON with those of the members
//
//	address, userAgent, actor{name}, onBehalfOf{name}, reason, salt
//
// that there is something for. The entry has the SHA-256 of exactly this text, in base64url, as its
// private[].hash, at the same place; salt is 128 random bits, so that the hash tells nothing of the
// text once that is gone.
type Part struct {
	Subject uuid.UUID // whom it is of: it is erased with them. Nil: with the tenant
	Hash    [sha256.Size]byte
}

// Parts are those that the text of an entry names, in their order: none before version 2. An error says that it
// is no entry.
func Parts(entry string) ([]Part, error) {
	var e struct {
		Private []struct {
			Subject uuid.UUID `json:"subject"`
			Hash    string    `json:"hash"`
		} `json:"private"`
	}
	if err := json.Unmarshal([]byte(entry), &e); err != nil {
		return nil, fmt.Errorf("read audit entry: %w", err)
	}
	all := make([]Part, len(e.Private))
	for i, p := range e.Private {
		hash, err := base64.RawURLEncoding.DecodeString(p.Hash)
		if err != nil || len(hash) != sha256.Size {
			return nil, ErrParts
		}
		all[i] = Part{Subject: p.Subject, Hash: [sha256.Size]byte(hash)}
	}
	return all, nil
}

// Holds reports whether text is what the entry has the hash of.
func (p Part) Holds(text []byte) bool { return sha256.Sum256(text) == p.Hash }

// ErrParts says that bytes are not parts one after the other.
var ErrParts = errors.New("private parts of an audit entry are cut off, or not as its text says")

// Join puts parts together as they are kept, each after its length in two bytes: in clear while the
// entry waits, sealed in the log. None is longer than 65,535 bytes.
func Join(all [][]byte) []byte {
	var out []byte
	for _, part := range all {
		out = binary.BigEndian.AppendUint16(out, uint16(len(part))) //nolint:gosec // documented
		out = append(out, part...)
	}
	return out
}

// Split is the reverse of Join: slices of private. ErrParts.
func Split(private []byte) ([][]byte, error) {
	var all [][]byte
	for len(private) > 0 {
		if len(private) < 2 {
			return nil, ErrParts
		}
		n := int(binary.BigEndian.Uint16(private))
		if private = private[2:]; len(private) < n {
			return nil, ErrParts
		}
		all, private = append(all, private[:n:n]), private[n:]
	}
	return all, nil
}
