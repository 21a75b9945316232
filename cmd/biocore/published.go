package main

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/web/rpc"
	"github.com/biocore-id/biocore/web/wellknown"
)

// published returns the scope in which the server reads what it publishes of the tenant
// of a slug. Whoever guesses slugs is bounded: see tenant.Service.Resolve.
func (p *platform) published(ctx context.Context, slug string) (scope.Scope, error) {
	id, err := p.tenants.Resolve(ctx, slug, rpc.OriginFromContext(ctx).Address)
	if err != nil {
		return scope.Scope{}, err
	}
	return scope.New(id, publisher), nil
}

// publisher reads what anybody may read.
var publisher = scope.Actor{Kind: scope.ActorSystem, ID: "published"}

// described returns the tenant of a slug as it is; tenant.ErrNotFound also of one that is
// being deleted, of which nothing is published any more.
func (p *platform) described(ctx context.Context, slug string) (*tenant.Snapshot, error) {
	sc, err := p.published(ctx, slug)
	if err != nil {
		return nil, err
	}
	return p.snapshot(ctx, sc.Tenant())
}

func (p *platform) snapshot(ctx context.Context, id uuid.UUID) (*tenant.Snapshot, error) {
	snap, err := p.tenants.Current(ctx, scope.New(id, publisher))
	if err != nil {
		return nil, err
	}
	if snap.State == tenant.Deleting {
		return nil, tenant.ErrNotFound
	}
	return snap, nil
}

// keySet answers a tenant's public keys by its slug. It does not look at the tenant's
// state: keys that are opened go on when Postgres does not answer.
func (p *platform) keySet(ctx context.Context, slug string) ([]byte, error) {
	sc, err := p.published(ctx, slug)
	if err != nil {
		return nil, err
	}
	ring, err := p.keys.Ring(ctx, sc)
	if errors.Is(err, keys.ErrNoKeys) { // destroyed: no reader should come again for them
		return nil, tenant.ErrNotFound.WithCause(err)
	} else if err != nil {
		return nil, err
	}
	return ring.JWKS(), nil
}

// configuration answers a tenant's biocore-configuration by its slug.
func (p *platform) configuration(ctx context.Context, slug string) ([]byte, error) {
	snap, err := p.described(ctx, slug)
	if err != nil {
		return nil, err
	}
	return wellknown.JSON(wellknown.ConfigurationOf(p.cfg.PublicURL, &snap.Tenant))
}

// logo answers a tenant's logo by its slug and its digest.
func (p *platform) logo(ctx context.Context, slug, sha256 string) ([]byte, error) {
	snap, err := p.described(ctx, slug)
	if err != nil {
		return nil, err
	}
	if sha256 != snap.Brand.LogoSHA256 { // without asking Postgres
		return nil, tenant.ErrNoLogo
	}
	return p.tenants.Logo(ctx, scope.New(snap.ID, publisher), sha256)
}

// metadata answers a tenant's OAuth metadata by its slug.
func (p *platform) metadata(ctx context.Context, slug string) ([]byte, error) {
	snap, err := p.described(ctx, slug)
	if err != nil {
		return nil, err
	}
	return wellknown.JSON(wellknown.MetadataOf(p.cfg.PublicURL, snap.Slug))
}

// place answers a document that is looked for below a relying party's own domain, of the
// tenant with this slug or, without one, of the tenant whose RP ID host is. What it says
// are the tenant's settings: host only chooses whose.
func (p *platform) place(document func(*tenant.Tenant) any) func(ctx context.Context, slug, host string) ([]byte, error) {
	return func(ctx context.Context, slug, host string) ([]byte, error) {
		var snap *tenant.Snapshot
		var err error
		if slug != "" {
			snap, err = p.described(ctx, slug)
		} else {
			var id uuid.UUID
			if id, err = p.tenants.ResolveDomain(ctx, host, rpc.OriginFromContext(ctx).Address); err != nil {
				return nil, err
			}
			snap, err = p.snapshot(ctx, id)
		}
		if err != nil {
			return nil, err
		}
		return wellknown.JSON(document(&snap.Tenant))
	}
}
