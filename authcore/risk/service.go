package risk

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

// Place is where an address is, as far as it is known.
type Place struct {
	Country  string   // ISO 3166-1 alpha-2; "" not known
	ASN      uint32   // 0 not known
	Networks []string // labels of lists that it is on
}

// Options configures a Service.
type Options struct {
	Store     *db.Store         // required
	Keys      *keys.Service     // required
	Ephemeral *ephemeral.Client // required: counters and fresh profiles are there

	// Locate tells where an address is. Nil: nothing is known of any.
	Locate func(netip.Addr) Place
	// Distance is that of two countries where they are nearest, in km; 0 where it is not known. Nil: always 0.
	Distance func(from, to string) int

	// How tenants' scoring services are asked: see scoring.Options. All may be nil.
	Allowed  []netip.Prefix
	Resolver *net.Resolver
	Roots    *x509.CertPool
	Counts   *scoring.Counts

	Log *slog.Logger // nil means slog.Default
}

// Service assesses sign-ins. It is safe for concurrent use. Run writes what it learns.
type Service struct {
	o         Options
	ephemeral *ephemeral.Client
	log       *slog.Logger
	rulesets  *db.Cache[*Ruleset]
	providers *db.Cache[*asked]
	recent    *db.Cache[Backtest]
	local     local
	lessons   lessons
	running   running // backtests
	stats     struct{ assessed, degraded, learnt, dropped, failedRules, steppedUp, denied atomic.Int64 }
}

// Bounds of what one server remembers.
const (
	maxRulesets = 20_000
	rulesetLife = 10 * time.Minute
)

// New returns a Service, or an error that names the option which is missing.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Keys == nil || o.Ephemeral == nil {
		return nil, errors.New("risk: Store, Keys and Ephemeral are required")
	}
	s := &Service{
		o: o, ephemeral: o.Ephemeral, log: o.Log, rulesets: db.NewCache[*Ruleset](o.Store, db.NounRisk, maxRulesets, rulesetLife),
		providers: db.NewCache[*asked](o.Store, db.NounRiskProvider, maxRulesets, rulesetLife),
		recent:    db.NewCache[Backtest](o.Store, db.NounRisk, maxRecent, recentLife).Within(backtestLimit),
		local:     local{counters: map[localKey]int{}, of: map[uuid.UUID]int{}}, lessons: lessons{waiting: make(chan lesson, maxLessons), of: map[uuid.UUID]int{}},
		running: running{tenants: map[uuid.UUID]bool{}},
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s, nil
}

// Attempt is what is to be assessed.
type Attempt struct {
	ID   uuid.UUID // of the ceremony, or of what else comes of it
	User uuid.UUID // Nil: nobody known
	At   time.Time // Store.Now
	// Address and Device are those of the user's own client: invalid and empty where only a server was seen.
	Address   netip.Addr
	Device    string // scope.Origin.Device
	UserAgent string // for a scoring service, where the tenant sends it

	Purpose      string
	UserVerified bool
	BackedUp     bool
	AAL          int
	Caller       Values

	// Of the credential; nil for an attempt without one.
	Credential *Credential
}

// Credential is what signals look at of a credential.
type Credential struct {
	CreatedAt time.Time
	Model     uuid.UUID
	Adverse   bool // its model is reported
	// SignCount is what the authenticator said, LastCount what was known of it. Both 0: it does not count.
	SignCount, LastCount uint32
}

// Assessment is an attempt with what came of it.
type Assessment struct {
	Facts    Facts
	Decision Decision
	Ruleset  int // its version

	user    uuid.UUID
	visit   visit
	profile profile
	cached  bool // profile is Redis's
}

// AppendTo adds the assessment to the facts of a ceremony, as AppendMember does; of nil nothing.
func (a *Assessment) AppendTo(facts []byte) []byte {
	if a == nil {
		return facts
	}
	return AppendMember(facts, a.Ruleset, &a.Facts, &a.Decision)
}

