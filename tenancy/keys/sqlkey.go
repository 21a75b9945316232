package keys

import (
	"fmt"
	"io"
	"log/slog"
)

// SQLKey is a key that Postgres works with: it seals and opens a field in SQL
// (pgcrypto), or keys the field's blind index. Only statements that must open what
// they read deserve one: whoever owns the running Postgres sees it.
//
// It prints as [key]. Reveal's bytes go into a bound parameter, after
// tenantq.AdmitKeys in the same transaction, and nowhere else.
type SQLKey struct {
	version uint32
	// A pointer: of a struct that holds an SQLKey in an unexported field, fmt prints
	// what is inside without asking it, and shows an address here.
	key *[keyBytes]byte
}

// SQLKey returns the key that seals f in SQL from now on. The row keeps its Version.
func (r *Ring) SQLKey(f Field) SQLKey { return r.sealing.sqlKey(f) }

// SQLKeys returns every key that f may have been sealed with, the newest first.
func (r *Ring) SQLKeys(f Field) []SQLKey {
	all := make([]SQLKey, len(r.versions))
	for i, v := range r.versions {
		all[i] = v.sqlKey(f)
	}
	return all
}

// SQLIndexKey returns the key of f's blind index. It stays the same when the data
// key changes, so that equal values go on having equal indexes.
func (r *Ring) SQLIndexKey(f Field) SQLKey {
	return SQLKey{version: r.root.number, key: r.root.derive(fieldInfo("sql index", f))}
}

// SQLIndex returns what Postgres's hmac makes of value under SQLIndexKey: the index
// that a row of this value must have.
func (r *Ring) SQLIndex(f Field, value string) []byte {
	sum := r.root.mac(fieldInfo("sql index", f), []byte(value))
	return sum[:]
}

func (v *version) sqlKey(f Field) SQLKey {
	return SQLKey{version: v.number, key: v.derive(fieldInfo("sql seal", f))}
}

// Version is the data key's that the key was derived from.
func (k SQLKey) Version() uint32 { return k.version }

// Reveal returns the 32 bytes, for a bound parameter.
func (k SQLKey) Reveal() []byte { return k.key[:] }

const redactedKey = "[key]"

// String does not tell.
func (k SQLKey) String() string { return redactedKey }

// GoString does not tell.
func (k SQLKey) GoString() string { return redactedKey }

// Format does not tell, whatever the verb.
func (k SQLKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedKey) }

// LogValue does not tell.
func (k SQLKey) LogValue() slog.Value { return slog.StringValue(redactedKey) }

// MarshalText does not tell.
func (k SQLKey) MarshalText() ([]byte, error) { return []byte(redactedKey), nil }
