package user_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func person(t *testing.T, w *authcoretest.World, sc scope.Scope, external, name, display string) user.ID {
	t.Helper()
	u, err := w.Users.Create(t.Context(), sc, user.Profile{ExternalID: external, Name: name, DisplayName: display}, user.Contact{})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return u.ID
}

// found lists the external ids of what a request finds, over all its pages.
func found(t *testing.T, w *authcoretest.World, sc scope.Scope, req listing.Request) (ids []string) {
	t.Helper()
	for range 100 {
		page, err := w.Users.List(t.Context(), sc, req)
		if err != nil {
			t.Fatalf("List(%+v) error = %v", req, err)
		}
		for _, u := range page.Items {
			ids = append(ids, u.ExternalID)
		}
		if req.PageToken = page.NextToken; req.PageToken == "" {
			return ids
		}
	}
	t.Fatal("List never ends")
	return nil
}

// People are found by how words of their names and their external id begin, and by nothing
// that only looks alike to the index. Leaving out the look at the opened profile turns the
// cases of longer beginnings red.
func TestSearch(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	person(t, w, acme, "cust_0048213", "ingrid@example.com", "Ingrid Halvorsen")
	person(t, w, acme, "cust_0048299", "tomas@example.com", "Tomás Ferreira")
	person(t, w, acme, "cust_0051907", "ingeborg@example.com", "Ingeborg Hall-Bakke")
	person(t, w, acme, "x7", "li@example.com", "Li Na")
	person(t, w, acme, "tanaka", "田中太郎", "")
	person(t, w, globex, "cust_0048213", "ingrid@example.com", "Ingrid Halvorsen")
	for _, tt := range []struct {
		filter string
		want   []string
	}{
		{"name = Ingrid", []string{"cust_0048213"}},
		{"name = ing", []string{"cust_0051907", "cust_0048213"}},
		{"name = INGRI", []string{"cust_0048213"}},
		{`name = "halv ingr"`, []string{"cust_0048213"}},
		{"name = hal", []string{"cust_0051907", "cust_0048213"}},
		{"name = bakke", []string{"cust_0051907"}},
		{"name = tomas", []string{"cust_0048299"}},
		{"name = Tomás", []string{"cust_0048299"}},
		{"name = li", []string{"x7"}},
		{"name = l", nil},
		{`name = "田"`, []string{"tanaka"}},
		{`name = "田中"`, []string{"tanaka"}},
		{"name = orsen", nil},
		{"name = Ingrids", nil},
		{"externalIdPrefix = cust_", []string{"cust_0051907", "cust_0048299", "cust_0048213"}},
		{"externalIdPrefix = CUST_0048", []string{"cust_0048299", "cust_0048213"}},
		{"externalIdPrefix = cust_00482", []string{"cust_0048299", "cust_0048213"}},
		{"externalIdPrefix = cust_0048213", []string{"cust_0048213"}},
		{"externalIdPrefix = cust_00482134", nil},
		{"externalIdPrefix = x7", []string{"x7"}},
		{"externalIdPrefix = cus", nil},
		{"externalIdPrefix = cust_ AND name = hal", []string{"cust_0051907", "cust_0048213"}},
		{"search = hal", []string{"cust_0051907", "cust_0048213"}},
		{"search = cust_0051", []string{"cust_0051907"}},
		{"search = tanaka", []string{"tanaka"}},
		{`search = "%"`, nil},
		{"search = hal AND state = BLOCKED", nil},
		{`externalId = "x7" AND name = na`, []string{"x7"}},
		{`externalId = "x7" AND name = ingrid`, nil},
	} {
		t.Run(tt.filter, func(t *testing.T) {
			if got := found(t, w, acme, listing.Request{Filter: tt.filter, PageSize: 1}); !slices.Equal(got, tt.want) {
				t.Errorf("List = %v, want %v", got, tt.want)
			}
		})
	}
	for _, by := range []string{"createdAt", "lastSignInAt desc"} {
		req := listing.Request{Filter: "name = hal", OrderBy: by}
		if _, err := w.Users.List(t.Context(), acme, req); !errors.Is(err, listing.ErrOrderBy) {
			t.Errorf("a search by %s: error = %v, want %v", by, err, listing.ErrOrderBy)
		}
	}
}

