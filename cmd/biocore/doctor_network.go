package main

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// openWays are the connections of the configuration that anybody on the way may read or
// join. They are a warning and no refusal: within a container network or a private one
// both are common, and what Redis keeps is sealed. Whoever reaches a Redis without a
// password can end registrations under way and reset limits, and reads no secret.
func (c *Config) openWays() []string {
	var found []string
	fields := c.secrets()
	for _, name := range []string{
		"BIOCORE_DATABASE_URL", "BIOCORE_DATABASE_WRITER_URL", "BIOCORE_DATABASE_CONTROL_URL", "BIOCORE_DATABASE_JOBS_URL", "BIOCORE_DATABASE_SUPPORT_URL", "BIOCORE_DATABASE_AUDIT_URL",
		"BIOCORE_DATABASE_MIGRATOR_URL",
	} {
		u, ok := elsewhere(*fields[name])
		// Without the word the driver goes on unencrypted where the server does not offer TLS.
		if mode := u.Query().Get("sslmode"); ok && !slices.Contains([]string{"require", "verify-ca", "verify-full"}, mode) {
			found = append(found, name+" may go unencrypted to "+u.Hostname()+": sslmode=verify-full")
		}
	}
	if u, ok := elsewhere(secret.New(c.FlagsURL)); ok && u.Scheme == "http" {
		found = append(found, "BIOCORE_FLAGS_URL goes unencrypted to "+u.Hostname()+": https, which keeps its key and its answers")
	}
	u, ok := elsewhere(*fields["BIOCORE_REDIS_URL"])
	if _, has := passwordOf(u); ok && !has {
		found = append(found, "BIOCORE_REDIS_URL has no password, and "+u.Hostname()+" is another machine")
	}
	return found
}

// elsewhere is a store's URL, and whether it leads to another machine.
func elsewhere(text secret.Text) (*url.URL, bool) {
	u, err := url.Parse(text.Reveal())
	if err != nil {
		return new(url.URL), false
	}
	host := u.Hostname()
	if given := u.Query().Get("host"); given != "" { // Postgres's drivers take it from there as well
		host = given
	}
	address, err := netip.ParseAddr(host)
	local := host == "" || strings.HasPrefix(host, "/") || host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.IsLoopback()
	return u, !local
}
