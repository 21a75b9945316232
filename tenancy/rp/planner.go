package rp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "TENANT_UNKNOWN", "no such tenant")
	ErrInvalid  = fault.New(fault.Invalid, "RELYING_PARTY_INVALID", "the relying party is not valid")
)

// MaxOrigins bounds the origins of one question.
const MaxOrigins = 64

// recently is how far back a use counts as one: who signs in once a quarter is a user.
const recently = 90 * 24 * time.Hour

// never is a time before all credentials.
var never = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// Options configures a Service.
type Options struct {
	Store *db.Store // required
}

// Service says what a tenant's relying party is and what moving it would break. It
// changes nothing, and is safe for concurrent use.
type Service struct{ store *db.Store }

// New returns a Service.
func New(o Options) *Service { return &Service{store: o.Store} }

// Credentials counts the credentials that were made for one RP ID.
type Credentials struct {
	RPID            string
	Total           int
	Users           int
	Active          int
	Suspended       int
	Revoked         int
	Discoverable    int // the client said so
	NotDiscoverable int // the client said so; of the others nobody knows
	UsedRecently    int // in the last 90 days
	LastUsedAt      *time.Time
}

// Overview is a tenant's relying party as it stands.
type Overview struct {
	RPID           string
	Origins        []string
	RelatedOrigins []string
	Budget         Budget        // of RelatedOrigins
	Credentials    []Credentials // by RP ID
	Users          int           // all of the tenant's
	UsersAble      int           // who have an active credential
}

// Overview counts the tenant's credentials, each of them: a second a million.
// ErrNotFound.
func (s *Service) Overview(ctx context.Context, sc scope.Scope) (Overview, error) {
	var o Overview
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		o, _, err = look(ctx, tx, "")
		return err
	})
	return o, err
}

// look reads the relying party, and how many users would be left without a credential
// if only those of one RP ID worked.
func look(ctx context.Context, tx *db.TenantTx, kept string) (Overview, int, error) {
	row, err := tx.GetTenant(ctx)
	if db.IsNoRows(err) {
		return Overview{}, 0, ErrNotFound
	} else if err != nil {
		return Overview{}, 0, fmt.Errorf("get tenant: %w", err)
	}
	o := Overview{RPID: row.RpID, Origins: row.Origins, RelatedOrigins: row.RelatedOrigins, Budget: Count(row.RelatedOrigins)}
	if kept == "" {
		kept = row.RpID
	}
	users, err := tx.CountUsersByRPID(ctx, tenantq.CountUsersByRPIDParams{Own: row.RpID, Kept: kept})
	if err != nil {
		return Overview{}, 0, fmt.Errorf("count users: %w", err)
	}
	o.Users, o.UsersAble = int(users.Users), int(users.Able)
	counts, err := tx.CountCredentialsByRPID(ctx, tenantq.CountCredentialsByRPIDParams{Own: row.RpID, Since: tx.Now().Add(-recently), Never: never})
	if err != nil {
		return Overview{}, 0, fmt.Errorf("count credentials: %w", err)
	}
	for _, c := range counts {
		one := Credentials{
			RPID: c.RpID, Total: int(c.Credentials), Users: int(c.Users), Active: int(c.Active), Suspended: int(c.Suspended), Revoked: int(c.Revoked),
			Discoverable: int(c.Discoverable), NotDiscoverable: int(c.NotDiscoverable), UsedRecently: int(c.UsedSince),
		}
		if c.LastUsedAt.After(never) {
			one.LastUsedAt = &c.LastUsedAt
		}
		o.Credentials = append(o.Credentials, one)
	}
	return o, int(users.Stranded), nil
}

// CheckRequest asks whether origins may use an RP ID.
type CheckRequest struct {
	RPID    string // empty: the tenant's
	Origins []string
}

// Checked is the answer for one origin.
type Checked struct {
	Origin string
	Verdict
}

// Check answers for each origin whether browsers would let it use the RP ID, and
// Biocore take what it answers: with the tenant's own RP ID, its settings count too.
// ErrNotFound, ErrInvalid.
func (s *Service) Check(ctx context.Context, sc scope.Scope, req CheckRequest) ([]Checked, error) {
	if err := bound(req.Origins); err != nil {
		return nil, err
	}
	var out []Checked
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetTenant(ctx)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		out = make([]Checked, len(req.Origins))
		for i, origin := range req.Origins {
			out[i] = Checked{origin, verdict(&row, req.RPID, origin)}
		}
		return nil
	})
	return out, err
}

func verdict(row *tenantq.Tenant, rpID, origin string) Verdict {
	if rpID != "" && rpID != row.RpID {
		return Relate(rpID, origin, nil) // what that domain lists, nobody here knows
	}
	v := Relate(row.RpID, origin, row.RelatedOrigins)
	if v.Relation == Own && !slices.Contains(row.Origins, origin) && !slices.Contains(row.RelatedOrigins, origin) {
		return Verdict{Unusable, OriginNotAllowed, "browsers would do it, but the settings do not list this origin, so the answer is refused"}
	}
	return v
}

func bound(origins []string) error {
	if len(origins) < 1 || len(origins) > MaxOrigins {
		return ErrInvalid.WithMessage("origins has 1 to 64 entries").With("field", "origins")
	}
	for _, o := range origins {
		if len(o) > MaxOriginBytes {
			return ErrInvalid.WithMessage("origins "+ErrOriginLength.Error()).With("field", "origins")
		}
	}
	return nil
}
