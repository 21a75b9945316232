package report

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// Names of a report's files. Each has its signature beside it, in a file of the same name and SignatureSuffix.
const (
	JSONName     = "report.json"
	CSVName      = "report.csv"
	PDFName      = "report.pdf"
	ManifestName = "manifest.json"
	listPrefix   = "list-" // and the list's name and .csv

	SignatureSuffix = ".jws"
)

// ManifestFormat is what a manifest is.
const ManifestFormat = "biocore-report-manifest/1"

// SignatureType is the typ of every signature over a report's file: it passes for no token.
const SignatureType = "biocore-report+jws"

// Manifest is what a report's bodies do not say: when it was made, for whom, and how long each query took.
type Manifest struct {
	Format    string          `json:"format"`
	ReportID  uuid.UUID       `json:"reportId"`
	TenantID  uuid.UUID       `json:"tenantId"`
	Catalogue string          `json:"catalogue"`
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	AskedAt   time.Time       `json:"askedAt"`
	AskedBy   string          `json:"askedBy"` // kind:id
	MadeAt    time.Time       `json:"madeAt"`
	Log       *ManifestLog    `json:"auditLog,omitempty"` // absent: nothing is signed yet
	Files     []ManifestFile  `json:"files"`              // the bodies
	Evidence  []ManifestFile  `json:"evidence,omitempty"` // what shows them; absent of reports that were made before there was any
	Timings   []Timing        `json:"timings"`
	Key       json.RawMessage `json:"key"` // the public key that signed, as the key set prints it
}

// ManifestLog is the last checkpoint of the audit log when the report was made.
type ManifestLog struct {
	Size        int64     `json:"size"`
	SignedAt    time.Time `json:"signedAt"`
	Checkpoint  string    `json:"checkpoint"` // the signed note
	VerifierKey string    `json:"verifierKey"`
}

// ManifestFile is one of the report's files.
type ManifestFile struct {
	Name   string `json:"name"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

// file is one on its way.
type file struct {
	name string
	body []byte
}

// printed makes the bodies of a report: JSON, CSV, PDF, and a CSV of each list.
func printed(b *Body) ([]file, error) {
	text, err := b.JSON()
	if err != nil {
		return nil, err
	}
	table, err := b.CSV()
	if err != nil {
		return nil, err
	}
	pages, err := b.PDF()
	if err != nil {
		return nil, err
	}
	all := []file{{JSONName, text}, {CSVName, table}, {PDFName, pages}}
	for i := range b.Lists {
		table, err := b.Lists[i].CSV()
		if err != nil {
			return nil, err
		}
		all = append(all, file{listPrefix + b.Lists[i].Name + ".csv", table})
	}
	return all, nil
}

// bundle signs files, what shows them and the manifest, and packs all into one zip, in this order. checkpoint may be nil.
func bundle(ctx context.Context, ring *keys.Ring, r *Report, files, shown []file, timings []Timing, checkpoint *trail.Checkpoint, at time.Time) ([]byte, error) {
	m := Manifest{
		Format: ManifestFormat, ReportID: r.ID, TenantID: ring.Tenant(), Catalogue: r.Catalogue, From: r.Period.From, To: r.Period.To,
		AskedAt: r.CreatedAt.UTC(), AskedBy: r.AskedBy, MadeAt: at.UTC(), Timings: timings,
	}
	if checkpoint != nil {
		m.Log = &ManifestLog{Size: checkpoint.Size, SignedAt: checkpoint.SignedAt.UTC(), Checkpoint: checkpoint.Note, VerifierKey: checkpoint.VerifierKey}
	}
	signed := make([]file, 0, 2*(len(files)+len(shown))+2)
	for _, part := range []struct {
		files []file
		named *[]ManifestFile
	}{{files, &m.Files}, {shown, &m.Evidence}} {
		for _, f := range part.files {
			jws, public, err := keys.SignDetached(ctx, ring, SignatureType, f.body)
			if err != nil {
				return nil, fmt.Errorf("sign %s: %w", f.name, err)
			}
			m.Key = public
			*part.named = append(*part.named, ManifestFile{f.name, len(f.body), hexOf(f.body)})
			signed = append(signed, f, file{f.name + SignatureSuffix, []byte(jws + "\n")})
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	text = append(text, '\n')
	jws, _, err := keys.SignDetached(ctx, ring, SignatureType, text)
	if err != nil {
		return nil, fmt.Errorf("sign manifest: %w", err)
	}
	signed = append(signed, file{ManifestName, text}, file{ManifestName + SignatureSuffix, []byte(jws + "\n")})
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range signed {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at})
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
		if _, err := w.Write(f.body); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack report: %w", err)
	}
	return out.Bytes(), nil
}

func sha256Of(body []byte) []byte {
	sum := sha256.Sum256(body)
	return sum[:]
}

func hexOf(body []byte) string { return hex.EncodeToString(sha256Of(body)) }

// pick returns one file of a packed report. ErrFile.
func pick(packed []byte, name string) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, fmt.Errorf("open report: %w", err)
	}
	for _, f := range z.File {
		if f.Name == name {
			return unpack(f)
		}
	}
	return nil, ErrFile
}

// maxFileBytes bounds what is unpacked of one file.
const maxFileBytes = 64 << 20

// objectKind is the first part of an object's name.
const objectKind blob.Kind = "report"

// objectID names the object of one attempt: no two attempts share one.
func objectID(report uuid.UUID, attempt int) uuid.UUID {
	return uuid.NewSHA1(report, fmt.Appendf(nil, "%d", attempt))
}

// reportKey is what opens one report, sealed under the tenant's data key.
var reportKey = keys.Field{Table: "reports", Column: "report_key"}

const keyBytes = 32

// seal encrypts a packed report under a key of its own: AES-256-GCM. The key is used once, so that the nonce may be
// zero, which is left out.
func seal(ring *keys.Ring, id uuid.UUID, packed []byte) (sealedKey []byte, version int64, body []byte, err error) {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	aead, err := newAEAD(key)
	if err != nil {
		return nil, 0, nil, err
	}
	if sealedKey, err = ring.Seal(reportKey, id[:], key); err != nil {
		return nil, 0, nil, fmt.Errorf("seal report key: %w", err)
	}
	v, ok := keys.VersionOf(sealedKey)
	if !ok {
		return nil, 0, nil, errors.New("seal report key: a sealed value without a version")
	}
	return sealedKey, int64(v), aead.Seal(nil, make([]byte, aead.NonceSize()), packed, associated(ring, id)), nil //nolint:gosec // the key is used once
}

// unseal decrypts what seal made for the same tenant and id; keys.ErrSealed.
func unseal(ring *keys.Ring, id uuid.UUID, sealedKey, body []byte) ([]byte, error) {
	key, err := ring.Open(reportKey, id[:], sealedKey)
	if err != nil {
		return nil, fmt.Errorf("open report key: %w", err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	packed, err := aead.Open(nil, make([]byte, aead.NonceSize()), body, associated(ring, id))
	if err != nil {
		return nil, fmt.Errorf("report %s: %w", id, keys.ErrSealed)
	}
	return packed, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("report key: %w", err)
	}
	return cipher.NewGCM(block)
}

// associated is tenant ‖ table ‖ column ‖ id, each but the last of fixed length or ended by a byte that cannot occur
// in it.
func associated(ring *keys.Ring, id uuid.UUID) []byte {
	tenant := ring.Tenant()
	return append(append(tenant[:], "reports\x00files\x00"...), id[:]...)
}
