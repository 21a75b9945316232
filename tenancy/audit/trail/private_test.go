package trail_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var (
	ana = uuid.MustParse("01890a5d-ac97-7000-8000-0000000000aa")
	bob = uuid.MustParse("01890a5d-ac97-7000-8000-0000000000bb")
)

// as commits an entry of a person, with words and all that tells of them.
func (l *ledger) as(t *testing.T, person uuid.UUID, name, address string) {
	t.Helper()
	sc := l.acme.WithActor(scope.Actor{Kind: scope.ActorOperator, ID: person.String(), Name: name}).
		WithOrigin(scope.Origin{Address: netip.MustParseAddr(address), UserAgent: "Browser of " + name, RequestID: "r"})
	if err := l.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		return audit.Append(t.Context(), tx, audit.Entry{Action: "user.update", Reason: "words of " + name, Detail: []attr.Attr{attr.Int("n", 1)}})
	}); err != nil {
		t.Fatal(err)
	}
}

func (l *ledger) erase(t *testing.T, person uuid.UUID) {
	t.Helper()
	if err := l.store.InTenant(t.Context(), l.acme, func(tx *db.TenantTx) error {
		return tx.EraseSubject(t.Context(), tenantq.EraseSubjectParams{SubjectID: person, Now: tx.Now()})
	}); err != nil {
		t.Fatal(err)
	}
}

