package apikey

import (
	"slices"
	"strings"
)

// Scopes are what a server or platform key may do. Every scope of Biocore is here.
// A key may also hold a noun for all of its verbs ("users" for "users:read" and
// "users:write"), "*" for the whole auth plane, and "admin:*" for the whole admin
// plane. Publishable keys have no scopes: what they may call is fixed.
const (
	ScopeRegistrations    = "registrations"
	ScopeAuthentications  = "authentications"
	ScopeUsersRead        = "users:read"  // and credentials
	ScopeUsersWrite       = "users:write" // and credentials
	ScopeSessions         = "sessions"
	ScopeRecoveries       = "recoveries"
	ScopeCredentialsVouch = "credentials:vouch" // apart: it lifts an assurance
	ScopeAPIKeysRead      = "admin:apiKeys:read"
	ScopeAPIKeysWrite     = "admin:apiKeys:write"
	ScopeSigningKeysRead  = "admin:signingKeys:read"
	ScopeSigningKeysWrite = "admin:signingKeys:write"
	ScopeSettingsRead     = "admin:settings:read"
	ScopeSettingsWrite    = "admin:settings:write"
	ScopePolicyRead       = "admin:policy:read"
	ScopePolicyWrite      = "admin:policy:write"
	ScopeRisk             = "risk" // to evaluate it, and to report what came of it
	ScopeRiskRead         = "admin:risk:read"
	ScopeRiskWrite        = "admin:risk:write"
	ScopeRecoveriesRead   = "admin:recoveries:read"
	ScopeRecoveryLinks    = "admin:recoveries:link" // apart from deciding: a second person's key may not have it
	ScopeRecoveriesDecide = "admin:recoveries:decide"
	ScopeEvidenceRead     = "admin:evidence:read"
	ScopeCeremoniesRead   = "admin:ceremonies:read"
	ScopeAuditRead        = "admin:audit:read"
	ScopeAuditViews       = "admin:audit:views" // to save and delete views of it

	ScopeAuthenticatorsRead  = "admin:authenticators:read"  // of a platform key: how far models reach among all tenants
	ScopeAuthenticatorsWrite = "admin:authenticators:write" // what is to become of the credentials of a model

	ScopeAttestationRootsRead  = "admin:attestationRoots:read"
	ScopeAttestationRootsWrite = "admin:attestationRoots:write" // apart: whose authenticators are believed
	ScopeMembersRead           = "admin:members:read"
	ScopeMembersWrite          = "admin:members:write" // a key makes nobody an owner: see member.Service

	ScopeLogStreamsRead  = "admin:logStreams:read"
	ScopeLogStreamsWrite = "admin:logStreams:write" // apart: it sends the audit log elsewhere

	ScopeReportsRead    = "admin:reports:read"
	ScopeReportsWrite   = "admin:reports:write"   // to ask for one
	ScopeReportsManage  = "admin:reports:manage"  // apart: schedules, catalogues, and what is removed
	ScopeGovernanceRead = "admin:governance:read" // what is stored, and how
	ScopeErasuresRead   = "admin:erasures:read"   // who was erased, by id, and the certificates
	ScopeDLPRead        = "admin:dlp:read"        // where personal data and secrets were found, never what they are
	ScopeDLPWrite       = "admin:dlp:write"       // to scan, to decide what is found, and to import findings

	ScopeSupportRead    = "admin:support:read"
	ScopeSupportGrant   = "admin:support:grant"   // apart: it lets people of the staff in
	ScopeSupportRequest = "admin:support:request" // platform keys
	ScopeUsageRead      = "admin:usage:read"

	ScopeTenantsRead  = "admin:tenants:read"  // platform keys
	ScopeTenantsWrite = "admin:tenants:write" // platform keys
	ScopeSystemRead   = "admin:system:read"   // platform keys
	ScopeSystemWrite  = "admin:system:write"  // platform keys

	ScopeStatsRead       = "admin:stats:read"
	ScopeDashboardsRead  = "admin:dashboards:read"
	ScopeDashboardsWrite = "admin:dashboards:write"

	ScopeFlags      = "flags"             // to evaluate them
	ScopeFlagsRead  = "admin:flags:read"  // and to ask who gets what
	ScopeFlagsWrite = "admin:flags:write" // what the tenant's applications do, by a switch

	ScopeImportsRead    = "admin:imports:read"
	ScopeImportsWrite   = "admin:imports:write"
	ScopeExportUsers    = "admin:exports:users"    // public keys and names of all users
	ScopeExportContacts = "admin:exports:contacts" // and how to reach them
	ScopeExportUser     = "admin:exports:user"     // all that there is of one user
	ScopeExportTenant   = "admin:exports:tenant"   // all that the tenant has; platform keys: to start and watch

	ScopeAuthPlane  = "*"
	ScopeAdminPlane = "admin:*"
)

