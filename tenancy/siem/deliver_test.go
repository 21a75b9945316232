package siem_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// Each protocol against a receiver that reads it by its specification.
func TestDelivery(t *testing.T) {
	w := newWorks(t)
	for _, kind := range siem.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			r, req := newReceiver(t, w, kind)
			s := w.create(t, req)
			w.log(t, 7)
			w.deliver(t, s.ID)
			checkArrivals(t, r.got(), s.NextSeq, w.size(t)-1)
			if got := w.get(t, s.ID); got.Sent != int64(len(r.got())) || got.LastSuccessAt == nil || got.Oldest != nil || got.NextSeq != w.size(t) {
				t.Errorf("stream = %+v", got)
			}
			tested, err := w.Test(t.Context(), w.acme, s.ID, "does it work")
			if err != nil || !tested.Delivered || tested.Error != "" {
				t.Errorf("Test = %+v, %v", tested, err)
			}
			if last := r.events[len(r.events)-1]; last["id"] != tested.EventID.String() || last["action"] != "logstream.test" || last["seq"] != nil {
				t.Errorf("test event = %v", last)
			}
		})
	}
}

var errKilled = errors.New("killed")

// Through refusals, broken connections and workers that are killed in any step, every entry arrives, and the
// first arrivals are in the order of the log. A cursor that is moved before the sink has acknowledged turns
// this red, as does one that is moved by a delivery that has lost its lease.
func TestAtLeastOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range siem.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorks(t)
			r, req := newReceiver(t, w, kind)
			s := w.create(t, req)
			const seed = 20261130
			r.flaky(seed)
			chance := rand.New(rand.NewPCG(seed, 2))
			kills := 0
			w.OnStep(func(string) error {
				if chance.IntN(5) == 0 {
					kills++
					panic(errKilled) // as kill -9: nothing is given back
				}
				return nil
			})
			w.Lease(time.Nanosecond) // what a killed worker holds is free at once
			for range 25 {
				w.log(t, 1+chance.IntN(5))
				w.turn(t, s)
			}
			r.steady()
			w.OnStep(nil)
			w.Lease(time.Minute)
			w.deliver(t, s.ID)
			checkArrivals(t, r.got(), s.NextSeq, w.size(t)-1)
			got := w.get(t, s.ID)
			if kills < 5 || got.LastError == "" {
				t.Errorf("%d kills, last error %q: this has shown nothing", kills, got.LastError)
			}
			t.Logf("%d entries, %d arrivals, %d kills", w.size(t)-s.NextSeq, len(r.got()), kills)
		})
	}
}

// What was removed from the log before a stream came to it is told as missed, and the stream goes on behind it.
func TestArchivedBeforeItWasSent(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.HTTPS)
	s := w.create(t, req)
	w.log(t, 9)
	if _, err := w.store.Superuser(t).Exec(t.Context(), "DELETE FROM audit_entries WHERE tenant_id = $1 AND seq >= $2 AND seq < $2 + 4", w.acme.Tenant(), s.NextSeq); err != nil {
		t.Fatal(err)
	}
	w.deliver(t, s.ID)
	checkArrivals(t, r.got(), s.NextSeq+4, w.size(t)-1)
	if got := w.get(t, s.ID); got.Missed != 4 || got.Sent != int64(len(r.got())) || got.NextSeq != w.size(t) {
		t.Errorf("missed %d, sent %d, next %d", got.Missed, got.Sent, got.NextSeq)
	}
}

// turn is one delivery, which may be killed or refused.
func (w *works) turn(t *testing.T, s siem.Sink) {
	t.Helper()
	defer func() {
		if what := recover(); what != nil && what != any(errKilled) {
			panic(what)
		}
	}()
	var f *siem.SinkError
	if err := w.Deliver(t.Context(), w.acme, s.ID); err != nil && !errors.As(err, &f) {
		t.Errorf("Deliver = %v", err)
	}
}

