package ceremony_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func finishRequest(begun ceremony.BegunRegistration, resp webauthn.RegistrationResponse) ceremony.FinishRegistrationRequest {
	return ceremony.FinishRegistrationRequest{ID: begun.ID, Response: resp}
}

// §7.1 step 27: the credential record, and what else a registration leaves.
func TestRegistrationStoresTheCredentialRecord(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := authenticator(t, authenticatortest.Options{BackedUp: true, CrossPlatform: true, Attestation: authenticatortest.PackedSelf})
	p := profile()
	begun := w.beginRegistration(t, acme, p)

	// Whoever cancels the prompt leaves nothing behind.
	if n := w.one(t, "SELECT count(*) FROM users WHERE tenant_id = $1", acme.Tenant()); n != 0 {
		t.Errorf("begin made %d users", n)
	}
	nickname := "  Work\tkey "
	req := finishRequest(begun, create(t, a, begun, authenticatortest.Deviation{}))
	req.Nickname = &nickname
	done, err := w.FinishRegistration(t.Context(), acme, req)
	if err != nil {
		t.Fatal(err)
	}
	if done.User.ExternalID != p.ExternalID || done.User.Name != p.Name || done.User.DisplayName != p.DisplayName {
		t.Errorf("user = %+v, want the names of %+v", done.User, p)
	}
	if !bytes.Equal(done.User.Handle, begun.Options.User.ID) || len(done.User.Handle) != 64 {
		t.Error("the user has another handle than the authenticator was told")
	}
	got, err := w.credentials.Get(t.Context(), acme, done.Credential.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.UserID != done.User.ID || got.State != credential.Active || got.SignCount != 1 || !got.BackupEligible || !got.BackedUp ||
		got.Algorithm != int32(webauthn.ES256) || got.AttestationFormat != webauthn.FormatPacked || got.AttestationType != "SELF" ||
		!slices.Equal(got.Transports, []string{"usb"}) || got.Attachment != webauthn.AttachmentCrossPlatform ||
		got.Discoverable == nil || !*got.Discoverable || got.Nickname != "Work key" || got.RegisteredVia != credential.ViaServerKey ||
		got.ID.String() != req.Response.ID {
		t.Errorf("credential = %+v", got)
	}
	for table, want := range map[string]int{
		"ceremonies WHERE kind = 'REGISTRATION' AND outcome = 'ALLOW' AND tenant_id = $1": 1,
		"audit_inbox WHERE action = 'registration.finish' AND tenant_id = $1":             1,
		"audit_inbox WHERE action = 'user.create' AND tenant_id = $1":                     1,
		"event_outbox WHERE type = 'credential.created' AND tenant_id = $1":               1,
		"event_outbox WHERE type = 'user.created' AND tenant_id = $1":                     1,
		"spent_challenges WHERE tenant_id = $1":                                           1,
	} {
		if n := w.one(t, "SELECT count(*) FROM "+table, acme.Tenant()); n != want {
			t.Errorf("%d rows of %s, want %d", n, table, want)
		}
	}
	// The key is the authenticator's: it signs in.
	w.signIn(t, acme, a)
}

func TestCreationOptions(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"algorithms":[-257,-7],"attestationConveyance":"direct","registrationTimeoutSeconds":90}`)
	begun := w.beginRegistration(t, acme, profile())
	o := begun.Options
	if o.RP.ID != "localhost" || o.RP.Name == "" || len(o.Challenge) != 32 || o.Timeout != 90*time.Second || o.Attestation != "direct" ||
		!slices.Equal(o.Algorithms, []webauthn.Algorithm{webauthn.RS256, webauthn.ES256}) ||
		o.AuthenticatorSelection != (webauthn.AuthenticatorSelection{ResidentKey: "required", RequireResidentKey: true, UserVerification: "required"}) {
		t.Errorf("options = %+v", o)
	}
	if until := time.Until(begun.ExpiresAt); until < 80*time.Second || until > 91*time.Second {
		t.Errorf("expires in %v, want 90 s", until)
	}
	if again := w.beginRegistration(t, acme, profile()); bytes.Equal(again.Options.Challenge, o.Challenge) || again.ID == begun.ID {
		t.Error("two registrations share a challenge or an id")
	}
}

// An existing external id means that user: same handle, and the authenticators that
// have a credential refuse.
func TestRegistrationOfAnExistingUser(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	first := phone(t)
	p := profile()
	enrolled := w.enrollAs(t, acme, first, p)
	id := enrolled.User.ID

	renamed := &user.Profile{ExternalID: p.ExternalID, Name: "somebody else"}
	for name, req := range map[string]ceremony.BeginRegistrationRequest{"by external id": {User: renamed}, "by id": {UserID: &id}} {
		t.Run(name, func(t *testing.T) {
			begun, err := w.BeginRegistration(t.Context(), acme, req)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(begun.Options.User.ID, enrolled.User.Handle) || begun.Options.User.Name != p.Name {
				t.Errorf("entity = %+v, want the existing user's", begun.Options.User)
			}
			options, err := json.Marshal(begun.Options)
			if err != nil {
				t.Fatal(err)
			}
			_, err = first.Create(options, origin)
			wantErr(t, "the first authenticator", err, authenticatortest.ErrExcluded)
			done, err := w.FinishRegistration(t.Context(), acme, finishRequest(begun, create(t, phone(t), begun, authenticatortest.Deviation{})))
			if err != nil || done.User.ID != id || done.User.Name != p.Name {
				t.Errorf("finish = %+v, %v, want the existing user", done.User, err)
			}
		})
	}
	t.Run("another tenant's user is unknown", func(t *testing.T) {
		_, err := w.BeginRegistration(t.Context(), globex, ceremony.BeginRegistrationRequest{UserID: &id})
		wantErr(t, "by id", err, user.ErrNotFound)
		begun, err := w.BeginRegistration(t.Context(), globex, ceremony.BeginRegistrationRequest{User: p})
		if err != nil || bytes.Equal(begun.Options.User.ID, enrolled.User.Handle) || len(begun.Options.ExcludeCredentials) != 0 {
			t.Errorf("by external id: %+v, %v, want a new user", begun.Options.User, err)
		}
	})
	t.Run("revoked credentials are not excluded", func(t *testing.T) {
		if _, err := w.credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: enrolled.Credential.ID}); err != nil {
			t.Fatal(err)
		}
		begun, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{UserID: &id})
		if err != nil || len(begun.Options.ExcludeCredentials) != 2 {
			t.Errorf("excluded = %d, %v, want the two that live", len(begun.Options.ExcludeCredentials), err)
		}
	})
}

func TestBeginRegistrationRefuses(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	blocked, unknown := w.enroll(t, acme, phone(t)).User, user.ID{1}
	if _, err := w.users.Block(t.Context(), acme, user.BlockRequest{ID: blocked.ID}); err != nil {
		t.Fatal(err)
	}
	of := func(policy string) scope.Scope { return w.policed(t, policy) }
	full := of(`{"maxCredentialsPerUser":1}`)
	holder := w.enroll(t, full, phone(t)).User
	for _, tt := range []struct {
		name string
		sc   scope.Scope
		req  ceremony.BeginRegistrationRequest
		want error
	}{
		{"nobody", acme, ceremony.BeginRegistrationRequest{}, ceremony.ErrSubject},
		{"two ways", acme, ceremony.BeginRegistrationRequest{UserID: &blocked.ID, User: profile()}, ceremony.ErrSubject},
		{"an unknown user", acme, ceremony.BeginRegistrationRequest{UserID: &unknown}, user.ErrNotFound},
		{"a blocked user", acme, ceremony.BeginRegistrationRequest{UserID: &blocked.ID}, user.ErrBlocked},
		{"an external id with a NUL", acme, ceremony.BeginRegistrationRequest{User: &user.Profile{ExternalID: "a\x00b", Name: "x"}}, user.ErrExternalID},
		{"no name", acme, ceremony.BeginRegistrationRequest{User: &user.Profile{ExternalID: "a"}}, user.ErrName},
		{"a browser that names a user", acme, ceremony.BeginRegistrationRequest{User: profile(), Publishable: true}, ceremony.ErrNeedsServerKey},
		{"a browser that names a user id", acme, ceremony.BeginRegistrationRequest{UserID: &blocked.ID, Publishable: true}, ceremony.ErrNeedsServerKey},
		{"a made-up token", acme, ceremony.BeginRegistrationRequest{Token: "AAAA"}, ceremony.ErrRegistrationToken},
		{"a user with all credentials", full, ceremony.BeginRegistrationRequest{UserID: &holder.ID}, ceremony.ErrTooManyCredentials},
		{"a suspended tenant", w.tenantWith(t, dbtest.TenantOptions{Suspended: true}), ceremony.BeginRegistrationRequest{User: profile()}, tenant.ErrSuspended},
		{"less verification", acme, ceremony.BeginRegistrationRequest{User: profile(), Selection: &webauthn.AuthenticatorSelection{UserVerification: "preferred"}}, ceremony.ErrPolicy},
		{"unheard-of verification", acme, ceremony.BeginRegistrationRequest{User: profile(), Selection: &webauthn.AuthenticatorSelection{UserVerification: "REQUIRED"}}, ceremony.ErrPolicy},
		{"no resident key", acme, ceremony.BeginRegistrationRequest{User: profile(), Selection: &webauthn.AuthenticatorSelection{ResidentKey: "discouraged"}}, ceremony.ErrPolicy},
		{"an unheard-of attachment", acme, ceremony.BeginRegistrationRequest{User: profile(), Selection: &webauthn.AuthenticatorSelection{AuthenticatorAttachment: "both"}}, ceremony.ErrPolicy},
		{"less attestation", of(`{"attestationConveyance":"direct"}`), ceremony.BeginRegistrationRequest{User: profile(), Attestation: "none"}, ceremony.ErrPolicy},
		{"a conditional one that policy forbids", of(`{"conditionalCreate":false}`), ceremony.BeginRegistrationRequest{User: profile(), Conditional: true}, ceremony.ErrPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.BeginRegistration(t.Context(), tt.sc, tt.req)
			wantErr(t, "BeginRegistration", err, tt.want)
		})
	}
}

func TestARequestMayAskForMoreThanThePolicy(t *testing.T) {
	w := newWorld(t)
	loose := w.policed(t, `{"userVerification":"discouraged","residentKey":"discouraged","attestationConveyance":"none"}`)
	begun, err := w.BeginRegistration(t.Context(), loose, ceremony.BeginRegistrationRequest{
		User: profile(), Attestation: "enterprise",
		Selection: &webauthn.AuthenticatorSelection{AuthenticatorAttachment: "platform", UserVerification: "required", RequireResidentKey: true},
	})
	want := webauthn.AuthenticatorSelection{
		AuthenticatorAttachment: "platform", UserVerification: "required", ResidentKey: "required", RequireResidentKey: true,
	}
	if err != nil || begun.Options.AuthenticatorSelection != want || begun.Options.Attestation != "enterprise" {
		t.Fatalf("options = %+v, %v, want %+v", begun.Options, err, want)
	}
	// What was asked for is what is held to, not what the policy would have let pass.
	_, err = w.FinishRegistration(t.Context(), loose, finishRequest(begun,
		create(t, phone(t), begun, authenticatortest.Deviation{ClearFlags: authenticatortest.UV})))
	wantErr(t, "without user verification", err, webauthn.ErrUserVerification)
}

// SECURITY 12: what was promised is kept with the challenge.
func TestFinishRegistrationRefuses(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	for _, tt := range []struct {
		name string
		dev  authenticatortest.Deviation
		want error
	}{
		{"without user verification", authenticatortest.Deviation{ClearFlags: authenticatortest.UV}, webauthn.ErrUserVerification},
		{"without user presence", authenticatortest.Deviation{ClearFlags: authenticatortest.UP}, webauthn.ErrUserPresence},
		{"a sign-in's client data", authenticatortest.Deviation{Type: "webauthn.get"}, webauthn.ErrCeremonyType},
		{"another challenge", authenticatortest.Deviation{Challenge: make([]byte, 32)}, webauthn.ErrChallenge},
		{"another RP ID", authenticatortest.Deviation{RPID: "evil.example"}, webauthn.ErrRPID},
		{"backed up but not eligible", authenticatortest.Deviation{SetFlags: authenticatortest.BS}, webauthn.ErrBackupState},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begun := w.beginRegistration(t, acme, profile())
			_, err := w.FinishRegistration(t.Context(), acme, finishRequest(begun, create(t, phone(t), begun, tt.dev)))
			wantErr(t, "FinishRegistration", err, tt.want)
			// Nothing is burnt: the honest answer still counts.
			if _, err := w.FinishRegistration(t.Context(), acme, finishRequest(begun, create(t, phone(t), begun, authenticatortest.Deviation{}))); err != nil {
				t.Errorf("the honest answer afterwards: %v", err)
			}
		})
	}
	begun := w.beginRegistration(t, acme, profile())
	resp := create(t, phone(t), begun, authenticatortest.Deviation{})
	for name, req := range map[string]ceremony.FinishRegistrationRequest{
		"an unknown id":      {ID: strings.Repeat("A", len(begun.ID)), Response: resp},
		"an empty id":        {Response: resp},
		"a sign-in's id":     {ID: w.begin(t, acme).ID, Response: resp},
		"an id with a colon": {ID: begun.ID[:25] + ":", Response: resp},
		"a browser's finish": {ID: begun.ID, Response: resp, Publishable: true}, // a server began it: SECURITY 49
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.FinishRegistration(t.Context(), acme, req)
			wantErr(t, "FinishRegistration", err, ceremony.ErrChallengeUnknown)
		})
	}
	t.Run("another tenant's registration", func(t *testing.T) { // SECURITY 2
		_, err := w.FinishRegistration(t.Context(), globex, finishRequest(begun, resp))
		wantErr(t, "FinishRegistration", err, ceremony.ErrChallengeUnknown)
	})
	t.Run("late", func(t *testing.T) {
		late := w.at(t, 6*time.Minute)
		_, err := late.FinishRegistration(t.Context(), acme, finishRequest(begun, resp))
		wantErr(t, "FinishRegistration", err, ceremony.ErrChallengeExpired)
	})
	t.Run("a nickname too long", func(t *testing.T) {
		long := strings.Repeat("x", 65)
		req := finishRequest(begun, resp)
		req.Nickname = &long
		_, err := w.FinishRegistration(t.Context(), acme, req)
		wantErr(t, "FinishRegistration", err, credential.ErrNickname)
	})
	if n := w.db.AuditCount(t, acme, "registration.finish"); n < 12 {
		t.Errorf("%d entries of refused and finished registrations, want each one", n)
	}
}

// The challenge of a registration is none of a sign-in, nor the other way round.
// SECURITY 2.
func TestChallengesAreNotSwapped(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	registration, signIn := w.beginRegistration(t, acme, profile()), w.begin(t, acme)

	_, err := w.finish(t, acme, signIn, get(t, a, signIn, authenticatortest.Deviation{Challenge: registration.Options.Challenge}))
	wantErr(t, "a registration's challenge at sign-in", err, webauthn.ErrChallenge)
	_, err = w.FinishAuthentication(t.Context(), acme, ceremony.FinishAuthenticationRequest{
		ID: registration.ID, Response: get(t, a, signIn, authenticatortest.Deviation{Challenge: registration.Options.Challenge}),
	})
	wantErr(t, "a registration's id at sign-in", err, ceremony.ErrChallengeUnknown)
	_, err = w.FinishRegistration(t.Context(), acme, finishRequest(registration,
		create(t, phone(t), registration, authenticatortest.Deviation{Challenge: signIn.Options.Challenge})))
	wantErr(t, "a sign-in's challenge at registration", err, webauthn.ErrChallenge)
}

// SECURITY 1: the same finish twice, and 64 at once on two servers.
func TestARegistrationFinishesOnce(t *testing.T) {
	w := newWorld(t)
	second := w.replica(t)
	acme := w.tenant(t)
	for range 5 {
		begun := w.beginRegistration(t, acme, profile())
		req := finishRequest(begun, create(t, phone(t), begun, authenticatortest.Deviation{}))
		errs := make([]error, 64)
		var race sync.WaitGroup
		for i := range errs {
			race.Go(func() {
				// 64 at once on busy cores may find Redis too slow: they come back, as clients do.
				for deadline := time.Now().Add(10 * time.Second); ; <-time.After(50 * time.Millisecond) {
					_, errs[i] = []*server{w.server, second}[i%2].FinishRegistration(t.Context(), acme, req)
					if !errors.Is(errs[i], ephemeral.ErrUnavailable) || time.Now().After(deadline) {
						return
					}
				}
			})
		}
		race.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantErr(t, "a loser", err, ceremony.ErrChallengeSpent)
		}
		if won != 1 {
			t.Errorf("%d of 64 finishes succeeded, want 1", won)
		}
		_, err := w.FinishRegistration(t.Context(), acme, req)
		wantErr(t, "once more", err, ceremony.ErrChallengeSpent)
	}
	if n := w.one(t, "SELECT count(*) FROM credentials WHERE tenant_id = $1", acme.Tenant()); n != 5 {
		t.Errorf("%d credentials, want 5", n)
	}
}

// §7.1 step 26: a credential ID is registered once, whoever asks.
func TestACredentialIDIsRegisteredOnce(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	id := bytes.Repeat([]byte{7}, 32)
	register := func(sc scope.Scope) error {
		begun := w.beginRegistration(t, sc, profile())
		_, err := w.FinishRegistration(t.Context(), sc, finishRequest(begun, create(t, phone(t), begun, authenticatortest.Deviation{CredentialID: id})))
		return err
	}
	if err := register(acme); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "for another user", register(acme), ceremony.ErrCredentialExists)
	if n := w.one(t, "SELECT count(*) FROM users WHERE tenant_id = $1", acme.Tenant()); n != 1 {
		t.Errorf("%d users, want 1: what failed leaves none", n)
	}
	// Another tenant learns nothing of it.
	if err := register(globex); err != nil {
		t.Errorf("in another tenant: %v", err)
	}
}

// Removing LockUser turns this red.
func TestTheLimitHoldsInARace(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"maxCredentialsPerUser":2}`)
	u := w.enroll(t, acme, phone(t)).User
	const racers = 8
	reqs := make([]ceremony.FinishRegistrationRequest, racers)
	for i := range reqs {
		begun, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{UserID: &u.ID})
		if err != nil {
			t.Fatal(err)
		}
		reqs[i] = finishRequest(begun, create(t, phone(t), begun, authenticatortest.Deviation{}))
	}
	errs := make([]error, racers)
	var race sync.WaitGroup
	for i := range reqs {
		race.Go(func() { _, errs[i] = w.FinishRegistration(t.Context(), acme, reqs[i]) })
	}
	race.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantErr(t, "a loser", err, ceremony.ErrTooManyCredentials)
	}
	if n := w.one(t, "SELECT count(*) FROM credentials WHERE tenant_id = $1", acme.Tenant()); won != 1 || n != 2 {
		t.Errorf("%d of %d succeeded and the user has %d credentials, want 1 and 2", won, racers, n)
	}
}

