package ephemeral_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// hears runs a listener until the test ends.
func hears(t *testing.T, l *ephemeral.Listener) <-chan ephemeral.Heard {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	out, done := make(chan ephemeral.Heard, 16), make(chan error, 1)
	go func() { done <- l.Run(ctx, func(h ephemeral.Heard) { out <- h }) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		_ = l.Close()
	})
	return out
}

// Removing the tenant from the topic's name turns it red, and so does a kind that is left out.
func TestPublishReachesWhoFollows(t *testing.T) {
	c, acme, globex := open(t, dbtest.Redis(t)), newTenant(), newTenant()
	l := c.Listen(t.Context())
	if err := l.Follow(t.Context(), acme, kind); err != nil {
		t.Fatal(err)
	}
	heard := hears(t, l)
	client := raw(t, dbtest.Redis(t))
	topic := "bc:{" + acme.Tenant().String() + "}:test:topic"
	waitFor(t, "the subscription", 5*time.Second, func() bool {
		n, err := client.PubSubNumSub(t.Context(), topic).Result()
		return err == nil && n[topic] == 1
	})
	publish := func(sc scope.Scope, k ephemeral.Kind, body string) {
		t.Helper()
		if err := c.Publish(t.Context(), sc, k, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	publish(globex, kind, "another tenant's")
	publish(acme, "other", "another kind")
	publish(acme, kind, "first")
	publish(acme, kind, "second")
	for _, want := range []string{"first", "second"} {
		select {
		case h := <-heard:
			if string(h.Body) != want || h.Tenant != acme.Tenant() || h.Kind != kind {
				t.Errorf("heard %q of %v, %s; want %q", h.Body, h.Tenant, h.Kind, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%q was not heard", want)
		}
	}
	if err := l.Unfollow(t.Context(), acme, kind); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the subscription", 5*time.Second, func() bool {
		n, err := client.PubSubNumSub(t.Context(), topic).Result()
		return err == nil && n[topic] == 0
	})
	var nobody scope.Scope
	if err := l.Follow(t.Context(), nobody, kind); err == nil || errors.Is(err, ephemeral.ErrUnavailable) {
		t.Errorf("Follow with the zero scope = %v, want a refusal", err)
	}
	if err := c.Publish(t.Context(), nobody, kind, nil); err == nil || errors.Is(err, ephemeral.ErrUnavailable) {
		t.Errorf("Publish with the zero scope = %v, want a refusal", err)
	}
}
