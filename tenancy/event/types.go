package event

// Type says what happened: noun.past, stable API for webhooks.
type Type string

// The types. A new one goes here, and into docs, before it is sent.
const (
	TenantCreated   Type = "tenant.created"
	TenantUpdated   Type = "tenant.updated"
	TenantSuspended Type = "tenant.suspended"
	TenantResumed   Type = "tenant.resumed"
	TenantShredded  Type = "tenant.shredded"  // its keys are destroyed
	TenantDeleting  Type = "tenant.deleting"  // it can be restored for 30 days
	TenantRestored  Type = "tenant.restored"  // its deletion was taken back
	TenantDestroyed Type = "tenant.destroyed" // of the platform's own: nothing of it is left

	QuotaChanged  Type = "quota.changed"  // by the platform
	LimitsChanged Type = "limits.changed" // by the platform
	QuotaReached  Type = "quota.reached"  // 80 or 100 percent of it, once a month

	SettingsUpdated Type = "settings.updated" // by the tenant itself

	DomainProven       Type = "domain.proven"        // ceremonies run from now on
	DomainProofMissing Type = "domain.proof_missing" // what was published is not found any more: a warning
	DomainProofFound   Type = "domain.proof_found"   // it is again

	PolicyChanged       Type = "policy.changed"
	RiskRulesChanged    Type = "riskrules.changed"
	RiskProviderChanged Type = "riskprovider.changed" // which scoring service is asked

	APIKeyCreated  Type = "apikey.created"
	APIKeyRotated  Type = "apikey.rotated" // replacedBy has taken its place; it ends at expiresAt
	APIKeyLocked   Type = "apikey.locked"  // refused until it is unlocked
	APIKeyUnlocked Type = "apikey.unlocked"
	APIKeyRevoked  Type = "apikey.revoked"

	SigningKeyCreated   Type = "signingkey.created" // published, and does not sign yet
	SigningKeyActivated Type = "signingkey.activated"
	SigningKeyRetired   Type = "signingkey.retired" // signs no more
	SigningKeyRevoked   Type = "signingkey.revoked" // read the key set again

	UserCreated   Type = "user.created"
	UserUpdated   Type = "user.updated"
	UserBlocked   Type = "user.blocked"
	UserUnblocked Type = "user.unblocked"
	UserDeleted   Type = "user.deleted"

	CredentialCreated             Type = "credential.created"
	CredentialUpdated             Type = "credential.updated"
	CredentialSuspended           Type = "credential.suspended"
	CredentialResumed             Type = "credential.resumed"
	CredentialRevoked             Type = "credential.revoked"
	CredentialVouched             Type = "credential.vouched"                // its assurance is lowered no more
	CredentialSignCountRolledBack Type = "credential.sign_count_rolled_back" // a copy of its key may exist

	CredentialDisposed Type = "credential.disposed" // by an order on its authenticator's model

	CredentialBackupEligibilityChanged Type = "credential.backup_eligibility_changed" // which the specification forbids

	RegistrationDenied Type = "registration.denied" // by policy

	AuthenticatorDisposed Type = "authenticator.disposed" // what is to become of a model's credentials

	AttestationRootCreated Type = "attestationroot.created" // the tenant trusts another certificate
	AttestationRootDeleted Type = "attestationroot.deleted"

	ImportStarted  Type = "import.started"  // users and credentials come in, without events of their own
	ImportFinished Type = "import.finished" // or was cancelled: read the lists again

	RecoveryCodesCreated Type = "recovery.codes_created" // a new set; the old one is void
	RecoveryCodesDeleted Type = "recovery.codes_deleted"
	RecoveryLocked       Type = "recovery.locked"    // too many failures by one name; without userId nobody has it
	RecoveryRequested    Type = "recovery.requested" // by a code or by a link; state says whether somebody has to approve
	RecoveryApproved     Type = "recovery.approved"  // its token works now
	RecoveryRefused      Type = "recovery.refused"
	RecoveryRevoked      Type = "recovery.revoked"
	RecoveryCompleted    Type = "recovery.completed" // a passkey came of it

	LogStreamCreated  Type = "logstream.created" // the audit log goes to another place
	LogStreamUpdated  Type = "logstream.updated"
	LogStreamPaused   Type = "logstream.paused"
	LogStreamResumed  Type = "logstream.resumed"
	LogStreamReplayed Type = "logstream.replayed" // its cursor was moved
	LogStreamDeleted  Type = "logstream.deleted"

	ExportStarted    Type = "export.started"    // somebody asked for all that the tenant has
	ExportFinished   Type = "export.finished"   // state says how: DONE, FAILED or CANCELLED
	ExportDownloaded Type = "export.downloaded" // somebody has it
	ExportExpired    Type = "export.expired"    // the archive is gone

	DLPScanStarted      Type = "dlpscan.started"     // somebody asked for a scan for personal data and secrets
	DLPScanFinished     Type = "dlpscan.finished"    // state says how: DONE, FAILED or CANCELLED
	DLPScheduled        Type = "dlpschedule.updated" // scans are made by themselves
	DLPUnscheduled      Type = "dlpschedule.deleted"
	DLPFindingsImported Type = "dlpfinding.imported" // of another classifier
	DLPFindingDecided   Type = "dlpfinding.decided"  // state says what it is now

	ReportStarted          Type = "report.started"    // somebody, or a schedule, asked for a compliance report
	ReportFinished         Type = "report.finished"   // state says how: DONE or FAILED
	ReportDownloaded       Type = "report.downloaded" // somebody has it, or a file of it
	ReportDeleted          Type = "report.deleted"
	ReportExpired          Type = "report.expired"
	ReportScheduled        Type = "report.scheduled" // reports of the catalogue are made by themselves
	ReportUnscheduled      Type = "report.unscheduled"
	ReportCatalogueUpdated Type = "reportcatalogue.updated" // another set of controls, or other controls in it
	ReportCatalogueDeleted Type = "reportcatalogue.deleted"

	MemberInvited   Type = "member.invited"
	MemberUninvited Type = "member.uninvited" // the invitation was taken back
	MemberJoined    Type = "member.joined"
	MemberUpdated   Type = "member.updated" // has another role
	MemberRemoved   Type = "member.removed"

	OwnerRecoveryRequested Type = "ownerrecovery.requested" // tell every member of the tenant
	OwnerRecoveryApproved  Type = "ownerrecovery.approved"  // by a second of the staff; any member may cancel until readyAt
	OwnerRecoveryCancelled Type = "ownerrecovery.cancelled"
	OwnerRecoveryReleased  Type = "ownerrecovery.released" // a link was made

	SupportRequested Type = "support.requested" // somebody of the staff asks to be let in
	SupportGranted   Type = "support.granted"   // until expiresAt
	SupportRefused   Type = "support.refused"
	SupportRevoked   Type = "support.revoked" // by the tenant, before its time
	SupportEnded     Type = "support.ended"   // given or taken back by the staff
	DashboardCreated Type = "dashboard.created"
	DashboardUpdated Type = "dashboard.updated"
	DashboardDeleted Type = "dashboard.deleted"
	AuditViewCreated Type = "auditview.created"
	AuditViewDeleted Type = "auditview.deleted"

	FlagCreated Type = "flag.created"
	FlagUpdated Type = "flag.updated" // environment says where; empty: everywhere
	FlagDeleted Type = "flag.deleted"

	SegmentCreated Type = "segment.created"
	SegmentUpdated Type = "segment.updated" // or its members
	SegmentDeleted Type = "segment.deleted"

	AuthenticationSucceeded Type = "authentication.succeeded"
	AuthenticationDenied    Type = "authentication.denied" // by policy, after a valid signature

	SessionCreated       Type = "session.created"
	SessionRevoked       Type = "session.revoked"
	SessionRefreshReused Type = "session.refresh_reused" // an old refresh token came back: somebody copied it
)

