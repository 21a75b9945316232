package webauthn_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// What parseCreationOptionsFromJSON() and parseRequestOptionsFromJSON() are given.
func TestOptionsJSON(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options any
		want    string
	}{
		{
			name: "creation, all members",
			options: webauthn.CreationOptions{
				RP:        webauthn.Entity{ID: "example.org", Name: "Example"},
				User:      webauthn.UserEntity{ID: []byte{0xfb, 0xff}, Name: "alice", DisplayName: "Alice"},
				Challenge: []byte{1, 2, 3, 4}, Algorithms: []webauthn.Algorithm{webauthn.ES256, webauthn.RS256},
				Timeout:            5 * time.Minute,
				ExcludeCredentials: []webauthn.Descriptor{{ID: []byte{9}, Transports: []string{"usb", "nfc"}}, {ID: []byte{8}}},
				AuthenticatorSelection: webauthn.AuthenticatorSelection{
					AuthenticatorAttachment: webauthn.AttachmentPlatform, ResidentKey: webauthn.Required,
					RequireResidentKey: true, UserVerification: webauthn.Preferred,
				},
				Hints: []string{"client-device"}, Attestation: webauthn.ConveyanceDirect,
				AttestationFormats: []string{"packed"}, Extensions: json.RawMessage(`{"credProps":true}`),
			},
			want: `{"rp":{"id":"example.org","name":"Example"},"user":{"id":"-_8","name":"alice","displayName":"Alice"},` +
				`"challenge":"AQIDBA","pubKeyCredParams":[{"type":"public-key","alg":-7},{"type":"public-key","alg":-257}],` +
				`"timeout":300000,"excludeCredentials":[{"type":"public-key","id":"CQ","transports":["usb","nfc"]},{"type":"public-key","id":"CA"}],` +
				`"authenticatorSelection":{"authenticatorAttachment":"platform","residentKey":"required","requireResidentKey":true,"userVerification":"preferred"},` +
				`"hints":["client-device"],"attestation":"direct","attestationFormats":["packed"],"extensions":{"credProps":true}}`,
		},
		{
			name:    "creation, only what is required",
			options: webauthn.CreationOptions{RP: webauthn.Entity{Name: "Example"}, User: webauthn.UserEntity{ID: []byte{1}}, Challenge: []byte{1}},
			want:    `{"rp":{"name":"Example"},"user":{"id":"AQ","name":"","displayName":""},"challenge":"AQ","pubKeyCredParams":[]}`,
		},
		{
			name: "request, all members",
			options: webauthn.RequestOptions{
				Challenge: []byte{1, 2, 3, 4}, Timeout: time.Minute, RPID: "example.org",
				AllowCredentials: []webauthn.Descriptor{{ID: []byte{9}, Transports: []string{"internal"}}},
				UserVerification: webauthn.Required, Hints: []string{"hybrid"}, Extensions: json.RawMessage(`{"appid":"https://example.org"}`),
			},
			want: `{"challenge":"AQIDBA","timeout":60000,"rpId":"example.org","allowCredentials":[{"type":"public-key","id":"CQ","transports":["internal"]}],` +
				`"userVerification":"required","hints":["hybrid"],"extensions":{"appid":"https://example.org"}}`,
		},
		{name: "request, only what is required", options: webauthn.RequestOptions{Challenge: []byte{1}}, want: `{"challenge":"AQ"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("JSON =\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestBase64URL(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string
		ok   bool
	}{
		{"", "", true},
		{"-_8", "\xfb\xff", true},
		{"AQ", "\x01", true},
		{"AQ==", "\x01", true},
		{"AQI=", "\x01\x02", true},
		{"AQ=", "", false},
		{"AQID====", "", false},
		{"+/8", "", false},
		{"AR", "", false}, // stray bits
		{"AR==", "", false},
		{"A", "", false},
		{"AQ\n", "", false},
		{"A\r\nQ", "", false},
		{" AQ", "", false},
	} {
		got, err := webauthn.DecodeBase64URL(tt.text)
		if (err == nil) != tt.ok || tt.ok && string(got) != tt.want {
			t.Errorf("DecodeBase64URL(%q) = %q, %v, want %q, ok %v", tt.text, got, err, tt.want, tt.ok)
		}
	}
	if got := webauthn.EncodeBase64URL([]byte{0xfb, 0xff}); got != "-_8" {
		t.Errorf("EncodeBase64URL = %q, want -_8", got)
	}
}

func TestMalformedResponseJSON(t *testing.T) {
	for _, text := range []string{``, `null0`, `[]`, `{"id":1}`, `{"rawId":"+"}`, `{"response":{"clientDataJSON":7}}`, `{"response":[]}`} {
		_, err := webauthn.ParseRegistrationResponse([]byte(text))
		checkOutcome(t, err, webauthn.ErrMalformed)
		_, err = webauthn.ParseAssertionResponse([]byte(text))
		checkOutcome(t, err, webauthn.ErrMalformed)
	}
}
