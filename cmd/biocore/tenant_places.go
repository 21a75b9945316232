package main

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// settledPlaces are the flags that say where else a tenant's passkeys are used. A list
// that is given replaces the one that is there; "none" takes it away.
type settledPlaces struct {
	related, android, ios texts
	enroll, manage, prf   *string
}

const none = "none"

func placeFlags(fs *flag.FlagSet) *settledPlaces {
	p := &settledPlaces{}
	fs.Var(&p.related, "related-origin", "`origin` of another domain that uses the same passkeys; may be repeated; none: there is none")
	fs.Var(&p.android, "android-app", "Android app as `package=SHA-256` of its signing certificate; may be repeated; none: there is none")
	fs.Var(&p.ios, "ios-app", "`app` on Apple's platforms, as team.bundle; may be repeated; none: there is none")
	address := func(to **string, name, usage string) {
		fs.Func(name, usage, func(v string) error {
			*to = &v
			return nil
		})
	}
	address(&p.enroll, "passkey-enroll-url", "`page` where a passkey is created, for credential managers; empty: there is none")
	address(&p.manage, "passkey-manage-url", "`page` where passkeys are listed, for credential managers; empty: there is none")
	address(&p.prf, "passkey-prf-url", "`page` that says what is lost with a passkey, for credential managers; empty: there is none")
	return p
}

// into puts the lists that were given into req.
func (p *settledPlaces) into(req *tenant.UpdateSettingsRequest) error {
	list := func(given texts) *[]string {
		switch {
		case len(given) == 0:
			return nil
		case slices.Equal(given, texts{none}):
			return &[]string{}
		}
		all := []string(given)
		return &all
	}
	req.RelatedOrigins, req.IOSApps = list(p.related), list(p.ios)
	android := list(p.android)
	if android == nil {
		return nil
	}
	apps := []tenant.AndroidApp{}
	for _, given := range *android {
		name, fingerprint, ok := strings.Cut(given, "=")
		if !ok {
			return errors.New("--android-app has the form package=SHA-256 fingerprint")
		}
		i := slices.IndexFunc(apps, func(a tenant.AndroidApp) bool { return a.PackageName == name })
		if i < 0 {
			i, apps = len(apps), append(apps, tenant.AndroidApp{PackageName: name})
		}
		apps[i].Fingerprints = append(apps[i].Fingerprints, fingerprint)
	}
	req.AndroidApps = &apps
	return nil
}

// merge puts the pages that were given beside those that are there.
func (p *settledPlaces) merge(ctx context.Context, c *control, sc scope.Scope, req *tenant.UpdateSettingsRequest) error {
	if p.enroll == nil && p.manage == nil && p.prf == nil {
		return nil
	}
	s, err := c.tenants.Settings(ctx, sc)
	if err != nil {
		return err
	}
	pages := s.PasskeyEndpoints
	for to, given := range map[*string]*string{&pages.Enroll: p.enroll, &pages.Manage: p.manage, &pages.PRFUsageDetails: p.prf} {
		if given != nil {
			*to = *given
		}
	}
	req.PasskeyEndpoints, req.IfMatch = &pages, s.ETag // somebody else may change the other page meanwhile
	return nil
}

func packages(apps []tenant.AndroidApp) []string {
	var names []string
	for _, a := range apps {
		names = append(names, a.PackageName)
	}
	return names
}
