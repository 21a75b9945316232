package detect_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/biocore-id/biocore/tenancy/governance/detect"
)

// Each number is of a standard's or an authority's own examples, or made by its rule; near misses differ from a true
// one by a digit, a length, a range, or what stands around it.
var cases = []struct {
	name, text string
	want       []detect.Kind
	left       string // after redaction; empty: as it was
}{
	{"mail", "ask ana.b+x@mail.example.com, or not", kinds(detect.Email), "ask [redacted:EMAIL], or not"},
	{"mail at the end of a sentence", "to ana@example.com.", kinds(detect.Email), "to [redacted:EMAIL]."},
	{"mail in brackets", "Ana <ana@example.co.uk>", kinds(detect.Email), "Ana <[redacted:EMAIL]>"},
	{"mail with umlauts", "jürgen@bücher.example", kinds(detect.Email), "[redacted:EMAIL]"},
	{"mails in a chain", "a@b.com@c.com@d.com", kinds(detect.Email, detect.Email), "[redacted:EMAIL]@[redacted:EMAIL]"},
	{"mail of a number", "12345678Z@example.com", kinds(detect.Email), "[redacted:EMAIL]"},
	{"no domain", "root@localhost", nil, ""},
	{"no name", "@example.com and v1@2.0", nil, ""},
	{"a version", "npm i pkg@1.2.3", nil, ""},

	{"IBAN", "IBAN DE89370400440532013000.", kinds(detect.IBAN), "IBAN [redacted:IBAN]."},
	{"IBAN in groups", "GB29 NWBK 6016 1331 9268 19 please", kinds(detect.IBAN), "[redacted:IBAN] please"},
	{"IBAN, the shortest and the longest", "NO9386011117947/MT84MALT011000012345MTLCAST001S", kinds(detect.IBAN, detect.IBAN), "[redacted:IBAN]/[redacted:IBAN]"},
	{"IBAN in small letters", "de89370400440532013000", kinds(detect.IBAN), "[redacted:IBAN]"},
	{"IBAN with a wrong digit", "DE89370400440532013001", nil, ""},
	{"IBAN one digit short", "DE8937040044053201300", nil, ""},
	{"IBAN of no country", "QQ89370400440532013000", nil, ""},
	{"IBAN inside of a longer run", "xDE89370400440532013000", nil, ""},

	{"Visa", "card 4111111111111111", kinds(detect.Card), "card [redacted:CARD]"},
	{"Visa in groups", "4111 1111 1111 1111, 12/27", kinds(detect.Card), "[redacted:CARD], 12/27"},
	{"Visa with hyphens", "4111-1111-1111-1111", kinds(detect.Card), "[redacted:CARD]"},
	{"Mastercard", "5555555555554444 2223003122003222", kinds(detect.Card, detect.Card), "[redacted:CARD] [redacted:CARD]"},
	{"American Express", "3782 822463 10005 378282246310005", kinds(detect.Card, detect.Card), "[redacted:CARD] [redacted:CARD]"},
	{"Diners, JCB, Discover, UnionPay", "30569309025904 3530111333300000 6011111111111117 6200000000000005", kinds(detect.Card, detect.Card, detect.Card, detect.Card), "[redacted:CARD] [redacted:CARD] [redacted:CARD] [redacted:CARD]"},
	{"card with a wrong digit", "4111111111111112", nil, ""},
	{"card of no issuer", "7992739871300000001 1234567812345670", nil, ""},
	{"Mastercard of another length", "51000000000008", nil, ""},
	{"card in a longer number", "41111111111111110 0.4111111111111111 4111111111111111-22", nil, ""},
	{"groups with different signs", "4111 1111-1111 1111", nil, ""},
	{"times", "1796050426000 1796050426000123 1796050426000123456", nil, ""},
	{"UUIDs", "01931c4e-4111-1111-1111-111111111111 41111111-1111-4111-8111-111111111111", nil, ""},

	{"German tax id", "86095742719 and 12345678995", kinds(detect.NationalID, detect.NationalID), "[redacted:NATIONAL_ID] and [redacted:NATIONAL_ID]"},
	{"German tax id in groups", "86 095 742 719", kinds(detect.NationalID), "[redacted:NATIONAL_ID]"},
	{"German tax id with a wrong digit", "86095742718", nil, ""},
	{"NIR", "255081416802538 2 55 08 14 168 025 38", kinds(detect.NationalID, detect.NationalID), "[redacted:NATIONAL_ID] [redacted:NATIONAL_ID]"},
	{"NIR of Corsica", "180022A00412326", nil, ""},
	{"NIR with a wrong key", "255081416802539", nil, ""},
	{"DNI and NIE", "12345678Z X1234567L X1234567-L 12345678-Z", kinds(detect.NationalID, detect.NationalID, detect.NationalID, detect.NationalID), "[redacted:NATIONAL_ID] [redacted:NATIONAL_ID] [redacted:NATIONAL_ID] [redacted:NATIONAL_ID]"},
	{"DNI with a wrong letter", "12345678A X1234567Z 12345678z", nil, ""},
	{"codice fiscale", "RSSMRA85T10A562S mrtmtt91d08f205j", kinds(detect.NationalID, detect.NationalID), "[redacted:NATIONAL_ID] [redacted:NATIONAL_ID]"},
	{"codice fiscale with a wrong letter", "RSSMRA85T10A562T", nil, ""},
	{"BSN with its word", "BSN: 111222333", kinds(detect.NationalID), "BSN: [redacted:NATIONAL_ID]"},
	{"BSN without its word", "order 111222333", nil, ""},
	{"BSN with a wrong digit", "BSN 111222334", nil, ""},
	{"NINO", "AB123456C, AB 12 34 56 C", kinds(detect.NationalID, detect.NationalID), "[redacted:NATIONAL_ID], [redacted:NATIONAL_ID]"},
	{"NINO that nobody has", "GB123456C QQ123456C AB123456E", nil, ""},
	{"SSN", "856-45-6789", kinds(detect.NationalID), "[redacted:NATIONAL_ID]"},
	{"SSN that nobody has", "000-12-3456 666-12-3456 900-12-3456 123-00-3456 123-45-0000", nil, ""},
	{"SSN without hyphens", "856456789", nil, ""},
	{"PESEL", "44051401359", kinds(detect.NationalID), "[redacted:NATIONAL_ID]"},
	{"PESEL with a wrong digit", "44051401358", nil, ""},
	{"personnummer", "811228-9874, 19811228-9874 and 811288-9874x", kinds(detect.NationalID, detect.NationalID), "[redacted:NATIONAL_ID], [redacted:NATIONAL_ID] and 811288-9874x"},
	{"personnummer with a wrong digit", "811228-9875", nil, ""},
	{"a date and a time", "20301231-2359 20301231T235959.12345678Z 2030-12-31", nil, ""},

	{"JWT", "t=" + jwt + ";", kinds(detect.Token), "t=[redacted:TOKEN];"},
	{"not a JWT", "eyJhbGciOiJIUzI1NiJ9 eyJhIjoxfQxxxxx.eyJhIjoxfQ.xxxxxxxxxxxx", nil, ""},
	{"bearer", "Authorization: Bearer 4f9bQzL0a8sVxxYt1kKmPq", kinds(detect.Token), "Authorization: Bearer [redacted:TOKEN]"},
	{"bearer of news", "the bearer of this, bearer responsibilities-and-duties", nil, ""},
	{"PEM", "key:\n" + pem + "\nend", kinds(detect.PrivateKey), "key:\n[redacted:PRIVATE_KEY]\nend"},
	{"PEM that breaks off", pem[:60], kinds(detect.PrivateKey), "[redacted:PRIVATE_KEY]"},
	{"a certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", nil, ""},
	{"refresh token", "rt_" + strings.Repeat("Ab0-_", 18) + "x", kinds(detect.OwnKey), "[redacted:BIOCORE_KEY]"},
	{"refresh token of another length", "rt_" + strings.Repeat("Ab0-_", 18), nil, ""},
	{"signing secret", "whsec_" + strings.Repeat("Ab0/", 8), kinds(detect.OwnKey), "[redacted:BIOCORE_KEY]"},
	{"API key with a wrong checksum", "bk_live_" + strings.Repeat("0", 33) + "_" + strings.Repeat("a", 49), nil, ""},
	{"ids and hashes", "019adf7e-5b0a-7d2e-9c1f-0242ac120002 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 203.0.113.77 2001:db8::1 1.0.0-rc.1", nil, ""},
}

