package oauth

import (
	"encoding/json"

	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/token"
)

// describe is what is told of an active token: its claims, as they stand in an access
// token. There is no client_id, username or scope, which nobody has issued.
//
// A resource server must not take a refresh token for a key to its doors. So that it
// does not by mistake, token_type says what it is, and its audience is the issuer alone.
func describe(found session.Introspection) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	// AppendClaims writes one JSON object, and Unmarshal takes it apart again.
	_ = json.Unmarshal(token.AppendClaims(nil, found.Claims), &out)
	out["active"], out["token_type"] = json.RawMessage("true"), json.RawMessage(`"Bearer"`)
	if found.Refresh {
		out["token_type"] = json.RawMessage(`"refresh_token"`)
		delete(out, "jti")
	}
	return out
}
