package ceremony_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
)

// SECURITY 34: without Redis registrations are refused at once, and sign-ins go on.
func TestRedisIsDown(t *testing.T) {
	redis := dbtest.OwnRedis(t)
	w := newWorldOn(t, dbtest.New(t), redis.URL())
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	open := w.beginRegistration(t, acme, profile())
	resp := create(t, phone(t), open, authenticatortest.Deviation{})
	redis.Stop(t)

	quickest := time.Hour // of five: what is waited for is the same each time, and what the machine does meanwhile is not
	for range 5 {
		began := time.Now()
		_, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{User: profile()})
		wantErr(t, "BeginRegistration", err, ephemeral.ErrUnavailable)
		_, err = w.FinishRegistration(t.Context(), acme, finishRequest(open, resp))
		wantErr(t, "FinishRegistration", err, ephemeral.ErrUnavailable)
		quickest = min(quickest, time.Since(began))
		w.signIn(t, acme, a)
	}
	if quickest > 2*200*time.Millisecond {
		t.Errorf("two refusals took %v, want under 200 ms each", quickest)
	}
	redis.Start(t)
	waitFor(t, "Redis again", func() bool {
		_, err := w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{User: profile()})
		return err == nil
	})
}

// SECURITY 1: a Redis that comes back from its snapshot brings a spent registration
// back, and the spent row refuses it. Removing SpendChallenge turns this red.
func TestRedisRestoresASpentRegistration(t *testing.T) {
	redis := dbtest.OwnRedis(t)
	w := newWorldOn(t, dbtest.New(t), redis.URL())
	acme := w.tenant(t)
	begun := w.beginRegistration(t, acme, profile())
	redis.Snapshot(t)
	a := phone(t)
	if _, err := w.FinishRegistration(t.Context(), acme, finishRequest(begun, create(t, a, begun, authenticatortest.Deviation{}))); err != nil {
		t.Fatal(err)
	}
	redis.Stop(t)
	redis.Start(t)
	// Another credential, so that only the challenge can be what refuses.
	replay := finishRequest(begun, create(t, phone(t), begun, authenticatortest.Deviation{}))
	var err error
	waitFor(t, "Redis again", func() bool {
		_, err = w.FinishRegistration(t.Context(), acme, replay)
		return !errors.Is(err, ephemeral.ErrUnavailable)
	})
	wantErr(t, "the replay", err, ceremony.ErrChallengeSpent)
}

// What is kept in Redis is sealed for its id: moved to another it is nothing.
func TestRedisSwapsRegistrations(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	mine, hers := w.beginRegistration(t, acme, profile()), w.beginRegistration(t, acme, profile())
	redis, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	sealed, found, err := redis.Get(t.Context(), acme, "registration", hers.ID)
	if err != nil || !found {
		t.Fatalf("Get = %v, %v", found, err)
	}
	if bytes.Contains(sealed, []byte("@example.com")) {
		t.Error("names lie open in Redis")
	}
	if err := redis.Put(t.Context(), acme, "registration", mine.ID, sealed, time.Minute); err != nil {
		t.Fatal(err)
	}
	_, err = w.FinishRegistration(t.Context(), acme, finishRequest(mine, create(t, phone(t), hers, authenticatortest.Deviation{})))
	wantErr(t, "FinishRegistration", err, ceremony.ErrChallengeUnknown)
}

// SECURITY 35: without Postgres nothing is acknowledged, and a sign-in that had begun
// finishes when it is back.
func TestPostgresIsDown(t *testing.T) {
	store, postgres := dbtest.OwnPostgres(t)
	w := newWorldOn(t, store, dbtest.Redis(t))
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	w.signIn(t, acme, a)
	begun := w.begin(t, acme)
	resp := get(t, a, begun, authenticatortest.Deviation{})
	for _, stop := range []func(testing.TB){postgres.Stop, postgres.Crash} {
		stop(t)
		began := time.Now()
		_, err := w.finish(t, acme, begun, resp)
		wantErr(t, "finish", err, db.ErrUnavailable)
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the refusal took %v", took)
		}
		postgres.Start(t)
		waitFor(t, "Postgres again", func() bool { return w.store.Ping(t.Context()) == nil && w.store.Fresh() })
	}
	if done, err := w.finish(t, acme, begun, resp); err != nil || done.Decision != ceremony.Allow {
		t.Errorf("once it is back: %+v, %v", done, err)
	}
	if n := w.one(t, "SELECT count(*) FROM sessions"); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
}
