package ceremony

import (
	"encoding/json"
	"fmt"

	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// relyingParty is whom responses are verified for: the origins that the tenant has
// settled, and the pages that its policy lets embed a ceremony. A client that does not say
// which page that is embeds none.
func relyingParty(snap *tenant.Snapshot) webauthn.RP {
	return webauthn.RP{
		ID: snap.RPID, Name: snap.RPName, Origins: snap.CeremonyOrigins,
		AllowCrossOrigin: snap.Policy.CrossOrigin == policy.LeaveAllow, TopOrigins: snap.Policy.TopOrigins, RequireTopOrigin: true,
	}
}

// recorded is what is kept of extensions with a credential: that they are there, and no
// output of any.
func (e *enrollment) extensions() (string, error) {
	text, err := json.Marshal(e.verified.Outputs)
	if err != nil {
		return "", fmt.Errorf("encode extensions: %w", err)
	}
	return string(text), nil
}
