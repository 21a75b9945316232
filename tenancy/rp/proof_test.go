package rp_test

import (
	"net/http"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
	"github.com/biocore-id/biocore/tenancy/rp"
)

// Each way alone is judged as it is, and neither takes what is published for another token.
func TestProbe(t *testing.T) {
	net := fetchtest.New(t)
	p := rp.NewProber(rp.ProberOptions{Fetch: fetch.New(net.Options()), Resolver: net.Resolver()})
	mine, theirs := rp.Challenge{RPID: "bank.example", Token: "mine"}, rp.Challenge{RPID: "bank.example", Token: "theirs"}
	if mine.DNSName() != "_biocore-challenge.bank.example" || mine.Text() != "biocore-domain-verification=mine" ||
		mine.FileURL() != "https://bank.example/.well-known/biocore-domain-verification" {
		t.Fatalf("what is published: %q %q %q", mine.DNSName(), mine.Text(), mine.FileURL())
	}
	page := func(fn http.HandlerFunc) { net.Page("bank.example", rp.ProofPath, fn) }
	want := func(name string, dns, file rp.Reason) {
		t.Helper()
		found, err := p.Probe(t.Context(), mine)
		if err != nil || found[0].Reason != dns || found[1].Reason != file {
			t.Errorf("%s: %+v, %v; want %q, %q", name, found, err, dns, file)
		}
	}
	want("nothing at all", rp.TXTMissing, rp.FileUnreachable)
	net.TXT(mine.DNSName(), "v=spf1 -all")
	page(func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	want("something else", rp.TXTMissing, rp.FileMissing)
	net.TXT(mine.DNSName(), theirs.Text())
	page(fetchtest.Text(theirs.Text()))
	want("another tenant's", rp.TXTDifferent, rp.FileDifferent)
	net.TXT(mine.DNSName(), mine.Text()+"x")
	page(fetchtest.Text("<p>" + mine.Text() + "</p>"))
	want("something like it", rp.TXTDifferent, rp.FileDifferent)
	net.TXT(mine.DNSName(), theirs.Text(), mine.Text())
	want("by DNS, beside another tenant's", "", rp.FileDifferent)
	page(fetchtest.Text(theirs.Text() + "\r\n" + mine.Text() + "\n"))
	want("both ways", "", "")
	net.TXT(mine.DNSName())
	want("by the file", rp.TXTMissing, "")
	net.Page("elsewhere.example", "/", fetchtest.Text(mine.Text()))
	page(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	})
	want("a redirect shows another's domain", rp.TXTMissing, rp.FileRedirected)
	net.Down(true)
	want("no name server", rp.TXTUnreadable, rp.FileUnreachable)
}
