package rollout_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/open-feature/go-sdk/openfeature"

	"github.com/biocore-id/biocore/tenancy/rollout"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// evaluation is how a provider evaluates a boolean.
type evaluation = func(ctx context.Context, key string, fallback bool, about openfeature.FlattenedContext) openfeature.BoolResolutionDetail

// oracle is a provider that says what it is told to.
type oracle struct {
	openfeature.NoopProvider

	init   error
	answer atomic.Pointer[evaluation]
	closed int
}

func (*oracle) Metadata() openfeature.Metadata             { return openfeature.Metadata{Name: "oracle"} }
func (o *oracle) Init(openfeature.EvaluationContext) error { return o.init }
func (o *oracle) Shutdown()                                { o.closed++ }
func (o *oracle) by(fn evaluation)                         { o.answer.Store(&fn) }

// says has it answer with value, or with err unless that is the zero one.
func (o *oracle) says(value bool, err openfeature.ResolutionError) {
	o.by(func(_ context.Context, _ string, fallback bool, _ openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
		if err != (openfeature.ResolutionError{}) {
			return openfeature.BoolResolutionDetail{Value: fallback, ProviderResolutionDetail: openfeature.ProviderResolutionDetail{ResolutionError: err, Reason: openfeature.ErrorReason}}
		}
		return openfeature.BoolResolutionDetail{Value: value}
	})
}

// BooleanEvaluation implements openfeature.FeatureProvider.
func (o *oracle) BooleanEvaluation(ctx context.Context, key string, fallback bool, about openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
	return (*o.answer.Load())(ctx, key, fallback, about)
}

