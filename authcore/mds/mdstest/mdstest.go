// Package mdstest makes FIDO metadata BLOBs for tests, signed under a root of its own.
//
//	service := mdstest.New(t)
//	blob := service.Sign(t, mdstest.BLOB{Number: 7, Entries: []mdstest.Entry{{AAGUID: model, Roots: [][]byte{root}}}})
//	snapshot := service.Snapshot(t, mdstest.BLOB{…})
package mdstest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"image"
	"image/color"
	"image/png"
	"math/big"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
)

// Host is what the signer's certificate is for.
const Host = "mds.example"

// Service is a metadata service with a root of its own.
type Service struct {
	root, signer       *x509.Certificate
	rootKey, signerKey *ecdsa.PrivateKey
}

// New returns a service whose certificates are valid from ten years ago for twenty years.
func New(t testing.TB) *Service {
	t.Helper()
	s := &Service{rootKey: key(t), signerKey: key(t)}
	s.root = certify(t, "Metadata root", true, &s.rootKey.PublicKey, nil, s.rootKey)
	s.signer = certify(t, Host, false, &s.signerKey.PublicKey, s.root, s.rootKey)
	return s
}

// Roots is the pool that trusts the service.
func (s *Service) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.root)
	return pool
}

// RootPEM is the root, for a file.
func (s *Service) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.root.Raw})
}

// BLOB is what is signed.
type BLOB struct {
	Number     int
	NextUpdate time.Time // zero: in a month
	Entries    []Entry
	Broken     int // so many entries more that cannot be read
}

// Entry is one model.
type Entry struct {
	AAGUID         uuid.UUID
	KeyIdentifiers [][]byte
	Name           string
	Icon           []byte   // PNG
	Roots          [][]byte // DER
	Types          []string // attestationTypes; nil: basic_full
	Reports        []Report
}

// Icon is a PNG: a dark square of 32 pixels with a light edge, the same each time.
func Icon(t testing.TB) []byte {
	t.Helper()
	const side = 32
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}, color.RGBA{R: 0xf4, G: 0xb9, B: 0x42, A: 0xff}})
	for i := range side {
		for _, at := range [][2]int{{i, 0}, {i, side - 1}, {0, i}, {side - 1, i}} {
			picture.SetColorIndex(at[0], at[1], 1)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	return out.Bytes()
}

// Report is one status report.
type Report struct {
	Status      string
	Effective   time.Time // zero: none is said
	Certificate []byte    // DER; nil: none is named
}

// Sign returns the BLOB in its compact form.
func (s *Service) Sign(t testing.TB, b BLOB) []byte {
	t.Helper()
	return s.SignPayload(t, b.payload(t))
}

// Snapshot is the BLOB as Parse reads it now.
func (s *Service) Snapshot(t testing.TB, b BLOB) *mds.Snapshot {
	t.Helper()
	snapshot, err := mds.Parse(s.Sign(t, b), mds.Options{Roots: s.Roots(), Host: Host, At: time.Now(), MaxUnparsed: 1})
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	return snapshot
}

// SignPayload signs any text.
func (s *Service) SignPayload(t testing.TB, payload []byte) []byte {
	t.Helper()
	return s.SignWith(t, map[string]any{"alg": "ES256", "typ": "JWT", "x5c": []string{base64.StdEncoding.EncodeToString(s.signer.Raw)}}, payload)
}

// SignWith signs under a header of one's own.
func (s *Service) SignWith(t testing.TB, header map[string]any, payload []byte) []byte {
	t.Helper()
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	out := base64.RawURLEncoding.AppendEncode(nil, head)
	out = base64.RawURLEncoding.AppendEncode(append(out, '.'), payload)
	digest := sha256.Sum256(out)
	r, sig, err := ecdsa.Sign(rand.Reader, s.signerKey, digest[:])
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	sig.FillBytes(raw[32:])
	return base64.RawURLEncoding.AppendEncode(append(out, '.'), raw[:])
}

// Certificate is the signer's, for headers.
func (s *Service) Certificate() string { return base64.StdEncoding.EncodeToString(s.signer.Raw) }

func (b BLOB) payload(t testing.TB) []byte {
	t.Helper()
	next := b.NextUpdate
	if next.IsZero() {
		next = time.Now().AddDate(0, 1, 0)
	}
	entries := []any{}
	for _, e := range b.Entries {
		entries = append(entries, e.json())
	}
	for range b.Broken {
		entries = append(entries, map[string]any{"aaguid": "none"})
	}
	text, err := json.Marshal(map[string]any{
		"legalHeader": "for tests", "no": b.Number, "nextUpdate": next.UTC().Format(time.DateOnly), "entries": entries,
	})
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	return text
}

func (e Entry) json() map[string]any {
	types := e.Types
	if types == nil {
		types = []string{"basic_full"}
	}
	roots, reports := []string{}, []any{}
	for _, r := range e.Roots {
		roots = append(roots, base64.StdEncoding.EncodeToString(r))
	}
	for _, r := range e.Reports {
		j := map[string]any{"status": r.Status}
		if !r.Effective.IsZero() {
			j["effectiveDate"] = r.Effective.UTC().Format(time.DateOnly)
		}
		if r.Certificate != nil {
			j["certificate"] = base64.StdEncoding.EncodeToString(r.Certificate)
		}
		reports = append(reports, j)
	}
	statement := map[string]any{"description": e.Name, "attestationTypes": types, "attestationRootCertificates": roots}
	if e.Icon != nil {
		statement["icon"] = "data:image/png;base64," + base64.StdEncoding.EncodeToString(e.Icon)
	}
	out := map[string]any{"metadataStatement": statement, "statusReports": reports, "timeOfLastStatusChange": "2026-01-01"}
	if e.AAGUID != uuid.Nil {
		out["aaguid"] = e.AAGUID.String()
	}
	if len(e.KeyIdentifiers) > 0 {
		ids := []string{}
		for _, id := range e.KeyIdentifiers {
			ids = append(ids, hex.EncodeToString(id))
		}
		out["attestationCertificateKeyIdentifiers"] = ids
	}
	return out
}

func key(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	return k
}

func certify(t testing.TB, name string, ca bool, public crypto.PublicKey, parent *x509.Certificate, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().AddDate(-10, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
		BasicConstraintsValid: true, IsCA: ca, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if !ca {
		template.DNSNames = []string{name}
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("mdstest: %v", err)
	}
	return c
}
