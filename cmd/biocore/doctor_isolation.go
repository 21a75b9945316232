package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// isolationFormat is the first member of the report.
const isolationFormat = "biocore-isolation-report-v1"

// isolationFlags are what `biocore doctor` makes the report of.
type isolationFlags struct {
	file        string // where it is written; empty: none is asked for
	release     string // the report of the release, see .ci/isolation; empty: none
	releaseKeys string // the key set that it is verified by
}

// isolationReport is how an installation keeps its tenants apart, for somebody who trusts nobody's word: what was
// asked, and what was found.
type isolationReport struct {
	Format       string             `json:"format"`
	MadeAt       time.Time          `json:"madeAt"` // by Postgres's clock
	Installation string             `json:"installation"`
	Build        build              `json:"build"`
	Postgres     string             `json:"postgres"`
	Schema       int64              `json:"schema"` // the last migration
	Holds        bool               `json:"holds"`  // of this installation; that of the release stands with it
	Walk         []isolationCheck   `json:"walk"`
	Tables       []isolationTable   `json:"tables"`
	Probes       []isolationProbe   `json:"probes"`
	Release      *isolationEvidence `json:"release"` // null: none was given
}

type isolationCheck struct {
	Name     string             `json:"name"`
	Judges   string             `json:"judges"`
	Objects  int                `json:"objects"`
	Findings []isolationFinding `json:"findings"`
}

type isolationFinding struct {
	Object  string `json:"object"`
	Problem string `json:"problem"`
}

type isolationTable struct {
	Name     string            `json:"name"`
	Walled   bool              `json:"walled"`
	Reason   string            `json:"reason,omitempty"`
	Policies []isolationPolicy `json:"policies"`
}

