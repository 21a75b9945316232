package kms

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// withAWS gives the AWS SDK credentials that count here, and none of the machine's.
func withAWS(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": fakeAWSID, "AWS_SECRET_ACCESS_KEY": fakeAWSSecret, "AWS_SESSION_TOKEN": fakeAWSToken,
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_REGION": "us-west-2", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
}

const awsKey, awsOther = fakeAWSWhere + "key/11111111-1111-1111-1111-111111111111", fakeAWSWhere + "key/22222222-2222-2222-2222-222222222222"

func openAWSAt(t *testing.T, f *fakeAWS, key, more string) (keys.KMS, error) {
	t.Helper()
	return Open(t.Context(), "awskms:"+key+"?endpoint=http://"+f.addr+more)
}

func awsRig(t *testing.T) (rig, *fakeAWS) {
	t.Helper()
	withAWS(t)
	f := newFakeAWS(t)
	r := rig{stall: f.stall, down: f.stop, up: f.again}
	var err error
	if r.kms, err = openAWSAt(t, f, awsKey, ""); err != nil {
		t.Fatalf("Open error = %v", err)
	}
	if r.other, err = openAWSAt(t, f, awsOther, ""); err != nil {
		t.Fatalf("Open error = %v", err)
	}
	return r, f
}

func TestAWS(t *testing.T) {
	testKMS(t, func(t *testing.T) rig { t.Helper(); r, _ := awsRig(t); return r })
}

func TestAWSSigns(t *testing.T) {
	testSigningKMS(t, func(t *testing.T) rig { t.Helper(); r, _ := awsRig(t); return r }, es256, eddsa, rs256)
}

