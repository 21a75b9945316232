package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// A tenant's applications on Node and in browsers evaluate flags with OpenFeature's own SDKs and the community's OFREP providers:
// web/ofrep/testdata/node/provider.test.mjs says what they see. .ci/setup installs them.
func TestOFREPOnNode(t *testing.T) {
	folder := filepath.Join(top(t), "web/ofrep/testdata/node")
	if _, err := os.Stat(filepath.Join(folder, "node_modules/@openfeature/ofrep-provider")); err != nil {
		t.Fatalf("OpenFeature's SDKs are not installed: run .ci/setup (%v)", err)
	}
	w := newWorld(t)
	c, other := w.tenant(t, "acme"), w.tenant(t, "globex")
	share := func(variant string, weight float64) map[string]any {
		return map[string]any{"variant": variant, "weight": weight}
	}
	for _, f := range []struct {
		flag  map[string]any
		rules []any
		off   bool
	}{
		{flag: map[string]any{"key": "matching", "type": "BOOLEAN", "clientVisible": true}, rules: []any{map[string]any{"variant": "on", "when": map[string]any{"attribute": "amount", "operator": "GREATER_THAN", "values": []any{10_000}}}}},
		{flag: map[string]any{"key": "greeting", "type": "STRING", "variants": map[string]any{"off": "hello", "north": "hei"}}, rules: []any{map[string]any{"variant": "north", "when": map[string]any{"attribute": "country", "operator": "IN", "values": []any{"NO", "SE"}}}}},
		{flag: map[string]any{"key": "limit", "type": "NUMBER", "variants": map[string]any{"off": 1, "high": 12.5}}, rules: []any{map[string]any{"variant": "high"}}},
		{flag: map[string]any{"key": "theme", "type": "OBJECT", "variants": map[string]any{"off": map[string]any{}, "big": map[string]any{"size": 2.5, "dark": true, "list": []any{1, "two", nil}}}}, rules: []any{map[string]any{"variant": "big"}}},
		{flag: map[string]any{"key": "half", "type": "STRING", "variants": map[string]any{"off": "-", "left": "left", "right": "right"}}, rules: []any{map[string]any{"rollout": []any{share("left", 50), share("right", 50)}}}},
		{flag: map[string]any{"key": "dark", "type": "BOOLEAN"}, rules: []any{map[string]any{"variant": "on"}}, off: true},
	} {
		key, _ := f.flag["key"].(string)
		f.flag["name"] = key
		w.must(t, "POST", "/admin/v1/flags", c.secret, f.flag)
		w.must(t, "PUT", "/admin/v1/flags/"+key+"/rules", c.secret, map[string]any{"rules": f.rules})
		w.must(t, "PATCH", "/admin/v1/flags/"+key, c.secret, map[string]any{"enabled": !f.off})
	}
	why := map[string]string{}
	for i := range 60 {
		subject := "user-" + strconv.Itoa(i)
		why[subject] = w.must(t, "POST", "/admin/v1/flags/half:evaluate", c.secret, map[string]any{"context": map[string]any{"targetingKey": subject}}).text("variant")
	}
	given, err := json.Marshal(map[string]any{"url": w.url, "key": c.secret, "otherKey": other.secret, "publishable": c.publishable, "origin": origin, "why": why})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "given.json")
	if err := os.WriteFile(file, given, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=tap", "provider.test.mjs")
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "OFREP_TEST="+file)
	out, err := cmd.CombinedOutput()
	// What did not run has not passed.
	if passed := regexp.MustCompile(`(?m)^# pass (\d+)$`).FindSubmatch(out); err != nil || len(passed) != 2 || string(passed[1]) != "8" {
		t.Errorf("node: %v\n%s", err, out)
	}
}
