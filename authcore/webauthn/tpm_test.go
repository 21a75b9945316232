package webauthn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// tpmStatement is a TPM attestation in the making (WebAuthn L3
// #sctn-tpm-attestation): what a test may spoil before it is signed.
type tpmStatement struct {
	subject      pkix.Name // of the attestation identity key's certificate; must be empty
	manufacturer string
	usage        asn1.ObjectIdentifier
	ca           bool
	notBefore    time.Time
	notAfter     time.Time
	point        []byte // of the key that the TPM says it made: 4, x, y
	extraData    []byte // the hash of what is attested
	magic        tpm2.TPMGenerated
	wrongKey     bool // sign with another key than the certificate's
}

// Two of the formats in §7.1 step 22 cannot be made up, since the library has
// the vendors' roots built in: android-key and apple. This one can.
func TestTPMAttestation(t *testing.T) {
	_, other := ellipticKey(t, elliptic.P256(), -7, 1)
	for _, tt := range []struct {
		name  string
		spoil func(*tpmStatement)
		want  error
	}{
		{"as a TPM makes it", func(*tpmStatement) {}, nil},
		{"of an unregistered manufacturer", func(s *tpmStatement) { s.manufacturer = "id:00000000" }, webauthn.ErrAttestation},
		{"certificate with a subject", func(s *tpmStatement) { s.subject.CommonName = "TPM" }, webauthn.ErrAttestation},
		{"certificate for another usage", func(s *tpmStatement) { s.usage = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1} }, webauthn.ErrAttestation},
		{"certificate of a CA", func(s *tpmStatement) { s.ca = true }, webauthn.ErrAttestation},
		{"certificate that expired", func(s *tpmStatement) { s.notAfter = time.Now().Add(-time.Minute) }, webauthn.ErrAttestationExpired},
		{"about another key", func(s *tpmStatement) {
			s.point = slices.Concat([]byte{4}, other[-2].([]byte), other[-3].([]byte)) //nolint:errcheck // ellipticKey put bytes there
		}, webauthn.ErrAttestation},
		{"about another ceremony", func(s *tpmStatement) { s.extraData = make([]byte, 32) }, webauthn.ErrAttestation},
		{"not made inside the TPM", func(s *tpmStatement) { s.magic = 1 }, webauthn.ErrAttestation},
		{"signed by another key", func(s *tpmStatement) { s.wrongKey = true }, webauthn.ErrAttestation},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg, err := creation{response: attestByTPM(t, tt.spoil)}.run(t)
			checkOutcome(t, err, tt.want)
			if att := reg.Attestation; err == nil && (att.Format != "tpm" || att.Type != webauthn.AttestationAttCA || len(att.X5C) != 1) {
				t.Errorf("attestation = %+v", att)
			}
		})
	}
}

// attestByTPM replaces the attestation statement of a response by a TPM's.
func attestByTPM(t *testing.T, spoil func(*tpmStatement)) func(*webauthn.RegistrationResponse) {
	t.Helper()
	return func(r *webauthn.RegistrationResponse) {
		clientDataHash := sha256.Sum256(r.ClientDataJSON)
		attestationObject(func(o map[string]any) {
			authData, ok := o["authData"].([]byte)
			if !ok {
				t.Fatal("no authenticator data")
			}
			extraData := sha256.Sum256(slices.Concat(authData, clientDataHash[:]))
			// The key's coordinates stand in its COSE form: …, 0x21 0x58 0x20 x, 0x22 0x58 0x20 y.
			y := authData[len(authData)-32:]
			x := authData[len(authData)-32-3-32 : len(authData)-32-3]
			s := tpmStatement{
				manufacturer: "id:FFFFF1D0", // the conformance tests' own
				usage:        asn1.ObjectIdentifier{2, 23, 133, 8, 3},
				notBefore:    time.Now().Add(-time.Hour),
				notAfter:     time.Now().Add(time.Hour),
				point:        slices.Concat([]byte{4}, x, y),
				extraData:    extraData[:],
				magic:        tpm2.TPMGeneratedValue,
			}
			spoil(&s)
			o["fmt"], o["attStmt"] = "tpm", s.sign(t)
		})(r)
	}
}

func (s *tpmStatement) sign(t *testing.T) map[string]any {
	t.Helper()
	public := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgNull},
			CurveID: tpm2.TPMECCNistP256, KDF: tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull},
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: s.point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: s.point[33:]},
		}),
	}
	name, err := tpm2.ObjectName(&public)
	if err != nil {
		t.Fatal(err)
	}
	certInfo := tpm2.Marshal(tpm2.TPMSAttest{
		Magic: s.magic, Type: tpm2.TPMSTAttestCertify, ExtraData: tpm2.TPM2BData{Buffer: s.extraData},
		Attested: tpm2.NewTPMUAttest(tpm2.TPMSTAttestCertify, &tpm2.TPMSCertifyInfo{Name: *name}),
	})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := s.certificate(t, key)
	if s.wrongKey {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	digest := sha256.Sum256(certInfo)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"ver": "2.0", "alg": -7, "x5c": []any{certificate}, "sig": signature,
		"certInfo": certInfo, "pubArea": tpm2.Marshal(public),
	}
}

// certificate is that of an attestation identity key (WebAuthn L3
// #sctn-tpm-cert-requirements): an empty subject, the TPM's vendor in the
// subject alternative name.
func (s *tpmStatement) certificate(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	device, err := asn1.Marshal(pkix.RDNSequence{{
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 1}, Value: s.manufacturer},
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 2}, Value: "software"},
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 3}, Value: "id:13"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const directoryName = 4
	san, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: directoryName, IsCompound: true, Bytes: device}})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: s.subject, NotBefore: s.notBefore, NotAfter: s.notAfter,
		BasicConstraintsValid: true, IsCA: s.ca, UnknownExtKeyUsage: []asn1.ObjectIdentifier{s.usage},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: san}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
