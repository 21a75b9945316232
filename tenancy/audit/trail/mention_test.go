package trail_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/audit/trail"
)

// Each number has its own count, in the order that they were asked in.
func TestMentions(t *testing.T) {
	l := newLedger(t)
	l.as(t, ana, "Ana", "192.0.2.7")
	l.as(t, bob, "Bob", "192.0.2.8")
	l.as(t, ana, "Ana", "192.0.2.7")
	l.move(t)
	of := l.of(t, ana) // the newest first
	first, last := of[len(of)-1].Seq, of[0].Seq
	got, begins, err := l.Mentions(t.Context(), l.acme, ana, []int64{last + 1, first, last, first + 1})
	want := []trail.Mentions{{Entries: 2, First: first, Last: last}, {First: -1, Last: -1}, {Entries: 1, First: first, Last: first}, {Entries: 1, First: first, Last: first}}
	if err != nil || len(got) != len(want) || begins != 0 {
		t.Fatalf("Mentions = %+v, %d, %v", got, begins, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("below the %d. number: %+v, want %+v", i, got[i], want[i])
		}
	}
	if got, _, err := l.Mentions(t.Context(), l.other, ana, []int64{100}); err != nil || got[0].Entries != 0 {
		t.Errorf("of another tenant = %+v, %v", got, err)
	}
}

// 100,000 entries of some 700 bytes, ten log streams.
func BenchmarkMentions(b *testing.B) {
	l := newLedger(b)
	if _, err := l.super.Exec(b.Context(), `INSERT INTO audit_entries (tenant_id, seq, sequenced_at, id, at, action, target, entry, leaf)
		SELECT $1, 1000000 + g, now(), gen_random_uuid(), now(), 'user.update', '', repeat('{"id":"' || gen_random_uuid() || '"}', 15), sha256(g::text::bytea)
		FROM generate_series(1, 100000) g`, l.acme.Tenant()); err != nil {
		b.Fatal(err)
	}
	below := make([]int64, 11)
	for i := range below {
		below[i] = 2_000_000
	}
	for b.Loop() {
		if _, _, err := l.Mentions(b.Context(), l.acme, uuid.New(), below); err != nil {
			b.Fatal(err)
		}
	}
}
