package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// hunter is in every value below that may hold one; no error may show it.
const hunter = "hunter2-of-the-tests"

// noVariables takes the configuration out of the environment for this test.
func noVariables(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "BIOCORE_") {
			t.Setenv(name, value) // so that it is put back
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// file writes a file that only its owner reads.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantRefusal wants err to say something, and not the secret.
func wantRefusal(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("accepted, want a refusal that says %q", text)
	case !strings.Contains(err.Error(), text):
		t.Errorf("error = %v, want it to say %q", err, text)
	case strings.Contains(err.Error(), hunter):
		t.Errorf("error shows a secret: %v", err)
	}
}

// The environment overrides the file, which overrides the defaults.
func TestConfigPrecedence(t *testing.T) {
	noVariables(t)
	path := file(t, "biocore.yaml", "listen: :1\nopsListen: :2\ntrustedHops: 3\nnoLimits: true\ndrainTimeout: 7s\n")
	t.Setenv("BIOCORE_LISTEN", ":9")
	t.Setenv("BIOCORE_TRUSTED_HOPS", "1")
	t.Setenv("BIOCORE_NO_LIMITS", "false")
	t.Setenv("BIOCORE_DRAIN_TIMEOUT", "90s")
	got, err := loadConfig(t.Context(), path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Listen, want.OpsListen, want.TrustedHops, want.DrainTimeout = ":9", ":2", 1, 90*time.Second
	if got != want {
		t.Errorf("configuration = %+v, want %+v", got, want)
	}
}

// Without a file and without a database in the environment, the commands use what
// `biocore dev` left; they never mix it with somebody's own database.
func TestConfigOfDev(t *testing.T) {
	noVariables(t)
	dir := t.TempDir()
	if got, err := loadConfig(t.Context(), "", dir); err != nil || got != defaults() {
		t.Errorf("configuration of nothing = %+v, %v", got, err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".biocore"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.DatabaseURL, want.KMSURL, want.DrainTimeout = secret.New("postgres://of-dev"), "local:key", time.Second
	raw, err := want.write() // as dev does
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, devConfig), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := loadConfig(t.Context(), "", dir); err != nil || got != want {
		t.Errorf("configuration = %+v, %v; want that of dev", got, err)
	}
	for _, name := range []string{"BIOCORE_DATABASE_URL", "BIOCORE_DATABASE_MIGRATOR_URL"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "postgres://other")
			if got, err := loadConfig(t.Context(), "", dir); err != nil || got.KMSURL != "" {
				t.Errorf("configuration = %+v, %v; want nothing of dev's", got, err)
			}
		})
	}
}

func TestConfigFile(t *testing.T) {
	noVariables(t)
	dsn := "redisUrl: redis://:" + hunter + "@localhost\n"
	for _, tt := range []struct{ name, text, refusal string }{
		{"empty", "", ""},
		{"only a comment", "# nothing\n", ""},
		{"all good", dsn, ""},
		{"unknown key", dsn + "listne: :1\n" + "databaseUrl: postgres://u:" + hunter + "@h/x\n", `unknown field "listne"`},
		{"another spelling", "redisURL: x\n", `unknown field "redisURL"`},
		{"key twice", dsn + dsn, "already defined"},
		{"wrong type", "redisUrl: [redis://:" + hunter + "@localhost]\n", "cannot unmarshal"},
		{"no number", dsn + "trustedHops: many\n", "cannot unmarshal"},
		{"no duration", dsn + "drainTimeout: soon\n", "invalid duration"},
		{"no YAML", dsn + "\tlisten\n", "cannot start any token"},
		{"no mapping", "- " + hunter + "\n", "mapping is expected"},
		{"two documents", dsn + "---\n" + dsn, "more than one YAML document"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(t.Context(), file(t, "biocore.yaml", tt.text), t.TempDir())
			if tt.refusal != "" {
				wantRefusal(t, err, tt.refusal)
			} else if err != nil {
				t.Errorf("loadConfig = %v", err)
			}
		})
	}
	_, err := loadConfig(t.Context(), filepath.Join(t.TempDir(), "absent.yaml"), t.TempDir())
	wantRefusal(t, err, "absent.yaml")
}

