package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

// Rotating, doubled and garbage values of X-Forwarded-For must not change who a
// client is: limits are counted by address.
func TestClientAddress(t *testing.T) {
	for _, tt := range []struct {
		name      string
		hops      int
		peer      string
		forwarded []string
		want      string
	}{
		{"no proxy, no header", 0, "203.0.113.7:4711", nil, "203.0.113.7"},
		{"no proxy: the header is the client's invention", 0, "203.0.113.7:4711", []string{"10.0.0.1"}, "203.0.113.7"},
		{"one proxy", 1, "10.0.0.2:80", []string{"198.51.100.4"}, "198.51.100.4"},
		{"one proxy, forged entries to the left", 1, "10.0.0.2:80", []string{"1.1.1.1, 2.2.2.2, 198.51.100.4"}, "198.51.100.4"},
		{"one proxy, several header lines are one list", 1, "10.0.0.2:80", []string{"1.1.1.1", "198.51.100.4"}, "198.51.100.4"},
		{"two proxies", 2, "10.0.0.2:80", []string{"9.9.9.9, 198.51.100.4, 10.0.0.9"}, "198.51.100.4"},
		{"fewer entries than proxies", 2, "10.0.0.2:80", []string{"198.51.100.4"}, "10.0.0.2"},
		{"garbage is the peer", 1, "10.0.0.2:80", []string{"unknown"}, "10.0.0.2"},
		{"empty is the peer", 1, "10.0.0.2:80", []string{""}, "10.0.0.2"},
		{"with a port", 1, "10.0.0.2:80", []string{"198.51.100.4:5555"}, "198.51.100.4"},
		{"IPv6 with a port", 1, "10.0.0.2:80", []string{"[2001:db8::1]:5555"}, "2001:db8::1"},
		{"IPv6 in brackets", 1, "10.0.0.2:80", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"a zone is dropped", 1, "10.0.0.2:80", []string{"fe80::1%eth0"}, "fe80::1"},
		{"IPv4 in IPv6 is IPv4", 0, "[::ffff:203.0.113.7]:4711", nil, "203.0.113.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			for _, v := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", v)
			}
			if got := clientAddress(r, tt.hops).String(); got != tt.want {
				t.Errorf("clientAddress = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", "from-the-client")
	if id := requestID(r, 0); id == "from-the-client" || len(id) != 32 {
		t.Errorf("without a proxy the client chose the id %q", id)
	}
	if id := requestID(r, 1); id != "from-the-client" {
		t.Errorf("a proxy's id is not kept: %q", id)
	}
	for _, bad := range []string{"short", strings.Repeat("a", 65), "line\nbreak-in-it", `quote"quote"`} {
		r.Header.Set("X-Request-Id", bad)
		if id := requestID(r, 1); id == bad {
			t.Errorf("kept %q", bad)
		}
	}
}

func TestTraceID(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for in, want := range map[string]string{
		good: "4bf92f3577b34da6a3ce929d0e0e4736",
		"":   "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736":                     "",
		strings.Repeat("x", 55):                                   "",
	} {
		if got := traceID(in); got != want {
			t.Errorf("traceID(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	for _, s := range []string{"Mozilla/5.0", "nul\x00byte", "\xff\xfe", "line\r\nbreak", strings.Repeat("é", 400), "�"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := sanitize(s, maxUserAgentBytes)
		if !utf8.ValidString(got) || len(got) > maxUserAgentBytes || strings.ContainsAny(got, "\x00\r\n\x7f") {
			t.Errorf("sanitize(%q) = %q", s, got)
		}
		if again := sanitize(got, maxUserAgentBytes); again != got {
			t.Errorf("not stable: %q, then %q", got, again)
		}
	})
}
