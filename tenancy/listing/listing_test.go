package listing_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
)

func TestLimit(t *testing.T) {
	for given, want := range map[int]int{-1: 50, 0: 50, 1: 1, 50: 50, 200: 200, 201: 200, 1 << 40: 200} {
		if got := (listing.Request{PageSize: given}).Limit(); got != want {
			t.Errorf("Limit of %d = %d, want %d", given, got, want)
		}
	}
}

// A token leads where it was made to lead, for the tenant and query that it was made
// for. Leaving the query out of the token turns the middle cases red, opening without
// the tenant's keys the last.
func TestPageToken(t *testing.T) {
	acme, globex := rings(t)
	query := listing.Query{List: "users", Parent: "p", Filter: "state = ACTIVE"}
	cursor := []byte("where the page ended")
	token := listing.Seal(acme, query, cursor)

	if got, err := listing.Open(acme, query, ""); got != nil || err != nil {
		t.Errorf("Open of no token = %q, %v, want the first page", got, err)
	}
	if got, err := listing.Open(acme, query, token); err != nil || !bytes.Equal(got, cursor) {
		t.Fatalf("Open = %q, %v, want %q", got, err, cursor)
	}
	if bytes.Contains(decode(t, token), cursor) {
		t.Error("the token shows its cursor")
	}
	for _, tt := range []struct {
		name  string
		ring  *keys.Ring
		query listing.Query
		token string
	}{
		{"another list", acme, listing.Query{List: "sessions", Parent: "p", Filter: "state = ACTIVE"}, token},
		{"another parent", acme, listing.Query{List: "users", Parent: "q", Filter: "state = ACTIVE"}, token},
		{"another filter", acme, listing.Query{List: "users", Parent: "p", Filter: "state = BLOCKED"}, token},
		{"the same text, cut elsewhere", acme, listing.Query{List: "users", Parent: "pstate", Filter: " = ACTIVE"}, token},
		{"another tenant", globex, query, token},
		{"cut", acme, query, token[:len(token)-2]},
		{"not base64url", acme, query, "!" + token[1:]},
		{"too short to be one", acme, query, "AAAA"},
		{"long and made up", acme, query, strings.Repeat("AAAA", 40)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := listing.Open(tt.ring, tt.query, tt.token); !errors.Is(err, listing.ErrPageToken) {
				t.Errorf("Open = %q, %v, want %v", got, err, listing.ErrPageToken)
			}
		})
	}
	sealed := decode(t, token)
	for i := range sealed {
		forged := bytes.Clone(sealed)
		forged[i] ^= 1
		if got, err := listing.Open(acme, query, base64.RawURLEncoding.EncodeToString(forged)); !errors.Is(err, listing.ErrPageToken) {
			t.Fatalf("Open with byte %d changed = %q, %v, want %v", i, got, err, listing.ErrPageToken)
		}
	}
}

func decode(t *testing.T, token string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatalf("token is not base64url: %v", err)
	}
	return b
}

// rings returns the keys of two tenants.
func rings(t *testing.T) (a, b *keys.Ring) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	store := dbtest.New(t)
	service := keys.New(keys.Options{Store: store.Store, KMS: k})
	for _, ring := range []**keys.Ring{&a, &b} {
		sc := store.Tenant(t)
		if err := service.Ensure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
		if *ring, err = service.Ring(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}
