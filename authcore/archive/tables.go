package archive

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
)

// table is what becomes of one table of the schema. All of its columns but tenant_id are in
// columns or in left: a test holds the list to the catalog.
type table struct {
	name string
	// key tells rows apart within the tenant; it need not leave. Empty: one row at most.
	key string
	// columns leave, each under its name as the API would spell it. A suffix says what is in
	// it: !json, text that holds JSON; !jsonb; !day, a date; !address, one and no
	// network.
	columns string
	// with are columns that are read and do not leave as they are: open makes members of them.
	with  string
	where string // a condition of SQL; empty: all rows
	// person is a condition of SQL that rows about the user $1 meet; empty: none is, and notOfPerson may say why.
	person string
	rows   int // of a page; 0: pageRows

	open opener

	left map[string]string // columns that do not leave, each with the reason
}

// Why columns and tables stay behind, where one reason is that of several.
const (
	isIndex   = "an index of ours, made of what is here"
	isMark    = "how far our jobs are"
	opensMore = "it opens what is sealed, and is of no use without our keys"
)

const ofUser = "user_id = $1" // table.person

// tables is the one list of what leaves, in the order of the archive: what others refer to
// comes first, so that it can be read in from top to bottom.
var tables = []table{
	{
		name: "tenants",
		columns: "id slug name mode state rp_id rp_name origins direct_tokens policy_version suspend_reason created_at updated_at delete_after version " +
			"token_audience token_encryption_key related_origins android_apps ios_apps passkey_enroll_url passkey_manage_url passkey_prf_url plan region " +
			"delete_reason delete_asked_by delete_by_tenant quotas_exceeded user_count last_active_at month_answered month_faults " +
			"accent_color accent_color_dark support_url support_email logo_sha256 limits!jsonb",
		left: map[string]string{"shredded_at": isMark, "destroying_at": isMark, "emptied_at": isMark},
	},
	{name: "logos", columns: "png"},
	{name: "policies", key: "version", columns: "version document!jsonb created_by created_at", rows: 20},
	{
		name: "domain_proofs", columns: "rp_id method proven_at checked_at failing_since finding_dns finding_file",
		left: map[string]string{"due_at": isMark},
	},
	{name: "members", key: "id", columns: "id person_id role invited_by created_at updated_at"},
	{
		name: "invitations", key: "id",
		columns: "id role label invited_by created_at expires_at accepted_at accepted_by revoked_at replaces mailed_at founds_mode founds_plan founds_quotas!jsonb",
		left:    map[string]string{"email_sealed": "the address is kept until the invitation is sent, and no longer"},
	},
	{
		name: "owner_recoveries", key: "id",
		columns: "id member_id person_id state reason ticket requested_by requested_at approved_by approved_at ready_at expires_at invitation_id ended_by ended_at end_reason",
	},
	{
		name: "support_grants", key: "id",
		columns: "id person_id person_name state reason ticket wanted_access wanted_minutes requested_by requested_at open_until access " +
			"decided_by decided_name decided_at decide_reason expires_at ended_by ended_name ended_at end_reason",
	},
	{
		name: "api_keys", key: "id",
		columns: "id key_id kind name prefix scopes allowed_cidrs created_by created_at last_used_at expires_at revoked_at locked_at replaced_by",
		left:    map[string]string{"secret_hash": "a secret: whoever has the key knows it, and nobody else should"},
	},
	{
		name: "signing_keys", key: "kid",
		columns: "kid algorithm state public_key created_at location activate_at activated_at retired_at revoke_at revoked_at revoke_reason",
		left:    map[string]string{"private_sealed": "it would let whoever has the archive sign in your name", "due_at": isMark},
	},
	{name: "attestation_roots", key: "id", columns: "id name certificate fingerprint aaguids not_before not_after created_by created_at"},
	{
		name: "dispositions", key: "id",
		columns: "id aaguid disposition automatic reports mds_number reason created_by created_at credentials finished_at",
	},
	{
		name: "users", person: "id = $1", key: "id", columns: "id handle state created_at updated_at version", with: "profile_sealed", open: openProfiles,
		left: map[string]string{"external_index": isIndex, "terms": isIndex, "profile_version": isMark},
	},
	{
		name: "contacts", person: ofUser, key: "user_id, kind", columns: "user_id kind created_at updated_at", open: openContacts,
		left: map[string]string{"sealed": "its value is here, opened", "match_index": isIndex, "key_version": isMark},
	},
	{
		name: "user_facts", person: ofUser, key: "user_id", columns: "user_id passkeys last_sign_in_at",
		left: map[string]string{"state": "with the user", "created_at": "with the user", "bare": isIndex},
	},
	{
		name: "credentials", person: ofUser, key: "id",
		columns: "id user_id state user_blocked sign_count backed_up backup_eligible last_used_at public_key algorithm aaguid attestation_format attestation_type " +
			"transports attachment discoverable nickname registered_via created_at updated_at revoked_at version trust certification registered_aal lowered " +
			"vouched_at vouched_by disposition extensions!json evidence_id rp_id",
	},
	{
		name: "evidence", person: ofUser, key: "id",
		columns: "id ceremony_id at outcome reason user_id credential_id aaguid format trust mds_number policy_version sha256 size retention_days expires_at",
		with:    "record_key body", where: "record_key IS NOT NULL AND expires_at > now()", rows: 16, open: openEvidence,
		left: map[string]string{"key_version": isMark, "stored_at": isMark, "due_at": isMark},
	},
	{
		name: "recovery_codes", person: ofUser, key: "user_id, hash", columns: "user_id created_at used_at",
		left: map[string]string{"hash": "a secret: your users have the codes, and nobody else should try them"},
	},
	{
		name: "recoveries", person: ofUser, key: "id",
		columns: "id user_id kind state rp_id reason requested_by created_at expires_at decided_by decided_at completed_at credential_id",
	},
	{
		name: "sessions", person: ofUser, key: "id",
		columns: "id user_id credential_id aal user_verified address!address user_agent created_at last_used_at expires_at revoked_at revoke_reason",
		left:    map[string]string{"refresh_generation": "which of the refresh tokens is good: a token's, and secret"},
	},
	{
		name: "ceremonies", person: ofUser, key: "at, id",
		columns: "at id kind outcome reason user_id credential_id policy_version facts!json latency_us trace_id request_id browser api_key_id repeats",
	},
	{
		name: "imports", key: "id",
		columns: "id state on_duplicate rp_id position digest counts!json checked_lines checked_digest checked_counts!json created_by created_at updated_at started_at ended_at",
	},
	{name: "import_findings", key: "import_id, phase, line, ordinal", columns: "import_id phase line ordinal outcome field reason detail"},
	{
		name: "erasures", key: "id", columns: "id user_id at erased_by credentials sessions contacts evidence replayed_at certificate issued_at",
		left: map[string]string{"subject": isIndex, "stored_at": isMark},
	},
	{name: "audit_views", key: "id", columns: "id name outcome target_kind target action actor days created_by created_at"},
	{
		name: "flags", key: "key",
		columns: "key type name description owner remove_by!day variants!jsonb client_visible created_by created_at updated_by updated_at version",
	},
	{
		name: "flag_targeting", key: "environment, flag_key",
		columns: "flag_key environment enabled off_variant default_variant rules!jsonb salt updated_by updated_at version",
	},
	{name: "flag_counts", key: "environment, flag_key, day, variant", columns: "environment flag_key day!day variant served last_at"},
	{name: "flag_segments", key: "key", columns: "key name description condition!jsonb created_by created_at updated_by updated_at version"},
	{
		name: "flag_segment_members", key: "segment_key, targeting_index", columns: "segment_key user_id excluded added_by added_at",
		person: "(user_id = $1 OR targeting_index = (SELECT external_index FROM users WHERE id = $1))",
		left:   map[string]string{"targeting_index": "a keyed hash of who is listed, whom you know: of nobody the key itself is kept"},
	},
	{name: "flag_changes", key: "id", columns: "id flag_key environment action before!jsonb after!jsonb reason changed_by changed_at"},
	{name: "flag_segment_changes", key: "id", columns: "id segment_key action before!jsonb after!jsonb members reason changed_by changed_at"},
	{name: "risk_rulesets", key: "version", columns: "version document!jsonb reason created_by created_at", rows: 20},
	{
		name: "risk_providers", key: "id", columns: "id config!jsonb updated_by updated_at",
		left: map[string]string{"credential": "a secret of your service's: whoever has the archive could ask it", "key_version": isMark, "version": isMark},
	},
	{name: "risk_profiles", person: ofUser, key: "user_id", columns: "user_id profile!jsonb updated_at"},
	{name: "risk_evaluations", person: ofUser, key: "id", columns: "id at user_id action outcome reason facts!json api_key_id"},
	{name: "risk_feedback", key: "decision_id", columns: "decision_id verdict note given_by given_at"},
	{name: "dashboards", key: "id", columns: "id title charts!jsonb created_by created_at updated_by updated_at version"},
	{
		name: "stats_counts", key: "step, at", columns: "step at counts!json",
		left: map[string]string{"answered": isIndex, "timed": isIndex, "prompt": isIndex},
	},
	{name: "stats_faults", key: "at", columns: "at faults"},
	{name: "stats_gauges", key: "at", columns: "at users enrolled several active_hour active_day active_week active_month"},
	{name: "quotas", key: "kind", columns: "kind most hard updated_by updated_at"},
	{name: "active_users", person: ofUser, key: "month, user_id", columns: "month!day user_id"},
	{name: "usage_days", key: "day", columns: "day!day ceremonies sign_ins monthly_active_users written_bytes stored_bytes measured_at"},
	{name: "usage_alerts", key: "month, kind, percent, most", columns: "month!day kind percent used most at"},
	{
		name: "audit_entries", person: "strpos(entry, $1::uuid::text) > 0", key: "seq", columns: "seq id entry!json sequenced_at at action target leaf support_grant_id", with: "private",
		open: openAudit,
	},
	{name: "audit_inbox", person: "strpos(entry, $1::uuid::text) > 0", key: "id", columns: "id entry!json at action target support_grant_id", with: "private", open: openAudit},
	{name: "audit_checkpoints", key: "size", columns: "size signed_at checkpoint"},
	{
		name: "audit_archives", key: "from_seq", columns: "from_seq to_seq first_at last_at objects versions bytes sha256 archived_at locked_until problem",
		left: map[string]string{"names": isIndex},
	},
	{
		name: "audit_logs", key: "tenant_id", columns: "size sequenced_at origin public_key signed_size signed_at checkpoint",
		left: map[string]string{"edge": isIndex, "kept_at": isMark, "seed": opensMore},
	},
	{
		name: "siem_sinks", key: "id",
		columns: "id name kind format address index_name acknowledge ca_certificates actions outcomes redact redact_kinds block_kinds state created_by created_at updated_by updated_at " +
			"next_seq sent rejected missed blocked last_success_at last_error last_error_at",
		left: map[string]string{
			"credential": "a secret of your sink's: whoever has the archive could write there", "key_version": isMark, "version": isMark, "failures": isMark,
			"due_at": isMark, "lease": isMark, "leased_until": isMark,
		},
	},
	{name: "siem_rejects", key: "sink_id, seq", columns: "sink_id seq at reason"},
	{
		name: "dlp_scans", key: "id", columns: "id state reason days asked_by created_at started_at ended_at texts found cut unseen!json failure",
		left: map[string]string{"attempt": isMark, "place": isMark, "after_key": isMark, "done": isMark, "total": isMark, "due_at": isMark},
	},
	{
		name: "dlp_findings", key: "id", columns: "id source place item kind count shape state reason decided_by decided_at first_at last_at scan_id",
		left: map[string]string{"version": isMark},
	},
	{name: "dlp_schedules", key: "cadence", columns: "cadence days updated_by updated_at", left: map[string]string{"set_at": isMark, "due_at": isMark}},
	{name: "event_outbox", person: "strpos(payload, $1::uuid::text) > 0", key: "at, id", columns: "at id type payload!json"},
	{
		name: "exports", key: "id", columns: "id state reason asked_by asked_name created_at started_at ended_at expires_at attempt rows_done size sha256 failure",
		left: map[string]string{
			"files_done": isMark, "files_total": isMark, "parts": isMark, "key_version": isMark, "due_at": isMark, "archive_key": opensMore,
		},
	},
	{
		name: "reports", key: "id", columns: "id catalogue period_from period_to state reason asked_by asked_name scheduled keep_days created_at started_at ended_at expires_at attempt " +
			"met not_met no_evidence size sha256 failure",
		left: map[string]string{"done": isMark, "total": isMark, "key_version": isMark, "due_at": isMark, "report_key": opensMore},
	},
	{name: "report_schedules", key: "catalogue", columns: "catalogue cadence keep_days updated_by updated_at", left: map[string]string{"due_at": isMark}},
	{name: "report_catalogues", key: "name", columns: "name document version updated_by updated_at", rows: 20},
}

