package load

import (
	"net"
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	line := "4711 (postgres: (evil) name) S 42 4711 4711 0 -1 4194560 100 200 0 0 7 3 20 10 20 0 1 0 12345 1000000 256 18446744073709551615 1 1"
	pid, p, ok := parseStat([]byte(line))
	if !ok || pid != 4711 || p.parent != 42 || p.program != "postgres: (evil) name" || p.ticks != 40 || p.rssMiB != 256*float64(os.Getpagesize())/(1<<20) {
		t.Errorf("parseStat = %d, %+v, %v", pid, p, ok)
	}
	for _, broken := range []string{"", "1", "1 (x", "x (y) S 1", "1 (x) S 1 2 3"} {
		if _, _, ok := parseStat([]byte(broken)); ok {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestGroups(t *testing.T) {
	all := map[int]process{
		1:  {parent: 0, program: "init"},
		10: {parent: 1, program: "biocore"},
		11: {parent: 10, program: "postgres"},
		12: {parent: 11, program: "postgres: writer"},
		13: {parent: 10, program: "redis-server"},
		14: {parent: 10, program: "worker"},
		20: {parent: 1, program: "postgres"}, // another one
		30: {parent: 31, program: "a"},       // torn
		31: {parent: 30, program: "b"},
	}
	for pid, want := range map[int]string{10: "server", 11: "postgres", 12: "postgres", 13: "redis", 14: "server", 1: "", 20: "", 30: ""} {
		got, ok := groupOf(all, pid, []int{10})
		if ok != (want != "") || ok && got != want {
			t.Errorf("process %d counts in %q, %v, want %q", pid, got, ok, want)
		}
	}
	if got, ok := groupOf(all, 20, []int{10, 20}); !ok || got != "postgres" {
		t.Errorf("a root of its own counts in %q, %v", got, ok)
	}
}

// This process uses its own CPU.
func TestUsage(t *testing.T) {
	var u usage
	u.start([]int{os.Getpid()})
	sum := 0
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; {
		sum++
	}
	u.stop()
	cpu, rss := u.perSignIn(10)
	if cpu["server"] < 2 || cpu["server"] > 100 || rss["server"] <= 0 {
		t.Errorf("CPU %v, RSS %v after %d rounds", cpu, rss, sum)
	}
	if cpu, _ := u.perSignIn(0); cpu != nil {
		t.Errorf("CPU of no sign-in = %v", cpu)
	}
	var none usage
	none.start(nil)
	none.stop()
	if cpu, rss := none.perSignIn(1); cpu != nil || rss != nil {
		t.Errorf("usage of nothing = %v, %v", cpu, rss)
	}
}

func TestListener(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		tcp, _ := l.Addr().(*net.TCPAddr)
		if pid, ok := Listener(tcp.Port); !ok || pid != os.Getpid() {
			t.Errorf("Listener(%s) = %d, %v, want this process: %d", l.Addr(), pid, ok, os.Getpid())
		}
	}
	if pid, ok := Listener(1); ok {
		t.Errorf("process %d listens on port 1", pid)
	}
}
