package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/biocore-id/biocore/db"
)

// Config is everything that can be configured. A value comes from, in rising
// order: the default, the file given by --config, the environment. Each variable
// may also be read from a file, by <NAME>_FILE: for secrets that are mounted.
// Unknown keys in the file are refused; so are unknown BIOCORE_ variables.
type Config struct {
	// Listen is the public port, host:port. Default ":8080".
	Listen string `yaml:"listen" env:"BIOCORE_LISTEN"`
	// OpsListen is the operations port (metrics, readiness by name, profiles),
	// host:port. Default "127.0.0.1:9090": it must not be reachable by the public.
	OpsListen string `yaml:"opsListen" env:"BIOCORE_OPS_LISTEN"`
	// PublicURL is how clients reach this installation, without a path: the issuer
	// of tokens begins with it. https, except for localhost. Required.
	PublicURL string `yaml:"publicUrl" env:"BIOCORE_PUBLIC_URL"`
	// TLSCertFile and TLSKeyFile are PEM files; without them the public port speaks
	// plain HTTP, for use behind a proxy that ends TLS.
	TLSCertFile string `yaml:"tlsCertFile" env:"BIOCORE_TLS_CERT_FILE"`
	TLSKeyFile  string `yaml:"tlsKeyFile" env:"BIOCORE_TLS_KEY_FILE"`
	// TrustedHops is how many reverse proxies stand in front and append to
	// X-Forwarded-For. Default 0: the header is ignored.
	TrustedHops int `yaml:"trustedHops" env:"BIOCORE_TRUSTED_HOPS"`

	// DatabaseURL logs in as bc_app. Required, and so are the next three; all four
	// name one database. DatabaseWriterURL must reach Postgres directly and not
	// through a transaction pooler, and so must DatabaseControlURL.
	DatabaseURL        string `yaml:"databaseUrl" env:"BIOCORE_DATABASE_URL" secret:"url"`
	DatabaseWriterURL  string `yaml:"databaseWriterUrl" env:"BIOCORE_DATABASE_WRITER_URL" secret:"url"`
	DatabaseControlURL string `yaml:"databaseControlUrl" env:"BIOCORE_DATABASE_CONTROL_URL" secret:"url"`
	DatabaseJobsURL    string `yaml:"databaseJobsUrl" env:"BIOCORE_DATABASE_JOBS_URL" secret:"url"`
	// DatabaseMigratorURL logs in as bc_migrator: for `migrate` and `doctor` alone,
	// `serve` does not use it.
	DatabaseMigratorURL string `yaml:"databaseMigratorUrl" env:"BIOCORE_DATABASE_MIGRATOR_URL" secret:"url"`
	// DatabaseConns bounds the pool of bc_app. Default 16.
	DatabaseConns int `yaml:"databaseConns" env:"BIOCORE_DATABASE_CONNS"`

	// RedisURL is redis://[:password@]host:port[/db], or rediss://. Required.
	RedisURL string `yaml:"redisUrl" env:"BIOCORE_REDIS_URL" secret:"url"`
	// KMSURL names the key that wraps the tenants' data keys: local:/path/to/file
	// (32 random bytes, readable by its owner alone). Required.
	KMSURL string `yaml:"kmsUrl" env:"BIOCORE_KMS_URL"`

	// NoLimits turns rate limits off: for load tests on a machine of one's own.
	NoLimits bool `yaml:"noLimits" env:"BIOCORE_NO_LIMITS"`
	// LogLevel is debug, info, warn or error. Default info.
	LogLevel string `yaml:"logLevel" env:"BIOCORE_LOG_LEVEL"`
	// DrainTimeout is how long requests in flight get after SIGTERM. Default 20s.
	DrainTimeout time.Duration `yaml:"drainTimeout" env:"BIOCORE_DRAIN_TIMEOUT"`
}

func defaults() Config {
	return Config{
		Listen: ":8080", OpsListen: "127.0.0.1:9090", DatabaseConns: 16,
		LogLevel: "info", DrainTimeout: 20 * time.Second,
	}
}

