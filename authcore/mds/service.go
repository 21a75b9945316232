package mds

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrSource is returned by Sync for a source that gave no BLOB.
var ErrSource = errors.New("the metadata cannot be fetched")

const (
	// pollEvery is how long another server may go on with an older BLOB.
	pollEvery = 3 * time.Second
	// checkEvery: the BLOB changes about once a month, and within a day when a model breaks.
	checkEvery = 24 * time.Hour
	// applyEvery is how late a tenant's newer credentials of a reported model are found.
	applyEvery = 24 * time.Hour
)

// ServiceOptions configures a Service.
type ServiceOptions struct {
	Store *db.Store // required

	// Fetch reads a source, and at most MaxBytes of it: a URL. Required for Sync; who
	// speaks HTTP is not this package's business.
	Fetch func(ctx context.Context, source string) ([]byte, error)

	// Source is where SyncIfDue looks; empty: nowhere.
	Source string

	// Roots are what BLOBs are verified by; nil: the FIDO Alliance's, for Host.
	Roots *x509.CertPool

	// MaxUnparsed is the part of a BLOB's entries that may be unreadable, 0 to 1.
	MaxUnparsed float64

	Log *slog.Logger // nil means slog.Default
}

// Service keeps the last BLOB that was good, for all tenants. It is safe for concurrent
// use. What cannot be verified, or is older than what is known, changes nothing.
type Service struct {
	o        ServiceOptions
	current  atomic.Pointer[Snapshot]
	failures atomic.Int64
	loading  sync.Mutex // one load at a time, so that an older one never ends last
}

