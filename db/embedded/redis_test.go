package embedded

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// startRedis starts Redis with o and stops it when the test ends.
func startRedis(t *testing.T, o RedisOptions) *Redis {
	t.Helper()
	r, err := StartRedis(t.Context(), o)
	if err != nil {
		t.Fatalf("StartRedis: %v", err)
	}
	t.Cleanup(func() { stopRedis(t, r) })
	return r
}

func stopRedis(t *testing.T, r *Redis) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// ask sends a command and returns its answer of one line.
func ask(t *testing.T, r *Redis, args ...string) string {
	t.Helper()
	answer, err := r.do(t.Context(), args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return answer
}

func TestRedis(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    RedisOptions
		real bool
	}{
		{"redis-server", RedisOptions{Bin: "redis-server"}, true},
		{"in-process", RedisOptions{InProcess: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRedis(t, tt.o)
			if r.Real != tt.real {
				t.Fatalf("Real = %t, want %t", r.Real, tt.real)
			}
			if got := ask(t, r, "SET", "k", "v"); got != "OK" {
				t.Errorf("SET answers %q, want OK", got)
			}

			stranger := &Redis{Port: r.Port, password: secret.New("guess")}
			if _, err := stranger.do(t.Context(), "PING"); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
				t.Errorf("with a wrong password: %v, want WRONGPASS", err)
			}
			u := parse(t, r.URL())
			if password, _ := u.User.Password(); u.Hostname() != "127.0.0.1" || password != r.password.Reveal() {
				t.Errorf("URL = %s", u.Redacted())
			}

			// A challenge that never expires is a challenge for an attacker to keep.
			ask(t, r, "SET", "challenge", "c", "PX", "50")
			eventually(t, "a key with a time to live is gone", func() bool {
				return ask(t, r, "EXISTS", "challenge") == ":0"
			})

			stopRedis(t, r)
			if err := r.Stop(t.Context()); err != nil {
				t.Errorf("second Stop: %v", err)
			}
			select {
			case <-r.Done():
			default:
				t.Error("Done is not closed after Stop")
			}
			if conn, err := net.Dial("tcp4", u.Host); err == nil {
				_ = conn.Close()
				t.Error("the port answers after Stop")
			}
		})
	}
}

// A Redis that comes back with an old snapshot is what a replayed challenge
// hopes for; tests of that need Save to be the only writer of snapshots.
func TestRedisSnapshot(t *testing.T) {
	o := RedisOptions{Bin: "redis-server", Dir: dataDir(t), Password: secret.New("walrus")}
	r := startRedis(t, o)
	ask(t, r, "SET", "k", "old")
	if err := r.Save(t.Context()); err != nil {
		t.Fatalf("Save: %v", err)
	}
	ask(t, r, "SET", "k", "new")
	if _, err := StartRedis(t.Context(), o); err == nil {
		t.Fatal("a second Redis started on the same folder")
	} else if _, ok := errors.AsType[*InUseError](err); !ok {
		t.Errorf("second StartRedis error = %v, want an InUseError", err)
	}
	stopRedis(t, r)

	o.Port = r.Port
	again := startRedis(t, o)
	if again.URL() != r.URL() {
		t.Error("the URL changed with the restart")
	}
	if got := ask(t, again, "EVAL", "return {ok = redis.call('GET', 'k')}", "0"); got != "old" {
		t.Errorf("after the restart k = %q, want what the snapshot had, old", got)
	}
}

func TestRedisAppendOnly(t *testing.T) {
	o := RedisOptions{Bin: "redis-server", Dir: dataDir(t), AppendOnly: true}
	r := startRedis(t, o)
	ask(t, r, "SET", "k", "v")
	stopRedis(t, r)
	if got := ask(t, startRedis(t, o), "EXISTS", "k"); got != ":1" {
		t.Errorf("EXISTS after a restart = %s, want :1", got)
	}
}

func TestRedisRefuses(t *testing.T) {
	port := takenPort(t)
	for _, tt := range []struct {
		name string
		o    RedisOptions
		want string
	}{
		{"a taken port", RedisOptions{Bin: "redis-server", Port: port}, "is taken"},
		{"a taken port in-process", RedisOptions{InProcess: true, Port: port}, "is taken"},
		{"a folder in-process", RedisOptions{InProcess: true, Dir: "x"}, "need redis-server"},
		{"a program that is not there", RedisOptions{Bin: "/nonexistent"}, "Redis 7 or newer not found in /nonexistent"},
		{"a password with a space", RedisOptions{Password: secret.New("a b")}, "neither letter nor digit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := StartRedis(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("StartRedis error = %v, want %q in it", err, tt.want)
			}
		})
	}
	if err := startRedis(t, RedisOptions{}).Save(t.Context()); err == nil {
		t.Error("Save without a folder returned no error")
	}
}

func TestRedisEndsUnasked(t *testing.T) {
	r, err := StartRedis(t.Context(), RedisOptions{Bin: "redis-server"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.server.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.Done()
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("Err = %v, want one that says how the server ended", err)
	}
	if err := r.Stop(t.Context()); err == nil {
		t.Error("Stop of a server that was killed returned no error")
	}
}
