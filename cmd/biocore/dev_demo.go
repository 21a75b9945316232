package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/cmd/biocore/demodata"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// month is what `biocore dev --demo-data` makes: a small bank's.
var month = past{days: 30, people: 260, perDay: 420}

// maxDemoDays is as far as simulations of policies look back.
const maxDemoDays = 90

// past is how much of it there is.
type past struct {
	days   int
	people int // customers, in the end
	perDay int // sign-ins of a working day, in the end
}

// demoSeed makes it the same month each time.
const demoSeed = 2026

// demo gives acme a month of life, unless it is there already. The tenant itself is made
// on the first day.
func (d *dev) demo(ctx context.Context, p *platform, cfg Config) error {
	of := month
	of.days = d.demoDays
	return d.step(ctx, fmt.Sprintf("Living through %d days of acme", of.days), func() (string, error) {
		if _, err := p.tenants.Resolve(ctx, "acme", netip.Addr{}); err == nil {
			return "is there already, and stays as it is (--reset starts anew)", nil
		} else if !errors.Is(err, tenant.ErrNotFound) {
			return "", err
		}
		made, err := of.live(ctx, p, cfg)
		if err != nil {
			return "", fmt.Errorf("demo data: %w", err)
		}
		if err := settle(ctx, p, cfg); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d users, %d sign-ins, %d failures", made.Users, made.SignIns, made.Failures), nil
	})
}

// settle has the month counted at once, since the job may have looked at acme while it was lived, and puts what Postgres
// has dated itself to where it belongs.
func settle(ctx context.Context, p *platform, cfg Config) error {
	id, err := p.tenants.Resolve(ctx, "acme", netip.Addr{})
	if err != nil {
		return fmt.Errorf("find acme: %w", err)
	}
	sc := scope.New(id, cliActor())
	if err := p.stats.Recount(ctx, sc); err != nil {
		return fmt.Errorf("count the demo data: %w", err)
	}
	if err := p.stats.Maintain(ctx, sc); err != nil {
		return fmt.Errorf("count the demo data: %w", err)
	}
	if err := spoil(ctx, p, sc); err != nil {
		return fmt.Errorf("faults of the demo data: %w", err)
	}
	if err := p.usage.Measure(ctx, sc); err != nil {
		return fmt.Errorf("measure the demo data: %w", err)
	}
	if err := db.Backdate(ctx, cfg.DatabaseMigratorURL.Reveal(), id); err != nil {
		return fmt.Errorf("backdate the demo data: %w", err)
	}
	_, err = dashboard.New(p.store).Create(ctx, sc, "Morning look", dashboard.Usual())
	return err
}

// spoil puts the faults of the month where a server would have: a short outage of the database, and what a month has beside.
func spoil(ctx context.Context, p *platform, sc scope.Scope) error {
	today := p.store.Now().Truncate(24 * time.Hour)
	var faults tenantq.AddStatsFaultsParams
	return p.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		made, err := tx.GetTenant(ctx)
		if err != nil {
			return err
		}
		faults.Ats, faults.Faults = nil, nil
		for _, f := range []struct {
			ago int // days
			at  time.Duration
			n   int64
		}{{1, 10*time.Hour + 10*time.Minute, 1}, {9, 14 * time.Hour, 2}, {9, 14*time.Hour + 5*time.Minute, 1}, {17, 8*time.Hour + 45*time.Minute, 1}, {23, 16*time.Hour + 20*time.Minute, 1}} {
			if at := today.AddDate(0, 0, -f.ago).Add(f.at); at.After(made.CreatedAt) {
				faults.Ats, faults.Faults = append(faults.Ats, at), append(faults.Faults, f.n)
			}
		}
		return tx.AddStatsFaults(ctx, faults)
	})
}

// riskRules are those of the demo, with the fifth of its days that they come in: looked at first, and then enforced, with one more
// that is looked at.
var riskRules = []struct {
	fifth            int
	document, reason string
}{
	{1, `{"mode": "SHADOW", "stepUpScore": 50, "rules": [
  {"id": "abroad-by-new-device", "about": "Another country and another device at once", "when": "newCountry && newDevice", "then": "STEP_UP"}]}`, "A look first, before anybody is asked for more"},
	{3, `{"mode": "ENFORCE", "stepUpScore": 50, "weights": {"IMPOSSIBLE_TRAVEL": 40}, "rules": [
  {"id": "guessing", "about": "Somebody has tried to be this customer", "when": "userFailures >= 5", "then": "STEP_UP", "hard": true},
  {"id": "abroad-by-new-device", "about": "Another country and another device at once", "when": "newCountry && newDevice", "then": "STEP_UP"},
  {"id": "abroad-at-night", "about": "Would it meet customers on holiday?", "when": "newCountry && (hour < 5 || hour > 22)", "then": "DENY", "mode": "SHADOW"}]}`, "Backtest of two weeks: eight step-ups a week, two of them fraud"},
}

