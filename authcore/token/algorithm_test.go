package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// RFC 8725 §2.1 and §3.1 for each algorithm beside ES256, on a tenant that has keys of
// several at once: as after a rotation from one to another, with tokens of both about.
// A key verifies what its own algorithm has signed, whatever the header would like.
func TestAttacksOnEachAlgorithm(t *testing.T) {
	w := authcoretest.New(t)
	sc := w.Tenant(t)
	before := w.Ring(t, sc)
	old := access(t, before, claimsOf(before))
	for _, algorithm := range []string{keys.EdDSA, keys.RS256} {
		if _, err := w.Keys.Rotate(t.Context(), sc, keys.RotateRequest{Algorithm: algorithm, Now: true}); err != nil {
			t.Fatalf("Rotate error = %v", err)
		}
		ring := w.Ring(t, sc)
		good := access(t, ring, claimsOf(ring))
		for name, tok := range map[string]string{algorithm: good, "ES256, of before": old} {
			if _, err := token.VerifyAccess(ring, tok, want); err != nil {
				t.Fatalf("%s: VerifyAccess error = %v", name, err)
			}
		}
		parts, oldParts := strings.Split(good, "."), strings.Split(old, ".")
		kid, oldKID := ring.Signer().KID, before.Signer().KID
		b64 := base64.RawURLEncoding.EncodeToString
		header := func(alg, kid string) string {
			return b64(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, kid))
		}
		signed := func(alg, kid string) string { return sign(t, ring, header(alg, kid)+"."+parts[1]) }
		mac := func(key []byte, alg string) string {
			h := hmac.New(sha256.New, key)
			input := header(alg, kid) + "." + parts[1]
			h.Write([]byte(input))
			return input + "." + b64(h.Sum(nil))
		}
		public, spki := publishedKey(t, ring, kid)
		for name, tok := range map[string]string{
			"alg none":                    header("none", kid) + "." + parts[1] + ".",
			"alg none, its signature":     signed("none", kid),
			"ES256 over its signature":    signed("ES256", kid),
			"HS256 over its signature":    signed("HS256", kid),
			"PS256 over its signature":    signed("PS256", kid),
			"Ed25519, its other name":     signed("Ed25519", kid),
			"the other algorithm":         signed(map[string]string{keys.EdDSA: keys.RS256, keys.RS256: keys.EdDSA}[algorithm], kid),
			"under another key's kid":     signed(algorithm, oldKID),
			"under another key's header":  signed("ES256", oldKID),
			"another key's signature":     parts[0] + "." + parts[1] + "." + oldParts[2],
			"its signature on an old one": oldParts[0] + "." + oldParts[1] + "." + parts[2],
			"HS256 with the public key":   mac(public, "HS256"),
			"HS256 with its SPKI":         mac(spki, "HS256"),
			"HS256 with the JWKS":         mac(ring.JWKS(), "HS256"),
			"HS256 under its header":      mac(public, algorithm),
			"no signature":                parts[0] + "." + parts[1] + ".",
			"a signature of zeros":        parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
			"a signature that is longer":  good + "AA",
			"a signature that is cut":     good[:len(good)-2],
		} {
			if got, err := token.VerifyAccess(ring, tok, want); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("%s, %s: VerifyAccess = %+v, %v, want %v", algorithm, name, got, err, token.ErrInvalid)
			}
		}
	}
}

// publishedKey is a public key as an attacker has it, who would make it an HMAC's.
func publishedKey(t testing.TB, ring *keys.Ring, kid string) (jwk, spki []byte) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil || len(set.Key(kid)) != 1 {
		t.Fatalf("JWKS = %s, %v", ring.JWKS(), err)
	}
	key := set.Key(kid)[0]
	text, err := key.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	return text, der
}

