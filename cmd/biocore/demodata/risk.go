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

// Locate tells where an address of the demo is, for risk.Options.
func Locate(a netip.Addr) risk.Place {
	for _, c := range countries {
		if c.network.Contains(a) {
			return c.place
		}
	}
	return risk.Place{}
}

// distances are those of the demo's countries where they are nearest, in km and rounded down. Portugal and Spain touch.
var distances = map[[2]string]int{{"DE", "ES"}: 600, {"DE", "GB"}: 270, {"DE", "PT"}: 1200, {"ES", "GB"}: 600, {"GB", "PT"}: 800}

// Distance is that of two countries of the demo, for risk.Options.
func Distance(from, to string) int { return distances[[2]string{min(from, to), max(from, to)}] }

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

// guess is what happened three days ago in the evening: somebody tried to be a customer, ten times in ten minutes, and then the
// customer came.
func (l *life) guess(at time.Time) (acts []func(context.Context, *rand.Rand) error) {
	day := at.Truncate(24 * time.Hour)
	if at.Hour() != 20 || !day.Equal(time.Now().UTC().AddDate(0, 0, -3).Truncate(24*time.Hour)) {
		return nil
	}
	if at.Minute() == 10 {
		l.victim = l.someoneKnown()
	}
	if l.victim == nil || len(l.victim.devices) == 0 {
		return nil
	}
	v := usual(l.victim, l.victim.devices[0])
	switch at.Minute() {
	case 10:
		v = stolen(rand.New(rand.NewPCG(l.Seed, 4)), l.victim, l.victim.devices[0]) //nolint:gosec // from one address
		for range 10 {
			acts = append(acts, func(ctx context.Context, rng *rand.Rand) error {
				_, err := l.try(ctx, rng, v, l.Origin, authenticatortest.Deviation{WrongKey: true}, "")
				return l.fails(err)
			})
		}
	case 20:
		p := l.victim
		acts = append(acts, func(ctx context.Context, rng *rand.Rand) error { return l.signIn(ctx, rng, p) })
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
