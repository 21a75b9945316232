package ceremony

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// signIn is one FinishAuthentication on its way.
type signIn struct {
	id          uuid.UUID // of the ceremony and of everything that comes of it
	at          time.Time
	scope       scope.Scope
	ring        *keys.Ring
	snap        *tenant.Snapshot
	begun       authentication
	opened      bool // begun is what was sealed
	known       *known
	assertion   webauthn.Assertion
	publishable bool
	client      scope.Origin     // the user's own: address and user agent, as far as they are known
	signals     risk.Values      // that the tenant's server said
	risk        *risk.Assessment // nil: it is off
	reach       assurance.Reach  // read where policy asks for more than this sign-in is worth; else zero
	laps        laps
}

// FinishAuthentication verifies what the authenticator signed (WebAuthn L3
// #sctn-verifying-assertion) and, when policy allows it, opens a session. What is
// wrong with the response or the credential is an error; what policy makes of a
// valid signature is the Decision. Each sign-in finishes once: the challenge is spent
// with the decision, and not by a response that does not verify.
//
// Errors: ErrChallengeUnknown, ErrChallengeExpired, ErrChallengeSpent; webauthn's;
// credential.ErrNotFound; after a valid signature credential.ErrRevoked,
// ErrCredentialSuspended, user.ErrBlocked, ErrChanged, ratelimit.ErrLimited; tenant.ErrSuspended;
// db.ErrUnavailable and db.ErrOverloaded.
func (s *Service) FinishAuthentication(ctx context.Context, sc scope.Scope, req FinishAuthenticationRequest) (Authenticated, error) {
	ctx = db.WithPriority(ctx, db.Urgent)
	id, err := mint(s.store.Now())
	if err != nil {
		return Authenticated{}, err
	}
	in := signIn{id: id, at: s.store.Now(), scope: sc, publishable: req.Publishable, signals: req.Signals, laps: start()}
	switch {
	case req.Publishable:
		in.client = sc.Origin()
	case req.Client != nil:
		in.client = scope.Origin{Address: req.Client.Address, UserAgent: req.Client.UserAgent}
	}
	done, err := s.finish(ctx, &in, &req)
	if err != nil {
		s.failed(ctx, &in, err)
		s.refuseFinish(ctx, sc, actionAuthenticate, in.attempt(&req.Response, err), err)
	}
	if in.opened && s.tail.Watched(sc.Tenant()) {
		s.tail.End(sc.Tenant(), tail.Ref(in.begun.challenge[:]), id)
	}
	if err != nil {
		return Authenticated{}, err
	}
	return done, nil
}

func (s *Service) finish(ctx context.Context, in *signIn, req *FinishAuthenticationRequest) (Authenticated, error) {
	var err error
	if in.ring, in.snap, err = s.tenant(ctx, in.scope); err != nil {
		return Authenticated{}, err
	}
	if in.begun, err = openAuthentication(in.ring, req.ID); err != nil {
		return Authenticated{}, err
	}
	in.opened = true
	if !in.at.Before(in.begun.expiresAt) {
		return Authenticated{}, ErrChallengeExpired
	}
	in.laps.end(lapOpen)
	if err := s.verify(ctx, in, &req.Response); err != nil {
		return Authenticated{}, err
	}
	if err := s.mayFinish(ctx, in); err != nil {
		return Authenticated{}, err
	}
	if int(in.assurance().AAL) < in.snap.Policy.MinimumAAL {
		if err := s.readReach(ctx, in); err != nil {
			return Authenticated{}, err
		}
	}
	if err := s.assess(ctx, in); err != nil {
		return Authenticated{}, err
	}
	facts := in.facts()
	if d := policy.DecideAuthentication(&in.snap.Policy, &facts); d.Outcome != policy.Allow {
		return s.decline(ctx, in, d)
	}
	write := in.write(&facts)
	outcome, err := s.store.SignIn(ctx, asUser(in.scope, in.known.user.ID), write)
	switch {
	case err != nil:
		return Authenticated{}, err
	case !outcome.Accepted:
		return s.explain(ctx, in, &write)
	}
	s.learn(in)
	// What policy lets in nobody learns of, unless it is recorded.
	if outcome.RolledBack {
		if err := s.recordFlag(ctx, in, actionRollback, in.rolledBack(string(Allow))); err != nil {
			return Authenticated{}, err
		}
	}
	if in.assertion.BackupEligibleChanged {
		if err := s.recordFlag(ctx, in, actionBackupEligible, in.eligibilityChanged()); err != nil {
			return Authenticated{}, err
		}
	}
	return s.allow(ctx, in, outcome)
}

