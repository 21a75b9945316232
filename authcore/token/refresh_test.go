package token_test

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/token"
)

func TestRefresh(t *testing.T) {
	acme, globex := rings(t)
	for _, generation := range []uint32{0, 1, math.MaxInt32, math.MaxUint32} {
		r := token.Refresh{Session: uuid.New(), Generation: generation}
		tok := string(token.AppendRefresh(nil, acme, r))
		if len(tok) != 94 || !strings.HasPrefix(tok, "rt_") {
			t.Errorf("token = %q, want 94 characters that begin with rt_", tok)
		}
		if got, err := token.ParseRefresh(acme, tok); err != nil || got != r {
			t.Errorf("ParseRefresh = %+v, %v, want %+v", got, err, r)
		}
		if got, err := token.ParseRefresh(globex, tok); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("ParseRefresh by another tenant = %+v, %v, want %v", got, err, token.ErrInvalid)
		}
	}
	r := token.Refresh{Session: uuid.New()}
	tok := string(token.AppendRefresh(nil, acme, r))
	for _, tt := range []struct{ name, token string }{
		{"empty", ""},
		{"the prefix alone", "rt_"},
		{"no prefix", tok[3:]},
		{"another prefix", "bk_" + tok[3:]},
		{"cut", tok[:len(tok)-1]},
		{"cut to whole bytes", tok[:len(tok)-4]},
		{"longer", tok + "A"},
		{"padded", tok + "="},
		{"spare bits", respell(tok)},
		{"a line break", tok[:40] + "\n" + tok[41:]},
		{"made up", "rt_" + strings.Repeat("A", 91)},
		{"an access token", access(t, acme, claimsOf(acme))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := token.ParseRefresh(acme, tt.token); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("ParseRefresh = %+v, %v, want %v", got, err, token.ErrInvalid)
			}
		})
	}
	raw, err := base64.RawURLEncoding.DecodeString(tok[3:])
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw { // tenant, session, generation and MAC: no byte is free
		raw[i] ^= 0x80
		forged := "rt_" + base64.RawURLEncoding.EncodeToString(raw)
		if got, err := token.ParseRefresh(acme, forged); !errors.Is(err, token.ErrInvalid) {
			t.Fatalf("ParseRefresh with byte %d changed = %+v, %v, want %v", i, got, err, token.ErrInvalid)
		}
		raw[i] ^= 0x80
	}
}

// FuzzParseRefresh: what is accepted is exactly what would be made.
func FuzzParseRefresh(f *testing.F) {
	acme, globex := rings(f)
	r := token.Refresh{Session: uuid.MustParse("0190b1c2-0000-7000-8000-000000000002"), Generation: 7}
	for _, seed := range []string{
		string(token.AppendRefresh(nil, acme, r)), string(token.AppendRefresh(nil, globex, r)), "", "rt_", "rt_" + strings.Repeat("A", 91),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tok string) {
		got, err := token.ParseRefresh(acme, tok)
		if err != nil {
			if !errors.Is(err, token.ErrInvalid) {
				t.Errorf("ParseRefresh(%q) error = %v, want %v", tok, err, token.ErrInvalid)
			}
			return
		}
		if again := string(token.AppendRefresh(nil, acme, got)); again != tok {
			t.Errorf("ParseRefresh(%q) = %+v, whose token is %q", tok, got, again)
		}
	})
}
