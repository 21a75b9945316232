package report

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// documentOf reads a row. What was taken once is read by every release: a measurement that is gone would be an error
// of ours.
func documentOf(row *tenantq.ReportCatalogue) (Document, error) {
	c, err := ParseCatalogue([]byte(row.Document))
	if err != nil {
		return Document{}, fmt.Errorf("catalogue %s: %w", row.Name, err)
	}
	return Document{Catalogue: c, Text: row.Document, ETag: etag.Of("report_catalogue", []byte(row.Name), row.Version), UpdatedBy: row.UpdatedBy}, nil
}

// documentIn returns a catalogue of the release, the tenant or the installation. A tenant's own goes before the installation's: what it was
// first, its reports stay. ErrCatalogue.
func (s *Service) documentIn(ctx context.Context, tx *db.TenantTx, name string) (*Document, error) {
	doc, err := builtInOf(name)
	if err != nil || doc != nil {
		return doc, err
	}
	row, err := tx.GetReportCatalogue(ctx, name)
	if shared := s.sharedOf(name); db.IsNoRows(err) && shared != nil {
		return shared, nil
	} else if db.IsNoRows(err) {
		return nil, ErrCatalogue
	} else if err != nil {
		return nil, fmt.Errorf("get catalogue: %w", err)
	}
	own, err := documentOf(&row)
	return &own, err
}

// sharedOf returns a catalogue of the installation; nil: there is none of that name.
func (s *Service) sharedOf(name string) *Document {
	for i := range s.shared {
		if s.shared[i].Name == name {
			return &s.shared[i]
		}
	}
	return nil
}

// Catalogues returns those of the release and of the installation, and the tenant's own, by name.
func (s *Service) Catalogues(ctx context.Context, sc scope.Scope) ([]Document, error) {
	if err := own(sc); err != nil {
		return nil, err
	}
	builtIn, err := builtIns()
	if err != nil {
		return nil, err
	}
	var out []Document
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListReportCatalogues(ctx)
		if err != nil {
			return fmt.Errorf("list catalogues: %w", err)
		}
		out = slices.Clone(builtIn)
		for i := range rows {
			doc, err := documentOf(&rows[i])
			if err != nil {
				return err
			}
			out = append(out, doc)
		}
		for _, doc := range s.shared {
			if !slices.ContainsFunc(out, func(d Document) bool { return d.Name == doc.Name }) {
				out = append(out, doc)
			}
		}
		slices.SortFunc(out, func(a, b Document) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
	return out, err
}

// GetCatalogue returns one. ErrCatalogue.
func (s *Service) GetCatalogue(ctx context.Context, sc scope.Scope, name string) (*Document, error) {
	if err := own(sc); err != nil {
		return nil, err
	}
	var doc *Document
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		doc, err = s.documentIn(ctx, tx, name)
		return err
	})
	return doc, err
}

// PutCatalogueRequest adds a catalogue, or changes one.
type PutCatalogueRequest struct {
	Name    string // as the file has it
	Text    string // the file
	IfMatch string // the etag of what is replaced; empty: whatever there is
	New     bool   // nothing is to be replaced
	Reason  string // for the audit log; may be empty
}

// PutCatalogue adds a catalogue of the tenant's own, or replaces it: reports that are made keep what they were made
// by. ErrCatalogueInvalid, which says what is wrong in which line; ErrBuiltIn, ErrShared, ErrCatalogueTaken, ErrTooManyOwn, ErrReason, etag.ErrMismatch.
func (s *Service) PutCatalogue(ctx context.Context, sc scope.Scope, req PutCatalogueRequest) (Document, error) {
	if err := own(sc); err != nil {
		return Document{}, err
	}
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return Document{}, ErrReason
	}
	c, err := ParseCatalogue([]byte(req.Text))
	if err != nil {
		return Document{}, err
	}
	if c.Name != req.Name {
		return Document{}, ErrCatalogueInvalid.WithMessage("the catalogue cannot be read: name: the file says " + c.Name + ", and it is to be stored as another")
	}
	if builtIn, err := builtInOf(c.Name); err != nil {
		return Document{}, err
	} else if builtIn != nil {
		return Document{}, ErrBuiltIn
	}
	var out Document
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockReports(ctx); err != nil {
			return fmt.Errorf("lock reports: %w", err)
		}
		rows, err := tx.ListReportCatalogues(ctx)
		if err != nil {
			return fmt.Errorf("list catalogues: %w", err)
		}
		var before []attr.Attr
		current := ""
		for i := range rows {
			if rows[i].Name == c.Name {
				before = []attr.Attr{attr.Text("sha256", hexOf([]byte(rows[i].Document)))}
				current = etag.Of("report_catalogue", []byte(c.Name), rows[i].Version)
			}
		}
		if current == "" && s.sharedOf(c.Name) != nil {
			return ErrShared
		}
		if current != "" && req.New {
			return ErrCatalogueTaken
		}
		if current == "" && len(rows) >= maxOwn {
			return ErrTooManyOwn
		}
		if err := etag.Match(req.IfMatch, current); err != nil {
			return err
		}
		row, err := tx.PutReportCatalogue(ctx, tenantq.PutReportCatalogueParams{Name: c.Name, Document: req.Text, By: tx.Scope().Actor().String(), Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("put catalogue: %w", err)
		}
		if out, err = documentOf(&row); err != nil {
			return err
		}
		tx.Result(out)
		return recordOf(ctx, tx, "reportcatalogue.update", req.Reason, event.ReportCatalogueUpdated, "report_catalogue", c.Name, before, []attr.Attr{
			attr.Text("sha256", hexOf([]byte(req.Text))), attr.Int("controls", int64(len(c.Controls))),
		})
	})
	return out, err
}

// DeleteCatalogue removes one of the tenant's own. Reports that are made stay; those that wait for their job fail. ErrCatalogue,
// ErrBuiltIn, ErrShared, ErrScheduled, ErrReason, etag.ErrMismatch.
func (s *Service) DeleteCatalogue(ctx context.Context, sc scope.Scope, name, ifMatch, reason string) error {
	if err := own(sc); err != nil {
		return err
	}
	if reason != "" && !audit.IsReason(reason) {
		return ErrReason
	}
	if builtIn, err := builtInOf(name); err != nil {
		return err
	} else if builtIn != nil {
		return ErrBuiltIn
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockReports(ctx); err != nil {
			return fmt.Errorf("lock reports: %w", err)
		}
		row, err := tx.GetReportCatalogue(ctx, name)
		if db.IsNoRows(err) && s.sharedOf(name) != nil {
			return ErrShared
		} else if db.IsNoRows(err) {
			return ErrCatalogue
		} else if err != nil {
			return fmt.Errorf("get catalogue: %w", err)
		}
		if err := etag.Match(ifMatch, etag.Of("report_catalogue", []byte(name), row.Version)); err != nil {
			return err
		}
		if _, err := tx.GetReportSchedule(ctx, name); err == nil {
			return ErrScheduled
		} else if !db.IsNoRows(err) {
			return fmt.Errorf("get report schedule: %w", err)
		}
		if _, err := tx.DeleteReportCatalogue(ctx, name); err != nil {
			return fmt.Errorf("delete catalogue: %w", err)
		}
		tx.Result(struct{}{})
		return recordOf(ctx, tx, "reportcatalogue.delete", reason, event.ReportCatalogueDeleted, "report_catalogue", name, []attr.Attr{attr.Text("sha256", hexOf([]byte(row.Document)))}, nil)
	})
}