// devConfig is where `biocore dev` leaves the configuration of what it runs; the
// operator's commands use it when they are told nothing else.
var devConfig = filepath.Join(".biocore", "biocore.yaml")

// configFlag adds --config to fs.
func configFlag(fs *flag.FlagSet) *string {
	return fs.String("config", os.Getenv("BIOCORE_CONFIG"), "configuration `file` (YAML); the environment overrides it")
}

// loadConfig reads the configuration; path "" means the environment alone, or the
// file that `biocore dev` left in dir when there is nothing in the environment.
func loadConfig(path, dir string) (Config, error) {
	c := defaults()
	env, err := environmentOf(os.Environ())
	if err != nil {
		return Config{}, err
	}
	if path == "" && env["BIOCORE_DATABASE_URL"] == "" && env["BIOCORE_DATABASE_MIGRATOR_URL"] == "" {
		if left := filepath.Join(dir, devConfig); fileExists(left) {
			path = left
		}
	}
	if path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("read configuration: %w", err)
		}
		if err := c.read(raw); err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", path, err)
		}
	}
	return c, c.apply(env)
}

// read sets the fields that a file names.
func (c *Config) read(raw []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict())
	switch err := d.Decode(c); {
	case errors.Is(err, io.EOF): // an empty file
		return nil
	case err != nil:
		// The library quotes the lines around a mistake, with the passwords in them.
		return errors.New(strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if err := d.Decode(new(Config)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// notOurs are variables beside the configuration: of tests, of `make` and of the
// tools and programs that call Biocore. Any other unknown one is a spelling mistake.
var notOurs = []string{
	"BIOCORE_CONFIG", "BIOCORE_DEV", "BIOCORE_PID", "BIOCORE_SECRET_KEY",
	"BIOCORE_PG_BIN", "BIOCORE_SHOTS", "BIOCORE_VECTORS", "BIOCORE_MDS",
}

// environmentOf collects the BIOCORE_ variables, reading those given as files.
func environmentOf(environ []string) (map[string]string, error) {
	known := map[string]bool{}
	for field := range reflect.TypeFor[Config]().Fields() {
		known[field.Tag.Get("env")] = true
	}
	out := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "BIOCORE_") || strings.HasPrefix(name, "BIOCORE_TEST_") || slices.Contains(notOurs, name) {
			continue
		}
		base, isFile := strings.CutSuffix(name, "_FILE")
		switch {
		case known[name]: // BIOCORE_TLS_KEY_FILE is a name of its own
			base = name
		case isFile && known[base]:
			raw, err := os.ReadFile(value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			value = strings.TrimRight(string(raw), "\r\n")
		default:
			return nil, fmt.Errorf("unknown variable %s", name)
		}
		if _, twice := out[base]; twice {
			return nil, fmt.Errorf("%s and %s_FILE are both given", base, base)
		}
		out[base] = value
	}
	return out, nil
}

// apply sets the fields that env names.
func (c *Config) apply(env map[string]string) error {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("env")
		value, ok := env[name]
		if !ok {
			continue
		}
		var err error
		switch f := v.Field(i).Addr().Interface().(type) {
		case *string:
			*f = value
		case *int:
			*f, err = strconv.Atoi(value)
		case *bool:
			*f, err = strconv.ParseBool(value)
		case *time.Duration:
			*f, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("no reader for %T", f)
		}
		if err != nil {
			return fmt.Errorf("%s: cannot be read as a %s", name, v.Field(i).Type())
		}
	}
	return nil
}

// validateServe refuses what a server must not start with: missing values, and
// secrets that are somebody's example.
func (c *Config) validateServe() error {
	var errs []error
	missing := func(name, value string) {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is required", name))
		}
	}
	missing("BIOCORE_PUBLIC_URL", c.PublicURL)
	missing("BIOCORE_DATABASE_URL", c.DatabaseURL)
	missing("BIOCORE_DATABASE_WRITER_URL", c.DatabaseWriterURL)
	missing("BIOCORE_DATABASE_CONTROL_URL", c.DatabaseControlURL)
	missing("BIOCORE_DATABASE_JOBS_URL", c.DatabaseJobsURL)
	missing("BIOCORE_REDIS_URL", c.RedisURL)
	missing("BIOCORE_KMS_URL", c.KMSURL)
	if err := validPublicURL(c.PublicURL); c.PublicURL != "" && err != nil {
		errs = append(errs, err)
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		errs = append(errs, errors.New("BIOCORE_TLS_CERT_FILE and BIOCORE_TLS_KEY_FILE go together"))
	}
	postgres, redis := []string{"postgres", "postgresql"}, []string{"redis", "rediss"}
	errs = append(errs,
		validStoreURL("BIOCORE_DATABASE_URL", c.DatabaseURL, postgres),
		validStoreURL("BIOCORE_DATABASE_WRITER_URL", c.DatabaseWriterURL, postgres),
		validStoreURL("BIOCORE_DATABASE_CONTROL_URL", c.DatabaseControlURL, postgres),
		validStoreURL("BIOCORE_DATABASE_JOBS_URL", c.DatabaseJobsURL, postgres),
		validStoreURL("BIOCORE_REDIS_URL", c.RedisURL, redis),
	)
	if c.TrustedHops < 0 || c.TrustedHops > 8 {
		errs = append(errs, errors.New("BIOCORE_TRUSTED_HOPS is 0 to 8"))
	}
	if c.DatabaseConns < 1 || c.DatabaseConns > 1000 {
		errs = append(errs, errors.New("BIOCORE_DATABASE_CONNS is 1 to 1000"))
	}
	if c.DrainTimeout < 0 {
		errs = append(errs, errors.New("BIOCORE_DRAIN_TIMEOUT is not negative"))
	}
	return errors.Join(errs...)
}

