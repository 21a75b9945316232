package main

import (
	"strings"
	"testing"
)

// The platform gives a tenant limits of its own, by the API and by the command line: its calls are
// held to them and told of them, and nobody else's are.
func TestTenantLimits(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c, other := w.tenant(t, "acme"), w.tenant(t, "globex")
	path := "/admin/v1/tenants/" + c.id + "/limits"
	if a := w.must(t, "GET", path, w.platformKey, nil); a.text("limits", "1", "name") != "key" || a.at("limits", "1", "calls") != 400.0 || a.at("limits", "1", "defaultCalls") != 400.0 {
		t.Errorf("before there are any: %s", a.raw)
	}
	set := func(name string, calls int) map[string]any {
		return map[string]any{"set": []map[string]any{{"name": name, "calls": calls}}, "reason": "contract"}
	}
	if a := w.must(t, "PATCH", path, w.platformKey, set("user", 2)); a.at("limits", "4", "calls") != 2.0 || a.at("limits", "4", "defaultCalls") != 30.0 {
		t.Errorf("set: %s", a.raw)
	}
	begin := func(c *customer, name string) answer {
		return w.call(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{"externalId": name})
	}
	for i := range 3 {
		if a := begin(c, "alice"); (a.status == 429) != (i == 2) {
			t.Errorf("begin %d of a name that may be begun twice: %d %s", i, a.status, a.raw)
		}
		if a := begin(other, "alice"); a.status != 200 {
			t.Errorf("another tenant's begin: %d %s", a.status, a.raw)
		}
	}
	if a := begin(c, "bob"); a.status != 200 || a.header.Get("RateLimit-Policy") != `"key";q=400;w=1, "tenant";q=8000;w=1` {
		t.Errorf("another name: %d, %s", a.status, a.header.Get("RateLimit-Policy"))
	}

	out := s.must(t, "tenant", "limits", "acme", "--set", "key=2000", "--set", "tenant=20000", "--unset", "user", "--reason", "more")
	if !strings.Contains(out, "key              2000   1        400") || !strings.Contains(out, "user             30     60       the same") {
		t.Errorf("tenant limits = %s", out)
	}
	eventually(t, "the server goes by what the command settled", func() bool {
		return w.must(t, "GET", "/admin/v1/limits", c.secret, nil).at("limits", "1", "calls") == 2000.0
	})
	if a := begin(c, "bob"); a.status != 200 || a.header.Get("RateLimit-Policy") != `"key";q=2000;w=1, "tenant";q=20000;w=1` {
		t.Errorf("after the command: %d, %s", a.status, a.header.Get("RateLimit-Policy"))
	}
	if shown := s.read(t, "tenant", "limits", "acme"); shown.at("limits", "1", "calls") != 2000.0 || shown.at("limits", "1", "defaultCalls") != 400.0 {
		t.Errorf("tenant limits --json = %s", shown)
	}
	if a := w.must(t, "GET", "/admin/v1/limits", c.secret, nil); a.at("limits", "1", "calls") != 2000.0 || a.at("limits", "1", "defaultCalls") != 400.0 || a.at("limits", "4", "calls") != 30.0 {
		t.Errorf("by the tenant's own key: %s", a.raw)
	}

	if a := w.call(t, "PATCH", path, w.platformKey, set("key", 10_001)); a.status != 400 || a.reason() != "LIMIT_INVALID" || a.text("details", "0", "metadata", "field") != "key" || a.text("details", "0", "metadata", "most") != "10000" {
		t.Errorf("out of bounds: %d %s", a.status, a.raw)
	}
	if a := w.call(t, "PATCH", path, c.secret, set("key", 9000)); a.status != 403 {
		t.Errorf("by the tenant's own key: %d %s", a.status, a.raw)
	}
	s.refused(t, 1, "LIMIT_INVALID", "tenant", "limits", "acme", "--set", "kee=3")
	s.refused(t, 2, "--set key is not as key=2000", "tenant", "limits", "acme", "--set", "key")
	s.refused(t, 1, "TENANT_UNKNOWN", "tenant", "limits", "initech")
}
