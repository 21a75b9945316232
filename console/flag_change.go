package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

func (c *Console) switchFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := flagActs{toggle: actOf(r)}
	all, at, err := c.flagOf(r.Context(), r, p)
	if err == nil {
		err = sensitive(v, acts.toggle.Reason)
	}
	// The form says what is to be, and not that it changes: the kill switch, pressed by two people at once, is not pressed back.
	enabled, toast := false, "flagOff"
	switch to := r.PostFormValue("enabled"); {
	case err != nil:
	case to == "true":
		enabled, toast = true, "flagOn"
	case to != "false":
		err = errMalformed
	}
	if err == nil {
		_, err = c.flags.Update(r.Context(), p.sc, flag.UpdateRequest{Key: all[at].Key, Environment: all[at].Environment, Enabled: &enabled, Reason: acts.toggle.Reason})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.toggle.Problem = problem
		c.flag200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, toast, c.flagRow(p, &all[at]).Href)
}

func (c *Console) deleteFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := flagActs{remove: actOf(r)}
	all, _, err := c.flagOf(r.Context(), r, p)
	switch {
	case err != nil:
	case acts.remove.Typed != all[0].Key:
		err = errConfirm
	default:
		if err = sensitive(v, acts.remove.Reason); err == nil {
			err = c.flags.Delete(r.Context(), p.sc, flag.DeleteRequest{Key: all[0].Key, Reason: acts.remove.Reason})
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.remove.Problem = problem
		c.flag200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, "flagDeleted", p.base+flagsPath)
}

// flagProblem puts a refusal at its field.
func (c *Console) flagProblem(r *http.Request, err error) (*ui.Problem, int) {
	problem, code := c.inForm(r, err)
	f, ok := fault.As(err)
	if problem == nil || !ok {
		return problem, code
	}
	switch {
	case errors.Is(err, flag.ErrTaken):
		problem.Field = "key"
	case errors.Is(err, flag.ErrInvalid):
		field := f.Metadata["field"]
		name, _, _ := strings.Cut(field, ".")
		name, _, _ = strings.Cut(name, "[")
		problem.Field, problem.Message = name, sentence(strings.TrimPrefix(f.Message, name+": "))
	}
	return problem, code
}
