package kms

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	tinkaws "github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// amazon is a key of AWS KMS. Wrapped keys are Tink's: the KMS's ciphertext, bound by
// an encryption context of one entry, associatedData, in hexadecimal.
type amazon struct {
	name   string // awskms:arn:aws:kms:eu-central-1:123456789012:key/…
	where  string // what the names of all keys of this account and region begin with
	client *awskms.Client
	aead   tink.AEADWithContext
}

// openAWS reads rest, what follows "awskms:":
//
//	arn:aws:kms:<region>:<account>:key/<id>[?endpoint=…&region=…]
//
// An alias (…:alias/<name>) is asked once which key it stands for, and that key's name
// counts. region is for the replica of a multi-Region key (key/mrk-…): the name is
// still that of the key in the URL, so that servers of both regions open each other's;
// such a KMS makes no signing keys. Credentials come from where the AWS SDK looks.
func openAWS(ctx context.Context, rest string) (keys.KMS, error) {
	key, query, _ := strings.Cut(rest, "?")
	given, err := options(query, "endpoint", "region")
	if err != nil {
		return nil, err
	}
	part := strings.Split(key, ":")
	if len(part) != 6 || part[0] != "arn" || part[2] != "kms" || part[3] == "" ||
		!strings.HasPrefix(part[5], "key/") && !strings.HasPrefix(part[5], "alias/") {
		return nil, errors.New("an AWS KMS URL has the form awskms:arn:aws:kms:region:account:key/id (or alias/name)")
	}
	asked, replica := key, given["region"] != "" && given["region"] != part[3]
	if replica {
		if !strings.HasPrefix(part[5], "key/mrk-") {
			return nil, errors.New("only a multi-Region key (key/mrk-…) is found in another region than its ARN names")
		}
		part[3] = given["region"]
		asked = strings.Join(part, ":")
	}
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion(part[3]))
	if err != nil {
		return nil, fmt.Errorf("read AWS settings: %w", err)
	}
	if given["endpoint"] != "" {
		if _, err := endpoint(given["endpoint"]); err != nil {
			return nil, err
		}
		settings.BaseEndpoint = aws.String(given["endpoint"])
	}
	settings.Credentials = awsCredentials{settings.Credentials}
	a := &amazon{
		name:   "awskms:" + key,
		client: awskms.NewFromConfig(settings, func(o *awskms.Options) { o.Retryer = aws.NopRetryer{} }), // call retries
	}
	if strings.HasPrefix(part[5], "alias/") {
		if asked, err = call(ctx, func(ctx context.Context) (string, error) { return a.resolve(ctx, key) }); err != nil {
			return nil, fmt.Errorf("resolve %s: %w", key, err)
		}
		a.name = "awskms:" + asked
	}
	a.where = a.name[:strings.LastIndex(a.name, ":")+1] + "key/"
	a.aead, err = tinkaws.NewAEADWithContext(ctx, asked, tinkaws.WithKMS(a.client))
	if err != nil {
		return nil, err
	}
	if replica {
		return wraps{a}, nil
	}
	return a, nil
}

// wraps hides that a KMS signs.
type wraps struct{ keys.KMS }

// resolve asks which key an alias stands for: an encryption says so, and needs no
// permission that wrapping does not.
func (a *amazon) resolve(ctx context.Context, alias string) (string, error) {
	out, err := a.client.Encrypt(ctx, &awskms.EncryptInput{
		KeyId: &alias, Plaintext: []byte("biocore"),
		EncryptionContext: map[string]string{"associatedData": hex.EncodeToString([]byte("biocore alias"))},
	})
	if err != nil {
		return "", awsError(ctx, err)
	}
	if out.KeyId == nil || !strings.Contains(*out.KeyId, ":key/") {
		return "", errors.New("AWS KMS does not tell the key's ARN")
	}
	return *out.KeyId, nil
}

// KeyName is the key's ARN.
func (a *amazon) KeyName() string { return a.name }

// Wrap encrypts key, bound to ad.
func (a *amazon) Wrap(ctx context.Context, key, ad []byte) ([]byte, error) {
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		wrapped, err := a.aead.EncryptWithContext(ctx, key, ad)
		return wrapped, awsError(ctx, err)
	})
}