func TestConfigVariables(t *testing.T) {
	dsn := "postgres://bc_app:" + hunter + "@localhost/biocore"
	path := file(t, "url", dsn+"\r\n")
	for _, tt := range []struct {
		name    string
		environ []string
		want    map[string]string
		refusal string
	}{
		{"a value", []string{"BIOCORE_DATABASE_URL=" + dsn}, map[string]string{"BIOCORE_DATABASE_URL": dsn}, ""},
		{"an empty value", []string{"BIOCORE_REDIS_URL="}, map[string]string{"BIOCORE_REDIS_URL": ""}, ""},
		{"a value with =", []string{"BIOCORE_DATABASE_URL=x?a=b"}, map[string]string{"BIOCORE_DATABASE_URL": "x?a=b"}, ""},
		{"a file", []string{"BIOCORE_DATABASE_URL_FILE=" + path}, map[string]string{"BIOCORE_DATABASE_URL": dsn}, ""},
		{"a name that ends in _FILE", []string{"BIOCORE_TLS_KEY_FILE=" + path}, map[string]string{"BIOCORE_TLS_KEY_FILE": path}, ""},
		{"not ours", []string{"PATH=x", "BIOCORE_TEST_POSTGRES_URL=x", "BIOCORE_PG_BIN=x", "BIOCORE_SECRET_KEY=" + hunter, "BIOCORE=x"}, map[string]string{}, ""},
		{"unknown", []string{"BIOCORE_DATABSE_URL=" + dsn}, nil, "unknown variable BIOCORE_DATABSE_URL"},
		{"unknown file", []string{"BIOCORE_DATABSE_URL_FILE=" + path}, nil, "unknown variable BIOCORE_DATABSE_URL_FILE"},
		{"lower case", []string{"BIOCORE_database_url=" + dsn}, nil, "unknown variable BIOCORE_database_url"},
		{"no such file", []string{"BIOCORE_DATABASE_URL_FILE=" + path + ".absent"}, nil, "BIOCORE_DATABASE_URL_FILE: open"},
		{
			"value and file", []string{"BIOCORE_DATABASE_URL_FILE=" + path, "BIOCORE_DATABASE_URL=" + dsn}, nil,
			"BIOCORE_DATABASE_URL and BIOCORE_DATABASE_URL_FILE are both given",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := environmentOf(tt.environ)
			err := errors.Join(slices.Collect(maps.Values(got.failed))...)
			if tt.refusal != "" {
				wantRefusal(t, err, tt.refusal)
			} else if err != nil || !maps.Equal(got.values, tt.want) {
				t.Errorf("environmentOf = %v, %v; want %v", got.values, err, tt.want)
			}
		})
	}
}

func TestConfigUnreadableValues(t *testing.T) {
	for name, text := range map[string]string{
		"BIOCORE_TRUSTED_HOPS": hunter, "BIOCORE_DATABASE_CONNS": "1.5", "BIOCORE_NO_LIMITS": hunter, "BIOCORE_DRAIN_TIMEOUT": "20",
	} {
		c := defaults()
		wantRefusal(t, c.apply(map[string]string{name: text})[name], name+": cannot be read as a")
	}
}

// Every field is reached from both sides, under names that follow from its own.
func TestConfigFieldsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		env, key := f.Tag.Get("env"), f.Tag.Get("yaml")
		if !strings.EqualFold(strings.ReplaceAll(strings.TrimPrefix(env, "BIOCORE_"), "_", ""), key) || !strings.EqualFold(key, f.Name) || seen[env] {
			t.Errorf("%s: variable %q, key %q", f.Name, env, key)
		}
		seen[env] = true
	}
}

