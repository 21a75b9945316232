package importer

import (
	"encoding/base64"
	"time"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
)

// Line is a line as an export writes it: what Parse reads, member by member.
type Line struct {
	ExternalID  string           `json:"externalId"`
	Name        string           `json:"name"`
	DisplayName string           `json:"displayName,omitempty"`
	UserHandle  string           `json:"userHandle,omitempty"`
	State       string           `json:"state"`
	Email       string           `json:"email,omitempty"`
	Phone       string           `json:"phone,omitempty"`
	CreatedAt   *time.Time       `json:"createdAt,omitempty"`
	Credentials []LineCredential `json:"credentials"`
}

// LineCredential is a credential of a Line.
type LineCredential struct {
	ID             string     `json:"id"`
	PublicKey      string     `json:"publicKey"` // COSE_Key
	Algorithm      int32      `json:"algorithm"`
	SignCount      uint32     `json:"signCount"`
	Transports     []string   `json:"transports"`
	Attachment     string     `json:"attachment,omitempty"`
	AAGUID         string     `json:"aaguid"`
	BackupEligible bool       `json:"backupEligible"`
	BackedUp       bool       `json:"backedUp"`
	Discoverable   *bool      `json:"discoverable,omitempty"`
	RPID           string     `json:"rpId,omitempty"`
	Nickname       string     `json:"nickname,omitempty"`
	State          string     `json:"state"`
	CreatedAt      *time.Time `json:"createdAt,omitempty"`
	LastUsedAt     *time.Time `json:"lastUsedAt,omitempty"`
}

// Export is r as a line.
func Export(r Record) Line {
	l := Line{
		ExternalID: r.Profile.ExternalID, Name: r.Profile.Name, DisplayName: r.Profile.DisplayName, UserHandle: encode(r.Handle),
		State: string(user.Active), Email: r.Contact.Email, Phone: r.Contact.Phone, CreatedAt: r.CreatedAt,
		Credentials: make([]LineCredential, len(r.Credentials)),
	}
	if r.Blocked {
		l.State = string(user.Blocked)
	}
	for i := range r.Credentials {
		c := &r.Credentials[i]
		l.Credentials[i] = LineCredential{
			ID: c.ID.String(), PublicKey: encode(c.PublicKey), Algorithm: int32(c.Algorithm), SignCount: c.SignCount, Transports: c.Transports,
			Attachment: c.Attachment, AAGUID: c.AAGUID.String(), BackupEligible: c.BackupEligible, BackedUp: c.BackedUp,
			Discoverable: c.Discoverable, Nickname: c.Nickname, State: string(credential.Active), CreatedAt: c.CreatedAt, LastUsedAt: c.LastUsedAt,
		}
		if c.Suspended {
			l.Credentials[i].State = string(credential.Suspended)
		}
	}
	return l
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