// leftTables are the tenant's tables of which nothing leaves, each with the reason.
var leftTables = map[string]string{
	"data_keys":             opensMore,
	"deletion_certificates": "the platform's word that a tenant's keys are destroyed, which comes after the last export",
	"console_sessions":      "browsers' cookies, of the reserved tenant",
	"invited_accounts":      "which accounts of the console came of which invitation, of the reserved tenant",
	"spent_challenges":      "hashes of what was used, kept for two hours against replays",
	"idempotency_keys":      "answers kept for a day against repeats, which may hold anything",
	"recovery_attempts":     "hashes of names that recovery was tried for in vain, kept for a day",
	"subject_keys":          opensMore,
	"user_terms":            isIndex,
	"audit_anchor_heads":    "where the log's head is in object storage: GetAuditAnchor answers it with its proof",
	"audit_tiles":           "hashes of entries, which the entries have",
	"sign_in_marks":         isMark,
	"import_marks":          isMark,
	"stats_marks":           isMark,
}

// elsewhere is what a tenant might look for and not find, though no table of its own has it.
var elsewhere = []LeftOut{
	{Table: "members", Column: "name", Reason: "people of the console are users of the reserved tenant: their names are their own, and invitations have labels"},
}

// pageRows bounds a page, and with it what is in memory at a time: some kilobytes a row at worst.
const pageRows = 500

