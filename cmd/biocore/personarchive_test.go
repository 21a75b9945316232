package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// numbersIn are the sequence numbers of a file of a zip of JSON lines, and its text.
func numbersIn(t *testing.T, raw []byte, name string) (numbers []int64, text string) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	body, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		var l struct{ Seq int64 }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, l.Seq)
	}
	return numbers, string(body)
}

// What the audit log had of a person, and has in archives alone by now, is in her archive and in the certificate of her erasure: entry by entry what the whole
// log said. Erased, she is in no archive that opens, and they verify as before. Without the reading of archives, or with those of entries that are
// still in the database, it turns red.
func TestPersonOfArchives(t *testing.T) {
	store, folder := dbtest.Fresh(t), t.TempDir()
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL, cfg.TrustedHops = "file://"+folder, 1
	w := startWorld(t, store, cfg)
	c := w.tenant(t, "acme")
	super := store.Superuser(t)
	sc := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	fill := func() { // a tile of the tree and more: its entries may leave
		if err := w.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
			for range 300 {
				if err := audit.Append(t.Context(), tx, audit.Entry{Action: "tenant.update", Target: audit.Target{Kind: "tenant", ID: c.id}}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	leaves := func(below int64) {
		if _, err := super.Exec(t.Context(), "DELETE FROM audit_entries WHERE tenant_id = $1 AND seq < $2", c.id, below); err != nil {
			t.Fatal(err)
		}
	}
	w.plant(t, c, canaries)
	w.must(t, "PATCH", "/v1/users/"+c.user, c.secret, map[string]any{"name": canaryName})
	fill()
	for _, name := range []string{"another name", canaryName, "a third"} {
		w.must(t, "PATCH", "/v1/users/"+c.user, c.secret, map[string]any{"name": name})
	}
	w.archiveLog(t, store, c)
	said := func() (numbers []int64) {
		rows, err := super.Query(t.Context(), "SELECT seq FROM audit_entries WHERE tenant_id = $1 AND strpos(entry, $2) > 0 ORDER BY seq", c.id, c.user)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var seq int64
			if err := rows.Scan(&seq); err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, seq)
		}
		return numbers
	}
	whole := said()
	if len(whole) < 10 {
		t.Fatalf("the oracle is blind: %v", whole)
	}
	// Some of what is archived leaves, in the midst of an archive.
	const begins = 256
	leaves(begins)
	list, err := w.archived.List(t.Context(), sc, 0, 100)
	if err != nil || len(list) == 0 || list[0].To <= begins {
		t.Fatal(begins, list, err)
	}

	status, _, raw := w.personFile(t, c.user, c.secret, `{"reason":"she asked for it"}`)
	if status != http.StatusOK {
		t.Fatalf("export = %d: %.300s", status, raw)
	}
	old, text := numbersIn(t, raw, "audit_archived.jsonl")
	kept, _ := numbersIn(t, raw, "audit.jsonl")
	if all := slices.Concat(old, kept); len(all) < len(whole) || !slices.Equal(all[:len(whole)], whole) || len(old) != len(whole)-3 {
		t.Errorf("archived %v and kept %v, want %v", old, kept, whole)
	}
	for _, want := range []string{canaryAddress, canaryAgent} {
		if !strings.Contains(text, want) {
			t.Errorf("%q was in an archive sealed, and is not in hers", want)
		}
	}
	report, err := archive.Verify(bytes.NewReader(raw), int64(len(raw)), []byte(w.call(t, "GET", "/t/acme/.well-known/jwks.json", "", nil).raw))
	if err != nil || !report.Valid() {
		t.Errorf("Verify = %+v, %v", report, err)
	}

	erasure := w.must(t, "DELETE", "/v1/users/"+c.user, c.secret, nil).text("erasureId")
	certificate := func() (m struct {
		Mentions struct {
			Entries, First, Last, Archived int64
			Unread                         []struct{ From, To int64 }
		} `json:"auditMentions"`
	}) {
		var jws string
		eventually(t, "the certificate", func() bool {
			a := w.call(t, "GET", "/admin/v1/erasures/"+erasure+"/certificate", c.secret, nil)
			jws = a.text("certificate")
			return a.status == http.StatusOK
		})
		if err := json.Unmarshal(decodeBase64(t, strings.Split(jws, ".")[1]), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := certificate().Mentions
	now := said()
	if m.Entries != int64(len(whole)-3+len(now)) || m.Archived != int64(len(whole)-3) || m.First != whole[0] || m.Last != now[len(now)-1] || len(m.Unread) != 0 {
		t.Errorf("the certificate counts %+v, want %d archived of %v and %v", m, len(whole)-3, whole, now)
	}
	var file bytes.Buffer
	if err := w.archived.Read(t.Context(), sc, 0, &file); err != nil {
		t.Fatal(err)
	}
	if r, err := bundle.Verify(bytes.NewReader(file.Bytes()), ""); err != nil || !r.Valid() {
		t.Errorf("erased, and the archive is %+v, %v", r, err)
	}
	for _, gone := range []string{canaryAddress, canaryAgent, canaryName} {
		if strings.Contains(file.String(), gone) {
			t.Errorf("the archive tells %q", gone)
		}
	}

	// The entry of an erasure is found when it has left the database, too; and what could not be read is said.
	if _, err := super.Exec(t.Context(), "UPDATE erasures SET certificate = NULL, issued_at = NULL"); err != nil {
		t.Fatal(err)
	}
	fill()
	w.archiveLog(t, store, c)
	leaves(512)
	if again := certificate().Mentions; again.Entries != m.Entries || again.Archived != m.Entries || again.Last != m.Last {
		t.Errorf("with all of it archived the certificate counts %+v, want %d", again, m.Entries)
	}
	if _, err := super.Exec(t.Context(), "UPDATE erasures SET certificate = NULL, issued_at = NULL"); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(folder, "*", "*", list[len(list)-1].Objects[0].String()+"*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	if less := certificate().Mentions; len(less.Unread) != 1 || less.Unread[0].From != 0 || less.Entries != m.Entries-int64(len(whole)) {
		t.Errorf("with an archive gone the certificate says %+v, want %d less", less, len(whole))
	}
	if fmt.Sprint(said()) != "[]" {
		t.Error("the database still names her")
	}
}
