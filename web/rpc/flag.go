package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// flags is what the handler needs of flag.Service.
type flags interface {
	Flags(ctx context.Context, sc scope.Scope, environment string) (*flag.Set, error)
	List(ctx context.Context, sc scope.Scope, environment string) ([]flag.Stored, error)
	Get(ctx context.Context, sc scope.Scope, key string) ([]flag.Stored, error)
	Create(ctx context.Context, sc scope.Scope, req flag.CreateRequest) (flag.Stored, error)
	Update(ctx context.Context, sc scope.Scope, req flag.UpdateRequest) (flag.Stored, error)
	Restore(ctx context.Context, sc scope.Scope, req flag.RestoreRequest) (flag.Stored, error)
	Delete(ctx context.Context, sc scope.Scope, req flag.DeleteRequest) error
	Usage(ctx context.Context, sc scope.Scope, environment string) (map[string]flag.Usage, error)
	Stale(ctx context.Context, sc scope.Scope, days int) ([]flag.Stale, error)
	Changes(ctx context.Context, sc scope.Scope, key string, req listing.Request) (listing.Page[flag.Change], error)
}

// FlagHandler serves FlagService.
type FlagHandler struct {
	adminv1connect.UnimplementedFlagServiceHandler
	flags flags
}

// NewFlagHandler returns a handler over s.
func NewFlagHandler(s *flag.Service) *FlagHandler { return &FlagHandler{flags: s} }

// ListFlags translates: one call, one answer.
func (h *FlagHandler) ListFlags(ctx context.Context, req *adminv1.ListFlagsRequest) (*adminv1.ListFlagsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.flags.List(ctx, sc, req.GetEnvironment())
	if err != nil {
		return nil, err
	}
	used, err := h.flags.Usage(ctx, sc, req.GetEnvironment())
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListFlagsResponse{}
	for i := range list {
		f, err := toFlag(&list[i])
		if err != nil {
			return nil, err
		}
		addUsage(f, used)
		res.Flags = append(res.Flags, f)
	}
	return res, nil
}

// GetFlag translates: one call, one answer.
func (h *FlagHandler) GetFlag(ctx context.Context, req *adminv1.GetFlagRequest) (*adminv1.Flag, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	environment, err := flag.Environment(req.GetEnvironment())
	if err != nil {
		return nil, err
	}
	all, err := h.flags.Get(ctx, sc, req.GetFlagKey())
	if err != nil {
		return nil, err
	}
	used, err := h.flags.Usage(ctx, sc, environment)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Environment == environment {
			f, err := toFlag(&all[i])
			addUsage(f, used)
			return f, err
		}
	}
	return nil, flag.ErrEnvironment
}

// addUsage says of a flag how it was evaluated.
func addUsage(f *adminv1.Flag, used map[string]flag.Usage) {
	u, ok := used[f.GetKey()]
	if !ok {
		return
	}
	f.LastEvaluatedAt = timestamp(*u.Last)
	for _, name := range slices.Sorted(maps.Keys(u.Served)) {
		f.Usage = append(f.Usage, &adminv1.FlagUsage{Variant: name, Served: u.Served[name]})
	}
}

// ReportStaleFlags translates: one call, one answer.
func (h *FlagHandler) ReportStaleFlags(ctx context.Context, req *adminv1.ReportStaleFlagsRequest) (*adminv1.ReportStaleFlagsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.flags.Stale(ctx, sc, int(req.GetDays()))
	if err != nil {
		return nil, err
	}
	res := &adminv1.ReportStaleFlagsResponse{}
	for i := range list {
		one := &adminv1.StaleFlag{FlagKey: list[i].Key, Name: list[i].Name, Owner: list[i].Owner, Variant: list[i].Variant}
		for _, reason := range list[i].Reasons {
			one.Reasons = append(one.Reasons, adminv1.StaleFlag_Reason(adminv1.StaleFlag_Reason_value[string(reason)]))
		}
		if list[i].Last != nil {
			one.LastEvaluatedAt = timestamp(*list[i].Last)
		}
		res.StaleFlags = append(res.StaleFlags, one)
	}
	return res, nil
}

