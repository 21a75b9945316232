package flag

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service, beside ErrInvalid. Each Reason is part of the public API.
var (
	ErrNotFound       = fault.New(fault.NotFound, "FLAG_UNKNOWN", "no such flag")
	ErrEnvironment    = fault.New(fault.NotFound, "FLAG_ENVIRONMENT_UNKNOWN", "no such environment")
	ErrTaken          = fault.New(fault.Conflict, "FLAG_KEY_TAKEN", "there is a flag of this key")
	ErrTooMany        = fault.New(fault.Precondition, "TOO_MANY_FLAGS", "there are 1000 flags, which is the limit: delete one that is no longer read")
	ErrChangeNotFound = fault.New(fault.NotFound, "FLAG_CHANGE_UNKNOWN", "no such change of this flag, or it left nothing that could come back")
	ErrReason         = fault.New(fault.Invalid, "REASON_REQUIRED", "say why: a reason of 1 to 256 characters")
)

const (
	maxFlags    = 1000     // of a tenant: one snapshot has them all
	maxDocument = 64 << 10 // bytes of all variants, and of all rules, as JSON
	maxLine     = 128      // characters of a name, an owner
	// A snapshot is as old as cacheLife although nothing announced a change.
	cacheLife = 10 * time.Minute
	maxCached = 20_000 // environments of tenants
)

// Environments returns where a tenant's applications run: a flag is told in each of them apart. The first
// is meant where none is named.
func Environments() []string { return []string{"production", "staging", "development"} }

// Environment returns the environment that name means: the first for none. ErrEnvironment.
func Environment(name string) (string, error) {
	switch {
	case name == "":
		return Environments()[0], nil
	case slices.Contains(Environments(), name):
		return name, nil
	}
	return "", ErrEnvironment.WithMessage(fmt.Sprintf("there is no environment %q%s", cut(name), fault.Hint(name, Environments())))
}

// About is what people read of a flag, the same in every environment.
type About struct {
	Name        string     `json:"name"`        // 1 to 128 characters
	Description string     `json:"description"` // up to 1000; may be empty
	Owner       string     `json:"owner"`       // whom to ask: up to 128; may be empty
	RemoveBy    *time.Time `json:"removeBy"`    // the day by which it should be gone; nil: it is to stay
}

// Stored is a flag as it is in one environment, with what is kept beside it.
type Stored struct {
	Flag
	About

	Environment string
	CreatedBy   string // kind:id
	CreatedAt   time.Time
	UpdatedBy   string // of the last change in this environment, or of the flag itself
	UpdatedAt   time.Time
	ETag        string // changes with either; without quotes
}

// Service keeps flags. It is safe for concurrent use.
type Service struct {
	store *db.Store
	keys  *keys.Service
	sets  *db.Cache[*Set]

	members *db.Cache[memberships] // which sets are made of
	tallies tallies
}

// New returns a Service.
func New(store *db.Store, ks *keys.Service) *Service {
	return &Service{
		store: store, keys: ks, sets: db.NewCache[*Set](store, db.NounFlag, maxCached, cacheLife),
		members: db.NewCache[memberships](store, db.NounSegment, maxCached, cacheLife),
		tallies: tallies{all: map[uuid.UUID]*tally{}},
	}
}

// Flags returns all flags of an environment, compiled: from memory, unless one has changed or it cannot be known.
// ErrEnvironment.
func (s *Service) Flags(ctx context.Context, sc scope.Scope, environment string) (*Set, error) {
	environment, err := Environment(environment)
	if err != nil {
		return nil, err
	}
	if set, ok := s.sets.Peek(sc.Tenant(), environment); ok {
		return set, nil
	}
	return s.sets.Get(ctx, sc.Tenant(), environment, func(ctx context.Context) (*Set, error) {
		stored, segments, err := s.snapshot(ctx, sc, environment)
		if err != nil {
			return nil, err
		}
		flags := make([]Flag, len(stored))
		for i := range stored {
			flags[i] = stored[i].Flag
		}
		if segments, err = s.listed(ctx, sc, segments); err != nil {
			return nil, err
		}
		set, err := Compile(flags, segments)
		if err != nil {
			return nil, fmt.Errorf("stored flags of tenant %s: %v", sc.Tenant(), err) //nolint:errorlint // it was valid when it was stored: not the caller's to mend
		}
		s.tallies.attach(sc.Tenant(), environment, set, s.store.Now())
		return set, nil
	})
}

