package recovery_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// The whole way: a code is good for one passkey, which is lowered. A prompt that is
// cancelled burns nothing.
func TestRecoveryWhereFurtherPasskeysTakeASignIn(t *testing.T) {
	w := newWorld(t)
	acme := w.TenantWith(t, dbtest.TenantOptions{Policy: `{"additionalCredential":"STRONG_SIGN_IN"}`})
	ada := w.User(t, acme)
	w.Enroll(t, acme, ada, 1) // which is lost
	g := w.granted(t, acme, ada.ExternalID, w.codes(t, acme, ada)[0])
	begun, err := w.begin(t, acme, g.Token)
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	if done, err := w.finish(t, acme, begun); err != nil || !done.Credential.Lowered {
		t.Errorf("FinishRegistration = %+v, %v, want a lowered passkey", done.Credential, err)
	}
}

func TestACodeEnrollsOnePasskey(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	codes := w.codes(t, acme, ada)
	g := w.granted(t, acme, ada.ExternalID, codes[3])
	if r := g.Recovery; r.State != recovery.Open || r.Kind != recovery.ByCode || r.UserID != ada.ID || r.ExpiresAt.Sub(r.CreatedAt) != 15*time.Minute {
		t.Errorf("Redeem = %+v", r)
	}
	if _, err := w.begin(t, acme, g.Token); err != nil { // and is cancelled
		t.Fatalf("the first begin: %v", err)
	}
	begun, err := w.begin(t, acme, g.Token)
	if err != nil {
		t.Fatalf("the second begin: %v", err)
	}
	also, err := w.begin(t, acme, g.Token)
	if err != nil {
		t.Fatalf("the third begin: %v", err)
	}
	done, err := w.finish(t, acme, begun)
	if err != nil {
		t.Fatalf("FinishRegistration: %v", err)
	}
	if c := done.Credential; c.UserID != ada.ID || !c.Lowered || c.RegisteredVia != credential.ViaRecoveryCode || c.VouchedAt != nil {
		t.Errorf("the passkey is %+v, want it lowered and by a code", c)
	}
	_, err = w.finish(t, acme, also)
	wantErr(t, "a second finish", err, ceremony.ErrRegistrationSpent)
	_, err = w.begin(t, acme, g.Token)
	wantErr(t, "a begin after it", err, ceremony.ErrRegistrationSpent)
	_, err = w.redeem(t, acme, ada.ExternalID, codes[3])
	wantErr(t, "the code again", err, recovery.ErrRefused)

	r, err := w.Get(t.Context(), acme, g.Recovery.ID)
	if err != nil || r.State != recovery.Completed || r.CredentialID != done.Credential.ID || r.CompletedAt == nil {
		t.Errorf("Get = %+v, %v, want it completed", r, err)
	}
	status, err := w.Codes(t.Context(), acme, ada.ID)
	if err != nil || status.Total != 10 || status.Remaining != 9 || status.CreatedAt == nil || status.LastUsedAt == nil {
		t.Errorf("Codes = %+v, %v, want 9 of 10", status, err)
	}
	for action, want := range map[string]int64{"recovery.codes_create": 1, "recovery.redeem": 2, "recovery.complete": 1, "registration.finish": 2} {
		if n := w.AuditCount(t, acme, action); n != want { // refusals are entries, too
			t.Errorf("%d entries %s, want %d", n, action, want)
		}
	}
	for _, typ := range []event.Type{event.RecoveryCodesCreated, event.RecoveryRequested, event.RecoveryCompleted} {
		if n := w.EventCount(t, acme, typ); n != 1 {
			t.Errorf("%d events %s, want 1", n, typ)
		}
	}
}

