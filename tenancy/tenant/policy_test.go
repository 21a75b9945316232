package tenant_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func TestPutPolicy(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	sc := of(made)
	put := func(document, ifMatch string) (tenant.PolicyVersion, error) {
		return f.svc.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: []byte(document), Reason: "shorter", IfMatch: ifMatch})
	}
	first, err := f.svc.Policy(t.Context(), sc)
	if err != nil || first.Version != 1 || first.Document.AccessTokenSeconds != 600 || first.ETag == "" || first.CreatedAt.IsZero() {
		t.Fatalf("Policy = %+v, %v", first, err)
	}
	if _, err := f.svc.Current(t.Context(), sc); err != nil { // it is remembered
		t.Fatal(err)
	}
	settings, err := f.svc.Settings(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	second, err := put(`{"accessTokenSeconds":120,"signingAlgorithm":"EdDSA"}`, first.ETag)
	if err != nil || second.Version != 2 || second.Document.AccessTokenSeconds != 120 || second.ETag == first.ETag || second.CreatedBy != "system:test" {
		t.Fatalf("PutPolicy = %+v, %v", second, err)
	}
	entry := lastAudit(t, f.store.Store, sc)
	before, _ := entry["before"].(map[string]any)
	after, _ := entry["after"].(map[string]any)
	if entry["action"] != "policy.update" || entry["reason"] != "shorter" || len(before) != 3 || len(after) != 3 ||
		before["version"] != 1.0 || before["accessTokenSeconds"] != 600.0 || before["signingAlgorithm"] != "ES256" ||
		after["version"] != 2.0 || after["accessTokenSeconds"] != 120.0 || after["signingAlgorithm"] != "EdDSA" {
		t.Errorf("audit entry %v", entry)
	}
	if last := events(t, f.store.Store, sc); last[len(last)-1].Type != "policy.changed" {
		t.Errorf("last event = %s", last[len(last)-1].Type)
	}
	snap, err := f.svc.Current(t.Context(), sc)
	if err != nil || snap.PolicyVersion != 2 || snap.Policy.SigningAlgorithm != policy.SignEdDSA || !snap.PolicySince.Equal(second.CreatedAt) {
		t.Errorf("the snapshot after it: %+v, %v", snap, err)
	}
	if now, err := f.svc.Settings(t.Context(), sc); err != nil || now.ETag == settings.ETag {
		t.Errorf("the settings show another lifetime under the etag of before: %v", err)
	}

	same, err := put(`{"signingAlgorithm":"EdDSA","accessTokenSeconds":120,"residentKey":"required"}`, "")
	if err != nil || same.Version != 2 || same.ETag != second.ETag || f.store.AuditCount(t, sc, "policy.update") != 1 {
		t.Errorf("a document that changes nothing left a trace: %+v, %v", same, err)
	}
	if _, err := put(`{}`, first.ETag); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("an old etag = %v, want ErrMismatch", err)
	}
	third, err := put(`{}`, second.ETag)
	if err != nil || third.Version != 3 || third.Document.AccessTokenSeconds != 600 {
		t.Errorf("fields left out = %+v, %v, want the defaults", third, err)
	}
}

func TestPutPolicyRefuses(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	put := func(svc *tenant.Service, sc scope.Scope, document string) error {
		_, err := svc.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: []byte(document)})
		return err
	}
	for document, want := range map[string]error{
		`{"accessTokenSecond":120}`:     policy.ErrInvalid,
		`{"accessTokenSeconds":59}`:     policy.ErrInvalid,
		`{"accessTokenSeconds":null}`:   policy.ErrInvalid,
		`{"accessTokenSeconds":"120"}`:  policy.ErrInvalid,
		`{"signingAlgorithm":"HS256"}`:  policy.ErrInvalid,
		`[]`:                            policy.ErrInvalid,
		``:                              policy.ErrInvalid,
		`{"signingKeyLocation":"KMS"}`:  keys.ErrNoSigner,
		`{"signingKeyLocation":"DISK"}`: policy.ErrInvalid,
	} {
		if err := put(f.svc, of(made), document); !errors.Is(err, want) {
			t.Errorf("%s = %v, want %v", document, err, want)
		}
	}
	if n := f.store.AuditCount(t, of(made), "policy.update"); n != 0 {
		t.Errorf("refusals left %d entries", n)
	}
	for name, sc := range map[string]scope.Scope{"the platform": operator, "nobody": scope.New(uuid.New(), operator.Actor())} {
		if err := put(f.svc, sc, `{"accessTokenSeconds":120}`); !errors.Is(err, tenant.ErrNotFound) {
			t.Errorf("a policy of %s = %v, want %v", name, err, tenant.ErrNotFound)
		}
	}
	signs := keys.New(keys.Options{Store: f.store.Store, KMS: struct{ keys.SigningKMS }{}})
	if err := put(tenant.New(tenant.Options{Store: f.store.Store, Keys: signs}), of(made), `{"signingKeyLocation":"KMS"}`); err != nil {
		t.Errorf("keys in a KMS that signs = %v", err)
	}
	setState(t, f.store.Store, made.ID, "DELETING")
	if err := put(f.svc, of(made), `{"accessTokenSeconds":120}`); !errors.Is(err, tenant.ErrDeleting) {
		t.Errorf("a policy of a tenant in deletion = %v, want %v", err, tenant.ErrDeleting)
	}
}

