//go:build pkcs11 && cgo

package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// softHSM is SoftHSM 2, a token in files: the real library, and no fake of ours. A
// library's state is the process's, so all tests share the folder of its tokens, and
// each has a token of its own.
var softHSM struct {
	module string
	tokens string // folder
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "biocore-softhsm")
	if err != nil {
		panic(err)
	}
	softHSM.tokens = filepath.Join(dir, "tokens")
	config := filepath.Join(dir, "softhsm2.conf")
	err = errors.Join(
		os.Mkdir(softHSM.tokens, 0o700),
		os.WriteFile(config, []byte("directories.tokendir = "+softHSM.tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600),
		os.Setenv("SOFTHSM2_CONF", config),
	)
	if err != nil {
		panic(err)
	}
	for _, path := range []string{
		"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so",
	} {
		if _, err := os.Stat(path); err == nil {
			softHSM.module = path
			break
		}
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const softPIN, softSOPIN = "739215", "850264"

// token is one of SoftHSM's, made for a test.
type token struct {
	label string
	dir   string // where SoftHSM keeps it
	pin   string // file
}

func newToken(t *testing.T) token {
	t.Helper()
	if softHSM.module == "" {
		t.Fatal("no SoftHSM here: run .ci/setup, or apt-get install softhsm2")
	}
	before, err := filepath.Glob(softHSM.tokens + "/*")
	if err != nil {
		t.Fatal(err)
	}
	tok := token{label: fmt.Sprintf("token %d", len(before)+1), pin: filepath.Join(t.TempDir(), "pin")}
	if err := os.WriteFile(tok.pin, []byte(softPIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "softhsm2-util", "--init-token", "--free", "--label", tok.label, "--pin", softPIN, "--so-pin", softSOPIN).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s(.ci/setup installs it)", err, out)
	}
	after, err := filepath.Glob(softHSM.tokens + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range after {
		if !strings.Contains(strings.Join(before, "\n"), dir) {
			tok.dir = dir
		}
	}
	return tok
}

// secretKey is how a key that wraps is made; change spoils it.
func (k token) makeKey(t *testing.T, label string, change ...*pkcs11.Attribute) {
	t.Helper()
	template := map[uint]*pkcs11.Attribute{}
	for _, a := range append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
	}, change...) {
		template[a.Type] = a
	}
	list := make([]*pkcs11.Attribute, 0, len(template))
	for _, a := range template {
		list = append(list, a)
	}
	k.in(t, func(s *session) error {
		_, err := s.ctx.GenerateKey(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, list)
		return err
	})
}

// in runs fn in a session of the token, as an administrator's tool would.
func (k token) in(t *testing.T, fn func(*session) error) {
	t.Helper()
	m, err := loadModule(softHSM.module)
	if err != nil {
		t.Fatal(err)
	}
	h := &hsm{uri: pkcs11URI{token: k.label, object: "x", pin: k.pin}, module: m, slots: make(chan *session, 1)}
	h.slots <- nil
	if _, err := use(t.Context(), h, func(s *session) (struct{}, error) { return struct{}{}, fn(s) }); err != nil {
		t.Fatal(err)
	}
}

func (k token) url(object string) string {
	return "pkcs11:token=" + pkcs11Escape(k.label) + ";object=" + object + "?module-path=" + softHSM.module + "&pin-source=" + k.pin
}

func (k token) open(t *testing.T, object string) *hsm {
	t.Helper()
	opened, err := Open(t.Context(), k.url(object))
	if err != nil {
		t.Fatalf("Open error = %v", err)
	}
	h, ok := opened.(*hsm)
	if !ok {
		t.Fatalf("Open = %T", opened)
	}
	return h
}

func (k token) remove(t *testing.T) {
	t.Helper()
	if err := os.Rename(k.dir, softHSM.tokens+".away"); err != nil {
		t.Fatal(err)
	}
}

func (k token) putBack(t *testing.T) {
	t.Helper()
	if err := os.Rename(softHSM.tokens+".away", k.dir); err != nil {
		t.Fatal(err)
	}
}

func softRig(t *testing.T) rig {
	t.Helper()
	tok := newToken(t)
	tok.makeKey(t, "kek")
	tok.makeKey(t, "other")
	h := tok.open(t, "kek")
	return rig{
		kms: h, other: tok.open(t, "other"), down: tok.remove, up: tok.putBack,
		stall: func(t *testing.T) { // as when the library hangs in all of them
			t.Helper()
			for range hsmSessions {
				s := <-h.slots
				t.Cleanup(func() { h.slots <- s })
			}
		},
	}
}

func TestSoftHSM(t *testing.T) { testKMS(t, softRig) }

func TestSoftHSMSigns(t *testing.T) { testSigningKMS(t, softRig, es256, eddsa, rs256) }

func TestSoftHSMAtStart(t *testing.T) {
	tok := newToken(t)
	tok.makeKey(t, "kek")
	tok.makeKey(t, "twice")
	tok.makeKey(t, "twice")
	tok.makeKey(t, "short", pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 16))
	tok.makeKey(t, "extractable", pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true))
	tok.makeKey(t, "open", pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false))
	for _, tt := range []struct {
		name, url, want string
		unavailable     bool
	}{
		{name: "no such key", url: tok.url("absent"), want: "0 objects"},
		{name: "two keys of that name", url: tok.url("twice"), want: "2 objects"},
		{name: "a key of 128 bits", url: tok.url("short"), want: "256 bits"},
		{name: "a key that can be exported", url: tok.url("extractable"), want: "may leave"},
		{name: "a key that can be read", url: tok.url("open"), want: "may leave"},
		{name: "no such token", url: strings.Replace(tok.url("kek"), "token=token", "token=tokem", 1), want: "no such token", unavailable: true},
		{name: "another token's serial", url: strings.Replace(tok.url("kek"), ";object", ";serial=0;object", 1), want: "no such token", unavailable: true},
		{name: "another id", url: strings.Replace(tok.url("kek"), ";object", ";id=%01;object", 1), want: "0 objects"},
		{name: "no library", url: strings.Replace(tok.url("kek"), softHSM.module, softHSM.module+".absent", 1), want: "cannot be loaded"},
		{name: "no PIN", url: tok.url("kek") + ".absent", want: "no such file"},
	} {
		_, err := Open(t.Context(), tt.url)
		if err == nil || errors.Is(err, keys.ErrKMSUnavailable) != tt.unavailable || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Open error = %v, want %q in it, unavailable %t", tt.name, err, tt.want, tt.unavailable)
		}
	}
}