// Types lists every type.
func Types() []Type {
	return []Type{
		TenantCreated, TenantUpdated, TenantSuspended, TenantResumed, TenantShredded, TenantDeleting, TenantRestored, TenantDestroyed, QuotaChanged, QuotaReached, LimitsChanged,
		SettingsUpdated,
		DomainProven, DomainProofMissing, DomainProofFound,
		PolicyChanged, RiskRulesChanged, RiskProviderChanged,
		APIKeyCreated, APIKeyRotated, APIKeyLocked, APIKeyUnlocked, APIKeyRevoked,
		SigningKeyCreated, SigningKeyActivated, SigningKeyRetired, SigningKeyRevoked,
		UserCreated, UserUpdated, UserBlocked, UserUnblocked, UserDeleted,
		CredentialCreated, CredentialUpdated, CredentialSuspended, CredentialResumed, CredentialRevoked, CredentialVouched,
		CredentialSignCountRolledBack, CredentialDisposed, CredentialBackupEligibilityChanged,
		RegistrationDenied,
		AuthenticatorDisposed,
		AttestationRootCreated, AttestationRootDeleted,
		ImportStarted, ImportFinished,
		RecoveryCodesCreated, RecoveryCodesDeleted, RecoveryLocked, RecoveryRequested, RecoveryApproved, RecoveryRefused,
		RecoveryRevoked, RecoveryCompleted,
		ExportStarted, ExportFinished, ExportDownloaded, ExportExpired,
		DLPScanStarted, DLPScanFinished, DLPScheduled, DLPUnscheduled, DLPFindingDecided, DLPFindingsImported,
		ReportStarted, ReportFinished, ReportDownloaded, ReportDeleted, ReportExpired, ReportScheduled, ReportUnscheduled, ReportCatalogueUpdated, ReportCatalogueDeleted,
		MemberInvited, MemberUninvited, MemberJoined, MemberUpdated, MemberRemoved,
		OwnerRecoveryRequested, OwnerRecoveryApproved, OwnerRecoveryCancelled, OwnerRecoveryReleased,
		SupportRequested, SupportGranted, SupportRefused, SupportRevoked, SupportEnded,
		DashboardCreated, DashboardUpdated, DashboardDeleted,
		AuditViewCreated, AuditViewDeleted,
		FlagCreated, FlagUpdated, FlagDeleted, SegmentCreated, SegmentUpdated, SegmentDeleted,
		AuthenticationSucceeded, AuthenticationDenied,
		SessionCreated, SessionRevoked, SessionRefreshReused,
	}
}
