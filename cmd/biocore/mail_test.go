package main

import (
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/mail/mailtest"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// Mail goes by jobs: after what it is about, to who should know, again when the server was
// away, and never with an address or a name in the job.
func TestMail(t *testing.T) {
	server := mailtest.New(t)
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.SMTPURL, cfg.MailFrom = secret.New("smtp://"+server.Host+"?starttls=off"), "Biocore <no-reply@bank.example>"
	w := startWorld(t, store, cfg)
	c := w.tenant(t, "acme")

	// An invitation by the API.
	server.Refuse(451) // away for a moment: the job tries again
	made := w.must(t, "POST", "/admin/v1/members:invite", c.secret, map[string]any{"role": "viewer", "label": "Ben", "email": "ben@bank.example", "reason": "helps"})
	link := made.text("url")
	if conn := store.Superuser(t); link != "" {
		var args string
		if err := conn.QueryRow(t.Context(), "SELECT args::text FROM river.river_job WHERE kind = 'mail_invitation'").Scan(&args); err != nil || strings.Contains(args, "ben") {
			t.Errorf("the job's arguments: %s, %v", args, err)
		}
	}
	for server.Refused() == 0 {
		pause(t, 20_000_000)
	}
	server.Refuse(0)
	got := server.Receive(t)
	if got.To != "TO:<ben@bank.example>" || !strings.Contains(strings.ReplaceAll(got.Data, "=\r\n", ""), strings.ReplaceAll(link, "=", "=3D")) {
		t.Errorf("the invitation's mail: %+v, want the link %s", got, link)
	}
	var left int
	conn := store.Superuser(t)
	for {
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM invitations WHERE email_sealed IS NOT NULL").Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			break
		}
		pause(t, 20_000_000)
	}
}

// Who may let support in is told that it asks, and of quotas: once, whatever is tried again,
// and the tenant's name stays inert. Without Notify in one of the two, or with Insert for
// InsertOnce in the mail package, it turns red.
func TestMailOfSupportAndQuotas(t *testing.T) {
	server := mailtest.New(t)
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.SMTPURL, cfg.MailFrom = secret.New("smtp://"+server.Host+"?starttls=off"), "Biocore <no-reply@bank.example>"
	w := startWorld(t, store, cfg)
	c := w.tenant(t, "acme")
	conn := store.Superuser(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	count := func(sql string) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	settled := func() {
		t.Helper()
		for count("SELECT count(*) FROM river.river_job WHERE kind LIKE 'mail%' AND state <> 'completed'") > 0 {
			pause(t, 20_000_000)
		}
	}
	exec("UPDATE tenants SET name = $2 WHERE id = $1", c.id, "<b>Acme</b> \u202ehttps://evil.example/x")
	acme := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	told := map[string]bool{"olga@bank.example": true, "adam@bank.example": true}
	for role, address := range map[member.Role]string{
		member.Owner: "olga@bank.example", member.Admin: "adam@bank.example", member.Security: "sue@bank.example", member.Viewer: "vera@bank.example",
	} {
		if role.May(apikey.ScopeSupportGrant) != told[address] {
			t.Errorf("%s may let support in: %v", role, !told[address])
		}
		name := uuid.NewString()
		u, err := w.users.Create(t.Context(), home, user.Profile{ExternalID: name, Name: name}, user.Contact{Email: address})
		if err != nil {
			t.Fatal(err)
		}
		invited, err := w.members.Invite(t.Context(), acme, member.InviteRequest{Role: role, Label: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.members.Accept(t.Context(), u.ID.UUID(), scope.Origin{}, invited.Token); err != nil {
			t.Fatal(err)
		}
	}
	// receive takes one mail for each who is to be told, of a page.
	receive := func(what, page, word string) {
		t.Helper()
		settled()
		left := maps.Clone(told)
		for range told {
			got := server.Receive(t)
			address := strings.TrimSuffix(strings.TrimPrefix(got.To, "TO:<"), ">")
			if !left[address] {
				t.Errorf("%s: a mail to %s", what, address)
			}
			delete(left, address)
			data := strings.ReplaceAll(got.Data, "=\r\n", "")
			if !strings.Contains(data, "/console/t/acme/"+page) || !strings.Contains(data, word) || strings.Contains(data, "evil.example") {
				t.Errorf("%s: %s", what, data)
			}
			if _, html, found := strings.Cut(data, "text/html"); !found || strings.Contains(html, "<b>") {
				t.Errorf("%s: markup of the tenant's name: %s", what, html)
			}
		}
		if len(server.Mails) != 0 {
			t.Errorf("%s: %d mails more", what, len(server.Mails))
		}
	}

	// The mail server is away for a moment, and the notice is worked off twice.
	server.Refuse(451)
	w.supportRequest(t, c)
	for server.Refused() == 0 {
		pause(t, 20_000_000)
	}
	server.Refuse(0)
	receive("support asks", "support", "Support asks")
	exec("UPDATE river.river_job SET state = 'available', finalized_at = NULL, scheduled_at = now() WHERE kind = 'mail_notice'")
	settled()
	if n := count("SELECT count(*) FROM river.river_job WHERE kind = 'mail_person'"); n != len(told) || len(server.Mails) != 0 {
		t.Errorf("worked off twice: %d jobs, %d mails more", n, len(server.Mails))
	}

	// Quotas: at 80 %, at 100 %, and at both at once the larger alone; each once, however often it is measured.
	quota := func(kind usage.Kind, most int64) {
		t.Helper()
		if _, err := w.usage.SetQuotas(t.Context(), home, usage.QuotasRequest{Tenant: acme.Tenant(), Set: []usage.Quota{{Kind: kind, Most: most}}}); err != nil {
			t.Fatal(err)
		}
	}
	measure := func() {
		t.Helper()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := w.usage.Measure(t.Context(), acme); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	ceremonies := func(n int) {
		t.Helper()
		exec(`INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts)
			SELECT $1, now(), gen_random_uuid(), 'AUTHENTICATION', 'FAILED', 1, '{}' FROM generate_series(1, $2)`, c.id, n)
	}
	quota(usage.Ceremonies, 10)
	ceremonies(7)
	measure()
	settled()
	if len(server.Mails) != 0 {
		t.Error("a mail at 70 %")
	}
	ceremonies(1)
	measure()
	receive("80 %", "usage", "80 % of one of its quotas")
	ceremonies(2)
	measure()
	receive("100 %", "usage", "100 % of one of its quotas")
	quota(usage.Ceremonies, 9)
	receive("a lower one", "usage", "100 % of one of its quotas")
}
