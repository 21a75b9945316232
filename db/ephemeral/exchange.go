package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// Script is a Lua script that Redis runs as a whole: nothing comes between its commands. All
// keys that it touches are given to it, and are of one tenant.
type Script struct{ script *redis.Script }

// NewScript returns the script of a source. Make it once, in a package variable.
func NewScript(source string) *Script { return &Script{redis.NewScript(source)} }

// Exchange is commands that go to Redis together and come back together: one round trip, in a
// cluster one for each node, so one for a tenant. Whoever decides about a call adds what it
// needs, one of them calls Do, and each reads its own replies. It is for one goroutine.
type Exchange struct {
	client  *Client
	replies []*Reply
	err     error // of what was added
}

// Reply is what became of one command, once Do has returned.
type Reply struct {
	cmd    *redis.Cmd
	script *redis.Script // nil: a plain command, which is args
	keys   []string
	args   []any
	err    error
}

var errNotAsked = errors.New("ephemeral: the exchange has not been made")

// Exchange returns an empty one.
func (c *Client) Exchange() *Exchange { return &Exchange{client: c} }

// Len returns how many commands were added.
func (x *Exchange) Len() int { return len(x.replies) }

// Run adds a script, with the ids of kind that are its KEYS and its ARGV.
func (x *Exchange) Run(sc scope.Scope, script *Script, kind Kind, ids []string, args ...any) *Reply {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = key(sc, kind, id)
	}
	return x.add(sc, &Reply{script: script.script, keys: keys, args: args})
}

// Counts asks for all fields of the counters (sc, kind, id): Reply.Counts.
func (x *Exchange) Counts(sc scope.Scope, kind Kind, id string) *Reply {
	return x.add(sc, &Reply{args: []any{"hgetall", key(sc, kind, id)}})
}

func (x *Exchange) add(sc scope.Scope, r *Reply) *Reply {
	if sc.IsZero() {
		x.err = errNoScope
	}
	r.err = errNotAsked
	x.replies = append(x.replies, r)
	return r
}

// Do sends what was added and waits for the answers, 150 ms at most. Without a command it asks
// nobody. Its error is that of the whole exchange: nothing is known then of what was done. What
// Redis said to one command alone is that reply's error.
func (x *Exchange) Do(ctx context.Context) error {
	if x.err != nil || len(x.replies) == 0 {
		return x.err
	}
	return x.client.bounded(ctx, func(ctx context.Context) error {
		pipe, again := x.client.rdb.Pipeline(), x.client.rdb.Pipeline()
		for _, r := range x.replies {
			if r.script != nil {
				r.cmd = r.script.EvalSha(ctx, pipe, r.keys, r.args...)
			} else {
				r.cmd = pipe.Do(ctx, r.args...)
			}
		}
		_, _ = pipe.Exec(ctx) // each command has its error
		for _, r := range x.replies {
			// A Redis that has started anew does not know the script, and has done nothing of it.
			if r.err = r.cmd.Err(); r.script != nil && r.err != nil && strings.HasPrefix(r.err.Error(), "NOSCRIPT") {
				r.cmd = r.script.Eval(ctx, again, r.keys, r.args...)
			}
		}
		if again.Len() > 0 {
			_, _ = again.Exec(ctx)
		}
		for _, r := range x.replies {
			r.err = r.cmd.Err()
			if _, answered := errors.AsType[redis.Error](r.err); r.err != nil && (!answered || isAway(r.err)) {
				return r.err
			}
		}
		return nil
	})
}

// Ints returns the reply of a script that answers an array of integers.
func (r *Reply) Ints() ([]int64, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.cmd.Int64Slice()
}

// Counts returns the reply of Exchange.Counts: each field and its value; empty when there is none.
func (r *Reply) Counts() (map[string]int64, error) {
	if r.err != nil {
		return nil, r.err
	}
	out := map[string]int64{}
	switch v := r.cmd.Val().(type) {
	case map[any]any: // RESP3
		for field, n := range v {
			if err := count(out, field, n); err != nil {
				return nil, err
			}
		}
	case []any: // RESP2
		for i := 0; i+1 < len(v); i += 2 {
			if err := count(out, v[i], v[i+1]); err != nil {
				return nil, err
			}
		}
	default:
		return nil, errors.New("redis: no counters")
	}
	return out, nil
}

func count(out map[string]int64, field, n any) error {
	name, ok := field.(string)
	text, also := n.(string)
	if !ok || !also {
		return errors.New("redis: no counters")
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("redis: counter: %w", err)
	}
	out[name] = value
	return nil
}
