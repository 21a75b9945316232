package archive

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// writing is a snapshot on its way into a zip.
type writing struct {
	service *Service
	scope   scope.Scope
	ring    *keys.Ring
	at      time.Time // of the files
	person  uuid.UUID // whose data alone is written; Nil: everything of the tenant

	zip   *zip.Writer
	files []File
	left  []LeftOut // that nobody could foresee
	rows  int64
	noted time.Time
	keep  func(context.Context) error // says how far it is, and keeps the lease of an attempt
}

// attempting is one attempt at the archive of an export.
type attempting struct {
	writing

	export  tenantq.Export
	attempt int
	out     *partWriter
}

// write makes an attempt at the archive of a claimed export: all of it, or an error. attempt
// is raised when it has begun.
func (s *Service) write(ctx context.Context, sc scope.Scope, row *tenantq.Export, attempt *int) error {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if s.objects == nil {
		return ErrNoStorage
	}
	c, err := s.begin(ctx, sc, ring, row, attempt)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	w := &attempting{writing: writing{service: s, scope: sc, ring: ring, at: row.CreatedAt, noted: s.store.Now()}, export: *row, attempt: *attempt}
	w.keep = w.note
	w.out = &partWriter{
		ctx: bounded, scope: sc, objects: s.objects, cipher: c, export: row.ID, attempt: *attempt,
		note: w.note, part: make([]byte, 0, s.partBytes), hash: sha256.New(),
	}
	w.zip = zip.NewWriter(w.out)
	err = s.store.Snapshot(bounded, sc, func(tx *db.TenantTx) error {
		return w.everything(bounded, tx, Manifest{Format: Format, ExportID: row.ID})
	})
	if err == nil {
		err = errors.Join(w.zip.Close(), w.out.flush())
	}
	if err != nil {
		if bounded.Err() != nil && ctx.Err() == nil {
			return errLong.WithCause(err)
		}
		return err
	}
	return s.finish(ctx, sc, row.ID, *attempt, w.rows, w.out)
}

// everything writes a file for each table, then the manifest and its signature. m says of what.
func (w *writing) everything(ctx context.Context, tx *db.TenantTx, m Manifest) error {
	own, err := tx.GetTenant(ctx)
	if err != nil {
		return fmt.Errorf("get tenant: %w", err)
	}
	for i := range tables {
		if w.person != uuid.Nil && tables[i].person == "" {
			continue
		}
		if err := w.table(ctx, tx, &tables[i]); err != nil {
			return err
		}
	}
	if w.person != uuid.Nil {
		if err := w.archivedEntries(ctx, tx); err != nil {
			return err
		}
	}
	m.TenantID, m.Slug, m.At, m.Files, m.LeftOut = w.scope.Tenant(), own.Slug, tx.Now(), w.files, leftOut()
	if w.person != uuid.Nil {
		m.LeftOut = append(leftOutOfPerson(), w.left...)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	text = append(text, '\n')
	if err := w.plain(manifestName, text); err != nil {
		return err
	}
	jws, public, err := keys.SignDetached(ctx, w.ring, signatureType, text)
	if err != nil {
		return fmt.Errorf("sign manifest: %w", err)
	}
	signature, err := json.Marshal(Signature{Signature: jws, Key: public})
	if err != nil {
		return fmt.Errorf("encode signature: %w", err)
	}
	return w.plain(signatureName, append(signature, '\n'))
}

func (w *writing) plain(name string, text []byte) error {
	f, err := w.entry(name)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (w *writing) entry(name string) (io.Writer, error) {
	f, err := w.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: w.at})
	if err != nil {
		return nil, fmt.Errorf("begin %s: %w", name, err)
	}
	return f, nil
}

// counted hashes and counts what goes through it.
type counted struct {
	io.Writer

	hash  hash.Hash
	bytes int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.hash.Write(p[:n])
	c.bytes += int64(n)
	return n, err
}

// table writes one table's file, page by page.
func (w *writing) table(ctx context.Context, tx *db.TenantTx, t *table) error {
	f, err := w.begin(t, t.file())
	if err != nil {
		return err
	}
	reading, limit := t.reading(w.person), t.pageRows()
	var key []any
	for {
		page, err := tx.Page(ctx, reading, key, limit)
		if err != nil {
			return err
		}
		if err := f.page(ctx, w, tx, page); err != nil {
			return err
		}
		if w.service.onPage != nil {
			w.service.onPage(t.name)
		}
		if len(page) < limit {
			break
		}
		key = page[len(page)-1][len(reading.Columns):]
		if err := w.noteIfDue(ctx); err != nil {
			return err
		}
	}
	return f.end(ctx, w)
}

func (w *writing) noteIfDue(ctx context.Context) error {
	if w.service.store.Now().Sub(w.noted) < noteEvery {
		return nil
	}
	w.noted = w.service.store.Now()
	return w.keep(ctx)
}

// note says how far the attempt is, and keeps the lease; errLost.
func (w *attempting) note(ctx context.Context) error {
	w.noted = w.service.store.Now()
	return w.service.store.InTenant(ctx, w.scope, func(tx *db.TenantTx) error {
		n, err := tx.NoteExport(ctx, tenantq.NoteExportParams{
			ID: w.export.ID, Attempt: int32(w.attempt), FilesDone: int32(len(w.files)), RowsDone: w.rows, //nolint:gosec // small
			Size: w.out.size, Parts: int32(w.out.parts), Lease: tx.Now().Add(lease), //nolint:gosec // at most maxParts
		})
		if err != nil {
			return fmt.Errorf("note export: %w", err)
		}
		if n == 0 {
			return errLost
		}
		return nil
	})
}
