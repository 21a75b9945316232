package siem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// credentialField is where credentials are sealed for.
var credentialField = keys.Field{Table: "siem_sinks", Column: "credential"}

// CreateRequest describes a stream to be.
type CreateRequest struct {
	Config

	Credential string // see checkCredential
	// FromStart begins with the first entry of the log that is there; otherwise with the next.
	FromStart bool
	Reason    string // for the audit log; may be empty
}

// Create makes a stream, which delivers from now on. ErrInvalid, ErrAddress, ErrCredential, ErrName, ErrTooMany.
func (s *Service) Create(ctx context.Context, sc scope.Scope, req CreateRequest) (Sink, error) {
	c := req.Config
	if err := c.check(s.wire.allowed); err != nil {
		return Sink{}, err
	}
	if err := checkCredential(c.Kind, req.Credential); err != nil {
		return Sink{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Sink{}, fmt.Errorf("mint log stream: %w", err)
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Sink{}, fmt.Errorf("keys: %w", err)
	}
	sealed, version, err := seal(ring, id, req.Credential)
	if err != nil {
		return Sink{}, err
	}
	var out Sink
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two at once could each count the other out, and together exceed the limit.
		if err := tx.LockSinks(ctx); err != nil {
			return fmt.Errorf("lock log streams: %w", err)
		}
		if n, err := tx.CountSinks(ctx); err != nil {
			return fmt.Errorf("count log streams: %w", err)
		} else if n >= maxSinks {
			return ErrTooMany
		}
		size, err := trail.SizeIn(ctx, tx)
		if err != nil {
			return err
		}
		from := size
		if req.FromStart {
			from = 0
		}
		row, err := tx.InsertSink(ctx, tenantq.InsertSinkParams{
			ID: id, Name: c.Name, Kind: string(c.Kind), Format: string(c.Format), Address: c.Address, IndexName: c.Index, Acknowledge: c.Acknowledge,
			Credential: sealed, KeyVersion: version, CaCertificates: c.CACertificates, Actions: notNil(c.Actions), Outcomes: audit.OutcomeTexts(c.Outcomes), Redact: notNil(c.Redact),
			RedactKinds: notNil(c.RedactKinds), BlockKinds: notNil(c.BlockKinds),
			By: sc.Actor().String(), Now: tx.Now(), NextSeq: from,
		})
		if db.IsNoRows(err) {
			return ErrName
		} else if err != nil {
			return fmt.Errorf("insert log stream: %w", err)
		}
		out = fromRow(row, size)
		tx.Result(out)
		return record(ctx, tx, id, event.LogStreamCreated, audit.Entry{Action: "logstream.create", Reason: req.Reason, After: append(configAttrs(&c), attr.Int("nextSeq", from))})
	})
	return out, err
}

// UpdateRequest changes what is not nil.
type UpdateRequest struct {
	ID             uuid.UUID
	Name           *string
	Format         *Format
	Address        *string
	Index          *string
	Acknowledge    *bool
	CACertificates *string
	Credential     *string
	Actions        *[]string
	Outcomes       *[]audit.Outcome
	Redact         *[]string
	RedactKinds    *[]string
	BlockKinds     *[]string

	Reason  string
	IfMatch string // the etag that the caller has read; empty: whatever it is
}

