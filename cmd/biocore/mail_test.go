package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/mail/mailtest"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
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

	// A notice reaches owners and admins who have an address, and nobody else.
	acme := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	for _, one := range []struct {
		address string
		role    member.Role
	}{{"olga@bank.example", member.Owner}, {"", member.Admin}, {"vera@bank.example", member.Viewer}} {
		name := uuid.NewString()
		u, err := w.users.Create(t.Context(), home, user.Profile{ExternalID: name, Name: name}, user.Contact{Email: one.address})
		if err != nil {
			t.Fatal(err)
		}
		invited, err := w.members.Invite(t.Context(), acme, member.InviteRequest{Role: one.role, Label: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.members.Accept(t.Context(), u.ID.UUID(), scope.Origin{}, invited.Token); err != nil {
			t.Fatal(err)
		}
	}
	about := uuid.New()
	if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error { return w.mail.Notify(t.Context(), tx, mail.SupportAsked, about) }); err != nil {
		t.Fatal(err)
	}
	if got := server.Receive(t); got.To != "TO:<olga@bank.example>" || !strings.Contains(got.Data, "/console/t/acme/support") {
		t.Errorf("the notice: %+v", got)
	}
	if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return w.mail.Notify(t.Context(), tx, mail.QuotaNear, about)
	}); err != nil {
		t.Fatal(err)
	}
	if got := server.Receive(t); got.To != "TO:<olga@bank.example>" || !strings.Contains(got.Data, "80 %") {
		t.Errorf("the second notice: %+v", got)
	}
}
