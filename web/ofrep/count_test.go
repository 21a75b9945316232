package ofrep

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// pages lets everybody in, as a page of a tenant's.
type pages struct{ sc scope.Scope }

func (p pages) Application(context.Context, string, string, string) (scope.Scope, bool, error) {
	return p.sc, true, nil
}

// What a page may not see it does not evaluate: visitors cannot keep a flag from being stale.
func TestHiddenFlagsAreNotCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	store := dbtest.New(t)
	ring := keys.New(keys.Options{Store: store.Store, KMS: k})
	sc := store.Tenant(t)
	if err := ring.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	flags := flag.New(store.Store, ring)
	for key, visible := range map[string]bool{"hidden": false, "seen": true} {
		if _, err := flags.Create(t.Context(), sc, flag.CreateRequest{Key: key, Type: flag.Boolean, ClientVisible: visible, About: flag.About{Name: key}}); err != nil {
			t.Fatal(err)
		}
	}
	h := newHandler(pages{sc}, flags, slog.New(slog.NewTextHandler(io.Discard, nil)))
	for path, want := range map[string]int{"": http.StatusOK, "/hidden": http.StatusNotFound, "/seen": http.StatusOK} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ofrep/v1/evaluate/flags"+path, strings.NewReader(`{}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer page")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want || strings.Contains(w.Body.String(), "hidden") != (path == "/hidden") {
			t.Errorf("%s = %d %s", path, w.Code, w.Body)
		}
	}
	if kept, err := flags.Flush(t.Context()); err != nil {
		t.Fatalf("%d wait: %v", kept, err)
	}
	used, err := flags.Usage(t.Context(), sc, "")
	seen, hidden := used["seen"], used["hidden"]
	if err != nil || seen.Total() != 2 || hidden.Total() != 0 {
		t.Errorf("seen was counted %d times and hidden %d, %v", seen.Total(), hidden.Total(), err)
	}
}
