package apikey_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// SECURITY 3, 6: right id, wrong tenant.
func TestCrossing(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	s := newServer(t, store.Store, nil)
	key := s.create(t, acme, apikey.CreateRequest{})
	if _, err := s.Revoke(t.Context(), globex, apikey.RevokeRequest{ID: key.ID}); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Revoke of another tenant's = %v, want ErrNotFound", err)
	}
	if err := authenticate(t.Context(), s, key); err != nil {
		t.Errorf("it was revoked: %v", err)
	}
	if err := s.keys.Ensure(t.Context(), globex); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), globex, key.ID); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Get of another tenant's = %v, want ErrNotFound", err)
	}
	if k, err := s.Get(t.Context(), acme, key.ID); err != nil || k.Prefix != key.Prefix {
		t.Errorf("Get of its own = %+v, %v", k, err)
	}
	page, err := s.List(t.Context(), globex, apikey.ListRequest{})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("another tenant lists %v, %v", page.Items, err)
	}
}

func TestList(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	if err := s.keys.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	var want []uuid.UUID
	for range 5 {
		want = append([]uuid.UUID{s.create(t, acme, apikey.CreateRequest{}).ID}, want...)
	}
	if _, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: want[1]}); err != nil {
		t.Fatal(err)
	}
	var got []uuid.UUID
	req := apikey.ListRequest{Request: listing.Request{PageSize: 2}}
	for {
		page, err := s.List(t.Context(), acme, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Items {
			got = append(got, k.ID)
			if (k.RevokedAt != nil) != (k.ID == want[1]) {
				t.Errorf("%s revoked at %v", k.ID, k.RevokedAt)
			}
		}
		if req.PageToken = page.NextToken; req.PageToken == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if _, err := s.List(t.Context(), acme, apikey.ListRequest{Request: listing.Request{PageToken: "AAAA"}}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("a made-up token = %v, want ErrPageToken", err)
	}
}

// Each order lists every key once, over pages of two, in that order.
func TestListOrders(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	if err := s.keys.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	hour := store.Now().Add(time.Hour)
	day, year := hour.Add(24*time.Hour), hour.Add(365*24*time.Hour)
	ids := map[uuid.UUID]string{}
	for _, k := range []struct {
		name string
		ends *time.Time
		used string
	}{{"beta", &year, "2 hours"}, {"Alpha", nil, ""}, {"delta", &day, "1 hour"}, {"gamma", nil, ""}, {"alpha", &hour, "3 hours"}} {
		made := s.create(t, acme, apikey.CreateRequest{Name: k.name, ExpiresAt: k.ends})
		ids[made.ID] = k.name
		if k.used == "" {
			continue
		}
		if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE api_keys SET last_used_at = now() - $2::interval WHERE id = $1", made.ID, k.used); err != nil {
			t.Fatal(err)
		}
	}
	for order, want := range map[apikey.Order]string{
		"":             "alpha gamma delta Alpha beta",
		apikey.Newest:  "alpha gamma delta Alpha beta",
		apikey.ByName:  "Alpha alpha beta delta gamma",
		apikey.LastUse: "delta beta alpha gamma Alpha",
		apikey.Soonest: "alpha delta beta Alpha gamma",
	} {
		var got []string
		req := apikey.ListRequest{Request: listing.Request{PageSize: 2}, Order: order}
		for {
			page, err := s.List(t.Context(), acme, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range page.Items {
				got = append(got, ids[k.ID])
			}
			if req.PageToken = page.NextToken; req.PageToken == "" {
				break
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("by %q: %v, want %s", order, got, want)
		}
	}
	if _, err := s.List(t.Context(), acme, apikey.ListRequest{Order: "name desc"}); !errors.Is(err, apikey.ErrOrder) {
		t.Errorf("an order that there is not = %v, want ErrOrder", err)
	}
	page, err := s.List(t.Context(), acme, apikey.ListRequest{Request: listing.Request{PageSize: 2}, Order: apikey.ByName})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), acme, apikey.ListRequest{Request: listing.Request{PageToken: page.NextToken}}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another order's token = %v, want ErrPageToken", err)
	}
}

func TestListFilters(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	if err := s.keys.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	named := func(name string) apikey.Created { return s.create(t, acme, apikey.CreateRequest{Name: name}) }
	named("active")
	s.create(t, acme, apikey.CreateRequest{Kind: apikey.Publishable, Name: "page"})
	if _, err := s.Lock(t.Context(), acme, apikey.LockRequest{ID: named("locked").ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: named("revoked").ID}); err != nil {
		t.Fatal(err)
	}
	rotate(t, s, acme, apikey.RotateRequest{ID: named("retiring").ID, Overlap: time.Hour})
	rotate(t, s, acme, apikey.RotateRequest{ID: named("expired").ID})
	for filter, want := range map[string]string{
		"state = ACTIVE":                                      "expired retiring page active",
		"state = RETIRING":                                    "retiring",
		"state = LOCKED":                                      "locked",
		"state = EXPIRED":                                     "expired",
		"state = REVOKED":                                     "revoked",
		"state != ACTIVE AND kind = SECRET":                   "expired retiring revoked locked",
		"kind = PUBLISHABLE":                                  "page",
		"kind = SECRET AND kind = PUBLISHABLE":                "",
		"createdAt < 2020-01-01T00:00:00Z":                    "",
		"createdAt > 2020-01-01T00:00:00Z AND kind != SECRET": "page",
	} {
		for _, order := range []apikey.Order{apikey.Newest, apikey.ByName, apikey.LastUse, apikey.Soonest} {
			page, err := s.List(t.Context(), acme, apikey.ListRequest{Request: listing.Request{Filter: filter}, Order: order})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range page.Items {
				got = append(got, k.Name)
				if state := string(k.State(store.Now())); strings.HasPrefix(filter, "state = ") && filter != "state = "+state {
					t.Errorf("%s lists a key that is %s", filter, state)
				}
			}
			wanted := strings.Fields(want)
			if order != apikey.Newest { // TestListOrders looks at the order
				slices.Sort(got)
				slices.Sort(wanted)
			}
			if !slices.Equal(got, wanted) {
				t.Errorf("%s by %s: %v, want %v", filter, order, got, wanted)
			}
		}
	}
	for _, filter := range []string{"name = x", "state = ASLEEP", "kind > SECRET"} {
		if _, err := s.List(t.Context(), acme, apikey.ListRequest{Request: listing.Request{Filter: filter}}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("%s = %v, want ErrFilter", filter, err)
		}
	}
}
