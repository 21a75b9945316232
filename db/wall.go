package db

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// platformTables are the tables that hold no tenant's rows, or that wall them off
// by other means, each with the reason. Everything else must be walled.
var platformTables = map[string]string{
	"public.goose_db_version":  "which migrations ran",
	"public.audit_anchor_log":  "the head of the log of all tenants' heads; no grant to bc_app",
	"public.audit_anchors":     "pieces of that log, which are in object storage; no grant to bc_app",
	"public.metadata_blobs":    "what the FIDO Metadata Service publishes for everybody; no grant to bc_app",
	"river.river_job":          "jobs of all tenants: bc_app and bc_control see and make the opened tenant's alone, by a policy on args (migrate.go)",
	"river.river_leader":       "which worker leads; no grant to bc_app",
	"river.river_migration":    "which of River's migrations ran",
	"river.river_notification": "wakes workers; no grant to bc_app",
	"river.river_queue":        "queues and their pauses; no grant to bc_app",
}

// extraPolicies are the policies beside tenant_isolation and owner_backfill.
var extraPolicies = map[string]string{
	"public.tenants platform_plane":      "bc_control runs tenants",
	"public.tenants sweep":               "bc_jobs asks which tenants have statistics to count; it sees ids",
	"public.stats_marks sweep":           "as tenants; it sees tenant and times",
	"public.stats_counts levels":         "bc_control adds up how many ceremonies of all tenants were answered; it sees tenant, time and numbers",
	"public.stats_faults levels":         "as stats_counts",
	"public.ceremonies sweep":            "as tenants; it sees tenant and time",
	"public.ceremonies aged":             "restrictive: bc_app removes what is 30 days old, and nothing younger",
	"public.members memberships":         "bc_control asks in which tenants a person of the console works; it sees tenant, person and role",
	"public.idempotency_keys expired":    "bc_jobs deletes what is over a day old",
	"public.data_keys due":               "bc_jobs asks which tenants have keys to look after; it sees tenant and time",
	"public.signing_keys due":            "as data_keys",
	"public.domain_proofs proven":        "bc_control asks whose a domain is, for documents below /.well-known/; it sees proven rows alone",
	"public.domain_proofs due":           "bc_jobs asks which tenants' domains to look at again; it sees tenant and time",
	"public.tenants due":                 "bc_jobs asks which tenants are to be destroyed; it sees id and times",
	"public.evidence due":                "bc_jobs asks which tenants have evidence to move or remove; it sees tenant and time",
	"public.exports due":                 "bc_jobs asks which tenants have exports to write or remove; it sees tenant and time",
	"public.reports due":                 "bc_jobs asks which tenants have reports to write or remove; it sees tenant and time",
	"public.report_schedules due":        "as reports",
	"public.dlp_schedules due":           "as dlp_scans",
	"public.dlp_scans due":               "bc_jobs asks which tenants have texts to scan; it sees tenant and time",
	"public.support_grants staff":        "bc_control asks which grants a person of the staff has",
	"public.support_grants expires":      "restrictive: bc_control tells that a grant is over, no more",
	"public.erasures ledger":             "bc_control keeps the ledger of erasures outside of the database; it sees hashes and times",
	"public.audit_inbox sequencer":       "bc_audit moves entries into their logs: it reads and deletes",
	"public.audit_entries sequencer":     "as audit_inbox: it reads and inserts",
	"public.audit_tiles sequencer":       "as audit_entries",
	"public.audit_checkpoints sequencer": "as audit_entries",
	"public.audit_logs sequencer":        "as audit_entries: it keeps the heads",
	"public.audit_anchor_heads anchors":  "as audit_entries: it notes which heads are in object storage",
	"public.siem_sinks streams":          "bc_control asks which streams have something to send; it sees tenant, state, cursor and times",
	"public.audit_logs streams":          "as siem_sinks; it sees tenant, size and time",
	"public.subject_keys sequencer":      "as audit_entries: it seals what entries tell of persons",
	"public.members founder":             "restrictive: bc_control makes the first owner of a tenant, and nobody else",
}

