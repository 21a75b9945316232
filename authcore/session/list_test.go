package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/listing"
)

var all = listing.Request{PageSize: listing.MaxPageSize}

func TestListPages(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	bob := w.User(t, w.acme)
	w.SignIn(t, w.acme, w.Enroll(t, w.acme, bob, 1)[0])
	want := []session.ID{w.sess.ID}
	for range 4 {
		sess, _ := w.SignIn(t, w.acme, w.phone)
		want = append(want, sess.ID)
	}
	slices.Reverse(want)
	var got []session.ID
	req := listing.Request{PageSize: 2}
	for {
		page, err := w.Sessions.ListOfUser(t.Context(), w.acme, w.ada.ID, req)
		if err != nil {
			t.Fatalf("ListOfUser error = %v", err)
		}
		for _, s := range page.Items {
			got = append(got, s.ID)
		}
		if page.NextToken == "" {
			break
		}
		req.PageToken = page.NextToken
	}
	if !slices.Equal(got, want) {
		t.Errorf("ListOfUser = %v, want %v", got, want)
	}
	if _, err := w.Sessions.ListOfUser(t.Context(), w.acme, bob.ID, req); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another user's page token: error = %v, want %v", err, listing.ErrPageToken)
	}
}

func TestListFilters(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	laptop := w.Enroll(t, w.acme, w.ada, 1)[0]
	second, _ := w.SignIn(t, w.acme, laptop)
	at := func(at time.Time) string { return at.Format(time.RFC3339Nano) }
	for _, tt := range []struct {
		filter string
		want   []session.ID
	}{
		{"", []session.ID{second.ID, w.sess.ID}},
		{`credentialId = "` + laptop.ID.String() + `"`, []session.ID{second.ID}},
		{"credentialId = " + laptop.ID.String() + " AND credentialId = " + w.phone.ID.String(), nil},
		{"createdAt > " + at(w.sess.CreatedAt), []session.ID{second.ID}},
		{"createdAt <= " + at(w.sess.CreatedAt), []session.ID{w.sess.ID}},
		{"expiresAt >= " + at(second.ExpiresAt), []session.ID{second.ID}},
		{"expiresAt < " + at(second.ExpiresAt), []session.ID{w.sess.ID}},
		{"expiresAt < " + at(second.CreatedAt), nil},
	} {
		t.Run(tt.filter, func(t *testing.T) {
			page, err := w.Sessions.ListOfUser(t.Context(), w.acme, w.ada.ID, listing.Request{Filter: tt.filter})
			if err != nil {
				t.Fatalf("ListOfUser error = %v", err)
			}
			var got []session.ID
			for _, s := range page.Items {
				got = append(got, s.ID)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("ListOfUser = %v, want %v", got, tt.want)
			}
		})
	}
	for _, filter := range []string{"state = ACTIVE", "credentialId = !", "credentialId != AAAA", `credentialId = ""`, "createdAt = x"} {
		if _, err := w.Sessions.ListOfUser(t.Context(), w.acme, w.ada.ID, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("ListOfUser of %s: error = %v, want %v", filter, err, listing.ErrFilter)
		}
	}
}
