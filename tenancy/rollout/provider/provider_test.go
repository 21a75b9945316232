package provider

import (
	"context"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/biocore-id/biocore/tenancy/rollout"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

func kinds() []Kind { return []Kind{OFREP, Flagd, Unleash, LaunchDarkly} }

// open opens f's provider as a server does, and closes it.
func open(t *testing.T, f *fake) *rollout.Reader {
	t.Helper()
	opened := opened(t, f.options())
	r, err := rollout.Open(t.Context(), rollout.Options{Provider: opened.Provider, Health: opened.Health, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if f.kind == Flagd {
			f.stop() // its module leaves an idle connection to the server
		}
		noneLeft(t)
	})
	return r
}

// opened is a provider that is not initialised; Unleash's asks more often than once in ten seconds.
func opened(t *testing.T, o Options) Opened {
	t.Helper()
	got, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if u, is := got.Provider.(*overUnleash); is {
		u.refresh, u.send = 5*time.Millisecond, 5*time.Millisecond
	}
	return got
}

// theirs are the parts of a stack that tell a goroutine of a provider.
var theirs = []string{"/unleash-client-go/", "/go-server-sdk/", "/go-sdk-events/", "/eventsource", "/go-sdk-contrib/", "go-sdk/openfeature", "net/http.(*persistConn)", "(*http2ClientConn)", "http2.(*ClientConn)"}

// noneLeft waits until no goroutine of a provider is left. Of flagd's there is one that its module never ends
// (https://github.com/open-feature/go-sdk-contrib/issues/845): it waits for a channel that nobody closes,
// or to tell of the server that has gone, which nobody hears.
func noneLeft(t *testing.T) {
	t.Helper()
	for left := true; left; runtime.Gosched() {
		all := make([]byte, 1<<20)
		all = all[:runtime.Stack(all, true)]
		left = slices.ContainsFunc(strings.Split(string(all), "\n\n"), func(stack string) bool {
			endless := strings.Contains(stack, "flagd/pkg.(*Provider).handleEvents") && strings.Contains(strings.SplitN(stack, "\n", 2)[0], "[chan ")
			return !endless && slices.ContainsFunc(theirs, func(of string) bool { return strings.Contains(stack, of) })
		})
	}
}

func tenants() (one, other scope.Scope) {
	actor := scope.Actor{Kind: scope.ActorSystem, ID: "test"}
	return scope.New(uuid.New(), actor), scope.New(uuid.New(), actor)
}

// codes are what evaluations of a switch ended in.
func codes(r *rollout.Reader, s rollout.Switch) []openfeature.ErrorCode {
	var out []openfeature.ErrorCode
	for _, c := range r.Counts() {
		if c.Key == s.Key && c.Code != "" {
			out = append(out, c.Code)
		}
	}
	return out
}

// A provider that is there from the start.
func TestAnswers(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) {
			one, other := tenants()
			f := newFake(t, kind, map[string]answer{
				rollout.LiveStreams.Key: {value: true, except: other.Tenant().String()}, rollout.AuditArchiving.Key: {value: "yes"},
			})
			f.start(t)
			r := open(t, f)
			if err := r.Health(); err != nil {
				t.Errorf("Health = %v", err)
			}
			if !r.On(t.Context(), one, rollout.LiveStreams) || r.On(t.Context(), other, rollout.LiveStreams) {
				t.Error("a tenant has what another has")
			}
			if !r.On(t.Context(), one, rollout.TextScans) || !slices.Equal(codes(r, rollout.TextScans), []openfeature.ErrorCode{openfeature.FlagNotFoundCode}) {
				t.Errorf("no such flag: %v", codes(r, rollout.TextScans))
			}
			on := r.On(t.Context(), one, rollout.AuditArchiving)
			if want := []openfeature.ErrorCode{openfeature.TypeMismatchCode}; kind != Unleash && (!on || !slices.Equal(codes(r, rollout.AuditArchiving), want)) { // where each flag is a boolean
				t.Errorf("a flag of another type: %v", codes(r, rollout.AuditArchiving))
			}
			missing, err := r.Look(t.Context())
			if !slices.Equal(missing, []string{rollout.TextScans.Key}) || kind != Unleash && (err == nil || !strings.Contains(err.Error(), rollout.AuditArchiving.Key+": TYPE_MISMATCH")) {
				t.Errorf("Look = %v, %v", missing, err)
			}
			want := map[Kind][]string{OFREP: {"Bearer a-key"}, Flagd: {""}, Unleash: {"a-key"}, LaunchDarkly: {"a-key"}}[kind]
			if got := f.keys(); !slices.Equal(got, want) {
				t.Errorf("shown keys %q, want %q", got, want)
			}
		})
	}
}