// Puts at once make one version each; of those that read the same version, one wins.
// Without LockTenant the first fail on the versions' key, and the others all win.
func TestPutPolicyRace(t *testing.T) {
	f := newFixture(t)
	const writers = 6
	race := func(sc scope.Scope, ifMatch string) (versions []int) {
		put := make([]tenant.PolicyVersion, writers)
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				put[i], errs[i] = f.svc.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{
					Document: []byte(`{"accessTokenSeconds":` + strconv.Itoa(100+i) + `}`), IfMatch: ifMatch,
				})
			})
		}
		wg.Wait()
		for i, err := range errs {
			if err == nil {
				versions = append(versions, put[i].Version)
			} else if !errors.Is(err, etag.ErrMismatch) {
				t.Errorf("a loser: %v", err)
			}
		}
		slices.Sort(versions)
		return versions
	}
	acme, globex := of(f.create(t)), of(f.create(t))
	if got := race(acme, ""); !slices.Equal(got, []int{2, 3, 4, 5, 6, 7}) {
		t.Errorf("versions %v, want 2 to 7", got)
	}
	read, err := f.svc.Policy(t.Context(), globex)
	if err != nil {
		t.Fatal(err)
	}
	if got := race(globex, read.ETag); !slices.Equal(got, []int{2}) || f.store.AuditCount(t, globex, "policy.update") != 1 {
		t.Errorf("versions %v under one etag, want one", got)
	}
}

// A change of any field makes a version and an audit entry that names it: a field
// that policyDifferences does not know could never be set.
func TestEveryFieldOfAPolicyCounts(t *testing.T) {
	f := newFixture(t)
	sc := of(f.create(t))
	others := map[string]any{
		"userVerification": "preferred", "attestationConveyance": "direct", "residentKey": "preferred", "algorithms": []int{policy.ES256},
		"registrationTimeoutSeconds": 60, "authenticationTimeoutSeconds": 60, "maxCredentialsPerUser": 5, "signCountRollback": "FLAG",
		"sessionLifetimeSeconds": 86400, "refreshIdleSeconds": 3600, "accessTokenSeconds": 120, "signingAlgorithm": "RS256",
		"signingKeyLocation": "KMS", "signingKeyRotationDays": 0, "dataKeyRotationDays": 0, "conditionalCreate": false,
		"requiredTrust": "MDS", "authenticatorsAllowed": []string{"ee882879-721c-4913-9775-3dfcce97072a"},
		"authenticatorsDenied": []string{"cb69481e-8ff7-4039-93ec-0a2729a154a8"}, "minimumCertification": "FIDO_CERTIFIED_L1",
		"syncedPasskeys": "DENY", "authenticatorAttachment": "platform", "hints": []string{"security-key"}, "backupEligibilityChange": "FLAG",
		"additionalCredential": "STRONG_SIGN_IN", "strongSignInMaxAgeSeconds": 60, "minimumAal": 2, "syncedAal": 1,
		"aal3Certification": "FIDO_CERTIFIED_L3", "authenticatorStatus": "SUSPEND", "reportedAuthenticators": "FLAG", "evidenceRetentionDays": 0,
		"ceremonyRetentionDays": 90, "sessionRetentionDays": 30, "auditRetentionDays": 365,
		"topOrigins": []string{"https://shop.example"}, "crossOrigin": "ALLOW", "recoveryCodes": false,
		"recoveryApproval": "SECOND_PERSON", "recoveryFailures": 3, "recoveryLockoutSeconds": 60,
	}
	svc := tenant.New(tenant.Options{
		Store: f.store.Store, Keys: keys.New(keys.Options{Store: f.store.Store, KMS: struct{ keys.SigningKMS }{}}),
	})
	changed := map[string]any{"refreshIdleSeconds": 7200} // what a shorter session asks for, see below
	for i, field := range policy.Fields() {
		other, ok := others[field]
		if !ok {
			t.Fatalf("no other value for %s", field)
		}
		changed[field] = other
		document, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		put, err := svc.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: document})
		if err != nil || put.Version != i+2 {
			t.Fatalf("%s: version %d, %v, want %d", field, put.Version, err, i+2)
		}
		after, _ := lastAudit(t, f.store.Store, sc)["after"].(map[string]any)
		if _, ok := after[field]; !ok || (i > 0 && len(after) != 2) {
			t.Errorf("%s: the audit entry says %v", field, after)
		}
	}
}

// A version that was stored before there was reportedAuthenticators is read as what it was:
// reported models were flagged where nothing else was said. A new tenant's denies, and going
// back to the old version brings its word back.
func TestVersionsOfBeforeReportedAuthenticators(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	sc := of(made)
	says := func(what string, got tenant.PolicyVersion, err error, want policy.Leave) {
		t.Helper()
		if err != nil || got.Document.ReportedAuthenticators != want {
			t.Errorf("%s: %s, %v, want %s", what, got.Document.ReportedAuthenticators, err, want)
		}
	}
	fresh, err := f.svc.Policy(t.Context(), sc)
	says("a new tenant's", fresh, err, policy.LeaveDeny)
	if _, err := f.store.Superuser(t).Exec(t.Context(), "UPDATE policies SET document = document - 'reportedAuthenticators' WHERE tenant_id = $1", made.ID); err != nil {
		t.Fatal(err)
	}
	old, err := f.svc.PolicyVersion(t.Context(), sc, 1)
	says("an old one", old, err, policy.LeaveFlag)
	put, err := f.svc.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: []byte(`{}`)})
	says("put in force without the field", put, err, policy.LeaveDeny)
	back, err := f.svc.RollbackPolicy(t.Context(), sc, tenant.RollbackPolicyRequest{Version: 1})
	says("gone back to", back, err, policy.LeaveFlag)
}
