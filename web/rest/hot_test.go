package rest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// decodeByReflection is what unmarshal does for every other message.
func decodeByReflection(body string, m proto.Message) error {
	if err := check(body); err != nil {
		return err
	}
	return unmarshalChecked([]byte(body), m)
}

// sameDecoding compares both decoders on one body.
func sameDecoding(t *testing.T, body string, byHand, byReflection proto.Message) {
	t.Helper()
	herr, rerr := unmarshal([]byte(body), byHand), decodeByReflection(body, byReflection)
	if (herr == nil) != (rerr == nil) {
		t.Fatalf("by hand: %v, by reflection: %v, for %q", herr, rerr, body)
	}
	if herr == nil && !proto.Equal(byHand, byReflection) {
		t.Fatalf("by hand: %v\nby reflection: %v\nfor %q", byHand, byReflection, body)
	}
}

// finishBody is what a browser's toJSON gives, in our request.
const finishBody = `{"authenticationId":"v1.Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4",` +
	`"credential":{"id":"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE","rawId":"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE",` +
	`"response":{"authenticatorData":"SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAA",` +
	`"clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiWm05dlltRnlZbUY2Y1hWNFptOXZZbUZ5WW1GNmNYVjQiLCJvcmlnaW4iOiJodHRwOi8vbG9jYWxob3N0OjgwODAiLCJjcm9zc09yaWdpbiI6ZmFsc2V9",` +
	`"signature":"MEUCIQDWj0b8n9w2sQJm9b1c7s2g3u4v5w6x7y8z9A0BCDEFGHIgJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01234","userHandle":"dXNlci1oYW5kbGUtMzItYnl0ZXMtb2YtcmFuZG9tbmVzcyE"},` +
	`"authenticatorAttachment":"platform","clientExtensionResults":{},"type":"public-key"}}`

func hotBodies() []string {
	return []string{
		finishBody,
		`{}`, ` { } `, `{"userId":"u"}`, `{"externalId":"ü\u00fc\n","userVerification":"required","purpose":"p","stepUpToken":"t"}`,
		`{"extensions":{"prf":{"eval":{"first":"AA"}},"largeBlob":{"read":true}}}`, `{"extensions":null,"userId":"u"}`, `{"extensions":{},"extensions":{}}`, `{"extensions":"x"}`,
		`{"userId":"u","externalId":"e"}`, `{"userId":null,"externalId":"e"}`, `{"userId":null,"user_id":"u"}`, `{"userId":5}`,
		`{"unknown":[1,{"a":"b"}],"purpose":null}`, `{"purpose":"a","purpose":"b"}`, `{"purpose":"a","unknown":1,"unknown":2}`,
		`{"authentication_id":"a","credential":null}`, `{"credential":[]}`, `{"credential":{"response":"x"}}`, `{"credential":5}`,
		`{"credential":{"id":"a","response":{"clientDataJSON":"x","client_data_json":"y"}}}`,
		`{"credential":{"clientExtensionResults":{"credProps":{"rk":true},"n":[1,2.5,null,"s"],"prf":{"results":{"first":"AAA"}}}}}`,
		`{"credential":{"clientExtensionResults":{"a":1e999}}}`, `{"credential":{"clientExtensionResults":[]}}`, `{"credential":{"clientExtensionResults":null}}`,
		`{"credential":{"response":{"userHandle":null,"signature":"\ud83d\ude00"}}}`, `{"credential":{"response":{"userHandle":"\ud83d"}}}`,
		`null`, `[]`, `{"authenticationId":"a"}x`, `{"authenticationId":"a"`, "{\"authenticationId\":\"\xff\"}",
		strings.Repeat(`{"credential":`, 20), `{"credential":{"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}}`,
	}
}

func TestHotDecoding(t *testing.T) {
	for _, body := range hotBodies() {
		sameDecoding(t, body, &authv1.BeginAuthenticationRequest{}, &authv1.BeginAuthenticationRequest{})
		sameDecoding(t, body, &authv1.FinishAuthenticationRequest{}, &authv1.FinishAuthenticationRequest{})
	}
	m := &authv1.FinishAuthenticationRequest{}
	if err := unmarshal([]byte(finishBody), m); err != nil || m.GetCredential().GetResponse().GetUserHandle() == "" || m.GetCredential().GetType() != "public-key" {
		t.Errorf("decoded %v, %v", m, err)
	}
}

