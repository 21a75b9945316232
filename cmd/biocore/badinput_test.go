package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// bad is one call that must be refused. prepare does what is good before it.
type bad struct {
	name    string
	prepare func(t *testing.T, w *world, c *customer) func() answer
	status  int
	reason  string
	leaves  []string // tables that change all the same, beside refusalsLeave
}

// refuse runs the cases: a clear answer with a reason of the catalogue, and nothing
// half-written. The customer has one enrolled user; with nil each case has one of its
// own, for cases that prepare what others would stumble over.
func (w *world) refuse(t *testing.T, shared *customer, cases []bad) {
	t.Helper()
	catalogue, err := os.ReadFile(filepath.Join(top(t), "docs/errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	conn := w.store.Superuser(t)
	for i, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			c := shared
			if c == nil {
				c = w.tenant(t, fmt.Sprintf("tenant-%d", i))
				w.enroll(t, c, "alice")
			}
			call := tt.prepare(t, w, c)
			leaves := append(append([]string{}, refusalsLeave...), tt.leaves...)
			before := fingerprint(t, conn, c.id, leaves...)
			a := call()
			if a.status != tt.status || a.reason() != tt.reason || a.text("message") == "" {
				t.Errorf("%s, want %d %s", a, tt.status, tt.reason)
			}
			if !bytes.Contains(catalogue, []byte("| `"+tt.reason+"` |")) {
				t.Errorf("%s is not in the catalogue", tt.reason)
			}
			if after := fingerprint(t, conn, c.id, leaves...); after != before {
				t.Errorf("something is left behind:\n%s\n%s", before, after)
			}
		})
	}
}

// sends is a case that needs nothing before it but the call.
func sends(method, path string, body any, headers ...string) func(*testing.T, *world, *customer) func() answer {
	return func(t *testing.T, w *world, c *customer) func() answer {
		return func() answer { return w.call(t, method, path, c.secret, body, headers...) }
	}
}

