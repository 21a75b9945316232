package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	unleash "github.com/Unleash/unleash-client-go/v4"
	"github.com/Unleash/unleash-client-go/v4/api"
	subject "github.com/Unleash/unleash-client-go/v4/context"
	"github.com/open-feature/go-sdk/openfeature"
)

// overUnleash is a provider over Unleash's own client (ADR 65 says why not the community's). The targeting key is Unleash's user id, by which
// its gradual rollouts are sticky. A boolean is whether a flag is enabled; every other type is the payload of its variant.
type overUnleash struct {
	options Options
	wire    *wire
	refresh time.Duration // how often flags are read
	send    time.Duration // how often it is told what was evaluated

	mu     sync.RWMutex    // held for reading by each evaluation: a client that is closed must not be asked
	client *unleash.Client // nil before Init and after Shutdown
	flags  *memory
}

func openUnleash(o Options) Opened {
	p := &overUnleash{options: o, wire: newWire(), refresh: unleashRefresh, send: unleashSend}
	return Opened{Provider: p, Health: p.health}
}

const (
	unleashRefresh = 10 * time.Second // a switch is to be thrown quickly
	unleashSend    = time.Minute
)

// Metadata implements openfeature.FeatureProvider.
func (*overUnleash) Metadata() openfeature.Metadata {
	return openfeature.Metadata{Name: string(Unleash)}
}

// Hooks implements openfeature.FeatureProvider.
func (*overUnleash) Hooks() []openfeature.Hook { return nil }

// Init implements openfeature.StateHandler: it waits for the first flags, and the client goes on trying.
func (p *overUnleash) Init(openfeature.EvaluationContext) error {
	flags := &memory{ready: make(chan struct{})}
	// It registers by a call that waits, bounded by the wire.
	client, err := unleash.NewClient(
		unleash.WithUrl(p.options.URL), unleash.WithAppName("biocore"), unleash.WithCustomHeaders(http.Header{"Authorization": {p.options.Key.Reveal()}}),
		unleash.WithHttpClient(p.wire.client()), unleash.WithStorage(flags), unleash.WithRefreshInterval(p.refresh), unleash.WithMetricsInterval(p.send),
	)
	if err != nil {
		return fmt.Errorf("unleash: %w", err)
	}
	p.mu.Lock()
	p.client, p.flags = client, flags
	p.mu.Unlock()
	timer := time.NewTimer(initWithin)
	defer timer.Stop()
	select {
	case <-flags.ready:
		return nil
	case <-timer.C:
		return p.health()
	}
}

// Shutdown implements openfeature.StateHandler.
func (p *overUnleash) Shutdown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		_ = p.client.Close() // it never fails
		p.client = nil
	}
	p.wire.close()
}

