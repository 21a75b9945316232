package archive

import (
	"archive/zip"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Why tables have nothing of one person's archive, where one reason is that of several.
const (
	ofConsole = "of people who work in the console: they are users of the reserved tenant"
	isTenants = "of the tenant itself"
)

// notOfPerson says why a table that has personal fields, or names users, is not in the archive of a person. A test holds
// it and table.person to the data map.
var notOfPerson = map[string]string{
	"data_keys":         isTenants,
	"signing_keys":      isTenants,
	"api_keys":          isTenants,
	"audit_logs":        isTenants,
	"siem_sinks":        isTenants,
	"risk_providers":    isTenants,
	"audit_anchor_log":  "of the installation itself",
	"user_terms":        isIndex,
	"subject_keys":      opensMore,
	"invitations":       ofConsole,
	"console_sessions":  ofConsole,
	"support_grants":    ofConsole,
	"exports":           ofConsole,
	"reports":           ofConsole,
	"idempotency_keys":  "answers kept for a day against repeats, which nobody finds by a user",
	"recovery_attempts": "hashes of names that recovery was tried for in vain, kept for a day",
	"import_marks":      "hashes that a check of a file keeps while it lasts",
	"erasures":          "whoever is still a user was not erased",
}

// otherPlaces says of the places outside of the database that hold something of persons where it is in a person's archive, or why not.
var otherPlaces = map[string]string{
	"redis/registration":   "kept for the minutes that a registration takes",
	"redis/limit":          "counters of addresses, kept for an hour at most",
	"redis/refused":        "counters of addresses that were refused, kept for a day",
	"redis/risk-profile":   "the fresher copy of risk_profiles, which is here",
	"object/evidence":      "in evidence.jsonl",
	"object/export":        "archives of the whole tenant, kept for seven days: what they have of a user is here as it is now",
	"object/audit-archive": "in audit_archived.jsonl, for what is no longer in the database",
	"object/report":        ofConsole,
	"audit/private":        "in audit.jsonl and audit_waiting.jsonl, for what tells of this user",
	"audit/words":          "in audit.jsonl and audit_waiting.jsonl",
	"stream/delivered":     "copies of what is in audit.jsonl, in systems of the tenant",
	"log/process":          "the operator's log of the server, which has no names and is not searched by person",
}

// leftOutOfPerson is what the manifest of a person's archive says of what is missing, by table and column.
func leftOutOfPerson() []LeftOut {
	all := []LeftOut{{Table: "audit_entries", Column: "private", Reason: "what tells of others who had to do with an entry is null"}}
	for name, reason := range notOfPerson {
		all = append(all, LeftOut{Table: name, Reason: reason})
	}
	for name, reason := range otherPlaces {
		all = append(all, LeftOut{Table: name, Reason: reason})
	}
	for i := range tables {
		if tables[i].person == "" {
			continue
		}
		for name, reason := range tables[i].left {
			all = append(all, LeftOut{Table: tables[i].name, Column: name, Reason: reason})
		}
	}
	slices.SortFunc(all, func(a, b LeftOut) int { return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Column, b.Column)) })
	return all
}

// longestOfPerson bounds the archive of a person, and with it the snapshot, which a slow reader holds open: some hundred
// megabytes a minute are written.
const longestOfPerson = 5 * time.Minute

// PersonRequest names the user whose data is wanted.
type PersonRequest struct {
	User   user.ID
	Reason string // 1 to 256 characters
}

// Person is the archive of one user, about to be written.
type Person struct {
	ID   uuid.UUID // of the export, as in its audit entry and in its manifest
	Name string    // a file's name, of letters, digits, '-' and '.'

	write func(context.Context, io.Writer) error
}

// WriteTo writes the archive as it is at this moment: a zip of the form of an export's. Nothing of it is kept. An error after the
// first byte leaves half of it; user.ErrNotFound comes before.
func (p *Person) WriteTo(ctx context.Context, w io.Writer) error { return p.write(ctx, w) }

// OfPerson makes ready an archive of all that sc's tenant has of one user (GDPR Art. 15 and 20), whatever the tenant's state, and records that
// it was asked for. Nothing of other users is in it. user.ErrNotFound, also for another tenant's; ErrReason; ErrTenant for support and
// for the platform's own people.
func (s *Service) OfPerson(ctx context.Context, sc scope.Scope, req PersonRequest) (*Person, error) {
	switch {
	case !audit.IsReason(req.Reason):
		return nil, ErrReason
	case sc.IsSupport() || sc.Tenant() == scope.PlatformTenant:
		return nil, ErrTenant
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("mint export id: %w", err)
	}
	if err := s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		if err := isThere(ctx, tx, req.User); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{
			Action: "user.export", Target: audit.Target{Kind: "user", ID: req.User.String()}, Reason: req.Reason, Detail: []attr.Attr{attr.UUID("exportId", id)},
		})
	}); err != nil {
		return nil, err
	}
	return &Person{
		ID: id, Name: "biocore-user-" + req.User.String() + ".zip",
		write: func(ctx context.Context, out io.Writer) error { return s.writePerson(ctx, sc, id, req.User, out) },
	}, nil
}

func isThere(ctx context.Context, tx *db.TenantTx, id user.ID) error {
	if _, err := tx.GetUser(ctx, id.UUID()); db.IsNoRows(err) {
		return user.ErrNotFound
	} else if err != nil {
		return fmt.Errorf("get user: %w", err)
	}
	return nil
}

func (s *Service) writePerson(ctx context.Context, sc scope.Scope, id uuid.UUID, person user.ID, out io.Writer) error {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, longestOfPerson)
	defer cancel()
	w := &writing{service: s, scope: sc, ring: ring, at: s.store.Now(), person: person.UUID(), zip: zip.NewWriter(out), keep: context.Cause}
	if err := s.store.Snapshot(ctx, sc, func(tx *db.TenantTx) error {
		if err := isThere(ctx, tx, person); err != nil { // erased a moment ago
			return err
		}
		return w.everything(ctx, tx, Manifest{Format: FormatOfUser, ExportID: id, UserID: &w.person})
	}); err != nil {
		return err
	}
	if err := w.zip.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}