// verify does §7.2 up to the decisions: whose credential it is (steps 5 to 7), and
// the rest by webauthn.VerifyAssertion. A made-up credential is verified against a key
// that nobody has, so that it fails as any wrong signature does.
func (s *Service) verify(ctx context.Context, in *signIn, resp *webauthn.AssertionResponse) error {
	key, stored := s.decoy, webauthn.StoredCredential{}
	k, err := s.find(ctx, in, resp)
	if err != nil {
		return err
	}
	in.laps.end(lapFind)
	if k != nil {
		in.known, key = k, k.key
		stored = webauthn.StoredCredential{
			UserHandle: k.user.Handle, SignCount: k.credential.SignCount, BackupEligible: k.credential.BackupEligible,
		}
	}
	in.assertion, err = webauthn.VerifyAssertion(relyingParty(in.snap), webauthn.AssertionExpectation{
		Challenge: in.begun.challenge[:],
		// What was promised at begin, and not less than what is policy by now.
		RequireUserVerification: in.begun.requireUV || in.snap.Policy.UserVerification == policy.Required,
		UserIdentified:          in.begun.identified,
		Stored:                  stored,
	}, key, *resp)
	in.laps.end(lapVerify)
	if err == nil && k == nil {
		return errors.New("a signature verified against the decoy key") // cannot happen; must not sign in
	}
	return err
}

// find returns the credential that the response names, or nil for a made-up one.
//
// A sign-in that was begun for a user takes only what its options listed (step 5):
// the credentials that this user had then. All else is refused alike, whether it is
// somebody else's or nobody's.
func (s *Service) find(ctx context.Context, in *signIn, resp *webauthn.AssertionResponse) (*known, error) {
	// By the id as it was sent: VerifyAssertion refuses one that is not the raw id's.
	k, cached := s.known.Peek(in.scope.Tenant(), resp.ID)
	// Asked of every id, whatever it turns out to be: the work must not tell.
	fake := isFake(in.ring, resp.RawID)
	fakeOfTheirs := in.begun.identified && isFakeOf(in.ring, resp.RawID, in.begun.user)
	if !cached {
		if fake {
			if err := s.missFake(ctx, in.scope, in.ring, resp); err != nil {
				return nil, err
			}
			if in.begun.identified && !(in.begun.fake && fakeOfTheirs) {
				return nil, webauthn.ErrCredentialNotAllowed
			}
			return nil, nil //nolint:nilnil // documented: made up
		}
		var err error
		k, err = s.lookup(ctx, in.scope, in.ring, resp)
		if errors.Is(err, credential.ErrNotFound) && in.begun.identified {
			return nil, webauthn.ErrCredentialNotAllowed
		} else if err != nil {
			return nil, err
		}
	}
	if in.begun.identified && (in.begun.fake || k.user.ID != in.begun.user || k.credential.CreatedAt.After(in.begun.issuedAt)) {
		return nil, webauthn.ErrCredentialNotAllowed
	}
	return k, nil
}

