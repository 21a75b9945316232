package ceremony_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var model = uuid.MustParse("ee882879-721c-4913-9775-3dfcce97072a")

// key is a security key of model that attests as asked.
func key(t testing.TB, kind authenticatortest.Attestation) *authenticatortest.Authenticator {
	t.Helper()
	return authenticator(t, authenticatortest.Options{Attestation: kind, AAGUID: model, CrossPlatform: true})
}

// knows has the metadata vouch for model by root.
func (w *world) knows(t testing.TB, root []byte, reports ...mdstest.Report) {
	t.Helper()
	w.metadata.Store(mdstest.New(t).Snapshot(t, mdstest.BLOB{
		Number: 7, Entries: []mdstest.Entry{{AAGUID: model, Name: "Key", Roots: [][]byte{root}, Reports: reports}},
	}))
}

func (w *world) tryEnroll(t testing.TB, sc scope.Scope, a *authenticatortest.Authenticator, req ceremony.BeginRegistrationRequest) (ceremony.Registered, error) {
	t.Helper()
	begun, err := w.BeginRegistration(t.Context(), sc, req)
	if err != nil {
		return ceremony.Registered{}, err
	}
	return w.FinishRegistration(t.Context(), sc, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: create(t, a, begun, authenticatortest.Deviation{}), Publishable: req.Publishable})
}

