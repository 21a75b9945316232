package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// docs/configuration.md lists every field, in the words of the code:
// `go test ./cmd/biocore -run ConfigurationPage -update` rewrites it.
func TestConfigurationPage(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString(`# Configuration

A value comes from, in rising order: the default, the file that ` + "`--config`" + ` or ` + "`BIOCORE_CONFIG`" + ` names (YAML), the environment. Each variable may also be
read from a file, by ` + "`<NAME>_FILE`" + `: for secrets that are mounted. Unknown keys and unknown BIOCORE_ variables are refused. What is
marked *secret* may stand as a reference that the KMS opens, and is shown nowhere: [secrets.md](secrets.md).

` + "`biocore serve`" + ` takes at least ` + "`BIOCORE_PUBLIC_URL`" + `, six database URLs, ` + "`BIOCORE_REDIS_URL`" + ` and ` + "`BIOCORE_KMS_URL`" + `, and names what is missing; it takes a schema that
` + "`biocore migrate up`" + ` has made. [deploy/compose](../deploy/compose/compose.yaml) is an example of all of it. Where no database is named at all, commands take the configuration that
` + "`biocore dev`" + ` left in ` + "`.biocore/biocore.yaml`" + ` of the folder they run in. Traces and metrics are configured by the variables of OpenTelemetry: [architecture.md](architecture.md#telemetry).
In the last column a field has its name in the code: ` + "`DatabaseURL`" + ` is ` + "`BIOCORE_DATABASE_URL`" + `.

This page is written by a test from the comments in ` + "`cmd/biocore/config.go`" + `.

| variable | in the file | default | |
|---|---|---|---|
`)
	typ, zero := reflect.TypeFor[Config](), reflect.ValueOf(defaults())
	listed := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Config" {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			t.Fatal("Config is no struct")
		}
		said := ""
		for _, f := range fields.Fields.List {
			field, ok := typ.FieldByName(f.Names[0].Name)
			if !ok {
				t.Fatalf("no field %s", f.Names[0].Name)
			}
			about := "as the one above"
			if f.Doc != nil {
				about = strings.Join(strings.Fields(f.Doc.Text()), " ")
				said = about
			} else if said == "" {
				t.Errorf("%s says nothing about itself", field.Name)
			}
			if field.Type == reflect.TypeFor[secret.Text]() {
				about = "*secret.* " + about
			}
			value := fmt.Sprint(zero.FieldByIndex(field.Index).Interface())
			if value == "" || value == "0" || value == "false" || field.Type == reflect.TypeFor[secret.Text]() {
				value = "–"
			}
			fmt.Fprintf(&page, "| `%s` | `%s` | %s | %s |\n", field.Tag.Get("env"), field.Tag.Get("yaml"), value, strings.ReplaceAll(about, "|", `\|`))
			listed++
		}
		return false
	})
	if listed != typ.NumField() {
		t.Errorf("%s fields are listed, want %d", strconv.Itoa(listed), typ.NumField())
	}
	path := filepath.Join(top(t), "docs/configuration.md")
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if page.String() != string(want) {
		t.Errorf("docs/configuration.md differs; run go test -update and review the diff:\n%s", firstDifference(page.String(), string(want)))
	}
}
