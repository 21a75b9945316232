package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// A key in the form of API.md, made up.
const madeUpKey = "bk_test_3xYk0QmBz8Lw2RtVn5Pc9aHd1Sf7Ge4Ju6Kx_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3"

type sealedText string

func (sealedText) LogValue() slog.Value { return slog.StringValue("sealed") }

type card struct {
	Name   string `json:"name"`
	Secret string `json:"-"`
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// Taking any pattern out of scrub, or the key list away, turns a case red.
func TestRedact(t *testing.T) {
	for _, tt := range []struct {
		name string
		attr slog.Attr
		want string
	}{
		{"a constant stays", slog.String("command", "serve"), "serve"},
		{"a number stays", slog.Int("count", 7), "7"},
		{"a duration stays", slog.Duration("duration", time.Second), "1s"},
		{"an address stays", slog.Any("addr", netip.MustParseAddr("192.0.2.1")), "192.0.2.1"},
		{"a uuid stays", slog.String("tenant", "01931c9a-9f3e-7c2d-8a55-0f2c5f8f3b11"), "01931c9a-9f3e-7c2d-8a55-0f2c5f8f3b11"},
		{"a digest stays", slog.String("root", strings.Repeat("0a", 32)), strings.Repeat("0a", 32)},
		{"a Go symbol stays", slog.String("at", "github.com/biocore-id/biocore/web/rpc.(*RegistrationHandler).FinishRegistration"),
			"github.com/biocore-id/biocore/web/rpc.(*RegistrationHandler).FinishRegistration"},
		{"a server key", slog.String("err", "unknown key "+madeUpKey+"!"), "unknown key bk_[redacted]!"},
		{"a truncated publishable key", slog.String("err", "pk_live_3xYk"), "pk_[redacted]"},
		{"a platform key in quotes", slog.String("err", `key "pf_live_aB1"`), `key "pf_[redacted]"`},
		{"a bearer value", slog.String("err", "sent Bearer abc.def-ghi, refused"), "sent Bearer [redacted], refused"},
		{"a basic value", slog.String("err", "authorization: basic dXNlcjpwYXNz"), "authorization: basic [redacted]"},
		{"a JWT", slog.String("err", "token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is old"), "token [redacted] is old"},
		{"a challenge", slog.String("err", "challenge q7NDnX0m3VQwX2f1t4bYh6Lr8sPz5uKcJ9aEoGiTdZk twice"), "challenge [redacted] twice"},
		{"an e-mail address", slog.String("err", "user Zoë.o'neil+x@exämple.co.uk: blocked"), "user [redacted]: blocked"},
		{"a password in a URL", slog.String("err", "dial postgres://bc_app:hunter2@db:5432/biocore"), "dial postgres://[redacted]@db:5432/biocore"},
		{"under a secret's key", slog.String("refresh_token", "short"), redacted},
		{"a number under a secret's key", slog.Int("tokens", 3), "3"},
		{"an error", slog.Any("err", errors.New("no user a@example.com")), "no user [redacted]"},
		{"a typed nil error", slog.Any("err", (*nilError)(nil)), "!PANIC *main.nilError"},
		{"bytes", slog.Any("body", []byte("secret")), "[6 bytes]"},
		{"its own LogValue first", slog.Any("value", sealedText("x@example.com")), "sealed"},
		{"a struct by its JSON", slog.Any("card", card{Name: "a@example.com", Secret: "s"}), `{"name":"[redacted]"}`},
		{"what has no JSON", slog.Any("ch", make(chan int)), "chan int"},
		{"nothing", slog.Any("err", nil), "<nil>"},
		{"a group", slog.Group("g", slog.String("a", "b@example.com")), "[a=[redacted]]"},
		{"a group under a secret's key", slog.Group("cookies", slog.Int("sid", 9)), "[sid=[redacted]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := redactAttr(tt.attr).Value.String(); got != tt.want {
				t.Errorf("redacted = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLogHandler(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newLogHandler(slog.NewJSONHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}), func(ctx context.Context) string {
		id, _ := ctx.Value(requestKey{}).(string)
		return id
	}))
	ctx := context.WithValue(t.Context(), requestKey{}, "req-1")
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2},
	}))

	log.DebugContext(ctx, "below the level")
	log.With("addr", "a@example.com").InfoContext(ctx, "signed in", "err", madeUpKey)
	const want = `{"level":"INFO","msg":"signed in","addr":"[redacted]","err":"bk_[redacted]",` +
		`"request_id":"req-1","trace_id":"00000000000000000000000000000001","span_id":"0000000000000002"}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("line = %s, want %s", got, want)
	}
}

type requestKey struct{}

// Nothing that looks secret survives, wherever it stands and whatever is beside
// it; and scrubbing twice changes nothing more.
func FuzzScrub(f *testing.F) {
	f.Add("before ", " after")
	f.Add("bk_", "@example.com")
	f.Add("://", "Bearer ")
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, secret := range []string{madeUpKey, "q7NDnX0m3VQwX2f1t4bYh6Lr8sPz5uKcJ9aEoGiTdZk"} {
			got := scrub(before + " " + secret + " " + after)
			if strings.Contains(got, secret[8:40]) {
				t.Errorf("scrub(%q) kept a secret: %q", before+" "+secret+" "+after, got)
			}
			if again := scrub(got); again != got {
				t.Errorf("scrub again = %q, want %q", again, got)
			}
		}
	})
}

// The line of an ordinary request must cost about a microsecond: 0.1 % of a sign-in.
func BenchmarkLogLine(b *testing.B) {
	log := slog.New(newLogHandler(slog.NewJSONHandler(discard{}, nil), func(context.Context) string { return "01931c9a-9f3e-7c2d-8a55-0f2c5f8f3b11" }))
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(b.Context(), slog.LevelInfo, "request",
			slog.String("method", "/biocore.auth.v1.AuthenticationService/FinishAuthentication"),
			slog.String("code", "ok"), slog.Int("status", 200), slog.Duration("duration", 3*time.Millisecond),
			slog.String("tenant", "01931c9a-9f3e-7c2d-8a55-0f2c5f8f3b11"))
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
