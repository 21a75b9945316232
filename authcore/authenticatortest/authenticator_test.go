package authenticatortest_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

const origin = "https://login.example.org"

// Options as a server hands them out. The challenge is "challenge", the user
// handles are "alice" and "bob".
const (
	creation    = `{"rp":{"id":"example.org","name":"Example"},"user":{"id":"YWxpY2U","name":"a","displayName":"A"},"challenge":"Y2hhbGxlbmdl","pubKeyCredParams":[{"type":"public-key","alg":-8},{"type":"public-key","alg":-7},{"type":"public-key","alg":-257}]`
	bobCreation = `{"rp":{"id":"example.org","name":"Example"},"user":{"id":"Ym9i","name":"b","displayName":"B"},"challenge":"Y2hhbGxlbmdl","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`
	request     = `{"challenge":"Y2hhbGxlbmdl","rpId":"example.org"`
)

func newAuthenticator(t testing.TB, opts authenticatortest.Options) *authenticatortest.Authenticator {
	t.Helper()
	a, err := authenticatortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func create(t testing.TB, a *authenticatortest.Authenticator, options string) authenticatortest.RegistrationResponse {
	t.Helper()
	r, err := a.Create([]byte(options), origin)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(t testing.TB, a *authenticatortest.Authenticator, options string) authenticatortest.AuthenticationResponse {
	t.Helper()
	r, err := a.Get([]byte(options), origin)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func allow(ids ...[]byte) string {
	descriptors, err := json.Marshal(func() (out []map[string]string) {
		for _, id := range ids {
			out = append(out, map[string]string{"type": "public-key", "id": base64.RawURLEncoding.EncodeToString(id)})
		}
		return out
	}())
	if err != nil {
		panic(err)
	}
	return string(descriptors)
}

// That answers verify is tested with the verifier, in authcore/webauthn; these
// tests are about which answer is given.
func TestChoiceOfCredential(t *testing.T) {
	a := newAuthenticator(t, authenticatortest.Options{})
	alice, bob := create(t, a, creation+`}`), create(t, a, bobCreation)

	if got := get(t, a, request+`}`); !bytes.Equal(got.CredentialID, bob.CredentialID) || string(got.UserHandle) != "bob" {
		t.Errorf("without a list, %x of %q answers, want the newest, %x", got.CredentialID, got.UserHandle, bob.CredentialID)
	}
	list := allow([]byte("elsewhere"), alice.CredentialID)
	if got := get(t, a, request+`,"allowCredentials":`+list+`}`); !bytes.Equal(got.CredentialID, alice.CredentialID) || string(got.UserHandle) != "alice" {
		t.Errorf("with a list, %x of %q answers, want %x", got.CredentialID, got.UserHandle, alice.CredentialID)
	}
	a.Forget(bob.CredentialID)
	if got := get(t, a, request+`}`); !bytes.Equal(got.CredentialID, alice.CredentialID) {
		t.Errorf("after the newest was forgotten, %x answers, want %x", got.CredentialID, alice.CredentialID)
	}
}

func TestRefusals(t *testing.T) {
	a := newAuthenticator(t, authenticatortest.Options{})
	alice := create(t, a, creation+`}`)
	for _, tt := range []struct {
		name string
		do   func() error
		want error
	}{
		{"excluded", func() error {
			_, err := a.Create([]byte(creation+`,"excludeCredentials":`+allow(alice.CredentialID)+`}`), origin)
			return err
		}, authenticatortest.ErrExcluded},
		{"excluded elsewhere", func() error {
			_, err := a.Create([]byte(creation+`,"excludeCredentials":`+allow([]byte("elsewhere"))+`}`), origin)
			return err
		}, nil},
		{"no algorithm in common", func() error {
			_, err := a.Create([]byte(`{"rp":{"id":"example.org"},"pubKeyCredParams":[{"type":"public-key","alg":-257}]}`), origin)
			return err
		}, authenticatortest.ErrNoAlgorithm},
		{"another RP ID", func() error {
			_, err := a.Get([]byte(`{"challenge":"AA","rpId":"example.com"}`), origin)
			return err
		}, authenticatortest.ErrNoCredential},
		{"a list without ours", func() error {
			_, err := a.Get([]byte(request+`,"allowCredentials":`+allow([]byte("elsewhere"))+`}`), origin)
			return err
		}, authenticatortest.ErrNoCredential},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := a.Create([]byte(`{`), origin); err == nil {
		t.Error("creation options that are no JSON are accepted")
	}
	if _, err := a.Get([]byte(`{"challenge":"+"}`), origin); err == nil {
		t.Error("request options that are no base64url are accepted")
	}
}

func TestRPIDDefaultsToTheOriginsHost(t *testing.T) {
	a := newAuthenticator(t, authenticatortest.Options{})
	create(t, a, `{"rp":{"name":"Example"},"user":{"id":"YWxpY2U"},"challenge":"AA","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`)
	got := get(t, a, `{"challenge":"AA"}`)
	if want := sha256.Sum256([]byte("login.example.org")); !bytes.Equal(got.AuthenticatorData[:32], want[:]) {
		t.Errorf("rpIdHash = %x, want that of login.example.org", got.AuthenticatorData[:32])
	}
}

func TestCountAndFlags(t *testing.T) {
	const flags, count = 32, 36 // offsets into authenticator data
	for _, tt := range []struct {
		name      string
		opts      authenticatortest.Options
		dev       authenticatortest.Deviation
		wantFlags byte
		wantCount byte
	}{
		{"honest", authenticatortest.Options{}, authenticatortest.Deviation{}, 0x05, 2},
		{"synced", authenticatortest.Options{BackedUp: true, NoCounter: true}, authenticatortest.Deviation{}, 0x1d, 0},
		{"security key of the U2F era", authenticatortest.Options{Attestation: authenticatortest.FIDOU2F}, authenticatortest.Deviation{}, 0x01, 2},
		{"frozen", authenticatortest.Options{}, authenticatortest.Deviation{SignCount: authenticatortest.FrozenCount}, 0x05, 1},
		{"lowered", authenticatortest.Options{}, authenticatortest.Deviation{SignCount: authenticatortest.LoweredCount}, 0x05, 0},
		{"not verified, suddenly synced", authenticatortest.Options{}, authenticatortest.Deviation{
			ClearFlags: authenticatortest.UV, SetFlags: authenticatortest.BE | authenticatortest.BS,
		}, 0x19, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuthenticator(t, tt.opts)
			create(t, a, creation+`}`)
			got, err := a.GetWith([]byte(request+`}`), origin, tt.dev)
			if err != nil {
				t.Fatal(err)
			}
			if f, c := got.AuthenticatorData[flags], got.AuthenticatorData[count]; f != tt.wantFlags || c != tt.wantCount {
				t.Errorf("flags %#x, count %d, want %#x, %d", f, c, tt.wantFlags, tt.wantCount)
			}
		})
	}
}

// The order and escapes are those of WebAuthn L3 #clientdatajson-serialization,
// which a limited verifier may rely on.
func TestClientData(t *testing.T) {
	a := newAuthenticator(t, authenticatortest.Options{})
	create(t, a, creation+`}`)
	got, err := a.GetWith([]byte(request+`}`), `https://"x`, authenticatortest.Deviation{
		CrossOrigin: true, TopOrigin: "https://top.example", ExtraClientData: `"more":1`,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"webauthn.get","challenge":"Y2hhbGxlbmdl","origin":"https://\"x","crossOrigin":true,"topOrigin":"https://top.example","more":1}`
	if string(got.ClientDataJSON) != want {
		t.Errorf("clientDataJSON = %s, want %s", got.ClientDataJSON, want)
	}
}

// What is marshalled is the JSON that a browser posts, member by member.
func TestAnswersAsJSON(t *testing.T) {
	a := newAuthenticator(t, authenticatortest.Options{CrossPlatform: true, Algorithms: []int{authenticatortest.EdDSA}})
	created := create(t, a, creation+`,"extensions":{"credProps":true}}`)
	checkJSON(t, created, map[string]any{
		"id": encode(created.CredentialID), "rawId": encode(created.CredentialID), "type": "public-key",
		"authenticatorAttachment": "cross-platform",
		"clientExtensionResults":  map[string]any{"credProps": map[string]any{"rk": true}},
		"response": map[string]any{
			"clientDataJSON": encode(created.ClientDataJSON), "attestationObject": encode(created.AttestationObject),
			"authenticatorData": encode(created.AuthenticatorData), "publicKey": encode(created.PublicKey),
			"publicKeyAlgorithm": -8.0, "transports": []any{"usb"},
		},
	})
	if _, err := x509.ParsePKIXPublicKey(created.PublicKey); err != nil {
		t.Errorf("publicKey is no SubjectPublicKeyInfo: %v", err)
	}
	got := get(t, a, request+`}`)
	checkJSON(t, got, map[string]any{
		"id": encode(got.CredentialID), "rawId": encode(got.CredentialID), "type": "public-key",
		"authenticatorAttachment": "cross-platform", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": encode(got.ClientDataJSON), "authenticatorData": encode(got.AuthenticatorData),
			"signature": encode(got.Signature), "userHandle": encode([]byte("alice")),
		},
	})
	got.UserHandle, got.Attachment, got.ClientExtensionResults = nil, "", nil
	checkJSON(t, got, map[string]any{
		"id": encode(got.CredentialID), "rawId": encode(got.CredentialID), "type": "public-key",
		"clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": encode(got.ClientDataJSON), "authenticatorData": encode(got.AuthenticatorData), "signature": encode(got.Signature),
		},
	})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func checkJSON(t *testing.T, answer any, want map[string]any) {
	t.Helper()
	gotJSON, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(gotJSON, &members); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sorted, wantJSON) {
		t.Errorf("JSON =\n%s\nwant\n%s", sorted, wantJSON)
	}
}

// Each goroutine of a load test may use the same authenticator.
func TestConcurrentUse(t *testing.T) {
	a := newAuthenticator(t, authenticatortest.Options{})
	create(t, a, creation+`}`)
	counts := make(chan byte, 20)
	var wg sync.WaitGroup
	for range cap(counts) {
		wg.Go(func() {
			got, err := a.Get([]byte(request+`}`), origin)
			if err != nil {
				t.Error(err)
				return
			}
			counts <- got.AuthenticatorData[36]
		})
	}
	wg.Wait()
	close(counts)
	seen := map[byte]bool{}
	for c := range counts {
		seen[c] = true
	}
	if len(seen) != cap(counts) {
		t.Errorf("%d different counts in %d answers", len(seen), cap(counts))
	}
}

// The load generator shares its machine with what it measures.
func BenchmarkGet(b *testing.B) {
	a := newAuthenticator(b, authenticatortest.Options{})
	create(b, a, creation+`}`)
	options := []byte(request + `}`)
	b.ReportAllocs()
	for b.Loop() {
		answer, err := a.Get(options, origin)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := answer.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	options := []byte(creation + `}`)
	b.ReportAllocs()
	for b.Loop() {
		a := newAuthenticator(b, authenticatortest.Options{})
		if _, err := a.Create(options, origin); err != nil {
			b.Fatal(err)
		}
	}
}
