package biocore_test

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	biocore "github.com/biocore-id/biocore/sdk/go"
)

// RFC 8725 as a table: what has been done to JWT libraries. Where the signature is right,
// only the header is wrong, so a header that is believed turns cases red; where it is not,
// a signature that is not checked does. No attack makes a verifier ask anybody but the
// tenant's keys.
func TestAttacks(t *testing.T) {
	es, ed, rs := newKey(t, "es", "ES256"), newKey(t, "ed", "EdDSA"), newKey(t, "rs", "RS256")
	evil := newKey(t, "es", "ES256") // the tenant's kid, not its key
	ec, rsaKey := newDecryption(t)
	otherEC, _ := newDecryption(t)
	server := newKeyServer(es, ed, rs)
	v := newVerifier(t, server, func(o *biocore.VerifierOptions) {
		at(now)(o)
		o.DecryptionKeys = []biocore.DecryptionKey{decryptionKey(t, "ec", ec), decryptionKey(t, "rsa", rsaKey)}
	})

	good := es.sign(t, claimsAt(now))
	mustVerify(t, v, good)
	parts := strings.Split(good, ".")
	payload, err := json.Marshal(claimsAt(now))
	if err != nil {
		t.Fatal(err)
	}
	signed := func(header string) string { return es.signAs(t, header, string(payload)) }
	more := func(members string) string { return strings.TrimSuffix(es.header(), "}") + "," + members + "}" }
	mac := func(secret []byte, header string) string {
		h := hmac.New(sha256.New, secret)
		input := b64(header) + "." + parts[1]
		h.Write([]byte(input))
		return input + "." + b64(h.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	evilJWK, err := json.Marshal(evil.jwk())
	if err != nil {
		t.Fatal(err)
	}
	nested := func(inner string) string { return encrypt(t, inner, jose.ECDH_ES_A256KW, "ec", ec.Public(), nil) }
	jwe := nested(good)
	jweParts := strings.Split(jwe, ".")
	header := func(text string) string { return b64(text) + jwe[len(jweParts[0]):] }

	for _, tt := range []struct {
		name, token string
		want        error
	}{
		// §2.1, §3.1: no signature, and confusion of algorithms.
		{"alg none, no signature", b64(`{"alg":"none","kid":"es","typ":"at+jwt"}`) + "." + parts[1] + ".", biocore.ErrSignature},
		{"alg nOnE, our signature", signed(`{"alg":"nOnE","kid":"es","typ":"at+jwt"}`), biocore.ErrSignature},
		{"our header, no signature", parts[0] + "." + parts[1] + ".", biocore.ErrSignature},
		{"HS256 with the public RSA key", mac(der, `{"alg":"HS256","kid":"rs","typ":"at+jwt"}`), biocore.ErrSignature},
		{"HS256 under the header of RS256", mac(der, rs.header()), biocore.ErrSignature},
		{"RS256 over a signature of ES256", signed(`{"alg":"RS256","kid":"es","typ":"at+jwt"}`), biocore.ErrSignature},
		{"ES256 over the kid of RS256", signed(`{"alg":"ES256","kid":"rs","typ":"at+jwt"}`), biocore.ErrSignature},
		{"EdDSA over the kid of ES256", ed.signAs(t, `{"alg":"EdDSA","kid":"es","typ":"at+jwt"}`, string(payload)), biocore.ErrSignature},
		{"PS256 over the kid of RS256", rs.signAs(t, `{"alg":"PS256","kid":"rs","typ":"at+jwt"}`, string(payload)), biocore.ErrSignature},
		{"RS512", rs.signAs(t, `{"alg":"RS512","kid":"rs","typ":"at+jwt"}`, string(payload)), biocore.ErrSignature},
		{"no alg", signed(`{"kid":"es","typ":"at+jwt"}`), biocore.ErrSignature},
		{"alg is null", signed(`{"alg":null,"kid":"es","typ":"at+jwt"}`), biocore.ErrSignature},
		{"alg is a list", signed(`{"alg":["ES256"],"kid":"es","typ":"at+jwt"}`), biocore.ErrSignature},
		// §2.9, §3.10: keys that the token brings or points to.
		{"a key of its own under our kid", evil.sign(t, claimsAt(now)), biocore.ErrSignature},
		{"jwk, signed by it", evil.signAs(t, more(`"jwk":`+string(evilJWK)), string(payload)), biocore.ErrMalformed},
		{"jwk under our signature", signed(more(`"jwk":{"kty":"EC"}`)), biocore.ErrMalformed},
		{"jku, signed by its key", evil.signAs(t, more(`"jku":"https://evil.example/jwks.json"`), string(payload)), biocore.ErrMalformed},
		{"jku under our signature", signed(more(`"jku":"https://evil.example/jwks.json"`)), biocore.ErrMalformed},
		{"x5u", signed(more(`"x5u":"https://evil.example/cert.pem"`)), biocore.ErrMalformed},
		{"x5c", signed(more(`"x5c":["MIIB"]`)), biocore.ErrMalformed},
		{"kid that walks a path", signed(`{"alg":"ES256","kid":"../../../../dev/null","typ":"at+jwt"}`), biocore.ErrUnknownKey},
		{"kid that is a URL", signed(`{"alg":"ES256","kid":"https://evil.example/key","typ":"at+jwt"}`), biocore.ErrUnknownKey},
		{"kid that is empty", signed(`{"alg":"ES256","kid":"","typ":"at+jwt"}`), biocore.ErrMalformed},
		{"no kid", signed(`{"alg":"ES256","typ":"at+jwt"}`), biocore.ErrMalformed},
		{"kid that is a number", signed(`{"alg":"ES256","kid":1,"typ":"at+jwt"}`), biocore.ErrMalformed},
		{"kid of great length", signed(fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, strings.Repeat("e", 9000))), biocore.ErrUnknownKey},
		// RFC 7515 §4.1.11, RFC 7797: extensions that must be understood.
		{"crit", signed(more(`"crit":["exp"],"exp":1`)), biocore.ErrMalformed},
		{"b64 false", signed(more(`"b64":false,"crit":["b64"]`)), biocore.ErrMalformed},
		{"zip", signed(more(`"zip":"DEF"`)), biocore.ErrMalformed},
		{"cty JWT", signed(more(`"cty":"JWT"`)), biocore.ErrMalformed},
		// §2.4, RFC 8259 §4: two readers, two meanings.
		{"alg twice", signed(strings.Replace(es.header(), "{", `{"alg":"none",`, 1)), biocore.ErrMalformed},
		{"kid twice", signed(more(`"kid":"es"`)), biocore.ErrMalformed},
		{"typ twice", signed(strings.Replace(es.header(), "{", `{"typ":"JWT",`, 1)), biocore.ErrMalformed},
		{"alg twice, once escaped", signed(more(`"\u0061lg":"none"`)), biocore.ErrMalformed},
		{"alg in capitals beside it", signed(more(`"ALG":"none"`)), biocore.ErrMalformed},
		{"alg in capitals", signed(`{"ALG":"ES256","kid":"es","typ":"at+jwt"}`), biocore.ErrMalformed},
		{"something after the header", signed(es.header() + "{}"), biocore.ErrMalformed},
		{"a space after the header", signed(es.header() + " "), biocore.ErrMalformed},
		{"a header that does not end", signed(strings.TrimSuffix(es.header(), "}")), biocore.ErrMalformed},
		{"a header that is a list", signed(`["ES256","es","at+jwt"]`), biocore.ErrMalformed},
		{"a header that is deep", signed(more(`"x":` + strings.Repeat("[", 5000))), biocore.ErrMalformed},
		{"a byte order mark", signed("\ufeff" + es.header()), biocore.ErrMalformed},
		// §3.11: another type of token under the same key.
		{"typ JWT", signed(`{"alg":"ES256","kid":"es","typ":"JWT"}`), biocore.ErrMalformed},
		{"typ of a receipt", signed(`{"alg":"ES256","kid":"es","typ":"receipt+jws"}`), biocore.ErrMalformed},
		{"no typ", signed(`{"alg":"ES256","kid":"es"}`), biocore.ErrMalformed},
		// Forms, and one spelling of each.
		{"empty", "", biocore.ErrMalformed},
		{"dots", "..", biocore.ErrMalformed},
		{"two parts", parts[0] + "." + parts[1], biocore.ErrMalformed},
		{"four parts", good + ".AAAA", biocore.ErrMalformed},
		{"JSON serialization", fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]), biocore.ErrMalformed},
		{"oversized", good + strings.Repeat("A", biocore.MaxTokenBytes), biocore.ErrMalformed},
		{"oversized and signed", es.sign(t, with(claimsAt(now), "more", strings.Repeat("x", biocore.MaxTokenBytes))), biocore.ErrMalformed},
		{"Bearer in front", "Bearer " + good, biocore.ErrMalformed},
		{"space behind", good + " ", biocore.ErrMalformed},
		{"padding", good + "==", biocore.ErrMalformed},
		{"a line break in the signature", good[:len(good)-4] + "\n" + good[len(good)-4:], biocore.ErrMalformed},
		{"a line break in the header", good[:4] + "\r\n" + good[4:], biocore.ErrMalformed},
		{"spare bits of the signature", respell(good), biocore.ErrMalformed},
		// The signature itself.
		{"another payload", parts[0] + "." + b64(strings.Replace(string(payload), "aal2", "aal3", 1)) + "." + parts[2], biocore.ErrSignature},
		{"all zero (r = s = 0)", parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), biocore.ErrSignature},
		{"DER", parts[0] + "." + parts[1] + "." + b64(asn1(t, es, parts[0]+"."+parts[1])), biocore.ErrSignature},
		{"cut", good[:len(good)-2], biocore.ErrSignature},
		{"an EdDSA signature of zeros", ed.sign(t, claimsAt(now))[:len(ed.sign(t, claimsAt(now)))-86] + b64(make([]byte, 64)), biocore.ErrSignature},
		{"payload that is no JSON", es.signAs(t, es.header(), "hello"), biocore.ErrMalformed},
		{"payload that is a list", es.signAs(t, es.header(), "[]"), biocore.ErrMalformed},
		// Encryption: it proves nothing, and everybody has the public key.
		{"JWE to another key of our kid", encrypt(t, good, jose.ECDH_ES_A256KW, "ec", otherEC.Public(), nil), biocore.ErrDecryption},
		{"JWE to another kid", encrypt(t, good, jose.ECDH_ES_A256KW, "other", ec.Public(), nil), biocore.ErrDecryption},
		{"JWE of a token that is not signed", nested(b64(`{"alg":"none","kid":"es","typ":"at+jwt"}`) + "." + parts[1] + "."), biocore.ErrSignature},
		{"JWE of a stranger's token", nested(evil.sign(t, claimsAt(now))), biocore.ErrSignature},
		{"JWE of claims alone", nested(string(payload)), biocore.ErrMalformed},
		{"JWE in a JWE", nested(nested(good)), biocore.ErrMalformed},
		{"JWE of an expired token", nested(es.sign(t, with(claimsAt(now), "exp", now.Unix()-1))), biocore.ErrExpired},
		{"JWE with zip", encrypt(t, good, jose.ECDH_ES_A256KW, "ec", ec.Public(), func(o *jose.EncrypterOptions) { o.Compression = jose.DEFLATE }), biocore.ErrMalformed},
		{"JWE that is a bomb", encrypt(t, strings.Repeat("A", 8<<20), jose.ECDH_ES_A256KW, "ec", ec.Public(), func(o *jose.EncrypterOptions) { o.Compression = jose.DEFLATE }), biocore.ErrMalformed},
		{"JWE oversized", nested(good + strings.Repeat("A", biocore.MaxTokenBytes)), biocore.ErrMalformed},
		{"JWE without cty", encrypt(t, good, jose.ECDH_ES_A256KW, "ec", ec.Public(), func(o *jose.EncrypterOptions) { *o = jose.EncrypterOptions{} }), biocore.ErrMalformed},
		{"JWE with RSA-OAEP (SHA-1)", encrypt(t, good, jose.RSA_OAEP, "rsa", rsaKey.Public(), nil), biocore.ErrDecryption},
		{"JWE with RSA1_5", encrypt(t, good, jose.RSA1_5, "rsa", rsaKey.Public(), nil), biocore.ErrDecryption},
		{"JWE with a password", header(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","cty":"JWT","p2c":1000000000,"p2s":"AAAA"}`), biocore.ErrMalformed},
		{"JWE with dir", header(`{"alg":"dir","enc":"A256GCM","cty":"JWT"}`), biocore.ErrDecryption},
		{"JWE with another enc", header(`{"alg":"ECDH-ES","enc":"A128CBC-HS256","cty":"JWT"}`), biocore.ErrDecryption},
		{"JWE with a point off the curve", header(`{"alg":"ECDH-ES","enc":"A256GCM","cty":"JWT","epk":{"kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}}`), biocore.ErrDecryption},
		{"JWE with a changed tag", jwe[:len(jwe)-4] + "AAAA", biocore.ErrDecryption},
		{"JWE cut", strings.Join(jweParts[:4], ".") + ".", biocore.ErrDecryption},
		{"JWE of nothing", "....", biocore.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), tt.token)
			if !errors.Is(err, tt.want) || !errors.Is(err, biocore.ErrInvalidToken) || got.Subject != "" {
				t.Errorf("Verify = %+v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if got := server.last.URL.String(); got != issuer+"/.well-known/jwks.json" || server.count() != 1 {
		t.Errorf("%d requests, the last to %s; want one, for the tenant's keys", server.count(), got)
	}
}

// A service that expects no encryption refuses it.
func TestEncryptedWithoutKey(t *testing.T) {
	k := newKey(t, "k1", "ES256")
	ec, _ := newDecryption(t)
	v := newVerifier(t, newKeyServer(k), at(now))
	tok := encrypt(t, k.sign(t, claimsAt(now)), jose.ECDH_ES, "ec", ec.Public(), nil)
	if _, err := v.Verify(t.Context(), tok); !errors.Is(err, biocore.ErrDecryption) {
		t.Errorf("Verify error = %v, want %v", err, biocore.ErrDecryption)
	}
}

// respell changes the bits of the last character that carry nothing: 86 characters hold
// 516 bits, a signature 512.
func respell(tok string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, tok[len(tok)-1])
	return tok[:len(tok)-1] + string(alphabet[last^1])
}

