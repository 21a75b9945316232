package main

import (
	"context"

	"github.com/biocore-id/biocore/tenancy/scope"
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
	return scope.New(id, scope.Actor{Kind: scope.ActorSystem, ID: "published"}), nil
}

// keySet answers a tenant's public keys by its slug.
func (p *platform) keySet(ctx context.Context, slug string) ([]byte, error) {
	sc, err := p.published(ctx, slug)
	if err != nil {
		return nil, err
	}
	ring, err := p.keys.Ring(ctx, sc)
	if err != nil {
		return nil, err
	}
	return ring.JWKS(), nil
}

// configuration answers a tenant's biocore-configuration by its slug.
func (p *platform) configuration(ctx context.Context, slug string) ([]byte, error) {
	sc, err := p.published(ctx, slug)
	if err != nil {
		return nil, err
	}
	snap, err := p.tenants.Current(ctx, sc)
	if err != nil {
		return nil, err
	}
	return wellknown.JSON(wellknown.ConfigurationOf(p.cfg.PublicURL, snap.Slug, snap.RPID, snap.Encryption != nil))
}

// metadata answers a tenant's OAuth metadata by its slug.
func (p *platform) metadata(ctx context.Context, slug string) ([]byte, error) {
	if _, err := p.published(ctx, slug); err != nil {
		return nil, err
	}
	return wellknown.JSON(wellknown.MetadataOf(p.cfg.PublicURL, slug))
}
