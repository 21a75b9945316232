package rest

import (
	"google.golang.org/protobuf/types/known/structpb"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// The requests of a sign-in, read in one pass over the body. Their texts are
// parts of the body, which they keep alive together. FuzzHotDecoding holds them
// to what check and protojson make of the same body.
//
// As protojson has it, fields go by their JSON name or by their name in the
// .proto file, but not by both, and a null is an absent field.

// decodeBeginAuthenticationRequest reads body into m, which must be empty.
func decodeBeginAuthenticationRequest(body string, m *authv1.BeginAuthenticationRequest) error {
	d := decoder{scanner{in: body}}
	var seen fieldSet
	d.message(func(name string) {
		switch name {
		case "userId", "user_id":
			if text := d.text(&seen, 1); text != nil && d.alone(m.Subject == nil) {
				m.Subject = &authv1.BeginAuthenticationRequest_UserId{UserId: *text}
			}
		case "externalId", "external_id":
			if text := d.text(&seen, 2); text != nil && d.alone(m.Subject == nil) {
				m.Subject = &authv1.BeginAuthenticationRequest_ExternalId{ExternalId: *text}
			}
		case "userVerification", "user_verification":
			m.UserVerification = d.text(&seen, 3)
		case "purpose":
			m.Purpose = d.text(&seen, 4)
		case "stepUpToken", "step_up_token":
			m.StepUpToken = d.text(&seen, 5)
		case "extensions":
			if d.first(&seen, 6) && !d.null() {
				m.Extensions = d.structure()
			}
		default:
			d.skip()
		}
	})
	return d.end()
}

// decodeFinishAuthenticationRequest reads body into m, which must be empty.
func decodeFinishAuthenticationRequest(body string, m *authv1.FinishAuthenticationRequest) error {
	d := decoder{scanner{in: body}}
	var seen fieldSet
	d.message(func(name string) {
		switch name {
		case "authenticationId", "authentication_id":
			d.textInto(&seen, 1, &m.AuthenticationId)
		case "credential":
			if d.first(&seen, 2) && !d.null() {
				m.Credential = d.authenticationCredential()
			}
		case "client":
			if d.first(&seen, 3) && !d.null() {
				m.Client = d.riskContext()
			}
		default:
			d.skip()
		}
	})
	return d.end()
}

func (d *decoder) riskContext() *authv1.RiskContext {
	m := &authv1.RiskContext{}
	var seen fieldSet
	d.object(func(name string) {
		switch name {
		case "ip":
			m.Ip = d.text(&seen, 1)
		case "userAgent", "user_agent":
			m.UserAgent = d.text(&seen, 2)
		case "attributes":
			if d.first(&seen, 3) && !d.null() {
				m.Attributes = d.structure()
			}
		default:
			d.skip()
		}
	})
	return m
}

func (d *decoder) authenticationCredential() *authv1.AuthenticationCredential {
	m := &authv1.AuthenticationCredential{}
	var seen fieldSet
	d.object(func(name string) {
		switch name {
		case "id":
			d.textInto(&seen, 1, &m.Id)
		case "rawId", "raw_id":
			d.textInto(&seen, 2, &m.RawId)
		case "type":
			d.textInto(&seen, 3, &m.Type)
		case "response":
			if d.first(&seen, 4) && !d.null() {
				m.Response = d.assertionResponse()
			}
		case "authenticatorAttachment", "authenticator_attachment":
			m.AuthenticatorAttachment = d.text(&seen, 5)
		case "clientExtensionResults", "client_extension_results":
			if d.first(&seen, 6) && !d.null() {
				m.ClientExtensionResults = d.structure()
			}
		default:
			d.skip()
		}
	})
	return m
}

func (d *decoder) assertionResponse() *authv1.AuthenticatorAssertionResponse {
	m := &authv1.AuthenticatorAssertionResponse{}
	var seen fieldSet
	d.object(func(name string) {
		switch name {
		case "clientDataJSON", "client_data_json":
			d.textInto(&seen, 1, &m.ClientDataJson)
		case "authenticatorData", "authenticator_data":
			d.textInto(&seen, 2, &m.AuthenticatorData)
		case "signature":
			d.textInto(&seen, 3, &m.Signature)
		case "userHandle", "user_handle":
			m.UserHandle = d.text(&seen, 4)
		default:
			d.skip()
		}
	})
	return m
}

// decoder reads messages off a scanner.
type decoder struct {
	scanner
}

// fieldSet are the field numbers, below 32, that a message has had.
type fieldSet uint32

// first reports whether the field has not been there under its other name.
func (d *decoder) first(seen *fieldSet, number uint) bool {
	if *seen&(1<<number) != 0 {
		d.fail("duplicate field")
		return false
	}
	*seen |= 1 << number
	return true
}

// message reads the whole body, which must be an object.
func (d *decoder) message(member func(name string)) {
	d.space()
	if d.peek() != '{' {
		d.fail("not a JSON object")
		return
	}
	d.object(member)
}

// text reads an optional string; nil for null and after an error.
func (d *decoder) text(seen *fieldSet, number uint) *string {
	if !d.first(seen, number) || d.null() {
		return nil
	}
	text := d.str()
	if d.err != nil {
		return nil
	}
	return &text
}

// textInto reads a string that is empty when it is absent.
func (d *decoder) textInto(seen *fieldSet, number uint, into *string) {
	if d.first(seen, number) && !d.null() {
		*into = d.str()
	}
}

// alone refuses a second field of a oneof.
func (d *decoder) alone(unset bool) bool {
	if !unset {
		d.fail("two fields that exclude each other")
	}
	return unset
}

// structure reads a google.protobuf.Struct. Extension results are nearly always
// empty; the others go through reflection.
func (d *decoder) structure() *structpb.Struct {
	start := d.pos
	if d.peek() != '{' {
		d.fail("expected an object")
		return nil
	}
	empty := true
	d.object(func(string) {
		empty = false
		d.skip()
	})
	s := &structpb.Struct{}
	if d.err != nil || empty {
		return s
	}
	if err := unmarshalChecked([]byte(d.in[start:d.pos]), s); err != nil {
		d.err = err
	}
	return s
}
