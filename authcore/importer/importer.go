package importer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound  = fault.New(fault.NotFound, "IMPORT_UNKNOWN", "no such import")
	ErrRPID      = fault.New(fault.Invalid, "RP_ID_MISMATCH", "the credentials are for another RP ID than the tenant's: here they would never answer")
	ErrUntrusted = fault.New(fault.Precondition, "IMPORT_UNTRUSTED",
		"the tenant's policy asks for proof of authenticators, which imported credentials have not: set requiredTrust to NONE first")
	ErrTooMany    = fault.New(fault.Precondition, "TOO_MANY_IMPORTS", "10 imports are open: complete or cancel one")
	ErrState      = fault.New(fault.Precondition, "IMPORT_STATE", "an import in this state does not take that")
	ErrPosition   = fault.New(fault.Precondition, "IMPORT_POSITION", "lines are missing before these: go on after the import's position")
	ErrBatch      = fault.New(fault.Invalid, "IMPORT_BATCH_INVALID", "a batch has 1 to 500 lines, together at most 1 MiB, without line breaks, and begins at line 1 or later")
	ErrTooLong    = fault.New(fault.Precondition, "IMPORT_TOO_LONG", "an import has at most 5,000,000 lines, and a run as many as its check")
	ErrChanged    = fault.New(fault.Precondition, "IMPORT_CHANGED", "the lines of the run are not all of those that were checked, in their order")
	ErrHasErrors  = fault.New(fault.Precondition, "IMPORT_HAS_ERRORS", "the check found lines that would not be taken: mend the file, or run without them by allowErrors")
	ErrDuplicates = fault.New(fault.Invalid, "IMPORT_INVALID", "onDuplicate is FAIL, SKIP or MERGE")
)

// Bounds of imports.
const (
	MaxLines      = 5_000_000
	MaxBatchLines = 500     // a transaction of some 100 ms
	maxBatchBytes = 1 << 20 // what a batch holds in memory; by RPC a request has 64 KiB
	maxOpen       = 10      // a tenant
	maxFindings   = 1000    // lines that are reported one by one, of each outcome and phase
)

// State is where an import is.
type State string

// The states, in their order. CANCELLED follows any but DONE; what was written stays.
const (
	Checking  State = "CHECKING" // takes lines, and writes no user
	Checked   State = "CHECKED"
	Running   State = "RUNNING" // takes the same lines again, and writes
	Done      State = "DONE"
	Cancelled State = "CANCELLED"
)

// OnDuplicate says what becomes of a line whose user exists.
type OnDuplicate string

// The policies. Whatever it is, a credential of another user is a failure, names and
// handles of users who exist stay as they are, and revoked credentials stay revoked.
const (
	Fail  OnDuplicate = "FAIL"  // the line fails
	Skip  OnDuplicate = "SKIP"  // the line is passed over
	Merge OnDuplicate = "MERGE" // the user gets the credentials that are missing
)

// Import is an import as it stands.
type Import struct {
	tenantq.Import

	Counts        Counts // of this phase
	CheckedCounts Counts // of the check, when it is complete
}

// tenants is what the service asks of tenant.Service.
type tenants interface {
	Current(ctx context.Context, sc scope.Scope) (*tenant.Snapshot, error)
}

// Options configures a Service.
type Options struct {
	Store   *db.Store       // required
	Keys    *keys.Service   // required: profiles are sealed
	Tenants *tenant.Service // required: RP ID and policy
	Rand    io.Reader       // of user handles and ids; nil means crypto/rand

	// Metadata names the models of credentials, nil while there is none. Nil: there is none.
	Metadata func() *mds.Snapshot
}

// Service imports and exports. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	tenants tenants
	rand    io.Reader

	metadata func() *mds.Snapshot
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, tenants: o.Tenants, rand: o.Rand, metadata: o.Metadata}
	if s.metadata == nil {
		s.metadata = func() *mds.Snapshot { return nil }
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	return s
}

