package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/png"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/proto/openapi"
)

// undescribed are patterns of the public port that are no part of the API: pages, what pages are
// made of, the descriptions themselves, and what holds the routes of methods.
var undescribed = []string{
	"/", "/v1/", "/admin/v1/", "/t/{slug}/oauth/", "/openapi/", "/docs/api", "/docs/api/", "/static/", "/console", "/console/", "/demo", "/demo/", "/{$}",
}

// pattern is what a mux is given in web/edge/routes.go.
var pattern = regexp.MustCompile(`(?:api|mux)\.Handle\("(?:(?:GET|POST) )?([^"]+)"`)

// Everything that the public port serves is in a description, or is a page.
func TestPlainRoutesAreDescribed(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(top(t), "web/edge/routes.go"))
	if err != nil {
		t.Fatal(err)
	}
	public, _, _ := strings.Cut(string(raw), "// OpsOptions")
	described := map[string]bool{}
	for _, op := range plainOperations(t) {
		described[anyVariable.ReplaceAllString(ofVariable.ReplaceAllString(op.path, "}"), "{}")] = true
	}
	served := map[string]bool{}
	for _, m := range pattern.FindAllStringSubmatch(public, -1) {
		served[m[1]] = true
		if !slices.Contains(undescribed, m[1]) && !described[anyVariable.ReplaceAllString(m[1], "{}")] {
			t.Errorf("%s is in no description", m[1])
		}
	}
	for _, path := range undescribed {
		if !served[path] {
			t.Errorf("%s is not served", path)
		}
	}
}

// ofVariable is what follows a variable, which a mux has no pattern for.
var ofVariable = regexp.MustCompile(`\}:(download|export)$`)

// anyVariable is one of a path: descriptions name them in another way.
var anyVariable = regexp.MustCompile(`\{[a-zA-Z]+\}`)

// plainOperations are those of both descriptions that are no rpc.
func plainOperations(t *testing.T) (plain []operation) {
	t.Helper()
	auth, admin := methodsOf("biocore.auth.v1"), methodsOf("biocore.admin.v1")
	for _, op := range append(operations(t, openapi.Auth()), operations(t, openapi.Admin())...) {
		if auth[op.OperationID] == nil && admin[op.OperationID] == nil {
			plain = append(plain, op)
		}
	}
	return plain
}

// What is described beside the methods answers as it is described: with that status, in that
// form, to whom it says; and what is not there, or asked without a key, too.
func TestPlainRoutesAnswerAsDescribed(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	var logo bytes.Buffer
	if err := png.Encode(&logo, image.NewNRGBA(image.Rect(0, 0, 32, 16))); err != nil {
		t.Fatal(err)
	}
	branded := w.must(t, "PATCH", "/admin/v1/settings", c.secret, map[string]any{"branding": map[string]any{"logo": base64.StdEncoding.EncodeToString(logo.Bytes())}})
	export := w.export(t, c)
	w.exported(t, c, export)
	report := w.report(t, c)
	w.reported(t, c, report)
	w.archive(t, c)
	own := map[string]string{
		"slug": c.slug, "tenant": c.slug, "file": filepath.Base(branded.text("branding", "logoUrl")), "tenantId": c.id, "exportId": filepath.Base(export),
		"reportId": filepath.Base(report), "flagKey": w.flag(t, c), "environment": "staging", "name": "report.pdf", "userId": w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": "asks", "name": "asks@example.com"}).text("id"),
	}
	for _, op := range plainOperations(t) {
		t.Run(op.OperationID, func(t *testing.T) {
			w.plain(t, &op, own, c.secret, http.StatusOK)
			if op.Security == nil || len(op.Security) > 0 {
				w.plain(t, &op, own, "", http.StatusUnauthorized)
			}
			if _, described := op.Responses["404"]; described {
				w.plain(t, &op, map[string]string{"slug": "nobody", "tenant": "nobody", "file": "x", "aaguid": "x", "tenantId": c.id, "exportId": c.id, "reportId": c.id, "userId": c.id, "flagKey": "none", "environment": "moon", "name": "x"}, c.secret, http.StatusNotFound)
			}
		})
	}
}

// plain calls an operation, and compares status and form of the answer with the description.
func (w *world) plain(t *testing.T, op *operation, own map[string]string, key string, status int) {
	t.Helper()
	if op.OperationID == "StreamCeremonies" && status == http.StatusNotFound {
		return // no tenant's key, no stream
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	path, body, kind := op.at(t, own), "", "application/x-www-form-urlencoded"
	if example := op.RequestBody.Content["application/json"].Example; example != nil {
		body, kind = string(marshal(t, example)), "application/json"
	} else if op.method == http.MethodPost {
		body = "token=example.access.token"
	}
	req, err := http.NewRequestWithContext(ctx, op.method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	if key != "" && (op.Security == nil || len(op.Security) > 0) {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() // a stream is not read to its end
	if res.StatusCode != status {
		t.Errorf("%s %s = %d, want %d", op.method, path, res.StatusCode, status)
	}
	form, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	forms := op.forms(status)
	if len(forms) > 0 && !slices.Contains(forms, form) || len(forms) == 0 && form != "" {
		t.Errorf("%s %s answers %d as %q, described is %v", op.method, path, status, form, forms)
	}
}
