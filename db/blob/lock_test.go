package blob

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what S3 asks for
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/blob/blobtest"
)

// A store that enforces the lock denies the removal and the replacement of what it has, and the lock's end to come
// earlier, whoever asks: here the owner of the account, who may also bypass governance. Without the headers that putLocked
// sends all of these are done.
func TestS3EnforcesTheLock(t *testing.T) {
	for _, versions := range []bool{false, true} {
		t.Run(fmt.Sprintf("versions %v", versions), func(t *testing.T) {
			s := blobtest.S3(t, versions)
			b := open(t, s.URL)
			ctx, acme, id, until := t.Context(), tenant(), uuid.Must(uuid.NewV7()), time.Now().Add(time.Hour)
			body := []byte("what was")
			lock, err := b.PutLocked(ctx, acme, testKind, id, body, until)
			if err != nil || lock.Problem != "" || lock.Until.Unix() != until.Unix() || (lock.Version != "") != versions {
				t.Fatalf("PutLocked = %+v, %v", lock, err)
			}
			key := "pre-fix/" + string(testKind) + "/" + acme.Tenant().String() + "/" + id.String()
			query := versionQuery("versionId", lock.Version)
			bypass := map[string]string{"X-Amz-Bypass-Governance-Retention": "true"}
			for name, header := range map[string]map[string]string{"removal": nil, "removal by the owner's bypass": bypass} {
				if status, said := s.Do(t, http.MethodDelete, key+query, header, nil); status != http.StatusForbidden {
					t.Errorf("%s: %d %s, want denied", name, status, said)
				}
			}
			earlier := fmt.Appendf(nil, `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>`, time.Now().Add(time.Minute).UTC().Format(time.RFC3339))
			sum := md5.Sum(earlier) //nolint:gosec // see the import
			shorten := map[string]string{"Content-Md5": base64.StdEncoding.EncodeToString(sum[:]), "X-Amz-Bypass-Governance-Retention": "true"}
			if status, said := s.Do(t, http.MethodPut, key+"?retention"+strings.Replace(query, "?", "&", 1), shorten, earlier); status != http.StatusForbidden {
				t.Errorf("an earlier end: %d %s, want denied", status, said)
			}
			// With versions what is put over it is another version, and so is a mark that it is deleted: the one that
			// is locked stays. Without, both are denied.
			status, said := s.Do(t, http.MethodPut, key, nil, []byte("what was not"))
			if !versions && status != http.StatusForbidden || versions && status != http.StatusOK {
				t.Errorf("replacement: %d %s", status, said)
			}
			if err := b.Delete(ctx, acme, testKind, id); (err == nil) != versions || err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("Delete = %v", err)
			}
			if got, err := b.GetVersion(ctx, acme, testKind, id, lock.Version); err != nil || !bytes.Equal(got, body) {
				t.Errorf("GetVersion = %q, %v, want what was stored", got, err)
			}
			// Whoever was killed before it heard the answer asks again.
			again, err := b.PutLocked(ctx, acme, testKind, id, body, until)
			if err != nil || again.Problem != "" || again.Until.Unix() != until.Unix() {
				t.Errorf("PutLocked again = %+v, %v", again, err)
			}
			exercise(t, open(t, s.URL))
		})
	}
}

// A store that cannot lock, or does not, or for less, or does not show it, stores: the Lock says so.
func TestPutLockedSaysWhyNot(t *testing.T) {
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	for name, tt := range map[string]struct {
		status int // of a PUT with a lock
		head   int
		shown  map[string]string
		want   string
	}{
		"no object lock":           {http.StatusBadRequest, http.StatusOK, nil, "Object Lock Configuration"},
		"headers that are ignored": {http.StatusOK, http.StatusOK, nil, "shows none"},
		"governance":               {http.StatusOK, http.StatusOK, map[string]string{"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": until.Format(time.RFC3339)}, "shows none"},
		"a shorter one": {http.StatusOK, http.StatusOK, map[string]string{
			"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": until.Add(-time.Minute).UTC().Format(time.RFC3339),
		}, "no longer"},
		"not to be seen": {http.StatusOK, http.StatusForbidden, nil, "cannot be seen"},
	} {
		t.Run(name, func(t *testing.T) {
			stored := ""
			b := s3At(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				switch {
				case r.Method == http.MethodHead:
					for name, value := range tt.shown {
						w.Header().Set(name, value)
					}
					w.WriteHeader(tt.head)
				case r.Method == http.MethodGet:
					w.WriteHeader(http.StatusNotFound)
				case r.Header.Get("X-Amz-Object-Lock-Mode") != "" && tt.status != http.StatusOK:
					w.WriteHeader(tt.status)
					_, _ = w.Write([]byte("Bucket is missing Object Lock Configuration"))
				default:
					stored = string(body)
				}
			}))
			lock, err := b.PutLocked(t.Context(), tenant(), testKind, uuid.Must(uuid.NewV7()), []byte("x"), until)
			if err != nil || stored != "x" || !lock.Until.IsZero() || !strings.Contains(lock.Problem, tt.want) {
				t.Errorf("PutLocked = %+v, %v, stored %q", lock, err, stored)
			}
		})
	}
	lock, err := open(t, "file://"+t.TempDir()).PutLocked(t.Context(), tenant(), testKind, uuid.Must(uuid.NewV7()), []byte("x"), until)
	if err != nil || !lock.Until.IsZero() || lock.Problem == "" {
		t.Errorf("PutLocked into a folder = %+v, %v", lock, err)
	}
	if lock, err := s3At(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })).
		PutLocked(t.Context(), tenant(), testKind, uuid.Must(uuid.NewV7()), []byte("x"), until); !errors.Is(err, ErrUnavailable) || lock != (Lock{}) {
		t.Errorf("PutLocked while the store is away = %+v, %v", lock, err)
	}
}

