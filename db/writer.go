package db

// maxWriters is how many batches of sign-ins may be in flight.
const maxWriters = 2

// writerSettings are the writer's session settings. UNNEST can make the planner
// hash-join all of a tenant's credentials, so only index plans are left to it; one
// generic plan serves all batches; and one locked row must not hold a whole batch.
var writerSettings = map[string]string{
	"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_bitmapscan": "off", "enable_seqscan": "off",
	"plan_cache_mode": "force_generic_plan",
	"lock_timeout":    "15ms",
}
