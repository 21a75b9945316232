// Package demodata gives a tenant a month of life: customers of a bank who enroll, sign in
// by day more than by night, and fail as people and programs fail.
//
// All of it goes through the product's own services: software authenticators answer real
// ceremonies, on a store whose clock is in the past. So every row (ceremony, session, audit
// entry, event) is of the shape that the running product writes, whatever that is today.
package demodata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Clock is a time that is set, and goes on from there as time does.
type Clock struct {
	offset atomic.Int64
}

// Now implements the clock of a store.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Set makes it t now.
func (c *Clock) Set(t time.Time) { c.offset.Store(int64(time.Until(t))) }

// Options is whose month it is, and by what it is made. All is required.
type Options struct {
	Clock       *Clock // of the services' store
	Ceremonies  *ceremony.Service
	Users       *user.Service
	Credentials *credential.Service
	Recoveries  *recovery.Service
	Risk        *risk.Service // of the ceremonies, placed by Locate

	Scope  scope.Scope // the tenant, as its server acts in it
	Origin string      // of the tenant's page

	// NewDay is called with each day that begins, before anything happens in it: there
	// must be partitions for it.
	NewDay func(ctx context.Context, day time.Time) error

	Days       int // how many, up to now
	People     int // customers, in the end
	PerDay     int // sign-ins of a working day, in the end
	Seed       uint64
	OnProgress func(done float64) // of 1; nil: nobody hears
}

// Made is what there is now.
type Made struct{ Users, Credentials, SignIns, Failures int }

// step is how far the clock goes at once: what happens in it happens side by side.
const step = 10 * time.Minute

// together is how many ceremonies of a step run side by side.
const together = 8

// life is the run.
type life struct {
	Options

	rng    *rand.Rand
	people []*person
	victim *person // whose passkey somebody tries to guess

	mu    sync.Mutex
	made  Made
	calls []call // that the fraud desk will have
}

// Make lives through the days. It ends with the clock at now.
func Make(ctx context.Context, o Options) (Made, error) {
	l := &life{Options: o, rng: rand.New(rand.NewPCG(o.Seed, 1))} //nolint:gosec // a demo is the same each time on purpose
	now := time.Now().UTC()
	begin := now.AddDate(0, 0, -o.Days).Truncate(24 * time.Hour)
	day := begin.AddDate(0, 0, -1)
	for at := begin; at.Before(now.Add(-step)); at = at.Add(step) {
		if d := at.Truncate(24 * time.Hour); d.After(day) {
			day = d
			if err := o.NewDay(ctx, day); err != nil {
				return l.made, err
			}
		}
		o.Clock.Set(at)
		if err := l.live(ctx, at, float64(at.Sub(begin))/float64(now.Sub(begin))); err != nil {
			return l.made, fmt.Errorf("%s: %w", at.Format(time.RFC3339), err)
		}
		if err := l.learn(ctx); err != nil {
			return l.made, err
		}
		if o.OnProgress != nil && at.Minute() == 0 {
			o.OnProgress(float64(at.Sub(begin)) / float64(now.Sub(begin)))
		}
	}
	return l.made, nil
}

// live is one step; gone is how much of the whole lies behind, of 1.
func (l *life) live(ctx context.Context, at time.Time, gone float64) error {
	var acts []func(context.Context, *rand.Rand) error

	// A third are there on the first day: they were invited before. Others follow.
	want := int(float64(l.People) * (0.35 + 0.65*gone))
	perStep := 1 + l.People/400
	for i := 0; len(l.people) < want && i < perStep; i++ {
		p := someone(l.rng, len(l.people))
		l.people = append(l.people, p)
		m := pick(l.rng)
		acts = append(acts, func(ctx context.Context, rng *rand.Rand) error { return l.enroll(ctx, rng, p, m) })
	}

	n := poisson(l.rng, float64(l.PerDay)*(0.6+0.4*gone)*rhythm(at)*step.Hours()/24)
	for range n {
		p := l.someoneKnown()
		if p == nil {
			break
		}
		acts = append(acts, func(ctx context.Context, rng *rand.Rand) error { return l.signIn(ctx, rng, p) })
	}

	// Nine days ago, in the night, somebody tried a list of passkeys that were never here.
	if hour := at.Sub(at.Truncate(24 * time.Hour)); hour >= 3*time.Hour && hour < 4*time.Hour && at.Truncate(24*time.Hour).Equal(time.Now().UTC().AddDate(0, 0, -9).Truncate(24*time.Hour)) {
		for range 12 {
			acts = append(acts, l.intrude)
		}
	}

	acts = append(acts, l.guess(at)...)
	acts = append(acts, l.due(at)...)

	// Twice a day somebody at the bank's help desk helps.
	if at.Minute() == 30 && (at.Hour() == 9 || at.Hour() == 14) && len(l.people) > 20 {
		p := l.someoneKnown()
		acts = append(acts, func(ctx context.Context, rng *rand.Rand) error { return l.help(ctx, rng, p) })
	}
	return l.all(ctx, acts)
}

