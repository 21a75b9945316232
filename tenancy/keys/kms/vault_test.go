package kms

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// withoutVault takes away what the machine says about a Vault of its own.
func withoutVault(t *testing.T) {
	t.Helper()
	for _, name := range []string{"VAULT_TOKEN", "VAULT_TOKEN_FILE", "VAULT_NAMESPACE", "VAULT_CACERT"} {
		t.Setenv(name, "")
	}
}

func openVaultAt(t *testing.T, f *fakeVault, rest string) keys.KMS {
	t.Helper()
	k, err := Open(t.Context(), "vault:http://"+f.addr+"/transit/keys/"+rest)
	if err != nil {
		t.Fatalf("Open error = %v", err)
	}
	return k
}

func vaultRig(t *testing.T) rig {
	t.Helper()
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", fakeVaultToken)
	f := newFakeVault(t)
	return rig{
		kms: openVaultAt(t, f, "biocore"), other: openVaultAt(t, f, "other"),
		stall: f.stall, down: f.stop, up: f.again,
	}
}

func TestVault(t *testing.T) { testKMS(t, vaultRig) }

func TestVaultSigns(t *testing.T) { testSigningKMS(t, vaultRig, es256, eddsa, rs256) }

func TestVaultKeyIsRotatedInVault(t *testing.T) {
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", fakeVaultToken)
	f := newFakeVault(t)
	k := openVaultAt(t, f, "biocore")
	ad := []byte("tenant one")
	first, err := k.Wrap(t.Context(), []byte("key"), ad)
	if err != nil || !bytes.HasPrefix(first, []byte("vault:v1:")) {
		t.Fatalf("Wrap = %q, %v", first, err)
	}
	f.rotate("biocore")
	second, err := k.Wrap(t.Context(), []byte("key"), ad)
	if err != nil || !bytes.HasPrefix(second, []byte("vault:v2:")) {
		t.Fatalf("after a rotation in Vault, Wrap = %q, %v", second, err)
	}
	for _, wrapped := range [][]byte{first, second} {
		if got, err := k.Unwrap(t.Context(), k.KeyName(), wrapped, ad); err != nil || string(got) != "key" {
			t.Errorf("Unwrap of %q = %q, %v", wrapped, got, err)
		}
	}
}

func TestVaultNamesItsKeys(t *testing.T) {
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", fakeVaultToken)
	f := newFakeVault(t)
	for _, tt := range []struct{ rest, namespace, want string }{
		{"biocore", "", "vault:http://" + f.addr + "/transit/keys/biocore"},
		{"biocore?name=prod", "", "vault:prod/transit/keys/biocore"},
		{"biocore?namespace=team/a&name=prod", "team/a", "vault:prod/team/a/transit/keys/biocore"},
	} {
		f.namespace = tt.namespace
		if got := openVaultAt(t, f, tt.rest).KeyName(); got != tt.want {
			t.Errorf("KeyName = %s, want %s", got, tt.want)
		}
	}
	_, err := Open(t.Context(), "vault:http://"+f.addr+"/transit/keys/biocore?namespace=team/b")
	if !refusedWith(err, 403) || errors.Is(err, keys.ErrKMSUnavailable) {
		t.Errorf("in another namespace, Open error = %v", err)
	}
}

