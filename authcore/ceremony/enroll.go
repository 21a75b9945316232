package ceremony

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// enrollment is one FinishRegistration on its way.
type enrollment struct {
	id       uuid.UUID // of the ceremony
	at       time.Time
	scope    scope.Scope
	ring     *keys.Ring
	snap     *tenant.Snapshot
	begun    *registration
	verified webauthn.Registration
	expired  bool // it is verified but for certificates that have ended: for the policy to refuse
	nickname string
	proof    proof
	laps     laps

	metadata *mds.Snapshot      // that the verdict goes by; nil for none
	roots    []attestation.Root // of the tenant, that it was tried on
	verdict  attestation.Verdict
	facts    policy.RegistrationFacts
	decision policy.Decision // zero until the policy has judged
}

// FinishRegistration verifies what the authenticator made (WebAuthn L3
// #sctn-registering-a-new-credential) and stores the credential, with its user if
// that one is new. Challenge, registration token, user, credential, ceremony, audit
// entry and event are one transaction: whatever fails burns nothing, except that what the
// policy refuses spends the challenge, with a record of its own.
//
// Errors: ErrChallengeUnknown, ErrChallengeExpired, ErrChallengeSpent; webauthn's;
// ErrRegistrationSpent, ErrRegistrationExpired; ErrRecoveryClosed; ErrCredentialExists,
// ErrTooManyCredentials, ErrUserMoved; what policy refuses, see judge.go; user.ErrNotFound, user.ErrBlocked;
// credential.ErrNickname; tenant.ErrSuspended; db.ErrUnavailable,
// ephemeral.ErrUnavailable.
func (s *Service) FinishRegistration(ctx context.Context, sc scope.Scope, req FinishRegistrationRequest) (Registered, error) {
	ctx = db.WithPriority(ctx, db.Urgent)
	id, err := mint(s.store.Now())
	if err != nil {
		return Registered{}, err
	}
	e := enrollment{id: id, scope: sc, laps: start()}
	done, err := s.enroll(ctx, sc, &e, &req)
	if err != nil && e.decision.Outcome == policy.Deny {
		err = s.recordRefused(ctx, &e, err)
	}
	if err != nil {
		detail := s.keepRefused(ctx, sc, &e, err)
		s.refuseFinish(ctx, sc, actionRegister, e.attempt(&req.Response, err), err, detail...)
	}
	if e.begun != nil && s.tail.Watched(sc.Tenant()) {
		s.tail.End(sc.Tenant(), tail.Ref(e.begun.Challenge), id)
	}
	if err != nil {
		return Registered{}, err
	}
	return done, nil
}

func (s *Service) enroll(ctx context.Context, sc scope.Scope, e *enrollment, req *FinishRegistrationRequest) (Registered, error) {
	var err error
	if e.ring, e.snap, err = s.tenant(ctx, sc); err != nil {
		return Registered{}, err
	}
	if e.begun, err = s.recall(ctx, sc, e.ring, req.ID); err != nil {
		return Registered{}, err
	}
	e.at = s.store.Now()
	if err := e.open(e.at, req.Publishable); err != nil {
		return Registered{}, err
	}
	e.laps.end(lapOpen)
	algorithms := make([]webauthn.Algorithm, len(e.begun.Algorithms))
	for i, a := range e.begun.Algorithms {
		algorithms[i] = webauthn.Algorithm(a)
	}
	e.proof = proof{vault: s.evidence, at: e.at, rp: relyingParty(e.snap), response: &req.Response}
	e.proof.expected = webauthn.RegistrationExpectation{
		Challenge: e.begun.Challenge, Algorithms: algorithms,
		// What was promised at begin, and not less than what is policy by now.
		RequireUserVerification: e.begun.RequireUV || e.snap.Policy.UserVerification == policy.Required && !e.begun.Conditional,
		Conditional:             e.begun.Conditional,
		At:                      e.at,
	}
	e.verified, err = webauthn.VerifyRegistration(e.proof.rp, e.proof.expected, req.Response)
	if e.expired = errors.Is(err, webauthn.ErrAttestationExpired); err != nil && !e.expired {
		return Registered{}, err
	}
	e.laps.end(lapVerify)
	e.proof.verified = true
	e.metadata = s.metadata()
	if e.roots, err = s.trusted(ctx, sc, &e.verified); err != nil {
		return Registered{}, err
	}
	e.verdict = attestation.Judge(e.verified.Attestation, e.verified.AAGUID, e.at, e.metadata, e.roots)
	e.gather(e.at)
	e.laps.end(lapAttest)
	if req.Nickname == nil {
		e.nickname = credential.DefaultNickname(authenticator.Name(e.verified.AAGUID, e.metadata))
	} else if e.nickname, err = credential.CleanNickname(*req.Nickname); err != nil {
		return Registered{}, err
	}
	var done Registered
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if done, err = e.commit(ctx, tx); err != nil || req.Also == nil {
			return err
		}
		return req.Also(ctx, tx, done.User.ID.UUID())
	})
	return done, err
}

