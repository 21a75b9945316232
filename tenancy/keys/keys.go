// Package keys holds what a tenant's secrets rest on, in three steps:
//
//	KMS key → wraps → tenant data key → derives → one key for each use
//
// The data key is 32 random bytes, stored wrapped by the KMS with the tenant and
// the key's version as associated data. It encrypts nothing itself: HKDF-SHA-256
// derives a key for each sealed field, token purpose, blind index and MAC, so that
// none of them can be mistaken for another. Sealing is XAES-256-GCM.
//
// Service talks to Postgres and the KMS and hands out a Ring: one tenant's keys,
// opened. A Ring is immutable and cached, so the KMS is needed when a tenant is
// first met (or its keys change) and never while a request is served from a Ring.
//
// A new data key version opens at once and seals only after sealAfter, when every
// server has it: a Ring therefore never meets a version that it lacks, and a forged
// version cannot make it look one up.
package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrNoKeys means that the tenant has no data key: it does not exist, or its keys
// were destroyed with it. It is no fault: an authenticated caller's tenant has keys.
var ErrNoKeys = errors.New("the tenant has no data key")

// Options configures a Service.
type Options struct {
	Store *db.Store        // required
	KMS   KMS              // required
	Now   func() time.Time // nil means Store.Now
	Rand  io.Reader        // nil means crypto/rand
}

// Service makes and opens tenants' keys. It is safe for concurrent use.
type Service struct {
	store *db.Store
	kms   KMS
	now   func() time.Time
	rand  io.Reader
	rings *db.Cache[*Ring]

	mu        sync.Mutex
	unwrapped map[[32]byte][]byte // by SHA-256 of everything that Unwrap is given
}

const (
	maxRings = 20_000
	// ringLife bounds how long a ring is used although nothing announced a change. It
	// must be longer than sealAfter and is otherwise a matter of taste.
	ringLife = 10 * time.Minute
	// sealAfter is how long a data key version waits before it seals. Every server's
	// ring knows it by then, since none is believed for over a second after a change.
	sealAfter = 5 * time.Second

	keyBytes = 32
)

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, kms: o.KMS, now: o.Now, rand: o.Rand, unwrapped: map[[32]byte][]byte{}}
	if s.now == nil {
		s.now = o.Store.Now
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	s.rings = db.NewCache[*Ring](o.Store, db.NounTenant, maxRings, ringLife)
	return s
}

// Minted are a tenant's first keys, made and wrapped but not yet stored.
type Minted struct {
	dataKey    tenantq.InsertDataKeyParams
	signingKey tenantq.InsertSigningKeyParams
}

// Mint makes a tenant's first data key and its first ES256 signing key. It speaks to
// the KMS and to nothing else: call it before the transaction that calls Insert.
func (s *Service) Mint(ctx context.Context, tenant uuid.UUID) (*Minted, error) {
	plain := make([]byte, keyBytes)
	if _, err := io.ReadFull(s.rand, plain); err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	const version = 1
	wrapped, err := s.kms.Wrap(ctx, plain, wrapAD(tenant, version))
	if err != nil {
		return nil, fmt.Errorf("wrap data key: %w", err)
	}
	now := s.now()
	ring, err := newRing(tenant, []dataKey{{version: version, secret: plain}}, now)
	if err != nil {
		return nil, err
	}
	signing, err := mintSigningKey(ring, s.rand)
	if err != nil {
		return nil, err
	}
	signing.State, signing.CreatedAt = stateActive, now
	return &Minted{
		dataKey: tenantq.InsertDataKeyParams{
			Version: version, Wrapped: wrapped, KmsKey: s.kms.KeyName(), CreatedAt: now,
		},
		signingKey: signing,
	}, nil
}

// Insert stores the keys in the transaction that creates their tenant.
func (m *Minted) Insert(ctx context.Context, tx *db.TenantTx) error {
	if err := tx.InsertDataKey(ctx, m.dataKey); err != nil {
		return fmt.Errorf("insert data key: %w", err)
	}
	if err := tx.InsertSigningKey(ctx, m.signingKey); err != nil {
		return fmt.Errorf("insert signing key: %w", err)
	}
	return nil
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

// Ring returns the tenant's keys, opened. ErrNoKeys when it has none.
func (s *Service) Ring(ctx context.Context, sc scope.Scope) (*Ring, error) {
	if r, ok := s.rings.Peek(sc.Tenant(), ""); ok {
		return r, nil
	}
	return s.rings.Get(ctx, sc.Tenant(), "", func(ctx context.Context) (*Ring, error) { return s.load(ctx, sc) })
}

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
	for _, w := range wrapped {
		secret, err := s.unwrap(ctx, sc.Tenant(), w)
		if err != nil {
			return nil, fmt.Errorf("open data key %d: %w", w.Version, err)
		}
		opened = append(opened, dataKey{version: uint32(w.Version), secret: secret, created: w.CreatedAt}) //nolint:gosec // positive, by the table's check
	}
	ring, err := newRing(sc.Tenant(), opened, s.now())
	if err != nil {
		return nil, err
	}
	if err := ring.addSigningKeys(signing); err != nil {
		return nil, err
	}
	return ring, nil
}

// maxUnwrapped bounds what unwrap remembers: a data key is 32 bytes.
const maxUnwrapped = 2 * maxRings

func (s *Service) unwrap(ctx context.Context, tenant uuid.UUID, row tenantq.ListDataKeysRow) ([]byte, error) {
	ad := wrapAD(tenant, uint32(row.Version)) //nolint:gosec // positive, by the table's check
	id := sha256.Sum256(bytes.Join([][]byte{ad, []byte(row.KmsKey), row.Wrapped}, []byte{0}))
	s.mu.Lock()
	secret, ok := s.unwrapped[id]
	s.mu.Unlock()
	if ok {
		return secret, nil
	}
	secret, err := s.kms.Unwrap(ctx, row.KmsKey, row.Wrapped, ad)
	if err != nil {
		return nil, err
	}
	if len(secret) != keyBytes {
		return nil, errors.New("a data key has 32 bytes")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unwrapped) >= maxUnwrapped {
		for old := range s.unwrapped { // map order is random enough to evict by
			delete(s.unwrapped, old)
			break
		}
	}
	s.unwrapped[id] = secret
	return secret, nil
}

// wrapAD binds a wrapped data key to its tenant and version.
func wrapAD(tenant uuid.UUID, version uint32) []byte {
	ad := append([]byte("biocore data key v1\x00"), tenant[:]...)
	return binary.BigEndian.AppendUint32(ad, version)
}
