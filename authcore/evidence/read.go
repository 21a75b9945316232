package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrMissing says that the row is there and the object is not: somebody removed it from
// the bucket.
var ErrMissing = fault.New(fault.Precondition, "EVIDENCE_MISSING", "object storage does not have this evidence any more")

// Evidence is what is known of a piece without opening it.
type Evidence struct {
	ID            uuid.UUID
	CeremonyID    uuid.UUID
	At            time.Time
	Outcome       string // ALLOW or FAILED
	Reason        string // of the refusal
	UserID        *uuid.UUID
	CredentialID  []byte // nil: the response did not verify
	AAGUID        uuid.UUID
	Format        string
	Trust         string
	MDSNumber     int
	PolicyVersion int
	SHA256        []byte
	Size          int
	StoredAt      *time.Time // since when object storage has it; nil: Postgres does
	ExpiresAt     time.Time
}

func fromRow(row tenantq.ListEvidenceRow) Evidence {
	return Evidence{
		ID: row.ID, CeremonyID: row.CeremonyID, At: row.At, Outcome: row.Outcome, Reason: row.Reason, UserID: row.UserID,
		CredentialID: row.CredentialID, AAGUID: row.Aaguid, Format: row.Format, Trust: row.Trust, MDSNumber: int(row.MdsNumber),
		PolicyVersion: int(row.PolicyVersion), SHA256: row.Sha256, Size: int(row.Size), StoredAt: row.StoredAt, ExpiresAt: row.ExpiresAt,
	}
}

// ParseID reads an id as the API prints it; ErrID.
func ParseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, ErrID
	}
	return id, nil
}

// List returns one page, the newest first. Filters: credentialId, userId, aaguid (=);
// outcome, trust (=, !=); createdAt (= < <= > >=). listing.ErrFilter, listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Evidence], error) {
	var page listing.Page[Evidence]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, none, err := listParams(req.Filter)
	if err != nil || none {
		return page, err
	}
	query := listing.Query{List: "evidence", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	if cursor != nil {
		before, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken
		}
		params.BeforeID = &before
	}
	limit := req.Limit()
	params.MaxRows = int32(limit) + 1 //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		params.Now = tx.Now()
		rows, err := tx.ListEvidence(ctx, params)
		if err != nil {
			return fmt.Errorf("list evidence: %w", err)
		}
		page = listing.Page[Evidence]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]Evidence, len(rows))
		for i, row := range rows {
			page.Items[i] = fromRow(row)
		}
		return nil
	})
	return page, err
}

// listParams reads a filter. none: what it asks for cannot be.
func listParams(filter string) (params tenantq.ListEvidenceParams, none bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, false, err
	}
	var at listing.Span
	var credentialID, userID, aaguid listing.Exact
	outcomes := listing.NewChoice("ALLOW", "STEP_UP", "DENY", "FAILED")
	trusts := listing.NewChoice("NONE", "SELF", "UNTRUSTED", "TENANT_ROOT", "MDS")
	for _, t := range terms {
		switch t.Field {
		case "credentialId":
			err = credentialID.Narrow(t)
		case "userId":
			err = userID.Narrow(t)
		case "aaguid":
			err = aaguid.Narrow(t)
		case "outcome":
			err = outcomes.Narrow(t)
		case "trust":
			err = trusts.Narrow(t)
		case "createdAt":
			err = at.Narrow(t)
		default:
			err = t.Refuse("expected one of credentialId, userId, aaguid, outcome, trust, createdAt")
		}
		if err == nil && t.Field == "credentialId" {
			if params.CredentialID, err = base64.RawURLEncoding.Strict().DecodeString(t.Literal); err != nil {
				err = t.Refuse("expected base64url without padding")
			}
		}
		if err == nil && (t.Field == "userId" || t.Field == "aaguid") {
			id, bad := uuid.Parse(t.Literal)
			if bad != nil {
				err = t.Refuse("expected a UUID")
			} else if t.Field == "userId" {
				params.UserID = &id
			} else {
				params.Aaguid = &id
			}
		}
		if err != nil {
			return params, false, err
		}
	}
	params.Outcomes, params.Trusts = outcomes.Left(), trusts.Left()
	params.AtFrom, params.AtBefore = at.From, at.Before
	return params, credentialID.Conflict || userID.Conflict || aaguid.Conflict, nil
}

