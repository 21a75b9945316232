package rpc

import (
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// The hand-written rules and the compiled ones accept the same messages. Drop
// or change any check in validate_hot.go and this turns red.
func FuzzValidateHot(f *testing.F) {
	validator, err := protovalidate.New(protovalidate.WithMessages(&authv1.BeginAuthenticationRequest{}, &authv1.FinishAuthenticationRequest{}))
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range hotSeeds() {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		_, begin := m.(*authv1.BeginAuthenticationRequest)
		f.Add(raw, begin)
	}
	f.Fuzz(func(t *testing.T, raw []byte, isBegin bool) {
		var msg proto.Message
		var byHand bool
		if isBegin {
			m := &authv1.BeginAuthenticationRequest{}
			if proto.Unmarshal(raw, m) != nil {
				return
			}
			msg, byHand = m, validBeginAuthentication(m)
		} else {
			m := &authv1.FinishAuthenticationRequest{}
			if proto.Unmarshal(raw, m) != nil {
				return
			}
			msg, byHand = m, validFinishAuthentication(m)
		}
		if err := validator.Validate(msg); (err == nil) != byHand {
			t.Errorf("by hand %v, by rules %v: %v", byHand, err, msg)
		}
	})
}

func BenchmarkValidateHot(b *testing.B) {
	finish := goodFinish()
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !validFinishAuthentication(finish) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("by rules", func(b *testing.B) {
		validator, err := protovalidate.New(protovalidate.WithMessageDescriptors(requestMessages()...), protovalidate.WithDisableLazy())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := validator.Validate(finish); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// goodFinish is a finish of the size that browsers send.
func goodFinish() *authv1.FinishAuthenticationRequest {
	return &authv1.FinishAuthenticationRequest{
		AuthenticationId: strings.Repeat("a", 200),
		Credential: &authv1.AuthenticationCredential{
			Id: strings.Repeat("b", 43), RawId: strings.Repeat("b", 43), Type: "public-key",
			AuthenticatorAttachment: new("platform"),
			Response: &authv1.AuthenticatorAssertionResponse{
				ClientDataJson: strings.Repeat("c", 180), AuthenticatorData: strings.Repeat("d", 50),
				Signature: strings.Repeat("e", 96), UserHandle: new(strings.Repeat("f", 43)),
			},
		},
	}
}

// hotSeeds are sign-in calls near the edges of their rules.
func hotSeeds() []proto.Message {
	seeds := []proto.Message{
		&authv1.BeginAuthenticationRequest{},
		&authv1.BeginAuthenticationRequest{
			Subject:          &authv1.BeginAuthenticationRequest_UserId{UserId: strings.Repeat("ü", 64)},
			UserVerification: new("required"), Purpose: new("pay.now"), StepUpToken: new("t"),
		},
		&authv1.BeginAuthenticationRequest{Subject: &authv1.BeginAuthenticationRequest_UserId{}},
		&authv1.BeginAuthenticationRequest{Subject: &authv1.BeginAuthenticationRequest_ExternalId{ExternalId: strings.Repeat("x", 257)}},
		&authv1.BeginAuthenticationRequest{Purpose: new("a b")},
		&authv1.BeginAuthenticationRequest{StepUpToken: new("")},
		goodFinish(),
		&authv1.FinishAuthenticationRequest{AuthenticationId: "a", Credential: &authv1.AuthenticationCredential{}},
	}
	for _, spoil := range []func(*authv1.FinishAuthenticationRequest){
		func(m *authv1.FinishAuthenticationRequest) { m.AuthenticationId = "" },
		func(m *authv1.FinishAuthenticationRequest) { m.AuthenticationId = strings.Repeat("a", 2049) },
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.Id = "" },
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.Id = strings.Repeat("a", 1365) },
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.RawId = "a=" },
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.Type = "password" },
		func(m *authv1.FinishAuthenticationRequest) {
			m.Credential.AuthenticatorAttachment = new(strings.Repeat("ü", 65))
		},
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.Response.ClientDataJson = "\n" },
		func(m *authv1.FinishAuthenticationRequest) {
			m.Credential.Response.AuthenticatorData = strings.Repeat("a", 16385)
		},
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.Response.Signature = "" },
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.Response.UserHandle = new("") },
		func(m *authv1.FinishAuthenticationRequest) {
			m.Credential.Response.UserHandle = new(strings.Repeat("a", 87))
		},
		func(m *authv1.FinishAuthenticationRequest) { m.Credential.Response.UserHandle = nil },
		func(m *authv1.FinishAuthenticationRequest) { m.Client = &authv1.RiskContext{} },
		func(m *authv1.FinishAuthenticationRequest) {
			m.Client = &authv1.RiskContext{Ip: new(strings.Repeat("1", 46))}
		},
		func(m *authv1.FinishAuthenticationRequest) {
			m.Client = &authv1.RiskContext{UserAgent: new(strings.Repeat("ü", 513))}
		},
	} {
		m := goodFinish()
		spoil(m)
		seeds = append(seeds, m)
	}
	return seeds
}