func (r *UpdateRequest) apply(c Config) Config {
	set(&c.Name, r.Name)
	set(&c.Format, r.Format)
	set(&c.Address, r.Address)
	set(&c.Index, r.Index)
	set(&c.Acknowledge, r.Acknowledge)
	set(&c.CACertificates, r.CACertificates)
	set(&c.Actions, r.Actions)
	set(&c.Outcomes, r.Outcomes)
	set(&c.Redact, r.Redact)
	set(&c.RedactKinds, r.RedactKinds)
	set(&c.BlockKinds, r.BlockKinds)
	return c
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Update changes a stream, which goes on where it is. A delivery that is under way is taken back: what it
// has sent and not noted is sent again, as the stream is now. A credential stays with the server that it was given
// for: another host needs it anew. The errors of Create, but ErrTooMany; ErrNotFound, etag.ErrMismatch.
func (s *Service) Update(ctx context.Context, sc scope.Scope, req UpdateRequest) (Sink, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Sink{}, fmt.Errorf("keys: %w", err)
	}
	return s.change(ctx, sc, req.ID, req.IfMatch, func(tx *db.TenantTx, row *tenantq.SiemSink) (event.Type, audit.Entry, error) {
		before := configOf(row)
		after := req.apply(before)
		if err := after.check(s.wire.allowed); err != nil {
			return "", audit.Entry{}, err
		}
		if taken, err := tx.SinkNameTaken(ctx, tenantq.SinkNameTakenParams{Name: after.Name, ID: row.ID}); err != nil {
			return "", audit.Entry{}, fmt.Errorf("look for the name: %w", err)
		} else if taken {
			return "", audit.Entry{}, ErrName
		}
		from, to := differences(&before, &after)
		if req.Credential != nil {
			if err := checkCredential(after.Kind, *req.Credential); err != nil {
				return "", audit.Entry{}, err
			}
			var err error
			if row.Credential, row.KeyVersion, err = seal(ring, row.ID, *req.Credential); err != nil {
				return "", audit.Entry{}, err
			}
			to = append(to, attr.Text("credential", "replaced"))
		} else if row.Credential != nil && hostOf(&before) != hostOf(&after) {
			return "", audit.Entry{}, ErrCredential.WithMessage("the address names another server: give the credential for it, too").With("field", "credential")
		}
		if len(to) == 0 {
			return "", audit.Entry{}, nil
		}
		row.Name, row.Format, row.Address, row.IndexName, row.Acknowledge = after.Name, string(after.Format), after.Address, after.Index, after.Acknowledge
		row.CaCertificates, row.Actions, row.Outcomes, row.Redact = after.CACertificates, notNil(after.Actions), audit.OutcomeTexts(after.Outcomes), notNil(after.Redact)
		row.RedactKinds, row.BlockKinds = notNil(after.RedactKinds), notNil(after.BlockKinds)
		return event.LogStreamUpdated, audit.Entry{Action: "logstream.update", Reason: req.Reason, Before: from, After: to}, nil
	})
}