// snapshot reads the flags of an environment and the segments that their rules ask for, of one moment: no segment comes or goes meanwhile.
func (s *Service) snapshot(ctx context.Context, sc scope.Scope, environment string) (flags []Stored, groups []Segment, err error) {
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		if groups, err = hold(ctx, tx); err != nil {
			return err
		}
		flags, err = list(ctx, tx, environment)
		return err
	})
	return flags, groups, err
}

// List returns all of the tenant's flags as they are in an environment, by key: at most 1000. ErrEnvironment.
func (s *Service) List(ctx context.Context, sc scope.Scope, environment string) ([]Stored, error) {
	environment, err := Environment(environment)
	if err != nil {
		return nil, err
	}
	var out []Stored
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		out, err = list(ctx, tx, environment)
		return err
	})
	return out, err
}

func list(ctx context.Context, tx *db.TenantTx, environment string) ([]Stored, error) {
	rows, err := tx.ListFlags(ctx, environment)
	if err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	return each(rows, func(r *tenantq.ListFlagsRow) (Stored, error) { return fromRow(&r.Flag, &r.FlagTargeting) })
}

// Get returns a flag as it is in each environment, in their order. Another tenant's is ErrNotFound.
func (s *Service) Get(ctx context.Context, sc scope.Scope, key string) ([]Stored, error) {
	var out []Stored
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		out, err = get(ctx, tx, key)
		return err
	})
	return out, err
}

func get(ctx context.Context, tx *db.TenantTx, key string) ([]Stored, error) {
	rows, err := tx.GetFlag(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get flag: %w", err)
	}
	if len(rows) == 0 {
		return nil, ErrNotFound
	}
	out := make([]Stored, len(rows))
	for i := range rows {
		if out[i], err = fromRow(&rows[i].Flag, &rows[i].FlagTargeting); err != nil {
			return nil, err
		}
	}
	order := Environments()
	slices.SortFunc(out, func(a, b Stored) int { return slices.Index(order, a.Environment) - slices.Index(order, b.Environment) })
	return out, nil
}

// CreateRequest is a flag to make: off in every environment, without rules.
type CreateRequest struct {
	About

	Key            string
	Type           Type
	Variants       map[string]json.RawMessage // none, of Boolean: on and off
	OffVariant     string                     // empty, where Variants has none, or off: off
	DefaultVariant string                     // empty: as OffVariant
	ClientVisible  bool
	Reason         string // for its history: up to 256 characters, or empty
}

