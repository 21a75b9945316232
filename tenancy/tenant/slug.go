package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
)

// slugs remembers whose a slug is. A slug never changes its tenant, so what is
// known stays known; what is absent may be made the next moment, so it is only
// remembered long enough to blunt a flood of guesses at a public page.
type slugs struct {
	mu     sync.RWMutex
	known  map[string]uuid.UUID
	absent map[string]time.Time // when it was looked for
}

const (
	maxAbsentSlugs = 1_000
	absentLife     = 2 * time.Second
)

// Resolve returns the tenant of a slug, for public pages that name a tenant in
// their path: its key set, its configuration. It says nothing about whether the
// tenant works. ErrNotFound for every slug that was never given out; ratelimit.ErrLimited for
// who asks for many of those from the address from.
func (s *Service) Resolve(ctx context.Context, slug string, from netip.Addr) (uuid.UUID, error) {
	if checkSlug(slug) != nil {
		return uuid.Nil, ErrNotFound
	}
	s.slugs.mu.RLock()
	id, ok := s.slugs.known[slug]
	looked, missing := s.slugs.absent[slug]
	s.slugs.mu.RUnlock()
	if ok {
		return id, nil
	}
	now := s.store.Now()
	if missing && now.Sub(looked) < absentLife {
		return uuid.Nil, ErrNotFound
	}
	if err := s.guesses.Take(from); err != nil {
		return uuid.Nil, err
	}
	err := s.store.InPlatform(ctx, "resolve slug", func(tx *db.PlatformTx) error {
		row, err := tx.GetTenantBySlug(ctx, slug)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant by slug: %w", err)
		}
		id = row.ID
		return nil
	})
	if !errors.Is(err, ErrNotFound) {
		s.guesses.Return(from)
	}
	s.slugs.mu.Lock()
	defer s.slugs.mu.Unlock()
	switch {
	case err == nil:
		if len(s.slugs.known) >= maxCached {
			clear(s.slugs.known)
		}
		s.slugs.known[slug] = id
		delete(s.slugs.absent, slug)
	case errors.Is(err, ErrNotFound):
		if len(s.slugs.absent) >= maxAbsentSlugs {
			clear(s.slugs.absent)
		}
		s.slugs.absent[slug] = now
	}
	return id, err
}
