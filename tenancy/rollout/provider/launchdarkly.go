package provider

import (
	"errors"
	"fmt"
	"net/http"

	ld "github.com/launchdarkly/go-server-sdk/v7"
	"github.com/launchdarkly/go-server-sdk/v7/interfaces"
	"github.com/launchdarkly/go-server-sdk/v7/ldcomponents"
	launchdarkly "github.com/open-feature/go-sdk-contrib/providers/launchdarkly/pkg"
	"github.com/open-feature/go-sdk/openfeature"
)

// overLaunchDarkly is the community's provider, which leaves its client to others.
type overLaunchDarkly struct {
	*launchdarkly.Provider

	client *ld.LDClient
	wire   *wire
}

// openLaunchDarkly evaluates in memory what LaunchDarkly streams, and sends it what was evaluated.
func openLaunchDarkly(o Options) (Opened, error) {
	w := newWire()
	cfg := ld.Config{
		HTTP:             ldcomponents.HTTPConfiguration().HTTPClientFactory(func() *http.Client { return &http.Client{Transport: w.transport} }), // no bound: it streams
		Logging:          ldcomponents.NoLogging(),                                                                                                // health tells
		DiagnosticOptOut: true,
	}
	if o.URL != "" {
		cfg.ServiceEndpoints = ldcomponents.RelayProxyEndpoints(o.URL)
	}
	client, err := ld.MakeCustomClient(o.Key.Reveal(), cfg, 0)
	if err != nil {
		return Opened{}, fmt.Errorf("LaunchDarkly: %w", err)
	}
	p := &overLaunchDarkly{Provider: launchdarkly.NewProvider(client), client: client, wire: w}
	return Opened{Provider: p, Health: p.health}, nil
}

// Metadata implements openfeature.FeatureProvider.
func (*overLaunchDarkly) Metadata() openfeature.Metadata {
	return openfeature.Metadata{Name: string(LaunchDarkly)}
}

var errNoFlags = errors.New("no flags have come yet")

// Init implements openfeature.StateHandler: it waits for the first flags.
func (p *overLaunchDarkly) Init(openfeature.EvaluationContext) error {
	if !p.client.GetDataSourceStatusProvider().WaitFor(interfaces.DataSourceStateValid, initWithin) {
		return p.health()
	}
	return nil
}

// Shutdown implements openfeature.StateHandler.
func (p *overLaunchDarkly) Shutdown() {
	_ = p.client.Close() // it never fails
	p.wire.close()
}

// health is how the stream is. Flags that came before go on being served without it.
func (p *overLaunchDarkly) health() error {
	switch status := p.client.GetDataSourceStatusProvider().GetStatus(); {
	case status.State == interfaces.DataSourceStateValid:
		return nil
	case status.LastError.Kind != "":
		return fmt.Errorf("the stream is %s: %s", status.State, status.LastError)
	default:
		return errNoFlags
	}
}
