package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/web/rpc"
)

// The one table of roles (tenancy/member/role.go) against every method of both planes: a
// key with the scopes of a role is let through exactly where the role may, and docs/roles.md
// says the same.
func TestRolesByMethods(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	routes := w.rest.Routes()
	for _, role := range member.Roles() {
		t.Run(string(role), func(t *testing.T) {
			key := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": string(role), "scopes": scopesOf(role)}).text("key")
			for _, r := range routes {
				scope, server := rpc.Scope(r.Procedure)
				a := w.call(t, r.Method, pathVariable.ReplaceAllString(r.Path, "00000000-0000-7000-8000-00000000000f"), key, bodyOf(r.Method))
				reason := a.reason()
				switch {
				case !server && (reason != "API_KEY_KIND_NOT_ALLOWED" || a.status != http.StatusForbidden):
					t.Errorf("%s %s is the platform's: %s", r.Method, r.Path, a)
				case server && !role.May(scope) && (reason != "SCOPE_MISSING" || a.status != http.StatusForbidden):
					t.Errorf("%s %s needs %s, which the role lacks: %s", r.Method, r.Path, scope, a)
				case server && role.May(scope) && (reason == "SCOPE_MISSING" || a.status == http.StatusUnauthorized):
					t.Errorf("%s %s needs %s, which the role has: %s", r.Method, r.Path, scope, a)
				}
			}
		})
	}

	var doc bytes.Buffer
	doc.WriteString("# What each role may\n\nMade from the one table, `tenancy/member/role.go`, by which the API, the console's handlers and its menus decide, and from the table of methods, `web/rpc/access.go`; a test compares.\nWhat roles are for: [members.md](members.md).\n\n## By what is done\n")
	head(&doc, "what", "scope")
	for _, p := range member.Permissions() {
		if slices.ContainsFunc(p.Roles, member.Role.IsStaff) {
			continue
		}
		fmt.Fprintf(&doc, "| %s | `%s` |%s\n", p.Says, p.Scope, marks(p.Scope))
	}
	doc.WriteString("\nOf the staff: ")
	var staff []string
	for _, p := range member.Permissions() {
		if !slices.ContainsFunc(p.Roles, member.Role.IsStaff) {
			continue
		}
		var who []string
		for _, r := range p.Roles {
			who = append(who, "`"+string(r)+"`")
		}
		staff = append(staff, strings.ToLower(p.Says[:1])+p.Says[1:]+" ("+strings.Join(who, ", ")+")")
	}
	doc.WriteString(strings.Join(staff, "; ") + ".\n\n## By method of the API\nA key that is made by a member has no more than the member's role. Methods that no role may are for the tenant's own programs.\n")
	head(&doc, "method", "scope")
	for _, r := range routes {
		if scope, server := rpc.Scope(r.Procedure); server {
			fmt.Fprintf(&doc, "| `%s %s` | `%s` |%s\n", r.Method, r.Path, scope, marks(scope))
		}
	}
	file := filepath.Join(top(t), "docs/roles.md")
	if *update {
		if err := os.WriteFile(file, doc.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if was, err := os.ReadFile(file); err != nil || !bytes.Equal(was, doc.Bytes()) {
		t.Errorf("docs/roles.md does not say what the tables say (%v). Review the difference after\n\tgo test ./cmd/biocore -run RolesByMethods -update", err)
	}
}

// scopesOf are the scopes of keys that a role has.
func scopesOf(role member.Role) []string {
	scopes := []string{}
	for _, s := range apikey.Scopes(apikey.Secret) {
		if role.May(s) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

func head(doc *bytes.Buffer, columns ...string) {
	for _, r := range member.Roles() {
		columns = append(columns, string(r))
	}
	fmt.Fprintf(doc, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
}

// marks are the cells of a line: who may.
func marks(scope string) string {
	var line strings.Builder
	for _, r := range member.Roles() {
		if r.May(scope) {
			line.WriteString(" ● |")
		} else {
			line.WriteString(" |")
		}
	}
	return line.String()
}