// Create makes a flag and returns it as it is in the first environment. ErrInvalid, ErrTaken, ErrTooMany, ErrReason.
func (s *Service) Create(ctx context.Context, sc scope.Scope, req CreateRequest) (Stored, error) {
	if err := req.About.clean(); err != nil {
		return Stored{}, err
	}
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return Stored{}, ErrReason
	}
	if err := checkReserved(req.Key); err != nil {
		return Stored{}, err
	}
	if len(req.Variants) == 0 && req.Type == Boolean {
		req.Variants = map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}
	}
	if _, ok := req.Variants["off"]; ok && req.OffVariant == "" {
		req.OffVariant = "off"
	}
	if req.DefaultVariant == "" {
		req.DefaultVariant = req.OffVariant
	}
	made := Stored{
		Flag: Flag{
			Key: req.Key, Type: req.Type, Variants: req.Variants, OffVariant: req.OffVariant, DefaultVariant: req.DefaultVariant,
			Rules: []Rule{}, Salt: newSalt(), ClientVisible: req.ClientVisible,
		},
		About: req.About, Environment: Environments()[0],
	}
	if err := made.Check(nil); err != nil {
		return Stored{}, err
	}
	variants, rules, err := made.encode()
	if err != nil {
		return Stored{}, err
	}
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two at once could each count the other out, and together exceed the limit.
		if err := tx.LockFlags(ctx); err != nil {
			return fmt.Errorf("lock flags: %w", err)
		}
		if n, err := tx.CountFlags(ctx); err != nil {
			return fmt.Errorf("count flags: %w", err)
		} else if n >= maxFlags {
			return ErrTooMany
		}
		if err := together(ctx, tx, &made, len(variants), 0); err != nil {
			return err
		}
		by, now := sc.Actor().String(), tx.Now().Truncate(time.Microsecond)
		switch n, err := tx.InsertFlag(ctx, tenantq.InsertFlagParams{
			Key: made.Key, Type: string(made.Type), Name: made.Name, Description: made.Description, Owner: made.Owner, RemoveBy: made.RemoveBy,
			Variants: variants, ClientVisible: made.ClientVisible, By: by, Now: now,
		}); {
		case err != nil:
			return fmt.Errorf("insert flag: %w", err)
		case n == 0:
			return ErrTaken
		}
		for _, environment := range Environments() {
			if err := tx.InsertFlagTargeting(ctx, tenantq.InsertFlagTargetingParams{
				FlagKey: made.Key, Environment: environment, OffVariant: made.OffVariant, DefaultVariant: made.DefaultVariant, Rules: rules, Salt: made.Salt, By: by, Now: now,
			}); err != nil {
				return fmt.Errorf("insert targeting: %w", err)
			}
		}
		all, err := get(ctx, tx, made.Key)
		if err != nil {
			return err
		}
		made = all[0]
		tx.Result(made)
		return record(ctx, tx, change{action: created, after: &made, reason: req.Reason})
	})
	s.sets.Forget(sc.Tenant(), "")
	return made, err
}

// checkReserved refuses keys by which the console has pages of its own: nobody could open what is called so.
func checkReserved(key string) error {
	if key == "new" || key == "export" {
		return refuse("key", "%s is a page of the console: choose another key", key)
	}
	return nil
}

// UpdateRequest is what of a flag is to change; nil leaves it as it is. What its environments share changes in all of them.
type UpdateRequest struct {
	Key         string
	Environment string // where Enabled to Salt change; empty: the first

	Name, Description, Owner *string
	RemoveBy                 **time.Time
	Variants                 map[string]json.RawMessage // all of them
	ClientVisible            *bool

	Enabled                    *bool
	OffVariant, DefaultVariant *string
	Rules                      *[]Rule // all of them; one without an id gets one
	Salt                       *string // another deals everybody of a rollout anew

	Reason  string // for its history: up to 256 characters, or empty
	IfMatch string // the etag that the caller has read; empty: whatever it is

	restores uuid.UUID // the change of its history that it goes back to
}

// Update changes a flag and returns it as it is in that environment. An update that changes nothing leaves no trace.
// ErrNotFound, ErrEnvironment, ErrInvalid, ErrReason, etag.ErrMismatch.
func (s *Service) Update(ctx context.Context, sc scope.Scope, req UpdateRequest) (Stored, error) {
	environment, err := Environment(req.Environment)
	if err != nil {
		return Stored{}, err
	}
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return Stored{}, ErrReason
	}
	var out Stored
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		all, err := lock(ctx, tx, req.Key)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(one Stored) bool { return one.Environment == environment })
		before := all[at]
		if err := etag.Match(req.IfMatch, before.ETag); err != nil {
			return err
		}
		after, err := req.apply(before)
		if err != nil {
			return err
		}
		shared, here := before.differences(&after)
		if len(shared)+len(here) == 0 {
			out = before
			tx.Result(out)
			return nil
		}
		known, err := hold(ctx, tx)
		if err != nil {
			return err
		}
		for i := range all { // other environments serve variants by name, too
			all[i].Variants = after.Variants
			if i == at {
				all[i] = after
			}
			if err := all[i].Check(known); err != nil {
				return inEnvironment(err, all[i].Environment, environment)
			}
		}
		if err := fits(ctx, tx, &before, &after); err != nil {
			return err
		}
		if err := write(ctx, tx, &after, len(shared) > 0, len(here) > 0); err != nil {
			return err
		}
		if all, err = get(ctx, tx, req.Key); err != nil {
			return err
		}
		out = all[at]
		tx.Result(out)
		return record(ctx, tx, change{action: updated, before: &before, after: &out, shared: shared, here: here, reason: req.Reason, restores: req.restores})
	})
	s.sets.Forget(sc.Tenant(), "")
	return out, err
}

