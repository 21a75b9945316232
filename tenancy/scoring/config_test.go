package scoring_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

// An error proposes the nearest of the fields: each is one of them.
func TestFields(t *testing.T) {
	var tags []string
	for f := range reflect.TypeFor[scoring.Config]().Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		tags = append(tags, tag)
	}
	if diff := cmp.Diff(tags, scoring.Fields()); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	ca := fetchtest.New(t).CA()
	for _, tt := range []struct {
		name, config string
		want         string // fields
	}{
		{"ThreatMetrix", `{"kind":"THREATMETRIX","address":"https://h.example","organization":"4en6ll2s","policy":"login"}`, ""},
		{"Feedzai", `{"kind":"FEEDZAI","address":"https://risk.example:8443/api/","maxScore":100,"timeoutMillis":2000}`, ""},
		{"a network of the operator's", `{"kind":"FEEDZAI","address":"https://10.1.2.3"}`, ""},
		{"nothing", `{}`, "kind address"},
		{"everything", `{"kind":"FEEDZAI","address":"http://x","organization":"o","policy":"p","maxScore":-1,"timeoutMillis":49,"caCertificates":"x"}`, "address organization policy maxScore timeoutMillis caCertificates"},
		{"ThreatMetrix without", `{"kind":"THREATMETRIX","address":"https://h.example","policy":"a b","maxScore":5,"timeoutMillis":2001}`, "organization policy maxScore timeoutMillis"},
		{"a password", `{"kind":"FEEDZAI","address":"https://u:p@risk.example"}`, "address"},
		{"a query", `{"kind":"FEEDZAI","address":"https://risk.example/?api_key=1"}`, "address"},
		{"a fragment", `{"kind":"FEEDZAI","address":"https://risk.example/#x"}`, "address"},
		{"loopback", `{"kind":"FEEDZAI","address":"https://127.0.0.1"}`, "address"},
		{"metadata", `{"kind":"FEEDZAI","address":"https://169.254.169.254"}`, "address"},
		{"mapped", `{"kind":"FEEDZAI","address":"https://[::ffff:127.0.0.1]"}`, "address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c scoring.Config
			if err := json.Unmarshal([]byte(tt.config), &c); err != nil {
				t.Fatal(err)
			}
			var fields []string
			for _, p := range c.Check([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}) {
				fields = append(fields, p.Field)
				if p.Text == "" {
					t.Errorf("%s says nothing", p.Field)
				}
			}
			if got := strings.Join(fields, " "); got != tt.want {
				t.Errorf("Check = %q, want %q", got, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name, text string
		good       bool
	}{
		{"one", ca, true}, {"two", ca + "\n" + ca, true}, {"a key", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", false}, {"something after", ca + "x", false},
		{"too long", strings.Repeat(ca, 100), false},
	} {
		c := scoring.Config{Kind: scoring.Feedzai, Address: "https://risk.example", CACertificates: tt.text}
		if got := c.Check(nil); (len(got) == 0) != tt.good {
			t.Errorf("certificates, %s: %v", tt.name, got)
		}
	}
	for text, good := range map[string]bool{"x": true, "": false, "a b": false, "a\nb": false, "é": false, strings.Repeat("x", 4097): false} {
		if err := scoring.CheckCredential(text); (err == nil) != good {
			t.Errorf("CheckCredential(%.10q) = %v", text, err)
		}
	}
	if _, err := scoring.New(scoring.Options{}); err == nil {
		t.Error("New takes nothing")
	}
	if _, err := scoring.New(scoring.Options{Config: scoring.Config{Kind: scoring.Feedzai, Address: "https://risk.example"}}); err == nil {
		t.Error("New takes no credential")
	}
}
