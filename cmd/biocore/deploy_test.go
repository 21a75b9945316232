package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/embedded"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
)

// composeFile is the part of the Compose specification that we use; anything
// else in the file is a typing error until it stands here.
type composeFile struct {
	Name     string
	Hardened map[string]any `yaml:"x-hardened"`
	Biocore  map[string]any `yaml:"x-biocore"`
	Services map[string]struct {
		Image           string
		Build           map[string]string
		User            string
		Command         []string
		Environment     map[string]string
		Secrets         []string
		Volumes         []string
		Ports           []string
		Tmpfs           []string
		Restart         string
		CapAdd          []string `yaml:"cap_add"`
		CapDrop         []string `yaml:"cap_drop"`
		SecurityOpt     []string `yaml:"security_opt"`
		ReadOnly        bool     `yaml:"read_only"`
		ShmSize         string   `yaml:"shm_size"`
		StopSignal      string   `yaml:"stop_signal"`
		StopGracePeriod string   `yaml:"stop_grace_period"`
		Healthcheck     map[string]any
		DependsOn       map[string]map[string]string `yaml:"depends_on"`
	}
	Secrets map[string]struct{ File string }
	Volumes map[string]map[string]string
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&c); err != nil {
		t.Fatal(yaml.FormatError(err, false, true))
	}
	return c
}

// makeSecrets runs secrets.sh and returns where it put them.
func makeSecrets(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	if out, err := exec.CommandContext(t.Context(), "../../deploy/compose/secrets.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("secrets.sh: %v\n%s", err, out)
	}
	return dir
}

// No engine runs here, so the files are held against what would use them: the
// server's own configuration, the KMS's own check of its key.
func TestComposeStartsTheServer(t *testing.T) {
	compose, dir := readCompose(t), makeSecrets(t)
	for _, name := range []string{"biocore", "migrate"} {
		service := compose.Services[name]
		var environ []string
		for key, value := range service.Environment {
			value = strings.NewReplacer("${BIOCORE_PUBLIC_URL:-", "", "}", "").Replace(value) // the default
			if before, mounted, ok := strings.Cut(value, "/run/secrets/"); ok {
				if !slices.Contains(service.Secrets, mounted) {
					t.Errorf("%s: %s reads secret %s, which it is not given", name, key, mounted)
				}
				value = before + filepath.Join(dir, filepath.Base(compose.Secrets[mounted].File))
			}
			environ = append(environ, key+"="+value)
		}
		env := environmentOf(environ)
		config := defaults()
		maps.Copy(env.failed, config.apply(env.values))
		for _, err := range env.failed {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "migrate" {
			if !strings.Contains(config.DatabaseMigratorURL.Reveal(), "bc_migrator:") {
				t.Errorf("migrate logs in by %q, want bc_migrator", env.values["BIOCORE_DATABASE_MIGRATOR_URL"])
			}
			continue
		}
		if err := config.validateServe(); err != nil {
			t.Errorf("serve refuses its configuration: %v", err)
		}
		if !slices.Contains(config.opsHosts(), name) {
			t.Errorf("the operations port does not know itself as %s, its name in this network", name)
		}
		if _, err := kms.Open(t.Context(), config.KMSURL); err != nil {
			t.Errorf("serve refuses its KMS key: %v", err)
		}
	}
}

func TestComposeIsHardened(t *testing.T) {
	compose := readCompose(t)
	for name, service := range compose.Services {
		if !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not hardened", name)
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s to the world", name, port)
			}
		}
		if name != "biocore" && len(service.Ports) > 0 {
			t.Errorf("%s publishes a port", name)
		}
		if strings.HasSuffix(service.Image, ":latest") || !strings.Contains(service.Image, ":") {
			t.Errorf("%s runs %s, want a version", name, service.Image)
		}
		for key, value := range service.Environment {
			if regexp.MustCompile(`://[^/]*:[^/]*@`).MatchString(value) {
				t.Errorf("%s: %s carries a password", name, key)
			}
		}
		for _, secret := range service.Secrets {
			if _, ok := compose.Secrets[secret]; !ok {
				t.Errorf("%s wants secret %s, which is not declared", name, secret)
			}
		}
		for _, needed := range slices.Collect(maps.Keys(service.DependsOn)) {
			if _, ok := compose.Services[needed]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, needed)
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	dir := makeSecrets(t)
	again := exec.CommandContext(t.Context(), "../../deploy/compose/secrets.sh", dir)
	if err := again.Run(); err == nil {
		t.Error("secrets.sh overwrote secrets that exist")
	}
	for _, name := range []string{"kms.key", "database_url", "database_writer_url", "database_control_url", "database_jobs_url", "database_support_url", "database_audit_url", "database_migrator_url", "redis_url"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v, %v", info.Mode(), err)
	}
}

// roles.sql must leave a database that Migrate takes and that every role can log
// in to, as db.Bootstrap does.
func TestRolesSQL(t *testing.T) {
	dir := makeSecrets(t)
	postgres, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stop postgres: %v", err)
		}
	})
	admin, err := pgx.Connect(t.Context(), postgres.SuperuserURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE biocore"); err != nil {
		t.Fatal(err)
	}
	if err := admin.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if admin, err = pgx.Connect(t.Context(), postgres.SuperuserURL("biocore")); err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	roles, err := os.ReadFile(filepath.Join(dir, "roles.sql"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), string(roles)); err != nil {
		t.Fatalf("roles.sql: %v", err)
	}

	here := func(file string) string {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		address := strings.TrimSuffix(strings.SplitAfter(postgres.SuperuserURL("biocore"), "@")[1], "/biocore")
		address, _, _ = strings.Cut(address, "/")
		return strings.Replace(strings.TrimSpace(string(raw)), "postgres:5432", address, 1)
	}
	if _, err := db.Migrate(t.Context(), here("database_migrator_url"), nil); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	for _, role := range []string{"database_url", "database_writer_url", "database_control_url", "database_jobs_url", "database_support_url", "database_audit_url"} {
		conn, err := pgx.Connect(t.Context(), here(role))
		if err != nil {
			t.Errorf("%s: %v", role, err)
			continue
		}
		var bypasses bool
		if err := conn.QueryRow(t.Context(), "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user").Scan(&bypasses); err != nil || bypasses {
			t.Errorf("%s bypasses the wall: %t, %v", role, bypasses, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestDockerfile(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	modfile, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(modfile)[1]
	for _, want := range []string{
		"FROM golang:" + string(goVersion) + "-",
		"CGO_ENABLED=0",
		"-X main.version=$VERSION",
		"FROM gcr.io/distroless/static-debian12:nonroot",
		"\nUSER 65532:65532\n",
		`ENTRYPOINT ["/biocore"]`,
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("Dockerfile lacks %q", want)
		}
	}
	if strings.Contains(string(raw), ":latest") {
		t.Error("Dockerfile builds on a moving tag")
	}
}