// Unwrap opens what Wrap made. The key is named in the request, so that a ciphertext
// of another key of the account does not open.
func (a *amazon) Unwrap(ctx context.Context, keyName string, wrapped, ad []byte) ([]byte, error) {
	if keyName != a.name {
		return nil, unknownKey(keyName, a.name)
	}
	if len(wrapped) == 0 {
		return nil, errors.New("nothing was wrapped")
	}
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		key, err := a.aead.DecryptWithContext(ctx, wrapped, ad)
		return key, awsError(ctx, err)
	})
}

// awsUnavailable are the codes that come with status 400 and say nothing of the key:
// the KMS has trouble of its own, or did not look at the request, because it was too
// much, came under credentials that had run out, or from a clock that is wrong. All
// others are answers: of a deleted access key (UnrecognizedClientException), too.
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
var awsUnavailable = map[string]bool{
	"ServiceUnavailable": true, "ServiceUnavailableException": true, "InternalFailure": true,
	"DependencyTimeoutException": true, "KMSInternalException": true, "KeyUnavailableException": true,
	"ExpiredToken": true, "ExpiredTokenException": true, "IDPCommunicationError": true, // STS cannot ask who signed our token
	"RequestExpired": true, "RequestInTheFuture": true, "RequestTimeTooSkewed": true,
}

// awsNoAnswer reports whether said is no answer about what was asked.
func awsNoAnswer(said smithy.APIError) bool {
	code := said.ErrorCode()
	if code == "LimitExceededException" { // the SDK backs off; of the KMS it is the account's quota of keys
		return false
	}
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	_, late := retry.DefaultRetryableErrorCodes[code]
	// A clock that is wrong has the code of a wrong secret.
	skewed := (code == "InvalidSignatureException" || code == "SignatureDoesNotMatch") &&
		(strings.HasPrefix(said.ErrorMessage(), "Signature expired") || strings.HasPrefix(said.ErrorMessage(), "Signature not yet current"))
	return throttled || late || skewed || awsUnavailable[code]
}

// awsCredentials is whoever gives out credentials, its errors marked.
type awsCredentials struct{ aws.CredentialsProvider }

// Retrieve marks the error as a credentialsError.
func (c awsCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, credentialsError{err}
	}
	return got, nil
}

// credentialsError is why the KMS could not be asked.
type credentialsError struct{ error }

func (e credentialsError) Unwrap() error { return e.error }

// awsError sorts an error of the SDK. Its text names the principal and the key, and
// nothing secret.
func awsError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return noAnswer(ctx, ctx.Err())
	}
	var status *smithyhttp.ResponseError
	if errors.As(err, &status) && (status.HTTPStatusCode() >= 500 || status.HTTPStatusCode() == http.StatusTooManyRequests) {
		return unavailable(err)
	}
	if said, ok := errors.AsType[smithy.APIError](err); ok && said.ErrorCode() != "" {
		if awsNoAnswer(said) {
			return unavailable(err)
		}
		return awsRefusal{said.ErrorCode(), err} // STS's, too: it is who lets a role be assumed
	}
	// A metadata endpoint that is away or has nothing to give: the KMS was not asked.
	if _, ok := errors.AsType[credentialsError](err); ok {
		return unavailable(err)
	}
	var sent *smithyhttp.RequestSendError
	var network net.Error
	if errors.As(err, &sent) || errors.As(err, &network) {
		return unavailable(err)
	}
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok { // a proxy's page
		return unavailable(err)
	}
	return fmt.Errorf("ask AWS KMS: %w", err)
}

func awsCode(err error) string {
	if said, ok := errors.AsType[smithy.APIError](err); ok {
		return said.ErrorCode()
	}
	return ""
}

// awsRefusal is AWS's own answer that it will not.
type awsRefusal struct { //nolint:errname // a refusal, with the error in it
	code string
	err  error
}

func (r awsRefusal) Error() string {
	return "AWS refuses (" + r.code + "): " + printable(r.err.Error())
}
func (r awsRefusal) Unwrap() error { return r.err }
