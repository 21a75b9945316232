package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// clinic is a good installation, with two tenants and a platform key, to be broken.
type clinic struct {
	*shell
	store *dbtest.Store
	cfg   Config
	fido  *mdstest.Service
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	store := dbtest.Fresh(t)
	c := &clinic{store: store, cfg: testConfig(t, store, dbtest.Redis(t))}
	c.cfg.PublicURL = "http://localhost:9" // where nobody answers
	c.cfg.ObjectStorageURL = "file://" + t.TempDir()
	c.fido = mdstest.New(t)
	c.cfg.MDSRootsFile = writeTo(t, "roots.pem", c.fido.RootPEM())
	c.shell = newShell(t, c.cfg)
	c.must(t, "mds", "sync", "--file", writeTo(t, "blob.jwt", c.fido.Sign(t, mdstest.BLOB{Number: 7})))
	c.must(t, "apikey", "create", "--kind", "platform", "--name", "ops")
	for _, slug := range []string{"acme", "globex"} {
		c.must(t, "tenant", "create", slug, "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	}
	c.exec(t, `INSERT INTO audit_anchors (id, size, heads, refused, at, stored_at, bytes, locked_until)
		VALUES (gen_random_uuid(), 1, 0, 0, now(), now(), 1, now() + interval '1 year')`) // as a server would
	return c
}

// exec breaks something as the superuser.
func (c *clinic) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := c.store.Superuser(t).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// examine runs the doctor, for scripts, and returns what it found by name.
func (c *clinic) examine(t *testing.T) (findings map[string]finding, code int) {
	t.Helper()
	all, complaint, code := c.doctor(t)
	findings = map[string]finding{}
	failed := 0
	for _, f := range all {
		findings[f.Name] = f
		if f.OK != (f.Verdict == well || f.Verdict == doubtful) || (f.Fix == "") == (f.Verdict == unwell || f.Verdict == doubtful) {
			t.Errorf("finding %+v contradicts itself", f)
		}
		if f.Verdict == unwell {
			failed++
		}
	}
	if (code == 1) != (failed > 0) || (failed > 0) != strings.Contains(complaint, fmt.Sprintf("%d of %d checks failed", failed, len(all))) {
		t.Errorf("doctor = %d with %d failures\n%s", code, failed, complaint)
	}
	return findings, code
}

// doctor is what the doctor says to scripts.
func (s *shell) doctor(t *testing.T) (all []finding, complaint string, code int) {
	t.Helper()
	out, complaint, code := s.run(t, "doctor", "--json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("doctor --json: %v\n%s%s", err, out, complaint)
	}
	return all, complaint, code
}

func TestDoctorFindsNothing(t *testing.T) {
	c := newClinic(t)
	found, code := c.examine(t)
	if code != 0 || len(found) != 23 {
		t.Errorf("doctor = %d with %d findings", code, len(found))
	}
	for name, f := range found {
		if want := map[bool]verdict{true: unchecked, false: well}[name == "key sets"]; f.Verdict != want { // no server runs
			t.Errorf("%s: %+v", name, f)
		}
	}
	if got := found["data keys"].Detail; got != "those of 3 tenants open, the platform's among them" {
		t.Errorf("data keys: %s", got)
	}
	c.must(t, "tenant", "suspend", "globex", "--reason", "contract ended")
	if _, said, code := c.run(t, "keys", "shred", "globex", "--confirm", "globex", "--reason", "contract ended"); code != 0 {
		t.Fatalf("keys shred = %d\n%s", code, said)
	}
	found, _ = c.examine(t)
	if f := found["data keys"]; f.Verdict != well || f.Detail != "those of 2 tenants open, the platform's among them, those of 1 are destroyed" {
		t.Errorf("data keys when one tenant is shredded: %+v", f)
	}
	out := c.must(t, "doctor")
	if lines := strings.Count(out, "\n"); lines != 23 || strings.Count(out, "ok    ") != 22 {
		t.Errorf("doctor for people:\n%s", out)
	}
	if password := strings.Split(strings.Split(c.cfg.DatabaseURL.Reveal(), "@")[0], ":")[2]; strings.Contains(out, password) {
		t.Error("the doctor shows a password")
	}
}

// Each is one thing that breaks in production. The doctor must name it, say what to
// do, and not send its reader elsewhere: everything else that is well stays so.
func TestDoctorFinds(t *testing.T) {
	for _, tt := range []struct {
		name     string
		spoil    func(*testing.T, *clinic)
		finding  string
		verdict  verdict
		says     string
		touches  []string // other findings that may be unwell, or skipped, for it
		wantExit int
	}{
		{
			name:    "a dropped policy",
			spoil:   func(t *testing.T, c *clinic) { c.exec(t, "DROP POLICY tenant_isolation ON users") },
			finding: "tenant wall", verdict: unwell, says: "public.users: policy tenant_isolation", wantExit: 1,
		},
		{
			name:    "row-level security off",
			spoil:   func(t *testing.T, c *clinic) { c.exec(t, "ALTER TABLE credentials DISABLE ROW LEVEL SECURITY") },
			finding: "tenant wall", verdict: unwell, says: "public.credentials: row-level security is off", wantExit: 1,
		},
		{
			name: "a missing partition",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, `DO $$ BEGIN EXECUTE 'DROP TABLE spent_challenges_' || (floor(extract(epoch FROM now()) / 3600)::integer + 3); END $$`)
			},
			finding: "partitions", verdict: unwell, says: "missing: spent_challenges_", wantExit: 1,
		},
		{
			name:    "a missing migration",
			spoil:   func(t *testing.T, c *clinic) { c.exec(t, "DELETE FROM goose_db_version WHERE version_id = 12") },
			finding: "schema", verdict: unwell, says: "the database lacks 0012_idempotency.sql", touches: []string{"data map", "feature flags"}, wantExit: 1,
		},
		{
			name: "pgcrypto in the way of a migration",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "DELETE FROM goose_db_version WHERE version_id = 15; ALTER EXTENSION pgcrypto SET SCHEMA public")
			},
			finding: "schema", verdict: unwell, says: "has pgcrypto in schema public", touches: []string{"data map", "feature flags"}, wantExit: 1,
		},
		{
			name:    "no schema at all",
			spoil:   func(t *testing.T, c *clinic) { c.exec(t, "DROP TABLE goose_db_version") },
			finding: "schema", verdict: unwell, says: "0001_wall.sql", touches: []string{"metadata", "data map", "audit archives", "erasures", "feature flags"}, wantExit: 1,
		},
		{
			name: "Redis gone",
			spoil: func(t *testing.T, c *clinic) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				_ = l.Close()
				c.cfg.RedisURL = secret.New("redis://:" + hunter + "@" + l.Addr().String())
			},
			finding: "redis", verdict: unwell, says: "(REDIS_UNAVAILABLE)", wantExit: 1,
		},
		{
			name:    "no object storage",
			spoil:   func(_ *testing.T, c *clinic) { c.cfg.ObjectStorageURL = "" },
			finding: "object storage", verdict: doubtful, says: "evidence stays in Postgres", touches: []string{"audit heads", "audit archives", "erasures"},
		},
		{
			name:    "nobody to anchor audit logs",
			spoil:   func(t *testing.T, c *clinic) { c.exec(t, "DELETE FROM audit_anchors") },
			finding: "audit heads", verdict: doubtful, says: "none is in object storage yet",
		},
		{
			name: "an object storage that cannot be reached",
			spoil: func(t *testing.T, c *clinic) {
				t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
				t.Setenv("AWS_SECRET_ACCESS_KEY", hunter)
				c.cfg.ObjectStorageURL = "s3://bucket?region=eu-central-1&endpoint=http://127.0.0.1:1"
			},
			finding: "object storage", verdict: unwell, says: "(OBJECT_STORAGE_UNAVAILABLE)", touches: []string{"audit archives", "erasures"}, wantExit: 1,
		},
		{
			name:    "an object storage that does not exist",
			spoil:   func(_ *testing.T, c *clinic) { c.cfg.ObjectStorageURL = "s3://Bucket?region=eu-central-1" },
			finding: "object storage", verdict: unwell, says: "the form s3://", touches: []string{"audit archives", "erasures"}, wantExit: 1,
		},
		{
			name:    "no metadata",
			spoil:   func(t *testing.T, c *clinic) { c.exec(t, "DELETE FROM metadata_blobs") },
			finding: "metadata", verdict: doubtful, says: "there is none",
		},
		{
			name: "stale metadata",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "UPDATE metadata_blobs SET next_update = now() - interval '2 days'")
			},
			finding: "metadata", verdict: doubtful, says: "number 7 is stale",
		},
		{
			name: "metadata of another root",
			spoil: func(t *testing.T, c *clinic) {
				c.cfg.MDSRootsFile = writeTo(t, "other.pem", mdstest.New(t).RootPEM())
			},
			finding: "metadata", verdict: unwell, says: "lead to no root that is trusted", wantExit: 1,
		},
		{
			name: "another KMS key",
			spoil: func(t *testing.T, c *clinic) {
				path := filepath.Join(t.TempDir(), "other.key")
				if err := kms.CreateLocal(path); err != nil {
					t.Fatal(err)
				}
				c.cfg.KMSURL = "local:" + path
			},
			finding: "data keys", verdict: unwell, says: "3 of 3 tenants' do not open:", wantExit: 1,
		},
		{
			name:    "no KMS key",
			spoil:   func(_ *testing.T, c *clinic) { c.cfg.KMSURL += ".absent" },
			finding: "kms", verdict: unwell, says: "no such file", touches: []string{"data keys", "signing keys", "audit archives", "erasures"}, wantExit: 1,
		},
		{
			name: "one tenant's data key changed",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "UPDATE data_keys SET wrapped = sha256('x') WHERE tenant_id = (SELECT id FROM tenants WHERE slug = 'globex')")
			},
			finding: "data keys", verdict: unwell, says: "1 of 3 tenants' do not open:\nglobex: ", wantExit: 1,
		},
		{
			name: "no signing key",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "DELETE FROM signing_keys WHERE tenant_id = (SELECT id FROM tenants WHERE slug = 'acme')")
			},
			finding: "signing keys", verdict: unwell, says: "none of acme", wantExit: 1,
		},
		{
			name: "a signing key that should have had a successor",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "UPDATE signing_keys SET activated_at = now() - interval '100 days' WHERE tenant_id = (SELECT id FROM tenants WHERE slug = 'acme')")
			},
			finding: "signing keys", verdict: doubtful, says: "acme: its signing key signs since",
		},
		{
			name: "a data key that should have had a successor",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "UPDATE data_keys SET created_at = now() - interval '400 days' WHERE tenant_id = (SELECT id FROM tenants WHERE slug = 'acme')")
			},
			finding: "signing keys", verdict: doubtful, says: "acme: its data key is from",
		},
		{
			name: "a successor that nobody lets sign",
			spoil: func(t *testing.T, c *clinic) {
				c.must(t, "keys", "rotate", "--tenant", "acme")
				c.exec(t, "UPDATE signing_keys SET activate_at = now() - interval '2 days' WHERE state = 'PENDING'")
			},
			finding: "signing keys", verdict: doubtful, says: "should sign since",
		},
		{
			name: "a suspended tenant need not sign",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "UPDATE tenants SET state = 'SUSPENDED' WHERE slug = 'acme'; DELETE FROM signing_keys WHERE tenant_id = (SELECT id FROM tenants WHERE slug = 'acme')")
			},
			finding: "signing keys", verdict: well, says: "every active tenant",
		},
		{
			name: "the platform has no keys yet",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "DELETE FROM signing_keys WHERE tenant_id = '00000000-0000-7000-8000-000000000001'; DELETE FROM data_keys WHERE tenant_id = '00000000-0000-7000-8000-000000000001'")
			},
			finding: "data keys", verdict: doubtful, says: "the platform has none yet",
		},
		{
			name: "a role that cannot log in",
			spoil: func(t *testing.T, c *clinic) {
				other, err := db.RoleURL(c.cfg.DatabaseWriterURL.Reveal(), db.RoleWriter, hunter)
				if err != nil {
					t.Fatal(err)
				}
				c.cfg.DatabaseWriterURL = secret.New(other)
			},
			finding: "roles", verdict: unwell, says: "bc_writer: connect: ", wantExit: 1,
			touches: []string{"statement log", "schema", "tenant wall", "data map", "partitions", "jobs", "metadata", "data keys", "signing keys", "audit heads", "audit archives", "erasures", "feature flags"},
		},
		{
			name:    "a URL of the wrong role",
			spoil:   func(_ *testing.T, c *clinic) { c.cfg.DatabaseURL = c.cfg.DatabaseJobsURL },
			finding: "roles", verdict: unwell, says: "bc_app: the URL logs in as bc_jobs", wantExit: 1,
			touches: []string{"statement log", "schema", "tenant wall", "data map", "partitions", "jobs", "metadata", "data keys", "signing keys", "audit heads", "audit archives", "erasures", "feature flags"},
		},
		{
			name:    "a URL of another database",
			spoil:   func(t *testing.T, c *clinic) { c.cfg.DatabaseJobsURL = secret.New(dbtest.Fresh(t).URL(db.RoleJobs)) },
			finding: "roles", verdict: unwell, says: "bc_jobs: the URL leads to another database than bc_control's", wantExit: 1,
			touches: []string{"statement log", "schema", "tenant wall", "data map", "partitions", "jobs", "metadata", "data keys", "signing keys", "audit heads", "audit archives", "erasures", "feature flags"},
		},
		{
			name: "a job that nobody does",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "INSERT INTO river.river_job (args, kind, max_attempts, scheduled_at) VALUES ('{}', 'k', 8, now() - interval '1 hour')")
			},
			finding: "jobs", verdict: doubtful, says: "1 wait, the oldest for 1h",
		},
		{
			name: "a job that was given up",
			spoil: func(t *testing.T, c *clinic) {
				c.exec(t, "INSERT INTO river.river_job (args, kind, max_attempts, state, finalized_at) VALUES ('{}', 'k', 8, 'discarded', now())")
			},
			finding: "jobs", verdict: doubtful, says: "1 were given up",
		},
		{
			name:    "a queue out of reach",
			spoil:   func(t *testing.T, c *clinic) { c.exec(t, "REVOKE ALL ON river.river_job FROM bc_jobs") },
			finding: "jobs", verdict: unwell, says: "permission denied", wantExit: 1,
		},
		{
			name: "a log that would show parameters",
			spoil: func(t *testing.T, c *clinic) {
				// Of this database alone: roles belong to all tests of the server.
				c.exec(t, `DO $$ BEGIN EXECUTE format('ALTER ROLE bc_app IN DATABASE %I SET log_parameter_max_length = 1024', current_database()); END $$`)
			},
			finding: "statement log", verdict: doubtful, says: "bound parameters of bc_app, keys",
		},
		{
			name:    "flags that nobody knows about",
			spoil:   func(_ *testing.T, c *clinic) { c.cfg.FlagsProvider, c.cfg.FlagsURL = "ofrep", "http://127.0.0.1:9" },
			finding: "feature flags", verdict: doubtful, says: "defaults hold: ofrep: ",
		},
		{
			name: "a provider of flags that lacks them",
			spoil: func(t *testing.T, c *clinic) {
				elsewhere := httptest.NewServer(http.NotFoundHandler())
				t.Cleanup(elsewhere.Close)
				c.cfg.FlagsProvider, c.cfg.FlagsURL = "ofrep", elsewhere.URL
			},
			finding: "feature flags", verdict: doubtful, says: "ofrep does not know biocore.audit-archiving, biocore.live-streams, biocore.text-scans",
		},
		{
			name: "a provider of flags that refuses its key",
			spoil: func(t *testing.T, c *clinic) {
				elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Authorization") != "Bearer "+hunter {
						t.Error("another key")
					}
					w.WriteHeader(http.StatusUnauthorized)
				}))
				t.Cleanup(elsewhere.Close)
				c.cfg.FlagsProvider, c.cfg.FlagsURL, c.cfg.FlagsKey = "ofrep", elsewhere.URL, secret.New(hunter)
			},
			finding: "feature flags", verdict: doubtful, says: "authentication/authorization error",
		},
		{
			name:    "limits off",
			spoil:   func(_ *testing.T, c *clinic) { c.cfg.NoLimits = true },
			finding: "configuration", verdict: doubtful, says: "rate limits are off",
		},
		{
			name:    "a configuration that serve refuses",
			spoil:   func(_ *testing.T, c *clinic) { c.cfg.PublicURL = "http://example.com" },
			finding: "configuration", verdict: unwell, says: "BIOCORE_PUBLIC_URL is https", wantExit: 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClinic(t)
			tt.spoil(t, c)
			c.leave(t, c.cfg)
			found, code := c.examine(t)
			if f := found[tt.finding]; f.Verdict != tt.verdict || !strings.Contains(f.Detail, tt.says) {
				t.Errorf("%s: %+v, want %s that says %q", tt.finding, f, tt.verdict, tt.says)
			}
			if code != tt.wantExit {
				t.Errorf("doctor = %d, want %d", code, tt.wantExit)
			}
			for name, f := range found {
				if strings.Contains(f.Detail, hunter) {
					t.Errorf("%s shows a password: %s", name, f.Detail)
				}
				if name != tt.finding && name != "key sets" && f.Verdict != well && !slices.Contains(tt.touches, name) {
					t.Errorf("%s is %s as well: %s", name, f.Verdict, f.Detail)
				}
				if slices.Contains(tt.touches, name) && f.Verdict != unchecked {
					t.Errorf("%s is %s, want it skipped", name, f.Verdict)
				}
			}
		})
	}
}