func TestVaultURL(t *testing.T) {
	withoutVault(t)
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(fakeVaultToken), 0o604); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o604); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, token, rest, want string }{
		{"nothing", "t", "", "https://"},
		{"http to elsewhere", "t", "http://vault.example/transit/keys/x", "http:// to this machine alone"},
		{"with a password", "t", "https://me:secret@vault.example/transit/keys/x", "no credentials"},
		{"no key", "t", "https://vault.example/transit/keys/", "form vault:"},
		{"no mount", "t", "https://vault.example/keys/x", "form vault:"},
		{"a key with a path", "t", "https://vault.example/transit/keys/x/config", "form vault:"},
		{"an escaped path", "t", "https://vault.example/transit/keys/x%2Fconfig", "form vault:"},
		{"an unknown option", "t", "https://vault.example/transit/keys/x?token=t", `"token"`},
		{"an option twice", "t", "https://vault.example/transit/keys/x?name=a&name=b", "twice"},
		{"no token", "", "https://vault.example/transit/keys/x", "VAULT_TOKEN"},
		{"a login of an unknown kind", "", "https://vault.example/transit/keys/x?auth=github", "kubernetes or approle"},
		{"a role without a login", "t", "https://vault.example/transit/keys/x?role=a", "auth="},
		{"kubernetes without a role", "", "https://vault.example/transit/keys/x?auth=kubernetes", "needs role"},
		{"approle without a secret", "", "https://vault.example/transit/keys/x?auth=approle&role-id=a", "secret-id-file"},
		{"a CA that is none", "t", "https://vault.example/transit/keys/x?ca=" + open, "no PEM"},
		{"a token file that everybody reads", "", "http://127.0.0.1:1/transit/keys/x?token-file=" + open, "is open to others"},
	} {
		t.Setenv("VAULT_TOKEN", tt.token)
		_, err := Open(t.Context(), "vault:"+tt.rest)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Open error = %v, want %q in it", tt.name, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), fakeVaultToken)) {
			t.Errorf("%s: the error shows a secret: %v", tt.name, err)
		}
	}
}

func TestVaultAtStart(t *testing.T) {
	withoutVault(t)
	f := newFakeVault(t)
	for _, tt := range []struct {
		name, token, key string
		prepare          func()
		unavailable      bool
		want             string
	}{
		{name: "a wrong token", token: "hvs.wrong", key: "biocore", want: "permission denied"},
		{name: "no such key", token: fakeVaultToken, key: "absent", want: "400"},
		{name: "it is sealed", token: fakeVaultToken, key: "biocore", prepare: func() {
			f.answerWith(fakeAnswer{503, `{"errors":["Vault is sealed"]}`}, fakeAnswer{503, `{"errors":["Vault is sealed"]}`})
		}, unavailable: true, want: "sealed"},
		{name: "it has too much to do", token: fakeVaultToken, key: "biocore", prepare: func() {
			f.answerWith(fakeAnswer{429, "{}"}, fakeAnswer{429, "{}"})
		}, unavailable: true, want: "429"},
		{name: "a proxy answers", token: fakeVaultToken, key: "biocore", prepare: func() {
			f.answerWith(fakeAnswer{200, "<html>"}, fakeAnswer{200, "<html>"})
		}, unavailable: true, want: "no JSON"},
		{name: "it redirects", token: fakeVaultToken, key: "biocore", prepare: func() {
			f.answerWith(fakeAnswer{307, ""})
		}, want: "redirect"},
		{name: "it ignores associated data", token: fakeVaultToken, key: "biocore", prepare: func() { f.forgetful = true }, want: "ignores associated data"},
		{name: "it is away", token: fakeVaultToken, key: "biocore", prepare: func() { f.stop(t) }, unavailable: true, want: "refused"},
	} {
		t.Setenv("VAULT_TOKEN", tt.token)
		if tt.prepare != nil {
			tt.prepare()
		}
		_, err := Open(t.Context(), "vault:http://"+f.addr+"/transit/keys/"+tt.key)
		if err == nil || errors.Is(err, keys.ErrKMSUnavailable) != tt.unavailable || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Open error = %v, want %q in it, unavailable %t", tt.name, err, tt.want, tt.unavailable)
		}
		if slices.ContainsFunc(f.takeAsked(), func(asked string) bool { return strings.Contains(asked, "/elsewhere") }) {
			t.Errorf("%s: a redirect was followed", tt.name)
		}
		if err != nil && strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error shows the token: %v", tt.name, err)
		}
	}
}

