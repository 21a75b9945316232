package main

import (
	"context"
	"sync"
	"time"
)

// pingLife: anybody may ask whether a server is ready, and no load balancer asks more
// than once a second.
const pingLife = time.Second

// pinger remembers how a dependency was for pingLife, so that asking costs it one
// round trip a second, however many ask. It is safe for concurrent use.
type pinger struct {
	ping func(context.Context) error // must bound itself

	mu    sync.Mutex
	asked time.Time
	last  error
}

// Ping answers how the dependency is, or was less than pingLife ago. Who comes while
// another asks waits for that one's answer.
func (p *pinger) Ping(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked.IsZero() && time.Since(p.asked) < pingLife {
		return p.last
	}
	// One client that goes away must not make the server unready for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	p.last = p.ping(ctx)
	p.asked = time.Now()
	return p.last
}
