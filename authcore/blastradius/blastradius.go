// Package blastradius answers what a tenant asks when a model of authenticators turns
// out to be broken: which credentials are of it, whose they are, who could not sign in
// without them; and does something about it, in stages.
//
// A model is an AAGUID. A credential is of the model that it claims, also where no
// attestation proves the claim: an authenticator that lies about itself harms its own
// user alone, and a broken one that was enrolled without attestation is broken all the
// same. How many are proven is told apart. Authenticators of the FIDO U2F kind have the
// zero AAGUID, so they are not found here.
//
// An order says what is to become of a model's credentials: FLAG, STEP_UP, SUSPEND, or
// NONE again. It is written in one transaction with the job that carries it out, batch
// by batch. Administrators give orders; so does Reconcile, by the tenant's policy, when
// the FIDO Metadata Service reports a model. Reconcile only ever makes things harder:
// what an administrator has lifted stays so until the reports change, and what was
// resumed by hand is not suspended again.
package blastradius

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrModel         = fault.New(fault.Invalid, "AAGUID_INVALID", "an AAGUID is a UUID other than the zero one, which is no model's")
	ErrOrderNotFound = fault.New(fault.NotFound, "DISPOSITION_UNKNOWN", "no such disposition")
	ErrDisposition   = fault.New(fault.Invalid, "DISPOSITION_INVALID", "a disposition is one of NONE, FLAG, STEP_UP, SUSPEND")
)

// Report is what the FIDO Metadata Service holds against a model.
type Report struct {
	AAGUID   uuid.UUID
	Name     string
	Statuses []string // as the service spells them, for example USER_KEY_REMOTE_COMPROMISE
}

// Options configures a Service.
type Options struct {
	Store   *db.Store       // required
	Keys    *keys.Service   // required: page tokens are sealed
	Tenants *tenant.Service // required: their policies
	Queue   *jobs.Queue     // required: orders are carried out by jobs

	// Reports returns the number of the metadata in use, 0 without any, and the models
	// that are reported in it as revoked or compromised. Required.
	Reports func() (number int, reports []Report)
}

// Service measures and disposes. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	tenants *tenant.Service
	queue   *jobs.Queue
	reports func() (int, []Report)
}

// New returns a Service, or an error that names the option which is missing.
func New(o Options) (*Service, error) {
	for name, missing := range map[string]bool{
		"Store": o.Store == nil, "Keys": o.Keys == nil, "Tenants": o.Tenants == nil, "Queue": o.Queue == nil, "Reports": o.Reports == nil,
	} {
		if missing {
			return nil, errors.New("blastradius: " + name + " is required")
		}
	}
	return &Service{store: o.Store, keys: o.Keys, tenants: o.Tenants, queue: o.Queue, reports: o.Reports}, nil
}

// ParseModel reads an AAGUID. ErrModel.
func ParseModel(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil {
		return uuid.Nil, ErrModel
	}
	return id, nil
}

// Radius is how far a model reaches within one tenant. Revoked credentials are left out.
type Radius struct {
	AAGUID      uuid.UUID
	Credentials int
	Proven      int // of them, those whose attestation leads to a root of the Metadata Service
	Active      int
	Suspended   int
	Disposed    int // of them, those that an order holds
	Used        int // of them, those that have signed in within usedWithin
	Users       int
	UsersAlone  int // of them, those who can sign in with nothing else
	Sessions    int // open ones that these credentials began

	Reports []string // what the Metadata Service holds against the model now
}

// usedWithin is what counts as in use.
const usedWithin = 30 * 24 * time.Hour

// Measure tells how far a model reaches in the tenant. A model that nobody has is no
// error: its radius is zero.
func (s *Service) Measure(ctx context.Context, sc scope.Scope, aaguid uuid.UUID) (Radius, error) {
	if aaguid == uuid.Nil {
		return Radius{}, ErrModel
	}
	r := Radius{AAGUID: aaguid, Reports: s.reported(aaguid)}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		now := tx.Now()
		used := now.Add(-usedWithin)
		m, err := tx.MeasureModel(ctx, tenantq.MeasureModelParams{Aaguid: aaguid, UsedSince: used})
		if err != nil {
			return fmt.Errorf("measure model: %w", err)
		}
		alone, err := tx.CountUsersOfModelAlone(ctx, aaguid)
		if err != nil {
			return fmt.Errorf("count users: %w", err)
		}
		open, err := tx.CountSessionsOfModel(ctx, tenantq.CountSessionsOfModelParams{Aaguid: aaguid, Now: now})
		if err != nil {
			return fmt.Errorf("count sessions: %w", err)
		}
		r.Credentials, r.Proven, r.Active, r.Suspended = int(m.Credentials), int(m.Proven), int(m.Active), int(m.Suspended)
		r.Disposed, r.Used, r.Users, r.UsersAlone, r.Sessions = int(m.Disposed), int(m.Used), int(m.Users), int(alone), int(open)
		return nil
	})
	return r, err
}

func (s *Service) reported(aaguid uuid.UUID) []string {
	_, reports := s.reports()
	for _, r := range reports {
		if r.AAGUID == aaguid {
			return r.Statuses
		}
	}
	return nil
}

// Model is one of the models that a tenant's users have.
type Model struct {
	AAGUID      uuid.UUID
	Credentials int
	Proven      int
	Users       int
	Reports     []string
}

// maxModels bounds a list that is shown whole. There are a few hundred models in the world
// that people enroll.
const maxModels = 1_000

// Models returns the models of the tenant's credentials, the most used first, at most
// 1000. The zero AAGUID stands for those that say nothing of their model.
func (s *Service) Models(ctx context.Context, sc scope.Scope) ([]Model, error) {
	_, reports := s.reports()
	var models []Model
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListModels(ctx, maxModels)
		if err != nil {
			return fmt.Errorf("list models: %w", err)
		}
		models = make([]Model, len(rows))
		for i, row := range rows {
			models[i] = Model{
				AAGUID: row.Aaguid, Credentials: int(row.Credentials), Proven: int(row.Proven), Users: int(row.Users),
			}
			for _, r := range reports {
				if r.AAGUID == row.Aaguid {
					models[i].Reports = r.Statuses
				}
			}
		}
		return nil
	})
	return models, err
}

// Credentials returns one page of a model's credentials in the tenant, revoked ones left
// out, by id. listing.ErrPageToken; listing.ErrFilter for any filter.
func (s *Service) Credentials(ctx context.Context, sc scope.Scope, aaguid uuid.UUID, req listing.Request) (listing.Page[credential.Credential], error) {
	var page listing.Page[credential.Credential]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "credentials of a model", Parent: aaguid.String(), Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	limit := req.Limit()
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListCredentialsOfModel(ctx, tenantq.ListCredentialsOfModelParams{
			Aaguid: aaguid, AfterID: cursor, MaxRows: int32(limit) + 1, //nolint:gosec // at most listing.MaxPageSize
		})
		if err != nil {
			return fmt.Errorf("list credentials: %w", err)
		}
		page = listing.Page[credential.Credential]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID)
		}
		page.Items = make([]credential.Credential, len(rows))
		for i, row := range rows {
			page.Items[i] = credential.FromRow(row)
		}
		return nil
	})
	return page, err
}
