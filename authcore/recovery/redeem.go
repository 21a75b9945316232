package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// RedeemRequest is a name and a code, as somebody typed it.
type RedeemRequest struct {
	secret.Hidden

	ExternalID string
	Code       string
}

// Redeem spends a code, for good, and returns the recovery that it opens. So many wrong
// ones in a row as the policy says, and the name is locked: then right ones are refused
// too, and are not spent. The first lock is a minute long, and each failure that follows one
// doubles it, up to what the policy says. ErrRefused for all that does not work; ErrCodesOff,
// tenant.ErrSuspended.
func (s *Service) Redeem(ctx context.Context, sc scope.Scope, req RedeemRequest) (Grant, error) {
	ring, snap, err := s.tenant(ctx, sc)
	if err != nil {
		return Grant{}, err
	}
	if !snap.Policy.RecoveryCodes {
		return Grant{}, ErrCodesOff
	}
	id, err := mint()
	if err != nil {
		return Grant{}, err
	}
	var a attempt
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		a = attempt{id: id, ring: ring, snap: snap}
		return a.run(ctx, tx, &req)
	}); err != nil {
		return Grant{}, err
	}
	if a.recovery == nil {
		// What was counted is committed, so the refusal is an answer and no error until here.
		e := audit.Entry{Action: actionRedeem, Fault: ErrRefused.Reason, Detail: []attr.Attr{attr.Text("cause", a.cause)}}
		if a.user != nobody {
			e.Target, e.Subject = target(a.user), a.user.UUID()
		}
		s.denials.Record(ctx, sc, e)
		return Grant{}, ErrRefused
	}
	return grant(ring, *a.recovery), nil
}

const (
	actionRedeem = "recovery.redeem"
	actionLock   = "recovery.lock"
)

// Why a redemption was refused, for the audit log of the tenant alone.
const (
	causeUnknown = "USER_UNKNOWN"
	causeBlocked = "USER_BLOCKED"
	causeLocked  = "LOCKED"
	causeCode    = "CODE_INVALID"
)

// nobody is the id of users who do not exist.
var nobody = user.ID(uuid.Max)

// attempt is one Redeem on its way.
type attempt struct {
	id   uuid.UUID // of the recovery
	ring *keys.Ring
	snap *tenant.Snapshot

	user     user.ID
	cause    string    // of the refusal
	recovery *Recovery // nil: refused
}

// run is the transaction. It sends the same statements for everybody whose code does not
// work, and looks at nothing else: who is unknown or blocked, or whose name is locked,
// has a code sought that nobody has.
//
// Against the erasure of the user it may deadlock, whose cascade waits for the code while
// the recovery waits for the user: one of the two runs again.
func (a *attempt) run(ctx context.Context, tx *db.TenantTx, req *RedeemRequest) error {
	subject := a.ring.MAC(macSubject, []byte(req.ExternalID))
	// Guesses at one name come one by one, or a thousand at once would count as one.
	row, err := tx.LockRecoveryAttempts(ctx, tenantq.LockRecoveryAttemptsParams{Subject: subject[:], ExpiresAt: tx.Now().Add(remembered)})
	if err != nil {
		return fmt.Errorf("lock recovery attempts: %w", err)
	}
	counted := failuresOf(row, tx.Now())
	locked := tx.Now().Before(counted.lockedUntil(&a.snap.Policy))
	var state user.State
	a.user, state, err = user.FindState(ctx, tx, a.ring, req.ExternalID)
	switch {
	case errors.Is(err, user.ErrNotFound):
		a.user, a.cause = nobody, causeUnknown
	case err != nil:
		return err
	case locked:
		a.cause = causeLocked
	case state != user.Active:
		a.cause = causeBlocked
	default:
		a.cause = causeCode
	}
	sought := a.user
	if a.cause != causeCode {
		sought = nobody
	}
	spent, err := tx.SpendRecoveryCode(ctx, tenantq.SpendRecoveryCodeParams{
		UserID: sought.UUID(), Hash: hash(a.ring, sought, read(req.Code)), Now: tx.Now(),
	})
	if err != nil {
		return fmt.Errorf("spend recovery code: %w", err)
	}
	if spent == 1 {
		return a.open(ctx, tx, subject)
	}
	return a.count(ctx, tx, subject, counted, locked)
}

// failures is what was counted for a name: failures in a row, and when the last of them was.
type failures struct {
	count int
	last  time.Time
}

const (
	// firstLock is how long the first lock is.
	firstLock = time.Minute
	// remembered is how long failures are counted on after the last of them, and with them how
	// long the next lock is. It is the longest lock that policy allows, too.
	remembered = 24 * time.Hour
)

// failuresOf reads a row, which is kept for remembered after its last failure.
func failuresOf(row tenantq.LockRecoveryAttemptsRow, now time.Time) failures {
	if !now.Before(row.ExpiresAt) {
		return failures{}
	}
	return failures{int(row.Failures), row.ExpiresAt.Add(-remembered)}
}

