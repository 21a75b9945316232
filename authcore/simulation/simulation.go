// Package simulation tries a draft of a policy before it is in force: it decides the
// ceremonies of the last days again, by the facts that they left, and asks which of the
// credentials that exist would not be registered any more. Nothing is written.
//
// Decisions are functions of facts (ADR-0025), so a replay says what the draft would have
// said. It cannot say what people would have done: an authenticator that was not asked to
// verify its user may well have been able to.
package simulation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service.
var (
	// ErrDays is returned for a span that is too short or too long.
	ErrDays = fault.New(fault.Invalid, "SIMULATION_DAYS_INVALID", "a simulation looks back 1 to 90 days")
	// ErrBusy is returned where the tenant's simulation before has not ended, or too many
	// others have not. All that run now have when Retry-After is over.
	ErrBusy = fault.New(fault.Exhausted, "SIMULATION_BUSY", "another simulation is running: try again when it has ended").WithRetryAfter(timeLimit)
)

// Bounds of one simulation: what an answer waits for, and what it holds in memory. The
// newest are looked at.
const (
	maxDays        = 90
	defaultDays    = 30
	maxCeremonies  = 50_000
	maxCredentials = 50_000
	pageRows       = 1_000
	timeLimit      = 8 * time.Second // for both; the API's answer is due within ten
	// maxAtOnce bounds what simulations take from sign-ins: each reads pages without a
	// pause, which keeps one connection and most of a core busy. Of one tenant one runs.
	maxAtOnce = 2
	maxListed = 20
	maxWho    = 1_000
)

// Kinds of ceremonies, as they stand in rows.
const (
	registration   = "REGISTRATION"
	authentication = "AUTHENTICATION"
	failed         = "FAILED"
)

// Options configures a Service.
type Options struct {
	Store *db.Store // required

	// MaxCeremonies and MaxCredentials bound what one simulation looks at; 0 means 50,000.
	MaxCeremonies, MaxCredentials int
}

// Service simulates policies. It is safe for concurrent use.
type Service struct {
	store                      *db.Store
	maxCeremonies, maxStanding int

	mu      sync.Mutex
	running map[uuid.UUID]bool // by tenant
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, maxCeremonies: o.MaxCeremonies, maxStanding: o.MaxCredentials, running: map[uuid.UUID]bool{}}
	if s.maxCeremonies == 0 {
		s.maxCeremonies = maxCeremonies
	}
	if s.maxStanding == 0 {
		s.maxStanding = maxCredentials
	}
	return s
}

// Request is a draft to try.
type Request struct {
	Document []byte // JSON, see policy.Parse
	Days     int    // how far to look back: 1 to 90; 0 means 30
}

// Result says what a draft would have changed.
type Result struct {
	Since time.Time // ceremonies from then on were looked at: later than asked for unless All

	Ceremonies int  // that were decided again
	All        bool // false: there were more than one simulation looks at, and the newest were taken
	Incomplete int  // that left too few facts, since they are from a release before
	Apart      int  // that failed for what is no policy's to decide, as a revoked credential

	Changes []Change // by kind, before and after, unaffected ones included, in that order

	// Of the ceremonies that the draft would have refused or stepped up and the policy of
	// then did not: those with the most of them, at most 20 each.
	Users          []Affected[uuid.UUID]
	Credentials    []Affected[credential.ID]
	Authenticators []Affected[uuid.UUID] // AAGUIDs

	// Who are the users of those, each with each model that they used, the hardest hit
	// first: at most 1,000. Reached counts all of these users, and Denied those of them who
	// would have been refused.
	Who             []Who
	Reached, Denied int

	Standing Standing
}

// Change counts ceremonies of one kind by what was decided and what would be.
type Change struct {
	Kind          string // REGISTRATION or AUTHENTICATION
	Before, After policy.Outcome
	Count         int
	Reasons       []Affected[string] // of After, the most frequent first; a ceremony may have several
}

// Who is a user whom a draft would have refused or stepped up, with one model.
type Who struct {
	User          uuid.UUID
	Authenticator uuid.UUID // AAGUID
	Count         int       // ceremonies
	Before, After policy.Outcome
	Reasons       []string // of the hardest of them, as Before and After
}

