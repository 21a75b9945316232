package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// settings are a configuration as it was read, and where it comes from.
type settings struct {
	Config

	origins map[string]string // where each variable's value stood; nothing of those that nobody gave
	failed  map[string]error  // given variables that cannot be used, and why
}

// loadConfig reads the configuration and opens what the KMS keeps of it; path "" means
// the environment alone, or the file that `biocore dev` left in dir when there is
// nothing in the environment. The error tells of everything that cannot be read.
func loadConfig(ctx context.Context, path, dir string) (Config, error) {
	s, err := readSettings(path, dir)
	if err != nil {
		return Config{}, err
	}
	s.openReferences(ctx)
	return s.Config, s.err()
}

// err is everything that was given and cannot be used, in the order of the names.
func (s *settings) err() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.failed)) {
		errs = append(errs, s.failed[name])
	}
	return errors.Join(errs...)
}

// unread are the names of what s.err tells of.
func (s *settings) unread() []string { return slices.Collect(maps.Keys(s.failed)) }

// readSettings is loadConfig before the KMS is asked. An error leaves nothing to look
// at; what is wrong with single variables is in failed.
func readSettings(path, dir string) (*settings, error) {
	s := &settings{Config: defaults(), origins: map[string]string{}}
	env := environmentOf(os.Environ())
	s.failed = env.failed
	if path == "" && !env.gives("BIOCORE_DATABASE_URL") && !env.gives("BIOCORE_DATABASE_MIGRATOR_URL") {
		if left := filepath.Join(dir, devConfig); fileExists(left) {
			path = left
		}
	}
	if path != "" {
		if err := s.readFile(path); err != nil {
			return nil, err
		}
	}
	maps.Copy(s.origins, env.origins)
	maps.Copy(s.failed, s.apply(env.values))
	return s, nil
}

// readFile sets the fields that the file at path names.
func (s *settings) readFile(path string) error {
	raw, exposed, err := secret.ReadPublicFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	before := s.Config
	if err := s.read(raw); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	then, now := reflect.ValueOf(before), reflect.ValueOf(s.Config)
	for i := range now.NumField() {
		if !then.Field(i).Equal(now.Field(i)) {
			s.origins[now.Type().Field(i).Tag.Get("env")] = path
		}
	}
	for name, text := range s.secrets() {
		if exposed != nil && text.Reveal() != "" && !isReference(text.Reveal()) {
			return fmt.Errorf("the configuration holds a secret (%s), and %w", name, exposed)
		}
	}
	return nil
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

// write is what read reads, with the secrets: for a file that nobody else may read.
func (c *Config) write() ([]byte, error) {
	var out yaml.MapSlice
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		value := v.Field(i).Interface()
		if text, ok := value.(secret.Text); ok {
			value = text.Reveal()
		}
		out = append(out, yaml.MapItem{Key: v.Type().Field(i).Tag.Get("yaml"), Value: value})
	}
	return yaml.Marshal(out)
}

// secrets are the fields that hold a secret, by variable.
func (c *Config) secrets() map[string]*secret.Text {
	out := map[string]*secret.Text{}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if text, ok := reflect.TypeAssert[*secret.Text](v.Field(i).Addr()); ok {
			out[v.Type().Field(i).Tag.Get("env")] = text
		}
	}
	return out
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// notOurs are variables beside the configuration: of tests, of `make` and of the
// tools and programs that call Biocore. Any other unknown one is a spelling mistake.
var notOurs = []string{
	"BIOCORE_CONFIG", "BIOCORE_DEV", "BIOCORE_PID", "BIOCORE_SECRET_KEY", platformKeyVariable,
	"BIOCORE_PG_BIN", "BIOCORE_SHOTS", "BIOCORE_VECTORS", "BIOCORE_MDS",
}

// variables are what an environment says of the configuration.
type variables struct {
	values  map[string]string
	origins map[string]string // of each value
	failed  map[string]error  // by the name that was meant
}

func (v *variables) gives(name string) bool { return v.values[name] != "" || v.failed[name] != nil }

// environmentOf collects the BIOCORE_ variables, reading those given as files.
func environmentOf(environ []string) variables {
	known := map[string]bool{} // whether it is a secret
	for field := range reflect.TypeFor[Config]().Fields() {
		known[field.Tag.Get("env")] = field.Type == reflect.TypeFor[secret.Text]()
	}
	out := variables{map[string]string{}, map[string]string{}, map[string]error{}}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "BIOCORE_") || strings.HasPrefix(name, "BIOCORE_TEST_") || slices.Contains(notOurs, name) {
			continue
		}
		base, isFile := strings.CutSuffix(name, "_FILE")
		origin := "the environment"
		if _, itself := known[name]; itself { // BIOCORE_TLS_KEY_FILE is a name of its own
			base, isFile = name, false
		}
		isSecret, ok := known[base]
		if !ok || !isFile && base != name {
			out.failed[name] = fmt.Errorf("unknown variable %s", name)
			continue
		}
		if isFile {
			content, err := readGiven(value, isSecret)
			if err != nil {
				out.failed[base] = fmt.Errorf("%s: %w", name, err)
				continue
			}
			origin, value = value, strings.TrimRight(string(content), "\r\n")
		}
		if _, twice := out.values[base]; twice {
			out.failed[base] = fmt.Errorf("%s and %s_FILE are both given", base, base)
			continue
		}
		out.values[base], out.origins[base] = value, origin
	}
	return out
}

// readGiven reads the file that a variable names.
func readGiven(path string, isSecret bool) ([]byte, error) {
	if isSecret {
		return secret.ReadFile(path)
	}
	content, _, err := secret.ReadPublicFile(path)
	return content, err
}

// apply sets the fields that env names, and returns those that it cannot.
func (c *Config) apply(env map[string]string) map[string]error {
	failed := map[string]error{}
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
		case *secret.Text:
			*f = secret.New(value)
		case *int:
			*f, err = strconv.Atoi(value)
		case *float64:
			*f, err = strconv.ParseFloat(value, 64)
		case *bool:
			*f, err = strconv.ParseBool(value)
		case *time.Duration:
			*f, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("no reader for %T", f)
		}
		if err != nil {
			failed[name] = fmt.Errorf("%s: cannot be read as a %s", name, v.Field(i).Type())
		}
	}
	return failed
}