// health is how the last call went, and whether flags have ever come.
func (p *overUnleash) health() error {
	if err := p.wire.health(); err != nil {
		return err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.flags == nil || !p.flags.came() {
		return errNoFlags
	}
	return nil
}

// with evaluates a flag that there is by fn, or says why not.
func (p *overUnleash) with(key string, about openfeature.FlattenedContext, fn func(*unleash.Client, *subject.Context) openfeature.ProviderResolutionDetail) openfeature.ProviderResolutionDetail {
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch {
	case p.client == nil || !p.flags.came():
		return refused(openfeature.NewProviderNotReadyResolutionError(errNoFlags.Error()))
	case !p.flags.has(key):
		return refused(openfeature.NewFlagNotFoundResolutionError("there is no such flag in this environment"))
	}
	who, err := subjectOf(about)
	if err != nil {
		return refused(openfeature.NewInvalidContextResolutionError(err.Error()))
	}
	return fn(p.client, who)
}

func refused(err openfeature.ResolutionError) openfeature.ProviderResolutionDetail {
	return openfeature.ProviderResolutionDetail{Reason: openfeature.ErrorReason, ResolutionError: err}
}

// BooleanEvaluation implements openfeature.FeatureProvider.
func (p *overUnleash) BooleanEvaluation(_ context.Context, key string, fallback bool, about openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	out := openfeature.BoolResolutionDetail{Value: fallback}
	out.ProviderResolutionDetail = p.with(key, about, func(c *unleash.Client, who *subject.Context) openfeature.ProviderResolutionDetail {
		out.Value = c.IsEnabled(key, unleash.WithContext(*who))
		return openfeature.ProviderResolutionDetail{Reason: openfeature.UnknownReason} // the client does not tell
	})
	return out
}

// payload is the variant of a flag, read by read; the caller's default holds for a flag that is off or has no variants.
func payload[T any](p *overUnleash, key string, fallback T, about openfeature.FlattenedContext, read func(api.Payload) (T, bool)) openfeature.GenericResolutionDetail[T] {
	out := openfeature.GenericResolutionDetail[T]{Value: fallback}
	out.ProviderResolutionDetail = p.with(key, about, func(c *unleash.Client, who *subject.Context) openfeature.ProviderResolutionDetail {
		got := c.GetVariant(key, unleash.WithVariantContext(*who))
		if !got.Enabled {
			return openfeature.ProviderResolutionDetail{Reason: openfeature.DefaultReason}
		}
		value, ok := read(got.Payload)
		if !ok {
			return refused(openfeature.NewTypeMismatchResolutionError("the variant's payload is of another type"))
		}
		out.Value = value
		return openfeature.ProviderResolutionDetail{Reason: openfeature.UnknownReason, Variant: got.Name}
	})
	return out
}

// StringEvaluation implements openfeature.FeatureProvider.
func (p *overUnleash) StringEvaluation(_ context.Context, key, fallback string, about openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	return payload(p, key, fallback, about, func(v api.Payload) (string, bool) { return v.Value, v.Type == "string" || v.Type == "csv" })
}

// FloatEvaluation implements openfeature.FeatureProvider.
func (p *overUnleash) FloatEvaluation(_ context.Context, key string, fallback float64, about openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	return payload(p, key, fallback, about, number)
}

// IntEvaluation implements openfeature.FeatureProvider.
func (p *overUnleash) IntEvaluation(_ context.Context, key string, fallback int64, about openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	return payload(p, key, fallback, about, func(v api.Payload) (int64, bool) {
		const exact = 1 << 53
		n, ok := number(v)
		return int64(n), ok && n == math.Trunc(n) && math.Abs(n) <= exact
	})
}

// ObjectEvaluation implements openfeature.FeatureProvider.
func (p *overUnleash) ObjectEvaluation(_ context.Context, key string, fallback any, about openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	return payload(p, key, fallback, about, func(v api.Payload) (out any, ok bool) {
		return out, v.Type == "json" && json.Unmarshal([]byte(v.Value), &out) == nil
	})
}

func number(v api.Payload) (float64, bool) {
	n, err := strconv.ParseFloat(v.Value, 64)
	return n, err == nil && v.Type == "number"
}

// subjectOf is an evaluation context as Unleash has it, whose properties are texts.
func subjectOf(about openfeature.FlattenedContext) (*subject.Context, error) {
	out := &subject.Context{Properties: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(about)) {
		var text string
		switch v := about[name].(type) {
		case string:
			text = v
		case bool:
			text = strconv.FormatBool(v)
		case int, int64, float64:
			text = fmt.Sprint(v)
		default:
			return nil, fmt.Errorf("the attribute %q is no text, number or boolean", name)
		}
		if name == openfeature.TargetingKey {
			out.UserId = text
		} else {
			out.Properties[name] = text
		}
	}
	return out, nil
}

// memory has the flags that were read last. The client's own storage would write them into a file.
type memory struct {
	ready chan struct{} // closed when flags have come

	mu    sync.RWMutex
	flags map[string]any // nil: none have come
}

// Init implements unleash.Storage.
func (*memory) Init(string, string) {}

// Load implements unleash.Storage.
func (*memory) Load() error { return nil }

// Persist implements unleash.Storage.
func (*memory) Persist() error { return nil }

// Reset implements unleash.Storage.
func (m *memory) Reset(flags map[string]any, _ bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flags == nil {
		close(m.ready)
	}
	if m.flags = flags; flags == nil {
		m.flags = map[string]any{}
	}
	return nil
}

// Get implements unleash.Storage.
func (m *memory) Get(key string) (any, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f, ok := m.flags[key]
	return f, ok
}

// List implements unleash.Storage.
func (m *memory) List() []any {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Collect(maps.Values(m.flags))
}

func (m *memory) has(key string) bool { _, ok := m.Get(key); return ok }

func (m *memory) came() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.flags != nil
}
