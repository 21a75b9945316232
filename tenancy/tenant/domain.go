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
	"github.com/biocore-id/biocore/tenancy/rp"
)

// domains remembers whose an RP ID is, for a moment: unlike a slug it can move. What it
// remembers blunts floods and says nothing that a tenant's own snapshot would not.
type domains struct {
	mu    sync.Mutex
	known map[string]domainOwner
}

type domainOwner struct {
	id     uuid.UUID // zero: nobody's
	looked time.Time
}

const (
	maxDomains = 1_000
	domainLife = 2 * time.Second
)

// ResolveDomain returns the tenant whose RP ID domain is, for documents that browsers
// look for at that domain. Nothing stops two tenants from naming one domain, and such a
// document says which other pages and apps may use its passkeys: so a live tenant that has
// proven the domain comes before those in test mode, one that has not is not meant, and of
// two in the same mode neither is. ErrNotFound then, and for everybody else's domain;
// ratelimit.ErrLimited for who asks for many of those from the address from.
func (s *Service) ResolveDomain(ctx context.Context, domain string, from netip.Addr) (uuid.UUID, error) {
	if rp.CheckDomain(domain) != nil || s.isConsole(domain) {
		return uuid.Nil, ErrNotFound
	}
	now := s.store.Now()
	if id, ok := s.domains.recall(domain, now); ok {
		if id == uuid.Nil {
			return uuid.Nil, ErrNotFound
		}
		return id, nil
	}
	if err := s.guesses.Take(from); err != nil {
		return uuid.Nil, err
	}
	var id uuid.UUID
	err := s.store.InPlatform(ctx, "resolve RP ID", func(tx *db.PlatformTx) error {
		rows, err := tx.ListTenantsOfRPID(ctx, domain)
		if err != nil {
			return fmt.Errorf("list tenants of RP ID: %w", err)
		}
		if len(rows) == 0 || len(rows) > 1 && rows[0].Mode == rows[1].Mode { // LIVE comes first
			return ErrNotFound
		}
		id = rows[0].ID
		return nil
	})
	if err == nil || errors.Is(err, ErrNotFound) {
		s.domains.note(domain, domainOwner{id, now})
	}
	if !errors.Is(err, ErrNotFound) {
		s.guesses.Return(from)
	}
	return id, err
}

func (d *domains) recall(domain string, now time.Time) (uuid.UUID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	owner, ok := d.known[domain]
	return owner.id, ok && now.Sub(owner.looked) < domainLife
}

func (d *domains) note(domain string, owner domainOwner) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxDomains {
		clear(d.known)
	}
	d.known[domain] = owner
}
