package rpc

import (
	"unicode/utf8"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// The rules of the two calls that every sign-in makes, by hand: compiled rules
// take 7 µs for a finish, these 0.2 (BenchmarkValidateHot). They accept exactly
// what the buf.validate rules of authentication.proto and
// public_key_credential.proto accept; FuzzValidateHot holds the two together.
// What they refuse, the compiled rules explain.

func validBeginAuthentication(m *authv1.BeginAuthenticationRequest) bool {
	switch s := m.GetSubject().(type) {
	case *authv1.BeginAuthenticationRequest_UserId:
		if !text(s.UserId, 1, 64) {
			return false
		}
	case *authv1.BeginAuthenticationRequest_ExternalId:
		if !text(s.ExternalId, 1, 256) {
			return false
		}
	}
	if m.UserVerification != nil {
		switch m.GetUserVerification() {
		case "required", "preferred", "discouraged":
		default:
			return false
		}
	}
	if p := m.GetPurpose(); !text(p, 0, 64) || !only(&purposeBytes, p) {
		return false
	}
	return m.StepUpToken == nil || text(m.GetStepUpToken(), 1, 2048)
}

func validFinishAuthentication(m *authv1.FinishAuthenticationRequest) bool {
	c := m.GetCredential()
	r := c.GetResponse()
	return r != nil &&
		text(m.GetAuthenticationId(), 1, 2048) &&
		base64URL(c.GetId(), 1, 1364) &&
		base64URL(c.GetRawId(), 1, 1364) &&
		c.GetType() == "public-key" &&
		text(c.GetAuthenticatorAttachment(), 0, 64) &&
		base64URL(r.GetClientDataJson(), 1, 16384) &&
		base64URL(r.GetAuthenticatorData(), 1, 16384) &&
		base64URL(r.GetSignature(), 1, 16384) &&
		base64URL(r.GetUserHandle(), 0, 86) &&
		text(m.GetClient().GetIp(), 0, 45) &&
		text(m.GetClient().GetUserAgent(), 0, 512)
}

// byteSet holds the bytes that a string may consist of.
type byteSet [256]bool

var (
	base64URLBytes = newByteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
	purposeBytes   = newByteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
)

func newByteSet(members string) byteSet {
	var set byteSet
	for _, b := range []byte(members) {
		set[b] = true
	}
	return set
}

// only reports whether s consists of the bytes of set.
func only(set *byteSet, s string) bool {
	for i := range len(s) {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

// base64URL reports whether s is minLen to maxLen characters of unpadded
// base64url. Whether it decodes is for the domain to find out.
func base64URL(s string, minLen, maxLen int) bool {
	return len(s) >= minLen && len(s) <= maxLen && only(&base64URLBytes, s)
}

// text reports whether s is minLen to maxLen characters long.
func text(s string, minLen, maxLen int) bool {
	if len(s) <= maxLen && minLen <= 1 { // never more characters than bytes
		return len(s) >= minLen
	}
	n := utf8.RuneCountInString(s)
	return n >= minLen && n <= maxLen
}
