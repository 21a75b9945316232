package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var (
	tenantID = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	entryID  = uuid.MustParse("01890a5d-ac97-7000-8000-000000000001")
	at       = time.Date(2030, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600))
)

func fullScope() scope.Scope {
	by := scope.Support{GrantID: entryID, By: scope.Actor{Kind: scope.ActorOperator, ID: "01890a5d-ac98-7000-8000-000000000002", Name: "Ana"}}
	return scope.ForSupport(tenantID, entryID, "Sam", by).WithOrigin(scope.Origin{
		Address: netip.MustParseAddr("2001:db8::1%eth0"), UserAgent: "Mozilla/5.0 (\"x\")",
		RequestID: "req-1", TraceID: "0af7651916cd43dd8448eb211c80319c",
	})
}

func fullEntry() audit.Entry {
	return audit.Entry{
		Action: "credential.rename", Target: audit.Target{Kind: "credential", ID: "AQID"}, Reason: "asked \u2028 by phone",
		Before: []audit.Attr{attr.Bytes("nickname", []byte{1, 2, 0xff}), attr.Int("signCount", 7)},
		After:  []audit.Attr{attr.Texts("transports", []string{"internal", "hybrid"}), attr.Bool("backedUp", true)},
		Detail: []audit.Attr{attr.UUID("userId", tenantID), attr.Text("note", "tab\tline\n\x01")},
		Salt:   [16]byte{1, 2, 3},
	}
}

// The golden text is hashed by tenants' logs: a change of it needs a new Version.
func TestAppendJSONIsCanonical(t *testing.T) {
	tests := map[string]struct {
		scope   scope.Scope
		entry   audit.Entry
		want    string   // HASH0 and so on are those of
		private []string // in which SALT is random
	}{
		"full": {fullScope(), fullEntry(), `{"v":2,"id":"01890a5d-ac97-7000-8000-000000000001","tenantId":"01890a5d-ac96-774b-bcce-b302099a8057",` +
			`"at":"2030-01-02T02:04:05.000006Z","action":"credential.rename","outcome":"success",` +
			`"actor":{"kind":"support","id":"01890a5d-ac97-7000-8000-000000000001"},"onBehalfOf":{"kind":"operator","id":"01890a5d-ac98-7000-8000-000000000002"},` +
			`"target":{"kind":"credential","id":"AQID"},"requestId":"req-1",` +
			`"traceId":"0af7651916cd43dd8448eb211c80319c","before":{"nickname":"AQL_","signCount":7},` +
			`"after":{"transports":["internal","hybrid"],"backedUp":true},` +
			`"detail":{"userId":"01890a5d-ac96-774b-bcce-b302099a8057","note":"tab\tline\n\u0001"},` +
			`"private":[{"subject":"01890a5d-ac97-7000-8000-000000000001","hash":"HASH0"},{"subject":"01890a5d-ac98-7000-8000-000000000002","hash":"HASH1"},{"hash":"HASH2"}],` +
			`"salt":"AQIDAAAAAAAAAAAAAAAAAA"}`, []string{
			`{"address":"2001:db8::1","userAgent":"Mozilla/5.0 (\"x\")","actor":{"name":"Sam"},"salt":"SALT"}`,
			`{"onBehalfOf":{"name":"Ana"},"salt":"SALT"}`, `{"reason":"asked ` + "\u2028" + ` by phone","salt":"SALT"}`,
		}},
		"least": {scope.New(tenantID, scope.Actor{Kind: scope.ActorSystem}), audit.Entry{Action: "a.b", Outcome: audit.Denied, Salt: [16]byte{1}},
			`{"v":2,"id":"01890a5d-ac97-7000-8000-000000000001","tenantId":"01890a5d-ac96-774b-bcce-b302099a8057",` +
				`"at":"2030-01-02T02:04:05.000006Z","action":"a.b","outcome":"denied","actor":{"kind":"system","id":""},"salt":"AQAAAAAAAAAAAAAAAAAAAA"}`, nil},
		"refused, by a key for somebody": {
			scope.New(tenantID, scope.Actor{Kind: scope.ActorAPIKey, ID: "k"}).WithOrigin(scope.Origin{UserAgent: "ua"}),
			audit.Entry{Action: "a.b", Outcome: audit.Denied, Fault: "SIGNATURE_INVALID", Subject: entryID, Salt: [16]byte{1}},
			`{"v":2,"id":"01890a5d-ac97-7000-8000-000000000001","tenantId":"01890a5d-ac96-774b-bcce-b302099a8057",` +
				`"at":"2030-01-02T02:04:05.000006Z","action":"a.b","outcome":"denied","reason":"SIGNATURE_INVALID","actor":{"kind":"api_key","id":"k"},` +
				`"private":[{"subject":"01890a5d-ac97-7000-8000-000000000001","hash":"HASH0"}],"salt":"AQAAAAAAAAAAAAAAAAAAAA"}`,
			[]string{`{"userAgent":"ua","salt":"SALT"}`},
		},
		"by nobody who is known": {
			scope.New(tenantID, scope.Actor{Kind: scope.ActorSystem, ID: "cli", Name: "root"}).WithOrigin(scope.Origin{UserAgent: "ua"}),
			audit.Entry{Action: "a.b", Reason: "words", Salt: [16]byte{1}},
			`{"v":2,"id":"01890a5d-ac97-7000-8000-000000000001","tenantId":"01890a5d-ac96-774b-bcce-b302099a8057",` +
				`"at":"2030-01-02T02:04:05.000006Z","action":"a.b","outcome":"success","actor":{"kind":"system","id":"cli"},` +
				`"private":[{"hash":"HASH0"}],"salt":"AQAAAAAAAAAAAAAAAAAAAA"}`,
			[]string{`{"userAgent":"ua","actor":{"name":"root"},"reason":"words","salt":"SALT"}`},
		},
	}
	salt := regexp.MustCompile(`"salt":"[A-Za-z0-9_-]{22}"`)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := []byte("facts")
			entry, kept := audit.AppendJSON(before[len(before):], tt.scope, entryID, at, tt.entry)
			parts, err := private.Split(kept)
			if err != nil || len(parts) != len(tt.private) {
				t.Fatalf("%d private parts, %v; want %d: %q", len(parts), err, len(tt.private), kept)
			}
			want := tt.want
			for i, part := range parts {
				if got := salt.ReplaceAllString(string(part), `"salt":"SALT"`); got != tt.private[i] {
					t.Errorf("part %d: %s\nwant %s", i, got, tt.private[i])
				}
				hash := sha256.Sum256(part)
				want = strings.ReplaceAll(want, fmt.Sprint("HASH", i), base64.RawURLEncoding.EncodeToString(hash[:]))
			}
			if string(entry) != want {
				t.Errorf("entry:\n%s\nwant:\n%s", entry, want)
			}
			named, err := private.Parts(string(entry))
			if err != nil || len(named) != len(parts) {
				t.Fatalf("Parts = %v, %v", named, err)
			}
			for i, p := range named {
				if !p.Holds(parts[i]) || p.Holds(append(parts[i], ' ')) {
					t.Errorf("the hash of part %d does not tell it from others", i)
				}
			}
		})
	}
}

