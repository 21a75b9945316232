package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// Basis says what a measurement looked at.
type Basis string

// The bases.
const (
	OfPeriod Basis = "period" // what was recorded in the period
	OfState  Basis = "state"  // what was stored when the report was made
	OfLog    Basis = "log"    // entries of the audit log in the period
)

// Measurement is one of the closed set that catalogues name.
type Measurement struct {
	Name  string
	Title string
	Unit  string // of the figure
	Of    string // what is counted to know whether there was anything to look at; empty: nothing needs to be
	Basis Basis
	Query string // what is asked, as it runs: SQL, or in words

	// Actions are the entries of the audit log that record what the figure is of: an action, or a prefix that ends in a dot.
	Actions []string

	// take returns the figure, and how many there were to look at: none is no evidence.
	take func(ctx context.Context, t *taker) (figure, of int64, err error)
}

// always is the population of a figure that needs none: that there is nothing is known, too.
const always = 1

// Measurements returns the closed set, by name.
func Measurements() []Measurement {
	all := make([]Measurement, 0, len(measurements))
	for _, name := range slices.Sorted(maps.Keys(measurements)) {
		all = append(all, *measurements[name])
	}
	return all
}

// taker takes the measurements of one report, in one snapshot. Each query runs once.
type taker struct {
	tx      *db.TenantTx
	period  Period
	ring    *keys.Ring
	policy  policy.Document
	members []member.Member
	seen    map[uuid.UUID]member.Presence
	names   map[uuid.UUID]string
	wall    []db.WallFinding
	walked  []string // what the walk of the catalog looks at
	first   int64    // of the period's audit entries
	next    int64    // after them
	kept    int64    // the first of them that is still here: above first where the others are archived
	tallies []trail.Tally
	note    func() error // that somebody is at it

	rows map[string]any
}

// once runs a query the first time that it is asked for.
func once[T any](t *taker, name string, fn func() (T, error)) (T, error) {
	if row, ok := t.rows[name].(T); ok {
		return row, nil
	}
	row, err := fn()
	if err != nil {
		var none T
		first, _, _ := strings.Cut(name, "\n")
		return none, fmt.Errorf("measure %s: %w", first, err)
	}
	t.rows[name] = row
	return row, nil
}

// matches reports whether an action is one of those that a measurement is recorded by.
func matches(actions []string, action string) bool {
	return slices.ContainsFunc(actions, func(a string) bool {
		return a == action || strings.HasSuffix(a, ".") && strings.HasPrefix(action, a)
	})
}

// entries counts the period's audit entries of some actions, and those of them that an outcome has; no actions: all.
func (t *taker) entries(actions []string, outcome string) (n, first, last int64) {
	first, last = -1, -1
	for _, one := range t.tallies {
		if len(actions) > 0 && !matches(actions, one.Action) || outcome != "" && string(one.Outcome) != outcome {
			continue
		}
		if n == 0 || one.First < first {
			first = one.First
		}
		last = max(last, one.Last)
		n += one.Count
	}
	return n, first, last
}

// sql is a query of the release without the name that sqlc gives it.
func sql(query string) string {
	_, text, _ := strings.Cut(query, "\n")
	return strings.TrimSpace(text)
}

// measurements is the closed set.
var measurements = index(slices.Concat(peopleMeasures(), signInMeasures(), keyMeasures(), ruleMeasures(), logMeasures(), isolationMeasures()))

func index(all []Measurement) map[string]*Measurement {
	out := make(map[string]*Measurement, len(all))
	for i := range all {
		out[all[i].Name] = &all[i]
	}
	return out
}

// of makes a measurement of one column of a row that a query answers.
func of[Row any](name, title, unit, population string, basis Basis, query string, actions []string, row func(context.Context, *taker) (Row, error), pick func(*Row) (figure, of int64)) Measurement {
	return Measurement{
		Name: name, Title: title, Unit: unit, Of: population, Basis: basis, Query: sql(query), Actions: actions,
		take: func(ctx context.Context, t *taker) (int64, int64, error) {
			r, err := once(t, query, func() (Row, error) { return row(ctx, t) })
			if err != nil {
				return 0, 0, err
			}
			figure, of := pick(&r)
			return figure, of, nil
		},
	}
}

