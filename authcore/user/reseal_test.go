package user_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// versions are the data keys under which the tenant's contacts and profiles are sealed.
func versions(t *testing.T, w *authcoretest.World, sc scope.Scope) (contacts, profiles map[int64]int) {
	t.Helper()
	contacts, profiles = map[int64]int{}, map[int64]int{}
	for sql, into := range map[string]map[int64]int{
		"SELECT key_version, count(*) FROM contacts WHERE tenant_id = $1 GROUP BY 1":  contacts,
		"SELECT profile_version, count(*) FROM users WHERE tenant_id = $1 GROUP BY 1": profiles,
	} {
		rows, err := w.Superuser(t).Query(t.Context(), sql, sc.Tenant())
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var version int64
			var n int
			if err := rows.Scan(&version, &n); err != nil {
				t.Fatal(err)
			}
			into[version] = n
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return contacts, profiles
}

// Everything of the tenant moves to the data key that seals now, in steps, and nothing
// that anybody sees has changed; the index is the same, so that searches still find.
func TestReseal(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	var before []user.User
	for i := range 5 {
		before = append(before, reach(t, w, acme, user.Contact{Email: fmt.Sprintf("a%d@example.com", i), Phone: fmt.Sprintf("+4915112345%03d", i)}))
	}
	other := reach(t, w, globex, user.Contact{Email: "a0@example.com"})
	if n, err := w.Users.Reseal(t.Context(), acme, 100); n != 0 || err != nil {
		t.Errorf("Reseal before a rotation = %d, %v, want nothing to do", n, err)
	}

	next := w.NextDataKey(t, acme)
	if got, err := next.Users.Get(t.Context(), acme, before[0].ID); err != nil || cmp.Diff(before[0], got) != "" {
		t.Errorf("Get under the old key = %v (-want +got):\n%s", err, cmp.Diff(before[0], got))
	}
	var steps []int
	for {
		n, err := next.Users.Reseal(t.Context(), acme, 4)
		if err != nil {
			t.Fatal(err)
		}
		if steps = append(steps, n); n < 4 {
			break
		}
	}
	if diff := cmp.Diff([]int{4, 4, 4, 3}, steps); diff != "" {
		t.Errorf("Reseal of 10 contacts and 5 profiles (-want +got):\n%s", diff)
	}
	contacts, profiles := versions(t, w, acme)
	if cmp.Diff(map[int64]int{2: 10}, contacts) != "" || cmp.Diff(map[int64]int{2: 5}, profiles) != "" {
		t.Errorf("versions = %v, %v, want 2 alone", contacts, profiles)
	}
	for _, u := range before {
		if got, err := next.Users.Get(t.Context(), acme, u.ID); err != nil || cmp.Diff(u, got) != "" {
			t.Errorf("Get = %v (-before +after):\n%s", err, cmp.Diff(u, got))
		}
	}
	if page, err := next.Users.List(t.Context(), acme, listing.Request{Filter: `email = "A3@example.com"`}); err != nil || len(page.Items) != 1 {
		t.Errorf("List = %d users, %v, want the one", len(page.Items), err)
	}
	if sum, err := next.Users.Summarize(t.Context(), acme); err != nil || sum.Email.Distinct != 5 || sum.Email.Unreadable+sum.Phone.Unreadable != 0 {
		t.Errorf("Summarize = %+v, %v", sum, err)
	}
	if got, err := w.Users.Get(t.Context(), globex, other.ID); err != nil || got.Contact != other.Contact {
		t.Errorf("another tenant's: %+v, %v", got.Contact, err)
	}
	// The old key is gone for good.
	if _, err := w.Superuser(t).Exec(t.Context(), "DELETE FROM data_keys WHERE tenant_id = $1 AND version = 1", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	if got, err := next.Users.Get(t.Context(), acme, before[1].ID); err != nil || got.Contact != before[1].Contact {
		t.Errorf("Get without the old key = %+v, %v", got.Contact, err)
	}
}

// Profiles from before the schema noted who sealed them count as stale until they are
// noted: the key that sealed them must not pass for idle. What is noted already is not
// looked at again, and noting changes nothing that anybody sees.
func TestResealNotesOldProfiles(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	var before []user.User
	for range 5 {
		before = append(before, w.User(t, acme))
	}
	w.User(t, globex)
	forget := func() {
		t.Helper()
		if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE users SET profile_version = NULL WHERE tenant_id IN ($1, $2)", acme.Tenant(), globex.Tenant()); err != nil {
			t.Fatal(err)
		}
	}
	sealed := func() (text string) {
		t.Helper()
		if err := w.Superuser(t).QueryRow(t.Context(), "SELECT string_agg(profile_sealed::text, ' ' ORDER BY id) FROM users WHERE tenant_id = $1", acme.Tenant()).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	forget()
	was := sealed()
	for _, want := range []int{3, 2, 0} {
		if n, err := w.Users.ResealProfiles(t.Context(), acme, 3); n != want || err != nil {
			t.Errorf("ResealProfiles under the same key = %d, %v, want %d", n, err, want)
		}
	}
	if _, profiles := versions(t, w, acme); cmp.Diff(map[int64]int{1: 5}, profiles) != "" || sealed() != was {
		t.Errorf("versions = %v, want the bytes as they were, noted", profiles)
	}

	forget()
	next := w.NextDataKey(t, acme)
	for done := 1; done > 0; {
		var err error
		if done, err = next.Users.ResealProfiles(t.Context(), acme, 4); err != nil {
			t.Fatal(err)
		}
	}
	if _, profiles := versions(t, w, acme); cmp.Diff(map[int64]int{2: 5}, profiles) != "" {
		t.Errorf("versions = %v, want 2 alone", profiles)
	}
	for _, u := range before {
		if got, err := next.Users.Get(t.Context(), acme, u.ID); err != nil || cmp.Diff(u, got) != "" {
			t.Errorf("Get = %v (-before +after):\n%s", err, cmp.Diff(u, got))
		}
	}
	var left int
	if err := w.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM users WHERE tenant_id = $1 AND profile_version IS NULL", globex.Tenant()).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d rows of another tenant left alone, %v, want 1", left, err)
	}
}