// Two registrations of one new person were told two handles: one of them loses.
func TestTwoRegistrationsOfOneNewcomer(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	p := profile()
	first, second := w.beginRegistration(t, acme, p), w.beginRegistration(t, acme, p)
	late := finishRequest(second, create(t, phone(t), second, authenticatortest.Deviation{}))
	if _, err := w.FinishRegistration(t.Context(), acme, finishRequest(first, create(t, phone(t), first, authenticatortest.Deviation{}))); err != nil {
		t.Fatal(err)
	}
	_, err := w.FinishRegistration(t.Context(), acme, late)
	wantErr(t, "the second", err, ceremony.ErrUserMoved)
}

func TestBlockedWhileRegistering(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	u := w.enroll(t, acme, phone(t)).User
	begun, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{UserID: &u.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.users.Block(t.Context(), acme, user.BlockRequest{ID: u.ID}); err != nil {
		t.Fatal(err)
	}
	_, err = w.FinishRegistration(t.Context(), acme, finishRequest(begun, create(t, phone(t), begun, authenticatortest.Deviation{})))
	wantErr(t, "FinishRegistration", err, user.ErrBlocked)
}

// A browser may create a passkey by itself, after a sign-in by password: no presence
// and no verification are tested then (WebAuthn L3 §7.1 step 15).
func TestConditionalRegistration(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	begun, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{User: profile(), Conditional: true})
	if err != nil {
		t.Fatal(err)
	}
	a := phone(t)
	silent := authenticatortest.Deviation{ClearFlags: authenticatortest.UP | authenticatortest.UV}
	if _, err := w.FinishRegistration(t.Context(), acme, finishRequest(begun, create(t, a, begun, silent))); err != nil {
		t.Fatalf("FinishRegistration = %v", err)
	}
	_, err = w.try(t, acme, a, authenticatortest.Deviation{ClearFlags: authenticatortest.UV})
	wantErr(t, "signing in without verification", err, webauthn.ErrUserVerification)
	w.signIn(t, acme, a)
}
