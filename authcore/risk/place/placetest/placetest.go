// Package placetest writes small files in MaxMind DB form, for tests.
package placetest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Built is when the files that are written here say that they were.
var Built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// Country is a record of country_code.
func Country(code string) map[string]any { return map[string]any{"country_code": code} }

// Network is a record of an autonomous system.
func Network(asn uint32, name string) map[string]any {
	return map[string]any{"autonomous_system_number": asn, "autonomous_system_organization": name}
}

// Write writes a file into a folder of the test's, and returns its path.
func Write(t testing.TB, name string, records map[string]map[string]any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, Table(Built, records), 0o600); err != nil {
		t.Fatalf("placetest: %v", err)
	}
	return path
}

// Documentation writes a file of countries and one of networks, in which the ranges that are kept for documentation (RFC 5737,
// RFC 3849) are somewhere: made-up people have their addresses.
func Documentation(t testing.TB) (countries, networks string) {
	t.Helper()
	countries = Write(t, "country.mmdb", map[string]map[string]any{
		"192.0.2.0/24": Country("PT"), "198.51.100.0/24": Country("ES"), "203.0.113.0/24": Country("DE"), "2001:db8::/32": Country("GB"),
	})
	networks = Write(t, "asn.mmdb", map[string]map[string]any{
		"192.0.2.0/24": Network(64496, "Example Telecom"), "198.51.100.0/24": Network(64497, "Beispiel Mobilfunk"), "2001:db8::/32": Network(64499, "Documentation Broadband"),
	})
	return countries, networks
}

// Table is a file with records by network, such as 81.2.69.0/24; networks do not hold each other. Members are strings, uint32 and
// maps of them.
func Table(built time.Time, records map[string]map[string]any) []byte {
	w := writer{nodes: [][2]int{{}}}
	var data []byte
	places := map[string]int{} // of equal records, by what they are written as
	for _, network := range slices.Sorted(maps.Keys(records)) {
		value := encode(records[network])
		at, known := places[string(value)]
		if !known {
			at = len(data)
			places[string(value)] = at
			data = append(data, value...)
		}
		w.insert(netip.MustParsePrefix(network), at)
	}
	count := len(w.nodes)
	var out []byte
	for _, node := range w.nodes {
		for _, pointer := range node {
			switch {
			case pointer == 0:
				pointer = count
			case pointer < 0:
				pointer = count + 16 + (-pointer - 1)
			}
			out = append(out, byte(pointer>>16), byte(pointer>>8), byte(pointer)) //nolint:gosec // 24 bits
		}
	}
	out = append(out, make([]byte, 16)...)
	out = append(out, data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return append(out, encode(map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(built.Unix()), //nolint:gosec // after 1970
		"database_type": "placetest", "description": map[string]any{}, "ip_version": uint16(6), "languages": []string{},
		"node_count": uint32(count), "record_size": uint16(24), //nolint:gosec // small
	})...)
}

// writer makes the tree: a pointer is 0 for nothing, a node's number, or -1-n for the record at n.
type writer struct{ nodes [][2]int }

func (w *writer) insert(p netip.Prefix, record int) {
	bits := p.Bits()
	address := p.Addr().As16()
	if p.Addr().Is4() { // IPv4 lies below ::/96
		bits += 96
		clear(address[:12])
	}
	node := 0
	for i := range bits {
		side := int(address[i/8]>>(7-i%8)) & 1
		if i == bits-1 {
			w.nodes[node][side] = -1 - record
			return
		}
		if w.nodes[node][side] <= 0 {
			w.nodes = append(w.nodes, [2]int{})
			w.nodes[node][side] = len(w.nodes) - 1
		}
		node = w.nodes[node][side]
	}
}

// encode is a value of the data section (MaxMind DB 2.0, "Output Data Section").
func encode(v any) []byte {
	switch v := v.(type) {
	case string:
		return append(control(2, len(v)), v...)
	case uint16:
		return append(control(5, 2), binary.BigEndian.AppendUint16(nil, v)...)
	case uint32:
		return append(control(6, 4), binary.BigEndian.AppendUint32(nil, v)...)
	case uint64:
		return append(control(9, 8), binary.BigEndian.AppendUint64(nil, v)...)
	case []string:
		out := control(11, len(v))
		for _, s := range v {
			out = append(out, encode(s)...)
		}
		return out
	case map[string]any:
		out := control(7, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(append(out, encode(k)...), encode(v[k])...)
		}
		return out
	}
	panic(fmt.Sprintf("placetest: no way to write %T", v))
}

// control is the control byte of a type and a size, and what follows it for larger ones.
func control(kind, size int) []byte {
	var after []byte
	if size >= 29 {
		size, after = 29, []byte{byte(size - 29)} //nolint:gosec // up to 284 bytes: enough for tests
	}
	if kind > 7 {
		return append([]byte{byte(size), byte(kind - 7)}, after...) //nolint:gosec // 5 bits and a byte
	}
	return append([]byte{byte(kind<<5 | size)}, after...) //nolint:gosec // 3 bits and 5
}
