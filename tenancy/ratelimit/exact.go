package ratelimit

import (
	"context"
	"errors"

	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Each key holds a theoretical arrival time, in microseconds since 1970 by Redis's clock. ARGV are
// four numbers a key: what a call takes and how much may be taken in advance, in microseconds;
// calls that were admitted elsewhere and are told now; and calls that are asked for, 0 for none.
// All that are asked for are taken, or none. It answers the first key that refuses, from 1, or 0;
// and then, for each key, by how much it is ahead of now.
//
// Nothing is ever ahead by more than twice what may be: neither what many servers have admitted
// at once, nor a Redis whose clock is put back, shuts anybody out for longer.
//
//nolint:dupword // Lua's blocks end so
var script = ephemeral.NewScript(`
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ahead, far, refused = {}, {}, 0
for i = 1, #KEYS do
  local at = 4 * (i - 1)
  local every, most, told, asked = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local tat = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + told * every
  ahead[i], far[i] = math.min(tat - now, 2 * most), tat - now > 2 * most
  if refused == 0 and asked > 0 and ahead[i] + asked * every > most then refused = i end
end
local answer = {refused}
for i = 1, #KEYS do
  local at = 4 * (i - 1)
  local told, asked = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  if refused ~= 0 then asked = 0 end
  ahead[i] = ahead[i] + asked * tonumber(ARGV[at + 1])
  if told + asked > 0 or far[i] then
    redis.call('SET', KEYS[i], string.format('%.0f', now + ahead[i]), 'PX', math.ceil(ahead[i] / 1000))
  end
  answer[i + 1] = ahead[i]
end
return answer`)

// errAnswer is a bug: the script has another form.
var errAnswer = errors.New("ratelimit: the script's answer cannot be read")

// Pending is a call that waits for an exchange with Redis, which others may share. It must be
// settled, or what this server has yet to tell is lost.
type Pending struct {
	limiter *Limiter
	scope   scope.Scope
	asks    []Ask
	told    [maxAsks]int64   // what the exchange tells of each limit
	reply   *ephemeral.Reply // nil: it was decided without
	st      Standing
	err     error
}

// Join is the first half of Allow, for whoever has more to ask of Redis in the same round trip: it
// adds the limits of a call to x, unless this server knows already that one of them is full. Call
// x.Do, and then Settle with its error. asks are kept until then.
func (l *Limiter) Join(x *ephemeral.Exchange, sc scope.Scope, asks ...Ask) *Pending {
	p := &Pending{limiter: l, scope: sc, asks: asks}
	if l.off {
		return p
	}
	s, now := l.shard(sc.Tenant()), l.micros()
	ids, args := make([]string, len(asks)), make([]any, 0, 4*len(asks))
	s.mu.Lock()
	defer s.mu.Unlock()
	var found [maxAsks]*counter
	if refused, wait := s.look(sc, asks, now, &found); refused >= 0 {
		p.st, p.err = s.refuse(sc, &asks[refused], found[refused].tat-now, wait)
		return p
	}
	for i := range asks {
		a := &asks[i]
		if c := found[i]; c != nil {
			p.told[i], c.untold = c.untold, 0
		}
		ids[i] = a.Limit.Name + ":" + a.ID
		args = append(args, a.Limit.every(), a.Limit.most(), p.told[i], a.cost())
	}
	p.reply = x.Run(sc, script, kind, ids, args...)
	return p
}

// Settle is Allow's answer, once the exchange has been made; err is that of Exchange.Do. Without
// an answer of Redis this server decides by itself.
func (p *Pending) Settle(ctx context.Context, err error) (Standing, error) {
	if p.reply == nil {
		return p.st, p.err
	}
	l := p.limiter
	var answer []int64
	if err == nil {
		answer, err = p.reply.Ints()
	}
	if err == nil && (len(answer) != len(p.asks)+1 || answer[0] < 0 || answer[0] > int64(len(p.asks))) {
		err = errAnswer
	}
	l.note(ctx, err)
	if err != nil {
		p.restore()
		if ctx.Err() != nil {
			return Standing{}, ctx.Err()
		}
		return l.judge(p.scope, p.asks)
	}
	return p.apply(int(answer[0]), answer[1:])
}

// restore owes again what the exchange did not tell.
func (p *Pending) restore() {
	s := p.limiter.shard(p.scope.Tenant())
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range p.asks {
		if p.told[i] > 0 {
			if c := s.counters[counterKey{p.scope.Tenant(), p.asks[i].Limit.Name, p.asks[i].ID}]; c != nil {
				s.owe(c, p.told[i])
			}
		}
	}
}

// apply takes over what Redis said: refused is the ask that it refused, from 1, or 0.
func (p *Pending) apply(refused int, ahead []int64) (Standing, error) {
	l := p.limiter
	s, now := l.shard(p.scope.Tenant()), l.micros()
	s.mu.Lock()
	defer s.mu.Unlock()
	var st Standing
	for i := range p.asks {
		a := &p.asks[i]
		c := s.counters[counterKey{p.scope.Tenant(), a.Limit.Name, a.ID}]
		if c == nil && ahead[i] > 0 {
			c = s.add(p.scope, a)
		}
		if c != nil {
			c.learn(now, ahead[i])
		}
		st.closer(a, ahead[i])
	}
	if refused > 0 {
		a, debt := &p.asks[refused-1], ahead[refused-1]
		return s.refuse(p.scope, a, debt, max(debt+a.cost()*a.Limit.every()-a.Limit.most(), 1))
	}
	return st, nil
}

// learn takes over by how much the counter is ahead in Redis. What this server admitted since
// comes on top; what it knows already is never forgotten, should Redis have lost it.
func (c *counter) learn(now, ahead int64) {
	c.tat = max(c.tat, now+ahead+c.untold*c.limit.every())
}

// note counts an exchange, and says once when Redis is gone and once when it is back.
func (l *Limiter) note(ctx context.Context, err error) {
	l.exchanges.Add(1)
	switch {
	case err == nil:
		if l.alone.Swap(false) {
			l.log.InfoContext(ctx, "rate limits are counted by all servers again")
		}
	case ctx.Err() != nil: // the caller went away: nothing of Redis
	default:
		l.failures.Add(1)
		if !l.alone.Swap(true) {
			l.log.WarnContext(ctx, "rate limits are counted by this server alone", "err", err)
		}
	}
}