// live makes acme on the first day, and lives through all of them.
func (of past) live(ctx context.Context, p *platform, cfg Config) (demodata.Made, error) {
	var clock demodata.Clock
	begin := time.Now().UTC().AddDate(0, 0, -of.days).Truncate(24 * time.Hour)
	clock.Set(begin)
	newDay := func(ctx context.Context, day time.Time) error {
		return jobs.KeepPartitions(ctx, cfg.DatabaseJobsURL.Reveal(), day)
	}
	if err := newDay(ctx, begin); err != nil {
		return demodata.Made{}, err
	}
	store, err := db.Open(ctx, db.Options{
		AppURL: cfg.DatabaseURL.Reveal(), WriterURL: cfg.DatabaseWriterURL.Reveal(), ControlURL: cfg.DatabaseControlURL.Reveal(),
		SupportURL: cfg.DatabaseSupportURL.Reveal(), AuditURL: cfg.DatabaseAuditURL.Reveal(), Log: p.tel.Log, Now: clock.Now, Unfollowed: true,
	})
	if err != nil {
		return demodata.Made{}, err
	}
	defer store.Close()
	working, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	writers.Go(func() { _ = store.Run(working) })
	defer writers.Wait()
	defer stop()

	o := &operator{store: store, kms: p.kms}
	o.keys = keys.New(keys.Options{Store: store, KMS: p.kms, Plan: o.keyPlan, Log: p.tel.Log})
	o.users = user.New(user.Options{Store: store, Keys: o.keys})
	o.tenants = tenant.New(tenant.Options{Store: store, Keys: o.keys, FirstKeys: apikey.First, ConsoleRPID: tenant.ConsoleRPID(cfg.PublicURL)})
	credentials := credential.New(credential.Options{Store: store, Keys: o.keys, Tenants: o.tenants})
	sessions, err := session.New(session.Options{Store: store, Keys: o.keys, Tenants: o.tenants, PublicURL: cfg.PublicURL, Denials: p.denials})
	if err != nil {
		return demodata.Made{}, err
	}
	// Refusals are of the past as well, and as many as there are: a minute of it passes in no time.
	denials := audit.NewDenials(audit.DenialsOptions{Store: store, Log: p.tel.Log, PerMinute: math.MaxInt})
	risks, err := risk.New(risk.Options{Store: store, Keys: o.keys, Ephemeral: p.redis, Locate: demodata.Locate, Distance: kilometres, Log: p.tel.Log})
	if err != nil {
		return demodata.Made{}, err
	}
	ceremonies, err := ceremony.New(ceremony.Options{
		Store: store, Keys: o.keys, Tenants: o.tenants, Sessions: sessions, Ephemeral: p.redis, Denials: denials, Risk: risks,
		Metadata: p.mds.Current, Roots: p.roots.Current,
	})
	if err != nil {
		return demodata.Made{}, err
	}
	recoveries, err := recovery.New(recovery.Options{Store: store, Keys: o.keys, Tenants: o.tenants, Denials: p.denials})
	if err != nil {
		return demodata.Made{}, err
	}

	home := scope.New(scope.PlatformTenant, devActor())
	if err := o.keys.Ensure(ctx, home); err != nil {
		return demodata.Made{}, err
	}
	acme, _, err := ensureAcme(ctx, &platform{operator: o}, home, cfg.PublicURL)
	if err != nil {
		return demodata.Made{}, err
	}
	server := apikey.New(apikey.Options{Store: store, Keys: o.keys, Tenants: o.tenants, Denials: p.denials})
	key, err := server.Create(ctx, scope.New(acme.ID, devActor()), apikey.CreateRequest{
		Kind: apikey.Secret, Name: "login service", Scopes: []string{apikey.ScopeAuthPlane},
	})
	if err != nil {
		return demodata.Made{}, err
	}
	flags := application{flags: flag.New(store, o.keys), sc: scope.New(acme.ID, cliActor()), rng: rand.New(rand.NewPCG(demoSeed, 2))} //nolint:gosec // a demo is the same each time on purpose
	lessTime := begin.AddDate(0, 0, of.days*3/5)
	return demodata.Make(ctx, demodata.Options{
		Clock: &clock, Ceremonies: ceremonies, Users: o.users, Credentials: credentials, Recoveries: recoveries, Risk: risks,
		Scope:  scope.New(acme.ID, scope.Actor{Kind: scope.ActorAPIKey, ID: key.Key.ID.String(), Name: "login service"}),
		Origin: cfg.PublicURL, NewDay: func(ctx context.Context, day time.Time) error {
			if err := newDay(ctx, day); err != nil {
				return err
			}
			if err := flags.day(ctx, int(day.Sub(begin)/(24*time.Hour)), of.days); err != nil {
				return err
			}
			for _, rules := range riskRules {
				if day.Equal(begin.AddDate(0, 0, of.days*rules.fifth/5)) {
					if _, err := risks.PutRules(ctx, scope.New(acme.ID, cliActor()), risk.PutRulesRequest{Document: []byte(rules.document), Reason: rules.reason}); err != nil {
						return err
					}
				}
			}
			if !day.Equal(lessTime) {
				return nil
			}
			_, err := o.tenants.PutPolicy(ctx, scope.New(acme.ID, cliActor()), tenant.PutPolicyRequest{
				Document: []byte(`{"authenticationTimeoutSeconds": 180}`), Reason: "Pen test NB-2026-31: sign-ins stay open too long",
			})
			return err
		},
		Days: of.days, People: of.people, PerDay: of.perDay, Seed: demoSeed,
	})
}
