package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/importer"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// importJSON is an import under --json.
type importJSON struct {
	ID            string             `json:"id"`
	State         string             `json:"state"`
	Position      int32              `json:"position"`
	Counts        importer.Counts    `json:"counts"`
	CheckedCounts importer.Counts    `json:"checkedCounts"`
	Findings      []importer.Finding `json:"findings,omitempty"`
}

// runImport takes a file through the check and the run. The file stays here: an import
// is a position in it, so --resume goes on in the same file after any interruption.
func runImport(ctx context.Context, env *environment, args []string) error {
	const command = "import"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	rpID := fs.String("rp-id", "", "`domain` that the credentials were made for; the tenant's must be the same")
	on := fs.String("on-duplicate", "FAIL", "`policy` for users who exist: FAIL, SKIP or MERGE")
	dryRun := fs.Bool("dry-run", false, "check the file, and stop before anything is written")
	allow := fs.Bool("allow-errors", false, "leave out the lines that the check found wrong, instead of stopping")
	resume := fs.String("resume", "", "`id` of an import that was interrupted, of the same file")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" || (*rpID == "") == (*resume == "") {
		return misuse(env, command, "--tenant and either --rp-id or --resume are required")
	}
	f, err := os.Open(fs.Arg(0))
	if err != nil {
		return err
	}
	defer f.Close()
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		_ = c.mds.Load(ctx) // names of models alone: doctor tells what is wrong with it
		t := transfer{ctx: ctx, env: env, asJSON: asJSON, sc: sc, file: f, imports: importer.New(importer.Options{
			Store: c.store, Keys: c.keys, Tenants: c.tenants, Metadata: c.mds.Current,
		})}
		im, err := t.begin(*resume, importer.CreateRequest{RPID: *rpID, OnDuplicate: importer.OnDuplicate(*on)})
		if err != nil {
			return err
		}
		if im, err = t.through(im, *dryRun, *allow); err != nil {
			return err
		}
		return t.show(im)
	})
}

// transfer is one file on its way into a tenant.
type transfer struct {
	ctx     context.Context //nolint:containedctx // the command's, for its few steps
	env     *environment
	asJSON  bool
	sc      scope.Scope
	file    *os.File
	imports *importer.Service
}

func (t *transfer) begin(resume string, create importer.CreateRequest) (importer.Import, error) {
	if resume == "" {
		im, err := t.imports.Create(t.ctx, t.sc, create)
		if err == nil && !t.asJSON {
			fmt.Fprintf(t.env.out, "import %s\n", im.ID) // for --resume, before anything can go wrong
		}
		return im, err
	}
	id, err := importer.ParseID(resume)
	if err != nil {
		return importer.Import{}, err
	}
	return t.imports.Get(t.ctx, t.sc, id)
}

// through takes the import on from wherever it stands.
func (t *transfer) through(im importer.Import, dryRun, allow bool) (importer.Import, error) {
	var err error
	if importer.State(im.State) == importer.Checking {
		if err := t.feed(im); err != nil {
			return im, err
		}
		if im, err = t.imports.Complete(t.ctx, t.sc, im.ID); err != nil {
			return im, err
		}
	}
	if importer.State(im.State) == importer.Checked && !dryRun {
		if im.CheckedCounts.LinesFailed > 0 && !allow {
			return im, nil // the report says why, and how to go on
		}
		if im, err = t.imports.Run(t.ctx, t.sc, importer.RunRequest{ID: im.ID, AllowErrors: allow}); err != nil {
			return im, err
		}
	}
	if importer.State(im.State) == importer.Running {
		if err := t.feed(im); err != nil {
			return im, err
		}
		return t.imports.Complete(t.ctx, t.sc, im.ID)
	}
	return im, nil
}

const (
	linesPerBatch = 200
	bytesPerBatch = 512 << 10
)

var errAnotherFile = errors.New("this is not the file that the import has begun with: its lines differ before the import's position")

