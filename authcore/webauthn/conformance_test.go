package webauthn_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// vector is one case of the conformance test: a response that some other
// project, or the specification, says must be accepted or rejected. Files of
// them are JSON arrays.
type vector struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`     // registration, authentication
	Format   string     `json:"format"`   // of the attestation statement
	Alg      int32      `json:"alg"`      // of the credential
	Expected string     `json:"expected"` // accept, reject, unknown
	At       *time.Time `json:"at"`       // when certificates are to be judged; nil: whenever they are valid
	RP       struct {
		ID               string   `json:"id"`
		Origins          []string `json:"origins"`
		TopOrigins       []string `json:"topOrigins"`
		AllowCrossOrigin bool     `json:"allowCrossOrigin"`
		AppID            string   `json:"appid"`
	} `json:"rp"`
	Challenge  string               `json:"challenge"` // base64url, or the text itself
	UV         string               `json:"uv"`
	UP         *bool                `json:"up"`
	Algs       []webauthn.Algorithm `json:"algs"`
	Credential struct {
		PublicKey      string  `json:"publicKey"`
		SignCount      uint32  `json:"signCount"`
		BackupEligible bool    `json:"backupEligible"`
		UserHandle     *string `json:"userHandle"`
	} `json:"credential"`
	Response json.RawMessage `json:"response"`
}

// differences are the cases in which this package disagrees with the source of
// the vector and is meant to. The check is not relaxed for them: the reason is
// given. Keys are kind, format and id, since ids repeat in a source.
var differences = map[string]string{
	"registration tpm tpm-es256/registration":                         unregisteredTPM,
	"registration tpm w3c/tpm-es256/reg":                              unregisteredTPM,
	"authentication  sw/should return authenticator extension output": "the source puts a mock in the place of signature verification: the stored credential is not the one that signed",
	"registration packed sw/should verify Packed (EC2) attestation":   foreignRawID,
	"registration packed sw/should verify Packed (X5C) attestation":   foreignRawID,
}

const (
	unregisteredTPM = "the vectors' TPM has the manufacturer id:00000000, which the TCG has not registered; §8.3.1 wants one that is"
	foreignRawID    = "the fixture's rawId is not the attested credential ID, which its source does not compare; two IDs for one credential are refused"
)

// TestConformance runs the specification's test vectors (WebAuthn L3
// #sctn-test-vectors), or those in the folder that `make conformance
// VECTORS=<folder>` names. It prints a line for each case and a table by
// format, and fails on every difference that is not explained above.
func TestConformance(t *testing.T) {
	folder := os.Getenv("BIOCORE_VECTORS")
	if folder == "" {
		folder = filepath.Join("testdata", "vectors")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %s holds no .json file (%v)", folder, err)
	}
	var models map[uuid.UUID]*metadata.Entry
	if file := os.Getenv("BIOCORE_MDS"); file != "" {
		models = readMetadata(t, file)
	}
	table := tally{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vectors []vector
		if err := json.Unmarshal(data, &vectors); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, v := range vectors {
			line, verdict := v.run(t, models)
			table.add(v, verdict)
			fmt.Fprintf(t.Output(), "%-11s %s %s: %s\n", verdict, v.Kind, v.ID, line)
			if verdict == unexplained {
				t.Errorf("%s %q (%s): %s, but its source says %s", v.Kind, v.ID, v.Format, line, v.Expected)
			}
		}
	}
	table.print(t.Output())
}

// The verdicts on a case.
const (
	agreed      = "agree"       // accepted and rejected as expected
	explained   = "explained"   // differs, and is listed in differences or an algorithm that is not supported
	undecided   = "undecided"   // the source does not know
	unexplained = "UNEXPLAINED" // differs
)

func (v vector) run(t *testing.T, models map[uuid.UUID]*metadata.Entry) (line, verdict string) {
	t.Helper()
	var detail string
	var err error
	if v.Kind == "registration" {
		detail, err = v.register(models, v.instant(t))
	} else {
		detail, err = v.authenticate()
	}
	accepted := err == nil
	line = "accepted, " + detail
	if !accepted {
		line = "rejected, " + reason(err)
	}
	switch {
	case v.Expected == "unknown":
		return line, undecided
	case accepted == (v.Expected == "accept"):
		return line, agreed
	}
	if why, ok := differences[v.Kind+" "+v.Format+" "+v.ID]; ok {
		return line + " [" + why + "]", explained
	}
	if why := v.refusedOnPurpose(err); why != "" {
		return line + " [" + why + "]", explained
	}
	return line, unexplained
}

