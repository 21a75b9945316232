package openapi_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/biocore-id/biocore/proto/openapi"
)

// A description that readers can follow: references lead somewhere, operations
// have names of their own and say how they fail, and what is required exists.
func TestDescriptions(t *testing.T) {
	for name, raw := range map[string][]byte{"auth": openapi.Auth(), "admin": openapi.Admin()} {
		t.Run(name, func(t *testing.T) {
			var doc map[string]any
			var typed struct {
				Paths map[string]map[string]struct {
					OperationID string `yaml:"operationId"`
					Security    []any  // of its own: [] for anybody
					Responses   map[string]any
				}
			}
			if err := errors.Join(yaml.Unmarshal(raw, &doc), yaml.Unmarshal(raw, &typed)); err != nil {
				t.Fatal(err)
			}
			if doc["openapi"] != "3.1.0" {
				t.Errorf("openapi = %v", doc["openapi"])
			}
			visit(doc, func(m map[string]any) {
				if ref, ok := m["$ref"].(string); ok && at(doc, ref) == nil {
					t.Errorf("%s leads nowhere", ref)
				}
				properties, _ := m["properties"].(map[string]any)
				if required, ok := m["required"].([]any); ok && properties != nil {
					for _, property := range required {
						if name, _ := property.(string); properties[name] == nil {
							t.Errorf("%v is required and not described", property)
						}
					}
				}
				if text, ok := m["description"].(string); ok && (strings.TrimSpace(text) != text || strings.Contains(text, "\n ")) {
					t.Errorf("description %q is not unwrapped", text)
				}
			})
			var ids []string
			for path, item := range typed.Paths {
				for verb, op := range item {
					ids = append(ids, op.OperationID)
					for _, status := range []string{"200", "400", "401", "403", "429", "503", "default"} {
						if anybody := op.Security != nil && len(op.Security) == 0; op.Responses[status] == nil && (!anybody || status == "200") {
							t.Errorf("%s %s: no %s", verb, path, status)
						}
					}
					if strings.Contains(path, "_") {
						t.Errorf("%s is not lowerCamelCase", path)
					}
				}
			}
			slices.Sort(ids)
			if n := len(ids); n == 0 || len(slices.Compact(ids)) != n {
				t.Errorf("operations = %v, want each once", ids)
			}
		})
	}
}

// visit calls f for every map in v.
func visit(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, inner := range v {
			visit(inner, f)
		}
	case []any:
		for _, inner := range v {
			visit(inner, f)
		}
	}
}

// at follows "#/a/b".
func at(doc map[string]any, ref string) any {
	var v any = doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}
