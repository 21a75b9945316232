// Package keys holds what a tenant's secrets rest on, in three steps:
//
//	KMS key → wraps → tenant data key → derives → one key for each use
//
// The data key is 32 random bytes, stored wrapped by the KMS with the tenant and
// the key's version as associated data. It encrypts nothing itself: HKDF-SHA-256
// derives a key for each sealed field, token purpose, blind index and MAC, so that
// none of them can be mistaken for another. Sealing is XAES-256-GCM.
//
// Version 0 is the tenant's root. Blind indexes and MACs are derived from it, and it
// seals nothing; what seals is version 1 and its successors, each of which can be
// replaced, drained and destroyed (datakey.go) while indexes stay what they are.
//
// Service talks to Postgres and the KMS and hands out a Ring: one tenant's keys,
// opened. A Ring is immutable and cached, so the KMS is needed when a tenant is
// first met (or its keys change) and never while a request is served from a Ring.
// What the KMS has opened is used for a bounded time without it (unwrap.go).
//
// A new data key version opens at once and seals only after sealAfter, when every
// server has it: a Ring therefore never meets a version that it lacks, and a forged
// version cannot make it look one up.
//
// Signing keys (signing.go) have a life of their own, which lifecycle.go tells.
package keys

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrNoKeys means that the tenant has no data key: it does not exist, or its keys
// were destroyed with it. It is no fault: an authenticated caller's tenant has keys.
var ErrNoKeys = errors.New("the tenant has no data key")

// ErrKeysClosed means that the KMS refuses to open the tenant's data key: this server has
// another KMS key than wrapped it, the key is disabled, or the row was changed.
var ErrKeysClosed = fault.New(fault.Unavailable, "TENANT_KEYS_CLOSED", "the tenant's keys cannot be opened here").WithRetryAfter(30 * time.Second)

// Plan is what a tenant's policy asks of its keys.
type Plan struct {
	Algorithm          string        // of signing keys: ES256, EdDSA or RS256
	InKMS              bool          // signing keys are made in the KMS and never leave it
	Since              time.Time     // when the policy came to say so: a key made later, of another algorithm, was somebody's wish
	RotateSigningAfter time.Duration // age at which a signing key gets its successor; 0: never by itself
	RotateDataAfter    time.Duration // age at which a data key gets its successor; 0: never by itself
	Ending             bool          // the tenant is being deleted: it gets no new keys
}

// Options configures a Service.
type Options struct {
	Store *db.Store        // required
	KMS   KMS              // required
	Now   func() time.Time // nil means Store.Now
	Rand  io.Reader        // nil means crypto/rand
	Log   *slog.Logger     // nil means slog.Default

	// Plan answers what sc's tenant asks of its keys; nil: ES256, and no rotation by itself.
	// It is a function since tenants are built on this package.
	Plan func(ctx context.Context, sc scope.Scope) (Plan, error)

	// Reseal seals anew up to limit values at rest that an older data key of sc's tenant
	// has sealed, beside this package's own, and answers how many: fewer than limit mean
	// that none are left. nil: there are none.
	Reseal func(ctx context.Context, sc scope.Scope, limit int) (int, error)

	// Grace is how long what the KMS has opened is used after it last did, when it gives
	// no answer. 0 means DefaultGrace.
	Grace time.Duration
}

// DefaultGrace is Options.Grace where it is not set: an outage of a cloud's KMS is over by
// then, or is somebody's decision.
const DefaultGrace = time.Hour

// Service makes and opens tenants' keys. It is safe for concurrent use.
type Service struct {
	store  *db.Store
	kms    KMS
	now    func() time.Time
	rand   io.Reader
	log    *slog.Logger
	plan   func(context.Context, scope.Scope) (Plan, error)
	reseal func(context.Context, scope.Scope, int) (int, error)
	rings  *db.Cache[*Ring]
	opened *unwrapper
	check  func(context.Context) error // CheckPlatform: what the KMS must open, beside its own key
}