// RFC 8725 §3.5 to §3.7, §3.11: what encryption can be confused for. Nothing is
// decrypted here, so whatever is within is not looked at: no bomb goes off (zip, p2c),
// and no key of ours is asked. Each comes from somebody who can encrypt to the tenant's
// registered key, as everybody can.
func TestAttacksByEncryption(t *testing.T) {
	acme, globex := rings(t)
	good := access(t, acme, claimsOf(acme))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	registered := func(public any) *jwe.Key {
		text, err := (&jose.JSONWebKey{Key: public}).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		key, err := jwe.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	nested := func(key *jwe.Key, token string) string {
		text, err := key.Encrypt([]byte(token))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ours := registered(&private.PublicKey)
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	parts := strings.Split(good, ".")
	secret := make([]byte, 32)
	direct, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	object, err := direct.Encrypt([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	whole := nested(ours, good)
	outer := strings.Split(whole, ".")
	for _, tt := range []struct{ name, token string }{
		{"the tenant's own token, encrypted", whole},
		{"encrypted by RSA", nested(registered(&rsaKey.PublicKey), good)},
		{"encrypted twice", nested(ours, whole)},
		{"unsigned claims, encrypted: encryption is no signature", nested(ours, string(token.AppendClaims(nil, claimsOf(acme))))},
		{"alg none, encrypted", nested(ours, header(`{"alg":"none"}`)+"."+parts[1]+".")},
		{"another tenant's, encrypted", nested(ours, access(t, globex, claimsOf(globex)))},
		{"alg dir with a key of zeros", dir},
		{"alg dir, and our JWS within the parts", header(`{"alg":"dir","enc":"A256GCM"}`) + "." + good + "."},
		{"PBES2 with 2^31 iterations", header(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483647,"p2s":"AAAA"}`) + ".AAAA.AAAA.AAAA.AAAA"},
		{"zip of zeros", header(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`) + "..AAAA." + strings.Repeat("A", 2000) + ".AAAA"},
		{"RSA1_5", header(`{"alg":"RSA1_5","enc":"A128CBC-HS256"}`) + ".AAAA.AAAA.AAAA.AAAA"},
		{"A256KW, symmetric", header(`{"alg":"A256KW","enc":"A256GCM"}`) + ".AAAA.AAAA.AAAA.AAAA"},
		{"an epk off the curve", header(`{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}}`) + "..AAAA.AAAA.AAAA"},
		{"oversized", strings.Repeat(whole, 1+16<<10/len(whole))},
		{"JSON serialization", fmt.Sprintf(`{"protected":%q,"encrypted_key":%q,"iv":%q,"ciphertext":%q,"tag":%q}`, outer[0], outer[1], outer[2], outer[3], outer[4])},
		{"its first three parts", strings.Join(outer[:3], ".")},
		{"our JWS with a JWE's header", outer[0] + "." + parts[1] + "." + parts[2]},
		{"our JWS with two parts more", good + "." + outer[3] + "." + outer[4]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := token.VerifyAccess(acme, tt.token, want); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("VerifyAccess = %+v, %v, want %v", got, err, token.ErrInvalid)
			}
		})
	}
}

// Claims that two readers would read differently are not read, though the tenant's key
// has signed them: other systems may sign with it, when it is in a KMS.
func TestClaimsOfTwoMeanings(t *testing.T) {
	acme, globex := rings(t)
	usual := string(token.AppendClaims(nil, claimsOf(acme)))
	header, _, _ := strings.Cut(access(t, acme, claimsOf(acme)), ".")
	signed := func(claims string) string {
		return sign(t, acme, header+"."+base64.RawURLEncoding.EncodeToString([]byte(claims)))
	}
	with := func(member string) string { return signed(strings.TrimSuffix(usual, "}") + "," + member + "}") }
	if _, err := token.VerifyAccess(acme, with(`"client":{"sub":"x","sub":"y"}`), want); err != nil {
		t.Fatalf("a claim that we do not know: %v", err)
	}
	for name, tok := range map[string]string{
		"exp twice":                   with(`"exp":9999999999`),
		"exp twice, the same":         with(fmt.Sprintf(`"exp":%d`, claimsOf(acme).ExpiresAt.Unix())),
		"aud twice":                   with(`"aud":"acme.example"`),
		"sub twice, escaped":          with(`"s\u0075b":"0190b1c2-0000-7000-8000-00000000000f"`),
		"tid in capitals":             with(fmt.Sprintf(`"TID":%q`, acme.Tenant())),
		"a claim of nobody's twice":   with(`"x":1,"x":2`),
		"tid of another tenant":       signed(strings.Replace(usual, acme.Tenant().String(), globex.Tenant().String(), 1)),
		"aud as a list with ours":     signed(strings.Replace(usual, `"aud":"acme.example"`, `"aud":["acme.example","evil.example"]`, 1)),
		"exp as text":                 signed(strings.Replace(usual, `"exp":`, `"exp":"9999999999","was":`, 1)),
		"exp that is no whole second": signed(strings.Replace(usual, `"exp":`, `"exp":9999999999.5,"was":`, 1)),
		"exp that overflows":          signed(strings.Replace(usual, `"exp":`, `"exp":1e400,"was":`, 1)),
		"no exp":                      signed(strings.Replace(usual, `"exp":`, `"was":`, 1)),
		"nbf in an hour":              with(fmt.Sprintf(`"nbf":%d`, now.Unix()+3600)),
		"claims behind the claims":    signed(usual + usual),
		"a list of claims":            signed("[" + usual + "]"),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := token.VerifyAccess(acme, tok, want); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("VerifyAccess = %+v, %v, want %v", got, err, token.ErrInvalid)
			}
		})
	}
}

