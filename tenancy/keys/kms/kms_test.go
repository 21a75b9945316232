package kms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// rig is a KMS under test, and what the test does to its surroundings.
type rig struct {
	kms   keys.KMS
	other keys.KMS // the same service, with another key
	// stall has the service take calls from now on and answer none.
	stall func(t *testing.T)
	// down takes the service away; up brings it back.
	down, up func(t *testing.T)
}

// testKMS is what keys.KMS promises, for every provider alike.
func testKMS(t *testing.T, open func(t *testing.T) rig) {
	t.Helper()
	secret, ad := bytes.Repeat([]byte{7}, 32), []byte("biocore data key v1\x00 tenant one")
	wrap := func(t *testing.T, k keys.KMS) []byte {
		t.Helper()
		wrapped, err := k.Wrap(t.Context(), secret, ad)
		if err != nil {
			t.Fatalf("Wrap error = %v", err)
		}
		if bytes.Contains(wrapped, secret[:8]) {
			t.Error("the wrapped key shows the key")
		}
		return wrapped
	}

	t.Run("what was wrapped is unwrapped", func(t *testing.T) {
		r := open(t)
		for _, size := range []int{1, 32, 64, 4096} {
			want := bytes.Repeat([]byte{3}, size)
			wrapped, err := r.kms.Wrap(t.Context(), want, ad)
			if err != nil {
				t.Fatalf("Wrap of %d bytes error = %v", size, err)
			}
			if got, err := r.kms.Unwrap(t.Context(), r.kms.KeyName(), wrapped, ad); err != nil || !bytes.Equal(got, want) {
				t.Errorf("Unwrap of %d bytes = %d bytes, %v", size, len(got), err)
			}
		}
		if name := r.kms.KeyName(); name == "" || len(name) > 512 || name == r.other.KeyName() {
			t.Errorf("KeyName = %q", name)
		}
		if bytes.Equal(wrap(t, r.kms), wrap(t, r.kms)) {
			t.Error("the same key is wrapped alike twice")
		}
	})

	t.Run("nothing else is", func(t *testing.T) {
		r := open(t)
		wrapped, foreign := wrap(t, r.kms), wrap(t, r.other)
		flipped := func(i int) []byte {
			b := bytes.Clone(wrapped)
			b[i] ^= 1
			return b
		}
		for _, tt := range []struct {
			name    string
			key     string
			wrapped []byte
			ad      []byte
			want    []string // in the error
		}{
			{"with another tenant's ad", r.kms.KeyName(), wrapped, []byte("biocore data key v1\x00 tenant two"), nil},
			{"with no ad", r.kms.KeyName(), wrapped, nil, nil},
			{"with a longer ad", r.kms.KeyName(), wrapped, append(bytes.Clone(ad), 0), nil},
			{"cut at its end", r.kms.KeyName(), wrapped[:len(wrapped)-4], ad, nil},
			{"cut at its start", r.kms.KeyName(), wrapped[1:], ad, nil},
			{"empty", r.kms.KeyName(), nil, ad, nil},
			{"with a bit flipped in the middle", r.kms.KeyName(), flipped(len(wrapped) / 2), ad, nil},
			{"with its first bit flipped", r.kms.KeyName(), flipped(0), ad, nil},
			{"of another key", r.kms.KeyName(), foreign, ad, nil},
			{"under another key's name", r.other.KeyName(), wrapped, ad, []string{r.kms.KeyName(), r.other.KeyName()}},
			{"of another KMS", "local:00112233", wrapped, ad, []string{r.kms.KeyName(), "local:00112233"}},
			{"that was never wrapped", r.kms.KeyName(), []byte("all the best"), ad, nil},
		} {
			got, err := r.kms.Unwrap(t.Context(), tt.key, tt.wrapped, tt.ad)
			if err == nil || len(got) != 0 {
				t.Errorf("%s: Unwrap = %x, %v", tt.name, got, err)
				continue
			}
			if errors.Is(err, keys.ErrKMSUnavailable) {
				t.Errorf("%s: Unwrap error = %v, which says that the KMS is away", tt.name, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: Unwrap error = %v, want %s in it", tt.name, err, want)
				}
			}
		}
		if got, err := r.kms.Unwrap(t.Context(), r.kms.KeyName(), wrapped, ad); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("afterwards, Unwrap = %x, %v", got, err)
		}
	})

	t.Run("many at once", func(t *testing.T) {
		r := open(t)
		var wg sync.WaitGroup
		for i := range 24 {
			wg.Go(func() {
				mine := bytes.Repeat([]byte{byte(i)}, 32)
				wrapped, err := r.kms.Wrap(t.Context(), mine, ad)
				if err != nil {
					t.Errorf("Wrap error = %v", err)
					return
				}
				if got, err := r.kms.Unwrap(t.Context(), r.kms.KeyName(), wrapped, ad); err != nil || !bytes.Equal(got, mine) {
					t.Errorf("Unwrap = %x, %v", got, err)
				}
			})
		}
		wg.Wait()
	})

	t.Run("one that does not answer is unavailable in time", func(t *testing.T) {
		r := open(t)
		wrapped := wrap(t, r.kms)
		r.stall(t)
		from := time.Now()
		_, err := r.kms.Unwrap(t.Context(), r.kms.KeyName(), wrapped, ad)
		if took := time.Since(from); took > 3*callTime {
			t.Errorf("it took %v, want about %v", took, callTime)
		}
		if !errors.Is(err, keys.ErrKMSUnavailable) {
			t.Errorf("Unwrap error = %v, want %v", err, keys.ErrKMSUnavailable)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Unwrap error = %v, which looks like the caller's own deadline", err)
		}
		from = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err = r.kms.Wrap(ctx, secret, ad); !errors.Is(err, keys.ErrKMSUnavailable) {
			t.Errorf("Wrap error = %v, want %v", err, keys.ErrKMSUnavailable)
		}
		if took := time.Since(from); took > callTime {
			t.Errorf("it took %v, although the caller had 50 ms", took)
		}
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err = r.kms.Wrap(ctx, secret, ad); !errors.Is(err, context.Canceled) || errors.Is(err, keys.ErrKMSUnavailable) {
			t.Errorf("Wrap for a caller who has gone: error = %v, want %v alone", err, context.Canceled)
		}
	})

	t.Run("one that has gone is unavailable until it is back", func(t *testing.T) {
		r := open(t)
		wrapped := wrap(t, r.kms)
		r.down(t)
		if _, err := r.kms.Unwrap(t.Context(), r.kms.KeyName(), wrapped, ad); !errors.Is(err, keys.ErrKMSUnavailable) {
			t.Errorf("Unwrap error = %v, want %v", err, keys.ErrKMSUnavailable)
		}
		r.up(t)
		if got, err := r.kms.Unwrap(t.Context(), r.kms.KeyName(), wrapped, ad); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("afterwards, Unwrap = %x, %v", got, err)
		}
	})
}

