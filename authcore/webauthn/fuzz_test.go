package webauthn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// seeds are the responses of the specification's test vectors (WebAuthn L3
// #sctn-test-vectors).
type seeds struct {
	registrations []RegistrationResponse
	assertions    []AssertionResponse
}

func readSeeds(t testing.TB) seeds {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", "webauthn-l3.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Kind     string          `json:"kind"`
		Response json.RawMessage `json:"response"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	var s seeds
	for _, v := range vectors {
		if v.Kind == "registration" {
			r, err := ParseRegistrationResponse(v.Response)
			if err != nil {
				t.Fatal(err)
			}
			s.registrations = append(s.registrations, r)
			continue
		}
		r, err := ParseAssertionResponse(v.Response)
		if err != nil {
			t.Fatal(err)
		}
		s.assertions = append(s.assertions, r)
	}
	return s
}

// What the strict parser accepts is JSON, and a lenient parser reads the same
// in it.
func FuzzClientData(f *testing.F) {
	for _, r := range readSeeds(f).registrations {
		f.Add(r.ClientDataJSON)
	}
	for _, text := range []string{
		"\ufeff{\"type\":\"a\",\"challenge\":\"b\",\"origin\":\"c\"}",
		`{"type":"a","challenge":"b","origin":"c","crossOrigin":true,"topOrigin":"\u00e4\ud83d\ude00\\\/"}`,
		`{"type":"a","challenge":"b","origin":"c","x":[-0,1.5e-3,{"y":[[]]},null,false]}`,
		`{"type":"a","challenge":"b","origin":"c","or\u0069gin":"d"}`,
		`{"type":"a","challenge":"b","origin":"\ud83d"}`,
		`{"type":"a","challenge":"b","origin":"c","x":01}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseClientData(raw)
		if err != nil {
			return
		}
		var lenient map[string]any
		if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &lenient); err != nil {
			t.Fatalf("accepted %q, which is not JSON: %v", raw, err)
		}
		top, hasTop := lenient["topOrigin"]
		if !hasTop {
			top = ""
		}
		cross, _ := lenient["crossOrigin"].(bool)
		if lenient["type"] != c.ceremony || lenient["challenge"] != c.challenge || lenient["origin"] != c.Origin ||
			top != c.TopOrigin || hasTop != c.hasTopOrigin || cross != c.CrossOrigin {
			t.Fatalf("read %+v from %q, a lenient parser %v", c, raw, lenient)
		}
	})
}

// Authenticator data is read as the library reads it.
func FuzzAuthenticatorData(f *testing.F) {
	s := readSeeds(f)
	for _, r := range s.assertions {
		f.Add(r.AuthenticatorData)
	}
	for _, r := range s.registrations {
		object, err := parseAttestationObject(r.AttestationObject)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(object.RawAuthData)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ours, err := parseAuthenticatorData(raw)
		var theirs protocol.AuthenticatorData
		libraryErr := theirs.Unmarshal(raw)
		if err == nil && libraryErr != nil {
			t.Fatalf("accepted %x, the library says %v", raw, libraryErr)
		}
		if err != nil {
			stricter := len(raw) > maxAuthenticatorDataBytes ||
				theirs.Flags.HasAttestedCredentialData() && len(theirs.AttData.CredentialID) == 0 ||
				theirs.Flags.HasExtensions() && bytes.Equal(theirs.ExtData, []byte{0xf6}) || // CBOR null
				theirs.Flags.HasExtensions() && bytes.Equal(theirs.ExtData, []byte{0xf7}) // CBOR undefined
			if libraryErr == nil && !stricter {
				t.Fatalf("refused %x with %v, which the library accepts", raw, err)
			}
			return
		}
		if !bytes.Equal(ours.rpIDHash, theirs.RPIDHash) || byte(ours.flags) != byte(theirs.Flags) || ours.signCount != theirs.Counter ||
			!bytes.Equal(ours.aaguid, theirs.AttData.AAGUID) || !bytes.Equal(ours.credentialID, theirs.AttData.CredentialID) ||
			!bytes.Equal(ours.extensions, theirs.ExtData) {
			t.Fatalf("read %+v, the library %+v", ours, theirs)
		}
		// The library returns the key in another encoding, so compare the keys.
		if ours.publicKey != nil {
			checkSameKey(t, ours.publicKey, theirs.AttData.CredentialPublicKey)
		}
	})
}

