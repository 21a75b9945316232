//go:build pkcs11 && cgo

package kms

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// hsm is an AES-256 key in a token. Wrapped keys are
//
//	1 ‖ nonce of 12 bytes ‖ AES-256-GCM ciphertext and tag
//
// The nonce is ours at random, unless the token insists on one of its own, which is
// read back. The token's sessions are kept in a pool: a library that hangs holds one
// of them, and the caller leaves when its time is over.
type hsm struct {
	uri    pkcs11URI
	name   string
	module *module
	slots  chan *session // nil: may be opened

	login   sync.Mutex
	refused [sha256.Size]byte // of the PIN that was refused: a few more tries lock the token
}

// session is one of the token's, logged in.
type session struct {
	ctx        *pkcs11.Ctx
	slot       uint
	handle     pkcs11.SessionHandle
	generation int
	found      map[string]pkcs11.ObjectHandle
}

const (
	hsmSessions = 8 // tokens in use allow at least this many
	hsmFormat   = 1
	hsmNonce    = 12
	hsmTag      = 16
)

// openPKCS11 reads rest, what follows "pkcs11:", see pkcs11URI.
func openPKCS11(ctx context.Context, rest string) (keys.KMS, error) {
	u, err := parsePKCS11(rest)
	if err != nil {
		return nil, err
	}
	h := &hsm{uri: u, name: u.where() + pkcs11Escape(u.object), slots: make(chan *session, hsmSessions)}
	for range hsmSessions {
		h.slots <- nil
	}
	if h.module, err = within(ctx, func() (*module, error) { return loadModule(u.module) }); err != nil {
		return nil, err
	}
	if _, err := use(ctx, h, h.judge); err != nil {
		return nil, err
	}
	return h, nil
}

// judge refuses a key that is not what a KMS promises: AES-256, and never outside.
func (h *hsm) judge(s *session) (struct{}, error) {
	var none struct{}
	key, err := h.key(s)
	if err != nil {
		return none, err
	}
	attributes, err := s.ctx.GetAttributeValue(s.handle, key, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, nil),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, nil),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, nil),
	})
	if err != nil {
		return none, fmt.Errorf("read the key's attributes: %w", err)
	}
	if !bytes.Equal(attributes[0].Value, pkcs11.NewAttribute(0, 32).Value) {
		return none, refusal("the key %q does not have 256 bits", h.uri.object)
	}
	if !bytes.Equal(attributes[1].Value, []byte{1}) || !bytes.Equal(attributes[2].Value, []byte{0}) {
		return none, refusal("the key %q may leave its token: make one that is sensitive and not extractable", h.uri.object)
	}
	return none, nil
}

// KeyName names the token and the key by their labels.
func (h *hsm) KeyName() string { return h.name }

// Wrap encrypts key, bound to ad.
func (h *hsm) Wrap(ctx context.Context, key, ad []byte) ([]byte, error) {
	nonce := make([]byte, hsmNonce)
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	return use(ctx, h, func(s *session) ([]byte, error) {
		object, err := h.key(s)
		if err != nil {
			return nil, err
		}
		params := pkcs11.NewGCMParams(nonce, ad, hsmTag*8)
		defer params.Free()
		if err := s.ctx.EncryptInit(s.handle, gcm(params), object); err != nil {
			return nil, err
		}
		sealed, err := s.ctx.Encrypt(s.handle, key)
		if err != nil {
			return nil, err
		}
		used := params.IV()
		if len(used) != hsmNonce || len(sealed) != len(key)+hsmTag {
			return nil, refusal("the token made no AES-GCM ciphertext with a nonce of %d bytes", hsmNonce)
		}
		return append(append([]byte{hsmFormat}, used...), sealed...), nil
	})
}

// Unwrap opens what Wrap made.
func (h *hsm) Unwrap(ctx context.Context, keyName string, wrapped, ad []byte) ([]byte, error) {
	if keyName != h.name {
		return nil, unknownKey(keyName, h.name)
	}
	if len(wrapped) < 1+hsmNonce+hsmTag || wrapped[0] != hsmFormat {
		return nil, errors.New("this was not wrapped by PKCS#11")
	}
	nonce, sealed := wrapped[1:1+hsmNonce], wrapped[1+hsmNonce:]
	return use(ctx, h, func(s *session) ([]byte, error) {
		object, err := h.key(s)
		if err != nil {
			return nil, err
		}
		params := pkcs11.NewGCMParams(nonce, ad, hsmTag*8)
		defer params.Free()
		if err := s.ctx.DecryptInit(s.handle, gcm(params), object); err != nil {
			return nil, err
		}
		return s.ctx.Decrypt(s.handle, sealed)
	})
}

func gcm(params *pkcs11.GCMParams) []*pkcs11.Mechanism {
	return []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}
}

// key finds the key that wraps.
func (h *hsm) key(s *session) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, h.uri.object),
	}
	if h.uri.id != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, h.uri.id))
	}
	return s.only("AES key "+h.uri.object, template)
}

