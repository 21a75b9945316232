package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/scope"
)

type credentialPageView struct {
	ui.Page
	withActivity

	Key       credentialView
	Base      string
	Users     string
	Facts     []fact
	AAGUID    string
	Verdict   string // why the attestation is trusted or not
	Statuses  []string
	MayEdit   bool
	MayVouch  bool
	MayRead   bool // its evidence
	Suspended bool
	Revoked   bool
	Lowered   bool
	Evidence  bool // some was kept
	Report    *evidence.Report
	Nickname  string
	ETag      string
	Problem   *ui.Problem
	Changed   string // what somebody else has made of the nickname
}

func (c *Console) showCredential(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.credential200(w, r, v, p, credentialPageView{}, http.StatusOK)
}

// keyOf is the credential that the path names.
func (c *Console) keyOf(r *http.Request, p *place) (credential.Credential, error) {
	id, err := credential.ParseID(r.PathValue("id"))
	if err != nil {
		return credential.Credential{}, err
	}
	return c.credentials.Get(r.Context(), p.sc, id)
}

func (c *Console) credential200(w http.ResponseWriter, r *http.Request, v *visit, p *place, view credentialPageView, status int) {
	k, err := c.keyOf(r, p)
	var names map[user.ID]user.Profile
	if err == nil {
		names, err = c.profiles(r, p, []user.ID{k.UserID})
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Key = c.credentialView(&k, p)
	view.Key.Owner, _ = called(names[k.UserID])
	view.Key.OwnerAt = p.base + "/users/" + k.UserID.String()
	view.Base = view.Key.Href
	view.MayEdit, view.MayVouch, view.MayRead = p.may(apikey.ScopeUsersWrite), p.may(apikey.ScopeCredentialsVouch), p.may(apikey.ScopeEvidenceRead)
	view.Suspended, view.Revoked, view.Lowered = k.State == credential.Suspended, k.State == credential.Revoked, k.Lowered
	view.Evidence, view.AAGUID, view.Statuses = k.EvidenceID != nil, k.AAGUID.String(), c.against(k.AAGUID)
	view.Verdict = verdictOf(&k)
	if view.Problem == nil {
		view.Nickname, view.ETag = k.Nickname, k.ETag
	}
	if view.Facts, err = c.factsOf(r, &k); err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.withActivity, err = c.activity(r, p, view.Base, about{kind: "credential", id: view.Key.ID}, ui.Tab{Href: view.Base, Label: "Passkey", Here: !asksActivity(r, view.Base)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	base := p.base + "/credentials"
	view.Page = c.frame(w, r, v, p, view.Key.Title, base, ui.Link{Href: base, Label: "Credentials"})
	view.Page.Here = view.Base
	c.render(w, r, status, c.credentialPage(view))
}

// factsOf is what is known of a credential beside its head.
func (c *Console) factsOf(r *http.Request, k *credential.Credential) ([]fact, error) {
	sync := "No: it stays on one device"
	switch {
	case k.BackedUp:
		sync = "Yes, backed up at the last use"
	case k.BackupEligible:
		sync = "Able to, not backed up at the last use"
	}
	discoverable := "Not said"
	if k.Discoverable != nil {
		discoverable = map[bool]string{true: "Yes: signs in without a name", false: "No: needs a name first"}[*k.Discoverable]
	}
	facts := []fact{
		{Label: "Synced", Text: sync}, {Label: "Discoverable", Text: discoverable}, {Label: "Attachment", Text: orElse(k.Attachment, "Not said")}, {Label: "Algorithm", Text: algorithmOf(k.Algorithm)},
		{Label: "Certification", Text: orElse(strings.ReplaceAll(k.Certification, "_", " "), "None proven")}, {Label: "Registered by", Text: viaOf(k.RegisteredVia)},
		{Label: "Statement", Text: orElse(k.AttestationFormat, "none")},
	}
	if k.VouchedAt != nil {
		by, err := c.operator(r, k.VouchedBy)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(k.VouchedBy, "credential:") {
			by = "another passkey of the user’s"
		}
		facts = append(facts, fact{Label: "Vouched for by", Text: by + ", " + ui.Ago(*k.VouchedAt, c.now()).Text})
	}
	if k.Disposition != "" {
		facts = append(facts, fact{Label: "Ordered of its model", Text: strings.ToLower(strings.ReplaceAll(k.Disposition, "_", " "))})
	}
	return facts, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// algorithmOf names a COSE algorithm (IANA COSE registry).
func algorithmOf(alg int32) string {
	switch alg {
	case -7:
		return "ES256 (P-256)"
	case -8:
		return "EdDSA (Ed25519)"
	case -35:
		return "ES384 (P-384)"
	case -36:
		return "ES512 (P-521)"
	case -257:
		return "RS256"
	}
	return "COSE algorithm " + ui.Number(int(alg))
}

func viaOf(via credential.Via) string {
	switch via {
	case credential.ViaServerKey:
		return "Your server’s word"
	case credential.ViaRegistrationToken:
		return "A registration token"
	case credential.ViaRecoveryCode:
		return "A recovery code"
	case credential.ViaEnrollmentLink:
		return "An enrolment link"
	case credential.ViaSession:
		return "The user, signed in"
	default:
		return "An import"
	}
}

// verdictOf says why an attestation counts as it does.
func verdictOf(k *credential.Credential) string {
	switch k.Trust {
	case credential.TrustMDS:
		return "Its certificates led to a root that the FIDO Metadata Service lists for this model when it was registered."
	case credential.TrustTenantRoot:
		return "Its certificates led to a root that this tenant trusts when it was registered."
	case credential.TrustSelf:
		return "It signed for itself: that proves the key, and no model. The AAGUID is what the authenticator says."
	case credential.TrustUntrusted:
		return "It sent certificates that led to no root which was trusted when it was registered. The AAGUID is what the authenticator says."
	default:
		return "None was sent, as most synced passkeys do. The AAGUID is what the authenticator says."
	}
}

func (c *Console) renameCredential(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	view := credentialPageView{Nickname: clean(r.PostFormValue("nickname")), ETag: r.PostFormValue("etag")}
	was := r.PostFormValue("was")
	id, err := credential.ParseID(r.PathValue("id"))
	if err == nil {
		_, err = c.credentials.Rename(r.Context(), p.sc, credential.RenameRequest{ID: id, Nickname: view.Nickname, IfMatch: orElse(view.ETag, "none")})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		view.Problem = problem
		if errors.Is(err, credential.ErrNotFound) {
			c.fail(w, r, v, err)
			return
		}
		if errors.Is(err, etag.ErrMismatch) {
			k, err := c.keyOf(r, p)
			if err != nil {
				c.fail(w, r, v, err)
				return
			}
			code, view.ETag = http.StatusConflict, k.ETag
			view.Problem = &ui.Problem{Title: "Somebody else has changed this passkey", Message: "What you typed is still here. Look at what is different now, then save again.", Reason: problem.Reason}
			view.Changed = "State: " + strings.ToLower(string(k.State))
			if k.Nickname != was {
				view.Changed = "Nickname was “" + was + "” and is now “" + k.Nickname + "”"
			}
		}
		c.credential200(w, r, v, p, view, code)
		return
	}
	c.done(w, r, "keyrenamed", p.base+"/credentials/"+id.String())
}

// keyAct is something that is done to a credential, after a reason and a passkey.
type keyAct struct {
	name, needs, title, button, toast string
	danger                            bool
	effects                           []ui.Effect
	run                               func(ctx context.Context, c *Console, sc scope.Scope, id credential.ID, reason string, last bool) error
}

var credentialActs = []keyAct{
	{
		name: "suspend", needs: apikey.ScopeUsersWrite, title: "Suspend this passkey", button: "suspend", toast: "keysuspended",
		effects: []ui.Effect{{Icon: "pause", Text: "It signs nobody in until somebody resumes it"}, {Icon: "devices", Text: "Sessions that it began stay open: revoke them where that is wanted"}},
		run: func(ctx context.Context, c *Console, sc scope.Scope, id credential.ID, reason string, _ bool) error {
			_, err := c.credentials.Suspend(ctx, sc, credential.StateRequest{ID: id, Reason: reason})
			return err
		},
	},
	{
		name: "resume", needs: apikey.ScopeUsersWrite, title: "Resume this passkey", button: "resume", toast: "keyresumed",
		effects: []ui.Effect{{Icon: "key", Text: "It signs its user in again"}},
		run: func(ctx context.Context, c *Console, sc scope.Scope, id credential.ID, reason string, _ bool) error {
			_, err := c.credentials.Resume(ctx, sc, credential.StateRequest{ID: id, Reason: reason})
			return err
		},
	},
	{
		name: "revoke", needs: apikey.ScopeUsersWrite, title: "Revoke this passkey", button: "revoke", danger: true, toast: "keyrevoked",
		effects: []ui.Effect{{Icon: "ban", Text: "It signs nobody in any more, for good"}, {Icon: "logout", Text: "Sessions that it began end at once"}, {Icon: "history", Text: "It stays in the list, since audit entries point at it"}},
		run: func(ctx context.Context, c *Console, sc scope.Scope, id credential.ID, reason string, last bool) error {
			_, err := c.credentials.Revoke(ctx, sc, credential.RevokeRequest{ID: id, Reason: reason, AllowLast: last})
			return err
		},
	},
	{
		name: "vouch", needs: apikey.ScopeCredentialsVouch, title: "Vouch for this passkey", button: "vouch", toast: "keyvouched",
		effects: []ui.Effect{{Icon: "shieldok", Text: "You say that it is its user’s: its lowered assurance ends"}, {Icon: "history", Text: "Your name stands beside it"}},
		run: func(ctx context.Context, c *Console, sc scope.Scope, id credential.ID, reason string, _ bool) error {
			_, err := c.credentials.Vouch(ctx, sc, credential.VouchRequest{ID: id, Reason: reason})
			return err
		},
	},
}

type keyActView struct {
	ui.Page

	Key     credentialView
	Act     ui.Act
	AskLast bool // the box for the last credential is shown
	Last    bool
}

// keyAct is the act that the path names.
func keyActOf(r *http.Request, p *place) (*keyAct, error) {
	i := slices.IndexFunc(credentialActs, func(a keyAct) bool { return a.name == r.PathValue("act") })
	if i < 0 {
		return nil, errNowhere
	}
	if !p.may(credentialActs[i].needs) {
		return nil, errMayNot
	}
	return &credentialActs[i], nil
}

func (c *Console) showCredentialAct(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, err := keyActOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.credentialAct200(w, r, v, p, act, actForm{}, keyActView{}, http.StatusOK)
}

func (c *Console) credentialAct200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act *keyAct, form actForm, view keyActView, status int) {
	k, err := c.keyOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Key = c.credentialView(&k, p)
	view.Act = ui.Act{
		ID: "act", Action: view.Key.Href + "/act/" + act.name, Title: act.title, Effects: act.effects, Reason: form.Reason, Button: act.button,
		Danger: act.danger, Cancel: view.Key.Href, Fresh: freshUntil(v), Problem: form.Problem,
	}
	base := p.base + "/credentials"
	view.Page = c.frame(w, r, v, p, act.title, base, ui.Link{Href: base, Label: "Credentials"}, ui.Link{Href: view.Key.Href, Label: view.Key.Title})
	view.Page.Here = view.Key.Href
	c.render(w, r, status, c.credentialActPage(view))
}

func (c *Console) actOnCredential(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, err := keyActOf(r, p)
	var k credential.Credential
	if err == nil {
		k, err = c.keyOf(r, p)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	view := keyActView{Last: r.PostFormValue("last") == "1"}
	switch {
	case !v.fresh:
		err = errStale
	case !audit.IsReason(form.Reason):
		err = credential.ErrReason
	default:
		err = act.run(r.Context(), c, p.sc, k.ID, form.Reason, view.Last)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		if errors.Is(err, credential.ErrLast) {
			form.Problem = &ui.Problem{
				Title: "This is the user’s last passkey", Reason: problem.Reason,
				Message: "Without it they cannot sign in. Send them an enrolment link first, or tick below that this is meant.",
			}
		}
		view.AskLast = errors.Is(err, credential.ErrLast) || view.Last
		c.credentialAct200(w, r, v, p, act, form, view, code)
		return
	}
	c.done(w, r, act.toast, p.base+"/credentials/"+k.ID.String())
}

// evidenceOf is what was kept of the registration of the path's credential.
func (c *Console) evidenceOf(r *http.Request, p *place) (credential.Credential, error) {
	k, err := c.keyOf(r, p)
	if err == nil && k.EvidenceID == nil {
		err = evidence.ErrNotFound
	}
	return k, err
}

// downloadEvidence hands the signed bundle out. It is a POST, since it is recorded.
func (c *Console) downloadEvidence(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	k, err := c.evidenceOf(r, p)
	var file []byte
	if err == nil {
		_, file, err = c.evidence.Download(r.Context(), p.sc, *k.EvidenceID)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	attachment(w, "application/json", "evidence-"+k.EvidenceID.String()+".json")
	if _, err := w.Write(file); err != nil { //nolint:gosec // JSON, as an attachment
		c.unwritten(r, err)
	}
}

// verifyEvidence concludes again from the bundle what was concluded at the registration.
func (c *Console) verifyEvidence(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	k, err := c.evidenceOf(r, p)
	var report evidence.Report
	if err == nil {
		report, err = c.evidence.Verify(r.Context(), p.sc, *k.EvidenceID)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.credential200(w, r, v, p, credentialPageView{Report: &report}, http.StatusOK)
}
