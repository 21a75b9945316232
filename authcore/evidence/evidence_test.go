package evidence_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const origin = "https://login.example.org"

// vault is a server with evidence in a folder.
type vault struct {
	*authcoretest.World
	*evidence.Service
	dir     string // of the objects
	objects *blob.Bucket
	days    int // of retention, by policy
}

func newVault(t testing.TB) *vault {
	t.Helper()
	return vaultOn(t, authcoretest.New(t))
}

func vaultOn(t testing.TB, w *authcoretest.World) *vault {
	t.Helper()
	v := &vault{World: w, dir: t.TempDir(), days: 365}
	var err error
	if v.objects, err = blob.Open(t.Context(), "file://"+v.dir); err != nil {
		t.Fatal(err)
	}
	v.Service = v.with(w, v.objects)
	return v
}

// with is a service on another server's keys, or other objects.
func (v *vault) with(w *authcoretest.World, objects *blob.Bucket) *evidence.Service {
	return evidence.New(evidence.Options{
		Store: w.Store.Store, Keys: w.Keys, Objects: objects, Log: slog.New(slog.DiscardHandler),
		Policy: func(context.Context, scope.Scope) (policy.Document, error) {
			p := policy.Default()
			p.EvidenceRetentionDays = v.days
			return p, nil
		},
	})
}

// registration is one as the ceremony hands it in, of an authenticator that attests.
func registration(t testing.TB, owner *user.User) evidence.Registration {
	t.Helper()
	return registrationOf(t, owner, authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: uuid.New()}, authenticatortest.Deviation{})
}

func registrationOf(t testing.TB, owner *user.User, o authenticatortest.Options, dev authenticatortest.Deviation) evidence.Registration {
	t.Helper()
	a, err := authenticatortest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return registrationBy(t, owner, a, dev, time.Now().UTC().Truncate(time.Microsecond))
}

func registrationBy(t testing.TB, owner *user.User, a *authenticatortest.Authenticator, dev authenticatortest.Deviation, at time.Time) evidence.Registration {
	t.Helper()
	p := policy.Default()
	in := evidence.Registration{
		CeremonyID: uuid.Must(uuid.NewV7()), At: at, Outcome: "ALLOW",
		RP:            webauthn.RP{ID: "example.org", Name: "Example", Origins: []string{origin}},
		Expectation:   webauthn.RegistrationExpectation{Challenge: []byte("a challenge of thirty-two bytes."), Algorithms: []webauthn.Algorithm{webauthn.ES256}},
		PolicyVersion: 1, Policy: &p, Facts: []byte(`{"origin":"` + origin + `"}`),
	}
	if owner != nil {
		id := owner.ID.UUID()
		in.UserID = &id
	}
	options, err := json.Marshal(webauthn.CreationOptions{
		RP: webauthn.Entity{ID: in.RP.ID, Name: in.RP.Name}, User: webauthn.UserEntity{ID: []byte("handle"), Name: "ada", DisplayName: "Ada"},
		Challenge: in.Expectation.Challenge, Algorithms: in.Expectation.Algorithms, Timeout: time.Minute, Attestation: "direct",
	})
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.CreateWith(options, origin, dev)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	response, err := webauthn.ParseRegistrationResponse(text)
	if err != nil {
		t.Fatal(err)
	}
	in.Response, in.Expectation.At = &response, at
	verified, err := webauthn.VerifyRegistration(in.RP, in.Expectation, response)
	if err == nil {
		in.Verified = &verified
	} else {
		in.Outcome, in.Reason = "FAILED", webauthn.ErrAttestation.Reason
	}
	return in
}

// keep keeps one in a transaction of its own.
func (v *vault) keep(t testing.TB, s *evidence.Service, sc scope.Scope, in evidence.Registration) evidence.Kept {
	t.Helper()
	var kept evidence.Kept
	err := v.InTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
		kept, err = s.Keep(t.Context(), tx, v.Ring(t, sc), in)
		return err
	})
	if err != nil {
		t.Fatalf("Keep: %v", err)
	}
	return kept
}