func checkSameKey(t *testing.T, a, b []byte) {
	t.Helper()
	var keyA, keyB any
	if err := errors.Join(webauthncbor.Unmarshal(a, &keyA), webauthncbor.Unmarshal(b, &keyB)); err != nil {
		t.Fatal(err)
	}
	encodedA, errA := webauthncbor.Marshal(keyA)
	encodedB, errB := webauthncbor.Marshal(keyB)
	if err := errors.Join(errA, errB); err != nil || !bytes.Equal(encodedA, encodedB) {
		t.Fatalf("public key %x, the library's %x (%v)", a, b, err)
	}
}

// No attestation object crashes the verifier, and none is accepted that the
// library does not accept. (Its own checks of the rest are skipped on both sides.)
func FuzzAttestationObject(f *testing.F) {
	for _, r := range readSeeds(f).registrations {
		f.Add(r.AttestationObject)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		object, err := parseAttestationObject(raw)
		if err != nil {
			return
		}
		hash := sha256.Sum256(nil)
		att, err := verifyAttestation(object, hash[:], true)
		if err != nil {
			return
		}
		var theirs protocol.AttestationObject
		if err := webauthncbor.Unmarshal(raw, &theirs); err != nil {
			t.Fatal(err)
		}
		if err := theirs.AuthData.Unmarshal(theirs.RawAuthData); err != nil {
			t.Fatal(err)
		}
		if err := theirs.VerifyAttestation(hash[:], nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
			t.Fatalf("accepted %s, the library says %v", att.Format, err)
		}
	})
}

// No COSE key crashes the parser or the verifier, and none is accepted that the
// library does not accept.
func FuzzPublicKey(f *testing.F) {
	for _, r := range readSeeds(f).registrations {
		object, err := parseAttestationObject(r.AttestationObject)
		if err != nil {
			f.Fatal(err)
		}
		auth, err := parseAuthenticatorData(object.RawAuthData)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(auth.publicKey, []byte("0\x06\x02\x01\x01\x02\x01\x01"))
	}
	f.Fuzz(func(t *testing.T, cose, signature []byte) {
		key, err := ParsePublicKey(cose)
		if err != nil {
			return
		}
		theirs, err := webauthncose.ParsePublicKey(cose)
		if err != nil {
			t.Fatalf("accepted %x, the library says %v", cose, err)
		}
		message := []byte("message")
		want, _ := webauthncose.VerifySignature(theirs, message, signature)
		if got := key.verify(message, signature); got != want {
			t.Fatalf("verify = %v, the library's = %v", got, want)
		}
	})
}

// fuzzRP has origins that the library's lenient comparison and ours tell apart.
var fuzzRP = RP{
	ID: "example.org", Origins: []string{"https://example.org", "https://login.example.org:8443"},
	TopOrigins: []string{"https://example.com"}, AllowCrossOrigin: true,
}

