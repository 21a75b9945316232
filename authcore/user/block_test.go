package user_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
)

// Somebody who is to be blocked is blocked, whatever became of their sealed values: an
// attacker who can spoil a row would else keep their access by it. The same goes for
// letting them in again, and for erasing them.
func TestBlockDespiteDamage(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	contact := user.Contact{Email: "ada@example.com", Phone: "+4915112345678"}
	for _, tt := range []struct {
		name, sql, action string
		want              user.Contact
		nameless          bool
	}{
		{
			"an e-mail that does not open", "UPDATE contacts SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE user_id = $1 AND kind = 'EMAIL'",
			"contact.open", user.Contact{Phone: contact.Phone}, false,
		},
		{
			"a key that is no more", "UPDATE contacts SET key_version = 7 WHERE user_id = $1 AND kind = 'PHONE'",
			"contact.open", user.Contact{Email: contact.Email}, false,
		},
		{
			"a profile that does not open", "UPDATE users SET profile_sealed = set_byte(profile_sealed, 40, get_byte(profile_sealed, 40) # 1) WHERE id = $1",
			"user.open", contact, true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ada := reach(t, w, acme, contact)
			_, tokens := w.SignIn(t, acme, w.Enroll(t, acme, ada, 1)[0])
			if tag, err := w.Superuser(t).Exec(t.Context(), tt.sql, ada.ID.UUID()); err != nil || tag.RowsAffected() != 1 {
				t.Fatalf("%d rows, %v", tag.RowsAffected(), err)
			}
			row := func() (text string) {
				t.Helper()
				if err := w.Superuser(t).QueryRow(t.Context(), "SELECT profile_sealed::text FROM users WHERE id = $1", ada.ID.UUID()).Scan(&text); err != nil {
					t.Fatal(err)
				}
				return text
			}
			spoiled := row()
			before := w.AuditCount(t, acme, tt.action)

			got, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: ada.ID, Reason: "fraud"})
			if err != nil || got.State != user.Blocked || got.ETag == ada.ETag || got.Contact != tt.want || (got.Name == "") != tt.nameless {
				t.Fatalf("Block = %+v, %v, want it blocked with %+v", got, err, tt.want)
			}
			if n := blockedCredentials(t, w, acme, ada.ID); n != 1 {
				t.Errorf("blocked credentials = %d, want 1", n)
			}
			if _, err := w.Sessions.Refresh(t.Context(), acme, tokens.Refresh); !errors.Is(err, session.ErrRevoked) {
				t.Errorf("Refresh error = %v, want %v", err, session.ErrRevoked)
			}
			if n := w.AuditCount(t, acme, tt.action) - before; n != 1 {
				t.Errorf("audit entries of the damage = %d, want 1", n)
			}
			if row() != spoiled {
				t.Error("the profile was written: what could be read of it is lost")
			}
			if got, err := w.Users.Unblock(t.Context(), acme, user.BlockRequest{ID: ada.ID}); err != nil || got.State != user.Active || got.Contact != tt.want {
				t.Errorf("Unblock = %+v, %v, want it active", got, err)
			}
			if e, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID}); err != nil || e.Contacts != 2 || e.Credentials != 1 || e.Sessions != 1 {
				t.Errorf("Delete = %+v, %v, want everything erased", e, err)
			}
		})
	}
}

// A Postgres that logs statements closes contact data, and no more than that.
func TestBlockWhileStatementsAreLogged(t *testing.T) {
	store := dbtest.Fresh(t)
	w := authcoretest.On(t, store)
	acme := w.Tenant(t)
	ada := reach(t, w, acme, user.Contact{Email: "ada@example.com"})
	_, tokens := w.SignIn(t, acme, w.Enroll(t, acme, ada, 1)[0])
	conn := store.Superuser(t)
	if _, err := conn.Exec(t.Context(), "ALTER ROLE bc_app IN DATABASE "+pgx.Identifier{conn.Config().Database}.Sanitize()+" SET pgaudit.log_parameter = 'on'"); err != nil {
		t.Fatal(err)
	}
	logged := w.Replica(t) // a role's settings are read at login
	if _, err := logged.Users.Get(t.Context(), acme, ada.ID); !errors.Is(err, user.ErrKeyLogged) {
		t.Fatalf("Get error = %v, want %v: nothing is tried here", err, user.ErrKeyLogged)
	}

	got, err := logged.Users.Block(t.Context(), acme, user.BlockRequest{ID: ada.ID})
	if err != nil || got.State != user.Blocked || got.Contact != (user.Contact{}) || got.Name != ada.Name {
		t.Errorf("Block = %+v, %v, want it blocked without contacts", got, err)
	}
	if _, err := logged.Sessions.Refresh(t.Context(), acme, tokens.Refresh); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("Refresh error = %v, want %v", err, session.ErrRevoked)
	}
	if n := w.AuditCount(t, acme, "contact.open"); n != 0 {
		t.Errorf("audit entries of damage = %d, want none", n)
	}
	if got, err := logged.Users.Unblock(t.Context(), acme, user.BlockRequest{ID: ada.ID}); err != nil || got.State != user.Active {
		t.Errorf("Unblock = %+v, %v, want it active", got, err)
	}
	if got, err := w.Users.Get(t.Context(), acme, ada.ID); err != nil || got.Contact != ada.Contact {
		t.Errorf("Get where nothing is logged = %+v, %v, want the contact as it was", got.Contact, err)
	}
	if e, err := logged.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID}); err != nil || e.Contacts != 1 {
		t.Errorf("Delete = %+v, %v, want the contact erased", e, err)
	}
}
