package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/rollout"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// staff is somebody of the staff, who throws switches.
func staff() scope.Scope {
	return scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorOperator, ID: "01900000-0000-7000-8000-00000000000a"})
}

// A server makes its own flags, on; the staff turn live streams off for one tenant and then for all, and each server heeds it without
// a restart: what is open ends, what is new is refused, and the metrics tell.
func TestOwnSwitches(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	here, there := both[0], both[1]
	acme, globex := here.tenant(t, "acme"), here.tenant(t, "globex")
	stored, err := here.flags.List(t.Context(), staff(), "")
	if err != nil || len(stored) != len(rollout.All()) {
		t.Fatalf("%d flags, %v, want %d", len(stored), err, len(rollout.All()))
	}
	for i, s := range rollout.All() {
		f := stored[i]
		if f.Key != s.Key || !f.Enabled || f.OffVariant != "off" || f.DefaultVariant != "on" || f.Name != s.Name || f.Description != s.Does || f.Owner != s.Owner {
			t.Errorf("made %+v for %+v", f, s)
		}
	}
	if got := here.store.AuditCount(t, staff(), "flag.create"); got != int64(len(rollout.All())) {
		t.Errorf("%d flags were made by two servers, want each once", got)
	}

	mine, theirs := there.watch(t, acme.secret, ""), there.watch(t, globex.secret, "")
	since := time.Now()
	forAcme := []flag.Rule{{Variant: "off", When: flag.Condition{Attribute: rollout.AttributeTenant, Operator: flag.In, Values: []any{acme.id}}}}
	if _, err := here.flags.Update(t.Context(), staff(), flag.UpdateRequest{Key: rollout.LiveStreams.Key, Rules: &forAcme, Reason: "Redis is short of breath"}); err != nil {
		t.Fatal(err)
	}
	mine.endsWith(t, "turned off for the tenant", tail.ErrOff.Reason, since)
	if a := there.watch(t, acme.secret, ""); a.status != http.StatusServiceUnavailable || a.reason() != tail.ErrOff.Reason {
		t.Errorf("a new stream: %s", a.answer)
	}
	here.enroll(t, globex, "bob")
	if e := theirs.next(t); e.name == "end" {
		t.Errorf("another tenant's stream ended: %v", e.data)
	}
	off := false
	if _, err := here.flags.Update(t.Context(), staff(), flag.UpdateRequest{Key: rollout.LiveStreams.Key, Enabled: &off, Reason: "for everybody"}); err != nil {
		t.Fatal(err)
	}
	for there.watch(t, globex.secret, "").reason() != tail.ErrOff.Reason {
	}
	metrics := there.scrapeOps(t)
	for _, on := range []string{"true", "false"} {
		if !regexp.MustCompile(`(?m)^biocore_rollout_evaluations_total\{code="",flag="biocore.live-streams",on="` + on + `"[^}]*\} [1-9]`).MatchString(metrics) {
			t.Errorf("metrics do not tell of evaluations that were %s", on)
		}
	}
	history, err := here.flags.Changes(t.Context(), staff(), rollout.LiveStreams.Key, listing.Request{})
	if err != nil || len(history.Items) != 4 || history.Items[0].Reason != "for everybody" || history.Items[0].ChangedBy != staff().Actor().String() || history.Items[3].ChangedBy != "system:serve" {
		t.Errorf("history: %+v, %v", history, err)
	}
	// What the staff have decided is theirs: another server makes nothing anew.
	if err := rollout.Prepare(t.Context(), there.flags, staff()); err != nil {
		t.Fatal(err)
	}
	if again, err := here.flags.Get(t.Context(), staff(), rollout.LiveStreams.Key); err != nil || again[0].Enabled || len(again[0].Rules) != 1 {
		t.Errorf("after another start: %+v, %v", again, err)
	}
}

