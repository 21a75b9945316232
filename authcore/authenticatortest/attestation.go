package authenticatortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// Attestation is the statement that an authenticator makes about itself.
type Attestation int

// The attestation statements.
const (
	NoAttestation Attestation = iota // format "none"
	PackedSelf                       // format "packed", signed with the credential's key
	PackedX5C                        // format "packed", signed with a certificate under Root
	FIDOU2F                          // format "fido-u2f", as security keys of that time; ES256 only
)

// issuer holds the attestation key and its chain.
type issuer struct {
	root []byte // DER
	leaf []byte // DER
	key  *ecdsa.PrivateKey
}

// newIssuer makes a root and, under it, an attestation certificate as WebAuthn
// L3 #sctn-packed-attestation-cert-requirements wants it, valid from an hour
// before now for ten years.
func newIssuer(aaguid [16]byte, now time.Time) (*issuer, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Software Authenticator Root"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject: pkix.Name{
			Country: []string{"AT"}, Organization: []string{"Software Authenticator"},
			OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Software Authenticator Batch",
		},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, BasicConstraintsValid: true,
	}
	if aaguid != ([16]byte{}) {
		value, err := asn1.Marshal(aaguid[:])
		if err != nil {
			return nil, err
		}
		fidoAAGUID := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}
		leaf.ExtraExtensions = []pkix.Extension{{Id: fidoAAGUID, Value: value}}
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, rootKey)
	if err != nil {
		return nil, err
	}
	return &issuer{root: rootDER, leaf: leafDER, key: key}, nil
}

// attestationObject returns the CBOR map {fmt, attStmt, authData}.
func (a *Authenticator) attestationObject(conveyance string, c *credential, authData, clientData []byte, dev Deviation) ([]byte, error) {
	kind := a.opts.Attestation
	asked := conveyance != "" && conveyance != "none"
	if !asked && !dev.UnaskedAttestation && kind != PackedSelf {
		kind = NoAttestation
	}
	out := appendText(appendHead(nil, cborMap, 3), "fmt")
	switch kind {
	case PackedSelf, PackedX5C:
		return a.packed(out, kind, c, authData, clientData, dev)
	case FIDOU2F:
		return a.fidoU2F(out, c, authData, clientData, dev)
	default:
		out = appendText(appendText(out, "none"), "attStmt")
		out = appendHead(out, cborMap, 0)
		return appendBytes(appendText(out, "authData"), authData), nil
	}
}

// packed makes a statement as WebAuthn L3 #sctn-packed-attestation defines it.
func (a *Authenticator) packed(out []byte, kind Attestation, c *credential, authData, clientData []byte, dev Deviation) ([]byte, error) {
	out = appendText(appendText(out, "packed"), "attStmt")
	signer := c
	if kind == PackedX5C {
		signer = &credential{key: a.issuer.key, algorithm: ES256}
	}
	signature, err := signer.sign(authData, clientData, dev)
	if err != nil {
		return nil, err
	}
	members := uint64(2)
	if kind == PackedX5C {
		members = 3
	}
	out = appendHead(out, cborMap, members)
	out = appendInt(appendText(out, "alg"), signer.algorithm)
	out = appendBytes(appendText(out, "sig"), signature)
	if kind == PackedX5C {
		out = appendHead(appendText(out, "x5c"), cborArray, 1)
		out = appendBytes(out, a.issuer.leaf)
	}
	return appendBytes(appendText(out, "authData"), authData), nil
}

// fidoU2F makes a statement as WebAuthn L3 #sctn-fido-u2f-attestation defines it.
func (a *Authenticator) fidoU2F(out []byte, c *credential, authData, clientData []byte, dev Deviation) ([]byte, error) {
	public, ok := c.key.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, ErrNoAlgorithm
	}
	point, err := public.Bytes()
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(clientData)
	message := append([]byte{0}, authData[:32]...) // the RP ID's hash
	message = append(message, hash[:]...)
	message = append(message, c.id...)
	message = append(message, point...)
	key := a.issuer.key
	if dev.WrongKey {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	signature, err := sign(key, message)
	if err != nil {
		return nil, err
	}
	out = appendText(appendText(out, "fido-u2f"), "attStmt")
	out = appendHead(out, cborMap, 2)
	out = appendBytes(appendText(out, "sig"), signature)
	out = appendHead(appendText(out, "x5c"), cborArray, 1)
	out = appendBytes(out, a.issuer.leaf)
	return appendBytes(appendText(out, "authData"), authData), nil
}