// testSigningKMS is what keys.SigningKMS promises.
func testSigningKMS(t *testing.T, open func(t *testing.T) rig, algorithms ...string) {
	t.Helper()
	input := []byte("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ5b3UifQ")

	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			k := signing(t, open(t).kms)
			made, err := k.CreateSigningKey(t.Context(), algorithm, "tenant-1-"+algorithm)
			if err != nil {
				t.Fatalf("CreateSigningKey error = %v", err)
			}
			if !k.signs(made.Name) || len(made.Name) > 512 {
				t.Errorf("the key's name is %q", made.Name)
			}
			for range 8 { // an integer with a leading zero comes once in 128 signatures
				signature, err := k.Sign(t.Context(), made.Name, algorithm, input)
				if err != nil {
					t.Fatalf("Sign error = %v", err)
				}
				if !verifies(made.Public, input, signature) {
					t.Fatalf("the signature %x does not verify", signature)
				}
			}
			for _, other := range []string{es256, eddsa, rs256} {
				if other == algorithm {
					continue
				}
				if _, err := k.Sign(t.Context(), made.Name, other, input); err == nil {
					t.Errorf("a key for %s signs %s", algorithm, other)
				}
			}
			second, err := k.CreateSigningKey(t.Context(), algorithm, "tenant-2-"+algorithm)
			if err != nil {
				t.Fatalf("CreateSigningKey error = %v", err)
			}
			if signature, err := k.Sign(t.Context(), second.Name, algorithm, input); err != nil || verifies(made.Public, input, signature) {
				t.Errorf("the second key's signature verifies by the first's, or error = %v", err)
			}
			if err := k.DestroySigningKey(t.Context(), made.Name); err != nil {
				t.Fatalf("DestroySigningKey error = %v", err)
			}
			if _, err := k.Sign(t.Context(), made.Name, algorithm, input); err == nil || errors.Is(err, keys.ErrKMSUnavailable) {
				t.Errorf("Sign with a destroyed key: error = %v", err)
			}
			if err := k.DestroySigningKey(t.Context(), made.Name); err != nil {
				t.Errorf("destroying it again: error = %v", err)
			}
			if _, err := k.Sign(t.Context(), second.Name, algorithm, input); err != nil {
				t.Errorf("the second key does not sign any longer: %v", err)
			}
		})
	}

	t.Run("what it cannot do is refused", func(t *testing.T) {
		r := open(t)
		k := signing(t, r.kms)
		for _, algorithm := range []string{"", "none", "HS256", "ES512", "PS256"} {
			if _, err := k.CreateSigningKey(t.Context(), algorithm, "tenant-1"); !errors.Is(err, keys.ErrKMSAlgorithm) {
				t.Errorf("CreateSigningKey(%q) error = %v, want %v", algorithm, err, keys.ErrKMSAlgorithm)
			}
		}
		for _, label := range []string{"", "a/b", "../x", "a b", "a?b", strings.Repeat("a", 64), "ü"} {
			if _, err := k.CreateSigningKey(t.Context(), algorithms[0], label); err == nil {
				t.Errorf("CreateSigningKey took the label %q", label)
			}
		}
		if _, err := k.Sign(t.Context(), "local:00112233", algorithms[0], input); err == nil || !strings.Contains(err.Error(), "local:00112233") {
			t.Errorf("Sign with another KMS's key: error = %v", err)
		}
		if err := k.DestroySigningKey(t.Context(), "local:00112233"); err == nil {
			t.Error("another KMS's key is destroyed")
		}
		if err := k.DestroySigningKey(t.Context(), k.KeyName()); err == nil {
			t.Error("the key that wraps is destroyed as a signing key")
		}
		if wrapped, err := k.Wrap(t.Context(), []byte("key"), []byte("ad")); err != nil {
			t.Errorf("afterwards, Wrap = %x, %v", wrapped, err)
		}
	})
}

