package console

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// ruleForm is a rule as the builder shows it, as it was typed.
type ruleForm struct {
	Name   string // of its fields, as r0
	ID     string
	Who    term   // the group whose fields have the rule's name
	To     string // a variant, or shared
	By     string
	Shares []shareForm
}

type shareForm struct{ Variant, Weight string }

// shared is what a rule serves that has a rollout: no variant has that name.
const shared = "*"

// rulesForm is an environment's rules as they are typed, in rows or as JSON.
type rulesForm struct {
	View                       string // form or json
	Rules                      []ruleForm
	Text                       string // of the view json
	Off, Default, Reason, ETag string
	Problem                    *ui.Problem
	Changed                    bool   // somebody else changed it meanwhile
	Focus                      string // the field or button that what was done leads to; empty for none
}

// ruleForms are rules in rows. Every variant has a share to type in, those of a rollout first and in its order.
func ruleForms(rules []flag.Rule, variants []string) []ruleForm {
	out := make([]ruleForm, len(rules))
	for i := range rules {
		r := &rules[i]
		out[i] = ruleForm{Name: ruleField(i), ID: r.ID, Who: groupOf(ruleField(i), &r.When), To: r.Variant, By: r.By}
		if r.Variant == "" {
			out[i].To = shared
		}
		for _, s := range r.Rollout {
			out[i].Shares = append(out[i].Shares, shareForm{s.Variant, strconv.FormatFloat(s.Weight.Percent(), 'f', -1, 64)})
		}
		out[i].fill(variants)
	}
	return out
}

// fill adds the variants that have no share yet.
func (r *ruleForm) fill(variants []string) {
	for _, name := range variants {
		if !slices.ContainsFunc(r.Shares, func(s shareForm) bool { return s.Variant == name }) {
			r.Shares = append(r.Shares, shareForm{Variant: name})
		}
	}
}

func ruleField(i int) string { return "r" + strconv.Itoa(i) }

// share is the name of the fields of a rule's j-th share.
func (r *ruleForm) share(j int) string { return r.Name + ".s" + strconv.Itoa(j) }

// readRules reads the form of an environment's rules.
func readRules(form url.Values) rulesForm {
	f := rulesForm{
		View: "form", Text: plainLines(form.Get("rules")), Off: form.Get("offVariant"), Default: form.Get("defaultVariant"), Reason: clean(form.Get("reason")), ETag: form.Get("etag"),
	}
	if form.Get("view") == "json" {
		f.View = "json"
	}
	for {
		r := ruleForm{Name: ruleField(len(f.Rules))}
		if !form.Has(r.Name + ".id") {
			return f
		}
		r.ID, r.Who, r.To, r.By = form.Get(r.Name+".id"), readGroup(form, r.Name), form.Get(r.Name+".to"), clean(form.Get(r.Name+".by"))
		for form.Has(r.share(len(r.Shares)) + ".variant") {
			at := r.share(len(r.Shares))
			r.Shares = append(r.Shares, shareForm{form.Get(at + ".variant"), clean(form.Get(at + ".weight"))})
		}
		f.Rules = append(f.Rules, r)
	}
}

// fits refuses rows that no page has drawn: drawn, each would be larger than what was posted by what there is to choose from.
func (f *rulesForm) fits() error {
	terms := 0
	for i := range f.Rules {
		terms += f.Rules[i].Who.size()
		if len(f.Rules[i].Shares) > 2*flag.MaxVariants {
			return errMalformed
		}
	}
	if len(f.Rules) > 2*flag.MaxRules || terms > 2*flag.MaxConditions {
		return errMalformed
	}
	return nil
}

// rules are what is typed, and by which fields. ErrInvalid where that cannot be read.
func (f *rulesForm) rules() ([]flag.Rule, places, error) {
	if f.View == "json" {
		rules, err := flag.ParseRules(f.Text)
		return rules, nil, err
	}
	where := places{}
	rules := make([]flag.Rule, len(f.Rules))
	for i := range f.Rules {
		r, at := &f.Rules[i], fmt.Sprintf("rules[%d]", i)
		for _, part := range []string{"", ".variant"} {
			where[at+part] = typedAt{whole: r.Name + ".to"}
		}
		where[at+".by"], where[at+".rollout"] = typedAt{whole: r.Name + ".by"}, typedAt{whole: r.Name + ".rollout"}
		rules[i] = flag.Rule{ID: r.ID, When: r.Who.root(at+".when", where)}
		if r.To != shared {
			rules[i].Variant = r.To
			continue
		}
		rules[i].By = r.By
		for j, s := range r.Shares {
			if s.Weight == "" {
				continue
			}
			in := fmt.Sprintf("%s.rollout[%d]", at, len(rules[i].Rollout))
			where[in] = typedAt{whole: r.share(j) + ".weight"}
			percent, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(s.Weight, "%")), 64)
			weight, ok := flag.ParseWeight(percent)
			if err != nil || !ok {
				return nil, where, flag.ErrInvalid.WithMessage(in+".weight: a weight is 0 to 100 percent, with at most three decimals: not "+strconv.Quote(s.Weight)).With("field", in+".weight")
			}
			rules[i].Rollout = append(rules[i].Rollout, flag.Share{Variant: s.Variant, Weight: weight})
		}
	}
	return rules, where, nil
}