// CreateRequest begins an import.
type CreateRequest struct {
	RPID        string      // that the credentials were made for; must be the tenant's
	OnDuplicate OnDuplicate // empty: Fail
}

// Create begins an import, which waits for the lines of its check. ErrRPID, ErrUntrusted,
// ErrTooMany, ErrDuplicates; ErrNotFound for the reserved tenant, which has no imports.
func (s *Service) Create(ctx context.Context, sc scope.Scope, req CreateRequest) (Import, error) {
	if req.OnDuplicate == "" {
		req.OnDuplicate = Fail
	}
	if req.OnDuplicate != Fail && req.OnDuplicate != Skip && req.OnDuplicate != Merge {
		return Import{}, ErrDuplicates
	}
	if _, err := s.admit(ctx, sc, req.RPID, req.OnDuplicate); err != nil {
		return Import{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Import{}, fmt.Errorf("mint import id: %w", err)
	}
	var made Import
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if n, err := tx.CountOpenImports(ctx); err != nil {
			return fmt.Errorf("count imports: %w", err)
		} else if n >= maxOpen {
			return ErrTooMany
		}
		actor := sc.Actor()
		row, err := tx.InsertImport(ctx, tenantq.InsertImportParams{
			ID: id, OnDuplicate: string(req.OnDuplicate), RpID: req.RPID, CreatedBy: actor.String(), Now: tx.Now(),
		})
		if err != nil {
			return fmt.Errorf("insert import: %w", err)
		}
		if made, err = fromRow(row); err != nil {
			return err
		}
		tx.Result(made)
		return record(ctx, tx, &made, "import.create", attr.Text("onDuplicate", made.OnDuplicate), attr.Text("rpId", made.RpID))
	})
	return made, err
}

// admit returns the rules that the tenant's lines are judged by now.
func (s *Service) admit(ctx context.Context, sc scope.Scope, rpID string, duplicates OnDuplicate) (*Rules, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return nil, ErrNotFound // its people come by invitation alone
	}
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return nil, err
	}
	if err := snap.Exceeds(tenant.Importing); err != nil {
		return nil, err
	}
	if rpID != snap.RPID {
		return nil, ErrRPID.With("rpId", snap.RPID)
	}
	p := &snap.Policy
	// An allow-list of models needs such a trust, so it ends here, too: an import would
	// be the way around it.
	if p.RequiredTrust != policy.TrustNone || len(p.AuthenticatorsAllowed) > 0 {
		return nil, ErrUntrusted
	}
	// A credential for an account that lives here already is a further one, and no import is
	// its user's sign-in.
	if duplicates == Merge && p.AdditionalCredential == policy.StrongSignIn {
		return nil, ErrUntrusted.WithMessage("the tenant's policy asks for a strong sign-in before a further passkey, which a merge has not: skip users who exist")
	}
	rules := &Rules{
		RPID: snap.RPID, Algorithms: p.Algorithms, MaxCredentials: p.MaxCredentialsPerUser,
		RefuseSynced: p.SyncedPasskeys == policy.LeaveDeny, Now: s.store.Now(),
	}
	for _, text := range p.AuthenticatorsDenied {
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("policy of tenant %s: %w", sc.Tenant(), err)
		}
		rules.Denied = append(rules.Denied, id)
	}
	return rules, nil
}

// Get returns one import. ErrNotFound also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Import, error) {
	var got Import
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetImport(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get import: %w", err)
		}
		got, err = fromRow(row)
		return err
	})
	return got, err
}

// AppendRequest gives an import the next lines.
type AppendRequest struct {
	ID        uuid.UUID
	FirstLine int      // number of the first of Lines; the file's first is 1
	Lines     []string // without line ends; an empty one counts and says nothing
}

