package member

import (
	"slices"

	"github.com/biocore-id/biocore/tenancy/apikey"
)

// Role is what a member may do in a tenant.
type Role string

// The roles, as they stand in rows. Support is the customer's own help desk; the staff's
// are roles in the reserved tenant and say nothing about any other.
const (
	Owner     Role = "owner"
	Admin     Role = "admin"
	Security  Role = "security"
	Developer Role = "developer"
	Auditor   Role = "auditor"
	Support   Role = "support"
	Viewer    Role = "viewer"

	StaffAdmin   Role = "staff_admin"
	StaffSupport Role = "staff_support"
)

// Roles are those of a customer's tenant, the mightiest first.
func Roles() []Role { return []Role{Owner, Admin, Security, Developer, Auditor, Support, Viewer} }

// StaffRoles are those of the reserved tenant.
func StaffRoles() []Role { return []Role{StaffAdmin, StaffSupport} }

// IsStaff reports whether r is a role of the reserved tenant.
func (r Role) IsStaff() bool { return slices.Contains(StaffRoles(), r) }

// Label is r in words, for people.
func (r Role) Label() string {
	switch r {
	case StaffAdmin:
		return "Staff admin"
	case StaffSupport:
		return "Staff support"
	case "":
		return ""
	default:
		return string(r[0]-'a'+'A') + string(r[1:])
	}
}

// Purpose says in a line what r is for.
func (r Role) Purpose() string {
	switch r {
	case Owner:
		return "Everything, and who else is an owner"
	case Admin:
		return "Everything but owners and deletion"
	case Security:
		return "Policies, authenticators, evidence, recovery, signing keys"
	case Developer:
		return "API keys, settings, imports"
	case Auditor:
		return "Reads all, makes reports, changes nothing"
	case Support:
		return "Helps users: their credentials, sessions, recovery links"
	case Viewer:
		return "Looks at users, policy and settings"
	case StaffAdmin:
		return "Runs tenants, and who else is on the staff"
	case StaffSupport:
		return "Helps customers"
	}
	return ""
}

// Permission is one line of the table: what may be done, and which roles may. An owner
// may do all of a tenant's.
type Permission struct {
	Scope string // as API keys have it
	Says  string // for people
	Roles []Role
}

