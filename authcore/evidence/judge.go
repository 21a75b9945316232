package evidence

import (
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// judge repeats the verdict on the attestation, where one was recorded.
func (r *Report) judge(record *Record, _ *webauthn.Registration) {
	if record.Verdict == nil {
		r.add(StepVerdict, nil, "none was recorded")
	}
}
