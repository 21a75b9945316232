package policy_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/policy"
)

var (
	modelA = uuid.MustParse("ee882879-721c-4913-9775-3dfcce97072a")
	modelB = uuid.MustParse("cb69481e-8ff7-4039-93ec-0a2729a154a8")
)

// goodRegistration is a registration that every sensible policy lets in.
func goodRegistration() policy.RegistrationFacts {
	yes := true
	return policy.RegistrationFacts{
		Origin: "https://acme.example", UserPresent: true, UserVerified: true, Algorithm: policy.ES256, AAGUID: modelA, Attachment: "cross-platform",
		Transports: []string{"usb"}, Discoverable: &yes, AttestationAsked: "direct", AttestationFormat: "packed", AttestationType: "BASIC",
		Trust: "MDS", Certification: "FIDO_CERTIFIED_L2", MDSNumber: 7, Via: "SERVER_KEY",
	}
}

func TestDecideRegistration(t *testing.T) {
	const direct = `"attestationConveyance":"direct",`
	allow := func(trust, aaguid string) string {
		return direct + `"requiredTrust":"` + trust + `","authenticatorsAllowed":["` + aaguid + `"]`
	}
	for _, tt := range []struct {
		name   string
		policy string // members
		facts  func(*policy.RegistrationFacts)
		want   string // reasons, then flags after a slash
	}{
		{"the default takes nearly everything", ``, func(f *policy.RegistrationFacts) { f.Trust, f.AttestationFormat = "NONE", "none" }, ""},
		{"facts from before there were verdicts", ``, func(f *policy.RegistrationFacts) { f.Trust = "" }, ""},
		{"any statement", direct + `"requiredTrust":"SELF"`, func(f *policy.RegistrationFacts) { f.Trust = "SELF" }, ""},
		{"a chain to nobody where any good statement will do", direct + `"requiredTrust":"SELF"`, func(f *policy.RegistrationFacts) { f.Trust = "UNTRUSTED" }, "ATTESTATION_UNTRUSTED"},
		{"no statement", direct + `"requiredTrust":"SELF"`, func(f *policy.RegistrationFacts) { f.Trust = "NONE" }, "ATTESTATION_UNTRUSTED"},
		{"self where a chain is wanted", direct + `"requiredTrust":"VERIFIED"`, func(f *policy.RegistrationFacts) { f.Trust = "SELF" }, "ATTESTATION_UNTRUSTED"},
		{"an unknown root", direct + `"requiredTrust":"VERIFIED"`, func(f *policy.RegistrationFacts) { f.Trust = "UNTRUSTED" }, "ATTESTATION_UNTRUSTED"},
		{"the tenant's root", direct + `"requiredTrust":"VERIFIED"`, func(f *policy.RegistrationFacts) { f.Trust = "TENANT_ROOT" }, ""},
		{"the tenant's root where the service's is wanted", direct + `"requiredTrust":"MDS"`, func(f *policy.RegistrationFacts) { f.Trust = "TENANT_ROOT" }, "ATTESTATION_UNTRUSTED"},
		{"the service's root", direct + `"requiredTrust":"MDS"`, nil, ""},
		{"a chain that was good once", direct + `"requiredTrust":"MDS"`, func(f *policy.RegistrationFacts) { f.Trust, f.ChainExpired = "UNTRUSTED", true }, "ATTESTATION_EXPIRED"},
		{"certificates that have ended, where nothing is required", direct + `"requiredTrust":"NONE"`, func(f *policy.RegistrationFacts) { f.Trust, f.AttestationExpired = "UNTRUSTED", true }, "ATTESTATION_EXPIRED"},
		{"certificates that have ended, of a chain that was good once", direct + `"requiredTrust":"MDS"`, func(f *policy.RegistrationFacts) {
			f.Trust, f.ChainExpired, f.AttestationExpired = "UNTRUSTED", true, true
		}, "ATTESTATION_EXPIRED"},
		{"allowed and proven", allow("MDS", modelA.String()), nil, ""},
		{"not on the list", allow("MDS", modelB.String()), nil, "AUTHENTICATOR_NOT_ALLOWED"},
		{"claimed by self-attestation", allow("VERIFIED", modelA.String()), func(f *policy.RegistrationFacts) { f.Trust = "SELF" }, "ATTESTATION_UNTRUSTED"},
		{"claimed without attestation", allow("VERIFIED", modelA.String()), func(f *policy.RegistrationFacts) { f.Trust = "NONE" }, "ATTESTATION_UNTRUSTED"},
		{"denied, whatever it proves", `"authenticatorsDenied":["` + modelA.String() + `"]`, func(f *policy.RegistrationFacts) { f.Trust = "NONE" }, "AUTHENTICATOR_NOT_ALLOWED"},
		{"another is denied", `"authenticatorsDenied":["` + modelB.String() + `"]`, nil, ""},
		{"certified enough", direct + `"requiredTrust":"MDS","minimumCertification":"FIDO_CERTIFIED_L1plus"`, nil, ""},
		{"certified too low", direct + `"requiredTrust":"MDS","minimumCertification":"FIDO_CERTIFIED_L3"`, nil, "CERTIFICATION_INSUFFICIENT"},
		{"not certified", direct + `"requiredTrust":"MDS","minimumCertification":"FIDO_CERTIFIED"`, func(f *policy.RegistrationFacts) { f.Certification = "" }, "CERTIFICATION_INSUFFICIENT"},
		{"reported", ``, func(f *policy.RegistrationFacts) { f.Reports = []string{"USER_KEY_REMOTE_COMPROMISE"} }, "AUTHENTICATOR_COMPROMISED"},
		{"reported, and only claimed", ``, func(f *policy.RegistrationFacts) { f.Trust, f.Reports = "NONE", []string{"REVOKED"} }, "AUTHENTICATOR_COMPROMISED"},
		{"reported, flagged", `"reportedAuthenticators":"FLAG"`, func(f *policy.RegistrationFacts) { f.Reports = []string{"REVOKED"} }, "/AUTHENTICATOR_COMPROMISED"},
		{"reported, flagged, and stepped up afterwards", `"reportedAuthenticators":"FLAG","authenticatorStatus":"STEP_UP"`, func(f *policy.RegistrationFacts) { f.Reports = []string{"REVOKED"} }, "/AUTHENTICATOR_COMPROMISED"},
		{"reported, where those that exist are stepped up", `"authenticatorStatus":"STEP_UP"`, func(f *policy.RegistrationFacts) { f.Reports = []string{"REVOKED"} }, "AUTHENTICATOR_COMPROMISED"},
		{"synced, allowed", ``, func(f *policy.RegistrationFacts) { f.BackupEligible = true }, ""},
		{"synced, flagged", `"syncedPasskeys":"FLAG"`, func(f *policy.RegistrationFacts) { f.BackupEligible = true }, "/SYNCED_PASSKEY_NOT_ALLOWED"},
		{"synced, refused", `"syncedPasskeys":"DENY"`, func(f *policy.RegistrationFacts) { f.BackupEligible = true }, "SYNCED_PASSKEY_NOT_ALLOWED"},
		{"the other attachment", `"authenticatorAttachment":"platform"`, nil, "AUTHENTICATOR_NOT_ALLOWED"},
		{"an attachment that nobody told", `"authenticatorAttachment":"platform"`, func(f *policy.RegistrationFacts) { f.Attachment = "" }, ""},
		{"not discoverable", ``, func(f *policy.RegistrationFacts) { f.Discoverable = new(bool) }, "RESIDENT_KEY_REQUIRED"},
		{"perhaps discoverable", ``, func(f *policy.RegistrationFacts) { f.Discoverable = nil }, ""},
		{"not verified", ``, func(f *policy.RegistrationFacts) { f.UserVerified = false }, "USER_VERIFICATION_REQUIRED"},
		{"not verified, without a prompt", ``, func(f *policy.RegistrationFacts) { f.UserVerified, f.Conditional = false, true }, ""},
		{"without a prompt where there has to be one", `"conditionalCreate":false`, func(f *policy.RegistrationFacts) { f.Conditional = true }, "CONDITIONAL_NOT_ALLOWED"},
		{"another algorithm", `"algorithms":[-8]`, nil, "ALGORITHM_NOT_ALLOWED"},
		{"one too many", `"maxCredentialsPerUser":2`, func(f *policy.RegistrationFacts) { f.Credentials = 2 }, "TOO_MANY_CREDENTIALS"},
		{"the first of a user", `"additionalCredential":"STRONG_SIGN_IN"`, nil, ""},
		{"a second one on a server's word", `"additionalCredential":"STRONG_SIGN_IN"`, func(f *policy.RegistrationFacts) { f.Credentials = 1 }, "STRONG_SIGN_IN_REQUIRED"},
		{"a second one after a weak sign-in", `"additionalCredential":"STRONG_SIGN_IN"`, func(f *policy.RegistrationFacts) { f.Credentials, f.SessionAAL = 1, 1 }, "STRONG_SIGN_IN_REQUIRED"},
		{"a second one after an old sign-in", `"additionalCredential":"STRONG_SIGN_IN"`, func(f *policy.RegistrationFacts) { f.Credentials, f.SessionAAL, f.SessionAgeSeconds = 1, 2, 301 }, "STRONG_SIGN_IN_REQUIRED"},
		{"a second one after a strong sign-in", `"additionalCredential":"STRONG_SIGN_IN"`, func(f *policy.RegistrationFacts) { f.Credentials, f.SessionAAL, f.SessionAgeSeconds = 1, 2, 300 }, ""},
		{"for whoever has lost the first", `"additionalCredential":"STRONG_SIGN_IN"`, func(f *policy.RegistrationFacts) { f.Credentials, f.Via = 1, "RECOVERY_CODE" }, ""},
		{"embedded", ``, func(f *policy.RegistrationFacts) { f.TopOrigin = "https://shop.example" }, "CROSS_ORIGIN_NOT_ALLOWED"},
		{"embedded where it may", `"crossOrigin":"ALLOW","topOrigins":["https://shop.example"]`, func(f *policy.RegistrationFacts) { f.TopOrigin = "https://shop.example" }, ""},
		{"embedded elsewhere", `"crossOrigin":"ALLOW","topOrigins":["https://shop.example"]`, func(f *policy.RegistrationFacts) { f.TopOrigin = "https://evil.example" }, "CROSS_ORIGIN_NOT_ALLOWED"},
		{
			"all that is wrong is said", `"syncedPasskeys":"DENY","algorithms":[-8]`,
			func(f *policy.RegistrationFacts) { f.BackupEligible, f.UserVerified = true, false },
			"USER_VERIFICATION_REQUIRED ALGORITHM_NOT_ALLOWED SYNCED_PASSKEY_NOT_ALLOWED",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := policy.Parse([]byte("{" + strings.TrimSuffix(tt.policy, ",") + "}"))
			if err != nil {
				t.Fatal(err)
			}
			facts := goodRegistration()
			if tt.facts != nil {
				tt.facts(&facts)
			}
			check(t, policy.DecideRegistration(&doc, &facts), policy.Deny, tt.want)
		})
	}
}

