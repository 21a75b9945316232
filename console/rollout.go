package console

// rolloutRoutes are the pages of feature flags for the staff: the flags of the reserved tenant, by which Biocore itself is
// rolled out (package rollout).
func (c *Console) rolloutRoutes(mux *router) {
	for _, one := range c.flagPages() {
		mux.HandleFunc(one.method+" "+platformBase+one.path, c.inPlatform(one.needs, one.serve))
	}
}
