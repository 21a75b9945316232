package webauthn_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// What a page may ask of extensions, and what reaches the browser then.
func TestExtensionInputs(t *testing.T) {
	creation := func(asked string) (json.RawMessage, error) {
		return webauthn.CreationExtensions(json.RawMessage(asked))
	}
	listed := func(asked string) (json.RawMessage, error) {
		return webauthn.RequestExtensions(json.RawMessage(asked), true)
	}
	discoverable := func(asked string) (json.RawMessage, error) {
		return webauthn.RequestExtensions(json.RawMessage(asked), false)
	}
	bytesOf := func(n int) string { return webauthn.EncodeBase64URL(make([]byte, n)) }
	var many strings.Builder
	for i := range 65 {
		many.WriteString(`,"` + webauthn.EncodeBase64URL([]byte(strconv.Itoa(i))) + `":{"first":"AA"}`)
	}
	const refused = ""
	for _, tt := range []struct {
		name  string
		of    func(string) (json.RawMessage, error)
		asked string
		want  string // refused where empty
	}{
		{"nothing", creation, ``, `{"credProps":true}`},
		{"no member", creation, `{}`, `{"credProps":true}`},
		{"credProps", creation, `{"credProps":true}`, `{"credProps":true}`},
		{"credProps cannot be left out", creation, `{"credProps":false}`, `{"credProps":true}`},
		{"PRF", creation, `{"prf":{}}`, `{"credProps":true,"prf":{}}`},
		{"PRF with inputs", creation, `{"prf":{"eval":{"first":"AAEC","second":"_-8"}}}`, `{"credProps":true,"prf":{"eval":{"first":"AAEC","second":"_-8"}}}`},
		{"a blob that must be", creation, `{"largeBlob":{"support":"required"}}`, `{"credProps":true,"largeBlob":{"support":"required"}}`},
		{"protection", creation, `{"credentialProtectionPolicy":"userVerificationRequired","enforceCredentialProtectionPolicy":true}`,
			`{"credProps":true,"credentialProtectionPolicy":"userVerificationRequired","enforceCredentialProtectionPolicy":true}`},
		{"PRF by credential at a registration", creation, `{"prf":{"evalByCredential":{"AA":{"first":"AA"}}}}`, refused},
		{"a blob is read at a registration", creation, `{"largeBlob":{"read":true}}`, refused},
		{"a level of protection that is none", creation, `{"credentialProtectionPolicy":"userVerificationForbidden"}`, refused},
		{"a number for a level", creation, `{"credentialProtectionPolicy":3}`, refused},
		{"an extension that is not passed", creation, `{"appidExclude":"https://example.org"}`, refused},
		{"payment", creation, `{"payment":{"isPayment":true}}`, refused},
		{"twice", creation, `{"prf":{},"prf":{"eval":{"first":"AA"}}}`, refused},
		{"no object", creation, `[]`, refused},
		{"null", creation, `{"prf":null}`, refused},

		{"nothing at a sign-in", discoverable, ``, "null"},
		{"no member at a sign-in", discoverable, `{}`, "null"},
		{"PRF at a sign-in", discoverable, `{"prf":{"eval":{"first":"AAEC"}}}`, `{"prf":{"eval":{"first":"AAEC"}}}`},
		{"both", discoverable, `{"prf":{},"largeBlob":{"read":true}}`, `{"prf":{},"largeBlob":{"read":true}}`},
		{"PRF by credential", listed, `{"prf":{"evalByCredential":{"AAEC":{"first":"AA"}}}}`, `{"prf":{"evalByCredential":{"AAEC":{"first":"AA"}}}}`},
		{"a blob is written", listed, `{"largeBlob":{"write":"AAEC"}}`, `{"largeBlob":{"write":"AAEC"}}`},
		{"a blob of 2 KiB", listed, `{"largeBlob":{"write":"` + bytesOf(2048) + `"}}`, `{"largeBlob":{"write":"` + bytesOf(2048) + `"}}`},
		{"PRF by credential without a list", discoverable, `{"prf":{"evalByCredential":{"AAEC":{"first":"AA"}}}}`, refused},
		{"a blob of 2 KiB and a byte", listed, `{"largeBlob":{"write":"` + bytesOf(2049) + `"}}`, refused},
		{"a blob is read and written", listed, `{"largeBlob":{"read":true,"write":"AA"}}`, refused},
		{"support at a sign-in", listed, `{"largeBlob":{"support":"required"}}`, refused},
		{"credProps at a sign-in", listed, `{"credProps":true}`, refused},
		{"AppID", listed, `{"appid":"https://example.org"}`, refused},
		{"an input of 257 bytes", listed, `{"prf":{"eval":{"first":"` + bytesOf(257) + `"}}}`, refused},
		{"an input that is no base64url", listed, `{"prf":{"eval":{"first":"a+b/"}}}`, refused},
		{"no first input", listed, `{"prf":{"eval":{"second":"AA"}}}`, refused},
		{"a third input", listed, `{"prf":{"eval":{"first":"AA","third":"AA"}}}`, refused},
		{"a credential id that is none", listed, `{"prf":{"evalByCredential":{"*":{"first":"AA"}}}}`, refused},
		{"an empty credential id", listed, `{"prf":{"evalByCredential":{"":{"first":"AA"}}}}`, refused},
		{"65 credentials", listed, `{"prf":{"evalByCredential":{` + many.String()[1:] + `}}}`, refused},
		{"8 KiB and more", listed, `{"prf":{"eval":{"first":"AA"` + strings.Repeat(" ", 8<<10) + `}}}`, refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.of(tt.asked)
			if tt.want == refused {
				if !errors.Is(err, webauthn.ErrExtension) || got != nil {
					t.Errorf("inputs = %s, %v, want %v", got, err, webauthn.ErrExtension)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if text := string(got); text != tt.want && !(got == nil && tt.want == "null") {
				t.Errorf("inputs = %s, want %s", text, tt.want)
			}
			if got != nil && !json.Valid(got) {
				t.Errorf("%s is no JSON", got)
			}
		})
	}
}

// What is said of extensions is recorded as that, and no output of any is kept.
func TestExtensionOutputs(t *testing.T) {
	secret := webauthn.EncodeBase64URL([]byte("a secret of thirty-two bytes ..."))
	for _, tt := range []struct {
		name   string
		client string
		signed []byte
		want   string
		err    error
	}{
		{name: "nothing", want: `{}`},
		{name: "PRF with results", client: `{"prf":{"enabled":true,"results":{"first":"` + secret + `"}}}`, want: `{"prf":true}`},
		{name: "no PRF", client: `{"prf":{"enabled":false}}`, want: `{"prf":false}`},
		{name: "a blob", client: `{"largeBlob":{"supported":true,"blob":"` + secret + `"},"credProps":{"rk":true}}`, want: `{"largeBlob":true}`},
		{name: "an authenticator that protects", signed: append([]byte("\xa1\x6bcredProtect"), 3), want: `{"credProtect":"userVerificationRequired"}`},
		{name: "one that evaluates PRFs", signed: []byte("\xa1\x6bhmac-secret\xf5"), want: `{"prf":true}`},
		{name: "a level that is none", signed: append([]byte("\xa1\x6bcredProtect"), 9), want: `{}`},
		{name: "an extension that nobody asked for", client: `{"devicePubKey":{"signature":"` + secret + `"}}`, want: `{}`},
		{name: "PRF is a string", client: `{"prf":{"enabled":"true"}}`, err: webauthn.ErrMalformed},
		{name: "a level that is text", signed: []byte("\xa1\x6bcredProtect\x61a"), err: webauthn.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := creation{dev: authenticatortest.Deviation{Extensions: tt.signed}, response: func(r *webauthn.RegistrationResponse) {
				r.ClientExtensionResults = json.RawMessage(tt.client)
			}}.run(t)
			checkOutcome(t, err, tt.err)
			if tt.err != nil {
				return
			}
			text, err := json.Marshal(got.Outputs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(text)); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			if strings.Contains(string(text), secret) {
				t.Errorf("a secret is recorded: %s", text)
			}
		})
	}
}

