package blob

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const testKind Kind = "test"

func tenant() scope.Scope {
	return scope.New(uuid.Must(uuid.NewV7()), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
}

func open(t *testing.T, url string) *Bucket {
	t.Helper()
	b, err := Open(t.Context(), url)
	if err != nil {
		t.Fatalf("Open(%s) error = %v", url, err)
	}
	return b
}

// exercise is what every service must do.
func exercise(t *testing.T, b *Bucket) {
	t.Helper()
	ctx, acme, globex, id := t.Context(), tenant(), tenant(), uuid.Must(uuid.NewV7())
	if _, err := b.Get(ctx, acme, testKind, id); !errors.Is(err, ErrNotFound) {
		t.Fatalf("Get of nothing = %v, want ErrNotFound", err)
	}
	if err := b.Delete(ctx, acme, testKind, id); err != nil {
		t.Errorf("Delete of nothing = %v", err)
	}
	for _, body := range [][]byte{[]byte("first"), bytes.Repeat([]byte{0, 0xff, '\n'}, 40_000), {}} {
		if err := b.Put(ctx, acme, testKind, id, body); err != nil {
			t.Fatalf("Put of %d bytes = %v", len(body), err)
		}
		if got, err := b.Get(ctx, acme, testKind, id); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("Get = %d bytes, %v; want %d", len(got), err, len(body))
		}
	}
	if _, err := b.Get(ctx, globex, testKind, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get by another tenant = %v, want ErrNotFound", err)
	}
	if err := b.Delete(ctx, globex, testKind, id); err != nil {
		t.Errorf("Delete by another tenant = %v", err)
	}
	if _, err := b.Get(ctx, acme, testKind, id); err != nil {
		t.Errorf("another tenant's Delete took it: %v", err)
	}
	if err := b.Delete(ctx, acme, testKind, id); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if _, err := b.Get(ctx, acme, testKind, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get after Delete = %v, want ErrNotFound", err)
	}
	if err := b.Probe(ctx); err != nil {
		t.Errorf("Probe = %v", err)
	}
	if s := b.Stats(); s.Failures != 0 || s.Calls == 0 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects", "here")
	b := open(t, "file://"+dir)
	exercise(t, b)

	acme, id := tenant(), uuid.Must(uuid.NewV7())
	if err := b.Put(t.Context(), acme, testKind, id, []byte("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "test", acme.Tenant().String(), id.String()))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the object's file = %v, %v; want one that is ours alone", info, err)
	}
	// Nothing is left of what was being written.
	entries, err := os.ReadDir(filepath.Join(dir, "test", acme.Tenant().String()))
	if err != nil || len(entries) != 1 {
		t.Errorf("the tenant's folder = %v, %v", entries, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), acme, testKind, id, []byte("x")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Put without the folder = %v, want ErrUnavailable", err)
	}
	if s := b.Stats(); s.Failures != 1 {
		t.Errorf("Stats = %+v, want one failure", s)
	}
}

// A link in the folder that leads elsewhere is not followed.
func TestFolderStaysInside(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	b := open(t, "file://"+dir)
	acme, id := tenant(), uuid.Must(uuid.NewV7())
	if err := os.MkdirAll(filepath.Join(dir, "test"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "test", acme.Tenant().String())); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), acme, testKind, id, []byte("x")); err == nil {
		t.Error("Put followed a link out of the folder")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("outside of the folder: %v", entries)
	}
}