type isolationPolicy struct {
	Name        string   `json:"name"`
	Restrictive bool     `json:"restrictive,omitempty"`
	Command     string   `json:"command"`
	Roles       []string `json:"roles"`
	Using       string   `json:"using,omitempty"`
	Check       string   `json:"check,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

type isolationProbe struct {
	Role   string   `json:"role"`
	Tenant string   `json:"tenant"`
	Tables int      `json:"tables"`
	Seen   []string `json:"seen"` // in which it saw rows
	Holds  bool     `json:"holds"`
}

// isolationEvidence is the report of the release, as its publisher signed it.
type isolationEvidence struct {
	KID    string          `json:"kid"`
	Same   bool            `json:"same"` // it is of the build that wrote this
	Holds  bool            `json:"holds"`
	Report json.RawMessage `json:"report"`
}

// isolate writes the report and its signature, by the platform's tenant, and says on out what it found. An error
// when the wall does not hold, after the report is written.
func (d *checkup) isolate(ctx context.Context, out io.Writer, f isolationFlags) error {
	defer func() {
		if d.store != nil {
			d.store.Close()
		}
	}()
	for _, step := range []func(context.Context) finding{d.configuration, d.postgres, d.clock, d.roles, d.openKMS} {
		if found := step(ctx); found.Verdict == unwell || found.Verdict == unchecked {
			return errors.New("no report can be made: " + scrub(found.Detail))
		}
	}
	evidence, err := releaseEvidence(f)
	if err != nil {
		return err
	}
	wall, err := d.store.ReportWall(ctx)
	if err != nil {
		return err
	}
	body, err := json.MarshalIndent(newIsolationReport(&wall, d.cfg.PublicURL, d.store.Now(), evidence), "", "  ")
	if err != nil {
		return err
	}
	body = append(body, '\n')
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	ring, err := keys.New(keys.Options{Store: d.store, KMS: d.kms}).Ring(ctx, home)
	if err != nil {
		return err
	}
	jws, _, err := keys.SignDetached(ctx, ring, report.SignatureType, body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.file, body, 0o644); err != nil { //nolint:gosec // auditors read it, and nothing in it is secret
		return err
	}
	if err := os.WriteFile(f.file+report.SignatureSuffix, []byte(jws+"\n"), 0o644); err != nil { //nolint:gosec // as above
		return err
	}
	return sayIsolation(out, &wall, evidence, f.file)
}

func sayIsolation(out io.Writer, wall *db.WallReport, evidence *isolationEvidence, file string) error {
	objects, findings, walled := 0, 0, 0
	for _, c := range wall.Checks {
		objects += c.Objects
		for _, one := range c.Findings {
			findings++
			_, _ = fmt.Fprintf(out, "FAIL  %s: %s\n", one.Object, one.Problem)
		}
	}
	for _, t := range wall.Tables {
		if t.Walled {
			walled++
		}
	}
	for i := range wall.Probes {
		if p := &wall.Probes[i]; !p.Holds() {
			_, _ = fmt.Fprintf(out, "FAIL  %s as %s sees rows of %d tables\n", p.Role, p.Tenant, len(p.Seen))
		}
	}
	_, _ = fmt.Fprintf(out, "catalog  %d parts judged %d objects: %d findings\ntables   %d of %d walled\nprobes   %d\n", len(wall.Checks), objects, findings, walled, len(wall.Tables), len(wall.Probes))
	switch {
	case evidence == nil:
		_, _ = fmt.Fprintln(out, "release  not given: see --release-report")
	case !evidence.Same:
		_, _ = fmt.Fprintln(out, "release  signed, of ANOTHER build than this")
	default:
		_, _ = fmt.Fprintln(out, "release  signed, of this build")
	}
	_, err := fmt.Fprintf(out, "\n%s, and its signature in %s\n", file, file+report.SignatureSuffix)
	if !wall.Holds() || evidence != nil && !evidence.Holds {
		return errors.New("the wall between tenants does not hold")
	}
	return err
}

func newIsolationReport(wall *db.WallReport, installation string, at time.Time, evidence *isolationEvidence) isolationReport {
	r := isolationReport{
		Format: isolationFormat, MadeAt: at.UTC().Truncate(time.Second), Installation: installation, Build: buildInfo(), Postgres: wall.Server, Schema: wall.Schema,
		Holds: wall.Holds(), Release: evidence, Walk: []isolationCheck{}, Tables: []isolationTable{}, Probes: []isolationProbe{},
	}
	for _, c := range wall.Checks {
		one := isolationCheck{Name: c.Name, Judges: c.Judges, Objects: c.Objects, Findings: []isolationFinding{}}
		for _, f := range c.Findings {
			one.Findings = append(one.Findings, isolationFinding{f.Object, f.Problem})
		}
		r.Walk = append(r.Walk, one)
	}
	for _, t := range wall.Tables {
		one := isolationTable{Name: t.Name, Walled: t.Walled, Reason: t.Reason, Policies: []isolationPolicy{}}
		for _, p := range t.Policies {
			one.Policies = append(one.Policies, isolationPolicy(p))
		}
		r.Tables = append(r.Tables, one)
	}
	for _, p := range wall.Probes {
		r.Probes = append(r.Probes, isolationProbe{Role: p.Role, Tenant: string(p.Tenant), Tables: p.Tables, Seen: append([]string{}, p.Seen...), Holds: p.Holds()})
	}
	return r
}

// releaseEvidence reads the report of the release; nil if none was given.
func releaseEvidence(f isolationFlags) (*isolationEvidence, error) {
	if f.release == "" {
		return nil, nil //nolint:nilnil // documented
	}
	body, err := os.ReadFile(f.release)
	if err != nil {
		return nil, err
	}
	jws, err := os.ReadFile(f.release + report.SignatureSuffix)
	if err != nil {
		return nil, err
	}
	jwks, err := os.ReadFile(f.releaseKeys)
	if err != nil {
		return nil, err
	}
	kid, err := report.VerifyFile(jwks, body, string(jws))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.release, err)
	}
	var release struct {
		Commit string `json:"commit"`
		Clean  bool   `json:"clean"`
		Holds  bool   `json:"holds"`
	}
	if err := json.Unmarshal(body, &release); err != nil {
		return nil, fmt.Errorf("%s: %w", f.release, err)
	}
	return &isolationEvidence{KID: kid, Same: release.Clean && release.Commit == buildInfo().Revision, Holds: release.Holds, Report: body}, nil
}