func peopleMeasures() []Measurement {
	memberships := []string{"member.", "ownerrecovery."}
	members := func(ctx context.Context, t *taker) (tenantq.MeasureMembersRow, error) {
		return t.tx.MeasureMembers(ctx)
	}
	apiKeys := func(ctx context.Context, t *taker) (tenantq.MeasureAPIKeysRow, error) {
		return t.tx.MeasureAPIKeys(ctx, t.period.To)
	}
	grants := func(ctx context.Context, t *taker) (tenantq.MeasureSupportGrantsRow, error) {
		return t.tx.MeasureSupportGrants(ctx, tenantq.MeasureSupportGrantsParams{Since: t.period.From, Until: t.period.To})
	}
	type m = tenantq.MeasureMembersRow
	type k = tenantq.MeasureAPIKeysRow
	type g = tenantq.MeasureSupportGrantsRow
	lookUp := "When the console has seen each member last, and with how many passkeys each can sign in (member.Presences), held against the end of the period."
	return []Measurement{
		of("members.count", "People who work in the console", "people", "people", OfState, tenantq.MeasureMembers, memberships, members, func(r *m) (int64, int64) { return r.Members, r.Members }),
		of("members.owners", "Owners", "people", "people", OfState, tenantq.MeasureMembers, memberships, members, func(r *m) (int64, int64) { return r.Owners, r.Members }),
		of("members.mighty", "Owners and admins", "people", "people", OfState, tenantq.MeasureMembers, memberships, members, func(r *m) (int64, int64) { return r.Mighty, r.Members }),
		{
			Name: "members.unseen", Title: "Members who were not seen for 90 days", Unit: "people", Of: "people", Basis: OfState, Query: lookUp, Actions: memberships,
			take: func(_ context.Context, t *taker) (n, of int64, err error) {
				for _, m := range t.members {
					seen := m.CreatedAt
					if p := t.seen[m.PersonID]; p.LastSeenAt != nil {
						seen = *p.LastSeenAt
					}
					if seen.Before(t.period.To.Add(-90 * day)) {
						n++
					}
				}
				return n, int64(len(t.members)), nil
			},
		},
		{
			Name: "members.without_passkey", Title: "Members without a passkey", Unit: "people", Of: "people", Basis: OfState, Query: lookUp, Actions: memberships,
			take: func(_ context.Context, t *taker) (n, of int64, err error) {
				for _, m := range t.members {
					if t.seen[m.PersonID].Passkeys == 0 {
						n++
					}
				}
				return n, int64(len(t.members)), nil
			},
		},
		of("apikeys.count", "Server keys that could be used at the end of the period", "keys", "keys", OfState, tenantq.MeasureAPIKeys, []string{"apikey."}, apiKeys, func(r *k) (int64, int64) { return r.Keys, r.Keys }),
		of("apikeys.unending", "Server keys that never expire", "keys", "keys", OfState, tenantq.MeasureAPIKeys, []string{"apikey."}, apiKeys, func(r *k) (int64, int64) { return r.Unending, r.Keys }),
		of("apikeys.whole_plane", "Server keys that may do everything of a plane", "keys", "keys", OfState, tenantq.MeasureAPIKeys, []string{"apikey."}, apiKeys, func(r *k) (int64, int64) { return r.WholePlane, r.Keys }),
		of("apikeys.unused", "Server keys that nobody used for 90 days", "keys", "keys", OfState, tenantq.MeasureAPIKeys, []string{"apikey."}, apiKeys, func(r *k) (int64, int64) { return r.Unused, r.Keys }),
		of("support.grants", "Times that the installation's staff was let in", "grants", "", OfPeriod, tenantq.MeasureSupportGrants, []string{"support."}, grants, func(r *g) (int64, int64) { return r.Grants, always }),
		of("support.undecided", "Staff let in without anybody of the tenant deciding", "grants", "", OfPeriod, tenantq.MeasureSupportGrants, []string{"support."}, grants, func(r *g) (int64, int64) { return r.Undecided, always }),
		of("support.long", "Staff let in for more than an hour", "grants", "", OfPeriod, tenantq.MeasureSupportGrants, []string{"support."}, grants, func(r *g) (int64, int64) { return r.Long, always }),
		of("support.unreasoned", "Staff let in without a reason", "grants", "", OfPeriod, tenantq.MeasureSupportGrants, []string{"support."}, grants, func(r *g) (int64, int64) { return r.Unreasoned, always }),
	}
}