func TestSaltsDiffer(t *testing.T) {
	one, kept := audit.AppendJSON(nil, fullScope(), entryID, at, audit.Entry{Action: "a.b"})
	two, kept2 := audit.AppendJSON(nil, fullScope(), entryID, at, audit.Entry{Action: "a.b"})
	if string(one) == string(two) || string(kept) == string(kept2) {
		t.Error("two entries have the same salt")
	}
	salts := map[string]bool{}
	parts, _ := private.Split(kept)
	for _, text := range append(parts, one) {
		var s struct {
			Salt string `json:"salt"`
		}
		if err := json.Unmarshal(text, &s); err != nil || salts[s.Salt] {
			t.Errorf("%v; salts %v, %s", err, salts, s.Salt)
		}
		salts[s.Salt] = true
	}
}

// Whatever a caller sends, an entry is JSON that Postgres takes, one line, and
// says the same to every reader.
func FuzzAppendJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "\x00", "\xff\xfe", "\"\\/\b\f\n\r\t", "\u2028\u2029", "é🙂", "\xed\xa0\x80", strings.Repeat("🙂", 1000), "\x7f\x1f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sc := scope.New(tenantID, scope.Actor{Kind: scope.ActorUser, ID: s, Name: s}).WithOrigin(scope.Origin{UserAgent: s, RequestID: s})
		text, kept := audit.AppendJSON(nil, sc, entryID, at, audit.Entry{
			Action: s, Reason: s, Target: audit.Target{Kind: "user", ID: s}, Detail: []audit.Attr{attr.Text("k", s), attr.Texts("l", []string{s, s})},
		})
		if !utf8.Valid(text) || bytes.ContainsAny(text, "\x00\n\r") || bytes.Contains(text, []byte(`\u0000`)) {
			t.Fatalf("not clean: %q", text)
		}
		parts, err := private.Split(kept)
		if err != nil || len(parts) > 1 || len(parts) == 1 && !json.Valid(parts[0]) {
			t.Fatalf("private: %q, %v", kept, err)
		}
		var entry struct {
			Action string `json:"action"`
			Actor  struct {
				ID string `json:"id"`
			} `json:"actor"`
			Detail map[string]any `json:"detail"`
		}
		if err := json.Unmarshal(text, &entry); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		want := strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
		got := strings.ReplaceAll(entry.Action, "\uFFFD", "")
		if want = strings.ReplaceAll(want, "\uFFFD", ""); !strings.HasPrefix(want, got) || len(want) < attr.MaxBytes/4 && got != want {
			t.Fatalf("%q became %q", want, got)
		}
		if entry.Action != entry.Actor.ID || entry.Detail["k"] != entry.Action {
			t.Fatal("one string was written in two ways")
		}
	})
}

