package assurance

import (
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// Reach is how far a user's credentials could take them, each with its user verified. It
// holds what differs between policies apart, so that AAL can answer for any of them. The
// zero Reach is that of a user without credentials.
type Reach struct {
	Bound         uint8                // best level of those that stay on their device, whatever their model is certified for; 0: there are none
	Synced        uint8                // best level of those that can be backed up, 1 or 2; 0: there are none
	Certification policy.Certification // highest of those that Bound has at AAL3; empty else
}

// Add takes a credential in, with what it was found to be at registration. Whether it may
// sign in at all, by its state, is the caller's to know.
func (r *Reach) Add(c *credential.Credential) {
	// The most that a policy allows: no policy asks for less than this.
	in := From(c, &policy.Document{SyncedAAL: AAL2, AAL3Certification: DefaultCertification})
	in.UserVerified = true
	if in.BackupEligible {
		r.Synced = max(r.Synced, Of(in).AAL)
		return
	}
	own := in.Certification
	in.Certification = DefaultCertification // what it has is told apart
	level := Of(in).AAL
	r.Bound = max(r.Bound, level)
	if level == AAL3 && own.AtLeast(r.Certification) {
		r.Certification = own
	}
}

// AAL is the best level that a policy lets them reach, 1 to 3, or 0 where there is no
// credential.
func (r *Reach) AAL(p *policy.Document) uint8 {
	switch {
	case r.Bound >= AAL3 && certified(r.Certification, p.AAL3Certification):
		return AAL3
	case r.Bound >= AAL2, r.Synced >= AAL2 && p.SyncedAAL >= AAL2:
		return AAL2
	case r.Bound >= AAL1, r.Synced >= AAL1:
		return AAL1
	}
	return 0
}
