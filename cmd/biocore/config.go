package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/rollout/provider"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// Config is everything that can be configured. A value comes from, in rising
// order: the default, the file given by --config, the environment. Each variable
// may also be read from a file, by <NAME>_FILE: for secrets that are mounted.
// Unknown keys in the file are refused; so are unknown BIOCORE_ variables.
//
// What may hold a password is a secret.Text, and a test holds every new field to that.
// In place of itself it may be given as a reference that the KMS opens: kms:… (see
// reference.go).
type Config struct {
	// Listen is the public port, host:port. Default ":8080".
	Listen string `yaml:"listen" env:"BIOCORE_LISTEN"`
	// OpsListen is the operations port (metrics, readiness by name, profiles),
	// host:port. Default "127.0.0.1:9090": it must not be reachable by the public.
	OpsListen string `yaml:"opsListen" env:"BIOCORE_OPS_LISTEN"`
	// OpsHosts are the names by which operators reach the operations port, separated by
	// commas: any other Host is refused, so that no page of a browser can read the port
	// by a name of its own. Addresses, localhost and the name in OpsListen are known.
	OpsHosts string `yaml:"opsHosts" env:"BIOCORE_OPS_HOSTS"`
	// PublicURL is how clients reach this installation, without a path: the issuer
	// of tokens begins with it. https, except for localhost. Required.
	PublicURL string `yaml:"publicUrl" env:"BIOCORE_PUBLIC_URL"`
	// TLSCertFile and TLSKeyFile are PEM files; without them the public port speaks
	// plain HTTP, for use behind a proxy that ends TLS.
	TLSCertFile string `yaml:"tlsCertFile" env:"BIOCORE_TLS_CERT_FILE"`
	TLSKeyFile  string `yaml:"tlsKeyFile" env:"BIOCORE_TLS_KEY_FILE"`
	// TrustedHops is how many reverse proxies stand in front and append to
	// X-Forwarded-For, 0 to 8. Default 0: the header is ignored.
	TrustedHops int `yaml:"trustedHops" env:"BIOCORE_TRUSTED_HOPS"`

	// DatabaseURL is postgres://bc_app:password@host:5432/database: the role bc_app, behind the wall
	// between tenants. Required, and so are the next five; all six name one database, each by
	// another role.
	DatabaseURL secret.Text `yaml:"databaseUrl" env:"BIOCORE_DATABASE_URL"`
	// DatabaseWriterURL logs in as bc_writer, which commits sign-ins. It must reach Postgres directly and
	// not through a transaction pooler. Required.
	DatabaseWriterURL secret.Text `yaml:"databaseWriterUrl" env:"BIOCORE_DATABASE_WRITER_URL"`
	// DatabaseControlURL logs in as bc_control: what concerns all tenants, and news for caches. It must
	// reach Postgres directly and not through a transaction pooler. Required.
	DatabaseControlURL secret.Text `yaml:"databaseControlUrl" env:"BIOCORE_DATABASE_CONTROL_URL"`
	// DatabaseJobsURL logs in as bc_jobs, which runs jobs. Required.
	DatabaseJobsURL secret.Text `yaml:"databaseJobsUrl" env:"BIOCORE_DATABASE_JOBS_URL"`
	// DatabaseSupportURL logs in as bc_support, which sees of a tenant what it lets support see. Required.
	DatabaseSupportURL secret.Text `yaml:"databaseSupportUrl" env:"BIOCORE_DATABASE_SUPPORT_URL"`
	// DatabaseAuditURL logs in as bc_audit, which alone appends to audit logs. Required.
	DatabaseAuditURL secret.Text `yaml:"databaseAuditUrl" env:"BIOCORE_DATABASE_AUDIT_URL"`
	// DatabaseMigratorURL logs in as bc_migrator: for `migrate` and `doctor` alone,
	// `serve` does not use it.
	DatabaseMigratorURL secret.Text `yaml:"databaseMigratorUrl" env:"BIOCORE_DATABASE_MIGRATOR_URL"`
	// DatabaseConns bounds the pool of bc_app, 1 to 1000: docs/load.md. Default 16.
	DatabaseConns int `yaml:"databaseConns" env:"BIOCORE_DATABASE_CONNS"`

	// RedisURL is redis://[:password@]host:port[/db], or rediss://. Required.
	RedisURL secret.Text `yaml:"redisUrl" env:"BIOCORE_REDIS_URL"`
	// KMSURL names the key that wraps the tenants' data keys, in one of the forms of
	// docs/kms.md, such as vault:https://host:8200/transit/keys/name or local:/path/to/file
	// (32 random bytes, readable by its owner alone). Required.
	KMSURL string `yaml:"kmsUrl" env:"BIOCORE_KMS_URL"`
	// KMSPreviousURLs are the KMSs that wrapped before KMSURL's did, divided by spaces or
	// commas, until `biocore keys rewrap` has moved everything. Default none.
	KMSPreviousURLs string `yaml:"kmsPreviousUrls" env:"BIOCORE_KMS_PREVIOUS_URLS"`
	// ObjectStorageURL is where exports, reports, archives of audit logs and attestation evidence go, in one
	// of the forms of docs/object-storage.md, such as s3://bucket?region=eu-central-1 or file:///a/folder
	// (for one server). It holds no secret. Without it evidence and audit logs stay in Postgres, and
	// exports and reports are refused.
	ObjectStorageURL string `yaml:"objectStorageUrl" env:"BIOCORE_OBJECT_STORAGE_URL"`
	// AuditLockDays is for how many days nobody is to be able to remove heads and archives of audit logs from object
	// storage, not even the account's owner, where it can lock objects (docs/object-storage.md): 0, for no lock,
	// to 36500. What is locked is paid for until then. Default 365.
	AuditLockDays int `yaml:"auditLockDays" env:"BIOCORE_AUDIT_LOCK_DAYS"`

	// ReportCataloguesDir is a folder with catalogues of controls of the installation's own, NAME.yaml each, which
	// every tenant makes compliance reports by (docs/reports.md). They are read once, at the start: a file that cannot be
	// is refused by its line. All servers have the same. Default none.
	ReportCataloguesDir string `yaml:"reportCataloguesDir" env:"BIOCORE_REPORT_CATALOGUES_DIR"`

	// BackupDays is how many days backups of the database are kept, by whoever makes them: certificates of
	// erasures say until when backups may hold a user, and doctor looks that far back into the ledger
	// (docs/gdpr.md). 1 to 3650. Default 0: certificates say that nobody has told.
	BackupDays int `yaml:"backupDays" env:"BIOCORE_BACKUP_DAYS"`

	// MDSURL is where the BLOB of the FIDO Metadata Service is read, once a day: the FIDO
	// Alliance's is https://mds3.fidoalliance.org/. Or a file:///a/file that somebody else
	// keeps up to date, where servers reach no Internet. Without it `biocore mds sync` alone
	// brings it.
	MDSURL string `yaml:"mdsUrl" env:"BIOCORE_MDS_URL"`
	// MDSRootsFile are the roots (PEM) that the BLOB is verified by, for a metadata service
	// of one's own: they must sign certificates for nothing else. Default: the FIDO Alliance's.
	MDSRootsFile string `yaml:"mdsRootsFile" env:"BIOCORE_MDS_ROOTS_FILE"`
	// MDSMaxUnparsed is how many percent of the BLOB's entries may be unreadable; with more it
	// is refused, and the one before stays in use. Default 5.
	MDSMaxUnparsed int `yaml:"mdsMaxUnparsed" env:"BIOCORE_MDS_MAX_UNPARSED"`

	// DNSServer is the name server, host:port, that is asked for the TXT records by which
	// tenants prove their domains, and for addresses of their web servers. Default: the system's.
	DNSServer string `yaml:"dnsServer" env:"BIOCORE_DNS_SERVER"`
	// FetchNetworks are networks, in CIDR form and divided by commas, whose web servers may be
	// asked for documents of tenants' domains although they are not of the public Internet, as
	// 10.20.0.0/16. Default none.
	FetchNetworks string `yaml:"fetchNetworks" env:"BIOCORE_FETCH_NETWORKS"`

	// RiskCountryFile and RiskASNFile tell the country and the network (autonomous system) of an address: files in MaxMind DB
	// form, such as /var/lib/biocore/country.mmdb. One that is replaced comes into use within a minute: docs/risk-data.md. Default
	// none: neither is known.
	RiskCountryFile string `yaml:"riskCountryFile" env:"BIOCORE_RISK_COUNTRY_FILE"`
	RiskASNFile     string `yaml:"riskAsnFile" env:"BIOCORE_RISK_ASN_FILE"`
	// RiskNetworkLists are lists of networks in files, each with a label that risk rules know it by, as label=/a/file and divided
	// by commas: tor=/var/lib/biocore/tor.txt,hosting=/var/lib/biocore/hosting.txt. At most 16. One that is replaced comes into use
	// within a minute: docs/risk-data.md. Default none.
	RiskNetworkLists string `yaml:"riskNetworkLists" env:"BIOCORE_RISK_NETWORK_LISTS"`
	// RiskDataDays is after how many days doctor finds that a file of these is old, 1 to 3650. Default 45.
	RiskDataDays int `yaml:"riskDataDays" env:"BIOCORE_RISK_DATA_DAYS"`

	// SMTPURL is the mail server, smtp://user:password@host:587 (STARTTLS) or
	// smtps://user:password@host:465 (TLS at once): docs/mail.md. Without it no mail is sent, and
	// links are copied.
	SMTPURL secret.Text `yaml:"smtpUrl" env:"BIOCORE_SMTP_URL"`
	// MailFrom is whom mail is from, as Biocore <no-reply@bank.example>. Required with SMTPURL.
	MailFrom string `yaml:"mailFrom" env:"BIOCORE_MAIL_FROM"`

	// SLOObjective is what share of registrations and sign-ins is to be answered within 30 days,
	// in percent, 90 to 99.999: what burn rates are told against (docs/slo.md). Default 99.9.
	SLOObjective float64 `yaml:"sloObjective" env:"BIOCORE_SLO_OBJECTIVE"`

	// FlagsProvider is who says which of Biocore's own switches are on (docs/flags.md): biocore, for flags of the reserved
	// tenant, which the staff change in the console; or an OpenFeature provider from elsewhere: ofrep, flagd, unleash or launchdarkly. Where
	// one does not answer, defaults hold. Default biocore.
	FlagsProvider string `yaml:"flagsProvider" env:"BIOCORE_FLAGS_PROVIDER"`
	// FlagsURL is where it is: of ofrep what is before /ofrep/v1, of flagd its evaluation port, as https://flagd:8013, of
	// unleash its API, as https://unleash.example/api, of launchdarkly a Relay Proxy, or nothing for LaunchDarkly itself.
	FlagsURL string `yaml:"flagsUrl" env:"BIOCORE_FLAGS_URL"`
	// FlagsKey is shown to it: a bearer token of ofrep, which may lack; an API token of unleash for clients; an SDK key of
	// launchdarkly. flagd takes none.
	FlagsKey secret.Text `yaml:"flagsKey" env:"BIOCORE_FLAGS_KEY"`

	// NoLimits turns rate limits off: for load tests on a machine of one's own.
	NoLimits bool `yaml:"noLimits" env:"BIOCORE_NO_LIMITS"`
	// LogLevel is debug, info, warn or error. Default info.
	LogLevel string `yaml:"logLevel" env:"BIOCORE_LOG_LEVEL"`
	// DrainTimeout is how long requests in flight get after SIGTERM. Default 20s.
	DrainTimeout time.Duration `yaml:"drainTimeout" env:"BIOCORE_DRAIN_TIMEOUT"`
}

