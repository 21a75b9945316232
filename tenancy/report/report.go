// Package report makes compliance reports: what a tenant's records show of the controls of a catalogue, in a period
// of whole days, as JSON, CSV and PDF, each signed by the tenant's key (ADR 0055).
//
// A catalogue is a data file. It says for each control which measurements are its evidence and what they are held
// to; measurements are a closed set (measure.go), each one query behind the tenant's wall. What a control comes to is
// met, not met, or no evidence, and nothing is met by what nobody has seen.
//
// The bodies are made of the records alone: the same period of the same records gives the same bytes. When a report
// was made, by whom, and how long each query took stands beside them in its manifest.
//
//	report.go     what a report is; the service
//	ask.go        asking for, reading and removing reports
//	schedule.go   reports that are made by themselves
//	catalogue.go  reading catalogues; theirs.go: those that a tenant has added; folder.go: an installation's
//	measure.go    the measurements; tables.go: the lists beside them
//	evaluate.go   from measurements to a body
//	compare.go    what the period before came to
//	body.go       the body, as JSON and CSV; pdf.go: as PDF
//	maintain.go   the job
//	files.go      what is stored; evidence.go: what shows it; verify.go: checking it with nothing else
package report

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound  = fault.New(fault.NotFound, "REPORT_UNKNOWN", "no such report")
	ErrPeriod    = fault.New(fault.Invalid, "REPORT_PERIOD_INVALID", "a period is of 1 to 366 whole days (UTC), from 1970 on, and begins before now and ends today at the latest")
	ErrKeep      = fault.New(fault.Invalid, "REPORT_RETENTION_INVALID", "a report is kept for 1 to 3650 days")
	ErrReason    = fault.New(fault.Invalid, "REPORT_REASON_INVALID", "a reason has at most 256 characters")
	ErrTooMany   = fault.New(fault.Precondition, "TOO_MANY_REPORTS", "5 reports of this tenant are being made, which is the limit: wait for one to end")
	ErrNotReady  = fault.New(fault.Precondition, "REPORT_NOT_READY", "this report is not made yet")
	ErrGone      = fault.New(fault.Precondition, "REPORT_GONE", "the files of this report are not there: make another")
	ErrFile      = fault.New(fault.NotFound, "REPORT_FILE_UNKNOWN", "this report has no file of that name")
	ErrNoStorage = fault.New(fault.Precondition, "REPORT_WITHOUT_STORAGE",
		"this installation has no object storage, which reports are kept in: its operators set objectStorageUrl")

	ErrCatalogue        = fault.New(fault.NotFound, "REPORT_CATALOGUE_UNKNOWN", "no such catalogue of controls")
	ErrCatalogueInvalid = fault.New(fault.Invalid, "REPORT_CATALOGUE_INVALID", "this is no catalogue of controls")
	ErrBuiltIn          = fault.New(fault.Precondition, "REPORT_CATALOGUE_BUILT_IN", "this catalogue is the release's: add one of another name")
	ErrShared           = fault.New(fault.Precondition, "REPORT_CATALOGUE_SHARED", "this catalogue is the installation's, which its operators change: add one of another name")
	ErrCatalogueTaken   = fault.New(fault.Conflict, "REPORT_CATALOGUE_TAKEN", "there is a catalogue of this name: replace that one, or add one of another name")
	ErrScheduled        = fault.New(fault.Precondition, "REPORT_CATALOGUE_SCHEDULED", "reports of this catalogue are scheduled: end the schedule first")
	ErrTooManyOwn       = fault.New(fault.Precondition, "TOO_MANY_REPORT_CATALOGUES", "there are 20 catalogues of this tenant's own, which is the limit: delete one first")

	ErrCadence  = fault.New(fault.Invalid, "REPORT_CADENCE_INVALID", "a schedule is MONTHLY or QUARTERLY")
	ErrSchedule = fault.New(fault.NotFound, "REPORT_SCHEDULE_UNKNOWN", "reports of this catalogue are not scheduled")
)

