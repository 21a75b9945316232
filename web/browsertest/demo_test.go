package browsertest_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/biocore-id/biocore/web/browsertest"
)

// bank is Northwind Bank on a running Biocore, and a browser to visit it with.
type bank struct {
	biocore  *browsertest.Biocore
	chromium *browsertest.Chromium
}

// TestDemo is what a newcomer does with the demo, and what an attacker would.
// Server and browser start once; each part is a visitor of its own.
func TestDemo(t *testing.T) {
	b := bank{biocore: browsertest.StartBiocore(t), chromium: browsertest.StartChromium(t)}
	t.Run("enroll, and sign in for the first time", b.enroll)
	t.Run("sign in by button while autofill waits", b.button)
	t.Run("sign in by autofill", b.autofill)
	t.Run("sign in by email", b.email)
	t.Run("sign in by keyboard alone", b.keyboard)
	t.Run("sign in on a second device", b.secondDevice)
	t.Run("an email that has an account is refused", b.taken)
	t.Run("a wrong origin is refused", b.wrongOrigin)
	t.Run("an IP address leads to localhost", b.address)
	t.Run("user verification that fails ends in the browser", b.verificationFails)
	t.Run("user verification that was skipped is refused by the server", b.verificationSkipped)
	t.Run("a cloned counter is refused", b.clonedCounter)
	t.Run("a revoked passkey is refused", b.revoked)
	t.Run("a passkey derives secrets for the page", b.prf)
	t.Run("a passkey keeps a blob for the page", b.largeBlob)
	t.Run("a passkey is used on a related origin", b.related)
	t.Run("the last passkey stays", b.last)
	t.Run("a passkey gets another name", b.rename)
	t.Run("another customer's passkey looks absent", b.foreign)
	t.Run("a session that Biocore ended is over at the bank", b.sessionEnded)
	t.Run("the panel tells all and hides secrets", b.panel)
	t.Run("every page, by day and night, at a desk and on a phone", b.looks)
}

// customer is somebody with an account.
type customer struct {
	*browsertest.Visitor
	device *browsertest.Authenticator
	email  string
}

// openAccount enrolls a new customer by what the pages offer, and leaves them
// signed in.
func (b bank) openAccount(t *testing.T) customer {
	t.Helper()
	v := b.chromium.Visitor(t)
	c := customer{Visitor: v, device: v.PlatformAuthenticator(), email: "ingrid-" + strings.ToLower(rand.Text()) + "@fjordpay.example"}
	c.Open(b.biocore.DemoURL + "/enroll")
	c.Type("#name", "Ingrid Halvorsen")
	c.Type("#email", c.email)
	c.Click("#enroll-button")
	c.See("#enrolled-title", "Your passkey is ready")
	c.Click("#first-sign-in")
	c.seeAccount()
	return c
}

func (c customer) seeAccount() {
	c.SeeURL("/demo/account")
	c.See("h1", "Welcome, Ingrid")
	c.See("#calls .call", "/credentials") // drawn by the page's script: it runs
}

// signOut leaves the customer on the front page, where autofill waits: a device
// that nobody touches answers no offer.
func (c customer) signOut() {
	c.device.SetPresence(false)
	c.Click("#sign-out")
	c.SeeURL("/demo?after=sign-out")
	c.See(".notice", "You are signed out")
	c.See("#calls .call:last-child", "/v1/authentications:begin")
	c.SeeAsked() // and waits since
}

// addSecurityKey gives the customer a second passkey, named Blue key.
func (c customer) addSecurityKey() *browsertest.Authenticator {
	c.device.SetPresence(false) // it holds one already, and must not answer for the key
	key := c.SecurityKey()
	c.Click("#add-passkey")
	c.Type("#add-nickname", "Blue key")
	c.Click("#add-dialog .primary")
	c.See("#passkeys", "Blue key")
	c.See(".toast", "Passkey added")
	key.SetPresence(false)
	return key
}

// openMenu opens the menu of the passkey that matches.
func (c customer) openMenu(row string) {
	c.Click("#passkeys " + row + " [popovertarget]")
	c.See("#passkey-menu", "Rename")
}

func (b bank) enroll(t *testing.T) {
	c := b.openAccount(t)
	if passkeys := c.device.Passkeys(); len(passkeys) != 1 || !passkeys[0].IsResidentCredential {
		t.Errorf("the authenticator holds %d passkeys, want one, discoverable", len(passkeys))
	}
	c.See("#passkeys", "This session")
	c.See("#passkeys", "Only on one device")
	c.See("#call-count", "calls")
	c.signOut()
}

