package place_test

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"

	"github.com/biocore-id/biocore/authcore/risk/place"
	"github.com/biocore-id/biocore/authcore/risk/place/placetest"
)

// BenchmarkOf looks random addresses up. BIOCORE_TEST_PLACE_COUNTRY and BIOCORE_TEST_PLACE_ASN name real files; without them it has two of
// a handful of networks.
func BenchmarkOf(b *testing.B) {
	countries, networks := os.Getenv("BIOCORE_TEST_PLACE_COUNTRY"), os.Getenv("BIOCORE_TEST_PLACE_ASN")
	if countries == "" {
		countries = placetest.Write(b, "country.mmdb", map[string]map[string]any{"81.0.0.0/8": placetest.Country("GB"), "2a02::/16": placetest.Country("PT")})
	}
	if networks == "" {
		networks = placetest.Write(b, "asn.mmdb", map[string]map[string]any{"81.0.0.0/8": placetest.Network(20712, "A&A"), "2a02::/16": placetest.Network(3243, "MEO")})
	}
	s := place.New(b.Context(), place.Options{CountryFile: countries, ASNFile: networks, Log: quiet})
	rng := rand.New(rand.NewPCG(1, 2))
	addresses := make([]netip.Addr, 4096)
	for i := range addresses {
		if i%2 == 0 {
			addresses[i] = netip.AddrFrom4([4]byte{byte(1 + rng.IntN(222)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
		} else {
			addresses[i] = netip.AddrFrom16([16]byte{0x2a, byte(rng.IntN(16)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256)), 15: 1})
		}
	}
	b.ReportAllocs()
	i, known := 0, 0
	for b.Loop() {
		if s.Of(addresses[i&4095]).Country != "" {
			known++
		}
		i++
	}
	b.ReportMetric(float64(known)/float64(i)*100, "%known")
}

func BenchmarkLook(b *testing.B) {
	path := os.Getenv("BIOCORE_TEST_PLACE_ASN")
	if path == "" {
		path = placetest.Write(b, "asn.mmdb", map[string]map[string]any{"81.0.0.0/8": placetest.Network(20712, "A&A")})
	}
	b.ReportAllocs()
	for b.Loop() {
		place.New(b.Context(), place.Options{ASNFile: path, Log: quiet})
	}
}

func BenchmarkMinDistance(b *testing.B) {
	place.MinDistance("US", "RU")
	b.ReportAllocs()
	for b.Loop() {
		place.MinDistance("US", "AU")
	}
}