func FuzzHotDecoding(f *testing.F) {
	for _, body := range hotBodies() {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(body, `[google.`) || strings.Contains(body, `[biocore.`) || strings.Contains(body, `[buf.`) {
			return // protojson takes "[name]" for an extension and stumbles over names of messages
		}
		sameDecoding(t, body, &authv1.BeginAuthenticationRequest{}, &authv1.BeginAuthenticationRequest{})
		sameDecoding(t, body, &authv1.FinishAuthenticationRequest{}, &authv1.FinishAuthenticationRequest{})
	})
}

// sameEncoding compares both encoders on one message.
func sameEncoding(t *testing.T, m proto.Message) {
	t.Helper()
	byHand, herr := appendMessage(nil, m)
	byReflection, rerr := appendGeneric(nil, m)
	if (herr == nil) != (rerr == nil) {
		t.Fatalf("by hand: %v, by reflection: %v, for %v", herr, rerr, m)
	}
	if herr == nil && !bytes.Equal(byHand, byReflection) {
		t.Fatalf("by hand:\n%s\nby reflection:\n%s", byHand, byReflection)
	}
	if herr == nil && !json.Valid(byHand) {
		t.Fatalf("not JSON: %s", byHand)
	}
}

var noon = timestamppb.New(time.Date(2030, 1, 2, 12, 0, 0, 123456000, time.UTC))

func beginAnswer() *authv1.BeginAuthenticationResponse {
	return &authv1.BeginAuthenticationResponse{
		AuthenticationId: "v1." + strings.Repeat("Zm9v", 50),
		Options: &authv1.PublicKeyCredentialRequestOptions{
			Challenge: strings.Repeat("Y2hh", 11), Timeout: proto.Uint32(300000), RpId: new("bank.example"),
			UserVerification: new("required"),
		},
		ExpiresAt: noon,
	}
}

func finishAnswer() *authv1.FinishAuthenticationResponse {
	return &authv1.FinishAuthenticationResponse{
		User: &authv1.User{
			Id: "01890a5d-ac96-774b-bcce-b302099a8057", ExternalId: "u-1", Name: "ana@bank.example", DisplayName: new("Ana \"Ä\" <b>"),
			State: authv1.User_ACTIVE, CreatedAt: noon, UpdatedAt: noon, LastSignInAt: noon, Etag: "3f2a",
		},
		Credential: &authv1.Credential{
			Id: strings.Repeat("Q3Jl", 11), UserId: "01890a5d-ac96-774b-bcce-b302099a8057", Nickname: "iPhone", Aaguid: "00000000-0000-0000-0000-000000000000",
			Transports: []string{"internal", "hybrid"}, Algorithm: -7, SignCount: 4294967295, Discoverable: true, BackupEligible: true, BackedUp: true,
			State: authv1.Credential_ACTIVE, CreatedAt: noon, LastUsedAt: noon, Etag: "77",
			Extensions: &authv1.CredentialExtensions{Prf: new(true), LargeBlob: new(false), CredProtect: new("userVerificationRequired")},
		},
		Decision: authv1.FinishAuthenticationResponse_ALLOW,
		Session: &authv1.Session{
			Id: "01890a5d-ac96-774b-bcce-b302099a8057", UserId: "01890a5d-ac96-774b-bcce-b302099a8057", CredentialId: strings.Repeat("Q3Jl", 11),
			Aal: authv1.Assurance_AAL2, Ip: "2001:db8::1", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)",
			CreatedAt: noon, LastUsedAt: noon, ExpiresAt: noon, AccessToken: new(strings.Repeat("eyJh", 150)),
			AccessTokenExpiresAt: noon, RefreshToken: new(strings.Repeat("cnQx", 16)),
		},
		Assurance: &authv1.Assurance{Aal: authv1.Assurance_AAL2, UserVerified: true, PhishingResistant: true, BackedUp: true, Reasons: []string{"KEY_EXPORTABLE", "ATTESTATION_NOT_TRUSTED"}},
		Risk: &authv1.Risk{Score: 30, Level: authv1.Risk_MEDIUM, Degraded: true, Reasons: []*authv1.RiskReason{
			{Code: "NEW_DEVICE", Weight: 20, Explanation: "a device that this user has not used before"}, {Code: "NEW_NETWORK", Weight: 10},
		}},
	}
}