func (b bank) button(t *testing.T) {
	c := b.openAccount(t)
	c.signOut()
	c.device.SetPresence(true) // answers what comes, not what waits
	c.Click("#sign-in-button")
	c.seeAccount()
}

func (b bank) autofill(t *testing.T) {
	c := b.openAccount(t)
	c.signOut()
	c.device.SetPresence(true)
	c.Open(b.biocore.DemoURL) // and touch nothing
	c.seeAccount()
}

func (b bank) email(t *testing.T) {
	c := b.openAccount(t)
	c.signOut()
	c.device.SetPresence(true)
	c.Type("#email", strings.ToUpper(c.email))
	c.Press(kb.Enter)
	c.seeAccount()
}

func (b bank) keyboard(t *testing.T) {
	c := b.openAccount(t)
	c.signOut()
	c.device.SetPresence(true)
	c.tabTo(t, "#sign-in-button")
	c.Press(kb.Enter)
	c.seeAccount()

	// The account too: open the menu, choose, type, save.
	c.tabTo(t, "[popovertarget=passkey-menu]")
	c.Press(kb.Enter)
	c.SeeFocus("#menu-rename")
	c.Press(kb.Enter)
	c.SeeFocus("#nickname")
	c.Press("By keyboard")
	c.Press(kb.Enter)
	c.See("#passkeys", "By keyboard")
	c.See(".toast", "Name saved") // by script, so that the page's own runs again

	// Escape closes what is open and gives the focus back.
	c.tabTo(t, "#add-passkey")
	c.Press(kb.Enter)
	c.SeeFocus("#add-nickname")
	c.Press(kb.Escape)
	c.SeeNothing("#add-dialog")
	c.SeeFocus("#add-passkey")
}

// tabTo presses Tab until an element that matches has the focus, as who cannot
// use a mouse does, and fails if it is out of reach or its focus can't be seen.
func (c customer) tabTo(t *testing.T, selector string) {
	t.Helper()
	const most = 60
	for range most {
		c.Press(kb.Tab)
		if c.HasFocus(selector) {
			if browsertest.Eval[string](c.Visitor, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
				t.Errorf("%s has the focus and doesn't show it", selector)
			}
			return
		}
	}
	t.Fatalf("%s is not among the first %d stops of Tab", selector, most)
}

func (b bank) secondDevice(t *testing.T) {
	first := b.openAccount(t)
	key := first.addSecurityKey()

	// Another person's browser, with the key of the first one plugged in.
	v := b.chromium.Visitor(t)
	second := customer{Visitor: v, device: v.SecurityKey(), email: first.email}
	second.device.SetPresence(false)
	second.Open(b.biocore.DemoURL)
	second.See("#panel-status", "Ready") // there is nothing to offer yet
	second.device.Add(key.Passkeys()[0])
	second.device.SetPresence(true)
	second.Click("#sign-in-button")
	second.seeAccount()
	second.See("#passkeys [data-in-use]", "Blue key")

	// Two sessions at once: the first goes on.
	first.Open(b.biocore.DemoURL + "/account")
	first.seeAccount()
}

func (b bank) taken(t *testing.T) {
	c := b.openAccount(t)
	v := b.chromium.Visitor(t)
	device := v.PlatformAuthenticator()
	v.Open(b.biocore.DemoURL + "/enroll")
	v.Type("#name", "Mallory")
	v.Type("#email", c.email)
	v.Click("#enroll-button")
	v.See("#email-error", "This email has an account")
	if n := len(device.Passkeys()); n != 0 {
		t.Errorf("%d passkeys were made for somebody else's account", n)
	}
}

func (b bank) wrongOrigin(t *testing.T) {
	c := b.openAccount(t)
	passkey := c.device.Passkeys()[0]
	// The same pages on another port: RP ID and host fit, the origin doesn't.
	api, err := url.Parse(b.biocore.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(api) }})
	t.Cleanup(elsewhere.Close)
	port := elsewhere.URL[strings.LastIndex(elsewhere.URL, ":"):]

	v := b.chromium.Visitor(t)
	device := v.PlatformAuthenticator()
	device.Add(passkey)
	v.Open("http://localhost" + port + "/demo")
	v.Click("#sign-in-button")
	v.See(".problem", "ORIGIN_NOT_ALLOWED")
	v.See(".problem", "This is not the bank’s address")
	v.SeeURL("/demo")
}

func (b bank) address(t *testing.T) {
	v := b.chromium.Visitor(t)
	v.Open(strings.Replace(b.biocore.DemoURL, "localhost", "127.0.0.1", 1))
	v.SeeURL(b.biocore.DemoURL)
	v.See("h1", "Your bank, one glance away.")
}

