package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// What the sign-in statement writes into audit_inbox.action and event_outbox.type:
// the entry and the event that a SignIn carries are of these.
const (
	SignInAction = "authentication.finish"
	SignInEvent  = "authentication.succeeded"
)

// SignIn is a sign-in whose signature has been verified: everything that is
// written if the credential is still good and the challenge is still unspent.
type SignIn struct {
	// ID is a UUIDv7 made for this sign-in. It is the id of everything that comes
	// of it: the session, the ceremony, the audit entry, the event.
	ID uuid.UUID

	ChallengeHash [32]byte  // SHA-256 of the challenge
	Expiry        time.Time // sealed with the challenge: names its partition

	CredentialID   []byte // WebAuthn's credential ID
	UserID         uuid.UUID
	SignCount      uint32
	AnySignCount   bool // accept a count that did not grow, and report it (WebAuthn L3 #sctn-sign-counter)
	BackupEligible bool // refused when it differs from the stored flag
	BackedUp       bool

	AAL          int16
	UserVerified bool
	Lifetime     time.Duration // of the session, whole seconds

	At            time.Time // Store.Now of the decision: stamps ceremony, entry and event
	PolicyVersion int32
	Facts         []byte // JSON of the ceremony
	AuditEntry    []byte // JSON, with this ID and At
	AuditPrivate  []byte // its private parts: package audit
	Event         []byte // JSON, with this ID and At

	AuditTarget string    // kind/id, as AuditEntry has it
	Browser     string    // a short label: scope.Origin.Browser
	APIKeyID    uuid.UUID // of the call; Nil for none
	Began       time.Time // by time.Now, when the call began: latency is counted from it. Zero: not measured
}

// SignInOutcome is what became of a SignIn.
type SignInOutcome struct {
	// Accepted: session, ceremony, audit entry and event are committed. Otherwise
	// none of them is, and one of these was so when the statement ran: the challenge
	// was spent before; or else it is spent now, and the credential is gone, not
	// active, another user's, its user is blocked, its count did not grow, or its
	// backup eligibility differs. GetSpender and GetCredential tell which.
	Accepted bool

	// RolledBack: AnySignCount let a count pass that did not grow.
	RolledBack bool
	SignCount  uint32 // stored now: the higher of the two

	CreatedAt time.Time // of the session, by Postgres's clock
	ExpiresAt time.Time
}

// SignIn writes a sign-in, together with the sign-ins of other requests that wait
// at the same moment: one transaction, tenant by tenant (writer.go). It answers
// after the commit that holds it. The address and the user agent are those of
// sc's origin.
//
// Errors: ErrScope; ErrOverloaded; ErrUnavailable when Postgres cannot be reached,
// shuts down, or keeps the credential's row locked: the commit may then have
// happened or not; ctx's error when ctx ends before the sign-in's turn, which
// leaves no trace. Once it is its turn the answer is awaited, for two seconds at most.
// Without Run, SignIn waits until ctx ends.
func (s *Store) SignIn(ctx context.Context, sc scope.Scope, in SignIn) (SignInOutcome, error) {
	if sc.IsZero() || sc.IsSupport() {
		return SignInOutcome{}, ErrScope
	}
	if in.ID == uuid.Nil || len(in.CredentialID) == 0 || in.Expiry.IsZero() || in.At.IsZero() {
		return SignInOutcome{}, errors.New("db: a SignIn without ID, CredentialID, Expiry or At")
	}
	row := newSignInRow(sc, in)
	if err := s.signIns.push(row); err != nil {
		return SignInOutcome{}, err
	}
	select {
	case answer := <-row.answer:
		return answer.outcome, answer.err
	case <-ctx.Done():
	}
	if s.signIns.withdraw(row) {
		return SignInOutcome{}, fmt.Errorf("wait for a commit: %w", ctx.Err())
	}
	answer := <-row.answer // it is in flight: whoever holds it answers within its deadline
	return answer.outcome, answer.err
}

// SignInStats counts what the writer did since the Store was opened.
type SignInStats struct {
	Batches int64 // transactions sent, single retries included
	Rows    int64 // sign-ins in them
	Failed  int64 // transactions that Postgres refused or that were lost
	Waiting int   // sign-ins that wait now
}

// SignInStats returns the writer's counters, for metrics.
func (s *Store) SignInStats() SignInStats { return s.signIns.stats() }

// signInRow is a SignIn on its way.
type signInRow struct {
	SignIn
	tenant    uuid.UUID
	slot      int32
	address   netip.Addr
	userAgent []byte
	traceID   string
	requestID string
	answer    chan signInAnswer // holds one: the writer never waits for the reader
	outcome   SignInOutcome     // the writer's, until it is the answer

	// Two sign-ins that share one of these are never in flight together: the
	// credential's row and the challenge's row would make one wait for the other.
	// They are hashes; should two collide, one of the two waits for no reason.
	credentialKey, challengeKey uint64

	// Guarded by the queue.
	state   rowState
	retried bool // in a slow lane: it holds its keys while it waits
}

type rowState uint8

const (
	rowWaiting   rowState = iota // in a lane or parked: may be withdrawn
	rowInFlight                  // a writer holds it
	rowWithdrawn                 // its request is gone: dropped when it is met
)

type signInAnswer struct {
	outcome SignInOutcome
	err     error
}

func (r *signInRow) reply(outcome SignInOutcome, err error) {
	r.answer <- signInAnswer{outcome, err}
}

func newSignInRow(sc scope.Scope, in SignIn) *signInRow {
	r := &signInRow{
		SignIn: in, tenant: sc.Tenant(), slot: Slot(in.Expiry),
		address: sc.Origin().Address.Unmap().WithZone(""), userAgent: clean([]byte(sc.Origin().UserAgent)),
		traceID: cleanString(sc.Origin().TraceID), requestID: cleanString(sc.Origin().RequestID),
		answer: make(chan signInAnswer, 1),
	}
	r.Browser, r.AuditTarget = cleanString(in.Browser), cleanString(in.AuditTarget)
	r.Facts, r.AuditEntry, r.Event = clean(in.Facts), clean(in.AuditEntry), clean(in.Event)
	var h maphash.Hash
	h.SetSeed(rowSeed)
	_, _ = h.Write(r.tenant[:])
	_, _ = h.Write(in.CredentialID)
	r.credentialKey = h.Sum64()
	h.Reset()
	_, _ = h.Write(r.tenant[:])
	_, _ = h.Write(in.ChallengeHash[:])
	r.challengeKey = h.Sum64()
	return r
}

var rowSeed = maphash.MakeSeed()

// Slot returns the partition of spent_challenges for something whose sealed expiry
// is t: its hour, counted in Unix time.
func Slot(t time.Time) int32 {
	return int32(t.Unix() / 3600) //nolint:gosec // until the year 246,953
}

// clean makes text acceptable to Postgres: one bad byte would refuse a whole batch.
func clean(text []byte) []byte {
	if utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 {
		return text
	}
	return []byte(strings.ReplaceAll(strings.ToValidUTF8(string(text), "�"), "\x00", "�"))
}

func cleanString(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return string(clean([]byte(text)))
}

// Micros is d in whole microseconds, as ceremonies.latency_us has it: 0 to 35 minutes.
func Micros(d time.Duration) int32 {
	return int32(min(max(d.Microseconds(), 0), math.MaxInt32))
}
