// Package dlp looks for personal data and secrets where they should not be: in the texts of a tenant's tables and in its
// audit log, by the detectors of package detect; and takes in what other classifiers have found (ADR 0057).
//
// A finding names a place, a row and a kind, and shows the shape of what was found. The value is nowhere stored again.
//
//	dlp.go      what scans and findings are; the service
//	scan.go     asking for scans, and the job
//	schedule.go scans that are asked for by themselves
//	place.go    what a scan looks at
//	source.go   what is opened for it, and what is not
//	finding.go  reading and deciding findings
//	import.go   what other classifiers have found
package dlp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrScan     = fault.New(fault.NotFound, "DLP_SCAN_UNKNOWN", "no such scan")
	ErrFinding  = fault.New(fault.NotFound, "DLP_FINDING_UNKNOWN", "no such finding")
	ErrDays     = fault.New(fault.Invalid, "DLP_DAYS_INVALID", "a scan looks at 1 to 366 days of the audit log")
	ErrReason   = fault.New(fault.Invalid, "DLP_REASON_INVALID", "a reason has at most 256 characters")
	ErrDismiss  = fault.New(fault.Invalid, "DLP_REASON_REQUIRED", "say why a finding is dismissed, in at most 256 characters")
	ErrCadence  = fault.New(fault.Invalid, "DLP_CADENCE_INVALID", "a schedule is DAILY, WEEKLY or MONTHLY")
	ErrSchedule = fault.New(fault.NotFound, "DLP_SCHEDULE_UNKNOWN", "no scans are scheduled")
	ErrState    = fault.New(fault.Invalid, "DLP_STATE_INVALID", "a finding is OPEN, DISMISSED or RESOLVED")
	ErrEnded    = fault.New(fault.Precondition, "DLP_SCAN_ENDED", "the scan has ended: there is nothing to cancel")
	ErrScanning = fault.New(fault.Precondition, "DLP_SCAN_RUNNING", "a scan of this tenant is under way: wait for it to end")
)

var (
	errBroken = fault.New(fault.Unavailable, "DLP_SCAN_BROKEN_OFF", "the attempt was broken off with its server")
	// errLost says that somebody has cancelled the scan, or another server has taken it after a silence.
	errLost = errors.New("the scan is no longer this attempt's")
	// errOff says that scans were turned off meanwhile: it goes on from where it is once they are on, as another attempt.
	errOff = errors.New("scans are turned off")
)

// ScanState is how far a scan is.
type ScanState string

// The states of a scan.
const (
	Queued  ScanState = "QUEUED"
	Running ScanState = "RUNNING"
	Done    ScanState = "DONE"
	Failed  ScanState = "FAILED"

	Cancelled ScanState = "CANCELLED" // what it had found by then stays
)

// Open reports whether the scan is still to end.
func (s ScanState) Open() bool { return s == Queued || s == Running }

// Scan is one that somebody has asked for.
type Scan struct {
	ID          uuid.UUID
	State       ScanState
	Reason      string
	Days        int    // of the audit log
	AskedBy     string // kind:id
	CreatedAt   time.Time
	StartedAt   *time.Time // the last attempt
	EndedAt     *time.Time
	Done, Total int      // places; Total 0: not known yet
	Texts       int64    // rows and entries that were looked at
	Found       int64    // findings, those of scans before among them
	Cut         []string // places of which the scan has seen the first MaxRows alone
	Unseen      []Unseen // what it has not looked at
	Failure     string   // the reason of the fault that the last attempt has failed for
}

// Percent is how far it is by places, 0 to 100.
func (s *Scan) Percent() int {
	switch {
	case s.State == Done:
		return 100
	case s.Total == 0:
		return 0
	}
	return min(99, s.Done*100/s.Total)
}