// files are the objects of a tenant.
func (v *vault) files(t testing.TB, sc scope.Scope) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(v.dir, "evidence", sc.Tenant().String()))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (v *vault) maintain(t testing.TB, sc scope.Scope) {
	t.Helper()
	if err := v.Maintain(t.Context(), sc); err != nil {
		t.Fatalf("Maintain: %v", err)
	}
}

// one counts rows, behind the wall.
func (v *vault) one(t testing.TB, sql string, args ...any) (n int) {
	t.Helper()
	if err := v.Superuser(t).QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEvidenceMovesToObjectStorage(t *testing.T) {
	v := newVault(t)
	acme, globex := v.Tenant(t), v.Tenant(t)
	ada := v.User(t, acme)
	in := registration(t, &ada)
	kept := v.keep(t, v.Service, acme, in)

	before, err := v.Get(t.Context(), acme, kept.ID)
	if err != nil || before.StoredAt != nil || before.Outcome != "ALLOW" || *before.UserID != ada.ID.UUID() ||
		string(before.CredentialID) != string(in.Verified.CredentialID) || before.AAGUID != in.Verified.AAGUID || before.Format != "packed" ||
		string(before.SHA256) != string(kept.SHA256[:]) || !before.ExpiresAt.Equal(in.At.AddDate(0, 0, 365)) {
		t.Errorf("Get = %+v, %v", before, err)
	}
	for _, stage := range []string{"waiting", "stored"} {
		_, file, err := v.Download(t.Context(), acme, kept.ID)
		if err != nil {
			t.Fatalf("%s: Download: %v", stage, err)
		}
		if r := evidence.VerifyFile(file, v.Ring(t, acme).JWKS()); !r.Valid || r.Record.CeremonyID != in.CeremonyID || string(r.SHA256) != string(kept.SHA256[:]) {
			t.Errorf("%s: VerifyFile = %+v", stage, r)
		}
		if r, err := v.Verify(t.Context(), acme, kept.ID); err != nil || !r.Valid {
			t.Errorf("%s: Verify = %+v, %v", stage, r, err)
		}
		v.maintain(t, acme)
	}
	after, err := v.Get(t.Context(), acme, kept.ID)
	if err != nil || after.StoredAt == nil {
		t.Errorf("Get after Maintain = %+v, %v", after, err)
	}
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1 AND body IS NULL", acme.Tenant()); n != 1 {
		t.Errorf("%d rows let go of the record, want 1", n)
	}
	if files := v.files(t, acme); len(files) != 1 || files[0] != kept.ID.String() {
		t.Errorf("objects = %v", files)
	}
	if n := v.AuditCount(t, acme, "evidence.download"); n != 2 {
		t.Errorf("%d downloads are recorded, want 2", n)
	}
	// Another tenant's looks absent.
	if _, err := v.Get(t.Context(), globex, kept.ID); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("Get by another tenant = %v", err)
	}
	if _, _, err := v.Download(t.Context(), globex, kept.ID); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("Download by another tenant = %v", err)
	}
	if _, err := v.Verify(t.Context(), globex, kept.ID); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("Verify by another tenant = %v", err)
	}
	v.maintain(t, globex)
	if files := v.files(t, acme); len(files) != 1 {
		t.Errorf("another tenant's Maintain left %v", files)
	}
}