// asn1 is a right signature in the form that is not JOSE's.
func asn1(t testing.TB, k key, input string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	private, ok := k.private.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("%s is no EC key", k.kid)
	}
	der, err := ecdsa.SignASN1(nil, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// FuzzVerify: nothing but what the tenant has signed is good, nothing panics, and every
// refusal says which kind it is.
func FuzzVerify(f *testing.F) {
	k := newKey(f, "k1", "EdDSA") // one signature for each text, so that only good is good
	ec, _ := newDecryption(f)
	v := newVerifier(f, newKeyServer(k), func(o *biocore.VerifierOptions) {
		at(now)(o)
		o.DecryptionKeys = []biocore.DecryptionKey{decryptionKey(f, "ec", ec)}
	})
	good := k.sign(f, claimsAt(now))
	for _, seed := range []string{
		good, good + "=", good[:len(good)-1], respell(good), "..", "....", "a.b.c", "", "eyJhbGciOiJub25lIn0.e30.",
		b64(`{"alg":"EdDSA","kid":"k1","typ":"at+jwt","alg":"none"}`) + ".e30.AAAA",
		encrypt(f, "hello", jose.ECDH_ES_A256KW, "ec", ec.Public(), nil), strings.Repeat("A", biocore.MaxTokenBytes+1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tok string) {
		_, err := v.Verify(t.Context(), tok)
		if (err == nil) != (tok == good) {
			t.Errorf("Verify(%q) error = %v", tok, err)
		}
		if err != nil && !errors.Is(err, biocore.ErrInvalidToken) {
			t.Errorf("Verify(%q) error = %v, want %v", tok, err, biocore.ErrInvalidToken)
		}
	})
}

// FuzzClaims: whatever the tenant's key has signed, no claims are taken of a payload in
// which a member stands twice, as encoding/json's own reader finds members.
func FuzzClaims(f *testing.F) {
	k := newKey(f, "k1", "EdDSA")
	v := newVerifier(f, newKeyServer(k), at(now))
	good, err := json.Marshal(claimsAt(now))
	if err != nil {
		f.Fatal(err)
	}
	for _, more := range []string{"", `"x":1,`, `"sub":"user-2",`, `"\u0073ub":"user-2",`, `"SUB":"user-2",`, `"a":{"sub":["}"]},`, `"a":"\\","b":"\"",`, `"":1,"":2,`} {
		f.Add("{" + more + string(good[1:]))
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if _, err := v.Verify(t.Context(), k.signAs(t, k.header(), payload)); err != nil {
			return
		}
		dec := json.NewDecoder(strings.NewReader(payload))
		if _, err := dec.Token(); err != nil {
			t.Fatalf("claims of %q, which is no JSON: %v", payload, err)
		}
		var seen []string
		for dec.More() {
			name, err := dec.Token()
			text, ok := name.(string)
			if err != nil || !ok || slices.ContainsFunc(seen, func(s string) bool { return strings.EqualFold(s, text) }) {
				t.Fatalf("claims of %q, in which %v stands twice, or %v", payload, name, err)
			}
			seen = append(seen, text)
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				t.Fatalf("claims of %q, which is no JSON: %v", payload, err)
			}
		}
	})
}