// refusedOnPurpose explains refusals that are the same for every case of their
// kind, whichever source it is from. Each one is checked against the response
// itself, so that it cannot cover a defect.
func (v vector) refusedOnPurpose(err error) string {
	alg := webauthn.Algorithm(v.Alg)
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, webauthn.ErrAlgorithm) && !alg.Supported():
		return fmt.Sprintf("algorithm %v is not supported", alg)
	case errors.Is(err, webauthn.ErrAttestationFormat) && v.Format == webauthn.FormatSafetyNet:
		return "SafetyNet is refused by default: the service is turned off"
	case errors.As(err, &unknown) && (v.Format == webauthn.FormatAndroidKey || v.Format == webauthn.FormatApple):
		resp, err := webauthn.ParseRegistrationResponse(v.Response)
		if err != nil {
			return ""
		}
		certs := certificatesIn(resp.AttestationObject)
		if len(certs) == 0 {
			return ""
		}
		top := certs[len(certs)-1].Issuer.String()
		for _, vendor := range []string{"f92009e853b6b045", "Key Attestation CA1", "Apple WebAuthn"} {
			if strings.Contains(top, vendor) {
				return "" // a genuine chain has to pass
			}
		}
		return fmt.Sprintf("a made-up device: its chain ends at %q, which is no root of the vendor", top)
	}
	return ""
}

func (v vector) rp() webauthn.RP {
	return webauthn.RP{
		ID: v.RP.ID, Origins: v.RP.Origins, TopOrigins: v.RP.TopOrigins, AllowCrossOrigin: v.RP.AllowCrossOrigin,
	}
}

func (v vector) register(models map[uuid.UUID]*metadata.Entry, at time.Time) (string, error) {
	resp, err := webauthn.ParseRegistrationResponse(v.Response)
	if err != nil {
		return "", err
	}
	offered := v.Algs
	if len(offered) == 0 {
		offered = []webauthn.Algorithm{webauthn.Algorithm(v.Alg)}
	}
	reg, err := webauthn.VerifyRegistration(v.rp(), webauthn.RegistrationExpectation{
		Challenge:               v.challenge(resp.ClientDataJSON),
		Algorithms:              offered,
		RequireUserVerification: v.UV == webauthn.Required,
		Conditional:             v.UP != nil && !*v.UP,
		At:                      at,
	}, resp)
	if err != nil {
		return "", err
	}
	detail := fmt.Sprintf("%s %s, %v", reg.Attestation.Format, reg.Attestation.Type, reg.Algorithm)
	if models != nil && len(reg.Attestation.X5C) > 0 {
		detail += ", " + chainsTo(models[reg.AAGUID], reg.Attestation.X5C)
	}
	return detail, nil
}

func (v vector) authenticate() (string, error) {
	resp, err := webauthn.ParseAssertionResponse(v.Response)
	if err != nil {
		return "", err
	}
	cose, err := webauthn.DecodeBase64URL(v.Credential.PublicKey)
	if err != nil {
		return "", err
	}
	key, err := webauthn.ParsePublicKey(cose)
	if err != nil {
		return "", err
	}
	owner := resp.UserHandle // sources that don't compare it have none
	if v.Credential.UserHandle != nil {
		if owner, err = webauthn.DecodeBase64URL(*v.Credential.UserHandle); err != nil {
			return "", err
		}
	}
	got, err := webauthn.VerifyAssertion(v.rp(), webauthn.AssertionExpectation{
		Challenge:               v.challenge(resp.ClientDataJSON),
		RequireUserVerification: v.UV == webauthn.Required,
		UserIdentified:          true,
		AppID:                   v.RP.AppID,
		Stored: webauthn.StoredCredential{
			UserHandle: owner, SignCount: v.Credential.SignCount, BackupEligible: v.Credential.BackupEligible,
		},
	}, key, resp)
	if err != nil {
		return "", err
	}
	if got.SignCountRollback {
		return "", errors.New("sign count rollback, which the default policy denies")
	}
	return fmt.Sprintf("%v, count %d", key.Algorithm(), got.SignCount), nil
}

