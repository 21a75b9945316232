package mds_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
)

// chunk is one of a PNG's (PNG Specification, Third Edition, §5.3).
func chunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func header(width, height uint32) []byte {
	body := binary.BigEndian.AppendUint32(nil, width)
	return chunk("IHDR", append(binary.BigEndian.AppendUint32(body, height), 8, 0, 0, 0, 0))
}

// Whatever is no whole picture of a sane size is no icon, and nothing rides behind one.
func TestIcon(t *testing.T) {
	const magic = "\x89PNG\r\n\x1a\n"
	good := mdstest.Icon(t)
	png := func(chunks ...[]byte) []byte { return append([]byte(magic), bytes.Join(chunks, nil)...) }
	broken := bytes.Clone(good)
	broken[len(broken)-20]++
	service := mdstest.New(t)
	for _, tt := range []struct {
		name string
		icon []byte
		ok   bool
	}{
		{"a picture", good, true},
		{"chunks of all kinds", png(header(1, 1), chunk("tEXt", []byte("x")), chunk("IDAT", nil), chunk("IEND", nil)), true},
		{"as large as may be", png(header(2048, 2048), chunk("IDAT", make([]byte, 1<<10)), chunk("IEND", nil)), true},
		{"too wide", png(header(2049, 1), chunk("IEND", nil)), false},
		{"too high", png(header(1, 1<<31), chunk("IEND", nil)), false},
		{"no pixels", png(header(0, 1), chunk("IEND", nil)), false},
		{"too many bytes", png(header(1, 1), chunk("IDAT", make([]byte, mds.MaxIconBytes)), chunk("IEND", nil)), false},
		{"another first chunk", png(chunk("tEXt", nil), header(1, 1), chunk("IEND", nil)), false},
		{"two headers", png(header(1, 1), header(1, 1), chunk("IEND", nil)), false},
		{"a short header", png(chunk("IHDR", []byte{0, 0, 0, 1, 0, 0, 0, 1}), chunk("IEND", nil)), false},
		{"cut off", good[:len(good)-1], false},
		{"something behind", append(bytes.Clone(good), "<script>"...), false},
		{"no end", png(header(1, 1)), false},
		{"a chunk that is longer than all", png(header(1, 1), []byte("\xff\xff\xff\xf0IDAT1234")), false},
		{"a wrong checksum", broken, false},
		{"the magic alone", []byte(magic), false},
		{"a GIF that says it is a PNG", []byte("GIF89a;"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, _ := service.Snapshot(t, mdstest.BLOB{Entries: []mdstest.Entry{{AAGUID: model, Icon: tt.icon}}}).Lookup(model)
			if got := e.Icon != nil; got != tt.ok || got && !bytes.Equal(e.Icon, tt.icon) {
				t.Errorf("%d bytes, want an icon: %v", len(e.Icon), tt.ok)
			}
		})
	}
}

// A description is shown in lists and terminals.
func TestNameIsOneLine(t *testing.T) {
	service := mdstest.New(t)
	for in, want := range map[string]string{
		" Key ":                         "Key",
		"Two\nlines\tof it":             "Two lines of it",
		"\x1b[31mred\x1b[0m":            "[31mred[0m",
		"turned\u202earound\u200b":      "turnedaround",
		"Schlüssel 鍵":                   "Schlüssel 鍵",
		strings.Repeat("é", 201):        strings.Repeat("é", 200),
		strings.Repeat("x", 199) + " y": strings.Repeat("x", 199),
	} {
		e, _ := service.Snapshot(t, mdstest.BLOB{Entries: []mdstest.Entry{{AAGUID: model, Name: in}}}).Lookup(model)
		if e.Name != want {
			t.Errorf("%q is shown as %q, want %q", in, e.Name, want)
		}
	}
}

// What a statement tells besides is read when it is asked for, and is one word each.
func TestDetails(t *testing.T) {
	for statement, want := range map[string]mds.Details{
		`{"keyProtection":["hardware","secure_element"],"attachmentHint":["external","nfc\u202e"],"authenticatorGetInfo":{"attestationFormats":["packed",""]}}`: {
			AttestationFormats: []string{"packed"}, KeyProtection: []string{"hardware", "secure_element"}, AttachmentHints: []string{"external", "nfc"},
		},
		`{}`:                           {},
		`{"keyProtection":"hardware"}`: {},
		`{"keyProtection":[` + strings.Repeat(`"x",`, 99) + `"x"]}`: {KeyProtection: slices.Repeat([]string{"x"}, 32)},
	} {
		e := mds.Entry{Statement: []byte(statement)}
		if diff := cmp.Diff(want, e.Details()); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", statement, diff)
		}
	}
	if diff := cmp.Diff(mds.Details{}, (&mds.Entry{}).Details()); diff != "" {
		t.Errorf("without a statement: %s", diff)
	}
}
