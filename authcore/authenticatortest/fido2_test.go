package authenticatortest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// The software authenticator and authcore/webauthn were written by the same people,
// who may have misread the specification twice in the same way. libfido2 is somebody
// else's reading: its tools verify what the authenticator made, and refuse it with one
// bit changed.
func TestFIDO2ToolsAgree(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"fido2-cred", "fido2-assert"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("no %s here: run .ci/setup, or apt-get install fido2-tools", tool)
		}
	}
	for _, tt := range []struct {
		name      string
		typ       string // libfido2's name of the algorithm
		algorithm int
		opts      authenticatortest.Options
		verified  bool // UV is set
	}{
		{"packed self, ES256", "es256", authenticatortest.ES256, authenticatortest.Options{Attestation: authenticatortest.PackedSelf}, true},
		{"packed self, EdDSA", "eddsa", authenticatortest.EdDSA, authenticatortest.Options{Attestation: authenticatortest.PackedSelf}, true},
		{"packed self, RS256", "rs256", authenticatortest.RS256, authenticatortest.Options{Attestation: authenticatortest.PackedSelf}, true},
		{"packed x5c, ES256", "es256", authenticatortest.ES256, authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: [16]byte{1, 2, 3}}, true},
		{"packed x5c, EdDSA", "eddsa", authenticatortest.EdDSA, authenticatortest.Options{Attestation: authenticatortest.PackedX5C}, true},
		{"packed x5c, RS256", "rs256", authenticatortest.RS256, authenticatortest.Options{Attestation: authenticatortest.PackedX5C}, true},
		{"fido-u2f, ES256", "es256", authenticatortest.ES256, authenticatortest.Options{Attestation: authenticatortest.FIDOU2F}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opts.Algorithms = []int{tt.algorithm}
			a := newAuthenticator(t, tt.opts)
			made := create(t, a, creation+`,"attestation":"direct"}`)
			object := readAttestation(t, made.AttestationObject)
			verify := []string{"-V"} // the tools want it first
			if tt.verified {
				verify = []string{"-V", "-v"}
			}
			printed, err := fido2(t, "fido2-cred", slices.Concat(verify, []string{tt.typ}), object.input(made.ClientDataJSON))
			if err != nil {
				t.Fatalf("libfido2 refuses the attestation: %v", err)
			}
			object.signature[len(object.signature)/2] ^= 1
			if _, err := fido2(t, "fido2-cred", []string{"-V", tt.typ}, object.input(made.ClientDataJSON)); !refused(err, "fido_cred_verify") {
				t.Errorf("with a bit of the attestation's signature flipped libfido2 says %v, want a refusal", err)
			}

			// The key is what libfido2 read out of the authenticator data, in its own spelling.
			id, public, found := strings.Cut(printed, "\n")
			if want := base64.StdEncoding.EncodeToString(made.CredentialID); !found || id != want {
				t.Fatalf("credential id = %q, want %q", id, want)
			}
			key := filepath.Join(t.TempDir(), "key.pem")
			if err := os.WriteFile(key, []byte(public), 0o600); err != nil {
				t.Fatal(err)
			}
			got := get(t, a, request+`}`)
			if _, err := fido2(t, "fido2-assert", slices.Concat(verify, []string{"-p", key, tt.typ}), assertion(got)); err != nil {
				t.Errorf("libfido2 refuses the assertion: %v", err)
			}
			got.AuthenticatorData[36] ^= 1 // the count, which is signed
			if _, err := fido2(t, "fido2-assert", []string{"-V", key, tt.typ}, assertion(got)); !refused(err, "fido_assert_verify") {
				t.Errorf("with a bit of the count flipped libfido2 says %v, want a refusal", err)
			}
		})
	}
}

// fido2 runs one of libfido2's tools and returns what it prints. An error means that it
// refused.
func fido2(t *testing.T, tool string, args, input []string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Stdin = strings.NewReader(strings.Join(input, "\n") + "\n")
	var printed, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err) // it did not run
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said.String())
	}
	return printed.String(), err
}

