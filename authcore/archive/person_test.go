package archive_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/governance"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// A personal field, or a table that names users, is in the archive of a person, or somebody has said why not. A new one turns
// this red, as does a reason for what is in it.
func TestPersonHasEveryPersonalField(t *testing.T) {
	fields, err := governance.Fields()
	if err != nil {
		t.Fatal(err)
	}
	leaves := map[string]bool{} // or has its reason, in a table that leaves
	for _, c := range archive.Listed() {
		leaves[c.Table+"."+c.Column] = true
	}
	seen := map[string]bool{}
	for i := range fields {
		f := &fields[i]
		personal := f.Class == governance.Personal || f.Class == governance.HighRisk
		if f.Store != governance.Postgres {
			reason := archive.OtherPlace(f.Path())
			if seen[f.Path()] = true; personal != (reason != "") {
				t.Errorf("%s is personal: %t, and in a person's archive it is said of it: %q", f.Path(), personal, reason)
			}
			continue
		}
		if !personal && f.Name != "user_id" && f.Name != "subject_id" {
			continue
		}
		seen[f.Table] = true
		is, reason := archive.PersonTable(f.Table)
		switch {
		case is == (reason != ""):
			t.Errorf("%s: its table is in a person's archive: %t, and why not: %q", f.Path(), is, reason)
		case is && !leaves[f.Path()]:
			t.Errorf("%s: its table is in a person's archive without it, and nobody says why", f.Path())
		}
	}
	for _, name := range archive.PersonReasons() {
		if !seen[name] {
			t.Errorf("%s has a reason, and nothing personal", name)
		}
	}
	if len(seen) < 25 {
		t.Errorf("%d tables and places: the walk is blind", len(seen))
	}
}

func TestWhoMayExportAPerson(t *testing.T) {
	d := newDepot(t)
	acme, globex := d.Tenant(t), d.Tenant(t)
	ada := d.User(t, acme)
	for name, tt := range map[string]struct {
		scope  scope.Scope
		reason string
		want   error
	}{
		"the tenant itself": {acme, "she asked", nil},
		"another tenant":    {globex, "she asked", user.ErrNotFound},
		"support":           {support(acme.Tenant(), true), "she asked", archive.ErrTenant},
		"the platform":      {scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorPlatform, ID: "x"}), "she asked", archive.ErrTenant},
		"without a reason":  {acme, "", archive.ErrReason},
		"a long one":        {acme, strings.Repeat("x", 257), archive.ErrReason},
	} {
		before := d.AuditCount(t, acme, "user.export")
		if _, err := d.OfPerson(t.Context(), tt.scope, archive.PersonRequest{User: ada.ID, Reason: tt.reason}); !errors.Is(err, tt.want) {
			t.Errorf("%s: OfPerson = %v, want %v", name, err, tt.want)
		}
		if n := d.AuditCount(t, acme, "user.export") - before; (n == 1) != (tt.want == nil) {
			t.Errorf("%s: %d entries", name, n)
		}
	}
	// Erased between the question and the first byte: nothing is written.
	p, err := d.OfPerson(t.Context(), acme, archive.PersonRequest{User: ada.ID, Reason: "she asked"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID}); err != nil {
		t.Fatal(err)
	}
	var written counter
	if err := p.WriteTo(t.Context(), &written); !errors.Is(err, user.ErrNotFound) || written != 0 {
		t.Errorf("WriteTo = %v after %d bytes, want %v", err, written, user.ErrNotFound)
	}
}
