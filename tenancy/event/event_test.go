package event_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// The payload is what webhooks will carry: API.
func TestAppendJSON(t *testing.T) {
	id := uuid.MustParse("01890a5d-ac97-7000-8000-000000000001")
	tenant := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	sc := scope.New(tenant, scope.Actor{Kind: scope.ActorUser, ID: "u"})
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	const head = `{"id":"01890a5d-ac97-7000-8000-000000000001","type":"credential.created","at":"2030-01-02T03:04:05.000000Z",` +
		`"tenantId":"01890a5d-ac96-774b-bcce-b302099a8057","data":`
	for _, tt := range []struct {
		name  string
		event event.Event
		want  string
	}{
		{"nothing", event.Event{}, `{}}`},
		{"ids", event.Event{UserID: tenant, CredentialID: []byte{0xfb, 0xff}, SessionID: id},
			`{"userId":"01890a5d-ac96-774b-bcce-b302099a8057","credentialId":"-_8","sessionId":"01890a5d-ac97-7000-8000-000000000001"}}`},
		{"data", event.Event{Data: []event.Attr{attr.Text("reason", "a\"b"), attr.Int("n", -1)}}, `{"reason":"a\"b","n":-1}}`},
		{"both", event.Event{CredentialID: []byte{1}, Data: []event.Attr{attr.Bool("ok", false)}}, `{"credentialId":"AQ","ok":false}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.event.Type = event.CredentialCreated
			if got := string(event.AppendJSON(nil, sc, id, at, tt.event)); got != head+tt.want {
				t.Errorf("payload:\n%s\nwant:\n%s", got, head+tt.want)
			}
		})
	}
}

func TestTypesAreNounDotPast(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+\.[a-z]+(_[a-z]+)*$`)
	seen := map[event.Type]bool{}
	for _, typ := range event.Types() {
		if !form.MatchString(string(typ)) || seen[typ] {
			t.Errorf("type %q is malformed or listed twice", typ)
		}
		seen[typ] = true
	}
}

func TestAppendCommitsWithItsTransaction(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	broken := errors.New("broken")
	for _, fail := range []error{nil, broken} {
		err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
			if err := event.Append(t.Context(), tx, event.Event{Type: event.UserCreated, UserID: uuid.New()}); err != nil {
				return err
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatalf("InTenant = %v, want %v", err, fail)
		}
	}
	for _, tt := range []struct {
		name  string
		scope scope.Scope
		want  int
	}{{"its tenant", acme, 1}, {"another tenant", globex, 0}} {
		if err := store.ReadTenant(t.Context(), tt.scope, func(tx *db.TenantTx) error {
			rows, err := tx.ListEvents(t.Context(), tenantq.ListEventsParams{MaxRows: 10})
			if len(rows) != tt.want {
				t.Errorf("%s sees %d events, want %d", tt.name, len(rows), tt.want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	sc := scope.New(uuid.New(), scope.Actor{Kind: scope.ActorUser, ID: "u"})
	e := event.Event{Type: event.AuthenticationSucceeded, UserID: uuid.New(), CredentialID: make([]byte, 32), SessionID: uuid.New()}
	id, at, dst := uuid.New(), time.Now(), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		event.AppendJSON(dst, sc, id, at, e)
	}
}