// trusted returns the tenant's roots that may attest the authenticator. What shows no
// certificate has nothing to be tried on them, and asks for none.
func (s *Service) trusted(ctx context.Context, sc scope.Scope, v *webauthn.Registration) ([]attestation.Root, error) {
	if s.roots == nil || !certified(&v.Attestation) {
		return nil, nil
	}
	all, err := s.roots(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("attestation roots: %w", err)
	}
	var may []attestation.Root
	for i := range all {
		if all[i].Attests(v.AAGUID) {
			may = append(may, all[i])
		}
	}
	return may, nil
}

// certified reports whether a statement, or a part of it, came with certificates.
func certified(a *webauthn.Attestation) bool {
	if len(a.X5C) > 0 {
		return true
	}
	for i := range a.Parts {
		if certified(&a.Parts[i]) {
			return true
		}
	}
	return false
}

// open judges whether the registration may still finish, and by this caller.
func (e *enrollment) open(now time.Time, publishable bool) error {
	switch {
	case publishable && e.begun.TokenHash == nil && !e.begun.BySession:
		return ErrChallengeUnknown // a server began it: nobody vouched for this browser
	case e.begun.RPID != e.snap.RPID:
		return webauthn.ErrRPID // the tenant has moved to another domain meanwhile
	case !now.Before(e.begun.ExpiresAt):
		return ErrChallengeExpired
	case e.begun.TokenExpiry != nil && !now.Before(*e.begun.TokenExpiry):
		return ErrRegistrationExpired
	}
	return nil
}

// commit is the transaction. It may run twice.
func (e *enrollment) commit(ctx context.Context, tx *db.TenantTx) (Registered, error) {
	hash := e.begun.hash()
	if err := e.spend(ctx, tx, hash[:], e.begun.ExpiresAt, ErrChallengeSpent); err != nil {
		return Registered{}, err
	}
	if e.begun.TokenHash != nil && e.begun.Recovery == nil {
		if err := e.spend(ctx, tx, e.begun.TokenHash, *e.begun.TokenExpiry, ErrRegistrationSpent); err != nil {
			return Registered{}, err
		}
	}
	u, err := e.owner(ctx, tx)
	if err != nil {
		return Registered{}, err
	}
	if e.begun.Recovery != nil {
		if err := e.recover(ctx, tx); err != nil {
			return Registered{}, err
		}
	}
	kept, err := tx.CountKeptCredentials(ctx, u.ID.UUID())
	if err != nil {
		return Registered{}, fmt.Errorf("count credentials: %w", err)
	}
	if err := e.standing(ctx, tx); err != nil {
		return Registered{}, err
	}
	if err := e.decide(int(kept)); err != nil {
		return Registered{}, err
	}
	if err := e.keep(ctx, tx, u.ID); err != nil {
		return Registered{}, err
	}
	params := e.row(tx.Now(), u.ID)
	if params.Extensions, err = e.extensions(); err != nil {
		return Registered{}, err
	}
	row, err := tx.InsertCredential(ctx, params)
	if db.IsNoRows(err) {
		return Registered{}, ErrCredentialExists // §7.1 step 26
	} else if err != nil {
		return Registered{}, fmt.Errorf("insert credential: %w", err)
	}
	if isFake(e.ring, e.verified.CredentialID) {
		// Somebody tries whether an ID that was shown for a name is real: a real one is
		// taken. Asked after the insert, so that both answers take the same work.
		return Registered{}, ErrCredentialExists
	}
	return Registered{
		User: u, Credential: credential.FromRow(row), Attestation: e.verified.Attestation, Verdict: e.verdict, EvidenceID: e.proof.kept.Ref(),
	}, e.record(ctx, tx, u.ID)
}

// spend makes a challenge or token one-time. A concurrent finish with the same one
// waits here for this transaction to end.
func (e *enrollment) spend(ctx context.Context, tx *db.TenantTx, hash []byte, expiry time.Time, spent error) error {
	n, err := tx.SpendChallenge(ctx, tenantq.SpendChallengeParams{Hash: hash, Slot: db.Slot(expiry), Spender: e.id})
	if err != nil {
		return fmt.Errorf("spend challenge: %w", err)
	}
	if n == 0 {
		return spent
	}
	return nil
}

