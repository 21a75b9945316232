package webauthn_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// signedAt is when the BLOB that a service had signed was new: its next update is a month
// after it at most. What is old can be judged at no other time, since its certificates
// have expired.
func signedAt(t *testing.T, blob []byte) time.Time {
	t.Helper()
	for at := time.Now(); at.Year() > 2020; at = at.AddDate(0, 0, -7) {
		if _, err := mds.Parse(blob, mds.Options{At: at, MaxUnparsed: 1}); err == nil {
			return at
		}
	}
	t.Fatal("the BLOB verifies at no time since 2021")
	return time.Time{}
}

// TestConformanceMetadata has authcore/mds judge the real BLOB that `make conformance
// MDS=<file>` names, and each way in which it can be spoiled: a line for each. Without
// one it judges a BLOB of our own making.
func TestConformanceMetadata(t *testing.T) {
	by := mdstest.New(t)
	o := mds.Options{Roots: by.Roots(), Host: mdstest.Host, At: time.Now(), MaxUnparsed: 0.05}
	blob := by.Sign(t, mdstest.BLOB{Number: 9, NextUpdate: time.Now().AddDate(0, -2, 0)})
	if file := os.Getenv("BIOCORE_MDS"); file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blob = bytes.TrimSpace(raw)
		o = mds.Options{At: signedAt(t, blob), MaxUnparsed: 0.05}
	}
	parts := bytes.Split(blob, []byte("."))
	if len(parts) != 3 {
		t.Fatalf("the BLOB has %d parts", len(parts))
	}
	join := func(header, payload, signature []byte) []byte {
		return bytes.Join([][]byte{header, payload, signature}, []byte("."))
	}
	turned := bytes.Clone(parts[2])
	turned[len(turned)/2] ^= 1 // among the letters of base64url, one for another, or none at all
	header, err := base64.RawURLEncoding.DecodeString(string(parts[0]))
	if err != nil {
		t.Fatal(err)
	}
	unsigned := regexp.MustCompile(`"alg":\s*"[A-Z0-9]+"`).ReplaceAll(header, []byte(`"alg":"none"`))
	none := base64.RawURLEncoding.AppendEncode(nil, unsigned)
	other := o
	other.Roots, other.Host = x509.NewCertPool(), ""
	late := o
	late.At = o.At.AddDate(40, 0, 0)
	for _, tt := range []struct {
		name string
		blob []byte
		o    mds.Options
		want []error // one of them; nil: accepted
	}{
		{"as it came", blob, o, nil},
		{"wrong root", blob, other, []error{mds.ErrChain}},
		{"clock after the certificates' end", blob, late, []error{mds.ErrChain}},
		{"truncated to half", blob[:len(blob)/2], o, []error{mds.ErrMalformed}},
		{"truncated payload", join(parts[0], parts[1][:len(parts[1])/2/4*4], parts[2]), o, []error{mds.ErrSignature}},
		{"signature changed", join(parts[0], parts[1], turned), o, []error{mds.ErrSignature, mds.ErrMalformed}},
		{"no signature", join(parts[0], parts[1], nil), o, []error{mds.ErrSignature}},
		{"algorithm none", join(none, parts[1], nil), o, []error{mds.ErrSignature}},
	} {
		snap, err := mds.Parse(tt.blob, tt.o)
		line := fmt.Sprint("rejected, ", err)
		if err == nil {
			line = fmt.Sprintf("accepted, number %d, %d models, %d not readable, stale now: %v", snap.Number, snap.Len(), snap.Unparsed, snap.Stale(time.Now()))
		}
		good := err == nil && tt.want == nil
		for _, want := range tt.want {
			good = good || errors.Is(err, want)
		}
		verdict := agreed
		if !good {
			verdict = unexplained
			t.Errorf("metadata %s: %s, want %v", tt.name, line, tt.want)
		}
		fmt.Fprintf(t.Output(), "%-11s metadata %s: %s\n", verdict, tt.name, line)
	}
	if o.Roots != nil {
		return // authcore/mds.TestSyncKeepsTheLastGoodBLOB has our own
	}
	verdict := agreed
	if err := rollBack(t, blob, o.At); !errors.Is(err, mds.ErrRollback) {
		verdict = unexplained
		t.Errorf("metadata that goes back: %v, want %v", err, mds.ErrRollback)
	}
	fmt.Fprintf(t.Output(), "%-11s metadata rollback: rejected by number\n", verdict)
}

// rollBack is what a service says to the BLOB when it knows one with a greater number.
func rollBack(t *testing.T, blob []byte, at time.Time) error {
	t.Helper()
	store := dbtest.Fresh(t)
	o := store.Options()
	o.Now = func() time.Time { return at }
	then, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer then.Close()
	service, err := mds.New(mds.ServiceOptions{
		Store: then, MaxUnparsed: 0.05, Source: "file", Fetch: func(context.Context, string) ([]byte, error) { return blob, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	by := mds.SyncRequest{Actor: scope.Actor{Kind: scope.ActorSystem, ID: "test"}}
	if done, err := service.Sync(t.Context(), by); err != nil || !done.Changed {
		t.Fatalf("Sync = %+v, %v", done, err)
	}
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE metadata_blobs SET number = number + 1"); err != nil {
		t.Fatal(err)
	}
	_, err = service.Sync(t.Context(), by)
	return err
}