// What cannot be read, on the two paths that read with decoders of their own and on
// one that uses the common one.
func TestBadJSON(t *testing.T) {
	var cases []bad
	malformed := func(name, body string) {
		for _, path := range []string{"/v1/authentications:finish", "/v1/authentications:begin", "/v1/registrations:finish", "/v1/users"} {
			cases = append(cases, bad{name: name + " at " + path, prepare: sends("POST", path, body), status: http.StatusBadRequest, reason: "REQUEST_MALFORMED"})
		}
	}
	malformed("cut off", `{"authenticationId":"AAAA`)
	malformed("two values", `{}{}`)
	malformed("a list", `[]`)
	malformed("a key twice", `{"authenticationId":"AAAA","authenticationId":"BBBB"}`)
	malformed("a key twice, once escaped", `{"userId":"AAAA","user\u0049d":"BBBB"}`)
	malformed("a key twice, deep inside", `{"unknown":{"a":[{"b":1,"b":2}]}}`)
	malformed("seventeen levels", `{"unknown":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)+`}`)
	malformed("levels without end", strings.Repeat(`{"a":`, 12_000))
	malformed("no UTF-8", "{\"externalId\":\"\xff\"}")
	malformed("half a surrogate", `{"externalId":"\ud800"}`)
	malformed("a comment", `{/* */}`)
	malformed("a number beyond all", `{"unknown":1e999999999x}`)

	kib := strings.Repeat("x", 1<<10)
	cases = append(cases,
		bad{"too large", sends("POST", "/v1/users", `{"name":"`+strings.Repeat(kib, 64)+`"}`), http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", nil},
		bad{"too large a sign-in", sends("POST", "/v1/authentications:finish", `{"authenticationId":"`+strings.Repeat(kib, 64)+`"}`), http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", nil},
		bad{"far too large", sends("POST", "/v1/registrations:finish", strings.Repeat(kib, 1<<10)), http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", nil},
		bad{"another type of member", sends("POST", "/v1/users", `{"externalId":7,"name":"x"}`), http.StatusBadRequest, "REQUEST_MALFORMED", nil},
		bad{"another type in a sign-in", sends("POST", "/v1/authentications:finish", `{"authenticationId":["a"]}`), http.StatusBadRequest, "REQUEST_MALFORMED", nil},
		bad{"a form", sends("POST", "/v1/users", `externalId=x`, "Content-Type", "application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType, "MEDIA_TYPE_UNSUPPORTED", nil},
		bad{"another charset", sends("POST", "/v1/users", `{}`, "Content-Type", "application/json; charset=utf-16"), http.StatusUnsupportedMediaType, "MEDIA_TYPE_UNSUPPORTED", nil},
		bad{"compressed", sends("POST", "/v1/users", `{}`, "Content-Encoding", "gzip"), http.StatusUnsupportedMediaType, "MEDIA_TYPE_UNSUPPORTED", nil},
		bad{"nothing", sends("POST", "/v1/registrations:finish", ``), http.StatusBadRequest, "REQUEST_INVALID", nil},
		bad{"null for a credential", sends("POST", "/v1/authentications:finish", `{"authenticationId":"AAAA","credential":null}`), http.StatusBadRequest, "REQUEST_INVALID", nil},
		bad{"a user named twice", sends("POST", "/v1/authentications:begin", `{"userId":"a","externalId":"b"}`), http.StatusBadRequest, "REQUEST_MALFORMED", nil},
		bad{"a query that is not there", sends("GET", "/v1/users?pageSize=many", nil), http.StatusBadRequest, "REQUEST_MALFORMED", nil},
		bad{"a page of none", sends("GET", "/v1/users?pageSize=0", nil), http.StatusBadRequest, "REQUEST_INVALID", nil},
		bad{"a page token of nobody", sends("GET", "/v1/users?pageToken=AAAA", nil), http.StatusBadRequest, "PAGE_TOKEN_INVALID", nil},
		bad{"a filter that is none", sends("GET", "/v1/users?filter=drop%20table", nil), http.StatusBadRequest, "FILTER_INVALID", nil},
		bad{"a path that is none", sends("POST", "/v1/nothing", `{}`), http.StatusNotFound, "ROUTE_UNKNOWN", nil},
		bad{"another method", sends("PUT", "/v1/users", `{}`), http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", nil},
		bad{"a name with a control character", sends("POST", "/v1/users", map[string]any{"externalId": "x", "name": "a\u0000b"}), http.StatusBadRequest, "USER_NAME_INVALID", nil},
		bad{"an external id in disguise", sends("POST", "/v1/users", map[string]any{"externalId": "al\u200bice", "name": "a"}), http.StatusBadRequest, "EXTERNAL_ID_INVALID", nil},
	)
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	w.refuse(t, c, cases)
}

// What an authenticator's answer must not look like: the honest one, changed.
func TestBadAttestation(t *testing.T) {
	changed := func(change func(r *authenticatortest.RegistrationResponse)) func(*testing.T, *world, *customer) func() answer {
		return func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, c, newcomer, authenticatortest.Deviation{})
			change(&made)
			return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
		}
	}
	object := func(change func(b []byte) []byte) func(*testing.T, *world, *customer) func() answer {
		return changed(func(r *authenticatortest.RegistrationResponse) {
			r.AttestationObject = change(bytes.Clone(r.AttestationObject))
		})
	}
	text := func(change func(body string) string) func(*testing.T, *world, *customer) func() answer {
		return func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, c, newcomer, authenticatortest.Deviation{})
			body := string(marshal(t, map[string]any{"registrationId": begun.text("registrationId"), "credential": json.RawMessage(marshal(t, made))}))
			return func() answer { return w.call(t, "POST", "/v1/registrations:finish", c.secret, change(body)) }
		}
	}
	const malformed, invalid = "CREDENTIAL_MALFORMED", "REQUEST_INVALID"
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	w.refuse(t, c, []bad{
		{"no CBOR", object(func([]byte) []byte { return []byte("not CBOR") }), 400, malformed, nil},
		{"an empty object", object(func([]byte) []byte { return []byte{0xa0} }), 400, malformed, nil},
		{"cut off", object(func(b []byte) []byte { return b[:len(b)-20] }), 400, malformed, nil},
		{"something after it", object(func(b []byte) []byte { return append(b, 0) }), 400, malformed, nil},
		{"a length that lies", object(func(b []byte) []byte { b[0] = 0xbb; return b }), 400, malformed, nil},
		{"of no declared length", object(func(b []byte) []byte { b[0] = 0xbf; return append(b, 0xff) }), 400, malformed, nil},
		{"lists in lists", object(func([]byte) []byte { return append(bytes.Repeat([]byte{0x81}, 4000), 0x80) }), 400, malformed, nil},
		{"a key twice", object(func(b []byte) []byte { b[0]++; return append(b, append([]byte("\x63fmt"), "\x64none"...)...) }), 400, malformed, nil},
		{"a format of the future", object(func(b []byte) []byte { return bytes.Replace(b, []byte("dnone"), []byte("dnext"), 1) }), 400, "ATTESTATION_FORMAT_UNSUPPORTED", []string{"ceremonies", "evidence"}},
		{"a public key of no algorithm we asked for", object(func(b []byte) []byte {
			return bytes.Replace(b, []byte{0x01, 0x02, 0x03, 0x26}, []byte{0x01, 0x02, 0x03, 0x28}, 1)
		}), 400, "ALGORITHM_NOT_ALLOWED", nil},
		{"a point off the curve", object(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), 400, malformed, nil},
		{"client data that is no JSON", changed(func(r *authenticatortest.RegistrationResponse) { r.ClientDataJSON = []byte("not JSON") }), 400, malformed, nil},
		{"client data with a key twice", changed(func(r *authenticatortest.RegistrationResponse) {
			r.ClientDataJSON = bytes.Replace(r.ClientDataJSON, []byte(`{`), []byte(`{"type":"webauthn.create",`), 1)
		}), 400, malformed, nil},
		{"an id that is not the authenticator's", changed(func(r *authenticatortest.RegistrationResponse) { r.CredentialID = []byte("another credential") }), 400, malformed, nil},
		{"base64 with padding", text(func(s string) string { return strings.Replace(s, `","type":"public-key"`, `=","type":"public-key"`, 1) }), 400, invalid, nil},
		{"base64 of the other alphabet", text(func(s string) string {
			return strings.Replace(s, `"attestationObject":"`, `"attestationObject":"+/`, 1)
		}), 400, invalid, nil},
		{"base64 with a line break", text(func(s string) string { return strings.Replace(s, `"clientDataJSON":"`, `"clientDataJSON":"\n`, 1) }), 400, invalid, nil},
		{"base64 with stray bits", text(func(s string) string { return strings.Replace(s, `"rawId":"`, `"rawId":"A`, 1) }), 400, malformed, nil},
		{"another type of credential", text(func(s string) string { return strings.Replace(s, `"type":"public-key"`, `"type":"password"`, 1) }), 400, invalid, nil},
		{"no attestation object", text(func(s string) string { return strings.Replace(s, `"attestationObject"`, `"attestation"`, 1) }), 400, invalid, nil},
		{"extensions too deep", text(func(s string) string {
			return strings.Replace(s, `"clientExtensionResults":{`, `"clientExtensionResults":{"x":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)+`,`, 1)
		}), 400, "REQUEST_MALFORMED", nil},
	})
}

// newcomer is a person whom nobody has seen.
var newcomer = map[string]any{"user": map[string]any{"externalId": "newcomer", "name": "newcomer"}}

// create begins a registration with the server key and has the authenticator answer
// it, in some deviation.
func (w *world) create(t testing.TB, c *customer, begin map[string]any, dev authenticatortest.Deviation) (answer, authenticatortest.RegistrationResponse) {
	t.Helper()
	begun := w.must(t, "POST", "/v1/registrations:begin", c.secret, begin)
	made, err := c.authenticator.CreateWith(marshal(t, begun.at("options")), origin, dev)
	if err != nil {
		t.Fatal(err)
	}
	return begun, made
}

func (w *world) finishRegistration(t testing.TB, c *customer, key string, begun answer, made authenticatortest.RegistrationResponse) answer {
	t.Helper()
	return w.call(t, "POST", "/v1/registrations:finish", key, map[string]any{
		"registrationId": begun.text("registrationId"), "credential": json.RawMessage(marshal(t, made)),
	})
}
