package apikey

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/governance/detect"
)

var form = regexp.MustCompile(`^(bk|pk|pf)_(live|test)_[0-9A-Za-z]{33}_[0-9A-Za-z]{49}$`)

func TestKeyForm(t *testing.T) {
	tenant := uuid.New()
	for kind, prefix := range map[Kind]string{Secret: "bk_", Publishable: "pk_", Platform: "pf_"} {
		for _, mode := range []string{"live", "test"} {
			plain, want := newPlain(kind, mode, tenant)
			text := plain.Reveal()
			if !form.MatchString(text) || !strings.HasPrefix(text, prefix+mode+"_") {
				t.Errorf("key %s", text)
			}
			got, ok := parse(text)
			if !ok || got != want || got.tenant != tenant || got.kind != kind || got.mode != mode {
				t.Errorf("parse = %+v, %v, want %+v", got, ok, want)
			}
		}
	}
}

// The checksum is what scanners check, by this very rule: CRC-32 (IEEE) of all that
// stands before it, as a base62 number (0-9A-Za-z) in 6 digits. math/big is the oracle.
func TestChecksumForScanners(t *testing.T) {
	plain, _ := newPlain(Secret, "live", uuid.New())
	text := plain.Reveal()
	body, crc := text[:len(text)-6], text[len(text)-6:]
	want := base62Big(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(body)))), 6)
	if crc != want {
		t.Errorf("checksum = %s, want %s", crc, want)
	}
}

func base62Big(n *big.Int, digits int) string {
	var out []byte
	m := new(big.Int)
	for range digits {
		n.DivMod(n, big.NewInt(62), m)
		out = append([]byte{alphabet[m.Int64()]}, out...)
	}
	return string(out)
}

// Scanners for leaked data know our keys by their form and checksum, which another of the same length does not have.
// Publishable keys are for everybody.
func TestDetectorsKnowKeys(t *testing.T) {
	for kind := range prefixes {
		for _, mode := range []string{"live", "test"} {
			plain, _ := newPlain(kind, mode, uuid.New())
			key := plain.Reveal()
			clean, _ := detect.Redact("key=" + key + ".")
			if want := "key=" + detect.Mark(detect.OwnKey) + "."; kind != Publishable && clean != want {
				t.Errorf("%s %s: %s", kind, mode, clean)
			}
			other := key[:10] + strings.Map(func(r rune) rune { return 'a' + (r+1)%26 }, key[10:11]) + key[11:]
			if found := detect.Find(other); len(found) > 0 || kind == Publishable && len(detect.Find(key)) > 0 {
				t.Errorf("%s %s: %v in what is no key, or is public", kind, mode, found)
			}
		}
	}
}

func TestBase62(t *testing.T) {
	all := make([]byte, 32)
	for i := range all {
		all[i] = 0xff
	}
	for _, raw := range [][]byte{make([]byte, 24), all[:24], all, make([]byte, 4), all[:4], {0x80, 0, 0, 0}} {
		digits := map[int]int{24: idDigits, 32: secretDigits, 4: crcDigits}[len(raw)]
		text := string(appendBase62(nil, raw, digits))
		if want := base62Big(new(big.Int).SetBytes(raw), digits); text != want {
			t.Errorf("%x = %s, want %s", raw, text, want)
		}
		back := make([]byte, len(raw))
		if !decodeBase62(back, text) || string(back) != string(raw) {
			t.Errorf("%s = %x, want %x", text, back, raw)
		}
	}
	for digits, size := range map[string]int{
		"4gfFC4":                          4, // 2^32
		"zzzzzz":                          4,
		strings.Repeat("z", idDigits):     24,
		strings.Repeat("z", secretDigits): 32,
		strings.Repeat("z", 60):           32, // more than 256 bits on the way
		"00000_":                          4,
	} {
		if decodeBase62(make([]byte, size), digits) {
			t.Errorf("%s fits %d bytes", digits, size)
		}
	}
}