// write is the sign-in as it is written if the credential is still good.
func (in *signIn) write(known *policy.AuthenticationFacts) db.SignIn {
	a, k := in.assurance(), in.known
	actor := asUser(in.scope, k.user.ID)
	buf := make([]byte, 0, 2048) // facts, entry and event share one allocation, nearly always
	in.laps.end(lapDecide)
	facts := in.laps.append(in.risk.AppendTo(known.AppendJSON(buf)))
	about := in.entry(audit.Success, "")
	entry, private := audit.AppendJSON(facts[len(facts):], actor, in.id, in.at, about)
	happened := event.AppendJSON(entry[len(entry):], actor, in.id, in.at, event.Event{
		Type: event.AuthenticationSucceeded, UserID: k.user.ID.UUID(), CredentialID: in.assertion.CredentialID, SessionID: in.id,
		Data: []attr.Attr{attr.Int("aal", int64(a.AAL))},
	})
	return db.SignIn{
		ID: in.id, ChallengeHash: in.begun.hash(), Expiry: in.begun.expiresAt,
		CredentialID: in.assertion.CredentialID, UserID: k.user.ID.UUID(), SignCount: in.assertion.SignCount,
		AnySignCount:   in.snap.Policy.SignCountRollback == policy.RollbackFlag || in.forgiven(),
		BackupEligible: in.backupEligible(), BackedUp: a.BackedUp,
		AAL: int16(a.AAL), UserVerified: a.UserVerified, Lifetime: in.snap.Policy.SessionLifetime(),
		At: in.at, PolicyVersion: int32(in.snap.PolicyVersion), Facts: facts, AuditEntry: entry, AuditPrivate: private, Event: happened, //nolint:gosec // an integer column
		AuditTarget: about.Target.String(), Browser: in.scope.Origin().Browser(), APIKeyID: apiKey(in.scope), Began: in.laps.began,
	}
}

// backupEligible is what the row must say: as the assertion does, or, where policy lets a
// change pass, as it was at registration.
func (in *signIn) backupEligible() bool {
	if in.snap.Policy.BackupEligibilityChange == policy.LeaveFlag {
		return in.known.credential.BackupEligible
	}
	return in.assertion.Flags.BackupEligible()
}

// forgiven: the step-up that a rollback demanded has been done.
func (in *signIn) forgiven() bool {
	return in.begun.steppedUp && in.snap.Policy.SignCountRollback == policy.RollbackStepUp && in.assertion.Flags.UserVerified()
}

func (in *signIn) entry(outcome audit.Outcome, fault string) audit.Entry {
	return audit.Entry{
		Action: actionAuthenticate, Outcome: outcome, Fault: fault,
		Target:  audit.Target{Kind: "credential", ID: in.known.credential.ID.String()},
		Detail:  []attr.Attr{attr.Bool("userVerified", in.assertion.Flags.UserVerified())}, // the user is the actor
		Subject: in.known.user.ID.UUID(),
	}
}

// allow answers a sign-in that has been committed.
func (s *Service) allow(ctx context.Context, in *signIn, outcome db.SignInOutcome) (Authenticated, error) {
	a := in.assurance()
	done := in.answer(Allow, "")
	done.User.LastSignInAt, done.Credential.LastUsedAt = &outcome.CreatedAt, &outcome.CreatedAt
	done.Credential.SignCount = outcome.SignCount
	done.Credential.BackedUp = a.BackedUp
	if in.publishable && !in.snap.DirectTokens {
		c := code{session: in.id, expiresAt: in.at.Add(codeLife), backedUp: a.BackedUp}
		done.Code = c.seal(in.ring)
		return done, nil
	}
	sess := session.Session{
		ID: session.ID(in.id), UserID: in.known.user.ID, CredentialID: in.known.credential.ID,
		AAL: a.AAL, UserVerified: a.UserVerified,
		Address: in.scope.Origin().Address.Unmap().WithZone(""), UserAgent: in.scope.Origin().UserAgent,
		CreatedAt: outcome.CreatedAt, LastUsedAt: outcome.CreatedAt, ExpiresAt: outcome.ExpiresAt,
	}
	tokens, err := s.sessions.Issue(ctx, in.ring, in.snap, sess, !in.publishable)
	if err != nil {
		return Authenticated{}, fmt.Errorf("issue tokens: %w", err)
	}
	done.Session, done.Tokens = &sess, &tokens
	return done, nil
}

func (in *signIn) answer(d Decision, reason string) Authenticated {
	return Authenticated{User: in.known.user, Credential: in.known.credential, Decision: d, Reason: reason, Assurance: in.assurance(), Risk: in.risk}
}
