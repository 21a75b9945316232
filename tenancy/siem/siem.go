// Package siem streams a tenant's audit log to where the tenant watches it: Splunk, Elasticsearch or
// OpenSearch, a syslog server, or any server that takes JSON over https.
//
// A stream is a cursor on the log: the number of the first entry that its sink has not acknowledged. A
// delivery reads entries from there on, sends them in their order, and moves the cursor in a transaction
// of its own once the sink has acknowledged them. So every entry arrives at least once, in the order of
// the log, whatever is killed in between; what arrives twice has the same id and number (ADR 0051).
//
//	siem.go      what a stream is, and reading it
//	change.go    making and changing streams, each change with its audit entry
//	valid.go     what is taken as a stream
//	dispatch.go  which streams are due, on every server
//	deliver.go   one delivery of one stream
//	probe.go     a test event
//	event.go     what is sent of an entry; filter and redaction; ocsf.go and ecs.go: other formats
//	outbound.go rules for personal data and secrets in texts
//	send.go      the wire; https.go, splunk.go, elastic.go, syslog.go: protocols
package siem

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound   = fault.New(fault.NotFound, "LOG_STREAM_UNKNOWN", "no such log stream")
	ErrInvalid    = fault.New(fault.Invalid, "LOG_STREAM_INVALID", "the log stream cannot be as described")
	ErrAddress    = fault.New(fault.Invalid, "LOG_STREAM_ADDRESS_FORBIDDEN", "this address is not of the public Internet: the operators of this installation allow networks of their own by BIOCORE_FETCH_NETWORKS")
	ErrCredential = fault.New(fault.Invalid, "LOG_STREAM_CREDENTIAL_INVALID", "this kind of log stream needs another credential")
	ErrName       = fault.New(fault.Conflict, "LOG_STREAM_NAME_TAKEN", "there is a log stream of this name")
	ErrTooMany    = fault.New(fault.Precondition, "TOO_MANY_LOG_STREAMS", "there are 10 log streams, which is the limit: delete one first")
	ErrCursor     = fault.New(fault.Invalid, "LOG_STREAM_CURSOR_INVALID", "a log stream is replayed from a number that the log has, or from a time")
)

// Kind is what a sink speaks.
type Kind string

// The kinds.
const (
	Splunk        Kind = "SPLUNK_HEC"    // HTTP Event Collector
	Elasticsearch Kind = "ELASTICSEARCH" // _bulk, of OpenSearch too
	Syslog        Kind = "SYSLOG_TLS"    // RFC 5424 over TLS: RFC 5425
	HTTPS         Kind = "HTTPS"         // JSON, signed as Standard Webhooks has it
)

// Kinds returns them all.
func Kinds() []Kind { return []Kind{Splunk, Elasticsearch, Syslog, HTTPS} }

// Format is how an entry is written.
type Format string

// The formats.
const (
	JSON Format = "JSON" // as the API answers entries
	OCSF Format = "OCSF" // Open Cybersecurity Schema Framework, of OCSFVersion
	ECS  Format = "ECS"  // Elastic Common Schema, of ECSVersion
)

// Formats returns them all.
func Formats() []Format { return []Format{JSON, OCSF, ECS} }

// State is how a stream is.
type State string

// The states.
const (
	Active  State = "ACTIVE"
	Paused  State = "PAUSED"  // by somebody: nothing is sent until it is resumed
	Failing State = "FAILING" // the last delivery has failed; it is tried again and again
)

// Config is what people settle of a stream.
type Config struct {
	Name   string // 1 to 80 characters, of no other stream of the tenant
	Kind   Kind   // does not change
	Format Format

	// Address is https://host[:port] of Splunk and Elasticsearch, with a path where they have one,
	// the whole URL of an HTTPS sink, and host:port of a syslog server.
	Address string
	// Index is the index or data stream of Elasticsearch, which is required, and of Splunk; empty: the
	// token's own.
	Index string
	// Acknowledge, of Splunk alone, waits until events are indexed: the token has indexer
	// acknowledgment on.
	Acknowledge bool
	// CACertificates, in PEM, are who the sink's certificate must come from; empty: the system's.
	CACertificates string

	Actions  []string        // prefixes of actions that are sent, such as credential. or apikey.create; none: all
	Outcomes []audit.Outcome // that are sent; none: all
	Redact   []string        // members of entries that are left out: see Redactable

	// RedactKinds are kinds of personal data and secrets, see KindNames, that a mark takes the place of wherever a
	// text of an entry holds one; an entry that holds one of BlockKinds is not sent. Kinds in neither are sent.
	RedactKinds, BlockKinds []string
}

// Sink is a stream and where it is.
type Sink struct {
	Config

	ID            uuid.UUID
	State         State
	HasCredential bool
	CreatedBy     string // kind:id
	CreatedAt     time.Time
	UpdatedBy     string
	UpdatedAt     time.Time
	ETag          string // of what people change

	NextSeq       int64 // the first entry that was not acknowledged
	Behind        int64 // how many entries the log has from there on
	Sent          int64 // acknowledged since it was made, repeats included
	Rejected      int64 // refused by the sink for good, see Rejects
	Missed        int64 // archived before they could be sent
	Blocked       int64 // not sent, for BlockKinds; see Rejects
	Failures      int   // in a row
	LastSuccessAt *time.Time
	LastError     string // in our words; empty: never
	LastErrorAt   *time.Time
	RetryAt       *time.Time // nil unless it is failing

	// Oldest is when the entry at NextSeq was sequenced; nil when nothing is behind. Of Get alone.
	Oldest *time.Time
}

