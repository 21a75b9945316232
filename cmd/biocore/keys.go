package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// signingKeyJSON is a signing key under --json, as the API spells it.
type signingKeyJSON struct {
	KID          string          `json:"kid"`
	Algorithm    string          `json:"algorithm"`
	State        keys.State      `json:"state"`
	Location     string          `json:"location"`
	PublicKey    json.RawMessage `json:"publicKey"`
	CreatedAt    time.Time       `json:"createdAt"`
	ActivateAt   *time.Time      `json:"activateAt,omitempty"`
	ActivatedAt  *time.Time      `json:"activatedAt,omitempty"`
	RetiredAt    *time.Time      `json:"retiredAt,omitempty"`
	RevokeAt     *time.Time      `json:"revokeAt,omitempty"`
	RevokedAt    *time.Time      `json:"revokedAt,omitempty"`
	RevokeReason string          `json:"revokeReason,omitempty"`
}

func toSigningKeyJSON(k keys.SigningKey) (signingKeyJSON, error) {
	public, err := keys.PublicJWK(k.Public)
	if err != nil {
		return signingKeyJSON{}, fmt.Errorf("signing key %s: %w", k.KID, err)
	}
	return signingKeyJSON{
		KID: k.KID, Algorithm: k.Algorithm, State: k.State, Location: whereIs(k), PublicKey: public,
		CreatedAt: k.CreatedAt, ActivateAt: k.ActivateAt, ActivatedAt: k.ActivatedAt, RetiredAt: k.RetiredAt,
		RevokeAt: k.RevokeAt, RevokedAt: k.RevokedAt, RevokeReason: k.RevokeReason,
	}, nil
}

func whereIs(k keys.SigningKey) string {
	if k.InKMS {
		return "KMS"
	}
	return "SEALED"
}

// dataKeyJSON is a data key under --json. The key itself is shown to nobody.
type dataKeyJSON struct {
	Version     uint32     `json:"version"`
	Use         string     `json:"use"` // root, seals, opens, drained
	KMSKey      string     `json:"kmsKey"`
	CreatedAt   time.Time  `json:"createdAt"`
	RewrappedAt *time.Time `json:"rewrappedAt,omitempty"`
	DrainedAt   *time.Time `json:"drainedAt,omitempty"`
}

// toDataKeysJSON wants the keys newest first.
func toDataKeysJSON(list []keys.DataKey) []dataKeyJSON {
	out := make([]dataKeyJSON, len(list))
	for i, k := range list {
		use := "opens"
		switch {
		case k.Version == 0:
			use = "root"
		case i == 0:
			use = "seals"
		case k.DrainedAt != nil:
			use = "drained"
		}
		out[i] = dataKeyJSON{
			Version: k.Version, Use: use, KMSKey: k.KMSKey, CreatedAt: k.CreatedAt, RewrappedAt: k.RewrappedAt, DrainedAt: k.DrainedAt,
		}
	}
	return out
}

// tenantKeys are all keys of one tenant.
type tenantKeys struct {
	Tenant      string           `json:"tenant"`
	DataKeys    []dataKeyJSON    `json:"dataKeys"`
	SigningKeys []signingKeyJSON `json:"signingKeys"`
}

func (c *control) keysOf(ctx context.Context, slug string, sc scope.Scope) (tenantKeys, error) {
	out := tenantKeys{Tenant: slug, SigningKeys: []signingKeyJSON{}}
	data, err := c.keys.DataKeys(ctx, sc)
	if err != nil {
		return out, err
	}
	out.DataKeys = toDataKeysJSON(data)
	signing, err := c.keys.SigningKeys(ctx, sc)
	if err != nil {
		return out, err
	}
	for _, k := range signing {
		one, err := toSigningKeyJSON(k)
		if err != nil {
			return out, err
		}
		out.SigningKeys = append(out.SigningKeys, one)
	}
	return out, nil
}