var form = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){3}$`)

func TestCreateCodes(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada := w.User(t, acme)
	first, second := w.codes(t, acme, ada), w.codes(t, acme, ada)
	seen := map[string]bool{}
	for _, code := range append(slices.Clone(first), second...) {
		if !form.MatchString(code) || seen[code] {
			t.Errorf("code %q has another form, or came twice", code)
		}
		seen[code] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d codes in two sets, want 20", len(seen))
	}
	_, err := w.redeem(t, acme, ada.ExternalID, first[0])
	wantErr(t, "a code of the set before", err, recovery.ErrRefused)
	w.granted(t, acme, ada.ExternalID, second[0])

	blocked := w.User(t, acme)
	if _, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: blocked.ID}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		sc   scope.Scope
		id   user.ID
		want error
	}{
		{"another tenant's user", globex, ada.ID, user.ErrNotFound},
		{"nobody", acme, user.ID{1}, user.ErrNotFound},
		{"somebody blocked", acme, blocked.ID, user.ErrBlocked},
		{"a tenant whose policy has no codes", w.policed(t, `{"recoveryCodes":false}`), ada.ID, recovery.ErrCodesOff},
		{"a suspended tenant", w.TenantWith(t, dbtest.TenantOptions{Suspended: true}), ada.ID, tenant.ErrSuspended},
		{"the platform's own", scope.New(scope.PlatformTenant, acme.Actor()), ada.ID, tenant.ErrNotFound},
	} {
		_, err := w.CreateCodes(t.Context(), tt.sc, tt.id, "")
		wantErr(t, tt.name, err, tt.want)
	}
}

// Two sets at once leave one. Removing the lock of the user leaves 20 codes.
func TestCreateCodesRaced(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	var race sync.WaitGroup
	for range 8 {
		race.Go(func() {
			if _, err := w.CreateCodes(t.Context(), acme, ada.ID, ""); err != nil {
				t.Errorf("CreateCodes: %v", err)
			}
		})
	}
	race.Wait()
	if s, err := w.Codes(t.Context(), acme, ada.ID); err != nil || s.Total != 10 {
		t.Errorf("Codes = %+v, %v, want 10", s, err)
	}
}

func TestDeleteCodes(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada := w.User(t, acme)
	if d, err := w.DeleteCodes(t.Context(), acme, ada.ID, "lost"); err != nil || d.Codes != 0 || w.AuditCount(t, acme, "recovery.codes_delete") != 0 {
		t.Errorf("DeleteCodes of none = %+v, %v, want no trace", d, err)
	}
	codes := w.codes(t, acme, ada)
	_, err := w.DeleteCodes(t.Context(), acme, ada.ID, strings.Repeat("x", 257))
	wantErr(t, "a long reason", err, credential.ErrReason)
	_, err = w.DeleteCodes(t.Context(), globex, ada.ID, "lost")
	wantErr(t, "another tenant's", err, user.ErrNotFound)
	_, err = w.Codes(t.Context(), globex, ada.ID)
	wantErr(t, "another tenant's status", err, user.ErrNotFound)
	if d, err := w.DeleteCodes(t.Context(), acme, ada.ID, "the list was lost"); err != nil || d.Codes != 10 || w.EventCount(t, acme, event.RecoveryCodesDeleted) != 1 {
		t.Errorf("DeleteCodes = %+v, %v, want 10", d, err)
	}
	page, err := trail.NewReader(w.Store.Store, w.Keys).List(t.Context(), acme, listing.Request{Filter: "action = recovery.codes_delete"})
	if err != nil || len(page.Items) != 1 || page.Items[0].Reason != "the list was lost" {
		t.Errorf("entries = %+v, %v, want the reason", page.Items, err)
	}
	_, err = w.redeem(t, acme, ada.ExternalID, codes[0])
	wantErr(t, "a deleted code", err, recovery.ErrRefused)
	if s, err := w.Codes(t.Context(), acme, ada.ID); err != nil || s != (recovery.CodesStatus{}) {
		t.Errorf("Codes = %+v, %v, want none", s, err)
	}
}

func TestCodesAreTypedByPeople(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryFailures":20}`)
	ada := w.User(t, acme)
	codes := w.codes(t, acme, ada)
	sloppy := strings.NewReplacer("0", "o", "1", "l")
	for i, typed := range []string{
		codes[0],
		strings.ToLower(codes[1]),
		strings.ReplaceAll(codes[2], "-", ""),
		" " + strings.ReplaceAll(codes[3], "-", " ") + "\n",
		strings.ReplaceAll(codes[4], "-", " \u2013 "), // as word processors make of hyphens
		strings.ReplaceAll(codes[5], "-", "\u00a0"),
		sloppy.Replace(codes[6]),
		strings.ReplaceAll(sloppy.Replace(codes[7]), "l", "I"),
	} {
		if _, err := w.redeem(t, acme, ada.ExternalID, typed); err != nil {
			t.Errorf("%d: %q typed as %q: %v", i, codes[i], typed, err)
		}
	}
	for _, typed := range []string{codes[8][1:], codes[8] + "0", codes[8] + codes[9], "", strings.Repeat("-", 500) + codes[8], codes[8] + "\x00"} {
		_, err := w.redeem(t, acme, ada.ExternalID, typed)
		wantErr(t, fmt.Sprintf("%q", typed), err, recovery.ErrRefused)
	}
}

