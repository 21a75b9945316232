// Package token makes and checks the tokens that a session is used with.
//
// An access token is a JWT (RFC 7519) signed with the tenant's key, made by append
// and without reflection, since each sign-in makes one. A refresh token is opaque:
// it names a session and a generation under a MAC, and nothing of it is stored.
//
// Access tokens have the explicit type at+jwt (RFC 9068 §2.1, RFC 8725 §3.11), so
// that no receipt or other JWT under the same key passes for one. They are not of
// the whole RFC 9068 profile: Biocore is no OAuth authorization server, and there is
// no client_id. Most JWT libraries check the type only when told to.
package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// ErrInvalid says that a token is not one of ours, or not any more. Its text is for
// logs: whoever sent the token learns no more than that it is not good.
var ErrInvalid = errors.New("the token is not valid")

// ErrForged is an ErrInvalid where an attack is likely: a token of the right form that
// was not made with the tenant's keys. Another tenant's is among it. A token that was
// good once is not, and neither is a text that is no token.
var ErrForged = fmt.Errorf("%w: not made with the tenant's keys", ErrInvalid)

// Claims is what an access token says. Times are whole seconds.
type Claims struct {
	Issuer       string    // iss: see Issuer
	Subject      uuid.UUID // sub: the user
	Audience     string    // aud: see tenant.Tenant.Audience
	Session      uuid.UUID // sid
	Tenant       uuid.UUID // tid
	UserVerified bool      // amr holds mfa: possession, and a PIN or biometry
	AAL          uint8     // acr: aal1 to aal3 (NIST SP 800-63B-4)
	AuthTime     time.Time // auth_time: of the sign-in, not of the refresh
	ID           uuid.UUID // jti
	IssuedAt     time.Time // iat
	ExpiresAt    time.Time // exp: the first second at which it is not good
}

// Issuer returns the iss of a tenant's tokens; beside it stands
// /.well-known/jwks.json. publicURL is the installation's, with or without a final
// slash.
func Issuer(publicURL, slug string) string {
	return strings.TrimSuffix(publicURL, "/") + "/t/" + slug
}

// Type is the typ of an access token (RFC 9068 §2.1).
const Type = "at+jwt"

// hardwareAAL is the level that only keys reach that are proven to be in hardware, which
// they cannot leave: see authcore/assurance.
const hardwareAAL = 3

// The header of an access token, around algorithm and kid, in the order of JSON's
// canonical form. There is one spelling for each key.
const (
	headerBefore = `{"alg":"`
	headerAmid   = `","kid":"`
	headerAfter  = `","typ":"` + Type + `"}`
)

// MaxBytes bounds an access token, without the JWE that it may be sent in. What we make
// is two thirds of it at most: an audience has up to 512 bytes, the RP ID and the issuer
// are names in DNS, and a slug has 63 characters.
const MaxBytes = 4096

// AppendAccess appends to dst an access token of these claims, signed with the
// ring's active key. The claims must be of the ring's tenant. ctx bounds the signing,
// which for a key in a KMS goes over the network.
func AppendAccess(ctx context.Context, dst []byte, ring *keys.Ring, c Claims) ([]byte, error) {
	signer := ring.Signer()
	if signer == nil {
		return nil, errors.New("the tenant has no active signing key")
	}
	if c.Tenant != ring.Tenant() {
		return nil, errors.New("the claims are of another tenant than the key")
	}
	var scratch [1024]byte // on the stack: a longer payload moves to the heap and stays right
	b64 := base64.RawURLEncoding

	start := len(dst)
	part := append(append(scratch[:0], headerBefore...), signer.Algorithm...)
	part = append(append(append(part, headerAmid...), signer.KID...), headerAfter...)
	dst = append(b64.AppendEncode(dst, part), '.')
	dst = b64.AppendEncode(dst, AppendClaims(scratch[:0], c))
	end := len(dst)
	dst = append(dst, '.')
	return signer.Sign(ctx, dst, dst[start:end])
}