// act does what a button of the builder says to the rows: a verb and the name of a rule or a term. What it does not know
// changes nothing.
func (f *rulesForm) act(do string, variants []string) {
	verb, name, _ := strings.Cut(do, " ")
	i := slices.IndexFunc(f.Rules, func(r ruleForm) bool { return r.Name == name || strings.HasPrefix(name, r.Name+".") })
	switch {
	case verb == "rule":
		r := ruleForm{Who: term{Is: isGroup, Match: "all"}, To: shared}
		if len(variants) > 0 {
			r.To = variants[0]
		}
		f.Rules, f.Focus = append(f.Rules, r), "term "+ruleField(len(f.Rules))
	case i < 0:
	case verb == "term" || verb == isGroup || verb == isSegment:
		f.Focus = f.Rules[i].Who.add(verb, name)
	case name != f.Rules[i].Name:
		if verb == "remove" {
			f.Focus = f.Rules[i].Who.remove(name)
		}
	case verb == "remove":
		f.Rules, f.Focus = slices.Delete(f.Rules, i, i+1), "rule"
	case verb == "up" && i > 0:
		f.Rules[i-1], f.Rules[i] = f.Rules[i], f.Rules[i-1]
		if f.Focus = "up " + ruleField(i-1); i == 1 { // the button is of no use there
			f.Focus = "down r0"
		}
	case verb == "down" && i < len(f.Rules)-1:
		f.Rules[i+1], f.Rules[i] = f.Rules[i], f.Rules[i+1]
		if f.Focus = "down " + ruleField(i+1); i == len(f.Rules)-2 {
			f.Focus = "up " + ruleField(i+1)
		}
	}
	for i := range f.Rules {
		r := &f.Rules[i]
		r.Name = ruleField(i)
		r.Who.rename(r.Name)
		r.fill(variants)
	}
}

type flagRulesView struct {
	ui.Page

	Flag                        flagRow
	Form                        rulesForm
	Builder                     builder
	Action, Cancel, Fresh       string
	Example                     string
	Rules, Off, Default, Reason ui.Input
	Choices                     []ui.Choice // the variants
	Serves                      []ui.Choice // and a split
	Diff                        []diffRow
	Changes                     int
}

const ruleExample = `[
  {
    "when": {"all": [
      {"attribute": "country", "operator": "IN", "values": ["NO", "SE"]},
      {"attribute": "appVersion", "operator": "VERSION_AT_LEAST", "values": ["4.2.0"]}
    ]},
    "variant": "on"
  },
  {"rollout": [{"variant": "on", "weight": 25}, {"variant": "off", "weight": 75}]}
]`

func (c *Console) showFlagRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	f := &all[at]
	c.rules200(w, r, v, p, f, rulesForm{View: "form", Rules: ruleForms(f.Rules, variantNames(f)), Off: f.OffVariant, Default: f.DefaultVariant, ETag: f.ETag}, http.StatusOK)
}

func variantNames(f *flag.Stored) []string {
	return slices.Sorted(maps.Keys(f.Variants))
}

// draftFlagRules does what a button of the builder says, and shows what comes of it: nothing is saved.
func (c *Console) draftFlagRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	f := &all[at]
	form, do := readRules(r.PostForm), r.PostFormValue("do")
	if err := form.fits(); err != nil {
		c.fail(w, r, v, err)
		return
	}
	switch do {
	case "form", "json", "review":
		rules, where, wrong := form.rules()
		if wrong == nil && do == "review" {
			var segments []flag.StoredSegment
			if segments, wrong = c.flags.Segments(r.Context(), p.sc); wrong == nil {
				wrong = form.check(f, rules, segments)
			}
		}
		if wrong != nil {
			c.refusedRules(w, r, v, p, f, form, where, wrong)
			return
		}
		if do == "form" && form.View == "json" {
			form.Rules = ruleForms(rules, variantNames(f))
		}
		if do != "review" {
			form.View, form.Text = do, flag.RulesText(rules)
		}
	default:
		form.act(do, variantNames(f))
	}
	c.rules200(w, r, v, p, f, form, http.StatusOK)
}

// check refuses what saving would.
func (f *rulesForm) check(of *flag.Stored, rules []flag.Rule, segments []flag.StoredSegment) error {
	draft := of.Flag
	draft.Rules, draft.OffVariant, draft.DefaultVariant = slices.Clone(rules), f.Off, f.Default
	for i := range draft.Rules {
		if draft.Rules[i].ID == "" { // which saving gives one
			draft.Rules[i].ID = "new-" + strconv.Itoa(i)
		}
	}
	known := make([]flag.Segment, len(segments))
	for i := range segments {
		known[i] = segments[i].Segment
	}
	return draft.Check(known)
}

