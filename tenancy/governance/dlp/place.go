package dlp

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/governance"
	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// auditPlace is the audit log, as a place.
const auditPlace = "audit"

// unscanned are tables whose texts are not looked at, and why. Every other table of tenants' is, also one that a later
// migration adds.
var unscanned = map[string]string{
	"audit_inbox": "entries are looked at as the log reads them", "audit_entries": "as audit_inbox", "audit_logs": "hashes and signatures", "audit_checkpoints": "as audit_logs",
	"sessions": "ids and numbers, by the million", "ceremonies": "as sessions", "stats_counts": "numbers", "stats_faults": "numbers", "stats_gauges": "numbers",
	"dlp_scans": "what scans say themselves", "dlp_findings": "shapes look like what they are of",
}

// unscannedColumns are columns whose texts are not looked at in tables whose other texts are, and why.
var unscannedColumns = map[string]string{
	"audit_archives.versions": "ids that an object store gives, which are long numbers at some",
}

// expected are what stands in a column by design.
var expected = map[string]detect.Kind{
	"erasures.certificate":              detect.Token, // a signed statement
	"deletion_certificates.certificate": detect.Token,
}

// text is one text of a place.
type text struct{ place, item, body string }

// page is a piece of a place: its texts, and where the next one begins.
type page struct {
	texts  []text
	seen   []sighting // of a source, which has looked itself
	rows   int
	after  []string
	last   bool
	unseen []Unseen
}

// place is something that a scan looks at.
type place struct {
	name string
	read func(ctx context.Context, sc scope.Scope, after []string) (page, error)
}

// places are all of them, in the order in which every scan looks at them: tables by name, sources, and the audit log.
func (s *Service) places(ctx context.Context, sc scope.Scope, days int) ([]place, error) {
	fields, err := governance.Fields()
	if err != nil {
		return nil, err
	}
	public := map[string]bool{} // anybody may know what is in it
	for i := range fields {
		if fields[i].Class == governance.Public {
			public[fields[i].Path()] = true
		}
	}
	var tables []db.TextTable
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		tables, err = tx.TextTables(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	var list []place
	for _, t := range tables {
		if unscanned[t.Name] == "" {
			list = append(list, place{t.Name, func(ctx context.Context, sc scope.Scope, after []string) (page, error) {
				return s.readTable(ctx, sc, t, public, after)
			}})
		}
	}
	for i := range s.sources {
		list = append(list, s.sources[i].of())
	}
	since := s.store.Now().Add(-time.Duration(days) * 24 * time.Hour)
	return append(list, place{auditPlace, func(ctx context.Context, sc scope.Scope, after []string) (page, error) {
		return s.readLog(ctx, sc, since, after)
	}}), nil
}

func (s *Service) readTable(ctx context.Context, sc scope.Scope, t db.TextTable, public map[string]bool, after []string) (page, error) {
	var rows []db.TextRow
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		rows, err = tx.ReadText(ctx, t, after, pageRows)
		return err
	}); err != nil {
		return page{}, err
	}
	p := page{rows: len(rows), last: len(rows) < pageRows}
	for _, r := range rows {
		item := strings.Join(r.Key, "/")
		for i, body := range r.Texts {
			if path := t.Name + "." + t.Columns[i]; body != "" && !public[path] && unscannedColumns[path] == "" {
				p.texts = append(p.texts, text{path, item, body})
			}
		}
		p.after = r.Key
	}
	return p, nil
}

// readLog reads entries of the audit log, as its readers see them. A place in it is the number of an entry.
func (s *Service) readLog(ctx context.Context, sc scope.Scope, since time.Time, after []string) (page, error) {
	var from int64
	if len(after) == 1 {
		n, err := strconv.ParseInt(after[0], 10, 64)
		if err != nil {
			return page{}, fmt.Errorf("the scan's place in the log: %w", err)
		}
		from = n + 1
	} else if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		from, err = trail.FirstSinceIn(ctx, tx, since)
		return err
	}); err != nil {
		return page{}, err
	}
	list, err := s.trail.Sequenced(ctx, sc, from, pageRows)
	if err != nil {
		return page{}, err
	}
	p := page{rows: len(list), last: len(list) < pageRows}
	for i := range list {
		e := &list[i]
		id := e.ID.String()
		for _, one := range []text{
			{"audit.actor.name", id, e.Actor.Name},
			{"audit.onBehalfOf.name", id, e.OnBehalfOf.Name},
			{"audit.userAgent", id, e.UserAgent},
			{"audit.reason", id, e.Reason},
			{"audit.before", id, string(e.Before)},
			{"audit.after", id, string(e.After)},
			{"audit.detail", id, string(e.Detail)},
		} {
			if one.body != "" {
				p.texts = append(p.texts, one)
			}
		}
		p.after = []string{strconv.FormatInt(e.Seq, 10)}
	}
	return p, nil
}

// sighting is what one text holds of a kind.
type sighting struct {
	text
	kind  detect.Kind
	count int
	shape string
}

// sight looks through a text. JSON is looked at string by string, as it reads.
func sight(t text) []sighting {
	var out []sighting
	for _, body := range stringsOf(t.body) {
		for _, f := range detect.Find(body) {
			if isKept(t.place, f.Kind) {
				continue
			}
			at := -1
			for i := range out {
				if out[i].kind == f.Kind {
					at = i
				}
			}
			if at < 0 {
				out, at = append(out, sighting{text: t, kind: f.Kind, shape: detect.Shape(body[f.Start:f.End])}), len(out)
			}
			out[at].count++
		}
	}
	return out
}

// stringsOf is the text itself, or all strings of it where it is JSON.
func stringsOf(body string) []string {
	if body == "" || body[0] != '{' && body[0] != '[' {
		return []string{body}
	}
	d := json.NewDecoder(strings.NewReader(body))
	var out []string
	for {
		token, err := d.Token()
		if err != nil {
			if d.More() || len(out) == 0 { // no JSON, or cut
				return append(out, body)
			}
			return out
		}
		if s, ok := token.(string); ok {
			out = append(out, stringsOf(s)...)
		}
	}
}