// AppendClaims appends c as a JSON object, as it stands in the token.
func AppendClaims(dst []byte, c Claims) []byte {
	dst = append(dst, `{"iss":`...)
	dst = attr.AppendText(dst, c.Issuer)
	dst = append(dst, `,"sub":`...)
	dst = attr.AppendUUID(dst, c.Subject)
	dst = append(dst, `,"aud":`...)
	dst = attr.AppendText(dst, c.Audience)
	dst = append(dst, `,"sid":`...)
	dst = attr.AppendUUID(dst, c.Session)
	dst = append(dst, `,"tid":`...)
	dst = attr.AppendUUID(dst, c.Tenant)
	// RFC 8176 §2: pop for the key's signature, hwk where it is proven to be in hardware,
	// user for the test of user presence, mfa when the authenticator verified its user
	// too. By which means it did (pin, fpt, face), and that a key is in software (swk), no
	// authenticator says: they are not claimed.
	dst = append(dst, `,"amr":["pop"`...)
	if c.AAL >= hardwareAAL {
		dst = append(dst, `,"hwk"`...)
	}
	dst = append(dst, `,"user"`...)
	if c.UserVerified {
		dst = append(dst, `,"mfa"`...)
	}
	dst = append(dst, `],"acr":"aal`...)
	dst = strconv.AppendUint(dst, uint64(c.AAL), 10)
	dst = append(dst, `","auth_time":`...)
	dst = strconv.AppendInt(dst, c.AuthTime.Unix(), 10)
	dst = append(dst, `,"jti":`...)
	dst = attr.AppendUUID(dst, c.ID)
	dst = append(dst, `,"iat":`...)
	dst = strconv.AppendInt(dst, c.IssuedAt.Unix(), 10)
	dst = append(dst, `,"exp":`...)
	dst = strconv.AppendInt(dst, c.ExpiresAt.Unix(), 10)
	return append(dst, '}')
}

// Want is what an access token must say to be good here and now.
type Want struct {
	Issuer   string
	Audience string
	Now      time.Time

	// Ended lets a token pass that has expired, or has an audience of before: to end
	// its session. Never to let somebody in.
	Ended bool
}

// VerifyAccess returns the claims of an access token that the ring's tenant signed,
// that is meant for want.Audience and good at want.Now. Everything else is
// ErrInvalid. Whether its session still stands is not the token's to say.
//
// The header must be the one that we write, to the byte. So there is nothing to
// interpret in it: no algorithm to choose, no key to fetch or to trust (jwk, jku,
// x5u, x5c), no extension to understand (crit, b64), no member that two readers
// read differently (RFC 8725 §3.1, §3.10). Header and payload are signed as they are
// spelled, and Ring.Verify takes one spelling of the signature.
func VerifyAccess(ring *keys.Ring, token string, want Want) (Claims, error) {
	if len(token) > MaxBytes {
		return Claims{}, fmt.Errorf("%w: %d bytes", ErrInvalid, len(token))
	}
	header, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(signature, ".") { // a JWE has five parts: its holder decrypts it
		return Claims{}, fmt.Errorf("%w: not a JWS in compact form", ErrInvalid)
	}
	algorithm, kid, ok := keyOf(header)
	if !ok {
		if isHeader(header) {
			return Claims{}, fmt.Errorf("%w: not our header", ErrForged)
		}
		return Claims{}, fmt.Errorf("%w: no header", ErrInvalid)
	}
	input := token[:len(header)+1+len(payload)]
	if err := ring.Verify(kid, algorithm, []byte(input), []byte(signature)); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	// From here on the bytes are what a holder of the tenant's key wrote.
	text, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c, err := parseClaims(text, want)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// The keys are the tenant's own; tid, iss and aud are held against the expected
	// all the same, for the day on which two tenants' keys are mixed up.
	if c.Tenant != ring.Tenant() || c.Issuer != want.Issuer || (c.Audience != want.Audience && !want.Ended) {
		return Claims{}, fmt.Errorf("%w: of another tenant, issuer or audience", ErrInvalid)
	}
	return c, nil
}

