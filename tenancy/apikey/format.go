package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"math/bits"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// A key is PREFIX_MODE_ID_SECRETCRC:
//
//	bk_test_0000…_4fJ…   ID: tenant UUID ‖ 64-bit key id, 24 bytes in 33 base62 digits
//	                      SECRET: 32 random bytes in 43 digits
//	                      CRC: CRC-32 (IEEE) of all that stands before it, in 6 digits
//
// The id says which tenant's wall to look behind, so that no look-up crosses
// tenants. The checksum lets scanners tell a key from noise, and a typing error
// from a wrong key, without asking anybody.
const (
	idDigits     = 33
	secretDigits = 43
	crcDigits    = 6
	secretBytes  = 32
	// maxKeyBytes bounds what is looked at before anything is computed.
	maxKeyBytes = len("bk_live_") + idDigits + 1 + secretDigits + crcDigits
)

var prefixes = map[Kind]string{Secret: "bk", Publishable: "pk", Platform: "pf"}

// Plain is a key as its holder knows it. It is shown once and stored nowhere: it
// prints as its prefix everywhere but through Reveal.
type Plain struct{ text secret.Text }

// Reveal returns the key itself.
func (p Plain) Reveal() string { return p.text.Reveal() }

// String returns what may be shown of the key.
func (p Plain) String() string { return shown(p.Reveal()) + "…" }

// GoString keeps the key out of %#v.
func (p Plain) GoString() string { return p.String() }

// LogValue implements slog.LogValuer.
func (p Plain) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText keeps the key out of JSON that nobody meant to hold it.
func (p Plain) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// parsed is a well-formed key, not yet known to be good.
type parsed struct {
	kind   Kind
	mode   string
	tenant uuid.UUID
	keyID  int64
	hash   [sha256.Size]byte // of the secret
}

// newPlain mints a key of a tenant.
func newPlain(kind Kind, mode string, tenant uuid.UUID) (Plain, parsed) {
	var id [24]byte
	var random [secretBytes]byte
	copy(id[:], tenant[:])
	_, _ = rand.Read(id[16:]) // never fails: crypto/rand ends the process instead
	_, _ = rand.Read(random[:])
	b := make([]byte, 0, maxKeyBytes)
	b = append(b, prefixes[kind]...)
	b = append(b, '_')
	b = append(b, mode...)
	b = append(b, '_')
	b = appendBase62(b, id[:], idDigits)
	b = append(b, '_')
	b = appendBase62(b, random[:], secretDigits)
	b = appendCRC(b)
	return Plain{secret.New(string(b))}, parsed{
		kind: kind, mode: mode, tenant: tenant, keyID: keyIDOf(id), hash: sha256.Sum256(random[:]),
	}
}

func keyIDOf(id [24]byte) int64 {
	return int64(binary.BigEndian.Uint64(id[16:])) //nolint:gosec // the same 64 bits, as Postgres has them
}

func appendCRC(b []byte) []byte {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(b))
	return appendBase62(b, sum[:], crcDigits)
}

// parse reads a key. It costs under a microsecond and asks nobody.
func parse(text string) (parsed, bool) {
	if len(text) != maxKeyBytes || text[2] != '_' || text[7] != '_' || text[8+idDigits] != '_' {
		return parsed{}, false
	}
	p := parsed{mode: text[3:7]}
	switch text[:2] {
	case "bk":
		p.kind = Secret
	case "pk":
		p.kind = Publishable
	case "pf":
		p.kind = Platform
	}
	if p.kind == "" || (p.mode != "live" && p.mode != "test") {
		return parsed{}, false
	}
	body := len(text) - crcDigits
	var sum [4]byte
	if !decodeBase62(sum[:], text[body:]) || binary.BigEndian.Uint32(sum[:]) != crc32.ChecksumIEEE([]byte(text[:body])) {
		return parsed{}, false
	}
	var id [24]byte
	var held [secretBytes]byte
	if !decodeBase62(id[:], text[8:8+idDigits]) || !decodeBase62(held[:], text[body-secretDigits:body]) {
		return parsed{}, false
	}
	copy(p.tenant[:], id[:16])
	p.keyID = keyIDOf(id)
	p.hash = sha256.Sum256(held[:])
	return p, true
}

// shown is what people see of a key: its kind and mode and the last digits of its
// id, by which a holder recognises it. The first digits are the tenant's and alike.
func shown(text string) string {
	head, rest, _ := strings.Cut(text[min(3, len(text)):], "_")
	if len(rest) < idDigits {
		return ""
	}
	return text[:3] + head + "_…" + rest[idDigits-6:idDigits]
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// limbs is a number of up to 256 bits, least significant first.
type limbs [4]uint64

// appendBase62 appends the big-endian number in raw (at most 32 bytes) in exactly
// n digits.
func appendBase62(dst, raw []byte, n int) []byte {
	v := toLimbs(raw)
	at := len(dst)
	for range n {
		dst = append(dst, '0')
	}
	for i := at + n - 1; i >= at; i-- {
		var rem uint64
		for j := len(v) - 1; j >= 0; j-- {
			v[j], rem = bits.Div64(rem, v[j], 62)
		}
		dst[i] = alphabet[rem]
	}
	return dst
}

// decodeBase62 reads digits into dst, and reports false for what is no digit and for
// a number that does not fit: each number has one spelling.
func decodeBase62(dst []byte, digits string) bool {
	var v limbs
	for len(digits) > 0 {
		// Ten digits are below 2^60: they are gathered before the limbs are multiplied.
		chunk := digits[:min(10, len(digits))]
		digits = digits[len(chunk):]
		carry, scale := uint64(0), uint64(1)
		for i := range len(chunk) {
			d, ok := digit(chunk[i])
			if !ok {
				return false
			}
			carry, scale = carry*62+d, scale*62
		}
		for j := range v {
			hi, lo := bits.Mul64(v[j], scale)
			var c uint64
			v[j], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		if carry != 0 {
			return false
		}
	}
	var full [32]byte
	for j := range v {
		binary.BigEndian.PutUint64(full[24-8*j:], v[j])
	}
	for _, b := range full[:len(full)-len(dst)] {
		if b != 0 {
			return false
		}
	}
	copy(dst, full[len(full)-len(dst):])
	return true
}

// digit is the place of c in the alphabet.
func digit(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'A' <= c && c <= 'Z':
		return uint64(c-'A') + 10, true
	case 'a' <= c && c <= 'z':
		return uint64(c-'a') + 36, true
	}
	return 0, false
}

func toLimbs(raw []byte) limbs {
	var full [32]byte
	copy(full[len(full)-len(raw):], raw)
	var v limbs
	for j := range v {
		v[j] = binary.BigEndian.Uint64(full[24-8*j:])
	}
	return v
}
