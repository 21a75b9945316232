package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// apiKeyView is the page of one key.
type apiKeyView struct {
	ui.Page

	Base     string
	Key      apiKeyRow
	Scopes   []scopeChoice
	May      bool // change it
	Beyond   bool // it may do what the person's role may not: they neither rotate nor unlock it
	Live     bool // neither revoked nor expired
	Rotate   ui.Act
	Overlaps []ui.Choice
	Lives    []ui.Choice
	Overlap  string
	Ends     string
	Lock     ui.Act
	Revoke   ui.Act
	withActivity

	Curl string
}

// overlaps are how long a rotated key may go on, in hours.
var overlaps = []ui.Choice{{Value: "24", Label: "1 day"}, {Value: "0", Label: "Not at all: the old key ends now"}, {Value: "1", Label: "1 hour"}, {Value: "72", Label: "3 days"}, {Value: "168", Label: "7 days"}}

// keyActs is what was typed into the forms of a key's page.
type keyActs struct {
	rotate, lock, revoke ui.Act
	overlap, ends        string
}

func (c *Console) showAPIKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.apiKeyPage200(w, r, v, p, keyActs{}, http.StatusOK)
}

func (c *Console) apiKeyOf(r *http.Request, p *place) (apikey.Key, error) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return c.apiKeys.Get(r.Context(), p.sc, id)
}

