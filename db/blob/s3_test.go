package blob

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // what S3 compares
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const (
	s3KeyID  = "AKIDEXAMPLE"
	s3Secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// s3At opens a bucket of a server in this process.
func s3At(t *testing.T, h http.Handler) *Bucket {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", s3KeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3Secret)
	t.Setenv("AWS_SESSION_TOKEN", "")
	return open(t, "s3://bucket/pre-fix?region=eu-central-1&endpoint="+server.URL)
}

// objects are what a fake has stored, by path.
type objects struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (o *objects) put(path string, body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[string][]byte{}
	}
	o.all[path] = body
}

func (o *objects) get(path string) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	body, ok := o.all[path]
	return body, ok
}

func (o *objects) remove(path string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.all[path]
	delete(o.all, path)
	return ok
}

// fakeS3 is S3 as far as three verbs go. It computes each signature itself, from the
// description of Signature Version 4, and serves nothing that is not so signed.
type fakeS3 struct {
	objects
	t *testing.T
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	if got := r.Header.Get("X-Amz-Content-Sha256"); got != hex.EncodeToString(sum[:]) {
		f.refuse(w, "XAmzContentSHA256Mismatch")
		return
	}
	if want := sigV4(r); r.Header.Get("Authorization") != want {
		f.t.Errorf("%s %s: Authorization = %s\nwant %s", r.Method, r.URL, r.Header.Get("Authorization"), want)
		f.refuse(w, "SignatureDoesNotMatch")
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/bucket/pre-fix/") || r.URL.RawQuery != "" {
		f.t.Errorf("%s %s is not an object of the bucket", r.Method, r.URL)
	}
	switch r.Method {
	case http.MethodPut:
		md := md5.Sum(body) //nolint:gosec // see the import
		if r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(md[:]) {
			f.refuse(w, "BadDigest")
			return
		}
		f.put(r.URL.Path, body)
	case http.MethodGet:
		stored, ok := f.get(r.URL.Path)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte("<Error><Code>NoSuchKey</Code></Error>"))
			return
		}
		_, _ = w.Write(stored)
	case http.MethodDelete:
		f.remove(r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		f.t.Errorf("%s", r.Method)
	}
}

func (f *fakeS3) refuse(w http.ResponseWriter, code string) {
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte("<Error><Code>" + code + "</Code></Error>"))
}

// sigV4 is the Authorization header that r must have.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func sigV4(r *http.Request) string {
	date := r.Header.Get("X-Amz-Date")
	if len(date) != len("20060102T150405Z") {
		return "one with a date"
	}
	_, after, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	signed, _, _ := strings.Cut(after, ",")
	for _, must := range []string{"host", "x-amz-content-sha256", "x-amz-date"} {
		if !strings.Contains(";"+signed+";", ";"+must+";") {
			return "one that signs " + must
		}
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n\n"
	for name := range strings.SplitSeq(signed, ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
		}
		canonical += name + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical += "\n" + signed + "\n" + r.Header.Get("X-Amz-Content-Sha256")
	where := date[:8] + "/eu-central-1/s3/aws4_request"
	hash := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + date + "\n" + where + "\n" + hex.EncodeToString(hash[:])
	key := []byte("AWS4" + s3Secret)
	for part := range strings.SplitSeq(where, "/") {
		key = hmacOf(key, part)
	}
	return "AWS4-HMAC-SHA256 Credential=" + s3KeyID + "/" + where + ", SignedHeaders=" + signed + ", Signature=" + hex.EncodeToString(hmacOf(key, text))
}

func hmacOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func TestS3(t *testing.T) { exercise(t, s3At(t, &fakeS3{t: t})) }

func TestS3Addresses(t *testing.T) {
	for url, want := range map[string]string{
		"s3://bucket?region=eu-central-1":                                     "https://bucket.s3.eu-central-1.amazonaws.com",
		"s3://my.bucket?region=eu-central-1":                                  "https://s3.eu-central-1.amazonaws.com/my.bucket",
		"s3://bucket?region=cn-north-1":                                       "https://bucket.s3.cn-north-1.amazonaws.com.cn",
		"s3://bucket?region=x&endpoint=https://minio.example:9000":            "https://minio.example:9000/bucket",
		"s3://bucket?region=x&endpoint=https://store.example/s3":              "https://store.example/s3/bucket",
		"s3://bucket?region=x&endpoint=https://store.example&pathStyle=false": "https://bucket.store.example",
		"s3://bucket?region=eu-central-1&pathStyle=true":                      "https://s3.eu-central-1.amazonaws.com/bucket",
	} {
		s, ok := open(t, url).store.(*amazon)
		if !ok || s.base.String() != want {
			t.Errorf("%s is at %v, want %s", url, s.base, want)
		}
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	if _, err := Open(t.Context(), "s3://bucket"); err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("Open without a region = %v", err)
	}
}
