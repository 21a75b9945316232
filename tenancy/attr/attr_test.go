package attr_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/attr"
)

func Example() {
	object := attr.AppendObject(nil, []attr.Attr{
		attr.Text("reason", `lost "phone"`),
		attr.Int("count", 3),
		attr.Bool("backedUp", true),
		attr.Bytes("credentialId", []byte{0xfb, 0xff}),
		attr.Texts("transports", []string{"internal", "hybrid"}),
		attr.UUID("userId", uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")),
	})
	fmt.Println(string(object))
	// Output: {"reason":"lost \"phone\"","count":3,"backedUp":true,"credentialId":"-_8","transports":["internal","hybrid"],"userId":"01890a5d-ac96-774b-bcce-b302099a8057"}
}

func TestAppendText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", `""`},
		{"plain", "Acme Bank", `"Acme Bank"`},
		{"every script", "株式会社 é 🙂", `"株式会社 é 🙂"`},
		{"what JSON escapes", "\"\\/\b\f\n\r\t\x01\x1f\x7f", `"\"\\/\b\f\n\r\t\u0001\u001f` + "\x7f\""},
		{"what HTML would escape", "<a&b>\u2028", "\"<a&b>\u2028\""},
		{"NUL", "a\x00b", "\"a\uFFFDb\""},
		{"not UTF-8", "a\xff\xc3b", "\"a\uFFFD\uFFFDb\""},
		{"a surrogate", "a\xed\xa0\x80b", "\"a\uFFFD\uFFFD\uFFFDb\""},
		{"the replacement character itself", "a\uFFFDb", "\"a\uFFFDb\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(attr.AppendText([]byte("x"), tt.in)); got != "x"+tt.want {
				t.Errorf("AppendText = %s, want %s", got[1:], tt.want)
			}
		})
	}
}

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	for shift := range utf8.UTFMax {
		text := strings.Repeat("x", shift) + strings.Repeat("🙂", attr.MaxBytes)
		got := string(attr.AppendText(nil, text))
		kept := len(got) - 2
		if strings.Contains(got, "\uFFFD") || kept > attr.MaxBytes || kept <= attr.MaxBytes-utf8.UTFMax {
			t.Errorf("%d bytes of %d are kept", kept, len(text))
		}
	}
	if got := len(attr.AppendText(nil, strings.Repeat("\x80", 2*attr.MaxBytes))); got > 3*attr.MaxBytes+2 {
		t.Errorf("%d bytes of no UTF-8 at all became %d", 2*attr.MaxBytes, got)
	}
}

func TestAppendTime(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6789, time.FixedZone("", -2*3600))
	if got, want := string(attr.AppendTime(nil, at)), `"2030-01-02T05:04:05.000006Z"`; got != want {
		t.Errorf("AppendTime = %s, want %s", got, want)
	}
}
