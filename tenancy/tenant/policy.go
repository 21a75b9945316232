package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// PolicyVersion is one version of a tenant's policy, which never changes.
type PolicyVersion struct {
	Version   int
	Document  policy.Document
	CreatedBy string    // kind:id of the actor; empty for the platform's
	CreatedAt time.Time // zero for the platform's
	ETag      string    // without quotes
}

// Policy returns the policy that the tenant goes by, as it is now. ErrNotFound.
func (s *Service) Policy(ctx context.Context, sc scope.Scope) (PolicyVersion, error) {
	var found PolicyVersion
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetTenant(ctx)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		found, err = readPolicy(ctx, tx, row.PolicyVersion)
		return err
	})
	return found, err
}

// PutPolicyRequest holds a whole policy.
type PutPolicyRequest struct {
	Document []byte // JSON, see policy.Parse: absent fields have their defaults
	Reason   string // for the audit log; may be empty
	IfMatch  string // the ETag that the caller read; empty: whatever it is now
}

// PutPolicy makes req's document the next version of the tenant's policy, and returns
// it. Every server goes by it within a second, and keys follow when they are looked
// at next. A document that says what the policy says already leaves no trace.
// policy.ErrInvalid, keys.ErrNoSigner, etag.ErrMismatch, ErrDeleting.
//
// It runs behind the wall as UpdateSettings does.
func (s *Service) PutPolicy(ctx context.Context, sc scope.Scope, req PutPolicyRequest) (PolicyVersion, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return PolicyVersion{}, ErrNotFound // whatever the document is
	}
	document, err := policy.Parse(req.Document)
	if err != nil {
		return PolicyVersion{}, err
	}
	return s.changePolicy(ctx, sc, req.IfMatch, req.Reason, func(context.Context, *db.TenantTx, policy.Document) (policy.Document, []attr.Attr, error) {
		return document, nil, nil
	})
}

// changePolicy makes what next returns the next version of the policy. next is given the one
// in force, runs behind the tenant's lock, and tells what the audit entry says beside the difference.
func (s *Service) changePolicy(
	ctx context.Context, sc scope.Scope, ifMatch, reason string,
	next func(ctx context.Context, tx *db.TenantTx, now policy.Document) (policy.Document, []attr.Attr, error),
) (PolicyVersion, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return PolicyVersion{}, ErrNotFound
	}
	if err := checkReason(reason); err != nil {
		return PolicyVersion{}, err
	}
	var put PolicyVersion
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two at once would make the same version, so the row is the lock.
		row, err := tx.LockTenant(ctx, sc.Tenant())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		if State(row.State) == Deleting {
			return ErrDeleting
		}
		before, err := readPolicy(ctx, tx, row.PolicyVersion)
		if err != nil {
			return err
		}
		if err := etag.Match(ifMatch, before.ETag); err != nil {
			return err
		}
		document, detail, err := next(ctx, tx, before.Document)
		if err != nil {
			return err
		}
		if document.SigningKeyLocation == policy.KeysInKMS && !s.keys.SignsInKMS() {
			return keys.ErrNoSigner // now, and not in the log of whoever makes the next key
		}
		if put, err = s.writePolicy(ctx, tx, before, document, audit.Entry{Reason: reason, Detail: detail}); err != nil {
			return err
		}
		tx.Result(put)
		return nil
	})
	if err != nil {
		return PolicyVersion{}, err
	}
	s.current.Forget(sc.Tenant(), "") // as UpdateSettings
	return put, nil
}

// writePolicy stores document as the version after before, with all that a change
// leaves behind, unless they say the same. entry says what else goes into the audit log.
func (s *Service) writePolicy(ctx context.Context, tx *db.TenantTx, before PolicyVersion, document policy.Document, entry audit.Entry) (PolicyVersion, error) {
	from, to, err := policyDifferences(before.Document, document)
	if err != nil {
		return PolicyVersion{}, err
	}
	if len(to) == 0 {
		return before, nil
	}
	version := int32(before.Version) + 1 //nolint:gosec // it came from an int32
	if err := insertPolicy(ctx, tx, version, document); err != nil {
		return PolicyVersion{}, err
	}
	id := tx.Scope().Tenant()
	if err := tx.SetPolicyVersion(ctx, tenantq.SetPolicyVersionParams{ID: id, PolicyVersion: version, Now: tx.Now()}); err != nil {
		return PolicyVersion{}, fmt.Errorf("set policy version: %w", err)
	}
	entry.Action = "policy.update"
	entry.Before = append([]attr.Attr{attr.Int("version", int64(before.Version))}, from...)
	entry.After = append([]attr.Attr{attr.Int("version", int64(version))}, to...)
	if err := s.record(ctx, tx, event.PolicyChanged, entry); err != nil {
		return PolicyVersion{}, err
	}
	return readPolicy(ctx, tx, version)
}

// readPolicy returns a version of the tenant's policy.
func readPolicy(ctx context.Context, tx *db.TenantTx, version int32) (PolicyVersion, error) {
	id := tx.Scope().Tenant()
	stored, err := tx.GetPolicy(ctx, version)
	if db.IsNoRows(err) && id == scope.PlatformTenant {
		// A migration makes this tenant, without a policy.
		return PolicyVersion{Version: int(version), ETag: policyETag(id, version), Document: policy.Default()}, nil
	} else if err != nil {
		return PolicyVersion{}, fmt.Errorf("get policy %d: %w", version, err)
	}
	return policyFromRow(id, stored)
}

// policyFromRow is the version in a row.
func policyFromRow(id uuid.UUID, row tenantq.GetPolicyRow) (PolicyVersion, error) {
	found := PolicyVersion{Version: int(row.Version), ETag: policyETag(id, row.Version), CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt}
	var err error
	if found.Document, err = policy.ParseStored(row.Document); err != nil {
		// Not the caller's fault: hidden from the edge, which would send it.
		return PolicyVersion{}, fmt.Errorf("stored policy %d of tenant %s: %v", row.Version, id, err) //nolint:errorlint // see above
	}
	return found, nil
}

func policyETag(tenant uuid.UUID, version int32) string { return etag.Of("policy", tenant[:], version) }

// policyDifferences are the fields that differ, by the names of the document.
func policyDifferences(a, b policy.Document) (before, after []attr.Attr, err error) {
	err = policy.Differences(a, b, func(field string, was, is json.RawMessage) {
		before, after = append(before, valueOf(field, was)), append(after, valueOf(field, is))
	})
	return before, after, err
}

// valueOf is a field's value as an audit entry has it: lists are of texts.
func valueOf(field string, text json.RawMessage) attr.Attr {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return attr.Text(field, string(text)) // cannot be: policy made it
	}
	switch v := value.(type) {
	case bool:
		return attr.Bool(field, v)
	case float64:
		return attr.Int(field, int64(v))
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			list[i] = fmt.Sprint(e)
		}
		return attr.Texts(field, list)
	default:
		return attr.Text(field, fmt.Sprint(v))
	}
}