// hold returns the segments that rules may ask for, and keeps them until the transaction ends.
func hold(ctx context.Context, tx *db.TenantTx) ([]Segment, error) {
	if err := tx.HoldSegments(ctx); err != nil {
		return nil, fmt.Errorf("hold segments: %w", err)
	}
	list, err := segments(ctx, tx)
	return bare(list), err
}

// inEnvironment says where a flag would not do any more, unless it is where the change was meant.
func inEnvironment(err error, where, meant string) error {
	refused, ok := fault.As(err)
	if !ok || where == meant {
		return err
	}
	return refused.WithMessage("in " + where + ": " + refused.Message)
}

// write stores what a change changed.
func write(ctx context.Context, tx *db.TenantTx, after *Stored, shared, here bool) error {
	variants, rules, err := after.encode()
	if err != nil {
		return err
	}
	by, now := tx.Scope().Actor().String(), tx.Now()
	if shared {
		if err := tx.UpdateFlag(ctx, tenantq.UpdateFlagParams{
			Key: after.Key, Name: after.Name, Description: after.Description, Owner: after.Owner, RemoveBy: after.RemoveBy, Variants: variants,
			ClientVisible: after.ClientVisible, By: by, Now: now,
		}); err != nil {
			return fmt.Errorf("update flag: %w", err)
		}
	}
	if here {
		if err := tx.UpdateFlagTargeting(ctx, tenantq.UpdateFlagTargetingParams{
			FlagKey: after.Key, Environment: after.Environment, Enabled: after.Enabled, OffVariant: after.OffVariant, DefaultVariant: after.DefaultVariant,
			Rules: rules, Salt: after.Salt, By: by, Now: now,
		}); err != nil {
			return fmt.Errorf("update targeting: %w", err)
		}
	}
	return nil
}

// DeleteRequest names a flag that is to be removed, from every environment.
type DeleteRequest struct {
	Key     string
	Reason  string // for its history and the audit log: up to 256 characters, or empty
	IfMatch string // the etag that the caller has read in the first environment; empty: whatever it is
}

// Delete removes a flag. Whoever evaluates it gets the default of its caller from then on. Its history stays.
// ErrNotFound, ErrReason, etag.ErrMismatch.
func (s *Service) Delete(ctx context.Context, sc scope.Scope, req DeleteRequest) error {
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return ErrReason
	}
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		all, err := lock(ctx, tx, req.Key)
		if err != nil {
			return err
		}
		if err := etag.Match(req.IfMatch, all[0].ETag); err != nil {
			return err
		}
		if err := tx.DeleteFlag(ctx, req.Key); err != nil {
			return fmt.Errorf("delete flag: %w", err)
		}
		tx.Result(all[0])
		return record(ctx, tx, change{action: deleted, before: &all[0], reason: req.Reason})
	})
	s.sets.Forget(sc.Tenant(), "")
	return err
}

// lock locks a flag, and returns it in each environment.
func lock(ctx context.Context, tx *db.TenantTx, key string) ([]Stored, error) {
	if _, err := tx.LockFlag(ctx, key); db.IsNoRows(err) {
		return nil, ErrNotFound
	} else if err != nil {
		return nil, fmt.Errorf("lock flag: %w", err)
	}
	return get(ctx, tx, key)
}

