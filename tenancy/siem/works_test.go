package siem_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// secret signs requests to HTTPS sinks.
var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

// works is a tenant with a log, an Internet, and a service that may send to it.
type works struct {
	*siem.Service

	net   *fetchtest.Internet
	store *dbtest.Store
	kms   keys.KMS
	keys  *keys.Service
	trail *trail.Reader
	seq   *sequencer.Sequencer
	acme  scope.Scope
	other scope.Scope
}

func newWorks(t testing.TB) *works {
	t.Helper()
	w := &works{store: dbtest.Fresh(t), net: fetchtest.New(t)}
	w.acme, w.other = w.store.Tenant(t), w.store.Tenant(t)
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	w.kms = k
	w.keys = keys.New(keys.Options{Store: w.store.Store, KMS: k})
	for _, sc := range []scope.Scope{w.acme, w.other} {
		if err := w.keys.Ensure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}
	w.trail = trail.NewReader(w.store.Store, w.keys)
	w.seq = sequencer.New(sequencer.Options{Store: w.store.Store, Keys: w.keys, Host: "id.bank.example"})
	w.Service = w.server(w.store.Store, w.options())
	w.move(t) // what making the tenants has left
	return w
}

func (w *works) options() siem.Options {
	o := w.net.Options()
	return siem.Options{Keys: w.keys, Trail: w.trail, Allowed: o.Allowed, Resolver: o.Resolver, Roots: o.Roots, Host: "id.bank.example"}
}

// server is one server's service.
func (w *works) server(store *db.Store, o siem.Options) *siem.Service {
	o.Store = store
	s := siem.New(o)
	s.Quick()
	return s
}

// log commits n entries of acme's and moves them into its log.
func (w *works) log(t testing.TB, n int) {
	t.Helper()
	entries := make([]audit.Entry, n)
	for i := range entries {
		entries[i] = audit.Entry{Action: "user.update", Target: audit.Target{Kind: "user", ID: strconv.Itoa(i)}}
	}
	w.write(t, entries...)
}

// actor is who acts in these tests.
var actor = scope.Actor{Kind: scope.ActorOperator, ID: "0197a7d2-0000-7000-8000-00000000000a", Name: "Ana Ünal"}

func (w *works) write(t testing.TB, entries ...audit.Entry) {
	t.Helper()
	sc := w.acme.WithActor(actor).WithOrigin(scope.Origin{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Browser/1", RequestID: "r1", TraceID: "0af7651916cd43dd8448eb211c80319c"})
	if err := w.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		for _, e := range entries {
			if err := audit.Append(t.Context(), tx, e); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.move(t)
}

func (w *works) move(t testing.TB) {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = w.seq.Move(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *works) size(t testing.TB) int64 {
	t.Helper()
	size, err := w.trail.Size(t.Context(), w.acme)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// https is a stream to the web server of this Internet.
func (w *works) https(name string) siem.CreateRequest {
	return siem.CreateRequest{
		Config:     siem.Config{Name: name, Kind: siem.HTTPS, Format: siem.JSON, Address: w.url("siem.example", "/in")},
		Credential: secret,
	}
}

func (w *works) url(host, path string) string {
	return "https://" + host + ":" + strconv.Itoa(int(w.net.Port)) + path
}

// create makes a stream, and moves the entry that this leaves into the log.
func (w *works) create(t testing.TB, req siem.CreateRequest) siem.Sink {
	t.Helper()
	s, err := w.Create(t.Context(), w.acme.WithActor(actor), req)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	w.move(t)
	return s
}

func (w *works) get(t testing.TB, id uuid.UUID) siem.Sink {
	t.Helper()
	s, err := w.Get(t.Context(), w.acme, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// deliver runs deliveries until nothing is behind.
func (w *works) deliver(t testing.TB, id uuid.UUID) {
	t.Helper()
	if err := w.Deliver(t.Context(), w.acme, id); err != nil {
		t.Fatalf("Deliver: %v", err)
	}
	if s := w.get(t, id); s.Behind != 0 || s.State != siem.Active {
		t.Fatalf("after Deliver: %d behind, %s: %s", s.Behind, s.State, s.LastError)
	}
}

// refused runs a delivery that fails with a text.
func (w *works) refused(t testing.TB, id uuid.UUID, want string) {
	t.Helper()
	var f *siem.SinkError
	err := w.Deliver(t.Context(), w.acme, id)
	if !errors.As(err, &f) || !strings.Contains(f.Text, want) {
		t.Errorf("Deliver = %v, want a failure with %q", err, want)
		return
	}
	if s := w.get(t, id); s.State != siem.Failing || s.LastError != f.Text || s.RetryAt == nil || s.Failures == 0 {
		t.Errorf("stream = %s, %q", s.State, s.LastError)
	}
}

// checkArrivals is the oracle: from first to last every number has arrived, and the first arrivals of them are
// in order.
func checkArrivals(t *testing.T, seen []int64, first, last int64) {
	t.Helper()
	next := first
	for _, seq := range seen {
		switch {
		case seq == next:
			next++
		case seq > next:
			t.Fatalf("number %d has arrived before %d", seq, next)
		case seq < first:
			t.Fatalf("number %d has arrived, which is before the stream's beginning %d", seq, first)
		}
	}
	if next != last+1 {
		t.Errorf("arrived up to %d, want %d", next-1, last)
	}
}

// BenchmarkDeliver is one stream that catches up with a log, in batches of 500, over TLS to a sink that only reads: an operation is
// an entry, from its row to the cursor behind it.
func BenchmarkDeliver(b *testing.B) {
	for _, format := range siem.Formats() {
		b.Run(string(format), func(b *testing.B) {
			w := newWorks(b)
			var bytes atomic.Int64
			w.net.Page("siem.example", "/in", func(_ http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body)
				bytes.Add(n)
			})
			req := w.https("all")
			req.Format = format
			s := w.create(b, req)
			for left := b.N; left > 0; left -= 1000 {
				w.log(b, min(left, 1000))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for w.get(b, s.ID).Behind > 0 {
				if err := w.Deliver(b.Context(), w.acme, s.ID); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(bytes.Load())/float64(b.N), "wire-B/op")
		})
	}
}

func detail(attrs ...attr.Attr) []attr.Attr { return attrs }

func attrText(text string) attr.Attr { return attr.Text("words", text) }