// Scopes lists every scope that a key of kind may hold one by one.
func Scopes(kind Kind) []string {
	switch kind {
	case Secret:
		return []string{
			ScopeRegistrations, ScopeAuthentications, ScopeUsersRead, ScopeUsersWrite, ScopeSessions, ScopeFlags, ScopeRisk,
			ScopeRecoveries, ScopeCredentialsVouch, ScopeRecoveriesRead, ScopeRecoveryLinks, ScopeRecoveriesDecide,
			ScopeAPIKeysRead, ScopeAPIKeysWrite, ScopeSigningKeysRead, ScopeSigningKeysWrite, ScopeSettingsRead, ScopeSettingsWrite,
			ScopePolicyRead, ScopePolicyWrite, ScopeRiskRead, ScopeRiskWrite, ScopeEvidenceRead, ScopeCeremoniesRead, ScopeAuditRead, ScopeAuditViews, ScopeAuthenticatorsRead, ScopeAuthenticatorsWrite,
			ScopeAttestationRootsRead, ScopeAttestationRootsWrite, ScopeMembersRead, ScopeMembersWrite, ScopeImportsRead, ScopeImportsWrite, ScopeExportUsers, ScopeExportContacts,
			ScopeSupportRead, ScopeSupportGrant,
			ScopeStatsRead, ScopeDashboardsRead, ScopeDashboardsWrite, ScopeFlagsRead, ScopeFlagsWrite,
			ScopeUsageRead, ScopeExportUser, ScopeExportTenant, ScopeLogStreamsRead, ScopeLogStreamsWrite,
			ScopeReportsRead, ScopeReportsWrite, ScopeReportsManage, ScopeGovernanceRead, ScopeErasuresRead, ScopeDLPRead, ScopeDLPWrite,
		}
	case Platform:
		return []string{
			ScopeAPIKeysRead, ScopeAPIKeysWrite, ScopeSigningKeysRead, ScopeSigningKeysWrite, ScopeTenantsRead, ScopeTenantsWrite, ScopeSystemRead, ScopeSystemWrite,
			ScopeAuthenticatorsRead, ScopeSupportRequest, ScopeExportTenant,
		}
	default: // what a publishable key may call is fixed
		return nil
	}
}

// covers reports whether holding granted allows wanted.
func covers(granted, wanted string) bool {
	switch granted {
	case wanted:
		return true
	case ScopeAuthPlane:
		return wanted != "admin" && !strings.HasPrefix(wanted, "admin:")
	}
	if all, ok := strings.CutSuffix(granted, ":*"); ok {
		return strings.HasPrefix(wanted, all+":")
	}
	return strings.HasPrefix(wanted, granted+":")
}

// Covers reports whether holding the scopes own allows each of those wanted.
func Covers(own, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(one string) bool {
		return !slices.ContainsFunc(own, func(o string) bool { return covers(o, one) })
	})
}

// allowed reports whether a key of kind may hold scope: whether it covers at least
// one that the kind knows.
func allowed(kind Kind, scope string) bool {
	return slices.ContainsFunc(Scopes(kind), func(s string) bool { return covers(scope, s) })
}