// Get returns what is known of one piece. ErrNotFound also for another tenant's, and
// for what has been erased or has expired.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Evidence, error) {
	row, err := s.row(ctx, sc, id)
	if err != nil {
		return Evidence{}, err
	}
	return ofRow(row), nil
}

func ofRow(row tenantq.Evidence) Evidence {
	return fromRow(tenantq.ListEvidenceRow{
		ID: row.ID, CeremonyID: row.CeremonyID, At: row.At, Outcome: row.Outcome, Reason: row.Reason, UserID: row.UserID,
		CredentialID: row.CredentialID, Aaguid: row.Aaguid, Format: row.Format, Trust: row.Trust, MdsNumber: row.MdsNumber,
		PolicyVersion: row.PolicyVersion, Sha256: row.Sha256, Size: row.Size, StoredAt: row.StoredAt, ExpiresAt: row.ExpiresAt,
	})
}

func (s *Service) row(ctx context.Context, sc scope.Scope, id uuid.UUID) (tenantq.Evidence, error) {
	var row tenantq.Evidence
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		row, err = tx.GetEvidence(ctx, tenantq.GetEvidenceParams{ID: id, Now: tx.Now()})
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get evidence: %w", err)
		}
		return nil
	})
	return row, err
}

// Download opens a piece and signs it, for somebody who is to verify it elsewhere. That
// it was read is recorded. ErrNotFound, ErrMissing, blob.ErrUnavailable.
func (s *Service) Download(ctx context.Context, sc scope.Scope, id uuid.UUID) (Evidence, []byte, error) {
	row, raw, ring, err := s.open(ctx, sc, id)
	if err != nil {
		return Evidence{}, nil, err
	}
	if sum := sha256.Sum256(raw); !bytes.Equal(sum[:], row.Sha256) {
		return Evidence{}, nil, fmt.Errorf("evidence %s: its record has another SHA-256 than its row", id)
	}
	f, err := sign(ctx, ring, raw)
	if err != nil {
		return Evidence{}, nil, err
	}
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		return audit.Append(ctx, tx, audit.Entry{
			Action: "evidence.download", Target: audit.Target{Kind: "evidence", ID: id.String()},
			Detail: []attr.Attr{attr.Text("sha256", base64.RawURLEncoding.EncodeToString(row.Sha256))},
		})
	})
	if err != nil {
		return Evidence{}, nil, err
	}
	return ofRow(row), f.Encode(), nil
}

// Verify concludes again from a piece, at the time when it was made, what was concluded
// then. Errors are Download's.
func (s *Service) Verify(ctx context.Context, sc scope.Scope, id uuid.UUID) (Report, error) {
	row, raw, _, err := s.open(ctx, sc, id)
	if err != nil {
		return Report{}, err
	}
	return verifyRecord(raw, row.Sha256), nil
}

// open returns a piece's row and record, and the keys that opened it.
func (s *Service) open(ctx context.Context, sc scope.Scope, id uuid.UUID) (tenantq.Evidence, []byte, *keys.Ring, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return tenantq.Evidence{}, nil, nil, fmt.Errorf("keys: %w", err)
	}
	row, err := s.row(ctx, sc, id)
	if err != nil {
		return row, nil, nil, err
	}
	raw, err := s.Open(ctx, sc, ring, id, row.RecordKey, row.Body)
	if err != nil {
		return row, nil, nil, err
	}
	return row, raw, ring, nil
}

// Open returns the record of a piece whose row has recordKey and body; nil: object storage
// has it. ErrMissing, blob.ErrUnavailable; keys.ErrSealed when it does not open.
func (s *Service) Open(ctx context.Context, sc scope.Scope, ring *keys.Ring, id uuid.UUID, recordKey, body []byte) ([]byte, error) {
	if body == nil {
		if s.objects == nil {
			return nil, blob.ErrUnavailable.WithCause(errors.New("none is configured"))
		}
		var err error
		body, err = s.objects.Get(ctx, sc, objectKind, id)
		if errors.Is(err, blob.ErrNotFound) {
			return nil, ErrMissing.WithCause(fmt.Errorf("evidence %s: %w", id, err))
		} else if err != nil {
			return nil, err
		}
	}
	raw, err := open(ring, id, recordKey, body)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	return raw, nil
}