// Without Postgres there is one failure, and not one for each that needs it.
func TestDoctorWithoutPostgres(t *testing.T) {
	c := newClinic(t)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for _, to := range []*secret.Text{&c.cfg.DatabaseURL, &c.cfg.DatabaseWriterURL, &c.cfg.DatabaseControlURL, &c.cfg.DatabaseJobsURL, &c.cfg.DatabaseSupportURL, &c.cfg.DatabaseAuditURL} {
		*to = secret.New("postgres://u:" + hunter + "@" + gone.Addr().String() + "/biocore?sslmode=disable")
	}
	c.leave(t, c.cfg)
	began := time.Now()
	found, code := c.examine(t)
	if took := time.Since(began); code != 1 || took > 10*time.Second {
		t.Errorf("doctor = %d after %v", code, took)
	}
	for name, f := range found {
		want := unchecked
		switch name {
		case "configuration", "redis", "object storage", "kms", "mail", "risk data":
			want = well
		case "postgres":
			want = unwell
		}
		if f.Verdict != want || strings.Contains(f.Detail, hunter) {
			t.Errorf("%s: %+v, want %s", name, f, want)
		}
	}
	out, _, _ := c.run(t, "doctor")
	if !strings.Contains(out, "FAIL  postgres") || !strings.Contains(out, "-> start PostgreSQL 15") || !strings.Contains(out, "skip  tenant wall") {
		t.Errorf("doctor for people:\n%s", out)
	}
}

