package netlist_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/risk/netlist"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, lists ...netlist.List) *netlist.Service {
	t.Helper()
	s, err := netlist.New(t.Context(), netlist.Options{Lists: lists, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLabels(t *testing.T) {
	s := open(t,
		netlist.List{Label: "tor", File: write(t, "\ufeff# exits\r\n\r\n  185.220.101.1   # one\r\n2001:db8:1::1\n::ffff:198.51.100.7\n")},
		netlist.List{Label: "hosting", File: write(t, "185.220.0.0/16\nAS16509\nas64500 # the same\nAS64500\n2001:db8::/32\n10.0.0.0/9\n10.128.0.0/9")},
	)
	for _, tt := range []struct {
		address string
		asn     uint32
		want    []string
	}{
		{"185.220.101.1", 0, []string{"tor", "hosting"}},
		{"::ffff:185.220.101.1", 0, []string{"tor", "hosting"}},
		{"185.220.101.2", 0, []string{"hosting"}},
		{"185.220.0.0", 0, []string{"hosting"}},
		{"185.220.255.255", 0, []string{"hosting"}},
		{"185.219.255.255", 0, nil},
		{"185.221.0.0", 0, nil},
		{"198.51.100.7", 0, []string{"tor"}},
		{"10.127.255.255", 0, []string{"hosting"}},
		{"2001:db8:1::1", 0, []string{"tor", "hosting"}},
		{"2001:db8:1::1%eth0", 0, []string{"tor", "hosting"}},
		{"2001:db9::", 0, nil},
		{"1.2.3.4", 16509, []string{"hosting"}},
		{"1.2.3.4", 64500, []string{"hosting"}},
		{"1.2.3.4", 64501, nil},
	} {
		if got := s.Labels(netip.MustParseAddr(tt.address), tt.asn); !slices.Equal(got, tt.want) {
			t.Errorf("Labels(%s, %d) = %v, want %v", tt.address, tt.asn, got, tt.want)
		}
	}
	if got := s.Labels(netip.Addr{}, 0); got != nil {
		t.Errorf("Labels(none) = %v", got)
	}
	if got := (*netlist.Service)(nil).Labels(netip.MustParseAddr("1.2.3.4"), 1); got != nil {
		t.Errorf("without lists: %v", got)
	}
	if got := s.Sources()[1]; got.Label != "hosting" || got.Networks != 3 || got.Systems != 2 || got.Err != nil {
		t.Errorf("Sources = %+v", got)
	}
}

func TestRefusedFiles(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"words", "1.2.3.4\n\n<!doctype html>\n", `line 3: "<!doctype html>" is no address`},
		{"two on a line", "1.2.3.4 1.2.3.5", "line 1:"},
		{"bits after the prefix", "#\n10.0.0.1/8", `line 2: "10.0.0.1/8" has bits after its 8: is it 10.0.0.0/8?`},
		{"too many bits", "10.0.0.0/33", "line 1:"},
		{"everything", "0.0.0.0/0", "is all addresses there are"},
		{"everything of IPv6", "::/0", "is all addresses there are"},
		{"everything, mapped", "::ffff:0:0/96", "is all addresses there are"},
		{"more than IPv4, mapped", "::ffff:0:0/95", "line 1:"},
		{"a zone", "fe80::1%eth0", "line 1:"},
		{"a leading zero", "010.0.0.1", "line 1:"},
		{"AS 0", "AS0", "is no autonomous system"},
		{"AS of five bytes", "AS4294967296", "is no autonomous system"},
		{"AS with a sign", "AS+5", "is no autonomous system"},
		{"AS alone", "AS", "line 1:"},
		{"no text", "1.2.3.4\n\xff\xfe", "line 2: what is no text"},
		{"nothing", "# a download that failed\n", "it has no entry"},
		{"an endless line", strings.Repeat("1", 5000), "line 1 has more than 4096 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, netlist.List{Label: "tor", File: write(t, tt.text)})
			if got := s.Sources()[0].Err; got == nil || !strings.Contains(got.Error(), tt.want) {
				t.Errorf("Err = %v, want %q", got, tt.want)
			}
			if got := s.Labels(netip.MustParseAddr("1.2.3.4"), 0); got != nil {
				t.Errorf("half a file is in use: %v", got)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	many := make([]netlist.List, netlist.MaxLists+1)
	for i := range many {
		many[i] = netlist.List{Label: fmt.Sprintf("l%d", i), File: "/f"}
	}
	for _, tt := range []struct {
		name  string
		lists []netlist.List
		want  string
	}{
		{"good", []netlist.List{{"tor", "/f"}, {"vpn-2", "/g"}}, ""},
		{"an empty label", []netlist.List{{"tor", "/f"}, {"", "/f"}}, "list 2: the label"},
		{"letters in upper case", []netlist.List{{"Tor", "/f"}}, "list 1: the label"},
		{"twice", []netlist.List{{"tor", "/f"}, {"tor", "/g"}}, "list 2: there is a list"},
		{"no file", []netlist.List{{"tor", ""}}, "list 1: tor names no file"},
		{"too many", many, "16 at most"},
	} {
		err := netlist.Check(tt.lists)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// What is found is what looking at each entry in turn finds.
func TestAgainstEachEntry(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		var text bytes.Buffer
		var prefixes []netip.Prefix
		for range 1 + rng.IntN(60) {
			p := random(rng)
			prefixes = append(prefixes, p)
			fmt.Fprintln(&text, p)
		}
		s := open(t, netlist.List{Label: "x", File: write(t, text.String())})
		for range 300 {
			a := random(rng).Addr()
			if rng.IntN(2) == 0 { // about an edge
				p := prefixes[rng.IntN(len(prefixes))]
				a = p.Addr()
				switch rng.IntN(3) {
				case 0:
					a = a.Prev()
				case 1:
					b := a.AsSlice()
					b[len(b)-1] |= 255
					a, _ = netip.AddrFromSlice(b)
				}
			}
			if !a.IsValid() {
				continue
			}
			want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
			if got := s.Labels(a, 0) != nil; got != want {
				t.Fatalf("Labels(%s) = %v, want %v, of\n%s", a, got, want, text.String())
			}
		}
	}
}

// random is a network among few, so that they overlap and touch.
func random(rng *rand.Rand) netip.Prefix {
	if rng.IntN(2) == 0 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(rng.IntN(2) * 255), byte(rng.IntN(3)), byte(rng.IntN(256)), byte(rng.IntN(256))}), 1+rng.IntN(32)).Masked()
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: byte(rng.IntN(2) * 255), 7: byte(rng.IntN(4)), 8: byte(rng.IntN(3)), 15: byte(rng.IntN(256))}), 1+rng.IntN(128)).Masked()
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"1.2.3.4\n", "10.0.0.0/8 # x\nAS1\n", "::ffff:1.2.3.0/120", "2001:db8::/32\r\n", "fe80::1%x", "AS99999999999"} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "list")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, netlist.List{Label: "x", File: path})
		got := s.Sources()[0]
		if used := got.Networks+got.Systems > 0; used != (got.Err == nil) {
			t.Errorf("%d networks, %d systems, %v", got.Networks, got.Systems, got.Err)
		}
		s.Labels(netip.MustParseAddr("1.2.3.4"), 1)
		s.Labels(netip.MustParseAddr("2001:db8::1"), 0)
	})
}

