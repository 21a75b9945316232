package credential_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/tenancy/listing"
)

var all = listing.Request{PageSize: listing.MaxPageSize}

// Every credential comes once, the newest first, revoked ones included; those of the
// same instant too, which the id decides.
func TestListPages(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada, bob := w.User(t, acme), w.User(t, acme)
	w.Enroll(t, acme, bob, 2)
	creds := w.Enroll(t, acme, ada, 7)
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: creds[3].ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE credentials SET created_at = $2 WHERE id = ANY($1)",
		[][]byte{creds[1].ID.Bytes(), creds[2].ID.Bytes(), creds[3].ID.Bytes()}, creds[2].CreatedAt); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		creds[i].CreatedAt = creds[2].CreatedAt
	}
	slices.SortFunc(creds, func(a, b credential.Credential) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return slices.Compare(b.ID.Bytes(), a.ID.Bytes())
	})

	var got []credential.ID
	req := listing.Request{PageSize: 2}
	for {
		page, err := w.Credentials.ListOfUser(t.Context(), acme, ada.ID, req)
		if err != nil {
			t.Fatalf("ListOfUser error = %v", err)
		}
		for _, c := range page.Items {
			got = append(got, c.ID)
		}
		if page.NextToken == "" {
			break
		}
		req.PageToken = page.NextToken
	}
	want := make([]credential.ID, len(creds))
	for i, c := range creds {
		want[i] = c.ID
	}
	if !slices.Equal(got, want) {
		t.Errorf("ListOfUser = %v, want %v", got, want)
	}
	if _, err := w.Credentials.ListOfUser(t.Context(), acme, bob.ID, req); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another user's page token: error = %v, want %v", err, listing.ErrPageToken)
	}
}

func TestListFilters(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	creds := w.Enroll(t, acme, ada, 3) // the oldest first
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: creds[0].ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: creds[1].ID}); err != nil {
		t.Fatal(err)
	}
	middle := creds[1].CreatedAt.Format(time.RFC3339Nano)
	for _, tt := range []struct {
		filter string
		want   []int // of creds
	}{
		{"", []int{2, 1, 0}},
		{"state = ACTIVE", []int{2}},
		{"state != REVOKED", []int{2, 1}},
		{"state = REVOKED AND state = ACTIVE", nil},
		{"createdAt > " + middle, []int{2}},
		{"createdAt <= " + middle, []int{1, 0}},
		{"createdAt <= " + middle + " AND state != REVOKED", []int{1}},
	} {
		t.Run(tt.filter, func(t *testing.T) {
			page, err := w.Credentials.ListOfUser(t.Context(), acme, ada.ID, listing.Request{Filter: tt.filter})
			if err != nil {
				t.Fatalf("ListOfUser error = %v", err)
			}
			var got, want []credential.ID
			for _, c := range page.Items {
				got = append(got, c.ID)
			}
			for _, i := range tt.want {
				want = append(want, creds[i].ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("ListOfUser = %v, want %v", got, want)
			}
		})
	}
	for _, filter := range []string{"nickname = x", "state = BLOCKED", "createdAt = x"} {
		if _, err := w.Credentials.ListOfUser(t.Context(), acme, ada.ID, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("ListOfUser of %s: error = %v, want %v", filter, err, listing.ErrFilter)
		}
	}
}
