// Package governance knows what is stored of whom. The data map (db/datamap.txt, beside the schema) classes every
// column of every table and every other place where something lies: what it is for, how it is sealed, how long it is
// kept, and what erasing a user does with it. Tests hold it to the catalog, to the code and to docs/sealed-fields.md.
package governance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/biocore-id/biocore/db"
)

// Class is what a field tells.
type Class string

// The classes, the most harmless first.
const (
	Public   Class = "public"    // anybody may know it; what counts is that nobody changes it
	Internal Class = "internal"  // says nothing of a person, and should not lie about
	Personal Class = "personal"  // tells of a person
	HighRisk Class = "high-risk" // opens something, or reaches a person
)

// Classes are all of them.
func Classes() []Class { return []Class{Public, Internal, Personal, HighRisk} }

// Erasure is what erasing a user does with a field.
type Erasure string

// What becomes of a field of a user who is erased.
const (
	Deleted Erasure = "deleted" // with the user
	Emptied Erasure = "emptied" // the row stays without it
	Locked  Erasure = "locked"  // what opens it is destroyed, in every copy
	Expires Erasure = "expires" // it goes by itself, as Kept says
	Kept    Erasure = "kept"    // for the reason that Because gives
	None    Erasure = "none"    // it is of no user
)

func erasures() []Erasure { return []Erasure{Deleted, Emptied, Locked, Expires, Kept, None} }

// Store is where fields are.
type Store string

// The stores.
const (
	Postgres Store = "postgres" // a column of a table
	Redis    Store = "redis"    // a kind of values, by the first part of their keys
	Object   Store = "object"   // a kind of objects, by the first part of their names
	Event    Store = "event"
	Audit    Store = "audit"
	Stream   Store = "stream" // what log streams have delivered
	Log      Store = "log"    // of the process
)

// Stores are all of them.
func Stores() []Store { return []Store{Postgres, Redis, Object, Event, Audit, Stream, Log} }

// Field is one stored field.
type Field struct {
	Store   Store
	Table   string // of Postgres; with its schema unless that is public
	Holds   string // what the table is
	Name    string
	Class   Class
	Purpose string // of it, or of its table where it has none of its own
	Sealed  string // how, as docs/sealed-fields.md calls the way; "plain" for not at all
	Kept    string // for how long
	Erased  Erasure
	Because string // of Kept: the legal basis; else empty
}

// Path names a field: users.profile_sealed, or redis/registration.
func (f *Field) Path() string {
	if f.Store == Postgres {
		return f.Table + "." + f.Name
	}
	return string(f.Store) + "/" + f.Name
}

// Fields is the data map, in the order of its file. What is returned is the caller's.
func Fields() ([]Field, error) {
	all, err := parsed()
	return slices.Clone(all), err
}

var parsed = sync.OnceValues(func() ([]Field, error) { return parse(db.DataMap) })

// Drift is where a database and the data map disagree: a column without a class, or a class without a
// column, each as table.column. A server that is one release ahead of its schema sees some.
type Drift struct{ Unclassed, Gone []string }

// Compare holds the data map to a database's catalog.
func Compare(ctx context.Context, store *db.Store) (Drift, error) {
	columns, err := store.Columns(ctx)
	if err != nil {
		return Drift{}, err
	}
	fields, err := Fields()
	if err != nil {
		return Drift{}, err
	}
	return compare(columns, fields), nil
}

func compare(columns []string, fields []Field) Drift {
	var d Drift
	classed := map[string]bool{}
	for i := range fields {
		if fields[i].Store == Postgres {
			classed[fields[i].Path()] = true
		}
	}
	there := map[string]bool{}
	for _, c := range columns {
		there[c] = true
		if !classed[c] {
			d.Unclassed = append(d.Unclassed, c)
		}
	}
	for path := range classed {
		if !there[path] {
			d.Gone = append(d.Gone, path)
		}
	}
	slices.Sort(d.Gone)
	return d
}

// parse reads the data map's text. Its grammar is at the top of it.
func parse(text string) ([]Field, error) {
	var fields []Field
	var table Field // what its columns have where they say nothing
	seen := map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		made, isTable, err := parseLine(line, table)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if isTable {
			table = made[0]
			continue
		}
		for i := range made {
			path := made[i].Path()
			if seen[path] {
				return nil, fmt.Errorf("line %d: %s is there twice", n+1, path)
			}
			seen[path] = true
			fields = append(fields, made[i])
		}
	}
	return fields, nil
}

// parseLine reads one line below a table.
func parseLine(line string, table Field) (fields []Field, isTable bool, err error) {
	parts := strings.Split(line, " | ")
	head := strings.TrimSpace(parts[0])
	f := table
	var names []string
	switch {
	case strings.HasPrefix(line, "table "):
		name, purpose, _ := strings.Cut(strings.TrimPrefix(head, "table "), ": ")
		f, isTable = Field{Store: Postgres, Table: name, Holds: purpose, Purpose: purpose, Sealed: "plain"}, true
		names = []string{""}
	case strings.HasPrefix(line, "place "):
		place, rest, _ := strings.Cut(strings.TrimPrefix(head, "place "), ": ")
		store, name, _ := strings.Cut(place, " ")
		class, purpose, _ := strings.Cut(rest, " ")
		f = Field{Store: Store(store), Class: Class(class), Purpose: purpose, Sealed: "plain"}
		names = []string{name}
	case strings.HasPrefix(line, "  "):
		if names, f.Class, f.Purpose = columnsOf(head, table.Purpose); len(names) == 0 {
			return nil, false, fmt.Errorf("no column and class: %q", head)
		}
	default:
		return nil, false, fmt.Errorf("neither a table, nor a column, nor a place: %q", line)
	}
	for _, part := range parts[1:] {
		what, value, _ := strings.Cut(strings.TrimSpace(part), " ")
		switch what {
		case "sealed":
			f.Sealed = value
		case "kept":
			f.Kept = value
		case "erased":
			how, because, _ := strings.Cut(value, ": ")
			f.Erased, f.Because = Erasure(how), because
		default:
			return nil, false, fmt.Errorf("unknown %q", what)
		}
	}
	for _, name := range names {
		one := f
		one.Name = name
		if err := one.check(isTable); err != nil {
			return nil, false, err
		}
		fields = append(fields, one)
	}
	return fields, isTable, nil
}

// columnsOf reads COLUMN… CLASS [PURPOSE].
func columnsOf(head, purpose string) (names []string, class Class, what string) {
	words := strings.Fields(head)
	for i, word := range words {
		if !slices.Contains(Classes(), Class(word)) {
			continue
		}
		if i+1 < len(words) {
			purpose = strings.Join(words[i+1:], " ")
		}
		return words[:i], Class(word), purpose
	}
	return nil, "", ""
}

func (f *Field) check(isTable bool) error {
	switch {
	case !slices.Contains(Stores(), f.Store), f.Name == "" && !isTable, f.Table == "" && f.Store == Postgres:
		return fmt.Errorf("no place: %+v", *f)
	case f.Purpose == "", f.Kept == "", f.Sealed == "":
		return fmt.Errorf("no purpose, or not for how long: %s", f.Path())
	case !slices.Contains(erasures(), f.Erased), (f.Erased == Kept) != (f.Because != ""):
		return fmt.Errorf("not what erasure does, or not why it is kept: %s", f.Path())
	case isTable:
		return nil
	case !slices.Contains(Classes(), f.Class):
		return fmt.Errorf("no class: %s", f.Path())
	}
	return nil
}