func TestAWSAliasStandsForItsKey(t *testing.T) {
	r, f := awsRig(t)
	k, err := openAWSAt(t, f, fakeAWSWhere+"alias/biocore", "")
	if err != nil || k.KeyName() != "awskms:"+awsKey {
		t.Fatalf("Open = %v, %v", k, err)
	}
	wrapped, err := k.Wrap(t.Context(), []byte("key"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	f.aliases[fakeAWSWhere+"alias/biocore"] = awsOther // what it stood for still counts
	if got, err := k.Unwrap(t.Context(), r.kms.KeyName(), wrapped, []byte("ad")); err != nil || string(got) != "key" {
		t.Errorf("Unwrap = %q, %v", got, err)
	}
	if k, err := openAWSAt(t, f, fakeAWSWhere+"alias/absent", ""); awsCode(err) != "NotFoundException" {
		t.Errorf("an unknown alias: Open = %v, %v", k, err)
	}
}

func TestAWSReplicaOpensWhatItsPrimaryWrapped(t *testing.T) {
	_, f := awsRig(t)
	const key = fakeAWSWhere + "key/mrk-33333333333333333333333333333333"
	primary, err := openAWSAt(t, f, key, "")
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := primary.Wrap(t.Context(), []byte("key"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	f.region = "us-east-1"
	replica, err := openAWSAt(t, f, key, "&region=us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := replica.Unwrap(t.Context(), primary.KeyName(), wrapped, []byte("ad")); err != nil || string(got) != "key" {
		t.Errorf("Unwrap = %q, %v", got, err)
	}
	if _, ok := replica.(keys.SigningKMS); ok {
		t.Error("a replica signs, with keys that the other region's servers cannot use")
	}
	if _, err := openAWSAt(t, f, awsKey, "&region=us-east-1"); err == nil {
		t.Error("a key of one region is taken for one of another")
	}
}

func TestAWSURL(t *testing.T) {
	withAWS(t)
	for _, rest := range []string{
		"", "arn:aws:kms:eu-central-1:1:", "arn:aws:s3:eu-central-1:1:key/x", "alias/biocore", "arn:aws:kms::1:key/x",
		awsKey + "?endpoint=http://kms.example", awsKey + "?secret=x", awsKey + "?endpoint=https://u:p@kms.example",
	} {
		if k, err := Open(t.Context(), "awskms:"+rest); err == nil || errors.Is(err, keys.ErrKMSUnavailable) {
			t.Errorf("Open(%q) = %v, %v", rest, k, err)
		}
	}
}

func TestAWSRefusals(t *testing.T) {
	r, f := awsRig(t)
	wrap := func(k keys.KMS) error {
		_, err := k.Wrap(t.Context(), []byte("key"), []byte("ad"))
		return err
	}
	t.Run("a disabled key", func(t *testing.T) {
		f.keys[awsKey].state = "Disabled"
		defer func() { f.keys[awsKey].state = "Enabled" }()
		if err := wrap(r.kms); awsCode(err) != "DisabledException" || errors.Is(err, keys.ErrKMSUnavailable) {
			t.Errorf("error = %v", err)
		}
	})
	said := func(code string) fakeAnswer { return fakeAnswer{400, `{"__type":"` + code + `","message":"no"}`} }
	for _, tt := range []struct {
		name        string
		answer      fakeAnswer
		unavailable bool
	}{
		// The KMS's own word on the key, on the ciphertext, or on who asks.
		{"denied", said("AccessDeniedException"), false},
		{"a disabled key", said("DisabledException"), false},
		{"a key in another state", said("KMSInvalidStateException"), false},
		{"no such key", said("NotFoundException"), false},
		{"no ciphertext of its own", said("InvalidCiphertextException"), false},
		{"a ciphertext of another key", said("IncorrectKeyException"), false},
		{"a wrong request", said("ValidationException"), false},
		{"an access key that was deleted", said("UnrecognizedClientException"), false},
		{"a wrong signature", said("InvalidSignatureException"), false},
		{"too many keys in the account", said("LimitExceededException"), false},
		{"a code that nobody knows", said("NewException"), false},
		// No word on any of them.
		{"throttled", said("ThrottlingException"), true},
		{"throttled, in short", said("Throttling"), true},
		{"throttled, as Lambda says", said("TooManyRequestsException"), true},
		{"throttled, as EC2 says", said("RequestLimitExceeded"), true},
		{"throttled, as API gateways say", said("RequestThrottled"), true},
		{"slow down", said("SlowDown"), true},
		{"it had no time", said("RequestTimeoutException"), true},
		{"its own trouble", fakeAnswer{500, `{"__type":"KMSInternalException"}`}, true},
		{"its own trouble, without a code", fakeAnswer{500, `{}`}, true},
		{"a service of its own is slow", said("DependencyTimeoutException"), true},
		{"a key store that is away", said("KeyUnavailableException"), true},
		{"credentials that have run out", said("ExpiredTokenException"), true},
		{"a request that is late", said("RequestExpired"), true},
		{"a clock that is behind", fakeAnswer{400, `{"__type":"InvalidSignatureException","message":"Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z"}`}, true},
		{"a clock that is ahead", fakeAnswer{400, `{"__type":"InvalidSignatureException","message":"Signature not yet current: 20260101T010000Z"}`}, true},
		{"a proxy's page", fakeAnswer{502, "<html>"}, true},
		{"no JSON", fakeAnswer{200, "<html>"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.takeAsked()
			f.answerWith(tt.answer, tt.answer)
			defer f.answerWith()
			asked := 1
			if tt.unavailable {
				asked = 2
			}
			err := wrap(r.kms)
			if err == nil || errors.Is(err, keys.ErrKMSUnavailable) != tt.unavailable || len(f.takeAsked()) != asked {
				t.Errorf("error = %v, want unavailable %t after %d attempts", err, tt.unavailable, asked)
			}
		})
	}
	for name, code := range map[string]string{
		"AWS_SECRET_ACCESS_KEY": "InvalidSignatureException", "AWS_ACCESS_KEY_ID": "UnrecognizedClientException", "AWS_SESSION_TOKEN": "UnrecognizedClientException",
	} {
		t.Run("a wrong "+name, func(t *testing.T) {
			t.Setenv(name, "wrong")
			_, err := openAWSAt(t, f, awsKey, "")
			if awsCode(err) != code || errors.Is(err, keys.ErrKMSUnavailable) {
				t.Errorf("Open error = %v, want %s", err, code)
			}
			if strings.Contains(err.Error(), fakeAWSSecret) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
	t.Run("no credentials", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		from := time.Now()
		if _, err := openAWSAt(t, f, awsKey, ""); err == nil || time.Since(from) > openTime {
			t.Errorf("Open error = %v after %v", err, time.Since(from))
		}
	})
}

// Who has no credentials has no answer of the KMS, unless AWS said that there are none
// for him: a role whose trust was withdrawn is a refusal like a disabled key's.
func TestAWSWithoutCredentials(t *testing.T) {
	withAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	f := newFakeAWS(t)
	said := func(code string) fakeAnswer {
		return fakeAnswer{400, "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>no</Message></Error></ErrorResponse>"}
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		role        bool        // by STS; else of the machine
		answer      *fakeAnswer // of the place where credentials are; nil: it is away
		code        string
		unavailable bool
	}{
		{name: "STS is away", role: true, unavailable: true},
		{name: "STS throttles", role: true, answer: new(said("Throttling")), unavailable: true},
		{name: "the web identity has run out", role: true, answer: new(said("ExpiredTokenException")), unavailable: true},
		{name: "STS denies", role: true, answer: new(said("AccessDenied")), code: "AccessDenied"},
		{name: "STS takes no such identity", role: true, answer: new(said("InvalidIdentityToken")), code: "InvalidIdentityToken"},
		{name: "the machine's metadata is away", unavailable: true},
		{name: "the machine has no role", answer: &fakeAnswer{404, "not found"}, unavailable: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var from fakeServer
			from.start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.answer.status)
				_, _ = w.Write([]byte(tt.answer.body))
			}))
			if tt.answer == nil {
				from.stop(t)
			}
			t.Setenv("AWS_ENDPOINT_URL_STS", "http://"+from.addr)
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+from.addr)
			t.Setenv("AWS_ROLE_ARN", "")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "")
			if tt.role {
				t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/biocore")
				t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
			}
			_, err := openAWSAt(t, f, awsKey, "")
			if err == nil || errors.Is(err, keys.ErrKMSUnavailable) != tt.unavailable {
				t.Errorf("Open error = %v, want unavailable %t", err, tt.unavailable)
			}
			if !tt.unavailable && awsCode(err) != tt.code {
				t.Errorf("Open error = %v, want %s", err, tt.code)
			}
			if asked := f.takeAsked(); len(asked) > 0 {
				t.Errorf("the KMS was asked without credentials: %q", asked)
			}
		})
	}
}

