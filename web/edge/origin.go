package edge

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// maxUserAgentBytes is what is kept of a User-Agent. Browsers send under 200.
const maxUserAgentBytes = 512

// origin tells where r came from. trustedHops is how many proxies of ours are in
// front: each appends the address of its peer to X-Forwarded-For, so the client's
// address is that many entries from the right, and everything left of it is the
// client's own invention.
func origin(r *http.Request, trustedHops int) scope.Origin {
	return scope.Origin{
		Address:   clientAddress(r, trustedHops),
		UserAgent: sanitize(r.UserAgent(), maxUserAgentBytes),
		RequestID: requestID(r, trustedHops),
		TraceID:   traceID(r.Header.Get("traceparent")),
	}
}

func clientAddress(r *http.Request, trustedHops int) netip.Addr {
	var peer netip.Addr
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = ap.Addr().Unmap().WithZone("")
	}
	if trustedHops == 0 {
		return peer
	}
	// Several header lines are one list (RFC 9110 §5.3).
	entries := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if len(entries) < trustedHops {
		return peer
	}
	entry := strings.TrimSpace(entries[len(entries)-trustedHops])
	if ap, err := netip.ParseAddrPort(entry); err == nil { // some proxies add the port
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(entry, "[]"))
	if err != nil {
		return peer
	}
	return addr.Unmap().WithZone("")
}

// requestID takes the id that a trusted proxy gave, so that its log and ours meet,
// and mints one otherwise: a client must not choose what our log says.
func requestID(r *http.Request, trustedHops int) string {
	if id := r.Header.Get("X-Request-Id"); trustedHops > 0 && wellFormedID(id) {
		return id
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func wellFormedID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// traceID reads the trace id of a W3C traceparent: version 00, 32 hex digits.
func traceID(traceparent string) string {
	if len(traceparent) < 55 || traceparent[2] != '-' || traceparent[35] != '-' {
		return ""
	}
	id := traceparent[3:35]
	if strings.Trim(id, "0123456789abcdef") != "" || strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}

// sanitize makes foreign text fit for a log line and a database: valid UTF-8, no
// control characters, at most maxBytes.
func sanitize(s string, maxBytes int) string {
	clean := len(s) <= maxBytes && utf8.ValidString(s)
	for i := 0; clean && i < len(s); i++ {
		clean = s[i] >= ' ' && s[i] != 0x7f
	}
	if clean {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxBytes {
		s = strings.ToValidUTF8(s[:maxBytes], "") // the cut may fall inside a character
	}
	return s
}