const (
	jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.MEUCIQDx-_8sF3yDw"
	pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49\n-----END EC PRIVATE KEY-----"
)

func kinds(k ...detect.Kind) []detect.Kind { return k }

func TestFind(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			var got []detect.Kind
			for _, f := range detect.Find(tt.text) {
				got = append(got, f.Kind)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("Find(%q) = %v, want %v", tt.text, got, tt.want)
			}
			clean, taken := detect.Redact(tt.text)
			if want := tt.left; clean != want && (want != "" || clean != tt.text) || !slices.Equal(taken, tt.want) {
				t.Errorf("Redact(%q) = %q, %v, want %q", tt.text, clean, taken, want)
			}
		})
	}
}

// Where kinds are named, the others stay.
func TestRedactSome(t *testing.T) {
	clean, taken := detect.Redact("ana@example.com pays DE89370400440532013000 by 4111111111111111", detect.IBAN, detect.Card)
	if clean != "ana@example.com pays [redacted:IBAN] by [redacted:CARD]" || !slices.Equal(taken, kinds(detect.IBAN, detect.Card)) {
		t.Errorf("Redact = %q, %v", clean, taken)
	}
}

// A shape holds no letter and no digit of what it is of.
func TestShape(t *testing.T) {
	for value, want := range map[string]string{
		"ana.b@Example.com": "xxx.x@Xxxxxxx.xxx", "4111 1111 1111 1111": "9999 9999 9999 9999", "a\nb": "x x", "jürgen": "xxxxxx",
		strings.Repeat("1", 60): strings.Repeat("9", 48) + "…",
	} {
		if got := detect.Shape(value); got != want {
			t.Errorf("Shape(%q) = %q, want %q", value, got, want)
		}
	}
}

