package siem

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// counts are of this server, since it began.
type counts struct{ sent, rejected, blocked, failed atomic.Int64 }

// Steps of a delivery, as tests name them.
const (
	stepClaimed      = "claimed"
	stepRead         = "read"
	stepAcknowledged = "acknowledged" // by the sink: the cursor has not moved
	stepAdvanced     = "advanced"
)

func (s *Service) at(step string) error {
	if s.step == nil {
		return nil
	}
	return s.step(step)
}

// errLost says that the stream was changed, or is another's after a silence: what was sent and not noted
// is sent again.
var errLost = errors.New("the log stream is no longer this delivery's")

// delivery is one turn of one stream.
type delivery struct {
	*Service

	sc     scope.Scope
	row    tenantq.SiemSink
	lease  uuid.UUID
	target target
	to     sender
	limit  int // entries at once: fewer where the sink has said that they are too large
}

// Deliver sends what is due of one stream, until nothing is left or its turn is over. It does nothing while
// another server delivers, before the stream is due, and when it is paused or gone. That the sink has failed is
// noted on the stream and answered by a *SinkError.
func (s *Service) Deliver(ctx context.Context, sc scope.Scope, id uuid.UUID) error {
	d := &delivery{Service: s, sc: sc, lease: uuid.New(), limit: maxBatch}
	claimed := false
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		d.row, err = tx.ClaimSink(ctx, tenantq.ClaimSinkParams{ID: id, Lease: d.lease, Until: tx.Now().Add(s.timing.lease), Now: tx.Now()})
		if claimed = err == nil; !claimed && !db.IsNoRows(err) {
			return fmt.Errorf("claim log stream: %w", err)
		}
		return nil
	})
	if err != nil || !claimed {
		return err
	}
	err = d.run(ctx)
	// What is left behind is noted also when this server is stopping: another goes on at once.
	done, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var refused *SinkError
	switch {
	case errors.Is(err, errLost):
		return nil
	case errors.As(err, &refused) && ctx.Err() == nil:
		s.counts.failed.Add(1)
		return errors.Join(refused, d.fail(done, refused))
	}
	return errors.Join(err, d.release(done))
}

