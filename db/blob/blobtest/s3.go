// Package blobtest gives tests an S3 that enforces object lock: versitygw, on a folder of the test.
//
// Go builds it from source at the version that .ci/tools/versitygw pins, and keeps it in its cache: .ci/setup does
// so before tests begin.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const region = "eu-central-1"

// Bucket is one of versitygw, with object lock.
type Bucket struct {
	URL string // for blob.Open: with a prefix, "pre-fix"

	endpoint string
	creds    aws.Credentials
}

// program is the path of versitygw.
var program = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	if !filepath.IsAbs(here) { // -trimpath: tests run in the folder of their package
		dir, err := os.Getwd()
		if err != nil {
			return "", err
		}
		for here = dir; filepath.Dir(here) != here; here = filepath.Dir(here) {
			if _, err := os.Stat(filepath.Join(here, ".ci", "tools")); err == nil {
				break
			}
		}
	} else {
		here = filepath.Join(filepath.Dir(here), "..", "..", "..")
	}
	// What .ci/setup runs, so that it is one entry of the cache.
	cmd := exec.Command("go", "tool", "-modfile=.ci/tools/versitygw/go.mod", "-n", "versitygw")
	cmd.Dir, cmd.Env = here, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOWORK=off")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build versitygw (.ci/setup does it): %w\n%s", err, complaint.String())
	}
	return strings.TrimSpace(string(out)), nil
})

// S3 starts a server with one bucket, which keeps versions or not. It sets the variables that the AWS SDK reads
// credentials from.
func S3(t testing.TB, versions bool) *Bucket {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir, kept := t.TempDir(), t.TempDir()
	b := &Bucket{creds: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: rand.Text()}}
	t.Setenv("AWS_ACCESS_KEY_ID", b.creds.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", b.creds.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	address := free(t)
	b.endpoint = "http://" + address
	b.URL = "s3://bucket/pre-fix?region=" + region + "&endpoint=" + b.endpoint
	args := []string{"--port", address, "--region", region, "--quiet", "posix"}
	if versions {
		args = append(args, "--versioning-dir", kept)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, append(args, dir)...) //nolint:gosec // what we have built
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+b.creds.AccessKeyID, "ROOT_SECRET_ACCESS_KEY="+b.creds.SecretAccessKey)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // by the signal
	})
	b.await(t)
	if status, said := b.Do(t, http.MethodPut, "", map[string]string{"X-Amz-Bucket-Object-Lock-Enabled": "true"}, nil); status != http.StatusOK {
		t.Fatalf("make the bucket: %d %s", status, said)
	}
	return b
}

// free is an address that nobody listens at.
func free(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// await waits until the server listens.
func (b *Bucket) await(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(b.endpoint, "http://")); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("versitygw does not listen")
		case <-tick.C:
		}
	}
}

// Do sends a request as the account's owner, who may do all that anybody may: path is below the bucket, and may
// have a query.
func (b *Bucket) Do(t testing.TB, method, path string, header map[string]string, body []byte) (status int, said string) {
	t.Helper()
	url := b.endpoint + "/bucket"
	if path != "" && !strings.HasPrefix(path, "?") {
		url += "/"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(t.Context(), b.creds, req, hash, "s3", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}
