package credential_test

import (
	"errors"
	"strings"
	"testing"

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

// What a maker calls a model is cut to what a user could have called it.
func TestDefaultNickname(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nobody knows the model", "", ""},
		{"a model", "Example key", "Example key"},
		{"cut at 64 characters", strings.Repeat("é", 70), strings.Repeat("é", 64)},
		{"no space at the cut", strings.Repeat("x", 63) + " more", strings.Repeat("x", 63)},
		{"a nickname's rules", "Example\u202e  key\n", "Example key"},
		{"no text", "\xff", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := credential.DefaultNickname(tt.in)
			if got != tt.want {
				t.Errorf("DefaultNickname = %q, want %q", got, tt.want)
			}
			if clean, err := credential.CleanNickname(got); err != nil || clean != got {
				t.Errorf("it is no nickname: %q, %v", clean, err)
			}
		})
	}
}
