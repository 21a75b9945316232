package importer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/importer"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

var deniedModel = uuid.MustParse("fa2b99dc-9e39-4257-8f92-4a30d23c4118")

func rules() *importer.Rules {
	return &importer.Rules{
		RPID: "acme.example", Algorithms: []int{-7, -8, -257}, MaxCredentials: 3, Denied: []uuid.UUID{deniedModel}, Now: now,
	}
}

// aKey is a P-256 key in every form.
type aKey struct{ cose, spki, pem, jwk, point string }

func newKey(t testing.TB) (*ecdsa.PrivateKey, aKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cose, err := webauthn.EncodePublicKey(&key.PublicKey, 0)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	return key, aKey{
		cose: quote(cose), spki: quote(der), pem: string(quoted), point: quote(raw),
		jwk: fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%s,"y":%s,"alg":"ES256"}`, quote(raw[1:33]), quote(raw[33:])),
	}
}

func quote(b []byte) string { return `"` + base64.RawURLEncoding.EncodeToString(b) + `"` }

func TestParse(t *testing.T) {
	_, key := newKey(t)
	line := `{"externalId":"u1","name":"Ada","displayName":"Ada L.","userHandle":"aGFuZGxl","state":"BLOCKED","email":"Ada@Acme.example","phone":"+49 151 12345678",
		"createdAt":"2029-01-02T03:04:05.123456789Z","credentials":[{"id":"AQID","publicKey":` + key.cose + `,"algorithm":-7,"signCount":7,"transports":["usb","internal","usb"],
		"attachment":"platform","aaguid":"ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4","backupEligible":true,"backedUp":true,"discoverable":true,"rpId":"acme.example","nickname":" Phone ",
		"state":"SUSPENDED","createdAt":"2029-02-02T03:04:05Z","lastUsedAt":null}]}`
	got, problems := importer.Parse([]byte(line), rules())
	if len(problems) > 0 {
		t.Fatalf("problems = %v", problems)
	}
	if got.Profile.ExternalID != "u1" || got.Profile.Name != "Ada" || got.Profile.DisplayName != "Ada L." || string(got.Handle) != "handle" || !got.Blocked ||
		got.Contact.Email != "Ada@acme.example" || got.Contact.Phone != "+4915112345678" || !got.CreatedAt.Equal(time.Date(2029, 1, 2, 3, 4, 5, 123456000, time.UTC)) {
		t.Errorf("user = %+v", got)
	}
	c := got.Credentials[0]
	if string(c.ID) != "\x01\x02\x03" || c.Algorithm != webauthn.ES256 || c.SignCount != 7 || !slices.Equal(c.Transports, []string{"internal", "usb"}) || c.Attachment != "platform" ||
		!c.BackupEligible || !c.BackedUp || !*c.Discoverable || c.Nickname != "Phone" || !c.Suspended || c.CreatedAt == nil || c.LastUsedAt != nil {
		t.Errorf("credential = %+v", c)
	}
}

// All forms of one key are the same COSE_Key afterwards.
func TestFormsOfKeys(t *testing.T) {
	_, key := newKey(t)
	want, err := base64.RawURLEncoding.DecodeString(strings.Trim(key.cose, `"`))
	if err != nil {
		t.Fatal(err)
	}
	std := func(s string) string { // as databases print it
		b, err := base64.RawURLEncoding.DecodeString(strings.Trim(s, `"`))
		if err != nil {
			t.Fatal(err)
		}
		return `"` + base64.StdEncoding.EncodeToString(b) + `"`
	}
	for name, form := range map[string]string{
		"COSE": key.cose, "SPKI": key.spki, "PEM": key.pem, "JWK": key.jwk, "point": key.point, "padded COSE": std(key.cose), "padded SPKI": std(key.spki),
	} {
		got, problems := importer.Parse([]byte(`{"externalId":"u","credentials":[{"id":"AQID","discoverable":false,"publicKey":`+form+`}]}`), rules())
		if len(problems) > 0 || !bytes.Equal(got.Credentials[0].PublicKey, want) {
			t.Errorf("%s: %v, %+v", name, problems, got)
		}
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for form, alg := range map[string]webauthn.Algorithm{
		`{"kty":"OKP","crv":"Ed25519","x":` + quote(ed) + `}`:                                                              webauthn.EdDSA,
		`{"kty":"RSA","n":` + quote(big2048.N.Bytes()) + `,"e":"AQAB"}`:                                                    webauthn.RS256,
		`{"kty":"RSA","e":` + quote(big.NewInt(int64(big2048.E)).Bytes()) + `,"n":` + quote(big2048.N.Bytes()) + `,"x":1}`: webauthn.RS256,
	} {
		got, problems := importer.Parse([]byte(`{"externalId":"u","credentials":[{"id":"AQID","discoverable":false,"publicKey":`+form+`}]}`), rules())
		if len(problems) > 0 || got.Credentials[0].Algorithm != alg {
			t.Errorf("%s: %v", form, problems)
		}
	}
}

func TestBadLines(t *testing.T) {
	_, key := newKey(t)
	_, other := newKey(t)
	cred := func(members string) string {
		return `{"externalId":"u","userHandle":"aA","credentials":[{"id":"AQID","publicKey":` + key.cose + members + `}]}`
	}
	withKey := func(form string) string {
		return `{"externalId":"u","userHandle":"aA","credentials":[{"id":"AQID","publicKey":` + form + `}]}`
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // too short on purpose
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, line string
		want       string // field and reason
	}{
		{"nothing", ``, " JSON_INVALID"},
		{"an array", `[]`, " JSON_INVALID"},
		{"cut off", `{"externalId":"u"`, " JSON_INVALID"},
		{"two objects", `{"externalId":"u"}{}`, " JSON_INVALID"},
		{"not UTF-8", "{\"externalId\":\"u\xff\"}", " JSON_INVALID"},
		{"a name twice", `{"externalId":"u","externalId":"v"}`, " JSON_INVALID"},
		{"a name in another case", `{"externalId":"u","ExternalId":"v"}`, "ExternalId FIELD_UNKNOWN"},
		{"an unknown name", `{"externalId":"u","signcount":1}`, "signcount FIELD_UNKNOWN"},
		{"an unknown name that acts on terminals", `{"externalId":"u","\u001b[31m":1}`, "?[31m FIELD_UNKNOWN"},
		{"too long", `{"externalId":"` + strings.Repeat("u", importer.MaxLineBytes) + `"}`, " LINE_TOO_LONG"},
		{"no external id", `{"name":"Ada"}`, "externalId FIELD_MISSING"},
		{"an external id that is a number", `{"externalId":7}`, "externalId FIELD_INVALID"},
		{"half a surrogate pair", `{"externalId":"u\ud800"}`, "externalId FIELD_INVALID"},
		{"an invisible external id", `{"externalId":"u\u200b"}`, "externalId EXTERNAL_ID_INVALID"},
		{"a name with a line break", `{"externalId":"u","name":"A\nB"}`, "name USER_NAME_INVALID"},
		{"a long display name", `{"externalId":"u","displayName":"` + strings.Repeat("a", 257) + `"}`, "displayName USER_NAME_INVALID"},
		{"no e-mail address", `{"externalId":"u","email":"ada"}`, "email EMAIL_INVALID"},
		{"no phone number", `{"externalId":"u","phone":"0151"}`, "phone PHONE_INVALID"},
		{"another state", `{"externalId":"u","state":"DELETED"}`, "state FIELD_INVALID"},
		{"a handle of 65 bytes", `{"externalId":"u","userHandle":` + quote(make([]byte, 65)) + `}`, "userHandle FIELD_INVALID"},
		{"a handle that is no base64", `{"externalId":"u","userHandle":"a b"}`, "userHandle FIELD_INVALID"},
		{"a handle with spare bits", `{"externalId":"u","userHandle":"aB"}`, "userHandle FIELD_INVALID"},
		{"a handle in two alphabets", `{"externalId":"u","userHandle":"-_+/"}`, "userHandle FIELD_INVALID"},
		{"a handle with a line break", `{"externalId":"u","userHandle":"aG\nFu"}`, "userHandle FIELD_INVALID"},
		{"a time to come", `{"externalId":"u","createdAt":"2031-01-01T00:00:00Z"}`, "createdAt FIELD_INVALID"},
		{"a time before passkeys", `{"externalId":"u","createdAt":"1970-01-01T00:00:00Z"}`, "createdAt FIELD_INVALID"},
		{"a time in seconds", `{"externalId":"u","createdAt":1893553445}`, "createdAt FIELD_INVALID"},
		{"credentials that are none", `{"externalId":"u","credentials":{}}`, "credentials FIELD_INVALID"},
		{"a credential that is none", `{"externalId":"u","credentials":[7]}`, "credentials[0] JSON_INVALID"},
		{"too many", `{"externalId":"u","credentials":[{},{},{},{}]}`, "credentials TOO_MANY_CREDENTIALS"},
		{"no handle, and discoverable", `{"externalId":"u","credentials":[{"id":"AQID","discoverable":true,"publicKey":` + key.cose + `}]}`, "userHandle USER_HANDLE_NEEDED"},
		{"no handle, and perhaps discoverable", `{"externalId":"u","credentials":[{"id":"AQID","publicKey":` + key.cose + `}]}`, "userHandle USER_HANDLE_NEEDED"},
		{"no id", `{"externalId":"u","userHandle":"aA","credentials":[{"publicKey":` + key.cose + `}]}`, "credentials[0].id FIELD_MISSING"},
		{"an id of 1024 bytes", `{"externalId":"u","userHandle":"aA","credentials":[{"id":` + quote(make([]byte, 1024)) + `,"publicKey":` + key.cose + `}]}`, "credentials[0].id FIELD_INVALID"},
		{"no key", `{"externalId":"u","userHandle":"aA","credentials":[{"id":"AQID"}]}`, "credentials[0].publicKey FIELD_MISSING"},
		{"an empty key", withKey(`""`), "credentials[0].publicKey FIELD_MISSING"},
		{"a key that is a number", withKey(`1`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"a key cut off", withKey(key.cose[:40] + `"`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"a point that is not on the curve", withKey(quote(append([]byte{4}, make([]byte, 64)...))), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"a PEM of a certificate", withKey(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"a private JWK", withKey(strings.TrimSuffix(key.jwk, "}") + `,"d":"AQ"}`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"a JWK of secp256k1", withKey(strings.Replace(key.jwk, "P-256", "secp256k1", 1)), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"a short JWK", withKey(`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"an Ed25519 JWK of no length", withKey(`{"kty":"OKP","crv":"Ed25519"}`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"a JWK with a name twice", withKey(`{"kty":"EC","kty":"EC"}`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"RSA of 1024 bits", withKey(`{"kty":"RSA","e":"AQAB","n":` + quote(small.N.Bytes()) + `}`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"another algorithm than the key's", cred(`,"algorithm":-257`), "credentials[0].publicKey PUBLIC_KEY_INVALID"},
		{"an algorithm that is not supported", withKey(key.spki + `,"algorithm":-65535`), "credentials[0].publicKey ALGORITHM_NOT_ALLOWED"},
		{"an algorithm that the policy has not", withKey(key.spki + `,"algorithm":-9`), "credentials[0].publicKey ALGORITHM_NOT_ALLOWED"},
		{"another RP ID", cred(`,"rpId":"evil.example"`), "credentials[0].rpId RP_ID_MISMATCH"},
		{"an RP ID below", cred(`,"rpId":"login.acme.example"`), "credentials[0].rpId RP_ID_MISMATCH"},
		{"a negative count", cred(`,"signCount":-1`), "credentials[0].signCount FIELD_INVALID"},
		{"a count of 33 bits", cred(`,"signCount":4294967296`), "credentials[0].signCount FIELD_INVALID"},
		{"a broken count", cred(`,"signCount":1.5`), "credentials[0].signCount FIELD_INVALID"},
		{"backed up, and not eligible", cred(`,"backedUp":true`), "credentials[0].backedUp BACKUP_STATE_INVALID"},
		{"flags as text", cred(`,"backedUp":"true"`), "credentials[0].backedUp FIELD_INVALID"},
		{"transports with a space", cred(`,"transports":["usb nfc"]`), "credentials[0].transports FIELD_INVALID"},
		{"transports as text", cred(`,"transports":"usb"`), "credentials[0].transports FIELD_INVALID"},
		{"another attachment", cred(`,"attachment":"roaming"`), "credentials[0].attachment FIELD_INVALID"},
		{"an AAGUID that is none", cred(`,"aaguid":"yubikey"`), "credentials[0].aaguid FIELD_INVALID"},
		{"an AAGUID in another spelling", cred(`,"aaguid":"{fa2b99dc-9e39-4257-8f92-4a30d23c4118}"`), "credentials[0].aaguid FIELD_INVALID"},
		{"a model that is denied", cred(`,"aaguid":"` + deniedModel.String() + `"`), "credentials[0].aaguid AUTHENTICATOR_NOT_ALLOWED"},
		{"a long nickname", cred(`,"nickname":"` + strings.Repeat("a", 65) + `"`), "credentials[0].nickname NICKNAME_INVALID"},
		{"revoked", cred(`,"state":"REVOKED"`), "credentials[0].state FIELD_INVALID"},
		{"an unknown name in a credential", cred(`,"privateKey":"x"`), "credentials[0].privateKey FIELD_UNKNOWN"},
		{"the same id twice", `{"externalId":"u","userHandle":"aA","credentials":[{"id":"AQID","publicKey":` + key.cose + `},{"id":"AQID","publicKey":` + other.cose + `}]}`, "credentials[1].id REPEATED_IN_FILE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := importer.Parse([]byte(tt.line), rules())
			if len(problems) == 0 {
				t.Fatalf("taken: %+v", got)
			}
			var all []string
			for _, p := range problems {
				all = append(all, p.Field+" "+string(p.Reason))
			}
			if !slices.Contains(all, tt.want) {
				t.Errorf("problems = %q, want %q", all, tt.want)
			}
		})
	}
}

func TestSyncedPasskeysByPolicy(t *testing.T) {
	_, key := newKey(t)
	line := []byte(`{"externalId":"u","userHandle":"aA","credentials":[{"id":"AQID","backupEligible":true,"publicKey":` + key.cose + `}]}`)
	if _, problems := importer.Parse(line, rules()); len(problems) > 0 {
		t.Errorf("problems = %v", problems)
	}
	r := rules()
	r.RefuseSynced = true
	if _, problems := importer.Parse(line, r); len(problems) != 1 || problems[0].Reason != importer.SyncedRefused {
		t.Errorf("problems = %v, want %s", problems, importer.SyncedRefused)
	}
}

// What is taken is taken again from its own export, and says the same; nothing panics,
// and no report is longer than its bound or repeats a value of the line.
func FuzzParse(f *testing.F) {
	_, key := newKey(f)
	for _, form := range []string{key.cose, key.spki, key.pem, key.jwk, key.point} {
		f.Add([]byte(`{"externalId":"u","userHandle":"aA","credentials":[{"id":"AQID","signCount":1,"transports":["usb"],"publicKey":` + form + `}]}`))
	}
	f.Add([]byte(`{"externalId":"u","name":"Ada","email":"a@b.example","phone":"+4915112345678","state":"BLOCKED","createdAt":"2029-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"externalId":"u","credentials":[{},{"id":1},null]}`))
	f.Add([]byte(`{"externalId":"u","credentials":[{"publicKey":{"kty":"RSA","n":"AQ","e":"AQAB"}}]}`))
	r := rules()
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, problems := importer.Parse(raw, r)
		if len(problems) > 8 {
			t.Fatalf("%d problems", len(problems))
		}
		if len(problems) > 0 {
			return
		}
		again, err := json.Marshal(importer.Export(got))
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > importer.MaxLineBytes {
			return
		}
		second, problems := importer.Parse(again, r)
		if len(problems) > 0 {
			t.Fatalf("%s\nis not taken again: %v", again, problems)
		}
		if third, err := json.Marshal(importer.Export(second)); err != nil || !bytes.Equal(third, again) {
			t.Fatalf("%s\nis not\n%s", third, again)
		}
	})
}
