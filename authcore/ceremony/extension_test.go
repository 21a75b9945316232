package ceremony_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What a page asks of extensions reaches the browser, and that it is there is kept with
// the credential: no output, in no table.
func TestExtensionsPassThrough(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	begun, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{
		User: profile(), Extensions: json.RawMessage(`{"prf":{"eval":{"first":"AAEC"}},"largeBlob":{"support":"preferred"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(begun.Options.Extensions), `{"credProps":true,"prf":{"eval":{"first":"AAEC"}},"largeBlob":{"support":"preferred"}}`; got != want {
		t.Errorf("extensions of the options = %s, want %s", got, want)
	}
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
	response := create(t, a, begun, authenticatortest.Deviation{Extensions: append([]byte("\xa1\x6bcredProtect"), 2)})
	response.ClientExtensionResults = json.RawMessage(`{"credProps":{"rk":true},"prf":{"enabled":true,"results":{"first":"` + secret + `"}},` +
		`"largeBlob":{"supported":false,"blob":"` + secret + `"}}`)
	done, err := w.FinishRegistration(t.Context(), acme, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: response})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := w.credentials.Get(t.Context(), acme, done.Credential.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []webauthn.ExtensionOutputs{done.Credential.Extensions, stored.Extensions} {
		if got.PRF == nil || !*got.PRF || got.LargeBlob == nil || *got.LargeBlob || got.CredProtect != "userVerificationOptionalWithCredentialIDList" {
			t.Errorf("extensions of the credential = %+v", got)
		}
	}
	signIn, err := w.BeginAuthentication(t.Context(), acme, ceremony.BeginAuthenticationRequest{
		UserID: done.User.ID.String(), Extensions: json.RawMessage(`{"prf":{"evalByCredential":{"` + done.Credential.ID.String() + `":{"first":"AAEC"}}}}`),
	})
	if err != nil || !strings.Contains(string(signIn.Options.Extensions), done.Credential.ID.String()) {
		t.Fatalf("extensions of a sign-in = %s, %v", signIn.Options.Extensions, err)
	}
	assertion := get(t, a, signIn, authenticatortest.Deviation{})
	assertion.ClientExtensionResults = json.RawMessage(`{"prf":{"results":{"first":"` + secret + `"}},"largeBlob":{"blob":"` + secret + `","written":true}}`)
	in, err := w.finish(t, acme, signIn, assertion)
	if err != nil || in.Decision != ceremony.Allow || in.Credential.Extensions.PRF == nil {
		t.Errorf("sign-in = %+v, %v", in, err)
	}
	for _, table := range []string{"credentials", "ceremonies", "audit_inbox", "event_outbox", "sessions"} {
		if n := w.one(t, "SELECT count(*) FROM "+table+" x WHERE x.tenant_id = $1 AND x::text LIKE '%' || $2 || '%'", acme.Tenant(), secret); n != 0 {
			t.Errorf("%d rows of %s hold an output", n, table)
		}
	}
	plain := w.begin(t, acme)
	if plain.Options.Extensions != nil {
		t.Errorf("a sign-in that asks for nothing has the extensions %s", plain.Options.Extensions)
	}
}

func TestExtensionsRefused(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	_, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{User: profile(), Extensions: json.RawMessage(`{"appidExclude":"https://acme.example"}`)})
	wantErr(t, "an extension that is not passed, at a registration", err, webauthn.ErrExtension)
	_, err = w.BeginAuthentication(t.Context(), acme, ceremony.BeginAuthenticationRequest{Extensions: json.RawMessage(`{"appid":"https://acme.example"}`)})
	wantErr(t, "an extension that is not passed, at a sign-in", err, webauthn.ErrExtension)
	byCredential := json.RawMessage(`{"prf":{"evalByCredential":{"AAEC":{"first":"AAEC"}}}}`)
	_, err = w.BeginAuthentication(t.Context(), acme, ceremony.BeginAuthenticationRequest{Extensions: byCredential})
	wantErr(t, "inputs by credential without a user", err, webauthn.ErrExtension)
	// Of people who do not exist it tells nothing.
	if _, err = w.BeginAuthentication(t.Context(), acme, ceremony.BeginAuthenticationRequest{ExternalID: "nobody", Extensions: byCredential}); err != nil {
		t.Errorf("inputs by credential of nobody: %v", err)
	}
}

// SECURITY 4: in a frame of another origin's page, only where policy names that page, and
// the client does too.
func TestCrossOriginByPolicy(t *testing.T) {
	w := newWorld(t)
	const partner = "https://partner.example"
	denied := w.tenant(t)
	allowed := w.policed(t, `{"crossOrigin":"ALLOW","topOrigins":["`+partner+`","https://shop.example:8443"]}`)
	listed := w.policed(t, `{"crossOrigin":"DENY","topOrigins":["`+partner+`"]}`)
	type frame = authenticatortest.Deviation
	for name, tt := range map[string]struct {
		dev frame
		ok  bool // where policy allows it
	}{
		"no frame":                      {frame{}, true},
		"a partner's page":              {frame{CrossOrigin: true, TopOrigin: partner}, true},
		"another partner's":             {frame{CrossOrigin: true, TopOrigin: "https://shop.example:8443"}, true},
		"another port":                  {frame{CrossOrigin: true, TopOrigin: "https://shop.example"}, false},
		"the default port":              {frame{CrossOrigin: true, TopOrigin: partner + ":443"}, false},
		"a final slash":                 {frame{CrossOrigin: true, TopOrigin: partner + "/"}, false},
		"http":                          {frame{CrossOrigin: true, TopOrigin: "http://partner.example"}, false},
		"upper case":                    {frame{CrossOrigin: true, TopOrigin: "https://PARTNER.example"}, false},
		"a subdomain":                   {frame{CrossOrigin: true, TopOrigin: "https://www.partner.example"}, false},
		"a name that begins alike":      {frame{CrossOrigin: true, TopOrigin: partner + ".evil.example"}, false},
		"null":                          {frame{CrossOrigin: true, TopOrigin: "null"}, false},
		"our own page around a foreign": {frame{CrossOrigin: true, TopOrigin: origin}, false},
		"a page that is not named":      {frame{CrossOrigin: true}, false},
		"an empty name":                 {frame{CrossOrigin: true, ExtraClientData: `"topOrigin":""`}, false},
		"a page without a frame":        {frame{TopOrigin: partner}, false},
		"two pages":                     {frame{CrossOrigin: true, TopOrigin: partner, ExtraClientData: `"topOrigin":"https://evil.example"`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, as := range []struct {
				policy string
				tenant scope.Scope
				want   bool
			}{
				{"policy denies", denied, name == "no frame"},
				{"policy allows", allowed, tt.ok},
				{"policy has a list that is not in force", listed, name == "no frame"},
			} {
				a := phone(t)
				begun := w.beginRegistration(t, as.tenant, profile())
				_, err := w.FinishRegistration(t.Context(), as.tenant, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: create(t, a, begun, tt.dev)})
				if (err == nil) != as.want {
					t.Errorf("%s: registration = %v, want accepted: %v", as.policy, err, as.want)
				}
				b := phone(t)
				w.enroll(t, as.tenant, b)
				if _, err = w.try(t, as.tenant, b, tt.dev); (err == nil) != as.want {
					t.Errorf("%s: sign-in = %v, want accepted: %v", as.policy, err, as.want)
				}
			}
		})
	}
}