// What somebody was called no longer finds them, and who is erased leaves nothing to search.
func TestSearchForgets(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	id := person(t, w, acme, "before-1", "ingrid@example.com", "Ingrid Halvorsen")
	name, external := "Sofie Lund", "after-1"
	if _, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: id, DisplayName: &name, Name: &name, ExternalID: &external}); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]int{"name = ingrid": 0, "externalIdPrefix = before": 0, "name = sofie": 1, "externalIdPrefix = after": 1} {
		if got := found(t, w, acme, listing.Request{Filter: filter}); len(got) != want {
			t.Errorf("after an update %s finds %v, want %d", filter, got, want)
		}
	}
	if _, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: id}); err != nil {
		t.Fatal(err)
	}
	var left int
	err := w.Superuser(t).QueryRow(t.Context(),
		"SELECT (SELECT count(*) FROM user_terms WHERE user_id = $1) + (SELECT count(*) FROM user_facts WHERE user_id = $1)", id.UUID()).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("an erased user left %d rows to search by, %v", left, err)
	}
}

// Users from before there were terms get theirs with the work on keys.
func TestTermsAreFilled(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	id := person(t, w, acme, "cust_1", "ingrid@example.com", "Ingrid Halvorsen")
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE users SET terms = NULL WHERE id = $1", id.UUID()); err != nil {
		t.Fatal(err)
	}
	if got := found(t, w, acme, listing.Request{Filter: "name = ingrid"}); len(got) != 0 {
		t.Fatalf("without terms List finds %v", got)
	}
	if done, err := w.Users.Reseal(t.Context(), acme, 100); err != nil || done != 1 {
		t.Fatalf("Reseal = %d, %v, want 1", done, err)
	}
	if got := found(t, w, acme, listing.Request{Filter: "name = ingrid"}); len(got) != 1 {
		t.Errorf("with terms List finds %v, want one", got)
	}
	if done, err := w.Users.Reseal(t.Context(), acme, 100); err != nil || done != 0 {
		t.Errorf("Reseal again = %d, %v, want 0", done, err)
	}
}

// A list by sign-ins knows those that came since the last one, once, also from sessions that
// were committed late; who never signed in comes last. Not looking back a minute turns the
// late one red.
func TestListBySignIn(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada, bob, eve, dan := w.User(t, acme), w.User(t, acme), w.User(t, acme), w.User(t, acme)
	phone := w.Enroll(t, acme, ada, 1)[0]
	key := w.Enroll(t, acme, bob, 1)[0]
	w.SignIn(t, acme, phone)
	list := func(req listing.Request) (names []string) {
		t.Helper()
		for _, id := range found(t, w, acme, req) {
			for name, u := range map[string]user.User{"ada": ada, "bob": bob, "eve": eve, "dan": dan} {
				if u.ExternalID == id {
					names = append(names, name)
				}
			}
		}
		return names
	}
	last := listing.Request{OrderBy: "lastSignInAt desc", PageSize: 1}
	if got, want := list(last), []string{"ada", "dan", "eve", "bob"}; !slices.Equal(got, want) {
		t.Fatalf("List = %v, want %v", got, want)
	}
	w.SignIn(t, acme, key)
	if got, want := list(last), []string{"bob", "ada", "dan", "eve"}; !slices.Equal(got, want) {
		t.Errorf("after another sign-in List = %v, want %v", got, want)
	}
	late := time.Now().Add(-30 * time.Second)
	if err := w.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return tx.InsertSession(t.Context(), tenantq.InsertSessionParams{
			ID: idAt(late), UserID: eve.ID.UUID(), CredentialID: []byte{1}, Aal: 2, CreatedAt: late, ExpiresAt: late.Add(time.Hour),
		})
	}); err != nil {
		t.Fatal(err)
	}
	if got, want := list(last), []string{"bob", "ada", "eve", "dan"}; !slices.Equal(got, want) {
		t.Errorf("after a late commit List = %v, want %v", got, want)
	}
	up := listing.Request{OrderBy: "lastSignInAt", PageSize: 3}
	if got, want := list(up), []string{"dan", "eve", "ada", "bob"}; !slices.Equal(got, want) {
		t.Errorf("List upwards = %v, want %v", got, want)
	}
	for filter, want := range map[string][]string{
		"lastSignInAt < " + time.Now().Add(-10*time.Second).Format(time.RFC3339Nano): {"dan", "eve"},
		"lastSignInAt >= " + time.Now().Add(-time.Hour).Format(time.RFC3339Nano):     {"eve", "bob", "ada"},
		"lastSignInAt < 1971-01-01T00:00:00Z":                                        {"dan"},
	} {
		if got := list(listing.Request{Filter: filter}); !slices.Equal(got, want) {
			t.Errorf("%s = %v, want %v", filter, got, want)
		}
	}
}

