package webauthn_test

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// Client data as an attacker's page, or a careless client, might write it. The
// signature over it is good each time. Depth, duplicates and size are control
// 38 of the threat model.
func TestHostileClientData(t *testing.T) {
	const head = `{"type":"webauthn.get","challenge":"CHALLENGE","origin":"https://login.example.org"`
	for _, tt := range []struct {
		name string
		text string
		want error
	}{
		{"spaces and line breaks between tokens", "\t{ \"type\" :\"webauthn.get\",\r\n\"challenge\":\"CHALLENGE\" , \"origin\":\"https://login.example.org\" }\n", nil},
		{"the origin spelled with escapes", `{"type":"webauthn.get","challenge":"CHALLENGE","origin":"https:\/\/login.ex\u0061mple.org"}`, nil},
		{"every kind of value", head + `,"a":[0,-1.5e+3,1E9,0.25,true,false,null,"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00",{}]}`, nil},
		{"crossOrigin false", head + `,"crossOrigin":false}`, nil},
		{"nested 16 deep", head + `,"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, nil},
		{"64 members", head + manyMembers(61) + `}`, nil},

		{"nested 17 deep", head + `,"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, webauthn.ErrMalformed},
		{"objects nested 17 deep", head + `,"a":` + strings.Repeat(`{"a":`, 16) + `1` + strings.Repeat("}", 16) + `}`, webauthn.ErrMalformed},
		{"65 members", head + manyMembers(62) + `}`, webauthn.ErrMalformed},
		{"longer than 16 KiB", head + `,"a":"` + strings.Repeat("a", 16<<10) + `"}`, webauthn.ErrMalformed},
		{"origin twice, the good one last", `{"origin":"https://evil.example",` + head[1:] + `}`, webauthn.ErrMalformed},
		{"origin twice, the good one first", head + `,"origin":"https://evil.example"}`, webauthn.ErrMalformed},
		{"origin twice, once with an escape", head + `,"or\u0069gin":"https://evil.example"}`, webauthn.ErrMalformed},
		{"an unknown name twice", head + `,"a":1,"a":1}`, webauthn.ErrMalformed},
		{"a name twice inside", head + `,"a":[{"b":1,"b":2}]}`, webauthn.ErrMalformed},
		{"names in another letter case", `{"TYPE":"webauthn.get","Challenge":"CHALLENGE","ORIGIN":"https://login.example.org"}`, webauthn.ErrMalformed},
		{"no type", `{"challenge":"CHALLENGE","origin":"https://login.example.org"}`, webauthn.ErrMalformed},
		{"no challenge", `{"type":"webauthn.get","origin":"https://login.example.org"}`, webauthn.ErrMalformed},
		{"no origin", `{"type":"webauthn.get","challenge":"CHALLENGE"}`, webauthn.ErrMalformed},
		{"origin is null", `{"type":"webauthn.get","challenge":"CHALLENGE","origin":null}`, webauthn.ErrMalformed},
		{"origin is empty", `{"type":"webauthn.get","challenge":"CHALLENGE","origin":""}`, webauthn.ErrOrigin},
		{"origin is a list", `{"type":"webauthn.get","challenge":"CHALLENGE","origin":["https://login.example.org"]}`, webauthn.ErrMalformed},
		{"crossOrigin is a string", head + `,"crossOrigin":"false"}`, webauthn.ErrMalformed},
		{"crossOrigin is a number", head + `,"crossOrigin":0}`, webauthn.ErrMalformed},
		{"topOrigin is null", head + `,"topOrigin":null}`, webauthn.ErrMalformed},
		{"not an object", `["webauthn.get"]`, webauthn.ErrMalformed},
		{"empty", ``, webauthn.ErrMalformed},
		{"only a byte order mark", "\ufeff", webauthn.ErrMalformed},
		{"two byte order marks", "\ufeff\ufeff" + head + `}`, webauthn.ErrMalformed},
		{"two objects", head + `}{}`, webauthn.ErrMalformed},
		{"trailing comma", head + `,}`, webauthn.ErrMalformed},
		{"trailing comma in a list", head + `,"a":[1,]}`, webauthn.ErrMalformed},
		{"single quotes", `{'type':'webauthn.get'}`, webauthn.ErrMalformed},
		{"a comment", head + `/* */}`, webauthn.ErrMalformed},
		{"name without quotes", head + `,a:1}`, webauthn.ErrMalformed},
		{"number with a leading zero", head + `,"a":01}`, webauthn.ErrMalformed},
		{"number with a plus", head + `,"a":+1}`, webauthn.ErrMalformed},
		{"number without a fraction", head + `,"a":1.}`, webauthn.ErrMalformed},
		{"number without an exponent", head + `,"a":1e}`, webauthn.ErrMalformed},
		{"minus alone", head + `,"a":-}`, webauthn.ErrMalformed},
		{"NaN", head + `,"a":NaN}`, webauthn.ErrMalformed},
		{"a literal and more", head + `,"a":nullx}`, webauthn.ErrMalformed},
		{"a line break in a string", head + ",\"a\":\"\n\"}", webauthn.ErrMalformed},
		{"a line break after an escape", head + ",\"a\":\"\\t\n\"}", webauthn.ErrMalformed},
		{"a NUL after the object", head + "}\x00", webauthn.ErrMalformed},
		{"an escape that does not exist", head + `,"a":"\x41"}`, webauthn.ErrMalformed},
		{"a short unicode escape", head + `,"a":"\u12"}`, webauthn.ErrMalformed},
		{"a signed unicode escape", head + `,"a":"\u+041"}`, webauthn.ErrMalformed},
		{"a high surrogate alone", head + `,"a":"\ud83d"}`, webauthn.ErrMalformed},
		{"a low surrogate alone", head + `,"a":"\ude00"}`, webauthn.ErrMalformed},
		{"two high surrogates", head + `,"a":"\ud83d\ud83d"}`, webauthn.ErrMalformed},
		{"cut within an escape", head + `,"a":"\`, webauthn.ErrMalformed},
		{"cut within a string after an escape", head + `,"a":"\t`, webauthn.ErrMalformed},
		{"cut within a name", head + `,"a`, webauthn.ErrMalformed},
		{"cut after a colon", head + `,"a":`, webauthn.ErrMalformed},
		{"cut within a list", head + `,"a":[1`, webauthn.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := request{dev: clientData(tt.text)}.run(t)
			checkOutcome(t, err, tt.want)
		})
	}
}

