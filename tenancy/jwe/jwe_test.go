package jwe_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/jwe"
)

// publicJWK is a key's JWK as an independent implementation writes it.
func publicJWK(t testing.TB, public crypto.PublicKey, kid string) []byte {
	t.Helper()
	text, err := (&jose.JSONWebKey{Key: public, KeyID: kid}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What we encrypt opens for the holder of the key: by RFC 7516 and RFC 7518 as they
// are written, with the standard library alone, and not by the library that encrypts.
func TestEncrypt(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
	rsa2048, p256, p384 := rsaKey(t, 2048), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	for _, tt := range []struct {
		name      string
		public    crypto.PublicKey
		algorithm string
		unwrap    func(header map[string]any, encryptedKey []byte) []byte
	}{
		{"RSA-OAEP-256", &rsa2048.PublicKey, "RSA-OAEP-256", func(_ map[string]any, encryptedKey []byte) []byte {
			cek, err := rsa.DecryptOAEP(sha256.New(), nil, rsa2048, encryptedKey, nil)
			if err != nil {
				t.Fatal(err)
			}
			return cek
		}},
		{"P-256", &p256.PublicKey, "ECDH-ES+A256KW", func(h map[string]any, encryptedKey []byte) []byte { return agree(t, p256, h, encryptedKey) }},
		{"P-384", &p384.PublicKey, "ECDH-ES+A256KW", func(h map[string]any, encryptedKey []byte) []byte { return agree(t, p384, h, encryptedKey) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := jwe.ParseKey(publicJWK(t, tt.public, "key-1"))
			if err != nil {
				t.Fatalf("ParseKey error = %v", err)
			}
			text, err := key.Encrypt([]byte(token))
			if err != nil {
				t.Fatalf("Encrypt error = %v", err)
			}
			again, err := key.Encrypt([]byte(token))
			if err != nil || again == text {
				t.Errorf("twice the same: %v", err)
			}
			parts := strings.Split(text, ".")
			if len(parts) != 5 {
				t.Fatalf("%d parts, want 5: %s", len(parts), text)
			}
			var raw [5][]byte
			for i, part := range parts {
				if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
					t.Fatal(err)
				}
			}
			var header map[string]any
			if err := json.Unmarshal(raw[0], &header); err != nil {
				t.Fatal(err)
			}
			cek := tt.unwrap(header, raw[1])
			delete(header, "epk")
			want := map[string]any{"alg": tt.algorithm, "enc": "A256GCM", "cty": "JWT", "typ": "at+jwt", "kid": "key-1"}
			if diff := cmp.Diff(want, header); diff != "" { // no zip among it
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if plain := open(t, cek, raw[2], append(raw[3], raw[4]...), []byte(parts[0])); string(plain) != token {
				t.Errorf("opens to %q", plain)
			}
		})
	}
}

func open(t *testing.T, key, nonce, sealed, ad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, nonce, sealed, ad)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// agree is ECDH-ES+A256KW (RFC 7518 §4.6): the key that Concat KDF (NIST SP 800-56A)
// makes of the shared secret unwraps the content's (RFC 3394).
func agree(t *testing.T, key *ecdsa.PrivateKey, header map[string]any, wrapped []byte) []byte {
	t.Helper()
	own, err := key.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	epk, _ := header["epk"].(map[string]any)
	coordinate := func(name string) []byte {
		text, _ := epk[name].(string)
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	var peer *ecdh.PublicKey
	if peer, err = own.Curve().NewPublicKey(append(append([]byte{4}, coordinate("x")...), coordinate("y")...)); err != nil {
		t.Fatal(err)
	}
	secret, err := own.ECDH(peer)
	if err != nil {
		t.Fatal(err)
	}
	const algorithm = "ECDH-ES+A256KW"
	input := binary.BigEndian.AppendUint32(nil, 1)
	input = append(input, secret...)
	input = append(binary.BigEndian.AppendUint32(input, uint32(len(algorithm))), algorithm...)
	input = append(input, make([]byte, 8)...) // apu and apv, empty
	kek := sha256.Sum256(binary.BigEndian.AppendUint32(input, 256))
	block, err := aes.NewCipher(kek[:])
	if err != nil {
		t.Fatal(err)
	}
	n := len(wrapped)/8 - 1
	a, r := bytes.Clone(wrapped[:8]), bytes.Clone(wrapped[8:])
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			b := append(binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(a)^uint64(n*j+i)), r[(i-1)*8:i*8]...)
			block.Decrypt(b, b)
			copy(a, b[:8])
			copy(r[(i-1)*8:], b[8:])
		}
	}
	if !bytes.Equal(a, bytes.Repeat([]byte{0xa6}, 8)) {
		t.Fatal("the wrapped key does not unwrap")
	}
	return r
}

