package db_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
)

// marker stands in the facts of a sign-in and makes the wire misbehave.
const marker = "the wire breaks here"

// sync is what ends a batch (PostgreSQL protocol, message Sync).
var syncMessage = []byte{'S', 0, 0, 0, 4}

// wire stands between a writer and Postgres. It carries everything until the batch
// that holds the marker; what happens then is its fault.
type wire struct {
	listener net.Listener
	fault    wireFault
	struck   chan struct{} // closed when the marker has been seen
	once     sync.Once

	mu    sync.Mutex
	conns []net.Conn
}

type wireFault int

const (
	loseRequest wireFault = iota // Postgres never hears of the batch
	loseAnswer                   // Postgres commits, the server never hears of it
	holdSync                     // Postgres runs all statements and waits for the end
)

func newWire(t *testing.T, o *db.Options, fault wireFault) *wire {
	t.Helper()
	cfg, err := pgx.ParseConfig(o.WriterURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, fault: fault, struck: make(chan struct{})}
	network, address := pgconn.NetworkAddress(cfg.Host, cfg.Port)
	var carrying sync.WaitGroup
	carrying.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(network, address)
			if err != nil {
				t.Errorf("dial Postgres: %v", err)
				_ = near.Close()
				return
			}
			w.mu.Lock()
			w.conns = append(w.conns, near, far)
			w.mu.Unlock()
			broken := make(chan struct{})
			carrying.Go(func() { w.requests(near, far, broken) })
			carrying.Go(func() { w.answers(near, far, broken) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut()
		carrying.Wait()
	})
	if o.WriterURL, err = db.RoleURL(fmt.Sprintf("postgres://%s/%s?sslmode=disable", listener.Addr(), cfg.Database), cfg.User, cfg.Password); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *wire) requests(near, far net.Conn, broken chan struct{}) {
	var batch []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := near.Read(buf)
		if err != nil {
			_ = far.Close()
			return
		}
		if batch = append(batch, buf[:n]...); bytes.Contains(batch, []byte(marker)) {
			if !bytes.HasSuffix(batch, syncMessage) {
				continue
			}
			switch w.fault {
			case loseRequest:
				batch = nil
			case loseAnswer:
				close(broken)
			case holdSync: // what Postgres says when it is killed comes through
				batch = batch[:len(batch)-len(syncMessage)]
			}
			w.once.Do(func() { close(w.struck) })
		}
		if _, err := far.Write(batch); err != nil {
			_ = near.Close()
			return
		}
		batch = batch[:0]
	}
}

func (w *wire) answers(near, far net.Conn, broken chan struct{}) {
	buf := make([]byte, 64<<10)
	for {
		n, err := far.Read(buf)
		if err != nil {
			_ = near.Close()
			return
		}
		select {
		case <-broken:
			continue
		default:
		}
		if _, err := near.Write(buf[:n]); err != nil {
			_ = far.Close()
			return
		}
	}
}

// cut closes all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// A batch whose connection is lost is acknowledged to nobody and sent once: whether
// it was committed or not, nobody is told that it was.
func TestALostConnectionAcknowledgesNothing(t *testing.T) {
	for _, tt := range []struct {
		name       string
		fault      wireFault
		lose       func(*testing.T, *fixture, *wire, []db.SignIn)
		wantTraces int
	}{
		{"before Postgres has the batch", loseRequest, func(_ *testing.T, _ *fixture, w *wire, _ []db.SignIn) { w.cut() }, 0},
		{"after the commit", loseAnswer, func(t *testing.T, f *fixture, w *wire, ins []db.SignIn) {
			waitFor(t, "commit", func() bool { traces, _ := f.written(t, ins[0]); return traces == 4 })
			w.cut()
		}, 4},
		{"the backend is killed in the middle", holdSync, func(t *testing.T, f *fixture, _ *wire, ins []db.SignIn) {
			// It has run the statements when it holds the challenge's row.
			waitFor(t, "backend in the middle of a batch", func() bool {
				var killed int
				if err := f.admin.QueryRow(t.Context(), `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_locks
  JOIN pg_stat_activity USING (pid) WHERE usename = 'bc_writer' AND datname = current_database() AND relation = 'sessions'::regclass) k`).Scan(&killed); err != nil {
					t.Fatal(err)
				}
				return killed > 0
			})
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			o := f.store.Options()
			w := newWire(t, &o, tt.fault)
			acme, globex := f.tenant(t), f.tenant(t)
			who := []person{f.person(t, acme), f.person(t, acme), f.person(t, globex)}
			var ins []db.SignIn
			for _, p := range who {
				ins = append(ins, p.signIn(1))
			}
			ins[1].Facts = []byte(marker)
			store := f.openWith(t, o)
			errs := make([]error, len(ins))
			var sent sync.WaitGroup
			for i := range ins {
				sent.Go(func() { _, errs[i] = store.SignIn(t.Context(), who[i].sc, ins[i]) })
			}
			waitFor(t, "three waiting sign-ins", func() bool { return store.SignInStats().Waiting == len(ins) })
			f.run(t, store)
			<-w.struck
			tt.lose(t, f, w, ins)
			sent.Wait()
			for i := range ins {
				if !errors.Is(errs[i], db.ErrUnavailable) {
					t.Errorf("sign-in %d was answered %v, want %v", i, errs[i], db.ErrUnavailable)
				}
				if traces, _ := f.written(t, ins[i]); traces != tt.wantTraces {
					t.Errorf("sign-in %d left %d rows, want %d", i, traces, tt.wantTraces)
				}
			}
			if stats := store.SignInStats(); stats.Batches != 1 || stats.Failed != 1 {
				t.Errorf("stats = %+v, want one batch, which failed: nothing is sent twice", stats)
			}
			// The next one finds a new connection.
			if out, err := store.SignIn(t.Context(), who[0].sc, who[0].signIn(2)); err != nil || !out.Accepted {
				t.Errorf("the next sign-in: %+v, %v", out, err)
			}
		})
	}
}

