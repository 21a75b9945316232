package trail_test

import (
	"testing"

	"github.com/biocore-id/biocore/tenancy/listing"
)

// BenchmarkList is a page of 50 of a log of 300,000 entries: the newest ones, those about one thing, and one of which nothing
// matches, for which as many entries are read as a page looks at.
func BenchmarkList(b *testing.B) {
	l := newLedger(b)
	l.append(b, 1)
	l.exec(b, `INSERT INTO audit_entries (tenant_id, seq, sequenced_at, id, at, action, target, entry, leaf)
		SELECT tenant_id, 100 + n, sequenced_at, (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, at, action, 'user/' || n % 1000, entry, leaf
		FROM audit_entries, generate_series(1, 300000) n WHERE tenant_id = $1 AND seq = 0`, l.acme.Tenant())
	l.exec(b, "ANALYZE audit_entries")
	for name, filter := range map[string]string{"newest": "", "of one thing": `target = "user/77"`, "none matches": `action = "no.such"`} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := l.List(b.Context(), l.acme, listing.Request{PageSize: 50, Filter: filter})
				if err != nil || (len(page.Items) == 50) != (name != "none matches") {
					b.Fatal(len(page.Items), err)
				}
			}
		})
	}
}