// permissions is the one table: requests of the console are judged by it, its menus show
// what it allows, and the matrix that people read is made of it.
var permissions = []Permission{
	{apikey.ScopeMembersRead, "See members and invitations", []Role{Owner, Admin, Security, Developer, Auditor, Support, Viewer}},
	{apikey.ScopeMembersWrite, "Invite, change and remove members", []Role{Owner, Admin}},
	{apikey.ScopeStatsRead, "See statistics", []Role{Owner, Admin, Security, Developer, Auditor, Support, Viewer}},
	{apikey.ScopeDashboardsRead, "See dashboards", []Role{Owner, Admin, Security, Developer, Auditor, Support, Viewer}},
	{apikey.ScopeDashboardsWrite, "Make, change and delete dashboards", []Role{Owner, Admin, Security, Developer, Support}},
	{apikey.ScopeFlagsRead, "See feature flags, and who gets what", []Role{Owner, Admin, Security, Developer, Auditor, Support, Viewer}},
	{apikey.ScopeFlagsWrite, "Make, change, switch and delete feature flags", []Role{Owner, Admin, Developer}},
	{apikey.ScopeUsersRead, "See users and their credentials", []Role{Owner, Admin, Security, Developer, Auditor, Support, Viewer}},
	{apikey.ScopeUsersWrite, "Change users and their credentials", []Role{Owner, Admin, Security, Support}},
	{apikey.ScopeSessions, "See and revoke sessions of users", []Role{Owner, Admin, Security, Support}},
	{apikey.ScopeCredentialsVouch, "Vouch for a recovered passkey", []Role{Owner, Admin, Security}},
	{apikey.ScopeRecoveriesRead, "See recoveries", []Role{Owner, Admin, Security, Auditor, Support}},
	{apikey.ScopeRecoveryLinks, "Make enrollment links and recovery codes", []Role{Owner, Admin, Security, Support}},
	{apikey.ScopeRecoveriesDecide, "Approve and refuse recoveries", []Role{Owner, Admin, Security}},
	{apikey.ScopePolicyRead, "See the policy and simulate", []Role{Owner, Admin, Security, Developer, Auditor, Viewer}},
	{apikey.ScopePolicyWrite, "Change the policy", []Role{Owner, Admin, Security}},
	{apikey.ScopeRiskRead, "See risk, and backtest rules", []Role{Owner, Admin, Security, Developer, Auditor, Viewer}},
	{apikey.ScopeRiskWrite, "Change the risk rules", []Role{Owner, Admin, Security}},
	{apikey.ScopeAuthenticatorsRead, "See models of authenticators", []Role{Owner, Admin, Security, Developer, Auditor, Viewer}},
	{apikey.ScopeAuthenticatorsWrite, "Dispose of a model's credentials", []Role{Owner, Admin, Security}},
	{apikey.ScopeAttestationRootsRead, "See trusted roots of authenticators", []Role{Owner, Admin, Security, Developer, Auditor, Viewer}},
	{apikey.ScopeAttestationRootsWrite, "Trust and distrust roots", []Role{Owner, Admin, Security}},
	{apikey.ScopeEvidenceRead, "Read and download evidence", []Role{Owner, Admin, Security, Auditor}},
	{apikey.ScopeCeremoniesRead, "See ceremonies, and why they failed", []Role{Owner, Admin, Security, Developer, Auditor, Support}},
	{apikey.ScopeAuditRead, "Read the audit log", []Role{Owner, Admin, Security, Auditor}},
	{apikey.ScopeAuditViews, "Save and delete views of the audit log", []Role{Owner, Admin, Security, Auditor}},
	{apikey.ScopeLogStreamsRead, "See where the audit log is sent", []Role{Owner, Admin, Security, Auditor}},
	{apikey.ScopeLogStreamsWrite, "Send the audit log elsewhere", []Role{Owner, Admin, Security}},
	{apikey.ScopeReportsRead, "See and download compliance reports", []Role{Owner, Admin, Security, Auditor}},
	{apikey.ScopeReportsWrite, "Make compliance reports", []Role{Owner, Admin, Auditor}},
	{apikey.ScopeReportsManage, "Schedule and delete reports, add catalogues of controls", []Role{Owner, Admin}},
	{apikey.ScopeGovernanceRead, "See what is stored of whom, and how", []Role{Owner, Admin, Security, Developer, Auditor, Viewer}},
	{apikey.ScopeErasuresRead, "See erasures and their certificates", []Role{Owner, Admin, Security, Auditor, Support}},
	{apikey.ScopeDLPRead, "See where personal data and secrets were found", []Role{Owner, Admin, Security, Auditor}},
	{apikey.ScopeDLPWrite, "Scan for personal data and secrets, and decide findings", []Role{Owner, Admin, Security}},
	{apikey.ScopeSettingsRead, "See settings", []Role{Owner, Admin, Security, Developer, Auditor, Viewer}},
	{apikey.ScopeSettingsWrite, "Change settings", []Role{Owner, Admin, Developer}},
	{apikey.ScopeAPIKeysRead, "See API keys", []Role{Owner, Admin, Security, Developer, Auditor}},
	{apikey.ScopeAPIKeysWrite, "Create, rotate, lock and revoke API keys", []Role{Owner, Admin, Developer}},
	{apikey.ScopeRegistrations, "Make API keys that enroll passkeys", []Role{Owner, Admin, Developer}},
	{apikey.ScopeAuthentications, "Make API keys that sign users in", []Role{Owner, Admin, Developer}},
	{apikey.ScopeFlags, "Make API keys that evaluate feature flags", []Role{Owner, Admin, Developer}},
	{apikey.ScopeRisk, "Report what came of decisions about risk, and make API keys that evaluate it", []Role{Owner, Admin, Security, Support}},
	{apikey.ScopeRecoveries, "Make API keys that redeem recovery codes", []Role{Owner, Admin, Developer}},
	{apikey.ScopeSigningKeysRead, "See signing keys", []Role{Owner, Admin, Security, Developer, Auditor}},
	{apikey.ScopeSigningKeysWrite, "Rotate and revoke signing keys", []Role{Owner, Admin, Security}},
	{apikey.ScopeImportsRead, "See imports", []Role{Owner, Admin, Developer, Auditor}},
	{apikey.ScopeImportsWrite, "Import users and passkeys", []Role{Owner, Admin, Developer}},
	{apikey.ScopeExportUsers, "Export users and public keys", []Role{Owner, Admin}},
	{apikey.ScopeExportContacts, "Export e-mail addresses and phone numbers", []Role{Owner, Admin}},
	{apikey.ScopeExportUser, "Export all that there is of one user", []Role{Owner, Admin}},
	{apikey.ScopeExportTenant, "Export all of this tenant, and download it", []Role{Owner, Admin}},
	{apikey.ScopeSupportRead, "See who of the staff asked for access, and what they did", []Role{Owner, Admin, Security, Developer, Auditor, Support, Viewer}},
	{apikey.ScopeSupportGrant, "Let people of the staff in, and out", []Role{Owner, Admin}},
	{apikey.ScopeSupportRequest, "Ask a tenant for access", []Role{StaffAdmin, StaffSupport}},
	{apikey.ScopeUsageRead, "See usage and quotas", []Role{Owner, Admin, Security, Developer, Auditor, Viewer}},
	{ScopeTenantDelete, "Delete this tenant, and restore it", []Role{Owner}},
	{apikey.ScopeTenantsRead, "See tenants", []Role{StaffAdmin, StaffSupport}},
	{apikey.ScopeTenantsWrite, "Create, suspend and delete tenants, settle quotas and limits", []Role{StaffAdmin}},
	{apikey.ScopeSystemRead, "See how the installation is", []Role{StaffAdmin, StaffSupport}},
	{apikey.ScopeSystemWrite, "Retry jobs that were given up", []Role{StaffAdmin}},
	{ScopeRolloutsRead, "See which parts of Biocore are on, and for whom", []Role{StaffAdmin, StaffSupport}},
	{ScopeRolloutsWrite, "Turn parts of Biocore on and off", []Role{StaffAdmin}},
	{ScopeStaffRead, "See the staff", []Role{StaffAdmin, StaffSupport}},
	{ScopeStaffWrite, "Invite, change and remove staff", []Role{StaffAdmin}},
	{ScopeOwnerRecoveries, "Ask for and approve the recovery of a tenant's owner", []Role{StaffAdmin, StaffSupport}},
}

