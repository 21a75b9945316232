package main

import (
	"context"
	"encoding/csv"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/governance"
)

// dataFieldJSON is a field under --json, as the API spells it but for its words.
type dataFieldJSON struct {
	Store   governance.Store   `json:"store"`
	Table   string             `json:"table,omitempty"`
	Holds   string             `json:"holds,omitempty"`
	Name    string             `json:"name"`
	Class   governance.Class   `json:"class"`
	Purpose string             `json:"purpose"`
	Sealed  string             `json:"sealed"`
	Kept    string             `json:"kept"`
	Erased  governance.Erasure `json:"erased"`
	Because string             `json:"because,omitempty"`
}

// runDataMap prints the data map of this version: it asks no database.
func runDataMap(_ context.Context, env *environment, args []string) error {
	const command = "datamap"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	classes := fs.String("class", "", "only these `classes`, joined by commas: public, internal, personal, high-risk")
	asCSV := fs.Bool("csv", false, "print CSV")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	for _, class := range list(*classes) {
		if !slices.Contains(governance.Classes(), governance.Class(class)) {
			return misuse(env, command, "--class: there is no %s", class)
		}
	}
	fields, err := governance.Fields()
	if err != nil {
		return err
	}
	if *classes != "" {
		fields = slices.DeleteFunc(fields, func(f governance.Field) bool { return !slices.Contains(list(*classes), string(f.Class)) })
	}
	switch {
	case asJSON:
		out := make([]dataFieldJSON, len(fields))
		for i, f := range fields {
			out[i] = dataFieldJSON(f)
		}
		return printJSON(env.out, map[string]any{"fields": out})
	case *asCSV:
		w := csv.NewWriter(env.out)
		rows := [][]string{{"store", "table", "name", "class", "purpose", "sealed", "kept", "erased", "because"}}
		for _, f := range fields {
			rows = append(rows, []string{string(f.Store), f.Table, f.Name, string(f.Class), f.Purpose, f.Sealed, f.Kept, string(f.Erased), f.Because})
		}
		return w.WriteAll(rows)
	}
	rows := [][]string{{"FIELD", "CLASS", "SEALED", "ERASED", "KEPT", "WHAT IT IS"}}
	for i := range fields {
		f := &fields[i]
		erased := string(f.Erased)
		if f.Because != "" {
			erased += ": " + f.Because
		}
		rows = append(rows, []string{f.Path(), string(f.Class), f.Sealed, strings.TrimSpace(erased), f.Kept, f.Purpose})
	}
	return table(env.out, rows)
}
