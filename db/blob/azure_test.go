package blob

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// azureKey is the key of Azure's storage emulator, which its documentation prints.
const azureKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// fakeAzure is a container of an account, as far as three verbs go.
type fakeAzure struct {
	objects
	t         *testing.T
	authorize func(r *http.Request, length int) bool
	tokens    int
}

func (f *fakeAzure) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if f.token(w, r, body) {
		return
	}
	if when, err := http.ParseTime(r.Header.Get("X-Ms-Date")); err != nil || time.Since(when).Abs() > time.Minute || r.Header.Get("X-Ms-Version") == "" {
		f.t.Errorf("x-ms-date %q, x-ms-version %q", r.Header.Get("X-Ms-Date"), r.Header.Get("X-Ms-Version"))
	}
	if !f.authorize(r, len(body)) {
		w.Header().Set("X-Ms-Error-Code", "AuthenticationFailed")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/container/pre-fix/") {
		f.t.Errorf("%s %s", r.Method, r.URL)
	}
	absent := func() {
		w.Header().Set("X-Ms-Error-Code", "BlobNotFound")
		w.WriteHeader(http.StatusNotFound)
	}
	switch r.Method {
	case http.MethodPut:
		if r.Header.Get("X-Ms-Blob-Type") != "BlockBlob" {
			f.t.Errorf("x-ms-blob-type %q", r.Header.Get("X-Ms-Blob-Type"))
		}
		f.put(r.URL.Path, body)
		w.WriteHeader(http.StatusCreated)
	case http.MethodGet:
		if stored, ok := f.get(r.URL.Path); ok {
			_, _ = w.Write(stored)
		} else {
			absent()
		}
	case http.MethodDelete:
		if f.remove(r.URL.Path) {
			w.WriteHeader(http.StatusAccepted)
		} else {
			absent()
		}
	default:
		f.t.Errorf("%s", r.Method)
	}
}

// token answers for the metadata service and for Entra ID.
func (f *fakeAzure) token(w http.ResponseWriter, r *http.Request, body []byte) bool {
	switch r.URL.Path {
	case "/metadata/identity/oauth2/token":
		if r.Header.Get("Metadata") != "true" || r.URL.Query().Get("resource") != azureResource || r.URL.Query().Get("client_id") != "c1" {
			f.t.Errorf("%s %v", r.URL, r.Header)
		}
		_, _ = w.Write([]byte(`{"access_token":"made-up","expires_in":"86399","token_type":"Bearer"}`))
	case "/t1/oauth2/v2.0/token":
		for _, want := range []string{"client_id=c1", "client_assertion=proof", "scope=https%3A%2F%2Fstorage.azure.com%2F.default", "grant_type=client_credentials"} {
			if !strings.Contains(string(body), want) {
				f.t.Errorf("token request lacks %s", want)
			}
		}
		_, _ = w.Write([]byte(`{"access_token":"made-up","expires_in":3599,"token_type":"Bearer"}`))
	default:
		return false
	}
	f.tokens++
	return true
}

func (f *fakeAzure) start(t *testing.T, more string) *Bucket {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Setenv("AZURE_AUTHORITY_HOST", server.URL+"/")
	return open(t, "azblob://container/pre-fix?account=acme&endpoint="+server.URL+more)
}

func secretAt(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The signature is computed from the documentation's own layout of the text.
func TestAzureSharedKey(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(azureKey)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeAzure{t: t, authorize: func(r *http.Request, n int) bool {
		length, blobType := "", ""
		if n > 0 {
			length = strconv.Itoa(n)
		}
		if r.Method == http.MethodPut {
			blobType = "x-ms-blob-type:BlockBlob\n"
		}
		text := r.Method + "\n" + // VERB
			"\n" + // Content-Encoding
			"\n" + // Content-Language
			length + "\n" +
			"\n" + // Content-MD5
			r.Header.Get("Content-Type") + "\n" +
			"\n" + // Date
			"\n\n\n\n" + // If-Modified-Since, If-Match, If-None-Match, If-Unmodified-Since
			"\n" + // Range
			blobType + "x-ms-date:" + r.Header.Get("X-Ms-Date") + "\nx-ms-version:" + r.Header.Get("X-Ms-Version") + "\n" +
			"/acme" + r.URL.EscapedPath()
		return r.Header.Get("Authorization") == "SharedKey acme:"+base64.StdEncoding.EncodeToString(hmacOf(key, text))
	}}
	exercise(t, f.start(t, "&keyFile="+secretAt(t, azureKey)))
}

func TestAzureSAS(t *testing.T) {
	f := &fakeAzure{t: t, authorize: func(r *http.Request, _ int) bool {
		return r.URL.RawQuery == "sv=2023-11-03&sig=made%2Fup" && r.Header.Get("Authorization") == ""
	}}
	exercise(t, f.start(t, "&sasFile="+secretAt(t, "?sv=2023-11-03&sig=made%2Fup")))
}

// The signature is part of the address, which errors like to tell.
func TestNoErrorTellsAnAzureSAS(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	server.Close() // nobody listens there any more
	b := open(t, "azblob://container?account=acme&endpoint="+address+"&sasFile="+secretAt(t, "?sv=2023-11-03&sig=made%2Fup"))
	_, err := b.Get(t.Context(), tenant(), testKind, uuid.Must(uuid.NewV7()))
	if err == nil {
		t.Fatal("Get from nobody succeeded")
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, "made") || strings.Contains(text, "sig=") {
			t.Errorf("an error tells the signature: %s", text)
		}
	}
	if f, ok := fault.As(err); ok && strings.Contains(fmt.Sprint(f.Unwrap()), "made") {
		t.Errorf("the cause tells the signature: %v", f.Unwrap())
	}
}

func TestAzureIdentity(t *testing.T) {
	bearer := func(r *http.Request, _ int) bool { return r.Header.Get("Authorization") == "Bearer made-up" }
	t.Run("of a workload", func(t *testing.T) {
		t.Setenv("AZURE_FEDERATED_TOKEN_FILE", secretAt(t, "proof"))
		t.Setenv("AZURE_TENANT_ID", "t1")
		t.Setenv("AZURE_CLIENT_ID", "c1")
		f := &fakeAzure{t: t, authorize: bearer}
		exercise(t, f.start(t, ""))
		if f.tokens != 1 {
			t.Errorf("%d tokens for one life of a token", f.tokens)
		}
	})
	t.Run("of a machine", func(t *testing.T) {
		f := &fakeAzure{t: t, authorize: bearer}
		server := httptest.NewServer(f)
		t.Cleanup(server.Close)
		now := time.Now()
		i := &azureIdentity{client: newClient(), id: "c1", metadata: server.URL, now: func() time.Time { return now }}
		for range 2 {
			if got, err := i.token(t.Context()); err != nil || got != "made-up" || f.tokens != 1 {
				t.Errorf("token = %q, %v after %d requests", got, err, f.tokens)
			}
		}
		now = now.Add(24 * time.Hour)
		if _, err := i.token(t.Context()); err != nil || f.tokens != 2 {
			t.Errorf("a token that has ended is used on: %v, %d requests", err, f.tokens)
		}
	})
}