// A provider that comes after the server: defaults until then.
func TestComesLater(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			one, _ := tenants()
			f := newFake(t, kind, map[string]answer{rollout.LiveStreams.Key: {value: false}, rollout.AuditArchiving.Key: {value: true}, rollout.TextScans.Key: {value: true}})
			r := open(t, f)
			if !r.On(t.Context(), one, rollout.LiveStreams) || len(codes(r, rollout.LiveStreams)) != 1 {
				t.Errorf("without a provider: %v", r.Counts())
			}
			if _, err := r.Look(t.Context()); err == nil {
				t.Error("without a provider all is well")
			}
			f.start(t)
			for r.On(t.Context(), one, rollout.LiveStreams) {
				runtime.Gosched()
			}
			if missing, err := r.Look(t.Context()); err != nil || len(missing) > 0 {
				t.Errorf("once it is there: %v, %v", missing, err)
			}
		})
	}
}

// A provider that goes: who asks it has the default, who evaluates in memory what was said last. Each says that it has
// gone, and that it is back.
func TestGoesAway(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			one, _ := tenants()
			f := newFake(t, kind, map[string]answer{rollout.LiveStreams.Key: {value: false}, rollout.AuditArchiving.Key: {value: true}, rollout.TextScans.Key: {value: true}})
			f.start(t)
			r := open(t, f)
			if r.On(t.Context(), one, rollout.LiveStreams) {
				t.Fatal("it is on")
			}
			f.stop()
			for {
				if _, err := r.Look(t.Context()); err != nil {
					break
				}
			}
			inMemory := kind == Unleash || kind == LaunchDarkly
			if on := r.On(t.Context(), one, rollout.LiveStreams); on == inMemory {
				t.Errorf("without it the switch is on: %t", on)
			}
			f.set(rollout.LiveStreams.Key, answer{value: true})
			f.start(t)
			for {
				if _, err := r.Look(t.Context()); err == nil && r.On(t.Context(), one, rollout.LiveStreams) {
					break
				}
			}
		})
	}
}

// What providers are told of Biocore is that it is one, and which tenants were asked about.
func TestTold(t *testing.T) {
	one, _ := tenants()
	for kind, want := range map[Kind][][]string{
		Unleash:      {{"register", `"appName":"biocore"`}, {"metrics", rollout.LiveStreams.Key}},
		LaunchDarkly: {{"events", rollout.LiveStreams.Key, `"tenant"`}},
	} {
		t.Run(string(kind), func(t *testing.T) {
			f := newFake(t, kind, map[string]answer{rollout.LiveStreams.Key: {value: true}})
			f.start(t)
			opened := opened(t, f.options())
			r, err := rollout.Open(t.Context(), rollout.Options{Provider: opened.Provider, Health: opened.Health})
			if err != nil {
				t.Fatal(err)
			}
			for _, parts := range want {
				for r.On(t.Context(), one, rollout.LiveStreams) && kind == Unleash && !f.heard(parts...) {
					runtime.Gosched()
				}
			}
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
			for _, parts := range want {
				if !f.heard(parts...) {
					t.Errorf("%s was not told %q, but %q", kind, parts, f.told)
				}
			}
			noneLeft(t)
		})
	}
}

