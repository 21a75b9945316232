package recovery_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func TestALinkEnrollsOnePasskey(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	g, err := w.CreateLink(t.Context(), acme, recovery.LinkRequest{UserID: ada.ID, Life: 7 * 24 * time.Hour, Reason: "lost her phone"})
	if err != nil || g.Recovery.State != recovery.Open || g.Recovery.Reason != "lost her phone" || g.Recovery.RequestedBy != "api_key:"+acme.Actor().ID {
		t.Fatalf("CreateLink = %+v, %v", g.Recovery, err)
	}
	sixDays := w.after(t, 6*24*time.Hour)
	if _, err := sixDays.begin(t, acme, g.Token); err != nil {
		t.Errorf("six days later: %v", err)
	}
	week := w.after(t, 7*24*time.Hour+time.Minute)
	_, err = week.begin(t, acme, g.Token)
	wantErr(t, "after a week", err, ceremony.ErrRegistrationExpired)
	if r, err := week.Get(t.Context(), acme, g.Recovery.ID); err != nil || r.State != recovery.Expired {
		t.Errorf("Get after a week = %+v, %v", r, err)
	}
	begun, err := w.begin(t, acme, g.Token)
	if err != nil {
		t.Fatal(err)
	}
	c := w.enroll(t, acme, g.Token)
	if !c.Lowered || c.RegisteredVia != credential.ViaEnrollmentLink || c.UserID != ada.ID {
		t.Errorf("the passkey is %+v, want it lowered and by a link", c)
	}
	_, err = w.finish(t, acme, begun)
	wantErr(t, "a second finish", err, ceremony.ErrRegistrationSpent)
	if n := w.AuditCount(t, acme, "recovery.link_create"); n != 1 {
		t.Errorf("%d entries of the link, want 1", n)
	}
}

// A token outlives the data key that seals when it is made.
func TestALinkOutlivesItsDataKey(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	g := w.link(t, acme, w.User(t, acme))
	next := w.NextDataKey(t, acme)
	s := w.on(t, w.Store.Store, next.Keys, next.Tenants, next.Sessions)
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE data_keys SET drained_at = now() WHERE tenant_id = $1 AND version = 1", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	s.enroll(t, acme, g.Token)
}

func TestCreateLinkRefuses(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada, blocked := w.User(t, acme), w.User(t, acme)
	if _, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: blocked.ID}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		sc   scope.Scope
		req  recovery.LinkRequest
		want error
	}{
		{"another tenant's user", globex, recovery.LinkRequest{UserID: ada.ID, Reason: "x"}, user.ErrNotFound},
		{"somebody blocked", acme, recovery.LinkRequest{UserID: blocked.ID, Reason: "x"}, user.ErrBlocked},
		{"without a reason", acme, recovery.LinkRequest{UserID: ada.ID}, credential.ErrReason},
		{"with a long one", acme, recovery.LinkRequest{UserID: ada.ID, Reason: strings.Repeat("é", 257)}, credential.ErrReason},
		{"for a second", acme, recovery.LinkRequest{UserID: ada.ID, Reason: "x", Life: time.Second}, recovery.ErrLife},
		{"for eight days", acme, recovery.LinkRequest{UserID: ada.ID, Reason: "x", Life: 8 * 24 * time.Hour}, recovery.ErrLife},
		{"the platform's own", scope.New(scope.PlatformTenant, acme.Actor()), recovery.LinkRequest{UserID: ada.ID, Reason: "x"}, tenant.ErrNotFound},
	} {
		_, err := w.CreateLink(t.Context(), tt.sc, tt.req)
		wantErr(t, tt.name, err, tt.want)
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada := w.User(t, acme)
	g := w.link(t, acme, ada)
	begun, err := w.begin(t, acme, g.Token)
	if err != nil {
		t.Fatal(err)
	}
	req := recovery.DecideRequest{ID: g.Recovery.ID, Reason: "sent to the wrong address"}
	_, err = w.Revoke(t.Context(), globex, req)
	wantErr(t, "another tenant's", err, recovery.ErrNotFound)
	_, err = w.Revoke(t.Context(), acme, recovery.DecideRequest{ID: g.Recovery.ID})
	wantErr(t, "without a reason", err, credential.ErrReason)
	first, err := w.Revoke(t.Context(), acme, req)
	if err != nil || first.State != recovery.Revoked || first.DecidedAt == nil {
		t.Fatalf("Revoke = %+v, %v", first, err)
	}
	if again, err := w.Revoke(t.Context(), acme, req); err != nil || !again.DecidedAt.Equal(*first.DecidedAt) {
		t.Errorf("Revoke again = %+v, %v, want the first time kept", again, err)
	}
	_, err = w.finish(t, acme, begun)
	wantErr(t, "a registration that was under way", err, ceremony.ErrRecoveryClosed)
	_, err = w.begin(t, acme, g.Token)
	wantErr(t, "BeginRegistration", err, ceremony.ErrRecoveryClosed)
	if n := w.EventCount(t, acme, event.RecoveryRevoked); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	used := w.link(t, acme, ada)
	w.enroll(t, acme, used.Token)
	_, err = w.Revoke(t.Context(), acme, recovery.DecideRequest{ID: used.Recovery.ID, Reason: "x"})
	wantErr(t, "a used one", err, recovery.ErrDecided)
	old := w.link(t, acme, ada)
	late := w.after(t, 25*time.Hour)
	_, err = late.Revoke(t.Context(), acme, recovery.DecideRequest{ID: old.Recovery.ID, Reason: "x"})
	wantErr(t, "an expired one", err, recovery.ErrDecided)
}