func million(b *testing.B) *netlist.Service {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	for i := range 1_000_000 {
		if i%4 == 0 {
			fmt.Fprintf(&text, "2a%02x:%x:%x::/48\n", rng.IntN(16), rng.IntN(1<<16), rng.IntN(1<<16))
		} else {
			fmt.Fprintf(&text, "%d.%d.%d.%d/32\n", 1+rng.IntN(222), rng.IntN(256), rng.IntN(256), rng.IntN(256))
		}
	}
	return open(b, netlist.List{Label: "x", File: write(b, text.String())})
}

// BenchmarkLabels asks a list of a million networks.
func BenchmarkLabels(b *testing.B) {
	s := million(b)
	if got := s.Sources()[0]; got.Err != nil {
		b.Fatal(got.Err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, family := range []string{"4", "6"} {
		b.Run("IPv"+family, func(b *testing.B) {
			addresses := make([]netip.Addr, 4096)
			for i := range addresses {
				addresses[i] = netip.AddrFrom4([4]byte{byte(1 + rng.IntN(222)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
				if family == "6" {
					addresses[i] = netip.AddrFrom16([16]byte{0x2a, byte(rng.IntN(16)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s.Labels(addresses[i&4095], 0)
				i++
			}
		})
	}
}

// BenchmarkRead reads a list of a million networks.
func BenchmarkRead(b *testing.B) {
	path := ""
	for _, one := range million(b).Sources() {
		path = one.Path
	}
	b.ReportAllocs()
	for b.Loop() {
		open(b, netlist.List{Label: "x", File: path})
	}
}
