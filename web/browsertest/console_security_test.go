package browsertest_test

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleSecurity is what somebody of security does in a day: they make and lock a key,
// read a token, and change the policy.
func TestConsoleSecurity(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.See(".toast", "You are a member now")
	base := ana.url + "/t/acme"

	ana.Open(base + "/apikeys/new")
	ana.Inspect("console-apikey-new")
	ana.Type("#key-name", "checkout, production")
	ana.Click(`[name=scopes][value="users:read"]`)
	ana.Type("#key-networks", "192.0.2.0/24")
	ana.Type("#key-reason", "the new shop")
	ana.Follow("form[action$='/apikeys'] .btn.primary")
	ana.See("h1", "Copy the key now")
	if plain := ana.Read(".code-box .code"); !strings.HasPrefix(plain, "bk_test_") {
		t.Errorf("the key is %q", plain)
	}
	ana.Inspect("console-apikey-shown")
	ana.Follow(".row.end .btn.primary")
	ana.See("h1", "checkout, production")
	ana.Inspect("console-apikey")
	ana.Type("#lock-reason", "seen in a log")
	ana.Follow("#lock .btn.primary")
	ana.See(".toast", "Key locked")
	ana.Open(base + "/apikeys")
	ana.See("main", "Locked")
	ana.Inspect("console-apikeys")

	ana.Open(base + "/signing-keys")
	ana.See("main", "Active")
	ana.Inspect("console-signing-keys")
	ana.decodeToken(t, base)

	ana.Open(base + "/policies")
	ana.See("h1", "Policy")
	ana.Inspect("console-policy")
	ana.Open(base + "/policies?view=json")
	ana.See("#document-verdict", "Valid")
	browsertest.Eval[bool](ana.Visitor, `(() => { const f = document.getElementById("document"); f.value = f.value.replace('"accessTokenSeconds": 600', '"accessTokenSeconds": 5'); return f.dispatchEvent(new Event("input", { bubbles: true })); })()`)
	ana.See("#document-verdict", "Line")
	ana.See("#document-error", "between 60 and 3600")
	ana.Inspect("console-policy-error")
	browsertest.Eval[bool](ana.Visitor, `(() => { const f = document.getElementById("document"); f.value = f.value.replace('"accessTokenSeconds": 5,', '"accessTokenSeconds": 300,'); return f.dispatchEvent(new Event("input", { bubbles: true })); })()`)
	ana.See("#document-verdict", "Valid")
	ana.Follow(".page-h [value=simulate]")
	ana.See("#changes", "300")
	ana.See("#tried", "Unaffected")
	ana.Inspect("console-policy-draft")
	ana.Type("#activate-reason", "shorter tokens")
	ana.Follow("form[action$='/activate'] .btn.primary")
	ana.See(".toast", "The policy is in force")
	ana.Open(base + "/policies/versions")
	ana.Inspect("console-policy-versions")
	ana.Open(base + "/policies/versions/1")
	ana.See("main", "Roll back")
	ana.Inspect("console-policy-version")

	ana.Open(base + "/authenticators")
	ana.See("h1", "Authenticators")
	ana.Inspect("console-authenticators")
	ana.Open(base + "/authenticators/roots")
	ana.See("h1", "Trusted roots")
	ana.Inspect("console-roots")
	ana.logStream(t, base)
}

// logStream sends the audit log to a sink that is not there, and lives with it.
func (c colleague) logStream(t *testing.T, base string) {
	t.Helper()
	c.Open(base + "/log-streams")
	c.See("main", "The audit log is sent nowhere")
	c.Inspect("console-log-streams-none")
	c.Follow(".actions a.btn.primary")
	c.See("h1", "New log stream")
	c.Inspect("console-log-stream-kinds")
	c.Follow(`a[href$="kind=ELASTICSEARCH"]`)
	c.Type("#stream-name", "SOC, Frankfurt")
	c.Type("#stream-address", "https://10.20.30.40:9200")
	c.Type("#stream-credential", "cHJvZHVjdGlvbjprZXk=")
	c.Type("#stream-index", "biocore-audit")
	c.Type("#stream-actions", "credential.")
	c.Click(`[name=redact][value="userAgent"]`)
	c.Type("#stream-reason", "the SOC wants it")
	c.Follow("form.wide-form .btn.primary")
	c.See("#stream-address-error", "not of the public Internet")
	if kept := browsertest.Eval[string](c.Visitor, `JSON.stringify([document.getElementById("stream-index").value, document.querySelector('[name=redact]:checked').value, document.getElementById("stream-credential").value])`); kept != `["biocore-audit","userAgent",""]` {
		t.Errorf("of a refused form there is %s", kept)
	}
	c.Inspect("console-log-stream-refused")
	c.Type("#stream-address", "https://logs.invalid:9200")
	c.Type("#stream-credential", "cHJvZHVjdGlvbjprZXk=")
	c.Follow("form.wide-form .btn.primary")
	c.See("h1", "SOC, Frankfurt")
	c.See(".toast", "The stream delivers from now on")
	c.Follow(`form[action$="/test"] button`)
	c.See(".callout.bad", "The event’s id is")
	c.Inspect("console-log-stream")
	c.Type("#replay-seq", "0")
	browsertest.Eval[bool](c.Visitor, `(() => { document.getElementById("replay-since").value = "2026-01-02T03:04"; return true; })()`) // typing follows the visitor's language
	c.Type("#replay-reason", "lost an index")
	c.Follow("#replay .btn.primary")
	c.See("#replay-seq-error", "Either a number that the log has, or a time")
	c.Inspect("console-log-stream-replay")
	browsertest.Eval[bool](c.Visitor, `(() => { document.getElementById("replay-since").value = ""; return true; })()`)
	c.Follow("#replay .btn.primary")
	c.See(".toast", "Sent again from there on")
	c.Follow(`a[href$="/edit"]`)
	c.See("h1", "Change SOC, Frankfurt")
	c.Inspect("console-log-stream-edit")
	c.Open(base + "/log-streams")
	c.See("tbody", "SOC, Frankfurt")
	c.Inspect("console-log-streams")
	c.Follow("tbody a[href]")
	c.Type("#delete-confirm", "SOC, Frankfurt")
	c.Type("#delete-reason", "over")
	c.Follow("#delete .btn.primary")
	c.See(".toast", "Log stream deleted")
	c.See("main", "The audit log is sent nowhere")
}

