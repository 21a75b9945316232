package ephemeral_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var echo = ephemeral.NewScript(`return {#KEYS, tonumber(ARGV[1])}`)

// Several who ask share a round trip: a Redis that answers nobody before it has read all three
// answers them. Sent one by one, the first would wait for it in vain.
func TestAnExchangeIsOneRoundTrip(t *testing.T) {
	address := serve(t, func(conn net.Conn) {
		in, commands := bufio.NewScanner(conn), 0
		for in.Scan() {
			switch line := in.Text(); {
			case line != "" && line[0] == '*':
				commands++
			case strings.EqualFold(line, "hello"):
				commands--
				if _, err := fmt.Fprint(conn, "-ERR unknown command\r\n"); err != nil {
					return
				}
			}
			if commands == 3 { // and answer them, whatever the rest of the third is
				if _, err := fmt.Fprint(conn, "*2\r\n:1\r\n:7\r\n*2\r\n:1\r\n:8\r\n*0\r\n"); err != nil {
					return
				}
				commands = 4
			}
		}
	})
	c, acme := open(t, "redis://"+address+"?protocol=2"), newTenant()
	x := c.Exchange()
	one, two := x.Run(acme, echo, kind, []string{"a"}, 7), x.Run(acme, echo, kind, []string{"b"}, 8)
	counts := x.Counts(acme, kind, "c")
	if err := x.Do(t.Context()); err != nil {
		t.Fatalf("Do = %v", err)
	}
	for want, reply := range map[int64]*ephemeral.Reply{7: one, 8: two} {
		if got, err := reply.Ints(); err != nil || len(got) != 2 || got[1] != want {
			t.Errorf("a reply = %v, %v, want %d", got, err, want)
		}
	}
	if got, err := counts.Counts(); err != nil || len(got) != 0 {
		t.Errorf("Counts = %v, %v", got, err)
	}
}

// A command that Redis refuses is its own error, and none of the others'.
func TestRepliesHaveTheirOwnErrors(t *testing.T) {
	c, acme := open(t, dbtest.Redis(t)), newTenant()
	x := c.Exchange()
	bad := x.Run(acme, ephemeral.NewScript(`return redis.error_reply('NO such')`), kind, []string{"a"})
	good := x.Run(acme, echo, kind, []string{"a", "b"}, 3)
	if _, err := good.Ints(); err == nil {
		t.Error("a reply before Do has no error")
	}
	if err := x.Do(t.Context()); err != nil {
		t.Fatalf("Do = %v", err)
	}
	if _, err := bad.Ints(); err == nil || errors.Is(err, ephemeral.ErrUnavailable) {
		t.Errorf("the refused one = %v", err)
	}
	if got, err := good.Ints(); err != nil || got[0] != 2 {
		t.Errorf("the other = %v, %v", got, err)
	}
	none := c.Exchange()
	none.Run(scope.Scope{}, echo, kind, []string{"a"}, 3)
	if err := none.Do(t.Context()); err == nil {
		t.Error("the zero scope has keys")
	}
	if err := c.Exchange().Do(t.Context()); err != nil {
		t.Errorf("an empty one = %v", err)
	}
	away := open(t, "redis://"+closedPort(t))
	x = away.Exchange()
	x.Run(acme, echo, kind, []string{"a"}, 3)
	if err := x.Do(t.Context()); !errors.Is(err, ephemeral.ErrUnavailable) {
		t.Errorf("without Redis = %v", err)
	}
}
