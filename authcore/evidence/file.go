package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// fileType is the typ of the signature: it passes for no token.
const fileType = "biocore-evidence+jws"

// File is a record as it is handed out: JSON of these members, in this order, without
// white space, and a line break at the end. The record stands in it byte for byte.
type File struct {
	Evidence  json.RawMessage `json:"evidence"`
	SHA256    Bytes           `json:"sha256"`    // of evidence; the audit entry registration.finish has it, too
	Signature string          `json:"signature"` // a JWS over evidence, which is left out (RFC 7515 appendix F)
	Key       json.RawMessage `json:"key"`       // the tenant's key that made it, as its key set printed it
}

// maxFileBytes bounds what ParseFile reads.
const maxFileBytes = 2 << 20

// sign makes the file of a record. It may speak to the KMS.
func sign(ctx context.Context, ring *keys.Ring, record []byte) (*File, error) {
	sum := sha256.Sum256(record)
	jws, public, err := keys.SignDetached(ctx, ring, fileType, record)
	if err != nil {
		return nil, fmt.Errorf("sign evidence: %w", err)
	}
	return &File{Evidence: record, SHA256: sum[:], Signature: jws, Key: public}, nil
}

// Encode is the file's bytes.
func (f *File) Encode() []byte {
	out := make([]byte, 0, len(f.Evidence)+1024)
	out = append(append(out, `{"evidence":`...), f.Evidence...)
	out = base64.RawURLEncoding.AppendEncode(append(out, `,"sha256":"`...), f.SHA256)
	out = append(append(out, `","signature":"`...), f.Signature...)
	out = append(append(out, `","key":`...), f.Key...)
	return append(out, "}\n"...)
}

// ErrFile says that bytes are no file of evidence.
var ErrFile = errors.New("this is no file of evidence")

// ParseFile reads what Encode made, and nothing else: a file that says the same in other
// bytes is refused. Whether it is true is Verify's to say.
func ParseFile(raw []byte) (*File, error) {
	if len(raw) > maxFileBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFile, maxFileBytes)
	}
	var f File
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if !bytes.Equal(f.Encode(), raw) {
		return nil, fmt.Errorf("%w: it is not in the form in which it was written", ErrFile)
	}
	return &f, nil
}

// keySet is the file's own key as a key set.
func (f *File) keySet() []byte {
	return append(append([]byte(`{"keys":[`), f.Key...), `]}`...)
}
