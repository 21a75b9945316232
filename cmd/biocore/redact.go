package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/biocore-id/biocore/tenancy/governance/detect"
)

// redacted stands where a secret or somebody's address was.
const redacted = "[redacted]"

// logHandler is the last thing a log line passes before it leaves the process.
// It adds the request and trace ids, and takes out what must not be there:
//
//   - by type: a value with a LogValue method says itself what may be shown;
//   - by key: nothing under a name like "token" or "cookie" is printed;
//   - by pattern: API keys, JWTs, bearer values, passwords in URLs, e-mail
//     addresses, and long mixed runs that only a random generator writes;
//   - by check digit: numbers of accounts, cards and people, and private keys, as
//     tenancy/governance/detect finds them.
//
// It is the second line of defence. The first is that callers log ids and
// constants; but a driver's error text is nobody's constant.
type logHandler struct {
	next slog.Handler
	// requestID returns the id of the request that ctx belongs to, "" for none.
	requestID func(context.Context) string
}

// newLogHandler wraps next. requestID may be nil.
func newLogHandler(next slog.Handler, requestID func(context.Context) string) *logHandler {
	if requestID == nil {
		requestID = func(context.Context) string { return "" }
	}
	return &logHandler{next: next, requestID: requestID}
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, scrub(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	if id := h.requestID(ctx); id != "" {
		clean.AddAttrs(slog.String("request_id", scrub(id)))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		clean.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.next.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return &logHandler{next: h.next.WithAttrs(clean), requestID: h.requestID}
}

// WithGroup implements slog.Handler. The ids of later lines stand in the group.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{next: h.next.WithGroup(name), requestID: h.requestID}
}

func redactAttr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve() // a type's own LogValue comes first
	switch a.Value.Kind() {
	case slog.KindString, slog.KindAny:
		if secretKey(a.Key) {
			a.Value = slog.StringValue(redacted)
		} else {
			a.Value = slog.StringValue(scrub(text(a.Value)))
		}
	case slog.KindGroup:
		group := a.Value.Group()
		clean := make([]slog.Attr, len(group))
		for i, member := range group {
			if secretKey(a.Key) {
				member = slog.String(member.Key, redacted)
			}
			clean[i] = redactAttr(member)
		}
		a.Value = slog.GroupValue(clean...)
	default: // numbers, times and durations hold no secret
	}
	return a
}

// text turns a value into what scrub can look through. Whatever has no text
// form of its own is printed as JSON, so that its json:"-" fields stay hidden.
func text(v slog.Value) (s string) {
	if v.Kind() == slog.KindString {
		return v.String()
	}
	// A nil pointer in an error or Stringer must not take the server down with it.
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("!PANIC %T", v.Any())
		}
	}()
	switch x := v.Any().(type) {
	case nil:
		return "<nil>"
	case error:
		return x.Error()
	case fmt.Stringer:
		return x.String()
	case []byte:
		return fmt.Sprintf("[%d bytes]", len(x))
	default:
		data, err := json.Marshal(x)
		if err != nil {
			return fmt.Sprintf("%T", x)
		}
		return string(data)
	}
}

// secretKey tells a key under which nothing is printed, whatever it holds. Our
// own keys are a closed list (see .golangci.yaml); libraries bring theirs.
func secretKey(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"secret", "password", "token", "authorization", "cookie", "api_key", "apikey", "challenge", "assertion", "private"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

var (
	userinfoPattern = regexp.MustCompile(`://[^/\s@"]+@`)
	schemePattern   = regexp.MustCompile(`(?i)\b(bearer|basic)[ :]+[A-Za-z0-9._~+/=-]+`)
	apiKeyPattern   = regexp.MustCompile(`\b(bk|pk|pf)_[A-Za-z0-9_-]+`)
	jwtPattern      = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*`)
	emailPattern    = regexp.MustCompile(`[^\s@"<>()\[\]{},;:=]+@[^\s@"<>()\[\]{},;:=]+\.[\pL\pN-]{2,}`)
	opaquePattern   = regexp.MustCompile(`[A-Za-z0-9_-]{40,}`)
)

// scrub takes secrets and e-mail addresses out of s. Strings without any sign
// of one, almost all of them, come back as they are after one pass.
func scrub(s string) string {
	s, _ = detect.Redact(s, detect.IBAN, detect.Card, detect.NationalID, detect.PrivateKey)
	if !suspicious(s) {
		return s
	}
	s = userinfoPattern.ReplaceAllString(s, "://"+redacted+"@")
	s = schemePattern.ReplaceAllString(s, "$1 "+redacted)
	s = apiKeyPattern.ReplaceAllString(s, "${1}_"+redacted)
	s = jwtPattern.ReplaceAllString(s, redacted)
	s = emailPattern.ReplaceAllString(s, redacted)
	return opaquePattern.ReplaceAllStringFunc(s, func(run string) string {
		if random(run) {
			return redacted
		}
		return run
	})
}

// suspicious is scrub's cheap gate: false means that no pattern can match.
func suspicious(s string) bool {
	run := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '@':
			return true
		case c == '_' && i >= 2 && (s[i-2] == 'b' && s[i-1] == 'k' || s[i-2] == 'p' && (s[i-1] == 'k' || s[i-1] == 'f')):
			return true
		case c == 'J' && i >= 2 && s[i-2] == 'e' && s[i-1] == 'y':
			return true
		case (c|0x20) == 'r' && i >= 5 && strings.EqualFold(s[i-5:i+1], "bearer"):
			return true
		case (c|0x20) == 'c' && i >= 4 && strings.EqualFold(s[i-4:i+1], "basic"):
			return true
		}
		if !tokenByte(c) {
			run = 0
		} else if run++; run >= 40 {
			return true
		}
	}
	return false
}

// random tells a long run that a random generator wrote from one that a person
// or a digest did: one in a thousand of 30 random bytes in base64url or base62
// has no digit, almost none has no upper-case letter, and UUIDs, trace ids and
// hexadecimal digests never have one.
func random(run string) bool {
	var upper, lower, digit bool
	for i := range len(run) {
		switch c := run[i]; {
		case 'A' <= c && c <= 'Z':
			upper = true
		case 'a' <= c && c <= 'z':
			lower = true
		case '0' <= c && c <= '9':
			digit = true
		}
	}
	return upper && lower && digit
}

func tokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
