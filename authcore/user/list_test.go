package user_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/listing"
)

var all = listing.Request{PageSize: listing.MaxPageSize}

// Every user comes once, the newest first, whatever the page size; one who is created
// meanwhile does not shift the rest.
func TestListPages(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	var want []user.ID
	for range 7 {
		want = append(want, w.User(t, acme).ID)
	}
	slices.Reverse(want)

	var got []user.ID
	req := listing.Request{PageSize: 3}
	for pages := 1; ; pages++ {
		page, err := w.Users.List(t.Context(), acme, req)
		if err != nil {
			t.Fatalf("List error = %v", err)
		}
		for _, u := range page.Items {
			got = append(got, u.ID)
		}
		if page.NextToken == "" {
			if pages != 3 {
				t.Errorf("pages = %d, want 3", pages)
			}
			break
		}
		req.PageToken = page.NextToken
		w.User(t, acme) // newer than all that was listed
	}
	if !slices.Equal(got, want) {
		t.Errorf("List = %v, want %v", got, want)
	}

	if _, err := w.Users.List(t.Context(), globex, req); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another tenant's page token: error = %v, want %v", err, listing.ErrPageToken)
	}
	req.Filter = "state = ACTIVE"
	if _, err := w.Users.List(t.Context(), acme, req); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another filter's page token: error = %v, want %v", err, listing.ErrPageToken)
	}
}

func TestListFilters(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada, bob, eve := w.User(t, acme), w.User(t, acme), w.User(t, acme)
	if _, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: eve.ID}); err != nil {
		t.Fatal(err)
	}
	at := func(u user.User) string { return u.CreatedAt.Format(time.RFC3339Nano) }
	for _, tt := range []struct {
		name   string
		filter string
		want   []user.ID
	}{
		{"none", "", []user.ID{eve.ID, bob.ID, ada.ID}},
		{"external id", fmt.Sprintf("externalId = %q", bob.ExternalID), []user.ID{bob.ID}},
		{"unknown external id", `externalId = "nobody"`, nil},
		{"two external ids", fmt.Sprintf("externalId = %q AND externalId = %q", ada.ExternalID, bob.ExternalID), nil},
		{"blocked", "state = BLOCKED", []user.ID{eve.ID}},
		{"not blocked", "state != BLOCKED", []user.ID{bob.ID, ada.ID}},
		{"neither", "state != BLOCKED AND state != ACTIVE", nil},
		{"created from", "createdAt >= " + at(bob), []user.ID{eve.ID, bob.ID}},
		{"created after", "createdAt > " + at(bob), []user.ID{eve.ID}},
		{"created before", "createdAt < " + at(bob), []user.ID{ada.ID}},
		{"created until", "createdAt <= " + at(bob), []user.ID{bob.ID, ada.ID}},
		{"created at", "createdAt = " + at(bob), []user.ID{bob.ID}},
		{"all three", fmt.Sprintf("externalId = %q AND state = ACTIVE AND createdAt >= %q", bob.ExternalID, at(bob)), []user.ID{bob.ID}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, err := w.Users.List(t.Context(), acme, listing.Request{Filter: tt.filter})
			if err != nil {
				t.Fatalf("List error = %v", err)
			}
			var got []user.ID
			for _, u := range page.Items {
				got = append(got, u.ID)
			}
			if !slices.Equal(got, tt.want) || page.NextToken != "" {
				t.Errorf("List = %v, next %q, want %v on one page", got, page.NextToken, tt.want)
			}
		})
	}
	for _, filter := range []string{
		"displayName = Ada", "name != Ada", `name = " "`, `search = x AND name = y`, `name = x AND email = "a@b.example"`, "hasPasskey = maybe", "state = ASLEEP", "state > ACTIVE",
		"externalId != x", "externalId > x", "createdAt = today", "createdAt != 2030-01-01T00:00:00Z", "state",
	} {
		if _, err := w.Users.List(t.Context(), acme, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("List of %s: error = %v, want %v", filter, err, listing.ErrFilter)
		}
	}
}