// SECURITY 13: what an authenticator proves decides, not what it claims. A refusal leaves a
// ceremony with its facts, an audit entry and an event, and no credential.
func TestPolicyDecidesRegistrations(t *testing.T) {
	w := newWorld(t)
	proven := key(t, authenticatortest.PackedX5C)
	certified := mdstest.Report{Status: "FIDO_CERTIFIED_L1", Effective: time.Now().AddDate(0, -1, 0)}
	revoked := mdstest.Report{Status: mds.Revoked, Effective: time.Now().AddDate(0, 0, -1)}
	const listed = `{"attestationConveyance":"direct","requiredTrust":"VERIFIED","authenticatorsAllowed":["ee882879-721c-4913-9775-3dfcce97072a"]}`
	for _, tt := range []struct {
		name    string
		policy  string
		a       *authenticatortest.Authenticator
		reports []mdstest.Report
		trust   credential.Trust
		want    error
	}{
		{"proven and listed", listed, proven, []mdstest.Report{certified}, credential.TrustMDS, nil},
		{"self-attested under the AAGUID of a listed model", listed, key(t, authenticatortest.PackedSelf), nil, credential.TrustUntrusted, ceremony.ErrAttestationUntrusted},
		{"claimed without attestation", listed, key(t, authenticatortest.NoAttestation), nil, credential.TrustNone, ceremony.ErrAttestationUntrusted},
		{"a chain to another root", listed, key(t, authenticatortest.PackedX5C), nil, credential.TrustUntrusted, ceremony.ErrAttestationUntrusted},
		{"without any policy it is recorded all the same", `{"attestationConveyance":"direct"}`, key(t, authenticatortest.PackedX5C), nil, credential.TrustUntrusted, nil},
		{"certified too low", `{"attestationConveyance":"direct","requiredTrust":"MDS","minimumCertification":"FIDO_CERTIFIED_L2"}`, proven, []mdstest.Report{certified}, credential.TrustMDS, ceremony.ErrCertification},
		{"a model on the list of those denied", `{"authenticatorsDenied":["ee882879-721c-4913-9775-3dfcce97072a"]}`, key(t, authenticatortest.PackedSelf), nil, credential.TrustUntrusted, ceremony.ErrAuthenticator},
		{"a revoked model", `{"attestationConveyance":"direct","authenticatorStatus":"SUSPEND"}`, proven, []mdstest.Report{revoked}, credential.TrustMDS, ceremony.ErrCompromised},
		{"certificates that have ended, where nothing is required", `{"attestationConveyance":"direct"}`, aged(t), nil, credential.TrustUntrusted, webauthn.ErrAttestationExpired},
		{"a revoked model, where those that exist are flagged", `{"attestationConveyance":"direct","reportedAuthenticators":"DENY"}`, proven, []mdstest.Report{revoked}, credential.TrustMDS, ceremony.ErrCompromised},
		{"a revoked model, by a version of before that says nothing of it", `{"attestationConveyance":"direct"}`, proven, []mdstest.Report{revoked}, credential.TrustMDS, nil},
		{"a revoked model, flagged", `{"attestationConveyance":"direct","reportedAuthenticators":"FLAG"}`, proven, []mdstest.Report{revoked}, credential.TrustMDS, nil},
		{"a synced passkey", `{"syncedPasskeys":"DENY"}`, authenticator(t, authenticatortest.Options{BackupEligible: true}), nil, credential.TrustNone, ceremony.ErrSynced},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.knows(t, proven.Root(), tt.reports...)
			acme := w.policed(t, tt.policy)
			begun := w.beginRegistration(t, acme, profile())
			response := create(t, tt.a, begun, authenticatortest.Deviation{})
			done, err := w.FinishRegistration(t.Context(), acme, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: response})
			wantErr(t, "finish", err, tt.want)
			outcome, reason, credentials := "ALLOW", "", 1
			if f, ok := fault.As(tt.want); ok {
				outcome, reason, credentials = "FAILED", f.Reason, 0
			}
			var facts, gotReason string
			if err := w.db.Superuser(t).QueryRow(t.Context(), "SELECT facts, reason FROM ceremonies WHERE tenant_id = $1 AND kind = 'REGISTRATION' AND outcome = $2",
				acme.Tenant(), outcome).Scan(&facts, &gotReason); err != nil {
				t.Fatalf("the ceremony: %v", err)
			}
			f, err := policy.ParseRegistrationFacts([]byte(facts))
			if err != nil || f.Trust != string(tt.trust) {
				t.Errorf("facts %s: %v, want trust %s", facts, err, tt.trust)
			}
			if n := w.one(t, "SELECT count(*) FROM credentials WHERE tenant_id = $1", acme.Tenant()); n != credentials {
				t.Errorf("%d credentials, want %d", n, credentials)
			}
			if tt.want == nil {
				if done.Credential.Trust != tt.trust || gotReason != "" {
					t.Errorf("credential's trust = %s, reason %q, want %s", done.Credential.Trust, gotReason, tt.trust)
				}
				return
			}
			if gotReason != reason {
				t.Errorf("reason = %q, want %q", gotReason, reason)
			}
			if n := w.one(t, "SELECT count(*) FROM users WHERE tenant_id = $1", acme.Tenant()); n != 0 {
				t.Errorf("%d users, want none: half a write", n)
			}
			for _, table := range []string{
				"audit_inbox WHERE action = 'registration.finish' AND entry LIKE '%\"outcome\":\"denied\"%' AND",
				"event_outbox WHERE type = 'registration.denied' AND",
			} {
				if n := w.one(t, "SELECT count(*) FROM "+table+" tenant_id = $1", acme.Tenant()); n != 1 {
					t.Errorf("%d in %s, want 1", n, table)
				}
			}
			// The same response is judged once.
			_, err = w.FinishRegistration(t.Context(), acme, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: response})
			wantErr(t, "again", err, ceremony.ErrChallengeSpent)
			if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE tenant_id = $1 AND reason <> 'CHALLENGE_ALREADY_USED'", acme.Tenant()); n != 1 {
				t.Errorf("%d ceremonies, want 1", n)
			}
		})
	}
}

