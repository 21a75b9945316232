package provider

import (
	"github.com/open-feature/go-sdk-contrib/providers/ofrep"
	"github.com/open-feature/go-sdk/openfeature"
)

// overOFREP is the community's provider with connections that end.
type overOFREP struct {
	*ofrep.Provider

	wire *wire
}

// openOFREP asks for each evaluation, and remembers nothing.
func openOFREP(o Options) Opened {
	w := newWire()
	options := []ofrep.Option{ofrep.WithClient(w.client())}
	if key := o.Key.Reveal(); key != "" {
		options = append(options, ofrep.WithBearerToken(key))
	}
	return Opened{Provider: &overOFREP{ofrep.NewProvider(o.URL, options...), w}}
}

// Metadata implements openfeature.FeatureProvider.
func (*overOFREP) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: string(OFREP)} }

// Init implements openfeature.StateHandler: there is nothing to begin.
func (*overOFREP) Init(openfeature.EvaluationContext) error { return nil }

// Shutdown implements openfeature.StateHandler.
func (p *overOFREP) Shutdown() { p.wire.close() }