func TestAppendCommitsWithItsTransaction(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	broken := errors.New("broken")
	for _, fail := range []error{nil, broken} {
		err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
			if err := audit.Append(t.Context(), tx, audit.Entry{Action: "credential.revoke"}); err != nil {
				return err
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatalf("InTenant = %v, want %v", err, fail)
		}
	}
	got := entries(t, store.Store, acme)
	if len(got) != 1 || got[0]["action"] != "credential.revoke" || got[0]["tenantId"] != acme.Tenant().String() {
		t.Fatalf("entries = %v, want one", got)
	}
	if foreign := entries(t, store.Store, globex); len(foreign) != 0 {
		t.Errorf("another tenant sees %v", foreign)
	}
}

func TestDenials(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	d := audit.NewDenials(audit.DenialsOptions{Store: store.Store, PerMinute: 3})
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp() // the client is gone: it is recorded all the same
	denied := audit.Entry{Action: "authentication.finish", Fault: "SIGNATURE_INVALID", Target: audit.Target{Kind: "credential", ID: "x"}}
	for range 10 {
		d.Record(ctx, acme.WithOrigin(scope.Origin{RequestID: "r"}), denied)
	}
	other := denied
	other.Fault = "ORIGIN_NOT_ALLOWED"
	d.Record(ctx, acme, other)    // another reason has a cap of its own
	d.Record(ctx, globex, denied) // and so has another tenant

	if n := len(entries(t, store.Store, acme)); n != 4 {
		t.Errorf("recorded one by one = %d, want 3 and 1", n)
	}
	if n := len(entries(t, store.Store, globex)); n != 1 {
		t.Errorf("another tenant's = %d, want 1", n)
	}

	ended, end := context.WithCancel(t.Context())
	end()
	if err := d.Run(ended); err != nil { // the end of a process records what it has counted
		t.Fatal(err)
	}
	got := entries(t, store.Store, acme)
	if len(got) != 5 {
		t.Fatalf("after the minute = %d entries, want 5", len(got))
	}
	last := got[0]
	if last["outcome"] != "denied" || last["reason"] != "SIGNATURE_INVALID" || last["target"] != nil || last["requestId"] != nil {
		t.Errorf("the entry of the rest = %v", last)
	}
	if detail, _ := last["detail"].(map[string]any); detail["count"] != 7.0 {
		t.Errorf("its count = %v, want 7", detail["count"])
	}
	if err := d.Run(ended); err != nil {
		t.Fatal(err)
	}
	if n := len(entries(t, store.Store, acme)); n != 5 {
		t.Errorf("a second flush recorded again: %d", n)
	}
}

func TestDenialsRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- audit.NewDenials(audit.DenialsOptions{}).Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// entries are the tenant's inbox, newest first.
func entries(t *testing.T, store *db.Store, sc scope.Scope) []map[string]any {
	t.Helper()
	var out []map[string]any
	err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListAuditRecords(t.Context(), 100)
		for _, row := range rows {
			var e map[string]any
			if err := json.Unmarshal([]byte(row.Entry), &e); err != nil {
				return err
			}
			if e["id"] != row.ID.String() || e["action"] != row.Action {
				t.Errorf("row %s %s holds entry %v", row.ID, row.Action, e)
			}
			out = append(out, e)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func BenchmarkAppendJSON(b *testing.B) {
	sc, e, dst := fullScope(), fullEntry(), make([]byte, 0, 2048)
	e.Salt = [16]byte{}
	b.ReportAllocs()
	for b.Loop() {
		audit.AppendJSON(dst, sc, entryID, at, e)
	}
}
