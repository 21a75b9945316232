package user_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/user"
)

func TestContactClean(t *testing.T) {
	long := strings.Repeat("a", 64)
	labels := strings.Repeat(strings.Repeat("b", 61)+".", 3)
	for _, tt := range []struct{ name, give, want string }{ // want empty: refused
		{"plain", "ada@example.com", "ada@example.com"},
		{"the local part keeps its case", "Ada.Lovelace+news@Example.COM", "Ada.Lovelace+news@example.com"},
		{"an international domain", "ada@Bücher.example", "ada@xn--bcher-kva.example"},
		{"the same in punycode", "ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"},
		{"sharp s is not ss", "ada@straße.example", "ada@xn--strae-oqa.example"},
		{"an ideographic dot", "ada@example\u3002com", "ada@example.com"},
		{"a local part in another script", "用户@example.com", "用户@example.com"},
		{"decomposed letters", "zoe\u0308@example.com", "zoë@example.com"},
		{"full width", "ａｄａ@example.com", "ada@example.com"},
		{"one label", "root@localhost", "root@localhost"},
		{"every character of a dot-atom", "!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"},
		{"the longest local part", long + "@example.com", long + "@example.com"},
		{"254 bytes", long + "@" + labels + "com", long + "@" + labels + "com"},

		{"255 bytes", long + "@" + labels + "coma", ""},
		{"a local part of 65 bytes", long + "a@example.com", ""},
		{"a label of 64", "a@" + long + ".com", ""},
		{"a megabyte", strings.Repeat("a", 1<<20) + "@example.com", ""},
		{"no at", "ada.example.com", ""},
		{"two ats", "ada@x@example.com", ""},
		{"a full-width at", "ada＠x@example.com", ""},
		{"a full-width at alone", "ada＠example.com", ""},
		{"no local part", "@example.com", ""},
		{"no domain", "ada@", ""},
		{"a final dot", "ada@example.com.", ""},
		{"an empty label", "ada@example..com", ""},
		{"an IP address", "ada@192.0.2.1", ""},
		{"an address literal", "ada@[192.0.2.1]", ""},
		{"an underscore in the domain", "ada@ex_ample.com", ""},
		{"broken punycode", "ada@xn--a.example", ""},
		{"dots at the ends", ".ada@example.com", ""},
		{"a dot before the at", "ada.@example.com", ""},
		{"two dots", "a..da@example.com", ""},
		{"a full-width dot at the end", "ada．@example.com", ""},
		{"quoted", `"ada"@example.com`, ""},
		{"a comment", "ada(x)@example.com", ""},
		{"two addresses", "ada@example.com,bob", ""},
		{"a name and an address", "Ada <ada@example.com>", ""},
		{"space", "ada lovelace@example.com", ""},
		{"space around", " ada@example.com", ""},
		{"a header", "ada@example.com\r\nBcc: x", ""},
		{"a new line in the local part", "ada\n@example.com", ""},
		{"NUL", "ada\x00@example.com", ""},
		{"NUL in the domain", "ada@exam\x00ple.com", ""},
		{"not UTF-8", "ada\xff@example.com", ""},
		{"bidirectional control", "ada\u202e@example.com", ""},
		{"zero width", "a\u200bda@example.com", ""},
		{"zero width in the domain", "ada@exa\u200bmple.com", "ada@example.com"}, // UTS 46 maps it to nothing
		{"a mix of directions", "adaא@example.com", ""},
		{"SQL", "ada'--@example.com", "ada'--@example.com"},
	} {
		t.Run("email/"+tt.name, func(t *testing.T) {
			got, err := user.Contact{Email: tt.give}.Clean()
			if (tt.want == "") != errors.Is(err, user.ErrEmail) || got.Email != tt.want {
				t.Errorf("Clean(%.80q) = %q, %v, want %q", tt.give, got.Email, err, tt.want)
			}
		})
	}
	for _, tt := range []struct{ name, give, want string }{
		{"plain", "+4915112345678", "+4915112345678"},
		{"set apart", "+49 (151) 1234-56/78", "+4915112345678"},
		{"dots", "+1.202.555.0143", "+12025550143"},
		{"7 digits", "+2901234", "+2901234"},
		{"15 digits", "+123456789012345", "+123456789012345"},

		{"6 digits", "+290123", ""},
		{"16 digits", "+1234567890123456", ""},
		{"no plus", "4915112345678", ""},
		{"a national number", "0151 12345678", ""},
		{"an international prefix", "004915112345678", ""},
		{"a country code of 0", "+0151123456", ""},
		{"a trunk prefix", "+44 (0)20 7946 0018", ""},
		{"two pluses", "++4915112345678", ""},
		{"a plus inside", "+49+15112345678", ""},
		{"letters", "+1800FLOWERS", ""},
		{"an extension", "+12025550143x5", ""},
		{"digits of another script", "+٤٩١٥١١٢٣٤٥٦٧", ""},
		{"full-width digits", "+４９１５１１２３４５６", ""},
		{"NUL", "+49151\x0012345678", ""},
		{"a new line", "+4915112345678\n", ""},
		{"separators alone", "+ - ()", ""},
		{"not UTF-8", "+4915112345678\xff", ""},
	} {
		t.Run("phone/"+tt.name, func(t *testing.T) {
			got, err := user.Contact{Phone: tt.give}.Clean()
			if (tt.want == "") != errors.Is(err, user.ErrPhone) || got.Phone != tt.want {
				t.Errorf("Clean(%q) = %q, %v, want %q", tt.give, got.Phone, err, tt.want)
			}
		})
	}
	if got, err := (user.Contact{}).Clean(); err != nil || got != (user.Contact{}) {
		t.Errorf("Clean of nothing = %+v, %v", got, err)
	}
}

// What is kept is kept as it is the second time, is one line of text, and fits.
func FuzzContactClean(f *testing.F) {
	for _, seed := range []string{
		"ada@example.com", "Ada@Bücher.example", "＠@x", "a@xn--bcher-kva.de", "用户@example.com", "+49 151 1234", "a..b@c", "\u202ea@b", "ǅ@x", "ß@ß.example", "İ@x",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, email, phone string) {
		for _, c := range []user.Contact{{Email: email}, {Phone: phone}} {
			clean, err := c.Clean()
			if err != nil {
				continue
			}
			again, err := clean.Clean()
			if err != nil || again != clean {
				t.Errorf("Clean(%q) = %q, and of that %q, %v", c, clean, again, err)
			}
			if len(clean.Email) > 254 || len(clean.Phone) > 16 || strings.ContainsAny(clean.Email+clean.Phone, "\x00\r\n\u202e\u2066 ") {
				t.Errorf("Clean(%q) = %q", c, clean)
			}
		}
	})
}
