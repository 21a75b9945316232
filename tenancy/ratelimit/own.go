package ratelimit

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrOwn refuses a limit of a tenant's own. Its metadata has the limit's name as field, and, where
// there is such a limit, the bounds.
var ErrOwn = fault.New(fault.Invalid, "LIMIT_INVALID", "a limit of a tenant's own has the name of a limit, each once, and calls within its bounds")

// maxTimes is how many times what all tenants have one of them may have.
const maxTimes = 25

// Own are limits that a tenant has instead of those of all. The zero value has none, and so has
// nil. It is shared: read only.
type Own struct{ limits []Limit } // in the order of All

// Calls are how many calls of a limit a tenant is given in the limit's window.
type Calls struct {
	Name  string
	Calls int64
}

// Bounds are the fewest and the most calls that a tenant may be given of a limit.
func (l *Limit) Bounds() (least, most int64) { return max(l.Least, 1), l.Max * maxTimes }

// find returns the limit of all tenants that has the name; nil: there is none.
func find(name string) *Limit {
	for _, l := range All() {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// With returns o with set in it and without remove, which stay what all tenants have. ErrOwn.
func (o *Own) With(set []Calls, remove []string) (Own, error) {
	calls := o.calls()
	for i, one := range set {
		l := find(one.Name)
		if l == nil || slices.ContainsFunc(set[:i], func(other Calls) bool { return other.Name == one.Name }) || slices.Contains(remove, one.Name) {
			return Own{}, ErrOwn.With("field", one.Name)
		}
		if least, most := l.Bounds(); one.Calls < least || one.Calls > most {
			from, to := strconv.FormatInt(least, 10), strconv.FormatInt(most, 10)
			return Own{}, ErrOwn.WithMessage(l.Name+" takes from "+from+" to "+to+" calls").With("field", l.Name).With("least", from).With("most", to)
		}
		calls[one.Name] = one.Calls
	}
	for _, name := range remove {
		if find(name) == nil {
			return Own{}, ErrOwn.With("field", name)
		}
		delete(calls, name)
	}
	return own(calls), nil
}

// own makes limits of calls that are within bounds, and passes over the others: what all tenants
// have is none of its own.
func own(calls map[string]int64) Own {
	var o Own
	for _, l := range All() {
		if n, ok := calls[l.Name]; ok {
			if least, most := l.Bounds(); n != l.Max && n >= least && n <= most {
				mine := *l
				mine.Max = n
				o.limits = append(o.limits, mine)
			}
		}
	}
	return o
}

// calls are the limits of o, by name.
func (o *Own) calls() map[string]int64 {
	out := map[string]int64{}
	for _, one := range o.List() {
		out[one.Name] = one.Calls
	}
	return out
}

// List returns what the tenant has of its own, in the order of All.
func (o *Own) List() []Calls {
	if o == nil {
		return nil
	}
	out := make([]Calls, len(o.limits))
	for i := range o.limits {
		out[i] = Calls{o.limits[i].Name, o.limits[i].Max}
	}
	return out
}

// Of returns the tenant's own limit of l's name, or l, which all tenants have.
func (o *Own) Of(l *Limit) *Limit {
	if o.None() || l == nil {
		return l
	}
	for i := range o.limits {
		if o.limits[i].Name == l.Name {
			return &o.limits[i]
		}
	}
	return l
}

// None reports that the tenant has what all have.
func (o *Own) None() bool { return o == nil || len(o.limits) == 0 }

// JSON is o as it is kept: calls by the limit's name.
func (o *Own) JSON() []byte {
	text, _ := json.Marshal(o.calls()) //nolint:errchkjson // a map of numbers has a text
	return text
}

// ReadOwn reads what JSON writes. A limit that this version does not know, or holds to be out of
// bounds, is that of all tenants: a server must not be kept from starting by what another wrote.
func ReadOwn(text []byte) Own {
	var calls map[string]int64
	if json.Unmarshal(text, &calls) != nil {
		return Own{}
	}
	return own(calls)
}
