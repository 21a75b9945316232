package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// runAuditList prints entries; under --json as they are kept, byte for byte.
func runAuditList(ctx context.Context, env *environment, args []string) error {
	const command = "audit list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	filter := fs.String("filter", "", "as in the API: `target`, targetKind, action, actor, outcome, time")
	limit := fs.Int("limit", maxPrinted, "the newest `count`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		found, err := newest(*limit, *filter, func(req listing.Request) (listing.Page[trail.Record], error) { return c.trail.List(ctx, sc, req) })
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]auditJSON, len(found))
			for i := range found {
				out[i] = toAuditJSON(&found[i])
			}
			return printJSON(env.out, out)
		}
		for _, e := range found {
			actor := e.Actor.Name
			if actor == "" {
				actor = string(e.Actor.Kind) + " " + e.Actor.ID
			}
			if _, err := fmt.Fprintf(env.out, "%s  %-28s %-8s %-30s %s %s\n", e.At.Format(time.RFC3339), e.Action, e.Outcome, actor, e.Target, e.Reason); err != nil {
				return err
			}
		}
		if b, err := c.trail.Beginning(ctx, sc); err != nil {
			return err
		} else if b.Seq > 0 && len(found) < *limit {
			_, err = fmt.Fprintf(env.err, "Entries before %s are in archives: biocore audit archives list --tenant %s\n", b.Until.Format(time.DateOnly), *slug)
			return err
		}
		return nil
	})
}

// auditJSON is an entry under --json: what is private of it among its other members.
type auditJSON struct {
	ID         uuid.UUID        `json:"id"`
	Seq        *int64           `json:"seq,omitempty"` // in the log; absent while it waits
	At         time.Time        `json:"at"`
	Action     string           `json:"action"`
	Outcome    audit.Outcome    `json:"outcome"`
	Reason     string           `json:"reason,omitempty"`
	Actor      auditActorJSON   `json:"actor"`
	OnBehalfOf *auditActorJSON  `json:"onBehalfOf,omitempty"`
	Target     *auditTargetJSON `json:"target,omitempty"`
	Address    string           `json:"address,omitempty"`
	UserAgent  string           `json:"userAgent,omitempty"`
	RequestID  string           `json:"requestId,omitempty"`
	TraceID    string           `json:"traceId,omitempty"`
	Before     json.RawMessage  `json:"before,omitempty"`
	After      json.RawMessage  `json:"after,omitempty"`
	Detail     json.RawMessage  `json:"detail,omitempty"`
	Entry      string           `json:"entry"` // as the log hashes it
}

type auditActorJSON struct {
	Kind scope.ActorKind `json:"kind"`
	ID   string          `json:"id"`
	Name string          `json:"name,omitempty"`
}

type auditTargetJSON struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

func toAuditJSON(e *trail.Record) auditJSON {
	out := auditJSON{
		ID: e.ID, At: e.At, Action: e.Action, Outcome: e.Outcome, Reason: e.Reason, Actor: auditActorJSON(e.Actor), UserAgent: e.UserAgent,
		RequestID: e.RequestID, TraceID: e.TraceID, Before: e.Before, After: e.After, Detail: e.Detail, Entry: e.Entry,
	}
	if e.Seq >= 0 {
		out.Seq = &e.Seq
	}
	if by := auditActorJSON(e.OnBehalfOf); by.Kind != "" {
		out.OnBehalfOf = &by
	}
	if about := auditTargetJSON(e.Target); about.Kind != "" {
		out.Target = &about
	}
	if e.Address.IsValid() {
		out.Address = e.Address.String()
	}
	return out
}

// checkpointJSON is a checkpoint under --json.
type checkpointJSON struct {
	Origin      string    `json:"origin"`
	Size        int64     `json:"size"`
	Root        string    `json:"root"`
	SignedAt    time.Time `json:"signedAt"`
	VerifierKey string    `json:"verifierKey"`
	Note        string    `json:"note"`
}

func runAuditCheckpoint(ctx context.Context, env *environment, args []string) error {
	const command = "audit checkpoint"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the log's tenant")
	key := fs.Bool("key", false, "print the log's verifier key instead")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		last, err := c.trail.Checkpoint(ctx, sc)
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(env.out, checkpointJSON{last.Origin, last.Size, last.Root.String(), last.SignedAt, last.VerifierKey, last.Note})
		case *key:
			_, err = fmt.Fprintln(env.out, last.VerifierKey)
		default:
			_, err = io.WriteString(env.out, last.Note)
		}
		return err
	})
}

func runAuditExport(ctx context.Context, env *environment, args []string) error {
	const command = "audit export"
	var asJSON bool // the file is JSON lines either way
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the log's tenant")
	from := fs.Int64("from", 0, "`number` of the first entry")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		return c.trail.Export(ctx, sc, *from, env.out)
	})
}

