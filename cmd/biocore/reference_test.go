package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// localKMS is a KMS and the URL that names it.
func localKMS(t *testing.T) (keys.KMS, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	return k, "local:" + path
}

func sealed(t *testing.T, k keys.KMS, variable, value string) string {
	t.Helper()
	reference, err := sealReference(t.Context(), k, variable, secret.New(value))
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

// A reference opens for its variable under its KMS, whole, and not otherwise.
func TestReferences(t *testing.T) {
	noVariables(t)
	ours, url := localKMS(t)
	theirs, _ := localKMS(t)
	const variable, value = "BIOCORE_DATABASE_URL", "postgres://bc_app:" + hunter + "@localhost/biocore"
	good := sealed(t, ours, variable, value)
	blob, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(good, "kms:"))
	if err != nil || bytes.Contains(blob, []byte(hunter)) {
		t.Fatalf("the reference shows what it seals: %v", err)
	}
	flipped := bytes.Clone(blob)
	flipped[len(flipped)-1] ^= 1
	kmsForm := func(b []byte) string { return "kms:" + base64.RawURLEncoding.EncodeToString(b) }
	for _, tt := range []struct{ name, kmsURL, reference, refusal string }{
		{"good", url, good, ""},
		{"another variable's", url, sealed(t, ours, "BIOCORE_REDIS_URL", value), "does not open it"},
		{"another KMS's", url, sealed(t, theirs, variable, value), "but this server has"},
		{"a bit is flipped", url, kmsForm(flipped), "does not open it"},
		{"cut", url, kmsForm(blob[:len(blob)-3]), "does not open it"},
		{"cut in its name", url, kmsForm(blob[:6]), "is no reference"},
		{"of a form to come", url, kmsForm(append([]byte{2}, blob[1:]...)), "is no reference"},
		{"empty", url, "kms:", "is no reference"},
		{"no base64", url, "kms:" + hunter + "!", "is no reference"},
		{"no KMS", "", good, "BIOCORE_KMS_URL is not set"},
		{"a KMS that is itself sealed", good, good, "BIOCORE_KMS_URL cannot be sealed"},
		{"a KMS that does not open", url + ".absent", good, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(variable, tt.reference)
			if tt.kmsURL != "" {
				t.Setenv("BIOCORE_KMS_URL", tt.kmsURL)
			}
			got, err := loadConfig(t.Context(), "", t.TempDir())
			switch {
			case tt.refusal != "":
				wantRefusal(t, err, tt.refusal)
				wantRefusal(t, err, variable)
			case err != nil || got.DatabaseURL.Reveal() != value:
				t.Errorf("loadConfig = %v", err)
			}
		})
	}
	if _, err := sealReference(t.Context(), ours, variable, secret.New(strings.Repeat("x", 4097))); err == nil {
		t.Error("sealed more than a KMS wraps")
	}
}

// silentKMS is a KMS that cannot be reached, and counts who tries.
type silentKMS struct {
	keys.KMS

	asked int
}

func (k *silentKMS) Unwrap(context.Context, string, []byte, []byte) ([]byte, error) {
	k.asked++
	return nil, keys.ErrKMSUnavailable
}

// A KMS that is silent keeps a server from starting, and is asked once.
func TestReferencesWithoutTheKMS(t *testing.T) {
	k, _ := localKMS(t)
	s := &settings{Config: goodConfig(), failed: map[string]error{}}
	for name, field := range s.secrets() {
		if name != "BIOCORE_REDIS_URL" {
			*field = secret.New(sealed(t, k, name, "postgres://u:"+hunter+"@h/x"))
		}
	}
	silent := &silentKMS{KMS: k}
	s.openBy(t.Context(), silent, nil)
	if len(s.failed) != len(s.secrets())-1 || silent.asked != 1 {
		t.Errorf("%d of %d variables failed, asked %d times", len(s.failed), len(s.secrets())-1, silent.asked)
	}
	wantRefusal(t, s.err(), "the key management service cannot be reached")
	if err := s.validateServe(s.unread()...); err != nil {
		t.Errorf("what is sealed is complained of besides: %v", err)
	}
}
