package siem_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/siem"
)

// SECURITY 24: a sink that is not of the public Internet is never dialed, however its name gets there. The
// look at the address taken out of the dialer turns each case red: a receiver is there, and takes it.
func TestForbiddenSinks(t *testing.T) {
	w := newWorks(t)
	o := w.options()
	o.Allowed = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	strict := w.server(w.store.Store, o)
	for _, kind := range siem.Kinds() {
		r, req := newReceiver(t, w, kind)
		s := w.create(t, req)
		w.log(t, 1)
		var f *siem.SinkError
		if err := strict.Deliver(t.Context(), w.acme, s.ID); !errors.As(err, &f) || !strings.Contains(f.Text, "not of the public Internet") {
			t.Errorf("%s: %v", kind, err)
		}
		if tested, err := strict.Test(t.Context(), w.acme, s.ID, ""); err != nil || tested.Delivered || !strings.Contains(tested.Error, "not of the public Internet") {
			t.Errorf("%s: Test = %+v, %v", kind, tested, err)
		}
		w.deliver(t, s.ID) // where it is allowed, it arrives
		if len(r.got()) == 0 {
			t.Errorf("%s: the receiver was not there", kind)
		}
		// The name leads elsewhere the next time.
		for _, inner := range []string{"127.0.0.2", "169.254.169.254", "192.168.1.1", "::1"} {
			w.net.Host(strings.TrimPrefix(strings.Split(strings.TrimPrefix(req.Address, "https://"), ":")[0], "//"), inner)
			w.log(t, 1)
			w.refused(t, s.ID, "not of the public Internet")
		}
	}
	// What is written out is refused at once.
	for _, address := range []string{
		"127.0.0.2", "10.1.2.3", "169.254.169.254", "192.168.1.1", "[::1]", "[::ffff:127.0.0.1]", "[fd00:ec2::254]", "0.0.0.0",
	} {
		if _, err := siem.CheckAddress(siem.HTTPS, "https://"+address+"/in"); !errors.Is(err, siem.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
		if _, err := siem.CheckAddress(siem.Syslog, address+":6514"); !errors.Is(err, siem.ErrAddress) {
			t.Errorf("syslog %s: %v", address, err)
		}
	}
	for kind, address := range map[siem.Kind]string{siem.HTTPS: "https://8.8.8.8/in?a=b", siem.Splunk: "https://Splunk.example:8088/", siem.Syslog: "Logs.example:6514"} {
		if got, err := siem.CheckAddress(kind, address); err != nil || got == "" {
			t.Errorf("%s %s: %v", kind, address, err)
		}
	}
}

// Sinks that lie, stall and babble: bounded, told in our words, and the cursor stays.
func TestLyingSinks(t *testing.T) {
	w := newWorks(t)
	say := func(status int, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(body))
		}
	}
	stall := func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // from here on it is seen that the other side goes
		<-req.Context().Done()
	}
	drip := func(rw http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		for req.Context().Err() == nil {
			_, _ = rw.Write([]byte(" "))
			_ = http.NewResponseController(rw).Flush()
			select {
			case <-req.Context().Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	strangers := func(rw http.ResponseWriter, req *http.Request) {
		z, _ := gzip.NewReader(req.Body)
		raw, _ := io.ReadAll(z)
		items := strings.TrimSuffix(strings.Repeat(`{"create":{"_id":"x","status":201}},`, strings.Count(string(raw), "\n")/2), ",")
		_, _ = fmt.Fprintf(rw, `{"errors":false,"items":[%s]}`, items)
	}
	for i, tt := range []struct {
		name string
		kind siem.Kind
		fn   http.HandlerFunc
		want string
	}{
		{"a redirect", siem.HTTPS, func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, w.url("siem.example", "/other"), http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		{"an oversized answer", siem.HTTPS, say(200, strings.Repeat("x", 65<<10)), "larger than 64 KiB"},
		{"no answer", siem.HTTPS, stall, "did not answer in time"},
		{"an answer without end", siem.HTTPS, drip, "did not answer in time"},
		{"Splunk: an error behind 200", siem.Splunk, say(200, `{"text":"Server is busy","code":9}`), "code 9: Splunk says that it is busy"},
		{"Splunk: a page", siem.Splunk, say(200, "<html>"), "is it Splunk's collector"},
		{"Splunk: a number", siem.Splunk, say(200, `{"text":"Success"}`), "is it Splunk's collector"},
		{"Splunk: no acknowledgment", siem.Splunk, say(200, `{"code":0}`), "has indexer acknowledgment off"},
		{"Splunk: a token it does not know", siem.Splunk, say(403, `{"text":"Invalid token","code":4}`), "403 Forbidden: Splunk says that it does not know the token"},
		{"Splunk: acknowledged never", siem.Splunk, say(200, `{"code":0,"ackId":7,"acks":{"7":false}}`), "did not acknowledge"},
		{"Elasticsearch: a page", siem.Elasticsearch, say(200, "<html>"), "is it Elasticsearch"},
		{"Elasticsearch: fewer items", siem.Elasticsearch, say(200, `{"errors":false,"items":[]}`), "what became of each event"},
		{"Elasticsearch: others' items", siem.Elasticsearch, strangers, "other events than were sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host := fmt.Sprintf("lying%d.example", i)
			req := siem.CreateRequest{Config: siem.Config{Name: tt.name, Kind: tt.kind, Format: siem.JSON, Address: w.url(host, ""), Acknowledge: tt.kind == siem.Splunk}, Credential: "token"}
			switch tt.kind {
			case siem.HTTPS:
				req.Address, req.Credential = w.url(host, "/in"), secret
				w.net.Page(host, "/in", tt.fn)
			case siem.Splunk:
				w.net.Page(host, "/services/collector/event", tt.fn)
				w.net.Page(host, "/services/collector/ack", tt.fn)
			default:
				req.Index = "logs"
				w.net.Page(host, "/logs/_bulk", tt.fn)
			}
			s := w.create(t, req)
			w.log(t, 1)
			w.refused(t, s.ID, tt.want)
			if got := w.get(t, s.ID); got.NextSeq != s.NextSeq || got.Sent != 0 {
				t.Errorf("the cursor has moved: %+v", got)
			}
			if err := w.Service.Delete(t.Context(), w.acme, s.ID, "", ""); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A certificate of nobody that the stream trusts, and the stream's own CA.
func TestCertificates(t *testing.T) {
	w := newWorks(t)
	o := w.options()
	o.Roots = nil // the system's
	strict := w.server(w.store.Store, o)
	for _, kind := range []siem.Kind{siem.HTTPS, siem.Syslog} {
		r, req := newReceiver(t, w, kind)
		s := w.create(t, req)
		w.log(t, 1)
		var f *siem.SinkError
		if err := strict.Deliver(t.Context(), w.acme, s.ID); !errors.As(err, &f) || !strings.Contains(f.Text, "certificate") {
			t.Errorf("%s: %v", kind, err)
		}
		ca := w.net.CA()
		if _, err := w.Update(t.Context(), w.acme, siem.UpdateRequest{ID: s.ID, CACertificates: &ca}); err != nil {
			t.Fatal(err)
		}
		if err := strict.Deliver(t.Context(), w.acme, s.ID); err != nil || len(r.got()) == 0 {
			t.Errorf("%s with its own CA: %v", kind, err)
		}
	}
}