func TestVaultIsAskedTwiceAtMost(t *testing.T) {
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", fakeVaultToken)
	f := newFakeVault(t)
	k := openVaultAt(t, f, "biocore")
	for _, tt := range []struct {
		name    string
		answers []fakeAnswer
		asked   int
		good    bool
	}{
		{"one failure is made good", []fakeAnswer{{500, ""}}, 2, true},
		{"two are not", []fakeAnswer{{500, ""}, {502, ""}}, 2, false},
		{"a refusal is final", []fakeAnswer{{400, ""}}, 1, false},
	} {
		f.takeAsked()
		f.answerWith(tt.answers...)
		_, err := k.Wrap(t.Context(), []byte("key"), nil)
		if asked := len(f.takeAsked()); asked != tt.asked || (err == nil) != tt.good {
			t.Errorf("%s: asked %d times, error = %v", tt.name, asked, err)
		}
	}
}

// A vaultToken with the fake's clock, so that hours pass at once.
func vaultByTheClock(t *testing.T, f *fakeVault, options string) *vault {
	t.Helper()
	v, err := newVault("http://"+f.addr+"/transit/keys/biocore"+options, f.now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wrapsOnce(t *testing.T, v *vault) error {
	t.Helper()
	_, err := v.Wrap(t.Context(), []byte("key"), []byte("ad"))
	return err
}

func TestVaultTokenIsRenewedBeforeItExpires(t *testing.T) {
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", "hvs.short")
	f := newFakeVault(t)
	f.mint("hvs.short", time.Hour, 24*time.Hour)
	v := vaultByTheClock(t, f, "")
	const lookup, renew = "GET /v1/auth/token/lookup-self", "POST /v1/auth/token/renew-self"
	for _, tt := range []struct {
		name string
		pass time.Duration
		want []string // beside the wrapping
	}{
		{"at first it is looked up", 0, []string{lookup}},
		{"and used as it is", 39 * time.Minute, nil},
		{"until two thirds are over", 2 * time.Minute, []string{renew}},
		{"and again", 41 * time.Minute, []string{renew}},
		{"but no sooner", 10 * time.Minute, nil},
	} {
		f.pass(tt.pass)
		if err := wrapsOnce(t, v); err != nil {
			t.Fatalf("%s: Wrap error = %v", tt.name, err)
		}
		if got := f.takeAsked(); !slices.Equal(got, append(tt.want, "POST /v1/transit/encrypt/biocore")) {
			t.Errorf("%s: asked %q", tt.name, got)
		}
	}
	// A renewal that fails is no harm while the token is good.
	f.pass(31 * time.Minute)
	f.answerWith(fakeAnswer{500, ""})
	if err := wrapsOnce(t, v); err != nil {
		t.Errorf("while renewal fails, Wrap error = %v", err)
	}
	f.pass(2 * time.Hour)
	if err := wrapsOnce(t, v); !refusedWith(err, 403) || errors.Is(err, keys.ErrKMSUnavailable) {
		t.Errorf("after it expired, Wrap error = %v, want Vault's refusal", err)
	}
}

func TestVaultTokenIsRenewedWhileNobodyCalls(t *testing.T) {
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", "hvs.short")
	f := newFakeVault(t)
	f.mint("hvs.short", 3*time.Second, time.Hour)
	v := vaultByTheClock(t, f, "")
	if err := wrapsOnce(t, v); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, several{v}) }()
	for range 2 {
		<-f.renewed
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run error = %v", err)
	}
}

func TestVaultTokenRevoked(t *testing.T) {
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", fakeVaultToken)
	f := newFakeVault(t)
	k := openVaultAt(t, f, "biocore")
	f.revoke(fakeVaultToken)
	_, err := k.Wrap(t.Context(), []byte("key"), nil)
	if !refusedWith(err, 403) || errors.Is(err, keys.ErrKMSUnavailable) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("Wrap error = %v, want Vault's refusal", err)
	}
}