func open(t *testing.T, o *oracle, health func() error, log *strings.Builder) *rollout.Reader {
	t.Helper()
	r, err := rollout.Open(t.Context(), rollout.Options{Provider: o, Health: health, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tenant() scope.Scope {
	return scope.New(uuid.New(), scope.Actor{Kind: scope.ActorOperator, ID: "ana", Name: "Ana Sousa"})
}

// What the provider says holds; where it says nothing the default does, is counted each time and logged the first time.
func TestOn(t *testing.T) {
	var log strings.Builder
	o := &oracle{}
	o.says(false, openfeature.ResolutionError{})
	r, sc := open(t, o, nil, &log), tenant()
	if r.On(t.Context(), sc, rollout.LiveStreams) || r.Of(rollout.TextScans)(t.Context(), sc) {
		t.Error("on, where the provider says off")
	}
	for _, err := range []openfeature.ResolutionError{
		openfeature.NewFlagNotFoundResolutionError("x"), openfeature.NewTypeMismatchResolutionError("x"), openfeature.NewProviderNotReadyResolutionError("x"), openfeature.NewGeneralResolutionError("x"),
		openfeature.NewParseErrorResolutionError("x"), openfeature.NewTargetingKeyMissingResolutionError("x"), openfeature.NewInvalidContextResolutionError("x"),
	} {
		o.says(false, err)
		for range 3 {
			if !r.On(t.Context(), sc, rollout.LiveStreams) {
				t.Errorf("off, where the provider says %s", err)
			}
		}
	}
	var got []string
	for _, c := range r.Counts() {
		if want := map[bool]int64{true: 3, false: 1}[c.Code != ""]; c.Times != want || c.On != (c.Code != "") {
			t.Errorf("counted %+v, want %d", c, want)
		}
		if c.Code != "" {
			got = append(got, string(c.Code))
		}
	}
	slices.Sort(got)
	if want := []string{"FLAG_NOT_FOUND", "GENERAL", "INVALID_CONTEXT", "PARSE_ERROR", "PROVIDER_NOT_READY", "TARGETING_KEY_MISSING", "TYPE_MISMATCH"}; !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
	if n := strings.Count(log.String(), "flag=biocore.live-streams"); n != 7 || !strings.Contains(log.String(), "code=TYPE_MISMATCH") {
		t.Errorf("logged %d times, want each code once:\n%s", n, log.String())
	}
	// Who asks and goes away says nothing of the provider.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := len(r.Counts())
	o.by(func(ctx context.Context, _ string, fallback bool, _ openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
		return openfeature.BoolResolutionDetail{Value: fallback, ProviderResolutionDetail: openfeature.ProviderResolutionDetail{ResolutionError: openfeature.NewParseErrorResolutionError(ctx.Err().Error())}}
	})
	if !r.On(gone, sc, rollout.AuditArchiving) || len(r.Counts()) != before {
		t.Errorf("a caller that has gone: %+v", r.Counts())
	}
	if err := r.Close(gone); err != nil || o.closed != 1 {
		t.Errorf("Close = %v, closed %d times", err, o.closed)
	}
}

// A provider is told the tenant and nothing of whoever asks.
func TestAbout(t *testing.T) {
	var log strings.Builder
	var told openfeature.FlattenedContext
	o := &oracle{}
	o.by(func(_ context.Context, _ string, _ bool, about openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
		told = about
		return openfeature.BoolResolutionDetail{}
	})
	r, sc := open(t, o, nil, &log), tenant()
	r.On(t.Context(), sc, rollout.LiveStreams)
	id := sc.Tenant().String()
	if len(told) != 3 || told[openfeature.TargetingKey] != id || told[rollout.AttributeTenant] != id || told[rollout.AttributeKind] != "tenant" {
		t.Errorf("told %v", told)
	}
}

// A provider that says nothing holds nobody up for more than half a second, and none a server that starts.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		o := &oracle{init: errors.New("no route")}
		o.by(func(ctx context.Context, _ string, fallback bool, _ openfeature.FlattenedContext) openfeature.BoolResolutionDetail {
			<-ctx.Done()
			return openfeature.BoolResolutionDetail{Value: !fallback, ProviderResolutionDetail: openfeature.ProviderResolutionDetail{ResolutionError: openfeature.NewGeneralResolutionError(ctx.Err().Error())}}
		})
		r := open(t, o, nil, &log)
		if err := r.Health(); err == nil || !strings.Contains(err.Error(), "oracle") || !strings.Contains(log.String(), "defaults hold") {
			t.Errorf("Health = %v, logged %s", err, log.String())
		}
		from := time.Now()
		if !r.On(t.Context(), tenant(), rollout.LiveStreams) {
			t.Error("the default does not hold")
		}
		if took := time.Since(from); took != 500*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		// It is looked at every fifteen seconds, and found again.
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		o.says(true, openfeature.ResolutionError{})
		time.Sleep(16 * time.Second) //nolint:forbidigo // the bubble's clock: nobody waits
		synctest.Wait()
		if err := r.Health(); err != nil {
			t.Errorf("Health once it answers = %v", err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Look tells a flag that is missing from a provider that is, and a mistake from both.
func TestLook(t *testing.T) {
	var log strings.Builder
	o := &oracle{}
	sick := error(nil)
	r := open(t, o, func() error { return sick }, &log)
	o.says(true, openfeature.NewFlagNotFoundResolutionError("x"))
	if missing, err := r.Look(t.Context()); err != nil || len(missing) != len(rollout.All()) {
		t.Errorf("none there: %v, %v", missing, err)
	}
	o.says(true, openfeature.NewTypeMismatchResolutionError("x"))
	if missing, err := r.Look(t.Context()); len(missing) > 0 || err == nil || !strings.Contains(err.Error(), "oracle: ") || !strings.Contains(err.Error(), rollout.TextScans.Key+": TYPE_MISMATCH") {
		t.Errorf("all of another type: %v, %v", missing, err)
	}
	o.says(true, openfeature.ResolutionError{})
	sick = errors.New("the stream is INTERRUPTED")
	if _, err := r.Look(t.Context()); !errors.Is(err, sick) {
		t.Errorf("one that answers from memory alone: %v", err)
	}
	if _, err := rollout.Open(t.Context(), rollout.Options{}); err == nil {
		t.Error("opened without a provider")
	}
}
