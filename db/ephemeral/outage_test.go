package ephemeral_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
)

// learns is how soon a caller must know that Redis is gone.
const learns = 200 * time.Millisecond

// closedPort returns an address of this machine where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// serve listens and lets talk have each connection, until the test ends.
func serve(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu      sync.Mutex
		conns   []net.Conn
		running sync.WaitGroup
	)
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			running.Go(func() { talk(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// answer is a Redis that has one answer to every command.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		in := bufio.NewScanner(conn)
		for in.Scan() {
			if in.Text()[0] == '*' { // a command is an array; its parts are not
				if _, err := fmt.Fprintf(conn, "%s\r\n", text); err != nil {
					return
				}
			}
		}
	}
}

// SECURITY.md 34: what needs Redis is refused, and soon, however Redis is gone.
// Raising maxWait over 200 ms turns the silent ones red.
func TestOutage(t *testing.T) {
	for _, tt := range []struct {
		name string
		addr func(*testing.T) string
	}{
		{"nobody listens", closedPort},
		{"it accepts and says nothing", func(t *testing.T) string { return serve(t, func(net.Conn) {}) }},
		{"it hangs up", func(t *testing.T) string { return serve(t, func(c net.Conn) { _ = c.Close() }) }},
		{"it speaks another protocol", func(t *testing.T) string {
			return serve(t, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
		}},
		{"it is loading its data", func(t *testing.T) string {
			return serve(t, answer("-LOADING Redis is loading the dataset in memory"))
		}},
		{"its memory is full", func(t *testing.T) string {
			return serve(t, answer("-OOM command not allowed when used memory > 'maxmemory'."))
		}},
		{"it is a replica now", func(t *testing.T) string {
			return serve(t, answer("-READONLY You can't write against a read only replica."))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, acme := open(t, "redis://"+tt.addr(t)), newTenant()
			var took []time.Duration
			for call := range 6 { // the first three ask, then the breaker answers
				began := time.Now()
				err := c.Put(t.Context(), acme, kind, "a", []byte("x"), time.Minute)
				took = append(took, time.Since(began))
				if !errors.Is(err, ephemeral.ErrUnavailable) {
					t.Errorf("call %d: Put error = %v, want %v", call+1, err, ephemeral.ErrUnavailable)
				}
			}
			// The quickest of each: a machine that does other things slows down one or the other.
			if asked := slices.Min(took[:3]); asked > learns {
				t.Errorf("a call took %v, want under %v", asked, learns)
			}
			if spared := slices.Min(took[3:]); spared > learns/4 {
				t.Errorf("a call took %v: it should not have asked", spared)
			}
			if _, ok, err := c.Get(t.Context(), acme, kind, "a"); ok || !errors.Is(err, ephemeral.ErrUnavailable) {
				t.Errorf("Get = %t, %v", ok, err)
			}
			if _, err := c.Count(t.Context(), acme, kind, "a", 1, time.Minute); !errors.Is(err, ephemeral.ErrUnavailable) {
				t.Errorf("Count error = %v", err)
			}
			took = nil
			for range 3 {
				began := time.Now()
				if err := c.Ping(t.Context()); err == nil {
					t.Error("Ping succeeded")
				}
				took = append(took, time.Since(began))
			}
			if asked := slices.Min(took); asked > learns {
				t.Errorf("Ping took %v", asked)
			}
		})
	}
}

// A crowd must not wait in line for a Redis that says nothing: all learn at once.
func TestOutageUnderLoad(t *testing.T) {
	c, acme := open(t, "redis://"+serve(t, func(net.Conn) {})), newTenant()
	var crowd sync.WaitGroup
	for range 100 {
		crowd.Go(func() {
			began := time.Now()
			err := c.Put(t.Context(), acme, kind, "a", []byte("x"), time.Minute)
			if took := time.Since(began); took > 2*learns || !errors.Is(err, ephemeral.ErrUnavailable) {
				t.Errorf("Put = %v after %v", err, took) // twice: a hundred wake up at once, on a busy machine
			}
		})
	}
	crowd.Wait()
}

// Only failures in a row are an outage: between them Redis answers, here to reads
// while its memory is full. Removing the reset (failures.Store(0)) turns this red.
func TestSomeFailuresAreNoOutage(t *testing.T) {
	server := dbtest.OwnRedis(t)
	if err := raw(t, server.URL()).ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	c, acme := open(t, server.URL()), newTenant()
	for range 10 {
		if err := c.Put(t.Context(), acme, kind, "a", []byte("x"), time.Minute); !errors.Is(err, ephemeral.ErrUnavailable) {
			t.Fatalf("Put into full memory = %v, want %v", err, ephemeral.ErrUnavailable)
		}
		if _, _, err := c.Get(t.Context(), acme, kind, "a"); err != nil {
			t.Fatalf("Get = %v: reads were shut out", err)
		}
	}
}

// A breaker that never closes turns this red.
func TestRecovery(t *testing.T) {
	server := dbtest.OwnRedis(t)
	c, acme := open(t, server.URL()), newTenant()
	put := func() error { return c.Put(t.Context(), acme, kind, "a", []byte("x"), time.Minute) }
	if err := put(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		server.Stop(t)
		for range 10 {
			if err := put(); !errors.Is(err, ephemeral.ErrUnavailable) {
				t.Fatalf("with Redis stopped Put error = %v", err)
			}
		}
		for range 50 { // more than the pool is large: the library then waits by itself
			if err := c.Ping(t.Context()); !errors.Is(err, ephemeral.ErrUnavailable) {
				t.Fatalf("with Redis stopped Ping error = %v", err)
			}
		}
		server.Start(t)
		waitFor(t, "Redis is used again", 3*time.Second, func() bool { return put() == nil })
	}
	if _, ok, err := c.Get(t.Context(), acme, kind, "a"); !ok || err != nil {
		t.Errorf("Get = %t, %v", ok, err)
	}
}

// Callers choose their deadlines (grpc-timeout), so what they cannot wait for says
// nothing of Redis: three of them must not shut everybody out.
func TestImpatientCallersTripNothing(t *testing.T) {
	c, acme := open(t, dbtest.Redis(t)), newTenant()
	for range 10 {
		hurried, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		if err := c.Put(hurried, acme, kind, "a", []byte("x"), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put of a hurried caller = %v, want %v", err, context.DeadlineExceeded)
		}
		cancel()
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := c.Put(gone, acme, kind, "a", []byte("x"), time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("Put of a caller who is gone = %v, want %v", err, context.Canceled)
		}
	}
	if err := c.Put(t.Context(), acme, kind, "a", []byte("x"), time.Minute); err != nil {
		t.Errorf("Put of a patient caller = %v", err)
	}
}

// The same against a Redis that says nothing: who gives up early did not learn
// anything, who waited did.
func TestImpatientCallersOfASilentRedis(t *testing.T) {
	c, acme := open(t, "redis://"+serve(t, func(net.Conn) {})), newTenant()
	for range 5 {
		hurried, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if err := c.Put(hurried, acme, kind, "a", nil, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put = %v, want %v", err, context.DeadlineExceeded)
		}
		cancel()
	}
}
