package db

import (
	"slices"
	"strings"
)

// supportMay is what bc_support may do with a table, while a grant runs.
type supportMay struct {
	reads   string // columns, divided by spaces; "*" for all
	bytes   string // those of bytes among them: a new one of these is looked at before it is shown
	inserts string // where a grant lets act, but for the record of what was seen
	updates string
}

// supportTables are the tables of which bc_support may see something. Every other walled
// table is in supportBlind: a new one is in one of both, or the walk fails.
var supportTables = map[string]supportMay{
	"public.tenants":              {reads: "*"},
	"public.policies":             {reads: "*"},
	"public.domain_proofs":        {reads: "*"},
	"public.users":                {reads: "*", bytes: "handle external_index profile_sealed", updates: "state updated_at version"},
	"public.user_facts":           {reads: "*"},
	"public.user_terms":           {reads: "*"},
	"public.credentials":          {reads: "*", bytes: "id public_key", updates: "state user_blocked updated_at revoked_at version"},
	"public.sessions":             {reads: "*", bytes: "credential_id", updates: "revoked_at revoke_reason"},
	"public.ceremonies":           {reads: "*", bytes: "credential_id"},
	"public.audit_inbox":          {reads: "*", bytes: "private", inserts: "*"},
	"public.audit_entries":        {reads: "*", bytes: "leaf private"},
	"public.audit_records":        {reads: "*", bytes: "private"}, // a view of both
	"public.subject_keys":         {reads: "*", bytes: "salt"},    // of no use without the tenant's keys, which it does not read
	"public.event_outbox":         {inserts: "*"},
	"public.recoveries":           {reads: "*", bytes: "credential_id", inserts: "tenant_id id user_id kind state rp_id reason requested_by created_at expires_at"},
	"public.recovery_codes":       {reads: "tenant_id user_id created_at used_at"},
	"public.imports":              {reads: "*"},
	"public.import_findings":      {reads: "*"},
	"public.dispositions":         {reads: "*"},
	"public.attestation_roots":    {reads: "*", bytes: "certificate fingerprint"},
	"public.members":              {reads: "*"},
	"public.invitations":          {reads: "*", bytes: "email_sealed"},
	"public.owner_recoveries":     {reads: "*"},
	"public.support_grants":       {reads: "*"},
	"public.api_keys":             {reads: "tenant_id id key_id kind name prefix scopes allowed_cidrs created_by created_at last_used_at expires_at revoked_at locked_at replaced_by"},
	"public.stats_counts":         {reads: "*"},
	"public.stats_gauges":         {reads: "*"},
	"public.stats_marks":          {reads: "*"},
	"public.dashboards":           {reads: "*"},
	"public.flags":                {reads: "*"},
	"public.flag_targeting":       {reads: "*"},
	"public.flag_changes":         {reads: "*"},
	"public.flag_counts":          {reads: "*"},
	"public.flag_segments":        {reads: "*"},
	"public.flag_segment_members": {reads: "*", bytes: "targeting_index"},
	"public.flag_segment_changes": {reads: "*"},
	"public.risk_rulesets":        {reads: "*"},
	"public.risk_evaluations":     {reads: "*"},
	"public.risk_feedback":        {reads: "*"},
	"public.quotas":               {reads: "*"},
	"public.usage_days":           {reads: "*"},
	"public.usage_alerts":         {reads: "*"},
	"public.signing_keys": {
		reads: "tenant_id kid algorithm state public_key created_at location activate_at activated_at retired_at revoke_at revoked_at revoke_reason due_at",
		bytes: "public_key",
	},
}

