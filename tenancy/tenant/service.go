package tenant

import (
	"time"

	"github.com/biocore-id/biocore/db"
)

// Options configures a Service.
type Options struct {
	Store *db.Store // required
}

// Service keeps tenants. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	current *db.Cache[*Snapshot]
}

const (
	maxCached = 20_000
	// cacheLife bounds a snapshot's age although nothing announced a change.
	cacheLife = 10 * time.Minute
)

// New returns a Service.
func New(o Options) *Service {
	return &Service{
		store:   o.Store,
		current: db.NewCache[*Snapshot](o.Store, db.NounTenant, maxCached, cacheLife),
	}
}
