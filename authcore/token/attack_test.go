package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// RFC 8725 as a table: what has been done to JWT libraries. Where the signature is
// right, only the header is wrong, so a header that is interpreted instead of compared
// turns cases red; where it is not, a signature that is not checked does.
func TestAttacks(t *testing.T) {
	acme, _ := rings(t)
	good := access(t, acme, claimsOf(acme))
	if _, err := token.VerifyAccess(acme, good, want); err != nil {
		t.Fatalf("the token that the attacks begin with: %v", err)
	}
	parts := strings.Split(good, ".")
	kid := acme.Signer().KID
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	usual := fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, kid)
	if header(usual) != parts[0] {
		t.Fatalf("our header is %s, and not what the attacks begin with", parts[0])
	}
	// signed has any header under a right signature of the tenant's key.
	signed := func(text string) string { return sign(t, acme, header(text)+"."+parts[1]) }
	mac := func(key []byte, text string) string {
		h := hmac.New(sha256.New, key)
		input := header(text) + "." + parts[1]
		h.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	evil, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// byEvil carries its own key in the way that options say.
	byEvil := func(options *jose.SignerOptions) string {
		key := jose.JSONWebKey{Key: evil, KeyID: kid}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options.WithType("at+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(token.AppendClaims(nil, claimsOf(acme)))
		if err != nil {
			t.Fatal(err)
		}
		tok, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	with := func(members string) string { return strings.TrimSuffix(usual, "}") + "," + members + "}" }
	jwks, public := string(acme.JWKS()), publicBytes(t, acme)

	oversized := wireOf(t, claimsOf(acme))
	oversized["more"] = strings.Repeat("x", token.MaxBytes)

	for _, tt := range []struct{ name, token string }{
		// §2.1: no signature, and confusion of algorithms.
		{"alg none, no signature", header(fmt.Sprintf(`{"alg":"none","kid":%q,"typ":"at+jwt"}`, kid)) + "." + parts[1] + "."},
		{"alg none, our signature", signed(fmt.Sprintf(`{"alg":"none","kid":%q,"typ":"at+jwt"}`, kid))},
		{"alg None", header(fmt.Sprintf(`{"alg":"None","kid":%q,"typ":"at+jwt"}`, kid)) + "." + parts[1] + "."},
		{"our header, no signature", parts[0] + "." + parts[1] + "."},
		{"HS256 with the public point", mac(public, fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":"at+jwt"}`, kid))},
		{"HS256 with the JWKS", mac([]byte(jwks), fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":"at+jwt"}`, kid))},
		{"HS256 under our header", mac(public, usual)},
		{"RS256 over our signature", signed(fmt.Sprintf(`{"alg":"RS256","kid":%q,"typ":"at+jwt"}`, kid))},
		{"ES384 over our signature", signed(fmt.Sprintf(`{"alg":"ES384","kid":%q,"typ":"at+jwt"}`, kid))},
		{"ES256K over our signature", signed(fmt.Sprintf(`{"alg":"ES256K","kid":%q,"typ":"at+jwt"}`, kid))},
		{"no alg", signed(fmt.Sprintf(`{"kid":%q,"typ":"at+jwt"}`, kid))},
		// §2.9, §3.10: keys that the token brings or points to.
		{"a key of its own, signed by it", byEvil(&jose.SignerOptions{})},
		{"jwk, signed by it", byEvil(&jose.SignerOptions{EmbedJWK: true})},
		{"jwk under our signature", signed(with(`"jwk":{"kty":"EC"}`))},
		{"jku", signed(with(`"jku":"https://evil.example/jwks.json"`))},
		{"x5u", signed(with(`"x5u":"https://evil.example/cert.pem"`))},
		{"x5c", signed(with(`"x5c":["MIIB"]`))},
		{"x5t", signed(with(`"x5t":"AAAA"`))},
		{"kid that walks a path", signed(`{"alg":"ES256","kid":"../../../../dev/null","typ":"at+jwt"}`)},
		{"kid that is SQL", signed(`{"alg":"ES256","kid":"x' UNION SELECT 'key' --","typ":"at+jwt"}`)},
		{"kid that is a URL", signed(`{"alg":"ES256","kid":"https://evil.example/key","typ":"at+jwt"}`)},
		{"kid that is empty", signed(`{"alg":"ES256","kid":"","typ":"at+jwt"}`)},
		{"no kid", signed(`{"alg":"ES256","typ":"at+jwt"}`)},
		{"kid that is a number", signed(`{"alg":"ES256","kid":1,"typ":"at+jwt"}`)},
		{"kid with an escape", signed(fmt.Sprintf(`{"alg":"ES256","kid":"\u00%02x%s","typ":"at+jwt"}`, kid[0], kid[1:]))},
		{"kid that ends the header early", signed(fmt.Sprintf(`{"alg":"ES256","kid":"%s","typ":"x","typ":"at+jwt"}`, kid))},
		{"kid of nobody", signed(fmt.Sprintf(`{"alg":"ES256","kid":"%s","typ":"at+jwt"}`, strings.Repeat("A", 43)))},
		{"kid of great length", signed(fmt.Sprintf(`{"alg":"ES256","kid":"%s","typ":"at+jwt"}`, strings.Repeat("A", 1000)))},
		// §2.7, RFC 7515 §4.1.11, RFC 7797: extensions that must be understood.
		{"crit", signed(with(`"crit":["exp"],"exp":1`))},
		{"crit of nothing", signed(with(`"crit":[]`))},
		{"b64 false", signed(with(`"b64":false,"crit":["b64"]`))},
		{"b64 false without crit", signed(with(`"b64":false`))},
		{"zip", signed(with(`"zip":"DEF"`))},
		{"cty JWT: nested", signed(with(`"cty":"JWT"`))},
		// RFC 7515 §4, RFC 8259 §4: two readers, two meanings.
		{"alg twice", signed(strings.Replace(usual, `{`, `{"alg":"none",`, 1))},
		{"kid twice", signed(with(`"kid":"x"`))},
		{"alg in capitals beside it", signed(with(`"ALG":"none"`))},
		{"space in the header", signed(strings.Replace(usual, `:`, `: `, 1))},
		{"members in another order", signed(fmt.Sprintf(`{"typ":"at+jwt","alg":"ES256","kid":%q}`, kid))},
		{"a byte after the header", signed(usual + " ")},
		{"a NUL after the header", signed(usual + "\x00")},
		{"a byte order mark", signed("\ufeff" + usual)},
		// §3.11: another type of token under the same key.
		{"typ JWT", signed(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"JWT"}`, kid))},
		{"typ of a receipt", signed(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"receipt+jws"}`, kid))},
		{"typ in full", signed(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"application/at+jwt"}`, kid))},
		{"no typ", signed(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid))},
		// Forms.
		{"empty", ""},
		{"dots", ".."},
		{"two parts", parts[0] + "." + parts[1]},
		{"four parts", good + ".AAAA"},
		{"a JWE has five", good + ".AAAA.AAAA"},
		{"JSON serialization", fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2])},
		{"oversized", good + strings.Repeat("A", token.MaxBytes)},
		{"oversized and signed", oracleToken(t, acme, (&jose.SignerOptions{}).WithType("at+jwt"), oversized)},
		{"Bearer in front", "Bearer " + good},
		{"space behind", good + " "},
		// One token, one spelling.
		{"padding", good + "=="},
		{"a line break in the signature", good[:len(good)-4] + "\n" + good[len(good)-4:]},
		{"a line break in the header", good[:4] + "\r\n" + good[4:]},
		{"spare bits of the signature", respell(good)},
		{"the other alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(forceSpecial(t, acme))},
		// The signature itself.
		{"another payload", parts[0] + "." + header(strings.Replace(string(token.AppendClaims(nil, claimsOf(acme))), "aal2", "aal3", 1)) + "." + parts[2]},
		{"all zero (r = s = 0)", parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86)},
		{"r and s exchanged", parts[0] + "." + parts[1] + "." + exchange(t, parts[2])},
		{"DER", parts[0] + "." + parts[1] + ".MEUCIQD" + parts[2]},
		{"cut", good[:len(good)-1]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := token.VerifyAccess(acme, tt.token, want); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("VerifyAccess = %+v, %v, want %v", got, err, token.ErrInvalid)
			}
		})
	}
}

// sign appends the tenant's signature to a JWS's input.
func sign(t testing.TB, ring *keys.Ring, input string) string {
	t.Helper()
	tok, err := ring.Signer().Sign(t.Context(), []byte(input+"."), []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return string(tok)
}

// respell changes the bits of the last character that carry nothing: 86 characters
// hold 516 bits, a signature 512.
func respell(tok string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, tok[len(tok)-1])
	return tok[:len(tok)-1] + string(alphabet[last^1])
}

// exchange swaps the halves of a signature.
func exchange(t testing.TB, signature string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(append(raw[32:], raw[:32]...))
}

// forceSpecial is a good token that has - or _ in it.
func forceSpecial(t testing.TB, ring *keys.Ring) string {
	t.Helper()
	for {
		if tok := access(t, ring, claimsOf(ring)); strings.ContainsAny(tok, "-_") {
			return tok
		}
	}
}

// FuzzVerifyAccess: nothing but what we have signed is good, and nothing panics.
func FuzzVerifyAccess(f *testing.F) {
	acme, globex := rings(f)
	good := access(f, acme, claimsOf(acme))
	for _, seed := range []string{
		good, access(f, globex, claimsOf(globex)), good + "=", good[:len(good)-1], "..", "a.b.c", "",
		"eyJhbGciOiJub25lIn0.e30.", strings.Repeat("A", token.MaxBytes+1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tok string) {
		_, err := token.VerifyAccess(acme, tok, want)
		if (err == nil) != (tok == good) {
			t.Errorf("VerifyAccess(%q) error = %v", tok, err)
		}
		if err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Errorf("VerifyAccess(%q) error = %v, want %v", tok, err, token.ErrInvalid)
		}
	})
}