func TestVaultTokenFileIsReadAgain(t *testing.T) {
	withoutVault(t)
	f := newFakeVault(t)
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fakeVaultToken)
	t.Setenv("VAULT_TOKEN", "hvs.wrong") // the file counts
	t.Setenv("VAULT_TOKEN_FILE", path)
	k := openVaultAt(t, f, "biocore")
	f.mint("hvs.second", time.Hour, time.Hour)
	f.revoke(fakeVaultToken)
	if _, err := k.Wrap(t.Context(), []byte("key"), nil); !refusedWith(err, 403) {
		t.Errorf("with a revoked token, Wrap error = %v", err)
	}
	write("hvs.second")
	if _, err := k.Wrap(t.Context(), []byte("key"), nil); err != nil {
		t.Errorf("with the file written anew, Wrap error = %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Wrap(t.Context(), []byte("key"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file, Wrap error = %v", err)
	}
}

func TestVaultLogin(t *testing.T) {
	withoutVault(t)
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ name, good, bad string }{
		{
			"kubernetes", "?auth=kubernetes&role=biocore&jwt-file=" + write("jwt", "pod's own"),
			"?auth=kubernetes&role=biocore&jwt-file=" + write("other-jwt", "another pod's"),
		},
		{
			"approle", "?auth=approle&role-id=role-1&secret-id-file=" + write("secret", "secret-1"),
			"?auth=approle&role-id=role-1&secret-id-file=" + write("other-secret", "secret-2"),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeVault(t)
			if err := wrapsOnce(t, vaultByTheClock(t, f, tt.bad)); err == nil || errors.Is(err, keys.ErrKMSUnavailable) {
				t.Errorf("with a wrong secret, Wrap error = %v", err)
			}
			v := vaultByTheClock(t, f, tt.good)
			login := "POST /v1/auth/" + tt.name + "/login"
			f.takeAsked()
			for _, step := range []struct {
				name   string
				before func()
				want   []string
			}{
				{"the first call logs in", func() {}, []string{login}},
				{"the next does not", func() {}, nil},
				{"later it renews", func() { f.pass(41 * time.Minute) }, []string{"POST /v1/auth/token/renew-self"}},
				{"after the token has expired it logs in", func() { f.pass(5 * time.Hour) }, []string{"POST /v1/auth/token/renew-self", login}},
				{"and when it was revoked", func() { f.pass(time.Minute); f.revoke("hvs.login-2") }, []string{"POST /v1/transit/encrypt/biocore", login}},
			} {
				step.before()
				if err := wrapsOnce(t, v); err != nil {
					t.Fatalf("%s: Wrap error = %v", step.name, err)
				}
				if got := f.takeAsked(); !slices.Equal(got, append(step.want, "POST /v1/transit/encrypt/biocore")) {
					t.Errorf("%s: asked %q", step.name, got)
				}
			}
			// Near the end of a token's longest life Vault grants ever less.
			for range 4 {
				f.pass(41 * time.Minute)
				if err := wrapsOnce(t, v); err != nil {
					t.Fatal(err)
				}
			}
			if f.logins != 4 {
				t.Errorf("logged in %d times, want a fourth time before the third token's end", f.logins)
			}
		})
	}
}

