// Package load measures sign-ins: software authenticators run whole ceremonies
// over REST against a server, each worker in a closed loop, which begins the next
// sign-in when the last one is answered.
//
// Throughput on a shared machine is a mood; the figure to compare is the CPU time
// that a sign-in costs the server, Postgres and Redis together, which noise moves
// least. It is read from /proc, so only on Linux and on the machine itself.
package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// Options configure a run.
type Options struct {
	secret.Hidden // PlatformKey is one

	URL         string // of the API
	PlatformKey string // makes the tenants
	Tenants     int    // 1 to MaxTenants
	Users       int    // each with one credential; at least as many as the most workers, at most MaxUsers
	Workers     []int  // one measurement each; 1 to MaxWorkers
	Noise       int    // sign in beside, at a tenant of their own: each measurement is taken again with them; 0 for none, at most MaxWorkers
	Duration    time.Duration
	Warmup      time.Duration // not measured, before each measurement

	// PIDs are the roots of the process trees whose CPU time counts; empty for none.
	// Postgres and Redis are told apart by their programs' names.
	PIDs []int

	// Remote allows a server that is not on this machine's loopback: whoever asks for
	// it has that server's owner's consent.
	Remote bool

	// Progress hears what is being done; nil for nobody.
	Progress func(string)
}

// Bounds of a run: enough for any machine that this is for, and no flood.
const (
	MaxTenants  = 1_000
	MaxUsers    = 100_000
	MaxWorkers  = 1_024
	MaxDuration = 10 * time.Minute
)

// Latency is a distribution in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Measurement is what one number of workers did.
type Measurement struct {
	Workers   int            `json:"workers"`
	Noise     int            `json:"noise,omitempty"` // workers of the noisy tenant beside; the figures below are of the others
	Seconds   float64        `json:"seconds"`
	SignIns   int            `json:"signIns"`
	PerSecond float64        `json:"perSecond"`
	Errors    int            `json:"errors"`
	Reasons   map[string]int `json:"reasons,omitempty"` // of errors
	Begin     Latency        `json:"beginMs"`
	Finish    Latency        `json:"finishMs"`
	Total     Latency        `json:"totalMs"` // of both calls, without the authenticator's work between them

	// NoiseAnswered and NoiseRefused are the noisy tenant's sign-ins a second.
	NoiseAnswered float64 `json:"noiseAnsweredPerSecond,omitempty"`
	NoiseRefused  float64 `json:"noiseRefusedPerSecond,omitempty"`

	// CPU is milliseconds a sign-in by program: server, postgres, redis. nil where it
	// cannot be read, and beside a noisy tenant, whose work it would be. RSS is the most that was resident, in MiB, shared pages counted
	// with each process.
	CPU map[string]float64 `json:"cpuMsPerSignIn,omitempty"`
	RSS map[string]float64 `json:"rssMiB,omitempty"`
}

// CPUTotal is the CPU time of all programs, in milliseconds a sign-in.
func (m *Measurement) CPUTotal() (total float64) {
	for _, ms := range m.CPU {
		total += ms
	}
	return total
}

// Report is a run.
type Report struct {
	URL          string        `json:"url"`
	Tenants      int           `json:"tenants"`
	Users        int           `json:"users"`
	Measurements []Measurement `json:"measurements"`
}

// Check says what is wrong with the options.
func (o *Options) Check() error {
	most := 0
	for _, n := range o.Workers {
		if n < 1 || n > MaxWorkers {
			return fmt.Errorf("workers are 1 to %d", MaxWorkers)
		}
		most = max(most, n)
	}
	switch {
	case len(o.Workers) == 0:
		return errors.New("no number of workers")
	case o.Noise < 0 || o.Noise > MaxWorkers:
		return fmt.Errorf("the noise is 0 to %d workers", MaxWorkers)
	case o.Tenants < 1 || o.Tenants > MaxTenants:
		return fmt.Errorf("tenants are 1 to %d", MaxTenants)
	case o.Users < most || o.Users > MaxUsers:
		return fmt.Errorf("users are at least as many as workers, and at most %d", MaxUsers)
	case o.Duration < time.Second || o.Duration > MaxDuration:
		return fmt.Errorf("the duration is between 1s and %v", MaxDuration)
	case o.Warmup < 0 || o.Warmup > time.Minute:
		return errors.New("the warm-up takes up to 1m")
	case o.PlatformKey == "":
		return errors.New("no platform key to make tenants with")
	}
	return o.checkURL()
}