// validStoreURL refuses, unless raw is empty, what is no URL of one of the schemes,
// and a password that stands in examples. The error shows nothing of raw.
func validStoreURL(name, raw string, schemes []string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil
	case err != nil || !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("%s is not a URL that begins with %s://", name, schemes[0])
	case weakPassword(u):
		return fmt.Errorf("the password in %s is a default one", name)
	}
	return nil
}

func validPublicURL(raw string) error {
	u, err := url.Parse(raw)
	local := err == nil && (u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost"))
	if err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || (u.Scheme != "https" && (u.Scheme != "http" || !local)) {
		return errors.New("BIOCORE_PUBLIC_URL is https://host[:port] without a path (http for localhost alone)")
	}
	return nil
}

// weakPassword reports a password that stands in examples, is empty or is the user's
// name. No password at all is left to the store: peer, certificate and service
// authentication exist.
func weakPassword(u *url.URL) bool {
	p, given := u.User.Password()
	name := u.User.Username()
	if q := u.Query(); q.Has("password") { // Postgres's drivers take it from there as well
		p, given = q.Get("password"), true
	}
	if !given {
		return false
	}
	switch strings.ToLower(p) {
	case "", strings.ToLower(name), "postgres", "password", "changeme", "change-me", "secret", "biocore", "redis", "admin", "example":
		return true
	}
	return false
}

// rolePasswords collects the passwords that the configured URLs log in with, for
// `migrate up --bootstrap`.
func (c *Config) rolePasswords() (map[string]string, error) {
	passwords := map[string]string{}
	for role, raw := range map[string]string{
		db.RoleMigrator: c.DatabaseMigratorURL, db.RoleApp: c.DatabaseURL, db.RoleWriter: c.DatabaseWriterURL,
		db.RoleControl: c.DatabaseControlURL, db.RoleJobs: c.DatabaseJobsURL,
	} {
		u, err := url.Parse(raw)
		if err != nil || u.User == nil || u.User.Username() != role {
			return nil, fmt.Errorf("bootstrap needs a database URL that logs in as %s", role)
		}
		passwords[role], _ = u.User.Password()
	}
	return passwords, nil
}