// apply returns what a flag becomes.
func (req *UpdateRequest) apply(f Stored) (Stored, error) {
	for _, field := range []struct{ from, to *string }{
		{req.Name, &f.Name}, {req.Description, &f.Description}, {req.Owner, &f.Owner}, {req.OffVariant, &f.OffVariant}, {req.DefaultVariant, &f.DefaultVariant}, {req.Salt, &f.Salt},
	} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	if req.RemoveBy != nil {
		f.RemoveBy = *req.RemoveBy
	}
	if req.Variants != nil {
		f.Variants = req.Variants
	}
	if req.ClientVisible != nil {
		f.ClientVisible = *req.ClientVisible
	}
	if req.Enabled != nil {
		f.Enabled = *req.Enabled
	}
	if req.Rules != nil {
		f.Rules = append([]Rule{}, *req.Rules...) // none are an empty list, which is another text than null
		for i := range f.Rules {
			if f.Rules[i].ID == "" {
				f.Rules[i].ID = newSalt()
			}
		}
	}
	return f, f.About.clean()
}

// clean brings what people read into the form that is kept. ErrInvalid.
func (a *About) clean() (err error) {
	if a.Name, err = tenant.CleanName("name", a.Name, maxLine); err != nil {
		return refuse("name", "a name has 1 to %d characters that can be seen", maxLine)
	}
	if a.Owner != "" {
		if a.Owner, err = tenant.CleanName("owner", a.Owner, maxLine); err != nil {
			return refuse("owner", "an owner has at most %d characters that can be seen", maxLine)
		}
	}
	if !utf8.ValidString(a.Description) || utf8.RuneCountInString(a.Description) > maxDescribed || slices.Contains([]byte(a.Description), 0) {
		return refuse("description", "a description has at most %d characters", maxDescribed)
	}
	if a.RemoveBy != nil {
		day := a.RemoveBy.UTC().Truncate(24 * time.Hour)
		if a.RemoveBy = &day; day.Year() < 2000 || day.Year() > 2199 {
			return refuse("removeBy", "a day of this century or the next")
		}
	}
	return nil
}

// encode returns a flag's parts as they are kept. ErrInvalid where they are too long.
func (f *Stored) encode() (variants, rules []byte, err error) {
	if variants, err = json.Marshal(f.Variants); err != nil {
		return nil, nil, fmt.Errorf("encode variants: %w", err)
	}
	if rules, err = json.Marshal(f.Rules); err != nil {
		return nil, nil, fmt.Errorf("encode rules: %w", err)
	}
	for name, text := range map[string][]byte{"variants": variants, "rules": rules} {
		if len(text) > maxDocument {
			return nil, nil, refuse(name, "all %s together have at most %d bytes", name, maxDocument)
		}
	}
	return variants, rules, nil
}

func fromRow(f *tenantq.Flag, t *tenantq.FlagTargeting) (Stored, error) {
	out := Stored{
		Flag: Flag{
			Key: f.Key, Type: Type(f.Type), Enabled: t.Enabled, OffVariant: t.OffVariant, DefaultVariant: t.DefaultVariant, Salt: t.Salt, ClientVisible: f.ClientVisible,
		},
		About:       About{Name: f.Name, Description: f.Description, Owner: f.Owner, RemoveBy: f.RemoveBy},
		Environment: t.Environment, CreatedBy: f.CreatedBy, CreatedAt: f.CreatedAt, UpdatedBy: f.UpdatedBy, UpdatedAt: f.UpdatedAt,
		ETag: etag.Of("flag "+t.Environment, fmt.Appendf(nil, "%s %d %d", f.Key, f.CreatedAt.UnixMicro(), f.Version), t.Version), // one that is made again is another
	}
	if t.UpdatedAt.After(f.UpdatedAt) {
		out.UpdatedBy, out.UpdatedAt = t.UpdatedBy, t.UpdatedAt
	}
	if err := json.Unmarshal(f.Variants, &out.Variants); err != nil {
		return Stored{}, fmt.Errorf("variants of flag %s: %w", f.Key, err)
	}
	if err := json.Unmarshal(t.Rules, &out.Rules); err != nil {
		return Stored{}, fmt.Errorf("rules of flag %s: %w", f.Key, err)
	}
	return out, nil
}

// newSalt returns 12 characters by chance: another flag's rollouts split independently.
func newSalt() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