// Unleash has texts for all but booleans: each type reads its own.
func TestUnleashPayloads(t *testing.T) {
	f := newFake(t, Unleash, map[string]answer{"text": {value: "hello"}, "half": {value: 1.5}, "three": {value: 3.0}, "object": {value: `{"a":1}`}, "off": {value: false}})
	f.start(t)
	api := isolated.NewAPI()
	if err := api.SetProviderAndWait(t.Context(), opened(t, f.options()).Provider); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := api.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		noneLeft(t)
	}()
	c, ctx, who := api.NewClient(), t.Context(), openfeature.NewEvaluationContext("t1", map[string]any{"n": 1, "b": true})
	if got, err := c.StringValueDetails(ctx, "text", "-", who); err != nil || got.Value != "hello" || got.Variant != "v" {
		t.Errorf("a text: %+v, %v", got, err)
	}
	if got, err := c.FloatValue(ctx, "half", 0, who); err != nil || got != 1.5 {
		t.Errorf("a number: %g, %v", got, err)
	}
	if got, err := c.IntValue(ctx, "three", 0, who); err != nil || got != 3 {
		t.Errorf("a whole number: %d, %v", got, err)
	}
	if got, err := c.ObjectValue(ctx, "object", nil, who); err != nil || !reflect.DeepEqual(got, map[string]any{"a": 1.0}) {
		t.Errorf("an object: %v, %v", got, err)
	}
	if got, err := c.StringValueDetails(ctx, "off", "-", who); err != nil || got.Value != "-" || got.Reason != openfeature.DefaultReason {
		t.Errorf("a flag that is off: %+v, %v", got, err)
	}
	if got, err := c.IntValueDetails(ctx, "half", 7, who); err == nil || got.Value != 7 || got.ErrorCode != openfeature.TypeMismatchCode {
		t.Errorf("a half as a whole: %+v, %v", got, err)
	}
	if got, err := c.FloatValueDetails(ctx, "text", 7, who); err == nil || got.Value != 7 || got.ErrorCode != openfeature.TypeMismatchCode {
		t.Errorf("a text as a number: %+v, %v", got, err)
	}
	if got, err := c.StringValueDetails(ctx, "text", "-", openfeature.NewEvaluationContext("t1", map[string]any{"list": []string{"a"}})); err == nil || got.ErrorCode != openfeature.InvalidContextCode {
		t.Errorf("a context that it cannot have: %+v, %v", got, err)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want error
	}{
		{Options{Kind: Biocore}, nil},
		{Options{Kind: OFREP, URL: "https://flags.example"}, nil},
		{Options{Kind: Flagd, URL: "http://flagd:8013"}, nil},
		{Options{Kind: Unleash, URL: "https://unleash.example/api", Key: secret.New("k")}, nil},
		{Options{Kind: LaunchDarkly, Key: secret.New("k")}, nil},
		{Options{Kind: "flipt"}, errKind},
		{Options{}, errKind},
		{Options{Kind: Biocore, URL: "https://flags.example"}, errNothing},
		{Options{Kind: OFREP}, errNoURL},
		{Options{Kind: Unleash, URL: "https://unleash.example/api"}, errNoKey},
		{Options{Kind: LaunchDarkly}, errNoKey},
		{Options{Kind: Flagd, URL: "http://flagd:8013", Key: secret.New("k")}, errKey},
		{Options{Kind: Flagd, URL: "http://flagd:8013/x"}, errPath},
		{Options{Kind: OFREP, URL: "ftp://flags.example"}, errURL},
		{Options{Kind: OFREP, URL: "https://user:pass@flags.example"}, errURL},
		{Options{Kind: OFREP, URL: "flags.example"}, errURL},
	} {
		if err := tt.o.Check(); err != tt.want { //nolint:errorlint // which of them, exactly
			t.Errorf("%+v: %v, want %v", tt.o, err, tt.want)
		}
	}
}
