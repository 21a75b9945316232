package place

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/oschwald/maxminddb-golang/v2"
)

const (
	// MaxBytes is how long a file may be. Those of countries have some megabytes, those of cities over a hundred.
	MaxBytes = 256 << 20
	// maxRecords bounds different records of a file: there are 250 countries and some 90,000 autonomous systems, each with one.
	maxRecords = 1 << 20
	// maxNetwork is how many characters of a network's name are kept.
	maxNetwork = 80
)

// field is what a table is read for.
type field int

const (
	wantCountry field = iota
	wantNetwork
)

// record is what is kept of one record of a file.
type record struct {
	country string
	asn     uint32
	network string
}

// table is one file. Its records are read once, with the file: a look follows the tree alone, and what is broken is found
// before it is in use.
type table struct {
	reader  *maxminddb.Reader
	records map[uintptr]record // by where they stand
	built   time.Time
	kind    string
	nodes   int
}

// form is what records look like. A map that lacks a member leaves it as it is.
type countryForm struct {
	// ip-location-db, IPtoASN and others.
	CountryCode string `maxminddb:"country_code"`
}

// nestedForm is that of MaxMind's and DB-IP's files.
type nestedForm struct {
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
}

type asnForm struct {
	ASN          uint32 `maxminddb:"autonomous_system_number"`
	Organization string `maxminddb:"autonomous_system_organization"`
}

// readTable reads a file, which may be anything.
func readTable(raw []byte, want field) (*table, error) {
	reader, err := maxminddb.OpenBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("it is no MaxMind DB: %w", err)
	}
	m := &reader.Metadata
	if m.RecordSize != 24 && m.RecordSize != 28 && m.RecordSize != 32 {
		return nil, fmt.Errorf("its tree has records of %d bits", m.RecordSize)
	}
	t := &table{reader: reader, records: map[uintptr]record{}, built: m.BuildTime().UTC(), kind: m.DatabaseType, nodes: int(m.NodeCount)}
	if m.BuildEpoch == 0 {
		t.built = time.Time{}
	}
	some := false
	for at, err := range leaves(raw, m) {
		if err != nil {
			return nil, err
		}
		if _, known := t.records[at]; known {
			continue
		}
		if len(t.records) == maxRecords {
			return nil, fmt.Errorf("it has more than %d different records", maxRecords)
		}
		r, err := readRecord(reader.LookupOffset(at), want)
		if err != nil {
			return nil, fmt.Errorf("a record of it cannot be read: %w", err)
		}
		t.records[at] = r
		some = some || r != record{}
	}
	if !some {
		return nil, map[field]error{
			wantCountry: errors.New("no record of it has a country: country_code, or iso_code in country"),
			wantNetwork: errors.New("no record of it has an autonomous_system_number"),
		}[want]
	}
	return t, nil
}

func readRecord(found maxminddb.Result, want field) (record, error) {
	if want == wantNetwork {
		var f asnForm
		if err := found.Decode(&f); err != nil {
			return record{}, err
		}
		if f.ASN == 0 {
			return record{}, nil
		}
		return record{asn: f.ASN, network: cleanName(f.Organization)}, nil
	}
	var f countryForm
	if err := found.Decode(&f); err != nil {
		return record{}, err
	}
	code := f.CountryCode
	if code == "" {
		var nested nestedForm
		if err := found.Decode(&nested); err != nil {
			return record{}, err
		}
		code = nested.Country.ISOCode
	}
	// ZZ and what is no country of ISO's, such as EU, say as little as nothing.
	if _, known := countries()[code]; !known {
		return record{}, nil
	}
	return record{country: strings.Clone(code)}, nil
}

// cleanName is a name as it can be shown: in one line, and not endless.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxNetwork {
		s = strings.TrimSpace(string(runes[:maxNetwork-1])) + "…"
	}
	return s
}

// leaves are where the tree's records stand in the data section, each as often as it is pointed to. It goes over the
// nodes as they lie in the file, once: a tree that is followed may lead back into itself, and then has more paths than can be walked.
func leaves(raw []byte, m *maxminddb.Metadata) func(yield func(uintptr, error) bool) {
	return func(yield func(uintptr, error) bool) {
		size := int(m.RecordSize) / 4
		count := uint64(m.NodeCount)
		if uint64(len(raw))/uint64(size) < count {
			yield(0, errors.New("its tree is longer than the file"))
			return
		}
		for n := 0; uint64(n) < count; n++ {
			node := raw[n*size:]
			for _, pointer := range [2]uint64{left(node, size), right(node, size)} {
				if pointer <= count { // another node, or nothing
					continue
				}
				if pointer < count+16 { // the separator's
					yield(0, errors.New("its tree points between tree and data"))
					return
				}
				if !yield(uintptr(pointer-count-16), nil) {
					return
				}
			}
		}
	}
}

// left and right are the two pointers of a node of 6, 7 or 8 bytes (MaxMind DB 2.0, "Node Layout").
func left(n []byte, size int) uint64 {
	switch size {
	case 6:
		return uint64(n[0])<<16 | uint64(n[1])<<8 | uint64(n[2])
	case 7:
		return uint64(n[3]>>4)<<24 | uint64(n[0])<<16 | uint64(n[1])<<8 | uint64(n[2])
	}
	return uint64(n[0])<<24 | uint64(n[1])<<16 | uint64(n[2])<<8 | uint64(n[3])
}

func right(n []byte, size int) uint64 {
	switch size {
	case 6:
		return uint64(n[3])<<16 | uint64(n[4])<<8 | uint64(n[5])
	case 7:
		return uint64(n[3]&0xf)<<24 | uint64(n[4])<<16 | uint64(n[5])<<8 | uint64(n[6])
	}
	return uint64(n[4])<<24 | uint64(n[5])<<16 | uint64(n[6])<<8 | uint64(n[7])
}

// find is the record of an address that Public has returned; the zero one where there is none.
func (t *table) find(a netip.Addr) record {
	found := t.reader.Lookup(a)
	if !found.Found() {
		return record{}
	}
	return t.records[found.Offset()]
}
