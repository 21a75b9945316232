package mds

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Errors of Parse. What came is not used, and what was good before stays.
var (
	ErrMalformed = errors.New("the metadata is no BLOB")
	ErrSignature = errors.New("the metadata's signature does not verify")
	ErrChain     = errors.New("the metadata's certificates lead to no root that is trusted")
	ErrUnparsed  = errors.New("too much of the metadata cannot be read")
	ErrRollback  = errors.New("the metadata is older than what is known")
)

// Bounds of a BLOB. That of 2026 has 12 MB and some 400 entries.
const (
	MaxBytes        = 64 << 20
	maxEntries      = 20_000
	maxCertificates = 8
	maxRSABits      = 8192
)

// Host is the name that the certificate of the FIDO Alliance's BLOB is for. Its root signs
// certificates for anybody who pays: the name is what tells them apart.
const Host = "mds.fidoalliance.org"

//go:embed root.pem
var root []byte

// FIDORoots are the roots that the FIDO Alliance's BLOB is verified by: GlobalSign Root
// CA R3 (FIDO Metadata Service #sctn-mdblob-object-processing-rules).
func FIDORoots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	return pool
}

// Options says what a BLOB must be.
type Options struct {
	Roots *x509.CertPool // nil: FIDORoots, for Host
	Host  string         // that the signer's certificate is for; empty: any, for roots of one's own alone
	At    time.Time      // when the certificates must be valid; required

	// MaxUnparsed is the part of the entries that may be unreadable, 0 to 1. An entry that
	// cannot be read is left out: its model is unknown, and is not trusted.
	MaxUnparsed float64
}

// Parse verifies a BLOB (a JWS in compact form, RFC 7515) and reads it. A BLOB whose next
// update is overdue is read: see Snapshot.Stale. It touches no network: certificates are
// judged by their signatures, names and times.
//
// ErrMalformed, ErrSignature, ErrChain, ErrUnparsed.
func Parse(blob []byte, o Options) (*Snapshot, error) {
	if o.At.IsZero() {
		return nil, errors.New("mds: Options.At is required")
	}
	payload, err := verify(bytes.TrimSpace(blob), o)
	if err != nil {
		return nil, err
	}
	return read(payload, o.MaxUnparsed)
}

// verify returns the payload of a JWS whose signer the roots vouch for.
func verify(blob []byte, o Options) ([]byte, error) {
	if len(blob) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(blob))
	}
	signed := bytes.LastIndexByte(blob, '.')
	dot := bytes.IndexByte(blob, '.')
	if dot <= 0 || signed <= dot || bytes.IndexByte(blob[dot+1:signed], '.') >= 0 {
		return nil, fmt.Errorf("%w: it is no JWS in compact form", ErrMalformed)
	}
	var header struct {
		Alg  string   `json:"alg"`
		X5C  []string `json:"x5c"`
		Crit []string `json:"crit"`
	}
	text, err := decode(blob[:dot])
	if err != nil || json.Unmarshal(text, &header) != nil {
		return nil, fmt.Errorf("%w: its header cannot be read", ErrMalformed)
	}
	if len(header.Crit) > 0 { // RFC 7515 §4.1.11: none is understood
		return nil, fmt.Errorf("%w: it has critical header parameters", ErrMalformed)
	}
	payload, err := decode(blob[dot+1 : signed])
	if err != nil {
		return nil, fmt.Errorf("%w: its payload cannot be read", ErrMalformed)
	}
	signature, err := decode(blob[signed+1:])
	if err != nil {
		return nil, fmt.Errorf("%w: its signature cannot be read", ErrMalformed)
	}
	signer, err := chain(header.X5C, o)
	if err != nil {
		return nil, err
	}
	return payload, checkSignature(header.Alg, signer, blob[:signed], signature)
}

func decode(text []byte) ([]byte, error) {
	out := make([]byte, base64.RawURLEncoding.DecodedLen(len(text)))
	n, err := base64.RawURLEncoding.Strict().Decode(out, text)
	return out[:n], err
}

// chain returns the key of the certificate that signed, which leads to a root.
func chain(x5c []string, o Options) (any, error) {
	if len(x5c) == 0 || len(x5c) > maxCertificates {
		return nil, fmt.Errorf("%w: %d certificates", ErrChain, len(x5c))
	}
	certs := make([]*x509.Certificate, len(x5c))
	for i, text := range x5c {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%w: a certificate cannot be read", ErrChain)
		}
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("%w: a certificate cannot be read", ErrChain)
		}
		// What a signature costs to verify grows with the cube of the key's size.
		if k, ok := certs[i].PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSABits {
			return nil, fmt.Errorf("%w: an RSA key of %d bits", ErrChain, k.N.BitLen())
		}
	}
	want := x509.VerifyOptions{
		Roots: o.Roots, Intermediates: x509.NewCertPool(), CurrentTime: o.At, DNSName: o.Host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	if want.Roots == nil {
		want.Roots, want.DNSName = FIDORoots(), Host
	}
	for _, c := range certs[1:] {
		want.Intermediates.AddCert(c)
	}
	if _, err := certs[0].Verify(want); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrChain, err) //nolint:errorlint // the kind is what callers ask for
	}
	return certs[0].PublicKey, nil
}

