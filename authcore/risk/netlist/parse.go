package netlist

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// maxLine is how long a line may be, comment included.
const maxLine = 4096

// parse reads a file, which may be anything.
func parse(raw []byte) (*table, error) {
	var b builder
	entries := 0
	number := 0
	for line := range bytes.Lines(raw) {
		number++
		if len(line) > maxLine {
			return nil, fmt.Errorf("line %d has more than %d bytes", number, maxLine)
		}
		text, _, _ := bytes.Cut(line, []byte{'#'})
		text = bytes.TrimSpace(text)
		if number == 1 {
			text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
		}
		if len(text) == 0 {
			continue
		}
		if entries++; entries > maxEntries {
			return nil, fmt.Errorf("line %d: there are more than %d entries", number, maxEntries)
		}
		if err := b.add(string(text)); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	// A list that has become empty is more often a download that failed than a world without such networks.
	if entries == 0 {
		return nil, errors.New("it has no entry")
	}
	return b.table(), nil
}

// add takes one entry.
func (b *builder) add(text string) error {
	if len(text) > 2 && (text[0] == 'A' || text[0] == 'a') && (text[1] == 'S' || text[1] == 's') {
		n, err := strconv.ParseUint(text[2:], 10, 32)
		if err != nil || n == 0 || text[2] == '+' {
			return fmt.Errorf("%s is no autonomous system: AS and a number from 1 to 4294967295", shown(text))
		}
		b.systems = append(b.systems, uint32(n))
		return nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return fmt.Errorf("%s is no address, no network such as 192.0.2.0/24, and no autonomous system such as AS64500", shown(text))
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() { // the addresses that are looked for are unmapped
		if p.Bits() < 96 {
			return fmt.Errorf("%s holds all of IPv4 and more", shown(text))
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return fmt.Errorf("%s has bits after its %d: is it %s?", shown(text), p.Bits(), p.Masked())
	}
	// Everything is never a list of some, and would label everybody.
	if p.Bits() == 0 {
		return fmt.Errorf("%s is all addresses there are", shown(text))
	}
	b.network(p)
	return nil
}

// shown is a text of a file as it can be said in a log: quoted, and not endless.
func shown(text string) string {
	if !utf8.ValidString(text) {
		return "what is no text"
	}
	if len(text) > 60 {
		text = text[:57] + "..."
	}
	return strconv.QuoteToASCII(text)
}
