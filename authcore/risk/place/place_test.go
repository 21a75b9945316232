package place_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/biocore-id/biocore/authcore/risk/datafile"
	"github.com/biocore-id/biocore/authcore/risk/place"
	"github.com/biocore-id/biocore/authcore/risk/place/placetest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func nested(code string) map[string]any {
	return map[string]any{"country": map[string]any{"iso_code": code, "names": map[string]any{"en": "x"}}}
}

func open(t *testing.T) *place.Service {
	t.Helper()
	countries := placetest.Write(t, "country.mmdb", map[string]map[string]any{
		"81.2.69.0/24": placetest.Country("GB"), "8.8.8.0/24": nested("US"), "2a02:800::/32": placetest.Country("PT"), "5.5.5.0/24": placetest.Country("EU"),
		// What a file may say of networks that nobody has to themselves.
		"10.0.0.0/8": placetest.Country("DE"), "127.0.0.0/8": placetest.Country("DE"), "100.64.0.0/10": placetest.Country("DE"), "fd00::/8": placetest.Country("DE"),
	})
	networks := placetest.Write(t, "asn.mmdb", map[string]map[string]any{
		"81.2.69.0/25": placetest.Network(20712, "Andrews &\u202e Arnold\n Ltd"), "2a02:800::/32": placetest.Network(3243, strings.Repeat("a very long name ", 12)),
		"9.9.9.0/24": {"autonomous_system_organization": "no number"},
	})
	return place.New(t.Context(), place.Options{CountryFile: countries, ASNFile: networks, Log: quiet})
}

func TestOf(t *testing.T) {
	s := open(t)
	gb := place.Place{Country: "GB", ASN: 20712, Network: "Andrews & Arnold Ltd"}
	for _, tt := range []struct {
		name, address string
		want          place.Place
	}{
		{"IPv4", "81.2.69.1", gb},
		{"no network known", "81.2.69.200", place.Place{Country: "GB"}},
		{"the form of MaxMind", "8.8.8.8", place.Place{Country: "US"}},
		{"a code of no country", "5.5.5.5", place.Place{}},
		{"a record without a number", "9.9.9.9", place.Place{}},
		{"IPv6, and a long name", "2a02:800::1", place.Place{Country: "PT", ASN: 3243, Network: "a very long name a very long name a very long name a very long name a very long…"}},
		{"IPv4-mapped", "::ffff:81.2.69.1", gb},
		{"with a zone", "2a02:800::1%eth0", place.Place{Country: "PT", ASN: 3243, Network: "a very long name a very long name a very long name a very long name a very long…"}},
		{"NAT64", "64:ff9b::81.2.69.1", gb},
		{"6to4", "2002:5102:4501::1", gb},
		{"nowhere", "1.2.3.4", place.Place{}},
		{"private", "10.1.2.3", place.Place{}},
		{"private, mapped", "::ffff:10.1.2.3", place.Place{}},
		{"private, by NAT64", "64:ff9b::10.1.2.3", place.Place{}},
		{"private, by 6to4", "2002:0a01:0203::1", place.Place{}},
		{"loopback", "127.0.0.1", place.Place{}},
		{"loopback of IPv6", "::1", place.Place{}},
		{"shared by a carrier", "100.64.1.1", place.Place{}},
		{"unique local", "fd00::1", place.Place{}},
		{"link-local", "fe80::1%eth0", place.Place{}},
		{"site-local", "fec0::1", place.Place{}},
		{"Teredo", "2001:0:5102:4501::1", place.Place{}},
		{"NAT64 of one's own", "64:ff9b:1::5102:4501", place.Place{}},
		{"unspecified", "0.0.0.0", place.Place{}},
		{"multicast", "224.0.0.1", place.Place{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.Of(netip.MustParseAddr(tt.address)); got != tt.want {
				t.Errorf("Of(%s) = %+v, want %+v", tt.address, got, tt.want)
			}
		})
	}
	if got := s.Of(netip.Addr{}); got != (place.Place{}) {
		t.Errorf("Of(none) = %+v", got)
	}
	if got := (*place.Service)(nil).Of(netip.MustParseAddr("81.2.69.1")); got != (place.Place{}) {
		t.Errorf("without a service: %+v", got)
	}
}

func TestSources(t *testing.T) {
	s := open(t)
	all := s.Sources()
	if len(all) != 2 || all[0].Name != "country" || all[1].Name != "asn" {
		t.Fatalf("Sources = %+v", all)
	}
	for _, one := range all {
		if one.Err != nil || !one.BuiltAt.Equal(placetest.Built) || one.Kind != "placetest" || one.Networks == 0 || one.Bytes == 0 {
			t.Errorf("%s = %+v", one.Name, one)
		}
	}
	if got := place.New(t.Context(), place.Options{}).Sources(); len(got) != 0 {
		t.Errorf("without files: %+v", got)
	}
}

