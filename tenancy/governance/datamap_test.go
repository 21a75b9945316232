package governance_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/governance"
)

// Every column of the migrated database has a class, and every class a column. A migration that forgets the map
// turns this red.
func TestEveryColumnHasAClass(t *testing.T) {
	store := dbtest.Fresh(t)
	drift, err := governance.Compare(t.Context(), store.Store)
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range drift.Unclassed {
		t.Errorf("db/datamap.txt does not class %s", column)
	}
	for _, column := range drift.Gone {
		t.Errorf("db/datamap.txt classes %s, which there is not", column)
	}
	columns, err := store.Columns(t.Context())
	if err != nil || len(columns) < 500 || !slices.Contains(columns, "river.river_job.args") || !slices.Contains(columns, "audit_entries.private") {
		t.Errorf("%d columns, %v: the walk is blind", len(columns), err)
	}
	if slices.ContainsFunc(columns, func(c string) bool { return strings.HasPrefix(c, "audit_entries_2") }) {
		t.Error("partitions are walked beside their parents")
	}

	if _, err := store.Superuser(t).Exec(t.Context(), "ALTER TABLE users ADD COLUMN shoe_size integer"); err != nil {
		t.Fatal(err)
	}
	if drift, err = governance.Compare(t.Context(), store.Store); err != nil || !slices.Equal(drift.Unclassed, []string{"users.shoe_size"}) {
		t.Errorf("a new column is not missed: %v, %v", drift.Unclassed, err)
	}
}

// What tells of a person or opens something is never left over by an erasure without a word why.
func TestWhatErasureDoes(t *testing.T) {
	fields, err := governance.Fields()
	if err != nil {
		t.Fatal(err)
	}
	for i := range fields {
		f := &fields[i]
		if f.Class == governance.Personal && f.Erased == governance.None {
			t.Errorf("%s tells of a person, and nobody says what erasing them does with it", f.Path())
		}
		if f.Class == governance.Personal && f.Store == governance.Object && f.Sealed == "plain" {
			t.Errorf("%s lies in object storage in clear", f.Path())
		}
	}
}
