// Package archive makes archives of all that a tenant has, for the tenant itself: a zip
// with one file of JSON lines a table, and a manifest with the hash of each (ADR 0046).
//
// Which columns leave, and which do not and why, is one list (tables.go). Everything is read
// in one snapshot and written in bounded memory: pages go through the zip into parts of some
// megabytes, each sealed under a key of the export's own and put into object storage. The
// key stands in the export's row, sealed under the tenant's data key: destroying it, at its
// expiry, when it is cancelled or with the tenant, leaves noise.
//
// One attempt writes one archive from its beginning to its end. An attempt that dies is
// followed by another from nothing, with parts and a key of its own: there are no half
// archives. Verify checks an archive with nothing but the file.
package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound  = fault.New(fault.NotFound, "EXPORT_UNKNOWN", "no such export")
	ErrTenant    = fault.New(fault.NotFound, "TENANT_UNKNOWN", "no such tenant")
	ErrReason    = fault.New(fault.Invalid, "EXPORT_REASON_INVALID", "an export has a reason of 1 to 256 characters, for the audit log")
	ErrRunning   = fault.New(fault.Conflict, "EXPORT_RUNNING", "an export of this tenant is running: wait for it, or cancel it")
	ErrEnded     = fault.New(fault.Precondition, "EXPORT_ENDED", "this export has ended: nothing is left to cancel")
	ErrNotReady  = fault.New(fault.Precondition, "EXPORT_NOT_READY", "this export has no archive yet")
	ErrGone      = fault.New(fault.Precondition, "EXPORT_GONE", "this export's archive is not there any more, or never was: start another")
	ErrNoStorage = fault.New(fault.Precondition, "EXPORT_WITHOUT_STORAGE",
		"this installation has no object storage, which archives are kept in: its operators set objectStorageUrl")
	// ErrOwnKeys keeps the platform from what its tenants have stored: it starts and watches
	// exports, and only the tenant reads them.
	ErrOwnKeys = fault.New(fault.Forbidden, "EXPORT_OF_ANOTHER", "an archive is downloaded with a key of the tenant itself, or by its owners and admins")
)

// Why an attempt has failed: these reasons stand in the row.
var (
	errLong   = fault.New(fault.Precondition, "EXPORT_TOO_LONG", "the archive took longer than a snapshot may be held")
	errBroken = fault.New(fault.Unavailable, "EXPORT_BROKEN_OFF", "the attempt was broken off with its server")
)

// State is how far an export is, as in the API and in the table.
type State string

// The states. The first two are open, of which a tenant has one at most.
const (
	Queued    State = "QUEUED"
	Running   State = "RUNNING"
	Done      State = "DONE"      // its archive can be downloaded until it expires
	Failed    State = "FAILED"    // Failure says why
	Cancelled State = "CANCELLED" // by somebody, or with the tenant
	Expired   State = "EXPIRED"   // its archive was removed
)

// Open reports whether the export is still to end.
func (s State) Open() bool { return s == Queued || s == Running }

// Export is an archive that somebody has asked for.
type Export struct {
	ID        uuid.UUID
	TenantID  uuid.UUID
	State     State
	Reason    string
	AskedBy   string // kind:id
	AskedName string // of the person or key; may be empty
	CreatedAt time.Time
	StartedAt *time.Time // the last attempt
	EndedAt   *time.Time
	ExpiresAt *time.Time // of the archive

	Attempt    int    // from 1 on; 0: none yet
	FilesDone  int    // tables that are written
	FilesTotal int    // 0: not known yet
	Rows       int64  // that are written
	Size       int64  // of the archive so far, in bytes
	SHA256     string // of the archive, hex; empty until it is done
	Failure    string // the reason of the fault that the last attempt has failed for
}

// Percent is how far it is by tables, 0 to 100: tables differ, so it does not foretell.
func (e *Export) Percent() int {
	switch {
	case e.State == Done || e.State == Expired:
		return 100
	case e.FilesTotal == 0:
		return 0
	}
	return min(99, e.FilesDone*100/e.FilesTotal)
}