func (d *delivery) run(ctx context.Context) error {
	if err := d.at(stepClaimed); err != nil {
		return err
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	defer d.to.close()
	for until := time.Now().Add(d.timing.turn); time.Now().Before(until); {
		more, err := d.batch(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// prepare opens the credential and makes the sender.
func (d *delivery) prepare(ctx context.Context) error {
	d.target = target{Config: configOf(&d.row), id: d.row.ID, tenant: d.sc.Tenant(), version: d.row.Version}
	if d.row.Credential != nil {
		ring, err := d.keys.Ring(ctx, d.sc)
		if err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		plain, err := ring.Open(credentialField, d.row.ID[:], d.row.Credential)
		if err != nil {
			return err
		}
		d.target.credential = string(plain)
	}
	d.to = d.wire.open(&d.target)
	return nil
}

// batch delivers one batch, and reports whether there may be more.
func (d *delivery) batch(ctx context.Context) (more bool, err error) {
	list, err := d.trail.Sequenced(ctx, d.sc, d.row.NextSeq, d.limit)
	if err != nil || len(list) == 0 {
		return false, err
	}
	if err := d.at(stepRead); err != nil {
		return false, err
	}
	var batch, blocked []message
	size, next, read := 0, d.row.NextSeq, int64(0)
	for i := range list {
		if d.target.wants(&list[i].Record) {
			m, err := d.target.render(d.sc.Tenant(), &list[i])
			if err != nil {
				return false, err
			}
			if len(m.blocked) > 0 {
				blocked = append(blocked, m)
			} else {
				if len(batch) > 0 && size+len(m.body) > maxBatchBytes {
					break
				}
				size += len(m.body)
				batch = append(batch, m)
			}
		}
		next, read = list[i].Seq+1, read+1
	}
	var rejects map[int]string
	if len(batch) > 0 {
		if rejects, err = d.send(ctx, batch); errors.Is(err, errSmaller) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		if err := d.at(stepAcknowledged); err != nil {
			return false, err
		}
	}
	// Numbers have no gaps but those of what was archived meanwhile.
	if err := d.advance(ctx, next, next-d.row.NextSeq-read, batch, blocked, rejects); err != nil {
		return false, err
	}
	return true, d.at(stepAdvanced)
}

// errSmaller says that the same is to be tried with fewer entries.
var errSmaller = errors.New("the sink takes fewer entries at once")

// send sends a batch. One that is too large is sent in halves; an entry that is too large by itself is rejected.
func (d *delivery) send(ctx context.Context, batch []message) (map[int]string, error) {
	rejects, err := d.to.send(ctx, batch)
	var refused *SinkError
	if !errors.As(err, &refused) || !refused.tooLarge {
		return rejects, err
	}
	if len(batch) > 1 {
		d.limit = max(1, min(d.limit, len(batch))/2)
		return nil, errSmaller
	}
	if d.limit > 1 { // the filter left one of several
		d.limit = 1
		return nil, errSmaller
	}
	return map[int]string{0: "the sink takes nothing that large"}, nil
}

// advance moves the cursor to next, in a transaction of its own: the sink has acknowledged all before it, but what is
// blocked, which it was not sent.
func (d *delivery) advance(ctx context.Context, next, missed int64, batch, blocked []message, rejects map[int]string) error {
	var note tenantq.NoteRejectsParams
	for i, why := range rejects {
		note.Seqs, note.Reasons = append(note.Seqs, batch[i].seq), append(note.Reasons, why)
	}
	for i := range blocked {
		note.Seqs, note.Reasons = append(note.Seqs, blocked[i].seq), append(note.Reasons, blockedReason(blocked[i].blocked))
	}
	sent := int64(len(batch) - len(rejects))
	err := d.store.InTenant(ctx, d.sc, func(tx *db.TenantTx) error {
		n, err := tx.AdvanceSink(ctx, tenantq.AdvanceSinkParams{
			ID: d.row.ID, Lease: d.lease, Was: d.row.NextSeq, NextSeq: next, Sent: sent, Rejected: int64(len(rejects)), Missed: missed, Blocked: int64(len(blocked)),
			Answered: len(batch) > 0, Now: tx.Now(), Until: tx.Now().Add(d.timing.lease),
		})
		switch {
		case err != nil:
			return fmt.Errorf("advance log stream: %w", err)
		case n == 0:
			return errLost
		case len(note.Seqs) == 0:
			return nil
		}
		note.SinkID, note.Now = d.row.ID, tx.Now()
		if err := tx.NoteRejects(ctx, note); err != nil {
			return fmt.Errorf("note rejects: %w", err)
		}
		if err := tx.TrimRejects(ctx, tenantq.TrimRejectsParams{SinkID: d.row.ID, Keep: keepRejects}); err != nil {
			return fmt.Errorf("trim rejects: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.row.NextSeq = next
	d.counts.sent.Add(sent)
	d.counts.rejected.Add(int64(len(rejects)))
	d.counts.blocked.Add(int64(len(blocked)))
	return nil
}

func (d *delivery) release(ctx context.Context) error {
	return d.store.InTenant(ctx, d.sc, func(tx *db.TenantTx) error {
		if err := tx.ReleaseSink(ctx, tenantq.ReleaseSinkParams{ID: d.row.ID, Lease: d.lease}); err != nil {
			return fmt.Errorf("release log stream: %w", err)
		}
		return nil
	})
}

func (d *delivery) fail(ctx context.Context, f *SinkError) error {
	return d.store.InTenant(ctx, d.sc, func(tx *db.TenantTx) error {
		wait := max(d.timing.pause(int(d.row.Failures)), min(f.retryAfter, d.timing.maxBackoff))
		if err := tx.FailSink(ctx, tenantq.FailSinkParams{ID: d.row.ID, Lease: d.lease, Error: f.Text, Now: tx.Now(), DueAt: tx.Now().Add(wait)}); err != nil {
			return fmt.Errorf("note a failure of a log stream: %w", err)
		}
		return nil
	})
}

// pause is how long to wait after a failure that followed failures in a row: twice as long each
// time, and less by chance, so that the streams of one server that was away do not come back as one.
func (t *timing) pause(failures int) time.Duration {
	wait := t.maxBackoff
	if failures < 16 {
		wait = min(t.backoff<<failures, t.maxBackoff)
	}
	return wait/2 + rand.N(wait/2+1) //nolint:gosec // to spread, not to hide
}
