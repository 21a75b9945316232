package browsertest_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// kept is what Biocore keeps of a credential's extensions.
type kept struct {
	Discoverable bool `json:"discoverable"`
	Extensions   struct {
		PRF       *bool `json:"prf"`
		LargeBlob *bool `json:"largeBlob"`
	} `json:"extensions"`
}

// ran is what a page's call of the SDK came to, with all that was sent to Biocore for it.
type ran struct {
	Decision   string `json:"decision"`
	UserID     string `json:"userId"`
	Extensions struct {
		PRF struct {
			Enabled bool `json:"enabled"`
			Results struct {
				First  string `json:"first"`
				Second string `json:"second"`
			} `json:"results"`
		} `json:"prf"`
		LargeBlob struct {
			Supported bool   `json:"supported"`
			Written   bool   `json:"written"`
			Blob      string `json:"blob"`
		} `json:"largeBlob"`
		CredProps struct {
			RK bool `json:"rk"`
		} `json:"credProps"`
	} `json:"extensions"`
	Sent    string `json:"sent"`
	Problem string `json:"problem"` // the reason, when the SDK threw
}

// app is a page that uses the SDK by itself, as a customer's own would.
type app struct {
	*browsertest.Visitor
	biocore *browsertest.Biocore
	tenant  browsertest.Tenant
	baseURL string // where the page reaches Biocore
	sdk     string // where the page has the SDK
}

// run calls a method of the SDK's with options in JSON.
func (a app) run(t *testing.T, method string, options map[string]any) ran {
	t.Helper()
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	return browsertest.Eval[ran](a.Visitor, fmt.Sprintf(`import(%q).then(async ({Biocore}) => {
		const sent = [];
		const biocore = new Biocore({baseUrl: %q, publishableKey: %q, fetch: (url, init) => { sent.push(init.body); return fetch(url, init); }});
		try {
			const r = await biocore.%s(%s);
			return {decision: r.decision ?? "", userId: r.user?.id ?? "", extensions: r.clientExtensionResults, sent: sent.join(" ")};
		} catch (e) {
			return {problem: e.reason ?? String(e), sent: sent.join(" ")};
		}
	})`, a.sdk, a.baseURL, a.tenant.PublishableKey, method, text))
}

// register enrolls a newcomer, and returns their id.
func (a app) register(t *testing.T, extensions map[string]any) (string, ran) {
	t.Helper()
	name := "sdk-" + strings.ToLower(rand.Text())
	var made struct {
		Token string `json:"token"`
	}
	a.biocore.CallAs(t, a.tenant.SecretKey, "POST", "/v1/registrationTokens", map[string]any{"user": map[string]any{"externalId": name, "name": name, "displayName": "Ada"}}, &made)
	options := map[string]any{"registrationToken": made.Token}
	if extensions != nil {
		options["extensions"] = extensions
	}
	got := a.run(t, "register", options)
	if got.Problem != "" || got.UserID == "" {
		t.Fatalf("register: %+v", got)
	}
	return got.UserID, got
}

// kept is the one credential of a user's, as Biocore has it.
func (a app) kept(t *testing.T, userID string) kept {
	t.Helper()
	var list struct {
		Credentials []kept `json:"credentials"`
	}
	a.biocore.CallAs(t, a.tenant.SecretKey, "GET", "/v1/users/"+url.PathEscape(userID)+"/credentials", nil, &list)
	if len(list.Credentials) != 1 {
		t.Fatalf("%d credentials, want 1", len(list.Credentials))
	}
	return list.Credentials[0]
}

// extended is an app on the demo's own origin, with an authenticator that knows extensions.
func (b bank) extended(t *testing.T) app {
	t.Helper()
	v := b.chromium.Visitor(t)
	v.ExtendedAuthenticator()
	v.Open(b.biocore.DemoURL + "/enroll")
	sdk := browsertest.Eval[string](v, `new URL("../biocore.js", document.querySelector("script[type=module]").src).href`)
	return app{Visitor: v, biocore: b.biocore, tenant: b.biocore.Tenants[0], baseURL: b.biocore.APIURL, sdk: sdk}
}

// prf is what a page encrypts with: the same salt gives the same secret at each sign-in, and
// no secret leaves the page.
func (b bank) prf(t *testing.T) {
	a := b.extended(t)
	user, made := a.register(t, map[string]any{"prf": map[string]any{}})
	if !made.Extensions.PRF.Enabled || !made.Extensions.CredProps.RK {
		t.Errorf("the browser says %+v, want a discoverable passkey that can", made.Extensions)
	}
	if k := a.kept(t, user); k.Extensions.PRF == nil || !*k.Extensions.PRF || !k.Discoverable {
		t.Errorf("Biocore keeps %+v", k)
	}
	signIn := func(first, second string) ran {
		t.Helper()
		got := a.run(t, "signIn", map[string]any{"extensions": map[string]any{"prf": map[string]any{"eval": map[string]any{"first": first, "second": second}}}})
		if got.Decision != "ALLOW" || got.Problem != "" {
			t.Fatalf("signIn: %+v", got)
		}
		return got
	}
	one, again, other := signIn("c2FsdA", "b3RoZXI"), signIn("c2FsdA", "b3RoZXI"), signIn("bmV3IHNhbHQ", "b3RoZXI")
	secret := one.Extensions.PRF.Results
	if len(secret.First) != 43 || len(secret.Second) != 43 || secret.First == secret.Second {
		t.Errorf("secrets %+v, want two different ones of 32 bytes", secret)
	}
	if again.Extensions.PRF.Results != secret {
		t.Errorf("the same salts give %+v, then %+v", secret, again.Extensions.PRF.Results)
	}
	if other.Extensions.PRF.Results.First == secret.First || other.Extensions.PRF.Results.Second != secret.Second {
		t.Errorf("another first salt gives %+v after %+v", other.Extensions.PRF.Results, secret)
	}
	if strings.Contains(one.Sent, secret.First) || strings.Contains(one.Sent, secret.Second) || !strings.Contains(one.Sent, "authenticationId") {
		t.Errorf("sent to Biocore: %s", one.Sent)
	}
}

// largeBlob is what a page keeps with the passkey: it reads what it wrote, and Biocore does not.
func (b bank) largeBlob(t *testing.T) {
	a := b.extended(t)
	user, made := a.register(t, map[string]any{"largeBlob": map[string]any{"support": "required"}})
	if !made.Extensions.LargeBlob.Supported {
		t.Errorf("the browser says %+v, want a passkey that can", made.Extensions)
	}
	if k := a.kept(t, user); k.Extensions.LargeBlob == nil || !*k.Extensions.LargeBlob {
		t.Errorf("Biocore keeps %+v", k)
	}
	const blob = "YSBzZWNyZXQgb2YgdGhlIHVzZXIncw"
	// Writing takes one passkey that is named.
	wrote := a.run(t, "signIn", map[string]any{"userId": user, "extensions": map[string]any{"largeBlob": map[string]any{"write": blob}}})
	if wrote.Decision != "ALLOW" || !wrote.Extensions.LargeBlob.Written {
		t.Fatalf("writing: %+v", wrote)
	}
	read := a.run(t, "signIn", map[string]any{"extensions": map[string]any{"largeBlob": map[string]any{"read": true}}})
	if read.Decision != "ALLOW" || read.Extensions.LargeBlob.Blob != blob {
		t.Errorf("reading: %+v, want %s", read, blob)
	}
	if strings.Contains(read.Sent, blob) {
		t.Errorf("sent to Biocore: %s", read.Sent)
	}
}