// errAudit is returned when the report, which is printed, says why.
var errAudit = errors.New("the audit log does not verify")

// auditReportJSON is what verifying found, under --json.
type auditReportJSON struct {
	Valid       bool               `json:"valid"`
	TenantID    string             `json:"tenantId"`
	Origin      string             `json:"origin"`
	VerifierKey string             `json:"verifierKey"`
	KeyGiven    bool               `json:"keyGiven"` // or the bundle's own
	From        int64              `json:"from"`
	To          int64              `json:"to"`
	Entries     int64              `json:"entries"`
	Checkpoints int                `json:"checkpoints"`
	Anchored    int                `json:"anchored"` // heads of --anchor that the log had
	Findings    []auditFindingJSON `json:"findings"`
}

type auditFindingJSON struct {
	First   int64  `json:"first"`
	Last    int64  `json:"last"`
	Problem string `json:"problem"`
}

// runAuditVerify needs nothing but the file: neither configuration nor network.
func runAuditVerify(_ context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "audit verify", &asJSON)
	key := fs.String("key", "", "the log's `verifier key`, kept from before (biocore audit checkpoint --key), or @FILE that holds it")
	anchored := fs.String("anchor", "", "`file` that biocore audit anchor, or the API, has answered: the log must be as it was then")
	anchorKey := fs.String("anchor-key", "", "`verifier key` of the log of heads, kept from before (biocore audit anchor --key), or @FILE that holds it")
	if err := parse(fs, args, -1); err != nil {
		return err
	}
	if err := fromFile(env, key); err != nil {
		return err
	}
	if err := fromFile(env, anchorKey); err != nil {
		return err
	}
	var heads []merkle.Checkpoint
	if *anchored != "" {
		head, err := readAnchor(env, *anchored, *anchorKey)
		if err != nil {
			return err
		}
		heads = append(heads, head.Checkpoint())
	} else if *anchorKey != "" {
		return misuse(env, "audit verify", "--anchor-key goes with --anchor")
	}
	files, end, err := openBundles(env, fs.Args())
	if err != nil {
		return err
	}
	defer end()
	report, err := bundle.VerifyAll(files, *key, heads...)
	if err != nil {
		return err
	}
	if err := printAuditReport(env.out, report, *key != "", asJSON); err != nil {
		return err
	}
	if !report.Valid() {
		return errAudit
	}
	return nil
}

// openBundles opens files, in the order of the log whatever they are called; - alone is what comes in.
func openBundles(env *environment, names []string) (files []io.Reader, end func(), err error) {
	if len(names) == 1 && names[0] == "-" {
		return []io.Reader{env.in}, func() {}, nil
	}
	type opened struct {
		*os.File
		from int64
	}
	var all []opened
	end = func() {
		for _, f := range all {
			_ = f.Close() // read only
		}
	}
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			end()
			return nil, nil, fmt.Errorf("read the bundle: %w", err)
		}
		one := opened{File: file}
		if len(names) > 1 {
			one.from, err = bundle.From(file)
		}
		all = append(all, one)
		if err != nil {
			end()
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	slices.SortFunc(all, func(a, b opened) int { return cmp.Compare(a.from, b.from) })
	for _, f := range all {
		files = append(files, f.File)
	}
	return files, end, nil
}

func printAuditReport(w io.Writer, r *bundle.Report, keyGiven, asJSON bool) error {
	h := &r.Header
	if asJSON {
		out := auditReportJSON{
			Valid: r.Valid(), TenantID: h.TenantID, Origin: h.Origin, VerifierKey: h.VerifierKey, KeyGiven: keyGiven, From: h.From, To: h.To,
			Entries: r.Entries, Checkpoints: r.Signed, Anchored: r.Anchored, Findings: []auditFindingJSON{},
		}
		for _, f := range r.Findings {
			out.Findings = append(out.Findings, auditFindingJSON(f))
		}
		return printJSON(w, out)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "log          %s\nentries      %d to %d, %d read\ncheckpoints  %d hold\n", h.Origin, h.From, h.To-1, r.Entries, r.Signed)
	if r.Entries > 0 {
		fmt.Fprintf(&b, "sequenced    %s to %s\n", r.Earliest.Format(time.RFC3339), r.Latest.Format(time.RFC3339))
	}
	if r.Anchored > 0 {
		b.WriteString("anchor       the log is as it was when its head was anchored\n")
	}
	if !keyGiven {
		fmt.Fprintf(&b, "key          the bundle’s own, so this shows only that it agrees with itself: %s\n", h.VerifierKey)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "✗ %s\n", f)
	}
	if r.Valid() {
		b.WriteString("✓ every entry is there, once, in its place and as it was signed\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