// Whatever comes: nothing panics; findings lie in the text, in order, between characters; redaction leaves nothing to find, and
// doing it again changes nothing.
func FuzzRedact(f *testing.F) {
	for _, tt := range cases {
		f.Add(tt.text)
	}
	f.Add("a@b.c@d.ee.4111111111111111@x.yy")
	f.Add("-----BEGIN [redacted:EMAIL] PRIVATE KEY-----eyJ-eyJ-eyJ.")
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, found := range detect.Find(text) {
			if found.Start < last || found.End <= found.Start || found.End > len(text) {
				t.Fatalf("Find(%q): %+v after %d", text, found, last)
			}
			if utf8.ValidString(text) && (!utf8.ValidString(text[:found.Start]) || !utf8.ValidString(text[:found.End])) {
				t.Fatalf("Find(%q): %+v lies within a character", text, found)
			}
			last = found.End
		}
		clean, _ := detect.Redact(text)
		if left := detect.Find(clean); len(left) > 0 {
			t.Fatalf("Redact(%q) = %q, which still has %v", text, clean, left)
		}
		if again, taken := detect.Redact(clean); again != clean || len(taken) > 0 {
			t.Fatalf("Redact(%q) = %q, and again %q", text, clean, again)
		}
	})
}

// Clean text of an audit log: ids, times, addresses, words. And text with something in each line.
func BenchmarkFind(b *testing.B) {
	clean := strings.Repeat(`{"seq":48213,"id":"019adf7e-5b0a-7d2e-9c1f-0242ac120002","time":"2030-01-02T03:04:05.123456Z","action":"credential.revoke","reason":"the phone was lost on a journey","address":"203.0.113.77","userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}`+"\n", 64)
	for name, text := range map[string]string{"clean": clean, "dirty": strings.ReplaceAll(clean, "on a journey", "says ana@example.com, 4111 1111 1111 1111")} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				detect.Find(text)
			}
		})
	}
}
