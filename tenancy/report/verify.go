package report

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// ErrSignature says that a file is not what was signed.
var ErrSignature = errors.New("none of the keys has signed this file")

// VerifyFile holds one file to its signature, the text of the file beside it, by the keys of a key set. It returns
// the kid of the key that signed. ErrSignature.
func VerifyFile(jwks, body []byte, signature string) (kid string, err error) {
	kid, err = keys.VerifyDetached(jwks, SignatureType, body, strings.TrimSpace(signature))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return kid, nil
}

// Verified is what VerifyBundle has found.
type Verified struct {
	Manifest Manifest
	KID      string // of the key that signed the manifest
	Proven   int    // audit entries that the report names and that are in the log
	Unproven []UnprovenEntry
	Findings []string // what is wrong; none: all that the manifest names is there, as it was signed, and nothing else
}

// VerifyBundle checks a downloaded report with nothing but itself: every file against its signature and the
// manifest, and every audit entry that the report names against the log's checkpoint. jwks is the tenant's key set, which shows whose it is; nil: by the key in the manifest, which shows that it
// is whole.
func VerifyBundle(packed, jwks []byte) (*Verified, error) {
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, fmt.Errorf("this is no report: %w", err)
	}
	v := &Verified{}
	bodies := map[string][]byte{}
	for _, f := range z.File {
		if _, twice := bodies[f.Name]; twice {
			v.find("%s: it is there twice", f.Name)
		}
		body, err := unpack(f)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name, err)
		}
		bodies[f.Name] = body
	}
	d := json.NewDecoder(bytes.NewReader(bodies[ManifestName]))
	d.DisallowUnknownFields()
	if err := d.Decode(&v.Manifest); err != nil || v.Manifest.Format != ManifestFormat {
		return nil, fmt.Errorf("this is no report that this release reads: %s: %w", ManifestName, errors.Join(err, formatError(v.Manifest.Format)))
	}
	var key bytes.Buffer // without the line breaks of the manifest
	if err := json.Compact(&key, v.Manifest.Key); err != nil || keys.CheckJWK(key.Bytes()) != nil {
		v.find("%s: its key cannot be read", ManifestName)
	}
	if jwks == nil {
		jwks = append(append([]byte(`{"keys":[`), key.Bytes()...), `]}`...)
	}
	known := map[string]bool{}
	check := func(name string) {
		known[name], known[name+SignatureSuffix] = true, true
		body, there := bodies[name]
		if !there {
			v.find("%s: it is missing", name)
			return
		}
		kid, err := VerifyFile(jwks, body, string(bodies[name+SignatureSuffix]))
		if err != nil {
			v.find("%s: it is not as it was signed, or by another key", name)
		} else if name == ManifestName {
			v.KID = kid
		}
	}
	check(ManifestName)
	for _, f := range slices.Concat(v.Manifest.Files, v.Manifest.Evidence) {
		check(f.Name)
		if body, there := bodies[f.Name]; there && (hexOf(body) != f.SHA256 || len(body) != f.Bytes) {
			v.find("%s: it is not the file of this manifest", f.Name)
		}
	}
	for _, f := range z.File {
		if !known[f.Name] {
			v.find("%s: the manifest does not name it", f.Name)
		}
	}
	if body, err := ParseBody(bodies[JSONName]); err != nil {
		v.find("%s: it cannot be read: %v", JSONName, err)
	} else {
		v.checkBody(body)
		if len(v.Manifest.Evidence) > 0 {
			v.checkAudit(bodies[AuditName], body)
		}
	}
	if set, there := bodies[JWKSName]; there {
		if _, err := VerifyFile(set, bodies[ManifestName], string(bodies[ManifestName+SignatureSuffix])); err != nil {
			v.find("%s: the key that signed the manifest is not in it", JWKSName)
		}
	}
	return v, nil
}

func (v *Verified) find(text string, args ...any) {
	v.Findings = append(v.Findings, fmt.Sprintf(text, args...))
}

func formatError(format string) error {
	if format == ManifestFormat {
		return nil
	}
	return fmt.Errorf("its format is %q", format)
}

func unpack(f *zip.File) ([]byte, error) {
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	body, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if err == nil && len(body) > maxFileBytes {
		err = errors.New("it is too long")
	}
	return body, err
}
