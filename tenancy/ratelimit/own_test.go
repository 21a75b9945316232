package ratelimit

import (
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/fault"
)

func TestOwn(t *testing.T) {
	var none *Own
	if !none.None() || none.Of(&PerKey) != &PerKey || none.Of(nil) != nil || len(none.List()) != 0 || string(none.JSON()) != "{}" {
		t.Error("a tenant without limits of its own has some")
	}
	first, err := none.With([]Calls{{"tenant", 20_000}, {"key", 2_000}, {"visitor", 20}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := first.Of(&PerKey); got.Max != 2_000 || got.Window != time.Second || got.Exact || got.Name != "key" || PerKey.Max != 400 {
		t.Errorf("key: %+v, of all %+v", got, PerKey)
	}
	if first.None() || first.Of(&PerVisitor) != &PerVisitor || first.Of(&PerUser) != &PerUser {
		t.Error("what all tenants have is a limit of its own")
	}
	second, err := first.With([]Calls{{"user", 60}, {"key", 400}}, []string{"tenant", "visitor"})
	if err != nil || second.Of(&PerKey) != &PerKey || second.Of(&PerTenant) != &PerTenant || second.Of(&PerUser).Max != 60 || !second.Of(&PerUser).Exact {
		t.Errorf("%+v, %v", second, err)
	}
	if first.Of(&PerKey).Max != 2_000 || first.Of(&PerTenant).Max != 20_000 {
		t.Errorf("what is shared was written to: %+v", first)
	}
	back := ReadOwn(first.JSON())
	if got := maps.Collect(pairs(back.List())); got["key"] != 2_000 || got["tenant"] != 20_000 || len(got) != 2 {
		t.Errorf("read back: %v of %s", got, first.JSON())
	}
}

func pairs(list []Calls) func(yield func(string, int64) bool) {
	return func(yield func(string, int64) bool) {
		for _, one := range list {
			if !yield(one.Name, one.Calls) {
				return
			}
		}
	}
}

func TestOwnIsBounded(t *testing.T) {
	var none *Own
	for _, tt := range []struct {
		set    []Calls
		remove []string
		field  string
		least  string
	}{
		{set: []Calls{{"everything", 1}}, field: "everything"},
		{set: []Calls{{"", 1}}},
		{set: []Calls{{"key", 0}}, field: "key", least: "1"},
		{set: []Calls{{"key", -400}}, field: "key", least: "1"},
		{set: []Calls{{"key", 10_001}}, field: "key", least: "1"},
		{set: []Calls{{"key", 1 << 62}}, field: "key", least: "1"},
		{set: []Calls{{"endpoint", 19}}, field: "endpoint", least: "20"},
		{set: []Calls{{"key", 1}, {"key", 2}}, field: "key"},
		{set: []Calls{{"key", 1}}, remove: []string{"key"}, field: "key"},
		{remove: []string{"KEY"}, field: "KEY"},
	} {
		got, err := none.With(tt.set, tt.remove)
		f, ok := fault.As(err)
		if !ok || !errors.Is(err, ErrOwn) || f.Metadata["field"] != tt.field || f.Metadata["least"] != tt.least || !got.None() {
			t.Errorf("%+v without %v: %+v, %v", tt.set, tt.remove, got, err)
		}
	}
	for _, l := range All() {
		least, most := l.Bounds()
		for _, calls := range []int64{least, most} {
			o, err := none.With([]Calls{{l.Name, calls}}, nil)
			if err != nil || o.Of(l).Max != calls {
				t.Errorf("%s of %d: %v", l.Name, calls, err)
			}
			// A call takes whole microseconds: the rate is never higher than what was settled, and all
			// of it may come at once.
			if mine := o.Of(l); mine.every() < 1 || mine.most() < mine.Window.Microseconds() || mine.most()/mine.every() != calls {
				t.Errorf("%s of %d: a call takes %d µs of %d", l.Name, calls, mine.every(), mine.most())
			}
		}
	}
}

// What another version wrote keeps no server from starting, and lifts no limit.
func TestOwnOfAnotherVersion(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "null": 0, "[]": 0, `{"key": "many"}`: 0, `{"key": 0, "tenant": 99000000}`: 0, `{"moon": 3, "key": 2000}`: 1, `{"endpoint": 1, "user": 31}`: 1,
	} {
		o := ReadOwn([]byte(text))
		if got := o.List(); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A limit that changes holds from the next call on, also for calls that have been counted.
func TestOwnChanges(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	var none *Own
	wide, err := none.With([]Calls{{"user", 60}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tight, err := none.With([]Calls{{"user", 3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	count := func(o *Own) (n int) {
		for admits(t, l, acme, Ask{Limit: o.Of(&PerUser), ID: "u"}) {
			n++
		}
		return n
	}
	if n := count(&tight); n != 3 {
		t.Errorf("%d admitted of 3", n)
	}
	now.set(20 * time.Second) // a third has come back
	if n := count(&wide); n != 20 {
		t.Errorf("%d admitted of 20, after the limit was widened", n)
	}
	now.set(40 * time.Second)
	if n := count(nil); n != 10 {
		t.Errorf("%d admitted of 10, as all tenants have it", n)
	}
	now.set(60 * time.Second)
	if n := count(&tight); n != 1 {
		t.Errorf("%d admitted of 1, after the limit was narrowed", n)
	}
}

// What is told to the other servers is told by the limit that holds now: by the one of before, 40
// calls of 1/100 would be forty of 1/10, and shut the key everywhere.
func TestOwnIsTold(t *testing.T) {
	var now clock
	url, acme := dbtest.Redis(t), newTenant()
	a, b := newLimiter(t, &now, url), newLimiter(t, &now, url)
	before, after := &Limit{Name: "test", Max: 10, Window: 10 * time.Hour}, &Limit{Name: "test", Max: 100, Window: 10 * time.Hour}
	if n := admitted(t, a, acme, before, "k", 5); n != 5 { // half of what may be
		t.Fatalf("admitted %d of 5", n)
	}
	a.sync(t.Context())
	if n := admitted(t, a, acme, after, "k", 40); n != 40 {
		t.Fatalf("admitted %d of 40, after the limit was widened", n)
	}
	a.sync(t.Context())
	if n := admitted(t, a, acme, after, "k", 20); n != 10 {
		t.Errorf("admitted %d of the 10 that are left", n)
	}
	a.sync(t.Context())
	if n := admitted(t, b, acme, after, "k", 1); n != 1 {
		t.Fatalf("another server admitted %d before it asked", n)
	}
	b.sync(t.Context())
	if n := admitted(t, b, acme, after, "k", 1); n != 0 {
		t.Errorf("another server admitted %d after it asked", n)
	}
}

// A limit changes while its counter is told: with the race detector on.
func TestOwnChangesWhileItIsTold(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, dbtest.Redis(t)), newTenant()
	limits := []*Limit{{Name: "test", Max: 1000, Window: time.Hour}, {Name: "test", Max: 2000, Window: time.Hour}}
	var calls sync.WaitGroup
	calls.Go(func() {
		for i := range 500 {
			admits(t, l, acme, Ask{Limit: limits[i%2], ID: "k"})
		}
	})
	for range 50 {
		l.sync(t.Context())
	}
	calls.Wait()
}

func BenchmarkOf(b *testing.B) {
	var none *Own
	var set []Calls
	for _, l := range All() {
		set = append(set, Calls{l.Name, l.Max + 1})
	}
	all, err := none.With(set, nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, o := range map[string]*Own{"none": {}, "all": &all} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if o.Of(&PerTenant) == nil || o.Of(&PerDomainLook) == nil {
					b.Fatal("no limit")
				}
			}
		})
	}
}
