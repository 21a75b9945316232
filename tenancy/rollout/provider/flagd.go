package provider

import (
	"fmt"
	"math"
	"net/url"
	"strconv"

	"github.com/go-logr/logr"
	flagd "github.com/open-feature/go-sdk-contrib/providers/flagd/pkg"
)

// openFlagd asks flagd for each evaluation, by its evaluation service (flagd.evaluation.v2), and remembers nothing: what is
// remembered goes stale when the stream of changes breaks.
func openFlagd(o Options) (Opened, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return Opened{}, errURL
	}
	port := uint64(8013) // flagd's own
	if u.Port() != "" {
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return Opened{}, errURL
		}
	}
	p, err := flagd.NewProvider(flagd.WithRPCResolver(), flagd.WithoutCache(), flagd.WithLogger(logr.Discard()), func(c *flagd.ProviderConfiguration) {
		// Each by itself: the module reads what is not said from FLAGD_ variables.
		c.Host, c.Port, c.Tls, c.CertPath, c.SocketPath, c.Selector = u.Hostname(), uint16(port), u.Scheme == "https", "", "", "" //nolint:gosec // parsed as 16 bits
		c.DeadlineMs, c.OtelIntercept = int(initWithin.Milliseconds()), false
		c.EventStreamConnectionMaxAttempts = math.MaxInt32 // it is to be found whenever it comes
	})
	if err != nil {
		return Opened{}, fmt.Errorf("flagd: %w", err)
	}
	return Opened{Provider: p}, nil
}
