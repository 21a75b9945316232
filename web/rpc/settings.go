package rpc

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/web/wellknown"
)

// settings is what the handler needs of tenant.Service.
type settings interface {
	Settings(ctx context.Context, sc scope.Scope) (tenant.Settings, error)
	UpdateSettings(ctx context.Context, sc scope.Scope, req tenant.UpdateSettingsRequest) (tenant.Settings, error)
}

// SettingsHandler serves SettingsService.
type SettingsHandler struct {
	adminv1connect.UnimplementedSettingsServiceHandler
	settings  settings
	publicURL string
}

// NewSettingsHandler returns a handler over s. publicURL is where logos are.
func NewSettingsHandler(s *tenant.Service, publicURL string) *SettingsHandler {
	return &SettingsHandler{settings: s, publicURL: publicURL}
}

// GetSettings translates: one call, one answer.
func (h *SettingsHandler) GetSettings(ctx context.Context, _ *adminv1.GetSettingsRequest) (*adminv1.Settings, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	s, err := h.settings.Settings(ctx, sc)
	if err != nil {
		return nil, err
	}
	return h.toSettings(s), nil
}

// UpdateSettings changes the fields that are present; If-Match guards.
func (h *SettingsHandler) UpdateSettings(ctx context.Context, req *adminv1.UpdateSettingsRequest) (*adminv1.Settings, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	rp, tokens := req.GetRelyingParty(), req.GetTokens()
	update := tenant.UpdateSettingsRequest{Origins: rp.GetOrigins(), Reason: req.GetReason(), IfMatch: etag}
	if rp != nil {
		update.RPID, update.RPName = rp.RpId, rp.Name
		if err := places(rp, &update); err != nil {
			return nil, err
		}
	}
	if tokens != nil {
		update.TokenAudience, update.DirectTokens = tokens.Audience, tokens.DirectTokens
		if update.EncryptionKey, err = encryptionKey(tokens.GetEncryptionKey()); err != nil {
			return nil, err
		}
	}
	if b := req.GetBranding(); b != nil {
		update.Brand = tenant.BrandRequest{AccentColor: b.AccentColor, AccentColorDark: b.AccentColorDark, SupportURL: b.SupportUrl, SupportEmail: b.SupportEmail}
		if b.Logo != nil {
			logo := b.GetLogo()
			update.Brand.Logo = &logo
		}
	}
	answers(ctx, func(s tenant.Settings) proto.Message { return h.toSettings(s) })
	s, err := h.settings.UpdateSettings(ctx, sc, update)
	if err != nil {
		return nil, err
	}
	return h.toSettings(s), nil
}

// places are where else passkeys are used: what is present replaces all of it.
func places(rp *adminv1.RelyingPartySettings, update *tenant.UpdateSettingsRequest) error {
	if list := rp.GetRelatedOrigins(); list != nil {
		origins := make([]string, len(list.GetValues()))
		for i, v := range list.GetValues() {
			text, ok := v.GetKind().(*structpb.Value_StringValue)
			if !ok {
				return ErrInvalid.With("relyingParty.relatedOrigins", "value must be a list of strings")
			}
			origins[i] = text.StringValue
		}
		update.RelatedOrigins = &origins
	}
	if apps := rp.GetNativeApps(); apps != nil {
		android := make([]tenant.AndroidApp, len(apps.GetAndroidApps()))
		for i, a := range apps.GetAndroidApps() {
			android[i] = tenant.AndroidApp{PackageName: a.GetPackageName(), Fingerprints: a.GetSha256CertFingerprints()}
		}
		ios := apps.GetIosAppIds()
		update.AndroidApps, update.IOSApps = &android, &ios
	}
	if pages := rp.GetPasskeyEndpoints(); pages != nil {
		update.PasskeyEndpoints = &tenant.PasskeyEndpoints{
			Enroll: pages.GetEnroll(), Manage: pages.GetManage(), PRFUsageDetails: pages.GetPrfUsageDetails(),
		}
	}
	return nil
}

// encryptionKey is a JWK as the domain takes it: nil for none, and empty for an
// empty object, which takes the key away.
func encryptionKey(jwk *structpb.Struct) ([]byte, error) {
	switch {
	case jwk == nil:
		return nil, nil
	case len(jwk.GetFields()) == 0:
		return []byte{}, nil
	}
	text, err := protojson.Marshal(jwk)
	if err != nil { // a number that is none, or text that is not UTF-8: over gRPC alone
		return nil, jwe.ErrKey.WithCause(err)
	}
	return text, nil
}

func (h *SettingsHandler) toSettings(s tenant.Settings) *adminv1.Settings {
	out := &adminv1.Settings{
		RelyingParty: toRelyingParty(&s.Tenant),
		Tokens: &adminv1.TokenSettings{
			Audience: optional(s.TokenAudience), DirectTokens: &s.DirectTokens,
			AccessTokenSeconds:     seconds(s.Policy.AccessTokenSeconds),
			RefreshIdleSeconds:     seconds(s.Policy.RefreshIdleSeconds),
			SessionLifetimeSeconds: seconds(s.Policy.SessionLifetimeSeconds),
		},
		Branding: &adminv1.BrandSettings{
			AccentColor: &s.Brand.AccentColor, AccentColorDark: &s.Brand.AccentColorDark, SupportUrl: &s.Brand.SupportURL,
			SupportEmail: &s.Brand.SupportEmail, LogoUrl: wellknown.LogoURL(h.publicURL, &s.Tenant),
		},
		Etag: s.ETag, UpdatedAt: timestamp(s.UpdatedAt),
	}
	if s.EncryptionKey != "" {
		out.Tokens.EncryptionKey = new(structpb.Struct)
		if err := protojson.Unmarshal([]byte(s.EncryptionKey), out.GetTokens().GetEncryptionKey()); err != nil {
			panic(fmt.Sprintf("the stored encryption key is no JSON: %v", err)) // jwe wrote it
		}
	}
	return out
}

func toRelyingParty(t *tenant.Tenant) *adminv1.RelyingPartySettings {
	related := &structpb.ListValue{Values: make([]*structpb.Value, len(t.RelatedOrigins))}
	for i, o := range t.RelatedOrigins {
		related.Values[i] = structpb.NewStringValue(o)
	}
	apps := &adminv1.NativeApps{IosAppIds: t.IOSApps}
	for _, a := range t.AndroidApps {
		apps.AndroidApps = append(apps.AndroidApps, &adminv1.AndroidApp{PackageName: a.PackageName, Sha256CertFingerprints: a.Fingerprints})
	}
	return &adminv1.RelyingPartySettings{
		RpId: &t.RPID, Name: &t.RPName, Origins: t.Origins, RelatedOrigins: related, NativeApps: apps,
		PasskeyEndpoints: &adminv1.PasskeyEndpoints{
			Enroll: t.PasskeyEndpoints.Enroll, Manage: t.PasskeyEndpoints.Manage, PrfUsageDetails: t.PasskeyEndpoints.PRFUsageDetails,
		},
	}
}

// seconds is a duration of a policy: positive, and bounded by it.
func seconds(n int) *uint32 {
	s := uint32(max(n, 0)) //nolint:gosec // 90 days at most
	return &s
}