func runKeysList(ctx context.Context, env *environment, args []string) error {
	const command = "keys list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of one tenant, with all of its keys; platform for the platform's own (default: every tenant, a line each)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	if *slug == "" {
		return c.listAllKeys(ctx, env, asJSON)
	}
	sc, err := c.of(ctx, *slug)
	if err != nil {
		return err
	}
	all, err := c.keysOf(ctx, *slug, sc)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, all)
	}
	rows := [][]string{{"DATA KEY", "USE", "WRAPPED BY", "CREATED", "REWRAPPED", "DRAINED"}}
	for _, k := range all.DataKeys {
		rows = append(rows, []string{
			strconv.Itoa(int(k.Version)), k.Use, k.KMSKey, moment(&k.CreatedAt), moment(k.RewrappedAt), moment(k.DrainedAt),
		})
	}
	if err := table(env.out, rows); err != nil {
		return err
	}
	rows = [][]string{{"\nSIGNING KEY", "ALGORITHM", "STATE", "IN", "CREATED", "SIGNED", "REVOKED"}}
	for _, k := range all.SigningKeys {
		rows = append(rows, []string{k.KID, k.Algorithm, string(k.State), k.Location, moment(&k.CreatedAt), span(k), revocation(k)})
	}
	return table(env.out, rows)
}

// span is when a key signed, or will.
func span(k signingKeyJSON) string {
	switch {
	case k.ActivatedAt == nil && k.ActivateAt != nil:
		return "from " + moment(k.ActivateAt)
	case k.ActivatedAt == nil:
		return "never"
	case k.RetiredAt == nil && k.RevokedAt == nil:
		return "since " + moment(k.ActivatedAt)
	case k.RetiredAt == nil:
		return moment(k.ActivatedAt) + " to " + moment(k.RevokedAt)
	}
	return moment(k.ActivatedAt) + " to " + moment(k.RetiredAt)
}

func revocation(k signingKeyJSON) string {
	switch {
	case k.RevokedAt != nil:
		return moment(k.RevokedAt) + ", " + k.RevokeReason
	case k.RevokeAt != nil:
		return "at " + moment(k.RevokeAt)
	}
	return "-"
}

func (c *control) listAllKeys(ctx context.Context, env *environment, asJSON bool) error {
	tenants, err := everyPage("", func(req listing.Request) (listing.Page[tenant.Tenant], error) {
		return c.tenants.List(ctx, c.home, req)
	})
	if err != nil {
		return err
	}
	all := make([]tenantKeys, 0, len(tenants)+1)
	for i := -1; i < len(tenants); i++ {
		slug, sc := platformSlug, c.home
		if i >= 0 {
			slug, sc = tenants[i].Slug, scope.New(tenants[i].ID, c.home.Actor())
		}
		one, err := c.keysOf(ctx, slug, sc)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	if asJSON {
		return printJSON(env.out, map[string]any{"tenants": all})
	}
	rows := [][]string{{"TENANT", "DATA KEY", "SINCE", "WRAPPED BY", "SIGNING KEY", "ALGORITHM", "SINCE", "NEXT"}}
	for _, t := range all {
		row := []string{t.Tenant, "-", "-", "-", "none", "-", "-", "-"}
		if len(t.DataKeys) > 0 {
			row[1], row[2], row[3] = strconv.Itoa(int(t.DataKeys[0].Version)), moment(&t.DataKeys[0].CreatedAt), t.DataKeys[0].KMSKey
		}
		for _, k := range t.SigningKeys {
			switch k.State {
			case keys.Active:
				row[4], row[5], row[6] = k.KID, k.Algorithm, moment(k.ActivatedAt)
			case keys.Pending:
				row[7] = moment(k.ActivateAt)
			case keys.Retiring, keys.Revoked:
			}
		}
		rows = append(rows, row)
	}
	return table(env.out, rows)
}

func runKeysRotate(ctx context.Context, env *environment, args []string) error {
	const command = "keys rotate"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfKeys)
	data := fs.Bool("data", false, "rotate the data key instead of the signing key: running servers seal anew what the old one has sealed")
	algorithm := fs.String("algorithm", "", "`algorithm` of the new signing key: ES256, EdDSA or RS256 (default: the policy's)")
	now := fs.Bool("now", false, "let the new signing key sign at once; verifiers that keep the old key set refuse its tokens for minutes")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case *data && (*now || *algorithm != ""):
		return misuse(env, command, "--now and --algorithm are of signing keys, --data is of data keys")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		if *data {
			version, err := c.keys.RotateDataKey(ctx, sc, *reason)
			if err != nil {
				return destroyed(sc, err)
			}
			if asJSON {
				return printJSON(env.out, map[string]any{"version": version})
			}
			_, err = fmt.Fprintf(env.out, "Data key %d is made and seals in a few seconds. What older ones have sealed is sealed anew by the servers, "+
				"within minutes; the older ones are destroyed a day later.\n", version)
			return err
		}
		made, err := c.keys.Rotate(ctx, sc, keys.RotateRequest{Algorithm: *algorithm, Now: *now, Reason: *reason})
		if err != nil {
			return destroyed(sc, err)
		}
		if asJSON {
			out, err := toSigningKeyJSON(made)
			if err != nil {
				return err
			}
			return printJSON(env.out, out)
		}
		if made.State == keys.Active {
			_, err = fmt.Fprintf(env.out, "Signing key %s (%s) signs from now on\n", made.KID, made.Algorithm)
		} else {
			_, err = fmt.Fprintf(env.out, "Signing key %s (%s) is published and signs from %s on\n", made.KID, made.Algorithm, moment(made.ActivateAt))
		}
		return err
	})
}