// keyOf returns algorithm and kid of a header that is ours to the byte. Whether the
// key is ours, and for that algorithm, is Ring.Verify's to say.
func keyOf(header string) (algorithm, kid string, ok bool) {
	var buf [192]byte // kids are thumbprints of 43 characters
	if base64.RawURLEncoding.DecodedLen(len(header)) > len(buf) {
		return "", "", false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(buf[:], []byte(header))
	if err != nil {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(string(buf[:n]), headerBefore)
	if !ok {
		return "", "", false
	}
	if algorithm, rest, ok = strings.Cut(rest, headerAmid); !ok {
		return "", "", false
	}
	kid, ok = strings.CutSuffix(rest, headerAfter) // whatever is between is no key of ours, or it is one
	return algorithm, kid, ok
}

// isHeader reports whether a text could be a JWS's header at all.
func isHeader(header string) bool {
	text, err := base64.RawURLEncoding.DecodeString(header)
	return err == nil && len(text) > 0 && text[0] == '{' && json.Valid(text)
}

// wireClaims is for reading alone. Numbers are NumericDates in whole seconds.
type wireClaims struct {
	Issuer    string    `json:"iss"`
	Subject   uuid.UUID `json:"sub"`
	Audience  string    `json:"aud"`
	Session   uuid.UUID `json:"sid"`
	Tenant    uuid.UUID `json:"tid"`
	AMR       []string  `json:"amr"`
	ACR       string    `json:"acr"`
	AuthTime  int64     `json:"auth_time"`
	ID        uuid.UUID `json:"jti"`
	IssuedAt  int64     `json:"iat"`
	NotBefore int64     `json:"nbf"`
	ExpiresAt int64     `json:"exp"`
}

// unique reports whether no claim stands twice: of two, one reader takes the first and
// another the last (RFC 7519 §4). Names that differ in case alone count as one, since
// encoding/json takes them so; an escaped name counts as twice, since it may be any.
// text is valid JSON. It allocates nothing for as many claims as we write.
func unique(text []byte) bool {
	var names [16][]byte // we write 11
	seen, depth, name := names[:0], 0, false
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
			name = depth == 1
		case '}', ']':
			depth--
		case ',':
			name = depth == 1
		case '"':
			start := i + 1
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					if name {
						return false
					}
					i++ // whatever is escaped ends nothing
				}
			}
			if !name {
				continue
			}
			this := text[start:i]
			if slices.ContainsFunc(seen, func(s []byte) bool { return bytes.EqualFold(s, this) }) {
				return false
			}
			seen, name = append(seen, this), false
		}
	}
	return true
}

// parseClaims reads claims that are good at want.Now. Claims that it does not know may
// be there: a newer server wrote them.
func parseClaims(text []byte, want Want) (Claims, error) {
	var w wireClaims
	if err := json.Unmarshal(text, &w); err != nil || !unique(text) {
		return Claims{}, errors.New("unreadable claims")
	}
	// exp is the first instant at which the token must not be accepted (RFC 7519
	// §4.1.4). Missing, it is 0 and long past. No leeway: the clock is Postgres's.
	if at := want.Now.Unix(); (at >= w.ExpiresAt && !want.Ended) || at < w.NotBefore {
		return Claims{}, errors.New("expired or not yet valid")
	}
	if w.Subject == uuid.Nil || w.Session == uuid.Nil || w.ID == uuid.Nil {
		return Claims{}, errors.New("a claim is missing")
	}
	aal, ok := strings.CutPrefix(w.ACR, "aal")
	level, err := strconv.ParseUint(aal, 10, 8)
	if !ok || err != nil {
		return Claims{}, errors.New("unreadable acr")
	}
	return Claims{
		Issuer: w.Issuer, Subject: w.Subject, Audience: w.Audience, Session: w.Session, Tenant: w.Tenant,
		UserVerified: slices.Contains(w.AMR, "mfa"), AAL: uint8(level),
		AuthTime: time.Unix(w.AuthTime, 0).UTC(), ID: w.ID,
		IssuedAt: time.Unix(w.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(w.ExpiresAt, 0).UTC(),
	}, nil
}
