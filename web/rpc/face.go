package rpc

import (
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/mds"
)

// Faces says what people see of an authenticator: a name and an icon. Its zero value goes
// by the table of providers alone.
type Faces struct {
	// Metadata returns what the server goes by, nil while there is none. Nil: there is none.
	Metadata func() *mds.Snapshot
	// PublicURL is where icons are served, without a path; see edge.Icons.
	PublicURL string
}

func (f Faces) metadata() *mds.Snapshot {
	if f.Metadata == nil {
		return nil
	}
	return f.Metadata()
}

// describe is never empty.
func (f Faces) describe(c credential.Credential) string {
	return authenticator.Describe(c.AAGUID, f.metadata(), authenticator.Traits{Transports: c.Transports, BackupEligible: c.BackupEligible})
}

// name is a model's; authenticator.Unknown where nobody knows it.
func (f Faces) name(aaguid uuid.UUID) string {
	if name := authenticator.Name(aaguid, f.metadata()); name != "" {
		return name
	}
	return authenticator.Unknown
}

// icon is the URL of the model's icon; empty where there is none, so that a page can show
// one of its own.
func (f Faces) icon(aaguid uuid.UUID) string {
	if authenticator.Icon(aaguid, f.metadata()) == nil {
		return ""
	}
	return f.PublicURL + "/authenticators/" + aaguid.String() + "/icon"
}
