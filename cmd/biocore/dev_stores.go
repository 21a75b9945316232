package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/embedded"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// forget deletes what earlier runs left.
func (d *dev) forget(ctx context.Context) error {
	// The database goes first: without it, the key that is left opens nothing, while
	// without the key nothing would open the database.
	if err := embedded.Remove(ctx, d.path("postgres")); err != nil {
		return err
	}
	if err := os.RemoveAll(d.path(objectsFolder)); err != nil {
		return err
	}
	for _, name := range []string{devStateFile, filepath.Base(devConfig), kmsKeyFile} {
		if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// What somebody may have put into the folder, for addresses to have countries and networks: docs/risk-data.md.
const (
	countryFile = "country.mmdb"
	asnFile     = "asn.mmdb"
)

// stores starts them, migrates, and returns the configuration of a server on them.
func (d *dev) stores(ctx context.Context) (Config, error) {
	cfg := defaults()
	cfg.NoLimits = d.noLimits
	cfg.DrainTimeout = devDrainTimeout
	admin := d.pgURL
	if admin == "" {
		if err := d.startPostgres(ctx, &admin); err != nil {
			return Config{}, err
		}
	}
	if err := d.startRedis(ctx, &cfg); err != nil {
		return Config{}, err
	}
	err := d.step(ctx, "Migrating the schema", func() (string, error) { return migrateAs(ctx, admin, &cfg) })
	if err != nil {
		return Config{}, err
	}
	if cfg.KMSURL, err = d.key(ctx, cfg); err != nil {
		return Config{}, err
	}
	objects, err := filepath.Abs(d.path(objectsFolder))
	cfg.ObjectStorageURL = (&url.URL{Scheme: "file", Path: objects}).String()
	cfg.AuditLockDays = 0 // a folder locks nothing
	for name, field := range map[string]*string{countryFile: &cfg.RiskCountryFile, asnFile: &cfg.RiskASNFile} {
		if fileExists(d.path(name)) {
			*field = d.path(name)
		}
	}
	return cfg, err
}

// startPostgres sets admin to the URL of the database.
func (d *dev) startPostgres(ctx context.Context, admin *string) error {
	return d.step(ctx, "Starting PostgreSQL", func() (_ string, err error) {
		d.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{
			DataDir: d.path("postgres"), BinDir: d.pgBin, Durable: true,
		})
		if err != nil {
			return "", err
		}
		*admin, err = d.postgres.Database(ctx, "biocore")
		return fmt.Sprintf("version %d, port %d", d.postgres.Version, d.postgres.Port), err
	})
}

// startRedis sets cfg.RedisURL.
func (d *dev) startRedis(ctx context.Context, cfg *Config) error {
	if cfg.RedisURL = secret.New(d.redisURL); d.redisURL != "" {
		return d.step(ctx, "Connecting to Redis", func() (string, error) { return "", pingRedis(ctx, d.redisURL) })
	}
	return d.step(ctx, "Starting Redis", func() (_ string, err error) {
		if d.redis, err = embedded.StartRedis(ctx, embedded.RedisOptions{}); err != nil {
			return "", err
		}
		cfg.RedisURL = secret.New(d.redis.URL())
		if !d.redis.Real {
			return "in this process: redis-server 7 or newer is not installed", nil
		}
		return "port " + strconv.Itoa(d.redis.Port), nil
	})
}

// pingRedis finds out now what a server would only meet at the first registration.
func pingRedis(ctx context.Context, redisURL string) error {
	client, err := ephemeral.Open(redisURL)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // it has been of use already
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("--redis-url: %w", err)
	}
	return nil
}

// migrateAs makes the roles as the administrator, sets the database URLs of cfg, and
// brings the schema up to this version.
func migrateAs(ctx context.Context, admin string, cfg *Config) (string, error) {
	passwords, err := devPasswords(admin)
	if err != nil {
		return "", err
	}
	for role, to := range map[string]*secret.Text{
		db.RoleApp: &cfg.DatabaseURL, db.RoleWriter: &cfg.DatabaseWriterURL, db.RoleControl: &cfg.DatabaseControlURL,
		db.RoleJobs: &cfg.DatabaseJobsURL, db.RoleSupport: &cfg.DatabaseSupportURL, db.RoleAudit: &cfg.DatabaseAuditURL, db.RoleMigrator: &cfg.DatabaseMigratorURL,
	} {
		roleURL, err := db.RoleURL(admin, role, passwords[role])
		if err != nil {
			return "", err
		}
		*to = secret.New(roleURL)
	}
	if err := db.Bootstrap(ctx, admin, passwords); err != nil {
		return "", err
	}
	applied, err := db.Migrate(ctx, cfg.DatabaseMigratorURL.Reveal(), slog.New(slog.DiscardHandler))
	if len(applied) == 0 {
		return "up to date", err
	}
	return strconv.Itoa(len(applied)) + " migrations", err
}

// devPasswords are the roles' passwords on the server that admin logs in to. They are
// the same for all who know the administrator's: roles belong to the whole server,
// and whoever sets their passwords last must not lock the others out.
func devPasswords(admin string) (map[string]string, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return nil, errors.New("--pg-url is no database URL") // err would show the password
	}
	own, _ := u.User.Password()
	passwords := map[string]string{}
	for _, role := range db.LoginRoles() {
		if passwords[role] = db.NewPassword(); own != "" {
			mac := hmac.New(sha256.New, []byte(own))
			mac.Write([]byte("biocore dev " + role))
			passwords[role] = hex.EncodeToString(mac.Sum(nil))
		}
	}
	return passwords, nil
}

// objectsFolder is the object storage.
const objectsFolder = "objects"

// kmsKeyFile is the key of the local KMS.
const kmsKeyFile = "kms.key"

// key makes the key file of the local KMS at the first start, and never again: what
// is sealed under a lost key would not open under another.
func (d *dev) key(ctx context.Context, cfg Config) (string, error) {
	path, err := filepath.Abs(d.path(kmsKeyFile))
	if err != nil {
		return "", err
	}
	if !fileExists(path) {
		sealed, err := hasDataKeys(ctx, cfg)
		if err != nil {
			return "", fmt.Errorf("look for sealed data: %w", err)
		}
		if sealed && d.pgURL != "" {
			return "", fmt.Errorf("%s is missing, and the data in the database of --pg-url is sealed under it: put the file back, or use an empty database", path)
		} else if sealed {
			return "", d.advise(fmt.Errorf("%s is missing, and the data in the database is sealed under it: put the file back", path))
		}
		if err := kms.CreateLocal(path); err != nil {
			return "", err
		}
	}
	return "local:" + path, nil
}

// hasDataKeys reports whether the platform tenant, which gets its keys before any
// other, has some.
func hasDataKeys(ctx context.Context, cfg Config) (found bool, err error) {
	store, err := db.Open(ctx, db.Options{
		AppURL: cfg.DatabaseURL.Reveal(), WriterURL: cfg.DatabaseWriterURL.Reveal(), ControlURL: cfg.DatabaseControlURL.Reveal(),
		SupportURL: cfg.DatabaseSupportURL.Reveal(), AuditURL: cfg.DatabaseAuditURL.Reveal(), AppConns: 1, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return false, err
	}
	defer store.Close()
	err = store.ReadTenant(ctx, scope.New(scope.PlatformTenant, devActor()), func(tx *db.TenantTx) error {
		rows, err := tx.ListDataKeys(ctx)
		found = len(rows) > 0
		return err
	})
	return found, err
}
