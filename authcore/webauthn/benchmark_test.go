package webauthn_test

import (
	"encoding/json"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// The hot path of sign-in. The signature is nearly all of it: what is left is
// the budget of two hashes and two parsers.
func BenchmarkVerifyAssertion(b *testing.B) {
	for _, bb := range []struct {
		name      string
		algorithm int
	}{
		{"ES256", authenticatortest.ES256}, {"EdDSA", authenticatortest.EdDSA}, {"RS256", authenticatortest.RS256},
	} {
		b.Run(bb.name, func(b *testing.B) {
			a := newAuthenticator(b, authenticatortest.Options{Algorithms: []int{bb.algorithm}})
			reg, err := creation{}.runOn(b, a)
			if err != nil {
				b.Fatal(err)
			}
			var resp webauthn.AssertionResponse
			if _, err := (request{response: func(r *webauthn.AssertionResponse) { resp = *r }}).runOn(b, a, reg); err != nil {
				b.Fatal(err)
			}
			key, err := webauthn.ParsePublicKey(reg.PublicKey)
			if err != nil {
				b.Fatal(err)
			}
			rp := relyingParty()
			exp := webauthn.AssertionExpectation{Challenge: challenge, Stored: webauthn.StoredCredential{UserHandle: userHandle}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := webauthn.VerifyAssertion(rp, exp, key, resp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The same up to the signature: an empty one is refused at once, after all else
// was parsed and checked.
func BenchmarkVerifyAssertionParsing(b *testing.B) {
	var resp webauthn.AssertionResponse
	if _, err := (request{response: func(r *webauthn.AssertionResponse) { resp = *r }}).run(b); err != nil {
		b.Fatal(err)
	}
	resp.Signature = nil
	rp, key := relyingParty(), webauthn.DecoyKey()
	exp := webauthn.AssertionExpectation{Challenge: challenge}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := webauthn.VerifyAssertion(rp, exp, key, resp); err == nil {
			b.Fatal("accepted without a signature")
		}
	}
}

func BenchmarkParseAssertionResponse(b *testing.B) {
	a := newAuthenticator(b, authenticatortest.Options{})
	if _, err := (creation{}).runOn(b, a); err != nil {
		b.Fatal(err)
	}
	options, err := json.Marshal(webauthn.RequestOptions{Challenge: challenge, RPID: rpID})
	if err != nil {
		b.Fatal(err)
	}
	answer, err := a.Get(options, origin)
	if err != nil {
		b.Fatal(err)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := webauthn.ParseAssertionResponse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePublicKey(b *testing.B) {
	reg, err := creation{}.run(b)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := webauthn.ParsePublicKey(reg.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyRegistration(b *testing.B) {
	for _, bb := range []struct {
		name string
		run  creation
	}{
		{"none", creation{}},
		{"packed self", creation{authenticator: selfAttesting}},
		{"packed basic", creation{authenticator: certified, conveyance: "direct"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var resp webauthn.RegistrationResponse
			bb.run.response = func(r *webauthn.RegistrationResponse) { resp = *r }
			if _, err := bb.run.run(b); err != nil {
				b.Fatal(err)
			}
			rp := relyingParty()
			exp := webauthn.RegistrationExpectation{Challenge: challenge, Algorithms: webauthn.DefaultAlgorithms()}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := webauthn.VerifyRegistration(rp, exp, resp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