func TestAWSSigningKeys(t *testing.T) {
	r, f := awsRig(t)
	k := signing(t, r.kms)
	f.slow = 2 // AWS's servers hear of a new key one after the other
	made, err := k.CreateSigningKey(t.Context(), es256, "tenant-1")
	if err != nil {
		t.Fatalf("CreateSigningKey error = %v", err)
	}
	if tags := f.keys[strings.TrimPrefix(made.Name, "awskms:")].tags; tags["biocore"] != "signing-key" {
		t.Errorf("tags = %v", tags)
	}
	if err := k.DestroySigningKey(t.Context(), r.other.KeyName()); awsCode(err) != "AccessDeniedException" {
		t.Errorf("destroying a key that is none of ours: error = %v", err)
	}
	if err := k.DestroySigningKey(t.Context(), "awskms:"+fakeAWSWhere+"key/00000000-0000-0000-0000-000000000000"); err != nil {
		t.Errorf("destroying a key that was never there: error = %v", err)
	}
	f.keys[strings.TrimPrefix(made.Name, "awskms:")].state = "Creating"
	if err := k.DestroySigningKey(t.Context(), made.Name); awsCode(err) != "KMSInvalidStateException" {
		t.Errorf("destroying a key in a state that does not allow it: error = %v", err)
	}
	ed, err := k.CreateSigningKey(t.Context(), eddsa, "tenant-2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(t.Context(), ed.Name, eddsa, make([]byte, awsMaxRaw+1)); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("Sign of a long message error = %v", err)
	}

	// A key whose public half cannot be read is not left behind.
	before := len(f.keys)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	f.slow = 1000
	if _, err := k.CreateSigningKey(ctx, es256, "tenant-3"); err == nil {
		t.Error("a key without a public half was made")
	}
	left := 0
	for _, key := range f.keys {
		if key.state == "PendingDeletion" {
			left++
		}
	}
	if len(f.keys) != before+1 || left != 1 {
		t.Errorf("%d keys, %d of them to be deleted", len(f.keys), left)
	}
}
