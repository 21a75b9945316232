// Package netlist tells whether an address, or the autonomous system that it belongs to, stands in lists that the operator keeps in
// files: exits of Tor, VPNs, hosting, networks to refuse. Each file has a label; the answer is the labels.
//
// A file has an entry a line: an address, a network in CIDR form, or AS and a number. What follows a # is a comment. A
// file with a line that is none of these is refused with the line's number, and the one before stays in use.
//
//	netlist.go  lists, and what is asked of them
//	parse.go    a file
//	table.go    networks, to be found fast
package netlist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"sync"
	"time"

	"github.com/biocore-id/biocore/authcore/risk/datafile"
)

const (
	// MaxLists bounds the lists of an installation: each is asked for each address.
	MaxLists = 16
	// MaxBytes is how long a file may be, and maxEntries how many lines of it may be entries.
	MaxBytes   = 64 << 20
	maxEntries = 4 << 20
)

// List is a file and what is said of who stands in it.
type List struct {
	Label string // a-z, 0-9, _ and -, at most 32; of no other list
	File  string
}

var labelForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Check says what is wrong with lists, of each by its position from 1.
func Check(lists []List) error {
	var errs []error
	if len(lists) > MaxLists {
		errs = append(errs, fmt.Errorf("there are %d lists, and %d at most", len(lists), MaxLists))
	}
	seen := map[string]bool{}
	for i, l := range lists {
		switch {
		case !labelForm.MatchString(l.Label):
			errs = append(errs, fmt.Errorf("list %d: the label %q is not of a-z, 0-9, _ and -, beginning with a letter, at most 32", i+1, l.Label))
		case seen[l.Label]:
			errs = append(errs, fmt.Errorf("list %d: there is a list labelled %q before it", i+1, l.Label))
		case l.File == "":
			errs = append(errs, fmt.Errorf("list %d: %s names no file", i+1, l.Label))
		}
		seen[l.Label] = true
	}
	return errors.Join(errs...)
}

// Options configures a Service.
type Options struct {
	Lists []List           // as Check takes them
	Now   func() time.Time // nil means time.Now
	Log   *slog.Logger     // nil means slog.Default
}

// Service answers from the lists. It is safe for concurrent use. Nil has no lists.
type Service struct{ lists []list }

type list struct {
	label string
	file  *datafile.File[table]
}

// New returns a Service that has read its files once; what Check says. A file that cannot be used is no error, but in Status and in
// the log: a server must come up again beside a file that was replaced by a broken one. Call Run next.
func New(ctx context.Context, o Options) (*Service, error) {
	if err := Check(o.Lists); err != nil {
		return nil, err
	}
	s := &Service{}
	for _, l := range o.Lists {
		f := datafile.New(datafile.Options[table]{Path: l.File, MaxBytes: MaxBytes, Parse: parse, Now: o.Now, Log: o.Log})
		f.Look(ctx)
		s.lists = append(s.lists, list{l.Label, f})
	}
	return s, nil
}

// Run looks every minute whether files were replaced, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range s.lists {
		wg.Go(func() { _ = l.file.Run(ctx) }) // it returns when ctx ends
	}
	wg.Wait()
	<-ctx.Done()
	return nil
}

// Labels are those of the lists that an address, or its autonomous system, stands in, in the order of the configuration; asn 0 stands in
// none. Nothing is allocated unless there are some. An address is looked for as it is, IPv4-mapped ones as IPv4: give what
// place.Public returns to look for what it stands for.
func (s *Service) Labels(a netip.Addr, asn uint32) (labels []string) {
	if s == nil {
		return nil
	}
	a = a.Unmap().WithZone("")
	for _, l := range s.lists {
		if t := l.file.Current(); t != nil && t.has(a, asn) {
			labels = append(labels, l.label)
		}
	}
	return labels
}

// Source is how one list is.
type Source struct {
	Label string
	datafile.Status

	Networks int // after those within others are taken out, and neighbours are joined
	Systems  int // autonomous ones
}

// Sources are the lists that are configured.
func (s *Service) Sources() []Source {
	if s == nil {
		return nil
	}
	all := make([]Source, 0, len(s.lists))
	for _, l := range s.lists {
		one := Source{Label: l.label, Status: l.file.Status()}
		if t := l.file.Current(); t != nil {
			one.Networks, one.Systems = len(t.v4)+len(t.v6), len(t.systems)
		}
		all = append(all, one)
	}
	return all
}
