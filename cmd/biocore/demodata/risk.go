package demodata

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/risk"
)

// countries are where the demo's addresses are: the ranges that are kept for documentation (RFC 5737, RFC 3849), of which nobody is
// anywhere, and networks with numbers that are kept for it too (RFC 5398).
var countries = []struct {
	network netip.Prefix
	place   risk.Place
}{
	{netip.MustParsePrefix("192.0.2.0/24"), risk.Place{Country: "PT", ASN: 64496}},
	{netip.MustParsePrefix("198.51.100.0/24"), risk.Place{Country: "ES", ASN: 64497}},
	{netip.MustParsePrefix("203.0.113.0/24"), risk.Place{Country: "DE", ASN: 64498}},
	{netip.MustParsePrefix("2001:db8::/32"), risk.Place{Country: "GB", ASN: 64499}},
}

// Locate tells where an address of the demo is, for risk.Options: no file of the operator's has these.
func Locate(a netip.Addr) risk.Place {
	for _, c := range countries {
		if c.network.Contains(a) {
			return c.place
		}
	}
	return risk.Place{}
}

// visit is a sign-in as somebody comes to it.
type visit struct {
	by      *device
	address netip.Addr
	agent   string
	thief   bool
}

func usual(p *person, d *device) visit { return visit{by: d, address: p.address, agent: d.agent} }

// abroad is who travels, with their own device.
func abroad(rng *rand.Rand, p *person, d *device) visit {
	v := usual(p, d)
	for Locate(v.address).Country == Locate(p.address).Country {
		v.address = address(rng)
	}
	return v
}

// stolen is somebody else abroad, who has come by a synced passkey.
func stolen(rng *rand.Rand, p *person, d *device) visit {
	v := abroad(rng, p, d)
	v.agent, v.thief = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36", true
	return v
}

// guess is what happened yesterday in the evening: somebody tried to be a customer, ten times in ten minutes, and then the customer
// came.
func (l *life) guess(at time.Time) (acts []func(context.Context, *rand.Rand) error) {
	if at.Hour() != 20 || !at.Truncate(24*time.Hour).Equal(time.Now().UTC().AddDate(0, 0, -1).Truncate(24*time.Hour)) {
		return nil
	}
	switch at.Minute() {
	case 10:
		for range 100 { // until there is somebody who has a passkey that works
			if p := l.someoneKnown(); p != nil && len(p.devices) > 0 && !p.devices[0].dead.Load() {
				l.victim = p
				break
			}
		}
		if l.victim == nil {
			return nil
		}
		v := stolen(rand.New(rand.NewPCG(l.Seed, 4)), l.victim, l.victim.devices[0]) //nolint:gosec // from one address
		for range 10 {
			acts = append(acts, func(ctx context.Context, rng *rand.Rand) error {
				return l.come(ctx, rng, v, l.Origin, authenticatortest.Deviation{WrongKey: true})
			})
		}
	case 20:
		if l.victim == nil {
			return nil
		}
		v := usual(l.victim, l.victim.devices[0])
		acts = append(acts, func(ctx context.Context, rng *rand.Rand) error {
			return l.come(ctx, rng, v, l.Origin, authenticatortest.Deviation{})
		})
	}
	return acts
}

// call is what the fraud desk will hear of a sign-in.
type call struct {
	at       time.Time
	decision uuid.UUID
	verdict  risk.Verdict
	note     string
}

// hears has the fraud desk hear of some of the sign-ins that were unusual, an hour later. l.mu is held.
func (l *life) hears(rng *rand.Rand, at visit, done *ceremony.Authenticated) {
	if done.Risk == nil || done.Session == nil || risk.LevelOf(done.Risk.Decision.Score) == risk.Low {
		return
	}
	c := call{at: l.Clock.Now().Add(time.Hour), decision: uuid.UUID(done.Session.ID), verdict: risk.Legitimate, note: "Customer says: was travelling"}
	if at.thief {
		c.verdict, c.note = risk.Fraud, "Customer did not sign in; transfers were stopped"
	}
	if rng.Float64() < 0.6 {
		l.calls = append(l.calls, c)
	}
}

// due are the calls that come now.
func (l *life) due(at time.Time) (acts []func(context.Context, *rand.Rand) error) {
	var later []call
	for _, c := range l.calls {
		if c.at.After(at) {
			later = append(later, c)
			continue
		}
		acts = append(acts, func(ctx context.Context, _ *rand.Rand) error {
			_, err := l.Risk.Report(ctx, l.Scope, c.decision, c.verdict, c.note)
			return err
		})
	}
	l.calls = later
	return acts
}

// learn has the step's sign-ins written into the profiles, so that the next step's are compared with all of them.
func (l *life) learn(ctx context.Context) error {
	over, end := context.WithCancel(ctx)
	end()
	var wg sync.WaitGroup
	for range together {
		wg.Go(func() { _ = l.Risk.Run(over) }) // returns nil when nothing waits
	}
	wg.Wait()
	return ctx.Err()
}
