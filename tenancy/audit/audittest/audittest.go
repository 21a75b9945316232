// Package audittest reads what tests have left in the audit log.
package audittest

import (
	"encoding/json"
	"testing"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Entries are the tenant's last n entries, the newest first, each with what is private of it among its other
// members: they must still wait to be sequenced.
func Entries(t testing.TB, store *db.Store, sc scope.Scope, n int32) []map[string]any {
	t.Helper()
	var out []map[string]any
	if err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		out = nil
		rows, err := tx.ListAuditRecords(t.Context(), n)
		for _, row := range rows {
			out = append(out, read(t, row.Entry, row.Private))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t testing.TB, entry string, kept []byte) map[string]any {
	t.Helper()
	parts, err := private.Split(kept)
	if err != nil {
		t.Fatalf("%s: %v", entry, err)
	}
	var e map[string]any
	for _, text := range append([][]byte{[]byte(entry)}, parts...) {
		var more map[string]any
		if err := json.Unmarshal(text, &more); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		e = merge(e, more)
	}
	return e
}

// merge adds members to e: those of objects that both have to each other.
func merge(e, more map[string]any) map[string]any {
	if e == nil {
		return more
	}
	for name, value := range more {
		has, ok := e[name].(map[string]any)
		adds, ok2 := value.(map[string]any)
		switch {
		case ok && ok2:
			e[name] = merge(has, adds)
		case name != "salt":
			e[name] = value
		}
	}
	return e
}
