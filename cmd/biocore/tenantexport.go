package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// exportJSON is an export under --json, as the API spells it.
type exportJSON struct {
	ID         uuid.UUID     `json:"id"`
	TenantID   uuid.UUID     `json:"tenantId"`
	State      archive.State `json:"state"`
	Reason     string        `json:"reason"`
	AskedBy    string        `json:"askedBy"`
	AskedName  string        `json:"askedName"`
	CreatedAt  time.Time     `json:"createdAt"`
	StartedAt  *time.Time    `json:"startedAt,omitempty"`
	EndedAt    *time.Time    `json:"endedAt,omitempty"`
	ExpiresAt  *time.Time    `json:"expiresAt,omitempty"`
	Attempts   int           `json:"attempts"`
	FilesDone  int           `json:"filesDone"`
	FilesTotal int           `json:"filesTotal"`
	Rows       int64         `json:"rows"`
	Size       int64         `json:"size"`
	SHA256     string        `json:"sha256"`
	Failure    string        `json:"failure"`
}

func toExportJSON(e archive.Export) exportJSON {
	return exportJSON{
		e.ID, e.TenantID, e.State, e.Reason, e.AskedBy, e.AskedName, e.CreatedAt, e.StartedAt, e.EndedAt, e.ExpiresAt,
		e.Attempt, e.FilesDone, e.FilesTotal, e.Rows, e.Size, e.SHA256, e.Failure,
	}
}

// errExport is returned when what was printed says why.
var errExport = errors.New("there is no archive")

// runTenantExport asks a server's job for an archive, waits for it, and fetches it.
func runTenantExport(ctx context.Context, env *environment, args []string) error {
	const command = "tenant export"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	reason := reasonFlag(fs, "why, `text` for the audit log; required, unless --id")
	id := fs.String("id", "", "an `export` that was asked for before, instead of another")
	wait := fs.Bool("wait", false, "wait until it has ended, and tell how far it is")
	file := fs.String("out", "", "new `file` to write the archive to; waits, too")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *reason == "" && *id == "" {
		return misuse(env, command, "--reason is required: it stands in the tenant's audit log")
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		s, err := c.archives(ctx)
		if err != nil {
			return err
		}
		var out *os.File
		if *file != "" { // before anything is asked for
			if out, err = os.OpenFile(*file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
				return fmt.Errorf("make the file: %w", err)
			}
			defer out.Close()
		}
		e, err := exportOf(ctx, s, sc, *id, *reason)
		if err == nil && (*wait || out != nil) {
			e, err = await(ctx, env, s, sc, e)
		}
		if err == nil && out != nil {
			err = fetchArchive(ctx, s, sc, e, out)
		}
		if err != nil {
			if out != nil {
				_ = os.Remove(*file) // half an archive is none
			}
			return err
		}
		if asJSON {
			return printJSON(env.out, toExportJSON(e))
		}
		return printExport(env.out, e, fs.Arg(0), *file)
	})
}

// archives is the service with the object storage of the configuration.
func (c *control) archives(ctx context.Context) (*archive.Service, error) {
	var objects *blob.Bucket
	if c.objectStorageURL != "" {
		var err error
		if objects, err = blob.Open(ctx, c.objectStorageURL); err != nil {
			return nil, fmt.Errorf("object storage: %w", err)
		}
	}
	pieces := evidence.New(evidence.Options{Store: c.store, Keys: c.keys, Objects: objects})
	archived := cold.New(cold.Options{Store: c.store, Keys: c.keys, Trail: c.trail, Objects: objects})
	return archive.New(archive.Options{Store: c.store, Keys: c.keys, Evidence: pieces, Archived: archived, Objects: objects}), nil
}