// checkSignature takes the algorithms that the service may use, each with its own kind of
// key: what the header says chooses among those and nothing else.
func checkSignature(alg string, key any, signed, signature []byte) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		digest := sha256.Sum256(signed)
		switch alg {
		case "RS256":
			if rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], signature) == nil {
				return nil
			}
		case "PS256":
			if rsa.VerifyPSS(k, crypto.SHA256, digest[:], signature, nil) == nil {
				return nil
			}
		default:
			return fmt.Errorf("%w: algorithm %.16q is not for its key", ErrSignature, alg)
		}
		return ErrSignature
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		var digest []byte
		switch {
		case alg == "ES256" && size == 32:
			sum := sha256.Sum256(signed)
			digest = sum[:]
		case alg == "ES384" && size == 48:
			sum := sha512.Sum384(signed)
			digest = sum[:]
		case alg == "ES512" && size == 66:
			sum := sha512.Sum512(signed)
			digest = sum[:]
		default:
			return fmt.Errorf("%w: algorithm %.16q is not for its key", ErrSignature, alg)
		}
		if len(signature) != 2*size || !ecdsa.Verify(k, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])) {
			return ErrSignature
		}
		return nil
	}
	return fmt.Errorf("%w: its key is of a kind that is not taken", ErrSignature)
}

// read turns a payload into a snapshot.
func read(payload []byte, maxUnparsed float64) (*Snapshot, error) {
	var body struct {
		No         *int              `json:"no"`
		NextUpdate string            `json:"nextUpdate"`
		Entries    []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(payload, &body); err != nil {
		return nil, fmt.Errorf("%w: its payload is no such JSON", ErrMalformed)
	}
	next, err := time.Parse(time.DateOnly, body.NextUpdate)
	if err != nil || body.No == nil || *body.No < 0 || *body.No > 1<<30 || len(body.Entries) > maxEntries {
		return nil, fmt.Errorf("%w: its number, next update or entries are none", ErrMalformed)
	}
	s := &Snapshot{Number: *body.No, NextUpdate: next.UTC(), models: map[uuid.UUID]*Entry{}, keys: map[string]*Entry{}}
	for _, text := range body.Entries {
		e, err := parseEntry(text)
		if err == nil {
			err = s.add(e)
		}
		if err != nil {
			s.Unparsed++
		}
	}
	if float64(s.Unparsed) > maxUnparsed*float64(len(body.Entries)) {
		return nil, fmt.Errorf("%w: %d of %d entries", ErrUnparsed, s.Unparsed, len(body.Entries))
	}
	return s, nil
}

// add refuses a second entry for a model: nobody could say which one counts.
func (s *Snapshot) add(e *Entry) error {
	if e.AAGUID != uuid.Nil {
		if _, twice := s.models[e.AAGUID]; twice {
			return errors.New("a model stands twice")
		}
	}
	for _, k := range e.KeyIdentifiers {
		if _, twice := s.keys[string(k)]; twice {
			return errors.New("a key identifier stands twice")
		}
	}
	if e.AAGUID != uuid.Nil {
		s.models[e.AAGUID] = e
	}
	for _, k := range e.KeyIdentifiers {
		s.keys[string(k)] = e
	}
	s.entries = append(s.entries, e)
	return nil
}

func parseEntry(text []byte) (*Entry, error) {
	var j struct {
		AAGUID         string          `json:"aaguid"`
		KeyIdentifiers []string        `json:"attestationCertificateKeyIdentifiers"`
		Statement      json.RawMessage `json:"metadataStatement"`
		Reports        []struct {
			Status      string `json:"status"`
			Effective   string `json:"effectiveDate"`
			Certificate string `json:"certificate"`
		} `json:"statusReports"`
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	e := &Entry{}
	var err error
	if j.AAGUID != "" {
		if e.AAGUID, err = uuid.Parse(j.AAGUID); err != nil {
			return nil, fmt.Errorf("aaguid: %w", err)
		}
	}
	for _, k := range j.KeyIdentifiers {
		id, err := hex.DecodeString(k)
		if err != nil || len(id) != 20 {
			return nil, errors.New("a key identifier is no SHA-1")
		}
		e.KeyIdentifiers = append(e.KeyIdentifiers, id)
	}
	for _, r := range j.Reports {
		report := StatusReport{Status: r.Status}
		if r.Effective != "" {
			if report.Effective, err = time.Parse(time.DateOnly, r.Effective); err != nil {
				return nil, fmt.Errorf("effective date: %w", err)
			}
		}
		if r.Certificate != "" {
			c, err := certificate(r.Certificate)
			if err != nil {
				return nil, fmt.Errorf("certificate of a report: %w", err)
			}
			report.Certificate = c.Raw
		}
		e.Reports = append(e.Reports, report)
	}
	slices.SortStableFunc(e.Reports, func(a, b StatusReport) int { return a.Effective.Compare(b.Effective) })
	if len(j.Statement) > 0 && string(j.Statement) != "null" {
		return e, e.describe(j.Statement)
	}
	return e, nil
}

// describe reads the statement (FIDO Metadata Statement v3.0).
func (e *Entry) describe(text json.RawMessage) error {
	var st struct {
		Description      string   `json:"description"`
		Icon             string   `json:"icon"`
		AttestationTypes []string `json:"attestationTypes"`
		Roots            []string `json:"attestationRootCertificates"`
	}
	if err := json.Unmarshal(text, &st); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	for _, r := range st.Roots {
		c, err := certificate(r)
		if err != nil {
			return fmt.Errorf("root: %w", err)
		}
		e.Roots = append(e.Roots, c)
	}
	e.Name, e.AttestationTypes, e.Statement = line(st.Description), st.AttestationTypes, text
	e.Icon = icon(st.Icon)
	return nil
}

// certificate reads one in base64, as statements have them: some with line breaks.
func certificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(strip(text))
	if err != nil {
		return nil, fmt.Errorf("base64: %w", err)
	}
	return x509.ParseCertificate(der)
}

// strip removes white space.
func strip(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\n' || r == '\r' || r == '\t' {
			return -1
		}
		return r
	}, text)
}
