package importer_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/importer"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

type world struct {
	*authcoretest.World
	*importer.Service
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := authcoretest.New(t)
	return &world{w, importer.New(importer.Options{Store: w.Store.Store, Keys: w.Keys, Tenants: w.Tenants})}
}

// person is a line of one user with n credentials.
func person(t testing.TB, external string, n int) importer.Line {
	t.Helper()
	l := importer.Line{ExternalID: external, Name: "Name of " + external, UserHandle: random(t, 24), State: "ACTIVE", Credentials: []importer.LineCredential{}}
	for range n {
		_, key := newKey(t)
		l.Credentials = append(l.Credentials, importer.LineCredential{
			ID: random(t, 16), PublicKey: strings.Trim(key.cose, `"`), Algorithm: -7, SignCount: 3, Transports: []string{"internal"},
			AAGUID: uuid.Nil.String(), State: "ACTIVE",
		})
	}
	return l
}

func random(t testing.TB, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func texts(t testing.TB, lines ...importer.Line) []string {
	t.Helper()
	out := make([]string, len(lines))
	for i, l := range lines {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(b)
	}
	return out
}

func (w *world) create(t testing.TB, sc scope.Scope, on importer.OnDuplicate) importer.Import {
	t.Helper()
	im, err := w.Create(t.Context(), sc, importer.CreateRequest{RPID: "localhost", OnDuplicate: on})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func (w *world) feed(t testing.TB, sc scope.Scope, id uuid.UUID, first int, lines ...string) importer.Import {
	t.Helper()
	im, err := w.Append(t.Context(), sc, importer.AppendRequest{ID: id, FirstLine: first, Lines: lines})
	if err != nil {
		t.Fatalf("append at line %d: %v", first, err)
	}
	return im
}

func (w *world) run(t testing.TB, sc scope.Scope, id uuid.UUID) {
	t.Helper()
	if _, err := w.Service.Complete(t.Context(), sc, id); err != nil {
		t.Fatalf("complete the check: %v", err)
	}
	if _, err := w.Service.Run(t.Context(), sc, importer.RunRequest{ID: id, AllowErrors: true}); err != nil {
		t.Fatalf("run: %v", err)
	}
}

// whole takes lines through check and run, and returns the import that is done.
func (w *world) whole(t testing.TB, sc scope.Scope, on importer.OnDuplicate, lines ...string) importer.Import {
	t.Helper()
	im := w.create(t, sc, on)
	w.feed(t, sc, im.ID, 1, lines...)
	w.run(t, sc, im.ID)
	w.feed(t, sc, im.ID, 1, lines...)
	done, err := w.Service.Complete(t.Context(), sc, im.ID)
	if err != nil {
		t.Fatalf("complete the run: %v", err)
	}
	return done
}

func (w *world) findings(t testing.TB, sc scope.Scope, id uuid.UUID, phase importer.Phase) (out []string) {
	t.Helper()
	page, err := w.Findings(t.Context(), sc, importer.FindingsRequest{ID: id, Phase: phase})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range page.Items {
		out = append(out, fmt.Sprintf("%d %s %s %s", f.Line, f.Outcome, f.Field, f.Reason))
	}
	return out
}

// Who brings no nickname gets the model's name, as at a registration: by the metadata, too.
func TestImportNamesModels(t *testing.T) {
	w := newWorld(t)
	acme, model := w.Tenant(t), uuid.New()
	snap := mdstest.New(t).Snapshot(t, mdstest.BLOB{Number: 1, Entries: []mdstest.Entry{{AAGUID: model, Name: "Example key"}}})
	w.Service = importer.New(importer.Options{Store: w.Store.Store, Keys: w.Keys, Tenants: w.Tenants, Metadata: func() *mds.Snapshot { return snap }})
	ada := person(t, "ada", 3)
	for i, aaguid := range []string{model.String(), "d548826e-79b4-db40-a3d8-11116f7e8349", uuid.NewString()} {
		ada.Credentials[i].AAGUID, ada.Credentials[i].Nickname = aaguid, ""
	}
	w.whole(t, acme, importer.Fail, texts(t, ada)...)
	u, err := w.Users.Lookup(t.Context(), acme, "ada")
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.Credentials.ListOfUser(t.Context(), acme, u.ID, listing.Request{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range page.Items {
		names[c.Nickname] = true
	}
	if len(page.Items) != 3 || !names["Example key"] || !names["Bitwarden"] || !names[""] {
		t.Errorf("nicknames of %d credentials: %v", len(page.Items), names)
	}
}

// The check writes no user, the run all of them; what comes in is what an export gives
// out again. Each step leaves its audit entry, and the run its two events.
func TestImport(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	ada, bob := person(t, "ada", 2), person(t, "bob", 1)
	ada.Email, ada.Phone, ada.DisplayName, ada.State = "ada@acme.example", "+4915112345678", "Ada L.", "BLOCKED"
	yes := true
	bob.Credentials[0].Discoverable, bob.Credentials[0].BackupEligible, bob.Credentials[0].BackedUp = &yes, true, true
	bob.Credentials[0].State, bob.Credentials[0].Nickname = "SUSPENDED", "Phone"
	lines := append(texts(t, ada), "", texts(t, bob)[0])

	im := w.create(t, acme, importer.Fail)
	checked := w.feed(t, acme, im.ID, 1, lines...)
	if want := (importer.Counts{Lines: 2, UsersCreated: 2, CredentialsCreated: 3}); checked.Position != 3 || checked.Counts != want {
		t.Errorf("position %d, counts %+v, want 3, %+v", checked.Position, checked.Counts, want)
	}
	if page, err := w.Users.List(t.Context(), acme, listing.Request{}); err != nil || len(page.Items) > 0 {
		t.Fatalf("the check has written users: %v, %v", page.Items, err)
	}
	w.run(t, acme, im.ID)
	w.feed(t, acme, im.ID, 1, lines...)
	done, err := w.Service.Complete(t.Context(), acme, im.ID)
	if err != nil || importer.State(done.State) != importer.Done || done.Counts != checked.Counts {
		t.Fatalf("done = %+v, %v", done, err)
	}

	got, err := w.Users.Lookup(t.Context(), acme, "ada")
	if err != nil || got.Name != "Name of ada" || got.State != user.Blocked || got.Contact.Email != "ada@acme.example" ||
		base64.RawURLEncoding.EncodeToString(got.Handle) != ada.UserHandle {
		t.Errorf("ada = %+v, %v", got, err)
	}
	list, err := w.Credentials.ListOfUser(t.Context(), acme, got.ID, listing.Request{})
	if err != nil || len(list.Items) != 2 || list.Items[0].RegisteredVia != "IMPORT" || list.Items[0].Trust != "NONE" || list.Items[0].Lowered {
		t.Errorf("credentials = %+v, %v", list.Items, err)
	}
	page, err := w.Export(t.Context(), acme, importer.ExportRequest{Contacts: true})
	if err != nil || len(page.Items) != 2 {
		t.Fatalf("export = %+v, %v", page, err)
	}
	for i, want := range []importer.Line{ada, bob} {
		out := page.Items[i]
		out.CreatedAt = nil
		for j := range out.Credentials {
			out.Credentials[j].CreatedAt, out.Credentials[j].RPID = nil, ""
		}
		slices.SortFunc(out.Credentials, func(a, b importer.LineCredential) int { return strings.Compare(a.ID, b.ID) })
		slices.SortFunc(want.Credentials, func(a, b importer.LineCredential) int { return strings.Compare(a.ID, b.ID) })
		if a, b := texts(t, out)[0], texts(t, want)[0]; a != b {
			t.Errorf("exported\n%s\nwant\n%s", a, b)
		}
	}
	for action, want := range map[string]int64{"import.create": 1, "import.check": 1, "import.start": 1, "import.write": 1, "import.finish": 1, "user.export": 1, "user.create": 0} {
		if n := w.AuditCount(t, acme, action); n != want {
			t.Errorf("audit entries %s = %d, want %d", action, n, want)
		}
	}
	for typ, want := range map[event.Type]int64{event.ImportStarted: 1, event.ImportFinished: 1, event.UserCreated: 0} {
		if n := w.EventCount(t, acme, typ); n != want {
			t.Errorf("events %s = %d, want %d", typ, n, want)
		}
	}
	if page, err := w.Export(t.Context(), acme, importer.ExportRequest{}); err != nil || page.Items[0].Email != "" || page.Items[0].Phone != "" {
		t.Errorf("an export without contacts has some: %+v, %v", page.Items, err)
	}
}

// A batch that is sent twice, in part or from two places at once, counts once; one after
// a gap is refused. The position that commits apart from the lines, or the lock of the
// import removed, turns it red.
func TestEachLineCountsOnce(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	var lines []string
	for i := range 30 {
		lines = append(lines, texts(t, person(t, fmt.Sprintf("u%02d", i), 1))...)
	}
	im := w.create(t, acme, importer.Fail)
	w.feed(t, acme, im.ID, 1, lines[:10]...)
	w.feed(t, acme, im.ID, 6, lines[5:20]...) // the first five again
	w.feed(t, acme, im.ID, 1, lines[:20]...)  // all of them
	_, err := w.Append(t.Context(), acme, importer.AppendRequest{ID: im.ID, FirstLine: 22, Lines: lines[21:]})
	if !errors.Is(err, importer.ErrPosition) {
		t.Errorf("after a gap: %v, want %v", err, importer.ErrPosition)
	}
	w.feed(t, acme, im.ID, 21, lines[20:]...)
	w.run(t, acme, im.ID)
	w.feed(t, acme, im.ID, 1, lines[:10]...)
	// A server is killed here; whoever goes on, here eight at once, asks for the position.
	at, err := w.Service.Get(t.Context(), acme, im.ID)
	if err != nil || at.Position != 10 {
		t.Fatalf("position = %d, %v, want 10", at.Position, err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := w.Append(t.Context(), acme, importer.AppendRequest{ID: im.ID, FirstLine: 9, Lines: lines[8:]}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	done, err := w.Service.Complete(t.Context(), acme, im.ID)
	if want := (importer.Counts{Lines: 30, UsersCreated: 30, CredentialsCreated: 30}); err != nil || done.Counts != want {
		t.Errorf("done = %+v, %v, want %+v", done.Counts, err, want)
	}
	if page, err := w.Users.List(t.Context(), acme, listing.Request{PageSize: 200}); err != nil || len(page.Items) != 30 {
		t.Errorf("%d users, %v, want 30", len(page.Items), err)
	}
}

// What is there already, by each policy. The check foretells the run.
func TestDuplicates(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		on   importer.OnDuplicate
		want importer.Counts
		says []string
	}{
		{
			importer.Fail, importer.Counts{Lines: 6, UsersCreated: 1, LinesFailed: 5, CredentialsCreated: 1},
			[]string{
				"1 FAILED externalId USER_EXISTS", "2 FAILED externalId USER_EXISTS", "3 FAILED userHandle USER_HANDLE_TAKEN",
				"4 FAILED credentials[0].id CREDENTIAL_OF_ANOTHER_USER", "6 FAILED externalId REPEATED_IN_FILE",
			},
		},
		{
			importer.Skip, importer.Counts{Lines: 6, UsersCreated: 1, UsersSkipped: 3, LinesFailed: 2, CredentialsCreated: 1},
			[]string{
				"1 SKIPPED externalId USER_EXISTS", "2 SKIPPED externalId USER_EXISTS", "3 FAILED userHandle USER_HANDLE_TAKEN",
				"4 FAILED credentials[0].id CREDENTIAL_OF_ANOTHER_USER", "6 SKIPPED externalId REPEATED_IN_FILE",
			},
		},
		{
			importer.Merge, importer.Counts{Lines: 6, UsersCreated: 1, UsersMerged: 2, LinesFailed: 3, CredentialsCreated: 3, CredentialsSkipped: 1},
			[]string{"2 FAILED userHandle USER_HANDLE_DIFFERS", "3 FAILED userHandle USER_HANDLE_TAKEN", "4 FAILED credentials[0].id CREDENTIAL_OF_ANOTHER_USER"},
		},
	} {
		t.Run(string(tt.on), func(t *testing.T) {
			acme := w.Tenant(t)
			there := person(t, "there", 1)
			w.whole(t, acme, importer.Fail, texts(t, there)...)
			more, moved, taken, stolen, fresh := person(t, "there", 1), person(t, "there", 0), person(t, "taken", 0), person(t, "stolen", 0), person(t, "fresh", 1)
			more.UserHandle, more.Credentials = there.UserHandle, append(more.Credentials, there.Credentials[0])
			taken.UserHandle = there.UserHandle
			stolen.Credentials = there.Credentials
			again := person(t, "fresh", 1) // another credential of the same user, in a line of its own
			again.UserHandle = fresh.UserHandle
			lines := texts(t, more, moved, taken, stolen, fresh, again)

			im := w.create(t, acme, tt.on)
			w.feed(t, acme, im.ID, 1, lines[:4]...)
			w.feed(t, acme, im.ID, 5, lines[4])
			checked := w.feed(t, acme, im.ID, 6, lines[5]) // in a batch of its own: only the marks know of the line before
			if checked.Counts != tt.want {
				t.Errorf("check = %+v, want %+v", checked.Counts, tt.want)
			}
			if got := w.findings(t, acme, im.ID, importer.Check); !slices.Equal(got, tt.says) {
				t.Errorf("check says %q, want %q", got, tt.says)
			}
			w.run(t, acme, im.ID)
			if done := w.feed(t, acme, im.ID, 1, lines...); done.Counts != tt.want {
				t.Errorf("run = %+v, want %+v", done.Counts, tt.want)
			}
			if got := w.findings(t, acme, im.ID, importer.Write); !slices.Equal(got, tt.says) {
				t.Errorf("run says %q, want %q", got, tt.says)
			}
		})
	}
}

// A line is taken whole or not at all, and the others of its batch go on.
func TestBadLinesAreReported(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	good, bad := person(t, "good", 1), person(t, "bad", 2)
	bad.Credentials[1].RPID = "evil.example"
	lines := append(texts(t, good, bad), `{"externalId":`)
	im := w.create(t, acme, importer.Fail)
	w.feed(t, acme, im.ID, 1, lines...)
	want := []string{"2 FAILED credentials[1].rpId RP_ID_MISMATCH", "3 FAILED  JSON_INVALID"}
	if got := w.findings(t, acme, im.ID, importer.Check); !slices.Equal(got, want) {
		t.Errorf("findings = %q, want %q", got, want)
	}
	if _, err := w.Service.Complete(t.Context(), acme, im.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Service.Run(t.Context(), acme, importer.RunRequest{ID: im.ID}); !errors.Is(err, importer.ErrHasErrors) {
		t.Errorf("run = %v, want %v", err, importer.ErrHasErrors)
	}
	w.run(t, acme, im.ID)
	w.feed(t, acme, im.ID, 1, lines...)
	if _, err := w.Users.Lookup(t.Context(), acme, "bad"); !errors.Is(err, user.ErrNotFound) {
		t.Errorf("a line was taken in part: %v", err)
	}
	if _, err := w.Users.Lookup(t.Context(), acme, "good"); err != nil {
		t.Errorf("a good line was lost: %v", err)
	}
	page, err := w.Findings(t.Context(), acme, importer.FindingsRequest{ID: im.ID, Phase: importer.Check, Request: listing.Request{PageSize: 1}})
	if err != nil || len(page.Items) != 1 || page.NextToken == "" {
		t.Fatalf("first page = %+v, %v", page, err)
	}
	page, err = w.Findings(t.Context(), acme, importer.FindingsRequest{ID: im.ID, Phase: importer.Check, Request: listing.Request{PageSize: 1, PageToken: page.NextToken}})
	if err != nil || len(page.Items) != 1 || page.Items[0].Line != 3 || page.NextToken != "" {
		t.Errorf("second page = %+v, %v", page, err)
	}
}

// A run whose lines are not those of the check is never done.
func TestRunOfAnotherFile(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	lines := texts(t, person(t, "a", 0), person(t, "b", 0))
	im := w.create(t, acme, importer.Fail)
	w.feed(t, acme, im.ID, 1, lines...)
	w.run(t, acme, im.ID)
	w.feed(t, acme, im.ID, 1, lines[0])
	if _, err := w.Service.Complete(t.Context(), acme, im.ID); !errors.Is(err, importer.ErrChanged) {
		t.Errorf("half of the file: %v, want %v", err, importer.ErrChanged)
	}
	w.feed(t, acme, im.ID, 2, texts(t, person(t, "c", 0))[0])
	if _, err := w.Service.Complete(t.Context(), acme, im.ID); !errors.Is(err, importer.ErrChanged) {
		t.Errorf("another line: %v, want %v", err, importer.ErrChanged)
	}
	if _, err := w.Append(t.Context(), acme, importer.AppendRequest{ID: im.ID, FirstLine: 3, Lines: lines[:1]}); !errors.Is(err, importer.ErrTooLong) {
		t.Errorf("one line more: %v, want %v", err, importer.ErrTooLong)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	create := func(sc scope.Scope, rpID string, on importer.OnDuplicate) error {
		_, err := w.Create(t.Context(), sc, importer.CreateRequest{RPID: rpID, OnDuplicate: on})
		return err
	}
	policy := func(document string) scope.Scope { return w.TenantWith(t, dbtest.TenantOptions{Policy: document}) }
	im := w.create(t, acme, importer.Fail)
	lines := []string{"{}"}
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"another RP ID", create(acme, "acme.example", importer.Fail), importer.ErrRPID},
		{"another policy for duplicates", create(acme, "localhost", "REPLACE"), importer.ErrDuplicates},
		{"the reserved tenant", create(scope.New(scope.PlatformTenant, acme.Actor()), "localhost", importer.Fail), importer.ErrNotFound},
		{"a tenant that asks for trust", create(policy(`{"requiredTrust":"VERIFIED","attestationConveyance":"direct"}`), "localhost", importer.Fail), importer.ErrUntrusted},
		{"a tenant with an allow-list", create(policy(`{"requiredTrust":"MDS","attestationConveyance":"direct","authenticatorsAllowed":["fa2b99dc-9e39-4257-8f92-4a30d23c4118"]}`), "localhost", importer.Fail), importer.ErrUntrusted},
		{"a merge where a further passkey takes a sign-in", create(policy(`{"additionalCredential":"STRONG_SIGN_IN"}`), "localhost", importer.Merge), importer.ErrUntrusted},
		{"no lines", appendErr(t, w, acme, importer.AppendRequest{ID: im.ID, FirstLine: 1}), importer.ErrBatch},
		{"501 lines", appendErr(t, w, acme, importer.AppendRequest{ID: im.ID, FirstLine: 1, Lines: make([]string, 501)}), importer.ErrBatch},
		{"a megabyte and more", appendErr(t, w, acme, importer.AppendRequest{ID: im.ID, FirstLine: 1, Lines: []string{strings.Repeat(" ", 1<<20+1)}}), importer.ErrBatch},
		{"a line break", appendErr(t, w, acme, importer.AppendRequest{ID: im.ID, FirstLine: 1, Lines: []string{"{}\n{}"}}), importer.ErrBatch},
		{"line 0", appendErr(t, w, acme, importer.AppendRequest{ID: im.ID, FirstLine: 0, Lines: lines}), importer.ErrBatch},
		{"line 5,000,001", appendErr(t, w, acme, importer.AppendRequest{ID: im.ID, FirstLine: 5_000_001, Lines: lines}), importer.ErrTooLong},
		{"another tenant's", appendErr(t, w, globex, importer.AppendRequest{ID: im.ID, FirstLine: 1, Lines: lines}), importer.ErrNotFound},
		{"run before the check", second(w.Service.Run(t.Context(), acme, importer.RunRequest{ID: im.ID})), importer.ErrState},
		{"run another tenant's", second(w.Service.Run(t.Context(), globex, importer.RunRequest{ID: im.ID})), importer.ErrNotFound},
		{"complete another tenant's", second(w.Service.Complete(t.Context(), globex, im.ID)), importer.ErrNotFound},
		{"cancel another tenant's", second(w.Service.Cancel(t.Context(), globex, im.ID)), importer.ErrNotFound},
		{"get another tenant's", second(w.Service.Get(t.Context(), globex, im.ID)), importer.ErrNotFound},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.err, tt.want)
		}
	}
	if _, err := w.Findings(t.Context(), globex, importer.FindingsRequest{ID: im.ID}); !errors.Is(err, importer.ErrNotFound) {
		t.Errorf("another tenant's findings: %v", err)
	}
	if page, err := w.Service.List(t.Context(), globex, listing.Request{}); err != nil || len(page.Items) > 0 {
		t.Errorf("another tenant's list: %+v, %v", page, err)
	}
	if _, err := w.Service.Cancel(t.Context(), acme, im.ID); err != nil {
		t.Errorf("cancel: %v", err)
	}
	if err := appendErr(t, w, acme, importer.AppendRequest{ID: im.ID, FirstLine: 1, Lines: lines}); !errors.Is(err, importer.ErrState) {
		t.Errorf("after cancel: %v, want %v", err, importer.ErrState)
	}
	for range 10 {
		w.create(t, acme, importer.Fail)
	}
	if err := create(acme, "localhost", importer.Fail); !errors.Is(err, importer.ErrTooMany) {
		t.Errorf("the eleventh: %v, want %v", err, importer.ErrTooMany)
	}
	page, err := w.Service.List(t.Context(), acme, listing.Request{Filter: `state = "CANCELLED"`})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != im.ID {
		t.Errorf("list = %+v, %v", page, err)
	}
}

func second(_ importer.Import, err error) error { return err }

func appendErr(t *testing.T, w *world, sc scope.Scope, req importer.AppendRequest) error {
	t.Helper()
	_, err := w.Append(t.Context(), sc, req)
	return err
}

// The same user, handle and credential come into two tenants, and neither knows of the
// other's: keys that do not start with the tenant turn it red.
func TestSameFileInTwoTenants(t *testing.T) {
	w := newWorld(t)
	lines := texts(t, person(t, "ada", 2))
	for _, sc := range []scope.Scope{w.Tenant(t), w.Tenant(t)} {
		if done := w.whole(t, sc, importer.Fail, lines...); done.Counts.UsersCreated != 1 || done.Counts.CredentialsCreated != 2 {
			t.Errorf("counts = %+v", done.Counts)
		}
	}
}

// Somebody makes the same users while the import runs: each line ends as created or as
// failed, and no batch is lost.
func TestRace(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	var lines []string
	for i := range 40 {
		lines = append(lines, texts(t, person(t, fmt.Sprintf("u%02d", i), 1))...)
	}
	im := w.create(t, acme, importer.Fail)
	w.feed(t, acme, im.ID, 1, lines...)
	w.run(t, acme, im.ID)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			_, err := w.Users.Create(t.Context(), acme, user.Profile{ExternalID: fmt.Sprintf("u%02d", i), Name: "n"}, user.Contact{})
			if err != nil && !errors.Is(err, user.ErrExists) {
				t.Error(err)
			}
		})
	}
	for i := 0; i < 40; i += 5 {
		w.feed(t, acme, im.ID, i+1, lines[i:i+5]...)
	}
	wg.Wait()
	done, err := w.Service.Complete(t.Context(), acme, im.ID)
	if err != nil || done.Counts.UsersCreated+done.Counts.LinesFailed != 40 {
		t.Errorf("counts = %+v, %v", done.Counts, err)
	}
	if page, err := w.Users.List(t.Context(), acme, listing.Request{PageSize: 200}); err != nil || len(page.Items) != 40 {
		t.Errorf("%d users, %v, want 40", len(page.Items), err)
	}
}

// Lines a second, in batches as the command sends them.
func BenchmarkImport(b *testing.B) {
	w := newWorld(b)
	acme := w.Tenant(b)
	im := w.create(b, acme, importer.Fail)
	const batch = 200
	lines := make([]string, 0, b.N*batch)
	for i := range cap(lines) {
		lines = append(lines, texts(b, person(b, fmt.Sprintf("u%07d", i), 1))...)
	}
	feed := func() {
		for at := 0; at < len(lines); at += batch {
			w.feed(b, acme, im.ID, at+1, lines[at:at+batch]...)
		}
	}
	feed()
	w.run(b, acme, im.ID)
	b.ResetTimer()
	feed()
	b.ReportMetric(float64(len(lines))/b.Elapsed().Seconds(), "lines/s")
}
