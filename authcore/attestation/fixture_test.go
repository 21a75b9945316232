package attestation_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
)

// now is the time of every verdict that names no other.
var now = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

var (
	model   = uuid.MustParse("11111111-2222-4333-8444-555555555555")
	another = uuid.MustParse("99999999-8888-4777-8666-555555555555")
)

// identity is a certificate and its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// template is a certificate to be made. Its zero value is a leaf with a P-256 key
// that is valid for a year around now.
type template struct {
	name      string
	key       crypto.Signer
	ca        bool
	pathLen   int // of a CA: 0 none set, n at most n-1 below it
	notBefore time.Time
	notAfter  time.Time
	aaguid    *uuid.UUID
	extra     []pkix.Extension
}

// by issues the certificate; a nil issuer makes it sign itself.
func (tm template) by(t testing.TB, issuer *identity) *identity {
	t.Helper()
	key := tm.key
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: tm.name},
		NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(0, 6, 0),
		BasicConstraintsValid: true, IsCA: tm.ca, ExtraExtensions: tm.extra,
	}
	if !tm.notBefore.IsZero() {
		cert.NotBefore = tm.notBefore
	}
	if !tm.notAfter.IsZero() {
		cert.NotAfter = tm.notAfter
	}
	if tm.ca {
		cert.KeyUsage = x509.KeyUsageCertSign
		cert.MaxPathLen, cert.MaxPathLenZero = tm.pathLen-1, tm.pathLen == 1
	}
	if tm.aaguid != nil {
		value, err := asn1.Marshal(tm.aaguid[:])
		if err != nil {
			t.Fatal(err)
		}
		cert.ExtraExtensions = append(cert.ExtraExtensions, pkix.Extension{
			Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: value,
		})
	}
	parent, signer := cert, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{cert: parsed, key: key}
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// x5c is what a statement with these certificates carries.
func x5c(ids ...*identity) [][]byte {
	var out [][]byte
	for _, id := range ids {
		out = append(out, id.cert.Raw)
	}
	return out
}

// entry is the metadata of a model with these roots.
func entry(aaguid uuid.UUID, roots ...*identity) mdstest.Entry {
	return mdstest.Entry{AAGUID: aaguid, Name: "Model " + aaguid.String()[:4], Roots: x5c(roots...)}
}

// with adds status reports to an entry.
func with(e mdstest.Entry, reports ...mdstest.Report) mdstest.Entry {
	e.Reports = append(e.Reports, reports...)
	return e
}

// metadata makes snapshots, of number 42, whose next is due a month after now.
type metadata struct {
	t       testing.TB
	service *mdstest.Service
}

func newMetadata(t testing.TB) metadata {
	t.Helper()
	return metadata{t, mdstest.New(t)}
}

func (m metadata) of(entries ...mdstest.Entry) *mds.Snapshot {
	m.t.Helper()
	return m.service.Snapshot(m.t, mdstest.BLOB{Number: 42, NextUpdate: now.AddDate(0, 1, 0), Entries: entries})
}