func (b bank) verificationFails(t *testing.T) {
	c := b.openAccount(t)
	c.signOut()
	c.device.SetPresence(true)
	c.device.FailVerification()
	c.Click("#sign-in-button")
	c.See(".problem", "USER_CANCELLED")
	c.SeeURL("/demo?after=sign-out")
}

func (b bank) verificationSkipped(t *testing.T) {
	c := b.openAccount(t)
	c.signOut()
	c.device.SetPresence(true)
	c.device.DropVerifiedFlag()
	c.Click("#sign-in-button")
	c.See(".problem", "USER_VERIFICATION_REQUIRED")
	c.See("#calls", "USER_VERIFICATION_REQUIRED")
	c.SeeURL("/demo?after=sign-out")
}

func (b bank) clonedCounter(t *testing.T) {
	c := b.openAccount(t)
	c.signOut()
	c.device.SetSignCount(c.device.Passkeys()[0], 0) // the next answer says 1, which was said before
	c.device.SetPresence(true)
	c.Click("#sign-in-button")
	c.See(".problem", "SIGN_COUNT_ROLLBACK")
	c.See(".problem", "This passkey may have been copied")
	c.See("#calls", `"decision": "DENY"`)
	c.SeeURL("/demo?after=sign-out")
}

func (b bank) revoked(t *testing.T) {
	c := b.openAccount(t)
	key := c.addSecurityKey()
	removed := c.device.Passkeys()[0]

	c.openMenu("[data-in-use]")
	c.Click("#menu-remove")
	c.See("#remove-dialog", "You are signed out here")
	c.Click("#remove-dialog .danger")
	c.SeeURL("/demo?after=removal")
	c.See(".notice", "That passkey is removed")

	// The page told the browser, which forgot the passkey and kept the other.
	if n := len(c.device.Passkeys()); n != 0 {
		t.Errorf("the device still holds %d passkeys after the signal, want none", n)
	}
	if n := len(key.Passkeys()); n != 1 {
		t.Errorf("the key holds %d passkeys after the signal, want its own", n)
	}

	// Who kept a copy gets no further than that.
	key.Unplug()
	c.device.Add(removed)
	c.device.SetPresence(true)
	c.Click("#sign-in-button")
	c.See(".problem", "CREDENTIAL_REVOKED")
	c.See(".problem", "This passkey was removed")
	c.SeeURL("/demo?after=removal")
}

func (b bank) last(t *testing.T) {
	c := b.openAccount(t)
	c.openMenu("[data-in-use]")
	c.Click("#menu-remove")
	c.Click("#remove-dialog .danger")
	c.See("#remove-dialog .problem", "This is your only passkey")
	c.See("#remove-dialog .problem", "LAST_CREDENTIAL")
	c.Click("#remove-dialog [data-close]")
	c.Open(b.biocore.DemoURL + "/account")
	c.seeAccount()
}

func (b bank) rename(t *testing.T) {
	c := b.openAccount(t)
	c.openMenu("[data-in-use]")
	c.Click("#menu-rename")
	c.Type("#nickname", "   ")
	c.Click("#rename-dialog .primary")
	c.See("#nickname-error", "A name is needed")
	const hostile = `<img src=x onerror=alert(1)> “Lån” 🔑`
	c.Type("#nickname", hostile)
	c.Click("#rename-dialog .primary")
	c.See("#passkeys", hostile)
	c.See(".toast", "Name saved")
	c.openMenu("[data-in-use]")
	c.Click("#menu-remove")
	c.See("#remove-h", hostile)
}

// The bank's secret key may touch every customer's passkey, so the bank itself
// must look whose it is. Removing that check from ownPasskey turns this red.
func (b bank) foreign(t *testing.T) {
	mallory, victim := b.openAccount(t), b.openAccount(t)
	id := browsertest.Eval[string](victim.Visitor, `document.querySelector("[data-passkey]").dataset.passkey`)
	for _, request := range []string{
		`fetch("/demo/passkeys/` + id + `", {method: "PATCH", body: JSON.stringify({nickname: "mine now"})})`,
		`fetch("/demo/passkeys/` + id + `", {method: "DELETE"})`,
	} {
		got := browsertest.Eval[string](mallory.Visitor, request+`.then(async (r) => r.status + " " + (await r.json()).problem.reason)`)
		if got != "404 CREDENTIAL_UNKNOWN" {
			t.Errorf("%s = %s, want 404 CREDENTIAL_UNKNOWN", request, got)
		}
	}
	victim.Open(b.biocore.DemoURL + "/account")
	victim.seeAccount()
	if strings.Contains(victim.Read("#passkeys"), "mine now") {
		t.Error("the victim's passkey got another name")
	}
}

