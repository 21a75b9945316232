package biocore_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	biocore "github.com/biocore-id/biocore/sdk/go"
)

const (
	issuer   = "https://auth.example.com/t/acme"
	audience = "example.com"
	tenantID = "0193a7d2-5b1e-7000-8000-00000000acme"
)

// key is a signing key of the tenant.
type key struct {
	kid, alg string
	private  crypto.Signer
}

func newKey(t testing.TB, kid, alg string) key {
	t.Helper()
	k := key{kid: kid, alg: alg}
	var err error
	switch alg {
	case "ES256":
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	case "RS256":
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		t.Fatalf("no key for %s", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.kid, Algorithm: k.alg, Use: "sig"}
}

// sign signs claims under the header that Biocore writes.
func (k key) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return k.signAs(t, k.header(), string(payload))
}

func (k key) header() string { return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, k.alg, k.kid) }

// signAs signs any payload under any header, right for this key or not.
func (k key) signAs(t testing.TB, header, payload string) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(k.signature(t, input))
}

func (k key) signature(t testing.TB, input string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, private, digest[:])
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(private, []byte(input))
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// b64 is base64url without padding.
func b64[T string | []byte](text T) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// claimsAt are those of a token issued at now.
func claimsAt(now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer, "sub": "user-1", "aud": audience, "sid": "session-1", "tid": tenantID,
		"amr": []string{"pop", "user", "mfa"}, "acr": "aal2", "auth_time": now.Unix() - 60, "jti": "token-1",
		"iat": now.Unix(), "exp": now.Unix() + 600,
	}
}

// with returns claims with one member set, or left out if value is nil.
func with(claims map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(claims)
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	return changed
}

// keyServer is where the keys are published, in the place of a network, so that
// testing/synctest can hold its clock.
type keyServer struct {
	mu       sync.Mutex
	keys     []jose.JSONWebKey
	body     string // instead of keys
	header   http.Header
	status   int
	latency  time.Duration
	hangs    bool
	requests int
	last     *http.Request
}

func newKeyServer(keys ...key) *keyServer {
	s := &keyServer{status: http.StatusOK, header: http.Header{"Cache-Control": {"public, max-age=300"}}}
	s.publish(keys...)
	return s
}

// set changes how the server behaves from now on.
func (s *keyServer) set(change func(*keyServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *keyServer) publish(keys ...key) {
	s.set(func(s *keyServer) {
		s.keys = nil
		for _, k := range keys {
			s.keys = append(s.keys, k.jwk())
		}
	})
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *keyServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests++
	s.last = req
	body, status, header, latency, hangs := s.body, s.status, s.header.Clone(), s.latency, s.hangs
	if body == "" {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: s.keys})
		if err != nil {
			panic(err)
		}
		body = string(text)
	}
	s.mu.Unlock()
	if hangs {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	if latency > 0 {
		<-time.After(latency)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewBufferString(body)), Request: req}, nil
}

// newVerifier is one of acme's; change may be nil.
func newVerifier(t testing.TB, s http.RoundTripper, change func(*biocore.VerifierOptions)) *biocore.Verifier {
	t.Helper()
	o := biocore.VerifierOptions{Issuer: issuer, Audience: audience, HTTPClient: &http.Client{Transport: s}}
	if change != nil {
		change(&o)
	}
	v, err := biocore.NewVerifier(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustVerify(t testing.TB, v *biocore.Verifier, token string) biocore.Claims {
	t.Helper()
	c, err := v.Verify(context.Background(), token)
	if err != nil {
		t.Fatalf("Verify = %v", err)
	}
	return c
}
