package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// The steps of a verification, in their order.
const (
	StepForm         = "form"         // the record is one, byte for byte as it was written
	StepHash         = "hash"         // it has the SHA-256 that the file, or the row, says
	StepSignature    = "signature"    // the tenant's key has signed it
	StepRegistration = "registration" // what the authenticator sent says again what it was recorded to say
	StepAttestation  = "attestation"  // its statement is of the recorded format and type, with the recorded certificates
	StepVerdict      = "verdict"      // the attestation is trusted again as it was recorded to be
	StepOutcome      = "outcome"      // what was refused for how it verifies is refused again, and what was accepted is not
)

// Step is one step of a verification.
type Step struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was found
}

// Report is what Verify found. No step comes after one that leaves nothing to look at.
type Report struct {
	Valid  bool   `json:"valid"` // every step is OK
	Steps  []Step `json:"steps"`
	SHA256 Bytes  `json:"sha256"` // of the record
	KID    string `json:"kid"`    // of the key that signed the file; empty for a record without one

	Record *Record `json:"-"` // nil: there is none
}

func (r *Report) add(name string, err error, detail string) bool {
	s := Step{Name: name, OK: err == nil, Detail: detail}
	if err != nil {
		s.Detail = err.Error()
	}
	r.Steps = append(r.Steps, s)
	r.Valid = s.OK && (r.Valid || len(r.Steps) == 1)
	return s.OK
}

// VerifyFile verifies a file of evidence by itself: neither network nor database. jwks,
// if not nil, is the tenant's key set as the verifier got it from elsewhere; without it
// the signature proves that the file is whole, and not whose it is.
func VerifyFile(raw, jwks []byte) Report {
	var r Report
	f, err := ParseFile(raw)
	if !r.add(StepForm, err, "a file of evidence") {
		return r
	}
	sum := sha256.Sum256(f.Evidence)
	r.SHA256 = sum[:]
	if !bytes.Equal(sum[:], f.SHA256) {
		err = errors.New("the record has another SHA-256 than the file says")
	}
	r.add(StepHash, err, "SHA-256 of the record")
	r.KID, err = keys.VerifyDetached(f.keySet(), fileType, f.Evidence, f.Signature)
	if err == nil {
		err = keys.CheckJWK(f.Key)
	}
	said := "by the key in the file, which was compared with no key set"
	if err == nil && jwks != nil {
		_, err = keys.VerifyDetached(jwks, fileType, f.Evidence, f.Signature)
		said = "by a key of the key set"
	}
	r.add(StepSignature, err, said)
	r.verify(f.Evidence)
	return r
}

// verifyRecord verifies a record that its row says has this SHA-256.
func verifyRecord(raw, want []byte) Report {
	var r Report
	sum := sha256.Sum256(raw)
	r.SHA256 = sum[:]
	var err error
	if !bytes.Equal(sum[:], want) {
		err = errors.New("the record has another SHA-256 than was recorded")
	}
	r.add(StepHash, err, "SHA-256 of the record")
	r.verify(raw)
	return r
}

// verify concludes again, at the recorded time, what was concluded then.
func (r *Report) verify(raw []byte) {
	record, err := decode(raw)
	if !r.add(StepForm, err, "a record of evidence") {
		return
	}
	r.Record = record
	response := record.Response.response()
	expected := record.Expected.expectation()
	expected.At = record.At // certificates that have ended since are judged as they were
	got, refusal := webauthn.VerifyRegistration(record.Expected.rp(), expected, response)
	// Certificates that had ended are the one fault with which a response is verified all
	// the same, and policy's to refuse.
	expired := errors.Is(refusal, webauthn.ErrAttestationExpired) && record.Verified != nil
	if refusal != nil && !expired {
		r.refused(record, refusal)
		return
	}
	found := verifiedOf(&got)
	same := found.same(record.Verified)
	if record.Verified == nil {
		err = errors.New("the response verifies, and was recorded not to")
	} else if !same {
		err = errors.New("the response says something else than was recorded")
	}
	r.add(StepRegistration, err, fmt.Sprintf("the response verifies for %s, challenge and origin included", record.Expected.RPID))
	if record.Verified == nil {
		return
	}
	err = nil
	if !equalJSON(found.Attestation, record.Verified.Attestation) {
		err = errors.New("the attestation statement is another one than was recorded")
	}
	r.add(StepAttestation, err, fmt.Sprintf("format %s, type %s, %d certificates", found.Attestation.Format, found.Attestation.Type, len(found.Attestation.Chain)))
	r.judge(record, &got)
	err = nil
	if (record.Outcome == outcomeAllow) != (record.Reason == "") {
		err = fmt.Errorf("outcome %s with reason %q", record.Outcome, record.Reason)
	} else if expired && record.Reason != webauthn.ErrAttestationExpired.Reason {
		err = fmt.Errorf("its certificates had expired, and it was recorded as %s %s", record.Outcome, record.Reason)
	} else if verifies[record.Reason] {
		err = fmt.Errorf("it was refused for %s, and verifies", record.Reason)
	}
	r.add(StepOutcome, err, record.Outcome+" "+record.Reason)
}

// outcomeAllow is the ceremony's.
const outcomeAllow = "ALLOW"

// verifies are the reasons that speak of a response that does not verify.
var verifies = map[string]bool{webauthn.ErrAttestation.Reason: true, webauthn.ErrAttestationFormat.Reason: true}

// refused compares a response that does not verify with what was recorded.
func (r *Report) refused(record *Record, refusal error) {
	reason := refusal.Error()
	if f, ok := fault.As(refusal); ok {
		reason = f.Reason
	}
	var err error
	switch {
	case record.Verified != nil:
		err = fmt.Errorf("the response does not verify (%s), and was recorded to", reason)
	case record.Outcome == outcomeAllow || reason != record.Reason:
		err = fmt.Errorf("the response does not verify (%s), and was recorded as %s %s", reason, record.Outcome, record.Reason)
	}
	r.add(StepRegistration, err, "the response does not verify, as was recorded: "+reason)
}

// same compares everything but the attestation, which has a step of its own.
func (v *Verified) same(other *Verified) bool {
	if other == nil {
		return false
	}
	a, b := *v, *other
	a.Attestation, b.Attestation = Attestation{}, Attestation{}
	return equalJSON(a, b)
}

// equalJSON compares two values as they are written: nil and empty are written apart
// nowhere that it matters here.
func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