func signInMeasures() []Measurement {
	finished := []string{"authentication.finish"}
	sessions := func(ctx context.Context, t *taker) (tenantq.MeasureSignInsRow, error) {
		// Ids are UUIDv7, minted within moments of the session's time, which decides.
		const slack = 10 * time.Minute
		return t.tx.MeasureSignIns(ctx, tenantq.MeasureSignInsParams{
			FirstID: db.FirstID(t.period.From.Add(-slack)), LastID: db.FirstID(t.period.To.Add(slack)), Since: t.period.From, Until: t.period.To,
		})
	}
	credentials := func(ctx context.Context, t *taker) (tenantq.MeasureCredentialsRow, error) {
		return t.tx.MeasureCredentials(ctx)
	}
	recoveries := func(ctx context.Context, t *taker) (tenantq.MeasureRecoveriesRow, error) {
		return t.tx.MeasureRecoveries(ctx, tenantq.MeasureRecoveriesParams{Since: t.period.From, Until: t.period.To})
	}
	evidence := func(ctx context.Context, t *taker) (tenantq.MeasureEvidenceRow, error) {
		return t.tx.MeasureEvidence(ctx, tenantq.MeasureEvidenceParams{Since: t.period.From, Until: t.period.To})
	}
	type s = tenantq.MeasureSignInsRow
	type c = tenantq.MeasureCredentialsRow
	type r = tenantq.MeasureRecoveriesRow
	type e = tenantq.MeasureEvidenceRow
	counted := func(name, title string, pick func(*stats.Counts) (int64, int64)) Measurement {
		return Measurement{
			Name: name, Title: title, Unit: "ceremonies", Of: "ceremonies", Basis: OfPeriod, Actions: []string{"authentication.finish", "registration.finish"},
			Query: "What the ceremonies of each whole day (UTC) of the period came to, by the counts that statistics keep (stats_counts, steps of 86,400 seconds).",
			take: func(ctx context.Context, t *taker) (int64, int64, error) {
				all, err := once(t, "counts", func() (stats.Counts, error) { return stats.SumIn(ctx, t.tx, t.period.From, t.period.To) })
				if err != nil {
					return 0, 0, err
				}
				figure, of := pick(&all)
				return figure, of, nil
			},
		}
	}
	return []Measurement{
		of("signins.count", "Sign-ins whose session is kept", "sign-ins", "sign-ins", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.Sessions, r.Sessions }),
		of("signins.unverified", "Sign-ins at AAL2 or above without user verification", "sign-ins", "sign-ins at AAL2 or above", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.Unverified, r.Aal2 + r.Aal3 }),
		of("signins.unverified_any", "Sign-ins at any level without user verification", "sign-ins", "sign-ins", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.UnverifiedAny, r.Sessions }),
		of("signins.aal1", "Sign-ins at AAL1", "sign-ins", "sign-ins", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.Aal1, r.Sessions }),
		of("signins.aal3_copied", "Sign-ins at AAL3 with a passkey that may be copied", "sign-ins", "sign-ins at AAL3", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.Aal3Copied, r.Aal3 }),
		of("sessions.over_day", "Sessions at AAL2 or above of more than 24 hours", "sessions", "sessions at AAL2 or above", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.OverDay, r.Aal2 + r.Aal3 }),
		of("sessions.over_half_day", "Sessions at AAL3 of more than 12 hours", "sessions", "sessions at AAL3", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.OverHalfDay, r.Aal3 }),
		of("sessions.longest", "The longest session", "seconds", "sessions", OfPeriod, tenantq.MeasureSignIns, finished, sessions, func(r *s) (int64, int64) { return r.Longest, r.Sessions }),
		counted("ceremonies.signins", "Sign-ins that were tried", func(c *stats.Counts) (int64, int64) { n := c.Of(stats.SignIn).All(); return n, n }),
		counted("ceremonies.allowed", "Sign-ins that were let in", func(c *stats.Counts) (int64, int64) { o := c.Of(stats.SignIn); return o.Allowed, o.All() }),
		counted("ceremonies.refused", "Sign-ins that were refused or asked for more", func(c *stats.Counts) (int64, int64) {
			o := c.Of(stats.SignIn)
			return o.All() - o.Allowed, o.All()
		}),
		counted("ceremonies.registrations", "Passkeys that were made", func(c *stats.Counts) (int64, int64) { o := c.Of(stats.Registration); return o.Allowed, o.All() }),
		of("credentials.count", "Passkeys that can sign somebody in", "passkeys", "passkeys", OfState, tenantq.MeasureCredentials, []string{"registration.finish", "credential."}, credentials, func(r *c) (int64, int64) { return r.Active, r.Active }),
		of("credentials.reported", "Passkeys of a model that was reported", "passkeys", "passkeys", OfState, tenantq.MeasureCredentials, []string{"credential.", "authenticator."}, credentials, func(r *c) (int64, int64) { return r.Reported, r.Active }),
		of("credentials.lowered", "Passkeys registered by recovery that nobody has vouched for", "passkeys", "passkeys", OfState, tenantq.MeasureCredentials, []string{"recovery.", "credential.vouch"}, credentials, func(r *c) (int64, int64) { return r.Lowered, r.Active }),
		of("credentials.attested", "Passkeys whose attestation leads to a trusted root", "passkeys", "passkeys", OfState, tenantq.MeasureCredentials, []string{"registration.finish", "attestationroot."}, credentials, func(r *c) (int64, int64) { return r.Attested, r.Active }),
		of("recoveries.completed", "Recoveries that ended with a passkey", "recoveries", "recoveries", OfPeriod, tenantq.MeasureRecoveries, []string{"recovery."}, recoveries, func(x *r) (int64, int64) { return x.Completed, x.Asked }),
		of("recoveries.undecided", "Recoveries that ended with a passkey and no second person's word", "recoveries", "recoveries", OfPeriod, tenantq.MeasureRecoveries, []string{"recovery."}, recoveries, func(x *r) (int64, int64) { return x.Undecided, x.Completed }),
		of("evidence.kept", "Records of registrations that are kept as evidence", "records", "records", OfPeriod, tenantq.MeasureEvidence, []string{"registration.finish", "evidence."}, evidence, func(x *e) (int64, int64) { return x.Kept, x.Kept }),
	}
}

