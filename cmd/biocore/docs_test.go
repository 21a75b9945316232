package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A control that the threat model claims is one that a test shows; what has none says
// so, under the heading that says so.
func TestThreatModelNamesItsTests(t *testing.T) {
	root := top(t)
	raw, err := os.ReadFile(filepath.Join(root, "docs/threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	claim := regexp.MustCompile("`([a-z./]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	built := true
	for i, line := range strings.Split(string(raw), "\n") {
		named := claim.FindAllStringSubmatch(line, -1)
		if strings.HasPrefix(line, "## Not defended") {
			built = false
		}
		switch row := strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| #"); {
		case row && built && len(named) == 0:
			t.Errorf("threat-model.md:%d: no test shows this", i+1)
		case row && !built && (len(named) > 0 || !strings.HasSuffix(line, "| not built yet |")):
			t.Errorf("threat-model.md:%d: what is not built says so, and names no test", i+1)
		}
		for _, n := range named {
			if !hasTest(t, filepath.Join(root, n[1]), n[2]) {
				t.Errorf("threat-model.md:%d: there is no test %s in %s", i+1, n[2], n[1])
			}
		}
	}
}

// A page that points at nothing sends its reader away, and a decision that no index names is found by nobody.
func TestDocsLinks(t *testing.T) {
	root := top(t)
	linked := map[string]bool{}
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	pages := []string{filepath.Join(root, "README.md"), filepath.Join(root, "sdk/js/README.md"), filepath.Join(root, "sdk/go/README.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			pages = append(pages, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := filepath.Join(filepath.Dir(page), m[1])
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
			if filepath.Base(filepath.Dir(page)) == "adr" && filepath.Base(page) == "README.md" || filepath.Dir(page) == root {
				linked[to] = true
			}
		}
	}
	for _, page := range pages {
		if base := filepath.Base(page); base != "README.md" && !linked[page] {
			t.Errorf("%s is in no index: README.md, or docs/adr/README.md", page)
		}
	}
}

// top is the folder of the module.
func top(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name {
				return true
			}
		}
	}
	return false
}

// Every method that a client can call by REST is in the description of its plane.
func TestEveryRouteIsDescribed(t *testing.T) {
	w := newWorld(t)
	var described strings.Builder
	for _, plane := range []string{"auth", "admin"} {
		raw, err := os.ReadFile(filepath.Join(top(t), "proto/openapi", plane+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		described.Write(raw)
	}
	paths := strings.Split(described.String(), "\n")
	for _, r := range w.rest.Routes() {
		path := pathVariable.ReplaceAllStringFunc(r.Path, func(v string) string { return "{" + camel(v[1:len(v)-1]) + "}" })
		at := slices.IndexFunc(paths, func(line string) bool { return strings.Trim(line, " '\":") == strings.Trim(path, ":") })
		if at < 0 {
			t.Errorf("%s %s is in no description", r.Method, path)
			continue
		}
		end := at + 1
		for end < len(paths) && !strings.HasPrefix(paths[end], "  /") {
			end++
		}
		if !slices.ContainsFunc(paths[at:end], func(line string) bool { return strings.TrimSpace(line) == strings.ToLower(r.Method)+":" }) {
			t.Errorf("%s is described, but not %s of it", path, r.Method)
		}
	}
}