// lockFor is how long the last failure locks the name: not at all before as many as policy
// allows, then one minute, two, four and so on, up to its longest.
func (f failures) lockFor(p *policy.Document) time.Duration {
	over := f.count - p.RecoveryFailures
	if over < 0 {
		return 0
	}
	return min(firstLock<<min(over, 11), p.RecoveryLockout()) // 2048 minutes are over a day
}

func (f failures) lockedUntil(p *policy.Document) time.Time { return f.last.Add(f.lockFor(p)) }

// count counts a failure, and locks the name with the last one allowed.
func (a *attempt) count(ctx context.Context, tx *db.TenantTx, subject [32]byte, counted failures, locked bool) error {
	if !locked { // else whoever keeps guessing would keep it locked
		counted = failures{counted.count + 1, tx.Now()}
	}
	if err := tx.SetRecoveryAttempts(ctx, tenantq.SetRecoveryAttemptsParams{
		Subject: subject[:], Failures: int32(counted.count), ExpiresAt: counted.last.Add(remembered), //nolint:gosec // one a lock: far from it
	}); err != nil {
		return fmt.Errorf("count recovery attempt: %w", err)
	}
	if err := tx.DropRecoveryAttempts(ctx, tx.Now()); err != nil {
		return fmt.Errorf("drop old recovery attempts: %w", err)
	}
	lockout := counted.lockFor(&a.snap.Policy)
	if locked || lockout == 0 {
		return nil
	}
	// Also for a name that nobody has: as much work, and who probes names is of interest.
	entry := audit.Entry{Action: actionLock, Detail: []attr.Attr{attr.Int("failures", int64(counted.count)), attr.Int("lockoutSeconds", int64(lockout/time.Second))}}
	happened := event.Event{Type: event.RecoveryLocked, Data: []attr.Attr{attr.Int("lockoutSeconds", int64(lockout/time.Second))}}
	if a.user != nobody {
		entry.Target, entry.Subject, happened.UserID = target(a.user), a.user.UUID(), a.user.UUID()
	}
	return record(ctx, tx, entry, happened)
}

// release forgets what was counted for a user's name, and reports whether it was locked. A name
// that does not open is left: nobody can tell what was counted for it.
func release(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, p *policy.Document, id user.ID) (bool, error) {
	row, err := tx.GetUser(ctx, id.UUID())
	if db.IsNoRows(err) {
		return false, user.ErrNotFound
	} else if err != nil {
		return false, fmt.Errorf("get user: %w", err)
	}
	u, err := user.FromRow(ring, row)
	if err != nil {
		return false, nil //nolint:nilerr // documented: its new codes are made all the same
	}
	subject := ring.MAC(macSubject, []byte(u.ExternalID))
	// Before the user's own lock, as in Redeem.
	was, err := tx.LockRecoveryAttempts(ctx, tenantq.LockRecoveryAttemptsParams{Subject: subject[:], ExpiresAt: tx.Now()})
	if err != nil {
		return false, fmt.Errorf("lock recovery attempts: %w", err)
	}
	if err := tx.SetRecoveryAttempts(ctx, tenantq.SetRecoveryAttemptsParams{Subject: subject[:], ExpiresAt: tx.Now()}); err != nil {
		return false, fmt.Errorf("forget recovery attempts: %w", err)
	}
	return tx.Now().Before(failuresOf(was, tx.Now()).lockedUntil(p)), nil
}

// open makes the recovery of a code that was spent.
func (a *attempt) open(ctx context.Context, tx *db.TenantTx, subject [32]byte) error {
	if err := tx.SetRecoveryAttempts(ctx, tenantq.SetRecoveryAttemptsParams{Subject: subject[:], ExpiresAt: tx.Now()}); err != nil {
		return fmt.Errorf("forget recovery attempts: %w", err)
	}
	made, err := insert(ctx, tx, a.snap, tenantq.InsertRecoveryParams{
		ID: a.id, UserID: a.user.UUID(), Kind: string(ByCode), ExpiresAt: tx.Now().Add(grantLife),
	}, actionRedeem)
	a.recovery = &made
	return err
}

// insert makes a recovery that is open, or waits where policy wants a second person.
func insert(ctx context.Context, tx *db.TenantTx, snap *tenant.Snapshot, p tenantq.InsertRecoveryParams, action string) (Recovery, error) {
	p.State, p.RpID, p.RequestedBy, p.CreatedAt = string(Open), snap.RPID, tx.Scope().Actor().String(), tx.Now()
	if snap.Policy.RecoveryApproval == policy.ApprovalSecondPerson {
		p.State = string(Pending)
		if Kind(p.Kind) == ByCode {
			p.ExpiresAt = tx.Now().Add(waitLife)
		}
	}
	row, err := tx.InsertRecovery(ctx, p)
	if err != nil {
		return Recovery{}, fmt.Errorf("insert recovery: %w", err)
	}
	made := fromRow(row, tx.Now())
	return made, record(ctx, tx, audit.Entry{
		Action: action, Target: made.target(), Reason: p.Reason,
		Detail: []attr.Attr{attr.UUID("userId", p.UserID), attr.Text("kind", p.Kind), attr.Text("state", p.State)}, Subject: p.UserID,
	}, made.event(event.RecoveryRequested))
}

func mint() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("mint id: %w", err)
	}
	return id, nil
}