// What is stored is noise: neither the object nor the row shows a byte of the record.
func TestEvidenceIsSealed(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	in := registration(t, nil)
	kept := v.keep(t, v.Service, acme, in)
	var body []byte
	if err := v.Superuser(t).QueryRow(t.Context(), "SELECT body FROM evidence WHERE id = $1", kept.ID).Scan(&body); err != nil {
		t.Fatal(err)
	}
	v.maintain(t, acme)
	object, err := os.ReadFile(filepath.Join(v.dir, "evidence", acme.Tenant().String(), kept.ID.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, sealed := range [][]byte{body, object} {
		for _, plain := range []string{evidence.Format, origin, base64.RawURLEncoding.EncodeToString(in.Expectation.Challenge)} {
			if len(sealed) < 1000 || strings.Contains(string(sealed), plain) {
				t.Errorf("%d sealed bytes show %q", len(sealed), plain)
			}
		}
	}
	// A byte that is changed, or another piece's object, does not open.
	other := v.keep(t, v.Service, acme, registration(t, nil))
	v.maintain(t, acme)
	object[100] ^= 1
	if err := v.objects.Put(t.Context(), acme, "evidence", kept.ID, object); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Download(t.Context(), acme, kept.ID); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("Download of a changed object = %v, want ErrSealed", err)
	}
	object[100] ^= 1
	if err := v.objects.Put(t.Context(), acme, "evidence", other.ID, object); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Download(t.Context(), acme, other.ID); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("Download of another's object = %v, want ErrSealed", err)
	}
	if err := v.objects.Delete(t.Context(), acme, "evidence", kept.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Download(t.Context(), acme, kept.ID); !errors.Is(err, evidence.ErrMissing) {
		t.Errorf("Download of a removed object = %v, want ErrMissing", err)
	}
}

// Object storage that is away keeps nobody waiting, and loses nothing.
func TestObjectStorageIsAway(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "made-up")
	away, err := blob.Open(t.Context(), "s3://bucket?region=eu-central-1&endpoint=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	s := v.with(v.World, away)
	kept := v.keep(t, s, acme, registration(t, nil))
	if err := s.Maintain(t.Context(), acme); err != nil {
		t.Fatalf("Maintain = %v, want nil: it puts things off", err)
	}
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1 AND body IS NOT NULL AND due_at BETWEEN now() + interval '4 minutes' AND now() + interval '6 minutes'", acme.Tenant()); n != 1 {
		t.Errorf("%d records wait, and are due in minutes; want 1", n)
	}
	if _, file, err := s.Download(t.Context(), acme, kept.ID); err != nil || !evidence.VerifyFile(file, nil).Valid {
		t.Errorf("Download while it waits: %v", err)
	}
	v.maintain(t, acme) // it is back
	if len(v.files(t, acme)) != 1 {
		t.Error("what waited was not stored")
	}
	if _, _, err := s.Download(t.Context(), acme, kept.ID); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("Download = %v, want ErrUnavailable", err)
	}
	if got := s.Stats(); got != (evidence.Stats{Postponed: 1}) {
		t.Errorf("Stats = %+v, want one that was put off", got)
	}
}

// An outage, or a lock on the bucket, keeps nothing beyond its time: nobody is given it
// from that moment on, and the next maintenance destroys its key, though another piece
// waits that cannot be put.
func TestExpiryNeedsNoObjectStorage(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	kept := v.keep(t, v.Service, acme, registration(t, nil))
	v.maintain(t, acme)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "made-up")
	away, err := blob.Open(t.Context(), "s3://bucket?region=eu-central-1&endpoint=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	s := v.with(v.World, away)
	v.keep(t, s, acme, registration(t, nil)) // waits, and is the first that is looked at
	if _, err := v.Superuser(t).Exec(t.Context(), "UPDATE evidence SET at = at - interval '365 days', expires_at = now(), due_at = now() WHERE id = $1", kept.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), acme, kept.ID); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("Get of what has expired and is not cleared away = %v, want ErrNotFound", err)
	}
	if _, _, err := s.Download(t.Context(), acme, kept.ID); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("Download = %v, want ErrNotFound", err)
	}
	if page, err := s.List(t.Context(), acme, listing.Request{}); err != nil || len(page.Items) != 1 {
		t.Errorf("List = %+v, %v, want the other alone", page.Items, err)
	}
	if err := s.Maintain(t.Context(), acme); err != nil {
		t.Errorf("Maintain = %v", err)
	}
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE id = $1 AND record_key IS NULL", kept.ID); n != 1 {
		t.Error("its key was not destroyed")
	}
	if len(v.files(t, acme)) != 1 {
		t.Error("its object should wait for object storage")
	}
	if _, err := v.Superuser(t).Exec(t.Context(), "UPDATE evidence SET due_at = now()"); err != nil { // five minutes later
		t.Fatal(err)
	}
	v.maintain(t, acme)
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE id = $1", kept.ID); n != 0 {
		t.Error("its row was not removed once object storage was back")
	}
}