// SECURITY 49b: where policy says so, nobody recovers an account alone.
func TestSecondPerson(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryApproval":"SECOND_PERSON"}`)
	globex := w.policed(t, `{"recoveryApproval":"SECOND_PERSON"}`)
	for _, tt := range []struct {
		name string
		ask  func(u user.User) recovery.Grant
		life time.Duration // after the approval
	}{
		{"a code", func(u user.User) recovery.Grant {
			return w.granted(t, acme, u.ExternalID, w.codes(t, acme, u)[0])
		}, 24 * time.Hour},
		{"a link", func(u user.User) recovery.Grant { return w.link(t, acme, u) }, 24 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := tt.ask(w.User(t, acme))
			approve := recovery.DecideRequest{ID: g.Recovery.ID, Reason: "called her back"}
			if g.Recovery.State != recovery.Pending {
				t.Fatalf("it is %s, want it to wait", g.Recovery.State)
			}
			_, err := w.begin(t, acme, g.Token)
			wantErr(t, "its token before the approval", err, ceremony.ErrRecoveryPending)
			denied := w.AuditCount(t, acme, "recovery.approve")
			_, err = w.Approve(t.Context(), acme, approve)
			wantErr(t, "approval by who asked", err, recovery.ErrSamePerson)
			if n := w.AuditCount(t, acme, "recovery.approve") - denied; n != 1 {
				t.Errorf("%d entries of the refusal, want 1", n)
			}
			_, err = w.Approve(t.Context(), globex, approve)
			wantErr(t, "approval from another tenant", err, recovery.ErrNotFound)
			_, err = w.Approve(t.Context(), somebody(acme), recovery.DecideRequest{ID: g.Recovery.ID})
			wantErr(t, "approval without a reason", err, credential.ErrReason)
			r, err := w.Approve(t.Context(), somebody(acme), approve)
			if err != nil || r.State != recovery.Open || r.ExpiresAt.Sub(*r.DecidedAt).Round(time.Minute) != tt.life {
				t.Fatalf("Approve = %+v, %v", r, err)
			}
			_, err = w.Approve(t.Context(), somebody(acme), approve)
			wantErr(t, "a second approval", err, recovery.ErrDecided)
			_, err = w.Refuse(t.Context(), somebody(acme), approve)
			wantErr(t, "a refusal after it", err, recovery.ErrDecided)
			if c := w.enroll(t, acme, g.Token); !c.Lowered {
				t.Error("the passkey is not lowered")
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		g := w.link(t, acme, w.User(t, acme))
		if r, err := w.Refuse(t.Context(), acme, recovery.DecideRequest{ID: g.Recovery.ID, Reason: "not her voice"}); err != nil || r.State != recovery.Refused {
			t.Fatalf("Refuse = %+v, %v", r, err)
		}
		_, err := w.begin(t, acme, g.Token)
		wantErr(t, "its token", err, ceremony.ErrRecoveryClosed)
		_, err = w.Approve(t.Context(), somebody(acme), recovery.DecideRequest{ID: g.Recovery.ID, Reason: "x"})
		wantErr(t, "approval after it", err, recovery.ErrDecided)
	})
	t.Run("too late", func(t *testing.T) {
		u := w.User(t, acme)
		g := w.granted(t, acme, u.ExternalID, w.codes(t, acme, u)[0])
		late := w.after(t, 25*time.Hour)
		_, err := late.Approve(t.Context(), somebody(acme), recovery.DecideRequest{ID: g.Recovery.ID, Reason: "x"})
		wantErr(t, "approval the day after", err, recovery.ErrDecided)
		_, err = late.begin(t, acme, g.Token)
		wantErr(t, "its token", err, ceremony.ErrRegistrationExpired)
	})
	t.Run("two people at the command line are two", func(t *testing.T) {
		cli := func(name string) scope.Scope {
			return acme.WithActor(scope.Actor{Kind: scope.ActorSystem, ID: "cli", Name: name})
		}
		g := w.link(t, cli("ada"), w.User(t, acme))
		_, err := w.Approve(t.Context(), cli("ada"), recovery.DecideRequest{ID: g.Recovery.ID, Reason: "x"})
		wantErr(t, "the same", err, recovery.ErrSamePerson)
		if _, err := w.Approve(t.Context(), cli("bob"), recovery.DecideRequest{ID: g.Recovery.ID, Reason: "x"}); err != nil {
			t.Errorf("the other: %v", err)
		}
	})
	for typ, want := range map[event.Type]int64{event.RecoveryApproved: 3, event.RecoveryRefused: 1} {
		if n := w.EventCount(t, acme, typ); n != want {
			t.Errorf("%d events %s, want %d", n, typ, want)
		}
	}
}

// One decision is made. Removing LockRecovery's FOR UPDATE lets both.
func TestDecisionsRaced(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryApproval":"SECOND_PERSON"}`)
	for range 5 {
		g := w.link(t, acme, w.User(t, acme))
		req := recovery.DecideRequest{ID: g.Recovery.ID, Reason: "x"}
		var errs [8]error
		var race sync.WaitGroup
		for i := range errs {
			decide := w.Approve
			if i%2 == 1 {
				decide = w.Refuse
			}
			race.Go(func() { _, errs[i] = decide(t.Context(), somebody(acme), req) })
		}
		race.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else if !errors.Is(err, recovery.ErrDecided) {
				t.Errorf("a loser: %v", err)
			}
		}
		if made != 1 {
			t.Fatalf("%d decisions were made, want 1", made)
		}
	}
}

