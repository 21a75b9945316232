// Package authenticator says what people call the authenticator that keeps a credential,
// and how it looks.
//
// It goes by the AAGUID: first by a table of passkey providers, then by the FIDO
// metadata. All of it is for people's eyes and proves nothing: without attestation an
// AAGUID is whatever the client sent. Nothing here waits or fails: the metadata is in
// memory.
package authenticator

import (
	"slices"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
)

// Unknown is the name of a model that nobody knows, in lists of models.
const Unknown = "Unknown model"

// Name returns the name of the passkey provider or security key whose model the AAGUID
// names: at most 200 characters, all of them printable. It is empty for a model that
// neither the table nor the metadata knows, and for the zero AAGUID. Without metadata,
// which is nil, the table alone is asked.
func Name(aaguid uuid.UUID, metadata *mds.Snapshot) string {
	if p, ok := providers[aaguid]; ok {
		return p.name
	}
	if metadata == nil {
		return ""
	}
	if e, ok := metadata.Lookup(aaguid); ok {
		return e.Name
	}
	return ""
}

// Traits are what is known of any authenticator, whatever its model.
type Traits struct {
	Transports     []string // WebAuthn's spelling
	BackupEligible bool
}

// Describe returns the name of a model and, where nobody knows one, what sort of
// authenticator it is. It is never empty.
func Describe(aaguid uuid.UUID, metadata *mds.Snapshot, t Traits) string {
	if name := Name(aaguid, metadata); name != "" {
		return name
	}
	return kindNames[t.Kind()]
}

// Kind is a sort of authenticator; its zero value is one of which nothing is known.
type Kind int

// The kinds.
const (
	Synced      Kind = iota + 1 // kept by a provider, on several devices
	BuiltIn                     // in a computer or a phone that is signed in on
	Phone                       // a phone or tablet beside it
	SecurityKey                 // a thing that is plugged in or held near
)

var kindNames = map[Kind]string{
	0: "Authenticator", Synced: "Passkey provider", BuiltIn: "Built-in authenticator", Phone: "Phone or tablet", SecurityKey: "Security key",
}

// Kind is what sort of authenticator has such traits.
func (t Traits) Kind() Kind {
	has := func(transport string) bool { return slices.Contains(t.Transports, transport) }
	switch {
	case t.BackupEligible:
		return Synced
	case has("usb") || has("nfc") || has("ble") || has("smart-card"):
		return SecurityKey
	case has("internal"):
		return BuiltIn
	case has("hybrid"):
		return Phone
	}
	return 0
}

// KindOf is what sort of authenticator a model is, where nothing is known but its AAGUID:
// by the table of Name, then by the metadata.
func KindOf(aaguid uuid.UUID, metadata *mds.Snapshot) Kind {
	if p, ok := providers[aaguid]; ok {
		return p.kind
	}
	if metadata == nil {
		return 0
	}
	e, ok := metadata.Lookup(aaguid)
	if !ok {
		return 0
	}
	hints := e.Details().AttachmentHints
	switch {
	case slices.Contains(hints, "external"):
		return SecurityKey
	case slices.Contains(hints, "internal"):
		return BuiltIn
	}
	return 0
}

// Icon returns the icon of a model, a PNG of at most mds.MaxIconBytes, as the metadata
// has it; nil where there is none. It is shared: nobody changes it.
func Icon(aaguid uuid.UUID, metadata *mds.Snapshot) []byte {
	if metadata == nil {
		return nil
	}
	e, ok := metadata.Lookup(aaguid)
	if !ok {
		return nil
	}
	return e.Icon
}