// definers are the functions that run with their owner's rights.
var definers = map[string]string{
	"public.make_partitions": "takes a time, answers a count",
	"public.drop_partitions": "takes a time, answers a count",

	"public.thin_anchors":         "takes a count, answers a count; it removes rows of the installation's own, of anchors that are 30 days old and of no tenant's last head",
	"public.remove_audit_entries": "takes a count, answers a count; it removes entries of the opened tenant that are in archives and 90 days old",

	"public.note_user":          "counts a user's passkeys anew; only the triggers below may call it",
	"public.user_written":       "a trigger on users: writes of the row's own user",
	"public.credential_written": "a trigger on credentials: writes of the row's own user",
	"public.has_members":        "takes a tenant, answers whether it has members; for the policy of bc_control, which reads none",
	"public.destroy_rows":       "takes a tenant, judges by its row whether it is to be destroyed, answers a count",
}

// extensions are what is installed beside plpgsql, and the schema that it is in.
var extensions = map[string]string{
	"pgcrypto": "sealing", // opens contact data, for bc_app alone
}

// appSequences are the sequences that bc_app may read: each tells how often it is
// used, by whomever.
var appSequences = map[string]string{
	"river.river_job_id_seq": "River's insert needs it; job ids are shown to nobody",
}

// WallFinding is one way in which the schema does not keep tenants apart.
type WallFinding struct {
	Check   string // which of WallChecks found it
	Object  string // schema.name, with the policy, index or role where it matters
	Problem string
}

// WallCheck is what one part of the catalog walk has looked at, and what it found.
type WallCheck struct {
	Name     string
	Judges   string // what it holds objects to
	Objects  int    // that were judged; some parts ask for suspicious ones alone, and none is good
	Findings []WallFinding
}

// CheckWall walks pg_catalog and reports every hole in the tenant wall: tables
// without forced row-level security, policies that say something else, keys that
// do not start with the tenant, partitions that can be queried directly, roles
// that could step over. No findings means that the schema is as it was designed;
// a test runs it after each migration, and `biocore doctor` in production.
func (s *Store) CheckWall(ctx context.Context) ([]WallFinding, error) {
	checks, err := s.WalkWall(ctx)
	var found []WallFinding
	for _, check := range checks {
		found = append(found, check.Findings...)
	}
	return found, err
}

// WalkWall is CheckWall part by part, all of one moment.
func (s *Store) WalkWall(ctx context.Context) ([]WallCheck, error) {
	var out []WallCheck
	err := pgx.BeginTxFunc(ctx, s.control, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		out = nil
		for _, check := range slices.Concat(wallChecks, supportChecks) {
			rows, err := tx.Query(ctx, check.sql)
			if err != nil {
				return fmt.Errorf("walk %s: %w", check.name, err)
			}
			did := WallCheck{Name: check.name, Judges: check.judges}
			var object, detail string
			if _, err := pgx.ForEachRow(rows, []any{&object, &detail}, func() error {
				did.Objects++
				if problem := check.judge(object, detail); problem != "" {
					did.Findings = append(did.Findings, WallFinding{Check: check.name, Object: object, Problem: problem})
				}
				return nil
			}); err != nil {
				return fmt.Errorf("walk %s: %w", check.name, err)
			}
			out = append(out, did)
		}
		return nil
	})
	if err != nil {
		return nil, classify(err)
	}
	return out, nil
}

// WallChecks are the names of the walks that CheckWall takes, each through one kind of objects.
func WallChecks() []string {
	var names []string
	for _, check := range slices.Concat(wallChecks, supportChecks) {
		names = append(names, check.name)
	}
	return names
}

// wallCheck asks the catalog for (object, detail) rows and judges each: "" is good.
type wallCheck struct {
	name   string
	judges string // what it holds objects to, for who reads a report
	sql    string
	judge  func(object, detail string) string
}

// ours are the relations of all schemas but Postgres's own.
const ours = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%' AND n.nspname NOT LIKE 'pg\_temp%'`

func isPlatform(table string) bool { return platformTables[table] != "" }

