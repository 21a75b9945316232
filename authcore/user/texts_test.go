package user_test

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// A scan opens names and contacts of everybody who is there: of those who were erased nothing is left, what does not open is counted, and
// another tenant has none of them.
func TestTexts(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	look := func(sc scope.Scope) (seen string, rows int, unseen []dlp.Unseen) {
		t.Helper()
		var text strings.Builder
		for after := []string(nil); ; {
			out, err := w.Users.Texts().Read(t.Context(), sc, after, func(place, item, body string) { text.WriteString(place + " " + item + " " + body + "\n") })
			if err != nil {
				t.Fatal(err)
			}
			rows, unseen = rows+out.Rows, append(unseen, out.Unseen...)
			if after = out.After; after == nil {
				return text.String(), rows, unseen
			}
		}
	}
	ana, err := w.Users.Create(t.Context(), acme, user.Profile{ExternalID: "u-1", Name: "ana", DisplayName: "Ana 4111111111111111"}, user.Contact{Email: "ana@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	bob := w.User(t, acme)
	seen, n, unseen := look(acme)
	if n != 2 || len(unseen) > 0 || !strings.Contains(seen, "users.displayName "+ana.ID.String()+" Ana 4111111111111111") || !strings.Contains(seen, "contacts.value "+ana.ID.String()+" ana@example.com") {
		t.Errorf("%d users, unseen %v:\n%s", n, unseen, seen)
	}
	if seen, n, _ := look(globex); seen != "" || n > 0 {
		t.Errorf("globex sees %q", seen)
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE users SET profile_sealed = profile_sealed || '\\x00' WHERE id = $1", bob.ID.UUID()); err != nil {
		t.Fatal(err)
	}
	if _, _, unseen := look(acme); len(unseen) != 1 || unseen[0] != (dlp.Unseen{Place: "users", Reason: dlp.UnseenSealed, Count: 1}) {
		t.Errorf("unseen = %v", unseen)
	}
	if _, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ana.ID}); err != nil {
		t.Fatal(err)
	}
	if seen, _, _ := look(acme); strings.Contains(seen, ana.ID.String()) {
		t.Errorf("who is erased is seen: %s", seen)
	}
}