// What does not open does not keep the rest, and is named.
func TestResealPastDamage(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	var all []user.User
	for range 4 {
		all = append(all, reach(t, w, acme, user.Contact{Email: "a@example.com"}))
	}
	conn := w.Superuser(t)
	if _, err := conn.Exec(t.Context(), "UPDATE contacts SET sealed = set_byte(sealed, 50, get_byte(sealed, 50) # 1) WHERE user_id = $1", all[0].ID.UUID()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE users SET profile_sealed = set_byte(profile_sealed, 50, get_byte(profile_sealed, 50) # 1) WHERE id = $1", all[1].ID.UUID()); err != nil {
		t.Fatal(err)
	}
	next := w.NextDataKey(t, acme)
	n, err := next.Users.ResealContacts(t.Context(), acme, 100)
	if d, ok := errors.AsType[*user.DamagedError](err); n != 3 || !ok || d.User != all[0].ID {
		t.Errorf("ResealContacts = %d, %v, want 3 and the damaged one named", n, err)
	}
	if n := w.AuditCount(t, acme, "contact.open"); n != 1 {
		t.Errorf("audit entries = %d, want 1", n)
	}
	n, err = next.Users.ResealProfiles(t.Context(), acme, 100)
	if n != 3 || !errors.Is(err, keys.ErrSealed) {
		t.Errorf("ResealProfiles = %d, %v, want 3 and %v", n, err, keys.ErrSealed)
	}
	contacts, profiles := versions(t, w, acme)
	if cmp.Diff(map[int64]int{1: 1, 2: 3}, contacts) != "" || cmp.Diff(map[int64]int{1: 1, 2: 3}, profiles) != "" {
		t.Errorf("versions = %v, %v, want one of each left", contacts, profiles)
	}
	if n, err := next.Users.ResealContacts(t.Context(), acme, 2); n != 0 || !errors.Is(err, keys.ErrSealed) {
		t.Errorf("ResealContacts again = %d, %v, want the damaged one alone", n, err)
	}
}

// A change that is under way when its row is sealed anew is not lost: the maintenance
// has read the old bytes, waits for the row, and finds others. Without the comparison
// in ReplaceProfile or ResealContacts it writes back what it had read.
func TestResealMeetsChange(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	for _, tt := range []struct {
		name   string
		reseal func(*authcoretest.World) (int, error)
		touch  string // what a change writes, by hand, in the transaction that holds the row
		kept   string // asks whether it is still there
	}{
		{
			"profile", func(next *authcoretest.World) (int, error) { return next.Users.ResealProfiles(t.Context(), acme, 10) },
			"UPDATE users SET profile_sealed = (SELECT profile_sealed FROM users WHERE id = $2) WHERE id = $1",
			"SELECT a.profile_version < b.profile_version FROM users a, users b WHERE a.id = $1 AND b.id = $2",
		},
		{
			"contact", func(next *authcoretest.World) (int, error) { return next.Users.ResealContacts(t.Context(), acme, 10) },
			"UPDATE contacts SET sealed = (SELECT sealed FROM contacts WHERE user_id = $2) WHERE user_id = $1",
			"SELECT a.key_version < b.key_version FROM contacts a, contacts b WHERE a.user_id = $1 AND b.user_id = $2",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ada := reach(t, w, acme, user.Contact{Email: "a@example.com"})
			bob := reach(t, w, acme, user.Contact{Email: "b@example.com"})
			next := w.NextDataKey(t, acme)
			change := w.Hold(t)
			change.Exec(tt.touch, ada.ID.UUID(), bob.ID.UUID())
			type result struct {
				n   int
				err error
			}
			done := make(chan result, 1)
			go func() {
				n, err := tt.reseal(next)
				done <- result{n, err}
			}()
			change.Await()
			change.Commit()
			if r := <-done; r.err != nil {
				t.Fatalf("reseal error = %v", r.err)
			}
			var kept bool
			if err := w.Superuser(t).QueryRow(t.Context(), tt.kept, ada.ID.UUID(), bob.ID.UUID()).Scan(&kept); err != nil || !kept {
				t.Errorf("what was written meanwhile is kept = %t, %v", kept, err)
			}
		})
	}
}