var wallChecks = []wallCheck{
	{
		name:   "tables",
		judges: "Every table has row-level security, which binds its owner too, or is listed with a reason.",
		sql: `SELECT n.nspname || '.' || c.relname, concat_ws(' ', CASE WHEN c.relrowsecurity THEN 'rls' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END, pg_get_userbyid(c.relowner))
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p', 'f') AND ` + ours,
		judge: func(table, detail string) string {
			switch {
			case isPlatform(table):
				return ""
			case !strings.Contains(detail, "rls"):
				return "row-level security is off"
			case !strings.Contains(detail, "forced"):
				return "row-level security does not bind the table's owner"
			case !strings.HasSuffix(detail, " "+RoleOwner):
				return "not owned by " + RoleOwner
			}
			return ""
		},
	},
	{
		// The policy must say exactly what wall() writes, on every table and partition.
		name:   "isolation",
		judges: "Every table and partition has the policy of its tenant's rows, word by word.",
		sql: `SELECT n.nspname || '.' || c.relname,
				coalesce((SELECT concat_ws(' | ', p.polpermissive, p.polcmd, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
					(SELECT string_agg(r.rolname, ',' ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)))
				FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_isolation'), 'none')
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p', 'f') AND ` + ours,
		judge: func(table, detail string) string {
			if isPlatform(table) {
				return ""
			}
			column := "tenant_id"
			if table == "public.tenants" {
				column = "id"
			}
			same := "(" + column + " = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)"
			if detail != "t | * | "+same+" | "+same+" | bc_app,bc_control,bc_writer" {
				return "policy tenant_isolation is not the wall's: " + detail
			}
			return ""
		},
	},
	{
		name:   "policies",
		judges: "No table has another policy than those that are listed.",
		sql: `SELECT n.nspname || '.' || c.relname || ' ' || p.polname, coalesce((SELECT string_agg(r.rolname, ',' ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)), 'everybody')
			FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE p.polname <> 'tenant_isolation' AND ` + ours,
		judge: func(object, roles string) string {
			table, policy, _ := strings.Cut(object, " ")
			if isPlatform(table) || extraPolicies[object] != "" || (policy == "owner_backfill" && roles == RoleOwner) ||
				(roles == RoleSupport && isSupportPolicy(object)) {
				return ""
			}
			return "a policy that is not listed admits " + roles
		},
	},
	{
		// Unique indexes and the checks of foreign keys see all rows, whatever the
		// policies say: a global key tells one tenant of another's row.
		name:   "keys",
		judges: "Every unique key begins with the tenant, since such a key sees all rows.",
		sql: `SELECT n.nspname || '.' || c.relname || ' ' || i.relname, coalesce(a.attname, 'an expression')
			FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] AND x.indkey[0] <> 0
			WHERE x.indisunique AND ` + ours,
		judge: func(object, first string) string {
			table, _, _ := strings.Cut(object, " ")
			if isPlatform(table) || table == "public.tenants" || first == "tenant_id" {
				return "" // tenants: written by the platform plane alone
			}
			return "a unique key that starts with " + first + " and not with tenant_id"
		},
	},
	{
		name:   "references",
		judges: "Every foreign key begins with the tenant, since its check sees all rows.",
		sql: `SELECT n.nspname || '.' || c.relname || ' ' || k.conname, a.attname || ' -> ' || k.confrelid::regclass::text || ' ' || b.attname
			FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
			JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
			WHERE k.contype = 'f' AND ` + ours,
		judge: func(object, detail string) string {
			table, _, _ := strings.Cut(object, " ")
			if isPlatform(table) || detail == "tenant_id -> tenants id" ||
				(strings.HasPrefix(detail, "tenant_id -> ") && strings.HasSuffix(detail, " tenant_id")) {
				return ""
			}
			return "a foreign key that does not start with the tenant: " + detail
		},
	},
	{
		name:   "partitions",
		judges: "No partition can be queried beside its table.",
		sql: `SELECT n.nspname || '.' || c.relname, c.relacl::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relispartition AND c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner) AND ` + ours,
		judge: func(_, acl string) string { return "grants on a partition: " + acl },
	},
	{
		name:   "views",
		judges: "Every view reads with its caller's rights.",
		sql: `SELECT n.nspname || '.' || c.relname, c.relkind::text || ' ' || coalesce(array_to_string(c.reloptions, ','), '')
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND ` + ours,
		judge: func(_, detail string) string {
			if strings.HasPrefix(detail, "v ") && strings.Contains(detail, "security_invoker=true") {
				return ""
			}
			return "a view that reads with its owner's rights"
		},
	},
	{
		name:   "functions",
		judges: "Every function with its owner's rights is listed, and looks nothing up where its caller could put another.",
		sql: `SELECT n.nspname || '.' || p.proname, coalesce(array_to_string(p.proconfig, ','), '')
			FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef AND ` + ours,
		judge: func(function, settings string) string {
			switch {
			case definers[function] == "":
				return "a function with its owner's rights that is not listed"
			case !strings.Contains(settings, "search_path=pg_catalog"):
				return "a function with its owner's rights and the caller's search_path"
			case !strings.HasSuffix(settings, ", pg_temp"): // unnamed it is searched first
				return "a function with its owner's rights that looks into the caller's temporary tables"
			}
			return ""
		},
	},
	{
		// An extension brings functions that anybody may call who may use its schema.
		name:   "extensions",
		judges: "Every extension is listed, and in its schema.",
		sql:    `SELECT e.extname::text, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'`,
		judge: func(extension, schema string) string {
			if extensions[extension] == schema {
				return ""
			}
			return "an extension that is not listed, in schema " + schema
		},
	},
	{
		name:   "sealing",
		judges: "No other role may open what is sealed for servers.",
		sql: `SELECT n.nspname || '.' || p.proname, r.rolname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			CROSS JOIN (SELECT rolname, oid FROM pg_roles WHERE rolname IN ('bc_writer', 'bc_control', 'bc_jobs', 'bc_support', 'bc_audit')) r
			WHERE (n.nspname = 'sealing' AND has_schema_privilege(r.oid, n.oid, 'USAGE')
			  OR n.nspname = 'public' AND p.proname LIKE 'contact\_%') AND has_function_privilege(r.oid, p.oid, 'EXECUTE')`,
		judge: func(_, role string) string { return role + " may open sealed values" },
	},
	{
		name:   "sequences",
		judges: "No sequence tells tenants of each other.",
		sql: `SELECT n.nspname || '.' || c.relname, '' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE CASE WHEN c.relkind = 'S' THEN has_sequence_privilege('bc_app', c.oid, 'USAGE, SELECT') END AND ` + ours,
		judge: func(sequence, _ string) string {
			if appSequences[sequence] != "" {
				return ""
			}
			return "a sequence that tells tenants of each other's activity"
		},
	},
	{
		name:   "roles",
		judges: "No role may step over the wall.",
		sql: `SELECT r.rolname, concat_ws(',', CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
				CASE WHEN r.rolcreaterole THEN 'createrole' END, CASE WHEN r.rolreplication THEN 'replication' END,
				CASE WHEN r.rolname NOT IN ('bc_owner', 'bc_migrator') AND pg_has_role(r.rolname, 'bc_owner', 'MEMBER') THEN 'acts as bc_owner' END,
				CASE WHEN r.rolname = 'bc_owner' AND r.rolcanlogin THEN 'login' END)
			FROM pg_roles r WHERE r.rolname LIKE 'bc\_%'`,
		judge: func(_, powers string) string {
			if powers == "" {
				return ""
			}
			return "a role that could step over the wall: " + powers
		},
	},
	{
		name:   "river",
		judges: "The queue of jobs shows a tenant its own.",
		sql: `SELECT n.nspname || '.' || c.relname, CASE WHEN c.relrowsecurity THEN 'rls' ELSE '' END FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = '` + JobSchema + `' AND CASE WHEN c.relkind IN ('r', 'p') THEN has_table_privilege('bc_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE') END`,
		judge: func(table, detail string) string {
			if table == "river.river_job" && detail == "rls" {
				return ""
			}
			return "bc_app reaches a table of the queue without a policy"
		},
	},
}
