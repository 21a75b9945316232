package tenant_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// publicKey is RFC 7518's example of a key to agree with (appendix C).
const publicKey = `{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","kid":"bob"}`

func isTrue(v any) bool {
	b, ok := v.(bool)
	return ok && b
}

func TestUpdateSettings(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	sc := of(made)
	update := func(req tenant.UpdateSettingsRequest) (tenant.Settings, error) {
		return f.svc.UpdateSettings(t.Context(), sc, req)
	}
	read, err := f.svc.Settings(t.Context(), sc)
	if err != nil || read.RPID != "acme.example" || read.Audience() != "acme.example" || read.Policy.AccessTokenSeconds != 600 {
		t.Fatalf("Settings = %+v, %v", read, err)
	}
	got, err := update(tenant.UpdateSettingsRequest{
		RPName: new("Acme Login"), TokenAudience: new("https://api.acme.example"), DirectTokens: new(true),
		EncryptionKey: []byte(publicKey), Reason: "the new gateway", IfMatch: read.ETag,
	})
	if err != nil || got.RPName != "Acme Login" || got.Name != made.Name || got.Audience() != "https://api.acme.example" ||
		!got.DirectTokens || !strings.Contains(got.EncryptionKey, `"bob"`) || got.ETag == read.ETag {
		t.Fatalf("UpdateSettings = %+v, %v", got, err)
	}
	entry := lastAudit(t, f.store.Store, sc)
	before, _ := entry["before"].(map[string]any)
	after, _ := entry["after"].(map[string]any)
	if entry["action"] != "settings.update" || entry["reason"] != "the new gateway" || before["audience"] != "" || after["audience"] != "https://api.acme.example" ||
		after["rpName"] != "Acme Login" || !isTrue(after["directTokens"]) || after["encryptionKey"] != got.EncryptionKey || after["origins"] != nil {
		t.Errorf("audit entry %v", entry)
	}
	if last := events(t, f.store.Store, sc); last[len(last)-1].Type != "settings.updated" {
		t.Errorf("last event = %s", last[len(last)-1].Type)
	}
	snap, err := f.svc.Current(t.Context(), sc)
	if err != nil || snap.Encryption == nil || snap.Encryption.KID != "bob" || snap.Audience() != got.Audience() {
		t.Errorf("the snapshot after it: %+v, %v", snap, err)
	}

	same, err := update(tenant.UpdateSettingsRequest{EncryptionKey: []byte(publicKey), Origins: made.Origins, DirectTokens: new(true)})
	if err != nil || same.ETag != got.ETag || f.store.AuditCount(t, sc, "settings.update") != 1 {
		t.Errorf("an update that changes nothing left a trace: %v", err)
	}
	if _, err := update(tenant.UpdateSettingsRequest{DirectTokens: new(false), IfMatch: read.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("an old etag = %v, want ErrMismatch", err)
	}
	back, err := update(tenant.UpdateSettingsRequest{TokenAudience: new(""), EncryptionKey: []byte{}})
	if err != nil || back.Audience() != "acme.example" || back.EncryptionKey != "" || !back.DirectTokens {
		t.Errorf("taken back = %+v, %v", back, err)
	}
}

// An accent in dark follows the one in light until somebody chooses it.
func TestAccentInDark(t *testing.T) {
	f := newFixture(t)
	sc := of(f.create(t))
	update := func(brand tenant.BrandRequest) tenant.Brand {
		t.Helper()
		got, err := f.svc.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{Brand: brand})
		if err != nil {
			t.Fatal(err)
		}
		return got.Brand
	}
	blue := update(tenant.BrandRequest{AccentColor: new("#1a5fb4")})
	red := update(tenant.BrandRequest{AccentColor: new("#8a1c1c")})
	if blue.AccentColorDark == "" || red.AccentColorDark == blue.AccentColorDark {
		t.Errorf("it does not follow: %+v, then %+v", blue, red)
	}
	const chosen = "#ffcc00"
	update(tenant.BrandRequest{AccentColorDark: new(chosen)})
	if kept := update(tenant.BrandRequest{AccentColor: new("#1a5fb4")}); kept.AccentColor != "#1a5fb4" || kept.AccentColorDark != chosen {
		t.Errorf("what was chosen is gone: %+v", kept)
	}
	if back := update(tenant.BrandRequest{AccentColorDark: new("")}); back != blue {
		t.Errorf("it does not follow again: %+v, want %+v", back, blue)
	}
	update(tenant.BrandRequest{AccentColorDark: new(chosen)})
	if none := update(tenant.BrandRequest{AccentColor: new("")}); none != (tenant.Brand{}) {
		t.Errorf("without an accent: %+v", none)
	}
}

