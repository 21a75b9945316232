package kms

import (
	"context"
	"fmt"
	"strings"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// OpenAll returns a KMS that wraps with the key of the URL current, and unwraps with
// whichever of current and previous wrapped: for the time in which data keys move from
// one KMS key to another. All must be reachable. It is a keys.SigningKMS if current's
// is: signing keys are made there, while each of the others still signs with its own.
func OpenAll(ctx context.Context, current string, previous []string) (keys.KMS, error) {
	first, err := Open(ctx, current)
	if err != nil {
		return nil, err
	}
	all := several{first}
	for _, url := range previous {
		k, err := Open(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("previous KMS: %w", err)
		}
		if all.unwraps(k.KeyName()) == nil { // a URL given twice changes nothing
			all = append(all, k)
		}
	}
	if len(all) == 1 {
		return first, nil
	}
	if signing, ok := first.(keys.SigningKMS); ok {
		return severalSigning{all, signing}, nil
	}
	return all, nil
}

// several are KMSs, the current one first.
type several []keys.KMS

// signer is implemented by those that sign. It reports whether a signing key of this
// name is theirs, without asking anybody.
type signer interface {
	keys.SigningKMS
	signs(keyName string) bool
}

func (s several) unwraps(keyName string) keys.KMS {
	for _, k := range s {
		if k.KeyName() == keyName {
			return k
		}
	}
	return nil
}

func (s several) names() string {
	names := make([]string, len(s))
	for i, k := range s {
		names[i] = k.KeyName()
	}
	return strings.Join(names, " and ")
}

// KeyName is that of the current one.
func (s several) KeyName() string { return s[0].KeyName() }

// Wrap wraps with the current one.
func (s several) Wrap(ctx context.Context, key, ad []byte) ([]byte, error) {
	return s[0].Wrap(ctx, key, ad)
}

// Unwrap unwraps with the one whose key has this name.
func (s several) Unwrap(ctx context.Context, keyName string, wrapped, ad []byte) ([]byte, error) {
	k := s.unwraps(keyName)
	if k == nil {
		return nil, unknownKey(keyName, s.names())
	}
	return k.Unwrap(ctx, keyName, wrapped, ad)
}

func (s several) run(ctx context.Context) {
	done := make(chan struct{}, len(s))
	for _, k := range s {
		go func() {
			_ = Run(ctx, k) // always nil
			done <- struct{}{}
		}()
	}
	for range s {
		<-done
	}
}

// severalSigning are several, of which the current one makes signing keys.
type severalSigning struct {
	several
	current keys.SigningKMS
}

// CreateSigningKey makes one in the current KMS.
func (s severalSigning) CreateSigningKey(ctx context.Context, algorithm, label string) (keys.RemoteKey, error) {
	return s.current.CreateSigningKey(ctx, algorithm, label)
}

// Sign signs in the KMS that has the key.
func (s severalSigning) Sign(ctx context.Context, keyName, algorithm string, input []byte) ([]byte, error) {
	k, err := s.owner(keyName)
	if err != nil {
		return nil, err
	}
	return k.Sign(ctx, keyName, algorithm, input)
}

// DestroySigningKey destroys it in the KMS that has it.
func (s severalSigning) DestroySigningKey(ctx context.Context, keyName string) error {
	k, err := s.owner(keyName)
	if err != nil {
		return err
	}
	return k.DestroySigningKey(ctx, keyName)
}

func (s severalSigning) owner(keyName string) (keys.SigningKMS, error) {
	for _, k := range s.several {
		if with, ok := k.(signer); ok && with.signs(keyName) {
			return with, nil
		}
	}
	return nil, unknownSigner(keyName, s.names())
}
