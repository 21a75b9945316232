package console

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// explainFlag answers "Why did this user get that?". Who is asked about comes in the body: addresses are kept in many places.
func (c *Console) explainFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.flag200(w, r, v, p, flagActs{asks: true}, http.StatusOK)
}

// explain answers what was asked in "Why did this user get that?".
func (c *Console) explain(view *flagView, r *http.Request, p *place, f *flag.Stored, asks bool) error {
	subject, about := clean(r.PostFormValue("subject")), plainLines(r.PostFormValue("context"))
	view.WhyTo = view.Flag.below("/why")
	view.Subject = ui.Input{ID: "why-subject", Name: "subject", Label: "Targeting key", Hint: "Whom rollouts are dealt by: your application’s id of the user.", Value: subject, Max: 256, Optional: true}
	view.Context = ui.Input{ID: "why-context", Name: "context", Label: "Context", Hint: "One attribute to a line, as country = NO. Numbers, true and false are read as such.", Value: about, Max: 4000, Rows: 3, Optional: true}
	if !asks {
		return nil
	}
	attributes, bad := contextOf(about)
	if bad != "" {
		view.WhyProblem = &ui.Problem{Title: "This line is no attribute", Message: "“" + bad + "”: write name = value.", Field: "context"}
		view.Context.Problem = view.WhyProblem
		return nil
	}
	set, err := c.flags.Flags(r.Context(), p.sc, f.Environment)
	if err != nil {
		return err
	}
	why := set.Explain(f.Key, &flag.Subject{Key: view.Subject.Value, Attributes: attributes})
	view.Why = &why
	return nil
}

// contextOf reads attributes, a line each; bad is the first line that is none.
func contextOf(text string) (attributes map[string]any, bad string) {
	attributes = map[string]any{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name, value = strings.TrimSpace(name), strings.TrimSpace(value); !ok || name == "" {
			return nil, line
		}
		var typed any
		if json.Unmarshal([]byte(value), &typed) != nil {
			typed = value
		}
		attributes[name] = typed
	}
	return attributes, ""
}
