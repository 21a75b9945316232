package debugger

// Guide is why a ceremony ended so, and how to mend it.
type Guide struct {
	Title string   // the reason in words
	Why   string   // what it means
	Fix   []string // what to do, the likeliest first
}

// GuideFor is the guide of a reason; one that says so for a reason of another release.
func GuideFor(_ Kind, reason string) *Guide {
	if g, ok := guides[reason]; ok {
		return &g
	}
	return &Guide{
		Title: "Refused", Why: "This server knows no more of the reason than its name: another release of Biocore wrote it.",
		Fix: []string{"Look the reason up in docs/errors.md of the newest release that runs."},
	}
}

const beginAgain = "Begin again: each ceremony is finished once."

// guides are by reason. A test walks all reasons that a finish can have.
var guides = map[string]Guide{
	"CREDENTIAL_MALFORMED": {"Response not well-formed", "What came is not what navigator.credentials answers: a member is missing, too long, or encoded otherwise.",
		[]string{"Send credential.toJSON() as it is; the SDK does.", "Look for code between page and API that changes base64url into base64."}},
	"CEREMONY_TYPE_MISMATCH": {"Made for the other ceremony", "A registration's response was sent to finish a sign-in, or the other way round.",
		[]string{"Send what create() made to registrations:finish, and what get() made to authentications:finish."}},
	"CHALLENGE_MISMATCH": {"Answers another challenge", "The response was made for the options of another begin than the id that it came with.",
		[]string{"Keep the id of begin together with its options: two tabs must not share one variable.", "Pass the challenge to the browser as it came: parseRequestOptionsFromJSON does."}},
	"CHALLENGE_UNKNOWN": {"Not begun here", "The id of the ceremony is none of this tenant’s, or a registration was begun by a server and finished by a page.",
		[]string{"Finish with a key of the same tenant as the begin.", "Let pages register by a registration token.", "A registration’s state lives in Redis: see whether it was restarted."}},
	"CHALLENGE_EXPIRED": {"Took too long", "Between begin and finish passed more time than the policy’s timeout.",
		[]string{beginAgain, "Begin when the button is pressed, not when the page loads.", "Raise the timeout in the policy if people need longer."}},
	"CHALLENGE_ALREADY_USED": {"Finished before", "The same response, or another for the same challenge, was judged already.",
		[]string{beginAgain, "See whether the page or a proxy sends a request twice: an Idempotency-Key makes that harmless."}},
	"ORIGIN_NOT_ALLOWED": {"Origin not on the list", "The browser says that the page was of an origin, or within a page, that the tenant does not list. It may also be somebody’s copy of your page.",
		[]string{"Add the origin to the relying party, exactly as the step shows it: scheme, host and port.", "Pages in frames: allow cross-origin ceremonies and the page around them in the policy.", "If the origin is not yours, do nothing: this is phishing, and it failed."}},
	"RP_ID_MISMATCH": {"Made for another RP ID", "The authenticator signed for another domain than the tenant’s RP ID.",
		[]string{"Leave rpId as begin answers it.", "After a move to another domain, people register anew: see the migration planner."}},
	"USER_PRESENCE_REQUIRED": {"Nobody touched it", "The authenticator did not test that somebody is there (UP).",
		[]string{"Use an authenticator that does; a sign-in without a touch is not accepted.", "For passkeys without a prompt, begin with mediation conditional."}},
	"USER_VERIFICATION_REQUIRED": {"User not verified", "The policy, or the begin, requires a PIN or biometrics, and the authenticator answered UV = 0.",
		[]string{"Leave userVerification out of begin: the policy fills it in, and the browser then asks.", "A security key without a PIN: set one, the browser offers it.", "Lower userVerification in the policy if possession is enough."}},
	"BACKUP_STATE_INVALID": {"Flags contradict each other", "The authenticator says that the credential is backed up and cannot be (BS without BE).",
		[]string{"It is a fault of the authenticator: try its newest version, and tell its maker."}},
	"BACKUP_ELIGIBILITY_CHANGED": {"Backup eligibility changed", "The credential may be synced now and could not at registration, or the other way round. The specification forbids it; some password managers do it.",
		[]string{"Let the person register anew.", "Set backupEligibilityChange to FLAG in the policy to let it pass and say so."}},
	"ALGORITHM_NOT_ALLOWED": {"Algorithm not offered", "The key’s algorithm is none of those that begin offered, or that the policy lists by now.",
		[]string{"Pass pubKeyCredParams to the browser as begin answers them.", "Add the algorithm to the policy."}},
	"ATTESTATION_INVALID": {"Attestation does not verify", "The statement is not signed by whom it says, or not over this registration.",
		[]string{"Send the attestation object as it came.", "Download the evidence and verify it again: it says at which part.", "Of one model only: tell its maker."}},
	"ATTESTATION_EXPIRED": {"Attestation has expired", "A certificate of the attestation is over: it proves nothing about today.",
		[]string{"Update the authenticator’s firmware, or use another.", "Require less trust in the policy, where the format allows it."}},
	"ATTESTATION_FORMAT_UNSUPPORTED": {"Unknown attestation format", "The statement’s format is none that is verified here.",
		[]string{"Ask for attestation none, if the policy does not need it.", "docs/attestation.md lists the formats."}},
	"ATTESTATION_UNTRUSTED": {"Attestation proves too little", "The policy requires more trust than this attestation gives: no chain, or one to a root that nobody trusts.",
		[]string{"Use an authenticator of a model in the FIDO metadata.", "Add the maker’s root to the tenant’s trusted roots.", "Require less trust in the policy."}},
	"AUTHENTICATOR_NOT_ALLOWED": {"Authenticator not allowed", "The policy lists which models or attachments may register, and this is none of them.",
		[]string{"Use one that is listed.", "Add its AAGUID to the policy."}},
	"AUTHENTICATOR_COMPROMISED": {"Model is reported", "The FIDO metadata reports the model as compromised or revoked, or somebody has disposed of its credentials.",
		[]string{"Register an authenticator of another model.", "See Authenticators for what is reported, and what was decided about it."}},
	"CERTIFICATION_INSUFFICIENT": {"Not certified as required", "The policy asks for a FIDO certification that this model does not prove.",
		[]string{"Use a model with that level.", "Lower minimumCertification in the policy."}},
	"SYNCED_PASSKEY_NOT_ALLOWED": {"Synced passkey", "The policy takes device-bound credentials alone, and this one can be backed up.",
		[]string{"Register a security key, or a platform that does not sync.", "Allow or flag synced passkeys in the policy."}},
	"RESIDENT_KEY_REQUIRED": {"Not discoverable", "The policy requires a discoverable credential, and the client says that this is none.",
		[]string{"Free space on the security key: it holds a limited number.", "Set residentKey to preferred in the policy."}},
	"STRONG_SIGN_IN_REQUIRED": {"Needs a strong sign-in first", "A further passkey takes a recent sign-in with user verification, and none vouched.",
		[]string{"Sign the person in, and send the access token with begin.", "Change additionalCredential in the policy."}},
	"CONDITIONAL_NOT_ALLOWED": {"Created without a prompt", "The policy does not allow passkeys that a browser makes by itself after a password.",
		[]string{"Begin without mediation conditional.", "Allow conditionalCreate in the policy."}},
	"CROSS_ORIGIN_NOT_ALLOWED": {"Within a page that may not embed it", "The ceremony ran in a frame of a page that the policy does not list.",
		[]string{"Add the page’s origin to topOrigins in the policy, with crossOrigin ALLOW.", "Open the sign-in in a window of its own."}},
	"TOO_MANY_CREDENTIALS": {"Limit of passkeys reached", "The user has as many credentials as the policy allows.",
		[]string{"Revoke one that is not used any more.", "Raise maxCredentialsPerUser in the policy."}},
	"CREDENTIAL_NOT_ALLOWED": {"Not one that was asked for", "The sign-in was begun for a user, and this credential is not theirs, or is newer than the begin.",
		[]string{"Begin for the person who signs in, or for nobody.", "After a registration, begin again."}},
	"CREDENTIAL_UNKNOWN": {"Unknown passkey", "No credential of this tenant has that id: it was erased, or it is of another environment with the same RP ID.",
		[]string{"Call signalUnknownCredential, so that the authenticator stops offering it.", "See whether test and live share an RP ID."}},
	"USER_HANDLE_MISMATCH": {"Belongs to another user", "The user handle in the response is missing where it is needed, or is not that of the credential’s owner.",
		[]string{"Usernameless sign-in takes a discoverable credential: begin for a user otherwise.", "Pass response.userHandle on as it came.", "If both are right, somebody tries a credential under another’s name."}},
	"SIGNATURE_INVALID": {"Signature does not verify", "The signature was not made by the credential’s key over this response.",
		[]string{"Send clientDataJSON and authenticatorData byte for byte: parsing and printing them changes the bytes.", "If other people of the model sign in, the credential is damaged, or this was an attempt to forge."}},
	"SIGN_COUNT_ROLLBACK": {"Counter went back", "The signature counter did not grow: the credential may have been copied, or two devices share it.",
		[]string{"Ask the person whether they restored a backup of the authenticator; if not, revoke the credential.", "signCountRollback in the policy says what becomes of it."}},
	"CREDENTIAL_REVOKED":   {"Passkey is revoked", "Somebody revoked this credential; its signature was good.", []string{"Register a new one.", "Call signalUnknownCredential, so that the authenticator stops offering it."}},
	"CREDENTIAL_SUSPENDED": {"Passkey is suspended", "Somebody, or a report about its model, suspended this credential; its signature was good.", []string{"Resume it on the credential’s page, if the reason is over.", "Sign in with another passkey."}},
	"CREDENTIAL_EXISTS":    {"Registered already", "A credential with this id is registered, for this user or another.", []string{"Pass excludeCredentials to the browser as begin answers them.", beginAgain}},
	"USER_BLOCKED":         {"User is blocked", "Somebody blocked this user.", []string{"Unblock the user on their page."}},
	"USER_UNKNOWN":         {"User is gone", "The user was erased after the registration began.", []string{"Begin again with a profile: it makes the user anew."}},
	"USER_EXISTS":          {"User exists", "Another user has this externalId.", []string{"Begin with the externalId: it means the user who exists."}},
	"USER_CREATED_MEANWHILE": {"Created meanwhile", "Two registrations for one newcomer ran at once, and the other finished first.",
		[]string{"Begin again: it is for the user who exists now."}},
	"SIGN_IN_INTERRUPTED": {"Changed meanwhile", "What the sign-in rests on changed while it was judged.", []string{beginAgain}},
	"RISK_RULE": {"A risk rule matched", "One of the tenant’s risk rules matched what was known of the sign-in: the rule stands beside the score, with the signals.",
		[]string{"Continue with the step-up, where the answer offers one: user verification does it.", "If it was the user, say so on this page, and see by a backtest whom else the rule meets.", "Set the rule to SHADOW until it meets those whom it should."}},
	"RISK_SCORE": {"Too unusual", "The signals of this sign-in add up to a threshold of the tenant’s risk rules: each stands here with its points.",
		[]string{"Continue with the step-up, where the answer offers one: user verification does it.", "If it was the user, say so on this page, and backtest other weights or thresholds."}},
	"ASSURANCE_INSUFFICIENT":          {"Worth too little", "The policy asks for a higher assurance level than this sign-in has.", []string{"Continue with the step-up that the answer offers.", "See docs/assurance.md for what each level takes."}},
	"ASSURANCE_UNREACHABLE":           {"No passkey of the user reaches it", "The policy asks for a level that none of the user’s passkeys could reach.", []string{"Let the person register a stronger authenticator, by an enrollment link.", "Lower minimumAal in the policy."}},
	"REGISTRATION_TOKEN_INVALID":      {"Token is not good", "The registration token is none of this tenant’s, or its recovery is gone.", []string{"Make a new registration token."}},
	"REGISTRATION_TOKEN_EXPIRED":      {"Token has expired", "The registration token’s time was over.", []string{"Make a new one, with a longer life if people need it."}},
	"REGISTRATION_TOKEN_ALREADY_USED": {"Token was used", "A credential was registered with this token before.", []string{"Make a new token for each passkey."}},
	"RECOVERY_PENDING":                {"Waits for approval", "A second person must approve this recovery first.", []string{"Approve it under Recoveries."}},
	"RECOVERY_CLOSED":                 {"Recovery is closed", "The recovery was refused or revoked.", []string{"Begin a new recovery."}},
	"ACCESS_TOKEN_INVALID":            {"Session has ended", "The session that vouched for the registration has ended since.", []string{"Sign in, and begin again with the new access token."}},
	"NICKNAME_INVALID":                {"Nickname not acceptable", "A nickname is text of at most 64 characters.", []string{"Shorten it, or leave it out: the authenticator’s name is taken."}},
	"TENANT_SUSPENDED":                {"Tenant is suspended", "The operators of this installation have suspended the tenant.", []string{"Ask them why: the reason is in Settings."}},
	"TENANT_DELETING":                 {"Tenant is being deleted", "Nothing can be done in it any more.", []string{"Restore it, within its days of grace."}},
	"TENANT_UNKNOWN":                  {"Tenant is gone", "The tenant does not exist any more.", []string{"Use a key of a tenant that exists."}},
}