func TestMalformedKeys(t *testing.T) {
	plain, _ := newPlain(Secret, "live", uuid.New())
	good := plain.Reveal()
	withCRC := func(body string) string { return string(appendCRC([]byte(body))) }
	body := good[:len(good)-crcDigits]
	for name, text := range map[string]string{
		"empty":                     "",
		"cut":                       good[:len(good)-1],
		"longer":                    good + "0",
		"spaces":                    " " + good[:len(good)-1],
		"unknown kind":              withCRC("sk" + body[2:]),
		"upper-case kind":           withCRC("BK" + body[2:]),
		"unknown mode":              withCRC(body[:3] + "prod" + body[7:]),
		"no separator":              withCRC(body[:2] + "-" + body[3:]),
		"separator elsewhere":       withCRC(body[:8] + "_" + body[8:8+idDigits] + body[9+idDigits:]),
		"wrong checksum":            body + "000000",
		"last byte":                 good[:len(good)-1] + string(alphabet[(strings.IndexByte(alphabet, good[len(good)-1])+1)%62]),
		"first byte of the secret":  body[:len(body)-secretDigits] + string(alphabet[(strings.IndexByte(alphabet, body[len(body)-secretDigits])+1)%62]) + good[len(body)-secretDigits+1:],
		"an id that is no 24 bytes": withCRC("bk_live_" + strings.Repeat("z", idDigits) + "_" + strings.Repeat("0", secretDigits)),
		"a secret of over 32 bytes": withCRC(body[:len(body)-secretDigits] + strings.Repeat("z", secretDigits)),
		"not a digit":               withCRC(body[:len(body)-1] + "-"),
		"not ASCII":                 strings.Repeat("é", maxKeyBytes/2),
		"a megabyte":                strings.Repeat("b", 1<<20),
		"NUL":                       strings.Repeat("\x00", maxKeyBytes),
	} {
		if p, ok := parse(text); ok {
			t.Errorf("%s: parsed as %+v", name, p)
		}
	}
}

// Whatever parses is the only spelling of its key, and nothing panics.
func FuzzParse(f *testing.F) {
	for _, kind := range []Kind{Secret, Publishable, Platform} {
		plain, _ := newPlain(kind, "test", uuid.New())
		f.Add(plain.Reveal())
		f.Add(plain.Reveal()[:40])
	}
	f.Add("")
	f.Add(strings.Repeat("_", maxKeyBytes))
	f.Fuzz(func(t *testing.T, text string) {
		// The checksum would stop nearly all of a fuzzer's ideas: mend it.
		if len(text) > crcDigits {
			text = string(appendCRC([]byte(text[:len(text)-crcDigits])))
		}
		p, ok := parse(text)
		if !ok {
			return
		}
		if !form.MatchString(text) {
			t.Fatalf("parsed %q", text)
		}
		var id [24]byte
		copy(id[:], p.tenant[:])
		if keyIDOf([24]byte(append(p.tenant[:], bigEndian(p.keyID)...))) != p.keyID {
			t.Fatal("key id does not round-trip")
		}
		copy(id[16:], bigEndian(p.keyID))
		if got := string(appendBase62(nil, id[:], idDigits)); got != text[8:8+idDigits] {
			t.Fatalf("id %s is spelled %s", text[8:8+idDigits], got)
		}
	})
}

func bigEndian(id int64) []byte {
	return new(big.Int).SetUint64(uint64(id)).FillBytes(make([]byte, 8))
}

// SECURITY 30: a key that is logged or printed by mistake shows its prefix.
func TestPlainDoesNotPrint(t *testing.T) {
	plain, _ := newPlain(Secret, "live", uuid.New())
	secret := plain.Reveal()[len("bk_live_")+idDigits:]
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", plain)
	asJSON, err := json.Marshal(map[string]any{"key": plain, "created": Created{Plain: plain}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{log.String(), string(asJSON), fmt.Sprint(plain), fmt.Sprintf("%v %+v %#v %s %q", plain, plain, plain, plain, plain), fmt.Sprintf("%+v", Created{Plain: plain})} {
		if strings.Contains(text, secret) || strings.Contains(text, secret[:12]) {
			t.Errorf("printed %s", text)
		}
		if !strings.Contains(text, "bk_live_…") {
			t.Errorf("%s does not tell which key", text)
		}
	}
	if (Plain{}).String() == "" {
		t.Error("the zero Plain prints nothing")
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		granted, wanted string
		want            bool
	}{
		{"users:read", "users:read", true},
		{"users:read", "users:write", false},
		{"users", "users:read", true},
		{"users:*", "users:read", true},
		{"users:*", "users", false},
		{"user", "users:read", false},
		{"users:read", "users", false},
		{"users:read", "users:*", false},
		{"*", "users:write", true},
		{"*", "*", true},
		{"*", "admin:apiKeys:read", false},
		{"*", "admin:*", false},
		{"*", "admin", false},
		{"admin:*", "admin:apiKeys:write", true},
		{"admin:*", "admin:apiKeys:*", true},
		{"admin:*", "*", false},
		{"admin:*", "users:read", false},
		{"admin:apiKeys:*", "admin:tenants:read", false},
		{"admin:apiKeys", "admin:apiKeys:read", true},
		{"", "users:read", false},
		{":*", "users:read", false},
		{"users:read", "", false},
	} {
		if got := covers(tt.granted, tt.wanted); got != tt.want {
			t.Errorf("covers(%q, %q) = %v, want %v", tt.granted, tt.wanted, got, tt.want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	plain, _ := newPlain(Secret, "live", uuid.New())
	text := plain.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := parse(text); !ok {
			b.Fatal("malformed")
		}
	}
}
