package attestation_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
)

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// extension is one of X.509's with a value that asn1 makes.
func extension(t testing.TB, critical bool, value any, oid ...int) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oid, Critical: critical, Value: der}
}

// What is at hand when somebody looks for a root is often something else. Each kind has
// its reason, and what is taken is what Judge can trust by.
func TestParseRoot(t *testing.T) {
	ca := template{name: "Root", ca: true}.by(t, nil)
	issued := template{name: "Issuer", ca: true}.by(t, ca)
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		t.Fatal(err)
	}
	serverAuth := extension(t, false, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}}, 2, 5, 29, 37)
	signatures := extension(t, true, asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}, 2, 5, 29, 15)
	text := pemOf("CERTIFICATE", ca.cert.Raw)

	for _, tt := range []struct {
		name string
		text []byte
		want error // nil: taken
	}{
		{"a CA in PEM", text, nil},
		{"a CA in DER", ca.cert.Raw, nil},
		{"with empty lines around it", append(append([]byte("\n\n"), text...), " \r\n"...), nil},
		{"a CA under another", pemOf("CERTIFICATE", issued.cert.Raw), nil},
		{"an attestation certificate", pemOf("CERTIFICATE", template{name: "Batch", aaguid: &model}.by(t, issued).cert.Raw), nil},
		{"RSA of 2048 bits", pemOf("CERTIFICATE", template{name: "R", ca: true, key: rsaKey(t, 2048)}.by(t, nil).cert.Raw), nil},
		{"one that begins tomorrow", template{name: "R", ca: true, notBefore: now.AddDate(0, 0, 1)}.by(t, nil).cert.Raw, nil},

		{"nothing", nil, attestation.ErrRootMalformed},
		{"words", []byte("our root"), attestation.ErrRootMalformed},
		{"base64 without a frame", []byte("MIIB"), attestation.ErrRootMalformed},
		{"words before it", append([]byte("subject=CN = Root\n"), text...), attestation.ErrRootMalformed},
		{"two at once", append(bytes.Clone(text), text...), attestation.ErrRootMalformed},
		{"a request for a certificate", pemOf("CERTIFICATE REQUEST", ca.cert.Raw), attestation.ErrRootMalformed},
		{"with PEM headers", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw, Headers: map[string]string{"A": "b"}}), attestation.ErrRootMalformed},
		{"a byte behind it", append(bytes.Clone(ca.cert.Raw), 0), attestation.ErrRootMalformed},
		{"a byte behind it, in PEM", pemOf("CERTIFICATE", append(bytes.Clone(ca.cert.Raw), 0)), attestation.ErrRootMalformed},
		{"cut off", ca.cert.Raw[:len(ca.cert.Raw)-1], attestation.ErrRootMalformed},
		{"too large", template{name: "R", ca: true, extra: []pkix.Extension{extension(t, false, make([]byte, 4096), 1, 2, 3)}}.by(t, nil).cert.Raw, attestation.ErrRootMalformed},
		{"much too large", bytes.Repeat(text, 40), attestation.ErrRootMalformed},

		{"its private key", pemOf("PRIVATE KEY", pkcs8), attestation.ErrRootPrivateKey},
		{"its private key, in DER", pkcs8, attestation.ErrRootPrivateKey},
		{"its private key, called a certificate", pemOf("CERTIFICATE", pkcs8), attestation.ErrRootPrivateKey},
		{"its private key, encrypted", pemOf("ENCRYPTED PRIVATE KEY", pkcs8), attestation.ErrRootPrivateKey},
		{"its private key behind it", append(bytes.Clone(text), pemOf("EC PRIVATE KEY", pkcs8)...), attestation.ErrRootPrivateKey},

		{"expired", template{name: "R", ca: true, notBefore: now.AddDate(-2, 0, 0), notAfter: now}.by(t, nil).cert.Raw, attestation.ErrRootExpired},
		{"RSA of 1024 bits", template{name: "R", ca: true, key: rsaKey(t, 1024)}.by(t, nil).cert.Raw, attestation.ErrRootWeakKey},
		{"P-224", template{name: "R", ca: true, key: curve(elliptic.P224())}.by(t, nil).cert.Raw, attestation.ErrRootWeakKey},
		{"a server's", template{name: "login.example.com", extra: []pkix.Extension{serverAuth}}.by(t, ca).cert.Raw, attestation.ErrRootUnfit},
		{"a CA that signs no certificates", template{name: "R", ca: true, extra: []pkix.Extension{signatures}}.by(t, nil).cert.Raw, attestation.ErrRootUnfit},
		{"a critical extension of nobody's", template{name: "R", ca: true, extra: []pkix.Extension{extension(t, true, "?", 1, 2, 3)}}.by(t, nil).cert.Raw, attestation.ErrRootUnfit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert, err := attestation.ParseRoot(tt.text, now)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("ParseRoot = %v, want %v", err, tt.want)
			}
			if tt.want == nil && cert == nil {
				t.Error("no certificate, and no error")
			}
		})
	}
}

func TestParseAAGUIDs(t *testing.T) {
	var many []string
	for range 65 {
		many = append(many, uuid.NewString())
	}
	for name, tt := range map[string]struct {
		texts []string
		want  error
	}{
		"none":      {nil, nil},
		"two":       {[]string{model.String(), another.String()}, nil},
		"64":        {many[:64], nil},
		"65":        {many, attestation.ErrRootAAGUIDs},
		"one twice": {[]string{model.String(), model.String()}, attestation.ErrRootAAGUIDs},
		"the zero":  {[]string{uuid.Nil.String()}, attestation.ErrRootAAGUIDs},
		"in braces": {[]string{"{" + model.String() + "}"}, attestation.ErrRootAAGUIDs},
		"a name":    {[]string{"YubiKey 5"}, attestation.ErrRootAAGUIDs},
	} {
		if got, err := attestation.ParseAAGUIDs(tt.texts); !errors.Is(err, tt.want) || err == nil && len(got) != len(tt.texts) {
			t.Errorf("%s: ParseAAGUIDs = %v, %v, want %v", name, got, err, tt.want)
		}
	}
}

// FuzzParseRoot: whatever is pasted, no certificate comes without having been checked, and
// what is taken is taken again in the form that is stored.
func FuzzParseRoot(f *testing.F) {
	ca := template{name: "Root", ca: true}.by(f, nil)
	leaf := template{name: "Batch", aaguid: &model}.by(f, ca)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		ca.cert.Raw, leaf.cert.Raw, pemOf("CERTIFICATE", ca.cert.Raw), pemOf("PRIVATE KEY", pkcs8), pkcs8, []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cert, err := attestation.ParseRoot(text, now)
		if err != nil {
			return
		}
		if len(cert.Raw) > 4096 || !now.Before(cert.NotAfter) {
			t.Errorf("%d bytes until %s are taken", len(cert.Raw), cert.NotAfter)
		}
		if again, err := attestation.ParseRoot(cert.Raw, now); err != nil || !again.Equal(cert) {
			t.Errorf("what was taken is not taken again: %v", err)
		}
	})
}