func (t *table) pageRows() int { return cmp.Or(t.rows, pageRows) }

// fileNames are what files are called where the table's name would say nothing.
var fileNames = map[string]string{"audit_entries": "audit", "audit_inbox": "audit_waiting", "audit_logs": "audit_log", "event_outbox": "events", "siem_sinks": "log_streams", "siem_rejects": "log_stream_rejects", "tenants": "tenant"}

func (t *table) file() string { return cmp.Or(fileNames[t.name], t.name) + ".jsonl" }

// column is one that leaves.
type column struct {
	name   string
	form   form
	member string // `,"createdAt":`
}

// form says what is in a column, where its type does not.
type form int

const (
	byType form = iota
	jsonText
	jsonB
	day
	address
)

var forms = map[string]form{"json": jsonText, "jsonb": jsonB, "day": day, "address": address}

// list are the columns that leave.
func (t *table) list() []column {
	words := strings.Fields(t.columns)
	list := make([]column, len(words))
	for i, word := range words {
		name, suffix, _ := strings.Cut(word, "!")
		list[i] = column{name: name, form: forms[suffix], member: `,"` + camel(name) + `":`}
	}
	return list
}

// camel is a column's name as the API spells it.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, p := range parts[1:] {
		parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, "")
}

// reading is how the table is read: what leaves, then what is opened; of one person, or, with Nil, of all.
func (t *table) reading(person uuid.UUID) db.Table {
	r := db.Table{Name: t.name, Where: t.where}
	if person != uuid.Nil {
		if r.Args = []any{person}; r.Where != "" {
			r.Where += " AND "
		}
		r.Where += t.person
	}
	for _, c := range t.list() {
		if c.form == jsonB {
			c.name += "::text"
		}
		r.Columns = append(r.Columns, c.name)
	}
	r.Columns = append(r.Columns, strings.Fields(t.with)...)
	if t.key != "" {
		r.Key = strings.Split(t.key, ", ")
	}
	return r
}

// leftOut is what the manifest says of what is missing, by table and column.
func leftOut() []LeftOut {
	all := slices.Clone(elsewhere)
	for name, reason := range leftTables {
		all = append(all, LeftOut{Table: name, Reason: reason})
	}
	for i := range tables {
		for name, reason := range tables[i].left {
			all = append(all, LeftOut{Table: tables[i].name, Column: name, Reason: reason})
		}
	}
	slices.SortFunc(all, func(a, b LeftOut) int { return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Column, b.Column)) })
	return all
}
