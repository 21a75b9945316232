package blob

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// azure is a container of Azure Blob Storage, by its REST interface.
type azure struct {
	account   string
	base      *url.URL // of the container
	client    *http.Client
	authorize func(ctx context.Context, req *http.Request) error
	now       func() time.Time
}

// azureVersion is the version of the interface whose rules the requests follow.
const azureVersion = "2023-11-03"

var (
	azureContainer = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)
	azureAccount   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
)

// openAzure reads azblob://container?account=…&keyFile=…&sasFile=…&clientId=…&endpoint=….
// keyFile holds the account's key, sasFile a shared access signature. Without either it
// is the workload identity of a cluster (AZURE_FEDERATED_TOKEN_FILE and what stands
// beside it), or the managed identity of the machine; clientId chooses among several.
func openAzure(u *url.URL) (*azure, error) {
	given, err := options(u, "account", "keyFile", "sasFile", "clientId", "endpoint")
	if err != nil {
		return nil, err
	}
	a := &azure{account: given["account"], client: newClient(), now: time.Now}
	if !azureContainer.MatchString(u.Host) || !azureAccount.MatchString(a.account) {
		return nil, errors.New("an Azure Blob Storage URL has the form azblob://container?account=name")
	}
	if a.base, err = endpoint(cmp.Or(given["endpoint"], "https://"+a.account+".blob.core.windows.net")); err != nil {
		return nil, err
	}
	a.base.Path += "/" + u.Host
	switch {
	case given["keyFile"] != "" && given["sasFile"] != "":
		return nil, errors.New("keyFile and sasFile exclude each other")
	case given["keyFile"] != "":
		text, err := secretFile(given["keyFile"])
		if err != nil {
			return nil, err
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%s holds no key of a storage account", given["keyFile"])
		}
		hidden := secret.New(string(key))
		a.authorize = func(_ context.Context, req *http.Request) error { a.sign(req, []byte(hidden.Reveal())); return nil }
	case given["sasFile"] != "":
		text, err := secretFile(given["sasFile"])
		if err != nil {
			return nil, err
		}
		if values, err := url.ParseQuery(strings.TrimPrefix(text, "?")); err != nil || !values.Has("sig") {
			return nil, fmt.Errorf("%s holds no shared access signature", given["sasFile"])
		}
		hidden := secret.New(strings.TrimPrefix(text, "?"))
		a.authorize = func(_ context.Context, req *http.Request) error {
			if req.URL.RawQuery != "" {
				req.URL.RawQuery += "&"
			}
			req.URL.RawQuery += hidden.Reveal()
			return nil
		}
	default:
		identity := &azureIdentity{client: newClient(), id: given["clientId"], metadata: "http://169.254.169.254", now: time.Now}
		a.authorize = func(ctx context.Context, req *http.Request) error {
			token, err := identity.token(ctx)
			if err != nil {
				return fmt.Errorf("%w: get access token: %w", errSilent, err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			return nil
		}
	}
	return a, nil
}

// sign authorizes by the account's key ("Shared Key").
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
func (a *azure) sign(req *http.Request, key []byte) {
	length := ""
	if req.ContentLength > 0 {
		length = strconv.FormatInt(req.ContentLength, 10)
	}
	var text strings.Builder
	for _, line := range []string{
		req.Method, "", "", length, "", req.Header.Get("Content-Type"), "", "", "", "", "", "", // from Content-Encoding to Range
	} {
		text.WriteString(line + "\n")
	}
	var names []string
	for name := range req.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-ms-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		text.WriteString(name + ":" + req.Header.Get(name) + "\n")
	}
	text.WriteString("/" + a.account + req.URL.EscapedPath())
	if version := req.URL.Query().Get(azureVersionID); version != "" { // the one parameter that is ever there
		text.WriteString("\n" + azureVersionID + ":" + version)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text.String()))
	req.Header.Set("Authorization", "SharedKey "+a.account+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// azureVersionID names a version of a blob in a query.
const azureVersionID = "versionid"

// ask sends one request for a blob; query is empty or begins with '?', and more are further headers.
func (a *azure) ask(ctx context.Context, method, key, query string, body []byte, more map[string]string, most int64) (answer, error) {
	req, err := newRequest(ctx, method, a.base.String()+"/"+key+query)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Ms-Version", azureVersion)
	req.Header.Set("X-Ms-Date", a.now().UTC().Format(http.TimeFormat))
	if method == http.MethodPut {
		req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
		req.Header.Set("Content-Type", "application/octet-stream")
		req.ContentLength = int64(len(body)) // signed
	}
	for name, value := range more {
		req.Header.Set(name, value)
	}
	if err := a.authorize(ctx, req); err != nil {
		return answer{}, err
	}
	return exchange(a.client, req, body, most)
}

func (a *azure) put(ctx context.Context, key string, body []byte) error {
	_, err := a.write(ctx, key, body, nil)
	return err
}

// write answers the version that it has made; empty where the account keeps none.
func (a *azure) write(ctx context.Context, key string, body []byte, more map[string]string) (version string, err error) {
	got, err := a.ask(ctx, http.MethodPut, key, "", body, more, maxRefusal)
	if err == nil && got.status != http.StatusCreated {
		err = got.refusal()
	}
	return got.header.Get("X-Ms-Version-Id"), err
}

// putLocked asks for a locked immutability policy of the version, which nobody can shorten or lift, and
// believes in it when the blob shows it. The container must have version-level immutability.
// https://learn.microsoft.com/azure/storage/blobs/immutable-version-level-worm-policies
func (a *azure) putLocked(ctx context.Context, key string, body []byte, until time.Time) (Lock, error) {
	return locked(ctx, key, body, until, lockSteps{
		write: func(ctx context.Context) (string, error) {
			return a.write(ctx, key, body, map[string]string{
				"X-Ms-Immutability-Policy-Mode": "locked", "X-Ms-Immutability-Policy-Until-Date": until.Format(http.TimeFormat),
			})
		},
		plain: func(ctx context.Context) (string, error) { return a.write(ctx, key, body, nil) },
		shown: func(ctx context.Context, version string) (time.Time, error) {
			got, err := a.ask(ctx, http.MethodHead, key, versionQuery(azureVersionID, version), nil, nil, maxRefusal)
			if err == nil && got.status != http.StatusOK {
				err = got.refusal()
			}
			if err != nil || !strings.EqualFold(got.header.Get("X-Ms-Immutability-Policy-Mode"), "locked") {
				return time.Time{}, err
			}
			return parseTime(http.TimeFormat, got.header.Get("X-Ms-Immutability-Policy-Until-Date")), nil
		},
		get: a.get,
	})
}

func (a *azure) get(ctx context.Context, key, version string, most int64) ([]byte, error) {
	got, err := a.ask(ctx, http.MethodGet, key, versionQuery(azureVersionID, version), nil, nil, most)
	switch {
	case err != nil:
		return nil, err
	case got.absent():
		return nil, ErrNotFound
	case got.status != http.StatusOK:
		return nil, got.refusal()
	}
	return got.body, nil
}

func (a *azure) remove(ctx context.Context, key string) error {
	got, err := a.ask(ctx, http.MethodDelete, key, "", nil, nil, maxRefusal)
	if err == nil && got.status != http.StatusAccepted && !got.absent() {
		err = got.refusal()
	}
	return err
}

// absent tells a blob that is not there from a container that is not.
func (a answer) absent() bool {
	return a.status == http.StatusNotFound && a.header.Get("X-Ms-Error-Code") == "BlobNotFound"
}

// azureIdentity gets access tokens of Microsoft Entra ID for a workload or a machine.
type azureIdentity struct {
	client   *http.Client
	id       string // of the client; empty: the one there is
	metadata string // address of the machine's metadata service
	now      func() time.Time

	kept keptToken
}

const azureResource = "https://storage.azure.com/"

func (i *azureIdentity) token(ctx context.Context) (string, error) {
	return i.kept.get(i.now(), func() (string, time.Duration, error) {
		req, form, err := i.request(ctx)
		if err != nil {
			return "", 0, err
		}
		got, err := exchange(i.client, req, form, 1<<20)
		if err != nil {
			return "", 0, err
		}
		var said struct {
			Token   string      `json:"access_token"`
			Expires json.Number `json:"expires_in"` // a string of the metadata service, a number of Entra ID
		}
		if got.status != http.StatusOK || json.Unmarshal(got.body, &said) != nil || said.Token == "" {
			return "", 0, fmt.Errorf("no access token (status %d)", got.status) // its text may hold one
		}
		seconds, err := said.Expires.Int64()
		if err != nil {
			return "", 0, errors.New("an access token without an end")
		}
		return said.Token, time.Duration(seconds) * time.Second, nil
	})
}

func (i *azureIdentity) request(ctx context.Context) (*http.Request, []byte, error) {
	if file := os.Getenv("AZURE_FEDERATED_TOKEN_FILE"); file != "" {
		proof, err := secretFile(file)
		if err != nil {
			return nil, nil, err
		}
		authority, err := endpoint(strings.TrimRight(cmp.Or(os.Getenv("AZURE_AUTHORITY_HOST"), "https://login.microsoftonline.com"), "/"))
		if err != nil {
			return nil, nil, err
		}
		req, err := newRequest(ctx, http.MethodPost, authority.String()+"/"+url.PathEscape(os.Getenv("AZURE_TENANT_ID"))+"/oauth2/v2.0/token")
		if err != nil {
			return nil, nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return req, []byte(url.Values{
			"grant_type": {"client_credentials"}, "client_id": {cmp.Or(i.id, os.Getenv("AZURE_CLIENT_ID"))}, "scope": {azureResource + ".default"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {proof},
		}.Encode()), nil
	}
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {azureResource}}
	if i.id != "" {
		query.Set("client_id", i.id)
	}
	req, err := newRequest(ctx, http.MethodGet, i.metadata+"/metadata/identity/oauth2/token?"+query.Encode())
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Metadata", "true")
	return req, nil, nil
}
