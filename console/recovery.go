package console

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/member"
)

// recoveryView is one recovery of an owner.
type recoveryView struct {
	ID, Name, Reason, Ticket string
	State                    member.OwnerRecoveryState
	RequestedBy              string
	RequestedAt              ui.Moment
	ApprovedBy               string
	ApprovedAt               *ui.Moment
	Ready                    *ui.Moment
	Left                     string // until it is ready
	Expires                  ui.Moment
	EndedBy, EndReason       string
	EndedAt                  *ui.Moment
	Open                     bool
	Asked                    uuid.UUID // who asked for it
	Href                     string
}

func newRecoveryView(r *member.OwnerRecovery, names map[uuid.UUID]string, now time.Time, base string) recoveryView {
	v := recoveryView{
		ID: r.ID.String(), Name: names[r.PersonID], Reason: r.Reason, Ticket: r.Ticket, State: r.State,
		RequestedBy: whoLabel(r.RequestedBy, names), RequestedAt: ui.At(r.RequestedAt), Expires: ui.At(r.ExpiresAt),
		EndReason: r.EndReason, Open: r.Open(), Asked: who(r.RequestedBy), Href: base + "/recoveries/" + r.ID.String(),
		ApprovedAt: at(r.ApprovedAt), Ready: at(r.ReadyAt), EndedAt: at(r.EndedAt),
	}
	if r.ApprovedBy != "" {
		v.ApprovedBy = whoLabel(r.ApprovedBy, names)
	}
	if r.EndedBy != "" {
		v.EndedBy = whoLabel(r.EndedBy, names)
	}
	if r.State == member.OwnerWaiting && r.ReadyAt != nil {
		v.Left = "in " + ui.Left(r.ReadyAt.Sub(now))
	}
	return v
}

func at(t *time.Time) *ui.Moment {
	if t == nil {
		return nil
	}
	m := ui.At(*t)
	return &m
}

// badge is the state in a word, with its colour.
func (v *recoveryView) badge() (class, text string) {
	switch v.State {
	case member.OwnerRequested:
		return "warn", "Waits for approval"
	case member.OwnerWaiting:
		return "warn", "Members may say no"
	case member.OwnerReady:
		return "bad", "Link can be made"
	case member.OwnerReleased:
		return "bad", "Link made, not used"
	case member.OwnerCompleted:
		return "info", "Completed"
	case member.OwnerCancelled:
		return "ok", "Cancelled"
	case member.OwnerExpired:
		return "idle", "Expired"
	}
	return "idle", string(v.State)
}

// alerts are what every member sees on every page while a recovery of an owner is open.
func (c *Console) alerts(ctx context.Context, p *place) ([]ui.Alert, error) {
	var people []uuid.UUID
	for i := range p.recoveries {
		if r := &p.recoveries[i]; r.Open() {
			people = append(people, r.PersonID, who(r.RequestedBy))
		}
	}
	if len(people) == 0 {
		return nil, nil
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return nil, err
	}
	var all []ui.Alert
	for i := range p.recoveries {
		if !p.recoveries[i].Open() {
			continue
		}
		v := newRecoveryView(&p.recoveries[i], names, c.now(), p.base)
		a := ui.Alert{Name: "Recovery of an owner", Href: v.Href, Label: "Look and cancel…"}
		begin := "The staff is about to let " + v.Name + ", an owner, in again. " + v.RequestedBy + " asked for it. "
		switch v.State {
		case member.OwnerWaiting:
			a.Text, a.Ready, a.Left = begin+"Unless somebody here cancels it, a link can be made from", v.Ready, v.Left
		case member.OwnerReady:
			a.Text = begin + "A link can be made now."
		case member.OwnerReleased:
			a.Text = begin + "The link is made: who opens it is an owner in their place. Until then you can cancel it."
		default:
			a.Text = begin + "Somebody else of the staff has to approve it; then you have three days to say no."
		}
		all = append(all, a)
	}
	return all, nil
}

// ownRecoveryView is the page on which members look at a recovery, and cancel it.
type ownRecoveryView struct {
	ui.Page

	Base     string
	Recovery recoveryView
	Fresh    string
	Form     actForm
}

func (c *Console) showOwnRecovery(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.ownRecovery200(w, r, v, p, actForm{}, http.StatusOK)
}

func (c *Console) ownRecovery200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form actForm, status int) {
	for i := range p.recoveries {
		one := &p.recoveries[i]
		if one.ID.String() != r.PathValue("id") {
			continue
		}
		names, err := c.names(r.Context(), []uuid.UUID{one.PersonID, who(one.RequestedBy), who(one.ApprovedBy), who(one.EndedBy)})
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		view := ownRecoveryView{Base: p.base, Recovery: newRecoveryView(one, names, c.now(), p.base), Fresh: freshUntil(v), Form: form}
		view.Page = c.frame(w, r, v, p, "Recovery of "+view.Recovery.Name, p.base+"/members",
			ui.Link{Href: p.base + "/members", Label: "Members & roles"})
		view.Page.Here = view.Recovery.Href
		c.render(w, r, status, c.ownRecoveryPage(view))
		return
	}
	c.fail(w, r, v, member.ErrOwnerRecovery)
}

func (c *Console) cancelOwnRecovery(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	id, err := uuid.Parse(r.PathValue("id"))
	switch {
	case err != nil:
		err = member.ErrOwnerRecovery
	case !v.fresh:
		err = errStale
	default:
		_, err = c.members.CancelOwnerRecovery(r.Context(), p.sc, id, form.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.ownRecovery200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "cancelled", p.base+"/members")
}

// freshUntil is until when the passkey that was used counts as fresh, for the page's
// script: RFC 3339, with half a minute to spare for what is typed and sent.
func freshUntil(v *visit) string {
	return v.session.ProvedAt.Add(member.FreshFor - 30*time.Second).UTC().Format(time.RFC3339)
}

// clean is a line of text as it is kept: without spaces around it.
func clean(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	return strings.TrimSpace(s)
}