// goodConfig is one that serve starts with.
func goodConfig() Config {
	c := defaults()
	c.PublicURL, c.RedisURL, c.KMSURL = "https://auth.example.com", secret.New("redis://:"+hunter+"@redis:6379"), "local:/etc/biocore/kms.key"
	for role, to := range map[string]*secret.Text{
		"bc_app": &c.DatabaseURL, "bc_writer": &c.DatabaseWriterURL, "bc_control": &c.DatabaseControlURL, "bc_jobs": &c.DatabaseJobsURL, "bc_support": &c.DatabaseSupportURL, "bc_audit": &c.DatabaseAuditURL,
	} {
		*to = secret.New("postgres://" + role + ":" + hunter + "@postgres/biocore")
	}
	c.FlagsProvider, c.FlagsURL, c.FlagsKey = "ofrep", "https://flags.example.com", secret.New(hunter)
	return c
}

func TestServeRefuses(t *testing.T) {
	good := goodConfig()
	if err := good.validateServe(); err != nil {
		t.Fatalf("a good configuration = %v", err)
	}
	good.KMSPreviousURLs = good.KMSURL + ",\n  vault:https://vault.example:8200/transit/keys/biocore?token-file=/run/token"
	good.KMSURL = "pkcs11:token=biocore;object=kek?pin-source=/run/pin" // RFC 7512: a token has a label
	if err := good.validateServe(); err != nil || len(good.previousKMS()) != 2 {
		t.Errorf("a configuration with three KMSs = %v, %q", err, good.previousKMS())
	}
	for _, tt := range []struct {
		name    string
		change  func(*Config)
		refusal string
	}{
		{"no public URL", func(c *Config) { c.PublicURL = "" }, "BIOCORE_PUBLIC_URL is required"},
		{"no database", func(c *Config) { c.DatabaseURL = secret.New("") }, "BIOCORE_DATABASE_URL is required"},
		{"no writer", func(c *Config) { c.DatabaseWriterURL = secret.New("") }, "BIOCORE_DATABASE_WRITER_URL is required"},
		{"no control", func(c *Config) { c.DatabaseControlURL = secret.New("") }, "BIOCORE_DATABASE_CONTROL_URL is required"},
		{"no support", func(c *Config) { c.DatabaseSupportURL = secret.New("") }, "BIOCORE_DATABASE_SUPPORT_URL is required"},
		{"no audit", func(c *Config) { c.DatabaseAuditURL = secret.New("") }, "BIOCORE_DATABASE_AUDIT_URL is required"},
		{"no jobs", func(c *Config) { c.DatabaseJobsURL = secret.New("") }, "BIOCORE_DATABASE_JOBS_URL is required"},
		{"no Redis", func(c *Config) { c.RedisURL = secret.New("") }, "BIOCORE_REDIS_URL is required"},
		{"no KMS", func(c *Config) { c.KMSURL = "" }, "BIOCORE_KMS_URL is required"},
		{"half of TLS", func(c *Config) { c.TLSCertFile = "cert.pem" }, "go together"},
		{"the other half", func(c *Config) { c.TLSKeyFile = "key.pem" }, "go together"},
		{"plain HTTP to the world", func(c *Config) { c.PublicURL = "http://auth.example.com" }, "BIOCORE_PUBLIC_URL is https"},
		{"upper case", func(c *Config) { c.PublicURL = "https://Auth.example.com" }, "BIOCORE_PUBLIC_URL is written as browsers write it"},
		{"the port of https", func(c *Config) { c.PublicURL = "https://auth.example.com:443" }, "BIOCORE_PUBLIC_URL is written as browsers write it"},
		{"a path", func(c *Config) { c.PublicURL = "https://example.com/auth" }, "BIOCORE_PUBLIC_URL is https"},
		{"a slash", func(c *Config) { c.PublicURL = "https://example.com/" }, "BIOCORE_PUBLIC_URL is https"},
		{"a query", func(c *Config) { c.PublicURL = "https://example.com?x" }, "BIOCORE_PUBLIC_URL is https"},
		{"a fragment", func(c *Config) { c.PublicURL = "https://example.com#x" }, "BIOCORE_PUBLIC_URL is https"},
		{"a user", func(c *Config) { c.PublicURL = "https://u:" + hunter + "@example.com" }, "BIOCORE_PUBLIC_URL is https"},
		{"no host", func(c *Config) { c.PublicURL = "https://:8443" }, "BIOCORE_PUBLIC_URL is https"},
		{"no scheme", func(c *Config) { c.PublicURL = "example.com" }, "BIOCORE_PUBLIC_URL is https"},
		{"an example's password", func(c *Config) { c.DatabaseURL = secret.New("postgres://bc_app:Postgres@h/x") }, "the password in BIOCORE_DATABASE_URL"},
		{"an empty password", func(c *Config) { c.RedisURL = secret.New("redis://:@h") }, "the password in BIOCORE_REDIS_URL"},
		{"the user as password", func(c *Config) { c.DatabaseJobsURL = secret.New("postgres://bc_jobs:bc_jobs@h/x") }, "the password in BIOCORE_DATABASE_JOBS_URL"},
		{"a password in the query", func(c *Config) { c.DatabaseWriterURL = secret.New("postgres://bc_writer@h/x?password=secret") }, "the password in BIOCORE_DATABASE_WRITER_URL"},
		{"an example's password with a year", func(c *Config) { c.DatabaseURL = secret.New("postgres://bc_app:Password2026!@h/x") }, "the password in BIOCORE_DATABASE_URL"},
		{"the database as password", func(c *Config) { c.DatabaseURL = secret.New("postgres://bc_app:our-installation@h/our-installation") }, "the password in BIOCORE_DATABASE_URL is a default one"},
		{"a short password", func(c *Config) { c.RedisURL = secret.New("redis://:xK3-9qLw7_z@h") }, "the password in BIOCORE_REDIS_URL is shorter than 12 characters"},
		{"a PIN in the KMS's URL", func(c *Config) { c.KMSURL = "pkcs11:token=x?pin-value=" + hunter }, "BIOCORE_KMS_URL carries a secret"},
		{"a token in a previous KMS's URL", func(c *Config) { c.KMSPreviousURLs = "local:/k, vault:https://h/transit/keys/k?token=" + hunter }, "BIOCORE_KMS_PREVIOUS_URLS carries a secret"},
		{"a password in the KMS's URL", func(c *Config) { c.KMSURL = "vault:https://u:" + hunter + "@h/transit/keys/k" }, "BIOCORE_KMS_URL carries a secret"},
		{"a password in the bucket's URL", func(c *Config) { c.ObjectStorageURL = "s3://AKID:" + hunter + "@bucket" }, "BIOCORE_OBJECT_STORAGE_URL carries a secret"},
		{"a token in the bucket's URL", func(c *Config) { c.ObjectStorageURL = "azblob://c?account=a&token=" + hunter }, "BIOCORE_OBJECT_STORAGE_URL carries a secret"},
		{"a password in the metadata's URL", func(c *Config) { c.MDSURL = "https://u:" + hunter + "@h/" }, "BIOCORE_MDS_URL carries a secret"},
		{"metadata in the clear", func(c *Config) { c.MDSURL = "http://mds.example/" }, "BIOCORE_MDS_URL is https://"},
		{"metadata of another machine's file", func(c *Config) { c.MDSURL = "file://host/blob" }, "BIOCORE_MDS_URL is https://"},
		{"more unreadable than there is", func(c *Config) { c.MDSMaxUnparsed = 101 }, "BIOCORE_MDS_MAX_UNPARSED is 0 to 100"},
		{"a catalogue that cannot be read", func(c *Config) {
			c.ReportCataloguesDir = filepath.Dir(file(t, "ours.yaml", "format: biocore-catalogue/1\nsections: []\n"))
		}, "ours.yaml:2: there is no member \"sections\" here"},
		{"no folder of catalogues", func(c *Config) { c.ReportCataloguesDir = "/nowhere/at/all" }, "BIOCORE_REPORT_CATALOGUES_DIR: open /nowhere/at/all"},
		{"no bucket at all", func(c *Config) { c.ObjectStorageURL = "/var/lib/objects" }, "BIOCORE_OBJECT_STORAGE_URL is not a URL"},
		{"no URL at all", func(c *Config) { c.DatabaseURL = secret.New("host=h user=bc_app password=" + hunter) }, "BIOCORE_DATABASE_URL is not a URL"},
		{"an unreadable URL", func(c *Config) { c.DatabaseControlURL = secret.New("postgres://u:" + hunter + "@[bad") }, "BIOCORE_DATABASE_CONTROL_URL is not a URL"},
		{"another store's URL", func(c *Config) { c.RedisURL = secret.New("postgres://u:" + hunter + "@h") }, "BIOCORE_REDIS_URL is not a URL"},
		{"a port among the host names", func(c *Config) { c.OpsHosts = "biocore,prometheus:9090" }, "BIOCORE_OPS_HOSTS is a list of host names"},
		{"a URL among the host names", func(c *Config) { c.OpsHosts = "http://biocore" }, "BIOCORE_OPS_HOSTS is a list of host names"},
		{"any host name", func(c *Config) { c.OpsHosts = "*" }, "BIOCORE_OPS_HOSTS is a list of host names"},
		{"too many proxies", func(c *Config) { c.TrustedHops = 9 }, "BIOCORE_TRUSTED_HOPS is 0 to 8"},
		{"fewer than none", func(c *Config) { c.TrustedHops = -1 }, "BIOCORE_TRUSTED_HOPS is 0 to 8"},
		{"a stranger's flags", func(c *Config) { c.FlagsProvider = "flipt" }, "the provider of feature flags is biocore, ofrep, flagd, unleash or launchdarkly"},
		{"flags of nowhere", func(c *Config) { c.FlagsURL = "" }, "BIOCORE_FLAGS_URL, BIOCORE_FLAGS_KEY: this provider of feature flags needs a URL"},
		{"a key in the URL of flags", func(c *Config) { c.FlagsURL = "https://flags.example.com?key=" + hunter }, "without user, query or fragment"},
		{"a key for flagd", func(c *Config) { c.FlagsProvider = "flagd" }, "takes no key"},
		{"Biocore's own flags elsewhere", func(c *Config) { c.FlagsProvider = "biocore" }, "takes neither a URL nor a key"},
		{"no connections", func(c *Config) { c.DatabaseConns = 0 }, "BIOCORE_DATABASE_CONNS is 1 to 1000"},
		{"time runs back", func(c *Config) { c.DrainTimeout = -1 }, "BIOCORE_DRAIN_TIMEOUT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := goodConfig()
			tt.change(&c)
			wantRefusal(t, c.validateServe(), tt.refusal)
		})
	}
	for _, url := range []string{"http://localhost:8080", "http://acme.localhost", "https://auth.example.com:8443"} {
		c := goodConfig()
		if c.PublicURL = url; c.validateServe() != nil {
			t.Errorf("public URL %s = %v", url, c.validateServe())
		}
	}
	for _, url := range []string{"pkcs11:token=biocore;object=kek?pin-source=file:/run/pin", "vault:https://h:8200/transit/keys/k", "local:/run/a@b:c/key"} {
		c := goodConfig()
		if c.KMSURL = url; c.validateServe() != nil {
			t.Errorf("KMS URL %s = %v", url, c.validateServe())
		}
	}
	for _, url := range []string{"postgres://bc_app@h/x", "postgresql://bc_app:" + hunter + "@h/x"} { // peer, certificates
		c := goodConfig()
		if c.DatabaseURL = secret.New(url); c.validateServe() != nil {
			t.Errorf("database URL %s = %v", url, c.validateServe())
		}
	}
}