// CreateFlag translates: one call, one answer.
func (h *FlagHandler) CreateFlag(ctx context.Context, req *adminv1.CreateFlagRequest) (*adminv1.Flag, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	day, err := fromDay(req.GetRemoveBy())
	if err != nil {
		return nil, err
	}
	variants, err := fromVariants(req.GetVariants())
	if err != nil {
		return nil, err
	}
	answers(ctx, flagAnswer)
	made, err := h.flags.Create(ctx, sc, flag.CreateRequest{
		Key: req.GetKey(), Type: fromFlagType(req.GetType()), Variants: variants, OffVariant: req.GetOffVariant(), DefaultVariant: req.GetDefaultVariant(),
		About:         flag.About{Name: req.GetName(), Description: req.GetDescription(), Owner: req.GetOwner(), RemoveBy: day},
		ClientVisible: req.GetClientVisible(), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return toFlag(&made)
}

// UpdateFlag changes the fields that are given; If-Match guards.
func (h *FlagHandler) UpdateFlag(ctx context.Context, req *adminv1.UpdateFlagRequest) (*adminv1.Flag, error) {
	change := flag.UpdateRequest{
		Key: req.GetFlagKey(), Environment: req.GetEnvironment(), Name: req.Name, Description: req.Description, Owner: req.Owner, ClientVisible: req.ClientVisible,
		Enabled: req.Enabled, OffVariant: req.OffVariant, DefaultVariant: req.DefaultVariant, Salt: req.Salt, Reason: req.GetReason(),
	}
	var err error
	if change.Variants, err = fromVariants(req.GetVariants()); err != nil {
		return nil, err
	}
	if req.RemoveBy != nil {
		day, err := fromDay(req.GetRemoveBy())
		if err != nil {
			return nil, err
		}
		change.RemoveBy = &day
	}
	return h.update(ctx, change)
}

// SetFlagRules replaces an environment's rules; If-Match guards.
func (h *FlagHandler) SetFlagRules(ctx context.Context, req *adminv1.SetFlagRulesRequest) (*adminv1.Flag, error) {
	rules := make([]flag.Rule, len(req.GetRules()))
	for i, r := range req.GetRules() {
		var err error
		if rules[i], err = fromRule(i, r); err != nil {
			return nil, err
		}
	}
	return h.update(ctx, flag.UpdateRequest{Key: req.GetFlagKey(), Environment: req.GetEnvironment(), Rules: &rules, Reason: req.GetReason()})
}

func (h *FlagHandler) update(ctx context.Context, change flag.UpdateRequest) (*adminv1.Flag, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if change.IfMatch, err = IfMatch(ctx); err != nil {
		return nil, err
	}
	answers(ctx, flagAnswer)
	f, err := h.flags.Update(ctx, sc, change)
	if err != nil {
		return nil, err
	}
	return toFlag(&f)
}

// RestoreFlag brings a former version back; If-Match guards.
func (h *FlagHandler) RestoreFlag(ctx context.Context, req *adminv1.RestoreFlagRequest) (*adminv1.Flag, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	change, err := uuid.Parse(req.GetChangeId())
	if err != nil {
		return nil, flag.ErrChangeNotFound
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, flagAnswer)
	f, err := h.flags.Restore(ctx, sc, flag.RestoreRequest{Key: req.GetFlagKey(), Change: change, Reason: req.GetReason(), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toFlag(&f)
}

// DeleteFlag removes a flag; If-Match guards.
func (h *FlagHandler) DeleteFlag(ctx context.Context, req *adminv1.DeleteFlagRequest) (*adminv1.DeleteFlagResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(flag.Stored) proto.Message { return &adminv1.DeleteFlagResponse{} })
	if err := h.flags.Delete(ctx, sc, flag.DeleteRequest{Key: req.GetFlagKey(), Reason: req.GetReason(), IfMatch: etag}); err != nil {
		return nil, err
	}
	return &adminv1.DeleteFlagResponse{}, nil
}

// ListFlagChanges translates: one call, one answer.
func (h *FlagHandler) ListFlagChanges(ctx context.Context, req *adminv1.ListFlagChangesRequest) (*adminv1.ListFlagChangesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.flags.Changes(ctx, sc, req.GetFlagKey(), listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListFlagChangesResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		c := &page.Items[i]
		out := &adminv1.FlagChange{
			Id: c.ID.String(), Environment: c.Environment, Action: adminv1.FlagChange_Action(adminv1.FlagChange_Action_value[string(c.Action)]),
			Reason: c.Reason, ChangedBy: c.ChangedBy, ChangedAt: timestamp(c.ChangedAt),
		}
		if out.Before, err = toDocument(c.Before); err != nil {
			return nil, err
		}
		if out.After, err = toDocument(c.After); err != nil {
			return nil, err
		}
		res.FlagChanges = append(res.FlagChanges, out)
	}
	return res, nil
}

// EvaluateFlag evaluates in memory, and says why.
func (h *FlagHandler) EvaluateFlag(ctx context.Context, req *adminv1.EvaluateFlagRequest) (*adminv1.EvaluateFlagResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	set, err := h.flags.Flags(ctx, sc, req.GetEnvironment())
	if err != nil {
		return nil, err
	}
	attributes := req.GetContext().AsMap()
	key, is := attributes[flag.TargetingKey].(string)
	if _, given := attributes[flag.TargetingKey]; given && !is {
		return nil, flag.ErrInvalid.WithMessage("context: a targeting key is a string").With("field", "context")
	}
	got := set.Explain(req.GetFlagKey(), &flag.Subject{Key: key, Attributes: attributes})
	if got.Code == flag.FlagNotFound {
		return nil, flag.ErrNotFound
	}
	res := &adminv1.EvaluateFlagResponse{Reason: string(got.Reason), ErrorCode: string(got.Code)}
	if got.Variant != nil {
		res.Variant = got.Variant.Name
		if res.Value, err = toValue(got.Variant.JSON); err != nil {
			return nil, err
		}
	}
	for _, s := range got.Steps {
		res.Steps = append(res.Steps, &adminv1.FlagStep{RuleId: s.Rule, Decided: s.Decided, Why: s.Why})
	}
	return res, nil
}

// flagAnswer is what a repeated call is answered.
func flagAnswer(f flag.Stored) proto.Message {
	res, err := toFlag(&f)
	if err != nil {
		return nil
	}
	return res
}

func fromFlagType(t adminv1.Flag_Type) flag.Type {
	if t == adminv1.Flag_TYPE_UNSPECIFIED {
		return ""
	}
	return flag.Type(t.String())
}

// fromDay reads a day as 2027-01-15; nil for none.
func fromDay(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // documented: none
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, flag.ErrInvalid.WithMessage("removeBy: a day is written as 2027-01-15").With("field", "removeBy")
	}
	return &day, nil
}

func fromVariants(in map[string]*structpb.Value) (map[string]json.RawMessage, error) {
	if len(in) == 0 {
		return nil, nil //nolint:nilnil // none are given
	}
	out := make(map[string]json.RawMessage, len(in))
	for name, value := range in {
		text, err := protojson.Marshal(value)
		if err != nil { // not a number, or endless
			return nil, flag.ErrInvalid.WithMessage("variants."+name+": no value that JSON has").With("field", "variants."+name)
		}
		out[name] = text
	}
	return out, nil
}

func fromRule(i int, r *adminv1.FlagRule) (flag.Rule, error) {
	out := flag.Rule{ID: r.GetId(), Variant: r.GetVariant(), By: r.GetBy()}
	for j, s := range r.GetRollout() {
		w, ok := flag.ParseWeight(s.GetWeight())
		if !ok {
			at := fmt.Sprintf("rules[%d].rollout[%d].weight", i, j)
			return flag.Rule{}, flag.ErrInvalid.WithMessage(at+": a weight is 0 to 100 percent, with at most three decimals").With("field", at)
		}
		out.Rollout = append(out.Rollout, flag.Share{Variant: s.GetVariant(), Weight: w})
	}
	if r.GetWhen() != nil {
		if out.When = fromCondition(r.GetWhen()); out.When.IsZero() {
			at := fmt.Sprintf("rules[%d].when", i)
			return flag.Rule{}, flag.ErrInvalid.WithMessage(at+": a condition that asks nothing: leave it out to match everybody").With("field", at)
		}
	}
	return out, nil
}

func fromCondition(c *adminv1.FlagCondition) flag.Condition {
	out := flag.Condition{Segment: c.GetSegment(), Attribute: c.GetAttribute(), Operator: flag.Operator(c.GetOperator())}
	for _, v := range c.GetValues() {
		out.Values = append(out.Values, v.AsInterface())
	}
	for _, one := range c.GetAll() {
		out.All = append(out.All, fromCondition(one))
	}
	for _, one := range c.GetAny() {
		out.Any = append(out.Any, fromCondition(one))
	}
	if c.GetNot() != nil {
		not := fromCondition(c.GetNot())
		out.Not = &not
	}
	return out
}

func toFlag(f *flag.Stored) (*adminv1.Flag, error) {
	res := &adminv1.Flag{
		Key: f.Key, Type: adminv1.Flag_Type(adminv1.Flag_Type_value[string(f.Type)]), Name: f.Name, Description: f.Description, Owner: f.Owner, RemoveBy: toDay(f.RemoveBy),
		Variants: map[string]*structpb.Value{}, ClientVisible: f.ClientVisible, Environment: f.Environment, Enabled: f.Enabled, OffVariant: f.OffVariant, DefaultVariant: f.DefaultVariant,
		Salt: f.Salt, CreatedBy: f.CreatedBy, CreatedAt: timestamp(f.CreatedAt), UpdatedBy: f.UpdatedBy, UpdatedAt: timestamp(f.UpdatedAt), Etag: f.ETag,
	}
	for name, text := range f.Variants {
		value, err := toValue(text)
		if err != nil {
			return nil, err
		}
		res.Variants[name] = value
	}
	for i := range f.Rules {
		r := &f.Rules[i]
		out := &adminv1.FlagRule{Id: r.ID, Variant: r.Variant, By: r.By}
		for _, s := range r.Rollout {
			out.Rollout = append(out.Rollout, &adminv1.FlagShare{Variant: s.Variant, Weight: s.Weight.Percent()})
		}
		if !r.When.IsZero() {
			var err error
			if out.When, err = toCondition(&r.When); err != nil {
				return nil, err
			}
		}
		res.Rules = append(res.Rules, out)
	}
	return res, nil
}

func toCondition(c *flag.Condition) (*adminv1.FlagCondition, error) {
	res := &adminv1.FlagCondition{Segment: c.Segment, Attribute: c.Attribute, Operator: string(c.Operator)}
	for _, v := range c.Values {
		value, err := structpb.NewValue(v)
		if err != nil {
			return nil, fmt.Errorf("value of a condition: %w", err)
		}
		res.Values = append(res.Values, value)
	}
	for _, list := range []struct {
		from []flag.Condition
		to   *[]*adminv1.FlagCondition
	}{{c.All, &res.All}, {c.Any, &res.Any}} {
		for i := range list.from {
			one, err := toCondition(&list.from[i])
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, one)
		}
	}
	var err error
	if c.Not != nil {
		res.Not, err = toCondition(c.Not)
	}
	return res, err
}

func toDay(day *time.Time) string {
	if day == nil {
		return ""
	}
	return day.Format(time.DateOnly)
}

func toValue(text json.RawMessage) (*structpb.Value, error) {
	value := &structpb.Value{}
	if err := protojson.Unmarshal(text, value); err != nil {
		return nil, fmt.Errorf("stored value: %w", err)
	}
	return value, nil
}

// toDocument is a flag as its history keeps it; nil for none.
func toDocument[T flag.Document | flag.SegmentDocument](d *T) (*structpb.Struct, error) {
	if d == nil {
		return nil, nil //nolint:nilnil // documented: none
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	out := &structpb.Struct{}
	if err := protojson.Unmarshal(text, out); err != nil {
		return nil, fmt.Errorf("document of a change: %w", err)
	}
	return out, nil
}
