package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// platformSlug names the reserved tenant of this installation's operators, whose
// API keys are the platform keys.
const platformSlug = "platform"

// control is an operator at the command line. The commands call the services
// themselves, without a server: whoever has the stores' passwords and the KMS's key
// may do everything anyway.
type control struct {
	*operator
	home             scope.Scope // the platform plane
	publicURL        string
	objectStorageURL string
	backupDays       int
	redisURL         secret.Text
	objective        float64 // of the service level: a share, below 1
}

// openControl opens the stores of the configuration at path. Nothing here runs the
// change feed, so every read goes to Postgres: see db.Cache.
func openControl(ctx context.Context, env *environment, path string) (*control, error) {
	cfg, err := loadConfig(ctx, path, env.dir)
	if err != nil {
		return nil, err
	}
	if err := cfg.validateControl(); err != nil {
		return nil, err
	}
	op, err := newOperator(ctx, cfg, quietTelemetry(env))
	if err != nil {
		return nil, err
	}
	c := &control{operator: op, home: scope.New(scope.PlatformTenant, cliActor()), publicURL: cfg.PublicURL, objectStorageURL: cfg.ObjectStorageURL, backupDays: cfg.BackupDays, redisURL: cfg.RedisURL, objective: cfg.objective()}
	if err := c.keys.Ensure(ctx, c.home); err != nil { // a migration makes this tenant, without keys
		c.Close()
		return nil, fmt.Errorf("keys of the platform: %w", err)
	}
	return c, nil
}

// validateControl refuses what the operator's commands cannot work with. An empty
// database URL would not fail: it means the local default.
func (c *Config) validateControl() error {
	var missing []string
	for name, value := range map[string]string{
		"BIOCORE_DATABASE_URL": c.DatabaseURL.Reveal(), "BIOCORE_DATABASE_WRITER_URL": c.DatabaseWriterURL.Reveal(),
		"BIOCORE_DATABASE_CONTROL_URL": c.DatabaseControlURL.Reveal(),
		"BIOCORE_DATABASE_SUPPORT_URL": c.DatabaseSupportURL.Reveal(), "BIOCORE_DATABASE_AUDIT_URL": c.DatabaseAuditURL.Reveal(), "BIOCORE_KMS_URL": c.KMSURL,
	} {
		if value == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return c.validObjective()
	}
	slices.Sort(missing)
	return errors.New("the configuration lacks " + strings.Join(missing, ", ") +
		": give --config or the variables, or run where `biocore dev` runs")
}

// quietTelemetry warns, and neither counts nor traces: a command is over at once.
func quietTelemetry(env *environment) *telemetry {
	return &telemetry{Log: newLogger(TelemetryConfig{LogOutput: env.err, LogLevel: slog.LevelWarn, LogText: true})}
}

// cliActor is who acts, as it stands in audit entries.
func cliActor() scope.Actor {
	name := "uid " + strconv.Itoa(os.Getuid()) // an account without a name, as in a container
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return scope.Actor{Kind: scope.ActorSystem, ID: "cli", Name: name}
}

// of returns the scope of the tenant that is named on the command line.
func (c *control) of(ctx context.Context, slug string) (scope.Scope, error) {
	if slug == platformSlug {
		return c.home, nil
	}
	id, err := c.tenants.Resolve(ctx, slug, netip.Addr{})
	if err != nil {
		return scope.Scope{}, err
	}
	return scope.New(id, c.home.Actor()), nil
}

// inTenant opens the control plane and runs fn in the tenant that is named on the
// command line.
func inTenant(ctx context.Context, env *environment, path, slug string, fn func(c *control, sc scope.Scope) error) error {
	c, err := openControl(ctx, env, path)
	if err != nil {
		return err
	}
	defer c.Close()
	sc, err := c.of(ctx, slug)
	if err != nil {
		return err
	}
	return fn(c, sc)
}

// tenantCommand is what commands in a tenant have in common.
type tenantCommand struct {
	env          *environment
	asJSON       bool
	config, slug *string
}

// tenantArgs reads the arguments of a command in a tenant, whose --tenant is said to be of; own adds its own flags.
func tenantArgs(env *environment, name, of string, args []string, positional int, own func(fs *flag.FlagSet)) (*tenantCommand, *flag.FlagSet, error) {
	c := &tenantCommand{env: env}
	fs := flags(env, name, &c.asJSON)
	c.config, c.slug = configFlag(fs), fs.String("tenant", "", of)
	if own != nil {
		own(fs)
	}
	if err := parse(fs, args, positional); err != nil {
		return nil, nil, err
	}
	if *c.slug == "" {
		return nil, nil, misuse(env, name, "--tenant is required")
	}
	return c, fs, nil
}

// do runs fn in the tenant that was named.
func (c *tenantCommand) do(ctx context.Context, fn func(ctl *control, sc scope.Scope) error) error {
	return inTenant(ctx, c.env, *c.config, *c.slug, fn)
}

// misuse says what is wrong with a command's arguments, and returns errUsage.
func misuse(env *environment, command, format string, args ...any) error {
	_, _ = fmt.Fprintf(env.err, "biocore %s: %s\nbiocore %[1]s --help shows how it is used.\n", command, fmt.Sprintf(format, args...))
	return errUsage
}

// explain is err for the operator: with the reason by which the documentation lists
// it, and with its cause, but without what looks like a secret.
func explain(err error) string {
	var text strings.Builder
	text.WriteString(err.Error())
	if f, ok := fault.As(err); ok {
		text.WriteString(" (" + f.Reason + ")")
		for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
			if key != "kid" || !thumbprint.MatchString(f.Metadata[key]) {
				text.WriteString(" " + key + "=" + f.Metadata[key])
			}
		}
		// A kid is the thumbprint of a public key, which scrub cannot tell from a secret, and
		// what the operator has to name.
		if kid := f.Metadata["kid"]; thumbprint.MatchString(kid) {
			return scrub(text.String()) + " kid=" + kid
		}
	}
	return scrub(text.String())
}

// thumbprint is a SHA-256 in base64url (RFC 7638).
var thumbprint = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// maxReason is how many characters a reason has at most, as in the API.
const maxReason = 256

// reasonFlag adds --reason to fs, for what usage says.
func reasonFlag(fs *flag.FlagSet, usage string) *string {
	var reason string
	fs.Func("reason", usage, func(s string) error {
		if utf8.RuneCountInString(s) > maxReason {
			return fmt.Errorf("longer than %d characters", maxReason)
		}
		reason = s
		return nil
	})
	return &reason
}

// texts is a flag that may be given more than once.
type texts []string

// String implements flag.Value.
func (t *texts) String() string { return strings.Join(*t, ", ") }

// Set implements flag.Value.
func (t *texts) Set(s string) error {
	*t = append(*t, s)
	return nil
}

// maxFile is how many bytes are read of a certificate, a credential, or a signed file.
const maxFile = 4 << 20

// readDocument reads a file, or standard input for "-", no further than it takes to see that it has more than bytes.
func readDocument(env *environment, path string, bytes int) ([]byte, error) {
	in := env.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, int64(bytes)+1))
}

// table writes rows in columns that stand below each other.
func table(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(tw, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// moment is a time for people; "-" for none.
func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// joined is several values in one column; "-" for none.
func joined(values []string) string {
	if len(values) == 0 {
		return "-"
	}
	return strings.Join(values, ",")
}

// parseID reads the id that a command is given; name is what it is the id of.
func parseID(env *environment, command, name, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, misuse(env, command, "%q is not the id of %s", text, name)
	}
	return id, nil
}