// A code is spent once, whoever is first. Removing used_at IS NULL makes all succeed.
func TestRedeemRaced(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryFailures":20}`)
	ada := w.User(t, acme)
	code := w.codes(t, acme, ada)[0]
	errs := make([]error, 16)
	var race sync.WaitGroup
	for i := range errs {
		race.Go(func() { _, errs[i] = w.redeem(t, acme, ada.ExternalID, code) })
	}
	race.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, recovery.ErrRefused) {
			t.Errorf("a loser: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d redeemed one code, want 1", won, len(errs))
	}
}

// Of many finishes by one recovery one has its way. Removing the state from ceremony's
// admit lets all; the lock of the user keeps them apart as well as the recovery's own.
func TestARecoveryRaced(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	g := w.link(t, acme, w.User(t, acme))
	begun := make([]ceremony.BegunRegistration, 8)
	for i := range begun {
		var err error
		if begun[i], err = w.begin(t, acme, g.Token); err != nil {
			t.Fatal(err)
		}
	}
	errs := make([]error, len(begun))
	var race sync.WaitGroup
	for i := range begun {
		race.Go(func() { _, errs[i] = w.finish(t, acme, begun[i]) })
	}
	race.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantErr(t, "a loser", err, ceremony.ErrRegistrationSpent)
	}
	if won != 1 {
		t.Errorf("%d of %d enrolled, want 1", won, len(errs))
	}
}

