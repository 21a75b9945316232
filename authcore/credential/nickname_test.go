package credential_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
)

func TestCleanNickname(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want string
		err  error
	}{
		{name: "plain", in: "My phone", want: "My phone"},
		{name: "empty removes it", in: ""},
		{name: "spaces alone", in: " \t "},
		{name: "spaces and line ends collapse", in: " My\r\n\tphone\u00a0 ", want: "My phone"},
		{name: "emoji with its variation selector", in: "❤\ufe0f 📱", want: "❤\ufe0f 📱"},
		{name: "decomposed letters are composed", in: "Zoe\u0308", want: "Zo\u00eb"},
		{name: "NUL goes", in: "My\x00 phone", want: "My phone"},
		{name: "terminal escapes lose their teeth", in: "\x1b[31mphone", want: "[31mphone"},
		{name: "bidirectional controls go", in: "phone\u202egnp\u2066", want: "phonegnp"},
		{name: "zero width characters go", in: "ph\u200bo\u200dn\ufeffe", want: "phone"},
		{name: "private use goes", in: "\ue000phone", want: "phone"},
		{name: "64 characters", in: strings.Repeat("é", 64), want: strings.Repeat("é", 64)},
		{name: "65 characters", in: strings.Repeat("é", 65), err: credential.ErrNickname},
		{name: "65 with one that goes", in: strings.Repeat("é", 64) + "\u200b", want: strings.Repeat("é", 64)},
		{name: "markup is text", in: "<b>phone</b>", want: "<b>phone</b>"},
		{name: "not UTF-8", in: "phone\xff", err: credential.ErrNickname},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := credential.CleanNickname(tt.in)
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Errorf("CleanNickname = %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestParseID(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		ok   bool
	}{
		{"one byte", "AA", true},
		{"1023 bytes", credential.ID(strings.Repeat("x", 1023)).String(), true},
		{"1024 bytes", credential.ID(strings.Repeat("x", 1024)).String(), false},
		{"empty", "", false},
		{"padded", "AA==", false},
		{"standard alphabet", "+/+/", false},
		{"spare bits set", "AB", false},
		{"line break", "AAAA\nAAAA", false},
		{"carriage return at the end", "AAAA\r", false},
		{"impossible length", "AAAAA", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := credential.ParseID(tt.in)
			if (err == nil) != tt.ok {
				t.Fatalf("ParseID error = %v, want ok = %t", err, tt.ok)
			}
			if err != nil && !errors.Is(err, credential.ErrNotFound) {
				t.Errorf("ParseID error = %v, want %v", err, credential.ErrNotFound)
			}
			if err == nil && id.String() != tt.in {
				t.Errorf("String = %q, want %q", id.String(), tt.in)
			}
		})
	}
}

func TestAuthenticatorName(t *testing.T) {
	for aaguid, want := range map[string]string{
		"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "iCloud Keychain",
		"d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
		"2fc0579f-8113-47ea-b116-bb5a8db9202a": "YubiKey 5 Series with NFC",
		"00000000-0000-0000-0000-000000000000": "", // "no AAGUID"
		"11111111-2222-3333-4444-555555555555": "",
	} {
		if got := credential.AuthenticatorName(uuid.MustParse(aaguid)); got != want {
			t.Errorf("AuthenticatorName(%s) = %q, want %q", aaguid, got, want)
		}
	}
}
