// Package place tells the country and the network (autonomous system) of an IP address, by files in MaxMind DB form that the
// operator mounts, and how far countries are apart at least. Nothing of it asks anybody, and a look costs well under a microsecond.
//
//	place.go    addresses: what is looked up, and what never is
//	table.go    one file, and what may stand in it
//	country.go  names of countries, distances, how fast people travel
//	outline/    makes countries.txt
//
// Where the files come from, and what their licences ask: docs/risk-data.md; why none is shipped: ADR 0071.
package place

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/biocore-id/biocore/authcore/risk/datafile"
)

// Place is where an address is, as far as it is known. Its zero value says nothing.
type Place struct {
	Country string // ISO 3166-1 alpha-2; empty: not known
	ASN     uint32 // of the autonomous system; 0: not known
	Network string // whose it is, in the file's words; may be empty where ASN is known
}

// Options configures a Service.
type Options struct {
	CountryFile string           // empty: no country is known
	ASNFile     string           // empty: no network is known
	Now         func() time.Time // nil means time.Now
	Log         *slog.Logger     // nil means slog.Default
}

// Service looks addresses up. It is safe for concurrent use. Its zero value and nil know nothing.
type Service struct {
	country, asn *datafile.File[table]
}

// New returns a Service that has read its files once. One that cannot be used is no error, but in Status and in the log: a server
// must come up again beside a file that was replaced by a broken one. Call Run next.
func New(ctx context.Context, o Options) *Service {
	open := func(path string, want field) *datafile.File[table] {
		if path == "" {
			return nil
		}
		f := datafile.New(datafile.Options[table]{
			Path: path, MaxBytes: MaxBytes, Now: o.Now, Log: o.Log, Parse: func(raw []byte) (*table, error) { return readTable(raw, want) },
		})
		f.Look(ctx)
		return f
	}
	return &Service{country: open(o.CountryFile, wantCountry), asn: open(o.ASNFile, wantNetwork)}
}

// Run looks every minute whether files were replaced, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, f := range s.files() {
		wg.Go(func() { _ = f.file.Run(ctx) }) // it returns when ctx ends
	}
	wg.Wait()
	<-ctx.Done()
	return nil
}

// Look looks at once whether files were replaced.
func (s *Service) Look(ctx context.Context) {
	for _, f := range s.files() {
		f.file.Look(ctx)
	}
}

type named struct {
	name string
	file *datafile.File[table]
}

func (s *Service) files() (all []named) {
	if s == nil {
		return nil
	}
	if s.country != nil {
		all = append(all, named{"country", s.country})
	}
	if s.asn != nil {
		all = append(all, named{"asn", s.asn})
	}
	return all
}

// Source is how one file is.
type Source struct {
	Name string // country or asn
	datafile.Status

	BuiltAt  time.Time // as the file says; zero: nothing is in use, or it does not say
	Kind     string    // as the file says
	Networks int       // how many nodes its tree has
}

// Sources are the files that are configured.
func (s *Service) Sources() []Source {
	var all []Source
	for _, f := range s.files() {
		one := Source{Name: f.name, Status: f.file.Status()}
		if t := f.file.Current(); t != nil {
			one.BuiltAt, one.Kind, one.Networks = t.built, t.kind, t.nodes
		}
		all = append(all, one)
	}
	return all
}

// Of is where an address is. An address of no public network is nowhere, and so is an invalid one. An IPv6 address that
// stands for one of IPv4 is taken for that: see Public.
func (s *Service) Of(a netip.Addr) Place {
	var p Place
	if s == nil {
		return p
	}
	a, ok := Public(a)
	if !ok {
		return p
	}
	if s.country != nil {
		if t := s.country.Current(); t != nil {
			p.Country = t.find(a).country
		}
	}
	if s.asn != nil {
		if t := s.asn.Current(); t != nil {
			r := t.find(a)
			p.ASN, p.Network = r.asn, r.network
		}
	}
	return p
}

var (
	carriers  = netip.MustParsePrefix("100.64.0.0/10")  // RFC 6598: shared by customers of a carrier
	nat64     = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	ownNAT64  = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215: of somebody's own network
	sixToFour = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo    = netip.MustParsePrefix("2001::/32")      // RFC 4380
	siteLocal = netip.MustParsePrefix("fec0::/10")      // RFC 3879: no more in use
)

// Public returns the address that networks know: that of IPv4 in an IPv6 address which stands for one (IPv4-mapped, NAT64 by the
// well-known prefix, 6to4), without a zone. False for what no public network has: loopback, private, link-local and shared addresses, multicast,
// and Teredo, in which anybody writes what they like.
func Public(a netip.Addr) (netip.Addr, bool) {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		b := a.As16()
		switch {
		case nat64.Contains(a):
			a = netip.AddrFrom4([4]byte(b[12:]))
		case sixToFour.Contains(a):
			a = netip.AddrFrom4([4]byte(b[2:6]))
		case teredo.Contains(a), ownNAT64.Contains(a), siteLocal.Contains(a):
			return netip.Addr{}, false
		}
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || carriers.Contains(a) {
		return netip.Addr{}, false
	}
	return a, true
}