// Affected is somebody or something with a count.
type Affected[T comparable] struct {
	ID    T
	Count int
}

// Standing is what the draft says of the credentials that exist, as if they were
// registered now. None of them stops working by a policy; see authcore/blastradius.
type Standing struct {
	Credentials    int  // that were judged; revoked ones are not
	All            bool // false: there are more
	Refused        int
	Reasons        []Affected[string]
	Authenticators []Affected[uuid.UUID] // of those refused

	// Users are those with a credential that signs in, and Unreachable those of them whose
	// credentials, each with its user verified, all stay below the draft's minimumAal: they
	// could not sign in any more. Both are 0 unless All, since one of a user's credentials
	// may be among those that were not looked at.
	Users, Unreachable int
}

// enter lets a tenant's simulation begin, unless ErrBusy. leave ends it.
func (s *Service) enter(tenant uuid.UUID) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[tenant] || len(s.running) >= maxAtOnce {
		return nil, ErrBusy
	}
	s.running[tenant] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, tenant)
	}, nil
}

// Simulate tries a draft. policy.ErrInvalid, ErrDays, ErrBusy, db.ErrUnavailable.
func (s *Service) Simulate(ctx context.Context, sc scope.Scope, req Request) (Result, error) {
	draft, err := policy.Parse(req.Document)
	if err != nil {
		return Result{}, err
	}
	if req.Days == 0 {
		req.Days = defaultDays
	}
	if req.Days < 1 || req.Days > maxDays {
		return Result{}, ErrDays
	}
	leave, err := s.enter(sc.Tenant())
	if err != nil {
		return Result{}, err
	}
	defer leave()
	started := s.store.Now()
	r := replay{draft: &draft, tallies: map[change]*tally{}, users: counts[uuid.UUID]{}, who: map[userModel]*Who{}, credentials: counts[credential.ID]{}, models: counts[uuid.UUID]{}}
	since, all, err := s.ceremonies(ctx, sc, &r, started.AddDate(0, 0, -req.Days), started.Add(timeLimit*3/4))
	if err != nil {
		return Result{}, err
	}
	standing, err := s.standing(ctx, sc, &draft, started.Add(timeLimit))
	if err != nil {
		return Result{}, err
	}
	who, denied := r.hit()
	return Result{
		Who: who, Reached: len(r.users), Denied: denied,
		Since: since, Ceremonies: r.decided, All: all, Incomplete: r.incomplete, Apart: r.apart, Changes: r.changes(),
		Users: r.users.top(cmpUUID), Credentials: r.credentials.top(cmp.Compare), Authenticators: r.models.top(cmpUUID),
		Standing: standing,
	}, nil
}

// ceremonies replays them page by page, the newest first, each page in a transaction of
// its own. It tells from when on, and whether that is all of them.
func (s *Service) ceremonies(ctx context.Context, sc scope.Scope, r *replay, since, deadline time.Time) (time.Time, bool, error) {
	next := tenantq.ListCeremoniesParams{BeforeAt: s.store.Now().AddDate(1, 0, 0), BeforeID: uuid.Max}
	for seen := 0; seen < s.maxCeremonies; {
		next.MaxRows = int32(min(pageRows, s.maxCeremonies-seen)) //nolint:gosec // at most pageRows
		var page []tenantq.ListCeremoniesRow
		err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			page, err = tx.ListCeremonies(ctx, next)
			return err
		})
		if err != nil {
			return since, false, fmt.Errorf("list ceremonies: %w", err)
		}
		for _, row := range page {
			if row.At.Before(since) {
				return since, true, nil
			}
			if err := r.ceremony(&row); err != nil {
				return since, false, err
			}
		}
		if len(page) < int(next.MaxRows) {
			return since, true, nil
		}
		last := page[len(page)-1]
		seen += len(page)
		next.BeforeAt, next.BeforeID = last.At, last.ID
		if !s.store.Now().Before(deadline) {
			break
		}
	}
	return next.BeforeAt, false, nil
}