const (
	maxRings = 20_000
	// ringLife bounds how long a ring is used although nothing announced a change. It
	// must be longer than sealAfter, and is how long a tenant goes on at most after its
	// KMS key was disabled.
	ringLife = 10 * time.Minute
	// sealAfter is how long a data key version waits before it seals. Every server's
	// ring knows it by then, since none is believed for over a second after a change.
	sealAfter = 5 * time.Second

	keyBytes    = 32
	rootVersion = 0
)

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, kms: o.KMS, now: o.Now, rand: o.Rand, log: o.Log, plan: o.Plan, reseal: o.Reseal}
	if s.now == nil {
		s.now = o.Store.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.plan == nil {
		s.plan = func(context.Context, scope.Scope) (Plan, error) { return Plan{Algorithm: ES256}, nil }
	}
	if s.reseal == nil {
		s.reseal = func(context.Context, scope.Scope, int) (int, error) { return 0, nil }
	}
	s.rings = db.NewCache[*Ring](o.Store, db.NounTenant, maxRings, ringLife)
	s.opened = newUnwrapper(o.KMS, o.Grace, s.log)
	s.check = s.CheckPlatform
	return s
}

// Minted are a tenant's first keys, made and wrapped but not yet stored.
type Minted struct {
	dataKeys   []tenantq.InsertDataKeyParams
	signingKey tenantq.InsertSigningKeyParams
}

// Mint makes a tenant's root, its first data key and its first ES256 signing key. It
// speaks to the KMS and to nothing else: call it before the transaction that calls Insert.
func (s *Service) Mint(ctx context.Context, tenant uuid.UUID) (*Minted, error) {
	now := s.now()
	m := &Minted{}
	var opened []dataKey
	for _, version := range []uint32{rootVersion, rootVersion + 1} {
		plain, row, err := s.mintDataKey(ctx, tenant, version, now)
		if err != nil {
			return nil, err
		}
		m.dataKeys = append(m.dataKeys, row)
		opened = append(opened, dataKey{version: version, secret: plain, created: now})
	}
	ring, err := newRing(tenant, opened, now)
	if err != nil {
		return nil, err
	}
	if m.signingKey, err = mintSigningKey(ring, s.rand, ES256); err != nil {
		return nil, err
	}
	m.signingKey.State, m.signingKey.CreatedAt = string(Active), now
	m.signingKey.ActivatedAt, m.signingKey.DueAt = &now, later(now, lookAgainAfter)
	return m, nil
}

// mintDataKey makes a data key and wraps it.
func (s *Service) mintDataKey(ctx context.Context, tenant uuid.UUID, version uint32, now time.Time) ([]byte, tenantq.InsertDataKeyParams, error) {
	plain := make([]byte, keyBytes)
	if _, err := io.ReadFull(s.rand, plain); err != nil {
		return nil, tenantq.InsertDataKeyParams{}, fmt.Errorf("make data key: %w", err)
	}
	wrapped, err := s.kms.Wrap(ctx, plain, wrapAD(tenant, version))
	if err != nil {
		return nil, tenantq.InsertDataKeyParams{}, fmt.Errorf("wrap data key: %w", err)
	}
	row := tenantq.InsertDataKeyParams{
		Version: int32(version), Wrapped: wrapped, KmsKey: s.kms.KeyName(), CreatedAt: now, //nolint:gosec // counts up from 0
	}
	if version != rootVersion {
		row.DueAt = later(now, lookAgainAfter)
	}
	return plain, row, nil
}

// Insert stores the keys in the transaction that creates their tenant, with an audit
// entry for the birth of each.
func (m *Minted) Insert(ctx context.Context, tx *db.TenantTx) error {
	const reason = "tenant created"
	for _, k := range m.dataKeys {
		if err := tx.InsertDataKey(ctx, k); err != nil {
			return fmt.Errorf("insert data key: %w", err)
		}
		if err := recordDataKey(ctx, tx, "datakey.create", uint32(k.Version), reason, attr.Text("kmsKey", k.KmsKey)); err != nil { //nolint:gosec // 0 or 1
			return err
		}
	}
	if err := tx.InsertSigningKey(ctx, m.signingKey); err != nil {
		return fmt.Errorf("insert signing key: %w", err)
	}
	return audit.Append(ctx, tx, audit.Entry{
		Action: "signingkey.create", Target: audit.Target{Kind: "signingkey", ID: m.signingKey.Kid}, Reason: reason,
		Detail: []attr.Attr{attr.Text("algorithm", m.signingKey.Algorithm), attr.Text("location", m.signingKey.Location)},
	})
}