func keyMeasures() []Measurement {
	events := []string{"signingkey.", "datakey."}
	signing := func(ctx context.Context, t *taker) (tenantq.MeasureSigningKeysRow, error) {
		return t.tx.MeasureSigningKeys(ctx, tenantq.MeasureSigningKeysParams{Since: t.period.From, Until: t.period.To})
	}
	data := func(ctx context.Context, t *taker) (tenantq.MeasureDataKeysRow, error) {
		return t.tx.MeasureDataKeys(ctx, t.period.To)
	}
	type s = tenantq.MeasureSigningKeysRow
	type d = tenantq.MeasureDataKeysRow
	return []Measurement{
		of("signingkeys.active", "Keys that sign tokens", "keys", "", OfState, tenantq.MeasureSigningKeys, events[:1], signing, func(r *s) (int64, int64) { return r.Active, always }),
		of("signingkeys.age", "Age of the key that signs, at the end of the period", "days", "keys that sign", OfState, tenantq.MeasureSigningKeys, events[:1], signing, func(r *s) (int64, int64) { return r.OldestDays, r.Active }),
		of("signingkeys.weak", "Signing keys of another algorithm than ES256, EdDSA and RS256", "keys", "keys that sign", OfState, tenantq.MeasureSigningKeys, events[:1], signing, func(r *s) (int64, int64) { return r.Weak, r.Active }),
		of("signingkeys.revoked", "Signing keys that were revoked", "keys", "", OfPeriod, tenantq.MeasureSigningKeys, []string{"signingkey.revoke"}, signing, func(r *s) (int64, int64) { return r.Revoked, always }),
		of("datakeys.count", "Keys that seal stored fields", "keys", "keys", OfState, tenantq.MeasureDataKeys, events[1:], data, func(r *d) (int64, int64) { return r.Keys, r.Keys }),
		of("datakeys.age", "Age of the key that seals, at the end of the period", "days", "keys", OfState, tenantq.MeasureDataKeys, events[1:], data, func(r *d) (int64, int64) { return r.NewestDays, r.Keys }),
		of("datakeys.unwrapped", "Keys that seal and that no KMS has wrapped", "keys", "keys", OfState, tenantq.MeasureDataKeys, events[1:], data, func(r *d) (int64, int64) { return r.Unwrapped, r.Keys }),
	}
}

// truth is 1 for what is so.
func truth(is bool) int {
	if is {
		return 1
	}
	return 0
}

