package risk

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of versions. Each Reason is part of the public API.
var (
	ErrVersion = fault.New(fault.NotFound, "RISK_RULES_VERSION_UNKNOWN", "the risk rules have no such version")
	ErrReason  = fault.New(fault.Invalid, "RISK_REASON_INVALID", "a reason has up to 256 characters")
)

const maxReason = 256

// RulesVersion is one version of a tenant's rules, which never changes.
type RulesVersion struct {
	Version   int // 0: the tenant wrote none, and Document is Default
	Document  Document
	Reason    string    // may be empty
	CreatedBy string    // kind:id of the actor; empty for version 0
	CreatedAt time.Time // zero for version 0
	ETag      string    // without quotes
}

// Rules returns the tenant's rules as they are now.
func (s *Service) Rules(ctx context.Context, sc scope.Scope) (RulesVersion, error) {
	var found RulesVersion
	err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		found, err = readRules(ctx, tx)
		return err
	})
	return found, err
}

// RulesVersion returns one version. ErrVersion.
func (s *Service) RulesVersion(ctx context.Context, sc scope.Scope, version int) (RulesVersion, error) {
	var found RulesVersion
	err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		found, err = readVersion(ctx, tx, version)
		return err
	})
	return found, err
}

// RulesVersions returns one page of the versions, the newest first. It takes no filter. listing.ErrFilter, listing.ErrPageToken.
func (s *Service) RulesVersions(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[RulesVersion], error) {
	var page listing.Page[RulesVersion]
	if req.Filter != "" {
		return page, listing.ErrFilter.WithMessage("versions of risk rules take no filter")
	}
	ring, err := s.o.Keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "risk rules"}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	limit := req.Limit()
	params := tenantq.ListRiskRulesetsParams{MaxRows: int32(limit) + 1} //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	if cursor != nil {
		if len(cursor) != 4 {
			return page, listing.ErrPageToken
		}
		before := int32(binary.BigEndian.Uint32(cursor)) //nolint:gosec // sealed by us, from an int32
		params.Before = &before
	}
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		page = listing.Page[RulesVersion]{}
		rows, err := tx.ListRiskRulesets(ctx, params)
		if err != nil {
			return fmt.Errorf("list risk rules: %w", err)
		}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, binary.BigEndian.AppendUint32(nil, uint32(rows[limit-1].Version))) //nolint:gosec // above 0
		}
		page.Items = make([]RulesVersion, len(rows))
		for i, row := range rows {
			if page.Items[i], err = versionFromRow(sc.Tenant(), tenantq.GetRiskRulesetRow(row)); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

// PutRulesRequest holds whole rules.
type PutRulesRequest struct {
	Document []byte // JSON, see Parse: absent members have their defaults
	Reason   string // for the history and the audit log: up to 256 characters; may be empty
	IfMatch  string // the ETag that the caller read; empty: whatever it is now
}

// PutRules makes req's document the next version of the tenant's rules, and returns it. Every server goes by it within
// a second. A document that says what the rules say already makes no version. ErrInvalid, ErrReason, etag.ErrMismatch.
func (s *Service) PutRules(ctx context.Context, sc scope.Scope, req PutRulesRequest) (RulesVersion, error) {
	ready, err := Parse(req.Document)
	if err != nil {
		return RulesVersion{}, err
	}
	return s.changeRules(ctx, sc, req.IfMatch, req.Reason, 0, func(context.Context, *db.TenantTx) (Document, error) { return ready.Document, nil })
}

// RollbackRules makes the document of an old version the next version, and returns it: history is not rewritten. ErrVersion, ErrInvalid
// where a signal or a variable of then is no more; PutRules's.
func (s *Service) RollbackRules(ctx context.Context, sc scope.Scope, version int, reason, ifMatch string) (RulesVersion, error) {
	return s.changeRules(ctx, sc, ifMatch, reason, version, func(ctx context.Context, tx *db.TenantTx) (Document, error) {
		old, err := readVersion(ctx, tx, version)
		if err != nil {
			return Document{}, err
		}
		_, err = Compile(old.Document)
		return old.Document, err
	})
}

func (s *Service) changeRules(
	ctx context.Context, sc scope.Scope, ifMatch, reason string, rolledBackTo int, next func(context.Context, *db.TenantTx) (Document, error),
) (RulesVersion, error) {
	if !isReason(reason) {
		return RulesVersion{}, ErrReason
	}
	var put RulesVersion
	err := s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two at once would make the same version.
		if err := tx.LockRiskRulesets(ctx); err != nil {
			return fmt.Errorf("lock risk rules: %w", err)
		}
		before, err := readRules(ctx, tx)
		if err != nil {
			return err
		}
		if err := etag.Match(ifMatch, before.ETag); err != nil {
			return err
		}
		document, err := next(ctx, tx)
		if err != nil {
			return err
		}
		if put, err = writeRules(ctx, tx, before, document, reason, rolledBackTo); err != nil {
			return err
		}
		tx.Result(put)
		return nil
	})
	if err != nil {
		return RulesVersion{}, err
	}
	s.rulesets.Forget(sc.Tenant(), "")
	s.recent.Forget(sc.Tenant(), "")
	return put, nil
}

func isReason(text string) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxReason
}

