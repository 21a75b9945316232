package simulation_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/simulation"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var (
	yubikey = uuid.MustParse("11111111-2222-4333-8444-555555555555")
	phone   = uuid.MustParse("99999999-2222-4333-8444-555555555555")
)

// record leaves a ceremony as the release of now does.
func record(t *testing.T, store *dbtest.Store, sc scope.Scope, kind, outcome, reason, facts string, user *uuid.UUID, credentialID []byte) {
	t.Helper()
	err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		return tx.InsertCeremony(t.Context(), tenantq.InsertCeremonyParams{
			At: tx.Now(), ID: uuid.Must(uuid.NewV7()), Kind: kind, Outcome: outcome, Reason: reason, UserID: user, CredentialID: credentialID,
			PolicyVersion: 1, Facts: facts,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func signedIn(change func(*policy.AuthenticationFacts)) string {
	f := policy.AuthenticationFacts{Origin: "https://acme.example", UserVerified: true, Algorithm: -7, AAGUID: yubikey, Trust: "MDS", Certification: "FIDO_CERTIFIED_L2", AAL: 3}
	if change != nil {
		change(&f)
	}
	return string(f.AppendJSON(nil))
}

func registered(change func(*policy.RegistrationFacts)) string {
	f := policy.RegistrationFacts{Origin: "https://acme.example", UserPresent: true, UserVerified: true, Algorithm: -7, AAGUID: yubikey, Trust: "MDS", Via: "SERVER_KEY"}
	if change != nil {
		change(&f)
	}
	return string(f.AppendJSON(nil))
}

// What a draft would have changed, by hand: each ceremony here is of another kind.
func TestSimulate(t *testing.T) {
	store := dbtest.New(t)
	sc, other := store.Tenant(t), store.Tenant(t)
	ada, theirs := store.User(t, sc, 2)
	bob, his := store.User(t, sc, 1)
	_, _ = store.User(t, other, 1)
	svc := simulation.New(simulation.Options{Store: store.Store})
	in := func(outcome, reason, facts string, user uuid.UUID, id []byte) {
		t.Helper()
		record(t, store, sc, "AUTHENTICATION", outcome, reason, facts, &user, id)
	}
	synced := func(f *policy.AuthenticationFacts) {
		f.BackupEligible, f.AAGUID, f.Trust, f.Certification, f.AAL = true, phone, "NONE", "", 2
	}
	in("ALLOW", "", signedIn(nil), ada, theirs[0])
	in("ALLOW", "", signedIn(synced), ada, theirs[1])
	in("ALLOW", "", signedIn(synced), ada, theirs[1])
	in("ALLOW", "", signedIn(synced), bob, his[0])
	in("ALLOW", "SIGN_COUNT_ROLLBACK", signedIn(nil), bob, his[0]) // let in by the policy of then
	in("DENY", "SIGN_COUNT_ROLLBACK", signedIn(nil), bob, his[0])
	in("FAILED", "CREDENTIAL_REVOKED", signedIn(nil), bob, his[0])
	in("ALLOW", "", `{"origin":"https://acme.example","userVerified":true,"algorithm":-7}`, ada, theirs[0]) // of a release before
	record(t, store, sc, "REGISTRATION", "ALLOW", "", registered(nil), &ada, theirs[0])
	record(t, store, sc, "REGISTRATION", "ALLOW", "", registered(func(f *policy.RegistrationFacts) { f.Trust, f.AAGUID, f.BackupEligible = "NONE", phone, true }), &bob, his[0])
	record(t, store, sc, "REGISTRATION", "FAILED", "SYNCED_PASSKEY_NOT_ALLOWED", registered(func(f *policy.RegistrationFacts) { f.BackupEligible = true }), nil, []byte("none"))
	record(t, store, sc, "REGISTRATION", "ALLOW", "", `{"origin":"https://acme.example","userVerified":true,"attestationType":"NONE"}`, &ada, theirs[0])
	record(t, store, other, "AUTHENTICATION", "ALLOW", "", signedIn(synced), nil, []byte("theirs"))

	got, err := svc.Simulate(t.Context(), sc, simulation.Request{
		Document: []byte(`{"minimumAal":2,"syncedAal":1,"attestationConveyance":"direct","requiredTrust":"MDS"}`), Days: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	reasons := func(list ...simulation.Affected[string]) []simulation.Affected[string] { return list }
	want := simulation.Result{
		Since: got.Since, Ceremonies: 9, All: true, Incomplete: 2, Apart: 1,
		Changes: []simulation.Change{
			{"AUTHENTICATION", policy.Allow, policy.Allow, 1, reasons()},
			{"AUTHENTICATION", policy.Allow, policy.StepUp, 3, reasons(simulation.Affected[string]{"ASSURANCE_INSUFFICIENT", 3})},
			{"AUTHENTICATION", policy.Allow, policy.Deny, 1, reasons(simulation.Affected[string]{"SIGN_COUNT_ROLLBACK", 1})},
			{"AUTHENTICATION", policy.Deny, policy.Deny, 1, reasons(simulation.Affected[string]{"SIGN_COUNT_ROLLBACK", 1})},
			{"REGISTRATION", policy.Allow, policy.Allow, 1, reasons()},
			{"REGISTRATION", policy.Allow, policy.Deny, 1, reasons(simulation.Affected[string]{"ATTESTATION_UNTRUSTED", 1})},
			{"REGISTRATION", policy.Deny, policy.Allow, 1, reasons()},
		},
		Users:          []simulation.Affected[uuid.UUID]{{bob, 3}, {ada, 2}},
		Credentials:    []simulation.Affected[credential.ID]{{credential.ID(his[0]), 3}, {credential.ID(theirs[1]), 2}},
		Authenticators: []simulation.Affected[uuid.UUID]{{phone, 4}, {yubikey, 1}},
		Who: []simulation.Who{
			{bob, phone, 2, policy.Allow, policy.Deny, []string{"ATTESTATION_UNTRUSTED"}}, // of a registration and a sign-in the harder
			{bob, yubikey, 1, policy.Allow, policy.Deny, []string{"SIGN_COUNT_ROLLBACK"}},
			{ada, phone, 2, policy.Allow, policy.StepUp, []string{"ASSURANCE_INSUFFICIENT"}},
		},
		Reached: 2, Denied: 1,
		Standing: simulation.Standing{
			Credentials: 3, All: true, Refused: 3, Reasons: reasons(simulation.Affected[string]{"ATTESTATION_UNTRUSTED", 3}),
			Authenticators: got.Standing.Authenticators, Users: 2,
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Simulate (-want +got):\n%s", diff)
	}
	if age := store.Now().Sub(got.Since); age < 23*time.Hour || age > 25*time.Hour {
		t.Errorf("it looked back %v, want a day", age)
	}
	if n := store.AuditCount(t, sc, "policy.update"); n != 0 {
		t.Errorf("a simulation left %d entries", n)
	}
}

// Who could not sign in any more is told apart from who would be asked for another passkey:
// of past sign-ins by what they recorded, under the draft's own measure, and of the users
// that exist by what they have.
func TestSimulateTellsWhoCouldNotSignIn(t *testing.T) {
	store := dbtest.New(t)
	sc := store.Tenant(t)
	ada, theirs := store.User(t, sc, 2)
	bob, his := store.User(t, sc, 1)
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE credentials SET trust = 'MDS', certification = 'FIDO_CERTIFIED_L2' WHERE tenant_id = $1 AND id = $2", sc.Tenant(), theirs[1]); err != nil {
		t.Fatal(err)
	}
	weak := func(change func(*policy.AuthenticationFacts)) string {
		return signedIn(func(f *policy.AuthenticationFacts) { f.Trust, f.Certification, f.AAL = "NONE", "", 2; change(f) })
	}
	record(t, store, sc, "AUTHENTICATION", "STEP_UP", "ASSURANCE_INSUFFICIENT", weak(func(f *policy.AuthenticationFacts) {
		f.ReachableAAL, f.ReachableBoundAAL, f.ReachableCertification = 3, 3, "FIDO_CERTIFIED_L2"
	}), &ada, theirs[0])
	record(t, store, sc, "AUTHENTICATION", "DENY", "ASSURANCE_UNREACHABLE", weak(func(f *policy.AuthenticationFacts) {
		f.ReachableAAL, f.ReachableBoundAAL, f.ReachableSyncedAAL = 2, 2, 2
	}), &bob, his[0])
	record(t, store, sc, "AUTHENTICATION", "STEP_UP", "ASSURANCE_INSUFFICIENT", weak(func(*policy.AuthenticationFacts) {}), &bob, his[0]) // of a release before
	svc := simulation.New(simulation.Options{Store: store.Store})
	for _, tt := range []struct {
		draft       string
		want        map[policy.Outcome]int
		unreachable int
	}{
		{`{"minimumAal":3}`, map[policy.Outcome]int{policy.StepUp: 2, policy.Deny: 1}, 1},
		{`{"minimumAal":3,"aal3Certification":"FIDO_CERTIFIED_L3"}`, map[policy.Outcome]int{policy.StepUp: 1, policy.Deny: 2}, 2},
		{`{"minimumAal":2}`, map[policy.Outcome]int{policy.Allow: 3}, 0},
	} {
		got, err := svc.Simulate(t.Context(), sc, simulation.Request{Document: []byte(tt.draft), Days: 1})
		if err != nil {
			t.Fatal(err)
		}
		after := map[policy.Outcome]int{}
		for _, c := range got.Changes {
			after[c.After] += c.Count
		}
		if diff := cmp.Diff(tt.want, after); diff != "" || got.Standing.Users != 2 || got.Standing.Unreachable != tt.unreachable {
			t.Errorf("%s: %+v (-want +got):\n%s", tt.draft, got.Standing, diff)
		}
	}
	cut, err := simulation.New(simulation.Options{Store: store.Store, MaxCredentials: 2}).Simulate(t.Context(), sc, simulation.Request{Document: []byte(`{"minimumAal":3}`)})
	if err != nil || cut.Standing.Users != 0 || cut.Standing.Unreachable != 0 {
		t.Errorf("cut = %+v, %v: a user's good passkey may be among those not looked at", cut.Standing, err)
	}
}

// The policy that decided says again what it said. A fact that decisions need and that is
// not stored turns it red.
func TestReplayUnderTheSamePolicyChangesNothing(t *testing.T) {
	store := dbtest.New(t)
	sc := store.Tenant(t)
	document := policy.Default()
	text, err := document.Complete()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		auth := policy.AuthenticationFacts{UserVerified: i%2 == 0, AAL: 1 + (i+1)%2, Trust: "NONE", SignCountRolledBack: i%4 == 0, BackupEligibilityChanged: i > 5}
		decided := policy.DecideAuthentication(&document, &auth)
		reason := ""
		if len(decided.Reasons) > 0 {
			reason = decided.Reasons[0]
		}
		record(t, store, sc, "AUTHENTICATION", string(decided.Outcome), reason, string(auth.AppendJSON(nil)), nil, []byte{1})
	}
	got, err := simulation.New(simulation.Options{Store: store.Store}).Simulate(t.Context(), sc, simulation.Request{Document: text})
	if err != nil || got.Ceremonies != 8 {
		t.Fatalf("Simulate = %+v, %v", got, err)
	}
	for _, c := range got.Changes {
		if c.Before != c.After {
			t.Errorf("%+v", c)
		}
	}
}

// More than a simulation looks at is cut, and the answer says so.
func TestSimulationIsBounded(t *testing.T) {
	store := dbtest.New(t)
	sc := store.Tenant(t)
	_, ids := store.User(t, sc, 4)
	for i := range 5 {
		record(t, store, sc, "AUTHENTICATION", "ALLOW", "", signedIn(nil), nil, ids[i%4])
	}
	svc := func(ceremonies, credentials int) simulation.Result {
		t.Helper()
		got, err := simulation.New(simulation.Options{Store: store.Store, MaxCeremonies: ceremonies, MaxCredentials: credentials}).
			Simulate(t.Context(), sc, simulation.Request{Document: []byte(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := svc(3, 2); got.Ceremonies != 3 || got.All || got.Standing.Credentials != 2 || got.Standing.All || store.Now().Sub(got.Since) > time.Hour {
		t.Errorf("cut = %+v", got)
	}
	if got := svc(6, 5); got.Ceremonies != 5 || !got.All || got.Standing.Credentials != 4 || !got.Standing.All {
		t.Errorf("not cut = %+v", got)
	}
	// Two days later they are out of sight.
	o := store.Options()
	o.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	later, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(later.Close)
	if got, err := simulation.New(simulation.Options{Store: later}).Simulate(t.Context(), sc, simulation.Request{Document: []byte(`{}`), Days: 1}); err != nil || got.Ceremonies != 0 || !got.All {
		t.Errorf("later = %+v, %v", got, err)
	}
}

// A tenant's second simulation, and a third one of anybody's, are refused while those before
// run, and take their turn when they have ended, also by an error.
func TestSimulationsAtOnce(t *testing.T) {
	store := dbtest.New(t)
	o := store.Options()
	var held atomic.Bool
	entered, release := make(chan struct{}), make(chan struct{})
	o.Now = func() time.Time { // what a simulation asks for when it begins
		if held.Load() {
			entered <- struct{}{}
			<-release
		}
		return time.Now()
	}
	slow, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slow.Close)
	svc := simulation.New(simulation.Options{Store: slow})
	acme, globex, initech := store.Tenant(t), store.Tenant(t), store.Tenant(t)
	try := func(sc scope.Scope) error {
		_, err := svc.Simulate(t.Context(), sc, simulation.Request{Document: []byte(`{}`)})
		return err
	}
	held.Store(true)
	ended := make(chan error, 2)
	go func() { ended <- try(acme) }()
	<-entered
	if err := try(acme); !errors.Is(err, simulation.ErrBusy) {
		t.Errorf("a second one of a tenant's = %v, want %v", err, simulation.ErrBusy)
	}
	go func() { ended <- try(globex) }()
	<-entered
	if f, ok := fault.As(try(initech)); !ok || !errors.Is(f, simulation.ErrBusy) || f.RetryAfter < time.Second {
		t.Errorf("a third tenant's = %v, want %v with a time to come back", f, simulation.ErrBusy)
	}
	if _, err := svc.Simulate(t.Context(), acme, simulation.Request{Document: []byte(`{`)}); !errors.Is(err, policy.ErrInvalid) {
		t.Errorf("no policy meanwhile = %v, want %v: it takes nobody's place", err, policy.ErrInvalid)
	}
	held.Store(false)
	close(release)
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := try(scope.Scope{}); !errors.Is(err, db.ErrScope) {
		t.Errorf("without a scope = %v, want %v", err, db.ErrScope)
	}
	for _, sc := range []scope.Scope{acme, globex, initech, acme} {
		if err := try(sc); err != nil {
			t.Errorf("afterwards = %v", err)
		}
	}
}

func TestSimulateRefuses(t *testing.T) {
	store := dbtest.New(t)
	sc := store.Tenant(t)
	svc := simulation.New(simulation.Options{Store: store.Store})
	for _, days := range []int{-1, 91} {
		if _, err := svc.Simulate(t.Context(), sc, simulation.Request{Document: []byte(`{}`), Days: days}); !errors.Is(err, simulation.ErrDays) {
			t.Errorf("%d days = %v", days, err)
		}
	}
	for _, document := range []string{``, `{"minimumAal":4}`, `{"minimumAl":2}`, fmt.Sprintf(`{"authenticatorsAllowed":[%q]}`, yubikey)} {
		if _, err := svc.Simulate(t.Context(), sc, simulation.Request{Document: []byte(document)}); !errors.Is(err, policy.ErrInvalid) {
			t.Errorf("%s = %v, want %v", document, err, policy.ErrInvalid)
		}
	}
	if _, err := svc.Simulate(t.Context(), scope.Scope{}, simulation.Request{Document: []byte(`{}`)}); !errors.Is(err, db.ErrScope) {
		t.Errorf("without a scope = %v, want %v", err, db.ErrScope)
	}
}