// Create is Mint and Insert in one, for callers that make a tenant with a KMS in
// this process (dev, tests): the transaction waits for the KMS meanwhile.
func (s *Service) Create(ctx context.Context, tx *db.TenantTx) error {
	m, err := s.Mint(ctx, tx.Scope().Tenant())
	if err != nil {
		return err
	}
	return m.Insert(ctx, tx)
}

// Ensure gives the tenant its first keys if it has none: for the platform tenant,
// which a migration makes. Several servers may do so at once; one wins.
func (s *Service) Ensure(ctx context.Context, sc scope.Scope) error {
	_, err := s.Ring(ctx, sc)
	if !errors.Is(err, ErrNoKeys) {
		return err
	}
	m, err := s.Mint(ctx, sc.Tenant())
	if err != nil {
		return err
	}
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		if rows, err := tx.ListDataKeys(ctx); err != nil || len(rows) > 0 {
			return err
		}
		if err := m.Insert(ctx, tx); err != nil {
			return err
		}
		return tx.Changed(ctx, db.NounTenant, "")
	})
	if db.IsConstraint(err, "data_keys_pkey") {
		return nil // another server was first
	}
	return err
}

// Ring returns the tenant's keys, opened. ErrNoKeys when it has none,
// ErrKMSUnavailable when they must be opened and the KMS gives no answer.
func (s *Service) Ring(ctx context.Context, sc scope.Scope) (*Ring, error) {
	if r, ok := s.rings.Peek(sc.Tenant(), ""); ok {
		if s.now().Before(r.until) {
			return r, nil
		}
		s.rings.Forget(sc.Tenant(), "")
	}
	// As the server itself: the ring is kept for all callers of the tenant, and support,
	// whose names open by it too, reads no row of a key.
	own := sc.Server("keys")
	return s.rings.Get(ctx, sc.Tenant(), "", func(ctx context.Context) (*Ring, error) { return s.load(ctx, own) })
}

// forget drops what is cached of the tenant's keys here and now: for the server that
// has changed them itself.
func (s *Service) forget(tenant uuid.UUID) { s.rings.Forget(tenant, "") }

// load reads the tenant's keys and opens them. What the KMS answers is kept by
// content, so reading the rows again (the change feed is silent, say) asks the KMS
// nothing new, while a destroyed row is gone at once.
func (s *Service) load(ctx context.Context, sc scope.Scope) (*Ring, error) {
	var wrapped []tenantq.ListDataKeysRow
	var signing []tenantq.ListSigningKeysRow
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if wrapped, err = tx.ListDataKeys(ctx); err != nil {
			return fmt.Errorf("list data keys: %w", err)
		}
		if signing, err = tx.ListSigningKeys(ctx); err != nil {
			return fmt.Errorf("list signing keys: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 {
		return nil, ErrNoKeys
	}
	opened := make([]dataKey, 0, len(wrapped))
	var goodUntil time.Time
	for _, w := range wrapped {
		version := uint32(w.Version) //nolint:gosec // not negative, by the table's check
		secret, until, err := s.opened.open(ctx, sc.Tenant(), version, w.KmsKey, w.Wrapped)
		if err != nil && !errors.Is(err, ErrKMSUnavailable) && ctx.Err() == nil {
			return nil, ErrKeysClosed.WithCause(fmt.Errorf("open data key %d: %w", w.Version, err))
		} else if err != nil {
			return nil, fmt.Errorf("open data key %d: %w", w.Version, err)
		}
		if goodUntil.IsZero() || until.Before(goodUntil) {
			goodUntil = until
		}
		opened = append(opened, dataKey{version: version, secret: secret, created: w.CreatedAt})
	}
	now := s.now()
	ring, err := newRing(sc.Tenant(), opened, now)
	if err != nil {
		return nil, err
	}
	if left := time.Until(goodUntil); now.Add(left).Before(ring.until) { // goodUntil is by this machine's clock
		ring.until = now.Add(left)
	}
	if err := ring.addSigningKeys(signing, s.kms); err != nil {
		return nil, err
	}
	return ring, nil
}

// wrapAD binds a wrapped data key to its tenant and version.
func wrapAD(tenant uuid.UUID, version uint32) []byte {
	ad := append([]byte("biocore data key v1\x00"), tenant[:]...)
	return binary.BigEndian.AppendUint32(ad, version)
}

func later(t time.Time, d time.Duration) *time.Time {
	t = t.Add(d)
	return &t
}