// Everything that is wrong is told at once, and what cannot be read is not called
// missing besides.
func TestServeTellsAllAtOnce(t *testing.T) {
	c := goodConfig()
	c.DatabaseURL, c.RedisURL, c.KMSURL = secret.Text{}, secret.New("redis://:short@h"), ""
	err := c.validateServe("BIOCORE_KMS_URL")
	wantRefusal(t, err, "BIOCORE_DATABASE_URL is required")
	wantRefusal(t, err, "the password in BIOCORE_REDIS_URL")
	if strings.Contains(err.Error(), "BIOCORE_KMS_URL") {
		t.Errorf("what was told already is told again: %v", err)
	}
}

// plainFields are fields whose name says that they could hold a secret, and why they
// do not.
var plainFields = map[string]string{
	"PublicURL":        "every token names it; validateServe refuses a user in it",
	"KMSURL":           "it names a key, and doctor tells it; validateServe refuses a secret in it",
	"KMSPreviousURLs":  "as KMSURL",
	"ObjectStorageURL": "it names a bucket, and doctor tells it; validateServe refuses a secret in it",
	"MDSURL":           "it names what is public; validateServe refuses a secret in it",
	"FlagsURL":         "it names a server, and readyz tells it; validateServe refuses a user and a query in it",
	"TLSKeyFile":       "where the key is, not the key",
}

