package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Errors of Open and OpenToken. Neither says why: whoever made the bytes learns
// nothing from a refusal.
var (
	// ErrSealed means that a stored value does not open: it was changed, or moved from
	// another tenant, table, column or row. Something is wrong with the database.
	ErrSealed = errors.New("a sealed value does not open")

	// ErrToken means that a token was not made here for this tenant and purpose.
	// Callers turn it into their own fault.
	ErrToken = errors.New("a sealed token does not open")
)

// Field is what a stored value is: part of its associated data, and of the
// derivation of its key. Declare fields beside the code that uses them and never
// rename one: what it sealed would not open.
type Field struct{ Table, Column string }

// Purpose separates derived keys: a token or MAC made for one purpose is none for
// another. Declare purposes beside the code that uses them.
type Purpose string

// Ring is one tenant's keys, opened. It is immutable and safe for concurrent use;
// take it from Service.Ring for each request rather than keeping it, since keys change.
type Ring struct {
	tenant   uuid.UUID
	versions []*version // newest first; all open
	sealing  *version   // seals; one of versions
	root     *version   // version 0, or the oldest: what must stay the same when the data key changes

	// until is when the ring must be loaded again: a data key begins to seal, or the
	// KMS must be asked again for what it has opened.
	until time.Time

	signer    *Signer
	verifiers map[string]*verifier
	jwks      []byte
}

type dataKey struct {
	version uint32
	secret  []byte
	created time.Time
}

// version is one data key and what has been derived from it so far. There are as
// many derivations as fields and purposes in the program, so the maps stay small.
type version struct {
	number uint32
	secret []byte

	aeads sync.Map // info string → *xaes
	macs  sync.Map // info string → *sync.Pool of hash.Hash
}

func newRing(tenant uuid.UUID, opened []dataKey, now time.Time) (*Ring, error) {
	slices.SortFunc(opened, func(a, b dataKey) int { return int(int64(b.version) - int64(a.version)) })
	r := &Ring{tenant: tenant, until: now.Add(ringLife)}
	for _, k := range opened {
		v := &version{number: k.version, secret: k.secret}
		if k.version == rootVersion {
			r.root = v // the last, since versions are sorted
			continue
		}
		r.versions = append(r.versions, v)
		begins := k.created.Add(sealAfter)
		if r.sealing == nil && !now.Before(begins) {
			r.sealing = v
		} else if r.sealing == nil && begins.Before(r.until) {
			r.until = begins // until then an older one seals, and no longer
		}
	}
	if len(r.versions) == 0 {
		return nil, ErrNoKeys
	}
	oldest := r.versions[len(r.versions)-1]
	if r.root == nil {
		r.root = oldest
	}
	if r.sealing == nil {
		r.sealing = oldest // the first key of a new tenant: nobody can hold a ring without it
	}
	if r.root != oldest {
		// It seals nothing here. A server of the release before takes it for the only data
		// key of a tenant that is seconds old, and what that seals must open.
		r.versions = append(r.versions, r.root)
	}
	return r, nil
}

// Tenant returns the tenant whose keys these are.
func (r *Ring) Tenant() uuid.UUID { return r.tenant }

// The form of everything sealed: one byte of format, the data key's version, the
// nonce, then ciphertext and tag. Format and version are authenticated too.
const (
	format1     = 1
	headerBytes = 1 + 4
	// Overhead is how many bytes longer a sealed value is than its plaintext.
	Overhead = headerBytes + xaesNonceBytes + tagBytes
)

// Seal encrypts plaintext for one place: field f of the row named by row (its id's
// bytes). It opens there and nowhere else. An unnamed place is an error: what is
// sealed for it could be moved about.
func (r *Ring) Seal(f Field, row, plaintext []byte) ([]byte, error) {
	if f.Table == "" || f.Column == "" || len(row) == 0 {
		return nil, errors.New("a sealed field has a table, a column and a row")
	}
	return r.seal(make([]byte, 0, len(plaintext)+Overhead), fieldInfo("seal", f), r.fieldAD(f, row), plaintext), nil
}

// Open decrypts what Seal made for the same tenant, field and row. Everything else
// is ErrSealed.
func (r *Ring) Open(f Field, row, sealed []byte) ([]byte, error) {
	plain, ok := r.open(fieldInfo("seal", f), r.fieldAD(f, row), sealed)
	if !ok {
		return nil, fmt.Errorf("%s.%s: %w", f.Table, f.Column, ErrSealed)
	}
	return plain, nil
}

// SealingVersion is the number of the data key that seals now.
func (r *Ring) SealingVersion() uint32 { return r.sealing.number }

// VersionOf is the number of the data key that sealed what Seal or SealToken returned;
// false for anything else. It tells what is still to be sealed anew after a rotation.
func VersionOf(sealed []byte) (uint32, bool) {
	if len(sealed) < Overhead || sealed[0] != format1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:]), true
}

