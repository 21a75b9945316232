package db_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
)

// silence is how long a feed may say nothing before nothing cached is believed. The
// tests allow as much again for a machine that does other things meanwhile.
const silence = time.Second

// endFeeds ends the change feeds of all servers of a database.
func endFeeds(t *testing.T, store *dbtest.Store) {
	t.Helper()
	var ended int
	err := store.Superuser(t).QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = 'biocore feed' AND datname = current_database()`).Scan(&ended)
	if err != nil || ended == 0 {
		t.Fatalf("ended %d feeds: %v", ended, err)
	}
}

// letIn lets bc_control connect to the database, or not any more.
func letIn(t *testing.T, store *dbtest.Store, yes bool) {
	t.Helper()
	conn := store.Superuser(t)
	var database string
	if err := conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	sql := "REVOKE CONNECT ON DATABASE " + pgx.Identifier{database}.Sanitize() + " FROM bc_control"
	if yes {
		sql = "GRANT CONNECT ON DATABASE " + pgx.Identifier{database}.Sanitize() + " TO bc_control"
	}
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// A server that hears nothing of changes must not believe what it remembers, and
// works all the same. Returning true from fresh() turns this red.
func TestFeedLost(t *testing.T) {
	store := dbtest.Fresh(t)
	acme := store.Tenant(t)
	here := freshReplica(t, store)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	var from source
	get(t, cache, acme.Tenant(), "a", from.load)

	letIn(t, store, false)
	endFeeds(t, store)
	lost := time.Now()
	waitFor(t, "lost feed", func() bool { return !here.Fresh() })
	if took := time.Since(lost); took > 2*silence {
		t.Errorf("the loss was noticed after %v", took)
	}
	if _, ok := cache.Peek(acme.Tenant(), "a"); ok {
		t.Error("Peek believes what nobody vouches for")
	}
	for want := int64(2); want <= 4; want++ {
		if v := get(t, cache, acme.Tenant(), "a", from.load); v != want {
			t.Errorf("without a feed Get = %d, want load %d", v, want)
		}
	}

	// Nobody listens to this change: coming back must not mean that nothing happened.
	change(t, store.Store, acme, db.NounCredential, "a")
	letIn(t, store, true)
	waitFor(t, "feed found again", here.Fresh)
	if v := get(t, cache, acme.Tenant(), "a", from.load); v != 5 {
		t.Errorf("after the feed is back Get = %d, want what is loaded now, 5", v)
	}
	if v := get(t, cache, acme.Tenant(), "a", from.load); v != 5 {
		t.Errorf("then Get = %d, want what is cached, 5", v)
	}
}

// A connection that ends is made anew at once. What changed in between is unknown,
// so everything is read again. Without publish(all) in listen this is red.
func TestFeedEnds(t *testing.T) {
	store := dbtest.Fresh(t)
	acme := store.Tenant(t)
	here := freshReplica(t, store)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	get(t, cache, acme.Tenant(), "a", new(source).load)
	endFeeds(t, store)
	began := time.Now()
	waitFor(t, "read again", func() bool { _, ok := cache.Peek(acme.Tenant(), "a"); return !ok })
	if took := time.Since(began); took > 2*silence {
		t.Errorf("the loss was noticed after %v", took)
	}
	waitFor(t, "feed found again", here.Fresh)
	settle(t, here, store.Store, acme)
}

// A network that swallows packets closes no connection: only the silence tells, and
// nothing but a new connection helps. Without the heartbeat's deadline this is red.
func TestFeedFallsSilent(t *testing.T) {
	f := newFixture(t)
	acme := f.store.Tenant(t)
	o := f.store.Options()
	network := newNetwork(t, &o.ControlURL)
	here := f.openWith(t, o)
	f.run(t, here)
	t.Cleanup(network.hangUp)
	waitFor(t, "fresh store", here.Fresh)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	var from source
	get(t, cache, acme.Tenant(), "a", from.load)

	network.swallow()
	lost := time.Now()
	change(t, f.store.Store, acme, db.NounCredential, "a") // of which here is not told
	waitFor(t, "silent feed", func() bool { return !here.Fresh() })
	if took := time.Since(lost); took > 2*silence {
		t.Errorf("the silence was noticed after %v", took)
	}
	if v := get(t, cache, acme.Tenant(), "a", from.load); v != 2 {
		t.Errorf("with a silent feed Get = %d, want a second load's", v)
	}
	waitFor(t, "feed found again", here.Fresh)
	settle(t, here, f.store.Store, acme)
}

// Whoever may connect may notify; what cannot be read must not stop the feed, and
// might have been a revocation.
func TestUnreadableChange(t *testing.T) {
	store := dbtest.Fresh(t)
	acme := store.Tenant(t)
	here := freshReplica(t, store)
	for _, text := range []string{"", "credential", "credential acme", "credential not-a-uuid a", "credential " + acme.Tenant().String()} {
		cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
		get(t, cache, acme.Tenant(), "a", new(source).load)
		if _, err := store.Superuser(t).Exec(t.Context(), "SELECT pg_notify('bc_change', $1)", text); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "all dropped at "+text, func() bool { _, ok := cache.Peek(acme.Tenant(), "a"); return !ok })
		settle(t, here, store.Store, acme)
	}
}

// SECURITY.md 36: expiries are judged by Postgres's clock, so that servers whose
// clocks differ agree. Without the correction in Now this is red.
func TestSkew(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		name string
		off  time.Duration // this machine's clock, from Postgres's
	}{{"in step", 0}, {"an hour ahead", time.Hour}, {"an hour behind", -time.Hour}, {"a day ahead", 24 * time.Hour}} {
		t.Run(tt.name, func(t *testing.T) {
			o := f.store.Options()
			o.Now = func() time.Time { return time.Now().Add(tt.off) }
			here := f.openWith(t, o)
			if d := time.Until(here.Now()) - tt.off; d.Abs() > time.Minute {
				t.Errorf("before anybody asked Postgres, Now is off by %v, want its own clock's", d)
			}
			f.run(t, here)
			waitFor(t, "fresh store", here.Fresh)
			if d := time.Until(here.Now()); d.Abs() > time.Minute {
				t.Errorf("Now is off by %v", d)
			}
			if d := here.Skew() + tt.off; d.Abs() > time.Minute {
				t.Errorf("Skew = %v, want %v", here.Skew(), -tt.off)
			}
			if now := here.Now(); now.Location() != time.UTC || now.Nanosecond()%1000 != 0 {
				t.Errorf("Now = %v, want UTC to the microsecond", now)
			}
		})
	}
}

// network is what lies between a server and its database.
type network struct {
	made, lost atomic.Int64  // connections; those numbered up to lost deliver nothing
	over       chan struct{} // closed: lost connections end at last
}

// newNetwork puts a network before the server of a database URL.
func newNetwork(t *testing.T, dsn *string) *network {
	t.Helper()
	u, err := url.Parse(*dsn)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Host = listener.Addr().String()
	*dsn = u.String()
	n := &network{over: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			backend, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			number := n.made.Add(1)
			running.Go(func() { n.carry(number, client, backend) })
			running.Go(func() { n.carry(number, backend, client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // the connections end with the store, whose cleanup comes first
		running.Wait()
	})
	return n
}

// swallow keeps what is sent on the connections that there are, and closes none.
func (n *network) swallow() { n.lost.Store(n.made.Load()) }

// hangUp ends them: closing a store would wait for each.
func (n *network) hangUp() { close(n.over) }

func (n *network) carry(number int64, from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		count, err := from.Read(buf)
		if err != nil {
			return
		}
		if number <= n.lost.Load() {
			<-n.over
			return
		}
		if _, err := to.Write(buf[:count]); err != nil {
			return
		}
	}
}

// Servers tell each other by the connections of their feeds, and which version each is.
func TestServersTellTheirVersions(t *testing.T) {
	store := dbtest.Fresh(t)
	o := store.Options()
	o.Version = "1.8.0"
	other, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- other.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	waitFor(t, "both servers", func() bool {
		servers, err := store.Servers(t.Context())
		return err == nil && len(servers) == 2 && servers[0].Version == "" && servers[1].Version == "1.8.0"
	})
	if version, err := store.Version(t.Context()); err != nil || !strings.HasPrefix(version, "15.") {
		t.Errorf("Postgres is of version %q, %v", version, err)
	}
}
