package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// reportJSON is a report under --json, as the API spells it.
type reportJSON struct {
	ID         uuid.UUID    `json:"id"`
	Catalogue  string       `json:"catalogue"`
	FirstDay   string       `json:"firstDay"`
	LastDay    string       `json:"lastDay"`
	State      report.State `json:"state"`
	Reason     string       `json:"reason"`
	AskedBy    string       `json:"askedBy"`
	AskedName  string       `json:"askedName"`
	Scheduled  bool         `json:"scheduled"`
	KeepDays   int          `json:"keepDays"`
	CreatedAt  time.Time    `json:"createdAt"`
	EndedAt    *time.Time   `json:"endedAt,omitempty"`
	ExpiresAt  *time.Time   `json:"expiresAt,omitempty"`
	Attempts   int          `json:"attempts"`
	Done       int          `json:"done"`
	Total      int          `json:"total"`
	Met        int          `json:"met"`
	NotMet     int          `json:"notMet"`
	NoEvidence int          `json:"noEvidence"`
	SHA256     string       `json:"sha256"`
	Failure    string       `json:"failure"`
}

func toReportJSON(r *report.Report) reportJSON {
	return reportJSON{
		r.ID, r.Catalogue, r.Period.First(), r.Period.Last(), r.State, r.Reason, r.AskedBy, r.AskedName, r.Scheduled, r.KeepDays, r.CreatedAt, r.EndedAt, r.ExpiresAt,
		r.Attempt, r.Done, r.Total, r.Counts.Met, r.Counts.NotMet, r.Counts.NoEvidence, r.SHA256, r.Failure,
	}
}

// tenantOfReports is --tenant of the commands on reports.
const tenantOfReports = "`slug` of the tenant that it is of"

// reportService is the service with the object storage of the configuration.
func (c *control) reportService(ctx context.Context) (*report.Service, error) {
	var objects *blob.Bucket
	if c.objectStorageURL != "" {
		var err error
		if objects, err = blob.Open(ctx, c.objectStorageURL); err != nil {
			return nil, fmt.Errorf("object storage: %w", err)
		}
	}
	return report.New(report.Options{Store: c.store, Keys: c.keys, Members: c.members, Objects: objects, Shared: c.shared}), nil
}

// inReports runs a command on a tenant's reports.
func inReports(ctx context.Context, env *environment, config, command, slug string, fn func(s *report.Service, sc scope.Scope) error) error {
	if slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, config, slug, func(c *control, sc scope.Scope) error {
		s, err := c.reportService(ctx)
		if err != nil {
			return err
		}
		return fn(s, sc)
	})
}

// said prints what was done: JSON, or a line.
func said(env *environment, asJSON bool, v any, line string, args ...any) error {
	if asJSON {
		return printJSON(env.out, v)
	}
	_, err := fmt.Fprintf(env.out, line, args...)
	return err
}

// errReport is returned when what was printed says why.
var errReport = errors.New("there is no report")

// runReportCreate asks a server's job for a report, waits for it, and fetches it.
func runReportCreate(ctx context.Context, env *environment, args []string) error {
	const command = "report create"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfReports)
	first := fs.String("from", "", "first `day` of the period, UTC, as 2026-10-01; required")
	last := fs.String("to", "", "last `day` of the period; required")
	keep := fs.Int("keep", report.DefaultKeepDays, "for how many `days` it is kept")
	reason := reasonFlag(fs, "`text` for the audit log")
	wait := fs.Bool("wait", false, "wait until it has ended, and tell how far it is")
	file := fs.String("out", "", "new `file` to write all of the report to, a zip; waits, too")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	period, err := report.ParsePeriod(*first, *last)
	if err != nil {
		return misuse(env, command, "--from and --to are days, as 2026-10-01")
	}
	return inReports(ctx, env, *config, command, *slug, func(s *report.Service, sc scope.Scope) error {
		r, err := s.Create(ctx, sc, report.CreateRequest{Catalogue: fs.Arg(0), Period: period, KeepDays: *keep, Reason: *reason})
		if err == nil && (*wait || *file != "") {
			r, err = awaitReport(ctx, env, s, sc, r)
		}
		if err == nil && *file != "" {
			err = writeReport(ctx, s, sc, r.ID, "", *file)
		}
		if err != nil {
			return err
		}
		return printReportOf(env, asJSON, &r)
	})
}

