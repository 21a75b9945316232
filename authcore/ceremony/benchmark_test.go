package ceremony_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func BenchmarkBeginAuthentication(b *testing.B) {
	w := newWorld(b)
	acme := w.tenant(b)
	w.begin(b, acme)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.BeginAuthentication(b.Context(), acme, ceremony.BeginAuthenticationRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}

// Finishes of 20 tenants in a closed loop, without the begins and without the
// authenticators' own work, which are done before the clock runs.
func BenchmarkFinishAuthentication(b *testing.B) {
	w := newWorld(b)
	type answer struct {
		sc  scope.Scope
		req ceremony.FinishAuthenticationRequest
	}
	type person struct {
		sc scope.Scope
		a  *authenticatortest.Authenticator
	}
	var people []person
	for range 20 {
		sc := w.tenant(b)
		for range 5 {
			p := person{sc, authenticator(b, authenticatortest.Options{NoCounter: true})}
			w.enroll(b, sc, p.a)
			people = append(people, p)
		}
	}
	prepare := func(n int) []answer {
		out := make([]answer, n)
		for i := range out {
			p := people[i%len(people)]
			begun := w.begin(b, p.sc)
			out[i] = answer{p.sc, ceremony.FinishAuthenticationRequest{ID: begun.ID, Response: get(b, p.a, begun, authenticatortest.Deviation{})}}
		}
		return out
	}
	for _, workers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			before := w.store.SignInStats()
			answers := make(chan answer, b.N)
			for _, a := range prepare(b.N) {
				answers <- a
			}
			close(answers)
			done := make(chan error, workers)
			b.ReportAllocs()
			b.ResetTimer()
			for range workers {
				go func() {
					var failed error
					for a := range answers {
						if got, err := w.FinishAuthentication(b.Context(), a.sc, a.req); err != nil || got.Tokens == nil {
							failed = fmt.Errorf("finish = %+v, %w", got, err)
						}
					}
					done <- failed
				}()
			}
			for range workers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
			b.StopTimer()
			after := w.store.SignInStats()
			b.ReportMetric(float64(after.Rows-before.Rows)/float64(after.Batches-before.Batches), "rows/batch")
		})
	}
}

// The refusal of a wrong signature, which anybody can ask for: it writes nothing, once
// the minute's denials are recorded.
func BenchmarkRefusedSignature(b *testing.B) {
	w := newWorld(b)
	acme := w.tenant(b)
	a := phone(b)
	w.enroll(b, acme, a)
	begun := w.begin(b, acme)
	resp := get(b, a, begun, authenticatortest.Deviation{WrongKey: true})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.finish(b, acme, begun, resp); err == nil {
			b.Fatal("accepted")
		}
	}
}

// What a begin costs while nobody watches, while another tenant is watched, and while its
// own is: only the last may cost anything.
func BenchmarkBeginAuthenticationWatched(b *testing.B) {
	w := newWorld(b)
	acme, globex := w.tenant(b), w.tenant(b)
	for _, watched := range []struct {
		name string
		by   scope.Scope
	}{{"nobody", scope.Scope{}}, {"another", globex}, {"itself", acme}} {
		b.Run(watched.name, func(b *testing.B) {
			if !watched.by.IsZero() {
				st, err := w.tail.Open(b.Context(), watched.by, tail.Request{})
				if err != nil {
					b.Fatal(err)
				}
				defer st.Close(b.Context())
			}
			b.ReportAllocs()
			for b.Loop() {
				w.begin(b, acme)
			}
		})
	}
}

// What risk adds to a sign-in of somebody known: off, and scored with one round trip to Redis.
func BenchmarkFinishAuthenticationRisk(b *testing.B) {
	for _, mode := range []string{"OFF", "SHADOW"} {
		b.Run(mode, func(b *testing.B) {
			w := newWorld(b)
			settled := w.learns(b)
			acme := w.risky(b, `{"mode":"`+mode+`","rules":[{"id":"abroad","when":"newCountry && score > 30","then":"STEP_UP"}]}`)
			a := authenticator(b, authenticatortest.Options{NoCounter: true})
			w.enroll(b, acme, a)
			w.from(b, acme, a, berlin, firefox, nil)
			if mode != "OFF" {
				settled()
			}
			requests := make([]ceremony.FinishAuthenticationRequest, b.N)
			for i := range requests {
				begun := w.begin(b, acme)
				requests[i] = ceremony.FinishAuthenticationRequest{
					ID: begun.ID, Response: get(b, a, begun, authenticatortest.Deviation{}), Client: &ceremony.Client{Address: netip.MustParseAddr(berlin), UserAgent: firefox},
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range requests {
				if done, err := w.FinishAuthentication(b.Context(), acme, requests[i]); err != nil || done.Tokens == nil {
					b.Fatal(done, err)
				}
			}
		})
	}
}
