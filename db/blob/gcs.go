package blob

import (
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // what the service answers of what it has stored
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// google is a bucket of Google Cloud Storage, by its JSON interface.
type google struct {
	api    string // https://storage.googleapis.com
	bucket string
	client *http.Client
	creds  func() (*auth.Credentials, error)
}

var gcsBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// openGCS reads gs://bucket?credentials=…&endpoint=…. credentials is a file as
// GOOGLE_APPLICATION_CREDENTIALS names one; without either, gcloud's own file or the
// metadata server of the machine counts.
func openGCS(u *url.URL) (*google, error) {
	given, err := options(u, "credentials", "endpoint")
	if err != nil {
		return nil, err
	}
	if !gcsBucket.MatchString(u.Host) {
		return nil, errors.New("a Google Cloud Storage URL has the form gs://bucket")
	}
	base, err := endpoint(cmp.Or(given["endpoint"], "https://storage.googleapis.com"))
	if err != nil {
		return nil, err
	}
	file := cmp.Or(given["credentials"], os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"))
	g := &google{api: base.String(), bucket: u.Host, client: newClient()}
	if file != "" { // now, so that a server does not start with a file that it cannot use
		creds, err := gcsCredentials(file)
		if err != nil {
			return nil, err
		}
		g.creds = func() (*auth.Credentials, error) { return creds, nil }
		return g, nil
	}
	// Looking asks the network whether this machine is one of Google's: at the first call.
	g.creds = once(func() (*auth.Credentials, error) { return credentials.DetectDefault(gcsOptions()) })
	return g, nil
}

func gcsOptions() *credentials.DetectOptions {
	tokens := newClient()
	tokens.Timeout = firstTime // the library refreshes a token without our context
	return &credentials.DetectOptions{Scopes: []string{"https://www.googleapis.com/auth/devstorage.read_write"}, Client: tokens}
}

func gcsCredentials(file string) (*auth.Credentials, error) {
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
		return nil, fmt.Errorf("%s holds no credentials of a type that is known", file)
	}
	creds, err := credentials.NewCredentialsFromJSON(said.Type, raw, gcsOptions())
	if err != nil {
		// The library quotes what it cannot read.
		return nil, fmt.Errorf("%s holds no usable credentials of type %s", file, said.Type)
	}
	return creds, nil
}

func (g *google) ask(ctx context.Context, method, address, media string, body []byte, most int64) (answer, error) {
	token, err := within(ctx, func() (string, error) {
		creds, err := g.creds()
		if err != nil {
			return "", err
		}
		token, err := creds.Token(ctx)
		if err != nil {
			return "", err
		}
		return token.Value, nil
	})
	if err != nil {
		return answer{}, fmt.Errorf("%w: get access token: %w", errSilent, err)
	}
	req, err := newRequest(ctx, method, address)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", media)
	}
	return exchange(g.client, req, body, most)
}

// object is the address of one; its name is one segment, slashes escaped.
func (g *google) object(key string) string {
	return g.api + "/storage/v1/b/" + url.PathEscape(g.bucket) + "/o/" + url.PathEscape(key)
}

func (g *google) put(ctx context.Context, key string, body []byte) error {
	_, err := g.write(ctx, "?uploadType=media&name="+url.QueryEscape(key), octets, body, body)
	return err
}

const octets = "application/octet-stream"

// stored is what the service says of an object.
type stored struct {
	MD5        string `json:"md5Hash"`
	Generation string `json:"generation"` // names the version
	Retention  struct {
		Mode  string    `json:"mode"`
		Until time.Time `json:"retainUntilTime"`
	} `json:"retention"`
}

// write sends a request that stores body.
func (g *google) write(ctx context.Context, query, media string, request, body []byte) (said stored, err error) {
	got, err := g.ask(ctx, http.MethodPost, g.api+"/upload/storage/v1/b/"+url.PathEscape(g.bucket)+"/o"+query, media, request, maxRefusal)
	if err != nil {
		return said, err
	}
	if got.status != http.StatusOK {
		return said, got.refusal()
	}
	sum := md5.Sum(body) //nolint:gosec // see the import
	if json.Unmarshal(got.body, &said) != nil || said.MD5 != base64.StdEncoding.EncodeToString(sum[:]) {
		return said, fmt.Errorf("%w: what was stored is not what was sent", errSilent)
	}
	return said, nil
}

// putLocked asks for a locked retention of the object, which nobody can shorten or lift. The bucket must
// have object retention.
// https://cloud.google.com/storage/docs/object-lock
func (g *google) putLocked(ctx context.Context, key string, body []byte, until time.Time) (Lock, error) {
	return locked(ctx, key, body, until, lockSteps{
		write: func(ctx context.Context) (string, error) {
			boundary := strings.ToLower(rand.Text())
			about := fmt.Sprintf(`{"name":%q,"retention":{"mode":"Locked","retainUntilTime":%q}}`, key, until.Format(time.RFC3339))
			request := fmt.Appendf(nil, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n--%s\r\nContent-Type: %s\r\n\r\n", boundary, about, boundary, octets)
			request = fmt.Appendf(append(request, body...), "\r\n--%s--\r\n", boundary)
			said, err := g.write(ctx, "?uploadType=multipart", "multipart/related; boundary="+boundary, request, body)
			return said.Generation, err
		},
		plain: func(ctx context.Context) (string, error) {
			said, err := g.write(ctx, "?uploadType=media&name="+url.QueryEscape(key), octets, body, body)
			return said.Generation, err
		},
		shown: func(ctx context.Context, version string) (time.Time, error) {
			got, err := g.ask(ctx, http.MethodGet, g.object(key)+versionQuery("generation", version), "", nil, maxRefusal)
			if err == nil && got.status != http.StatusOK {
				err = got.refusal()
			}
			var said stored
			if err != nil || json.Unmarshal(got.body, &said) != nil || said.Retention.Mode != "Locked" {
				return time.Time{}, err
			}
			return said.Retention.Until, nil
		},
		get: g.get,
	})
}

func (g *google) get(ctx context.Context, key, version string, most int64) ([]byte, error) {
	query := "?alt=media"
	if version != "" {
		query += "&generation=" + url.QueryEscape(version)
	}
	got, err := g.ask(ctx, http.MethodGet, g.object(key)+query, "", nil, most)
	switch {
	case err != nil:
		return nil, err
	case got.status == http.StatusNotFound:
		return nil, ErrNotFound
	case got.status != http.StatusOK:
		return nil, got.refusal()
	}
	return got.body, nil
}

func (g *google) remove(ctx context.Context, key string) error {
	got, err := g.ask(ctx, http.MethodDelete, g.object(key), "", nil, maxRefusal)
	switch {
	case err != nil:
		return err
	case got.status == http.StatusNoContent || got.status == http.StatusOK || got.status == http.StatusNotFound:
		return nil
	}
	return got.refusal()
}
