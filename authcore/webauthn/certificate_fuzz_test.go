package webauthn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// seedCertificates are certificates with keys of each kind, the last of which is dear to
// verify with. Times and the signing key are fixed.
func seedCertificates(t testing.TB) [][]byte {
	t.Helper()
	issuer, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	odd := func(bits uint) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return n.SetBit(n, 0, 1)
	}
	var out [][]byte
	for _, key := range []any{&issuer.PublicKey, &rsa.PublicKey{N: odd(2048), E: 65537}, &rsa.PublicKey{N: odd(8192), E: 1<<31 - 1}} {
		of := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "attestation"},
			NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(1_800_000_000, 0),
		}
		der, err := x509.CreateCertificate(nil, of, of, key, issuer)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, der)
	}
	return out
}

// bounded fails where a certificate that was let through has a key that is dear to verify
// with: by the numbers themselves, and not by the function under test.
func bounded(t *testing.T, chain [][]byte) {
	t.Helper()
	for i, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // nothing is verified with it
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && (key.N.BitLen() > 4096 || key.E > 65537) {
			t.Errorf("RSA of %d bits with the exponent %d is let through", key.N.BitLen(), key.E)
		}
		if key, ok := cert.PublicKey.(*ecdsa.PublicKey); ok && key.Params().BitSize > 384 && i > 0 {
			t.Errorf("an issuer's key of %d bits is let through", key.Params().BitSize)
		}
	}
}

// FuzzCertificates: of whatever statement, the chain has at most as many certificates as
// are allowed, all of them of the statement, and none that is let through is dear.
func FuzzCertificates(f *testing.F) {
	seed := func(statement map[string]any) {
		raw, err := webauthncbor.Marshal(statement)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, r := range readSeeds(f).registrations {
		object, err := parseAttestationObject(r.AttestationObject)
		if err != nil {
			f.Fatal(err)
		}
		seed(object.AttStatement)
	}
	for _, der := range seedCertificates(f) {
		seed(map[string]any{"alg": -7, "sig": []byte{1}, "x5c": []any{der}})
		seed(map[string]any{"x5c": []any{der, []byte{0x30, 0}, der}})
	}
	seed(map[string]any{"x5c": []any{}})
	seed(map[string]any{"x5c": []any{"text"}})
	seed(map[string]any{"x5c": nil})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var statement map[string]any
		if err := webauthncbor.Unmarshal(raw, &statement); err != nil {
			return
		}
		chain, err := certificates(statement)
		if err != nil {
			return
		}
		member, there := statement["x5c"]
		if there != (len(chain) > 0) || len(chain) > maxCertificates {
			t.Fatalf("%d certificates of %v", len(chain), member)
		}
		if again, err := certificates(statement); err != nil || len(again) != len(chain) {
			t.Errorf("read twice: %d certificates, then %d, %v", len(chain), len(again), err)
		}
		if checkCertificates(protocol.AttestationObject{Format: FormatPacked, AttStatement: statement}, chain) == nil {
			bounded(t, chain)
		}
	})
}

// FuzzSafetyNetCertificates: the header of a JWS is read as the library reads it, so that
// no certificate gets past us to it: what we do not see there, encoding/json does not see.
func FuzzSafetyNetCertificates(f *testing.F) {
	certs := seedCertificates(f)
	for _, chain := range [][][]byte{nil, certs[:1], certs} {
		header, err := json.Marshal(map[string]any{"alg": "RS256", "x5c": chain})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(header)
	}
	f.Add([]byte(`{"x5c":["AAAA",1]}`))
	f.Add([]byte(`{"X5C":["AAAA"],"x5c":[]}`))
	f.Add([]byte(`{"x5c":["AAAA"],"x5c":["` + base64.StdEncoding.EncodeToString(certs[2]) + `"]}`)) // the last counts
	f.Add([]byte(`{"x5c":{"0":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, header []byte) {
		statement := map[string]any{"ver": "1", "response": []byte(base64.RawURLEncoding.EncodeToString(header) + ".e30.AA")}
		chain, err := safetyNetCertificates(statement)
		if err != nil {
			return
		}
		if len(chain) > maxCertificates {
			t.Fatalf("%d certificates", len(chain))
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(header, &theirs); err != nil {
			t.Fatalf("a header that is no JSON object is read: %v", err)
		}
		var texts []any
		if json.Unmarshal(theirs["x5c"], &texts) == nil && len(texts) != len(chain) {
			t.Errorf("%d of %d certificates are seen", len(chain), len(texts))
		}
		if checkCertificates(protocol.AttestationObject{Format: FormatSafetyNet, AttStatement: statement}, nil) == nil {
			bounded(t, chain)
		}
	})
}
