package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/member"
)

// refusal is one of the console's own. It is no fault, since it is no part of the API:
// nobody but its pages is told.
type refusal struct {
	status int
	reason string // the key of explained
}

// Error is for the log.
func (r *refusal) Error() string { return strings.ToLower(strings.ReplaceAll(r.reason, "_", " ")) }

// The console's own refusals.
var (
	errNowhere   = &refusal{http.StatusNotFound, "PAGE_UNKNOWN"}
	errMayNot    = &refusal{http.StatusForbidden, "ROLE_TOO_LOW"}
	errStale     = &refusal{http.StatusForbidden, "FRESH_PASSKEY_REQUIRED"}
	errCrossed   = &refusal{http.StatusForbidden, "CROSS_ORIGIN"}
	errMalformed = &refusal{http.StatusBadRequest, "REQUEST_MALFORMED"}
	errDenied    = &refusal{http.StatusForbidden, "SIGN_IN_DENIED"}
	errNotYou    = &refusal{http.StatusForbidden, "OTHER_ACCOUNT"}
	errTyped     = &refusal{http.StatusUnprocessableEntity, "TYPED_DIFFERENTLY"}
	errNewName   = &refusal{http.StatusUnprocessableEntity, "NAME_NEEDED"}
)

// status is the HTTP status of a kind of refusal, for pages.
func status(k fault.Kind) int {
	switch k {
	case fault.Invalid, fault.Precondition:
		return http.StatusUnprocessableEntity
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict, fault.Aborted:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Exhausted:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Damaged:
		return http.StatusInternalServerError
	case fault.Unimplemented, fault.MethodMismatch, fault.MediaMismatch:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// title says what happened, and its message why and what to do.
type words struct{ title, message string }

// explained are the refusals that people meet, in words for them.
var explained = map[string]words{
	"SIGNED_OUT":                 {"You are signed out", "Your session ended. Sign in again to go on."},
	"PAGE_UNKNOWN":               {"Nothing is here", "There is no such page, or it is not for you. Check the address, or go back to where you work."},
	"AUDIT_LOG_DAMAGED":          {"This is not as it was signed", "What is stored of the audit log is not the one that its checkpoint was signed over. Somebody has changed it past every lock; an operator of the installation must look."},
	"AUDIT_SIZES_INVALID":        {"The log has no such sizes", "Whole numbers of entries, not beyond the last checkpoint, and the earlier not greater than the later."},
	"ROLE_TOO_LOW":               {"Your role does not allow this", "Ask an owner or an admin of this tenant."},
	"ROLE_TOO_HIGH":              {"That role is above yours", "Nobody gives or takes a role that is above their own. Ask an owner."},
	"ROLE_INVALID":               {"Choose a role", "This tenant has no such role."},
	"LAST_OWNER":                 {"This is the last owner", "A tenant keeps at least one. Make somebody else an owner first."},
	"FRESH_PASSKEY_REQUIRED":     {"Your passkey is needed first", "This needs one that was used in the last five minutes. Send the form again: your device asks."},
	"REASON_REQUIRED":            {"Say why", "In 1 to 256 characters: it stands in the audit log."},
	"TICKET_REQUIRED":            {"Name the ticket", "In 1 to 100 characters."},
	"LABEL_INVALID":              {"Say whom it is for", "In 1 to 100 characters, so that you know the invitation again."},
	"INVITATION_UNKNOWN":         {"This is no invitation", "The link is not whole, or was made elsewhere. Ask for it again."},
	"INVITATION_CLOSED":          {"This invitation is over", "It was accepted, taken back, or has expired. Ask for another."},
	"ETAG_MISMATCH":              {"Somebody else saved meanwhile", "What they changed stands below, beside what is in this form. Saving again overwrites it."},
	"RP_ID_IN_USE":               {"There are passkeys for this RP ID", "Another one would make them useless. Plan the move first."},
	"DOMAIN_PROOF_NOT_REQUIRED":  {"There is nothing to look at", "localhost is nobody’s domain."},
	"TENANT_INVALID":             {"This does not fit yet", "One field needs another look."},
	"INVITATION_EMAIL_INVALID":   {"This is no e-mail address", "Such as ana@bank.example."},
	"EMAIL_INVALID":              {"This is no e-mail address", "Such as ana@bank.example."},
	"REPORT_UNKNOWN":             {"There is no such report", "Somebody may have deleted it, or it is another tenant’s."},
	"REPORT_FILE_UNKNOWN":        {"There is no such file", "Reload the page, and pick one of the list."},
	"REPORT_SCHEDULE_UNKNOWN":    {"It is not scheduled", "Somebody may have ended it. Reload the page."},
	"FLAG_UNKNOWN":               {"There is no such feature flag", "Somebody may have deleted it, or it is another tenant’s."},
	"FLAG_ENVIRONMENT_UNKNOWN":   {"There is no such environment", "Production, staging and development are there."},
	"FLAG_INVALID":               {"This flag cannot be kept", "Correct what is marked."},
	"FLAG_KEY_TAKEN":             {"This key is taken", "Another flag of this tenant has it."},
	"FLAG_DAYS_INVALID":          {"So many days are not kept", "Ask for 1 to 90 days."},
	"FLAG_CHANGE_UNKNOWN":        {"There is nothing to come back", "The change is another flag’s, or the flag’s end."},
	"SEGMENT_CHANGE_UNKNOWN":     {"There is nothing to come back", "The change is another segment’s, its list’s, or the segment’s end."},
	"SEGMENT_UNKNOWN":            {"There is no such segment", "Somebody may have deleted it, or it is another tenant’s."},
	"SEGMENT_KEY_TAKEN":          {"This key is taken", "Another segment of this tenant has it."},
	"SEGMENT_IN_USE":             {"Rules ask for it", "Take it out of the rules of the flags that are named first."},
	"TOO_MANY_SEGMENTS":          {"There are as many segments as there may be", "Delete one that no rule asks for first."},
	"TOO_MANY_SEGMENT_MEMBERS":   {"The lists are full", "All segments together list at most 200,000. A condition over an attribute takes any number."},
	"TOO_MANY_FLAGS":             {"There are as many flags as there may be", "Delete one that is no longer read first."},
	"LOG_STREAM_UNKNOWN":         {"There is no such log stream", "Somebody may have deleted it, or it is another tenant’s."},
	"LOG_STREAM_CURSOR_INVALID":  {"Say from where", "Either a number that the log has, or a time."},
	"LOG_STREAM_NAME_TAKEN":      {"This name is taken", "Another log stream of this tenant has it."},
	"TOO_MANY_LOG_STREAMS":       {"There are as many log streams as there may be", "Delete one of the ten first."},
	"MAIL_NOT_CONFIGURED":        {"No mail is sent from here", "This installation has no mail server. Leave the address out and hand the link over."},
	"TENANT_EXISTS":              {"This slug is taken", "It is, or ever was, somebody’s. Choose another one."},
	"TENANT_MODE_INVALID":        {"Choose a mode", "Live or test."},
	"MEMBER_EXISTS":              {"You are a member already", "Go to your tenants; this invitation stays good for somebody else."},
	"TOO_MANY_MEMBERS":           {"The tenant is full", "It has at most 500 members and 100 open invitations. Take one back first."},
	"USER_NAME_INVALID":          {"A name is needed", "In 1 to 100 characters, without invisible ones."},
	"NAME_NEEDED":                {"A name is needed", "In 1 to 100 characters, as your colleagues know you."},
	"NICKNAME_INVALID":           {"A name is needed", "In 1 to 64 characters, such as Work laptop."},
	"LAST_CREDENTIAL":            {"This is your only passkey", "Without it you could not sign in again. Add another one first, then remove this one."},
	"TOO_MANY_CREDENTIALS":       {"You have as many passkeys as there may be", "Remove one that you no longer use, then add this one."},
	"CREDENTIAL_UNKNOWN":         {"This passkey is not known here", "It may belong to an account that is gone. Use another one."},
	"CREDENTIAL_REVOKED":         {"This passkey was removed", "It no longer opens an account. Use another one."},
	"CREDENTIAL_SUSPENDED":       {"This passkey is suspended", "It works again when somebody lifts that. Use another one until then."},
	"SIGNATURE_INVALID":          {"The passkey did not fit", "Its signature is not that of an account here. Use another one."},
	"SIGN_COUNT_ROLLBACK":        {"This passkey may have been copied", "Its counter went backwards, so the sign-in was stopped. Use another passkey, then remove this one."},
	"USER_VERIFICATION_REQUIRED": {"Your device did not check that it is you", "Set up a PIN, a fingerprint or your face on it, then try again."},
	"USER_BLOCKED":               {"This account is blocked", "Nobody can sign in to it for now. Ask the staff of this installation."},
	"CHALLENGE_EXPIRED":          {"That took too long", "The question to your device was only good for a few minutes. Try again."},
	"CHALLENGE_ALREADY_USED":     {"That sign-in was used already", "Each one works once. Try again."},
	"ORIGIN_NOT_ALLOWED":         {"Passkeys do not work at this address", "Open the console at its own address."},
	"OTHER_ACCOUNT":              {"That passkey is another account’s", "Use one of yours, or sign out first."},
	"SIGN_IN_DENIED":             {"This sign-in was refused", "The rules of this installation do not let this passkey in. Use another one."},
	"SECOND_STAFF_REQUIRED":      {"Somebody else has to approve", "Who asked for a recovery cannot approve it; neither can who joined the staff after that, or is a member of the tenant."},
	"OWNER_RECOVERY_OPEN":        {"A recovery is under way", "This owner has one that is not over. See below."},
	"OWNER_RECOVERY_DECIDED":     {"This recovery is over", "It was cancelled, its link was used, or its time ran out."},
	"OWNER_RECOVERY_WAITS":       {"The members still have time", "They have three days to say no. The link can be made when those are over."},
	"MEMBER_NOT_OWNER":           {"Nobody is to be recovered here", "This member is an owner no more: their tenant has helped itself. Cancel the recovery."},
	"STAFF_REQUIRED":             {"Only the staff may", "Ask somebody of the staff of this installation."},
	"DASHBOARD_UNKNOWN":          {"Nothing is here", "This dashboard was deleted, or belongs elsewhere."},
	"DASHBOARD_TITLE_INVALID":    {"A title is needed", "In 1 to 80 characters that can be seen."},
	"TOO_MANY_DASHBOARDS":        {"There are as many dashboards as there may be", "Delete one of the hundred first."},
	"SUPPORT_MAY_NOT":            {"Support access does not go so far", "It allows less, or is over. Ask the tenant for more, if you need it."},
	"SUPPORT_GRANT_UNKNOWN":      {"Nobody asked for this", "There is no such request for access."},
	"SUPPORT_ACCESS_INVALID":     {"Choose what they may do", "Look, or look and help users."},
	"SUPPORT_MINUTES_INVALID":    {"Say for how long", "1 to 60 minutes."},
	"SUPPORT_WIDER_THAN_ASKED":   {"They asked for less", "Grant what was asked for, or less: they can ask again."},
	"SUPPORT_OF_MEMBER":          {"You are a member of this tenant", "You need no support access: open the tenant from the menu on the left."},
	"SUPPORT_OPEN":               {"You have asked already", "Your request waits, or you are in: see Support access."},
	"SUPPORT_TOO_MANY":           {"Too many wait already", "This tenant has 20 open requests for access. Ask its owner to decide first."},
	"SUPPORT_DECIDED":            {"This is decided, or over", "Somebody was faster, or its time ran out."},
	"SUPPORT_GRANT_FORBIDDEN":    {"You cannot decide about this", "An owner or admin of the tenant does, and nobody about themselves."},
	"KEY_NAME_NEEDED":            {"A name is needed", "In 1 to 64 characters that can be seen."},
	"API_KEY_UNKNOWN":            {"There is no such key", "It may be another tenant’s, or its address is not whole."},
	"API_KEY_ENDED":              {"This key has ended", "It is revoked or has expired. Make a new one."},
	"API_KEY_ROTATED":            {"Another key has its place", "Rotate that one instead."},
	"API_KEY_OVERLAP_INVALID":    {"Choose an overlap", "Between none and 7 days."},
	"API_KEY_EXPIRY_INVALID":     {"Choose an end", "In the future, and a key that ends is replaced by one that does."},
	"API_KEY_KIND_INVALID":       {"Choose a kind", "A server key or a publishable one."},
	"SCOPE_UNKNOWN":              {"Choose scopes", "A server key has at least one, and a publishable key none."},
	"SCOPE_EXCEEDS_OWN":          {"That is more than your role has", "Nobody gives a key what they may not do themselves. Ask an owner."},
	"CIDR_INVALID":               {"A network cannot be read", "One to a line, such as 192.0.2.0/24 or 2001:db8::/32; at most 64."},
	"NOT_CONFIRMED":              {"The name does not match", "Type it as it stands there."},
	"SIGNING_KEY_UNKNOWN":        {"There is no such signing key", "It may be another tenant’s, or its address is not whole."},
	"SIGNING_KEY_PENDING":        {"A new key is published already", "It signs soon. Let it sign at once, or revoke it first."},
	"POLICY_VERSION_UNKNOWN":     {"There is no such version", "Look at the list of versions."},
	"SIMULATION_DAYS_INVALID":    {"Choose 1 to 90 days", "That is how far a simulation looks back."},
	"RISK_RULES_VERSION_UNKNOWN": {"There is no such version", "Look at the list of versions."},
	"RISK_BACKTEST_DAYS_INVALID": {"Choose 1 to 90 days", "That is how far a backtest looks back."},
	"RISK_BACKTEST_BUSY":         {"Another backtest is running", "It ends within eight seconds. Try again then."},
	"RISK_PROVIDER_INVALID":      {"This service cannot be asked yet", "Correct what is marked."},
	"RISK_PROVIDER_UNKNOWN":      {"There is no scoring service", "Somebody may have removed it. Set one up."},
	"AAGUID_INVALID":             {"An AAGUID cannot be read", "It is a UUID, such as 2fc0579f-8113-47ea-b116-bb5a8db9202a."},
	"DISPOSITION_INVALID":        {"Choose what becomes of them", "One of the list."},
	"SIMULATION_BUSY":            {"Another simulation is running", "Wait until it has ended, at most some seconds, then run this one."},
	"JOB_UNKNOWN":                {"This job is not waiting for you", "It was tried again already, or it never was given up. The list shows what is left."},
	"RATE_LIMITED":               {"Too many tries", "Wait a moment, then go on."},
	"STORE_UNAVAILABLE":          {"The console cannot read its data right now", "Nothing has changed. Try again in a moment."},
	"REDIS_UNAVAILABLE":          {"No passkey can be made right now", "Nothing has changed. Try again in a moment."},
	"REQUEST_MALFORMED":          {"The console did not understand this", "Reload the page, then try again."},
	"TYPED_DIFFERENTLY":          {"That is not it", "Type it exactly as it stands above the field."},
	"USER_UNKNOWN":               {"There is no such user", "Somebody may have erased them. Go back to the list."},
	"USER_EXISTS":                {"This external id is taken", "Another user of this tenant has it."},
	"EXTERNAL_ID_INVALID":        {"An external id is needed", "In 1 to 256 characters, without invisible ones."},
	"SESSION_UNKNOWN":            {"There is no such session", "Reload the list: its user may have been erased."},
	"EVIDENCE_UNKNOWN":           {"There is no evidence", "It has expired, or none was kept at this registration."},
	"EVIDENCE_MISSING":           {"The evidence is gone", "Object storage does not have it any more. Somebody may have removed it there."},
	"RECOVERY_CODES_DISABLED":    {"The policy has no recovery codes", "Allow them in the policy first (recoveryCodes)."},
	"RISK_VERDICT_INVALID":       {"Say what it was", "Fraud, or the user."},
	"RISK_DECISION_UNKNOWN":      {"This sign-in was not assessed", "Risk was off when it was made, or it is another tenant’s."},
	"PAGE_TOKEN_INVALID":         {"This page of the list is gone", "The list is another one by now. Begin at its first page."},
	"FILTER_INVALID":             {"The list cannot be narrowed so", "Clear the filters and choose again."},
	"CROSS_ORIGIN":               {"This was sent by another site", "Nothing was done. Go to the console and do it there."},
	"TENANT_SUSPENDED":           {"This tenant is suspended", "It can be looked at, and nothing in it can be changed until the staff of this installation resume it."},
	"TENANT_DELETING":            {"This tenant is being deleted", "It can be looked at, and nothing in it can be changed. While there is time, it can be restored under Settings."},
	"TENANT_SLUG_MISMATCH":       {"Type the slug", "It is not the one that stands above."},
	"TENANT_DELETED_BY_PLATFORM": {"The staff delete this tenant", "Only they restore it. Ask the staff of this installation."},
	"TENANT_GRACE_OVER":          {"It is too late", "The tenant is being destroyed, and nothing brings it back."},
	"TENANT_NOT_DELETING":        {"This tenant is not being deleted", "Somebody has restored it already. Reload the page."},
	"QUOTA_INVALID":              {"A quota is a whole number", "From 1 on; leave it empty for none."},
}

// fields are the inputs that a reason is about.
var fields = map[string]string{
	"AUDIT_SIZES_INVALID":      "from",
	"INVITATION_EMAIL_INVALID": "email", "MAIL_NOT_CONFIGURED": "email", "EMAIL_INVALID": "email",
	"REASON_REQUIRED": "reason", "TICKET_REQUIRED": "ticket", "LABEL_INVALID": "label", "ROLE_INVALID": "role", "ROLE_TOO_HIGH": "role",
	"DASHBOARD_TITLE_INVALID": "title", "LOG_STREAM_CURSOR_INVALID": "seq",
	"USER_NAME_INVALID": "name", "NAME_NEEDED": "name", "NICKNAME_INVALID": "nickname",
	"SUPPORT_ACCESS_INVALID": "access", "SUPPORT_MINUTES_INVALID": "minutes",
	"KEY_NAME_NEEDED": "name", "API_KEY_OVERLAP_INVALID": "overlap", "API_KEY_EXPIRY_INVALID": "expires", "SCOPE_UNKNOWN": "scopes", "SCOPE_EXCEEDS_OWN": "scopes",
	"AAGUID_INVALID": "aaguids", "ATTESTATION_ROOT_AAGUIDS_INVALID": "aaguids", "ATTESTATION_ROOT_NAME_INVALID": "name", "DISPOSITION_INVALID": "disposition", "CIDR_INVALID": "networks", "NOT_CONFIRMED": "confirm",
	"TYPED_DIFFERENTLY": "confirm", "USER_EXISTS": "externalId", "EXTERNAL_ID_INVALID": "externalId",
	"TENANT_SLUG_MISMATCH": "confirm", "TENANT_EXISTS": "slug",
}

// problemOf puts an error in words, and says with which status. What is no fault is not
// explained to the person; whoever calls logs it.
func problemOf(err error) (ui.Problem, int) {
	if own, ok := errors.AsType[*refusal](err); ok {
		w := explained[own.reason]
		return ui.Problem{Title: w.title, Message: w.message, Reason: own.reason, Field: fields[own.reason]}, own.status
	}
	f, ok := fault.As(err)
	if !ok {
		return ui.Problem{Title: "That did not work", Message: "It is our fault, not yours, and is in the log. Try again in a moment.", Reason: "INTERNAL"}, http.StatusInternalServerError
	}
	p := ui.Problem{Title: "That was refused", Message: sentence(f.Message), Reason: f.Reason, Field: fields[f.Reason]}
	if w, known := explained[f.Reason]; known {
		p.Title, p.Message = w.title, w.message
	}
	return p, status(f.Kind)
}

func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// logFailure tells the operator of what a person couldn't help, unless that person went
// away meanwhile.
func (c *Console) logFailure(r *http.Request, status int, err error) {
	if status >= http.StatusInternalServerError && !gone(r) {
		c.log.WarnContext(r.Context(), "console request failed", "err", err)
	}
}

// fail answers with a page that something didn't work, in the shell of v or without one.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	if errors.Is(err, member.ErrSignedOut) {
		c.toSignIn(w, r)
		return
	}
	p, code := problemOf(err)
	c.logFailure(r, code, err)
	if v == nil {
		c.render(w, r, code, c.failurePage(theme(r), p))
		return
	}
	here, _ := r.Context().Value(placeKey{}).(*place)
	f := c.frame(w, r, v, here, p.Title, "")
	f.Here = Path // nobody comes back to what did not work
	c.render(w, r, code, c.refusedPage(f, p))
}

