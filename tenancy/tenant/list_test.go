package tenant_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func TestList(t *testing.T) {
	f := newFixture(t)
	start := f.store.Now()
	var made []tenant.Tenant
	for i := range 5 {
		made = append(made, f.create(t, func(r *tenant.CreateRequest) {
			if i%2 == 0 {
				r.Mode = tenant.Live
			}
		}))
	}
	if _, err := f.svc.Suspend(t.Context(), operator, tenant.SuspendRequest{ID: made[3].ID}); err != nil {
		t.Fatal(err)
	}
	for i, month := range [][2]int{{999, 1}, {998, 1}, {0, 0}, {5, 0}, {0, 3}} {
		if _, err := f.store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET month_answered = $2, month_faults = $3 WHERE id = $1", made[i].ID, month[0], month[1]); err != nil {
			t.Fatal(err)
		}
	}
	for i, facts := range []struct {
		name   string
		users  int
		active any // when; nil: never
	}{{"delta", 7, start}, {"Alpha", 20, nil}, {"echo", 7, start.Add(-time.Hour)}, {"Bravo", 3, nil}, {"charlie", 100, start.Add(time.Hour)}} {
		if _, err := f.store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET name = $2, user_count = $3, last_active_at = $4 WHERE id = $1", made[i].ID, facts.name, facts.users, facts.active); err != nil {
			t.Fatal(err)
		}
	}
	since := " AND createdAt >= " + start.Format(time.RFC3339Nano)
	list := func(req listing.Request) []uuid.UUID {
		t.Helper()
		var ids []uuid.UUID
		for {
			page, err := f.svc.List(t.Context(), operator, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				if item.ID == scope.PlatformTenant {
					t.Error("the platform's own tenant is listed")
				}
				for _, m := range made { // other tests make tenants too
					if m.ID == item.ID {
						ids = append(ids, item.ID)
					}
				}
			}
			if req.PageToken = page.NextToken; req.PageToken == "" {
				return ids
			}
		}
	}
	for _, tt := range []struct {
		name   string
		filter string
		want   []int
	}{
		{"all, newest first", "state != DELETING" + since, []int{4, 3, 2, 1, 0}},
		{"by mode", "mode = LIVE" + since, []int{4, 2, 0}},
		{"by another mode", "mode != LIVE" + since, []int{3, 1}},
		{"by state", "state = SUSPENDED" + since, []int{3}},
		{"by slug", "slug = " + made[2].Slug, []int{2}},
		{"by a slug in another mode", "mode = TEST AND slug = " + made[2].Slug, nil},
		{"contradiction", "mode = LIVE AND mode = TEST", nil},
		{"two slugs", "slug = a AND slug = b", nil},
		{"before", "createdAt < " + made[2].CreatedAt.Format(time.RFC3339Nano) + since, []int{1, 0}},
		{"below an objective", "availability < 99.9" + since, []int{4, 1}},
		{"at an objective", "availability >= 99.9" + since, []int{3, 0}},
		{"between", "availability >= 99 AND availability >= 90 AND availability < 99.95 AND availability < 100" + since, []int{1, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := list(listing.Request{PageSize: 2, Filter: tt.filter})
			var want []uuid.UUID
			for _, i := range tt.want {
				want = append(want, made[i].ID)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("listed %v, want %v", got, want)
			}
		})
	}
	for _, tt := range []struct {
		by   string
		want []int
	}{
		{"createdAt desc", []int{4, 3, 2, 1, 0}},
		{"createdAt", []int{0, 1, 2, 3, 4}},
		{"name", []int{1, 3, 4, 0, 2}},
		{"name desc", []int{2, 0, 4, 3, 1}},
		{"users", []int{3, 0, 2, 1, 4}},
		{"users desc", []int{4, 1, 2, 0, 3}},
		{"lastActiveAt", []int{1, 3, 2, 0, 4}},
		{"lastActiveAt desc", []int{4, 0, 2, 3, 1}},
		{"availability", []int{2, 4, 1, 0, 3}},
		{"availability desc", []int{3, 0, 1, 4, 2}},
	} {
		t.Run("by "+tt.by, func(t *testing.T) {
			// A page of one: each goes on exactly after the one before.
			for _, size := range []int{1, 2, 200} {
				got := list(listing.Request{PageSize: size, Filter: since[len(" AND "):], OrderBy: tt.by})
				var want []uuid.UUID
				for _, i := range tt.want {
					want = append(want, made[i].ID)
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("pages of %d: listed %v, want %v", size, got, want)
				}
			}
		})
	}
	for _, bad := range []string{"slug", "name up", "name desc desc", "name; DROP TABLE tenants"} {
		if _, err := f.svc.List(t.Context(), operator, listing.Request{OrderBy: bad}); !errors.Is(err, listing.ErrOrderBy) {
			t.Errorf("order %q = %v, want ErrOrderBy", bad, err)
		}
	}
	byName, err := f.svc.List(t.Context(), operator, listing.Request{PageSize: 1, OrderBy: "name"})
	if err != nil || byName.NextToken == "" {
		t.Fatal(err)
	}
	if _, err := f.svc.List(t.Context(), operator, listing.Request{PageToken: byName.NextToken, OrderBy: "name desc"}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("the token of another order = %v, want ErrPageToken", err)
	}
	for _, bad := range []string{"name = x", "slug != x", "mode = DEV", "state", "createdAt = yesterday", "availability = 99", "availability < most", "availability < NaN", "availability >= 101"} {
		if _, err := f.svc.List(t.Context(), operator, listing.Request{Filter: bad}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("filter %q = %v, want ErrFilter", bad, err)
		}
	}
	first, err := f.svc.List(t.Context(), operator, listing.Request{PageSize: 1, Filter: "mode = LIVE"})
	if err != nil || first.NextToken == "" {
		t.Fatal(err)
	}
	if _, err := f.svc.List(t.Context(), operator, listing.Request{PageToken: first.NextToken, Filter: "mode = TEST"}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("the token of another filter = %v, want ErrPageToken", err)
	}
}