func idAt(at time.Time) (id [16]byte) {
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70
	return id
}

// The number of passkeys follows what can sign in, through each change of a credential.
// Dropping the trigger on credentials turns it red.
func TestListPasskeys(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada, bare := w.User(t, acme), w.User(t, acme)
	keys := w.Enroll(t, acme, ada, 2)
	kinds := func() int {
		t.Helper()
		page, err := w.Users.List(t.Context(), acme, listing.Request{Filter: fmt.Sprintf("externalId = %q", ada.ExternalID)})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("List = %v, %v", page, err)
		}
		return len(page.Items[0].Passkeys)
	}
	without := func() []string { return found(t, w, acme, listing.Request{Filter: "hasPasskey = false"}) }
	if n := kinds(); n != 2 {
		t.Errorf("passkeys = %d, want 2", n)
	}
	if got := without(); !slices.Equal(got, []string{bare.ExternalID}) {
		t.Errorf("without a passkey = %v", got)
	}
	if _, err := w.Credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: keys[0].ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: keys[1].ID, AllowLast: true}); err != nil {
		t.Fatal(err)
	}
	if n := kinds(); n != 0 {
		t.Errorf("passkeys of a suspended and a revoked one = %d, want 0", n)
	}
	if got := without(); !slices.Equal(got, []string{bare.ExternalID, ada.ExternalID}) {
		t.Errorf("without a passkey = %v, want both", got)
	}
	if _, err := w.Credentials.Resume(t.Context(), acme, credential.StateRequest{ID: keys[0].ID}); err != nil {
		t.Fatal(err)
	}
	if got := found(t, w, acme, listing.Request{Filter: "hasPasskey = true"}); !slices.Equal(got, []string{ada.ExternalID}) {
		t.Errorf("with a passkey = %v", got)
	}
	if total, err := w.Users.Count(t.Context(), acme); err != nil || total != (user.Totals{Users: 2, Enrolled: 1}) {
		t.Errorf("Count = %+v, %v, want 2 users, 1 enrolled", total, err)
	}
}

// Names of many are read at once, and nobody's of another tenant.
func TestProfiles(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada, other := w.User(t, acme), w.User(t, globex)
	damaged, _ := w.Store.User(t, acme, 0)
	got, err := w.Users.Profiles(t.Context(), acme, []user.ID{ada.ID, ada.ID, other.ID, user.ID(damaged)})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[ada.ID].Name != ada.Name || got[user.ID(damaged)] != (user.Profile{}) {
		t.Errorf("Profiles = %v, want ada's and an empty one", got)
	}
}

