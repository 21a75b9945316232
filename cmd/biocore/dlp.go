package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// errDetected says that a file holds what it should not.
var errDetected = errors.New("there is something that should not be there")

// maxDetectLine bounds a line of a file; a longer one is looked at in pieces.
const maxDetectLine = 1 << 20

// maxDetected bounds what is listed of a file; the rest is counted.
const maxDetected = 1000

// kindWords are the kinds as people type them.
const kindWords = "email, iban, card, national_id, token, private_key, biocore_key"

type detectedJSON struct {
	Line   int         `json:"line"`
	Column int         `json:"column"`
	Kind   detect.Kind `json:"kind"`
	Shape  string      `json:"shape"`
}

// runDLPFile looks for personal data and secrets in one file, asking nobody.
func runDLPFile(_ context.Context, env *environment, args []string) error {
	const command = "dlp file"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	only := fs.String("kinds", "", "only these `kinds`, joined by commas: "+kindWords)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	kinds, err := detectKinds(*only)
	if err != nil {
		return misuse(env, command, "--kinds: %s", err)
	}
	in := env.in
	if path := fs.Arg(0); path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	found, count, err := detectLines(in, kinds)
	if err != nil {
		return fmt.Errorf("read %s: %w", fs.Arg(0), err)
	}
	if asJSON {
		err = printJSON(env.out, map[string]any{"findings": append([]detectedJSON{}, found...), "count": count})
	} else {
		for _, d := range found {
			fmt.Fprintf(env.out, "%s:%d:%d: %s %s\n", fs.Arg(0), d.Line, d.Column, d.Kind, d.Shape)
		}
		if more := count - len(found); more > 0 {
			fmt.Fprintf(env.out, "and %d more\n", more)
		}
	}
	if err == nil && count > 0 {
		err = errDetected
	}
	return err
}

// detectKinds reads kinds as people type them; none for "".
func detectKinds(text string) ([]detect.Kind, error) {
	var kinds []detect.Kind
	for _, word := range list(text) {
		k := detect.Kind(strings.ToUpper(strings.ReplaceAll(word, "-", "_")))
		if !slices.Contains(detect.Kinds(), k) {
			return nil, fmt.Errorf("there is no %s", word)
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
}

// detectLines looks through text line by line, in bounded memory, and returns the first findings and how many there are.
func detectLines(in io.Reader, kinds []detect.Kind) (found []detectedJSON, count int, err error) {
	r := bufio.NewReaderSize(in, maxDetectLine)
	for line, column := 1, 1; ; {
		piece, err := r.ReadSlice('\n')
		text := string(piece)
		for _, f := range detect.Find(text) {
			if len(kinds) > 0 && !slices.Contains(kinds, f.Kind) {
				continue
			}
			if count++; len(found) < maxDetected {
				found = append(found, detectedJSON{line, column + f.Start, f.Kind, detect.Shape(strings.TrimRight(text[f.Start:f.End], "\r\n"))})
			}
		}
		switch {
		case err == nil:
			line, column = line+1, 1
		case errors.Is(err, bufio.ErrBufferFull):
			column += len(piece)
		case errors.Is(err, io.EOF):
			return found, count, nil
		default:
			return nil, 0, err
		}
	}
}

// tenantOfScans is --tenant of the commands on scans.
const tenantOfScans = "`slug` of the tenant whose texts are looked at"

type dlpScanJSON struct {
	ID        string        `json:"id"`
	State     dlp.ScanState `json:"state"`
	Reason    string        `json:"reason,omitempty"`
	Days      int           `json:"days"`
	AskedBy   string        `json:"askedBy"`
	CreatedAt time.Time     `json:"createdAt"`
	EndedAt   *time.Time    `json:"endedAt,omitempty"`
	Done      int           `json:"done"`
	Total     int           `json:"total"`
	Texts     int64         `json:"texts"`
	Found     int64         `json:"found"`
	Cut       []string      `json:"cut"`
	Unseen    []dlp.Unseen  `json:"unseen"`
	Failure   string        `json:"failure,omitempty"`
}

func toDLPScanJSON(s *dlp.Scan) dlpScanJSON {
	return dlpScanJSON{s.ID.String(), s.State, s.Reason, s.Days, s.AskedBy, s.CreatedAt, s.EndedAt, s.Done, s.Total, s.Texts, s.Found, append([]string{}, s.Cut...), append([]dlp.Unseen{}, s.Unseen...), s.Failure}
}

// runDLPScan asks for a scan of a tenant, which its servers make.
func runDLPScan(ctx context.Context, env *environment, args []string) error {
	const command = "dlp scan"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfScans)
	days := fs.Int("days", dlp.DefaultDays, "how many `days` of the audit log are looked at: 1 to 366")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := c.dlp.Start(ctx, sc, dlp.StartRequest{Days: *days, Reason: *reason})
		if err != nil {
			return err
		}
		return said(env, asJSON, toDLPScanJSON(&s), "scan %s is asked for: biocore dlp scans --tenant %s tells how far it is\n", s.ID, *slug)
	})
}