// exportOf is the export with the id, or a new one.
func exportOf(ctx context.Context, s *archive.Service, sc scope.Scope, id, reason string) (archive.Export, error) {
	if id == "" {
		return s.Start(ctx, sc, archive.StartRequest{Tenant: sc.Tenant(), Reason: reason})
	}
	parsed, err := archive.ParseID(id)
	if err != nil {
		return archive.Export{}, err
	}
	return s.Get(ctx, sc, sc.Tenant(), parsed)
}

// exportPolls is how often a waiting command looks.
const exportPolls = 500 * time.Millisecond

// await tells how far an export is until it has ended. Where it does not end well, it is
// errExport.
func await(ctx context.Context, env *environment, s *archive.Service, sc scope.Scope, e archive.Export) (archive.Export, error) {
	ticker := time.NewTicker(exportPolls)
	defer ticker.Stop()
	told := ""
	for {
		now := fmt.Sprintf("%s: %d of %d files, %d rows", e.State, e.FilesDone, e.FilesTotal, e.Rows)
		if e.Failure != "" && e.State.Open() {
			now += fmt.Sprintf(" (attempt %d failed: %s)", e.Attempt, e.Failure)
		}
		if now != told {
			_, _ = fmt.Fprintln(env.err, now) // progress is no result
			told = now
		}
		switch {
		case e.State == archive.Done:
			return e, nil
		case !e.State.Open():
			return e, fmt.Errorf("the export is %s %s: %w", e.State, e.Failure, errExport)
		}
		select {
		case <-ctx.Done():
			return e, fmt.Errorf("the export goes on; `--id %s` waits for it again: %w", e.ID, ctx.Err())
		case <-ticker.C:
		}
		var err error
		if e, err = s.Get(ctx, sc, sc.Tenant(), e.ID); err != nil {
			return e, err
		}
	}
}

// fetchArchive writes the archive, which is checked against its hash on the way.
func fetchArchive(ctx context.Context, s *archive.Service, sc scope.Scope, e archive.Export, out *os.File) error {
	d, err := s.Download(ctx, sc, sc.Tenant(), e.ID)
	if err != nil {
		return err
	}
	if err := d.WriteTo(ctx, out); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return fmt.Errorf("sync the file: %w", err)
	}
	return nil
}

func printExport(w io.Writer, e archive.Export, slug, file string) error {
	rows := [][]string{{"id", e.ID.String()}, {"state", string(e.State)}}
	if e.State == archive.Done {
		rows = append(rows, []string{"rows", fmt.Sprint(e.Rows)}, []string{"size", fmt.Sprint(e.Size)}, []string{"SHA-256", e.SHA256}, []string{"kept until", moment(e.ExpiresAt)})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	switch {
	case file != "":
		_, err := fmt.Fprintf(w, "\n%s is written; `biocore tenant verify-export %s` checks it.\n", file, file)
		return err
	case e.State.Open():
		_, err := fmt.Fprintf(w, "\nA server writes it; `biocore tenant export %s --id %s --out FILE` waits for it and fetches it.\n", slug, e.ID)
		return err
	}
	return nil
}

// runTenantExports lists a tenant's exports, the newest first.
func runTenantExports(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "tenant exports", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		s, err := c.archives(ctx)
		if err != nil {
			return err
		}
		found, err := everyPage("", func(req listing.Request) (listing.Page[archive.Export], error) {
			return s.List(ctx, sc, sc.Tenant(), req)
		})
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]exportJSON, len(found))
			for i, e := range found {
				out[i] = toExportJSON(e)
			}
			return printJSON(env.out, map[string]any{"exports": out})
		}
		if len(found) == 0 {
			_, err := fmt.Fprintln(env.out, "no exports")
			return err
		}
		rows := [][]string{{"STATE", "FILES", "ROWS", "SIZE", "ASKED", "BY", "KEPT UNTIL", "REASON", "ID"}}
		for _, e := range found {
			state := strings.ToLower(string(e.State))
			if e.Failure != "" {
				state += " " + e.Failure
			}
			rows = append(rows, []string{
				state, fmt.Sprintf("%d of %d", e.FilesDone, e.FilesTotal), fmt.Sprint(e.Rows), fmt.Sprint(e.Size),
				moment(&e.CreatedAt), cmp.Or(e.AskedName, e.AskedBy), moment(e.ExpiresAt), e.Reason, e.ID.String(),
			})
		}
		return table(env.out, rows)
	})
}

