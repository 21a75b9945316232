package report

import (
	"context"
	"strings"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
)

// logMeasures are of the audit log: how often something was recorded, and whether the record holds.
func logMeasures() []Measurement {
	all := integrityMeasures()
	for _, m := range []struct {
		name, title string
		outcome     string
		actions     []string
	}{
		{"audit.entries", "Entries of the audit log", "", nil},
		{"audit.denied", "Entries of what was refused", "denied", nil},
		{"audit.failed", "Entries of what was allowed and did not work", "failed", nil},
		{"audit.signins", "Sign-ins that were recorded", "", []string{"authentication.finish"}},
		{"audit.registrations", "Registrations of passkeys that were recorded", "", []string{"registration.finish"}},
		{"audit.member_changes", "Changes of who works in the console, and as what", "success", []string{"member.", "ownerrecovery."}},
		{"audit.apikey_changes", "API keys made, rotated, locked and revoked", "success", []string{"apikey.create", "apikey.rotate", "apikey.lock", "apikey.unlock", "apikey.revoke"}},
		{"audit.policy_changes", "Changes of the policy", "success", []string{"policy.update"}},
		{"audit.settings_changes", "Changes of settings", "success", []string{"settings.update", "tenant.update"}},
		{"audit.key_events", "Signing and data keys made, activated, retired, revoked and destroyed", "success", []string{"signingkey.", "datakey."}},
		{"audit.key_rotations", "Signing keys that were activated", "success", []string{"signingkey.activate"}},
		{"audit.credential_changes", "Passkeys suspended, resumed, revoked, vouched for and disposed of", "success", []string{"credential."}},
		{"audit.credential_revocations", "Passkeys that were revoked", "success", []string{"credential.revoke"}},
		{"audit.user_changes", "Users made, changed, blocked, unblocked and erased", "success", []string{"user."}},
		{"audit.erasures", "Users that were erased", "success", []string{"user.delete"}},
		{"audit.subject_exports", "Exports of users", "success", []string{"user.export"}},
		{"audit.exports", "Exports of all that the tenant has", "success", []string{"export.start"}},
		{"audit.downloads", "Downloads of exports", "success", []string{"export.download"}},
		{"audit.session_revocations", "Sessions that somebody has revoked", "success", []string{"session.revoke", "session.revoke_all"}},
		{"audit.refresh_reuse", "Refresh tokens that were refused, as one that comes back a second time is", "denied", []string{"session.refresh"}},
		{"audit.clone_signs", "Signs that a passkey was copied", "", []string{"credential.sign_count_roll_back", "credential.backup_eligibility_change"}},
		{"audit.recoveries", "Recoveries asked for, decided and completed", "", []string{"recovery."}},
		{"audit.recovery_locks", "Recoveries that were locked after too many failures", "", []string{"recovery.lock"}},
		{"audit.support_views", "Looks of the installation's staff into the tenant", "", []string{"support.view"}},
		{"audit.domain_checks", "Checks of the relying party's domain", "", []string{"domain."}},
		{"audit.model_orders", "Orders on reported models of authenticators", "success", []string{"authenticator.dispose"}},
		{"audit.evidence_expired", "Removals of evidence at the end of its retention", "success", []string{"evidence.expire"}},
		{"audit.imports", "Imports of users and passkeys", "success", []string{"import."}},
	} {
		all = append(all, Measurement{
			Name: m.name, Title: m.title, Unit: "entries", Basis: OfLog, Actions: m.actions,
			Query: words(m.actions, m.outcome),
			take: func(_ context.Context, t *taker) (int64, int64, error) {
				n, _, _ := t.entries(m.actions, m.outcome)
				return n, always, nil
			},
		})
	}
	return all
}

// words is the query of a count of entries: one runs for all of them.
func words(actions []string, outcome string) string {
	of := "every action"
	if len(actions) > 0 {
		of = strings.ReplaceAll(strings.Join(actions, ", ")+" ", ". ", ".*")
		of = strings.TrimSpace(strings.ReplaceAll(of, "., ", ".*, "))
	}
	out := sql(tenantq.TallyAuditEntries) + "\n-- of these: " + of
	if outcome != "" {
		out += ", outcome " + outcome
	}
	return out
}