func ruleMeasures() []Measurement {
	policies := []string{"policy."}
	streams := func(ctx context.Context, t *taker) (tenantq.MeasureLogStreamsRow, error) {
		return t.tx.MeasureLogStreams(ctx)
	}
	domain := func(ctx context.Context, t *taker) (tenantq.MeasureDomainRow, error) { return t.tx.MeasureDomain(ctx) }
	type p = policy.Document
	type s = tenantq.MeasureLogStreamsRow
	type d = tenantq.MeasureDomainRow
	rule := func(name, title, unit string, pick func(*p) int) Measurement {
		return Measurement{
			Name: name, Title: title, Unit: unit, Basis: OfState, Actions: policies,
			Query: "The policy in force, with the defaults of what it does not say (tenants.policy_version, policies.document).",
			take:  func(_ context.Context, t *taker) (int64, int64, error) { return int64(pick(&t.policy)), always, nil },
		}
	}
	return []Measurement{
		rule("policy.user_verification", "The policy requires user verification (1) or not (0)", "0 or 1", func(d *p) int { return truth(d.UserVerification == policy.Required) }),
		rule("policy.minimum_aal", "The lowest assurance level that the policy lets in", "AAL", func(d *p) int { return d.MinimumAAL }),
		rule("policy.session_seconds", "How long a session lasts by the policy", "seconds", func(d *p) int { return d.SessionLifetimeSeconds }),
		rule("policy.idle_seconds", "After how long without use a session ends by the policy", "seconds", func(d *p) int { return d.RefreshIdleSeconds }),
		rule("policy.recovery_failures", "Wrong recovery codes in a row before the policy locks recovery", "codes", func(d *p) int { return d.RecoveryFailures }),
		rule("policy.signing_rotation_days", "After how many days the policy replaces signing keys; 0: never", "days", func(d *p) int { return d.SigningKeyRotationDays }),
		rule("policy.data_rotation_days", "After how many days the policy replaces data keys; 0: never", "days", func(d *p) int { return d.DataKeyRotationDays }),
		rule("policy.evidence_days", "For how many days evidence of registrations is kept; 0: none is", "days", func(d *p) int { return d.EvidenceRetentionDays }),
		rule("policy.ceremony_days", "For how many days ceremonies are kept; 0: for ever", "days", func(d *p) int { return d.CeremonyRetentionDays }),
		rule("policy.session_days", "For how many days ended sessions are kept; 0: for ever", "days", func(d *p) int { return d.SessionRetentionDays }),
		rule("policy.audit_days", "For how many days the audit log stays in the database before it is archived; 0: for ever", "days", func(d *p) int { return d.AuditRetentionDays }),
		of("logstreams.active", "Places that the audit log is sent to as it grows", "streams", "", OfState, tenantq.MeasureLogStreams, []string{"logstream."}, streams, func(r *s) (int64, int64) { return r.Active, always }),
		of("logstreams.failing", "Log streams whose last delivery failed", "streams", "log streams", OfState, tenantq.MeasureLogStreams, []string{"logstream."}, streams, func(r *s) (int64, int64) { return r.Failing, r.Active }),
		of("domain.proven", "The relying party's domain is proven (1) or not (0)", "0 or 1", "", OfState, tenantq.MeasureDomain, []string{"domain."}, domain, func(r *d) (int64, int64) { return r.Proven, always }),
		of("domain.missing", "The proof of the domain is not found any more (1) or is (0)", "0 or 1", "proven domains", OfState, tenantq.MeasureDomain, []string{"domain."}, domain, func(r *d) (int64, int64) { return r.Failing, r.Proven }),
	}
}

func isolationMeasures() []Measurement {
	return []Measurement{{
		Name: "isolation.findings", Title: "Ways in which the database would not keep tenants apart", Unit: "findings", Of: "kinds of objects that were walked", Basis: OfState,
		Query: "A walk through pg_catalog of the running database: row-level security of every table, its policies, keys, references, grants, views, functions, extensions, sequences and roles, each held to how it was designed (db.CheckWall).",
		take: func(_ context.Context, t *taker) (int64, int64, error) {
			return int64(len(t.wall)), int64(len(t.walked)), nil
		},
	}}
}

// byAction orders tallies for people: by action, then outcome.
func byAction(a, b trail.Tally) int {
	return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Outcome, b.Outcome))
}