// Pause has nothing sent until Resume. Pausing twice leaves one trace. ErrNotFound.
func (s *Service) Pause(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (Sink, error) {
	return s.settle(ctx, sc, id, Paused, event.LogStreamPaused, audit.Entry{Action: "logstream.pause", Reason: reason})
}

// Resume goes on where the stream was paused, and at once where it is failing. ErrNotFound.
func (s *Service) Resume(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (Sink, error) {
	return s.settle(ctx, sc, id, Active, event.LogStreamResumed, audit.Entry{Action: "logstream.resume", Reason: reason})
}

func (s *Service) settle(ctx context.Context, sc scope.Scope, id uuid.UUID, to State, typ event.Type, e audit.Entry) (Sink, error) {
	return s.change(ctx, sc, id, "", func(_ *db.TenantTx, row *tenantq.SiemSink) (event.Type, audit.Entry, error) {
		if row.State == string(to) && row.Failures == 0 {
			return "", e, nil
		}
		row.State = string(to)
		e.Detail = []attr.Attr{attr.Int("nextSeq", row.NextSeq)}
		return typ, e, nil
	})
}

// ReplayRequest says from where on a stream is to go: exactly one of Seq and Since.
type ReplayRequest struct {
	ID     uuid.UUID
	Seq    *int64     // 0 to the size of the log; its size leaves out what is behind
	Since  *time.Time // the first entry that was sequenced at or after
	Reason string
}

// Replay moves the cursor: back, to send again, or ahead, to leave out. ErrNotFound, ErrCursor.
func (s *Service) Replay(ctx context.Context, sc scope.Scope, req ReplayRequest) (Sink, error) {
	if (req.Seq == nil) == (req.Since == nil) {
		return Sink{}, ErrCursor
	}
	return s.change(ctx, sc, req.ID, "", func(tx *db.TenantTx, row *tenantq.SiemSink) (event.Type, audit.Entry, error) {
		size, err := trail.SizeIn(ctx, tx)
		if err != nil {
			return "", audit.Entry{}, err
		}
		var to int64
		if req.Seq != nil {
			to = *req.Seq
		} else if to, err = trail.FirstSinceIn(ctx, tx, *req.Since); err != nil {
			return "", audit.Entry{}, err
		}
		if to < 0 || to > size {
			return "", audit.Entry{}, ErrCursor.WithMessage(fmt.Sprintf("the log has the numbers 0 to %d; %d leaves out all of them", size-1, size)).With("field", "seq")
		}
		from := row.NextSeq
		row.NextSeq = to
		return event.LogStreamReplayed, audit.Entry{
			Action: "logstream.replay", Reason: req.Reason, Before: []attr.Attr{attr.Int("nextSeq", from)}, After: []attr.Attr{attr.Int("nextSeq", to)},
		}, nil
	})
}

// Delete ends a stream, for good; what its sink has stays there. ErrNotFound, etag.ErrMismatch.
func (s *Service) Delete(ctx context.Context, sc scope.Scope, id uuid.UUID, ifMatch, reason string) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := lock(ctx, tx, id, ifMatch)
		if err != nil {
			return err
		}
		if err := tx.DeleteRejects(ctx, id); err != nil {
			return fmt.Errorf("delete rejects: %w", err)
		}
		if err := tx.DeleteSink(ctx, id); err != nil {
			return fmt.Errorf("delete log stream: %w", err)
		}
		tx.Result(fromRow(row, row.NextSeq))
		c := configOf(&row)
		return record(ctx, tx, id, event.LogStreamDeleted, audit.Entry{Action: "logstream.delete", Reason: reason, Before: append(configAttrs(&c), attr.Int("nextSeq", row.NextSeq))})
	})
}

// change runs fn on a locked stream and stores what fn made of it, with an audit entry and an event. An
// empty type says that nothing has changed, and leaves no trace.
func (s *Service) change(
	ctx context.Context, sc scope.Scope, id uuid.UUID, ifMatch string, fn func(*db.TenantTx, *tenantq.SiemSink) (event.Type, audit.Entry, error),
) (Sink, error) {
	var out Sink
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := lock(ctx, tx, id, ifMatch)
		if err != nil {
			return err
		}
		size, err := trail.SizeIn(ctx, tx)
		if err != nil {
			return err
		}
		typ, entry, err := fn(tx, &row)
		if err != nil {
			return err
		}
		if typ == "" {
			out = fromRow(row, size)
			tx.Result(out)
			return nil
		}
		row, err = tx.UpdateSink(ctx, tenantq.UpdateSinkParams{
			ID: id, Name: row.Name, Format: row.Format, Address: row.Address, IndexName: row.IndexName, Acknowledge: row.Acknowledge, Credential: row.Credential,
			KeyVersion: row.KeyVersion, CaCertificates: row.CaCertificates, Actions: row.Actions, Outcomes: row.Outcomes, Redact: row.Redact, RedactKinds: row.RedactKinds, BlockKinds: row.BlockKinds, State: row.State,
			NextSeq: row.NextSeq, By: sc.Actor().String(), Now: tx.Now(),
		})
		if err != nil {
			return fmt.Errorf("update log stream: %w", err)
		}
		out = fromRow(row, size)
		tx.Result(out)
		return record(ctx, tx, id, typ, entry)
	})
	return out, err
}

// lock locks a stream that is as the caller has read it.
func lock(ctx context.Context, tx *db.TenantTx, id uuid.UUID, ifMatch string) (tenantq.SiemSink, error) {
	row, err := tx.LockSink(ctx, id)
	if db.IsNoRows(err) {
		return row, ErrNotFound
	} else if err != nil {
		return row, fmt.Errorf("lock log stream: %w", err)
	}
	return row, etag.Match(ifMatch, etagOf(&row))
}

