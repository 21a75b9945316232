package authenticator_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// The metadata's models can be looked through, whether anybody has them or not.
func TestCatalogue(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	now := time.Now()
	model := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	report := func(status string, days int) mdstest.Report {
		return mdstest.Report{Status: status, Effective: now.AddDate(0, 0, days)}
	}
	metadata := mdstest.New(t).Snapshot(t, mdstest.BLOB{Number: 7, Entries: []mdstest.Entry{
		{AAGUID: model(4), Name: "Delta key", Reports: []mdstest.Report{report("FIDO_CERTIFIED_L2", -9)}},
		{AAGUID: model(1), Name: "Alpha Key Bio", Reports: []mdstest.Report{report("FIDO_CERTIFIED_L1", -9), report("REVOKED", 9)}},
		{AAGUID: model(3), Name: "Gamma", Reports: []mdstest.Report{report("FIDO_CERTIFIED_L3", -9), report("REVOKED", -1)}},
		{Name: "Old U2F key", KeyIdentifiers: [][]byte{bytes.Repeat([]byte{9}, 20)}, Reports: []mdstest.Report{report("FIDO_CERTIFIED", -9)}},
		{Name: "UAF, which no page can ask for"},
		{AAGUID: model(2), Name: "Beta"},
	}})
	known := metadata
	c, err := authenticator.NewCatalogue(authenticator.Options{Keys: w.Keys, Metadata: func() *mds.Snapshot { return known }, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	list := func(req listing.Request) (names []string, next string) {
		t.Helper()
		page, err := c.List(t.Context(), acme, req)
		if err != nil {
			t.Fatalf("List(%+v): %v", req, err)
		}
		for _, m := range page.Items {
			names = append(names, m.Name)
		}
		return names, page.NextToken
	}
	for _, tt := range []struct {
		filter string
		want   []string
	}{
		{"", []string{"Old U2F key", "Alpha Key Bio", "Beta", "Gamma", "Delta key"}},
		{"certification >= FIDO_CERTIFIED_L1", []string{"Alpha Key Bio", "Delta key"}}, // Gamma has lost its own
		{"certification = FIDO_CERTIFIED_L1", []string{"Alpha Key Bio"}},
		{`certification = ""`, []string{"Beta", "Gamma"}},
		{"status = REVOKED", []string{"Gamma"}}, // Alpha's is not in force yet
		{"status = FIDO_CERTIFIED_L3", []string{"Gamma"}},
		{`name = "*KEY*"`, []string{"Old U2F key", "Alpha Key Bio", "Delta key"}},
		{`name = "*key"`, []string{"Old U2F key", "Delta key"}},
		{`name = "alpha*"`, []string{"Alpha Key Bio"}},
		{`name = "*"`, []string{"Old U2F key", "Alpha Key Bio", "Beta", "Gamma", "Delta key"}},
		{"name = beta", []string{"Beta"}},
		{"name = bet", nil},
		{`name = "*key*" AND certification >= FIDO_CERTIFIED_L2`, []string{"Delta key"}},
	} {
		if got, next := list(listing.Request{Filter: tt.filter}); !cmp.Equal(got, tt.want) || next != "" {
			t.Errorf("%q: %v, want %v", tt.filter, got, tt.want)
		}
	}
	for _, filter := range []string{"certification >= FIDO", "certification != FIDO_CERTIFIED", "status >= REVOKED", "name != Beta", "aaguid = x"} {
		if _, err := c.List(t.Context(), acme, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("%q: %v, want ErrFilter", filter, err)
		}
	}

	first, token := list(listing.Request{PageSize: 2})
	second, more := list(listing.Request{PageSize: 2, PageToken: token})
	third, last := list(listing.Request{PageSize: 2, PageToken: more})
	if got := append(append(first, second...), third...); len(first) != 2 || len(second) != 2 || last != "" ||
		!cmp.Equal(got, []string{"Old U2F key", "Alpha Key Bio", "Beta", "Gamma", "Delta key"}) {
		t.Errorf("pages: %v, %v, %v", first, second, third)
	}
	if _, err := c.List(t.Context(), globex, listing.Request{PageToken: token}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another tenant's token: %v", err)
	}
	if _, err := c.List(t.Context(), acme, listing.Request{PageToken: token, Filter: "name = beta"}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another filter's token: %v", err)
	}
	if m, ok := c.Lookup(model(3)); !ok || m.Certification != "" || !cmp.Equal(m.Reports, []string{"REVOKED"}) {
		t.Errorf("Lookup = %+v, %v", m, ok)
	}
	if _, ok := c.Lookup(uuid.Nil); ok {
		t.Error("the zero AAGUID is a model's")
	}
	known = nil
	if got, next := list(listing.Request{}); got != nil || next != "" {
		t.Errorf("without metadata: %v", got)
	}
	if _, ok := c.Lookup(model(3)); ok {
		t.Error("without metadata there is a model")
	}
}