// Bounds of streams.
const (
	maxSinks    = 10
	maxName     = 80 // characters
	maxListed   = 32 // actions of a filter
	keepRejects = 1000
)

// Options configures a Service. Store, Keys and Trail are required.
type Options struct {
	Store *db.Store
	Keys  *keys.Service
	Trail *trail.Reader
	Log   *slog.Logger // nil means slog.Default

	// Allowed are networks whose servers may be sent to although they are not of the public Internet.
	Allowed []netip.Prefix
	// Resolver finds addresses; nil means the system's.
	Resolver *net.Resolver
	// Roots are who certificates must come from where a stream names nobody; nil means the system's.
	Roots *x509.CertPool
	// Host is what this installation is called in syslog: a domain.
	Host string
}

// Service keeps streams and delivers them. It is safe for concurrent use.
type Service struct {
	store *db.Store
	keys  *keys.Service
	trail *trail.Reader
	log   *slog.Logger
	wire  wire

	timing timing
	counts counts
	sums   sums

	// step is for tests: it is told what a delivery is about to do, and an error breaks it off there.
	step func(at string) error
}

// timing is how long things may take; tests have others.
type timing struct {
	dial, answer time.Duration // of the sink
	acknowledge  time.Duration // until Splunk has indexed
	poll         time.Duration // between two questions about it
	lease        time.Duration
	turn         time.Duration // of one delivery, before others have theirs
	backoff      time.Duration // after the first failure
	maxBackoff   time.Duration
}

var usual = timing{
	dial: 10 * time.Second, answer: 30 * time.Second, acknowledge: 60 * time.Second, poll: time.Second,
	lease: 3 * time.Minute, turn: 30 * time.Second, backoff: 2 * time.Second, maxBackoff: 5 * time.Minute,
}

// New returns a Service. Run delivers.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, trail: o.Trail, log: o.Log, timing: usual}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.wire = wire{allowed: o.Allowed, resolver: o.Resolver, roots: o.Roots, host: o.Host, now: o.Store.Now, timing: &s.timing}
	return s
}

// ParseID reads the id of a stream; what is none is ErrNotFound.
func ParseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, ErrNotFound
	}
	return id, nil
}

// List returns all of the tenant's streams by name: at most ten.
func (s *Service) List(ctx context.Context, sc scope.Scope) ([]Sink, error) {
	var out []Sink
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListSinks(ctx)
		if err != nil {
			return fmt.Errorf("list log streams: %w", err)
		}
		size, err := trail.SizeIn(ctx, tx)
		if err != nil {
			return err
		}
		out = make([]Sink, len(rows))
		for i, row := range rows {
			out[i] = fromRow(row, size)
		}
		return nil
	})
	return out, err
}

// Get returns one stream. Another tenant's is ErrNotFound.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Sink, error) {
	var out Sink
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetSink(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get log stream: %w", err)
		}
		size, err := trail.SizeIn(ctx, tx)
		if err != nil {
			return err
		}
		out = fromRow(row, size)
		if out.Behind > 0 {
			out.Oldest, err = trail.SequencedAtIn(ctx, tx, out.NextSeq)
		}
		return err
	})
	return out, err
}

// Reject is an entry that a sink has refused for good, or that a rule of the stream has blocked.
type Reject struct {
	Seq    int64
	At     time.Time
	Reason string // in the sink's words, cut; in ours where it was blocked
}

// Rejects returns the latest entries that a sink has refused for good, at most limit. ErrNotFound.
func (s *Service) Rejects(ctx context.Context, sc scope.Scope, id uuid.UUID, limit int) ([]Reject, error) {
	var out []Reject
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := tx.GetSink(ctx, id); db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get log stream: %w", err)
		}
		rows, err := tx.ListRejects(ctx, tenantq.ListRejectsParams{SinkID: id, MaxRows: int32(min(limit, keepRejects))}) //nolint:gosec // bounded
		if err != nil {
			return fmt.Errorf("list rejects: %w", err)
		}
		out = make([]Reject, len(rows))
		for i, row := range rows {
			out[i] = Reject{Seq: row.Seq, At: row.At, Reason: row.Reason}
		}
		return nil
	})
	return out, err
}

func etagOf(row *tenantq.SiemSink) string { return etag.Of("logstream", row.ID[:], row.Version) }

// fromRow is a row while the log has size entries.
func fromRow(row tenantq.SiemSink, size int64) Sink {
	s := Sink{
		Config: configOf(&row), ID: row.ID, State: State(row.State), HasCredential: row.Credential != nil,
		CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt, UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt, ETag: etagOf(&row),
		NextSeq: row.NextSeq, Behind: max(size-row.NextSeq, 0), Sent: row.Sent, Rejected: row.Rejected, Missed: row.Missed, Blocked: row.Blocked, Failures: int(row.Failures),
		LastSuccessAt: row.LastSuccessAt, LastError: row.LastError, LastErrorAt: row.LastErrorAt,
	}
	if s.State == Active && s.Failures > 0 {
		s.State, s.RetryAt = Failing, &row.DueAt
	}
	return s
}

func configOf(row *tenantq.SiemSink) Config {
	c := Config{
		Name: row.Name, Kind: Kind(row.Kind), Format: Format(row.Format), Address: row.Address, Index: row.IndexName, Acknowledge: row.Acknowledge,
		CACertificates: row.CaCertificates, Actions: row.Actions, Redact: row.Redact, RedactKinds: row.RedactKinds, BlockKinds: row.BlockKinds,
	}
	for _, o := range row.Outcomes {
		c.Outcomes = append(c.Outcomes, audit.Outcome(o))
	}
	return c
}