// Every list is a walk along an index, also behind row-level security, and sorts nothing.
// Dropping an index turns its case red.
func TestListIndexes(t *testing.T) {
	w := authcoretest.On(t, dbtest.Fresh(t))
	acme := w.Tenant(t)
	many(t, w, acme, 20_000)
	const nobody = "'00000000-0000-0000-0000-000000000000'"
	for _, tt := range []struct{ name, sql, args, index string }{
		{"newest", tenantq.ListUserFactsNewest, "NULL, NULL, NULL, NULL, NULL, NULL, NULL, 51", "user_facts_pkey"},
		{"oldest", tenantq.ListUserFactsOldest, "NULL, NULL, NULL, NULL, NULL, NULL, NULL, 51", "user_facts_pkey"},
		{"next page", tenantq.ListUserFactsNewest, "'ffffffff-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL, NULL, NULL, 51", "user_facts_pkey"},
		{"blocked", tenantq.ListUserFactsNewest, "NULL, 'BLOCKED', NULL, NULL, NULL, NULL, NULL, 51", "user_facts_state"},
		{"without a passkey", tenantq.ListUserFactsNewest, "NULL, NULL, true, NULL, NULL, NULL, NULL, 51", "user_facts_bare"},
		{"by sign-in", tenantq.ListUserFactsLastSeen, "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 51", "user_facts_sign_in"},
		{"by sign-in, next page", tenantq.ListUserFactsLastSeen, nobody + ", now(), NULL, NULL, NULL, NULL, NULL, NULL, 51", "user_facts_sign_in"},
		{"longest away", tenantq.ListUserFactsLongestAway, "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 51", "user_facts_sign_in"},
		{"search", tenantq.SearchUserTerms, "21, 17, NULL, '{18}', 19", "user_terms_pkey"},
		{"rows of a page", tenantq.GetUserRows, "'{" + strings.Trim(nobody, "'") + "}'", "users_pkey"},
		{"sign-ins since", tenantq.FoldSignIns, nobody + ", 20", "sessions_pkey"},
		{"credentials", tenantq.ListCredentialsOfTenant, "'{ACTIVE}', NULL, NULL, NULL, NULL, NULL, false, '{}', false, NULL, NULL, '{NONE}', NULL, NULL, 51", "credentials_created"},
		{"credentials of a model", tenantq.ListCredentialsOfTenant, "'{ACTIVE}', NULL, NULL, NULL, NULL, " + nobody + ", false, '{}', false, NULL, NULL, '{NONE}', NULL, NULL, 51", "credentials_model_created"},
		{"sessions", tenantq.ListSessionsOfTenant, "NULL, NULL, NULL, NULL, NULL, NULL, true, now(), NULL, NULL, NULL, NULL, 51", "sessions_pkey"},
		{"sessions of a user", tenantq.ListSessionsOfTenant, "NULL, NULL, NULL, " + nobody + ", NULL, NULL, NULL, now(), NULL, NULL, NULL, NULL, 51", "sessions_user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := plan(t, w, acme, tt.sql, tt.args)
			if err != nil || !strings.Contains(text, tt.index) || strings.Contains(text, "Seq Scan on") {
				t.Errorf("%v, want a plan over %s:\n%s", err, tt.index, text)
			}
		})
	}
}

