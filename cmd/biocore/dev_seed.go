package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// devStateFile is what programs beside `biocore dev` need to know.
const devStateFile = "dev.json"

// devState is the content of devStateFile. It holds keys, and is readable by its
// owner alone.
type devState struct {
	APIURL           string      `json:"apiUrl"`
	ConsoleURL       string      `json:"consoleUrl"`
	DemoURL          string      `json:"demoUrl"`
	OpsURL           string      `json:"opsUrl"`
	Tenants          []devTenant `json:"tenants"`
	PlatformKey      string      `json:"platformKey"`
	ConsoleEnrollURL string      `json:"consoleEnrollUrl"` // makes the first person staff and acme's owner; empty once there are both
	DatabaseURL      string      `json:"databaseUrl"`      // logs in as bc_migrator, for psql
}

// devTenant is a tenant with its keys, which the database cannot tell again.
type devTenant struct {
	ID             uuid.UUID `json:"id"`
	Slug           string    `json:"slug"`
	SecretKey      string    `json:"secretKey"`
	PublishableKey string    `json:"publishableKey"`
	RPID           string    `json:"rpId"`
	Origins        []string  `json:"origins"`
}

// Format keeps the keys out of everything but the JSON, which is for their owner.
func (devState) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Shown) }

// Format is devState's.
func (devTenant) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Shown) }

// LogValue implements slog.LogValuer, for a log in JSON.
func (devState) LogValue() slog.Value { return slog.StringValue(secret.Shown) }

// LogValue is devState's.
func (devTenant) LogValue() slog.Value { return slog.StringValue(secret.Shown) }

// devActor is who made what `biocore dev` makes, for the audit log.
func devActor() scope.Actor { return scope.Actor{Kind: scope.ActorSystem, ID: "dev"} }

// seed makes the tenant acme and the keys that dev.json tells, unless an earlier run
// made them and dev.json still tells them.
func (d *dev) seed(ctx context.Context, p *platform, cfg Config) (devState, error) {
	state, err := d.lastState()
	if err != nil {
		return devState{}, err
	}
	state.APIURL, state.DemoURL, state.OpsURL = cfg.PublicURL, cfg.PublicURL+"/demo", "http://"+cfg.OpsListen
	state.DatabaseURL = cfg.DatabaseMigratorURL.Reveal()
	err = d.step(ctx, "Preparing the tenant acme", func() (string, error) {
		home := scope.New(scope.PlatformTenant, devActor())
		if err := p.keys.Ensure(ctx, home); err != nil {
			return "", fmt.Errorf("keys of the platform: %w", err)
		}
		acme, err := seedAcme(ctx, p, home, state)
		if err != nil {
			return "", fmt.Errorf("tenant acme: %w", err)
		}
		state.Tenants = []devTenant{acme}
		state.ConsoleURL = cfg.PublicURL + "/console"
		if state.ConsoleEnrollURL, err = firstPerson(ctx, p, cfg.PublicURL, home, scope.New(acme.ID, devActor())); err != nil {
			return "", fmt.Errorf("the console's first person: %w", err)
		}
		return "", ensureKey(ctx, p, home, &state.PlatformKey, apikey.CreateRequest{
			Kind: apikey.Platform, Name: "dev", Scopes: []string{apikey.ScopeAdminPlane},
		})
	})
	return state, err
}

// firstPerson is the link by which somebody becomes the console's first person: of the
// staff, and the owner of acme. Empty once both have somebody.
func firstPerson(ctx context.Context, p *platform, publicURL string, home, acme scope.Scope) (string, error) {
	var tokens []string
	for _, of := range []struct {
		sc   scope.Scope
		role member.Role
	}{{home, member.StaffAdmin}, {acme, member.Owner}} {
		members, err := p.members.List(ctx, of.sc)
		if err != nil {
			return "", err
		}
		if len(members) > 0 {
			continue
		}
		open, err := p.members.Invitations(ctx, of.sc) // of the run before
		if err != nil {
			return "", err
		}
		if i := slices.IndexFunc(open, func(in member.Invited) bool { return in.Invitation.Role == of.role }); i >= 0 {
			tokens = append(tokens, open[i].Token)
			continue
		}
		made, err := p.members.Invite(ctx, of.sc, member.InviteRequest{Role: of.role, Label: "First person"})
		if err != nil {
			return "", err
		}
		tokens = append(tokens, made.Token)
	}
	if len(tokens) == 0 {
		return "", nil
	}
	return joinURL(publicURL, tokens...), nil
}

