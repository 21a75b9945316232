//go:build pkcs11 && cgo

package kms

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/miekg/pkcs11"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// Of PKCS#11 3.0, which miekg/pkcs11 does not know.
const (
	ckkECEdwards           = 0x40
	ckmECEdwardsKeyPairGen = 0x1055
	ckmEDDSA               = 0x1057
)

// hsmAlgorithm is how PKCS#11 spells a JWS algorithm.
type hsmAlgorithm struct {
	kind, make, sign uint
	public           []*pkcs11.Attribute
}

var (
	oidP256    = []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}
	oidEd25519 = []byte{0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9'} // its name: PKCS#11 3.0 §2.3.5

	hsmAlgorithms = map[string]hsmAlgorithm{
		es256: {pkcs11.CKK_EC, pkcs11.CKM_EC_KEY_PAIR_GEN, pkcs11.CKM_ECDSA, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, oidP256)}},
		eddsa: {ckkECEdwards, ckmECEdwardsKeyPairGen, ckmEDDSA, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, oidEd25519)}},
		rs256: {pkcs11.CKK_RSA, pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, pkcs11.CKM_RSA_PKCS, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, rsaBits), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}},
	}

	// sha256Info is the DigestInfo before a SHA-256 digest (RFC 8017 §9.2), which
	// CKM_RSA_PKCS leaves to its caller.
	sha256Info = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
)

const hsmPrivate = ";type=private"

// CreateSigningKey makes a key pair with label in the token, sensitive and not
// extractable.
func (h *hsm) CreateSigningKey(ctx context.Context, algorithm, label string) (keys.RemoteKey, error) {
	as, ok := hsmAlgorithms[algorithm]
	if !ok {
		return keys.RemoteKey{}, noAlgorithm(algorithm)
	}
	if err := checkLabel(label); err != nil {
		return keys.RemoteKey{}, err
	}
	name := h.uri.where() + label + hsmPrivate
	var begun atomic.Bool // until then, what has the label is not ours
	public, err := callOnce(ctx, func(ctx context.Context) (crypto.PublicKey, error) {
		return useOnce(ctx, h, func(s *session) (crypto.PublicKey, error) {
			if err := as.allowed(s, algorithm, label); err != nil {
				return nil, err
			}
			begun.Store(true)
			public, err := as.create(s, algorithm, label)
			// The library goes on when nobody waits any more. Whoever stops waiting after
			// this line destroys the key himself.
			if err == nil && ctx.Err() != nil {
				err = refused{errLate}
			}
			if err != nil {
				return nil, errors.Join(err, destroyPair(s, label))
			}
			return public, nil
		})
	})
	if errors.Is(err, errLate) {
		err = unavailable(err)
	}
	if err != nil && begun.Load() {
		err = abandon(ctx, err, func(ctx context.Context) error { return h.DestroySigningKey(ctx, name) })
	}
	if err != nil {
		return keys.RemoteKey{}, fmt.Errorf("create signing key %s: %w", label, err)
	}
	return keys.RemoteKey{Name: name, Public: public}, nil
}

// errLate is the error of a key that was ready when nobody waited for it any more.
var errLate = errors.New("the token took too long to make the key")

// allowed checks that the token knows the algorithm and has nothing of this label.
func (a hsmAlgorithm) allowed(s *session, algorithm, label string) error {
	for _, needed := range []uint{a.make, a.sign} {
		if _, err := s.ctx.GetMechanismInfo(s.slot, []*pkcs11.Mechanism{pkcs11.NewMechanism(needed, nil)}); err != nil {
			if isCode(err, pkcs11.CKR_MECHANISM_INVALID) {
				return refused{noAlgorithm(algorithm)}
			}
			return err
		}
	}
	there, err := s.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, label)})
	if err == nil && len(there) > 0 {
		err = refusal("the token has an object called %s already", label)
	}
	return err
}

func (a hsmAlgorithm) create(s *session, algorithm, label string) (crypto.PublicKey, error) {
	named := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(label)), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
	}
	public, _, err := s.ctx.GenerateKeyPair(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(a.make, nil)},
		append(append(slices.Clip(a.public), named...), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true)),
		append(slices.Clip(named),
			pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
			pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
			pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		))
	if err != nil {
		return nil, err
	}
	if algorithm == rs256 {
		got, err := s.ctx.GetAttributeValue(s.handle, public, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS, nil), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, nil),
		})
		if err != nil {
			return nil, err
		}
		exponent := new(big.Int).SetBytes(got[1].Value)
		if !exponent.IsInt64() {
			return nil, refusal("the public exponent has %d bits", exponent.BitLen())
		}
		return publicKey(algorithm, &rsa.PublicKey{N: new(big.Int).SetBytes(got[0].Value), E: int(exponent.Int64())})
	}
	got, err := s.ctx.GetAttributeValue(s.handle, public, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	if err != nil {
		return nil, err
	}
	var point []byte // in an OCTET STRING
	if rest, err := asn1.Unmarshal(got[0].Value, &point); err != nil || len(rest) > 0 {
		return nil, refusal("the public key is no point in DER")
	}
	if algorithm == eddsa {
		return publicKey(algorithm, ed25519.PublicKey(point))
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, refusal("the public key is no point on P-256: %w", err)
	}
	return publicKey(algorithm, key)
}

// Sign signs with a key that CreateSigningKey made.
func (h *hsm) Sign(ctx context.Context, keyName, algorithm string, input []byte) ([]byte, error) {
	as, ok := hsmAlgorithms[algorithm]
	if !ok {
		return nil, noAlgorithm(algorithm)
	}
	label, ok := h.label(keyName)
	if !ok {
		return nil, unknownSigner(keyName, h.name)
	}
	message := digest(algorithm, input)
	if algorithm == rs256 {
		message = append(slices.Clip(sha256Info), message...)
	}
	return use(ctx, h, func(s *session) ([]byte, error) {
		key, err := s.only("private key "+label+" for "+algorithm, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
			pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, as.kind),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		})
		if err != nil {
			return nil, err
		}
		if err := s.ctx.SignInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(as.sign, nil)}, key); err != nil {
			return nil, err
		}
		signature, err := s.ctx.Sign(s.handle, message)
		if err != nil {
			return nil, err
		}
		if signature, err = signatureOf(algorithm, signature); err != nil {
			return nil, refused{err}
		}
		return signature, nil
	})
}

// DestroySigningKey destroys both halves of a key, at once.
func (h *hsm) DestroySigningKey(ctx context.Context, keyName string) error {
	label, ok := h.label(keyName)
	if !ok {
		return unknownSigner(keyName, h.name)
	}
	_, err := use(ctx, h, func(s *session) (struct{}, error) {
		err := destroyPair(s, label)
		if !s.present() { // it would have said that there is nothing
			return struct{}{}, errNoToken
		}
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("destroy signing key: %w", err)
	}
	return nil
}

// destroyPair destroys what there is of a key pair.
func destroyPair(s *session, label string) error {
	var errs []error
	for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY} {
		found, err := s.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label)})
		errs = append(errs, err)
		for _, object := range found {
			errs = append(errs, s.ctx.DestroyObject(s.handle, object))
		}
	}
	return errors.Join(errs...)
}

// label is the label of a signing key of this token.
func (h *hsm) label(keyName string) (string, bool) {
	label, ok := strings.CutPrefix(keyName, h.uri.where())
	label, private := strings.CutSuffix(label, hsmPrivate)
	return label, ok && private && checkLabel(label) == nil
}

// signs reports whether keyName is a signing key of this token.
func (h *hsm) signs(keyName string) bool {
	_, ok := h.label(keyName)
	return ok
}