// showNotFound is the answer to an address that is nowhere, in the shell for who is signed in.
func (c *Console) showNotFound(w http.ResponseWriter, r *http.Request) {
	v, err := c.visit(r)
	if err != nil {
		v = nil
	}
	c.fail(w, r, v, errNowhere)
}

func (c *Console) denyCrossOrigin(w http.ResponseWriter, r *http.Request) {
	if isJSON(r) {
		c.refuse(w, r, errCrossed)
		return
	}
	c.fail(w, r, nil, errCrossed)
}

// answer is what a page's script is told beside what it asked for.
type answer struct {
	Next    string       `json:"next,omitempty"` // where to go now
	Problem *jsonProblem `json:"problem,omitempty"`
}

type jsonProblem struct {
	Title   string `json:"title"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Field   string `json:"field,omitempty"`
}

// refuse answers a page's script that something didn't work.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, code := problemOf(err)
	c.logFailure(r, code, err)
	c.reply(w, r, code, answer{Problem: &jsonProblem{Title: p.Title, Message: p.Message, Reason: p.Reason, Field: p.Field}})
}

// reply answers a page's script.
func (c *Console) reply(w http.ResponseWriter, r *http.Request, code int, v any) {
	if gone(r) {
		w.WriteHeader(statusReaderGone)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		c.unwritten(r, err)
	}
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// read decodes what a page's script posted. A form of another site cannot send this type.
func read[T any](r *http.Request) (T, error) {
	var v T
	if !isJSON(r) {
		return v, errMalformed
	}
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return v, nil
}
