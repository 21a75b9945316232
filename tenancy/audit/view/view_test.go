package view_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/view"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// Views are a tenant's own, one of each name, and leave an entry when they come and go.
func TestLife(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	s := view.New(store.Store)
	made, err := s.Create(t.Context(), acme, "  Refused   this week ", view.Filter{Outcome: audit.Denied, Days: 7, TargetKind: "credential", Target: "credential/x", Action: "credential.revoke", Actor: "a"})
	if err != nil || made.Name != "Refused this week" {
		t.Fatalf("Create = %+v, %v", made, err)
	}
	if _, err := s.Create(t.Context(), acme, "refused THIS week", view.Filter{Days: 1}); !errors.Is(err, view.ErrTaken) {
		t.Errorf("the same name = %v", err)
	}
	if _, err := s.Create(t.Context(), acme, "Keys", view.Filter{TargetKind: "apikey"}); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(t.Context(), acme)
	if err != nil || len(list) != 2 || list[0].Name != "Keys" || list[1] != made {
		t.Errorf("List = %+v, %v, want the second to be %+v", list, err, made)
	}
	if list, err := s.List(t.Context(), globex); err != nil || len(list) != 0 {
		t.Errorf("another tenant's = %+v, %v", list, err)
	}
	if err := s.Delete(t.Context(), globex, made.ID); !errors.Is(err, view.ErrNotFound) {
		t.Errorf("Delete of another tenant's = %v", err)
	}
	if err := s.Delete(t.Context(), acme, made.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), acme, made.ID); !errors.Is(err, view.ErrNotFound) {
		t.Errorf("Delete again = %v", err)
	}
	if c, d := store.AuditCount(t, acme, "auditview.create"), store.AuditCount(t, acme, "auditview.delete"); c != 2 || d != 1 {
		t.Errorf("%d and %d audit entries", c, d)
	}
	for n := 1; n < 50; n++ {
		if _, err := s.Create(t.Context(), acme, fmt.Sprint("view ", n), view.Filter{Days: 1}); err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := s.Create(t.Context(), acme, "one too many", view.Filter{Days: 1}); !errors.Is(err, view.ErrTooMany) {
		t.Errorf("the 51st = %v", err)
	}
}

func TestRefusals(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := view.New(store.Store)
	for _, tt := range []struct {
		name  string
		f     view.Filter
		want  error
		field string
	}{
		{"", view.Filter{Days: 1}, view.ErrName, ""},
		{"a\u202eb", view.Filter{Days: 1}, view.ErrName, ""},
		{strings.Repeat("x", 81), view.Filter{Days: 1}, view.ErrName, ""},
		{"all", view.Filter{}, view.ErrFilter, ""},
		{"days", view.Filter{Days: 2}, view.ErrFilter, "days"},
		{"outcome", view.Filter{Outcome: "perhaps"}, view.ErrFilter, "outcome"},
		{"long", view.Filter{Actor: strings.Repeat("x", 201)}, view.ErrFilter, "actor"},
		{"hidden", view.Filter{Action: "user\x00"}, view.ErrFilter, "action"},
		{"no text", view.Filter{Target: "user/\xff"}, view.ErrFilter, "target"},
	} {
		_, err := s.Create(t.Context(), acme, tt.name, tt.f)
		if f, ok := fault.As(err); !errors.Is(err, tt.want) || !ok || f.Metadata["field"] != tt.field {
			t.Errorf("%q %+v: %v of field %q, want %v", tt.name, tt.f, err, f.Metadata["field"], tt.want)
		}
	}
	if list, err := s.List(t.Context(), acme); err != nil || len(list) != 0 {
		t.Errorf("left %+v, %v", list, err)
	}
	if err := s.Delete(t.Context(), acme, uuid.Nil); !errors.Is(err, view.ErrNotFound) {
		t.Error(err)
	}
}