// A new field that may hold a secret is hidden from the day it is written.
func TestConfigHidesWhatItsNamesSay(t *testing.T) {
	suspect := regexp.MustCompile(`(?i)url|key|password|token|secret|pin|credential`)
	for field := range reflect.TypeFor[Config]().Fields() {
		hidden := field.Type == reflect.TypeFor[secret.Text]()
		switch why := plainFields[field.Name]; {
		case suspect.MatchString(field.Name) && !hidden && why == "":
			t.Errorf("%s is a %s: make it a secret.Text, or say in plainFields why it holds no secret", field.Name, field.Type)
		case hidden && why != "":
			t.Errorf("%s is hidden, and plainFields says that it need not be", field.Name)
		}
	}
	c := goodConfig()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{c, &c, struct{ c Config }{c}, &platform{cfg: c}, checkup{cfg: c}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, hunter) || strings.Contains(got, hex.EncodeToString([]byte(hunter))) {
				t.Errorf("%s of a %T shows a secret: %s", verb, v, got)
			}
		}
	}
	if raw, err := yaml.Marshal(c); err != nil || strings.Contains(string(raw), hunter) {
		t.Errorf("YAML that nobody meant to hold them shows secrets: %v\n%s", err, raw)
	}
}

// A file is refused when others may read the secret in it, or change it.
func TestConfigFilesThatOthersReach(t *testing.T) {
	noVariables(t)
	url := "postgres://bc_app:" + hunter + "@localhost/biocore"
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
		refusal    string
	}{
		{"its owner's", "databaseUrl: " + url, 0o600, ""},
		{"its group's to read", "databaseUrl: " + url, 0o640, ""},
		{"everybody's, with a secret", "databaseUrl: " + url, 0o644, "chmod 600"},
		{"everybody's, with a reference", "databaseUrl: kms:AQAB", 0o644, "BIOCORE_DATABASE_URL"}, // which does not open
		{"everybody's, without", "listen: :1", 0o644, ""},
		{"everybody's to change", "listen: :1", 0o646, "chmod 600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, "biocore.yaml", tt.text+"\n")
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := loadConfig(t.Context(), path, t.TempDir())
			if tt.refusal == "" && err != nil {
				t.Errorf("loadConfig = %v", err)
			} else if tt.refusal != "" {
				wantRefusal(t, err, tt.refusal)
			}
		})
	}
	mounted := file(t, "url", url)
	if err := os.Chmod(mounted, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BIOCORE_DATABASE_URL_FILE", mounted)
	t.Setenv("BIOCORE_REDIS_URL_FILE", mounted)
	_, err := loadConfig(t.Context(), "", t.TempDir())
	wantRefusal(t, err, "BIOCORE_DATABASE_URL_FILE: "+mounted+" is open to others (0644)")
	wantRefusal(t, err, "BIOCORE_REDIS_URL_FILE: ")
	if err := os.Unsetenv("BIOCORE_DATABASE_URL_FILE"); err != nil {
		t.Fatal(err)
	}
	if err := os.Unsetenv("BIOCORE_REDIS_URL_FILE"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BIOCORE_LISTEN_FILE", mounted) // no secret
	if _, err := loadConfig(t.Context(), "", t.TempDir()); err != nil {
		t.Errorf("a file without a secret: %v", err)
	}
}

// A server's own files are refused together with the rest, whichever others reach.
func TestServeRefusesOpenKeyFiles(t *testing.T) {
	c := goodConfig()
	kmsKey := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(kmsKey); err != nil {
		t.Fatal(err)
	}
	c.KMSURL = "local:" + kmsKey
	c.TLSCertFile, c.TLSKeyFile = file(t, "cert.pem", "no certificate"), file(t, "key.pem", hunter)
	wantRefusal(t, c.checkFiles(), "TLS certificate: ")
	for _, path := range []string{kmsKey, c.TLSKeyFile} {
		if err := os.Chmod(path, 0o604); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, c.checkFiles(), "BIOCORE_TLS_KEY_FILE: "+c.TLSKeyFile+" is open to others (0604)")
	wantRefusal(t, c.checkFiles(), "KMS key "+kmsKey+" is open to others (0604)")
	if err := errors.Join(os.Chmod(kmsKey, 0o600), os.Chmod(filepath.Dir(kmsKey), 0o777)); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, c.checkFiles(), "they may write its folder "+filepath.Dir(kmsKey))
}