func fromRow(row tenantq.Export) Export {
	return Export{
		ID: row.ID, TenantID: row.TenantID, State: State(row.State), Reason: row.Reason, AskedBy: row.AskedBy, AskedName: row.AskedName,
		CreatedAt: row.CreatedAt, StartedAt: row.StartedAt, EndedAt: row.EndedAt, ExpiresAt: row.ExpiresAt,
		Attempt: int(row.Attempt), FilesDone: int(row.FilesDone), FilesTotal: int(row.FilesTotal), Rows: row.RowsDone, Size: row.Size,
		SHA256: hex.EncodeToString(row.Sha256), Failure: row.Failure,
	}
}

const (
	// Life is how long an archive is kept.
	Life = 7 * 24 * time.Hour

	// Longest bounds an attempt, and with it the snapshot, which holds vacuum back.
	Longest = 30 * time.Minute

	// lease is how long an attempt may be silent before another server begins anew.
	lease = 2 * time.Minute
	// noteEvery is how often it says that it is there, at least: far below the lease.
	noteEvery = 10 * time.Second

	// settle is when the parts of what was ended by others are removed: no call to object
	// storage that was on its way lasts so long.
	settle = 30 * time.Second

	// maxAttempts: the last follows 28 minutes after the first.
	maxAttempts = 6
	awayFor     = 5 * time.Minute
	endedBatch  = 50
)

// Options configures a Service.
type Options struct {
	Store    *db.Store         // required
	Keys     *keys.Service     // required
	Evidence *evidence.Service // required by Maintain
	Archived *cold.Service     // required by OfPerson

	// Objects is where archives are kept; nil: Start is ErrNoStorage.
	Objects *blob.Bucket

	Log *slog.Logger // nil means slog.Default
}

// Service makes archives. It is safe for concurrent use.
type Service struct {
	store    *db.Store
	keys     *keys.Service
	evidence *evidence.Service
	archived *cold.Service
	objects  *blob.Bucket
	log      *slog.Logger

	partBytes int
	longest   time.Duration
	onPage    func(table string) // for tests; nil: nobody looks
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{
		store: o.Store, keys: o.Keys, evidence: o.Evidence, archived: o.Archived, objects: o.Objects, log: o.Log,
		partBytes: partBytes, longest: Longest,
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// ParseID reads the id of an export; what is none is ErrNotFound.
func ParseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, ErrNotFound
	}
	return id, nil
}

// inTenant runs fn in the tenant id: in the caller's own, or, for the platform plane, in
// any. ErrTenant for everybody else, as if there were none.
func (s *Service) inTenant(ctx context.Context, sc scope.Scope, id uuid.UUID, fn func(tx *db.TenantTx, result func(any)) error) error {
	switch {
	case id == uuid.Nil || id == scope.PlatformTenant || sc.IsSupport():
		return ErrTenant
	case sc.Tenant() == id:
		return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error { return fn(tx, tx.Result) })
	case sc.Tenant() != scope.PlatformTenant:
		return ErrTenant
	}
	return s.store.InPlatform(ctx, "exports of a tenant", func(p *db.PlatformTx) error {
		if _, err := p.GetTenant(ctx, id); db.IsNoRows(err) {
			return ErrTenant
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		tx, err := p.AsTenant(ctx, scope.New(id, sc.Actor()).WithOrigin(sc.Origin()))
		if err != nil {
			return fmt.Errorf("open tenant: %w", err)
		}
		return fn(tx, p.Result)
	})
}

func get(ctx context.Context, tx *db.TenantTx, id uuid.UUID) (tenantq.Export, error) {
	row, err := tx.GetExport(ctx, id)
	if db.IsNoRows(err) {
		return row, ErrNotFound
	} else if err != nil {
		return row, fmt.Errorf("get export: %w", err)
	}
	return row, nil
}

// errLost says that an attempt has nothing to go on with: somebody has cancelled the export,
// or another server has taken it after a silence.
var errLost = errors.New("the export is no longer this attempt's")
