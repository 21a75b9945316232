package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// openWithin is how long a provider may take to say that it is there before a server starts without it.
	openWithin = 5 * time.Second
	// askWithin is how long an answer may take before the default holds.
	askWithin = 500 * time.Millisecond
	// closeWithin is how long a provider may take to send what it has counted.
	closeWithin = 5 * time.Second
	// lookEvery is how often a provider is asked how it is.
	lookEvery = 15 * time.Second
)

// Options configures a Reader.
type Options struct {
	Provider openfeature.FeatureProvider // required; Close shuts it down
	// Health is how the provider is, for one that answers from memory although nobody tells it anything any more. nil: asking
	// it tells.
	Health func() error
	// Look asks for each switch, for a tenant, and returns those that there are not: of a provider that counts what it evaluates, which
	// people read. nil: it is asked as by On.
	Look func(ctx context.Context, sc scope.Scope) (missing []string, err error)
	Log  *slog.Logger // nil means slog.Default()
}

// Reader asks for switches. It is safe for concurrent use.
type Reader struct {
	api      *openfeature.EvaluationAPI
	client   *openfeature.Client
	provider string // what it calls itself
	health   func() error
	look     func(ctx context.Context, sc scope.Scope) (missing []string, err error)
	log      *slog.Logger

	mu     sync.Mutex
	asked  map[Answered]int64
	logged map[Answered]bool
	last   error // how the provider was when it was last looked at
}

// Answered is how an evaluation ended.
type Answered struct {
	Key  string
	On   bool
	Code openfeature.ErrorCode // empty: the provider has answered. Else the default holds
}

// Open opens the provider and waits five seconds at most until it is there. One that is not is no error: defaults hold
// until it is, see Health. Close it.
func Open(ctx context.Context, o Options) (*Reader, error) {
	if o.Provider == nil {
		return nil, errors.New("rollout: Provider is required")
	}
	r := &Reader{
		api: isolated.NewAPI(), provider: o.Provider.Metadata().Name, health: o.Health, look: o.Look, log: o.Log,
		asked: map[Answered]int64{}, logged: map[Answered]bool{},
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	r.client = r.api.NewClient()
	bounded, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if err := r.api.SetProviderAndWait(bounded, o.Provider); err != nil {
		r.log.WarnContext(ctx, "the provider of feature flags is not there: defaults hold", "err", err)
		r.last = fmt.Errorf("%s: %w", r.provider, err)
	}
	return r, nil
}

// Close shuts the provider down, also when ctx has ended: within five seconds.
func (r *Reader) Close(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	return r.api.Shutdown(bounded)
}

// On reports whether s is on for the tenant of sc. Where the provider does not say so within half a second, the default
// holds: that is counted each time and logged the first time.
func (r *Reader) On(ctx context.Context, sc scope.Scope, s Switch) bool {
	on, code, err := r.ask(ctx, sc, s)
	if err != nil && ctx.Err() != nil {
		return on // the caller has gone: nothing of the provider
	}
	how := Answered{Key: s.Key, On: on, Code: code}
	r.mu.Lock()
	r.asked[how]++
	first := code != "" && !r.logged[how]
	r.logged[how] = true
	r.mu.Unlock()
	if first {
		r.log.WarnContext(ctx, "a feature flag cannot be evaluated: its default holds", "flag", s.Key, "code", string(code), "err", err)
	}
	return on
}

// ask evaluates s. code is empty when the provider has answered.
func (r *Reader) ask(ctx context.Context, sc scope.Scope, s Switch) (on bool, code openfeature.ErrorCode, err error) {
	bounded, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	got, err := r.client.BooleanValueDetails(bounded, s.Key, s.Default, about(sc))
	if err != nil {
		return s.Default, cmp.Or(got.ErrorCode, openfeature.GeneralCode), err
	}
	return got.Value, "", nil
}

// Of returns what asks for s, for who need not know of the others.
func (r *Reader) Of(s Switch) func(context.Context, scope.Scope) bool {
	return func(ctx context.Context, sc scope.Scope) bool { return r.On(ctx, sc, s) }
}

// Count is how often evaluations ended in one way.
type Count struct {
	Answered

	Times int64
}

// Counts returns what was evaluated since the Reader was opened.
func (r *Reader) Counts() []Count {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Count, 0, len(r.asked))
	for how, n := range r.asked {
		out = append(out, Count{how, n})
	}
	return out
}

// Look asks the provider how it is and for each switch: an error says what is wrong, for operators. That a flag is not
// there is no fault of the provider, and is returned apart.
func (r *Reader) Look(ctx context.Context) (missing []string, err error) {
	if r.health != nil {
		err = r.health()
	}
	// Each is asked, not only the first: one that is no boolean is a mistake to be told.
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "rollout"})
	if r.look != nil && err == nil {
		if missing, err = r.look(ctx, home); err != nil {
			err = fmt.Errorf("%s: %w", r.provider, err)
		}
		return missing, err
	}
	var wrong []string
	for _, s := range All() {
		switch _, code, asking := r.ask(ctx, home, s); code {
		case "":
		case openfeature.FlagNotFoundCode:
			missing = append(missing, s.Key)
		case openfeature.ProviderNotReadyCode, openfeature.ProviderFatalCode, openfeature.GeneralCode:
			err = cmp.Or(err, asking) // the others would say the same
		default:
			wrong = append(wrong, s.Key+": "+string(code))
		}
		if err != nil {
			break
		}
	}
	if err == nil && len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, ", "))
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", r.provider, err)
	}
	return slices.Clip(missing), err
}

// Run looks at the provider every fifteen seconds, for Health, until ctx ends.
func (r *Reader) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		_, err := r.Look(ctx)
		if ctx.Err() != nil {
			return nil // it was told to end
		}
		r.mu.Lock()
		r.last = err
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Health is how the provider was when it was last looked at.
func (r *Reader) Health() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