// SECURITY 49: what a further passkey takes. With a publishable key the user's own sign-in
// vouches, and it must be strong and recent, whatever the policy says.
func TestFurtherCredential(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name        string
		policy      string
		publishable bool
		byServer    bool // the request names the user
		weak        bool // the session is of AAL1
		none        bool // no session
		age         time.Duration
		want        error
		via         credential.Via
		aal         uint8
	}{
		{name: "a server vouches", policy: `{}`, byServer: true, none: true, via: credential.ViaServerKey},
		{name: "a server alone where more is asked", policy: `{"additionalCredential":"STRONG_SIGN_IN"}`, byServer: true, none: true, want: ceremony.ErrStrongSignIn},
		{name: "a server and a strong sign-in", policy: `{"additionalCredential":"STRONG_SIGN_IN"}`, byServer: true, via: credential.ViaServerKey, aal: 2},
		{name: "the user alone, after a strong sign-in", policy: `{}`, publishable: true, via: credential.ViaSession, aal: 2},
		{name: "the user alone, after a weak one", policy: `{"userVerification":"preferred"}`, publishable: true, weak: true, want: ceremony.ErrStrongSignIn},
		{name: "the user alone, too long after", policy: `{}`, publishable: true, age: 6 * time.Minute, want: ceremony.ErrStrongSignIn},
		{name: "a browser that names a user", policy: `{}`, publishable: true, byServer: true, none: true, want: ceremony.ErrNeedsServerKey},
		{name: "nobody", policy: `{}`, none: true, want: ceremony.ErrSubject},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme := w.policed(t, tt.policy)
			a := phone(t)
			owner := w.enroll(t, acme, a).User
			req := ceremony.BeginRegistrationRequest{Publishable: tt.publishable}
			if tt.byServer {
				req.UserID = &owner.ID
			}
			if !tt.none {
				dev := authenticatortest.Deviation{}
				if tt.weak {
					dev.ClearFlags = authenticatortest.UV
				}
				done, err := w.try(t, acme, a, dev)
				if err != nil || done.Tokens == nil {
					t.Fatalf("sign-in = %+v, %v", done, err)
				}
				req.AccessToken = done.Tokens.Access
			}
			if tt.age > 0 {
				later := w.at(t, tt.age)
				_, err := later.BeginRegistration(t.Context(), acme, req)
				wantErr(t, "begin", err, tt.want)
				return
			}
			done, err := w.tryEnroll(t, acme, phone(t), req)
			wantErr(t, "enroll", err, tt.want)
			if tt.want == nil && (done.User.ID != owner.ID || done.Credential.RegisteredVia != tt.via || done.Credential.RegisteredAAL != tt.aal) {
				t.Errorf("registered for %s via %s at AAL%d, want %s, %s, AAL%d", done.User.ID, done.Credential.RegisteredVia, done.Credential.RegisteredAAL, owner.ID, tt.via, tt.aal)
			}
		})
	}
	t.Run("somebody else's session", func(t *testing.T) {
		acme := w.tenant(t)
		mine, theirs := phone(t), phone(t)
		me := w.enroll(t, acme, mine).User
		w.enroll(t, acme, theirs)
		token := w.signIn(t, acme, theirs).Tokens.Access
		_, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{UserID: &me.ID, AccessToken: token})
		wantErr(t, "begin", err, ceremony.ErrSubject)
		_, err = w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{User: profile(), AccessToken: token})
		wantErr(t, "begin for a newcomer", err, user.ErrNotFound)
		_, err = w.CreateRegistrationToken(t.Context(), acme, ceremony.RegistrationTokenRequest{UserID: &me.ID, AccessToken: token})
		wantErr(t, "a token", err, ceremony.ErrSubject)
		_, err = w.BeginRegistration(t.Context(), w.tenant(t), ceremony.BeginRegistrationRequest{AccessToken: token})
		wantErr(t, "at another tenant", err, ceremony.ErrAccessToken)
		_, err = w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{AccessToken: token + "x"})
		wantErr(t, "a forged one", err, ceremony.ErrAccessToken)
	})
	t.Run("a session that is revoked meanwhile", func(t *testing.T) {
		for _, byServer := range []bool{false, true} {
			acme := w.policed(t, `{"additionalCredential":"STRONG_SIGN_IN"}`)
			a := phone(t)
			owner := w.enroll(t, acme, a).User
			signed := w.signIn(t, acme, a)
			req, want := ceremony.BeginRegistrationRequest{Publishable: true, AccessToken: signed.Tokens.Access}, ceremony.ErrAccessToken
			if byServer {
				req, want = ceremony.BeginRegistrationRequest{UserID: &owner.ID, AccessToken: signed.Tokens.Access}, ceremony.ErrStrongSignIn
			}
			begun, err := w.BeginRegistration(t.Context(), acme, req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.sessions.Revoke(t.Context(), acme, session.RevokeRequest{ID: signed.Session.ID}); err != nil {
				t.Fatal(err)
			}
			_, err = w.FinishRegistration(t.Context(), acme, ceremony.FinishRegistrationRequest{
				ID: begun.ID, Response: create(t, phone(t), begun, authenticatortest.Deviation{}), Publishable: req.Publishable,
			})
			wantErr(t, "finish", err, want)
		}
	})
	t.Run("a token that a session vouched for", func(t *testing.T) {
		acme := w.policed(t, `{"additionalCredential":"STRONG_SIGN_IN"}`)
		a := phone(t)
		owner := w.enroll(t, acme, a).User
		for _, access := range []string{"", w.signIn(t, acme, a).Tokens.Access} {
			token, err := w.CreateRegistrationToken(t.Context(), acme, ceremony.RegistrationTokenRequest{UserID: &owner.ID, AccessToken: access})
			if err != nil {
				t.Fatal(err)
			}
			done, err := w.tryEnroll(t, acme, phone(t), ceremony.BeginRegistrationRequest{Token: token.Token, Publishable: true})
			if access == "" {
				wantErr(t, "without", err, ceremony.ErrStrongSignIn)
			} else if err != nil || done.Credential.RegisteredAAL != 2 || done.Credential.RegisteredVia != credential.ViaRegistrationToken {
				t.Errorf("with: %+v, %v", done.Credential, err)
			}
		}
	})
}

