package user_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// talkative makes Postgres tell all that it can be made to tell.
const talkative = `
ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements', 'auto_explain';
ALTER SYSTEM SET log_statement = 'all';
ALTER SYSTEM SET log_min_duration_statement = 0;
ALTER SYSTEM SET log_transaction_sample_rate = 1;
ALTER SYSTEM SET log_duration = on;
ALTER SYSTEM SET log_min_messages = 'debug1';
ALTER SYSTEM SET log_min_error_statement = 'debug1';
ALTER SYSTEM SET log_error_verbosity = 'verbose';
ALTER SYSTEM SET debug_print_parse = on;
ALTER SYSTEM SET debug_print_rewritten = on;
ALTER SYSTEM SET debug_print_plan = on;
`

// explaining can only be set once auto_explain is loaded.
const explaining = `
ALTER SYSTEM SET auto_explain.log_min_duration = 0;
ALTER SYSTEM SET auto_explain.log_verbose = on;
ALTER SYSTEM SET auto_explain.log_analyze = on;
ALTER SYSTEM SET auto_explain.log_nested_statements = on;
SELECT pg_reload_conf();
`

// traces of a value in what Postgres prints: as text, as hex, and as a debugged plan has
// it, byte by byte.
func traces(value []byte) []string {
	var numbers []string
	for _, b := range value {
		numbers = append(numbers, fmt.Sprint(int8(b)))
	}
	return []string{string(value), hex.EncodeToString(value), base64.StdEncoding.EncodeToString(value), strings.Join(numbers, " ")}
}

// seen names what of secrets stands in text.
func seen(text string, secrets map[string][]byte) (found []string) {
	text = strings.ToLower(text)
	for what, value := range secrets {
		for _, form := range traces(value) {
			if strings.Contains(text, strings.ToLower(form)) {
				found = append(found, what)
				break
			}
		}
	}
	return found
}

// watch notes what pg_stat_activity shows until the returned function is called.
func watch(t *testing.T, store *dbtest.Store) (stop func() string) {
	t.Helper()
	conn := store.Superuser(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			var queries string
			err := conn.QueryRow(t.Context(), "SELECT coalesce(string_agg(query, E'\\n'), '') FROM pg_stat_activity WHERE usename = 'bc_app'").Scan(&queries)
			if err != nil {
				t.Errorf("look at pg_stat_activity: %v", err)
				return
			}
			out.WriteString(queries)
		}
	})
	return func() string {
		cancel()
		running.Wait()
		return out.String()
	}
}

