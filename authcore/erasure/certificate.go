package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/governance"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Certificate is what the tenant signs about an erasure: a JWS of CertificateType. It names the user by id alone.
type Certificate struct {
	ID       uuid.UUID `json:"jti"` // of the erasure
	Subject  uuid.UUID `json:"sub"` // the user
	TenantID uuid.UUID `json:"tenantId"`
	IssuedAt int64     `json:"iat"` // NumericDate, seconds

	ErasedAt   time.Time  `json:"erasedAt"`
	ErasedBy   string     `json:"erasedBy"` // kind:id
	ReplayedAt *time.Time `json:"replayedAt,omitempty"`
	Audit      AuditPlace `json:"audit"`
	LedgerAt   *time.Time `json:"ledgerAt"` // since when the ledger outside the database has it; null: no ledger is kept

	Deleted   Counts        `json:"deleted"`
	Fields    []ErasedField `json:"fields"` // what the data map says is gone, field by field
	Kept      []KeptField   `json:"kept"`   // what stays, and why
	Backups   *Backups      `json:"backups"`
	Delivered []Delivered   `json:"delivered"` // copies at log streams' sinks, which this certificate does not reach
	Mentions  Mentions      `json:"auditMentions"`
	Statement string        `json:"statement"`
}

// AuditPlace is where the audit log has the erasure.
type AuditPlace struct {
	EntryID  uuid.UUID `json:"entryId"`
	Sequence int64     `json:"sequence"`
}

// Counts are what was deleted.
type Counts struct {
	Credentials int64 `json:"credentials"`
	Sessions    int64 `json:"sessions"`
	Contacts    int64 `json:"contacts"`
	Evidence    int64 `json:"evidence"`
}

// ErasedField is a personal field that is gone.
type ErasedField struct {
	Field string             `json:"field"`
	How   governance.Erasure `json:"how"`
}

// KeptField is what stays.
type KeptField struct {
	Field   string `json:"field"`
	Because string `json:"because"`
}

// Backups says until when backups may hold the user. Absent when the operator has not said how long they are kept.
type Backups struct {
	Days     int       `json:"days"`
	ExpireAt time.Time `json:"expireAt"`
}

// Delivered is a log stream that has received entries which name the user.
type Delivered struct {
	LogStreamID uuid.UUID `json:"logStreamId"`
	Name        string    `json:"name"`
	Kind        string    `json:"kind"`
	Before      int64     `json:"before"`  // the cursor: entries before it have been sent
	Entries     int64     `json:"entries"` // of these, those that name the user: at most so many, by the stream's filter
	Redacts     []string  `json:"redacts"`
}

// Mentions are the entries of the audit log that name the user by id, up to that of the erasure.
type Mentions struct {
	Entries  int64   `json:"entries"`
	First    int64   `json:"first"` // their numbers; -1 when there is none
	Last     int64   `json:"last"`
	Archived int64   `json:"archived"`         // of these, those that are in archives alone
	Unread   []Piece `json:"unread,omitempty"` // archives that may name the user, and could not be read: what they have is not counted
}

// Piece is a piece of the log.
type Piece struct {
	From int64 `json:"from"`
	To   int64 `json:"to"` // number of the last entry and one
}

func (m *Mentions) add(seq int64) {
	m.Entries++
	if m.First < 0 || seq < m.First {
		m.First = seq
	}
	m.Last = max(m.Last, seq)
}

// CertificateType is the typ of a certificate.
const CertificateType = "erasure-certificate+jwt"

// statement is careful to say what a certificate cannot.
const statement = "What is named under fields was deleted, or what opens it was destroyed, at erasedAt. Backups of the database from before hold it until " +
	"they expire; the ledger erases it again when one is restored. Copies that log streams delivered before are in the sinks named under delivered, and are the " +
	"tenant's to erase there; streams that were deleted earlier are in the audit log. Entries of the audit log, and archives of it that nobody can delete or change, " +
	"name the user by id and stay provable; key and salts of what was private in them are destroyed, and it opens nowhere. What stays is named under kept."