// all runs acts side by side, each with chance of its own, so that which is first changes
// nothing.
func (l *life) all(ctx context.Context, acts []func(context.Context, *rand.Rand) error) error {
	errs := make([]error, len(acts))
	var wg sync.WaitGroup
	turns := make(chan struct{}, together)
	for i, act := range acts {
		rng := rand.New(rand.NewPCG(l.rng.Uint64(), 2)) //nolint:gosec // see Make
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			errs[i] = act(ctx, rng)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *life) someoneKnown() *person {
	var total float64
	for _, p := range l.people {
		total += p.weight
	}
	at := l.rng.Float64() * total
	for _, p := range l.people {
		if at -= p.weight; at <= 0 {
			return p
		}
	}
	return nil
}

// from is the tenant's server, with what it says of its caller.
func (l *life) from(address netip.Addr, agent string, rng *rand.Rand) scope.Scope {
	id := uuid.Must(uuid.NewRandomFromReader(bytesOf{rng}))
	trace := uuid.Must(uuid.NewRandomFromReader(bytesOf{rng}))
	return l.Scope.WithOrigin(scope.Origin{Address: address, UserAgent: agent, RequestID: id.String(), TraceID: fmt.Sprintf("%x", trace[:])})
}

// enroll gives p a passkey of a model.
func (l *life) enroll(ctx context.Context, rng *rand.Rand, p *person, m *model) error {
	options := m.options
	options.AAGUID = m.aaguid
	a, err := authenticatortest.New(options)
	if err != nil {
		return err
	}
	d := &device{Authenticator: a, model: m, agent: m.agents[rng.IntN(len(m.agents))]}
	sc := l.from(p.address, d.agent, rng)
	begun, err := l.Ceremonies.BeginRegistration(ctx, sc, ceremony.BeginRegistrationRequest{
		User: &user.Profile{ExternalID: p.external, Name: p.name, DisplayName: p.display},
	})
	if err != nil {
		return l.fails(err) // blocked, or with as many as there may be
	}
	if rng.Float64() < 0.04 { // who closes the prompt
		return l.fails(nil)
	}
	page, deviation := l.Origin, authenticatortest.Deviation{}
	switch at := rng.Float64(); {
	case at < 0.02:
		page = "https://staging.northwind.example"
	case at < 0.03:
		deviation.ClearFlags = authenticatortest.UV
	}
	made, err := create(a, &begun, page, deviation)
	if err != nil {
		return err
	}
	nickname := m.nickname
	done, err := l.Ceremonies.FinishRegistration(ctx, sc, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: made, Nickname: &nickname})
	if err != nil {
		return l.fails(err)
	}
	d.credential = done.Credential.ID.String()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(p.devices) == 0 {
		l.made.Users++
	}
	p.devices = append(p.devices, d)
	l.made.Credentials++
	return nil
}

