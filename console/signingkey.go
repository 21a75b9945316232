package console

import (
	"net/http"
	"slices"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/keys"
)

const signingPath = "/signing-keys"

// keySetAge is how long verifiers keep a key set: edge.JWKSMaxAge, in words.
const keySetAge = "5 minutes"

func (c *Console) signingKeyRoutes(mux *router) {
	base := Path + "/t/{slug}" + signingPath
	reads, writes := apikey.ScopeSigningKeysRead, apikey.ScopeSigningKeysWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showSigningKeys))
	mux.HandleFunc("GET "+base+"/decoder", c.inTenant(reads, c.showDecoder))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(reads, c.exportSigningKeys))
	mux.HandleFunc("POST "+base+"/rotate", c.inTenant(writes, c.rotateSigningKey))
	mux.HandleFunc("GET "+base+"/{kid}", c.inTenant(reads, c.showSigningKey))
	mux.HandleFunc("GET "+base+"/{kid}"+activityPath, c.inTenant(reads, c.showSigningKey))
	mux.HandleFunc("POST "+base+"/{kid}/revoke", c.inTenant(writes, c.revokeSigningKey))
}

type signingKeysView struct {
	ui.Page

	Base     string
	Issuer   string
	JWKS     string
	Tabs     []ui.Tab
	Keys     []signingKeyRow
	CSV      string
	JSON     string
	Algs     []ui.Choice
	Form     signingForm
	May      bool
	Pending  string // kid of the key that signs next; empty for none
	PendsFor string // when it does
	Rotate   ui.Act
}

// signingForm is what was typed.
type signingForm struct {
	Algorithm string
	Now       bool
}

type signingKeyRow struct {
	KID, Algorithm, Where string
	State                 keys.State
	Made                  ui.Moment
	When                  string // what comes next, or what was last
	At                    *ui.Moment
	Reason                string // why it was revoked
}

var signingStates = map[keys.State]struct{ class, label string }{
	keys.Pending: {"info", "Pending"}, keys.Active: {"ok", "Active"}, keys.Retiring: {"warn", "Retiring"}, keys.Revoked: {"idle", "Revoked"},
}

func newSigningKeyRow(k *keys.SigningKey, now time.Time) signingKeyRow {
	row := signingKeyRow{KID: k.KID, Algorithm: k.Algorithm, State: k.State, Made: ui.Ago(k.CreatedAt, now), Where: "Sealed in the database", Reason: k.RevokeReason}
	switch {
	case k.State == keys.Revoked:
		row.Where = "Destroyed"
	case k.InKMS:
		row.Where = "In the KMS"
	}
	at := func(when string, t *time.Time) {
		if t == nil {
			return
		}
		m := ui.Ago(*t, now)
		if left := t.Sub(now); left > 0 {
			m.Text = "in " + ui.Left(left)
		}
		row.When, row.At = when, &m
	}
	switch k.State {
	case keys.Pending:
		at("Signs", k.ActivateAt)
	case keys.Active:
		at("Signs since", k.ActivatedAt)
	case keys.Retiring:
		at("Verifies until", k.RevokeAt)
	case keys.Revoked:
		at("Ended", k.RevokedAt)
	}
	return row
}

// issuerOf is the tenant's, as its tokens and its metadata have it.
func (c *Console) issuerOf(r *http.Request) string { return c.publicURL + "/t/" + r.PathValue("slug") }

func (p *place) signingTabs(here string) []ui.Tab {
	return []ui.Tab{
		{Href: p.base + signingPath, Label: "Keys", Here: here == "keys"},
		{Href: p.base + signingPath + "/decoder", Label: "Token decoder", Here: here == "decoder"},
	}
}

func (c *Console) showSigningKeys(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.signingKeys200(w, r, v, p, signingForm{}, ui.Act{}, http.StatusOK)
}

func (c *Console) signingKeys200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form signingForm, act ui.Act, status int) {
	list, err := c.keys.SigningKeys(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	act.ID, act.Title, act.Button, act.Action, act.Fresh = "rotate", "Rotate", "rotate", p.base+signingPath+"/rotate", freshUntil(v)
	act.Effects = []ui.Effect{
		{Icon: "globe", Text: "A new key is published now, and signs in 15 minutes"},
		{Icon: "history", Text: "The one before verifies for 65 minutes more: no token fails"},
	}
	view := signingKeysView{
		Page: c.frame(w, r, v, p, "Signing keys", p.base+signingPath), Base: p.base, Issuer: c.issuerOf(r), JWKS: c.issuerOf(r) + "/.well-known/jwks.json",
		Tabs: p.signingTabs("keys"), Form: form, May: p.may(apikey.ScopeSigningKeysWrite), Rotate: act,
		Algs: []ui.Choice{{Label: "As the policy says"}, {Value: "ES256", Label: "ES256"}, {Value: "EdDSA", Label: "EdDSA"}, {Value: "RS256", Label: "RS256"}},
	}
	export := ui.Address{Path: p.base + signingPath + "/export"}
	view.CSV, view.JSON = export.Without(), export.With("format", "json")
	for i := range list {
		row := newSigningKeyRow(&list[i], c.now())
		if row.State == keys.Pending {
			view.Pending = row.KID
			if row.At != nil {
				view.PendsFor = row.At.Text
			}
		}
		view.Keys = append(view.Keys, row)
	}
	c.render(w, r, status, c.signingKeysPage(view))
}

// exportSigningKeys writes the list, which is one page: no private half is in it.
func (c *Console) exportSigningKeys(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name:    "signing-keys",
		Columns: []string{"kid", "algorithm", "state", "privateHalf", "createdAt", "activateAt", "activatedAt", "retiredAt", "revokeAt", "revokedAt", "revokeReason"},
		Next: func(string) ([][]string, string, error) {
			list, err := c.keys.SigningKeys(r.Context(), p.sc)
			rows := make([][]string, len(list))
			for i := range list {
				k := &list[i]
				rows[i] = []string{
					k.KID, k.Algorithm, string(k.State), newSigningKeyRow(k, c.now()).Where, iso(&k.CreatedAt), iso(k.ActivateAt), iso(k.ActivatedAt),
					iso(k.RetiredAt), iso(k.RevokeAt), iso(k.RevokedAt), k.RevokeReason,
				}
			}
			return rows, "", err
		},
	})
}