// Certify returns the certificate of an erasure: the one that was signed first. ErrWaiting until the erasure is in the audit log
// and, where one is kept, in the ledger; ErrUnknownUser; ErrNotFound.
func (s *Service) Certify(ctx context.Context, sc scope.Scope, id uuid.UUID) (string, error) {
	row, err := s.get(ctx, sc, id)
	switch {
	case err != nil:
		return "", err
	case row.Certificate != nil:
		return *row.Certificate, nil
	case row.UserID == nil:
		return "", ErrUnknownUser
	case row.StoredAt == nil && s.o.Ledger.Kept():
		return "", ErrWaiting
	}
	c, err := s.certificate(ctx, sc, &row)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode certificate: %w", err)
	}
	ring, err := s.o.Keys.Ring(ctx, sc)
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	jws, err := keys.SignCompact(ctx, ring, CertificateType, payload)
	if err != nil {
		return "", fmt.Errorf("sign certificate: %w", err)
	}
	err = s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		set, err := tx.SetErasureCertificate(ctx, tenantq.SetErasureCertificateParams{ID: id, Certificate: jws, Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("keep certificate: %w", err)
		}
		if jws = set.Certificate; !set.Fresh {
			return nil
		}
		return audit.Append(ctx, tx, audit.Entry{Action: "erasure.certify", Target: audit.Target{Kind: "erasure", ID: id.String()}})
	})
	return jws, err
}

func (s *Service) certificate(ctx context.Context, sc scope.Scope, row *tenantq.Erasure) (*Certificate, error) {
	now := s.o.Store.Now()
	c := &Certificate{
		ID: row.ID, Subject: *row.UserID, TenantID: sc.Tenant(), IssuedAt: now.Unix(), ErasedAt: row.At, ErasedBy: row.ErasedBy, ReplayedAt: row.ReplayedAt,
		LedgerAt: row.StoredAt, Deleted: Counts{Credentials: row.Credentials, Sessions: row.Sessions, Contacts: row.Contacts, Evidence: row.Evidence},
		Fields: []ErasedField{}, Kept: []KeptField{}, Delivered: []Delivered{}, Statement: statement,
	}
	if s.o.BackupDays > 0 {
		from := row.At
		if row.ReplayedAt != nil { // backups that were made in between hold it, too
			from = *row.ReplayedAt
		}
		c.Backups = &Backups{Days: s.o.BackupDays, ExpireAt: from.AddDate(0, 0, s.o.BackupDays)}
	}
	var err error
	if c.Audit, err = s.place(ctx, sc, *row.UserID); err != nil {
		return nil, err
	}
	fields, err := governance.Fields()
	if err != nil {
		return nil, err
	}
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Erased == governance.Kept:
			c.Kept = append(c.Kept, KeptField{Field: f.Path(), Because: f.Because})
		case f.Erased != governance.None && (f.Class == governance.Personal || f.Class == governance.HighRisk):
			c.Fields = append(c.Fields, ErasedField{Field: f.Path(), How: f.Erased})
		}
	}
	return c, s.delivered(ctx, sc, *row.UserID, c)
}

// delivered names the streams that have received entries which name the user.
func (s *Service) delivered(ctx context.Context, sc scope.Scope, person uuid.UUID, c *Certificate) error {
	sinks, err := s.o.Streams.List(ctx, sc)
	if err != nil {
		return err
	}
	below := []int64{c.Audit.Sequence + 1}
	for i := range sinks {
		below = append(below, sinks[i].NextSeq)
	}
	all, err := s.mentions(ctx, sc, person, below)
	if err != nil {
		return err
	}
	c.Mentions = all[0]
	for i := range sinks {
		if n := all[i+1].Entries; n > 0 {
			c.Delivered = append(c.Delivered, Delivered{
				LogStreamID: sinks[i].ID, Name: sinks[i].Name, Kind: string(sinks[i].Kind), Before: sinks[i].NextSeq, Entries: n, Redacts: append([]string{}, sinks[i].Redact...),
			})
		}
	}
	return nil
}

// ErrCertificate says that none of the keys has signed a certificate.
var ErrCertificate = errors.New("this is no erasure certificate that one of these keys has signed")

// Verify returns what a certificate says and the id of the key, if one of those in jwks (a JSON Web Key Set) has signed it. It needs neither
// network nor database.
func Verify(jwks []byte, certificate string) (c Certificate, kid string, err error) {
	payload, kid, err := keys.VerifyCompact(jwks, CertificateType, certificate)
	if err != nil {
		return c, "", fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return c, "", ErrCertificate
	}
	return c, kid, nil
}