// check compares with reasons and, after a slash, flags.
func check(t *testing.T, got policy.Decision, refusal policy.Outcome, want string) {
	t.Helper()
	reasons, flags, _ := strings.Cut(want, "/")
	outcome := refusal
	if reasons == "" {
		outcome = policy.Allow
	}
	expected := policy.Decision{Outcome: outcome}
	if reasons != "" {
		expected.Reasons = strings.Fields(reasons)
	}
	if flags != "" {
		expected.Flags = strings.Fields(flags)
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
}

// A document that forgot to ask for trust, which Validate refuses, still keeps its list.
func TestAllowListTakesAChainWhateverTheDocumentSays(t *testing.T) {
	doc := policy.Default()
	doc.AuthenticatorsAllowed = []string{modelA.String()}
	for _, trust := range []string{"", "NONE", "SELF", "UNTRUSTED"} {
		facts := goodRegistration()
		facts.Trust = trust
		if got := policy.DecideRegistration(&doc, &facts); got.Outcome != policy.Deny || got.Reasons[0] != policy.ReasonAttestationUntrusted {
			t.Errorf("trust %q: %+v", trust, got)
		}
	}
	doc.RequiredTrust = "ANYTHING"
	facts := goodRegistration()
	facts.Trust = "TENANT_ROOT"
	if got := policy.DecideRegistration(&doc, &facts); got.Outcome != policy.Deny {
		t.Errorf("a trust that is none: %+v", got)
	}
}

func goodSignIn() policy.AuthenticationFacts {
	return policy.AuthenticationFacts{
		Origin: "https://acme.example", UserVerified: true, SignCount: 5, Algorithm: policy.ES256, AAGUID: modelA, Trust: "MDS",
		Certification: "FIDO_CERTIFIED_L2", AAL: 2,
	}
}

func TestDecideAuthentication(t *testing.T) {
	for _, tt := range []struct {
		name    string
		policy  string
		facts   func(*policy.AuthenticationFacts)
		outcome policy.Outcome // of a refusal
		want    string
	}{
		{"as usual", ``, nil, "", ""},
		{"a count that fell", ``, func(f *policy.AuthenticationFacts) { f.SignCountRolledBack = true }, policy.Deny, "SIGN_COUNT_ROLLBACK"},
		{"a count that fell, flagged", `"signCountRollback":"FLAG"`, func(f *policy.AuthenticationFacts) { f.SignCountRolledBack = true }, "", "/SIGN_COUNT_ROLLBACK"},
		{"a count that fell, stepped up", `"signCountRollback":"STEP_UP"`, func(f *policy.AuthenticationFacts) { f.SignCountRolledBack = true }, policy.StepUp, "SIGN_COUNT_ROLLBACK"},
		{"the step-up is done", `"signCountRollback":"STEP_UP"`, func(f *policy.AuthenticationFacts) { f.SignCountRolledBack, f.SteppedUp = true, true }, "", ""},
		{"the step-up without verification", `"signCountRollback":"STEP_UP","userVerification":"preferred"`, func(f *policy.AuthenticationFacts) {
			f.SignCountRolledBack, f.SteppedUp, f.UserVerified = true, true, false
		}, policy.StepUp, "SIGN_COUNT_ROLLBACK"},
		{"another eligibility", ``, func(f *policy.AuthenticationFacts) { f.BackupEligibilityChanged = true }, policy.Deny, "BACKUP_ELIGIBILITY_CHANGED"},
		{"another eligibility, flagged", `"backupEligibilityChange":"FLAG"`, func(f *policy.AuthenticationFacts) { f.BackupEligibilityChanged = true }, "", "/BACKUP_ELIGIBILITY_CHANGED"},
		{"a flagged model", ``, func(f *policy.AuthenticationFacts) { f.Disposition = "FLAG" }, "", "/AUTHENTICATOR_COMPROMISED"},
		{"a model with a step-up", ``, func(f *policy.AuthenticationFacts) { f.Disposition = "STEP_UP" }, policy.StepUp, "AUTHENTICATOR_COMPROMISED"},
		{"the same model again", ``, func(f *policy.AuthenticationFacts) { f.Disposition, f.SteppedUp = "STEP_UP", true }, policy.StepUp, "AUTHENTICATOR_COMPROMISED"},
		{"another model after it", ``, func(f *policy.AuthenticationFacts) { f.SteppedUp = true }, "", ""},
		{"not verified", ``, func(f *policy.AuthenticationFacts) { f.UserVerified = false }, policy.Deny, "USER_VERIFICATION_REQUIRED"},
		{"worth too little", `"minimumAal":2,"userVerification":"preferred"`, func(f *policy.AuthenticationFacts) { f.AAL, f.UserVerified = 1, false }, policy.StepUp, "ASSURANCE_INSUFFICIENT"},
		{"worth too little twice", `"minimumAal":2`, func(f *policy.AuthenticationFacts) { f.AAL, f.SteppedUp = 1, true }, policy.Deny, "ASSURANCE_INSUFFICIENT"},
		{"worth too little, and another passkey would do", `"minimumAal":3`, func(f *policy.AuthenticationFacts) { f.ReachableAAL = 3 }, policy.StepUp, "ASSURANCE_INSUFFICIENT"},
		{"worth too little, and none would do", `"minimumAal":3`, func(f *policy.AuthenticationFacts) { f.ReachableAAL = 2 }, policy.Deny, "ASSURANCE_UNREACHABLE"},
		{"worth too little twice, and none would do", `"minimumAal":3`, func(f *policy.AuthenticationFacts) { f.ReachableAAL, f.SteppedUp = 2, true }, policy.Deny, "ASSURANCE_UNREACHABLE"},
		{"worth enough, whatever is reachable", `"minimumAal":2`, func(f *policy.AuthenticationFacts) { f.ReachableAAL = 1 }, "", ""},
		{"from before there was an AAL", `"minimumAal":3`, func(f *policy.AuthenticationFacts) { f.AAL = 0 }, "", ""},
		{"embedded", ``, func(f *policy.AuthenticationFacts) { f.TopOrigin = "https://shop.example" }, policy.Deny, "CROSS_ORIGIN_NOT_ALLOWED"},
		{"the hardest is answered", `"minimumAal":2`, func(f *policy.AuthenticationFacts) {
			f.AAL, f.Disposition, f.BackupEligibilityChanged = 1, "STEP_UP", true
		}, policy.Deny, "BACKUP_ELIGIBILITY_CHANGED AUTHENTICATOR_COMPROMISED ASSURANCE_INSUFFICIENT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := policy.Parse([]byte("{" + tt.policy + "}"))
			if err != nil {
				t.Fatal(err)
			}
			facts := goodSignIn()
			if tt.facts != nil {
				tt.facts(&facts)
			}
			check(t, policy.DecideAuthentication(&doc, &facts), tt.outcome, tt.want)
		})
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func anyRegistration(r *rand.Rand) policy.RegistrationFacts {
	yes := r.IntN(2) == 0
	return policy.RegistrationFacts{
		Origin: "https://acme.example", TopOrigin: pick(r, "", "", "https://shop.example", "https://evil.example"), UserVerified: r.IntN(2) == 0, UserPresent: true,
		BackupEligible: r.IntN(2) == 0, BackedUp: r.IntN(2) == 0, SignCount: r.Uint32(), Algorithm: pick(r, -7, -8, -257, -36), AAGUID: pick(r, modelA, modelB, uuid.Nil),
		Attachment: pick(r, "", "platform", "cross-platform"), Transports: pick(r, nil, []string{"usb", "nfc"}), Discoverable: pick(r, nil, &yes),
		AttestationAsked: "direct", AttestationFormat: "packed", AttestationType: "BASIC", Trust: pick(r, "", "NONE", "SELF", "UNTRUSTED", "TENANT_ROOT", "MDS"),
		TrustReasons: pick(r, nil, []string{"CHAIN_UNKNOWN"}), ChainExpired: r.IntN(4) == 0, AttestationExpired: r.IntN(4) == 0, Certification: string(pick(r, policy.Certifications()...)),
		Reports: pick(r, nil, nil, []string{"REVOKED"}), MDSNumber: r.IntN(100), Credentials: r.IntN(25), Conditional: r.IntN(4) == 0,
		Via: pick(r, "SERVER_KEY", "REGISTRATION_TOKEN", "SESSION", "RECOVERY_CODE"), SessionAAL: r.IntN(4), SessionAgeSeconds: r.IntN(600), BegunPolicyVersion: r.IntN(3),
	}
}

func anySignIn(r *rand.Rand) policy.AuthenticationFacts {
	return policy.AuthenticationFacts{
		Origin: "https://acme.example", TopOrigin: pick(r, "", "", "https://shop.example"), UserVerified: r.IntN(2) == 0, BackupEligible: r.IntN(2) == 0,
		BackedUp: r.IntN(2) == 0, SignCount: r.Uint32(), Algorithm: -7, Attachment: pick(r, "", "platform"), Purpose: pick(r, "", "pay"), Identified: r.IntN(2) == 0,
		SteppedUp: r.IntN(2) == 0, Publishable: r.IntN(2) == 0, BegunPolicyVersion: r.IntN(3), AAGUID: pick(r, modelA, uuid.Nil), Trust: pick(r, "NONE", "SELF", "MDS"),
		Certification: string(pick(r, policy.Certifications()...)), Disposition: pick(r, "", "FLAG", "STEP_UP"), Lowered: r.IntN(4) == 0, RegisteredAAL: r.IntN(3),
		AAL: r.IntN(4), ReachableAAL: r.IntN(4), ReachableBoundAAL: r.IntN(4), ReachableSyncedAAL: r.IntN(3),
		ReachableCertification: string(pick(r, policy.Certifications()...)), SignCountRolledBack: r.IntN(4) == 0, BackupEligibilityChanged: r.IntN(4) == 0,
	}
}

func anyDocument(r *rand.Rand) policy.Document {
	d := policy.Default()
	d.AttestationConveyance = policy.ConveyDirect
	d.UserVerification = pick(r, policy.Required, policy.Preferred, policy.Discouraged)
	d.ResidentKey = pick(r, policy.Required, policy.Preferred)
	d.RequiredTrust = pick(r, policy.TrustNone, policy.TrustSelf, policy.TrustVerified, policy.TrustMDS)
	d.SyncedPasskeys = pick(r, policy.LeaveAllow, policy.LeaveFlag, policy.LeaveDeny)
	d.AuthenticatorsDenied = pick(r, []string{}, []string{modelB.String()})
	d.MaxCredentialsPerUser = 1 + r.IntN(30)
	d.MinimumAAL = 1 + r.IntN(3)
	d.SignCountRollback = pick(r, policy.RollbackDeny, policy.RollbackStepUp, policy.RollbackFlag)
	d.BackupEligibilityChange = pick(r, policy.LeaveDeny, policy.LeaveFlag)
	d.AuthenticatorStatus = pick(r, policy.DispositionFlag, policy.DispositionStepUp, policy.DispositionSuspend)
	d.ReportedAuthenticators = pick(r, policy.LeaveDeny, policy.LeaveFlag)
	d.AdditionalCredential = pick(r, policy.Vouched, policy.StrongSignIn)
	return d
}

// tightenings each make a document stricter in one field, or leave it as it is.
var tightenings = map[string]func(*policy.Document){
	"userVerification":        func(d *policy.Document) { d.UserVerification = policy.Required },
	"residentKey":             func(d *policy.Document) { d.ResidentKey = policy.Required },
	"algorithms":              func(d *policy.Document) { d.Algorithms = d.Algorithms[:1] },
	"maxCredentialsPerUser":   func(d *policy.Document) { d.MaxCredentialsPerUser = 1 },
	"conditionalCreate":       func(d *policy.Document) { d.ConditionalCreate = false },
	"signCountRollback":       func(d *policy.Document) { d.SignCountRollback = policy.RollbackDeny },
	"requiredTrust":           func(d *policy.Document) { d.RequiredTrust = policy.TrustMDS },
	"authenticatorsAllowed":   func(d *policy.Document) { d.AuthenticatorsAllowed = []string{modelA.String()} },
	"authenticatorsDenied":    func(d *policy.Document) { d.AuthenticatorsDenied = []string{modelA.String(), modelB.String()} },
	"minimumCertification":    func(d *policy.Document) { d.MinimumCertification = "FIDO_CERTIFIED_L3plus" },
	"syncedPasskeys":          func(d *policy.Document) { d.SyncedPasskeys = policy.LeaveDeny },
	"authenticatorAttachment": func(d *policy.Document) { d.AuthenticatorAttachment = "platform" },
	"backupEligibilityChange": func(d *policy.Document) { d.BackupEligibilityChange = policy.LeaveDeny },
	"additionalCredential":    func(d *policy.Document) { d.AdditionalCredential = policy.StrongSignIn },
	"minimumAal":              func(d *policy.Document) { d.MinimumAAL = 3 },
	"authenticatorStatus":     func(d *policy.Document) { d.AuthenticatorStatus = policy.DispositionSuspend },
	"reportedAuthenticators":  func(d *policy.Document) { d.ReportedAuthenticators = policy.LeaveDeny },
	"crossOrigin":             func(d *policy.Document) { d.CrossOrigin = policy.LeaveDeny },
}

// Whatever the facts and the rest of the document: a stricter field never lets in what was
// refused, and never asks for less.
func TestTighteningNeverLetsIn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	order := []policy.Outcome{policy.Allow, policy.StepUp, policy.Deny}
	for range 20_000 {
		doc, registration, signIn := anyDocument(r), anyRegistration(r), anySignIn(r)
		for field, tighten := range tightenings {
			strict := doc
			tighten(&strict)
			a, b := policy.DecideRegistration(&doc, &registration), policy.DecideRegistration(&strict, &registration)
			if slices.Index(order, b.Outcome) < slices.Index(order, a.Outcome) {
				t.Fatalf("stricter %s lets in %+v: %+v, then %+v", field, registration, a, b)
			}
			a, b = policy.DecideAuthentication(&doc, &signIn), policy.DecideAuthentication(&strict, &signIn)
			if slices.Index(order, b.Outcome) < slices.Index(order, a.Outcome) {
				t.Fatalf("stricter %s lets in %+v: %+v, then %+v", field, signIn, a, b)
			}
			if b.Outcome == policy.Allow && len(b.Reasons) > 0 || b.Outcome != policy.Allow && len(b.Reasons) == 0 {
				t.Fatalf("%+v: an outcome and reasons that do not fit", b)
			}
		}
	}
}

// What is stored is what was known, whatever it was.
func TestFactsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		want := anyRegistration(r)
		text := want.AppendJSON(nil)
		got, err := policy.ParseRegistrationFacts(text)
		if want.Transports == nil {
			want.Transports = []string{} // a list that is always written
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%s: %v\n%s", text, err, diff)
		}
		signIn := anySignIn(r)
		text = signIn.AppendJSON(nil)
		read, err := policy.ParseAuthenticationFacts(text, "")
		if diff := cmp.Diff(signIn, read); err != nil || diff != "" {
			t.Fatalf("%s: %v\n%s", text, err, diff)
		}
	}
}

