package main

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// visitor signs in and enrolls, again and again, and remembers what was acknowledged.
type visitor struct {
	w        *world
	c        *customer
	device   *authenticatortest.Authenticator
	sessions []string
	users    []string
	refused  map[string]int // by reason
}

// once does one sign-in and one write with an Idempotency-Key; a call that is refused
// for the outage is tried no more, another one is begun.
func (v *visitor) once(t *testing.T) error {
	t.Helper()
	begun, err := v.w.try(t.Context(), "POST", "/v1/authentications:begin", v.c.secret, map[string]any{})
	if err != nil || v.isRefused(begun) {
		return err
	}
	signed, err := v.device.Get(marshal(t, begun.at("options")), origin)
	if err != nil {
		return err
	}
	done, err := v.w.try(t.Context(), "POST", "/v1/authentications:finish", v.c.secret,
		map[string]any{"authenticationId": begun.text("authenticationId"), "credential": signed})
	if err != nil {
		return err
	}
	if !v.isRefused(done) {
		if done.text("decision") != "ALLOW" {
			return fmt.Errorf("sign-in: %s", done)
		}
		v.sessions = append(v.sessions, done.text("session", "id"))
	}
	made, err := v.w.try(t.Context(), "POST", "/v1/users", v.c.secret,
		map[string]any{"externalId": uuid.NewString(), "name": "x"}, "Idempotency-Key", uuid.NewString())
	if err == nil && !v.isRefused(made) {
		v.users = append(v.users, made.text("id"))
	}
	return err
}

func (v *visitor) isRefused(a answer) bool {
	if a.status == http.StatusOK {
		return false
	}
	v.refused[fmt.Sprint(a.status, " ", a.reason())]++
	return true
}

// SECURITY 35: kill -9 of Postgres under the load of two servers. Whatever was
// acknowledged is there afterwards, whole; what was refused was refused as an outage,
// with no error of any other kind; and work goes on by itself.
func TestPostgresIsKilledUnderLoad(t *testing.T) {
	const people = 12
	store, postgres := dbtest.OwnPostgres(t)
	both := newWorlds(t, store)
	c := both[0].tenant(t, "acme")
	visitors := make([]*visitor, people)
	for i := range visitors {
		c.authenticator = software(t)
		both[0].enroll(t, c, fmt.Sprintf("user-%d", i))
		visitors[i] = &visitor{w: both[i%2], c: c, device: c.authenticator, refused: map[string]int{}}
	}
	var mu sync.Mutex // guards the count of what was done, by which the crash is timed
	done, phase := 0, make(chan struct{}, 1)
	next := people * 6
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		if done += n; done >= next {
			next += people * 6
			select {
			case phase <- struct{}{}:
			default:
			}
		}
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for _, v := range visitors {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := len(v.sessions)
				if err := v.once(t); err != nil {
					t.Error(err)
					return
				}
				count(len(v.sessions) - before)
			}
		})
	}
	wait := func(what string) {
		t.Helper()
		select {
		case <-phase:
		case <-time.After(15 * time.Second):
			t.Errorf("no sign-ins %s", what)
		}
	}
	wait("before the crash")
	postgres.Crash(t)
	postgres.Start(t)
	select {
	case <-phase: // of before
	default:
	}
	wait("after the crash")
	close(stop)
	clients.Wait()

	conn := store.Superuser(t)
	acknowledged, refused := 0, map[string]int{}
	for _, v := range visitors {
		for _, id := range v.sessions {
			acknowledged++
			var n int
			if err := conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM sessions WHERE id = $1) + (SELECT count(*) FROM ceremonies WHERE id = $1 AND outcome = 'ALLOW')
				+ (SELECT count(*) FROM audit_records WHERE id = $1) + (SELECT count(*) FROM event_outbox WHERE id = $1) + (SELECT count(*) FROM spent_challenges WHERE spender = $1)`, id).Scan(&n); err != nil || n != 5 {
				t.Errorf("an acknowledged sign-in has %d of its five rows, %v", n, err)
			}
		}
		for _, id := range v.users {
			var n int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM users WHERE id = $1", id).Scan(&n); err != nil || n != 1 {
				t.Errorf("an acknowledged user is there %d times, %v", n, err)
			}
		}
		for reason, n := range v.refused {
			refused[reason] += n
			if reason != "503 STORE_UNAVAILABLE" && reason != "503 OVERLOADED" {
				t.Errorf("%d calls were refused with %s", n, reason)
			}
		}
	}
	// What was not acknowledged is there whole or not at all.
	var odd int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM sessions s WHERE
		NOT EXISTS (SELECT FROM ceremonies c WHERE c.id = s.id) OR NOT EXISTS (SELECT FROM audit_records a WHERE a.id = s.id)
		OR NOT EXISTS (SELECT FROM event_outbox e WHERE e.id = s.id) OR NOT EXISTS (SELECT FROM spent_challenges p WHERE p.spender = s.id)`).Scan(&odd); err != nil || odd != 0 {
		t.Errorf("%d sessions are not whole, %v", odd, err)
	}
	t.Logf("%d sign-ins acknowledged, refused: %v", acknowledged, refused)
	if acknowledged < people*12 || len(refused) == 0 {
		t.Error("the crash met no load")
	}
}
