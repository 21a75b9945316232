package flag

import (
	"context"
	"math"

	"github.com/open-feature/go-sdk/openfeature"
)

// Source has the flags of one environment as they are now. It answers from memory.
type Source interface {
	Flags(ctx context.Context) (*Set, error)
}

// Provider is an OpenFeature provider that evaluates in process. It is safe for concurrent use.
type Provider struct{ source Source }

// providerName is what OpenFeature calls it.
const providerName = "biocore"

// NewProvider returns a Provider of what source has.
func NewProvider(source Source) *Provider {
	return &Provider{source: source}
}

// Metadata implements openfeature.FeatureProvider.
func (p *Provider) Metadata() openfeature.Metadata { return openfeature.Metadata{Name: providerName} }

// Hooks implements openfeature.FeatureProvider.
func (p *Provider) Hooks() []openfeature.Hook { return nil }

// BooleanEvaluation implements openfeature.FeatureProvider.
func (p *Provider) BooleanEvaluation(ctx context.Context, key string, fallback bool, about openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	v, detail := p.evaluate(ctx, key, Boolean, about)
	if v == nil {
		return openfeature.BoolResolutionDetail{Value: fallback, ProviderResolutionDetail: detail}
	}
	return openfeature.BoolResolutionDetail{Value: v.Bool, ProviderResolutionDetail: detail}
}

// StringEvaluation implements openfeature.FeatureProvider.
func (p *Provider) StringEvaluation(ctx context.Context, key, fallback string, about openfeature.FlattenedContext) openfeature.StringResolutionDetail {
	v, detail := p.evaluate(ctx, key, String, about)
	if v == nil {
		return openfeature.StringResolutionDetail{Value: fallback, ProviderResolutionDetail: detail}
	}
	return openfeature.StringResolutionDetail{Value: v.Text, ProviderResolutionDetail: detail}
}

// FloatEvaluation implements openfeature.FeatureProvider.
func (p *Provider) FloatEvaluation(ctx context.Context, key string, fallback float64, about openfeature.FlattenedContext) openfeature.FloatResolutionDetail {
	v, detail := p.evaluate(ctx, key, Number, about)
	if v == nil {
		return openfeature.FloatResolutionDetail{Value: fallback, ProviderResolutionDetail: detail}
	}
	return openfeature.FloatResolutionDetail{Value: v.Number, ProviderResolutionDetail: detail}
}

// IntEvaluation implements openfeature.FeatureProvider. A number that is not whole, or not
// exact as a float64, is a TYPE_MISMATCH.
func (p *Provider) IntEvaluation(ctx context.Context, key string, fallback int64, about openfeature.FlattenedContext) openfeature.IntResolutionDetail {
	const exact = 1 << 53
	v, detail := p.evaluate(ctx, key, Number, about)
	if v != nil && (v.Number != math.Trunc(v.Number) || math.Abs(v.Number) > exact) {
		v, detail = nil, failed(TypeMismatch)
	}
	if v == nil {
		return openfeature.IntResolutionDetail{Value: fallback, ProviderResolutionDetail: detail}
	}
	return openfeature.IntResolutionDetail{Value: int64(v.Number), ProviderResolutionDetail: detail}
}

// ObjectEvaluation implements openfeature.FeatureProvider. The value is shared: not to be changed.
func (p *Provider) ObjectEvaluation(ctx context.Context, key string, fallback any, about openfeature.FlattenedContext) openfeature.InterfaceResolutionDetail {
	v, detail := p.evaluate(ctx, key, Object, about)
	if v == nil {
		return openfeature.InterfaceResolutionDetail{Value: fallback, ProviderResolutionDetail: detail}
	}
	return openfeature.InterfaceResolutionDetail{Value: v.Object, ProviderResolutionDetail: detail}
}

// evaluate returns the variant, or nil when the caller's default applies.
func (p *Provider) evaluate(ctx context.Context, key string, kind Type, about openfeature.FlattenedContext) (*Variant, openfeature.ProviderResolutionDetail) {
	set, err := p.source.Flags(ctx)
	if err != nil {
		return nil, openfeature.ProviderResolutionDetail{Reason: openfeature.ErrorReason, ResolutionError: openfeature.NewProviderNotReadyResolutionError("flags cannot be read now")}
	}
	targetingKey, _ := about[openfeature.TargetingKey].(string)
	got := set.Evaluate(key, &Subject{Key: targetingKey, Attributes: about})
	switch {
	case got.Code != "":
		return nil, failed(got.Code)
	case got.Variant.Type != kind:
		return nil, failed(TypeMismatch)
	}
	return got.Variant, openfeature.ProviderResolutionDetail{Reason: openfeature.Reason(got.Reason), Variant: got.Variant.Name}
}

func failed(code Code) openfeature.ProviderResolutionDetail {
	detail := openfeature.ProviderResolutionDetail{Reason: openfeature.ErrorReason}
	switch code {
	case FlagNotFound:
		detail.ResolutionError = openfeature.NewFlagNotFoundResolutionError(code.Message())
	case TypeMismatch:
		detail.ResolutionError = openfeature.NewTypeMismatchResolutionError(code.Message())
	case TargetingKeyMissing:
		detail.ResolutionError = openfeature.NewTargetingKeyMissingResolutionError(code.Message())
	case InvalidContext:
		detail.ResolutionError = openfeature.NewInvalidContextResolutionError(code.Message())
	case General:
		detail.ResolutionError = openfeature.NewGeneralResolutionError(code.Message())
	}
	return detail
}