// awaitReport tells how far a report is until it has ended. Where it does not end well, it is errReport.
func awaitReport(ctx context.Context, env *environment, s *report.Service, sc scope.Scope, r report.Report) (report.Report, error) {
	ticker := time.NewTicker(exportPolls)
	defer ticker.Stop()
	told := ""
	for {
		if now := fmt.Sprintf("%s: %d of %d steps %s", r.State, r.Done, r.Total, r.Failure); now != told {
			_, _ = fmt.Fprintln(env.err, strings.TrimSpace(now)) // progress is no result
			told = now
		}
		switch {
		case r.State == report.Done:
			return r, nil
		case !r.State.Open():
			return r, fmt.Errorf("the report is %s %s: %w", r.State, r.Failure, errReport)
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("report %s goes on: %w", r.ID, ctx.Err())
		case <-ticker.C:
		}
		var err error
		if r, err = s.Get(ctx, sc, r.ID); err != nil {
			return r, err
		}
	}
}

// writeReport writes one file of a report, or all of them, to a new file.
func writeReport(ctx context.Context, s *report.Service, sc scope.Scope, id uuid.UUID, name, file string) error {
	d, err := s.Download(ctx, sc, id, name)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the file: %w", err)
	}
	_, err = out.Write(d.Body)
	if err := errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(file) // half a file is none
		return fmt.Errorf("write the file: %w", err)
	}
	return nil
}

func printReportOf(env *environment, asJSON bool, r *report.Report) error {
	if asJSON {
		return printJSON(env.out, toReportJSON(r))
	}
	rows := [][]string{
		{"id", r.ID.String()}, {"catalogue", r.Catalogue}, {"period", r.Period.First() + " to " + r.Period.Last()}, {"state", string(r.State)},
		{"asked", moment(&r.CreatedAt) + " by " + cmp.Or(r.AskedName, r.AskedBy)},
	}
	if r.State == report.Done {
		rows = append(rows, []string{"met", strconv.Itoa(r.Counts.Met)}, []string{"not met", strconv.Itoa(r.Counts.NotMet)}, []string{"no evidence", strconv.Itoa(r.Counts.NoEvidence)},
			[]string{"SHA-256", r.SHA256}, []string{"kept until", moment(r.ExpiresAt)})
	}
	if r.Failure != "" {
		rows = append(rows, []string{"failure", r.Failure})
	}
	return table(env.out, rows)
}

func runReportList(ctx context.Context, env *environment, args []string) error {
	const command = "report list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfReports)
	filter := fs.String("filter", "", "which, as `catalogue = soc2`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	return inReports(ctx, env, *config, command, *slug, func(s *report.Service, sc scope.Scope) error {
		found, err := everyPage(*filter, func(req listing.Request) (listing.Page[report.Report], error) { return s.List(ctx, sc, req) })
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]reportJSON, len(found))
			for i := range found {
				out[i] = toReportJSON(&found[i])
			}
			return printJSON(env.out, map[string]any{"reports": out})
		}
		if len(found) == 0 {
			_, err := fmt.Fprintln(env.out, "no reports")
			return err
		}
		rows := [][]string{{"CATALOGUE", "PERIOD", "STATE", "MET", "NOT MET", "NO EVIDENCE", "ASKED", "BY", "KEPT UNTIL", "ID"}}
		for i := range found {
			r := &found[i]
			rows = append(rows, []string{
				r.Catalogue, r.Period.First() + " to " + r.Period.Last(), strings.TrimSpace(strings.ToLower(string(r.State)) + " " + r.Failure), strconv.Itoa(r.Counts.Met), strconv.Itoa(r.Counts.NotMet),
				strconv.Itoa(r.Counts.NoEvidence), moment(&r.CreatedAt), cmp.Or(r.AskedName, r.AskedBy), moment(r.ExpiresAt), r.ID.String(),
			})
		}
		return table(env.out, rows)
	})
}