// TestParseKeyRefuses has every way in which a key is none to encrypt to. Each check
// removed turns its case red.
func TestParseKeyRefuses(t *testing.T) {
	small, huge := rsaKey(t, 2040), new(big.Int).Lsh(big.NewInt(1), 4096) // 4097 bits
	good, p256 := rsaKey(t, 2048), ecKey(t, elliptic.P256())
	// with is a good key with members changed; nil takes one away.
	with := func(public crypto.PublicKey, change map[string]any) string {
		var m map[string]any
		if err := json.Unmarshal(publicJWK(t, public, ""), &m); err != nil {
			t.Fatal(err)
		}
		for name, v := range change {
			if v == nil {
				delete(m, name)
				continue
			}
			m[name] = v
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ec := func(change map[string]any) string { return with(&p256.PublicKey, change) }
	rs := func(change map[string]any) string { return with(&good.PublicKey, change) }
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	private, err := (&jose.JSONWebKey{Key: p256}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	x := json.RawMessage(ec(nil))
	var members struct{ X, Y, N string }
	if err := json.Unmarshal(x, &members); err != nil {
		t.Fatal(err)
	}
	odd := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)) // 2^2048-1 is divisible by 3

	for _, tt := range []struct{ name, jwk, problem string }{
		{"empty", "", jwe.ProblemUnreadable},
		{"no object", `["kty"]`, jwe.ProblemUnreadable},
		{"null", `null`, jwe.ProblemUnreadable},
		{"cut", ec(nil)[:40], jwe.ProblemUnreadable},
		{"text behind", ec(nil) + "{}", jwe.ProblemUnreadable},
		{"a member twice", `{"kty":"EC",` + ec(nil)[1:], jwe.ProblemUnreadable},
		{"kty that is a number", `{"kty":1}`, jwe.ProblemUnreadable},
		{"kty that is null", `{"kty":null}`, jwe.ProblemUnreadable},
		{"use that is null", ec(map[string]any{"use": json.RawMessage("null")}), jwe.ProblemUnreadable},
		{"key_ops that are a string", ec(map[string]any{"key_ops": "encrypt"}), jwe.ProblemUnreadable},
		{"over 8 KiB", ec(map[string]any{"x-note": strings.Repeat("x", jwe.MaxKeyBytes)}), jwe.ProblemTooLarge},
		{"a private key", string(private), jwe.ProblemPrivate},
		{"d alone", rs(map[string]any{"d": "AQAB"}), jwe.ProblemPrivate},
		{"p", rs(map[string]any{"p": "AQAB"}), jwe.ProblemPrivate},
		{"q", rs(map[string]any{"q": "AQAB"}), jwe.ProblemPrivate},
		{"dp", rs(map[string]any{"dp": "AQAB"}), jwe.ProblemPrivate},
		{"dq", rs(map[string]any{"dq": "AQAB"}), jwe.ProblemPrivate},
		{"qi", rs(map[string]any{"qi": "AQAB"}), jwe.ProblemPrivate},
		{"oth", rs(map[string]any{"oth": []any{}}), jwe.ProblemPrivate},
		{"a secret", `{"kty":"oct","k":"AAAA"}`, jwe.ProblemPrivate},
		{"oct", `{"kty":"oct"}`, jwe.ProblemSymmetric},
		{"OKP", `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, jwe.ProblemType},
		{"no kty", `{}`, jwe.ProblemType},
		{"kty in small letters", ec(map[string]any{"kty": "ec"}), jwe.ProblemType},
		{"for signatures", ec(map[string]any{"use": "sig"}), jwe.ProblemUse},
		{"of empty use", ec(map[string]any{"use": ""}), jwe.ProblemUse},
		{"key_ops verify", ec(map[string]any{"key_ops": []string{"verify"}}), jwe.ProblemUse},
		{"key_ops unwrapKey", ec(map[string]any{"key_ops": []string{"wrapKey", "unwrapKey"}}), jwe.ProblemUse},
		{"alg ES256", ec(map[string]any{"alg": "ES256"}), jwe.ProblemAlgorithm},
		{"alg ECDH-ES, without wrapping", ec(map[string]any{"alg": "ECDH-ES"}), jwe.ProblemAlgorithm},
		{"alg dir", ec(map[string]any{"alg": "dir"}), jwe.ProblemAlgorithm},
		{"alg of the other type", ec(map[string]any{"alg": "RSA-OAEP-256"}), jwe.ProblemAlgorithm},
		{"alg RSA1_5", rs(map[string]any{"alg": "RSA1_5"}), jwe.ProblemAlgorithm},
		{"alg RSA-OAEP with SHA-1", rs(map[string]any{"alg": "RSA-OAEP"}), jwe.ProblemAlgorithm},
		{"jku", ec(map[string]any{"jku": "https://evil.example/"}), jwe.ProblemReference},
		{"x5u", ec(map[string]any{"x5u": "https://evil.example/"}), jwe.ProblemReference},
		{"x5c", ec(map[string]any{"x5c": []string{"MIIB"}}), jwe.ProblemReference},
		{"an empty kid", ec(map[string]any{"kid": ""}), jwe.ProblemKeyID},
		{"a long kid", ec(map[string]any{"kid": strings.Repeat("k", 129)}), jwe.ProblemKeyID},
		{"a kid with a line break", ec(map[string]any{"kid": "a\nb"}), jwe.ProblemKeyID},
		{"P-521", with(&ecKey(t, elliptic.P521()).PublicKey, nil), jwe.ProblemCurve},
		{"secp256k1", ec(map[string]any{"crv": "secp256k1"}), jwe.ProblemCurve},
		{"no curve", ec(map[string]any{"crv": nil}), jwe.ProblemCurve},
		{"off the curve", ec(map[string]any{"x": members.Y, "y": members.X}), jwe.ProblemPoint},
		{"the point zero", ec(map[string]any{"x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}), jwe.ProblemPoint},
		{"another curve's point", ec(map[string]any{"crv": "P-384"}), jwe.ProblemEncoding},
		{"a short coordinate", ec(map[string]any{"x": members.X[:40]}), jwe.ProblemEncoding},
		{"no y", ec(map[string]any{"y": nil}), jwe.ProblemEncoding},
		{"padding", ec(map[string]any{"x": members.X + "="}), jwe.ProblemEncoding},
		{"a line break in x", ec(map[string]any{"x": members.X[:20] + "\n" + members.X[20:]}), jwe.ProblemEncoding},
		{"RSA below 2048 bits", with(&small.PublicKey, nil), jwe.ProblemModulusSize},
		{"RSA above 4096 bits", rs(map[string]any{"n": number(huge)}), jwe.ProblemModulusSize},
		{"a modulus with a zero in front", rs(map[string]any{"n": base64.RawURLEncoding.EncodeToString(append([]byte{0}, good.N.Bytes()...))}), jwe.ProblemEncoding},
		{"an even modulus", rs(map[string]any{"n": number(new(big.Int).Add(good.N, big.NewInt(1)))}), jwe.ProblemModulus},
		{"a modulus with a small factor", rs(map[string]any{"n": number(odd)}), jwe.ProblemModulus},
		{"exponent 1", rs(map[string]any{"e": "AQ"}), jwe.ProblemExponent},
		{"exponent 3", rs(map[string]any{"e": "Aw"}), jwe.ProblemExponent},
		{"an even exponent", rs(map[string]any{"e": "AQAC"}), jwe.ProblemExponent},
		{"a huge exponent", rs(map[string]any{"e": strings.Repeat("_", 88)}), jwe.ProblemExponent},
		{"an exponent of 32 bits", rs(map[string]any{"e": "_____w"}), jwe.ProblemExponent},
		{"no exponent", rs(map[string]any{"e": nil}), jwe.ProblemEncoding},
		{"no modulus", rs(map[string]any{"n": nil}), jwe.ProblemEncoding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := jwe.ParseKey([]byte(tt.jwk))
			if !errors.Is(err, jwe.ErrKey) {
				t.Fatalf("ParseKey(%s) = %+v, %v, want %v", tt.jwk, key, err, jwe.ErrKey)
			}
			if f, _ := fault.As(err); f.Metadata["problem"] != tt.problem {
				t.Errorf("problem = %s (%v), want %s", f.Metadata["problem"], err, tt.problem)
			}
			if d := string(private); strings.Contains(tt.jwk, d) && strings.Contains(err.Error(), d[10:30]) {
				t.Errorf("the error quotes the key: %v", err)
			}
		})
	}
}

// A key is kept as the members that matter, and reads back as itself.
func TestParseKeyKeepsWhatMatters(t *testing.T) {
	p256 := ecKey(t, elliptic.P256())
	var m map[string]any
	if err := json.Unmarshal(publicJWK(t, &p256.PublicKey, ""), &m); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"kty": "EC", "crv": "P-256", "x": m["x"], "y": m["y"], "use": "enc", "alg": "ECDH-ES+A256KW"}
	thumbprint, err := (&jose.JSONWebKey{Key: &p256.PublicKey}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	want["kid"] = base64.RawURLEncoding.EncodeToString(thumbprint)
	m["use"], m["alg"], m["key_ops"], m["note"] = "enc", "ECDH-ES+A256KW", []string{"deriveKey"}, "ours"
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwe.ParseKey(text)
	if err != nil {
		t.Fatalf("ParseKey error = %v", err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(key.JWK), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JWK (-want +got):\n%s", diff)
	}
	again, err := jwe.ParseKey([]byte(key.JWK))
	if err != nil || again.JWK != key.JWK || again.KID != key.KID {
		t.Errorf("read back: %+v, %v", again, err)
	}
}

// FuzzParseKey: no bytes make it panic, and what it takes reads back as itself.
func FuzzParseKey(f *testing.F) {
	p256, rsa2048 := ecKey(f, elliptic.P256()), rsaKey(f, 2048)
	for _, seed := range []string{string(publicJWK(f, &p256.PublicKey, "a")), string(publicJWK(f, &rsa2048.PublicKey, "")), `{}`, `{"kty":"oct"}`, `[[`, ``} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := jwe.ParseKey([]byte(text))
		if err != nil {
			if !errors.Is(err, jwe.ErrKey) {
				t.Errorf("ParseKey(%q) error = %v, want %v", text, err, jwe.ErrKey)
			}
			return
		}
		if again, err := jwe.ParseKey([]byte(key.JWK)); err != nil || again.JWK != key.JWK {
			t.Errorf("ParseKey(%q) does not read back: %v", key.JWK, err)
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	token := bytes.Repeat([]byte("x"), 640) // about an access token
	for name, public := range map[string]crypto.PublicKey{
		"RSA-2048": &rsaKey(b, 2048).PublicKey, "RSA-4096": &rsaKey(b, 4096).PublicKey,
		"P-256": &ecKey(b, elliptic.P256()).PublicKey, "P-384": &ecKey(b, elliptic.P384()).PublicKey,
	} {
		key, err := jwe.ParseKey(publicJWK(b, public, ""))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Encrypt(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
