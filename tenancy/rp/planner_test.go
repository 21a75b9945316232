package rp_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Two users with three credentials, and one without; each way out, in a plan.
func TestPlan(t *testing.T) {
	store := dbtest.New(t)
	svc := rp.New(rp.Options{Store: store.Store})
	tenant := func(users ...int) scope.Scope {
		sc := store.TenantWith(t, dbtest.TenantOptions{RPID: "acme.example", Origins: []string{"https://acme.example", "https://login.acme.example"}})
		for _, n := range users {
			store.User(t, sc, n)
		}
		return sc
	}
	acme, empty := tenant(2, 1, 0), tenant()
	six := []string{"https://a.example", "https://b.example", "https://c.example", "https://d.example", "https://e.example", "https://f.example"}
	for _, tt := range []struct {
		name     string
		sc       scope.Scope
		req      rp.PlanRequest
		want     rp.Way
		affected [3]int // credentials, users, stranded
		warnings []string
	}{
		{"the same domain", acme, rp.PlanRequest{RPID: "acme.example", Origins: []string{"https://shop.acme.example"}}, rp.Nothing, [3]int{}, nil},
		{
			"another domain", acme, rp.PlanRequest{RPID: "acme.shop", Origins: []string{"https://acme.shop", "https://login.acme.shop"}}, rp.Keep, [3]int{3, 2, 2},
			[]string{"USERS_STRANDED", "RP_ID_IN_USE", "CLIENT_SUPPORT", "KEEP_THE_DOMAIN"},
		},
		{
			"six domains", acme, rp.PlanRequest{RPID: "a.example", Origins: six}, rp.Enroll, [3]int{3, 2, 2},
			[]string{"ORIGIN_UNUSABLE_THEN", "RELATED_LABELS_SPENT", "USERS_STRANDED", "RP_ID_IN_USE"},
		},
		{"another domain, and nobody yet", empty, rp.PlanRequest{RPID: "acme.shop", Origins: []string{"https://acme.shop"}}, rp.Move, [3]int{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := svc.Plan(t.Context(), tt.sc, tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if got := [3]int{p.CredentialsAffected, p.UsersAffected, p.UsersStranded}; p.Way != tt.want || got != tt.affected {
				t.Errorf("way %s, affected %v, want %s, %v", p.Way, got, tt.want, tt.affected)
			}
			var codes []string
			for _, w := range p.Warnings {
				if !slices.Contains(codes, w.Code) {
					codes = append(codes, w.Code)
				}
			}
			if !slices.Equal(codes, tt.warnings) {
				t.Errorf("warnings = %q, want %q", codes, tt.warnings)
			}
			if (len(p.Steps) == 0) != (tt.want == rp.Nothing) {
				t.Errorf("steps = %+v", p.Steps)
			}
		})
	}
	for _, bad := range []rp.PlanRequest{
		{RPID: "co.uk", Origins: []string{"https://acme.co.uk"}}, {RPID: "https://acme.example", Origins: six}, {RPID: "acme.shop"},
		{RPID: "acme.shop", Origins: make([]string, 65)},
	} {
		if _, err := svc.Plan(t.Context(), acme, bad); !errors.Is(err, rp.ErrInvalid) {
			t.Errorf("plan of %+v: %v, want %v", bad, err, rp.ErrInvalid)
		}
	}
}

func TestOverviewAndCheck(t *testing.T) {
	store := dbtest.New(t)
	svc := rp.New(rp.Options{Store: store.Store})
	acme := store.TenantWith(t, dbtest.TenantOptions{RPID: "acme.example", Origins: []string{"https://acme.example"}})
	globex := store.TenantWith(t, dbtest.TenantOptions{RPID: "globex.example", Origins: []string{"https://globex.example"}})
	store.User(t, acme, 2)
	store.User(t, acme, 0)
	o, err := svc.Overview(t.Context(), acme)
	if err != nil || len(o.Credentials) != 1 || o.Credentials[0].RPID != "acme.example" || o.Credentials[0].Total != 2 || o.Credentials[0].LastUsedAt != nil ||
		o.Users != 2 || o.UsersAble != 1 {
		t.Errorf("overview = %+v, %v", o, err)
	}
	if o, err := svc.Overview(t.Context(), globex); err != nil || len(o.Credentials) > 0 || o.Users > 0 {
		t.Errorf("another tenant's overview = %+v, %v", o, err)
	}
	checked, err := svc.Check(t.Context(), acme, rp.CheckRequest{Origins: []string{"https://acme.example", "https://new.acme.example", "https://acme.shop"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []rp.Reason{"", rp.OriginNotAllowed, rp.OriginUnrelated} {
		if checked[i].Reason != want {
			t.Errorf("%s: %+v, want %s", checked[i].Origin, checked[i].Verdict, want)
		}
	}
	if checked, err := svc.Check(t.Context(), acme, rp.CheckRequest{RPID: "acme.shop", Origins: []string{"https://acme.shop"}}); err != nil || checked[0].Relation != rp.Own {
		t.Errorf("another RP ID: %+v, %v", checked, err)
	}
}