// signIn is one by p, with what may go wrong with it.
func (l *life) signIn(ctx context.Context, rng *rand.Rand, p *person) error {
	l.mu.Lock()
	var d *device
	if len(p.devices) > 0 {
		d = p.devices[rng.IntN(len(p.devices))]
	}
	second := len(p.devices) == 1 && rng.Float64() < 0.01
	l.mu.Unlock()
	if d == nil { // who closed the prompt tries again
		return l.enroll(ctx, rng, p, pick(rng))
	}
	if second {
		return l.enroll(ctx, rng, p, pick(rng))
	}
	if d.dead.Load() && rng.Float64() < 0.7 {
		return nil
	}
	at := usual(p, d)
	switch chance := rng.Float64(); {
	case chance < 0.012:
		at = abroad(rng, p, d)
	case chance < 0.016:
		at = stolen(rng, p, d)
	}
	page, deviation := l.Origin, authenticatortest.Deviation{}
	switch chance := rng.Float64(); {
	case chance < 0.012: // who closes the prompt
		return nil
	case chance < 0.020:
		deviation.ClearFlags = authenticatortest.UV
	case chance < 0.024:
		page = "https://staging.northwind.example"
	case chance < 0.027:
		deviation.WrongKey = true
	case chance < 0.028 && !d.model.options.NoCounter:
		deviation.SignCount = authenticatortest.LoweredCount
	case chance < 0.030:
		deviation.Challenge = []byte("a page that was open since yesterday")
	}
	return l.come(ctx, rng, at, page, deviation)
}

// come is a sign-in with whatever is wrong with it, and the second one that may be asked for.
func (l *life) come(ctx context.Context, rng *rand.Rand, at visit, page string, deviation authenticatortest.Deviation) error {
	done, err := l.try(ctx, rng, at, page, deviation, "")
	if err != nil {
		return l.fails(err)
	}
	if done.Decision == ceremony.StepUp && done.Reason != "" {
		_ = l.fails(nil)
		if at.thief || rng.Float64() < 0.2 { // who is asked twice and goes away
			return nil
		}
		if done, err = l.try(ctx, rng, at, l.Origin, authenticatortest.Deviation{}, done.StepUp.Token); err != nil {
			return l.fails(err)
		}
	}
	if done.Decision != ceremony.Allow {
		return l.fails(nil)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made.SignIns++
	l.hears(rng, at, &done)
	return nil
}

// try is one sign-in at a visit, or the second half of one by a step-up token.
func (l *life) try(ctx context.Context, rng *rand.Rand, at visit, page string, deviation authenticatortest.Deviation, token string) (ceremony.Authenticated, error) {
	sc := l.from(at.address, at.agent, rng)
	begun, err := l.Ceremonies.BeginAuthentication(ctx, sc, ceremony.BeginAuthenticationRequest{StepUpToken: token})
	if err != nil {
		return ceremony.Authenticated{}, fmt.Errorf("begin a sign-in: %w", err)
	}
	made, err := get(at.by, &begun, page, deviation)
	if err != nil {
		return ceremony.Authenticated{}, err
	}
	return l.Ceremonies.FinishAuthentication(ctx, sc, ceremony.FinishAuthenticationRequest{
		ID: begun.ID, Response: made, Client: &ceremony.Client{Address: at.address, UserAgent: at.agent},
	})
}

// intrude tries a passkey that was never enrolled here.
func (l *life) intrude(ctx context.Context, rng *rand.Rand) error {
	a, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		return err
	}
	sc := l.from(address(rand.New(rand.NewPCG(l.Seed, 3))), "python-requests/2.34", rng) //nolint:gosec // one address, all night
	begun, err := l.Ceremonies.BeginAuthentication(ctx, sc, ceremony.BeginAuthenticationRequest{})
	if err != nil {
		return err
	}
	// Its passkey is one that it makes for the occasion.
	enrolled, err := l.Ceremonies.BeginRegistration(ctx, sc, ceremony.BeginRegistrationRequest{
		User: &user.Profile{ExternalID: "nobody-" + uuid.Must(uuid.NewRandomFromReader(bytesOf{rng})).String(), Name: "nobody@example.com", DisplayName: "Nobody"},
	})
	if err != nil {
		return err
	}
	if _, err := create(a, &enrolled, l.Origin, authenticatortest.Deviation{}); err != nil {
		return err
	}
	made, err := get(&device{Authenticator: a}, &begun, l.Origin, authenticatortest.Deviation{})
	if err != nil {
		return err
	}
	_, err = l.Ceremonies.FinishAuthentication(ctx, sc, ceremony.FinishAuthenticationRequest{ID: begun.ID, Response: made})
	return l.fails(err)
}

