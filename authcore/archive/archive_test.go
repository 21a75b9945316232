package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// depot is a server with archives in a folder.
type depot struct {
	*authcoretest.World
	*archive.Service
	evidence *evidence.Service
	dir      string
	objects  *blob.Bucket
}

func newDepot(t testing.TB) *depot {
	t.Helper()
	d := &depot{World: authcoretest.New(t), dir: t.TempDir()}
	var err error
	if d.objects, err = blob.Open(t.Context(), "file://"+d.dir); err != nil {
		t.Fatal(err)
	}
	d.Service = d.on(d.World, d.objects)
	return d
}

// on is another server, or one with other objects. Its parts are small.
func (d *depot) on(w *authcoretest.World, objects *blob.Bucket) *archive.Service {
	log := slog.New(slog.DiscardHandler)
	d.evidence = evidence.New(evidence.Options{Store: w.Server(), Keys: w.Keys, Objects: objects, Log: log, Policy: func(context.Context, scope.Scope) (policy.Document, error) {
		return policy.Default(), nil
	}})
	archived := cold.New(cold.Options{Store: w.Server(), Keys: w.Keys, Trail: trail.NewReader(w.Server(), w.Keys), Objects: objects})
	s := archive.New(archive.Options{Store: w.Server(), Keys: w.Keys, Evidence: d.evidence, Archived: archived, Objects: objects, Log: log})
	s.Tune(1<<10, archive.Longest)
	return s
}

// later is the server as it will be after a while.
func (d *depot) later(t testing.TB, by time.Duration) *archive.Service {
	t.Helper()
	return d.on(d.Later(t, by), d.objects)
}

func (d *depot) start(t testing.TB, sc scope.Scope) archive.Export {
	t.Helper()
	e, err := d.Start(t.Context(), sc, archive.StartRequest{Tenant: sc.Tenant(), Reason: "we are leaving"})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return e
}

func (d *depot) state(t testing.TB, sc scope.Scope, id uuid.UUID) archive.Export {
	t.Helper()
	e, err := d.Get(t.Context(), sc, sc.Tenant(), id)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return e
}

// made is an export that is done, and its archive.
func (d *depot) made(t testing.TB, sc scope.Scope) (archive.Export, []byte) {
	t.Helper()
	e := d.start(t, sc)
	if err := d.Maintain(t.Context(), sc); err != nil {
		t.Fatalf("Maintain: %v", err)
	}
	return d.state(t, sc, e.ID), download(t, d.Service, sc, e.ID)
}

func download(t testing.TB, s *archive.Service, sc scope.Scope, id uuid.UUID) []byte {
	t.Helper()
	down, err := s.Download(t.Context(), sc, sc.Tenant(), id)
	if err != nil {
		t.Fatalf("Download: %v", err)
	}
	var b bytes.Buffer
	if err := down.WriteTo(t.Context(), &b); err != nil {
		t.Fatalf("WriteTo: %v", err)
	}
	return b.Bytes()
}

// parts are how many objects there are of the tenant's archives.
func (d *depot) parts(t testing.TB, sc scope.Scope) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.dir, "export", sc.Tenant().String()))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(entries)
}

func (d *depot) one(t testing.TB, sql string, args ...any) (n int) {
	t.Helper()
	if err := d.Superuser(t).QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (d *depot) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := d.Superuser(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// rows are the lines of one file.
func rows(t testing.TB, raw []byte, name string) []map[string]any {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(string(text)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%s: %v: %s", name, err, line)
		}
		all = append(all, row)
	}
	return all
}

// every is all that is in the archive, unpacked.
func every(t testing.TB, raw []byte) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&b, in); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func verify(t testing.TB, raw, jwks []byte) *archive.Report {
	t.Helper()
	r, err := archive.Verify(bytes.NewReader(raw), int64(len(raw)), jwks)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return r
}

