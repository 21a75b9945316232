// Package system tells how the installation is: what it depends on, its servers, its queue
// of jobs and those that were given up. It is the platform's; no tenant sees it.
package system

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// The refusals.
var (
	ErrJobUnknown = fault.New(fault.NotFound, "JOB_UNKNOWN", "no job of this id was given up; it may have been tried again already")
	ErrReason     = fault.New(fault.Invalid, "REASON_REQUIRED", "say why, in 1 to 256 characters: it stands in the audit log")
)

// Health is how a dependency is.
type Health string

// The healths.
const (
	Well     Health = "WELL"
	Degraded Health = "DEGRADED" // it works, with less than all
	Down     Health = "DOWN"
	Absent   Health = "NOT_CONFIGURED"
)

// Dependency is something that the installation needs.
type Dependency struct {
	Name   string // postgres, redis, kms, objectStorage, metadata
	Health Health
	Detail string // in words, for people; empty for nothing to say
}

// Job is one that was given up.
type Job = jobs.Discarded

// Server is one of the installation's.
type Server = db.Server

// Jobs is the queue.
type Jobs struct {
	Waiting   int           // to be done, now or later
	Late      time.Duration // how long the oldest that is due has been waiting; 0: none is
	GivenUp   int           // all of them
	Discarded []Job
}

// State is all of it, at one time.
type State struct {
	At           time.Time
	Version      string
	Revision     string // of the source; empty where the build has not recorded it
	Dependencies []Dependency
	Servers      []Server
	Jobs         Jobs
	ServiceLevel stats.ServiceLevel
}

// Options is what a Service needs. All but Redis and Objects is required.
type Options struct {
	secret.Hidden // JobsURL holds a password

	Store   *db.Store
	JobsURL string // logs in as bc_jobs

	// Redis, KMS, Objects and Metadata look at what they name, and tell its version or name. A nil one is not configured.
	Redis    func(context.Context) (string, error)
	KMS      func() KMS
	Objects  func(context.Context) (string, error)
	Metadata func(context.Context) (Dependency, error)

	Stats     *stats.Service
	Objective float64 // of the service level: a share, below 1

	Version, Revision string
}

// KMS is how the KMS was when it was last asked.
type KMS struct {
	Key  string        // the name of the key that wraps now
	Err  error         // nil: it is well
	Left time.Duration // for how long opened keys go on without it
}

// Service looks.
type Service struct {
	o    Options // without the URL
	jobs secret.Text
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{o: o, jobs: secret.New(o.JobsURL)}
	s.o.JobsURL = ""
	return s
}

// Bounds.
const (
	maxShown    = 100 // jobs that were given up
	maxError    = 500 // bytes of a job's error
	lookFor     = 3 * time.Second
	lateToTell  = time.Minute
	actionRetry = "job.retry"
)

// Look asks everything, within three seconds for each. A dependency that gives no answer is
// a finding, not an error.
func (s *Service) Look(ctx context.Context) (State, error) {
	state := State{At: s.o.Store.Now(), Version: s.o.Version, Revision: s.o.Revision}
	state.Dependencies = append(state.Dependencies, s.ask(ctx, "postgres", version(s.o.Store.Version)), s.ask(ctx, "redis", version(s.o.Redis)))
	h := s.o.KMS()
	kms := Dependency{Name: "kms", Health: Well, Detail: h.Key}
	if h.Err != nil && h.Left > 0 {
		kms.Health, kms.Detail = Degraded, "No answer. Keys that are open go on for "+h.Left.Round(time.Second).String()
	} else if h.Err != nil {
		kms.Health, kms.Detail = Down, "No answer for too long"
	}
	state.Dependencies = append(state.Dependencies, kms, s.ask(ctx, "objectStorage", s.o.Objects))
	metadata, err := s.o.Metadata(ctx)
	if err != nil {
		metadata = Dependency{Name: "metadata", Health: Down, Detail: "It cannot be read"}
	}
	state.Dependencies = append(state.Dependencies, metadata)
	if state.ServiceLevel, err = s.o.Stats.ServiceLevel(ctx, s.o.Objective); err != nil {
		return State{}, err
	}
	if state.Servers, err = s.o.Store.Servers(ctx); err != nil {
		return State{}, err
	}
	backlog, err := jobs.Inspect(ctx, s.jobs.Reveal())
	if err != nil {
		return State{}, err
	}
	state.Jobs = Jobs{Waiting: backlog.Waiting, Late: backlog.Late, GivenUp: backlog.Discarded}
	if backlog.Discarded > 0 {
		if state.Jobs.Discarded, err = s.GivenUp(ctx); err != nil {
			return State{}, err
		}
	}
	return state, nil
}