func (c *Console) rotateSigningKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form, act := signingForm{Algorithm: r.PostFormValue("algorithm"), Now: r.PostFormValue("now") == "yes"}, actOf(r)
	err := sensitive(v, act.Reason)
	if err == nil {
		_, err = c.keys.Rotate(r.Context(), p.sc, keys.RotateRequest{Algorithm: form.Algorithm, Now: form.Now, Reason: act.Reason})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.signingKeys200(w, r, v, p, form, act, code)
		return
	}
	c.done(w, r, "rotated", p.base+signingPath)
}

type signingKeyView struct {
	ui.Page
	withActivity

	Base   string
	Key    signingKeyRow
	May    bool
	Public string
	Revoke ui.Act
}

func (c *Console) showSigningKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.signingKey200(w, r, v, p, ui.Act{}, http.StatusOK)
}

// signingKeyOf is the key that the path names. keys.ErrKeyNotFound.
func (c *Console) signingKeyOf(r *http.Request, p *place) (keys.SigningKey, error) {
	list, err := c.keys.SigningKeys(r.Context(), p.sc)
	if err != nil {
		return keys.SigningKey{}, err
	}
	i := slices.IndexFunc(list, func(k keys.SigningKey) bool { return k.KID == r.PathValue("kid") })
	if i < 0 {
		return keys.SigningKey{}, keys.ErrKeyNotFound
	}
	return list[i], nil
}

func (c *Console) signingKey200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, status int) {
	k, err := c.signingKeyOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	public, err := keys.PublicJWK(k.Public)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + signingPath + "/" + k.KID
	act.ID, act.Title, act.Button, act.Action, act.Fresh = "revoke", "Revoke in an emergency", "revoke", here+"/revoke", freshUntil(v)
	act.Confirm, act.Danger = k.KID, true
	act.Effects = []ui.Effect{
		{Icon: "ban", Text: "What it has signed is refused: here within a second, elsewhere when verifiers ask again, at most " + keySetAge},
		{Icon: "trash", Text: "Its private half is destroyed, for good"},
		{Icon: "refresh", Text: "Sessions stay: refreshing gets tokens of the next key"},
	}
	if k.State == keys.Active {
		act.Effects = append(act.Effects, ui.Effect{Icon: "zap", Text: "The next key signs at once; one is made if none is pending"})
	}
	view := signingKeyView{
		Page: c.frame(w, r, v, p, k.KID[:min(8, len(k.KID))]+"…", p.base+signingPath, ui.Link{Href: p.base + signingPath, Label: "Signing keys"}), Base: p.base,
		Key: newSigningKeyRow(&k, c.now()), May: p.may(apikey.ScopeSigningKeysWrite), Public: indented(public), Revoke: act,
	}
	view.Page.Here = here
	view.withActivity, err = c.activity(r, p, here, about{kind: "signingkey", id: k.KID}, ui.Tab{Href: here, Label: "Key", Here: !asksActivity(r, here)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.render(w, r, status, c.signingKeyPage(view))
}

func (c *Console) revokeSigningKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	k, err := c.signingKeyOf(r, p)
	if err == nil && act.Typed != k.KID {
		err = errConfirm
	}
	if err == nil {
		err = sensitive(v, act.Reason)
	}
	if err == nil {
		_, err = c.keys.Revoke(r.Context(), p.sc, keys.RevokeKeyRequest{KID: k.KID, Reason: act.Reason})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.signingKey200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "signingRevoked", p.base+signingPath)
}

type decoderView struct {
	ui.Page

	Tabs   []ui.Tab
	JWKS   string // path of the key set, at the console's own origin
	Issuer string
}

// showDecoder is a page that reads tokens in the browser: its field has no name and stands
// in no form, and its script asks the server for the key set alone.
func (c *Console) showDecoder(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.render(w, r, http.StatusOK, c.decoderPage(decoderView{
		Page: c.frame(w, r, v, p, "Token decoder", p.base+signingPath, ui.Link{Href: p.base + signingPath, Label: "Signing keys"}), Tabs: p.signingTabs("decoder"),
		JWKS: "/t/" + r.PathValue("slug") + "/.well-known/jwks.json", Issuer: c.issuerOf(r),
	}))
}