// doctor warns of what leaves the machine in the open, and not of what stays on it.
func TestOpenWays(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string // empty: nothing
	}{
		{"on this machine", func(c *Config) {
			c.DatabaseURL, c.RedisURL = secret.New("postgres://u@127.0.0.1/x?sslmode=disable"), secret.New("redis://localhost")
		}, ""},
		{"by a socket", func(c *Config) { c.DatabaseURL = secret.New("postgres:///x?host=/var/run/postgresql") }, ""},
		{"encrypted", func(c *Config) { c.DatabaseURL = secret.New("postgres://u@db/x?sslmode=verify-full") }, ""},
		{"not encrypted", func(c *Config) { c.DatabaseURL = secret.New("postgres://u@db/x?sslmode=disable") }, "BIOCORE_DATABASE_URL may go unencrypted to db"},
		{"perhaps encrypted", func(c *Config) { c.DatabaseJobsURL = secret.New("postgres://u@10.0.0.7/x") }, "BIOCORE_DATABASE_JOBS_URL may go unencrypted to 10.0.0.7"},
		{"Redis without a password", func(c *Config) { c.RedisURL = secret.New("rediss://cache:6379") }, "BIOCORE_REDIS_URL has no password, and cache"},
	} {
		c := goodConfig()
		for _, to := range []*secret.Text{&c.DatabaseURL, &c.DatabaseWriterURL, &c.DatabaseControlURL, &c.DatabaseJobsURL, &c.DatabaseSupportURL, &c.DatabaseAuditURL} {
			*to = secret.New(to.Reveal() + "?sslmode=verify-full")
		}
		tt.change(&c)
		if got := strings.Join(c.openWays(), "\n"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) || strings.Contains(got, hunter) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for _, level := range []string{"debug", "info", "warn", "error", "INFO"} {
		c := Config{LogLevel: level}
		if _, err := c.logLevel(); err != nil {
			t.Errorf("level %s = %v", level, err)
		}
	}
	c := Config{LogLevel: hunter}
	_, err := c.logLevel()
	wantRefusal(t, err, "BIOCORE_LOG_LEVEL is debug, info, warn or error")
}

// The roles' passwords are taken from URLs that log in as them, and from no others.
func TestRolePasswords(t *testing.T) {
	c := goodConfig()
	_, err := c.rolePasswords()
	wantRefusal(t, err, "bc_migrator")
	c.DatabaseMigratorURL = secret.New("postgres://bc_migrator:" + hunter + "@postgres/biocore")
	passwords, err := c.rolePasswords()
	if err != nil || len(passwords) != 7 || slices.ContainsFunc(slices.Collect(maps.Values(passwords)), func(p string) bool { return p != hunter }) {
		t.Errorf("rolePasswords = %d of 7, %v", len(passwords), err)
	}
	c.DatabaseURL = secret.New("postgres://postgres:" + hunter + "@postgres/biocore")
	_, err = c.rolePasswords()
	wantRefusal(t, err, "bc_app")
}
