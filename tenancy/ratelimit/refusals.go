package ratelimit

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Shed is the name under which calls are told that no limit refused: the server was full.
const Shed = "overloaded"

const (
	refusals = ephemeral.Kind("refused")
	// remembered is for how long a tenant may see what was refused to it.
	remembered = 24 * time.Hour
	// tellEvery is how long a refusal waits in memory: until then one server knows of it.
	tellEvery = 5 * time.Second
	// maxTally bounds what waits of a shard. Past it, and past 200 in a tenant's hour in Redis,
	// nobody more is told apart: they are counted together.
	maxTally = 1024
)

// refusal is what refusals are counted by until they are told.
type refusal struct {
	tenant uuid.UUID
	limit  string
	who    string
}

// refused is how often, and by whose scope it is told.
type refused struct {
	scope scope.Scope
	calls int64
}

// Refusals is how often a limit refused somebody within an hour.
type Refusals struct {
	Limit string
	Who   string // a key's id, an address; empty: not told, or all others
	Hour  time.Time
	Calls int64
}

// Overloaded counts a call of a tenant that the server had no room for.
func (l *Limiter) Overloaded(sc scope.Scope) {
	if l == nil || l.off || sc.IsZero() {
		return
	}
	s := l.shard(sc.Tenant())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(sc, Shed, "")
}

// note counts a refusal. The lock is held.
func (s *shard) note(sc scope.Scope, limit, who string) {
	s.wait(refusal{sc.Tenant(), limit, who}, refused{sc, 1})
}

// wait adds to what is to be told. The lock is held.
func (s *shard) wait(k refusal, r refused) {
	if _, known := s.tally[k]; !known && len(s.tally) >= maxTally {
		k.who = ""
	}
	r.calls += s.tally[k].calls
	s.tally[k] = r
}

// KEYS[1] are an hour's counters; ARGV are a limit, somebody, and how often, of each.
var tallyScript = ephemeral.NewScript(`
for i = 1, #ARGV, 3 do
  local field = ARGV[i] .. ' ' .. ARGV[i + 1]
  if redis.call('HEXISTS', KEYS[1], field) == 0 and redis.call('HLEN', KEYS[1]) >= 200 then field = ARGV[i] .. ' ' end
  redis.call('HINCRBY', KEYS[1], field, ARGV[i + 2])
end
redis.call('EXPIRE', KEYS[1], 90000, 'NX')
return {}`)

const hourForm = "2006010215"

// tellRefusals adds what was refused here to what all servers refused in this hour. What cannot
// be told waits.
func (l *Limiter) tellRefusals(ctx context.Context) {
	hour := l.now().UTC().Format(hourForm)
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		told := s.tally
		s.tally = map[refusal]refused{}
		s.mu.Unlock()
		if len(told) == 0 {
			continue
		}
		x, args := l.redis.Exchange(), map[uuid.UUID][]any{}
		for k, r := range told {
			args[k.tenant] = append(args[k.tenant], k.limit, k.who, r.calls)
		}
		replies := map[uuid.UUID]*ephemeral.Reply{}
		for k, r := range told {
			if replies[k.tenant] == nil {
				replies[k.tenant] = x.Run(r.scope, tallyScript, refusals, []string{hour}, args[k.tenant]...)
			}
		}
		err := x.Do(ctx)
		s.mu.Lock()
		for k, r := range told {
			if _, bad := replies[k.tenant].Ints(); err != nil || bad != nil {
				s.wait(k, r)
			}
		}
		s.mu.Unlock()
	}
}

// Recent returns what was refused to a tenant in the last 24 hours, by all servers, the latest hour
// first, and in it what was refused most. ephemeral.ErrUnavailable: nobody can tell.
func (l *Limiter) Recent(ctx context.Context, sc scope.Scope) ([]Refusals, error) {
	now := l.now().UTC().Truncate(time.Hour)
	sums := map[Refusals]int64{}
	if l.redis != nil {
		x, replies := l.redis.Exchange(), map[time.Time]*ephemeral.Reply{}
		for past := time.Duration(0); past < remembered; past += time.Hour {
			hour := now.Add(-past)
			replies[hour] = x.Counts(sc, refusals, hour.Format(hourForm))
		}
		if err := x.Do(ctx); err != nil {
			return nil, err
		}
		for hour, reply := range replies {
			counts, err := reply.Counts()
			if err != nil {
				return nil, err
			}
			for field, calls := range counts {
				limit, who, _ := strings.Cut(field, " ")
				sums[Refusals{Limit: limit, Who: who, Hour: hour}] += calls
			}
		}
	}
	s := l.shard(sc.Tenant())
	s.mu.Lock()
	for k, r := range s.tally { // not told yet
		if k.tenant == sc.Tenant() {
			sums[Refusals{Limit: k.limit, Who: k.who, Hour: now}] += r.calls
		}
	}
	s.mu.Unlock()
	out := make([]Refusals, 0, len(sums))
	for r, calls := range sums {
		r.Calls = calls
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Refusals) int {
		return cmp.Or(b.Hour.Compare(a.Hour), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Limit, b.Limit), cmp.Compare(a.Who, b.Who))
	})
	return out, nil
}
