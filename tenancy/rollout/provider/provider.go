// Package provider opens the OpenFeature provider from elsewhere that Biocore's own switches are asked of (see package rollout):
// one over OFREP, flagd, Unleash or LaunchDarkly. Modules of theirs are imported here and nowhere else. Biocore's own is
// flag.Provider.
package provider

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// Kind is whose provider it is.
type Kind string

// The kinds.
const (
	Biocore      Kind = "biocore" // no provider from elsewhere
	OFREP        Kind = "ofrep"
	Flagd        Kind = "flagd"
	Unleash      Kind = "unleash"
	LaunchDarkly Kind = "launchdarkly"
)

// Kinds returns them all.
func Kinds() []Kind { return []Kind{Biocore, OFREP, Flagd, Unleash, LaunchDarkly} }

// Options says which provider, and where it is.
type Options struct {
	Kind Kind
	// URL is http or https, without user, query or fragment: of OFREP what is before /ofrep/v1, of flagd its RPC port without a path, of Unleash
	// its API (https://unleash.example/api), of LaunchDarkly a Relay Proxy or empty.
	URL string
	// Key is a bearer token of OFREP or empty, an API token of Unleash for clients, an SDK key of LaunchDarkly; flagd has none.
	Key secret.Text
}

// Opened is a provider that is not initialised yet.
type Opened struct {
	Provider openfeature.FeatureProvider
	Health   func() error // as of rollout.Options
}

// Errors of Check
var (
	errKind    = errors.New("the provider of feature flags is biocore, ofrep, flagd, unleash or launchdarkly")
	errNoURL   = errors.New("this provider of feature flags needs a URL")
	errURL     = errors.New("the URL of a provider of feature flags is http:// or https:// with a host, and without user, query or fragment")
	errNoKey   = errors.New("this provider of feature flags needs a key")
	errKey     = errors.New("this provider of feature flags takes no key")
	errPath    = errors.New("the URL of flagd has no path")
	errNothing = errors.New("the provider biocore takes neither a URL nor a key")
)

// Check refuses what no provider can be opened with. The error tells nothing of the key.
func (o *Options) Check() error {
	var none secret.Text
	switch {
	case !slices.Contains(Kinds(), o.Kind):
		return errKind
	case o.Kind == Biocore && (o.URL != "" || o.Key != none):
		return errNothing
	case o.Kind == Biocore:
		return nil
	case o.URL == "" && o.Kind != LaunchDarkly:
		return errNoURL
	case o.Key == none && (o.Kind == Unleash || o.Kind == LaunchDarkly):
		return errNoKey
	case o.Key != none && o.Kind == Flagd:
		return errKey
	}
	if o.URL == "" {
		return nil
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errURL
	case o.Kind == Flagd && strings.Trim(u.Path, "/") != "":
		return errPath
	}
	return nil
}

// Open opens the provider. What it runs ends when the provider is shut down.
func Open(o Options) (Opened, error) {
	if err := o.Check(); err != nil {
		return Opened{}, err
	}
	switch o.Kind {
	case OFREP:
		return openOFREP(o), nil
	case Flagd:
		return openFlagd(o)
	case Unleash:
		return openUnleash(o), nil
	case LaunchDarkly:
		return openLaunchDarkly(o)
	case Biocore:
	}
	return Opened{}, errKind
}

const (
	callWithin = 5 * time.Second // bounds a call to a provider
	initWithin = 4 * time.Second // bounds its beginning: less than package rollout waits, so that it can say why
)

// wire is the connections of a provider by HTTP, and how the last call went.
type wire struct {
	transport *http.Transport

	mu   sync.Mutex
	last error
}

func newWire() *wire {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 8, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: callWithin, ResponseHeaderTimeout: callWithin}
	return &wire{transport: t}
}

// client speaks over the wire.
func (w *wire) client() *http.Client { return &http.Client{Transport: w, Timeout: callWithin} }

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := w.transport.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case r.Context().Err() != nil: // whoever asked has gone
	case err != nil:
		w.last = err
	case a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusTooManyRequests || a.StatusCode >= http.StatusInternalServerError:
		w.last = fmt.Errorf("%s %s: %s", r.Method, r.URL.Path, a.Status)
	default:
		w.last = nil
	}
	return a, err
}

// health is how the last call went.
func (w *wire) health() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *wire) close() { w.transport.CloseIdleConnections() }
