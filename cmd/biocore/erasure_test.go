package main

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
)

func decodeBase64(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// erasure is the id of a user's who is erased: not the customer's own.
func (w *world) erasure(t *testing.T, c *customer) string {
	t.Helper()
	made := w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": "leaves", "name": "Leaves"})
	return w.must(t, "DELETE", "/v1/users/"+cmp.Or(made.text("user", "id"), made.text("id")), c.secret, nil).text("erasureId")
}

// backUp keeps all rows of all tables, and returns what puts them back as they were: an older database is restored.
func backUp(t *testing.T, store *dbtest.Store) (restore func()) {
	t.Helper()
	conn := store.Superuser(t)
	rows, err := conn.Query(t.Context(), `SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'goose_db_version' GROUP BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]string{}
	for rows.Next() {
		var table, list string
		if err := rows.Scan(&table, &list); err != nil {
			t.Fatal(err)
		}
		columns[table] = list
	}
	if err := rows.Err(); err != nil || len(columns) < 40 {
		t.Fatalf("%d tables, %v", len(columns), err)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE SCHEMA older")
	for table := range columns {
		exec("CREATE TABLE older." + table + " AS TABLE public." + table)
	}
	return func() {
		t.Helper()
		exec("BEGIN")
		exec("SET LOCAL session_replication_role = replica") // no triggers, no references
		for table, list := range columns {
			exec("DELETE FROM public." + table)
			exec("INSERT INTO public." + table + " (" + list + ") SELECT " + list + " FROM older." + table)
		}
		exec("COMMIT")
		exec("DROP SCHEMA older CASCADE")
	}
}

// An older database is restored: whoever was erased since is back, the doctor says so, and the ledger erases them again, also from what the
// audit log tells. Without the ledger's objects it would not be known.
func TestErasuresAreReplayed(t *testing.T) {
	store, objects := dbtest.Fresh(t), t.TempDir()
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL, cfg.BackupDays = "file://"+objects, 35
	w := startWorld(t, store, cfg)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, globex, "bob")
	w.enroll(t, acme, "stays")
	stays := acme.user
	w.enroll(t, acme, canaryExternal)
	w.signIn(t, acme)
	sequenced := func() bool {
		var waiting int
		if err := store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM audit_inbox").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	}
	eventually(t, "all entries are in the log", sequenced)
	restore := backUp(t, store)

	erasure := w.must(t, "DELETE", "/v1/users/"+acme.user, acme.secret, nil).text("erasureId")
	kept := ledger.New(ledger.Options{Store: store.Store, Keys: w.keys, Objects: w.objects})
	if err := kept.Store(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := kept.Store(t.Context()); err != nil { // again: nothing new
		t.Fatal(err)
	}
	entries, err := kept.Read(t.Context(), store.Now().AddDate(0, 0, -1))
	if err != nil || len(entries) != 1 || entries[0].ID.String() != erasure {
		t.Fatalf("the ledger has %+v, %v", entries, err)
	}
	got := w.must(t, "GET", "/admin/v1/erasures/"+erasure, acme.secret, nil)
	if got.text("userId") != acme.user || got.text("ledgerAt") == "" || got.text("credentials") != "1" || got.text("sessions") != "1" {
		t.Errorf("erasure = %s", got)
	}
	if a := w.call(t, "GET", "/admin/v1/erasures/"+erasure, globex.secret, nil); a.status != http.StatusNotFound || a.reason() != "ERASURE_UNKNOWN" {
		t.Errorf("another tenant's: %s", a)
	}

	// The certificate is signed once the log has the entry, verifies without a network, and stays the same.
	sh := newShell(t, cfg)
	var first answer
	eventually(t, "the certificate", func() bool {
		first = w.call(t, "GET", "/admin/v1/erasures/"+erasure+"/certificate", acme.secret, nil)
		return first.status == http.StatusOK
	})
	if again := w.must(t, "GET", "/admin/v1/erasures/"+erasure+"/certificate", acme.secret, nil); again.raw != first.raw {
		t.Error("a second certificate")
	}
	file, jwks := filepath.Join(sh.dir, "certificate.jws"), filepath.Join(sh.dir, "keys.json")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, sh.must(t, "erasures", "certificate", "--tenant", "acme", erasure))
	write(jwks, sh.must(t, "keys", "jwks", "--tenant", "acme"))
	c := sh.read(t, "erasures", "verify", file, "--jwks", jwks)
	days, _ := c.at("backups", "days").(float64)
	fields, _ := c.at("fields").([]any)
	reasons, _ := c.at("kept").([]any)
	if c.text("sub") != acme.user || c.text("tenantId") != acme.id || days != 35 || len(fields) < 20 || len(reasons) < 5 || c.at("audit", "sequence") == nil {
		t.Errorf("certificate = %s", c)
	}
	jws := first.text("certificate")
	payload := strings.Split(jws, ".")
	payload[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(decodeBase64(t, payload[1])), `"days":35`, `"days":36`, 1)))
	write(file, strings.Join(payload, "."))
	sh.refused(t, 1, "no erasure certificate", "erasures", "verify", file, "--jwks", jwks)
	if out := sh.must(t, "erasures", "list", "--tenant", "acme"); !strings.Contains(out, erasure) {
		t.Errorf("list: %s", out)
	}

	restore()
	if back := w.call(t, "GET", "/v1/users/"+acme.user, acme.secret, nil); back.status != http.StatusOK || back.text("externalId") != canaryExternal {
		t.Fatalf("nothing was restored: %s", back)
	}
	if out, _, code := sh.run(t, "doctor"); code != 1 || !strings.Contains(out, "erasures that this database does not know") || !strings.Contains(out, "biocore erasures replay") {
		t.Errorf("doctor = %d: %s", code, out)
	}
	since := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	if out := sh.read(t, "erasures", "replay", "--since", since); out.at("erased") != any(1.0) || out.at("known") != any(0.0) {
		t.Errorf("replay: %s", out)
	}
	if a := w.call(t, "GET", "/v1/users/"+acme.user, acme.secret, nil); a.status != http.StatusNotFound {
		t.Errorf("the erased user: %s", a)
	}
	for of, id := range map[*customer]string{acme: stays, globex: globex.user} {
		if a := w.call(t, "GET", "/v1/users/"+id, of.secret, nil); a.status != http.StatusOK {
			t.Errorf("somebody who was not erased: %s", a)
		}
	}
	eventually(t, "all entries are in the log", sequenced)
	hidden{"the external id": canaryExternal}.in(t, "an export", w.unzipped(t, acme))
	if out := sh.read(t, "erasures", "replay", "--since", since); out.at("erased") != any(0.0) || out.at("known") != any(1.0) {
		t.Errorf("a second replay: %s", out)
	}
	if out, _, _ := sh.run(t, "doctor"); strings.Contains(out, "does not know") {
		t.Errorf("doctor, after the replay: %s", out)
	}
	again := w.must(t, "GET", "/admin/v1/erasures/"+erasure, acme.secret, nil)
	if again.text("replayedAt") == "" || again.text("erasedAt") != got.text("erasedAt") {
		t.Errorf("erasure, after the replay = %s", again)
	}

	// A new erasure of the same day does not push the old one out of the ledger.
	w.must(t, "DELETE", "/v1/users/"+stays, acme.secret, nil)
	if err := kept.Store(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err = kept.Read(t.Context(), store.Now().AddDate(0, 0, -1))
	if err != nil || len(entries) != 2 || !slices.ContainsFunc(entries, func(e ledger.Entry) bool { return e.ID.String() == erasure }) {
		t.Errorf("the ledger has %+v, %v", entries, err)
	}
}