// A code works for its user, in its tenant, and nowhere else: not even where its row is
// copied to.
func TestCodesAreTheirUsers(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada, eve := w.User(t, acme), w.User(t, acme)
	theirs, err := w.Users.Create(t.Context(), globex, user.Profile{ExternalID: ada.ExternalID, Name: "ada"}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	code := w.codes(t, acme, ada)[0]
	w.codes(t, globex, theirs)
	_, err = w.redeem(t, acme, eve.ExternalID, code)
	wantErr(t, "another user's", err, recovery.ErrRefused)
	_, err = w.redeem(t, globex, ada.ExternalID, code)
	wantErr(t, "another tenant's", err, recovery.ErrRefused)
	conn := w.Superuser(t)
	for _, to := range []struct {
		sc scope.Scope
		u  user.User
	}{{acme, eve}, {globex, theirs}} {
		if _, err := conn.Exec(t.Context(), `INSERT INTO recovery_codes (tenant_id, user_id, hash, created_at)
			SELECT $1, $2, hash, created_at FROM recovery_codes WHERE tenant_id = $3 AND user_id = $4`,
			to.sc.Tenant(), to.u.ID.UUID(), acme.Tenant(), ada.ID.UUID()); err != nil {
			t.Fatal(err)
		}
		_, err := w.redeem(t, to.sc, to.u.ExternalID, code)
		wantErr(t, "a copied row", err, recovery.ErrRefused)
	}
	g := w.granted(t, acme, ada.ExternalID, code)
	_, err = w.begin(t, globex, g.Token)
	wantErr(t, "the token at another tenant", err, ceremony.ErrRegistrationToken)
	_, err = w.begin(t, acme, g.Token[:20]+"AAAA"+g.Token[24:])
	wantErr(t, "a changed token", err, ceremony.ErrRegistrationToken)
	_, err = w.Get(t.Context(), globex, g.Recovery.ID)
	wantErr(t, "another tenant's recovery", err, recovery.ErrNotFound)
	if p, err := w.List(t.Context(), globex, listing.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("another tenant lists %+v, %v", p, err)
	}
}

// So many failures lock a name, known or not; the right code is refused then, and not
// spent. The lock is in Postgres, so another server holds it too, and it ends by itself.
func TestLockout(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryFailures":3,"recoveryLockoutSeconds":600}`)
	ada := w.User(t, acme)
	codes := w.codes(t, acme, ada)
	fail := func(s *server, name string, times int) {
		t.Helper()
		for range times {
			_, err := s.redeem(t, acme, name, "AAAAA-AAAAA-AAAAA-AAAAA")
			wantErr(t, "a wrong code", err, recovery.ErrRefused)
		}
	}
	fail(&w.server, ada.ExternalID, 2)
	w.granted(t, acme, ada.ExternalID, codes[0]) // in a row is what counts
	fail(&w.server, ada.ExternalID, 2)
	if n := w.EventCount(t, acme, event.RecoveryLocked); n != 0 {
		t.Errorf("%d events of locks, want none yet", n)
	}
	fail(&w.server, ada.ExternalID, 1)
	_, err := w.redeem(t, acme, ada.ExternalID, codes[1])
	wantErr(t, "the right code, locked out", err, recovery.ErrRefused)
	soon, after := w.after(t, 50*time.Second), w.after(t, 70*time.Second)
	_, err = soon.redeem(t, acme, ada.ExternalID, codes[1])
	wantErr(t, "on another server, 50 seconds later", err, recovery.ErrRefused)
	if n, m := w.EventCount(t, acme, event.RecoveryLocked), w.AuditCount(t, acme, "recovery.lock"); n != 1 || m != 1 {
		t.Errorf("%d events and %d entries of the lock, want 1", n, m)
	}
	if _, err = after.redeem(t, acme, ada.ExternalID, codes[1]); err != nil {
		t.Errorf("70 seconds later: %v", err)
	}
	fail(&w.server, "nobody", 5) // two of them while it is locked
	if n := w.EventCount(t, acme, event.RecoveryLocked); n != 2 {
		t.Errorf("%d events of locks, want another for a name that nobody has", n)
	}
}

// Each failure after a lock doubles the next one, up to the policy's longest; who succeeds
// begins anew, and so does who is given new codes. Known names and others alike.
func TestLockoutBacksOff(t *testing.T) {
	w := newWorld(t)
	conn := w.Superuser(t)
	for _, known := range []bool{true, false} {
		acme := w.policed(t, `{"recoveryFailures":2,"recoveryLockoutSeconds":600}`)
		ada := w.User(t, acme)
		codes, name := w.codes(t, acme, ada), "nobody"
		if known {
			name = ada.ExternalID
		}
		pass := func(d time.Duration) { // instead of waiting
			t.Helper()
			if _, err := conn.Exec(t.Context(), "UPDATE recovery_attempts SET expires_at = expires_at - $2::interval WHERE tenant_id = $1", acme.Tenant(), d); err != nil {
				t.Fatal(err)
			}
		}
		wrong := func(want int) {
			t.Helper()
			_, err := w.redeem(t, acme, name, "wrong")
			wantErr(t, name, err, recovery.ErrRefused)
			var n int
			if err := conn.QueryRow(t.Context(), "SELECT max(failures) FROM recovery_attempts WHERE tenant_id = $1", acme.Tenant()).Scan(&n); err != nil || n != want {
				t.Errorf("%s: %d failures are counted, %v, want %d", name, n, err, want)
			}
		}
		wrong(1)
		wrong(2)
		for i, minutes := range []int{1, 2, 4, 8, 10, 10} {
			pass(time.Duration(minutes)*time.Minute - 30*time.Second)
			wrong(2 + i) // it is locked, and this is not counted
			pass(31 * time.Second)
			wrong(3 + i)
		}
		if n := w.AuditCount(t, acme, "recovery.lock"); n != 7 {
			t.Errorf("%s: %d entries of locks, want 7", name, n)
		}
		if !known {
			continue
		}
		_, err := w.redeem(t, acme, name, codes[0])
		wantErr(t, "the right code while it is locked", err, recovery.ErrRefused)
		fresh := w.codes(t, acme, ada)
		if _, err := w.redeem(t, acme, name, fresh[0]); err != nil {
			t.Errorf("a new code: %v", err)
		}
		page, err := trail.NewReader(w.Store.Store, w.Keys).List(t.Context(), acme, listing.Request{Filter: "action = recovery.codes_create"})
		if err != nil || len(page.Items) != 2 || !strings.Contains(string(page.Items[0].Detail), `"lockReleased":true`) {
			t.Errorf("the entry of new codes = %+v, %v, want that it released the lock", page.Items, err)
		}
		wrong(1)
		wrong(2)
		pass(61 * time.Second)
		if _, err := w.redeem(t, acme, name, fresh[1]); err != nil {
			t.Errorf("after a lock of a minute again: %v", err)
		}
	}
}

// Guesses that come at once count each. Removing LockRecoveryAttempts' conflict clause, or
// reading before it, lets more than three be looked at.
func TestLockoutRaced(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryFailures":3}`)
	ada := w.User(t, acme)
	code := w.codes(t, acme, ada)[0]
	var race sync.WaitGroup
	for range 12 {
		race.Go(func() { _, _ = w.redeem(t, acme, ada.ExternalID, "wrong") })
	}
	race.Wait()
	_, err := w.redeem(t, acme, ada.ExternalID, code)
	wantErr(t, "the right code afterwards", err, recovery.ErrRefused)
	var failures int
	if err := w.Superuser(t).QueryRow(t.Context(), "SELECT failures FROM recovery_attempts WHERE tenant_id = $1", acme.Tenant()).Scan(&failures); err != nil || failures != 3 {
		t.Errorf("%d failures are counted, %v, want 3", failures, err)
	}
}

// What counts no more goes with the next failure, so that made-up names do not pile up.
func TestOldAttemptsGo(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryLockoutSeconds":60}`)
	for i := range 5 {
		_, err := w.redeem(t, acme, fmt.Sprint("nobody-", i), "wrong")
		wantErr(t, "a made-up name", err, recovery.ErrRefused)
	}
	later := w.after(t, 25*time.Hour)
	_, err := later.redeem(t, acme, "another", "wrong")
	wantErr(t, "a day later", err, recovery.ErrRefused)
	var rows int
	if err := w.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM recovery_attempts WHERE tenant_id = $1", acme.Tenant()).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows are left, %v, want the last", rows, err)
	}
}

// Whoever is erased leaves nothing to recover by.
func TestErasure(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	code := w.codes(t, acme, ada)[0]
	g := w.link(t, acme, ada)
	begun, err := w.begin(t, acme, g.Token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err = w.redeem(t, acme, ada.ExternalID, code)
	wantErr(t, "Redeem", err, recovery.ErrRefused)
	_, err = w.begin(t, acme, g.Token)
	wantErr(t, "BeginRegistration", err, ceremony.ErrRegistrationToken)
	_, err = w.finish(t, acme, begun)
	wantErr(t, "FinishRegistration", err, user.ErrNotFound)
	_, err = w.Get(t.Context(), acme, g.Recovery.ID)
	wantErr(t, "Get", err, recovery.ErrNotFound)
}