// The key, the passphrase that it becomes, and what it seals go to Postgres in every one
// of these calls, and stand neither in its log at its most talkative, with plans, nor in
// what it shows of statements.
//
// Without Bootstrap's ALTER ROLE the calls are refused, and without AdmitKeys in front
// of a statement the key is found: both are tried here, so that the search is known to see.
func TestKeysAreNotLogged(t *testing.T) {
	store, postgres := dbtest.OwnPostgres(t)
	exec := func(sql string) {
		t.Helper()
		conn := store.Superuser(t)
		for one := range strings.SplitSeq(strings.TrimSpace(sql), ";\n") {
			if _, err := conn.Exec(t.Context(), one); err != nil {
				t.Fatalf("%s: %v", one, err)
			}
		}
	}
	restart := func() {
		postgres.Stop(t)
		postgres.Start(t)
		nothing := func(*db.PlatformTx) error { return nil }
		for tries := 0; store.Ping(t.Context()) != nil || store.InPlatform(t.Context(), "wake up", nothing) != nil; tries++ {
			if tries == 100 {
				t.Fatal("postgres does not come back")
			}
		}
	}
	exec(talkative)
	restart()
	exec(explaining)
	exec("CREATE EXTENSION pg_stat_statements")
	restart() // what the preparation itself has logged is gone

	w := authcoretest.On(t, store)
	acme := w.Tenant(t)
	secrets := map[string][]byte{}
	stop := watch(t, store)
	live(t, w, acme, secrets)
	activity := stop()

	var statements string
	if err := store.Superuser(t).QueryRow(t.Context(), "SELECT string_agg(query, E'\\n') FROM pg_stat_statements").Scan(&statements); err != nil {
		t.Fatal(err)
	}
	log := postgres.Log(t)
	for what, text := range map[string]string{"the log": log, "pg_stat_statements": statements, "pg_stat_activity": activity} {
		if found := seen(text, secrets); len(found) > 0 {
			t.Errorf("%s shows %v", what, found)
		}
		if !strings.Contains(text, "contact_open") {
			t.Errorf("%s shows nothing of contacts: it proves nothing", what)
		}
	}
	for _, sign := range []string{"Query Text", "FuncExpr", "violates foreign key", "execute "} {
		if !strings.Contains(strings.ReplaceAll(log, "FUNCEXPR", "FuncExpr"), sign) {
			t.Errorf("the log is not as talkative as it was told to be: no %q", sign)
		}
	}

	t.Run("a custom plan shows it", func(t *testing.T) {
		key := map[string][]byte{"the key": w.Ring(t, acme).SQLKey(contactField).Reveal()}
		if err := w.ReadTenant(t.Context(), acme, func(tx *db.TenantTx) error {
			_, err := tx.SummarizeContacts(t.Context(), tenantq.SummarizeContactsParams{Keys: [][]byte{key["the key"]}, Versions: []int32{1}, MaxParts: 1})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(seen(postgres.Log(t), key)) == 0 {
			t.Error("without AdmitKeys the log does not show the key: the search above is blind")
		}
	})
	t.Run("a role that logs parameters is refused", func(t *testing.T) {
		exec("ALTER ROLE bc_app RESET log_parameter_max_length")
		restart() // roles' settings are read at login, and the log is new
		secret := map[string][]byte{"an address": []byte("never.sent@example.com")}
		globex := w.Tenant(t)
		plain := w.User(t, globex)
		_, err := w.Users.Create(t.Context(), globex, user.Profile{ExternalID: "x", Name: "x"}, user.Contact{Email: "never.sent@example.com"})
		if !errors.Is(err, user.ErrKeyLogged) {
			t.Errorf("Create error = %v, want %v", err, user.ErrKeyLogged)
		}
		if _, err := w.Users.Summarize(t.Context(), globex); !errors.Is(err, user.ErrKeyLogged) {
			t.Errorf("Summarize error = %v, want %v", err, user.ErrKeyLogged)
		}
		if _, err := w.Users.Get(t.Context(), globex, plain.ID); err != nil {
			t.Errorf("Get of a user without contacts: %v", err)
		}
		if found := seen(postgres.Log(t), secret); len(found) > 0 {
			t.Errorf("the log shows %v", found)
		}
		key := map[string][]byte{"the key": w.Ring(t, globex).SQLKey(contactField).Reveal()}
		if err := w.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
			if _, err := tx.AdmitKeys(t.Context(), nil); err != nil {
				return err
			}
			_, err := tx.SummarizeContacts(t.Context(), tenantq.SummarizeContactsParams{Keys: [][]byte{key["the key"]}, Versions: []int32{1}, MaxParts: 1})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(seen(postgres.Log(t), key)) == 0 {
			t.Error("with parameters logged the log does not show the key: the search above is blind")
		}
	})
}

// live makes every call that sends a key, good and bad. secrets learns what they sent.
func live(t *testing.T, w *authcoretest.World, sc scope.Scope, secrets map[string][]byte) {
	t.Helper()
	address, number := user.Contact{Email: "Grazyna.Kowalska@customer.example", Phone: "+48601234567"}, "+48609876543"
	ada, err := w.Users.Create(t.Context(), sc, user.Profile{ExternalID: "x", Name: "x"}, address)
	if err != nil {
		t.Fatal(err)
	}
	for range 7 { // from the sixth on Postgres chooses between plans
		if _, err := w.Users.Get(t.Context(), sc, ada.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Users.Update(t.Context(), sc, user.UpdateRequest{ID: ada.ID, Phone: &number}); err != nil {
		t.Fatal(err)
	}
	for _, filter := range []string{`email = "grazyna.kowalska@customer.example"`, `phone = "+48609876543" AND email = "grazyna.kowalska@customer.example"`} {
		if err := list(t, w, sc, filter); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Users.Summarize(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	next := w.NextDataKey(t, sc)
	if n, err := next.Users.Reseal(t.Context(), sc, 10); n != 3 || err != nil {
		t.Fatalf("Reseal = %d, %v", n, err)
	}
	ring := next.Ring(t, sc)
	nobody := uuid.New()
	err = w.InTenant(t.Context(), sc, func(tx *db.TenantTx) error { // a statement that fails with a key in it
		if _, err := tx.AdmitKeys(t.Context(), nil); err != nil {
			return err
		}
		return tx.PutContact(t.Context(), tenantq.PutContactParams{
			UserID: nobody, Kind: "EMAIL", Value: address.Email, Compared: address.Email,
			Key: ring.SQLKey(contactField).Reveal(), IndexKey: ring.SQLIndexKey(contactField).Reveal(), KeyVersion: 1, Now: tx.Now(),
		})
	})
	if err == nil || len(seen(err.Error(), secrets)) > 0 {
		t.Errorf("a contact of nobody: error = %v", err)
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE contacts SET sealed = set_byte(sealed, 30, get_byte(sealed, 30) # 1) WHERE user_id = $1", ada.ID.UUID()); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Users.Get(t.Context(), sc, ada.ID); err == nil {
		t.Error("a damaged contact opens")
	}
	for _, k := range ring.SQLKeys(contactField) {
		secrets[fmt.Sprintf("key %d", k.Version())] = k.Reveal()
		for _, id := range []uuid.UUID{ada.ID.UUID(), nobody} {
			for _, kind := range []string{"EMAIL", "PHONE"} {
				mac, tenant := hmac.New(sha256.New, k.Reveal()), sc.Tenant()
				mac.Write(append(append(tenant[:], id[:]...), kind...))
				secrets[fmt.Sprintf("passphrase of %s %s, key %d", id, kind, k.Version())] = mac.Sum(nil)
			}
		}
	}
	secrets["the index's key"] = ring.SQLIndexKey(contactField).Reveal()
	secrets["an address"], secrets["a number"], secrets["another number"] = []byte(address.Email), []byte(address.Phone[1:]), []byte(number[1:])
}

func list(t *testing.T, w *authcoretest.World, sc scope.Scope, filter string) error {
	t.Helper()
	req := all
	req.Filter = filter
	page, err := w.Users.List(t.Context(), sc, req)
	if err == nil && len(page.Items) != 1 {
		err = fmt.Errorf("%s finds %d users", filter, len(page.Items))
	}
	return err
}