// maxLockDays is a century: S3 takes no longer lock.
const maxLockDays = 36_500

func defaults() Config {
	return Config{
		Listen: ":8080", OpsListen: "127.0.0.1:9090", DatabaseConns: 16,
		AuditLockDays: 365, MDSMaxUnparsed: 5, RiskDataDays: 45, SLOObjective: 99.9, FlagsProvider: string(provider.Biocore), LogLevel: "info", DrainTimeout: 20 * time.Second,
	}
}

// devConfig is where `biocore dev` leaves the configuration of what it runs; the
// operator's commands use it when they are told nothing else.
var devConfig = filepath.Join(".biocore", "biocore.yaml")

// configFlag adds --config to fs.
func configFlag(fs *flag.FlagSet) *string {
	return fs.String("config", os.Getenv("BIOCORE_CONFIG"), "configuration `file` (YAML); the environment overrides it")
}

// validateServe refuses what a server must not start with: missing values, and
// secrets that are somebody's example. All of it is told at once, except of the
// variables in unread, of which it has been told already that they cannot be read.
func (c *Config) validateServe(unread ...string) error {
	var none secret.Text
	var errs []error
	missing := func(name string, missing bool) {
		if missing && !slices.Contains(unread, name) {
			errs = append(errs, fmt.Errorf("%s is required", name))
		}
	}
	missing("BIOCORE_PUBLIC_URL", c.PublicURL == "")
	missing("BIOCORE_DATABASE_URL", c.DatabaseURL == none)
	missing("BIOCORE_DATABASE_WRITER_URL", c.DatabaseWriterURL == none)
	missing("BIOCORE_DATABASE_CONTROL_URL", c.DatabaseControlURL == none)
	missing("BIOCORE_DATABASE_JOBS_URL", c.DatabaseJobsURL == none)
	missing("BIOCORE_DATABASE_SUPPORT_URL", c.DatabaseSupportURL == none)
	missing("BIOCORE_DATABASE_AUDIT_URL", c.DatabaseAuditURL == none)
	missing("BIOCORE_REDIS_URL", c.RedisURL == none)
	missing("BIOCORE_KMS_URL", c.KMSURL == "")
	if err := validPublicURL(c.PublicURL); c.PublicURL != "" && err != nil {
		errs = append(errs, err)
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		errs = append(errs, errors.New("BIOCORE_TLS_CERT_FILE and BIOCORE_TLS_KEY_FILE go together"))
	}
	errs = append(errs,
		validStoreURL("BIOCORE_DATABASE_URL", c.DatabaseURL, postgresSchemes),
		validStoreURL("BIOCORE_DATABASE_WRITER_URL", c.DatabaseWriterURL, postgresSchemes),
		validStoreURL("BIOCORE_DATABASE_CONTROL_URL", c.DatabaseControlURL, postgresSchemes),
		validStoreURL("BIOCORE_DATABASE_JOBS_URL", c.DatabaseJobsURL, postgresSchemes),
		validStoreURL("BIOCORE_DATABASE_SUPPORT_URL", c.DatabaseSupportURL, postgresSchemes),
		validStoreURL("BIOCORE_DATABASE_AUDIT_URL", c.DatabaseAuditURL, postgresSchemes),
		validStoreURL("BIOCORE_REDIS_URL", c.RedisURL, redisSchemes),
		validKMSURL("BIOCORE_KMS_URL", c.KMSURL),
		validObjectStorageURL(c.ObjectStorageURL),
		validMDSURL("BIOCORE_MDS_URL", c.MDSURL),
		validStoreURL("BIOCORE_SMTP_URL", c.SMTPURL, []string{"smtp", "smtps"}),
	)
	if name := slices.IndexFunc(c.opsHosts(), func(name string) bool { return !hostName.MatchString(name) }); name >= 0 {
		errs = append(errs, errors.New("BIOCORE_OPS_HOSTS is a list of host names without ports, as prometheus-target,ops.example.com"))
	}
	if _, err := c.fetchNetworks(); err != nil {
		errs = append(errs, err)
	}
	if _, _, err := net.SplitHostPort(c.DNSServer); c.DNSServer != "" && err != nil {
		errs = append(errs, errors.New("BIOCORE_DNS_SERVER is host:port"))
	}
	if _, err := newSender(c); err != nil && !isReference(c.SMTPURL.Reveal()) {
		errs = append(errs, fmt.Errorf("BIOCORE_SMTP_URL, BIOCORE_MAIL_FROM: %w", err))
	}
	for _, previous := range c.previousKMS() {
		errs = append(errs, validKMSURL("BIOCORE_KMS_PREVIOUS_URLS", previous))
	}
	if c.TrustedHops < 0 || c.TrustedHops > 8 {
		errs = append(errs, errors.New("BIOCORE_TRUSTED_HOPS is 0 to 8"))
	}
	if c.AuditLockDays < 0 || c.AuditLockDays > maxLockDays {
		errs = append(errs, fmt.Errorf("BIOCORE_AUDIT_LOCK_DAYS is 0 to %d", maxLockDays))
	}
	if c.MDSMaxUnparsed < 0 || c.MDSMaxUnparsed > 100 {
		errs = append(errs, errors.New("BIOCORE_MDS_MAX_UNPARSED is 0 to 100"))
	}
	errs = append(errs, c.validObjective())
	if _, err := c.reportCatalogues(); err != nil {
		errs = append(errs, err)
	}
	if err := c.flags().Check(); err != nil && !slices.Contains(unread, "BIOCORE_FLAGS_KEY") {
		errs = append(errs, fmt.Errorf("BIOCORE_FLAGS_PROVIDER, BIOCORE_FLAGS_URL, BIOCORE_FLAGS_KEY: %w", err))
	}
	if _, err := c.riskLists(); err != nil {
		errs = append(errs, err)
	}
	if c.RiskDataDays < 1 || c.RiskDataDays > 3650 {
		errs = append(errs, errors.New("BIOCORE_RISK_DATA_DAYS is 1 to 3650"))
	}
	if c.BackupDays < 0 || c.BackupDays > 3650 {
		errs = append(errs, errors.New("BIOCORE_BACKUP_DAYS is 0 to 3650"))
	}
	if c.DatabaseConns < 1 || c.DatabaseConns > 1000 {
		errs = append(errs, errors.New("BIOCORE_DATABASE_CONNS is 1 to 1000"))
	}
	if c.DrainTimeout < 0 {
		errs = append(errs, errors.New("BIOCORE_DRAIN_TIMEOUT is not negative"))
	}
	return errors.Join(errs...)
}