// Updates, erasures and two maintenances at once: everybody ends with the last value that
// was written, and nothing stays under the old key.
func TestResealRace(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	const people = 12
	var users []user.User
	for range people {
		users = append(users, reach(t, w, acme, user.Contact{Email: "old@example.com", Phone: "+4915112345678"}))
	}
	next := w.NextDataKey(t, acme)
	var running sync.WaitGroup
	for i := range 2 {
		running.Go(func() {
			for range 4 {
				if _, err := next.Users.Reseal(t.Context(), acme, 5+i); err != nil {
					t.Errorf("Reseal error = %v", err)
				}
			}
		})
	}
	running.Go(func() {
		for i, u := range users {
			email, name := fmt.Sprintf("new%d@example.com", i), fmt.Sprintf("New %d", i)
			if _, err := next.Users.Update(t.Context(), acme, user.UpdateRequest{ID: u.ID, Email: &email, Name: &name}); err != nil {
				t.Errorf("Update error = %v", err)
			}
		}
	})
	running.Wait()
	if _, err := next.Users.Reseal(t.Context(), acme, 100); err != nil {
		t.Fatal(err)
	}
	for i, u := range users {
		got, err := next.Users.Get(t.Context(), acme, u.ID)
		want := user.Contact{Email: fmt.Sprintf("new%d@example.com", i), Phone: "+4915112345678"}
		if err != nil || got.Contact != want || got.Name != fmt.Sprintf("New %d", i) {
			t.Errorf("user %d = %+v, %q, %v, want %+v", i, got.Contact, got.Name, err, want)
		}
	}
	contacts, profiles := versions(t, w, acme)
	if cmp.Diff(map[int64]int{2: 2 * people}, contacts) != "" || cmp.Diff(map[int64]int{2: people}, profiles) != "" {
		t.Errorf("versions = %v, %v, want 2 alone", contacts, profiles)
	}
}

// A profile that was changed, or moved from another user or tenant, opens nowhere, and
// the tenant's log tells: somebody was at the database.
func TestDamagedProfile(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	for _, tt := range []struct{ name, sql string }{
		{"a flipped bit", "UPDATE users SET profile_sealed = set_byte(profile_sealed, 40, get_byte(profile_sealed, 40) # 1) WHERE id = $1 AND $2::uuid IS NOT NULL"},
		{"cut", "UPDATE users SET profile_sealed = substring(profile_sealed FOR 50) WHERE id = $1 AND $2::uuid IS NOT NULL"},
		{"another user's", "UPDATE users u SET profile_sealed = o.profile_sealed FROM users o WHERE u.id = $1 AND o.id = $2"},
		{"another tenant's", "UPDATE users u SET profile_sealed = o.profile_sealed FROM users o WHERE u.id = $1 AND o.id = $2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ada, other := w.User(t, acme), w.User(t, acme)
			if tt.name == "another tenant's" {
				other = w.User(t, globex)
			}
			if tag, err := w.Superuser(t).Exec(t.Context(), tt.sql, ada.ID.UUID(), other.ID.UUID()); err != nil || tag.RowsAffected() != 1 {
				t.Fatalf("%d rows, %v", tag.RowsAffected(), err)
			}
			before := w.AuditCount(t, acme, "user.open")
			got, err := w.Users.Get(t.Context(), acme, ada.ID)
			if damage, ok := errors.AsType[*user.DamagedError](err); !ok || !errors.Is(err, keys.ErrSealed) || damage.User != ada.ID || damage.Kind != "" {
				t.Fatalf("Get = %+v, %v, want a damaged profile of %s", got, err, ada.ID)
			}
			if n := w.AuditCount(t, acme, "user.open") - before; n != 1 {
				t.Errorf("audit entries = %d, want 1", n)
			}
			if _, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID}); err != nil {
				t.Errorf("Delete = %v: a person's right to erasure does not hang on it", err)
			}
		})
	}
}