// fails counts a refusal. What is no refusal stops the run.
func (l *life) fails(err error) error {
	if f, ok := fault.As(err); err != nil && (!ok || f.Kind == fault.Unavailable || f.Kind == fault.Exhausted) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made.Failures++
	return nil
}

// help is what a help desk does for somebody.
func (l *life) help(ctx context.Context, rng *rand.Rand, p *person) error {
	if p == nil {
		return nil
	}
	l.mu.Lock()
	var d *device
	if len(p.devices) > 0 {
		d = p.devices[0]
	}
	l.mu.Unlock()
	if d == nil || d.dead.Load() {
		return nil
	}
	sc := l.from(p.address, "northwind-desk/4.2", rng)
	id, err := credential.ParseID(d.credential)
	if err != nil {
		return err
	}
	found, err := l.Credentials.Get(ctx, sc, id)
	if err != nil {
		return err
	}
	switch at := rng.Float64(); {
	case at < 0.35:
		_, err = l.Recoveries.CreateCodes(ctx, sc, found.UserID, "")
	case at < 0.6:
		_, err = l.Credentials.Suspend(ctx, sc, credential.StateRequest{ID: id, Reason: "Phone was lost, then found: customer calls back"})
		d.dead.Store(err == nil)
	case at < 0.8:
		_, err = l.Credentials.Revoke(ctx, sc, credential.RevokeRequest{ID: id, Reason: "Phone was sold", AllowLast: true})
		d.dead.Store(err == nil)
	case at < 0.9:
		_, err = l.Users.Block(ctx, sc, user.BlockRequest{ID: found.UserID, Reason: "Fraud desk, case 2026-" + fmt.Sprint(100+rng.IntN(900))})
		d.dead.Store(err == nil)
	default:
		return nil
	}
	return l.fails(err)
}

// rhythm is how much of a working day's mean happens at a time of day: the most before
// noon and after work, the least at four in the night, half of it on weekends.
func rhythm(at time.Time) float64 {
	hours := [24]float64{.25, .15, .12, .10, .12, .25, .6, 1.1, 1.6, 1.8, 1.7, 1.6, 1.7, 1.6, 1.5, 1.4, 1.4, 1.6, 1.7, 1.5, 1.2, .95, .7, .4}
	share := hours[at.Hour()]
	if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
		share *= 0.55
	}
	return share
}

// poisson is a number of independent events of which mean is expected (Knuth).
func poisson(rng *rand.Rand, mean float64) int {
	n, p := 0, rng.ExpFloat64()
	for p < mean {
		n++
		p += rng.ExpFloat64()
	}
	return n
}

// bytesOf reads chance.
type bytesOf struct{ *rand.Rand }

// Read implements io.Reader.
func (b bytesOf) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b.Uint32() & 0xff)
	}
	return len(p), nil
}

// create and get do what a browser does between begin and finish.
func create(a *authenticatortest.Authenticator, begun *ceremony.BegunRegistration, page string, deviation authenticatortest.Deviation) (webauthn.RegistrationResponse, error) {
	options, err := json.Marshal(begun.Options)
	if err != nil {
		return webauthn.RegistrationResponse{}, err
	}
	made, err := a.CreateWith(options, page, deviation)
	if err != nil {
		return webauthn.RegistrationResponse{}, err
	}
	text, err := made.MarshalJSON()
	if err != nil {
		return webauthn.RegistrationResponse{}, err
	}
	return webauthn.ParseRegistrationResponse(text)
}

func get(d *device, begun *ceremony.BegunAuthentication, page string, deviation authenticatortest.Deviation) (webauthn.AssertionResponse, error) {
	options, err := json.Marshal(begun.Options)
	if err != nil {
		return webauthn.AssertionResponse{}, err
	}
	made, err := d.GetWith(options, page, deviation)
	if err != nil {
		return webauthn.AssertionResponse{}, err
	}
	text, err := made.MarshalJSON()
	if err != nil {
		return webauthn.AssertionResponse{}, err
	}
	return webauthn.ParseAssertionResponse(text)
}