// The requests are as Google documents its object retention.
func TestGCSLock(t *testing.T) {
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	var about, body []byte
	b := gcsAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"made-up","expires_in":3600,"token_type":"Bearer"}`))
			return
		case r.Method == http.MethodGet && r.URL.Query().Get("alt") == "media":
			if r.URL.Query().Get("generation") != "77" {
				t.Errorf("%s names no version", r.URL)
			}
			_, _ = w.Write(body)
			return
		case r.Method == http.MethodPost:
			_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil || r.URL.Query().Get("uploadType") != "multipart" {
				t.Errorf("%s: %v", r.URL, err)
			}
			parts := multipart.NewReader(r.Body, params["boundary"])
			for _, to := range []*[]byte{&about, &body} {
				p, err := parts.NextPart()
				if err != nil {
					t.Error(err)
					return
				}
				*to, _ = io.ReadAll(p)
			}
		case r.URL.Query().Get("generation") != "77":
			t.Errorf("%s names no version", r.URL)
		}
		sum := md5.Sum(body) //nolint:gosec // see the import
		fmt.Fprintf(w, `{"md5Hash":%q,"generation":"77","retention":{"mode":"Locked","retainUntilTime":%q}}`, base64.StdEncoding.EncodeToString(sum[:]), until.Format(time.RFC3339))
	}))
	id := uuid.Must(uuid.NewV7())
	acme := tenant()
	lock, err := b.PutLocked(t.Context(), acme, testKind, id, []byte("a\r\n--b"), until)
	if err != nil || lock.Version != "77" || !lock.Until.Equal(until) || lock.Problem != "" {
		t.Errorf("PutLocked = %+v, %v", lock, err)
	}
	var said struct {
		Name      string
		Retention struct {
			Mode            string
			RetainUntilTime time.Time
		}
	}
	if err := json.Unmarshal(about, &said); err != nil || said.Retention.Mode != "Locked" || !said.Retention.RetainUntilTime.Equal(until) || !strings.HasSuffix(said.Name, id.String()) {
		t.Errorf("the object's description is %s", about)
	}
	if got, err := b.GetVersion(t.Context(), acme, testKind, id, lock.Version); err != nil || string(got) != "a\r\n--b" {
		t.Errorf("GetVersion = %q, %v", got, err)
	}
}

// The requests are as Azure documents its version-level immutability.
func TestAzureLock(t *testing.T) {
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	const version = "2030-01-01T00:00:00.0000000Z"
	header := http.Header{}
	f := &fakeAzure{t: t, authorize: func(*http.Request, int) bool { return true }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPut:
			header = r.Header
			w.Header().Set("X-Ms-Version-Id", version)
		case http.MethodHead, http.MethodGet:
			if r.URL.Query().Get("versionid") != version || r.URL.Query().Get("sig") != "made/up" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.Header().Set("X-Ms-Immutability-Policy-Mode", "Locked")
			w.Header().Set("X-Ms-Immutability-Policy-Until-Date", until.Format(http.TimeFormat))
			if r.Method == http.MethodHead {
				return
			}
		}
		r.URL.RawQuery = ""
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b := open(t, "azblob://container/pre-fix?account=acme&endpoint="+server.URL+"&sasFile="+secretAt(t, "sig=made%2Fup"))
	acme, id := tenant(), uuid.Must(uuid.NewV7())
	lock, err := b.PutLocked(t.Context(), acme, testKind, id, []byte("x"), until)
	if err != nil || lock.Version != version || !lock.Until.Equal(until) || lock.Problem != "" {
		t.Errorf("PutLocked = %+v, %v", lock, err)
	}
	if header.Get("X-Ms-Immutability-Policy-Mode") != "locked" || header.Get("X-Ms-Immutability-Policy-Until-Date") != until.Format(http.TimeFormat) {
		t.Errorf("headers: %v", header)
	}
	if got, err := b.GetVersion(t.Context(), acme, testKind, id, lock.Version); err != nil || string(got) != "x" {
		t.Errorf("GetVersion = %q, %v", got, err)
	}
}
