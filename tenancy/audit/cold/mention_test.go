package cold_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// about adds an entry of each person to a log, as who acted or was acted on.
func (w *world) about(t testing.TB, sc scope.Scope, people ...uuid.UUID) {
	t.Helper()
	for i, person := range people {
		by, e := sc, audit.Entry{Action: "user.update", Target: audit.Target{Kind: "user", ID: person.String()}, Reason: "words"}
		if i%2 == 0 {
			by = scope.New(sc.Tenant(), scope.Actor{Kind: scope.ActorUser, ID: person.String(), Name: "Name of " + person.String()[30:]})
			e.Target.ID = uuid.NewString()
		}
		if err := w.then.InTenant(t.Context(), by, func(tx *db.TenantTx) error { return audit.Append(t.Context(), tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sequencer.New(sequencer.Options{Store: w.then, Keys: w.keys, Host: "id.bank.example"}).Move(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// naming returns the archives that may name a person, and below which number.
func (w *world) naming(t testing.TB, sc scope.Scope, person uuid.UUID) (list []cold.Archive, begins int64) {
	t.Helper()
	if err := w.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
		if begins, err = trail.FirstKeptIn(t.Context(), tx, 0); err == nil {
			list, err = cold.NamingIn(t.Context(), tx, person, begins)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list, begins
}

// archivedOf are the lines of archives alone that name a person, and the archives that could not be read.
func (w *world) archivedOf(t testing.TB, sc scope.Scope, person uuid.UUID) (lines []bundle.Line, unread []cold.Archive) {
	t.Helper()
	list, begins := w.naming(t, sc, person)
	unread, err := w.server().Mentions(t.Context(), sc, list, person, begins, func(some []bundle.Line) error {
		lines = append(lines, some...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, unread
}

// Whoever is asked for is found in the archives and in the database: each entry once, and no other. Which ones, is what the whole log said before any of it
// left. Archives that do not name somebody are not read. Once erased, nothing of a person opens, and the archives verify as before.
func TestMentions(t *testing.T) {
	w := newWorld(t, "")
	acme, globex := w.tenant(t), w.tenant(t)
	people := make([]uuid.UUID, 12)
	for i := range people {
		people[i] = uuid.Must(uuid.NewV7())
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 9 { // the first is there from the beginning, the last of all at the end alone
		for i, person := range people {
			if random.IntN(len(people)) > i {
				w.about(t, acme, person, person)
			}
		}
		w.grow(t, acme, 60)
	}
	w.behind.Store(int64(80 * day))
	w.about(t, acme, people...)
	w.grow(t, acme, 9)
	w.grow(t, globex, 9)
	w.behind.Store(0)

	oracle := map[uuid.UUID][]int64{}
	for _, person := range people {
		rows, err := w.super.Query(t.Context(), "SELECT seq FROM audit_entries WHERE tenant_id = $1 AND strpos(entry, $2::text) > 0 ORDER BY seq", acme.Tenant(), person.String())
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var seq int64
			if err := rows.Scan(&seq); err != nil {
				t.Fatal(err)
			}
			oracle[person] = append(oracle[person], seq)
		}
	}
	if len(oracle[people[0]]) < 15 || len(oracle[people[11]]) > 3 {
		t.Fatalf("the oracle is blind: %v", oracle)
	}
	w.archiveAll(t, acme, 0)
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_archives SET archived_at = archived_at - interval '8 days'"); err != nil {
		t.Fatal(err)
	}
	w.remove(t, acme)
	begins, _ := w.first(t, acme)
	if begins < 256 {
		t.Fatalf("nothing has left: %d", begins)
	}
	all, err := w.server().List(t.Context(), acme, 0, 1000)
	if err != nil || len(all) < 5 || all[0].From < begins {
		t.Fatal(len(all), err)
	}
	slices.Reverse(all)
	for _, person := range people {
		var got []int64
		lines, unread := w.archivedOf(t, acme, person)
		for i := range lines {
			got = append(got, lines[i].Seq)
		}
		kept, from, err := w.trail.Mentions(t.Context(), acme, person, []int64{1 << 40})
		if err != nil || from != begins || len(unread) != 0 {
			t.Fatalf("Mentions = %+v, %d, %v, unread %v", kept, from, err, unread)
		}
		want := oracle[person]
		old := want[:len(want)-int(kept[0].Entries)]
		if !slices.Equal(got, old) || len(old) > 0 && old[len(old)-1] >= begins {
			t.Errorf("%s is named by %v in archives and %d below in the database, want %v", person, got, kept[0].Entries, want)
		}
		whole := 0 // of all archives, whatever their filters say, and those beyond
		if _, err := w.server().Mentions(t.Context(), acme, all, person, begins, func(lines []bundle.Line) error { whole += len(lines); return nil }); err != nil || whole != len(old) {
			t.Errorf("%s is named %d times by all archives, want %d, %v", person, whole, len(old), err)
		}
		if lines, _ := w.archivedOf(t, globex, person); len(lines) != 0 {
			t.Errorf("another tenant's archives name %s", person)
		}
	}

	// Somebody of no archive has none read but those that the filter is wrong about: fewer than one of 20.
	wrong := 0
	for range 200 {
		list, _ := w.naming(t, acme, uuid.New())
		wrong += len(list)
	}
	if wrong > 200*len(all)/20 {
		t.Errorf("the filters are wrong about %d of %d", wrong, 200*len(all))
	}
	// One that was archived before there were filters is read.
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_archives SET names = NULL WHERE from_seq = 0"); err != nil {
		t.Fatal(err)
	}
	if list, _ := w.naming(t, acme, uuid.New()); len(list) == 0 || list[0].From != 0 {
		t.Errorf("an archive without a filter is not looked into: %+v", list)
	}

	// Erased: the archives are what they were, and nothing of the person opens; of others everything does.
	ana, bob := people[0], people[1]
	opened := func(person uuid.UUID) (states map[trail.PrivateState]int) {
		states = map[trail.PrivateState]int{}
		lines, _ := w.archivedOf(t, acme, person)
		rows := make([]tenantq.FindAuditEntriesRow, len(lines))
		for i := range lines {
			var e struct{ ID uuid.UUID }
			if err := json.Unmarshal([]byte(lines[i].Entry), &e); err != nil {
				t.Fatal(err)
			}
			var sealed [][]byte
			for _, p := range lines[i].Private {
				sealed = append(sealed, p.Sealed)
			}
			rows[i] = tenantq.FindAuditEntriesRow{Seq: &lines[i].Seq, ID: e.ID, Entry: lines[i].Entry, Private: private.Join(sealed)}
		}
		ring, err := w.keys.Ring(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.ReadTenant(t.Context(), acme, func(tx *db.TenantTx) error {
			all, err := trail.OpenPrivate(t.Context(), tx, ring, rows)
			for _, parts := range all {
				for _, p := range parts {
					if p.Subject == person {
						states[p.State]++
					}
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return states
	}
	if got := opened(ana); got[trail.PrivateKept] == 0 || len(got) != 1 {
		t.Errorf("before she is erased her parts are %v", got)
	}
	names, before := w.files(t)
	if err := w.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return tx.EraseSubject(t.Context(), tenantq.EraseSubjectParams{SubjectID: ana, Now: tx.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	if got := opened(ana); got[trail.PrivateErased] == 0 || len(got) != 1 {
		t.Errorf("erased, and her parts are %v", got)
	}
	if got := opened(bob); got[trail.PrivateKept] == 0 || len(got) != 1 {
		t.Errorf("she is erased, and his parts are %v", got)
	}
	if _, after := w.files(t); after != before || strings.Contains(after, "Name of ") {
		t.Error("archives were changed, or tell of her in clear")
	}
	w.judge(t, acme)

	// What object storage has lost or has another of is said, and of nothing else less is told.
	list, _ := w.naming(t, acme, bob)
	if len(list) < 3 {
		t.Fatal(list)
	}
	broken := fmt.Sprint(list[1].Objects[0])
	for _, name := range names {
		if strings.Contains(name, broken) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	lines, unread := w.archivedOf(t, acme, bob)
	if len(unread) != 1 || unread[0].From != list[1].From {
		t.Errorf("unread: %+v, want that from %d", unread, list[1].From)
	}
	for i := range lines {
		if seq := lines[i].Seq; seq >= list[1].From && seq < list[1].To || !slices.Contains(oracle[bob], seq) {
			t.Errorf("entry %d is told of an archive that is not there, or does not name him", seq)
		}
	}
}

// Ids are found wherever the bytes are cut.
func TestNames(t *testing.T) {
	id, other := uuid.Must(uuid.NewV7()), uuid.New()
	text := `{"a-b":"` + id.String() + `","c":"--x` + other.String() + `-"}` + "\n"
	whole := cold.FilterOf(text, len(text))
	for size := 1; size < len(text); size++ {
		if got := cold.FilterOf(text, size); string(got) != string(whole) {
			t.Errorf("in pieces of %d bytes it is another filter", size)
		}
	}
	if !cold.MayName(whole, id) || !cold.MayName(whole, other) || cold.MayName(whole, uuid.New()) {
		t.Error("the filter lacks what it was made of, or has everything")
	}
}

// A tenant with 100 archives of 1,000 entries each, of which a person is in three.
func BenchmarkMentions(b *testing.B) {
	w := newWorld(b, "")
	acme := w.tenant(b)
	person := uuid.Must(uuid.NewV7())
	s := w.server()
	s.Bound(1000, 8<<20, 5000)
	for i := range 100 {
		if i%40 == 0 {
			w.about(b, acme, person)
		}
		w.growBy(b, acme, 1000, 1000)
		if did, err := s.Archive(b.Context(), acme, w.clock()); err != nil || !did {
			b.Fatal(i, did, err)
		}
	}
	var size int64
	if err := w.super.QueryRow(b.Context(), "SELECT sum(octet_length(names)) FROM audit_archives").Scan(&size); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size)/100, "filter-B/archive")
	for name, id := range map[string]uuid.UUID{"in three": person, "in none": uuid.New()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var list []cold.Archive
				if err := w.ReadTenant(b.Context(), acme, func(tx *db.TenantTx) (err error) {
					list, err = cold.NamingIn(b.Context(), tx, id, 1<<40)
					return err
				}); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Mentions(b.Context(), acme, list, id, 1<<40, func([]bundle.Line) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("without filters", func(b *testing.B) {
		list, err := s.List(b.Context(), acme, 0, 1000)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.Mentions(b.Context(), acme, list, person, 1<<40, func([]bundle.Line) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}
