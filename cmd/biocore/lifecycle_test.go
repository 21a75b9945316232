package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// A tenant that is suspended, or being deleted, stops on every server: its keys, its
// ceremonies, also those that were begun before, its sessions. Its people still read the
// admin plane. Letting readers change something, or keys of it in anywhere else, turns it red.
func TestStoppedTenantOnTwoServers(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	here, there := both[0], both[1]
	for name, tt := range map[string]struct {
		stop, start func(c *customer) (method, path string)
		reason      string
	}{
		"suspended": {
			func(c *customer) (string, string) { return "POST", "/admin/v1/tenants/" + c.id + ":suspend" },
			func(c *customer) (string, string) { return "POST", "/admin/v1/tenants/" + c.id + ":resume" },
			tenant.ErrSuspended.Reason,
		},
		"being deleted": {
			func(c *customer) (string, string) { return "DELETE", "/admin/v1/tenants/" + c.id },
			func(c *customer) (string, string) { return "POST", "/admin/v1/tenants/" + c.id + ":restore" },
			tenant.ErrKeysOfDeleting.Reason,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := here.tenant(t, strings.ReplaceAll(name, " ", "-"))
			here.enroll(t, c, "alice")
			here.signIn(t, c)
			begun := here.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{})
			calls := map[string]func(w *world) answer{
				"a session that is verified": func(w *world) answer {
					return w.call(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access})
				},
				"a session that is refreshed": func(w *world) answer {
					return w.call(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh})
				},
				"a sign-in that was begun": func(w *world) answer { return w.call(t, "POST", "/v1/authentications:finish", c.secret, begun) },
				"a sign-in in a browser": func(w *world) answer {
					return w.call(t, "POST", "/v1/authentications:begin", c.publishable, map[string]any{}, "Origin", origin)
				},
				"a registration": func(w *world) answer {
					return w.call(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user})
				},
				"a list of users": func(w *world) answer { return w.call(t, "GET", "/v1/users", c.secret, nil) },
				"a change of settings": func(w *world) answer {
					return w.call(t, "PATCH", "/admin/v1/settings", c.secret, map[string]any{"name": "New"})
				},
				"a key that is made": func(w *world) answer {
					return w.call(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "PUBLISHABLE", "name": "x"})
				},
				"a policy that is put": func(w *world) answer {
					return w.call(t, "PUT", "/admin/v1/policy", c.secret, map[string]any{"policy": map[string]any{}})
				},
			}
			reads := []string{"/admin/v1/settings", "/admin/v1/apiKeys", "/admin/v1/policy", "/admin/v1/usage", "/admin/v1/evidence", "/admin/v1/signingKeys"}
			for _, path := range reads { // on both, so that both remember the key
				here.must(t, "GET", path, c.secret, nil)
				there.must(t, "GET", path, c.secret, nil)
			}
			method, path := tt.stop(c)
			here.must(t, method, path, here.platformKey, nil)
			for what, call := range calls {
				if a := call(here); a.reason() != tt.reason {
					t.Errorf("%s, on the server that was told: %s", what, a)
				}
				there.until(t, tt.reason, func() answer { return call(there) })
			}
			for _, w := range both {
				for _, path := range reads {
					if a := w.call(t, "GET", path, c.secret, nil); a.status != http.StatusOK {
						t.Errorf("GET %s of a stopped tenant: %s", path, a)
					}
				}
			}
			method, path = tt.start(c)
			here.must(t, method, path, here.platformKey, map[string]any{})
			for _, w := range both {
				dbtest.Seen(t, "it works again", func() string {
					if a := calls["a session that is verified"](w); !a.is("active") {
						return "the session is " + a.String()
					}
					return ""
				})
			}
		})
	}
}

// The job of a running server destroys what its grace has left, objects too, and nothing of others.
func TestTenantIsDestroyedByAJob(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL = "file://" + t.TempDir()
	w := startWorld(t, store, cfg)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	for _, c := range []*customer{acme, globex} {
		w.enroll(t, c, "alice")
		w.signIn(t, c)
	}
	s := newShell(t, w.cfg)
	s.refused(t, 2, "", "tenant", "delete", "acme", "--reason", "over")
	gone := s.read(t, "tenant", "delete", "acme", "--confirm", "acme", "--reason", "contract ended")
	if gone.text("state") != "DELETING" || gone.text("deleteAfter") == "" {
		t.Fatalf("tenant delete --json = %s", gone.raw)
	}
	if out := s.must(t, "tenant", "restore", "acme"); out != "tenant acme is active\n" {
		t.Errorf("tenant restore: %q", out)
	}
	s.must(t, "tenant", "delete", "acme", "--confirm", "acme", "--reason", "contract ended")
	conn := store.Superuser(t)
	if _, err := conn.Exec(t.Context(), "UPDATE tenants SET delete_after = now() WHERE slug = 'acme'"); err != nil {
		t.Fatal(err)
	}
	emptied := false
	// The server looks once a minute.
	for deadline := time.Now().Add(3 * time.Minute); !emptied && time.Now().Before(deadline); pause(t, 500*time.Millisecond) {
		if err := conn.QueryRow(t.Context(), "SELECT emptied_at IS NOT NULL FROM tenants WHERE slug = 'acme'").Scan(&emptied); err != nil {
			t.Fatal(err)
		}
	}
	if !emptied {
		t.Fatal("it was not destroyed")
	}
	for table, left := range map[string]int{"users": 1, "credentials": 1, "sessions": 1, "data_keys": 1, "deletion_certificates": 1} {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(DISTINCT tenant_id) FROM "+table+" WHERE tenant_id IN ($1, $2)", acme.id, globex.id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != left {
			t.Errorf("%s has rows of %d of the two tenants, want %d", table, n, left)
		}
	}
	if a := w.call(t, "GET", "/v1/users", acme.secret, nil); a.status != http.StatusUnauthorized {
		t.Errorf("its key: %s", a)
	}
	w.must(t, "GET", "/v1/users", globex.secret, nil)
	s.refused(t, 1, tenant.ErrExists.Reason, "tenant", "create", "acme", "--mode", "test", "--rp-id", "localhost")
	s.refused(t, 1, tenant.ErrGraceOver.Reason, "tenant", "restore", "acme")
}
