package mds

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"slices"
	"strings"
	"time"
	"unicode"
)

// What of an entry people get to see comes from its maker: it is signed by the service,
// which reads none of it.

const (
	// maxNameCharacters of a description (FIDO Metadata Statement #sctn-type-alternativedescriptions
	// has the same bound).
	maxNameCharacters = 200

	// MaxIconBytes bounds an icon. The greatest of 2021 has 17 KB.
	MaxIconBytes = 128 << 10
	// maxIconSide bounds its pixels: what a browser would make of a small file. The greatest
	// of 2021 has 780.
	maxIconSide = 2048
)

// line is text as one line that can be shown anywhere: without control and format
// characters, which turn text around, hide in it or move a terminal's cursor.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	out := []rune(strings.Join(strings.Fields(text), " "))
	return strings.TrimSpace(string(out[:min(len(out), maxNameCharacters)]))
}

// icon reads the data URL of an icon. Another kind than PNG, SVG above all, is not ours to
// show; a broken one, or one that holds more than a picture, is none.
func icon(url string) []byte {
	data, ok := strings.CutPrefix(url, "data:image/png;base64,")
	if !ok || len(data) > 2*MaxIconBytes {
		return nil
	}
	png, err := base64.StdEncoding.DecodeString(strip(data))
	if err != nil || !isIcon(png) {
		return nil
	}
	return png
}

// isIcon walks the chunks of a PNG (PNG Specification, Third Edition, §5): whole ones from
// IHDR to IEND, with nothing behind. What is in the picture's own data is the decoder's
// business, in the browser.
func isIcon(png []byte) bool {
	rest, ok := bytes.CutPrefix(png, []byte("\x89PNG\r\n\x1a\n"))
	if !ok || len(png) > MaxIconBytes {
		return false
	}
	for first := true; len(rest) >= 12; first = false {
		size := binary.BigEndian.Uint32(rest)
		if uint64(size)+12 > uint64(len(rest)) {
			return false
		}
		kind, body := string(rest[4:8]), rest[8:8+size]
		if crc32.ChecksumIEEE(rest[4:8+size]) != binary.BigEndian.Uint32(rest[8+size:]) || first != (kind == "IHDR") {
			return false
		}
		if first {
			if size != 13 {
				return false
			}
			width, height := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
			if width == 0 || height == 0 || width > maxIconSide || height > maxIconSide {
				return false
			}
		}
		rest = rest[size+12:]
		if kind == "IEND" {
			return len(rest) == 0
		}
	}
	return false
}

// Details is what a metadata statement tells besides. All of it is the maker's word.
type Details struct {
	AttestationFormats []string // attestation statement formats (CTAP #authenticatorGetInfo); nil where none is said
	KeyProtection      []string // as statements spell it: software, hardware, tee, secure_element, remote_handle
	AttachmentHints    []string // as statements spell it: internal, external, wired, nfc, …
}

// maxDetails bounds each list of Details.
const maxDetails = 32

// Details reads the statement; what cannot be read is not told.
func (e *Entry) Details() Details {
	var st struct {
		KeyProtection  []string `json:"keyProtection"`
		AttachmentHint []string `json:"attachmentHint"`
		GetInfo        struct {
			AttestationFormats []string `json:"attestationFormats"`
		} `json:"authenticatorGetInfo"`
	}
	if json.Unmarshal(e.Statement, &st) != nil {
		return Details{}
	}
	return Details{
		AttestationFormats: words(st.GetInfo.AttestationFormats), KeyProtection: words(st.KeyProtection), AttachmentHints: words(st.AttachmentHint),
	}
}

func words(list []string) []string {
	var out []string
	for _, text := range list[:min(len(list), maxDetails)] {
		if text = line(text); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// InForce returns the statuses that are in force at a time, each once, the oldest first,
// without those of single attestation certificates.
func (e *Entry) InForce(at time.Time) []string {
	var out []string
	for i := range e.Reports {
		if r := &e.Reports[i]; r.in(at) && r.Certificate == nil && !slices.Contains(out, r.Status) {
			out = append(out, r.Status)
		}
	}
	return out
}
