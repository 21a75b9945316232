package netlist

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// span4 and span6 are addresses from first to last, both included.
type (
	span4 struct{ first, last uint32 }
	span6 struct{ first, last uint128 }
)

// uint128 is an IPv6 address as a number.
type uint128 struct{ hi, lo uint64 }

func (a uint128) compare(b uint128) int {
	if a.hi != b.hi {
		return cmp.Compare(a.hi, b.hi)
	}
	return cmp.Compare(a.lo, b.lo)
}

func (a uint128) next() uint128 {
	if a.lo++; a.lo == 0 {
		a.hi++
	}
	return a
}

func of16(b [16]byte) uint128 {
	return uint128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// table holds networks as spans that neither overlap nor touch, in their order: a look is a binary search in memory without
// pointers. IPv4 has an index by its first 16 bits, which leaves a handful to search.
type table struct {
	v4      []span4
	v6      []span6
	index   []uint32 // of the first span whose last address is not before n<<16; one more for the end; nil without IPv4
	systems []uint32 // in their order, each once
}

func (t *table) has(a netip.Addr, asn uint32) bool {
	if asn != 0 {
		if _, found := slices.BinarySearch(t.systems, asn); found {
			return true
		}
	}
	switch {
	case a.Is4():
		return t.has4(binary.BigEndian.Uint32(a.AsSlice()))
	case a.Is6():
		return t.has6(of16(a.As16()))
	}
	return false
}

func (t *table) has4(n uint32) bool {
	if t.index == nil {
		return false
	}
	from, to := t.index[n>>16], min(t.index[n>>16+1]+1, uint32(len(t.v4))) //nolint:gosec // at most maxEntries
	spans := t.v4[from:to]
	i, found := slices.BinarySearchFunc(spans, n, func(s span4, n uint32) int { return cmp.Compare(s.last, n) })
	return found || i < len(spans) && spans[i].first <= n
}

func (t *table) has6(n uint128) bool {
	i, found := slices.BinarySearchFunc(t.v6, n, func(s span6, n uint128) int { return s.last.compare(n) })
	return found || i < len(t.v6) && t.v6[i].first.compare(n) <= 0
}

// builder collects entries.
type builder struct {
	v4      []span4
	v6      []span6
	systems []uint32
}

// network takes a network in its shortest form, of 1 bit at least.
func (b *builder) network(p netip.Prefix) {
	if p.Addr().Is4() {
		first := binary.BigEndian.Uint32(p.Addr().AsSlice())
		b.v4 = append(b.v4, span4{first, first | uint32(uint64(1)<<(32-p.Bits())-1)}) //nolint:gosec // 1 to 32 bits
		return
	}
	first := of16(p.Addr().As16())
	last := first
	if host := 128 - p.Bits(); host > 64 {
		last.hi, last.lo = first.hi|(uint64(1)<<(host-64)-1), ^uint64(0)
	} else { // a shift by 64 leaves nothing, and with it all bits set
		last.lo |= uint64(1)<<host - 1
	}
	b.v6 = append(b.v6, span6{first, last})
}

func (b *builder) table() *table {
	t := &table{v4: join4(b.v4), v6: join6(b.v6), systems: slices.Compact(slices.Sorted(slices.Values(b.systems)))}
	if len(t.v4) > 0 {
		t.index = make([]uint32, 1<<16+1)
		n := uint32(0)
		for i := range uint32(1 << 16) {
			for int(n) < len(t.v4) && t.v4[n].last < i<<16 {
				n++
			}
			t.index[i] = n
		}
		t.index[1<<16] = uint32(len(t.v4)) //nolint:gosec // at most maxEntries
	}
	return t
}

// join4 puts spans in their order, and makes one of those that overlap or touch.
func join4(all []span4) []span4 {
	slices.SortFunc(all, func(a, b span4) int { return cmp.Compare(a.first, b.first) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && (out[n-1].last >= s.first || out[n-1].last+1 == s.first) {
			out[n-1].last = max(out[n-1].last, s.last)
			continue
		}
		out = append(out, s)
	}
	return out
}

func join6(all []span6) []span6 {
	slices.SortFunc(all, func(a, b span6) int { return a.first.compare(b.first) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && (out[n-1].last.compare(s.first) >= 0 || out[n-1].last.next() == s.first) {
			if s.last.compare(out[n-1].last) > 0 {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}
