package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// application is the demo's, which asks for flags from day to day.
type application struct {
	flags *flag.Service
	sc    scope.Scope
	rng   *rand.Rand
}

// askedPerDay is how many of its customers the application asks for each of its flags in a day.
const askedPerDay = 600

// day is one of the demo's days, of which nothing has happened yet: on the first the flags are made, segments change in their course,
// and the application asks for those who come.
func (a *application) day(ctx context.Context, n, of int) error {
	var err error
	switch n {
	case 0:
		err = hoist(ctx, a.flags, a.sc)
	case 1 + of/5:
		err = a.list(ctx, flag.MembersRequest{Key: "pilot", TargetingKeys: customers(0, 40), Reason: "Signed up in the app"})
	case 1 + of*2/5:
		err = a.list(ctx, flag.MembersRequest{Key: "pilot", TargetingKeys: customers(37, 40), Excluded: true, Reason: "Asked to be left out"})
	case 1 + of*3/5:
		when := flag.Condition{All: []flag.Condition{{Attribute: "plan", Operator: flag.In, Values: []any{"private banking"}}, {Attribute: "appVersion", Operator: flag.VersionAtLeast, Values: []any{"4.2.0"}}}}
		_, err = a.flags.UpdateSegment(ctx, a.sc, flag.UpdateSegmentRequest{Key: "pilot", When: &when, Reason: "Private banking asks to be in, from 4.2 on"})
	}
	if err != nil {
		return err
	}
	return a.ask(ctx)
}

func (a *application) list(ctx context.Context, req flag.MembersRequest) error {
	_, err := a.flags.AddMembers(ctx, a.sc, req)
	return err
}

// customers are targeting keys of the application: the external ids of its users, as demodata gives them out.
func customers(from, to int) []string {
	var out []string
	for n := from; n < to; n++ {
		out = append(out, fmt.Sprintf("cust_%07d", 31_000+n*137))
	}
	return out
}

// ask evaluates all flags for some customers, in production and, for fewer, in staging, and has that counted.
func (a *application) ask(ctx context.Context) error {
	some := func(of ...string) string { return of[a.rng.IntN(len(of))] }
	for _, in := range []struct {
		environment string
		n           int
	}{{"production", askedPerDay}, {"staging", askedPerDay / 50}} {
		set, err := a.flags.Flags(ctx, a.sc, in.environment)
		if err != nil {
			return err
		}
		for range in.n {
			subject := flag.Subject{Key: customers(0, 260)[a.rng.IntN(260)]}
			subject.Attributes = map[string]any{
				"country": some("PT", "PT", "PT", "ES", "DE", "SE"), "appVersion": some("4.1.3", "4.2.0", "4.2.1"), "plan": some("everyday", "everyday", "everyday", "everyday", "private banking"), "email": subject.Key + some("@mail.example", "@mail.example", "@mail.example", "@northwind.example"),
			}
			for _, key := range []string{"approval-number-matching", "transfer-limit", "new-sign-in-page"} {
				set.Evaluate(key, &subject)
			}
		}
	}
	if _, err := a.flags.Flush(ctx); err != nil {
		return fmt.Errorf("count what the demo evaluates: %w", err)
	}
	return nil
}

// hoist makes the segments and the feature flags of the demo's application: one on its way to everybody, one that is on, and one that
// should have gone.
func hoist(ctx context.Context, flags *flag.Service, sc scope.Scope) error {
	now := time.Now().UTC()
	for _, s := range []flag.CreateSegmentRequest{
		{Key: "pilot", Name: "Pilot customers", Description: "Who tries what is new, and has said so.", Reason: "Steering group of the app: a pilot first"},
		{Key: "staff", Name: "Our own people", Description: "Accounts of those who work here.", When: flag.Condition{Attribute: "email", Operator: flag.EndsWith, Values: []any{"@northwind.example"}}},
		{Key: "private-banking", Name: "Private banking", Description: "Who has somebody to call.", When: flag.Condition{Attribute: "plan", Operator: flag.In, Values: []any{"private banking", "family office"}}},
	} {
		if _, err := flags.CreateSegment(ctx, sc, s); err != nil {
			return fmt.Errorf("demo segment %s: %w", s.Key, err)
		}
	}
	on, soon, late := true, now.AddDate(0, 1, 0), now.AddDate(0, 0, -9)
	nordic := flag.Condition{All: []flag.Condition{
		{Attribute: "country", Operator: flag.In, Values: []any{"NO", "SE", "DK"}}, {Attribute: "appVersion", Operator: flag.VersionAtLeast, Values: []any{"4.2.0"}},
	}}
	part := func(percent flag.Weight) flag.Rule {
		return flag.Rule{Rollout: []flag.Share{{Variant: "on", Weight: percent}, {Variant: "off", Weight: flag.Whole - percent}}}
	}
	for _, f := range []struct {
		flag.CreateRequest

		in map[string][]flag.Rule
	}{
		{
			CreateRequest: flag.CreateRequest{Key: "approval-number-matching", Type: flag.Boolean, ClientVisible: true, About: flag.About{
				Name: "Approval number matching", Description: "The app asks for the number that the page shows.", Owner: "Payments", RemoveBy: &soon}},
			in: map[string][]flag.Rule{"production": {{When: flag.Condition{Any: []flag.Condition{{Segment: "pilot"}, {Segment: "staff"}}}, Variant: "on"}, {When: nordic, Variant: "on"}, part(25_000)}, "staging": {{Variant: "on"}}},
		},
		{
			CreateRequest: flag.CreateRequest{Key: "transfer-limit", Type: flag.Number, OffVariant: "standard", Variants: map[string]json.RawMessage{"standard": json.RawMessage("5000"), "raised": json.RawMessage("20000")},
				About: flag.About{Name: "Transfer limit", Description: "What may be moved in a day without a call.", Owner: "Risk"}},
			in: map[string][]flag.Rule{"production": {{When: flag.Condition{Segment: "private-banking"}, Variant: "raised"}}},
		},
		{
			CreateRequest: flag.CreateRequest{Key: "new-sign-in-page", Type: flag.Boolean, ClientVisible: true, About: flag.About{Name: "New sign-in page", Owner: "Web", RemoveBy: &late}},
			in:            map[string][]flag.Rule{"production": {{Variant: "on"}}, "staging": {{Variant: "on"}}, "development": {{Variant: "on"}}},
		},
	} {
		if _, err := flags.Create(ctx, sc, f.CreateRequest); err != nil {
			return fmt.Errorf("demo flag %s: %w", f.Key, err)
		}
		for environment, rules := range f.in {
			if _, err := flags.Update(ctx, sc, flag.UpdateRequest{Key: f.Key, Environment: environment, Enabled: &on, Rules: &rules}); err != nil {
				return fmt.Errorf("demo flag %s in %s: %w", f.Key, environment, err)
			}
		}
	}
	return nil
}
