package sequencer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/auditq"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/audit/subject"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// waiting are the tenants whose keys could not be had a moment ago.
func (s *Sequencer) waiting() []uuid.UUID {
	now := time.Now()
	maps.DeleteFunc(s.away, func(_ uuid.UUID, until time.Time) bool { return now.After(until) })
	return slices.AppendSeq([]uuid.UUID{}, maps.Keys(s.away))
}

// person is a subject of a tenant.
type person struct{ tenant, subject uuid.UUID }

// seal seals what is private of rows, which are ordered by tenant, each part under the key of the person it is
// of; whoever has none yet gets one. What is of somebody erased is left out.
func (s *Sequencer) seal(ctx context.Context, tx *db.AuditTx, rows []auditq.ClaimEntriesRow) error {
	parts := make([][]private.Part, len(rows))
	persons := map[person][]byte{} // their salts; nil once they are erased
	for i := range rows {
		if len(rows[i].Private) == 0 {
			continue
		}
		var err error
		if parts[i], err = private.Parts(rows[i].Entry); err != nil { // never by us: it is not to hold up all others
			s.log.ErrorContext(ctx, "an audit entry is none", "tenant", rows[i].TenantID, "err", fmt.Errorf("entry %s: %w", rows[i].ID, err))
			rows[i].Private = []byte{}
		}
		for _, p := range parts[i] {
			persons[person{rows[i].TenantID, p.Subject}] = nil
		}
	}
	if len(persons) > 0 {
		if err := salts(ctx, tx, persons); err != nil {
			return err
		}
	}
	var own *subject.Keys
	var owner uuid.UUID // whose keys own are
	for i := range rows {
		row := &rows[i]
		if len(row.Private) == 0 {
			continue
		}
		texts, err := private.Split(row.Private)
		if err == nil && len(texts) != len(parts[i]) {
			err = private.ErrParts
		}
		if err != nil {
			s.log.ErrorContext(ctx, "private parts of an audit entry are none", "tenant", row.TenantID, "err", fmt.Errorf("entry %s: %w", row.ID, err))
			row.Private = []byte{}
			continue
		}
		if own == nil || owner != row.TenantID {
			if own, err = s.keysOf(ctx, row.TenantID, persons); err != nil {
				return err
			}
			owner = row.TenantID
		}
		for j, p := range parts[i] {
			if texts[j], err = own.Seal(p.Subject, row.ID, j, texts[j]); err != nil {
				return err
			}
		}
		row.Private = private.Join(texts)
	}
	return nil
}

// salts fills in those of persons, and makes those that lack.
func salts(ctx context.Context, tx *db.AuditTx, persons map[person][]byte) error {
	known := make(map[person]bool, len(persons))
	ask := func() error {
		var p auditq.ListSubjectsParams
		for one := range persons {
			p.Tenants, p.Subjects = append(p.Tenants, one.tenant), append(p.Subjects, one.subject)
		}
		rows, err := tx.ListSubjects(ctx, p)
		if err != nil {
			return fmt.Errorf("list keys of persons: %w", err)
		}
		for _, row := range rows {
			one := person{row.TenantID, row.SubjectID}
			persons[one], known[one] = row.Salt, true
		}
		return nil
	}
	if err := ask(); err != nil || len(known) == len(persons) {
		return err
	}
	var p auditq.InsertSubjectsParams
	for one := range persons {
		if !known[one] {
			p.Tenants, p.Subjects, p.Salts = append(p.Tenants, one.tenant), append(p.Subjects, one.subject), append(p.Salts, subject.NewSalt())
		}
	}
	if err := tx.InsertSubjects(ctx, p); err != nil {
		return fmt.Errorf("insert keys of persons: %w", err)
	}
	return ask() // somebody may have been erased meanwhile
}

// keysOf returns the keys of a tenant's persons: of nobody where the tenant's own are destroyed.
func (s *Sequencer) keysOf(ctx context.Context, tenant uuid.UUID, persons map[person][]byte) (*subject.Keys, error) {
	ring, err := s.keys.Ring(ctx, scope.New(tenant, scope.Actor{Kind: scope.ActorSystem, ID: "sequencer"}))
	if errors.Is(err, keys.ErrNoKeys) && tenant != scope.PlatformTenant { // which gets its keys when a server first starts
		return subject.NewKeys(nil, nil), nil
	} else if err != nil {
		if ctx.Err() == nil { // else it is this server that stops
			s.away[tenant] = time.Now().Add(awayFor)
		}
		return nil, fmt.Errorf("keys of %s: %w", tenant, err)
	}
	own := map[uuid.UUID][]byte{}
	for one, salt := range persons {
		if one.tenant == tenant {
			own[one.subject] = salt
		}
	}
	return subject.NewKeys(ring, own), nil
}
