package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// A reference is a secret of the configuration as the KMS of BIOCORE_KMS_URL wrapped it:
//
//	kms:base64url(1 ‖ length of the KMS key's name, 2 bytes ‖ the name ‖ what Wrap made)
//
// It may stand wherever the secret itself may: in the environment, a mounted file, the
// configuration file. It is no secret; whoever has it and not the KMS has nothing. The
// variable's name is associated data, so that one variable's reference is none for
// another: nobody can hand the migrator's password to the server by moving text.
const (
	referencePrefix = "kms:"
	referenceForm   = 1
	// maxSealed is what a KMS wraps at most, see keys.KMS.
	maxSealed = 4096
)

func isReference(value string) bool { return strings.HasPrefix(value, referencePrefix) }

func referenceAD(variable string) []byte { return []byte("biocore configuration\x00" + variable) }

// sealReference makes the reference that openReference opens for the same variable.
func sealReference(ctx context.Context, k keys.KMS, variable string, value secret.Text) (string, error) {
	plain := []byte(value.Reveal())
	if len(plain) == 0 || len(plain) > maxSealed {
		return "", fmt.Errorf("a secret has 1 to %d bytes", maxSealed)
	}
	wrapped, err := k.Wrap(ctx, plain, referenceAD(variable))
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	name := k.KeyName()
	blob := binary.BigEndian.AppendUint16([]byte{referenceForm}, uint16(len(name))) //nolint:gosec // at most 512, see keys.KMS
	blob = append(append(blob, name...), wrapped...)
	return referencePrefix + base64.RawURLEncoding.EncodeToString(blob), nil
}

var errReference = errors.New("is no reference that `biocore secret seal` made")

// openReference returns the secret that was sealed for a variable.
func openReference(ctx context.Context, k keys.KMS, variable, reference string) (secret.Text, error) {
	blob, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(reference, referencePrefix))
	if err != nil || len(blob) < 3 || blob[0] != referenceForm {
		return secret.Text{}, errReference
	}
	n := int(binary.BigEndian.Uint16(blob[1:]))
	if len(blob) < 3+n {
		return secret.Text{}, errReference
	}
	plain, err := k.Unwrap(ctx, string(blob[3:3+n]), blob[3+n:], referenceAD(variable))
	if err != nil {
		return secret.Text{}, err
	}
	return secret.New(string(plain)), nil
}

// openReferences puts in the place of each reference what the KMS opens it to. One that
// does not open stays, and is among what failed.
func (s *settings) openReferences(ctx context.Context) {
	for _, field := range s.secrets() {
		if isReference(field.Reveal()) {
			k, err := openKMS(ctx, s.KMSURL, s.previousKMS())
			s.openBy(ctx, k, err)
			return
		}
	}
}

// openBy opens all references by k, or by nothing for the reason err.
func (s *settings) openBy(ctx context.Context, k keys.KMS, err error) {
	fields := s.secrets()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !isReference(fields[name].Reveal()) {
			continue
		}
		if err != nil { // for all of them: a KMS that is silent is not asked for each
			s.failed[name] = fmt.Errorf("%s is sealed by the KMS, which does not open it: %w", name, err)
			continue
		}
		opened, openErr := openReference(ctx, k, name, fields[name].Reveal())
		switch {
		case errors.Is(openErr, errReference):
			s.failed[name] = fmt.Errorf("%s %w", name, openErr)
		case openErr != nil:
			s.failed[name] = fmt.Errorf("%s is sealed by the KMS, which does not open it: %w", name, openErr)
			if errors.Is(openErr, keys.ErrKMSUnavailable) {
				err = openErr
			}
		default:
			*fields[name] = opened
		}
	}
}

// openKMS opens the KMS of the configuration, whose URL is itself no reference.
func openKMS(ctx context.Context, kmsURL string, previous []string) (keys.KMS, error) {
	switch {
	case kmsURL == "":
		return nil, errors.New("BIOCORE_KMS_URL is not set")
	case isReference(kmsURL):
		return nil, errors.New("BIOCORE_KMS_URL cannot be sealed by the KMS that it names")
	}
	return kms.OpenAll(ctx, kmsURL, previous)
}