// New returns a Service that knows nothing until Run, Load or Sync.
func New(o ServiceOptions) (*Service, error) {
	if o.Store == nil {
		return nil, errors.New("mds: ServiceOptions.Store is required")
	}
	if o.MaxUnparsed < 0 || o.MaxUnparsed > 1 {
		return nil, errors.New("mds: ServiceOptions.MaxUnparsed is 0 to 1")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Service{o: o}, nil
}

// Current returns what this server knows now; nil while it knows nothing.
func (s *Service) Current() *Snapshot { return s.current.Load() }

// Failures returns how often Sync has failed since the start, for metrics.
func (s *Service) Failures() int64 { return s.failures.Load() }

// Run follows what is stored until ctx ends, so that every server knows the same within
// seconds.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	told, stale := "", false
	for {
		err := s.Load(ctx)
		if text := textOf(err); ctx.Err() == nil && text != told { // once for each problem, not every few seconds
			told = text
			if err != nil {
				s.o.Log.ErrorContext(ctx, "stored metadata cannot be used", "err", err)
			}
		}
		if snap := s.Current(); snap != nil {
			if is := snap.Stale(s.o.Store.Now()); is != stale {
				stale = is
				if is {
					s.o.Log.WarnContext(ctx, "metadata of authenticators is stale: the next was due", "version", snap.Number)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Load reads what is stored if it is newer than what this server knows. On an error what
// it knows stays.
func (s *Service) Load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	state, err := s.State(ctx)
	if err != nil || state == nil {
		return err
	}
	if known := s.Current(); known != nil && known.Number >= state.Number {
		return nil
	}
	var row platformq.MetadataBlob
	err = s.o.Store.InPlatform(ctx, "load metadata", func(tx *db.PlatformTx) (err error) {
		row, err = tx.GetMetadataBlob(ctx, int32(state.Number)) //nolint:gosec // it was read from there
		return err
	})
	if err != nil {
		return fmt.Errorf("get metadata: %w", err)
	}
	// The database is not trusted to say who is to be trusted: the signature is verified
	// again, at the time at which it was first. Certificates of the signer that have
	// expired since do not undo what they signed.
	snap, err := s.parse(row.Blob, row.FetchedAt)
	if err != nil {
		return fmt.Errorf("metadata %d: %w", row.Number, err)
	}
	s.current.Store(snap)
	s.o.Log.InfoContext(ctx, "metadata of authenticators loaded", "version", snap.Number, "count", snap.Len())
	return nil
}

func (s *Service) parse(blob []byte, at time.Time) (*Snapshot, error) {
	return Parse(blob, Options{Roots: s.o.Roots, At: at, MaxUnparsed: s.o.MaxUnparsed})
}

// State is what is known of the newest BLOB that is stored.
type State struct {
	Number     int
	NextUpdate time.Time
	Entries    int
	Unparsed   int // of them, those that could not be read
	Source     string
	FetchedAt  time.Time
	CheckedAt  time.Time  // when its source had nothing newer, last
	AppliedAt  *time.Time // when tenants' credentials were compared with it, last
}

// Stale reports whether the next BLOB is overdue.
func (s *State) Stale(now time.Time) bool { return (&Snapshot{NextUpdate: s.NextUpdate}).Stale(now) }

// State returns what is stored; nil for nothing.
func (s *Service) State(ctx context.Context) (*State, error) {
	var state *State
	err := s.o.Store.InPlatform(ctx, "look at the metadata", func(tx *db.PlatformTx) error {
		row, err := tx.GetMetadataState(ctx)
		if db.IsNoRows(err) {
			state = nil
			return nil
		} else if err != nil {
			return fmt.Errorf("get metadata's state: %w", err)
		}
		state = &State{
			Number: int(row.Number), NextUpdate: row.NextUpdate.UTC(), Entries: int(row.Entries), Unparsed: int(row.Unparsed), Source: row.Source,
			FetchedAt: row.FetchedAt.UTC(), CheckedAt: row.CheckedAt.UTC(), AppliedAt: row.AppliedAt,
		}
		return nil
	})
	return state, err
}

// Synced says what Sync did.
type Synced struct {
	Snapshot *Snapshot
	Before   int      // the number that was known; -1 for none
	Changed  bool     // false: the source has what is known
	Changes  []Change // what is reported otherwise than before
}

// SyncRequest says where from, and who wants it.
type SyncRequest struct {
	Source string      // a URL; empty: ServiceOptions.Source
	Actor  scope.Actor // for the audit log
}

// Sync fetches a BLOB, verifies it, and keeps it if its number is greater than that of
// what is stored; other servers follow within seconds. The same number is no change. It
// is idempotent, and servers may do it at once: the greatest number counts.
//
// ErrSource, ErrRollback, and the errors of Parse: then everything stays as it is.
func (s *Service) Sync(ctx context.Context, req SyncRequest) (Synced, error) {
	done, err := s.sync(ctx, req)
	if err != nil {
		s.failures.Add(1)
	}
	return done, err
}

func (s *Service) sync(ctx context.Context, req SyncRequest) (Synced, error) {
	if req.Source == "" {
		req.Source = s.o.Source
	}
	if req.Source == "" || s.o.Fetch == nil {
		return Synced{}, fmt.Errorf("%w: no source is configured", ErrSource)
	}
	blob, err := s.o.Fetch(ctx, req.Source)
	if err != nil {
		return Synced{}, fmt.Errorf("%w: %w", ErrSource, err)
	}
	now := s.o.Store.Now()
	snap, err := s.parse(blob, now)
	if err != nil {
		return Synced{}, err
	}
	// What other roots vouched for, before the operator named these, is another series of
	// numbers: it is replaced, whatever its number. Broken bytes are not: who can break them
	// must not thereby be able to bring back what is old.
	stored := s.Load(ctx)
	foreign := errors.Is(stored, ErrChain)
	if stored != nil {
		s.o.Log.WarnContext(ctx, "stored metadata cannot be used", "err", stored)
	}
	done := Synced{Snapshot: snap}
	err = s.o.Store.InPlatform(ctx, "keep metadata", func(tx *db.PlatformTx) error {
		done.Before, done.Changed = -1, false // this may be the second run
		if foreign {
			if err := tx.DeleteMetadataBlobs(ctx); err != nil {
				return fmt.Errorf("delete metadata: %w", err)
			}
		}
		switch row, err := tx.GetMetadataState(ctx); {
		case db.IsNoRows(err):
		case err != nil:
			return fmt.Errorf("get metadata's state: %w", err)
		default:
			done.Before = int(row.Number)
		}
		switch {
		case snap.Number < done.Before:
			return fmt.Errorf("%w: its number is %d, and %d is known", ErrRollback, snap.Number, done.Before)
		case snap.Number == done.Before:
			return tx.SetMetadataChecked(ctx, platformq.SetMetadataCheckedParams{Number: int32(snap.Number), Now: now}) //nolint:gosec // bounded by Parse
		}
		return s.keep(ctx, tx, req, snap, blob, now, &done)
	})
	if err != nil || !done.Changed {
		return done, err
	}
	done.Changes = Changes(s.Current(), snap, now)
	return done, s.Load(ctx)
}

// keep stores a BLOB that is newer than all others. Two servers that keep different ones
// at once leave both, of which the greater number counts, whichever committed last.
func (s *Service) keep(ctx context.Context, tx *db.PlatformTx, req SyncRequest, snap *Snapshot, blob []byte, now time.Time, done *Synced) error {
	n, err := tx.InsertMetadataBlob(ctx, platformq.InsertMetadataBlobParams{
		Number: int32(snap.Number), Blob: blob, NextUpdate: snap.NextUpdate, Entries: int32(snap.Len() + snap.Unparsed), //nolint:gosec // bounded by Parse
		Unparsed: int32(snap.Unparsed), Source: req.Source, Now: now, //nolint:gosec // bounded by Parse
	})
	if err != nil {
		return fmt.Errorf("insert metadata: %w", err)
	}
	if done.Changed = n > 0; !done.Changed { // another server has just done the same
		return nil
	}
	if err := tx.DeleteOldMetadataBlobs(ctx); err != nil {
		return fmt.Errorf("delete old metadata: %w", err)
	}
	home, err := tx.AsTenant(ctx, scope.New(scope.PlatformTenant, req.Actor))
	if err != nil {
		return err
	}
	return audit.Append(ctx, home, audit.Entry{
		Action: "metadata.sync", Target: audit.Target{Kind: "metadata", ID: fmt.Sprint(snap.Number)},
		Detail: []attr.Attr{
			attr.Text("source", req.Source), attr.Int("before", int64(done.Before)), attr.Int("entries", int64(snap.Len())),
			attr.Int("unparsed", int64(snap.Unparsed)), attr.Text("nextUpdate", snap.NextUpdate.Format(time.DateOnly)),
		},
	})
}

// SyncIfDue syncs from the configured source if it was not asked within a day, or if the
// next BLOB is due. Without a source it does nothing.
func (s *Service) SyncIfDue(ctx context.Context) error {
	if s.o.Source == "" {
		return nil
	}
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	if state != nil {
		now := s.o.Store.Now()
		if now.Before(state.NextUpdate) && now.Sub(state.CheckedAt) < checkEvery && state.Source == s.o.Source {
			return nil
		}
	}
	_, err = s.Sync(ctx, SyncRequest{Actor: scope.Actor{Kind: scope.ActorSystem, ID: "job:metadata_sync"}})
	return err
}

// Apply calls each with all tenants, page by page, if the newest BLOB was not applied yet,
// or not within a day: their credentials are to be compared with it. After an error it is
// due again.
func (s *Service) Apply(ctx context.Context, each func([]uuid.UUID) error) error {
	const page = 500
	state, err := s.State(ctx)
	if err != nil || state == nil {
		return err
	}
	now := s.o.Store.Now()
	if state.AppliedAt != nil && now.Sub(*state.AppliedAt) < applyEvery {
		return nil
	}
	var after uuid.UUID
	for {
		var rows []platformq.ListTenantIDsRow
		err := s.o.Store.InPlatform(ctx, "list tenants to apply metadata to", func(tx *db.PlatformTx) (err error) {
			rows, err = tx.ListTenantIDs(ctx, platformq.ListTenantIDsParams{AfterID: after, MaxRows: page})
			return err
		})
		if err != nil {
			return fmt.Errorf("list tenants: %w", err)
		}
		var ids []uuid.UUID
		for _, row := range rows {
			after = row.ID
			if row.ID != scope.PlatformTenant && row.State != "DELETING" {
				ids = append(ids, row.ID)
			}
		}
		if len(ids) > 0 {
			if err := each(ids); err != nil {
				return err
			}
		}
		if len(rows) < page {
			break
		}
	}
	return s.o.Store.InPlatform(ctx, "metadata is applied", func(tx *db.PlatformTx) error {
		return tx.SetMetadataApplied(ctx, platformq.SetMetadataAppliedParams{Number: int32(state.Number), Now: now}) //nolint:gosec // it was read from there
	})
}
