package ceremony

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
)

func TestCheckPurpose(t *testing.T) {
	for p, ok := range map[string]bool{
		"": true, "login": true, "payment.confirm-2_x": true, strings.Repeat("a", 64): true,
		strings.Repeat("a", 65): false, "a b": false, "é": false, "a\x00": false, "a/b": false,
	} {
		if err := checkPurpose(p); (err == nil) != ok {
			t.Errorf("checkPurpose(%q) = %v, want ok: %v", p, err, ok)
		}
	}
}

func TestTighten(t *testing.T) {
	for _, tt := range []struct{ policy, request, want string }{
		{"preferred", "", "preferred"},
		{"preferred", "preferred", "preferred"},
		{"preferred", "required", "required"},
		{"discouraged", "required", "required"},
		{"preferred", "discouraged", ""},
		{"required", "preferred", ""},
		{"discouraged", "Required", ""},
	} {
		got, err := tighten("userVerification", requirements, tt.policy, tt.request)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("tighten(%q, %q) = %q, %v, want %q", tt.policy, tt.request, got, err, tt.want)
		}
	}
}

// What is sealed comes back, to the microsecond.
func TestAuthenticationSealsAndOpens(t *testing.T) {
	ring := testRing(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 678901000, time.UTC)
	for _, want := range []authentication{
		{challenge: [32]byte{1, 2}, issuedAt: at, expiresAt: at.Add(5 * time.Minute), policyVersion: 7},
		{
			challenge: [32]byte{3}, issuedAt: at, expiresAt: at.Add(time.Hour), policyVersion: 1 << 30, purpose: strings.Repeat("p", 64),
			identified: true, fake: true, user: user.ID(uuid.Max), requireUV: true, steppedUp: true,
		},
		{challenge: [32]byte{4}, issuedAt: at, expiresAt: at.Add(time.Second), identified: true},
		{challenge: [32]byte{5}, issuedAt: at, expiresAt: at.Add(time.Second), requireUV: true},
	} {
		got, err := openAuthentication(ring, want.seal(ring))
		if err != nil || got != want {
			t.Errorf("opened %+v, %v\nsealed %+v", got, err, want)
		}
	}
}

func TestCodeSealsAndOpens(t *testing.T) {
	ring := testRing(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, want := range []code{{session: uuid.Max, expiresAt: at, backedUp: true}, {session: uuid.Nil, expiresAt: at}} {
		got, err := openCode(ring, want.seal(ring))
		if err != nil || got != want {
			t.Errorf("opened %+v, %v\nsealed %+v", got, err, want)
		}
	}
}

// Nothing that a client sends for an id opens, and nothing panics.
func FuzzOpen(f *testing.F) {
	ring := testRing(f)
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	a := authentication{issuedAt: at, expiresAt: at}
	c := code{expiresAt: at}
	good := map[string]bool{a.seal(ring): true, c.seal(ring): true}
	for id := range good {
		f.Add(id)
		f.Add(id[:len(id)/2])
	}
	f.Add("")
	f.Add(strings.Repeat("A", 4096))
	f.Fuzz(func(t *testing.T, id string) {
		_, asAuthentication := openAuthentication(ring, id)
		_, asCode := openCode(ring, id)
		token := open(ring, sealRegistrationToken, id, &registrationToken{})
		plain := strings.NewReplacer("\r", "", "\n", "").Replace(id) // the decoder skips them
		if asAuthentication == nil && !good[plain] || asCode == nil && !good[plain] || token == nil {
			t.Errorf("%q opens", id)
		}
	})
}

// testRing is the keys of a tenant of the test's own.
func testRing(tb testing.TB) *keys.Ring {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		tb.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		tb.Fatal(err)
	}
	store := dbtest.New(tb)
	sc := store.Tenant(tb)
	s := keys.New(keys.Options{Store: store.Store, KMS: k})
	if err := s.Ensure(tb.Context(), sc); err != nil {
		tb.Fatal(err)
	}
	ring, err := s.Ring(tb.Context(), sc)
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}