// supportBlind are the walled tables of which bc_support sees nothing, each with the reason.
var supportBlind = map[string]string{
	"public.data_keys":             "opens everything",
	"public.deletion_certificates": "the platform plane's",
	"public.contacts":              "how people are reached",
	"public.invited_accounts":      "who has an account, of the reserved tenant",
	"public.console_sessions":      "browsers' cookies, of the reserved tenant",
	"public.spent_challenges":      "says nothing to a person",
	"public.idempotency_keys":      "answers, which may hold anything",
	"public.recovery_attempts":     "says nothing to a person",
	"public.evidence":              "opens pieces of evidence",
	"public.sign_in_marks":         "says nothing to a person",
	"public.risk_providers":        "opens a service of the tenant's",
	"public.risk_profiles":         "what a user's sign-ins are like, put together",
	"public.import_marks":          "says nothing to a person",
	"public.exports":               "archives of everything, and what opens them",
	"public.logos":                 "a picture, which anybody has at its address",
	"public.audit_logs":            "says how much there is, and who signs it",
	"public.audit_checkpoints":     "as audit_logs",
	"public.audit_anchor_heads":    "as audit_logs",
	"public.audit_archives":        "as audit_logs",
	"public.audit_views":           "what is looked for in a log that it does not read",
	"public.audit_tiles":           "hashes of entries, which it reads",
	"public.erasures":              "whom the tenant has erased, by hashes and ids",
	"public.siem_sinks":            "where the log goes, and what is shown there",
	"public.siem_rejects":          "as siem_sinks",
	"public.dlp_scans":             "what a tenant looks for in its own texts",
	"public.dlp_findings":          "as dlp_scans",
	"public.dlp_schedules":         "as dlp_scans",
	"public.reports":               "what a tenant shows its auditors, and what opens it",
	"public.report_catalogues":     "as reports",
	"public.report_schedules":      "as reports",
	"public.active_users":          "says nothing that the users do not",
	"public.stats_faults":          "faults of ours, which the staff sees of every tenant anyway",
}

// What each policy that admits bc_support says: command, USING, WITH CHECK. It is compared
// word for word.
const (
	sameTenant   = "(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)"
	grantRuns    = "(EXISTS ( SELECT FROM support_grants g WHERE (" + ofGrant + ")))"
	grantActs    = "(EXISTS ( SELECT FROM support_grants g WHERE (" + ofGrant + " AND (g.access = 'ACT'::text))))"
	ofGrant      = "(g.tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid) AND (g.person_id = (NULLIF(current_setting('app.actor_id'::text, true), ''::text))::uuid) AND (g.state = 'GRANTED'::text) AND (g.expires_at > statement_timestamp())"
	supportLooks = "t | r | (" + sameTenant + " AND " + grantRuns + ")"
	supportWrite = "(" + sameTenant + " AND " + grantActs + ")"
)

var supportPolicies = map[string]string{
	"public.tenants support_view":        strings.Replace(supportLooks, "tenant_id", "id", 1),
	"public.support_grants support_view": "t | r | (" + sameTenant + " AND (person_id = (NULLIF(current_setting('app.actor_id'::text, true), ''::text))::uuid))",
	"public.audit_inbox support_record": "t | a | (" + sameTenant + " AND ((((entry)::json -> 'actor'::text) ->> 'kind'::text) = 'support'::text) AND " +
		"((((entry)::json -> 'actor'::text) ->> 'id'::text) = current_setting('app.actor_id'::text, true)) AND " +
		strings.Replace(grantRuns, "(g.state", "(g.id = audit_inbox.support_grant_id) AND (g.state", 1) + ")",
	"public.users support_act":        "t | w | " + supportWrite + " | " + supportWrite,
	"public.credentials support_act":  "t | w | " + supportWrite + " | " + supportWrite,
	"public.sessions support_act":     "t | w | " + supportWrite + " | " + supportWrite,
	"public.event_outbox support_act": "t | a | " + supportWrite,
	"public.recoveries support_act": "t | a | (" + sameTenant + " AND (kind = 'LINK'::text) AND " +
		"(requested_by = ('support:'::text || current_setting('app.actor_id'::text, true))) AND " +
		strings.Replace(grantActs, "'ACT'::text)", "'ACT'::text) AND (g.expires_at >= recoveries.expires_at)", 1) + ")",
}

