package kms

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// awsAlgorithm is how AWS KMS spells a JWS algorithm.
type awsAlgorithm struct {
	spec    types.KeySpec
	signing types.SigningAlgorithmSpec
	message types.MessageType
}

var awsAlgorithms = map[string]awsAlgorithm{
	es256: {types.KeySpecEccNistP256, types.SigningAlgorithmSpecEcdsaSha256, types.MessageTypeDigest},
	rs256: {types.KeySpecRsa3072, types.SigningAlgorithmSpecRsassaPkcs1V15Sha256, types.MessageTypeDigest},
	eddsa: {types.KeySpecEccNistEdwards25519, types.SigningAlgorithmSpecEd25519Sha512, types.MessageTypeRaw},
}

const (
	// awsTag marks our signing keys, so that an IAM policy can allow what is done to
	// them and to no other key: aws:ResourceTag/biocore.
	awsTag, awsTagValue = "biocore", "signing-key"
	// awsMaxRaw is how long a message AWS KMS takes that it hashes itself.
	awsMaxRaw = 4096
	// awsDeletionDays is how long AWS KMS keeps a key that is to be destroyed; no other
	// number is smaller.
	awsDeletionDays = 7
)

// CreateSigningKey makes a key with label as its description and awsTag as its tag. AWS
// names it: one whose creation is not answered cannot be addressed, and stays.
func (a *amazon) CreateSigningKey(ctx context.Context, algorithm, label string) (keys.RemoteKey, error) {
	as, ok := awsAlgorithms[algorithm]
	if !ok {
		return keys.RemoteKey{}, noAlgorithm(algorithm)
	}
	if err := checkLabel(label); err != nil {
		return keys.RemoteKey{}, err
	}
	arn, err := callOnce(ctx, func(ctx context.Context) (string, error) {
		out, err := a.client.CreateKey(ctx, &awskms.CreateKeyInput{
			KeySpec: as.spec, KeyUsage: types.KeyUsageTypeSignVerify,
			Description: aws.String("biocore " + label),
			Tags:        []types.Tag{{TagKey: aws.String(awsTag), TagValue: aws.String(awsTagValue)}},
		})
		if err != nil {
			return "", awsError(ctx, err)
		}
		if out.KeyMetadata == nil || out.KeyMetadata.Arn == nil || !a.signs("awskms:"+*out.KeyMetadata.Arn) {
			return "", errors.New("AWS KMS does not tell the ARN of the key that it made")
		}
		return *out.KeyMetadata.Arn, nil
	})
	if err != nil {
		return keys.RemoteKey{}, fmt.Errorf("create signing key %s: %w", label, err)
	}
	made := keys.RemoteKey{Name: "awskms:" + arn}
	made.Public, err = await(ctx, func(ctx context.Context) (crypto.PublicKey, error) {
		out, err := a.client.GetPublicKey(ctx, &awskms.GetPublicKeyInput{KeyId: &arn})
		if _, ok := errors.AsType[*types.NotFoundException](err); ok { // another of AWS's servers, which has not heard of it
			return nil, errNotYet
		}
		if err != nil {
			return nil, awsError(ctx, err)
		}
		return publicDER(algorithm, out.PublicKey)
	})
	if err != nil {
		// It costs money as long as it is there, and nobody will ask for it.
		err = abandon(ctx, err, func(ctx context.Context) error { return a.DestroySigningKey(ctx, made.Name) })
		return keys.RemoteKey{}, fmt.Errorf("read signing key %s: %w", arn, err)
	}
	return made, nil
}

// Sign signs with a key that CreateSigningKey made. For EdDSA, input is at most 4 KiB.
func (a *amazon) Sign(ctx context.Context, keyName, algorithm string, input []byte) ([]byte, error) {
	as, ok := awsAlgorithms[algorithm]
	if !ok {
		return nil, noAlgorithm(algorithm)
	}
	if !a.signs(keyName) {
		return nil, unknownSigner(keyName, a.name)
	}
	message := digest(algorithm, input)
	if len(message) > awsMaxRaw {
		return nil, fmt.Errorf("AWS KMS signs at most %d bytes with %s, and these are %d", awsMaxRaw, algorithm, len(message))
	}
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		out, err := a.client.Sign(ctx, &awskms.SignInput{
			KeyId: aws.String(strings.TrimPrefix(keyName, "awskms:")), Message: message,
			MessageType: as.message, SigningAlgorithm: as.signing,
		})
		if err != nil {
			return nil, awsError(ctx, err)
		}
		if algorithm == es256 {
			return rawECDSA(out.Signature)
		}
		return signatureOf(algorithm, out.Signature)
	})
}

// DestroySigningKey has AWS KMS delete a key in seven days. Until then it signs
// nothing, and somebody with kms:CancelKeyDeletion could bring it back.
func (a *amazon) DestroySigningKey(ctx context.Context, keyName string) error {
	if !a.signs(keyName) || keyName == a.name {
		return unknownSigner(keyName, a.name)
	}
	arn := strings.TrimPrefix(keyName, "awskms:")
	_, err := call(ctx, func(ctx context.Context) (struct{}, error) {
		_, err := a.client.ScheduleKeyDeletion(ctx, &awskms.ScheduleKeyDeletionInput{
			KeyId: &arn, PendingWindowInDays: aws.Int32(awsDeletionDays),
		})
		if _, gone := errors.AsType[*types.NotFoundException](err); gone {
			return struct{}{}, nil
		}
		// The state of a key that is being deleted does not allow it, nor do others.
		if _, invalid := errors.AsType[*types.KMSInvalidStateException](err); invalid {
			if out, look := a.client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &arn}); look == nil && out.KeyMetadata != nil &&
				(out.KeyMetadata.KeyState == types.KeyStatePendingDeletion || out.KeyMetadata.KeyState == types.KeyStatePendingReplicaDeletion) {
				return struct{}{}, nil
			}
		}
		return struct{}{}, awsError(ctx, err)
	})
	if err != nil {
		return fmt.Errorf("destroy signing key: %w", err)
	}
	return nil
}

// signs reports whether keyName is in this account and region.
func (a *amazon) signs(keyName string) bool {
	id, ok := strings.CutPrefix(keyName, a.where)
	return ok && checkLabel(id) == nil // an id has the letters of a label
}