func hotAnswers(tb testing.TB) []proto.Message {
	tb.Helper()
	extensions, err := structpb.NewStruct(map[string]any{"prf": map[string]any{"eval": map[string]any{"first": "AA"}}})
	if err != nil {
		tb.Fatal(err)
	}
	answers := []proto.Message{
		beginAnswer(), finishAnswer(),
		&authv1.BeginAuthenticationResponse{}, &authv1.FinishAuthenticationResponse{},
		&authv1.BeginAuthenticationResponse{Options: &authv1.PublicKeyCredentialRequestOptions{}},
		&authv1.BeginAuthenticationResponse{Options: &authv1.PublicKeyCredentialRequestOptions{
			Challenge: "c", Timeout: proto.Uint32(0), RpId: new(""), UserVerification: new(""), Hints: []string{"hybrid", ""},
			AllowCredentials: []*authv1.PublicKeyCredentialDescriptor{{Id: "a", Type: "public-key", Transports: []string{"usb"}}, {}},
			Extensions:       extensions,
		}},
		&authv1.BeginAuthenticationResponse{AuthenticationId: "\xff"},
		&authv1.FinishAuthenticationResponse{
			User: &authv1.User{}, Credential: &authv1.Credential{}, Session: &authv1.Session{}, StepUp: &authv1.StepUp{}, Assurance: &authv1.Assurance{}, Risk: &authv1.Risk{},
			Decision: 77, DecisionReason: new("SIGN_COUNT_ROLLBACK"), Code: new("c"),
		},
		&authv1.FinishAuthenticationResponse{Credential: &authv1.Credential{Transports: []string{"\xff"}}},
		&authv1.FinishAuthenticationResponse{StepUp: &authv1.StepUp{Kind: authv1.StepUp_USER_VERIFICATION, Token: "\x00\x1f\x7f\u2028\\\"\b\f\n\r\t"}},
	}
	for _, nanos := range []int32{0, 1, 1000, 1000000, 999999999, 120000000, 1200, -1, 1e9} {
		answers = append(answers, &authv1.BeginAuthenticationResponse{ExpiresAt: &timestamppb.Timestamp{Seconds: 1, Nanos: nanos}})
	}
	for _, seconds := range []int64{-62135596801, -62135596800, -1, 253402300799, 253402300800} {
		answers = append(answers, &authv1.BeginAuthenticationResponse{ExpiresAt: &timestamppb.Timestamp{Seconds: seconds}})
	}
	return answers
}

// A field that is added to a message of a sign-in and not to its codec turns
// this red as soon as it is set by default, and fuzzing in any case.
func TestHotEncoding(t *testing.T) {
	for _, m := range hotAnswers(t) {
		sameEncoding(t, m)
	}
}

// filled sets every field of a message, and of those in it. Of a oneof the last one stays.
func filled(t testing.TB, m protoreflect.Message) proto.Message {
	t.Helper()
	if s, ok := m.Interface().(*structpb.Struct); ok {
		s.Fields = map[string]*structpb.Value{"a": structpb.NewNumberValue(1)}
		return s
	}
	if ts, ok := m.Interface().(*timestamppb.Timestamp); ok {
		ts.Seconds = 1
		return ts
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.FullName() == "biocore.auth.v1.User.passkeys": // in lists of users alone
		case m.Descriptor().FullName() == "biocore.auth.v1.Session" && slices.Contains([]protoreflect.Name{"country", "asn", "network"}, f.Name()): // in lists of sessions alone
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			list := m.Mutable(f).List()
			filled(t, list.AppendMutable().Message())
		case f.IsList() && f.Kind() == protoreflect.EnumKind:
			m.Mutable(f).List().Append(protoreflect.ValueOfEnum(1))
		case f.IsList():
			m.Mutable(f).List().Append(protoreflect.ValueOfString("one"))
		case f.Kind() == protoreflect.MessageKind:
			filled(t, m.Mutable(f).Message())
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(string(f.Name())))
		case f.Kind() == protoreflect.BoolKind:
			m.Set(f, protoreflect.ValueOfBool(true))
		case f.Kind() == protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(1))
		case f.Kind() == protoreflect.Uint32Kind:
			m.Set(f, protoreflect.ValueOfUint32(7))
		case f.Kind() == protoreflect.Int32Kind, f.Kind() == protoreflect.Sint32Kind:
			m.Set(f, protoreflect.ValueOfInt32(-7))
		default:
			t.Fatalf("%s: a field of kind %s", f.FullName(), f.Kind())
		}
	}
	return m.Interface()
}

