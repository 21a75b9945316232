package jwe

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrKey is returned for what cannot be a key to encrypt tokens to. Its metadata has
// the problem: one of the Problem constants.
var ErrKey = fault.New(fault.Invalid, "TOKEN_ENCRYPTION_KEY_INVALID", "the encryption key cannot be used")

// What can be wrong with a key. They are part of the API.
const (
	ProblemUnreadable  = "unreadable"   // no JSON object, a member twice or of the wrong type
	ProblemTooLarge    = "too_large"    // over MaxKeyBytes
	ProblemPrivate     = "private"      // it holds a private half, which has leaked by being sent here
	ProblemSymmetric   = "symmetric"    // kty oct: a secret that two share
	ProblemType        = "key_type"     // neither RSA nor EC
	ProblemUse         = "use"          // for signatures, by use or key_ops
	ProblemAlgorithm   = "algorithm"    // alg is not the one that fits the key
	ProblemReference   = "reference"    // x5u, x5c, jku …: keys and certificates from elsewhere
	ProblemKeyID       = "key_id"       // kid has 1 to 128 visible ASCII characters
	ProblemEncoding    = "encoding"     // a number is not base64url, or not in its one spelling
	ProblemCurve       = "curve"        // neither P-256 nor P-384
	ProblemPoint       = "point"        // not on the curve
	ProblemModulusSize = "modulus_size" // RSA below 2048 or above 4096 bits
	ProblemModulus     = "modulus"      // RSA with a small factor: no product of two primes
	ProblemExponent    = "exponent"     // RSA with an exponent that is not odd, or not of 65537 to 2^31-1
)

// MaxKeyBytes bounds a JWK's text. One of RSA with 4096 bits has under 1 KiB.
const MaxKeyBytes = 8 << 10

// Bounds of RSA keys. Below, they are weak (NIST SP 800-131A); above, each token
// costs its readers more than its signature is worth.
const (
	minModulusBits = 2048
	maxModulusBits = 4096
)

func refuse(problem, why string) error {
	return ErrKey.WithMessage("the encryption key "+why).With("problem", problem)
}

// privateMembers are those of RFC 7518 §6.2.2, §6.3.2 and §6.4.1.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// references name keys and certificates that would have to be fetched or trusted.
var references = []string{"jku", "x5u", "x5c", "x5t", "x5t#S256"}

// ParseKey reads a public JWK (RFC 7517) that tokens can be encrypted to. Everything
// that is no such key is ErrKey. Members that it does not know are left out of
// Key.JWK, as RFC 7517 §4 has it.
func ParseKey(text []byte) (*Key, error) {
	if len(text) > MaxKeyBytes {
		return nil, refuse(ProblemTooLarge, "has over 8 KiB")
	}
	members, err := readMembers(text)
	if err != nil {
		return nil, err
	}
	for _, name := range privateMembers {
		if _, ok := members[name]; ok {
			return nil, refuse(ProblemPrivate, "holds a private half: consider that key known to others, and make another")
		}
	}
	for _, name := range references {
		if _, ok := members[name]; ok {
			return nil, refuse(ProblemReference, "refers to a certificate or a URL ("+name+"), which nobody would follow")
		}
	}
	if err := members.checkUse(); err != nil {
		return nil, err
	}
	kty, err := members.text("kty")
	if err != nil {
		return nil, err
	}
	switch kty {
	case "EC":
		return members.ec()
	case "RSA":
		return members.rsa()
	case "oct":
		return nil, refuse(ProblemSymmetric, "is symmetric")
	}
	return nil, refuse(ProblemType, "is of type RSA or EC")
}

// members are a JWK's, by name.
type members map[string]json.RawMessage

// readMembers refuses what two readers could read differently: a name twice, text
// behind the object.
func readMembers(text []byte) (members, error) {
	unreadable := refuse(ProblemUnreadable, "is not one JSON object with each member once")
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, unreadable
	}
	m := members{}
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if _, twice := m[name]; err != nil || !ok || twice {
			return nil, unreadable
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, unreadable
		}
		m[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, unreadable
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, unreadable
	}
	return m, nil
}

// text returns a member that is a string; empty when it is not there.
func (m members) text(name string) (string, error) {
	raw, ok := m[name]
	if !ok {
		return "", nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", refuse(ProblemUnreadable, "has a "+name+" that is no string")
	}
	return *s, nil
}

// checkUse lets a key pass that says nothing of its use, or that it is for encryption.
func (m members) checkUse() error {
	use, err := m.text("use")
	if err != nil {
		return err
	}
	if _, ok := m["use"]; ok && use != "enc" {
		return refuse(ProblemUse, "has another use than enc")
	}
	raw, ok := m["key_ops"]
	if !ok {
		return nil
	}
	var ops []string
	if err := json.Unmarshal(raw, &ops); err != nil {
		return refuse(ProblemUnreadable, "has key_ops that are no list of strings")
	}
	for _, op := range ops {
		if !slices.Contains([]string{"encrypt", "wrapKey", "deriveKey", "deriveBits"}, op) {
			return refuse(ProblemUse, "has key_ops other than encrypt, wrapKey, deriveKey and deriveBits")
		}
	}
	return nil
}

