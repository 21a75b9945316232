package blob

import (
	"crypto/md5" //nolint:gosec // what the service answers
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeGCS is Google's token endpoint and three calls of its storage.
type fakeGCS struct {
	objects
	t      *testing.T
	garble bool // what is stored is not what was sent
}

func (f *fakeGCS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		// What an assertion looks like is looked at in package kms, which has the same library.
		if err := r.ParseForm(); err != nil || strings.Count(r.PostForm.Get("assertion"), ".") != 2 {
			f.t.Errorf("token request %v", r.PostForm)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"ya29.made-up","token_type":"Bearer","expires_in":3600}`))
		return
	}
	if r.Header.Get("Authorization") != "Bearer ya29.made-up" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, _ := io.ReadAll(r.Body)
	const upload, object = "/upload/storage/v1/b/bucket/o", "/storage/v1/b/bucket/o/"
	name, isObject := strings.CutPrefix(r.URL.EscapedPath(), object)
	name = strings.ReplaceAll(name, "%2F", "/")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == upload && r.URL.Query().Get("uploadType") == "media":
		f.put(r.URL.Query().Get("name"), body)
		if f.garble {
			body = append(body, '!')
		}
		md := md5.Sum(body) //nolint:gosec // see the import
		_ = json.NewEncoder(w).Encode(map[string]string{"md5Hash": base64.StdEncoding.EncodeToString(md[:])})
	case !isObject || strings.Contains(r.URL.EscapedPath()[len(object):], "/"): // a name is one segment
		f.t.Errorf("%s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusBadRequest)
	case r.Method == http.MethodGet && r.URL.Query().Get("alt") == "media":
		stored, ok := f.get(name)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(stored)
	case r.Method == http.MethodDelete:
		if !f.remove(name) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		f.t.Errorf("%s %s", r.Method, r.URL)
	}
}

func gcsAt(t *testing.T, f http.Handler) *Bucket {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "biocore-tests", "private_key_id": "k1",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": "blob@biocore-tests.iam.gserviceaccount.com", "token_uri": server.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, "gs://bucket/pre-fix?credentials="+path+"&endpoint="+server.URL)
}

func TestGCS(t *testing.T) { exercise(t, gcsAt(t, &fakeGCS{t: t})) }

// An object that did not arrive as it was sent is not there: its sender keeps its copy.
func TestGCSComparesWhatWasStored(t *testing.T) {
	b := gcsAt(t, &fakeGCS{t: t, garble: true})
	if err := b.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "not what was sent") {
		t.Errorf("Probe = %v", err)
	}
}
