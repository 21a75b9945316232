package console

import (
	"net/http"

	"github.com/biocore-id/biocore/tenancy/apikey"
)

// rolloutRoutes are the pages of feature flags for the staff: the flags of the reserved tenant, by which Biocore itself is
// rolled out (package rollout).
func (c *Console) rolloutRoutes(mux *router) {
	base := platformBase + flagsPath
	for _, one := range []struct {
		pattern string
		needs   string
		serve   func(http.ResponseWriter, *http.Request, *visit, *place)
	}{
		{"GET " + base, apikey.ScopeFlagsRead, c.showFlags},
		{"GET " + base + "/export", apikey.ScopeFlagsRead, c.exportFlags},
		{"GET " + base + "/new", apikey.ScopeFlagsWrite, c.showNewFlag},
		{"POST " + base, apikey.ScopeFlagsWrite, c.createFlag},
		{"GET " + base + "/{key}", apikey.ScopeFlagsRead, c.showFlag},
		{"GET " + base + "/{key}/rules", apikey.ScopeFlagsWrite, c.showFlagRules},
		{"POST " + base + "/{key}/rules", apikey.ScopeFlagsWrite, c.saveFlagRules},
		{"POST " + base + "/{key}/switch", apikey.ScopeFlagsWrite, c.switchFlag},
		{"POST " + base + "/{key}/delete", apikey.ScopeFlagsWrite, c.deleteFlag},
	} {
		mux.HandleFunc(one.pattern, c.inPlatform(one.needs, one.serve))
	}
}
