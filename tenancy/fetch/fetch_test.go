package fetch_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
)

func TestGet(t *testing.T) {
	net := fetchtest.New(t)
	net.Page("bank.example", "/ok", fetchtest.Text("hello"))
	net.Page("bank.example", "/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://bank.example/ok", http.StatusFound)
	})
	net.Page("bank.example", "/large", fetchtest.Text(strings.Repeat("x", fetch.MaxBytes+1)))
	net.Page("bank.example", "/full", fetchtest.Text(strings.Repeat("x", fetch.MaxBytes)))
	net.Page("bank.example", "/asks", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie")+r.Header.Get("Authorization")+r.Header.Get("Referer") != "" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	net.Page("untrusted.example", "/", fetchtest.Text("hello"))
	c := fetch.New(net.Options())
	for _, tt := range []struct {
		name, host, path string
		status           int
		err              error
	}{
		{"a page", "bank.example", "/ok", 200, nil},
		{"no page", "bank.example", "/none", 404, nil},
		{"a redirect is not followed", "bank.example", "/moved", 302, nil},
		{"nothing of ours is sent", "bank.example", "/asks", 200, nil},
		{"as much as may be", "bank.example", "/full", 200, nil},
		{"a byte more", "bank.example", "/large", 0, fetch.ErrTooLarge},
		{"no such name", "nobody.example", "/", 0, fetch.ErrNoAddress},
		{"another's certificate", "untrusted.example", "/", 0, fetch.ErrCertificate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := c.Get(t.Context(), tt.host, tt.path)
			if !errors.Is(err, tt.err) || doc.Status != tt.status {
				t.Errorf("Get = %d, %v; want %d, %v", doc.Status, err, tt.status, tt.err)
			}
		})
	}
}

// SECURITY 24: an address that is not of the public Internet is never dialed, however the
// name gets to it. The look at the address taken out of the dialer turns each case red: the
// web server is there, and answers.
func TestForbiddenAddresses(t *testing.T) {
	net := fetchtest.New(t)
	net.Page("bank.example", "/", fetchtest.Text("an inner service"))
	o := net.Options()
	o.Allowed = nil
	c := fetch.New(o)
	if _, err := c.Get(t.Context(), "bank.example", "/"); !errors.Is(err, fetch.ErrForbiddenAddress) {
		t.Errorf("loopback: %v", err)
	}
	for _, address := range []string{
		"127.0.0.2", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "fe80::1", "fd00:ec2::254", "fec0::1", "ff02::1",
	} {
		net.Host("evil.example", address)
		if _, err := c.Get(t.Context(), "evil.example", "/"); !errors.Is(err, fetch.ErrForbiddenAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	// What a URL can say beside a name reaches nothing either: domains alone are asked.
	for _, host := range []string{"127.0.0.1", "2130706433", "0x7f000001", "localhost"} {
		if doc, err := c.Get(t.Context(), host, "/"); err == nil {
			t.Errorf("%s answered %d", host, doc.Status)
		}
	}
}

func TestAllowedNetworks(t *testing.T) {
	net := fetchtest.New(t)
	net.Page("inner.example", "/", fetchtest.Text("hello"))
	o := net.Options()
	o.Allowed = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if _, err := fetch.New(o).Get(t.Context(), "inner.example", "/"); !errors.Is(err, fetch.ErrForbiddenAddress) {
		t.Errorf("another network's: %v", err)
	}
	if doc, err := fetch.New(net.Options()).Get(t.Context(), "inner.example", "/"); err != nil || string(doc.Body) != "hello" {
		t.Errorf("its own: %q, %v", doc.Body, err)
	}
}