// While one server delivers, another does not. The lease taken out of ClaimSink turns it red.
func TestOneServerAtATime(t *testing.T) {
	w := newWorks(t)
	inside, leave := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	w.net.Page("siem.example", "/in", func(http.ResponseWriter, *http.Request) {
		if calls.Add(1) == 1 {
			inside <- struct{}{}
			<-leave
		}
	})
	s := w.create(t, w.https("one"))
	w.log(t, 3)
	var first sync.WaitGroup
	first.Go(func() {
		if err := w.Deliver(t.Context(), w.acme, s.ID); err != nil {
			t.Error(err)
		}
	})
	<-inside
	second := w.server(w.store.Replica(t), w.options())
	if err := second.Deliver(t.Context(), w.acme, s.ID); err != nil || calls.Load() != 1 {
		t.Errorf("the other server: %v, %d calls", err, calls.Load())
	}
	close(leave)
	first.Wait()
	w.log(t, 1)
	if err := second.Deliver(t.Context(), w.acme, s.ID); err != nil || calls.Load() != 2 { // it is free again
		t.Errorf("the other server, afterwards: %v, %d calls", err, calls.Load())
	}
}

// A stream that is changed while it delivers is not moved by what was before.
func TestChangeWhileDelivering(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.HTTPS)
	s := w.create(t, req)
	w.log(t, 5)
	w.deliver(t, s.ID)
	w.log(t, 5)
	w.OnStep(func(at string) error {
		if at == "acknowledged" {
			w.OnStep(nil)
			first := s.NextSeq
			if _, err := w.Replay(t.Context(), w.acme, siem.ReplayRequest{ID: s.ID, Seq: &first, Reason: "again"}); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err := w.Deliver(t.Context(), w.acme, s.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.get(t, s.ID); got.NextSeq != s.NextSeq {
		t.Errorf("next = %d, want %d, where it was replayed from", got.NextSeq, s.NextSeq)
	}
	before := len(r.got())
	w.move(t)
	w.deliver(t, s.ID)
	checkArrivals(t, r.got()[before:], s.NextSeq, w.size(t)-1)
}

// A filter leaves out what it does not name, and the cursor goes on all the same.
func TestFilterAndRedaction(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.HTTPS)
	req.Actions, req.Outcomes = []string{"user.", "apikey.create"}, []audit.Outcome{audit.Success, audit.Denied}
	req.Redact = siem.Redactable()
	s := w.create(t, req)
	secretWords := "words-nobody-may-see"
	for _, action := range []string{"user.block", "users.export", "apikey.create", "apikey.createx", "session.revoke"} {
		for _, outcome := range []audit.Outcome{audit.Success, audit.Denied, audit.Failed} {
			w.write(t, audit.Entry{Action: action, Outcome: outcome, Reason: secretWords, Before: detail(attrText(secretWords)), After: detail(attrText(secretWords)), Detail: detail(attrText(secretWords))})
		}
	}
	w.deliver(t, s.ID)
	var got []string
	for _, e := range r.events {
		got = append(got, fmt.Sprint(e["action"], " ", e["outcome"]))
		for _, member := range []string{"reason", "before", "after", "detail", "address", "userAgent", "requestId", "traceId"} {
			if e[member] != nil {
				t.Errorf("%s is %v", member, e[member])
			}
		}
		if who, ok := e["actor"].(map[string]any); !ok || who["name"] != nil {
			t.Errorf("actor is %v", e["actor"])
		}
	}
	want := []string{"user.block success", "user.block denied", "apikey.create success", "apikey.create denied", "apikey.createx success", "apikey.createx denied"}
	if !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	for _, format := range siem.Formats() { // in no format does it show
		var body atomic.Value
		w.net.Page("siem.example", "/in", func(_ http.ResponseWriter, req *http.Request) {
			raw := httptest.NewRecorder()
			_, _ = raw.Body.ReadFrom(req.Body)
			body.Store(raw.Body.String())
		})
		first := s.NextSeq
		if _, err := w.Update(t.Context(), w.acme, siem.UpdateRequest{ID: s.ID, Format: &format}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Replay(t.Context(), w.acme, siem.ReplayRequest{ID: s.ID, Seq: &first}); err != nil {
			t.Fatal(err)
		}
		w.move(t)
		w.deliver(t, s.ID)
		text, _ := body.Load().(string)
		for _, hidden := range []string{secretWords, "Ana", "192.0.2.7", "Browser/1", `"r1"`, "0af7651916cd43dd8448eb211c80319c"} {
			if strings.Contains(text, hidden) || !strings.Contains(text, "user.block") {
				t.Errorf("%s shows %q:\n%s", format, hidden, text)
			}
		}
	}
}

// A sink that hangs holds up nobody: neither other streams nor the end of the server.
func TestRun(t *testing.T) {
	w := newWorks(t)
	hang := make(chan struct{})
	w.net.Page("dead.example", "/in", func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-hang:
		case <-req.Context().Done():
		}
	})
	defer close(hang)
	dead := w.https("dead")
	dead.Address = w.url("dead.example", "/in")
	hanging := w.create(t, dead)
	r, req := newReceiver(t, w, siem.HTTPS)
	arrived := make(chan struct{}, 100)
	w.net.Page("siem.example", "/in", func(rw http.ResponseWriter, req *http.Request) {
		r.https(rw, req)
		arrived <- struct{}{}
	})
	s := w.create(t, req)
	w.log(t, 3)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	reach := func() {
		for len(r.got()) == 0 || r.got()[len(r.got())-1] < w.size(t)-1 {
			select {
			case <-arrived:
			case <-time.After(10 * time.Second):
				t.Fatal("nothing arrives")
			}
		}
	}
	reach()
	w.log(t, 1) // which is sent once the cursor has moved
	reach()
	stop()
	running.Wait()
	checkArrivals(t, r.got(), s.NextSeq, w.size(t)-1)
	if got := w.get(t, hanging.ID); got.NextSeq != hanging.NextSeq {
		t.Errorf("the hanging stream has moved to %d", got.NextSeq)
	}
	if st := w.Stats(); st.Sent == 0 || st.Active != 2 || st.Behind == 0 {
		t.Errorf("Stats = %+v", st)
	}
}

func TestPause(t *testing.T) {
	last := time.Duration(0)
	for n := range 40 {
		d := siem.Pause(n)
		if d < min(time.Second<<min(n, 20), 150*time.Second) || d > 5*time.Minute {
			t.Errorf("after %d failures: %s", n, d)
		}
		last = d
	}
	if last < 150*time.Second {
		t.Errorf("after many failures: %s", last)
	}
}

// A failing stream waits, and a success forgets it.
func TestBackoff(t *testing.T) {
	w := newWorks(t)
	var down atomic.Bool
	down.Store(true)
	calls := 0
	w.net.Page("siem.example", "/in", func(rw http.ResponseWriter, _ *http.Request) {
		calls++
		if down.Load() {
			rw.Header().Set("Retry-After", "3")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
	})
	w.Backoff(time.Hour, time.Hour)
	s := w.create(t, w.https("slow"))
	w.log(t, 1)
	w.refused(t, s.ID, "429 Too Many Requests")
	if got := w.get(t, s.ID); time.Until(*got.RetryAt) < 25*time.Minute {
		t.Errorf("tried again at %s", got.RetryAt)
	}
	if err := w.Deliver(t.Context(), w.acme, s.ID); err != nil || calls != 1 {
		t.Errorf("before it is due: %v, %d calls", err, calls)
	}
	down.Store(false)
	if _, err := w.Resume(t.Context(), w.acme, s.ID, "it is back"); err != nil { // at once
		t.Fatal(err)
	}
	w.move(t)
	w.deliver(t, s.ID)
	if got := w.get(t, s.ID); got.Failures != 0 || got.LastError == "" {
		t.Errorf("after a success: %d failures, %q", got.Failures, got.LastError)
	}
}
