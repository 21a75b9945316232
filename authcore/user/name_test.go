package user

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/biocore-id/biocore/tenancy/fault"
)

func TestCleanName(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want string // empty: refused
	}{
		{"plain", "Ada Lovelace", "Ada Lovelace"},
		{"an e-mail address", "ada@example.com", "ada@example.com"},
		{"case is kept", "McAdams", "McAdams"},
		{"spaces are trimmed and collapsed", "  Ada   Lovelace ", "Ada Lovelace"},
		{"no-break and ideographic spaces become spaces", "Ada\u00a0\u3000Lovelace", "Ada Lovelace"},
		{"decomposed letters are composed", "Zoe\u0308", "Zo\u00eb"},
		{"right to left", "שלום", "שלום"},
		{"the joiner that Persian needs", "می\u200cخواهم", "می\u200cخواهم"},
		{"symbols", "☎ 📱", "☎ 📱"},
		{"256 characters", strings.Repeat("é", 256), strings.Repeat("é", 256)},

		{"empty", "", ""},
		{"spaces alone", "   ", ""},
		{"257 characters", strings.Repeat("é", 257), ""},
		{"NUL", "Ada\x00", ""},
		{"a line end", "Ada\nLovelace", ""},
		{"a tab", "Ada\tLovelace", ""},
		{"escape", "\x1b[31mAda", ""},
		{"not UTF-8", "Ada\xff", ""},
		{"a surrogate in UTF-8", "\xed\xa0\x80", ""},
		{"right-to-left override", "Ada\u202egnp.exe", ""},
		{"isolate", "\u2066Ada\u2069", ""},
		{"left-to-right mark", "Ada\u200e", ""},
		{"zero width space", "Ad\u200ba", ""},
		{"zero width joiner between letters", "Ad\u200da", ""},
		{"zero width non-joiner between Latin letters", "Ad\u200ca", ""},
		{"byte order mark", "\ufeffAda", ""},
		{"soft hyphen", "Ad\u00ada", ""},
		{"word joiner", "Ad\u2060a", ""},
		{"Hangul filler", "\u3164", ""},
		{"private use", "\ue000", ""},
		{"tag characters", "Ada\U000e0041", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cleanName("name", tt.in)
			if tt.want == "" {
				if !errors.Is(err, ErrName) {
					t.Fatalf("cleanName = %q, %v, want %v", got, err, ErrName)
				}
				if f, _ := fault.As(err); f.Metadata["field"] != "name" {
					t.Errorf("metadata = %v, want the field", f.Metadata)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("cleanName = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestCheckExternalID(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		ok   bool
	}{
		{"a number", "4711", true},
		{"an address", "ada+test@example.com", true},
		{"a path", "auth0|abc/def==", true},
		{"with spaces", " 4711 ", true},
		{"256 characters", strings.Repeat("é", 256), true},
		{"empty", "", false},
		{"257 characters", strings.Repeat("é", 257), false},
		{"NUL", "4711\x00", false},
		{"a line end", "4711\n", false},
		{"not UTF-8", "4711\xff", false},
		{"decomposed", "zoe\u0308", false},
		{"another space", "4\u00a0711", false},
		{"zero width space", "4\u200b711", false},
		{"bidirectional control", "4\u202e711", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := checkExternalID(tt.in); (err == nil) != tt.ok {
				t.Errorf("checkExternalID = %v, want ok = %t", err, tt.ok)
			} else if err != nil && !errors.Is(err, ErrExternalID) {
				t.Errorf("checkExternalID = %v, want %v", err, ErrExternalID)
			}
		})
	}
}

// What comes out is clean: valid, composed, bounded, and clean already.
func FuzzCleanName(f *testing.F) {
	for _, seed := range []string{"Ada", " a  b ", "Zoe\u0308", "می\u200cخواهم", "\u202ea", "a\u0301\u0301", "\u1100\u1161", "ſ", "K"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := cleanName("name", s)
		if err != nil {
			return
		}
		if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) || utf8.RuneCountInString(got) > maxCharacters {
			t.Errorf("cleanName(%q) = %q: not valid, composed and bounded", s, got)
		}
		if again, err := cleanName("name", got); err != nil || again != got {
			t.Errorf("cleanName(%q) = %q, and of that %q, %v", s, got, again, err)
		}
	})
}