// The longest token that a tenant can have is within what is taken.
func TestTheLongestTokenIsWithinBounds(t *testing.T) {
	w := authcoretest.New(t)
	sc := w.Tenant(t)
	if _, err := w.Keys.Rotate(t.Context(), sc, keys.RotateRequest{Algorithm: keys.RS256, Now: true}); err != nil {
		t.Fatal(err)
	}
	ring := w.Ring(t, sc)
	c := claimsOf(ring)
	c.Issuer = token.Issuer("https://"+strings.Repeat("a", 253)+":65535", strings.Repeat("s", 63))
	c.Audience = strings.Repeat(`"`, 512) // each escaped
	tok := access(t, ring, c)
	if _, err := token.VerifyAccess(ring, tok, token.Want{Issuer: c.Issuer, Audience: c.Audience, Now: now}); err != nil {
		t.Errorf("%d bytes: %v", len(tok), err)
	}
	t.Logf("%d bytes", len(tok))
}

// FuzzClaims: whatever a tenant's key has signed, what is taken names each claim once,
// and nothing panics.
func FuzzClaims(f *testing.F) {
	acme, _ := rings(f)
	header, _, _ := strings.Cut(access(f, acme, claimsOf(acme)), ".")
	usual := string(token.AppendClaims(nil, claimsOf(acme)))
	for _, seed := range []string{usual, strings.TrimSuffix(usual, "}") + `,"a":[{"exp":1}],"b":"\"exp\":1"}`, `{}`, `{"exp":1,"exp":2}`, `["`, `{"a\"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		tok := sign(t, acme, header+"."+base64.RawURLEncoding.EncodeToString([]byte(claims)))
		if _, err := token.VerifyAccess(acme, tok, want); err != nil {
			if !errors.Is(err, token.ErrInvalid) {
				t.Errorf("VerifyAccess error = %v, want %v", err, token.ErrInvalid)
			}
			return
		}
		// A second reader, token by token.
		dec := json.NewDecoder(strings.NewReader(claims))
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				t.Fatal(err)
			}
			if folded := strings.ToLower(fmt.Sprint(name)); seen[folded] {
				t.Errorf("%q has %v twice", claims, name)
			} else {
				seen[folded] = true
			}
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				t.Fatal(err)
			}
		}
	})
}