// refused tells a verification that failed from a tool that was used wrongly.
func refused(err error, verify string) bool {
	return err != nil && strings.Contains(err.Error(), verify)
}

// assertion is what fido2-assert -V reads.
func assertion(r authenticatortest.AuthenticationResponse) []string {
	hash := sha256.Sum256(r.ClientDataJSON)
	return []string{b64(hash[:]), "example.org", b64(byteString(r.AuthenticatorData)), b64(r.Signature)}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// byteString is b as CBOR, in which libfido2 wants authenticator data.
func byteString(b []byte) []byte {
	if len(b) < 256 {
		return append([]byte{0x58, byte(len(b))}, b...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0x59}, uint16(len(b))), b...)
}

// attestation is what an attestation object says, as far as libfido2's tools are told it.
type attestation struct {
	format                  string
	authData, signature     []byte
	certificate, credential []byte
}

// input is what fido2-cred -V reads.
func (a attestation) input(clientData []byte) []string {
	hash := sha256.Sum256(clientData)
	lines := []string{b64(hash[:]), "example.org", a.format, b64(byteString(a.authData)), b64(a.credential), b64(a.signature)}
	if a.certificate != nil {
		lines = append(lines, b64(a.certificate))
	}
	return lines
}

// readAttestation reads an attestation object with a reader of its own: neither the
// verifier's nor the authenticator's code is asked what it says.
func readAttestation(t *testing.T, object []byte) attestation {
	t.Helper()
	members := cborMap(t, &object)
	var a attestation
	var statement map[string]any
	var known [4]bool
	a.format, known[0] = members["fmt"].(string)
	a.authData, known[1] = members["authData"].([]byte)
	statement, known[2] = members["attStmt"].(map[string]any)
	a.signature, known[3] = statement["sig"].([]byte)
	if known != [4]bool{true, true, true, true} || len(object) > 0 || len(a.authData) < 55 {
		t.Fatalf("attestation object = %v, and %d bytes after it", members, len(object))
	}
	a.signature = bytes.Clone(a.signature)
	if chain, ok := statement["x5c"].([]any); ok {
		if a.certificate, ok = chain[0].([]byte); !ok {
			t.Fatalf("x5c = %v", chain)
		}
	}
	a.credential = a.authData[55 : 55+binary.BigEndian.Uint16(a.authData[53:])]
	return a
}

func cborMap(t *testing.T, in *[]byte) map[string]any {
	t.Helper()
	members, ok := cborItem(t, in).(map[string]any)
	if !ok {
		t.Fatal("no CBOR map")
	}
	return members
}

// cborItem takes one data item from the front of in: integers, byte and text strings,
// arrays, and maps whose keys are text.
func cborItem(t *testing.T, in *[]byte) any {
	t.Helper()
	major, n := (*in)[0]>>5, uint64((*in)[0]&31)
	*in = (*in)[1:]
	if n >= 24 {
		width := 1 << (n - 24)
		padded := make([]byte, 8)
		copy(padded[8-width:], (*in)[:width])
		n, *in = binary.BigEndian.Uint64(padded), (*in)[width:]
	}
	switch major {
	case 0:
		return int64(n)
	case 1:
		return -1 - int64(n)
	case 2, 3:
		value := (*in)[:n]
		*in = (*in)[n:]
		if major == 3 {
			return string(value)
		}
		return value
	case 4:
		items := make([]any, n)
		for i := range items {
			items[i] = cborItem(t, in)
		}
		return items
	case 5:
		members := map[string]any{}
		for range n {
			name, ok := cborItem(t, in).(string)
			if !ok {
				t.Fatal("a map with a key that is no text")
			}
			members[name] = cborItem(t, in)
		}
		return members
	}
	t.Fatalf("CBOR major type %d", major)
	return nil
}