// A server whose provider of flags is not there starts, with defaults, is ready, and says what it lacks; it makes no flags of its own. The
// provider is another Biocore, whose flags it reads once that answers.
func TestSwitchesFromElsewhere(t *testing.T) {
	w := newWorld(t)
	c, watched := w.tenant(t, "operator"), w.tenant(t, "acme")
	key := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "flags", "scopes": []string{"flags"}}).text("key")
	answers := make(chan struct{})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-answers:
			w.public(nil).ServeHTTP(rw, r)
		default:
			rw.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(elsewhere.Close)
	cfg := w.cfgForReplica()
	cfg.FlagsProvider, cfg.FlagsURL, cfg.FlagsKey = "ofrep", elsewhere.URL, secret.New(key)
	other := startWorld(t, w.store, cfg)
	if !other.rollouts.On(t.Context(), staff(), rollout.LiveStreams) {
		t.Error("without a provider the default does not hold")
	}
	for other.rollouts.Health() == nil {
	}
	if a := other.call(t, "GET", "/readyz", "", nil); a.status != http.StatusOK {
		t.Errorf("without a provider: %s", a)
	}
	ops := &world{url: "http://" + other.opsPort.Addr().String()}
	if a := ops.call(t, "GET", "/readyz", "", nil); a.status != http.StatusOK || !strings.Contains(a.text("flags"), "ofrep: ") {
		t.Errorf("the operator is told %s", a)
	}
	if s := other.watch(t, watched.secret, ""); s.status != http.StatusOK {
		t.Errorf("a stream by default: %s", s.answer)
	}

	w.must(t, "POST", "/admin/v1/flags", c.secret, map[string]any{"key": rollout.LiveStreams.Key, "type": "BOOLEAN", "name": "Live streams"})
	close(answers)
	if other.rollouts.On(t.Context(), staff(), rollout.LiveStreams) {
		t.Error("what the provider says does not hold")
	}
	if s := other.watch(t, watched.secret, ""); s.reason() != tail.ErrOff.Reason {
		t.Errorf("a stream where the provider turns it off: %s", s.answer)
	}
	missing, err := other.rollouts.Look(t.Context())
	if want := []string{rollout.AuditArchiving.Key, rollout.TextScans.Key}; err != nil || !slices.Equal(missing, want) {
		t.Errorf("Look = %v, %v, want %v missing", missing, err, want)
	}
	if !strings.Contains(other.scrapeOps(t), `code="GENERAL"`) {
		t.Error("metrics do not tell that evaluations failed")
	}
}

// Nobody evaluates a flag another way: OpenFeature is imported where the law lets it (TestImportLaw), flags of tenants by who serves
// them, and the switches that there are, are asked for.
func TestSwitchesAreAskedInOneWay(t *testing.T) {
	root := top(t)
	imports, err := productImports(root)
	if err != nil {
		t.Fatal(err)
	}
	serves := []string{"tenancy/flag", "tenancy/rollout", "web/ofrep", "web/rpc", "console", "cmd/biocore"}
	for pkg, list := range imports {
		if slices.Contains(list, module+"/tenancy/flag") && !slices.Contains(serves, pkg) {
			t.Errorf("%s imports tenancy/flag: Biocore's own switches are asked for by package rollout, and tenants' flags are served by %v", pkg, serves)
		}
	}
	used, err := switchesUsed(root)
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(used))
	if want := []string{"AuditArchiving", "LiveStreams", "TextScans"}; !slices.Equal(names, want) || len(want) != len(rollout.All()) {
		t.Errorf("asked for: %v, want %v, which All has", names, want)
	}
}

// switchesUsed are the arguments of Reader.On and Reader.Of in the product; a key that stands anywhere but in package rollout is an error.
func switchesUsed(root string) (map[string]bool, error) {
	used := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && file != root) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.Contains(filepath.ToSlash(file), "/tenancy/rollout/") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, is := n.(*ast.CallExpr)
			if !is {
				return true
			}
			if fn, is := call.Fun.(*ast.SelectorExpr); is && (fn.Sel.Name == "Of" || fn.Sel.Name == "On") && len(call.Args) > 0 {
				if arg, is := call.Args[len(call.Args)-1].(*ast.SelectorExpr); is {
					if pkg, is := arg.X.(*ast.Ident); is && pkg.Name == "rollout" {
						used[arg.Sel.Name] = true
					}
				}
			}
			return true
		})
		return nil
	})
	return used, err
}