// What no API key may do: only people are members.
const (
	ScopeTenantDelete    = "tenant:delete"
	ScopeStaffRead       = "staff:members:read"
	ScopeStaffWrite      = "staff:members:write"
	ScopeOwnerRecoveries = "staff:ownerRecoveries"
	ScopeRolloutsRead    = "staff:rollouts:read"
	ScopeRolloutsWrite   = "staff:rollouts:write"
)

// Permissions returns the table, to be shown.
func Permissions() []Permission { return slices.Clone(permissions) }

// May reports whether r may do what scope allows.
func (r Role) May(scope string) bool {
	return slices.ContainsFunc(permissions, func(p Permission) bool { return p.Scope == scope && slices.Contains(p.Roles, r) })
}

// Grants are the scopes of API keys that r may give away: those that it has itself. An owner
// gives whole planes too, which hold whatever scopes there will be; no other role does, since
// a later scope may be one that it has not.
func (r Role) Grants(kind apikey.Kind) []string {
	grants := []string{} // never nil: nil may grant all
	if kind != apikey.Secret {
		return grants
	}
	for _, s := range apikey.Scopes(kind) {
		if r.May(s) {
			grants = append(grants, s)
		}
	}
	if r == Owner {
		grants = append(grants, apikey.ScopeAuthPlane, apikey.ScopeAdminPlane)
	}
	return grants
}

// gives reports whether a member with the role r may make somebody a member with the role
// given, or take it from them: nobody gives more than they have.
func (r Role) gives(given Role) bool {
	switch r {
	case Owner:
		return slices.Contains(Roles(), given)
	case Admin:
		return given != Owner && slices.Contains(Roles(), given)
	case StaffAdmin:
		return given.IsStaff()
	default:
		return false
	}
}
