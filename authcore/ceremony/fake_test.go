package ceremony_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
)

// SECURITY 10: who is a customer cannot be asked.

func external(id string) ceremony.BeginAuthenticationRequest {
	return ceremony.BeginAuthenticationRequest{ExternalID: id}
}

func allowedOf(begun ceremony.BegunAuthentication) (ids []string) {
	for _, d := range begun.Options.AllowCredentials {
		ids = append(ids, string(d.ID))
	}
	return ids
}

// shape is the answer without its values: names and types, and the length of strings
// that are not credential IDs.
func shape(t *testing.T, begun ceremony.BegunAuthentication) string {
	t.Helper()
	text, err := json.Marshal(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, value := range members {
		names = append(names, fmt.Sprintf("%s %T", name, value))
	}
	listed, _ := members["allowCredentials"].([]any)
	for _, c := range listed {
		var inner []string
		of, _ := c.(map[string]any)
		for name, value := range of {
			inner = append(inner, fmt.Sprintf("%s %T", name, value))
		}
		slices.Sort(inner)
		names = append(names, strings.Join(inner, ","))
	}
	slices.Sort(names)
	return fmt.Sprint(slices.Compact(names), len(begun.ID), len(begun.Options.Challenge), begun.Options.UserVerification, begun.Options.Timeout)
}

func TestUnknownPeopleLookLikeOthers(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	p := profile()
	w.enrollAs(t, acme, phone(t), p)
	without, err := w.users.Create(t.Context(), acme, *profile(), user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	genuine := shape(t, w.beginWith(t, acme, external(p.ExternalID)))
	for name, req := range map[string]ceremony.BeginAuthenticationRequest{
		"an unknown external id":     external("nobody"),
		"an unknown id":              {UserID: "0193a7d2-5b1e-7000-8000-000000000000"},
		"what is no id":              {UserID: "ada"},
		"a user without credentials": external(without.ExternalID),
		"and by id":                  {UserID: without.ID.String()},
		"a name with a NUL":          external("a\x00b"),
		"a name that is not UTF-8":   external("\xff"),
		"an injection":               external("' OR 1=1 --"),
	} {
		t.Run(name, func(t *testing.T) {
			begun := w.beginWith(t, acme, req)
			if got := shape(t, begun); got != genuine {
				t.Errorf("answer is\n%s, a real user's is\n%s", got, genuine)
			}
			if n := len(begun.Options.AllowCredentials); n < 1 || n > 3 {
				t.Errorf("%d credentials", n)
			}
			if again := w.beginWith(t, acme, req); !slices.Equal(allowedOf(again), allowedOf(begun)) {
				t.Error("asked again, the credentials are others")
			}
			if there := w.replica(t).beginWith(t, acme, req); !slices.Equal(allowedOf(there), allowedOf(begun)) {
				t.Error("another server shows other credentials")
			}
			if theirs := w.beginWith(t, globex, req); slices.Equal(allowedOf(theirs), allowedOf(begun)) {
				t.Error("another tenant shows the same credentials")
			}
		})
	}
	t.Run("a user who was unknown a moment ago", func(t *testing.T) {
		p := profile()
		before := allowedOf(w.beginWith(t, acme, external(p.ExternalID)))
		if _, err := w.users.Create(t.Context(), acme, *p, user.Contact{}); err != nil {
			t.Fatal(err)
		}
		if after := allowedOf(w.beginWith(t, acme, external(p.ExternalID))); !slices.Equal(before, after) {
			t.Error("that the user was created can be seen")
		}
	})
	t.Run("names do not share credentials, and lists vary", func(t *testing.T) {
		seen, lengths := map[string]bool{}, map[string]int{}
		for i := range 300 {
			begun := w.beginWith(t, acme, external(fmt.Sprint("nobody-", i)))
			for _, d := range begun.Options.AllowCredentials {
				if seen[string(d.ID)] || seen[string(d.ID[:8])] {
					t.Fatal("a made-up credential came twice")
				}
				seen[string(d.ID)], seen[string(d.ID[:8])] = true, true
				lengths[fmt.Sprint(len(d.ID), d.Transports)]++
			}
			lengths[fmt.Sprint("list of ", len(begun.Options.AllowCredentials))]++
		}
		if len(lengths) != 8 { // five shapes, lists of one to three
			t.Errorf("shapes: %v", lengths)
		}
	})
}

// outcome is how a finish ends, as a client sees it.
func outcome(err error) string { return fmt.Sprintf("%T %v", errors.Unwrap(err), err) }

// A finish with a made-up credential and one with a real credential and a wrong key
// end alike, in every kind of sign-in.
func TestFakesFailAsWrongSignaturesDo(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	p := profile()
	a, stranger := phone(t), phone(t)
	genuine := w.enrollAs(t, acme, a, p).Credential.ID.Bytes()
	w.enroll(t, acme, stranger)
	fakes := w.beginWith(t, acme, external("nobody")).Options.AllowCredentials

	// The attacker signs with a key of his own, and names the credential.
	attack := func(begun ceremony.BegunAuthentication, id []byte) error {
		begun.Options.AllowCredentials = nil
		_, err := w.finish(t, acme, begun, get(t, stranger, begun, authenticatortest.Deviation{
			CredentialID: id, WrongKey: true, UserHandle: []byte("whoever"),
		}))
		return err
	}
	for _, fake := range fakes {
		for _, tt := range []struct {
			name                 string
			realBegun, fakeBegun ceremony.BegunAuthentication
			realID, fakeID       []byte
			want                 error
		}{
			{"for that person", w.beginWith(t, acme, external(p.ExternalID)), w.beginWith(t, acme, external("nobody")), genuine, fake.ID, webauthn.ErrSignature},
			{"discoverable", w.begin(t, acme), w.begin(t, acme), genuine, fake.ID, webauthn.ErrSignature},
			{"for another person", w.beginWith(t, acme, external("nobody")), w.beginWith(t, acme, external(p.ExternalID)), genuine, fake.ID, webauthn.ErrCredentialNotAllowed},
			{"for another unknown person", w.beginWith(t, acme, external("nobody else")), w.beginWith(t, acme, external("nobody else")), genuine, fake.ID, webauthn.ErrCredentialNotAllowed},
		} {
			t.Run(tt.name, func(t *testing.T) {
				ofReal, ofFake := attack(tt.realBegun, tt.realID), attack(tt.fakeBegun, tt.fakeID)
				wantErr(t, "a real credential", ofReal, tt.want)
				wantErr(t, "a made-up credential", ofFake, tt.want)
				if outcome(ofReal) != outcome(ofFake) {
					t.Errorf("they differ: %q and %q", outcome(ofReal), outcome(ofFake))
				}
			})
		}
	}
	t.Run("a fake that is not ours is unknown", func(t *testing.T) {
		changed := slices.Clone(fakes[0].ID)
		changed[len(changed)-1] ^= 1
		wantErr(t, "a changed one", attack(w.begin(t, acme), changed), credential.ErrNotFound)
		globex := w.tenant(t)
		begun := w.begin(t, globex)
		_, err := w.finish(t, globex, begun, get(t, stranger, begun, authenticatortest.Deviation{CredentialID: fakes[0].ID}))
		wantErr(t, "another tenant's", err, credential.ErrNotFound)
	})
}

// statements counts what Postgres is asked for a tenant. The change feed, which asks
// all the time, has another role.
type statements struct{ n atomic.Int64 }

func (s *statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if conn.Config().User == db.RoleApp {
		s.n.Add(1)
	}
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// The same work for everybody: as many statements, first and later. And none at all
// for the sign-in that most people use.
func TestBeginAndFinishAskPostgresAlike(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	p := profile()
	a := phone(t)
	genuine := w.enrollAs(t, acme, a, p).Credential.ID.Bytes()
	fake := w.beginWith(t, acme, external("nobody")).Options.AllowCredentials[0].ID

	count := &statements{}
	o := w.db.Options()
	o.Tracer = count
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s := w.on(t, store)
	runUntilFresh(t, store)
	s.begin(t, acme) // the tenant and its keys are cached now

	asked := func(fn func()) int64 {
		before := count.n.Load()
		fn()
		return count.n.Load() - before
	}
	if n := asked(func() { s.begin(t, acme) }); n != 0 {
		t.Errorf("a discoverable sign-in asks Postgres %d times to begin, want never", n)
	}
	ofReal := asked(func() { s.beginWith(t, acme, external(p.ExternalID)) })
	ofFake := asked(func() { s.beginWith(t, acme, external("nobody")) })
	if ofReal != ofFake {
		t.Errorf("begin asks %d times for a real person and %d for an unknown one", ofReal, ofFake)
	}
	finish := func(req ceremony.BeginAuthenticationRequest, id []byte) int64 {
		begun := s.beginWith(t, acme, req)
		begun.Options.AllowCredentials = nil
		resp := get(t, a, begun, authenticatortest.Deviation{WrongKey: true, CredentialID: id})
		return asked(func() {
			_, err := s.finish(t, acme, begun, resp)
			wantErr(t, "finish", err, webauthn.ErrSignature)
		})
	}
	for _, when := range []string{"first", "later"} {
		ofReal, ofFake := finish(external(p.ExternalID), genuine), finish(external("nobody"), fake)
		if ofReal != ofFake {
			t.Errorf("the %s finish asks %d times for a real credential and %d for a made-up one", when, ofReal, ofFake)
		}
	}
}