// manyMembers returns n members with names that nobody knows, each after a comma.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"member` + strings.Repeat("x", i) + `":0`)
	}
	return b.String()
}

// Origins are compared byte for byte: whatever an attacker can make a browser
// report is none of the listed ones (control 4 of the threat model).
func TestHostileOrigins(t *testing.T) {
	for _, hostile := range []string{
		"null",
		"https://",
		"https://example.org",
		"https://login.example.org:443",
		"https://login.example.org:8443",
		"https://login.example.org/",
		"https://login.example.org.",
		"https://login.example.org.evil.example",
		"https://login.example.org@evil.example",
		"https://evil.example/login.example.org",
		"https://evil-login.example.org",
		"https://sub.login.example.org",
		"https://LOGIN.example.org",
		"HTTPS://login.example.org",
		"http://login.example.org",
		"ftp://login.example.org",
		"https:login.example.org",
		"https://login.example.org\x00",
		"https://login.example.org ",
		"https://lоgin.example.org", // a Cyrillic о
		"https://xn--lgin-8ed.example.org",
		"android:apk-key-hash:gx7sq_pxhxhrIQdLyfG0pxKwiJ7hOk2DJQ4xvKd438Q",
		"chrome-extension://login.example.org",
	} {
		t.Run(hostile, func(t *testing.T) {
			for _, as := range []authenticatortest.Deviation{{}, {CrossOrigin: true}} {
				_, err := request{origin: hostile, dev: as, rp: allowCrossOrigin}.run(t)
				checkOutcome(t, err, webauthn.ErrOrigin)
			}
		})
	}
	t.Run("a native app's, listed", func(t *testing.T) {
		const app = "android:apk-key-hash:gx7sq_pxhxhrIQdLyfG0pxKwiJ7hOk2DJQ4xvKd438Q"
		_, err := request{origin: app, rp: func(rp *webauthn.RP) { rp.Origins = []string{origin, app} }}.run(t)
		checkOutcome(t, err, nil)
	})
}
