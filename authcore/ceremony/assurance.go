package ceremony

import (
	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// assurance is what the sign-in is worth. It is the same whenever it is asked, and costs
// no memory.
func (in *signIn) assurance() assurance.Result {
	flags := in.assertion.Flags
	known := assurance.From(&in.known.credential, &in.snap.Policy)
	known.UserVerified, known.BackedUp = flags.UserVerified(), flags.BackedUp()
	// Where policy lets a change of backup eligibility pass, the weaker of the two counts.
	known.BackupEligible = known.BackupEligible || flags.BackupEligible()
	return assurance.Of(known)
}

// exchanged is the assurance of a session whose code is traded. Its level was settled at
// the sign-in, and stands in its tokens; why it is no higher is told by what is known now.
func (k *known) exchanged(snap *tenant.Snapshot, sess *session.Session, backedUp bool) assurance.Result {
	in := assurance.From(&k.credential, &snap.Policy)
	in.UserVerified, in.BackedUp = sess.UserVerified, backedUp
	r := assurance.Of(in)
	r.AAL = sess.AAL
	return r
}
