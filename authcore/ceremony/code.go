package ceremony

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// code stands for a session whose tokens a browser may not hold: its server trades
// it for them.
type code struct {
	session   uuid.UUID
	expiresAt time.Time
	backedUp  bool // at the sign-in
}

const (
	sealCode keys.Purpose = "code"

	// codeLife is how long a browser has to hand its code to its server.
	codeLife = 60 * time.Second

	codeForm  = 1
	codeBytes = 1 + 1 + 8 + 16
)

func (c *code) seal(ring *keys.Ring) string {
	var buf [codeBytes]byte
	plain := append(buf[:0], codeForm, 0)
	if c.backedUp {
		plain[1] = 1
	}
	plain = binary.BigEndian.AppendUint64(plain, uint64(c.expiresAt.UnixMicro()))
	plain = append(plain, c.session[:]...)
	var sealed [keys.Overhead + codeBytes]byte
	return base64.RawURLEncoding.EncodeToString(ring.SealToken(sealCode, sealed[:0], plain))
}

func openCode(ring *keys.Ring, text string) (code, error) {
	if len(text) > 256 { // ours are shorter
		return code{}, ErrCode
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return code{}, ErrCode
	}
	plain, err := ring.OpenToken(sealCode, sealed)
	if err != nil || len(plain) != codeBytes || plain[0] != codeForm {
		return code{}, ErrCode
	}
	return code{
		backedUp:  plain[1] == 1,
		expiresAt: time.UnixMicro(int64(binary.BigEndian.Uint64(plain[2:]))).UTC(), //nolint:gosec // as it was sealed
		session:   uuid.UUID(plain[10:]),
	}, nil
}

// hash is what is kept of a code that was traded: there is one for each session.
func (c *code) hash() [32]byte {
	return sha256.Sum256(append([]byte("biocore code\x00"), c.session[:]...))
}

// ExchangeCode trades the code of a sign-in for its session, once, within a minute.
// For callers with a server key. ErrCode for what is no code of this tenant,
// ErrCodeExpired, ErrCodeSpent; session.ErrRevoked and session.ErrExpired when the
// session has ended meanwhile.
func (s *Service) ExchangeCode(ctx context.Context, sc scope.Scope, text string) (Exchanged, error) {
	ctx = db.WithPriority(ctx, db.Urgent)
	ring, snap, err := s.tenant(ctx, sc)
	if err != nil {
		return Exchanged{}, err
	}
	c, err := openCode(ring, text)
	if err == nil && !s.store.Now().Before(c.expiresAt) {
		err = ErrCodeExpired
	}
	var k *known
	var sess session.Session
	if err == nil {
		err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			sess, k, err = exchange(ctx, tx, ring, &c)
			return err
		})
	}
	if err != nil {
		s.refuse(ctx, sc, actionExchange, c.session, err)
		return Exchanged{}, err
	}
	tokens, err := s.sessions.Issue(ctx, ring, snap, sess, true)
	if err != nil {
		return Exchanged{}, fmt.Errorf("issue tokens: %w", err)
	}
	return Exchanged{
		User: k.user, Credential: k.credential, Session: sess, Tokens: tokens,
		Assurance: k.exchanged(snap, &sess, c.backedUp),
	}, nil
}

func exchange(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, c *code) (session.Session, *known, error) {
	hash := c.hash()
	// The insert waits for a concurrent exchange of the same code: one of the two wins.
	n, err := tx.SpendChallenge(ctx, tenantq.SpendChallengeParams{Hash: hash[:], Slot: db.Slot(c.expiresAt), Spender: c.session})
	if err != nil {
		return session.Session{}, nil, fmt.Errorf("spend code: %w", err)
	} else if n == 0 {
		return session.Session{}, nil, ErrCodeSpent
	}
	row, err := tx.GetSession(ctx, c.session)
	if db.IsNoRows(err) {
		return session.Session{}, nil, session.ErrRevoked // erased with its user
	} else if err != nil {
		return session.Session{}, nil, fmt.Errorf("get session: %w", err)
	}
	sess := session.FromRow(row)
	switch {
	case sess.RevokedAt != nil:
		return session.Session{}, nil, session.ErrRevoked
	case !tx.Now().Before(sess.ExpiresAt):
		return session.Session{}, nil, session.ErrExpired
	}
	found, err := tx.GetCredentialForSignIn(ctx, sess.CredentialID.Bytes())
	if err != nil {
		return session.Session{}, nil, fmt.Errorf("get credential: %w", err)
	}
	k, err := fromRow(ring, found)
	if err != nil {
		return session.Session{}, nil, err
	}
	k.user.LastSignInAt = &sess.CreatedAt
	return sess, k, audit.Append(ctx, tx, audit.Entry{
		Action: actionExchange, Target: audit.Target{Kind: "session", ID: sess.ID.String()},
		Detail: []attr.Attr{attr.UUID("userId", sess.UserID.UUID())}, Subject: sess.UserID.UUID(),
	})
}