// version tells the version that look answers in words.
func version(look func(context.Context) (string, error)) func(context.Context) (string, error) {
	if look == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		number, err := look(ctx)
		if err != nil || number == "" {
			return "", err
		}
		return "Version " + number, nil
	}
}

func (s *Service) ask(ctx context.Context, name string, look func(context.Context) (string, error)) Dependency {
	if look == nil {
		return Dependency{Name: name, Health: Absent}
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	switch what, err := look(ctx); {
	case err == nil:
		return Dependency{Name: name, Health: Well, Detail: what}
	case errors.Is(err, context.DeadlineExceeded):
		return Dependency{Name: name, Health: Down, Detail: "No answer within " + lookFor.String()}
	default:
		return Dependency{Name: name, Health: Down, Detail: "It does not answer"} // why is in the log: it may hold a password
	}
}

// Objective is what the service level is told against, a share below 1.
func (s *Service) Objective() float64 { return s.o.Objective }

// Well reports whether nothing needs a look.
func (s *State) Well() bool {
	mark := s.ServiceLevel.Mark()
	return mark != stats.Page && mark != stats.Ticket && s.Jobs.GivenUp == 0 && s.Jobs.Late < lateToTell &&
		!slices.ContainsFunc(s.Dependencies, func(d Dependency) bool { return d.Health == Degraded || d.Health == Down })
}

// GivenUp returns the jobs that were given up, the latest first, at most 100.
func (s *Service) GivenUp(ctx context.Context) ([]Job, error) {
	list, err := jobs.ListDiscarded(ctx, s.jobs.Reveal(), maxShown)
	for i := range list {
		list[i].Error = clip(list[i].Error)
	}
	return list, err
}

// Retry has a job that was given up done once more. The queue and the log are two roles'
// and share no transaction: the queue is changed last before the log's entry commits.
// ErrJobUnknown, ErrReason.
func (s *Service) Retry(ctx context.Context, sc scope.Scope, id, reason string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return ErrJobUnknown
	}
	if !audit.IsReason(reason) {
		return ErrReason
	}
	return s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		list, err := s.GivenUp(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(d Job) bool { return d.ID == n })
		if i < 0 {
			return ErrJobUnknown
		}
		detail := []audit.Attr{attr.Text("kind", list[i].Kind)}
		if list[i].Tenant != uuid.Nil {
			detail = append(detail, attr.UUID("tenantId", list[i].Tenant))
		}
		if err := audit.Append(ctx, tx, audit.Entry{Action: actionRetry, Target: audit.Target{Kind: "job", ID: id}, Reason: reason, Detail: detail}); err != nil {
			return err
		}
		tx.Result(Retried{ID: id})
		found, err := jobs.RetryDiscarded(ctx, s.jobs.Reveal(), n)
		if err == nil && !found {
			err = ErrJobUnknown
		}
		return err
	})
}

// Retried is a job that is in the queue again.
type Retried struct{ ID string }

// clip shortens what a job said, at a rune.
func clip(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= maxError {
		return text
	}
	cut := maxError
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