func (o *Options) checkURL() error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("the server's URL is http://host:port")
	}
	if o.Remote || u.Hostname() == "localhost" {
		return nil
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is not this machine: a load test of a server elsewhere is an attack unless its owner agrees", u.Hostname())
}

// Run makes tenants, enrolls users, measures, and suspends the tenants again. An
// error means that it could not measure; failed sign-ins are counted.
func Run(ctx context.Context, o Options) (report Report, err error) {
	if err := o.Check(); err != nil {
		return Report{}, err
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	api := newAPI(o.URL, slices.Max(o.Workers)+o.Noise)
	defer api.close()
	o.Progress(fmt.Sprintf("making %d tenants and enrolling %d users", o.Tenants, o.Users))
	count := o.Tenants
	if o.Noise > 0 {
		count++ // the noisy one
	}
	tenants, err := api.makeTenants(ctx, o.PlatformKey, count)
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, api.suspendTenants(last, o.PlatformKey, tenants))
	}()
	if err != nil {
		return Report{}, err
	}
	users, err := api.enroll(ctx, tenants[:o.Tenants], o.Users)
	if err != nil {
		return Report{}, err
	}
	noisy, err := api.enroll(ctx, tenants[o.Tenants:], o.Noise)
	if err != nil {
		return Report{}, err
	}
	report = Report{URL: o.URL, Tenants: o.Tenants, Users: o.Users}
	for _, workers := range o.Workers {
		for _, beside := range slices.Compact([]int{0, o.Noise}) {
			what := fmt.Sprintf("%d workers for %v", workers, o.Warmup+o.Duration)
			if beside > 0 {
				what += fmt.Sprintf(", beside %d of a noisy tenant", beside)
			}
			o.Progress(what)
			m, err := measure(ctx, &o, api, users, workers, noisy[:beside])
			if err != nil {
				return report, err
			}
			report.Measurements = append(report.Measurements, m)
		}
	}
	return report, nil
}

// person is an enrolled user with a credential.
type person struct {
	secret.Hidden

	key           string // of the tenant
	authenticator *authenticatortest.Authenticator
}

// sample is one sign-in, in microseconds.
type sample struct{ begin, finish uint32 }

// measure lets workers sign people in: first unmeasured, then for the duration. Each of the noisy does so beside them.
func measure(ctx context.Context, o *Options, api *api, users []person, workers int, noisy []person) (Measurement, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var working sync.WaitGroup
	phase := newPhase()
	tallies := make([]tally, workers)
	for i := range workers {
		// Each worker has people of its own, so that no credential is used twice at once.
		var own []person
		for j := i; j < len(users); j += workers {
			own = append(own, users[j])
		}
		working.Go(func() { tallies[i].run(ctx, api, own, phase) })
	}
	noise := make([]tally, len(noisy))
	for i, p := range noisy {
		working.Go(func() { noise[i].run(ctx, api, []person{p}, phase) })
	}
	var usage usage
	began := time.Now()
	err := wait(ctx, o.Warmup)
	if err == nil {
		usage.start(o.PIDs)
		began = time.Now()
		phase.measure()
		for left := o.Duration; err == nil && left > 0; left = o.Duration - time.Since(began) {
			err = wait(ctx, min(left, time.Second))
			usage.look()
		}
	}
	took := time.Since(began)
	usage.stop()
	phase.stop()
	working.Wait()
	if err != nil {
		return Measurement{}, err
	}
	m := sum(tallies, workers, took)
	m.CPU, m.RSS = usage.perSignIn(m.SignIns)
	if len(noisy) > 0 {
		beside := sum(noise, len(noisy), took)
		m.Noise, m.NoiseAnswered, m.NoiseRefused = len(noisy), beside.PerSecond, float64(beside.Errors)/beside.Seconds
		m.CPU = nil
	}
	return m, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