// feed sends the lines after the import's position. It reads those before it too: the
// digest over them tells whether it is the same file.
func (t *transfer) feed(im importer.Import) error {
	if _, err := t.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewScanner(t.file)
	in.Buffer(make([]byte, 64<<10), 1<<20)
	var batch []string
	number, size, digest := 0, 0, ""
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		_, err := t.imports.Append(t.ctx, t.sc, importer.AppendRequest{ID: im.ID, FirstLine: number - len(batch) + 1, Lines: batch})
		batch, size = batch[:0], 0
		return err
	}
	for in.Scan() {
		number++
		text := strings.TrimSuffix(in.Text(), "\r")
		if number <= int(im.Position) {
			digest = importer.Extend(digest, text)
			if number == int(im.Position) && digest != im.Digest {
				return errAnotherFile
			}
			continue
		}
		batch, size = append(batch, text), size+len(text)
		if len(batch) == linesPerBatch || size > bytesPerBatch {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	if number < int(im.Position) {
		return errAnotherFile
	}
	return send()
}

// shownFindings is how many lines a terminal is told of; the API has up to 1,000.
const shownFindings = 50

func (t *transfer) show(im importer.Import) error {
	phase := importer.Write
	if im.StartedAt == nil {
		phase = importer.Check
	}
	found, err := t.imports.Findings(t.ctx, t.sc, importer.FindingsRequest{ID: im.ID, Phase: phase, Request: listing.Request{PageSize: shownFindings}})
	if err != nil {
		return err
	}
	if t.asJSON {
		return printJSON(t.env.out, importJSON{
			ID: im.ID.String(), State: im.State, Position: im.Position, Counts: im.Counts, CheckedCounts: im.CheckedCounts, Findings: found.Items,
		})
	}
	for _, f := range found.Items {
		fmt.Fprintf(t.env.out, "line %d: %s %s %s %s\n", f.Line, f.Outcome, f.Field, f.Reason, f.Detail)
	}
	if found.NextToken != "" {
		fmt.Fprintln(t.env.out, "… and more: GET /admin/v1/imports/"+im.ID.String()+"/findings")
	}
	c := im.Counts
	fmt.Fprintf(t.env.out, "%s after %d lines: %d users created, %d merged, %d skipped, %d lines failed; %d credentials created, %d skipped\n",
		im.State, im.Position, c.UsersCreated, c.UsersMerged, c.UsersSkipped, c.LinesFailed, c.CredentialsCreated, c.CredentialsSkipped)
	if importer.State(im.State) == importer.Checked {
		fmt.Fprintf(t.env.out, "nothing is written yet: biocore import --resume %s goes on%s\n", im.ID, map[bool]string{true: ", with --allow-errors without the lines above"}[c.LinesFailed > 0])
	}
	return nil
}

// manifestJSON describes an export: what is in the file beside it.
type manifestJSON struct {
	Tenant      uuid.UUID `json:"tenantId"`
	Slug        string    `json:"slug"`
	RPID        string    `json:"rpId"`
	ExportedAt  time.Time `json:"exportedAt"`
	Users       int       `json:"users"`
	Credentials int       `json:"credentials"`
	Contacts    bool      `json:"contacts"`
	SHA256      string    `json:"sha256"` // of the file
}

// runExportUsers writes a tenant's users as an import takes them, and a manifest.
func runExportUsers(ctx context.Context, env *environment, args []string) error {
	const command = "export users"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	contacts := fs.Bool("contacts", false, "with e-mail addresses and phone numbers")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	path := fs.Arg(0)
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		snap, err := c.tenants.Current(ctx, sc)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // names of people: for the owner alone
		if err != nil {
			return err
		}
		defer f.Close()
		m := manifestJSON{Tenant: sc.Tenant(), Slug: *slug, RPID: snap.RPID, ExportedAt: c.store.Now(), Contacts: *contacts}
		imports := importer.New(importer.Options{Store: c.store, Keys: c.keys, Tenants: c.tenants})
		if err := writeExport(ctx, sc, imports, f, &m); err != nil {
			return err
		}
		manifest, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(path+".manifest.json", append(manifest, '\n'), 0o600); err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, m)
		}
		_, err = fmt.Fprintf(env.out, "%d users with %d credentials are in %s, and %s.manifest.json describes it\n", m.Users, m.Credentials, path, path)
		return err
	})
}

func writeExport(ctx context.Context, sc scope.Scope, imports *importer.Service, f *os.File, m *manifestJSON) error {
	sum := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(f, sum))
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	req := importer.ExportRequest{Contacts: m.Contacts, Request: listing.Request{PageSize: listing.MaxPageSize}}
	for {
		page, err := imports.Export(ctx, sc, req)
		if err != nil {
			return err
		}
		for _, l := range page.Items {
			m.Users++
			m.Credentials += len(l.Credentials)
			if err := lines.Encode(l); err != nil {
				return err
			}
		}
		if req.PageToken = page.NextToken; req.PageToken == "" {
			break
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	m.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f.Close()
}
