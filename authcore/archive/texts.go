package archive

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What a scan reads of each file of an archive, and of a line of it, at most.
const (
	scannedBytes = 64 << 20
	scannedLine  = 1 << 20
)

// Texts opens the archives that are stored for scans, file by file: one finding for what an archive's file holds of a kind,
// as long as the archive is kept. Nobody downloads them by that.
func (s *Service) Texts() dlp.Source { return dlp.Source{Name: "export", Read: s.readTexts} }

// readTexts reads one file of one archive: after is the archive's id and the number of the file.
func (s *Service) readTexts(ctx context.Context, sc scope.Scope, after []string, look func(place, item, body string)) (dlp.Opened, error) {
	var from uuid.UUID
	number := 0
	if len(after) == 2 {
		var err error
		if from, err = uuid.Parse(after[0]); err != nil {
			return dlp.Opened{}, fmt.Errorf("the scan's place among exports: %w", err)
		}
		if number, err = strconv.Atoi(after[1]); err != nil {
			return dlp.Opened{}, fmt.Errorf("the scan's place in an export: %w", err)
		}
	}
	var row tenantq.Export
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		row, err = tx.NextStoredExport(ctx, tenantq.NextStoredExportParams{FromID: from, Now: tx.Now()})
		return err
	})
	if db.IsNoRows(err) {
		return dlp.Opened{}, nil
	} else if err != nil {
		return dlp.Opened{}, fmt.Errorf("get the next stored export: %w", err)
	}
	if row.ID != from {
		number = 0
	}
	next := dlp.Opened{After: []string{behind(row.ID).String(), "0"}} // the next archive
	files, err := s.filesOf(ctx, sc, &row)
	if err == nil && number >= len(files) {
		return next, nil
	}
	rows, large := 0, false
	if err == nil {
		rows, large, err = readLines(files[number], row.ID.String(), look)
	}
	switch {
	case ctx.Err() != nil:
		return dlp.Opened{}, ctx.Err()
	case errors.Is(err, keys.ErrSealed):
		next.Unseen = []dlp.Unseen{{Place: "export", Reason: dlp.UnseenSealed, Count: 1}}
		return next, nil
	case err != nil: // also where its store does not answer: the rest of the scan is worth having
		s.log.WarnContext(ctx, "an export could not be scanned", "err", err, "tenant", sc.Tenant())
		next.Unseen = []dlp.Unseen{{Place: "export", Reason: dlp.UnseenGone, Count: 1}}
		return next, nil
	}
	out := dlp.Opened{Rows: rows, After: []string{row.ID.String(), strconv.Itoa(number + 1)}}
	if large {
		out.Unseen = []dlp.Unseen{{Place: "export/" + files[number].Name, Reason: dlp.UnseenLarge, Count: 1}}
	}
	return out, nil
}

// behind is the least id that is greater.
func behind(id uuid.UUID) uuid.UUID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// filesOf are the files of rows in an archive.
func (s *Service) filesOf(ctx context.Context, sc scope.Scope, row *tenantq.Export) ([]*zip.File, error) {
	if s.objects == nil {
		return nil, blob.ErrUnavailable.WithCause(errors.New("none is configured"))
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	key, err := ring.Open(archiveKey, row.ID[:], row.ArchiveKey)
	if err != nil {
		return nil, fmt.Errorf("open archive key: %w", err)
	}
	c, err := newCipher(ring, row.ID, key)
	if err != nil {
		return nil, err
	}
	r, err := zip.NewReader(&partReader{ctx: ctx, service: s, scope: sc, cipher: c, row: row, number: -1}, row.Size)
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	var files []*zip.File
	for _, f := range r.File {
		if strings.HasSuffix(f.Name, ".jsonl") {
			files = append(files, f)
		}
	}
	return files, nil
}

// readLines shows the lines of a file.
func readLines(f *zip.File, item string, look func(place, item, body string)) (rows int, large bool, err error) {
	in, err := f.Open()
	if err != nil {
		return 0, false, fmt.Errorf("open %s: %w", f.Name, err)
	}
	defer func() { _ = in.Close() }()
	lines := bufio.NewScanner(io.LimitReader(in, scannedBytes))
	lines.Buffer(make([]byte, 0, 64<<10), scannedLine)
	for lines.Scan() {
		look("export/"+f.Name, item, lines.Text())
		rows++
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return rows, true, nil
	} else if err != nil {
		return rows, false, fmt.Errorf("read %s: %w", f.Name, err)
	}
	return rows, f.UncompressedSize64 > scannedBytes, nil
}

// partReader reads an archive anywhere, holding one part of it.
type partReader struct {
	ctx     context.Context //nolint:containedctx // of this one page of a scan: io.ReaderAt has none
	service *Service
	scope   scope.Scope
	cipher  *cipherOf
	row     *tenantq.Export
	number  int
	part    []byte
}

// ReadAt implements io.ReaderAt, for one reader at a time.
func (r *partReader) ReadAt(p []byte, off int64) (n int, err error) {
	size := int64(r.service.partBytes)
	for n < len(p) {
		at := off + int64(n)
		if at >= r.row.Size {
			return n, io.EOF
		}
		if number := int(at / size); number != r.number {
			sealed, err := r.service.objects.Get(r.ctx, r.scope, objectKind, partID(r.row.ID, int(r.row.Attempt), number))
			if err != nil {
				return n, fmt.Errorf("part %d: %w", number, err)
			}
			if r.part, err = r.cipher.open(number, sealed); err != nil {
				return n, err
			}
			r.number = number
		}
		inside := at % size
		if inside >= int64(len(r.part)) {
			return n, io.ErrUnexpectedEOF
		}
		n += copy(p[n:], r.part[inside:])
	}
	return n, nil
}
