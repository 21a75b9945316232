package user_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
)

// The report counts what is there, goes on past what does not open, and leaves an entry.
func TestSummarize(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	for _, c := range []user.Contact{
		{Email: "a@example.com", Phone: "+4915112345678"},
		{Email: "A@example.com", Phone: "+4915112345679"},
		{Email: "b@example.com", Phone: "+12025550143"},
		{Email: "b@example.org", Phone: "+4915112345678"},
		{Email: "c@bücher.example", Phone: "+79161234567"},
		{Phone: "+35312345678"},
		{},
	} {
		reach(t, w, acme, c)
	}
	reach(t, w, globex, user.Contact{Email: "x@globex.example", Phone: "+861012345678"})
	damaged := reach(t, w, acme, user.Contact{Email: "d@example.org", Phone: "+2348012345678"})
	if _, err := w.Superuser(t).Exec(t.Context(),
		"UPDATE contacts SET sealed = set_byte(sealed, 50, get_byte(sealed, 50) # 1) WHERE user_id = $1 AND kind = 'EMAIL'", damaged.ID.UUID()); err != nil {
		t.Fatal(err)
	}

	want := user.ContactSummary{
		Email: user.ContactCount{Users: 6, Distinct: 5, Unreadable: 1, Parts: []user.ContactPart{
			{Part: "example.com", Users: 3}, {Part: "example.org", Users: 1}, {Part: "xn--bcher-kva.example", Users: 1},
		}},
		Phone: user.ContactCount{Users: 7, Distinct: 6, Parts: []user.ContactPart{
			{Part: "+49", Users: 3}, {Part: "+1", Users: 1}, {Part: "+234", Users: 1}, {Part: "+353", Users: 1}, {Part: "+7", Users: 1},
		}},
	}
	got, err := w.Users.Summarize(t.Context(), acme)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("Summarize = %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	if n := w.AuditCount(t, acme, "contact.summarize"); n != 1 {
		t.Errorf("audit entries = %d, want 1", n)
	}
	entries := strings.ReplaceAll(dump(t, w, acme), `""`, `"`)
	if !strings.Contains(entries, `"emails":6,"phones":7,"unreadable":1`) || strings.Contains(entries, "example.org") {
		t.Error("the audit entry does not count, or names a domain")
	}
}

// Only the commonest parts are answered: the report does not grow with the tenant.
func TestSummarizeIsBounded(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	for i := range 60 {
		for range 1 + i/55 { // the last five domains twice
			reach(t, w, acme, user.Contact{Email: fmt.Sprintf("a@d%02d.example", i)})
		}
	}
	got, err := w.Users.Summarize(t.Context(), acme)
	if err != nil || len(got.Email.Parts) != 50 || got.Email.Users != 65 || got.Email.Distinct != 60 {
		t.Fatalf("Summarize = %+v, %v", got, err)
	}
	if p := got.Email.Parts; p[0] != (user.ContactPart{Part: "d55.example", Users: 2}) || p[49] != (user.ContactPart{Part: "d44.example", Users: 1}) {
		t.Errorf("parts = %v, want the commonest first, then by name", p)
	}
}
