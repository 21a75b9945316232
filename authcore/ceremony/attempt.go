package ceremony

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// attempt is a finish that was refused before anything was decided, as its ceremony row
// will tell of it. Its values are what the client sent: bounded, and believed by nobody.
type attempt struct {
	kind       string
	id         uuid.UUID
	snap       *tenant.Snapshot // nil: it did not come so far
	user       *uuid.UUID       // whom it was begun for, or whose credential it is; nil when nobody knows
	credential []byte           // that the response named; nil for none
	laps       *laps
	facts      func() []byte // made only where it is recorded
	onRecord   bool          // the ceremony's row is there: evidence was kept with it
}

// Bounds of what a client may have us keep of a refused response.
const (
	maxKeptOrigin     = 256
	maxKeptCredential = 256 // most IDs have 16 to 64 bytes; a longer one is no key of this row
)

// attempt is the sign-in as a refused one.
func (in *signIn) attempt(resp *webauthn.AssertionResponse, err error) attempt {
	a := attempt{kind: kindAuthentication, id: in.id, snap: in.snap, credential: kept(resp.RawID), laps: &in.laps}
	switch {
	case in.known != nil:
		id := in.known.user.ID.UUID()
		a.user = &id
	case in.opened && in.begun.identified && !in.begun.fake:
		id := in.begun.user.UUID()
		a.user = &id
	}
	a.facts = func() []byte { return failure(webauthn.InspectAssertion(*resp), err, &in.laps, in.publishable) }
	return a
}

// attempt is the registration as a refused one.
func (e *enrollment) attempt(resp *webauthn.RegistrationResponse, err error) attempt {
	a := attempt{
		kind: kindRegistration, id: e.id, snap: e.snap, credential: kept(resp.RawID), laps: &e.laps, onRecord: e.proof.kept.Ref() != nil,
		facts: func() []byte { return failure(webauthn.InspectRegistration(*resp), err, &e.laps, false) },
	}
	if e.begun != nil {
		a.user = e.begun.User
	}
	return a
}

// failure is the facts of a registration whose evidence is kept.
func (e *enrollment) failure(err error) []byte {
	if e.proof.verified {
		return e.laps.append(e.facts.AppendJSON(nil))
	}
	return failure(webauthn.InspectRegistration(*e.proof.response), err, &e.laps, false)
}

// failure is the facts of what was refused: docs/facts.md.
func failure(seen webauthn.Seen, err error, l *laps, publishable bool) []byte {
	members := []attr.Attr{attr.Int("step", int64(webauthn.Step(err)))}
	if seen.Type != "" {
		members = append(members, attr.Text("clientType", cut(seen.Type)), attr.Text("origin", cut(seen.ClientData.Origin)))
	}
	if seen.ClientData.TopOrigin != "" {
		members = append(members, attr.Text("topOrigin", cut(seen.ClientData.TopOrigin)))
	}
	if seen.ClientData.CrossOrigin {
		members = append(members, attr.Bool("crossOrigin", true))
	}
	if seen.AuthenticatorData {
		members = append(members, attr.Int("flags", int64(seen.Flags)), attr.Int("signCount", int64(seen.SignCount)))
	}
	if seen.AAGUID != uuid.Nil {
		members = append(members, attr.UUID("aaguid", seen.AAGUID))
	}
	if seen.UserHandle {
		members = append(members, attr.Bool("userHandle", true))
	}
	if publishable {
		members = append(members, attr.Bool("publishable", true))
	}
	return l.append(attr.AppendObject(nil, members))
}

func cut(s string) string { return s[:min(len(s), maxKeptOrigin)] } // attr mends a character that is cut in two

func kept(id []byte) []byte {
	if len(id) == 0 || len(id) > maxKeptCredential {
		return nil
	}
	return id
}

// refuseFinish records that a finish was refused: its ceremony, and its audit entry. Those
// alike beyond some a minute are counted, and leave one row of each that tells how many.
func (s *Service) refuseFinish(ctx context.Context, sc scope.Scope, action string, a attempt, err error, detail ...attr.Attr) {
	f, ok := tells(err)
	if !ok {
		return
	}
	var version int32
	if a.snap != nil {
		version = int32(a.snap.PolicyVersion) //nolint:gosec // an integer column
	}
	e := audit.Entry{Action: action, Fault: f.Reason, Detail: detail, Target: audit.Target{Kind: "ceremony", ID: a.id.String()}}
	if a.user != nil {
		e.Subject = *a.user
	}
	s.denials.RecordWith(ctx, sc, e, audit.Also{One: func(ctx context.Context, tx *db.TenantTx) error {
		if a.onRecord {
			return nil
		}
		return insertCeremony(ctx, tx, sc, a.laps, tenantq.InsertCeremonyParams{
			At: tx.Now(), ID: a.id, Kind: a.kind, Outcome: outcomeFailed, Reason: f.Reason, UserID: a.user, CredentialID: a.credential,
			PolicyVersion: version, Facts: string(a.facts()),
		})
	}, Rest: repeated(a.kind, f.Reason, version)})
}

// insertCeremony writes a ceremony's row with what is known of the call.
func insertCeremony(ctx context.Context, tx *db.TenantTx, sc scope.Scope, l *laps, p tenantq.InsertCeremonyParams) error {
	o := sc.Origin()
	p.LatencyUs, p.TraceID, p.RequestID, p.Browser = l.latency(), o.TraceID, o.RequestID, o.Browser()
	if key := apiKey(sc); key != uuid.Nil {
		p.ApiKeyID = &key
	}
	if err := tx.InsertCeremony(ctx, p); err != nil {
		return fmt.Errorf("insert ceremony: %w", err)
	}
	return nil
}

// repeated writes the row of those that were only counted: of any user, from anywhere.
func repeated(kind, reason string, version int32) func(context.Context, *db.TenantTx, int) error {
	return func(ctx context.Context, tx *db.TenantTx, count int) error {
		id, err := mint(tx.Now())
		if err != nil {
			return err
		}
		n := int32(count) //nolint:gosec // of one minute
		p := tenantq.InsertCeremonyParams{
			At: tx.Now(), ID: id, Kind: kind, Outcome: outcomeFailed, Reason: reason, PolicyVersion: version, Facts: "{}", Repeats: &n,
		}
		if key := apiKey(tx.Scope()); key != uuid.Nil {
			p.ApiKeyID = &key
		}
		if err := tx.InsertCeremony(ctx, p); err != nil {
			return fmt.Errorf("insert repeated ceremonies: %w", err)
		}
		return nil
	}
}

// apiKey returns the key that the call came with; Nil for a call without one.
func apiKey(sc scope.Scope) uuid.UUID {
	if sc.Actor().Kind != scope.ActorAPIKey {
		return uuid.Nil
	}
	id, err := uuid.Parse(sc.Actor().ID)
	if err != nil {
		return uuid.Nil
	}
	return id
}
