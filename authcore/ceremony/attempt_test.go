package ceremony_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"

// newest are the tenant's ceremonies, the newest first.
func (w *world) newest(t testing.TB, sc scope.Scope) []tenantq.Ceremony {
	t.Helper()
	var rows []tenantq.Ceremony
	err := w.store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
		rows, err = tx.FindCeremonies(t.Context(), tenantq.FindCeremoniesParams{
			BeforeAt: tx.Now().AddDate(1, 0, 0), BeforeID: uuid.Max, Since: tx.Now().AddDate(-1, 0, 0), Until: tx.Now().AddDate(1, 0, 0), MaxScanned: 100, MaxRows: 100,
			Kinds: []string{"REGISTRATION", "AUTHENTICATION"}, Outcomes: []string{"ALLOW", "STEP_UP", "DENY", "FAILED"},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// What breaks the protocol leaves a ceremony that says where, and what the response said.
// Without attempt's row, or without at() in webauthn, this turns red.
func TestARefusedFinishLeavesACeremony(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	r := w.enroll(t, acme, a)
	key := uuid.New()
	caller := scope.New(acme.Tenant(), scope.Actor{Kind: scope.ActorAPIKey, ID: key.String()}).
		WithOrigin(scope.Origin{UserAgent: chrome, RequestID: "request-1", TraceID: "0af7651916cd43dd8448eb211c80319c"})

	begun := w.begin(t, caller)
	_, err := w.finish(t, caller, begun, getOn(t, a, begun, "https://evil.example", authenticatortest.Deviation{}))
	wantErr(t, "another origin", err, webauthn.ErrOrigin)
	got := w.newest(t, acme)[0]
	var facts struct {
		Step, Flags, SignCount        int
		ClientType, Origin, TopOrigin string
		TookUs                        []int
	}
	if err := json.Unmarshal([]byte(got.Facts), &facts); err != nil {
		t.Fatal(err)
	}
	if got.Kind != "AUTHENTICATION" || got.Outcome != "FAILED" || got.Reason != "ORIGIN_NOT_ALLOWED" || got.UserID == nil || *got.UserID != r.User.ID.UUID() ||
		string(got.CredentialID) != string(r.Credential.ID.Bytes()) {
		t.Errorf("ceremony = %+v", got)
	}
	if got.LatencyUs == nil || *got.LatencyUs <= 0 || got.TraceID != "0af7651916cd43dd8448eb211c80319c" || got.RequestID != "request-1" ||
		got.Browser != "Chrome 141 on Windows" || got.ApiKeyID == nil || *got.ApiKeyID != key || got.Repeats != nil {
		t.Errorf("context = %+v", got)
	}
	if facts.Step != 12 || facts.ClientType != "webauthn.get" || facts.Origin != "https://evil.example" || facts.Flags&1 == 0 || len(facts.TookUs) != 4 {
		t.Errorf("facts = %s", got.Facts)
	}

	// A sign-in that is let in has the same context, from the hot path.
	done := w.signIn(t, caller, a)
	got = w.newest(t, acme)[0]
	if got.ID != done.Session.ID.UUID() || got.LatencyUs == nil || *got.LatencyUs <= 0 || got.Browser != "Chrome 141 on Windows" || got.RequestID != "request-1" ||
		got.ApiKeyID == nil || *got.ApiKeyID != key || !strings.Contains(got.Facts, `"tookUs":[`) {
		t.Errorf("sign-in = %+v", got)
	}
	if n := w.one(t, "SELECT count(*) FROM audit_inbox WHERE tenant_id = $1 AND id = $2 AND target = $3",
		acme.Tenant(), got.ID, "credential/"+r.Credential.ID.String()); n != 1 {
		t.Error("its entry is not found by the credential")
	}

	// So has a registration, also one that is refused.
	reg := w.beginRegistration(t, caller, profile())
	_, err = w.FinishRegistration(t.Context(), caller, ceremony.FinishRegistrationRequest{
		ID: reg.ID, Response: create(t, phone(t), reg, authenticatortest.Deviation{ClearFlags: 1}),
	})
	wantErr(t, "nobody there", err, webauthn.ErrUserPresence)
	if got = w.newest(t, acme)[0]; got.Kind != "REGISTRATION" || got.Outcome != "FAILED" || !strings.Contains(got.Facts, `"step":15`) || got.ApiKeyID == nil {
		t.Errorf("registration = %+v", got)
	}
}

// Whoever is refused in a loop leaves ten rows a minute, and one that counts the rest.
func TestRefusalsInALoopAreCounted(t *testing.T) {
	w := newWorld(t)
	w.perMinute = 10
	s := w.replica(t)
	acme := w.tenant(t)
	for range 25 {
		_, err := s.FinishAuthentication(t.Context(), acme, ceremony.FinishAuthenticationRequest{
			ID: "made-up", Response: webauthn.AssertionResponse{RawID: make([]byte, 4000), ClientDataJSON: []byte(`{"type":"` + strings.Repeat("x", 9000))},
		})
		wantErr(t, "a made-up id", err, ceremony.ErrChallengeUnknown)
	}
	rows := w.newest(t, acme)
	if len(rows) != 10 {
		t.Fatalf("%d rows, want 10", len(rows))
	}
	for _, row := range rows {
		if row.CredentialID != nil || len(row.Facts) > 100 {
			t.Fatalf("a row keeps what was sent: %+v", row)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.denials.Run(ended); err != nil {
		t.Fatal(err)
	}
	rows = w.newest(t, acme)
	if len(rows) != 11 || rows[0].Repeats == nil || *rows[0].Repeats != 15 || rows[0].Reason != "CHALLENGE_UNKNOWN" {
		t.Fatalf("%d rows, the newest %+v; want one of 15 repeats", len(rows), rows[0])
	}
}