func TestUpdateSettingsRefuses(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		name string
		mode tenant.Mode
		req  tenant.UpdateSettingsRequest
		want error
	}{
		{"a live tenant's RP ID, which it proves anew", tenant.Live, tenant.UpdateSettingsRequest{RPID: new("bank.example"), Origins: []string{"https://bank.example"}}, nil},
		{"a live tenant's RP ID on this machine", tenant.Live, tenant.UpdateSettingsRequest{RPID: new("localhost"), Origins: []string{"https://localhost"}}, tenant.ErrInvalid},
		{"a live tenant's RP ID as it is", tenant.Live, tenant.UpdateSettingsRequest{RPID: new("acme.example")}, nil},
		{"a test tenant's RP ID", tenant.Test, tenant.UpdateSettingsRequest{RPID: new("bank.example"), Origins: []string{"https://bank.example"}}, nil},
		{"an RP ID that strands the origins", tenant.Test, tenant.UpdateSettingsRequest{RPID: new("bank.example")}, tenant.ErrInvalid},
		{"a public suffix", tenant.Test, tenant.UpdateSettingsRequest{RPID: new("com"), Origins: []string{"https://a.com"}}, tenant.ErrInvalid},
		{"an origin elsewhere", tenant.Live, tenant.UpdateSettingsRequest{Origins: []string{"https://evil.example"}}, tenant.ErrInvalid},
		{"a name that nobody sees", tenant.Live, tenant.UpdateSettingsRequest{RPName: new("a\u200bb")}, tenant.ErrInvalid},
		{"an audience", tenant.Live, tenant.UpdateSettingsRequest{TokenAudience: new("urn:acme:api")}, nil},
		{"an audience of 512 bytes", tenant.Live, tenant.UpdateSettingsRequest{TokenAudience: new(strings.Repeat("a", 512))}, nil},
		{"an audience of 513 bytes", tenant.Live, tenant.UpdateSettingsRequest{TokenAudience: new(strings.Repeat("a", 513))}, tenant.ErrInvalid},
		{"an audience with a space", tenant.Live, tenant.UpdateSettingsRequest{TokenAudience: new("acme api")}, tenant.ErrInvalid},
		{"an audience with a letter beyond ASCII", tenant.Live, tenant.UpdateSettingsRequest{TokenAudience: new("acmé")}, tenant.ErrInvalid},
		{"an audience with a colon that is no URI", tenant.Live, tenant.UpdateSettingsRequest{TokenAudience: new(":acme")}, tenant.ErrInvalid},
		{"a private key", tenant.Live, tenant.UpdateSettingsRequest{EncryptionKey: []byte(strings.Replace(publicKey, "{", `{"d":"AAAA",`, 1))}, jwe.ErrKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made := f.create(t, func(r *tenant.CreateRequest) { r.Mode = tt.mode })
			got, err := f.svc.UpdateSettings(t.Context(), of(made), tt.req)
			if !errors.Is(err, tt.want) {
				t.Errorf("UpdateSettings = %+v, %v, want %v", got, err, tt.want)
			}
			if n := f.store.AuditCount(t, of(made), "settings.update"); tt.want != nil && n != 0 {
				t.Errorf("a refusal left %d entries", n)
			}
		})
	}
	made := f.create(t)
	f.store.User(t, of(made), 1)
	if _, err := f.svc.UpdateSettings(t.Context(), of(made), tenant.UpdateSettingsRequest{
		RPID: new("bank.example"), Origins: []string{"https://bank.example"},
	}); !errors.Is(err, tenant.ErrRPIDInUse) {
		t.Errorf("another RP ID with credentials = %v, want %v", err, tenant.ErrRPIDInUse)
	}
	for name, sc := range map[string]scope.Scope{"the platform": operator, "nobody": scope.New(uuid.New(), operator.Actor())} {
		if _, err := f.svc.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{DirectTokens: new(true)}); !errors.Is(err, tenant.ErrNotFound) {
			t.Errorf("settings of %s = %v, want %v", name, err, tenant.ErrNotFound)
		}
	}
	setState(t, f.store.Store, made.ID, "DELETING")
	if _, err := f.svc.UpdateSettings(t.Context(), of(made), tenant.UpdateSettingsRequest{DirectTokens: new(true)}); !errors.Is(err, tenant.ErrDeleting) {
		t.Errorf("settings of a tenant in deletion = %v, want %v", err, tenant.ErrDeleting)
	}
}

