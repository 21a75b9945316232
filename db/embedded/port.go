package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// portTries bounds the starts on a port that was free when we chose it and taken
// when the server came to it. Twice in a row has not been seen.
const portTries = 5

// onPort calls start with the port asked for. If that is 0, it calls start with a
// port that free chose, and with another one if start says that it was lost on
// the way.
func onPort(ctx context.Context, port int, free func(context.Context) (int, error), start func(port int) error) error {
	if port != 0 {
		return start(port)
	}
	var err error
	for range portTries {
		if port, err = free(ctx); err != nil {
			return err
		}
		err = start(port)
		if _, taken := errors.AsType[*PortError](err); !taken {
			return err
		}
	}
	return err
}

// freePort returns a port on 127.0.0.1 that nobody listens on now.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("find a free port: no TCP address"), l.Close())
	}
	return addr.Port, l.Close()
}

// loopback is the address of a port as others write it.
func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// portTaken reports whether a server's output says so: that of Postgres and
// that of Redis, both in English by childEnv.
func portTaken(output string) bool {
	return strings.Contains(output, "Address already in use")
}