// decodeToken reads tokens that the page makes for itself, and looks at each request meanwhile:
// none carries any part of a token.
func (c colleague) decodeToken(t *testing.T, base string) {
	t.Helper()
	c.Open(base + "/signing-keys/decoder")
	// A key of nobody: the tenant's own key set is asked for, and has it not.
	browsertest.Eval[bool](c.Visitor, `(() => {
		const part = (value) => btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
		const field = document.getElementById("token");
		const now = Math.floor(Date.now() / 1000);
		field.value = part({ alg: "ES256", kid: "nobody" }) + "." + part({ iss: "https://elsewhere.example", sub: "secret-subject-of-a-token", exp: now - 120 }) + ".AAAA";
		return field.dispatchEvent(new Event("input", { bubbles: true }));
	})()`)
	c.See("#token-verdict", "No key fits")
	c.See("#token-verdict", "not by this tenant")
	c.See("#token-times", "2 min ago")
	// The same page with the key set of the key that it made.
	c.Open(base + "/signing-keys/decoder")
	browsertest.Eval[bool](c.Visitor, `(() => { window.sent = []; return true; })()`)
	browsertest.Eval[bool](c.Visitor, decoderWithKey)
	c.See("#token-verdict", "The signature is good")
	c.Inspect("console-decoder")
	browsertest.Eval[bool](c.Visitor, `(() => { const [h, b, s] = window.token.split("."); window.paste(h + "." + b + "." + s.slice(0, -4) + "AAAA"); return true; })()`)
	c.See("#token-verdict", "The signature is wrong")
	browsertest.Eval[bool](c.Visitor, `(() => { window.paste(window.token.split(".")[0] + ".e.e.e.e"); return true; })()`)
	c.See("#token-verdict", "It is encrypted")
	browsertest.Eval[bool](c.Visitor, `(() => { window.paste("hello"); return true; })()`)
	c.See("#token-verdict", "This is no token")
	seen := browsertest.Eval[string](c.Visitor, `JSON.stringify([window.sent, performance.getEntriesByType("resource").map((one) => one.name), location.href, { ...localStorage }, { ...sessionStorage }])`)
	body := browsertest.Eval[string](c.Visitor, `window.token.split(".")[1].slice(0, 40)`)
	if !strings.Contains(seen, "jwks.json") || strings.Contains(seen, body) || strings.Contains(seen, "secret-subject") {
		t.Errorf("a request or a store holds the token: %s", seen)
	}
}

const decoderWithKey = `(() => {
	window.fetch = async (url, init = {}) => {
		window.sent.push(JSON.stringify([String(url), init.body ?? "", init.headers ?? {}]));
		await window.ready;
		return new Response(JSON.stringify({ keys: [window.keySet] }));
	};
	window.paste = (text) => {
		const field = document.getElementById("token");
		field.value = text;
		field.dispatchEvent(new Event("input", { bubbles: true }));
	};
	const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
	window.ready = (async () => {
		const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
		window.keySet = { ...await crypto.subtle.exportKey("jwk", pair.publicKey), kid: "k1", alg: "ES256" };
		const now = Math.floor(Date.now() / 1000);
		const part = (value) => base64(new TextEncoder().encode(JSON.stringify(value)));
		const text = part({ alg: "ES256", kid: "k1", typ: "at+jwt" }) + "." +
			part({ iss: document.getElementById("decoder").dataset.issuer, sub: "secret-subject-of-a-token", iat: now, nbf: now, exp: now + 600 });
		const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, new TextEncoder().encode(text));
		window.token = text + "." + base64(signature);
	})();
	void window.ready.then(() => window.paste(window.token));
	return true;
})()`
