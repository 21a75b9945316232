package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
)

var update = flag.Bool("update", false, "rewrite the files that tests compare with")

// kinds in the order of the catalogue, by their names in package fault.
var kinds = []struct {
	name string
	kind fault.Kind
	what string
}{
	{"Invalid", fault.Invalid, "The request can never succeed as it is"},
	{"Unauthenticated", fault.Unauthenticated, "Who calls is not known"},
	{"Forbidden", fault.Forbidden, "The caller is known and may not"},
	{"NotFound", fault.NotFound, "Absent, or another tenant's, which looks the same"},
	{"MethodMismatch", fault.MethodMismatch, "The path exists under another HTTP method"},
	{"Conflict", fault.Conflict, "It exists already, or is decided already"},
	{"Precondition", fault.Precondition, "The state does not allow it now"},
	{"Aborted", fault.Aborted, "Somebody else changed it first: read again, decide again"},
	{"TooLarge", fault.TooLarge, "The request is over a size limit"},
	{"MediaMismatch", fault.MediaMismatch, "The media type is not understood"},
	{"Exhausted", fault.Exhausted, "Over a rate or a quota: `Retry-After` says when to come back"},
	{"Unimplemented", fault.Unimplemented, "This server does not have it"},
	{"Damaged", fault.Damaged, "What is stored is not what it must be: somebody of the installation must look"},
	{"Unavailable", fault.Unavailable, "A dependency is gone: `Retry-After` says when to come back"},
}

// reason is one line of the catalogue.
type reason struct {
	kind, name, message string
	packages            []string
}

// severalKinds are the reasons that come in more than one kind, and why.
var severalKinds = map[string]string{
	"ORIGIN_NOT_ALLOWED": "of the page that calls (403) or of the page that made the credential (400): the remedy is the same",
	"TENANT_DELETING":    "of a change of the tenant (400) or of a key of its own (403): neither is heeded again",
}

// docs/errors.md is the promise to clients: every reason that can leave, and no
// other. `go test ./cmd/biocore -run ErrorCatalogue -update` rewrites it.
func TestErrorCatalogue(t *testing.T) {
	root := top(t)
	faults, decisions, complaints := declaredReasons(t, root)
	for _, c := range complaints {
		t.Error(c)
	}
	got := catalogue(t, faults, decisions)
	file := filepath.Join(root, "docs/errors.md")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/errors.md does not list what the code declares. Review the difference after\n\tgo test ./cmd/biocore -run ErrorCatalogue -update\n\n%s",
			firstDifference(string(got), string(want)))
	}
}

func catalogue(t *testing.T, faults, decisions []reason) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`# Errors

Every refusal carries a ` + "`reason`" + `. It is part of the API: it is never renamed, and means one thing. Messages are
for people, may be more exact than the ones below, and may change.

Over REST:

` + "```json" + `
{"code":"not_found","message":"no such credential","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
 "reason":"CREDENTIAL_UNKNOWN","domain":"biocore","metadata":{}}]}
` + "```" + `

Connect, gRPC and gRPC-Web carry the same ` + "`google.rpc.ErrorInfo`" + ` in their own encoding of error details. Whatever is not
listed here leaves as ` + "`internal`" + ` with the reason ` + "`INTERNAL`" + `: the response header ` + "`X-Request-Id`" + ` leads to the log line.

This page is written by a test from the declarations in the code: ` + "`go test ./cmd/biocore -run ErrorCatalogue -update`" + `.
`)
	for _, k := range kinds {
		code, status := answerOf(t, k.kind)
		fmt.Fprintf(&b, "\n## %s: %d `%s`\n\n%s.\n", k.name, status, code, k.what)
		reasonTable(&b, faults, k.name)
	}
	b.WriteString("\n## Decisions\n\nA valid signature that policy does not let in is no error: the answer is 200 with a `decision`, and one of these.\n")
	reasonTable(&b, decisions, "decision")
	b.WriteString("\n## Verdicts\n\nWhat an attestation proves, and why it is no more. They stand in answers, evidence and facts, and refuse nothing by themselves.\n")
	reasonTable(&b, decisions, "verdict")
	b.WriteString("\n## Other\n\nNothing that the caller did wrong, or nothing that the caller may know.\n")
	reasonTable(&b, decisions, "other")
	return b.Bytes()
}