func signing(t *testing.T, k keys.KMS) signer {
	t.Helper()
	s, ok := k.(signer)
	if !ok {
		t.Fatalf("%T does not sign", k)
	}
	return s
}

// verifies is the other side's view of a signature (RFC 7515 §5.2).
func verifies(public crypto.PublicKey, input, signature []byte) bool {
	sum := sha256.Sum256(input)
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return len(signature) == 64 && ecdsa.Verify(p, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case ed25519.PublicKey:
		return ed25519.Verify(p, input, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(p, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}

func TestSeveralKMS(t *testing.T) {
	file := func(name string) string {
		t.Helper()
		path := t.TempDir() + "/" + name
		if err := CreateLocal(path); err != nil {
			t.Fatal(err)
		}
		return "local:" + path
	}
	open := func(current string, previous ...string) keys.KMS {
		t.Helper()
		k, err := OpenAll(t.Context(), current, previous)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ad := []byte("tenant one")
	before, after, never := file("before"), file("after"), file("never")
	old := open(before)
	wrapped, err := old.Wrap(t.Context(), []byte("a data key"), ad)
	if err != nil {
		t.Fatal(err)
	}
	both := open(after, before, before, after)
	if got, err := both.Unwrap(t.Context(), old.KeyName(), wrapped, ad); err != nil || string(got) != "a data key" {
		t.Errorf("what the previous KMS wrapped: Unwrap = %q, %v", got, err)
	}
	if both.KeyName() != open(after).KeyName() {
		t.Errorf("KeyName = %s, want the current one's", both.KeyName())
	}
	anew, err := both.Wrap(t.Context(), []byte("a data key"), ad)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := open(after).Unwrap(t.Context(), both.KeyName(), anew, ad); err != nil || string(got) != "a data key" {
		t.Errorf("what is wrapped anew, by the current KMS alone: Unwrap = %q, %v", got, err)
	}
	_, err = both.Unwrap(t.Context(), open(never).KeyName(), wrapped, ad)
	if err == nil || !strings.Contains(err.Error(), old.KeyName()) || !strings.Contains(err.Error(), both.KeyName()) {
		t.Errorf("a third KMS's key: Unwrap error = %v, want both names", err)
	}
	if _, ok := both.(keys.SigningKMS); ok {
		t.Error("files sign")
	}
	if _, err := OpenAll(t.Context(), after, []string{before + "-absent"}); err == nil {
		t.Error("a previous KMS that is not there is no error")
	}
}

// signingLocal is a KMS that signs only with its own name, for who is asked to.
type signingLocal struct {
	*Local
	signed, destroyed []string
}

func (s *signingLocal) signs(keyName string) bool { return strings.HasPrefix(keyName, s.name+"/") }

func (s *signingLocal) CreateSigningKey(_ context.Context, _, label string) (keys.RemoteKey, error) {
	return keys.RemoteKey{Name: s.name + "/" + label}, nil
}

func (s *signingLocal) Sign(_ context.Context, keyName, _ string, _ []byte) ([]byte, error) {
	s.signed = append(s.signed, keyName)
	return []byte(s.name), nil
}

func (s *signingLocal) DestroySigningKey(_ context.Context, keyName string) error {
	s.destroyed = append(s.destroyed, keyName)
	return nil
}

func TestSeveralKMSSignEachWithItsOwn(t *testing.T) {
	local := func(b byte) *signingLocal {
		t.Helper()
		l, err := newLocal(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return &signingLocal{Local: l}
	}
	current, previous := local(1), local(2)
	all := severalSigning{several{current, previous}, current}
	made, err := all.CreateSigningKey(t.Context(), es256, "new")
	if err != nil || !current.signs(made.Name) {
		t.Fatalf("CreateSigningKey = %q, %v", made.Name, err)
	}
	for _, k := range []*signingLocal{current, previous} {
		name := k.name + "/x"
		if got, err := all.Sign(t.Context(), name, es256, nil); err != nil || string(got) != k.name {
			t.Errorf("Sign by %s = %s, %v", name, got, err)
		}
		if err := all.DestroySigningKey(t.Context(), name); err != nil {
			t.Errorf("DestroySigningKey(%s) error = %v", name, err)
		}
		if !slices.Equal(k.signed, []string{name}) || !slices.Equal(k.destroyed, []string{name}) {
			t.Errorf("%s signed %q and destroyed %q", k.name, k.signed, k.destroyed)
		}
	}
	if _, err := all.Sign(t.Context(), "vault:elsewhere/x", es256, nil); err == nil || !strings.Contains(err.Error(), current.name) {
		t.Errorf("a key of nobody's: Sign error = %v", err)
	}
	if err := all.DestroySigningKey(t.Context(), "vault:elsewhere/x"); err == nil {
		t.Error("a key of nobody's is destroyed")
	}
}

func TestRawECDSA(t *testing.T) {
	for _, tt := range []struct {
		name string
		der  string
	}{
		{"empty", ""},
		{"no sequence", "\x02\x01\x01"},
		{"one integer", "\x30\x03\x02\x01\x01"},
		{"r is zero", "\x30\x06\x02\x01\x00\x02\x01\x01"},
		{"s is negative", "\x30\x06\x02\x01\x01\x02\x01\x80"},
		{"r has 257 bits", "\x30\x26\x02\x21\x01" + strings.Repeat("\x00", 32) + "\x02\x01\x01"},
		{"something follows", "\x30\x06\x02\x01\x01\x02\x01\x01\x00"},
	} {
		if raw, err := rawECDSA([]byte(tt.der)); err == nil {
			t.Errorf("%s: rawECDSA = %x", tt.name, raw)
		}
	}
	want := append(append(make([]byte, 31), 1), append(make([]byte, 31), 0x80)...)
	if raw, err := rawECDSA([]byte("\x30\x07\x02\x01\x01\x02\x02\x00\x80")); err != nil || !bytes.Equal(raw, want) {
		t.Errorf("short integers: rawECDSA = %x, %v", raw, err)
	}
}