// VerifyAssertion accepts what the library accepts, except where it is meant to
// be stricter. What is fuzzed is signed with a good key first, so that the
// signature hides nothing; a second signature is over something else.
func FuzzAssertion(f *testing.F) {
	challenge := []byte("0123456789abcdef0123456789abcdef")
	// A fixed key, so that a failure can be reproduced.
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	cose, err := webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		f.Fatal(err)
	}
	key, err := ParsePublicKey(cose)
	if err != nil {
		f.Fatal(err)
	}
	encoded := base64.RawURLEncoding.EncodeToString(challenge)
	for _, r := range readSeeds(f).assertions {
		var c struct {
			Challenge string `json:"challenge"`
		}
		if err := json.Unmarshal(r.ClientDataJSON, &c); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(strings.Replace(string(r.ClientDataJSON), c.Challenge, encoded, 1)), r.AuthenticatorData, true)
	}
	right := sha256.Sum256([]byte(fuzzRP.ID))
	authData := append(right[:], 0x05, 0, 0, 0, 1)
	for _, text := range []string{
		`{"type":"webauthn.get","challenge":"CHALLENGE","origin":"HTTPS://example.org:443/","crossOrigin":false}`,
		`{"type":"webauthn.get","challenge":"CHALLENGE","origin":"https://example.org","origin":"https://evil.example"}`,
		`{"type":"webauthn.get","challenge":"CHALLENGE","origin":"https://example.org","tokenBinding":{"status":"x"}}`,
		`{"TYPE":"webauthn.get","challenge":"CHALLENGE","origin":"https://example.org"}`,
		`{"type":"webauthn.get","challenge":"CHALLENGE","origin":"https://example.org","crossOrigin":true,"topOrigin":"https://example.com"}`,
	} {
		f.Add([]byte(strings.ReplaceAll(text, "CHALLENGE", encoded)), authData, true)
	}
	f.Add([]byte(`{}`), authData, false)

	f.Fuzz(func(t *testing.T, clientDataJSON, authenticatorData []byte, wellSigned bool) {
		hash := sha256.Sum256(clientDataJSON)
		if !wellSigned {
			hash[0]++
		}
		digest := sha256.Sum256(append(bytes.Clone(authenticatorData), hash[:]...))
		signature, err := ecdsa.SignASN1(nil, private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = VerifyAssertion(fuzzRP, AssertionExpectation{
			Challenge: challenge, RequireUserVerification: true, Stored: StoredCredential{UserHandle: []byte("u")},
		}, key, AssertionResponse{
			ID: "aWQ", RawID: []byte("id"), Type: "public-key", UserHandle: []byte("u"),
			ClientDataJSON: clientDataJSON, AuthenticatorData: authenticatorData, Signature: signature,
		})
		libraryErr := libraryVerify(t, cose, encoded, clientDataJSON, authenticatorData, signature)
		switch {
		case err == nil && libraryErr != nil && !readOtherwise(clientDataJSON):
			t.Fatalf("accepted, the library says %v", libraryErr)
		case err != nil && libraryErr == nil && !stricter(err):
			t.Fatalf("refused with %v, which the library accepts", err)
		}
	})
}

// libraryVerify is how the library verifies the same assertion.
func libraryVerify(t *testing.T, cose []byte, challenge string, clientDataJSON, authenticatorData, signature []byte) error {
	t.Helper()
	response := protocol.CredentialAssertionResponse{
		PublicKeyCredential: protocol.PublicKeyCredential{
			Credential: protocol.Credential{ID: "aWQ", Type: "public-key"}, RawID: []byte("id"),
		},
		AssertionResponse: protocol.AuthenticatorAssertionResponse{
			AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: clientDataJSON},
			AuthenticatorData:     authenticatorData, Signature: signature,
		},
	}
	parsed, err := response.Parse()
	if err != nil {
		return err
	}
	return parsed.Verify(challenge, fuzzRP.ID, "", fuzzRP.Origins, nil, fuzzRP.TopOrigins,
		protocol.TopOriginExplicitVerificationMode, fuzzRP.AllowCrossOrigin, true, true, cose, protocol.SignaturePolicy{})
}

// stricter reports whether a refusal is one of those that the library leaves to
// its callers, or makes exceptions from: JSON that parsers read differently,
// origins that are merely equivalent, the backup flags.
func stricter(err error) bool {
	return errors.Is(err, ErrMalformed) || errors.Is(err, ErrOrigin) || errors.Is(err, ErrBackupState)
}

// readOtherwise reports whether client data holds members that mean something
// to the library only: those it declares beyond the specification's, names that
// it matches in another letter case, and a byte order mark, which it does not strip.
func readOtherwise(clientDataJSON []byte) bool {
	var members map[string]any
	if json.Unmarshal(clientDataJSON, &members) != nil {
		return bytes.HasPrefix(clientDataJSON, []byte("\ufeff"))
	}
	for name := range members {
		switch name {
		case "type", "challenge", "origin", "crossOrigin", "topOrigin":
			continue
		}
		for _, known := range []string{"type", "challenge", "origin", "crossOrigin", "topOrigin", "tokenBinding", "new_keys_may_be_added_here"} {
			if strings.EqualFold(name, known) {
				return true
			}
		}
	}
	return false
}
