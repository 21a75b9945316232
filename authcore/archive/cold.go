package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
)

// archived is the shape of audit entries that are no longer in the database: as those that are, less what the bundle has in
// the entry's text alone.
var archived = table{name: "audit_archives", columns: "seq id entry!json sequenced_at leaf", with: "private", open: openAudit}

const archivedName = "audit_archived.jsonl"

// file is a file of the archive on its way.
type file struct {
	File

	t        *table
	columns  []column
	out      *counted
	buffered *bufio.Writer
}

func (w *writing) begin(t *table, name string) (*file, error) {
	entry, err := w.entry(name)
	if err != nil {
		return nil, err
	}
	f := &file{File: File{Name: name, Table: t.name}, t: t, columns: t.list(), out: &counted{Writer: entry, hash: sha256.New()}}
	f.buffered = bufio.NewWriterSize(f.out, 64<<10)
	return f, nil
}

// page writes some rows.
func (f *file) page(ctx context.Context, w *writing, tx *db.TenantTx, page [][]any) error {
	extras := make([]extra, len(page))
	if f.t.open != nil {
		var err error
		if extras, err = f.t.open(ctx, w, tx, len(f.columns), page); err != nil {
			return err
		}
	}
	for i, values := range page {
		if extras[i].unopened {
			f.Unopened++
		}
		if extras[i].missing {
			f.Missing++
		}
		text, err := f.t.line(f.columns, values, extras[i].members)
		if err != nil {
			return err
		}
		if _, err := f.buffered.Write(text); err != nil {
			return fmt.Errorf("write %s: %w", f.t.name, err)
		}
	}
	f.Rows += int64(len(page))
	w.rows += int64(len(page))
	return nil
}

func (f *file) end(ctx context.Context, w *writing) error {
	if err := f.buffered.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", f.t.name, err)
	}
	f.Bytes, f.SHA256 = f.out.bytes, hex.EncodeToString(f.out.hash.Sum(nil))
	w.files = append(w.files, f.File)
	return w.keep(ctx)
}

// archivedEntries writes the person's entries that are in archives of the log alone, and notes of which archives nothing could be read.
func (w *writing) archivedEntries(ctx context.Context, tx *db.TenantTx) error {
	f, err := w.begin(&archived, archivedName)
	if err != nil {
		return err
	}
	begins, err := trail.FirstKeptIn(ctx, tx, 0)
	if err != nil {
		return err
	}
	list, err := cold.NamingIn(ctx, tx, w.person, begins)
	if err != nil {
		return err
	}
	unread, err := w.service.archived.Mentions(ctx, w.scope, list, w.person, begins, func(lines []bundle.Line) error {
		page := make([][]any, len(lines))
		for i := range lines {
			if page[i], err = rowOf(&lines[i]); err != nil {
				return err
			}
		}
		return f.page(ctx, w, tx, page)
	})
	if err != nil {
		return fmt.Errorf("archived audit entries: %w", err)
	}
	for i := range unread {
		w.left = append(w.left, LeftOut{Table: archived.name, Reason: fmt.Sprintf("entries %d to %d are in an archive of which object storage has nothing, or something else than was stored",
			unread[i].From, min(unread[i].To, begins)-1)})
	}
	return f.end(ctx, w)
}

// rowOf is a line of a bundle as archived is read.
func rowOf(line *bundle.Line) ([]any, error) {
	var entry struct {
		ID uuid.UUID `json:"id"`
	}
	if err := json.Unmarshal([]byte(line.Entry), &entry); err != nil {
		return nil, fmt.Errorf("archived audit entry %d: %w", line.Seq, err)
	}
	parts := make([][]byte, len(line.Private))
	for i, p := range line.Private {
		parts[i] = p.Sealed
	}
	return []any{line.Seq, [16]byte(entry.ID), line.Entry, line.SequencedAt, line.Leaf[:], private.Join(parts)}, nil
}