// Without object storage evidence stays in Postgres, and moves when there is one.
func TestWithoutObjectStorage(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	s := v.with(v.World, nil)
	kept := v.keep(t, s, acme, registration(t, nil))
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1 AND due_at = expires_at", acme.Tenant()); n != 1 {
		t.Error("the maintenance is asked to move what has nowhere to go")
	}
	if err := s.Maintain(t.Context(), acme); err != nil {
		t.Errorf("Maintain = %v", err)
	}
	if _, file, err := s.Download(t.Context(), acme, kept.ID); err != nil || !evidence.VerifyFile(file, nil).Valid {
		t.Errorf("Download: %v", err)
	}
	v.maintain(t, acme)
	if len(v.files(t, acme)) != 1 {
		t.Error("it did not move")
	}
}

// Whoever erases a user erases the evidence, whichever release does it: this test's
// DELETE knows of no evidence. Removing the trigger turns it red.
func TestErasingAUserErasesTheEvidence(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	ada, bob := v.User(t, acme), v.User(t, acme)
	stored := v.keep(t, v.Service, acme, registration(t, &ada))
	v.maintain(t, acme)
	waiting := v.keep(t, v.Service, acme, registration(t, &ada))
	others := v.keep(t, v.Service, acme, registration(t, &bob))
	if _, err := v.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []uuid.UUID{stored.ID, waiting.ID} {
		if _, err := v.Get(t.Context(), acme, id); !errors.Is(err, evidence.ErrNotFound) {
			t.Errorf("Get after the erasure = %v, want ErrNotFound", err)
		}
		if _, _, err := v.Download(t.Context(), acme, id); !errors.Is(err, evidence.ErrNotFound) {
			t.Errorf("Download after the erasure = %v, want ErrNotFound", err)
		}
	}
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1 AND (record_key IS NOT NULL OR body IS NOT NULL OR credential_id IS NOT NULL) AND user_id IS NULL", acme.Tenant()); n != 0 {
		t.Errorf("%d rows of the erased still hold something", n)
	}
	v.maintain(t, acme)
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1", acme.Tenant()); n != 1 {
		t.Errorf("%d rows are left, want the other user's", n)
	}
	if files := v.files(t, acme); len(files) != 1 || files[0] != others.ID.String() {
		t.Errorf("objects = %v, want the other user's", files)
	}
}