// runDLPScans lists a tenant's scans.
func runDLPScans(ctx context.Context, env *environment, args []string) error {
	const command = "dlp scans"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfScans)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		scans, err := c.dlp.Scans(ctx, sc)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]dlpScanJSON, len(scans))
			for i := range scans {
				out[i] = toDLPScanJSON(&scans[i])
			}
			return printJSON(env.out, map[string]any{"scans": out})
		}
		rows := [][]string{{"ID", "STATE", "PLACES", "TEXTS", "FOUND", "ASKED", "ENDED", "NOTE"}}
		for i := range scans {
			s := &scans[i]
			note := s.Failure
			if len(s.Cut) > 0 {
				note = "not all of " + strings.Join(s.Cut, ", ")
			}
			for _, u := range s.Unseen {
				note = strings.TrimPrefix(note+fmt.Sprintf(", not %d of %s (%s)", u.Count, u.Place, strings.ToLower(u.Reason)), ", ")
			}
			rows = append(rows, []string{
				s.ID.String(), string(s.State), fmt.Sprintf("%d of %d", s.Done, s.Total), strconv.FormatInt(s.Texts, 10), strconv.FormatInt(s.Found, 10), moment(&s.CreatedAt), moment(s.EndedAt), note,
			})
		}
		return table(env.out, rows)
	})
}

type dlpFindingJSON struct {
	ID        string     `json:"id"`
	Source    string     `json:"source"`
	Place     string     `json:"place"`
	Item      string     `json:"item"`
	Kind      string     `json:"kind"`
	Count     int        `json:"count"`
	Shape     string     `json:"shape,omitempty"`
	State     dlp.State  `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	DecidedBy string     `json:"decidedBy,omitempty"`
	DecidedAt *time.Time `json:"decidedAt,omitempty"`
	FirstAt   time.Time  `json:"firstAt"`
	LastAt    time.Time  `json:"lastAt"`
}

func toDLPFindingJSON(f *dlp.Finding) dlpFindingJSON {
	return dlpFindingJSON{f.ID.String(), f.Source, f.Place, f.Item, f.Kind, f.Count, f.Shape, f.State, f.Reason, f.DecidedBy, f.DecidedAt, f.FirstAt, f.LastAt}
}

// runDLPFindings lists what was found.
func runDLPFindings(ctx context.Context, env *environment, args []string) error {
	const command = "dlp findings"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfScans)
	filter := fs.String("filter", "state = OPEN", "only findings that `match`, by state, kind, source, place")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		out := []dlpFindingJSON{}
		rows := [][]string{{"ID", "PLACE", "ITEM", "KIND", "COUNT", "SHAPE", "STATE", "SEEN", "SOURCE"}}
		for token := ""; ; {
			page, err := c.dlp.Findings(ctx, sc, listing.Request{Filter: *filter, PageToken: token, PageSize: listing.MaxPageSize})
			if err != nil {
				return err
			}
			for i := range page.Items {
				f := &page.Items[i]
				out = append(out, toDLPFindingJSON(f))
				rows = append(rows, []string{f.ID.String(), f.Place, f.Item, f.Kind, strconv.Itoa(f.Count), f.Shape, string(f.State), moment(&f.LastAt), f.Source})
			}
			if token = page.NextToken; token == "" {
				break
			}
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"findings": out})
		}
		return table(env.out, rows)
	})
}

// runDLPDecide dismisses, resolves or opens a finding again.
func runDLPDecide(ctx context.Context, env *environment, args []string) error {
	const command = "dlp decide"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfScans)
	state := fs.String("state", "", "what has become of it: dismissed, resolved or open, a `state`")
	reason := reasonFlag(fs, "`text` that is kept with the finding and in the audit log; required to dismiss")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, ok := dlp.ParseID(fs.Arg(0))
	if !ok {
		return dlp.ErrFinding
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		f, err := c.dlp.Decide(ctx, sc, dlp.DecideRequest{ID: id, State: dlp.State(strings.ToUpper(*state)), Reason: *reason})
		if err != nil {
			return err
		}
		return said(env, asJSON, toDLPFindingJSON(&f), "%s at %s is %s\n", f.Kind, f.Place, strings.ToLower(string(f.State)))
	})
}

// runDLPImport takes in findings of another classifier.
func runDLPImport(ctx context.Context, env *environment, args []string) error {
	const command = "dlp import"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant that they are of")
	format := fs.String("format", "neutral", "neutral, macie or purview: what the file is written as, a `format`")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	in := env.in
	if path := fs.Arg(0); path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, dlp.MaxImportBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", fs.Arg(0), err)
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		done, err := c.dlp.Import(ctx, sc, dlp.Format(strings.ToUpper(*format)), body, *reason)
		if err != nil {
			return err
		}
		return said(env, asJSON, map[string]int{"new": done.New, "known": done.Known, "passed": done.Passed}, "%d findings are new, %d were known; %d records tell of no sensitive data\n", done.New, done.Known, done.Passed)
	})
}