// destroyed says of a tenant without keys what has become of them.
func destroyed(sc scope.Scope, err error) error {
	if errors.Is(err, keys.ErrNoKeys) && sc.Tenant() != scope.PlatformTenant {
		return tenant.ErrDeleting.WithCause(err)
	}
	return err
}

func runKeysRevoke(ctx context.Context, env *environment, args []string) error {
	const command = "keys revoke"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfKeys)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		revoked, err := c.keys.Revoke(ctx, sc, keys.RevokeKeyRequest{KID: fs.Arg(0), Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			out, err := toSigningKeyJSON(revoked)
			if err != nil {
				return err
			}
			return printJSON(env.out, out)
		}
		_, err = fmt.Fprintf(env.out, "Signing key %s is revoked since %s: verifiers refuse its tokens when they read the key set again\n",
			revoked.KID, moment(revoked.RevokedAt))
		return err
	})
}

func runKeysRewrap(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "keys rewrap", &asJSON)
	config := configFlag(fs)
	force := fs.Bool("force", false, "wrap anew also what the current KMS key has wrapped: after it got a new version behind its name")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	var last keys.Rewrapped
	total := 0
	err = c.keys.Rewrap(ctx, c.home.Actor(), *force, func(r keys.Rewrapped) {
		last = r
		total += r.Keys
		if !asJSON && (r.Keys > 0 || r.Done == r.All) {
			fmt.Fprintf(env.err, "%d of %d tenants, %s: %d keys\n", r.Done, r.All, r.Slug, r.Keys)
		}
	})
	if err != nil {
		return fmt.Errorf("%d of %d tenants are done; run it again when it is mended: %w", last.Done, last.All, err)
	}
	if asJSON {
		return printJSON(env.out, map[string]any{"kmsKey": c.kms.KeyName(), "tenants": last.Done, "rewrapped": total})
	}
	_, err = fmt.Fprintf(env.out, "%d data keys of %d tenants are wrapped anew; all are under %s\n", total, last.Done, c.kms.KeyName())
	return err
}