func TestRetention(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	none := registration(t, nil)
	none.Policy.EvidenceRetentionDays = 0
	if kept := v.keep(t, v.Service, acme, none); kept.Ref() != nil {
		t.Errorf("a policy that keeps none kept %v", kept.ID)
	}
	young := v.keep(t, v.Service, acme, registration(t, nil))
	in := registration(t, nil)
	in.At = in.At.AddDate(0, 0, -40)
	old := v.keep(t, v.Service, acme, in)
	v.maintain(t, acme)
	if len(v.files(t, acme)) != 2 {
		t.Fatal("both should be stored")
	}
	v.days = 30 // which reaches what is kept already
	v.maintain(t, acme)
	if _, err := v.Get(t.Context(), acme, old.ID); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("Get of what has expired = %v", err)
	}
	if files := v.files(t, acme); len(files) != 1 || files[0] != young.ID.String() {
		t.Errorf("objects = %v", files)
	}
	if n := v.AuditCount(t, acme, "evidence.expire"); n != 1 {
		t.Errorf("%d audit entries of the expiry, want 1", n)
	}
	if got, err := v.Get(t.Context(), acme, young.ID); err != nil || !got.ExpiresAt.Equal(got.At.AddDate(0, 0, 30)) {
		t.Errorf("Get of the young one = %+v, %v", got, err)
	}
	v.days = 0 // speaks of what is to come
	v.maintain(t, acme)
	if _, err := v.Get(t.Context(), acme, young.ID); err != nil {
		t.Errorf("a policy that keeps no more destroyed what was kept: %v", err)
	}
	// A lock on the bucket, or an outage: the key is gone all the same.
	v.days = 1
	if _, err := v.Superuser(t).Exec(t.Context(), "UPDATE evidence SET at = at - interval '2 days', retention_days = 2 WHERE id = $1", young.ID); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(v.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = v.Maintain(t.Context(), acme)
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE id = $1 AND record_key IS NOT NULL", young.ID); n != 0 {
		t.Error("what has expired can be opened as long as its object stays")
	}
}