// plan is how Postgres runs sql as bc_app, in a tenant, for these values.
func plan(t testing.TB, w *authcoretest.World, sc scope.Scope, sql, args string) (string, error) {
	t.Helper()
	var lines []string
	err := pgx.BeginFunc(t.Context(), w.As(t, db.RoleApp), func(tx pgx.Tx) error {
		for _, sql := range []string{
			"SELECT set_config('app.tenant_id', '" + sc.Tenant().String() + "', true)",
			"SELECT set_config('plan_cache_mode', 'force_custom_plan', true)",
			"PREPARE asked AS " + sql,
		} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		rows, err := tx.Query(t.Context(), "EXPLAIN (COSTS OFF) EXECUTE asked("+args+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return strings.Join(lines, "\n"), err
}

// many makes so many users, each with a passkey but every third, and a session of each tenth,
// in two statements. Their profiles do not open.
func many(t testing.TB, w *authcoretest.World, sc scope.Scope, n int) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), w.As(t, db.RoleApp), func(tx pgx.Tx) error {
		for _, sql := range []string{
			"SELECT set_config('app.tenant_id', '" + sc.Tenant().String() + "', true)",
			fmt.Sprintf(`INSERT INTO users (id, handle, external_index, profile_sealed, terms, state, created_at, updated_at)
				SELECT gen_random_uuid(), decode(md5(i::text), 'hex'), sha256(i::text::bytea), '\x0100000001'::bytea || sha256(i::text::bytea),
				  ARRAY[i %% 65536, (i * 7) %% 65536, (i * 31) %% 65536, i %% 100, i %% 1000], CASE WHEN i %% 1000 = 0 THEN 'BLOCKED' ELSE 'ACTIVE' END, now(), now()
				FROM generate_series(1, %d) i`, n),
			`INSERT INTO credentials (id, user_id, sign_count, backed_up, backup_eligible, public_key, algorithm, aaguid, attestation_format, attestation_type, registered_via, created_at, updated_at)
				SELECT uuid_send(id), id, 0, false, false, '\x00', -7, md5((get_byte(uuid_send(id), 3) % 40)::text)::uuid, 'none', 'NONE', 'SERVER_KEY', now() - get_byte(uuid_send(id), 1) * interval '1 hour', now()
				FROM users WHERE get_byte(uuid_send(id), 0) % 3 > 0`,
			`INSERT INTO sessions (id, user_id, credential_id, aal, user_verified, created_at, last_used_at, expires_at)
				SELECT gen_random_uuid(), id, uuid_send(id), 2, true, now() - get_byte(uuid_send(id), 1) * interval '1 hour', now(), now() + interval '1 day' FROM users WHERE get_byte(uuid_send(id), 2) % 10 = 0`,
			`UPDATE user_facts SET last_sign_in_at = now() - get_byte(uuid_send(user_id), 1) * interval '1 hour' - get_byte(uuid_send(user_id), 4) * interval '1 second' WHERE NOT bare`,
		} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("make many: %v", err)
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "VACUUM ANALYZE users, user_facts, user_terms, credentials, sessions"); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkListMany is what lists cost Postgres with BIOCORE_BENCH_USERS users: a million for
// the figures of ADR 0042.
func BenchmarkListMany(b *testing.B) {
	w := authcoretest.On(b, dbtest.Fresh(b))
	acme := w.Tenant(b)
	n := 100_000
	if text := os.Getenv("BIOCORE_BENCH_USERS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	many(b, w, acme, n)
	blocked, bare, past := "BLOCKED", true, time.Unix(0, 0)
	first, other := int32(17), int32(18)
	for _, tt := range []struct {
		name string
		run  func(*db.TenantTx) error
	}{
		{"newest", func(tx *db.TenantTx) error {
			_, err := tx.ListUserFactsNewest(b.Context(), tenantq.ListUserFactsNewestParams{MaxRows: 51})
			return err
		}},
		{"blocked", func(tx *db.TenantTx) error {
			_, err := tx.ListUserFactsNewest(b.Context(), tenantq.ListUserFactsNewestParams{State: &blocked, MaxRows: 51})
			return err
		}},
		{"without a passkey", func(tx *db.TenantTx) error {
			_, err := tx.ListUserFactsNewest(b.Context(), tenantq.ListUserFactsNewestParams{Bare: &bare, MaxRows: 51})
			return err
		}},
		{"by sign-in", func(tx *db.TenantTx) error {
			_, err := tx.ListUserFactsLastSeen(b.Context(), tenantq.ListUserFactsLastSeenParams{MaxRows: 51})
			return err
		}},
		{"blocked by sign-in", func(tx *db.TenantTx) error {
			_, err := tx.ListUserFactsLastSeen(b.Context(), tenantq.ListUserFactsLastSeenParams{State: &blocked, MaxRows: 51})
			return err
		}},
		{"by sign-in, made before all", func(tx *db.TenantTx) error {
			_, err := tx.ListUserFactsLastSeen(b.Context(), tenantq.ListUserFactsLastSeenParams{CreatedBefore: &past, MaxRows: 51})
			return err
		}},
		{"two words", func(tx *db.TenantTx) error {
			_, err := tx.SearchUserTerms(b.Context(), tenantq.SearchUserTermsParams{First: &first, Others: []int32{other}, MaxRows: 500})
			return err
		}},
		{"one word of 1 % of all", func(tx *db.TenantTx) error {
			_, err := tx.SearchUserTerms(b.Context(), tenantq.SearchUserTermsParams{First: &first, Others: []int32{}, MaxRows: 500})
			return err
		}},
		{"count", func(tx *db.TenantTx) error {
			_, err := tx.CountUserFacts(b.Context(), user.MaxTotals+1)
			return err
		}},
		{"credentials of a trust that none has", func(tx *db.TenantTx) error {
			_, err := tx.ListCredentialsOfTenant(b.Context(), tenantq.ListCredentialsOfTenantParams{
				States: []string{"ACTIVE"}, Trusts: []string{"MDS"}, Models: []uuid.UUID{}, MaxRows: 51,
			})
			return err
		}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				err := w.ReadTenant(b.Context(), acme, func(tx *db.TenantTx) error {
					if err := tx.PlanByValue(b.Context()); err != nil {
						return err
					}
					return tt.run(tx)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
