package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	evaluationv2 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"connectrpc.com/connect"
	"github.com/open-feature/go-sdk/openfeature"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// answer is what a fake's flag says: value to everybody but the tenant except, who gets false.
type answer struct {
	value  any
	except string
}

// fake is a server of one provider's wire protocol, at an address of its own that it comes to and goes from.
type fake struct {
	kind Kind
	addr string

	mu     sync.Mutex
	flags  map[string]answer
	told   []string // what the provider has sent of itself
	auth   []string // of each call
	server *http.Server
	gone   context.CancelFunc
	ended  chan struct{}
}

func newFake(t *testing.T, kind Kind, flags map[string]answer) *fake {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{kind: kind, addr: l.Addr().String(), flags: flags}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	return f
}

func (f *fake) options() Options {
	o := Options{Kind: f.kind, URL: "http://" + f.addr, Key: secret.New("a-key")}
	switch f.kind {
	case Flagd:
		o.Key = secret.Text{}
	case Unleash:
		o.URL += "/api"
	default:
	}
	return o
}

// start serves until stop. Streams end with it.
func (f *fake) start(t *testing.T) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // flagd's client speaks gRPC
	f.server = &http.Server{Handler: f.handler(), Protocols: protocols, BaseContext: func(net.Listener) context.Context { return ctx }}
	f.gone, f.ended = cancel, make(chan struct{})
	go func() {
		defer close(f.ended)
		if err := f.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
}

func (f *fake) stop() {
	if f.server == nil {
		return
	}
	f.gone()
	_ = f.server.Close()
	<-f.ended
	f.server = nil
}

func (f *fake) set(key string, a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flags[key] = a
}

func (f *fake) copy() map[string]answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.flags)
}

// note remembers what somebody has sent.
func (f *fake) note(what string, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, what+" "+string(text))
}

// heard reports something told that has all of the parts.
func (f *fake) heard(parts ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.told, func(told string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(told, p) })
	})
}

// keys are the credentials that were shown, each once.
func (f *fake) keys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.auth)
	return slices.Compact(slices.Clone(f.auth))
}

func (f *fake) handler() http.Handler {
	mux := http.NewServeMux()
	switch f.kind {
	case OFREP:
		mux.HandleFunc("POST /ofrep/v1/evaluate/flags/{key}", f.ofrep)
	case Flagd:
		mux.Handle(evaluationv2connect.NewServiceHandler(flagdService{fake: f}))
	case Unleash:
		mux.HandleFunc("GET /api/client/features", f.unleash)
		mux.HandleFunc("POST /api/client/register", func(w http.ResponseWriter, r *http.Request) {
			f.note("register", r)
			w.WriteHeader(http.StatusAccepted)
		})
		mux.HandleFunc("POST /api/client/metrics", func(w http.ResponseWriter, r *http.Request) { f.note("metrics", r); w.WriteHeader(http.StatusAccepted) })
	case LaunchDarkly:
		mux.HandleFunc("GET /all", f.launchDarkly)
		mux.HandleFunc("POST /bulk", func(w http.ResponseWriter, r *http.Request) { f.note("events", r); w.WriteHeader(http.StatusAccepted) })
	case Biocore:
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.auth = append(f.auth, r.Header.Get("Authorization"))
		f.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// ofrep is OFREP's evaluation of one flag.
func (f *fake) ofrep(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Context map[string]any `json:"context"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"errorCode": "PARSE_ERROR"})
		return
	}
	a, ok := f.copy()[r.PathValue("key")]
	switch {
	case !ok:
		reply(w, http.StatusNotFound, map[string]string{"key": r.PathValue("key"), "errorCode": "FLAG_NOT_FOUND"})
	case a.except != "" && body.Context["targetingKey"] == a.except:
		reply(w, http.StatusOK, map[string]any{"key": r.PathValue("key"), "value": false, "variant": "off", "reason": "TARGETING_MATCH"})
	default:
		reply(w, http.StatusOK, map[string]any{"key": r.PathValue("key"), "value": a.value, "variant": "on", "reason": "STATIC"})
	}
}

// flagdService is flagd.evaluation.v2.
type flagdService struct {
	evaluationv2connect.UnimplementedServiceHandler
	*fake
}

func (s flagdService) ResolveBoolean(_ context.Context, r *connect.Request[evaluationv2.ResolveBooleanRequest]) (*connect.Response[evaluationv2.ResolveBooleanResponse], error) {
	a, ok := s.copy()[r.Msg.GetFlagKey()]
	if !ok {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("FLAG_NOT_FOUND"))
	}
	value, ok := a.value.(bool)
	if !ok {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("TYPE_MISMATCH"))
	}
	variant := "on"
	if a.except != "" && r.Msg.GetContext().GetFields()["targetingKey"].GetStringValue() == a.except {
		value, variant = false, "off"
	}
	return connect.NewResponse(&evaluationv2.ResolveBooleanResponse{Value: &value, Variant: &variant, Reason: "TARGETING_MATCH"}), nil
}

func (s flagdService) EventStream(ctx context.Context, _ *connect.Request[evaluationv2.EventStreamRequest], stream *connect.ServerStream[evaluationv2.EventStreamResponse]) error {
	if err := stream.Send(&evaluationv2.EventStreamResponse{Type: "provider_ready"}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// unleash is what Unleash tells its backend clients, with an ETag.
func (f *fake) unleash(w http.ResponseWriter, r *http.Request) {
	features := []any{}
	for key, a := range f.copy() {
		strategy := map[string]any{"name": "default", "constraints": []any{}, "parameters": map[string]string{}}
		if a.except != "" {
			strategy["constraints"] = []any{map[string]any{"contextName": "userId", "operator": "NOT_IN", "values": []string{a.except}}}
		}
		feature := map[string]any{"name": key, "enabled": !reflect.DeepEqual(a.value, false), "strategies": []any{strategy}}
		if _, is := a.value.(bool); !is {
			feature["variants"] = []any{map[string]any{"name": "v", "weight": 1000, "payload": map[string]string{"type": payloadType(a.value), "value": fmt.Sprint(a.value)}}}
		}
		features = append(features, feature)
	}
	text, _ := json.Marshal(map[string]any{"version": 2, "features": features, "segments": []any{}})
	etag := strconv.Quote(fmt.Sprint(f.copy()))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	reply(w, http.StatusOK, json.RawMessage(text))
}

func payloadType(v any) string {
	switch v := v.(type) {
	case float64:
		return "number"
	case string:
		if strings.HasPrefix(v, "{") {
			return "json"
		}
	}
	return "string"
}

// launchDarkly streams flags as server-sent events: all of them, and again whenever they have changed.
func (f *fake) launchDarkly(w http.ResponseWriter, r *http.Request) {
	flags := map[string]any{}
	for key, a := range f.copy() {
		flag := map[string]any{"key": key, "version": 1, "on": true, "salt": "s", "variations": []any{a.value, false}, "offVariation": 1, "fallthrough": map[string]int{"variation": 0}, "rules": []any{}, "targets": []any{}, "prerequisites": []any{}}
		if a.except != "" {
			flag["rules"] = []any{map[string]any{"id": "r", "variation": 1, "clauses": []any{map[string]any{"contextKind": "tenant", "attribute": "key", "op": "in", "values": []string{a.except}}}}}
		}
		flags[key] = flag
	}
	text, _ := json.Marshal(map[string]any{"path": "/", "data": map[string]any{"flags": flags, "segments": map[string]any{}}})
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprintf(w, "event: put\ndata: %s\n\n", text)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

var _ openfeature.StateHandler = (*overUnleash)(nil)