func TestRefusals(t *testing.T) {
	b := open(t, "file://"+t.TempDir())
	ctx, id := t.Context(), uuid.Must(uuid.NewV7())
	for name, err := range map[string]error{
		"the zero scope": b.Put(ctx, scope.Scope{}, testKind, id, nil),
		"no kind":        b.Put(ctx, tenant(), "", id, nil),
		"no id":          b.Put(ctx, tenant(), testKind, uuid.Nil, nil),
		"too large":      b.Put(ctx, tenant(), testKind, id, make([]byte, MaxBytes+1)),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	acme := tenant()
	if err := b.Put(ctx, acme, testKind, id, make([]byte, MaxBytes)); err != nil {
		t.Errorf("the largest object = %v", err)
	}
	if f, ok := b.store.(*folder); !ok || f.put(ctx, "test/"+acme.Tenant().String()+"/"+id.String(), make([]byte, MaxBytes+1)) != nil {
		t.Fatal("no object beyond the bound")
	}
	if _, err := b.Get(ctx, acme, testKind, id); err == nil {
		t.Error("Get reads more than MaxBytes")
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	s := open(t, "s3://bucket?region=eu-central-1&endpoint=http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "made-up")
	if err := s.Put(gone, acme, testKind, id, nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("Put for a caller who has gone = %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ url, want string }{
		{"", "begins with"},
		{"ftp://x", "begins with"},
		{"mem://", "begins with"},
		{"://", "cannot be read"},
		{"s3://user:hunter2@bucket", "no credentials"},
		{"file://" + dir + "#x", "no fragment"},
		{"file://relative/path", "absolute"},
		{"file:///", "absolute"},
		{"file://" + dir + "?metadata=skip", "unknown"},
		{"s3://", "the form s3://"},
		{"s3://Bucket", "the form s3://"},
		{"s3://bucket?region=x&region=y", "twice"},
		{"s3://bucket?region=x&endpoint=http://minio:9000", "not https://"},
		{"s3://bucket?region=x&endpoint=https://u:hunter2@minio", "not https://"},
		{"s3://bucket?region=x&pathStyle=maybe", "true or false"},
		{"s3://bucket/Großes?region=x", "prefix"},
		{"s3://bucket/a//b?region=x", "prefix"},
		{"gs://b", "the form gs://"},
		{"gs://bucket?credentials=/nowhere", "no such file"},
		{"azblob://container", "?account="},
		{"azblob://c?account=acme", "the form azblob://"},
		{"azblob://container?account=acme&keyFile=/nowhere", "no such file"},
		{"azblob://container?account=acme&keyFile=a&sasFile=b", "exclude"},
	} {
		if _, err := Open(t.Context(), tt.url); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) error = %v, want %q in it", tt.url, err, tt.want)
		}
	}
}

func TestNameShowsNoOptions(t *testing.T) {
	b := open(t, "s3://bucket/prefix?region=eu-central-1&endpoint=https://minio.example")
	if b.Name() != "s3://bucket/prefix" {
		t.Errorf("Name = %s", b.Name())
	}
}

// What a service says becomes ErrUnavailable with the words for the log, whether it
// gave no answer or will not; what speaks of the server is asked once more.
func TestServiceFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		asked  int
	}{
		{"forbidden", http.StatusForbidden, "<Code>AccessDenied</Code>", 1},
		{"overloaded", http.StatusServiceUnavailable, "<Code>SlowDown</Code>", 2},
		{"too many", http.StatusTooManyRequests, "slow down", 2},
		{"another region", http.StatusMovedPermanently, "<Code>PermanentRedirect</Code>", 1},
		{"no bucket", http.StatusNotFound, "<Code>NoSuchBucket</Code>", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			b := s3At(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			_, err := b.Get(t.Context(), tenant(), testKind, uuid.Must(uuid.NewV7()))
			f, ok := fault.As(err)
			if !ok || !errors.Is(err, ErrUnavailable) || f.RetryAfter == 0 {
				t.Errorf("Get error = %v, want ErrUnavailable", err)
			}
			if tt.status != http.StatusMovedPermanently && !strings.Contains(err.Error(), tt.body) {
				t.Errorf("Get error = %v, want what the service said in it", err)
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
			if err := b.Probe(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.HasPrefix(err.Error(), "write: ") {
				t.Errorf("Probe = %v", err)
			}
		})
	}
}