// runTenantCancelExport ends an export that is open.
func runTenantCancelExport(ctx context.Context, env *environment, args []string) error {
	const command = "tenant cancel-export"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "the tenant's `slug`; required")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, err := parseID(env, command, "an export: see biocore tenant exports", fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := c.archives(ctx)
		if err != nil {
			return err
		}
		e, err := s.Cancel(ctx, sc, archive.CancelRequest{Tenant: sc.Tenant(), ID: id, Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toExportJSON(e))
		}
		_, err = fmt.Fprintf(env.out, "export %s is cancelled; a server removes what is written of it\n", e.ID)
		return err
	})
}

// errArchive is returned when the report, which is printed, says why.
var errArchive = errors.New("the archive does not verify")

// verifiedJSON is a report under --json.
type verifiedJSON struct {
	Valid    bool              `json:"valid"`
	Manifest archive.Manifest  `json:"manifest"`
	KID      string            `json:"kid"`
	Rows     int64             `json:"rows"`
	Findings []archive.Finding `json:"findings"`
}

// runTenantVerifyExport needs nothing but the file: neither configuration nor network.
func runTenantVerifyExport(_ context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "tenant verify-export", &asJSON)
	keySet := fs.String("jwks", "", "`file` with the tenant's key set, as it is at its .well-known/jwks.json: whose archive it is")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	var jwks []byte
	if *keySet != "" {
		var err error
		if jwks, err = readDocument(env, *keySet, maxFile); err != nil {
			return fmt.Errorf("read the key set: %w", err)
		}
	}
	f, err := os.Open(fs.Arg(0))
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close()
	about, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	r, err := archive.Verify(f, about.Size(), jwks)
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(env.out, verifiedJSON{r.Valid(), r.Manifest, r.KID, r.Rows, append([]archive.Finding{}, r.Findings...)})
	} else {
		err = printVerified(env.out, r, jwks != nil)
	}
	if err != nil {
		return err
	}
	if !r.Valid() {
		return errArchive
	}
	return nil
}

func printVerified(w io.Writer, r *archive.Report, whose bool) error {
	wrong := map[string]bool{}
	for _, f := range r.Findings {
		wrong[f.File] = true
	}
	rows := [][]string{{"", "FILE", "ROWS", "BYTES"}}
	for _, f := range r.Manifest.Files {
		mark := "ok"
		if wrong[f.Name] {
			mark = "FAIL"
		}
		rows = append(rows, []string{mark, f.Name, fmt.Sprint(f.Rows), fmt.Sprint(f.Bytes)})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	m := r.Manifest
	of := ""
	if m.UserID != nil {
		of = fmt.Sprintf("user %s of ", m.UserID)
	}
	if _, err := fmt.Fprintf(w, "\nExport %s of %stenant %s (%s), as it was at %s\n", m.ExportID, of, m.Slug, m.TenantID, m.At.Format(time.RFC3339)); err != nil {
		return err
	}
	for _, f := range m.Files {
		if f.Unopened+f.Missing > 0 {
			if _, err := fmt.Fprintf(w, "%s: %d rows with something that did not open, %d with something that was gone\n", f.Name, f.Unopened, f.Missing); err != nil {
				return err
			}
		}
	}
	if r.KID != "" {
		by := "signed by key %s, which is in the archive: --jwks shows whose it is\n"
		if whose {
			by = "signed by key %s of the key set\n"
		}
		if _, err := fmt.Fprintf(w, by, r.KID); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "FAIL  %s: %s\n", f.File, f.Text); err != nil {
			return err
		}
	}
	return nil
}