// of returns what is read of a person's entries, the newest first.
func (l *ledger) of(t *testing.T, person uuid.UUID) []trail.Record {
	t.Helper()
	page, err := l.List(t.Context(), l.acme, listing.Request{Filter: "actor = " + person.String()})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

func told(r *trail.Record) string {
	return fmt.Sprint(r.Actor.Name, "|", r.Address, "|", r.UserAgent, "|", r.Reason, "|", r.RequestID, "|", string(r.Detail))
}

// What an entry tells of somebody is read as it was, in the inbox and in the log, and nowhere in the
// log does it stand. Once they are erased, it is nowhere, and everything else holds as it did.
func TestErasedFromTheLog(t *testing.T) {
	l := newLedger(t)
	l.as(t, ana, "Ana Canary", "192.0.2.7")
	l.as(t, bob, "Bob", "192.0.2.8")
	const wants = `Ana Canary|192.0.2.7|Browser of Ana Canary|words of Ana Canary|r|{"n":1}`
	if got := l.of(t, ana); len(got) != 1 || told(&got[0]) != wants || got[0].Seq != -1 {
		t.Fatalf("in the inbox: %+v", got)
	}
	l.move(t)
	l.as(t, ana, "Ana Canary", "192.0.2.7") // another one, by the key that there is
	l.move(t)
	kept := l.of(t, ana)
	if len(kept) != 2 || told(&kept[0]) != wants || told(&kept[1]) != wants || kept[1].Seq < 0 || len(kept[1].Private) != 2 || kept[1].Private[0].State != trail.PrivateKept {
		t.Fatalf("in the log: %+v", kept)
	}
	if p, err := l.Prove(t.Context(), l.acme, kept[0].ID); err != nil || len(p.Private) != 2 || p.Private[0].Subject != ana || !slices.Equal(p.Private, kept[0].Private) {
		t.Errorf("Prove = %+v, %v", p.Private, err)
	}
	var plain int
	if err := l.super.QueryRow(t.Context(), `SELECT count(*) FROM audit_entries WHERE entry || encode(private, 'escape') ~ 'Canary|192\.0\.2|words|Browser'`).Scan(&plain); err != nil || plain != 0 {
		t.Errorf("%d entries stand in clear, %v", plain, err)
	}
	before := new(bytes.Buffer)
	if err := l.Export(t.Context(), l.acme, 0, before); err != nil || !strings.Contains(before.String(), "Ana Canary") {
		t.Fatalf("an export tells nothing of her, %v", err)
	}

	l.as(t, ana, "Ana Canary", "192.0.2.7") // waits while she is erased
	l.erase(t, ana)
	l.erase(t, ana)
	l.move(t)
	for _, e := range l.of(t, ana) {
		if got := told(&e); got != "|invalid IP||words of Ana Canary|r|{\"n\":1}" || e.Private[0].State != trail.PrivateErased || e.Private[1].State != trail.PrivateKept {
			t.Errorf("erased: %s, %+v", got, e.Private)
		}
		if p, err := l.Prove(t.Context(), l.acme, e.ID); err != nil || !slices.Equal(p.Private, e.Private) {
			t.Errorf("Prove = %+v, %v", p.Private, err)
		}
	}
	if got := l.of(t, bob); len(got) != 1 || !strings.HasPrefix(told(&got[0]), "Bob|192.0.2.8|Browser of Bob|") {
		t.Errorf("of others: %+v", got)
	}
	for what, file := range map[string]*bytes.Buffer{"from before": before, "from after": l.exported(t)} {
		report, err := bundle.Verify(bytes.NewReader(file.Bytes()), "")
		if err != nil || !report.Valid() {
			t.Errorf("an export %s: %+v, %v", what, report, err)
		}
		if told := strings.Contains(file.String(), "192.0.2.7"); told != (what == "from before") {
			t.Errorf("an export %s tells of her: %v", what, told)
		}
	}
}

func (l *ledger) exported(t *testing.T) *bytes.Buffer {
	t.Helper()
	out := new(bytes.Buffer)
	if err := l.Export(t.Context(), l.acme, 0, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What is private of an entry is as hard to change as the entry: it does not open at another place, and what is told of
// it in a file is held to its hash.
func TestPrivateIsHeldToItsHash(t *testing.T) {
	l := newLedger(t)
	l.as(t, ana, "Ana", "192.0.2.7")
	l.as(t, ana, "Ana", "192.0.2.9")
	l.move(t)
	file := l.exported(t).String()
	for what, changed := range map[string]string{
		"another address": strings.Replace(file, "192.0.2.7", "192.0.2.6", 1), "one part less": strings.Replace(file, `{"text":"{\"address`, `{"gone":"{\"address`, 1),
		"parts of none": strings.Replace(file, `"private":[{"text"`, `"private":[{},{},{},{"text"`, 1),
	} {
		report, err := bundle.Verify(strings.NewReader(changed), "")
		if want := what != "one part less"; changed == file || err != nil || report.Valid() == want {
			t.Errorf("%s: %+v, %v", what, report, err)
		} else if want && (len(report.Findings) != 1 || !strings.Contains(report.Findings[0].Problem, "private")) {
			t.Errorf("%s: %v", what, report.Findings)
		}
	}
	for what, sql := range map[string]string{
		"swapped": "UPDATE audit_entries a SET private = b.private FROM audit_entries b WHERE a.action = 'user.update' AND b.action = 'user.update' AND a.seq <> b.seq",
		"cut off": "UPDATE audit_entries SET private = substr(private, 1, 20) WHERE action = 'user.update'",
	} {
		if _, err := l.super.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		for _, e := range l.of(t, ana) {
			if e.Private[0].State != trail.PrivateDamaged || e.Address.IsValid() || e.UserAgent != "" {
				t.Errorf("%s: %+v", what, e)
			}
		}
	}
}

// Without keys nothing is sealed, and nothing of it is read: another tenant's keys open nothing either.
func TestPrivateOfAnotherTenant(t *testing.T) {
	l := newLedger(t)
	l.as(t, ana, "Ana", "192.0.2.7")
	l.move(t)
	if _, err := l.super.Exec(t.Context(), "UPDATE audit_entries SET tenant_id = $1 WHERE action = 'user.update'", l.other.Tenant()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.super.Exec(t.Context(), "INSERT INTO subject_keys SELECT $1, subject_id, salt FROM subject_keys WHERE tenant_id = $2 ON CONFLICT DO NOTHING", l.other.Tenant(), l.acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	page, err := l.List(t.Context(), l.other, listing.Request{Filter: "actor = " + ana.String()})
	if err != nil || len(page.Items) != 1 || page.Items[0].Private[0].State != trail.PrivateDamaged || page.Items[0].Address.IsValid() {
		t.Errorf("List = %+v, %v", page, err)
	}
}