// checkpointsOf reads the period's checkpoints once.
type checkpoints struct {
	signed   []trail.Checkpoint
	unsigned int
	broken   int // whose root the stored tree has not
}

// maxCheckpoints is one a minute for a year.
const maxCheckpoints = 366 * 24 * 60

func (t *taker) checkpoints(ctx context.Context) (checkpoints, error) {
	return once(t, "checkpoints", func() (c checkpoints, err error) {
		if c.signed, c.unsigned, err = trail.CheckpointsIn(ctx, t.tx, t.period.From, t.period.To, maxCheckpoints); err != nil || len(c.signed) == 0 {
			return c, err
		}
		// The first and the last, between which the entries are held to their hashes.
		for i, at := range []int{0, len(c.signed) - 1} {
			if i == 1 && at == 0 {
				break
			}
			holds, err := trail.RootHoldsIn(ctx, t.tx, c.signed[at])
			if err != nil {
				return c, err
			}
			if !holds {
				c.broken++
			}
		}
		return c, nil
	})
}

func integrityMeasures() []Measurement {
	rehash := func(ctx context.Context, t *taker) (trail.Rehashed, error) {
		return once(t, "rehash", func() (trail.Rehashed, error) { return trail.RehashIn(ctx, t.tx, t.kept, t.next, t.note) })
	}
	rehashed := func(name, title, unit string, pick func(*trail.Rehashed) int64) Measurement {
		return Measurement{
			Name: name, Title: title, Unit: unit, Of: "entries", Basis: OfLog,
			Query: "Each entry of the period is hashed again (SHA-256 of 0x00, its number in decimal, a line feed and its text) and compared with the leaf that the log has of it:\n" + sql(tenantq.ListSequencedEntries),
			take: func(ctx context.Context, t *taker) (int64, int64, error) {
				r, err := rehash(ctx, t)
				return pick(&r), r.Entries, err
			},
		}
	}
	signed := func(name, title, unit string, pick func(*checkpoints) (int64, int64)) Measurement {
		return Measurement{
			Name: name, Title: title, Unit: unit, Of: "checkpoints", Basis: OfLog,
			Query: "The signature of each checkpoint that was kept in the period is verified by the log's own key, and the roots of the first and the last are computed again from the stored tree:\n" + sql(tenantq.ListAuditCheckpointsBetween),
			take: func(ctx context.Context, t *taker) (int64, int64, error) {
				c, err := t.checkpoints(ctx)
				if err != nil {
					return 0, 0, err
				}
				figure, of := pick(&c)
				return figure, of, nil
			},
		}
	}
	return []Measurement{
		rehashed("auditlog.rehashed", "Entries that were held to their hash", "entries", func(r *trail.Rehashed) int64 { return r.Entries }),
		rehashed("auditlog.damaged", "Entries that are not what the log has the hash of", "entries", func(r *trail.Rehashed) int64 { return r.Damaged }),
		rehashed("auditlog.missing", "Numbers of the log without an entry", "entries", func(r *trail.Rehashed) int64 { return r.Missing }),
		signed("auditlog.checkpoints", "Checkpoints that were signed", "checkpoints", func(c *checkpoints) (int64, int64) {
			return int64(len(c.signed)), int64(len(c.signed) + c.unsigned)
		}),
		signed("auditlog.unsigned", "Checkpoints that the log's key has not signed", "checkpoints", func(c *checkpoints) (int64, int64) {
			return int64(c.unsigned), int64(len(c.signed) + c.unsigned)
		}),
		signed("auditlog.broken", "Checkpoints whose root the stored tree has not", "checkpoints", func(c *checkpoints) (int64, int64) {
			return int64(c.broken), int64(len(c.signed) + c.unsigned)
		}),
	}
}
