package ratelimit

import "time"

// Limit is one rule: at most Max in each Window, counted by an id that the caller
// gives (the key's, the user's, the address's). Name is part of the counter's key
// and of the metrics: it is never reused for another meaning.
type Limit struct {
	Name   string
	Max    int64
	Window time.Duration
}

// Every limit of Biocore. A counter's key is
//
//	bc:{tenant}:limit:NAME:ID:WINDOW
//
// where WINDOW is the number of windows since 1970. See docs/limits.md.
var (
	// PerKey bounds what one API key may call, all methods together. A server that
	// signs in 100 users a second makes 200 calls; twice that leaves room for bursts.
	PerKey = Limit{Name: "key", Max: 400, Window: time.Second}
)
