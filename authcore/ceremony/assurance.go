package ceremony

import (
	"context"
	"fmt"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/db"
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

// readReach finds out how far the user's active credentials could take them, so that a
// second sign-in is asked of nobody whom it could not help. It reads the store: for
// sign-ins alone that are worth too little, none of which is written by the hot path. A
// credential that is suspended counts again when it is resumed.
func (s *Service) readReach(ctx context.Context, in *signIn) error {
	return s.store.ReadTenant(ctx, in.scope, func(tx *db.TenantTx) error {
		rows, err := tx.ListCredentialsOfUser(ctx, in.known.user.ID.UUID())
		if err != nil {
			return fmt.Errorf("list the user's credentials: %w", err)
		}
		in.reach = assurance.Reach{} // this may be the second run
		for _, row := range rows {
			if c := credential.FromRow(row); c.State == credential.Active {
				in.reach.Add(&c)
			}
		}
		return nil
	})
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
