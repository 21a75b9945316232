package console

import (
	"net/http"
	"time"
)

// The cookies. The session's is bound to this host and to https by its name
// (draft-ietf-httpbis-rfc6265bis, __Host-), where there is https.
const (
	secureSessionCookie = "__Host-biocore_console"
	plainSessionCookie  = "biocore_console" // over http://localhost, where Safari drops Secure cookies
	themeCookie         = "biocore_theme"
	toastCookie         = "biocore_toast"
)

// themeLife is how long a browser remembers its theme.
const themeLife = 365 * 24 * time.Hour

// toastLife is how long a redirect may take.
const toastLife = 30 * time.Second

func (c *Console) sessionCookieName() string {
	if c.secure {
		return secureSessionCookie
	}
	return plainSessionCookie
}

func (c *Console) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	maxAge := int(life.Seconds())
	if value == "" {
		maxAge = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever people arrive over https
		Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode,
	})
}

// setSession keeps a session in the browser until it is closed; the session ends earlier
// by itself.
func (c *Console) setSession(w http.ResponseWriter, value string) {
	c.setCookie(w, c.sessionCookieName(), value, 0)
}

func (c *Console) clearSession(w http.ResponseWriter) { c.setCookie(w, c.sessionCookieName(), "", 0) }

// theme is light, dark or empty.
func theme(r *http.Request) string {
	cookie, err := r.Cookie(themeCookie)
	if err != nil || (cookie.Value != "light" && cookie.Value != "dark") {
		return ""
	}
	return cookie.Value
}

func (c *Console) setTheme(w http.ResponseWriter, r *http.Request) {
	switch to := r.PostFormValue("theme"); to {
	case "light", "dark":
		c.setCookie(w, themeCookie, to, themeLife)
	default:
		c.setCookie(w, themeCookie, "", 0)
	}
	http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther) //nolint:gosec // local lets nothing out of here
}

// toasts are the words for what has been done. The cookie holds the name alone, so that
// nobody else's words reach a page by it.
var toasts = map[string]string{
	"invited":        "Invitation made. Its link is in the list",
	"mailed":         "Invitation made. Its link is on its way by mail, and below",
	"address":        "Contact address saved",
	"uninvited":      "Invitation taken back",
	"party":          "Relying party saved",
	"proven":         "The domain is proven",
	"notproven":      "Looked, and found no proof: see why below",
	"role":           "Role changed",
	"removed":        "Member removed",
	"joined":         "You are a member now",
	"cancelled":      "Recovery cancelled",
	"renamed":        "Passkey renamed",
	"revoked":        "Passkey removed",
	"added":          "Passkey added",
	"ended":          "Session ended",
	"others":         "All other sessions ended",
	"requested":      "Recovery asked for. Somebody else of the staff has to approve it",
	"approved":       "Recovery approved. Members have three days to say no",
	"left":           "You are no longer a member there",
	"board-made":     "Dashboard made",
	"board-saved":    "Dashboard saved",
	"board-deleted":  "Dashboard deleted",
	"view-saved":     "View saved",
	"view-deleted":   "View deleted",
	"letin":          "They are in. It ends by itself",
	"refused":        "Request refused",
	"putout":         "Their access is over",
	"givenback":      "Given back. You see the tenant no more",
	"asked":          "Asked. Owners and admins of the tenant decide",
	"locked":         "Key locked: every server refuses it",
	"unlocked":       "Key unlocked: it works again",
	"keyRevoked":     "Key revoked for good",
	"disposed":       "Ordered. It is being carried out",
	"rootAdded":      "The certificate is trusted",
	"rootRemoved":    "The certificate is trusted no more",
	"rotated":        "A new signing key is published",
	"signingRevoked": "Signing key revoked",
	"activated":      "The policy is in force",
	"rolledBack":     "Rolled back by a new version",
	"riskBegun":      "Every sign-in is scored from now on, and none is refused",
	"riskSaved":      "The rules are in force",
	"riskSame":       "They say that already: nothing was changed",

	"useradded":        "User added",
	"usersaved":        "User saved",
	"usersessions":     "Sessions revoked",
	"blocked":          "Blocked",
	"unblocked":        "Unblocked",
	"erased":           "User erased",
	"keyrenamed":       "Nickname saved",
	"keysuspended":     "Passkey suspended",
	"keyresumed":       "Passkey resumed",
	"keyrevoked":       "Passkey revoked",
	"keyvouched":       "You have vouched for this passkey",
	"sessrevoked":      "Sessions revoked",
	"saved":            "Saved",
	"quotas":           "Quotas settled",
	"limits":           "Limits settled: every server goes by them within a second",
	"suspended":        "The tenant is suspended",
	"resumed":          "The tenant works again",
	"deleting":         "The tenant is being deleted. It can be restored for 30 days",
	"restored":         "The tenant works again",
	"exporting":        "Asked for. A job writes the archive",
	"exportCancelled":  "The export is cancelled",
	"scanAsked":        "Asked for. A job makes it",
	"scanCancelled":    "The scan has ended",
	"findingDecided":   "Decided",
	"findingsImported": "The findings are in the list",
	"reportAsked":      "Asked for. A job makes it",
	"reportDeleted":    "Report deleted",
	"catalogueDeleted": "Catalogue deleted",
	"flagMade":         "Made. It is off everywhere",
	"flagOn":           "Switched on",
	"flagOff":          "Switched off. Every server knows within a second",
	"flagDeleted":      "Feature flag deleted",
	"flagBack":         "It is back as it was",
	"segmentMade":      "Made. Rules can ask for it",
	"segmentBack":      "It is back as it was",
	"segmentDeleted":   "Segment deleted",
	"segmentList":      "The list is changed. Every server knows within a second",
	"streamMade":       "The stream delivers from now on",
	"streamPaused":     "Paused: nothing is sent",
	"streamResumed":    "Goes on within seconds",
	"streamReplayed":   "Sent again from there on",
	"streamDeleted":    "Log stream deleted",
	"scoringSaved":     "Every server asks it within a second",
	"scoringRemoved":   "The scoring service is removed",
	"retried":          "Job is in the queue again",
	"riskFeedback":     "Noted. Backtests go by it",
}

// done sends the browser on, with a toast.
func (c *Console) done(w http.ResponseWriter, r *http.Request, toast, to string) {
	c.setCookie(w, toastCookie, toast, toastLife)
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // to is below Path, and its slug is a tenant's
}

// toast takes the words that wait.
func (c *Console) toast(w http.ResponseWriter, r *http.Request) string {
	cookie, err := r.Cookie(toastCookie)
	if err != nil {
		return ""
	}
	c.setCookie(w, toastCookie, "", 0)
	return toasts[cookie.Value]
}