// Append judges lines, and in a run writes what they say, with the position that the
// import then has, in one transaction. Lines at or before the position are done and
// passed over, so whoever does not know whether a batch arrived sends it again.
// ErrNotFound, ErrBatch, ErrState, ErrPosition, ErrTooLong, ErrRPID, ErrUntrusted.
func (s *Service) Append(ctx context.Context, sc scope.Scope, req AppendRequest) (Import, error) {
	if err := req.check(); err != nil {
		return Import{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Import{}, fmt.Errorf("keys: %w", err)
	}
	seen, err := s.Get(ctx, sc, req.ID)
	if err != nil {
		return Import{}, err
	}
	rules, err := s.admit(ctx, sc, seen.RpID, OnDuplicate(seen.OnDuplicate))
	if err != nil {
		return Import{}, err
	}
	b, err := s.judge(ring, rules, &req)
	if err != nil {
		return Import{}, err
	}
	for range attempts - 1 {
		done, err := s.apply(ctx, sc, b, req.ID)
		if !errors.Is(err, user.ErrRaced) {
			return done, err
		}
	}
	return s.apply(ctx, sc, b, req.ID)
}

// attempts of a batch that meets somebody who makes the same user or credential: each
// finds what the other has made, so a second is enough unless the other goes on.
const attempts = 5

func (r *AppendRequest) check() error {
	total := 0
	for _, l := range r.Lines {
		total += len(l)
		for i := range len(l) {
			if l[i] == '\n' || l[i] == '\r' {
				return ErrBatch
			}
		}
	}
	if len(r.Lines) < 1 || len(r.Lines) > MaxBatchLines || total > maxBatchBytes || r.FirstLine < 1 {
		return ErrBatch
	}
	if r.FirstLine > MaxLines-len(r.Lines) {
		return ErrTooLong
	}
	return nil
}

func (s *Service) apply(ctx context.Context, sc scope.Scope, b *batch, id uuid.UUID) (Import, error) {
	var after Import
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		before, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if after, err = b.commit(ctx, tx, before); err != nil {
			return err
		}
		tx.Result(after)
		return nil
	})
	return after, err
}

// Complete says that there are no more lines. A check is then CHECKED; a run is DONE if
// its lines were those of the check, and else ErrChanged. Completing twice changes
// nothing. ErrNotFound, ErrState.
func (s *Service) Complete(ctx context.Context, sc scope.Scope, id uuid.UUID) (Import, error) {
	return s.change(ctx, sc, id, func(tx *db.TenantTx, im *Import) (row tenantq.Import, err error) {
		now := tx.Now()
		switch State(im.State) {
		case Checked, Done:
			return im.Import, nil
		case Checking:
			if err := tx.DeleteImportMarks(ctx, id); err != nil {
				return row, fmt.Errorf("delete marks: %w", err)
			}
			if row, err = tx.EndImportCheck(ctx, tenantq.EndImportCheckParams{ID: id, Now: now}); err != nil {
				return row, fmt.Errorf("end check: %w", err)
			}
			return row, record(ctx, tx, im, "import.check", im.Counts.attrs()...)
		case Running:
			if im.Position != im.CheckedLines || im.Digest != im.CheckedDigest {
				return row, ErrChanged
			}
			if row, err = tx.EndImport(ctx, tenantq.EndImportParams{ID: id, State: string(Done), Now: &now}); err != nil {
				return row, fmt.Errorf("end import: %w", err)
			}
			return row, finish(ctx, tx, im, "import.finish")
		case Cancelled:
		}
		return row, ErrState.With("state", im.State)
	})
}

// RunRequest starts the run of an import that was checked.
type RunRequest struct {
	ID          uuid.UUID
	AllowErrors bool // although the check found lines that fail: they are left out
}