func runReportDownload(ctx context.Context, env *environment, args []string) error {
	const command = "report download"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfReports)
	name := fs.String("file", "", "`name` of one file, as report.pdf (default: all of them, in a zip)")
	out := fs.String("out", "", "new `file` to write it to; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *out == "" {
		return misuse(env, command, "--out is required")
	}
	id, err := report.ParseID(fs.Arg(0))
	if err != nil {
		return err
	}
	return inReports(ctx, env, *config, command, *slug, func(s *report.Service, sc scope.Scope) error {
		if err := writeReport(ctx, s, sc, id, *name, *out); err != nil {
			return err
		}
		return said(env, asJSON, map[string]any{"id": id, "file": *out}, "%s is written\n", *out)
	})
}

func runReportDelete(ctx context.Context, env *environment, args []string) error {
	const command = "report delete"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfReports)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	id, err := report.ParseID(fs.Arg(0))
	if err != nil {
		return err
	}
	return inReports(ctx, env, *config, command, *slug, func(s *report.Service, sc scope.Scope) error {
		if err := s.Delete(ctx, sc, id, *reason); err != nil {
			return err
		}
		return said(env, asJSON, map[string]any{"id": id, "deleted": true}, "report %s is deleted\n", id)
	})
}

func runReportSchedule(ctx context.Context, env *environment, args []string) error {
	const command = "report schedule"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfReports)
	every := fs.String("every", "", "month, quarter or never: how often one is made, a `time`; required")
	keep := fs.Int("keep", report.DefaultKeepDays, "for how many `days` each is kept")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	cadence, ok := map[string]report.Cadence{"month": report.Monthly, "quarter": report.Quarterly, "never": ""}[*every]
	if !ok {
		return misuse(env, command, "--every is month, quarter or never")
	}
	return inReports(ctx, env, *config, command, *slug, func(s *report.Service, sc scope.Scope) error {
		if cadence == "" {
			if err := s.Unschedule(ctx, sc, fs.Arg(0), *reason); err != nil {
				return err
			}
			return said(env, asJSON, map[string]any{"catalogue": fs.Arg(0), "scheduled": false}, "no more reports of %s are made by themselves\n", fs.Arg(0))
		}
		made, err := s.Put(ctx, sc, report.ScheduleRequest{Catalogue: fs.Arg(0), Cadence: cadence, KeepDays: *keep, Reason: *reason})
		if err != nil {
			return err
		}
		return said(env, asJSON, map[string]any{
			"catalogue": made.Catalogue, "scheduled": true, "cadence": made.Cadence, "keepDays": made.KeepDays, "nextAt": made.NextAt, "nextFirstDay": made.Next.First(), "nextLastDay": made.Next.Last(),
		}, "the next report of %s is made on %s, of %s\n", made.Catalogue, moment(&made.NextAt), made.Next)
	})
}

func runReportCatalogues(ctx context.Context, env *environment, args []string) error {
	const command = "report catalogues"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfReports)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	return inReports(ctx, env, *config, command, *slug, func(s *report.Service, sc scope.Scope) error {
		all, err := s.Catalogues(ctx, sc)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]map[string]any, len(all))
			for i := range all {
				out[i] = map[string]any{"name": all[i].Name, "title": all[i].Title, "standard": all[i].Standard, "version": all[i].Version, "controls": len(all[i].Controls), "builtIn": all[i].BuiltIn, "shared": all[i].Shared}
			}
			return printJSON(env.out, map[string]any{"catalogues": out})
		}
		rows := [][]string{{"NAME", "TITLE", "STANDARD", "VERSION", "CONTROLS", "WHOSE"}}
		for i := range all {
			whose := "the tenant's"
			if all[i].BuiltIn {
				whose = "the release's"
			} else if all[i].Shared {
				whose = "the installation's"
			}
			rows = append(rows, []string{all[i].Name, all[i].Title, all[i].Standard, all[i].Version, strconv.Itoa(len(all[i].Controls)), whose})
		}
		return table(env.out, rows)
	})
}