func (c *Console) saveFlagRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	f, form := &all[at], readRules(r.PostForm)
	if err := form.fits(); err != nil {
		c.fail(w, r, v, err)
		return
	}
	var where places
	switch err = sensitive(v, form.Reason); {
	case err != nil:
	case form.ETag == "":
		err = errMalformed
	default:
		var rules []flag.Rule
		if rules, where, err = form.rules(); err == nil {
			_, err = c.flags.Update(r.Context(), p.sc, flag.UpdateRequest{
				Key: f.Key, Environment: f.Environment, Rules: &rules, OffVariant: &form.Off, DefaultVariant: &form.Default, Reason: form.Reason, IfMatch: form.ETag,
			})
		}
	}
	if err == nil {
		c.done(w, r, "saved", c.flagRow(p, f).Href)
		return
	}
	c.refusedRules(w, r, v, p, f, form, where, err)
}

// refusedRules shows what was typed, with what is wrong beside the field that it is about.
func (c *Console) refusedRules(w http.ResponseWriter, r *http.Request, v *visit, p *place, f *flag.Stored, form rulesForm, where places, err error) {
	problem, code := c.flagProblem(r, err)
	form.Problem = problem
	if refused, ok := fault.As(err); ok && form.View == "form" && errors.Is(err, flag.ErrInvalid) {
		path := refused.Metadata["field"]
		if name := where.field(path); name != "" {
			problem.Field, problem.Message = name, sentence(strings.TrimPrefix(refused.Message, path+": "))
			var i int
			if n, _ := fmt.Sscanf(path, "rules[%d]", &i); n == 1 {
				problem.Title = fmt.Sprintf("Rule %d needs another look", i+1)
			}
		} else if problem.Field == "rules" {
			problem.Field = "" // of all of them, as that there are too many
		}
	}
	if errors.Is(err, etag.ErrMismatch) {
		code, form.ETag, form.Changed = http.StatusConflict, f.ETag, true
	}
	c.rules200(w, r, v, p, f, form, code)
}

// rules200 shows the form of an environment's rules, and what it would change.
func (c *Console) rules200(w http.ResponseWriter, r *http.Request, v *visit, p *place, f *flag.Stored, form rulesForm, status int) {
	row := c.flagRow(p, f)
	segments, err := c.flags.Segments(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := flagRulesView{
		Page: c.frame(w, r, v, p, "Rules in "+row.Where, p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: row.Href, Label: f.Name}),
		Flag: row, Form: form, Action: row.below("/rules"), Builder: builder{Draft: row.below("/rules/draft"), Focus: form.Focus, Problem: form.Problem}, Cancel: row.Href, Fresh: freshUntil(v), Example: ruleExample,
		Rules: ui.Input{
			ID: "flag-rules", Name: "rules", Label: "Rules", Hint: "A list in JSON: the first rule that matches decides. A rule without an id gets one.", Value: form.Text, Max: 64 << 10, Rows: 18, Problem: form.Problem,
		},
		Off:     ui.Input{ID: "flag-off", Name: "offVariant", Label: "While it is off, everybody gets", Value: form.Off, Problem: form.Problem},
		Default: ui.Input{ID: "flag-default", Name: "defaultVariant", Label: "When no rule matches", Value: form.Default, Problem: form.Problem},
		Reason:  ui.Input{ID: "flag-reason", Name: "reason", Label: "Reason", Hint: "Kept in the flag’s history and the audit log with your name.", Value: form.Reason, Max: 256, Problem: form.Problem},
	}
	for i := range segments {
		view.Builder.Segments = append(view.Builder.Segments, ui.Choice{Value: segments[i].Key, Label: segments[i].Key})
	}
	for _, name := range variantNames(f) {
		view.Choices = append(view.Choices, ui.Choice{Value: name, Label: name})
	}
	view.Serves = append(slices.Clone(view.Choices), ui.Choice{Value: shared, Label: "a split by percent"})
	if rules, _, err := form.rules(); err == nil {
		before, after := targetingText(f.Rules, f.OffVariant, f.DefaultVariant), targetingText(rules, form.Off, form.Default)
		if before != after {
			view.Diff, view.Changes = diffLines(before, after)
		}
	}
	c.render(w, r, status, c.flagRulesPage(view))
}

// targetingText is what a form of rules changes, a thing to a line.
func targetingText(rules []flag.Rule, off, fallback string) string {
	return "\"offVariant\": " + flag.ValueText(off) + "\n\"defaultVariant\": " + flag.ValueText(fallback) + "\n\"rules\": " + flag.RulesText(rules)
}