// A tenant that has moved to another domain has no use for what was made before.
func TestAnotherRPID(t *testing.T) {
	w := newWorld(t)
	acme := w.Tenant(t)
	g := w.link(t, acme, w.User(t, acme))
	begun, err := w.begin(t, acme, g.Token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE tenants SET rp_id = 'acme.localhost' WHERE id = $1", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	fresh := w.after(t, 0) // has cached nothing
	_, err = fresh.begin(t, acme, g.Token)
	wantErr(t, "BeginRegistration", err, ceremony.ErrRegistrationToken)
	_, err = fresh.finish(t, acme, begun)
	wantErr(t, "FinishRegistration", err, webauthn.ErrRPID)
}

func TestList(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryApproval":"SECOND_PERSON"}`)
	ada, eve := w.User(t, acme), w.User(t, acme)
	link := w.link(t, acme, ada).Recovery
	code := w.granted(t, acme, eve.ExternalID, w.codes(t, acme, eve)[0]).Recovery
	gone := w.link(t, acme, eve).Recovery
	if _, err := w.Revoke(t.Context(), acme, recovery.DecideRequest{ID: gone.ID, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string][]recovery.ID{
		"":                                     {gone.ID, code.ID, link.ID},
		"state = PENDING":                      {code.ID, link.ID},
		"state = REVOKED":                      {gone.ID},
		"kind = LINK AND state = PENDING":      {link.ID},
		"userId = " + eve.ID.String():          {gone.ID, code.ID},
		"state = EXPIRED":                      nil,
		"userId = x":                           nil,
		"kind = LINK AND kind = CODE":          nil,
		"createdAt < \"2020-01-01T00:00:00Z\"": nil,
	} {
		for _, size := range []int{1, 50} {
			var got []recovery.ID
			req := listing.Request{Filter: filter, PageSize: size}
			for {
				page, err := w.List(t.Context(), acme, req)
				if err != nil {
					t.Fatalf("%q: %v", filter, err)
				}
				for _, r := range page.Items {
					got = append(got, r.ID)
				}
				if req.PageToken = page.NextToken; req.PageToken == "" {
					break
				}
			}
			if len(got) != len(want) {
				t.Errorf("%q: %v, want %v", filter, got, want)
				continue
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%q: %v, want %v", filter, got, want)
				}
			}
		}
	}
	late := w.after(t, 25*time.Hour)
	if page, err := late.List(t.Context(), acme, listing.Request{Filter: "state = EXPIRED"}); err != nil || len(page.Items) != 2 || page.Items[0].State != recovery.Expired {
		t.Errorf("expired the day after: %+v, %v", page, err)
	}
	_, err := w.List(t.Context(), acme, listing.Request{Filter: "reason = x"})
	wantErr(t, "a filter of no field", err, listing.ErrFilter)
}