// checkAlgorithm wants no alg, or the one that fits.
func (m members) checkAlgorithm(fits string) error {
	alg, err := m.text("alg")
	if err != nil {
		return err
	}
	if _, ok := m["alg"]; ok && alg != fits {
		return refuse(ProblemAlgorithm, "has an alg other than "+fits)
	}
	return nil
}

// number reads an unsigned integer in base64url, in its one spelling: no padding, no
// spare bits. size is its length in bytes; 0: the least that holds it.
func (m members) number(name string, size int) ([]byte, error) {
	s, err := m.text(name)
	if err != nil {
		return nil, err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) == 0 || base64.RawURLEncoding.EncodeToString(raw) != s {
		return nil, refuse(ProblemEncoding, "has no "+name+" in base64url without padding")
	}
	if (size > 0 && len(raw) != size) || (size == 0 && raw[0] == 0) {
		return nil, refuse(ProblemEncoding, "has a "+name+" of the wrong length")
	}
	return raw, nil
}

func (m members) ec() (*Key, error) {
	if err := m.checkAlgorithm(ECDHESA256KW); err != nil {
		return nil, err
	}
	crv, err := m.text("crv")
	if err != nil {
		return nil, err
	}
	var agreement ecdh.Curve
	var curve elliptic.Curve
	switch crv {
	case "P-256":
		agreement, curve = ecdh.P256(), elliptic.P256()
	case "P-384":
		agreement, curve = ecdh.P384(), elliptic.P384()
	default:
		return nil, refuse(ProblemCurve, "is on P-256 or P-384")
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err := m.number("x", size)
	if err != nil {
		return nil, err
	}
	y, err := m.number("y", size)
	if err != nil {
		return nil, err
	}
	point := slices.Concat([]byte{4}, x, y)
	if _, err := agreement.NewPublicKey(point); err != nil { // an invalid point gives the private half away (RFC 8725 §2.5)
		return nil, refuse(ProblemPoint, "is no point of its curve")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, refuse(ProblemPoint, "is no point of its curve")
	}
	b64 := base64.RawURLEncoding
	return m.finish(ECDHESA256KW, `"crv":"`+crv+`","kty":"EC","x":"`+b64.EncodeToString(x)+`","y":"`+b64.EncodeToString(y)+`"`, public)
}

func (m members) rsa() (*Key, error) {
	if err := m.checkAlgorithm(RSAOAEP256); err != nil {
		return nil, err
	}
	n, err := m.number("n", 0)
	if err != nil {
		return nil, err
	}
	e, err := m.number("e", 0)
	if err != nil {
		return nil, err
	}
	modulus := new(big.Int).SetBytes(n)
	if bits := modulus.BitLen(); bits < minModulusBits || bits > maxModulusBits {
		return nil, refuse(ProblemModulusSize, "of RSA has 2048 to 4096 bits, and not "+strconv.Itoa(bits))
	}
	// NIST SP 800-56B §6.4.2.2, as far as it can be checked in no time.
	if new(big.Int).GCD(nil, nil, modulus, smallPrimes).Cmp(big.NewInt(1)) != 0 {
		return nil, refuse(ProblemModulus, "has a modulus with a small factor")
	}
	exponent := new(big.Int).SetBytes(e)
	if exponent.BitLen() > 31 || exponent.Int64() < 65537 || exponent.Bit(0) == 0 {
		return nil, refuse(ProblemExponent, "has an odd exponent of 65537 to 2147483647")
	}
	b64 := base64.RawURLEncoding
	return m.finish(RSAOAEP256, `"e":"`+b64.EncodeToString(e)+`","kty":"RSA","n":"`+b64.EncodeToString(n)+`"`,
		&rsa.PublicKey{N: modulus, E: int(exponent.Int64())})
}

// smallPrimes is the product of the odd primes below 752, and 2.
var smallPrimes = func() *big.Int {
	product := big.NewInt(1)
	for n := int64(2); n < 752; n++ {
		if b := big.NewInt(n); b.ProbablyPrime(0) { // exact below 2^64
			product.Mul(product, b)
		}
	}
	return product
}()

// maxKIDBytes bounds a kid: it stands in the header of every token.
const maxKIDBytes = 128

// finish names the key and writes its JWK: required are the members that make it, in
// the order of RFC 7638 §3.2, without the braces.
func (m members) finish(algorithm, required string, public any) (*Key, error) {
	kid, err := m.text("kid")
	if err != nil {
		return nil, err
	}
	if _, ok := m["kid"]; !ok {
		sum := sha256.Sum256([]byte("{" + required + "}"))
		kid = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if len(kid) < 1 || len(kid) > maxKIDBytes || slices.ContainsFunc([]byte(kid), func(c byte) bool { return c <= ' ' || c > '~' }) {
		return nil, refuse(ProblemKeyID, "has a kid of 1 to 128 visible ASCII characters")
	}
	name, err := json.Marshal(kid)
	if err != nil {
		return nil, fmt.Errorf("encode kid: %w", err)
	}
	return newKey(kid, algorithm, `{"alg":"`+algorithm+`",`+required+`,"kid":`+string(name)+`,"use":"enc"}`, public)
}
