package user_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// crowd makes so many users with an e-mail address each, in one statement.
func crowd(t testing.TB, w *authcoretest.World, sc scope.Scope, n int) {
	t.Helper()
	ring := w.Ring(t, sc)
	conn := w.As(t, db.RoleApp)
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, true)", sc.Tenant().String()); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `WITH made AS (
			  INSERT INTO users (id, handle, external_index, profile_sealed, created_at, updated_at)
			  SELECT gen_random_uuid(), decode(md5(i::text), 'hex'), sha256(i::text::bytea), '\x0100000001'::bytea || sha256(i::text::bytea), now(), now()
			  FROM generate_series(1, $1::integer) i RETURNING tenant_id, id)
			INSERT INTO contacts (user_id, kind, sealed, match_index, key_version, created_at, updated_at)
			SELECT id, 'EMAIL', contact_seal('user' || id || '@example' || get_byte(uuid_send(id), 15) || '.com', contact_passphrase(tenant_id, id, 'EMAIL', $2)),
			  sealing.hmac(uuid_send(id), $2, 'sha256'), 1, now(), now() FROM made`, n, ring.SQLKey(contactField).Reveal())
		return err
	})
	if err != nil {
		t.Fatalf("make a crowd: %v", err)
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "ANALYZE users; ANALYZE contacts"); err != nil {
		t.Fatal(err)
	}
}

// Searches and the maintenance touch the rows that they want, also behind row-level
// security and with a generic plan. Dropping an index turns its case red.
func TestContactIndexes(t *testing.T) {
	w := authcoretest.On(t, dbtest.Fresh(t))
	acme := w.Tenant(t)
	crowd(t, w, acme, 3000)
	conn := w.As(t, db.RoleApp)
	for _, tt := range []struct {
		name, sql, args, index string
	}{
		{"search", tenantq.ListUsersOfContact, "'EMAIL', 'a@b', '\\x01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 51", "contacts_match"},
		{"reseal of contacts", tenantq.ResealContacts, "'{\"\\\\x01\"}', '{1}', 1, 0, '00000000-0000-0000-0000-000000000000', '', 250, '\\x01'", "contacts_version"},
		{"reseal of profiles", tenantq.ListStaleProfiles, "1, 0, '00000000-0000-0000-0000-000000000000', 250", "users_profile_version"},
		{"profiles from before", tenantq.FillProfileVersions, "250", "users_profile_version"},
		{"opening a page", tenantq.OpenContacts, "'{\"\\\\x01\"}', '{1}', '{00000000-0000-0000-0000-000000000000}'", "contacts_pkey"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var plan []string
			err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
				for _, sql := range []string{
					"SELECT set_config('app.tenant_id', '" + acme.Tenant().String() + "', true)",
					"SELECT set_config('plan_cache_mode', 'force_generic_plan', true)",
					"PREPARE asked AS " + tt.sql,
				} {
					if _, err := tx.Exec(t.Context(), sql); err != nil {
						return fmt.Errorf("%s: %w", sql, err)
					}
				}
				rows, err := tx.Query(t.Context(), "EXPLAIN (COSTS OFF) EXECUTE asked("+tt.args+")", pgx.QueryExecModeSimpleProtocol)
				if err != nil {
					return err
				}
				if plan, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
					return err
				}
				_, err = tx.Exec(t.Context(), "DEALLOCATE asked")
				return err
			})
			text := strings.Join(plan, "\n")
			if err != nil || !strings.Contains(text, tt.index) || strings.Contains(text, "Seq Scan on contacts") || strings.Contains(text, "Seq Scan on users") {
				t.Errorf("%v, want a plan over %s:\n%s", err, tt.index, text)
			}
		})
	}
}

func BenchmarkContacts(b *testing.B) {
	w := authcoretest.New(b)
	acme := w.Tenant(b)
	const people = 10_000
	crowd(b, w, acme, people)
	ring := w.Ring(b, acme)
	b.Run("summarize 10000", func(b *testing.B) {
		for b.Loop() {
			if sum, err := w.Users.Summarize(b.Context(), acme); err != nil || sum.Email.Users != people || sum.Email.Unreadable != 0 {
				b.Fatal(sum, err)
			}
		}
	})
	someone, err := w.Users.Create(b.Context(), acme, user.Profile{ExternalID: "x", Name: "x"}, user.Contact{Email: "x@example.com"})
	if err != nil {
		b.Fatal(err)
	}
	nobody := w.User(b, acme)
	b.Run("get, with a contact", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.Users.Get(b.Context(), acme, someone.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get, without", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.Users.Get(b.Context(), acme, nobody.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	req := all
	req.Filter = `email = "x@example.com"`
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			if page, err := w.Users.List(b.Context(), acme, req); err != nil || len(page.Items) != 1 {
				b.Fatal(page, err)
			}
		}
	})
	for name, sql := range map[string]string{
		"seal in SQL, 1000":  "SELECT sum(octet_length(contact_seal('someone@example.com', contact_passphrase(tenant_id, user_id, kind, $1)))) FROM (SELECT * FROM contacts LIMIT 1000) c",
		"open in SQL, 1000":  "SELECT count(contact_open(sealed, contact_passphrase(tenant_id, user_id, kind, $1))) FROM (SELECT * FROM contacts LIMIT 1000) c",
		"index in SQL, 1000": "SELECT count(sealing.hmac(sealed, $1, 'sha256')) FROM (SELECT * FROM contacts LIMIT 1000) c",
	} {
		b.Run(name, func(b *testing.B) {
			conn := w.As(b, db.RoleApp)
			if _, err := conn.Exec(b.Context(), "SELECT set_config('app.tenant_id', $1, false)", acme.Tenant().String()); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				var n int
				if err := conn.QueryRow(b.Context(), sql, ring.SQLKey(contactField).Reveal()).Scan(&n); err != nil || n < 1000 {
					b.Fatal(n, err)
				}
			}
		})
	}
	sealed, err := ring.Seal(contactField, someone.ID.UUID().NodeID(), []byte("someone@example.com"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal in Go", func(b *testing.B) {
		for b.Loop() {
			if _, err := ring.Seal(contactField, someone.ID.UUID().NodeID(), []byte("someone@example.com")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open in Go", func(b *testing.B) {
		for b.Loop() {
			if _, err := ring.Open(contactField, someone.ID.UUID().NodeID(), sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