// What a policy makes of good signatures: they spend the challenge, leave a record, and
// open no session.
func TestPolicyDecidesSignIns(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, policy, row string
		dev               authenticatortest.Deviation
		want              ceremony.Decision
		reason            string
	}{
		{"worth enough", `{"minimumAal":2}`, "", authenticatortest.Deviation{}, ceremony.Allow, ""},
		{"worth too little", `{"minimumAal":2,"userVerification":"preferred"}`, "", authenticatortest.Deviation{ClearFlags: authenticatortest.UV}, ceremony.StepUp, policy.ReasonAssuranceInsufficient},
		{"worth too little, and no passkey could be worth more", `{"minimumAal":3}`, "", authenticatortest.Deviation{}, ceremony.Deny, policy.ReasonAssuranceUnreachable},
		{"of a reported model, flagged", `{}`, "disposition = 'FLAG'", authenticatortest.Deviation{}, ceremony.Allow, ""},
		{"of a reported model, with a step-up", `{}`, "disposition = 'STEP_UP'", authenticatortest.Deviation{}, ceremony.StepUp, policy.ReasonAuthenticatorCompromised},
		{"worth too little, with a count that policy lets fall", `{"minimumAal":2,"userVerification":"preferred","signCountRollback":"FLAG"}`, "", authenticatortest.Deviation{ClearFlags: authenticatortest.UV, SignCount: authenticatortest.FrozenCount}, ceremony.StepUp, policy.ReasonAssuranceInsufficient},
		{"another backup eligibility", `{}`, "", authenticatortest.Deviation{SetFlags: authenticatortest.BE}, ceremony.Deny, policy.ReasonBackupEligibleChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme := w.policed(t, tt.policy)
			a := phone(t)
			enrolled := w.enroll(t, acme, a)
			if tt.row != "" {
				if _, err := w.db.Superuser(t).Exec(t.Context(), "UPDATE credentials SET "+tt.row+" WHERE tenant_id = $1", acme.Tenant()); err != nil {
					t.Fatal(err)
				}
			}
			begun := w.begin(t, acme)
			response := get(t, a, begun, tt.dev)
			done, err := w.finish(t, acme, begun, response)
			if err != nil || done.Decision != tt.want || done.Reason != tt.reason || (done.Session != nil) != (tt.want == ceremony.Allow) || (done.StepUp != nil) != (tt.want == ceremony.StepUp) {
				t.Fatalf("finish = %+v, %v, want %s %s", done, err, tt.want, tt.reason)
			}
			if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE tenant_id = $1 AND kind = 'AUTHENTICATION' AND outcome = $2 AND reason = $3", acme.Tenant(), tt.want, tt.reason); n != 1 {
				t.Errorf("%d ceremonies, want 1", n)
			}
			_, err = w.finish(t, acme, begun, response)
			wantErr(t, "again", err, ceremony.ErrChallengeSpent)
			if tt.want == ceremony.Allow {
				return
			}
			if n := w.one(t, "SELECT count(*) FROM sessions WHERE tenant_id = $1", acme.Tenant()); n != 0 {
				t.Errorf("%d sessions, want none", n)
			}
			if n := w.one(t, "SELECT count(*) FROM event_outbox WHERE tenant_id = $1 AND type = 'authentication.denied'", acme.Tenant()); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
			// Revoked meanwhile: that is what is answered.
			begun = w.begin(t, acme)
			response = get(t, a, begun, tt.dev)
			if _, err := w.credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: enrolled.Credential.ID, AllowLast: true}); err != nil {
				t.Fatal(err)
			}
			_, err = w.finish(t, acme, begun, response)
			wantErr(t, "with a revoked credential", err, credential.ErrRevoked)
		})
	}
}