// A data key is destroyed a day after nothing is sealed under it: evidence counts.
func TestReseal(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	var kept []evidence.Kept
	for range 3 {
		kept = append(kept, v.keep(t, v.Service, acme, registration(t, nil)))
	}
	v.maintain(t, acme)
	object, err := v.objects.Get(t.Context(), acme, "evidence", kept[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	s := v.with(v.NextDataKey(t, acme), v.objects)
	for i, want := range []int{2, 1, 0} {
		if n, err := s.Reseal(t.Context(), acme, 2); err != nil || n != want {
			t.Errorf("Reseal %d = %d, %v, want %d", i, n, err, want)
		}
	}
	if n := v.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1 AND key_version = 2", acme.Tenant()); n != 3 {
		t.Errorf("%d record keys are sealed under the new data key, want 3", n)
	}
	for _, k := range kept {
		if r, err := s.Verify(t.Context(), acme, k.ID); err != nil || !r.Valid {
			t.Errorf("Verify after Reseal = %+v, %v", r, err)
		}
	}
	if again, err := v.objects.Get(t.Context(), acme, "evidence", kept[0].ID); err != nil || string(again) != string(object) {
		t.Error("Reseal touched an object")
	}
	// What does not open is told, and keeps nothing else.
	if _, err := v.Superuser(t).Exec(t.Context(), "UPDATE evidence SET record_key = sha256('x') || record_key, key_version = 1 WHERE id = $1", kept[1].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Superuser(t).Exec(t.Context(), "UPDATE evidence SET key_version = 1 WHERE id = $1", kept[2].ID); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Reseal(t.Context(), acme, 10); n != 1 || !errors.Is(err, keys.ErrSealed) || !strings.Contains(err.Error(), kept[1].ID.String()) {
		t.Errorf("Reseal with a damaged one = %d, %v", n, err)
	}
}

// A tenant's end: without the data keys nothing opens, objects or not.
func TestShredding(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	kept := v.keep(t, v.Service, acme, registration(t, nil))
	v.maintain(t, acme)
	if _, err := v.Superuser(t).Exec(t.Context(), "DELETE FROM data_keys WHERE tenant_id = $1", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	fresh := v.with(v.Later(t, time.Second), v.objects) // with no ring in its cache
	if _, _, err := fresh.Download(t.Context(), acme, kept.ID); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("Download without data keys = %v, want ErrNoKeys", err)
	}
}

func TestList(t *testing.T) {
	v := newVault(t)
	acme, globex := v.Tenant(t), v.Tenant(t)
	ada := v.User(t, acme)
	good := registration(t, &ada)
	one := v.keep(t, v.Service, acme, good)
	refused := registrationOf(t, nil, authenticatortest.Options{Attestation: authenticatortest.PackedX5C}, authenticatortest.Deviation{WrongKey: true})
	if refused.Verified != nil {
		t.Fatal("a wrong signature verifies")
	}
	two := v.keep(t, v.Service, acme, refused)
	v.keep(t, v.Service, globex, registration(t, nil))
	for _, tt := range []struct {
		filter string
		want   []uuid.UUID
	}{
		{"", []uuid.UUID{two.ID, one.ID}},
		{"outcome = FAILED", []uuid.UUID{two.ID}},
		{"outcome != FAILED", []uuid.UUID{one.ID}},
		{"userId = " + ada.ID.String(), []uuid.UUID{one.ID}},
		{`credentialId = "` + base64.RawURLEncoding.EncodeToString(good.Verified.CredentialID) + `"`, []uuid.UUID{one.ID}},
		{"aaguid = " + good.Verified.AAGUID.String(), []uuid.UUID{one.ID}},
		{"aaguid = " + uuid.NewString(), nil},
		{"trust = MDS", nil},
		{"trust = NONE AND createdAt > 2020-01-01T00:00:00Z", []uuid.UUID{two.ID, one.ID}},
		{"createdAt < 2020-01-01T00:00:00Z", nil},
		{"userId = " + ada.ID.String() + " AND userId = " + uuid.NewString(), nil},
	} {
		page, err := v.List(t.Context(), acme, listing.Request{Filter: tt.filter})
		if err != nil {
			t.Errorf("List(%s): %v", tt.filter, err)
		}
		var got []uuid.UUID
		for _, e := range page.Items {
			got = append(got, e.ID)
		}
		if len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] {
			t.Errorf("List(%s) = %v, want %v", tt.filter, got, tt.want)
		}
	}
	first, err := v.List(t.Context(), acme, listing.Request{PageSize: 1})
	if err != nil || len(first.Items) != 1 || first.NextToken == "" {
		t.Fatalf("the first page = %+v, %v", first, err)
	}
	second, err := v.List(t.Context(), acme, listing.Request{PageSize: 1, PageToken: first.NextToken})
	if err != nil || len(second.Items) != 1 || second.Items[0].ID != one.ID || second.NextToken != "" {
		t.Errorf("the second page = %+v, %v", second, err)
	}
	for _, bad := range []string{"userId = x", "aaguid = 1", "credentialId = =", "outcome = MAYBE", "colour = red", "userId != " + ada.ID.String()} {
		if _, err := v.List(t.Context(), acme, listing.Request{Filter: bad}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("List(%s) = %v, want ErrFilter", bad, err)
		}
	}
	if _, err := v.List(t.Context(), globex, listing.Request{PageToken: first.NextToken}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another tenant's page token = %v", err)
	}
}

// The record of what was refused proves that it had to be.
func TestRefusalsVerify(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	for name, in := range map[string]evidence.Registration{
		"a wrong attestation signature": registrationOf(t, nil, authenticatortest.Options{Attestation: authenticatortest.PackedX5C}, authenticatortest.Deviation{WrongKey: true}),
		"policy": func() evidence.Registration {
			in := registration(t, nil)
			in.Outcome, in.Reason = "FAILED", "ATTESTATION_UNTRUSTED"
			return in
		}(),
	} {
		kept := v.keep(t, v.Service, acme, in)
		if r, err := v.Verify(t.Context(), acme, kept.ID); err != nil || !r.Valid {
			t.Errorf("%s: Verify = %+v, %v", name, r, err)
		}
	}
	lied := registration(t, nil)
	lied.Outcome, lied.Reason = "FAILED", webauthn.ErrAttestation.Reason
	kept := v.keep(t, v.Service, acme, lied)
	if r, err := v.Verify(t.Context(), acme, kept.ID); err != nil || r.Valid || r.Steps[len(r.Steps)-1].OK {
		t.Errorf("refused for what is well: Verify = %+v, %v", r, err)
	}
}
