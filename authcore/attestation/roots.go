package attestation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service beside those of ParseRoot. Each Reason is part of the public API.
var (
	ErrRootNotFound = fault.New(fault.NotFound, "ATTESTATION_ROOT_UNKNOWN", "no such attestation root")
	ErrRootExists   = fault.New(fault.Conflict, "ATTESTATION_ROOT_EXISTS", "this certificate is a root already")
	ErrReason       = fault.New(fault.Invalid, "REASON_REQUIRED", "say why: a reason of 1 to 256 characters")
	ErrTooManyRoots = fault.New(fault.Precondition, "TOO_MANY_ATTESTATION_ROOTS", "there are 32 attestation roots, which is the limit: remove one first")
)

// maxRoots bounds a tenant's roots: a registration whose certificates name the subject of
// each, where all have the same, verifies a signature by each, and crypto/x509 gives up
// after 100. Evidence keeps those that were tried.
const maxRoots = 32

// Bounds of what one server remembers: of most tenants that there are none. A root takes
// about 6 KB.
const (
	maxCached = 4096
	cacheLife = 10 * time.Minute
)

// Service keeps the roots of tenants. It is safe for concurrent use.
type Service struct {
	store *db.Store
	cache *db.Cache[[]Root]
}

// New returns a Service.
func New(store *db.Store) *Service {
	return &Service{store: store, cache: db.NewCache[[]Root](store, db.NounAttestationRoot, maxCached, cacheLife)}
}

// Current returns the tenant's roots as Judge takes them, at most a second old. The list
// is shared: read only.
func (s *Service) Current(ctx context.Context, sc scope.Scope) ([]Root, error) {
	if sc.IsSupport() { // as tenant.Current
		return s.List(ctx, sc)
	}
	return s.cache.Get(ctx, sc.Tenant(), "", func(ctx context.Context) ([]Root, error) { return s.List(ctx, sc) })
}

// List returns all of the tenant's roots, the newest first: at most 32.
func (s *Service) List(ctx context.Context, sc scope.Scope) ([]Root, error) {
	var roots []Root
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListAttestationRoots(ctx)
		if err != nil {
			return fmt.Errorf("list attestation roots: %w", err)
		}
		roots = make([]Root, len(rows))
		for i, row := range rows {
			roots[i] = fromRow(row)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return roots, nil
}

// Get returns one root. Another tenant's is ErrRootNotFound.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Root, error) {
	var root Root
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetAttestationRoot(ctx, id)
		if db.IsNoRows(err) {
			return ErrRootNotFound
		} else if err != nil {
			return fmt.Errorf("get attestation root: %w", err)
		}
		root = fromRow(row)
		return nil
	})
	return root, err
}

// AddRequest is a certificate to trust from now on.
type AddRequest struct {
	Name        string
	Certificate []byte      // see ParseRoot
	AAGUIDs     []uuid.UUID // that it may attest, see ParseAAGUIDs; empty: any
	Reason      string      // why, for the audit log: up to 256 characters; may be empty
}

// Add makes a certificate one of the tenant's roots and returns it. Every server goes by
// it within a second. Credentials that were registered before keep their verdicts.
// ErrRootName; what ParseRoot returns; ErrReason, ErrRootExists, ErrTooManyRoots.
func (s *Service) Add(ctx context.Context, sc scope.Scope, req AddRequest) (Root, error) {
	name, err := tenant.CleanName("name", req.Name, maxRootName)
	if err != nil {
		return Root{}, ErrRootName.WithCause(err)
	}
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return Root{}, ErrReason
	}
	cert, err := ParseRoot(req.Certificate, s.store.Now())
	if err != nil {
		return Root{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Root{}, fmt.Errorf("mint attestation root: %w", err)
	}
	sum, actor := sha256.Sum256(cert.Raw), sc.Actor()
	row := tenantq.InsertAttestationRootParams{
		ID: id, Name: name, Certificate: cert.Raw, Fingerprint: sum[:], Aaguids: slices.Clone(req.AAGUIDs),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, CreatedBy: actor.String(),
	}
	if row.Aaguids == nil {
		row.Aaguids = []uuid.UUID{}
	}
	var added Root
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two at once could each count the other out, and together exceed the limit.
		if err := tx.LockAttestationRoots(ctx); err != nil {
			return fmt.Errorf("lock attestation roots: %w", err)
		}
		n, err := tx.CountAttestationRoots(ctx)
		if err != nil {
			return fmt.Errorf("count attestation roots: %w", err)
		}
		row.CreatedAt = tx.Now()
		inserted, err := tx.InsertAttestationRoot(ctx, row)
		switch {
		case db.IsNoRows(err):
			return ErrRootExists
		case err != nil:
			return fmt.Errorf("insert attestation root: %w", err)
		case n >= maxRoots: // asked last: that it is there already says more
			return ErrTooManyRoots
		}
		added = fromRow(inserted)
		tx.Result(added)
		return record(ctx, tx, "attestationroot.create", event.AttestationRootCreated, &added, req.Reason)
	})
	if err != nil {
		return Root{}, err
	}
	s.cache.Forget(sc.Tenant(), "") // this server sees its own change at once, the others within a second
	return added, nil
}

// Remove makes a certificate a root no more, and returns what it was. What was registered
// by it keeps its verdict, and its evidence verifies as before. Another tenant's, or one
// that is removed already, is ErrRootNotFound. The reason is for the audit log: up to 256
// characters, or empty; ErrReason.
func (s *Service) Remove(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (Root, error) {
	if reason != "" && !audit.IsReason(reason) {
		return Root{}, ErrReason
	}
	var removed Root
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.DeleteAttestationRoot(ctx, id)
		if db.IsNoRows(err) {
			return ErrRootNotFound
		} else if err != nil {
			return fmt.Errorf("delete attestation root: %w", err)
		}
		removed = fromRow(row)
		tx.Result(removed)
		return record(ctx, tx, "attestationroot.delete", event.AttestationRootDeleted, &removed, reason)
	})
	if err != nil {
		return Root{}, err
	}
	s.cache.Forget(sc.Tenant(), "")
	return removed, nil
}

// record leaves what a change leaves: a notice to every server, an audit entry, an event.
func record(ctx context.Context, tx *db.TenantTx, action string, typ event.Type, root *Root, reason string) error {
	if err := tx.Changed(ctx, db.NounAttestationRoot, ""); err != nil {
		return err
	}
	models := make([]string, len(root.AAGUIDs))
	for i, id := range root.AAGUIDs {
		models[i] = id.String()
	}
	detail := []attr.Attr{
		attr.Text("name", root.Name), attr.Text("fingerprint", hex.EncodeToString(root.Fingerprint[:])), attr.Texts("aaguids", models),
	}
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: action, Target: audit.Target{Kind: "attestationroot", ID: root.ID.String()}, Detail: detail, Reason: reason,
	}); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: typ, Data: append([]attr.Attr{attr.UUID("attestationRootId", root.ID)}, detail...)})
}

func fromRow(row tenantq.AttestationRoot) Root {
	root := Root{
		ID: row.ID, Name: row.Name, AAGUIDs: row.Aaguids, Fingerprint: sha256.Sum256(row.Certificate),
		NotBefore: row.NotBefore, NotAfter: row.NotAfter, CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt,
	}
	// Go becomes stricter now and then. One root that it reads no more must not stand in
	// the way of all registrations: it is nil then, and vouches for nothing.
	if cert, err := x509.ParseCertificate(row.Certificate); err == nil {
		root.Certificate = cert
	}
	return root
}
