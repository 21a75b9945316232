// Package debugger tells what happened in ceremonies, for those who must find out why
// somebody could not sign in: which steps of WebAuthn a ceremony passed, at which one it
// ended, why, how to mend that, and where the time went. It reads what package ceremony
// has written, and decides nothing.
package debugger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrNotFound is what another tenant's ceremony is, too.
var ErrNotFound = fault.New(fault.NotFound, "CEREMONY_UNKNOWN", "no such ceremony")

// Kind is what a ceremony is for.
type Kind string

// The kinds.
const (
	Registration   Kind = "REGISTRATION"
	Authentication Kind = "AUTHENTICATION"
)

// Outcome is how a ceremony ended.
type Outcome string

// The outcomes: what policy decided of a good response, or Failed when the caller got an error.
const (
	Allow  Outcome = "ALLOW"
	StepUp Outcome = "STEP_UP"
	Deny   Outcome = "DENY"
	Failed Outcome = "FAILED"
)

// Ceremony is one that was finished, well or not.
type Ceremony struct {
	ID            uuid.UUID
	At            time.Time
	Kind          Kind
	Outcome       Outcome
	Reason        string         // why it is not Allow; of an Allow, what policy let in although it is odd; else ""
	UserID        *user.ID       // nil when nobody knows
	CredentialID  credential.ID  // that the response named; empty for none
	PolicyVersion int            // 0: it did not come so far
	Latency       *time.Duration // of finish, without the commit; nil: not measured
	TraceID       string
	RequestID     string
	Browser       string     // as "Chrome 141 on Windows"; empty when not known
	APIKeyID      *uuid.UUID // of the call that finished it
	Repeats       int        // further ones alike of the same minute, without rows of their own
	Facts         Facts
}

// Facts is what was known, as far as the debugger shows it: docs/facts.md. A pointer is nil
// where a release before did not say.
type Facts struct {
	ClientType  string
	Origin      string
	TopOrigin   string
	CrossOrigin bool
	Flags       *uint8
	SignCount   *uint32
	AAGUID      uuid.UUID
	Step        int  // that failed, of §7.1 or §7.2; 0 for none of them
	UserHandle  bool // the response that was refused had one
	TookUs      []int32

	UserPresent, UserVerified, BackupEligible, BackedUp bool

	AttestationFormat, AttestationType, Trust, Certification string
	AAL                                                      int
	Purpose, Via                                             string
	Identified, SteppedUp, Publishable, Conditional          bool
	BegunPolicyVersion                                       int

	// JSON is the whole of it, as it is stored.
	JSON json.RawMessage
}

// Reader reads ceremonies. It is safe for concurrent use.
type Reader struct {
	store *db.Store
	keys  *keys.Service
}

// NewReader returns a Reader; both services are required.
func NewReader(store *db.Store, k *keys.Service) *Reader { return &Reader{store: store, keys: k} }

// Get returns one ceremony. ErrNotFound for another tenant's as well.
func (r *Reader) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Ceremony, error) {
	minted := time.Unix(id.Time().UnixTime()).UTC()
	var c Ceremony
	err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Rows are kept by time. The id tells when it was minted: moments before the row
		// was written, unless the clocks of server and database were apart.
		for _, span := range []time.Duration{2 * time.Minute, 26 * time.Hour} {
			row, err := tx.GetCeremony(ctx, tenantq.GetCeremonyParams{ID: id, Since: minted.Add(-span), Until: minted.Add(span)})
			if db.IsNoRows(err) {
				continue
			} else if err != nil {
				return fmt.Errorf("get ceremony: %w", err)
			}
			c, err = fromRow(row)
			return err
		}
		return ErrNotFound
	})
	return c, err
}

// ParseID reads the id of a ceremony. ErrNotFound for what is none.
func ParseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.Version() != 7 {
		return uuid.Nil, ErrNotFound
	}
	return id, nil
}

func fromRow(row tenantq.Ceremony) (Ceremony, error) {
	c := Ceremony{
		ID: row.ID, At: row.At, Kind: Kind(row.Kind), Outcome: Outcome(row.Outcome), Reason: row.Reason,
		CredentialID: credential.ID(row.CredentialID), PolicyVersion: int(row.PolicyVersion),
		TraceID: row.TraceID, RequestID: row.RequestID, Browser: row.Browser, APIKeyID: row.ApiKeyID,
	}
	if row.UserID != nil {
		id := user.ID(*row.UserID)
		c.UserID = &id
	}
	if row.LatencyUs != nil {
		d := time.Duration(*row.LatencyUs) * time.Microsecond
		c.Latency = &d
	}
	if row.Repeats != nil {
		c.Repeats = int(*row.Repeats)
	}
	if err := json.Unmarshal([]byte(row.Facts), &c.Facts); err != nil { //nolint:musttag // names match whatever their case
		return c, fmt.Errorf("facts of ceremony %s: %w", row.ID, err)
	}
	c.Facts.JSON = json.RawMessage(row.Facts)
	return c, nil
}

// maxScanned is how many ceremonies one page looks at: a filter may match few of them, and
// the page is then short or empty while NextToken goes on.
const maxScanned = 20_000

// List returns one page of the tenant's ceremonies, the newest first. Filters: kind and
// outcome (=, !=), reason, userId, credentialId, aaguid, traceId, requestId (=), time
// (= < <= > >=). A page may hold fewer than asked for and yet have a next one.
// listing.ErrFilter, listing.ErrPageToken.
func (r *Reader) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Ceremony], error) {
	var page listing.Page[Ceremony]
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	f, err := parseFilter(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "ceremonies", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	if cursor != nil {
		if f.params.BeforeAt, f.params.BeforeID, err = openCursor(cursor); err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
	}
	if f.none {
		return page, nil
	}
	limit := req.Limit()
	f.params.MaxRows = int32(limit) + 1 //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		page = listing.Page[Ceremony]{}
		rows, err := f.find(ctx, tx)
		if err != nil {
			return fmt.Errorf("find ceremonies: %w", err)
		}
		more := len(rows) > limit
		if more {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, sealCursor(rows[limit-1].At, rows[limit-1].ID))
		}
		page.Items = make([]Ceremony, len(rows))
		for i, row := range rows {
			if page.Items[i], err = fromRow(row); err != nil {
				return err
			}
		}
		if more {
			return nil
		}
		at, id, err := f.end(ctx, tx)
		if db.IsNoRows(err) {
			return nil // all were looked at
		} else if err != nil {
			return fmt.Errorf("end of ceremonies: %w", err)
		}
		page.NextToken = listing.Seal(ring, query, sealCursor(at, id))
		return nil
	})
	return page, err
}
