package archive

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// objectKind is the first part of an object's name.
	objectKind blob.Kind = "export"

	// partBytes is what an attempt, and a download, holds in memory: half of what an object
	// may have, and few enough objects for a large tenant.
	partBytes = 4 << 20

	// maxParts bounds an archive to 256 GiB.
	maxParts = 1 << 16

	keyBytes = 32
)

// archiveKey is what opens the parts of one attempt, sealed under the tenant's data key.
var archiveKey = keys.Field{Table: "exports", Column: "archive_key"}

// partID names the object of one part: no two attempts share one.
func partID(export uuid.UUID, attempt, number int) uuid.UUID {
	return uuid.NewSHA1(export, fmt.Appendf(nil, "%d/%d", attempt, number))
}

// cipherOf seals the parts of one attempt: AES-256-GCM under a key of its own.
type cipherOf struct {
	aead cipher.AEAD
	ad   []byte
}

func newCipher(ring *keys.Ring, export uuid.UUID, key []byte) (*cipherOf, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("archive key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("archive key: %w", err)
	}
	tenant := ring.Tenant()
	return &cipherOf{aead: aead, ad: append(append(tenant[:], "exports\x00archive\x00"...), export[:]...)}, nil
}

// nonce is the part's number: each is sealed once under its attempt's key.
func (c *cipherOf) nonce(number int) []byte {
	nonce := make([]byte, c.aead.NonceSize())
	binary.BigEndian.PutUint64(nonce[len(nonce)-8:], uint64(number)) //nolint:gosec // at most maxParts
	return nonce
}

func (c *cipherOf) seal(number int, part []byte) []byte {
	return c.aead.Seal(nil, c.nonce(number), part, c.ad)
}

func (c *cipherOf) open(number int, sealed []byte) ([]byte, error) {
	part, err := c.aead.Open(nil, c.nonce(number), sealed, c.ad)
	if err != nil {
		return nil, fmt.Errorf("part %d of the archive: %w", number, keys.ErrSealed)
	}
	return part, nil
}

// newKey makes the key of an attempt, and seals it for the row.
func newKey(ring *keys.Ring, export uuid.UUID) (key, sealed []byte, version uint32, err error) {
	key = make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	if sealed, err = ring.Seal(archiveKey, export[:], key); err != nil {
		return nil, nil, 0, fmt.Errorf("seal archive key: %w", err)
	}
	version, ok := keys.VersionOf(sealed)
	if !ok {
		return nil, nil, 0, errors.New("seal archive key: a sealed value without a version")
	}
	return key, sealed, version, nil
}

// partWriter is the archive of one attempt on its way: an io.Writer that seals and puts
// each part as soon as it is full.
type partWriter struct {
	ctx     context.Context //nolint:containedctx // of this one attempt: io.Writer has none
	scope   scope.Scope
	objects *blob.Bucket
	cipher  *cipherOf
	export  uuid.UUID
	attempt int

	note  func(context.Context) error // that another part may be there, before it is
	part  []byte                      // with room for a whole one
	parts int
	size  int64
	hash  hash.Hash
}

func (w *partWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(w.part) == cap(w.part) {
			if err := w.flush(); err != nil {
				return n - len(p), err
			}
		}
		free := min(cap(w.part)-len(w.part), len(p))
		w.part = append(w.part, p[:free]...)
		p = p[free:]
	}
	return n, nil
}

// flush puts what is gathered.
func (w *partWriter) flush() error {
	if len(w.part) == 0 {
		return nil
	}
	if w.parts == maxParts {
		return errLong
	}
	number := w.parts
	w.parts++
	w.size += int64(len(w.part))
	w.hash.Write(w.part)
	if err := w.note(w.ctx); err != nil {
		return err
	}
	if err := w.objects.Put(w.ctx, w.scope, objectKind, partID(w.export, w.attempt, number), w.cipher.seal(number, w.part)); err != nil {
		return err
	}
	w.part = w.part[:0]
	return nil
}

// removeParts removes the objects of an attempt, those too that were never put.
func (s *Service) removeParts(ctx context.Context, sc scope.Scope, export uuid.UUID, attempt, parts int) error {
	if parts == 0 {
		return nil
	}
	if s.objects == nil {
		return blob.ErrUnavailable.WithCause(errors.New("none is configured, and objects are to be deleted"))
	}
	for number := range parts {
		if err := s.objects.Delete(ctx, sc, objectKind, partID(export, attempt, number)); err != nil {
			return err
		}
	}
	return nil
}

// MediaType is an archive's.
const MediaType = "application/zip"

// Download is an archive that is ready to be read.
type Download struct {
	Export Export
	Name   string // a file's name, of letters, digits, '-' and '.'

	read func(ctx context.Context, w io.Writer) error
}

// WriteTo writes the archive, part by part. An error after the first byte leaves half of it:
// the reader compares Export.Size and Export.SHA256.
func (d *Download) WriteTo(ctx context.Context, w io.Writer) error { return d.read(ctx, w) }

// errDiffers says that what is stored is not what was written.
var errDiffers = errors.New("the archive has another SHA-256 than its row")

func (s *Service) reader(sc scope.Scope, c *cipherOf, e Export, parts int) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		sum := sha256.New()
		for number := range parts {
			sealed, err := s.objects.Get(ctx, sc, objectKind, partID(e.ID, e.Attempt, number))
			if errors.Is(err, blob.ErrNotFound) {
				return ErrGone.WithCause(fmt.Errorf("part %d: %w", number, err))
			} else if err != nil {
				return err
			}
			part, err := c.open(number, sealed)
			if err != nil {
				return err
			}
			sum.Write(part)
			if _, err := w.Write(part); err != nil {
				return fmt.Errorf("write the archive: %w", err)
			}
		}
		if fmt.Sprintf("%x", sum.Sum(nil)) != e.SHA256 {
			return errDiffers
		}
		return nil
	}
}