// standing asks of each credential whether the draft would let it be registered. What is
// not in its row is taken as good: user verification, and that somebody vouched.
func (s *Service) standing(ctx context.Context, sc scope.Scope, draft *policy.Document, deadline time.Time) (Standing, error) {
	var out Standing
	reasons, models := counts[string]{}, counts[uuid.UUID]{}
	reaches := map[uuid.UUID]assurance.Reach{}
	next := tenantq.ListCredentialsToJudgeParams{}
	for out.Credentials < s.maxStanding {
		next.MaxRows = int32(min(pageRows, s.maxStanding-out.Credentials)) //nolint:gosec // at most pageRows
		var page []tenantq.ListCredentialsToJudgeRow
		err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			page, err = tx.ListCredentialsToJudge(ctx, next)
			return err
		})
		if err != nil {
			return out, fmt.Errorf("list credentials: %w", err)
		}
		for _, row := range page {
			if row.State == string(credential.Active) {
				reach := reaches[row.UserID]
				reach.Add(&credential.Credential{
					BackupEligible: row.BackupEligible, Trust: credential.Trust(row.Trust), Certification: row.Certification, Disposition: row.Disposition,
					RegisteredAAL: uint8(row.RegisteredAal), Lowered: row.Lowered, //nolint:gosec // checked by the table: 0 to 3
				})
				reaches[row.UserID] = reach
			}
			f := policy.RegistrationFacts{
				UserPresent: true, UserVerified: true, BackupEligible: row.BackupEligible, Algorithm: int(row.Algorithm), AAGUID: row.Aaguid,
				Attachment: row.Attachment, Discoverable: row.Discoverable, Trust: row.Trust, Certification: row.Certification, Via: string(credential.ViaImport),
			}
			if row.Disposition != "" {
				f.Reports = []string{row.Disposition}
			}
			if d := policy.DecideRegistration(draft, &f); d.Outcome != policy.Allow {
				out.Refused++
				models[row.Aaguid]++
				for _, reason := range d.Reasons {
					reasons[reason]++
				}
			}
		}
		out.Credentials += len(page)
		if out.All = len(page) < int(next.MaxRows); out.All {
			break
		}
		next.AfterID = page[len(page)-1].ID
		if !s.store.Now().Before(deadline) {
			break
		}
	}
	if out.All {
		out.Users = len(reaches)
		for _, reach := range reaches {
			if int(reach.AAL(draft)) < draft.MinimumAAL {
				out.Unreachable++
			}
		}
	}
	out.Reasons, out.Authenticators = reasons.top(cmp.Compare), models.top(cmpUUID)
	return out, nil
}

// replay gathers what becomes of ceremonies.
type replay struct {
	draft                      *policy.Document
	decided, incomplete, apart int
	tallies                    map[change]*tally
	users                      counts[uuid.UUID]
	who                        map[userModel]*Who
	credentials                counts[credential.ID]
	models                     counts[uuid.UUID]
}

type change struct {
	kind          string
	before, after policy.Outcome
}

type tally struct {
	count   int
	reasons counts[string]
}

func (r *replay) ceremony(row *tenantq.ListCeremoniesRow) error {
	before := policy.Outcome(row.Outcome)
	if row.Outcome == failed {
		if row.Kind != registration {
			r.apart++ // the credential or the user was no good
			return nil
		}
		before = policy.Deny // policy refuses a registration with an error
	}
	after, model, complete, err := decide(r.draft, row)
	if err != nil {
		return fmt.Errorf("ceremony %s: %w", row.ID, err)
	}
	switch {
	case !complete && row.Outcome == failed:
		r.apart++ // it broke the protocol before there was anything to decide
		return nil
	case !complete:
		r.incomplete++
		return nil
	}
	r.decided++
	key := change{row.Kind, before, after.Outcome}
	t := r.tallies[key]
	if t == nil {
		t = &tally{reasons: counts[string]{}}
		r.tallies[key] = t
	}
	t.count++
	for _, reason := range after.Reasons {
		t.reasons[reason]++
	}
	if severity(after.Outcome) <= severity(before) {
		return nil
	}
	if row.UserID != nil {
		r.users[*row.UserID]++
		r.hits(userModel{*row.UserID, model}, before, after)
	}
	r.credentials[credential.ID(row.CredentialID)]++
	r.models[model]++
	return nil
}

// userModel is a user with a model of authenticators.
type userModel struct{ user, model uuid.UUID }

