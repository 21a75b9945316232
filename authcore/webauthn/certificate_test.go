package webauthn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// A certificate whose key is dear to verify with is refused before anything is
// verified, in every format: 127,000 bits of RSA fit into a request and take seconds
// each time. Every statement here is refused, so the cause tells by whom.
func TestCertificatesWithUnreasonableKeys(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fine := certificateOf(t, curve, &curve.PublicKey)
	for _, tt := range []struct {
		name string
		key  any
		want string // in the cause; empty: the format's own verification refuses
	}{
		{"P-256", &curve.PublicKey, ""},
		{"RSA 2048", &rsa.PublicKey{N: modulus(2048), E: 65537}, ""},
		{"RSA 4096", &rsa.PublicKey{N: modulus(4096), E: 65537}, ""},
		{"RSA 4097", &rsa.PublicKey{N: modulus(4097), E: 65537}, "an RSA key of 4097 bits"},
		{"RSA 127000", &rsa.PublicKey{N: modulus(127_000), E: 1<<31 - 1}, "an RSA key of 127000 bits"},
		{"a large exponent", &rsa.PublicKey{N: modulus(2048), E: 1<<31 - 1}, "an RSA key of 2048 bits"},
	} {
		der := certificateOf(t, curve, tt.key)
		for format, attStmt := range map[string]map[string]any{
			"packed":            {"alg": -257, "sig": []byte{1}, "x5c": []any{der}},
			"tpm":               {"ver": "2.0", "alg": -257, "sig": []byte{1}, "certInfo": []byte{1}, "pubArea": []byte{1}, "x5c": []any{der}},
			"android-key":       {"alg": -257, "sig": []byte{1}, "x5c": []any{fine, der}},
			"apple":             {"x5c": []any{fine, der}},
			"fido-u2f":          {"sig": []byte{1}, "x5c": []any{der}},
			"android-safetynet": {"ver": "1", "response": safetyNet(t, fine, der)},
		} {
			t.Run(tt.name+" in "+format, func(t *testing.T) {
				_, err := creation{
					response: attestationObject(func(o map[string]any) { o["fmt"], o["attStmt"] = format, attStmt }),
					expect:   func(e *webauthn.RegistrationExpectation) { e.AllowSafetyNet = true },
				}.run(t)
				checkOutcome(t, err, webauthn.ErrAttestation)
				cause := fmt.Sprint(err)
				if early := strings.Contains(cause, "an RSA key of"); early != (tt.want != "") || !strings.Contains(cause, tt.want) {
					t.Errorf("refused by %q, want %q", cause, tt.want)
				}
			})
		}
	}
	t.Run("in a part of a compound", func(t *testing.T) {
		der := certificateOf(t, curve, &rsa.PublicKey{N: modulus(4097), E: 65537})
		_, err := creation{response: attestationObject(func(o map[string]any) {
			part := map[string]any{"fmt": "packed", "attStmt": map[string]any{"alg": -257, "sig": []byte{1}, "x5c": []any{der}}}
			o["fmt"], o["attStmt"] = "compound", []any{part, part}
		})}.run(t)
		checkOutcome(t, err, webauthn.ErrAttestation)
		if err == nil || !strings.Contains(err.Error(), "an RSA key of 4097 bits") {
			t.Errorf("refused by %v", err)
		}
	})
}

// What a chain costs is what its certificates make it cost: more of them than anybody
// sends are refused before anything is verified, as are issuers of a dear curve and, where
// the library verifies the chain, issuers of one name. Nothing here verifies, so that the
// cause tells how far it came.
func TestHostileChains(t *testing.T) {
	key := func(curve elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	p256, p384, p521 := key(elliptic.P256()), key(elliptic.P384()), key(elliptic.P521())
	chain := func(keys ...*ecdsa.PrivateKey) []any {
		var x5c []any
		for i, key := range keys {
			x5c = append(x5c, certificateNamed(t, fmt.Sprint("certificate ", i), key, &key.PublicKey))
		}
		return x5c
	}
	twice := append(chain(p256, p256), certificateNamed(t, "certificate 1", p256, &p256.PublicKey))
	const many, curve, name = "not an array of certificates", "an issuer's curve of 521 bits", "two issuers of one name"
	for _, tt := range []struct {
		name string
		x5c  []any
		want map[string]string // by format, in the cause; none: the format's own verification refuses
	}{
		{"six certificates", chain(p256, p384, p256, p384, p256, p384), nil},
		{"seven", chain(p256, p256, p256, p256, p256, p256, p256), map[string]string{"packed": many, "tpm": many, "android-key": many, "apple": many, "fido-u2f": many}},
		{"P-521 of the authenticator", chain(p521, p384), nil},
		{"P-521 of an issuer", chain(p256, p256, p521), map[string]string{"packed": curve, "tpm": curve, "android-key": curve, "apple": curve, "fido-u2f": curve}},
		{"issuers of one name", twice, map[string]string{"android-key": name, "apple": name}},
	} {
		for _, format := range []string{"packed", "tpm", "android-key", "apple", "fido-u2f"} {
			t.Run(tt.name+" in "+format, func(t *testing.T) {
				_, err := creation{response: attestationObject(func(o map[string]any) {
					o["fmt"], o["attStmt"] = format, map[string]any{
						"ver": "2.0", "alg": -7, "sig": []byte{1}, "certInfo": []byte{1}, "pubArea": []byte{1}, "x5c": tt.x5c,
					}
				})}.run(t)
				checkOutcome(t, err, webauthn.ErrAttestation)
				cause := fmt.Sprint(err)
				if !strings.Contains(cause, tt.want[format]) {
					t.Errorf("refused by %q, want %q", cause, tt.want[format])
				}
				for _, early := range []string{many, curve, name} {
					if tt.want[format] == "" && strings.Contains(cause, early) {
						t.Errorf("refused by %q, want its signature to be", cause)
					}
				}
			})
		}
	}
}

// A TPM's chain may hold what crypto/x509 does not read, such as an intermediate with a
// negative serial number: nothing is verified with it, so it is no reason to refuse.
func TestChainWithAnUnreadableCertificate(t *testing.T) {
	attest := attestByTPM(t, func(*tpmStatement) {})
	reg, err := creation{response: func(r *webauthn.RegistrationResponse) {
		attest(r)
		statement(func(s map[any]any) {
			chain, ok := s["x5c"].([]any)
			if !ok {
				t.Fatal("no chain")
			}
			s["x5c"] = append(chain, []byte("no certificate"))
		})(r)
	}}.run(t)
	if err != nil || len(reg.Attestation.X5C) != 2 {
		t.Errorf("%d certificates, error %v", len(reg.Attestation.X5C), err)
	}
}

func modulus(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

func certificateOf(t *testing.T, issuer *ecdsa.PrivateKey, key any) []byte {
	t.Helper()
	return certificateNamed(t, "attestation", issuer, key)
}

func certificateNamed(t *testing.T, name string, issuer *ecdsa.PrivateKey, key any) []byte {
	t.Helper()
	now := time.Now()
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, key, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// safetyNet is a JWS with these certificates and no valid signature.
func safetyNet(t *testing.T, chain ...[]byte) []byte {
	t.Helper()
	header, err := json.Marshal(map[string]any{"alg": "RS256", "x5c": chain})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(base64.RawURLEncoding.EncodeToString(header) + ".e30.AA")
}
