package kms

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// google is a key of Google Cloud KMS, by its REST interface. Wrapped keys are the
// KMS's ciphertexts, bound by additional authenticated data; every field that is
// sealed or signed goes with its CRC32C, both ways.
// https://cloud.google.com/kms/docs/data-integrity-guidelines
type google struct {
	name   string // gcpkms:projects/…/locations/…/keyRings/…/cryptoKeys/…
	path   string // the same without gcpkms:
	ring   string // projects/…/keyRings/…
	level  string // protection level of signing keys
	api    string // https://cloudkms.googleapis.com/v1/
	client *http.Client
	creds  *auth.Credentials
}

var (
	gcpKey     = regexp.MustCompile(`^(projects/[\w.:-]+/locations/[\w-]+/keyRings/[\w-]+)/cryptoKeys/[\w-]+$`)
	gcpVersion = regexp.MustCompile(`^/cryptoKeys/[\w-]+/cryptoKeyVersions/\d+$`)
)

// openGCP reads rest, what follows "gcpkms:":
//
//	projects/<p>/locations/<l>/keyRings/<r>/cryptoKeys/<k>[?endpoint=…&credentials=…&protection=…]
//
// credentials is a file as GOOGLE_APPLICATION_CREDENTIALS names one; without either,
// gcloud's own file or the metadata server of the machine counts. protection is what
// signing keys are made with, SOFTWARE (default) or HSM.
func openGCP(ctx context.Context, rest string) (*google, error) {
	path, query, _ := strings.Cut(rest, "?")
	given, err := options(query, "endpoint", "credentials", "protection")
	if err != nil {
		return nil, err
	}
	part := gcpKey.FindStringSubmatch(path)
	if part == nil || len(path) > 400 {
		return nil, errors.New("a GCP KMS URL has the form gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k")
	}
	g := &google{name: "gcpkms:" + path, path: path, ring: part[1], level: cmp.Or(given["protection"], "SOFTWARE"), client: newClient(nil)}
	if g.level != "SOFTWARE" && g.level != "HSM" {
		return nil, errors.New("protection is SOFTWARE or HSM")
	}
	address, err := endpoint(cmp.Or(given["endpoint"], "https://cloudkms.googleapis.com"))
	if err != nil {
		return nil, err
	}
	g.api = address.Scheme + "://" + address.Host + "/v1/"
	file := cmp.Or(given["credentials"], os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"))
	// Without a file it asks the network whether this machine is one of Google's.
	tokens := newClient(nil)
	tokens.Timeout = callTime // the library refreshes a token without our context
	g.creds, err = within(ctx, func() (*auth.Credentials, error) { return gcpCredentials(file, tokens) })
	if err != nil {
		return nil, fmt.Errorf("GCP credentials: %w", err)
	}
	return g, nil
}

// gcpCredentials reads a credentials file, or looks where Google's libraries look.
func gcpCredentials(file string, client *http.Client) (*auth.Credentials, error) {
	opts := &credentials.DetectOptions{Scopes: []string{"https://www.googleapis.com/auth/cloudkms"}, Client: client}
	if file == "" {
		return credentials.DetectDefault(opts)
	}
	raw, exposed, err := secret.ReadPublicFile(file)
	if err != nil {
		return nil, err
	}
	var said struct {
		Type credentials.CredType `json:"type"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil, fmt.Errorf("%s is no JSON", file)
	}
	switch said.Type {
	case credentials.ExternalAccount: // a workload's identity: says where tokens are, and is none
	case credentials.ServiceAccount, credentials.ImpersonatedServiceAccount, credentials.AuthorizedUser:
		if exposed != nil {
			return nil, exposed
		}
	default:
		return nil, fmt.Errorf("%s holds credentials of type %q; known: service_account, external_account, impersonated_service_account, authorized_user",
			file, printable(string(said.Type)))
	}
	creds, err := credentials.NewCredentialsFromJSON(said.Type, raw, opts)
	if err != nil {
		// The library quotes what it cannot read.
		return nil, fmt.Errorf("%s holds no usable credentials of type %s", file, said.Type)
	}
	return creds, nil
}

// KeyName is the resource name of the key.
func (g *google) KeyName() string { return g.name }

// Wrap encrypts key under the key's primary version, bound to ad.
func (g *google) Wrap(ctx context.Context, key, ad []byte) ([]byte, error) {
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		var out struct {
			Name              string
			Ciphertext        []byte
			CiphertextCrc32c  crc
			VerifiedPlaintext bool `json:"verifiedPlaintextCrc32c"`
			VerifiedAD        bool `json:"verifiedAdditionalAuthenticatedDataCrc32c"`
		}
		err := g.ask(ctx, http.MethodPost, g.path+":encrypt", map[string]any{
			"plaintext": key, "plaintextCrc32c": crcOf(key),
			"additionalAuthenticatedData": ad, "additionalAuthenticatedDataCrc32c": crcOf(ad),
		}, &out)
		switch {
		case err != nil:
			return nil, err
		case !out.VerifiedPlaintext || !out.VerifiedAD || out.CiphertextCrc32c != crcOf(out.Ciphertext):
			return nil, errCorrupt
		case !strings.HasPrefix(out.Name, g.path+"/cryptoKeyVersions/"):
			return nil, errors.New("GCP KMS wrapped under another key")
		}
		return out.Ciphertext, nil
	})
}

// Unwrap opens what Wrap made, under whichever version of the key.
func (g *google) Unwrap(ctx context.Context, keyName string, wrapped, ad []byte) ([]byte, error) {
	if keyName != g.name {
		return nil, unknownKey(keyName, g.name)
	}
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		var out struct {
			Plaintext       []byte
			PlaintextCrc32c crc
		}
		err := g.ask(ctx, http.MethodPost, g.path+":decrypt", map[string]any{
			"ciphertext": wrapped, "ciphertextCrc32c": crcOf(wrapped),
			"additionalAuthenticatedData": ad, "additionalAuthenticatedDataCrc32c": crcOf(ad),
		}, &out)
		if err == nil && out.PlaintextCrc32c != crcOf(out.Plaintext) {
			err = errCorrupt
		}
		if err != nil {
			return nil, err
		}
		return out.Plaintext, nil
	})
}

// crc is a CRC32C as Google's JSON has 64-bit integers: in decimal, as a string.
type crc string

func crcOf(b []byte) crc {
	return crc(fmt.Sprint(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))))
}

// errCorrupt is as good as no answer: what arrived there or here is not what was sent.
var errCorrupt = unavailable(errors.New("a request or an answer was changed on its way (CRC32C)"))

// gcpError is Google's own answer that it will not.
type gcpError struct {
	code   int
	status string // PERMISSION_DENIED
	text   string
}

func (e *gcpError) Error() string {
	return fmt.Sprintf("GCP KMS refuses (%s): %s", e.status, e.text)
}

func gcpStatus(err error) string {
	if e, ok := errors.AsType[*gcpError](err); ok {
		return e.status
	}
	return ""
}

// ask calls the KMS with an access token, and reads the answer into out.
func (g *google) ask(ctx context.Context, method, path string, in, out any) error {
	token, err := within(ctx, func() (*auth.Token, error) { return g.creds.Token(ctx) })
	if err != nil {
		return gcpTokenError(ctx, err)
	}
	header := http.Header{"Authorization": {"Bearer " + token.Value}}
	a, err := exchange(ctx, g.client, method, g.api+path, header, in)
	if err != nil {
		return err
	}
	if a.status == http.StatusOK {
		return a.read(out)
	}
	var said struct {
		Error struct {
			Message string `json:"message"`
			Status  string `json:"status"`
		} `json:"error"`
	}
	_ = json.Unmarshal(a.body, &said) // a refusal without words is one, too
	return &gcpError{a.status, cmp.Or(printable(said.Error.Status), fmt.Sprint(a.status)), printable(said.Error.Message)}
}

// gcpTokenError sorts an error of the credentials: a refused assertion is a refusal,
// an endpoint that is away is not.
func gcpTokenError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return noAnswer(ctx, ctx.Err())
	}
	var said *auth.Error
	var network *url.Error
	switch {
	case errors.As(err, &said) && said.Response != nil && said.Response.StatusCode < 500 && !said.Temporary():
		return &gcpError{said.Response.StatusCode, "no access token", printable(said.Error())}
	case errors.As(err, &said), errors.As(err, &network):
		return unavailable(err)
	}
	return fmt.Errorf("get access token: %w", err)
}