func (c *Console) apiKeyPage200(w http.ResponseWriter, r *http.Request, v *visit, p *place, acts keyActs, status int) {
	k, err := c.apiKeyOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	rows, err := c.apiKeyRows(r.Context(), []apikey.Key{k})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + keysPath + "/" + rows[0].ID
	view := apiKeyView{
		Page: c.frame(w, r, v, p, k.Name, p.base+keysPath, ui.Link{Href: p.base + keysPath, Label: "API keys"}), Base: p.base, Key: rows[0],
		May: p.may(apikey.ScopeAPIKeysWrite), Live: rows[0].State != apikey.Revoked && rows[0].State != apikey.Expired,
		Beyond: !apikey.Covers(p.me.Role.Grants(apikey.Secret), k.Scopes), Overlaps: overlaps, Overlap: acts.overlap, Ends: acts.ends,
		Lives:  append([]ui.Choice{{Value: "same", Label: "As long as this one was to last"}}, apiKeyLives...),
		Rotate: acts.rotate, Lock: acts.lock, Revoke: acts.revoke,
	}
	view.Page.Here = here
	for _, s := range k.Scopes {
		view.Scopes = append(view.Scopes, scopeChoice{Scope: s, Says: saysOf(s)})
	}
	fresh := freshUntil(v)
	set := func(a *ui.Act, id, title, button string, effects ...ui.Effect) {
		a.ID, a.Title, a.Button, a.Effects, a.Action, a.Fresh = id, title, button, effects, here+"/"+id, fresh
	}
	set(&view.Rotate, "rotate", "Rotate", "rotate",
		ui.Effect{Icon: "key", Text: "A new key with the same name, scopes and networks, shown once"},
		ui.Effect{Icon: "history", Text: "This one goes on for the overlap, then ends by itself"})
	if k.LockedAt == nil {
		set(&view.Lock, "lock", "Lock", "lock",
			ui.Effect{Icon: "lock", Text: "Refused within a second on every server"},
			ui.Effect{Icon: "back", Text: "Unlocking lets it work again, with the same secret"})
	} else {
		set(&view.Lock, "unlock", "Unlock", "unlock", ui.Effect{Icon: "key", Text: "Works again within a second, for whoever has it"})
	}
	set(&view.Revoke, "revoke", "Revoke", "revoke",
		ui.Effect{Icon: "ban", Text: "Refused within a second on every server, for good"},
		ui.Effect{Icon: "audit", Text: "Its row and its activity stay"})
	view.Revoke.Confirm, view.Revoke.Danger = k.Name, true
	if k.ExpiresAt != nil { // a key that ends has a successor that ends
		view.Lives = view.Lives[:len(view.Lives)-1]
	}
	view.withActivity, err = c.activity(r, p, here, about{kind: "apikey", id: view.Key.ID}, ui.Tab{Href: here, Label: "Key", Here: !asksActivity(r, here)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.render(w, r, status, c.apiKeyPage(view))
}

// actOf is what was typed into the form of a sensitive act.
func actOf(r *http.Request) ui.Act {
	return ui.Act{Reason: clean(r.PostFormValue("reason")), Typed: clean(r.PostFormValue("confirm"))}
}

func (c *Console) rotateAPIKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := keyActs{rotate: actOf(r), overlap: r.PostFormValue("overlap"), ends: r.PostFormValue("expires")}
	made, err := c.doRotate(r, v, p, acts)
	if problem, code := c.inForm(r, err); problem != nil {
		acts.rotate.Problem = problem
		c.apiKeyPage200(w, r, v, p, acts, code)
		return
	}
	c.shownOnce(w, r, v, p, made.Created, &made.Old)
}

func (c *Console) doRotate(r *http.Request, v *visit, p *place, acts keyActs) (apikey.Rotated, error) {
	k, err := c.apiKeyOf(r, p)
	if err != nil {
		return apikey.Rotated{}, err
	}
	hours, err := strconv.Atoi(acts.overlap)
	if err != nil || hours < 0 || hours > 168 {
		return apikey.Rotated{}, apikey.ErrOverlap
	}
	req := apikey.RotateRequest{
		ID: k.ID, Overlap: time.Duration(hours) * time.Hour, Reason: acts.rotate.Reason, Within: p.me.Role.Grants(apikey.Secret),
	}
	if acts.ends != "same" {
		if req.ExpiresAt, err = c.endsOf(acts.ends); err != nil {
			return apikey.Rotated{}, err
		}
		if req.ExpiresAt == nil && k.ExpiresAt != nil { // never, where the service would take the old key's lifetime
			return apikey.Rotated{}, errManyYears
		}
	}
	if err := sensitive(v, acts.rotate.Reason); err != nil {
		return apikey.Rotated{}, err
	}
	return c.apiKeys.Rotate(r.Context(), p.sc, req)
}

// lockAPIKey locks or unlocks, as the path says.
func (c *Console) lockAPIKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := keyActs{lock: actOf(r)}
	k, err := c.apiKeyOf(r, p)
	if err == nil {
		err = sensitive(v, acts.lock.Reason)
	}
	toast := "locked"
	if err == nil {
		do := c.apiKeys.Lock
		if isUnlock(r) {
			do, toast = c.apiKeys.Unlock, "unlocked"
		}
		_, err = do(r.Context(), p.sc, apikey.LockRequest{ID: k.ID, Reason: acts.lock.Reason, Within: p.me.Role.Grants(apikey.Secret)})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.lock.Problem = problem
		c.apiKeyPage200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, toast, p.base+keysPath+"/"+k.ID.String())
}

func isUnlock(r *http.Request) bool {
	return len(r.URL.Path) > 7 && r.URL.Path[len(r.URL.Path)-7:] == "/unlock"
}

func (c *Console) revokeAPIKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := keyActs{revoke: actOf(r)}
	err := c.doRevoke(r.Context(), r, v, p, acts.revoke)
	if problem, code := c.inForm(r, err); problem != nil {
		acts.revoke.Problem = problem
		c.apiKeyPage200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, "keyRevoked", p.base+keysPath)
}

func (c *Console) doRevoke(ctx context.Context, r *http.Request, v *visit, p *place, act ui.Act) error {
	k, err := c.apiKeyOf(r, p)
	if err != nil {
		return err
	}
	if act.Typed != k.Name {
		return errConfirm
	}
	if err := sensitive(v, act.Reason); err != nil {
		return err
	}
	_, err = c.apiKeys.Revoke(ctx, p.sc, apikey.RevokeRequest{ID: k.ID, Reason: act.Reason})
	return err
}
