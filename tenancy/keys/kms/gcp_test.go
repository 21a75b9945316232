package kms

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/keys"
)

func openGCPAt(t *testing.T, f *fakeGCP, key, file string) (keys.KMS, error) {
	t.Helper()
	return Open(t.Context(), "gcpkms:"+fakeGCPRing+"/cryptoKeys/"+key+"?protection=HSM&endpoint=http://"+f.addr+"&credentials="+file)
}

func gcpRig(t *testing.T) (rig, *fakeGCP) {
	t.Helper()
	f := newFakeGCP(t)
	file := f.credentials(t, nil)
	r := rig{stall: f.stall, down: f.stop, up: f.again}
	var err error
	if r.kms, err = openGCPAt(t, f, "wrap", file); err != nil {
		t.Fatalf("Open error = %v", err)
	}
	if r.other, err = openGCPAt(t, f, "other", file); err != nil {
		t.Fatalf("Open error = %v", err)
	}
	return r, f
}

func TestGCP(t *testing.T) {
	testKMS(t, func(t *testing.T) rig { t.Helper(); r, _ := gcpRig(t); return r })
}

func TestGCPSigns(t *testing.T) {
	testSigningKMS(t, func(t *testing.T) rig { t.Helper(); r, _ := gcpRig(t); return r }, es256, eddsa, rs256)
}

func TestGCPAsksForATokenOnce(t *testing.T) {
	f := newFakeGCP(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", f.credentials(t, nil))
	k, err := Open(t.Context(), "gcpkms:"+fakeGCPRing+"/cryptoKeys/wrap?endpoint=http://"+f.addr)
	if err != nil {
		t.Fatalf("Open error = %v", err)
	}
	if asked := f.takeAsked(); len(asked) == 0 || asked[0] != "POST /token" {
		t.Errorf("asked %q, want a token first", asked)
	}
	for range 3 {
		if _, err := k.Wrap(t.Context(), []byte("key"), []byte("ad")); err != nil {
			t.Fatal(err)
		}
	}
	if asked := f.takeAsked(); slices.Contains(asked, "POST /token") {
		t.Errorf("asked %q, although the token was good", asked)
	}
	f.state.Lock()
	clear(f.tokens)
	f.state.Unlock()
	if _, err := k.Wrap(t.Context(), []byte("key"), []byte("ad")); gcpStatus(err) != "UNAUTHENTICATED" {
		t.Errorf("with a revoked token, Wrap error = %v", err)
	}
}

func TestGCPCredentials(t *testing.T) {
	f := newFakeGCP(t)
	stranger := fakePrivate(rs256)
	open := f.credentials(t, nil)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file, want string
		unavailable      bool
	}{
		{name: "another account's key", file: func() string {
			ours := f.account
			f.account = stranger
			defer func() { f.account = ours }()
			return f.credentials(t, nil)
		}(), want: "Invalid JWT Signature"},
		{name: "another account's name", file: f.credentials(t, func(c map[string]string) { c["client_email"] = "x@example.com" }), want: "Invalid JWT"},
		{name: "an unknown type", file: f.credentials(t, func(c map[string]string) { c["type"] = "magic" }), want: `"magic"`},
		{name: "a broken key", file: f.credentials(t, func(c map[string]string) { c["private_key"] = "made-up-secret" }), want: ""},
		{name: "a file that others read", file: open, want: "open to others"},
		{name: "no file", file: open + ".absent", want: "no such file"},
		{name: "a token endpoint that is away", file: f.credentials(t, func(c map[string]string) { c["token_uri"] = "http://127.0.0.1:1/token" }), want: "refused", unavailable: true},
	} {
		_, err := openGCPAt(t, f, "wrap", tt.file)
		if err == nil || errors.Is(err, keys.ErrKMSUnavailable) != tt.unavailable || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Open error = %v, want %q in it", tt.name, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "PRIVATE") || strings.Contains(err.Error(), "made-up-secret")) {
			t.Errorf("%s: the error shows a secret: %v", tt.name, err)
		}
	}
}