// A second sign-in that is worth more ends what the first began.
func TestStepUpToTheMinimum(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"minimumAal":2,"userVerification":"preferred"}`)
	a := phone(t)
	w.enroll(t, acme, a)
	done, err := w.try(t, acme, a, authenticatortest.Deviation{ClearFlags: authenticatortest.UV})
	if err != nil || done.StepUp == nil {
		t.Fatalf("finish = %+v, %v", done, err)
	}
	begun := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{StepUpToken: done.StepUp.Token})
	if begun.Options.UserVerification != webauthn.Required {
		t.Errorf("the step-up asks for verification %q", begun.Options.UserVerification)
	}
	if done, err = w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{})); err != nil || done.Decision != ceremony.Allow || done.Session == nil {
		t.Errorf("the second = %+v, %v", done, err)
	}
}

// A second sign-in is asked of those alone whom it could help: by the passkeys that the user
// has, that are active, and that are the user's own. What was found stands in the facts.
func TestMinimumThatNobodyReaches(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.policed(t, `{"minimumAal":3}`), w.policed(t, `{"minimumAal":3}`)
	a, b, theirs := phone(t), phone(t), phone(t)
	owner := w.enroll(t, acme, a)
	good := w.enroll(t, acme, b) // another user's
	w.enroll(t, globex, theirs)
	prove := func(where string, args ...any) {
		t.Helper()
		if _, err := w.db.Superuser(t).Exec(t.Context(), "UPDATE credentials SET trust = 'MDS', certification = 'FIDO_CERTIFIED_L2' WHERE "+where, args...); err != nil {
			t.Fatal(err)
		}
	}
	prove("tenant_id = $1 AND id = $2", acme.Tenant(), good.Credential.ID.Bytes())
	prove("tenant_id = $1", globex.Tenant())
	facts := func() (f policy.AuthenticationFacts) {
		t.Helper()
		var text, reason string
		if err := w.db.Superuser(t).QueryRow(t.Context(), "SELECT facts::text, reason FROM ceremonies WHERE tenant_id = $1 AND kind = 'AUTHENTICATION' ORDER BY at DESC, id DESC LIMIT 1", acme.Tenant()).Scan(&text, &reason); err != nil {
			t.Fatal(err)
		}
		f, err := policy.ParseAuthenticationFacts([]byte(text), reason)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	try := func(what string, want ceremony.Decision, reason string, reachable int) {
		t.Helper()
		done, err := w.try(t, acme, a, authenticatortest.Deviation{})
		if err != nil || done.Decision != want || done.Reason != reason || (done.StepUp != nil) != (want == ceremony.StepUp) {
			t.Fatalf("%s = %+v, %v, want %s %s", what, done, err, want, reason)
		}
		if f := facts(); f.ReachableAAL != reachable {
			t.Errorf("%s: the facts have %+v, want AAL%d reachable", what, f, reachable)
		}
	}
	try("with the phone alone", ceremony.Deny, policy.ReasonAssuranceUnreachable, 2)
	second := key(t, authenticatortest.PackedSelf)
	added, err := w.tryEnroll(t, acme, second, ceremony.BeginRegistrationRequest{UserID: &owner.User.ID})
	if err != nil {
		t.Fatal(err)
	}
	prove("tenant_id = $1 AND id = $2", acme.Tenant(), added.Credential.ID.Bytes())
	try("with a certified key beside it", ceremony.StepUp, policy.ReasonAssuranceInsufficient, 3)
	if f := facts(); f.ReachableBoundAAL != 3 || f.ReachableCertification != "FIDO_CERTIFIED_L2" || f.ReachableSyncedAAL != 0 {
		t.Errorf("a replay has to go by %+v", f)
	}
	if done, err := w.try(t, acme, second, authenticatortest.Deviation{}); err != nil || done.Decision != ceremony.Allow {
		t.Fatalf("with that key = %+v, %v", done, err)
	}
	if f := facts(); f.ReachableAAL != 0 || f.AAL != 3 {
		t.Errorf("a sign-in that is worth enough was looked into: %+v", f)
	}
	if _, err := w.credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: added.Credential.ID}); err != nil {
		t.Fatal(err)
	}
	try("after that key was revoked", ceremony.Deny, policy.ReasonAssuranceUnreachable, 2)
}

// A change of backup eligibility that policy lets pass is recorded, and changes no row.
func TestBackupEligibilityFlagged(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"backupEligibilityChange":"FLAG"}`)
	a := phone(t)
	w.enroll(t, acme, a)
	done, err := w.try(t, acme, a, authenticatortest.Deviation{SetFlags: authenticatortest.BE})
	if err != nil || done.Decision != ceremony.Allow {
		t.Fatalf("finish = %+v, %v", done, err)
	}
	if n := w.one(t, "SELECT count(*) FROM event_outbox WHERE tenant_id = $1 AND type = 'credential.backup_eligibility_changed'", acme.Tenant()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	if n := w.one(t, "SELECT count(*) FROM credentials WHERE tenant_id = $1 AND NOT backup_eligible", acme.Tenant()); n != 1 {
		t.Error("the row says that it has been eligible all along")
	}
	w.signIn(t, acme, a)
}

// What the policy says of hints and attachment is in the options.
func TestOptionsOfPolicy(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"hints":["security-key","hybrid"],"authenticatorAttachment":"cross-platform"}`)
	begun := w.beginRegistration(t, acme, profile())
	if got := strings.Join(begun.Options.Hints, " "); got != "security-key hybrid" || begun.Options.AuthenticatorSelection.AuthenticatorAttachment != "cross-platform" {
		t.Errorf("creation options: %+v", begun.Options)
	}
	if got := strings.Join(w.begin(t, acme).Options.Hints, " "); got != "security-key hybrid" {
		t.Errorf("hints of a sign-in: %s", got)
	}
	_, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{User: profile(), Selection: &webauthn.AuthenticatorSelection{AuthenticatorAttachment: "platform"}})
	wantErr(t, "the other attachment", err, ceremony.ErrPolicy)
}
