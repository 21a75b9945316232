package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// Local is a KMS whose key is a file: for one machine and for development. Whoever
// reads the file and the database reads every tenant's secrets, so keep it out of
// the database's backups.
type Local struct {
	name string
	aead cipher.AEAD
}

const localKeyBytes = 32

// OpenLocal reads the key file at path: exactly 32 random bytes, readable by its owner alone, in a
// folder where nobody else may put another in its place.
func OpenLocal(path string) (*Local, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open KMS key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open KMS key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("KMS key %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("KMS key %s is open to others (%04o): chmod 600 it, and replace it if others may have read it",
			path, info.Mode().Perm())
	}
	if err := secret.CheckFolders(path); err != nil {
		return nil, fmt.Errorf("KMS key: %w", err)
	}
	key := make([]byte, localKeyBytes+1)
	n, err := io.ReadFull(f, key)
	if !errors.Is(err, io.ErrUnexpectedEOF) || n != localKeyBytes {
		return nil, fmt.Errorf("KMS key %s does not have 32 bytes", path)
	}
	if key = key[:localKeyBytes]; isExample(key) {
		return nil, fmt.Errorf("KMS key %s is an example and not random: make one with `head -c 32 /dev/urandom`", path)
	}
	return newLocal(key)
}

// isExample tells keys that stand in instructions, and those that were typed: bytes that
// grow by the same step (by none: one byte repeated), and printable text. One
// random key in 2^44 is text, and fewer are the others.
func isExample(key []byte) bool {
	step := key[1] - key[0]
	before := key[0] - step
	steps, text := true, true
	for _, b := range key {
		steps = steps && b-before == step
		before = b
		text = text && (' ' <= b && b <= '~' || b == '\n' || b == '\r' || b == '\t')
	}
	return steps || text
}

// CreateLocal writes a new random key file at path, which must not exist, and
// makes it and its name durable: what it will wrap is lost with it. Only the dev
// server and an explicit command call this; serve never makes up a key.
func CreateLocal(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create KMS key: %w", err)
	}
	key := make([]byte, localKeyBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("create KMS key: %w", errors.Join(err, os.Remove(path)))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("create KMS key: %w", err)
	}
	if err := errors.Join(ignoreUnsupported(dir.Sync()), dir.Close()); err != nil {
		return fmt.Errorf("create KMS key: %w", err)
	}
	return nil
}

// ignoreUnsupported forgives file systems that cannot sync a directory.
func ignoreUnsupported(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func newLocal(key []byte) (*Local, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("KMS key: %w", err)
	}
	// Random nonces suffice for 2^32 data keys.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("KMS key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("biocore kms local key\x00"), key...))
	return &Local{name: "local:" + hex.EncodeToString(sum[:8]), aead: aead}, nil
}

// KeyName is a fingerprint of the key, so that a wrong file is named as such.
func (l *Local) KeyName() string { return l.name }

// Wrap encrypts key, bound to ad.
func (l *Local) Wrap(_ context.Context, key, ad []byte) ([]byte, error) {
	return l.aead.Seal(nil, nil, key, ad), nil //nolint:gosec // no nonce: this AEAD makes a random one
}

// Unwrap opens what Wrap made.
func (l *Local) Unwrap(_ context.Context, keyName string, wrapped, ad []byte) ([]byte, error) {
	if keyName != l.name {
		return nil, unknownKey(keyName, l.name)
	}
	key, err := l.aead.Open(nil, nil, wrapped, ad)
	if err != nil {
		return nil, errors.New("the wrapped key was changed, or belongs to another tenant or version")
	}
	return key, nil
}