func writeRules(ctx context.Context, tx *db.TenantTx, before RulesVersion, document Document, reason string, rolledBackTo int) (RulesVersion, error) {
	was, err := json.Marshal(before.Document)
	if err != nil {
		return RulesVersion{}, fmt.Errorf("risk rules: %w", err)
	}
	is, err := json.Marshal(document)
	if err != nil {
		return RulesVersion{}, fmt.Errorf("risk rules: %w", err)
	}
	if string(was) == string(is) {
		return before, nil
	}
	version := int32(before.Version) + 1 //nolint:gosec // it came from an int32
	if err := tx.InsertRiskRuleset(ctx, tenantq.InsertRiskRulesetParams{
		Version: version, Document: is, Reason: reason, CreatedBy: tx.Scope().Actor().String(), CreatedAt: tx.Now(),
	}); err != nil {
		return RulesVersion{}, fmt.Errorf("insert risk rules: %w", err)
	}
	entry := audit.Entry{
		Action: "risk_rules.update", Reason: reason, Target: audit.Target{Kind: "risk_rules", ID: fmt.Sprint(version)},
		Before: append([]attr.Attr{attr.Int("version", int64(before.Version))}, outline(before.Document)...),
		After:  append([]attr.Attr{attr.Int("version", int64(version))}, outline(document)...),
	}
	if rolledBackTo > 0 {
		entry.Detail = []attr.Attr{attr.Int("rolledBackTo", int64(rolledBackTo))}
	}
	if err := audit.Append(ctx, tx, entry); err != nil {
		return RulesVersion{}, err
	}
	if err := event.Append(ctx, tx, event.Event{Type: event.RiskRulesChanged, Data: []attr.Attr{attr.Int("version", int64(version)), attr.Text("mode", string(document.Mode))}}); err != nil {
		return RulesVersion{}, err
	}
	if err := tx.Changed(ctx, db.NounRisk, ""); err != nil {
		return RulesVersion{}, err
	}
	return readRules(ctx, tx)
}

// outline is what an audit entry says of a document: the whole stands in its version.
func outline(d Document) []attr.Attr {
	enforced, shadowed := []string{}, []string{}
	for _, r := range d.Rules {
		if r.Mode == Enforce {
			enforced = append(enforced, r.ID)
		} else {
			shadowed = append(shadowed, r.ID)
		}
	}
	return []attr.Attr{
		attr.Text("mode", string(d.Mode)), attr.Int("stepUpScore", int64(d.StepUpScore)), attr.Int("denyScore", int64(d.DenyScore)),
		attr.Texts("rules", enforced), attr.Texts("shadowRules", shadowed),
	}
}

func readRules(ctx context.Context, tx *db.TenantTx) (RulesVersion, error) {
	row, err := tx.GetRiskRuleset(ctx)
	if db.IsNoRows(err) {
		id := tx.Scope().Tenant()
		return RulesVersion{Document: Default(), ETag: rulesETag(id, 0)}, nil
	} else if err != nil {
		return RulesVersion{}, fmt.Errorf("get risk rules: %w", err)
	}
	return versionFromRow(tx.Scope().Tenant(), row)
}

func readVersion(ctx context.Context, tx *db.TenantTx, version int) (RulesVersion, error) {
	if version < 1 || int(int32(version)) != version { //nolint:gosec // that is the question
		return RulesVersion{}, ErrVersion
	}
	row, err := tx.GetRiskRulesetVersion(ctx, int32(version)) //nolint:gosec // see above
	if db.IsNoRows(err) {
		return RulesVersion{}, ErrVersion
	} else if err != nil {
		return RulesVersion{}, fmt.Errorf("get risk rules %d: %w", version, err)
	}
	return versionFromRow(tx.Scope().Tenant(), tenantq.GetRiskRulesetRow(row))
}

func versionFromRow(tenant uuid.UUID, row tenantq.GetRiskRulesetRow) (RulesVersion, error) {
	v := RulesVersion{
		Version: int(row.Version), Document: Default(), Reason: row.Reason, CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt, ETag: rulesETag(tenant, row.Version),
	}
	if err := json.Unmarshal(row.Document, &v.Document); err != nil {
		return RulesVersion{}, fmt.Errorf("stored risk rules %d of tenant %s: %w", row.Version, tenant, err)
	}
	return v, nil
}

func rulesETag(tenant uuid.UUID, version int32) string {
	return etag.Of("risk rules", tenant[:], version)
}

// Ruleset returns the tenant's rules as they are now, ready: from memory, unless they have changed or it cannot be known.
// Rules of a release before that can no longer be compiled are off: nobody is kept from signing in by them.
func (s *Service) Ruleset(ctx context.Context, sc scope.Scope) (*Ruleset, error) {
	if r, ok := s.rulesets.Peek(sc.Tenant(), ""); ok {
		return r, nil
	}
	return s.rulesets.Get(ctx, sc.Tenant(), "", func(ctx context.Context) (*Ruleset, error) {
		found, err := s.Rules(ctx, sc)
		if err != nil {
			return nil, err
		}
		r, err := Compile(found.Document)
		if err != nil {
			s.log.ErrorContext(ctx, "stored risk rules are not valid any more: risk is off", "tenant", sc.Tenant(), "version", found.Version, "err", err)
			off := Default()
			if r, err = Compile(off); err != nil {
				return nil, fmt.Errorf("risk: %w", err)
			}
		}
		r.Version = found.Version
		return r, nil
	})
}

// JSON is a document as it is stored: every member, in one order.
func (d Document) JSON() []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // an expression is as it was written: no longer, and for people to read
	if err := enc.Encode(d); err != nil {
		return []byte("{}") // cannot be: texts, numbers and lists
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}