// forgotten ends what the process remembers of a token: sessions and the login.
func forgotten(t *testing.T) {
	t.Helper()
	m, err := loadModule(softHSM.module)
	if err != nil {
		t.Fatal(err)
	}
	m.calls.RLock()
	generation := m.generation
	m.calls.RUnlock()
	m.again(generation)
}

func TestSoftHSMWrongPIN(t *testing.T) {
	tok := newToken(t)
	tok.makeKey(t, "kek")
	h := tok.open(t, "kek")
	forgotten(t)
	for range 2 {
		if err := os.WriteFile(tok.pin, []byte("000000"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := h.Wrap(t.Context(), []byte("key"), nil)
		if err == nil || errors.Is(err, keys.ErrKMSUnavailable) || strings.Contains(err.Error(), "000000") {
			t.Errorf("with a wrong PIN, Wrap error = %v", err)
		}
		if want := "PIN"; err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("with a wrong PIN, Wrap error = %v, want %q in it", err, want)
		}
	}
	_, err := h.Wrap(t.Context(), []byte("key"), nil)
	if err == nil || !strings.Contains(err.Error(), "not tried again") {
		t.Errorf("the second time, Wrap error = %v, want that the PIN is not tried again", err)
	}
	if _, err := Open(t.Context(), tok.url("kek")); err == nil || !strings.Contains(err.Error(), "CKR_PIN_INCORRECT") {
		t.Errorf("Open error = %v, want the token's refusal", err)
	}
	if err := os.WriteFile(tok.pin, []byte(softPIN), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Wrap(t.Context(), []byte("key"), nil); err != nil {
		t.Errorf("with the right PIN again, Wrap error = %v", err)
	}
}

func TestSoftHSMKeyRemovedAndMadeAnew(t *testing.T) {
	tok := newToken(t)
	tok.makeKey(t, "kek")
	h := tok.open(t, "kek")
	wrapped, err := h.Wrap(t.Context(), []byte("key"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	tok.in(t, func(s *session) error {
		found, err := s.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, "kek")})
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%d keys, %w", len(found), err)
		}
		return s.ctx.DestroyObject(s.handle, found[0])
	})
	if _, err := h.Unwrap(t.Context(), h.KeyName(), wrapped, []byte("ad")); err == nil || errors.Is(err, keys.ErrKMSUnavailable) || !strings.Contains(err.Error(), "0 objects") {
		t.Errorf("without its key, Unwrap error = %v", err)
	}
	tok.makeKey(t, "kek")
	if got, err := h.Unwrap(t.Context(), h.KeyName(), wrapped, []byte("ad")); err == nil || errors.Is(err, keys.ErrKMSUnavailable) {
		t.Errorf("with another key of its name, Unwrap = %q, %v", got, err)
	}
	again, err := h.Wrap(t.Context(), []byte("key"), []byte("ad"))
	if err != nil || bytes.Equal(again, wrapped) {
		t.Errorf("with another key of its name, Wrap = %x, %v", again, err)
	}
}

// The private half of a signing key never shows.
func TestSoftHSMSigningKeyStaysInside(t *testing.T) {
	tok := newToken(t)
	tok.makeKey(t, "kek")
	h := tok.open(t, "kek")
	if _, err := h.CreateSigningKey(t.Context(), es256, "tenant-1"); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{"tenant-1", "kek"} {
		if made, err := h.CreateSigningKey(t.Context(), es256, taken); err == nil {
			t.Errorf("a second object is called %s: %s", taken, made.Name)
		}
	}
	tok.in(t, func(s *session) error {
		found, err := s.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, "tenant-1")})
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%d keys, %w", len(found), err)
		}
		if got, err := s.ctx.GetAttributeValue(s.handle, found[0], []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)}); !isCode(err, pkcs11.CKR_ATTRIBUTE_SENSITIVE) {
			t.Errorf("the private key is %d attributes, %v", len(got), err)
		}
		return nil
	})
}

// The library goes on making a key when nobody waits for it any more. That key is not
// left behind.
func TestSoftHSMSigningKeyThatIsLate(t *testing.T) {
	tok := newToken(t)
	tok.makeKey(t, "kek")
	h := tok.open(t, "kek")
	label, late := "", false
	for i := 0; !late; i++ { // primes may be found at once
		label = fmt.Sprintf("tenant-%d", i)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := h.CreateSigningKey(ctx, rs256, label)
		cancel()
		if late = err != nil; late && !errors.Is(err, keys.ErrKMSUnavailable) {
			t.Fatalf("CreateSigningKey error = %v, want %v", err, keys.ErrKMSUnavailable)
		}
	}
	for range cap(h.slots) { // all sessions are back: the library is done
		s := <-h.slots
		defer func() { h.slots <- s }()
	}
	tok.in(t, func(s *session) error {
		found, err := s.find([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, label)})
		if len(found) > 0 {
			t.Errorf("%d halves of %s are left behind", len(found), label)
		}
		return err
	})
}