// A field that is added to a message of a sign-in and not to the codec that was written for it turns this red.
func TestHotCodecHasEveryField(t *testing.T) {
	for _, m := range []proto.Message{&authv1.BeginAuthenticationResponse{}, &authv1.FinishAuthenticationResponse{}} {
		sameEncoding(t, filled(t, m.ProtoReflect()))
	}
	for _, m := range []proto.Message{&authv1.BeginAuthenticationRequest{}, &authv1.FinishAuthenticationRequest{}} {
		want := filled(t, m.ProtoReflect())
		body, err := protojson.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := m.ProtoReflect().New().Interface()
		if err := unmarshal(body, got); err != nil || !proto.Equal(got, want) {
			t.Errorf("%s\nread %s, %v", body, got, err)
		}
	}
}

func FuzzHotEncoding(f *testing.F) {
	for _, m := range hotAnswers(f) {
		if raw, err := proto.Marshal(m); err == nil {
			_, begin := m.(*authv1.BeginAuthenticationResponse)
			f.Add(raw, begin)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, begin bool) {
		var m proto.Message = &authv1.FinishAuthenticationResponse{}
		if begin {
			m = &authv1.BeginAuthenticationResponse{}
		}
		if proto.Unmarshal(raw, m) == nil {
			sameEncoding(t, m)
		}
	})
}

// What the loops below may cost at most: PERFORMANCE.md allows no reflection on
// this path, and reflection needs five times as many.
const maxHotAllocs = 14

func TestHotAllocations(t *testing.T) {
	finish := []byte(finishBody)
	out := make([]byte, 0, 8<<10)
	answer := finishAnswer()
	for name, f := range map[string]func(){
		"decode finish": func() { _ = unmarshal(finish, &authv1.FinishAuthenticationRequest{}) },
		"encode finish": func() { out, _ = appendMessage(out[:0], answer) },
	} {
		if n := testing.AllocsPerRun(100, f); n > maxHotAllocs {
			t.Errorf("%s: %v allocations, want at most %d", name, n, maxHotAllocs)
		}
	}
}

func BenchmarkHotCodec(b *testing.B) {
	out := make([]byte, 0, 8<<10)
	begin, finish := beginAnswer(), finishAnswer()
	for _, bm := range []struct {
		name string
		f    func() error
	}{
		{"decode begin/by hand", func() error { return unmarshal([]byte(`{}`), &authv1.BeginAuthenticationRequest{}) }},
		{"decode begin/by reflection", func() error { return decodeByReflection(`{}`, &authv1.BeginAuthenticationRequest{}) }},
		{"decode finish/by hand", func() error { return unmarshal([]byte(finishBody), &authv1.FinishAuthenticationRequest{}) }},
		{"decode finish/by reflection", func() error { return decodeByReflection(finishBody, &authv1.FinishAuthenticationRequest{}) }},
		{"encode begin/by hand", func() (err error) { out, err = appendMessage(out[:0], begin); return err }},
		{"encode begin/by reflection", func() (err error) { out, err = appendGeneric(out[:0], begin); return err }},
		{"encode finish/by hand", func() (err error) { out, err = appendMessage(out[:0], finish); return err }},
		{"encode finish/by reflection", func() (err error) { out, err = appendGeneric(out[:0], finish); return err }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bm.f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