func reasonTable(b *bytes.Buffer, reasons []reason, kind string) {
	first := true
	for _, r := range reasons {
		if r.kind != kind {
			continue
		}
		if first {
			b.WriteString("\n| reason | message | declared in |\n|---|---|---|\n")
			first = false
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", r.name, r.message, strings.Join(r.packages, ", "))
	}
	if first {
		b.WriteString("\nNone at present.\n")
	}
}

// answerOf asks the edge itself what becomes of a kind: the code that Connect
// sends, and the status that REST does.
func answerOf(t *testing.T, kind fault.Kind) (connect.Code, int) {
	t.Helper()
	server := connect.NewServer(rpc.MapErrors(slog.New(slog.DiscardHandler)))
	service := authv1.File_biocore_auth_v1_user_proto.Services().ByName("UserService")
	method := service.Methods().ByName("GetUser")
	var code connect.Code
	server.Register(connect.Method{
		Spec: connect.Spec{Procedure: "/" + string(service.FullName()) + "/GetUser", Schema: method},
		Handler: func(context.Context, connect.Spec, connect.ServerStream) error {
			return fault.New(kind, "TEST", "test")
		},
	})
	handler, err := rest.New(server, rest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = server.Call(t.Context(), "/"+string(service.FullName())+"/GetUser", &connect.CallInfo{}, nil)
	code = connect.CodeOf(err)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/users/0193a7d2-5b1e-7000-8000-000000000000", nil))
	if code == connect.CodeInternal || w.Code == http.StatusInternalServerError && code != connect.CodeDataLoss {
		t.Errorf("kind %d has no code of its own: %v, %d", kind, code, w.Code)
	}
	return code, w.Code
}

var reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

// declaredReasons reads all product code: fault.New in package variables, and the
// constants Reason… that stand in answers which are no faults.
func declaredReasons(t *testing.T, root string) (faults, decisions []reason, complaints []string) {
	t.Helper()
	type key struct{ kind, name string }
	found := map[key]*reason{}
	listed := []string{"decision", "verdict", "other"}
	// What a policy or a verdict finds may also be what a call is refused for.
	refuses := func(kind string) bool { return !slices.Contains(listed[:3], kind) }
	for _, k := range kinds {
		listed = append(listed, k.name)
	}
	note := func(to *[]reason, r reason, at string) {
		if !reasonForm.MatchString(r.name) {
			complaints = append(complaints, fmt.Sprintf("%s: reason %q is not UPPER_SNAKE", at, r.name))
		}
		if r.message == "" {
			complaints = append(complaints, at+": "+r.name+" says nothing about itself: a fault has a message, a constant a comment")
		}
		if !slices.Contains(listed, r.kind) {
			complaints = append(complaints, fmt.Sprintf("%s: %s is of kind %q, which the catalogue does not list", at, r.name, r.kind))
		}
		for key, was := range found {
			if key.name == r.name && key.kind != r.kind && refuses(key.kind) && refuses(r.kind) && severalKinds[r.name] == "" {
				complaints = append(complaints, fmt.Sprintf("%s: %s is %s here and %s in %v: one reason, one meaning", at, r.name, r.kind, was.kind, was.packages))
			}
		}
		if was := found[key{r.kind, r.name}]; was != nil {
			if !slices.Contains(was.packages, r.packages[0]) {
				was.packages = append(was.packages, r.packages[0])
			}
			return
		}
		found[key{r.kind, r.name}] = &r
		*to = append(*to, r)
	}
	walkProduct(t, root, func(pkg string, fset *token.FileSet, file *ast.File) {
		if pkg == "tenancy/fault" {
			return
		}
		declared := map[ast.Node]bool{}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if r, ok := faultOf(n); ok {
						declared[n] = true
						r.packages = []string{"`" + pkg + "`"}
						note(&faults, r, fset.Position(n.Pos()).String())
					}
				case *ast.ValueSpec:
					for i, name := range n.Names {
						if decl.Tok == token.CONST && strings.HasPrefix(name.Name, "Reason") && i < len(n.Values) {
							if value, ok := literal(n.Values[i]); ok && reasonForm.MatchString(value) {
								kind := "decision"
								switch {
								case strings.HasPrefix(pkg, "web/"):
									kind = "other"
								case pkg == "authcore/attestation":
									kind = "verdict"
								}
								note(&decisions, reason{kind: kind, name: value, message: comment(n), packages: []string{"`" + pkg + "`"}}, fset.Position(n.Pos()).String())
							}
						}
					}
				}
				return true
			})
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && !declared[call] {
				if _, ok := faultOf(call); ok {
					complaints = append(complaints, fset.Position(call.Pos()).String()+": a fault is a package variable, so that it can be listed and compared with")
				}
			}
			return true
		})
	})
	byName := func(a, b reason) int { return cmp.Compare(a.name, b.name) }
	for i := range faults {
		faults[i] = *found[key{faults[i].kind, faults[i].name}]
	}
	slices.SortFunc(faults, byName)
	slices.SortFunc(decisions, byName)
	return faults, decisions, complaints
}

// faultOf reads fault.New(fault.Kind, "REASON", "message").
func faultOf(call *ast.CallExpr) (reason, bool) {
	if selector(call.Fun) != "fault.New" || len(call.Args) != 3 {
		return reason{}, false
	}
	name, _ := literal(call.Args[1])
	message, _ := literal(call.Args[2])
	return reason{kind: strings.TrimPrefix(selector(call.Args[0]), "fault."), name: name, message: message}, true
}

func selector(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return x.Name + "." + s.Sel.Name
		}
	}
	return ""
}

// literal is the value of a string literal, or of several added up.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v := constant.MakeFromLiteral(e.Value, e.Kind, 0)
		if v.Kind() != constant.String {
			return "", false
		}
		return constant.StringVal(v), true
	case *ast.BinaryExpr:
		x, okX := literal(e.X)
		y, okY := literal(e.Y)
		return x + y, okX && okY && e.Op == token.ADD
	}
	return "", false
}

// comment is what a constant says about itself, on its line or above it.
func comment(spec *ast.ValueSpec) string {
	for _, group := range []*ast.CommentGroup{spec.Comment, spec.Doc} {
		if group != nil {
			return strings.Join(strings.Fields(group.Text()), " ")
		}
	}
	return ""
}

func walkProduct(t *testing.T, root string, visit func(pkg string, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "gen"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		visit(path.Dir(filepath.ToSlash(rel)), fset, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		line := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "(end)"
		}
		if line(a) != line(b) {
			return "line " + strconv.Itoa(i+1) + ":\n- " + line(b) + "\n+ " + line(a)
		}
	}
	return ""
}