// record leaves what a change leaves: an audit entry, an event.
func record(ctx context.Context, tx *db.TenantTx, id uuid.UUID, typ event.Type, e audit.Entry) error {
	e.Target = audit.Target{Kind: "logstream", ID: id.String()}
	if err := audit.Append(ctx, tx, e); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: typ, Data: []attr.Attr{attr.UUID("logStreamId", id)}})
}

// seal seals a credential; nil for none.
func seal(ring *keys.Ring, id uuid.UUID, credential string) ([]byte, int64, error) {
	if credential == "" {
		return nil, 0, nil
	}
	sealed, err := ring.Seal(credentialField, id[:], []byte(credential))
	if err != nil {
		return nil, 0, fmt.Errorf("seal credential: %w", err)
	}
	return sealed, int64(ring.SealingVersion()), nil
}

// Reseal seals anew, under the data key that seals now, up to limit credentials that an older one
// sealed. done below limit says that none is left.
func (s *Service) Reseal(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	if limit <= 0 {
		return 0, nil
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		done = 0                                                                                                                                                              // this may be the second run
		rows, err := tx.ListStaleSinkCredentials(ctx, tenantq.ListStaleSinkCredentialsParams{KeyVersion: int64(ring.SealingVersion()), MaxRows: int32(min(limit, maxSinks))}) //nolint:gosec // bounded
		if err != nil {
			return fmt.Errorf("list stale credentials: %w", err)
		}
		for _, row := range rows {
			plain, err := ring.Open(credentialField, row.ID[:], row.Credential)
			if err != nil {
				return fmt.Errorf("log stream %s: %w", row.ID, err)
			}
			sealed, version, err := seal(ring, row.ID, string(plain))
			if err != nil {
				return err
			}
			n, err := tx.ReplaceSinkCredential(ctx, tenantq.ReplaceSinkCredentialParams{ID: row.ID, Credential: sealed, KeyVersion: version, Was: row.Credential})
			if err != nil {
				return fmt.Errorf("replace credential: %w", err)
			}
			done += int(n)
		}
		return nil
	})
	return done, err
}

// configAttrs are what an audit entry tells of a stream: all but its credential.
func configAttrs(c *Config) []attr.Attr {
	_, all := differences(&Config{}, c)
	return append([]attr.Attr{attr.Text("kind", string(c.Kind))}, all...)
}

func differences(before, after *Config) (from, to []attr.Attr) {
	text := func(key, a, b string) {
		if a != b {
			from, to = append(from, attr.Text(key, a)), append(to, attr.Text(key, b))
		}
	}
	texts := func(key string, a, b []string) {
		if !slices.Equal(a, b) {
			from, to = append(from, attr.Texts(key, a)), append(to, attr.Texts(key, b))
		}
	}
	text("name", before.Name, after.Name)
	text("format", string(before.Format), string(after.Format))
	text("address", before.Address, after.Address)
	text("index", before.Index, after.Index)
	if before.Acknowledge != after.Acknowledge {
		from, to = append(from, attr.Bool("acknowledge", before.Acknowledge)), append(to, attr.Bool("acknowledge", after.Acknowledge))
	}
	text("caCertificates", fingerprints(before.CACertificates), fingerprints(after.CACertificates))
	texts("actions", before.Actions, after.Actions)
	texts("outcomes", audit.OutcomeTexts(before.Outcomes), audit.OutcomeTexts(after.Outcomes))
	texts("redact", before.Redact, after.Redact)
	texts("redactKinds", before.RedactKinds, after.RedactKinds)
	texts("blockKinds", before.BlockKinds, after.BlockKinds)
	return from, to
}

// notNil is a list for a column that is never NULL.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// hostOf is the server that a stream speaks to: host and port.
func hostOf(c *Config) string {
	if rest, ok := strings.CutPrefix(c.Address, "https://"); ok {
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, "?")
		if !strings.Contains(host[strings.LastIndexByte(host, ']')+1:], ":") {
			host += ":443"
		}
		return strings.ToLower(host)
	}
	return c.Address
}