// isSupportPolicy reports whether a policy is one of support's, which supportChecks judge.
func isSupportPolicy(object string) bool {
	_, name, _ := strings.Cut(object, " ")
	return name == "support_view" || supportPolicies[object] != ""
}

// supportChecks are the part of the walk that is about bc_support: nobody of the staff sees
// or does more in a tenant than it has granted, and nothing without a grant that runs.
var supportChecks = []wallCheck{
	{
		name:   "support's policies",
		judges: "Support sees a tenant's rows while a grant of that tenant runs, and by nothing else.",
		sql: `SELECT n.nspname || '.' || c.relname || ' ' || p.polname, concat_ws(' | ', p.polpermissive, p.polcmd,
				regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g'), regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\s+', ' ', 'g'))
			FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE (0 = ANY (p.polroles) OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = ANY (p.polroles) AND pg_has_role('bc_support', r.oid, 'MEMBER'))) AND ` + ours,
		judge: func(object, detail string) string {
			want := supportPolicies[object]
			if _, name, _ := strings.Cut(object, " "); want == "" && name == "support_view" {
				want = supportLooks
			}
			if detail != want {
				return "a policy that admits " + RoleSupport + " is not the wall's: " + detail
			}
			return ""
		},
	},
	{
		name:   "support's privileges",
		judges: "Support reads and changes no table or column but those that are listed.",
		sql: `SELECT n.nspname || '.' || c.relname, concat_ws(';',
				(SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
				coalesce((SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege('bc_support', c.oid, a.attnum, 'SELECT')), ''),
				coalesce((SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'bytea'::regtype AND has_column_privilege('bc_support', c.oid, a.attnum, 'SELECT')), ''),
				coalesce((SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege('bc_support', c.oid, a.attnum, 'INSERT')), ''),
				coalesce((SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege('bc_support', c.oid, a.attnum, 'UPDATE')), ''),
				CASE WHEN has_table_privilege('bc_support', c.oid, 'DELETE, TRUNCATE, REFERENCES, TRIGGER') THEN 'more' ELSE '' END)
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition AND ` + ours,
		judge: judgeSupport,
	},
	{
		name:   "support's memberships",
		judges: "Support is no other role, and no other role is support.",
		sql: `SELECT r.rolname, 'bc_support' FROM pg_roles r WHERE r.rolname <> 'bc_support' AND (pg_has_role('bc_support', r.oid, 'MEMBER')
			OR r.rolname IN ('bc_app', 'bc_writer', 'bc_jobs', 'bc_control', 'bc_audit') AND pg_has_role(r.oid, 'bc_support', 'MEMBER'))`,
		judge: func(_, _ string) string { return "is as good as " + RoleSupport + ", or the other way round" },
	},
}

// judgeSupport compares what bc_support may do with a table with what is listed.
func judgeSupport(table, detail string) string {
	have := strings.Split(detail, ";") // all columns; then those it may read, the bytes among them, insert, update; more
	want, listed := supportTables[table]
	switch {
	case listed && supportBlind[table] != "":
		return "listed twice: as what support sees, and as what it does not see"
	case !listed && supportBlind[table] == "" && !isPlatform(table):
		return "nobody has decided whether support may see it: supportTables or supportBlind in db/wall_support.go"
	case have[5] != "":
		return RoleSupport + " may do more with it than read, insert and update"
	}
	all := strings.Fields(have[0])
	for i, one := range []struct{ what, columns string }{{"read", want.reads}, {"read the bytes", want.bytes}, {"insert", want.inserts}, {"update", want.updates}} {
		may := strings.Fields(one.columns)
		if one.columns == "*" {
			may = all
		}
		has := strings.Fields(have[i+1])
		slices.Sort(may)
		slices.Sort(has)
		if !slices.Equal(may, has) {
			return RoleSupport + " may " + one.what + " (" + have[i+1] + "), and is to (" + one.columns + ")"
		}
	}
	return ""
}
