// Package evidence keeps what proves why an authenticator was trusted, or refused: the
// attestation object and client data as they came, what was expected, the metadata they
// were held against, and what was concluded. Verify concludes it again, at the recorded
// time and from the record alone.
//
// A record is written with its ceremony, in one transaction: sealed under a key of its
// own, which is sealed under the tenant's data key. It waits in Postgres until Maintain
// has put it into object storage, so that no registration depends on that, and nothing
// is lost while it is away (ADR 0027). Destroying the key, with the row's user, at its
// expiry or with the tenant, leaves noise.
package evidence

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "EVIDENCE_UNKNOWN", "no such evidence")
	ErrID       = fault.New(fault.Invalid, "EVIDENCE_ID_INVALID", "the evidence id is no UUID")
)

// objectKind is the first part of an object's name.
const objectKind blob.Kind = "evidence"

// Options configures a Service.
type Options struct {
	Store *db.Store     // required
	Keys  *keys.Service // required

	// Objects is where records go; nil: they stay in Postgres.
	Objects *blob.Bucket

	// Policy answers the tenant's current policy, for how long evidence is kept.
	// Required by Maintain.
	Policy func(ctx context.Context, sc scope.Scope) (policy.Document, error)

	Log *slog.Logger // nil means slog.Default
}

// Service keeps evidence. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	objects *blob.Bucket
	policy  func(context.Context, scope.Scope) (policy.Document, error)
	log     *slog.Logger

	lost, postponed atomic.Int64
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, objects: o.Objects, policy: o.Policy, log: o.Log}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// Registration is a registration that has been judged.
type Registration struct {
	CeremonyID uuid.UUID
	At         time.Time
	Outcome    string // of the ceremony's row
	Reason     string
	UserID     *uuid.UUID // who has a row by now; nil for a refused newcomer

	RP          webauthn.RP
	Expectation webauthn.RegistrationExpectation
	Response    *webauthn.RegistrationResponse
	Verified    *webauthn.Registration // nil: it does not verify

	Verdict  *attestation.Verdict // nil: nobody has judged the attestation
	Metadata []byte               // MetadataOf what the verdict was made by; nil: nothing is known of the model
	Roots    []attestation.Root   // of the tenant, that the attestation was tried on

	PolicyVersion int
	Policy        *policy.Document
	Facts         []byte // JSON
}

// Kept names a piece of evidence, for the rows and entries that point at it. The zero
// Kept says that none is kept.
type Kept struct {
	ID     uuid.UUID
	SHA256 [32]byte // of the record
}

// Ref is the id as rows have it: nil when none is kept.
func (k Kept) Ref() *uuid.UUID {
	if k.ID == uuid.Nil {
		return nil
	}
	return &k.ID
}

// maxRecordBytes bounds a record. What a client may send makes at most 150 KB of it;
// the rest is metadata, which is left out if it is beyond all measure.
const maxRecordBytes = 1 << 20

// Keep writes a registration's evidence in its transaction tx. A policy that keeps none
// makes it do nothing. It takes no network and no lock beyond the user's row.
func (s *Service) Keep(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, in Registration) (Kept, error) {
	days := in.Policy.EvidenceRetentionDays
	if days == 0 {
		return Kept{}, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Kept{}, fmt.Errorf("mint evidence id: %w", err)
	}
	r := in.record(id, tx.Scope().Tenant())
	raw, err := r.encode()
	if err == nil && len(raw) > maxRecordBytes && r.Metadata != nil {
		r.Metadata = nil
		raw, err = r.encode()
	}
	if err != nil {
		return Kept{}, err
	}
	if len(raw) > maxRecordBytes {
		return Kept{}, fmt.Errorf("keep evidence: %d bytes", len(raw))
	}
	sealedKey, body, err := seal(ring, id, raw)
	if err != nil {
		return Kept{}, err
	}
	version, ok := keys.VersionOf(sealedKey)
	if !ok {
		return Kept{}, errors.New("keep evidence: a sealed value without a version")
	}
	expires := in.At.AddDate(0, 0, days)
	row := tenantq.InsertEvidenceParams{
		ID: id, CeremonyID: in.CeremonyID, At: in.At, Outcome: in.Outcome, Reason: in.Reason, UserID: in.UserID,
		Trust: "NONE", PolicyVersion: int32(in.PolicyVersion), //nolint:gosec // an integer column
		Size: int32(len(raw)), RecordKey: sealedKey, KeyVersion: int64(version), Body: body, //nolint:gosec // at most maxRecordBytes
		RetentionDays: int32(days), ExpiresAt: expires, DueAt: expires, //nolint:gosec // at most 3650
	}
	if s.objects != nil {
		row.DueAt = tx.Now()
	}
	sum := sha256.Sum256(raw)
	row.Sha256 = sum[:]
	if v := r.Verified; v != nil {
		row.CredentialID, row.Aaguid, row.Format = v.CredentialID, v.AAGUID, v.Attestation.Format
	}
	if r.Verdict != nil {
		row.Trust, row.MdsNumber = string(r.Verdict.Trust), int32(r.Verdict.MDSNumber) //nolint:gosec // at most 1<<30
	}
	if err := tx.InsertEvidence(ctx, row); err != nil {
		return Kept{}, fmt.Errorf("insert evidence: %w", err)
	}
	return Kept{ID: id, SHA256: sum}, nil
}

func (in *Registration) record(id, tenant uuid.UUID) *Record {
	r := &Record{
		Format: Format, ID: id, TenantID: tenant, CeremonyID: in.CeremonyID, At: in.At.UTC(),
		Outcome: in.Outcome, Reason: in.Reason, UserID: in.UserID,
		Expected: expectedOf(in.RP, in.Expectation), Response: responseOf(in.Response), Verified: verifiedOf(in.Verified),
		Verdict: in.Verdict, Metadata: in.Metadata, PolicyVersion: in.PolicyVersion, Facts: in.Facts,
	}
	for i := range in.Roots {
		if root := &in.Roots[i]; root.Certificate != nil {
			r.Roots = append(r.Roots, Root{ID: root.ID, Certificate: root.Certificate.Raw, AAGUIDs: root.AAGUIDs})
		}
	}
	return r
}

// Lost says that the evidence of a refusal could not be kept. An acceptance without its
// evidence does not happen; a refusal without it does, and must not go unnoticed.
func (s *Service) Lost(ctx context.Context, sc scope.Scope, err error) {
	s.lost.Add(1)
	s.log.ErrorContext(ctx, "the evidence of a refused registration is lost", "err", err, "tenant", sc.Tenant())
}

// Stats counts what should not happen, since this server started.
type Stats struct {
	Lost      int64 // refusals whose evidence could not be kept
	Postponed int64 // pieces that object storage did not take or remove when they were due, each time
}

// Stats is safe to call at any time.
func (s *Service) Stats() Stats { return Stats{Lost: s.lost.Load(), Postponed: s.postponed.Load()} }