// only finds the one object that has the attributes, and remembers it as what.
func (s *session) only(what string, template []*pkcs11.Attribute) (pkcs11.ObjectHandle, error) {
	if found, ok := s.found[what]; ok {
		return found, nil
	}
	found, err := s.find(template)
	if err != nil {
		return 0, err
	}
	if len(found) != 1 {
		if !s.present() {
			return 0, errNoToken
		}
		return 0, refusal("the token has %d objects that are the %s, not one", len(found), what)
	}
	s.found[what] = found[0]
	return found[0], nil
}

func (s *session) find(template []*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := s.ctx.FindObjectsInit(s.handle, template); err != nil {
		return nil, fmt.Errorf("find objects: %w", err)
	}
	found, _, err := s.ctx.FindObjects(s.handle, 3)
	if err := errors.Join(err, s.ctx.FindObjectsFinal(s.handle)); err != nil {
		return nil, fmt.Errorf("find objects: %w", err)
	}
	return found, nil
}

// present asks whether the token is still there.
func (s *session) present() bool {
	_, err := s.ctx.GetTokenInfo(s.slot)
	return err == nil
}

// use runs fn in a session, and again if the token was away meanwhile.
func use[T any](ctx context.Context, h *hsm, fn func(*session) (T, error)) (T, error) {
	return call(ctx, func(ctx context.Context) (T, error) { return useOnce(ctx, h, fn) })
}

func useOnce[T any](ctx context.Context, h *hsm, fn func(*session) (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, noAnswer(ctx, ctx.Err())
	}
	var s *session
	select {
	case s = <-h.slots:
	case <-ctx.Done():
		return none, noAnswer(ctx, errors.New("every session of the token is busy"))
	}
	return within(ctx, func() (T, error) {
		h.module.calls.RLock()
		generation := h.module.generation
		s, got, err := inSession(h, s, fn)
		h.module.calls.RUnlock()
		h.slots <- s
		if errors.Is(err, keys.ErrKMSUnavailable) {
			h.module.again(generation)
		}
		return got, err
	})
}

// inSession runs fn in s, opening it first if need be, and returns the session that
// is good for the next: nil after an error that may be the session's.
func inSession[T any](h *hsm, s *session, fn func(*session) (T, error)) (*session, T, error) {
	var none T
	if s == nil || s.generation != h.module.generation {
		var err error
		if s, err = h.open(); err != nil {
			return nil, none, sorted(err, false)
		}
	}
	got, err := fn(s)
	if isCode(err, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID) && s.present() {
		clear(s.found) // somebody has destroyed the object, or made it anew
		got, err = fn(s)
	}
	if err == nil {
		return s, got, nil
	}
	err = sorted(err, s.present())
	if errors.Is(err, keys.ErrKMSUnavailable) {
		_ = s.ctx.CloseSession(s.handle) // it is lost either way
		return nil, none, err
	}
	return s, none, err
}

// open opens a session, and logs in if none of this process is.
func (h *hsm) open() (*session, error) {
	slot, err := h.module.slot(h.uri)
	if err != nil {
		return nil, err
	}
	ctx := h.module.ctx
	handle, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	if err := h.logIn(ctx, handle); err != nil {
		_ = ctx.CloseSession(handle) // what counts is why it is of no use
		return nil, err
	}
	return &session{ctx: ctx, slot: slot, handle: handle, generation: h.module.generation, found: map[string]pkcs11.ObjectHandle{}}, nil
}

func (h *hsm) logIn(ctx *pkcs11.Ctx, handle pkcs11.SessionHandle) error {
	pin, err := secretFile(h.uri.pin)
	if err != nil {
		return refusal("read PIN: %w", err)
	}
	h.login.Lock()
	defer h.login.Unlock()
	sum := sha256.Sum256([]byte(pin))
	if sum == h.refused {
		return refusal("the token has refused this PIN before: it is not tried again")
	}
	err = ctx.Login(handle, pkcs11.CKU_USER, pin)
	switch {
	case err == nil || isCode(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		return nil
	case isCode(err, pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_PIN_EXPIRED, pkcs11.CKR_PIN_INVALID,
		pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_USER_PIN_NOT_INITIALIZED):
		h.refused = sum
		return refusal("the token refuses the PIN: %w", err)
	}
	return fmt.Errorf("log in: %w", err)
}

// isCode reports whether err is one of these answers of the library.
func isCode(err error, codes ...uint) bool {
	var said pkcs11.Error
	if !errors.As(err, &said) {
		return false
	}
	for _, code := range codes {
		if said == pkcs11.Error(code) {
			return true
		}
	}
	return false
}

// sorted makes an error of the library one of a KMS. present says whether the token
// still is: SoftHSM has one code, CKR_GENERAL_ERROR, for a ciphertext that does not
// open and for a token that is gone.
func sorted(err error, present bool) error {
	if r, ok := errors.AsType[refused](err); ok {
		return r.error
	}
	if errors.Is(err, errNoToken) || !present || isCode(err,
		pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT,
		pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_SLOT_ID_INVALID, pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED,
		pkcs11.CKR_SESSION_COUNT, pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_HOST_MEMORY,
		pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OPERATION_ACTIVE) {
		return unavailable(err)
	}
	return fmt.Errorf("the token refuses: %w", errors.New(strings.TrimPrefix(err.Error(), "pkcs11: ")))
}
