package rest

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// The answers of a sign-in, appended field by field in the order of the .proto
// files. TestHotEncoding and FuzzHotEncoding hold them, byte for byte, to what
// reflection writes; a field that is added to one of these messages and not
// here turns them red.

// writer appends JSON. The first error stays.
type writer struct {
	b   []byte
	err error
}

// open and close begin and end an object; name begins a member.
func (w *writer) open()  { w.b = append(w.b, '{') }
func (w *writer) close() { w.b = append(w.b, '}') }

func (w *writer) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) str(name, text string) {
	w.name(name)
	w.text(text)
}

func (w *writer) text(text string) {
	if !validText(text) {
		w.fail(errors.New("text is not UTF-8"))
		return
	}
	w.b = appendString(w.b, text)
}

func (w *writer) optionalStr(name string, text *string) {
	if text != nil {
		w.str(name, *text)
	}
}

func (w *writer) flag(name string, v bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, v)
}

func (w *writer) number(name string, v int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

// enum appends an enum's name; names has them by number. A number without a
// name goes out as the number, as protojson has it.
func (w *writer) enum(name string, names map[int32]string, v int32) {
	w.name(name)
	if text, ok := names[v]; ok {
		w.b = appendString(w.b, text)
		return
	}
	w.b = strconv.AppendInt(w.b, int64(v), 10)
}

func (w *writer) strs(name string, texts []string) {
	w.name(name)
	w.b = append(w.b, '[')
	for i, text := range texts {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.text(text)
	}
	w.b = append(w.b, ']')
}

// instant appends a timestamp as protojson does: UTC, 0, 3, 6 or 9 digits of a
// second. An absent one is left out.
func (w *writer) instant(name string, ts *timestamppb.Timestamp) {
	if ts == nil {
		return
	}
	if err := ts.CheckValid(); err != nil {
		w.fail(err)
		return
	}
	w.name(name)
	w.b = append(w.b, '"')
	w.b = ts.AsTime().AppendFormat(w.b, "2006-01-02T15:04:05")
	switch n := ts.GetNanos(); {
	case n == 0:
	case n%1e6 == 0:
		w.fraction(n/1e6, 3)
	case n%1e3 == 0:
		w.fraction(n/1e3, 6)
	default:
		w.fraction(n, 9)
	}
	w.b = append(w.b, 'Z', '"')
}

// fraction appends a point and n in the given number of digits.
func (w *writer) fraction(n int32, digits int) {
	w.b = append(w.b, ".000000000"[:digits+1]...)
	for i := len(w.b) - 1; n > 0; i-- {
		w.b[i] = byte('0' + n%10)
		n /= 10
	}
}

// extensions appends a Struct. Few requests ask for any, so these few go
// through reflection.
func (w *writer) extensions(name string, s *structpb.Struct) {
	if s == nil {
		return
	}
	w.name(name)
	b, err := appendJSON(w.b, s)
	if w.b = b; err != nil {
		w.fail(err)
	}
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// done returns the bytes, or the error with the message's name.
func (w *writer) done(start int, m proto.Message) ([]byte, error) {
	if w.err != nil {
		return w.b[:start], fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().FullName(), w.err)
	}
	return w.b, nil
}

func appendBeginAuthenticationResponse(b []byte, m *authv1.BeginAuthenticationResponse) ([]byte, error) {
	w := writer{b: b}
	w.open()
	w.str("authenticationId", m.GetAuthenticationId())
	w.instant("expiresAt", m.GetExpiresAt())
	if m.GetOptions() != nil {
		w.requestOptions("options", m.GetOptions()) // last, as appendGeneric has it
	}
	w.close()
	return w.done(len(b), m)
}

// requestOptions is a dictionary by hand.
func (w *writer) requestOptions(name string, m *authv1.PublicKeyCredentialRequestOptions) {
	w.name(name)
	w.open()
	w.str("challenge", m.GetChallenge())
	if m.Timeout != nil {
		w.number("timeout", int64(m.GetTimeout()))
	}
	w.optionalStr("rpId", m.RpId)
	if len(m.GetAllowCredentials()) > 0 {
		w.name("allowCredentials")
		w.b = append(w.b, '[')
		for i, d := range m.GetAllowCredentials() {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.descriptor(d)
		}
		w.b = append(w.b, ']')
	}
	w.optionalStr("userVerification", m.UserVerification)
	if len(m.GetHints()) > 0 {
		w.strs("hints", m.GetHints())
	}
	w.extensions("extensions", m.GetExtensions())
	w.close()
}

func (w *writer) descriptor(m *authv1.PublicKeyCredentialDescriptor) {
	w.open()
	w.str("id", m.GetId())
	w.str("type", m.GetType())
	if len(m.GetTransports()) > 0 {
		w.strs("transports", m.GetTransports())
	}
	w.close()
}

func appendFinishAuthenticationResponse(b []byte, m *authv1.FinishAuthenticationResponse) ([]byte, error) {
	w := writer{b: b}
	w.open()
	if m.GetUser() != nil {
		w.user("user", m.GetUser())
	}
	if m.GetCredential() != nil {
		w.credential("credential", m.GetCredential())
	}
	w.enum("decision", authv1.FinishAuthenticationResponse_Decision_name, int32(m.GetDecision()))
	w.optionalStr("decisionReason", m.DecisionReason)
	if m.GetSession() != nil {
		w.session("session", m.GetSession())
	}
	w.optionalStr("code", m.Code)
	if m.GetStepUp() != nil {
		w.stepUp("stepUp", m.GetStepUp())
	}
	if m.GetAssurance() != nil {
		w.assurance("assurance", m.GetAssurance())
	}
	if m.GetRisk() != nil {
		w.risk("risk", m.GetRisk())
	}
	w.close()
	return w.done(len(b), m)
}

func (w *writer) risk(name string, m *authv1.Risk) {
	w.name(name)
	w.open()
	w.number("score", int64(m.GetScore()))
	w.enum("level", authv1.Risk_Level_name, int32(m.GetLevel()))
	w.name("reasons")
	w.b = append(w.b, '[')
	for i, r := range m.GetReasons() {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.open()
		w.str("code", r.GetCode())
		w.number("weight", int64(r.GetWeight()))
		w.str("explanation", r.GetExplanation())
		w.close()
	}
	w.b = append(w.b, ']')
	w.flag("degraded", m.GetDegraded())
	w.close()
}

func (w *writer) user(name string, m *authv1.User) {
	w.name(name)
	w.open()
	w.str("id", m.GetId())
	w.str("externalId", m.GetExternalId())
	w.str("name", m.GetName())
	w.optionalStr("displayName", m.DisplayName)
	w.enum("state", authv1.User_State_name, int32(m.GetState()))
	w.instant("createdAt", m.GetCreatedAt())
	w.instant("updatedAt", m.GetUpdatedAt())
	w.instant("lastSignInAt", m.GetLastSignInAt())
	w.str("etag", m.GetEtag())
	w.optionalStr("email", m.Email)
	w.optionalStr("phone", m.Phone)
	w.close()
}

func (w *writer) credential(name string, m *authv1.Credential) {
	w.name(name)
	w.open()
	w.str("id", m.GetId())
	w.str("userId", m.GetUserId())
	w.str("nickname", m.GetNickname())
	w.str("aaguid", m.GetAaguid())
	w.str("authenticatorName", m.GetAuthenticatorName())
	w.strs("transports", m.GetTransports())
	w.number("algorithm", int64(m.GetAlgorithm()))
	w.number("signCount", int64(m.GetSignCount()))
	w.flag("discoverable", m.GetDiscoverable())
	w.flag("backupEligible", m.GetBackupEligible())
	w.flag("backedUp", m.GetBackedUp())
	w.enum("state", authv1.Credential_State_name, int32(m.GetState()))
	w.instant("createdAt", m.GetCreatedAt())
	w.instant("lastUsedAt", m.GetLastUsedAt())
	w.instant("revokedAt", m.GetRevokedAt())
	w.str("etag", m.GetEtag())
	w.enum("trust", authv1.Credential_Trust_name, int32(m.GetTrust()))
	w.str("certification", m.GetCertification())
	w.str("registeredVia", m.GetRegisteredVia())
	w.flag("lowered", m.GetLowered())
	w.str("disposition", m.GetDisposition())
	if m.GetExtensions() != nil {
		w.credentialExtensions("extensions", m.GetExtensions())
	}
	w.str("authenticatorIconUrl", m.GetAuthenticatorIconUrl())
	w.close()
}

func (w *writer) credentialExtensions(name string, m *authv1.CredentialExtensions) {
	w.name(name)
	w.open()
	if m.Prf != nil {
		w.flag("prf", m.GetPrf())
	}
	if m.LargeBlob != nil {
		w.flag("largeBlob", m.GetLargeBlob())
	}
	w.optionalStr("credProtect", m.CredProtect)
	w.close()
}

func (w *writer) session(name string, m *authv1.Session) {
	w.name(name)
	w.open()
	w.str("id", m.GetId())
	w.str("userId", m.GetUserId())
	w.str("credentialId", m.GetCredentialId())
	w.enum("aal", authv1.Assurance_Aal_name, int32(m.GetAal()))
	w.str("ip", m.GetIp())
	w.str("userAgent", m.GetUserAgent())
	w.instant("createdAt", m.GetCreatedAt())
	w.instant("lastUsedAt", m.GetLastUsedAt())
	w.instant("expiresAt", m.GetExpiresAt())
	w.instant("revokedAt", m.GetRevokedAt())
	w.optionalStr("accessToken", m.AccessToken)
	w.instant("accessTokenExpiresAt", m.GetAccessTokenExpiresAt())
	w.optionalStr("refreshToken", m.RefreshToken)
	w.close()
}

func (w *writer) stepUp(name string, m *authv1.StepUp) {
	w.name(name)
	w.open()
	w.enum("kind", authv1.StepUp_Kind_name, int32(m.GetKind()))
	w.str("token", m.GetToken())
	w.instant("expiresAt", m.GetExpiresAt())
	w.close()
}

func (w *writer) assurance(name string, m *authv1.Assurance) {
	w.name(name)
	w.open()
	w.enum("aal", authv1.Assurance_Aal_name, int32(m.GetAal()))
	w.flag("userVerified", m.GetUserVerified())
	w.flag("phishingResistant", m.GetPhishingResistant())
	w.flag("backedUp", m.GetBackedUp())
	w.strs("reasons", m.GetReasons())
	w.close()
}

// validText reports whether text may stand in JSON.
func validText(text string) bool { return utf8.ValidString(text) }

// appendString appends text as a JSON string, escaping as protojson does: only
// quote, backslash and controls. Bytes that are not UTF-8 become U+FFFD;
// messages are checked for them before.
func appendString(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, text[from:i]...), "\uFFFD"...)
				from = i + n
			}
			i += n
			continue
		}
		b = append(b, text[from:i]...)
		i++
		from = i
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	return append(append(b, text[from:]...), '"')
}