// Why an attempt has failed: these reasons stand in the row.
var (
	errLarge  = fault.New(fault.Precondition, "REPORT_TOO_LARGE", "the files of this report are larger than an object may be")
	errBroken = fault.New(fault.Unavailable, "REPORT_BROKEN_OFF", "the attempt was broken off with its server")
)

// errLost says that an attempt has nothing to go on with: somebody has removed the report, or another server has
// taken it after a silence.
var errLost = errors.New("the report is no longer this attempt's")

// State is how far a report is, as in the API and in the table.
type State string

// The states.
const (
	Queued  State = "QUEUED"
	Running State = "RUNNING"
	Done    State = "DONE"   // its files can be downloaded until it expires
	Failed  State = "FAILED" // Failure says why
)

// Open reports whether the report is still to end.
func (s State) Open() bool { return s == Queued || s == Running }

// Report is one that somebody, or a schedule, has asked for.
type Report struct {
	ID        uuid.UUID
	Catalogue string
	Period    Period
	State     State
	Reason    string
	AskedBy   string // kind:id
	AskedName string // of the person or key; may be empty
	Scheduled bool
	KeepDays  int
	CreatedAt time.Time
	StartedAt *time.Time // the last attempt
	EndedAt   *time.Time
	ExpiresAt *time.Time

	Attempt     int // from 1 on; 0: none yet
	Done, Total int // steps: measurements, lists and files; Total 0: not known yet
	Counts      Counts
	Size        int    // of all files, in bytes
	SHA256      string // of the JSON body, hex; empty until it is done
	Failure     string // the reason of the fault that the last attempt has failed for
}

// Counts is how many controls came to what.
type Counts struct {
	Met        int `json:"met"`
	NotMet     int `json:"notMet"`
	NoEvidence int `json:"noEvidence"`
}

// Percent is how far it is by steps, 0 to 100.
func (r *Report) Percent() int {
	switch {
	case r.State == Done:
		return 100
	case r.Total == 0:
		return 0
	}
	return min(99, r.Done*100/r.Total)
}

func fromRow(row *tenantq.Report) Report {
	return Report{
		ID: row.ID, Catalogue: row.Catalogue, Period: Period{From: row.PeriodFrom.UTC(), To: row.PeriodTo.UTC()}, State: State(row.State), Reason: row.Reason,
		AskedBy: row.AskedBy, AskedName: row.AskedName, Scheduled: row.Scheduled, KeepDays: int(row.KeepDays),
		CreatedAt: row.CreatedAt, StartedAt: row.StartedAt, EndedAt: row.EndedAt, ExpiresAt: row.ExpiresAt,
		Attempt: int(row.Attempt), Done: int(row.Done), Total: int(row.Total), Counts: Counts{int(row.Met), int(row.NotMet), int(row.NoEvidence)},
		Size: int(row.Size), SHA256: hex.EncodeToString(row.Sha256), Failure: row.Failure,
	}
}

// Period is what a report is of: from From on and before To, midnights of UTC.
type Period struct{ From, To time.Time }

const day = 24 * time.Hour

// maxPeriod is a year, and a leap day.
const maxPeriod = 366 * day

// check refuses what no report can be of at the instant now. The day that is going on may be in it.
func (p Period) check(now time.Time) error {
	switch {
	case !p.From.Equal(p.From.Truncate(day)), !p.To.Equal(p.To.Truncate(day)), p.From.Year() < 1970,
		!p.From.Before(p.To), p.To.Sub(p.From) > maxPeriod, p.From.After(now), p.To.After(now.Truncate(day).Add(day)):
		return ErrPeriod
	}
	return nil
}

