package tenant

import (
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// SECURITY 39.
func TestCleanName(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string // want empty: refused
	}{
		{"plain", "Acme Bank", "Acme Bank"},
		{"trimmed and collapsed", "  Acme \u00a0  Bank ", "Acme Bank"},
		{"composed", "Cafe\u0301", "Caf\u00e9"},
		{"every script", "株式会社 Банк بنك", "株式会社 Банк بنك"},
		{"emoji", "Acme 🙂", "Acme 🙂"},
		{"at the limit", strings.Repeat("é", 128), strings.Repeat("é", 128)},
		{"empty", "", ""},
		{"spaces", " \u3000 ", ""},
		{"too long", strings.Repeat("a", 129), ""},
		{"NUL", "Acme\x00Bank", ""},
		{"newline", "Acme\nBank", ""},
		{"escape", "Acme\x1b[31m", ""},
		{"bidi override", "Acme \u202eknaB", ""},
		{"bidi isolate", "Acme \u2066x\u2069", ""},
		{"right-to-left mark", "Acme\u200f", ""},
		{"zero-width space", "Ac\u200bme", ""},
		{"zero-width no-break space", "\ufeffAcme", ""},
		{"zero-width joiner out of place", "Ac\u200dme", ""},
		{"soft hyphen", "Ac\u00adme", ""},
		{"tag character", "Acme\U000e0041", ""},
		{"private use", "Acme\ue000", ""},
		{"not UTF-8", "Acme\xff", ""},
		{"unassigned", "Acme\U0003fffe", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := CleanName("name", tt.in, maxNameCharacters)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("CleanName(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
			if err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("err = %v, want ErrInvalid", err)
			}
		})
	}
}

func TestSlug(t *testing.T) {
	for slug, ok := range map[string]bool{
		"acme": true, "a1": true, "acme-bank-2": true, "a" + strings.Repeat("b", 39): true,
		"": false, "a": false, "1acme": false, "-acme": false, "acme-": false, "ac--me": false, "Acme": false, "acme_bank": false,
		"acme.bank": false, "acme/..": false, "асme": false, "acme\n": false, "a" + strings.Repeat("b", 40): false, "xn--80a": false,
	} {
		if err := checkSlug(slug); (err == nil) != ok {
			t.Errorf("checkSlug(%q) = %v, want accepted %v", slug, err, ok)
		}
	}
}

func TestRPID(t *testing.T) {
	for _, tt := range []struct {
		rpID       string
		live, test bool
	}{
		{"acme.example", true, true},
		{"login.acme.example", true, true},
		{"xn--bcher-kva.example", true, true},
		{"acme.co.uk", true, true},
		{"bank.internal", true, true},
		{"localhost", false, true},
		{"acme.localhost", false, true},
		{"localhost.example", true, true},
		{"", false, false},
		{"example", false, false},
		{"com", false, false},
		{"co.uk", false, false},
		{"github.io", false, false},
		{"acme.example.", false, false},
		{".acme.example", false, false},
		{"acme..example", false, false},
		{"Acme.example", false, false},
		{"bücher.example", false, false},
		{"https://acme.example", false, false},
		{"acme.example:443", false, false},
		{"acme.example/", false, false},
		{"*.acme.example", false, false},
		{"-acme.example", false, false},
		{"acme-.example", false, false},
		{"ac_me.example", false, false},
		{"127.0.0.1", false, false},
		{"127.1", false, false},
		{"0x7f.1", false, false},
		{"acme.0x7f", false, false},
		{"::1", false, false},
		{"[::1]", false, false},
		{"acme.example\x00", false, false},
		{strings.Repeat("a", 64) + ".example", false, false},
		{strings.Repeat("a.", 124) + "example", false, false},
	} {
		for mode, ok := range map[Mode]bool{Live: tt.live, Test: tt.test} {
			if err := checkRPID(mode, tt.rpID); (err == nil) != ok {
				t.Errorf("checkRPID(%s, %q) = %v, want accepted %v", mode, tt.rpID, err, ok)
			}
		}
	}
}

// SECURITY 4: what gets on the list is what a browser can send, and of the RP's domain.
func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		rpID, origin string
		live, test   bool
	}{
		{"acme.example", "https://acme.example", true, true},
		{"acme.example", "https://login.acme.example", true, true},
		{"acme.example", "https://acme.example:8443", true, true},
		{"localhost", "http://localhost:8080", false, true},
		{"localhost", "http://localhost", false, true},
		{"localhost", "https://localhost", true, true}, // refused by its RP ID in live
		{"acme.localhost", "http://app.acme.localhost:3000", false, true},
		{"acme.example", "http://acme.example", false, false},
		{"acme.example", "https://acme.example/", false, false},
		{"acme.example", "https://acme.example/login", false, false},
		{"acme.example", "https://acme.example?x", false, false},
		{"acme.example", "https://acme.example#x", false, false},
		{"acme.example", "https://user@acme.example", false, false},
		{"acme.example", "https://acme.example:443", false, false},
		{"localhost", "http://localhost:80", false, false},
		{"acme.example", "https://acme.example:08443", false, false},
		{"acme.example", "https://acme.example:0", false, false},
		{"acme.example", "https://acme.example:65536", false, false},
		{"acme.example", "https://acme.example:", false, false},
		{"acme.example", "HTTPS://acme.example", false, false},
		{"acme.example", "https://Acme.example", false, false},
		{"acme.example", "https://acme.example.", false, false},
		{"acme.example", "https://acme.example.evil.example", false, false},
		{"acme.example", "https://evilacme.example", false, false},
		{"acme.example", "https://example", false, false},
		{"acme.example", "https://*.acme.example", false, false},
		{"acme.example", "https://127.0.0.1", false, false},
		{"acme.example", "https://[::1]", false, false},
		{"acme.example", "acme.example", false, false},
		{"acme.example", "//acme.example", false, false},
		{"acme.example", "null", false, false},
		{"acme.example", "", false, false},
		{"acme.example", "javascript:alert(1)", false, false},
		{"acme.example", "android:apk-key-hash:abc", false, false},
		{"acme.example", "wss://acme.example", false, false},
		{"acme.example", "https://acme.example\t", false, false},
		{"acme.example", "https://acme.example\\@evil.example", false, false},
		{"acme.example", "https://acme%2eexample", false, false},
		{"acme.example", "https://" + strings.Repeat("a", 510) + ".acme.example", false, false},
	} {
		for mode, ok := range map[Mode]bool{Live: tt.live, Test: tt.test} {
			err := checkOrigins(mode, tt.rpID, []string{tt.origin})
			if (err == nil) != ok {
				t.Errorf("checkOrigins(%s, %q, %q) = %v, want accepted %v", mode, tt.rpID, tt.origin, err, ok)
			}
			if f, _ := fault.As(err); err != nil && f.Metadata["field"] != "origins" {
				t.Errorf("%q: field = %q", tt.origin, f.Metadata["field"])
			}
		}
	}
	if checkOrigins(Live, "a.example", nil) == nil || checkOrigins(Live, "a.example", make([]string, 65)) == nil ||
		checkOrigins(Live, "a.example", []string{"https://a.example", "https://a.example"}) == nil {
		t.Error("none, too many or the same twice was taken")
	}
}