// owner returns the user, locked: two registrations at once could each count the
// other's credential out, and together exceed the limit. A newcomer's row is locked by
// having been inserted here.
func (e *enrollment) owner(ctx context.Context, tx *db.TenantTx) (user.User, error) {
	if e.begun.Newcomer != nil {
		u, err := user.Insert(ctx, tx, e.ring, *e.begun.Newcomer)
		if errors.Is(err, user.ErrExists) {
			// Another registration made the user, with another handle than this one's
			// authenticator was told.
			return user.User{}, ErrUserMoved
		}
		return u, err
	}
	id := user.ID(*e.begun.User)
	if _, err := tx.LockUser(ctx, id.UUID()); db.IsNoRows(err) {
		return user.User{}, user.ErrNotFound
	} else if err != nil {
		return user.User{}, fmt.Errorf("lock user: %w", err)
	}
	u, err := get(ctx, tx, e.ring, id) // read again under the lock
	if err == nil && u.State != user.Active {
		err = user.ErrBlocked
	}
	return u, err
}

// row is the credential record (WebAuthn L3 #credential-record, §7.1 step 27).
func (e *enrollment) row(now time.Time, owner user.ID) tenantq.InsertCredentialParams {
	v := &e.verified
	// In the order of getTransports(), as fakes have them (WebAuthn L3
	// #dom-authenticatorattestationresponse-gettransports).
	transports := slices.Sorted(slices.Values(v.Transports))
	if transports == nil {
		transports = []string{}
	}
	return tenantq.InsertCredentialParams{
		ID: v.CredentialID, UserID: owner.UUID(), SignCount: int64(v.SignCount),
		BackedUp: v.Flags.BackedUp(), BackupEligible: v.Flags.BackupEligible(),
		PublicKey: v.PublicKey, Algorithm: int32(v.Algorithm), Aaguid: v.AAGUID,
		AttestationFormat: v.Attestation.Format, AttestationType: attestationType(v.Attestation.Type),
		Transports: transports, Attachment: v.Attachment, Discoverable: v.Discoverable,
		Nickname: e.nickname, RegisteredVia: string(e.via()), Now: now,
		Trust: string(e.verdict.Trust), Certification: e.verdict.Certification, RegisteredAal: int16(e.facts.SessionAAL), Extensions: "{}", //nolint:gosec // 0 to 3
		RpID: e.begun.RPID, Lowered: e.begun.Recovery != nil, EvidenceID: e.proof.kept.Ref(),
	}
}

// attestationType is how a type stands in the row.
func attestationType(t webauthn.AttestationType) string {
	switch t {
	case webauthn.AttestationNone:
		return "NONE"
	case webauthn.AttestationSelf:
		return "SELF"
	case webauthn.AttestationBasic:
		return "BASIC"
	case webauthn.AttestationAttCA:
		return "ATTCA"
	case webauthn.AttestationAnonCA:
		return "ANONCA"
	case webauthn.AttestationUnknown:
		return "UNKNOWN"
	}
	return "UNKNOWN"
}

// via says who vouched for the person: a server, which also made the token, unless it is
// a recovery's; or the person, who had signed in.
func (e *enrollment) via() credential.Via {
	switch {
	case e.begun.Recovery != nil:
		return credential.Via(e.begun.Via)
	case e.begun.BySession:
		return credential.ViaSession
	case e.begun.TokenHash != nil:
		return credential.ViaRegistrationToken
	}
	return credential.ViaServerKey
}

func (e *enrollment) record(ctx context.Context, tx *db.TenantTx, owner user.ID) error {
	v, id := &e.verified, owner.UUID()
	e.laps.end(lapStore)
	if err := insertCeremony(ctx, tx, e.scope, &e.laps, tenantq.InsertCeremonyParams{
		At: tx.Now(), ID: e.id, Kind: kindRegistration, Outcome: string(Allow), UserID: &id, CredentialID: v.CredentialID,
		PolicyVersion: int32(e.snap.PolicyVersion), Facts: string(e.laps.append(e.facts.AppendJSON(nil))), //nolint:gosec // an integer column
	}); err != nil {
		return fmt.Errorf("insert ceremony: %w", err)
	}
	detail := []attr.Attr{
		attr.UUID("userId", id), attr.Text("via", string(e.via())), attr.UUID("aaguid", v.AAGUID),
		attr.Text("attestation", v.Attestation.Format), attr.Text("trust", e.facts.Trust), attr.Bool("userVerified", v.Flags.UserVerified()),
	}
	if len(e.decision.Flags) > 0 {
		detail = append(detail, attr.Texts("flags", e.decision.Flags))
	}
	detail = append(detail, e.proof.detail()...)
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: actionRegister, Target: audit.Target{Kind: "credential", ID: credential.ID(v.CredentialID).String()}, Detail: detail, Subject: id,
	}); err != nil {
		return err
	}
	created := event.Event{Type: event.CredentialCreated, UserID: id, CredentialID: v.CredentialID}
	if len(e.decision.Flags) > 0 {
		created.Data = []attr.Attr{attr.Texts("flags", e.decision.Flags)}
	}
	return event.Append(ctx, tx, created)
}
