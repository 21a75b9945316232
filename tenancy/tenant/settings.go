package tenant

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Settings are what a tenant settles by itself, with what its policy adds.
type Settings struct {
	Tenant

	Policy policy.Document
}

// Settings returns the tenant's own settings, as they are now. ErrNotFound.
func (s *Service) Settings(ctx context.Context, sc scope.Scope) (Settings, error) {
	snap, err := s.load(ctx, sc)
	if err != nil {
		return Settings{}, err
	}
	return Settings{Tenant: snap.Tenant, Policy: snap.Policy}, nil
}

// UpdateSettingsRequest holds the settings to change; nil leaves one as it is.
type UpdateSettingsRequest struct {
	// RPID can be changed while there are no credentials. A live tenant then proves the new
	// domain before it runs ceremonies: see VerifyDomain.
	RPID    *string
	RPName  *string
	Origins []string // replaces all of them

	DirectTokens *bool
	// TokenAudience is the aud of access tokens: a StringOrURI (RFC 7519 §2) of up to
	// 512 visible ASCII characters; empty: the RP ID again. Tokens with the audience of
	// before are not good from now on.
	TokenAudience *string
	// EncryptionKey is a public JWK, see jwe.ParseKey; empty: tokens are only signed.
	EncryptionKey []byte

	// Each replaces all of them; empty: none.
	RelatedOrigins   *[]string // https, of other domains, with at most rp.MaxLabels registrable labels
	AndroidApps      *[]AndroidApp
	IOSApps          *[]string
	PasskeyEndpoints *PasskeyEndpoints

	Brand BrandRequest

	Reason  string // for the audit log; may be empty
	IfMatch string // the ETag that the caller read; empty: whatever it is now
}

// UpdateSettings changes the tenant's own settings and returns them. Every server
// goes by them within a second. An update that changes nothing leaves no trace.
// etag.ErrMismatch, ErrInvalid, jwe.ErrKey, ErrRPIDInUse, ErrDeleting.
//
// It runs behind the wall, in the tenant's own scope: bc_app may change these columns
// of the one row that it sees.
func (s *Service) UpdateSettings(ctx context.Context, sc scope.Scope, req UpdateSettingsRequest) (Settings, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return Settings{}, ErrNotFound
	}
	var changed Settings
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two updates at once could each pass the other's If-Match, so the row is the lock.
		row, err := tx.LockTenant(ctx, sc.Tenant())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		current, err := readPolicy(ctx, tx, row.PolicyVersion)
		if err != nil {
			return err
		}
		before := fromRow(row)
		if before.State == Deleting {
			return ErrDeleting
		}
		if err := etag.Match(req.IfMatch, before.ETag); err != nil {
			return err
		}
		after, err := req.apply(before)
		if err != nil {
			return err
		}
		if err := req.Brand.store(ctx, tx, before.Brand, after.Brand); err != nil {
			return err
		}
		if after, err = s.writeSettings(ctx, tx, before, after, req.Reason); err != nil {
			return err
		}
		changed = Settings{Tenant: after, Policy: current.Document}
		tx.Result(changed)
		return nil
	})
	if err != nil {
		return Settings{}, err
	}
	s.current.Forget(sc.Tenant(), "") // this server sees its own change at once, the others within a second
	return changed, nil
}

// writeSettings stores what differs, with all that a change leaves behind.
func (s *Service) writeSettings(ctx context.Context, tx *db.TenantTx, before, after Tenant, reason string) (Tenant, error) {
	from, to := differences(before, after)
	if len(to) == 0 {
		return before, nil
	}
	if err := s.checkReserved(after); err != nil {
		return Tenant{}, err
	}
	if err := checkNewRPID(ctx, tx, before, after); err != nil {
		return Tenant{}, err
	}
	row, err := tx.UpdateSettings(ctx, tenantq.UpdateSettingsParams{
		ID: before.ID, RpID: after.RPID, RpName: after.RPName, Origins: after.Origins, DirectTokens: after.DirectTokens,
		TokenAudience: optional(after.TokenAudience), TokenEncryptionKey: optional(after.EncryptionKey),
		RelatedOrigins: notNil(after.RelatedOrigins), AndroidApps: androidRows(after.AndroidApps), IosApps: notNil(after.IOSApps),
		PasskeyEnrollUrl: optional(after.PasskeyEndpoints.Enroll), PasskeyManageUrl: optional(after.PasskeyEndpoints.Manage),
		PasskeyPrfUrl: optional(after.PasskeyEndpoints.PRFUsageDetails), Now: tx.Now(),
		AccentColor: after.Brand.AccentColor, AccentColorDark: after.Brand.AccentColorDark, SupportUrl: after.Brand.SupportURL,
		SupportEmail: after.Brand.SupportEmail, LogoSha256: after.Brand.LogoSHA256,
	})
	if err != nil {
		return Tenant{}, fmt.Errorf("update settings: %w", err)
	}
	return fromRow(row), s.record(ctx, tx, event.SettingsUpdated, audit.Entry{Action: "settings.update", Reason: reason, Before: from, After: to})
}

func (r *UpdateSettingsRequest) apply(t Tenant) (Tenant, error) {
	if r.RPID != nil && *r.RPID != t.RPID {
		if err := checkRPID(t.Mode, *r.RPID); err != nil {
			return Tenant{}, err
		}
		t.RPID = *r.RPID
	}
	if r.RPName != nil {
		name, err := CleanName("name", *r.RPName, maxNameCharacters)
		if err != nil {
			return Tenant{}, err
		}
		t.RPName = name
	}
	if len(r.Origins) > 0 {
		t.Origins = r.Origins
	}
	if r.DirectTokens != nil {
		t.DirectTokens = *r.DirectTokens
	}
	if r.TokenAudience != nil {
		if err := checkAudience(*r.TokenAudience); err != nil {
			return Tenant{}, err
		}
		t.TokenAudience = *r.TokenAudience
	}
	if r.EncryptionKey != nil {
		t.EncryptionKey = ""
		if len(r.EncryptionKey) > 0 {
			key, err := jwe.ParseKey(r.EncryptionKey)
			if err != nil {
				return Tenant{}, err
			}
			t.EncryptionKey = key.JWK
		}
	}
	if r.RelatedOrigins != nil {
		t.RelatedOrigins = *r.RelatedOrigins
	}
	if r.AndroidApps != nil {
		t.AndroidApps = *r.AndroidApps
	}
	if r.IOSApps != nil {
		t.IOSApps = *r.IOSApps
	}
	if r.PasskeyEndpoints != nil {
		t.PasskeyEndpoints = *r.PasskeyEndpoints
	}
	var err error
	if t.Brand, err = r.Brand.apply(t.Brand); err != nil {
		return Tenant{}, err
	}
	return t, t.checkPlaces()
}

// notNil is a list for a column that is never NULL.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

const maxAudienceBytes = 512

// checkAudience takes a StringOrURI, compared byte by byte: what has a colon is a URI
// (RFC 7519 §2). Empty is the RP ID.
func checkAudience(audience string) error {
	const field = "audience"
	if len(audience) > maxAudienceBytes || slices.ContainsFunc([]byte(audience), func(c byte) bool { return c <= ' ' || c > '~' }) {
		return invalid(field, "has at most 512 visible ASCII characters")
	}
	if !strings.Contains(audience, ":") {
		return nil
	}
	if u, err := url.Parse(audience); err != nil || u.Scheme == "" {
		return invalid(field, "has a colon, and so must be a URI")
	}
	return nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
