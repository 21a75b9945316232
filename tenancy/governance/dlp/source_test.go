package dlp_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What a source opens is found once for an item, however many texts it has; what a place holds by design is no finding; a scan says
// what it has not seen, goes on in a source where it was broken off, and resolves nothing that it could not look at.
func TestSources(t *testing.T) {
	w := newWorks(t)
	pages := map[string][]string{"": {"pay with 4111111111111111", "or 4111 1111 1111 1111", "ana@example.com"}, "2": {"DE89370400440532013000"}}
	var unseen []dlp.Unseen
	var asked []string
	w.Service = dlp.New(dlp.Options{Store: w.store.Store, Keys: w.keys, Trail: trail.NewReader(w.store.Store, w.keys), Sources: []dlp.Source{{
		Name: "export",
		Read: func(_ context.Context, sc scope.Scope, after []string, look func(place, item, body string)) (dlp.Opened, error) {
			at := strings.Join(after, "")
			asked = append(asked, at)
			if sc.Tenant() != w.acme.Tenant() {
				return dlp.Opened{}, nil
			}
			for _, body := range pages[at] {
				look("export/users.jsonl", "archive-1", body)
			}
			out := dlp.Opened{Rows: len(pages[at]), Unseen: unseen}
			if at == "" {
				out.After = []string{"2"}
			}
			return out, nil
		},
	}}})
	broken := errors.New("killed")
	w.OnStep(func(place string) error {
		if place == "export" && len(asked) == 1 {
			return broken
		}
		return nil
	})
	s, err := w.Start(t.Context(), w.acme, dlp.StartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Maintain(t.Context(), w.acme); err != nil {
			t.Fatal(err)
		}
		w.exec(t, "UPDATE dlp_scans SET due_at = now() WHERE state = 'RUNNING'")
	}
	if !slices.Equal(asked, []string{"", "2"}) {
		t.Errorf("asked for %q: each page once", asked)
	}
	want := []string{"export/users.jsonl CARD 2 9999999999999999 OPEN", "export/users.jsonl IBAN 1 XX99999999999999999999 OPEN"}
	if lines, _ := w.list(t, w.acme, ""); !slices.Equal(lines, want) {
		t.Errorf("found %q", lines)
	}
	if s, err = w.GetScan(t.Context(), w.acme, s.ID); err != nil || s.State != dlp.Done || len(s.Unseen) > 0 {
		t.Errorf("scan = %+v, %v", s, err)
	}

	// It does not open any more: that is said, and what was found in it stays.
	pages, unseen = nil, []dlp.Unseen{{Place: "export", Reason: dlp.UnseenGone, Count: 1}}
	w.exec(t, `INSERT INTO audit_archives (tenant_id, from_seq, to_seq, first_at, last_at, objects, versions, bytes, sha256, archived_at, problem)
		VALUES ($1, 0, 5, now(), now(), ARRAY[gen_random_uuid()], ARRAY['4111111111111111'], 1, sha256('x'), now(), 'not locked')`, w.acme.Tenant())
	again := w.scan(t, w.acme)
	if !slices.Equal(again.Unseen, []dlp.Unseen{{Place: "audit_archives", Reason: dlp.UnseenArchived, Count: 1}, {Place: "export", Reason: dlp.UnseenGone, Count: 2}}) {
		t.Errorf("unseen = %+v", again.Unseen)
	}
	if lines, _ := w.list(t, w.acme, "state = OPEN"); !slices.Equal(lines, want) {
		t.Errorf("after a look that failed: %q", lines)
	}
	unseen = nil // it is gone, as its time is over
	w.scan(t, w.acme)
	if lines, _ := w.list(t, w.acme, "state = OPEN"); len(lines) > 0 {
		t.Errorf("of an archive that is gone: %q", lines)
	}
	if lines, _ := w.list(t, w.globex, ""); len(lines) > 0 {
		t.Errorf("globex has %q", lines)
	}
}
