package ephemeral

import (
	"fmt"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// Commands of an Exchange over what Put and Count store.

// Get asks for what Put stored: Reply.Bytes.
func (x *Exchange) Get(sc scope.Scope, kind Kind, id string) *Reply {
	return x.add(sc, &Reply{args: []any{"get", key(sc, kind, id)}})
}

// Count adds n to a counter, which lives for life from its first count on: Reply.Int.
func (x *Exchange) Count(sc scope.Scope, kind Kind, id string, n int64, life time.Duration) *Reply {
	k := key(sc, kind, id)
	counted := x.add(sc, &Reply{args: []any{"incrby", k, n}})
	x.add(sc, &Reply{args: []any{"expire", k, seconds(life), "NX"}})
	return counted
}

// Numbers asks for counters, in the order of ids: Reply.Numbers.
func (x *Exchange) Numbers(sc scope.Scope, kind Kind, ids ...string) *Reply {
	args := make([]any, 1, 1+len(ids))
	args[0] = "mget"
	for _, id := range ids {
		args = append(args, key(sc, kind, id))
	}
	return x.add(sc, &Reply{args: args})
}

// Distinct adds member to the set (kind, ids[0]), which lives for life from its first member on, and
// estimates how many different members that set and the others of ids have together, within 1 %: Reply.Int.
// A set takes at most 12 KB, however many members it has.
func (x *Exchange) Distinct(sc scope.Scope, kind Kind, member string, life time.Duration, ids ...string) *Reply {
	args := make([]any, 1, 1+len(ids))
	args[0] = "pfcount"
	for _, id := range ids {
		args = append(args, key(sc, kind, id))
	}
	x.add(sc, &Reply{args: []any{"pfadd", args[1], member}})
	x.add(sc, &Reply{args: []any{"expire", args[1], seconds(life), "NX"}})
	return x.add(sc, &Reply{args: args})
}

// seconds is a life as Redis counts it: at least one.
func seconds(life time.Duration) int64 { return max(int64(life/time.Second), 1) }

// Bytes returns what Get found; false when there is nothing.
func (r *Reply) Bytes() ([]byte, bool) {
	if r == nil || r.err != nil {
		return nil, false
	}
	text, err := r.cmd.Text()
	return []byte(text), err == nil
}

// Int returns what a counter has come to; 0 of no command.
func (r *Reply) Int() (int, error) {
	if r == nil {
		return 0, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.cmd.Int()
}

// Numbers returns counters, 0 for what is not there; nil of no command.
func (r *Reply) Numbers() ([]int, error) {
	if r == nil {
		return nil, nil
	}
	if r.err != nil {
		return nil, r.err
	}
	values, err := r.cmd.Slice()
	if err != nil {
		return nil, err
	}
	out := make([]int, len(values))
	for i, v := range values {
		text, ok := v.(string)
		if !ok { // not there
			continue
		}
		if out[i], err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("redis: counter: %w", err)
		}
	}
	return out, nil
}