// What cannot be used is refused with a reason, and everything goes on without it.
func TestHostileFiles(t *testing.T) {
	good := placetest.Table(placetest.Built, map[string]map[string]any{"81.2.69.0/24": placetest.Country("GB")})
	loop := bytes.Clone(good)
	for i := range 6 * 20 { // the first nodes all point at the root, from where there are more ways than can be gone
		loop[i] = 0
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"empty", nil, "no MaxMind DB"},
		{"text", []byte("not found\n"), "no MaxMind DB"},
		{"cut short", good[:len(good)-40], "no MaxMind DB"},
		{"its head gone", good[40:], ""},
		{"networks in place of countries", placetest.Table(placetest.Built, map[string]map[string]any{"81.2.69.0/24": placetest.Network(1, "x")}), "no record of it has a country"},
		{"a country that is a number", placetest.Table(placetest.Built, map[string]map[string]any{"81.2.69.0/24": {"country_code": uint32(1)}}), "cannot be read"},
		{"a tree that leads into itself", loop, ""},
		{"too many nodes", bytes.Replace(good, append([]byte("node_count"), 0xc4, 0, 0), append([]byte("node_count"), 0xc4, 0x7f, 0xff), 1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "country.mmdb")
			if err := os.WriteFile(path, tt.raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s := place.New(t.Context(), place.Options{CountryFile: path, Log: quiet})
			got := s.Sources()[0]
			if tt.want != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), tt.want)) {
				t.Errorf("Err = %v, want %q", got.Err, tt.want)
			}
			s.Of(netip.MustParseAddr("81.2.69.1")) // does not panic, and ends
		})
	}
}

// A file that is replaced comes into use within a minute; one that is broken leaves what was there.
func TestReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "country.mmdb")
	replace := func(raw []byte) {
		t.Helper()
		if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	of := func(code string) []byte {
		return placetest.Table(placetest.Built, map[string]map[string]any{"81.2.69.0/24": placetest.Country(code)})
	}
	address := netip.MustParseAddr("81.2.69.1")
	var said bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s := place.New(t.Context(), place.Options{CountryFile: path, Log: slog.New(slog.NewTextHandler(&said, nil))})
		if s.Of(address).Country != "" || s.Sources()[0].Err == nil {
			t.Fatalf("without a file: %+v", s.Sources())
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		for i, step := range []struct {
			raw         []byte
			country     string
			broken      bool
			moreFailing bool
		}{
			{of("PT"), "PT", false, false},
			{of("ES"), "ES", false, false},
			{of("FR")[:80], "ES", true, true},
			{nil, "ES", true, true}, // the same broken file again
			{of("FR"), "FR", false, false},
		} {
			before := s.Sources()[0].Failures
			if step.raw != nil {
				replace(step.raw)
			}
			time.Sleep(datafile.Every) //nolint:forbidigo // of the test's own clock
			synctest.Wait()
			got := s.Sources()[0]
			if s.Of(address).Country != step.country || (got.Err != nil) != step.broken || (got.Failures > before) != step.moreFailing {
				t.Errorf("step %d: %q, %+v", i, s.Of(address).Country, got)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	if n := strings.Count(said.String(), "cannot be used"); n != 2 { // no file, and the broken one: each once
		t.Errorf("the log tells of %d files that cannot be used:\n%s", n, said.String())
	}
}

func FuzzTable(f *testing.F) {
	f.Add(placetest.Table(placetest.Built, map[string]map[string]any{"81.2.69.0/24": placetest.Country("GB"), "2a02::/16": nested("PT")}))
	f.Add(placetest.Table(placetest.Built, map[string]map[string]any{"81.2.69.0/24": placetest.Network(20712, "A&A")}))
	f.Add([]byte("\xab\xcd\xefMaxMind.com"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(dir, "fuzzed.mmdb")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		s := place.New(t.Context(), place.Options{CountryFile: path, ASNFile: path, Log: quiet})
		for _, a := range []string{"81.2.69.1", "2a02::1", "0.0.0.1", "255.255.255.254"} {
			if p := s.Of(netip.MustParseAddr(a)); p.Country != "" && place.CountryName(p.Country) == p.Country {
				t.Errorf("a country of no name: %+v", p)
			}
		}
	})
}
