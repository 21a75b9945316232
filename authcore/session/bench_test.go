package session_test

import (
	"testing"

	"github.com/biocore-id/biocore/authcore/authcoretest"
)

// BenchmarkVerify is what a tenant's server pays for each of its requests, when it
// asks us: a signature to check, and once a second a row to read.
func BenchmarkVerify(b *testing.B) {
	w := authcoretest.New(b)
	acme := w.Tenant(b)
	_, tokens := w.SignIn(b, acme, w.Enroll(b, acme, w.User(b, acme), 1)[0])
	b.ReportAllocs()
	for b.Loop() {
		if v, err := w.Sessions.Verify(b.Context(), acme, tokens.Access); err != nil || !v.Active {
			b.Fatal(v.Active, err)
		}
	}
}

// BenchmarkRefresh is one transaction with its audit entry, and one signature.
func BenchmarkRefresh(b *testing.B) {
	w := authcoretest.New(b)
	acme := w.Tenant(b)
	_, tokens := w.SignIn(b, acme, w.Enroll(b, acme, w.User(b, acme), 1)[0])
	b.ReportAllocs()
	for b.Loop() {
		r, err := w.Sessions.Refresh(b.Context(), acme, tokens.Refresh)
		if err != nil {
			b.Fatal(err)
		}
		tokens = r.Tokens
	}
}
