package ratelimit

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/biocore-id/biocore/db/ephemeral"
)

// maxTold bounds one exchange, which has to be answered within 150 ms.
const maxTold = 512

// Run exchanges counts with the other servers until ctx ends, then returns nil.
func (l *Limiter) Run(ctx context.Context) error {
	tick, tally := time.NewTicker(syncEvery), time.NewTicker(tellEvery)
	defer tick.Stop()
	defer tally.Stop()
	pause := time.NewTimer(soonest)
	defer pause.Stop()
	for {
		hurry := l.hurry
		if l.alone.Load() {
			hurry = nil // nobody is there to be told sooner
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tally.C:
			if l.redis != nil {
				l.tellRefusals(ctx)
			}
		case <-tick.C:
		case <-hurry:
		}
		l.sync(ctx)
		pause.Reset(soonest)
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

// tellable is what one exchange tells of a counter.
type tellable struct {
	of    *counter
	limit *Limit // as it was when they were collected: a counter's may change
	calls int64
}

// sync forgets what is over and exchanges the rest.
func (l *Limiter) sync(ctx context.Context) {
	for i := range l.shards {
		s := &l.shards[i]
		todo := s.collect(l.micros())
		slices.SortFunc(todo, func(a, b tellable) int { return bytes.Compare(a.of.key.tenant[:], b.of.key.tenant[:]) })
		for part := range slices.Chunk(todo, maxTold) {
			l.tell(ctx, s, part)
		}
	}
}

// collect takes what is to be told, and forgets counters whose time has come.
func (s *shard) collect(now int64) []tellable {
	s.mu.Lock()
	defer s.mu.Unlock()
	todo := make([]tellable, 0, len(s.untold))
	for _, c := range s.untold {
		if c.listed = false; c.untold > 0 {
			todo = append(todo, tellable{c, c.limit, c.untold})
			c.untold = 0
		}
	}
	clear(s.untold)
	s.untold = s.untold[:0]
	for k, c := range s.counters {
		if c.tat <= now {
			delete(s.counters, k)
			if s.of[k.tenant]--; s.of[k.tenant] == 0 {
				delete(s.of, k.tenant)
			}
		}
	}
	return todo
}

// tell exchanges some counters of a shard, those of a tenant together, in one round trip. What
// could not be told is owed again.
func (l *Limiter) tell(ctx context.Context, s *shard, todo []tellable) {
	x := l.redis.Exchange()
	replies := make([]*ephemeral.Reply, 0, 8)
	groups := groupsOf(todo)
	for _, g := range groups {
		ids, args := make([]string, len(g)), make([]any, 0, 4*len(g))
		for i, t := range g {
			ids[i] = t.of.key.limit + ":" + t.of.key.id
			args = append(args, t.limit.every(), t.limit.most(), t.calls, 0)
		}
		replies = append(replies, x.Run(g[0].of.scope, script, kind, ids, args...))
	}
	err := x.Do(ctx)
	l.note(ctx, err)
	now := l.micros()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, g := range groups {
		answer, bad := replies[i].Ints()
		if err != nil || bad != nil || len(answer) != len(g)+1 {
			for _, t := range g {
				if c := s.counters[t.of.key]; c != nil {
					s.owe(c, t.calls)
				}
			}
			continue
		}
		for j, t := range g {
			c := s.counters[t.of.key]
			if ahead := answer[j+1]; c == nil && ahead > 0 {
				c = s.add(t.of.scope, &Ask{Limit: t.limit, ID: t.of.key.id})
			}
			if c != nil {
				c.learn(now, answer[j+1])
			}
		}
	}
}

// groupsOf cuts what is sorted by tenant into the parts of one tenant each.
func groupsOf(todo []tellable) [][]tellable {
	var groups [][]tellable
	for len(todo) > 0 {
		n := 1
		for n < len(todo) && todo[n].of.key.tenant == todo[0].of.key.tenant {
			n++
		}
		groups, todo = append(groups, todo[:n]), todo[n:]
	}
	return groups
}
