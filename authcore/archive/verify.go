package archive

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// What an archive is of: a change of its form is another format.
const (
	Format       = "biocore-export/1"      // a tenant
	FormatOfUser = "biocore-user-export/1" // one user of it
)

const (
	manifestName  = "manifest.json"
	signatureName = "signature.json"
	signatureType = "biocore-export+jws" // typ of the signature: it passes for no token

	maxManifestBytes = 4 << 20
)

// Manifest says what an archive holds, and what not. It is manifest.json, the last file but
// the signature.
type Manifest struct {
	Format   string     `json:"format"`
	ExportID uuid.UUID  `json:"exportId"`
	TenantID uuid.UUID  `json:"tenantId"`
	Slug     string     `json:"slug"`
	UserID   *uuid.UUID `json:"userId,omitempty"` // with FormatOfUser: whose data it is
	At       time.Time  `json:"at"`               // when the snapshot was taken: everything is as it was then
	Files    []File     `json:"files"`
	LeftOut  []LeftOut  `json:"leftOut"`
}

// File is one file of the archive: the rows of a table, a line each.
type File struct {
	Name     string `json:"name"`
	Table    string `json:"table"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`             // of the file's bytes, hex
	Unopened int64  `json:"unopened,omitempty"` // rows of which something was sealed and does not open; it is null
	Missing  int64  `json:"missing,omitempty"`  // rows of which something was not in object storage; it is null
}

// LeftOut says of a table, or of a column of it, that it is not in the archive, and why.
type LeftOut struct {
	Table  string `json:"table"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

// Signature is signature.json: a JWS over manifest.json, which is left out of it (RFC 7515
// appendix F), and the key that made it, as the tenant's key set printed it.
type Signature struct {
	Signature string          `json:"signature"`
	Key       json.RawMessage `json:"key"`
}

// ErrArchive says that bytes are no archive at all.
var ErrArchive = errors.New("this is no archive of an export")

// Finding is what is wrong with an archive.
type Finding struct {
	File string // its name, or empty: the archive itself
	Text string
}

// Report is what Verify has found. Without findings all that the manifest names is there,
// byte for byte, and nothing else.
type Report struct {
	Manifest Manifest
	KID      string // of the key that has signed the manifest
	Rows     int64  // that were counted
	Findings []Finding
}

// Valid reports that nothing is wrong.
func (r *Report) Valid() bool { return len(r.Findings) == 0 }

// Verify checks an archive of size bytes, with nothing but itself: that every file has the
// bytes, rows and hash that the manifest says, that each line is JSON, that there are no
// other files, and that the manifest is signed. jwks is the tenant's key set, which shows
// whose it is; nil: by the key in the archive, which shows that it is whole. It holds one
// line in memory at a time. ErrArchive when there is no manifest that can be read.
func Verify(r io.ReaderAt, size int64, jwks []byte) (*Report, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	report := &Report{}
	byName := map[string]*zip.File{}
	for _, f := range z.File {
		if byName[f.Name] != nil {
			report.find(f.Name, "it is there twice")
			continue
		}
		byName[f.Name] = f
	}
	text, err := readAll(byName[manifestName])
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrArchive, manifestName, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&report.Manifest); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrArchive, manifestName, err)
	}
	if m := &report.Manifest; m.Format != Format && m.Format != FormatOfUser {
		return nil, fmt.Errorf("%w: its format is %q, and this release reads %q and %q", ErrArchive, m.Format, Format, FormatOfUser)
	} else if (m.Format == FormatOfUser) != (m.UserID != nil) {
		report.find(manifestName, "its format is %q, which does not fit its userId", m.Format)
	}
	report.signature(byName[signatureName], text, jwks)
	known := map[string]bool{manifestName: true, signatureName: true}
	for _, f := range report.Manifest.Files {
		if known[f.Name] {
			report.find(f.Name, "the manifest names it twice")
			continue
		}
		known[f.Name] = true
		report.file(byName[f.Name], f)
	}
	for _, f := range z.File {
		if !known[f.Name] {
			report.find(f.Name, "the manifest does not name it")
		}
	}
	slices.SortStableFunc(report.Findings, func(a, b Finding) int { return strings.Compare(a.File, b.File) })
	return report, nil
}

func (r *Report) find(file, text string, args ...any) {
	r.Findings = append(r.Findings, Finding{File: file, Text: fmt.Sprintf(text, args...)})
}

// readAll reads a small file of the archive.
func readAll(f *zip.File) ([]byte, error) {
	if f == nil {
		return nil, errors.New("it is not there")
	}
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxManifestBytes+1))
	if err == nil && len(text) > maxManifestBytes {
		err = errors.New("it is too long")
	}
	return text, err
}

func (r *Report) signature(f *zip.File, manifest, jwks []byte) {
	text, err := readAll(f)
	if err != nil {
		r.find(signatureName, "%s", err)
		return
	}
	var s Signature
	if err := json.Unmarshal(text, &s); err != nil {
		r.find(signatureName, "it is no JSON: %s", err)
		return
	}
	if err := keys.CheckJWK(s.Key); err != nil {
		r.find(signatureName, "its key cannot be read")
		return
	}
	whose := "the key in the archive"
	if jwks == nil {
		jwks = append(append([]byte(`{"keys":[`), s.Key...), `]}`...)
	} else {
		whose = "any key of the key set"
	}
	kid, err := keys.VerifyDetached(jwks, signatureType, manifest, s.Signature)
	if err != nil {
		r.find(manifestName, "it is not signed by %s", whose)
		return
	}
	r.KID = kid
}

// file checks one file of lines.
func (r *Report) file(f *zip.File, want File) {
	if f == nil {
		r.find(want.Name, "it is missing")
		return
	}
	in, err := f.Open()
	if err != nil {
		r.find(want.Name, "it cannot be read: %s", err)
		return
	}
	defer in.Close()
	sum := sha256.New()
	lines := bufio.NewReaderSize(io.TeeReader(in, sum), 64<<10)
	var rows, size int64
	valid := true
	for {
		line, err := lines.ReadBytes('\n')
		size += int64(len(line))
		if err == nil {
			rows++
			if valid && !json.Valid(line) {
				valid = false // the first is enough
				r.find(want.Name, "line %d is no JSON", rows)
			}
			continue
		}
		if !errors.Is(err, io.EOF) {
			r.find(want.Name, "it cannot be read beyond line %d: %s", rows, err)
			return
		}
		if len(line) > 0 {
			r.find(want.Name, "its last line does not end")
		}
		break
	}
	r.Rows += rows
	if rows != want.Rows {
		r.find(want.Name, "it has %d rows, and the manifest says %d", rows, want.Rows)
	}
	if size != want.Bytes {
		r.find(want.Name, "it has %d bytes, and the manifest says %d", size, want.Bytes)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		r.find(want.Name, "its SHA-256 is %s, and the manifest says %s", got, want.SHA256)
	}
}
