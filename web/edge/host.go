package edge

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// knownHosts refuses a request whose Host is not the operations port's own. A page of
// any site can point a name of its own at 127.0.0.1 (DNS rebinding), and the browser
// then takes what this port answers for that site's: metrics, and profiles of memory.
// Its Host is still the site's name.
//
// Addresses are known, whatever they are: a browser sends one when the page's own origin
// is that address, and nobody can point an address elsewhere. Scrapers and probes
// commonly come by them. So are localhost and names below it, which browsers resolve
// by themselves (RFC 6761 §6.3).
func knownHosts(next http.Handler, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !knownHost(r.Host, hosts) {
			http.Error(w, "this is the operations port, which does not know itself by that Host: see BIOCORE_OPS_HOSTS", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func knownHost(host string, hosts []string) bool {
	name := hostName(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || name != "" && slices.Contains(hosts, name)
}

// hostName is the name or address in a Host, in lower case, without a port and without
// the root's point.
func hostName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil { // without a port
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
