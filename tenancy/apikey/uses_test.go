package apikey_test

import (
	"context"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

func TestLastUseIsToldByTheMinute(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	if err := s.keys.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	key := s.create(t, acme, apikey.CreateRequest{})
	lastUse := func() *time.Time {
		t.Helper()
		ended, end := context.WithCancel(t.Context())
		end()
		if err := s.Run(ended); err != nil { // the end of a server tells what is left
			t.Fatal(err)
		}
		page, err := s.List(t.Context(), acme, apikey.ListRequest{})
		if err != nil || len(page.Items) != 1 {
			t.Fatal(page, err)
		}
		return page.Items[0].LastUsedAt
	}
	if at := lastUse(); at != nil {
		t.Errorf("last use of an unused key = %v", at)
	}
	for range 3 {
		if err := authenticate(t.Context(), s, key); err != nil {
			t.Fatal(err)
		}
	}
	first := lastUse()
	if first == nil || store.Now().Sub(*first) > time.Minute {
		t.Fatalf("last use = %v", first)
	}
	if err := authenticate(t.Context(), s, key); err != nil {
		t.Fatal(err)
	}
	if again := lastUse(); !again.Equal(*first) {
		t.Errorf("told twice in a minute: %v after %v", again, first)
	}
}