func (r *replay) hits(key userModel, before policy.Outcome, after policy.Decision) {
	w := r.who[key]
	if w == nil {
		w = &Who{User: key.user, Authenticator: key.model}
		r.who[key] = w
	}
	w.Count++
	if severity(after.Outcome) > severity(w.After) {
		w.Before, w.After, w.Reasons = before, after.Outcome, after.Reasons
	}
}

// hit are those of whom ceremonies were decided harder, the refused first, and how many
// users would have been refused.
func (r *replay) hit() (list []Who, denied int) {
	refused := map[uuid.UUID]bool{}
	for _, w := range r.who {
		list = append(list, *w)
		if w.After == policy.Deny {
			refused[w.User] = true
		}
	}
	slices.SortFunc(list, func(a, b Who) int {
		return cmp.Or(cmp.Compare(severity(b.After), severity(a.After)), cmp.Compare(b.Count, a.Count), cmpUUID(a.User, b.User), cmpUUID(a.Authenticator, b.Authenticator))
	})
	return slices.Clip(list[:min(len(list), maxWho)]), len(refused)
}

// decide is what a policy says of a ceremony, with the authenticator's model. complete is
// false when its facts are too few: those of a release before.
func decide(draft *policy.Document, row *tenantq.ListCeremoniesRow) (d policy.Decision, model uuid.UUID, complete bool, err error) {
	switch row.Kind {
	case registration:
		f, err := policy.ParseRegistrationFacts([]byte(row.Facts))
		if err != nil || f.Trust == "" {
			return d, model, false, err
		}
		return policy.DecideRegistration(draft, &f), f.AAGUID, true, nil
	case authentication:
		f, err := policy.ParseAuthenticationFacts([]byte(row.Facts), row.Reason)
		if err != nil || f.AAL == 0 {
			return d, model, false, err
		}
		// What the sign-in is worth is the draft's to say, too.
		f.AAL = int(assurance.Of(assurance.Inputs{
			// Of a changed eligibility the weaker counts.
			UserVerified: f.UserVerified, BackupEligible: f.BackupEligible || f.BackupEligibilityChanged, BackedUp: f.BackedUp,
			Trust: credential.Trust(f.Trust), Certification: policy.Certification(f.Certification), Disposition: f.Disposition,
			RegisteredAAL: level(f.RegisteredAAL), Lowered: f.Lowered,
			SyncedAAL: draft.SyncedAAL, AAL3Certification: draft.AAL3Certification,
		}).AAL)
		if f.ReachableAAL > 0 {
			reach := assurance.Reach{
				Bound: level(f.ReachableBoundAAL), Synced: level(f.ReachableSyncedAAL), Certification: policy.Certification(f.ReachableCertification),
			}
			f.ReachableAAL = int(reach.AAL(draft))
		}
		return policy.DecideAuthentication(draft, &f), f.AAGUID, true, nil
	}
	return d, model, false, nil // of a later release
}

// level is one that stands in facts.
func level(n int) uint8 { return uint8(min(max(n, 0), math.MaxUint8)) }

func (r *replay) changes() []Change {
	keys := slices.SortedFunc(maps.Keys(r.tallies), func(a, b change) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(severity(a.before), severity(b.before)), cmp.Compare(severity(a.after), severity(b.after)))
	})
	out := make([]Change, len(keys))
	for i, k := range keys {
		out[i] = Change{Kind: k.kind, Before: k.before, After: k.after, Count: r.tallies[k].count, Reasons: r.tallies[k].reasons.top(cmp.Compare)}
	}
	return out
}

var outcomes = []policy.Outcome{policy.Allow, policy.StepUp, policy.Deny}

func severity(o policy.Outcome) int { return slices.Index(outcomes, o) }

// counts is bounded by the number of ceremonies that one simulation looks at.
type counts[T comparable] map[T]int

// top returns the most frequent ones, those of the same count in their order.
func (c counts[T]) top(order func(a, b T) int) []Affected[T] {
	out := make([]Affected[T], 0, len(c))
	for id, n := range c {
		out = append(out, Affected[T]{id, n})
	}
	slices.SortFunc(out, func(a, b Affected[T]) int { return cmp.Or(cmp.Compare(b.Count, a.Count), order(a.ID, b.ID)) })
	return slices.Clip(out[:min(len(out), maxListed)])
}

func cmpUUID(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }
