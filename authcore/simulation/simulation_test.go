package simulation_test

import (
	"errors"
	"fmt"
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
		Standing: simulation.Standing{
			Credentials: 3, All: true, Refused: 3, Reasons: reasons(simulation.Affected[string]{"ATTESTATION_UNTRUSTED", 3}),
			Authenticators: got.Standing.Authenticators,
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
