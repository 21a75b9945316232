package archive

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrLost ends an attempt that is nobody's any more.
var ErrLost = errLost

// Tune makes parts of an archive small, and attempts short.
func (s *Service) Tune(partBytes int, longest time.Duration) {
	s.partBytes, s.longest = partBytes, longest
}

// Finish notes an empty archive as that of the attempt.
func (s *Service) Finish(ctx context.Context, sc scope.Scope, id uuid.UUID, attempt int) error {
	return s.finish(ctx, sc, id, attempt, 0, &partWriter{hash: sha256.New()})
}

// OnPage is called after each page of a table that an attempt reads.
func (s *Service) OnPage(fn func(table string)) { s.onPage = fn }

// ListedColumn is a column of the schema as the list has it.
type ListedColumn struct {
	Table, Column string
	Reason        string // why it stays; empty: it leaves
}

// Listed is the whole list: what is of a table that stays has no column.
func Listed() []ListedColumn {
	var all []ListedColumn
	for i := range tables {
		t := &tables[i]
		for _, c := range t.list() {
			all = append(all, ListedColumn{t.name, c.name, ""})
		}
		for _, c := range t.reading(uuid.Nil).Columns[len(t.list()):] {
			all = append(all, ListedColumn{t.name, c, "opened"})
		}
		for name, reason := range t.left {
			all = append(all, ListedColumn{t.name, name, reason})
		}
	}
	for name, reason := range leftTables {
		all = append(all, ListedColumn{Table: name, Reason: reason})
	}
	return all
}

// FileOf is the name of a table's file.
func FileOf(name string) string { return (&table{name: name}).file() }

// PartID names a part's object.
func PartID(export uuid.UUID, attempt, number int) uuid.UUID { return partID(export, attempt, number) }

// PersonTable says whether rows of a table are in a person's archive, and why not.
func PersonTable(name string) (is bool, reason string) {
	for i := range tables {
		if tables[i].name == name {
			is = tables[i].person != ""
		}
	}
	return is, notOfPerson[name]
}

// OtherPlace is what is said of a place outside of the database.
func OtherPlace(path string) string { return otherPlaces[path] }

// PersonReasons names what has a reason.
func PersonReasons() []string {
	return slices.Concat(slices.Collect(maps.Keys(notOfPerson)), slices.Collect(maps.Keys(otherPlaces)))
}
