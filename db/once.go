package db

import (
	"bytes"
	"context"
	"fmt"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/idempotency"
)

// Result says what this call answers, for its Idempotency-Key. A mutating method
// calls it as the last thing before fn returns nil; without it a repeat is answered
// with idempotency.ErrNotReplayable. It does nothing for calls without a key.
func (tx *TenantTx) Result(v any) { tx.result = v }

// Result is TenantTx.Result for calls of the platform plane.
func (tx *PlatformTx) Result(v any) {
	if tx.home != nil {
		tx.home.result = v
	}
}

// once runs fn as the transaction of call: claim the key, or answer as before.
func once(ctx context.Context, tx *TenantTx, call *idempotency.Call, fn func() error) error {
	actor := call.Scope.Actor().String()
	if err := tx.DropIdempotencyKey(ctx, tenantq.DropIdempotencyKeyParams{
		Actor: actor, Method: call.Method, Key: call.Key, OlderThan: tx.now.Add(-idempotency.Life),
	}); err != nil {
		return fmt.Errorf("drop expired idempotency key: %w", err)
	}
	// The insert waits for a concurrent call with the same key to commit or roll back.
	n, err := tx.ClaimIdempotencyKey(ctx, tenantq.ClaimIdempotencyKeyParams{
		Actor: actor, Method: call.Method, Key: call.Key, BodyHash: call.BodyHash[:], CreatedAt: tx.now,
	})
	if err != nil {
		return fmt.Errorf("claim idempotency key: %w", err)
	}
	if n == 0 {
		row, err := tx.GetIdempotencyKey(ctx, tenantq.GetIdempotencyKeyParams{Actor: actor, Method: call.Method, Key: call.Key})
		switch {
		case err != nil:
			return fmt.Errorf("get idempotency key: %w", err)
		case !bytes.Equal(row.BodyHash, call.BodyHash[:]):
			return idempotency.ErrReused
		case row.Response == nil:
			return idempotency.ErrNotReplayable
		}
		return &idempotency.ReplayedError{Response: row.Response}
	}
	if err := fn(); err != nil {
		return err
	}
	if call.Encode == nil || tx.result == nil {
		return nil
	}
	response, err := call.Encode(tx.result)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if response == nil {
		return nil
	}
	if err := tx.AnswerIdempotencyKey(ctx, tenantq.AnswerIdempotencyKeyParams{
		Actor: actor, Method: call.Method, Key: call.Key, Response: response,
	}); err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	return nil
}