// challenge undoes the sources' two ways of writing it. What decides is the
// comparison with the client data; this only picks the way that could match.
func (v vector) challenge(clientDataJSON []byte) []byte {
	if bytes.Contains(clientDataJSON, []byte(base64.RawURLEncoding.EncodeToString([]byte(v.Challenge)))) {
		return []byte(v.Challenge)
	}
	if decoded, err := webauthn.DecodeBase64URL(v.Challenge); err == nil {
		return decoded
	}
	return []byte(v.Challenge)
}

// instant is when the case's certificates are judged: at its own time, or else
// when the whole chain is valid.
func (v vector) instant(t *testing.T) time.Time {
	t.Helper()
	if v.At != nil {
		return *v.At
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	resp, err := webauthn.ParseRegistrationResponse(v.Response)
	if err != nil || v.Kind != "registration" {
		return at
	}
	certs := certificatesIn(resp.AttestationObject)
	if len(certs) == 0 {
		return at
	}
	at = certs[0].NotBefore
	for _, c := range certs {
		if c.NotBefore.After(at) {
			at = c.NotBefore
		}
	}
	return at.Add(time.Second)
}

// reason is the fault's reason and the cause behind it.
func reason(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Reason + ": " + err.Error()
	}
	return err.Error()
}

// readMetadata reads the entries of a FIDO MDS3 BLOB. Its signature is not
// checked: it is a file on the developer's disk, and it only explains.
func readMetadata(t *testing.T, file string) map[uuid.UUID]*metadata.Entry {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSpace(string(data)), ".")
	if len(parts) != 3 {
		t.Fatalf("%s is not a JWT", file)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var payload struct {
		Number  int               `json:"no"`
		Entries []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(body, &payload); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	models := map[uuid.UUID]*metadata.Entry{}
	parsed := 0
	for _, raw := range payload.Entries {
		var j metadata.EntryJSON
		if err := json.Unmarshal(raw, &j); err != nil {
			continue // old BLOBs hold numbers that today's types don't
		}
		if entry, err := j.Parse(); err == nil {
			parsed++
			models[entry.AaGUID] = &entry
		}
	}
	fmt.Fprintf(t.Output(), "metadata number %d: %d entries, %d of them understood\n", payload.Number, len(payload.Entries), parsed)
	return models
}

// chainsTo says whether the metadata service vouches for the chain. It is
// information, not a verdict: trust is not this package's decision.
func chainsTo(entry *metadata.Entry, x5c [][]byte) string {
	if entry == nil {
		return "model not in the metadata"
	}
	certs := make([]*x509.Certificate, 0, len(x5c))
	for _, der := range x5c {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return "certificate unreadable"
		}
		certs = append(certs, c)
	}
	certs[0].UnhandledCriticalExtensions = nil // a TPM's subject alternative name
	if _, err := certs[0].Verify(entry.MetadataStatement.Verifier(certs[1:])); err != nil {
		return fmt.Sprintf("%s by its AAGUID, but not by its chain", entry.MetadataStatement.Description)
	}
	return "chains to " + entry.MetadataStatement.Description
}

// tally counts verdicts by format.
type tally map[string]map[string]int

func (y tally) add(v vector, verdict string) {
	row := v.Kind + " " + v.Format
	if y[row] == nil {
		y[row] = map[string]int{}
	}
	y[row][verdict]++
}

func (y tally) print(w io.Writer) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	columns := []string{agreed, explained, undecided, unexplained}
	fmt.Fprintf(tab, "\ncases\t%s\n", strings.Join(columns, "\t"))
	for _, row := range slices.Sorted(maps.Keys(y)) {
		fmt.Fprint(tab, row)
		for _, column := range columns {
			fmt.Fprintf(tab, "\t%d", y[row][column])
		}
		fmt.Fprintln(tab)
	}
	tab.Flush()
}
