package siem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Tested is what came of a test event.
type Tested struct {
	Delivered bool
	Error     string // why not, in our words
	Took      time.Duration
	EventID   uuid.UUID // by which it is found at the sink
}

// maxTest bounds how long somebody waits for a test.
const maxTest = 20 * time.Second

// Test sends one event that is no entry, as the stream writes it, filter aside, also while it is paused. The
// cursor stays. That a sink has failed is an answer, not an error; either leaves an audit entry. ErrNotFound.
func (s *Service) Test(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (Tested, error) {
	var row tenantq.SiemSink
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if row, err = tx.GetSink(ctx, id); db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get log stream: %w", err)
		}
		return nil
	}); err != nil {
		return Tested{}, err
	}
	d := &delivery{Service: s, sc: sc, row: row}
	t, err := d.test(ctx)
	if err != nil {
		return Tested{}, err
	}
	return t, s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := tx.GetSink(ctx, id); db.IsNoRows(err) {
			return ErrNotFound // deleted meanwhile
		} else if err != nil {
			return fmt.Errorf("get log stream: %w", err)
		}
		tx.Result(t)
		e := audit.Entry{
			Action: "logstream.test", Target: audit.Target{Kind: "logstream", ID: id.String()}, Reason: reason,
			Detail: []attr.Attr{attr.UUID("eventId", t.EventID), attr.Bool("delivered", t.Delivered)},
		}
		if !t.Delivered { // the test has done what it is for
			e.Detail = append(e.Detail, attr.Text("error", t.Error))
		}
		return audit.Append(ctx, tx, e)
	})
}

// test sends the event.
func (d *delivery) test(ctx context.Context) (Tested, error) {
	event := trail.Sequenced{Record: trail.Record{
		Seq: -1,
		ID:  uuid.New(), At: d.store.Now(), Action: "logstream.test", Outcome: audit.Success, Actor: d.sc.Actor(),
		Target: audit.Target{Kind: "logstream", ID: d.row.ID.String()}, Detail: json.RawMessage(`{"test":true}`),
	}}
	t := Tested{EventID: event.ID}
	if err := d.prepare(ctx); err != nil {
		return t, err
	}
	defer d.to.close()
	m, err := d.target.render(d.sc.Tenant(), &event)
	if err != nil {
		return t, err
	}
	if len(m.blocked) > 0 { // by the name of who tests
		t.Error = blockedReason(m.blocked)
		return t, nil
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, maxTest)
	defer cancel()
	rejects, err := d.to.send(limited, []message{m})
	t.Took = time.Since(began)
	var refused *SinkError
	switch {
	case ctx.Err() != nil:
		return t, ctx.Err()
	case errors.As(err, &refused):
		t.Error = refused.Text
	case errors.Is(err, context.DeadlineExceeded):
		t.Error = "the sink did not answer in time"
	case err != nil:
		return t, err
	case rejects[0] != "":
		t.Error = "the sink refused the event: " + rejects[0]
	default:
		t.Delivered = true
	}
	return t, nil
}