func runKeysShred(ctx context.Context, env *environment, args []string) error {
	const command = "keys shred"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	confirm := fs.String("confirm", "", "the tenant's `slug` once more: this cannot be undone")
	reason := reasonFlag(fs, "`text` for the certificate and the audit log; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *confirm != fs.Arg(0) {
		return misuse(env, command, "--confirm %s is required: everything that identifies the tenant's users is lost for ever", fs.Arg(0))
	}
	if *reason == "" {
		return misuse(env, command, "--reason is required: it stands in the certificate for ever")
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		done, err := c.tenants.Shred(ctx, c.home, tenant.ShredRequest{
			ID: sc.Tenant(), Reason: *reason, Issuer: token.Issuer(c.publicURL, platformSlug),
		})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"tenant": toTenantJSON(done.Tenant), "certificate": done.Certificate})
		}
		_, said, err := readCertificate(done.Certificate)
		if err != nil {
			return err
		}
		when := "are destroyed"
		if done.Again {
			when = "were destroyed at " + said.Time().Format(time.RFC3339)
		}
		fmt.Fprintf(env.err, "The keys of %s %s. The certificate, which `biocore keys certify` verifies:\n", done.Tenant.Slug, when)
		_, err = fmt.Fprintln(env.out, done.Certificate)
		return err
	})
}

// readCertificate takes a deletion certificate apart, and does not verify it.
func readCertificate(jws string) (kid string, c keys.Certificate, err error) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return "", c, keys.ErrCertificate
	}
	var header struct {
		KID string `json:"kid"`
	}
	for i, into := range []any{&header, &c} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return "", c, fmt.Errorf("read the certificate: %w", err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			return "", c, fmt.Errorf("read the certificate: %w", err)
		}
	}
	return header.KID, c, nil
}

// runKeysJWKS prints a key set with what the served one no longer has: what a revoked
// key of the platform's has signed is still to be verified.
func runKeysJWKS(ctx context.Context, env *environment, args []string) error {
	const command = "keys jwks"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", platformSlug, tenantOfKeys)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		list, err := c.keys.SigningKeys(ctx, sc)
		if err != nil {
			return err
		}
		set := []json.RawMessage{}
		for _, k := range list {
			public, err := keys.PublicJWK(k.Public)
			if err != nil {
				return fmt.Errorf("signing key %s: %w", k.KID, err)
			}
			set = append(set, public)
		}
		return printJSON(env.out, map[string]any{"keys": set})
	})
}

// runKeysCertify verifies a deletion certificate with nothing but two files.
func runKeysCertify(_ context.Context, env *environment, args []string) error {
	const command = "keys certify"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	path := fs.String("jwks", "", "`file` with the platform's keys, revoked ones included: see biocore keys jwks")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *path == "" {
		return misuse(env, command, "--jwks is required")
	}
	jwks, err := os.ReadFile(*path)
	if err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	text, err := os.ReadFile(fs.Arg(0))
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	jws := strings.TrimSpace(string(text))
	c, err := keys.VerifyCertificate(jwks, jws)
	if err != nil {
		return err
	}
	kid, _, err := readCertificate(jws) // which the key that verifies has
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, struct {
			KID string `json:"kid"`
			keys.Certificate
		}{kid, c})
	}
	if err := table(env.out, [][]string{
		{"The signature is good.", ""},
		{"  tenant", c.Slug + ", " + c.Subject.String()},
		{"  signed by", c.Issuer},
		{"  with the key", kid},
		{"  destroyed", c.Time().Format(time.RFC3339)},
		{"  by", c.By},
		{"  reason", c.Reason},
		{"  certificate", c.ID.String()},
	}); err != nil {
		return err
	}
	rows := [][]string{{"\nDATA KEY", "WRAPPED BY", "CREATED", "SHA-256 OF ITS WRAPPED FORM"}}
	for _, k := range c.DataKeys {
		rows = append(rows, []string{strconv.Itoa(int(k.Version)), k.KMSKey, moment(&k.CreatedAt), k.WrappedSHA256})
	}
	if err := table(env.out, rows); err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.out, "\n"+c.Statement)
	return err
}
