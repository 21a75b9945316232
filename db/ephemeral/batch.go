package ephemeral

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// Batch gathers commands about one tenant, which go to Redis in one round trip, in their order. They
// are no transaction: others' commands may come between. What they answer is there when Do has returned.
type Batch struct {
	ctx  context.Context //nolint:containedctx // of the one call that fills it
	sc   scope.Scope
	pipe redis.Pipeliner
}

// Do sends what fill asks for. When it fails, some of it may have been done.
func (c *Client) Do(ctx context.Context, sc scope.Scope, fill func(*Batch)) error {
	return c.do(ctx, sc, func(ctx context.Context) error {
		b := Batch{ctx: ctx, sc: sc, pipe: c.rdb.Pipeline()}
		fill(&b)
		cmds, err := b.pipe.Exec(ctx)
		if err == nil {
			return nil
		}
		// What is not there is an answer: the error is the first other one.
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil && err != redis.Nil { //nolint:errorlint // never wrapped by the client
				return err
			}
		}
		return nil
	})
}

// Value is what Get will have found.
type Value struct{ cmd *redis.StringCmd }

// Bytes returns it, and false when there is nothing.
func (v Value) Bytes() ([]byte, bool) {
	b, err := v.cmd.Bytes()
	return b, err == nil
}

// Number is what a count will have come to.
type Number struct{ cmd *redis.IntCmd }

// Int returns it.
func (n Number) Int() int { return int(n.cmd.Val()) }

// Numbers are what several counts are.
type Numbers struct{ cmd *redis.SliceCmd }

// Ints returns them in the order of their ids, 0 for what is not there.
func (n Numbers) Ints() []int {
	values := n.cmd.Val()
	out := make([]int, len(values))
	for i, v := range values {
		if text, ok := v.(string); ok {
			out[i], _ = strconv.Atoi(text) // only counts are kept under these kinds
		}
	}
	return out
}

// Get asks for what Put stored.
func (b *Batch) Get(kind Kind, id string) Value {
	return Value{b.pipe.Get(b.ctx, key(b.sc, kind, id))}
}

// Put stores value as Client.Put does.
func (b *Batch) Put(kind Kind, id string, value []byte, life time.Duration) {
	b.pipe.Set(b.ctx, key(b.sc, kind, id), value, life)
}

// Count adds n to a counter, as Client.Count does.
func (b *Batch) Count(kind Kind, id string, n int64, life time.Duration) Number {
	k := key(b.sc, kind, id)
	cmd := b.pipe.IncrBy(b.ctx, k, n)
	b.pipe.ExpireNX(b.ctx, k, life)
	return Number{cmd}
}

// Counts asks for counters.
func (b *Batch) Counts(kind Kind, ids ...string) Numbers {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = key(b.sc, kind, id)
	}
	return Numbers{b.pipe.MGet(b.ctx, keys...)}
}

// Distinct adds member to the set (kind, ids[0]), which lives for life from its first member on, and
// estimates how many different members that set and the others of ids have together, within 1 %.
// A set takes at most 12 KB, however many members it has.
func (b *Batch) Distinct(kind Kind, member string, life time.Duration, ids ...string) Number {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = key(b.sc, kind, id)
	}
	b.pipe.PFAdd(b.ctx, keys[0], member)
	b.pipe.ExpireNX(b.ctx, keys[0], life)
	return Number{b.pipe.PFCount(b.ctx, keys...)}
}