// How the stores' URLs begin.
var (
	postgresSchemes = []string{"postgres", "postgresql"}
	redisSchemes    = []string{"redis", "rediss"}
)

// validStoreURL refuses, unless the URL is empty, what is no URL of one of the schemes,
// and a password that can be guessed. The error shows nothing of it.
func validStoreURL(name string, given secret.Text, schemes []string) error {
	raw := given.Reveal()
	u, err := url.Parse(raw)
	switch {
	case raw == "" || isReference(raw): // one that is left was not opened, which has been told
		return nil
	case err != nil || !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("%s is not a URL that begins with %s://", name, schemes[0])
	}
	password, hasPassword := passwordOf(u)
	switch {
	case !hasPassword:
		return nil
	case weakPassword(password, u):
		return fmt.Errorf("the password in %s is a default one: make one by chance, as `openssl rand -hex 32` does", name)
	case len(password) < minPassword:
		return fmt.Errorf("the password in %s is shorter than %d characters: make one by chance, as `openssl rand -hex 32` does", name, minPassword)
	}
	return nil
}

// previousKMS returns each of KMSPreviousURLs.
func (c *Config) previousKMS() []string {
	return strings.FieldsFunc(c.KMSPreviousURLs, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
}

// secretInURL finds what opens a KMS in the URL that names it, which may stand in
// another (vault:https://…): a password, a query's token. In RFC 7512 a PIN may stand
// in the query, too, while "token" in the path is the label of one.
var secretInURL = regexp.MustCompile(`(?i)//[^/?#@]*:[^/?#@]*@|\?([^#]*&)?(pin-value|pin|password|token|secret|secret_id)=`)

// validKMSURL refuses a secret in a URL that everybody may read: doctor and readyz tell
// it. PINs, tokens and service accounts are read from files that it names.
func validKMSURL(name, raw string) error {
	if secretInURL.MatchString(raw) {
		return fmt.Errorf("%s carries a secret: it names a key, and what opens the KMS belongs in a file", name)
	}
	return nil
}

// validObjectStorageURL refuses a secret, as validKMSURL does, and what no store is named
// by. The rest is told when it is opened.
func validObjectStorageURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil
	case secretInURL.MatchString(raw) || err == nil && u.User != nil:
		return errors.New("BIOCORE_OBJECT_STORAGE_URL carries a secret: it names a bucket, and what opens it belongs in a file")
	case err != nil || !slices.Contains([]string{"file", "s3", "gs", "azblob"}, u.Scheme):
		return errors.New("BIOCORE_OBJECT_STORAGE_URL is not a URL that begins with file://, s3://, gs:// or azblob://")
	}
	return nil
}

