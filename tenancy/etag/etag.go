// Package etag tells versions of one resource apart for clients: the etag field of
// a resource, and what If-Match is held against. It is a leaf.
package etag

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrMismatch refuses a change to a resource that has changed since its caller
// read it. Nothing was written: read again, decide again.
var ErrMismatch = fault.New(fault.Aborted, "ETAG_MISMATCH", "the resource has changed since: read it again")

// Of returns the etag of the version of the resource that noun and id name:
// 11 characters of base64url, without the quotes that HTTP puts around them. It is
// a hash, so that nobody computes the next one instead of reading it.
func Of(noun string, id []byte, version int32) string {
	buf := make([]byte, 0, 64)
	buf = append(buf, noun...)
	buf = append(buf, 0) // nouns hold no NUL: (noun, id) is read one way only
	buf = append(buf, id...)
	buf = binary.BigEndian.AppendUint32(buf, uint32(version)) //nolint:gosec // the same 32 bits, whatever their sign
	sum := sha256.Sum256(buf)
	return base64.RawURLEncoding.EncodeToString(sum[:8])
}

// Match returns ErrMismatch unless want is empty, which asks nothing, or is the
// current etag. Etags are no secrets: the comparison may take its time.
func Match(want, current string) error {
	if want == "" || want == current {
		return nil
	}
	return ErrMismatch
}
