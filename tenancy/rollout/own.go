package rollout

import (
	"context"
	"errors"
	"fmt"

	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Own has Biocore's own flags: those of the reserved tenant, in its first environment. It is a flag.Source.
type Own struct{ Service *flag.Service }

// Flags implements flag.Source.
func (o Own) Flags(ctx context.Context) (*flag.Set, error) {
	return o.Service.Flags(ctx, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "rollout"}), "")
}

// Look is as of Options. It evaluates nothing that would be counted.
func (o Own) Look(ctx context.Context, sc scope.Scope) (missing []string, err error) {
	set, err := o.Flags(ctx)
	if err != nil {
		return nil, err
	}
	subject := &flag.Subject{Key: sc.Tenant().String(), Attributes: attributes(sc)}
	for _, s := range All() {
		switch got := set.Explain(s.Key, subject); {
		case got.Code == flag.FlagNotFound:
			missing = append(missing, s.Key)
		case got.Code != "":
			err = errors.Join(err, fmt.Errorf("%s: %s", s.Key, got.Code))
		case got.Variant.Type != flag.Boolean:
			err = errors.Join(err, fmt.Errorf("%s: %s", s.Key, flag.TypeMismatch))
		}
	}
	return missing, err
}

// Prepare makes the flag of each switch that has none, so that the staff find it in the console. home is a scope of the reserved
// tenant. Several servers may do it at once. At each moment of it the flag says what the default says.
func Prepare(ctx context.Context, flags *flag.Service, home scope.Scope) error {
	stored, err := flags.List(ctx, home, "")
	if err != nil {
		return err
	}
	there := make(map[string]flag.Stored, len(stored))
	for i := range stored {
		there[stored[i].Key] = stored[i]
	}
	for _, s := range All() {
		value := "off"
		if s.Default {
			value = "on"
		}
		f, ok := there[s.Key]
		if !ok {
			// A new flag is off, and serves its off variant: the default, until it is on.
			f, err = flags.Create(ctx, home, flag.CreateRequest{
				Key: s.Key, Type: flag.Boolean, OffVariant: value, DefaultVariant: value,
				About: flag.About{Name: s.Name, Description: s.Does, Owner: s.Owner}, Reason: "Biocore asks for it",
			})
			if errors.Is(err, flag.ErrTaken) || errors.Is(err, flag.ErrTooMany) {
				continue // another server was faster, and goes on; or there is no room, and the default holds
			} else if err != nil {
				return fmt.Errorf("make the flag %s: %w", s.Key, err)
			}
		}
		if _, off := f.Variants["off"]; f.Type != flag.Boolean || !off {
			continue // somebody made another of this key: a server starts, and says in readyz what is wrong with it
		}
		if f.Enabled || f.OffVariant != value || f.DefaultVariant != value || len(f.Rules) > 0 || value == "off" {
			continue // it is as somebody wants it
		}
		on, off := true, "off"
		if _, err := flags.Update(ctx, home, flag.UpdateRequest{Key: s.Key, Enabled: &on, OffVariant: &off, IfMatch: f.ETag, Reason: "ready to be switched off"}); err != nil && !errors.Is(err, etag.ErrMismatch) {
			return fmt.Errorf("switch the flag %s on: %w", s.Key, err)
		}
	}
	return nil
}