func TestFactsOfTheReleaseBefore(t *testing.T) {
	f, err := policy.ParseAuthenticationFacts([]byte(`{"origin":"https://acme.example","userVerified":true,"signCount":4,"algorithm":-7}`), policy.ReasonSignCountRollback)
	if err != nil || !f.SignCountRolledBack || f.AAL != 0 || f.ReachableAAL != 0 || f.Trust != "NONE" || f.SignCount != 4 {
		t.Errorf("a sign-in: %+v, %v", f, err)
	}
	g, err := policy.ParseRegistrationFacts([]byte(`{"aaguid":"ee882879-721c-4913-9775-3dfcce97072a","transports":["usb"],"via":"SERVER_KEY","algorithm":-7}`))
	if err != nil || g.Trust != "" || g.AAGUID != modelA {
		t.Errorf("a registration: %+v, %v", g, err)
	}
	for _, bad := range []string{``, `[]`, `{"signCount":-1}`, `{"signCount":"4"}`} {
		if _, err := policy.ParseAuthenticationFacts([]byte(bad), ""); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// Every sign-in decides and writes this.
func BenchmarkAuthentication(b *testing.B) {
	doc, facts := policy.Default(), goodSignIn()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if policy.DecideAuthentication(&doc, &facts).Outcome != policy.Allow {
			b.Fatal("refused")
		}
		buf = facts.AppendJSON(buf[:0])
	}
}