func TestGCPKeyIsRotatedAtGoogle(t *testing.T) {
	r, f := gcpRig(t)
	first, err := r.kms.Wrap(t.Context(), []byte("key"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	f.rotate(fakeGCPRing + "/cryptoKeys/wrap")
	second, err := r.kms.Wrap(t.Context(), []byte("key"), []byte("ad"))
	if err != nil || bytes.Equal(first[:3], second[:3]) {
		t.Fatalf("Wrap = %x, %v, want it under another version", second, err)
	}
	for _, wrapped := range [][]byte{first, second} {
		if got, err := r.kms.Unwrap(t.Context(), r.kms.KeyName(), wrapped, []byte("ad")); err != nil || string(got) != "key" {
			t.Errorf("Unwrap = %q, %v", got, err)
		}
	}
}

func TestGCPNoticesWhatWasChangedOnItsWay(t *testing.T) {
	r, f := gcpRig(t)
	k := signing(t, r.kms)
	made, err := k.CreateSigningKey(t.Context(), es256, "tenant-1")
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := k.Wrap(t.Context(), []byte("key"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	for field, ask := range map[string]func() error{
		"ciphertext":                                func() error { _, err := k.Wrap(t.Context(), []byte("key"), []byte("ad")); return err },
		"verifiedPlaintextCrc32c":                   func() error { _, err := k.Wrap(t.Context(), []byte("key"), []byte("ad")); return err },
		"verifiedAdditionalAuthenticatedDataCrc32c": func() error { _, err := k.Wrap(t.Context(), []byte("key"), []byte("ad")); return err },
		"plaintext":                                 func() error { _, err := k.Unwrap(t.Context(), k.KeyName(), wrapped, []byte("ad")); return err },
		"signature":                                 func() error { _, err := k.Sign(t.Context(), made.Name, es256, []byte("x")); return err },
		"verifiedDigestCrc32c":                      func() error { _, err := k.Sign(t.Context(), made.Name, es256, []byte("x")); return err },
		"pem":                                       func() error { _, err := k.CreateSigningKey(t.Context(), es256, "tenant-2"); return err },
	} {
		f.takeAsked()
		f.garble = field
		if err := ask(); err != nil {
			t.Errorf("%s changed once: error = %v, want it asked again", field, err)
		}
		if asked := f.takeAsked(); f.garble != "" || len(asked) < 2 || asked[len(asked)-1] != asked[len(asked)-2] {
			t.Errorf("%s changed once: asked %q", field, asked)
		}
	}
}

func TestGCPRefusals(t *testing.T) {
	r, f := gcpRig(t)
	for _, tt := range []struct {
		name        string
		answer      fakeAnswer
		asked       int
		unavailable bool
	}{
		{"denied", fakeAnswer{403, `{"error":{"status":"PERMISSION_DENIED","message":"no"}}`}, 1, false},
		{"over its quota", fakeAnswer{429, `{"error":{"status":"RESOURCE_EXHAUSTED"}}`}, 2, true},
		{"its own trouble", fakeAnswer{503, `{"error":{"status":"UNAVAILABLE"}}`}, 2, true},
		{"a proxy's page", fakeAnswer{200, `<html>`}, 2, true},
	} {
		f.takeAsked()
		f.answerWith(tt.answer, tt.answer)
		_, err := r.kms.Wrap(t.Context(), []byte("key"), []byte("ad"))
		if err == nil || errors.Is(err, keys.ErrKMSUnavailable) != tt.unavailable || len(f.takeAsked()) != tt.asked {
			t.Errorf("%s: error = %v, want unavailable %t after %d attempts", tt.name, err, tt.unavailable, tt.asked)
		}
		f.answerWith()
	}
	f.keys[fakeGCPRing+"/cryptoKeys/wrap/cryptoKeyVersions/1"].state = "DISABLED"
	if _, err := r.kms.Wrap(t.Context(), []byte("key"), []byte("ad")); gcpStatus(err) != "FAILED_PRECONDITION" || errors.Is(err, keys.ErrKMSUnavailable) {
		t.Errorf("a disabled key: error = %v", err)
	}
	for _, rest := range []string{
		"", "projects/p/cryptoKeys/k", fakeGCPRing + "/cryptoKeys/a/b", fakeGCPRing + "/cryptoKeys/k?endpoint=http://kms.example",
		fakeGCPRing + "/cryptoKeys/k?protection=NONE", fakeGCPRing + "/cryptoKeys/k?key=x",
	} {
		if k, err := Open(t.Context(), "gcpkms:"+rest); err == nil || errors.Is(err, keys.ErrKMSUnavailable) {
			t.Errorf("Open(%q) = %v, %v", rest, k, err)
		}
	}
}

func TestGCPSigningKeys(t *testing.T) {
	r, f := gcpRig(t)
	k := signing(t, r.kms)
	f.pending = 3 // an RSA key in an HSM takes its time
	made, err := k.CreateSigningKey(t.Context(), es256, "tenant-1")
	if err != nil || f.pending != 0 {
		t.Fatalf("CreateSigningKey = %v, %v", made, err)
	}
	if _, err := k.CreateSigningKey(t.Context(), es256, "tenant-1"); gcpStatus(err) != "ALREADY_EXISTS" {
		t.Errorf("a second key of the same label: error = %v", err)
	}
	if _, err := k.Sign(t.Context(), made.Name, es256, []byte("x")); err != nil {
		t.Errorf("after that, the first does not sign any longer: %v", err)
	}
	if err := k.DestroySigningKey(t.Context(), "gcpkms:"+fakeGCPRing+"/cryptoKeys/absent/cryptoKeyVersions/1"); err != nil {
		t.Errorf("destroying a key that was never there: error = %v", err)
	}
	f.keys[strings.TrimPrefix(made.Name, "gcpkms:")].state = "IMPORT_FAILED"
	if err := k.DestroySigningKey(t.Context(), made.Name); gcpStatus(err) != "FAILED_PRECONDITION" {
		t.Errorf("destroying a key in a state that does not allow it: error = %v", err)
	}
	if err := k.DestroySigningKey(t.Context(), k.KeyName()+"/cryptoKeyVersions/1"); err == nil {
		t.Error("a version of the key that wraps is destroyed")
	}
}

// A key that nobody will ask for is not left behind.
func TestGCPSigningKeyThatFails(t *testing.T) {
	for _, gone := range []bool{false, true} {
		r, f := gcpRig(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f.lose = func(r *http.Request) bool {
			lost := r.URL.Query().Get("cryptoKeyId") == "tenant-1"
			if lost && gone {
				cancel()
			}
			return lost
		}
		_, err := signing(t, r.kms).CreateSigningKey(ctx, es256, "tenant-1")
		if errors.Is(err, keys.ErrKMSUnavailable) == gone || errors.Is(err, context.Canceled) != gone {
			t.Errorf("without an answer, the caller gone %t: CreateSigningKey error = %v", gone, err)
		}
		f.state.Lock()
		if left := f.keys[fakeGCPRing+"/cryptoKeys/tenant-1/cryptoKeyVersions/1"]; left == nil || left.state != "DESTROY_SCHEDULED" {
			t.Errorf("the caller gone %t: %+v is left behind", gone, left)
		}
		f.state.Unlock()
	}
}