func scanOf(row *tenantq.DlpScan) (Scan, error) {
	unseen, err := unseenOf(row)
	return Scan{
		ID: row.ID, State: ScanState(row.State), Reason: row.Reason, Days: int(row.Days), AskedBy: row.AskedBy, CreatedAt: row.CreatedAt, StartedAt: row.StartedAt,
		EndedAt: row.EndedAt, Done: int(row.Done), Total: int(row.Total), Texts: row.Texts, Found: row.Found, Cut: row.Cut, Unseen: unseen, Failure: row.Failure,
	}, err
}

// State is what has become of a finding.
type State string

// The states of a finding.
const (
	Open      State = "OPEN"
	Dismissed State = "DISMISSED" // somebody has said why it is none; a later scan leaves it so
	Resolved  State = "RESOLVED"  // it is gone; if a later scan finds it again, it is open again
)

// States are all of them.
func States() []State { return []State{Open, Dismissed, Resolved} }

// SourceScan is the source of what this server's scans have found.
const SourceScan = "SCAN"

// Finding is something at a place.
type Finding struct {
	ID        uuid.UUID
	Source    string // SourceScan, or a classifier
	Place     string // table.column, audit.member, or a place elsewhere
	Item      string // the row by its key, the entry by its id, or the classifier's id of its finding
	Kind      string // of detect's, or as a classifier calls it
	Count     int    // how often it stands there
	Shape     string // of the first, with neither letters nor digits of it
	State     State
	Reason    string
	DecidedBy string // kind:id; empty while nobody has, and where a later scan did not find it any more
	DecidedAt *time.Time
	FirstAt   time.Time
	LastAt    time.Time
	ETag      string
}

func findingOf(row *tenantq.DlpFinding) Finding {
	return Finding{
		ID: row.ID, Source: row.Source, Place: row.Place, Item: row.Item, Kind: row.Kind, Count: int(row.Count), Shape: row.Shape, State: State(row.State), Reason: row.Reason,
		DecidedBy: row.DecidedBy, DecidedAt: row.DecidedAt, FirstAt: row.FirstAt, LastAt: row.LastAt, ETag: etag.Of("finding", row.ID[:], row.Version),
	}
}

// Bounds.
const (
	// MaxRows of one place are looked at by a scan; Scan.Cut names places that have more.
	MaxRows = 200_000
	// MaxFindings of a tenant are kept; what comes beyond is counted by the scan alone.
	MaxFindings = 10_000
	// DefaultDays of the audit log are looked at.
	DefaultDays = 30

	maxDays     = 366
	keepScans   = 50
	pageRows    = 500
	maxAttempts = 5
	lease       = 2 * time.Minute
	// Longest bounds an attempt; what is left is another's, from where it was.
	Longest = 30 * time.Minute
)

// Options configures a Service. All but Sources and Log are required.
type Options struct {
	Store *db.Store
	Keys  *keys.Service
	Trail *trail.Reader

	// Sources are opened by scans beside tables and the log; nil: none are, as where no scan is made.
	Sources []Source

	// On reports whether a tenant's texts are to be scanned, now; nil: always. Maintain asks first, and after each page.
	On func(ctx context.Context, sc scope.Scope) bool

	Log *slog.Logger // nil means slog.Default
}

// Service scans, and keeps findings. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	trail   *trail.Reader
	log     *slog.Logger
	sources []Source
	on      func(context.Context, scope.Scope) bool
	maxRows int

	// step is for tests: it is told after each page, and an error breaks the attempt off.
	step func(place string) error
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, trail: o.Trail, sources: o.Sources, on: o.On, log: o.Log, maxRows: MaxRows}
	if s.on == nil {
		s.on = func(context.Context, scope.Scope) bool { return true }
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// ParseID reads the id of a scan or finding; ok is false for what is none.
func ParseID(text string) (id uuid.UUID, ok bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == 36
}

// own refuses the staff, which is let in to look at other things.
func own(sc scope.Scope, absent error) error {
	if sc.IsSupport() {
		return absent
	}
	return nil
}
