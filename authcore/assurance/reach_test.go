package assurance_test

import (
	"math/rand/v2"
	"testing"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/tenancy/policy"
)

func anyCredential(r *rand.Rand) credential.Credential {
	trusts := []credential.Trust{"", credential.TrustNone, credential.TrustSelf, credential.TrustUntrusted, credential.TrustTenantRoot, credential.TrustMDS, credential.TrustMDS}
	levels := append(policy.Certifications(), "FIDO_CERTIFIED_L9")
	return credential.Credential{
		BackupEligible: r.IntN(2) == 0, Trust: trusts[r.IntN(len(trusts))], Certification: string(levels[r.IntN(len(levels))]),
		Disposition: []string{"", "", "FLAG", "STEP_UP"}[r.IntN(4)], RegisteredAAL: uint8(r.IntN(4)), Lowered: r.IntN(4) == 0,
	}
}

// Reach says of every set of credentials under every policy what judging each of them says.
// It is told before any policy is known, so a rule that it forgets turns this red.
func TestReachIsTheBestOfAll(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	seen := map[uint8]int{}
	for range 20_000 {
		list := make([]credential.Credential, r.IntN(4))
		var reach assurance.Reach
		for i := range list {
			list[i] = anyCredential(r)
			reach.Add(&list[i])
		}
		for _, level := range policy.Certifications() {
			for synced := 1; synced <= 2; synced++ {
				d := policy.Document{SyncedAAL: synced, AAL3Certification: level}
				var want uint8
				for i := range list {
					in := assurance.From(&list[i], &d)
					in.UserVerified = true
					want = max(want, assurance.Of(in).AAL)
				}
				seen[want]++
				if got := reach.AAL(&d); got != want {
					t.Fatalf("%+v under syncedAal %d and %q: AAL%d, want AAL%d of %+v", reach, synced, level, got, want, list)
				}
			}
		}
	}
	for level := range uint8(4) {
		if seen[level] == 0 {
			t.Errorf("AAL%d was never to be reached: the test has lost its teeth", level)
		}
	}
}