func (b bank) sessionEnded(t *testing.T) {
	c := b.openAccount(t)
	var user struct {
		ID string `json:"id"`
	}
	b.biocore.Call(t, http.MethodGet, "/v1/users:lookup?externalId="+url.QueryEscape(c.email), nil, &user)
	var ended struct {
		RevokedCount int `json:"revokedCount"`
	}
	b.biocore.Call(t, http.MethodPost, "/v1/users/"+user.ID+"/sessions:revoke", map[string]string{"reason": "phone lost"}, &ended)
	if ended.RevokedCount != 1 {
		t.Errorf("revokedCount = %d, want 1", ended.RevokedCount)
	}
	c.device.SetPresence(false)
	c.Open(b.biocore.DemoURL + "/account")
	c.SeeURL("/demo?after=end")
	c.See(".notice", "Your session ended")
}

func (b bank) panel(t *testing.T) {
	c := b.openAccount(t)
	for _, want := range []string{
		"POST /v1/registrationTokens", "POST /v1/registrations:begin", "POST /v1/registrations:finish",
		"POST /v1/authentications:begin", "POST /v1/authentications:finish", "POST /v1/authentications:exchange",
		"POST /v1/sessions:verify",
	} {
		c.See("#calls", want)
	}
	// The newest call is the one that is open, and that is copied.
	browsertest.Eval[bool](c.Visitor, `(navigator.clipboard.writeText = async (text) => { window.copied = text }) && true`)
	c.Click("#copy-curl")
	c.See("#panel-status", "Copied")
	copied := browsertest.Eval[string](c.Visitor, `copied`)
	command := regexp.MustCompile(`^curl -X GET 'http://localhost:\d+/v1/users/[\w-]+/credentials\?pageSize=200' \\\n  -H "Authorization: Bearer \$BIOCORE_SECRET_KEY"$`)
	if !command.MatchString(copied) {
		t.Errorf("copied %q, want it to match %s", copied, command)
	}

	browsertest.Eval[int](c.Visitor, `document.querySelectorAll("#calls details").forEach((d) => d.open = true) ?? 0`)
	c.See("#calls", `"accessToken": "[hidden]"`)
	c.See("#calls", `"refreshToken": "[hidden]"`)
	c.See("#calls", `"registrationToken": "[hidden]"`)
	everything := browsertest.Eval[string](c.Visitor, `document.documentElement.outerHTML + JSON.stringify(sessionStorage) + document.cookie`)
	// What begins as a JWT does may be client data, which is no secret: look for a whole one.
	for what, secret := range map[string]*regexp.Regexp{
		"a secret key": regexp.MustCompile(`bk_(test|live)_`),
		"a JWT":        regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`),
		"a cookie":     regexp.MustCompile(`northwind_session`),
	} {
		if found := secret.FindString(everything); found != "" {
			t.Errorf("the page holds %s: %.8s…", what, found)
		}
	}
}

func (b bank) looks(t *testing.T) {
	v := b.chromium.Visitor(t)
	v.PlatformAuthenticator()
	v.Open(b.biocore.DemoURL)
	v.See("#calls", "/v1/authentications:begin")
	v.Inspect("demo-signin")
	v.Open(b.biocore.DemoURL + "/enroll")
	v.Click("#enroll-button")
	v.See("#name-error", "Your name is needed")
	v.Inspect("demo-enroll-error")
	v.Open(b.biocore.DemoURL + "/enroll")
	v.Inspect("demo-enroll")
	v.Open(b.biocore.DemoURL + "/nothing")
	v.Inspect("demo-notfound")

	c := b.openAccount(t)
	c.addSecurityKey()
	c.SeeNothing(".toast")
	c.Inspect("demo-account")
	c.Click("#add-passkey")
	c.Inspect("demo-add")
	c.Click("#add-dialog [data-close]")
	c.openMenu("[data-in-use]")
	c.Inspect("demo-menu")
	c.Press(kb.Escape)
	c.SeeNothing("#passkey-menu")
	c.openMenu("[data-in-use]")
	c.Click("#menu-rename")
	c.Inspect("demo-rename")
	c.Click("#rename-dialog [data-close]")
	c.openMenu("[data-in-use]")
	c.Click("#menu-remove")
	c.Inspect("demo-remove")
	c.Click("#remove-dialog [data-close]")
	c.signOut()
	c.device.SetPresence(true)
	c.device.FailVerification()
	c.Click("#sign-in-button")
	c.See(".problem", "USER_CANCELLED")
	c.Inspect("demo-signin-problem")
}