// lastState is what the run before told. Where that is lost, keys are made anew.
func (d *dev) lastState() (devState, error) {
	raw, err := os.ReadFile(d.path(devStateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return devState{}, nil
	} else if err != nil {
		return devState{}, err
	}
	var state devState
	if err := json.Unmarshal(raw, &state); err != nil { // cut short, or edited
		state = devState{}
	}
	return state, nil
}

// seedAcme returns the tenant acme, whose origins include the one that this run
// serves, with keys that work: those of last, if they do.
func seedAcme(ctx context.Context, p *platform, home scope.Scope, last devState) (devTenant, error) {
	t, first, err := ensureAcme(ctx, p, home, last.APIURL)
	if err != nil {
		return devTenant{}, err
	}
	acme := devTenant{SecretKey: first.Secret, PublishableKey: first.Publishable}
	if i := slices.IndexFunc(last.Tenants, func(known devTenant) bool { return known.ID == t.ID }); i >= 0 {
		acme = last.Tenants[i]
	}
	acme.ID, acme.Slug, acme.RPID, acme.Origins = t.ID, t.Slug, t.RPID, t.Origins
	own := scope.New(t.ID, devActor())
	return acme, errors.Join(
		ensureKey(ctx, p, own, &acme.SecretKey, apikey.CreateRequest{
			Kind: apikey.Secret, Name: "dev", Scopes: []string{apikey.ScopeAuthPlane, apikey.ScopeAdminPlane},
		}),
		ensureKey(ctx, p, own, &acme.PublishableKey, apikey.CreateRequest{Kind: apikey.Publishable, Name: "dev"}),
	)
}

// ensureAcme makes the tenant, with its first keys, or brings its origins up to date.
func ensureAcme(ctx context.Context, p *platform, home scope.Scope, origin string) (tenant.Tenant, tenant.FirstKeys, error) {
	id, err := p.tenants.Resolve(ctx, "acme", netip.Addr{})
	if errors.Is(err, tenant.ErrNotFound) {
		return p.tenants.Create(ctx, home, tenant.CreateRequest{
			Slug: "acme", Name: "Northwind Bank", Mode: tenant.Test, RPID: "localhost", Origins: []string{origin},
		})
	} else if err != nil {
		return tenant.Tenant{}, tenant.FirstKeys{}, err
	}
	t, err := p.tenants.Get(ctx, home, id)
	if err != nil || slices.Contains(t.Origins, origin) || t.RPID != "localhost" { // somebody has made acme theirs
		return t, tenant.FirstKeys{}, err
	}
	t, err = p.tenants.Update(ctx, home, tenant.UpdateRequest{ID: id, Origins: withOrigin(t.Origins, origin)})
	return t, tenant.FirstKeys{}, err
}

// maxDevOrigins is under what a tenant can have. Each port that a run ever got stays
// until then: a page of the user's may be on it.
const maxDevOrigins = 32

// withOrigin puts origin first and forgets the oldest ports of this machine that are
// too many.
func withOrigin(origins []string, origin string) []string {
	origins = slices.Insert(slices.Clone(origins), 0, origin)
	for i := len(origins) - 1; i > 0 && len(origins) > maxDevOrigins; i-- {
		if strings.HasPrefix(origins[i], "http://localhost:") {
			origins = slices.Delete(origins, i, i+1)
		}
	}
	return origins
}

// ensureKey makes the key anew if it is not known, or good no more.
func ensureKey(ctx context.Context, p *platform, sc scope.Scope, key *string, req apikey.CreateRequest) error {
	if *key != "" {
		_, err := p.apiKeys.Authenticate(ctx, *key, netip.IPv4Unspecified())
		if f, isFault := fault.As(err); !isFault || f.Kind != fault.Unauthenticated {
			if isFault {
				return nil // of a suspended tenant, or for another address: good in itself
			}
			return err
		}
	}
	made, err := p.apiKeys.Create(ctx, sc, req)
	if err != nil {
		return fmt.Errorf("make API key: %w", err)
	}
	*key = made.Plain.Reveal()
	return nil
}

// leave writes dev.json, and the configuration by which the other commands find
// this server's stores.
func (d *dev) leave(cfg Config, state devState) error {
	raw, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	conf, err := cfg.write()
	if err != nil {
		return err
	}
	head := "# What `biocore dev` runs on. The other commands read it when they are told nothing else.\n"
	return errors.Join(
		writePrivate(d.path(filepath.Base(devConfig)), append([]byte(head), conf...)),
		writePrivate(d.path(devStateFile), append(raw, '\n')),
	)
}

// writePrivate replaces a file as a whole, readable by its owner alone: that of the
// folder, whom a run with sudo must not lock out.
func writePrivate(path string, content []byte) error {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if owner, ok := dir.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		err = errors.Join(err, f.Chown(int(owner.Uid), int(owner.Gid)))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// welcome is the one screen that tells what to open next.
func (d *dev) welcome(s devState) error {
	moved := ""
	if wanted := fmt.Sprintf("http://localhost:%d", d.port); d.port != 0 && s.APIURL != wanted {
		moved = fmt.Sprintf("   (port %d is taken)", d.port)
	}
	console := s.ConsoleURL
	if s.ConsoleEnrollURL != "" {
		console = s.ConsoleEnrollURL + "\n                     (makes you staff and acme's owner: open it once)"
	}
	_, err := fmt.Fprintf(d.out, `
  Biocore is ready in %.1[1]f s.

    Demo bank        %[2]s
    Console          %[7]s
    API reference    %[3]s/docs/api
    API              %[3]s%[4]s
    Health, metrics  %[5]s

  Keys and URLs for your programs are in %[6]s. Try:

    curl -s %[3]s/v1/users \
      -H "Authorization: Bearer $(sed -n 's/.*"secretKey": "\(.*\)",/\1/p' %[6]s)"

  Ctrl-C stops everything; the data stays. `+"`biocore dev --reset`"+` starts anew.
`, time.Since(d.began).Seconds(), s.DemoURL, s.APIURL, moved, s.OpsURL, d.path(devStateFile), console)
	return err
}
