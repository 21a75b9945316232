package main

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/governance"
)

// docs/sealed-fields.md is the whole truth: it has every column of bytes behind the wall,
// and every name that a key is derived for, and none that is gone.
func TestSealedFieldsAreAllListed(t *testing.T) {
	root := top(t)
	raw, err := os.ReadFile(filepath.Join(root, "docs/sealed-fields.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]map[string]bool{"column": {}, "field": {}, "purpose": {}}
	mark := regexp.MustCompile("(column|field|purpose) `([^`]+)`")
	for _, m := range mark.FindAllStringSubmatch(string(raw), -1) {
		listed[m[1]][m[2]] = true
	}
	found := map[string]map[string]bool{"column": byteColumns(t), "field": {}, "purpose": {}}
	declaredKeys(t, root, found["field"], found["purpose"])
	for kind, names := range found {
		if len(names) < 5 {
			t.Errorf("%d of kind %s: the walk is blind", len(names), kind)
		}
		for name := range names {
			if !listed[kind][name] {
				t.Errorf("docs/sealed-fields.md does not list %s `%s`", kind, name)
			}
		}
		for name := range listed[kind] {
			if !names[name] {
				t.Errorf("docs/sealed-fields.md lists %s `%s`, which there is not", kind, name)
			}
		}
	}
}

// The page and the data map say the same of each column that is in both: its class, and how it
// is kept.
func TestSealedFieldsAgreeWithTheDataMap(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(top(t), "docs/sealed-fields.md"))
	if err != nil {
		t.Fatal(err)
	}
	fields, err := governance.Fields()
	if err != nil {
		t.Fatal(err)
	}
	mapped := map[string]*governance.Field{}
	for i := range fields {
		mapped[fields[i].Path()] = &fields[i]
	}
	name, compared := regexp.MustCompile("`([a-z_]+\\.[a-z_]+)`"), 0
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| column") || len(cells) < 5 {
			continue
		}
		class, kept := strings.ReplaceAll(cells[2], " ", "-"), cells[3]
		for _, m := range name.FindAllStringSubmatch(cells[0], -1) {
			f := mapped[m[1]]
			compared++
			switch {
			case f == nil:
				t.Errorf("%s is in docs/sealed-fields.md and not in db/datamap.txt", m[1])
			case string(f.Class) != class || !strings.HasPrefix(kept, f.Sealed):
				t.Errorf("%s is %s, %s in docs/sealed-fields.md, and %s, %s in db/datamap.txt", m[1], class, kept, f.Class, f.Sealed)
			}
		}
	}
	if compared < 30 {
		t.Errorf("%d columns compared: the walk is blind", compared)
	}
}

// Every kind of values in Redis and of objects is in the data map, and no other.
func TestKindsAreInTheDataMap(t *testing.T) {
	fields, err := governance.Fields()
	if err != nil {
		t.Fatal(err)
	}
	mapped := map[string]bool{}
	for i := range fields {
		if s := fields[i].Store; s == governance.Redis || s == governance.Object {
			mapped[fields[i].Path()] = true
		}
	}
	found := declaredKinds(t, top(t))
	if len(found) < 7 {
		t.Errorf("%d kinds: the walk is blind", len(found))
	}
	for kind := range found {
		if !mapped[kind] {
			t.Errorf("db/datamap.txt does not class %s", kind)
		}
	}
	for kind := range mapped {
		if !found[kind] {
			t.Errorf("db/datamap.txt classes %s, which there is not", kind)
		}
	}
}

// declaredKinds walks product code for constants of type ephemeral.Kind and blob.Kind, as store/kind.
func declaredKinds(t *testing.T, root string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	storeOf := func(e ast.Expr) string {
		if s, ok := e.(*ast.SelectorExpr); ok && s.Sel.Name == "Kind" {
			if x, ok := s.X.(*ast.Ident); ok {
				return map[string]string{"ephemeral": "redis", "blob": "object"}[x.Name]
			}
		}
		return ""
	}
	note := func(store string, e ast.Expr, at token.Position) {
		lit, ok := e.(*ast.BasicLit)
		if !ok {
			t.Errorf("%s: a kind is no literal, and nobody can list it", at)
			return
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Error(err)
		}
		found[store+"/"+s] = true
	}
	walkProduct(t, root, func(_ string, fset *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if n.Type != nil && storeOf(n.Type) != "" {
					for _, v := range n.Values {
						note(storeOf(n.Type), v, fset.Position(v.Pos()))
					}
				}
			case *ast.CallExpr:
				if storeOf(n.Fun) != "" && len(n.Args) == 1 {
					note(storeOf(n.Fun), n.Args[0], fset.Position(n.Pos()))
				}
			}
			return true
		})
	})
	return found
}

// byteColumns are the columns of bytes of all tables but partitions, which repeat their
// parents', as table.column.
func byteColumns(t *testing.T) map[string]bool {
	t.Helper()
	rows, err := dbtest.New(t).Superuser(t).Query(t.Context(), `SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		  AND a.atttypid = 'bytea'::regtype AND a.attnum > 0 AND NOT a.attisdropped`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]bool{}
	for _, name := range names {
		columns[name] = true
	}
	return columns
}

// declaredKeys walks product code for keys.Field literals and constants of type
// keys.Purpose: what HKDF derives a key for.
func declaredKeys(t *testing.T, root string, fields, purposes map[string]bool) {
	t.Helper()
	named := func(pkg string, e ast.Expr, name string) bool {
		switch e := e.(type) {
		case *ast.SelectorExpr:
			x, ok := e.X.(*ast.Ident)
			return ok && x.Name == "keys" && e.Sel.Name == name
		case *ast.Ident:
			return pkg == "tenancy/keys" && e.Name == name
		}
		return false
	}
	walkProduct(t, root, func(pkg string, fset *token.FileSet, file *ast.File) {
		text := func(e ast.Expr) string {
			lit, ok := e.(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: a name of keys is no literal, and nobody can list it", fset.Position(e.Pos()))
				return ""
			}
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Error(err)
			}
			return s
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if n.Type == nil || !named(pkg, n.Type, "Field") {
					return true
				}
				var parts []string
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						e = kv.Value
					}
					parts = append(parts, text(e))
				}
				fields[strings.Join(parts, ".")] = true
			case *ast.ValueSpec:
				if n.Type == nil || !named(pkg, n.Type, "Purpose") {
					return true
				}
				for _, v := range n.Values {
					purposes[text(v)] = true
				}
			case *ast.CallExpr:
				if named(pkg, n.Fun, "Purpose") {
					t.Errorf("%s: a purpose is made on the way, and nobody can list it", fset.Position(n.Pos()))
				}
			}
			return true
		})
	})
}