// A connection that Postgres closed while nobody signed in costs nobody a sign-in.
func TestAnIdleConnectionIsReplaced(t *testing.T) {
	f := newFixture(t)
	o := f.store.Options()
	var pauses atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(pauses.Load()) * time.Minute) }
	store := f.openWith(t, o)
	f.run(t, store)
	p := f.person(t, f.tenant(t))
	for n := range uint32(3) {
		if out, err := store.SignIn(t.Context(), p.sc, p.signIn(n+1)); err != nil || !out.Accepted {
			t.Fatalf("sign-in %d: %+v, %v", n, out, err)
		}
		f.endWriters(t)
		pauses.Add(1)
	}
}

// After a failover the writer's connection may lead to what has become a standby: that
// is an outage, and the next sign-in asks for another connection.
func TestAFailoverIsAnOutage(t *testing.T) {
	f := newFixtureOn(t, dbtest.Fresh(t))
	store := f.running(t)
	p := f.person(t, f.tenant(t))
	if out, err := store.SignIn(t.Context(), p.sc, p.signIn(1)); err != nil || !out.Accepted {
		t.Fatalf("SignIn = %+v, %v", out, err)
	}
	readOnly := func(on string) {
		f.exec(t, "DO $$ BEGIN EXECUTE format('ALTER ROLE bc_writer IN DATABASE %I SET default_transaction_read_only = "+on+"', current_database()); END $$")
	}
	readOnly("on")
	f.endWriters(t)
	for range 2 { // the connection that was killed, and the one that is read-only
		if out, err := store.SignIn(t.Context(), p.sc, p.signIn(2)); !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("SignIn = %+v, %v, want %v", out, err, db.ErrUnavailable)
		}
	}
	readOnly("off")
	if out, err := store.SignIn(t.Context(), p.sc, p.signIn(2)); err != nil || !out.Accepted {
		t.Errorf("after it: %+v, %v", out, err)
	}
}

// After a restart of Postgres no sign-in is refused for the sake of the writer's connection of before, however short it was: the change feed has
// lost its own, and tells.
func TestARestartCostsNoSignIn(t *testing.T) {
	f := newFixtureOn(t, dbtest.Fresh(t))
	store := f.running(t)
	p := f.person(t, f.tenant(t))
	waitFor(t, "the change feeds", func() bool { return store.Fresh() && f.store.Fresh() })
	for count := uint32(1); count < 8; count += 2 {
		if out, err := store.SignIn(t.Context(), p.sc, p.signIn(count)); err != nil || !out.Accepted {
			t.Fatalf("SignIn = %+v, %v", out, err)
		}
		var feeds []int32 // of this server, and of the fixture's
		if err := f.admin.QueryRow(t.Context(), `SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'biocore feed' AND datname = current_database()`).Scan(&feeds); err != nil {
			t.Fatal(err)
		}
		f.endWriters(t)
		f.exec(t, "SELECT pg_terminate_backend(pid) FROM unnest($1::integer[]) pid", feeds)
		waitFor(t, "the heartbeats of other change feeds", func() bool {
			var n int
			if err := f.admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'biocore feed' AND datname = current_database()
				AND pid <> ALL ($1) AND query <> '' AND query NOT LIKE 'LISTEN%'`, feeds).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == len(feeds)
		})
		if out, err := store.SignIn(t.Context(), p.sc, p.signIn(count+1)); err != nil || !out.Accepted {
			t.Errorf("after the restart: %+v, %v", out, err)
		}
	}
}

// endWriters ends the writers' connections, as a Postgres that shuts down does.
func (f *fixture) endWriters(t *testing.T) {
	t.Helper()
	waitFor(t, "end of the writers' connections", func() bool {
		var left int
		if err := f.admin.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE usename = 'bc_writer' AND datname = current_database()`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
}
