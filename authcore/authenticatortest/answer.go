package authenticatortest

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// RegistrationResponse is what create() resolves to. A test may change its
// members before it is marshalled.
type RegistrationResponse struct {
	CredentialID           []byte // both id and rawId
	ClientDataJSON         []byte
	AttestationObject      []byte
	AuthenticatorData      []byte
	PublicKey              []byte // SubjectPublicKeyInfo, DER
	PublicKeyAlgorithm     int
	Transports             []string
	Attachment             string
	ClientExtensionResults json.RawMessage
}

// AuthenticationResponse is what get() resolves to. A test may change its
// members before it is marshalled.
type AuthenticationResponse struct {
	CredentialID           []byte // both id and rawId
	ClientDataJSON         []byte
	AuthenticatorData      []byte
	Signature              []byte
	UserHandle             []byte
	Attachment             string
	ClientExtensionResults json.RawMessage
}

// MarshalJSON returns the RegistrationResponseJSON that credential.toJSON() gives.
func (r RegistrationResponse) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 512+2*len(r.AttestationObject)+2*len(r.AuthenticatorData)+2*len(r.PublicKey)+2*len(r.ClientDataJSON))
	out = appendCredential(out, r.CredentialID)
	out = appendBinary(out, `"clientDataJSON":`, r.ClientDataJSON)
	out = appendBinary(out, `,"attestationObject":`, r.AttestationObject)
	out = appendBinary(out, `,"authenticatorData":`, r.AuthenticatorData)
	out = appendBinary(out, `,"publicKey":`, r.PublicKey)
	out = append(out, `,"publicKeyAlgorithm":`...)
	out = strconv.AppendInt(out, int64(r.PublicKeyAlgorithm), 10)
	out = append(out, `,"transports":[`...)
	for i, t := range r.Transports {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, t)
	}
	out = append(out, ']')
	return appendEnd(out, r.Attachment, r.ClientExtensionResults), nil
}

// MarshalJSON returns the AuthenticationResponseJSON that credential.toJSON() gives.
func (r AuthenticationResponse) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 1024)
	out = appendCredential(out, r.CredentialID)
	out = appendBinary(out, `"clientDataJSON":`, r.ClientDataJSON)
	out = appendBinary(out, `,"authenticatorData":`, r.AuthenticatorData)
	out = appendBinary(out, `,"signature":`, r.Signature)
	if r.UserHandle != nil {
		out = appendBinary(out, `,"userHandle":`, r.UserHandle)
	}
	return appendEnd(out, r.Attachment, r.ClientExtensionResults), nil
}

func appendCredential(out, id []byte) []byte {
	out = appendBinary(out, `{"id":`, id)
	out = appendBinary(out, `,"rawId":`, id)
	return append(out, `,"type":"public-key","response":{`...)
}

func appendBinary(out []byte, name string, value []byte) []byte {
	out = append(out, name...)
	out = append(out, '"')
	out = base64.RawURLEncoding.AppendEncode(out, value)
	return append(out, '"')
}

func appendEnd(out []byte, attachment string, extensions json.RawMessage) []byte {
	out = append(out, '}')
	if attachment != "" {
		out = append(out, `,"authenticatorAttachment":`...)
		out = appendString(out, attachment)
	}
	if len(extensions) == 0 {
		extensions = json.RawMessage("{}")
	}
	out = append(out, `,"clientExtensionResults":`...)
	out = append(out, extensions...)
	return append(out, '}')
}

// base64url is a binary member of the options.
type base64url []byte

// UnmarshalText decodes without padding.
func (b *base64url) UnmarshalText(text []byte) error {
	decoded, err := base64.RawURLEncoding.DecodeString(string(text))
	*b = decoded
	return err
}

type descriptor struct {
	ID base64url `json:"id"`
}

type creationOptions struct {
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID base64url `json:"id"`
	} `json:"user"`
	Challenge        base64url `json:"challenge"`
	PubKeyCredParams []struct {
		Type string `json:"type"`
		Alg  int    `json:"alg"`
	} `json:"pubKeyCredParams"`
	ExcludeCredentials []descriptor `json:"excludeCredentials"`
	Attestation        string       `json:"attestation"`
	Extensions         struct {
		CredProps bool `json:"credProps"`
	} `json:"extensions"`
}

type requestOptions struct {
	Challenge        base64url    `json:"challenge"`
	RPID             string       `json:"rpId"`
	AllowCredentials []descriptor `json:"allowCredentials"`
}