// reportCatalogues are those of ReportCataloguesDir.
func (c *Config) reportCatalogues() ([]report.Document, error) {
	if c.ReportCataloguesDir == "" {
		return nil, nil
	}
	all, err := report.ReadCatalogues(c.ReportCataloguesDir)
	if err != nil {
		return nil, fmt.Errorf("BIOCORE_REPORT_CATALOGUES_DIR: %w", err)
	}
	return all, nil
}

// flags say who knows Biocore's own switches.
func (c *Config) flags() *provider.Options {
	return &provider.Options{Kind: cmp.Or(provider.Kind(c.FlagsProvider), provider.Biocore), URL: c.FlagsURL, Key: c.FlagsKey}
}

// hostName is a name in lower case, as DNS and container networks have them.
var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$`)

// opsHosts are the names that the operations port knows itself by.
func (c *Config) opsHosts() []string {
	var hosts []string
	for name := range strings.SplitSeq(c.OpsHosts, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			hosts = append(hosts, name)
		}
	}
	if name, _, err := net.SplitHostPort(c.OpsListen); err == nil && hostName.MatchString(strings.ToLower(name)) {
		hosts = append(hosts, strings.ToLower(name))
	}
	return hosts
}

// fetchNetworks are the networks of FetchNetworks.
func (c *Config) fetchNetworks() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for text := range strings.FieldsFuncSeq(c.FetchNetworks, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, errors.New("BIOCORE_FETCH_NETWORKS is a list of networks such as 10.20.0.0/16,fd00:20::/64")
		}
		all = append(all, p)
	}
	return all, nil
}

func validPublicURL(raw string) error {
	u, err := url.Parse(raw)
	local := err == nil && (u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost"))
	if err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || (u.Scheme != "https" && (u.Scheme != "http" || !local)) {
		return errors.New("BIOCORE_PUBLIC_URL is https://host[:port] without a path (http for localhost alone)")
	}
	// Browsers tell the origin of a passkey so, and no other way.
	if port := u.Port(); raw != strings.ToLower(raw) || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return errors.New("BIOCORE_PUBLIC_URL is written as browsers write it: in lower case, and without :443 or :80")
	}
	return nil
}

// minPassword is how many bytes a password has at least. A floor and a list are all that
// is measured: entropy cannot be seen in a text, and rules about digits and signs are
// known to make people choose worse (NIST SP 800-63B-4 §3.1.1.2).
const minPassword = 12

// passwordOf is the password in a store's URL. None at all is left to the store: peer,
// certificate and service authentication exist.
func passwordOf(u *url.URL) (password string, given bool) {
	if q := u.Query(); q.Has("password") { // Postgres's drivers take it from there as well
		return q.Get("password"), true
	}
	return u.User.Password()
}

// weakPassword reports a password that stands in examples, is empty, or is the user's or
// the database's name, also with a few digits after it.
func weakPassword(password string, u *url.URL) bool {
	p := strings.TrimRight(strings.ToLower(password), "0123456789!")
	switch p {
	case "", strings.ToLower(u.User.Username()), strings.ToLower(strings.Trim(u.Path, "/")),
		"postgres", "postgresql", "password", "passw0rd", "changeme", "change-me", "change_me", "changeit", "secret", "supersecret",
		"mysecretpassword", "biocore", "biocore-password", "redis", "foobared", "admin", "administrator", "root", "example",
		"examplepassword", "default", "letmein", "qwerty", "qwertyuiop", "test", "testing", "your-password", "your_password", "yourpassword":
		return true
	}
	return false
}

// rolePasswords collects the passwords that the configured URLs log in with, for
// `migrate up --bootstrap`.
func (c *Config) rolePasswords() (map[string]string, error) {
	passwords := map[string]string{}
	for role, given := range map[string]secret.Text{
		db.RoleMigrator: c.DatabaseMigratorURL, db.RoleApp: c.DatabaseURL, db.RoleWriter: c.DatabaseWriterURL,
		db.RoleControl: c.DatabaseControlURL, db.RoleJobs: c.DatabaseJobsURL, db.RoleSupport: c.DatabaseSupportURL, db.RoleAudit: c.DatabaseAuditURL,
	} {
		u, err := url.Parse(given.Reveal())
		if err != nil || u.User == nil || u.User.Username() != role {
			return nil, fmt.Errorf("bootstrap needs a database URL that logs in as %s", role)
		}
		passwords[role], _ = u.User.Password()
	}
	return passwords, nil
}
