package member_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// signedIn is a session of the reserved tenant, as a sign-in leaves it.
func (w *world) signedIn(t testing.TB, person uuid.UUID, credential []byte) uuid.UUID {
	t.Helper()
	id := uuid.New()
	_, err := w.Superuser(t).Exec(t.Context(), `INSERT INTO sessions (tenant_id, id, user_id, credential_id, aal, user_verified, created_at, last_used_at, expires_at)
		VALUES ($1, $2, $3, $4, 2, true, now(), now(), now() + interval '30 days')`, scope.PlatformTenant, id, person, credential)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A cookie stands for a person as long as the session behind it does, and no longer.
func TestConsoleSession(t *testing.T) {
	w := newWorld(t)
	person, credentials := w.User(t, home, 1)
	change := func(sql string, args ...any) {
		t.Helper()
		if _, err := w.Superuser(t).Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct{ spoil, mend string }{
		"revoked":        {"UPDATE sessions SET revoked_at = now() WHERE id = $1", ""},
		"expired":        {"UPDATE sessions SET expires_at = now() WHERE id = $1", ""},
		"half a day old": {"UPDATE sessions SET created_at = created_at - interval '12 hours' WHERE id = $1", ""},
		"an hour silent": {"UPDATE console_sessions SET last_seen_at = last_seen_at - interval '1 hour' WHERE id = $1", ""},
		"deleted":        {"DELETE FROM sessions WHERE id = $1", ""},
		"somebody blocked": {"UPDATE users SET state = 'BLOCKED' WHERE id = (SELECT person_id FROM console_sessions WHERE id = $1)",
			"UPDATE users SET state = 'ACTIVE' WHERE id = (SELECT person_id FROM console_sessions WHERE id = $1)"},
	} {
		id := w.signedIn(t, person, credentials[0])
		opened, err := w.Open(t.Context(), person, id, scope.Origin{})
		if err != nil {
			t.Fatalf("%s: Open = %v", name, err)
		}
		if s := fmt.Sprintf("%+v", opened); strings.Contains(s, opened.Cookie) {
			t.Errorf("the cookie prints: %s", s)
		}
		found, err := w.Find(t.Context(), opened.Cookie)
		if err != nil || found.ID != id || found.PersonID != person || !found.Fresh(w.Now()) || found.Fresh(w.Now().Add(member.FreshFor)) {
			t.Errorf("%s: Find = %+v, %v", name, found, err)
		}
		change(tt.spoil, id)
		if _, err := w.Find(t.Context(), opened.Cookie); !errors.Is(err, member.ErrSignedOut) {
			t.Errorf("%s: Find afterwards = %v, want ErrSignedOut", name, err)
		}
		if tt.mend != "" {
			change(tt.mend, id)
		}
	}
	id := w.signedIn(t, person, credentials[0])
	opened, err := w.Open(t.Context(), person, id, scope.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range []string{"", "x", flip(opened.Cookie, 3), opened.Cookie + "\n", opened.Cookie + "A"} {
		if _, err := w.Find(t.Context(), cookie); !errors.Is(err, member.ErrSignedOut) {
			t.Errorf("Find(%q) = %v, want ErrSignedOut", cookie, err)
		}
	}
	// Silence is counted from the last page.
	change("UPDATE console_sessions SET last_seen_at = last_seen_at - interval '59 minutes' WHERE id = $1", id)
	if _, err := w.Find(t.Context(), opened.Cookie); err != nil {
		t.Fatal(err)
	}
	change("UPDATE console_sessions SET last_seen_at = last_seen_at - interval '59 minutes' WHERE id = $1", id)
	if _, err := w.Find(t.Context(), opened.Cookie); err != nil {
		t.Errorf("a page within each hour did not keep it: %v", err)
	}
}

// A person was seen when any of their browsers was last, and holds the passkeys that still
// work. Counting every passkey, or the first session, turns it red.
func TestPresences(t *testing.T) {
	w := newWorld(t)
	person, credentials := w.User(t, home, 3)
	other, _ := w.User(t, home, 1)
	nobody := member.Member{PersonID: uuid.New()}
	for _, ago := range []string{"3 hours", "2 days", "5 hours"} {
		id := w.signedIn(t, person, credentials[0])
		if _, err := w.Open(t.Context(), person, id, scope.Origin{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE console_sessions SET last_seen_at = now() - $1::interval WHERE id = $2", ago, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE credentials SET state = 'SUSPENDED' WHERE id = $1", credentials[1]); err != nil {
		t.Fatal(err)
	}
	known, err := w.Presences(t.Context(), []member.Member{{PersonID: person}, {PersonID: other}, nobody})
	if err != nil {
		t.Fatal(err)
	}
	if p := known[person]; p.Passkeys != 2 || p.LastSeenAt == nil || w.Now().Sub(*p.LastSeenAt).Round(time.Hour) != 3*time.Hour {
		t.Errorf("of three browsers and passkeys, one of them suspended: %+v", p)
	}
	if p := known[other]; p.Passkeys != 1 || p.LastSeenAt != nil {
		t.Errorf("who never came: %+v", p)
	}
	if p, ok := known[nobody.PersonID]; ok {
		t.Errorf("who has no account: %+v", p)
	}
}