// A table or column that a migration adds turns this red until somebody has decided whether
// it leaves.
func TestEveryColumnIsDecided(t *testing.T) {
	d := newDepot(t)
	found, err := d.Superuser(t).Query(t.Context(), `SELECT c.relname, a.attname
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname <> 'tenant_id'
		  AND (c.relname = 'tenants' OR EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'tenant_id' AND NOT o.attisdropped))`)
	if err != nil {
		t.Fatal(err)
	}
	type column struct{ Table, Column string }
	columns, err := pgx.CollectRows(found, pgx.RowToStructByPos[column])
	if err != nil {
		t.Fatal(err)
	}
	if len(columns) < 300 {
		t.Fatalf("%d columns: the walk is blind", len(columns))
	}
	listed := map[string]string{}
	for _, c := range archive.Listed() {
		name := c.Table + "." + c.Column
		if _, twice := listed[name]; twice && c.Reason != "opened" {
			t.Errorf("%s is listed twice", name)
		}
		listed[name] = c.Reason
	}
	there := map[string]bool{}
	for _, c := range columns {
		there[c.Table+"."] = true
		there[c.Table+"."+c.Column] = true
		_, whole := listed[c.Table+"."]
		_, single := listed[c.Table+"."+c.Column]
		if whole == single {
			t.Errorf("%s.%s: nobody has decided whether it leaves in an export: authcore/archive/tables.go", c.Table, c.Column)
		}
	}
	for name := range listed {
		if !there[strings.TrimSuffix(name, "::text")] {
			t.Errorf("%s is listed, and there is no such column", name)
		}
	}
}

const hostile = "\u202eevil\u2066 </script>\"\\\r\n\t\u2028{}[]=cmd|' /C calc'!A0 \U0001f600"

