package blob

import (
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // S3's own integrity check, which a bucket with object lock asks for
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

// amazon is a bucket of S3, or of a store that speaks like it. The SDK gives credentials
// and signatures; three verbs need no more of it.
type amazon struct {
	base   *url.URL // of the bucket
	region string
	creds  aws.CredentialsProvider
	signer *v4.Signer
	client *http.Client
	now    func() time.Time
}

var s3Bucket = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// openS3 reads s3://bucket?region=…&endpoint=…&pathStyle=…. Region and credentials
// come from where the AWS SDK looks: the environment, a profile, a web identity, the
// machine. With an endpoint the bucket stands in the path unless pathStyle is false.
func openS3(ctx context.Context, u *url.URL) (*amazon, error) {
	given, err := options(u, "region", "endpoint", "pathStyle")
	if err != nil {
		return nil, err
	}
	if !s3Bucket.MatchString(u.Host) {
		return nil, errors.New("an S3 URL has the form s3://bucket")
	}
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion(given["region"]))
	if err != nil {
		return nil, fmt.Errorf("read AWS settings: %w", err)
	}
	region := settings.Region
	if region == "" {
		return nil, errors.New("the region of the S3 bucket is not known: s3://bucket?region=eu-central-1")
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain += ".cn"
	}
	base, err := endpoint(cmp.Or(given["endpoint"], "https://s3."+region+"."+domain))
	if err != nil {
		return nil, err
	}
	// A bucket with a dot in its name has no certificate as a host.
	inPath := given["endpoint"] != "" || strings.Contains(u.Host, ".")
	if style := given["pathStyle"]; style != "" {
		if style != "true" && style != "false" {
			return nil, errors.New("pathStyle is true or false")
		}
		inPath = style == "true"
	}
	if inPath {
		base.Path += "/" + u.Host
	} else {
		base.Host = u.Host + "." + base.Host
	}
	return &amazon{
		base: base, region: region, creds: settings.Credentials, client: newClient(), now: time.Now,
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), // as S3 wants it
	}, nil
}

// ask sends one request for an object; query is empty or begins with '?', and more are further headers.
func (a *amazon) ask(ctx context.Context, method, key, query string, body []byte, more map[string]string, most int64) (answer, error) {
	req, err := newRequest(ctx, method, a.base.String()+"/"+key+query)
	if err != nil {
		return answer{}, err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if method == http.MethodPut {
		req.ContentLength = int64(len(body)) // signed
		md := md5.Sum(body)                  //nolint:gosec // see the import
		req.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md[:]))
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	for name, value := range more {
		req.Header.Set(name, value)
	}
	creds, err := a.creds.Retrieve(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("%w: get AWS credentials: %w", errSilent, err)
	}
	if err := a.signer.SignHTTP(ctx, creds, req, hash, "s3", a.region, a.now()); err != nil {
		return answer{}, fmt.Errorf("sign request: %w", err)
	}
	return exchange(a.client, req, body, most)
}

func (a *amazon) put(ctx context.Context, key string, body []byte) error {
	_, err := a.write(ctx, key, body, nil)
	return err
}

// write answers the version that it has made; empty where the bucket keeps none.
func (a *amazon) write(ctx context.Context, key string, body []byte, more map[string]string) (version string, err error) {
	got, err := a.ask(ctx, http.MethodPut, key, "", body, more, maxRefusal)
	if err == nil && got.status != http.StatusOK {
		err = got.refusal()
	}
	return got.header.Get("X-Amz-Version-Id"), err
}

// putLocked asks for a lock in compliance mode, which not even the account's owner can lift, and
// believes in it when the object shows it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
func (a *amazon) putLocked(ctx context.Context, key string, body []byte, until time.Time) (Lock, error) {
	return locked(ctx, key, body, until, lockSteps{
		write: func(ctx context.Context) (string, error) {
			return a.write(ctx, key, body, map[string]string{
				"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": until.Format(time.RFC3339),
			})
		},
		plain: func(ctx context.Context) (string, error) { return a.write(ctx, key, body, nil) },
		shown: func(ctx context.Context, version string) (time.Time, error) {
			got, err := a.ask(ctx, http.MethodHead, key, versionQuery("versionId", version), nil, nil, maxRefusal)
			if err == nil && got.status != http.StatusOK {
				err = got.refusal()
			}
			if err != nil || got.header.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" {
				return time.Time{}, err
			}
			return parseTime(time.RFC3339, got.header.Get("X-Amz-Object-Lock-Retain-Until-Date")), nil
		},
		get: a.get,
	})
}

func (a *amazon) get(ctx context.Context, key, version string, most int64) ([]byte, error) {
	got, err := a.ask(ctx, http.MethodGet, key, versionQuery("versionId", version), nil, nil, most)
	switch {
	case err != nil:
		return nil, err
	case got.status == http.StatusNotFound && !strings.Contains(string(got.body), "NoSuchBucket"):
		return nil, ErrNotFound
	case got.status != http.StatusOK:
		return nil, got.refusal()
	}
	return got.body, nil
}

func (a *amazon) remove(ctx context.Context, key string) error {
	got, err := a.ask(ctx, http.MethodDelete, key, "", nil, nil, maxRefusal)
	switch {
	case err != nil:
		return err
	case got.status == http.StatusNoContent, got.status == http.StatusOK,
		got.status == http.StatusNotFound && !strings.Contains(string(got.body), "NoSuchBucket"):
		return nil
	}
	return got.refusal()
}