// Index returns the blind index of value in f: 32 bytes by which equal values of
// this tenant are found again, and which say nothing without its keys. Normalise
// value first.
func (r *Ring) Index(f Field, value string) []byte {
	sum := r.root.mac(fieldInfo("index", f), []byte(value))
	return sum[:]
}

// SealToken appends to dst a token that only OpenToken of the same tenant and
// purpose opens. It does not expire by itself: put the expiry into plaintext.
func (r *Ring) SealToken(p Purpose, dst, plaintext []byte) []byte {
	return r.seal(dst, purposeInfo("token", p), r.tenant[:], plaintext)
}

// OpenToken returns what SealToken was given, or ErrToken. sealed may be any bytes.
func (r *Ring) OpenToken(p Purpose, sealed []byte) ([]byte, error) {
	plain, ok := r.open(purposeInfo("token", p), r.tenant[:], sealed)
	if !ok {
		return nil, ErrToken
	}
	return plain, nil
}

// MAC returns HMAC-SHA-256 of data under the tenant's key for p. It stays the same
// when the data key changes. Compare with hmac.Equal.
func (r *Ring) MAC(p Purpose, data []byte) [32]byte {
	return r.root.mac(purposeInfo("mac", p), data)
}

func (r *Ring) versionOf(sealed []byte) *version {
	number, ok := VersionOf(sealed)
	if !ok {
		return nil
	}
	for _, v := range r.versions {
		if v.number == number {
			return v
		}
	}
	return nil
}

func (r *Ring) seal(dst []byte, i info, ad, plaintext []byte) []byte {
	start := len(dst)
	dst = slices.Grow(dst, len(plaintext)+Overhead)
	dst = append(dst, format1)
	dst = binary.BigEndian.AppendUint32(dst, r.sealing.number)
	nonce := dst[len(dst) : len(dst)+xaesNonceBytes]
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	dst = dst[:len(dst)+xaesNonceBytes]
	return r.sealing.aead(i).seal(dst, nonce, plaintext, withHeader(ad, dst[start:start+headerBytes]))
}

func (r *Ring) open(i info, ad, sealed []byte) ([]byte, bool) {
	v := r.versionOf(sealed)
	if v == nil {
		return nil, false
	}
	header, rest := sealed[:headerBytes], sealed[headerBytes:]
	plain, err := v.aead(i).open(nil, rest[:xaesNonceBytes], rest[xaesNonceBytes:], withHeader(ad, header))
	return plain, err == nil
}

// withHeader returns ad ‖ header, and never writes into ad's own array.
func withHeader(ad, header []byte) []byte { return slices.Concat(ad, header) }

// fieldAD is tenant ‖ table ‖ column ‖ row. Each but the last is of fixed length or
// ends with a byte that cannot occur in it, so no two places give the same bytes.
func (r *Ring) fieldAD(f Field, row []byte) []byte {
	ad := make([]byte, 0, len(r.tenant)+len(f.Table)+len(f.Column)+2+len(row)+headerBytes)
	ad = append(ad, r.tenant[:]...)
	ad = append(ad, f.Table...)
	ad = append(ad, 0)
	ad = append(ad, f.Column...)
	ad = append(ad, 0)
	return append(ad, row...)
}

// info is what a derivation is named by, comparable so that looking one up builds
// no string.
type info struct{ use, a, b string }

func fieldInfo(use string, f Field) info     { return info{use, f.Table, f.Column} }
func purposeInfo(use string, p Purpose) info { return info{use, string(p), ""} }

// derive returns the key for one use: HKDF-SHA-256 (RFC 5869) over the data key,
// whose label begins with what the key is for. Without that a token's key could
// equal a field's of the same name.
func (v *version) derive(i info) *[keyBytes]byte {
	label := strings.Join([]string{"biocore v1", i.use, i.a, i.b}, "\x00")
	key, err := hkdf.Key(sha256.New, v.secret, nil, label, keyBytes)
	if err != nil {
		panic("keys: HKDF refused 32 bytes: " + err.Error()) // cannot happen
	}
	return (*[keyBytes]byte)(key)
}

func (v *version) aead(i info) *xaes {
	x, ok := v.aeads.Load(i)
	if !ok {
		x, _ = v.aeads.LoadOrStore(i, newXAES(v.derive(i)))
	}
	return x.(*xaes) //nolint:forcetypeassert,errcheck // only aead stores here
}

// mac computes an HMAC with a state that is reused: keying one anew costs two
// SHA-256 blocks and five allocations.
func (v *version) mac(i info, data []byte) (sum [32]byte) {
	pool, ok := v.macs.Load(i)
	if !ok {
		key := v.derive(i)
		pool, _ = v.macs.LoadOrStore(i, &sync.Pool{New: func() any { return hmac.New(sha256.New, key[:]) }})
	}
	p := pool.(*sync.Pool)   //nolint:forcetypeassert,errcheck // only mac stores here
	h := p.Get().(hash.Hash) //nolint:forcetypeassert,errcheck // only mac puts here
	h.Reset()
	_, _ = h.Write(data) // a hash never fails
	h.Sum(sum[:0])
	p.Put(h)
	return sum
}