// One export of a tenant that has something of everything: each row of each table that leaves
// is there once, nothing of another tenant's is, and no secret.
func TestExport(t *testing.T) {
	d := newDepot(t)
	acme, globex := d.Tenant(t), d.Tenant(t)
	ada, err := d.Users.Create(t.Context(), acme, user.Profile{ExternalID: "ada-1", Name: "ada@example.com", DisplayName: "Ada </script> 😀"}, user.Contact{Email: "Ada@Example.com", Phone: "+49 151 12345678"})
	if err != nil {
		t.Fatal(err)
	}
	phone := d.Enroll(t, acme, ada, 2)[0]
	sess, tokens := d.SignIn(t, acme, phone)
	bob, err := d.Users.Create(t.Context(), globex, user.Profile{ExternalID: "bob-1", Name: "bob@secret.example"}, user.Contact{Email: "bob@secret.example"})
	if err != nil {
		t.Fatal(err)
	}
	d.Enroll(t, globex, bob, 1)
	for range 5 {
		d.Enroll(t, acme, d.User(t, acme), 1)
	}
	d.exec(t, "UPDATE credentials SET nickname = $2 WHERE tenant_id = $1 AND id = $3", acme.Tenant(), hostile, phone.ID.Bytes())
	d.exec(t, `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts, request_id) VALUES
		($1, now(), gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', 1, E'{"a": 12345678901234567890,\n "a": 2}', $2), ($1, now(), gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', 1, 'no json', '')`, acme.Tenant(), hostile)
	d.exec(t, "INSERT INTO recovery_codes (tenant_id, user_id, hash, created_at) VALUES ($1, $2, sha256('code'), now())", acme.Tenant(), ada.ID.UUID())
	d.exec(t, `INSERT INTO api_keys (tenant_id, id, key_id, kind, name, prefix, secret_hash, scopes, allowed_cidrs, created_by, created_at)
		VALUES ($1, gen_random_uuid(), 7, 'SECRET', $2, 'bk_', sha256('secret'), '{users:read}', '{10.0.0.0/8,192.0.2.7/32}', 'user:x', now())`, acme.Tenant(), hostile)
	d.exec(t, "INSERT INTO dashboards (tenant_id, id, title, charts, created_by, created_at, updated_by, updated_at) VALUES ($1, gen_random_uuid(), 'Board', '[{\"n\": 12345678901234567890}]', '', now(), '', now())", acme.Tenant())
	d.exec(t, "INSERT INTO usage_days (tenant_id, day, ceremonies, sign_ins, monthly_active_users, written_bytes, stored_bytes, measured_at) VALUES ($1, '2026-11-30', 1, 2, 3, 4, 5, now())", acme.Tenant())
	d.exec(t, "UPDATE sessions SET address = '192.0.2.1' WHERE tenant_id = $1", acme.Tenant())
	record := d.keepEvidence(t, acme, &ada)

	e, raw := d.made(t, acme)
	if e.State != archive.Done || e.Attempt != 1 || e.Size != int64(len(raw)) || e.SHA256 != fmt.Sprintf("%x", sha256.Sum256(raw)) || e.Percent() != 100 ||
		e.ExpiresAt.Sub(*e.EndedAt) != archive.Life || e.FilesDone != e.FilesTotal || e.Reason != "we are leaving" {
		t.Errorf("export = %+v", e)
	}
	if n := d.parts(t, acme); n < 5 || n != d.one(t, "SELECT parts FROM exports WHERE id = $1", e.ID) {
		t.Errorf("%d parts", n)
	}
	r := verify(t, raw, d.Ring(t, acme).JWKS())
	if !r.Valid() || r.Rows != e.Rows || r.KID == "" || r.Manifest.TenantID != acme.Tenant() || r.Manifest.ExportID != e.ID {
		t.Errorf("Verify = %+v", r)
	}
	if foreign := verify(t, raw, d.Ring(t, globex).JWKS()); foreign.Valid() {
		t.Error("another tenant's keys have signed it")
	}
	for _, f := range r.Manifest.Files {
		where, column := "", "tenant_id"
		switch f.Table {
		case "tenants":
			column = "id"
		case "audit_inbox", "event_outbox", "exports":
			continue // the end of the export is written after the snapshot
		}
		if n := d.one(t, "SELECT count(*) FROM "+f.Table+" WHERE "+column+" = $1"+where, acme.Tenant()); int64(n) != f.Rows {
			t.Errorf("%s: %d rows, want %d", f.Name, f.Rows, n)
		}
		if f.Unopened+f.Missing != 0 {
			t.Errorf("%s: %d unopened, %d missing", f.Name, f.Unopened, f.Missing)
		}
	}

	// Ids are as the API prints them, and what was sealed is opened.
	users := rows(t, raw, "users.jsonl")
	if len(users) != 6 || users[0]["id"] != ada.ID.String() || users[0]["displayName"] != "Ada </script> 😀" || users[0]["externalId"] != "ada-1" ||
		users[0]["handle"] != base64.RawURLEncoding.EncodeToString(ada.Handle) {
		t.Errorf("users = %v", users)
	}
	values := map[any]any{}
	for _, c := range rows(t, raw, "contacts.jsonl") {
		values[c["kind"]] = c["value"]
	}
	if values["EMAIL"] != "Ada@example.com" || values["PHONE"] != "+4915112345678" {
		t.Errorf("contacts = %v", values)
	}
	for _, c := range rows(t, raw, "credentials.jsonl") {
		if c["id"] == phone.ID.String() && (c["nickname"] != hostile || c["publicKey"] == "" || c["aaguid"] != uuid.Nil.String()) {
			t.Errorf("credential = %v", c)
		}
	}
	if s := rows(t, raw, "sessions.jsonl"); len(s) != 1 || s[0]["address"] != "192.0.2.1" || s[0]["id"] != sess.ID.String() || s[0]["credentialId"] != phone.ID.String() {
		t.Errorf("sessions = %v", s)
	}
	if k := rows(t, raw, "api_keys.jsonl"); len(k) != 1 || k[0]["name"] != hostile || fmt.Sprint(k[0]["allowedCidrs"]) != "[10.0.0.0/8 192.0.2.7/32]" {
		t.Errorf("API keys = %v", k)
	}
	if ev := rows(t, raw, "evidence.jsonl"); len(ev) != 1 || fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(ev[0]["record"])))) != hex.EncodeToString(record[:]) {
		t.Errorf("evidence = %v", ev)
	}
	if days := rows(t, raw, "usage_days.jsonl"); days[0]["day"] != "2026-11-30" {
		t.Errorf("usage = %v", days)
	}
	all := every(t, raw)
	for _, exact := range []string{`"facts":{"a":12345678901234567890,"a":2}`, `"facts":"no json"`, `"charts":[{"n":12345678901234567890}]`} {
		if !strings.Contains(all, exact) {
			t.Errorf("the archive lacks %s", exact)
		}
	}

	// Neither another tenant's, nor a secret in any of the ways in which it could be written.
	forbidden := [][]byte{[]byte("bob@secret"), []byte("bob-1"), []byte(bob.ID.String()), []byte(globex.Tenant().String()), []byte(tokens.Refresh)}
	secrets, err := d.Superuser(t).Query(t.Context(), `SELECT secret_hash FROM api_keys WHERE tenant_id = $1 UNION ALL SELECT private_sealed FROM signing_keys WHERE tenant_id = $1
		UNION ALL SELECT wrapped FROM data_keys WHERE tenant_id = $1 UNION ALL SELECT hash FROM recovery_codes WHERE tenant_id = $1 UNION ALL SELECT profile_sealed FROM users WHERE tenant_id = $1
		UNION ALL SELECT external_index FROM users WHERE tenant_id = $1 UNION ALL SELECT match_index FROM contacts WHERE tenant_id = $1
		UNION ALL SELECT record_key FROM evidence WHERE tenant_id = $1 UNION ALL SELECT archive_key FROM exports WHERE tenant_id = $1`, acme.Tenant())
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := pgx.CollectRows(secrets, pgx.RowTo[[]byte])
	if err != nil || len(hidden) < 12 {
		t.Fatalf("%d secrets, %v", len(hidden), err)
	}
	for _, s := range hidden {
		forbidden = append(forbidden, s, []byte(base64.RawURLEncoding.EncodeToString(s)), []byte(base64.StdEncoding.EncodeToString(s)), []byte(hex.EncodeToString(s)))
	}
	for _, f := range forbidden {
		if strings.Contains(all, string(f)) {
			t.Errorf("the archive holds %q", f)
		}
	}
	// What lies in object storage is noise.
	files, err := filepath.Glob(filepath.Join(d.dir, "export", acme.Tenant().String(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if body, err := os.ReadFile(f); err != nil || bytes.Contains(body, []byte("jsonl")) || bytes.Contains(body, []byte("PK")) && bytes.Contains(body, []byte(".json")) {
			t.Errorf("%s shows what it holds, %v", f, err)
		}
	}
	for action, want := range map[string]int64{"export.start": 1, "export.finish": 1, "export.download": 1} {
		if n := d.AuditCount(t, acme, action); n != want {
			t.Errorf("%d entries %s, want %d", n, action, want)
		}
		if n := d.one(t, "SELECT count(*) FROM event_outbox WHERE tenant_id = $1 AND type LIKE 'export.%'", acme.Tenant()); n != 3 {
			t.Errorf("%d events, want 3", n)
		}
	}
}

// keepEvidence keeps a piece, and has object storage take it.
func (d *depot) keepEvidence(t testing.TB, sc scope.Scope, owner *user.User) [32]byte {
	t.Helper()
	p := policy.Default()
	id := owner.ID.UUID()
	var kept evidence.Kept
	if err := d.InTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
		kept, err = d.evidence.Keep(t.Context(), tx, d.Ring(t, sc), evidence.Registration{
			CeremonyID: uuid.Must(uuid.NewV7()), At: tx.Now(), Outcome: "FAILED", Reason: "X", UserID: &id, RP: webauthn.RP{ID: "example.org"},
			Response: &webauthn.RegistrationResponse{}, PolicyVersion: 1, Policy: &p, Facts: []byte(`{}`),
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.evidence.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return kept.SHA256
}

// More rows than a page has, in an order that a key of several columns gives: each is there
// once. And what is written meanwhile is not: the archive is of one moment.
func TestExportIsOfOneMoment(t *testing.T) {
	d := newDepot(t)
	acme := d.Tenant(t)
	ada := d.User(t, acme)
	passkeys := d.Enroll(t, acme, ada, 1)
	d.exec(t, `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts)
		SELECT $1, now() - (i / 3) * interval '1 microsecond', gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', 1, '{}' FROM generate_series(1, 1203) i`, acme.Tenant())
	var changed bool
	d.OnPage(func(table string) {
		if table != "tenants" || changed {
			return
		}
		changed = true
		d.Enroll(t, acme, d.User(t, acme), 1)
		d.exec(t, "UPDATE credentials SET nickname = 'changed' WHERE tenant_id = $1", acme.Tenant())
		d.exec(t, "DELETE FROM ceremonies WHERE tenant_id = $1", acme.Tenant())
	})
	_, raw := d.made(t, acme)
	if !changed {
		t.Fatal("nothing was written meanwhile")
	}
	if u, c := rows(t, raw, "users.jsonl"), rows(t, raw, "credentials.jsonl"); len(u) != 1 || len(c) != 1 || c[0]["id"] != passkeys[0].ID.String() || c[0]["nickname"] != "" {
		t.Errorf("users = %v, credentials = %v", u, c)
	}
	ids := map[any]bool{}
	for _, row := range rows(t, raw, "ceremonies.jsonl") {
		ids[row["id"]] = true
	}
	if len(ids) != 1203 {
		t.Errorf("%d ceremonies, want 1203", len(ids))
	}
}

// support is somebody of the staff whom the tenant has let in.
func support(tenant uuid.UUID, acts bool) scope.Scope {
	return scope.ForSupport(tenant, uuid.New(), "Sam", scope.Support{GrantID: uuid.New(), Acts: acts, By: scope.Actor{Kind: scope.ActorOperator, ID: "o", Name: "Ana"}})
}

func TestWhoMayExport(t *testing.T) {
	d := newDepot(t)
	acme, globex := d.Tenant(t), d.Tenant(t)
	platform := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorAPIKey, ID: "ops"})
	nobody := uuid.Must(uuid.NewV7())
	if err := d.Keys.Ensure(t.Context(), platform); err != nil {
		t.Fatal(err)
	}

	e, err := d.Start(t.Context(), platform, archive.StartRequest{Tenant: acme.Tenant(), Reason: "they asked"})
	if err != nil || !strings.HasSuffix(e.AskedBy, ":ops") {
		t.Fatalf("Start by the platform = %+v, %v", e, err)
	}
	if n := d.AuditCount(t, acme, "export.start"); n != 1 {
		t.Errorf("%d entries in the tenant's own log", n)
	}
	for name, tt := range map[string]struct {
		sc     scope.Scope
		tenant uuid.UUID
		want   error
	}{
		"a second one":           {acme, acme.Tenant(), archive.ErrRunning},
		"a second by platform":   {platform, acme.Tenant(), archive.ErrRunning},
		"another tenant":         {globex, acme.Tenant(), archive.ErrTenant},
		"nobody's":               {platform, nobody, archive.ErrTenant},
		"nobody's, by a tenant":  {globex, nobody, archive.ErrTenant},
		"the reserved tenant":    {platform, scope.PlatformTenant, archive.ErrTenant},
		"somebody of the staff":  {support(acme.Tenant(), true), acme.Tenant(), archive.ErrTenant},
		"nobody's, by no tenant": {platform, uuid.Nil, archive.ErrTenant},
	} {
		if _, err := d.Start(t.Context(), tt.sc, archive.StartRequest{Tenant: tt.tenant, Reason: "x"}); !errors.Is(err, tt.want) {
			t.Errorf("%s: Start = %v, want %v", name, err, tt.want)
		}
	}
	for _, reason := range []string{"", strings.Repeat("é", 257)} {
		if _, err := d.Start(t.Context(), globex, archive.StartRequest{Tenant: globex.Tenant(), Reason: reason}); !errors.Is(err, archive.ErrReason) {
			t.Errorf("Start for %q = %v", reason, err)
		}
	}
	if _, err := d.Download(t.Context(), acme, acme.Tenant(), e.ID); !errors.Is(err, archive.ErrNotReady) {
		t.Errorf("Download of what runs = %v", err)
	}
	if err := d.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Get(t.Context(), platform, acme.Tenant(), e.ID); err != nil || got.State != archive.Done {
		t.Errorf("Get by the platform = %+v, %v", got, err)
	}
	if _, err := d.Download(t.Context(), platform, acme.Tenant(), e.ID); !errors.Is(err, archive.ErrOwnKeys) {
		t.Errorf("Download by the platform = %v", err)
	}
	// Access for support opens no archive, whatever it may do.
	for _, acts := range []bool{false, true} {
		sc := support(acme.Tenant(), acts)
		if down, err := d.Download(t.Context(), sc, acme.Tenant(), e.ID); !errors.Is(err, archive.ErrTenant) || down != nil {
			t.Errorf("Download by somebody of the staff = %v", err)
		}
	}
	if n := d.AuditCount(t, acme, "export.download"); n != 0 {
		t.Errorf("%d entries of downloads that were refused", n)
	}
	// With its id, under one's own name and under the other's.
	for _, tenant := range []uuid.UUID{acme.Tenant(), globex.Tenant()} {
		want := archive.ErrTenant
		if tenant == globex.Tenant() {
			want = archive.ErrNotFound
		}
		if _, err := d.Get(t.Context(), globex, tenant, e.ID); !errors.Is(err, want) {
			t.Errorf("Get by another = %v, want %v", err, want)
		}
		if _, err := d.Download(t.Context(), globex, tenant, e.ID); !errors.Is(err, want) {
			t.Errorf("Download by another = %v, want %v", err, want)
		}
		if _, err := d.Cancel(t.Context(), globex, archive.CancelRequest{Tenant: tenant, ID: e.ID}); !errors.Is(err, want) {
			t.Errorf("Cancel by another = %v, want %v", err, want)
		}
	}
	if page, err := d.List(t.Context(), globex, globex.Tenant(), listing.Request{}); err != nil || len(page.Items) != 0 {
		t.Errorf("List by another = %+v, %v", page, err)
	}
	if _, err := d.Cancel(t.Context(), acme, archive.CancelRequest{Tenant: acme.Tenant(), ID: e.ID}); !errors.Is(err, archive.ErrEnded) {
		t.Errorf("Cancel of what has ended = %v", err)
	}
	bare := d.on(d.World, nil)
	if _, err := bare.Start(t.Context(), globex, archive.StartRequest{Tenant: globex.Tenant(), Reason: "x"}); !errors.Is(err, archive.ErrNoStorage) {
		t.Errorf("Start without object storage = %v", err)
	}

	// Pages, the newest first.
	second := d.start(t, acme)
	page, err := d.List(t.Context(), platform, acme.Tenant(), listing.Request{PageSize: 1})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != second.ID || page.NextToken == "" {
		t.Fatalf("List = %+v, %v", page, err)
	}
	if page, err = d.List(t.Context(), platform, acme.Tenant(), listing.Request{PageSize: 1, PageToken: page.NextToken}); err != nil || len(page.Items) != 1 || page.Items[0].ID != e.ID || page.NextToken != "" {
		t.Errorf("List = %+v, %v", page, err)
	}
}

// A tenant that is stopped, or within the grace of its deletion, can still take its data
// with it; once its keys are destroyed, nobody can.
func TestExportOfStoppedTenant(t *testing.T) {
	for _, state := range []string{"SUSPENDED", "DELETING"} {
		d := newDepot(t)
		acme := d.Tenant(t)
		d.exec(t, "UPDATE tenants SET state = $2, delete_after = CASE WHEN $2 = 'DELETING' THEN now() + interval '30 days' END WHERE id = $1", acme.Tenant(), state)
		e, raw := d.made(t, acme)
		if e.State != archive.Done || !verify(t, raw, nil).Valid() {
			t.Errorf("%s: export = %+v", state, e)
		}
		later := d.later(t, time.Minute)
		if err := later.Destroy(t.Context(), acme); err != nil {
			t.Fatalf("Destroy: %v", err)
		}
		if n := d.parts(t, acme); n != 0 {
			t.Errorf("%s: %d parts are left", state, n)
		}
		if _, err := later.Download(t.Context(), acme, acme.Tenant(), e.ID); !errors.Is(err, archive.ErrGone) {
			t.Errorf("%s: Download = %v", state, err)
		}
	}
}
