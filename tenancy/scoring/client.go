package scoring

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// maxAtOnce bounds the questions to one service that are under way on one server.
const maxAtOnce = 64

// Options configures a Client.
type Options struct {
	Config     Config // as Check takes it
	Credential string // as CheckCredential takes it; in the clear

	// Allowed are networks that may be asked although they are not of the public Internet.
	Allowed []netip.Prefix
	// Resolver finds addresses; nil means the system's.
	Resolver *net.Resolver
	// Roots are who certificates must come from where the Config names nobody; nil means the system's.
	Roots *x509.CertPool
	// Counts is told of each question; nil: nobody is.
	Counts *Counts
	Now    func() time.Time // nil means time.Now
}

// Client asks one service of one tenant. It is safe for concurrent use, and keeps connections: make one for each version
// of a Config, and Close it.
type Client struct {
	config  Config
	link    *link
	wire    wire
	breaker breaker
	slots   chan struct{}
	counts  *Counts
	now     func() time.Time

	mu   sync.Mutex
	last Status // but for the breaker's
}

var _ Provider = (*Client)(nil)

// wire is how a kind asks and answers.
type wire interface {
	// question is the URL's path below the address, headers and body.
	question(f Facts) (request, error)
	// answer reads what a status of 200 or 201 came with. Its error is a ScoreError.
	answer(body []byte) (Score, error)
}

// New returns a Client, or the first ConfigError.
func New(o Options) (*Client, error) {
	if problems := o.Config.Check(o.Allowed); len(problems) > 0 {
		return nil, problems[0]
	}
	if err := CheckCredential(o.Credential); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Client{config: o.Config, link: newLink(&o), breaker: breaker{now: o.Now}, slots: make(chan struct{}, maxAtOnce), counts: o.Counts, now: o.Now}
	c.last.Known = c.now()
	switch o.Config.Kind {
	case ThreatMetrix:
		c.wire = threatMetrix{config: &c.config, apiKey: o.Credential}
	case Feedzai:
		c.wire = feedzai{config: &c.config, token: o.Credential}
	}
	return c, nil
}

// Close lets go of connections. Questions under way end by themselves.
func (c *Client) Close() { c.link.http.CloseIdleConnections() }

// Status is how a service fares with one server, since the server has known it as it is configured now.
type Status struct {
	Known    time.Time // since when that is: the server looks anew at what is configured every few minutes
	State    State     // of the circuit breaker
	Since    time.Time // when it opened or closed; zero: it was never open
	Probe    time.Time // of one that is not closed: from when on it is asked once
	Answered time.Time // when it last gave a score; zero: never
	Failed   time.Time // when it last gave none although it was asked; zero: never
	Reason   Reason    // why
	Text     string    // in words: of ours, as ScoreError's
}

// Status tells how the service fares.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.last
	s.State, s.Since, s.Probe = c.breaker.state()
	return s
}

// remember notes what a question came to. That nobody was asked, and that who asked has gone, say nothing of the service.
func (c *Client) remember(err error) {
	failure, ok := errors.AsType[*ScoreError](err)
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.last.Answered = now
	case ok && failure.Reason != Open && failure.Reason != Busy:
		c.last.Failed, c.last.Reason, c.last.Text = now, failure.Reason, failure.Text
	}
}

// Score implements Provider. It takes no longer than the Config's timeout.
func (c *Client) Score(ctx context.Context, f Facts) (Score, error) {
	began := c.now()
	score, err := c.score(ctx, c.withheld(f))
	c.remember(err)
	c.counts.add(c.config.Kind, err, c.now().Sub(began))
	return score, err
}

func (c *Client) score(outer context.Context, f Facts) (Score, error) {
	if err := outer.Err(); err != nil {
		return Score{}, err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		return Score{}, &ScoreError{Busy, "too many questions to the risk provider are under way"}
	}
	leave, ok := c.breaker.ask()
	if !ok {
		return Score{}, &ScoreError{Open, "the risk provider has failed too often, and is left alone for a while"}
	}
	ctx, cancel := context.WithTimeout(outer, c.config.Timeout())
	defer cancel()
	score, err := c.exchange(ctx, f)
	switch {
	case err == nil:
		c.breaker.done(leave, succeeded)
	case outer.Err() != nil: // who asked has gone: that says nothing of the service
		c.breaker.done(leave, unknown)
		return Score{}, outer.Err()
	default:
		c.breaker.done(leave, failed)
	}
	return score, err
}

func (c *Client) exchange(ctx context.Context, f Facts) (Score, error) {
	q, err := c.wire.question(f)
	if err != nil {
		return Score{}, err
	}
	body, err := c.link.post(ctx, q)
	if err != nil {
		return Score{}, err
	}
	return c.wire.answer(body)
}

// withheld takes out of f what the tenant does not send.
func (c *Client) withheld(f Facts) Facts {
	if !c.config.SendSubject {
		f.Subject = ""
	}
	if !c.config.SendAddress {
		f.Address = netip.Addr{}
	}
	if !c.config.SendPlace {
		f.Country, f.ASN = "", 0
	}
	if !c.config.SendUserAgent {
		f.UserAgent = ""
	}
	return f
}

// Counts are what questions have come to on this server, for all tenants together. The zero value counts; nil does not.
type Counts struct{ kinds [2]counter }

type counter struct {
	scored   atomic.Int64
	left     atomic.Int64 // who asked went away
	failures [9]atomic.Int64
	took     atomic.Int64 // ns, of all that were asked
	asked    atomic.Int64
}

// Count is that of one kind.
type Count struct {
	Kind     Kind
	Scored   int64
	Left     int64
	Failures map[Reason]int64
	Asked    int64         // that were sent, or tried to be
	Took     time.Duration // all of these together
}

func (c *Counts) add(kind Kind, err error, took time.Duration) {
	if c == nil {
		return
	}
	for i, k := range Kinds() {
		if k != kind {
			continue
		}
		one := &c.kinds[i]
		reason := Reason("")
		if f, ok := errors.AsType[*ScoreError](err); ok {
			reason = f.Reason
		}
		if reason != Open && reason != Busy {
			one.asked.Add(1)
			one.took.Add(int64(took))
		}
		switch {
		case err == nil:
			one.scored.Add(1)
		case reason == "":
			one.left.Add(1)
		default:
			for n, r := range Reasons() {
				if r == reason {
					one.failures[n].Add(1)
				}
			}
		}
	}
}

// Read returns the counts of each kind.
func (c *Counts) Read() []Count {
	var all []Count
	for i, k := range Kinds() {
		one := &c.kinds[i]
		count := Count{Kind: k, Scored: one.scored.Load(), Left: one.left.Load(), Failures: map[Reason]int64{}, Asked: one.asked.Load(), Took: time.Duration(one.took.Load())}
		for n, r := range Reasons() {
			count.Failures[r] = one.failures[n].Load()
		}
		all = append(all, count)
	}
	return all
}