// Run begins the run: the import takes the lines again, from the first. Running twice
// changes nothing. ErrNotFound, ErrState, ErrHasErrors, ErrRPID, ErrUntrusted.
func (s *Service) Run(ctx context.Context, sc scope.Scope, req RunRequest) (Import, error) {
	seen, err := s.Get(ctx, sc, req.ID)
	if err != nil {
		return Import{}, err
	}
	if _, err := s.admit(ctx, sc, seen.RpID, OnDuplicate(seen.OnDuplicate)); err != nil {
		return Import{}, err
	}
	return s.change(ctx, sc, req.ID, func(tx *db.TenantTx, im *Import) (row tenantq.Import, err error) {
		switch {
		case State(im.State) == Running:
			return im.Import, nil
		case State(im.State) != Checked:
			return row, ErrState.With("state", im.State)
		case im.CheckedCounts.LinesFailed > 0 && !req.AllowErrors:
			return row, ErrHasErrors
		}
		now := tx.Now()
		if row, err = tx.StartImport(ctx, tenantq.StartImportParams{ID: req.ID, Now: &now}); err != nil {
			return row, fmt.Errorf("start import: %w", err)
		}
		if err := record(ctx, tx, im, "import.start", attr.Bool("allowErrors", req.AllowErrors), attr.Text("digest", im.CheckedDigest)); err != nil {
			return row, err
		}
		return row, event.Append(ctx, tx, event.Event{Type: event.ImportStarted, Data: []attr.Attr{attr.UUID("importId", im.ID)}})
	})
}

// Cancel ends an import where it stands; what it has written stays. Cancelling twice
// changes nothing. ErrNotFound; ErrState when it is done.
func (s *Service) Cancel(ctx context.Context, sc scope.Scope, id uuid.UUID) (Import, error) {
	return s.change(ctx, sc, id, func(tx *db.TenantTx, im *Import) (row tenantq.Import, err error) {
		switch State(im.State) {
		case Cancelled:
			return im.Import, nil
		case Done:
			return row, ErrState.With("state", im.State)
		case Checking, Checked, Running:
		}
		if err := tx.DeleteImportMarks(ctx, id); err != nil {
			return row, fmt.Errorf("delete marks: %w", err)
		}
		now := tx.Now()
		if row, err = tx.EndImport(ctx, tenantq.EndImportParams{ID: id, State: string(Cancelled), Now: &now}); err != nil {
			return row, fmt.Errorf("end import: %w", err)
		}
		if State(im.State) == Running {
			return row, finish(ctx, tx, im, "import.cancel")
		}
		return row, record(ctx, tx, im, "import.cancel")
	})
}

// change runs fn on a locked import of the tenant, and answers the row that fn returns.
func (s *Service) change(ctx context.Context, sc scope.Scope, id uuid.UUID, fn func(*db.TenantTx, *Import) (tenantq.Import, error)) (Import, error) {
	var after Import
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		before, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		row, err := fn(tx, &before)
		if err != nil {
			return err
		}
		if after, err = fromRow(row); err != nil {
			return err
		}
		tx.Result(after)
		return nil
	})
	return after, err
}

func lock(ctx context.Context, tx *db.TenantTx, id uuid.UUID) (Import, error) {
	row, err := tx.LockImport(ctx, id)
	if db.IsNoRows(err) {
		return Import{}, ErrNotFound
	} else if err != nil {
		return Import{}, fmt.Errorf("lock import: %w", err)
	}
	return fromRow(row)
}

// record appends the audit entry of a step of an import.
func record(ctx context.Context, tx *db.TenantTx, im *Import, action string, detail ...attr.Attr) error {
	return audit.Append(ctx, tx, audit.Entry{Action: action, Target: audit.Target{Kind: "import", ID: im.ID.String()}, Detail: detail})
}

// finish records the end of a run, and tells it.
func finish(ctx context.Context, tx *db.TenantTx, im *Import, action string) error {
	if err := record(ctx, tx, im, action, im.Counts.attrs()...); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{
		Type: event.ImportFinished, Data: append([]attr.Attr{attr.UUID("importId", im.ID), attr.Bool("complete", action == "import.finish")}, im.Counts.attrs()...),
	})
}