// A client that does not say which page is around it is refused where that must be known.
func TestRequireTopOrigin(t *testing.T) {
	require := func(rp *webauthn.RP) {
		allowCrossOrigin(rp)
		rp.RequireTopOrigin = true
	}
	_, err := request{rp: require, dev: authenticatortest.Deviation{CrossOrigin: true}}.run(t)
	checkOutcome(t, err, webauthn.ErrOrigin)
	_, err = request{rp: require, dev: authenticatortest.Deviation{CrossOrigin: true, TopOrigin: topOrigin}}.run(t)
	checkOutcome(t, err, nil)
	_, err = request{rp: require}.run(t)
	checkOutcome(t, err, nil)
	_, err = creation{rp: require, dev: authenticatortest.Deviation{CrossOrigin: true}}.run(t)
	checkOutcome(t, err, webauthn.ErrOrigin)
}

// Extension inputs come from a page: whatever it sends is refused, or is JSON that has
// nothing but what is allowed.
func FuzzExtensionInputs(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"prf":{"eval":{"first":"AA"}}}`, `{"largeBlob":{"write":"AA"}}`, `{"credentialProtectionPolicy":"userVerificationRequired"}`,
		`{"prf":{"evalByCredential":{"AAEC":{"first":"AA"}}}}`, `{"a\u0022":1}`, `{"prf":{},"\u0070rf":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, asked []byte) {
		for _, of := range []func() (json.RawMessage, error){
			func() (json.RawMessage, error) { return webauthn.CreationExtensions(asked) },
			func() (json.RawMessage, error) { return webauthn.RequestExtensions(asked, true) },
		} {
			got, err := of()
			if err != nil {
				if !errors.Is(err, webauthn.ErrExtension) {
					t.Fatalf("%q: %v", asked, err)
				}
				continue
			}
			var members map[string]json.RawMessage
			if got != nil && json.Unmarshal(got, &members) != nil {
				t.Fatalf("%q became %q", asked, got)
			}
			for name := range members {
				switch name {
				case "credProps", "prf", "largeBlob", "credentialProtectionPolicy", "enforceCredentialProtectionPolicy":
				default:
					t.Fatalf("%q passed %q", asked, name)
				}
			}
		}
	})
}