// Vault's answer to a policy that lacks a path is that to a revoked token. New tokens
// are tried, but not one for each request.
func TestVaultPolicyThatLacksAPath(t *testing.T) {
	withoutVault(t)
	f := newFakeVault(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := vaultByTheClock(t, f, "?auth=approle&role-id=role-1&secret-id-file="+secret)
	if err := wrapsOnce(t, v); err != nil {
		t.Fatal(err)
	}
	lack := func(path string) {
		f.state.Lock()
		defer f.state.Unlock()
		f.lacking = path
	}
	lack("/v1/transit/encrypt/biocore")
	for _, tt := range []struct {
		name   string
		pass   time.Duration
		logins int
	}{
		{"with a token of a moment ago", 29 * time.Second, 1},
		{"with an older one", time.Second, 2},
		{"with one that came so", 29 * time.Second, 2},
		{"half a minute later", time.Second, 3},
	} {
		f.pass(tt.pass)
		for range 10 {
			if err := wrapsOnce(t, v); !refusedWith(err, 403) || errors.Is(err, keys.ErrKMSUnavailable) {
				t.Fatalf("%s: Wrap error = %v, want Vault's refusal", tt.name, err)
			}
		}
		if f.logins != tt.logins {
			t.Errorf("%s: %d logins, want %d", tt.name, f.logins, tt.logins)
		}
	}
	lack("")
	if err := wrapsOnce(t, v); err != nil || f.logins != 3 {
		t.Errorf("with the path in the policy: Wrap error = %v after %d logins", err, f.logins)
	}
}

func TestVaultSigningKeyIsNobodyElses(t *testing.T) {
	r := vaultRig(t)
	k := signing(t, r.kms)
	if _, err := k.CreateSigningKey(t.Context(), es256, "tenant-1"); err != nil {
		t.Fatal(err)
	}
	if made, err := k.CreateSigningKey(t.Context(), es256, "tenant-1"); err == nil {
		t.Errorf("a second key of the same label is %s", made.Name)
	}
	if _, err := k.Sign(t.Context(), strings.Replace(k.KeyName(), "biocore", "tenant-1", 1), es256, []byte("x")); err != nil {
		t.Errorf("the first does not sign any longer: %v", err)
	}
}

// A key that nobody will ask for is not left behind.
func TestVaultSigningKeyThatFails(t *testing.T) {
	withoutVault(t)
	t.Setenv("VAULT_TOKEN", fakeVaultToken)
	const path = "/v1/transit/keys/tenant-1"
	for _, tt := range []struct {
		name        string
		made        fakeAnswer // to the question for its public half; 0: the real one
		refuses     bool       // the creation
		lost        bool       // the answer to the creation
		gone        bool       // the caller, too
		unavailable bool
	}{
		{name: "its public half is not to be had", made: fakeAnswer{500, ""}, unavailable: true},
		{name: "its public half may not be read", made: fakeAnswer{403, ""}},
		{name: "it is of another type", made: fakeAnswer{200, `{"data":{"type":"ed25519","keys":{"1":{"public_key":""}}}}`}},
		{name: "its public half is none", made: fakeAnswer{200, `{"data":{"type":"ecdsa-p256","keys":{"1":{"public_key":"x"}}}}`}},
		{name: "the answer is lost", lost: true, unavailable: true},
		{name: "the caller has gone", lost: true, gone: true},
		{name: "there is none", refuses: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeVault(t)
			k := signing(t, openVaultAt(t, f, "biocore"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			made := false
			f.instead = func(r *http.Request) *fakeAnswer {
				switch {
				case r.Method == http.MethodPost && r.URL.Path == path && tt.refuses:
					return &fakeAnswer{400, ""}
				case r.Method == http.MethodPost && r.URL.Path == path:
					made = true
				case r.Method == http.MethodGet && r.URL.Path == path && made && tt.made.status != 0:
					return &tt.made
				}
				return nil
			}
			f.lose = func(r *http.Request) bool {
				lost := tt.lost && r.Method == http.MethodPost && r.URL.Path == path
				if lost && tt.gone {
					cancel()
				}
				return lost
			}
			f.takeAsked()
			_, err := k.CreateSigningKey(ctx, es256, "tenant-1")
			if err == nil || errors.Is(err, keys.ErrKMSUnavailable) != tt.unavailable || errors.Is(err, context.Canceled) != tt.gone {
				t.Errorf("CreateSigningKey error = %v, want unavailable %t", err, tt.unavailable)
			}
			if asked := f.takeAsked(); slices.Contains(asked, "DELETE "+path) == tt.refuses || made == tt.refuses {
				t.Errorf("asked %q", asked)
			}
			f.state.Lock()
			defer f.state.Unlock()
			if f.keys["tenant-1"] != nil {
				t.Error("the key is left behind")
			}
		})
	}
}