// Assess counts an attempt, gathers what is known of it, and decides. It returns nil where the tenant has risk off. It
// makes one round trip to Redis, and none to Postgres but for a user of whom Redis knows nothing. Without Redis it
// goes by what it has, and says so: Facts.Degraded. db.ErrUnavailable.
func (s *Service) Assess(ctx context.Context, sc scope.Scope, at *Attempt) (*Assessment, error) {
	ruleset, err := s.Ruleset(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("risk rules: %w", err)
	}
	if ruleset.Mode == Off {
		return nil, nil //nolint:nilnil // documented: off
	}
	ring, err := s.o.Keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	a := &Assessment{Ruleset: ruleset.Version, user: at.User, visit: visit{at: at.At, device: at.Device}}
	a.Facts = Facts{Purpose: at.Purpose, Hour: at.At.UTC().Hour(), UserVerified: at.UserVerified, BackedUp: at.BackedUp, AAL: at.AAL, Caller: at.Caller}
	f := &a.Facts
	if at.Address.IsValid() && s.o.Locate != nil {
		place := s.o.Locate(at.Address.Unmap().WithZone(""))
		f.Country, f.ASN, f.Networks = place.Country, place.ASN, place.Networks
		a.visit.country, a.visit.asn = place.Country, place.ASN
	}
	if c := at.Credential; c != nil {
		f.CredentialAge = int(max(at.At.Sub(c.CreatedAt), 0) / time.Hour)
		f.Model, f.Adverse = c.Model.String(), c.Adverse
		if c.SignCount != 0 || c.LastCount != 0 {
			f.CountJump = int(c.SignCount) - int(c.LastCount)
		}
	}
	who := subjectOf(ring, at.User, at.Address)
	if err := s.history(ctx, sc, ring, who, a); err != nil {
		return nil, err
	}
	if err := s.ask(ctx, sc, ring, at, f); err != nil {
		return nil, err
	}
	a.Decision = Decide(ruleset, f)
	s.count(a)
	return a, nil
}

// history adds what counters and the user's profile say.
func (s *Service) history(ctx context.Context, sc scope.Scope, ring *keys.Ring, who subject, a *Assessment) error {
	at, f, tenant := a.visit.at, &a.Facts, sc.Tenant()
	user := s.local.count(tenant, who.user, at, attemptWindow, false, 1)
	address := s.local.count(tenant, who.address, at, attemptWindow, false, 1)
	seen, err := s.observe(ctx, sc, who, at, f)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.Degraded, f.UserAttempts, f.AddressAttempts = true, user, address
		f.UserFailures = s.local.count(tenant, who.user, at, failureWindow, true, 0)
		f.AddressFailures = s.local.count(tenant, who.address, at, failureWindow, true, 0)
		return nil
	}
	if who.user == "" {
		return nil
	}
	if a.profile, a.cached, err = s.profile(ctx, sc, ring, a.user, seen.profile); err != nil {
		return err
	}
	a.profile.compare(&a.visit, f, s.o.Distance)
	return nil
}

// profile opens what Redis had, or reads what Postgres has. One that cannot be read is not known: it keeps nobody from signing in, and
// what is learnt next replaces it.
func (s *Service) profile(ctx context.Context, sc scope.Scope, ring *keys.Ring, user uuid.UUID, sealed []byte) (p profile, cached bool, err error) {
	if sealed != nil {
		if text, err := ring.OpenToken(sealProfile, sealed); err == nil {
			if p, err := parseProfile(text); err == nil {
				return p, true, nil
			}
		}
		// Of another key or another release: what Postgres has replaces it.
	}
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetRiskProfile(ctx, user)
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("get risk profile: %w", err)
		}
		if p, err = parseProfile(row.Profile); err != nil {
			s.log.ErrorContext(ctx, "the risk profile of a user cannot be read", "tenant", sc.Tenant(), "err", err)
		}
		return nil
	})
	return p, false, err
}

func (s *Service) count(a *Assessment) {
	s.stats.assessed.Add(1)
	s.stats.failedRules.Add(int64(len(a.Decision.Failed)))
	if a.Facts.Degraded {
		s.stats.degraded.Add(1)
	}
	switch a.Decision.Outcome {
	case StepUp:
		s.stats.steppedUp.Add(1)
	case Deny:
		s.stats.denied.Add(1)
	case Allow:
	}
}

// Forget removes what Redis knows of a user who is erased. What is in Postgres goes with the user. Without Redis it goes by
// itself, within seven days.
func (s *Service) Forget(ctx context.Context, sc scope.Scope, user uuid.UUID) {
	if err := s.ephemeral.Delete(ctx, sc, kindProfile, user.String()); err != nil {
		s.log.WarnContext(ctx, "the profile of a user who was erased stays in Redis for up to seven days", "tenant", sc.Tenant(), "err", err)
	}
}

// Stats are counted since the Service was made.
type Stats struct {
	Assessed, Degraded, SteppedUp, Denied int64
	FailedRules                           int64 // evaluations of rules that failed
	Learnt, Dropped                       int64 // lessons
}

// Stats returns them, for metrics.
func (s *Service) Stats() Stats {
	return Stats{
		Assessed: s.stats.assessed.Load(), Degraded: s.stats.degraded.Load(), SteppedUp: s.stats.steppedUp.Load(), Denied: s.stats.denied.Load(),
		FailedRules: s.stats.failedRules.Load(), Learnt: s.stats.learnt.Load(), Dropped: s.stats.dropped.Load(),
	}
}
