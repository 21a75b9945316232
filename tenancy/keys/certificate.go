package keys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Certificate says that a tenant's keys were destroyed. The platform signs it.
type Certificate struct {
	Issuer   string    `json:"iss"` // the platform at its installation
	Subject  uuid.UUID `json:"sub"` // the tenant
	ID       uuid.UUID `json:"jti"`
	IssuedAt int64     `json:"iat"` // NumericDate, seconds
	Slug     string    `json:"slug"`
	By       string    `json:"by"`     // who destroyed them
	Reason   string    `json:"reason"` // that person's words; may be empty

	Inventory

	// Statement is what was done, and what was not, for people.
	Statement string `json:"statement"`
}

const (
	certificateType = "deletion-certificate+jwt"
	// statement is careful to say what a certificate cannot: nobody can prove the absence of copies.
	statement = "The data keys named here were deleted from the database at the time of iat. What was sealed under them does not open " +
		"any more. Copies of the wrapped keys in backups that are older than iat open as long as the KMS keys named here exist: " +
		"they end with those backups. What was never sealed is not covered."
)

// SignCertificate returns c as a JWS (RFC 7515) in compact form, signed with the
// ring's active key. The ring is the platform's.
func SignCertificate(ctx context.Context, ring *Ring, c Certificate) (string, error) {
	signer := ring.Signer()
	if signer == nil {
		return "", errors.New("the platform has no active signing key")
	}
	c.Statement = statement
	header, err := json.Marshal(map[string]string{"alg": signer.Algorithm, "kid": signer.KID, "typ": certificateType})
	if err != nil {
		return "", fmt.Errorf("encode header: %w", err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode certificate: %w", err)
	}
	b64 := base64.RawURLEncoding
	input := b64.AppendEncode(append(b64.AppendEncode(nil, header), '.'), payload)
	jws, err := signer.Sign(ctx, append(input, '.'), input)
	return string(jws), err
}

// Errors of VerifyCertificate.
var (
	ErrCertificate    = errors.New("this is no deletion certificate that one of these keys has signed")
	errCertificateKey = fmt.Errorf("%w: none of the keys has its kid", ErrCertificate)
)

// VerifyCertificate returns what a deletion certificate says, if one of the keys in
// jwks (a JSON Web Key Set) has signed it. It needs neither network nor database.
func VerifyCertificate(jwks []byte, certificate string) (Certificate, error) {
	parts := strings.Split(certificate, ".")
	if len(parts) != 3 {
		return Certificate{}, ErrCertificate
	}
	var header joseHeader
	text, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil || json.Unmarshal(text, &header) != nil || header.Typ != certificateType {
		return Certificate{}, ErrCertificate
	}
	input := certificate[:len(parts[0])+1+len(parts[1])]
	switch err := verifyWith(jwks, header.KID, header.Alg, []byte(input), []byte(parts[2])); {
	case errors.Is(err, errNoKey):
		return Certificate{}, errCertificateKey
	case errors.Is(err, ErrSignature):
		return Certificate{}, ErrCertificate
	case err != nil:
		return Certificate{}, err
	}
	return parseCertificate(parts[1])
}

func parseCertificate(payload string) (Certificate, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	var c Certificate
	if err != nil || json.Unmarshal(text, &c) != nil || c.Subject == uuid.Nil || c.IssuedAt == 0 || len(c.DataKeys) == 0 {
		return Certificate{}, ErrCertificate
	}
	return c, nil
}

// Time is IssuedAt as a time.
func (c Certificate) Time() time.Time { return time.Unix(c.IssuedAt, 0).UTC() }
