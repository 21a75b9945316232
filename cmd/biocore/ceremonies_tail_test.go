package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// tailing is a command that prints until it is interrupted.
type tailing struct {
	lines     <-chan string
	interrupt func() (code int, complaint string)
}

func (s *shell) tail(t *testing.T, args ...string) *tailing {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	out, in := io.Pipe()
	lines, code := make(chan string, 256), make(chan int, 1)
	var complaint bytes.Buffer
	go func() {
		code <- run(ctx, &environment{out: in, err: &complaint, dir: s.dir}, append([]string{"ceremonies", "tail", "--tenant", "acme"}, args...))
		_ = in.Close() // of a pipe: it does not fail
	}()
	go func() {
		defer close(lines)
		for text := bufio.NewScanner(out); text.Scan(); {
			lines <- text.Text()
		}
	}()
	return &tailing{lines, func() (int, string) { stop(); return <-code, complaint.String() }}
}

// until makes something happen every half second until a line about it comes.
func (c *tailing) until(t *testing.T, happens func(), wanted func(line string) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		happens()
		for wait, waiting := time.After(500*time.Millisecond), true; waiting; {
			select {
			case line, open := <-c.lines:
				if !open {
					code, complaint := c.interrupt()
					t.Fatalf("it has ended: %d %s", code, complaint)
				}
				if wanted(line) {
					return
				}
			case <-wait:
				waiting = false
			}
		}
	}
	t.Fatal("no such line came")
}

// What begins and finishes is printed as it happens, what was not asked for is not, and to be
// interrupted is a good end.
func TestCeremoniesTail(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	s := newShell(t, w.cfg)
	s.refused(t, 2, "--tenant is required", "ceremonies", "tail")
	s.refused(t, 1, "FILTER_INVALID", "ceremonies", "tail", "--tenant", "acme", "--type", "dance")

	all := s.tail(t, "--json")
	began := map[string]bool{}
	all.until(t, func() { w.signIn(t, c) }, func(line string) bool {
		var e struct {
			Begun    *struct{ ID string }
			Finished *struct {
				BegunID  string
				Ceremony struct{ ID, Kind, Outcome, UserID string }
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Begun != nil {
			began[e.Begun.ID] = true
		}
		return e.Finished != nil && began[e.Finished.BegunID] && e.Finished.Ceremony.ID == c.session && e.Finished.Ceremony.Outcome == "ALLOW" && e.Finished.Ceremony.UserID == c.user
	})

	failures := s.tail(t, "--type", "authentication", "--outcome", "failed")
	failures.until(t, func() {
		w.signIn(t, c)
		w.call(t, "POST", "/v1/authentications:finish", c.secret, w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{WrongKey: true}))
	}, func(line string) bool {
		if strings.Contains(line, "ALLOW") || strings.Contains(line, "begun") {
			t.Errorf("not asked for: %s", line)
		}
		return strings.Contains(line, "FAILED") && strings.Contains(line, "SIGNATURE_INVALID")
	})
	for _, one := range []*tailing{all, failures} {
		go func() {
			for range one.lines { // what comes until it ends is nobody's
			}
		}()
		if code, complaint := one.interrupt(); code != 0 || complaint != "" {
			t.Errorf("interrupted = %d %s, want 0", code, complaint)
		}
	}
}