// The doctor reads the key sets that verifiers read.
func TestDoctorReadsKeySets(t *testing.T) {
	w := newWorld(t)
	w.tenant(t, "acme")
	cfg := w.cfg
	cfg.PublicURL = "http://localhost:" + strconv.Itoa(w.publicPort.Addr().Port)
	s := newShell(t, cfg)
	look := func() finding {
		all, _, _ := s.doctor(t)
		return all[slices.IndexFunc(all, func(f finding) bool { return f.Name == "key sets" })]
	}
	if f := look(); f.Verdict != well || f.Detail != "1 are published with the key that signs" {
		t.Errorf("all is well: %+v", f)
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		says   string
	}{
		{"a stale cache", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"keys":[]}`) }, "acme: the key that signs is not published"},
		{"somebody else's server", http.NotFound, "acme: read the key set: status 404"},
		{"a page", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<html>") }, "acme: read the key set: invalid character"},
		{"a server that hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "acme: read the key set: "},
	} {
		server := httptest.NewServer(tt.answer)
		t.Cleanup(server.Close)
		cfg.PublicURL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
		s.leave(t, cfg)
		if f := look(); f.Verdict != unwell || !strings.Contains(f.Detail, tt.says) {
			t.Errorf("%s: %+v", tt.name, f)
		}
		server.Close()
		if f := look(); f.Verdict != unchecked || !strings.Contains(f.Detail, "no server answers") {
			t.Errorf("%s, when it is gone: %+v", tt.name, f)
		}
	}
	if _, err := w.store.Superuser(t).Exec(t.Context(), "UPDATE data_keys SET wrapped = sha256('x')"); err != nil {
		t.Fatal(err)
	}
	if f := look(); f.Verdict != unchecked || f.Detail != "not checked: data keys" {
		t.Errorf("when no data key opens: %+v", f)
	}
}

// A configuration that cannot be read is the one finding.
func TestDoctorWithoutConfiguration(t *testing.T) {
	noVariables(t)
	c := &clinic{shell: &shell{dir: t.TempDir()}}
	out, complaint, code := c.run(t, "doctor", "--config", file(t, "biocore.yaml", "listne: x\n"))
	if code != 1 || !strings.Contains(out, `unknown field "listne"`) || !strings.Contains(complaint, "1 of 1 checks failed") {
		t.Errorf("doctor = %d\n%s%s", code, out, complaint)
	}
	if found, _ := c.examine(t); found["configuration"].Verdict != unwell || found["postgres"].Verdict != unwell || found["redis"].Verdict != unwell {
		t.Errorf("of no configuration: %+v", found)
	}
}

// Clocks are compared, and a doubt is none that stops anybody.
func TestDoctorOnClocks(t *testing.T) {
	for skew, want := range map[time.Duration]verdict{0: well, 900 * time.Millisecond: well, 2 * time.Second: doubtful, -time.Hour: doubtful} {
		d := &checkup{control: &db.Login{Skew: skew}}
		if f := d.clock(t.Context()); f.Verdict != want {
			t.Errorf("%v off: %+v, want %s", skew, f, want)
		}
	}
}

// What to do about a KMS hangs on what is wrong with it.
func TestKMSFix(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"silent":       {keys.ErrKMSUnavailable, "reaches it"},
		"no file":      {fmt.Errorf("open KMS key: %w", fs.ErrNotExist), "is there and readable"},
		"a closed one": {fmt.Errorf("open KMS key: %w", fs.ErrPermission), "is there and readable"},
		"another key":  {errors.New("wrapped by KMS key a, but this server has b"), "the key that wrapped"},
	} {
		if got := kmsFix(tt.err); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