func runReportCatalogue(ctx context.Context, env *environment, args []string) error {
	const command = "report catalogue"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfReports)
	set := fs.String("set", "", "`file` to put in its place; - reads standard input")
	remove := fs.Bool("delete", false, "delete it")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	name := fs.Arg(0)
	return inReports(ctx, env, *config, command, *slug, func(s *report.Service, sc scope.Scope) error {
		switch {
		case *remove:
			if err := s.DeleteCatalogue(ctx, sc, name, "", *reason); err != nil {
				return err
			}
			return said(env, asJSON, map[string]any{"name": name, "deleted": true}, "the catalogue %s is deleted\n", name)
		case *set != "":
			text, err := readDocument(env, *set, maxFile)
			if err != nil {
				return fmt.Errorf("read the catalogue: %w", err)
			}
			made, err := s.PutCatalogue(ctx, sc, report.PutCatalogueRequest{Name: name, Text: string(text), Reason: *reason})
			if err != nil {
				return err
			}
			return said(env, asJSON, map[string]any{"name": made.Name, "controls": len(made.Controls)}, "the catalogue %s has %d controls\n", made.Name, len(made.Controls))
		}
		doc, err := s.GetCatalogue(ctx, sc, name)
		if err != nil {
			return err
		}
		return said(env, asJSON, map[string]any{"name": name, "builtIn": doc.BuiltIn, "shared": doc.Shared, "document": doc.Text}, "%s", doc.Text)
	})
}

// errSigned is returned when what was printed says why.
var errSigned = errors.New("the report does not verify")

// runReportVerify needs nothing but files: neither configuration nor network.
func runReportVerify(_ context.Context, env *environment, args []string) error {
	const command = "report verify"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	keySet := fs.String("jwks", "", "`file` with the tenant's key set, as it is at its .well-known/jwks.json: whose report it is; required for one file")
	signature := fs.String("signature", "", "`file` with the signature of one file (default: the file's name and .jws)")
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
	body, err := os.ReadFile(fs.Arg(0))
	if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	if *signature == "" && strings.HasPrefix(string(body), "PK") {
		return verifyReport(env, asJSON, body, jwks)
	}
	if jwks == nil {
		return misuse(env, command, "--jwks is required: a file alone does not say whose it is")
	}
	jws, err := os.ReadFile(cmp.Or(*signature, fs.Arg(0)+report.SignatureSuffix))
	if err != nil {
		return fmt.Errorf("read the signature: %w", err)
	}
	kid, err := report.VerifyFile(jwks, body, string(jws))
	if err != nil {
		return errors.Join(said(env, asJSON, map[string]any{"valid": false, "findings": []string{report.ErrSignature.Error()}}, "FAIL  %s: %s\n", fs.Arg(0), report.ErrSignature), errSigned)
	}
	return said(env, asJSON, map[string]any{"valid": true, "kid": kid, "findings": []string{}}, "ok  %s: signed by key %s of the key set\n", fs.Arg(0), kid)
}

func verifyReport(env *environment, asJSON bool, packed, jwks []byte) error {
	v, err := report.VerifyBundle(packed, jwks)
	if err != nil {
		return err
	}
	if asJSON {
		err := printJSON(env.out, map[string]any{"valid": len(v.Findings) == 0, "kid": v.KID, "manifest": v.Manifest, "proven": v.Proven, "unproven": append([]report.UnprovenEntry{}, v.Unproven...), "findings": append([]string{}, v.Findings...)})
		if err == nil && len(v.Findings) > 0 {
			err = errSigned
		}
		return err
	}
	m := &v.Manifest
	_, _ = fmt.Fprintf(env.out, "Report %s of tenant %s: %s, %s to %s, made %s\n", m.ReportID, m.TenantID, m.Catalogue, m.From.Format(time.RFC3339), m.To.Format(time.RFC3339), m.MadeAt.Format(time.RFC3339))
	for _, f := range slices.Concat(m.Files, m.Evidence) {
		_, _ = fmt.Fprintf(env.out, "      %s  %s\n", f.SHA256, f.Name)
	}
	if v.KID != "" {
		by := "signed by key %s, which is in the report: --jwks shows whose it is\n"
		if jwks != nil {
			by = "signed by key %s of the key set\n"
		}
		_, _ = fmt.Fprintf(env.out, by, v.KID)
	}
	if m.Log != nil {
		_, _ = fmt.Fprintf(env.out, "audit log %s, %d entries: %d that the report names are in it\n", m.Log.VerifierKey, m.Log.Size, v.Proven)
	}
	for _, u := range v.Unproven {
		_, _ = fmt.Fprintf(env.out, "      entry %d is not shown: %s\n", u.Seq, u.Why)
	}
	for _, f := range v.Findings {
		_, _ = fmt.Fprintf(env.out, "FAIL  %s\n", f)
	}
	if len(v.Findings) > 0 {
		return errSigned
	}
	return nil
}