// ParsePeriod reads the first and the last day of a period, as 2026-10-01. ErrPeriod.
func ParsePeriod(first, last string) (Period, error) {
	from, err := time.Parse(time.DateOnly, first)
	if err != nil {
		return Period{}, ErrPeriod.WithCause(err)
	}
	to, err := time.Parse(time.DateOnly, last)
	if err != nil {
		return Period{}, ErrPeriod.WithCause(err)
	}
	return Period{From: from, To: to.Add(day)}, nil
}

// First and Last are the days that ParsePeriod reads.
func (p Period) First() string { return p.From.Format(time.DateOnly) }

// Last is the period's last day.
func (p Period) Last() string { return p.To.Add(-day).Format(time.DateOnly) }

// String is the period in words: October 2026, Q4 2026, or 1 Oct to 14 Nov 2026.
func (p Period) String() string {
	switch {
	case p.From.Day() != 1:
	case p.To.Equal(p.From.AddDate(0, 1, 0)):
		return p.From.Format("January 2006")
	case p.From.Month()%3 == 1 && p.To.Equal(p.From.AddDate(0, 3, 0)):
		return "Q" + strconv.Itoa(int(p.From.Month()-1)/3+1) + p.From.Format(" 2006")
	case p.From.Month() == time.January && p.To.Equal(p.From.AddDate(1, 0, 0)):
		return p.From.Format("2006")
	}
	last := p.To.Add(-day)
	switch {
	case p.From.Equal(last):
		return last.Format("2 January 2006")
	case p.From.Year() == last.Year():
		return p.From.Format("2 Jan") + " to " + last.Format("2 Jan 2006")
	default:
		return p.From.Format("2 Jan 2006") + " to " + last.Format("2 Jan 2006")
	}
}

// MaxKeepDays is for how long a report may be kept: ten years.
const MaxKeepDays = 3650

// DefaultKeepDays is for how long it is, unless somebody says otherwise: until the year after the next report of a year is made.
const DefaultKeepDays = 730

const (
	// lease is how long an attempt may be silent before another server begins anew.
	lease = 2 * time.Minute
	// noteEvery is how often it says how far it is, at most.
	noteEvery = time.Second

	// Longest bounds an attempt, and with it the snapshot, which holds vacuum back.
	Longest = 15 * time.Minute

	// settle is when the object of what was removed by others is: no attempt that was on its way lasts so long beyond its next note.
	settle = 3 * time.Minute

	maxOpen     = 5
	maxAttempts = 5
	awayFor     = 5 * time.Minute
	removeBatch = 50
)

// Options configures a Service.
type Options struct {
	Store   *db.Store       // required
	Keys    *keys.Service   // required
	Members *member.Service // required by Maintain: when they were seen last

	// Policy returns the policy in force. Required by Maintain.
	Policy func(ctx context.Context, sc scope.Scope) (policy.Document, error)

	// Names tells how people of the console are called. Required by Maintain.
	Names func(ctx context.Context, people []uuid.UUID) (map[uuid.UUID]string, error)

	// Objects is where reports are kept; nil: Create is ErrNoStorage.
	Objects *blob.Bucket

	// Shared are the installation's own catalogues, which every tenant sees: see ReadCatalogues.
	Shared []Document

	Log *slog.Logger // nil means slog.Default
}

// Service makes reports. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	members *member.Service
	policy  func(ctx context.Context, sc scope.Scope) (policy.Document, error)
	names   func(ctx context.Context, people []uuid.UUID) (map[uuid.UUID]string, error)
	objects *blob.Bucket
	shared  []Document
	log     *slog.Logger
	longest time.Duration
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, members: o.Members, policy: o.Policy, names: o.Names, objects: o.Objects, shared: o.Shared, log: o.Log, longest: Longest}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// ParseID reads the id of a report; what is none is ErrNotFound.
func ParseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, ErrNotFound
	}
	return id, nil
}

// own refuses who has no reports: the platform itself, and the staff, which is let in to look at other things.
func own(sc scope.Scope) error {
	if sc.Tenant() == scope.PlatformTenant || sc.IsSupport() {
		return ErrNotFound
	}
	return nil
}
