package main

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/governance"
)

// The data map by the API and by the command line is the one of the file, narrowed as asked for.
func TestDataMapIsServed(t *testing.T) {
	fields, err := governance.Fields()
	if err != nil {
		t.Fatal(err)
	}
	count := func(class governance.Class, store governance.Store) (n int) {
		for _, f := range fields {
			if (class == "" || f.Class == class) && (store == "" || f.Store == store) {
				n++
			}
		}
		return n
	}
	w := newWorld(t)
	c := w.tenant(t, "acme")
	for _, tt := range []struct {
		query string
		want  int
	}{
		{"", len(fields)}, {"?classes=HIGH_RISK", count(governance.HighRisk, "")}, {"?classes=PERSONAL&stores=REDIS", count(governance.Personal, governance.Redis)},
		{"?classes=PERSONAL&classes=HIGH_RISK", count(governance.Personal, "") + count(governance.HighRisk, "")},
	} {
		got := w.must(t, "GET", "/admin/v1/dataMap"+tt.query, c.secret, nil)
		list, _ := got.at("fields").([]any)
		if len(list) != tt.want || tt.want == 0 {
			t.Errorf("GET dataMap%s answers %d fields, want %d", tt.query, len(list), tt.want)
		}
		for _, one := range list {
			f, _ := one.(map[string]any)
			for _, must := range []string{"store", "name", "class", "purpose", "sealed", "kept", "erased"} {
				if f[must] == nil {
					t.Errorf("%v has no %s", f, must)
				}
			}
		}
	}
	if a := w.call(t, "GET", "/admin/v1/dataMap?classes=SECRET", c.secret, nil); a.status != 400 {
		t.Errorf("a class that there is not: %s", a)
	}

	s := newShell(t, testConfig(t, dbtest.Fresh(t), dbtest.Redis(t)))
	rows, err := csv.NewReader(strings.NewReader(s.must(t, "datamap", "--class", "personal,high-risk", "--csv"))).ReadAll()
	if want := count(governance.Personal, "") + count(governance.HighRisk, ""); err != nil || len(rows) != want+1 {
		t.Errorf("%d lines of CSV, want %d and a head: %v", len(rows), want, err)
	}
	if list, _ := s.read(t, "datamap").at("fields").([]any); len(list) != len(fields) {
		t.Errorf("--json has %d fields", len(list))
	}
	if out := s.must(t, "datamap"); !strings.Contains(out, "users.profile_sealed") || !strings.Contains(out, "redis/registration") {
		t.Errorf("datamap = %s", out)
	}
	s.refused(t, 2, "there is no secret", "datamap", "--class", "secret")
}