// Of two updates that both read the same version one wins. Without LockTenant both do.
func TestUpdateSettingsRace(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	const writers = 8
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			_, errs[i] = f.svc.UpdateSettings(t.Context(), of(made), tenant.UpdateSettingsRequest{
				TokenAudience: new(strings.Repeat("a", i+1)), IfMatch: made.ETag,
			})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, etag.ErrMismatch) {
			t.Errorf("a loser: %v", err)
		}
	}
	if n := f.store.AuditCount(t, of(made), "settings.update"); won != 1 || n != 1 {
		t.Errorf("%d winners, %d audit entries, want one", won, n)
	}
}

// bc_app may change the settings of the tenant that it works for, and no more: not
// another's, and not what the platform alone decides. A grant on the whole table, or
// row-level security removed, turns it red.
func TestBehindTheWallOnlySettingsCanBeChanged(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.create(t), f.create(t)
	as := func(sql string, args ...any) (n int64, err error) {
		conn := f.store.As(t, db.RoleApp)
		err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, true)", acme.ID.String()); err != nil {
				return err
			}
			tag, err := tx.Exec(t.Context(), sql, args...)
			n = tag.RowsAffected()
			return err
		})
		return n, err
	}
	for _, column := range []string{"slug = 'stolen'", "mode = 'LIVE'", "state = 'ACTIVE'", "name = 'x'", "suspend_reason = NULL", "delete_after = NULL", "id = gen_random_uuid()"} {
		if _, err := as("UPDATE tenants SET " + column); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("bc_app sets %s: %v", column, err)
		}
	}
	if n, err := as("UPDATE tenants SET token_audience = 'mine', policy_version = 2 WHERE id = $1", globex.ID); n != 0 || err != nil {
		t.Errorf("another tenant's settings: %d rows, %v", n, err)
	}
	if n, err := as("UPDATE tenants SET token_audience = 'mine'"); n != 1 || err != nil {
		t.Errorf("all tenants' settings: %d rows, %v, want its own alone", n, err)
	}
	theirs, err := f.svc.Settings(t.Context(), of(globex))
	if err != nil || theirs.TokenAudience != "" {
		t.Errorf("another tenant's audience is %q now, %v", theirs.TokenAudience, err)
	}
}

// Changed settings are heeded by every server within a second.
func TestSettingsAreSeenByTheOtherServer(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	replica := f.store.Replica(t)
	other := tenant.New(tenant.Options{Store: replica})
	audience := func() string {
		t.Helper()
		snap, err := other.Current(t.Context(), of(made))
		if err != nil {
			t.Fatal(err)
		}
		return snap.Audience()
	}
	for fresh := false; !fresh; { // once more after it is fresh: now it is cached there
		fresh = replica.Fresh()
		audience()
	}
	if _, err := f.svc.UpdateSettings(t.Context(), of(made), tenant.UpdateSettingsRequest{TokenAudience: new("new")}); err != nil {
		t.Fatal(err)
	}
	dbtest.Seen(t, "the audience on the other server", func() string {
		if got := audience(); got != "new" {
			return "it is " + got
		}
		return ""
	})
}

// A stored key that is none fails closed, and is no fault of the caller's.
func TestBrokenEncryptionKeyIsNotTheCallersFault(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	if _, err := f.store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET token_encryption_key = '{}' WHERE id = $1", made.ID); err != nil {
		t.Fatal(err)
	}
	snap, err := tenant.New(tenant.Options{Store: f.store.Store}).Current(t.Context(), of(made))
	if err == nil || errors.Is(err, jwe.ErrKey) {
		t.Errorf("Current = %+v, %v, want an error that is no fault", snap, err)
	}
}
