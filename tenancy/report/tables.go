package report

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
)

// maxRows bounds a list. What is left out is said.
const maxRows = 1000

// list is one that can stand beside the controls.
type list struct {
	Title   string
	Columns []string
	take    func(ctx context.Context, t *taker) (BodyList, error) // rows, and whether there are more
}

// ListNames are the lists that a catalogue may name.
func ListNames() []string { return slices.Sorted(maps.Keys(lists)) }

// ListTitle is what a list is called; the name of what is none.
func ListTitle(name string) string {
	if l := lists[name]; l != nil {
		return l.Title
	}
	return name
}

// lists is the closed set.
var lists = map[string]*list{
	"members": {
		Title: "Members", Columns: []string{"name", "role", "member_since", "role_since", "last_seen", "passkeys", "invited_by", "id"},
		take: func(_ context.Context, t *taker) (l BodyList, _ error) {
			for _, m := range t.members {
				p := t.seen[m.PersonID]
				l.Rows = append(l.Rows, []string{
					t.names[m.PersonID], string(m.Role), stamp(&m.CreatedAt), stamp(&m.UpdatedAt), stamp(p.LastSeenAt), strconv.Itoa(p.Passkeys), m.InvitedBy, m.ID.String(),
				})
			}
			return bounded(l), nil
		},
	},
	"apikeys": {
		Title: "Server keys", Columns: []string{"name", "prefix", "scopes", "created", "created_by", "last_used", "expires", "id"},
		take: func(ctx context.Context, t *taker) (l BodyList, _ error) {
			rows, err := t.tx.ListReportAPIKeys(ctx, tenantq.ListReportAPIKeysParams{Until: t.period.To, MaxRows: maxRows + 1})
			for _, r := range rows {
				l.Rows = append(l.Rows, []string{r.Name, r.Prefix, strings.Join(r.Scopes, " "), stamp(&r.CreatedAt), r.CreatedBy, stamp(r.LastUsedAt), stamp(r.ExpiresAt), r.ID.String()})
			}
			return bounded(l), err
		},
	},
	"support": {
		Title: "Access of the installation's staff", Columns: []string{"person", "state", "ticket", "reason", "asked_for", "asked", "given", "decided_by", "decided", "until", "id"},
		take: func(ctx context.Context, t *taker) (l BodyList, _ error) {
			rows, err := t.tx.ListReportGrants(ctx, tenantq.ListReportGrantsParams{Since: t.period.From, Until: t.period.To, MaxRows: maxRows + 1})
			for _, r := range rows {
				given, by := "", r.DecidedName
				if r.Access != nil {
					given = *r.Access
				}
				if by == "" {
					by = r.DecidedBy
				}
				l.Rows = append(l.Rows, []string{r.PersonName, r.State, r.Ticket, r.Reason, r.WantedAccess, stamp(&r.RequestedAt), given, by, stamp(r.DecidedAt), stamp(r.ExpiresAt), r.ID.String()})
			}
			return bounded(l), err
		},
	},
	"signingkeys": {
		Title: "Signing keys", Columns: []string{"kid", "algorithm", "state", "kept_in", "created", "activated", "retired", "revoked"},
		take: func(ctx context.Context, t *taker) (l BodyList, _ error) {
			rows, err := t.tx.ListReportSigningKeys(ctx, maxRows+1)
			for _, r := range rows {
				l.Rows = append(l.Rows, []string{r.Kid, r.Algorithm, r.State, r.Location, stamp(&r.CreatedAt), stamp(r.ActivatedAt), stamp(r.RetiredAt), stamp(r.RevokedAt)})
			}
			return bounded(l), err
		},
	},
	"datakeys": {
		Title: "Data keys", Columns: []string{"version", "wrapped_by", "created"},
		take: func(ctx context.Context, t *taker) (l BodyList, _ error) {
			rows, err := t.tx.ListReportDataKeys(ctx, maxRows+1)
			for _, r := range rows {
				l.Rows = append(l.Rows, []string{strconv.Itoa(int(r.Version)), r.KmsKey, stamp(&r.CreatedAt)})
			}
			return bounded(l), err
		},
	},
	"erasures":   entriesOf("Erasures of users", "user.delete"),
	"exports":    entriesOf("Exports and downloads", "user.export", "export.start", "export.finish", "export.download", "export.cancel", "export.expire"),
	"key-events": entriesOf("Events of keys", "signingkey.create", "signingkey.activate", "signingkey.retire", "signingkey.revoke", "signingkey.destroy", "datakey.create", "datakey.rewrap", "datakey.drain", "datakey.destroy"),
	"changes":    entriesOf("Changes of policy and settings", "policy.update", "settings.update", "tenant.update"),
	"checkpoints": {
		Title: "Checkpoints of the audit log: the first and last of each day", Columns: []string{"size", "signed", "root"},
		take: func(ctx context.Context, t *taker) (l BodyList, _ error) {
			c, err := t.checkpoints(ctx)
			for i, one := range c.signed {
				first := i == 0 || !sameDay(c.signed[i-1].SignedAt, one.SignedAt)
				last := i == len(c.signed)-1 || !sameDay(c.signed[i+1].SignedAt, one.SignedAt)
				if first || last {
					l.Rows = append(l.Rows, []string{strconv.FormatInt(one.Size, 10), stamp(&one.SignedAt), one.Root.String()})
				}
			}
			return bounded(l), err
		},
	},
	"actions": {
		Title: "Entries of the audit log by action", Columns: []string{"action", "outcome", "entries", "first_sequence", "last_sequence"},
		take: func(_ context.Context, t *taker) (l BodyList, _ error) {
			for _, one := range t.tallies {
				l.Rows = append(l.Rows, []string{one.Action, string(one.Outcome), strconv.FormatInt(one.Count, 10), strconv.FormatInt(one.First, 10), strconv.FormatInt(one.Last, 10)})
			}
			return bounded(l), nil
		},
	},
	"isolation": {
		Title: "The walk through the database's catalog", Columns: []string{"walk", "findings", "object", "problem"},
		take: func(_ context.Context, t *taker) (l BodyList, _ error) {
			for _, walk := range t.walked {
				n := 0
				for _, f := range t.wall {
					if f.Check == walk {
						n++
						l.Rows = append(l.Rows, []string{walk, strconv.Itoa(n), f.Object, f.Problem})
					}
				}
				if n == 0 {
					l.Rows = append(l.Rows, []string{walk, "0", "", ""})
				}
			}
			return bounded(l), nil
		},
	},
}

// entriesOf lists the period's entries of some actions, without what is private of them.
func entriesOf(title string, actions ...string) *list {
	return &list{
		Title: title, Columns: []string{"sequence", "time", "action", "outcome", "target", "actor", "id"},
		take: func(ctx context.Context, t *taker) (l BodyList, _ error) {
			all, err := trail.OfActionsIn(ctx, t.tx, t.kept, t.next, actions, maxRows+1)
			for i := range all {
				r := &all[i]
				l.Rows = append(l.Rows, []string{strconv.FormatInt(r.Seq, 10), stamp(&r.At), r.Action, string(r.Outcome), r.Target.String(), r.Actor.String(), r.ID.String()})
			}
			return bounded(l), err
		},
	}
}

// bounded cuts a list off, and says so.
func bounded(l BodyList) BodyList {
	if len(l.Rows) > maxRows {
		l.Rows, l.More = l.Rows[:maxRows], true
	}
	return l
}

// stamp is a time of a list: to the second, UTC; empty where there is none.
func stamp(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04:05")
}

func sameDay(a, b time.Time) bool { return a.UTC().Truncate(day).Equal(b.UTC().Truncate(day)) }
